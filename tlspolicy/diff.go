package tlspolicy

import (
	"crypto/tls"
	"slices"
)

// A Difference is what changes for clients when policy From gives way to To.
// The zero value means no difference.
type Difference struct {
	From, To  string
	Changes   []Change // versions, suites by version, groups; lost before gained
	Reordered bool     // something kept by both has another place in the order of preference
}

// A Change is one thing that only one of two policies permits.
type Change struct {
	Part    Part   // Version, Suite or Group
	Version uint16 // the version itself, or the one at which the suite is accepted; 0 for groups
	ID      uint16 // the number of the version, suite or group
	Gained  bool   // permitted by To only; else by From only
}

// Name returns the name of the version, suite or group.
func (c Change) Name() string {
	switch c.Part {
	case Version:
		return VersionName(c.ID)
	case Group:
		return GroupName(tls.CurveID(c.ID))
	}
	return SuiteName(c.ID)
}

// Same reports whether no client can tell the policies apart.
func (d Difference) Same() bool { return len(d.Changes) == 0 && !d.Reordered }

// Diff compares what a server accepts under a with what it accepts under b.
// Listed suites that crypto/tls lacks, see [Missing], are left out.
func Diff(a, b *Policy) Difference {
	d := Difference{From: a.String(), To: b.String()}
	add := func(part Part, version uint16, from, to []uint16) {
		var kept [2][]uint16
		for _, id := range from {
			if slices.Contains(to, id) {
				kept[0] = append(kept[0], id)
			} else {
				d.Changes = append(d.Changes, Change{part, cmpVersion(part, version, id), id, false})
			}
		}
		for _, id := range to {
			if slices.Contains(from, id) {
				kept[1] = append(kept[1], id)
			} else {
				d.Changes = append(d.Changes, Change{part, cmpVersion(part, version, id), id, true})
			}
		}
		d.Reordered = d.Reordered || !slices.Equal(kept[0], kept[1])
	}
	add(Version, 0, a.Versions(), b.Versions())
	for _, v := range allVersions {
		add(Suite, v, a.Offered(v), b.Offered(v))
	}
	add(Group, 0, a.groupNumbers(), b.groupNumbers())
	return d
}

func cmpVersion(part Part, version, id uint16) uint16 {
	if part == Version {
		return id
	}
	return version
}

func (p *Policy) groupNumbers() []uint16 {
	if !p.valid() {
		return nil
	}
	ids := make([]uint16, len(p.Groups))
	for i, g := range p.Groups {
		ids[i] = uint16(g)
	}
	return ids
}

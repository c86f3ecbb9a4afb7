package tlspolicy

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// A Part names what of a connection a policy forbids.
type Part string

// The parts of a connection that a policy governs.
const (
	NoPolicy Part = "policy" // there was no policy, or one that permits nothing
	Version  Part = "version"
	Suite    Part = "suite"
	Group    Part = "group"
)

// A Violation says which part of a negotiated connection its policy forbids.
type Violation struct {
	Policy  string // the policy's name
	Part    Part   // what is forbidden; the first, in the order of the constants
	Version uint16 // as negotiated
	Suite   uint16
	Group   tls.CurveID // 0 for RSA key exchange
}

func (v *Violation) Error() string {
	switch v.Part {
	case Version:
		return fmt.Sprintf("policy %s forbids version %s", v.Policy, VersionName(v.Version))
	case Suite:
		return fmt.Sprintf("policy %s forbids suite %s with %s", v.Policy, SuiteName(v.Suite), VersionName(v.Version))
	case Group:
		group := GroupName(v.Group)
		if group == "" {
			group = "none"
		}
		return fmt.Sprintf("policy %s forbids group %s with suite %s and %s", v.Policy, group, SuiteName(v.Suite), VersionName(v.Version))
	}
	return "no policy permits this connection"
}

// Check returns a *[Violation] unless the version, suite and group of the
// connection are all permitted. A resumed connection is judged like a new one.
func (p *Policy) Check(cs tls.ConnectionState) error {
	return p.judge(cs.Version, cs.CipherSuite, cs.CurveID, false)
}

// Tolerates is Check for a connection that was opened under another policy
// and is still open when p replaces it. It differs in one point: a hybrid
// ML-KEM group is never weaker than a classical one, so it is kept under a
// policy that would not negotiate it. The group is 0 for RSA key exchange.
func (p *Policy) Tolerates(version, suite uint16, group tls.CurveID) error {
	return p.judge(version, suite, group, true)
}

func (p *Policy) judge(version, suite uint16, group tls.CurveID, keepHybrid bool) error {
	part := Group
	switch {
	case !p.valid():
		part = NoPolicy
	case !p.permitsVersion(version):
		part = Version
	case !p.permits(version, suite):
		part = Suite
	case p.permitsGroup(version, suite, group):
		return nil
	case keepHybrid && version == tls.VersionTLS13 && isHybrid(group):
		return nil
	}
	v := &Violation{Part: part, Version: version, Suite: suite, Group: group}
	if p != nil {
		v.Policy = p.Name
	}
	return v
}

// Configure sets what of p crypto/tls can enforce by configuration: versions,
// suites below TLS 1.3, groups, and [Policy.Check] as the first part of
// VerifyConnection, ahead of one that c already has. The TLS 1.3 suites and
// the order of preference are enforced by [Server], which refuses a
// configuration that was not configured for the policy it is to run under.
//
// Call it once for each configuration and policy, on a fresh Config or a
// clone of one that was never configured. Under a policy that permits nothing
// c refuses every handshake.
func (p *Policy) Configure(c *tls.Config) {
	c.MinVersion, c.MaxVersion = p.bounds()
	c.CipherSuites = p.configuredSuites()
	c.CurvePreferences = p.configuredGroups()
	next := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := p.Check(cs); err != nil {
			return err
		}
		if next != nil {
			return next(cs)
		}
		return nil
	}
}

// configured reports whether c is set as Configure leaves it.
func (p *Policy) configured(c *tls.Config) bool {
	lowest, highest := p.bounds()
	if c == nil || c.MinVersion != lowest || c.MaxVersion != highest || c.VerifyConnection == nil {
		return false
	}
	// A nil list means crypto/tls's defaults, which are not the policy's.
	if c.CipherSuites == nil || len(p.Groups) == 0 || !slices.Equal(c.CurvePreferences, p.Groups) {
		return false
	}
	n := 0
	for _, id := range p.Suites12 {
		if !implemented[id] || suites[id] == nil {
			continue
		}
		if n == len(c.CipherSuites) || c.CipherSuites[n] != id {
			return false
		}
		n++
	}
	return n == len(c.CipherSuites)
}

// noGroup and noVersion stand in lists and bounds where empty or zero would
// mean crypto/tls's default. Both are reserved numbers.
const (
	noGroup   tls.CurveID = 0
	noVersion uint16      = 0xFFFF
)

func (p *Policy) bounds() (lowest, highest uint16) {
	if !p.valid() {
		return noVersion, noVersion
	}
	return p.Min, p.Max
}

func (p *Policy) configuredSuites() []uint16 {
	ids := []uint16{}
	if p.valid() {
		for _, id := range p.Suites12 {
			if implemented[id] && suites[id] != nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func (p *Policy) configuredGroups() []tls.CurveID {
	if !p.valid() || len(p.Groups) == 0 {
		return []tls.CurveID{noGroup}
	}
	return slices.Clone(p.Groups)
}

package tlspolicy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// What the walks offer: everything a policy lists, everything else that
// crypto/tls implements, and some that nobody does.
var (
	walkVersions = []uint16{0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x0305}
	walkSuites   = func() []uint16 {
		ids := []uint16{
			0x1304, 0x1305, // TLS 1.3 CCM
			0x009E, 0x0016, 0x0004, 0xC0AC, // DHE, DHE 3DES, RC4-MD5, CCM
			0x0A0A, 0xABCD, 0x5600, 0x00FF, // GREASE, unassigned, signalling values
		}
		for _, s := range suiteTable {
			ids = append(ids, s.id)
		}
		for id := range implemented {
			if suites[id] == nil {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return ids
	}()
	walkGroups = []tls.CurveID{
		0,                                                           // no supported_groups
		tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, 30, // X448
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, 0x6399, // Kyber draft
	}
)

// TestRawWalk offers every policy every version, suite and group, one of each
// at a time, and compares what the server answers, alerts included, with the
// documented table.
func TestRawWalk(t *testing.T) {
	for _, r := range rows(t) {
		for _, leaf := range testLeaves(t) {
			t.Run(r.policy.String()+"/"+leaf.kind, func(t *testing.T) {
				t.Parallel()
				choose := always(r.policy, configFor(r.policy, leaf))
				accepted := make(map[[2]uint16]bool)
				for _, version := range walkVersions {
					for _, suite := range walkSuites {
						for _, group := range walkGroups {
							offer := rawhello.Hello{Version: version, Suites: []uint16{suite}, ServerName: proofName}
							if group != 0 {
								offer.Groups = []tls.CurveID{group}
								offer.Shares = offer.Groups
							}
							want, alert := r.want(version, suite, group, leaf)
							compare(t, choose, offer, want, alert)
							if alert == 0 {
								accepted[[2]uint16{version, suite}] = true
							}
							if version == tls.VersionTLS13 && alert == 0 {
								offer.Shares, want.Retry = nil, true
								compare(t, choose, offer, want, alert)
							}
						}
					}
				}
				// The other way round: nothing documented was left out but the three.
				for _, version := range r.versions {
					for _, suite := range r.policy.Offered(version) {
						if leaf.serves(version, suite) && !accepted[[2]uint16{version, suite}] {
							t.Errorf("%s %s was never accepted", VersionName(version), SuiteName(suite))
						}
					}
				}
			})
		}
	}
}

func compare(t *testing.T, choose Choose, offer rawhello.Hello, want rawhello.Answer, alert uint8) {
	t.Helper()
	got, err := raw(choose, offer)
	var refused rawhello.Refused
	if errors.As(err, &refused) {
		err = nil
	}
	if err != nil || got != want || refused.Alert != alert {
		var group tls.CurveID
		if len(offer.Groups) > 0 {
			group = offer.Groups[0]
		}
		t.Errorf("offered %s %s %s: got %s alert %d %v, want %s alert %d", VersionName(offer.Version), SuiteName(offer.Suites[0]),
			GroupName(group), describe(got), refused.Alert, err, describe(want), alert)
	}
}

// TestListedOrder offers all suites at once, the preferred ones last, and each
// pair in both orders: the server's list decides, never the client's.
func TestListedOrder(t *testing.T) {
	for _, r := range rows(t) {
		for _, leaf := range testLeaves(t) {
			choose := always(r.policy, configFor(r.policy, leaf))
			for _, version := range r.versions {
				var order []uint16
				for _, id := range slices.Concat(r.suites13, r.suites12) {
					if _, alert := r.want(version, id, tls.CurveP256, leaf); alert == 0 {
						order = append(order, id)
					}
				}
				expect := func(want uint16, offered ...uint16) {
					t.Helper()
					answer, err := raw(choose, rawhello.Hello{Version: version, Suites: offered,
						Groups: []tls.CurveID{tls.CurveP256}, Shares: []tls.CurveID{tls.CurveP256}, ServerName: proofName})
					if err != nil || answer.Suite != want {
						t.Errorf("%s %s %s: offered %x, got %04x %v, want %04x", r.policy, leaf.kind, VersionName(version), offered, answer.Suite, err, want)
					}
				}
				backwards := slices.Clone(order)
				slices.Reverse(backwards)
				if len(order) > 0 {
					expect(order[0], slices.Concat(walkSuitesWithout(r.suites13, r.suites12), backwards)...)
				}
				for i := range order[:max(len(order)-1, 0)] {
					expect(order[i], order[i], order[i+1])
					expect(order[i], order[i+1], order[i])
				}
			}
		}
	}
}

// walkSuitesWithout also drops the signalling values, which mean something.
func walkSuitesWithout(lists ...[]uint16) []uint16 {
	drop := append(slices.Concat(lists...), 0x5600, 0x00FF)
	return slices.DeleteFunc(slices.Clone(walkSuites), func(id uint16) bool { return slices.Contains(drop, id) })
}

// TestBothCertificates: with an ECDSA and an RSA certificate the listed order
// decides over both, and the certificate follows the suite.
func TestBothCertificates(t *testing.T) {
	leaves := testLeaves(t)
	for _, r := range rows(t) {
		choose := always(r.policy, configFor(r.policy, leaves...))
		for _, version := range r.versions {
			if version == tls.VersionTLS13 {
				continue
			}
			var order []uint16
			for _, id := range r.suites12 {
				_, a := r.want(version, id, tls.CurveP256, leaves[0])
				_, b := r.want(version, id, tls.CurveP256, leaves[1])
				if a == 0 || b == 0 {
					order = append(order, id)
				}
			}
			for i := range order {
				offered := slices.Clone(order[i:])
				slices.Reverse(offered)
				for _, name := range []string{proofName, "other.invalid", ""} { // a name the certificates lack is served all the same
					answer, err := raw(choose, rawhello.Hello{Version: version, Suites: offered, Groups: []tls.CurveID{tls.CurveP256}, ServerName: name})
					if name == "other.invalid" {
						// crypto/tls then takes the first certificate, the ECDSA one, and so
						// RSA suites cannot be had: the first ECDSA one is right.
						j := slices.IndexFunc(order[i:], func(id uint16) bool { return leaves[0].serves(version, id) })
						if j < 0 {
							if err == nil {
								t.Errorf("%s %s: %x accepted as %04x", r.policy, VersionName(version), offered, answer.Suite)
							}
							continue
						}
						if err != nil || answer.Suite != order[i+j] {
							t.Errorf("%s %s %q: offered %x, got %04x %v, want %04x", r.policy, VersionName(version), name, offered, answer.Suite, err, order[i+j])
						}
						continue
					}
					if err != nil || answer.Suite != order[i] {
						t.Errorf("%s %s %q: offered %x, got %04x %v, want %04x", r.policy, VersionName(version), name, offered, answer.Suite, err, order[i])
					}
				}
			}
		}
	}
}

// TestSplitHello: however a ClientHello is cut into records and reads, the
// result is the same.
func TestSplitHello(t *testing.T) {
	for _, r := range rows(t) {
		for _, leaf := range testLeaves(t) {
			choose := always(r.policy, configFor(r.policy, leaf))
			for _, version := range walkVersions {
				offer := rawhello.Hello{Version: version, Suites: walkSuites, Groups: walkGroups[1:], Shares: walkGroups[1:3], ServerName: proofName}
				offer.Suites = slices.DeleteFunc(slices.Clone(walkSuites), func(id uint16) bool { return id == 0x5600 })
				ask := func(fragment, step int) string {
					offer.Fragment = fragment
					c := &rawhello.Conn{In: rawhello.Build(offer), Step: step}
					server := Server(c, choose)
					_ = server.Handshake()
					answer, err := rawhello.ReadServerHello(&c.Out)
					ja4 := ""
					if h := server.Hello(); h != nil {
						ja4 = h.JA4
					}
					return fmt.Sprint(answer, err, ja4)
				}
				want := ask(0, 0)
				for _, split := range [][2]int{{0, 1}, {1, 0}, {1, 1}, {7, 3}, {100, 0}} {
					if got := ask(split[0], split[1]); got != want {
						t.Errorf("%s %s %s in records of %d, reads of %d: %s, whole: %s", r.policy, leaf.kind, VersionName(version), split[0], split[1], got, want)
					}
				}
			}
		}
	}
}

// TestGoWalk completes handshakes with crypto/tls's client at every version,
// with every suite that it can be told to offer alone, and every group.
func TestGoWalk(t *testing.T) {
	steps := 0
	for _, r := range rows(t) {
		for _, leaf := range testLeaves(t) {
			choose := always(r.policy, configFor(r.policy, leaf))
			for _, version := range allVersions {
				for id := range slices.Values(walkSuites) {
					if !implemented[id] || (version == tls.VersionTLS13) != (id>>8 == 0x13) {
						continue
					}
					if version == tls.VersionTLS13 && id != 0x1301 {
						continue // crypto/tls's client always offers all three
					}
					for _, group := range walkGroups {
						if group == 0 || group == 30 || group == 0x6399 {
							continue
						}
						if version < tls.VersionTLS13 && group > 256 {
							continue // the client would not offer it
						}
						steps++
						client := clientFor(leaf)
						client.MinVersion, client.MaxVersion = version, version
						client.CipherSuites, client.CurvePreferences = []uint16{id}, []tls.CurveID{group}
						want, alert := r.want(version, id, group, leaf)
						o := handshake(t, choose, client)
						if (o.clientErr == nil) != (alert == 0) || (o.serverErr == nil) != (alert == 0) {
							t.Errorf("%s %s %s %s %s: client %v, server %v, want alert %d", r.policy, leaf.kind, VersionName(version), SuiteName(id), GroupName(group), o.clientErr, o.serverErr, alert)
							continue
						}
						if a, ok := o.server.Alert(); alert != 0 && (!ok || !a.Sent || a.Code != alert) {
							t.Errorf("%s %s: alert %v %t, want %d", r.policy, VersionName(version), a, ok, alert)
						}
						if got := (rawhello.Answer{Version: o.client.Version, Suite: o.client.CipherSuite, Group: o.client.CurveID}); alert == 0 && got != want {
							t.Errorf("%s %s: got %s, want %s", r.policy, leaf.kind, describe(got), describe(want))
						}
					}
				}
			}
		}
	}
	t.Logf("%d handshakes", steps)
}

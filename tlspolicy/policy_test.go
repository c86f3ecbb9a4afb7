package tlspolicy

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
)

// documented is the guide's table written out again, in OpenSSL names, so that
// the package's rows are compared with something that shares no code with them.
var documented = []struct {
	name     string
	edge     bool
	versions string // highest first
	suites13 string
	suites12 string // all suites below TLS 1.3, in the guide's order
	groups   string
	flags    string // fips, pq, pfs, legacy
}{
	{"TLS_1_0", false, "1.3 1.2 1.1 1.0", docAll, `
		ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256
		ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384
		ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA
		AES128-GCM-SHA256 AES128-SHA256 AES128-SHA AES256-GCM-SHA384 AES256-SHA256 AES256-SHA`, docClassical, "legacy"},
	{"TLS_1_0", true, "1.3 1.2 1.1 1.0", docAll, `
		ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256
		ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384
		ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA
		AES256-SHA256 AES256-SHA`, docClassical, "legacy"},
	{"TLS_1_2", false, "1.3 1.2", docAll, docTwelve, docClassical, "legacy"},
	{"TLS_1_2", true, "1.3 1.2", docAll, docEdgeTen + ` AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256`, docClassical, "legacy"},
	{"SecurityPolicy_TLS13_1_3_2025_09", false, "1.3", docAll, "", docClassical, "pfs"},
	{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", false, "1.3", docFIPS, "", "P-256 P-384", "fips pfs"},
	{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", false, "1.3 1.2", docAll, docFour, docHybrid + docClassical, "pq pfs"},
	{"SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09", false, "1.3 1.2", docFIPS, docTwelve, docHybrid + "P-256 P-384", "fips pq"},
	{"SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", false, "1.3 1.2", docFIPS, docFour, docHybrid + "P-256 P-384", "fips pq pfs"},
	{"SecurityPolicy_TLS13_1_2_PQ_2025_09", false, "1.3 1.2", docAll, docTwelve, docHybrid + docClassical, "pq"},
	{"SecurityPolicy_TLS13_1_2_2021_06", false, "1.3 1.2", docAll, docTwelve, docClassical, ""},
	{"SecurityPolicy_TLS13_2025_EDGE", true, "1.3", docAll, "", docClassical, "pfs"},
	{"SecurityPolicy_TLS12_PFS_2025_EDGE", true, "1.3 1.2", docAll, `
		ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305
		ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305`, docClassical, "pfs"},
	{"SecurityPolicy_TLS12_2018_EDGE", true, "1.3 1.2", docAll, docEdgeTen, docClassical, "pfs"},
}

const (
	docAll       = "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
	docFIPS      = "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384"
	docClassical = "X25519 P-256 P-384"
	docHybrid    = "X25519MLKEM768 SecP256r1MLKEM768 SecP384r1MLKEM1024 "

	docFour   = `ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384`
	docTwelve = `
		ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256
		ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384
		AES128-GCM-SHA256 AES128-SHA256 AES256-GCM-SHA384 AES256-SHA256`
	docEdgeTen = `
		ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-ECDSA-AES256-SHA384
		ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 ECDHE-RSA-AES256-SHA384`
)

func TestRowsEqualTheGuide(t *testing.T) {
	if got := len(All()); got != len(documented) {
		t.Fatalf("%d rows, the guide has %d", got, len(documented))
	}
	for _, d := range documented {
		p, ok := Lookup(d.name, d.edge)
		if !ok {
			t.Errorf("%s edge=%t is missing", d.name, d.edge)
			continue
		}
		equal := func(what string, got []string, want string) {
			t.Helper()
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%s: %s\n got %s\nwant %s", p, what, got, strings.Fields(want))
			}
		}
		var versions []string
		for _, v := range p.Versions() {
			versions = append(versions, strings.TrimPrefix(VersionName(v), "TLSv"))
		}
		equal("versions", versions, d.versions)
		equal("TLS 1.3", openSSLNames(p.Suites13), d.suites13)
		equal("TLS 1.2", openSSLNames(p.Suites12), d.suites12)
		var groups []string
		for _, g := range p.Groups {
			groups = append(groups, GroupName(g))
		}
		equal("groups", groups, d.groups)
		var flags []string
		for _, f := range []struct {
			name string
			set  bool
		}{{"fips", p.FIPS}, {"pq", p.PostQuantum}, {"pfs", p.ForwardSecrecyOnly}, {"legacy", p.Legacy}} {
			if f.set {
				flags = append(flags, f.name)
			}
		}
		equal("flags", flags, d.flags)

		// Offered follows from the list: no missing suite, and below TLS 1.2
		// only what ends in -SHA.
		var at12, below []string
		for _, name := range strings.Fields(d.suites12) {
			if name == "ECDHE-ECDSA-AES256-SHA384" || name == "ECDHE-RSA-AES256-SHA384" || name == "AES256-SHA256" {
				continue
			}
			at12 = append(at12, name)
			if strings.HasSuffix(name, "-SHA") {
				below = append(below, name)
			}
		}
		if !strings.Contains(d.versions, "1.0") {
			below = nil
		}
		equal("offered 1.3", openSSLNames(p.Offered(tls.VersionTLS13)), d.suites13)
		equal("offered 1.2", openSSLNames(p.Offered(tls.VersionTLS12)), strings.Join(at12, " "))
		equal("offered 1.1", openSSLNames(p.Offered(tls.VersionTLS11)), strings.Join(below, " "))
		equal("offered 1.0", openSSLNames(p.Offered(tls.VersionTLS10)), strings.Join(below, " "))
		equal("offered SSLv3", openSSLNames(p.Offered(0x0300)), "")

		if p.Enhanced() != strings.HasPrefix(d.name, "SecurityPolicy_") || p.Enhanced() == p.Legacy {
			t.Errorf("%s: enhanced %t, legacy %t", p, p.Enhanced(), p.Legacy)
		}
		if p.Summary == "" {
			t.Errorf("%s: no summary", p)
		}
		if p.Inferred != (d.name == "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09") {
			t.Errorf("%s: inferred %t", p, p.Inferred)
		}
	}
}

func openSSLNames(ids []uint16) []string {
	var list []string
	for _, id := range ids {
		list = append(list, OpenSSLName(id))
	}
	return list
}

func TestNames(t *testing.T) {
	want := strings.Fields(`TLS_1_0 TLS_1_2
		SecurityPolicy_TLS13_1_3_2025_09 SecurityPolicy_TLS13_1_3_FIPS_2025_09
		SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09 SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09
		SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09 SecurityPolicy_TLS13_1_2_PQ_2025_09
		SecurityPolicy_TLS13_1_2_2021_06
		SecurityPolicy_TLS13_2025_EDGE SecurityPolicy_TLS12_PFS_2025_EDGE SecurityPolicy_TLS12_2018_EDGE`)
	if got := Names(); !slices.Equal(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name string
		edge bool
		ok   bool
	}{
		{"TLS_1_0", false, true},
		{"TLS_1_0", true, true},
		{"SecurityPolicy_TLS13_2025_EDGE", true, true},
		{"SecurityPolicy_TLS13_2025_EDGE", false, false}, // not a regional policy
		{"SecurityPolicy_TLS13_1_3_2025_09", true, false},
		{"tls_1_2", false, false},
		{"TLS-1-2", false, false},
		{"", false, false},
	}
	for _, tt := range tests {
		if p, ok := Lookup(tt.name, tt.edge); ok != tt.ok || ok != (p != nil) {
			t.Errorf("Lookup(%q, %t) = %v, %t", tt.name, tt.edge, p, ok)
		}
	}
}

// TestMissing fails the day crypto/tls learns one of the three, or drops
// another that a policy lists.
func TestMissing(t *testing.T) {
	var lacking []uint16
	for _, s := range suiteTable {
		if !implemented[s.id] {
			lacking = append(lacking, s.id)
		}
	}
	want := Missing()
	slices.Sort(want)
	slices.Sort(lacking)
	if !slices.Equal(lacking, want) || !slices.Equal(want, []uint16{0x003D, 0xC024, 0xC028}) {
		t.Errorf("crypto/tls lacks %x, Missing says %x", lacking, want)
	}
}

// TestSuiteFacts compares the facts with crypto/tls's own, where it has them.
func TestSuiteFacts(t *testing.T) {
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			if SuiteName(s.ID) != s.Name {
				t.Errorf("%04X: %s, crypto/tls says %s", s.ID, SuiteName(s.ID), s.Name)
			}
			f := suites[s.ID]
			if f == nil {
				continue
			}
			if f.min != slices.Min(s.SupportedVersions) || f.max != slices.Max(s.SupportedVersions) {
				t.Errorf("%s: versions %x to %x, crypto/tls says %x", s.Name, f.min, f.max, s.SupportedVersions)
			}
		}
	}
	for _, s := range suiteTable {
		if s.rsaKex != strings.HasPrefix(s.iana, "TLS_RSA_") {
			t.Errorf("%s: rsaKex %t", s.iana, s.rsaKex)
		}
		if s.aead != (strings.Contains(s.iana, "_GCM_") || strings.Contains(s.iana, "_POLY1305_")) {
			t.Errorf("%s: aead %t", s.iana, s.aead)
		}
	}
}

func TestCheckAndTolerates(t *testing.T) {
	const (
		v13, v12, v11 = tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11
		aes, chacha   = tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256
		gcm           = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
		sha           = tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
		rsa           = tls.TLS_RSA_WITH_AES_128_GCM_SHA256
		rsaSHA        = tls.TLS_RSA_WITH_AES_128_CBC_SHA
		pq            = tls.X25519MLKEM768
	)
	tests := []struct {
		policy         string
		version, suite uint16
		group          tls.CurveID
		check          Part // "" for permitted
		tolerates      Part
	}{
		{"TLS_1_2", v13, aes, tls.X25519, "", ""},
		{"TLS_1_2", v13, aes, pq, Group, ""}, // hybrid is kept, never negotiated
		{"TLS_1_2", v13, aes, tls.SecP384r1MLKEM1024, Group, ""},
		{"TLS_1_2", v13, aes, tls.CurveP521, Group, Group},
		{"TLS_1_2", v13, aes, 0, Group, Group}, // TLS 1.3 has no RSA key exchange
		{"TLS_1_2", v12, gcm, tls.X25519, "", ""},
		{"TLS_1_2", v12, gcm, 0, Group, Group},  // an ECDHE suite has a group
		{"TLS_1_2", v12, gcm, pq, Group, Group}, // hybrid is for TLS 1.3 only
		{"TLS_1_2", v12, rsa, 0, "", ""},        // RSA key exchange has none
		{"TLS_1_2", v12, rsa, tls.X25519, Group, Group},
		{"TLS_1_2", v12, sha, tls.X25519, Suite, Suite},
		{"TLS_1_2", v12, aes, tls.X25519, Suite, Suite}, // a TLS 1.3 suite at 1.2
		{"TLS_1_2", v13, gcm, tls.X25519, Suite, Suite},
		{"TLS_1_2", v11, sha, tls.X25519, Version, Version},
		{"TLS_1_2", v12, 0xC028, tls.X25519, Suite, Suite}, // listed, never offered
		{"TLS_1_0", v11, sha, tls.X25519, "", ""},
		{"TLS_1_0", v11, rsaSHA, 0, "", ""},
		{"TLS_1_0", v11, gcm, tls.X25519, Suite, Suite},
		{"TLS_1_0", 0x0300, sha, tls.X25519, Version, Version},
		{"TLS_1_0", 0x0305, aes, tls.X25519, Version, Version},
		{"TLS_1_0", 0, 0, 0, Version, Version}, // no handshake yet
		{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", v13, aes, tls.CurveP256, "", ""},
		{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", v13, aes, tls.X25519, Group, Group},
		{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", v13, chacha, tls.CurveP256, Suite, Suite},
		{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", v13, chacha, pq, Suite, Suite},
		{"SecurityPolicy_TLS13_1_3_2025_09", v12, gcm, tls.X25519, Version, Version},
		{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", v13, aes, pq, "", ""},
		{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", v12, rsa, 0, Suite, Suite},
	}
	part := func(err error) Part {
		var v *Violation
		if errors.As(err, &v) {
			if v.Error() == "" {
				t.Error("no text")
			}
			return v.Part
		}
		return ""
	}
	for _, tt := range tests {
		p, _ := Lookup(tt.policy, false)
		if got := part(p.Check(tls.ConnectionState{Version: tt.version, CipherSuite: tt.suite, CurveID: tt.group})); got != tt.check {
			t.Errorf("%s %04x %04x %s: check says %q, want %q", tt.policy, tt.version, tt.suite, GroupName(tt.group), got, tt.check)
		}
		if got := part(p.Tolerates(tt.version, tt.suite, tt.group)); got != tt.tolerates {
			t.Errorf("%s %04x %04x %s: tolerates says %q, want %q", tt.policy, tt.version, tt.suite, GroupName(tt.group), got, tt.tolerates)
		}
	}
}

// closed are policies that permit nothing.
func closed() map[string]*Policy {
	return map[string]*Policy{
		"nil":           nil,
		"zero":          {},
		"no name":       {Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Groups: classical},
		"no minimum":    {Name: "x", Max: tls.VersionTLS13, Suites13: a3, Groups: classical},
		"no maximum":    {Name: "x", Min: tls.VersionTLS12, Suites13: a3, Groups: classical},
		"min above max": {Name: "x", Min: tls.VersionTLS13, Max: tls.VersionTLS12, Suites13: a3, Groups: classical},
		"TLS 1.4":       {Name: "x", Min: tls.VersionTLS13, Max: 0x0305, Suites13: a3, Groups: classical},
		"SSL 3.0":       {Name: "x", Min: 0x0300, Max: tls.VersionTLS13, Suites13: a3, Suites12: r18, Groups: classical},
		"no suites":     {Name: "x", Min: tls.VersionTLS10, Max: tls.VersionTLS13, Groups: classical},
		"no groups":     {Name: "x", Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: a3},
	}
}

func TestPoliciesThatPermitNothing(t *testing.T) {
	for name, p := range closed() {
		for _, v := range allVersions {
			for id := range suites {
				for _, g := range []tls.CurveID{0, tls.X25519, tls.CurveP256, tls.X25519MLKEM768} {
					if p.Check(tls.ConnectionState{Version: v, CipherSuite: id, CurveID: g}) == nil {
						t.Errorf("%s: Check permits %04x %04x %d", name, v, id, g)
					}
					// Only a policy without groups can be asked to keep a hybrid one.
					if name != "no groups" && p.Tolerates(v, id, g) == nil {
						t.Errorf("%s: Tolerates permits %04x %04x %d", name, v, id, g)
					}
				}
			}
		}
		if p.valid() {
			continue
		}
		if len(p.Versions()) != 0 || p.Offered(tls.VersionTLS13) != nil || p.Enhanced() || p.String() == "" {
			t.Errorf("%s: offers something", name)
		}
		if d := Diff(p, p); !d.Same() {
			t.Errorf("%s: differs from itself", name)
		}
	}
}

func TestDiff(t *testing.T) {
	get := func(name string, edge bool) *Policy {
		p, ok := Lookup(name, edge)
		if !ok {
			t.Fatal(name)
		}
		return p
	}
	for _, p := range All() {
		if d := Diff(p, p); !d.Same() || d.From != p.String() {
			t.Errorf("%s differs from itself: %+v", p, d)
		}
	}
	tests := []struct {
		from, to *Policy
		want     string
	}{
		// The reference calls these indistinguishable.
		{get("TLS_1_2", false), get("SecurityPolicy_TLS13_1_2_2021_06", false), ""},
		{get("TLS_1_2", false), get("SecurityPolicy_TLS13_1_2_PQ_2025_09", false),
			"+group X25519MLKEM768 +group SecP256r1MLKEM768 +group SecP384r1MLKEM1024"},
		{get("SecurityPolicy_TLS13_1_3_2025_09", false), get("SecurityPolicy_TLS13_1_3_FIPS_2025_09", false),
			"-suite TLS_CHACHA20_POLY1305_SHA256 -group X25519"},
		{get("SecurityPolicy_TLS12_PFS_2025_EDGE", true), get("SecurityPolicy_TLS12_2018_EDGE", true),
			"+suite TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 +suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
		{get("TLS_1_2", true), get("SecurityPolicy_TLS13_2025_EDGE", true),
			"-version TLSv1.2" +
				" -suite TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 -suite TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" +
				" -suite TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 -suite TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" +
				" -suite TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 -suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" +
				" -suite TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 -suite TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" +
				" -suite TLS_RSA_WITH_AES_128_GCM_SHA256 -suite TLS_RSA_WITH_AES_256_GCM_SHA384 -suite TLS_RSA_WITH_AES_128_CBC_SHA256"},
	}
	for _, tt := range tests {
		d := Diff(tt.from, tt.to)
		var got []string
		for _, c := range d.Changes {
			sign := "-"
			if c.Gained {
				sign = "+"
			}
			got = append(got, sign+string(c.Part)+" "+c.Name())
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s to %s:\n got %s\nwant %s", tt.from, tt.to, s, tt.want)
		}
		if d.Same() != (tt.want == "") {
			t.Errorf("%s to %s: same %t", tt.from, tt.to, d.Same())
		}
	}
	if d := Diff(&Policy{Name: "a", Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: []uint16{0x1301, 0x1302}, Groups: classical},
		&Policy{Name: "b", Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: []uint16{0x1302, 0x1301}, Groups: classical}); !d.Reordered || d.Same() {
		t.Errorf("another order goes unnoticed: %+v", d)
	}
}

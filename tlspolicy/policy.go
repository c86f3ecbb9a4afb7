package tlspolicy

import (
	"crypto/tls"
	"slices"
	"strings"
)

// A Policy is one named security policy: what a client may negotiate, and
// nothing besides. The fields are facts, not switches: the rows returned by
// [All] and [Lookup] are shared and must not be changed.
//
// The zero Policy, a nil one, and one whose versions are out of range permit
// nothing.
type Policy struct {
	// Name is the policy's name on the wire, TLS_1_2 for example. Two names,
	// TLS_1_0 and TLS_1_2, have two rows that differ in Edge.
	Name string

	// Edge tells the row for edge-optimized endpoints from the one for
	// regional and private endpoints.
	Edge bool

	// Min and Max are the lowest and highest protocol version, both included:
	// tls.VersionTLS10 to tls.VersionTLS13.
	Min, Max uint16

	// Suites13 lists the TLS 1.3 suites in order of preference.
	Suites13 []uint16

	// Suites12 lists the suites for TLS 1.2 and below in the documented
	// order, which is also the order of preference. It includes the three
	// that crypto/tls lacks, see [Missing]; [Policy.Offered] leaves them out.
	Suites12 []uint16

	// Groups lists the key-exchange groups in order of preference. Hybrid
	// groups are used with TLS 1.3 only. The guide does not document groups:
	// the lists are this package's reading of the policy's name.
	Groups []tls.CurveID

	FIPS               bool // only algorithms that FIPS 140-3 approves in TLS 1.3, no bare X25519
	PostQuantum        bool // hybrid ML-KEM groups before the classical ones
	ForwardSecrecyOnly bool // no RSA key exchange
	Legacy             bool // TLS_1_0 and TLS_1_2: no endpoint access mode

	// Inferred is true where the guide has no row for the name and the
	// suites are read off it by analogy; Notes says from which row.
	Inferred bool

	// CloudFront names the CloudFront policy with the same suites; "" when
	// there is none, and for all rows that are not Edge.
	CloudFront string

	Summary string   // one sentence for people
	Notes   []string // oddities of the row, for people
}

// Source names the page on which the versions and suites of every row are
// documented.
const Source = "Amazon API Gateway Developer Guide, Supported security policies"

// Suite lists of the guide. The letters and numbers only serve this file:
// a for all, f for FIPS, r for regional and private, e for edge, with the
// number of suites.
var (
	a3 = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}
	f2 = a3[:2:2]

	r4 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
	r12 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		ecdheECDSAWithAES256CBCSHA384,
		ecdheRSAWithAES256CBCSHA384,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		rsaWithAES256CBCSHA256,
	}
	r18 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		ecdheECDSAWithAES256CBCSHA384,
		ecdheRSAWithAES256CBCSHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		rsaWithAES256CBCSHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}

	e6 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	e10 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		ecdheECDSAWithAES256CBCSHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		ecdheRSAWithAES256CBCSHA384,
	}
	e13 = slices.Concat(e10, []uint16{
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	})
	e14 = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		ecdheECDSAWithAES256CBCSHA384,
		ecdheRSAWithAES256CBCSHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		rsaWithAES256CBCSHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
)

// Group lists. The order is also crypto/tls's own, which cannot be changed:
// hybrid before classical, then what the client sent a key share for.
var (
	classical     = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	classicalFIPS = []tls.CurveID{tls.CurveP256, tls.CurveP384}
	hybrid        = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
	hybridAny     = slices.Concat(hybrid, classical)
	hybridFIPS    = slices.Concat(hybrid, classicalFIPS)
)

// policies holds every row, regional before edge, in the order of the
// service model's enumeration.
var policies = []*Policy{
	{Name: "TLS_1_0", Legacy: true,
		Min: tls.VersionTLS10, Max: tls.VersionTLS13, Suites13: a3, Suites12: r18, Groups: classical,
		Summary: "TLS 1.0 to 1.3 with every suite the service has, for clients that cannot be changed.",
		Notes:   []string{"Only the SHA-1 CBC suites are legal below TLS 1.2."}},
	{Name: "TLS_1_0", Edge: true, Legacy: true,
		Min: tls.VersionTLS10, Max: tls.VersionTLS13, Suites13: a3, Suites12: e14, Groups: classical,
		Summary: "TLS 1.0 to 1.3 on edge-optimized endpoints, for clients that cannot be changed.",
		Notes: []string{
			"Only the SHA-1 CBC suites are legal below TLS 1.2.",
			"The documented row looks damaged: it lacks AES128-GCM-SHA256, AES256-GCM-SHA384, AES128-SHA256 and AES128-SHA, of which the stricter TLS_1_2 has three. It is reproduced as printed.",
		}},
	{Name: "TLS_1_2", Legacy: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: r12, Groups: classical,
		Summary: "TLS 1.2 and 1.3, with CBC suites and RSA key exchange in TLS 1.2."},
	{Name: "TLS_1_2", Edge: true, Legacy: true, CloudFront: "TLSv1.2_2018",
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: e13, Groups: classical,
		Summary: "TLS 1.2 and 1.3 on edge-optimized custom domain names, with CBC suites and RSA key exchange in TLS 1.2.",
		Notes:   []string{"For custom domain names only: an edge-optimized API cannot use it."}},
	{Name: "SecurityPolicy_TLS13_1_3_2025_09", ForwardSecrecyOnly: true,
		Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: a3, Groups: classical,
		Summary: "TLS 1.3 only."},
	{Name: "SecurityPolicy_TLS13_1_3_FIPS_2025_09", FIPS: true, ForwardSecrecyOnly: true,
		Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: f2, Groups: classicalFIPS,
		Summary: "TLS 1.3 only, with FIPS-approved suites and groups."},
	{Name: "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", PostQuantum: true, ForwardSecrecyOnly: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: r4, Groups: hybridAny,
		Summary: "TLS 1.2 and 1.3 with forward secrecy only, and post-quantum key exchange in TLS 1.3."},
	{Name: "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09", FIPS: true, PostQuantum: true, Inferred: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: f2, Suites12: r12, Groups: hybridFIPS,
		Summary: "TLS 1.2 and 1.3 with FIPS-approved TLS 1.3 suites and post-quantum key exchange in TLS 1.3.",
		Notes: []string{
			"The guide has no row for this name. Its TLS 1.3 suites are those of the other FIPS policies, its TLS 1.2 suites those of SecurityPolicy_TLS13_1_2_PQ_2025_09.",
		}},
	{Name: "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", FIPS: true, PostQuantum: true, ForwardSecrecyOnly: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: f2, Suites12: r4, Groups: hybridFIPS,
		Summary: "TLS 1.2 and 1.3 with FIPS-approved suites, forward secrecy only, and post-quantum key exchange in TLS 1.3."},
	{Name: "SecurityPolicy_TLS13_1_2_PQ_2025_09", PostQuantum: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: r12, Groups: hybridAny,
		Summary: "TLS 1.2 and 1.3 with the suites of TLS_1_2, and post-quantum key exchange in TLS 1.3."},
	{Name: "SecurityPolicy_TLS13_1_2_2021_06",
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: r12, Groups: classical,
		Summary: "TLS 1.2 and 1.3 with the suites of TLS_1_2, as an enhanced policy with an endpoint access mode."},
	{Name: "SecurityPolicy_TLS13_2025_EDGE", Edge: true, ForwardSecrecyOnly: true, CloudFront: "TLSv1.3_2025",
		Min: tls.VersionTLS13, Max: tls.VersionTLS13, Suites13: a3, Groups: classical,
		Summary: "TLS 1.3 only, on edge-optimized endpoints."},
	{Name: "SecurityPolicy_TLS12_PFS_2025_EDGE", Edge: true, ForwardSecrecyOnly: true, CloudFront: "TLSv1.2_2021",
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: e6, Groups: classical,
		Summary: "TLS 1.2 and 1.3 with authenticated encryption and forward secrecy only, on edge-optimized endpoints."},
	{Name: "SecurityPolicy_TLS12_2018_EDGE", Edge: true, ForwardSecrecyOnly: true, CloudFront: "TLSv1.2_2019",
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: e10, Groups: classical,
		Summary: "TLS 1.2 and 1.3 with forward secrecy only, CBC suites included, on edge-optimized endpoints."},
}

// All returns every row: twelve names, two of which have a regional and an
// edge row. The slice is the caller's, the rows are shared.
func All() []*Policy { return slices.Clone(policies) }

// Lookup returns the row for a name as it applies to edge-optimized endpoints
// (edge) or to regional and private ones. It reports false for a name that
// does not exist or that does not exist for that kind of endpoint. Names are
// case-sensitive.
func Lookup(name string, edge bool) (*Policy, bool) {
	for _, p := range policies {
		if p.Name == name && p.Edge == edge {
			return p, true
		}
	}
	return nil, false
}

// Names returns the twelve names in the order of the service model.
func Names() []string {
	var names []string
	for _, p := range policies {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// Enhanced reports whether the policy is one of those that need an endpoint
// access mode: all whose name begins with SecurityPolicy_.
func (p *Policy) Enhanced() bool {
	return p != nil && strings.HasPrefix(p.Name, "SecurityPolicy_")
}

// String returns the name, with " (edge)" where the name alone is ambiguous.
func (p *Policy) String() string {
	switch {
	case p == nil || p.Name == "":
		return "no policy"
	case p.Edge && p.Legacy:
		return p.Name + " (edge)"
	}
	return p.Name
}

// Versions returns the protocol versions, highest first. It is empty for a
// policy that permits nothing.
func (p *Policy) Versions() []uint16 {
	var versions []uint16
	for _, v := range allVersions {
		if p.permitsVersion(v) {
			versions = append(versions, v)
		}
	}
	return versions
}

// Offered returns the suites that a server under p accepts at a protocol
// version, in order of preference: those listed that are defined for the
// version and that crypto/tls implements. Below TLS 1.2 only the SHA-1 CBC
// suites are.
func (p *Policy) Offered(version uint16) []uint16 {
	var ids []uint16
	for _, id := range p.listed(version) {
		if p.permits(version, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Missing returns the listed suites that crypto/tls does not implement, the
// only ones in which a server differs from the documented lists:
// ECDHE-ECDSA-AES256-SHA384, ECDHE-RSA-AES256-SHA384 and AES256-SHA256.
func Missing() []uint16 {
	return []uint16{ecdheECDSAWithAES256CBCSHA384, ecdheRSAWithAES256CBCSHA384, rsaWithAES256CBCSHA256}
}

// valid reports whether p can permit anything at all.
func (p *Policy) valid() bool {
	return p != nil && p.Name != "" && p.Min >= tls.VersionTLS10 && p.Max >= p.Min && p.Max <= tls.VersionTLS13
}

func (p *Policy) permitsVersion(version uint16) bool {
	return p.valid() && version >= p.Min && version <= p.Max
}

func (p *Policy) listed(version uint16) []uint16 {
	switch {
	case p == nil:
		return nil
	case version == tls.VersionTLS13:
		return p.Suites13
	}
	return p.Suites12
}

func (p *Policy) permits(version, suite uint16) bool {
	if !p.permitsVersion(version) || !slices.Contains(p.listed(version), suite) {
		return false
	}
	s := suites[suite]
	return s != nil && version >= s.min && version <= s.max && implemented[suite]
}

// permitsGroup takes 0 for RSA key exchange, which only suites without
// forward secrecy use.
func (p *Policy) permitsGroup(version, suite uint16, group tls.CurveID) bool {
	if s := suites[suite]; s == nil || s.rsaKex != (group == 0) {
		return false
	}
	if group == 0 {
		return true
	}
	return slices.Contains(p.Groups, group) && (version == tls.VersionTLS13 || !isHybrid(group))
}

// isHybrid reports whether the group combines a classical exchange with
// ML-KEM, which is defined for TLS 1.3 only.
func isHybrid(group tls.CurveID) bool { return slices.Contains(hybrid, group) }

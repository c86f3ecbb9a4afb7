package tlspolicy

import (
	"crypto/tls"
	"slices"
)

// searchPolicies hold the policies of search domains (Amazon OpenSearch
// Service). Their versions are documented, with one doubt; suites and groups
// are not: AWS publishes no list of them, so all of these rows are inferred,
// from the name and from the API Gateway policies of the same versions.
// Source: OpenSearch Service API reference, DomainEndpointOptions; RFC 9151.
var searchPolicies = []*Policy{
	{Name: "Policy-Min-TLS-1-0-2019-07", Legacy: true, Inferred: true,
		Min: tls.VersionTLS10, Max: tls.VersionTLS12, Suites12: r18, Groups: classical,
		Summary: "TLS 1.0 to 1.2 with the suites of TLS_1_0."},
	{Name: "Policy-Min-TLS-1-2-2019-07", Legacy: true, Inferred: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS12, Suites12: r12, Groups: classical,
		Summary: "TLS 1.2 with the suites of TLS_1_2."},
	{Name: "Policy-Min-TLS-1-2-PFS-2023-10", Legacy: true, Inferred: true, ForwardSecrecyOnly: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13, Suites13: a3, Suites12: r4, Groups: classical,
		Summary: "TLS 1.2 and 1.3 with authenticated encryption and forward secrecy only."},
	{Name: "Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08", Legacy: true, Inferred: true, FIPS: true,
		Min: tls.VersionTLS12, Max: tls.VersionTLS13,
		Suites13: []uint16{tls.TLS_AES_256_GCM_SHA384},
		Suites12: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
		Groups:   []tls.CurveID{tls.CurveP384},
		Summary:  "TLS 1.2 and 1.3 by the CNSA profile: AES-256-GCM with SHA-384, and P-384.",
		Notes: []string{
			"The service model says TLS 1.3 where the name says 1.2 at least; the name is followed.",
			"RFC 9151 allows DHE suites too, which crypto/tls does not have. Its rules for certificates' keys are not enforced here.",
		}},
}

// Search returns the policies that search domains may have, weakest first. The
// slice is the caller's, the rows are shared.
func Search() []*Policy { return slices.Clone(searchPolicies) }

// LookupSearch returns the row of a search domain's policy. Names are
// case-sensitive.
func LookupSearch(name string) (*Policy, bool) {
	for _, p := range searchPolicies {
		if p.Name == name {
			return p, true
		}
	}
	return nil, false
}

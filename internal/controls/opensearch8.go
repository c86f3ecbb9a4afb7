package controls

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Opensearch.8: a search domain demands HTTPS, under the latest TLS policy.
var opensearch8 = posture.Control{
	ID:    "Opensearch.8",
	Title: "Connections to OpenSearch domains should be encrypted using the latest TLS security policy",
	Description: "A search domain passes when it demands HTTPS (`EnforceHTTPS`) and its TLS policy is the one on AWS's list. " +
		"Every other policy fails, Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08 too.",
	Why: "Without EnforceHTTPS the domain answers on port 80 as well, and one client that is configured badly sends documents and credentials in clear. " +
		"The older policies permit TLS versions and key exchanges that can be broken later.",
	Fix: "`aws opensearch update-domain-config` with `EnforceHTTPS` true and `TLSSecurityPolicy` Policy-Min-TLS-1-2-PFS-2023-10. " +
		"Clients that speak plain HTTP, or only TLS 1.2 without forward secrecy, stop working.",
	FalsePositive: "Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08, which holds to FIPS algorithms, fails for not being on the list.",
	Severity:      posture.Medium,
	Category:      inTransit,
	Related:       protectedTransit,
	Standards:     []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule:    posture.ConfigRule{Name: "opensearch-https-required", Identifier: "OPENSEARCH_HTTPS_REQUIRED"},
	Schedule:      posture.ChangeTriggered,
	Resources:     []string{posture.TypeSearchDomain},
	Parameters: []posture.Parameter{{
		Name: tlsPolicies, Kind: posture.StringList, RuleDefault: []string{},
		Description: "The policies that are accepted. Security Hub fixes it.",
	}},
	AllowLists: []posture.AllowList{
		{Parameter: tlsPolicies, AsOf: "2026-08", Values: []string{"Policy-Min-TLS-1-2-PFS-2023-10"}, Note: "Security Hub user guide, Opensearch.8"},
		{Parameter: tlsPolicies, AsOf: "2023-12", Values: []string{"Policy-Min-TLS-1-2-2019-07"}, Note: "Security Hub user guide, text of 2023; AWS moved the list later, under the same id"},
	},
	Sources: []string{sourceReference, "OpenSearch Service API reference, DomainEndpointOptions"},

	Check: posture.On(func(r *posture.Resource, d *opensearch.DomainStatus, p *posture.Params) posture.Verdict {
		var o opensearch.DomainEndpointOptions
		if d.DomainEndpointOptions != nil {
			o = *d.DomainEndpointOptions
		}
		https := posture.Member{Path: "DomainEndpointOptions.EnforceHTTPS"}
		if o.EnforceHTTPS != nil {
			https = posture.Seen(https.Path, *o.EnforceHTTPS)
		}
		policy := posture.Seen("DomainEndpointOptions.TLSSecurityPolicy", o.TLSSecurityPolicy)
		name, unset := policy.Value, ""
		if name == "" {
			// The default of a new domain, as seen in September 2025.
			name, unset = "Policy-Min-TLS-1-2-2019-07", " (by default)"
		}
		wire := &posture.Wire{Host: searchHost(d), Plaintext: !aws.ToBool(o.EnforceHTTPS)}
		f, known := tlspolicy.LookupSearch(name)
		if known {
			wire.Min, wire.Max = f.Min, f.Max
			if r.Source == posture.Self {
				wire.Policy = name // suites are this gateway's reading: AWS publishes none to hold its own domains to
			}
		}
		// A domain fails by either member, whatever the other is.
		_, anyHTTPS := r.Unresolved(https.Path)
		_, anyPolicy := r.Unresolved(policy.Path)
		listed := p.List.Has(name)
		var v posture.Verdict
		switch {
		case !anyHTTPS && wire.Plaintext && !anyPolicy && !listed:
			v = r.Fail(fmt.Sprintf("HTTPS is not enforced, and the TLS policy is %s%s", name, unset), https, policy)
		case !anyHTTPS && wire.Plaintext:
			v = r.Fail("HTTPS is not enforced: the domain answers on port 80 as well", https)
		case !anyPolicy && !listed:
			v = r.Fail(fmt.Sprintf("the TLS policy %s%s is not on AWS's list of %s", name, unset, p.List.AsOf), policy)
		default:
			v = r.Pass("HTTPS is enforced, under "+name, https, policy)
		}
		if v.Status == posture.Unknown {
			return v
		}
		switch {
		case !known:
			v = v.Note("What %s permits is not known.", name)
		case v.Status == posture.Failed && f.FIPS:
			v = v.Note("AWS's list and the policy's name disagree: %s holds to FIPS algorithms and to stronger suites than the policy on the list, and fails for not being on it. AWS publishes no list of its suites.", name)
		case v.Status == posture.Passed && !f.ForwardSecrecyOnly:
			v = v.Note("AWS's list of %s accepts this policy, which is not known to keep forward secrecy; the newest list does not.", p.List.AsOf)
		}
		return v.Expect(wire)
	}),
}

const tlsPolicies = "tlsPolicies"

// searchHost is the name that clients of a domain ask for; "" while it has none.
func searchHost(d *opensearch.DomainStatus) string {
	if o := d.DomainEndpointOptions; o != nil && aws.ToBool(o.CustomEndpointEnabled) && aws.ToString(o.CustomEndpoint) != "" {
		return *o.CustomEndpoint
	}
	if d.Endpoint != nil {
		return *d.Endpoint
	}
	return d.Endpoints["vpc"]
}

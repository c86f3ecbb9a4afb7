package controls

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// APIGateway.11: custom domain names have a recommended security policy.
var apiGateway11 = posture.Control{
	ID:    "APIGateway.11",
	Title: "API Gateway domain names should use recommended security policies",
	Description: "A custom domain name passes when its security policy is on AWS's list. Every other policy fails, TLS_1_2 with them, which is the default of " +
		"every new domain name, and five enhanced policies whose names promise more. The default endpoint of an API has a policy of its own, which no control looks at.",
	Why: "The policy decides which versions and suites a client may negotiate. What it permits, someone between the client and the gateway can try to make them use, " +
		"and what was exchanged without forward secrecy can be read later by whoever comes by the key.",
	Fix: "Replace `/securityPolicy` and `/endpointAccessMode` in one request, with a policy of the list for the domain name's endpoint type and the mode BASIC; " +
		"go on to STRICT when the logs show that every client's SNI and Host agree. The change takes up to 15 minutes on AWS. " +
		"Setting TLS_1_2, which copied advice does, does not close the finding.",
	FalsePositive: "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09 permits nothing that an accepted policy does not, and fails for not being on the list. " +
		"A domain name with mutual TLS, or mapped to an HTTP or WebSocket API, can only have a policy that fails. The bare Config rule, without the control's parameter, fails TLS_1_0 alone.",
	Severity:    posture.Medium,
	Category:    "Protect > Encryption of data-in-transit",
	RuleRelated: transitOfRule,
	Standards:   []string{posture.FSBP},
	ConfigRule:  posture.ConfigRule{Name: "apigateway-domain-name-tls-check", Identifier: "APIGATEWAY_DOMAIN_NAME_TLS_CHECK"},
	Schedule:    posture.ChangeTriggered,
	Resources:   []string{posture.TypeDomainName, posture.TypeDomainNameV2},
	Parameters: []posture.Parameter{{
		Name: allowedPolicies, Kind: posture.StringList, RuleDefault: []string{},
		Description: "The policies that are accepted. Security Hub fixes it.",
	}},
	AllowLists: []posture.AllowList{{
		Parameter: allowedPolicies, AsOf: "2026-08", Note: "Security Hub user guide, APIGateway.11",
		Values: []string{
			"SecurityPolicy_TLS13_1_3_2025_09",
			"SecurityPolicy_TLS13_1_3_FIPS_2025_09",
			"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09",
			"SecurityPolicy_TLS13_2025_EDGE",
			"SecurityPolicy_TLS12_PFS_2025_EDGE",
		},
	}},
	Sources: []string{sourceReference, tlspolicy.Source},

	Check: func(r *posture.Resource, p *posture.Params) posture.Verdict {
		var d domainName
		switch doc := r.Doc.(type) {
		case *apigateway.DomainName:
			if doc == nil {
				return posture.Misread(r)
			}
			d = domainNameOf(doc)
		case *apigatewayv2.DomainName:
			if doc == nil {
				return posture.Misread(r)
			}
			return judgeV2(r, doc, p)
		default:
			return posture.Misread(r)
		}
		return d.judge(r, p)
	},
}

const allowedPolicies = "allowedSecurityPolicies"

// domainName is what decides about a domain name at one of its endpoint types,
// read from either API's document.
type domainName struct {
	name     string
	policy   posture.Member
	endpoint posture.Member // types
	types    []string
	mutual   string // trust store; "" without mutual TLS
	mode     string // endpoint access mode
	updating bool
}

func domainNameOf(doc *apigateway.DomainName) domainName {
	d := domainName{
		name:     aws.ToString(doc.DomainName),
		policy:   posture.Seen("securityPolicy", doc.SecurityPolicy),
		mode:     string(doc.EndpointAccessMode),
		updating: doc.DomainNameStatus == apigateway.DomainNameStatusUpdating,
	}
	if doc.EndpointConfiguration != nil {
		for _, t := range doc.EndpointConfiguration.Types {
			d.types = append(d.types, string(t))
		}
	}
	if doc.MutualTlsAuthentication != nil {
		d.mutual = aws.ToString(doc.MutualTlsAuthentication.TruststoreUri)
	}
	d.endpoint = posture.Member{Path: "endpointConfiguration.types", Value: strings.Join(d.types, ", ")}
	return d
}

// judgeV2 judges a domain name as a template of the V2 API writes it. That
// API knows the two legacy policies only, so none passes.
func judgeV2(r *posture.Resource, doc *apigatewayv2.DomainName, p *posture.Params) posture.Verdict {
	configurations := doc.DomainNameConfigurations
	if len(configurations) == 0 {
		configurations = []apigatewayv2.DomainNameConfiguration{{}} // of nothing but defaults
	}
	var v posture.Verdict
	for i, c := range configurations {
		at := strconv.Itoa(i)
		d := domainName{
			name:     aws.ToString(doc.DomainName),
			policy:   posture.Seen(posture.Entry("domainNameConfigurations", at, "securityPolicy"), c.SecurityPolicy),
			endpoint: posture.Seen(posture.Entry("domainNameConfigurations", at, "endpointType"), c.EndpointType),
			types:    []string{"REGIONAL"},
		}
		if c.EndpointType != "" {
			d.types[0] = string(c.EndpointType)
		}
		if doc.MutualTlsAuthentication != nil {
			d.mutual = aws.ToString(doc.MutualTlsAuthentication.TruststoreUri)
		}
		v = d.judge(r, p)
		switch v.Status {
		case posture.Passed:
			return posture.Unsure("the V2 API has no policy "+d.policy.Value+": the service refuses it", d.policy)
		case posture.Failed:
			return v.Note("The V2 API, and AWS::ApiGatewayV2::DomainName, have only TLS_1_0 and TLS_1_2: change the domain name through the V1 API, or declare it as AWS::ApiGateway::DomainName.")
		case posture.Unfixable:
			return v
		}
	}
	return v
}

func (d *domainName) judge(r *posture.Resource, p *posture.Params) posture.Verdict {
	name, unset := d.policy.Value, ""
	if name == "" {
		// Source: API reference, CreateDomainName.
		name, unset = "TLS_1_2", "securityPolicy is not set, which means "
	}
	types := d.types
	if len(types) == 0 {
		types = []string{"EDGE"} // of a create call that says nothing
	}
	edge := slices.Contains(types, "EDGE")
	policy, exists := tlspolicy.Lookup(name, edge)
	if _, unresolved := r.Unresolved(d.policy.Path); unresolved {
		return r.Fail("", d.policy) // unknown
	}
	wire := d.wire(name, edge, policy)
	if p.List.Has(name) {
		v := r.Pass("securityPolicy is "+name, d.policy, d.endpoint).Expect(wire)
		switch {
		case v.Status != posture.Passed:
		case !exists || edge && len(types) > 1:
			return posture.Unsure(fmt.Sprintf("%s does not go with endpoint type %s: the service refuses the two together", name, strings.Join(types, ", ")), d.policy, d.endpoint)
		default:
			if weak := faults(policy); len(weak) > 0 {
				v = v.Note("AWS's list of %s accepts this policy although it permits %s.", p.List.AsOf, strings.Join(weak, ", "))
			}
			if d.mode == "" {
				if _, unresolved := r.Unresolved("endpointAccessMode"); !unresolved && r.Source == posture.File {
					v = v.Note("endpointAccessMode is not set: the service refuses an enhanced policy without it.")
				}
			}
		}
		return d.pending(v)
	}

	reason := fmt.Sprintf("%s%s is not on AWS's list of %s", unset, name, p.List.AsOf)
	if unset == "" {
		reason = "securityPolicy " + reason
	}
	var notes []string
	if exists {
		if weak := faults(policy); len(weak) > 0 {
			reason += "; it permits " + strings.Join(weak, ", ")
		}
		if as := asStrictAs(policy, p.List.Values); as != "" {
			notes = append(notes, fmt.Sprintf("AWS's list and the policy's contents disagree: %s permits nothing that the accepted %s does not, and fails for not being on the list.", name, as))
		}
		if name != "TLS_1_0" {
			notes = append(notes, "The bare Config rule, run without the control's parameter, calls this COMPLIANT: it fails TLS_1_0 alone.")
		}
	} else {
		notes = append(notes, fmt.Sprintf("No policy %s is known for endpoint type %s: what it permits cannot be told.", name, strings.Join(types, ", ")))
	}
	v := d.fail(r, reason, types)
	if v.Status == posture.Unknown {
		return v
	}
	if r.Inert(d.policy.Path) {
		v = v.Note("It is stored, not in effect yet: until it is, another policy binds.")
	} else {
		v = v.Expect(wire)
	}
	for _, n := range notes {
		v = v.Note("%s", n)
	}
	return d.pending(v)
}

// fail answers failed, or unfixable where no policy that would pass is legal.
//
// Source: developer guide, Choose a security policy for your custom domain;
// Custom domain names for private APIs.
func (d *domainName) fail(r *posture.Resource, reason string, types []string) posture.Verdict {
	if d.mutual != "" {
		return r.Stuck(reason+"; no policy on the list goes with mutual TLS", d.policy,
			posture.Member{Path: "mutualTlsAuthentication.truststoreUri", Value: d.mutual}).
			Note("Giving up mutual TLS would close the finding and lower security.")
	}
	for _, doc := range r.Related {
		api, ok := doc.(*apigatewayv2.Api)
		if !ok || api == nil {
			continue
		}
		m := posture.Member{Path: "mappings", Value: string(api.ProtocolType) + " API " + aws.ToString(api.ApiId)}
		switch api.ProtocolType {
		case apigatewayv2.ProtocolTypeHttp:
			return r.Stuck(reason+"; no policy on the list goes with a mapping to an HTTP API", d.policy, m).
				Note("Give the HTTP API a domain name of its own; this one can then be changed.")
		case apigatewayv2.ProtocolTypeWebsocket:
			return r.Stuck(reason+"; WebSocket APIs are documented with TLS_1_2 alone", d.policy, m).As(posture.Inferred).
				Note("Give the WebSocket API a domain name of its own; this one can then be changed.")
		}
	}
	if slices.Contains(types, "PRIVATE") {
		return r.Stuck(reason+"; a private custom domain name has TLS_1_2 and no other", d.policy, d.endpoint).As(posture.Inferred).
			Note("AWS's pages disagree about private custom domain names; the one about them says that their policy is fixed.")
	}
	v := r.Fail(reason, d.policy)
	if len(types) > 1 {
		v = v.Note("The domain name has more than one endpoint type, %s: its policy cannot be changed until one of them goes.", strings.Join(types, ", "))
	}
	for _, m := range []struct{ path, what string }{{"mappings", "an HTTP or WebSocket API is mapped to it"}, {"mutualTlsAuthentication", "it has mutual TLS"}} {
		if why, unresolved := r.Unresolved(m.path); unresolved {
			v = v.Note("Not known: %s (%s). If %s, no change closes this finding.", m.path, why, m.what)
		}
	}
	return v
}

func (d *domainName) pending(v posture.Verdict) posture.Verdict {
	if d.updating {
		v = v.Note("The domain name's status is UPDATING: on AWS a new policy takes up to 15 minutes to bind.")
	}
	return v
}

func (d *domainName) wire(policy string, edge bool, p *tlspolicy.Policy) *posture.Wire {
	w := &posture.Wire{Host: d.name, Policy: policy, Edge: edge}
	if strings.HasPrefix(d.name, "*.") {
		w.Host = "" // no one host stands for them all
	}
	if p != nil {
		w.Min, w.Max = p.Min, p.Max
	}
	return w
}

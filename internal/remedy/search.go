package remedy

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/posture"
)

const typeSearchTemplate = "AWS::OpenSearchService::Domain"

// fixNodes closes Opensearch.3.
func fixNodes(p *patient, f *fix) {
	d, _ := p.r.Doc.(*searchtypes.DomainStatus)
	f.do(call{input: &opensearch.UpdateDomainConfigInput{DomainName: d.DomainName, NodeToNodeEncryptionOptions: &searchtypes.NodeToNodeEncryptionOptions{Enabled: aws.Bool(true)}},
		why: "Nodes speak TLS with each other. The domain is deployed anew (blue/green).", lasting: "encryption between nodes cannot be turned off again",
		breaks: []string{"the domain is slower while it is deployed anew"}})
	f.config(tf("aws_opensearch_domain", p.label("this"), "node_to_node_encryption {\n  enabled = true\n}"))
	f.stack(cfn(cfnResource(p.logical("SearchDomain"), typeSearchTemplate, "NodeToNodeEncryptionOptions:\n  Enabled: true")))
}

// searchPolicies are the policies of search domains, weakest first.
// Source: OpenSearch Service API reference, DomainEndpointOptions; the place of
// the last is by its name, AWS publishes no suites.
var searchPolicies = []string{
	"Policy-Min-TLS-1-0-2019-07",
	"Policy-Min-TLS-1-2-2019-07",
	"Policy-Min-TLS-1-2-PFS-2023-10",
	"Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08",
}

// fixSearchEndpoint closes Opensearch.8.
func fixSearchEndpoint(p *patient, f *fix) {
	d, _ := p.r.Doc.(*searchtypes.DomainStatus)
	var o searchtypes.DomainEndpointOptions
	if d.DomainEndpointOptions != nil {
		o = *d.DomainEndpointOptions
	}
	present := cmp.Or(string(o.TLSSecurityPolicy), "Policy-Min-TLS-1-2-2019-07")
	strength := slices.Index(searchPolicies, present)
	to := ""
	for _, name := range p.f.Parameters["tlsPolicies"] {
		if at := slices.Index(searchPolicies, name); at >= strength && strength >= 0 {
			to = name
		}
	}
	if to == "" {
		f.hand("Accept the finding with this reason: the policy on AWS's list is weaker than "+present+", by their names.", "Closing the finding would lower security.")
		return
	}
	var breaks []string
	if !aws.ToBool(o.EnforceHTTPS) {
		breaks = append(breaks, "clients that speak plain HTTP, on port 80")
	}
	if to != present {
		switch present {
		case "Policy-Min-TLS-1-0-2019-07":
			breaks = append(breaks, "clients that speak TLSv1.1 at most")
			fallthrough
		default:
			breaks = append(breaks, "clients of TLS 1.2 that offer no suite with forward secrecy (ECDHE)")
		}
		if p.c.Clients != nil && p.f.Expect != nil && p.f.Expect.Host != "" {
			breaks = append(breaks, p.c.Clients(p.f.Expect.Host, to)...)
		}
	}
	f.do(call{input: &opensearch.UpdateDomainConfigInput{DomainName: d.DomainName,
		DomainEndpointOptions: &searchtypes.DomainEndpointOptions{EnforceHTTPS: aws.Bool(true), TLSSecurityPolicy: searchtypes.TLSSecurityPolicy(to)}},
		why: "HTTPS alone is answered, under " + to + ".", breaks: breaks})
	f.config(tf("aws_opensearch_domain", p.label("this"), "domain_endpoint_options {\n  enforce_https       = true\n  tls_security_policy = "+hcl(to)+"\n}"))
	f.stack(cfn(cfnResource(p.logical("SearchDomain"), typeSearchTemplate, "DomainEndpointOptions:\n  EnforceHTTPS: true\n  TLSSecurityPolicy: "+to)))
}

// searchBefore is the inverse of a change of a search domain.
func searchBefore(in *opensearch.UpdateDomainConfigInput, before *posture.Resource) any {
	d, ok := before.Doc.(*searchtypes.DomainStatus)
	if !ok || in.DomainEndpointOptions == nil || d.DomainEndpointOptions == nil {
		return nil
	}
	o := d.DomainEndpointOptions
	return &opensearch.UpdateDomainConfigInput{DomainName: in.DomainName,
		DomainEndpointOptions: &searchtypes.DomainEndpointOptions{EnforceHTTPS: o.EnforceHTTPS, TLSSecurityPolicy: o.TLSSecurityPolicy}}
}

// searchState tells whether a search domain is being changed.
func searchState(r *posture.Resource) (state, string) {
	if d, ok := r.Doc.(*searchtypes.DomainStatus); ok && aws.ToBool(d.Processing) {
		return moving, ""
	}
	return settled, ""
}

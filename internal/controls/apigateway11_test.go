package controls

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

func domain(policy apigateway.SecurityPolicy, types ...apigateway.EndpointType) posture.Resource {
	d := &apigateway.DomainName{DomainName: aws.String("api.example.com"), SecurityPolicy: policy}
	if len(types) > 0 {
		d.EndpointConfiguration = &apigateway.EndpointConfiguration{Types: types}
	}
	return posture.Resource{Type: posture.TypeDomainName, ID: "arn:aws:apigateway:us-east-1::/domainnames/api.example.com", Source: posture.Self, Doc: d}
}

func mappedTo(r posture.Resource, apis ...any) posture.Resource {
	r.Related = apis
	return r
}

func mutual(r posture.Resource) posture.Resource {
	r.Doc.(*apigateway.DomainName).MutualTlsAuthentication = &apigateway.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/ca.pem")}
	return r
}

func domainV2(policy apigatewayv2.SecurityPolicy) posture.Resource {
	return inTemplate(posture.Resource{Type: posture.TypeDomainNameV2, Doc: &apigatewayv2.DomainName{DomainName: aws.String("api.example.com"),
		DomainNameConfigurations: []apigatewayv2.DomainNameConfiguration{{EndpointType: "REGIONAL", SecurityPolicy: policy}}}})
}

const (
	onList     = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	onListEdge = "SecurityPolicy_TLS12_PFS_2025_EDGE"
)

var apiGateway11Cases = []testCase{
	{name: "on the list", r: domain(onList, "REGIONAL"), want: posture.Passed},
	{name: "on the list, edge", r: domain(onListEdge, "EDGE"), want: posture.Passed},
	{name: "TLS_1_2, the default and the copied advice", r: domain("TLS_1_2", "REGIONAL"), want: posture.Failed,
		reason: "securityPolicy TLS_1_2 is not on AWS's list of 2026-08; it permits key exchange without forward secrecy, CBC suites", note: "bare Config rule"},
	{name: "TLS_1_0", r: domain("TLS_1_0", "REGIONAL"), want: posture.Failed, reason: "it permits TLSv1.0, TLSv1.1, key exchange"},
	{name: "the strictest with TLS 1.2", r: domain("SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", "REGIONAL"), want: posture.Failed,
		note: "AWS's list and the policy's contents disagree: SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09 permits nothing that the accepted SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09 does not"},
	{name: "PQ does not help against CBC", r: domain("SecurityPolicy_TLS13_1_2_PQ_2025_09", "REGIONAL"), want: posture.Failed, reason: "CBC suites"},
	{name: "edge, CBC", r: domain("SecurityPolicy_TLS12_2018_EDGE", "EDGE"), want: posture.Failed, reason: "it permits CBC suites"},
	{name: "a policy of the future", r: domain("SecurityPolicy_TLS14_2031", "REGIONAL"), want: posture.Failed, note: "No policy SecurityPolicy_TLS14_2031 is known"},
	{name: "template without a policy", r: inTemplate(domain("", "REGIONAL")), want: posture.Failed, reason: "securityPolicy is not set, which means TLS_1_2"},
	{name: "template without a mode", r: inTemplate(domain(onList, "REGIONAL")), want: posture.Passed, note: "endpointAccessMode is not set"},
	{name: "template, of another endpoint type", r: inTemplate(domain(onList, "EDGE")), want: posture.Unknown, reason: "does not go with endpoint type EDGE"},
	{name: "template, no endpoint type is edge", r: inTemplate(domain(onListEdge)), want: posture.Passed},
	{name: "template, policy not known", r: without(inTemplate(domain("", "REGIONAL")), "securityPolicy"), want: posture.Unknown},
	{name: "template, endpoint type not known", r: without(inTemplate(domain(onList)), "endpointConfiguration"), want: posture.Unknown},
	{name: "template, mappings not known", r: without(inTemplate(domain("TLS_1_2", "REGIONAL")), "mappings"), want: posture.Failed, note: "If an HTTP or WebSocket API is mapped to it, no change closes this finding"},

	{name: "mutual TLS", r: mutual(domain("TLS_1_2", "REGIONAL")), want: posture.Unfixable, reason: "mutual TLS", note: "lower security"},
	{name: "mapped to an HTTP API", r: mappedTo(domain("TLS_1_2", "REGIONAL"), &apigateway.RestApi{}, httpAPI), want: posture.Unfixable, reason: "HTTP API"},
	{name: "mapped to a WebSocket API", r: mappedTo(domain("TLS_1_2", "REGIONAL"), webSocketAPI), want: posture.Unfixable, confidence: posture.Inferred},
	{name: "mapped to a REST API", r: mappedTo(domain("TLS_1_2", "REGIONAL"), &apigateway.RestApi{}), want: posture.Failed},
	{name: "private", r: domain("TLS_1_2", "PRIVATE"), want: posture.Unfixable, confidence: posture.Inferred, note: "disagree"},
	{name: "two endpoint types", r: domain("TLS_1_2", "REGIONAL", "EDGE"), want: posture.Failed, note: "more than one endpoint type"},
	{name: "a change is pending", r: stored(domain(onList, "REGIONAL"), "securityPolicy"), want: posture.Unknown, reason: "not in effect"},
	{name: "a change for the worse is pending", r: stored(domain("TLS_1_0", "REGIONAL"), "securityPolicy"), want: posture.Failed, note: "another policy binds"},

	{name: "V2 template", r: domainV2("TLS_1_2"), want: posture.Failed, note: "have only TLS_1_0 and TLS_1_2"},
	{name: "V2 template without anything", r: inTemplate(posture.Resource{Type: posture.TypeDomainNameV2, Doc: &apigatewayv2.DomainName{}}), want: posture.Failed, reason: "which means TLS_1_2"},
	{name: "V2 template with a policy it cannot have", r: domainV2(onList), want: posture.Unknown, reason: "the service refuses it"},
	{name: "default endpoints are not in scope", r: posture.Resource{Type: "AWS::ApiGateway::RestApi", Doc: &apigateway.RestApi{SecurityPolicy: "TLS_1_0"}}, want: posture.NotApplicable},
}

// Of all policies, at each endpoint type that may have them, exactly the five
// pass, and what passes is weak in nothing.
func TestRecommendedPolicies(t *testing.T) {
	recommended := []string{"SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy_TLS13_1_3_FIPS_2025_09", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09",
		"SecurityPolicy_TLS13_2025_EDGE", "SecurityPolicy_TLS12_PFS_2025_EDGE"}
	p, err := apiGateway11.Params(nil, "", "", now)
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range tlspolicy.All() {
		endpoint := apigateway.EndpointTypeRegional
		if policy.Edge {
			endpoint = apigateway.EndpointTypeEdge
		}
		r := domain(apigateway.SecurityPolicy(policy.Name), endpoint)
		v := apiGateway11.Judge(&r, p)
		if got, want := v.Status == posture.Passed, slices.Contains(recommended, policy.Name); got != want {
			t.Errorf("%s: %s: %s", policy, v.Status, v.Reason)
		}
		if v.Status == posture.Passed && len(faults(policy)) > 0 {
			t.Errorf("%s passes and permits %q", policy, faults(policy))
		}
		if w := v.Wire; w == nil || w.Host != "api.example.com" || w.Policy != policy.Name || w.Edge != policy.Edge || w.Min != policy.Min || w.Max != policy.Max {
			t.Errorf("%s: a handshake must show %+v", policy, w)
		}
	}
}

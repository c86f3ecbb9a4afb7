package controls

import (
	"crypto/tls"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func searchDomain(d opensearch.DomainStatus) posture.Resource {
	return posture.Resource{Type: posture.TypeSearchDomain, ID: "arn:aws:es:us-east-1:000000000000:domain/logs", Source: posture.Account, Doc: &d}
}

func endpoint(https bool, policy opensearch.TLSSecurityPolicy) posture.Resource {
	return searchDomain(opensearch.DomainStatus{Endpoint: aws.String("search-logs-1.us-east-1.es.amazonaws.com"),
		DomainEndpointOptions: &opensearch.DomainEndpointOptions{EnforceHTTPS: aws.Bool(https), TLSSecurityPolicy: policy}})
}

var opensearch3Cases = []testCase{
	{name: "on", r: searchDomain(opensearch.DomainStatus{NodeToNodeEncryptionOptions: &opensearch.NodeToNodeEncryptionOptions{Enabled: aws.Bool(true)}}), want: posture.Passed},
	{name: "off", r: searchDomain(opensearch.DomainStatus{NodeToNodeEncryptionOptions: &opensearch.NodeToNodeEncryptionOptions{Enabled: aws.Bool(false)}}), want: posture.Failed},
	{name: "empty", r: searchDomain(opensearch.DomainStatus{NodeToNodeEncryptionOptions: &opensearch.NodeToNodeEncryptionOptions{}}), want: posture.Failed},
	{name: "absent", r: searchDomain(opensearch.DomainStatus{}), want: posture.Failed},
	{name: "not known", r: without(inTemplate(searchDomain(opensearch.DomainStatus{})), "NodeToNodeEncryptionOptions.Enabled"), want: posture.Unknown},
	{name: "Elasticsearch domains are not in scope", r: posture.Resource{Type: "AWS::Elasticsearch::Domain"}, want: posture.NotApplicable},
}

const (
	oldSearch  = "Policy-Min-TLS-1-2-2019-07"
	newSearch  = "Policy-Min-TLS-1-2-PFS-2023-10"
	fipsSearch = "Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08"
)

var opensearch8Cases = []testCase{
	{name: "HTTPS under the latest", r: endpoint(true, newSearch), want: posture.Passed},
	{name: "plain HTTP too", r: endpoint(false, newSearch), want: posture.Failed, reason: "HTTPS is not enforced"},
	{name: "the default policy", r: endpoint(true, oldSearch), want: posture.Failed, reason: oldSearch + " is not on AWS's list of 2026-08"},
	{name: "TLS 1.0", r: endpoint(true, "Policy-Min-TLS-1-0-2019-07"), want: posture.Failed},
	{name: "both", r: endpoint(false, oldSearch), want: posture.Failed, reason: "HTTPS is not enforced, and the TLS policy is " + oldSearch},
	{name: "FIPS", r: endpoint(true, fipsSearch), want: posture.Failed, note: "AWS's list and the policy's name disagree"},
	{name: "a policy of the future", r: endpoint(true, "Policy-Min-TLS-1-3-2031-01"), want: posture.Failed, note: "is not known"},
	{name: "nothing set", r: searchDomain(opensearch.DomainStatus{}), want: posture.Failed, reason: "(by default)"},
	{name: "the list of 2023", r: endpoint(true, oldSearch), list: "2023-12", want: posture.Passed, note: "newest list does not"},
	{name: "the list of 2023 does not have the latest", r: endpoint(true, newSearch), list: "2023-12", want: posture.Failed},
	{name: "HTTPS not known", r: without(inTemplate(endpoint(false, newSearch)), "DomainEndpointOptions.EnforceHTTPS"), want: posture.Unknown},
	{name: "policy not known", r: without(inTemplate(endpoint(true, "")), "DomainEndpointOptions.TLSSecurityPolicy"), want: posture.Unknown},
	{name: "policy not known, plain HTTP", r: without(inTemplate(endpoint(false, "")), "DomainEndpointOptions.TLSSecurityPolicy"), want: posture.Failed},
	{name: "HTTPS not known, old policy", r: without(inTemplate(endpoint(false, oldSearch)), "DomainEndpointOptions.EnforceHTTPS"), want: posture.Failed},
	{name: "nothing known", r: without(inTemplate(searchDomain(opensearch.DomainStatus{})), "DomainEndpointOptions"), want: posture.Unknown},
	{name: "Elasticsearch domains are not in scope", r: posture.Resource{Type: "AWS::Elasticsearch::Domain"}, want: posture.NotApplicable},
}

func TestSearchDomainOnTheWire(t *testing.T) {
	p, err := opensearch8.Params(nil, "", "", now)
	if err != nil {
		t.Fatal(err)
	}
	r := endpoint(false, newSearch)
	want := posture.Wire{Host: "search-logs-1.us-east-1.es.amazonaws.com", Min: tls.VersionTLS12, Max: tls.VersionTLS13, Plaintext: true}
	if w := opensearch8.Judge(&r, p).Wire; w == nil || *w != want {
		t.Errorf("a handshake must show %+v, want %+v", w, want)
	}
	d := r.Doc.(*opensearch.DomainStatus)
	d.DomainEndpointOptions.CustomEndpointEnabled, d.DomainEndpointOptions.CustomEndpoint = aws.Bool(true), aws.String("logs.example.com")
	if w := opensearch8.Judge(&r, p).Wire; w == nil || w.Host != "logs.example.com" {
		t.Errorf("a handshake must show %+v, want the custom endpoint", w)
	}
}

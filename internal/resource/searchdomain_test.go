package resource

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"
)

var searchPlace = Place{Region: "eu-central-1", Account: "111122223333", Suffix: "localhost"}

const searchID = "abcdefghijklmnopqrstuvwxyz"

func TestNewSearchDomain(t *testing.T) {
	d, err := NewSearchDomain(&opensearch.CreateDomainInput{DomainName: aws.String("logs-prod")}, searchPlace, searchID)
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []struct{ name, got, want string }{
		{"ARN", *d.ARN, "arn:aws:es:eu-central-1:111122223333:domain/logs-prod"},
		{"DomainId", *d.DomainId, "111122223333/logs-prod"},
		{"Endpoint", *d.Endpoint, "search-logs-prod-" + searchID + ".eu-central-1.es.localhost"},
		{"SearchEndpoint", SearchEndpoint(d), *d.Endpoint},
		{"EngineVersion", *d.EngineVersion, "OpenSearch_2.19"},
		{"TLSSecurityPolicy", string(d.DomainEndpointOptions.TLSSecurityPolicy), "Policy-Min-TLS-1-2-2019-07"},
	} {
		if member.got != member.want {
			t.Errorf("%s is %s, want %s", member.name, member.got, member.want)
		}
	}
	if aws.ToBool(d.Processing) || !aws.ToBool(d.Created) || aws.ToBool(d.Deleted) || aws.ToBool(d.DomainEndpointOptions.EnforceHTTPS) || aws.ToBool(d.NodeToNodeEncryptionOptions.Enabled) {
		t.Errorf("%+v", d)
	}
	if name, err := ParseSearchDomainARN(*d.ARN); err != nil || name != "logs-prod" {
		t.Errorf("%s: %v", name, err)
	}

	inside, err := NewSearchDomain(&opensearch.CreateDomainInput{DomainName: aws.String("logs"), VPCOptions: &types.VPCOptions{SubnetIds: []string{"subnet-1"}}}, searchPlace, searchID)
	if err != nil || inside.Endpoint != nil || SearchEndpoint(inside) != "search-logs-"+searchID+".eu-central-1.es.localhost" {
		t.Errorf("in a VPC: %v, %v", SearchEndpoint(inside), err)
	}
}

func TestNewSearchDomainRefuses(t *testing.T) {
	type in = opensearch.CreateDomainInput
	options := func(o types.DomainEndpointOptions) *types.DomainEndpointOptions { return &o }
	for _, tt := range []struct {
		what string
		in   in
		want string
	}{
		{"no name", in{}, "domainName"},
		{"two letters", in{DomainName: aws.String("ab")}, "domainName"},
		{"29 letters", in{DomainName: aws.String(strings.Repeat("a", 29))}, "domainName"},
		{"a capital", in{DomainName: aws.String("Logs")}, "domainName"},
		{"a digit first", in{DomainName: aws.String("1logs")}, "domainName"},
		{"a dot", in{DomainName: aws.String("logs.prod")}, "domainName"},
		{"a slash", in{DomainName: aws.String("logs/prod")}, "domainName"},
		{"a line break", in{DomainName: aws.String("logs\n")}, "domainName"},
		{"no engine", in{DomainName: aws.String("logs"), EngineVersion: aws.String("Solr_9.1")}, "engine version"},
		{"another service's policy", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{TLSSecurityPolicy: "TLS_1_2"})}, "enum value set"},
		{"a custom endpoint without a name", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpointCertificateArn: aws.String("arn")})}, "needs CustomEndpoint"},
		{"a custom endpoint without a certificate", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("a.example.com")})}, "needs CustomEndpoint"},
		{"a wildcard", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("*.example.com"), CustomEndpointCertificateArn: aws.String("arn")})}, "Invalid custom endpoint"},
		{"a URL", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("https://a.example.com"), CustomEndpointCertificateArn: aws.String("arn")})}, "Invalid custom endpoint"},
		{"one label", in{DomainName: aws.String("logs"), DomainEndpointOptions: options(types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("localhost"), CustomEndpointCertificateArn: aws.String("arn")})}, "Invalid custom endpoint"},
	} {
		_, err := NewSearchDomain(&tt.in, searchPlace, searchID)
		var refused *Error
		if !errors.As(err, &refused) || refused.Kind != Validation || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.what, err, tt.want)
		}
	}
}

// What a call leaves out stays, the old document is not touched, and the
// members of the endpoint are merged one by one.
func TestUpdateSearchDomain(t *testing.T) {
	before, err := NewSearchDomain(&opensearch.CreateDomainInput{DomainName: aws.String("logs"), DomainEndpointOptions: &types.DomainEndpointOptions{
		EnforceHTTPS: aws.Bool(true), CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("logs.example.com"), CustomEndpointCertificateArn: aws.String("arn:1")}}, searchPlace, searchID)
	if err != nil {
		t.Fatal(err)
	}
	after, err := UpdateSearchDomain(before, &opensearch.UpdateDomainConfigInput{
		DomainEndpointOptions:       &types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-2-PFS-2023-10"},
		NodeToNodeEncryptionOptions: &types.NodeToNodeEncryptionOptions{Enabled: aws.Bool(true)},
		AdvancedSecurityOptions:     &types.AdvancedSecurityOptionsInput{Enabled: aws.Bool(true), MasterUserOptions: &types.MasterUserOptions{MasterUserPassword: aws.String("secret")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := after.DomainEndpointOptions
	if host, arn := SearchCustomEndpoint(after); !*o.EnforceHTTPS || host != "logs.example.com" || arn != "arn:1" || o.TLSSecurityPolicy != "Policy-Min-TLS-1-2-PFS-2023-10" {
		t.Errorf("%+v", o)
	}
	if before.DomainEndpointOptions.TLSSecurityPolicy != "Policy-Min-TLS-1-2-2019-07" || aws.ToBool(before.NodeToNodeEncryptionOptions.Enabled) {
		t.Error("the old document was changed")
	}
	off, err := UpdateSearchDomain(after, &opensearch.UpdateDomainConfigInput{DomainEndpointOptions: &types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(false)}})
	if host, _ := SearchCustomEndpoint(off); err != nil || host != "" {
		t.Errorf("a custom endpoint that is off: %q, %v", host, err)
	}
	if _, err := UpdateSearchDomain(after, &opensearch.UpdateDomainConfigInput{DomainEndpointOptions: &types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-3"}}); err == nil {
		t.Error("a policy that is none is taken")
	}

	made := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	c := SearchDomainConfig(after, SearchHistory{Created: made, Updated: made.Add(time.Hour), Version: 2})
	if s := c.DomainEndpointOptions.Status; s.State != types.OptionStateActive || s.UpdateVersion != 2 || !s.CreationDate.Equal(made) || c.DomainEndpointOptions.Options.TLSSecurityPolicy != o.TLSSecurityPolicy {
		t.Errorf("%+v", c.DomainEndpointOptions)
	}
	if c.AdvancedOptions.Options == nil || c.VPCOptions != nil || c.AdvancedSecurityOptions == nil {
		t.Errorf("%+v", c)
	}
}

func TestParseSearchDomainARN(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:es:us-east-1:000000000000:domain/logs":            "logs",
		"arn:aws-us-gov:es:us-gov-west-1:000000000000:domain/logs": "logs",
		"":    "",
		"arn": "",
		"arn:aws:es:us-east-1:000000000000:domain/":                "",
		"arn:aws:es:us-east-1:000000000000:domain/a/b/c":           "",
		"arn:aws:s3:us-east-1:000000000000:domain/logs":            "",
		"arn:aws:es:us-east-1:000000000000:domain/logs\n":          "",
		"arn:aws:es:us-east-1:000000000000:domain/../restapis/abc": "",
	} {
		if got, err := ParseSearchDomainARN(arn); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", arn, got, err)
		}
	}
}

package resource

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

func TestNewRestAPI(t *testing.T) {
	api, root, err := NewRestAPI(&apigateway.CreateRestApiInput{Name: aws.String("pets")}, "a1", "r1", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(types.RestApi{
		ApiKeySource: "HEADER", ApiStatus: "AVAILABLE", CreatedDate: &testTime, Id: aws.String("a1"), Name: aws.String("pets"), RootResourceId: aws.String("r1"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"EDGE"}, IpAddressType: "ipv4"}, SecurityPolicy: "TLS_1_0",
	}, api, sdk); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
	if d := cmp.Diff(types.Resource{Id: aws.String("r1"), Path: aws.String("/")}, root, sdk); d != "" {
		t.Errorf("root (-want +got):\n%s", d)
	}

	for _, tt := range []struct {
		in   apigateway.CreateRestApiInput
		want string
	}{
		{apigateway.CreateRestApiInput{}, "Validation: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{apigateway.CreateRestApiInput{Name: aws.String("")}, "BadRequest: Name cannot be empty"},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), Description: aws.String("")}, "BadRequest: Description cannot be an empty string"},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), MinimumCompressionSize: aws.Int32(-1)}, "BadRequest: Invalid minimum compression size, must be between 0 and 10485760"},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), MinimumCompressionSize: aws.Int32(10485760)}, ""},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), BinaryMediaTypes: []string{"png"}}, "BadRequest: Invalid binaryMediaTypes specified: 'png' is not a media type"},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), ApiKeySource: "COOKIE", SecurityPolicy: "TLS_9"},
			"Validation: 2 validation errors detected: Value 'COOKIE' at 'apiKeySource' failed to satisfy constraint: Member must satisfy enum value set: [HEADER, AUTHORIZER]; Value 'TLS_9' at 'securityPolicy'…"},
		{apigateway.CreateRestApiInput{Name: aws.String(""), MinimumCompressionSize: aws.Int32(-1)}, "BadRequest: Name cannot be empty; Invalid minimum compression size, must be between 0 and 10485760"},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), Policy: aws.String("{")}, "BadRequest: Invalid policy document. Please check the policy syntax and ensure that Principals are valid."},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), Policy: aws.String("")}, ""},
		{apigateway.CreateRestApiInput{Name: aws.String("n"), Tags: map[string]string{"aws:x": ""}}, "BadRequest: tags: key \"aws:x\" begins with aws:, which is reserved"},
	} {
		_, _, err := NewRestAPI(&tt.in, "a1", "r1", testTime)
		checkErr(t, err, tt.want)
	}
}

func TestUpdateRestAPI(t *testing.T) {
	api := testAPI()
	after := must(UpdateRestAPI(api, patches(
		"replace /name=cats", "remove /description", "replace /apiKeySource=AUTHORIZER", "replace /disableExecuteApiEndpoint=true",
		"replace /minimumCompressionSize=0", "remove /binaryMediaTypes/image~1png", "remove /endpointConfiguration/vpcEndpointIds=vpce-0a",
		"replace /policy="+doc(`{"Effect":"Allow",`+everybody+`}`))))
	if d := cmp.Diff(types.RestApi{
		ApiKeySource: "AUTHORIZER", ApiStatus: "AVAILABLE", CreatedDate: &testTime, Id: aws.String("api"), Name: aws.String("cats"), RootResourceId: aws.String("root"),
		DisableExecuteApiEndpoint: true, MinimumCompressionSize: aws.Int32(0), Tags: map[string]string{"a": "b"},
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"PRIVATE"}, IpAddressType: "dualstack"},
		SecurityPolicy:        "TLS_1_2", Policy: aws.String(doc(`{"Effect":"Allow",` + everybody + `}`)),
	}, after, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(testAPI(), api, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
	if after = must(UpdateRestAPI(after, patches("replace /policy=", "replace /minimumCompressionSize"))); after.Policy != nil || after.MinimumCompressionSize != nil {
		t.Errorf("not removed: %+v", after)
	}
}

func TestValidTags(t *testing.T) {
	many := map[string]string{}
	for i := range 51 {
		many[strings.Repeat("k", i+1)] = "v"
	}
	for _, tt := range []struct {
		tags map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"team": "", strings.Repeat("ü", 128): strings.Repeat("ü", 256)}, ""},
		{map[string]string{"": "v"}, "BadRequest: tags: a key may not be empty"},
		{map[string]string{"AWS:team": "v"}, "BadRequest: tags: key \"AWS:team\" begins with aws:, which is reserved"},
		{map[string]string{strings.Repeat("k", 129): ""}, "BadRequest: tags: key…"},
		{map[string]string{"k": strings.Repeat("v", 257)}, "BadRequest: tags: the value of \"k\" is longer than 256 characters"},
		{map[string]string{"k": "a\nb"}, "BadRequest: tags: key or value of \"k\" holds characters that are not allowed"},
		{map[string]string{"a": strings.Repeat("v", 257), "": "x"}, "BadRequest: tags: a key may not be empty; tags: the value of \"a\" is longer than 256 characters"},
		{many, "BadRequest: tags: 51 are too many; the limit is 50"},
	} {
		checkErr(t, ValidTags(tt.tags), tt.want)
	}
}

func TestARNs(t *testing.T) {
	for _, tt := range []struct {
		arn   string
		kind  TagKind
		parts []string
	}{
		{RestAPIARN("us-east-1", "a1"), TagRestAPI, []string{"a1"}},
		{StageARN("us-east-1", "a1", "prod_2"), TagStage, []string{"a1", "prod_2"}},
		{DomainNameARN("us-east-1", "*.example.com"), TagDomainName, []string{"*.example.com"}},
		{"arn:aws:execute-api:us-east-1:000000000000:/domainnames/api.example.com+abc123", TagDomainName, []string{"api.example.com"}},
		{CertificateARN("us-east-1", "000000000000", "aa-bb"), TagCertificate, []string{"aa-bb"}},
		{ClientCertificateARN("us-east-1", "a1b2c3"), TagClientCertificate, []string{"a1b2c3"}},
		{"arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fa1", TagRestAPI, []string{"a1"}},
		{"arn:aws:apigateway:us-east-1::/restapis/a1/resources/x", 0, nil},
		{"arn:aws:apigateway:us-east-1::/vpclinks/x", TagVPCLink, []string{"x"}},
		{"arn:aws:apigateway:us-east-1::/vpclinks/x/y", 0, nil},
		{"arn:aws:s3:::bucket", 0, nil},
		{"arn%zz", 0, nil},
		{"", 0, nil},
		{strings.Repeat("a", 5000), 0, nil},
	} {
		kind, parts, err := ParseTagARN(tt.arn)
		if tt.kind == 0 {
			checkErr(t, err, "BadRequest: Invalid ARN. ARN is not well formed "+tt.arn)
		} else if kind != tt.kind || !cmp.Equal(parts, tt.parts) || err != nil {
			t.Errorf("%s: %v %q %v", tt.arn, kind, parts, err)
		}
	}
	if got := ExecuteAPIARN(testPlace, "a1"); got != "arn:aws:execute-api:us-east-1:000000000000:a1" {
		t.Error(got)
	}
}

func FuzzParseTagARN(f *testing.F) {
	f.Add(StageARN("us-east-1", "a1", "prod"))
	f.Add("arn%3Aaws%3Aacm%3Aus-east-1%3A000000000000%3Acertificate%2Faa")
	f.Fuzz(func(t *testing.T, arn string) {
		kind, parts, err := ParseTagARN(arn)
		if (err == nil) != (kind != 0) || (err == nil) != (len(parts) > 0) {
			t.Fatalf("%q: %v %q %v", arn, kind, parts, err)
		}
		for _, p := range parts {
			if p == "" || strings.ContainsAny(p, "/%:") {
				t.Fatalf("%q: a part that could name another key: %q", arn, p)
			}
		}
	})
}

func TestAccount(t *testing.T) {
	a := must(UpdateAccount(NewAccount(), patches("replace /cloudwatchRoleArn=arn:aws:iam::123456789012:role/logs", "add /features=UsagePlans")))
	if aws.ToString(a.CloudwatchRoleArn) != "arn:aws:iam::123456789012:role/logs" || len(a.Features) != 1 || a.ThrottleSettings.RateLimit != 10000 {
		t.Errorf("%+v", a)
	}
	_, err := UpdateAccount(a, patches("add /features=Teleport"))
	checkErr(t, err, "BadRequest: Invalid feature specified: 'Teleport'. Must be one of: [UsagePlans]")
}

func TestBasePathMapping(t *testing.T) {
	for _, tt := range []struct{ path, wire, want string }{
		{"", "(none)", ""},
		{"(none)", "(none)", ""},
		{"v1", "v1", ""},
		{"v1/pets", "v1/pets", ""},
		{"$a-_.+!*'()", "$a-_.+!*'()", ""},
		{"ping", "", "BadRequest: The base path 'ping' is reserved"},
		{"sping", "", "BadRequest: The base path 'sping' is reserved"},
		{"/v1", "", "BadRequest: Invalid base path specified: '/v1'.…"},
		{"v1/", "", "BadRequest: Invalid base path specified: 'v1/'.…"},
		{"a//b", "", "BadRequest: Invalid base path specified: 'a//b'.…"},
		{"a/../b", "", "BadRequest: Invalid base path specified: 'a/../b'.…"},
		{"a%2fb", "", "BadRequest: Invalid base path specified: 'a%2fb'.…"},
		{strings.Repeat("a", 301), "", "BadRequest: Invalid base path specified…"},
	} {
		m, err := NewBasePathMapping(&apigateway.CreateBasePathMappingInput{RestApiId: aws.String("a1"), BasePath: &tt.path})
		checkErr(t, err, tt.want)
		if aws.ToString(m.BasePath) != tt.wire || m.Stage != nil {
			t.Errorf("%q: %+v", tt.path, m)
		}
	}
	_, err := NewBasePathMapping(&apigateway.CreateBasePathMappingInput{RestApiId: aws.String("a1"), Stage: aws.String("a/b")})
	checkErr(t, err, "BadRequest: Invalid stage identifier specified")
	_, err = NewBasePathMapping(&apigateway.CreateBasePathMappingInput{})
	checkErr(t, err, "Validation: 1 validation error detected: Value null at 'restApiId' failed to satisfy constraint: Member must not be null")

	m := must(UpdateBasePathMapping(testMapping(), patches("replace /basepath=", "replace /restapiId=b2", "replace /stage=test")))
	if d := cmp.Diff(types.BasePathMapping{BasePath: aws.String("(none)"), RestApiId: aws.String("b2"), Stage: aws.String("test")}, m, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if m = must(UpdateBasePathMapping(m, patches("replace /stage="))); m.Stage != nil {
		t.Errorf("stage kept: %s", *m.Stage)
	}
}

package awsapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

func TestRoute(t *testing.T) {
	for _, v := range []struct {
		signingName, method, target, header, body string
		want                                      string // operation, or the error's code
	}{
		{"apigateway", "POST", "/restapis", "", "", "apigateway.CreateRestApi"},
		{"apigateway", "POST", "/restapis?mode=import", "", "", "apigateway.ImportRestApi"},
		{"apigateway", "POST", "/restapis?failonwarnings=true&mode=import", "", "", "apigateway.ImportRestApi"},
		{"apigateway", "POST", "/restapis?mode=other", "", "", "apigateway.CreateRestApi"},
		{"apigateway", "POST", "/apikeys?mode=import", "", "", "apigateway.ImportApiKeys"},
		{"apigateway", "GET", "/restapis/a/resources/r/methods/GET/integration/responses/200", "", "", "apigateway.GetIntegrationResponse"},
		{"apigateway", "GET", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fabc", "", "", "apigateway.GetTags"},
		{"apigateway", "GET", "/tags/arn:aws:apigateway:us-east-1::/restapis/abc", "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "GET", "/v2/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapis%2Fabc", "", "", "apigatewayv2.GetTags"},
		{"apigateway", "DELETE", "/domainnames/api.example.com/basepathmappings/%28none%29", "", "", "apigateway.DeleteBasePathMapping"},
		{"apigateway", "GET", "/v2/apis/a/stages/$default", "", "", "apigatewayv2.GetStage"},
		{"apigateway", "GET", "/v2/apis/a/stages/%24default", "", "", "apigatewayv2.GetStage"},
		{"apigateway", "GET", "/account", "", "", "apigateway.GetAccount"},
		{"apigateway", "PUT", "/account", "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "GET", "/nothing", "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "GET", "/restapis/", "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "GET", "/restapis//resources", "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "GET", "/" + strings.Repeat("a/", 500), "", "", "MissingAuthenticationTokenException"},
		{"apigateway", "POST", "/", "CertificateManager.GetCertificate", "", "MissingAuthenticationTokenException"},
		{"acm", "POST", "/", "CertificateManager.GetCertificate", "", "acm.GetCertificate"},
		{"acm", "POST", "/", "CertificateManager.MakeCertificate", "", "UnknownOperationException"},
		{"acm", "GET", "/", "CertificateManager.GetCertificate", "", "UnknownOperationException"},
		{"acm", "POST", "/", "", "", "MissingAction"},
		{"sts", "POST", "/", "", "Action=GetCallerIdentity&Version=2011-06-15", "sts.GetCallerIdentity"},
		{"sts", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", "", "sts.GetCallerIdentity"},
		{"sts", "POST", "/", "", "Action=GetCallerIdentity&Version=2011-06-16", "InvalidAction"},
		{"sts", "POST", "/", "", "Action=Nothing&Version=2011-06-15", "InvalidAction"},
		{"sts", "POST", "/", "", "Action=%zz", "MalformedQueryString"},
		{"sts", "POST", "/a", "", "Action=GetCallerIdentity&Version=2011-06-15", "MalformedQueryString"},
		{"s3", "GET", "/restapis", "", "", "MissingAuthenticationTokenException"},
		{"", "GET", "/restapis", "", "", "MissingAuthenticationTokenException"},
	} {
		r := httptest.NewRequest(v.method, v.target, strings.NewReader(v.body))
		if v.header != "" {
			r.Header.Set("X-Amz-Target", v.header)
		}
		op, err := Route(v.signingName, r, []byte(v.body))
		got := ""
		var refused *Error
		if errors.As(err, &refused) {
			got = refused.Code
		} else if err == nil {
			got = op.Service.Name + "." + op.Name
		}
		if got != v.want {
			t.Errorf("%s %s %s: %s, want %s", v.signingName, v.method, v.target, got, v.want)
		}
	}
}

// decode decodes body as the request of an operation of API Gateway.
func decode(t testing.TB, operation, method, target, body string) (*Request, error) {
	t.Helper()
	op := Lookup("apigateway", operation)
	return op.Decode(httptest.NewRequest(method, target, nil), []byte(body))
}

func TestDecodeRefuses(t *testing.T) {
	const (
		serialization = "SerializationException"
		validation    = "ValidationException"
	)
	deep := strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70)
	for _, v := range []struct {
		operation, body string
		code, message   string // code empty: accepted; message is a part
	}{
		{"CreateRestApi", `{"name":"pets"}`, "", ""},
		{"CreateRestApi", " \r\n\t{ \"name\" : \"pets\" } ", "", ""},
		{"CreateRestApi", `{"name":"pets","future":{"a":[1,true,null,"x"]}}`, "", ""},

		{"CreateRestApi", `{"name":"pets"`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":`, serialization, "not well-formed JSON at byte 8"},
		{"CreateRestApi", `{"name":}`, serialization, "not well-formed JSON at byte 8"},
		{"CreateRestApi", `{"tags":'a'}`, serialization, "not well-formed JSON at byte 8"},
		{"CreateRestApi", `{"name":"pets"} x`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"pets"}{}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"pets",}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name" "pets"}`, serialization, "not well-formed"},
		{"CreateRestApi", `{name:"pets"}`, serialization, "not well-formed"},
		{"CreateRestApi", "{\"name\":\"a\nb\"}", serialization, "not well-formed"},
		{"CreateRestApi", "{\"name\":\"\xff\"}", serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"\ud800"}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"\ud800\u0041"}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"\x"}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"\u+123"}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"a","name":"b"}`, serialization, "comes twice at 'name'"},
		{"CreateRestApi", `{"name":"a","tags":{"k":"a","k":"b"}}`, serialization, "comes twice at 'tags.k'"},
		{"CreateRestApi", `{"name":"a","tags":{"k":null}}`, serialization, "no null"},
		{"CreateRestApi", `{"name":"a","binaryMediaTypes":["a",null]}`, serialization, "no null"},
		{"CreateRestApi", `[]`, serialization, "A list can not be converted to a structure"},
		{"CreateRestApi", `null`, serialization, ""},
		{"CreateRestApi", `"x"`, serialization, ""},
		{"CreateRestApi", `{"name":1}`, serialization, "NUMBER_VALUE can not be converted to a String at 'name'"},
		{"CreateRestApi", `{"name":"a","minimumCompressionSize":"5"}`, serialization, "STRING_VALUE can not be converted to an Integer at 'minimumCompressionSize'"},
		{"CreateRestApi", `{"name":"a","minimumCompressionSize":2147483648}`, serialization, "2147483648 can not be converted to an Integer"},
		{"CreateRestApi", `{"name":"a","minimumCompressionSize":1.5}`, serialization, "1.5 can not be converted to an Integer"},
		{"CreateRestApi", `{"name":"a","minimumCompressionSize":01}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"a","disableExecuteApiEndpoint":"true"}`, serialization, "STRING_VALUE can not be converted to a Boolean"},
		{"CreateRestApi", `{"name":"a","disableExecuteApiEndpoint":trues}`, serialization, "not well-formed"},
		{"CreateRestApi", `{"name":"a","endpointConfiguration":[]}`, serialization, "A list can not be converted to a structure at 'endpointConfiguration'"},
		{"CreateRestApi", `{"name":"a","endpointConfiguration":{"types":"EDGE"}}`, serialization, "STRING_VALUE can not be converted to a list at 'endpointConfiguration.types'"},
		{"CreateRestApi", `{"name":"a","tags":["a"]}`, serialization, "A list can not be converted to a map at 'tags'"},
		{"CreateRestApi", `{"name":"a","x":` + deep + `}`, serialization, "nested deeper than 64"},
		{"CreateRestApi", `{"name":"a","x":` + strings.Repeat("[", 100000) + `}`, serialization, "nested deeper than 64"},
		{"CreateDeployment", `{"canarySettings":{"percentTraffic":1e999}}`, serialization, "can not be converted to a Double"},
		{"CreateDeployment", `{"canarySettings":{"percentTraffic":"NaN"}}`, serialization, "STRING_VALUE can not be converted to a Double"},
		{"UpdateRestApi", `{"patchOperations":[{"op":"replace","path":"/x","value":true}]}`, serialization,
			"TRUE_VALUE can not be converted to a String at 'patchOperations.1.member.value'"},
		{"UpdateRestApi", `{"patchOperations":[{"op":"replace","path":"/x","value":{}}]}`, serialization, "A structure or map"},
		{"UpdateRestApi", `{"patchOperations":[{"op":"remove","path":"/x","value":null}]}`, "", ""},
		{"UpdateRestApi", `{"patchOperations":[]}`, "", ""},
		{"UpdateRestApi", ``, "", ""},

		{"CreateRestApi", ``, validation, "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{"CreateRestApi", `{"name":null}`, validation, "Value null at 'name'"},
		{"CreateRestApi", `{"Name":"a"}`, validation, "Value null at 'name'"},
		{"CreateRestApi", `{"name":"a","apiKeySource":"header"}`, validation,
			"1 validation error detected: Value 'header' at 'apiKeySource' failed to satisfy constraint: Member must satisfy enum value set: [HEADER, AUTHORIZER]"},
		{"CreateRestApi", `{"name":"a","apiKeySource":""}`, validation, "Value '' at 'apiKeySource'"},
		{"CreateRestApi", `{"name":"a","endpointConfiguration":{"types":["EDGE","edge"]}}`, validation,
			"1 validation error detected: Value '[EDGE, edge]' at 'endpointConfiguration.types' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: ["},
		{"CreateRestApi", `{"apiKeySource":"x"}`, validation, "2 validation errors detected: Value 'x' at 'apiKeySource' failed to satisfy constraint: Member must satisfy enum value set: [HEADER, AUTHORIZER]; Value null at 'name' failed"},
		{"UpdateRestApi", `{"patchOperations":[{"op":"change"}]}`, validation,
			"1 validation error detected: Value 'change' at 'patchOperations.1.member.op' failed to satisfy constraint: Member must satisfy enum value set: [add, remove, replace, move, copy, test]"},
		{"UpdateRestApi", `{"patchOperations":[{"op":"add"},{"op":"` + strings.Repeat("x", 5000) + `"}]}`, validation, "x...' at 'patchOperations.2.member.op'"},
		{"CreateDocumentationPart", `{"location":{"path":"/"},"properties":"{}"}`, validation, "Value null at 'location.type'"},
	} {
		target := "/restapis"
		switch v.operation {
		case "UpdateRestApi":
			target = "/restapis/abc"
		case "CreateDeployment":
			target = "/restapis/abc/deployments"
		case "CreateDocumentationPart":
			target = "/restapis/abc/documentation/parts"
		}
		_, err := decode(t, v.operation, "POST", target, v.body)
		checkError(t, v.operation+" "+clip(v.body), err, v.code, v.message)
	}
	for target, message := range map[string]string{
		"/restapis?limit=many":        "'many' can not be converted to an Integer at 'limit'",
		"/restapis?limit=1&limit=2":   "'limit' comes twice",
		"/restapis?limit=99999999999": "can not be converted to an Integer",
		"/restapis?limit=1;a=b":       "malformed",
		"/restapis?position=%zz":      "malformed",
	} {
		_, err := decode(t, "GetRestApis", "GET", target, "")
		checkError(t, target, err, serialization, message)
	}
	_, err := decode(t, "GetDomainNames", "GET", "/domainnames?resourceOwner=ME", "")
	checkError(t, "enum in the query", err, validation, "Value 'ME' at 'resourceOwner'")
}

func checkError(t *testing.T, what string, err error, code, message string) {
	t.Helper()
	var refused *Error
	switch {
	case code == "" && err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case code == "":
	case !errors.As(err, &refused):
		t.Errorf("%s: %v, want %s %s", what, err, code, message)
	case refused.Code != code || refused.Status != 400 || !strings.Contains(refused.Message, message):
		t.Errorf("%s: %v, want %s %s", what, err, code, message)
	}
}

func TestDecodeNotes(t *testing.T) {
	r, err := decode(t, "PutIntegration", "PUT", "/restapis/a/resources/r/methods/GET/integration?x=1&X-Amz-Date=now",
		`{"type":"HTTP_PROXY","uri":null,"tlsConfig":{"insecureSkipVerification":false,"new":1},"requestParameters":{},"later":[{}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := Presence{"type": true, "tlsConfig": true, "tlsConfig.insecureSkipVerification": true, "requestParameters": true}
	if diff := cmp.Diff(want, r.Presence); diff != "" {
		t.Errorf("presence (-want +got):\n%s", diff)
	}
	if want := []string{"x", "tlsConfig.new", "later"}; !slices.Equal(r.Unknown, want) {
		t.Errorf("unknown %q, want %q", r.Unknown, want)
	}
	in := r.Input.(*apigateway.PutIntegrationInput)
	if aws.ToString(in.HttpMethod) != "GET" || in.IntegrationHttpMethod != nil || in.Uri != nil || in.RequestParameters == nil {
		t.Errorf("input: %+v", in)
	}
	r, err = decode(t, "UpdateStage", "PATCH", "/restapis/a/stages/s", `{"patchOperations":[{"op":"remove","path":"/a"},{"op":"add","path":"/b","value":""}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if r.Presence["patchOperations.1.member.value"] || !r.Presence["patchOperations.2.member.value"] {
		t.Errorf("presence: %v", r.Presence)
	}
	var many strings.Builder
	many.WriteString(`{"name":"a"`)
	for range 1000 {
		many.WriteString(`,"later":1`)
	}
	if r, err = decode(t, "CreateRestApi", "POST", "/restapis", many.String()+"}"); err != nil || len(r.Unknown) != maxUnknown {
		t.Errorf("unknown members are not bounded: %v, %v", r, err)
	}
	r, err = decode(t, "ImportRestApi", "POST", "/restapis?mode=import&failonwarnings=true&endpointConfigurationTypes=REGIONAL&X-Amz-Signature=0", "swagger: '2.0'")
	if err != nil {
		t.Fatal(err)
	}
	doc := r.Input.(*apigateway.ImportRestApiInput)
	if string(doc.Body) != "swagger: '2.0'" || !doc.FailOnWarnings || !reflect.DeepEqual(doc.Parameters, map[string]string{"endpointConfigurationTypes": "REGIONAL"}) {
		t.Errorf("import: %+v", doc)
	}
	_, err = decode(t, "ImportRestApi", "POST", "/restapis?mode=import", "")
	checkError(t, "import of nothing", err, "ValidationException", "Value null at 'body'")
	r, err = decode(t, "GetTags", "GET", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fabc", "")
	if err != nil || *r.Input.(*apigateway.GetTagsInput).ResourceArn != "arn:aws:apigateway:us-east-1::/restapis/abc" {
		t.Errorf("tags: %+v, %v", r, err)
	}
}

func TestDecodeQuery(t *testing.T) {
	op := Lookup("sts", "AssumeRole")
	body := "Action=AssumeRole&Version=2011-06-15&RoleArn=arn&RoleSessionName=s&DurationSeconds=900&Tags.member.1.Key=a&Tags.member.1.Value=b%26c" +
		"&Tags.member.2.Key=d&Tags.member.2.Value=&TransitiveTagKeys.member.1=a&PolicyArns=&New=1"
	r, err := op.Decode(httptest.NewRequest("POST", "/", nil), []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	in := r.Input.(*sts.AssumeRoleInput)
	if *in.RoleArn != "arn" || *in.DurationSeconds != 900 || len(in.Tags) != 2 || *in.Tags[0].Value != "b&c" || *in.Tags[1].Value != "" ||
		!slices.Equal(in.TransitiveTagKeys, []string{"a"}) || in.PolicyArns == nil || len(in.PolicyArns) != 0 {
		t.Errorf("input: %+v", in)
	}
	if !slices.Equal(r.Unknown, []string{"New"}) {
		t.Errorf("unknown: %q", r.Unknown)
	}
	for body, want := range map[string][2]string{
		"Action=AssumeRole&Version=2011-06-15&RoleArn=arn":                                                     {"ValidationException", "'RoleSessionName'"},
		"Action=AssumeRole&RoleArn=a&RoleArn=b":                                                                {"SerializationException", "twice"},
		"Action=AssumeRole&RoleArn=a&RoleSessionName=b&DurationSeconds=x":                                      {"SerializationException", "Integer at 'DurationSeconds'"},
		"Action=AssumeRole&RoleArn=a&RoleSessionName=b&Tags.member.1.Value=x":                                  {"ValidationException", "'Tags.1.member.Key'"},
		"Action=AssumeRole&RoleArn=a&RoleSessionName=b&ProvidedContexts.member.1.ProviderArn=%ff%fe&a=" + "%2": {"MalformedQueryString", ""},
	} {
		_, err := op.Decode(httptest.NewRequest("POST", "/", nil), []byte(body))
		checkError(t, body, err, want[0], want[1])
	}
}

// What this package takes as JSON, encoding/json takes too, and reads the same;
// what it refuses beyond that is listed where it is refused.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"name":"p\u00e4ts \ud834\udd1e\/","tags":{"a":"b"},"createdDate":1.7635536e9,"endpointConfiguration":{"types":["EDGE"]}}`))
	f.Add([]byte(`{"disableExecuteApiEndpoint":true,"minimumCompressionSize":-0,"x":[{"y":[]},1e5,"\n"]}`))
	f.Add([]byte(`{"name":"a","name":"b"}`))
	f.Add([]byte("{\"name\":\"\xc3\x28\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var api types.RestApi
		if err := Unmarshal(data, &api); err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		var loose map[string]any
		if err := json.Unmarshal(data, &loose); err != nil {
			t.Fatalf("taken, but encoding/json says %v", err)
		}
		if name, ok := loose["name"].(string); ok != (api.Name != nil) || ok && name != *api.Name {
			t.Fatalf("name %q, encoding/json reads %q", aws.ToString(api.Name), name)
		}
		out, err := Marshal(&api)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(out) {
			t.Fatalf("wrote %s", out)
		}
		var again types.RestApi
		if err := Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if diff := cmp.Diff(&api, &again, sameDocument); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A stranger's request, as any operation: refused with an *Error or taken,
// nothing else.
func FuzzDecode(f *testing.F) {
	f.Add("apigateway", "PATCH", "/restapis/a?x=1", "", []byte(`{"patchOperations":[{"op":"replace","path":"/a~1b","value":"x"}]}`))
	f.Add("apigateway", "PUT", "/restapis/a/resources/%28none%29/methods/GET/integration", "", []byte(`{"type":"MOCK","requestTemplates":{"a/b":"{}"}}`))
	f.Add("apigateway", "POST", "/restapis?mode=import&a=b", "", []byte(`{}`))
	f.Add("acm", "POST", "/", "CertificateManager.SearchCertificates", []byte(`{"FilterStatement":{"And":[{"Filter":{"CertificateArn":"a"}}]}}`))
	f.Add("sts", "POST", "/", "", []byte("Action=AssumeRole&Version=2011-06-15&Tags.member.1.Key=a"))
	f.Fuzz(func(t *testing.T, signingName, method, target, header string, body []byte) {
		r, err := http.NewRequest(method, "http://localhost"+target, nil)
		if err != nil {
			return
		}
		r.Header.Set("X-Amz-Target", header)
		op, err := Route(signingName, r, body)
		if err == nil {
			var request *Request
			if request, err = op.Decode(r, body); err == nil {
				if _, err := Marshal(request.Input); err != nil {
					t.Fatalf("decoded what cannot be written: %v", err)
				}
				return
			}
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

package awsapi

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

// moment has microseconds, of which the wire keeps none.
var moment = time.Date(2025, 11, 19, 12, 34, 56, 120456000, time.FixedZone("", 3600))

func TestEncode(t *testing.T) {
	for _, v := range []struct {
		service, operation string
		out                any
		status             int
		contentType, body  string
	}{
		{"apigateway", "CreateRestApi", &apigateway.CreateRestApiOutput{Id: aws.String("abc"), Name: aws.String(`a"<é>`), CreatedDate: &moment},
			201, "application/json", `{"createdDate":1763552096.12,"disableExecuteApiEndpoint":false,"id":"abc","name":"a\"<é>"}`},
		{"apigateway", "GetStage", &apigateway.GetStageOutput{StageName: aws.String("prod"), MethodSettings: map[string]types.MethodSetting{}},
			200, "application/json", `{"cacheClusterEnabled":false,"methodSettings":{},"stageName":"prod","tracingEnabled":false}`},
		{"apigateway", "GetMethod", &apigateway.GetMethodOutput{HttpMethod: aws.String("GET")},
			200, "application/json", `{"httpMethod":"GET"}`},
		{"apigateway", "GetMethod", &apigateway.GetMethodOutput{ApiKeyRequired: aws.Bool(false)},
			200, "application/json", `{"apiKeyRequired":false}`},
		{"apigateway", "GetIntegration", &apigateway.GetIntegrationOutput{CacheKeyParameters: []string{}, TlsConfig: &types.TlsConfig{}},
			200, "application/json", `{"cacheKeyParameters":[],"tlsConfig":{"insecureSkipVerification":false}}`},
		{"apigateway", "GetIntegration", &apigateway.GetIntegrationOutput{TimeoutInMillis: 29000},
			200, "application/json", `{"timeoutInMillis":29000}`},
		{"apigateway", "GetRestApis", &apigateway.GetRestApisOutput{Items: []types.RestApi{}},
			200, "application/json", `{"item":[]}`},
		{"apigateway", "GetUsage", &apigateway.GetUsageOutput{Items: map[string][][]int64{"k": {{1, 2}, {}}}},
			200, "application/json", `{"values":{"k":[[1,2],[]]}}`},
		{"apigateway", "DeleteRestApi", nil, 202, "application/json", ""},
		{"apigateway", "DeleteMethod", (*apigateway.DeleteMethodOutput)(nil), 204, "", ""},
		{"apigateway", "TagResource", &apigateway.TagResourceOutput{}, 204, "", ""},
		{"apigateway", "GetExport", &apigateway.GetExportOutput{Body: []byte("openapi: 3"), ContentType: aws.String("application/yaml")},
			200, "application/yaml", "openapi: 3"},
		{"apigateway", "GetSdk", &apigateway.GetSdkOutput{Body: []byte{0, 255}}, 200, "application/octet-stream", "\x00\xff"},
		{"apigatewayv2", "GetApi", &apigatewayv2.GetApiOutput{ApiId: aws.String("abc"), CreatedDate: &moment},
			200, "application/json", `{"apiId":"abc","createdDate":"2025-11-19T11:34:56.12Z"}`},
		{"acm", "GetCertificate", &acm.GetCertificateOutput{Certificate: aws.String("-----BEGIN\n")},
			200, "application/x-amz-json-1.1", `{"Certificate":"-----BEGIN\n"}`},
		{"acm", "DeleteCertificate", nil, 200, "application/x-amz-json-1.1", `{}`},
		{"sts", "GetCallerIdentity", &sts.GetCallerIdentityOutput{Account: aws.String("000000000000"), Arn: aws.String("arn:<root>"), UserId: aws.String("")},
			200, "text/xml", `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
				`<Account>000000000000</Account><Arn>arn:&lt;root&gt;</Arn><UserId></UserId></GetCallerIdentityResult>` +
				`<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`},
	} {
		w := httptest.NewRecorder()
		if err := Lookup(v.service, v.operation).Encode(w, "r-1", v.out); err != nil {
			t.Errorf("%s: %v", v.operation, err)
			continue
		}
		if w.Code != v.status || w.Header().Get("Content-Type") != v.contentType || w.Body.String() != v.body || w.Header().Get("x-amzn-RequestId") != "r-1" {
			t.Errorf("%s: %d %v\n got %s\nwant %s", v.operation, w.Code, w.Header(), w.Body, v.body)
		}
	}
}

// Members beside AWS's stand at the end of JSON documents and nowhere else.
func TestEncodeExtras(t *testing.T) {
	extras := []Extra{{"one", []byte(`{"a":1}`)}, {"two", []byte(`null`)}}
	for _, v := range []struct {
		service, operation string
		out                any
		body               string
	}{
		{"apigateway", "GetMethod", &apigateway.GetMethodOutput{HttpMethod: aws.String("GET")}, `{"httpMethod":"GET","one":{"a":1},"two":null}`},
		{"acm", "DeleteCertificate", nil, `{"one":{"a":1},"two":null}`},
		{"apigateway", "DeleteRestApi", nil, ""},
		{"apigateway", "GetSdk", &apigateway.GetSdkOutput{Body: []byte("x")}, "x"},
	} {
		w := httptest.NewRecorder()
		if err := Lookup(v.service, v.operation).Encode(w, "r-1", v.out, extras...); err != nil || w.Body.String() != v.body {
			t.Errorf("%s: %s, %v, want %s", v.operation, w.Body, err, v.body)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, out := range map[string]any{
		"another operation's output":   &apigateway.GetStageOutput{},
		"a year that no form can have": &apigateway.GetRestApiOutput{CreatedDate: &far},
	} {
		w := httptest.NewRecorder()
		if err := Lookup("apigateway", "GetRestApi").Encode(w, "r-1", out); err == nil || w.Body.Len() > 0 {
			t.Errorf("%s: %v, sent %q", name, err, w.Body)
		}
	}
	w := httptest.NewRecorder()
	err := Lookup("apigateway", "GetExport").Encode(w, "r-1", &apigateway.GetExportOutput{ContentType: aws.String("a\r\nSet-Cookie: b")})
	if err == nil || w.Body.Len() > 0 {
		t.Errorf("line break in a header: %v", err)
	}
}

func TestWriteError(t *testing.T) {
	for _, v := range []struct {
		protocol Protocol
		err      Error
		status   int
		headers  map[string]string
		body     string
	}{
		{RESTJSON, Error{Code: "NotFoundException", Message: "Invalid stage \"a\"", Status: 404}, 404,
			map[string]string{"Content-Type": "application/json", "x-amzn-ErrorType": "NotFoundException", "Retry-After": ""},
			`{"message":"Invalid stage \"a\""}`},
		{RESTJSON, Error{Code: "TooManyRequestsException", Message: "slow", Status: 429, RetryAfter: 3}, 429,
			map[string]string{"x-amzn-ErrorType": "TooManyRequestsException", "Retry-After": "3"}, `{"message":"slow"}`},
		{JSON11, Error{Code: "ResourceNotFoundException", Message: "gone", Status: 400}, 400,
			map[string]string{"Content-Type": "application/x-amz-json-1.1"}, `{"__type":"ResourceNotFoundException","message":"gone"}`},
		{Query, Error{Code: "InvalidAction", Message: "a < b", Status: 400}, 400,
			map[string]string{"Content-Type": "text/xml"},
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>a &lt; b</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`},
		{Query, Error{Code: "InternalFailure"}, 500, nil,
			`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Receiver</Type><Code>InternalFailure</Code><Message></Message></Error><RequestId>r-1</RequestId></ErrorResponse>`},
	} {
		w := httptest.NewRecorder()
		WriteError(w, v.protocol, "r-1", &v.err)
		if w.Code != v.status || w.Body.String() != v.body || w.Header().Get("x-amzn-RequestId") != "r-1" {
			t.Errorf("%v: %d %s", v.err.Code, w.Code, w.Body)
		}
		for name, want := range v.headers {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", v.err.Code, name, got, want)
			}
		}
	}
}

// A stream goes out as it is; no service has one yet.
func TestEncodeStream(t *testing.T) {
	type output struct{ Body io.ReadCloser }
	v := reflect.ValueOf(output{io.NopCloser(strings.NewReader("bytes"))})
	w := httptest.NewRecorder()
	f := &field{codec: &codec{typ: readCloserType, kind: kStream}}
	if err := Lookup("apigateway", "GetSdk").writePayload(w, "r-1", 200, f, v.Field(0)); err != nil {
		t.Fatal(err)
	}
	if w.Body.String() != "bytes" || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("x-amzn-RequestId") != "r-1" {
		t.Errorf("%v %q", w.Header(), w.Body)
	}
}

// Every type that has a table survives being stored, and each operation's
// types have one.
func TestMarshalEverything(t *testing.T) {
	for goType, shape := range known().shapes {
		outside := 0
		for _, m := range shape.Members {
			if m.In != inBody {
				outside++
			}
		}
		if outside > 0 || strings.HasSuffix(goType.Name(), "Exception") || strings.Contains(goType.Name(), "Member") {
			continue // requests and errors are no documents, nor is half a union
		}
		for seed := range 12 { // more than any union has members
			doc := filled(goType, seed)
			data, err := Marshal(doc)
			if err != nil {
				t.Fatalf("%s: %v", goType, err)
			}
			if !json.Valid(data) {
				t.Fatalf("%s: %s", goType, data)
			}
			again := reflect.New(goType).Interface()
			if err := Unmarshal(data, again); err != nil {
				t.Fatalf("%s: %v\n%s", goType, err, data)
			}
			if diff := cmp.Diff(doc, again, sameDocument); diff != "" {
				t.Errorf("%s (-stored +read):\n%s", goType, diff)
			}
		}
	}
	for _, service := range Services() {
		for _, op := range service.Operations {
			for _, goType := range []reflect.Type{op.input, op.output} {
				if _, err := planOf(goType); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestMarshal(t *testing.T) {
	for _, v := range []struct {
		doc  any
		want string
	}{
		{types.RestApi{Id: aws.String("a"), Tags: map[string]string{"b": "2", "a": "1"}, EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"EDGE"}}},
			`{"disableExecuteApiEndpoint":false,"endpointConfiguration":{"types":["EDGE"]},"id":"a","tags":{"a":"1","b":"2"}}`},
		{&types.Integration{}, `{}`},
		{&types.ThrottleSettings{}, `{"burstLimit":0,"rateLimit":0}`},
		{&types.ThrottleSettings{RateLimit: 0.000001, BurstLimit: 2147483647}, `{"burstLimit":2147483647,"rateLimit":0.000001}`},
		{[]acmtypes.Tag{{Key: aws.String("k")}}, `[{"Key":"k"}]`},
		{[]acmtypes.Tag{}, `[]`},
		{(*types.RestApi)(nil), `null`},
		{nil, `null`},
		{&types.Model{Schema: aws.String("\x00\x1f\t\r\n\\\"/\xff\u2028é")}, `{"schema":"\u0000\u001f\t\r\n\\\"/` + "\ufffd\u2028é" + `"}`},
		{&types.Stage{CreatedDate: aws.Time(time.UnixMilli(-1500)), Variables: map[string]string{}}, `{"cacheClusterEnabled":false,"createdDate":-1.5,"tracingEnabled":false,"variables":{}}`},
	} {
		data, err := Marshal(v.doc)
		if err != nil || string(data) != v.want {
			t.Errorf("%T: %v\n got %s\nwant %s", v.doc, err, data, v.want)
		}
	}
	if _, err := Marshal(struct{ A int }{}); err == nil {
		t.Error("a type without a table was written")
	}
	if _, err := Marshal(&types.ThrottleSettings{RateLimit: zeroDivided()}); err == nil {
		t.Error("NaN was written")
	}
	var api types.RestApi
	for _, target := range []any{nil, api, (*types.RestApi)(nil)} {
		if err := Unmarshal([]byte("{}"), target); err == nil {
			t.Errorf("unmarshal into %T", target)
		}
	}
	if err := Unmarshal([]byte(`{"apiKeySource":"LATER"}`), &api); err != nil || api.ApiKeySource != "LATER" {
		t.Errorf("a document with a newer enum value: %v", err)
	}
}

func zeroDivided() float64 {
	zero := 0.0
	return zero / zero
}

func TestConvert(t *testing.T) {
	api := types.RestApi{Id: aws.String("a"), DisableExecuteApiEndpoint: true, Tags: map[string]string{"k": "v"}, Version: aws.String("1")}
	out := apigateway.CreateRestApiOutput{Name: aws.String("replaced by nil")}
	Convert(&out, &api)
	if out.Id != api.Id || !out.DisableExecuteApiEndpoint || out.Tags["k"] != "v" || out.Name != nil || *out.Version != "1" {
		t.Errorf("%+v", out)
	}
	// Equal names of other types stay: the input's trust store is not the document's.
	domain := types.DomainName{MutualTlsAuthentication: &types.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/k")}}
	Convert(&domain, apigateway.CreateDomainNameInput{DomainName: aws.String("a.example"), MutualTlsAuthentication: &types.MutualTlsAuthenticationInput{}})
	if *domain.DomainName != "a.example" || *domain.MutualTlsAuthentication.TruststoreUri != "s3://b/k" {
		t.Errorf("%+v", domain)
	}
}

func TestEnumValues(t *testing.T) {
	if got := EnumValues(reflect.TypeFor[types.EndpointType]()); len(got) != 3 || got[0] != "REGIONAL" {
		t.Errorf("%q", got)
	}
	for _, goType := range []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[types.RestApi]()} {
		if got := EnumValues(goType); got != nil {
			t.Errorf("%s: %q", goType, got)
		}
	}
}

func BenchmarkMarshal(b *testing.B) {
	doc := filled(reflect.TypeFor[types.Stage](), 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Marshal(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshal(b *testing.B) {
	data, err := Marshal(filled(reflect.TypeFor[types.Stage](), 0))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var stage types.Stage
		if err := Unmarshal(data, &stage); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRouteAndDecode(b *testing.B) {
	r := httptest.NewRequest("PATCH", "/restapis/abc/stages/prod", nil)
	body := []byte(`{"patchOperations":[{"op":"replace","path":"/tracingEnabled","value":"true"},{"op":"replace","path":"/description","value":"x"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		op, err := Route("apigateway", r, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := op.Decode(r, body); err != nil {
			b.Fatal(err)
		}
	}
}

package resource

import (
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

func expression(e string) string {
	return "BadRequest: Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: " + e + "]"
}

func undeclared(e string) string {
	return "BadRequest: Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: " + e + "]"
}

func TestPutMethod(t *testing.T) {
	type in = apigateway.PutMethodInput
	str := aws.String
	res := types.Resource{Id: str("res"), Path: str("/x")}
	for _, tt := range []struct {
		in   in
		want string
	}{
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE")}, ""},
		{in{HttpMethod: str("ANY"), AuthorizationType: str("AWS_IAM"), ApiKeyRequired: true}, ""},
		{in{HttpMethod: str("get"), AuthorizationType: str("NONE")}, "BadRequest: Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY"},
		{in{HttpMethod: str("TRACE"), AuthorizationType: str("NONE")}, "BadRequest: Invalid HttpMethod specified…"},
		{in{HttpMethod: str("GET")}, "Validation: 1 validation error detected: Value null at 'authorizationType'…"},
		{in{HttpMethod: str("GET"), AuthorizationType: str("MAGIC")}, "BadRequest: Invalid authorizationType specified: 'MAGIC'.…"},
		{in{HttpMethod: str("GET"), AuthorizationType: str("CUSTOM")}, "BadRequest: Invalid authorizer ID specified.…"},
		{in{HttpMethod: str("GET"), AuthorizationType: str("CUSTOM"), AuthorizerId: str("a1")}, ""},
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE"), AuthorizationScopes: []string{"s"}}, "BadRequest: authorizationScopes can only be set with authorizationType COGNITO_USER_POOLS"},
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE"), RequestParameters: map[string]bool{
			"method.request.path.id": true, "method.request.querystring.q[]": false, "method.request.header.X-A": false, "method.request.multivalueheader.A": true}}, ""},
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE"), RequestParameters: map[string]bool{"method.request.body.a": true}}, expression("method.request.body.a")},
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE"), RequestParameters: map[string]bool{"method.request.header.a b": true}}, expression("method.request.header.a b")},
		{in{HttpMethod: str("GET"), AuthorizationType: str("NONE"), RequestModels: map[string]string{"application/json": "No Model"}}, "BadRequest: Invalid model identifier specified: No Model"},
	} {
		_, _, err := PutMethod(res, &tt.in)
		checkErr(t, err, tt.want)
	}
	if res.ResourceMethods != nil {
		t.Error("the input was edited")
	}

	res, m, err := PutMethod(res, &in{HttpMethod: str("GET"), AuthorizationType: str("NONE")})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(types.Method{HttpMethod: str("GET"), AuthorizationType: str("NONE"), ApiKeyRequired: aws.Bool(false)}, m, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, _, err = PutMethod(res, &in{HttpMethod: str("GET"), AuthorizationType: str("NONE")})
	checkErr(t, err, "Conflict: Method already exists for this resource")
	if _, err = DeleteMethod(res, "PUT"); err == nil {
		t.Error("deleted what is not there")
	}
	res = must(DeleteMethod(res, "GET"))
	if _, err = GetMethod(res, "GET"); err == nil {
		t.Error("still there")
	}
	checkErr(t, err, "NotFound: Invalid Method identifier specified")
}

func TestUpdateMethod(t *testing.T) {
	res := testMethodResource()
	_, m, err := UpdateMethod(res, "GET", patches("replace /apiKeyRequired=true", "replace /authorizationType=COGNITO_USER_POOLS", "replace /authorizerId=a1",
		"add /authorizationScopes=s1", "replace /operationName=getPet", "replace /requestValidatorId=v1", "add /requestParameters/method.request.querystring.q=true",
		"remove /requestParameters/method.request.header.X-A", "replace /requestModels/application~1json=Error"))
	if err != nil {
		t.Fatal(err)
	}
	m.MethodIntegration, m.MethodResponses = nil, nil
	if d := cmp.Diff(types.Method{
		HttpMethod: aws.String("GET"), AuthorizationType: aws.String("COGNITO_USER_POOLS"), AuthorizerId: aws.String("a1"), AuthorizationScopes: []string{"s1"},
		ApiKeyRequired: aws.Bool(true), OperationName: aws.String("getPet"), RequestValidatorId: aws.String("v1"),
		RequestParameters: map[string]bool{"method.request.path.id": true, "method.request.querystring.q": true}, RequestModels: map[string]string{"application/json": "Error"},
	}, m, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(testMethodResource(), res, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
}

func TestMethodResponses(t *testing.T) {
	type in = apigateway.PutMethodResponseInput
	str := aws.String
	res := testMethodResource()
	for _, tt := range []struct {
		in   in
		want string
	}{
		{in{HttpMethod: str("GET"), StatusCode: str("404")}, ""},
		{in{HttpMethod: str("GET"), StatusCode: str("200")}, "Conflict: Response already exists for this resource"},
		{in{HttpMethod: str("PUT"), StatusCode: str("200")}, "NotFound: Invalid Method identifier specified"},
		{in{HttpMethod: str("GET"), StatusCode: str("600")}, "Validation: 1 validation error detected: Value '600' at 'statusCode' failed to satisfy constraint: Member must satisfy regular expression pattern: [1-5]\\d\\d"},
		{in{HttpMethod: str("GET")}, "Validation: 1 validation error detected: Value null at 'statusCode'…"},
		{in{HttpMethod: str("GET"), StatusCode: str("404"), ResponseParameters: map[string]bool{"method.response.body": true}}, expression("method.response.body")},
	} {
		_, _, err := PutMethodResponse(res, &tt.in)
		checkErr(t, err, tt.want)
	}
	_, r, err := UpdateMethodResponse(res, "GET", "200", patches("add /responseParameters/method.response.header.X-D=false", "remove /responseModels/application~1json"))
	checkErr(t, err, "")
	if d := cmp.Diff(types.MethodResponse{StatusCode: str("200"), ResponseParameters: map[string]bool{"method.response.header.X-B": true, "method.response.header.X-D": false}}, r, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, _, err = UpdateMethodResponse(res, "GET", "500", nil)
	checkErr(t, err, "NotFound: Invalid Response status code specified")
	_, err = DeleteMethodResponse(res, "GET", "500")
	checkErr(t, err, "NotFound: Invalid Response status code specified")
	_, err = GetMethodResponse(must(DeleteMethodResponse(res, "GET", "200")), "GET", "200")
	checkErr(t, err, "NotFound: Invalid Response status code specified")
}

func TestPutIntegration(t *testing.T) {
	type in = apigateway.PutIntegrationInput
	str := aws.String
	base := func(change func(*in)) in {
		i := in{HttpMethod: str("GET"), Type: types.IntegrationTypeHttpProxy, IntegrationHttpMethod: str("GET"), Uri: str("https://backend.example/")}
		change(&i)
		return i
	}
	mapped := func(target, source string) in {
		return base(func(i *in) { i.RequestParameters = map[string]string{target: source} })
	}
	const header = "integration.request.header.X-H"
	res := testMethodResource()
	for _, tt := range []struct {
		in   in
		want string
	}{
		{base(func(i *in) {}), ""},
		{in{HttpMethod: str("GET"), Type: types.IntegrationTypeMock}, ""},
		{in{HttpMethod: str("PUT"), Type: types.IntegrationTypeMock}, "NotFound: Invalid Method identifier specified"},
		{in{HttpMethod: str("GET")}, "Validation: 1 validation error detected: Value null at 'type'…"},
		{base(func(i *in) { i.Type = "MAGIC" }), "Validation: 1 validation error detected: Value 'MAGIC' at 'type'…"},
		{base(func(i *in) { i.IntegrationHttpMethod = nil }), "BadRequest: Enumeration value for HttpMethod must be non-empty"},
		{base(func(i *in) { i.IntegrationHttpMethod = str("get") }), "BadRequest: Invalid HttpMethod specified.…"},
		{base(func(i *in) { i.Uri = nil }), "BadRequest: Invalid HTTP endpoint specified for URI"},
		{base(func(i *in) { i.Uri = nil; i.IntegrationHttpMethod = nil }), "BadRequest: Enumeration value for HttpMethod must be non-empty; Invalid HTTP endpoint specified for URI"},
		{base(func(i *in) { i.TimeoutInMillis = aws.Int32(50) }), ""},
		{base(func(i *in) { i.TimeoutInMillis = aws.Int32(0) }), "BadRequest: Timeout should be between 50 ms and 29000 ms"},
		{base(func(i *in) { i.TimeoutInMillis = aws.Int32(29001) }), "BadRequest: Timeout should be between 50 ms and 29000 ms"},
		{base(func(i *in) { i.PassthroughBehavior = str("ALWAYS") }), "BadRequest: Invalid passthroughBehavior specified: 'ALWAYS'. Must be one of: [WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER]"},
		{base(func(i *in) { i.ConnectionType = "VPC_LINK" }), "BadRequest: connectionId is required with connectionType VPC_LINK"},
		{base(func(i *in) { i.ConnectionType = "VPC_LINK"; i.ConnectionId = str("v1") }), ""},
		{base(func(i *in) { i.TlsConfig = &types.TlsConfig{InsecureSkipVerification: true} }), ""},
		{in{HttpMethod: str("GET"), Type: types.IntegrationTypeMock, TlsConfig: &types.TlsConfig{InsecureSkipVerification: true}}, "BadRequest: tlsConfig is only supported for the integration types HTTP and HTTP_PROXY"},
		{base(func(i *in) { i.Type = types.IntegrationTypeAwsProxy }), "BadRequest: Invalid ARN specified in the request"},
		{base(func(i *in) {
			i.Type = types.IntegrationTypeAwsProxy
			i.Uri = str("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations")
		}), ""},
		{base(func(i *in) { i.CacheKeyParameters = []string{"x"} }), "BadRequest: Invalid cacheKeyParameters specified: 'x'"},

		// Mapping expressions.
		{mapped(header, "'static'"), ""},
		{mapped(header, "''"), ""},
		{mapped(header, "context.requestId"), ""},
		{mapped(header, "stageVariables.host"), ""},
		{mapped(header, "method.request.path.id"), ""},
		{mapped(header, "method.request.header.X-A"), ""},
		{mapped(header, "method.request.multivalueheader.X-A"), ""},
		{mapped(header, "method.request.body"), ""},
		{mapped(header, "method.request.body.a.b[0]"), ""},
		{mapped("integration.request.querystring.q", "method.request.path.id"), ""},
		{mapped("integration.request.path.proxy", "method.request.path.id"), ""},
		{mapped(header, "method.request.header.X-Z"), undeclared("method.request.header.X-Z")},
		{mapped(header, "method.request.path.proxy"), undeclared("method.request.path.proxy")},
		{mapped(header, "static"), expression("static")},
		{mapped(header, "'"), expression("'")},
		{mapped(header, "'a\r\nX-Evil: 1'"), expression("'a\r\nX-Evil: 1'")},
		{mapped(header, "$context.requestId"), expression("$context.requestId")},
		{mapped("integration.request.body.x", "'a'"), expression("integration.request.body.x")},
		{mapped("integration.request.header.a b", "'a'"), expression("integration.request.header.a b")},
		{mapped("integration.request.header.Content-Length", "'0'"), "BadRequest: integration.request.header.Content-Length cannot be mapped: the gateway sets it"},
		{mapped("integration.request.header.transfer-encoding", "'chunked'"), "BadRequest: integration.request.header.transfer-encoding cannot be mapped…"},
		{base(func(i *in) { i.RequestTemplates = map[string]string{"": "x"} }), "BadRequest: requestTemplates: '' is not a content type"},
		{base(func(i *in) { i.RequestTemplates = map[string]string{"a/b": strings.Repeat("x", 300*1024+1)} }), "BadRequest: requestTemplates: the template for a/b is longer than 307200 bytes"},
	} {
		_, _, err := PutIntegration(res, &tt.in)
		checkErr(t, err, tt.want)
	}
	if d := cmp.Diff(testMethodResource(), res, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}

	proxy := base(func(*in) {})
	res, i, err := PutIntegration(res, &proxy)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(types.Integration{
		Type: "HTTP_PROXY", HttpMethod: str("GET"), Uri: str("https://backend.example/"), TimeoutInMillis: 29000, PassthroughBehavior: str("WHEN_NO_MATCH"),
		CacheNamespace: str("res"), CacheKeyParameters: []string{},
	}, i, sdk); d != "" {
		t.Errorf("defaults, and nothing of the integration before (-want +got):\n%s", d)
	}
	_, err = GetIntegration(must(DeleteIntegration(res, "GET")), "GET")
	checkErr(t, err, "NotFound: Invalid Integration identifier specified")
}

func TestBackendURI(t *testing.T) {
	for uri, want := range map[string]bool{
		"http://backend": true,
		"HTTPS://Backend.Example:8443/a?b=c&d=%20":             true,
		"https://backend.example/{proxy}":                      true,
		"https://backend.example/a/{b}/c?q={d}":                true,
		"https://[::1]:8443/":                                  true,
		"https://127.0.0.1/":                                   true,
		"https://${stageVariables.host}/x":                     true,
		"https://${stageVariables.host}:${stageVariables.p}/x": true,
		"https://api.${stageVariables.zone}/x":                 true,
		"https://backend/${stageVariables.path}":               true,
		"":                                                     false,
		"backend.example":                                      false,
		"//backend.example/":                                   false,
		"ftp://backend.example/":                               false,
		"https://":                                             false,
		"https:///path":                                        false,
		"https://:443/":                                        false,
		"https://user@backend.example/":                        false,
		"https://user:pw@backend.example/":                     false,
		"https://backend.example/#x":                           false,
		"https://backend.example:0/":                           false,
		"https://backend.example:65536/":                       false,
		"https://backend.example:/":                            false,
		"https://back end/":                                    false,
		"https://backend..example/":                            false,
		"https://backend\\evil/":                               false,
		"https://backend/a b":                                  false,
		"https://backend/\r\nX: y":                             false,
		"https://backend/%zz":                                  false,
		"https://{host}/":                                      false,
		"https://backend.{zone}/":                              false,
		"https://backend:{port}/":                              false,
		"https://[backend]/":                                   false,
		"https://[127.0.0.1]/":                                 false,
		"${stageVariables.scheme}://backend/":                  false,
		"https://${context.domainName}/":                       false,
		"https://backend/" + strings.Repeat("a", 2048):         false,
	} {
		if got := validBackend(uri); got != want {
			t.Errorf("%q: %v, want %v", uri, got, want)
		}
	}
}

// What is accepted must mean the same to the reader that dials: a host, no
// user, no fragment, whatever the stage variables and path variables hold.
func FuzzBackendURI(f *testing.F) {
	f.Add("https://${stageVariables.host}:8443/a/{proxy}?q={q}")
	f.Add("http://[::1]:80/%20")
	f.Add("https://user@host/")
	f.Fuzz(func(t *testing.T, uri string) {
		if !validBackend(uri) {
			return
		}
		plain := uriPathVariable.ReplaceAllString(uriStageVariable.ReplaceAllString(uri, "1"), "x")
		u, err := url.Parse(plain)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("%q: %v, %+v", uri, err, u)
		}
		if _, rest, _ := strings.Cut(plain, "://"); u.Host != strings.FieldsFunc(rest, func(r rune) bool { return r == '/' || r == '?' })[0] {
			t.Fatalf("%q: dials %q", uri, u.Host)
		}
	})
}

func TestUpdateIntegration(t *testing.T) {
	res := testMethodResource()
	after, i, err := UpdateIntegration(res, "GET", patches("replace /uri=http://other.example/", "replace /httpMethod=POST", "replace /timeoutInMillis=100",
		"replace /tlsConfig/insecureSkipVerification=true", "replace /passthroughBehavior=NEVER", "replace /connectionType=INTERNET", "replace /contentHandling=CONVERT_TO_TEXT",
		"replace /responseTransferMode=BUFFERED", "replace /cacheNamespace=ns", "remove /requestParameters/integration.request.path.id", "remove /requestTemplates/application~1json",
		"add /cacheKeyParameters/method.request.header.X-A"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(types.Integration{
		Type: "HTTP", HttpMethod: aws.String("POST"), Uri: aws.String("http://other.example/"), TimeoutInMillis: 100, PassthroughBehavior: aws.String("NEVER"),
		TlsConfig: &types.TlsConfig{InsecureSkipVerification: true}, ConnectionType: "INTERNET", ContentHandling: "CONVERT_TO_TEXT", ResponseTransferMode: "BUFFERED",
		CacheNamespace: aws.String("ns"), CacheKeyParameters: []string{"method.request.path.id", "method.request.header.X-A"},
		IntegrationResponses: must(GetIntegration(res, "GET")).IntegrationResponses,
	}, i, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(i, must(GetIntegration(after, "GET")), sdk); d != "" {
		t.Errorf("the resource holds another:\n%s", d)
	}
	if d := cmp.Diff(testMethodResource(), res, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
	if _, i, _ = UpdateIntegration(after, "GET", patches("replace /contentHandling=", "replace /cacheNamespace=")); i.ContentHandling != "" || aws.ToString(i.CacheNamespace) != "res" {
		t.Errorf("not unset: %+v", i)
	}

	mock, _, err := PutIntegration(res, &apigateway.PutIntegrationInput{HttpMethod: aws.String("GET"), Type: types.IntegrationTypeMock})
	checkErr(t, err, "")
	_, _, err = UpdateIntegration(mock, "GET", patches("replace /uri=https://backend.example/"))
	checkErr(t, err, "BadRequest: Invalid patch path /uri")
	_, _, err = UpdateIntegration(mock, "PUT", nil)
	checkErr(t, err, "NotFound: Invalid Method identifier specified")
}

func TestIntegrationResponses(t *testing.T) {
	type in = apigateway.PutIntegrationResponseInput
	str := aws.String
	res := testMethodResource()
	for _, tt := range []struct {
		in   in
		want string
	}{
		{in{StatusCode: str("200"), SelectionPattern: str(`5\d{2}`)}, ""},
		{in{StatusCode: str("404")}, "NotFound: Invalid Response status code specified"},
		{in{StatusCode: str("2xx")}, "Validation: 1 validation error detected: Value '2xx' at 'statusCode'…"},
		{in{StatusCode: str("200"), SelectionPattern: str(`(?!2)..`)}, "BadRequest: Invalid selection pattern specified: '(?!2)..' is not a regular expression that this gateway can match"},
		{in{StatusCode: str("200"), SelectionPattern: str(`(`)}, "BadRequest: Invalid selection pattern specified…"},
		{in{StatusCode: str("200"), ContentHandling: "MAGIC"}, "Validation: 1 validation error detected: Value 'MAGIC' at 'contentHandling'…"},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-B": "'a'"}}, ""},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-B": "integration.response.body.a.b"}}, ""},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-B": "integration.response.multivalueheader.Set-Cookie"}}, ""},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-B": "method.request.path.id"}}, expression("method.request.path.id")},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-B": "'a\nb'"}}, expression("'a\nb'")},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.X-Z": "'a'"}}, undeclared("method.response.header.X-Z")},
		{in{StatusCode: str("200"), ResponseParameters: map[string]string{"method.response.header.Connection": "'close'"}}, "BadRequest: method.response.header.Connection cannot be mapped: the gateway sets it"},
	} {
		tt.in.HttpMethod = str("GET")
		_, _, err := PutIntegrationResponse(res, &tt.in)
		checkErr(t, err, tt.want)
	}
	_, r, err := UpdateIntegrationResponse(res, "GET", "200", patches("replace /selectionPattern=4..", "replace /contentHandling=CONVERT_TO_BINARY",
		"replace /responseParameters/method.response.header.X-B=context.requestId", "add /responseTemplates/text~1plain=hi", "remove /responseTemplates/application~1json"))
	checkErr(t, err, "")
	if d := cmp.Diff(types.IntegrationResponse{StatusCode: str("200"), SelectionPattern: str("4.."), ContentHandling: "CONVERT_TO_BINARY",
		ResponseParameters: map[string]string{"method.response.header.X-B": "context.requestId"}, ResponseTemplates: map[string]string{"text/plain": "hi"}}, r, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(testMethodResource(), res, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
	_, err = GetIntegrationResponse(must(DeleteIntegrationResponse(res, "GET", "200")), "GET", "200")
	checkErr(t, err, "NotFound: Invalid Response status code specified")
	_, err = DeleteIntegrationResponse(res, "GET", "500")
	checkErr(t, err, "NotFound: Invalid Response status code specified")
}

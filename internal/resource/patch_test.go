package resource

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sallyport/sallyport/internal/awsapi"
)

var (
	testTime  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	testLater = testTime.Add(time.Hour)
	testPlace = Place{Region: "us-east-1", Account: "000000000000", Suffix: "amazonaws.com"}
)

// sdk lets cmp look at documents.
var sdk = cmpopts.IgnoreUnexported(
	types.RestApi{}, types.EndpointConfiguration{}, types.Resource{}, types.Method{}, types.MethodResponse{}, types.Integration{},
	types.IntegrationResponse{}, types.TlsConfig{}, types.Stage{}, types.MethodSetting{}, types.AccessLogSettings{}, types.CanarySettings{},
	types.DomainName{}, types.MutualTlsAuthentication{}, types.BasePathMapping{}, types.Deployment{}, types.MethodSnapshot{},
	types.ThrottleSettings{}, types.PatchOperation{}, types.ClientCertificate{},
)

// patches reads operations as people write them: "replace /name=x",
// "remove /a", "copy /a<-/b". A path with "=" needs patch.
func patches(lines ...string) []types.PatchOperation {
	var ops []types.PatchOperation
	for _, l := range lines {
		op, rest, _ := strings.Cut(l, " ")
		o := types.PatchOperation{Op: types.Op(op)}
		if path, from, ok := strings.Cut(rest, "<-"); ok {
			o.Path, o.From = aws.String(path), aws.String(from)
		} else if path, value, ok := strings.Cut(rest, "="); ok {
			o.Path, o.Value = aws.String(path), aws.String(value)
		} else {
			o.Path = aws.String(rest)
		}
		ops = append(ops, o)
	}
	return ops
}

// checkErr compares an error with what is wanted: "" for none, "Kind: text" for
// the whole text, "Kind: text…" for its beginning.
func checkErr(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	var e *Error
	if errors.As(err, &e) {
		got = map[Kind]string{BadRequest: "BadRequest", Validation: "Validation", NotFound: "NotFound", Conflict: "Conflict", LimitExceeded: "LimitExceeded"}[e.Kind] + ": " + e.Message
	} else if err != nil {
		got = "untyped: " + err.Error()
	}
	if start, ok := strings.CutSuffix(want, "…"); ok && strings.HasPrefix(got, start) {
		return
	}
	if got != want {
		t.Errorf("error\n got %q\nwant %q", got, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Documents with everything set that a table can reach.
func testAPI() types.RestApi {
	api, _, err := NewRestAPI(&apigateway.CreateRestApiInput{
		Name: aws.String("pets"), Description: aws.String("d"), BinaryMediaTypes: []string{"image/png"},
		MinimumCompressionSize: aws.Int32(5), Tags: map[string]string{"a": "b"},
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"PRIVATE"}, VpcEndpointIds: []string{"vpce-0a"}},
	}, "api", "root", testTime)
	return must(api, err)
}

func testMethodResource() types.Resource {
	res := types.Resource{Id: aws.String("res"), ParentId: aws.String("root"), PathPart: aws.String("{id}"), Path: aws.String("/{id}")}
	res, _, err := PutMethod(res, &apigateway.PutMethodInput{
		HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE"),
		RequestParameters: map[string]bool{"method.request.path.id": true, "method.request.header.X-A": false},
		RequestModels:     map[string]string{"application/json": "Empty"},
	})
	if err == nil {
		res, _, err = PutMethodResponse(res, &apigateway.PutMethodResponseInput{
			HttpMethod: aws.String("GET"), StatusCode: aws.String("200"),
			ResponseParameters: map[string]bool{"method.response.header.X-B": true},
			ResponseModels:     map[string]string{"application/json": "Empty"},
		})
	}
	if err == nil {
		res, _, err = PutIntegration(res, &apigateway.PutIntegrationInput{
			HttpMethod: aws.String("GET"), Type: types.IntegrationTypeHttp, IntegrationHttpMethod: aws.String("GET"),
			Uri:                aws.String("https://backend.example/{id}"),
			RequestParameters:  map[string]string{"integration.request.path.id": "method.request.path.id"},
			RequestTemplates:   map[string]string{"application/json": "{}"},
			CacheKeyParameters: []string{"method.request.path.id"},
		})
	}
	if err == nil {
		res, _, err = PutIntegrationResponse(res, &apigateway.PutIntegrationResponseInput{
			HttpMethod: aws.String("GET"), StatusCode: aws.String("200"),
			ResponseParameters: map[string]string{"method.response.header.X-B": "integration.response.header.X-C"},
			ResponseTemplates:  map[string]string{"application/json": "{}"},
		})
	}
	return must(res, err)
}

func testStage() types.Stage {
	s := must(NewStage(&apigateway.CreateStageInput{
		StageName: aws.String("prod"), DeploymentId: aws.String("dep1"), Variables: map[string]string{"host": "a.example"},
		CanarySettings: &types.CanarySettings{DeploymentId: aws.String("dep2"), PercentTraffic: 10, StageVariableOverrides: map[string]string{"host": "b.example"}},
	}, testTime))
	return must(UpdateStage(s, patches("replace /*/*/metrics/enabled=true",
		"replace /accessLogSettings/destinationArn=arn:aws:logs:us-east-1:000000000000:log-group:g",
		"replace /accessLogSettings/format=$context.requestId"), testTime))
}

const (
	certA = "arn:aws:acm:us-east-1:000000000000:certificate/aaaaaaaa-0000-0000-0000-000000000000"
	certB = "arn:aws:acm:us-east-1:000000000000:certificate/bbbbbbbb-0000-0000-0000-000000000000"
)

func testDomain() types.DomainName {
	return must(NewDomainName(&apigateway.CreateDomainNameInput{
		DomainName: aws.String("api.example.com"), RegionalCertificateArn: aws.String(certA),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"REGIONAL"}},
	}, testPlace, testTime))
}

func testMapping() types.BasePathMapping {
	return must(NewBasePathMapping(&apigateway.CreateBasePathMappingInput{RestApiId: aws.String("api"), Stage: aws.String("prod"), BasePath: aws.String("v1")}))
}

// updates names every Update operation, each on a document that it may change.
var updates = []struct {
	name string
	// run applies operations and returns the document before and after, the
	// operation's document as the wire writes it, and the error.
	run   func(ops []types.PatchOperation) (before, after any, err error)
	paths map[string]opSet
}{
	{"UpdateAccount", func(ops []types.PatchOperation) (any, any, error) {
		a := NewAccount()
		b, err := UpdateAccount(a, ops)
		return *a, *b, err
	}, pathsOf(accountPaths)},
	{"UpdateBasePathMapping", func(ops []types.PatchOperation) (any, any, error) {
		a := testMapping()
		b, err := UpdateBasePathMapping(a, ops)
		return a, b, err
	}, pathsOf(mappingPaths)},
	{"UpdateClientCertificate", func(ops []types.PatchOperation) (any, any, error) {
		a := types.ClientCertificate{ClientCertificateId: aws.String("a1b2c3"), Description: aws.String("d")}
		b, err := UpdateClientCertificate(a, ops)
		return a, b, err
	}, pathsOf(clientCertificatePaths)},
	{"UpdateDeployment", func(ops []types.PatchOperation) (any, any, error) {
		a := types.Deployment{Id: aws.String("dep")}
		b, err := UpdateDeployment(a, ops)
		return a, b, err
	}, pathsOf(deploymentPaths)},
	{"UpdateDomainName", func(ops []types.PatchOperation) (any, any, error) {
		a := testDomain()
		b, err := UpdateDomainName(a, ops, testPlace, testLater)
		return a, b, err
	}, pathsOf(domainNamePaths)},
	{"UpdateIntegration", func(ops []types.PatchOperation) (any, any, error) {
		a := testMethodResource()
		b, _, err := UpdateIntegration(a, "GET", ops)
		return a, b, err
	}, pathsOf(integrationPaths)},
	{"UpdateIntegrationResponse", func(ops []types.PatchOperation) (any, any, error) {
		a := testMethodResource()
		b, _, err := UpdateIntegrationResponse(a, "GET", "200", ops)
		return a, b, err
	}, pathsOf(integrationResponsePaths)},
	{"UpdateMethod", func(ops []types.PatchOperation) (any, any, error) {
		a := testMethodResource()
		b, _, err := UpdateMethod(a, "GET", ops)
		return a, b, err
	}, pathsOf(methodPaths)},
	{"UpdateMethodResponse", func(ops []types.PatchOperation) (any, any, error) {
		a := testMethodResource()
		b, _, err := UpdateMethodResponse(a, "GET", "200", ops)
		return a, b, err
	}, pathsOf(methodResponsePaths)},
	{"UpdateResource", func(ops []types.PatchOperation) (any, any, error) {
		root := types.Resource{Id: aws.String("root"), Path: aws.String("/")}
		a := testMethodResource()
		b, err := UpdateResource("res", []types.Resource{root, a}, ops)
		if err != nil {
			return a, a, err
		}
		return a, b[0], nil
	}, pathsOf(resourcePaths)},
	{"UpdateRestApi", func(ops []types.PatchOperation) (any, any, error) {
		a := testAPI()
		b, err := UpdateRestAPI(a, ops)
		return a, b, err
	}, pathsOf(restAPIPaths)},
	{"UpdateStage", func(ops []types.PatchOperation) (any, any, error) {
		a := testStage()
		b, err := UpdateStage(a, ops, testLater)
		return a, b, err
	}, pathsOf(stagePaths)},
}

func pathsOf[T any](t table[T]) map[string]opSet {
	m := map[string]opSet{}
	for _, r := range t.rows {
		m[r.path] = r.ops
	}
	return m
}

// The paths and operations of each Update, as the API reference prints them:
// a add, r replace, x remove, c copy. Rows that clients send and the reference
// does not print are marked.
func TestPatchTables(t *testing.T) {
	want := map[string]string{
		"UpdateAccount":           "/cloudwatchRoleArn:r /features:ax",
		"UpdateBasePathMapping":   "/basepath:r /basePath:r /restapiId:r /restApiId:r /stage:r", // /basePath: Terraform
		"UpdateClientCertificate": "/description:r",
		"UpdateDeployment":        "/description:r",
		"UpdateDomainName": "/certificateArn:arx /certificateName:arx /regionalCertificateArn:arx /regionalCertificateName:arx " +
			"/endpointConfiguration/types:ax /endpointConfiguration/types/{type}:r /endpointConfiguration/ipAddressType:r " + // types/{type}: Terraform
			"/endpointAccessMode:r /securityPolicy:r /mutualTlsAuthentication/truststoreUri:arx /mutualTlsAuthentication/truststoreVersion:arx " +
			"/ownershipVerificationCertificateArn:arx /routingMode:r /policy:r /managementPolicy:r",
		"UpdateIntegration": "/uri:r /httpMethod:r /type: /connectionType:r /connectionId:r /integrationTarget:r /contentHandling:r /passthroughBehavior:r " +
			"/timeoutInMillis:r /tlsConfig/insecureSkipVerification:r /responseTransferMode:r /cacheNamespace:r /cacheKeyParameters/{name}:arx " +
			"/requestParameters/{name}:arx /requestTemplates/{contentType}:arx",
		"UpdateIntegrationResponse": "/selectionPattern:r /contentHandling:r /responseParameters/{name}:arx /responseTemplates/{contentType}:arx",
		"UpdateMethod": "/authorizationType:r /authorizerId:r /authorizationScopes:ax /apiKeyRequired:r /operationName:r /requestValidatorId:r " +
			"/requestParameters/{name}:arx /requestModels/{contentType}:arx",
		"UpdateMethodResponse": "/responseParameters/{name}:arx /responseModels/{contentType}:arx",
		"UpdateResource":       "/parentId:r /pathPart:r",
		"UpdateRestApi": "/name:r /description:arx /apiKeySource:r /policy:r /binaryMediaTypes/{type}:arx /minimumCompressionSize:r /disableExecuteApiEndpoint:r " +
			"/endpointConfiguration/types/{type}:r /endpointConfiguration/vpcEndpointIds:ax /endpointConfiguration/ipAddressType:r /securityPolicy:r /endpointAccessMode:r",
		"UpdateStage": "/deploymentId:rc /description:r /clientCertificateId:r /tracingEnabled:r /cacheClusterEnabled:r /cacheClusterSize:r /documentationVersion:r " +
			"/variables:rxc /variables/{name}:rx /accessLogSettings:x /accessLogSettings/{member}:arx /canarySettings:x /canarySettings/deploymentId:r " +
			"/canarySettings/percentTraffic:r /canarySettings/useStageCache:r /canarySettings/stageVariableOverrides:r " +
			"/canarySettings/stageVariableOverrides/{name}:rx /methodSettings:r /{resourcePath}/{httpMethod}:x " +
			"/{resourcePath}/{httpMethod}/metrics/enabled:r /{resourcePath}/{httpMethod}/logging/dataTrace:r /{resourcePath}/{httpMethod}/logging/loglevel:r " +
			"/{resourcePath}/{httpMethod}/throttling/burstLimit:r /{resourcePath}/{httpMethod}/throttling/rateLimit:r /{resourcePath}/{httpMethod}/caching/ttlInSeconds:r " +
			"/{resourcePath}/{httpMethod}/caching/enabled:r /{resourcePath}/{httpMethod}/caching/dataEncrypted:r " +
			"/{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl:r /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy:r",
	}
	for _, u := range updates {
		rows := map[string]opSet{}
		for _, f := range strings.Fields(want[u.name]) {
			path, letters, _ := strings.Cut(f, ":")
			for _, l := range letters {
				rows[path] |= map[rune]opSet{'a': add, 'r': replace, 'x': remove, 'c': copyFrom}[l]
			}
			rows[path] |= 0
		}
		if d := cmp.Diff(rows, u.paths); d != "" {
			t.Errorf("%s (-want +got):\n%s", u.name, d)
		}
	}
}

// Whatever the operation, no operations change nothing, a failing one leaves
// all as it was, and the input is never edited.
func TestUpdatesAreTransactions(t *testing.T) {
	for _, u := range updates {
		t.Run(u.name, func(t *testing.T) {
			for _, none := range [][]types.PatchOperation{nil, {}} {
				before, after, err := u.run(none)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(before, after, sdk, cmpopts.IgnoreUnexported(apigateway.GetAccountOutput{}), cmpopts.IgnoreFields(apigateway.GetAccountOutput{}, "ResultMetadata")); d != "" {
					t.Errorf("no operations changed something:\n%s", d)
				}
			}
			for path, ops := range u.paths {
				for _, o := range opNames {
					if ops&o.bit != 0 || strings.HasPrefix(path, "/{") {
						continue
					}
					literal := strings.NewReplacer("{", "", "}", "").Replace(path)
					_, _, err := u.run([]types.PatchOperation{{Op: o.op, Path: &literal, Value: aws.String("x")}})
					if err == nil {
						t.Errorf("%s %s: accepted", o.op, path)
					}
				}
			}
			before, after, err := u.run(patches("replace /description=changed", "replace /stage=changed", "replace /no/such=1"))
			if err == nil {
				t.Fatal("accepted a path that does not exist")
			}
			if d := cmp.Diff(before, after, sdk, cmpopts.IgnoreUnexported(apigateway.GetAccountOutput{}), cmpopts.IgnoreFields(apigateway.GetAccountOutput{}, "ResultMetadata")); d != "" {
				t.Errorf("a refused request changed something:\n%s", d)
			}
		})
	}
}

func TestPatchRefusals(t *testing.T) {
	for _, tt := range []struct{ update, ops, want string }{
		{"UpdateRestApi", "move /name", "BadRequest: Invalid patch operation specified. Must be 'add'|'remove'|'replace'"},
		{"UpdateRestApi", "test /name", "BadRequest: Invalid patch operation specified. Must be 'add'|'remove'|'replace'"},
		{"UpdateRestApi", "copy /name<-/description", "BadRequest: Invalid patch operation specified. Must be 'add'|'remove'|'replace'"},
		{"UpdateStage", "move /variables", "BadRequest: Invalid patch operation specified. Must be one of: [add, remove, replace, copy]"},
		{"UpdateDeployment", "remove /description", "BadRequest: Invalid patch operation specified. Must be one of: [replace]"},
		{"UpdateRestApi", "destroy /name", "Validation: 1 validation error detected: Value 'destroy' at 'patchOperations.1.member.op' failed to satisfy constraint: Member must satisfy enum value set: [add, remove, replace, move, copy, test]"},
		{"UpdateDeployment", "replace /id=x", "BadRequest: Invalid patch path  '/id' specified for op 'replace'. Must be one of: [/description]"},
		{"UpdateResource", "replace /path=x", "BadRequest: Invalid patch path  '/path' specified for op 'replace'. Must be one of: [/parentId, /pathPart]"},
		{"UpdateRestApi", "add /nope=x", "BadRequest: Invalid patch path  '/nope' specified for op 'add'. Must be one of: [/description, /binaryMediaTypes/{type}, /endpointConfiguration/vpcEndpointIds]"},
		{"UpdateRestApi", "add /name=x", "BadRequest: Invalid patch path  '/name' specified for op 'add'. Please choose supported operations"},
		{"UpdateIntegration", "replace /type=MOCK", "BadRequest: Invalid patch path  '/type' specified for op 'replace'. Please choose supported operations"},
		{"UpdateRestApi", "replace name=x", "BadRequest: Invalid patch path name"},
		{"UpdateRestApi", "replace =x", "BadRequest: Invalid patch path "},
		{"UpdateRestApi", "replace /na~2me=x", "BadRequest: Invalid patch path /na~2me"},
		{"UpdateRestApi", "replace /name~=x", "BadRequest: Invalid patch path /name~"},
		{"UpdateRestApi", "replace /name", "BadRequest: Invalid patch value: op 'replace' on path '/name' needs a value"},
		{"UpdateRestApi", "replace /name=", "BadRequest: Name cannot be empty"},
		{"UpdateRestApi", "replace /apiKeySource=COOKIE", "BadRequest: Invalid patch value 'COOKIE' for path '/apiKeySource': must be one of [HEADER, AUTHORIZER]"},
		{"UpdateRestApi", "replace /disableExecuteApiEndpoint=yes", "BadRequest: Invalid patch value 'yes' for path '/disableExecuteApiEndpoint': must be true or false"},
		{"UpdateRestApi", "replace /minimumCompressionSize=10485761", "BadRequest: Invalid minimum compression size, must be between 0 and 10485760"},
		{"UpdateRestApi", "replace /minimumCompressionSize=-1", "BadRequest: Invalid minimum compression size, must be between 0 and 10485760"},
		{"UpdateRestApi", "remove /binaryMediaTypes/image~1gif", "BadRequest: Invalid patch path /binaryMediaTypes/image~1gif"},
		{"UpdateRestApi", "remove /endpointConfiguration/vpcEndpointIds=vpce-0b", "BadRequest: Invalid patch value 'vpce-0b' for path '/endpointConfiguration/vpcEndpointIds': it is not there to remove"},
		{"UpdateRestApi", "add /endpointConfiguration/vpcEndpointIds=eni-1", "BadRequest: Invalid vpcEndpointIds specified: 'eni-1'…"},
		{"UpdateRestApi", "replace /endpointConfiguration/types/1=EDGE", "BadRequest: Invalid patch path /endpointConfiguration/types/1"},
		{"UpdateRestApi", "replace /endpointConfiguration/types/0=MOON", "BadRequest: Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE"},
		{"UpdateRestApi", "replace /endpointConfiguration/ipAddressType=ipv4", "BadRequest: Only dualstack ipAddressType is supported for Private APIs."},
		{"UpdateRestApi", "replace /endpointConfiguration/ipAddressType=ipv6", "BadRequest: ipAddressType must be either ipv4 or dualstack.…"},
		{"UpdateRestApi", "replace /policy={}", "BadRequest: Invalid policy document. Please check the policy syntax and ensure that Principals are valid."},
		{"UpdateIntegration", "replace /timeoutInMillis=49", "BadRequest: Timeout should be between 50 ms and 29000 ms"},
		{"UpdateIntegration", "replace /timeoutInMillis=29001", "BadRequest: Timeout should be between 50 ms and 29000 ms"},
		{"UpdateIntegration", "replace /uri=ftp://backend.example/", "BadRequest: Invalid HTTP endpoint specified for URI"},
		{"UpdateIntegration", "replace /httpMethod=", "BadRequest: Enumeration value for HttpMethod must be non-empty"},
		{"UpdateMethod", "remove /requestParameters/method.request.path.id", "BadRequest: Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: method.request.path.id]"},
		{"UpdateMethod", "replace /authorizationType=MAGIC", "BadRequest: Invalid authorizationType specified: 'MAGIC'. Must be one of: [NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS]"},
		{"UpdateMethod", "replace /authorizationType=CUSTOM", "BadRequest: Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer."},
		{"UpdateMethodResponse", "remove /responseParameters/method.response.header.X-B", "BadRequest: Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: method.response.header.X-B]"},
		{"UpdateAccount", "remove /features=UsagePlans", "BadRequest: The feature UsagePlans cannot be removed"},
		{"UpdateAccount", "replace /cloudwatchRoleArn=role", "BadRequest: The role ARN does not have required permissions configured…"},
		{"UpdateBasePathMapping", "replace /basepath=a b", "BadRequest: Invalid base path specified: 'a b'.…"},
		{"UpdateBasePathMapping", "replace /restapiId=", "BadRequest: Invalid REST API identifier specified"},
	} {
		t.Run(tt.update+" "+tt.ops, func(t *testing.T) {
			for _, u := range updates {
				if u.name == tt.update {
					_, _, err := u.run(patches(tt.ops))
					checkErr(t, err, tt.want)
				}
			}
		})
	}
}

// What Terraform's provider sends beyond the printed tables.
func TestTerraformsPatches(t *testing.T) {
	for _, tt := range []struct {
		update string
		ops    []string
	}{
		{"UpdateRestApi", []string{"replace /endpointConfiguration/types/0=REGIONAL"}},
		{"UpdateRestApi", []string{"remove /binaryMediaTypes/image~1png", "add /binaryMediaTypes/image~1png", "add /binaryMediaTypes/*~1*"}},
		{"UpdateRestApi", []string{"replace /minimumCompressionSize"}},
		{"UpdateRestApi", []string{"remove /endpointConfiguration/vpcEndpointIds=vpce-0a", "add /endpointConfiguration/vpcEndpointIds=vpce-0b"}},
		{"UpdateDomainName", []string{"replace /mutualTlsAuthentication/truststoreUri="}},
		{"UpdateDomainName", []string{"replace /endpointConfiguration/types/0=EDGE", "add /certificateArn=" + certB}},
		{"UpdateStage", []string{"remove /variables/host"}},
		{"UpdateStage", []string{"replace /canarySettings/stageVariableOverrides/port=80", "remove /canarySettings/stageVariableOverrides/host"}},
		{"UpdateStage", []string{"replace /canarySettings/percentTraffic=10.000000"}},
		{"UpdateStage", []string{"remove /*/*"}},
		{"UpdateIntegration", []string{"add /cacheKeyParameters/method.request.header.X-A=", "remove /cacheKeyParameters/method.request.path.id="}},
		{"UpdateIntegration", []string{"add /requestTemplates/text~1xml=<a/>", "replace /requestTemplates/application~1json=[]", "remove /requestTemplates/application~1json"}},
		{"UpdateIntegration", []string{"add /requestParameters/integration.request.header.X-A=method.request.header.X-A", "remove /requestParameters/integration.request.path.id"}},
		{"UpdateBasePathMapping", []string{"replace /basePath=v2"}},
		{"UpdateAccount", []string{"replace /cloudwatchRoleArn=arn:aws:iam::123456789012:role/logs", "replace /cloudwatchRoleArn="}},
		{"UpdateAccount", []string{"replace /cloudwatchRoleArn=arn:aws:iam::123456789012:role/logs", "replace /cloudwatchRoleArn"}},
	} {
		t.Run(tt.update+" "+strings.Join(tt.ops, "; "), func(t *testing.T) {
			for _, u := range updates {
				if u.name == tt.update {
					_, _, err := u.run(patches(tt.ops...))
					checkErr(t, err, "")
				}
			}
		})
	}
}

func TestEscapes(t *testing.T) {
	for in, want := range map[string]string{"a~1b": "a/b", "a~0b": "a~b", "~01": "~1", "~00": "~0", "~1~0": "/~"} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzPatch sends any operations to every table. What is accepted must survive
// the wire and be accepted again; what is refused must be refused with words
// and leave the document alone.
func FuzzPatch(f *testing.F) {
	for i, u := range updates {
		for path := range u.paths {
			f.Add(uint8(i), "replace", path, "x", false)
		}
	}
	f.Add(uint8(10), "replace", "/~1pets~1{id}/GET/logging/loglevel", "INFO", false)
	f.Add(uint8(9), "remove", "/binaryMediaTypes/image~1png", "", true)
	f.Fuzz(func(t *testing.T, which uint8, op, path, value string, noValue bool) {
		u := updates[int(which)%len(updates)]
		o := types.PatchOperation{Op: types.Op(op), Path: &path, Value: &value, From: aws.String("/canarySettings/deploymentId")}
		if noValue {
			o.Value = nil
		}
		before, after, err := u.run([]types.PatchOperation{o})
		opts := cmp.Options{sdk, cmpopts.IgnoreUnexported(apigateway.GetAccountOutput{}), cmpopts.IgnoreFields(apigateway.GetAccountOutput{}, "ResultMetadata")}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Message == "" || e.Kind == Internal {
				t.Fatalf("refused without words: %v", err)
			}
			if d := cmp.Diff(before, after, opts); d != "" {
				t.Fatalf("refused, and changed:\n%s", d)
			}
			return
		}
		data, err := awsapi.Marshal(after)
		if err != nil {
			t.Fatalf("accepted, and cannot be written: %v", err)
		}
		if !utf8.ValidString(path) || !utf8.ValidString(value) {
			return // JSON has no such texts
		}
		read := reflect.New(reflect.TypeOf(after))
		if err := awsapi.Unmarshal(data, read.Interface()); err != nil {
			t.Fatalf("accepted, and cannot be read: %v", err)
		}
		if d := cmp.Diff(after, read.Elem().Interface(), opts, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("read back as something else:\n%s", d)
		}
	})
}

func ExampleUpdateRestAPI() {
	api, _, _ := NewRestAPI(&apigateway.CreateRestApiInput{
		Name:                  aws.String("pets"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
	}, "a1b2c3", "r1", time.Now())
	_, err := UpdateRestAPI(api, []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/securityPolicy"), Value: aws.String("SecurityPolicy_TLS13_1_3_2025_09")},
	})
	fmt.Println(err)
	// Output: Endpoint access mode is required for the specified security policy
}

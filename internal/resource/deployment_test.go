package resource

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/internal/awsapi"
)

// integrated makes a resource with one method per integration.
func integrated(path string, by map[string]*types.Integration) types.Resource {
	r := types.Resource{Id: aws.String(path), Path: aws.String(path), ResourceMethods: map[string]types.Method{}}
	for m, i := range by {
		r.ResourceMethods[m] = types.Method{HttpMethod: aws.String(m), AuthorizationType: aws.String("NONE"), MethodIntegration: i}
	}
	return r
}

func TestFreeze(t *testing.T) {
	api := testAPI()
	mock := &types.Integration{Type: types.IntegrationTypeMock, RequestTemplates: map[string]string{"application/json": `{"statusCode":200}`}}
	dollar := map[string]string{"application/json": "$input.body"}
	hash := map[string]string{"text/xml": "#set"}
	for _, tt := range []struct {
		name      string
		resources []types.Resource
		want      string
	}{
		{"nothing", nil, "BadRequest: The REST API doesn't contain any methods"},
		{"no methods", tree("/pets"), "BadRequest: The REST API doesn't contain any methods"},
		{"no integration", []types.Resource{integrated("/b", map[string]*types.Integration{"PUT": nil, "GET": nil}), integrated("/a", map[string]*types.Integration{"GET": nil, "POST": mock})},
			"BadRequest: No integration defined for method: GET /a, GET /b, PUT /b"},
		{"plain templates", []types.Resource{integrated("/a", map[string]*types.Integration{"GET": mock})}, ""},
		{"template language", []types.Resource{integrated("/a", map[string]*types.Integration{
			"GET":  {Type: types.IntegrationTypeHttp, RequestTemplates: dollar},
			"POST": {Type: types.IntegrationTypeMock, IntegrationResponses: map[string]types.IntegrationResponse{"200": {ResponseTemplates: hash}}},
		})}, "BadRequest: Mapping templates that hold '$' or '#' are not supported by this gateway yet: GET /a request application/json, POST /a response 200 text/xml"},
		{"templates that never run", []types.Resource{integrated("/a", map[string]*types.Integration{
			"GET": {Type: types.IntegrationTypeHttpProxy, RequestTemplates: dollar}, "PUT": {Type: types.IntegrationTypeAws, RequestTemplates: dollar},
		})}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Freeze(api, tt.resources)
			checkErr(t, err, tt.want)
		})
	}

	res := testMethodResource()
	f := must(Freeze(api, []types.Resource{res}))
	var frozenAPI types.RestApi
	var frozenRes types.Resource
	if err := awsapi.Unmarshal(f.RestAPI, &frozenAPI); err != nil {
		t.Fatal(err)
	}
	if err := awsapi.Unmarshal(f.Resources[0], &frozenRes); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(api, frozenAPI, sdk); d != "" {
		t.Errorf("API (-want +got):\n%s", d)
	}
	if d := cmp.Diff(res, frozenRes, sdk); d != "" {
		t.Errorf("resource (-want +got):\n%s", d)
	}
}

func TestDeployment(t *testing.T) {
	summary := Summary([]types.Resource{testMethodResource()})
	d := must(NewDeployment(&apigateway.CreateDeploymentInput{Description: aws.String("first")}, "dep", testTime, summary))
	if diff := cmp.Diff(types.Deployment{
		Id: aws.String("dep"), CreatedDate: &testTime, Description: aws.String("first"),
		ApiSummary: map[string]map[string]types.MethodSnapshot{"/{id}": {"GET": {AuthorizationType: aws.String("NONE")}}},
	}, d, sdk); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d = must(UpdateDeployment(d, patches("replace /description=second"))); aws.ToString(d.Description) != "second" {
		t.Errorf("description %q", aws.ToString(d.Description))
	}
	_, err := NewDeployment(&apigateway.CreateDeploymentInput{Variables: map[string]string{"a": "b"}}, "dep", testTime, nil)
	checkErr(t, err, "BadRequest: stageName is required with settings of a stage")
}

func TestGuards(t *testing.T) {
	none := aws.String("NONE")
	for _, tt := range []struct {
		name string
		doc  any
		want []string
	}{
		{"open method", types.Method{AuthorizationType: none}, nil},
		{"open method, by pointer", &types.Method{AuthorizationType: none, ApiKeyRequired: aws.Bool(false)}, nil},
		{"a method that does not say", types.Method{}, []string{"authorizationType "}},
		{"guarded method", types.Method{AuthorizationType: aws.String("AWS_IAM"), ApiKeyRequired: aws.Bool(true), RequestValidatorId: aws.String("v1")},
			[]string{"authorizationType AWS_IAM", "apiKeyRequired", "requestValidatorId v1"}},
		{"open API", types.RestApi{}, nil},
		{"API with a policy", types.RestApi{Policy: aws.String(doc(`{"Effect":"Allow",` + everybody + `}`))}, nil},
		{"API with a policy that cannot be read", types.RestApi{Policy: aws.String(`{`)}, []string{"policy: " + textPolicy}},
		{"stage", testStage(), nil},
		{"guarded stage", types.Stage{WebAclArn: aws.String("arn"), ClientCertificateId: aws.String("c1")}, []string{"webAclArn arn"}},
		{"domain name", testDomain(), nil},
		{"guarded domain name", types.DomainName{MutualTlsAuthentication: &types.MutualTlsAuthentication{}, Policy: aws.String("{}"), ManagementPolicy: aws.String("{}"), RoutingMode: "ROUTING_RULE_ONLY"},
			[]string{"mutualTlsAuthentication", "policy", "managementPolicy", "routingMode ROUTING_RULE_ONLY"}},
		{"anything else", 1, []string{"unknown document int"}},
	} {
		if d := cmp.Diff(tt.want, GuardsNotEnforced(tt.doc)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	for _, tt := range []struct {
		i    types.Integration
		want string
	}{
		{types.Integration{Type: "MOCK"}, ""},
		{types.Integration{Type: "HTTP_PROXY", ConnectionType: "INTERNET"}, ""},
		{types.Integration{Type: "AWS"}, "integration type AWS"},
		{types.Integration{Type: "AWS_PROXY"}, "integration type AWS_PROXY"},
		{types.Integration{Type: "HTTP", ConnectionType: "VPC_LINK"}, ""},
		{types.Integration{Type: "HTTP", ContentHandling: "CONVERT_TO_TEXT"}, "content handling CONVERT_TO_TEXT"},
		{types.Integration{Type: "HTTP", IntegrationResponses: map[string]types.IntegrationResponse{"200": {ContentHandling: "CONVERT_TO_BINARY"}}}, "content handling CONVERT_TO_BINARY of the integration response 200"},
	} {
		if got := NotBuilt(tt.i); got != tt.want {
			t.Errorf("%+v: %q", tt.i, got)
		}
	}
}

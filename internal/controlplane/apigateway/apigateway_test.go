package apigateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

var ctx = context.Background()

// must unwraps what should not fail.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused demands an error of that code whose message holds text.
func refused(t testing.TB, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("got %v, want %s %q", err, code, text)
	}
}

func replace(path, value string) types.PatchOperation {
	return types.PatchOperation{Op: types.OpReplace, Path: aws.String(path), Value: aws.String(value)}
}

func regional() *types.EndpointConfiguration {
	return &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}
}

func createAPI(t testing.TB, g *controlplanetest.Gateway, name string) *sdk.CreateRestApiOutput {
	t.Helper()
	return must(g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{Name: &name, EndpointConfiguration: regional()}))(t)
}

// withMethod gives the root of api a GET that answers by itself.
func withMethod(t testing.TB, g *controlplanetest.Gateway, api *sdk.CreateRestApiOutput) {
	t.Helper()
	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")}))(t)
	must(g.API.PutIntegration(ctx, &sdk.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: aws.String("GET"), Type: types.IntegrationTypeMock,
		RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`}}))(t)
}

func deploy(t testing.TB, g *controlplanetest.Gateway, api *string, stage string) *sdk.CreateDeploymentOutput {
	t.Helper()
	in := &sdk.CreateDeploymentInput{RestApiId: api}
	if stage != "" {
		in.StageName = &stage
	}
	return must(g.API.CreateDeployment(ctx, in))(t)
}

// keys lists what the store holds under prefix.
func keys(t testing.TB, g *controlplanetest.Gateway, prefix string) []string {
	t.Helper()
	docs, _, err := g.Store.List(ctx, store.Range{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range docs {
		out = append(out, d.Key)
	}
	return out
}

func TestRestAPI(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	made := must(g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{
		Name: aws.String("pets"), Description: aws.String("first"), EndpointConfiguration: regional(),
		SecurityPolicy: "SecurityPolicy_TLS13_1_3_2025_09", EndpointAccessMode: types.EndpointAccessModeBasic,
		Tags: map[string]string{"team": "a"}, BinaryMediaTypes: []string{"image/png"},
		Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`),
	}))(t)
	if len(*made.Id) != 10 || made.ApiStatus != types.ApiStatusAvailable || made.CreatedDate.Nanosecond() != 0 || made.RootResourceId == nil {
		t.Errorf("made %+v", made)
	}
	got := must(g.API.GetRestApi(ctx, &sdk.GetRestApiInput{RestApiId: made.Id}))(t)
	if *got.Name != "pets" || got.Tags["team"] != "a" || got.EndpointAccessMode != types.EndpointAccessModeBasic || !strings.Contains(*got.Policy, `\"Version\"`) {
		t.Errorf("got %+v, policy %s", got, *got.Policy)
	}
	updated := must(g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: made.Id, PatchOperations: []types.PatchOperation{
		replace("/endpointAccessMode", "STRICT"), replace("/name", "cats"), replace("/policy", ""),
	}}))(t)
	if *updated.Name != "cats" || updated.EndpointAccessMode != types.EndpointAccessModeStrict || updated.ApiStatus != types.ApiStatusAvailable || updated.Policy != nil {
		t.Errorf("updated %+v", updated)
	}
	before := g.Revision(t)
	must(g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: made.Id}))(t)
	_, err := g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: made.Id, PatchOperations: []types.PatchOperation{replace("/name", "dogs"), replace("/nothing", "x")}})
	refused(t, err, "BadRequestException", "Invalid patch path")
	if g.Revision(t) != before {
		t.Error("a patch without operations, or a refused one, wrote")
	}

	must(g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: made.Id}))(t)
	for _, call := range []func() error{
		func() error { _, err := g.API.GetRestApi(ctx, &sdk.GetRestApiInput{RestApiId: made.Id}); return err },
		func() error {
			_, err := g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: made.Id, PatchOperations: []types.PatchOperation{replace("/name", "x")}})
			return err
		},
		func() error {
			_, err := g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: made.Id})
			return err
		},
		func() error {
			_, err := g.API.GetResources(ctx, &sdk.GetResourcesInput{RestApiId: made.Id})
			return err
		},
		func() error {
			_, err := g.API.CreateDeployment(ctx, &sdk.CreateDeploymentInput{RestApiId: made.Id})
			return err
		},
		func() error { _, err := g.API.GetStages(ctx, &sdk.GetStagesInput{RestApiId: made.Id}); return err },
	} {
		refused(t, call(), "NotFoundException", "Invalid API identifier specified 000000000000:"+*made.Id)
	}
}

func TestDeleteRestAPITakesAllBelow(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api, other := createAPI(t, g, "gone"), createAPI(t, g, "stays")
	for _, a := range []*sdk.CreateRestApiOutput{api, other} {
		withMethod(t, g, a)
		deploy(t, g, a.Id, "prod")
	}
	before := g.Revision(t)
	must(g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: api.Id}))(t)
	if g.Revision(t) != before+1 {
		t.Error("not one commit")
	}
	for _, k := range keys(t, g, "") {
		if strings.Contains(k, *api.Id) {
			t.Errorf("%s is left", k)
		}
	}
	if got := len(keys(t, g, resource.ResourcesPrefix(*other.Id))); got != 1 {
		t.Errorf("the other API has %d resources", got)
	}
}

func TestCloneFrom(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := must(g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{Name: aws.String("source"), Description: aws.String("d"), EndpointConfiguration: regional(),
		SecurityPolicy: "SecurityPolicy_TLS13_1_3_2025_09", EndpointAccessMode: types.EndpointAccessModeStrict}))(t)
	child := must(g.API.CreateResource(ctx, &sdk.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String("pets")}))(t)
	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: api.Id, ResourceId: child.Id, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")}))(t)

	made := must(g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{Name: aws.String("copy"), CloneFrom: api.Id}))(t)
	if *made.Description != "d" || made.SecurityPolicy != api.SecurityPolicy || made.EndpointAccessMode != api.EndpointAccessMode || *made.Name != "copy" {
		t.Errorf("made %+v", made)
	}
	tree := must(g.API.GetResources(ctx, &sdk.GetResourcesInput{RestApiId: made.Id}))(t).Items
	i := slices.IndexFunc(tree, func(r types.Resource) bool { return *r.Path == "/pets" })
	if len(tree) != 2 || i < 0 || *tree[i].Id == *child.Id || *tree[i].ParentId != *made.RootResourceId || len(tree[i].ResourceMethods) != 1 {
		t.Errorf("tree %+v", tree)
	}
	_, err := g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{Name: aws.String("copy"), CloneFrom: aws.String("absent")})
	refused(t, err, "NotFoundException", "Invalid API identifier specified 000000000000:absent")
}

func TestPaging(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	const n = 63
	want := map[string]bool{}
	for i := range n {
		want[*createAPI(t, g, fmt.Sprint("api", i)).Id] = true
	}
	for _, limit := range []*int32{nil, aws.Int32(10), aws.Int32(63), aws.Int32(500)} {
		var ids []string
		pages := sdk.NewGetRestApisPaginator(g.API, &sdk.GetRestApisInput{Limit: limit})
		for pages.HasMorePages() {
			for _, a := range must(pages.NextPage(ctx))(t).Items {
				ids = append(ids, *a.Id)
			}
		}
		if len(ids) != n || !slices.IsSorted(ids) {
			t.Fatalf("limit %v: %d items, sorted %v", aws.ToInt32(limit), len(ids), slices.IsSorted(ids))
		}
		for _, id := range ids {
			if !want[id] {
				t.Errorf("unknown id %s", id)
			}
		}
	}
	first := must(g.API.GetRestApis(ctx, &sdk.GetRestApisInput{}))(t)
	if len(first.Items) != 25 || first.Position == nil {
		t.Errorf("the default page has %d items", len(first.Items))
	}
	_, err := g.API.GetRestApis(ctx, &sdk.GetRestApisInput{Position: aws.String("no position!")})
	refused(t, err, "BadRequestException", "position")
	_, err = g.API.GetRestApis(ctx, &sdk.GetRestApisInput{Limit: aws.Int32(0)})
	refused(t, err, "BadRequestException", "limit")
}

func TestResources(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "tree")
	create := func(parent *string, part string) (*sdk.CreateResourceOutput, error) {
		return g.API.CreateResource(ctx, &sdk.CreateResourceInput{RestApiId: api.Id, ParentId: parent, PathPart: &part})
	}
	pets := must(create(api.RootResourceId, "pets"))(t)
	id := must(create(pets.Id, "{id}"))(t)
	if *id.Path != "/pets/{id}" || len(*id.Id) != 6 {
		t.Errorf("made %+v", id)
	}
	_, err := create(api.RootResourceId, "pets")
	refused(t, err, "ConflictException", "")
	_, err = create(aws.String("absent"), "x")
	refused(t, err, "NotFoundException", "Invalid Resource identifier specified")
	_, err = g.API.GetResource(ctx, &sdk.GetResourceInput{RestApiId: api.Id, ResourceId: aws.String("absent")})
	refused(t, err, "NotFoundException", "Invalid Resource identifier specified")

	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: api.Id, ResourceId: id.Id, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")}))(t)
	for _, tt := range []struct {
		embed []string
		auth  string
	}{{nil, ""}, {[]string{"methods"}, "NONE"}} {
		got := must(g.API.GetResource(ctx, &sdk.GetResourceInput{RestApiId: api.Id, ResourceId: id.Id, Embed: tt.embed}))(t)
		all := must(g.API.GetResources(ctx, &sdk.GetResourcesInput{RestApiId: api.Id, Embed: tt.embed}))(t).Items
		i := slices.IndexFunc(all, func(r types.Resource) bool { return *r.Id == *id.Id })
		for _, methods := range []map[string]types.Method{got.ResourceMethods, all[i].ResourceMethods} {
			m, ok := methods["GET"]
			if !ok || aws.ToString(m.AuthorizationType) != tt.auth {
				t.Errorf("embed %v: %+v", tt.embed, methods)
			}
		}
	}

	moved := must(g.API.UpdateResource(ctx, &sdk.UpdateResourceInput{RestApiId: api.Id, ResourceId: pets.Id, PatchOperations: []types.PatchOperation{replace("/pathPart", "cats")}}))(t)
	if *moved.Path != "/cats" {
		t.Errorf("moved to %s", *moved.Path)
	}
	if got := must(g.API.GetResource(ctx, &sdk.GetResourceInput{RestApiId: api.Id, ResourceId: id.Id}))(t); *got.Path != "/cats/{id}" || len(got.ResourceMethods) != 1 {
		t.Errorf("child %+v", got)
	}
	must(g.API.DeleteResource(ctx, &sdk.DeleteResourceInput{RestApiId: api.Id, ResourceId: pets.Id}))(t)
	if got := keys(t, g, resource.ResourcesPrefix(*api.Id)); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
	_, err = g.API.DeleteResource(ctx, &sdk.DeleteResourceInput{RestApiId: api.Id, ResourceId: api.RootResourceId})
	refused(t, err, "BadRequestException", "")
	_, err = g.API.DeleteResource(ctx, &sdk.DeleteResourceInput{RestApiId: api.Id, ResourceId: pets.Id})
	refused(t, err, "NotFoundException", "Invalid Resource identifier specified")
}

func TestMethodAndIntegration(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "methods")
	a, r, get, ok := api.Id, api.RootResourceId, aws.String("GET"), aws.String("200")

	_, err := g.API.GetMethod(ctx, &sdk.GetMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get})
	refused(t, err, "NotFoundException", "Invalid Method identifier specified")
	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get, AuthorizationType: aws.String("NONE")}))(t)
	_, err = g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get, AuthorizationType: aws.String("NONE")})
	refused(t, err, "ConflictException", "")
	m := must(g.API.UpdateMethod(ctx, &sdk.UpdateMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get, PatchOperations: []types.PatchOperation{replace("/apiKeyRequired", "true")}}))(t)
	if !aws.ToBool(m.ApiKeyRequired) {
		t.Error("apiKeyRequired was not set")
	}

	must(g.API.PutMethodResponse(ctx, &sdk.PutMethodResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)
	mr := must(g.API.UpdateMethodResponse(ctx, &sdk.UpdateMethodResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok, PatchOperations: []types.PatchOperation{
		{Op: types.OpAdd, Path: aws.String("/responseParameters/method.response.header.X"), Value: aws.String("true")}}}))(t)
	if !mr.ResponseParameters["method.response.header.X"] {
		t.Errorf("method response %+v", mr)
	}
	must(g.API.GetMethodResponse(ctx, &sdk.GetMethodResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)

	_, err = g.API.GetIntegration(ctx, &sdk.GetIntegrationInput{RestApiId: a, ResourceId: r, HttpMethod: get})
	refused(t, err, "NotFoundException", "Invalid Integration identifier specified")
	in := must(g.API.PutIntegration(ctx, &sdk.PutIntegrationInput{RestApiId: a, ResourceId: r, HttpMethod: get, Type: types.IntegrationTypeHttpProxy,
		IntegrationHttpMethod: aws.String("POST"), Uri: aws.String("https://backend.example/pets")}))(t)
	if in.TimeoutInMillis != 29000 || *in.HttpMethod != "POST" || *in.PassthroughBehavior != "WHEN_NO_MATCH" || *in.CacheNamespace != *r {
		t.Errorf("integration %+v", in)
	}
	up := must(g.API.UpdateIntegration(ctx, &sdk.UpdateIntegrationInput{RestApiId: a, ResourceId: r, HttpMethod: get, PatchOperations: []types.PatchOperation{replace("/timeoutInMillis", "1000"), replace("/tlsConfig/insecureSkipVerification", "true")}}))(t)
	if up.TimeoutInMillis != 1000 || !up.TlsConfig.InsecureSkipVerification {
		t.Errorf("integration %+v", up)
	}
	must(g.API.GetIntegration(ctx, &sdk.GetIntegrationInput{RestApiId: a, ResourceId: r, HttpMethod: get}))(t)

	must(g.API.PutIntegrationResponse(ctx, &sdk.PutIntegrationResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)
	ir := must(g.API.UpdateIntegrationResponse(ctx, &sdk.UpdateIntegrationResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok, PatchOperations: []types.PatchOperation{replace("/selectionPattern", "2..")}}))(t)
	if aws.ToString(ir.SelectionPattern) != "2.." {
		t.Errorf("integration response %+v", ir)
	}
	whole := must(g.API.GetMethod(ctx, &sdk.GetMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get}))(t)
	if whole.MethodIntegration == nil || len(whole.MethodIntegration.IntegrationResponses) != 1 || len(whole.MethodResponses) != 1 {
		t.Errorf("method %+v", whole)
	}
	must(g.API.GetIntegrationResponse(ctx, &sdk.GetIntegrationResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)

	must(g.API.DeleteIntegrationResponse(ctx, &sdk.DeleteIntegrationResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)
	_, err = g.API.GetIntegrationResponse(ctx, &sdk.GetIntegrationResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok})
	refused(t, err, "NotFoundException", "")
	must(g.API.DeleteIntegration(ctx, &sdk.DeleteIntegrationInput{RestApiId: a, ResourceId: r, HttpMethod: get}))(t)
	must(g.API.DeleteMethodResponse(ctx, &sdk.DeleteMethodResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok}))(t)
	_, err = g.API.GetMethodResponse(ctx, &sdk.GetMethodResponseInput{RestApiId: a, ResourceId: r, HttpMethod: get, StatusCode: ok})
	refused(t, err, "NotFoundException", "")
	must(g.API.DeleteMethod(ctx, &sdk.DeleteMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get}))(t)
	_, err = g.API.DeleteMethod(ctx, &sdk.DeleteMethodInput{RestApiId: a, ResourceId: r, HttpMethod: get})
	refused(t, err, "NotFoundException", "Invalid Method identifier specified")
}

func TestDeploymentsAndStages(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "stages")
	withMethod(t, g, api)
	first := deploy(t, g, api.Id, "")
	if len(*first.Id) != 6 || first.ApiSummary != nil {
		t.Errorf("deployment %+v", first)
	}
	got := must(g.API.GetDeployment(ctx, &sdk.GetDeploymentInput{RestApiId: api.Id, DeploymentId: first.Id, Embed: []string{"apisummary"}}))(t)
	if _, ok := got.ApiSummary["/"]["GET"]; !ok {
		t.Errorf("summary %+v", got.ApiSummary)
	}
	stage := must(g.API.CreateStage(ctx, &sdk.CreateStageInput{RestApiId: api.Id, StageName: aws.String("beta"), DeploymentId: first.Id, Variables: map[string]string{"a": "b"}}))(t)
	if stage.CacheClusterStatus != types.CacheClusterStatusNotAvailable || stage.MethodSettings == nil {
		t.Errorf("stage %+v", stage)
	}
	_, err := g.API.CreateStage(ctx, &sdk.CreateStageInput{RestApiId: api.Id, StageName: aws.String("beta"), DeploymentId: first.Id})
	refused(t, err, "ConflictException", "Stage already exists")
	_, err = g.API.CreateStage(ctx, &sdk.CreateStageInput{RestApiId: api.Id, StageName: aws.String("other"), DeploymentId: aws.String("absent")})
	refused(t, err, "BadRequestException", "Deployment id does not exist")

	before := g.Revision(t)
	second := deploy(t, g, api.Id, "prod")
	if g.Revision(t) != before+1 {
		t.Error("a deployment with its stage is not one commit")
	}
	prod := must(g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api.Id, StageName: aws.String("prod")}))(t)
	if *prod.DeploymentId != *second.Id {
		t.Errorf("prod points to %s", *prod.DeploymentId)
	}
	third := deploy(t, g, api.Id, "prod") // moves the stage
	if prod = must(g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api.Id, StageName: aws.String("prod")}))(t); *prod.DeploymentId != *third.Id {
		t.Errorf("prod points to %s", *prod.DeploymentId)
	}
	if all := must(g.API.GetStages(ctx, &sdk.GetStagesInput{RestApiId: api.Id}))(t).Item; len(all) != 2 {
		t.Errorf("%d stages", len(all))
	}
	if some := must(g.API.GetStages(ctx, &sdk.GetStagesInput{RestApiId: api.Id, DeploymentId: first.Id}))(t).Item; len(some) != 1 || *some[0].StageName != "beta" {
		t.Errorf("stages of the first deployment: %+v", some)
	}
	if all := must(g.API.GetDeployments(ctx, &sdk.GetDeploymentsInput{RestApiId: api.Id}))(t).Items; len(all) != 3 {
		t.Errorf("%d deployments", len(all))
	}

	_, err = g.API.DeleteDeployment(ctx, &sdk.DeleteDeploymentInput{RestApiId: api.Id, DeploymentId: first.Id})
	refused(t, err, "BadRequestException", "Active stages pointing to this deployment must be moved or deleted")
	_, err = g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("beta"), PatchOperations: []types.PatchOperation{
		replace("/*/*/logging/loglevel", "INFO"), replace("/variables/a", "unkept")}})
	refused(t, err, "BadRequestException", "CloudWatch Logs role ARN must be set in account settings to enable logging")
	must(g.API.UpdateAccount(ctx, &sdk.UpdateAccountInput{PatchOperations: []types.PatchOperation{replace("/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/logs")}}))(t)
	up := must(g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("beta"), PatchOperations: []types.PatchOperation{
		replace("/deploymentId", *third.Id), replace("/*/*/logging/loglevel", "INFO"), replace("/variables/a", "c")}}))(t)
	if *up.DeploymentId != *third.Id || aws.ToString(up.MethodSettings["*/*"].LoggingLevel) != "INFO" || up.Variables["a"] != "c" {
		t.Errorf("stage %+v", up)
	}
	_, err = g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("beta"), PatchOperations: []types.PatchOperation{replace("/deploymentId", "absent")}})
	refused(t, err, "BadRequestException", "Deployment id does not exist")
	must(g.API.DeleteDeployment(ctx, &sdk.DeleteDeploymentInput{RestApiId: api.Id, DeploymentId: first.Id}))(t)
	_, err = g.API.GetDeployment(ctx, &sdk.GetDeploymentInput{RestApiId: api.Id, DeploymentId: first.Id})
	refused(t, err, "NotFoundException", "Invalid Deployment identifier specified")
	d := must(g.API.UpdateDeployment(ctx, &sdk.UpdateDeploymentInput{RestApiId: api.Id, DeploymentId: third.Id, PatchOperations: []types.PatchOperation{replace("/description", "third")}}))(t)
	if aws.ToString(d.Description) != "third" {
		t.Errorf("deployment %+v", d)
	}

	must(g.API.DeleteStage(ctx, &sdk.DeleteStageInput{RestApiId: api.Id, StageName: aws.String("beta")}))(t)
	_, err = g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api.Id, StageName: aws.String("beta")})
	refused(t, err, "NotFoundException", "Invalid stage identifier specified")
	if got := keys(t, g, resource.EffectsPrefix(*api.Id)); len(got) != 1 {
		t.Errorf("effects left: %v", got)
	}
}

func TestDeploymentIsFrozen(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "frozen")
	withMethod(t, g, api)
	d := deploy(t, g, api.Id, "prod")
	frozen := func() string {
		doc, err := g.Store.Get(ctx, resource.FrozenKey(*api.Id, *d.Id))
		if err != nil {
			t.Fatal(err)
		}
		return string(doc.Value)
	}
	before := frozen()
	must(g.API.UpdateIntegration(ctx, &sdk.UpdateIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: aws.String("GET"), PatchOperations: []types.PatchOperation{replace("/timeoutInMillis", "777")}}))(t)
	if frozen() != before || strings.Contains(before, "777") {
		t.Error("an edit leaked into a deployment")
	}
}

func TestDisabledEndpointTakesEffectWithTheStage(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "effect")
	withMethod(t, g, api)
	deploy(t, g, api.Id, "prod")
	disabled := func() bool {
		doc, err := g.Store.Get(ctx, resource.EffectKey(*api.Id, "prod"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(doc.Value), "true")
	}
	must(g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: []types.PatchOperation{replace("/disableExecuteApiEndpoint", "true")}}))(t)
	if disabled() {
		t.Error("it took effect before the stage was touched")
	}
	must(g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("prod"), PatchOperations: []types.PatchOperation{replace("/description", "x")}}))(t)
	if !disabled() {
		t.Error("a stage update did not take it over")
	}
	must(g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: []types.PatchOperation{replace("/disableExecuteApiEndpoint", "false")}}))(t)
	deploy(t, g, api.Id, "prod")
	if disabled() {
		t.Error("a deployment did not take it over")
	}
}

func importFor(t testing.TB, g *controlplanetest.Gateway, names ...string) *string {
	t.Helper()
	ca := must(pki.NewAuthority("test"))(t)
	leaf := must(ca.Leaf(pki.LeafOptions{Names: names}))(t)
	key := must(leaf.KeyPEM())(t)
	return must(g.ACM.ImportCertificate(ctx, &acm.ImportCertificateInput{Certificate: leaf.CertificatePEM(), PrivateKey: key}))(t).CertificateArn
}

func TestDomainNames(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	arn := importFor(t, g, "api.example.com", "*.wild.example.com")
	create := func(name string, arn *string) (*sdk.CreateDomainNameOutput, error) {
		return g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: &name, RegionalCertificateArn: arn, EndpointConfiguration: regional(), Tags: map[string]string{"a": "b"}})
	}
	before := g.Revision(t)
	_, err := create("other.example.com", arn)
	refused(t, err, "BadRequestException", "does not cover")
	_, err = create("api.example.com", aws.String("arn:aws:acm:us-east-1:000000000000:certificate/absent"))
	refused(t, err, "BadRequestException", "The provided certificate does not exist.")
	_, err = create("api.example.com", aws.String("arn:aws:acm:us-east-1:111111111111:certificate/"+(*arn)[strings.LastIndex(*arn, "/")+1:]))
	refused(t, err, "BadRequestException", "")
	_, err = create("api.example.com", aws.String("garbage"))
	refused(t, err, "BadRequestException", "")
	_, err = g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: aws.String("api.example.com"), CertificateBody: aws.String("pem"), CertificatePrivateKey: aws.String("pem")})
	refused(t, err, "BadRequestException", "")
	_, err = g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: aws.String("api.example.com"), RegionalCertificateArn: arn, EndpointConfiguration: regional(), SecurityPolicy: "SecurityPolicy_TLS13_1_3_2025_09"})
	refused(t, err, "BadRequestException", "Endpoint access mode is required for the specified security policy")
	if g.Revision(t) != before {
		t.Error("a refused domain name wrote")
	}

	made := must(create("api.example.com", arn))(t)
	if made.DomainNameStatus != types.DomainNameStatusAvailable || made.SecurityPolicy != types.SecurityPolicyTls12 || made.RegionalDomainName == nil || made.RegionalHostedZoneId == nil {
		t.Errorf("made %+v", made)
	}
	must(create("*.wild.example.com", arn))(t)
	must(create("a.wild.example.com", arn))(t)
	_, err = create("api.example.com", arn)
	refused(t, err, "BadRequestException", "The domain name you provided already exists.")
	if all := must(g.API.GetDomainNames(ctx, &sdk.GetDomainNamesInput{}))(t).Items; len(all) != 3 || !slices.IsSortedFunc(all, func(a, b types.DomainName) int { return strings.Compare(*a.DomainName, *b.DomainName) }) {
		t.Errorf("%d names", len(all))
	}
	if others := must(g.API.GetDomainNames(ctx, &sdk.GetDomainNamesInput{ResourceOwner: types.ResourceOwnerOtherAccounts}))(t).Items; len(others) != 0 {
		t.Errorf("%d names of others", len(others))
	}
	up := must(g.API.UpdateDomainName(ctx, &sdk.UpdateDomainNameInput{DomainName: aws.String("API.example.com"), PatchOperations: []types.PatchOperation{
		replace("/endpointAccessMode", "BASIC"), replace("/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09")}}))(t)
	if up.EndpointAccessMode != types.EndpointAccessModeBasic || up.DomainNameStatus != types.DomainNameStatusAvailable {
		t.Errorf("updated %+v", up)
	}
	next := importFor(t, g, "api.example.com")
	up = must(g.API.UpdateDomainName(ctx, &sdk.UpdateDomainNameInput{DomainName: made.DomainName, PatchOperations: []types.PatchOperation{replace("/regionalCertificateArn", *next)}}))(t)
	if *up.RegionalCertificateArn != *next {
		t.Error("the certificate was not rotated")
	}
	_, err = g.API.UpdateDomainName(ctx, &sdk.UpdateDomainNameInput{DomainName: made.DomainName, PatchOperations: []types.PatchOperation{replace("/regionalCertificateArn", *importFor(t, g, "else.example.com"))}})
	refused(t, err, "BadRequestException", "does not cover")

	must(g.API.DeleteDomainName(ctx, &sdk.DeleteDomainNameInput{DomainName: made.DomainName}))(t)
	_, err = g.API.GetDomainName(ctx, &sdk.GetDomainNameInput{DomainName: made.DomainName})
	refused(t, err, "NotFoundException", "Invalid domain name identifier specified")
	_, err = g.API.GetDomainName(ctx, &sdk.GetDomainNameInput{DomainName: aws.String("a.wild.example.com"), DomainNameId: aws.String("another")})
	refused(t, err, "NotFoundException", "Invalid domain name identifier specified")
}

func TestBasePathMappings(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "mapped")
	withMethod(t, g, api)
	deploy(t, g, api.Id, "prod")
	name := aws.String("api.example.com")
	must(g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: name, RegionalCertificateArn: importFor(t, g, *name), EndpointConfiguration: regional()}))(t)
	create := func(path, api, stage string) (*sdk.CreateBasePathMappingOutput, error) {
		return g.API.CreateBasePathMapping(ctx, &sdk.CreateBasePathMappingInput{DomainName: name, BasePath: &path, RestApiId: &api, Stage: &stage})
	}
	if m := must(create("", *api.Id, "prod"))(t); *m.BasePath != "(none)" {
		t.Errorf("empty base path is %q", *m.BasePath)
	}
	must(create("v1/pets", *api.Id, "prod"))(t)
	_, err := create("v1/pets", *api.Id, "prod")
	refused(t, err, "ConflictException", "Base path already exists for this domain name")
	_, err = create("x", "absent", "prod")
	refused(t, err, "BadRequestException", "Invalid REST API identifier specified")
	_, err = create("x", *api.Id, "absent")
	refused(t, err, "BadRequestException", "Invalid stage identifier specified")
	_, err = g.API.CreateBasePathMapping(ctx, &sdk.CreateBasePathMappingInput{DomainName: aws.String("absent.example.com"), RestApiId: api.Id})
	refused(t, err, "NotFoundException", "Invalid domain name identifier specified")

	if got := must(g.API.GetBasePathMapping(ctx, &sdk.GetBasePathMappingInput{DomainName: name, BasePath: aws.String("(none)")}))(t); *got.Stage != "prod" {
		t.Errorf("got %+v", got)
	}
	if all := must(g.API.GetBasePathMappings(ctx, &sdk.GetBasePathMappingsInput{DomainName: name}))(t).Items; len(all) != 2 {
		t.Errorf("%d mappings", len(all))
	}
	up := must(g.API.UpdateBasePathMapping(ctx, &sdk.UpdateBasePathMappingInput{DomainName: name, BasePath: aws.String("v1/pets"), PatchOperations: []types.PatchOperation{replace("/basePath", "v2")}}))(t)
	if *up.BasePath != "v2" {
		t.Errorf("updated %+v", up)
	}
	_, err = g.API.UpdateBasePathMapping(ctx, &sdk.UpdateBasePathMappingInput{DomainName: name, BasePath: aws.String("v2"), PatchOperations: []types.PatchOperation{replace("/stage", "absent")}})
	refused(t, err, "BadRequestException", "Invalid stage identifier specified")
	_, err = g.API.GetBasePathMapping(ctx, &sdk.GetBasePathMappingInput{DomainName: name, BasePath: aws.String("v1/pets")})
	refused(t, err, "NotFoundException", "Invalid base path mapping identifier specified")

	_, err = g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: api.Id})
	refused(t, err, "BadRequestException", "Please remove all base path mappings related to the RestApi in your domains: api.example.com")
	_, err = g.API.DeleteStage(ctx, &sdk.DeleteStageInput{RestApiId: api.Id, StageName: aws.String("prod")})
	refused(t, err, "BadRequestException", "Please remove all base path mappings related to the stage in your domains: api.example.com")
	must(g.API.DeleteBasePathMapping(ctx, &sdk.DeleteBasePathMappingInput{DomainName: name, BasePath: aws.String("v2")}))(t)
	_, err = g.API.DeleteBasePathMapping(ctx, &sdk.DeleteBasePathMappingInput{DomainName: name, BasePath: aws.String("v2")})
	refused(t, err, "NotFoundException", "Invalid base path mapping identifier specified")
	must(g.API.DeleteDomainName(ctx, &sdk.DeleteDomainNameInput{DomainName: name}))(t)
	if got := keys(t, g, resource.PrefixBasePathMappings); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	must(g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: api.Id}))(t)
}

func TestMappedAPIStaysPublic(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := must(g.API.CreateRestApi(ctx, &sdk.CreateRestApiInput{Name: aws.String("a"), EndpointConfiguration: regional(), SecurityPolicy: types.SecurityPolicyTls12}))(t)
	name := aws.String("api.example.com")
	must(g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: name, RegionalCertificateArn: importFor(t, g, *name), EndpointConfiguration: regional()}))(t)
	must(g.API.CreateBasePathMapping(ctx, &sdk.CreateBasePathMappingInput{DomainName: name, RestApiId: api.Id}))(t)
	private := &sdk.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: []types.PatchOperation{
		replace("/endpointConfiguration/types/REGIONAL", "PRIVATE"), replace("/endpointConfiguration/ipAddressType", "dualstack")}}
	_, err := g.API.UpdateRestApi(ctx, private)
	refused(t, err, "BadRequestException", "while base path mappings lead to it")
	must(g.API.DeleteBasePathMapping(ctx, &sdk.DeleteBasePathMappingInput{DomainName: name, BasePath: aws.String("(none)")}))(t)
	must(g.API.UpdateRestApi(ctx, private))(t)
	_, err = g.API.CreateBasePathMapping(ctx, &sdk.CreateBasePathMappingInput{DomainName: name, RestApiId: api.Id})
	refused(t, err, "BadRequestException", "private API")
}

func TestAccount(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	if got := must(g.API.GetAccount(ctx, &sdk.GetAccountInput{}))(t); got.ThrottleSettings == nil {
		t.Errorf("got %+v", got)
	}
	role := "arn:aws:iam::000000000000:role/logs"
	must(g.API.UpdateAccount(ctx, &sdk.UpdateAccountInput{PatchOperations: []types.PatchOperation{replace("/cloudwatchRoleArn", role)}}))(t)
	if got := must(g.API.GetAccount(ctx, &sdk.GetAccountInput{}))(t); aws.ToString(got.CloudwatchRoleArn) != role || got.ThrottleSettings == nil {
		t.Errorf("got %+v", got)
	}
}

func TestTags(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "tags")
	withMethod(t, g, api)
	deploy(t, g, api.Id, "prod")
	must(g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: aws.String("api.example.com"), RegionalCertificateArn: importFor(t, g, "api.example.com"), EndpointConfiguration: regional()}))(t)
	for _, arn := range []string{
		"arn:aws:apigateway:us-east-1::/restapis/" + *api.Id,
		"arn:aws:apigateway:us-east-1::/restapis/" + *api.Id + "/stages/prod",
		"arn:aws:apigateway:us-east-1::/domainnames/api.example.com",
	} {
		must(g.API.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"a": "1", "b": "2"}}))(t)
		must(g.API.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"b": "3", "c": "4"}}))(t)
		must(g.API.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a", "absent"}}))(t)
		if got := must(g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: &arn}))(t).Tags; fmt.Sprint(got) != "map[b:3 c:4]" {
			t.Errorf("%s: %v", arn, got)
		}
		_, err := g.API.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"aws:x": "1"}})
		refused(t, err, "BadRequestException", "aws:")
	}
	if got := must(g.API.GetRestApi(ctx, &sdk.GetRestApiInput{RestApiId: api.Id}))(t); got.Tags["b"] != "3" {
		t.Errorf("the API's own tags: %v", got.Tags)
	}
	_, err := g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/restapis/absent")})
	refused(t, err, "NotFoundException", "")
	_, err = g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: aws.String("garbage")})
	refused(t, err, "BadRequestException", "ARN")
}

// Each of many writers changes its own member of one document: none may lose
// another's change.
func TestConcurrentPatches(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "busy")
	withMethod(t, g, api)
	deploy(t, g, api.Id, "prod")
	const writers, each = 12, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("prod"), PatchOperations: []types.PatchOperation{replace(fmt.Sprintf("/variables/w%d_%d", w, i), "x")}})
				if err != nil {
					t.Error(err)
				}
				if _, err := g.API.CreateResource(ctx, &sdk.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(fmt.Sprintf("w%d-%d", w, i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := must(g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api.Id, StageName: aws.String("prod")}))(t); len(got.Variables) != writers*each {
		t.Errorf("%d of %d changes are there", len(got.Variables), writers*each)
	}
	if got := keys(t, g, resource.ResourcesPrefix(*api.Id)); len(got) != writers*each+1 {
		t.Errorf("%d resources", len(got))
	}
}

// A deployment that is deleted while a stage is pointed to it: one of the two
// is refused, whichever comes second.
func TestDeleteRacesReference(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "race")
	withMethod(t, g, api)
	deploy(t, g, api.Id, "prod")
	for range 20 {
		d := deploy(t, g, api.Id, "")
		var wg sync.WaitGroup
		var pointed, deleted error
		wg.Go(func() {
			_, pointed = g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("prod"), PatchOperations: []types.PatchOperation{replace("/deploymentId", *d.Id)}})
		})
		wg.Go(func() {
			_, deleted = g.API.DeleteDeployment(ctx, &sdk.DeleteDeploymentInput{RestApiId: api.Id, DeploymentId: d.Id})
		})
		wg.Wait()
		if (pointed == nil) == (deleted == nil) {
			t.Fatalf("pointing said %v, deleting said %v", pointed, deleted)
		}
	}
}

func TestStatusTellsTheTruth(t *testing.T) {
	g := controlplanetest.Start(t, func(o *controlplane.Options) { o.ServedTimeout = 20 * time.Millisecond })
	api := createAPI(t, g, "status")
	g.Pause(true)
	up := must(g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: []types.PatchOperation{replace("/name", "new")}}))(t)
	if up.ApiStatus != types.ApiStatusUpdating {
		t.Errorf("a change that no node serves is %s", up.ApiStatus)
	}
	g.Pause(false)
	if got := must(g.API.GetRestApi(ctx, &sdk.GetRestApiInput{RestApiId: api.Id}))(t); got.ApiStatus != types.ApiStatusAvailable {
		t.Errorf("a change that is served is %s", got.ApiStatus)
	}
}

func TestPropagationDelay(t *testing.T) {
	var ahead atomic.Int64 // of the server's clock, within what signatures allow
	g := controlplanetest.Start(t, func(o *controlplane.Options) {
		o.PropagationDelay = 2 * time.Minute
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	api := createAPI(t, g, "slow")
	if api.ApiStatus != types.ApiStatusAvailable {
		t.Error("creation has no delay")
	}
	update := func(ops ...types.PatchOperation) (*sdk.UpdateRestApiOutput, error) {
		return g.API.UpdateRestApi(ctx, &sdk.UpdateRestApiInput{RestApiId: api.Id, PatchOperations: ops})
	}
	if up := must(update(replace("/name", "slower")))(t); up.ApiStatus != types.ApiStatusAvailable {
		t.Error("only TLS settings take time")
	}
	const enhanced = "SecurityPolicy_TLS13_1_3_2025_09"
	if up := must(update(replace("/securityPolicy", enhanced), replace("/endpointAccessMode", "BASIC")))(t); up.ApiStatus != types.ApiStatusUpdating || up.SecurityPolicy != enhanced {
		t.Errorf("updated %+v", up)
	}
	doc, err := g.Store.Get(ctx, resource.RestAPITransitionKey(*api.Id))
	if err != nil || !strings.Contains(string(doc.Value), "TLS_1_0") {
		t.Errorf("transition %s, %v", doc.Value, err)
	}
	_, err = update(replace("/endpointAccessMode", "STRICT"))
	refused(t, err, "ConflictException", "being updated")
	if up := must(update(replace("/name", "other")))(t); up.ApiStatus != types.ApiStatusUpdating {
		t.Error("another edit passes, and the status stays")
	}
	if all := must(g.API.GetRestApis(ctx, &sdk.GetRestApisInput{}))(t).Items; all[0].ApiStatus != types.ApiStatusUpdating {
		t.Error("the list disagrees")
	}
	ahead.Store(int64(3 * time.Minute))
	if got := must(g.API.GetRestApi(ctx, &sdk.GetRestApiInput{RestApiId: api.Id}))(t); got.ApiStatus != types.ApiStatusAvailable {
		t.Errorf("after the delay it is %s", got.ApiStatus)
	}
	must(update(replace("/endpointAccessMode", "STRICT")))(t)
}

func TestQuotas(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := createAPI(t, g, "full")
	withMethod(t, g, api)
	for i := range resource.MaxStages {
		deploy(t, g, api.Id, fmt.Sprint("s", i))
	}
	_, err := g.API.CreateDeployment(ctx, &sdk.CreateDeploymentInput{RestApiId: api.Id, StageName: aws.String("onemore")})
	refused(t, err, "LimitExceededException", "stages")
}

package apigateway_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
)

const (
	nlb         = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/a/1"
	unmappedNLB = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/b/1"
	listener    = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/net/a/1/2"
	alb         = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/a/1"
	unmapped    = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/net/b/1/2"
)

// mapping is the operator's targets, which HUP changes.
type mapping struct {
	sync.Mutex
	names map[string]bool
}

func (m *mapping) has(name string) bool {
	m.Lock()
	defer m.Unlock()
	return m.names[name]
}

func (m *mapping) set(names ...string) {
	m.Lock()
	defer m.Unlock()
	m.names = map[string]bool{}
	for _, n := range names {
		m.names[n] = true
	}
}

func startWithTargets(t testing.TB) (*controlplanetest.Gateway, *mapping) {
	m := new(mapping)
	m.set(nlb, listener, alb)
	return controlplanetest.Start(t, func(o *controlplane.Options) { o.Targets = m.has }), m
}

func createLink(t testing.TB, g *controlplanetest.Gateway, name string) string {
	t.Helper()
	return *must(g.API.CreateVpcLink(ctx, &sdk.CreateVpcLinkInput{Name: &name, TargetArns: []string{nlb}}))(t).Id
}

func TestVPCLink(t *testing.T) {
	g, targets := startWithTargets(t)
	made := must(g.API.CreateVpcLink(ctx, &sdk.CreateVpcLinkInput{Name: aws.String("inside"), Description: aws.String("first"), TargetArns: []string{nlb}, Tags: map[string]string{"team": "a"}}))(t)
	if len(*made.Id) != 6 || made.Status != types.VpcLinkStatusAvailable || *made.StatusMessage != "Your vpc link is ready for use" || made.TargetArns[0] != nlb || made.Tags["team"] != "a" {
		t.Errorf("made %+v", made)
	}
	updated := must(g.API.UpdateVpcLink(ctx, &sdk.UpdateVpcLinkInput{VpcLinkId: made.Id, PatchOperations: []types.PatchOperation{replace("/name", "outside"), replace("/description", "second")}}))(t)
	got := must(g.API.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.Id}))(t)
	if *got.Name != "outside" || *got.Description != "second" || *updated.Name != "outside" || got.Status != types.VpcLinkStatusAvailable {
		t.Errorf("got %+v", got)
	}
	before := g.Revision(t)
	for _, tt := range []struct {
		in   sdk.CreateVpcLinkInput
		text string
	}{
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{nlb, nlb}}, "More than one target arn specified for vpc link."},
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{}}, "targetArns must hold the ARN of a Network Load Balancer"},
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{alb}}, "'" + alb + "' is not the ARN of a Network Load Balancer"},
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{listener}}, "is not the ARN of a Network Load Balancer"},
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{unmappedNLB}}, unmappedNLB + " has no address here: map it to host:port in the setting targets of this gateway"},
		{sdk.CreateVpcLinkInput{Name: aws.String(""), TargetArns: []string{nlb}}, "Name cannot be empty"},
		{sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{nlb}, Tags: map[string]string{"aws:a": ""}}, "begins with aws:"},
	} {
		_, err := g.API.CreateVpcLink(ctx, &tt.in)
		refused(t, err, "BadRequestException", tt.text)
	}
	for path, text := range map[string]string{"/targetArns": "Must be one of: [/name, /description]", "/name": "Name cannot be empty"} {
		_, err := g.API.UpdateVpcLink(ctx, &sdk.UpdateVpcLinkInput{VpcLinkId: made.Id, PatchOperations: []types.PatchOperation{replace(path, "")}})
		refused(t, err, "BadRequestException", text)
	}
	if g.Revision(t) != before {
		t.Error("what was refused wrote")
	}

	// The operator takes the mapping away, and brings it back.
	targets.set()
	got = must(g.API.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.Id}))(t)
	if got.Status != types.VpcLinkStatusFailed || !strings.HasPrefix(*got.StatusMessage, nlb+" has no address here") {
		t.Errorf("without a mapping: %s %s", got.Status, *got.StatusMessage)
	}
	if list := must(g.API.GetVpcLinks(ctx, &sdk.GetVpcLinksInput{}))(t); len(list.Items) != 1 || list.Items[0].Status != types.VpcLinkStatusFailed {
		t.Errorf("without a mapping: %+v", list.Items)
	}
	targets.set(nlb)
	if got = must(g.API.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.Id}))(t); got.Status != types.VpcLinkStatusAvailable {
		t.Errorf("with a mapping again: %s", got.Status)
	}

	arn := aws.String("arn:aws:apigateway:us-east-1::/vpclinks/" + *made.Id)
	must(g.API.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"cost": "1"}}))(t)
	must(g.API.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}))(t)
	if tags := must(g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: arn}))(t); !maps.Equal(tags.Tags, map[string]string{"cost": "1"}) {
		t.Errorf("tags %v", tags.Tags)
	}
	must(g.API.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.Id}))(t)
	_, err := g.API.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.Id})
	refused(t, err, "NotFoundException", "Invalid Vpc Link identifier specified")
	_, err = g.API.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.Id})
	refused(t, err, "NotFoundException", "")
}

func TestVPCLinkQuota(t *testing.T) {
	g, _ := startWithTargets(t)
	for i := range 20 {
		createLink(t, g, fmt.Sprint(i))
	}
	_, err := g.API.CreateVpcLink(ctx, &sdk.CreateVpcLinkInput{Name: aws.String("x"), TargetArns: []string{nlb}})
	refused(t, err, "LimitExceededException", "Maximum number of VPC links has been reached. The limit is 20.")
	first := must(g.API.GetVpcLinks(ctx, &sdk.GetVpcLinksInput{Limit: aws.Int32(15)}))(t)
	rest := must(g.API.GetVpcLinks(ctx, &sdk.GetVpcLinksInput{Limit: aws.Int32(15), Position: first.Position}))(t)
	if len(first.Items) != 15 || len(rest.Items) != 5 || rest.Position != nil {
		t.Errorf("pages of %d and %d", len(first.Items), len(rest.Items))
	}
}

// An integration by a VPC link is saved only when it leads somewhere.
func TestConnections(t *testing.T) {
	g, targets := startWithTargets(t)
	one := createLink(t, g, "one")
	two := *must(g.V2.CreateVpcLink(ctx, &apigatewayv2.CreateVpcLinkInput{Name: aws.String("two"), SubnetIds: []string{"subnet-0a1b2c3d"}}))(t).VpcLinkId
	api := createAPI(t, g, "pets")
	get := aws.String("GET")
	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, AuthorizationType: aws.String("NONE")}))(t)
	put := func(kind types.ConnectionType, id, target string) error {
		in := &sdk.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, Type: types.IntegrationTypeHttpProxy,
			IntegrationHttpMethod: get, Uri: aws.String("https://inside.example/"), ConnectionType: kind}
		if id != "" {
			in.ConnectionId = &id
		}
		if target != "" {
			in.IntegrationTarget = &target
		}
		_, err := g.API.PutIntegration(ctx, in)
		return err
	}
	const link, internet = types.ConnectionTypeVpcLink, types.ConnectionTypeInternet
	for _, tt := range []struct {
		kind       types.ConnectionType
		id, target string
		text       string // "": taken
	}{
		{link, one, "", ""},
		{link, two, listener, ""},
		{link, two, alb, ""},
		{link, two, nlb, ""},
		{link, "${stageVariables.link}", "", ""},
		{link, "${stageVariables.link}", listener, ""},
		{link, "${stageVariables.link}", unmapped, unmapped + " has no address here"},
		{internet, "", "", ""},
		{link, "", "", "connectionId is required with connectionType VPC_LINK"},
		{link, "absent", "", "Invalid Vpc Link identifier specified: there is no VPC link absent"},
		{link, "no/link", "", "Invalid Vpc Link identifier specified: connectionId must be"},
		{link, "${stageVariables.a}b", "", "Invalid Vpc Link identifier specified: connectionId must be"},
		{link, one, listener, "integrationTarget is only supported with VPC links V2"},
		{link, two, "", "integrationTarget is required with the VPC link " + two},
		{link, two, unmapped, unmapped + " has no address here: map it to host:port in the setting targets of this gateway"},
		{link, two, "arn:aws:s3:::bucket", "Invalid integrationTarget specified"},
		{link, two, "10.0.0.5:443", "Invalid integrationTarget specified"},
		{internet, "", listener, "integrationTarget is only supported with connectionType VPC_LINK"},
	} {
		before := g.Revision(t)
		err := put(tt.kind, tt.id, tt.target)
		switch {
		case tt.text != "":
			refused(t, err, "BadRequestException", tt.text)
			if g.Revision(t) != before {
				t.Errorf("%q %q: what was refused wrote", tt.id, tt.target)
			}
		case err != nil:
			t.Errorf("%q %q: %v", tt.id, tt.target, err)
		}
	}

	// Updates are judged by what they leave.
	update := func(pairs ...string) (*sdk.UpdateIntegrationOutput, error) {
		var ops []types.PatchOperation
		for i := 0; i < len(pairs); i += 2 {
			ops = append(ops, replace(pairs[i], pairs[i+1]))
		}
		return g.API.UpdateIntegration(ctx, &sdk.UpdateIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, PatchOperations: ops})
	}
	if err := put(link, two, listener); err != nil {
		t.Fatal(err)
	}
	if i := must(update("/integrationTarget", alb))(t); *i.IntegrationTarget != alb {
		t.Errorf("after the patch: %+v", i)
	}
	if i := must(update("/connectionId", one, "/integrationTarget", ""))(t); *i.ConnectionId != one || i.IntegrationTarget != nil {
		t.Errorf("after the patch: %+v", i)
	}
	before := g.Revision(t)
	_, err := update("/connectionId", two)
	refused(t, err, "BadRequestException", "integrationTarget is required")
	_, err = update("/connectionId", two, "/integrationTarget", unmapped)
	refused(t, err, "BadRequestException", unmapped+" has no address here")
	_, err = update("/connectionId", "absent")
	refused(t, err, "BadRequestException", "there is no VPC link absent")
	if g.Revision(t) != before {
		t.Error("what was refused wrote")
	}
	// A mapping that went away does not stand in the way of other edits.
	targets.set()
	must(update("/timeoutInMillis", "1000"))(t)
	_, err = update("/connectionId", two, "/integrationTarget", listener)
	refused(t, err, "BadRequestException", listener+" has no address here")
}

// A link stays as long as methods go by it, as they are edited or as a stage
// serves them.
func TestVPCLinkInUse(t *testing.T) {
	g, _ := startWithTargets(t)
	id := createLink(t, g, "one")
	api := createAPI(t, g, "pets")
	get := aws.String("GET")
	must(g.API.PutMethod(ctx, &sdk.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, AuthorizationType: aws.String("NONE")}))(t)
	connect := func(link string) {
		t.Helper()
		must(g.API.PutIntegration(ctx, &sdk.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, Type: types.IntegrationTypeHttpProxy,
			IntegrationHttpMethod: get, Uri: aws.String("https://inside.example/"), ConnectionType: types.ConnectionTypeVpcLink, ConnectionId: &link}))(t)
	}
	method := *api.Id + ":GET:" + *api.RootResourceId
	stays := func(users, form string) {
		t.Helper()
		_, err := g.API.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: &id})
		refused(t, err, "BadRequestException", fmt.Sprintf("Cannot delete vpc link. Vpc link '%s', is referenced in [%s] in format of [%s].", id, users, form))
		must(g.API.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: &id}))(t)
	}
	const served, edited = "RESTApiId:Method:Resource:Stage", "RESTApiId:Method:Resource"
	connect(id)
	stays(method, edited)
	deploy(t, g, api.Id, "prod")
	deploy(t, g, api.Id, "test")
	stays(method+":prod, "+method+":test", served)
	connect("${stageVariables.link}")
	stays(method+":prod, "+method+":test", served) // the copies that stages serve did not change
	deploy(t, g, api.Id, "prod")
	deploy(t, g, api.Id, "test")
	must(g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("test"), PatchOperations: []types.PatchOperation{replace("/variables/link", id)}}))(t)
	stays(method+":test", served)
	must(g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("test"), PatchOperations: []types.PatchOperation{replace("/variables/link", "other")}}))(t)
	must(g.API.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: &id}))(t)
}

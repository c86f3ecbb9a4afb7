package apigatewayv2_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v1 "github.com/aws/aws-sdk-go-v2/service/apigateway"
	v1types "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

const listener = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/b/1/2"

var ctx = context.Background()

func refused(t testing.TB, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("got %v, want %s %q", err, code, text)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func start(t testing.TB) *controlplanetest.Gateway {
	return controlplanetest.Start(t, func(o *controlplane.Options) {
		o.Targets = func(name string) bool { return name == listener }
	})
}

func link(name string) *sdk.CreateVpcLinkInput {
	return &sdk.CreateVpcLinkInput{Name: &name, SubnetIds: []string{"subnet-0a1b2c3d", "subnet-0a1b2c3e"}, SecurityGroupIds: []string{"sg-0a1b2c3d"}}
}

func TestVPCLink(t *testing.T) {
	g := start(t)
	in := link("inside")
	in.Tags = map[string]string{"team": "a"}
	made := must(g.V2.CreateVpcLink(ctx, in))(t)
	if len(*made.VpcLinkId) != 6 || made.VpcLinkStatus != types.VpcLinkStatusAvailable || *made.VpcLinkStatusMessage != "VPC link is ready to route traffic" ||
		made.VpcLinkVersion != types.VpcLinkVersionV2 || made.CreatedDate == nil || made.Tags["team"] != "a" {
		t.Errorf("made %+v", made)
	}
	got := must(g.V2.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.VpcLinkId}))(t)
	if *got.Name != "inside" || !slices.Equal(got.SubnetIds, in.SubnetIds) || !slices.Equal(got.SecurityGroupIds, in.SecurityGroupIds) || !got.CreatedDate.Equal(*made.CreatedDate) {
		t.Errorf("got %+v", got)
	}
	if renamed := must(g.V2.UpdateVpcLink(ctx, &sdk.UpdateVpcLinkInput{VpcLinkId: made.VpcLinkId, Name: aws.String("outside")}))(t); *renamed.Name != "outside" || len(renamed.SubnetIds) != 2 {
		t.Errorf("renamed %+v", renamed)
	}
	before := g.Revision(t)
	must(g.V2.UpdateVpcLink(ctx, &sdk.UpdateVpcLinkInput{VpcLinkId: made.VpcLinkId}))(t)
	_, err := g.V2.UpdateVpcLink(ctx, &sdk.UpdateVpcLinkInput{VpcLinkId: made.VpcLinkId, Name: aws.String(strings.Repeat("x", 129))})
	refused(t, err, "BadRequestException", "Name must be at most 128 characters")
	for change, text := range map[string]string{
		"no subnets": "subnetIds must hold 1 to 10 subnets", "bad subnet": "Invalid subnetIds specified: 'vpc-1' is not a subnet's id",
		"bad group": "Invalid securityGroupIds specified", "empty name": "Name cannot be empty", "bad tag": "begins with aws:",
	} {
		bad := link("bad")
		switch change {
		case "no subnets":
			bad.SubnetIds = []string{}
		case "bad subnet":
			bad.SubnetIds = []string{"vpc-1"}
		case "bad group":
			bad.SecurityGroupIds = []string{"x"}
		case "empty name":
			bad.Name = aws.String("")
		case "bad tag":
			bad.Tags = map[string]string{"aws:x": ""}
		}
		_, err := g.V2.CreateVpcLink(ctx, bad)
		refused(t, err, "BadRequestException", text)
	}
	if g.Revision(t) != before {
		t.Error("what changed nothing, or was refused, wrote")
	}

	arn := aws.String("arn:aws:apigateway:us-east-1::/vpclinks/" + *made.VpcLinkId)
	must(g.V2.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"cost": "1"}}))(t)
	must(g.V2.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}))(t)
	if tags := must(g.V2.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: arn}))(t); !maps.Equal(tags.Tags, map[string]string{"cost": "1"}) {
		t.Errorf("tags %v", tags.Tags)
	}
	_, err = g.V2.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/restapis/x")})
	refused(t, err, "BadRequestException", "Invalid ARN")

	_, err = g.API.DeleteVpcLink(ctx, &v1.DeleteVpcLinkInput{VpcLinkId: made.VpcLinkId}) // a link of version 2 is none of version 1
	refused(t, err, "NotFoundException", "Invalid Vpc Link identifier specified")
	must(g.V2.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.VpcLinkId}))(t)
	_, err = g.V2.GetVpcLink(ctx, &sdk.GetVpcLinkInput{VpcLinkId: made.VpcLinkId})
	refused(t, err, "NotFoundException", "Unable to find Vpc Link by id "+*made.VpcLinkId)
	_, err = g.V2.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.VpcLinkId})
	refused(t, err, "NotFoundException", "")
}

func TestVPCLinks(t *testing.T) {
	g := start(t)
	var want []string
	for i := range 10 {
		want = append(want, *must(g.V2.CreateVpcLink(ctx, link(fmt.Sprint(i))))(t).VpcLinkId)
	}
	_, err := g.V2.CreateVpcLink(ctx, link("one too many"))
	refused(t, err, "TooManyRequestsException", "Maximum number of VPC links has been reached. The limit is 10.")
	var got []string
	in := &sdk.GetVpcLinksInput{MaxResults: aws.String("4")}
	for pages := 1; ; pages++ {
		page := must(g.V2.GetVpcLinks(ctx, in))(t)
		for _, l := range page.Items {
			got = append(got, *l.VpcLinkId)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err = g.V2.GetVpcLinks(ctx, &sdk.GetVpcLinksInput{MaxResults: aws.String("none")})
	refused(t, err, "BadRequestException", "Invalid maxResults parameter specified")
	_, err = g.V2.GetVpcLinks(ctx, &sdk.GetVpcLinksInput{NextToken: aws.String("!")})
	refused(t, err, "BadRequestException", "Invalid nextToken parameter specified")
}

// A link is not deleted from under the integrations of version 1 that go by it.
func TestVPCLinkInUse(t *testing.T) {
	g := start(t)
	made := must(g.V2.CreateVpcLink(ctx, link("inside")))(t)
	api := must(g.API.CreateRestApi(ctx, &v1.CreateRestApiInput{Name: aws.String("pets")}))(t)
	get := aws.String("GET")
	must(g.API.PutMethod(ctx, &v1.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, AuthorizationType: aws.String("NONE")}))(t)
	must(g.API.PutIntegration(ctx, &v1.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, Type: v1types.IntegrationTypeHttpProxy,
		IntegrationHttpMethod: get, Uri: aws.String("https://inside.example/"), ConnectionType: v1types.ConnectionTypeVpcLink, ConnectionId: made.VpcLinkId, IntegrationTarget: aws.String(listener)}))(t)
	_, err := g.V2.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.VpcLinkId})
	refused(t, err, "BadRequestException", fmt.Sprintf("Cannot delete vpc link. Vpc link '%s', is referenced in [%s:GET:%s] in format of [RESTApiId:Method:Resource].", *made.VpcLinkId, *api.Id, *api.RootResourceId))
	must(g.API.DeleteRestApi(ctx, &v1.DeleteRestApiInput{RestApiId: api.Id}))(t)
	must(g.V2.DeleteVpcLink(ctx, &sdk.DeleteVpcLinkInput{VpcLinkId: made.VpcLinkId}))(t)
	if docs, err := controlplane.List[types.VpcLink](ctx, g.Store, store.Range{Prefix: resource.PrefixVPCLinksV2}); err != nil || len(docs) != 0 {
		t.Errorf("left: %v %v", docs, err)
	}
}

package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

func TestRoute(t *testing.T) {
	one, two := &Link{Target: "lb"}, &Link{V2: true}
	for _, tt := range []struct {
		link         *Link
		target, want string
		err          string
	}{
		{one, "", "lb", ""},
		{one, "listener", "", "BadRequest: integrationTarget is only supported with VPC links V2; the VPC link id has its own target"},
		{two, "listener", "listener", ""},
		{two, "", "", "BadRequest: integrationTarget is required with the VPC link id, which is a VPC link V2:…"},
		{nil, "listener", "", "BadRequest: Invalid Vpc Link identifier specified: there is no VPC link id"},
	} {
		got, err := Route(tt.link, "id", tt.target)
		if checkErr(t, err, tt.err); got != tt.want {
			t.Errorf("%+v %q: %q", tt.link, tt.target, got)
		}
	}
	checkErr(t, Routable("lb", nil), "BadRequest: lb has no address here: map it to host:port in the setting targets of this gateway")
	checkErr(t, Routable("lb", func(name string) bool { return name == "lb" }), "")
}

func TestUsersOfLink(t *testing.T) {
	by := func(id string) types.Method {
		return types.Method{MethodIntegration: &types.Integration{ConnectionType: types.ConnectionTypeVpcLink, ConnectionId: &id}}
	}
	resources := []types.Resource{
		{Id: aws.String("r1"), ResourceMethods: map[string]types.Method{"GET": by("a"), "ANY": by("a"), "PUT": by("b"), "POST": {}}},
		{Id: aws.String("r2"), ResourceMethods: map[string]types.Method{"GET": by("${stageVariables.link}"),
			"PUT": {MethodIntegration: &types.Integration{ConnectionId: aws.String("a")}}}}, // of no VPC link
	}
	for link, want := range map[string][]string{"a": {"ANY:r1", "GET:r1", "GET:r2"}, "b": {"PUT:r1"}, "c": nil} {
		if got := UsersOfLink(link, resources, map[string]string{"link": "a"}); !slices.Equal(got, want) {
			t.Errorf("%s: %q", link, got)
		}
	}
	checkErr(t, DeletableVPCLink("a", nil, nil), "")
	checkErr(t, DeletableVPCLink("a", []string{"api:GET:r2:prod", "api:GET:r1:prod"}, []string{"api:GET:r1"}),
		"BadRequest: Cannot delete vpc link. Vpc link 'a', is referenced in [api:GET:r1:prod, api:GET:r2:prod] in format of [RESTApiId:Method:Resource:Stage].")
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("api:GET:r%03d", i))
	}
	checkErr(t, DeletableVPCLink("a", nil, many), "BadRequest: Cannot delete vpc link. Vpc link 'a', is referenced in ["+strings.Join(many[:maxUsers], ", ")+", ...] in format of [RESTApiId:Method:Resource].")
	if len(many) != 1000 || many[maxUsers] != "api:GET:r020" {
		t.Error("the list was edited")
	}
}

func FuzzLinkVariable(f *testing.F) {
	for _, s := range []string{"${stageVariables.link}", "${stageVariables.}", "${stageVariables.a}b", "a1b2c3", "${stageVariables.a", "stageVariables.a}", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if name := LinkVariable(id); name != "" && (id != "${stageVariables."+name+"}" || strings.ContainsAny(name, "${}. ")) {
			t.Errorf("%q names %q", id, name)
		}
	})
}

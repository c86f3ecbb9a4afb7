package snapshot

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

const (
	nlb      = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/a/1"
	listener = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/net/b/1/2"
)

// byLink leads a proxy integration by a VPC link; target may be "".
func byLink(id, target string) func(*types.Method) {
	return func(m *types.Method) {
		proxyTo("https://backend.example/")(m)
		m.MethodIntegration.ConnectionType = types.ConnectionTypeVpcLink
		m.MethodIntegration.ConnectionId = aws.String(id)
		if target != "" {
			m.MethodIntegration.IntegrationTarget = aws.String(target)
		}
	}
}

func linkDoc(id, target string) store.Put {
	return doc(resource.VPCLinkKey(id), types.VpcLink{Id: &id, TargetArns: []string{target}})
}

func linkV2Doc(id string) store.Put {
	return doc(resource.VPCLinkV2Key(id), v2types.VpcLink{VpcLinkId: &id})
}

// Each integration by a VPC link has a target, or says why it has none; those
// beside it do not notice.
func TestVPCLinks(t *testing.T) {
	api := restAPI("api", policy13, "BASIC")
	variable := func(name, value string) func(*types.Stage) {
		return func(s *types.Stage) { s.Variables = map[string]string{name: value} }
	}
	w := newWorld(t, nil,
		linkDoc("one", nlb), linkV2Doc("two"), doc(resource.VPCLinkKey("bad"), []byte("{")),
		doc(resource.RestAPIKey("api"), api),
		frozenDoc("d1", api, resourceAt("/", method("GET")),
			resourceAt("/one", method("GET", byLink("one", ""))),
			resourceAt("/two", method("GET", byLink("two", listener))),
			resourceAt("/a/{id}", method("GET", byLink("one", listener))),
			resourceAt("/a/{id}/{rest+}", method("GET", byLink("two", ""))),
			resourceAt("/gone", method("GET", byLink("gone", ""))),
			resourceAt("/damaged", method("GET", byLink("bad", ""))),
			resourceAt("/variable", method("GET", byLink("${stageVariables.link}", ""))),
			resourceAt("/internet", method("GET", proxyTo("https://backend.example/")))),
		stageDoc("api", "prod", "d1", variable("link", "one")), stageDoc("api", "test", "d1", variable("link", "gone")), stageDoc("api", "unset", "d1"))
	w.wantNoFaults()
	integration := func(stage, path string) *Integration {
		t.Helper()
		found, result := w.Current().API("api").Stages[stage].Route("GET", path, new(Params))
		if found == nil {
			t.Fatalf("%s %s: %v", stage, path, result)
		}
		return found.Integration
	}
	want := func(stage, path, target, broken string) {
		t.Helper()
		in := integration(stage, path)
		if broken != "" {
			target = nowhere
		}
		if in.Target != target || (broken == "") != (in.Broken == "") || !strings.Contains(in.Broken, broken) {
			t.Errorf("%s %s: target %q, broken %q, want %q, %q", stage, path, in.Target, in.Broken, target, broken)
		}
	}
	want("prod", "/one", nlb, "")
	want("prod", "/two", listener, "")
	want("prod", "/a/x", "", "integrationTarget is only supported with VPC links V2")
	want("prod", "/a/x/y", "", "integrationTarget is required")
	want("prod", "/gone", "", "there is no VPC link gone")
	want("prod", "/damaged", "", "VPC link bad: ")
	want("prod", "/variable", nlb, "")
	want("test", "/variable", "", "there is no VPC link gone")
	want("unset", "/variable", "", "the stage variable link, which names the VPC link, is not set")
	want("prod", "/internet", "", "")
	if integration("prod", "/internet") != integration("test", "/internet") {
		t.Error("what goes by no link is not shared between stages")
	}

	// A link that comes, or goes, reaches the stages that ask for it, and no other.
	unset := w.Current().API("api").Stages["unset"]
	before := w.Current().API("api").Stages["test"]
	w.put(linkDoc("unrelated", nlb))
	if w.Current().API("api").Stages["test"] != before {
		t.Error("a link that nobody asked for changed a stage")
	}
	w.put(linkV2Doc("gone"))
	want("test", "/gone", "", "integrationTarget is required")
	w.commit(store.Change{Deletes: []string{resource.VPCLinkV2Key("gone")}})
	w.commit(store.Change{Puts: []store.Put{linkDoc("gone", nlb)}, Deletes: []string{resource.VPCLinkKey("one")}})
	want("test", "/gone", nlb, "")
	want("test", "/variable", nlb, "")
	want("prod", "/one", "", "there is no VPC link one")
	want("prod", "/variable", "", "there is no VPC link one")
	want("prod", "/internet", "", "")
	if w.Current().API("api").Stages["unset"] == unset {
		t.Error("a stage kept a link that is gone")
	}
	w.wantNoFaults()
	w.open() // from the store alone
	want("test", "/gone", nlb, "")
	want("prod", "/one", "", "there is no VPC link one")
}

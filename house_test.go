// Package house guards the plan of the house: which room may use which.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport/"

// arrows lists, for each room, the rooms its code (not its tests) may import.
// A new arrow is a decision: add it here with its reason in the commit.
var arrows = map[string][]string{
	"cmd/sallyport":                          {"internal/account", "internal/baseline", "internal/controls", "internal/evidence", "internal/posture", "internal/report", "internal/template", "internal/config", "internal/gateway", "internal/quickstart", "internal/telemetry", "internal/backgate", "internal/doctor", "internal/pki", "internal/sigv4", "tlspolicy", "internal/remedy", "internal/auditor"},
	"bench/sidebyside":                       {"internal/pki"},
	"internal/quickstart":                    {"internal/config", "internal/gateway", "internal/pki", "tlspolicy"},
	"internal/gatewaytest":                   {"internal/config", "internal/gateway", "internal/pki", "internal/telemetry", "tlspolicy"},
	"internal/gateway":                       {"internal/auditor", "internal/backgate", "internal/config", "internal/controlplane", "internal/controlplane/acm", "internal/controlplane/apigateway", "internal/controlplane/apigatewayv2", "internal/controlplane/configservice", "internal/controlplane/opensearch", "internal/controlplane/securityhub", "internal/controlplane/sts", "internal/doctor", "internal/evidence", "internal/frontgate", "internal/httpwire", "internal/pipeline", "internal/pki", "internal/posture", "internal/resource", "internal/snapshot", "internal/store", "internal/store/bolt", "internal/telemetry", "tlspolicy", "internal/awsapi", "internal/remedy"},
	"internal/controlplane":                  {"internal/awsapi", "internal/resource", "internal/sigv4", "internal/store", "internal/pki"},
	"internal/controlplane/apigateway":       {"internal/awsapi", "internal/controlplane", "internal/pki", "internal/resource", "internal/store"},
	"internal/controlplane/apigatewayv2":     {"internal/awsapi", "internal/controlplane", "internal/controlplane/apigateway", "internal/resource"},
	"internal/controlplane/acm":              {"internal/awsapi", "internal/controlplane", "internal/pki", "internal/resource", "internal/store"},
	"internal/controlplane/opensearch":       {"internal/controlplane", "internal/resource", "internal/store"},
	"internal/controlplane/configservice":    {"internal/asff", "internal/auditor", "internal/awsapi", "internal/controlplane", "internal/posture", "internal/resource"},
	"internal/controlplane/securityhub":      {"internal/asff", "internal/auditor", "internal/controlplane", "internal/posture", "internal/resource"},
	"internal/controlplane/sts":              {"internal/awsapi", "internal/controlplane", "internal/resource"},
	"internal/controlplane/controlplanetest": {"internal/controlplane", "internal/controlplane/acm", "internal/controlplane/apigateway", "internal/controlplane/apigatewayv2", "internal/controlplane/sts", "internal/pki", "internal/store", "internal/store/bolt"},
	"internal/doctor":                        {"internal/backgate", "internal/resource", "internal/snapshot", "internal/store"},
	"internal/pipeline":                      {"internal/backgate", "internal/frontgate", "internal/httpwire", "internal/resource", "internal/snapshot", "internal/telemetry", "tlspolicy"},
	"internal/frontgate":                     {"internal/httpwire", "internal/snapshot", "internal/telemetry", "tlspolicy"},
	"internal/backgate":                      {"internal/httpwire", "internal/telemetry", "tlspolicy"},
	"internal/snapshot":                      {"internal/awsapi", "internal/pki", "internal/resource", "internal/store", "internal/telemetry", "tlspolicy"},
	"internal/resource":                      {"internal/awsapi", "internal/pki", "tlspolicy"},
	"internal/store/bolt":                    {"internal/pki", "internal/store"},
	"internal/store/storetest":               {"internal/store"},
	"internal/store":                         {},
	"internal/controls":                      {"internal/posture", "tlspolicy"},
	"internal/auditor":                       {"internal/awsapi", "internal/controls", "internal/posture", "internal/resource", "internal/store"},
	"internal/evidence":                      {"internal/posture", "tlspolicy"},
	"internal/baseline":                      {"internal/posture"},
	"internal/asff":                          {"internal/posture"},
	"internal/report":                        {"internal/asff", "internal/awsapi", "internal/controls", "internal/posture"},
	"internal/account":                       {"internal/posture"},
	"internal/remedy":                        {"internal/awsapi", "internal/controls", "internal/evidence", "internal/posture", "internal/telemetry", "tlspolicy"},
	"internal/template":                      {"internal/posture"},
	"internal/posture":                       {}, // templates are judged without a gateway: no store, no snapshot
	"internal/awsapi":                        {},
	"internal/awsapi/gen":                    {},
	"internal/sigv4":                         {},
	"internal/pki":                           {},
	"internal/httpwire":                      {},
	"internal/telemetry":                     {},
	"internal/config":                        {},
	"tlspolicy":                              {"tlspolicy/internal/rawhello"},
	"tlspolicy/internal/rawhello":            {},
}

func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(p.ImportPath, module)
		if room == strings.TrimSuffix(module, "/") {
			continue // this test
		}
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s is not on the plan of the house: say in the table what it may use", room)
		}
		for _, i := range p.Imports {
			to, ours := strings.CutPrefix(i, module)
			if ours && !slices.Contains(allowed, to) {
				t.Errorf("new arrow %s -> %s", room, to)
			}
			if room == "internal/pipeline" && i == "net/http" {
				t.Error("the pipeline sees httpwire.Exchange only, never net/http")
			}
		}
	}
}

package gateway

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/acm"
	"github.com/sallyport/sallyport/internal/controlplane/apigateway"
	"github.com/sallyport/sallyport/internal/controlplane/apigatewayv2"
	"github.com/sallyport/sallyport/internal/controlplane/configservice"
	"github.com/sallyport/sallyport/internal/controlplane/opensearch"
	"github.com/sallyport/sallyport/internal/controlplane/securityhub"
	"github.com/sallyport/sallyport/internal/controlplane/sts"
)

var update = flag.Bool("update", false, "rewrite generated files")

// The page of operations says what the program answers; -update rewrites it.
func TestOperationsPage(t *testing.T) {
	s := controlplane.New(controlplane.Options{})
	apigateway.Register(s)
	apigatewayv2.Register(s)
	acm.Register(s)
	opensearch.Register(s)
	sts.Register(s)
	securityhub.Register(s, nil)
	configservice.Register(s, nil)
	var b strings.Builder
	b.WriteString("# Operations\n\nMade from the operation table; `go test ./internal/gateway -update` rewrites it. " +
		"An operation that is not built answers with an error that names it, and changes nothing.\n")
	built, missing := map[string][]string{}, map[string][]string{}
	var services []string
	for _, op := range s.Operations() {
		if len(built[op.Service])+len(missing[op.Service]) == 0 {
			services = append(services, op.Service)
		}
		if op.Built {
			built[op.Service] = append(built[op.Service], op.Name)
		} else {
			missing[op.Service] = append(missing[op.Service], op.Name)
		}
	}
	for _, service := range services {
		fmt.Fprintf(&b, "\n## %s\n\nBuilt: %d of %d.\n\n", service, len(built[service]), len(built[service])+len(missing[service]))
		for _, name := range built[service] {
			fmt.Fprintf(&b, "* `%s`\n", name)
		}
		if len(missing[service]) > 0 {
			fmt.Fprintf(&b, "\nNot built yet: %s.\n", strings.Join(missing[service], ", "))
		}
	}
	const path = "../../docs/reference/operations.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/gateway -update", path, err)
	}
}

package pipeline

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/requests.md tells what this package does; its tables hold every row of
// ours.
func TestRequestsPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/requests.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	has := func(what, row string) {
		t.Helper()
		if !strings.Contains(page, row) {
			t.Errorf("%s: docs/requests.md does not say %s", what, row)
		}
	}
	at := 0
	for _, s := range steps {
		row := "\n| `" + s.name + "` | "
		has("step", row)
		i := strings.Index(page, row)
		if i < at {
			t.Errorf("step %q stands in another place than in the table", s.name)
		}
		at = i
	}
	for kind := forbidden; int(kind) < len(gatewayResponses); kind++ {
		r := gatewayResponses[kind]
		name := "none"
		if r.name != "" {
			name = "`" + r.name + "`"
		}
		has("gateway response", fmt.Sprintf("\n| %s | %d | `%s` | `%s` | ", name, r.status, newFault(kind, "").body(), r.errorType))
	}
	if got, want := strings.Count(page[strings.Index(page, "## Gateway responses"):], "\n| ")-2, len(gatewayResponses)-1; got != want {
		t.Errorf("the page has %d gateway responses, the program %d", got, want)
	}
	for _, name := range []string{"Date", "Server", "WWW-Authenticate"} {
		has("remapped header", "`"+remap(name)+"`")
	}
	lower := strings.ToLower(page)
	for _, name := range identityNames {
		if strings.HasSuffix(name, "-") {
			name += "*"
		}
		if !strings.Contains(lower, "`"+name+"`") {
			t.Errorf("identity header %s is not on the page", name)
		}
	}
	has("largest body", fmt.Sprintf("| request body | %d MiB", maxBody>>20))
	has("bodies in memory", fmt.Sprintf("| bodies that mappings look into, all requests together | %d GiB", maxKept>>30))
}

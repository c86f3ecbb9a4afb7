package pipeline

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/snapshot"
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

// docs/execution-logs.md has every line of the execution log, in order.
func TestExecutionLogsPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/execution-logs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(text), "## The lines")
	levels := map[snapshot.LogLevel]string{snapshot.LogError: "ERROR", snapshot.LogInfo: "INFO"}
	at := 0
	for _, l := range logLines {
		row := "\n| `" + strings.NewReplacer("%s", "…", "%d", "…").Replace(l.format) + "` | " + levels[l.level] + " | "
		i := strings.Index(page, row)
		if i < at {
			t.Errorf("the page does not say, or not at its place: %s", row)
			continue
		}
		if when, _, _ := strings.Cut(page[i+len(row):], "\n"); l.live != (when == "live traffic |") || l.data != strings.Contains(when, "data trace") {
			t.Errorf("%s: %s", row, when)
		}
		at = i
	}
	if got := strings.Count(page, "\n| `"); got != len(logLines) {
		t.Errorf("the page has %d lines, the program %d", got, len(logLines))
	}
}

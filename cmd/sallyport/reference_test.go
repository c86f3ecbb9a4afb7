package main

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/tlspolicy"
)

// The page of policies is what `policy show` prints; -update rewrites it.
func TestPoliciesPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Security policies\n\nMade from the table in `tlspolicy`; `go test ./cmd/sallyport -update` rewrites it. " +
		"Suites stand in the server's order of preference, as enforced.\nSource: " + tlspolicy.Source + ".\n")
	for _, p := range tlspolicy.All() {
		v := viewOf(p)
		b.WriteString("\n## " + v.Name + " (" + v.Endpoint + ")\n\n```\n")
		showPolicy(&b, v)
		b.WriteString("```\n")
	}
	const path = "../../docs/reference/policies.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./cmd/sallyport -update", path, err)
	}
}

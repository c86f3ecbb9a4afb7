package backgate

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite generated files")

// The page of verdicts is made from the tables; -update rewrites it.
func TestVerdictsPage(t *testing.T) {
	// What stands in braces is filled in for each case.
	placeholder := regexp.MustCompile(`\{([a-z]+)\}`)
	text := func(s string) string {
		return strings.ReplaceAll(placeholder.ReplaceAllString(s, "*$1*"), "|", `\|`)
	}
	var b strings.Builder
	b.WriteString("# Verdicts of the second gate\n\nMade from its tables; `go test ./internal/backgate -update` rewrites it. " +
		"[The doctor](../doctor.md) says which of them holds for a backend.\n" +
		"Faults are looked for in this order: the way to a trusted root, dates, the name. Not one byte of a request is sent before all of it holds.\n" +
		"Revocation is not checked: neither lists nor OCSP are asked, and staples are not read.\n\n" +
		"Words in italics are filled in. What the client gets is the answer of a REST API, with `x-amzn-ErrorType` and `$context.error.responseType`.\n")
	for k := Untrusted; int(k) < len(kinds); k++ {
		if k == Canceled {
			continue // nobody is there to be told
		}
		answer := k.Answer()
		fmt.Fprintf(&b, "\n## %s\n\nLog and `$context.integration.error`: `%s`\n\nClient: %d `%s`, `%s`\n\n| why | what to do |\n| --- | --- |\n",
			k, placeholder.ReplaceAllString(kinds[k].text, "($1)"), answer.Status, answer.ErrorType, answer.ResponseType)
		for _, r := range reasons {
			if r.kind == k {
				fmt.Fprintf(&b, "| %s | %s |\n", text(r.why), text(r.fix))
			}
		}
	}
	const path = "../../docs/reference/verdicts.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/backgate -update", path, err)
	}
}

// Each kind has an answer and a reason, each reason a kind and words.
func TestTablesAreComplete(t *testing.T) {
	if len(reasons) != int(lastReason) {
		t.Errorf("%d reasons, want %d", len(reasons), lastReason)
	}
	explained := map[Kind]bool{}
	for r, row := range reasons[1:] {
		explained[row.kind] = true
		chain := row.kind <= Unusable
		if row.kind == 0 || row.why == "" || row.fix == "" && row.kind != Canceled || chain != (row.brief != "") {
			t.Errorf("reason %d: %+v", r+1, row)
		}
	}
	for k := Untrusted; k <= Canceled; k++ {
		if a := k.Answer(); !explained[k] || a.Status == 0 || a.ResponseType == "" || a.ErrorType == "" {
			t.Errorf("%v: %+v", k, a)
		}
	}
}

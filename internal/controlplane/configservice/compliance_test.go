package configservice

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// What verdicts come to, for a rule or a resource.
func TestCompliance(t *testing.T) {
	const good, bad, unknown, none = types.ComplianceTypeCompliant, types.ComplianceTypeNonCompliant, types.ComplianceTypeInsufficientData, types.ComplianceTypeNotApplicable
	for _, row := range []struct {
		tally tally
		want  string
	}{
		{nil, "INSUFFICIENT_DATA"}, // nothing to judge
		{tally{none: 3}, "INSUFFICIENT_DATA"},
		{tally{good: 2, none: 1}, "COMPLIANT"},
		{tally{good: 2, unknown: 1}, "INSUFFICIENT_DATA"}, // unknown is never compliant
		{tally{good: 2, unknown: 1, bad: 1}, "NON_COMPLIANT 1"},
		{tally{bad: 25}, "NON_COMPLIANT 25"},
		{tally{bad: 26}, "NON_COMPLIANT 25 and more"},
	} {
		c := row.tally.compliance(25)
		got := string(c.ComplianceType)
		if n := c.ComplianceContributorCount; n != nil {
			if got += fmt.Sprint(" ", n.CappedCount); n.CapExceeded {
				got += " and more"
			}
		}
		if got != row.want {
			t.Errorf("%v: %s, want %s", row.tally, got, row.want)
		}
	}
	for _, s := range posture.Statuses() {
		if complianceOf[s] == "" {
			t.Errorf("%s has no compliance type", s)
		}
	}
}

// Every control has a rule of its own, whose scope AWS Config knows.
func TestRules(t *testing.T) {
	names := map[string]bool{}
	for _, c := range controls.All {
		if n := ruleName(c); n == "" || len(n) > 64 || names[n] {
			t.Errorf("%s has the rule %q", c.ID, n)
		}
		names[ruleName(c)] = true
		if types := scope(c); len(types) == 0 || slices.Contains(types, posture.TypeDomainNameV2) {
			t.Errorf("%s judges %v", c.ID, types)
		}
	}
}

// A walk over pages meets everything once, also when the entry that a token
// names is gone.
func TestPages(t *testing.T) {
	all := strings.Fields("a b c d e f g")
	self := func(s string) string { return s }
	var seen []string
	var token *string
	for left := all; ; {
		page, next, err := pageOf(left, self, "list", 2, token)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, page...)
		if next == nil {
			break
		}
		token, left = next, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == page[len(page)-1] })
	}
	if !slices.Equal(seen, all) {
		t.Errorf("%v", seen)
	}
	if _, _, err := pageOf(all, self, "another list", 2, token); err == nil {
		t.Error("a token of one list is taken for another")
	}
	for given, want := range map[int32]int{0: 10, 1: 1, 100: 100, 101: -1, -1: -1} {
		if n, err := limit(given, 10, 100); err == nil && n != want || err != nil && want >= 0 {
			t.Errorf("limit %d is %d, %v", given, n, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("bm9wZQ")
	f.Add("WyJsaXN0IiwiYiJd") // ["list","b"]
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		all := []string{"a", "b", "c"}
		page, next, err := pageOf(all, func(s string) string { return s }, "list", 5, &token)
		switch {
		case err != nil && len(page) > 0:
			t.Errorf("%v beside %v", page, err)
		case err == nil && (next != nil || !slices.Equal(page, all[3-len(page):])):
			t.Errorf("%q: %v is not the end of the list", token, page)
		}
	})
}

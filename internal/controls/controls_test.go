package controls

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

var update = flag.Bool("update", false, "rewrite generated files")

// now is when all cases are judged.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A testCase is one resource with the verdict it must get.
type testCase struct {
	name string
	r    posture.Resource

	params posture.Values
	list   string // date of the allow-list; the newest without
	mode   posture.Mode

	want       posture.Status
	reason     string // part of it
	note       string // part of one of the notes
	confidence posture.Confidence
}

// cases are the specification of each control.
var cases = map[string][]testCase{
	"APIGateway.1":  apiGateway1Cases,
	"APIGateway.2":  apiGateway2Cases,
	"APIGateway.3":  apiGateway3Cases,
	"APIGateway.4":  apiGateway4Cases,
	"APIGateway.5":  apiGateway5Cases,
	"APIGateway.8":  apiGateway8Cases,
	"APIGateway.9":  apiGateway9Cases,
	"APIGateway.10": apiGateway10Cases,
	"APIGateway.11": apiGateway11Cases,
	"Opensearch.3":  opensearch3Cases,
	"Opensearch.8":  opensearch8Cases,
	"ACM.1":         acm1Cases,
	"ACM.2":         acm2Cases,
}

func (c *testCase) judge(t *testing.T, control *posture.Control, r *posture.Resource) posture.Verdict {
	t.Helper()
	p, err := control.Params(c.params, c.list, c.mode, now)
	if err != nil {
		t.Fatal(err)
	}
	return control.Judge(r, p)
}

// eachCase runs f for every case of every control.
func eachCase(t *testing.T, f func(t *testing.T, control *posture.Control, c *testCase)) {
	for _, control := range All {
		for i := range cases[control.ID] {
			c := &cases[control.ID][i]
			t.Run(control.ID+"/"+c.name, func(t *testing.T) { f(t, control, c) })
		}
	}
}

func TestControls(t *testing.T) {
	eachCase(t, func(t *testing.T, control *posture.Control, c *testCase) {
		v := c.judge(t, control, &c.r)
		if v.Status != c.want || !strings.Contains(v.Reason, c.reason) || v.Reason == "" {
			t.Errorf("%s: %s; want %s: ...%s...", v.Status, v.Reason, c.want, c.reason)
		}
		if c.note != "" && !slices.ContainsFunc(v.Notes, func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("notes %q; want one with %q", v.Notes, c.note)
		}
		if v.Confidence != c.confidence {
			t.Errorf("confidence %q, want %q", v.Confidence, c.confidence)
		}
	})
}

// Every control brings a case for each verdict that any control can give.
func TestEveryControlHasCases(t *testing.T) {
	if len(cases) != len(All) {
		t.Errorf("%d controls have cases, there are %d controls", len(cases), len(All))
	}
	for _, control := range All {
		for _, want := range []posture.Status{posture.Passed, posture.Failed, posture.NotApplicable, posture.Unknown} {
			if !slices.ContainsFunc(cases[control.ID], func(c testCase) bool { return c.want == want }) {
				t.Errorf("%s has no case that is %s", control.ID, want)
			}
		}
	}
}

// A verdict names the members it rests on, and stands only as long as they are
// known: take one away, or all that is above it, and what is still decided
// rests on none of it.
func TestNothingIsDecidedByWhatIsNotKnown(t *testing.T) {
	eachCase(t, func(t *testing.T, control *posture.Control, c *testCase) {
		v := c.judge(t, control, &c.r)
		if v.Status == posture.Unknown || v.Status == posture.NotApplicable {
			return
		}
		if len(v.Members) == 0 {
			t.Fatal("the verdict rests on nothing")
		}
		for _, m := range v.Members {
			for _, path := range []string{m.Path, m.Path[:max(strings.LastIndexAny(m.Path, ".["), 0)], ""} {
				r := c.r
				r.Unknown = map[string]string{path: "of a test"}
				v := c.judge(t, control, &r)
				if path == "" && (v.Status != posture.Unknown || !strings.Contains(v.Reason, "of a test")) {
					t.Errorf("without the document the verdict is %s: %s", v.Status, v.Reason)
				}
				if v.Status == posture.Unknown {
					continue
				}
				for _, m := range v.Members {
					if _, unresolved := r.Unresolved(m.Path); unresolved {
						t.Errorf("without %q the verdict is %s and rests on %q", path, v.Status, m.Path)
					}
				}
			}
		}
	})
}

// What this gateway stores without acting on it makes nothing pass, and makes
// nothing that fails any better.
func TestNothingPassesByWhatIsNotInEffect(t *testing.T) {
	eachCase(t, func(t *testing.T, control *posture.Control, c *testCase) {
		v := c.judge(t, control, &c.r)
		for _, m := range v.Members {
			r := c.r
			r.Source = posture.Self
			r.NotInEffect = map[string]bool{m.Path: true}
			switch after := c.judge(t, control, &r); {
			case v.Status.Failing() && c.r.Source == posture.Self && after.Status != v.Status:
				t.Errorf("with %q not in effect, %s became %s", m.Path, v.Status, after.Status)
			case after.Status == posture.Passed && slices.ContainsFunc(after.Members, func(m posture.Member) bool { return r.Inert(m.Path) }):
				t.Errorf("with %q not in effect it passes: %s", m.Path, after.Reason)
			}
		}
	})
}

// A source that hands over nothing, or another type's document, gets unknown.
func TestADocumentOfAnotherType(t *testing.T) {
	type stranger struct{}
	for _, control := range All {
		p, err := control.Params(nil, "", "", now)
		if err != nil {
			t.Fatal(err)
		}
		for _, typ := range control.Resources {
			docs := []any{nil, &stranger{}, stranger{}}
			for _, c := range cases[control.ID] {
				if c.r.Type == typ && c.r.Doc != nil {
					docs = append(docs, reflect.Zero(reflect.TypeOf(c.r.Doc)).Interface()) // a nil *T
				}
			}
			for _, doc := range docs {
				if v := control.Judge(&posture.Resource{Type: typ, Doc: doc}, p); v.Status != posture.Unknown {
					t.Errorf("%s of %T %v: %s: %s", control.ID, doc, doc, v.Status, v.Reason)
				}
			}
		}
	}
}

// What people and other programs are told about a control is all there, and
// within what a finding of Security Hub may hold.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		if got, ok := Lookup(strings.ToLower(c.ID)); !ok || got != c {
			t.Errorf("Lookup does not find %s", c.ID)
		}
		for what, text := range map[string]string{"title": c.Title, "description": c.Description, "why": c.Why, "fix": c.Fix,
			"false positive": c.FalsePositive, "category": c.Category, "rule": c.ConfigRule.Name, "schedule": string(c.Schedule)} {
			if text == "" {
				t.Errorf("%s has no %s", c.ID, what)
			}
		}
		if len(c.Title) > 256 || len(c.Description) > 1024 || len(c.Related) > 32 {
			t.Errorf("%s: title %d of 256, description %d of 1024 characters, %d of 32 requirements", c.ID, len(c.Title), len(c.Description), len(c.Related))
		}
		if !slices.Contains(posture.Severities(), c.Severity) || len(c.Standards) == 0 || len(c.Sources) == 0 || c.Check == nil {
			t.Errorf("%s: severity, standards, sources or check is missing", c.ID)
		}
		for _, r := range c.Resources {
			if _, ok := posture.LookupType(r); !ok {
				t.Errorf("%s covers %s, which is not a type", c.ID, r)
			}
		}
		for i, l := range c.AllowLists {
			if i > 0 && l.AsOf >= c.AllowLists[i-1].AsOf {
				t.Errorf("%s: allow-lists are not newest first", c.ID)
			}
			if !slices.ContainsFunc(c.Parameters, func(p posture.Parameter) bool { return p.Name == l.Parameter }) {
				t.Errorf("%s: allow-list of %s, which is not a parameter", c.ID, l.Parameter)
			}
		}
	}
}

// The reference page is made from the controls; -update rewrites it.
func TestControlsPage(t *testing.T) {
	const path = "../../docs/reference/controls.md"
	page := "# Controls\n\nMade from the controls' own files in `internal/controls`; `go test ./internal/controls -update` rewrites it.\n\n" + posture.Page(All)
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != page {
		t.Errorf("%s is out of date (%v): go test ./internal/controls -update", path, err)
	}
}

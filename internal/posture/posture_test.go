package posture

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// thing is a document of these tests: its verdict is its word.
type thing struct{ word string }

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var things = Control{
	ID: "Test.1", Title: "Things should be good", Severity: High, Resources: []string{"Thing"},
	Parameters: []Parameter{
		{Name: "word", Kind: Enum, Allowed: []string{"good", "fine"}, Customizable: true},
		{Name: "days", Kind: Integer, Min: 1, Max: 9, Default: []string{"3"}, Customizable: true},
		{Name: "words", Kind: StringList},
	},
	AllowLists: []AllowList{{Parameter: "words", AsOf: "2026-08", Values: []string{"good"}}, {Parameter: "words", AsOf: "2023-12", Values: []string{"fine"}}},
	Applies: func(r *Resource) (bool, string) {
		d, ok := r.Doc.(*thing)
		return !ok || d.word != "foreign", "it is foreign"
	},
	Check: On(func(r *Resource, d *thing, p *Params) Verdict {
		m := Seen("word", d.word)
		switch {
		case d.word == "breaks":
			panic("no such word")
		case d.word == "stuck":
			return r.Stuck("it is stuck", m)
		case p.List.Has(d.word):
			return r.Pass("it is "+d.word, m)
		}
		return r.Fail("it is "+d.word, m)
	}),
}

var others = Control{ID: "Test.2", Severity: Low, Resources: []string{"Thing", "Other"}, Check: func(r *Resource, _ *Params) Verdict {
	return Verdict{} // a control that forgets to say
}}

func of(word string) *Resource {
	return &Resource{Type: "Thing", ID: "thing/" + word, Doc: &thing{word}}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *Resource
		want   Status
		reason string
	}{
		{"good", of("good"), Passed, "it is good"},
		{"bad", of("bad"), Failed, "it is bad"},
		{"stuck", of("stuck"), Unfixable, "it is stuck"},
		{"does not apply", of("foreign"), NotApplicable, "it is foreign"},
		{"another type", &Resource{Type: "Other"}, NotApplicable, "does not cover Other"},
		{"no document", &Resource{Type: "Thing"}, Unknown, "is not the document"},
		{"a document of another type", &Resource{Type: "Thing", Doc: 7}, Unknown, "gave a int"},
		{"nothing behind the pointer", &Resource{Type: "Thing", Doc: (*thing)(nil)}, Unknown, ""},
		{"the check breaks", of("breaks"), Unknown, "broke on this document: no such word"},
		{"the document is not known", &Resource{Type: "Thing", Doc: &thing{"foreign"}, Unknown: map[string]string{"": "access denied"}}, Unknown, "access denied"},
		{"the member is not known", &Resource{Type: "Thing", Doc: &thing{"good"}, Unknown: map[string]string{"word": ""}}, Unknown, "word is not known"},
		{"the member is not known, failing", &Resource{Type: "Thing", Doc: &thing{"bad"}, Unknown: map[string]string{"word": "hidden"}}, Unknown, "word is not known: hidden"},
		{"another member is not known", &Resource{Type: "Thing", Doc: &thing{"good"}, Unknown: map[string]string{"wor": "hidden"}}, Passed, ""},
		{"not in effect", &Resource{Type: "Thing", Doc: &thing{"good"}, NotInEffect: map[string]bool{"word": true}}, Unknown, "stored, not in effect"},
		{"in effect again", &Resource{Type: "Thing", Doc: &thing{"good"}, NotInEffect: map[string]bool{"word": false}}, Passed, ""},
		{"failing, not in effect", &Resource{Type: "Thing", Doc: &thing{"bad"}, NotInEffect: map[string]bool{"word": true}}, Failed, ""},
	} {
		p, err := things.Params(nil, "", "", now)
		if err != nil {
			t.Fatal(err)
		}
		if v := things.Judge(c.r, p); v.Status != c.want || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("%s: %s: %s; want %s: ...%s...", c.name, v.Status, v.Reason, c.want, c.reason)
		}
	}
	p, err := things.Params(nil, "", "", now)
	if err != nil {
		t.Fatal(err)
	}
	r := of("bad")
	r.Remarks = map[string]string{"word": "100% of them are", "other": "not of this verdict"}
	if v := things.Judge(r, p); !slices.Equal(v.Notes, []string{"100% of them are"}) {
		t.Errorf("notes %q, want the remark on the member", v.Notes)
	}
	if v := others.Judge(&Resource{Type: "Other", Doc: 1}, &Params{}); v.Status != Unknown {
		t.Errorf("a control that says nothing: %s", v.Status)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		known, asked string
		want         bool
	}{
		{"a", "a", true},
		{"a", "a.b", true},
		{"a.b", "a", false},
		{"a", "ab", false},
		{"", "a.b", true},
		{"m[*/*].level", "m[*/*].level", true},
		{"m[*/*].level", "m[x/GET].level", false},
		{"m[*/*]", "m[*/*].level", true},
		{"m", "m[{a.b}/GET].level", true},
		{"m[]", "m[{a.b}/GET].level", true},
		{"m[]", "m[x]", true},
		{"m[].level", "m[{a[0].b}/GET].level", true},
		{"m[].level", "m[x/GET].other", false},
		{"m[].level", "m", false},
		{"m[].level", "m[x/GET]", false},
	} {
		r := Resource{Unknown: map[string]string{c.known: "why"}}
		if why, got := r.Unresolved(c.asked); got != c.want || got && why != "why" {
			t.Errorf("with %q not known, %q: %v %q, want %v", c.known, c.asked, got, why, c.want)
		}
	}
	if got := Entry("m", "*/*", "level") + " " + Entry("m", "0", ""); got != "m[*/*].level m[0]" {
		t.Error(got)
	}
}

func TestParams(t *testing.T) {
	p, err := things.Params(nil, "", "", now)
	if err != nil || p.Mode != Live || p.One("word") != "" || p.Int("days") != 3 || !p.List.Has("good") || !slices.Equal(p.Values["words"], []string{"good"}) {
		t.Errorf("defaults: %+v %v", p, err)
	}
	p, err = things.Params(Values{"word": {"fine"}, "days": {"9"}}, "2023-12", Proactive, now)
	if err != nil || p.Mode != Proactive || p.One("word") != "fine" || p.Int("days") != 9 || p.List.AsOf != "2023-12" || !slices.Equal(p.Values["words"], []string{"fine"}) {
		t.Errorf("customized: %+v %v", p, err)
	}
	for _, c := range []struct {
		values Values
		list   string
		mode   Mode
		want   string
	}{
		{Values{"speed": {"1"}}, "", "", "parameter speed: the control has no such parameter"},
		{Values{"word": {"bad"}}, "", "", `"bad" is not one of good, fine`},
		{Values{"word": {"good", "fine"}}, "", "", "takes one value, not 2"},
		{Values{"word": nil}, "", "", "takes one value, not 0"},
		{Values{"days": {"10"}}, "", "", "from 1 to 9"},
		{Values{"days": {"1.5"}}, "", "", "from 1 to 9"},
		{Values{"words": {"bad"}}, "", "", "cannot be customized"},
		{nil, "2020-01", "", `no allow-list of "2020-01"; there are: 2026-08, 2023-12`},
		{nil, "", "strict", `mode "strict"`},
	} {
		_, err := New([]*Control{&things}, Options{Params: map[string]Values{"Test.1": c.values}, AllowLists: map[string]string{"Test.1": c.list}, Mode: c.mode})
		var refused *ParameterError
		if !errors.As(err, &refused) || refused.Control != "Test.1" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %q %q: %v; want %q", c.values, c.list, c.mode, err, c.want)
		}
	}
	if _, err := New(nil, Options{Params: map[string]Values{"Test.9": nil}}); err == nil || !strings.Contains(err.Error(), "Test.9") {
		t.Errorf("a control that does not exist: %v", err)
	}
}

func TestEvaluate(t *testing.T) {
	resources := []*Resource{of("good"), of("bad"), of("foreign"), of("stuck"), {Type: "Thing", ID: "thing/empty"}, {Type: "Stranger", ID: "s"}, {Type: "Other", ID: "o", Doc: 1}}
	report, err := Evaluate([]*Control{&things, &others}, slices.Values(resources), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range report.Findings {
		f := &report.Findings[i]
		got = append(got, f.Key()+" "+string(f.Status))
		if f.FirstSeen != now || f.LastSeen != now || f.Mode != Live || f.Evidence == nil || f.Remediation == nil {
			t.Errorf("%s: %+v", f.Key(), f)
		}
	}
	want := []string{
		"Test.2 o UNKNOWN",
		"Test.1 thing/bad FAILED", "Test.2 thing/bad UNKNOWN",
		"Test.1 thing/empty UNKNOWN", "Test.2 thing/empty UNKNOWN",
		"Test.1 thing/foreign NOT_APPLICABLE", "Test.2 thing/foreign UNKNOWN",
		"Test.1 thing/good PASSED", "Test.2 thing/good UNKNOWN",
		"Test.1 thing/stuck UNFIXABLE", "Test.2 thing/stuck UNKNOWN",
	}
	if !slices.Equal(got, want) {
		t.Errorf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s := report.Summary
	if s.Resources != 7 || s.Unjudged != 1 || s.Statuses[Failed] != 1 || s.Statuses[Unknown] != 7 || s.Failing[High] != 2 ||
		s.Controls[0].Status != OverallFailed || s.Controls[1].Status != OverallUnknown {
		t.Errorf("summary: %+v", s)
	}
	empty, err := Evaluate([]*Control{&things}, slices.Values([]*Resource{}), Options{})
	if err != nil || empty.Summary.Controls[0].Status != OverallNoData {
		t.Errorf("nothing to judge: %+v %v", empty, err)
	}
	if out, err := json.Marshal(empty); err != nil || !strings.Contains(string(out), `"findings":[]`) {
		t.Errorf("%s %v", out, err)
	}
}

// However the resources arrive, the report is the same.
func TestEvaluateIsDeterministic(t *testing.T) {
	var resources []*Resource
	for i := range 3 * batch {
		r := of([]string{"good", "bad", "foreign", "breaks"}[i%4])
		r.ID += strconv.Itoa(i)
		resources = append(resources, r)
	}
	evaluator, err := New([]*Control{&things, &others}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := evaluator.All(slices.Values(resources))
	for range 5 {
		rand.Shuffle(len(resources), func(i, j int) { resources[i], resources[j] = resources[j], resources[i] })
		if got := evaluator.All(slices.Values(resources)); !reflect.DeepEqual(got, want) {
			t.Fatal("another order of resources gave another report")
		}
	}
	for _, r := range resources[:10] {
		for _, f := range evaluator.Judge(r) {
			if !slices.ContainsFunc(want.Findings, func(w Finding) bool { return reflect.DeepEqual(f, w) }) {
				t.Errorf("%s judged alone is not what it is judged among others", f.Key())
			}
		}
	}
}

// The names that scripts rely on.
func TestFindingAsJSON(t *testing.T) {
	r := of("bad")
	r.Source, r.Region, r.Location = File, "us-east-1", "a.yaml:3"
	e, err := New([]*Control{&things}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	f := e.Judge(r)[0]
	f.Expect = &Wire{Host: "a.example.com", Policy: "TLS_1_2", Min: 0x303}
	out, err := json.Marshal(&f)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"control":"Test.1","title":"Things should be good","severity":"HIGH","status":"FAILED",` +
		`"resource":{"type":"Thing","id":"thing/bad","region":"us-east-1","source":"file","location":"a.yaml:3"},` +
		`"reason":"it is bad","evidence":[{"kind":"configuration","member":"word","value":"bad"}],"remediation":[],` +
		`"mode":"live","allowList":"2026-08","parameters":{"days":["3"],"words":["good"]},` +
		`"expect":{"host":"a.example.com","policy":"TLS_1_2","min":771},` +
		`"firstSeen":"2026-11-21T12:00:00Z","lastSeen":"2026-11-21T12:00:00Z"}`
	if string(out) != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

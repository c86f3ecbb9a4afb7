package baseline

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

func finding(control, id string, status posture.Status) posture.Finding {
	return posture.Finding{Control: control, Status: status, Resource: posture.Subject{ID: id}}
}

const stageARN = "arn:aws:apigateway:us-east-1::/restapis/a1/stages/prod"

func TestApply(t *testing.T) {
	b, err := Parse("b.yaml", []byte(`findings:
  - {control: apigateway.3, resource: "arn:aws:apigateway:*::/restapis/a1/*", reason: traced elsewhere, expires: 2026-08-01}
  - {control: APIGateway.2, resource: "`+stageARN+`", reason: only Lambda}
  - {control: APIGateway.4, resource: "*", reason: private}
  - {control: APIGateway.9, resource: "t.yaml#Stage[0]", reason: brackets are themselves}
`))
	if err != nil {
		t.Fatal(err)
	}
	report := func() *posture.Report {
		return &posture.Report{Findings: []posture.Finding{
			finding("APIGateway.3", stageARN, posture.Failed), finding("APIGateway.2", stageARN, posture.Unfixable),
			finding("APIGateway.4", stageARN, posture.Passed), finding("APIGateway.9", "t.yaml#Stage[0]", posture.Failed), finding("APIGateway.9", "t.yaml#Stage0", posture.Failed),
		}}
	}
	r := report()
	lines := b.Apply(r, time.Date(2026, 8, 1, 23, 0, 0, 0, time.UTC))
	for i, want := range []bool{true, true, false, true, false} {
		if (r.Findings[i].Accepted != nil) != want {
			t.Errorf("%+v accepted %v", r.Findings[i], !want)
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "b.yaml:4: APIGateway.4 on * accepts nothing") {
		t.Errorf("%q", lines)
	}
	r = report()
	if lines = b.Apply(r, time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC)); r.Findings[0].Accepted != nil || !strings.Contains(strings.Join(lines, "\n"), "expired after 2026-08-01") {
		t.Errorf("an acceptance outlives its end: %q", lines)
	}
	text, err := Of(report(), "known in August", "2026-12-31")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Parse("new.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	r = report()
	all.Apply(r, time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC))
	for _, f := range r.Findings {
		if f.Open() {
			t.Errorf("%+v is open", f)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"findings: [{control: A, resource: B}]":                                 "with a reason only",
		"findings: [{control: A, reason: B}]":                                   "control and resource are required",
		"findings: [{control: A, resource: B, reason: C, expires: soon}]":       "is not a date",
		"findings:\n- {control: A, resource: B, reason: C, expire: 2026-01-01}": `b.yaml:2: unknown member "expire"`,
		"finding: []":    "field finding not found",
		"findings: [1]":  "an entry has",
		"findings: {a: ": "b.yaml",
	} {
		if _, err := Parse("b.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if b, err := Parse("b.yaml", nil); err != nil || len(b.entries) != 0 {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("findings: [{control: A, resource: '*', reason: r, expires: 2026-01-01}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse("f", text)
		if err != nil {
			return
		}
		b.Apply(&posture.Report{Findings: []posture.Finding{finding("A", "x/y", posture.Failed)}}, time.Now())
	})
}

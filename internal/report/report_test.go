package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"golang.org/x/net/html"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

var now = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// hostile is a name as no friend would choose it.
const hostile = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)> javascript:alert(3) \x1b[2J\u202e{{.}}\x00"

// sample is a report with each status, of each source, with everything that a
// finding may carry.
func sample(t testing.TB) *posture.Report {
	t.Helper()
	stage := func(id string, s *apigateway.Stage) *posture.Resource {
		return &posture.Resource{Type: posture.TypeStage, ID: id, Region: "eu-central-1", Account: "123456789012", Source: posture.Account, Doc: s, Parent: &apigateway.RestApi{}}
	}
	file := func(r *posture.Resource, location string) *posture.Resource {
		r.Source, r.Location, r.Region, r.Account = posture.File, location, "", ""
		return r
	}
	unknown := file(stage("b.yaml#Stage", &apigateway.Stage{}), "b.yaml:7")
	unknown.Unknown = map[string]string{"tracingEnabled": "parameter Trace has no default"}
	bad := file(stage("=cmd|' /C calc'!A0#"+hostile, &apigateway.Stage{}), "infra/a b#c/"+"x.yaml:12")
	bad.Tags = map[string]string{hostile: hostile}
	r, err := posture.Evaluate(controls.All, slices.Values([]*posture.Resource{
		stage("arn:aws:apigateway:eu-central-1::/restapis/a1/stages/prod", &apigateway.Stage{ClientCertificateId: aws.String("c1"), WebAclArn: aws.String("arn:aws:wafv2:x")}),
		unknown, bad,
		{Type: posture.TypeDomainName, ID: "arn:aws:apigateway:eu-central-1::/domainnames/m.example.com", Region: "eu-central-1", Account: "123456789012", Source: posture.Account,
			Doc: &apigateway.DomainName{DomainName: aws.String("m.example.com"), SecurityPolicy: apigateway.SecurityPolicyTls12,
				EndpointConfiguration:   &apigateway.EndpointConfiguration{Types: []apigateway.EndpointType{"REGIONAL"}},
				MutualTlsAuthentication: &apigateway.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/k")}}},
	}), posture.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r.Problems = []posture.Problem{{Where: "c.yaml:3", Text: hostile}}
	seen := now.Add(-time.Minute)
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Status == posture.Unfixable:
			f.Witness(posture.Evidence{Kind: posture.Probe, Target: "m.example.com:443", Time: &seen, Value: "TLSv1.0 is accepted", Contradicts: true,
				Transcript: []string{"TLSv1.0 with 3 suites and 2 groups: accepted", hostile}})
		case strings.HasPrefix(f.Resource.ID, "=cmd") && f.Control == "APIGateway.2":
			f.Reason, f.Notes = hostile, []string{hostile}
			f.Evidence = append(f.Evidence, posture.Evidence{Kind: posture.Configuration, Member: hostile, Value: hostile})
			f.Remediation = []posture.Step{{Form: posture.AWSCLI, Text: "aws apigateway " + hostile, Why: hostile, Breaks: []string{hostile}}}
		case f.Resource.Source == posture.Account && f.Control == "APIGateway.1":
			f.Accepted = &posture.Acceptance{Reason: "ticket 4711", Expires: now.AddDate(0, 1, 0)}
		}
	}
	for _, s := range posture.Statuses() {
		if !slices.ContainsFunc(r.Findings, func(f posture.Finding) bool { return f.Status == s }) && s != posture.NotApplicable {
			t.Fatalf("the sample has nothing that is %s", s)
		}
	}
	return r
}

func render(t testing.TB, format string, r *posture.Report, m Meta) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r, m); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.Bytes()
}

// Every form is written for a full report and for an empty one, the same bytes
// each time, as valid UTF-8.
func TestForms(t *testing.T) {
	empty, err := posture.Evaluate(controls.All, slices.Values([]*posture.Resource(nil)), posture.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range Formats() {
		for _, r := range []*posture.Report{empty, sample(t), {}} {
			for _, m := range []Meta{{}, {Version: "v1", All: true, Color: true, Width: 80}} {
				a, b := render(t, form, r, m), render(t, form, r, m)
				if !bytes.Equal(a, b) {
					t.Errorf("%s differs between two runs", form)
				}
				if !utf8.Valid(a) || len(a) == 0 || a[len(a)-1] != '\n' {
					t.Errorf("%s: no text, no UTF-8 or no end of line: %.200q", form, a)
				}
			}
		}
	}
	if err := Write(io.Discard, "yaml", empty, Meta{}); err == nil || !strings.Contains(err.Error(), `unknown output form "yaml": there are table, json, asff`) {
		t.Errorf("%v", err)
	}
}

// A terminal obeys nothing that a template's author wrote.
func TestTableIsInert(t *testing.T) {
	for line := range strings.Lines(string(render(t, "table", sample(t), Meta{All: true}))) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }); i >= 0 {
			t.Errorf("%q", line)
		}
	}
}

func decode[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in\n%.2000s", err, text)
	}
	return v
}

// The SDK's own types know every member, and its client takes the findings as
// they are for BatchImportFindings.
func TestASFF(t *testing.T) {
	r := sample(t)
	list := decode[[]types.AwsSecurityFinding](t, render(t, "asff", r, Meta{}))
	want := 0
	for _, f := range r.Findings {
		if f.Status != posture.NotApplicable {
			want++
		}
	}
	if len(list) != want {
		t.Errorf("%d findings, want %d", len(list), want)
	}
	client := securityhub.New(securityhub.Options{Region: "eu-central-1", RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
		HTTPClient: roundTrip(func(q *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"FailedCount":0,"SuccessCount":1}`)), Request: q}, nil
		})})
	if _, err := client.BatchImportFindings(t.Context(), &securityhub.BatchImportFindingsInput{Findings: list}); err != nil {
		t.Error(err)
	}
	ids := map[string]bool{}
	for _, f := range list {
		id := aws.ToString(f.Id)
		if ids[id] {
			t.Errorf("%s is there twice", id)
		}
		ids[id] = true
		for what, bad := range map[string]bool{
			"SchemaVersion":     aws.ToString(f.SchemaVersion) != "2018-10-08",
			"Id":                utf8.RuneCountInString(id) > 512 || id == "",
			"ProductArn":        !strings.HasSuffix(aws.ToString(f.ProductArn), "/default"),
			"AwsAccountId":      len(aws.ToString(f.AwsAccountId)) != 12,
			"Title":             utf8.RuneCountInString(aws.ToString(f.Title)) > 256,
			"Description":       utf8.RuneCountInString(aws.ToString(f.Description)) > 1024 || f.Description == nil,
			"Compliance.Status": !slices.Contains(f.Compliance.Status.Values(), f.Compliance.Status),
			"Severity.Label":    !slices.Contains(f.Severity.Label.Values(), f.Severity.Label),
			"Workflow.Status":   !slices.Contains(f.Workflow.Status.Values(), f.Workflow.Status),
			"RecordState":       !slices.Contains(f.RecordState.Values(), f.RecordState),
			"Resources":         len(f.Resources) != 1,
			"ProductFields":     len(f.ProductFields) > 50,
			"CreatedAt":         !isTime(f.CreatedAt),
			"UpdatedAt":         !isTime(f.UpdatedAt),
			"Types":             len(f.Types) == 0,
		} {
			if bad {
				t.Errorf("%s of %s", what, id)
			}
		}
	}
	for _, f := range list {
		if f.Workflow.Status == types.WorkflowStatusSuppressed {
			if f.Note == nil || !strings.Contains(*f.Note.Text, "ticket 4711 (until 2026-09-01)") {
				t.Errorf("%+v", f.Note)
			}
			return
		}
	}
	t.Error("what is accepted is not suppressed")
}

func isTime(s *string) bool {
	_, err := time.Parse(time.RFC3339, aws.ToString(s))
	return err == nil
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) Do(r *http.Request) (*http.Response, error) { return f(r) }

// What OCSF requires is there, and its numbers and words agree.
func TestOCSF(t *testing.T) {
	list := decode[[]complianceFinding](t, render(t, "ocsf", sample(t), Meta{Version: "v1"}))
	statuses := map[string]int{}
	for _, f := range list {
		if f.ClassUID != 2003 || f.CategoryUID != 2 || f.TypeUID != f.ClassUID*100+f.ActivityID || f.Metadata.Version != ocsfVersion ||
			f.Time != now.UnixMilli() || f.FindingInfo.UID == "" || f.FindingInfo.Title == "" || f.Cloud.Provider != "AWS" || len(f.Compliance.Standards) == 0 || len(f.Resources) != 1 {
			t.Errorf("%+v", f)
		}
		statuses[fmt.Sprint(f.Compliance.StatusID, " ", f.Compliance.Status, " ", f.StatusID, " ", f.Status, " ", f.SeverityID)]++
	}
	for _, want := range []string{"1 Pass 4 Resolved 1", "3 Fail 1 New 3", "3 Fail 3 Suppressed 3", "2 Warning 1 New 1"} {
		if statuses[want] == 0 {
			t.Errorf("no finding is %q: %v", want, statuses)
		}
	}
	for _, f := range list {
		for _, e := range f.Evidences {
			if d := e.DstEndpoint; d != nil && d.Hostname == "m.example.com" && d.Port == 443 && e.Data["contradicts"] == true {
				return
			}
		}
	}
	t.Error("the probe is no evidence")
}

func TestSARIF(t *testing.T) {
	r := sample(t)
	for _, all := range []bool{false, true} {
		log := decode[sarifLog](t, render(t, "sarif", r, Meta{Version: "v1", All: all}))
		run := log.Runs[0]
		kinds := map[string]int{}
		prints := map[string]bool{}
		suppressed := 0
		for _, f := range run.Results {
			kinds[f.Kind]++
			if run.Tool.Driver.Rules[f.RuleIndex].ID != f.RuleID {
				t.Errorf("%s is rule %d", f.RuleID, f.RuleIndex)
			}
			if (f.Kind == "fail") == (f.Level == "none") {
				t.Errorf("a result of kind %s has level %s", f.Kind, f.Level)
			}
			if p := f.Fingerprints["controlAndResource/v1"]; p == "" || prints[p] {
				t.Errorf("fingerprint %q", p)
			} else {
				prints[p] = true
			}
			l := f.Locations[0]
			live := strings.HasPrefix(l.Logical[0].Name, "arn:")
			if live != (l.Physical == nil) || len(l.Logical) != 1 {
				t.Errorf("%+v", l)
			}
			if strings.HasPrefix(l.Logical[0].Name, "=cmd") {
				if a := l.Physical.Artifact; a.URI != "infra/a%20b%23c/x.yaml" || a.Base != "%SRCROOT%" || l.Physical.Region.StartLine != 12 {
					t.Errorf("%+v", l.Physical)
				}
			}
			if len(f.Suppressions) > 0 {
				if suppressed++; f.Suppressions[0].Justification != "ticket 4711" {
					t.Errorf("%+v", f.Suppressions)
				}
			}
		}
		if kinds["fail"] == 0 || suppressed != 1 || all != (kinds["pass"] > 0) || all != (kinds["open"] > 0) {
			t.Errorf("all %v: %v, %d suppressed", all, kinds, suppressed)
		}
		if len(run.Tool.Driver.Rules) != len(controls.All) {
			t.Errorf("%d rules", len(run.Tool.Driver.Rules))
		}
		var notes []string
		for _, n := range run.Invocations[0].Notifications {
			notes = append(notes, n.Message.Text)
		}
		if said := strings.Join(notes, "\n"); !strings.Contains(said, "parameter Trace has no default") || !strings.Contains(said, "not read: c.yaml:3") {
			t.Errorf("what is unknown or not read goes unsaid: %s", said)
		}
	}
}

// A result survives the move of its resource to another line.
func TestFingerprint(t *testing.T) {
	f := posture.Finding{Control: "APIGateway.1", Resource: posture.Subject{ID: "a.yaml#S", Location: "a.yaml:1"}}
	g := f
	g.Resource.Location = "a.yaml:99"
	if fingerprint(&f) != fingerprint(&g) {
		t.Error("the line counts")
	}
	if g.Resource.ID = "a.yaml#T"; fingerprint(&f) == fingerprint(&g) {
		t.Error("the resource does not count")
	}
}

func TestLocations(t *testing.T) {
	for location, want := range map[string]struct {
		uri, base string
		line      int
	}{
		"a.yaml:3": {"a.yaml", "%SRCROOT%", 3}, "./x/../a.yaml:3": {"a.yaml", "%SRCROOT%", 3}, "/tmp/a b.yaml:3": {"file:///tmp/a%20b.yaml", "", 3},
		"c:d.yaml:4": {"./c:d.yaml", "%SRCROOT%", 4}, "plan.json": {"plan.json", "%SRCROOT%", 0}, "../up.yaml:1": {"../up.yaml", "%SRCROOT%", 1},
	} {
		file, line := splitLocation(location)
		got := artifact(file)
		if got.URI != want.uri || got.Base != want.base || line != want.line {
			t.Errorf("%s: %+v line %d, want %+v", location, got, line, want)
		}
	}
}

// Each case fails, is skipped or passes as its finding does, and the counts are
// those of the cases.
func TestJUnit(t *testing.T) {
	r := sample(t)
	var log junitSuites
	if err := xml.Unmarshal(render(t, "junit", r, Meta{}), &log); err != nil {
		t.Fatal(err)
	}
	total, failures, skipped := 0, 0, 0
	for _, s := range log.Suites {
		total, failures, skipped = total+len(s.Cases), failures+s.Failures, skipped+s.Skipped
		if s.Tests != len(s.Cases) {
			t.Errorf("suite %s", s.Name)
		}
	}
	open, passed := 0, 0
	for i := range r.Findings {
		if r.Findings[i].Open() {
			open++
		}
		if r.Findings[i].Status == posture.Passed {
			passed++
		}
	}
	if total != len(r.Findings)+1 || failures != open || skipped != total-open-passed || log.Failures != failures || log.Skipped != skipped || log.Tests != total {
		t.Errorf("%d cases, %d failures, %d skipped of %d findings: %+v", total, failures, skipped, len(r.Findings), log)
	}
	if len(log.Suites) != len(controls.All)+1 {
		t.Errorf("%d suites", len(log.Suites))
	}
}

// The records are those of RFC 4180, and none begins a formula.
func TestCSV(t *testing.T) {
	r := sample(t)
	text := render(t, "csv", r, Meta{})
	if n := bytes.Count(text, []byte("\n")); n != bytes.Count(text, []byte("\r\n")) {
		t.Error("a line ends otherwise than CRLF")
	}
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1+len(r.Findings)+len(r.Problems) || records[0][0] != "control" {
		t.Errorf("%d records, %v", len(records), records[0])
	}
	guarded := false
	for _, record := range records {
		for _, field := range record {
			if field != "" && strings.ContainsAny(field[:1], "=+-@\t\r\n|") {
				t.Errorf("a formula: %q", field)
			}
			guarded = guarded || strings.HasPrefix(field, "'=cmd|")
		}
	}
	if !guarded {
		t.Error("nothing was guarded")
	}
}

// The page needs nothing else, executes nothing, and takes no stranger's text
// for its own.
func TestHTML(t *testing.T) {
	for _, all := range []bool{false, true} {
		text := render(t, "html", sample(t), Meta{Version: "v1", All: all})
		root, err := html.Parse(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		allowed := "html head meta title style body a header main footer section h1 h2 h3 h4 p div svg circle text rect table caption thead tbody tr th td span article details summary strong code pre ul li bdi"
		ids := map[string]bool{}
		captions, tables, headings := 0, 0, []string{}
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if !slices.Contains(strings.Fields(allowed), n.Data) {
				t.Errorf("element <%s>", n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "style", a.Key == "srcset", a.Key == "xlink:href":
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				case a.Key == "href" && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "https://docs.aws.amazon.com/"):
					t.Errorf("a link to %q", a.Val)
				case a.Key == "id":
					if ids[a.Val] {
						t.Errorf("id %s is there twice", a.Val)
					}
					ids[a.Val] = true
				}
			}
			switch n.Data {
			case "table":
				tables++
			case "caption":
				captions++
			case "h1", "h2", "h3", "h4":
				headings = append(headings, n.Data)
			case "svg":
				if !slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "aria-label" && a.Val != "" || a.Key == "aria-hidden" }) {
					t.Error("a picture without a text")
				}
			}
		}
		if tables == 0 || tables != captions {
			t.Errorf("%d tables, %d captions", tables, captions)
		}
		level := 0
		for _, h := range headings {
			if n := int(h[1] - '0'); n > level+1 {
				t.Errorf("%s after h%d", h, level)
			} else {
				level = n
			}
		}
		if bytes.Contains(text, []byte("url(")) || bytes.Contains(text, []byte("@import")) || bytes.ContainsAny(text, "\x1b\x00\u202e") {
			t.Error("the page loads something or has control characters")
		}
		for _, want := range []string{"&lt;script&gt;alert(1)", "TLSv1.0 is accepted", "The wire contradicts", "Accepted: <bdi>ticket 4711", "prefers-color-scheme:dark", "@media print", "c.yaml:3"} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("all %v: the page does not have %q", all, want)
			}
		}
	}
}

// The ring's parts add up to it.
func TestArcs(t *testing.T) {
	arcs := pageArcs(map[posture.Status]int{posture.Failed: 1, posture.Passed: 3})
	if len(arcs) != 2 || arcs[0].Dash != "25.00 75.00" || arcs[0].Offset != "25.00" || arcs[1].Dash != "75.00 25.00" || arcs[1].Offset != "0.00" {
		t.Errorf("%+v", arcs)
	}
}

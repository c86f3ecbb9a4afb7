package securityhub

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

var now = time.Date(2026, 8, 10, 12, 0, 0, 0, time.UTC)

// sample is a failing finding of APIGateway.1 with all that people may say.
func sample(t testing.TB) finding {
	t.Helper()
	c, _ := controls.Lookup("APIGateway.1")
	return asff.Finding(&posture.Finding{
		Control: c.ID, Title: c.Title, Severity: c.Severity, Status: posture.Failed, Reason: "methodSettings is empty",
		Resource:   posture.Subject{Type: posture.TypeStage, ID: "arn:aws:apigateway:us-east-1::/restapis/a1/stages/prod", Region: "us-east-1", Account: "111122223333", Tags: map[string]string{"team": "edge"}},
		Parameters: posture.Values{"loggingLevel": {"ERROR"}},
		Evidence:   []posture.Evidence{{Kind: posture.Configuration, Member: "methodSettings"}},
		FirstSeen:  now.AddDate(0, 0, -10), LastSeen: now.AddDate(0, 0, -2),
	}, asff.Meta{Control: c, Note: &types.Note{Text: aws.String("seen by Ann"), UpdatedBy: aws.String("ops"), UpdatedAt: asff.Time(now)},
		Said: asff.Said{Criticality: aws.Int32(40), UserDefinedFields: map[string]string{"ticket": "SEC-12"}}})
}

// The filters as JSON, and whether the sample matches; "!" and a text is an
// error that holds it.
func TestFilters(t *testing.T) {
	f := sample(t)
	for _, row := range []struct{ filters, want string }{
		{`{}`, "yes"},

		// Strings: those that include are joined by OR, those that exclude by AND.
		{`{"Region":[{"Value":"us-east-1","Comparison":"EQUALS"}]}`, "yes"},
		{`{"Region":[{"Value":"US-EAST-1","Comparison":"EQUALS"}]}`, "no"}, // case matters
		{`{"Region":[{"Value":"eu-west-1","Comparison":"EQUALS"},{"Value":"us-east-1","Comparison":"EQUALS"}]}`, "yes"},
		{`{"Region":[{"Value":"eu","Comparison":"PREFIX"},{"Value":"us","Comparison":"PREFIX"}]}`, "yes"},
		{`{"Region":[{"Value":"eu","Comparison":"PREFIX"},{"Value":"east","Comparison":"CONTAINS"}]}`, "yes"},
		{`{"Region":[{"Value":"eu-west-1","Comparison":"NOT_EQUALS"},{"Value":"us-east-1","Comparison":"NOT_EQUALS"}]}`, "no"},
		{`{"Region":[{"Value":"eu","Comparison":"PREFIX_NOT_EQUALS"},{"Value":"ap","Comparison":"PREFIX_NOT_EQUALS"}]}`, "yes"},
		{`{"Region":[{"Value":"eu","Comparison":"PREFIX_NOT_EQUALS"},{"Value":"us","Comparison":"PREFIX_NOT_EQUALS"}]}`, "no"},
		{`{"Title":[{"Value":"execution logging","Comparison":"CONTAINS"}]}`, "yes"},
		{`{"Title":[{"Value":"logging","Comparison":"NOT_CONTAINS"}]}`, "no"},
		{`{"Title":[{"Value":"log","Comparison":"CONTAINS"}]}`, "yes"},
		{`{"Title":[{"Value":"log","Comparison":"CONTAINS_WORD"}]}`, "no"},
		{`{"Title":[{"Value":"logging","Comparison":"CONTAINS_WORD"}]}`, "yes"},
		{`{"ResourceType":[{"Value":"AwsApi","Comparison":"PREFIX"},{"Value":"AwsApiGatewayStage","Comparison":"NOT_EQUALS"}]}`, "no"},
		{`{"ResourceType":[{"Value":"AwsApi","Comparison":"PREFIX"},{"Value":"AwsApiGatewayV2Stage","Comparison":"NOT_EQUALS"}]}`, "yes"},
		{`{"Title":[{"Value":"a","Comparison":"CONTAINS"},{"Value":"b","Comparison":"NOT_CONTAINS"}]}`, "!both CONTAINS and NOT_CONTAINS"},
		{`{"Title":[{"Value":"a","Comparison":"EQUALS"},{"Value":"b","Comparison":"NOT_EQUALS"}]}`, "!both EQUALS and NOT_EQUALS"},
		{`{"Title":[{"Value":"a","Comparison":"EQUALS"},{"Value":"b","Comparison":"PREFIX_NOT_EQUALS"}]}`, "!both EQUALS and PREFIX_NOT_EQUALS"},
		{`{"Title":[{"Value":"a"}]}`, "!needs a Comparison"},
		{`{"Title":[{"Comparison":"EQUALS"}]}`, "!not blank"},
		{`{"Title":[{"Value":" ","Comparison":"EQUALS"}]}`, "!not blank"},

		// Members that hold several values match by any, and exclude by all.
		{`{"ComplianceAssociatedStandardsId":[{"Value":"standards/nist-800-53/v/5.0.0","Comparison":"EQUALS"}]}`, "yes"},
		{`{"ComplianceAssociatedStandardsId":[{"Value":"standards/nist-800-53/v/5.0.0","Comparison":"NOT_EQUALS"}]}`, "no"},
		{`{"ComplianceSecurityControlParametersName":[{"Value":"loggingLevel","Comparison":"EQUALS"}],"ComplianceSecurityControlParametersValue":[{"Value":"ERROR","Comparison":"EQUALS"}]}`, "yes"},
		{`{"Type":[{"Value":"Software and Configuration Checks","Comparison":"PREFIX"}]}`, "yes"},

		// Different fields are joined by AND.
		{`{"SeverityLabel":[{"Value":"MEDIUM","Comparison":"EQUALS"}],"ComplianceStatus":[{"Value":"FAILED","Comparison":"EQUALS"}],"WorkflowStatus":[{"Value":"NEW","Comparison":"EQUALS"}],"RecordState":[{"Value":"ACTIVE","Comparison":"EQUALS"}]}`, "yes"},
		{`{"SeverityLabel":[{"Value":"MEDIUM","Comparison":"EQUALS"}],"ComplianceStatus":[{"Value":"PASSED","Comparison":"EQUALS"}]}`, "no"},
		{`{"AwsAccountId":[{"Value":"111122223333","Comparison":"EQUALS"}],"ProductArn":[{"Value":"arn:aws:securityhub:us-east-1::product/aws/securityhub","Comparison":"EQUALS"}],"GeneratorId":[{"Value":"security-control/APIGateway.1","Comparison":"EQUALS"}],"ResourceId":[{"Value":"/stages/prod","Comparison":"CONTAINS"}]}`, "yes"},
		{`{"NoteText":[{"Value":"Ann","Comparison":"CONTAINS_WORD"}],"NoteUpdatedBy":[{"Value":"ops","Comparison":"EQUALS"}]}`, "yes"},

		// What no control's finding has.
		{`{"MalwareName":[{"Value":"x","Comparison":"EQUALS"}]}`, "no"},
		{`{"MalwareName":[{"Value":"x","Comparison":"NOT_EQUALS"}]}`, "yes"},
		{`{"NetworkSourceIpV4":[{"Cidr":"10.0.0.0/8"}]}`, "no"},
		{`{"NetworkSourceIpV4":[{"Cidr":"ten"}]}`, "!Cidr"},
		{`{"ProcessPid":[{"Eq":1}]}`, "no"},
		{`{"ProcessLaunchedAt":[{"Start":"2026-01-01T00:00:00Z"}]}`, "no"},

		// Dates: seen first ten days ago, last two days ago.
		{`{"UpdatedAt":[{"DateRange":{"Value":3,"Unit":"DAYS"}}]}`, "yes"},
		{`{"UpdatedAt":[{"DateRange":{"Value":1,"Unit":"DAYS"}}]}`, "no"},
		{`{"CreatedAt":[{"DateRange":{"Value":5,"Unit":"DAYS","Comparison":"OLDER_THAN"}}]}`, "yes"},
		{`{"CreatedAt":[{"DateRange":{"Value":5,"Unit":"DAYS","Comparison":"WITHIN"}}]}`, "no"},
		{`{"UpdatedAt":[{"Start":"2026-08-08T12:00:00Z"}]}`, "yes"}, // the bounds are in
		{`{"UpdatedAt":[{"End":"2026-08-08T12:00:00Z"}]}`, "yes"},
		{`{"UpdatedAt":[{"Start":"2026-08-08T12:00:00.001Z"}]}`, "no"},
		{`{"UpdatedAt":[{"Start":"2026-08-08T14:00:00+02:00","End":"2026-08-08T14:00:00+0200"}]}`, "yes"},
		{`{"UpdatedAt":[{"End":"2020-01-01T00:00:00Z"},{"Start":"2026-08-01T00:00:00Z"}]}`, "yes"},
		{`{"LastObservedAt":[{"Start":"2026-08-08T12:00:00Z"}],"FirstObservedAt":[{"End":"2026-08-01T00:00:00Z"}]}`, "yes"},
		{`{"NoteUpdatedAt":[{"Start":"2026-08-10T00:00:00Z"}]}`, "yes"},
		{`{"UpdatedAt":[{}]}`, "!needs Start"},
		{`{"UpdatedAt":[{"Start":"yesterday"}]}`, "!needs times as"},
		{`{"UpdatedAt":[{"Start":"2026-08-02T00:00:00Z","End":"2026-08-01T00:00:00Z"}]}`, "!ends before"},
		{`{"UpdatedAt":[{"Start":"2026-08-02T00:00:00Z","DateRange":{"Value":1,"Unit":"DAYS"}}]}`, "!either"},
		{`{"UpdatedAt":[{"DateRange":{"Value":0,"Unit":"DAYS"}}]}`, "!DateRange of"},
		{`{"UpdatedAt":[{"DateRange":{"Value":1}}]}`, "!DateRange of"},

		// Numbers.
		{`{"SeverityNormalized":[{"Gte":40,"Lte":69}]}`, "yes"},
		{`{"SeverityNormalized":[{"Gt":40}]}`, "no"},
		{`{"SeverityNormalized":[{"Lt":40},{"Eq":40}]}`, "yes"},
		{`{"Criticality":[{"Eq":40}]}`, "yes"},
		{`{"Confidence":[{"Gte":0}]}`, "no"}, // nobody said
		{`{"Criticality":[{}]}`, "!needs Eq"},

		// Maps.
		{`{"ResourceTags":[{"Key":"team","Value":"edge","Comparison":"EQUALS"}]}`, "yes"},
		{`{"ResourceTags":[{"Key":"team","Value":"core","Comparison":"EQUALS"},{"Key":"owner","Value":"x","Comparison":"EQUALS"}]}`, "no"},
		{`{"ResourceTags":[{"Key":"owner","Value":"x","Comparison":"NOT_EQUALS"},{"Key":"team","Value":"core","Comparison":"NOT_EQUALS"}]}`, "yes"},
		{`{"ResourceTags":[{"Key":"team","Value":"ed","Comparison":"CONTAINS"}]}`, "yes"},
		{`{"ResourceTags":[{"Key":"team","Value":"ed","Comparison":"NOT_CONTAINS"}]}`, "no"},
		{`{"ResourceTags":[{"Key":"a","Value":"x","Comparison":"EQUALS"},{"Key":"b","Value":"x","Comparison":"NOT_EQUALS"}]}`, "!both EQUALS and NOT_EQUALS"},
		{`{"ResourceTags":[{"Value":"x","Comparison":"EQUALS"}]}`, "!needs a Key"},
		{`{"UserDefinedFields":[{"Key":"ticket","Value":"SEC-12","Comparison":"EQUALS"}],"ProductFields":[{"Key":"aws/securityhub/ProductName","Value":"Security Hub","Comparison":"EQUALS"}]}`, "yes"},
		{`{"ResourceDetailsOther":[{"Key":"methodSettings","Value":"(not set)","Comparison":"EQUALS"}]}`, "yes"},

		{`{"Keyword":[{"Value":"EXECUTION"}]}`, "yes"},
		{`{"Keyword":[{"Value":"bucket"}]}`, "no"},
		{`{"Sample":[{"Value":false}]}`, "yes"},
		{`{"Sample":[{"Value":true}]}`, "no"},

		// At most 10 fields with 20 values each.
		{fieldsOf("AwsAccountId CompanyName Description GeneratorId Id ProductArn ProductName Region SourceUrl Title", 20), "no"},
		{fieldsOf("AwsAccountId CompanyName Description GeneratorId Id ProductArn ProductName Region SourceUrl Title Type", 1), "!At most 10 fields"},
		{fieldsOf("Title", 21), "!at most 20 are allowed"},
	} {
		filters := new(types.AwsSecurityFindingFilters)
		if err := json.Unmarshal([]byte(row.filters), filters); err != nil {
			t.Fatalf("%s: %v", row.filters, err)
		}
		wanted, err := compile(filters, now)
		if problem, refused := strings.CutPrefix(row.want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %v, want %q", row.filters, err, problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", row.filters, err)
		} else if got := wanted(&f); got != (row.want == "yes") {
			t.Errorf("%s: %v, want %s", row.filters, got, row.want)
		}
	}
}

func fieldsOf(names string, values int) string {
	filters := map[string]any{}
	for _, name := range strings.Fields(names) {
		var some []any
		for i := range values {
			some = append(some, map[string]string{"Value": fmt.Sprint(i), "Comparison": "EQUALS"})
		}
		filters[name] = some
	}
	text, _ := json.Marshal(filters)
	return string(text)
}

// Every field of the tables is one of the API's, and of the type it has there.
func TestFilterTables(t *testing.T) {
	fields := reflect.TypeFor[types.AwsSecurityFindingFilters]()
	check := func(name string, list any) {
		if f, ok := fields.FieldByName(name); !ok || f.Type != reflect.TypeOf(list) {
			t.Errorf("%s is not a field of %T", name, list)
		}
	}
	for name := range texts {
		check(name, []types.StringFilter{})
	}
	for name := range dates {
		check(name, []types.DateFilter{})
	}
	for name := range numbers {
		check(name, []types.NumberFilter{})
	}
	for name := range mappings {
		check(name, []types.MapFilter{})
	}
	// None of them breaks on a finding of which nobody said anything.
	f := asff.Finding(&posture.Finding{Control: "X.1", Status: posture.Unknown}, asff.Meta{})
	for name := range texts {
		key, ok := sortKey(name)
		if !ok {
			t.Errorf("%s cannot be sorted by", name)
			continue
		}
		key(&f)
	}
	for name := range dates {
		key, _ := sortKey(name)
		key(&f)
	}
	for name := range numbers {
		key, _ := sortKey(name)
		key(&f)
	}
	for _, get := range mappings {
		get(&f)
	}
}

func TestContainsWord(t *testing.T) {
	for _, row := range []struct {
		text, word string
		want       bool
	}{
		{"API logging", "logging", true},
		{"API logging", "log", false},
		{"prelog log", "log", true},
		{"log", "log", true},
		{"log4j", "log", false},
		{"a-log-b", "log", true},
		{"épilog", "log", false},
		{"log in to it", "log in", true},
		{"", "log", false},
		{"log", "", false},
	} {
		if got := containsWord(row.text, row.word); got != row.want {
			t.Errorf("containsWord(%q, %q) = %v", row.text, row.word, got)
		}
	}
}

func FuzzContainsWord(f *testing.F) {
	f.Add("API logging", "logging")
	f.Add("prelog log", "log")
	f.Add("\xff\xfelog\x80", "log")
	f.Add("aaa", "a")
	f.Fuzz(func(t *testing.T, text, word string) {
		if containsWord(text, word) && !strings.Contains(text, word) {
			t.Errorf("%q holds the word %q and not its letters", text, word)
		}
		if word != "" && !containsWord(word, word) {
			t.Errorf("%q is not a word of itself", word)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	f.Add("2026-08-01T12:00:00Z")
	f.Add("2026-08-01T12:00:00.123456789+0200")
	f.Add("2026-08-01T12:00:00+02:00")
	f.Add("0000-00-00T00:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := parseTime(text)
		if !ok {
			return
		}
		again, ok := parseTime(at.Format(time.RFC3339Nano))
		if at.Year() >= 0 && at.Year() <= 9999 && (!ok || !again.Equal(at)) {
			t.Errorf("%q is %v and then %v", text, at, again)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(*page{Of: "x", After: []string{"a", "b"}}.token(), "x")
	f.Add("bm9wZQ", "x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, token, of string) {
		p, err := pageAfter(&token, of)
		if err == nil && token != "" && (p.Of != of || len(p.After) == 0) {
			t.Errorf("%q is taken as a token of %q: %+v", token, of, p)
		}
		var s sorter
		s.compare(p.After, []string{"a"})
	})
}

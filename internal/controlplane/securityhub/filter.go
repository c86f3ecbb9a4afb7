package securityhub

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
)

type finding = types.AwsSecurityFinding

// Bounds of a filter. Source: API reference, GetFindings.
const (
	maxFilterFields = 10
	maxFilterValues = 20
)

// predicate says whether a finding is wanted.
type predicate func(*finding) bool

// The members of a finding that the fields of a filter look at, by the field's
// name. A field that is in none of these tables, malware or a network address,
// is one that no finding of a control has: its filters are checked, and match as
// those of an absent member do.
var (
	texts = map[string]func(*finding) []string{
		"AwsAccountId": one(func(f *finding) *string { return f.AwsAccountId }),
		"CompanyName":  one(func(f *finding) *string { return f.CompanyName }),
		"Description":  one(func(f *finding) *string { return f.Description }),
		"GeneratorId":  one(func(f *finding) *string { return f.GeneratorId }),
		"Id":           one(func(f *finding) *string { return f.Id }),
		"ProductArn":   one(func(f *finding) *string { return f.ProductArn }),
		"ProductName":  one(func(f *finding) *string { return f.ProductName }),
		"Region":       one(func(f *finding) *string { return f.Region }),
		"SourceUrl":    one(func(f *finding) *string { return f.SourceUrl }),
		"Title":        one(func(f *finding) *string { return f.Title }),

		"Type":              func(f *finding) []string { return f.Types },
		"RecordState":       func(f *finding) []string { return []string{string(f.RecordState)} },
		"VerificationState": func(f *finding) []string { return present(string(f.VerificationState)) },
		//lint:ignore SA1019 AWS still filters by it
		"WorkflowState":  func(f *finding) []string { return present(string(f.WorkflowState)) },
		"WorkflowStatus": func(f *finding) []string { return []string{string(f.Workflow.Status)} },
		"SeverityLabel":  func(f *finding) []string { return present(string(f.Severity.Label)) },

		"ComplianceStatus":            func(f *finding) []string { return []string{string(f.Compliance.Status)} },
		"ComplianceSecurityControlId": one(func(f *finding) *string { return f.Compliance.SecurityControlId }),
		"ComplianceAssociatedStandardsId": func(f *finding) []string {
			return each(f.Compliance.AssociatedStandards, func(s types.AssociatedStandard) []string { return values(s.StandardsId) })
		},
		"ComplianceSecurityControlParametersName": func(f *finding) []string {
			return each(f.Compliance.SecurityControlParameters, func(p types.SecurityControlParameter) []string { return values(p.Name) })
		},
		"ComplianceSecurityControlParametersValue": func(f *finding) []string {
			return each(f.Compliance.SecurityControlParameters, func(p types.SecurityControlParameter) []string { return p.Value })
		},

		"FindingProviderFieldsSeverityLabel":    func(f *finding) []string { return []string{string(f.FindingProviderFields.Severity.Label)} },
		"FindingProviderFieldsSeverityOriginal": one(func(f *finding) *string { return f.FindingProviderFields.Severity.Original }),
		"FindingProviderFieldsTypes":            func(f *finding) []string { return f.FindingProviderFields.Types },

		"NoteText": func(f *finding) []string {
			if f.Note == nil {
				return nil
			}
			return values(f.Note.Text)
		},
		"NoteUpdatedBy": func(f *finding) []string {
			if f.Note == nil {
				return nil
			}
			return values(f.Note.UpdatedBy)
		},
		"RecommendationText": func(f *finding) []string {
			if f.Remediation == nil {
				return nil
			}
			return values(f.Remediation.Recommendation.Text)
		},
		"RelatedFindingsId": func(f *finding) []string {
			return each(f.RelatedFindings, func(r types.RelatedFinding) []string { return values(r.Id) })
		},
		"RelatedFindingsProductArn": func(f *finding) []string {
			return each(f.RelatedFindings, func(r types.RelatedFinding) []string { return values(r.ProductArn) })
		},

		"ResourceId": func(f *finding) []string {
			return each(f.Resources, func(r types.Resource) []string { return values(r.Id) })
		},
		"ResourceType": func(f *finding) []string {
			return each(f.Resources, func(r types.Resource) []string { return values(r.Type) })
		},
		"ResourcePartition": func(f *finding) []string {
			return each(f.Resources, func(r types.Resource) []string { return present(string(r.Partition)) })
		},
		"ResourceRegion": func(f *finding) []string {
			return each(f.Resources, func(r types.Resource) []string { return values(r.Region) })
		},
	}
	dates = map[string]func(*finding) *string{
		"CreatedAt":       func(f *finding) *string { return f.CreatedAt },
		"FirstObservedAt": func(f *finding) *string { return f.FirstObservedAt },
		"LastObservedAt":  func(f *finding) *string { return f.LastObservedAt },
		"UpdatedAt":       func(f *finding) *string { return f.UpdatedAt },
		"NoteUpdatedAt": func(f *finding) *string {
			if f.Note == nil {
				return nil
			}
			return f.Note.UpdatedAt
		},
	}
	numbers = map[string]func(*finding) (float64, bool){
		"Confidence":         func(f *finding) (float64, bool) { return number(f.Confidence) },
		"Criticality":        func(f *finding) (float64, bool) { return number(f.Criticality) },
		"SeverityNormalized": func(f *finding) (float64, bool) { return number(f.Severity.Normalized) },
		"SeverityProduct": func(f *finding) (float64, bool) {
			return aws.ToFloat64(f.Severity.Product), f.Severity.Product != nil
		},
	}
	mappings = map[string]func(*finding) map[string]string{
		"ProductFields":     func(f *finding) map[string]string { return f.ProductFields },
		"UserDefinedFields": func(f *finding) map[string]string { return f.UserDefinedFields },
		"ResourceTags":      func(f *finding) map[string]string { return f.Resources[0].Tags },
		"ResourceDetailsOther": func(f *finding) map[string]string {
			if f.Resources[0].Details == nil {
				return nil
			}
			return f.Resources[0].Details.Other
		},
	}
)

func values(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func one(get func(*finding) *string) func(*finding) []string {
	return func(f *finding) []string { return values(get(f)) }
}

func each[T any](list []T, get func(T) []string) (out []string) {
	for _, v := range list {
		out = append(out, get(v)...)
	}
	return out
}

func number(n *int32) (float64, bool) { return float64(aws.ToInt32(n)), n != nil }

// badFilter is a filter that makes no sense.
func badFilter(field, format string, args ...any) error {
	return resource.Errorf(resource.BadRequest, "Invalid parameter 'Filters'. %s %s.", field, fmt.Sprintf(format, args...))
}

// keys are the fields that a finding's key tells by itself: those that exclude
// it by one of them are not even looked at.
var keys = map[string]func(*auditor.Ref) string{
	"ComplianceSecurityControlId": func(r *auditor.Ref) string { return r.Control },
	"GeneratorId":                 func(r *auditor.Ref) string { return "security-control/" + r.Control },
	"ResourceId":                  func(r *auditor.Ref) string { return r.Resource },
	"ResourceType": func(r *auditor.Ref) string {
		if t, ok := posture.LookupType(r.Type); ok {
			return t.ASFF
		}
		return ""
	},
	"RecordState": func(r *auditor.Ref) string { return recordState(r.Archived) },
}

// candidates makes of filters that compile what excludes findings by their keys.
func candidates(filters *types.AwsSecurityFindingFilters) func(*auditor.Ref) bool {
	type condition struct {
		get     func(*auditor.Ref) string
		matches func([]string) bool
	}
	var all []condition
	if filters != nil {
		v := reflect.ValueOf(filters).Elem()
		for field, get := range keys {
			if some, ok := v.FieldByName(field).Interface().([]types.StringFilter); ok && len(some) > 0 {
				if matches, err := stringMatcher(field, some); err == nil {
					all = append(all, condition{get, matches})
				}
			}
		}
	}
	return func(r *auditor.Ref) bool {
		for i := range all {
			if v := all[i].get(r); v != "" && !all[i].matches([]string{v}) {
				return false
			}
		}
		return true
	}
}

// compile makes a predicate of filters: a finding must match every field. now
// is where ranges of days end.
func compile(filters *types.AwsSecurityFindingFilters, now time.Time) (predicate, error) {
	if filters == nil {
		return func(*finding) bool { return true }, nil
	}
	var all []predicate
	v := reflect.ValueOf(filters).Elem()
	for i := range v.NumField() {
		list, field := v.Field(i), v.Type().Field(i).Name
		if list.Kind() != reflect.Slice || list.Len() == 0 {
			continue
		}
		if len(all) == maxFilterFields {
			return nil, resource.Errorf(resource.BadRequest, "Invalid parameter 'Filters'. At most %d fields can be filtered by.", maxFilterFields)
		}
		if list.Len() > maxFilterValues {
			return nil, badFilter(field, "has %d values; at most %d are allowed", list.Len(), maxFilterValues)
		}
		var p predicate
		var err error
		switch some := list.Interface().(type) {
		case []types.StringFilter:
			p, err = stringPredicate(field, some)
		case []types.DateFilter:
			p, err = datePredicate(field, some, now)
		case []types.NumberFilter:
			p, err = numberPredicate(field, some)
		case []types.MapFilter:
			p, err = mapPredicate(field, some)
		case []types.KeywordFilter:
			p, err = keywordPredicate(field, some)
		case []types.IpFilter:
			p, err = addressPredicate(field, some)
		case []types.BooleanFilter:
			p, err = booleanPredicate(field, some)
		default:
			err = badFilter(field, "cannot be filtered by")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return func(f *finding) bool {
		for _, p := range all {
			if !p(f) {
				return false
			}
		}
		return true
	}, nil
}

// comparisons are what a string may be compared by: a value and what it is
// compared with.
var comparisons = map[string]func(value, want string) bool{
	"EQUALS":        func(value, want string) bool { return value == want },
	"PREFIX":        strings.HasPrefix,
	"CONTAINS":      strings.Contains,
	"CONTAINS_WORD": containsWord,
}

// negations are the comparisons that exclude, with those they negate.
var negations = map[string]string{"NOT_EQUALS": "EQUALS", "PREFIX_NOT_EQUALS": "PREFIX", "NOT_CONTAINS": "CONTAINS"}

// exclusive are the pairs of comparisons that one field may not have both of.
// Source: API reference, StringFilter.Comparison.
var exclusive = [][2]string{{"CONTAINS", "NOT_CONTAINS"}, {"EQUALS", "NOT_EQUALS"}, {"EQUALS", "PREFIX_NOT_EQUALS"}}

// comparison is one of a field's filters.
type comparison struct{ key, name, want string }

// weigh checks a field's comparisons and splits them: a finding must match one
// of the first, if there are any, and none of the second.
func weigh(field string, some []comparison) (any, none []comparison, err error) {
	used := map[string]bool{}
	for _, c := range some {
		if strings.TrimSpace(c.want) == "" {
			return nil, nil, badFilter(field, "needs a value that is not blank")
		}
		used[c.name] = true
		if positive, ok := negations[c.name]; ok {
			none = append(none, comparison{c.key, positive, c.want})
		} else if comparisons[c.name] != nil {
			any = append(any, c)
		} else {
			return nil, nil, badFilter(field, "needs a Comparison")
		}
	}
	for _, pair := range exclusive {
		if used[pair[0]] && used[pair[1]] {
			return nil, nil, badFilter(field, "cannot be compared by both %s and %s", pair[0], pair[1])
		}
	}
	return any, none, nil
}

func stringPredicate(field string, filters []types.StringFilter) (predicate, error) {
	matches, err := stringMatcher(field, filters)
	if err != nil {
		return nil, err
	}
	get := texts[field]
	return func(f *finding) bool {
		if get == nil {
			return matches(nil)
		}
		return matches(get(f))
	}, nil
}

// stringMatcher judges the values that a member has.
func stringMatcher(field string, filters []types.StringFilter) (func(have []string) bool, error) {
	some := make([]comparison, len(filters))
	for i, f := range filters {
		some[i] = comparison{"", string(f.Comparison), aws.ToString(f.Value)}
	}
	any, none, err := weigh(field, some)
	if err != nil {
		return nil, err
	}
	return func(have []string) bool {
		matches := func(c comparison) bool {
			return slices.ContainsFunc(have, func(v string) bool { return comparisons[c.name](v, c.want) })
		}
		return (len(any) == 0 || slices.ContainsFunc(any, matches)) && !slices.ContainsFunc(none, matches)
	}, nil
}

func mapPredicate(field string, filters []types.MapFilter) (predicate, error) {
	some := make([]comparison, len(filters))
	for i, f := range filters {
		if strings.TrimSpace(aws.ToString(f.Key)) == "" {
			return nil, badFilter(field, "needs a Key")
		}
		some[i] = comparison{*f.Key, string(f.Comparison), aws.ToString(f.Value)}
	}
	any, none, err := weigh(field, some)
	if err != nil {
		return nil, err
	}
	get := mappings[field]
	return func(f *finding) bool {
		var have map[string]string
		if get != nil {
			have = get(f)
		}
		matches := func(c comparison) bool {
			v, ok := have[c.key]
			return ok && comparisons[c.name](v, c.want)
		}
		return (len(any) == 0 || slices.ContainsFunc(any, matches)) && !slices.ContainsFunc(none, matches)
	}, nil
}

// period is a span of time, both ends included; a zero end is open.
type period struct{ from, to time.Time }

func (p period) holds(t time.Time) bool {
	return !t.Before(p.from) && (p.to.IsZero() || !t.After(p.to))
}

// maxDays bounds a range of days; AWS names no bound.
const maxDays = 36500

func datePredicate(field string, filters []types.DateFilter, now time.Time) (predicate, error) {
	var periods []period
	for _, f := range filters {
		var p period
		switch r := f.DateRange; {
		case r != nil && (f.Start != nil || f.End != nil):
			return nil, badFilter(field, "takes either a DateRange or Start and End")
		case r != nil:
			days := aws.ToInt32(r.Value)
			if days < 1 || days > maxDays || r.Unit != types.DateRangeUnitDays {
				return nil, badFilter(field, "needs a DateRange of 1 to %d DAYS", maxDays)
			}
			at := now.AddDate(0, 0, -int(days))
			if r.Comparison == types.DateRangeComparisonOlderThan {
				p.to = at
			} else {
				p.from = at
			}
		case f.Start == nil && f.End == nil:
			return nil, badFilter(field, "needs Start, End or a DateRange")
		default:
			for _, bound := range []struct {
				text *string
				to   *time.Time
			}{{f.Start, &p.from}, {f.End, &p.to}} {
				if bound.text == nil {
					continue
				}
				t, ok := parseTime(*bound.text)
				if !ok {
					return nil, badFilter(field, "needs times as 2026-08-01T12:00:00Z")
				}
				*bound.to = t
			}
			if !p.to.IsZero() && p.to.Before(p.from) {
				return nil, badFilter(field, "ends before it starts")
			}
		}
		periods = append(periods, p)
	}
	get := dates[field]
	return func(f *finding) bool {
		if get == nil {
			return false
		}
		text := get(f)
		if text == nil {
			return false
		}
		t, ok := parseTime(*text)
		return ok && slices.ContainsFunc(periods, func(p period) bool { return p.holds(t) })
	}, nil
}

// timeForms are the forms of a time that Security Hub takes; all may have
// fractions of a second.
// Source: API reference, Timestamps.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04:05Z0700"}

func parseTime(text string) (time.Time, bool) {
	if len(text) > 40 {
		return time.Time{}, false
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func numberPredicate(field string, filters []types.NumberFilter) (predicate, error) {
	for _, f := range filters {
		if f.Eq == nil && f.Gt == nil && f.Gte == nil && f.Lt == nil && f.Lte == nil {
			return nil, badFilter(field, "needs Eq, Gt, Gte, Lt or Lte")
		}
	}
	get := numbers[field]
	return func(f *finding) bool {
		if get == nil {
			return false
		}
		n, ok := get(f)
		return ok && slices.ContainsFunc(filters, func(w types.NumberFilter) bool {
			return (w.Eq == nil || n == *w.Eq) && (w.Gt == nil || n > *w.Gt) && (w.Gte == nil || n >= *w.Gte) &&
				(w.Lt == nil || n < *w.Lt) && (w.Lte == nil || n <= *w.Lte)
		})
	}, nil
}

// keywordPredicate looks for a word in what people read of a finding.
func keywordPredicate(field string, filters []types.KeywordFilter) (predicate, error) {
	for _, f := range filters {
		if strings.TrimSpace(aws.ToString(f.Value)) == "" {
			return nil, badFilter(field, "needs a value that is not blank")
		}
	}
	return func(f *finding) bool {
		for _, text := range []*string{f.Title, f.Description, f.Id, f.GeneratorId, f.Resources[0].Id} {
			for _, w := range filters {
				if strings.Contains(strings.ToLower(aws.ToString(text)), strings.ToLower(*w.Value)) {
					return true
				}
			}
		}
		return false
	}, nil
}

// addressPredicate matches nothing: no finding of a control has an address.
func addressPredicate(field string, filters []types.IpFilter) (predicate, error) {
	for _, f := range filters {
		cidr := aws.ToString(f.Cidr)
		if _, err := netip.ParsePrefix(cidr); err != nil {
			if _, err := netip.ParseAddr(cidr); err != nil {
				return nil, badFilter(field, "needs a Cidr as 10.0.0.0/8")
			}
		}
	}
	return func(*finding) bool { return false }, nil
}

func booleanPredicate(field string, filters []types.BooleanFilter) (predicate, error) {
	for _, f := range filters {
		if f.Value == nil {
			return nil, badFilter(field, "needs a value")
		}
	}
	return func(f *finding) bool { // Sample is the only one
		return slices.ContainsFunc(filters, func(w types.BooleanFilter) bool { return *w.Value == aws.ToBool(f.Sample) })
	}, nil
}

// containsWord reports whether want stands in text with no letter or digit
// right before or after it.
func containsWord(text, want string) bool {
	if want == "" {
		return false
	}
	for from := 0; ; {
		at := strings.Index(text[from:], want)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, size := utf8.DecodeRuneInString(text[at+len(want):])
		if (at == 0 || !inWord(before)) && (size == 0 || !inWord(after)) {
			return true
		}
		_, size = utf8.DecodeRuneInString(text[at:])
		from = at + size
	}
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// gravity orders labels of severity, the least grave first.
var gravity = map[types.SeverityLabel]int{
	types.SeverityLabelInformational: 1, types.SeverityLabelLow: 2, types.SeverityLabelMedium: 3, types.SeverityLabelHigh: 4, types.SeverityLabelCritical: 5,
}

// sortKey is what a finding is sorted by: a text that orders as its value does.
// ok is false for a field that nothing can be sorted by.
func sortKey(field string) (key func(*finding) string, ok bool) {
	switch {
	case field == "SeverityLabel":
		return func(f *finding) string { return fmt.Sprint(gravity[f.Severity.Label]) }, true
	case texts[field] != nil:
		return func(f *finding) string { return strings.Join(texts[field](f), "\x00") }, true
	case dates[field] != nil:
		return func(f *finding) string { return aws.ToString(dates[field](f)) }, true // all of one form
	case numbers[field] != nil:
		return func(f *finding) string {
			n, ok := numbers[field](f)
			if !ok {
				return ""
			}
			return fmt.Sprintf("%024.6f", n+1e12) // negative ones too
		}, true
	}
	return nil, false
}

// reasonForm is what a reason may be written with.
// Source: API reference, AlphaNumericNonEmptyString.
var reasonForm = regexp.MustCompile(`^([^\x00-\x7F]|[-_ a-zA-Z0-9])+$`)

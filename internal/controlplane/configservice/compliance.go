package configservice

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/posture"
)

// complianceOf is what a verdict is called. What is unknown is never compliant.
var complianceOf = map[posture.Status]types.ComplianceType{
	posture.Passed:        types.ComplianceTypeCompliant,
	posture.Failed:        types.ComplianceTypeNonCompliant,
	posture.Unfixable:     types.ComplianceTypeNonCompliant,
	posture.Unknown:       types.ComplianceTypeInsufficientData,
	posture.NotApplicable: types.ComplianceTypeNotApplicable,
}

// contributors are counted up to here. Source: API reference,
// ComplianceContributorCount, whose samples end at 25 rules and 100 resources.
const (
	cappedRules     = 25
	cappedResources = 100
)

// tally counts verdicts of one rule or of one resource.
type tally map[types.ComplianceType]int

// compliance is what verdicts come to: one that fails decides, then one that
// cannot be told.
func (t tally) compliance(capped int) *types.Compliance {
	switch failing := t[types.ComplianceTypeNonCompliant]; {
	case failing > 0:
		return &types.Compliance{ComplianceType: types.ComplianceTypeNonCompliant,
			ComplianceContributorCount: &types.ComplianceContributorCount{CappedCount: int32(min(failing, capped)), CapExceeded: failing > capped}}
	case t[types.ComplianceTypeInsufficientData] > 0, t[types.ComplianceTypeCompliant] == 0:
		return &types.Compliance{ComplianceType: types.ComplianceTypeInsufficientData}
	}
	return &types.Compliance{ComplianceType: types.ComplianceTypeCompliant}
}

// wanted checks the compliance types of a request. Of single verdicts AWS does
// not filter by INSUFFICIENT_DATA.
func wanted(in []types.ComplianceType, single bool) error {
	if len(in) > maxTypes {
		return invalid("At most %d compliance types can be given.", maxTypes)
	}
	if single && slices.Contains(in, types.ComplianceTypeInsufficientData) {
		return invalid("INSUFFICIENT_DATA cannot be used to filter evaluation results.")
	}
	return nil
}

func (s *service) describeComplianceByConfigRule(_ context.Context, _ *controlplane.Call, in *configservice.DescribeComplianceByConfigRuleInput) (*configservice.DescribeComplianceByConfigRuleOutput, error) {
	rules, err := s.rules(in.ConfigRuleNames)
	if err == nil {
		err = wanted(in.ComplianceTypes, false)
	}
	if err != nil {
		return nil, err
	}
	tallies := map[string]tally{}
	for _, f := range s.audit.Report().Findings {
		if tallies[f.Control] == nil {
			tallies[f.Control] = tally{}
		}
		tallies[f.Control][complianceOf[f.Status]]++
	}
	rules = slices.DeleteFunc(rules, func(c *posture.Control) bool {
		return !asked(in.ComplianceTypes, tallies[c.ID].compliance(cappedResources).ComplianceType)
	})
	page, next, err := pageOf(rules, ruleName, "by rule "+typesOf(in.ComplianceTypes), maxPage, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeComplianceByConfigRuleOutput{ComplianceByConfigRules: []types.ComplianceByConfigRule{}, NextToken: next}
	for _, c := range page {
		out.ComplianceByConfigRules = append(out.ComplianceByConfigRules, types.ComplianceByConfigRule{ConfigRuleName: aws.String(ruleName(c)), Compliance: tallies[c.ID].compliance(cappedResources)})
	}
	return out, nil
}

func (s *service) describeComplianceByResource(_ context.Context, _ *controlplane.Call, in *configservice.DescribeComplianceByResourceInput) (*configservice.DescribeComplianceByResourceOutput, error) {
	if in.ResourceId != nil && in.ResourceType == nil {
		return nil, invalid("A resource id needs a resource type.")
	}
	n, err := limit(in.Limit, usualPage, maxPage)
	if err == nil {
		err = wanted(in.ComplianceTypes, false)
	}
	if err != nil {
		return nil, err
	}
	type judged struct {
		typ, id string
		tally   tally
	}
	var all []judged
	for _, f := range s.audit.Report().Findings { // in the order of ids and types
		if in.ResourceType != nil && f.Resource.Type != *in.ResourceType || in.ResourceId != nil && f.Resource.ID != *in.ResourceId {
			continue
		}
		if last := len(all) - 1; last < 0 || all[last].typ != f.Resource.Type || all[last].id != f.Resource.ID {
			all = append(all, judged{f.Resource.Type, f.Resource.ID, tally{}})
		}
		all[len(all)-1].tally[complianceOf[f.Status]]++
	}
	all = slices.DeleteFunc(all, func(j judged) bool { return !asked(in.ComplianceTypes, j.tally.compliance(cappedRules).ComplianceType) })
	of := strings.Join([]string{"by resource", aws.ToString(in.ResourceType), aws.ToString(in.ResourceId), typesOf(in.ComplianceTypes)}, " ")
	page, next, err := pageOf(all, func(j judged) string { return j.id + "\x00" + j.typ }, of, n, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeComplianceByResourceOutput{ComplianceByResources: []types.ComplianceByResource{}, NextToken: next}
	for _, j := range page {
		out.ComplianceByResources = append(out.ComplianceByResources, types.ComplianceByResource{ResourceType: &j.typ, ResourceId: &j.id, Compliance: j.tally.compliance(cappedRules)})
	}
	return out, nil
}

// results are single verdicts. Those that a rule says nothing by are left out
// unless they are asked for.
func (s *service) results(in []types.ComplianceType, wanted func(*posture.Finding) bool) []posture.Finding {
	return slices.DeleteFunc(s.audit.Report().Findings, func(f posture.Finding) bool {
		t := complianceOf[f.Status]
		return !wanted(&f) || !asked(in, t) || len(in) == 0 && t == types.ComplianceTypeNotApplicable
	})
}

func (s *service) result(f *posture.Finding) types.EvaluationResult {
	rule := ""
	if c := s.audit.Control(f.Control); c != nil {
		rule = ruleName(c)
	}
	r := types.EvaluationResult{
		ComplianceType: complianceOf[f.Status], ResultRecordedTime: aws.Time(f.LastSeen), ConfigRuleInvokedTime: aws.Time(f.LastSeen),
		EvaluationResultIdentifier: &types.EvaluationResultIdentifier{
			OrderingTimestamp: aws.Time(f.FirstSeen),
			EvaluationResultQualifier: &types.EvaluationResultQualifier{ConfigRuleName: &rule, ResourceType: &f.Resource.Type, ResourceId: &f.Resource.ID,
				EvaluationMode: types.EvaluationModeDetective},
		},
	}
	if f.Reason != "" {
		r.Annotation = aws.String(clip(f.Reason, 256))
	}
	return r
}

func (s *service) getComplianceDetailsByConfigRule(_ context.Context, _ *controlplane.Call, in *configservice.GetComplianceDetailsByConfigRuleInput) (*configservice.GetComplianceDetailsByConfigRuleOutput, error) {
	rules, err := s.rules([]string{*in.ConfigRuleName})
	if err == nil {
		err = wanted(in.ComplianceTypes, true)
	}
	if err != nil {
		return nil, err
	}
	n, err := limit(in.Limit, usualPage, maxPage)
	if err != nil {
		return nil, err
	}
	all := s.results(in.ComplianceTypes, func(f *posture.Finding) bool { return f.Control == rules[0].ID })
	of := "details of " + rules[0].ID + " " + typesOf(in.ComplianceTypes)
	page, next, err := pageOf(all, func(f posture.Finding) string { return f.Resource.ID + "\x00" + f.Resource.Type }, of, n, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.GetComplianceDetailsByConfigRuleOutput{EvaluationResults: []types.EvaluationResult{}, NextToken: next}
	for i := range page {
		out.EvaluationResults = append(out.EvaluationResults, s.result(&page[i]))
	}
	return out, nil
}

func (s *service) getComplianceDetailsByResource(_ context.Context, _ *controlplane.Call, in *configservice.GetComplianceDetailsByResourceInput) (*configservice.GetComplianceDetailsByResourceOutput, error) {
	if in.ResourceEvaluationId != nil {
		return nil, invalid("There are no proactive evaluations here: name a resource's type and id.")
	}
	if in.ResourceType == nil || in.ResourceId == nil {
		return nil, invalid("A resource type and a resource id are needed.")
	}
	if err := wanted(in.ComplianceTypes, true); err != nil {
		return nil, err
	}
	all := s.results(in.ComplianceTypes, func(f *posture.Finding) bool {
		return f.Resource.Type == *in.ResourceType && f.Resource.ID == *in.ResourceId
	})
	slices.SortFunc(all, func(a, b posture.Finding) int { return strings.Compare(a.Control, b.Control) })
	of := "details of " + *in.ResourceType + " " + *in.ResourceId + " " + typesOf(in.ComplianceTypes)
	page, next, err := pageOf(all, func(f posture.Finding) string { return f.Control }, of, maxPage, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.GetComplianceDetailsByResourceOutput{EvaluationResults: []types.EvaluationResult{}, NextToken: next}
	for i := range page {
		out.EvaluationResults = append(out.EvaluationResults, s.result(&page[i]))
	}
	return out, nil
}

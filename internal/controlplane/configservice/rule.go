package configservice

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
)

// rules are the controls whose rules have these names, in the order of the
// names; no names are all. A rule answers to its own name and to that which
// Security Hub gives its copy of it.
func (s *service) rules(names []string) ([]*posture.Control, error) {
	if len(names) > maxRules {
		return nil, invalid("At most %d names of Config rules can be given.", maxRules)
	}
	all := slices.Clone(s.audit.Controls())
	slices.SortFunc(all, func(a, b *posture.Control) int { return strings.Compare(ruleName(a), ruleName(b)) })
	if len(names) == 0 {
		return all, nil
	}
	var out []*posture.Control
	for _, n := range names {
		i := slices.IndexFunc(all, func(c *posture.Control) bool {
			return ruleName(c) == n || asff.RuleName(ruleName(c), s.Options().Account, s.Options().Region) == n
		})
		if i < 0 {
			return nil, resource.Errorf(resource.NotFound, "The ConfigRule '%s' provided in the request is invalid. Please check the configRule name", clip(n, 128))
		}
		if !slices.Contains(out, all[i]) {
			out = append(out, all[i])
		}
	}
	slices.SortFunc(out, func(a, b *posture.Control) int { return strings.Compare(ruleName(a), ruleName(b)) })
	return out, nil
}

func ruleName(c *posture.Control) string { return c.ConfigRule.Name }

// ruleID is the id of a rule: config-rule- and six letters or digits.
func (s *service) ruleID(c *posture.Control) string {
	sum := sha256.Sum256([]byte(ruleName(c) + "\x00" + s.Options().Account + "\x00" + s.Options().Region))
	return "config-rule-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])[:6])
}

func (s *service) ruleARN(c *posture.Control) string {
	return "arn:" + asff.Partition(s.Options().Region) + ":config:" + s.Options().Region + ":" + s.Options().Account + ":config-rule/" + s.ruleID(c)
}

// inputs are a rule's parameters as a JSON text: what is set, else the
// control's own, else what the rule takes without one.
func (s *service) inputs(c *posture.Control) (string, error) {
	set := s.audit.Params()[c.ID]
	p, err := c.Params(set, "", posture.Live, s.Now())
	if err != nil {
		return "", err
	}
	values := map[string]string{}
	for _, d := range c.Parameters {
		v := p.Values[d.Name]
		if len(v) == 0 {
			v = d.RuleDefault
		}
		if len(v) > 0 {
			values[d.Name] = strings.Join(v, ",")
		}
	}
	text, err := json.Marshal(values)
	return string(text), err
}

// scope are the types of resources that a rule judges. A type that is of
// templates only is none of AWS Config's.
func scope(c *posture.Control) []string {
	return slices.DeleteFunc(slices.Clone(c.Resources), func(name string) bool {
		t, ok := posture.LookupType(name)
		return !ok || t.TemplateOnly
	})
}

func (s *service) configRule(c *posture.Control) (types.ConfigRule, error) {
	inputs, err := s.inputs(c)
	if err != nil {
		return types.ConfigRule{}, err
	}
	// Rules of Security Hub's own have no identifier that AWS publishes.
	identifier := cmp.Or(c.ConfigRule.Identifier, strings.ToUpper(strings.ReplaceAll(ruleName(c), "-", "_")))
	r := types.ConfigRule{
		ConfigRuleName: aws.String(ruleName(c)), ConfigRuleArn: aws.String(s.ruleARN(c)), ConfigRuleId: aws.String(s.ruleID(c)),
		ConfigRuleState: types.ConfigRuleStateActive, CreatedBy: aws.String("securityhub.amazonaws.com"), Description: aws.String(clip(c.Title, 256)),
		Source: &types.Source{Owner: types.OwnerAws, SourceIdentifier: &identifier}, Scope: &types.Scope{ComplianceResourceTypes: scope(c)},
		InputParameters: &inputs, EvaluationModes: []types.EvaluationModeConfiguration{{Mode: types.EvaluationModeDetective}},
		RuleEvaluationVisibility: types.RuleEvaluationVisibilityExternal,
	}
	if c.Schedule != posture.ChangeTriggered {
		r.MaximumExecutionFrequency = types.MaximumExecutionFrequencyOneHour
	}
	return r, nil
}

func (s *service) describeConfigRules(_ context.Context, _ *controlplane.Call, in *configservice.DescribeConfigRulesInput) (*configservice.DescribeConfigRulesOutput, error) {
	rules, err := s.rules(in.ConfigRuleNames)
	if err != nil {
		return nil, err
	}
	if f := in.Filters; f != nil && (f.EvaluationMode == types.EvaluationModeProactive || f.RuleEvaluationVisibility == types.RuleEvaluationVisibilityInternal) {
		rules = nil
	}
	page, next, err := pageOf(rules, ruleName, "rules", maxRules, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConfigRulesOutput{ConfigRules: []types.ConfigRule{}, NextToken: next}
	for _, c := range page {
		r, err := s.configRule(c)
		if err != nil {
			return nil, err
		}
		out.ConfigRules = append(out.ConfigRules, r)
	}
	return out, nil
}

func (s *service) describeConfigRuleEvaluationStatus(_ context.Context, _ *controlplane.Call, in *configservice.DescribeConfigRuleEvaluationStatusInput) (*configservice.DescribeConfigRuleEvaluationStatusOutput, error) {
	rules, err := s.rules(in.ConfigRuleNames)
	if err != nil {
		return nil, err
	}
	n, err := limit(in.Limit, maxRulesPage, maxRulesPage)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(rules, ruleName, "status", n, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConfigRuleEvaluationStatusOutput{ConfigRulesEvaluationStatus: []types.ConfigRuleEvaluationStatus{}, NextToken: next}
	last, first := aws.Time(s.audit.Evaluated()), aws.Time(s.audit.Enabled())
	for _, c := range page {
		out.ConfigRulesEvaluationStatus = append(out.ConfigRulesEvaluationStatus, types.ConfigRuleEvaluationStatus{
			ConfigRuleName: aws.String(ruleName(c)), ConfigRuleArn: aws.String(s.ruleARN(c)), ConfigRuleId: aws.String(s.ruleID(c)),
			FirstActivatedTime: first, FirstEvaluationStarted: true, LastSuccessfulInvocationTime: last, LastSuccessfulEvaluationTime: last,
		})
	}
	return out, nil
}

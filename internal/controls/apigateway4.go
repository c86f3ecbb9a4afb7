package controls

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.4: REST stages stand behind a web ACL.
var apiGateway4 = posture.Control{
	ID:          "APIGateway.4",
	Title:       "API Gateway should be associated with a WAF Web ACL",
	Description: "A REST stage passes when a web ACL is associated with it (`webAclArn`), of AWS WAF or of classic regional WAF.",
	Why: "A web ACL refuses known attacks, floods and unwanted sources before they reach an authorizer or a backend, and it can be changed in minutes " +
		"when a new attack is in the air.",
	Fix: "Associate a web ACL of scope REGIONAL, in the stage's own Region, with the stage's ARN: `aws wafv2 associate-web-acl`. UpdateStage has no path for it.",
	FalsePositive: "A web ACL on a CloudFront distribution in front of the API protects it and does not count. Stages of private APIs have no exemption " +
		"in AWS's text and fail (inferred). In a template the association may be made elsewhere. A pass says little: an ACL without rules, or that only counts, passes.",
	Severity:   posture.Medium,
	Category:   "Protect > Protective services",
	Related:    []string{"NIST.800-53.r5 AC-4(21)"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gw-associated-with-waf", Identifier: "API_GW_ASSOCIATED_WITH_WAF"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStage},
	Sources:    []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, s *apigateway.Stage, _ *posture.Params) posture.Verdict {
		m := posture.Member{Path: "webAclArn", Value: aws.ToString(s.WebAclArn)}
		if m.Value != "" {
			return r.Pass("web ACL "+m.Value+" is associated", m)
		}
		v := r.Fail("no web ACL is associated", m)
		switch {
		case v.Status != posture.Failed:
		case r.Source == posture.File:
			v = v.As(posture.Weak).Note("The association may be made in another file, module or stack, which was not read.")
		case isPrivate(r.Parent):
			v = v.As(posture.Inferred).Note("The API is private; AWS's text has no exemption for those.")
		}
		return v
	}),
}

// isPrivate reports whether a stage's API is a private one.
func isPrivate(parent any) bool {
	api, ok := parent.(*apigateway.RestApi)
	return ok && api != nil && api.EndpointConfiguration != nil &&
		slices.Contains(api.EndpointConfiguration.Types, apigateway.EndpointTypePrivate)
}

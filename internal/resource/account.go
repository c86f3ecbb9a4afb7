package resource

import (
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

const featureUsagePlans = "UsagePlans"

// NewAccount is the account before anything was set. Its throttle is AWS's
// default: 10,000 requests a second, a burst of 5,000. Source: quotas.
func NewAccount() *apigateway.GetAccountOutput {
	return &apigateway.GetAccountOutput{
		ApiKeyVersion:    aws.String("4"),
		Features:         []string{featureUsagePlans},
		ThrottleSettings: &types.ThrottleSettings{BurstLimit: 5000, RateLimit: 10000},
	}
}

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\x21-\x7e]{1,512}$`)

var accountPaths = table[apigateway.GetAccountOutput]{rows: []row[apigateway.GetAccountOutput]{
	{"/cloudwatchRoleArn", replace, func(d *apigateway.GetAccountOutput, e edit) error {
		d.CloudwatchRoleArn = given(e.value)
		return nil
	}},
	{"/features", add | remove, item(func(d *apigateway.GetAccountOutput) *[]string { return &d.Features })},
}}

// MayLog refuses execution logs while the account has no role for them. This
// gateway writes them without it; who moves to AWS would find none there.
// Source of the text: reported by AWS's users.
func MayLog(a *apigateway.GetAccountOutput) error {
	if aws.ToString(a.CloudwatchRoleArn) == "" {
		return Errorf(BadRequest, "CloudWatch Logs role ARN must be set in account settings to enable logging")
	}
	return nil
}

// UpdateAccount sets the role for logs (see MayLog); "", or no value, as
// Terraform sends it, unsets it.
func UpdateAccount(old *apigateway.GetAccountOutput, ops []types.PatchOperation) (*apigateway.GetAccountOutput, error) {
	a, err := accountPaths.patch(*old, ops)
	if err != nil {
		return old, err
	}
	var p problems
	if r := aws.ToString(a.CloudwatchRoleArn); r != "" && !roleARN.MatchString(r) {
		p.addf("The role ARN does not have required permissions configured: '%s' is not the ARN of a role", r)
	}
	if slices.Contains(old.Features, featureUsagePlans) && !slices.Contains(a.Features, featureUsagePlans) {
		p.addf("The feature %s cannot be removed", featureUsagePlans)
	}
	for _, f := range a.Features {
		if f != featureUsagePlans {
			p.addf("Invalid feature specified: '%s'. Must be one of: [%s]", f, featureUsagePlans)
		}
	}
	if err := p.err(); err != nil {
		return old, err
	}
	return &a, nil
}

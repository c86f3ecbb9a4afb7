package securityhub

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
)

// standard is one that lists controls of ours.
type standard struct {
	path, title, about string
	standing           bool   // AWS enables it with the hub
	manager            string // service that enables it; "": customers do
}

// standards lists them, in the order they are shown. All are enabled but that
// which another service manages.
var standards = []standard{
	{posture.FSBP, "AWS Foundational Security Best Practices v1.0.0", "What AWS advises for every account: controls that find resources which deviate from its security practice.", true, ""},
	{posture.NIST80053, "NIST Special Publication 800-53 Revision 5", "Security and privacy controls for information systems and organizations, as far as configuration shows them.", false, ""},
	{posture.NIST800171, "NIST Special Publication 800-171 Revision 2", "Protection of controlled unclassified information outside federal systems, as far as configuration shows it.", false, ""},
	{posture.PCIDSS, "PCI DSS v4.0.1", "Rules for whoever stores, processes or transmits card holders' data, as far as configuration shows them.", false, ""},
	{posture.ControlTower, "Service-Managed Standard: AWS Control Tower", "Controls that AWS Control Tower switches on in the accounts that it manages.", false, "AWS Control Tower"},
}

// subscription is the path of an enabled standard: subscription/NAME/v/1.0.0.
func subscription(path string) string {
	return "subscription" + strings.TrimPrefix(path, "standards")
}

// standardARN is the ARN of a standard, which belongs to no account.
func (s *service) standardARN(path string) string {
	return "arn:" + asff.Partition(s.Options().Region) + ":securityhub:" + s.Options().Region + "::" + path
}

// standardOf finds a standard by its ARN.
func (s *service) standardOf(arn string) (standard, bool) {
	i := slices.IndexFunc(standards, func(st standard) bool { return s.standardARN(st.path) == arn })
	if i < 0 {
		return standard{}, false
	}
	return standards[i], true
}

// enabled lists the standards that are.
func enabled() []standard {
	return slices.DeleteFunc(slices.Clone(standards), func(st standard) bool { return !asff.Enabled(st.path) })
}

// standardControl is the ARN of a control in a standard:
// control/NAME/v/1.0.0/APIGateway.1.
func (s *service) standardControl(path, control string) string {
	return s.arn("control" + strings.TrimPrefix(path, "standards") + "/" + control)
}

// requirementPrefixes say which of a control's related requirements are a
// standard's own.
var requirementPrefixes = map[string]string{
	posture.NIST80053: "NIST.800-53.r5 ", posture.NIST800171: "NIST.800-171.r2 ", posture.PCIDSS: "PCI DSS v4.0.1/",
}

// requirements are those of a control that a standard brings.
func requirements(c *posture.Control, path string) []string {
	out := []string{}
	prefix, ok := requirementPrefixes[path]
	for _, r := range c.Related {
		if ok && strings.HasPrefix(r, prefix) {
			out = append(out, r)
		}
	}
	return out
}

func (s *service) describeStandards(_ context.Context, _ *controlplane.Call, in *securityhub.DescribeStandardsInput) (*securityhub.DescribeStandardsOutput, error) {
	page, next, err := pageOf(standards, func(st standard) string { return st.path }, "standards", in.MaxResults, 100, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &securityhub.DescribeStandardsOutput{Standards: []types.Standard{}, NextToken: next}
	for _, st := range page {
		d := types.Standard{StandardsArn: aws.String(s.standardARN(st.path)), Name: aws.String(st.title), Description: aws.String(st.about), EnabledByDefault: aws.Bool(st.standing)}
		if st.manager != "" {
			d.StandardsManagedBy = &types.StandardsManagedBy{Company: aws.String("AWS"), Product: aws.String(st.manager)}
		}
		out.Standards = append(out.Standards, d)
	}
	return out, nil
}

func (s *service) getEnabledStandards(_ context.Context, _ *controlplane.Call, in *securityhub.GetEnabledStandardsInput) (*securityhub.GetEnabledStandardsOutput, error) {
	if n := len(in.StandardsSubscriptionArns); in.StandardsSubscriptionArns != nil && (n < 1 || n > 25) {
		return nil, invalid("Invalid parameter 'StandardsSubscriptionArns'. It must have 1 to 25 entries.")
	}
	var asked []standard
	for _, st := range enabled() {
		if in.StandardsSubscriptionArns == nil || slices.Contains(in.StandardsSubscriptionArns, s.arn(subscription(st.path))) {
			asked = append(asked, st)
		}
	}
	page, next, err := pageOf(asked, func(st standard) string { return st.path }, fingerprint(in.StandardsSubscriptionArns), in.MaxResults, 100, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &securityhub.GetEnabledStandardsOutput{StandardsSubscriptions: []types.StandardsSubscription{}, NextToken: next}
	for _, st := range page {
		out.StandardsSubscriptions = append(out.StandardsSubscriptions, types.StandardsSubscription{
			StandardsArn: aws.String(s.standardARN(st.path)), StandardsSubscriptionArn: aws.String(s.arn(subscription(st.path))), StandardsInput: map[string]string{},
			StandardsStatus: types.StandardsStatusReady, StandardsControlsUpdatable: types.StandardsControlsUpdatableReadyForUpdates,
		})
	}
	return out, nil
}

func (s *service) describeStandardsControls(_ context.Context, _ *controlplane.Call, in *securityhub.DescribeStandardsControlsInput) (*securityhub.DescribeStandardsControlsOutput, error) {
	all := enabled()
	i := slices.IndexFunc(all, func(st standard) bool { return s.arn(subscription(st.path)) == *in.StandardsSubscriptionArn })
	if i < 0 {
		return nil, resource.Errorf(resource.NotFound, "No enabled standard has the subscription %s.", clip(*in.StandardsSubscriptionArn))
	}
	path := all[i].path
	page, next, err := pageOf(s.controls(path), controlID, fingerprint(path), in.MaxResults, 100, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &securityhub.DescribeStandardsControlsOutput{Controls: []types.StandardsControl{}, NextToken: next}
	for _, c := range page {
		out.Controls = append(out.Controls, types.StandardsControl{
			StandardsControlArn: aws.String(s.standardControl(path, c.ID)), ControlId: aws.String(c.ID), Title: aws.String(c.Title), Description: aws.String(plain(c.Description)),
			ControlStatus: types.ControlStatusEnabled, ControlStatusUpdatedAt: aws.Time(s.audit.Enabled()), SeverityRating: types.SeverityRating(c.Severity),
			RelatedRequirements: requirements(c, path), RemediationUrl: aws.String(c.RemediationURL()),
		})
	}
	return out, nil
}

func (s *service) listStandardsControlAssociations(_ context.Context, _ *controlplane.Call, in *securityhub.ListStandardsControlAssociationsInput) (*securityhub.ListStandardsControlAssociationsOutput, error) {
	c := s.control(*in.SecurityControlId)
	if c == nil {
		return nil, invalid("Invalid parameter 'SecurityControlId'. There is no control %q.", clip(*in.SecurityControlId))
	}
	var listing []standard
	for _, st := range enabled() {
		if slices.Contains(c.Standards, st.path) {
			listing = append(listing, st)
		}
	}
	page, next, err := pageOf(listing, func(st standard) string { return st.path }, fingerprint(c.ID), in.MaxResults, 25, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &securityhub.ListStandardsControlAssociationsOutput{StandardsControlAssociationSummaries: []types.StandardsControlAssociationSummary{}, NextToken: next}
	for _, st := range page {
		out.StandardsControlAssociationSummaries = append(out.StandardsControlAssociationSummaries, types.StandardsControlAssociationSummary{
			StandardsArn: aws.String(s.standardARN(st.path)), SecurityControlId: aws.String(c.ID), SecurityControlArn: aws.String(s.controlARN(c.ID)),
			AssociationStatus: types.AssociationStatusEnabled, RelatedRequirements: requirements(c, st.path), UpdatedAt: aws.Time(s.audit.Enabled()),
			StandardsControlTitle: aws.String(c.Title), StandardsControlDescription: aws.String(plain(c.Description)),
		})
	}
	return out, nil
}

func (s *service) batchGetStandardsControlAssociations(_ context.Context, _ *controlplane.Call, in *securityhub.BatchGetStandardsControlAssociationsInput) (*securityhub.BatchGetStandardsControlAssociationsOutput, error) {
	if n := len(in.StandardsControlAssociationIds); n < 1 || n > maxBatch {
		return nil, invalid("Invalid parameter 'StandardsControlAssociationIds'. It must have 1 to %d entries.", maxBatch)
	}
	out := &securityhub.BatchGetStandardsControlAssociationsOutput{StandardsControlAssociationDetails: []types.StandardsControlAssociationDetail{}, UnprocessedAssociations: []types.UnprocessedStandardsControlAssociation{}}
	for _, id := range in.StandardsControlAssociationIds {
		c := s.control(*id.SecurityControlId)
		st, ok := s.standardOf(*id.StandardsArn)
		why := ""
		switch {
		case c == nil:
			why = "There is no such control."
		case !ok || !asff.Enabled(st.path):
			why = "The standard is not enabled."
		case !slices.Contains(c.Standards, st.path):
			why = "The standard does not list the control."
		}
		if why != "" {
			out.UnprocessedAssociations = append(out.UnprocessedAssociations, types.UnprocessedStandardsControlAssociation{
				StandardsControlAssociationId: &id, ErrorCode: types.UnprocessedErrorCodeResourceNotFound, ErrorReason: &why})
			continue
		}
		out.StandardsControlAssociationDetails = append(out.StandardsControlAssociationDetails, types.StandardsControlAssociationDetail{
			StandardsArn: id.StandardsArn, SecurityControlId: aws.String(c.ID), SecurityControlArn: aws.String(s.controlARN(c.ID)),
			AssociationStatus: types.AssociationStatusEnabled, RelatedRequirements: requirements(c, st.path), UpdatedAt: aws.Time(s.audit.Enabled()),
			StandardsControlTitle: aws.String(c.Title), StandardsControlDescription: aws.String(plain(c.Description)),
			StandardsControlArns: []string{s.standardControl(st.path, c.ID)},
		})
	}
	return out, nil
}

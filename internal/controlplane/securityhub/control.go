package securityhub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
)

func controlID(c *posture.Control) string { return c.ID }

func (s *service) controlARN(id string) string { return s.arn("security-control/" + id) }

// control finds a control by id or ARN, or returns nil.
func (s *service) control(idOrARN string) *posture.Control {
	return s.audit.Control(strings.TrimPrefix(idOrARN, s.arn("security-control/")))
}

// controls are those that a standard lists; "" lists all.
func (s *service) controls(path string) []*posture.Control {
	var out []*posture.Control
	for _, c := range s.audit.Controls() {
		if path == "" || slices.Contains(c.Standards, path) {
			out = append(out, c)
		}
	}
	return out
}

// plain is a text without the marks of a page.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// customizable are the parameters of a control that a customer may set.
func customizable(c *posture.Control) []*posture.Parameter {
	var out []*posture.Parameter
	for i := range c.Parameters {
		if c.Parameters[i].Customizable {
			out = append(out, &c.Parameters[i])
		}
	}
	return out
}

func definition(c *posture.Control) types.SecurityControlDefinition {
	d := types.SecurityControlDefinition{
		SecurityControlId: aws.String(c.ID), Title: aws.String(c.Title), Description: aws.String(plain(c.Description)), RemediationUrl: aws.String(c.RemediationURL()),
		SeverityRating: types.SeverityRating(c.Severity), CurrentRegionAvailability: types.RegionAvailabilityStatusAvailable,
		CustomizableProperties: []types.SecurityControlProperty{}, ParameterDefinitions: map[string]types.ParameterDefinition{},
	}
	for _, p := range customizable(c) {
		d.CustomizableProperties = []types.SecurityControlProperty{types.SecurityControlPropertyParameters}
		d.ParameterDefinitions[p.Name] = types.ParameterDefinition{Description: aws.String(plain(p.Description)), ConfigurationOptions: options(p)}
	}
	return d
}

// options are what a parameter may be set to.
func options(p *posture.Parameter) types.ConfigurationOptions {
	switch p.Kind {
	case posture.Integer:
		o := types.IntegerConfigurationOptions{Min: aws.Int32(int32(p.Min)), Max: aws.Int32(int32(p.Max))}
		if len(p.Default) > 0 {
			if n, err := strconv.ParseInt(p.Default[0], 10, 32); err == nil {
				o.DefaultValue = aws.Int32(int32(n))
			}
		}
		return &types.ConfigurationOptionsMemberInteger{Value: o}
	case posture.StringList:
		return &types.ConfigurationOptionsMemberStringList{Value: types.StringListConfigurationOptions{DefaultValue: p.Default}}
	}
	o := types.EnumConfigurationOptions{AllowedValues: p.Allowed}
	if len(p.Default) > 0 {
		o.DefaultValue = &p.Default[0]
	}
	return &types.ConfigurationOptionsMemberEnum{Value: o}
}

// value is a parameter's value on the wire; nil where there is none.
func value(p *posture.Parameter, v []string) types.ParameterValue {
	if len(v) == 0 {
		return nil
	}
	switch p.Kind {
	case posture.Integer:
		n, _ := strconv.ParseInt(v[0], 10, 32) // checked when it was set
		return &types.ParameterValueMemberInteger{Value: int32(n)}
	case posture.StringList:
		return &types.ParameterValueMemberStringList{Value: v}
	}
	return &types.ParameterValueMemberEnum{Value: v[0]}
}

// valuesOf reads a parameter's value; ok is false when it is of another kind.
func valuesOf(p *posture.Parameter, v types.ParameterValue) (values []string, ok bool) {
	switch v := v.(type) {
	case *types.ParameterValueMemberInteger:
		return []string{strconv.Itoa(int(v.Value))}, p.Kind == posture.Integer
	case *types.ParameterValueMemberEnum:
		return []string{v.Value}, p.Kind == posture.Enum
	case *types.ParameterValueMemberStringList:
		return v.Value, p.Kind == posture.StringList
	}
	return nil, false
}

func (s *service) listSecurityControlDefinitions(_ context.Context, _ *controlplane.Call, in *securityhub.ListSecurityControlDefinitionsInput) (*securityhub.ListSecurityControlDefinitionsOutput, error) {
	path := ""
	if in.StandardsArn != nil {
		st, ok := s.standardOf(*in.StandardsArn)
		if !ok {
			return nil, invalid("Invalid parameter 'StandardsArn'. There is no standard %q.", clip(*in.StandardsArn))
		}
		path = st.path
	}
	page, next, err := pageOf(s.controls(path), controlID, fingerprint(path), in.MaxResults, 25, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &securityhub.ListSecurityControlDefinitionsOutput{SecurityControlDefinitions: []types.SecurityControlDefinition{}, NextToken: next}
	for _, c := range page {
		out.SecurityControlDefinitions = append(out.SecurityControlDefinitions, definition(c))
	}
	return out, nil
}

func (s *service) getSecurityControlDefinition(_ context.Context, _ *controlplane.Call, in *securityhub.GetSecurityControlDefinitionInput) (*securityhub.GetSecurityControlDefinitionOutput, error) {
	if strings.HasPrefix(*in.SecurityControlId, "arn:") {
		return nil, invalid("Invalid parameter 'SecurityControlId'. It must be an id as APIGateway.1, not an ARN.")
	}
	c := s.audit.Control(*in.SecurityControlId)
	if c == nil {
		return nil, resource.Errorf(resource.NotFound, "There is no control %q.", clip(*in.SecurityControlId))
	}
	d := definition(c)
	return &securityhub.GetSecurityControlDefinitionOutput{SecurityControlDefinition: &d}, nil
}

func (s *service) batchGetSecurityControls(_ context.Context, _ *controlplane.Call, in *securityhub.BatchGetSecurityControlsInput) (*securityhub.BatchGetSecurityControlsOutput, error) {
	if n := len(in.SecurityControlIds); n < 1 || n > maxBatch {
		return nil, invalid("Invalid parameter 'SecurityControlIds'. It must have 1 to %d entries.", maxBatch)
	}
	out := &securityhub.BatchGetSecurityControlsOutput{SecurityControls: []types.SecurityControl{}, UnprocessedIds: []types.UnprocessedSecurityControl{}}
	set := s.audit.Params()
	for _, id := range in.SecurityControlIds {
		c := s.control(id)
		if c == nil {
			out.UnprocessedIds = append(out.UnprocessedIds, types.UnprocessedSecurityControl{
				SecurityControlId: &id, ErrorCode: types.UnprocessedErrorCodeResourceNotFound, ErrorReason: aws.String("There is no such control here.")})
			continue
		}
		d := types.SecurityControl{
			SecurityControlId: aws.String(c.ID), SecurityControlArn: aws.String(s.controlARN(c.ID)), Title: aws.String(c.Title), Description: aws.String(plain(c.Description)),
			RemediationUrl: aws.String(c.RemediationURL()), SeverityRating: types.SeverityRating(c.Severity), SecurityControlStatus: types.ControlStatusEnabled,
			UpdateStatus: types.UpdateStatusReady, // UpdateSecurityControl answers once findings follow
			Parameters:   map[string]types.ParameterConfiguration{},
		}
		if reason := s.audit.Reason(c.ID); reason != "" {
			d.LastUpdateReason = &reason
		}
		for _, p := range customizable(c) {
			if custom, ok := set[c.ID][p.Name]; ok {
				d.Parameters[p.Name] = types.ParameterConfiguration{ValueType: types.ParameterValueTypeCustom, Value: value(p, custom)}
			} else {
				d.Parameters[p.Name] = types.ParameterConfiguration{ValueType: types.ParameterValueTypeDefault, Value: value(p, p.Default)}
			}
		}
		out.SecurityControls = append(out.SecurityControls, d)
	}
	return out, nil
}

func (s *service) updateSecurityControl(ctx context.Context, _ *controlplane.Call, in *securityhub.UpdateSecurityControlInput) (*securityhub.UpdateSecurityControlOutput, error) {
	c := s.control(*in.SecurityControlId)
	if c == nil {
		return nil, resource.Errorf(resource.NotFound, "There is no control %q.", clip(*in.SecurityControlId))
	}
	reason := aws.ToString(in.LastUpdateReason)
	if in.LastUpdateReason != nil && (!reasonForm.MatchString(reason) || len(reason) > maxFieldValue) {
		return nil, invalid("Invalid parameter 'LastUpdateReason'. It takes letters, digits, blanks, dashes and underscores.")
	}
	after := maps.Clone(s.audit.Params()[c.ID])
	if after == nil {
		after = posture.Values{}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Parameters)) {
		set := in.Parameters[name]
		i := slices.IndexFunc(c.Parameters, func(p posture.Parameter) bool { return p.Name == name })
		switch {
		case i < 0 || !c.Parameters[i].Customizable:
			return nil, invalid("Invalid parameter 'Parameters'. %s has no parameter %q that can be set.", c.ID, clip(name))
		case set.ValueType == types.ParameterValueTypeDefault:
			delete(after, name)
		default:
			v, ok := valuesOf(&c.Parameters[i], set.Value)
			if !ok {
				return nil, invalid("Invalid parameter 'Parameters'. %s of %s takes a Value of the kind %s.", name, c.ID, c.Parameters[i].Kind)
			}
			after[name] = v
		}
	}
	err := s.audit.SetParams(ctx, c.ID, after, reason)
	var bad *posture.ParameterError
	if errors.As(err, &bad) {
		return nil, invalid("Invalid parameter 'Parameters'. %s of %s: %s.", bad.Parameter, bad.Control, bad.Problem)
	}
	if err != nil {
		return nil, err
	}
	return &securityhub.UpdateSecurityControlOutput{}, nil
}

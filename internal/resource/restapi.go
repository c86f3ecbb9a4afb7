package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// maxCompressionSize bounds minimumCompressionSize, in bytes. Source: quotas.
const maxCompressionSize = 10485760

// maxName bounds names, maxDescription descriptions, in bytes; AWS documents
// neither.
const (
	maxName        = 1024
	maxDescription = 8192
)

// NewRestAPI makes an API and its root resource. Left out, the endpoint type
// is EDGE, the policy TLS_1_0 (TLS_1_2 when PRIVATE), the API key source
// HEADER, the address type ipv4 (dualstack when PRIVATE). cloneFrom is for the
// caller: CloneInput.
func NewRestAPI(in *apigateway.CreateRestApiInput, id, rootID string, now time.Time) (types.RestApi, types.Resource, error) {
	api := types.RestApi{
		ApiKeySource:              in.ApiKeySource,
		ApiStatus:                 types.ApiStatusAvailable,
		CreatedDate:               aws.Time(now),
		Description:               clone(in.Description),
		DisableExecuteApiEndpoint: in.DisableExecuteApiEndpoint,
		EndpointAccessMode:        in.EndpointAccessMode,
		EndpointConfiguration:     endpointOf(in.EndpointConfiguration, types.EndpointTypeEdge),
		Id:                        aws.String(id),
		MinimumCompressionSize:    clone(in.MinimumCompressionSize),
		Name:                      clone(in.Name),
		RootResourceId:            aws.String(rootID),
		SecurityPolicy:            in.SecurityPolicy,
		Tags:                      clone(in.Tags),
		Version:                   clone(in.Version),
	}
	for _, t := range in.BinaryMediaTypes {
		include(&api.BinaryMediaTypes, t)
	}
	if p := aws.ToString(in.Policy); p != "" {
		api.Policy = &p
	}
	if api.ApiKeySource == "" {
		api.ApiKeySource = types.ApiKeySourceTypeHeader
	}
	if api.SecurityPolicy == "" {
		api.SecurityPolicy = defaultPolicy(anAPI, api.EndpointConfiguration.Types[0])
	}

	var p problems
	if in.Name == nil {
		p.missing("name")
	}
	enum(&p, in.ApiKeySource, "apiKeySource", in.ApiKeySource.Values())
	enum(&p, in.SecurityPolicy, "securityPolicy", in.SecurityPolicy.Values())
	enum(&p, in.EndpointAccessMode, "endpointAccessMode", in.EndpointAccessMode.Values())
	if in.Description != nil && *in.Description == "" {
		p.addf("Description cannot be an empty string")
	}
	p.checkRestAPI(api)
	if p.checkEndpoint(anAPI, api.EndpointConfiguration) {
		p.checkTLS(anAPI, gateOf(api))
	}
	if err := p.err(); err != nil {
		return types.RestApi{}, types.Resource{}, err
	}
	return api, types.Resource{Id: aws.String(rootID), Path: aws.String("/")}, nil
}

// checkRestAPI judges all but the first gate.
func (p *problems) checkRestAPI(api types.RestApi) {
	p.name("Name", api.Name)
	p.description(api.Description)
	if n := api.MinimumCompressionSize; n != nil && (*n < 0 || *n > maxCompressionSize) {
		p.addf("Invalid minimum compression size, must be between 0 and %d", maxCompressionSize)
	}
	for _, t := range api.BinaryMediaTypes {
		if left, right, ok := strings.Cut(t, "/"); !ok || left == "" || right == "" || len(t) > 256 || hasControl(t) {
			p.addf("Invalid binaryMediaTypes specified: '%s' is not a media type", t)
		}
	}
	p.tags(api.Tags)
	p.policy(api.Policy)
}

// name is the rule for a member that may not be empty.
func (p *problems) name(member string, name *string) {
	switch n := aws.ToString(name); {
	case n == "":
		p.addf("%s cannot be empty", member)
	case len(n) > maxName || hasControl(n):
		p.addf("%s must be at most %d bytes without control characters", member, maxName)
	}
}

func (p *problems) description(d *string) {
	if len(aws.ToString(d)) > maxDescription {
		p.addf("description must be at most %d bytes", maxDescription)
	}
}

var restAPIPaths = table[types.RestApi]{rows: []row[types.RestApi]{
	{"/name", replace, text(func(d *types.RestApi) **string { return &d.Name })},
	{"/description", add | replace | remove, text(func(d *types.RestApi) **string { return &d.Description })},
	{"/apiKeySource", replace, choice(func(d *types.RestApi) *types.ApiKeySourceType { return &d.ApiKeySource })},
	{"/policy", replace, text(func(d *types.RestApi) **string { return &d.Policy })},
	{"/binaryMediaTypes/{type}", add | replace | remove, member(func(d *types.RestApi) *[]string { return &d.BinaryMediaTypes })},
	{"/minimumCompressionSize", replace, setCompression},
	{"/disableExecuteApiEndpoint", replace, flag(func(d *types.RestApi) *bool { return &d.DisableExecuteApiEndpoint })},
	{"/endpointConfiguration/types/{type}", replace, func(d *types.RestApi, e edit) error {
		return moveEndpointType(d.EndpointConfiguration, e)
	}},
	{"/endpointConfiguration/vpcEndpointIds", add | remove, item(func(d *types.RestApi) *[]string { return &d.EndpointConfiguration.VpcEndpointIds })},
	{"/endpointConfiguration/ipAddressType", replace, setIPType(func(d *types.RestApi) *types.EndpointConfiguration { return d.EndpointConfiguration })},
	{"/securityPolicy", replace, setPolicy(func(d *types.RestApi) *types.SecurityPolicy { return &d.SecurityPolicy })},
	{"/endpointAccessMode", replace, setMode(func(d *types.RestApi) *types.EndpointAccessMode { return &d.EndpointAccessMode })},
}}

// setCompression: without a value, or with null, compression is off.
func setCompression(d *types.RestApi, e edit) error {
	if v := aws.ToString(e.value); v == "" || v == "null" {
		d.MinimumCompressionSize = nil
		return nil
	}
	var n int32
	if integer(0, maxCompressionSize, func(*types.RestApi) *int32 { return &n })(d, e) != nil {
		return Errorf(BadRequest, "Invalid minimum compression size, must be between 0 and %d", maxCompressionSize)
	}
	d.MinimumCompressionSize = &n
	return nil
}

// setPolicy and setMode take any text: checkTLS judges it with the rest of the
// end state, in its own words.
func setPolicy[T any](get func(*T) *types.SecurityPolicy) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err == nil {
			*get(doc) = types.SecurityPolicy(v)
		}
		return err
	}
}

func setMode[T any](get func(*T) *types.EndpointAccessMode) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err == nil {
			*get(doc) = types.EndpointAccessMode(v)
		}
		return err
	}
}

func setIPType[T any](get func(*T) *types.EndpointConfiguration) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err == nil {
			get(doc).IpAddressType = types.IpAddressType(v)
		}
		return err
	}
}

// UpdateRestAPI applies the operations and judges the state that they leave,
// so their order does not matter to the rules that tie policy, access mode and
// endpoint type together.
func UpdateRestAPI(old types.RestApi, ops []types.PatchOperation) (types.RestApi, error) {
	if len(ops) == 0 {
		return old, nil
	}
	base := clone(old)
	if base.EndpointConfiguration == nil {
		base.EndpointConfiguration = endpointOf(nil, types.EndpointTypeEdge)
	}
	api, err := restAPIPaths.patch(base, ops)
	if err != nil {
		return old, err
	}
	settleEndpoint(base.EndpointConfiguration, api.EndpointConfiguration, ops)
	// The last entry takes the list along: answers omit it.
	if len(api.BinaryMediaTypes) == 0 {
		api.BinaryMediaTypes = nil
	}
	if len(api.EndpointConfiguration.VpcEndpointIds) == 0 {
		api.EndpointConfiguration.VpcEndpointIds = nil
	}

	var p problems
	p.checkRestAPI(api)
	if p.checkEndpoint(anAPI, api.EndpointConfiguration) {
		from, to := base.EndpointConfiguration.Types, api.EndpointConfiguration.Types
		// Source: developer guide, Change a public or private API endpoint type.
		if slices.Contains(from, types.EndpointTypePrivate) && slices.Contains(to, types.EndpointTypeEdge) {
			p.addf("A private API cannot become edge-optimized. Change its endpoint type to REGIONAL first")
		} else {
			p.checkTLSChange(anAPI, gateOf(base), gateOf(api), ops)
		}
	}
	if err := p.err(); err != nil {
		return old, err
	}
	return api, nil
}

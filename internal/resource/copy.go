package resource

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// CloneInput is what creating an API from source asks for: in, with what it
// leaves out taken from source. The endpoint comes with its policy and access
// mode, since each is legal only beside the others; tags do not come along.
func CloneInput(in *apigateway.CreateRestApiInput, source types.RestApi) *apigateway.CreateRestApiInput {
	out := clone(*in)
	out.CloneFrom = nil
	source = clone(source)
	if out.ApiKeySource == "" {
		out.ApiKeySource = source.ApiKeySource
	}
	if out.BinaryMediaTypes == nil {
		out.BinaryMediaTypes = source.BinaryMediaTypes
	}
	if out.Description == nil {
		out.Description = source.Description
	}
	if out.MinimumCompressionSize == nil {
		out.MinimumCompressionSize = source.MinimumCompressionSize
	}
	if out.Policy == nil {
		out.Policy = source.Policy
	}
	if out.Version == nil {
		out.Version = source.Version
	}
	if out.EndpointConfiguration == nil && out.SecurityPolicy == "" && out.EndpointAccessMode == "" {
		out.EndpointConfiguration = source.EndpointConfiguration
		out.SecurityPolicy = source.SecurityPolicy
		out.EndpointAccessMode = source.EndpointAccessMode
	}
	return &out
}

// CloneResources copies the resource tree of an API under new ids; newID makes
// one for each resource but the root, whose id is rootID. A cache namespace
// that is a resource's id follows it.
func CloneResources(source []types.Resource, rootID string, newID func() string) []types.Resource {
	ids := map[string]string{}
	for _, r := range source {
		if r.ParentId == nil {
			ids[aws.ToString(r.Id)] = rootID
		} else {
			ids[aws.ToString(r.Id)] = newID()
		}
	}
	renamed := func(old *string) *string {
		if old == nil {
			return nil
		}
		if id, ok := ids[*old]; ok {
			return &id
		}
		return old
	}
	out := make([]types.Resource, len(source))
	for i, r := range source {
		r = clone(r)
		r.Id, r.ParentId = renamed(r.Id), renamed(r.ParentId)
		for name, m := range r.ResourceMethods {
			if m.MethodIntegration != nil {
				m.MethodIntegration.CacheNamespace = renamed(m.MethodIntegration.CacheNamespace)
				r.ResourceMethods[name] = m
			}
		}
		out[i] = r
	}
	return out
}

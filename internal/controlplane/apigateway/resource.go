package apigateway

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

var errNoResource = missing("Resource")

// tree claims and reads all resources of an API: who adds, moves or removes one
// rests on the others.
func (s *service) tree(c *controlplane.Change, api *string) ([]types.Resource, error) {
	if _, err := s.api(c.Get, api); err != nil {
		return nil, err
	}
	if err := c.Claim(resource.RestAPIMarker(*api)); err != nil {
		return nil, err
	}
	return controlplane.ListIn[types.Resource](c, resource.ResourcesPrefix(*api))
}

func (s *service) createResource(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateResourceInput) (*apigateway.CreateResourceOutput, error) {
	var made types.Resource
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		all, err := s.tree(c, in.RestApiId)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(r types.Resource) bool { return aws.ToString(r.Id) == aws.ToString(in.ParentId) })
		if i < 0 {
			return errNoResource
		}
		siblings := slices.DeleteFunc(slices.Clone(all), func(r types.Resource) bool {
			return r.ParentId == nil || *r.ParentId != aws.ToString(in.ParentId)
		})
		id := newID(resourceIDLength)
		if made, err = resource.NewResource(all[i], siblings, in, id); err != nil {
			return err
		}
		if err := resource.Under(resource.MaxResources, len(all), "resources"); err != nil {
			return err
		}
		c.Create(resource.ResourceKey(*in.RestApiId, id), made)
		return nil
	})
	return answer[apigateway.CreateResourceOutput](made, err)
}

func (s *service) resource(read reader, api, id *string) (types.Resource, error) {
	return within[types.Resource](s, read, api, resource.ResourceKey(aws.ToString(api), aws.ToString(id)), errNoResource)
}

func (s *service) getResource(ctx context.Context, _ *controlplane.Call, in *apigateway.GetResourceInput) (*apigateway.GetResourceOutput, error) {
	r, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	return answer[apigateway.GetResourceOutput](embedMethods(r, in.Embed), err)
}

func (s *service) getResources(ctx context.Context, _ *controlplane.Call, in *apigateway.GetResourcesInput) (*apigateway.GetResourcesOutput, error) {
	if _, err := s.api(s.reader(ctx), in.RestApiId); err != nil {
		return nil, err
	}
	page, next, err := pageOf[types.Resource](ctx, s, resource.ResourcesPrefix(*in.RestApiId), in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	items := documents(page)
	for i, r := range items {
		items[i] = embedMethods(r, in.Embed)
	}
	return &apigateway.GetResourcesOutput{Items: items, Position: next}, nil
}

// embedMethods is r as answers carry it: with its methods whole when embed asks
// for them, else with their names only.
func embedMethods(r types.Resource, embed []string) types.Resource {
	if slices.Contains(embed, "methods") || len(r.ResourceMethods) == 0 {
		return r
	}
	names := make(map[string]types.Method, len(r.ResourceMethods))
	for m := range r.ResourceMethods {
		names[m] = types.Method{}
	}
	r.ResourceMethods = names
	return r
}

func (s *service) updateResource(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateResourceInput) (*apigateway.UpdateResourceOutput, error) {
	var updated types.Resource
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		all, err := s.tree(c, in.RestApiId)
		if err != nil {
			return err
		}
		changed, err := resource.UpdateResource(aws.ToString(in.ResourceId), all, in.PatchOperations)
		if err != nil {
			return err
		}
		updated = embedMethods(changed[0], nil)
		// The tree is claimed but the resources' own documents are not: a method
		// put on one of them meanwhile must not be lost.
		for _, r := range changed {
			k := resource.ResourceKey(*in.RestApiId, aws.ToString(r.Id))
			before, err := fetch[types.Resource](c.Get, k, errNoResource)
			if err != nil {
				return err
			}
			r.ResourceMethods = before.ResourceMethods
			write(c, k, before, r)
		}
		return nil
	})
	return answer[apigateway.UpdateResourceOutput](updated, err)
}

func (s *service) deleteResource(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteResourceInput) (*apigateway.DeleteResourceOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		all, err := s.tree(c, in.RestApiId)
		if err != nil {
			return err
		}
		removed, err := resource.DeleteResource(aws.ToString(in.ResourceId), all)
		if err != nil {
			return err
		}
		for _, r := range removed {
			c.Delete(resource.ResourceKey(*in.RestApiId, aws.ToString(r.Id)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &apigateway.DeleteResourceOutput{}, nil
}

package apigateway

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

func (s *service) createRestAPI(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateRestApiInput) (*apigateway.CreateRestApiOutput, error) {
	var api types.RestApi
	rev, err := s.Change(ctx, func(c *controlplane.Change) (err error) {
		id := newID(apiIDLength)
		tree, wanted, err := s.sourceOf(c, in)
		if err != nil {
			return err
		}
		var root types.Resource
		if api, root, err = resource.NewRestAPI(wanted, id, newID(apiIDLength), s.Now()); err != nil {
			return err
		}
		if tree == nil {
			tree = []types.Resource{root}
		} else {
			tree = resource.CloneResources(tree, aws.ToString(root.Id), func() string { return newID(resourceIDLength) })
		}
		c.Create(resource.RestAPIKey(id), api)
		for _, r := range tree {
			c.Create(resource.ResourceKey(id, aws.ToString(r.Id)), r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer[apigateway.CreateRestApiOutput](s.showAPI(ctx, api, rev, resource.Transition{}))
}

// sourceOf reads the API that in clones, if it names one: its resources, and in
// with what it leaves out.
func (s *service) sourceOf(c *controlplane.Change, in *apigateway.CreateRestApiInput) ([]types.Resource, *apigateway.CreateRestApiInput, error) {
	source := aws.ToString(in.CloneFrom)
	if source == "" {
		return nil, in, nil
	}
	// Guarding the marker makes the copy one of a single moment.
	if _, err := c.Get(resource.RestAPIMarker(source), nil); err != nil {
		return nil, nil, err
	}
	api, err := s.api(c.Get, in.CloneFrom)
	if err != nil {
		return nil, nil, err
	}
	tree, err := controlplane.ListIn[types.Resource](c, resource.ResourcesPrefix(source))
	return tree, resource.CloneInput(in, api), err
}

func (s *service) getRestAPI(ctx context.Context, _ *controlplane.Call, in *apigateway.GetRestApiInput) (*apigateway.GetRestApiOutput, error) {
	id := aws.ToString(in.RestApiId)
	return answer[apigateway.GetRestApiOutput](s.currentAPI(ctx, id))
}

// currentAPI is the API as it is stored now, with its status.
func (s *service) currentAPI(ctx context.Context, id string) (types.RestApi, error) {
	var api types.RestApi
	rev, ok, err := s.Get(ctx, resource.RestAPIKey(id), &api)
	if err != nil {
		return api, err
	}
	if !ok {
		return api, s.missingAPI(id)
	}
	var t resource.Transition
	if _, _, err := s.Get(ctx, resource.RestAPITransitionKey(id), &t); err != nil {
		return api, err
	}
	return s.showAPI(ctx, api, rev, t)
}

func (s *service) getRestAPIs(ctx context.Context, _ *controlplane.Call, in *apigateway.GetRestApisInput) (*apigateway.GetRestApisOutput, error) {
	page, next, err := pageOf[types.RestApi](ctx, s, resource.PrefixRestAPIs, in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	transitions, err := s.transitions(ctx, resource.RestAPITransitionKey(""))
	if err != nil {
		return nil, err
	}
	out := &apigateway.GetRestApisOutput{Items: make([]types.RestApi, len(page)), Position: next}
	for i, d := range page {
		t := transitions[resource.RestAPITransitionKey(aws.ToString(d.Doc.Id))]
		if out.Items[i], err = s.showAPI(ctx, d.Doc, d.Revision, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// transitions are the changes on their way under prefix, by key.
func (s *service) transitions(ctx context.Context, prefix string) (map[string]resource.Transition, error) {
	docs, err := controlplane.List[resource.Transition](ctx, s.Options().Store, store.Range{Prefix: prefix})
	out := make(map[string]resource.Transition, len(docs))
	for _, d := range docs {
		out[d.Key] = d.Doc
	}
	return out, err
}

func (s *service) updateRestAPI(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateRestApiInput) (*apigateway.UpdateRestApiOutput, error) {
	id := aws.ToString(in.RestApiId)
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.api(c.Get, in.RestApiId)
		if err != nil {
			return err
		}
		after, err := resource.UpdateRestAPI(before, in.PatchOperations)
		if err != nil {
			return err
		}
		if resource.ChangesPrivacy(before, after) {
			if err := c.Claim(resource.RestAPIMarker(id)); err != nil {
				return err
			}
			mappings, err := s.mappings(ctx)
			if err != nil {
				return err
			}
			if err := resource.Unmapped(id, mappings); err != nil {
				return err
			}
		}
		write(c, resource.RestAPIKey(id), before, after)
		return s.delay(c, resource.RestAPITransitionKey(id), "API "+id, resource.TLSStateOf(before), resource.TLSStateOf(after))
	})
	if err != nil {
		return nil, err
	}
	return answer[apigateway.UpdateRestApiOutput](s.currentAPI(ctx, id))
}

func (s *service) deleteRestAPI(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteRestApiInput) (*apigateway.DeleteRestApiOutput, error) {
	id := aws.ToString(in.RestApiId)
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.api(c.Get, in.RestApiId); err != nil {
			return err
		}
		if err := c.Release(resource.RestAPIMarker(id)); err != nil {
			return err
		}
		mappings, err := s.mappings(ctx)
		if err != nil {
			return err
		}
		if err := resource.DeletableRestAPI(id, mappings); err != nil {
			return err
		}
		c.Delete(resource.RestAPIKey(id))
		c.Delete(resource.RestAPITransitionKey(id))
		for _, prefix := range []string{
			resource.ResourcesPrefix(id), resource.DeploymentsPrefix(id), resource.FrozenPrefix(id),
			resource.StagesPrefix(id), resource.EffectsPrefix(id), resource.RotationsPrefix(id),
		} {
			c.DeleteAll(prefix)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &apigateway.DeleteRestApiOutput{}, nil
}

// stageEffect is what a stage takes from its API when it is created, updated or
// deployed to, and only then.
func stageEffect(api types.RestApi) resource.StageEffect {
	return resource.StageEffect{DisableExecuteAPIEndpoint: api.DisableExecuteApiEndpoint}
}

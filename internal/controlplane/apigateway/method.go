package apigateway

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// edit applies rule to a resource, in whose document its methods, their
// integrations and responses live, and commits the outcome. It returns what
// rule made beside it.
func edit[T any](ctx context.Context, s *service, api, id *string, rule func(types.Resource) (types.Resource, T, error)) (T, error) {
	return editIn(ctx, s, api, id, func(_ *controlplane.Change, r types.Resource) (types.Resource, T, error) { return rule(r) })
}

// editIn is edit for rules that look at other documents, too.
func editIn[T any](ctx context.Context, s *service, api, id *string, rule func(*controlplane.Change, types.Resource) (types.Resource, T, error)) (T, error) {
	var made T
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.resource(c.Get, api, id)
		if err != nil {
			return err
		}
		after, part, err := rule(c, before)
		if err != nil {
			return err
		}
		made = part
		write(c, resource.ResourceKey(*api, *id), before, after)
		return nil
	})
	return made, err
}

// remove is edit for rules that leave nothing to show.
func (s *service) remove(ctx context.Context, api, id *string, rule func(types.Resource) (types.Resource, error)) error {
	_, err := edit(ctx, s, api, id, func(r types.Resource) (types.Resource, struct{}, error) {
		after, err := rule(r)
		return after, struct{}{}, err
	})
	return err
}

func (s *service) putMethod(ctx context.Context, _ *controlplane.Call, in *apigateway.PutMethodInput) (*apigateway.PutMethodOutput, error) {
	return answer[apigateway.PutMethodOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.Method, error) {
		return resource.PutMethod(r, in)
	}))
}

func (s *service) getMethod(ctx context.Context, _ *controlplane.Call, in *apigateway.GetMethodInput) (*apigateway.GetMethodOutput, error) {
	r, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	if err != nil {
		return nil, err
	}
	return answer[apigateway.GetMethodOutput](resource.GetMethod(r, aws.ToString(in.HttpMethod)))
}

func (s *service) updateMethod(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateMethodInput) (*apigateway.UpdateMethodOutput, error) {
	return answer[apigateway.UpdateMethodOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.Method, error) {
		return resource.UpdateMethod(r, aws.ToString(in.HttpMethod), in.PatchOperations)
	}))
}

func (s *service) deleteMethod(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteMethodInput) (*apigateway.DeleteMethodOutput, error) {
	return done[apigateway.DeleteMethodOutput](s.remove(ctx, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, error) {
		return resource.DeleteMethod(r, aws.ToString(in.HttpMethod))
	}))
}

func (s *service) putMethodResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.PutMethodResponseInput) (*apigateway.PutMethodResponseOutput, error) {
	return answer[apigateway.PutMethodResponseOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.MethodResponse, error) {
		return resource.PutMethodResponse(r, in)
	}))
}

func (s *service) getMethodResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.GetMethodResponseInput) (*apigateway.GetMethodResponseOutput, error) {
	r, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	if err != nil {
		return nil, err
	}
	return answer[apigateway.GetMethodResponseOutput](resource.GetMethodResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode)))
}

func (s *service) updateMethodResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateMethodResponseInput) (*apigateway.UpdateMethodResponseOutput, error) {
	return answer[apigateway.UpdateMethodResponseOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.MethodResponse, error) {
		return resource.UpdateMethodResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode), in.PatchOperations)
	}))
}

func (s *service) deleteMethodResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteMethodResponseInput) (*apigateway.DeleteMethodResponseOutput, error) {
	return done[apigateway.DeleteMethodResponseOutput](s.remove(ctx, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, error) {
		return resource.DeleteMethodResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode))
	}))
}

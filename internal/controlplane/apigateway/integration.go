package apigateway

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

func (s *service) putIntegration(ctx context.Context, _ *controlplane.Call, in *apigateway.PutIntegrationInput) (*apigateway.PutIntegrationOutput, error) {
	return answer[apigateway.PutIntegrationOutput](editIn(ctx, s, in.RestApiId, in.ResourceId, func(c *controlplane.Change, r types.Resource) (types.Resource, types.Integration, error) {
		after, i, err := resource.PutIntegration(r, in)
		if err == nil {
			err = s.connected(c, i)
		}
		return after, i, err
	}))
}

func (s *service) getIntegration(ctx context.Context, _ *controlplane.Call, in *apigateway.GetIntegrationInput) (*apigateway.GetIntegrationOutput, error) {
	r, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	if err != nil {
		return nil, err
	}
	return answer[apigateway.GetIntegrationOutput](resource.GetIntegration(r, aws.ToString(in.HttpMethod)))
}

func (s *service) updateIntegration(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateIntegrationInput) (*apigateway.UpdateIntegrationOutput, error) {
	return answer[apigateway.UpdateIntegrationOutput](editIn(ctx, s, in.RestApiId, in.ResourceId, func(c *controlplane.Change, r types.Resource) (types.Resource, types.Integration, error) {
		before, err := resource.GetIntegration(r, aws.ToString(in.HttpMethod))
		if err != nil {
			return r, before, err
		}
		after, i, err := resource.UpdateIntegration(r, aws.ToString(in.HttpMethod), in.PatchOperations)
		// What leads elsewhere must lead somewhere; other edits do not ask.
		if err == nil && !resource.SameConnection(before, i) {
			err = s.connected(c, i)
		}
		return after, i, err
	}))
}

func (s *service) deleteIntegration(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteIntegrationInput) (*apigateway.DeleteIntegrationOutput, error) {
	return done[apigateway.DeleteIntegrationOutput](s.remove(ctx, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, error) {
		return resource.DeleteIntegration(r, aws.ToString(in.HttpMethod))
	}))
}

func (s *service) putIntegrationResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.PutIntegrationResponseInput) (*apigateway.PutIntegrationResponseOutput, error) {
	return answer[apigateway.PutIntegrationResponseOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.IntegrationResponse, error) {
		return resource.PutIntegrationResponse(r, in)
	}))
}

func (s *service) getIntegrationResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.GetIntegrationResponseInput) (*apigateway.GetIntegrationResponseOutput, error) {
	r, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	if err != nil {
		return nil, err
	}
	return answer[apigateway.GetIntegrationResponseOutput](resource.GetIntegrationResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode)))
}

func (s *service) updateIntegrationResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateIntegrationResponseInput) (*apigateway.UpdateIntegrationResponseOutput, error) {
	return answer[apigateway.UpdateIntegrationResponseOutput](edit(ctx, s, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, types.IntegrationResponse, error) {
		return resource.UpdateIntegrationResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode), in.PatchOperations)
	}))
}

func (s *service) deleteIntegrationResponse(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteIntegrationResponseInput) (*apigateway.DeleteIntegrationResponseOutput, error) {
	return done[apigateway.DeleteIntegrationResponseOutput](s.remove(ctx, in.RestApiId, in.ResourceId, func(r types.Resource) (types.Resource, error) {
		return resource.DeleteIntegrationResponse(r, aws.ToString(in.HttpMethod), aws.ToString(in.StatusCode))
	}))
}

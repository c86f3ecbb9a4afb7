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

var errNoDeployment = missing("Deployment")

// createDeployment freezes the API as it is and, where a stage is named, points
// that stage to the copy: one commit, so no stage ever misses its deployment.
func (s *service) createDeployment(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateDeploymentInput) (*apigateway.CreateDeploymentOutput, error) {
	api := aws.ToString(in.RestApiId)
	var made types.Deployment
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		tree, err := s.tree(c, in.RestApiId)
		if err != nil {
			return err
		}
		document, err := s.api(c.Get, in.RestApiId)
		if err != nil {
			return err
		}
		id := newID(deploymentIDLength)
		if made, err = resource.NewDeployment(in, id, s.Now(), resource.Summary(tree)); err != nil {
			return err
		}
		frozen, err := resource.Freeze(document, tree)
		if err != nil {
			return err
		}
		c.Create(resource.DeploymentKey(api, id), made)
		c.Create(resource.FrozenKey(api, id), frozen)
		if aws.ToString(in.StageName) == "" {
			return nil
		}
		return s.deployStage(c, document, in, id)
	})
	return answer[apigateway.CreateDeploymentOutput](embedSummary(made, nil), err)
}

// deployStage creates the stage that in names, or points it to deployment id.
func (s *service) deployStage(c *controlplane.Change, api types.RestApi, in *apigateway.CreateDeploymentInput, id string) error {
	key := resource.StageKey(*in.RestApiId, *in.StageName)
	var found types.Stage
	var old *types.Stage
	ok, err := c.Get(key, &found)
	if err != nil {
		return err
	}
	if ok {
		old = &found
	} else if err := s.roomForStage(c, *in.RestApiId); err != nil {
		return err
	}
	stage, err := resource.DeployStage(old, in, id, s.Now())
	if err != nil {
		return err
	}
	c.Put(key, stage)
	c.Put(resource.EffectKey(*in.RestApiId, *in.StageName), stageEffect(api))
	return nil
}

// embedSummary is d as answers carry it: what it serves only when embed asks.
func embedSummary(d types.Deployment, embed []string) types.Deployment {
	if !slices.Contains(embed, "apisummary") {
		d.ApiSummary = nil
	}
	return d
}

func (s *service) deployment(read reader, api, id *string) (types.Deployment, error) {
	return within[types.Deployment](s, read, api, resource.DeploymentKey(aws.ToString(api), aws.ToString(id)), errNoDeployment)
}

func (s *service) getDeployment(ctx context.Context, _ *controlplane.Call, in *apigateway.GetDeploymentInput) (*apigateway.GetDeploymentOutput, error) {
	d, err := s.deployment(s.reader(ctx), in.RestApiId, in.DeploymentId)
	return answer[apigateway.GetDeploymentOutput](embedSummary(d, in.Embed), err)
}

func (s *service) getDeployments(ctx context.Context, _ *controlplane.Call, in *apigateway.GetDeploymentsInput) (*apigateway.GetDeploymentsOutput, error) {
	if _, err := s.api(s.reader(ctx), in.RestApiId); err != nil {
		return nil, err
	}
	page, next, err := pageOf[types.Deployment](ctx, s, resource.DeploymentsPrefix(*in.RestApiId), in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	items := documents(page)
	for i, d := range items {
		items[i] = embedSummary(d, nil)
	}
	return &apigateway.GetDeploymentsOutput{Items: items, Position: next}, nil
}

func (s *service) updateDeployment(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateDeploymentInput) (*apigateway.UpdateDeploymentOutput, error) {
	var after types.Deployment
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.deployment(c.Get, in.RestApiId, in.DeploymentId)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateDeployment(before, in.PatchOperations); err != nil {
			return err
		}
		write(c, resource.DeploymentKey(*in.RestApiId, *in.DeploymentId), before, after)
		return nil
	})
	return answer[apigateway.UpdateDeploymentOutput](embedSummary(after, nil), err)
}

func (s *service) deleteDeployment(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteDeploymentInput) (*apigateway.DeleteDeploymentOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.deployment(c.Get, in.RestApiId, in.DeploymentId); err != nil {
			return err
		}
		if err := c.Claim(resource.RestAPIMarker(*in.RestApiId)); err != nil {
			return err
		}
		stages, err := controlplane.ListIn[types.Stage](c, resource.StagesPrefix(*in.RestApiId))
		if err != nil {
			return err
		}
		if err := resource.DeletableDeployment(*in.DeploymentId, stages); err != nil {
			return err
		}
		c.Delete(resource.DeploymentKey(*in.RestApiId, *in.DeploymentId))
		c.Delete(resource.FrozenKey(*in.RestApiId, *in.DeploymentId))
		return nil
	})
	return done[apigateway.DeleteDeploymentOutput](err)
}

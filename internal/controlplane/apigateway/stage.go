package apigateway

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

var errNoStage = missing("stage")

func (s *service) createStage(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateStageInput) (*apigateway.CreateStageOutput, error) {
	var made types.Stage
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		api, err := s.api(c.Get, in.RestApiId)
		if err != nil {
			return err
		}
		if made, err = resource.NewStage(in, s.Now()); err != nil {
			return err
		}
		key := resource.StageKey(*in.RestApiId, *made.StageName)
		switch exists, err := c.Get(key, nil); {
		case err != nil:
			return err
		case exists:
			return resource.Errorf(resource.Conflict, "Stage already exists")
		}
		if err := c.Claim(resource.RestAPIMarker(*in.RestApiId)); err != nil {
			return err
		}
		if err := s.roomForStage(c, *in.RestApiId); err != nil {
			return err
		}
		if err := deployed(c, *in.RestApiId, made); err != nil {
			return err
		}
		c.Create(key, made)
		c.Put(resource.EffectKey(*in.RestApiId, *made.StageName), stageEffect(api))
		return nil
	})
	return answer[apigateway.CreateStageOutput](made, err)
}

// roomForStage counts the stages of api, whose marker the caller has claimed.
func (s *service) roomForStage(c *controlplane.Change, api string) error {
	stages, err := controlplane.ListIn[types.Stage](c, resource.StagesPrefix(api))
	if err != nil {
		return err
	}
	return resource.Under(resource.MaxStages, len(stages), "stages")
}

// deployed checks that what stage points to is there. Source of the text: AWS,
// observed.
func deployed(c *controlplane.Change, api string, stage types.Stage) error {
	ids := []*string{stage.DeploymentId}
	if stage.CanarySettings != nil && stage.CanarySettings.DeploymentId != nil {
		ids = append(ids, stage.CanarySettings.DeploymentId)
	}
	for _, id := range ids {
		switch ok, err := c.Get(resource.DeploymentKey(api, aws.ToString(id)), nil); {
		case err != nil:
			return err
		case !ok:
			return resource.Errorf(resource.BadRequest, "Deployment id does not exist")
		}
	}
	return nil
}

func (s *service) stage(read reader, api, name *string) (types.Stage, error) {
	return within[types.Stage](s, read, api, resource.StageKey(aws.ToString(api), aws.ToString(name)), errNoStage)
}

func (s *service) getStage(ctx context.Context, _ *controlplane.Call, in *apigateway.GetStageInput) (*apigateway.GetStageOutput, error) {
	return answer[apigateway.GetStageOutput](s.stage(s.reader(ctx), in.RestApiId, in.StageName))
}

func (s *service) getStages(ctx context.Context, _ *controlplane.Call, in *apigateway.GetStagesInput) (*apigateway.GetStagesOutput, error) {
	if _, err := s.api(s.reader(ctx), in.RestApiId); err != nil {
		return nil, err
	}
	docs, err := controlplane.List[types.Stage](ctx, s.Options().Store, store.Range{Prefix: resource.StagesPrefix(*in.RestApiId)})
	if err != nil {
		return nil, err
	}
	stages := documents(docs)
	if id := aws.ToString(in.DeploymentId); id != "" {
		stages = slices.DeleteFunc(stages, func(st types.Stage) bool { return aws.ToString(st.DeploymentId) != id })
	}
	return &apigateway.GetStagesOutput{Item: stages}, nil
}

func (s *service) updateStage(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateStageInput) (*apigateway.UpdateStageOutput, error) {
	var after types.Stage
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.stage(c.Get, in.RestApiId, in.StageName)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateStage(before, in.PatchOperations, s.Now()); err != nil {
			return err
		}
		if len(in.PatchOperations) == 0 {
			return nil
		}
		if resource.SetsLogging(after, in.PatchOperations) {
			account, err := s.account(c.Get)
			if err != nil {
				return err
			}
			if err := resource.MayLog(account); err != nil {
				return err
			}
		}
		if pointer(before) != pointer(after) {
			if err := c.Claim(resource.RestAPIMarker(*in.RestApiId)); err != nil {
				return err
			}
			if err := deployed(c, *in.RestApiId, after); err != nil {
				return err
			}
		}
		if err := s.attach(c, *in.RestApiId, before, after); err != nil {
			return err
		}
		api, err := s.api(c.Get, in.RestApiId)
		if err != nil {
			return err
		}
		write(c, resource.StageKey(*in.RestApiId, *in.StageName), before, after)
		return takeEffect(c, *in.RestApiId, *in.StageName, api)
	})
	return answer[apigateway.UpdateStageOutput](after, err)
}

// pointer is what a stage, and its canary, point to.
func pointer(s types.Stage) (p [2]string) {
	p[0] = aws.ToString(s.DeploymentId)
	if s.CanarySettings != nil {
		p[1] = aws.ToString(s.CanarySettings.DeploymentId)
	}
	return p
}

// takeEffect binds the stage to its API's settings as they are now.
func takeEffect(c *controlplane.Change, api, stage string, document types.RestApi) error {
	key := resource.EffectKey(api, stage)
	before, err := fetch[resource.StageEffect](c.Get, key, nil)
	if err != nil {
		return err
	}
	write(c, key, before, stageEffect(document))
	return nil
}

func (s *service) deleteStage(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteStageInput) (*apigateway.DeleteStageOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.stage(c.Get, in.RestApiId, in.StageName); err != nil {
			return err
		}
		if err := c.Claim(resource.RestAPIMarker(*in.RestApiId)); err != nil {
			return err
		}
		mappings, err := s.mappings(ctx)
		if err != nil {
			return err
		}
		if err := resource.DeletableStage(*in.RestApiId, *in.StageName, mappings); err != nil {
			return err
		}
		c.Delete(resource.StageKey(*in.RestApiId, *in.StageName))
		c.Delete(resource.EffectKey(*in.RestApiId, *in.StageName))
		c.Delete(resource.RotationKey(*in.RestApiId, *in.StageName))
		return nil
	})
	return done[apigateway.DeleteStageOutput](err)
}

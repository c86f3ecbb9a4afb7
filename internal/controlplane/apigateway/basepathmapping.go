package apigateway

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

var errNoMapping = missing("base path mapping")

// errMapped is the refusal of a second mapping of one base path.
// Source: AWS, observed.
var errMapped = resource.Errorf(resource.Conflict, "Base path already exists for this domain name")

// mappings reads every base path mapping, by domain name.
func (s *service) mappings(ctx context.Context) (map[string][]types.BasePathMapping, error) {
	docs, err := controlplane.List[types.BasePathMapping](ctx, s.Options().Store, store.Range{Prefix: resource.PrefixBasePathMappings})
	out := map[string][]types.BasePathMapping{}
	for _, d := range docs {
		name := resource.SplitKey(d.Key, resource.PrefixBasePathMappings)[0]
		out[name] = append(out[name], d.Doc)
	}
	return out, err
}

// reachable checks that what m leads to is there and may be reached by d, and
// claims the API, so that neither it nor its stage is deleted at the same
// moment. Source of the texts: AWS, observed.
func (s *service) reachable(c *controlplane.Change, d types.DomainName, m types.BasePathMapping) error {
	id := aws.ToString(m.RestApiId)
	var api types.RestApi
	switch ok, err := c.Get(resource.RestAPIKey(id), &api); {
	case err != nil:
		return err
	case !ok:
		return resource.Errorf(resource.BadRequest, "Invalid REST API identifier specified")
	}
	if err := resource.MappableTo(d, api); err != nil {
		return err
	}
	if stage := aws.ToString(m.Stage); stage != "" {
		switch ok, err := c.Get(resource.StageKey(id, stage), nil); {
		case err != nil:
			return err
		case !ok:
			return resource.Errorf(resource.BadRequest, "Invalid stage identifier specified")
		}
	}
	return c.Claim(resource.RestAPIMarker(id))
}

func (s *service) createBasePathMapping(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateBasePathMappingInput) (*apigateway.CreateBasePathMappingOutput, error) {
	var made types.BasePathMapping
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		d, err := s.domain(c.Get, in.DomainName, in.DomainNameId)
		if err != nil {
			return err
		}
		if made, err = resource.NewBasePathMapping(in); err != nil {
			return err
		}
		if err := s.reachable(c, d, made); err != nil {
			return err
		}
		return place(c, d, made)
	})
	return answer[apigateway.CreateBasePathMappingOutput](made, err)
}

// place writes m where no mapping is yet.
func place(c *controlplane.Change, d types.DomainName, m types.BasePathMapping) error {
	key := resource.BasePathMappingKey(*d.DomainName, aws.ToString(m.BasePath))
	switch ok, err := c.Get(key, nil); {
	case err != nil:
		return err
	case ok:
		return errMapped
	}
	c.Create(key, m)
	return nil
}

// mapping reads a mapping and its domain name.
func (s *service) mapping(read reader, name, id, basePath *string) (types.DomainName, types.BasePathMapping, error) {
	d, err := s.domain(read, name, id)
	if err != nil {
		return d, types.BasePathMapping{}, err
	}
	key := resource.BasePathMappingKey(*d.DomainName, strings.Trim(aws.ToString(basePath), "/"))
	m, err := fetch[types.BasePathMapping](read, key, errNoMapping)
	return d, m, err
}

func (s *service) getBasePathMapping(ctx context.Context, _ *controlplane.Call, in *apigateway.GetBasePathMappingInput) (*apigateway.GetBasePathMappingOutput, error) {
	_, m, err := s.mapping(s.reader(ctx), in.DomainName, in.DomainNameId, in.BasePath)
	return answer[apigateway.GetBasePathMappingOutput](m, err)
}

func (s *service) getBasePathMappings(ctx context.Context, _ *controlplane.Call, in *apigateway.GetBasePathMappingsInput) (*apigateway.GetBasePathMappingsOutput, error) {
	d, err := s.domain(s.reader(ctx), in.DomainName, in.DomainNameId)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf[types.BasePathMapping](ctx, s, resource.BasePathMappingsPrefix(*d.DomainName), in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	return &apigateway.GetBasePathMappingsOutput{Items: documents(page), Position: next}, nil
}

func (s *service) updateBasePathMapping(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateBasePathMappingInput) (*apigateway.UpdateBasePathMappingOutput, error) {
	var after types.BasePathMapping
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		d, before, err := s.mapping(c.Get, in.DomainName, in.DomainNameId, in.BasePath)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateBasePathMapping(before, in.PatchOperations); err != nil {
			return err
		}
		if aws.ToString(before.RestApiId) != aws.ToString(after.RestApiId) || aws.ToString(before.Stage) != aws.ToString(after.Stage) {
			if err := s.reachable(c, d, after); err != nil {
				return err
			}
		}
		from := resource.BasePathMappingKey(*d.DomainName, aws.ToString(before.BasePath))
		if to := resource.BasePathMappingKey(*d.DomainName, aws.ToString(after.BasePath)); to != from {
			c.Delete(from)
			return place(c, d, after)
		}
		write(c, from, before, after)
		return nil
	})
	return answer[apigateway.UpdateBasePathMappingOutput](after, err)
}

func (s *service) deleteBasePathMapping(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteBasePathMappingInput) (*apigateway.DeleteBasePathMappingOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		d, m, err := s.mapping(c.Get, in.DomainName, in.DomainNameId, in.BasePath)
		if err != nil {
			return err
		}
		c.Delete(resource.BasePathMappingKey(*d.DomainName, aws.ToString(m.BasePath)))
		return nil
	})
	return done[apigateway.DeleteBasePathMappingOutput](err)
}

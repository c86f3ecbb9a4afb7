package apigatewayv2

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// tagged reads the VPC link that arn names.
func (s *service) tagged(read reader, arn *string) (key string, l types.VpcLink, err error) {
	kind, parts, err := resource.ParseTagARN(aws.ToString(arn))
	switch {
	case err != nil:
		return "", l, err
	case kind != resource.TagVPCLink:
		return "", l, resource.Errorf(resource.BadRequest, "Invalid ARN. %s names nothing of API Gateway version 2", aws.ToString(arn))
	}
	l, err = s.vpcLink(read, &parts[0])
	return resource.VPCLinkV2Key(parts[0]), l, err
}

// retag replaces the tags of what arn names with what edit makes of a copy.
func (s *service) retag(ctx context.Context, arn *string, edit func(map[string]string)) error {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		key, l, err := s.tagged(c.Get, arn)
		if err != nil {
			return err
		}
		after := map[string]string{}
		maps.Copy(after, l.Tags)
		edit(after)
		if maps.Equal(after, l.Tags) {
			return nil
		}
		if err := resource.ValidTags(after); err != nil {
			return err
		}
		l.Tags = after
		c.Put(key, l)
		return nil
	})
	return err
}

func (s *service) tagResource(ctx context.Context, _ *controlplane.Call, in *sdk.TagResourceInput) (*sdk.TagResourceOutput, error) {
	return done[sdk.TagResourceOutput](s.retag(ctx, in.ResourceArn, func(tags map[string]string) {
		maps.Copy(tags, in.Tags)
	}))
}

func (s *service) untagResource(ctx context.Context, _ *controlplane.Call, in *sdk.UntagResourceInput) (*sdk.UntagResourceOutput, error) {
	return done[sdk.UntagResourceOutput](s.retag(ctx, in.ResourceArn, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	}))
}

func (s *service) getTags(ctx context.Context, _ *controlplane.Call, in *sdk.GetTagsInput) (*sdk.GetTagsOutput, error) {
	_, l, err := s.tagged(s.reader(ctx), in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := l.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return &sdk.GetTagsOutput{Tags: tags}, nil
}

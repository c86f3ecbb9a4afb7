package apigateway

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// tagged is a document that carries tags: an API, a stage, a domain name or a
// client certificate.
type tagged struct {
	key  string
	doc  any // pointer to the SDK's type
	tags *map[string]string
}

// tagged reads what arn names.
func (s *service) tagged(read reader, arn *string) (tagged, error) {
	kind, parts, err := resource.ParseTagARN(aws.ToString(arn))
	if err != nil {
		return tagged{}, err
	}
	switch kind {
	case resource.TagRestAPI:
		api, err := s.api(read, &parts[0])
		return tagged{resource.RestAPIKey(parts[0]), &api, &api.Tags}, err
	case resource.TagStage:
		stage, err := s.stage(read, &parts[0], &parts[1])
		return tagged{resource.StageKey(parts[0], parts[1]), &stage, &stage.Tags}, err
	case resource.TagDomainName:
		d, err := s.domain(read, &parts[0], nil)
		return tagged{domainKey(&parts[0]), &d, &d.Tags}, err
	case resource.TagClientCertificate:
		cert, err := s.clientCertificate(read, &parts[0])
		return tagged{resource.ClientCertificateKey(parts[0]), &cert, &cert.Tags}, err
	case resource.TagVPCLink:
		link, err := s.vpcLink(read, &parts[0])
		return tagged{resource.VPCLinkKey(parts[0]), &link, &link.Tags}, err
	}
	return tagged{}, resource.Errorf(resource.BadRequest, "Invalid ARN. %s names nothing of API Gateway", aws.ToString(arn))
}

// retag replaces the tags of what arn names with what edit makes of a copy.
func (s *service) retag(ctx context.Context, arn *string, edit func(map[string]string)) error {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		t, err := s.tagged(c.Get, arn)
		if err != nil {
			return err
		}
		after := maps.Clone(*t.tags)
		if after == nil {
			after = map[string]string{}
		}
		edit(after)
		if maps.Equal(after, *t.tags) {
			return nil
		}
		if err := resource.ValidTags(after); err != nil {
			return err
		}
		if *t.tags = after; len(after) == 0 {
			*t.tags = nil
		}
		c.Put(t.key, t.doc)
		return nil
	})
	return err
}

func (s *service) tagResource(ctx context.Context, _ *controlplane.Call, in *apigateway.TagResourceInput) (*apigateway.TagResourceOutput, error) {
	return done[apigateway.TagResourceOutput](s.retag(ctx, in.ResourceArn, func(tags map[string]string) {
		maps.Copy(tags, in.Tags)
	}))
}

func (s *service) untagResource(ctx context.Context, _ *controlplane.Call, in *apigateway.UntagResourceInput) (*apigateway.UntagResourceOutput, error) {
	return done[apigateway.UntagResourceOutput](s.retag(ctx, in.ResourceArn, func(tags map[string]string) {
		for _, k := range in.TagKeys {
			delete(tags, k)
		}
	}))
}

func (s *service) getTags(ctx context.Context, _ *controlplane.Call, in *apigateway.GetTagsInput) (*apigateway.GetTagsOutput, error) {
	t, err := s.tagged(s.reader(ctx), in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := *t.tags
	if tags == nil {
		tags = map[string]string{}
	}
	return &apigateway.GetTagsOutput{Tags: tags}, nil
}

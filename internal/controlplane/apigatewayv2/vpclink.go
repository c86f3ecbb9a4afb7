package apigatewayv2

import (
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/apigateway"
	"github.com/sallyport/sallyport/internal/resource"
)

func (s *service) createVPCLink(ctx context.Context, _ *controlplane.Call, in *sdk.CreateVpcLinkInput) (*sdk.CreateVpcLinkOutput, error) {
	var made types.VpcLink
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		id, have, err := apigateway.NewVPCLinkID[types.VpcLink](c, resource.PrefixVPCLinksV2)
		if err != nil {
			return err
		}
		if made, err = resource.NewVPCLinkV2(in, id, s.Now()); err != nil {
			return err
		}
		if err := resource.RoomForVPCLink(resource.MaxVPCLinksV2, have); err != nil {
			return err
		}
		c.Create(resource.VPCLinkV2Key(id), made)
		return nil
	})
	return answer[sdk.CreateVpcLinkOutput](made, err)
}

func (s *service) vpcLink(read reader, id *string) (l types.VpcLink, err error) {
	ok, err := read(resource.VPCLinkV2Key(aws.ToString(id)), &l)
	if err == nil && !ok {
		err = resource.Errorf(resource.NotFound, "Unable to find Vpc Link by id %s", aws.ToString(id)) // own text
	}
	return l, err
}

func (s *service) getVPCLink(ctx context.Context, _ *controlplane.Call, in *sdk.GetVpcLinkInput) (*sdk.GetVpcLinkOutput, error) {
	return answer[sdk.GetVpcLinkOutput](s.vpcLink(s.reader(ctx), in.VpcLinkId))
}

func (s *service) getVPCLinks(ctx context.Context, _ *controlplane.Call, in *sdk.GetVpcLinksInput) (*sdk.GetVpcLinksOutput, error) {
	items, next, err := pageOf[types.VpcLink](ctx, s, resource.PrefixVPCLinksV2, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &sdk.GetVpcLinksOutput{Items: items, NextToken: next}, nil
}

func (s *service) updateVPCLink(ctx context.Context, _ *controlplane.Call, in *sdk.UpdateVpcLinkInput) (*sdk.UpdateVpcLinkOutput, error) {
	var after types.VpcLink
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.vpcLink(c.Get, in.VpcLinkId)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateVPCLinkV2(before, in); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, after) {
			c.Put(resource.VPCLinkV2Key(*in.VpcLinkId), after)
		}
		return nil
	})
	return answer[sdk.UpdateVpcLinkOutput](after, err)
}

func (s *service) deleteVPCLink(ctx context.Context, _ *controlplane.Call, in *sdk.DeleteVpcLinkInput) (*sdk.DeleteVpcLinkOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.vpcLink(c.Get, in.VpcLinkId); err != nil {
			return err
		}
		if err := apigateway.ReleaseVPCLink(ctx, s.Server, c, *in.VpcLinkId); err != nil {
			return err
		}
		c.Delete(resource.VPCLinkV2Key(*in.VpcLinkId))
		return nil
	})
	return done[sdk.DeleteVpcLinkOutput](err)
}

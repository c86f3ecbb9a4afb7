package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// vpcLinkIDLength is that of a VPC link's id, as AWS's are.
const vpcLinkIDLength = 6

var errNoVPCLink = missing("Vpc Link")

// NewVPCLinkID returns an id that no VPC link of either version has, since
// integrations name both alike. have is how many documents there are under
// prefix, all of type Doc, for the quota.
func NewVPCLinkID[Doc any](c *controlplane.Change, prefix string) (id string, have int, err error) {
	if err := c.Claim(resource.MarkerVPCLinks); err != nil {
		return "", 0, err
	}
	links, err := controlplane.ListIn[Doc](c, prefix)
	if err != nil {
		return "", 0, err
	}
	for {
		id = newID(vpcLinkIDLength)
		link, err := findLink(c.Get, id)
		if err != nil || link == nil {
			return id, len(links), err
		}
	}
}

func (s *service) createVPCLink(ctx context.Context, _ *controlplane.Call, in *apigateway.CreateVpcLinkInput) (*apigateway.CreateVpcLinkOutput, error) {
	var made types.VpcLink
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		id, have, err := NewVPCLinkID[types.VpcLink](c, resource.PrefixVPCLinks)
		if err != nil {
			return err
		}
		if made, err = resource.NewVPCLink(in, id, s.Options().Targets); err != nil {
			return err
		}
		if err := resource.RoomForVPCLink(resource.MaxVPCLinks, have); err != nil {
			return err
		}
		c.Create(resource.VPCLinkKey(id), made)
		return nil
	})
	return answer[apigateway.CreateVpcLinkOutput](resource.ShowVPCLink(made, s.Options().Targets), err)
}

func (s *service) vpcLink(read reader, id *string) (types.VpcLink, error) {
	return fetch[types.VpcLink](read, resource.VPCLinkKey(aws.ToString(id)), errNoVPCLink)
}

func (s *service) getVPCLink(ctx context.Context, _ *controlplane.Call, in *apigateway.GetVpcLinkInput) (*apigateway.GetVpcLinkOutput, error) {
	l, err := s.vpcLink(s.reader(ctx), in.VpcLinkId)
	return answer[apigateway.GetVpcLinkOutput](resource.ShowVPCLink(l, s.Options().Targets), err)
}

func (s *service) getVPCLinks(ctx context.Context, _ *controlplane.Call, in *apigateway.GetVpcLinksInput) (*apigateway.GetVpcLinksOutput, error) {
	page, next, err := pageOf[types.VpcLink](ctx, s, resource.PrefixVPCLinks, in.Limit, in.Position)
	if err != nil {
		return nil, err
	}
	items := documents(page)
	for i, l := range items {
		items[i] = resource.ShowVPCLink(l, s.Options().Targets)
	}
	return &apigateway.GetVpcLinksOutput{Items: items, Position: next}, nil
}

func (s *service) updateVPCLink(ctx context.Context, _ *controlplane.Call, in *apigateway.UpdateVpcLinkInput) (*apigateway.UpdateVpcLinkOutput, error) {
	var after types.VpcLink
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		before, err := s.vpcLink(c.Get, in.VpcLinkId)
		if err != nil {
			return err
		}
		if after, err = resource.UpdateVPCLink(before, in.PatchOperations); err != nil {
			return err
		}
		write(c, resource.VPCLinkKey(*in.VpcLinkId), before, after)
		return nil
	})
	return answer[apigateway.UpdateVpcLinkOutput](resource.ShowVPCLink(after, s.Options().Targets), err)
}

func (s *service) deleteVPCLink(ctx context.Context, _ *controlplane.Call, in *apigateway.DeleteVpcLinkInput) (*apigateway.DeleteVpcLinkOutput, error) {
	_, err := s.Change(ctx, func(c *controlplane.Change) error {
		if _, err := s.vpcLink(c.Get, in.VpcLinkId); err != nil {
			return err
		}
		if err := ReleaseVPCLink(ctx, s.Server, c, *in.VpcLinkId); err != nil {
			return err
		}
		c.Delete(resource.VPCLinkKey(*in.VpcLinkId))
		return nil
	})
	return done[apigateway.DeleteVpcLinkOutput](err)
}

// findLink reads the link of that id, of either version; nil: there is none.
func findLink(read reader, id string) (*resource.Link, error) {
	var v1 types.VpcLink
	if ok, err := read(resource.VPCLinkKey(id), &v1); err != nil {
		return nil, err
	} else if ok {
		link := resource.LinkOf(v1)
		return &link, nil
	}
	if ok, err := read(resource.VPCLinkV2Key(id), &v2types.VpcLink{}); err != nil || !ok {
		return nil, err
	}
	return &resource.Link{V2: true}, nil
}

// connected refuses an integration whose VPC link is not there or leads to
// nothing. Which link a stage variable names is known only to a stage, so of
// that only the target is judged.
func (s *service) connected(c *controlplane.Change, i types.Integration) error {
	if i.ConnectionType != types.ConnectionTypeVpcLink {
		return nil
	}
	id, target := aws.ToString(i.ConnectionId), aws.ToString(i.IntegrationTarget)
	if resource.LinkVariable(id) == "" {
		if err := c.Claim(resource.VPCLinkMarker(id)); err != nil {
			return err
		}
		link, err := findLink(c.Get, id)
		if err != nil {
			return err
		}
		if target, err = resource.Route(link, id, target); err != nil {
			return err
		}
	} else if target == "" {
		return nil
	}
	return resource.Routable(target, s.Options().Targets)
}

// ReleaseVPCLink gives up the marker of a link that c deletes, unless methods
// go by it: methods as they are edited, or as a stage serves them.
func ReleaseVPCLink(ctx context.Context, server *controlplane.Server, c *controlplane.Change, id string) error {
	if err := c.Release(resource.VPCLinkMarker(id)); err != nil {
		return err
	}
	st := server.Options().Store
	served, err := servedByLink(ctx, st, id)
	if err != nil {
		return err
	}
	edited, err := editedByLink(ctx, st, id)
	if err != nil {
		return err
	}
	return resource.DeletableVPCLink(id, served, edited)
}

// byLink is in every document with an integration that goes by a VPC link, so
// that no other needs decoding: there may be 100,000.
var byLink = []byte(types.ConnectionTypeVpcLink)

// editedByLink lists API:METHOD:RESOURCE of all resources that go by a link.
func editedByLink(ctx context.Context, st store.Store, id string) (users []string, err error) {
	for r := (store.Range{Prefix: resource.PrefixResources, Limit: 1000}); ; {
		docs, _, err := st.List(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, d := range docs {
			if !bytes.Contains(d.Value, byLink) {
				continue
			}
			var doc types.Resource
			if err := awsapi.Unmarshal(d.Value, &doc); err != nil {
				return nil, fmt.Errorf("decode %s: %v", d.Key, err)
			}
			api := resource.SplitKey(d.Key, resource.PrefixResources)[0]
			for _, user := range resource.UsersOfLink(id, []types.Resource{doc}, nil) {
				users = append(users, api+":"+user)
			}
		}
		if len(docs) < r.Limit {
			return users, nil
		}
		r.After = docs[len(docs)-1].Key
	}
}

// servedByLink lists API:METHOD:RESOURCE:STAGE of what stages serve.
func servedByLink(ctx context.Context, st store.Store, id string) (users []string, err error) {
	stages, err := controlplane.List[types.Stage](ctx, st, store.Range{Prefix: resource.PrefixStages})
	if err != nil {
		return nil, err
	}
	for _, stage := range stages {
		api := resource.SplitKey(stage.Key, resource.PrefixStages)[0]
		d, err := st.Get(ctx, resource.FrozenKey(api, aws.ToString(stage.Doc.DeploymentId)))
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case !bytes.Contains(d.Value, byLink):
			continue
		}
		var frozen resource.Frozen
		if err := json.Unmarshal(d.Value, &frozen); err != nil {
			return nil, fmt.Errorf("decode %s: %v", d.Key, err)
		}
		resources := make([]types.Resource, len(frozen.Resources))
		for i, raw := range frozen.Resources {
			if err := awsapi.Unmarshal(raw, &resources[i]); err != nil {
				return nil, fmt.Errorf("decode %s: %v", d.Key, err)
			}
		}
		for _, user := range resource.UsersOfLink(id, resources, stage.Doc.Variables) {
			users = append(users, api+":"+user+":"+aws.ToString(stage.Doc.StageName))
		}
	}
	return users, nil
}

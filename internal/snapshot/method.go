package snapshot

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// Tested is a method as it is now, deployed or not, and what a test of it says
// in place of a stage.
type Tested struct {
	API       string
	Stage     string // the name that it goes by
	Variables map[string]string
	Resource  types.Resource
	Verb      string // of the request; may be one that ANY stands for
	// ClientCertificate is the id or ARN of the certificate to show; "": none.
	ClientCertificate string
}

// CompileMethod compiles a method to be tested: the stage that it returns has
// no other. Authorization, API keys and the resource policy do not count, as in
// AWS's tests. A *resource.Error is NotFound when there is no such method or it
// has no integration, BadRequest when this version cannot run it; any other
// error is the store's.
func (c *Compiler) CompileMethod(ctx context.Context, t Tested) (*Stage, *Method, error) {
	key := t.Verb
	doc, ok := t.Resource.ResourceMethods[key]
	if !ok {
		key = "ANY"
		doc, ok = t.Resource.ResourceMethods[key]
	}
	switch {
	case !ok || !slices.Contains(verbs, t.Verb):
		return nil, nil, resource.Errorf(resource.NotFound, "Invalid Method identifier specified")
	case doc.MethodIntegration == nil:
		return nil, nil, resource.Errorf(resource.NotFound, "Invalid Integration identifier specified")
	}
	doc.AuthorizationType, doc.ApiKeyRequired = aws.String("NONE"), nil
	res := t.Resource
	res.ResourceMethods = map[string]types.Method{key: doc}
	d := &deployment{routes: &Node{Path: "/"}, connections: make(map[*Integration]connection)}
	if err := safely(func() error { return d.add(res) }); err != nil {
		return nil, nil, resource.Errorf(resource.BadRequest, "The method cannot be run: %v", err)
	}
	if len(d.refusals) > 0 {
		return nil, nil, resource.Errorf(resource.BadRequest, "Sallyport cannot run this method yet: it does not implement %s.", d.refusals[0].Guard)
	}
	routes := d.routes
	if len(d.connections) > 0 {
		links, err := c.readLinks(ctx, d, t.Variables)
		if err != nil {
			return nil, nil, err
		}
		routes, _ = d.connect(t.Variables, links)
	}
	stage := &Stage{API: t.API, Name: t.Stage, Variables: t.Variables, Routes: routes, deployment: d}
	if t.ClientCertificate != "" {
		var err error
		if stage.ClientCertificate, err = c.ClientCertificate(ctx, t.ClientCertificate); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = resource.Errorf(resource.NotFound, "Invalid client certificate identifier specified")
			}
			return nil, nil, err
		}
	}
	node, err := routes.grow(aws.ToString(res.Path))
	if err != nil {
		return nil, nil, err
	}
	return stage, node.Methods[key], nil
}

// readLinks reads the VPC links that d's integrations go by, as far as they
// are there.
func (c *Compiler) readLinks(ctx context.Context, d *deployment, variables map[string]string) (map[string]source, error) {
	_, asked := d.connect(variables, nil)
	links := make(map[string]source)
	for _, id := range slices.Sorted(maps.Keys(asked)) {
		for _, key := range []string{resource.VPCLinkKey(id), resource.VPCLinkV2Key(id)} {
			doc, err := c.get(ctx, key)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return nil, err
			default:
				in, _ := inputOf(key)
				links[id] = in.read(doc.Value, doc.Revision)
			}
		}
	}
	return links, nil
}

// Package apigatewayv2 answers API Gateway's version 2 operations that this
// gateway has: VPC links and their tags, and that there is no HTTP API. Version 1's integrations go by them,
// so both versions share one space of ids.
package apigatewayv2

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// name is the service's in the wire tables.
const name = "apigatewayv2"

type service struct{ *controlplane.Server }

// Register adds the operations of API Gateway version 2 to server.
func Register(server *controlplane.Server) {
	s := &service{server}

	controlplane.Handle(server, name, s.getAPIs)

	controlplane.Handle(server, name, s.createVPCLink)
	controlplane.Handle(server, name, s.getVPCLink)
	controlplane.Handle(server, name, s.getVPCLinks)
	controlplane.Handle(server, name, s.updateVPCLink)
	controlplane.Handle(server, name, s.deleteVPCLink)

	controlplane.Handle(server, name, s.tagResource)
	controlplane.Handle(server, name, s.untagResource)
	controlplane.Handle(server, name, s.getTags)
}

// reader is where a document is read from: the server, or a change, which
// guards what it reads.
type reader func(key string, doc any) (ok bool, err error)

func (s *service) reader(ctx context.Context) reader {
	return func(key string, doc any) (bool, error) {
		_, ok, err := s.Get(ctx, key, doc)
		return ok, err
	}
}

// answer makes an operation's output of the document that it carries.
func answer[Out any](doc any, err error) (*Out, error) {
	if err != nil {
		return nil, err
	}
	out := new(Out)
	awsapi.Convert(out, doc)
	return out, nil
}

// done is the output of an operation that answers with nothing.
func done[Out any](err error) (*Out, error) {
	if err != nil {
		return nil, err
	}
	return new(Out), nil
}

// pageOf is one page of the documents under prefix and the token of the next
// one. maxResults is 25 when nil, and at most 500.
func pageOf[T any](ctx context.Context, s *service, prefix string, maxResults, token *string) ([]T, *string, error) {
	n := 25
	if maxResults != nil {
		var err error
		if n, err = strconv.Atoi(aws.ToString(maxResults)); err != nil || n < 1 {
			return nil, nil, resource.Errorf(resource.BadRequest, "Invalid maxResults parameter specified")
		}
		n = min(n, 500)
	}
	page, next, ok, err := controlplane.Page[T](ctx, s.Options().Store, prefix, n, token)
	switch {
	case err != nil:
		return nil, nil, err
	case !ok:
		return nil, nil, resource.Errorf(resource.BadRequest, "Invalid nextToken parameter specified")
	}
	items := make([]T, len(page))
	for i := range page {
		items[i] = page[i].Doc
	}
	return items, next, nil
}

// Package apigateway answers API Gateway's version 1 operations: REST APIs with
// their resources, methods, integrations, deployments and stages, client
// certificates, custom domain names with base path mappings, the account, tags.
// The rules are resource's; a handler here decodes, calls one rule, commits,
// encodes.
package apigateway

import (
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// name is the service's in the wire tables.
const name = "apigateway"

type service struct{ *controlplane.Server }

// Register adds the operations of API Gateway version 1 to server.
func Register(server *controlplane.Server) {
	s := &service{server}

	controlplane.Handle(server, name, s.createRestAPI)
	controlplane.Handle(server, name, s.getRestAPI)
	controlplane.Handle(server, name, s.getRestAPIs)
	controlplane.Handle(server, name, s.updateRestAPI)
	controlplane.Handle(server, name, s.deleteRestAPI)

	controlplane.Handle(server, name, s.createResource)
	controlplane.Handle(server, name, s.getResource)
	controlplane.Handle(server, name, s.getResources)
	controlplane.Handle(server, name, s.updateResource)
	controlplane.Handle(server, name, s.deleteResource)

	controlplane.Handle(server, name, s.putMethod)
	controlplane.Handle(server, name, s.getMethod)
	controlplane.Handle(server, name, s.updateMethod)
	controlplane.Handle(server, name, s.deleteMethod)
	controlplane.Handle(server, name, s.testInvokeMethod)

	controlplane.Handle(server, name, s.putMethodResponse)
	controlplane.Handle(server, name, s.getMethodResponse)
	controlplane.Handle(server, name, s.updateMethodResponse)
	controlplane.Handle(server, name, s.deleteMethodResponse)

	controlplane.Handle(server, name, s.putIntegration)
	controlplane.Handle(server, name, s.getIntegration)
	controlplane.Handle(server, name, s.updateIntegration)
	controlplane.Handle(server, name, s.deleteIntegration)

	controlplane.Handle(server, name, s.putIntegrationResponse)
	controlplane.Handle(server, name, s.getIntegrationResponse)
	controlplane.Handle(server, name, s.updateIntegrationResponse)
	controlplane.Handle(server, name, s.deleteIntegrationResponse)

	controlplane.Handle(server, name, s.createDeployment)
	controlplane.Handle(server, name, s.getDeployment)
	controlplane.Handle(server, name, s.getDeployments)
	controlplane.Handle(server, name, s.updateDeployment)
	controlplane.Handle(server, name, s.deleteDeployment)

	controlplane.Handle(server, name, s.createStage)
	controlplane.Handle(server, name, s.getStage)
	controlplane.Handle(server, name, s.getStages)
	controlplane.Handle(server, name, s.updateStage)
	controlplane.Handle(server, name, s.deleteStage)

	controlplane.Handle(server, name, s.generateClientCertificate)
	controlplane.Handle(server, name, s.getClientCertificate)
	controlplane.Handle(server, name, s.getClientCertificates)
	controlplane.Handle(server, name, s.updateClientCertificate)
	controlplane.Handle(server, name, s.deleteClientCertificate)

	controlplane.Handle(server, name, s.createDomainName)
	controlplane.Handle(server, name, s.getDomainName)
	controlplane.Handle(server, name, s.getDomainNames)
	controlplane.Handle(server, name, s.updateDomainName)
	controlplane.Handle(server, name, s.deleteDomainName)

	controlplane.Handle(server, name, s.createBasePathMapping)
	controlplane.Handle(server, name, s.getBasePathMapping)
	controlplane.Handle(server, name, s.getBasePathMappings)
	controlplane.Handle(server, name, s.updateBasePathMapping)
	controlplane.Handle(server, name, s.deleteBasePathMapping)

	controlplane.Handle(server, name, s.createVPCLink)
	controlplane.Handle(server, name, s.getVPCLink)
	controlplane.Handle(server, name, s.getVPCLinks)
	controlplane.Handle(server, name, s.updateVPCLink)
	controlplane.Handle(server, name, s.deleteVPCLink)

	controlplane.Handle(server, name, s.getAccount)
	controlplane.Handle(server, name, s.updateAccount)

	controlplane.Handle(server, name, s.tagResource)
	controlplane.Handle(server, name, s.untagResource)
	controlplane.Handle(server, name, s.getTags)
}

// missing is what the client reads when something that it names is not there.
// Source: AWS, observed.
func missing(what string) error {
	return resource.Errorf(resource.NotFound, "Invalid %s identifier specified", what)
}

func (s *service) missingAPI(id string) error {
	return resource.Errorf(resource.NotFound, "Invalid API identifier specified %s:%s", s.Options().Account, id)
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

// fetch reads the document under key, or returns absent.
func fetch[T any](read reader, key string, absent error) (doc T, err error) {
	ok, err := read(key, &doc)
	if err == nil && !ok {
		err = absent
	}
	return doc, err
}

func (s *service) api(read reader, id *string) (types.RestApi, error) {
	return fetch[types.RestApi](read, resource.RestAPIKey(aws.ToString(id)), s.missingAPI(aws.ToString(id)))
}

// within is fetch for what lies below an API: an API that is not there is the
// better answer.
func within[T any](s *service, read reader, api *string, key string, absent error) (T, error) {
	if _, err := s.api(read, api); err != nil {
		var none T
		return none, err
	}
	return fetch[T](read, key, absent)
}

// write puts after under key unless a rule left before as it was.
func write[T any](c *controlplane.Change, key string, before, after T) {
	if !reflect.DeepEqual(before, after) {
		c.Put(key, after)
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

// pageOf is one page of the documents under prefix, in key order, and the
// position of the next one. limit is 25 when nil, and at most 500.
// Source: API reference, GetRestApis.
func pageOf[T any](ctx context.Context, s *service, prefix string, limit *int32, position *string) ([]controlplane.Stored[T], *string, error) {
	n, err := pageSize(limit)
	if err != nil {
		return nil, nil, err
	}
	page, next, ok, err := controlplane.Page[T](ctx, s.Options().Store, prefix, n, position)
	if err == nil && !ok {
		err = resource.Errorf(resource.BadRequest, "Invalid position parameter specified")
	}
	return page, next, err
}

func pageSize(limit *int32) (int, error) {
	switch {
	case limit == nil:
		return 25, nil
	case *limit < 1:
		return 0, resource.Errorf(resource.BadRequest, "Invalid limit parameter specified")
	}
	return int(min(*limit, 500)), nil
}

// documents drops keys and revisions.
func documents[T any](stored []controlplane.Stored[T]) []T {
	out := make([]T, len(stored))
	for i := range stored {
		out[i] = stored[i].Doc
	}
	return out
}

// Lengths of generated ids, as AWS's are.
const (
	apiIDLength               = 10
	resourceIDLength          = 6
	deploymentIDLength        = 6
	clientCertificateIDLength = 6
)

var newID = controlplane.NewID

// done is the output of an operation that answers with nothing.
func done[Out any](err error) (*Out, error) {
	if err != nil {
		return nil, err
	}
	return new(Out), nil
}

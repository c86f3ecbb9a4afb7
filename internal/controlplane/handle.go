package controlplane

import (
	"context"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/sallyport/sallyport/internal/awsapi"
)

type handler func(ctx context.Context, c *Call, in any) (any, error)

func key(service, operation string) string { return service + "." + operation }

// Handle registers fn for the operation of service whose input type is In:
// CreateRestApiInput means CreateRestApi. An operation that the service does
// not have, or that is registered already, is a mistake of the program and
// panics. Errors of fn become wire exceptions by their resource.Kind; any
// other error is answered as an internal failure and logged.
func Handle[In, Out any](s *Server, service string, fn func(context.Context, *Call, *In) (*Out, error)) {
	name, ok := strings.CutSuffix(reflect.TypeFor[In]().Name(), "Input")
	if !ok || awsapi.Lookup(service, name) == nil {
		panic(fmt.Sprintf("controlplane: %s has no operation with input %v", service, reflect.TypeFor[In]()))
	}
	k := key(service, name)
	if _, ok := s.handlers[k]; ok {
		panic("controlplane: " + k + " registered twice")
	}
	s.handlers[k] = func(ctx context.Context, c *Call, in any) (any, error) {
		out, err := fn(ctx, c, in.(*In))
		if err != nil {
			return nil, err // never a typed nil beside an error
		}
		return out, nil
	}
}

// OperationStatus says whether an operation is built.
type OperationStatus struct {
	Service string
	Name    string
	Built   bool
}

// Operations lists every operation of every service that the wire tables know,
// by service and name; the reference page is made from it.
func (s *Server) Operations() []OperationStatus {
	var out []OperationStatus
	for _, service := range awsapi.Services() {
		for _, op := range service.Operations {
			_, built := s.handlers[key(service.Name, op.Name)]
			out = append(out, OperationStatus{Service: service.Name, Name: op.Name, Built: built})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Service != out[j].Service {
			return out[i].Service < out[j].Service
		}
		return out[i].Name < out[j].Name
	})
	return out
}

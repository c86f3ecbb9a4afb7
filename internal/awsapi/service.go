package awsapi

import (
	"reflect"
	"slices"
	"sync"
)

// Protocol is how a service writes requests and answers.
type Protocol int

const (
	RESTJSON Protocol = iota // method and path name the operation, JSON bodies
	JSON11                   // X-Amz-Target names the operation, JSON bodies
	Query                    // the form's Action names the operation, XML answers
)

// Service is an AWS service whose wire is known here.
type Service struct {
	Name         string // the SDK's: apigateway, apigatewayv2, acm, sts ...
	SigningName  string // the credential scope's service field; two services may share one
	Protocol     Protocol
	TargetPrefix string // JSON11: what stands before the dot in X-Amz-Target
	Version      string // Query: the Version parameter
	Operations   []*Operation
}

// Operation is one call of a service.
type Operation struct {
	Service *Service
	Name    string
	Method  string
	URI     string   // template with {labels}; "/" outside RESTJSON
	Query   string   // parameters that are part of the URI: "mode=import"; usually empty
	Success int      // HTTP status of the answer
	Errors  []string // codes that clients give a type of its own; nil where the SDK has one registry for all

	input, output reflect.Type
	wrapper       string // Query: the element around the result
	segments      []segment
}

// tables lists the services, one line each.
var tables = []*table{&acmTable, &apigatewayTable, &apigatewayv2Table, &configserviceTable, &opensearchTable, &securityhubTable, &stsTable}

type registry struct {
	services []*Service
	byName   map[string]map[string]*Operation // service, operation
	routers  map[string]*router               // signing name
	shapes   map[reflect.Type]shape
	unions   map[reflect.Type][]reflect.Type
}

// known builds everything that is derived from the tables, once.
var known = sync.OnceValue(func() *registry {
	r := &registry{
		byName:  map[string]map[string]*Operation{},
		routers: map[string]*router{},
		shapes:  map[reflect.Type]shape{},
		unions:  map[reflect.Type][]reflect.Type{},
	}
	for _, t := range tables {
		s := t.service
		s.Operations = t.operations()
		r.services = append(r.services, &s)
		for _, shape := range t.shapes() {
			r.shapes[shape.Type] = shape
		}
		if t.unions != nil {
			for _, union := range t.unions() {
				r.unions[union.Type] = union.Members
			}
		}
	}
	for _, s := range r.services {
		r.byName[s.Name] = map[string]*Operation{}
		if r.routers[s.SigningName] == nil {
			r.routers[s.SigningName] = newRouter()
		}
		for _, op := range s.Operations {
			op.Service = s
			if status := success[s.Name][op.Name]; status != 0 {
				op.Success = status
			}
			op.segments = splitURI(op.URI)
			r.byName[s.Name][op.Name] = op
			r.routers[s.SigningName].add(op)
		}
	}
	return r
})

// Services returns every service with its operations, in the order of their
// names. The values are shared: read only.
func Services() []*Service { return slices.Clone(known().services) }

// Lookup returns an operation by the SDK's names, "apigateway" and
// "CreateRestApi", or nil.
func Lookup(service, operation string) *Operation { return known().byName[service][operation] }

// NewInput returns a new *XxxInput of the SDK.
func (op *Operation) NewInput() any { return reflect.New(op.input).Interface() }

// NewOutput returns a new *XxxOutput of the SDK.
func (op *Operation) NewOutput() any { return reflect.New(op.output).Interface() }

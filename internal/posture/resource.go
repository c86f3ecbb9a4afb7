package posture

import (
	"cmp"
	"strings"
)

// Source says where a resource was read.
type Source string

const (
	Self    Source = "self" // this gateway's own store
	Account Source = "aws"  // an AWS account, or any endpoint that speaks its API
	File    Source = "file" // a template or a plan: what is not there may be made elsewhere
)

// A Resource is one document to judge. It must not change while it is judged;
// its maps may be shared between resources.
type Resource struct {
	// Type is the resource type as AWS Config and Security Hub write it, one
	// of [Types]: AWS::ApiGateway::Stage. Templates spell two of them
	// otherwise, see [Type.CloudFormation].
	Type string

	// ID is the ARN, or FILE#LOGICAL-ID, or the Terraform address.
	ID string

	Region, Account string // empty when the source does not say
	Source          Source

	// Doc points to the SDK's type that [Type.Doc] names. nil is judged
	// unknown.
	Doc any

	// Parent points to the API of a stage, route or integration, a RestApi or
	// an apigatewayv2 Api. nil: the source could not tell.
	Parent any

	// Related are other documents that a verdict needs: for a domain name,
	// the APIs mapped to it. A source that could not list them all says so in
	// Unknown["mappings"].
	Related []any

	// Unknown holds the members whose value could not be resolved, each with
	// the reason. The paths are the wire's: member names joined by dots, keys
	// of maps and indexes of lists in brackets, see [Entry]:
	//
	//	tracingEnabled
	//	methodSettings[*/*].loggingLevel
	//	DomainEndpointOptions.EnforceHTTPS
	//
	// A path covers what is below it; the path "" is the whole document. Empty
	// brackets stand for every entry: methodSettings[].loggingLevel.
	Unknown map[string]string

	// NotInEffect holds the members that this gateway stores without acting
	// on them, or not yet. Paths are as in Unknown.
	NotInEffect map[string]bool

	// Absent holds the members that a template leaves out although the SDK's
	// type cannot tell, booleans mostly. Paths are as in Unknown. The other
	// sources leave it empty: the service answers with every member.
	Absent map[string]bool

	// Remarks are what the source knows about members and a reader of a
	// verdict that rests on them must know as well: that AWS::Serverless::Api
	// has no such property. Paths are as in Unknown.
	Remarks map[string]string

	Tags map[string]string

	// Location is FILE:LINE, of templates.
	Location string
}

// Resource types.
const (
	TypeStage        = "AWS::ApiGateway::Stage"
	TypeStageV2      = "AWS::ApiGatewayV2::Stage"
	TypeRoute        = "AWS::ApiGatewayV2::Route"
	TypeIntegration  = "AWS::ApiGatewayV2::Integration"
	TypeDomainName   = "AWS::ApiGateway::DomainName"
	TypeDomainNameV2 = "AWS::ApiGatewayV2::DomainName" // of templates only: an account has each domain name once, read it through V1
	TypeSearchDomain = "AWS::OpenSearch::Domain"
	TypeCertificate  = "AWS::ACM::Certificate"
)

// A Type is what each place calls a resource type.
type Type struct {
	Name           string // as AWS Config and Security Hub write it
	CloudFormation string // as templates write it
	ASFF           string // Resources[].Type of a finding
	Doc            string // the SDK's type that Resource.Doc points to

	// TemplateOnly types are no resources of their own in an account: AWS
	// does not list them in a control's scope.
	TemplateOnly bool
}

// Types are the types that some control judges.
//
// Source: Security Hub user guide, controls and ASFF resource types. The ASFF
// names of routes, integrations and domain names follow the pattern of their
// siblings; AWS publishes no sample.
var Types = []Type{
	{Name: TypeStage, CloudFormation: "AWS::ApiGateway::Stage", ASFF: "AwsApiGatewayStage", Doc: "apigateway.Stage"},
	{Name: TypeStageV2, CloudFormation: "AWS::ApiGatewayV2::Stage", ASFF: "AwsApiGatewayV2Stage", Doc: "apigatewayv2.Stage"},
	{Name: TypeRoute, CloudFormation: "AWS::ApiGatewayV2::Route", ASFF: "AwsApiGatewayV2Route", Doc: "apigatewayv2.Route"},
	{Name: TypeIntegration, CloudFormation: "AWS::ApiGatewayV2::Integration", ASFF: "AwsApiGatewayV2Integration", Doc: "apigatewayv2.Integration"},
	{Name: TypeDomainName, CloudFormation: "AWS::ApiGateway::DomainName", ASFF: "AwsApiGatewayDomainName", Doc: "apigateway.DomainName"},
	{Name: TypeDomainNameV2, CloudFormation: "AWS::ApiGatewayV2::DomainName", ASFF: "AwsApiGatewayV2DomainName", Doc: "apigatewayv2.DomainName", TemplateOnly: true},
	{Name: TypeSearchDomain, CloudFormation: "AWS::OpenSearchService::Domain", ASFF: "AwsOpenSearchServiceDomain", Doc: "opensearch.DomainStatus"},
	{Name: TypeCertificate, CloudFormation: "AWS::CertificateManager::Certificate", ASFF: "AwsCertificateManagerCertificate", Doc: "acm.CertificateDetail"},
}

// LookupType finds a type by its name.
func LookupType(name string) (Type, bool) {
	for _, t := range Types {
		if t.Name == name {
			return t, true
		}
	}
	return Type{}, false
}

// Entry is the path of a member of a map's entry: methodSettings[*/*].loggingLevel.
// member may be empty.
func Entry(collection, key, member string) string {
	if member == "" {
		return collection + "[" + key + "]"
	}
	return collection + "[" + key + "]." + member
}

// Unresolved reports whether the value at path could not be resolved, and why.
func (r *Resource) Unresolved(path string) (reason string, yes bool) {
	if at, ok := covering(r.Unknown, path); ok {
		return cmp.Or(r.Unknown[at], "its value could not be resolved"), true
	}
	return "", false
}

// LeftOut reports whether a template leaves out the member at path.
func (r *Resource) LeftOut(path string) bool {
	at, ok := covering(r.Absent, path)
	return ok && r.Absent[at]
}

// Inert reports whether the member at path is stored without being in effect.
func (r *Resource) Inert(path string) bool {
	at, ok := covering(r.NotInEffect, path)
	return ok && r.NotInEffect[at]
}

// covering finds the key of m that is path, stands for every entry of its
// collection, or lies above it.
func covering[V any](m map[string]V, path string) (string, bool) {
	if len(m) == 0 {
		return "", false
	}
	if open := strings.IndexByte(path, '['); open >= 0 {
		// The key itself may hold brackets: its end is the last one.
		if end := strings.LastIndexByte(path, ']'); end > open {
			every := path[:open+1] + path[end:]
			if _, ok := m[every]; ok {
				return every, true
			}
			if every = path[:open] + "[]"; end < len(path)-1 {
				if _, ok := m[every]; ok {
					return every, true
				}
			}
		}
	}
	for {
		if _, ok := m[path]; ok {
			return path, true
		}
		if path == "" {
			return "", false
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

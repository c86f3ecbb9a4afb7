package resource

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// httpMethods are those that a method may stand for; ANY takes what no other
// method of the resource does. Source: developer guide, Set up methods.
var httpMethods = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"}

// authorizationTypes of a method. Source: API reference, Method.
var authorizationTypes = []string{"NONE", "AWS_IAM", "CUSTOM", "COGNITO_USER_POOLS"}

// Texts of AWS for what is not there.
const (
	textNoMethod      = "Invalid Method identifier specified"
	textNoIntegration = "Invalid Integration identifier specified"
	textNoResponse    = "Invalid Response status code specified"
)

// GetMethod is NotFound when the resource has no such method.
func GetMethod(res types.Resource, httpMethod string) (types.Method, error) {
	m, ok := res.ResourceMethods[httpMethod]
	if !ok {
		return types.Method{}, Errorf(NotFound, textNoMethod)
	}
	return m, nil
}

// withMethod returns a copy of res that holds m; what m is made of is shared.
func withMethod(res types.Resource, m types.Method) types.Resource {
	methods := map[string]types.Method{}
	for k, v := range res.ResourceMethods {
		methods[k] = v
	}
	methods[aws.ToString(m.HttpMethod)] = m
	res.ResourceMethods = methods
	return res
}

// PutMethod adds a method to a resource; one that is there is a Conflict.
func PutMethod(res types.Resource, in *apigateway.PutMethodInput) (types.Resource, types.Method, error) {
	m := types.Method{
		ApiKeyRequired:      aws.Bool(in.ApiKeyRequired),
		AuthorizationScopes: clone(in.AuthorizationScopes),
		AuthorizationType:   clone(in.AuthorizationType),
		AuthorizerId:        given(in.AuthorizerId),
		HttpMethod:          clone(in.HttpMethod),
		OperationName:       given(in.OperationName),
		RequestModels:       clone(in.RequestModels),
		RequestParameters:   clone(in.RequestParameters),
		RequestValidatorId:  given(in.RequestValidatorId),
	}
	var p problems
	if in.AuthorizationType == nil {
		p.missing("authorizationType")
	}
	if !slices.Contains(httpMethods, aws.ToString(in.HttpMethod)) {
		p.addf("Invalid HttpMethod specified. Valid options are %s", strings.Join(httpMethods, ","))
	}
	p.checkMethod(m)
	if err := p.err(); err != nil {
		return res, types.Method{}, err
	}
	if _, ok := res.ResourceMethods[*in.HttpMethod]; ok {
		return res, types.Method{}, Errorf(Conflict, "Method already exists for this resource")
	}
	return withMethod(res, m), m, nil
}

// given is s, or nil when it says nothing.
func given(s *string) *string {
	if aws.ToString(s) == "" {
		return nil
	}
	return clone(s)
}

var (
	tokenName     = "[!#$%&'*+.^_`|~0-9A-Za-z-]+" // of a header: RFC 9110, token
	requestName   = regexp.MustCompile("^method\\.request\\.(path\\.[A-Za-z0-9._-]+|(multivalue)?header\\." + tokenName + "|(multivalue)?querystring\\.[^\\x00-\\x20\\x7f]+)$")
	responseName  = regexp.MustCompile("^method\\.response\\.(multivalue)?header\\." + tokenName + "$")
	modelName     = regexp.MustCompile(`^[A-Za-z0-9]{1,128}$`)
	operationName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,256}$`)
)

// maxEntryName bounds names of parameters and content types, in bytes.
const maxEntryName = 512

// badMapping is AWS's text for anything wrong with a mapping expression.
func badMapping(expression string) string {
	return "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: " + expression + "]"
}

// badParameter is AWS's text for a mapping of a parameter that the method, or
// the method response, does not declare.
func badParameter(expression string) string {
	return "Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: " + expression + "]"
}

func (p *problems) checkMethod(m types.Method) {
	kind := aws.ToString(m.AuthorizationType)
	if !slices.Contains(authorizationTypes, kind) {
		p.addf("Invalid authorizationType specified: '%s'. Must be one of: [%s]", kind, strings.Join(authorizationTypes, ", "))
	}
	if (kind == "CUSTOM" || kind == "COGNITO_USER_POOLS") && m.AuthorizerId == nil {
		p.addf("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")
	}
	if len(m.AuthorizationScopes) > 0 && kind != "COGNITO_USER_POOLS" {
		p.addf("authorizationScopes can only be set with authorizationType COGNITO_USER_POOLS")
	}
	if n := aws.ToString(m.OperationName); n != "" && !operationName.MatchString(n) {
		p.addf("Invalid operationName specified: '%s'", n)
	}
	for _, name := range sortedKeys(m.RequestParameters) {
		if len(name) > maxEntryName || !requestName.MatchString(name) {
			p.addf("%s", badMapping(name))
		}
	}
	p.models("requestModels", m.RequestModels)
}

// models are named per content type; whether one exists is not judged.
func (p *problems) models(member string, models map[string]string) {
	for _, contentType := range sortedKeys(models) {
		p.contentType(member, contentType)
		if !modelName.MatchString(models[contentType]) {
			p.addf("Invalid model identifier specified: %s", models[contentType])
		}
	}
}

func (p *problems) contentType(member, contentType string) {
	if contentType == "" || len(contentType) > maxEntryName || hasControl(contentType) {
		p.addf("%s: '%s' is not a content type", member, contentType)
	}
}

var methodPaths = table[types.Method]{rows: []row[types.Method]{
	{"/authorizationType", replace, text(func(d *types.Method) **string { return &d.AuthorizationType })},
	{"/authorizerId", replace, text(func(d *types.Method) **string { return &d.AuthorizerId })},
	{"/authorizationScopes", add | remove, item(func(d *types.Method) *[]string { return &d.AuthorizationScopes })},
	{"/apiKeyRequired", replace, func(d *types.Method, e edit) error {
		v, err := e.boolean()
		if err == nil {
			d.ApiKeyRequired = &v
		}
		return err
	}},
	{"/operationName", replace, text(func(d *types.Method) **string { return &d.OperationName })},
	{"/requestValidatorId", replace, text(func(d *types.Method) **string { return &d.RequestValidatorId })},
	{"/requestParameters/{name}", add | replace | remove, flagEntry(func(d *types.Method) *map[string]bool { return &d.RequestParameters })},
	{"/requestModels/{contentType}", add | replace | remove, entry(func(d *types.Method) *map[string]string { return &d.RequestModels })},
}}

// UpdateMethod is NotFound when the resource has no such method.
func UpdateMethod(res types.Resource, httpMethod string, ops []types.PatchOperation) (types.Resource, types.Method, error) {
	old, err := GetMethod(res, httpMethod)
	if err != nil || len(ops) == 0 {
		return res, old, err
	}
	m, err := methodPaths.patch(old, ops)
	if err != nil {
		return res, old, err
	}
	var p problems
	p.checkMethod(m)
	if m.MethodIntegration != nil {
		p.declared(m, *m.MethodIntegration) // what the integration uses must stay declared
	}
	if err := p.err(); err != nil {
		return res, old, err
	}
	return withMethod(res, m), m, nil
}

// DeleteMethod takes the method's integration and responses along.
func DeleteMethod(res types.Resource, httpMethod string) (types.Resource, error) {
	if _, err := GetMethod(res, httpMethod); err != nil {
		return res, err
	}
	res.ResourceMethods = without(res.ResourceMethods, httpMethod)
	return res, nil
}

// with and without copy a map with one entry changed.
func with[V any](m map[string]V, key string, v V) map[string]V {
	out := without(m, key)
	if out == nil {
		out = map[string]V{}
	}
	out[key] = v
	return out
}

func without[V any](m map[string]V, key string) map[string]V {
	var out map[string]V
	for k, v := range m {
		if k != key {
			if out == nil {
				out = map[string]V{}
			}
			out[k] = v
		}
	}
	return out
}

// GetMethodResponse is NotFound when the method has no response of that status.
func GetMethodResponse(res types.Resource, httpMethod, status string) (types.MethodResponse, error) {
	m, err := GetMethod(res, httpMethod)
	if err != nil {
		return types.MethodResponse{}, err
	}
	r, ok := m.MethodResponses[status]
	if !ok {
		return types.MethodResponse{}, Errorf(NotFound, textNoResponse)
	}
	return r, nil
}

var statusCode = regexp.MustCompile(`^[1-5][0-9][0-9]$`)

func (p *problems) status(code *string) {
	switch {
	case code == nil:
		p.missing("statusCode")
	case !statusCode.MatchString(*code):
		p.constraintf(*code, "statusCode", `Member must satisfy regular expression pattern: [1-5]\d\d`)
	}
}

// PutMethodResponse adds a response to a method; one that is there is a Conflict.
func PutMethodResponse(res types.Resource, in *apigateway.PutMethodResponseInput) (types.Resource, types.MethodResponse, error) {
	m, err := GetMethod(res, aws.ToString(in.HttpMethod))
	if err != nil {
		return res, types.MethodResponse{}, err
	}
	r := types.MethodResponse{
		ResponseModels:     clone(in.ResponseModels),
		ResponseParameters: clone(in.ResponseParameters),
		StatusCode:         clone(in.StatusCode),
	}
	var p problems
	p.status(in.StatusCode)
	p.checkMethodResponse(r)
	if err := p.err(); err != nil {
		return res, types.MethodResponse{}, err
	}
	if _, ok := m.MethodResponses[*in.StatusCode]; ok {
		return res, types.MethodResponse{}, Errorf(Conflict, "Response already exists for this resource")
	}
	m.MethodResponses = with(m.MethodResponses, *in.StatusCode, r)
	return withMethod(res, m), r, nil
}

func (p *problems) checkMethodResponse(r types.MethodResponse) {
	for _, name := range sortedKeys(r.ResponseParameters) {
		if len(name) > maxEntryName || !responseName.MatchString(name) {
			p.addf("%s", badMapping(name))
		}
	}
	p.models("responseModels", r.ResponseModels)
}

var methodResponsePaths = table[types.MethodResponse]{rows: []row[types.MethodResponse]{
	{"/responseParameters/{name}", add | replace | remove, flagEntry(func(d *types.MethodResponse) *map[string]bool { return &d.ResponseParameters })},
	{"/responseModels/{contentType}", add | replace | remove, entry(func(d *types.MethodResponse) *map[string]string { return &d.ResponseModels })},
}}

// UpdateMethodResponse is NotFound when the method has no response of that status.
func UpdateMethodResponse(res types.Resource, httpMethod, status string, ops []types.PatchOperation) (types.Resource, types.MethodResponse, error) {
	old, err := GetMethodResponse(res, httpMethod, status)
	if err != nil || len(ops) == 0 {
		return res, old, err
	}
	r, err := methodResponsePaths.patch(old, ops)
	if err != nil {
		return res, old, err
	}
	var p problems
	p.checkMethodResponse(r)
	m := res.ResourceMethods[httpMethod]
	m.MethodResponses = with(m.MethodResponses, status, r)
	if i := m.MethodIntegration; i != nil {
		if ir, ok := i.IntegrationResponses[status]; ok {
			p.declaredResponse(r, ir) // what the integration response sets must stay declared
		}
	}
	if err := p.err(); err != nil {
		return res, old, err
	}
	return withMethod(res, m), r, nil
}

// DeleteMethodResponse is NotFound when the method has no response of that status.
func DeleteMethodResponse(res types.Resource, httpMethod, status string) (types.Resource, error) {
	if _, err := GetMethodResponse(res, httpMethod, status); err != nil {
		return res, err
	}
	m := res.ResourceMethods[httpMethod]
	m.MethodResponses = without(m.MethodResponses, status)
	return withMethod(res, m), nil
}

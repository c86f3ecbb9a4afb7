package resource

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// Bounds of an integration. Source: quotas; above 29 s AWS raises on request.
const (
	minTimeout  = 50         // ms
	maxTimeout  = 29000      // ms; also the default
	maxTemplate = 300 * 1024 // bytes
	maxURI      = 2048       // bytes; AWS documents none
	maxPattern  = 1024       // bytes of a selection pattern; AWS documents none
)

// passthroughBehaviors are what happens to a body for which there is no
// template. Source: API reference, PutIntegration.
var passthroughBehaviors = []string{"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}

// GetIntegration is NotFound when the method has none.
func GetIntegration(res types.Resource, httpMethod string) (types.Integration, error) {
	m, err := GetMethod(res, httpMethod)
	if err != nil {
		return types.Integration{}, err
	}
	if m.MethodIntegration == nil {
		return types.Integration{}, Errorf(NotFound, textNoIntegration)
	}
	return *m.MethodIntegration, nil
}

// PutIntegration sets a method's integration, in place of any other; the
// integration responses of an earlier one go with it.
func PutIntegration(res types.Resource, in *apigateway.PutIntegrationInput) (types.Resource, types.Integration, error) {
	m, err := GetMethod(res, aws.ToString(in.HttpMethod))
	if err != nil {
		return res, types.Integration{}, err
	}
	i := types.Integration{
		CacheKeyParameters:   []string{},
		CacheNamespace:       given(in.CacheNamespace),
		ConnectionId:         given(in.ConnectionId),
		ConnectionType:       in.ConnectionType,
		ContentHandling:      in.ContentHandling,
		Credentials:          given(in.Credentials),
		HttpMethod:           given(in.IntegrationHttpMethod),
		IntegrationTarget:    given(in.IntegrationTarget),
		PassthroughBehavior:  given(in.PassthroughBehavior),
		RequestParameters:    clone(in.RequestParameters),
		RequestTemplates:     clone(in.RequestTemplates),
		ResponseTransferMode: in.ResponseTransferMode,
		TimeoutInMillis:      maxTimeout,
		TlsConfig:            clone(in.TlsConfig),
		Type:                 in.Type,
		Uri:                  given(in.Uri),
	}
	for _, k := range in.CacheKeyParameters {
		include(&i.CacheKeyParameters, k)
	}
	if i.CacheNamespace == nil {
		i.CacheNamespace = clone(res.Id)
	}
	if i.PassthroughBehavior == nil {
		i.PassthroughBehavior = aws.String("WHEN_NO_MATCH")
	}
	if in.TimeoutInMillis != nil {
		i.TimeoutInMillis = *in.TimeoutInMillis
	}

	var p problems
	if in.Type == "" {
		p.missing("type")
	}
	enum(&p, in.Type, "type", in.Type.Values())
	enum(&p, in.ConnectionType, "connectionType", in.ConnectionType.Values())
	enum(&p, in.ContentHandling, "contentHandling", in.ContentHandling.Values())
	enum(&p, in.ResponseTransferMode, "responseTransferMode", in.ResponseTransferMode.Values())
	p.checkIntegration(i)
	p.declared(m, i)
	if err := p.err(); err != nil {
		return res, types.Integration{}, err
	}
	m.MethodIntegration = &i
	return withMethod(res, m), i, nil
}

func overHTTP(t types.IntegrationType) bool {
	return t == types.IntegrationTypeHttp || t == types.IntegrationTypeHttpProxy
}

func (p *problems) checkIntegration(i types.Integration) {
	uri, method := aws.ToString(i.Uri), aws.ToString(i.HttpMethod)
	if i.Type != types.IntegrationTypeMock {
		switch {
		case method == "":
			p.addf("Enumeration value for HttpMethod must be non-empty")
		case !slices.Contains(httpMethods, method):
			p.addf("Invalid HttpMethod specified. Valid options are %s", strings.Join(httpMethods, ","))
		}
	}
	switch {
	case overHTTP(i.Type) && !validBackend(uri):
		p.addf("Invalid HTTP endpoint specified for URI")
	case (i.Type == types.IntegrationTypeAws || i.Type == types.IntegrationTypeAwsProxy) &&
		(!strings.HasPrefix(uri, "arn:") || len(uri) > maxURI || hasControl(uri)):
		p.addf("Invalid ARN specified in the request")
	}
	if i.TimeoutInMillis < minTimeout || i.TimeoutInMillis > maxTimeout {
		p.addf("Timeout should be between %d ms and %d ms", minTimeout, maxTimeout)
	}
	if b := aws.ToString(i.PassthroughBehavior); !slices.Contains(passthroughBehaviors, b) {
		p.addf("Invalid passthroughBehavior specified: '%s'. Must be one of: [%s]", b, strings.Join(passthroughBehaviors, ", "))
	}
	p.checkConnection(i)
	if i.TlsConfig != nil && i.TlsConfig.InsecureSkipVerification && !overHTTP(i.Type) {
		p.addf("tlsConfig is only supported for the integration types HTTP and HTTP_PROXY")
	}
	for _, k := range i.CacheKeyParameters {
		if len(k) > maxEntryName || !requestName.MatchString(k) && !integrationName.MatchString(k) {
			p.addf("Invalid cacheKeyParameters specified: '%s'", k)
		}
	}
	for _, target := range sortedKeys(i.RequestParameters) {
		source := i.RequestParameters[target]
		switch m := integrationName.FindStringSubmatch(target); {
		case m == nil || len(target) > maxEntryName:
			p.addf("%s", badMapping(target))
		case m[1] == "header" && framing(m[2]):
			p.addf("integration.request.header.%s cannot be mapped: the gateway sets it", m[2])
		}
		if !requestSource(source) {
			p.addf("%s", badMapping(source))
		}
	}
	p.templates("requestTemplates", i.RequestTemplates)
}

func (p *problems) templates(member string, templates map[string]string) {
	for _, contentType := range sortedKeys(templates) {
		p.contentType(member, contentType)
		if len(templates[contentType]) > maxTemplate {
			p.addf("%s: the template for %s is longer than %d bytes", member, contentType, maxTemplate)
		}
	}
}

// Mapping expressions. Source: developer guide, Request and response data mapping.
var (
	integrationName = regexp.MustCompile("^integration\\.request\\.(header|querystring|path)\\.((?:[!#$%&'*+.^_`|~0-9A-Za-z-]|[\\[\\]])+)$")
	stageVariable   = regexp.MustCompile(`^stageVariables\.[A-Za-z0-9_]+$`)
	contextVariable = regexp.MustCompile(`^context\.[A-Za-z0-9_.-]+$`)
	requestBody     = regexp.MustCompile(`^method\.request\.body(\.[^\x00-\x1f\x7f]+)?$`)
	responseSource  = regexp.MustCompile("^integration\\.response\\.((multivalue)?header\\." + tokenName + `|body(\.[^\x00-\x1f\x7f]+)?)$`)
)

// commonSource takes the sources that requests and responses share.
func commonSource(s string) bool {
	if len(s) > maxTemplate {
		return false
	}
	// A static value: no control character may reach a header line.
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return !hasControl(s)
	}
	return stageVariable.MatchString(s) || contextVariable.MatchString(s)
}

func requestSource(s string) bool {
	return commonSource(s) || len(s) <= maxEntryName && (requestName.MatchString(s) || requestBody.MatchString(s))
}

// framing headers decide where a message ends or belong to one hop: a mapping
// must not set them (request smuggling).
func framing(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains([]string{"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}, name)
}

// declared wants each parameter of the method that i maps to be one that the
// method declares.
func (p *problems) declared(m types.Method, i types.Integration) {
	for _, target := range sortedKeys(i.RequestParameters) {
		source := i.RequestParameters[target]
		if !requestName.MatchString(source) {
			continue
		}
		single := strings.NewReplacer(".multivalueheader.", ".header.", ".multivaluequerystring.", ".querystring.").Replace(source)
		_, as := m.RequestParameters[source]
		_, one := m.RequestParameters[single]
		if !as && !one {
			p.addf("%s", badParameter(source))
		}
	}
}

var (
	uriStageVariable = regexp.MustCompile(`\$\{stageVariables\.[A-Za-z0-9_]+\}`)
	uriPathVariable  = regexp.MustCompile(`\{[A-Za-z0-9._-]+\}`)
	uriHost          = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	uriRest          = regexp.MustCompile("^([/?]([A-Za-z0-9/?:@!$&'()*+,;=._~-]|%[0-9A-Fa-f]{2})*)?$")
)

// validBackend judges the URI of an HTTP integration: http or https, a host,
// no user, no fragment. ${stageVariables.name} may stand anywhere behind the
// scheme, {name} only behind the host: which backend is called is never up to
// the client.
func validBackend(uri string) bool {
	if uri == "" || len(uri) > maxURI {
		return false
	}
	rest, ok := cutFold(uri, "https://")
	if !ok {
		if rest, ok = cutFold(uri, "http://"); !ok {
			return false
		}
	}
	rest = uriStageVariable.ReplaceAllString(rest, "1") // fits as host, port and path
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, tail := rest[:end], rest[end:]
	if !uriHost.MatchString(host) || !uriRest.MatchString(uriPathVariable.ReplaceAllString(tail, "x")) {
		return false
	}
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		if port, err := strconv.ParseUint(host[at+1:], 10, 16); err != nil || port == 0 {
			return false
		}
		host = host[:at]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && a.Is6()
	}
	return !strings.Contains(host, "..")
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

var integrationPaths = table[types.Integration]{rows: []row[types.Integration]{
	{"/uri", replace, notMock(text(func(d *types.Integration) **string { return &d.Uri }))},
	{"/httpMethod", replace, notMock(text(func(d *types.Integration) **string { return &d.HttpMethod }))},
	{"/type", 0, nil}, // known, and never changed: delete and put again
	{"/connectionType", replace, choiceOrNone(func(d *types.Integration) *types.ConnectionType { return &d.ConnectionType })},
	{"/connectionId", replace, text(func(d *types.Integration) **string { return &d.ConnectionId })},
	{"/integrationTarget", replace, text(func(d *types.Integration) **string { return &d.IntegrationTarget })},
	{"/contentHandling", replace, choiceOrNone(func(d *types.Integration) *types.ContentHandlingStrategy { return &d.ContentHandling })},
	{"/passthroughBehavior", replace, text(func(d *types.Integration) **string { return &d.PassthroughBehavior })},
	{"/timeoutInMillis", replace, setTimeout},
	{"/tlsConfig/insecureSkipVerification", replace, flag(func(d *types.Integration) *bool {
		if d.TlsConfig == nil {
			d.TlsConfig = &types.TlsConfig{}
		}
		return &d.TlsConfig.InsecureSkipVerification
	})},
	{"/responseTransferMode", replace, choice(func(d *types.Integration) *types.ResponseTransferMode { return &d.ResponseTransferMode })},
	{"/cacheNamespace", replace, text(func(d *types.Integration) **string { return &d.CacheNamespace })},
	{"/cacheKeyParameters/{name}", add | replace | remove, member(func(d *types.Integration) *[]string { return &d.CacheKeyParameters })},
	{"/requestParameters/{name}", add | replace | remove, entry(func(d *types.Integration) *map[string]string { return &d.RequestParameters })},
	{"/requestTemplates/{contentType}", add | replace | remove, entry(func(d *types.Integration) *map[string]string { return &d.RequestTemplates })},
}}

// notMock guards paths that a MOCK integration does not have.
func notMock(set setter[types.Integration]) setter[types.Integration] {
	return func(d *types.Integration, e edit) error {
		if d.Type == types.IntegrationTypeMock {
			return e.absent()
		}
		return set(d, e)
	}
}

func setTimeout(d *types.Integration, e edit) error {
	if integer(minTimeout, maxTimeout, func(d *types.Integration) *int32 { return &d.TimeoutInMillis })(d, e) != nil {
		return Errorf(BadRequest, "Timeout should be between %d ms and %d ms", minTimeout, maxTimeout)
	}
	return nil
}

// UpdateIntegration is NotFound when the method has none.
func UpdateIntegration(res types.Resource, httpMethod string, ops []types.PatchOperation) (types.Resource, types.Integration, error) {
	old, err := GetIntegration(res, httpMethod)
	if err != nil || len(ops) == 0 {
		return res, old, err
	}
	i, err := integrationPaths.patch(old, ops)
	if err != nil {
		return res, old, err
	}
	if i.CacheNamespace == nil {
		i.CacheNamespace = clone(res.Id)
	}
	m := res.ResourceMethods[httpMethod]
	var p problems
	p.checkIntegration(i)
	p.declared(m, i)
	if err := p.err(); err != nil {
		return res, old, err
	}
	m.MethodIntegration = &i
	return withMethod(res, m), i, nil
}

// DeleteIntegration is NotFound when the method has none.
func DeleteIntegration(res types.Resource, httpMethod string) (types.Resource, error) {
	if _, err := GetIntegration(res, httpMethod); err != nil {
		return res, err
	}
	m := res.ResourceMethods[httpMethod]
	m.MethodIntegration = nil
	return withMethod(res, m), nil
}

// GetIntegrationResponse is NotFound when there is none of that status.
func GetIntegrationResponse(res types.Resource, httpMethod, status string) (types.IntegrationResponse, error) {
	i, err := GetIntegration(res, httpMethod)
	if err != nil {
		return types.IntegrationResponse{}, err
	}
	r, ok := i.IntegrationResponses[status]
	if !ok {
		return types.IntegrationResponse{}, Errorf(NotFound, textNoResponse)
	}
	return r, nil
}

// PutIntegrationResponse sets an integration response, in place of any other of
// that status. The method must have a response of that status.
func PutIntegrationResponse(res types.Resource, in *apigateway.PutIntegrationResponseInput) (types.Resource, types.IntegrationResponse, error) {
	method := aws.ToString(in.HttpMethod)
	i, err := GetIntegration(res, method)
	if err != nil {
		return res, types.IntegrationResponse{}, err
	}
	r := types.IntegrationResponse{
		ContentHandling:    in.ContentHandling,
		ResponseParameters: clone(in.ResponseParameters),
		ResponseTemplates:  clone(in.ResponseTemplates),
		SelectionPattern:   clone(in.SelectionPattern),
		StatusCode:         clone(in.StatusCode),
	}
	var p problems
	p.status(in.StatusCode)
	enum(&p, in.ContentHandling, "contentHandling", in.ContentHandling.Values())
	p.checkIntegrationResponse(r)
	if err := p.err(); err != nil {
		return res, types.IntegrationResponse{}, err
	}
	mr, err := GetMethodResponse(res, method, *in.StatusCode)
	if err != nil {
		return res, types.IntegrationResponse{}, err
	}
	p.declaredResponse(mr, r)
	if err := p.err(); err != nil {
		return res, types.IntegrationResponse{}, err
	}
	return withIntegrationResponse(res, method, i, r), r, nil
}

func withIntegrationResponse(res types.Resource, method string, i types.Integration, r types.IntegrationResponse) types.Resource {
	m := res.ResourceMethods[method]
	i.IntegrationResponses = with(i.IntegrationResponses, aws.ToString(r.StatusCode), r)
	m.MethodIntegration = &i
	return withMethod(res, m)
}

func (p *problems) checkIntegrationResponse(r types.IntegrationResponse) {
	if s := aws.ToString(r.SelectionPattern); s != "" {
		// RE2 has no lookaround and no backreferences, which Java's has: such a
		// pattern cannot be matched here, and must not be taken for another.
		if _, err := regexp.Compile(s); err != nil || len(s) > maxPattern {
			p.addf("Invalid selection pattern specified: '%s' is not a regular expression that this gateway can match", s)
		}
	}
	for _, target := range sortedKeys(r.ResponseParameters) {
		source := r.ResponseParameters[target]
		switch {
		case len(target) > maxEntryName || !responseName.MatchString(target):
			p.addf("%s", badMapping(target))
		case framing(target[strings.LastIndex(target, "header.")+len("header."):]):
			p.addf("%s cannot be mapped: the gateway sets it", target)
		}
		if !commonSource(source) && (len(source) > maxEntryName || !responseSource.MatchString(source)) {
			p.addf("%s", badMapping(source))
		}
	}
	p.templates("responseTemplates", r.ResponseTemplates)
}

// declaredResponse wants each header that r sets to be one that the method
// response declares.
func (p *problems) declaredResponse(m types.MethodResponse, r types.IntegrationResponse) {
	for _, target := range sortedKeys(r.ResponseParameters) {
		if _, ok := m.ResponseParameters[target]; !ok {
			p.addf("%s", badParameter(target))
		}
	}
}

var integrationResponsePaths = table[types.IntegrationResponse]{rows: []row[types.IntegrationResponse]{
	{"/selectionPattern", replace, text(func(d *types.IntegrationResponse) **string { return &d.SelectionPattern })},
	{"/contentHandling", replace, choiceOrNone(func(d *types.IntegrationResponse) *types.ContentHandlingStrategy { return &d.ContentHandling })},
	{"/responseParameters/{name}", add | replace | remove, entry(func(d *types.IntegrationResponse) *map[string]string { return &d.ResponseParameters })},
	{"/responseTemplates/{contentType}", add | replace | remove, entry(func(d *types.IntegrationResponse) *map[string]string { return &d.ResponseTemplates })},
}}

// UpdateIntegrationResponse is NotFound when there is none of that status.
func UpdateIntegrationResponse(res types.Resource, httpMethod, status string, ops []types.PatchOperation) (types.Resource, types.IntegrationResponse, error) {
	old, err := GetIntegrationResponse(res, httpMethod, status)
	if err != nil || len(ops) == 0 {
		return res, old, err
	}
	r, err := integrationResponsePaths.patch(old, ops)
	if err != nil {
		return res, old, err
	}
	var p problems
	p.checkIntegrationResponse(r)
	if mr, err := GetMethodResponse(res, httpMethod, status); err == nil {
		p.declaredResponse(mr, r)
	}
	if err := p.err(); err != nil {
		return res, old, err
	}
	return withIntegrationResponse(res, httpMethod, *res.ResourceMethods[httpMethod].MethodIntegration, r), r, nil
}

// DeleteIntegrationResponse is NotFound when there is none of that status.
func DeleteIntegrationResponse(res types.Resource, httpMethod, status string) (types.Resource, error) {
	if _, err := GetIntegrationResponse(res, httpMethod, status); err != nil {
		return res, err
	}
	m := res.ResourceMethods[httpMethod]
	i := *m.MethodIntegration
	i.IntegrationResponses = without(i.IntegrationResponses, status)
	m.MethodIntegration = &i
	return withMethod(res, m), nil
}

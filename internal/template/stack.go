package template

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// A declared resource is one that a template or plan makes, with CloudFormation's
// names for its type and properties, whatever it was written in.
type declared struct {
	id    string // others refer to it by
	typ   string
	props value
	line  int

	shown   string   // what the finding calls it; empty: id
	aliases []string // further texts that stand for it, "${Api.Stage}"
	doubt   string   // why it may not be made at all; empty: it is
	region  string   // of plans, when it is not the collection's
	remarks map[string]string
	settled map[string]string // Unknown of the resource, whatever the properties say
}

// Types beside those of [posture.Types] that a stack reads. The last is ours,
// for Terraform's settings of one method.
const (
	typeRestAPI        = "AWS::ApiGateway::RestApi"
	typeDeployment     = "AWS::ApiGateway::Deployment"
	typeAPI            = "AWS::ApiGatewayV2::Api"
	typeOverrides      = "AWS::ApiGatewayV2::ApiGatewayManagedOverrides"
	typePrivateDomain  = "AWS::ApiGateway::DomainNameV2"
	typeMapping        = "AWS::ApiGateway::BasePathMapping"
	typePrivateMapping = "AWS::ApiGateway::BasePathMappingV2"
	typeMappingV2      = "AWS::ApiGatewayV2::ApiMapping"
	typeACL            = "AWS::WAFv2::WebACLAssociation"
	typeClassicACL     = "AWS::WAFRegional::WebACLAssociation"
	typeSearchDomain   = "AWS::OpenSearchService::Domain"
	typeCertificate    = "AWS::CertificateManager::Certificate"
	typeMethodSettings = "settings of one method"
)

// relevant are the types whose properties are read.
var relevant = []string{
	posture.TypeStage, posture.TypeStageV2, posture.TypeRoute, posture.TypeIntegration, posture.TypeDomainName, posture.TypeDomainNameV2,
	typeRestAPI, typeDeployment, typeAPI, typeOverrides, typePrivateDomain, typeMapping, typePrivateMapping, typeMappingV2,
	typeACL, typeClassicACL, typeSearchDomain, typeCertificate,
}

// A stack is what one template or plan makes.
type stack struct {
	file      string
	options   *Options
	declared  []*declared
	byID      map[string]*declared
	parents   map[string]any    // documents of APIs, by id
	made      map[string]string // of plans: APIs that are there already, by the service's id
	stages    []*stage          // REST stages
	byAPI     map[string][]*stage
	byName    map[string]*stage      // by what stands for a stage, "${Stage}"
	mappings  map[string][]*declared // of domain names, by the domain's id or name; "" of those that cannot be told
	compared  int                    // stages and domain names that were looked at for what may be theirs
	lost      string                 // what was not looked at, past the bound
	resources []*posture.Resource
	plan      bool // IDs are Terraform's addresses
}

// A stage is a REST stage with what tells it from others.
type stage struct {
	*declared
	api  value
	name value
	draft
	doc *apigateway.Stage
}

func (s *stack) add(d *declared) *declared {
	s.declared = append(s.declared, d)
	if s.byID == nil {
		s.byID = map[string]*declared{}
	}
	s.byID[d.id] = d
	return d
}

// resource begins the resource of a declaration.
func (s *stack) resource(d *declared, typ string, doc any) draft {
	id := d.shown
	if id == "" {
		id = d.id
	}
	if !s.plan {
		id = s.file + "#" + id
	}
	region := d.region
	if region == "" {
		region = s.options.Region
	}
	r := draft{&posture.Resource{Type: typ, ID: id, Region: region, Account: s.options.Account, Source: posture.File,
		Doc: doc, Location: location(s.file, d.line)}}
	for path, text := range d.remarks {
		r.remark(path, text)
	}
	for path, why := range d.settled {
		r.unknown(path, why)
	}
	switch d.props.kind {
	case unknown:
		r.unknown("", d.props.reason)
	case scalar, list:
		r.unknown("", "its properties are not an object")
	}
	s.resources = append(s.resources, r.Resource)
	return r
}

// assemble makes the resources of everything that was declared.
func (s *stack) assemble() {
	s.parents, s.byAPI, s.byName, s.mappings = map[string]any{}, map[string][]*stage{}, map[string]*stage{}, map[string][]*declared{}
	for _, d := range s.declared {
		switch d.typ {
		case typeRestAPI:
			s.parents[d.id] = restAPI(d)
		case typeAPI:
			s.parents[d.id] = s.api(d)
		case typeMapping, typePrivateMapping, typeMappingV2:
			s.mapping(d)
		}
	}
	for _, d := range s.declared {
		switch d.typ {
		case posture.TypeStage:
			s.stage(d, d.props)
		case typeDeployment:
			if name := d.props.get("StageName"); name.kind != absent {
				description := d.props.get("StageDescription")
				p := set("RestApiId", d.props.get("RestApiId"), "StageName", name)
				if description.kind == unknown {
					d.settled = map[string]string{"": description.reason}
				}
				for _, key := range description.keys {
					p.put(key, description.members[key])
				}
				s.stage(d, p)
			}
		case posture.TypeStageV2:
			s.stageV2(d)
		case posture.TypeRoute:
			s.route(d)
		case posture.TypeIntegration:
			s.integration(d)
		case posture.TypeDomainName, typePrivateDomain:
			s.domainName(d)
		case posture.TypeDomainNameV2:
			s.domainNameV2(d)
		case typeSearchDomain:
			s.searchDomain(d)
		case typeCertificate:
			s.certificate(d)
		}
	}
	for _, d := range s.declared {
		switch d.typ {
		case typeMethodSettings:
			s.methodSettings(d)
		case typeACL, typeClassicACL:
			s.associate(d)
		}
	}
	if s.lost != "" {
		for _, st := range s.stages {
			st.unknown("methodSettings", tooMany)
			st.unknown("webAclArn", tooMany)
		}
	}
}

const tooMany = "the file has too many resources of which it cannot be told what they belong to"

func restAPI(d *declared) *apigateway.RestApi {
	api := &apigateway.RestApi{}
	if types := d.props.get("EndpointConfiguration", "Types"); types.kind == list {
		api.EndpointConfiguration = &apigateway.EndpointConfiguration{}
		for _, t := range types.items {
			if t.known() {
				api.EndpointConfiguration.Types = append(api.EndpointConfiguration.Types, apigateway.EndpointType(t.text))
			}
		}
	}
	return api
}

// api is the document of a V2 API. One without a protocol type, which only an
// OpenAPI document may leave out, is an HTTP API.
func (s *stack) api(d *declared) *apigatewayv2.Api {
	api := &apigatewayv2.Api{ApiId: &d.id}
	switch p := d.props.get("ProtocolType"); {
	case p.known():
		api.ProtocolType = apigatewayv2.ProtocolType(strings.ToUpper(p.text))
	case p.kind == absent && (d.props.get("Body").kind != absent || d.props.get("BodyS3Location").kind != absent):
		api.ProtocolType = apigatewayv2.ProtocolTypeHttp
	}
	return api
}

// parent is the document of the API that a value names; nil when it is not
// in the stack.
func (s *stack) parent(id value) any {
	if id.of == "" || !slices.Contains([]string{"", "ApiId", "RestApiId", "Id", "id"}, id.attribute) {
		return nil
	}
	if p, ok := s.parents[id.of]; ok {
		return p
	}
	return nil
}

func (s *stack) stage(d *declared, p value) {
	doc := &apigateway.Stage{}
	r := s.resource(d, posture.TypeStage, doc)
	r.Parent = s.parent(p.get("RestApiId"))
	doc.StageName = r.text("stageName", p.get("StageName"))
	doc.ClientCertificateId = r.text("clientCertificateId", p.get("ClientCertificateId"))
	doc.TracingEnabled = r.flag("tracingEnabled", p.get("TracingEnabled"))
	doc.CacheClusterEnabled = r.flag("cacheClusterEnabled", p.get("CacheClusterEnabled"))
	doc.WebAclArn = r.text("webAclArn", p.get("WebAclArn")) // of plans: what was there before
	if to := p.get("AccessLogSetting"); r.has("accessLogSettings", to) {
		doc.AccessLogSettings = &apigateway.AccessLogSettings{
			DestinationArn: r.text("accessLogSettings.destinationArn", to.get("DestinationArn")),
			Format:         r.text("accessLogSettings.format", to.get("Format")),
		}
	}
	r.tags(p.get("Tags"))
	for _, m := range r.list("methodSettings", p.get("MethodSettings")) {
		setMethod(r, doc, keyOf(m.get("ResourcePath"), m.get("HttpMethod")), m)
	}
	// A stage description may name the settings of every method by themselves.
	if every := set("LoggingLevel", p.get("LoggingLevel"), "DataTraceEnabled", p.get("DataTraceEnabled"), "CachingEnabled", p.get("CachingEnabled"),
		"CacheDataEncrypted", p.get("CacheDataEncrypted"), "MetricsEnabled", p.get("MetricsEnabled")); d.typ == typeDeployment && len(every.keys) > 0 {
		setMethod(r, doc, word("*/*"), every)
	}
	st := &stage{declared: d, api: p.get("RestApiId"), name: p.get("StageName"), draft: r, doc: doc}
	s.stages = append(s.stages, st)
	key := s.apiKey(st.api)
	s.byAPI[key] = append(s.byAPI[key], st)
	s.byName["${"+d.id+"}"] = st
	for _, alias := range d.aliases {
		s.byName[alias] = st
	}
}

// keyOf is the service's name for a method: */*, or the path with its slashes
// as ~1, a slash and the method. Templates write /* and *, /pets/{id} or
// /~1pets~1{id}.
func keyOf(path, method value) value {
	for _, v := range []value{path, method} {
		if !v.known() || v.text == "" {
			return unsure("which method it is of is not known")
		}
	}
	return word(pathKey(path.text) + "/" + method.text)
}

func pathKey(path string) string {
	switch trimmed := strings.TrimPrefix(path, "/"); {
	case trimmed == "*":
		return trimmed
	case strings.HasPrefix(trimmed, "~1"):
		return strings.ReplaceAll(trimmed, "/", "~1")
	default:
		return "~1" + strings.ReplaceAll(trimmed, "/", "~1")
	}
}

// setMethod puts the setting of one method into a stage.
func setMethod(r draft, doc *apigateway.Stage, key, m value) {
	if !key.known() || m.kind != object && m.kind != unknown {
		r.unknown("methodSettings", cmp.Or(key.reason, "a setting is not an object"))
		return
	}
	if m.kind == unknown {
		r.unknown(posture.Entry("methodSettings", key.text, ""), m.reason)
	}
	at := func(member string) string { return posture.Entry("methodSettings", key.text, member) }
	if _, twice := doc.MethodSettings[key.text]; twice {
		r.unknown(at(""), "there are two settings for "+key.text)
		return
	}
	setting := apigateway.MethodSetting{
		CachingEnabled:     r.flag(at("cachingEnabled"), m.get("CachingEnabled")),
		CacheDataEncrypted: r.flag(at("cacheDataEncrypted"), m.get("CacheDataEncrypted")),
		DataTraceEnabled:   r.flag(at("dataTraceEnabled"), m.get("DataTraceEnabled")),
		MetricsEnabled:     r.flag(at("metricsEnabled"), m.get("MetricsEnabled")),
	}
	if level := r.choice(at("loggingLevel"), m.get("LoggingLevel")); level != "" {
		setting.LoggingLevel = &level
	}
	if doc.MethodSettings == nil {
		doc.MethodSettings = map[string]apigateway.MethodSetting{}
	}
	doc.MethodSettings[key.text] = setting
}

// methodSettings adds one of Terraform's aws_api_gateway_method_settings to the
// stage it is of, or to every stage that it may be of what it may be.
func (s *stack) methodSettings(d *declared) {
	api, name := d.props.get("RestApiId"), d.props.get("StageName")
	for _, st := range s.candidates(api, name) {
		switch s.isOf(st, api, name) {
		case yes:
			setting := d.props.get("Setting")
			if setting.kind == absent {
				continue
			}
			setMethod(st.draft, st.doc, d.props.get("Key"), setting)
		case maybe:
			st.unknown("methodSettings", d.id+" may be of this stage, which cannot be told")
		}
	}
}

var stageARN = regexp.MustCompile(`:apigateway:(?:\$\{[^}]*\}|[^:/]*)::/restapis/([^/]+)/stages/([^/]+)$`)

// otherARN is an ARN, however much of it is known, of another service.
var otherARN = regexp.MustCompile(`^arn:(?:\$\{AWS::Partition\}|[a-z-]+):(?:elasticloadbalancing|appsync|cognito-idp|apprunner|ec2|amplify):`)

// associate puts a web ACL before the stage that it is associated with.
func (s *stack) associate(d *declared) {
	target := d.props.get("ResourceArn")
	of := func(*stage) answer { return maybe }
	var candidates []*stage
	switch parts := stageARN.FindStringSubmatch(target.text); {
	case target.kind == absent:
		return
	case target.of != "":
		if st := s.named(target); st != nil {
			candidates = []*stage{st}
		}
		of = func(*stage) answer { return yes }
	case parts != nil:
		api, name := s.part(parts[1]), s.part(parts[2])
		candidates = s.candidates(api, name)
		of = func(st *stage) answer { return s.isOf(st, api, name) }
	case target.known(), otherARN.MatchString(target.text):
		return // of something else
	default:
		candidates = s.all()
	}
	acl := d.props.get("WebACLArn")
	if acl.kind == absent {
		acl = d.props.get("WebACLId")
	}
	for _, st := range candidates {
		switch a := of(st); {
		case a == no:
		case a == maybe:
			if aws.ToString(st.doc.WebAclArn) == "" {
				st.unknown("webAclArn", d.id+" may be of this stage, which cannot be told")
			}
		case d.doubt != "":
			st.unknown("webAclArn", d.id+": "+d.doubt)
		default:
			// An association has a web ACL, whichever it is.
			delete(st.Unknown, "webAclArn")
			arn := acl.text
			if arn == "" {
				arn = "${" + d.id + "}"
			}
			st.doc.WebAclArn = &arn
		}
	}
}

// part is a piece of an ARN, which may be a reference.
func (s *stack) part(text string) value {
	if name, ok := strings.CutPrefix(text, "${"); ok && strings.HasSuffix(name, "}") && !strings.Contains(name, "${") {
		name = strings.TrimSuffix(name, "}")
		resource, attribute, _ := strings.Cut(name, ".")
		if _, has := s.byID[name]; has {
			resource, attribute = name, ""
		}
		return value{kind: scalar, opaque: true, text: text, of: resource, attribute: attribute}
	}
	return value{kind: scalar, text: text, opaque: strings.Contains(text, "${"), of: s.made[text]}
}

// maxCompared bounds the work of finding out what belongs to what, where
// references leave that open.
const maxCompared = 2_000_000

// apiKey is alike for references to one API; "" where it cannot be told which.
func (s *stack) apiKey(id value) string {
	switch {
	case s.parent(id) != nil:
		return "${" + id.of + "}"
	case id.known():
		return id.text
	}
	return ""
}

// named is the stage that a reference names.
func (s *stack) named(name value) *stage {
	if name.of == "" {
		return nil
	}
	if st := s.byName["${"+name.of+"}"]; st != nil {
		return st
	}
	return s.byName[name.text]
}

// all are the stages, if they may still be looked at.
func (s *stack) all() []*stage {
	if s.compared += len(s.stages); s.compared > maxCompared {
		s.lost = "methodSettings and web ACLs"
		return nil
	}
	return s.stages
}

// candidates are the stages that an API and a stage's name may mean.
func (s *stack) candidates(api, name value) []*stage {
	if st := s.named(name); st != nil {
		return []*stage{st}
	}
	key := s.apiKey(api)
	if key == "" || !s.plan && !strings.HasPrefix(key, "$") {
		return s.all() // a template may name by its id what it makes
	}
	some := s.byAPI[key]
	if vague := s.byAPI[""]; len(vague) > 0 {
		some = slices.Concat(some, vague)
	}
	if s.compared += len(some); s.compared > maxCompared {
		s.lost = "methodSettings and web ACLs"
		return nil
	}
	return some
}

// isOf reports whether an API and the name of a stage mean st.
func (s *stack) isOf(st *stage, api, name value) answer {
	sameAPI := same(api, st.api)
	if sameAPI == maybe {
		a, b := s.parent(api) != nil, s.parent(st.api) != nil
		switch {
		case a && b:
			sameAPI = answerOf(api.of == st.api.of)
		case s.plan && (a && st.api.known() || b && api.known()):
			sameAPI = no // a plan knows the ids of its APIs, or makes them
		}
	}
	sameName := same(name, st.name)
	if sameName != yes {
		switch {
		case s.named(name) == st:
			return yes // whatever API is named, the stage is
		case s.named(name) != nil:
			return no
		}
	}
	return sameAPI.and(sameName)
}

func (s *stack) stageV2(d *declared) {
	p, doc := d.props, &apigatewayv2.Stage{}
	r := s.resource(d, posture.TypeStageV2, doc)
	r.Parent = s.parent(p.get("ApiId"))
	doc.StageName = r.text("stageName", p.get("StageName"))
	doc.ClientCertificateId = r.text("clientCertificateId", p.get("ClientCertificateId"))
	if to := p.get("AccessLogSettings"); r.has("accessLogSettings", to) {
		doc.AccessLogSettings = &apigatewayv2.AccessLogSettings{
			DestinationArn: r.text("accessLogSettings.destinationArn", to.get("DestinationArn")),
			Format:         r.text("accessLogSettings.format", to.get("Format")),
		}
	}
	if settings := p.get("DefaultRouteSettings"); r.has("defaultRouteSettings", settings) {
		doc.DefaultRouteSettings = routeSettings(r, "defaultRouteSettings", settings)
	}
	if settings := p.get("RouteSettings"); settings.kind == object {
		doc.RouteSettings = map[string]apigatewayv2.RouteSettings{}
		for _, key := range settings.keys {
			if of := settings.members[key]; of.kind == object {
				doc.RouteSettings[key] = *routeSettings(r, posture.Entry("routeSettings", key, ""), of)
			}
		}
	}
	r.tags(p.get("Tags"))
}

func routeSettings(r draft, path string, v value) *apigatewayv2.RouteSettings {
	return &apigatewayv2.RouteSettings{
		LoggingLevel:           apigatewayv2.LoggingLevel(r.choice(path+".loggingLevel", v.get("LoggingLevel"))),
		DataTraceEnabled:       r.optionalFlag(path+".dataTraceEnabled", v.get("DataTraceEnabled")),
		DetailedMetricsEnabled: r.optionalFlag(path+".detailedMetricsEnabled", v.get("DetailedMetricsEnabled")),
	}
}

func (s *stack) route(d *declared) {
	p, doc := d.props, &apigatewayv2.Route{}
	r := s.resource(d, posture.TypeRoute, doc)
	r.Parent = s.parent(p.get("ApiId"))
	if key := r.choice("routeKey", p.get("RouteKey")); key != "" {
		doc.RouteKey = &key
	}
	doc.AuthorizationType = apigatewayv2.AuthorizationType(r.choice("authorizationType", p.get("AuthorizationType")))
	doc.AuthorizerId = r.text("authorizerId", p.get("AuthorizerId"))
	doc.Target = r.text("target", p.get("Target"))
}

func (s *stack) integration(d *declared) {
	p, doc := d.props, &apigatewayv2.Integration{}
	r := s.resource(d, posture.TypeIntegration, doc)
	r.Parent = s.parent(p.get("ApiId"))
	doc.ConnectionType = apigatewayv2.ConnectionType(r.choice("connectionType", p.get("ConnectionType")))
	doc.ConnectionId = r.text("connectionId", p.get("ConnectionId"))
	doc.IntegrationType = apigatewayv2.IntegrationType(r.choice("integrationType", p.get("IntegrationType")))
	doc.IntegrationUri = r.text("integrationUri", p.get("IntegrationUri"))
	if c := p.get("TlsConfig"); r.has("tlsConfig", c) {
		doc.TlsConfig = &apigatewayv2.TlsConfig{ServerNameToVerify: r.text("tlsConfig.serverNameToVerify", c.get("ServerNameToVerify"))}
	}
}

func (s *stack) domainName(d *declared) {
	p, doc := d.props, &apigateway.DomainName{}
	r := s.resource(d, posture.TypeDomainName, doc)
	doc.DomainName = s.host(r, "domainName", p.get("DomainName"))
	doc.SecurityPolicy = apigateway.SecurityPolicy(r.choice("securityPolicy", p.get("SecurityPolicy")))
	doc.EndpointAccessMode = apigateway.EndpointAccessMode(r.choice("endpointAccessMode", p.get("EndpointAccessMode")))
	endpoint := p.get("EndpointConfiguration")
	if d.typ == typePrivateDomain && endpoint.kind == absent {
		endpoint = set("Types", value{kind: list, items: []value{word("PRIVATE")}})
	}
	if r.has("endpointConfiguration", endpoint) {
		doc.EndpointConfiguration = &apigateway.EndpointConfiguration{}
		for _, t := range r.words("endpointConfiguration.types", endpoint.get("Types")) {
			doc.EndpointConfiguration.Types = append(doc.EndpointConfiguration.Types, apigateway.EndpointType(t))
		}
	}
	if m := p.get("MutualTlsAuthentication"); r.has("mutualTlsAuthentication", m) {
		doc.MutualTlsAuthentication = &apigateway.MutualTlsAuthentication{TruststoreUri: r.text("mutualTlsAuthentication", m.get("TruststoreUri"))}
	}
	r.tags(p.get("Tags"))
	s.relate(r, d)
}

func (s *stack) domainNameV2(d *declared) {
	p, doc := d.props, &apigatewayv2.DomainName{}
	r := s.resource(d, posture.TypeDomainNameV2, doc)
	doc.DomainName = s.host(r, "domainName", p.get("DomainName"))
	for i, c := range r.list("domainNameConfigurations", p.get("DomainNameConfigurations")) {
		path := posture.Entry("domainNameConfigurations", fmt.Sprint(i), "")
		if !r.has(path, c) {
			c = value{kind: object}
		}
		doc.DomainNameConfigurations = append(doc.DomainNameConfigurations, apigatewayv2.DomainNameConfiguration{
			EndpointType:   apigatewayv2.EndpointType(r.choice(path+".endpointType", c.get("EndpointType"))),
			SecurityPolicy: apigatewayv2.SecurityPolicy(r.choice(path+".securityPolicy", c.get("SecurityPolicy"))),
		})
	}
	if _, not := r.Unknown["domainNameConfigurations"]; not {
		// The control reads a document without any as one of defaults.
		r.unknown(posture.Entry("domainNameConfigurations", "0", ""), r.Unknown["domainNameConfigurations"])
	}
	if m := p.get("MutualTlsAuthentication"); r.has("mutualTlsAuthentication", m) {
		doc.MutualTlsAuthentication = &apigatewayv2.MutualTlsAuthentication{TruststoreUri: r.text("mutualTlsAuthentication", m.get("TruststoreUri"))}
	}
	r.tags(p.get("Tags"))
	s.relate(r, d)
}

// host is a name that will be asked for, so one that is not known in full is
// none.
func (s *stack) host(r draft, path string, v value) *string {
	if name := r.choice(path, v); name != "" {
		return &name
	}
	return nil
}

// mapped are the domain name and the API of a mapping.
func mapped(m *declared) (name, api value) {
	if name = m.props.get("DomainName"); name.kind == absent {
		name = m.props.get("DomainNameArn")
	}
	if m.typ == typeMappingV2 {
		return name, m.props.get("ApiId")
	}
	return name, m.props.get("RestApiId")
}

// mapping files a mapping under its domain name.
func (s *stack) mapping(m *declared) {
	key := ""
	switch name, _ := mapped(m); {
	case name.of != "" && s.byID[name.of] != nil:
		key = "${" + name.of + "}"
	case name.known():
		key = name.text
	}
	s.mappings[key] = append(s.mappings[key], m)
}

// relate finds the APIs that are mapped to a domain name. Whether others are,
// in other stacks, no template can tell.
func (s *stack) relate(r draft, d *declared) {
	if s.compared > maxCompared {
		r.unknown("mappings", tooMany)
		return
	}
	of := slices.Concat(s.mappings["${"+d.id+"}"], s.mappings[""])
	if name := d.props.get("DomainName"); name.known() {
		of = slices.Concat(of, s.mappings[name.text])
	}
	for _, alias := range d.aliases {
		of = slices.Concat(of, s.mappings[alias])
	}
	if s.compared += len(of); s.compared > maxCompared {
		s.lost = "mappings"
		r.unknown("mappings", tooMany)
		return
	}
	for _, m := range of {
		name, api := mapped(m)
		var of answer
		if of = same(name, d.props.get("DomainName")); name.of == d.id || slices.Contains(d.aliases, name.text) {
			of = yes
		}
		parent := s.parent(api)
		switch {
		case of == no:
		case of == maybe, m.doubt != "":
			r.unknown("mappings", m.id+" may be of this domain name, which cannot be told")
		case parent == nil && m.typ == typeMappingV2:
			r.unknown("mappings", m.id+" maps an API that is not declared here")
		case parent != nil && !slices.Contains(r.Related, parent):
			r.Related = append(r.Related, parent)
		}
	}
	if slices.ContainsFunc(r.Related, func(doc any) bool {
		api, ok := doc.(*apigatewayv2.Api)
		return ok && api.ProtocolType != ""
	}) {
		delete(r.Unknown, "mappings") // one is enough to know
	}
}

func (s *stack) searchDomain(d *declared) {
	p, doc := d.props, &opensearch.DomainStatus{}
	r := s.resource(d, posture.TypeSearchDomain, doc)
	doc.DomainName = r.text("DomainName", p.get("DomainName"))
	if o := p.get("DomainEndpointOptions"); r.has("DomainEndpointOptions", o) {
		doc.DomainEndpointOptions = &opensearch.DomainEndpointOptions{
			EnforceHTTPS:          r.optionalFlag("DomainEndpointOptions.EnforceHTTPS", o.get("EnforceHTTPS")),
			TLSSecurityPolicy:     opensearch.TLSSecurityPolicy(r.choice("DomainEndpointOptions.TLSSecurityPolicy", o.get("TLSSecurityPolicy"))),
			CustomEndpointEnabled: r.optionalFlag("DomainEndpointOptions.CustomEndpointEnabled", o.get("CustomEndpointEnabled")),
			CustomEndpoint:        s.host(r, "DomainEndpointOptions.CustomEndpoint", o.get("CustomEndpoint")),
		}
	}
	if o := p.get("NodeToNodeEncryptionOptions"); r.has("NodeToNodeEncryptionOptions", o) {
		doc.NodeToNodeEncryptionOptions = &opensearch.NodeToNodeEncryptionOptions{
			Enabled: r.optionalFlag("NodeToNodeEncryptionOptions.Enabled", o.get("Enabled")),
		}
	}
	r.tags(p.get("Tags"))
}

func (s *stack) certificate(d *declared) {
	p, doc := d.props, &acm.CertificateDetail{}
	r := s.resource(d, posture.TypeCertificate, doc)
	doc.DomainName = s.host(r, "DomainName", p.get("DomainName"))
	doc.KeyAlgorithm = acm.KeyAlgorithm(r.choice("KeyAlgorithm", p.get("KeyAlgorithm")))
	// Of plans, which know certificates that are there already.
	if status := p.get("Status"); status.known() {
		doc.Status = acm.CertificateStatus(status.text)
	}
	if until := p.get("NotAfter"); until.known() && until.text != "" {
		if at, err := time.Parse(time.RFC3339, until.text); err == nil {
			doc.NotAfter = &at
		}
	}
	r.tags(p.get("Tags"))
}

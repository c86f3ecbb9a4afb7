package template

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// What SAM calls the APIs that it makes for events which name none.
//
// Source: SAM specification, generated CloudFormation resources.
const (
	implicitREST = "ServerlessRestApi"
	implicitHTTP = "ServerlessHttpApi"
)

const (
	noCertificate = "AWS::Serverless::Api has no property for a client certificate: no template of that type passes. Declare the stage as AWS::ApiGateway::Stage, or set the certificate after each deployment."
	secondStage   = "SAM makes this stage, named Stage, beside the one that the template names, unless OpenApiVersion is set. No line of the template mentions it."
)

// A serverless expands SAM's resources into those of CloudFormation.
type serverless struct {
	*stack
	e       *evaluator
	globals value
	apis    map[string]value // properties of HTTP APIs, Globals merged in, by id
}

// A resource of SAM, as its template has it.
type samResource struct {
	id, typ string
	n       *node
}

// samNames tells the evaluator the names by which a template may refer to what
// SAM makes.
func samNames(e *evaluator, globals value, resources []samResource) {
	for _, name := range []string{implicitREST, implicitHTTP, implicitREST + "ProdStage", implicitREST + ".Stage", implicitHTTP + "ApiGatewayDefaultStage", implicitHTTP + ".Stage"} {
		e.names[name] = e.resources.member(name) == nil
	}
	for _, r := range resources {
		switch r.typ {
		case "AWS::Serverless::Api":
			e.names[restStageName(r.id, merge(globals.get("Api"), properties(e, r.n)).get("StageName"))] = true
		case "AWS::Serverless::HttpApi":
			e.names[httpStageName(r.id, merge(globals.get("HttpApi"), properties(e, r.n)).get("StageName"))] = true
		}
	}
}

// restStageName is the logical ID that SAM gives a stage.
func restStageName(api string, stage value) string {
	if stage.known() && !strings.ContainsFunc(stage.text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return api + stage.text + "Stage"
	}
	return api + "Stage"
}

func httpStageName(api string, stage value) string {
	if stage.kind == absent || stage.known() && stage.text == "$default" {
		return api + "ApiGatewayDefaultStage"
	}
	return restStageName(api, stage)
}

// merge puts a resource's properties over those of Globals.
//
// Source: SAM specification, Globals: maps are merged, lists are appended, what
// is neither is replaced.
func merge(global, own value) value {
	switch {
	case global.kind == absent:
		return own
	case own.kind == absent:
		return global
	case global.kind == object && own.kind == object:
		v := value{kind: object, members: map[string]value{}, line: own.line}
		for _, key := range global.keys {
			v.put(key, merge(global.members[key], own.members[key]))
		}
		for _, key := range own.keys {
			if _, has := v.members[key]; !has {
				v.put(key, own.members[key])
			}
		}
		return v
	case global.kind == list && own.kind == list:
		return value{kind: list, line: own.line, items: slices.Concat(global.items, own.items)}
	case global.kind == unknown && (own.kind == object || own.kind == list):
		return unsure("%s", cmp.Or(global.reason, "Globals are not known"))
	}
	return own
}

// expand declares what SAM makes of its resources.
func (s *stack) expand(r *reader, e *evaluator, globals value, resources []samResource) {
	x := &serverless{stack: s, e: e, globals: globals, apis: map[string]value{}}
	if globals.kind == unknown {
		r.problem(s.file, globals.line, "Globals are not known: %s", globals.reason)
	}
	for _, res := range resources {
		doubt := e.doubt(res.n)
		switch res.typ {
		case "AWS::Serverless::Api":
			x.rest(res.id, merge(globals.get("Api"), properties(e, res.n)), res.n.line, doubt)
		case "AWS::Serverless::HttpApi":
			x.http(res.id, merge(globals.get("HttpApi"), properties(e, res.n)), res.n.line, doubt)
		case "AWS::Serverless::WebSocketApi":
			r.problem(s.file, res.n.line, "%s is of type %s: it is not judged", res.id, res.typ)
		}
	}
	// Events come when all the APIs that they may name are there.
	for _, res := range resources {
		if res.typ != "AWS::Serverless::Function" && res.typ != "AWS::Serverless::StateMachine" {
			continue
		}
		events := properties(e, res.n).get("Events")
		if events.kind == unknown {
			r.problem(s.file, res.n.line, "the events of %s are not known: %s", res.id, events.reason)
		}
		for _, name := range events.keys {
			x.event(events.members[name], cmp.Or(events.members[name].line, res.n.line), e.doubt(res.n))
		}
	}
}

// endpoint is an EndpointConfiguration as SAM takes it: a type, or an object
// with one.
func endpoint(v value, otherwise string) value {
	if v.kind == object {
		v = v.get("Type")
	}
	if v.kind == absent {
		if otherwise == "" {
			return v
		}
		v = word(otherwise)
	}
	return set("Types", value{kind: list, items: []value{v}})
}

// rest declares an AWS::Serverless::Api.
func (x *serverless) rest(id string, p value, line int, doubt string) {
	if p.kind != object {
		p = unsure("%s", cmp.Or(p.reason, "its properties are not an object"))
	}
	api := reference(id, "", "it is known after deployment: "+id)
	x.add(&declared{id: id, typ: typeRestAPI, line: line, doubt: doubt, props: set("EndpointConfiguration", endpoint(p.get("EndpointConfiguration"), ""))})
	stage := set("RestApiId", api)
	for _, name := range []string{"StageName", "TracingEnabled", "MethodSettings", "CacheClusterEnabled", "AccessLogSetting", "Tags"} {
		stage.put(name, p.get(name))
	}
	d := &declared{id: id + ".Stage", shown: id, typ: posture.TypeStage, props: stage, line: line, doubt: doubt,
		aliases: []string{"${" + id + ".Stage}", "${" + restStageName(id, p.get("StageName")) + "}"},
		remarks: map[string]string{"clientCertificateId": noCertificate}}
	x.add(d)
	if version := p.get("OpenApiVersion"); version.kind == absent || version.kind == unknown {
		d := &declared{id: id + ".Deployment", typ: posture.TypeStage, line: line, doubt: doubt,
			props: set("RestApiId", api, "StageName", word("Stage")), remarks: map[string]string{"": secondStage}}
		if version.kind == unknown {
			d.settled = map[string]string{"": "SAM makes it unless OpenApiVersion is set, which is not known: " + version.reason}
		}
		x.add(d)
	}
	if domain := p.get("Domain"); domain.kind != absent {
		props := set("DomainName", domain.get("DomainName"), "SecurityPolicy", domain.get("SecurityPolicy"), "EndpointAccessMode", domain.get("EndpointAccessMode"),
			"MutualTlsAuthentication", domain.get("MutualTlsAuthentication"), "EndpointConfiguration", endpoint(domain.get("EndpointConfiguration"), "REGIONAL"))
		x.add(&declared{id: id + ".DomainName", typ: posture.TypeDomainName, props: props, line: cmp.Or(domain.line, line), doubt: doubt})
		x.add(&declared{id: id + ".BasePathMapping", typ: typeMapping, props: set("RestApiId", api, "DomainName", reference(id+".DomainName", "", "")), line: line})
	}
}

// http declares an AWS::Serverless::HttpApi.
func (x *serverless) http(id string, p value, line int, doubt string) {
	if p.kind != object {
		p = unsure("%s", cmp.Or(p.reason, "its properties are not an object"))
	}
	x.apis[id] = p
	api := reference(id, "", "it is known after deployment: "+id)
	d := &declared{id: id, typ: typeAPI, line: line, doubt: doubt, props: set("ProtocolType", word("HTTP"), "Body", p.get("DefinitionBody"))}
	if from := p.get("DefinitionUri"); from.kind != absent && p.get("DefinitionBody").kind == absent {
		body := x.local(from)
		if body.kind == unknown {
			body = unsure("the API's OpenAPI document is at DefinitionUri, which is not read: %s", body.reason)
		}
		d.props.put("Body", body)
	}
	x.add(d)
	name := p.get("StageName")
	if name.kind == absent {
		name = word("$default")
	}
	stage := set("ApiId", api, "StageName", name)
	for _, name := range []string{"AccessLogSettings", "DefaultRouteSettings", "RouteSettings", "Tags"} {
		stage.put(name, p.get(name))
	}
	x.add(&declared{id: id + ".Stage", shown: id, typ: posture.TypeStageV2, props: stage, line: line, doubt: doubt,
		aliases: []string{"${" + id + ".Stage}", "${" + httpStageName(id, p.get("StageName")) + "}"}})
	if domain := p.get("Domain"); domain.kind != absent {
		kind := domain.get("EndpointConfiguration")
		if kind.kind == object {
			kind = kind.get("Type")
		}
		c := set("EndpointType", kind, "SecurityPolicy", domain.get("SecurityPolicy"))
		props := set("DomainName", domain.get("DomainName"), "MutualTlsAuthentication", domain.get("MutualTlsAuthentication"),
			"DomainNameConfigurations", value{kind: list, items: []value{c}})
		x.add(&declared{id: id + ".DomainName", typ: posture.TypeDomainNameV2, props: props, line: cmp.Or(domain.line, line), doubt: doubt})
		x.add(&declared{id: id + ".ApiMapping", typ: typeMappingV2, props: set("ApiId", api, "DomainName", reference(id+".DomainName", "", "")), line: line})
	}
	x.openAPI(d)
	x.defaults(id, p)
}

// defaults notes which routes of an OpenAPI document SAM may attach the API's
// default authorizer to.
func (x *serverless) defaults(id string, p value) {
	if p.get("Auth", "DefaultAuthorizer").kind == absent {
		return
	}
	for _, d := range x.declared {
		if t := d.props.get("AuthorizationType"); d.typ == posture.TypeRoute && d.props.get("ApiId").of == id && t.known() && t.text == "NONE" {
			d.props.put("AuthorizationType", unsure("SAM may attach the API's default authorizer to it"))
		}
	}
}

// event declares the route of an event, and the API that SAM makes for events
// which name none.
func (x *serverless) event(event value, line int, doubt string) {
	typ, p := event.get("Type"), event.get("Properties")
	switch {
	case typ.known() && typ.text == "Api" && p.get("RestApiId").kind == absent:
		if x.byID[implicitREST] == nil {
			x.rest(implicitREST, merge(x.globals.get("Api"), set("StageName", word("Prod"))), line, doubt)
		}
	case typ.known() && typ.text == "HttpApi":
		api := p.get("ApiId")
		if api.kind == absent {
			if x.byID[implicitHTTP] == nil {
				x.http(implicitHTTP, merge(x.globals.get("HttpApi"), set()), line, doubt)
			}
			api = reference(implicitHTTP, "", "it is known after deployment: "+implicitHTTP)
		}
		key := eventKey(p)
		id := cmp.Or(api.of, "?") + "[" + cmp.Or(key.text, "?") + "]"
		if x.byID[id+" "+posture.TypeRoute] != nil {
			return // the OpenAPI document has it
		}
		x.add(&declared{id: id + " " + posture.TypeRoute, shown: id, typ: posture.TypeRoute, line: line, doubt: doubt,
			props: set("ApiId", api, "RouteKey", key, "AuthorizationType", x.authorization(x.apis[api.of], p))})
		x.add(&declared{id: id + " " + posture.TypeIntegration, shown: id, typ: posture.TypeIntegration, line: line, doubt: doubt,
			props: set("ApiId", api, "IntegrationType", word("AWS_PROXY"))})
	}
}

func eventKey(p value) value {
	path, method := p.get("Path"), p.get("Method")
	if path.kind == absent && method.kind == absent {
		return word("$default")
	}
	if !path.known() || !method.known() {
		return unsure("%s", cmp.Or(path.reason, method.reason, "the event has a path without a method, or a method without a path"))
	}
	key, ok := routeKey(path.text, method.text)
	if !ok && (strings.EqualFold(method.text, "any") || method.text == "*") {
		key, ok = routeKey(path.text, "x-amazon-apigateway-any-method")
	}
	if !ok {
		return unsure("the event's method %q is none", method.text)
	}
	return word(key)
}

// authorization is the authorization type that SAM gives an event's route.
//
// Source: SAM specification, HttpApiFunctionAuth and HttpApiAuth.
func (x *serverless) authorization(api, event value) value {
	name := event.get("Auth", "Authorizer")
	if name.kind == absent {
		name = api.get("Auth", "DefaultAuthorizer")
	}
	switch {
	case name.kind == absent || name.known() && strings.EqualFold(name.text, "NONE"):
		return word("NONE")
	case !name.known():
		return unsure("%s", cmp.Or(name.reason, "the authorizer's name is not known"))
	case name.text == "AWS_IAM":
		return word("AWS_IAM")
	}
	switch authorizer := api.get("Auth", "Authorizers", name.text); {
	case authorizer.get("FunctionArn").kind != absent && authorizer.kind == object:
		return word("CUSTOM")
	case authorizer.kind == object && (authorizer.get("JwtConfiguration").kind != absent || authorizer.get("OpenIdConnectUrl").kind != absent):
		return word("JWT")
	default:
		return unsure("%s", cmp.Or(authorizer.reason, "authorizer "+name.text+" is not declared on the API"))
	}
}

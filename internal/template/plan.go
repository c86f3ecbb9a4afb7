package template

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/sallyport/sallyport/internal/posture"
)

// Bounds of a plan: its size is that of any file.
const (
	maxPlanValues = 8_000_000
	maxPlanDepth  = 96
	maxPlanWork   = 16 * maxFile // real plans are some ten levels deep on average
)

// looksLikePlan tells what `terraform show -json` writes from other JSON.
func looksLikePlan(data []byte) bool {
	trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff")
	return len(trimmed) > 0 && trimmed[0] == '{' && bytes.Contains(data, []byte(`"format_version"`)) &&
		(bytes.Contains(data, []byte(`"planned_values"`)) || bytes.Contains(data, []byte(`"resource_changes"`)) || bytes.Contains(data, []byte(`"terraform_version"`)))
}

// bounded refuses JSON that would cost more to decode than it can be worth.
func bounded(data []byte) error {
	depth, values, quoted := 0, 0, false
	work := 0 // bytes, each as often as it is deep: the library reads expressions anew at each level
	for i := 0; i < len(data); i++ {
		work += depth
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxPlanDepth {
				return fmt.Errorf("it is nested more than %d levels deep", maxPlanDepth)
			}
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
	}
	if work > maxPlanWork {
		return errors.New("it is too deep for its size")
	}
	if values > maxPlanValues {
		return fmt.Errorf("it has more than %d values", maxPlanValues)
	}
	return nil
}

// plan reads a Terraform plan.
func (r *reader) plan(file string, data []byte, named bool) {
	data = bytes.TrimPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("\ufeff"))
	if err := bounded(data); err != nil {
		r.problem(file, 0, "%v", err)
		return
	}
	// What the library leaves out.
	var state struct {
		Values  *json.RawMessage `json:"values"`
		Planned *json.RawMessage `json:"planned_values"`
		Errored bool             `json:"errored"`
	}
	var p tfjson.Plan
	err := json.Unmarshal(data, &state)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		r.problem(file, 1+bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n")), "it cannot be read: %v", err)
		return
	case err != nil:
		r.problem(file, 0, "it cannot be read as a Terraform plan: %v", err)
		return
	case state.Planned == nil && state.Values != nil:
		r.problem(file, 0, "it is a state of Terraform, not a plan: give what `terraform show -json PLAN` writes")
		return
	case p.PlannedValues == nil || p.PlannedValues.RootModule == nil:
		if named || len(p.ResourceChanges) > 0 {
			r.problem(file, 0, "the plan has no planned values: nothing in it is judged")
		}
		return
	}
	if state.Errored {
		r.problem(file, 0, "the plan ended with an error: what it did not come to is not judged")
	} else if p.Complete != nil && !*p.Complete {
		r.problem(file, 0, "the plan is not complete: Terraform deferred some of it, which is not judged")
	}

	t := &terraform{plan: &p, stack: &stack{file: file, options: r.options, plan: true}, changes: map[string]*tfjson.Change{},
		byAddress: map[string]*instance{}, instances: map[string][]string{}, scopes: map[string]*scope{}}
	for _, c := range p.ResourceChanges {
		if c == nil || c.Change == nil || c.Mode == tfjson.DataResourceMode || c.DeposedKey != "" {
			continue
		}
		t.changes[c.Address] = c.Change
		if c.Change.Actions.Delete() || c.Change.Actions.Replace() {
			t.remove(c)
		}
	}
	root := &scope{}
	if p.Config != nil {
		root.config = p.Config.RootModule
	}
	t.walk(p.PlannedValues.RootModule, root)
	for _, i := range t.order {
		t.declare(i)
		if len(t.declared) > maxResources {
			r.problem(file, 0, "there are more than %d resources; the others are not judged", maxResources)
			break
		}
	}
	for _, d := range slices.Clone(t.declared) {
		if d.typ == typeAPI {
			t.quickCreate(d)
			t.openAPI(d)
		}
	}
	t.identify()
	t.assemble()
	if t.lost != "" {
		r.problem(file, 0, "%s: what is not known of them is unknown", tooMany)
	}
	for _, text := range t.notes(named) {
		r.problem(file, 0, "%s", text)
	}
	r.found.Resources = append(r.found.Resources, t.resources...)
	r.plans = append(r.plans, plan{file, t.resources})
}

// A scope is an instance of a module.
type scope struct {
	address string // "" of the root
	key     string // ["one"], [0] or ""
	parent  *scope
	config  *tfjson.ConfigModule
	call    *tfjson.ModuleCall
}

// within is an address in the scope.
func (s *scope) within(address string) string {
	if s.address == "" {
		return address
	}
	return s.address + "." + address
}

// An instance is a resource of the plan.
type instance struct {
	*tfjson.StateResource
	scope  *scope
	config *tfjson.ConfigResource // nil: not known
	key    string                 // ["one"], [0] or ""
	change *tfjson.Change
	made   bool // it is created, whether or not it replaces another
}

type terraform struct {
	*stack
	plan      *tfjson.Plan
	changes   map[string]*tfjson.Change
	order     []*instance
	byAddress map[string]*instance
	instances map[string][]string // addresses, by that without the key
	scopes    map[string]*scope
	calls     map[string][]*scope // module instances, by the address without the key
	foreign   []string            // providers that were passed over
	ours      int                 // resources of the AWS provider
	gone      map[string]bool     // ARNs whose association with a web ACL is removed
}

// remove notes what the plan takes away that others' attributes still show.
func (t *terraform) remove(c *tfjson.ResourceChange) {
	if c.Type != "aws_wafv2_web_acl_association" && c.Type != "aws_wafregional_web_acl_association" {
		return
	}
	if before, ok := c.Change.Before.(map[string]any); ok {
		if arn, ok := before["resource_arn"].(string); ok && arn != "" {
			if t.gone == nil {
				t.gone = map[string]bool{}
			}
			t.gone[arn] = true
		}
	}
}

func (t *terraform) walk(m *tfjson.StateModule, s *scope) {
	configs := map[string]*tfjson.ConfigResource{}
	if s.config != nil {
		for _, c := range s.config.Resources {
			if c != nil {
				configs[c.Address] = c
			}
		}
	}
	for _, r := range m.Resources {
		if r == nil || r.Mode == tfjson.DataResourceMode || r.DeposedKey != "" {
			continue
		}
		base := r.Type + "." + r.Name
		i := &instance{StateResource: r, scope: s, config: configs[base], change: t.changes[r.Address]}
		i.key = strings.TrimPrefix(r.Address, s.within(base))
		i.made = i.change != nil && (i.change.Actions.Create() || i.change.Actions.Replace())
		t.order = append(t.order, i)
		t.byAddress[r.Address] = i
		t.instances[s.within(base)] = append(t.instances[s.within(base)], r.Address)
	}
	for _, child := range m.ChildModules {
		if child == nil {
			continue
		}
		name, key := moduleName(strings.TrimPrefix(strings.TrimPrefix(child.Address, s.address), "."))
		c := &scope{address: child.Address, key: key, parent: s}
		if s.config != nil {
			if c.call = s.config.ModuleCalls[name]; c.call != nil {
				c.config = c.call.Module
			}
		}
		t.scopes[child.Address] = c
		if t.calls == nil {
			t.calls = map[string][]*scope{}
		}
		t.calls[s.within("module."+name)] = append(t.calls[s.within("module."+name)], c)
		t.walk(child, c)
	}
}

// moduleName takes module.name["key"] apart.
func moduleName(address string) (name, key string) {
	name = strings.TrimPrefix(address, "module.")
	if at := strings.IndexByte(name, '['); at >= 0 {
		return name[:at], name[at:]
	}
	return name, ""
}

// notes are what a reader of the report must know of the plan as a whole.
func (t *terraform) notes(named bool) []string {
	var texts []string
	slices.Sort(t.foreign)
	for _, provider := range slices.Compact(t.foreign) {
		if t.ours == 0 && named || strings.HasSuffix(provider, "/awscc") {
			texts = append(texts, "resources of provider "+provider+" are not judged")
		}
	}
	return texts
}

// A follow is where a reference leads: a resource of the plan and one of its
// attributes.
type follow struct{ address, attribute string }

// target follows an expression's references to the one resource they name. It
// answers false when there are several, or none, or the configuration does not
// say: what locals are made of is not in a plan.
func (t *terraform) target(s *scope, key string, e *tfjson.Expression, depth int) (follow, bool) {
	if e == nil || e.ExpressionData == nil || len(e.References) == 0 || depth > maxPlanDepth || s == nil {
		return follow{}, false
	}
	// The longest of those that begin alike says all that they say.
	var longest string
	indexed := false
	for _, ref := range e.References {
		switch {
		case ref == "each.key" || ref == "count.index":
			indexed = true
		case strings.HasPrefix(longest, ref):
		case strings.HasPrefix(ref, longest):
			longest = ref
		default:
			return follow{}, false
		}
	}
	if !indexed {
		key = ""
	}
	head, rest, _ := strings.Cut(longest, ".")
	switch head {
	case "var":
		name, _, _ := strings.Cut(rest, ".")
		if s.call == nil {
			return follow{}, false
		}
		return t.target(s.parent, s.key, s.call.Expressions[name], depth+1)
	case "module":
		name, rest, ok := cutName(rest)
		if !ok || s.config == nil {
			return follow{}, false
		}
		var child *scope
		for _, c := range t.calls[s.within("module."+name)] {
			if k, _ := cutKey(rest); k == c.key || k == "" && (key == c.key || len(t.calls[s.within("module."+name)]) == 1) {
				child = c
			}
		}
		_, rest = cutKey(rest)
		output, _, _ := strings.Cut(strings.TrimPrefix(rest, "."), ".")
		if child == nil || child.config == nil || child.config.Outputs[output] == nil {
			return follow{}, false
		}
		return t.target(child, "", child.config.Outputs[output].Expression, depth+1)
	case "", "local", "data", "each", "count", "path", "terraform", "self":
		return follow{}, false
	}
	name, rest, _ := cutName(rest)
	base := s.within(head + "." + name)
	named, rest := cutKey(rest)
	attribute, _, _ := strings.Cut(strings.TrimPrefix(rest, "."), ".")
	for _, k := range []string{named, key} {
		if slices.Contains(t.instances[base], base+k) {
			return follow{base + k, attribute}, true
		}
	}
	if made := t.instances[base]; len(made) == 1 && named == "" {
		return follow{made[0], attribute}, true
	}
	return follow{}, false
}

// cutName cuts a name from what follows it.
func cutName(s string) (name, rest string, ok bool) {
	if at := strings.IndexAny(s, ".["); at >= 0 {
		return s[:at], s[at:], true
	}
	return s, "", s != ""
}

// cutKey cuts ["key"] or [0] from the front.
func cutKey(s string) (key, rest string) {
	if !strings.HasPrefix(s, "[") {
		return "", s
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ']' && !quoted:
			return s[:i+1], s[i+1:]
		}
	}
	return "", s
}

// blocks are the attributes that are nested blocks in the configuration. One
// that is not in it may be dynamic: what dynamic blocks hold is not in a plan.
var blocks = []string{"settings", "endpoint_configuration", "domain_endpoint_options", "node_to_node_encryption", "default_route_settings",
	"access_log_settings", "mutual_tls_authentication", "tls_config", "domain_name_configuration"}

// given are attributes that a resource never has empty once it is made.
var given = []string{"id", "arn", "stage_name", "domain_name", "name"}

// get is an attribute of the instance. One that will be known after apply is
// unknown, or the reference that it is; one that the service fills in because
// the configuration leaves it out is absent, as it is in a template.
func (t *terraform) get(i *instance, name string) value {
	var unknowns map[string]any
	if i.change != nil {
		unknowns, _ = i.change.AfterUnknown.(map[string]any)
	}
	var expressions map[string]*tfjson.Expression
	if i.config != nil {
		expressions = i.config.Expressions
		if expressions == nil {
			expressions = map[string]*tfjson.Expression{}
		}
	}
	return t.value(i, name, i.AttributeValues[name], unknowns[name], expressions)
}

func (t *terraform) value(i *instance, name string, known, after any, expressions map[string]*tfjson.Expression) value {
	e := expressions[name]
	if after == true {
		switch {
		case e == nil && expressions != nil && i.made && !slices.Contains(blocks, name):
			return value{}
		case e == nil && expressions != nil && i.made:
			return unsure("it is known after apply: %s is left to the service or to a dynamic block", name)
		}
		to, ok := t.target(i.scope, i.key, e, 0)
		if !ok {
			return unsure("it is known after apply%s", references(e))
		}
		v := reference(to.address, to.attribute, "it is known after apply: "+to.address+"."+to.attribute)
		if !slices.Contains(given, to.attribute) {
			v.kind, v.opaque = unknown, false
		}
		return v
	}
	return t.convert(i, known, after, e)
}

func references(e *tfjson.Expression) string {
	if e == nil || e.ExpressionData == nil || len(e.References) == 0 {
		return ""
	}
	return ": " + e.References[0]
}

func (t *terraform) convert(i *instance, known, after any, e *tfjson.Expression) value {
	switch k := known.(type) {
	case string:
		return word(k)
	case bool:
		return word(strconv.FormatBool(k))
	case float64:
		return word(strconv.FormatFloat(k, 'f', -1, 64))
	case []any:
		v := value{kind: list}
		unknowns, _ := after.([]any)
		for at, item := range k {
			var u any
			if at < len(unknowns) {
				u = unknowns[at]
			}
			if u == true {
				v.items = append(v.items, unsure("it is known after apply%s", references(e)))
				continue
			}
			var block *tfjson.Expression
			if e != nil && e.ExpressionData != nil && len(e.NestedBlocks) == len(k) {
				block = &tfjson.Expression{ExpressionData: &tfjson.ExpressionData{NestedBlocks: e.NestedBlocks[at : at+1]}}
			}
			v.items = append(v.items, t.convert(i, item, u, block))
		}
		return v
	case map[string]any:
		v := value{kind: object, members: map[string]value{}}
		unknowns, _ := after.(map[string]any)
		var expressions map[string]*tfjson.Expression
		if e != nil && e.ExpressionData != nil && len(e.NestedBlocks) == 1 {
			expressions = e.NestedBlocks[0]
		}
		for name, item := range k {
			v.put(name, t.value(i, name, item, unknowns[name], expressions))
		}
		for name, u := range unknowns {
			if _, has := k[name]; !has {
				v.put(name, t.value(i, name, nil, u, expressions))
			}
		}
		slices.Sort(v.keys)
		return v
	}
	return value{}
}

// block is the one block of a list; an empty list is absent.
func block(v value) value {
	if v.kind != list {
		return v
	}
	if len(v.items) == 0 {
		return value{}
	}
	return v.items[0]
}

// rename makes an object of CloudFormation's names from one of Terraform's.
func rename(v value, names ...string) value {
	if v.kind != object {
		return v
	}
	to := value{kind: object, members: map[string]value{}, line: v.line}
	for i := 0; i+1 < len(names); i += 2 {
		to.put(names[i], v.members[names[i+1]])
	}
	return to
}

func (t *terraform) props(i *instance, names ...string) value {
	p := value{kind: object, members: map[string]value{}}
	for at := 0; at+1 < len(names); at += 2 {
		p.put(names[at], t.get(i, names[at+1]))
	}
	return p
}

// declare declares what one resource of the plan is, if it is one that is read.
func (t *terraform) declare(i *instance) {
	if provider := i.ProviderName; !strings.HasSuffix(provider, "hashicorp/aws") && provider != "aws" {
		t.foreign = append(t.foreign, provider)
		return
	}
	t.ours++
	var typ string
	var p value
	switch i.Type {
	case "aws_api_gateway_rest_api":
		typ, p = typeRestAPI, t.props(i, "Id", "id")
		p.put("EndpointConfiguration", rename(block(t.get(i, "endpoint_configuration")), "Types", "types"))
	case "aws_api_gateway_stage":
		typ, p = posture.TypeStage, t.props(i, "RestApiId", "rest_api_id", "StageName", "stage_name", "ClientCertificateId", "client_certificate_id",
			"TracingEnabled", "xray_tracing_enabled", "CacheClusterEnabled", "cache_cluster_enabled", "WebAclArn", "web_acl_arn", "Tags", "tags_all")
		if arn := t.get(i, "arn"); arn.known() && t.gone[arn.text] {
			delete(p.members, "WebAclArn")
		}
		p.put("AccessLogSetting", rename(block(t.get(i, "access_log_settings")), "DestinationArn", "destination_arn", "Format", "format"))
	case "aws_api_gateway_deployment":
		typ, p = typeDeployment, t.props(i, "RestApiId", "rest_api_id", "StageName", "stage_name")
		if name := p.get("StageName"); name.known() && name.text == "" {
			return
		}
	case "aws_api_gateway_method_settings":
		typ, p = typeMethodSettings, t.props(i, "RestApiId", "rest_api_id", "StageName", "stage_name", "Key", "method_path")
		if key := p.get("Key"); key.known() {
			p.put("Key", methodKey(key.text))
		}
		p.put("Setting", rename(block(t.get(i, "settings")), "LoggingLevel", "logging_level", "CachingEnabled", "caching_enabled",
			"CacheDataEncrypted", "cache_data_encrypted", "DataTraceEnabled", "data_trace_enabled", "MetricsEnabled", "metrics_enabled"))
	case "aws_wafv2_web_acl_association":
		typ, p = typeACL, t.props(i, "ResourceArn", "resource_arn", "WebACLArn", "web_acl_arn")
	case "aws_wafregional_web_acl_association":
		typ, p = typeClassicACL, t.props(i, "ResourceArn", "resource_arn", "WebACLId", "web_acl_id")
	case "aws_apigatewayv2_api":
		typ, p = typeAPI, t.props(i, "Id", "id", "ProtocolType", "protocol_type", "Target", "target", "RouteKey", "route_key")
		switch body := t.get(i, "body"); {
		case body.known() && body.text != "":
			if root, line, err := parse([]byte(body.text)); err != nil {
				p.put("Body", unsure("the API's OpenAPI document cannot be read, line %d: %v", line, err))
			} else {
				p.put("Body", literal(root, new(int), 0))
			}
		case body.kind == unknown || body.opaque:
			p.put("Body", unsure("the API's OpenAPI document is not known: %s", body.reason))
		}
	case "aws_apigatewayv2_stage":
		typ, p = posture.TypeStageV2, t.props(i, "ApiId", "api_id", "StageName", "name", "ClientCertificateId", "client_certificate_id", "Tags", "tags_all")
		p.put("AccessLogSettings", rename(block(t.get(i, "access_log_settings")), "DestinationArn", "destination_arn", "Format", "format"))
		p.put("DefaultRouteSettings", rename(block(t.get(i, "default_route_settings")), routeMembers...))
		if routes := t.get(i, "route_settings"); routes.kind == list {
			each := set()
			for _, item := range routes.items {
				if key := item.get("route_key"); key.known() {
					each.put(key.text, rename(item, routeMembers...))
				}
			}
			p.put("RouteSettings", each)
		}
	case "aws_apigatewayv2_route":
		typ, p = posture.TypeRoute, t.props(i, "ApiId", "api_id", "RouteKey", "route_key", "AuthorizationType", "authorization_type",
			"AuthorizerId", "authorizer_id", "Target", "target")
	case "aws_apigatewayv2_integration":
		typ, p = posture.TypeIntegration, t.props(i, "ApiId", "api_id", "ConnectionType", "connection_type", "ConnectionId", "connection_id",
			"IntegrationType", "integration_type", "IntegrationUri", "integration_uri")
		p.put("TlsConfig", rename(block(t.get(i, "tls_config")), "ServerNameToVerify", "server_name_to_verify"))
	case "aws_api_gateway_domain_name":
		typ, p = posture.TypeDomainName, t.props(i, "DomainName", "domain_name", "SecurityPolicy", "security_policy",
			"EndpointAccessMode", "endpoint_access_mode", "Tags", "tags_all")
		p.put("EndpointConfiguration", rename(block(t.get(i, "endpoint_configuration")), "Types", "types"))
		p.put("MutualTlsAuthentication", rename(block(t.get(i, "mutual_tls_authentication")), "TruststoreUri", "truststore_uri"))
	case "aws_apigatewayv2_domain_name":
		typ, p = posture.TypeDomainNameV2, t.props(i, "DomainName", "domain_name", "Tags", "tags_all")
		if c := block(t.get(i, "domain_name_configuration")); c.kind != absent {
			p.put("DomainNameConfigurations", value{kind: list, items: []value{rename(c, "EndpointType", "endpoint_type", "SecurityPolicy", "security_policy")}})
		}
		p.put("MutualTlsAuthentication", rename(block(t.get(i, "mutual_tls_authentication")), "TruststoreUri", "truststore_uri"))
	case "aws_api_gateway_base_path_mapping":
		typ, p = typeMapping, t.props(i, "RestApiId", "api_id", "DomainName", "domain_name")
	case "aws_apigatewayv2_api_mapping":
		typ, p = typeMappingV2, t.props(i, "ApiId", "api_id", "DomainName", "domain_name")
	case "aws_opensearch_domain":
		typ, p = typeSearchDomain, t.props(i, "DomainName", "domain_name", "Tags", "tags_all")
		p.put("DomainEndpointOptions", rename(block(t.get(i, "domain_endpoint_options")), "EnforceHTTPS", "enforce_https", "TLSSecurityPolicy", "tls_security_policy",
			"CustomEndpointEnabled", "custom_endpoint_enabled", "CustomEndpoint", "custom_endpoint"))
		p.put("NodeToNodeEncryptionOptions", rename(block(t.get(i, "node_to_node_encryption")), "Enabled", "enabled"))
	case "aws_acm_certificate":
		typ, p = typeCertificate, t.props(i, "DomainName", "domain_name", "KeyAlgorithm", "key_algorithm", "NotAfter", "not_after", "Status", "status", "Tags", "tags_all")
		imported(t.get(i, "certificate_body"), &p)
	default:
		return
	}
	t.add(&declared{id: i.Address, typ: typ, props: p, line: 1, region: t.region(i)})
}

var routeMembers = []string{"LoggingLevel", "logging_level", "DataTraceEnabled", "data_trace_enabled", "DetailedMetricsEnabled", "detailed_metrics_enabled"}

// methodKey is the service's name for the methods that a method path means:
// */*, or pets/{id}/GET.
func methodKey(path string) value {
	at := strings.LastIndexByte(path, '/')
	if at < 0 || at == len(path)-1 {
		return unsure("the method path %q names no method", path)
	}
	return word(pathKey(path[:at]) + "/" + path[at+1:])
}

// imported reads from a certificate that the plan brings what ACM will say of it.
func imported(body value, p *value) {
	if body.kind == absent || body.known() && body.text == "" {
		return
	}
	if p.get("NotAfter").known() && p.get("NotAfter").text != "" {
		return // of the certificate that is there and stays
	}
	p.put("KeyAlgorithm", unsure("the certificate to import is not known"))
	if !body.known() {
		return
	}
	found, _ := pem.Decode([]byte(body.text))
	if found == nil {
		return
	}
	c, err := x509.ParseCertificate(found.Bytes)
	if err != nil {
		return
	}
	p.put("NotAfter", word(c.NotAfter.UTC().Format(time.RFC3339)))
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		p.put("KeyAlgorithm", word(fmt.Sprintf("RSA_%d", key.N.BitLen())))
	case *ecdsa.PublicKey:
		p.put("KeyAlgorithm", word("EC_"+cmp.Or(map[string]string{"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}[key.Curve.Params().Name], "unnamed")))
	}
}

// region is that of a resource itself, or of its provider.
func (t *terraform) region(i *instance) string {
	if own, ok := i.AttributeValues["region"].(string); ok && own != "" {
		return own
	}
	if i.config == nil || t.plan.Config == nil {
		return ""
	}
	provider := t.plan.Config.ProviderConfigs[i.config.ProviderConfigKey]
	if provider == nil {
		return ""
	}
	e := provider.Expressions["region"]
	if e == nil || e.ExpressionData == nil {
		return ""
	}
	if text, ok := e.ConstantValue.(string); ok {
		return text
	}
	if name, ok := strings.CutPrefix(strings.Join(e.References, " "), "var."); ok && provider.ModuleAddress == "" {
		if v := t.plan.Variables[name]; v != nil {
			text, _ := v.Value.(string)
			return text
		}
	}
	return ""
}

// identify turns the ids of APIs that are made already into references.
func (t *terraform) identify() {
	t.made = map[string]string{}
	for _, d := range t.declared {
		if id := d.props.get("Id"); (d.typ == typeAPI || d.typ == typeRestAPI) && id.known() && id.text != "" {
			t.made[id.text] = d.id
		}
	}
	for _, d := range t.declared {
		for _, name := range []string{"ApiId", "RestApiId"} {
			if v := d.props.get(name); v.known() && v.of == "" && t.made[v.text] != "" {
				v.of = t.made[v.text]
				d.props.members[name] = v
			}
		}
	}
}

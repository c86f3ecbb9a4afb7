package template

import (
	"bytes"
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// openAPI declares the routes and integrations that an HTTP API's OpenAPI
// document makes.
func (s *stack) openAPI(d *declared) {
	body := d.props.get("Body")
	if from := d.props.get("BodyS3Location"); body.kind == absent && from.kind != absent {
		if body = s.local(from); body.kind == unknown {
			body = unsure("the API's OpenAPI document is in BodyS3Location, which is not read: %s", body.reason)
		}
	}
	if body.kind == absent {
		return
	}
	api := reference(d.id, "", "")
	declare := func(id, typ string, line int, props value, settled map[string]string) {
		props.put("ApiId", api)
		s.add(&declared{id: d.id + "[" + id + "] " + typ, shown: d.id + "[" + id + "]", typ: typ, props: props, line: cmp.Or(line, d.line), doubt: d.doubt, settled: settled})
	}
	paths := body.get("paths")
	if body.kind != object || paths.kind == unknown {
		why := cmp.Or(body.reason, paths.reason, "the API's OpenAPI document is not an object")
		for _, typ := range []string{posture.TypeRoute, posture.TypeIntegration} {
			declare("*", typ, 0, set(), map[string]string{"": why})
		}
		return
	}
	for _, path := range paths.keys {
		item := resolve(body, paths.members[path])
		if item.kind != object {
			declare("* "+path, posture.TypeRoute, item.line, set(), map[string]string{"": cmp.Or(item.reason, "the path is not an object")})
			declare("* "+path, posture.TypeIntegration, item.line, set(), map[string]string{"": cmp.Or(item.reason, "the path is not an object")})
			continue
		}
		for _, method := range item.keys {
			key, ok := routeKey(path, method)
			if !ok {
				continue
			}
			operation := resolve(body, item.members[method])
			declare(key, posture.TypeRoute, operation.line, set("RouteKey", word(key), "AuthorizationType", authorization(body, operation)), nil)
			i := operation.get("x-amazon-apigateway-integration")
			if i.kind == absent {
				continue
			}
			i = resolve(body, i)
			props := set("ConnectionType", upper(i.get("connectionType")), "IntegrationUri", i.get("uri"))
			if t := i.get("tlsConfig"); t.kind == object {
				props.put("TlsConfig", set("ServerNameToVerify", t.get("serverNameToVerify")))
			} else {
				props.put("TlsConfig", t)
			}
			if i.kind != object {
				props = unsure("%s", cmp.Or(i.reason, "the integration is not an object"))
				declare(key, posture.TypeIntegration, operation.line, set(), map[string]string{"": props.reason})
				continue
			}
			declare(key, posture.TypeIntegration, cmp.Or(i.line, operation.line), props, nil)
		}
	}
}

func upper(v value) value {
	if v.known() {
		v.text = strings.ToUpper(v.text)
	}
	return v
}

// routeKey is that of an operation.
func routeKey(path, method string) (string, bool) {
	switch m := strings.ToUpper(method); m {
	case "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE":
		return m + " " + path, true
	case "X-AMAZON-APIGATEWAY-ANY-METHOD":
		if path == "/$default" || path == "$default" {
			return "$default", true
		}
		return "ANY " + path, true
	}
	return "", false
}

// resolve follows references within the document, a few of them.
func resolve(body, v value) value {
	for range 8 {
		to := v.get("$ref")
		if v.kind != object || to.kind == absent {
			return v
		}
		path, local := strings.CutPrefix(to.text, "#/")
		if !to.known() || !local {
			return unsure("it is a reference to another document")
		}
		at := body
		for name := range strings.SplitSeq(path, "/") {
			at = at.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(name))
		}
		if at.kind == absent {
			return unsure("it refers to %s, which is not there", to.text)
		}
		v = at
	}
	return unsure("its references go round")
}

// authorization is the authorization type of an operation.
//
// Source: developer guide, OpenAPI extensions x-amazon-apigateway-auth and
// x-amazon-apigateway-authorizer for HTTP APIs.
func authorization(body, operation value) value {
	switch {
	case operation.kind == unknown:
		return operation
	case operation.get("x-amazon-apigateway-auth").kind != absent:
		return upper(operation.get("x-amazon-apigateway-auth", "type"))
	}
	security := operation.get("security")
	if security.kind == absent {
		if root := body.get("security"); root.kind != absent && !(root.kind == list && len(root.items) == 0) {
			return unsure("security stands at the root of the OpenAPI document only, and it is not documented whether an import follows that")
		}
		return word("NONE")
	}
	if security.kind != list {
		return unsure("%s", cmp.Or(security.reason, "security is not a list"))
	}
	var types []string
	for _, requirement := range security.items {
		if requirement.kind != object {
			return unsure("%s", cmp.Or(requirement.reason, "a security requirement is not an object"))
		}
		for _, name := range requirement.keys {
			t := schemeType(body, name)
			if t.kind != scalar {
				return t
			}
			if !slices.Contains(types, t.text) {
				types = append(types, t.text)
			}
		}
	}
	switch len(types) {
	case 0:
		return word("NONE")
	case 1:
		return word(types[0])
	}
	return unsure("it has security requirements of several types: %s", strings.Join(types, ", "))
}

// schemeType is the authorization type that a security scheme stands for.
func schemeType(body value, name string) value {
	scheme := body.get("components", "securitySchemes", name)
	if scheme.kind == absent {
		scheme = body.get("securityDefinitions", name)
	}
	scheme = resolve(body, scheme)
	if scheme.kind != object {
		return unsure("security scheme %s is not known", name)
	}
	if t := scheme.get("x-amazon-apigateway-authtype"); t.known() && strings.EqualFold(t.text, "awsSigv4") {
		return word("AWS_IAM")
	}
	switch t := resolve(body, scheme.get("x-amazon-apigateway-authorizer")).get("type"); {
	case t.known() && strings.EqualFold(t.text, "jwt"):
		return word("JWT")
	case t.known() && (strings.EqualFold(t.text, "request") || strings.EqualFold(t.text, "token")):
		return word("CUSTOM")
	case t.kind == unknown:
		return t
	}
	return unsure("security scheme %s has no authorizer that is known", name)
}

// local reads a document that a template names by a path in its own folder, as
// `aws cloudformation package` and SAM take it.
func (s *stack) local(from value) value {
	switch {
	case from.kind == unknown || from.opaque:
		return unsure("%s", cmp.Or(from.reason, "it is not known"))
	case from.kind != scalar:
		return unsure("it is in a bucket")
	case strings.Contains(from.text, "://"):
		return unsure("it is %s", from.text)
	case !filepath.IsLocal(from.text):
		return unsure("%s is not in the template's folder", from.text)
	}
	// The name may still be a link that leads out of the folder.
	path := filepath.Join(filepath.Dir(s.file), from.text)
	folder, err := filepath.EvalSymlinks(filepath.Dir(s.file))
	if err == nil {
		var real string
		if real, err = filepath.EvalSymlinks(path); err == nil {
			if inside, relErr := filepath.Rel(folder, real); relErr != nil || !filepath.IsLocal(inside) {
				return unsure("%s is not in the template's folder", from.text)
			}
		}
	}
	if err != nil {
		return unsure("%s: %v", from.text, reasonOf(err))
	}
	data, err := load(path)
	switch {
	case err != nil:
		return unsure("%s: %v", from.text, reasonOf(err))
	case len(data) > maxTemplate || !bytes.Contains(data, []byte("paths")):
		return unsure("%s is no OpenAPI document", from.text)
	}
	root, line, err := parse(data)
	if err != nil {
		return unsure("%s:%d: %v", from.text, line, err)
	}
	// Functions are not resolved in a file that is uploaded as it is.
	v := literal(root, new(int), 0)
	v.line = 0
	return v
}

// literal is a document without functions.
func literal(n *node, steps *int, depth int) value {
	if *steps++; *steps > maxSteps || depth > maxDepth {
		return unsure("the document stands for too much to be read")
	}
	v := value{} // lines are those of another file
	switch n.kind {
	case nullNode:
		return v
	case brokenNode:
		return unsure("%s", n.text)
	case scalarNode:
		v.kind, v.text, v.plain = scalar, n.spelled(), n.plain
	case listNode:
		v.kind = list
		for _, item := range n.items {
			v.items = append(v.items, literal(item, steps, depth+1))
		}
	case mapNode:
		v.kind, v.members = object, make(map[string]value, len(n.keys))
		for _, key := range n.keys {
			v.put(key, literal(n.at[key], steps, depth+1))
		}
	}
	return v
}

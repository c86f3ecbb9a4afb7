package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/resource"
)

// Bounds of Integration.timeoutInMillis. Source: quotas of REST APIs; more than
// 29 s is a quota increase, at most the 15 minutes of a streamed response.
const (
	minTimeout     = 50 * time.Millisecond
	defaultTimeout = 29 * time.Second
	maxTimeout     = 15 * time.Minute
)

// integrationTypes are those that this gateway serves.
var integrationTypes = map[types.IntegrationType]IntegrationType{
	types.IntegrationTypeMock:      Mock,
	types.IntegrationTypeHttp:      HTTP,
	types.IntegrationTypeHttpProxy: HTTPProxy,
}

// compileIntegration compiles a method's integration with the responses that
// the method declares. unreachable says why it cannot be served by this version.
func compileIntegration(m types.Method) (in *Integration, unreachable string, err error) {
	doc := m.MethodIntegration
	if !slices.Contains(doc.Type.Values(), doc.Type) {
		return nil, "", fmt.Errorf("type %q is not known", doc.Type)
	}
	kind, ok := integrationTypes[doc.Type]
	if unreachable = resource.NotBuilt(*doc); unreachable == "" && !ok {
		unreachable = "integration type " + string(doc.Type)
	}
	if unreachable != "" {
		return nil, unreachable, nil
	}
	in = &Integration{
		Type:             kind,
		HTTPMethod:       aws.ToString(doc.HttpMethod),
		Timeout:          time.Duration(doc.TimeoutInMillis) * time.Millisecond,
		RequestTemplates: doc.RequestTemplates,
		Passthrough:      aws.ToString(doc.PassthroughBehavior),
	}
	if doc.TlsConfig != nil {
		in.InsecureSkipVerification = doc.TlsConfig.InsecureSkipVerification
	}
	if doc.ConnectionType == types.ConnectionTypeVpcLink {
		in.Target, in.Broken = nowhere, "not connected" // a stage does that
	}
	switch {
	case in.Timeout == 0:
		in.Timeout = defaultTimeout
	case in.Timeout < minTimeout, in.Timeout > maxTimeout:
		return nil, "", fmt.Errorf("timeout of %d ms is out of range", doc.TimeoutInMillis)
	}
	switch in.Passthrough {
	case "":
		in.Passthrough = "WHEN_NO_MATCH"
	case "WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER":
	default:
		return nil, "", fmt.Errorf("passthrough behavior %q is not known", in.Passthrough)
	}
	if kind != Mock {
		if !token(in.HTTPMethod) {
			return nil, "", fmt.Errorf("HTTP method %q", in.HTTPMethod)
		}
		if in.URI, err = compileURI(aws.ToString(doc.Uri)); err != nil {
			return nil, "", err
		}
	}
	if err := plainTemplates(doc.RequestTemplates); err != nil {
		return nil, "", fmt.Errorf("request template %w", err)
	}
	if in.RequestParameters, err = compileMappings(doc.RequestParameters, requestMappings); err != nil {
		return nil, "", err
	}
	if in.Responses, err = compileResponses(doc.IntegrationResponses); err != nil {
		return nil, "", err
	}
	if in.MethodResponses, err = compileMethodResponses(m.MethodResponses); err != nil {
		return nil, "", err
	}
	return in, "", nil
}

// plainTemplates refuses what needs the template language: deployments with
// such templates are refused, so one found here is damage. It wraps no name.
func plainTemplates(ts map[string]string) error {
	for contentType, text := range ts {
		if strings.ContainsAny(text, "$#") {
			return fmt.Errorf("for %s holds \"$\" or \"#\", which cannot be evaluated", contentType)
		}
	}
	return nil
}

// compileURI cuts an integration URI at its references: {name} for a path
// parameter, ${stageVariables.NAME} for a stage variable.
func compileURI(uri string) ([]Segment, error) {
	var segs []Segment
	fail := func(why string) ([]Segment, error) { return nil, fmt.Errorf("URI %q: %s", uri, why) }
	for rest := uri; rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			segs = append(segs, Segment{Literal: rest})
			break
		}
		if rest[i] == '}' {
			return fail("a brace closes nothing")
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			return fail("a brace is left open")
		}
		name, before := rest[i+1:i+end], rest[:i]
		rest = rest[i+end+1:]
		var ref Segment
		if literal, dollar := strings.CutSuffix(before, "$"); dollar {
			before = literal
			variable, ok := strings.CutPrefix(name, "stageVariables.")
			if !ok || !identifier(variable) {
				return fail("only stage variables can follow \"$\"")
			}
			ref.Stage = variable
		} else {
			if name == "" || strings.ContainsAny(name, "{/?#") {
				return fail("a parameter has no name")
			}
			ref.Path = strings.TrimSuffix(name, "+")
		}
		if before != "" {
			segs = append(segs, Segment{Literal: before})
		}
		segs = append(segs, ref)
	}
	for _, r := range uri {
		if r <= ' ' || r == 0x7f {
			return fail("white space or a control character")
		}
	}
	if len(segs) == 0 {
		return fail("empty")
	}
	first := segs[0]
	scheme, _, ok := strings.Cut(first.Literal, "://")
	scheme = strings.ToLower(scheme)
	if first.Stage == "" && (!ok || scheme != "http" && scheme != "https") {
		return fail("not http or https")
	}
	return segs, nil
}

// A mappingRule is one form that the source of a parameter mapping takes.
type mappingRule struct {
	prefix string
	kind   string
	// whole: the prefix alone is complete, and what follows starts with a dot.
	whole bool
}

// mappingRules are the grammar of one direction.
// Source: API reference, Integration.requestParameters and IntegrationResponse.responseParameters;
// developer guide, request-response-data-mappings.
type mappingRules struct {
	target    string   // prefix of what is set
	locations []string // that may be set
	sources   []mappingRule
}

var requestMappings = mappingRules{
	target:    "integration.request.",
	locations: []string{"header", "querystring", "path"},
	sources: []mappingRule{
		{prefix: "method.request.header.", kind: "header"},
		{prefix: "method.request.multivalueheader.", kind: "multivalueheader"},
		{prefix: "method.request.querystring.", kind: "querystring"},
		{prefix: "method.request.multivaluequerystring.", kind: "multivaluequerystring"},
		{prefix: "method.request.path.", kind: "path"},
		{prefix: "method.request.body", kind: "body", whole: true},
		{prefix: "stageVariables.", kind: "stageVariable"},
		{prefix: "context.", kind: "context"},
	},
}

var responseMappings = mappingRules{
	target:    "method.response.",
	locations: []string{"header"},
	sources: []mappingRule{
		{prefix: "integration.response.header.", kind: "integration.header"},
		{prefix: "integration.response.multivalueheader.", kind: "integration.multivalueheader"},
		{prefix: "integration.response.body", kind: "integration.body", whole: true},
		{prefix: "stageVariables.", kind: "stageVariable"},
		{prefix: "context.", kind: "context"},
	},
}

// compileMappings parses parameter mappings, sorted by target so that equal
// documents compile alike.
func compileMappings(docs map[string]string, rules mappingRules) ([]ParameterMapping, error) {
	var ms []ParameterMapping
	for _, target := range slices.Sorted(maps.Keys(docs)) {
		m, err := rules.compile(target, docs[target])
		if err != nil {
			return nil, fmt.Errorf("parameter %s from %s: %w", target, docs[target], err)
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func (rules mappingRules) compile(target, from string) (m ParameterMapping, err error) {
	rest, ok := strings.CutPrefix(target, rules.target)
	if m.Location, m.Name, _ = strings.Cut(rest, "."); !ok || !slices.Contains(rules.locations, m.Location) {
		return m, errors.New("this cannot be set")
	}
	// A header's name and text go on the wire as they are: nothing in them may
	// end the line.
	if m.Name == "" || m.Location == "header" && !token(m.Name) {
		return m, fmt.Errorf("%q is no name", m.Name)
	}
	m.Source, err = rules.source(from)
	return m, err
}

func (rules mappingRules) source(from string) (Source, error) {
	if text, ok := strings.CutPrefix(from, "'"); ok {
		text, ok = strings.CutSuffix(text, "'")
		if !ok || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return Source{}, errors.New("not a text in single quotes on one line")
		}
		return Source{Kind: "static", Name: text}, nil
	}
	for _, r := range rules.sources {
		name, ok := strings.CutPrefix(from, r.prefix)
		switch {
		case !ok:
		case r.whole && name == "":
			return Source{Kind: r.kind}, nil
		case r.whole:
			if path, ok := strings.CutPrefix(name, "."); ok && path != "" {
				return Source{Kind: r.kind, Name: path}, nil
			}
		case name != "":
			return Source{Kind: r.kind, Name: name}, nil
		}
	}
	return Source{}, errors.New("no such source")
}

func compileResponses(docs map[string]types.IntegrationResponse) ([]IntegrationResponse, error) {
	var rs []IntegrationResponse
	for _, status := range slices.Sorted(maps.Keys(docs)) {
		r, err := compileResponse(status, docs[status])
		if err != nil {
			return nil, fmt.Errorf("response %s: %w", status, err)
		}
		rs = append(rs, r)
	}
	slices.SortStableFunc(rs, func(a, b IntegrationResponse) int {
		switch {
		case (a.Pattern == nil) == (b.Pattern == nil):
			return 0
		case a.Pattern == nil:
			return 1
		}
		return -1
	})
	return rs, nil
}

func compileResponse(status string, doc types.IntegrationResponse) (r IntegrationResponse, err error) {
	if r.Status, err = statusCode(status); err != nil {
		return r, err
	}
	if text := aws.ToString(doc.SelectionPattern); text != "" {
		// Compiled alone first: "a)|(b" is a pattern only inside the group.
		if _, err = regexp.Compile(text); err == nil {
			r.Pattern, err = regexp.Compile(`\A(?:` + text + `)\z`)
		}
		if err != nil {
			return r, fmt.Errorf("selection pattern: %w", err)
		}
	}
	if r.Parameters, err = compileMappings(doc.ResponseParameters, responseMappings); err != nil {
		return r, err
	}
	if err = plainTemplates(doc.ResponseTemplates); err != nil {
		return r, fmt.Errorf("template %w", err)
	}
	r.Templates = doc.ResponseTemplates
	return r, nil
}

func compileMethodResponses(docs map[string]types.MethodResponse) (map[int]MethodResponse, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	rs := make(map[int]MethodResponse, len(docs))
	for status, doc := range docs {
		code, err := statusCode(status)
		if err != nil {
			return nil, fmt.Errorf("method response: %w", err)
		}
		r := MethodResponse{Models: slices.Sorted(maps.Keys(doc.ResponseModels))}
		for name, required := range doc.ResponseParameters {
			header, ok := strings.CutPrefix(name, "method.response.header.")
			if !ok || !token(header) {
				return nil, fmt.Errorf("method response %s: %q is no header", status, name)
			}
			if r.Headers == nil {
				r.Headers = make(map[string]bool, len(doc.ResponseParameters))
			}
			r.Headers[strings.ToLower(header)] = required
		}
		rs[code] = r
	}
	return rs, nil
}

// token reports whether s is an RFC 9110 token: a header name or a method.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// identifier reports whether s can name a stage variable: letters, digits and
// underscores.
func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return s != ""
}

package awsapi

import (
	"net/http"
	"net/url"
	"strings"
)

// segment is one part of a URI template between slashes.
type segment struct {
	literal string
	label   string // the name in {braces}, empty for a literal
	greedy  bool   // {label+}: the rest of the path, slashes included
}

// splitURI cuts "/tags/{resourceArn}" into its segments; "/" has none. A slash
// at the end is a literal of its own, which is empty.
func splitURI(uri string) []segment {
	if uri == "/" {
		return nil
	}
	var segments []segment
	for part := range strings.SplitSeq(strings.TrimPrefix(uri, "/"), "/") {
		if label, ok := strings.CutPrefix(part, "{"); ok {
			label, greedy := strings.CutSuffix(strings.TrimSuffix(label, "}"), "+")
			segments = append(segments, segment{label: label, greedy: greedy})
		} else {
			segments = append(segments, segment{literal: part})
		}
	}
	return segments
}

// maxSegments is more than the longest template has; a longer path matches none.
const maxSegments = 16

// splitPath cuts a path at its literal slashes and decodes each segment, so
// that an escaped slash stays inside its segment. It is nil, false for a path
// that no operation can have: an empty segment ahead of the end, too many, a
// broken escape.
func splitPath(escaped string) ([]string, bool) {
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, false
	}
	if rest == "" {
		return nil, true
	}
	parts := strings.SplitN(rest, "/", maxSegments+1)
	if len(parts) > maxSegments {
		return nil, false
	}
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil || decoded == "" && i < len(parts)-1 {
			return nil, false
		}
		parts[i] = decoded
	}
	return parts, true
}

// router finds the operation among the services of one signing name.
type router struct {
	paths   node
	targets map[string]*Operation // "CertificateManager.GetCertificate"
	actions map[string]*Operation // "GetCallerIdentity"
	version string                // of the actions
}

type node struct {
	literals map[string]*node
	label    *node
	greedy   *node
	methods  map[string][]*Operation // those with a fixed query first
}

func newRouter() *router {
	return &router{targets: map[string]*Operation{}, actions: map[string]*Operation{}}
}

func (r *router) add(op *Operation) {
	switch op.Service.Protocol {
	case JSON11:
		r.targets[op.Service.TargetPrefix+"."+op.Name] = op
		return
	case Query:
		r.actions[op.Name] = op
		r.version = op.Service.Version
		return
	}
	n := &r.paths
	for _, s := range op.segments {
		next := &n.label
		if s.greedy {
			next = &n.greedy
		}
		if s.label == "" {
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			child := n.literals[s.literal]
			next = &child
			if child == nil {
				child = &node{}
				n.literals[s.literal] = child
			}
		}
		if *next == nil {
			*next = &node{}
		}
		n = *next
	}
	if n.methods == nil {
		n.methods = map[string][]*Operation{}
	}
	list := n.methods[op.Method]
	if op.Query != "" {
		list = append([]*Operation{op}, list...)
	} else {
		list = append(list, op)
	}
	n.methods[op.Method] = list
}

// find walks the path, a literal before a label.
func (n *node) find(method string, path []string, query url.Values) *Operation {
	if len(path) == 0 {
		for _, op := range n.methods[method] {
			if op.Query == "" || hasQuery(query, op.Query) {
				return op
			}
		}
		return nil
	}
	if child := n.literals[path[0]]; child != nil {
		if op := child.find(method, path[1:], query); op != nil {
			return op
		}
	}
	if n.label != nil && path[0] != "" {
		if op := n.label.find(method, path[1:], query); op != nil {
			return op
		}
	}
	if n.greedy != nil && path[0] != "" {
		return n.greedy.find(method, nil, query)
	}
	return nil
}

func hasQuery(query url.Values, fixed string) bool {
	for pair := range strings.SplitSeq(fixed, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if !query.Has(key) || query.Get(key) != value {
			return false
		}
	}
	return true
}

// Route finds the operation that a request names, among the services that sign
// as signingName. body is read only for the Query protocol, whose action is in
// the form. The path is routed as it was escaped: "/tags/{arn}" has one segment
// after the first, whatever slashes its ARN escapes. An operation that nobody
// has is an *Error, to be written in the protocol that ProtocolOf tells.
func Route(signingName string, r *http.Request, body []byte) (*Operation, error) {
	router := known().routers[signingName]
	switch {
	case router == nil:
		return nil, errNoRoute()
	case len(router.targets) > 0 && r.Header.Get("X-Amz-Target") != "":
		if op := router.targets[r.Header.Get("X-Amz-Target")]; op != nil && r.Method == http.MethodPost && r.URL.Path == "/" {
			return op, nil
		}
		return nil, &Error{Code: "UnknownOperationException", Message: "The requested operation is not recognized by the service.", Status: http.StatusBadRequest}
	case len(router.actions) > 0:
		form, err := formOf(r, body)
		if err != nil {
			return nil, err
		}
		op := router.actions[form.Get("Action")]
		if op == nil || form.Get("Version") != router.version {
			return nil, &Error{Code: "InvalidAction", Message: "Could not find operation " + clip(form.Get("Action")) + " for version " + clip(form.Get("Version")), Status: http.StatusBadRequest}
		}
		return op, nil
	case len(router.targets) > 0:
		return nil, &Error{Code: "MissingAction", Message: "The request names no operation: X-Amz-Target is missing.", Status: http.StatusBadRequest}
	}
	if path, ok := splitPath(r.URL.EscapedPath()); ok {
		query, _ := url.ParseQuery(r.URL.RawQuery) // a broken one is refused by Decode
		if op := router.paths.find(r.Method, path, query); op != nil {
			return op, nil
		}
	}
	return nil, errNoRoute()
}

// ProtocolOf returns the protocol of the services that sign as signingName,
// RESTJSON when there is none: for errors that come before an operation is known.
func ProtocolOf(signingName string) Protocol {
	for _, s := range known().services {
		if s.SigningName == signingName {
			return s.Protocol
		}
	}
	return RESTJSON
}

func errNoRoute() *Error {
	return &Error{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token", Status: http.StatusForbidden}
}

// formOf returns the parameters of a Query request: the form in the body, or
// the URL's query for a GET.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	text := string(body)
	switch r.Method {
	case http.MethodGet:
		text = r.URL.RawQuery
	case http.MethodPost:
	default:
		return nil, errNoRoute()
	}
	form, err := url.ParseQuery(text)
	if err != nil || r.URL.Path != "/" && r.URL.Path != "" {
		return nil, &Error{Code: "MalformedQueryString", Message: "The query string contains a syntax error.", Status: http.StatusBadRequest}
	}
	return form, nil
}

// clip bounds what an error repeats of a request.
func clip(text string) string {
	const most = 256
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

package pipeline

import (
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// target is where an integration's URI leads for one request.
type target struct{ scheme, host, path, query string }

// target fills the URI. A path parameter of the request goes in as the client
// sent it, escapes included; all other values are escaped so that they stay
// within their piece of the URI.
func (e *exchange) target(in *snapshot.Integration) (t target, f *fault) {
	uri := e.uri[:0]
	for _, segment := range in.URI {
		switch {
		case segment.Stage != "":
			v, ok := e.stage.Variables[segment.Stage]
			if !ok || v == "" {
				return t, e.configurationError("Invalid endpoint address")
			}
			uri = append(uri, v...)
		case segment.Path != "":
			value, f := e.pathValue(in, segment.Path, zoneOf(view(uri)))
			if f != nil {
				return t, f
			}
			uri = append(uri, value...)
		default:
			uri = append(uri, segment.Literal...)
		}
	}
	e.uri = uri
	scheme, rest, ok := strings.Cut(view(uri), "://")
	if !ok {
		return t, e.configurationError("Invalid endpoint address")
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, t.query, _ = strings.Cut(rest, "?")
	t.scheme, t.host = strings.ToLower(scheme), rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		t.host, t.path = rest[:i], rest[i:]
	}
	return t, nil
}

// zone is a part of a URI.
type zone uint8

const (
	inAuthority zone = iota
	inPath
	inQuery
)

// zoneOf says in which part of a URI the text after prefix is.
func zoneOf(prefix string) zone {
	_, rest, ok := strings.Cut(prefix, "://")
	switch {
	case !ok:
		return inAuthority
	case strings.IndexByte(rest, '?') >= 0:
		return inQuery
	case strings.IndexByte(rest, '/') >= 0:
		return inPath
	}
	return inAuthority
}

// pathValue is the value of integration.request.path.NAME.
func (e *exchange) pathValue(in *snapshot.Integration, name string, where zone) (string, *fault) {
	for i := range in.RequestParameters {
		m := &in.RequestParameters[i]
		if m.Location != "path" || m.Name != name {
			continue
		}
		if m.Source.Kind == "path" && where == inPath {
			if v, ok := e.params.Get(m.Source.Name); ok {
				return v, nil // as it was authorized
			}
			break
		}
		values, f := e.requestValues(m.Source)
		if f != nil {
			return "", f
		}
		if len(values) == 0 {
			break
		}
		v := values[0]
		switch {
		case where == inAuthority && !isLabel(v):
			return "", newFault(badRequest, "path parameter "+name+" is no host label")
		case where == inPath && hidesDots(v):
			return "", newFault(badRequest, "path parameter "+name+" holds a dot segment")
		}
		return escape(v), nil
	}
	return "", e.configurationError("Invalid endpoint address")
}

// isLabel accepts what cannot end a host label.
func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// hidesDots reports dot segments, also for one who splits at decoded slashes
// and backslashes or drops ";...", and NUL.
func hidesDots(s string) bool {
	if strings.IndexByte(s, 0) >= 0 {
		return true
	}
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '/' || r == '\\' }) {
		part, _, _ = strings.Cut(part, ";")
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

const upperHex = "0123456789ABCDEF"

// escape percent-encodes everything but RFC 3986's unreserved characters.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// queryList is a query in the making: what the client sent, in its own
// spelling, less the names that are set anew, and those.
type queryList struct {
	raw   string
	added []string // name=value, escaped
}

// set replaces every value of name.
func (q *queryList) set(name string, values []string) {
	var kept []string
	if q.raw != "" {
		for pair := range strings.SplitSeq(q.raw, "&") {
			if queryName(pair) != name {
				kept = append(kept, pair)
			}
		}
	}
	q.raw = strings.Join(kept, "&")
	for _, v := range values {
		q.added = append(q.added, escape(name)+"="+escape(v))
	}
}

func (q *queryList) String() string { return joinQuery(q.raw, strings.Join(q.added, "&")) }

func joinQuery(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "&" + b
}

// queryName decodes the name of one pair; an undecodable one stays as it is.
func queryName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return queryText(name)
}

func queryText(s string) string {
	if strings.ContainsAny(s, "%+") {
		if d, err := url.QueryUnescape(s); err == nil {
			return d
		}
	}
	return s
}

// appendQueryValues appends the decoded values of name in a raw query, in order.
func appendQueryValues(values []string, raw, name string) []string {
	if raw == "" {
		return values
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if queryName(pair) == name {
			_, v, _ := strings.Cut(pair, "=")
			values = append(values, queryText(v))
		}
	}
	return values
}

package snapshot

import (
	"strings"
)

// RouteResult says what Route found.
type RouteResult uint8

const (
	// Routed: the method is set.
	Routed RouteResult = iota
	// NoRoute: no resource of the stage has this path and verb. AWS answers
	// 403 "Missing Authentication Token".
	NoRoute
	// BadPath: the path has no single reading (dot segments, broken percent
	// encoding, a missing leading slash) and is refused with 400.
	BadPath
	// OtherSpelling: the path leads to one method as it is written and to a
	// guarded one as a backend may well read it; it is refused with 400.
	OtherSpelling
)

// maxParams bounds the path parameters of one resource; more do not compile.
const maxParams = 16

// Params are the path parameters of one routed request. The zero value is
// empty; Route resets it. It may be reused, not shared.
type Params struct {
	n     int
	pairs [maxParams]Param
}

// Param is one path parameter.
type Param struct {
	Name string // without braces and plus
	// Value is the piece of the path as the client sent it, still escaped: one
	// segment, or for a greedy parameter the whole rest without its first slash.
	Value string
}

// Get returns the value of name as sent, still escaped.
func (p *Params) Get(name string) (string, bool) {
	for i := range p.pairs[:p.n] {
		if p.pairs[i].Name == name {
			return p.pairs[i].Value, true
		}
	}
	return "", false
}

// All returns the parameters in path order, valid until the next Route.
func (p *Params) All() []Param { return p.pairs[:p.n] }

func (p *Params) push(name, value string) {
	p.pairs[p.n] = Param{name, value}
	p.n++
}

// Route finds the method for a request by its verb and its path within the
// stage, still escaped as the client sent it ("" is the root). It reads a path
// once, in this way, and never rewrites it:
//
//   - The path is cut at "/" as written; an encoded slash (%2F) stays inside
//     its segment.
//   - A segment is percent-decoded exactly once and compared as it is, case
//     included. A literal comes before {name}, {name} before {name+}; when the
//     better resource leads nowhere or has neither the verb nor ANY, the next
//     one is tried. On one resource the verb comes before ANY.
//   - One trailing slash is ignored, as AWS does. An empty segment ("//")
//     matches no literal and no {name}; {name+} takes it as it is.
//   - Dot segments, also encoded and also behind an encoded slash or a
//     backslash, are BadPath: backends resolve them, so they would have two
//     readings.
//   - A path that took a parameter is read a second time as a lenient backend
//     would (case folded, encoded and doubled slashes and backslashes as one
//     slash, ";..." dropped). If that leads to another method that is guarded, by itself or
//     by the stage's resource policy, the answer is OtherSpelling: a {proxy+}
//     beside /admin is no way around the guard of /admin.
//
// It allocates only when the path has percent signs.
func (s *Stage) Route(verb, path string, params *Params) (*Method, RouteResult) {
	params.n = 0
	if path == "" {
		path = "/"
	}
	if !plainPath(path) {
		return nil, BadPath
	}
	m := s.Routes.match(verb, path, params)
	if m == nil {
		params.n = 0
		return nil, NoRoute
	}
	if s.guarded && params.n > 0 {
		loose := path
		if strings.IndexByte(loose, '%') >= 0 {
			loose = decode(loose)
		}
		if other := s.Routes.matchLoosely(verb, loose, s.guards); other != nil && other != m && s.guards(other) {
			params.n = 0
			return nil, OtherSpelling
		}
	}
	return m, Routed
}

// guards reports whether requests to m are judged by anything but the path.
func (s *Stage) guards(m *Method) bool { return m.Refused != "" || s.Policy != nil }

// match follows rest, which is empty or starts with a slash, down from n. Since
// a node lies as deep as its path has segments, each node is visited at most
// once, backtracking included.
func (n *Node) match(verb, rest string, params *Params) *Method {
	if n == nil {
		return nil
	}
	if rest == "" || rest == "/" {
		return n.method(verb)
	}
	seg, tail := cut(rest)
	if seg != "" {
		if len(n.Literal) > 0 {
			part := seg
			if strings.IndexByte(part, '%') >= 0 {
				part = decode(part)
			}
			if m := n.Literal[part].match(verb, tail, params); m != nil {
				return m
			}
		}
		if n.Param != nil {
			mark := params.n
			params.push(n.Param.ParamName, seg)
			if m := n.Param.match(verb, tail, params); m != nil {
				return m
			}
			params.n = mark
		}
	}
	if n.Greedy != nil {
		if m := n.Greedy.method(verb); m != nil {
			params.push(n.Greedy.ParamName, rest[1:])
			return m
		}
	}
	return nil
}

// matchLoosely is match by the lenient reading: rest is decoded, a backslash
// is a slash, empty segments are skipped, case is folded, path parameters (";...") are dropped. Among
// literals that differ only in case, one that leads to a guarded method wins.
func (n *Node) matchLoosely(verb, rest string, guarded func(*Method) bool) *Method {
	if n == nil {
		return nil
	}
	rest = strings.TrimLeft(rest, `/\`)
	if rest == "" {
		return n.method(verb)
	}
	seg, tail := rest, ""
	if i := strings.IndexAny(rest, `/\`); i >= 0 {
		seg, tail = rest[:i], rest[i:]
	}
	if i := strings.IndexByte(seg, ';'); i >= 0 {
		seg = seg[:i]
	}
	var found *Method
	for part, child := range n.Literal {
		if !strings.EqualFold(part, seg) {
			continue
		}
		m := child.matchLoosely(verb, tail, guarded)
		if m != nil && guarded(m) {
			return m
		}
		if found == nil {
			found = m
		}
	}
	if found != nil {
		return found
	}
	if m := n.Param.matchLoosely(verb, tail, guarded); m != nil {
		return m
	}
	if n.Greedy != nil {
		return n.Greedy.method(verb)
	}
	return nil
}

// method returns the method of n that takes verb. ANY stands for the verbs
// that AWS knows and nothing else: "get" or "TRACE" would be judged under one
// name by a resource policy and read under another by a backend.
// Source: API reference, Method.httpMethod.
func (n *Node) method(verb string) *Method {
	switch verb {
	case "GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD":
	default:
		return nil
	}
	if m := n.Methods[verb]; m != nil {
		return m
	}
	return n.Methods["ANY"]
}

// cut splits "/a/b" into "a" and "/b".
func cut(rest string) (seg, tail string) {
	rest = rest[1:]
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[:i], rest[i:]
	}
	return rest, ""
}

// plainPath reports whether path has one reading as far as segments go: a
// leading slash, whole percent escapes, no dot segments in any spelling, and
// none of the bytes that end a path or cannot be in one.
func plainPath(path string) bool {
	if path[0] != '/' {
		return false
	}
	for i := 0; i < len(path); {
		start := i + 1
		suspect := false // holds what only decoding shows
		for i = start; i < len(path) && path[i] != '/'; i++ {
			switch c := path[i]; {
			case c == '%':
				if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
					return false
				}
				suspect = true
			case c == '\\':
				suspect = true
			case c <= ' ', c == 0x7f, c == '?', c == '#':
				return false
			}
		}
		seg := path[start:i]
		if isDots(seg) || suspect && hidesDots(decode(seg)) {
			return false
		}
	}
	return true
}

// isDots is also true with path parameters behind the dots ("..;x"), which
// some backends drop before they resolve them.
func isDots(s string) bool {
	if s == "" || s[0] != '.' {
		return false
	}
	if i := strings.IndexByte(s, ';'); i >= 0 {
		s = s[:i]
	}
	return s == "." || s == ".."
}

// hidesDots reports whether a decoded segment holds a dot segment for one who
// also splits at decoded slashes or backslashes, or a NUL, where C strings end.
func hidesDots(seg string) bool {
	for len(seg) > 0 {
		part := seg
		if i := strings.IndexAny(seg, `/\`); i >= 0 {
			part, seg = seg[:i], seg[i+1:]
		} else {
			seg = ""
		}
		if isDots(part) || strings.IndexByte(part, 0) >= 0 {
			return true
		}
	}
	return false
}

// decode removes one layer of percent encoding; plainPath has checked it.
func decode(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

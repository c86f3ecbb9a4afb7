package snapshot

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// routes makes a stage of lines "VERB /path"; "VERB! /path" is a guarded method.
func routes(lines ...string) (*Stage, error) {
	s := &Stage{Routes: &Node{Path: "/"}}
	for _, line := range lines {
		verb, path, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("no path in %q", line)
		}
		n, err := s.Routes.grow(path)
		if err != nil {
			return nil, err
		}
		m := &Method{ResourcePath: path}
		if v, guarded := strings.CutSuffix(verb, "!"); guarded {
			verb, m.Refused, s.guarded = v, "guard", true
		}
		m.HTTPMethod = verb
		if n.Methods == nil {
			n.Methods = make(map[string]*Method)
		}
		n.Methods[verb] = m
	}
	return s, nil
}

func mustRoutes(t testing.TB, lines ...string) *Stage {
	t.Helper()
	s, err := routes(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRoute reads: on these routes, this request goes there, with these
// parameters. "-" is no route, "bad" a refused path, "other" another spelling of
// a guarded one.
func TestRoute(t *testing.T) {
	pets := []string{"GET /", "GET /pets", "POST /pets", "GET /pets/{id}", "ANY /pets/{id}/toys", "GET /pets/mine", "ANY /files/{proxy+}"}
	beside := []string{"GET! /admin", "GET! /admin/{x}", "GET /{proxy+}"}
	for _, c := range []struct {
		routes []string
		verb   string
		path   string
		want   string
	}{
		{pets, "GET", "/", "GET /"},
		{pets, "GET", "", "GET /"},
		{pets, "POST", "/", "-"},
		{pets, "GET", "/pets", "GET /pets"},
		{pets, "GET", "/pets/", "GET /pets"}, // a trailing slash matches the resource, as on AWS
		{pets, "POST", "/pets", "POST /pets"},
		{pets, "DELETE", "/pets", "-"},
		{pets, "get", "/pets", "-"}, // methods are case-sensitive
		{pets, "GET", "/Pets", "-"}, // and so are paths
		{pets, "GET", "/pets/7", "GET /pets/{id} id=7"},
		{pets, "GET", "/pets/7/", "GET /pets/{id} id=7"},
		{pets, "GET", "/pets/mine", "GET /pets/mine"}, // literal before parameter
		{pets, "GET", "/pets/%6Dine", "GET /pets/mine"},
		{pets, "GET", "/pets/%256Dine", "GET /pets/{id} id=%256Dine"}, // decoded once
		{pets, "GET", "/pets/a%2Fb", "GET /pets/{id} id=a%2Fb"},       // stays inside its segment
		{pets, "GET", "/pets%2F7", "-"},
		// ANY is the seven verbs, each in its one spelling: a policy on GET must hold.
		{pets, "get", "/pets/7/toys", "-"},
		{pets, "TRACE", "/pets/7/toys", "-"},
		{pets, "ANY", "/pets/7/toys", "-"},
		{pets, "PUT", "/pets/7/toys", "ANY /pets/{id}/toys id=7"},
		{pets, "PUT", "/pets/mine/toys", "ANY /pets/{id}/toys id=mine"}, // the literal leads nowhere
		{pets, "GET", "/pets//toys", "-"},                               // an empty segment is no parameter
		{pets, "GET", "//pets", "-"},
		{pets, "GET", "/pets//", "-"},
		{pets, "GET", "/files", "-"}, // greedy takes at least one segment
		{pets, "GET", "/files/", "-"},
		{pets, "GET", "/files/a", "ANY /files/{proxy+} proxy=a"},
		{pets, "GET", "/files/a/b/", "ANY /files/{proxy+} proxy=a/b/"}, // as sent
		{pets, "GET", "/files/https://x/y", "ANY /files/{proxy+} proxy=https://x/y"},

		// ANY and exact verbs, resources that lack the verb (observed on AWS:
		// OPTIONS /test goes to {proxy+} when /test has only POST).
		{[]string{"POST /test", "ANY /test/any", "OPTIONS /{proxy+}"}, "OPTIONS", "/test", "OPTIONS /{proxy+} proxy=test"},
		{[]string{"POST /test", "ANY /test/any", "OPTIONS /{proxy+}"}, "OPTIONS", "/test/any", "ANY /test/any"},
		{[]string{"GET /a", "ANY /a"}, "GET", "/a", "GET /a"},
		{[]string{"GET /a", "ANY /a"}, "PUT", "/a", "ANY /a"},
		{[]string{"ANY /a/b", "GET /a/{proxy+}"}, "GET", "/a/b", "ANY /a/b"}, // the better resource before the better verb
		{[]string{"GET /a/b/c", "GET /a/{x}/d", "GET /{proxy+}"}, "GET", "/a/b/d", "GET /a/{x}/d x=b"},
		{[]string{"GET /a/b/c", "GET /a/{x}/d", "GET /{proxy+}"}, "GET", "/a/b/e", "GET /{proxy+} proxy=a/b/e"},
		{[]string{"GET /{a}/{b}/x", "GET /{a}/{proxy+}"}, "GET", "/1/2/3", "GET /{a}/{proxy+} a=1 proxy=2/3"},

		// Paths with two readings.
		{pets, "GET", "/pets/../files/a", "bad"},
		{pets, "GET", "/files/.", "bad"},
		{pets, "GET", "/files/..", "bad"},
		{pets, "GET", "/files/%2e%2E/x", "bad"},
		{pets, "GET", "/files/.%2e", "bad"},
		{pets, "GET", "/files/..;/x", "bad"},
		{pets, "GET", "/files/a%2F..%2Fb", "bad"},
		{pets, "GET", `/files/a\..\b`, "bad"},
		{pets, "GET", "/files/a%5C..", "bad"},
		{pets, "GET", "/files/a%00", "bad"},
		{pets, "GET", "/files/%", "bad"},
		{pets, "GET", "/files/%2", "bad"},
		{pets, "GET", "/files/%zz", "bad"},
		{pets, "GET", "/files/a?b", "bad"},
		{pets, "GET", "/files/a b", "bad"},
		{pets, "GET", "*", "bad"},
		{pets, "GET", "pets", "bad"},
		{pets, "GET", "/files/...", "ANY /files/{proxy+} proxy=..."}, // not a dot segment
		{pets, "GET", "/files/.hidden", "ANY /files/{proxy+} proxy=.hidden"},

		// {proxy+} beside a guarded resource is no way around it.
		{beside, "GET", "/admin", "GET /admin"},
		{beside, "GET", "/%61dmin", "GET /admin"},
		{beside, "GET", "/admin/", "GET /admin"},
		{beside, "GET", "//admin", "other"},
		{beside, "GET", "/admin//", "other"},
		{beside, "GET", "/admin%2F", "other"},
		{beside, "GET", "/admin%2fx", "other"},
		{beside, "GET", "/ADMIN", "other"},
		{beside, "GET", "/Admin/x", "other"},
		{beside, "GET", "/admin;v=1", "other"},
		{beside, "GET", `/\admin`, "other"},
		{beside, "GET", "/admin%5Cx", "other"},
		{beside, "GET", "/admin/x/y", "GET /{proxy+} proxy=admin/x/y"}, // no guarded resource is there
		{beside, "GET", "/public//x", "GET /{proxy+} proxy=public//x"},
		{beside, "GET", "/a%2Fb", "GET /{proxy+} proxy=a%2Fb"},
		{beside, "POST", "//admin", "-"},
	} {
		s := mustRoutes(t, c.routes...)
		var p Params
		if got := describe(s.Route(c.verb, c.path, &p))(&p); got != c.want {
			t.Errorf("%s %q on %v: %s, want %s", c.verb, c.path, c.routes, got, c.want)
		}
	}
}

func describe(m *Method, r RouteResult) func(*Params) string {
	return func(p *Params) string {
		switch r {
		case NoRoute:
			return "-"
		case BadPath:
			return "bad"
		case OtherSpelling:
			return "other"
		}
		s := m.HTTPMethod + " " + m.ResourcePath
		for _, q := range p.All() {
			s += " " + q.Name + "=" + q.Value
		}
		return s
	}
}

func TestGrowRefuses(t *testing.T) {
	for _, lines := range [][]string{
		{"GET pets"},
		{"GET //pets"},
		{"GET /pets/"},
		{"GET /{id"},
		{"GET /{}"},
		{"GET /{+}"},
		{"GET /{proxy+}/x"},
		{"GET /{a}/x", "GET /{b}/y"},
		{"GET /" + strings.Repeat("{a}/", maxParams) + "{a}"},
	} {
		if _, err := routes(lines...); err == nil {
			t.Errorf("%v compiles", lines)
		}
	}
}

// reference is the router as one would say it: try every resource, keep the
// best. It shares no code with Route.
type reference []refRoute

type refRoute struct {
	verb    string
	guarded bool
	path    string
	parts   []string
}

func newReference(lines []string) reference {
	var ref reference
	for _, line := range lines {
		verb, path, _ := strings.Cut(line, " ")
		verb, guarded := strings.CutSuffix(verb, "!")
		r := refRoute{verb: verb, guarded: guarded, path: path}
		if path != "/" {
			r.parts = strings.Split(path[1:], "/")
		}
		ref = append(ref, r)
	}
	return ref
}

// rank of a segment: literal, {name}, {name+}.
func rank(part string) int {
	switch {
	case strings.HasSuffix(part, "+}"):
		return 2
	case strings.HasPrefix(part, "{"):
		return 1
	}
	return 0
}

// best returns the best of the routes that fit, and whether it took a parameter.
func (ref reference) best(verb string, segs []string, equal func(part, seg string) bool, emptyOK bool) *refRoute {
	var fit []*refRoute
	for i := range ref {
		r := &ref[i]
		if (r.verb == verb || r.verb == "ANY") && r.fits(segs, equal, emptyOK) {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return slices.MinFunc(fit, func(a, b *refRoute) int {
		for i := range min(len(a.parts), len(b.parts)) {
			if c := cmp.Compare(rank(a.parts[i]), rank(b.parts[i])); c != 0 {
				return c
			}
		}
		// The same resource: the verb before ANY.
		return cmp.Compare(strings.Count(a.verb, "ANY"), strings.Count(b.verb, "ANY"))
	})
}

func (r *refRoute) fits(segs []string, equal func(part, seg string) bool, emptyOK bool) bool {
	for i, part := range r.parts {
		if i >= len(segs) {
			return false
		}
		switch rank(part) {
		case 2:
			return true
		case 1:
			if segs[i] == "" && !emptyOK {
				return false
			}
		default:
			if !equal(part, segs[i]) {
				return false
			}
		}
	}
	return len(segs) == len(r.parts)
}

var (
	badBytes = regexp.MustCompile(`[\x00-\x20\x7f?#]`)
	dots     = regexp.MustCompile(`(^|[/\\])\.\.?(;[^/\\]*)?($|[/\\])`)
)

func (ref reference) route(verb, path string) (*refRoute, RouteResult) {
	if path == "" {
		path = "/"
	}
	if path[0] != '/' || badBytes.MatchString(path) {
		return nil, BadPath
	}
	segs := strings.Split(path[1:], "/")
	for _, seg := range segs {
		plain, err := url.PathUnescape(seg)
		if err != nil || dots.MatchString(plain) || strings.Contains(plain, "\x00") {
			return nil, BadPath
		}
	}
	// The end of the path, or one slash at its end, ends the segments.
	if segs[len(segs)-1] == "" {
		segs = segs[:len(segs)-1]
	}
	// A greedy parameter still sees that last slash behind something.
	strict := func(part, seg string) bool {
		plain, _ := url.PathUnescape(seg)
		return seg != "" && plain == part
	}
	m := ref.best(verb, segs, strict, false)
	if m == nil {
		return nil, NoRoute
	}
	plain, _ := url.PathUnescape(path)
	var loose []string
	for seg := range strings.SplitSeq(plain, "/") {
		if seg != "" {
			loose = append(loose, seg)
		}
	}
	fold := func(part, seg string) bool {
		seg, _, _ = strings.Cut(seg, ";")
		return strings.EqualFold(part, seg)
	}
	took := slices.ContainsFunc(m.parts, func(p string) bool { return rank(p) > 0 })
	if other := ref.best(verb, loose, fold, true); took && other != nil && other != m && other.guarded {
		return nil, OtherSpelling
	}
	return m, Routed
}

func FuzzRoute(f *testing.F) {
	for _, c := range [][3]string{
		{"GET /,GET /pets,GET /pets/{id},ANY /pets/{id}/toys,ANY /files/{proxy+}", "GET", "/pets/7/toys"},
		{"GET! /admin,GET! /admin/{x},GET /{proxy+}", "GET", "/admin%2Fx"},
		{"GET! /admin,GET /{proxy+}", "GET", "//admin/"},
		{"GET /a/b/c,GET /a/{x}/d,GET /{proxy+}", "GET", "/a/b/e"},
		{"POST /test,OPTIONS /{proxy+}", "OPTIONS", "/test"},
		{"GET /a/{proxy+},GET /a", "GET", "/a/%2e%2e;x/b"},
		{"ANY /{a}/{b},GET /{a}/x", "ANY", "/1//x"},
	} {
		f.Add(c[0], c[1], c[2])
	}
	literal := regexp.MustCompile(`^(/|(/([a-z0-9._-]+|\{[a-z]+\+?\}))+)$`)
	f.Fuzz(func(t *testing.T, table, verb, path string) {
		lines := strings.Split(table, ",")
		seen := make(map[string]bool)
		for _, line := range lines {
			v, p, ok := strings.Cut(line, " ")
			v = strings.TrimSuffix(v, "!")
			// One method per resource and verb, resources that differ in more than case.
			if !ok || v == "" || !literal.MatchString(p) || seen[v+" "+p] {
				return
			}
			seen[v+" "+p] = true
		}
		s, err := routes(lines...)
		if err != nil {
			return
		}
		var p Params
		m, r := s.Route(verb, path, &p)
		refM, refR := newReference(lines).route(verb, path)
		got, want := "", ""
		if m != nil {
			got = m.HTTPMethod + " " + m.ResourcePath
		}
		if refM != nil {
			want = refM.verb + " " + refM.path
		}
		if r != refR || got != want {
			t.Fatalf("%s %q on %v: %v %q, the reference says %v %q", verb, path, lines, r, got, refR, want)
		}
		// What routed leaves by the segments it was routed by.
		if m != nil {
			at := m.ResourcePath
			for _, q := range p.All() {
				at = strings.Replace(strings.Replace(at, "{"+q.Name+"+}", q.Value, 1), "{"+q.Name+"}", q.Value, 1)
			}
			a, _ := url.PathUnescape(strings.TrimSuffix(at, "/"))
			b, _ := url.PathUnescape(strings.TrimSuffix(path, "/"))
			if a != b && len(p.All()) > 0 && !strings.Contains(path, "{") {
				t.Fatalf("%q was routed as %q", path, at)
			}
		}
	})
}

func TestRouteDoesNotAllocate(t *testing.T) {
	s := mustRoutes(t, "GET /pets", "GET! /pets/{id}/secret", "GET /pets/{id}/toys/{toy}", "ANY /files/{proxy+}")
	var p Params
	for _, path := range []string{"/pets", "/pets/7/toys/8", "/files/a/b/c", "/nowhere"} {
		if n := testing.AllocsPerRun(100, func() { s.Route("GET", path, &p) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	var lines []string
	for i := range 300 {
		lines = append(lines, fmt.Sprintf("GET /r%d/{id}/items", i))
	}
	s := mustRoutes(b, append(lines, "ANY /{proxy+}")...)
	var p Params
	b.ReportAllocs()
	for b.Loop() {
		if m, _ := s.Route("GET", "/r150/42/items", &p); m == nil {
			b.Fatal("no route")
		}
	}
}

package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Backend is one backend of a stage: what its HTTP and HTTP_PROXY integrations
// connect to.
type Backend struct {
	Scheme string // http or https
	Host   string // authority in lower case: a name or an address, with an optional port
	// Target is what a VPC link leads to in place of Host; "": Host is dialed.
	Target                   string
	InsecureSkipVerification bool
	// Methods that lead there, "GET /pets/{id}", sorted: at most
	// MaxBackendMethods. More says how many others there are.
	Methods []string
	More    int
	// Broken says why nothing can be dialed: the VPC link leads nowhere. "": it
	// does, or there is none.
	Broken string
}

// MaxBackendMethods bounds the examples in Backend.Methods.
const MaxBackendMethods = 10

// Backends lists each distinct backend of the stage, stage variables filled in,
// by scheme, host, target and whether verification is relaxed. Those whose host
// depends on the request are in OpenBackends.
func (s *Stage) Backends() []Backend {
	list, _ := s.backends()
	return list
}

// OpenBackends names the methods whose backends cannot be told without a
// request, or at all, each with the reason.
func (s *Stage) OpenBackends() []string {
	_, open := s.backends()
	return open
}

func (s *Stage) backends() (list []Backend, open []string) {
	type identity struct {
		scheme, host, target string
		skip                 bool
	}
	found := make(map[identity]*Backend)
	if s.Routes != nil {
		s.Routes.methods(func(m *Method) {
			in := m.Integration
			if in == nil || in.Type != HTTP && in.Type != HTTPProxy {
				return
			}
			name := m.HTTPMethod + " " + m.ResourcePath
			scheme, host, err := in.authority(s.Variables)
			if err != nil {
				open = append(open, fmt.Sprintf("%s: %v", name, err))
				return
			}
			id := identity{scheme, host, in.Target, in.InsecureSkipVerification}
			b := found[id]
			if b == nil {
				b = &Backend{Scheme: scheme, Host: host, Target: in.Target, InsecureSkipVerification: in.InsecureSkipVerification, Broken: in.Broken}
				found[id] = b
			}
			b.Methods = append(b.Methods, name)
		})
	}
	for _, b := range found {
		slices.Sort(b.Methods)
		if n := len(b.Methods); n > MaxBackendMethods {
			b.Methods, b.More = b.Methods[:MaxBackendMethods], n-MaxBackendMethods
		}
		list = append(list, *b)
	}
	slices.SortFunc(list, func(a, b Backend) int {
		return cmp.Or(cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Target, b.Target),
			cmp.Compare(boolToInt(a.InsecureSkipVerification), boolToInt(b.InsecureSkipVerification)))
	})
	slices.Sort(open)
	return list, open
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// methods calls f for each method of the tree.
func (n *Node) methods(f func(*Method)) {
	for _, m := range n.Methods {
		f(m)
	}
	for _, child := range n.Literal {
		child.methods(f)
	}
	for _, child := range []*Node{n.Param, n.Greedy} {
		if child != nil {
			child.methods(f)
		}
	}
}

// authority is the scheme and host that the integration's URI has under the
// stage's variables; an error says what of a request it depends on, or what is
// missing.
func (in *Integration) authority(variables map[string]string) (scheme, host string, err error) {
	var uri strings.Builder
	for _, segment := range in.URI {
		switch {
		case segment.Stage != "":
			v := variables[segment.Stage]
			if v == "" {
				return "", "", fmt.Errorf("stage variable %s is not set", segment.Stage)
			}
			uri.WriteString(v)
		case segment.Path != "":
			v, err := in.fixed(segment.Path, variables)
			if err != nil {
				return "", "", err
			}
			uri.WriteString(v)
		default:
			uri.WriteString(segment.Literal)
		}
		scheme, rest, ok := strings.Cut(uri.String(), "://")
		if end := strings.IndexAny(rest, "/?#"); ok && end >= 0 {
			return strings.ToLower(scheme), strings.ToLower(rest[:end]), nil
		}
	}
	scheme, host, ok := strings.Cut(uri.String(), "://")
	if !ok {
		return "", "", fmt.Errorf("%q is no URI", uri.String())
	}
	return strings.ToLower(scheme), strings.ToLower(host), nil
}

// fixed is the value of a path parameter of the URI that is the same for every
// request.
func (in *Integration) fixed(name string, variables map[string]string) (string, error) {
	for _, m := range in.RequestParameters {
		if m.Location != "path" || m.Name != name {
			continue
		}
		switch {
		case m.Source.Kind == "static":
			return m.Source.Name, nil
		case m.Source.Kind == "stageVariable" && variables[m.Source.Name] != "":
			return variables[m.Source.Name], nil
		case m.Source.Kind == "stageVariable":
			return "", fmt.Errorf("stage variable %s is not set", m.Source.Name)
		}
		return "", fmt.Errorf("the host depends on {%s}, which comes from the request", name)
	}
	return "", fmt.Errorf("nothing is mapped to {%s} of the host", name)
}

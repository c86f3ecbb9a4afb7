package snapshot

import (
	"fmt"

	"github.com/sallyport/sallyport/internal/resource"
)

// connection is the VPC link by which an integration goes, as its document
// says it.
type connection struct {
	link   string // the link's id, or ${stageVariables.NAME}
	target string // integrationTarget
}

// nowhere is the target of an integration whose VPC link leads to none. No
// setting can map it: names hold no space.
const nowhere = "no target"

// connect copies the tree of a deployment, with every integration that goes by
// a VPC link led to its target. It returns the ids of the links that it asked
// for, also those that are not there.
func (d *deployment) connect(variables map[string]string, links map[string]source) (*Node, map[string]struct{}) {
	c := connector{deployment: d, variables: variables, links: links, asked: make(map[string]struct{})}
	return c.node(d.routes), c.asked
}

type connector struct {
	*deployment
	variables map[string]string
	links     map[string]source
	asked     map[string]struct{}
}

func (c *connector) node(n *Node) *Node {
	if n == nil {
		return nil
	}
	next := *n
	next.Param, next.Greedy = c.node(n.Param), c.node(n.Greedy)
	if n.Literal != nil {
		next.Literal = make(map[string]*Node, len(n.Literal))
		for part, child := range n.Literal {
			next.Literal[part] = c.node(child)
		}
	}
	if n.Methods != nil {
		next.Methods = make(map[string]*Method, len(n.Methods))
		for verb, m := range n.Methods {
			next.Methods[verb] = c.method(m)
		}
	}
	return &next
}

func (c *connector) method(m *Method) *Method {
	to, ok := c.connections[m.Integration]
	if !ok {
		return m
	}
	next, in := *m, *m.Integration
	target, err := c.route(to)
	if in.Target, in.Broken = target, ""; err != nil {
		in.Target, in.Broken = nowhere, err.Error()
	}
	next.Integration = &in
	return &next
}

func (c *connector) route(to connection) (string, error) {
	id := to.link
	if name := resource.LinkVariable(id); name != "" {
		if id = c.variables[name]; id == "" {
			return "", fmt.Errorf("the stage variable %s, which names the VPC link, is not set", name)
		}
	}
	c.asked[id] = struct{}{}
	src, ok := c.links[id]
	switch {
	case !ok:
		return resource.Route(nil, id, to.target)
	case src.err != nil:
		return "", fmt.Errorf("VPC link %s: %w", id, src.err)
	}
	link := src.facts.(resource.Link)
	return resource.Route(&link, id, to.target)
}

// touchLinked touches the stages that asked for a link that is touched.
func (s *Snapshot) touchLinked(t *touched) {
	if len(t.links) == 0 {
		return
	}
	s.apis.all(func(id string, api *API) {
		for name, stage := range api.Stages {
			for link := range stage.links {
				if _, ok := t.links[link]; ok {
					t.stage(id, name, false)
				}
			}
		}
	})
}

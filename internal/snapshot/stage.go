package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// deployment is a compiled frozen copy; stages that serve it share it.
type deployment struct {
	routes   *Node
	policy   *resource.Policy
	refused  []string  // guards on all of it
	refusals []Refusal // of methods; Key is left empty
	// connections are those of integrations that go by a VPC link: each stage
	// leads them to their targets for itself.
	connections map[*Integration]connection
}

// compileStage joins a deployment with what the live stage says. links are the
// VPC links that there are.
func compileStage(api, name string, src *stageSource, d *deployment, links map[string]source) (*Stage, error) {
	if src.effect.err != nil {
		return nil, fmt.Errorf("stage effect: %w", src.effect.err)
	}
	facts := src.stage.facts.(stageFacts)
	effect, _ := src.effect.facts.(resource.StageEffect) // none: nothing is disabled
	routes, asked := d.routes, map[string]struct{}(nil)
	if len(d.connections) > 0 {
		routes, asked = d.connect(facts.variables, links)
	}
	return &Stage{
		API:                    api,
		Name:                   name,
		Deployment:             facts.deployment,
		DisableDefaultEndpoint: effect.DisableExecuteAPIEndpoint,
		Policy:                 d.policy,
		Variables:              facts.variables,
		AccessLog:              facts.accessLog,
		Routes:                 routes.logged(facts.logs),
		Refused:                strings.Join(slices.Concat(facts.refused, d.refused), ", "),
		deployment:             d,
		links:                  asked,
		guarded:                d.policy != nil || len(d.refusals) > 0,
	}, nil
}

// refusals lists what the stage refuses, under its store key.
func (s *Stage) refusals(key string) []Refusal {
	var rs []Refusal
	if s.Refused != "" {
		rs = append(rs, Refusal{Key: key, Guard: s.Refused})
	}
	for _, r := range s.deployment.refusals {
		r.Key = key
		rs = append(rs, r)
	}
	return rs
}

// compileDeployment compiles a frozen copy. executeARN is the prefix of the
// ARNs that its resource policy speaks of.
func compileDeployment(value []byte, executeARN string) (*deployment, error) {
	var f resource.Frozen
	if err := json.Unmarshal(value, &f); err != nil {
		return nil, err
	}
	var api types.RestApi
	if err := awsapi.Unmarshal(f.RestAPI, &api); err != nil {
		return nil, fmt.Errorf("API: %w", err)
	}
	d := &deployment{routes: &Node{Path: "/"}, connections: make(map[*Integration]connection)}
	if text := aws.ToString(api.Policy); text != "" {
		policy, err := resource.ParsePolicy(text, executeARN)
		var not *resource.NotEnforceable
		switch {
		case errors.As(err, &not):
			d.refused = append(d.refused, not.Error())
		case err != nil:
			return nil, fmt.Errorf("resource policy: %w", err)
		default:
			d.policy = policy
		}
	}
	for _, raw := range f.Resources {
		var res types.Resource
		if err := awsapi.Unmarshal(raw, &res); err != nil {
			return nil, fmt.Errorf("resource: %w", err)
		}
		if err := d.add(res); err != nil {
			return nil, fmt.Errorf("resource %s %s: %w", aws.ToString(res.Id), aws.ToString(res.Path), err)
		}
	}
	slices.SortFunc(d.refusals, func(a, b Refusal) int { return strings.Compare(a.Method, b.Method) })
	return d, nil
}

// add puts a resource with its methods into the tree.
func (d *deployment) add(res types.Resource) error {
	path := aws.ToString(res.Path)
	node, err := d.routes.grow(path)
	if err != nil {
		return err
	}
	if node.ResourceID != "" {
		return fmt.Errorf("resource %s has the same path", node.ResourceID)
	}
	node.ResourceID = aws.ToString(res.Id)
	node.Methods = make(map[string]*Method, len(res.ResourceMethods))
	for _, verb := range slices.Sorted(maps.Keys(res.ResourceMethods)) {
		m, err := compileMethod(verb, res.ResourceMethods[verb])
		if err != nil {
			return fmt.Errorf("method %s: %w", verb, err)
		}
		m.ResourceID, m.ResourcePath = node.ResourceID, path
		node.Methods[verb] = m
		if doc := res.ResourceMethods[verb].MethodIntegration; m.Integration != nil && doc.ConnectionType == types.ConnectionTypeVpcLink {
			d.connections[m.Integration] = connection{link: aws.ToString(doc.ConnectionId), target: aws.ToString(doc.IntegrationTarget)}
		}
		if m.Refused != "" {
			d.refusals = append(d.refusals, Refusal{Method: verb + " " + path, Guard: m.Refused})
		}
	}
	return nil
}

// grow returns the node of a resource path, made with all nodes above it.
func (n *Node) grow(path string) (*Node, error) {
	if path == "/" {
		return n, nil
	}
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("path does not start with a slash")
	}
	params := 0
	for rest, at := path, ""; rest != ""; {
		var part string
		part, rest = cut(rest)
		at += "/" + part
		name, greedy, isParam, err := pathPart(part)
		switch {
		case err != nil:
			return nil, err
		case greedy && rest != "":
			return nil, fmt.Errorf("nothing can follow %s", part)
		case !isParam:
			if n.Literal == nil {
				n.Literal = make(map[string]*Node)
			}
			next := n.Literal[part]
			if next == nil {
				next = &Node{Path: at}
				n.Literal[part] = next
			}
			n = next
			continue
		}
		if params++; params > maxParams {
			return nil, fmt.Errorf("more than %d path parameters", maxParams)
		}
		slot := &n.Param
		if greedy {
			slot = &n.Greedy
		}
		if *slot == nil {
			*slot = &Node{Path: at, ParamName: name}
		}
		if (*slot).ParamName != name {
			return nil, fmt.Errorf("sibling {%s} is already a parameter here", (*slot).ParamName)
		}
		n = *slot
	}
	return n, nil
}

// pathPart reads one segment of a resource path: literal, {name} or {name+}.
func pathPart(part string) (name string, greedy, isParam bool, err error) {
	if part == "" {
		return "", false, false, errors.New("empty path segment")
	}
	name, isParam = strings.CutPrefix(part, "{")
	if !isParam {
		return "", false, false, nil
	}
	name, ok := strings.CutSuffix(name, "}")
	name, greedy = strings.CutSuffix(name, "+")
	if !ok || name == "" {
		return "", false, false, fmt.Errorf("%q is no path parameter", part)
	}
	return name, greedy, true, nil
}

func compileMethod(verb string, doc types.Method) (*Method, error) {
	m := &Method{HTTPMethod: verb}
	for name, required := range doc.RequestParameters {
		if required {
			m.RequiredParameters = append(m.RequiredParameters, name)
		}
	}
	slices.Sort(m.RequiredParameters)
	refused := resource.GuardsNotEnforced(doc)
	if doc.MethodIntegration != nil {
		var unreachable string
		var err error
		if m.Integration, unreachable, err = compileIntegration(doc); err != nil {
			return nil, fmt.Errorf("integration: %w", err)
		}
		if unreachable != "" {
			refused = append(refused, unreachable)
		}
	}
	m.Refused = strings.Join(refused, ", ")
	return m, nil
}

// compileAccessLog returns nil when s does not name both a destination and a
// format: the log is off.
func compileAccessLog(s *types.AccessLogSettings) (*AccessLog, error) {
	if s == nil || aws.ToString(s.DestinationArn) == "" || aws.ToString(s.Format) == "" {
		return nil, nil
	}
	group, err := logGroup(*s.DestinationArn)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	format, err := telemetry.CompileFormat(*s.Format)
	if err != nil {
		return nil, fmt.Errorf("access log format: %w", err)
	}
	return &AccessLog{Group: group, Format: format}, nil
}

// logGroup returns the log group that a destination ARN names; for a Firehose
// stream, which has none, the stream's name, so that nothing is lost.
// Source: arn:aws:logs:{region}:{account}:log-group:{name}[:*] and
// arn:aws:firehose:{region}:{account}:deliverystream/amazon-apigateway-{name}.
func logGroup(arn string) (string, error) {
	bad := fmt.Errorf("destination %q is no ARN of a log group or delivery stream", arn)
	f := strings.SplitN(arn, ":", 6)
	if len(f) != 6 || f[0] != "arn" {
		return "", bad
	}
	var group string
	var ok bool
	switch f[2] {
	case "logs":
		group, ok = strings.CutPrefix(f[5], "log-group:")
		group = strings.TrimSuffix(group, ":*")
	case "firehose":
		group, ok = strings.CutPrefix(f[5], "deliverystream/")
	}
	if !ok || group == "" || len(group) > 512 {
		return "", bad
	}
	// The group becomes a file name: nothing in it may climb.
	for _, part := range strings.Split(strings.TrimPrefix(group, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return "", bad
		}
	}
	for _, r := range group {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-/#", r)) {
			return "", bad
		}
	}
	return group, nil
}

// statusCode reads a status of a method or integration response.
func statusCode(s string) (int, error) {
	code, err := strconv.Atoi(s)
	if err != nil || len(s) != 3 || code < 100 || code > 599 {
		return 0, fmt.Errorf("%q is no status code", s)
	}
	return code, nil
}

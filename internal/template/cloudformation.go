package template

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// transform names of which it is known what they do.
const (
	samTransform       = "AWS::Serverless-2016-10-31"
	languageExtensions = "AWS::LanguageExtensions"
)

// harmless macros change nothing that is judged here.
var harmless = []string{samTransform, languageExtensions, "AWS::CodeDeployBlueGreen", "AWS::SecretsManager-2020-07-23", "AWS::SecretsManager-2024-09-16", "AWS::ServiceCatalog"}

// template reads a CloudFormation template, or a SAM one.
func (r *reader) template(file string, root *node) {
	e := &evaluator{options: r.options, parameters: root.member("Parameters"), mappings: root.member("Mappings"), conditions: root.member("Conditions"),
		resources: root.member("Resources"), judged: map[string]answer{}, open: map[string]bool{}, names: map[string]bool{}}
	s := &stack{file: file, options: r.options}

	sam, macro := false, ""
	for _, name := range transforms(root.member("Transform")) {
		sam = sam || name == samTransform
		if !slices.Contains(harmless, name) {
			macro = name
		}
	}
	switch {
	case macro == "AWS::Include":
		r.problem(file, root.member("Transform").line, "what AWS::Include adds to the template is not read")
	case macro != "":
		r.problem(file, root.member("Transform").line, "macro %s may change every resource of the template: nothing in it is known", macro)
	}

	var globals value
	var serverless []samResource
	if sam {
		for _, id := range e.resources.keys {
			n := e.resources.at[id]
			if t := n.member("Type"); t != nil && strings.HasPrefix(t.text, "AWS::Serverless::") && e.exists(n) != no {
				serverless = append(serverless, samResource{id, t.text, n})
			}
		}
		globals = e.eval(root.member("Globals"))
		samNames(e, globals, serverless)
	}
	for _, id := range e.resources.keys {
		n := e.resources.at[id]
		typ := ""
		if t := n.member("Type"); t != nil && t.kind == scalarNode {
			typ = t.text
		}
		switch {
		case strings.HasPrefix(id, "Fn::"):
			r.problem(file, n.line, "%s is not resolved: the resources it makes are not judged", id)
			continue
		case n.kind != mapNode:
			r.problem(file, n.line, "resource %s is not an object", id)
			continue
		case typ == "":
			r.problem(file, n.line, "resource %s has no type", id)
			continue
		case e.exists(n) == no:
			continue
		case typ == "AWS::CloudFormation::Stack", typ == "AWS::CloudFormation::StackSet", typ == "AWS::Serverless::Application":
			r.problem(file, n.line, "%s is a template of its own (%s): name its file as well to have it judged", id, typ)
			continue
		case strings.HasSuffix(typ, "::MODULE"):
			r.problem(file, n.line, "%s is a module (%s): what it makes is not judged", id, typ)
			continue
		case n.has("Fn::Transform"):
			r.problem(file, n.line, "a macro makes resource %s: it is not judged", id)
			continue
		}
		if !slices.Contains(relevant, typ) {
			continue
		}
		if len(s.declared) >= maxResources {
			r.problem(file, n.line, "there are more than %d resources; the others are not judged", maxResources)
			break
		}
		s.add(&declared{id: id, typ: typ, props: properties(e, n), line: n.line, doubt: e.doubt(n)})
	}
	for _, d := range slices.Clone(s.declared) {
		if d.typ == typeAPI {
			s.quickCreate(d)
			s.openAPI(d)
		}
	}
	s.expand(r, e, globals, serverless)
	for _, d := range slices.Clone(s.declared) {
		if d.typ == typeOverrides {
			s.override(d)
		}
	}
	if macro != "" && macro != "AWS::Include" {
		for _, d := range s.declared {
			d.settled = map[string]string{"": "macro " + macro + " may change it"}
		}
	}
	s.assemble()
	if s.lost != "" {
		r.problem(file, 0, "%s: what is not known of them is unknown", tooMany)
	}
	if e.spent {
		r.problem(file, 0, "the template stands for too much: what was not resolved within %d steps is unknown", maxSteps)
	}
	r.found.Resources = append(r.found.Resources, s.resources...)
}

// properties are those of a resource; one without has none, which is known.
func properties(e *evaluator, n *node) value {
	if p := n.member("Properties"); p != nil {
		return e.eval(p)
	}
	return value{kind: object}
}

// transforms are the names of a template's macros.
func transforms(n *node) []string {
	switch {
	case n == nil:
		return nil
	case n.kind == scalarNode:
		return []string{n.text}
	case n.kind == listNode:
		var names []string
		for _, item := range n.items {
			names = append(names, transforms(item)...)
		}
		return names
	case n.kind == mapNode:
		return transforms(n.member("Name"))
	}
	return []string{"that cannot be read"}
}

// quickCreate declares what a V2 API with a target makes beside itself: a
// route, its integration, and a stage $default.
//
// Source: CloudFormation template reference, AWS::ApiGatewayV2::Api, Target.
func (s *stack) quickCreate(d *declared) {
	if d.props.get("Target").kind == absent {
		return
	}
	key := d.props.get("RouteKey")
	if key.kind == absent {
		key = word("$default")
	}
	api := reference(d.id, "", "")
	for _, m := range []struct {
		typ   string
		props value
	}{
		{posture.TypeStageV2, set("ApiId", api, "StageName", word("$default"))},
		{posture.TypeRoute, set("ApiId", api, "RouteKey", key, "AuthorizationType", word("NONE"))},
		{posture.TypeIntegration, set("ApiId", api, "IntegrationUri", d.props.get("Target"))},
	} {
		s.add(&declared{id: d.id + " " + m.typ, shown: d.id, typ: m.typ, props: m.props, line: d.line, doubt: d.doubt})
	}
}

// override changes what was made by quick create. Without that in the same
// template it declares it, so that it is judged.
func (s *stack) override(d *declared) {
	api := d.props.get("ApiId")
	for _, m := range []struct{ typ, section string }{
		{posture.TypeStageV2, "Stage"}, {posture.TypeRoute, "Route"}, {posture.TypeIntegration, "Integration"},
	} {
		section := d.props.get(m.section)
		if section.kind == absent {
			continue
		}
		made := s.byID[api.of+" "+m.typ]
		switch {
		case made == nil:
			props := set("ApiId", api)
			if m.typ == posture.TypeRoute {
				props.put("RouteKey", unsure("it is that of an API that another template makes"))
			}
			if m.typ == posture.TypeIntegration {
				continue // it overrides nothing that is judged
			}
			made = s.add(&declared{id: d.id + " " + m.typ, typ: m.typ, props: props, line: d.line})
		case d.doubt != "":
			made.settled = map[string]string{"": d.id + ": " + d.doubt}
		}
		made.shown, made.line = d.id, d.line
		switch section.kind {
		case object:
			for _, key := range section.keys {
				made.props.put(key, section.members[key])
			}
		default:
			made.settled = map[string]string{"": section.reason}
		}
	}
}

package template

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxSteps bounds the work on one template: aliases and Fn::Sub make little
// text stand for much.
const maxSteps = 500_000

// An evaluator resolves the intrinsic functions of one template.
//
// Source: CloudFormation template reference, intrinsic functions and pseudo
// parameters.
type evaluator struct {
	options    *Options
	parameters *node
	mappings   *node
	conditions *node
	resources  *node

	// names are those that SAM gives to what it makes: ${Api.Stage}.
	names map[string]bool

	judged map[string]answer // conditions
	open   map[string]bool   // conditions that are being judged
	steps  int
	depth  int
	spent  bool // the bound was reached
}

// eval gives the value of an expression; of nil it is absent.
func (e *evaluator) eval(n *node) value {
	if n == nil {
		return value{}
	}
	v := e.expression(n)
	v.line = n.line
	return v
}

func (e *evaluator) expression(n *node) value {
	if e.steps++; e.steps > maxSteps {
		e.spent = true
		return unsure("the template stands for too much to be resolved")
	}
	if e.depth > maxDepth {
		return unsure("it is nested too deeply")
	}
	e.depth++
	defer func() { e.depth-- }()
	switch n.kind {
	case nullNode:
		return unsure("it is null, which CloudFormation refuses")
	case brokenNode:
		return unsure("%s", n.text)
	case scalarNode:
		if strings.Contains(n.text, "{{resolve:") {
			return unsure("it is a dynamic reference, which is resolved at deployment")
		}
		return value{kind: scalar, text: n.spelled(), plain: n.plain}
	case listNode:
		v := value{kind: list}
		for _, item := range n.items {
			if i := e.eval(item); i.kind != absent {
				v.items = append(v.items, i)
			}
		}
		return v
	}
	if name, argument, ok := n.function(); ok {
		return e.call(name, argument)
	}
	v := value{kind: object, members: make(map[string]value, len(n.keys))}
	for _, key := range n.keys {
		if strings.HasPrefix(key, "Fn::") {
			return unsure("%s is not resolved", key)
		}
		v.put(key, e.eval(n.at[key]))
	}
	return v
}

func (e *evaluator) call(name string, n *node) value {
	switch name {
	case "Ref":
		if n.kind != scalarNode {
			return unsure("Ref of what is not a name")
		}
		return e.ref(n.text)
	case "Fn::GetAtt":
		return e.getAtt(n)
	case "Fn::Sub":
		return e.sub(n)
	case "Fn::Join":
		if v := e.eval(n); v.kind == list && len(v.items) == 2 && v.items[0].known() && v.items[1].kind == list {
			return join(v.items[0].text, v.items[1].items)
		} else if v.kind == list && len(v.items) == 2 && v.items[1].kind == unknown {
			return unsure("%s", v.items[1].reason)
		}
	case "Fn::Select":
		if v := e.eval(n); v.kind == list && len(v.items) == 2 {
			at, err := strconv.Atoi(v.items[0].text)
			from := v.items[1]
			switch {
			case from.kind == unknown:
				return unsure("%s", from.reason)
			case v.items[0].known() && err == nil && from.kind == list && at >= 0 && at < len(from.items):
				return from.items[at]
			}
		}
	case "Fn::Split":
		if v := e.eval(n); v.kind == list && len(v.items) == 2 && v.items[0].known() && v.items[0].text != "" {
			if v.items[1].known() {
				e.steps += strings.Count(v.items[1].text, v.items[0].text)
				return split(v.items[1].text, v.items[0].text)
			}
			return unsure("%s", cmp.Or(v.items[1].reason, "Fn::Split of what is not a text"))
		}
	case "Fn::FindInMap":
		return e.findInMap(n)
	case "Fn::If":
		if n.kind != listNode || len(n.items) != 3 || n.items[0].kind != scalarNode {
			break
		}
		switch e.condition(n.items[0].text) {
		case yes:
			return e.eval(n.items[1])
		case no:
			return e.eval(n.items[2])
		}
		a, b := e.eval(n.items[1]), e.eval(n.items[2])
		if a.kind == b.kind && same(a, b) == yes {
			return a
		}
		return unsure("Fn::If: condition %s cannot be told", n.items[0].text)
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		switch e.judge(&node{kind: mapNode, line: n.line, keys: []string{name}, at: map[string]*node{name: n}}) {
		case yes:
			return word("true")
		case no:
			return word("false")
		}
		return unsure("%s cannot be told", name)
	case "Fn::Base64":
		if v := e.eval(n); v.kind == scalar && (v.opaque || v.text != "") {
			return value{kind: scalar, opaque: true, text: nameless, reason: "Fn::Base64 is not resolved"}
		}
	case "Fn::Length":
		if v := e.eval(n); v.kind == list {
			return word(strconv.Itoa(len(v.items)))
		}
	case "Fn::ToJsonString":
		return value{kind: scalar, opaque: true, text: nameless, reason: "Fn::ToJsonString is not resolved"}
	case "Fn::ImportValue":
		if v := e.eval(n); v.known() {
			return unsure("Fn::ImportValue: %s is exported by another stack", v.text)
		}
		return unsure("Fn::ImportValue: it is exported by another stack")
	}
	return unsure("%s is not resolved", name)
}

func split(text, by string) value {
	v := value{kind: list}
	for part := range strings.SplitSeq(text, by) {
		v.items = append(v.items, word(strings.TrimSpace(part)))
	}
	return v
}

func (e *evaluator) ref(name string) value {
	switch name {
	case "AWS::NoValue":
		return value{}
	case "AWS::Region":
		return pseudo(name, e.options.Region)
	case "AWS::AccountId":
		return pseudo(name, e.options.Account)
	case "AWS::Partition":
		return pseudo(name, partitionOf(e.options.Region))
	case "AWS::URLSuffix":
		suffix := ""
		switch partitionOf(e.options.Region) {
		case "aws", "aws-us-gov":
			suffix = "amazonaws.com"
		case "aws-cn":
			suffix = "amazonaws.com.cn"
		}
		return pseudo(name, suffix)
	case "AWS::StackName", "AWS::StackId":
		return pseudo(name, "")
	case "AWS::NotificationARNs":
		return unsure("Ref: %s is known at deployment", name)
	}
	if p := e.parameters.member(name); p != nil {
		return e.parameter(name, p)
	}
	return e.resource(name, "")
}

func pseudo(name, text string) value {
	if text != "" {
		return word(text)
	}
	return reference(name, "", name+" is known at deployment")
}

// partitionOf a Region; "" of none.
func partitionOf(region string) string {
	switch {
	case region == "":
		return ""
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (e *evaluator) parameter(name string, p *node) value {
	typ := ""
	if t := p.member("Type"); t != nil && t.kind == scalarNode {
		typ = t.text
	}
	if strings.HasPrefix(typ, "AWS::SSM::Parameter::Value<") {
		return value{kind: unknown, text: "${" + name + "}", reason: "parameter " + name + " is read from the parameter store at deployment"}
	}
	text, given := e.options.Parameters[name]
	if !given {
		d := p.member("Default")
		if d == nil || d.kind != scalarNode {
			return value{kind: unknown, text: "${" + name + "}", reason: "parameter " + name + " has no default and was not given"}
		}
		if text = d.spelled(); strings.Contains(text, "{{resolve:") {
			return value{kind: unknown, text: "${" + name + "}", reason: "parameter " + name + " is a dynamic reference, which is resolved at deployment"}
		}
	}
	if typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<") {
		return split(text, ",")
	}
	return word(text)
}

// resource is the identity of a resource, or an attribute.
func (e *evaluator) resource(name, attribute string) value {
	if n := e.resources.member(name); n != nil {
		typ := ""
		if t := n.member("Type"); t != nil && t.kind == scalarNode {
			typ = t.text
		}
		switch {
		case attribute != "" && madeElsewhere(typ):
			return unsure("Fn::GetAtt: %s of %s, a %s, is known after deployment", attribute, name, typ)
		case e.exists(n) == no:
			return unsure("it refers to %s, which its condition leaves out", name)
		}
		return reference(name, attribute, "it is known after deployment: "+strings.Trim(name+"."+attribute, "."))
	}
	full := strings.Trim(name+"."+attribute, ".")
	if e.names[full] {
		return reference(full, "", "it is known after deployment: "+full)
	}
	return unsure("it refers to %s, which the template does not declare", name)
}

// madeElsewhere reports whether a resource's attributes are whatever somebody
// else's program says, empty for all we know.
func madeElsewhere(typ string) bool {
	return strings.HasPrefix(typ, "Custom::") || strings.HasPrefix(typ, "AWS::CloudFormation::") || strings.HasPrefix(typ, "AWS::Serverless::Application") ||
		strings.HasSuffix(typ, "::MODULE") || typ == ""
}

func (e *evaluator) getAtt(n *node) value {
	var name, attribute value
	switch {
	case n.kind == scalarNode:
		resource, rest, _ := strings.Cut(n.text, ".")
		name, attribute = word(resource), word(rest)
	case n.kind == listNode && len(n.items) == 2:
		name, attribute = e.eval(n.items[0]), e.eval(n.items[1])
	}
	if !name.known() || !attribute.known() || attribute.text == "" {
		return unsure("Fn::GetAtt without a resource and an attribute that are known")
	}
	// SAM's ${Api.Stage} and Outputs.X alike have the name before the first dot.
	return e.resource(name.text, attribute.text)
}

func (e *evaluator) sub(n *node) value {
	text, variables := n, (*node)(nil)
	if n.kind == listNode && len(n.items) == 2 {
		text, variables = n.items[0], n.items[1]
	}
	if text.kind != scalarNode {
		return unsure("Fn::Sub of what is not a text")
	}
	if strings.Contains(text.text, "{{resolve:") {
		return unsure("it is a dynamic reference, which is resolved at deployment")
	}
	var parts []value
	rest := text.text
	for {
		before, after, found := strings.Cut(rest, "${")
		parts = append(parts, word(before))
		if !found {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed {
			return unsure("Fn::Sub: ${ without its }")
		}
		rest = after
		if e.steps++; e.steps > maxSteps {
			e.spent = true
			return unsure("the template stands for too much to be resolved")
		}
		name = strings.TrimSpace(name)
		switch {
		case strings.HasPrefix(name, "!"):
			parts = append(parts, word("${"+name[1:]+"}"))
		case variables.member(name) != nil:
			parts = append(parts, e.eval(variables.member(name)))
		default:
			resource, attribute, dotted := strings.Cut(name, ".")
			if dotted {
				parts = append(parts, e.resource(resource, attribute))
			} else {
				parts = append(parts, e.ref(name))
			}
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	// "${X}" alone is X itself.
	parts = slices.DeleteFunc(parts, func(p value) bool { return p.kind == scalar && p.text == "" && !p.opaque })
	return join("", parts)
}

func (e *evaluator) findInMap(n *node) value {
	if n.kind != listNode || len(n.items) < 3 {
		return unsure("Fn::FindInMap is not resolved")
	}
	var path [3]string
	for i := range path {
		v := e.eval(n.items[i])
		if !v.known() {
			return unsure("Fn::FindInMap: %s", cmp.Or(v.reason, "a key is not a word"))
		}
		path[i] = v.text
	}
	if found := e.mappings.member(path[0]).member(path[1]).member(path[2]); found != nil {
		return e.eval(found)
	}
	if len(n.items) == 4 {
		if fallback := n.items[3].member("DefaultValue"); fallback != nil {
			return e.eval(fallback)
		}
	}
	return unsure("Fn::FindInMap: there is no %s", strings.Join(path[:], "/"))
}

// condition judges a condition by its name.
func (e *evaluator) condition(name string) answer {
	if a, done := e.judged[name]; done {
		return a
	}
	n := e.conditions.member(name)
	if n == nil || e.open[name] { // it stands on itself
		return maybe
	}
	e.open[name] = true
	a := e.judge(n)
	delete(e.open, name)
	e.judged[name] = a
	return a
}

func (e *evaluator) judge(n *node) answer {
	if e.steps++; e.steps > maxSteps || e.depth > maxDepth || n == nil || n.kind != mapNode || len(n.keys) != 1 {
		return maybe
	}
	e.depth++
	defer func() { e.depth-- }()
	argument := n.at[n.keys[0]]
	switch name := n.keys[0]; name {
	case "Condition":
		if argument.kind == scalarNode {
			return e.condition(argument.text)
		}
	case "Fn::Equals":
		if argument.kind == listNode && len(argument.items) == 2 {
			return same(e.eval(argument.items[0]), e.eval(argument.items[1]))
		}
	case "Fn::Not":
		if argument.kind == listNode && len(argument.items) == 1 {
			return e.judge(argument.items[0]).not()
		}
	case "Fn::And", "Fn::Or":
		if argument.kind != listNode || len(argument.items) == 0 {
			return maybe
		}
		all := e.judge(argument.items[0])
		for _, item := range argument.items[1:] {
			if name == "Fn::And" {
				all = all.and(e.judge(item))
			} else {
				all = all.or(e.judge(item))
			}
		}
		return all
	}
	return maybe
}

// exists judges a resource's condition.
func (e *evaluator) exists(resource *node) answer {
	c := resource.member("Condition")
	switch {
	case c == nil:
		return yes
	case c.kind != scalarNode:
		return maybe
	}
	return e.condition(c.text)
}

// doubt says why a resource may not be made; "" when it is.
func (e *evaluator) doubt(resource *node) string {
	if e.exists(resource) == maybe {
		return fmt.Sprintf("whether it is made hangs on condition %s, which cannot be told", resource.member("Condition").text)
	}
	return ""
}

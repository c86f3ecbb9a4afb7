package template

import (
	"fmt"
	"slices"
	"strings"
)

type kind uint8

const (
	absent kind = iota
	scalar
	list
	object
	unknown
)

// A value is what an expression comes to.
//
// The text of a scalar that is not known in full, since the service makes part
// of it, has a ${Name} for each such part: opaque says so, and that it is not
// empty whatever they turn out to be. An unknown may have such a text too; two
// unknowns with one text are the same value.
type value struct {
	kind   kind
	text   string
	opaque bool
	plain  bool   // written without quotes, so that YAML may take it for a boolean
	reason string // of an unknown, and of what is opaque
	line   int

	// of and attribute name the resource whose identity, or attribute, this is.
	of, attribute string

	items   []value
	keys    []string // in the order of the document
	members map[string]value
}

// nameless stands for a part of a text of which nothing is known.
const nameless = "${...}"

// maxText bounds what Fn::Sub and Fn::Join make: a text may stand in another
// many times, and that in a third.
const maxText = 1 << 20

func word(text string) value { return value{kind: scalar, text: text} }

func unsure(format string, args ...any) value {
	return value{kind: unknown, reason: fmt.Sprintf(format, args...)}
}

// reference is the identity of a resource, or one of its attributes.
func reference(id, attribute, reason string) value {
	text := "${" + id + "}"
	if attribute != "" {
		text = "${" + id + "." + attribute + "}"
	}
	return value{kind: scalar, text: text, opaque: true, of: id, attribute: attribute, reason: reason}
}

// set is an object of the members that are not absent.
func set(pairs ...any) value {
	v := value{kind: object, members: map[string]value{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.put(pairs[i].(string), pairs[i+1].(value))
	}
	return v
}

func (v *value) put(key string, m value) {
	if m.kind == absent {
		return
	}
	if _, has := v.members[key]; !has {
		v.keys = append(v.keys, key)
	}
	v.members[key] = m
}

// get is a member. That of an unknown is unknown, that of anything else but an
// object absent.
func (v value) get(path ...string) value {
	for _, key := range path {
		switch v.kind {
		case unknown:
			return value{kind: unknown, reason: v.reason, line: v.line}
		case object:
			v = v.members[key]
		default:
			return value{}
		}
	}
	return v
}

// known reports whether v is a scalar whose text is the real one.
func (v value) known() bool { return v.kind == scalar && !v.opaque }

// isTrue and isFalse read a boolean; both are false where it is neither or not
// known.
//
// Source: CloudFormation reads YAML 1.1, where a plain yes is true.
func (v value) isTrue() bool {
	return v.known() && (strings.EqualFold(v.text, "true") || v.plain && (strings.EqualFold(v.text, "yes") || strings.EqualFold(v.text, "on")))
}

func (v value) isFalse() bool {
	return v.known() && (strings.EqualFold(v.text, "false") || v.plain && (strings.EqualFold(v.text, "no") || strings.EqualFold(v.text, "off")))
}

// same compares two values: yes, or no, or neither can be told.
func same(a, b value) answer {
	switch {
	case a.kind == unknown || b.kind == unknown || a.opaque || b.opaque:
		switch {
		case (a.kind == unknown || a.opaque) && (b.kind == unknown || b.opaque) && a.text != "" && a.text == b.text && !strings.Contains(a.text, nameless):
			return yes
		case a.opaque && b.known() && b.text == "" || b.opaque && a.known() && a.text == "":
			return no
		}
		return maybe
	case a.kind != b.kind:
		return no
	}
	switch a.kind {
	case scalar:
		return answerOf(a.text == b.text)
	case list:
		if len(a.items) != len(b.items) {
			return no
		}
		all := yes
		for i := range a.items {
			all = all.and(same(a.items[i], b.items[i]))
		}
		return all
	case object:
		if len(a.members) != len(b.members) {
			return no
		}
		all := yes
		for key, m := range a.members {
			other, has := b.members[key]
			if !has {
				return no
			}
			all = all.and(same(m, other))
		}
		return all
	}
	return yes
}

// An answer is yes, no, or that it cannot be told. Zero: it cannot be told.
type answer uint8

const (
	maybe answer = iota
	no
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

func (a answer) and(b answer) answer {
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return maybe
}

func (a answer) or(b answer) answer { return a.not().and(b.not()).not() }

func (a answer) not() answer {
	switch a {
	case yes:
		return no
	case no:
		return yes
	}
	return maybe
}

// join puts scalars together. One part that cannot be empty makes the whole
// opaque, and not unknown.
func join(separator string, parts []value) value {
	v := value{kind: scalar}
	var text strings.Builder
	solid, unnamed := separator != "" && len(parts) > 1, false
	for i, p := range parts {
		if i > 0 {
			text.WriteString(separator)
		}
		switch {
		case p.kind == unknown:
			v.kind, v.reason = unknown, p.reason
			if p.text == "" {
				unnamed = true
				text.WriteString(nameless)
			}
		case p.kind != scalar:
			return unsure("a part of a text is not a text")
		case p.opaque:
			v.opaque, v.reason, solid = true, p.reason, true
		case p.text != "":
			solid = true
		}
		if text.WriteString(p.text); text.Len() > maxText {
			return unsure("the text is longer than %d bytes", maxText)
		}
	}
	if solid && v.kind == unknown {
		v.kind, v.opaque = scalar, true
	}
	if v.kind == scalar || !unnamed {
		v.text = text.String()
	}
	if len(parts) == 1 {
		v.of, v.attribute, v.plain = parts[0].of, parts[0].attribute, parts[0].plain
	}
	return v
}

// pick returns the items that are in the list for sure and whether more may be.
func (v value) pick() (items []value, ok bool) {
	if v.kind != list || slices.ContainsFunc(v.items, func(i value) bool { return i.kind == unknown }) {
		return v.items, false
	}
	return v.items, true
}

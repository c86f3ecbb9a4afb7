package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// service is what is known of one service after reading its module.
type service struct {
	name         string
	signingName  string
	protocol     string // the constant's name in awsapi
	targetPrefix string
	version      string // of the Query protocol
	operations   map[string]*operation
	shapes       map[string]*shape          // by Go type, "types.Stage" or "acm.GetCertificateInput"
	unions       map[string]map[string]bool // Go interface type to its members' Go types
	required     map[string]map[string]bool // Go type to Go fields
	fields       map[string][]string        // Go type to the exported fields of its declaration
	fieldTypes   map[string]string          // "types.Stage.CreatedDate" to the text of its type
	interfaces   map[string]bool            // Go interface types that are declared
}

type operation struct {
	method, uri, query string
	success            int
	wrapper            string // the Query protocol's result element
	errors             []string
}

type shape struct {
	members map[string]*member // by Go field
}

type member struct {
	field, wire string
	in          string // the location constant's name in awsapi
	time        string // the timestamp form constant's name, empty for what is no time
	item        string // the Query protocol's list element
}

func newService(name string) *service {
	return &service{
		name:       name,
		operations: map[string]*operation{},
		shapes:     map[string]*shape{},
		unions:     map[string]map[string]bool{},
		required:   map[string]map[string]bool{},
		fields:     map[string][]string{},
		fieldTypes: map[string]string{},
		interfaces: map[string]bool{},
	}
}

// shape returns the shape of a Go type, recording it if it is new: a struct
// without members travels too.
func (s *service) shape(goType string) *shape {
	if s.shapes[goType] == nil {
		s.shapes[goType] = &shape{members: map[string]*member{}}
	}
	return s.shapes[goType]
}

// add records a member of a Go type. What a serializer and a deserializer say
// of the same member must agree.
func (s *service) add(goType string, m member) error {
	if m.field == "" || m.wire == "" && m.in != "inPayload" && m.in != "inQueryRest" && m.in != "inStatus" {
		return fmt.Errorf("%s: a member whose binding is not understood: %+v", goType, m)
	}
	known := s.shape(goType)
	if old := known.members[m.field]; old != nil {
		// Only the serializer of the Query protocol names a list's element.
		// An error's header member is looked for in the body first, by the
		// deserializer of its document, and the header's value stays.
		if m.item == "" {
			m.item = old.item
		}
		old.item = m.item
		if old.in == "inHeader" && m.in == "inBody" {
			return nil
		}
		if *old != m && !(old.in == "inBody" && m.in == "inHeader") {
			return fmt.Errorf("%s.%s is bound in two ways: %+v and %+v", goType, m.field, *old, m)
		}
	}
	known.members[m.field] = &m
	return nil
}

// reduce drops the operations that are not asked for, and every shape that
// neither those nor an error reach. What they do reach must be sayable.
func (s *service) reduce(m module) error {
	if m.only != nil {
		for _, name := range m.only {
			if s.operations[name] == nil {
				return fmt.Errorf("no operation %s", name)
			}
		}
		maps.DeleteFunc(s.operations, func(name string, _ *operation) bool { return !slices.Contains(m.only, name) })
	}
	reached := map[string]bool{}
	var reach func(goType string) error
	reach = func(goType string) error {
		if reached[goType] {
			return nil
		}
		reached[goType] = true
		if kept := m.keep[goType]; kept != nil {
			dropped := func(field string) bool { return !slices.Contains(kept, field) }
			s.fields[goType] = slices.DeleteFunc(s.fields[goType], dropped)
			maps.DeleteFunc(s.shape(goType).members, func(field string, _ *member) bool { return dropped(field) })
		}
		for member := range s.unions[goType] {
			if err := reach(member); err != nil {
				return err
			}
		}
		for _, field := range s.fields[goType] {
			text := s.fieldTypes[goType+"."+field]
			inner := strings.TrimLeft(text, "*")
			for cut := true; cut; {
				inner, cut = strings.CutPrefix(inner, "[]")
				if rest, ok := strings.CutPrefix(inner, "map[string]"); ok {
					inner, cut = rest, true
				}
			}
			if inner == "time.Time" && text != "*time.Time" {
				return fmt.Errorf("%s.%s: timestamps in a list or map", goType, field)
			}
			if !strings.Contains(inner, ".") {
				inner = goType[:strings.IndexByte(goType, '.')+1] + inner
			}
			switch {
			case s.interfaces[inner] && s.unions[inner] == nil:
				return fmt.Errorf("%s.%s: a union in the older form of serializers", goType, field)
			case s.fields[inner] != nil || s.interfaces[inner]:
				if err := reach(inner); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.operations)) {
		for _, goType := range []string{s.name + "." + name + "Input", s.name + "." + name + "Output"} {
			if err := reach(goType); err != nil {
				return err
			}
		}
	}
	for _, goType := range slices.Sorted(maps.Keys(s.fields)) {
		if strings.HasPrefix(goType, "types.") && slices.Contains(s.fields[goType], "ErrorCodeOverride") && s.shapes[goType] != nil {
			if err := reach(goType); err != nil {
				return err
			}
		}
	}
	maps.DeleteFunc(s.shapes, func(goType string, _ *shape) bool { return !reached[goType] })
	maps.DeleteFunc(s.unions, func(goType string, _ map[string]bool) bool { return !reached[goType] })
	return nil
}

// notBound are fields of SDK structs that never travel.
var notBound = map[string]bool{"ResultMetadata": true, "ErrorCodeOverride": true}

// check fails when a field of a reachable type has no binding, or a binding no
// field: then this program has not understood the SDK's code.
func (s *service) check() error {
	for _, name := range slices.Sorted(maps.Keys(s.operations)) {
		for _, goType := range []string{s.name + "." + name + "Input", s.name + "." + name + "Output"} {
			s.shape(goType)
		}
	}
	for _, goType := range slices.Sorted(maps.Keys(s.shapes)) {
		bound := s.shapes[goType].members
		declared, ok := s.fields[goType]
		if !ok {
			return fmt.Errorf("%s: bound but not declared", goType)
		}
		for _, field := range declared {
			if bound[field] == nil && !notBound[field] {
				return fmt.Errorf("%s.%s: declared but not bound", goType, field)
			}
		}
		for field, m := range bound {
			if !slices.Contains(declared, field) {
				return fmt.Errorf("%s.%s: bound but not declared", goType, field)
			}
			if isTime := s.fieldTypes[goType+"."+field] == "*time.Time"; isTime != (m.time != "") {
				return fmt.Errorf("%s.%s: the form of a timestamp is not understood", goType, field)
			}
		}
	}
	return nil
}

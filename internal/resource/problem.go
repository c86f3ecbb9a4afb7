package resource

import (
	"fmt"
	"slices"
	"strings"
)

// problems collects everything wrong with a document, so that one answer names
// it all. The zero value is empty.
type problems struct {
	constraints []string // what the service's own model refuses, before any rule runs
	rules       []string
}

// addf notes a broken rule: BadRequestException.
func (p *problems) addf(format string, args ...any) {
	p.rules = append(p.rules, fmt.Sprintf(format, args...))
}

// take notes err, unless it is nil.
func (p *problems) take(err error) {
	if err != nil {
		p.rules = append(p.rules, err.Error())
	}
}

// constraintf notes a value that its shape does not allow: ValidationException.
func (p *problems) constraintf(value, member, format string, args ...any) {
	p.constraints = append(p.constraints,
		fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: %s", value, member, fmt.Sprintf(format, args...)))
}

// missing notes a required member that is absent.
func (p *problems) missing(member string) {
	p.constraints = append(p.constraints,
		fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", member))
}

// enum notes a value that is none of its type's; empty means absent.
func enum[E ~string](p *problems, value E, member string, values []E) {
	if value != "" && !slices.Contains(values, value) {
		p.constraintf(string(value), member, "Member must satisfy enum value set: [%s]", join(values))
	}
}

// err is nil when nothing was noted. A broken constraint hides broken rules:
// they were judged on a value that means nothing.
func (p *problems) err() error {
	switch {
	case len(p.constraints) == 1:
		return Errorf(Validation, "1 validation error detected: %s", p.constraints[0])
	case len(p.constraints) > 1:
		return Errorf(Validation, "%d validation errors detected: %s", len(p.constraints), strings.Join(p.constraints, "; "))
	case len(p.rules) > 0:
		return Errorf(BadRequest, "%s", strings.Join(p.rules, "; "))
	}
	return nil
}

func join[S ~string](list []S) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}

package posture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is a parameter's type, as Security Hub names it.
type Kind string

const (
	Enum       Kind = "Enum"
	Integer    Kind = "Integer"
	StringList Kind = "StringList"
)

// A Parameter is a setting of a control.
type Parameter struct {
	Name        string
	Kind        Kind
	Description string
	Allowed     []string // of an Enum
	Min, Max    int      // of an Integer, both included

	// Default is what holds when nothing is set; nil means that the
	// parameter is then not applied. Of a parameter with an allow-list it is
	// nil: the list in use is the default.
	Default []string

	Customizable bool     // Security Hub lets customers set it
	RuleDefault  []string // what the bare Config rule takes when that differs; nil: the same
}

// An AllowList is the values that a control accepted as of a date. AWS moves
// such lists without giving the control a new id, so a finding names the list
// that decided it and a run may pin an older one.
type AllowList struct {
	Parameter string
	AsOf      string // year and month, 2026-08: the list is known to have been in use then
	Values    []string
	Note      string // where it is from
}

// Has reports whether the list accepts a value.
func (l *AllowList) Has(value string) bool { return l != nil && slices.Contains(l.Values, value) }

// Mode chooses between AWS's two forms of a control.
type Mode string

const (
	Live      Mode = "live"      // as Security Hub judges what exists
	Proactive Mode = "proactive" // as AWS's hooks judge a template before it is deployed; stricter, see [Control.Proactive]
)

// Values are parameters' values by name: one for an Enum or Integer, any
// number for a StringList.
type Values map[string][]string

// A ParameterError is a parameter that a control does not take.
type ParameterError struct {
	Control, Parameter string
	Problem            string
}

func (e *ParameterError) Error() string {
	if e.Parameter == "" {
		return fmt.Sprintf("control %s: %s", e.Control, e.Problem)
	}
	return fmt.Sprintf("control %s: parameter %s: %s", e.Control, e.Parameter, e.Problem)
}

// Params are what a check is made with, complete and valid.
type Params struct {
	Now  time.Time
	Mode Mode
	List *AllowList // the list in use; nil for controls without one

	// Values holds every parameter that has a value, those of the list
	// included.
	Values Values
}

// One returns the value of an Enum, "" when it is not set.
func (p *Params) One(name string) string {
	if v := p.Values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Int returns the value of an Integer, 0 when it is not set.
func (p *Params) Int(name string) int {
	n, _ := strconv.Atoi(p.One(name)) // Control.Params has checked it
	return n
}

// Params completes a customer's values with the control's defaults. list is
// the date of the allow-list to use, "" for the newest. The error is a
// *ParameterError.
func (c *Control) Params(custom Values, list string, mode Mode, now time.Time) (*Params, error) {
	p := &Params{Now: now, Mode: mode}
	refuse := func(name, format string, args ...any) (*Params, error) {
		return nil, &ParameterError{c.ID, name, fmt.Sprintf(format, args...)}
	}
	switch mode {
	case "":
		p.Mode = Live
	case Live, Proactive:
	default:
		return refuse("", "mode %q is neither %q nor %q", mode, Live, Proactive)
	}
	if len(c.AllowLists) > 0 {
		p.List = &c.AllowLists[0]
	}
	if list != "" {
		var dates []string
		p.List = nil
		for i := range c.AllowLists {
			dates = append(dates, c.AllowLists[i].AsOf)
			if c.AllowLists[i].AsOf == list {
				p.List = &c.AllowLists[i]
			}
		}
		if p.List == nil {
			return refuse("", "no allow-list of %q; there are: %s", list, strings.Join(dates, ", "))
		}
	}
	for name := range custom {
		if !slices.ContainsFunc(c.Parameters, func(d Parameter) bool { return d.Name == name }) {
			return refuse(name, "the control has no such parameter")
		}
	}
	set := func(name string, v []string) {
		if p.Values == nil {
			p.Values = Values{}
		}
		p.Values[name] = v
	}
	for i := range c.Parameters {
		d := &c.Parameters[i]
		v, given := custom[d.Name]
		if given {
			if problem := d.check(v); problem != "" {
				return refuse(d.Name, "%s", problem)
			}
			set(d.Name, slices.Clone(v))
			continue
		}
		switch {
		case d.Default != nil:
			set(d.Name, d.Default)
		case p.List != nil && p.List.Parameter == d.Name:
			set(d.Name, p.List.Values)
		}
	}
	return p, nil
}

// check says what is wrong with a customer's value.
func (d *Parameter) check(v []string) string {
	switch {
	case !d.Customizable:
		return "it cannot be customized; pin a dated allow-list instead"
	case len(v) != 1 && d.Kind != StringList:
		return fmt.Sprintf("takes one value, not %d", len(v))
	case d.Kind == Enum && !slices.Contains(d.Allowed, v[0]):
		return fmt.Sprintf("%q is not one of %s", v[0], strings.Join(d.Allowed, ", "))
	case d.Kind == Integer:
		if n, err := strconv.Atoi(v[0]); err != nil || n < d.Min || n > d.Max {
			return fmt.Sprintf("%q is not an integer from %d to %d", v[0], d.Min, d.Max)
		}
	}
	return ""
}

package posture

import (
	"fmt"
	"strconv"
	"strings"
)

// Page is the reference page of controls in Markdown, without its first
// heading: a table of all, then each control with [Control.Explain].
func Page(controls []*Control) string {
	var b strings.Builder
	b.WriteString("| control | title | severity | resource types | Config rule | schedule |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, c := range controls {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | `%s` | %s |\n", c.ID, strings.ReplaceAll(strings.ToLower(c.ID), ".", ""), c.Title,
			c.Severity, quoted(c.Resources), c.ConfigRule.Name, c.Schedule)
	}
	for _, c := range controls {
		fmt.Fprintf(&b, "\n## %s\n\n%s", c.ID, c.Explain())
	}
	return b.String()
}

// Explain is the documentation of a control in Markdown, without a heading.
func (c *Control) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n", c.Title)
	paragraph := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", name, text)
		}
	}
	paragraph("What it checks", c.Description)
	paragraph("Why it matters", c.Why)
	paragraph("How to fix it", c.Fix)
	paragraph("False positives", c.FalsePositive)
	b.WriteString("\n| | |\n| --- | --- |\n")
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, text)
		}
	}
	row("severity", string(c.Severity))
	row("category", c.Category)
	types := quoted(c.Resources)
	for _, name := range c.Resources {
		if t, _ := LookupType(name); t.TemplateOnly {
			types += "; `" + name + "` in templates only"
		}
	}
	row("resource types", types)
	rule := "`" + c.ConfigRule.Name + "`"
	if c.ConfigRule.Identifier == "" {
		rule += ", Security Hub's own"
	}
	row("Config rule", rule)
	row("schedule", string(c.Schedule))
	row("standards", quoted(c.Standards))
	row("related requirements", strings.Join(c.Related, ", "))
	row("of the Config rule only", strings.Join(c.RuleRelated, ", "))
	if c.Proactive != nil {
		row("before deployment (`"+string(Proactive)+"`)", c.Proactive.ID+": "+c.Proactive.Text)
	}
	row("remediation", c.RemediationURL())
	row("sources", strings.Join(c.Sources, "; "))

	if len(c.Parameters) > 0 {
		b.WriteString("\n| parameter | type | values | default | settable | meaning |\n| --- | --- | --- | --- | --- | --- |\n")
		for i := range c.Parameters {
			p := &c.Parameters[i]
			values, def := "", "none"
			switch {
			case p.Kind == Enum:
				values = quoted(p.Allowed)
			case p.Kind == Integer:
				values = strconv.Itoa(p.Min) + " to " + strconv.Itoa(p.Max)
			}
			if p.Default != nil {
				def = quoted(p.Default)
			}
			for _, l := range c.AllowLists {
				if l.Parameter == p.Name {
					def = "the newest list below"
				}
			}
			switch {
			case len(p.RuleDefault) > 0:
				def += "; of the bare rule " + quoted(p.RuleDefault)
			case p.RuleDefault != nil:
				def += "; of the bare rule none"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", p.Name, p.Kind, values, def, yesNo(p.Customizable), p.Description)
		}
	}
	if len(c.AllowLists) > 0 {
		b.WriteString("\n| allow-list as of | of | values | source |\n| --- | --- | --- | --- |\n")
		for _, l := range c.AllowLists {
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", l.AsOf, l.Parameter, quoted(l.Values), l.Note)
		}
	}
	return b.String()
}

func quoted(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return "`" + strings.Join(list, "`, `") + "`"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

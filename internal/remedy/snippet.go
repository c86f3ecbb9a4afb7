package remedy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// text is a string as both YAML and HCL write it.
func text(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string: it cannot fail
	return strings.TrimSpace(b.String())
}

// hcl is a string of Terraform, in which ${ and %{ begin an expression.
func hcl(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text(s))
}

// address takes a Terraform address apart: module.a.aws_x.name["k"].
var address = regexp.MustCompile(`(aws_[a-z0-9_]+)\.([A-Za-z0-9_-]+)(\[[^\]]*\])?$`)

// logical is the logical id of a template's resource, or a name for one that
// some template declares.
func (p *patient) logical(otherwise string) string {
	if at := strings.LastIndexByte(p.r.ID, '#'); at >= 0 && p.r.Source == posture.File {
		return p.r.ID[at+1:]
	}
	return otherwise
}

// label is the same for Terraform.
func (p *patient) label(otherwise string) string {
	if m := address.FindStringSubmatch(p.r.ID); m != nil && p.r.Source == posture.File {
		return m[2]
	}
	return otherwise
}

// indent moves lines to the right.
func indent(s, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+by) + "\n"
}

// cfn is a fragment of a template, to be merged into it: resources by logical
// id, with the members that change.
func cfn(resources ...string) string {
	return "Resources:\n" + strings.Join(resources, "")
}

func cfnResource(id, typ, properties string) string {
	return fmt.Sprintf("  %s:\n    Type: %s\n    Properties:\n%s", id, typ, indent(properties, "      "))
}

// tf is a resource block, or the part of one that changes.
func tf(typ, label, arguments string) string {
	return fmt.Sprintf("resource %q %q {\n%s}\n", typ, label, indent(arguments, "  "))
}

// Remarks above snippets.
const (
	inStack  = "Merge it into the template: members that are not named stay as they are."
	inConfig = "Merge it into the configuration: arguments that are not named stay as they are."
)

func (f *fix) stack(text string)  { f.snippet(posture.CloudFormation, text, inStack) }
func (f *fix) config(text string) { f.snippet(posture.Terraform, text, inConfig) }

// Package remedy closes findings. It knows, for each control, the calls that
// change one resource so that its finding closes, what they would break, and
// their inverse; it writes them as commands and snippets, orders them into a
// plan, and carries a plan out with a proof, or takes it back.
//
//	steps := remedy.Steps(finding, resource, remedy.Context{})
//	proof := target.Apply(ctx, finding, remedy.Settings{})
//
// What it promises:
//
//   - A printed command and what Apply sends are made from the same request.
//   - Evaluating the control on the state after the steps passes, or there are
//     no steps.
//   - No step lowers security on the way, and no policy is chosen that is weaker
//     than the present one in any respect.
package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// Context is what steps depend on beside the resource. The zero value knows
// nothing.
type Context struct {
	// Endpoint is where commands are sent, http://127.0.0.1:4566; "" is AWS.
	Endpoint string
	// LogRole is the account's cloudwatchRoleArn in a Region: "" when it has
	// none, nil when it is not known. A nil function knows none.
	LogRole func(region string) *string
	// Values are what a person must choose, by the names in [Values].
	Values map[string]string
	// Clients says which clients seen at a host name a policy would refuse, a
	// line each. nil: nobody kept a log.
	Clients func(name, policy string) []string
	// Readiness says what a client certificate would meet at the backends of a
	// REST stage, a line for each that is not ready. nil: they were not asked.
	Readiness func(api, stage string) []string
}

// A Value is something that only a person knows.
type Value struct {
	Name, What string
}

// Values are all that a remedy may need to be told.
var Values = []Value{
	{valueRole, "ARN of the IAM role by which API Gateway writes to CloudWatch Logs (APIGateway.1)"},
	{valueACL, "ARN of the web ACL, of scope REGIONAL and the stage's Region (APIGateway.4)"},
	{valueAuthorization, "AWS_IAM, CUSTOM or JWT (APIGateway.8); AWS_IAM when it is not said"},
	{valueAuthorizer, "id of the authorizer that CUSTOM and JWT need (APIGateway.8)"},
	{valueLogGroup, "ARN of the log group of access logs, which must exist (APIGateway.9)"},
	{valueServerName, "name that the backend's certificate has (APIGateway.10)"},
	{valuePolicy, "security policy to choose of those that close the finding (APIGateway.11)"},
}

const (
	valueRole          = "cloudwatchRoleArn"
	valueACL           = "webAclArn"
	valueAuthorization = "authorizationType"
	valueAuthorizer    = "authorizerId"
	valueLogGroup      = "logGroupArn"
	valueServerName    = "serverName"
	valuePolicy        = "securityPolicy"
)

// Steps are what closes a finding on a resource, in order: commands first, then
// the same for Terraform and CloudFormation. A resource of a file has the
// snippet of its own kind alone. There are none for a finding that does not
// fail, or that no change closes: its Reason says why.
func Steps(f *posture.Finding, r *posture.Resource, c Context) []posture.Step {
	fix := find(f, r, c)
	steps := []posture.Step{}
	if r.Source == posture.File {
		form := posture.CloudFormation
		if address.MatchString(r.ID) {
			form = posture.Terraform
		}
		for _, s := range fix.snippets {
			if s.Form == form {
				s.Breaks = append(s.Breaks, fix.breaks()...)
				steps = append(steps, s)
			}
		}
		for _, m := range fix.moves {
			if m.call == nil && m.step.Form == posture.ByHand && (m.always || len(steps) == 0) {
				steps = append(steps, m.step)
			}
		}
		return steps
	}
	for _, m := range fix.moves {
		if m.call != nil {
			m.step = posture.Step{Form: posture.AWSCLI, Text: m.call.command(r.Region, c.Endpoint), Why: m.call.why, Breaks: m.call.breaks}
			if m.call.lasting != "" {
				m.step.Why += " It cannot be taken back: " + m.call.lasting + "."
			}
		}
		steps = append(steps, m.step)
	}
	return append(steps, fix.snippets...)
}

// fix is what a remedy comes to for one finding.
type fix struct {
	moves    []move
	snippets []posture.Step
	needs    []string // names of values without which nothing can be sent
}

// move is one entry of the order: a call, or a step that only people take.
type move struct {
	call   *call
	step   posture.Step
	always bool // of files as well
}

// breaks are those of all calls.
func (f *fix) breaks() (all []string) {
	for _, m := range f.moves {
		if m.call != nil && !m.call.strict {
			all = append(all, m.call.breaks...)
		}
	}
	return all
}

func (f *fix) do(c call) { f.moves = append(f.moves, move{call: &c}) }

// hand adds a step for people.
func (f *fix) hand(text, why string) {
	f.moves = append(f.moves, move{step: posture.Step{Form: posture.ByHand, Text: text, Why: why}, always: true})
}

// command adds a command that Apply does not carry out.
func (f *fix) command(text, why string) {
	f.moves = append(f.moves, move{step: posture.Step{Form: posture.AWSCLI, Text: text, Why: why}})
}

// need notes a value without which nothing can be sent.
func (f *fix) need(name string) {
	at := slices.IndexFunc(Values, func(v Value) bool { return v.Name == name })
	f.needs = append(f.needs, name)
	f.moves = append(f.moves, move{step: posture.Step{Form: posture.ByHand,
		Text: fmt.Sprintf("Needed: %s, the %s. sallyport audit fix --with %s=... takes it.", name, Values[at].What, name)}})
}

func (f *fix) snippet(form, text, why string) {
	f.snippets = append(f.snippets, posture.Step{Form: form, Text: text, Why: why})
}

// patient is one finding to close.
type patient struct {
	f *posture.Finding
	r *posture.Resource
	c Context
}

func (p *patient) value(name string) string { return p.c.Values[name] }

// fixes is what closes a finding of each control.
var fixes = map[string]func(p *patient, f *fix){
	"APIGateway.1":  fixLogging,
	"APIGateway.2":  fixClientCertificate,
	"APIGateway.3":  fixTracing,
	"APIGateway.4":  fixWebACL,
	"APIGateway.5":  fixCache,
	"APIGateway.8":  fixAuthorization,
	"APIGateway.9":  fixAccessLog,
	"APIGateway.10": fixPrivateTLS,
	"APIGateway.11": fixDomainName,
	"Opensearch.3":  fixNodes,
	"Opensearch.8":  fixSearchEndpoint,
	"ACM.1":         fixExpiry,
	"ACM.2":         fixKey,
}

func find(finding *posture.Finding, r *posture.Resource, c Context) *fix {
	f := new(fix)
	if finding.Status != posture.Failed || r == nil || r.Doc == nil || r.Source == posture.Account && strings.Contains(r.ID, "*") {
		return f
	}
	if r.Source == posture.File && strings.Contains(r.Remarks[""], "OpenApiVersion") {
		f.stack("Globals:\n  Api:\n    OpenApiVersion: 3.0.1\n")
		f.snippets[0].Why = "SAM then makes no second stage beside the one that the template names."
		return f
	}
	if make := fixes[finding.Control]; make != nil {
		make(&patient{finding, r, c}, f)
	}
	return f
}

// path are the names in a resource's ARN behind the last colon:
// /restapis/abc/stages/prod gives abc and prod. It is empty for what has no ARN.
func (p *patient) path() (outer, inner string) {
	if !strings.HasPrefix(p.r.ID, "arn:") {
		return "", ""
	}
	parts := strings.SplitN(p.r.ID[strings.LastIndexByte(p.r.ID, ':')+1:], "/", 5)
	switch len(parts) {
	case 5:
		return parts[2], parts[4]
	case 3:
		return parts[2], ""
	}
	return "", ""
}

// partition of the resource's ARN.
func (p *patient) partition() string {
	if parts := strings.SplitN(p.r.ID, ":", 3); len(parts) == 3 && parts[0] == "arn" {
		return cmp.Or(parts[1], "aws")
	}
	return "aws"
}

// entries are the keys of methodSettings that a verdict names by a member,
// */* when it names none.
func (p *patient) entries(member string) (keys []string) {
	for _, e := range p.f.Evidence {
		key, ok := strings.CutPrefix(e.Member, "methodSettings[")
		if !ok {
			continue
		}
		if key, ok = strings.CutSuffix(key, "]."+member); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return []string{everyMethod}
	}
	return keys
}

const everyMethod = "*/*"

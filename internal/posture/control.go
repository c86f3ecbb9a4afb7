package posture

import (
	"fmt"
	"slices"
)

// Severity is how grave a failing is, as Security Hub rates the control.
type Severity string

const (
	Informational Severity = "INFORMATIONAL"
	Low           Severity = "LOW"
	Medium        Severity = "MEDIUM"
	High          Severity = "HIGH"
	Critical      Severity = "CRITICAL"
)

// Severities lists every severity, gravest first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Informational} }

// Schedule is what makes AWS evaluate a control again.
type Schedule string

const (
	ChangeTriggered   Schedule = "CHANGE_TRIGGERED"
	Periodic          Schedule = "PERIODIC"
	ChangeAndPeriodic Schedule = "CHANGE_TRIGGERED_AND_PERIODIC"
)

// Standards that list a control, as the path of a standard's ARN, which is
// arn:PARTITION:securityhub:REGION:: and the path.
//
// Source: Security Hub user guide. The paths of the first and the last were
// seen in samples, the others follow their pattern.
const (
	FSBP         = "standards/aws-foundational-security-best-practices/v/1.0.0"
	NIST80053    = "standards/nist-800-53/v/5.0.0"
	NIST800171   = "standards/nist-800-171/v/2.0.0"
	PCIDSS       = "standards/pci-dss/v/4.0.1"
	ControlTower = "standards/service-managed-aws-control-tower/v/1.0.0"
)

// A ConfigRule is the AWS Config rule behind a control.
type ConfigRule struct {
	Name       string // api-gw-ssl-enabled
	Identifier string // API_GW_SSL_ENABLED; "" for rules of Security Hub's own, which cannot be run by hand
}

// A ProactiveForm is AWS's check of the same thing in a template before it is
// deployed.
type ProactiveForm struct {
	ID   string // CT.APIGATEWAY.PR.1
	Text string // how it differs from the live form
}

// A Control is one rule with its documentation. Lists, help, pages and wire
// answers are made from it. It is not changed after the program has started.
type Control struct {
	ID            string // APIGateway.2
	Title         string // AWS's
	Description   string // what it checks
	Why           string // why it matters
	Fix           string // how to close a finding
	FalsePositive string // when a failing may be accepted, and what a pass does not say
	Severity      Severity
	Category      string   // Protect > Data Protection > ...
	Related       []string // requirements the control itself lists
	RuleRelated   []string // requirements AWS maps to the Config rule only; the control does not claim them
	Standards     []string
	ConfigRule    ConfigRule
	Schedule      Schedule
	Resources     []string // types it covers, of [Types]
	Parameters    []Parameter
	AllowLists    []AllowList // newest first
	Proactive     *ProactiveForm
	Sources       []string // where its facts are documented

	// Applies reports whether the control says something about a resource of
	// one of its types, else why not. nil means always. A resource whose
	// deciding member is not known applies: Check then answers unknown.
	Applies func(*Resource) (bool, string)

	// Check judges a resource to which the control applies.
	Check func(*Resource, *Params) Verdict
}

// Covers reports whether the control judges resources of a type.
func (c *Control) Covers(typ string) bool { return slices.Contains(c.Resources, typ) }

// RemediationURL is where AWS tells how to close a finding.
func (c *Control) RemediationURL() string {
	return "https://docs.aws.amazon.com/console/securityhub/" + c.ID + "/remediation"
}

// Judge gives the control's verdict on one resource. It never panics: a check
// that breaks on a document gives unknown.
func (c *Control) Judge(r *Resource, p *Params) (v Verdict) {
	defer func() {
		if broken := recover(); broken != nil {
			v = Unsure(fmt.Sprintf("the check broke on this document: %v", broken))
		}
		if v.Status == "" {
			v.Status = Unknown
		}
	}()
	if !c.Covers(r.Type) {
		return Verdict{Status: NotApplicable, Reason: "the control does not cover " + r.Type}
	}
	if why, unresolved := r.Unresolved(""); unresolved {
		return Unsure("the document is not known: " + why)
	}
	if r.Doc == nil {
		return Misread(r)
	}
	if c.Applies != nil {
		if ok, why := c.Applies(r); !ok {
			return Verdict{Status: NotApplicable, Reason: why}
		}
	}
	v = c.Check(r, p)
	if len(r.Remarks) > 0 {
		for _, m := range v.Members {
			if at, ok := covering(r.Remarks, m.Path); ok && !slices.Contains(v.Notes, r.Remarks[at]) {
				v = v.Note("%s", r.Remarks[at])
			}
		}
	}
	return v
}

// On makes a check of one that takes the document as *T. A resource whose
// document is not a *T, or nil, is judged unknown.
func On[T any](check func(*Resource, *T, *Params) Verdict) func(*Resource, *Params) Verdict {
	return func(r *Resource, p *Params) Verdict {
		if doc, ok := r.Doc.(*T); ok && doc != nil {
			return check(r, doc, p)
		}
		return Misread(r)
	}
}

// Misread is the verdict on a resource whose document is not of its type.
func Misread(r *Resource) Verdict {
	return Unsure(fmt.Sprintf("the source gave a %T, which is not the document of an %s", r.Doc, r.Type))
}

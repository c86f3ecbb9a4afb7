package posture

import "time"

// A Finding is a control's verdict on a resource, as it is kept, sent and
// printed. Fields may be added, never renamed.
type Finding struct {
	Control     string     `json:"control"`
	Title       string     `json:"title"`
	Severity    Severity   `json:"severity"` // the control's, whatever the status
	Status      Status     `json:"status"`
	Resource    Subject    `json:"resource"`
	Reason      string     `json:"reason"`
	Confidence  Confidence `json:"confidence,omitempty"`
	Notes       []string   `json:"notes,omitempty"`
	Evidence    []Evidence `json:"evidence"`
	Remediation []Step     `json:"remediation"`

	Mode       Mode   `json:"mode"`
	AllowList  string `json:"allowList,omitempty"`  // date of the list that decided
	Parameters Values `json:"parameters,omitempty"` // shared between findings: not to be changed
	Expect     *Wire  `json:"expect,omitempty"`

	// Accepted says that somebody takes the finding as it is; nil: nobody does.
	Accepted *Acceptance `json:"accepted,omitempty"`

	// FirstSeen and LastSeen are when this verdict was first and last
	// reached. [Evaluate] sets both to its time; who keeps findings carries
	// the first over.
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// A Subject names the resource of a finding.
type Subject struct {
	Type     string            `json:"type"`
	ID       string            `json:"id"`
	Region   string            `json:"region,omitempty"`
	Account  string            `json:"account,omitempty"`
	Source   Source            `json:"source,omitempty"`
	Location string            `json:"location,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"` // shared with the resource
}

// What an [Evidence] is.
const (
	Configuration = "configuration" // a member of the document
	Probe         = "probe"         // a handshake with the resource itself
	Backend       = "backend"       // a handshake with what stands behind it
)

// Evidence is one thing that supports a finding, or contradicts it.
type Evidence struct {
	Kind string `json:"kind"`

	Member string `json:"member,omitempty"` // path, of Configuration
	Value  string `json:"value,omitempty"`  // "" is absent

	Target      string     `json:"target,omitempty"`      // host:port that was dialled
	Transcript  []string   `json:"transcript,omitempty"`  // what was tried and what was answered, a line each
	Time        *time.Time `json:"time,omitempty"`        // of the handshake
	Contradicts bool       `json:"contradicts,omitempty"` // the wire does not show what the configuration says
}

// What a [Step] is written in.
const (
	AWSCLI         = "aws-cli"
	CloudFormation = "cloudformation"
	Terraform      = "terraform"
	ByHand         = "by-hand"
)

// A Step is one step towards closing a finding, for this very resource.
type Step struct {
	Form   string   `json:"form"`
	Text   string   `json:"text"`             // command or snippet, to be used as it stands
	Why    string   `json:"why,omitempty"`    // what it does
	Breaks []string `json:"breaks,omitempty"` // who or what stops working
}

// An Acceptance is why a failing finding does not count.
type Acceptance struct {
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// Open reports a finding that counts: it fails and nobody accepted it.
func (f *Finding) Open() bool { return f.Status.Failing() && f.Accepted == nil }

// Key identifies the finding as long as the resource exists: the control and
// the resource.
func (f *Finding) Key() string { return f.Control + " " + f.Resource.ID }

// A Report is the outcome of a run.
type Report struct {
	Findings []Finding `json:"findings"` // by resource, then in the order of the controls
	Summary  Summary   `json:"summary"`
	Problems []Problem `json:"problems,omitempty"` // what could not be read
}

// A Summary counts.
type Summary struct {
	Time      time.Time        `json:"time"`
	Mode      Mode             `json:"mode"`
	Resources int              `json:"resources"` // handed in
	Unjudged  int              `json:"unjudged"`  // of these, of a type that no control covers
	Statuses  map[Status]int   `json:"statuses"`
	Failing   map[Severity]int `json:"failing"` // FAILED and UNFIXABLE, by severity
	Controls  []Tally          `json:"controls"`
}

// A Tally is one control's part of a summary.
type Tally struct {
	Control  string         `json:"control"`
	Status   Overall        `json:"status"`
	Statuses map[Status]int `json:"statuses"`
}

// Overall is a control's status over all of its resources.
// Source: Security Hub user guide, control status.
type Overall string

const (
	OverallFailed  Overall = "FAILED"  // some resource fails
	OverallUnknown Overall = "UNKNOWN" // none fails, some cannot be told
	OverallPassed  Overall = "PASSED"  // all pass
	OverallNoData  Overall = "NO_DATA" // there is nothing to judge
)

// OverallOf tells a control's status by how many findings of each status it has.
func OverallOf(statuses map[Status]int) Overall {
	switch {
	case statuses[Failed]+statuses[Unfixable] > 0:
		return OverallFailed
	case statuses[Unknown] > 0:
		return OverallUnknown
	case statuses[Passed] > 0:
		return OverallPassed
	}
	return OverallNoData
}

// Witness adds what was seen on the wire. Where that contradicts the
// configuration the finding says so first, and nothing passes by it: what was
// passed is unknown then.
func (f *Finding) Witness(e Evidence) {
	f.Evidence = append(f.Evidence[:len(f.Evidence):len(f.Evidence)], e)
	if !e.Contradicts {
		return
	}
	f.Reason = "the wire contradicts the configuration: " + e.Value + "; by configuration: " + f.Reason
	if f.Status == Passed {
		f.Status = Unknown
	}
}

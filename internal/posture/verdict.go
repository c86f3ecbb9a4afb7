package posture

import "fmt"

// Status is the outcome of one control on one resource. There is no useful
// zero value: a verdict without a status is reported as unknown.
type Status string

const (
	Passed        Status = "PASSED"
	Failed        Status = "FAILED"
	NotApplicable Status = "NOT_APPLICABLE" // the control says nothing about such a resource
	Unknown       Status = "UNKNOWN"        // cannot be told from what is visible; never as good as passed
	Unfixable     Status = "UNFIXABLE"      // fails, and no change to the resource closes it without giving up what it is for
)

// Failing reports whether AWS calls the resource FAILED.
func (s Status) Failing() bool { return s == Failed || s == Unfixable }

// Statuses lists every status, gravest first.
func Statuses() []Status { return []Status{Failed, Unfixable, Unknown, Passed, NotApplicable} }

// Confidence says how well the verdict is founded.
type Confidence string

const (
	Documented Confidence = ""         // AWS says so
	Inferred   Confidence = "INFERRED" // read off AWS's texts; no page states it
	Weak       Confidence = "WEAK"     // what decides it may lie outside what was read
)

// A Verdict is what a control says about a resource. Make one with the methods
// of [Resource], which refuse to decide by what could not be read.
type Verdict struct {
	Status     Status
	Reason     string // for people, with the value that decided
	Confidence Confidence
	Notes      []string // what else a reader must know: where AWS's list and a policy's contents disagree
	Members    []Member // what the verdict rests on

	// Wire is what a live handshake must show if the configuration is in
	// force. nil: nothing that a handshake can tell.
	Wire *Wire
}

// A Member is a member of the document with the value it was judged by; "" is
// absent.
type Member struct {
	Path, Value string
}

// Wire is what the configuration says about a handshake with Host.
type Wire struct {
	Host string `json:"host"` // name to ask for; "" when the document does not say

	// Policy names the API Gateway security policy that governs, as
	// tlspolicy.Lookup takes it with Edge; "" for other services.
	Policy string `json:"policy,omitempty"`
	Edge   bool   `json:"edge,omitempty"`

	// Min and Max are the versions, both included, as crypto/tls numbers
	// them; 0 where nothing is known.
	Min uint16 `json:"min,omitempty"`
	Max uint16 `json:"max,omitempty"`

	// Plaintext says that the name answers without TLS as well.
	Plaintext bool `json:"plaintext,omitempty"`
}

// Pass answers that the resource passes, if it may be said: when a member the
// verdict rests on could not be resolved, or is stored and not in effect, the
// answer is unknown, and says which and why.
func (r *Resource) Pass(reason string, on ...Member) Verdict {
	v := r.decide(Passed, reason, on)
	if v.Status == Passed && len(r.NotInEffect) > 0 {
		for _, m := range on {
			if r.Inert(m.Path) {
				return Unsure(fmt.Sprintf("stored, not in effect: this gateway keeps %s and does not act on it yet", orDocument(m.Path)), on...).
					Note("By what is stored it would pass: %s.", reason)
			}
		}
	}
	return v
}

// Fail answers that the resource fails, unless a member the verdict rests on
// could not be resolved.
func (r *Resource) Fail(reason string, on ...Member) Verdict { return r.decide(Failed, reason, on) }

// Stuck answers that the resource fails and that no change closes the finding,
// unless a member the verdict rests on could not be resolved.
func (r *Resource) Stuck(reason string, on ...Member) Verdict { return r.decide(Unfixable, reason, on) }

// Skip answers that the control says nothing about this resource, unless a
// member the verdict rests on could not be resolved.
func (r *Resource) Skip(reason string, on ...Member) Verdict {
	return r.decide(NotApplicable, reason, on)
}

func (r *Resource) decide(s Status, reason string, on []Member) Verdict {
	if len(r.Unknown) > 0 {
		for _, m := range on {
			if why, unresolved := r.Unresolved(m.Path); unresolved {
				return Unsure(fmt.Sprintf("%s is not known: %s", orDocument(m.Path), why), on...)
			}
		}
	}
	return Verdict{Status: s, Reason: reason, Members: on}
}

// Unsure answers unknown.
func Unsure(reason string, on ...Member) Verdict {
	return Verdict{Status: Unknown, Reason: reason, Members: on}
}

// Note returns v with one more note.
func (v Verdict) Note(format string, args ...any) Verdict {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	v.Notes = append(v.Notes[:len(v.Notes):len(v.Notes)], format)
	return v
}

// As returns v with another confidence. An unknown verdict keeps its own.
func (v Verdict) As(c Confidence) Verdict {
	if v.Status != Unknown {
		v.Confidence = c
	}
	return v
}

// Expect returns v with what a handshake must show. An unknown verdict expects
// nothing.
func (v Verdict) Expect(w *Wire) Verdict {
	if v.Status != Unknown {
		v.Wire = w
	}
	return v
}

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

// Seen is the member at path with its value. Values are written as the wire
// writes them.
func Seen[T bool | ~string | int32](path string, value T) Member {
	switch v := any(value).(type) {
	case bool:
		if v {
			return Member{path, "true"}
		}
		return Member{path, "false"}
	case string:
		return Member{path, v}
	}
	return Member{path, fmt.Sprint(value)}
}

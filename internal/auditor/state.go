package auditor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

// Workflow is how far somebody is with a finding. Source: Security Hub user
// guide, Workflow status of findings.
type Workflow string

const (
	New        Workflow = "NEW"
	Notified   Workflow = "NOTIFIED"
	Resolved   Workflow = "RESOLVED"
	Suppressed Workflow = "SUPPRESSED"
)

// State is what is kept of one finding beside its verdict, which can be reached
// again from the configuration: since when it stands, and what people said.
type State struct {
	ID        string         `json:"id"` // a UUID, the same as long as the resource exists
	Control   string         `json:"control"`
	Status    posture.Status `json:"status"`
	Reason    string         `json:"reason"`
	FirstSeen time.Time      `json:"firstSeen"` // of this verdict
	Created   time.Time      `json:"created"`   // of the finding
	Updated   time.Time      `json:"updated"`   // of verdict or record, not of what people said
	Workflow  Workflow       `json:"workflow"`
	// Suppression says why and until when; its end makes the finding NEW again.
	Suppression *Suppression `json:"suppression,omitempty"`
	Note        *Note        `json:"note,omitempty"`
	// Said are the other members of an ASFF finding that a customer may set, as
	// the wire has them.
	Said map[string]json.RawMessage `json:"said,omitempty"`
	// Archived is why the finding is none any more; "": it is one.
	Archived string    `json:"archived,omitempty"`
	Since    time.Time `json:"since,omitzero"` // of Archived
	History  []Change  `json:"history,omitempty"`
}

// Suppression takes a finding out of a control's status.
type Suppression struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"` // zero: without end
	By     string    `json:"by,omitempty"`
}

// Note is what somebody wrote on a finding.
type Note struct {
	Text    string    `json:"text"`
	By      string    `json:"by"`
	Updated time.Time `json:"updated"`
}

// Change is one step in a finding's life.
type Change struct {
	Time     time.Time      `json:"time"`
	Status   posture.Status `json:"status"`
	Workflow Workflow       `json:"workflow"`
	Archived bool           `json:"archived,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	// By is who changed it; "": a verdict did.
	By      string   `json:"by,omitempty"`
	Members []Member `json:"members,omitempty"` // what else changed with it
}

// Member is a member of an ASFF finding that somebody set, by its path, with
// the texts before and after.
type Member struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Bounds of what is kept.
const (
	maxHistory = 20
	// keepArchived is how long a finding outlives its resource.
	// Source: Security Hub user guide, findings are deleted 30 days after they were archived.
	keepArchived = 30 * 24 * time.Hour
)

// Reasons why a finding is archived.
const (
	ResourceGone  = "RESOURCE_DELETED"
	NotApplicable = "NOT_APPLICABLE"
)

// dossier is one resource's states, a document of the store.
type dossier struct {
	Type   string            `json:"type"`
	ID     string            `json:"id"`
	Region string            `json:"region"`
	States map[string]*State `json:"states"` // by control

	live *judged // nil: the resource is no more
}

// prefixDossiers begins the keys of dossiers; the rest is a hash, since ids may
// be longer than a key.
const prefixDossiers = "audit/findings/"

func dossierKey(typ, id string) string {
	sum := sha256.Sum256([]byte(typ + "\x00" + id))
	return prefixDossiers + hex.EncodeToString(sum[:16])
}

// follow brings the state up to a verdict. It reports whether anything changed
// that must be kept.
func (s *State) follow(f *posture.Finding, now time.Time) bool {
	if f.Status == posture.NotApplicable {
		return s.archive(NotApplicable, now)
	}
	before := *s
	back := s.Archived != ""
	s.Archived, s.Since = "", time.Time{}
	moved := s.Status != f.Status
	if moved {
		s.FirstSeen = now
	}
	s.Status, s.Reason = f.Status, f.Reason
	s.expire(now)
	// Source: Security Hub user guide: PASSED resolves; what leaves PASSED, or
	// returns, is new again; what is suppressed stays so, as does what somebody
	// calls resolved while it still fails.
	switch {
	case s.Workflow == Suppressed:
	case f.Status == posture.Passed:
		s.Workflow = Resolved
	case s.Workflow == "", back, moved && before.Status == posture.Passed:
		s.Workflow = New
	}
	if !moved && !back && s.Workflow == before.Workflow {
		return s.Reason != before.Reason // days left, say: kept, and no step in the finding's life
	}
	s.Updated = now
	s.note(Change{Time: now, Status: s.Status, Workflow: s.Workflow, Reason: s.Reason})
	return true
}

// expire ends a suppression whose time is over.
func (s *State) expire(now time.Time) {
	if s.Suppression == nil || s.Suppression.Until.IsZero() || now.Before(s.Suppression.Until) {
		return
	}
	if s.Suppression, s.Workflow = nil, New; s.Status == posture.Passed {
		s.Workflow = Resolved
	}
}

func (s *State) archive(why string, now time.Time) bool {
	if s.Archived != "" {
		return false
	}
	s.Archived, s.Since, s.Updated = why, now, now
	s.note(Change{Time: now, Status: s.Status, Workflow: s.Workflow, Archived: true, Reason: why})
	return true
}

func (s *State) note(c Change) {
	if s.History = append(s.History, c); len(s.History) > maxHistory {
		s.History = slices.Delete(s.History, 0, len(s.History)-maxHistory)
	}
}

// clone is a copy that shares nothing that changes.
func (s *State) clone() *State {
	c := *s
	c.History = slices.Clone(s.History)
	if s.Suppression != nil {
		v := *s.Suppression
		c.Suppression = &v
	}
	if s.Note != nil {
		v := *s.Note
		c.Note = &v
	}
	c.Said = maps.Clone(s.Said)
	return &c
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Package evidence asks the wire what a finding says of it: a live probe of the
// name that a control judged, by single ClientHellos, compared with what the
// configuration would have it show. It touches the one host that it is given.
//
//	e := evidence.Probe(ctx, finding.Expect, "127.0.0.1:8443", dial)
//	finding.Witness(e)
package evidence

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Probe asks a server whether it does what w says. target is how the server is
// called in the evidence, dial makes one connection to it. A server that cannot
// be asked is evidence too, and contradicts nothing.
func Probe(ctx context.Context, w *posture.Wire, target string, dial func(context.Context) (net.Conn, error)) posture.Evidence {
	e := posture.Evidence{Kind: posture.Probe, Target: target}
	seen, err := tlspolicy.Probe(ctx, w.Host, dial)
	if err != nil {
		e.Value = "no probe: " + err.Error()
		return e
	}
	at := seen.At.UTC()
	e.Time = &at
	for _, s := range seen.Steps {
		e.Transcript = append(e.Transcript, line(&s))
	}
	against := contradictions(w, seen)
	if e.Contradicts = len(against) > 0; e.Contradicts {
		e.Value = strings.Join(against, "; ")
		return e
	}
	e.Value = "accepts " + list(seen.Versions, tlspolicy.VersionName)
	if len(seen.Versions) == 0 {
		e.Value = "nothing was accepted"
	}
	if seen.Unanswered > 0 {
		e.Value += fmt.Sprintf("; %d questions were not answered", seen.Unanswered)
	}
	return e
}

// contradictions says in what a server differs from what is expected.
func contradictions(w *posture.Wire, seen *tlspolicy.Observation) []string {
	if len(seen.Versions) == 0 {
		if seen.Unanswered > 0 {
			return nil
		}
		return []string{"every handshake is refused"}
	}
	if p, ok := policyOf(w); ok {
		return seen.Contradictions(p)
	}
	var out []string
	for _, v := range seen.Versions {
		if w.Min != 0 && v < w.Min || w.Max != 0 && v > w.Max {
			out = append(out, tlspolicy.VersionName(v)+" is accepted")
		}
	}
	return out
}

// line is a question with its answer: what was offered is told by its number
// when there is much of it.
func line(s *tlspolicy.Step) string {
	suites := fmt.Sprintf("%d suites", len(s.Suites))
	if len(s.Suites) <= 3 {
		suites = list(s.Suites, tlspolicy.SuiteName)
	}
	groups := fmt.Sprintf("%d groups", len(s.Groups))
	if len(s.Groups) <= 2 {
		groups = list(s.Groups, tlspolicy.GroupName)
	}
	return fmt.Sprintf("%s with %s and %s: %s", tlspolicy.VersionName(s.Version), suites, groups, s.Answer)
}

func list[T any](ids []T, name func(T) string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = name(id)
	}
	return strings.Join(names, ", ")
}

// policyOf is the policy that is expected, an API's or a search domain's.
func policyOf(w *posture.Wire) (*tlspolicy.Policy, bool) {
	if p, ok := tlspolicy.Lookup(w.Policy, w.Edge); ok {
		return p, true
	}
	return tlspolicy.LookupSearch(w.Policy)
}

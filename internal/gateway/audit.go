package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/evidence"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// AuditPath is the extension that answers with the auditor's report on this
// gateway, a posture.Report as JSON.
const AuditPath = "/_sallyport/audit"

// audit answers with the report as it stands. With doors=true the backends of
// stages are tried first: whether they let in a caller who shows no client
// certificate, and so does not come through this gateway.
func (g *Gateway) audit(ctx context.Context, r *http.Request) (any, error) {
	report := g.auditor.Report()
	if r.URL.Query().Get("doors") == "true" {
		g.tryDoors(ctx, report)
	}
	g.remedies(ctx, report)
	return report, ctx.Err()
}

// maxDoors bounds the stages whose backends one call tries.
const maxDoors = 25

// tryDoors adds to the findings about client certificates what the backends do.
func (g *Gateway) tryDoors(ctx context.Context, report *posture.Report) {
	tried := 0
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Control != "APIGateway.2" {
			continue
		}
		if tried++; tried > maxDoors {
			report.Problems = append(report.Problems, posture.Problem{Where: f.Resource.ID, Text: fmt.Sprintf("its backends were not tried: one call tries those of %d stages", maxDoors)})
			continue
		}
		_, path, _ := strings.Cut(f.Resource.ID, "/restapis/")
		api, stage, _ := strings.Cut(path, "/stages/")
		s, err := g.doctor.Doors(ctx, api, stage)
		if err != nil {
			report.Problems = append(report.Problems, posture.Problem{Where: f.Resource.ID, Text: "its backends were not tried: " + err.Error()})
			continue
		}
		f.Witness(doorsOf(s, time.Now().UTC()))
	}
}

// doorsOf is what a stage's backends say as evidence. It contradicts nothing:
// the control asks for a certificate on the stage, not for a backend that
// demands it.
func doorsOf(s *doctor.Stage, at time.Time) posture.Evidence {
	e := posture.Evidence{Kind: posture.Backend, Target: s.API + "/" + s.Name, Time: &at}
	open := 0
	for _, b := range s.Backends {
		if b.Verdict == doctor.Open {
			open++
		}
		e.Transcript = append(e.Transcript, b.URL+": "+string(b.Verdict)+": "+b.Why)
	}
	e.Value = fmt.Sprintf("%d of %d backends let in a caller who shows no client certificate", open, len(s.Backends))
	if s.Total > len(s.Backends) {
		e.Value += fmt.Sprintf("; %d more were not tried", s.Total-len(s.Backends))
	}
	return e
}

// prober asks our own first gate what findings say of it: names are probed one
// at a time, and for a fifth of the time at most.
type prober struct {
	g       *Gateway
	mu      sync.Mutex
	pending map[subject]int         // to how often its configuration was not in force yet
	later   map[subject]*time.Timer // asked again when it fires
	wake    chan struct{}
	// own are our ends of connections that are not a client's: what they do
	// goes to no log and no count.
	own sync.Map // ownEnd to when it was opened, a time.Time
}

// subject names a finding; what it says is looked up when it is probed.
type subject struct{ control, resource string }

// ownEnd is our end of a probe. Its port alone is no name: somebody else may
// call another listener from the same one.
type ownEnd struct{ listener, address string }

const (
	// The pause before a configuration that is not in force yet is looked at again.
	probeAgain, probeAgainMost = 100 * time.Millisecond, 30 * time.Second
	// ownTime is how long after its begin a probe's connection may be recorded:
	// longer than any handshake may take.
	ownTime = time.Minute
)

func newProber(g *Gateway) *prober {
	return &prober{g: g, pending: map[subject]int{}, later: map[subject]*time.Timer{}, wake: make(chan struct{}, 1)}
}

// add notes findings that the wire can confirm.
func (p *prober) add(findings []posture.Finding) {
	for _, f := range findings {
		if f.Expect != nil && f.Expect.Host != "" {
			p.put(subject{f.Control, f.Resource.ID}, 0)
		}
	}
}

func (p *prober) put(s subject, tries int) {
	p.mu.Lock()
	p.pending[s] = tries
	p.forget(s)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// forget ends the wait of a subject. The caller holds mu.
func (p *prober) forget(s subject) {
	if t := p.later[s]; t != nil {
		t.Stop()
		delete(p.later, s)
	}
}

// postpone puts a subject back after a pause that grows.
func (p *prober) postpone(s subject, tries int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.pending[s]; waits {
		return
	}
	p.forget(s)
	p.later[s] = time.AfterFunc(min(probeAgain<<min(tries, 20), probeAgainMost), func() { p.put(s, tries+1) })
}

// next takes one subject.
func (p *prober) next() (s subject, tries int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, tries := range p.pending {
		delete(p.pending, s)
		return s, tries, true
	}
	return s, 0, false
}

func (p *prober) waits(s subject) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waits := p.pending[s]
	return waits
}

func (p *prober) run(ctx context.Context) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for s := range p.later {
			p.forget(s)
		}
	}()
	for {
		s, tries, ok := p.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			}
			continue
		}
		begun := time.Now()
		if p.probe(ctx, s) {
			p.postpone(s, tries)
		}
		p.sweep()
		rest := time.NewTimer(4 * time.Since(begun))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// probe asks about one finding as it stands. again says that its configuration
// is not in force yet, so that the answer would be about another one. One that
// does not compile never will be: what is served in its place is the answer.
func (p *prober) probe(ctx context.Context, s subject) (again bool) {
	g := p.g
	f, ok := g.auditor.Finding(s.control, s.resource)
	if !ok || f.Expect == nil || f.Expect.Host == "" {
		return false
	}
	w, current := f.Expect, g.compiler.Current()
	name := current.Lookup(w.Host)
	if (name == nil || w.Policy != "" && name.Policy.Name != w.Policy) && !isFaulty(current, &f) {
		return true
	}
	listener := listenerOf(name, w.Edge)
	target := g.runtime.Listeners[listener]
	if target == "" {
		return false
	}
	var dialer net.Dialer
	e := evidence.Probe(ctx, w, target, func(ctx context.Context) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, "tcp", target)
		if err == nil {
			p.own.Store(ownEnd{listener, c.LocalAddr().String()}, time.Now())
		}
		return c, err
	})
	if ctx.Err() == nil && !p.waits(s) { // else it is about a configuration that is no more
		g.auditor.Witness(s.resource, e)
	}
	return false
}

// isFaulty reports whether the document behind a finding is set aside.
func isFaulty(current *snapshot.Snapshot, f *posture.Finding) bool {
	var key string
	switch f.Resource.Type {
	case posture.TypeDomainName:
		key = resource.DomainNameKey(strings.ToLower(f.Expect.Host))
	case posture.TypeSearchDomain:
		_, name, _ := strings.Cut(f.Resource.ID, ":domain/")
		key = resource.SearchDomainKey(name)
	}
	return slices.ContainsFunc(current.Faults(), func(fault snapshot.Fault) bool { return fault.Key == key })
}

// isOwn reports whether a connection is a probe's, once.
func (p *prober) isOwn(listener, peer string) bool {
	since, ok := p.own.LoadAndDelete(ownEnd{listener, peer})
	return ok && time.Since(since.(time.Time)) < ownTime
}

// sweep forgets connections that were never recorded: their ports may be
// anybody's by now.
func (p *prober) sweep() {
	p.own.Range(func(end, since any) bool {
		if time.Since(since.(time.Time)) >= ownTime {
			p.own.Delete(end)
		}
		return true
	})
}

// runAuditor follows the store until ctx ends, whatever becomes of the watch.
func (g *Gateway) runAuditor(ctx context.Context) {
	for {
		err := g.auditor.Run(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		g.log.Error("changes are not judged for a moment; requests are served", "err", err)
		rest := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// listenerOf is the type of the listener that serves a name; nil: one that is
// not known.
func listenerOf(name *snapshot.Name, edge bool) string {
	switch {
	case edge:
		return "EDGE"
	case name != nil && name.Endpoints&snapshot.Private != 0:
		return "PRIVATE"
	}
	return "REGIONAL"
}

// openAuditor judges what the store holds.
func (g *Gateway) openAuditor(ctx context.Context, o Options) (err error) {
	g.prober = newProber(g)
	g.auditor, err = auditor.Open(ctx, auditor.Options{
		Store: g.store, Region: o.Config.Region, Account: o.Config.AccountID, Now: o.Now, Log: o.Log, Changed: g.prober.add,
	})
	return err
}

package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/evidence"
	"github.com/sallyport/sallyport/internal/posture"
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
	pending map[subject]bool
	wake    chan struct{}
	// own are our ends of connections that are not a client's: what they do
	// goes to no log and no count.
	own sync.Map // address and port
}

// subject names a finding; what it says is looked up when it is probed.
type subject struct{ control, resource string }

func newProber(g *Gateway) *prober {
	return &prober{g: g, pending: map[subject]bool{}, wake: make(chan struct{}, 1)}
}

// add notes findings that the wire can confirm.
func (p *prober) add(findings []posture.Finding) {
	p.mu.Lock()
	for _, f := range findings {
		if f.Expect != nil && f.Expect.Host != "" {
			p.pending[subject{f.Control, f.Resource.ID}] = true
		}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next takes one subject.
func (p *prober) next() (s subject, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.pending {
		delete(p.pending, s)
		return s, true
	}
	return s, false
}

func (p *prober) waits(s subject) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending[s]
}

func (p *prober) run(ctx context.Context) {
	for {
		s, ok := p.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-p.wake:
			}
			continue
		}
		begun := time.Now()
		again := p.probe(ctx, s)
		pause := 4 * time.Since(begun)
		if again {
			pause = max(pause, 100*time.Millisecond)
		}
		rest := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
		if again {
			p.mu.Lock()
			p.pending[s] = true
			p.mu.Unlock()
		}
	}
}

// probe asks about one finding as it stands. again says that its configuration
// is not in force yet, so that the answer would be about another one.
func (p *prober) probe(ctx context.Context, s subject) (again bool) {
	g := p.g
	f, ok := g.auditor.Finding(s.control, s.resource)
	if !ok || f.Expect == nil {
		return false
	}
	w := f.Expect
	name := g.compiler.Current().Lookup(w.Host)
	if name == nil || w.Policy != "" && name.Policy.Name != w.Policy {
		return true
	}
	target := g.listenerOf(name, w.Edge)
	if target == "" {
		return false
	}
	var dialer net.Dialer
	e := evidence.Probe(ctx, w, target, func(ctx context.Context) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, "tcp", target)
		if err == nil {
			p.own.Store(c.LocalAddr().String(), struct{}{})
		}
		return c, err
	})
	if ctx.Err() == nil && !p.waits(s) { // else it is about a configuration that is no more
		g.auditor.Witness(s.resource, e)
	}
	return false
}

// isOwn reports whether a connection is a probe's, once.
func (p *prober) isOwn(peer string) bool {
	_, ok := p.own.LoadAndDelete(peer)
	return ok
}

// listenerOf is the address of the listener that serves a name.
func (g *Gateway) listenerOf(name *snapshot.Name, edge bool) string {
	typ := "REGIONAL"
	switch {
	case edge:
		typ = "EDGE"
	case name.Endpoints&snapshot.Private != 0:
		typ = "PRIVATE"
	}
	return g.runtime.Listeners[typ]
}

// openAuditor judges what the store holds.
func (g *Gateway) openAuditor(ctx context.Context, o Options) (err error) {
	g.prober = newProber(g)
	g.auditor, err = auditor.Open(ctx, auditor.Options{
		Store: g.store, Region: o.Config.Region, Account: o.Config.AccountID, Now: o.Now, Log: o.Log, Changed: g.prober.add,
	})
	return err
}

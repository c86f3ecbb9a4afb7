package frontgate

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// swapWait bounds how long a handshake waits for a swap that was announced.
const swapWait = time.Second

// swap is a change that is about to come into force.
type swap struct {
	old, new Names
	done     chan struct{} // closed when it is in force
}

// Apply makes the change from old to new bind open connections: each one whose
// server name no longer exists, or whose version, suite or group the name's
// new policy does not tolerate, is drained, so that its client opens a fresh
// one under the new rule and no request that was taken is lost.
//
// Call it right before and right after the swap. The first call moves clients
// off in time, and lets new handshakes for changed names wait for the swap; the
// second one catches connections that were opened in between.
func (g *Gate) Apply(old, new *snapshot.Snapshot) {
	if old == nil || new == nil {
		return
	}
	g.apply(old, new)
}

func (g *Gate) apply(old, new Names) {
	announced := g.names() != new
	var drain []*conn
	g.mu.Lock()
	if g.swap != nil {
		close(g.swap.done)
		g.swap = nil
	}
	if announced {
		g.swap = &swap{old: old, new: new, done: make(chan struct{})}
	}
	for sni, set := range g.open {
		before, after := old.Lookup(sni), new.Lookup(sni)
		if before == after && (before != nil || old.Default() == new.Default()) {
			continue // the same name, by pointer: nothing changed for it
		}
		gone := before != nil && after == nil
		if after == nil {
			after = new.Default()
		}
		for c := range set {
			if gone || after.Policy.Tolerates(c.facts.Version, c.facts.Suite, c.facts.Group) != nil {
				drain = append(drain, c)
			}
		}
	}
	g.mu.Unlock()
	for _, c := range drain {
		c.drain()
	}
}

// waitForSwap returns when no change of sni is about to come into force, so
// that a client which was just moved off an old connection does not open
// another one under the old rule.
func (g *Gate) waitForSwap(ctx context.Context, sni string) {
	g.mu.Lock()
	s := g.swap
	g.mu.Unlock()
	if s == nil || s.old.Lookup(sni) == s.new.Lookup(sni) {
		return
	}
	t := time.NewTimer(swapWait)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
	case <-ctx.Done():
	}
}

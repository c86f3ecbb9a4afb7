package frontgate

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// swapWait bounds how long a handshake waits for a swap that was announced.
const swapWait = time.Second

const (
	// moveTime is how long HTTP/2 clients that were told to move have served
	// what they sent before they knew. GOAWAY takes far less to go out; a busy
	// machine may need the rest to get to the streams before it.
	moveTime = 5 * time.Millisecond
	// settleTime bounds the wait of Apply for handshakes under way and for
	// HTTP/1.1 connections to answer what they have and close.
	settleTime = 100 * time.Millisecond
	settleTick = 250 * time.Microsecond
)

// swap is a change that is about to come into force.
type swap struct {
	old, new Names
	done     chan struct{} // closed when it is in force
	since    time.Time
	moving   []*conn // told to move
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
	if announced {
		g.endSwap()
		g.swap = &swap{old: old, new: new, done: make(chan struct{}), since: time.Now()}
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
				g.move(c)
				drain = append(drain, c)
			}
		}
	}
	if !announced && g.swap != nil {
		close(g.swap.done)
	}
	g.mu.Unlock()
	for _, c := range drain {
		c.drain()
	}
	if !announced {
		g.settle()
	}
}

// move gives c the grace of Moving until the swap has settled. The caller
// holds mu.
func (g *Gate) move(c *conn) {
	if g.swap != nil && !c.facts.Moving.Swap(true) {
		g.swap.moving = append(g.swap.moving, c)
	}
}

// settle waits, within bounds, until what was under way at the swap has had
// its turn: handshakes that chose the old rule, requests on the connections
// that were opened under it, streams sent before a GOAWAY was read. Then it
// ends their grace: from there on Admit refuses what they still send.
func (g *Gate) settle() {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	// Twice in a row: between a request's start and its admission lies a moment.
	for deadline, quiet := time.Now().Add(settleTime), 0; quiet < 2 && time.Now().Before(deadline); {
		g.mu.Lock()
		busy := g.unsettled()
		idle := g.swap == nil || len(g.swap.moving) == 0
		g.mu.Unlock()
		if !busy && idle {
			break // the usual case: nobody was in the way
		}
		if quiet++; busy {
			quiet = 0
		}
		<-tick.C
	}
	g.mu.Lock()
	moved := g.endSwap()
	g.mu.Unlock()
	for _, c := range moved {
		c.closeIdle()
	}
}

// unsettled reports whether anything of the old rule still has its turn to
// come. The caller holds mu.
func (g *Gate) unsettled() bool {
	if g.swap == nil {
		return false
	}
	for c, name := range g.choosing {
		if g.swap.new.Lookup(c.sni) != name && g.swap.old.Lookup(c.sni) == name {
			return true
		}
	}
	for _, c := range g.swap.moving {
		if _, open := g.all[c]; !open {
			continue
		}
		if c.facts.HTTP2 && time.Since(g.swap.since) < moveTime || !c.facts.Used.Load() || c.pending() {
			return true
		}
	}
	return false
}

// endSwap forgets the swap, if there is one, and returns the connections whose
// grace ends with it: one that a client keeps in its pool unused would only
// earn its first request a 421; closed, it makes the client open another. The
// caller holds mu.
func (g *Gate) endSwap() []*conn {
	if g.swap == nil {
		return nil
	}
	moved := g.swap.moving
	for _, c := range moved {
		c.facts.Moving.Store(false)
	}
	select {
	case <-g.swap.done:
	default:
		close(g.swap.done)
	}
	g.swap = nil
	return moved
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

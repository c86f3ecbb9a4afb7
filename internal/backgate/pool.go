package backgate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Bounds of pools.
const (
	// maxActive is how many requests to one backend run at a time; more wait
	// for their turn as long as their own timeout lasts.
	maxActive = 1024
	// maxIdlePerPool and maxIdle are how many connections are kept.
	maxIdlePerPool = 1024
	maxIdle        = 4096
	// idleTimeout is how long a connection is kept.
	idleTimeout = 60 * time.Second
	// safeIdle is how long it is kept for a request that cannot be sent again:
	// common servers keep an idle connection for at least 5 s, so none closes
	// just when such a request arrives.
	safeIdle = 4 * time.Second
	// sweepEvery is how often what is too old is closed.
	sweepEvery = 10 * time.Second
	// maxPools bounds the pools: names may come from requests. A backend beyond
	// them is served, but its connections are not kept.
	maxPools = 10_000
	// sessionsPerPool are kept for resumption.
	sessionsPerPool = 16
)

// key is what requests must have in common to share connections, beside the
// configuration that their pools belong to.
type key struct {
	host        string // as in the Host header
	target      string // what is dialed in its place; "": host
	secure      bool
	skip        bool
	certificate *tls.Certificate // presented to the backend
}

// trust is one configuration, by which connections were judged, and the pools
// under it.
type trust struct {
	gate    *Gate
	roots   *x509.CertPool
	allow   []netip.Prefix
	targets map[string][]string
	routes  map[string]*route // of the targets that have addresses

	mu     sync.RWMutex
	pools  map[key]*pool
	closed bool
}

// pool holds the idle connections of one key.
type pool struct {
	trust *trust
	key   key
	route *route
	tls   *tls.Config // nil: plain
	slots chan struct{}

	mu   sync.Mutex
	idle []idleClient // the one used last is at the end
	gone bool         // keeps nothing
	used time.Time    // when a connection came back last
}

type idleClient struct {
	*httpwire.Client
	since time.Time
}

// pool returns the pool of a key, new if need be.
func (t *trust) pool(k key) (*pool, error) {
	t.mu.RLock()
	p := t.pools[k]
	t.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	if err := t.check(k); err != nil {
		return nil, err
	}
	k.host = strings.Clone(k.host) // it may be part of a request
	p = t.newPool(k)
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.pools[k]; other != nil {
		return other, nil
	}
	if t.closed || len(t.pools) >= maxPools {
		p.gone = true
		return p, nil
	}
	t.pools[k] = p
	return p, nil
}

// check reports what makes a key one that cannot be dialed.
func (t *trust) check(k key) error {
	if !validAuthority(k.host) {
		return &Error{Kind: InvalidAddress, Cause: errAuthority}
	}
	if k.target != "" && t.routes[k.target] == nil {
		return &Error{Kind: NoTarget, Detail: k.target, Cause: errNoAddress}
	}
	return nil
}

// close closes what is idle. What is in use closes with its request.
func (t *trust) close() {
	t.mu.Lock()
	t.closed = true
	pools := t.pools
	t.pools = nil
	t.mu.Unlock()
	for _, p := range pools {
		p.sweep(time.Time{}, true)
	}
}

// take returns an idle connection that is ready for a call, nil when there is
// none. again says that the request may be sent again if the connection breaks.
func (p *pool) take(now, deadline time.Time, again bool, call *httpwire.Call) *httpwire.Client {
	for {
		p.mu.Lock()
		n := len(p.idle) - 1
		if n < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n]
		p.idle[n] = idleClient{}
		p.idle = p.idle[:n]
		p.mu.Unlock()
		p.trust.gate.idle.Add(-1)
		age := now.Sub(c.since)
		if age < idleTimeout && (again || age < safeIdle) {
			c.SetDeadline(deadline)
			if c.Ready(call) {
				return c.Client
			}
			c.Abort()
			continue
		}
		c.Client.Close()
		if age < idleTimeout {
			return nil // all others are older; they serve requests that can be sent again
		}
	}
}

// put takes a connection back, or closes it.
func (p *pool) put(c *httpwire.Client, now time.Time) {
	g := p.trust.gate
	if g.idle.Add(1) <= maxIdle {
		p.mu.Lock()
		if p.used = now; !p.gone && len(p.idle) < maxIdlePerPool {
			p.idle = append(p.idle, idleClient{c, now})
			p.mu.Unlock()
			g.sweepSoon()
			return
		}
		p.mu.Unlock()
	}
	g.idle.Add(-1)
	c.Close()
}

// enter waits until one more request to the backend may run.
func (p *pool) enter(ctx context.Context, deadline time.Time) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() { <-p.slots }

// sweep closes the connections that are idle since before a time, all of them
// and for good if last is set. unused says that the pool has nothing left.
func (p *pool) sweep(before time.Time, last bool) (unused bool) {
	p.mu.Lock()
	n := len(p.idle)
	if !last {
		for n = 0; n < len(p.idle) && p.idle[n].since.Before(before); n++ {
		}
	}
	old := append([]idleClient(nil), p.idle[:n]...)
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	unused = kept == 0 && len(p.slots) == 0 && p.used.Before(before)
	p.gone = p.gone || last || unused
	p.mu.Unlock()
	p.trust.gate.idle.Add(-int64(n))
	for _, c := range old {
		c.Client.Close()
	}
	return unused
}

// sweeper closes what is idle for too long, as long as there is anything.
type sweeper struct {
	armed atomic.Bool
	timer atomic.Pointer[time.Timer]
}

func (g *Gate) sweepSoon() {
	if g.sweeper.armed.Load() || !g.sweeper.armed.CompareAndSwap(false, true) {
		return
	}
	g.sweeper.timer.Store(time.AfterFunc(sweepEvery, g.sweep))
}

func (g *Gate) sweep() {
	t := g.trust.Load()
	before := time.Now().Add(-idleTimeout)
	t.mu.RLock()
	pools := make([]*pool, 0, len(t.pools))
	for _, p := range t.pools {
		pools = append(pools, p)
	}
	t.mu.RUnlock()
	left := g.choices.sweep(time.Now().Add(-choiceIdle))
	for _, p := range pools {
		if !p.sweep(before, false) {
			left++
			continue
		}
		t.mu.Lock()
		delete(t.pools, p.key)
		t.mu.Unlock()
	}
	g.sweeper.armed.Store(false)
	if left > 0 {
		g.sweepSoon()
	}
}

package backgate

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// shunFor is how long an address that could not be connected to comes after
// the others.
const shunFor = 10 * time.Second

// route is where connections go: the addresses of a target, which take turns,
// or the one of a URI's host. All pools of a target share it.
type route struct {
	addresses []address
	turn      atomic.Uint32
}

type address struct {
	name    string       // host:port
	shunned atomic.Int64 // until when it comes last, in Unix nanoseconds
}

func newRoute(names []string) *route {
	r := &route{addresses: make([]address, len(names))}
	for i, name := range names {
		r.addresses[i].name = name
	}
	return r
}

// order lists the addresses as they shall be tried: each call begins with the
// next one, and those that failed lately come last.
func (r *route) order(now time.Time) []*address {
	n := len(r.addresses)
	first := int(r.turn.Add(1)-1) % n
	good, bad := make([]*address, 0, n), []*address(nil)
	for i := range n {
		if a := &r.addresses[(first+i)%n]; a.shunned.Load() > now.UnixNano() {
			bad = append(bad, a)
		} else {
			good = append(good, a)
		}
	}
	return append(good, bad...)
}

// connect opens a socket to one of the addresses. What refuses, or does not
// answer within its share of the time, gives way to its neighbour.
func (p *pool) connect(ctx context.Context, deadline time.Time) (net.Conn, error) {
	o := &p.trust.gate.options
	dialer := net.Dialer{
		Resolver: o.Resolver,
		// Control sees the address that the socket really connects to, after
		// every resolution and for each of several addresses.
		Control: p.trust.control,
	}
	order := p.route.order(time.Now())
	var failed error
	for i, a := range order {
		dialer.Timeout = o.DialTimeout
		if left := len(order) - i; left > 1 {
			dialer.Timeout = min(o.DialTimeout, time.Until(deadline)/time.Duration(left))
		}
		c, err := dialer.DialContext(ctx, "tcp", a.name)
		switch {
		case err == nil:
			a.shunned.Store(0)
			return c, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		a.shunned.Store(time.Now().Add(shunFor).UnixNano())
		if failed == nil {
			failed = err
		}
	}
	return nil, failed
}

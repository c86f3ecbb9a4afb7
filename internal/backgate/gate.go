// Package backgate is the second gate: it carries a request to its backend and
// writes nothing before the backend has proved its name. It hides dialing,
// address checks, TLS and pools.
//
// What it promises:
//
//   - No request byte leaves before chain, dates and name verify; skipping
//     verification drops the one check that the root is a trusted one.
//   - Addresses are judged after resolution, on every dial, in every spelling.
//   - A request by a VPC link goes to the addresses that the operator mapped to
//     its target and nowhere else; the name that is sent and verified stays the
//     URI's.
//   - Connections, and TLS sessions, are shared only between requests under the
//     same trust, skip setting, scheme, host, port, target and client certificate. A
//     changed configuration starts new pools.
//   - A connection is used again only after exactly the bytes that its answers
//     announced: what comes early, twice or on top closes it.
//   - A backend gets one request at most once. The exception is one without
//     body and with a safe method whose kept connection breaks before a byte of
//     the answer: it is sent once more, on a new connection.
//   - While one client certificate gives way to another, a backend is shown the
//     one that it takes. A request that came with the one it refuses is sent
//     with the other: none of it was read then.
//   - No redirect is followed, no proxy is taken from the environment, nothing
//     is decompressed and no cookie is kept.
//
// The usual call:
//
//	g := backgate.New(backgate.Options{Roots: roots})
//	resp, err := g.Do(ctx, &backgate.Request{Method: "GET", Scheme: "https", Host: "example.com", Path: "/"})
//	var e *backgate.Error // always this type
package backgate

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/telemetry"
)

// Defaults of what is not set.
const (
	defaultDialTimeout      = 10 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultTimeout          = 29 * time.Second
)

// Options configure New.
type Options struct {
	// Roots are trusted to issue backends' certificates; nil trusts none.
	Roots *x509.CertPool
	// AllowBackend are address ranges that may be dialed although they are
	// special (loopback, link-local ...).
	AllowBackend []netip.Prefix
	// Targets are what VPC links lead to: the ARN of a load balancer, a listener
	// or a Cloud Map service, or a name -> its addresses, host:port each.
	Targets  map[string][]string
	Resolver *net.Resolver // nil: the system's
	// DialTimeout and HandshakeTimeout bound the TCP and the TLS handshake;
	// zero means 10 s. The context of a request may end them earlier.
	DialTimeout, HandshakeTimeout time.Duration
	Now                           func() time.Time   // for certificates' dates; nil: time.Now
	Metrics                       *telemetry.Metrics // nil: none
}

// Gate carries requests to backends. Safe for concurrent use.
type Gate struct {
	options Options
	mu      sync.Mutex // one Configure at a time
	trust   atomic.Pointer[trust]
	idle    atomic.Int64 // connections kept in all
	sweeper sweeper
	choices choices
	context context.Context // of what runs beside requests
	stop    func()
}

// New returns a gate that dials nothing yet.
func New(o Options) *Gate {
	if o.DialTimeout == 0 {
		o.DialTimeout = defaultDialTimeout
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultHandshakeTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gate{options: o}
	g.context, g.stop = context.WithCancel(context.Background())
	g.Configure(o.Roots, o.AllowBackend, o.Targets)
	return g
}

// Configure replaces the roots, the allowed special addresses and the targets,
// which the gate keeps. Requests under way finish on their connections; no
// later one uses those.
func (g *Gate) Configure(roots *x509.CertPool, allow []netip.Prefix, targets map[string][]string) {
	if roots == nil {
		roots = x509.NewCertPool() // nil would mean the system's to crypto/x509
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := &trust{gate: g, roots: roots, allow: allow, targets: targets, routes: map[string]*route{}, pools: map[key]*pool{}}
	for name, addresses := range targets {
		if len(addresses) > 0 {
			t.routes[name] = newRoute(addresses)
		}
	}
	if old := g.trust.Swap(t); old != nil {
		old.close()
	}
}

// Maps reports whether target has addresses.
func (g *Gate) Maps(target string) bool { return g.trust.Load().routes[target] != nil }

// Close closes the idle connections; those in use close with their requests.
func (g *Gate) Close() {
	g.stop()
	g.choices.close()
	g.trust.Load().close()
	if t := g.sweeper.timer.Load(); t != nil {
		t.Stop()
	}
}

// validAuthority accepts a host name, an IPv4 address or an IPv6 address in
// brackets, with an optional port, in ASCII.
func validAuthority(s string) bool {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		if port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		return err == nil && addr.Is6() && addr.Zone() == "" && strings.HasSuffix(host, "]")
	}
	if host == "" || len(host) > 254 {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_') {
			return false
		}
	}
	return true
}

package backgate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	nlbARN      = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/a/1"
	listenerARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/b/1/2"
	inside      = "api.internal.example" // no resolver knows it
)

// named makes a certificate hold for the name of the URI alone.
func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }
}

// balancer is a load balancer's listener: it passes bytes on to a target. With
// a configuration it is a TLS listener, which ends TLS and goes on in plain,
// else a TCP listener.
func balancer(t testing.TB, config *tls.Config, to string) (addr string, conns *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	conns = new(atomic.Int32)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				if config != nil {
					c = tls.Server(c, config)
				}
				defer c.Close()
				back, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer back.Close()
				go func() {
					io.Copy(back, c)
					back.Close()
				}()
				io.Copy(c, back)
			}()
		}
	}()
	return l.Addr().String(), conns
}

// seen is what a target saw of the last request.
type seen struct {
	requests  atomic.Int32
	host, sni atomic.Value
}

// target serves over TLS, if it has a certificate. One with a name keeps no
// connection.
func target(t testing.TB, name string, certificate *tls.Certificate) (addr string, s *seen) {
	t.Helper()
	s = new(seen)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.host.Store(r.Host)
		if r.TLS != nil {
			s.sni.Store(r.TLS.ServerName)
		}
		if name != "" {
			w.Header().Set("Connection", "close") // each request dials
		}
		io.WriteString(w, name)
	}))
	server.Config.ErrorLog = quiet
	if certificate == nil {
		server.Start()
	} else {
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), s
}

// linked is a gate with targets whose resolver may not be asked for anything.
func linked(t testing.TB, roots *x509.CertPool, targets map[string][]string) *Gate {
	t.Helper()
	g := New(Options{Roots: roots, AllowBackend: loopback, Targets: targets, DialTimeout: 2 * time.Second,
		Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Error("a name was resolved")
			return nil, errors.New("no resolver")
		}}})
	t.Cleanup(g.Close)
	return g
}

// Through a TCP listener the handshake is the target's, through a TLS listener
// the load balancer's; the name is the URI's in either case.
func TestListeners(t *testing.T) {
	root := issue(t, nil, authority("root"))
	right := chain(issue(t, root, named(inside)))
	balancers := chain(issue(t, root, named("a-1.elb.us-east-1.amazonaws.com")))
	strangers := chain(issue(t, nil, named(inside)))
	plain := (*tls.Certificate)(nil)
	const wrongName = "Execution failed due to configuration error: Host name '" + inside + "' does not match the certificate subject provided by the peer (CN=backend, O=Test, C=US)"
	for _, test := range []struct {
		name             string
		listener, target *tls.Certificate // nil: a TCP listener; plain HTTP
		scheme           string
		skip             bool
		want             Kind
		status           int
		text             string
	}{
		{"TCP listener, right target", nil, &right, "https", false, 0, 200, ""},
		{"TCP listener, the target's certificate is for another name", nil, &balancers, "https", false, WrongName, 0, wrongName},
		{"the same, skipped", nil, &balancers, "https", true, WrongName, 0, wrongName},
		{"TCP listener, self-signed target", nil, &strangers, "https", false, Untrusted, 0, ""},
		{"the same, skipped", nil, &strangers, "https", true, 0, 200, ""},
		{"TCP listener, plain target", nil, plain, "http", false, 0, 200, ""},
		{"TCP listener, https to a plain target", nil, plain, "https", false, NotTLS, 0, ""},
		{"TCP listener, http to a target with TLS", nil, &right, "http", false, 0, 400, ""}, // the target's own answer
		{"TLS listener, its certificate holds", &right, plain, "https", false, 0, 200, ""},
		{"TLS listener, its certificate is for the load balancer's name", &balancers, plain, "https", false, WrongName, 0, wrongName},
		{"TLS listener, its target's certificate would not hold", &right, &strangers, "https", false, 0, 400, ""}, // this listener's hop is plain
		{"TLS listener, http", &right, plain, "http", false, Closed, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			back, s := target(t, "", test.target)
			var config *tls.Config
			if test.listener != nil {
				config = &tls.Config{Certificates: []tls.Certificate{*test.listener}}
			}
			addr, conns := balancer(t, config, back)
			g := linked(t, rootPool(root), map[string][]string{nlbARN: {addr}})
			resp, _, err := get(g, &Request{Scheme: test.scheme, Host: inside + ":8443", Target: nlbARN, InsecureSkipVerification: test.skip})
			var e *Error
			if errors.As(err, &e); err != nil && test.text != "" && e.Text() != test.text {
				t.Errorf("text %s", e.Text())
			}
			if kindOf(t, err) != test.want || err == nil && resp.Status != test.status {
				t.Fatalf("%v %+v, want %v %d", err, resp, test.want, test.status)
			}
			if conns.Load() == 0 {
				t.Error("the load balancer was passed by")
			}
			switch n := s.requests.Load(); {
			case test.status != 200:
				if n != 0 {
					t.Errorf("the target saw %d requests", n)
				}
			case n != 1 || s.host.Load() != inside+":8443":
				t.Errorf("the target saw %d requests, the last one for %v", n, s.host.Load())
			case test.listener == nil && test.target != nil && s.sni.Load() != inside:
				t.Errorf("server name %v", s.sni.Load())
			}
		})
	}
}

// A target without addresses is an error that names it, and nothing is dialed
// in its place.
func TestNoTarget(t *testing.T) {
	host, requests := backend(t, nil, nil)
	g := linked(t, nil, map[string][]string{nlbARN: {host}, "empty": {}})
	for _, name := range []string{listenerARN, "empty", "no target"} {
		_, _, err := get(g, &Request{Scheme: "http", Host: host, Target: name})
		var e *Error
		if !errors.As(err, &e) || e.Kind != NoTarget || !strings.Contains(e.Error(), name+": the setting targets maps it to no address") ||
			e.Text() != "Execution failed due to configuration error: There was an internal error while executing your request" || e.Kind.Answer().Status != 500 {
			t.Errorf("%s: %v", name, err)
		}
		if g.Maps(name) {
			t.Errorf("%s counts as mapped", name)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("backend saw %d requests", n)
	}
	if !g.Maps(nlbARN) {
		t.Error("what is mapped counts as not mapped")
	}
}

// Addresses take turns; one that refuses gives way to its neighbour.
func TestAddressesTakeTurns(t *testing.T) {
	a, sawA := target(t, "a", nil)
	b, sawB := target(t, "b", nil)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	dead := gone.Addr().String()
	ask := func(g *Gate, n int) {
		t.Helper()
		for range n {
			if _, _, err := get(g, &Request{Scheme: "http", Host: inside, Target: nlbARN}); err != nil {
				t.Fatal(err)
			}
		}
	}
	g := linked(t, nil, map[string][]string{nlbARN: {a, b}})
	ask(g, 10)
	if sawA.requests.Load() != 5 || sawB.requests.Load() != 5 {
		t.Errorf("turns: %d and %d", sawA.requests.Load(), sawB.requests.Load())
	}
	// HUP takes addresses away and brings others.
	g.Configure(nil, loopback, map[string][]string{nlbARN: {dead, b}})
	ask(g, 10)
	if sawA.requests.Load() != 5 || sawB.requests.Load() != 15 {
		t.Errorf("beside a dead address: %d and %d", sawA.requests.Load(), sawB.requests.Load())
	}
	g.Configure(nil, loopback, map[string][]string{nlbARN: {dead, dead}})
	if _, _, err := get(g, &Request{Scheme: "http", Host: inside, Target: nlbARN}); kindOf(t, err) != Dial {
		t.Errorf("nothing but dead addresses: %v", err)
	}
	// Special addresses are for --allow-backend to allow, mapped or not.
	g.Configure(nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}, map[string][]string{nlbARN: {a}})
	if _, _, err := get(g, &Request{Scheme: "http", Host: inside, Target: nlbARN}); kindOf(t, err) != RefusedAddress {
		t.Errorf("a special address that is not allowed: %v", err)
	}
	if sawA.requests.Load() != 5 {
		t.Error("a special address was dialed")
	}
}

// silent is an address that answers no handshake: its queue is full.
func silent(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port)).String()
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("SKIPPED: this system accepts connections beyond a listener's queue")
	return ""
}

// A silent address leaves its neighbour time enough, and is tried last then.
func TestSilentAddress(t *testing.T) {
	b, saw := target(t, "b", nil)
	g := linked(t, nil, map[string][]string{nlbARN: {silent(t), b}})
	ask := func(host string) time.Duration {
		t.Helper()
		began := time.Now()
		if _, _, err := get(g, &Request{Scheme: "http", Host: host, Target: nlbARN, Timeout: 2 * time.Second}); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	if took := ask(inside); took < 900*time.Millisecond || took > 1900*time.Millisecond {
		t.Errorf("the first request took %v, want half of its time for the silent address", took)
	}
	// Those after it, also for other hosts, know better for a while.
	for i := range 6 {
		if took := ask([]string{inside, "other." + inside}[i%2]); took > 900*time.Millisecond {
			t.Errorf("a request after it took %v", took)
		}
	}
	if n := saw.requests.Load(); n != 7 {
		t.Errorf("%d requests", n)
	}
}

// Connections are not shared between the same host by different ways.
func TestTargetsDoNotShare(t *testing.T) {
	back, s := target(t, "", nil)
	first, firstConns := balancer(t, nil, back)
	second, secondConns := balancer(t, nil, back)
	g := New(Options{AllowBackend: loopback, Targets: map[string][]string{nlbARN: {first}, listenerARN: {second}}})
	defer g.Close()
	for range 2 {
		for _, to := range []string{nlbARN, listenerARN, ""} {
			if _, _, err := get(g, &Request{Scheme: "http", Host: back, Target: to}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if firstConns.Load() != 1 || secondConns.Load() != 1 || s.requests.Load() != 6 {
		t.Errorf("%d and %d connections, %d requests", firstConns.Load(), secondConns.Load(), s.requests.Load())
	}
}

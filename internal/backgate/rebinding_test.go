package backgate

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server on loopback whose answers change: answer gets the
// name without its last dot and how often addresses of that name were asked for.
type nameServer struct {
	mu     sync.Mutex
	asked  map[string]int
	answer func(name string, n int) []netip.Addr
}

// resolver asks a server that lives as long as the test.
func (s *nameServer) resolver(t testing.TB) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s.asked = map[string]int{}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := s.reply(buf[:n]); reply != nil {
				c.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

func (s *nameServer) reply(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	s.mu.Lock()
	n := s.asked[name]
	if q.Type == dnsmessage.TypeA { // each look-up asks for AAAA, too
		s.asked[name]++
	}
	addrs := s.answer(name, n)
	s.mu.Unlock()
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	for _, a := range addrs {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class} // for no time at all
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	reply, err := answer.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// guarded is a service that must never be connected to; it listens on a port of
// each of the addresses.
func guarded(t testing.TB, port string, hosts ...string) (conns *atomic.Int32, at string) {
	t.Helper()
	conns = new(atomic.Int32)
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			if strings.Contains(host, ":") {
				continue // no IPv6 here
			}
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				conns.Add(1)
				c.Close()
			}
		}()
	}
	return conns, port
}

var secret, public = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")

// Whatever a name stands for, and however an address is written, nothing that
// is special is connected to.
func TestNothingSpecialIsDialed(t *testing.T) {
	conns, port := guarded(t, "0", "0.0.0.0", "::")
	// What C libraries make of these, and what an attacker's server may answer
	// for names that look like addresses.
	names := map[string][]string{
		"127.0.0.1": {"2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0x7f.1", "0177.0.0.1", "0177.1", "0x7f.0x0.0x0.0x1",
			"localhost", "LOCALHOST", "localhost.", "127.0.0.1.nip.example"},
		"127.255.255.254":        {"2147483646"},
		"0.0.0.0":                {"0", "0x0", "0.0", "zero.example"},
		"169.254.169.254":        {"2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "metadata.google.internal", "instance-data"},
		"100.100.100.200":        {"1684300232", "alibaba.example"},
		"::1":                    {"ip6-localhost", "loopback6.example"},
		"::":                     {"unspecified6.example"},
		"::ffff:127.0.0.1":       {"mapped.example"},
		"::ffff:169.254.169.254": {"mapped-metadata.example"},
		"64:ff9b::7f00:1":        {"nat64.example"},
		"64:ff9b::a9fe:a9fe":     {"nat64-metadata.example"},
		"2002:7f00:1::":          {"6to4.example"},
		"2002:a9fe:a9fe::":       {"6to4-metadata.example"},
		"fe80::1":                {"link6.example"},
		"fd00:ec2::254":          {"metadata6.example"},
	}
	addrs := map[string]netip.Addr{}
	for addr, list := range names {
		for _, name := range list {
			addrs[strings.TrimSuffix(strings.ToLower(name), ".")] = netip.MustParseAddr(addr)
		}
	}
	server := &nameServer{answer: func(name string, _ int) []netip.Addr {
		if a, ok := addrs[strings.ToLower(name)]; ok {
			return []netip.Addr{a}
		}
		return nil
	}}
	g, system := New(Options{Resolver: server.resolver(t)}), New(Options{})
	defer g.Close()
	defer system.Close()
	for addr, list := range names {
		host := addr
		if strings.Contains(addr, ":") {
			host = "[" + addr + "]"
		}
		for _, name := range append(list, host) {
			_, _, err := get(g, &Request{Scheme: "http", Host: name + ":" + port})
			// Go's resolver takes a name of digits and dots for no name; a system's
			// may take it for an address.
			numeric := strings.Trim(name, "0123456789.") == ""
			if k := kindOf(t, err); k != RefusedAddress && !(numeric && k == Dial) {
				t.Errorf("%s for %s: %v", name, addr, err)
			}
			if !numeric && !strings.HasPrefix(name, "0x") {
				continue
			}
			_, _, err = get(system, &Request{Scheme: "http", Host: name + ":" + port})
			if k := kindOf(t, err); k != RefusedAddress && k != Dial {
				t.Errorf("%s for %s, by the system's resolver: %v", name, addr, err)
			}
		}
	}
	for _, name := range []string{"[::1%25lo]", "[fe80::1%lo]", "[127.0.0.1]", "127.0.0.1 ", "①②⑦.0.0.1", "127。0。0。1", "user@127.0.0.1", "127.0.0.1#", "127.0.0.1/"} {
		if _, _, err := get(g, &Request{Scheme: "http", Host: name + ":" + port}); kindOf(t, err) != InvalidAddress {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := conns.Load(); n != 0 {
		t.Errorf("%d connections to special addresses", n)
	}
}

// A name that stood for an allowed address and then for another one leads
// nobody to that other one.
func TestRebinding(t *testing.T) {
	l, err := net.Listen("tcp", public.String()+":0")
	if err != nil {
		t.Skipf("SKIPPED: %v; this system has one loopback address", err)
	}
	var served, dialed atomic.Int32
	closing := new(atomic.Bool)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		if closing.Load() {
			w.Header().Set("Connection", "close")
		}
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialed.Add(1)
		}
	}}
	go s.Serve(l)
	defer s.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	conns, _ := guarded(t, port, secret.String(), "::1")

	var current atomic.Pointer[[]netip.Addr]
	flips := func(n int) []netip.Addr { return []netip.Addr{[]netip.Addr{public, secret}[n%2]} }
	server := &nameServer{answer: func(name string, n int) []netip.Addr {
		if name == "flips.example" {
			return flips(n)
		}
		return *current.Load()
	}}
	g := New(Options{AllowBackend: []netip.Prefix{netip.PrefixFrom(public, 32)}, Resolver: server.resolver(t)})
	defer g.Close()
	ask := func(name string) Kind {
		t.Helper()
		_, _, err := get(g, &Request{Scheme: "http", Host: name + ":" + port})
		return kindOf(t, err)
	}

	current.Store(&[]netip.Addr{public})
	if k := ask("rebinds.example"); k != 0 {
		t.Fatal(k)
	}
	// The kept connection stays where it was judged.
	current.Store(&[]netip.Addr{secret, netip.MustParseAddr("::1")})
	closing.Store(true)
	if k := ask("rebinds.example"); k != 0 || served.Load() != 2 || dialed.Load() != 1 {
		t.Errorf("kept connection: %v, %d requests on %d connections", k, served.Load(), dialed.Load())
	}
	// It is gone: the next dial is judged by what the name stands for now.
	if k := ask("rebinds.example"); k != RefusedAddress {
		t.Errorf("new connection: %v", k)
	}
	// Of several addresses only the allowed one is dialed.
	current.Store(&[]netip.Addr{secret, public, netip.MustParseAddr("::1")})
	if k := ask("both.example"); k != 0 || served.Load() != 3 {
		t.Errorf("allowed and special addresses: %v", k)
	}
	// There is no time between check and use: each look-up is one dial, and what
	// it gave is what is judged.
	for i := range 20 {
		want := []Kind{0, RefusedAddress}[i%2]
		if k := ask("flips.example"); k != want {
			t.Errorf("dial %d: %v, want %v", i, k, want)
		}
	}
	server.mu.Lock()
	if n := server.asked["flips.example"]; n != 20 {
		t.Errorf("%d look-ups for 20 dials", n)
	}
	server.mu.Unlock()
	if n := conns.Load(); n != 0 {
		t.Errorf("%d connections to the address behind the name", n)
	}
}

// A redirect is the client's to follow.
func TestRedirectsAreNotFollowed(t *testing.T) {
	conns, port := guarded(t, "0", "127.0.0.1")
	for _, status := range []int{301, 302, 303, 307, 308} {
		to := "http://127.0.0.1:" + port + "/latest/meta-data/"
		host, requests := backend(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.Header().Set("Refresh", "0; url="+to)
			w.WriteHeader(status)
			io.WriteString(w, "elsewhere")
		})
		resp, body, err := get(gate(t, nil), &Request{Scheme: "http", Host: host})
		if err != nil || resp.Status != status || resp.Header.Get("Location") != to || body != "elsewhere" || requests.Load() != 1 {
			t.Errorf("%d: %+v %q %v, %d requests", status, resp, body, err, requests.Load())
		}
	}
	if n := conns.Load(); n != 0 {
		t.Errorf("%d connections to where redirects lead", n)
	}
}

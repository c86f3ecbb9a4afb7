package backgate

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// backend serves h over TLS with config; it counts requests.
func backend(t testing.TB, config *tls.Config, h http.HandlerFunc) (host string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if h != nil {
			h(w, r)
		}
	}))
	s.Config.ErrorLog = quiet
	if config != nil {
		s.TLS = config
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "localhost:" + port, requests
}

func gate(t testing.TB, roots *x509.CertPool) *Gate {
	g := New(Options{Roots: roots, AllowBackend: loopback})
	t.Cleanup(g.Close)
	return g
}

// get asks and returns the whole body.
func get(g *Gate, r *Request) (*Response, string, error) {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Scheme == "" {
		r.Scheme = "https"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := g.Do(ctx, r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	kept := &Response{Status: resp.Status, ContentLength: resp.ContentLength} // the answer's own is gone once it is closed
	for _, f := range resp.Header {
		kept.Header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return kept, string(body), err
}

func kindOf(t *testing.T, err error) Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v is no *Error", err, err)
	}
	return e.Kind
}

// What backends present, and whether they are believed.
func TestTrust(t *testing.T) {
	root := issue(t, nil, authority("trusted root"))
	middle := issue(t, root, authority("trusted intermediate"))
	private := issue(t, nil, authority("private root"))
	privateMiddle := issue(t, private, authority("private intermediate"))
	noSign := issue(t, nil, both(authority("cannot sign"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }))
	notCA := issue(t, nil, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "no CA"}; c.DNSNames = nil })
	onlyCommonName := func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "localhost"}
		c.DNSNames, c.IPAddresses = nil, nil
	}
	for _, test := range []struct {
		presents   string
		chain      tls.Certificate
		want, skip Kind // without and with insecureSkipVerification; 0: believed
	}{
		{"good", chain(issue(t, root, nil)), 0, 0},
		{"good with intermediate", chain(issue(t, middle, nil), middle), 0, 0},
		{"good with intermediate and root", chain(issue(t, middle, nil), middle, root), 0, 0},
		{"good, common name only", chain(issue(t, root, onlyCommonName)), 0, 0},
		{"intermediate missing", chain(issue(t, middle, nil)), Incomplete, NoRoot},
		{"self-signed", chain(issue(t, nil, nil)), Untrusted, 0},
		{"self-signed, expired", chain(issue(t, nil, expired)), Untrusted, Expired},
		{"self-signed, other name", chain(issue(t, nil, otherName)), Untrusted, WrongName},
		{"private chain", chain(issue(t, privateMiddle, nil), privateMiddle, private), Untrusted, 0},
		{"private chain without its root", chain(issue(t, privateMiddle, nil), privateMiddle), Incomplete, NoRoot},
		{"private leaf alone", chain(issue(t, private, nil)), Incomplete, NoRoot},
		{"private chain, expired leaf", chain(issue(t, private, expired), private), Untrusted, Expired},
		{"private chain, other name", chain(issue(t, private, otherName), private), Untrusted, WrongName},
		{"root cannot sign certificates", chain(issue(t, noSign, nil), noSign), Untrusted, NoRoot},
		{"root is no CA", chain(issue(t, notCA, nil), notCA), Untrusted, NoRoot},
		{"stranger's root beside an unrelated leaf", chain(issue(t, privateMiddle, nil), root), Incomplete, NoRoot},
		{"expired", chain(issue(t, root, expired)), Expired, Expired},
		{"not yet valid", chain(issue(t, root, early)), NotYetValid, NotYetValid},
		{"expired intermediate", func() tls.Certificate {
			old := issue(t, root, both(authority("old intermediate"), expired))
			return chain(issue(t, old, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(-48 * time.Hour) }), old)
		}(), Expired, Expired},
		{"other name", chain(issue(t, root, otherName)), WrongName, WrongName},
		{"other name, expired", chain(issue(t, root, both(otherName, expired))), Expired, Expired},
		{"common name beside an alternative name", chain(issue(t, root, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: "localhost"}
			c.DNSNames, c.IPAddresses = []string{"other.example.com"}, nil
		})), WrongName, WrongName},
		{"for clients only", chain(issue(t, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), Untrusted, Untrusted},
	} {
		t.Run(test.presents, func(t *testing.T) {
			host, requests := backend(t, &tls.Config{Certificates: []tls.Certificate{test.chain}}, nil)
			g := gate(t, rootPool(root))
			for _, skip := range []bool{true, false} { // skip first: its pool must not serve the other
				want := test.want
				if skip {
					want = test.skip
				}
				before := requests.Load()
				_, _, err := get(g, &Request{Host: host, InsecureSkipVerification: skip})
				if got := kindOf(t, err); got != want {
					t.Errorf("skip %v: %v, want %v", skip, err, want)
				}
				if want != 0 && requests.Load() != before {
					t.Errorf("skip %v: the backend saw a request", skip)
				}
			}
		})
	}
}

// AWS's words, as its logs have them.
func TestText(t *testing.T) {
	leaf := issue(t, nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "*.example.com", Organization: []string{"Example, Inc."}, Locality: []string{"Seattle"}, Province: []string{"WA"}, Country: []string{"US"}}
	})
	for _, test := range []struct {
		err  *Error
		want string
	}{
		{&Error{Kind: Untrusted}, "Execution failed due to configuration error: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target"},
		{&Error{Kind: Expired}, "Execution failed due to configuration error: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed"},
		{&Error{Kind: WrongName, Host: "api.test:8443", Subject: distinguishedName(leaf.cert.RawSubject)},
			`Execution failed due to configuration error: Host name 'api.test' does not match the certificate subject provided by the peer (CN=*.example.com, O="Example, Inc.", L=Seattle, ST=WA, C=US)`},
		{&Error{Kind: HandshakeRefused, Detail: "protocol_version"}, "Execution failed due to configuration error: Received fatal alert: protocol_version"},
		{&Error{Kind: RefusedAddress}, "Execution failed due to configuration error: Invalid endpoint address"},
		{&Error{Kind: Dial}, "Execution failed due to a network error communicating with endpoint"},
		{&Error{Kind: Timeout}, "Execution failed due to a timeout error"},
	} {
		if got := test.err.Text(); got != test.want {
			t.Errorf("%v:\n got %s\nwant %s", test.err.Kind, got, test.want)
		}
	}
	for k := Untrusted; k <= Canceled; k++ {
		if (&Error{Kind: k}).Text() == "" || strings.HasPrefix(k.String(), "Kind(") {
			t.Errorf("kind %d has no row", k)
		}
	}
}

// Every spelling of an address that means this machine, its link or a
// metadata service.
func TestAddresses(t *testing.T) {
	allow10 := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	for _, test := range []struct {
		addr    string
		allow   []netip.Prefix
		refused bool
	}{
		{"127.0.0.1", nil, true},
		{"127.255.255.254", nil, true},
		{"0.0.0.0", nil, true},
		{"0.1.2.3", nil, true},
		{"169.254.169.254", nil, true},
		{"169.254.1.1", nil, true},
		{"100.100.100.200", nil, true},
		{"224.0.0.1", nil, true},
		{"255.255.255.255", nil, true},
		{"::", nil, true},
		{"::1", nil, true},
		{"fe80::1", nil, true},
		{"fe80::1%eth0", nil, true},
		{"fd00:ec2::254", nil, true},
		{"fd00:ec2::23", nil, true}, // credentials of pods
		{"ff02::1", nil, true},
		{"::ffff:127.0.0.1", nil, true},
		{"::ffff:169.254.169.254", nil, true},
		{"::127.0.0.1", nil, true},
		{"::ffff:0:127.0.0.1", nil, true},
		{"64:ff9b::169.254.169.254", nil, true},
		{"64:ff9b::7f00:1", nil, true},
		{"64:ff9b:1::a9fe:a9fe", nil, true},
		{"64:ff9b:1:a9fe:a9:fe00::", nil, true},  // 169.254.169.254 behind a prefix of 48 bits
		{"64:ff9b:1:aa7f:0:1::", nil, true},      // 127.0.0.1 behind one of 56
		{"64:ff9b:1:aabb:7f:0:100:0", nil, true}, // and of 64
		{"64:ff9b:1::808:808", nil, false},
		{"64:ff9b::808:808", nil, false},
		{"2002:7f00:1::", nil, true},
		{"2002:a9fe:a9fe::1", nil, true},
		{"2001:0:1:2:3:4:80ff:fffe", nil, true}, // Teredo, 127.0.0.1 inverted
		{"192.0.0.192", nil, true},
		{"168.63.129.16", nil, true},
		{"fd20:ce::254", nil, true},
		{"febf::1", nil, true},
		{"fec0::1", nil, true},
		{"::ffff:0.0.0.0", nil, true},
		{"::2", nil, true}, // 0.0.0.2
		{"10.0.0.1", nil, false},
		{"192.168.1.1", nil, false},
		{"fd12::1", nil, false},
		{"93.184.216.34", nil, false},
		{"2606:4700::1", nil, false},
		{"2002:0808:0808::", nil, false},
		{"127.0.0.1", allow10, false},
		{"::ffff:127.0.0.1", allow10, false},
		{"127.0.0.2", allow10, true},
		{"::1", allow10, true},
	} {
		what := refusal(netip.MustParseAddr(test.addr), test.allow)
		if (what != "") != test.refused {
			t.Errorf("%s with %v: %q", test.addr, test.allow, what)
		}
	}
}

// The check is at the dial: whatever spelling the resolver takes.
func TestRefusesAtDial(t *testing.T) {
	host, requests := backend(t, nil, nil)
	_, port, _ := net.SplitHostPort(host)
	g := New(Options{})
	defer g.Close()
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "[::]", "localhost."} {
		_, _, err := get(g, &Request{Scheme: "http", Host: name + ":" + port})
		if k := kindOf(t, err); k != RefusedAddress && k != Dial { // Dial: the resolver knows no such name
			t.Errorf("%s: %v", name, err)
		}
	}
	g.Configure(nil, loopback, nil)
	if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
		t.Error(err)
	}
	g.Configure(nil, nil, nil) // also binds kept connections
	if _, _, err := get(g, &Request{Scheme: "http", Host: host}); kindOf(t, err) != RefusedAddress {
		t.Errorf("after the range was taken back: %v", err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("backend saw %d requests, want 1", n)
	}
}

func TestHandshakeFaults(t *testing.T) {
	root := issue(t, nil, authority("root"))
	good := chain(issue(t, root, nil))
	for _, test := range []struct {
		backend string
		config  *tls.Config
		want    Kind
		detail  string
	}{
		{"TLS 1.1 only", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, HandshakeRefused, "protocol_version"},
		{"demands a client certificate, TLS 1.2", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, ClientCertificate, "handshake_failure"},
		{"demands a client certificate, TLS 1.3", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, ClientCertificate, "certificate_required"},
	} {
		test.config.Certificates = []tls.Certificate{good}
		host, _ := backend(t, test.config, nil)
		_, _, err := get(gate(t, rootPool(root)), &Request{Host: host})
		var e *Error
		if !errors.As(err, &e) || e.Kind != test.want || test.detail != "" && e.Detail != test.detail {
			t.Errorf("%s: %v", test.backend, err)
		}
	}
	host, _ := backend(t, nil, nil)
	if _, _, err := get(gate(t, nil), &Request{Host: host}); kindOf(t, err) != NotTLS {
		t.Errorf("plaintext backend: %v", err)
	}
}

// script is a raw backend: it reads one request head per connection and gives
// it to answer.
func script(t *testing.T, answer func(c net.Conn, n int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					for {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						if line == "\r\n" {
							break
						}
					}
					answer(c, int(n.Add(1)))
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestHostileAnswers(t *testing.T) {
	for _, test := range []struct {
		answer string
		want   Kind
	}{
		{"", Closed},
		{"HTTP/1.1 200", Closed},
		{"nonsense\r\n\r\n", Protocol},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Protocol},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Protocol},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", Protocol},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Closed},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Closed},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Protocol},
	} {
		host := script(t, func(c net.Conn, _ int) {
			io.WriteString(c, test.answer)
			c.Close()
		})
		_, _, err := get(gate(t, nil), &Request{Scheme: "http", Host: host})
		if got := kindOf(t, err); got != test.want {
			t.Errorf("%.40q: %v, want %v", test.answer, err, test.want)
		}
	}
}

// A kept connection that breaks before a byte of the answer costs nothing
// where the request may be sent again, else the request. Never is it sent a
// third time.
func TestSentAgain(t *testing.T) {
	for _, test := range []struct {
		method, body string
		header       string
		broken       int32 // how many answers fail after the first one
		sent         int32
		want         Kind
	}{
		{"GET", "", "", 1, 2, 0},
		{"HEAD", "", "", 1, 2, 0},
		{"OPTIONS", "", "", 1, 2, 0},
		{"TRACE", "", "", 1, 2, 0},
		{"GET", "", "", 2, 2, Closed},
		{"GET", "body", "", 1, 1, Closed},
		{"POST", "", "", 1, 1, Closed},
		{"POST", "", "Idempotency-Key", 1, 1, Closed},
		{"POST", "body", "", 1, 1, Closed},
		{"PUT", "", "", 1, 1, Closed},
		{"DELETE", "", "", 1, 1, Closed},
		{"PATCH", "", "", 1, 1, Closed},
	} {
		var seen atomic.Int32
		host := script(t, func(c net.Conn, n int) {
			if seen.Add(1); n > 1 && int32(n) <= 1+test.broken {
				c.Close() // after it has read the request: seen, but not answered
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		})
		g := gate(t, nil)
		if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
			t.Fatal(err)
		}
		r := &Request{Method: test.method, Scheme: "http", Host: host}
		if test.header != "" {
			r.Header.Add(test.header, "1")
		}
		if test.body != "" {
			r.Body, r.ContentLength = strings.NewReader(test.body), int64(len(test.body))
		}
		_, _, err := get(g, r)
		if k := kindOf(t, err); k != test.want {
			t.Errorf("%s %q: %v, want %v", test.method, test.body, err, test.want)
		}
		if n := seen.Load() - 1; n != test.sent {
			t.Errorf("%s %q: backend saw %d requests, want %d", test.method, test.body, n, test.sent)
		}
	}
}

// What goes out is what was asked for, byte for byte where it matters.
func TestRequest(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var got *http.Request
	host, _ := backend(t, nil, func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.Copy(io.Discard, r.Body)
		w.Header()["Connection"] = []string{"X-Private"}
		w.Header().Set("X-Private", "1")
		w.Header().Set("Keep-Alive", "1")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(302)
		io.WriteString(w, "not gzip")
	})
	g := gate(t, nil)
	for _, target := range []string{"/", "/a%2Fb/%7e?x=%20&&y", "//double", "/a;b/c|d?q=|", "/{x}", "/%C3%A4"} {
		path, query, _ := strings.Cut(target, "?")
		resp, body, err := get(g, &Request{Scheme: "http", Host: host, Path: path, Query: query, Header: httpwire.Header{
			{Name: "Connection", Value: "close, X-Mine"}, {Name: "X-Mine", Value: "1"}, {Name: "Host", Value: "evil"},
			{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "x-kept", Value: "a"}, {Name: "X-Kept", Value: "b"},
		}})
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got.RequestURI != target || got.Host != host {
			t.Errorf("backend saw %s on %s, want %s on %s", got.RequestURI, got.Host, target, host)
		}
		if got.Header["X-Mine"] != nil || len(got.Header["X-Kept"]) != 2 || got.Header["User-Agent"] != nil || got.Header["Accept-Encoding"] != nil || got.ContentLength != 0 || len(got.TransferEncoding) != 0 {
			t.Errorf("backend saw headers %v, length %d, %v", got.Header, got.ContentLength, got.TransferEncoding)
		}
		if resp.Status != 302 || body != "not gzip" || resp.Header.Get("Set-Cookie") == "" {
			t.Errorf("answer %d %q %v", resp.Status, body, resp.Header)
		}
		for _, name := range []string{"Connection", "X-Private", "Keep-Alive", "Content-Length"} {
			if resp.Header.Get(name) != "" {
				t.Errorf("%s came through", name)
			}
		}
	}
	for _, r := range []*Request{
		{Scheme: "ftp", Host: host}, {Host: ""}, {Host: "user@" + host}, {Host: "a b"}, {Host: "localhost:x"}, {Host: "[::1"},
		{Host: host, Path: "/a b"}, {Host: host, Path: "/a\r\nX: y"}, {Host: host, Path: "x"}, {Host: host, Path: "/?"}, {Host: host, Query: "a b"}, {Host: host, Query: "a\x00"},
	} {
		if _, _, err := get(g, r); kindOf(t, err) != InvalidAddress {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// A backend that answers before it read the request leaves nobody reading the
// client's body.
func TestBodyIsTakenBack(t *testing.T) {
	host := script(t, func(c net.Conn, _ int) {
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
	})
	body := &endless{}
	resp, err := gate(t, nil).Do(t.Context(), &Request{Method: "POST", Scheme: "http", Host: host, Body: body, ContentLength: -1})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	after := body.reads
	for range 100 {
		if body.reads != after { // the race detector looks as well
			t.Fatal("the body is still read")
		}
	}
}

type endless struct{ reads int }

func (b *endless) Read(p []byte) (int, error) { b.reads++; return min(len(p), 1024), nil }

func TestTimeouts(t *testing.T) {
	host := script(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) }) // never answers
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := gate(t, nil).Do(ctx, &Request{Method: "GET", Scheme: "http", Host: host})
	if kindOf(t, err) != Timeout {
		t.Errorf("no answer in time: %v", err)
	}
	host = script(t, func(c net.Conn, _ int) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		io.Copy(io.Discard, c)
	})
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := gate(t, nil).Do(ctx, &Request{Method: "GET", Scheme: "http", Host: host})
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if kindOf(t, err) != Timeout {
		t.Errorf("no body in time: %v", err)
	}
	// What an integration's own timeout ends is named for what it ended.
	host = script(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	var e *Error
	_, err = gate(t, nil).Do(t.Context(), &Request{Method: "GET", Scheme: "https", Host: host, Timeout: 50 * time.Millisecond})
	if !errors.As(err, &e) || e.Kind != Timeout || e.reasonOf() != stalledHandshake {
		t.Errorf("no handshake in time: %v", err)
	}
	_, err = gate(t, nil).Do(t.Context(), &Request{Method: "GET", Scheme: "http", Host: host, Timeout: 50 * time.Millisecond})
	if !errors.As(err, &e) || e.Kind != Timeout || e.reasonOf() != integrationTimeout {
		t.Errorf("no answer in the integration's time: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err = gate(t, nil).Do(ctx, &Request{Method: "GET", Scheme: "http", Host: host}); kindOf(t, err) != Canceled {
		t.Errorf("client gone: %v", err)
	}
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	host = l.Addr().String()
	l.Close()
	if _, _, err = get(gate(t, nil), &Request{Scheme: "http", Host: host}); kindOf(t, err) != Dial {
		t.Errorf("nobody listens: %v", err)
	}
	if _, _, err = get(gate(t, nil), &Request{Scheme: "http", Host: "no-such-name.invalid"}); kindOf(t, err) != Dial {
		t.Errorf("no such name: %v", err)
	}
}

// Connections are kept, and kept apart by what they were judged by.
func TestPools(t *testing.T) {
	root := issue(t, nil, authority("root"))
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	g := gate(t, rootPool(root))
	for _, step := range []struct {
		host string
		skip bool
		want int32 // connections so far
	}{
		{"localhost", false, 1}, {"localhost", false, 1}, {"localhost", true, 2}, {"127.0.0.1", false, 3}, {"localhost", true, 3},
	} {
		if _, _, err := get(g, &Request{Host: step.host + ":" + port, InsecureSkipVerification: step.skip}); err != nil {
			t.Fatal(err)
		}
		if n := conns.Load(); n != step.want {
			t.Errorf("%+v: %d connections", step, n)
		}
	}
	g.Configure(nil, loopback, nil)
	if _, _, err := get(g, &Request{Host: "localhost:" + port}); kindOf(t, err) != Incomplete {
		t.Errorf("after the root was taken away: %v", err)
	}
}

// A subject is a backend's: whatever it holds, its text is bounded.
func FuzzDistinguishedName(f *testing.F) {
	for _, name := range []pkix.Name{{CommonName: "a,b", Organization: []string{`q"\`}}, {}, {SerialNumber: strings.Repeat("x", 3000)}} {
		der, err := asn1.Marshal(name.ToRDNSequence())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if s := distinguishedName(der); len(s) > maxName {
			t.Errorf("%d bytes", len(s))
		}
	})
}

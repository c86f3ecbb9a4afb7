package frontgate

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

const regional = snapshot.Regional

// The server name decides certificate, policy and mode, and one record says so.
func TestServerName(t *testing.T) {
	g := start(t, newTable(t,
		name(t, "modern.example.com", tls13, snapshot.Strict, regional, 1),
		name(t, "old.example.com", tls12, snapshot.NoMode, regional, 1),
		name(t, "*.wild.example.com", pfs, snapshot.Basic, regional, 1),
	), nil)
	for _, tt := range []struct {
		sni                string
		max                uint16
		name, policy, mode string
		version, reason    string // reason: part of it; "" for success
		alert              string
	}{
		{sni: "modern.example.com", name: "modern.example.com", policy: tls13, mode: "STRICT", version: "TLSv1.3"},
		{sni: "MODERN.example.com", name: "modern.example.com", policy: tls13, mode: "STRICT", version: "TLSv1.3"},
		{sni: "modern.example.com", max: tls.VersionTLS12, name: "modern.example.com", policy: tls13, mode: "STRICT", alert: "protocol_version", reason: "version"},
		{sni: "old.example.com", name: "old.example.com", policy: tls12, version: "TLSv1.2"},
		{sni: "a.wild.example.com", name: "*.wild.example.com", policy: pfs, mode: "BASIC", version: "TLSv1.3"},
		{sni: "a.b.wild.example.com", policy: tls12, version: "TLSv1.2"},
		{sni: "nobody.example.com", policy: tls12, version: "TLSv1.2"},
		{sni: "", policy: tls12, version: "TLSv1.2"},
	} {
		t.Run(fmt.Sprintf("%s max %x", tt.sni, tt.max), func(t *testing.T) {
			c, err := g.dial("REGIONAL", tt.sni, func(c *tls.Config) { c.MaxVersion, c.InsecureSkipVerify = tt.max, true })
			r := g.record()
			if (err == nil) != (tt.reason == "") {
				t.Fatalf("handshake: %v", err)
			}
			if r.SNI != tt.sni || r.Name != tt.name || r.Policy != tt.policy || r.Mode != tt.mode || r.Alert != tt.alert {
				t.Errorf("record %+v", r)
			}
			if len(r.Offered.Suites) == 0 || len(r.Offered.Groups) == 0 || r.JA4 == "" || r.ID == "" || r.Listener != "REGIONAL" || r.Peer == "" {
				t.Errorf("record lacks facts: %+v", r)
			}
			if tt.reason != "" {
				if !strings.Contains(r.Reason, tt.reason) || r.Chosen != nil {
					t.Errorf("reason %q", r.Reason)
				}
				return
			}
			if r.Reason != "" || r.Chosen == nil {
				t.Fatalf("record %+v", r)
			}
			if tt.name == "" {
				tt.name = "*.execute-api.us-east-1.localhost"
			}
			if leaf := c.ConnectionState().PeerCertificates[0]; leaf.DNSNames[0] != tt.name {
				t.Errorf("certificate of %v", leaf.DNSNames)
			}
			if tt.policy != tls12 && r.Chosen.Version != tt.version {
				t.Errorf("chosen %+v", r.Chosen)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// A client that knows RSA only gets the RSA leaf, whatever name it asks for.
func TestSecondCertificate(t *testing.T) {
	g := start(t, newTable(t), nil)
	for _, sni := range []string{"", "nobody.example.com", "x.execute-api.us-east-1.localhost"} {
		for suite, want := range map[uint16]string{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   "RSA",
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDSA",
		} {
			_, err := g.dial("REGIONAL", sni, func(c *tls.Config) {
				c.MaxVersion, c.CipherSuites, c.InsecureSkipVerify = tls.VersionTLS12, []uint16{suite}, true
			})
			r := g.record()
			if err != nil || r.Chosen == nil || r.Chosen.Certificate != want {
				t.Errorf("SNI %q, %s: %v, %+v", sni, want, err, r)
			}
		}
	}
}

// Every way to fail leaves one record that says why.
func TestFailedConnections(t *testing.T) {
	names := newTable(t, name(t, "a.example.com", tls13, snapshot.Basic, regional, 1))
	// Only those who are to time out meet a short limit: on a busy machine the
	// other ways to fail take their time.
	hasty := start(t, names, func(o *Options) { o.HandshakeTimeout = 300 * time.Millisecond })
	patient := start(t, names, nil)
	g := patient
	raw := func(send string, thenClose bool) string {
		c, err := net.Dial("tcp", g.addrs["REGIONAL"])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, send)
		if thenClose {
			return ""
		}
		b, _ := io.ReadAll(c)
		return string(b)
	}
	for _, tt := range []struct {
		name, reason, alert string
		do                  func(t *testing.T)
	}{
		{"silent", "timeout before a ClientHello", "", func(*testing.T) { raw("", false) }},
		{"half a ClientHello", "timeout before a ClientHello", "", func(*testing.T) { raw("\x16\x03\x01\x02\x00\x01\x00", false) }},
		{"closes at once", "client closed before a ClientHello", "", func(*testing.T) { raw("", true) }},
		{"garbage", "not TLS: first bytes are 6761726261", "", func(*testing.T) { raw("garbage\r\n", false) }},
		{"plain HTTP", "not TLS: plain HTTP request", "", func(t *testing.T) {
			got := raw("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", false)
			r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
			if err != nil || r.StatusCode != 400 {
				t.Errorf("answered %q", got)
				return
			}
			if b, err := io.ReadAll(r.Body); err != nil || !json.Valid(b) {
				t.Errorf("body %q, %v", b, err)
			}
		}},
		{"distrusts the certificate", "client sent alert bad_certificate", "bad_certificate", func(t *testing.T) {
			if _, err := g.dial("REGIONAL", "a.example.com", func(c *tls.Config) { c.RootCAs = nil }); err == nil {
				t.Error("handshake passed")
			}
		}},
		{"version below the policy", "", "protocol_version", func(*testing.T) {
			g.dial("REGIONAL", "a.example.com", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		}},
		{"no protocol in common", "", "no_application_protocol", func(*testing.T) {
			g.dial("REGIONAL", "a.example.com", func(c *tls.Config) { c.NextProtos = []string{"h3", "\x01\xff\n"} })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g = patient
			if strings.HasPrefix(tt.reason, "timeout") {
				g = hasty
			}
			tt.do(t)
			r := g.record()
			if !strings.Contains(r.Reason, tt.reason) || r.Reason == "" || r.Alert != tt.alert || r.Chosen != nil {
				t.Errorf("record %+v", r)
			}
			for _, s := range append(r.Offered.ALPN, r.Reason, r.SNI, r.JA4) {
				if strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
					t.Errorf("not printable: %q", s)
				}
			}
		})
	}
	if len(g.records) != 0 {
		t.Errorf("%d records too many", len(g.records))
	}
}

// Slow heads end by their deadline, on new and on used connections.
func TestSlowHeader(t *testing.T) {
	g := start(t, newTable(t, name(t, "a.example.com", tls13, snapshot.Basic, regional, 1)), func(o *Options) {
		o.HeaderTimeout = 300 * time.Millisecond
	})
	for _, first := range []string{"", "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"} {
		c, err := g.dial("REGIONAL", "a.example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		if first != "" {
			io.WriteString(c, first)
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
		}
		started := time.Now()
		go func() {
			for _, b := range []byte("GET /" + strings.Repeat("a", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond) // a byte now and then is the attack
			}
		}()
		io.Copy(io.Discard, c)
		if d := time.Since(started); d > 5*time.Second {
			t.Errorf("after %q: closed after %v", first, d)
		}
	}
}

// Both protocols serve, over Go and curl.
func TestServe(t *testing.T) {
	g := start(t, newTable(t, name(t, "a.example.com", tls13, snapshot.Strict, regional, 1)), nil)
	for _, http2 := range []bool{false, true} {
		status, body, err := get(g.client("REGIONAL", http2), "https://a.example.com/x", "")
		if err != nil || status != 200 || body != "/x" {
			t.Errorf("HTTP/2 %v: %d %q %v", http2, status, body, err)
		}
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: no curl here, its part of this test did not run")
	}
	_, port, _ := net.SplitHostPort(g.addrs["REGIONAL"])
	for _, version := range []string{"--http1.1", "--http2"} {
		for host, want := range map[string]string{"a.example.com": "200", "b.example.com": "403"} {
			out, err := exec.Command(curl, "-sk", version, "--tlsv1.3", "-o", "/dev/null", "-w", "%{http_code}",
				"--connect-to", "a.example.com:443:127.0.0.1:"+port, "-H", "Host: "+host, "https://a.example.com/").Output()
			if err != nil || string(out) != want {
				t.Errorf("curl %s, Host %s: %s %v, want %s", version, host, out, err, want)
			}
		}
	}
}

func TestMaxConnections(t *testing.T) {
	g := start(t, newTable(t, name(t, "a.example.com", tls13, snapshot.Basic, regional, 1)), func(o *Options) { o.MaxConnections = 2 })
	var open []*tls.Conn
	for range 2 {
		c, err := g.dial("REGIONAL", "a.example.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := g.record(); r.Reason != "" {
			t.Fatal(r.Reason)
		}
		open = append(open, c)
	}
	if _, err := g.dial("REGIONAL", "a.example.com", nil); err == nil {
		t.Error("a third connection was served")
	}
	if r := g.record(); r.Reason != "too many connections" {
		t.Errorf("reason %q", r.Reason)
	}
	open[0].Close()
	for g.Open() > 1 {
		time.Sleep(time.Millisecond) // the server sees the close when the kernel says so
	}
	if _, err := g.dial("REGIONAL", "a.example.com", nil); err != nil {
		t.Errorf("after one closed: %v", err)
	}
}

// Shutdown lets what runs finish and then returns.
func TestShutdown(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		started, release := make(chan struct{}), make(chan struct{})
		g := start(t, newTable(t, name(t, "a.example.com", tls13, snapshot.Basic, regional, 1)), func(o *Options) {
			o.Handler = func(x *httpwire.Exchange) {
				close(started)
				<-release
				x.Respond(200, nil, 2)
				io.WriteString(x, "ok")
			}
		})
		got := make(chan error, 1)
		go func() {
			status, body, err := get(g.client("REGIONAL", http2), "https://a.example.com/", "")
			if err == nil && (status != 200 || body != "ok") {
				err = fmt.Errorf("%d %q", status, body)
			}
			got <- err
		}()
		<-started
		down := make(chan error, 1)
		go func() { down <- g.Shutdown(context.Background()) }()
		for {
			if c, err := net.Dial("tcp", g.addrs["REGIONAL"]); err != nil {
				break // no new connections any more
			} else {
				c.Close()
			}
		}
		close(release)
		if err := <-got; err != nil {
			t.Errorf("HTTP/2 %v: request under way: %v", http2, err)
		}
		if err := <-down; err != nil {
			t.Errorf("HTTP/2 %v: shutdown: %v", http2, err)
		}
		if g.Open() != 0 {
			t.Errorf("%d connections left", g.Open())
		}
	}
}

// A change of policy binds open connections: those it does not tolerate are
// drained, the others are left alone.
func TestApply(t *testing.T) {
	a := func(policy string, rev int) *snapshot.Name {
		return name(t, "a.example.com", policy, snapshot.Basic, regional, 1)
	}
	for _, tt := range []struct {
		name    string
		from    string
		to      func(*table) *table
		max     uint16
		drained bool
	}{
		{"tightened past the connection", pfs, func(tab *table) *table { return tab.with(a(tls13, 2)) }, tls.VersionTLS12, true},
		{"tightened, still tolerated", pfs, func(tab *table) *table { return tab.with(a(tls13, 2)) }, tls.VersionTLS13, false},
		{"loosened", tls13, func(tab *table) *table { return tab.with(a(pfs, 2)) }, tls.VersionTLS13, false},
		{"name gone", tls13, func(tab *table) *table { return tab.without("a.example.com") }, tls.VersionTLS13, true},
		{"neighbour changed", pfs, func(tab *table) *table {
			return tab.with(name(t, "b.example.com", tls13, snapshot.Basic, regional, 2))
		}, tls.VersionTLS12, false},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", tt.name, http2), func(t *testing.T) {
				g := start(t, newTable(t, a(tt.from, 1)), nil)
				c := g.client("REGIONAL", http2)
				c.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tt.max
				if status, _, err := get(c, "https://a.example.com/", ""); err != nil || status != 200 {
					t.Fatal(status, err)
				}
				g.record()
				g.swap(tt.to(g.names.Load()))
				if tt.drained {
					for g.Open() > 0 {
						time.Sleep(time.Millisecond)
					}
					return
				}
				if status, _, err := get(c, "https://a.example.com/", ""); err != nil || status != 200 {
					t.Fatal(status, err)
				}
				if len(g.records) != 0 {
					t.Error("the connection was not kept")
				}
			})
		}
	}
}

// A request that arrives on a connection older than the policy gets 421, and
// the connection closes, even when nobody drained it.
func TestStaleConnection(t *testing.T) {
	g := start(t, newTable(t, name(t, "a.example.com", pfs, snapshot.Basic, regional, 1)), nil)
	for _, http2 := range []bool{false, true} {
		c := g.client("REGIONAL", http2)
		c.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
		if status, _, err := get(c, "https://a.example.com/", ""); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		before := g.names.Load()
		g.names.Store(before.with(name(t, "a.example.com", tls13, snapshot.Basic, regional, 2))) // no Apply
		if status, _, err := get(c, "https://a.example.com/", ""); err != nil || status != 421 {
			t.Errorf("HTTP/2 %v: %d %v, want 421", http2, status, err)
		}
		for g.Open() > 0 {
			time.Sleep(time.Millisecond)
		}
		g.names.Store(before)
	}
}

// Under changes of policy and mode no request is lost and none is served under
// a rule that was replaced before it was sent.
func TestChangesUnderLoad(t *testing.T) {
	rounds := 40
	if soak {
		rounds = 400
	}
	policies := []string{pfs, tls13, fips13, tls12}
	names := newTable(t, name(t, "a.example.com", pfs, snapshot.Basic, regional, 1))
	var version atomic.Uint64
	g := start(t, names, nil)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var requests, retried atomic.Int64
	for worker := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := g.client("REGIONAL", worker%2 == 1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, _, err := get(c, "https://a.example.com/", "")
				if status == 421 { // as honest clients do
					retried.Add(1)
					status, _, err = get(c, "https://a.example.com/", "")
				}
				if err != nil || status != 200 {
					t.Errorf("round %d: %d %v", version.Load(), status, err)
					return
				}
				requests.Add(1)
			}
		}()
	}
	for i := range rounds {
		version.Store(uint64(i))
		mode := snapshot.Basic
		if i%3 == 0 {
			mode = snapshot.Strict
		}
		before := requests.Load()
		n := *name(t, "a.example.com", policies[i%len(policies)], mode, regional, 1)
		n.Revision += 1 + g.names.Load().names["a.example.com"].Revision
		g.swap(g.names.Load().with(&n))
		for requests.Load() < before+8 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		if c, err := g.dial("REGIONAL", "a.example.com", nil); err != nil {
			t.Error(err)
		} else if cs := c.ConnectionState(); n.Policy.Check(cs) != nil {
			t.Errorf("round %d: new connection under the old policy", i)
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests, %d retried after 421", requests.Load(), retried.Load())
}

// A handshake for a name whose change is announced waits for it.
func TestHandshakeWaitsForSwap(t *testing.T) {
	old := newTable(t, name(t, "a.example.com", pfs, snapshot.Basic, regional, 1), name(t, "b.example.com", pfs, snapshot.Basic, regional, 1))
	g := start(t, old, nil)
	next := old.with(name(t, "a.example.com", tls13, snapshot.Basic, regional, 2))
	g.apply(old, next)
	if _, err := g.dial("REGIONAL", "b.example.com", nil); err != nil {
		t.Fatal(err)
	}
	if r := g.record(); r.Name != "b.example.com" {
		t.Fatal("neighbour waited")
	}
	done := make(chan error, 1)
	go func() {
		_, err := g.dial("REGIONAL", "a.example.com", nil)
		done <- err
	}()
	g.names.Store(next)
	g.apply(old, next)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r := g.record(); r.Policy != tls13 {
		t.Errorf("handshake under %s", r.Policy)
	}
}

func TestRunStopsOnBrokenListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tab := newTable(t)
	g := newGate(Options{Listeners: []Listener{{Listener: broken{l}, Type: "REGIONAL"}}}, func() Names { return tab })
	if err := g.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "accept on REGIONAL listener") {
		t.Errorf("Run: %v", err)
	}
}

type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, errors.New("broken") }

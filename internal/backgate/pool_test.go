package backgate

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// An answer that is cut is never taken for whole, wherever it is cut.
func TestCutAnywhere(t *testing.T) {
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	} {
		for _, secure := range []bool{false, true} {
			var cut atomic.Int64
			host := rawBackend(t, secure, config, func(c net.Conn) {
				io.WriteString(c, answer[:cut.Load()])
				c.Close()
			})
			g := gate(t, rootPool(root))
			scheme := "http"
			if secure {
				scheme = "https"
			}
			for i := range len(answer) + 1 {
				cut.Store(int64(i))
				_, body, err := get(g, &Request{Scheme: scheme, Host: host})
				if whole := i == len(answer); whole != (err == nil) || whole && body != "hello" || !whole && kindOf(t, err) != Closed {
					t.Errorf("%s, cut at %d of %.60q: %q %v", scheme, i, answer, body, err)
				}
			}
		}
	}
}

// rawBackend reads one request head per connection and hands it to answer.
func rawBackend(t testing.TB, secure bool, config *tls.Config, answer func(c net.Conn)) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if secure {
				c = tls.Server(c, config)
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					answer(c)
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "localhost:" + port
}

// What TLS can do to an answer.
func TestHostileTLS(t *testing.T) {
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	beneath := func(c net.Conn) net.Conn { return c.(*tls.Conn).NetConn() }
	for name, test := range map[string]struct {
		answer func(c net.Conn)
		want   Kind
	}{
		"close_notify in the body":          {func(c net.Conn) { io.WriteString(c, head+"half"); c.Close() }, Closed},
		"cut in the body":                   {func(c net.Conn) { io.WriteString(c, head+"half"); beneath(c).Close() }, Closed},
		"cut where only the end says whole": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf"); beneath(c).Close() }, Closed},
		"close_notify says whole":           {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nwhole"); c.Close() }, 0},
		"plain text in the stream":          {func(c net.Conn) { io.WriteString(c, head); io.WriteString(beneath(c), "HTTP/1.1 200 OK\r\n") }, Closed},
		"an alert in plain text":            {func(c net.Conn) { io.WriteString(c, head+"half"); beneath(c).Write([]byte{21, 3, 3, 0, 2, 2, 40}) }, Closed},
		"half a record": {func(c net.Conn) {
			io.WriteString(c, head)
			beneath(c).Write([]byte{23, 3, 3, 1, 0, 1, 2})
			beneath(c).Close()
		}, Closed},
		"a record that is too long": {func(c net.Conn) { io.WriteString(c, head); beneath(c).Write([]byte{23, 3, 3, 255, 255, 1, 2}) }, Closed},
		"reset": {func(c net.Conn) {
			io.WriteString(c, head+"half")
			beneath(c).(*net.TCPConn).SetLinger(0)
			beneath(c).Close()
		}, Closed},
	} {
		host := rawBackend(t, true, config, test.answer)
		_, _, err := get(gate(t, rootPool(root)), &Request{Host: host})
		if k := kindOf(t, err); k != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// A kept connection that the backend closed, or on which it spoke unasked, is
// not used, whatever the request.
func TestKeptConnectionsAreLookedAt(t *testing.T) {
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}
	for _, secure := range []bool{false, true} {
		for name, late := range map[string]func(net.Conn){
			"closed": func(c net.Conn) { c.Close() },
			"closed for writing, and then silent": func(c net.Conn) {
				if s, ok := c.(*tls.Conn); ok {
					c = s.NetConn()
				}
				c.(*net.TCPConn).CloseWrite()
			},
			"an answer that nobody asked for": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") },
		} {
			kept, done := make(chan struct{}), make(chan struct{})
			var conns atomic.Int32
			host := rawBackend(t, secure, config, func(c net.Conn) {
				if conns.Add(1) > 1 {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
				<-kept
				late(c)
				close(done)
				if rest, _ := io.ReadAll(c); len(rest) > 0 {
					t.Errorf("%s: the first connection got %q, too", name, rest)
				}
			})
			g, scheme := gate(t, rootPool(root)), "http"
			if secure {
				scheme = "https"
			}
			if _, body, err := get(g, &Request{Scheme: scheme, Host: host}); err != nil || body != "first" {
				t.Fatal(body, err)
			}
			close(kept)
			<-done
			r := &Request{Method: "POST", Scheme: scheme, Host: host, Body: strings.NewReader("x"), ContentLength: 1}
			if _, body, err := get(g, r); err != nil || body != "second" {
				t.Errorf("%s, %s: %q %v", scheme, name, body, err)
			}
		}
	}
}

// Sessions are resumed within a pool only, and a resumed one is verified like
// any other.
func TestResumption(t *testing.T) {
	root := issue(t, nil, authority("root"))
	leaf := issue(t, root, nil)
	host, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(leaf)}}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that each request shakes hands
		fmt.Fprint(w, r.TLS.DidResume)
	})
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	g := New(Options{Roots: rootPool(root), AllowBackend: loopback, Now: func() time.Time { return time.Unix(0, now.Load()) }})
	defer g.Close()
	other := &tls.Certificate{Certificate: chain(leaf).Certificate, PrivateKey: chain(leaf).PrivateKey}
	for i, step := range []struct {
		request Request
		want    string
	}{
		{Request{}, "false"},
		{Request{}, "true"},
		{Request{InsecureSkipVerification: true}, "false"},
		{Request{InsecureSkipVerification: true}, "true"},
		{Request{Certificate: other}, "false"},
		{Request{Certificate: other}, "true"},
		{Request{}, "true"},
	} {
		step.request.Host = host
		if _, body, err := get(g, &step.request); err != nil || body != step.want {
			t.Errorf("step %d: resumed %s %v, want %s", i, body, err, step.want)
		}
	}
	now.Store(leaf.cert.NotAfter.Add(time.Minute).UnixNano())
	if _, _, err := get(g, &Request{Host: host}); kindOf(t, err) != Expired {
		t.Errorf("resumed after the certificate expired: %v", err)
	}
	now.Store(time.Now().UnixNano())
	g.Configure(rootPool(root), loopback, nil)
	if _, body, err := get(g, &Request{Host: host}); err != nil || body != "false" {
		t.Errorf("resumed under another configuration: %s %v", body, err)
	}
	g.Configure(nil, loopback, nil)
	if _, _, err := get(g, &Request{Host: host}); kindOf(t, err) != Incomplete {
		t.Errorf("without roots: %v", err)
	}
}

// When the client goes away the backend learns of it, wherever the request is.
func TestCanceled(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	for name, answer := range map[string]string{"before the answer": "", "in its head": head[:20], "in its body": head + "half"} {
		ended, asked := make(chan error, 1), make(chan struct{})
		host := rawBackend(t, false, nil, func(c net.Conn) {
			io.WriteString(c, answer)
			close(asked)
			_, err := c.Read(make([]byte, 1))
			ended <- err
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		resp, err := gate(t, nil).Do(ctx, &Request{Method: "GET", Scheme: "http", Host: host})
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if kindOf(t, err) != Canceled {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-ended; err == nil {
			t.Errorf("%s: the backend's connection is still open", name)
		}
	}
}

// So many requests to one backend run at a time; the others wait as long as
// their own timeout lasts.
func TestTurns(t *testing.T) {
	asked, release := make(chan struct{}, 2), make(chan struct{})
	host, requests := backend(t, nil, func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-release })
	g := gate(t, nil)
	p, err := g.trust.Load().pool(key{host: host})
	if err != nil {
		t.Fatal(err)
	}
	p.slots = make(chan struct{}, 1)
	var first sync.WaitGroup
	first.Go(func() {
		if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
			t.Error(err)
		}
	})
	<-asked
	if _, _, err := get(g, &Request{Scheme: "http", Host: host, Timeout: 30 * time.Millisecond}); kindOf(t, err) != Timeout {
		t.Errorf("waited for a turn: %v", err)
	}
	close(release)
	first.Wait()
	if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
		t.Error(err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("backend saw %d requests", n)
	}
}

// What is idle too long is closed, and pools that nobody uses go.
func TestSweep(t *testing.T) {
	host, _ := backend(t, nil, nil)
	g := gate(t, nil)
	if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
		t.Fatal(err)
	}
	tr := g.trust.Load()
	p, _ := tr.pool(key{host: host})
	if g.idle.Load() != 1 || len(p.idle) != 1 {
		t.Fatalf("%d idle connections", g.idle.Load())
	}
	g.sweep()
	if len(p.idle) != 1 {
		t.Error("swept too early")
	}
	old := time.Now().Add(-idleTimeout - time.Second)
	p.idle[0].since, p.used = old, old
	g.sweep()
	if g.idle.Load() != 0 || len(tr.pools) != 0 || !p.gone {
		t.Errorf("%d idle, %d pools", g.idle.Load(), len(tr.pools))
	}
	if _, _, err := get(g, &Request{Scheme: "http", Host: host}); err != nil {
		t.Error(err)
	}
	p, _ = tr.pool(key{host: host})
	p.idle[0].since = time.Now().Add(-safeIdle)
	if c := p.take(time.Now(), time.Now().Add(time.Second), false, new(httpwire.Call)); c != nil {
		t.Error("a request that cannot be sent again got a connection that may just be closing")
	}
	for i := range maxIdlePerPool + 10 {
		a, b := net.Pipe()
		s := httpwire.NewClientSocket(a, false)
		p.put(httpwire.NewClient(s, s), time.Now())
		if i >= maxIdlePerPool { // one too many is closed
			if _, err := b.Read(make([]byte, 1)); err != io.EOF {
				t.Fatal(err)
			}
		}
	}
	if n := g.idle.Load(); n != maxIdlePerPool {
		t.Errorf("%d idle connections", n)
	}
	g.Close()
	if n := g.idle.Load(); n != 0 {
		t.Errorf("%d idle connections after Close", n)
	}
}

// Requests never get each other's answers, whatever becomes of some of them.
func TestConcurrent(t *testing.T) {
	root := issue(t, nil, authority("root"))
	host, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Query().Get("then") {
		case "break":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		case "early":
			w.WriteHeader(500)
			return
		}
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})
	g := gate(t, rootPool(root))
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for j := range 30 {
				content := strings.Repeat("x", (i*j*97)%40_000)
				r := &Request{Scheme: "https", Host: host, Path: fmt.Sprintf("/%d/%d", i, j), Method: "POST", Body: strings.NewReader(content), ContentLength: int64(len(content))}
				if j%3 == 0 {
					r.ContentLength = -1
				}
				switch j % 7 {
				case 3:
					r.Query = "then=break"
				case 5:
					r.Query = "then=early"
				}
				ctx, cancel := context.WithCancel(t.Context())
				if j%11 == 4 {
					go cancel()
				}
				resp, err := g.Do(ctx, r)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				cancel()
				if want := r.Path + " " + content; err == nil && r.Query == "" && string(body) != want {
					t.Errorf("%s got %.50q", r.Path, body)
				}
				if err != nil && r.Query == "" && j%11 != 4 {
					t.Errorf("%s: %v", r.Path, err)
				}
				if err == nil && r.Query == "then=break" {
					t.Errorf("%s: half an answer looked whole", r.Path)
				}
			}
		})
	}
	all.Wait()
}

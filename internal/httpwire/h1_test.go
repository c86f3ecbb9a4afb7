package httpwire

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// readReply reads one response from r.
func readReply(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%v after %q", err, body)
	}
	return resp, string(body)
}

// Trailers both ways: the client's when the body is over, ours behind ours.
func TestTrailers(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		if x.Trailer != nil {
			t.Error("trailers ahead of the body")
		}
		b, err := io.ReadAll(x.Body)
		x.Respond(200, nil, -1)
		fmt.Fprintf(x, "%s %v %v", b, x.Trailer, err)
		x.RespondTrailer(Header{{"X-Sum", "1"}, {"Content-Length", "7"}, {"bad name", "x"}, {"X-Split", "a\r\nb"}})
	}}, false)
	c := h.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: 1\r\nContent-Length: 3\r\nX-B: 2\r\n\r\n")
	resp, body := readReply(t, bufio.NewReader(c), "POST")
	if body != "abc [{X-A 1} {X-B 2}] <nil>" {
		t.Errorf("body %q", body)
	}
	if len(resp.Trailer) != 2 || resp.Trailer.Get("X-Sum") != "1" || resp.Trailer.Get("X-Split") != "a  b" {
		t.Errorf("trailers %v", resp.Trailer)
	}
}

func TestInform(t *testing.T) {
	for _, tt := range []struct{ proto, want string }{
		{"HTTP/1.1", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	} {
		h := newHost(t, Options{Handler: func(x *Exchange) {
			x.Inform(103, Header{{"Link", "</a>"}, {"Content-Length", "5"}})
			x.Inform(100, nil)
			x.Inform(101, nil)
			x.Inform(200, nil)
			x.RespondClose(200, nil, 0)
			x.Inform(103, nil)
		}}, false)
		if got := withoutDate(h.exchange("GET / " + tt.proto + "\r\nHost: a\r\n\r\n")); got != tt.want {
			t.Errorf("%s: got %q", tt.proto, got)
		}
	}
}

// HTTP/1.0 clients: no chunks, no 100; kept only when they ask for it and the
// length is known.
func TestHTTP10(t *testing.T) {
	for _, tt := range []struct {
		header string
		length int64
		want   string
	}{
		{"", 2, "Content-Length: 2\r\nConnection: close\r\n\r\nok"},
		{"", -1, "Connection: close\r\n\r\nok"},
		{"Connection: keep-alive\r\n", 2, "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok"},
		{"Connection: keep-alive\r\n", -1, "Connection: close\r\n\r\nok"},
		{"Connection: keep-alive, close\r\n", 2, "Content-Length: 2\r\nConnection: close\r\n\r\nok"},
		{"Expect: 100-continue\r\nContent-Length: 0\r\n", 2, "Content-Length: 2\r\nConnection: close\r\n\r\nok"},
	} {
		h := newHost(t, Options{IdleTimeout: 200 * time.Millisecond, Handler: func(x *Exchange) {
			if x.Proto != "HTTP/1.0" {
				t.Error(x.Proto)
			}
			x.Respond(200, nil, tt.length)
			io.WriteString(x, "ok")
		}}, false)
		if got := withoutDate(h.exchange("GET / HTTP/1.0\r\nHost: a\r\n" + tt.header + "\r\n")); got != "HTTP/1.1 200 OK\r\n"+tt.want {
			t.Errorf("%q %d: got %q", tt.header, tt.length, got)
		}
	}
}

// A response that ends with its connection and breaks off is told by a reset:
// nothing else would tell it from a whole one.
func TestHTTP10Aborted(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := newHost(t, Options{Handler: func(x *Exchange) {
			x.Respond(200, nil, -1)
			io.WriteString(x, "half")
			x.Flush()
			x.Abort()
		}}, secure)
		c := h.dial()
		io.WriteString(c, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
		if b, err := io.ReadAll(c); err == nil {
			t.Errorf("TLS %v: %q looks whole", secure, b)
		}
	}
}

// Pipelined requests are answered in order, one at a time, and what a client
// sends ahead waits outside.
func TestPipelining(t *testing.T) {
	running := make(chan struct{}, 1)
	h := newHost(t, Options{Handler: func(x *Exchange) {
		select {
		case running <- struct{}{}:
		default:
			t.Error("two at a time")
		}
		b, _ := io.ReadAll(x.Body)
		x.Respond(200, nil, int64(len(x.RawPath)+len(b)))
		fmt.Fprintf(x, "%s%s", x.RawPath, b)
		<-running
	}}, true)
	c := h.dial()
	const n = 300
	go func() {
		var all strings.Builder
		for i := range n {
			switch i % 3 {
			case 0:
				fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", i, strings.Repeat("y", i*20))
			case 1:
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", i)
			case 2:
				fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", i)
			}
		}
		io.WriteString(c, all.String())
	}()
	r := bufio.NewReader(c)
	for i := range n {
		want := fmt.Sprintf("/%d%s", i, []string{"", "abc", "abc"}[i%3])
		if _, body := readReply(t, r, "GET"); body != want {
			t.Fatalf("%d: %q", i, body)
		}
	}
}

// A body that the handler left is read, when it is short, so that the
// connection lives; when it is long or was not asked for, it closes. What
// follows is never taken for a request.
func TestBodyLeft(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		kept       bool
	}{
		{"short", "Content-Length: 25\r\n\r\nGET /evil HTTP/1.1\r\nHos\r\n", true},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n19\r\nGET /evil HTTP/1.1\r\nHos\r\n\r\n0\r\n\r\n", true},
		{"long", fmt.Sprintf("Content-Length: %d\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n", discardBytes+1), false},
		{"not asked for", "Expect: 100-continue\r\nContent-Length: 24\r\n\r\n", false},
		{"broken", "Transfer-Encoding: chunked\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n", false},
	} {
		h := newHost(t, Options{Handler: func(x *Exchange) {
			if x.RawPath == "/evil" {
				t.Errorf("%s: the body became a request", tt.name)
			}
			x.Respond(200, nil, 0)
		}}, false)
		c := h.dial()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.send)
		r := bufio.NewReader(c)
		resp, _ := readReply(t, r, "POST")
		if tt.name == "not asked for" && !resp.Close {
			t.Errorf("%s: not told that it closes", tt.name)
		}
		io.WriteString(c, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if (err == nil) != tt.kept || tt.kept && resp.StatusCode != 200 {
			t.Errorf("%s: afterwards %v, kept %v", tt.name, err, tt.kept)
		}
	}
}

// An upgraded connection is a stream, what the client sent ahead included.
func TestUpgrade(t *testing.T) {
	for _, secure := range []bool{false, true} {
		refused := make(chan error, 1)
		h := newHost(t, Options{BodyTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond, Handler: func(x *Exchange) {
			s, err := x.Upgrade(Header{{"Sec-WebSocket-Accept", "k"}, {"Connection", "x"}})
			if err != nil {
				refused <- err
				x.RespondClose(400, nil, 0)
				return
			}
			if err := x.Respond(200, nil, 0); err != nil || !x.Started() {
				t.Error("Respond after Upgrade", err)
			}
			io.Copy(s, s)
			s.CloseWrite()
		}}, secure)
		c := h.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nahead")
		r := bufio.NewReader(c)
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			head.WriteByte(b)
		}
		if want := "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nSec-WebSocket-Accept: k\r\nUpgrade: websocket\r\n\r\n"; head.String() != want {
			t.Errorf("got %q", head.String())
		}
		for _, s := range []string{"ahead", strings.Repeat("x", 100<<10), "last"} {
			if s != "ahead" {
				go io.WriteString(c, s)
			}
			b := make([]byte, len(s))
			if _, err := io.ReadFull(r, b); err != nil || string(b) != s {
				t.Fatal(err)
			}
		}
		closeWrite(c)
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("end: %v", err)
		}
		wait(t, <-h.sessions)
		for _, header := range []string{"Upgrade: websocket\r\n", "Connection: upgrade\r\n", "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n"} {
			if got := h.exchange("GET / HTTP/1.1\r\nHost: a\r\n" + header + "\r\nx"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%q: %q", header, got)
			}
			if err := <-refused; !errors.Is(err, ErrNoUpgrade) {
				t.Error(err)
			}
		}
	}
}

// Timeouts of a head and of an idle connection, by what the client has sent.
func TestTimeouts(t *testing.T) {
	h := newHost(t, Options{HeaderTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond, Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, false)
	const good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, tt := range []struct{ name, send, want string }{
		{"nothing", "", ""},
		{"part of a head", "GET / HTT", "408"},
		{"idle", good, "200"},
		{"part of a second head", good + "GET", "200 408"},
	} {
		var got []string
		for _, l := range strings.Split(h.exchange(tt.send), "\r\n") {
			if _, rest, ok := strings.Cut(l, "HTTP/1.1 "); ok {
				got = append(got, rest[:3])
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	// A head that drips in is cut off all the same.
	c := h.dial()
	begun := time.Now()
	for _, b := range []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 1000)) {
		if _, err := c.Write([]byte{b}); err != nil || time.Since(begun) > 5*time.Second {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if d := time.Since(begun); d > 4*time.Second {
		t.Errorf("a dripping head lasted %v", d)
	}
}

// A client that does not read its response is given up.
func TestWriteTimeout(t *testing.T) {
	for _, secure := range []bool{false, true} {
		ended := make(chan error, 1)
		h := newHost(t, Options{WriteTimeout: 100 * time.Millisecond, Handler: func(x *Exchange) {
			x.Respond(200, nil, -1)
			b := make([]byte, 64<<10)
			for {
				if _, err := x.Write(b); err != nil {
					ended <- err
					return
				}
			}
		}}, secure)
		c := h.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("writing goes on")
		}
		wait(t, <-h.sessions)
	}
}

// The context ends when the client hangs up, whether its request was read or
// not, and no goroutine was needed to learn of it.
func TestClientHangsUp(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("noticed by the next read or write")
	}
	for _, tt := range []struct {
		name, send string
		hangUp     func(net.Conn)
	}{
		{"closes", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c net.Conn) { c.Close() }},
		{"resets", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
		{"ends its side", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }},
		{"with a body unread", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", func(c net.Conn) { c.Close() }},
		{"with a request unread", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c net.Conn) { c.Close() }},
	} {
		started, gone := make(chan struct{}, 2), make(chan struct{}, 2)
		h := newHost(t, Options{Handler: func(x *Exchange) {
			started <- struct{}{}
			<-x.Context.Done()
			gone <- struct{}{}
		}}, false)
		c := h.dial()
		io.WriteString(c, tt.send)
		<-started
		tt.hangUp(c)
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the context did not end", tt.name)
		}
		wait(t, <-h.sessions)
	}
}

// Idle connections hold no read buffer and one goroutine each.
func TestIdleConnections(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, false)
	before := runtime.NumGoroutine()
	const n = 50
	for range n {
		c := h.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("y", 4000)+"\r\n\r\n")
		readReply(t, bufio.NewReader(c), "GET")
	}
	if more := runtime.NumGoroutine() - before; more > 2*n+5 { // the host above waits for each with one of its own
		t.Errorf("%d goroutines for %d connections", more, n)
	}
	for range n {
		s := <-h.sessions
		c := s.p.(*h1)
		for c.state.Load() != h1Idle {
			runtime.Gosched()
		}
		s.Drain()
		wait(t, s)
		if c.in != nil || c.held != nil || c.reply.out != nil {
			t.Fatal("an idle connection holds a buffer")
		}
	}
}

// Drain finds a request that has arrived, but was not read, and has it served.
func TestDrainArrived(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("cannot tell here")
	}
	client, server := newPair(t)
	s := NewServer(Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }})
	c := newH1(s, server, &Conn{Listener: "HTTP"})
	c.state.Store(h1Idle) // as after a response, just before it waits
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for !waiting(server) {
		runtime.Gosched()
	}
	if !c.pending() {
		t.Error("not pending")
	}
	c.drain()
	go c.serve()
	if resp, _ := readReply(t, bufio.NewReader(client), "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Error(resp)
	}
}

// countedConn counts writes.
type countedConn struct {
	net.Conn
	n atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

// The records of one response leave in one write.
func TestOneWrite(t *testing.T) {
	client, server := newPair(t)
	writes := &countedConn{Conn: server}
	cert, roots := testCertificate(t)
	tc := tls.Server(NewSocket(writes), &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	s := NewServer(Options{Handler: func(x *Exchange) {
		n := int64(64 << 10)
		if x.RawPath == "/small" {
			n = 1 << 10
		}
		x.Respond(200, nil, n)
		for left := n; left > 0; left -= 512 {
			x.Write(make([]byte, 512))
		}
	}})
	go s.Serve(tc, &Conn{Listener: "REGIONAL"})
	c := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "test.example"})
	r := bufio.NewReader(c)
	for i, path := range []string{"/small", "/small", "/large", "/large"} {
		before := writes.n.Load()
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		readReply(t, r, "GET")
		if n := writes.n.Load() - before; n != 1 && i > 0 { // tickets ride with the first
			t.Errorf("%s: %d writes", path, n)
		}
	}
	c.Close()
}

package pipeline

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hostile is a backend that answers one request on its first connection as it
// likes. Everything else it is asked, on any connection, gets the path that was
// asked for.
type hostile struct {
	url    string
	reused atomic.Int32 // requests on the first connection after that one
}

// misbehave listens. kept says that the first connection serves one request
// well before it misbehaves.
func misbehave(t testing.TB, kept bool, do func(c net.Conn)) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hostile{url: "http://" + l.Addr().String()}
	serve := func(c net.Conn, first bool) {
		defer c.Close()
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			bad := 0
			if kept {
				bad = 1
			}
			switch {
			case first && n == bad:
				do(c)
				continue
			case first && n > bad:
				h.reused.Add(1)
			}
			path := req.URL.Path
			if req.Method == "HEAD" {
				path = ""
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
		}
	}
	go func() {
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, first)
		}
	}()
	return h
}

// How a hostile connection goes on after its answer.
const (
	stays  = ""
	closes = "closes"
	resets = "resets"
	drips  = "drips" // one byte at a time, too slowly, then stays
)

// head is the beginning of a good answer.
const head = "HTTP/1.1 200 OK\r\n"

// What backends may send, and what comes of it. Whatever it is, the next
// request gets its own answer.
var hostileAnswers = []struct {
	name   string
	method string // GET
	answer string
	then   string
	status int    // what the client gets; 0: an answer that breaks off
	body   string // "": not looked at
	kind   string // of the failure, as logged; "": none
	reused bool   // the connection is good for another request
}{
	// Sound answers.
	{"content length", "", head + "Content-Length: 2\r\n\r\nok", stays, 200, "ok", "", true},
	{"no content", "", "HTTP/1.1 204 No Content\r\n\r\n", stays, 204, "", "", true},
	{"no content, length zero", "", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", stays, 204, "", "", true},
	{"not modified, with the length it would have", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n", stays, 304, "", "", true},
	{"not modified, with a coding", "", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", stays, 304, "", "", true},
	{"head, with the length it would have", "HEAD", head + "Content-Length: 1000\r\n\r\n", stays, 200, "", "", true},
	{"chunked", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", stays, 200, "ok", "", true},
	{"chunked, upper case, leading zeros", "", head + "TRANSFER-ENCODING: Chunked\r\n\r\n002\r\nok\r\n0\r\n\r\n", stays, 200, "ok", "", true},
	{"chunked with a trailer", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", stays, 200, "ok", "", true},
	{"no reason", "", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", stays, 200, "ok", "", true},
	{"until it closes", "", head + "\r\nok", closes, 200, "ok", "", false},
	{"HTTP/1.0 until it closes", "", "HTTP/1.0 200 OK\r\n\r\nok", closes, 200, "ok", "", false},
	{"HTTP/1.0 with a length", "", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 200, "ok", "", false},
	{"HTTP/1.0, kept", "", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", stays, 200, "ok", "", true},
	{"says close and stays", "", head + "Connection: Close\r\nContent-Length: 2\r\n\r\nok", stays, 200, "ok", "", false},

	// Bodies that are not as long as they say.
	{"short body", "", head + "Content-Length: 10\r\n\r\nhalf", closes, 504, "", "connection closed", false},
	{"short body, reset", "", head + "Content-Length: 10\r\n\r\nhalf", resets, 504, "", "connection closed", false},
	{"long answer, cut", "", head + "Content-Length: 100000\r\n\r\nhalf", closes, 0, "", "connection closed", false},
	{"long answer, reset", "", head + "Content-Length: 100000\r\n\r\nhalf", resets, 0, "", "connection closed", false},
	{"surplus behind a body", "", head + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", stays, 200, "ok", "", false},
	{"surplus behind a chunked body", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx", stays, 200, "ok", "", false},
	{"two answers", "", head + "Content-Length: 5\r\n\r\nfirst" + head + "Content-Length: 6\r\n\r\nsecond", stays, 200, "first", "", false},
	{"body behind no content", "", "HTTP/1.1 204 No Content\r\n\r\nbody", stays, 204, "", "", false},
	{"no content with a length", "", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", stays, 504, "", "protocol error", false},
	{"no content, chunked", "", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"body behind not modified", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody", stays, 304, "", "", false},
	{"body in answer to HEAD", "HEAD", head + "Content-Length: 4\r\n\r\nbody", stays, 200, "", "", false},
	{"chunks in answer to HEAD", "HEAD", head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays, 200, "", "", false},

	// Lengths that two readers may read differently.
	{"two lengths", "", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"the same length twice", "", head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"a list of lengths", "", head + "Content-Length: 2, 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"empty length", "", head + "Content-Length:\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"negative length", "", head + "Content-Length: -1\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"signed length", "", head + "Content-Length: +2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"hexadecimal length", "", head + "Content-Length: 0x2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"length with a space", "", head + "Content-Length: 1 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"length beyond 64 bits", "", head + "Content-Length: 18446744073709551618\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"length and chunked", "", head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunked and length", "", head + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"gzip, chunked", "", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunked, gzip", "", head + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunked twice", "", head + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunked in two lines", "", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"identity coding", "", head + "Transfer-Encoding: identity\r\n\r\nok", closes, 504, "", "protocol error", false},
	{"vertical tab before chunked", "", head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"quoted chunked", "", head + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunked in HTTP/1.0", "", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},

	// Chunks. What comes with the head is judged before anything is answered; behind
	// that the answer breaks off.
	{"bad chunk size", "", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", stays, 504, "", "protocol error", false},
	{"empty chunk size", "", head + "Transfer-Encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"signed chunk size", "", head + "Transfer-Encoding: chunked\r\n\r\n+2\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk size in 0x", "", head + "Transfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk size with a space", "", head + "Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk size beyond 64 bits", "", head + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk extension", "", head + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"bare LF behind a chunk size", "", head + "Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"bare CR behind a chunk size", "", head + "Transfer-Encoding: chunked\r\n\r\n2\rxok\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk longer than it says", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"bare LF behind chunk data", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"chunk cut", "", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nok", closes, 0, "", "connection closed", false},
	{"no last chunk", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", closes, 0, "", "connection closed", false},
	{"cut before the last line", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", closes, 0, "", "connection closed", false},
	{"folded trailer", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n c\r\n\r\n", stays, 504, "", "protocol error", false},
	{"trailer without a colon", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA\r\n\r\n", stays, 504, "", "protocol error", false},
	{"endless trailer", "", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + strings.Repeat("A: b\r\n", 3000), stays, 504, "", "protocol error", false},

	// Heads.
	{"bare LF", "", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", stays, 504, "", "protocol error", false},
	{"one bare LF", "", head + "A: b\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"bare CR", "", head + "A: b\rContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"folded line", "", head + "A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"folded first line", "", head + " A: b\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"space before the colon", "", head + "Content-Length : 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"no name", "", head + ": 2\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"no colon", "", head + "Nonsense\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"control byte in a name", "", head + "A\x01: b\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"NUL in a value", "", head + "A: b\x00c\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"delete in a value", "", head + "A: b\x7fc\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"not ASCII in a name", "", head + "\u212aeep-Alive: 1\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"HTTP/0.9", "", "<html>hello</html>", closes, 504, "", "protocol error", false},
	{"empty line first", "", "\r\n" + head + "Content-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"HTTP/2.0", "", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"HTTP/1.2", "", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"HTTP/1.10", "", "HTTP/1.10 200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"version in lower case", "", "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"status of two digits", "", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"status of four digits", "", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"status below 100", "", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"status that is no number", "", "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"two spaces before the status", "", "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"a request", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", stays, 504, "", "protocol error", false},
	{"HTTP/2 frames", "", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", stays, 504, "", "protocol error", false},
	{"a TLS alert in plain text", "", "\x15\x03\x01\x00\x02\x02\x28", stays, 504, "", "protocol error", false},
	{"endless status line", "", "HTTP/1.1 200 " + strings.Repeat("x", 10_000), stays, 504, "", "protocol error", false},
	{"endless line", "", head + "A: " + strings.Repeat("x", 80_000), stays, 504, "", "protocol error", false},
	{"endless head", "", head + strings.Repeat("A: b\r\n", 20_000), stays, 504, "", "protocol error", false},
	{"too many lines", "", head + strings.Repeat("A:\r\n", 600) + "\r\n", stays, 504, "", "protocol error", false},

	// Interim answers.
	{"continue first", "", "HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 2\r\n\r\nok", stays, 200, "ok", "", true},
	{"some hints first", "", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 3) + head + "Content-Length: 2\r\n\r\nok", stays, 200, "ok", "", true},
	{"a flood of hints", "", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 17) + head + "Content-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"a flood of continue", "", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2000), stays, 504, "", "protocol error", false},
	{"hint with a body", "", "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nok" + head + "Content-Length: 2\r\n\r\nok", stays, 504, "", "protocol error", false},
	{"chunked hint", "", "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays, 504, "", "protocol error", false},
	{"nothing behind continue", "", "HTTP/1.1 100 Continue\r\n\r\n", closes, 504, "", "connection closed", false},
	{"switches unasked", "", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", stays, 504, "", "protocol error", false},

	// Time and ends.
	{"says nothing", "", "", stays, 504, "", "timeout", false},
	{"stops in the head", "", "HTTP/1.1 200 OK\r\nConte", stays, 504, "", "timeout", false},
	{"slow head", "", "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", drips, 504, "", "timeout", false},
	{"stops in a short body", "", head + "Content-Length: 4\r\n\r\nok", stays, 504, "", "timeout", false},
	{"stops in a long body", "", head + "Content-Length: 100000\r\n\r\nok", stays, 0, "", "timeout", false},
	{"stops in a chunk", "", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nok", stays, 0, "", "timeout", false},
	{"never closes", "", head + "\r\nok", stays, 0, "", "timeout", false},
	{"closes", "", "", closes, 504, "", "connection closed", false},
	{"resets", "", "", resets, 504, "", "connection closed", false},
	{"closes in the status line", "", "HTTP/1.1 2", closes, 504, "", "connection closed", false},
	{"closes in the head", "", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", closes, 504, "", "connection closed", false},
}

// sentAgain names the rows that a kept connection makes harmless: it ended
// before a byte of the answer.
var sentAgain = map[string]bool{"closes": true, "resets": true}

func TestHostileBackends(t *testing.T) {
	w := newWorld(t)
	var kinds atomic.Value
	w.p.log = newQuietLog(slog.New(kindHandler{slog.DiscardHandler, &kinds}), time.Now)
	for _, row := range hostileAnswers {
		for _, way := range []struct {
			http2, kept bool
		}{{false, false}, {true, false}, {false, true}} {
			name := row.name + ", HTTP/1.1"
			if way.http2 {
				name = row.name + ", HTTP/2"
			}
			if way.kept {
				name += ", kept connection"
			}
			t.Run(name, func(t *testing.T) {
				h := misbehave(t, way.kept, func(c net.Conn) {
					switch row.then {
					case drips:
						for i := range row.answer {
							if _, err := io.WriteString(c, row.answer[i:i+1]); err != nil {
								return
							}
							time.Sleep(20 * time.Millisecond)
						}
						return
					}
					io.WriteString(c, row.answer)
					switch row.then {
					case closes:
						c.Close()
					case resets:
						// A reset may overtake what was sent; both are read as the same end.
						c.(*net.TCPConn).SetLinger(0)
						c.Close()
					}
				})
				in := proxyTo(h.url+"/{proxy}", mapping("path", "proxy", "path", "proxy"))
				in.Timeout = 150 * time.Millisecond
				if row.kind != "timeout" {
					in.Timeout = 10 * time.Second
				}
				w.route("/{proxy+}", "ANY", in)
				c := w.client(way.http2)
				defer c.CloseIdleConnections()
				if way.kept {
					if a := w.call(c, "GET", testHost, "/prod/before", nil); a.StatusCode != 200 || a.body != "/before" {
						t.Fatalf("before: %d %q", a.StatusCode, a.body)
					}
				}
				kinds.Store("")
				method, status, body, kind := row.method, row.status, row.body, row.kind
				if method == "" {
					method = "GET"
				}
				if way.kept && sentAgain[row.name] {
					status, body, kind = 200, "/asked", ""
				}
				c = w.client(way.http2) // a client that was not served before does not ask twice
				req, err := http.NewRequest(method, "https://"+testHost+"/prod/asked", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.Do(req)
				var got string
				if err == nil {
					var b []byte
					b, err = io.ReadAll(resp.Body)
					resp.Body.Close()
					got = string(b)
				}
				switch {
				case status == 0:
					if err == nil {
						t.Errorf("%d %q, want an answer that breaks off", resp.StatusCode, got)
					}
				case err != nil:
					t.Errorf("%v, want %d", err, status)
				case resp.StatusCode != status || body != "" && got != body:
					t.Errorf("%d %q, want %d %q", resp.StatusCode, got, status, body)
				}
				if got := kinds.Load(); got != kind {
					t.Errorf("failure %q, want %q", got, kind)
				}
				for _, path := range []string{"/second", "/third"} {
					if a := w.call(c, "GET", testHost, "/prod"+path, nil); a.StatusCode != 200 || a.body != path {
						t.Errorf("%s afterwards: %d %q", path, a.StatusCode, a.body)
					}
				}
				if reused := h.reused.Load() > 0; reused != row.reused {
					t.Errorf("connection used again: %v, want %v", reused, row.reused)
				}
			})
		}
	}
}

// kindHandler keeps the kind of the last failure that was logged.
type kindHandler struct {
	slog.Handler
	kind *atomic.Value
}

func (h kindHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h kindHandler) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "kind" {
			h.kind.Store(a.Value.String())
		}
		return true
	})
	return nil
}

// A client that goes away ends what its backend does for it, wherever the
// request is, over both versions of HTTP.
func TestClientGone(t *testing.T) {
	w := newWorld(t)
	began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	backend := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			io.WriteString(rw, "event")
			rw.(http.Flusher).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	w.route("/{proxy+}", "ANY", proxyTo(backend+"/{proxy}", mapping("path", "proxy", "path", "proxy")))
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, path := range []string{"/head", "/body"} {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				<-began
				cancel()
			}()
			req, err := http.NewRequestWithContext(ctx, "GET", "https://"+testHost+"/prod"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := c.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			select {
			case <-ended:
			case <-time.After(3 * time.Second): // less than the integration's timeout
				t.Errorf("%s: the backend still works for nobody", path)
			}
			cancel()
		}
	})
}

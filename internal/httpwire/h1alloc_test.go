package httpwire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// keepAlive is a client that sends the same request over and over on one
// connection, and allocates nothing for it.
type keepAlive struct {
	conn    net.Conn
	request []byte
	answer  []byte // as long as each answer
}

// newKeepAlive learns the answer's length from a first exchange.
func newKeepAlive(t testing.TB, c net.Conn, request string) *keepAlive {
	t.Helper()
	k := &keepAlive{conn: c, request: []byte(request)}
	if _, err := c.Write(k.request); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &all))
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	k.answer = make([]byte, all.Len()-r.Buffered())
	return k
}

func (k *keepAlive) do(t testing.TB) {
	if _, err := k.conn.Write(k.request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(k.conn, k.answer); err != nil {
		t.Fatal(err)
	}
}

const commonHeaders = "Host: api.example.com\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nX-Request-Id: 7e5c9d7e\r\n"

var steadyRequests = []struct {
	name, request string
	answer        int // bytes of body; -1: chunked
}{
	{"GET 1 KiB", "GET /a/b?c=d HTTP/1.1\r\n" + commonHeaders + "\r\n", 1 << 10},
	{"GET 64 KiB", "GET /a/b?c=d HTTP/1.1\r\n" + commonHeaders + "\r\n", 64 << 10},
	{"POST 8 KiB", "POST /a/b HTTP/1.1\r\n" + commonHeaders + "Content-Length: 8192\r\n\r\n" + strings.Repeat("x", 8192), 1 << 10},
	{"chunked both ways", "POST /a/b HTTP/1.1\r\n" + commonHeaders + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 3) + "0\r\n\r\n", -1},
	{"large head", "GET /?" + strings.Repeat("q", 9000) + " HTTP/1.1\r\n" + commonHeaders + "\r\n", 10},
}

// steadyHandler reads the body and answers with n bytes, allocating nothing.
func steadyHandler(n int) func(*Exchange) {
	header := Header{{"Content-Type", "application/json"}, {"X-Request-Id", "7e5c9d7e"}}
	body := bytes.Repeat([]byte("y"), max(n, 3000))
	buf := make([]byte, 16<<10)
	return func(x *Exchange) {
		for {
			if _, err := x.Body.Read(buf); err == io.EOF {
				break
			} else if err != nil {
				panic(err)
			}
		}
		if n < 0 {
			x.Respond(200, header, -1)
			x.Write(body[:1000])
			x.Flush()
			x.Write(body[1000:])
			return
		}
		x.Respond(200, header, int64(n))
		x.Write(body[:n])
	}
}

// In the steady state a request costs no allocation, on neither kind of listener.
func TestNoAllocation(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, tt := range steadyRequests {
			t.Run(fmt.Sprintf("%s TLS %v", tt.name, secure), func(t *testing.T) {
				h := newHost(t, Options{Handler: steadyHandler(tt.answer)}, secure)
				k := newKeepAlive(t, h.dial(), tt.request)
				for range 100 {
					k.do(t) // pools and buffers fill
				}
				// The pools are emptied by the collector now and then, and a
				// Date line is made every second: a twentieth is nothing per request.
				const runs = 300
				allowed := uint64(runs / 20)
				if secure {
					// crypto/tls makes a 24-byte reader for each read of a record:
					// one here, at most two at the client.
					allowed += 3 * runs
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range runs {
					k.do(t)
				}
				runtime.ReadMemStats(&after)
				if n := after.Mallocs - before.Mallocs; n > allowed && !raceEnabled {
					t.Errorf("%d allocations in %d requests", n, runs)
				}
			})
		}
	}
}

// netHTTPHost is net/http under the same load, to compare with.
func netHTTPHost(b *testing.B, n int) (dial func() net.Conn) {
	cert, roots := testCertificate(b)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	if err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("y"), max(n, 3000))
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["X-Request-Id"] = []string{"7e5c9d7e"}
		if n < 0 {
			w.Write(body[:1000])
			w.(http.Flusher).Flush()
			w.Write(body[1000:])
			return
		}
		w.Header()["Content-Length"] = []string{fmt.Sprint(n)}
		w.Write(body[:n])
	})}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
	return func() net.Conn {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "test.example"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return c
	}
}

// BenchmarkKeepAlive is one request over TLS on a kept connection: ours beside
// net/http's, with the same client. cpu-us is user and system time of both.
func BenchmarkKeepAlive(b *testing.B) {
	for _, tt := range steadyRequests {
		b.Run(tt.name, func(b *testing.B) {
			b.Run("httpwire", func(b *testing.B) {
				h := newHost(b, Options{Handler: steadyHandler(tt.answer)}, true)
				benchmarkKeepAlive(b, h.dial(), tt.request)
			})
			b.Run("net/http", func(b *testing.B) {
				benchmarkKeepAlive(b, netHTTPHost(b, tt.answer)(), tt.request)
			})
		})
	}
}

func benchmarkKeepAlive(b *testing.B, c net.Conn, request string) {
	c.SetDeadline(time.Time{})
	k := newKeepAlive(b, c, request)
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		k.do(b)
	}
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

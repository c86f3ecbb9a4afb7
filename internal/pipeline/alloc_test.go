package pipeline

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// rig is one plain connection to the engine and the pipeline, and a backend
// that answers each request with the same bytes. Neither end takes memory, so
// what is counted is the gateway's.
type rig struct {
	testing.TB
	c       net.Conn
	request []byte
	answer  int // length of what comes back; learnt from the first answer
	buf     []byte
}

const rigLog = "$context.requestId $context.extendedRequestId $context.identity.sourceIp $context.requestTime $context.httpMethod $context.path $context.status $context.responseLength $context.responseLatency $context.integrationLatency $context.tlsVersion"

func newRig(w *world, request, answer string) *rig {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, out := make([]byte, 32<<10), []byte(answer)
				for n := 0; ; {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					n += m
					head := bytes.Index(buf[:n], []byte("\r\n\r\n"))
					if head < 0 || bytes.Contains(buf[:head], []byte("Content-Length: 8192")) && n < head+4+8192 {
						continue
					}
					if _, err := c.Write(out); err != nil {
						return
					}
					n = 0
				}
			}()
		}
	}()
	w.accessLog(rigLog)
	w.route("/{proxy+}", "ANY", proxyTo("http://"+l.Addr().String()+"/base/{proxy}", mapping("path", "proxy", "path", "proxy")))
	front, back := pair(w)
	server := httpwire.NewServer(httpwire.Options{Handler: w.p.Serve})
	facts := &httpwire.Conn{
		ID: "conn", Listener: "REGIONAL", Peer: back.RemoteAddr().(*net.TCPAddr).AddrPort(), Local: back.LocalAddr().(*net.TCPAddr).AddrPort(),
		Version: tls.VersionTLS13, Suite: tls.TLS_AES_128_GCM_SHA256, Group: tls.X25519, SNI: testHost, Leaf: w.ca.Leaf,
	}
	server.Serve(back, facts)
	w.Cleanup(func() { front.Close() })
	r := &rig{TB: w.TB, c: front, request: []byte(request), buf: make([]byte, 128<<10)}
	// The answer's length is learnt by waiting until nothing more comes.
	r.c.Write(r.request)
	for r.c.SetReadDeadline(time.Now().Add(5 * time.Second)); ; r.c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) {
		n, err := r.c.Read(r.buf[r.answer:])
		r.answer += n
		if err != nil {
			break
		}
	}
	r.c.SetReadDeadline(time.Time{})
	if !strings.HasPrefix(string(r.buf[:]), "HTTP/1.1 200 OK\r\n") {
		w.Fatalf("%.500s", r.buf[:r.answer])
	}
	return r
}

// pair is a TCP connection on loopback.
func pair(w *world) (front, back net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	if front, err = net.Dial("tcp", l.Addr().String()); err != nil {
		w.Fatal(err)
	}
	return front, <-accepted
}

func (r *rig) once() {
	if _, err := r.c.Write(r.request); err != nil {
		r.Fatal(err)
	}
	if _, err := io.ReadFull(r.c, r.buf[:r.answer]); err != nil {
		r.Fatal(err)
	}
}

var rigs = []struct{ name, request, answer string }{
	{"GET 1 KiB", "GET /prod/a/b?x=1 HTTP/1.1\r\nHost: " + testHost + "\r\nUser-Agent: test/1.0\r\nAccept: */*\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: test\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)},
	{"GET 64 KiB", "GET /prod/a/b HTTP/1.1\r\nHost: " + testHost + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536)},
	{"POST 8 KiB", "POST /prod/a/b HTTP/1.1\r\nHost: " + testHost + "\r\nContent-Type: text/plain\r\nContent-Length: 8192\r\n\r\n" + strings.Repeat("y", 8192),
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"chunked", "GET /prod/a/b HTTP/1.1\r\nHost: " + testHost + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
}

// The way of a request through engine, pipeline and second gate takes no
// memory once it is warm, access log included.
func TestNoAllocation(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools forget")
	}
	for _, test := range rigs {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(newWorld(t), test.request, test.answer)
			for range 50 {
				r.once()
			}
			if n := testing.AllocsPerRun(500, r.once); n > 0 {
				t.Errorf("%v allocations per request", n)
			}
		})
	}
}

func BenchmarkServe(b *testing.B) {
	for _, test := range rigs {
		b.Run(test.name, func(b *testing.B) {
			r := newRig(newWorld(b), test.request, test.answer)
			b.ReportAllocs()
			for b.Loop() {
				r.once()
			}
		})
	}
}

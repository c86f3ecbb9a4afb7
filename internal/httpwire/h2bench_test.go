package httpwire

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// BenchmarkH2 is one request and its response over HTTP/2 and TLS, on one
// connection, beside net/http with the same client, which costs next to nothing.
// cpu-us/op is what the process used, both ends together.
func BenchmarkH2(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		for _, streams := range []int{1, 32} {
			body := make([]byte, size)
			header := Header{{"content-type", "application/json"}, {"x-amzn-requestid", "0123456789abcdef"}}
			b.Run(fmt.Sprintf("%dKiB/%dstreams/own", size>>10, streams), func(b *testing.B) {
				h := newHost(b, Options{Handler: func(x *Exchange) {
					x.Respond(200, header, int64(size))
					x.Write(body)
				}}, true)
				benchH2(b, h, streams)
			})
			b.Run(fmt.Sprintf("%dKiB/%dstreams/net-http", size>>10, streams), func(b *testing.B) {
				benchH2(b, newNetHTTP(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("X-Amzn-Requestid", "0123456789abcdef")
					w.Header().Set("Content-Length", fmt.Sprint(size))
					w.Write(body)
				})), streams)
			})
		}
	}
}

// newNetHTTP is a host whose connections net/http serves.
func newNetHTTP(t testing.TB, handler http.Handler) *host {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := testCertificate(t)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	s := &http.Server{Handler: handler, Protocols: protocols, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return &host{t: t, addr: l.Addr().String(), roots: pool}
}

// benchH2 keeps so many streams going.
func benchH2(b *testing.B, h *host, streams int) {
	p := newH2Peer(b, h, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 24})
	p.c.SetDeadline(time.Time{})
	p.c.(*tls.Conn).NetConn().SetDeadline(time.Time{})
	p.fr.WriteWindowUpdate(0, 1<<30)
	// The first request fills the table; all others are the same bytes.
	p.request(1, true, get("user-agent", "bench", "accept", "*/*")...)
	if _, err := p.answer(1); err != nil {
		b.Fatal(err)
	}
	block := append([]byte(nil), p.encode(get("user-agent", "bench", "accept", "*/*")...)...)
	next := uint32(3)
	out := make([]byte, 0, 16<<10)
	open := func(n int) {
		out = out[:0]
		for range n {
			out = append(appendFrame(out, len(block), h2Headers, h2EndStream|h2EndHeaders, next), block...)
			next += 2
		}
		p.c.Write(out)
	}
	in := make([]byte, 256<<10)
	r, w, received := 0, 0, 0
	// ended reads what is there and counts the streams that ended.
	ended := func() (n int) {
		for n == 0 {
			if r > 0 {
				w = copy(in, in[r:w])
				r = 0
			}
			m, err := p.c.Read(in[w:])
			if err != nil && err != io.EOF || m == 0 {
				b.Fatal(err)
			}
			for w += m; w-r >= 9; {
				f := in[r:w]
				length := int(f[0])<<16 | int(f[1])<<8 | int(f[2])
				if len(f) < 9+length {
					break
				}
				switch f[3] {
				case h2RSTStream, h2GoAway:
					b.Fatal("refused ", binary.BigEndian.Uint32(f[9:]))
				case h2Data, h2Headers:
					if f[3] == h2Data {
						received += length
					}
					n += int(f[4] & h2EndStream)
				}
				r += 9 + length
			}
			if received > 1<<28 {
				p.fr.WriteWindowUpdate(0, uint32(received))
				received = 0
			}
		}
		return n
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := processTime()
	open(min(streams, b.N))
	for done, opened := 0, min(streams, b.N); done < b.N; {
		n := ended()
		done += n
		if more := min(n, b.N-opened); more > 0 {
			open(more)
			opened += more
		}
	}
	b.ReportMetric(float64(processTime()-before)/float64(time.Microsecond)/float64(b.N), "cpu-us/op")
}

func processTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

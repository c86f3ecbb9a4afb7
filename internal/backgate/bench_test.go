package backgate

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// responder answers every request head on a kept connection with the same
// bytes and allocates nothing, so that what a benchmark counts is the client's.
func responder(t testing.TB, config *tls.Config, answer string) (host string) {
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
			if config != nil {
				c = tls.Server(c, config)
			}
			go func() {
				defer c.Close()
				buf, out := make([]byte, 4096), []byte(answer)
				for n := 0; ; {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += m; n >= 4 && string(buf[n-4:n]) == "\r\n\r\n" {
						if _, err := c.Write(out); err != nil {
							return
						}
						n = 0
					}
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "localhost:" + port
}

func answerOf(size int) string {
	return "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\nServer: test\r\nContent-Length: " +
		strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat("x", size)
}

var requestHeader = httpwire.Header{
	{Name: "Accept", Value: "*/*"}, {Name: "User-Agent", Value: "test/1.0"}, {Name: "X-Forwarded-For", Value: "192.0.2.1"},
	{Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-Forwarded-Port", Value: "443"},
}

// A request on a kept connection takes no memory. What TLS takes for each
// record that it reads is crypto/tls's.
func TestNoAllocation(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools forget")
	}
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}}
	for _, test := range []struct {
		name   string
		config *tls.Config
		size   int
		most   float64
	}{
		{"plain", nil, 1 << 10, 0},
		{"plain, 64 KiB", nil, 64 << 10, 0},
		// One for a record read here, one for a record read by the test's backend.
		{"TLS", config, 1 << 10, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := responder(t, test.config, answerOf(test.size))
			g := gate(t, rootPool(root))
			buf := make([]byte, 80<<10)
			got := testing.AllocsPerRun(500, func() {
				ask(t, g, context.Background(), host, test.config != nil, buf, test.size)
			})
			if got > test.most {
				t.Errorf("%v allocations per request, want at most %v", got, test.most)
			}
		})
	}
}

func ask(t testing.TB, g *Gate, ctx context.Context, host string, secure bool, buf []byte, size int) {
	r := Request{Method: "GET", Scheme: "http", Host: host, Path: "/x", Header: requestHeader, Timeout: 5 * time.Second}
	if secure {
		r.Scheme = "https"
	}
	resp, err := g.Do(ctx, &r)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(resp.Body, buf[:size+1]); n != size || err != io.ErrUnexpectedEOF {
		t.Fatal(n, err)
	}
	resp.Body.Close()
}

// BenchmarkDo compares with net/http's client, in one run. cpu-us/op is the
// process's, the backend's part included, which is the same for both.
func BenchmarkDo(b *testing.B) {
	root := issue(b, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(b, root, nil))}}
	for _, size := range []struct {
		name string
		n    int
	}{{"1KiB", 1 << 10}, {"64KiB", 64 << 10}} {
		for _, secure := range []bool{false, true} {
			name, c := size.name+"/plain", (*tls.Config)(nil)
			if secure {
				name, c = size.name+"/TLS", config
			}
			host := responder(b, c, answerOf(size.n))
			buf := make([]byte, 80<<10)
			b.Run(name+"/ours", func(b *testing.B) {
				g := gate(b, rootPool(root))
				measure(b, func() { ask(b, g, context.Background(), host, secure, buf, size.n) })
			})
			b.Run(name+"/nethttp", func(b *testing.B) {
				tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: rootPool(root)}, DisableCompression: true}
				defer tr.CloseIdleConnections()
				url := "http://" + host + "/x"
				if secure {
					url = "https://" + host + "/x"
				}
				measure(b, func() {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					defer cancel()
					req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
					for _, f := range requestHeader {
						req.Header.Add(f.Name, f.Value)
					}
					resp, err := tr.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					if n, _ := io.ReadFull(resp.Body, buf[:size.n+1]); n != size.n {
						b.Fatal(n)
					}
					resp.Body.Close()
				})
			})
		}
	}
}

func measure(b *testing.B, f func()) {
	b.ReportAllocs()
	f()
	runtime.GC()
	before := cpu()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

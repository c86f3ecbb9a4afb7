package backgate

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// A backend that answers one request twice, as one does whose second reading
// of a body is a request, never answers another client with it.
func TestUnaskedAnswers(t *testing.T) {
	defer log.SetOutput(log.Writer())
	log.SetOutput(io.Discard) // net/http prints each
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
					if r.URL.Path == "/twice" {
						answer += "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
					}
					io.WriteString(c, answer)
				}
			}()
		}
	}()
	g := New(Options{AllowBackend: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	defer g.Close()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			path := "/once"
			if i%4 == 0 {
				path = "/twice"
			}
			for range 150 {
				resp, err := g.Do(t.Context(), &Request{Method: "GET", Scheme: "http", Host: l.Addr().String(), Path: path})
				if err != nil {
					continue // its connection was ended: it is not sent again
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if strings.Contains(string(body), "evil") {
					t.Error("an answer that nobody asked for was given out")
				}
			}
		})
	}
	wg.Wait()
}

package httpwire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// each runs f over HTTP/1.1 and HTTP/2.
func each(t *testing.T, f func(t *testing.T, http2 bool)) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[http2], func(t *testing.T) { f(t, http2) })
	}
}

func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const home = "https://test.example/"

// What the pipeline sees of a request.
func TestExchange(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		seen := make(chan string, 1)
		h := newHost(t, Options{Handler: func(x *Exchange) {
			b, err := io.ReadAll(x.Body)
			if err != nil {
				t.Error(err)
			}
			var names []string
			for _, f := range x.Header {
				names = append(names, strings.ToLower(f.Name))
			}
			for _, engine := range []string{"host", "content-length", "transfer-encoding", "trailer", "expect"} {
				if x.Header.Get(engine) != "" {
					t.Errorf("%s is visible in %v", engine, names)
				}
			}
			seen <- fmt.Sprintf("%s %s %s %s?%s %d %s %v", x.Proto, x.Method, x.Authority, x.RawPath, x.RawQuery, x.ContentLength, b, x.Header.Values("x-two"))
			x.Respond(200, nil, 0)
		}}, true)
		proto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		for _, tt := range []struct {
			method, path string
			body         io.Reader
			want         string
		}{
			{"GET", "a%2Fb//c/../d?x=%zz&y", nil, "GET test.example /a%2Fb//c/../d?x=%zz&y 0  [1 2]"},
			{"POST", "", strings.NewReader("hello"), "POST test.example /? 5 hello [1 2]"},
			{"POST", "", io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo")), "POST test.example /? -1 hello [1 2]"},
			{"PURGE", "", nil, "PURGE test.example /? 0  [1 2]"},
		} {
			r := request(t, tt.method, home, tt.body)
			path, query, _ := strings.Cut(tt.path, "?")
			r.URL.Opaque, r.URL.RawQuery = "/"+path, query
			r.Header.Add("X-Two", "1")
			r.Header.Add("X-Two", "2")
			if _, _, err := do(t, h.client(http2), r); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != proto+" "+tt.want {
				t.Errorf("got  %s\nwant %s %s", got, proto, tt.want)
			}
		}
	})
}

// Header lines keep order and spelling over HTTP/1.
func TestHeaderOrder(t *testing.T) {
	var got Header
	h := newHost(t, Options{Handler: func(x *Exchange) {
		got = append(got, x.Header...)
		x.RespondClose(200, nil, 0)
	}}, false)
	h.exchange("GET / HTTP/1.1\r\nZ-last: 1\r\nhOST: a\r\nA_b: \t 2 \t\r\nz-LAST: \r\nConnection: keep-alive\r\n\r\n")
	if want := (Header{{"Z-last", "1"}, {"A_b", "2"}, {"z-LAST", ""}, {"Connection", "keep-alive"}}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The engine makes framing and Date, and adds nothing else.
func TestResponse(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		for _, tt := range []struct {
			name, method string
			answer       func(x *Exchange)
			status       int
			body         string
			header       string // sorted names without Date
		}{
			{"nothing guessed", "GET", func(x *Exchange) { x.Respond(200, nil, 6); io.WriteString(x, "<html>") }, 200, "<html>", "Content-Length"},
			{"unknown length", "GET", func(x *Exchange) {
				x.Respond(200, nil, -1)
				io.WriteString(x, "abc")
				x.Flush()
				io.WriteString(x, "def")
			}, 200, "abcdef", ""},
			{"framing dropped", "GET", func(x *Exchange) {
				x.Respond(200, Header{{"content-length", "99"}, {"Transfer-Encoding", "gzip"}, {"Connection", "X-A"}, {"Trailer", "X"}, {"Keep-Alive", "1"}, {"X-A", "1"}, {"X-a", "2"}, {"bad name", "3"}}, 0)
			}, 200, "", "Content-Length X-A"},
			{"type in lower case", "GET", func(x *Exchange) {
				x.Respond(200, Header{{"content-type", "text/x"}}, 1)
				io.WriteString(x, "a")
			}, 200, "a", "Content-Length Content-Type"},
			{"HEAD", "HEAD", func(x *Exchange) { x.Respond(200, nil, 6); io.WriteString(x, "abcdef") }, 200, "", "Content-Length"},
			{"204", "GET", func(x *Exchange) { x.Respond(204, nil, 6); io.WriteString(x, "abcdef") }, 204, "", ""},
			{"304", "GET", func(x *Exchange) { x.Respond(304, nil, -1); io.WriteString(x, "abcdef") }, 304, "", ""},
			{"second Respond", "GET", func(x *Exchange) { x.Respond(201, nil, 0); x.Respond(202, nil, 0) }, 201, "", "Content-Length"},
			{"no answer", "GET", func(x *Exchange) {}, 500, `{"message":"Internal server error"}`, "Content-Length Content-Type X-Amzn-Errortype"},
			{"no final status", "GET", func(x *Exchange) { x.Respond(103, nil, 0) }, 500, "", "Content-Length"},
			{"panic before", "GET", func(x *Exchange) { panic("p") }, 500, `{"message":"Internal server error"}`, "Content-Length Content-Type X-Amzn-Errortype"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				h := newHost(t, Options{Handler: tt.answer}, true)
				resp, body, err := do(t, h.client(http2), request(t, tt.method, home, nil))
				if err != nil {
					t.Fatal(err)
				}
				if resp.Header.Get("Date") == "" {
					t.Error("no Date")
				}
				resp.Header.Del("Date")
				var names []string
				for _, name := range []string{"Connection", "Content-Length", "Content-Type", "Keep-Alive", "Trailer", "Transfer-Encoding", "X-A", "X-Amzn-Errortype"} {
					if resp.Header[name] != nil {
						names = append(names, name)
						delete(resp.Header, name)
					}
				}
				if len(resp.Header) > 0 {
					t.Errorf("also %v", resp.Header)
				}
				if resp.StatusCode != tt.status || body != tt.body || strings.Join(names, " ") != tt.header {
					t.Errorf("got %d %q %v, want %d %q %s", resp.StatusCode, body, names, tt.status, tt.body, tt.header)
				}
			})
		}
	})
}

// A response that breaks off never looks whole.
func TestBrokenResponse(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		for name, answer := range map[string]func(x *Exchange){
			"panic after the head": func(x *Exchange) { x.Respond(200, nil, -1); io.WriteString(x, "abc"); x.Flush(); panic("p") },
			"abort":                func(x *Exchange) { x.Respond(200, nil, -1); io.WriteString(x, "abc"); x.Flush(); x.Abort() },
			"abort before":         func(x *Exchange) { x.Abort() },
			"too short":            func(x *Exchange) { x.Respond(200, nil, 9); io.WriteString(x, "abc") },
		} {
			var fine atomic.Bool
			h := newHost(t, Options{Handler: func(x *Exchange) {
				if fine.Load() {
					x.Respond(200, nil, 0)
					return
				}
				answer(x)
			}}, true)
			c := h.client(http2)
			if _, body, err := do(t, c, request(t, "GET", home, nil)); err == nil {
				t.Errorf("%s: %q and no error", name, body)
			}
			fine.Store(true) // the process lives, and over HTTP/2 the connection too
			if resp, _, err := do(t, c, request(t, "GET", home, nil)); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: afterwards %v", name, err)
			}
			if <-h.sessions; http2 && len(h.sessions) > 0 {
				t.Errorf("%s: more than one connection", name)
			}
		}
	})
}

func TestClientGone(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		started, gone := make(chan struct{}), make(chan struct{})
		h := newHost(t, Options{Handler: func(x *Exchange) {
			close(started)
			<-x.Context.Done()
			close(gone)
		}}, true)
		c := h.client(http2)
		r := request(t, "GET", home, nil)
		ctx, cancel := context.WithCancel(context.Background())
		go c.Do(r.WithContext(ctx))
		<-started
		cancel()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("the exchange's context did not end")
		}
	})
}

// HTTP/2 refuses by the same table where net/http leaves it to us.
func TestHTTP2Refusals(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, true)
	c := h.client(true)
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		want   int
	}{
		{"plain", func(*http.Request) {}, 200},
		{"longest target", func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("a", 10239) }, 200},
		{"target one longer", func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("a", 10240) }, 414},
		{"header too large", func(r *http.Request) { r.Header.Set("X", strings.Repeat("a", 20480)) }, 431},
		{"authority is a list", func(r *http.Request) { r.Host = "a,b" }, 400},
		{"asterisk with GET", func(r *http.Request) { r.URL.Opaque = "*" }, 400},
		{"other expectation", func(r *http.Request) { r.Header.Set("Expect", "miracles") }, 417},
	} {
		r := request(t, "GET", home, nil)
		tt.change(r)
		resp, _, err := do(t, c, r)
		if err != nil || resp.StatusCode != tt.want {
			t.Errorf("%s: %v %v, want %d", tt.name, resp, err, tt.want)
		}
	}
	if <-h.sessions; len(h.sessions) > 0 {
		t.Error("more than one connection")
	}
}

func TestDrainIdle(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, true)
		c := h.client(http2)
		if _, _, err := do(t, c, request(t, "GET", home, nil)); err != nil {
			t.Fatal(err)
		}
		s := <-h.sessions
		s.Drain()
		s.Drain()
		wait(t, s)
		if resp, _, err := do(t, c, request(t, "GET", home, nil)); err != nil || resp.StatusCode != 200 {
			t.Errorf("on a fresh connection: %v", err)
		}
	})
}

func TestDrainBusy(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		started, release := make(chan struct{}, 1), make(chan struct{})
		h := newHost(t, Options{Handler: func(x *Exchange) {
			started <- struct{}{}
			<-release
			x.Respond(200, nil, 2)
			io.WriteString(x, "ok")
		}}, true)
		c := h.client(http2)
		got := make(chan error, 1)
		go func() {
			resp, body, err := do(t, c, request(t, "POST", home, nil))
			if err == nil && (body != "ok" || !http2 && !resp.Close) {
				err = fmt.Errorf("body %q, close %v", body, resp.Close)
			}
			got <- err
		}()
		<-started
		s := <-h.sessions
		s.Drain()
		select {
		case <-s.Done():
			t.Fatal("closed under a request")
		default:
		}
		close(release)
		if err := <-got; err != nil {
			t.Error(err)
		}
		wait(t, s)
	})
}

// A request that was on its way to a fresh connection is answered.
func TestDrainNew(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, false)
	c := h.dial()
	s := <-h.sessions
	s.Drain()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 200 || !resp.Close {
		t.Fatal(resp, err)
	}
	wait(t, s)
}

// Drain while requests run loses none that cannot be sent again.
func TestDrainUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, true)
		c := h.client(http2)
		for i := range 200 {
			// GET: a client may send it again when an idle connection closes.
			if resp, _, err := do(t, c, request(t, "GET", home, nil)); err != nil || resp.StatusCode != 200 {
				t.Fatalf("request %d: %v", i, err)
			}
			select {
			case s := <-h.sessions:
				go s.Drain()
			default:
			}
		}
	})
}

func TestBodyTimeout(t *testing.T) {
	each(t, func(t *testing.T, http2 bool) {
		h := newHost(t, Options{BodyTimeout: 200 * time.Millisecond, Handler: func(x *Exchange) {
			_, err := io.ReadAll(x.Body)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				x.RespondClose(408, nil, 0)
				return
			}
			t.Errorf("body: %v", err)
			x.RespondClose(500, nil, 0)
		}}, true)
		body, feed := io.Pipe()
		defer feed.Close()
		go feed.Write([]byte("some"))
		r := request(t, "POST", home, body)
		r.ContentLength = 100
		resp, _, err := do(t, h.client(http2), r)
		if err != nil || resp.StatusCode != 408 {
			t.Error(resp, err)
		}
	})
}

func TestBodyCutShort(t *testing.T) {
	for _, head := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		got := make(chan error, 1)
		h := newHost(t, Options{Handler: func(x *Exchange) {
			_, err := io.ReadAll(x.Body)
			got <- err
			x.RespondClose(400, nil, 0)
		}}, false)
		c := h.dial()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+head)
		c.Close()
		if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		b, _ := io.ReadAll(x.Body)
		x.Respond(200, nil, int64(len(b)))
		x.Write(b)
	}}, false)
	c := h.dial()
	r := bufio.NewReader(c)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
		t.Fatalf("%q %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(c, "abc")
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "abc" {
		t.Errorf("body %q", b)
	}
}

// FuzzConnection feeds bytes to a connection, cut in two anywhere. Whatever
// they are, what comes back is well-formed, and the cut does not matter.
func FuzzConnection(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 3)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 50)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n"), 60)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 0)
	s := NewServer(Options{Handler: func(x *Exchange) {
		b, err := io.ReadAll(io.LimitReader(x.Body, 1<<20))
		if err != nil {
			x.RespondClose(400, nil, 0)
			return
		}
		body := fmt.Sprintf("%s %q %q %q %v %q", x.Method, x.Authority, x.RawPath, x.RawQuery, x.Header, b)
		x.Respond(200, nil, int64(len(body)))
		io.WriteString(x, body)
	}})
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			cut = 0
		}
		whole := talk(t, s, b)
		parts := talk(t, s, b[:cut], b[cut:])
		if strings.Join(whole, "\n") != strings.Join(parts, "\n") {
			t.Fatalf("cut at %d matters:\n%q\n%q", cut, whole, parts)
		}
	})
}

// talk sends the parts, closes its sending side and returns the responses.
func talk(t *testing.T, s *Server, parts ...[]byte) []string {
	client, server := newPair(t)
	session := s.Serve(server, &Conn{Listener: "HTTP"})
	go func() {
		for _, p := range parts {
			client.Write(p)
		}
		client.CloseWrite()
	}()
	all, _ := io.ReadAll(client)
	wait(t, session)
	client.Close()
	var got []string
	r := bufio.NewReader(bytes.NewReader(all))
	for {
		if _, err := r.Peek(1); err != nil {
			return got
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("malformed response in %q: %v", all, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return got // HEAD, whose body is not there
		}
		got = append(got, fmt.Sprintf("%d %s", resp.StatusCode, body))
	}
}

func BenchmarkHTTP1(b *testing.B) { benchmark(b, false) }
func BenchmarkHTTP2(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, http2 bool) {
	h := newHost(b, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, true)
	c := h.client(http2)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Get(home)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

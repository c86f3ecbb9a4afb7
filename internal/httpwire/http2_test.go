package httpwire

import (
	"bytes"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is an HTTP/2 client that says whatever a test wants.
type frames struct {
	t testing.TB
	*http2.Framer
	head    bytes.Buffer
	encoder *hpack.Encoder
}

func (h *host) frames(settings ...http2.Setting) *frames {
	h.t.Helper()
	raw := h.dial().(*tls.Conn).NetConn()
	c := tls.Client(raw, &tls.Config{RootCAs: h.roots, ServerName: "test.example", NextProtos: []string{"h2"}})
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		h.t.Fatal(err)
	}
	f := &frames{t: h.t, Framer: http2.NewFramer(c, c)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.encoder = hpack.NewEncoder(&f.head)
	if err := f.WriteSettings(settings...); err != nil {
		h.t.Fatal(err)
	}
	return f
}

// ask sends a request without a body: name, value, name, value ...
func (f *frames) ask(stream uint32, pairs ...string) {
	f.t.Helper()
	f.head.Reset()
	for i := 0; i < len(pairs); i += 2 {
		f.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.head.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		f.t.Fatal(err)
	}
}

// answer is the status of a stream's response, "reset" or "closed".
func (f *frames) answer(stream uint32) string {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return "reset"
			}
		case *http2.GoAwayFrame:
			return "closed"
		}
	}
}

// Pseudo headers and fields that would have a second reading as HTTP/1.
func TestHTTP2Heads(t *testing.T) {
	seen := make(chan string, 100)
	h := newHost(t, Options{Handler: func(x *Exchange) {
		seen <- x.Method + " " + x.Authority + " " + x.RawPath
		x.Respond(200, nil, 0)
	}}, true)
	head := func(method, path, authority string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, more...)
	}
	for _, tc := range []struct {
		what string
		head []string
		want string // status, "reset" or "closed"
	}{
		{"plain", head("GET", "/a", "test.example"), "200"},
		{"host beside authority", head("GET", "/a", "test.example", "host", "test.example"), "200"},
		{"another host beside authority", head("GET", "/a", "test.example", "host", "other.example"), "400"},
		{"two hosts", head("GET", "/a", "test.example", "host", "test.example", "host", "other.example"), "400"},
		{"request line in the method", head("GET /b HTTP/1.1", "/a", "test.example"), "reset"},
		{"long method", head(strings.Repeat("A", maxMethod+1), "/a", "test.example"), "400"},
		{"line break in the method", head("GET\r\nx", "/a", "test.example"), "reset"},
		{"white space in the path", head("GET", "/a b", "test.example"), "400"},
		{"fragment", head("GET", "/a#b", "test.example"), "400"},
		{"absolute path", head("GET", "https://other.example/a", "test.example"), "400"},
		{"user information", head("GET", "/a", "other.example@test.example"), "400"},
		{"two authorities", head("GET", "/a", "test.example, other.example"), "400"},
		{"no authority", []string{":method", "GET", ":scheme", "https", ":path", "/a"}, "400"},
		{"authority twice", head("GET", "/a", "test.example", ":authority", "other.example"), "reset"},
		{"Connection", head("GET", "/a", "test.example", "connection", "x-forwarded-for"), "reset"},
		{"Transfer-Encoding", head("GET", "/a", "test.example", "transfer-encoding", "chunked"), "reset"},
		{"line break in a value", head("GET", "/a", "test.example", "x", "a\r\nb: c"), "reset"},
		{"capital letter in a name", head("GET", "/a", "test.example", "X-A", "b"), "reset"},
		{"length without a body", head("POST", "/a", "test.example", "content-length", "5"), "reset"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "test.example:443"}, "501"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			f := h.frames()
			f.ask(1, tc.head...)
			if got := f.answer(1); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			select {
			case got := <-seen:
				if tc.want != "200" || got != "GET test.example /a" {
					t.Errorf("the handler saw %q", got)
				}
			default:
				if tc.want == "200" {
					t.Error("the handler saw nothing")
				}
			}
		})
	}
}

// A client that never opens its window holds a handler, and with it a
// backend's connection, no longer than one that does not read over HTTP/1.
func TestShutWindow(t *testing.T) {
	const patience = 300 * time.Millisecond
	for _, length := range []int{10, 1 << 20} {
		written := make(chan error, 1)
		h := newHost(t, Options{WriteTimeout: patience, Handler: func(x *Exchange) {
			x.Respond(200, nil, int64(length))
			_, err := x.Write(make([]byte, length))
			written <- err
		}}, true)
		f := h.frames(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		f.ask(1, ":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/")
		if got := f.answer(1); got != "200" {
			t.Fatal(got)
		}
		if got := f.answer(1); got != "reset" {
			t.Errorf("%d bytes: %s, want reset", length, got)
		}
		if err := <-written; err == nil {
			t.Errorf("%d bytes: write returned %v", length, err)
		}
	}
}

// A pause of the handler's own is not the client's: its stream lives on.
func TestLongPause(t *testing.T) {
	const patience = 50 * time.Millisecond
	h := newHost(t, Options{WriteTimeout: patience, Handler: func(x *Exchange) {
		x.Respond(200, nil, -1)
		for range 3 {
			x.Write([]byte("part"))
			x.Flush()
			<-time.After(3 * patience)
		}
	}}, true)
	resp, err := h.client(true).Get("https://test.example/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "partpartpart" || err != nil {
		t.Errorf("%q %v", b, err)
	}
}

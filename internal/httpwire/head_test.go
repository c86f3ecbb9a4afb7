package httpwire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// What a request head may be, by the status it gets. "echo" answers 200.
func TestHeads(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		if _, err := io.Copy(io.Discard, x.Body); err != nil {
			x.RespondClose(400, nil, 0)
			return
		}
		x.RespondClose(200, nil, 0)
	}}, false)
	long := strings.Repeat("a", 10239)
	for _, tt := range []struct{ name, send, want string }{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
		{"one empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
		{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "200"},
		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "400"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
		{"two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "400"},
		{"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
		{"user in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"},
		{"Host with port", "GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n", "200"},
		{"Host with a word for a port", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "400"},
		{"IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "200"},
		{"absolute form", "GET http://a/x HTTP/1.1\r\nHost: A\r\n\r\n", "200"},
		{"absolute form of another host", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"absolute form of another scheme", "GET https://a/x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
		{"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "501"},
		{"HTTP/2 in words", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
		{"HTTP/0.9", "GET /\r\n", "400"},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"half an escape", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"raw UTF-8 in target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
		{"bare LF after header", "GET / HTTP/1.1\r\nHost: a\n\r\n", "400"},
		{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400"},
		{"bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400"},
		{"NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", "400"},
		{"folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "400"},
		{"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
		{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "400"},
		{"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "400"},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "200"},
		{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
		{"length list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", "400"},
		{"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", "400"},
		{"huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", "400"},
		{"length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400"},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", "200"},
		{"chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"chunked not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400"},
		{"obscured chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"},
		{"other coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"chunk extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", "400"},
		{"chunk with bare LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", "400"},
		{"chunk longer than it says", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "400"},
		{"chunk size 0x3", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", "400"},
		{"malformed trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n", "400"},
		{"other expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417"},
		{"longest target", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", "200"},
		{"target one longer", "GET /" + long + "a HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		{"endless target", "GET /" + long + long, "414"},
		{"largest header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 20480-9-5) + "\r\n\r\n", "200"},
		{"header one larger", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 20480-9-4) + "\r\n\r\n", "431"},
		{"endless header line", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 30000), "431"},
		{"TLS on the plain port", "\x16\x03\x01\x00\x05hello\r\n\r\n", "400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.exchange(tt.send)
			status, _, _ := strings.Cut(got, "\r\n")
			if !strings.HasPrefix(status, "HTTP/1.") || !strings.Contains(status, " "+tt.want+" ") {
				t.Errorf("got %q, want status %s", got, tt.want)
			}
			if strings.Count(got, "HTTP/1.") != 1 {
				t.Errorf("more than one response: %q", got)
			}
			if got := h.dialOne(t, tt.send); got != status { // however the bytes are split
				t.Errorf("byte by byte: %q, at once: %q", got, status)
			}
		})
	}
}

// dialOne sends byte by byte and returns the status line.
func (h *host) dialOne(t *testing.T, send string) string {
	if len(send) > 1000 {
		return strings.SplitN(h.exchange(send), "\r\n", 2)[0] // too slow, and nothing new
	}
	c := h.dial()
	go func() {
		for i := range len(send) {
			if _, err := c.Write([]byte{send[i]}); err != nil {
				return
			}
		}
	}()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

// A refusal comes in its turn, after the responses to earlier requests.
func TestPipelinedRefusal(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, false)
	got := h.exchange("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost : a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
	var statuses []string
	r := bufio.NewReader(strings.NewReader(got))
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		io.Copy(io.Discard, resp.Body)
		statuses = append(statuses, resp.Status)
	}
	if want := "200 OK,200 OK,400 Bad Request"; strings.Join(statuses, ",") != want {
		t.Errorf("got %v, want %s", statuses, want)
	}
}

// FuzzHead feeds a head to the parser and to net/http. What we accept,
// net/http must read the same way; what we refuse is our right.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nConnection: close, x\r\n\r\nabc"))
	f.Add([]byte("POST https://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := requestParser{limits: listenerLimits["REGIONAL"], secure: true}
		_, done, r := p.parse(b)
		split := requestParser{limits: p.limits, secure: true}
		for i := range len(b) + 1 {
			_, splitDone, splitRefusal := split.parse(b[:i])
			if splitDone || splitRefusal != nil {
				if splitDone != done || splitRefusal != r {
					t.Fatalf("%q: byte by byte %v %v at %d, at once %v %v", b, splitDone, splitRefusal, i, done, r)
				}
				break
			} else if i == len(b) && (done || r != nil) {
				t.Fatalf("%q: byte by byte it is not whole, at once %v %v", b, done, r)
			}
		}
		if !done {
			return
		}
		ours := p.head
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatalf("accepted %q, net/http says %v", b, err)
		}
		if ours.method != theirs.Method || ours.http10 != (theirs.Proto == "HTTP/1.0") {
			t.Fatalf("%q: %s %v, net/http %s %s", b, ours.method, ours.http10, theirs.Method, theirs.Proto)
		}
		if !strings.EqualFold(ours.authority, theirs.Host) {
			t.Fatalf("%q: host %q, net/http %q", b, ours.authority, theirs.Host)
		}
		if ours.length != theirs.ContentLength {
			t.Fatalf("%q: length %d, net/http %d", b, ours.length, theirs.ContentLength)
		}
		if ours.path != "*" && ours.path != theirs.URL.EscapedPath() && ours.path != theirs.URL.RawPath {
			if u := theirs.URL; u.Path == "" && ours.path == "/" {
				return
			}
			// EscapedPath re-escapes what a path may not hold; compare decoded.
			if got, err := url.PathUnescape(ours.path); err != nil || got != theirs.URL.Path {
				t.Fatalf("%q: path %q, net/http %q", b, ours.path, theirs.URL.Path)
			}
		}
		if ours.query != theirs.URL.RawQuery {
			t.Fatalf("%q: query %q, net/http %q", b, ours.query, theirs.URL.RawQuery)
		}
	})
}

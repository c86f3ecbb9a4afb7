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

// What a request head may be. What it may not be is in malformed_test.go.
func TestHeads(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		if _, err := io.Copy(io.Discard, x.Body); err != nil {
			x.RespondClose(400, nil, 0)
			return
		}
		x.RespondClose(200, nil, 0)
	}}, false)
	long := strings.Repeat("a", 10239)
	for _, tt := range []struct{ name, send string }{
		{"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"one empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"},
		{"Host with port", "GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n"},
		{"IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
		{"absolute form", "GET http://a/x HTTP/1.1\r\nHost: A\r\n\r\n"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"},
		{"longest target", "GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"largest header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 20480-9-5) + "\r\n\r\n"},
		{"absolute form without a path", "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"lone empty header", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"},
		{"tabs in a value", "GET / HTTP/1.1\r\nHost:\ta\t\r\nX: a\tb\r\n\r\n"},
		{"bytes above ASCII in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\xff\r\n\r\n"},
		{"most header lines", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", maxFields) + "\r\n"},
		{"longest method", strings.Repeat("A", maxMethod) + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"chunk sizes in every spelling", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n"},
		{"largest trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("a", 20480-5) + "\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.exchange(tt.send)
			status, _, _ := strings.Cut(got, "\r\n")
			if status != "HTTP/1.1 200 OK" || strings.Count(got, "HTTP/1.") != 1 {
				t.Errorf("got %q", got)
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

// deliberate are the refusals of heads that net/http accepts, and why.
var deliberate = map[*refusal]string{
	badBareLF:      "net/http ends lines at LF alone; others do not",
	badControl:     "net/http lets bare CR and control bytes through in places; others end lines or strings there",
	badFold:        "net/http joins folded lines; others take the rest for a line of its own",
	badRequestLine: "net/http skips empty lines and has no longest method",
	badTarget:      "net/http takes any scheme, user information, fragments and bytes above ASCII",
	badName:        "net/http's reader takes a space in a name, which its server refuses later",
	badVersion:     "net/http takes every HTTP/1.x",
	badHost:        "net/http takes HTTP/1.0 without Host, and hosts that are lists or hold escapes",
	badAuthority:   "net/http lets an absolute target overrule Host",
	badLength:      "net/http takes equal Content-Lengths for one, and any number of digits",
	badCoding:      "net/http takes Transfer-Encoding over HTTP/1.0 for none",
	badFraming:     "net/http lets Transfer-Encoding overrule Content-Length",
	badExpect:      "net/http leaves expectations to its handlers",
	noTunnel:       "no proxy is offered",
	longTarget:     "the listener's limit",
	longHeader:     "the listener's limit",
}

// FuzzHead feeds a head to the parser and to net/http. What we accept,
// net/http must read the same way; what we refuse and it accepts, we refuse
// deliberately. How the bytes arrive makes no difference.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nConnection: close, x\r\n\r\nabc"))
	f.Add([]byte("POST https://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := requestParser{limits: listenerLimits["REGIONAL"], secure: true}
		_, done, r := p.parse(b)
		split := requestParser{limits: p.limits, secure: true}
		for i := range min(len(b), 2000) + 1 {
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
		if r != nil {
			if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); err == nil && deliberate[r] == "" {
				t.Fatalf("net/http accepts %q, we refuse it: %s", b, r.reason)
			}
			return
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

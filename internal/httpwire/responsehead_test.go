package httpwire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func parseResponse(b []byte) (*responseHead, int, bool, *refusal) {
	p := responseParser{limits: responseLimits}
	used, done, r := p.parse(b)
	return &p.head, used, done, r
}

// What a backend's head may be, and where its body ends.
func TestResponseHeads(t *testing.T) {
	for _, tt := range []struct {
		send, method string
		status       int
		body         int64
		close        bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 200, 3, false},
		{"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "GET", 200, 0, false},
		{"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET", 200, 0, false},
		{"HTTP/1.1 299 \xc3\xa9t\xc3\xa9\r\ntransfer-encoding: Chunked\r\n\r\n", "GET", 299, -1, false},
		{"HTTP/1.1 200 OK\r\n\r\n", "GET", 200, untilClose, false},
		{"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 3\r\n\r\n", "GET", 200, 3, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 200, 3, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n", "GET", 200, 3, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", 200, 0, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", 200, 0, false},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "GET", 304, 0, false},
		{"HTTP/1.1 204 No Content\r\n\r\n", "GET", 204, 0, false},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "GET", 103, 0, false},
		{"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", "GET", 999, 0, false},
	} {
		h, used, done, r := parseResponse([]byte(tt.send))
		if r != nil || !done || used != len(tt.send) || h.status != tt.status || h.body(tt.method) != tt.body || h.close != tt.close {
			t.Errorf("%q: %d of %d, %v %v %+v", tt.send, used, len(tt.send), done, r, h)
		}
	}
}

// What is refused, and at which byte.
func TestMalformedResponseHeads(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, send := range []string{
		"h¦ttp/1.1 200 OK", "\r\n¦", "\n¦", "X¦", "HTTP/2¦", "HTTP/1.2 200 OK\r\n¦", "HTTP/1.1\r\n¦", "HTTP/1.1 20\r\n¦", "HTTP/1.1 2000\r\n¦", "HTTP/1.1 099 X\r\n¦", "HTTP/1.1 +20 X\r\n¦", "HTTP/1.1  200\r\n¦", "HTTP/1.1 2x0 OK\r\n¦", "HTTP/1.1\t200 OK\r\n¦",
		"HTTP/1.1 200 O\x00¦K", "HTTP/1.1 200 OK\n¦", "HTTP/1.1 200 O\rK¦", "HTTP/1.1 200 " + strings.Repeat("a", 4<<10-13) + "a¦",
		ok + " ¦X: a", ok + "X: a\r\n ¦b", ok + "X: a\n¦", ok + "X ¦: a", ok + "X\r\n¦", ok + ":¦", ok + "X: \x00¦", ok + "X\x80¦", ok + "\n¦",
		ok + "Content-Length: 3\r\nContent-Length: 3\r\n¦", ok + "Content-Length: 3, 3\r\n¦", ok + "Content-Length: -1\r\n¦", ok + "Content-Length: x\r\n¦", ok + "Content-Length:\r\n¦",
		ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n¦", ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n¦", ok + "Transfer-Encoding: gzip, chunked\r\n¦", ok + "Transfer-Encoding: identity\r\n¦", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n¦",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n¦", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n¦", "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n¦",
		ok + "X: " + strings.Repeat("a", 64<<10-5) + "a¦", ok + strings.Repeat("X: a\r\n", maxFields) + "X: a\r\n¦",
	} {
		until, _, _ := strings.Cut(send, offence)
		if _, _, done, r := parseResponse([]byte(until[:len(until)-1])); done || r != nil {
			t.Errorf("%.60q: %v %v too early", send, done, r)
		}
		if _, _, done, r := parseResponse([]byte(until)); done || r == nil {
			t.Errorf("%.60q: not refused", send)
		}
	}
}

// deliberateOfResponses are the refusals of heads that net/http accepts.
var deliberateOfResponses = map[*refusal]string{
	badBareLF:     "net/http ends lines at LF alone",
	badControl:    "net/http lets bare CR and control bytes through in places",
	badFold:       "net/http joins folded lines",
	badName:       "net/http takes a space in a name",
	badStatusLine: "net/http takes every HTTP/1.x and status codes below 100",
	badLength:     "net/http takes equal Content-Lengths for one, and any number of digits",
	badCoding:     "net/http takes Transfer-Encoding over HTTP/1.0, and where no body follows, for none",
	badFraming:    "net/http lets Transfer-Encoding overrule Content-Length",
	longHeader:    "our limit",
}

// FuzzResponseHead is FuzzHead for responses.
func FuzzResponseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 304 \r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, done, r := parseResponse(b)
		drip := responseParser{limits: responseLimits}
		for i := range min(len(b), 2000) + 1 {
			_, dripDone, dripRefusal := drip.parse(b[:i])
			if dripDone || dripRefusal != nil {
				if dripDone != done || dripRefusal != r {
					t.Fatalf("%q: byte by byte %v %v at %d, at once %v %v", b, dripDone, dripRefusal, i, done, r)
				}
				break
			} else if i == len(b) && (done || r != nil) {
				t.Fatalf("%q: byte by byte it is not whole, at once %v %v", b, done, r)
			}
		}
		if !done && r == nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if r != nil {
			if err == nil && deliberateOfResponses[r] == "" {
				t.Fatalf("net/http accepts %q, we refuse it: %s", b, r.reason)
			}
			return
		}
		if err != nil {
			t.Fatalf("accepted %q, net/http says %v", b, err)
		}
		ours := h.body("GET")
		if ours == untilClose {
			ours = -1
		}
		if h.status != theirs.StatusCode || h.http10 != (theirs.Proto == "HTTP/1.0") || ours != theirs.ContentLength {
			t.Fatalf("%q: %+v, net/http %+v", b, h, theirs)
		}
		if chunked := len(theirs.TransferEncoding) > 0; chunked != (h.body("GET") == -1) {
			t.Fatalf("%q: %+v, net/http chunked %v", b, h, chunked)
		}
	})
}

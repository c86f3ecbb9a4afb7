package httpwire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// canned is a connection from which fixed bytes come.
type canned struct {
	io.Reader
	written bytes.Buffer
}

func (c *canned) Write(p []byte) (int, error)      { return c.written.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) LocalAddr() net.Addr              { return nil }
func (c *canned) RemoteAddr() net.Addr             { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// exchanged is what became of a canned response.
type exchanged struct {
	status   int
	header   Header
	body     string
	trailer  Header
	interims []int
	reusable bool
	err      error
}

func exchangeWith(t testing.TB, method string, in io.Reader) (e exchanged) {
	t.Helper()
	var c Call
	if err := c.Encode(&ClientRequest{Method: method, Authority: "x", Path: "/"}); err != nil {
		t.Fatal(err)
	}
	s := NewClientSocket(&canned{Reader: in}, false)
	c.Send(NewClient(s, s))
	defer c.Stop()
	if e.err = c.ReadHead(func(status int, _ Header) { e.interims = append(e.interims, status) }); e.err != nil {
		return e
	}
	e.status = c.Status()
	for _, f := range c.Header() {
		e.header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	var body []byte
	body, e.err = io.ReadAll(&c)
	e.body, e.trailer, e.reusable = string(body), c.Trailer(), e.err == nil && c.Reusable()
	return e
}

// The same bytes mean the same in pieces of any size.
func TestResponseInPieces(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 20_000) + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 8_000) + "\r\nContent-Length: 5\r\n\r\nhello",
	} {
		whole := exchangeWith(t, "GET", strings.NewReader(answer))
		single := exchangeWith(t, "GET", iotest.OneByteReader(strings.NewReader(answer)))
		for _, e := range []exchanged{whole, single} {
			if e.err != nil || e.status != 200 || e.body != "hello" || !e.reusable || !slices.Equal(e.header, whole.header) || !slices.Equal(e.trailer, whole.trailer) {
				t.Errorf("%.40q: %.200v", answer, e)
			}
		}
	}
}

// What cannot be sent as exactly one request is not sent.
func TestEncodeRefuses(t *testing.T) {
	good := func() *ClientRequest { return &ClientRequest{Method: "GET", Authority: "example.com", Path: "/"} }
	for name, change := range map[string]func(*ClientRequest){
		"no method":                 func(r *ClientRequest) { r.Method = "" },
		"method with a space":       func(r *ClientRequest) { r.Method = "GET /x HTTP/1.1\r\nA: b" },
		"CONNECT":                   func(r *ClientRequest) { r.Method = "CONNECT" },
		"no host":                   func(r *ClientRequest) { r.Authority = "" },
		"host with a line end":      func(r *ClientRequest) { r.Authority = "x\r\nA: b" },
		"host with user":            func(r *ClientRequest) { r.Authority = "u@x" },
		"no path":                   func(r *ClientRequest) { r.Path = "" },
		"relative path":             func(r *ClientRequest) { r.Path = "x" },
		"path with a space":         func(r *ClientRequest) { r.Path = "/ HTTP/1.1" },
		"path with a line end":      func(r *ClientRequest) { r.Path = "/\r\n" },
		"path with a query":         func(r *ClientRequest) { r.Path = "/?" },
		"path with a fragment":      func(r *ClientRequest) { r.Path = "/#" },
		"query with a space":        func(r *ClientRequest) { r.Query = "a b" },
		"query with a bare LF":      func(r *ClientRequest) { r.Query = "a\nb" },
		"query with NUL":            func(r *ClientRequest) { r.Query = "a\x00" },
		"header without a name":     func(r *ClientRequest) { r.Header.Add("", "b") },
		"name with a colon":         func(r *ClientRequest) { r.Header.Add("A:", "b") },
		"name with a space":         func(r *ClientRequest) { r.Header.Add("Content-Length ", "5") },
		"name with a line end":      func(r *ClientRequest) { r.Header.Add("A\r\nB", "b") },
		"name that is not ASCII":    func(r *ClientRequest) { r.Header.Add("\u212aeep-Alive", "b") },
		"value with a line end":     func(r *ClientRequest) { r.Header.Add("A", "b\r\nContent-Length: 5") },
		"value with a bare LF":      func(r *ClientRequest) { r.Header.Add("A", "b\n c") },
		"value with a bare CR":      func(r *ClientRequest) { r.Header.Add("A", "b\rc") },
		"value with NUL":            func(r *ClientRequest) { r.Header.Add("A", "b\x00") },
		"upgrade with a line end":   func(r *ClientRequest) { r.Upgrade = "x\r\nA: b" },
		"upgrade to several things": func(r *ClientRequest) { r.Upgrade = "x, y" },
	} {
		r := good()
		change(r)
		if err := new(Call).Encode(r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(Call).Encode(good()); err != nil {
		t.Error(err)
	}
}

// Whatever a request is made of, the backend reads one request, and that one.
func FuzzEncode(f *testing.F) {
	f.Add("GET", "example.com", "/a", "b=c", "X-A", "b", "body", int64(4))
	f.Add("POST", "[::1]:80", "//x", "", "Transfer-Encoding", "gzip", "body", int64(-1))
	f.Add("PUT", "x", "/%2f", "%", "Connection", "X-A", "", int64(0))
	f.Fuzz(func(t *testing.T, method, host, path, query, name, value, body string, length int64) {
		r := &ClientRequest{Method: method, Authority: host, Path: path, Query: query, Header: Header{{name, value}}, ContentLength: length}
		if length != 0 {
			r.Body = strings.NewReader(body)
		}
		if length > 0 {
			r.ContentLength = int64(len(body))
		}
		var c Call
		if c.Encode(r) != nil {
			return
		}
		conn := &canned{Reader: strings.NewReader("")}
		s := NewClientSocket(conn, false)
		c.Send(NewClient(s, s))
		c.Stop()
		in := bufio.NewReader(bytes.NewReader(conn.written.Bytes()))
		got, err := http.ReadRequest(in)
		if err != nil {
			if _, bad := strconv.Unquote(`"` + path + `"`); bad == nil && !strings.ContainsAny(path+query, "%[") && !strings.HasPrefix(path, "//") {
				t.Fatalf("%q: %v", conn.written.String(), err)
			}
			return // a target that net/url does not take
		}
		content, err := io.ReadAll(got.Body)
		if err != nil || in.Buffered() > 0 {
			t.Fatalf("%q: %v, %d bytes left", conn.written.String(), err, in.Buffered())
		}
		target := path
		if query != "" {
			target += "?" + query
		}
		if got.Method != method || got.Host != host && !strings.HasPrefix(path, "//") || got.RequestURI != target || r.Body != nil && string(content) != body || r.Body == nil && len(content) > 0 {
			t.Fatalf("%q became %s %s of %s with %q", conn.written.String(), got.Method, got.RequestURI, got.Host, content)
		}
		lines := 0
		for n, v := range got.Header {
			if n == "Content-Length" || n == "Host" {
				continue
			}
			if lines += len(v); !HopByHop(name) && (!strings.EqualFold(n, name) || v[0] != strings.Trim(value, " \t")) {
				t.Fatalf("%q has %q: %q", conn.written.String(), n, v)
			}
		}
		if lines > 1 || HopByHop(name) && lines > 0 {
			t.Fatalf("%q has %d lines", conn.written.String(), lines)
		}
	})
}

// refusedResponses are responses that net/http takes and this reader does not,
// by the reason it gives.
var refusedResponses = map[string]string{
	badBareLF.reason:               "a bare LF ends a line to some readers only",
	badControl.reason:              "control bytes, a bare CR above all, end lines or strings elsewhere",
	badFold.reason:                 "folded lines are obsolete, and some take them for new ones",
	badName.reason:                 "net/http drops or takes names that are no tokens",
	badLength.reason:               "net/http takes a length that is repeated",
	badFraming.reason:              "net/http lets Transfer-Encoding win over Content-Length",
	badCoding.reason:               "net/http ignores codings in HTTP/1.0 and where no body may be",
	badStatusLine.reason:           "net/http takes any version and status line that it can split",
	longHeader.reason:              "bounded here",
	"too many interim responses":   "bounded here",
	"interim response with a body": "net/http ignores its length",
	"body where none may be":       "net/http ignores the length of a 204",
	"protocol switched unasked":    "net/http hands the connection over",
	ErrMalformedBody.Error():       "chunk extensions, sizes with blanks or of 16 digits, bare LF; trailers as heads",
}

// Both readers find the same response in the same bytes, or this one refuses
// for one of the reasons above. It never takes what net/http does not.
func FuzzResponse(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\nuntil close",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		f.Add(false, []byte(answer))
	}
	f.Add(true, []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
	f.Fuzz(func(t *testing.T, head bool, answer []byte) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		ours := exchangeWith(t, method, bytes.NewReader(answer))
		if single := exchangeWith(t, method, iotest.OneByteReader(bytes.NewReader(answer))); (single.err == nil) != (ours.err == nil) || single.status != ours.status || single.body != ours.body {
			t.Fatalf("in pieces: %+v, whole: %+v", single, ours)
		}
		in := bufio.NewReader(bytes.NewReader(answer))
		var resp *http.Response
		var err error
		for {
			if resp, err = http.ReadResponse(in, &http.Request{Method: method}); err != nil || resp.StatusCode >= 200 || resp.StatusCode == 101 {
				break
			}
		}
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
		}
		var malformed *ResponseError
		switch {
		case err != nil && ours.err != nil:
		case err != nil:
			t.Fatalf("taken: %+v; net/http says %v", ours, err)
		case ours.err != nil:
			reason := ours.err.Error()
			if errors.As(ours.err, &malformed) {
				reason = malformed.Reason
			}
			if refusedResponses[reason] == "" {
				t.Fatalf("refused: %v; net/http says %d %q", ours.err, resp.StatusCode, body)
			}
		default:
			if resp.StatusCode != ours.status || string(body) != ours.body {
				t.Fatalf("%d %q; net/http says %d %q", ours.status, ours.body, resp.StatusCode, body)
			}
			if ours.reusable && (in.Buffered() > 0 || resp.Close) {
				t.Fatalf("used again with %d bytes left, close %v", in.Buffered(), resp.Close)
			}
			for _, f := range ours.header {
				if !slices.Contains(resp.Header.Values(f.Name), f.Value) {
					t.Fatalf("%s: %q; net/http says %q", f.Name, f.Value, resp.Header.Values(f.Name))
				}
			}
		}
	})
}

// clientPair is a client and its backend, over TLS of some version or none.
func clientPair(t testing.TB, version uint16) (*Client, net.Conn) {
	t.Helper()
	near, far := newPair(t)
	s := NewClientSocket(near, version != 0)
	if version == 0 {
		c := NewClient(s, s)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		return c, far
	}
	cert, _ := testCertificate(t)
	backend := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version})
	handshaken := make(chan error, 1)
	go func() { handshaken <- backend.Handshake() }()
	conn := tls.Client(s, &tls.Config{InsecureSkipVerify: true})
	if err := errors.Join(conn.Handshake(), <-handshaken); err != nil {
		t.Fatal(err)
	}
	c := NewClient(conn, s)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c, backend
}

// A connection is quiet while its backend says nothing; tickets do not count.
// Anything else shows, wherever it is held: in the kernel or by TLS.
func TestQuiet(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		for name, test := range map[string]struct {
			early, answer string
			late          func(backend net.Conn)
			reusable      bool
			quiet         bool
		}{
			"nothing else":         {answer: answer, reusable: true, quiet: true},
			"closed later":         {answer: answer, late: func(c net.Conn) { c.Close() }, reusable: true},
			"answer later":         {answer: answer, late: func(c net.Conn) { io.WriteString(c, answer) }, reusable: true},
			"one byte later":       {answer: answer, late: func(c net.Conn) { io.WriteString(c, "x") }, reusable: true},
			"two answers":          {answer: answer + answer},
			"surplus, not read":    {answer: answer + strings.Repeat("x", 20_000)},
			"half a record at end": {answer: answer, late: halfRecord, reusable: true},
		} {
			c, backend := clientPair(t, version)
			if c.Early() {
				t.Errorf("%x, %s: early", version, name)
			}
			var call Call
			if err := call.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/"}); err != nil {
				t.Fatal(err)
			}
			call.Send(c)
			go func() { // the request leaves with ReadHead
				backend.Read(make([]byte, 100))
				io.WriteString(backend, test.answer)
			}()
			if err := call.ReadHead(nil); err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 2)
			if n, err := io.ReadFull(&call, body); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			if got := call.Reusable(); got != test.reusable {
				t.Errorf("%x, %s: reusable %v", version, name, got)
			} else if got {
				if test.late != nil {
					test.late(backend)
				}
				if got := c.Quiet(); got != test.quiet {
					t.Errorf("%x, %s: quiet %v", version, name, got)
				}
			}
			call.Stop()
		}
		c, backend := clientPair(t, version)
		io.WriteString(backend, answer)
		if !c.Early() {
			t.Errorf("%x: an answer ahead of the request went unseen", version)
		}
	}
}

// halfRecord sends the beginning of a TLS record, or of an answer.
func halfRecord(c net.Conn) {
	if s, ok := c.(*tls.Conn); ok {
		s.NetConn().Write([]byte{23, 3, 3, 0, 50, 1, 2, 3})
		return
	}
	io.WriteString(c, "HTT")
}

// A body that ends with the connection is whole only if TLS says so.
func TestTruncated(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, whole := range []bool{true, false} {
			c, backend := clientPair(t, version)
			var call Call
			call.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/"})
			call.Send(c)
			io.WriteString(backend, "HTTP/1.1 200 OK\r\n\r\nhalf")
			if whole {
				backend.Close()
			} else {
				backend.(*tls.Conn).NetConn().Close()
			}
			err := call.ReadHead(nil)
			if err == nil {
				_, err = io.ReadAll(&call)
			}
			if whole && err != nil || !whole && err == nil {
				t.Errorf("%x, close_notify %v: %v", version, whole, err)
			}
			if err == nil && call.Reusable() {
				t.Error("used again after it closed")
			}
			call.Stop()
		}
	}
}

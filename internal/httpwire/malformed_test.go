package httpwire

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// offence marks, in the rows below, where the byte before it is the first that
// cannot be right: the answer comes at that byte, whatever follows it.
const offence = "¦"

// malformed is a request that is refused, by what is sent.
type malformed struct {
	send string
	want int // 0: 400
}

const (
	line     = "GET / HTTP/1.1\r\n"
	hostLine = "Host: a\r\n"
	post     = "POST / HTTP/1.1\r\n" + hostLine
	chunk    = post + "Transfer-Encoding: chunked\r\n\r\n"
)

// malformedHeads are refused before any handler runs.
var malformedHeads = []struct {
	what   string
	before string // goes ahead of each row
	rows   []malformed
}{
	{"before the request line", "", []malformed{
		{" ¦" + line, 0}, {"\t¦" + line, 0}, {"\n¦" + line, 0}, {"\r\n\n¦" + line, 0}, {"\r\n\r\n¦" + line + hostLine, 0},
		{"\rG¦ET", 0}, {"\r\r¦", 0}, {"\x00¦", 0}, {"\x80¦", 0}, {"\xef¦\xbb\xbf" + line, 0},
		{"\x16¦\x03\x01\x00\x05hello", 0}, // TLS on the plain port
		{"\x05¦\x01\x00", 0},              // SOCKS
	}},
	{"method", "", []malformed{
		{"GE(¦T / HTTP/1.1", 0}, {"GE\x7f¦T", 0}, {"GET\t¦/ HTTP/1.1", 0}, {"GET\x00¦ /", 0}, {"GE\xc3¦\x89T /", 0}, {"{¦}", 0}, {"\"¦GET\"", 0},
		{"GET\r\n¦" + hostLine, 0}, {"GET:¦ a", 0}, {"GET\n¦", 0}, {"G\rE¦T", 0}, {strings.Repeat("A", 33) + "¦ / HTTP/1.1", 0},
		{"CONNECT a:443 HTTP/1.1\r\n¦Host: a:443\r\n\r\n", 501},
	}},
	{"target", "", []malformed{
		{"GET  ¦/ HTTP/1.1", 0}, {"GET /a b¦ HTTP/1.1", 0}, {"GET /a\t¦b HTTP/1.1", 0}, {"GET /a#¦b HTTP/1.1", 0}, {"GET /\x00¦", 0}, {"GET /\x7f¦", 0},
		{"GET /\xc3¦\xa9 HTTP/1.1", 0}, {"GET /a\rb¦", 0}, {"GET /a\n¦", 0},
		{"GET a HTTP/1.1\r\n¦" + hostLine, 0}, {"GET ?a HTTP/1.1\r\n¦", 0}, {"GET * HTTP/1.1\r\n¦", 0}, {"OPTIONS *a HTTP/1.1\r\n¦", 0}, {"GET \\a HTTP/1.1\r\n¦", 0},
		{"GET /% HTTP/1.1\r\n¦", 0}, {"GET /%2 HTTP/1.1\r\n¦", 0}, {"GET /%zz HTTP/1.1\r\n¦", 0}, {"GET /%-1 HTTP/1.1\r\n¦", 0}, {"GET /%%41 HTTP/1.1\r\n¦", 0},
		{"GET https://a/ HTTP/1.1\r\n¦", 0}, {"GET ftp://a/ HTTP/1.1\r\n¦", 0}, {"GET http:a/ HTTP/1.1\r\n¦", 0}, {"GET http:/a/ HTTP/1.1\r\n¦", 0}, {"GET http:///a HTTP/1.1\r\n¦", 0},
		{"GET http://u@a/ HTTP/1.1\r\n¦", 0}, {"GET http://a,b/ HTTP/1.1\r\n¦", 0}, {"GET http://[::1/ HTTP/1.1\r\n¦", 0}, {"GET http://a:/ HTTP/1.1\r\n¦", 0}, {"GET http://a:x/ HTTP/1.1\r\n¦", 0},
		{"GET a:80 HTTP/1.1\r\n¦", 0},
		{"GET /" + strings.Repeat("a", 10239) + "a¦ HTTP/1.1\r\n", 414}, {"GET /?" + strings.Repeat("a", 10238) + "a¦", 414},
	}},
	{"version", "", []malformed{
		{"GET /\r\n¦", 0}, {"GET / \r\n¦", 0}, {"GET / X¦", 0}, {"GET / h¦ttp/1.1\r\n", 0}, {"GET / HTTP/1.1 ¦\r\n", 0}, {"GET /  ¦HTTP/1.1\r\n", 0}, {"GET / HTTP ¦/1.1\r\n", 0},
		{"GET / HTTP/1\r\n¦", 0}, {"GET / HTTP/1.\r\n¦", 0}, {"GET / HTTP/.1\r\n¦", 0}, {"GET / HTTP/11\r\n¦", 0}, {"GET / HTTP/1.a\r\n¦", 0}, {"GET / HTTP/1.10¦\r\n", 0}, {"GET / HTTP/01.1¦\r\n", 0},
		{"GET / HTTP/1.1\n¦" + hostLine, 0}, {"GET / HTTP/1.1\r" + "H¦ost", 0},
		{"GET / HTTP/0.9\r\n¦", 505}, {"GET / HTTP/1.2\r\n¦", 505}, {"GET / HTTP/2.0\r\n¦", 505}, {"GET / HTTP/3.0\r\n¦", 505}, {"PRI * HTTP/2.0\r\n¦\r\nSM\r\n\r\n", 505},
	}},
	{"lines", line, []malformed{
		{" ¦Host: a\r\n", 0}, {"\t¦Host: a\r\n", 0}, {hostLine + " ¦folded", 0}, {hostLine + "X: a\r\n ¦b\r\n", 0}, {hostLine + "X: a\r\n\t¦b\r\n", 0}, {hostLine + "X:\r\n ¦b\r\n", 0},
		{hostLine + "X: a\n¦", 0}, {hostLine + "\n¦", 0}, {hostLine + "\rX¦", 0}, {hostLine + "\r\r¦\n", 0}, {hostLine + "X: a\r\r¦\n", 0}, {hostLine + "X: a\rb¦\r\n", 0}, {hostLine + "X: a\n¦ b", 0}, {"Host: a\n¦\r\n", 0},
	}},
	{"header names", line + hostLine, []malformed{
		{":¦ x\r\n", 0}, {"X\r\n¦", 0}, {"X ¦: x\r\n", 0}, {"X\t¦: x\r\n", 0}, {"Content-Length ¦: 3\r\n", 0}, {"Transfer-Encoding ¦: chunked\r\n", 0},
		{"(¦X: x", 0}, {"X)¦: x", 0}, {"X<¦: x", 0}, {"X>¦: x", 0}, {"X@¦: x", 0}, {"X,¦: x", 0}, {"X;¦: x", 0}, {"X\\¦: x", 0}, {"X\"¦: x", 0}, {"X/¦: x", 0}, {"X[¦: x", 0}, {"X]¦: x", 0},
		{"X?¦: x", 0}, {"X=¦: x", 0}, {"X{¦: x", 0}, {"X}¦: x", 0}, {"X\x80¦: x", 0}, {"X\xc3¦\xa9: x", 0}, {"X\x00¦: x", 0}, {"X\x7f¦: x", 0}, {"GET ¦/smuggled HTTP/1.1\r\n", 0},
	}},
	{"header values", line + hostLine, []malformed{
		{"X: a\x00¦b", 0}, {"X: \x01¦", 0}, {"X: \x08¦", 0}, {"X: \x0b¦", 0}, {"X: \x0c¦", 0}, {"X: \x1b¦[31m", 0}, {"X: \x1f¦", 0}, {"X: \x7f¦", 0}, {"X:\x00¦", 0},
	}},
	{"Host", line, []malformed{
		{"\r\n¦", 0}, {"X: a\r\n\r\n¦", 0}, {"Host:\r\n¦", 0}, {"Host: \t \r\n¦", 0}, {"Host: a\r\nHost: a\r\n¦", 0}, {"Host: a\r\nhost: b\r\n¦", 0}, {"Host: a\r\nX: y\r\nHOST: a\r\n¦", 0},
		{"Host: a b\r\n¦", 0}, {"Host: a,b\r\n¦", 0}, {"Host: a, a\r\n¦", 0}, {"Host: u@a\r\n¦", 0}, {"Host: u:p@a\r\n¦", 0}, {"Host: a/b\r\n¦", 0}, {"Host: a?b\r\n¦", 0}, {"Host: a#b\r\n¦", 0}, {"Host: a\\b\r\n¦", 0},
		{"Host: a%41\r\n¦", 0}, {"Host: \"a\"\r\n¦", 0}, {"Host: \xc3\xa9\r\n¦", 0}, {"Host: http://a\r\n¦", 0}, {"Host: a:\r\n¦", 0}, {"Host: a:x\r\n¦", 0}, {"Host: a:-1\r\n¦", 0}, {"Host: a:123456\r\n¦", 0}, {"Host: a:80:80\r\n¦", 0},
		{"Host: :80\r\n¦", 0}, {"Host: ::1\r\n¦", 0}, {"Host: [::1\r\n¦", 0}, {"Host: [::1]x\r\n¦", 0}, {"Host: [::g]\r\n¦", 0}, {"Host: []\r\n¦", 0}, {"Host: [::1]:\r\n¦", 0}, {"Host: [::1%25lo]\r\n¦", 0}, {"Host: a;b\r\n¦", 0},
		{"Host: " + strings.Repeat("a", 262) + "\r\n¦", 0},
	}},
	{"Host and target", "", []malformed{
		{"GET / HTTP/1.0\r\n\r\n¦", 0}, {"GET http://b/ HTTP/1.1\r\nHost: a\r\n¦", 0}, {"GET http://a/ HTTP/1.1\r\nHost: a:80\r\n¦", 0}, {"GET http://a:81/ HTTP/1.1\r\nHost: a:80\r\n¦", 0},
		{"GET http://a/ HTTP/1.1\r\nHost: a.\r\n¦", 0}, {"GET http://a/ HTTP/1.1\r\n\r\n¦", 0}, {"GET http://a HTTP/1.1\r\nHost: b\r\n¦", 0}, {"OPTIONS http://a HTTP/1.0\r\nHost: b\r\n¦", 0},
	}},
	{"Content-Length", post, []malformed{
		{"Content-Length:\r\n¦", 0}, {"Content-Length: x\r\n¦", 0}, {"Content-Length: +3\r\n¦", 0}, {"Content-Length: -3\r\n¦", 0}, {"Content-Length: 3 3\r\n¦", 0}, {"Content-Length: 3,3\r\n¦", 0}, {"Content-Length: 3, 4\r\n¦", 0}, {"Content-Length: 3,\r\n¦", 0},
		{"Content-Length: 0x3\r\n¦", 0}, {"Content-Length: 3.0\r\n¦", 0}, {"Content-Length: 3e0\r\n¦", 0}, {"Content-Length: 3_0\r\n¦", 0}, {"Content-Length: \"3\"\r\n¦", 0}, {"Content-Length: 3;\r\n¦", 0}, {"Content-Length: \xd9\xa3\r\n¦", 0}, {"Content-Length: 3\x00¦\r\n", 0},
		{"Content-Length: 9999999999999999999\r\n¦", 0}, {"Content-Length: 18446744073709551619\r\n¦", 0},
		{"Content-Length: 3\r\nContent-Length: 3\r\n¦\r\nabc", 0}, {"Content-Length: 3\r\nContent-Length: 4\r\n¦\r\nabc", 0}, {"Content-Length: 3\r\ncontent-length: 0\r\n¦\r\nabc", 0}, {"Content-Length: 3\r\n ¦4\r\n", 0},
	}},
	{"Transfer-Encoding", post, []malformed{
		{"Transfer-Encoding:\r\n¦", 0}, {"Transfer-Encoding: gzip\r\n¦", 0}, {"Transfer-Encoding: identity\r\n¦", 0}, {"Transfer-Encoding: gzip, chunked\r\n¦", 0}, {"Transfer-Encoding: chunked, gzip\r\n¦", 0}, {"Transfer-Encoding: chunked, chunked\r\n¦", 0},
		{"Transfer-Encoding: chunked,\r\n¦", 0}, {"Transfer-Encoding: ,chunked\r\n¦", 0}, {"Transfer-Encoding: xchunked\r\n¦", 0}, {"Transfer-Encoding: chunkedx\r\n¦", 0}, {"Transfer-Encoding: \"chunked\"\r\n¦", 0}, {"Transfer-Encoding: 'chunked'\r\n¦", 0}, {"Transfer-Encoding: chunked;q=1\r\n¦", 0}, {"Transfer-Encoding: chunked chunked\r\n¦", 0},
		{"Transfer-Encoding: chun\xe2\x84\xaaed\r\n¦", 0}, {"Transfer-Encoding: \x0b¦chunked\r\n", 0}, {"Transfer-Encoding: chunked\x00¦\r\n", 0}, {"Transfer-Encoding:\r\n¦ chunked\r\n", 0}, {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n¦\r\n0\r\n\r\n", 0},
		{"Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n¦\r\n0\r\n\r\n", 0}, {"Transfer-Encoding: identity\r\n¦Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		{"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n¦\r\n0\r\n\r\n", 0}, {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n¦\r\n0\r\n\r\n", 0}, {"Transfer-Encoding: chunked\r\ncontent-length: 0\r\n¦\r\n0\r\n\r\n", 0}, {"Content-Length: 0\r\nX: y\r\nTRANSFER-ENCODING: chunked\r\n¦\r\n0\r\n\r\n", 0},
	}},
	{"HTTP/1.0", "POST / HTTP/1.0\r\n" + hostLine, []malformed{
		{"Transfer-Encoding: chunked\r\n¦\r\n0\r\n\r\n", 0}, {"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n¦", 0}, {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n¦", 0},
	}},
	{"Expect", post, []malformed{
		{"Expect: miracles\r\n¦", 417}, {"Expect:\r\n¦", 417}, {"Expect: 100-continue, x\r\n¦", 417}, {"Expect: 100-continue\r\nExpect: 100-continue\r\n¦", 417}, {"Expect: 100\r\n¦", 417},
	}},
	{"sizes", line + hostLine, []malformed{
		{"X: " + strings.Repeat("a", 20480-9-5) + "a¦\r\n", 431}, {"X: b\r\nY: " + strings.Repeat("a", 20480-9-6-5) + "a¦", 431}, {strings.Repeat("a", 20480-9-2) + "a¦", 431},
		{strings.Repeat("X: a\r\n", maxFields) + "X: a\r\n¦", 431},
	}},
}

// malformedChunks are chunked bodies that break: the handler sees what came
// before the offence, and then ErrMalformedBody.
var malformedChunks = []string{
	"\r¦\n", "\n¦", " ¦3\r\nabc", "\t¦3", "3 ¦\r\nabc", "3\t¦", "3;¦x=y\r\nabc", ";¦", "3;¦\r\n", "3\n¦abc", "3\rX¦", "3\r\r¦", "0x¦3\r\n", "-¦3", "+¦3", "g¦", "\x00¦", "3\x00¦", "\"¦3\"", "3,¦", ".¦", "3.¦0", "\xd9¦\xa3", "\x7f¦", "3_¦0", "#¦",
	"1234567890abcdef¦\r\n", "0000000000000003¦\r\n", "8000000000000000¦\r\n", "ffffffffffffffff¦\r\n",
	"3\r\nabcX¦", "3\r\nabcd¦\r\n", "3\r\nabc\n¦", "3\r\nabc\rX¦", "3\r\nabc\r\r¦", "3\r\nabc0¦\r\n\r\n", "3\r\nabc\r\n\r¦\n", "3\r\nabc\r\n ¦",
	"0 ¦\r\n\r\n", "0;¦\r\n\r\n", "0\n¦\r\n", "0\r\n\n¦", "0\r\n\rX¦", "0\r\n ¦folded\r\n\r\n", "0\r\nX: a\r\n ¦b\r\n\r\n", "0\r\nX ¦: y\r\n\r\n", "0\r\n:¦ y\r\n", "0\r\nX\r\n¦\r\n", "0\r\nX: \x00¦", "0\r\nX: a\n¦", "0\r\nX: a\rb¦", "0\r\n(¦: y", "0\r\nGET ¦/smuggled HTTP/1.1\r\n",
	"0\r\nX: " + strings.Repeat("a", 20480-5) + "a¦",
}

func TestMalformedTableIsWhole(t *testing.T) {
	n := len(malformedChunks)
	for _, group := range malformedHeads {
		n += len(group.rows)
	}
	if n < 150 {
		t.Errorf("%d cases", n)
	}
	t.Logf("%d cases", n)
}

// eachMalformed calls f with each head: what is sent up to the offence, and all.
func eachMalformed(f func(what, until, all string, status int)) {
	for _, group := range malformedHeads {
		for i, row := range group.rows {
			until, rest, ok := strings.Cut(row.send, offence)
			if !ok {
				panic(group.what + ": no offence in " + row.send)
			}
			if row.want == 0 {
				row.want = 400
			}
			f(fmt.Sprintf("%s/%d", group.what, i), group.before+until, group.before+until+rest, row.want)
		}
	}
}

// The parser refuses at the very byte, however the bytes arrive.
func TestMalformedHeadOffence(t *testing.T) {
	eachMalformed(func(what, until, all string, status int) {
		parse := func(b []byte) *refusal {
			p := requestParser{limits: listenerLimits["HTTP"]}
			_, done, r := p.parse(b)
			if done {
				t.Errorf("%s: %.80q is accepted", what, b)
			}
			return r
		}
		if r := parse([]byte(until[:len(until)-1])); r != nil {
			t.Errorf("%s: %.80q is refused before %q: %s", what, all, until[len(until)-1], r.reason)
		}
		at, later := parse([]byte(until)), parse([]byte(all))
		if at == nil || later == nil || at.status != status || later.status != status {
			t.Errorf("%s: %.80q: %v, and with what follows %v, want %d", what, all, at, later, status)
			return
		}
		// Split in two anywhere, and byte by byte.
		b := []byte(until)
		drip := requestParser{limits: listenerLimits["HTTP"]}
		for i := 1; i <= len(b); i++ {
			if len(b) < 1000 && i < len(b) {
				two := requestParser{limits: listenerLimits["HTTP"]}
				if _, _, r := two.parse(b[:i]); r != nil {
					t.Errorf("%s: refused at %d of %d", what, i, len(b))
				}
				if _, _, r := two.parse(b); r == nil || r.status != status {
					t.Errorf("%s: split at %d: %v", what, i, r)
				}
			}
			if _, _, r := drip.parse(b[:i]); (r != nil) != (i == len(b)) {
				t.Errorf("%s: byte by byte: %v at %d of %d", what, r, i, len(b))
			}
		}
	})
}

// refusalBytes is the whole answer to a refused request, Date excepted.
func refusalBytes(status int) string {
	answer := map[int][2]string{
		400: {"400 Bad Request", `BadRequestException {"message":"Bad Request"}`},
		414: {"414 URI Too Long", `RequestTooLargeException {"message":"Request URI too long"}`},
		417: {"417 Expectation Failed", `BadRequestException {"message":"Expectation Failed"}`},
		431: {"431 Request Header Fields Too Large", `RequestTooLargeException {"message":"Request header fields too large"}`},
		501: {"501 Not Implemented", `BadRequestException {"message":"Not Implemented"}`},
		505: {"505 HTTP Version Not Supported", `BadRequestException {"message":"HTTP version not supported"}`},
	}[status]
	kind, body, _ := strings.Cut(answer[1], " ")
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nx-amzn-ErrorType: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", answer[0], kind, len(body), body)
}

// withoutDate takes the Date lines out of what a connection answered.
func withoutDate(s string) string {
	var out []string
	for _, l := range strings.SplitAfter(s, "\r\n") {
		if !strings.HasPrefix(l, "Date: ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "")
}

// smuggled follows each malformed request. No handler may ever see it.
const smuggled = "\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// On the wire each gets its exact answer at the offence, and then close. No
// handler sees it, nor what follows, with a good request before it or without.
func TestMalformedHeads(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	h := newHost(t, Options{Handler: func(x *Exchange) {
		mu.Lock()
		seen = append(seen, strings.Clone(x.RawPath))
		mu.Unlock()
		x.Respond(200, nil, 2)
		io.WriteString(x, "ok")
	}}, false)
	const good, fine = "GET /good HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	eachMalformed(func(what, until, all string, status int) {
		for _, tt := range []struct {
			how   string
			parts []string
			want  string
			seen  int
		}{
			{"up to the offence", []string{until}, refusalBytes(status), 0},
			{"with a request behind it", []string{all + smuggled}, refusalBytes(status), 0},
			{"after a good one", []string{good + all + smuggled}, fine + refusalBytes(status), 1},
			{"in two", []string{until[:len(until)-1], all[len(until)-1:] + smuggled}, refusalBytes(status), 0},
		} {
			if tt.how == "after a good one" && strings.HasPrefix(what, "before the request line") {
				continue // there it would be the first empty line
			}
			seen = nil
			if got := withoutDate(h.sendParts(tt.parts...)); got != tt.want {
				t.Errorf("%s, %s: %.100q\ngot  %q\nwant %q", what, tt.how, all, got, tt.want)
			}
			mu.Lock()
			if len(seen) != tt.seen || len(seen) == 1 && seen[0] != "/good" {
				t.Errorf("%s, %s: %.100q: the handler saw %q", what, tt.how, all, seen)
			}
			mu.Unlock()
		}
	})
}

// sendParts sends the parts one packet each and returns what comes back.
func (h *host) sendParts(parts ...string) string {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	for _, p := range parts {
		io.WriteString(c, p)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		h.t.Errorf("%.100q: %v after %q", parts, err, b)
	}
	return string(b)
}

// A broken chunked body: the handler sees the data ahead of the offence and an
// error, no request follows, and the connection closes after its answer.
func TestMalformedChunks(t *testing.T) {
	var mu sync.Mutex
	var paths []string
	var data string
	var failed error
	h := newHost(t, Options{Handler: func(x *Exchange) {
		b, err := io.ReadAll(x.Body)
		mu.Lock()
		paths, data, failed = append(paths, strings.Clone(x.RawPath)), string(b), err
		mu.Unlock()
		x.Respond(400, nil, 0)
	}}, false)
	const want = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	for _, row := range malformedChunks {
		until, rest, ok := strings.Cut(row, offence)
		if !ok {
			t.Fatalf("no offence in %q", row)
		}
		// The decoder: at the very byte, however the bytes arrive.
		for step := range []int{1, 2, len(until)} {
			c := chunkReader{maxTrailer: listenerLimits["HTTP"].header}
			n, err := feed(&c, []byte(until), step+1)
			if err != ErrMalformedBody || n != len(until)-1 {
				t.Errorf("%.60q in steps of %d: %v at %d of %d", row, step+1, err, n, len(until))
			}
		}
		var wantData string
		if strings.HasPrefix(until, "3\r\nabc") {
			wantData = "abc"
		}
		for _, send := range [][]string{{chunk + until}, {chunk + until + rest + smuggled}, {chunk + until[:len(until)-1], until[len(until)-1:] + rest + smuggled}} {
			paths = nil
			if got := withoutDate(h.sendParts(send...)); got != want {
				t.Errorf("%.60q: got %q", row, got)
			}
			mu.Lock()
			if len(paths) != 1 || paths[0] != "/" || data != wantData || failed != ErrMalformedBody {
				t.Errorf("%.60q: the handler saw %q, data %q, %v", row, paths, data, failed)
			}
			mu.Unlock()
		}
	}
}

// feed gives b to c in pieces and says where it ended.
func feed(c *chunkReader, b []byte, step int) (n int, err error) {
	for n < len(b) {
		_, used, err := c.decode(b[n:min(n+step, len(b))], 1<<20)
		n += used
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

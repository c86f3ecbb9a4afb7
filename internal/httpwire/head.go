package httpwire

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refusal is why a request ends before the pipeline sees it.
type refusal struct {
	status int
	reason string // for the process log; never the client's own bytes
}

// What is refused, and how. Everything that two parsers could read differently
// is a 400 (threat model P9); the others say what the sender could change.
var (
	badBareLF      = &refusal{http.StatusBadRequest, "line does not end in CR LF"}
	badControl     = &refusal{http.StatusBadRequest, "control byte in the head"}
	badRequestLine = &refusal{http.StatusBadRequest, "malformed request line"}
	badTarget      = &refusal{http.StatusBadRequest, "malformed request target"}
	badFold        = &refusal{http.StatusBadRequest, "folded header line"}
	badName        = &refusal{http.StatusBadRequest, "malformed header name"}
	badHost        = &refusal{http.StatusBadRequest, "missing, repeated or malformed Host"}
	badAuthority   = &refusal{http.StatusBadRequest, "request target and Host disagree"}
	badLength      = &refusal{http.StatusBadRequest, "malformed or repeated Content-Length"}
	badCoding      = &refusal{http.StatusBadRequest, "ambiguous Transfer-Encoding"}
	badFraming     = &refusal{http.StatusBadRequest, "both Content-Length and Transfer-Encoding"}
	unknownCoding  = &refusal{http.StatusNotImplemented, "unknown transfer coding"}
	noTunnel       = &refusal{http.StatusNotImplemented, "CONNECT"}
	badVersion     = &refusal{http.StatusHTTPVersionNotSupported, "unknown HTTP version"}
	badExpect      = &refusal{http.StatusExpectationFailed, "unknown expectation"}
	longTarget     = &refusal{http.StatusRequestURITooLong, "request target too long"}
	longHeader     = &refusal{http.StatusRequestHeaderFieldsTooLarge, "header too large"}
)

// limits bound one request head, in bytes.
type limits struct {
	target int // request target
	header int // all header lines, line ends included
}

// maxMethod is the longest request method in bytes.
const maxMethod = 32

// listenerLimits are what a listener type accepts.
// Source: API Gateway quotas for REST APIs (URL length, header total).
var listenerLimits = map[string]limits{
	"REGIONAL": {target: 10240, header: 20480},
	"EDGE":     {target: 8192, header: 20480},
	"PRIVATE":  {target: 8192, header: 8000},
	"HTTP":     {target: 10240, header: 20480},
}

// head is a parsed HTTP/1 request head: the one reading of it that framing,
// routing, logs and the forwarded request share.
type head struct {
	seq      uint64 // position on its connection, from 1
	received time.Time

	proto     string
	method    string
	authority string
	path      string
	query     string
	header    Header

	length    int64 // of the body; -1: chunked
	close     bool  // Connection: close
	keepAlive bool  // Connection: keep-alive, which HTTP/1.0 needs
	expect    bool  // Expect: 100-continue

	refusal *refusal // not nil: answer this and close
}

// headParser reads a head line by line, so that what is wrong is refused at
// the line that holds it and nothing is buffered twice.
type headParser struct {
	limits limits
	secure bool // over TLS: decides the scheme an absolute target may have

	h            *head
	headerBytes  int
	absolute     string // authority of an absolute-form target
	hosts        int
	lengths      int
	codings      int
	coding       string
	expectations int
}

// need is the longest line that may still come, line end excluded.
func (p *headParser) need() int {
	if p.h == nil {
		return p.limits.target + 64 // method and version
	}
	return p.limits.header - p.headerBytes - 2
}

// tooLong is the refusal of a line above need.
func (p *headParser) tooLong() *refusal {
	if p.h == nil {
		return longTarget
	}
	return longHeader
}

// line takes one line without its CR LF. done says that it was the empty line
// that ends the head.
func (p *headParser) line(line []byte) (done bool, r *refusal) {
	if p.h == nil {
		return false, p.requestLine(string(line))
	}
	if len(line) == 0 {
		return true, p.finish()
	}
	p.headerBytes += len(line) + 2
	if p.headerBytes > p.limits.header {
		return false, longHeader
	}
	return false, p.field(string(line))
}

func (p *headParser) requestLine(line string) *refusal {
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !isToken(method) || len(method) > maxMethod || target == "":
		return badRequestLine
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		if strings.HasPrefix(version, "HTTP/") && !strings.Contains(version, " ") {
			return badVersion
		}
		return badRequestLine
	case len(target) > p.limits.target:
		return longTarget
	case method == http.MethodConnect:
		return noTunnel
	}
	authority, path, query, ok := splitTarget(method, target, p.secure)
	if !ok {
		return badTarget
	}
	p.absolute = authority
	p.h = &head{proto: version, method: method, path: path, query: query, header: make(Header, 0, 12)}
	return nil
}

func (p *headParser) field(line string) *refusal {
	if line[0] == ' ' || line[0] == '\t' {
		return badFold
	}
	name, value, r := splitField(line)
	if r != nil {
		return r
	}
	h := p.h
	switch {
	case strings.EqualFold(name, "Host"):
		p.hosts++
		h.authority = value
		return nil
	case strings.EqualFold(name, "Content-Length"):
		p.lengths++
		n, ok := parseLength(value)
		if !ok || p.lengths > 1 {
			return badLength
		}
		h.length = n
		return nil
	case strings.EqualFold(name, "Transfer-Encoding"):
		p.codings++
		p.coding = value
		return nil
	case strings.EqualFold(name, "Expect"):
		p.expectations++
		if p.expectations > 1 || !strings.EqualFold(value, "100-continue") {
			return badExpect
		}
		h.expect = h.proto == "HTTP/1.1"
		return nil
	case strings.EqualFold(name, "Trailer"):
		return nil // trailers are judged and dropped, so nothing announces them
	case strings.EqualFold(name, "Connection"):
		for token := range strings.SplitSeq(value, ",") {
			token = strings.Trim(token, " \t")
			h.close = h.close || strings.EqualFold(token, "close")
			h.keepAlive = h.keepAlive || strings.EqualFold(token, "keep-alive")
		}
	}
	h.header = append(h.header, Field{name, value})
	return nil
}

// finish judges what only the whole head shows.
func (p *headParser) finish() *refusal {
	h := p.h
	switch {
	case p.hosts != 1 || !validAuthority(h.authority):
		return badHost // HTTP/1.0 too: nothing could be routed without it
	case p.absolute != "" && !strings.EqualFold(p.absolute, h.authority):
		return badAuthority
	case p.codings > 0 && p.lengths > 0:
		return badFraming
	case p.codings > 1, p.codings > 0 && h.proto == "HTTP/1.0":
		return badCoding
	case p.codings == 1 && !strings.EqualFold(p.coding, "chunked"):
		if strings.Contains(strings.ToLower(p.coding), "chunked") {
			return badCoding // "chunked, x" and its kin: where the body ends is anyone's guess
		}
		return unknownCoding
	case p.codings == 1:
		h.length = -1
	}
	return nil
}

// appendHead appends the head that net/http gets to read: made from the parsed
// one, holding only what decides framing and persistence. The target is the
// head's number, by which the handler finds the parsed head again.
func (h *head) appendTo(b []byte) []byte {
	b = append(b, h.method...)
	b = append(b, " /"...)
	b = strconv.AppendUint(b, h.seq, 10)
	b = append(b, ' ')
	b = append(b, h.proto...)
	b = append(b, "\r\nHost: h\r\n"...)
	switch {
	case h.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case h.length > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, h.length, 10)
		b = append(b, "\r\n"...)
	}
	if h.expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	if h.close {
		b = append(b, "Connection: close\r\n"...)
	} else if h.keepAlive {
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// cutLine takes one CR LF line off b. n is what it used, 0 when b holds no
// whole line yet.
func cutLine(b []byte) (line []byte, n int, r *refusal) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, 0, nil
	}
	if i == 0 || b[i-1] != '\r' {
		return nil, 0, badBareLF
	}
	line = b[:i-1]
	for _, c := range line {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return nil, 0, badControl // a bare CR among them
		}
	}
	return line, i + 1, nil
}

func splitField(line string) (name, value string, r *refusal) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isToken(name) { // white space before the colon is no token byte
		return "", "", badName
	}
	return name, strings.Trim(value, " \t"), nil
}

// splitTarget splits a request target. authority is set for the absolute form
// only. Percent escapes of the path must be whole; the query is left as it is.
func splitTarget(method, target string, secure bool) (authority, path, query string, ok bool) {
	for i := range len(target) {
		if c := target[i]; c <= 0x20 || c >= 0x7f || c == '#' {
			return "", "", "", false
		}
	}
	if target == "*" {
		return "", "*", "", method == http.MethodOptions
	}
	if target[0] != '/' {
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
			return "", "", "", false
		}
		target = target[len(scheme):]
		end := strings.IndexAny(target, "/?")
		if end < 0 {
			end = len(target)
		}
		authority, target = target[:end], target[end:]
		if !validAuthority(authority) {
			return "", "", "", false
		}
		if target == "" || target[0] == '?' {
			target = "/" + target
		}
	}
	path, query, _ = strings.Cut(target, "?")
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			return "", "", "", false
		}
		i += 2
	}
	return authority, path, query, true
}

// validAuthority reports whether s is host or host:port. User information,
// lists, escapes and empty hosts are not: what they mean depends on the reader.
func validAuthority(s string) bool {
	if s == "" || len(s) > 261 { // a name of 255 bytes and a port
		return false
	}
	host, port := s, ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 3 {
			return false
		}
		for _, c := range []byte(s[1:end]) {
			if !isHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		if host = ""; end+1 < len(s) {
			if s[end+1] != ':' {
				return false
			}
			port = s[end+1:]
		}
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
		if host == "" {
			return false
		}
	}
	for _, c := range []byte(host) {
		if !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	if port == "" {
		return true
	}
	if len(port) < 2 || len(port) > 6 {
		return false
	}
	for _, c := range []byte(port[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseLength reads a Content-Length: digits only, at most 18 of them.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseChunkSize reads the line before a chunk: hexadecimal digits, at most 15.
// Extensions are refused: nobody needs them, and parsers disagree on them.
func parseChunkSize(line []byte) (int64, bool) {
	if len(line) == 0 || len(line) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range line {
		var d byte
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		default:
			return 0, false
		}
		n = n<<4 | int64(d)
	}
	return n, true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

package httpwire

import (
	"bytes"
	"strings"
)

// maxFields bounds the lines of one header. 20 KiB of header are 512 lines of
// 40 bytes; more are refused as too large.
const maxFields = 512

// maxMethod is the longest method in bytes.
const maxMethod = 32

// requestHead is a parsed HTTP/1 request head: the one reading of it that
// framing, routing, logs and the forwarded request share. Its strings share the
// memory of the buffer it was read from.
type requestHead struct {
	http10    bool
	method    string
	authority string
	path      string
	query     string
	header    Header
	upgradeTo string

	length int64 // of the body; -1: chunked
	close  bool  // the client will send nothing after it
	expect bool  // Expect: 100-continue
}

// requestParser reads a request head, and refuses it at the byte that is wrong.
// The zero value with limits is ready; reset makes it so again.
type requestParser struct {
	limits limits
	secure bool // over TLS: decides the scheme an absolute target may have

	head requestHead

	lines       lines
	begun       bool // the request line was read
	blank       bool // an empty line came before it
	start       int  // where the header lines begin
	absolute    string
	hosts       int
	lengths     int
	codings     int
	expected    bool
	upgrades    int
	wantUpgrade bool // Connection: upgrade
	keepAlive   bool // Connection: keep-alive
}

// reset makes p ready for another head, or for the same one in another buffer.
// The fields go into header, which is empty and gives its memory.
func (p *requestParser) reset(header Header) {
	*p = requestParser{limits: p.limits, secure: p.secure, head: requestHead{header: header}}
}

// parse judges b, which holds the head so far from its first byte, and says
// whether it is whole; it then ends at used. Between two calls b may only grow
// at its end, in the same memory. How it grows makes no difference to the
// verdict: it is always that of the first byte that is wrong.
func (p *requestParser) parse(b []byte) (used int, done bool, r *refusal) {
	for {
		from := p.lines.pos
		line, r := p.lines.next(b)
		if line == nil {
			if q := p.partial(p.lines.rest(b), from); q != nil {
				return 0, false, q
			}
			return 0, false, r
		}
		switch {
		case p.begun && len(line) == 0:
			r := p.finish()
			return p.lines.pos, r == nil, r
		case p.begun && p.lines.pos-p.start > p.limits.header:
			r = longHeader
		case p.begun:
			r = p.field(line)
		case len(line) == 0:
			// One empty line before a request is tolerated. Source: RFC 9112 2.2.
			if p.blank {
				r = badRequestLine
			}
			p.blank = true
		default:
			if r = p.requestLine(line); r == nil {
				p.begun, p.start = true, p.lines.pos
			}
		}
		if r != nil {
			if q := p.partial(line, from); q != nil {
				return 0, false, q // something before the line's end was wrong
			}
			return 0, false, r
		}
	}
}

// partial judges b, the beginning of a line that starts at from, and finds the
// first byte that is wrong whatever comes after it.
func (p *requestParser) partial(b []byte, from int) *refusal {
	if p.begun {
		return partialField(b, p.limits.header-2-(from-p.start))
	}
	n := tokenEnd(b)
	switch {
	case n > maxMethod || n < len(b) && (n == 0 || b[n] != ' '):
		return badRequestLine
	case n == len(b):
		return nil
	}
	target, version, ended := bytes.Cut(b[n+1:], []byte{' '})
	switch {
	case ended && len(target) == 0:
		return badRequestLine
	case !validTarget(text(target[:min(len(target), p.limits.target)])):
		return badTarget
	case len(target) > p.limits.target:
		return longTarget
	}
	const longest = "HTTP/1.1"
	if n := min(len(version), len("HTTP/")); string(version[:n]) != longest[:n] || len(version) > len(longest) {
		return badRequestLine
	}
	return nil
}

func (p *requestParser) requestLine(line []byte) *refusal {
	method, rest, ok := strings.Cut(text(line), " ")
	target, version, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2 || !isToken(method) || len(method) > maxMethod || target == "":
		return badRequestLine
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		if isVersion(version) {
			return badVersion
		}
		return badRequestLine
	case len(target) > p.limits.target:
		return longTarget
	case method == "CONNECT":
		return noTunnel
	}
	authority, path, query, ok := splitTarget(method, target, p.secure)
	if !ok {
		return badTarget
	}
	p.absolute = authority
	p.head.http10 = version == "HTTP/1.0"
	p.head.method, p.head.path, p.head.query = method, path, query
	return nil
}

// isVersion reports whether s is HTTP/digit.digit.
func isVersion(s string) bool {
	return len(s) == 8 && s[:5] == "HTTP/" && isDigit(s[5]) && s[6] == '.' && isDigit(s[7])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *requestParser) field(line []byte) *refusal {
	if isBlank(line[0]) {
		return badFold
	}
	f, r := parseField(line)
	if r != nil {
		return r
	}
	h := &p.head
	switch knownField(f.Name) {
	case hostField:
		if p.hosts++; p.hosts > 1 || !validAuthority(f.Value) {
			return badHost
		}
		h.authority = f.Value
		if p.absolute != "" && !sameAuthority(p.absolute, f.Value) {
			return badAuthority
		}
		return nil
	case contentLengthField:
		n, ok := parseLength(f.Value)
		if p.lengths++; p.lengths > 1 || !ok {
			return badLength
		}
		if p.codings > 0 {
			return badFraming
		}
		h.length = n
		return nil
	case transferEncodingField:
		p.codings++
		switch {
		case p.lengths > 0:
			return badFraming
		case p.codings > 1, h.http10, !equalFold(f.Value, "chunked"):
			return badCoding // where the body ends is anyone's guess
		}
		h.length = -1
		return nil
	case expectField:
		if p.expected || !equalFold(f.Value, "100-continue") {
			return badExpect
		}
		p.expected, h.expect = true, !h.http10
		return nil
	case trailerField:
		return nil // nothing announces the trailers that go on
	case connectionField:
		h.close = h.close || listHolds(f.Value, "close")
		p.keepAlive = p.keepAlive || listHolds(f.Value, "keep-alive")
		p.wantUpgrade = p.wantUpgrade || listHolds(f.Value, "upgrade")
	case upgradeField:
		p.upgrades++
		h.upgradeTo = f.Value
	}
	if len(h.header) == maxFields {
		return longHeader
	}
	h.header = append(h.header, f)
	return nil
}

// finish judges what only the whole head shows.
func (p *requestParser) finish() *refusal {
	if p.hosts == 0 {
		return badHost // HTTP/1.0 too: nothing could be routed without it
	}
	h := &p.head
	if h.http10 && !p.keepAlive {
		h.close = true
	}
	if p.upgrades != 1 || !p.wantUpgrade || h.http10 || h.length != 0 {
		h.upgradeTo = ""
	}
	return nil
}

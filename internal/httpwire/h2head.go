package httpwire

import (
	"strings"

	"golang.org/x/net/http2/hpack"
)

// h2Head collects the fields of one header block: a request's, or its trailers.
// What RFC 9113 8.1.1 calls malformed resets the stream; what only we refuse is
// answered, as over HTTP/1.
type h2Head struct {
	limits  limits
	trailer bool

	malformed string   // why, "" when it is not
	refused   *refusal // first one
	full      bool     // more than limits: the rest is not looked at

	pseudo    uint8 // pseudo fields seen
	regular   bool  // a regular field was seen
	method    string
	scheme    string
	authority string
	target    string

	header   Header
	size     int // of the regular fields, as lines of HTTP/1
	host     string
	hosted   bool
	lengths  int
	length   int64 // declared; -1: not
	expect   bool
	expected bool
	cookies  int
	urgency  uint8
}

// Pseudo fields, bits of h2Head.pseudo.
const (
	pseudoMethod = 1 << iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
)

// reset makes h ready for another block. Fields go into header's memory.
func (h *h2Head) reset(trailer bool, header Header) {
	*h = h2Head{limits: h.limits, trailer: trailer, header: header[:0], length: -1, urgency: h2Urgency}
}

func (h *h2Head) bad(reason string) {
	if h.malformed == "" {
		h.malformed = reason
	}
}

func (h *h2Head) refuse(r *refusal) {
	if h.refused == nil {
		h.refused = r
	}
}

// field takes the next field of the block.
func (h *h2Head) field(f hpack.HeaderField) {
	if h.malformed != "" || h.full {
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudoField(f.Name, f.Value)
		return
	}
	h.regular = true
	if !h2Name(f.Name) {
		h.bad("malformed field name")
		return
	}
	if !h2Value(f.Value) {
		h.bad("malformed field value")
		return
	}
	h.size += len(f.Name) + len(": ") + len(f.Value) + len("\r\n")
	if h.size > h.limits.header || len(h.header) == maxFields {
		h.full = true
		h.refuse(longHeader)
		return
	}
	switch knownField(f.Name) {
	case connectionField, proxyConnectionField, keepAliveField, transferEncodingField, upgradeField:
		h.bad("connection-specific field")
		return
	case contentLengthField:
		n, ok := parseLength(f.Value)
		if h.lengths++; !ok || h.lengths > 1 || h.trailer {
			h.bad("malformed or repeated content-length")
			return
		}
		h.length = n
		return
	case hostField:
		if h.trailer {
			return
		}
		if h.hosted {
			h.refuse(badHost)
		}
		h.host, h.hosted = f.Value, true
		return
	case expectField:
		if h.trailer {
			return
		}
		if h.expected || !equalFold(f.Value, "100-continue") {
			h.refuse(badExpect)
		}
		h.expected, h.expect = true, true
		return
	case trailerField:
		return // nothing announces the trailers that go on
	}
	switch f.Name {
	case "te":
		if !equalFold(f.Value, "trailers") {
			h.bad("te is not trailers")
			return
		}
	case "cookie":
		h.cookies++
	case "priority":
		h.urgency = parseUrgency(f.Value)
	}
	if h.trailer && forbiddenTrailer(f.Name) {
		return
	}
	h.header = append(h.header, Field{f.Name, f.Value})
}

func (h *h2Head) pseudoField(name, value string) {
	if h.regular || h.trailer {
		h.bad("misplaced pseudo field")
		return
	}
	bit := uint8(0)
	switch name {
	case ":method":
		bit, h.method = pseudoMethod, value
	case ":scheme":
		bit, h.scheme = pseudoScheme, value
	case ":authority":
		bit, h.authority = pseudoAuthority, value
	case ":path":
		bit, h.target = pseudoPath, value
	}
	switch {
	case bit == 0:
		h.bad("unknown pseudo field")
	case h.pseudo&bit != 0:
		h.bad("repeated pseudo field")
	case !h2Value(value):
		h.bad("malformed pseudo field")
	}
	h.pseudo |= bit
}

// request judges a whole block as a request's. endStream says that no body
// follows. It fills x and returns what is wrong in malformed or refused.
func (h *h2Head) request(x *Exchange, endStream bool) {
	const needed = pseudoMethod | pseudoScheme | pseudoPath
	switch {
	case h.malformed != "":
		return
	case h.method == "CONNECT" && h.pseudo == pseudoMethod|pseudoAuthority:
		h.refuse(noTunnel)
	case h.method == "CONNECT" && h.pseudo&(pseudoScheme|pseudoPath) != 0 && h.pseudo&needed != needed:
		h.bad("malformed CONNECT")
	case h.method == "CONNECT":
		h.refuse(noTunnel)
	case h.pseudo&needed != needed:
		h.bad("missing pseudo field")
	case h.target == "":
		h.bad("empty path")
	case !isToken(h.method):
		h.bad("malformed method")
	case endStream && h.length > 0:
		h.bad("content-length without a body")
	}
	if h.malformed != "" {
		return
	}
	x.Method = h.method
	if h.refused != nil {
		return
	}
	if h.refused = h.route(x); h.refused != nil {
		return
	}
	x.ContentLength = h.length
	if endStream {
		x.ContentLength = 0
	}
	if h.cookies > 1 {
		h.joinCookies()
	}
	x.Header = h.header
}

// route judges what decides where the request goes.
func (h *h2Head) route(x *Exchange) *refusal {
	switch {
	case len(h.method) > maxMethod:
		return badRequestLine
	case h.scheme != "https":
		return badTarget
	case len(h.target) > h.limits.target:
		return longTarget
	}
	absolute, path, query, ok := splitTarget(h.method, h.target, true)
	if !ok || absolute != "" {
		return badTarget
	}
	x.RawPath, x.RawQuery = path, query
	x.Authority = h.authority
	if h.pseudo&pseudoAuthority == 0 {
		x.Authority = h.host
	}
	switch {
	case !validAuthority(x.Authority):
		return badHost
	case h.hosted && !sameAuthority(h.host, x.Authority):
		return badAuthority
	}
	return nil
}

// joinCookies makes one field of the crumbs a cookie may be split into.
// Source: RFC 9113 8.2.3.
func (h *h2Head) joinCookies() {
	size, first := 0, -1
	for _, f := range h.header {
		if f.Name == "cookie" {
			size += len(f.Value) + len("; ")
		}
	}
	var joined strings.Builder
	joined.Grow(size)
	kept := h.header[:0]
	for _, f := range h.header {
		if f.Name != "cookie" {
			kept = append(kept, f)
			continue
		}
		if first < 0 {
			first = len(kept)
			kept = append(kept, f)
		} else {
			joined.WriteString("; ")
		}
		joined.WriteString(f.Value)
	}
	kept[first].Value = joined.String()
	clear(h.header[len(kept):])
	h.header = kept
}

// h2NameByte says which bytes a field name may hold: a token's, in lower case.
var h2NameByte = func() (t [256]bool) {
	t = tokenByte
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = false
	}
	return t
}()

func h2Name(s string) bool {
	for i := range len(s) {
		if !h2NameByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// h2Value reports whether s may be a field's value: no control bytes, no blanks
// at its ends. Source: RFC 9113 8.2.1.
func h2Value(s string) bool {
	if s == "" {
		return true
	}
	if isBlank(s[0]) || isBlank(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// h2Urgency is the urgency of a request that names none: 0 is the most urgent,
// 7 the least. Source: RFC 9218 4.1.
const h2Urgency = 3

// parseUrgency reads the urgency of a Priority field; what it cannot read is
// the default.
func parseUrgency(s string) uint8 {
	for item := range strings.SplitSeq(s, ",") {
		item = strings.Trim(item, " \t")
		if len(item) >= 3 && item[:2] == "u=" && '0' <= item[2] && item[2] <= '7' && (len(item) == 3 || item[3] == ';') {
			return item[2] - '0'
		}
	}
	return h2Urgency
}

package httpwire

import (
	"strconv"
	"time"
)

// Responses are encoded without the dynamic table and without Huffman codes:
// nothing of one response is kept for another, so a client can neither make us
// hold state nor learn a secret from how well it compresses, and literals cost
// less CPU than what they save. Names and common statuses still come from the
// static table.

// hpackNames are the indices of response fields in the static table.
// Source: RFC 7541 appendix A.
var hpackNames = map[string]byte{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28,
	"content-location": 29, "content-range": 30, "content-type": 31, "date": 33, "etag": 34, "expires": 36,
	"last-modified": 44, "link": 45, "location": 46, "proxy-authenticate": 48, "retry-after": 53, "server": 54,
	"set-cookie": hpackSetCookie, "strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}

const (
	hpackStatus        = 8
	hpackContentLength = 28
	hpackDate          = 33
	hpackSetCookie     = 55
	hpackNever         = 0x10 // literal that no hop may index
)

// hpackStatuses are the statuses that the static table holds whole.
var hpackStatuses = map[int]byte{200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}

// appendHpackInt appends n with a prefix of the given bits, under first.
func appendHpackInt(b []byte, first byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(limit))
	for n -= limit; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendHpackString(b []byte, s string) []byte {
	return append(appendHpackInt(b, 0, 7, len(s)), s...)
}

func appendHpackStatus(b []byte, status int) []byte {
	if i, ok := hpackStatuses[status]; ok {
		return append(b, 0x80|i)
	}
	b = append(b, hpackStatus, 3)
	return strconv.AppendInt(b, int64(status), 10)
}

// appendHpackField appends a field with its name in lower case. Like
// appendField it makes spaces of bytes that no value may hold; those at the
// ends, which no value may begin or end with, go.
func appendHpackField(b []byte, f Field) []byte {
	start := len(b)
	b = append(b, 0)
	b = appendHpackInt(b, 0, 7, len(f.Name))
	from := len(b)
	for i := range len(f.Name) {
		c := f.Name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	if i, ok := hpackNames[string(b[from:])]; ok {
		first := byte(0)
		if i == hpackSetCookie {
			first = hpackNever
		}
		b = appendHpackInt(b[:start], first, 4, int(i))
	}
	value := f.Value
	for value != "" && (value[0] <= ' ' || value[0] == 0x7f) {
		value = value[1:]
	}
	for value != "" && (value[len(value)-1] <= ' ' || value[len(value)-1] == 0x7f) {
		value = value[:len(value)-1]
	}
	b = appendHpackString(b, value)
	for v := b[len(b)-len(value):]; ; {
		i := indexControl(v)
		if i == len(v) {
			return b
		}
		if v[i] != '\t' {
			v[i] = ' '
		}
		v = v[i+1:]
	}
}

// appendHpackResponse appends h but for what the engine makes itself.
func appendHpackResponse(b []byte, h Header) (_ []byte, dated bool) {
	for _, f := range h {
		switch knownField(f.Name) {
		case contentLengthField, transferEncodingField, connectionField, keepAliveField, proxyConnectionField,
			trailerField, upgradeField:
			continue
		case dateField:
			dated = true
		}
		if isToken(f.Name) {
			b = appendHpackField(b, f)
		}
	}
	return b, dated
}

func appendHpackLength(b []byte, n int64) []byte {
	b = appendHpackInt(b, 0, 4, hpackContentLength)
	at := len(b)
	b = strconv.AppendInt(append(b, 0), n, 10)
	b[at] = byte(len(b) - at - 1)
	return b
}

func appendHpackDate(b []byte, now time.Time) []byte {
	b = appendHpackInt(b, 0, 4, hpackDate)
	at := len(b)
	const name, end = len("Date: "), len("\r\n")
	b = appendDate(append(b, 0), now)
	n := copy(b[at+1:], b[at+1+name:len(b)-end])
	b[at] = byte(n)
	return b[:at+1+n]
}

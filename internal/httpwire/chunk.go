package httpwire

import (
	"errors"
	"io"
	"strconv"
	"strings"
)

// ErrMalformedBody is what Body.Read returns when a chunked body's framing is
// broken; the connection serves nothing after it.
var ErrMalformedBody = errors.New("malformed chunked body")

// Where a chunked body is read.
type chunkState uint8

const (
	inSize     chunkState = iota // at a chunk size
	inSizeEnd                    // at the LF after it
	inData                       // at the data of a chunk
	inDataEnd                    // at the CR after it
	inDataLF                     // at the LF after that
	inTrailers                   // after the last chunk
	chunksDone
)

// chunkReader decodes a chunked body. It holds no buffer but the trailers' and
// does not read: it is fed. The zero value with maxTrailer is ready for a body.
type chunkReader struct {
	// maxTrailer bounds the trailer section in bytes.
	maxTrailer int

	state    chunkState
	digits   uint8
	left     int64 // of the chunk's data, or of the size read so far
	trailers []byte
	lines    lines
	trailer  Header
}

// reset makes c ready for another body.
func (c *chunkReader) reset() {
	*c = chunkReader{maxTrailer: c.maxTrailer}
}

// decode takes framing off b up to the next data. It returns the data of a
// chunk that lies at the front of what is left of b (at most want bytes of it),
// and how much of b is used with them. err is io.EOF once the body and its
// trailers are complete, ErrMalformedBody at the first byte that is wrong.
// Extensions are refused: nobody needs them, and parsers disagree on them.
func (c *chunkReader) decode(b []byte, want int) (data []byte, used int, err error) {
	for i := 0; ; {
		switch c.state {
		case inData:
			n := int(min(int64(len(b)-i), int64(want), c.left))
			if c.took(n); n > 0 {
				return b[i : i+n], i + n, nil
			}
			return nil, i, nil
		case inTrailers:
			n, err := c.readTrailers(b[i:])
			return nil, i + n, err
		case chunksDone:
			return nil, i, io.EOF
		}
		if i == len(b) {
			return nil, i, nil
		}
		if !c.framing(b[i]) {
			return nil, i, ErrMalformedBody
		}
		i++
	}
}

// took notes that n bytes of the chunk's data were taken.
func (c *chunkReader) took(n int) {
	if c.left -= int64(n); c.left == 0 {
		c.state = inDataEnd
	}
}

// direct is how many bytes of data come next, when nothing but data does.
func (c *chunkReader) direct() int64 {
	if c.state == inData {
		return c.left
	}
	return 0
}

// framing takes one byte outside data and trailers.
func (c *chunkReader) framing(b byte) bool {
	switch c.state {
	case inSize:
		if b == '\r' && c.digits > 0 {
			c.state = inSizeEnd
			return true
		}
		d, ok := hexDigit(b)
		if !ok || c.digits == maxSizeDigits {
			return false
		}
		c.left, c.digits = c.left<<4|int64(d), c.digits+1
		return true
	case inSizeEnd:
		c.state, c.digits = inData, 0
		if c.left == 0 {
			c.state = inTrailers
		}
	case inDataEnd:
		c.state = inDataLF
		return b == '\r'
	case inDataLF:
		c.state = inSize
	}
	return b == '\n'
}

// maxSizeDigits is how long a chunk size may be: what fits into an int64.
const maxSizeDigits = 15

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// readTrailers takes trailer lines, which it keeps: their fields outlive b.
func (c *chunkReader) readTrailers(b []byte) (used int, err error) {
	if len(c.trailers) == 0 && len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		c.state = chunksDone
		return 2, io.EOF
	}
	for i, x := range b {
		c.trailers = append(c.trailers, x)
		line, r := c.lines.next(c.trailers)
		switch {
		case r != nil:
			return i, ErrMalformedBody
		case line == nil:
			if partialField(c.lines.rest(c.trailers), c.maxTrailer-2-c.lines.pos) != nil {
				return i, ErrMalformedBody
			}
			continue
		case len(line) == 0:
			c.state = chunksDone
			return i + 1, io.EOF
		}
		f, r := parseField(line)
		if r != nil || len(c.trailer) == maxFields {
			return i, ErrMalformedBody
		}
		if !forbiddenTrailer(f.Name) {
			c.trailer = append(c.trailer, Field{strings.Clone(f.Name), strings.Clone(f.Value)})
		}
	}
	return len(b), nil
}

// forbiddenTrailers decide framing, routing, identity or how a message is
// read; after the body it is too late for them. In lower case.
// Source: RFC 9110 6.5.1.
var forbiddenTrailers = map[string]bool{
	"transfer-encoding": true, "content-length": true, "trailer": true, "te": true, "connection": true,
	"keep-alive": true, "proxy-connection": true, "upgrade": true, "host": true, "expect": true,
	"cache-control": true, "max-forwards": true, "pragma": true, "range": true, "content-range": true,
	"if-match": true, "if-none-match": true, "if-modified-since": true, "if-unmodified-since": true, "if-range": true,
	"authorization": true, "proxy-authorization": true, "www-authenticate": true, "proxy-authenticate": true,
	"cookie": true, "set-cookie": true, "age": true, "expires": true, "date": true, "location": true,
	"retry-after": true, "vary": true, "warning": true,
	"content-encoding": true, "content-type": true,
}

// identityPrefixes begin the names of fields that only the gateway may set.
var identityPrefixes = []string{"x-forwarded", "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-amzn-", "x-amz-apigw-"}

// forbiddenTrailer reports whether a field must not come after a body: one of
// those above, in any spelling that some reader may take for it.
func forbiddenTrailer(name string) bool {
	var space [64]byte
	folded := space[:0]
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c|0x20)
		case isAlphanumeric(c):
			folded = append(folded, c)
		default:
			folded = append(folded, '-')
		}
	}
	if forbiddenTrailers[string(folded)] {
		return true
	}
	for _, prefix := range identityPrefixes {
		if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// chunkHeaderSpace is the room that appendChunkSize needs at most.
const chunkHeaderSpace = 16 + 2

// appendChunkSize appends the line before a chunk of n bytes.
func appendChunkSize(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n), 16), "\r\n"...)
}

// appendLastChunk ends a chunked body. Of the trailer it leaves out what must
// not be there and what is no header line.
func appendLastChunk(b []byte, trailer Header) []byte {
	b = append(b, "0\r\n"...)
	for _, f := range trailer {
		if isToken(f.Name) && !forbiddenTrailer(f.Name) {
			b = appendField(b, f)
		}
	}
	return append(b, "\r\n"...)
}

// appendField appends a header line. Bytes that would end or obscure it, which
// only a fault of the caller can bring here, become spaces.
func appendField(b []byte, f Field) []byte {
	b = append(b, f.Name...)
	b = append(b, ": "...)
	from := len(b)
	b = append(b, f.Value...)
	for value := b[from:]; ; {
		i := indexControl(value)
		if i == len(value) {
			break
		}
		if value[i] != '\t' {
			value[i] = ' '
		}
		value = value[i+1:]
	}
	return append(b, "\r\n"...)
}

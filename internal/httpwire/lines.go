package httpwire

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unsafe"
)

// lines walks the lines of a head in a buffer that grows at its end. Each byte
// is looked at once, and what no line may hold is refused as soon as it is there.
type lines struct {
	pos  int // where the line being read starts
	seen int // up to where it was looked at
}

// next returns the next line of b without its CR LF, or nil while it is not
// whole. The empty line is not nil. Of a line that is refused, rest is what
// came before the offence.
func (l *lines) next(b []byte) ([]byte, *refusal) {
	for {
		i := l.seen + indexControl(b[l.seen:])
		l.seen = i
		switch {
		case i == len(b):
			return nil, nil
		case b[i] == '\t':
			l.seen++
			continue
		case b[i] == '\n':
			return nil, badBareLF
		case b[i] != '\r':
			return nil, badControl
		case i+1 == len(b):
			return nil, nil
		case b[i+1] != '\n':
			return nil, badControl // a bare CR
		}
		line := b[l.pos:i:i]
		l.pos, l.seen = i+2, i+2
		return line, nil
	}
}

// rest is what there is of the line that is not whole, a CR at its end excluded.
func (l *lines) rest(b []byte) []byte { return b[l.pos:l.seen] }

// indexControl returns the index of the first control byte (below 0x20, or
// 0x7f), len(b) when there is none. Eight bytes at a time: it is the only loop
// over every byte of a head.
func indexControl(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		// The lowest mark of each term is exact; those above it may be borrows.
		if m := ((x-0x20*ones)&^x | (del-ones)&^del) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] == 0x7f {
			return i
		}
	}
	return i
}

// tokenByte says which bytes a token may hold. Source: RFC 9110 5.6.2.
var tokenByte = func() (t [256]bool) {
	for c := range 128 {
		t[c] = isAlphanumeric(byte(c)) || c > ' ' && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

// tokenEnd is the length of the token that b begins with.
func tokenEnd(b []byte) int {
	for i, c := range b {
		if !tokenByte[c] {
			return i
		}
	}
	return len(b)
}

// parseField takes a header line apart; both strings share its memory.
func parseField(line []byte) (Field, *refusal) {
	n := tokenEnd(line)
	if n == 0 || n == len(line) || line[n] != ':' { // white space before the colon too
		return Field{}, badName
	}
	from, to := n+1, len(line)
	for from < to && isBlank(line[from]) {
		from++
	}
	for to > from && isBlank(line[to-1]) {
		to--
	}
	return Field{text(line[:n]), text(line[from:to])}, nil
}

// partialField judges the beginning of a header line, which may be at most
// room bytes long.
func partialField(b []byte, room int) *refusal {
	if len(b) == 0 {
		return nil
	}
	within := b[:max(1, min(len(b), room))]
	switch n := tokenEnd(within); {
	case isBlank(b[0]):
		return badFold
	case n < len(within) && (n == 0 || within[n] != ':'):
		return badName
	case len(b) > room:
		return longHeader
	}
	return nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// text is b as a string, without a copy: it changes when b does.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// known are the header fields that the engine itself has to do with.
type known uint8

const (
	noField known = iota
	hostField
	contentLengthField
	transferEncodingField
	connectionField
	expectField
	trailerField
	upgradeField
	keepAliveField
	proxyConnectionField
	dateField
)

// knownField classifies a header name, in any case.
func knownField(name string) known {
	var n string
	var k known
	switch len(name) {
	case 4:
		if name[0]|0x20 == 'h' {
			n, k = "host", hostField
		} else {
			n, k = "date", dateField
		}
	case 6:
		n, k = "expect", expectField
	case 7:
		if name[0]|0x20 == 't' {
			n, k = "trailer", trailerField
		} else {
			n, k = "upgrade", upgradeField
		}
	case 10:
		if name[0]|0x20 == 'k' {
			n, k = "keep-alive", keepAliveField
		} else {
			n, k = "connection", connectionField
		}
	case 14:
		n, k = "content-length", contentLengthField
	case 16:
		n, k = "proxy-connection", proxyConnectionField
	case 17:
		n, k = "transfer-encoding", transferEncodingField
	default:
		return noField
	}
	if !equalFold(name, n) {
		return noField
	}
	return k
}

// equalFold compares s with lower, which is in lower case, by ASCII rules only:
// strings.EqualFold would take a Kelvin sign for a k.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// listHolds reports whether a comma-separated list holds token, in lower case.
func listHolds(list, token string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		for item != "" && isBlank(item[0]) {
			item = item[1:]
		}
		for item != "" && isBlank(item[len(item)-1]) {
			item = item[:len(item)-1]
		}
		if equalFold(item, token) {
			return true
		}
	}
	return false
}

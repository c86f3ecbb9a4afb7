package telemetry

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxFormat is the longest format in bytes. Source: quotas, access-log template.
	maxFormat = 3 << 10
	// maxValue is where a value is cut, in bytes before escaping: the longest
	// URL a regional endpoint takes.
	maxValue = 10 << 10
)

// Format is a compiled access-log format. It is immutable and safe for
// concurrent use.
//
// Only $context variables are substituted; all other text, ${...} and $input
// included, is written as it stands. A name goes on over letters, digits,
// underscores and dots between them, as far as it can ("$context.error.message"
// is never the beginning of "$context.error.messageString"); hyphens belong to a
// name only behind a family's prefix (requestOverride.header.X-Name). A variable
// that is unknown, not set or empty renders as "-".
//
// A value cannot leave its line nor, in quotes, its field. How it is escaped
// follows from the first byte of the format that is not a space:
//
//	{          as in a JSON string: \" \\ \n \u00XX
//	<          as XML text: &lt; &gt; &amp; &quot; &#39; &#10;; other control bytes become U+FFFD
//	otherwise  \xHH for control bytes, quotes, backslashes and what is not UTF-8
type Format struct {
	pieces []piece
	escape escaping
}

// piece is literal text or a variable.
type piece struct {
	literal string
	id      Variable
	rest    string // name behind a family's prefix
	value   bool
}

// Values supplies the variables of one request.
type Values interface {
	// AppendVariable appends the raw value of id to dst; name is the rest of a
	// family's name. It returns false when the variable is not set.
	AppendVariable(dst []byte, id Variable, name string) ([]byte, bool)
}

// CompileFormat reads a stage's access-log format. It refuses formats above
// 3 KiB and formats of more than one line; a line break at the end is dropped.
func CompileFormat(format string) (*Format, error) {
	if len(format) > maxFormat {
		return nil, fmt.Errorf("access log format: %d bytes, at most %d", len(format), maxFormat)
	}
	format = strings.TrimRight(format, "\r\n")
	if strings.TrimSpace(format) == "" {
		return nil, errors.New("access log format: empty")
	}
	if i := strings.IndexFunc(format, breaksLine); i >= 0 {
		return nil, fmt.Errorf("access log format: more than one line (byte %d)", i)
	}
	f := &Format{escape: escapingOf(format)}
	for format != "" {
		i := strings.Index(format, "$context.")
		if i < 0 {
			break
		}
		name := variableName(format[i+len("$context."):])
		if name == "" { // "$context." before no name is text
			i += len("$context.")
			f.literal(format[:i])
			format = format[i:]
			continue
		}
		f.literal(format[:i])
		id, rest, _ := LookupVariable(name)
		f.pieces = append(f.pieces, piece{id: id, rest: rest, value: true})
		format = format[i+len("$context.")+len(name):]
	}
	f.literal(format)
	return f, nil
}

func (f *Format) literal(s string) {
	if s == "" {
		return
	}
	if n := len(f.pieces); n > 0 && !f.pieces[n-1].value {
		f.pieces[n-1].literal += s
		return
	}
	f.pieces = append(f.pieces, piece{literal: s})
}

// variableName returns the longest name that s starts with.
func variableName(s string) string {
	hyphens := false
	for _, fam := range families {
		if strings.HasPrefix(s, fam.prefix) {
			hyphens = true
			break
		}
	}
	i := 0
	for i < len(s) {
		switch c := s[i]; {
		case isNameByte(c), c == '-' && hyphens:
			i++
			continue
		case c == '.' && i > 0 && i+1 < len(s) && isNameByte(s[i+1]):
			i++
			continue
		}
		break
	}
	return s[:i]
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// breaksLine reports what some reader takes for the end of a line.
func breaksLine(r rune) bool {
	switch r {
	case '\n', '\v', '\f', '\r', 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// Append appends the record of one request to dst, without a line break. It
// allocates only when dst has to grow.
func (f *Format) Append(dst []byte, v Values) []byte {
	for i := range f.pieces {
		p := &f.pieces[i]
		if !p.value {
			dst = append(dst, p.literal...)
			continue
		}
		start := len(dst)
		var ok bool
		if p.id != Unknown {
			dst, ok = v.AppendVariable(dst, p.id, p.rest)
		}
		if !ok || len(dst) == start {
			dst = append(dst[:start], '-')
			continue
		}
		if len(dst) > start+maxValue {
			dst = dst[:start+maxValue]
		}
		if p.id == ErrorMessageString {
			// JSON with its quotes, whatever the format.
			dst = append(escapeFrom(dst, start, jsonEscaping), '"', 0)
			copy(dst[start+1:], dst[start:len(dst)-1])
			dst[start] = '"'
			continue
		}
		dst = escapeFrom(dst, start, f.escape)
	}
	return dst
}

// AppendLine appends text as one line whatever it holds: line breaks become \n
// and \r, other control bytes but tabs, and what is not UTF-8, \xHH. Quotes and
// backslashes stay, so that JSON reads as JSON.
func AppendLine(dst []byte, text string) []byte {
	start := len(dst)
	return escapeFrom(append(dst, text...), start, lineEscaping)
}

// escaping says how values are made safe for the format around them.
type escaping uint8

const (
	textEscaping escaping = iota
	jsonEscaping
	xmlEscaping
	lineEscaping // as little as keeps a text in one line
)

func escapingOf(format string) escaping {
	switch strings.TrimLeft(format, " \t")[0] {
	case '{':
		return jsonEscaping
	case '<':
		return xmlEscaping
	}
	return textEscaping
}

// escapeFrom escapes dst[start:] in place, growing dst as needed.
func escapeFrom(dst []byte, start int, how escaping) []byte {
	i := start
	for i < len(dst) && isPlain(dst[i]) {
		i++
	}
	if i == len(dst) {
		return dst
	}
	end := len(dst)
	for j := i; j < end; {
		r, size := rune(dst[j]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(dst[j:end])
		}
		dst = appendEscaped(dst, dst[j:j+size], r, how)
		j += size
	}
	n := copy(dst[i:], dst[end:])
	return dst[:i+n]
}

// isPlain reports bytes that no format escapes.
func isPlain(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != '\''
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends the form of one rune; raw are its bytes.
func appendEscaped(dst, raw []byte, r rune, how escaping) []byte {
	invalid := r == utf8.RuneError && len(raw) == 1
	control := r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029
	switch how {
	case jsonEscaping:
		switch {
		case invalid:
			return append(dst, `\ufffd`...)
		case r == '"' || r == '\\':
			return append(dst, '\\', byte(r))
		case r == '\n':
			return append(dst, `\n`...)
		case r == '\r':
			return append(dst, `\r`...)
		case r == '\t':
			return append(dst, `\t`...)
		case control:
			return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
	case xmlEscaping:
		switch {
		case r == '<':
			return append(dst, "&lt;"...)
		case r == '>':
			return append(dst, "&gt;"...)
		case r == '&':
			return append(dst, "&amp;"...)
		case r == '"':
			return append(dst, "&quot;"...)
		case r == '\'':
			return append(dst, "&#39;"...)
		case r == '\n':
			return append(dst, "&#10;"...)
		case r == '\r':
			return append(dst, "&#13;"...)
		case r == '\t':
			return append(dst, "&#9;"...)
		case invalid || control || r == 0xfffe || r == 0xffff:
			return append(dst, "\ufffd"...) // XML 1.0 has no way to write them
		}
	case lineEscaping:
		switch {
		case r == '\n':
			return append(dst, `\n`...)
		case r == '\r':
			return append(dst, `\r`...)
		case r == '\t':
		case invalid || control:
			for _, c := range raw {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			}
			return dst
		}
	default:
		if invalid || control || r == '"' || r == '\\' {
			for _, c := range raw {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			}
			return dst
		}
	}
	return append(dst, raw...)
}

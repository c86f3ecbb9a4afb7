package awsapi

import (
	"encoding/base64"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of objects and lists in a document.
const maxDepth = 64

// reader decodes one JSON document straight into Go values. It is stricter
// than encoding/json: names match by case, a member that comes twice, invalid
// UTF-8 and lone surrogates are refused, since two parsers would disagree on
// them.
type reader struct {
	data  []byte
	pos   int
	depth int
	path  []byte   // the member at hand, "patchOperations.1.member.op"
	notes *decoder // nil when nobody asks for presence, unknown members and enums
}

// document decodes data into v and refuses anything after it.
func (r *reader) document(c *codec, v reflect.Value) error {
	if _, err := r.value(c, noTime, v); err != nil {
		return err
	}
	r.space()
	if r.pos != len(r.data) {
		return r.malformed()
	}
	return nil
}

func (r *reader) malformed() *Error {
	return serializationError("The document is not well-formed JSON at byte %d.", r.pos)
}

// mismatch says that the JSON value at hand does not fit the member.
func (r *reader) mismatch(want string) *Error {
	var got string
	switch r.peek() {
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		got = "NUMBER_VALUE"
	case '"':
		got = "STRING_VALUE"
	case 't':
		got = "TRUE_VALUE"
	case 'f':
		got = "FALSE_VALUE"
	case 'n':
		got = "NULL_VALUE"
	case '{':
		got = "A structure or map"
	case '[':
		got = "A list"
	default: // no value begins so, or the document ends here
		return r.malformed()
	}
	return r.at(got + " can not be converted to " + want)
}

func (r *reader) at(message string) *Error {
	if len(r.path) > 0 {
		message += " at '" + clip(strings.TrimPrefix(string(r.path), ".")) + "'"
	}
	return serializationError("%s", message)
}

func (r *reader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the next byte after white space, 0 at the end.
func (r *reader) peek() byte {
	r.space()
	if r.pos == len(r.data) {
		return 0
	}
	return r.data[r.pos]
}

// word consumes true, false or null.
func (r *reader) word(text string) error {
	if len(r.data)-r.pos < len(text) || string(r.data[r.pos:r.pos+len(text)]) != text {
		return r.malformed()
	}
	r.pos += len(text)
	return nil
}

// value decodes the next JSON value into v, which is of the codec's type. It
// reports whether there was one: null is absence.
func (r *reader) value(c *codec, form timeForm, v reflect.Value) (set bool, err error) {
	if r.peek() == 'n' {
		return false, r.word("null")
	}
	if c.pointer {
		held := reflect.New(c.typ)
		if err := r.held(c, form, held.Elem()); err != nil {
			return false, err
		}
		v.Set(held)
		return true, nil
	}
	return true, r.held(c, form, v)
}

// held decodes a value that is not null into v, without the pointer.
func (r *reader) held(c *codec, form timeForm, v reflect.Value) error {
	next := r.peek()
	switch c.kind {
	case kString:
		if next != '"' {
			return r.mismatch("a String")
		}
		text, err := r.text()
		if err != nil {
			return err
		}
		v.SetString(text)
		if c.enum != nil && r.notes != nil {
			r.notes.checkEnum(r.path, text, c.enum)
		}
		return nil
	case kBool:
		switch next {
		case 't':
			v.SetBool(true)
			return r.word("true")
		case 'f':
			v.SetBool(false)
			return r.word("false")
		}
		return r.mismatch("a Boolean")
	case kInt:
		if next != '-' && (next < '0' || next > '9') {
			return r.mismatch("an Integer")
		}
		token, err := r.number()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(token), 10, c.bits)
		if err != nil {
			return r.at(clip(string(token)) + " can not be converted to an Integer")
		}
		v.SetInt(n)
		return nil
	case kFloat:
		if next != '-' && (next < '0' || next > '9') {
			return r.mismatch("a Double")
		}
		token, err := r.number()
		if err != nil {
			return err
		}
		n, err := strconv.ParseFloat(string(token), c.bits)
		if err != nil {
			return r.at(clip(string(token)) + " can not be converted to a Double")
		}
		v.SetFloat(n)
		return nil
	case kBlob:
		if next != '"' {
			return r.mismatch("a Blob")
		}
		text, err := r.text()
		if err != nil {
			return err
		}
		blob, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return r.at("STRING_VALUE is not base64")
		}
		v.SetBytes(blob)
		return nil
	case kTime:
		t, err := r.time(form)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
		return nil
	case kStruct:
		return r.object(c, v)
	case kList:
		return r.list(c, v)
	case kMap:
		return r.dictionary(c, v)
	case kUnion:
		return r.union(c, v)
	}
	return r.mismatch("a " + c.typ.String())
}

func (r *reader) time(form timeForm) (time.Time, error) {
	if form == epochSeconds {
		if next := r.peek(); next != '-' && (next < '0' || next > '9') {
			return time.Time{}, r.mismatch("a Timestamp")
		}
		token, err := r.number()
		if err != nil {
			return time.Time{}, err
		}
		t, ok := parseEpoch(string(token))
		if !ok {
			return time.Time{}, r.at(clip(string(token)) + " can not be converted to a Timestamp")
		}
		return t, nil
	}
	if r.peek() != '"' {
		return time.Time{}, r.mismatch("a Timestamp")
	}
	text, err := r.text()
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseTime(form, text)
	if !ok {
		return time.Time{}, r.at("'" + clip(text) + "' can not be converted to a Timestamp")
	}
	return t, nil
}

// The years that every form of a timestamp can write.
var (
	firstSecond = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// parseEpoch reads seconds since 1970, to the millisecond.
func parseEpoch(text string) (time.Time, bool) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || seconds < float64(firstSecond) || seconds > float64(lastSecond) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
}

// parseTime reads the textual forms.
func parseTime(form timeForm, text string) (time.Time, bool) {
	if form == httpDate {
		t, err := http.ParseTime(text)
		return t.UTC(), err == nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Unix() < firstSecond || t.Unix() > lastSecond {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// enter and leave keep the depth.
func (r *reader) enter() error {
	r.depth++
	if r.depth > maxDepth {
		return serializationError("The document is nested deeper than %d.", maxDepth)
	}
	r.pos++ // the bracket
	return nil
}

// next reports whether another element follows; first tells the first call.
func (r *reader) next(closing byte, first bool) (bool, error) {
	switch b := r.peek(); {
	case b == closing:
		r.pos++
		r.depth--
		return false, nil
	case first:
		return true, nil
	case b == ',':
		r.pos++
		if r.peek() == closing {
			return false, r.malformed()
		}
		return true, nil
	}
	return false, r.malformed()
}

// key consumes a name and its colon.
func (r *reader) key() (string, error) {
	if r.peek() != '"' {
		return "", r.malformed()
	}
	name, err := r.text()
	if err != nil {
		return "", err
	}
	if r.peek() != ':' {
		return "", r.malformed()
	}
	r.pos++
	return name, nil
}

func (r *reader) object(c *codec, v reflect.Value) error {
	if r.peek() != '{' {
		return r.mismatch("a structure")
	}
	if err := r.enter(); err != nil {
		return err
	}
	var seen [maxFields / 64]uint64
	above := len(r.path)
	for first := true; ; first = false {
		more, err := r.next('}', first)
		if err != nil || !more {
			return err
		}
		name, err := r.key()
		if err != nil {
			return err
		}
		f := c.body[name]
		if f == nil {
			if r.notes != nil {
				r.notes.unknown(string(r.path), name)
			}
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		r.path = append(append(r.path, '.'), name...)
		bit := uint64(1) << (f.number % 64)
		if seen[f.number/64]&bit != 0 {
			return r.at("The member comes twice")
		}
		seen[f.number/64] |= bit
		set, err := r.value(f.codec, f.Time, v.Field(f.index))
		if err != nil {
			return err
		}
		if set && r.notes != nil {
			r.notes.presence[string(r.path[1:])] = true
		}
		r.path = r.path[:above]
	}
}

// union reads an object with exactly one known member into the interface v.
func (r *reader) union(c *codec, v reflect.Value) error {
	if r.peek() != '{' {
		return r.mismatch("a union")
	}
	if err := r.enter(); err != nil {
		return err
	}
	above := len(r.path)
	found := false
	for first := true; ; first = false {
		more, err := r.next('}', first)
		if err != nil {
			return err
		}
		if !more {
			if !found {
				return r.at("A union needs one known member")
			}
			return nil
		}
		name, err := r.key()
		if err != nil {
			return err
		}
		f := c.body[name]
		if f == nil {
			if r.notes != nil {
				r.notes.unknown(string(r.path), name)
			}
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		if r.peek() == 'n' {
			if err := r.word("null"); err != nil {
				return err
			}
			continue
		}
		if found {
			return r.at("A union has two members")
		}
		found = true
		r.path = append(append(r.path, '.'), name...)
		alt := reflect.New(f.alt)
		if _, err := r.value(f.codec, f.Time, alt.Elem().Field(f.index)); err != nil {
			return err
		}
		v.Set(alt)
		if r.notes != nil {
			r.notes.presence[string(r.path[1:])] = true
		}
		r.path = r.path[:above]
	}
}

func (r *reader) list(c *codec, v reflect.Value) error {
	if r.peek() != '[' {
		return r.mismatch("a list")
	}
	if err := r.enter(); err != nil {
		return err
	}
	list := reflect.MakeSlice(c.typ, 0, 0)
	above := len(r.path)
	zero := reflect.Zero(c.typ.Elem())
	for n := 1; ; n++ {
		more, err := r.next(']', n == 1)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.path = strconv.AppendInt(append(r.path, '.'), int64(n), 10)
		r.path = append(r.path, ".member"...)
		list = reflect.Append(list, zero)
		if c.elem.enum != nil && r.peek() == '"' { // judged as a whole below
			text, err := r.text()
			if err != nil {
				return err
			}
			list.Index(n - 1).SetString(text)
		} else if set, err := r.value(c.elem, noTime, list.Index(n-1)); err != nil {
			return err
		} else if !set {
			return r.at("A list holds no null")
		}
		r.path = r.path[:above]
	}
	if c.elem.enum != nil && r.notes != nil {
		r.notes.checkEnums(r.path, list, c.elem.enum)
	}
	v.Set(list)
	return nil
}

func (r *reader) dictionary(c *codec, v reflect.Value) error {
	if r.peek() != '{' {
		return r.mismatch("a map")
	}
	if err := r.enter(); err != nil {
		return err
	}
	m := reflect.MakeMap(c.typ)
	key := reflect.New(c.typ.Key()).Elem()
	above := len(r.path)
	for first := true; ; first = false {
		more, err := r.next('}', first)
		if err != nil {
			return err
		}
		if !more {
			v.Set(m)
			return nil
		}
		name, err := r.key()
		if err != nil {
			return err
		}
		r.path = append(append(r.path, '.'), name...)
		key.SetString(name)
		if m.MapIndex(key).IsValid() {
			return r.at("The key comes twice")
		}
		r.path = append(r.path, ".member"...)
		elem := reflect.New(c.typ.Elem()).Elem()
		if set, err := r.value(c.elem, noTime, elem); err != nil {
			return err
		} else if !set {
			return r.at("A map holds no null")
		}
		m.SetMapIndex(key, elem)
		r.path = r.path[:above]
	}
}

// skip reads over a value of any type.
func (r *reader) skip() error {
	switch next := r.peek(); next {
	case '"':
		_, err := r.text()
		return err
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	case '{', '[':
		if err := r.enter(); err != nil {
			return err
		}
		closing := next + 2 // '}' and ']' stand two after their partners
		for first := true; ; first = false {
			more, err := r.next(closing, first)
			if err != nil || !more {
				return err
			}
			if next == '{' {
				if _, err := r.key(); err != nil {
					return err
				}
			}
			if err := r.skip(); err != nil {
				return err
			}
		}
	}
	_, err := r.number()
	return err
}

// number consumes a JSON number and returns its text.
func (r *reader) number() ([]byte, error) {
	start := r.pos
	if r.pos < len(r.data) && r.data[r.pos] == '-' {
		r.pos++
	}
	if r.pos < len(r.data) && r.data[r.pos] == '0' {
		r.pos++
	} else if !r.digits() {
		return nil, r.malformed()
	}
	if r.pos < len(r.data) && r.data[r.pos] == '.' {
		r.pos++
		if !r.digits() {
			return nil, r.malformed()
		}
	}
	if r.pos < len(r.data) && r.data[r.pos]|0x20 == 'e' {
		r.pos++
		if r.pos < len(r.data) && (r.data[r.pos] == '+' || r.data[r.pos] == '-') {
			r.pos++
		}
		if !r.digits() {
			return nil, r.malformed()
		}
	}
	return r.data[start:r.pos], nil
}

func (r *reader) digits() bool {
	start := r.pos
	for r.pos < len(r.data) && r.data[r.pos] >= '0' && r.data[r.pos] <= '9' {
		r.pos++
	}
	return r.pos > start
}

// text consumes a JSON string; r.pos is at its quote.
func (r *reader) text() (string, error) {
	r.pos++
	start := r.pos
	ascii := true
	for r.pos < len(r.data) {
		switch b := r.data[r.pos]; {
		case b == '"':
			raw := r.data[start:r.pos]
			if !ascii && !utf8.Valid(raw) {
				return "", r.malformed()
			}
			r.pos++
			return string(raw), nil
		case b == '\\':
			return r.escaped(start)
		case b < 0x20:
			return "", r.malformed()
		case b >= utf8.RuneSelf:
			ascii = false
		}
		r.pos++
	}
	return "", r.malformed()
}

// escaped finishes a string with escapes; r.pos is at the first of them.
func (r *reader) escaped(start int) (string, error) {
	out := append(make([]byte, 0, r.pos-start+32), r.data[start:r.pos]...)
	for r.pos < len(r.data) {
		switch b := r.data[r.pos]; {
		case b == '"':
			if !utf8.Valid(out) {
				return "", r.malformed()
			}
			r.pos++
			return string(out), nil
		case b < 0x20:
			return "", r.malformed()
		case b != '\\':
			out = append(out, b)
			r.pos++
			continue
		}
		r.pos++
		if r.pos == len(r.data) {
			break
		}
		b := r.data[r.pos]
		r.pos++
		switch b {
		case '"', '\\', '/':
			out = append(out, b)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			unit, ok := r.hex()
			if !ok {
				return "", r.malformed()
			}
			if utf16.IsSurrogate(unit) {
				if r.pos+1 >= len(r.data) || r.data[r.pos] != '\\' || r.data[r.pos+1] != 'u' {
					return "", r.malformed()
				}
				r.pos += 2
				low, ok := r.hex()
				unit = utf16.DecodeRune(unit, low)
				if !ok || unit == utf8.RuneError {
					return "", r.malformed()
				}
			}
			out = utf8.AppendRune(out, unit)
		default:
			return "", r.malformed()
		}
	}
	return "", r.malformed()
}

// hex consumes the four digits of \u.
func (r *reader) hex() (rune, bool) {
	if len(r.data)-r.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.data[r.pos:r.pos+4]), 16, 16)
	if err != nil || r.data[r.pos] == '+' || r.data[r.pos] == '-' {
		return 0, false
	}
	r.pos += 4
	return rune(n), true
}

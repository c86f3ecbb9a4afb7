package awsapi

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Marshal writes a document type of the SDK (types.RestApi, acm's
// types.CertificateDetail), an XxxInput or XxxOutput, or a list or map of
// such, as JSON with the wire's names. nil members are left out, empty lists
// and maps are written, zero scalars as the wire has them. Members that travel
// outside the body are left out; timestamps keep milliseconds. The same value
// gives the same bytes. It fails for types that have no table.
func Marshal(doc any) ([]byte, error) {
	v := reflect.ValueOf(doc)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return []byte("null"), nil
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return []byte("null"), nil
	}
	c, err := planOf(v.Type())
	if err != nil {
		return nil, err
	}
	return appendValue(make([]byte, 0, 512), c, noTime, v)
}

// Unmarshal is the reverse of Marshal. doc is a pointer; members that are not
// in data keep what they hold. The error is an *Error with the place at fault.
func Unmarshal(data []byte, doc any) error {
	v := reflect.ValueOf(doc)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("awsapi: Unmarshal into %T", doc)
	}
	c, err := planOf(v.Type().Elem())
	if err != nil {
		return err
	}
	return (&reader{data: data}).document(c, v.Elem())
}

// appendValue writes v, which is not absent.
func appendValue(b []byte, c *codec, form timeForm, v reflect.Value) ([]byte, error) {
	if c.pointer {
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		v = v.Elem()
	}
	switch c.kind {
	case kString:
		return appendString(b, v.String()), nil
	case kBool:
		return strconv.AppendBool(b, v.Bool()), nil
	case kInt:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case kFloat:
		n := v.Float()
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("awsapi: %v is no JSON number", n)
		}
		return strconv.AppendFloat(b, n, 'f', -1, c.bits), nil
	case kBlob:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"'), nil
	case kTime:
		t := v.Interface().(time.Time)
		if form == epochSeconds {
			return appendEpoch(b, t)
		}
		text, err := formatTime(form, t)
		return appendString(b, text), err
	case kStruct:
		return appendStruct(b, c, v)
	case kList:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendValue(b, c.elem, noTime, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case kMap:
		return appendMap(b, c, v)
	case kUnion:
		return appendUnion(b, c, v)
	}
	return nil, fmt.Errorf("awsapi: %s cannot be written in a document", c.typ)
}

// absent reports whether a member is left out of the document.
func (f *field) absent(v reflect.Value) bool {
	if f.codec.pointer {
		return v.IsNil()
	}
	switch f.codec.kind {
	case kString: // an enum: the SDK holds it without a pointer
		return v.Len() == 0
	case kBool, kInt, kFloat:
		return f.silent && v.IsZero()
	case kTime:
		return v.IsZero()
	case kStruct:
		return false
	}
	return v.IsNil()
}

func appendStruct(b []byte, c *codec, v reflect.Value) ([]byte, error) {
	b = append(b, '{')
	first := true
	for _, f := range c.fields {
		if f.In != inBody {
			continue
		}
		member := v.Field(f.index)
		if f.absent(member) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, f.name...)
		var err error
		if b, err = appendValue(b, f.codec, f.Time, member); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Wire, err)
		}
	}
	return append(b, '}'), nil
}

func appendMap(b []byte, c *codec, v reflect.Value) ([]byte, error) {
	if m, ok := v.Interface().(map[string]string); ok {
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(m)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, key), ':')
			b = appendString(b, m[key])
		}
		return append(b, '}'), nil
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int {
		if x.String() < y.String() {
			return -1
		}
		return 1
	})
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, key.String()), ':')
		var err error
		if b, err = appendValue(b, c.elem, noTime, v.MapIndex(key)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendUnion(b []byte, c *codec, v reflect.Value) ([]byte, error) {
	f, held := c.alternative(v)
	if f == nil {
		return nil, fmt.Errorf("awsapi: %s holds none of its members", c.typ)
	}
	b = append(append(b, '{'), f.name...)
	b, err := appendValue(b, f.codec, f.Time, held)
	return append(b, '}'), err
}

// appendEpoch writes seconds since 1970, with milliseconds where there are any.
func appendEpoch(b []byte, t time.Time) ([]byte, error) {
	if s := t.Unix(); s < firstSecond || s > lastSecond {
		return nil, fmt.Errorf("awsapi: year %d in a timestamp", t.Year())
	}
	ms := t.UnixMilli()
	if ms < 0 {
		b = append(b, '-')
		ms = -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b, nil
}

// formatTime writes the textual forms.
func formatTime(form timeForm, t time.Time) (string, error) {
	if s := t.Unix(); s < firstSecond || s > lastSecond {
		return "", fmt.Errorf("awsapi: year %d in a timestamp", t.Year())
	}
	if form == httpDate {
		return t.UTC().Format(http.TimeFormat), nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.999Z"), nil
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string; invalid UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[done:i]...), "\ufffd"...)
				done = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		done = i
	}
	return append(append(b, s[done:]...), '"')
}

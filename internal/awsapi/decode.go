package awsapi

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Presence holds the members that a request set, by their path on the wire:
// "endpointConfiguration.types", "patchOperations.1.member.value" (lists count
// from 1), "variables". A member that is null was not set. Members of the query
// and the headers are in it under their wire names; those of the path, which
// are always there, are not.
type Presence map[string]bool

// Request is a decoded request.
type Request struct {
	Operation *Operation
	Input     any // *apigateway.CreateRestApiInput
	Presence  Presence
	Unknown   []string // members and query parameters that the operation does not have; the first of them
}

// Bounds of what is kept about a bad or foreign request.
const (
	maxUnknown    = 32
	maxViolations = 32
)

// decoder collects what is noted while a request is decoded.
type decoder struct {
	presence   Presence
	unknowns   []string
	violations []string // the first of them
	violated   int      // how many there were
}

func (d *decoder) unknown(path, name string) {
	if len(d.unknowns) < maxUnknown {
		d.unknowns = append(d.unknowns, clip(strings.TrimPrefix(path+"."+name, ".")))
	}
}

func (d *decoder) violate(format string, args ...any) {
	d.violated++
	if len(d.violations) < maxViolations {
		d.violations = append(d.violations, fmt.Sprintf(format, args...))
	}
}

// checkEnum notes a value outside its enum.
func (d *decoder) checkEnum(path []byte, value string, enum []string) {
	if !slices.Contains(enum, value) {
		d.violate("Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
			clip(value), clip(strings.TrimPrefix(string(path), ".")), strings.Join(enum, ", "))
	}
}

// checkEnums notes a list with a value outside its enum: the service shows the
// whole list and the constraint of its members.
func (d *decoder) checkEnums(path []byte, list reflect.Value, enum []string) {
	legal := true
	values := make([]string, list.Len())
	for i := range values {
		values[i] = list.Index(i).String()
		legal = legal && slices.Contains(enum, values[i])
	}
	if !legal {
		d.violate("Value '[%s]' at '%s' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [%s]]",
			clip(strings.Join(values, ", ")), clip(strings.TrimPrefix(string(path), ".")), strings.Join(enum, ", "))
	}
}

// Decode reads the request of the operation. body is the whole body; bounding
// its size is the caller's part. The error is an *Error for the client:
// SerializationException for a document of the wrong form, ValidationException
// naming every member that is missing or outside its enum.
func (op *Operation) Decode(r *http.Request, body []byte) (*Request, error) {
	plan, err := planOf(op.input)
	if err != nil {
		return nil, err
	}
	d := &decoder{presence: Presence{}}
	input := reflect.New(op.input)
	switch op.Service.Protocol {
	case Query:
		err = d.form(r, body, plan, input.Elem())
	case RESTJSON:
		if err = d.http(op, r, plan, input.Elem()); err != nil {
			break
		}
		if plan.whole != nil {
			err = d.payload(plan.whole, body, input.Elem())
		} else if len(plan.body) > 0 {
			err = d.json(body, plan, input.Elem())
		}
	default:
		err = d.json(body, plan, input.Elem())
	}
	if err != nil {
		return nil, err
	}
	d.require(plan, input.Elem(), "")
	if d.violated > 0 {
		plural := "s"
		if d.violated == 1 {
			plural = ""
		}
		return nil, &Error{
			Code:    "ValidationException",
			Message: fmt.Sprintf("%d validation error%s detected: %s", d.violated, plural, strings.Join(d.violations, "; ")),
			Status:  http.StatusBadRequest,
		}
	}
	return &Request{Operation: op, Input: input.Interface(), Presence: d.presence, Unknown: d.unknowns}, nil
}

// json reads a body of members. No body is an object without members.
func (d *decoder) json(body []byte, plan *codec, v reflect.Value) error {
	r := &reader{data: body, notes: d}
	if r.peek() == 0 && r.pos == len(body) {
		return nil
	}
	if r.peek() != '{' {
		return r.mismatch("a structure")
	}
	return r.document(plan, v)
}

// payload makes the whole body one member.
func (d *decoder) payload(f *field, body []byte, v reflect.Value) error {
	if len(body) == 0 {
		return nil
	}
	target := v.Field(f.index)
	switch f.codec.kind {
	case kBlob:
		target.SetBytes(bytes.Clone(body))
	case kStream:
		target.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(body))))
	case kString:
		return d.set(f, target, string(body))
	default:
		r := &reader{data: body, notes: d}
		if _, err := r.value(f.codec, f.Time, target); err != nil {
			return err
		}
		if r.peek() != 0 || r.pos != len(body) {
			return r.malformed()
		}
	}
	return nil
}

// http reads what travels outside the body: path, query and headers.
func (d *decoder) http(op *Operation, r *http.Request, plan *codec, v reflect.Value) error {
	if len(plan.outer) == 0 && r.URL.RawQuery == "" {
		return nil
	}
	path, ok := splitPath(r.URL.EscapedPath())
	if n := len(op.segments); ok && n > 0 && op.segments[n-1].greedy && len(path) > n {
		path = append(path[:n-1], strings.Join(path[n-1:], "/"))
	}
	if !ok || len(path) != len(op.segments) {
		return errNoRoute()
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return serializationError("The query string is malformed.")
	}
	fixed, _ := url.ParseQuery(op.Query) // from a table
	rest := (*field)(nil)
	named := map[string]bool{}
	for _, f := range plan.outer {
		target := v.Field(f.index)
		switch f.In {
		case inURI:
			for i, s := range op.segments {
				if s.label == f.Wire {
					err = d.set(f, target, path[i])
				}
			}
		case inHeader:
			if values := r.Header.Values(f.Wire); len(values) > 0 {
				err = d.set(f, target, strings.Join(values, ","))
			}
		case inQuery:
			named[f.Wire] = true
			if values, ok := query[f.Wire]; ok {
				err = d.setAll(f, target, values)
			}
		case inQueryRest:
			rest = f
		}
		if err != nil {
			return err
		}
	}
	names := make([]string, 0, len(query))
	for name := range query {
		// What a presigned URL carries belongs to the signature.
		if !named[name] && !fixed.Has(name) && !strings.HasPrefix(name, "X-Amz-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if rest == nil {
		for _, name := range names {
			d.unknown("", name)
		}
		return nil
	}
	if len(names) > 0 {
		m := make(map[string]string, len(names))
		for _, name := range names {
			m[name] = query.Get(name)
		}
		v.Field(rest.index).Set(reflect.ValueOf(m))
	}
	return nil
}

// setAll sets a member from the values of a query parameter.
func (d *decoder) setAll(f *field, v reflect.Value, values []string) error {
	if f.codec.kind != kList {
		if len(values) > 1 {
			return serializationError("The parameter '%s' comes twice", clip(f.Wire))
		}
		return d.set(f, v, values[0])
	}
	list := reflect.MakeSlice(f.codec.typ, len(values), len(values))
	for i, text := range values {
		if err := setText(f.codec.elem, f.Time, list.Index(i), text); err != nil {
			return serializationError("%s at '%s'", err, clip(f.Wire))
		}
	}
	if f.codec.elem.enum != nil {
		d.checkEnums([]byte(f.Wire), list, f.codec.elem.enum)
	}
	v.Set(list)
	d.presence[f.Wire] = true
	return nil
}

// set sets a scalar member from its text.
func (d *decoder) set(f *field, v reflect.Value, text string) error {
	if err := setText(f.codec, f.Time, v, text); err != nil {
		return serializationError("%s at '%s'", err, clip(f.Wire))
	}
	if f.codec.enum != nil {
		d.checkEnum([]byte(f.Wire), text, f.codec.enum)
	}
	if f.In != inURI { // PutIntegration has an httpMethod in the path and one in the body
		d.presence[f.Wire] = true
	}
	return nil
}

// setText parses a scalar from the path, the query, a header or a form.
func setText(c *codec, form timeForm, v reflect.Value, text string) error {
	if c.pointer {
		v.Set(reflect.New(c.typ))
		v = v.Elem()
	}
	switch c.kind {
	case kString:
		v.SetString(text)
		return nil
	case kBool:
		if text == "true" || text == "false" {
			v.SetBool(text == "true")
			return nil
		}
		return fmt.Errorf("'%s' can not be converted to a Boolean", clip(text))
	case kInt:
		n, err := strconv.ParseInt(text, 10, c.bits)
		if err != nil {
			return fmt.Errorf("'%s' can not be converted to an Integer", clip(text))
		}
		v.SetInt(n)
		return nil
	case kFloat:
		n, err := strconv.ParseFloat(text, c.bits)
		if err != nil || n-n != 0 { // no infinity and no NaN
			return fmt.Errorf("'%s' can not be converted to a Double", clip(text))
		}
		v.SetFloat(n)
		return nil
	case kBlob:
		blob, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("'%s' is not base64", clip(text))
		}
		v.SetBytes(blob)
		return nil
	case kTime:
		t, ok := parseTime(form, text)
		if form == epochSeconds {
			t, ok = parseEpoch(text)
		}
		if !ok {
			return fmt.Errorf("'%s' can not be converted to a Timestamp", clip(text))
		}
		v.Set(reflect.ValueOf(t))
		return nil
	}
	return fmt.Errorf("a %s can not be one text", c.typ)
}

// require notes every required member that is missing, in v and below. path is
// that of v on the wire, with a dot at its end unless it is the request itself.
func (d *decoder) require(c *codec, v reflect.Value, path string) {
	switch c.kind {
	case kStruct:
		for _, f := range c.fields {
			member, name := v.Field(f.index), path+f.Wire
			if f.In == inPayload {
				name = "body"
			}
			if !f.absent(member) {
				d.requireIn(f.codec, member, name)
			} else if f.Required && !d.presence[name] {
				d.violate("Value null at '%s' failed to satisfy constraint: Member must not be null", clip(name))
			}
		}
	case kList:
		for i := range v.Len() {
			d.requireIn(c.elem, v.Index(i), path+strconv.Itoa(i+1)+".member")
		}
	case kMap:
		keys := make([]string, 0, v.Len())
		for _, key := range v.MapKeys() {
			keys = append(keys, key.String())
		}
		slices.Sort(keys)
		for _, key := range keys {
			elem := v.MapIndex(reflect.ValueOf(key).Convert(c.typ.Key()))
			d.requireIn(c.elem, elem, path+key+".member")
		}
	case kUnion:
		if f, held := c.alternative(v); f != nil {
			d.requireIn(f.codec, held, path+f.Wire)
		}
	}
}

func (d *decoder) requireIn(c *codec, v reflect.Value, path string) {
	if c.deep {
		d.require(c, reflect.Indirect(v), path+".")
	}
}

package awsapi

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// kind is how a codec treats its values.
type kind int

const (
	kString kind = iota
	kBool
	kInt
	kFloat
	kBlob // []byte, base64 in documents
	kTime
	kStruct
	kList
	kMap
	kUnion
	kStream // io.Reader or io.ReadCloser, as a payload only
)

// codec is the compiled plan of one Go type.
type codec struct {
	typ     reflect.Type // what is held, without the pointer
	kind    kind
	pointer bool // the value is held through a pointer, and nil is absence
	bits    int  // of a number

	elem   *codec   // of a list or map
	fields []*field // of a struct, in the order they are written; of a union, one per member
	body   map[string]*field
	outer  []*field // of a struct: what travels outside the body
	whole  *field   // of a struct: the payload
	enum   []string // legal values of a string, nil when any
	deep   bool     // it can hold structs, and so required members
}

// field is one member of a struct, or one alternative of a union.
type field struct {
	member
	index  int    // of the field in the Go struct
	number int    // its place in codec.fields
	name   []byte // `"wire":`
	silent bool   // a zero scalar is left out
	codec  *codec
	alt    reflect.Type // of a union: the member's struct
}

// maxFields bounds the members of one struct, so that a bit set can tell which
// came twice.
const maxFields = 256

var (
	planLock sync.RWMutex
	plans    = map[reflect.Type]*codec{}
)

// planOf returns the plan of a type, compiling it the first time.
func planOf(t reflect.Type) (*codec, error) {
	planLock.RLock()
	c := plans[t]
	planLock.RUnlock()
	if c != nil {
		return c, nil
	}
	tables := known()
	planLock.Lock()
	defer planLock.Unlock()
	added := &compiler{tables, map[reflect.Type]*codec{}}
	c, err := added.compile(t)
	if err != nil {
		return nil, err
	}
	for t, c := range added.plans {
		plans[t] = c
	}
	return c, nil
}

// compiler holds what one compilation adds: all of it is kept, or nothing.
type compiler struct {
	tables *registry
	plans  map[reflect.Type]*codec
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	readerType     = reflect.TypeFor[io.Reader]()
	readCloserType = reflect.TypeFor[io.ReadCloser]()
)

func (p *compiler) compile(t reflect.Type) (*codec, error) {
	if c := plans[t]; c != nil {
		return c, nil
	}
	if c := p.plans[t]; c != nil {
		return c, nil
	}
	c := &codec{typ: t}
	p.plans[t] = c // before its members: types may be recursive
	if t.Kind() == reflect.Pointer {
		c.pointer = true
		c.typ = t.Elem()
	}
	var err error
	switch c.typ.Kind() {
	case reflect.String:
		c.kind = kString
		c.enum = EnumValues(c.typ)
	case reflect.Bool:
		c.kind = kBool
	case reflect.Int32, reflect.Int64:
		c.kind, c.bits = kInt, c.typ.Bits()
	case reflect.Float32, reflect.Float64:
		c.kind, c.bits = kFloat, c.typ.Bits()
	case reflect.Slice:
		if c.typ.Elem().Kind() == reflect.Uint8 {
			c.kind = kBlob
			break
		}
		c.kind = kList
		if c.elem, err = p.compile(c.typ.Elem()); err == nil {
			c.deep = c.elem.deep
		}
	case reflect.Map:
		if c.typ.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("awsapi: %s: keys are no strings", c.typ)
		}
		c.kind = kMap
		if c.elem, err = p.compile(c.typ.Elem()); err == nil {
			c.deep = c.elem.deep
		}
	case reflect.Struct:
		if c.typ == timeType {
			c.kind = kTime
			break
		}
		c.kind, c.deep = kStruct, true
		err = p.compileStruct(c)
	case reflect.Interface:
		if c.typ == readerType || c.typ == readCloserType {
			c.kind = kStream
			break
		}
		c.kind, c.deep = kUnion, true
		err = p.compileUnion(c)
	default:
		err = fmt.Errorf("awsapi: %s cannot travel", t)
	}
	return c, err
}

func (p *compiler) compileStruct(c *codec) error {
	shape, ok := p.tables.shapes[c.typ]
	if !ok {
		return fmt.Errorf("awsapi: %s has no table", c.typ)
	}
	if len(shape.Members) > maxFields {
		return fmt.Errorf("awsapi: %s has %d members, more than %d", c.typ, len(shape.Members), maxFields)
	}
	c.body = map[string]*field{}
	for _, m := range shape.Members {
		f, err := p.compileField(c.typ, m)
		if err != nil {
			return err
		}
		f.number = len(c.fields)
		f.silent = silentZero[c.typ] == m.Field
		c.fields = append(c.fields, f)
		switch m.In {
		case inBody:
			c.body[m.Wire] = f
		case inPayload:
			c.whole = f
		default:
			c.outer = append(c.outer, f)
		}
	}
	return nil
}

func (p *compiler) compileUnion(c *codec) error {
	members, ok := p.tables.unions[c.typ]
	if !ok {
		return fmt.Errorf("awsapi: %s has no table of its members", c.typ)
	}
	c.body = map[string]*field{}
	for _, alt := range members {
		f, err := p.compileField(alt, p.tables.shapes[alt].Members[0])
		if err != nil {
			return err
		}
		f.alt = alt
		c.fields = append(c.fields, f)
		c.body[f.Wire] = f
	}
	return nil
}

func (p *compiler) compileField(t reflect.Type, m member) (*field, error) {
	goField, ok := t.FieldByName(m.Field)
	if !ok || len(goField.Index) != 1 {
		return nil, fmt.Errorf("awsapi: %s has no field %s: run go generate", t, m.Field)
	}
	inner, err := p.compile(goField.Type)
	if err != nil {
		return nil, err
	}
	return &field{
		member: m,
		index:  goField.Index[0],
		name:   append(strconv.AppendQuote(nil, m.Wire), ':'),
		codec:  inner,
	}, nil
}

// alternative returns the member that a union holds, and its value; nil when it
// holds none that is known.
func (c *codec) alternative(v reflect.Value) (*field, reflect.Value) {
	held := reflect.Indirect(v.Elem())
	if held.IsValid() {
		for _, f := range c.fields {
			if f.alt == held.Type() {
				return f, held.Field(f.index)
			}
		}
	}
	return nil, reflect.Value{}
}

package awsapi

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// form reads the request of a Query operation: "Tags.member.1.Key=a".
func (d *decoder) form(r *http.Request, body []byte, plan *codec, v reflect.Value) error {
	values, err := formOf(r, body)
	if err != nil {
		return err
	}
	f := &form{values: map[string]string{}, decoder: d}
	for name, list := range values {
		if len(list) > 1 {
			return serializationError("The parameter '%s' comes twice", clip(name))
		}
		f.values[name] = list[0]
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
	used := map[string]bool{"Action": true, "Version": true}
	if err := f.object(plan, v, "", used); err != nil {
		return err
	}
	for _, name := range f.names {
		if !used[name] && !strings.HasPrefix(name, "X-Amz-") {
			d.unknown("", name)
		}
	}
	return nil
}

// form is the parameters of a Query request.
type form struct {
	values  map[string]string
	names   []string // sorted
	decoder *decoder
}

// has reports whether a parameter begins with prefix.
func (f *form) has(prefix string) bool {
	i, _ := slices.BinarySearch(f.names, prefix)
	return i < len(f.names) && strings.HasPrefix(f.names[i], prefix)
}

func (f *form) object(c *codec, v reflect.Value, prefix string, used map[string]bool) error {
	for _, m := range c.fields {
		name, target := prefix+m.Wire, v.Field(m.index)
		switch m.codec.kind {
		case kList:
			if err := f.list(m, target, name, used); err != nil {
				return err
			}
		case kStruct:
			if !f.has(name + ".") {
				continue
			}
			if m.codec.pointer {
				target.Set(reflect.New(m.codec.typ))
				target = target.Elem()
			}
			if err := f.object(m.codec, target, name+".", used); err != nil {
				return err
			}
			f.decoder.presence[name] = true
		default:
			text, ok := f.values[name]
			if !ok {
				continue
			}
			used[name] = true
			if err := setText(m.codec, m.Time, target, text); err != nil {
				return serializationError("%s at '%s'", err, clip(name))
			}
			if m.codec.enum != nil {
				f.decoder.checkEnum([]byte(name), text, m.codec.enum)
			}
			f.decoder.presence[name] = true
		}
	}
	return nil
}

// list reads elements from 1 on, until one is missing.
func (f *form) list(m *field, v reflect.Value, name string, used map[string]bool) error {
	list := reflect.MakeSlice(m.codec.typ, 0, 0)
	if _, empty := f.values[name]; empty { // how clients send a list without elements
		used[name] = true
		v.Set(list)
		f.decoder.presence[name] = true
	}
	elem := m.codec.elem
	for n := 1; ; n++ {
		at := name + "." + m.Item + "." + strconv.Itoa(n)
		text, scalar := f.values[at]
		if !scalar && !f.has(at+".") {
			break
		}
		list = reflect.Append(list, reflect.Zero(m.codec.typ.Elem()))
		target := list.Index(n - 1)
		if elem.kind == kStruct {
			if err := f.object(elem, reflect.Indirect(target), at+".", used); err != nil {
				return err
			}
			continue
		}
		used[at] = true
		if err := setText(elem, m.Time, target, text); err != nil {
			return serializationError("%s at '%s'", err, clip(at))
		}
	}
	if list.Len() > 0 {
		v.Set(list)
		f.decoder.presence[name] = true
		if elem.enum != nil {
			f.decoder.checkEnums([]byte(name), list, elem.enum)
		}
	}
	return nil
}

// appendXML writes the answer of a Query operation.
func (op *Operation) appendXML(requestID string, plan *codec, v reflect.Value) ([]byte, error) {
	var b strings.Builder
	b.WriteString("<" + op.Name + `Response xmlns="` + queryNamespace + `">`)
	if op.wrapper != "" {
		b.WriteString("<" + op.wrapper + ">")
		if err := appendElements(&b, plan, v); err != nil {
			return nil, err
		}
		b.WriteString("</" + op.wrapper + ">")
	}
	b.WriteString("<ResponseMetadata>")
	element(&b, "RequestId", requestID)
	b.WriteString("</ResponseMetadata></" + op.Name + "Response>")
	return []byte(b.String()), nil
}

// appendElements writes the members of a struct. The generator refuses
// services whose XML answers have lists.
func appendElements(b *strings.Builder, c *codec, v reflect.Value) error {
	for _, f := range c.fields {
		member := v.Field(f.index)
		if f.absent(member) {
			continue
		}
		if f.codec.kind == kStruct {
			b.WriteString("<" + f.Wire + ">")
			if err := appendElements(b, f.codec, reflect.Indirect(member)); err != nil {
				return err
			}
			b.WriteString("</" + f.Wire + ">")
			continue
		}
		text, err := textOf(f.codec, f.Time, member)
		if err != nil {
			return err
		}
		element(b, f.Wire, text)
	}
	return nil
}

package awsapi

import (
	"fmt"
	"reflect"
	"time"
)

// filler sets every member of a value to something that tells it from its
// neighbours and is awkward to carry: quotes, slashes, percent signs, spaces,
// letters outside ASCII.
type filler struct {
	n     int
	depth int
}

func (f *filler) fill(v reflect.Value) {
	f.n++
	f.depth++
	defer func() { f.depth-- }()
	if v.Type() == timeType {
		v.Set(reflect.ValueOf(time.UnixMilli(1763553600123 + int64(f.n)*1001).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if f.depth < 12 || v.Type().Elem().Kind() != reflect.Struct {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.String:
		if enum := EnumValues(v.Type()); enum != nil {
			v.SetString(enum[f.n%len(enum)])
			return
		}
		v.SetString(fmt.Sprintf(`%d "a/b" <%%28 &ü €𝄞>+`, f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.25)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{0, 0xff, '"', byte(f.n)})
			return
		}
		n := 2
		if f.depth > 8 { // recursive unions
			n = 0
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(key)
			f.fill(elem)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		// What a table leaves out never travels; that it leaves out no more than
		// it was told to is the generator's to check.
		for _, m := range known().shapes[v.Type()].Members {
			f.fill(v.FieldByName(m.Field))
		}
	case reflect.Interface:
		members := known().unions[v.Type()]
		pick := members[f.n%len(members)]
		if f.depth > 8 { // recursive unions end in a plain one
			for _, m := range members {
				if held := m.Field(0).Type.Kind(); held != reflect.Interface && held != reflect.Slice {
					pick = m
				}
			}
		}
		held := reflect.New(pick)
		f.fill(held.Elem().Field(0))
		v.Set(held)
	default:
		panic("fill " + v.Type().String())
	}
}

// filled returns a pointer to a filled value of the type.
func filled(t reflect.Type, seed int) any {
	v := reflect.New(t)
	(&filler{n: seed}).fill(v.Elem())
	return v.Interface()
}

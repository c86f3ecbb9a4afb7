package awsapi

import (
	"fmt"
	"reflect"
	"sync"
)

// Convert copies the members that two structs have in common, by Go name and
// type: a types.RestApi into a CreateRestApiOutput. dst is a pointer to a
// struct, src a struct or a pointer to one; members that only one of them has,
// or that differ in type, are left alone. The copy is shallow: maps, lists and
// pointers are shared. It panics on anything else.
func Convert(dst, src any) {
	d := reflect.ValueOf(dst).Elem()
	s := reflect.ValueOf(src)
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	key := [2]reflect.Type{d.Type(), s.Type()}
	common, ok := conversions.Load(key)
	if !ok {
		common, _ = conversions.LoadOrStore(key, commonFields(key[0], key[1]))
	}
	for _, pair := range common.([][2]int) {
		d.Field(pair[0]).Set(s.Field(pair[1]))
	}
}

// conversions caches [2]reflect.Type to [][2]int, the field indexes to copy.
var conversions sync.Map

func commonFields(dst, src reflect.Type) [][2]int {
	if dst.Kind() != reflect.Struct || src.Kind() != reflect.Struct {
		panic(fmt.Sprintf("awsapi: Convert %s to %s", src, dst))
	}
	var common [][2]int
	for i := range dst.NumField() {
		d := dst.Field(i)
		if !d.IsExported() || d.Name == "ResultMetadata" {
			continue
		}
		if s, ok := src.FieldByName(d.Name); ok && s.Type == d.Type && len(s.Index) == 1 {
			common = append(common, [2]int{i, s.Index[0]})
		}
	}
	return common
}

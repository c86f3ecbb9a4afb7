package awsapi

import "reflect"

// EnumValues returns the legal values of an enum type of the SDK, in the order
// of its Values method, or nil for any other type.
func EnumValues(t reflect.Type) []string {
	if t.Kind() != reflect.String {
		return nil
	}
	method, ok := t.MethodByName("Values")
	if !ok || method.Type.NumIn() != 1 || method.Type.NumOut() != 1 || method.Type.Out(0) != reflect.SliceOf(t) {
		return nil
	}
	list := method.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	values := make([]string, list.Len())
	for i := range values {
		values[i] = list.Index(i).String()
	}
	return values
}

package resource

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// opSet is the set of patch operations that a path takes.
type opSet uint8

const (
	add opSet = 1 << iota
	replace
	remove
	copyFrom
)

// opNames is in the order in which error texts list operations.
var opNames = []struct {
	bit opSet
	op  types.Op
}{
	{add, types.OpAdd},
	{remove, types.OpRemove},
	{replace, types.OpReplace},
	{copyFrom, types.OpCopy},
}

func (s opSet) names() []types.Op {
	var names []types.Op
	for _, o := range opNames {
		if s&o.bit != 0 {
			names = append(names, o.op)
		}
	}
	return names
}

// row is one path that an Update operation takes. In path, {name} stands for
// one segment, escapes resolved.
// Source of all tables: API reference, Patch Operations.
type row[T any] struct {
	path string
	ops  opSet
	set  setter[T]
}

// setter puts an edit's value into a document.
type setter[T any] func(doc *T, e edit) error

// edit is one operation as a setter sees it.
type edit struct {
	op    types.Op
	path  string   // as sent
	raw   []string // segments of the path as sent
	args  []string // what {…} stood for, escapes resolved
	value *string  // nil: absent
	from  string
}

// text returns the value of an edit that cannot do without one.
func (e edit) text() (string, error) {
	if e.value == nil {
		return "", Errorf(BadRequest, "Invalid patch value: op '%s' on path '%s' needs a value", e.op, e.path)
	}
	return *e.value, nil
}

func (e edit) badValue(want string) error {
	return Errorf(BadRequest, "Invalid patch value '%s' for path '%s': must be %s", aws.ToString(e.value), e.path, want)
}

// absent refuses an edit of something that the document does not hold.
func (e edit) absent() error { return Errorf(BadRequest, "Invalid patch path %s", e.path) }

// table is the paths of one Update operation. Literal segments win over {…}.
type table[T any] struct {
	rows []row[T]
	// unknown makes the refusal of a path in no row; nil: the usual text.
	unknown func(e edit) error
}

// patch applies ops in order to a copy of old, all or none. What the end state
// must satisfy is for the caller to judge.
func (t table[T]) patch(old T, ops []types.PatchOperation) (T, error) {
	doc := clone(old)
	var p problems
	for i, op := range ops {
		if !slices.Contains(op.Op.Values(), op.Op) {
			p.constraintf(string(op.Op), fmt.Sprintf("patchOperations.%d.member.op", i+1),
				"Member must satisfy enum value set: [%s]", join(op.Op.Values()))
		}
	}
	if err := p.err(); err != nil {
		return old, err
	}
	for _, op := range ops {
		if err := t.apply(&doc, op); err != nil {
			return old, err
		}
	}
	return doc, nil
}

func (t table[T]) apply(doc *T, op types.PatchOperation) error {
	e := edit{op: op.Op, path: aws.ToString(op.Path), value: op.Value, from: aws.ToString(op.From)}
	var bit, all opSet
	for _, o := range opNames {
		if o.op == op.Op {
			bit = o.bit
		}
	}
	for _, r := range t.rows {
		all |= r.ops
	}
	if all&bit == 0 {
		if all == add|replace|remove {
			return Errorf(BadRequest, "Invalid patch operation specified. Must be 'add'|'remove'|'replace'")
		}
		return Errorf(BadRequest, "Invalid patch operation specified. Must be one of: [%s]", join(all.names()))
	}
	segments, ok := splitPointer(e.path)
	if !ok {
		return e.absent()
	}
	e.raw = segments
	known := false
	for _, r := range t.rows {
		args, ok := match(r.path, segments)
		if !ok {
			continue
		}
		// A template that begins with {…} fits nearly anything, so it makes no
		// path known.
		known = known || !strings.HasPrefix(r.path, "/{")
		if r.ops&bit != 0 {
			e.args = args
			return r.set(doc, e)
		}
	}
	switch {
	case known:
		return Errorf(BadRequest, "Invalid patch path  '%s' specified for op '%s'. Please choose supported operations", e.path, e.op)
	case t.unknown != nil:
		return t.unknown(e)
	default:
		return Errorf(BadRequest, "Invalid patch path  '%s' specified for op '%s'. Must be one of: [%s]", e.path, e.op, strings.Join(t.paths(bit), ", "))
	}
}

func (t table[T]) paths(bit opSet) []string {
	var paths []string
	for _, r := range t.rows {
		if r.ops&bit != 0 {
			paths = append(paths, r.path)
		}
	}
	return paths
}

// splitPointer cuts a JSON Pointer (RFC 6901) at its slashes and leaves escapes
// alone. It refuses the empty pointer and broken escapes.
func splitPointer(path string) ([]string, bool) {
	if !strings.HasPrefix(path, "/") {
		return nil, false
	}
	for i := 0; i < len(path); i++ {
		if path[i] == '~' && (i+1 == len(path) || path[i+1] != '0' && path[i+1] != '1') {
			return nil, false
		}
	}
	return strings.Split(path[1:], "/"), true
}

// unescape resolves ~1 before ~0, so that ~01 is "~1" and not "/" (RFC 6901).
func unescape(segment string) string {
	return strings.ReplaceAll(strings.ReplaceAll(segment, "~1", "/"), "~0", "~")
}

// match compares raw segments with a template; literals match only unescaped
// spellings, so that a name that holds a slash is never taken for structure.
func match(template string, segments []string) (args []string, ok bool) {
	want := strings.Split(template[1:], "/")
	if len(want) != len(segments) {
		return nil, false
	}
	for i, w := range want {
		if strings.HasPrefix(w, "{") {
			if segments[i] == "" {
				return nil, false
			}
			args = append(args, unescape(segments[i]))
		} else if w != segments[i] {
			return nil, false
		}
	}
	return args, true
}

// The setters: one per type of value. Each reaches its member through get.

// text: any string; empty, or removed, the member is absent.
func text[T any](get func(*T) **string) setter[T] {
	return func(doc *T, e edit) error {
		if e.op == types.OpRemove {
			*get(doc) = nil
			return nil
		}
		v, err := e.text()
		if err != nil {
			return err
		}
		if *get(doc) = nil; v != "" {
			*get(doc) = &v
		}
		return nil
	}
}

// flag: "true" or "false".
func flag[T any](get func(*T) *bool) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.boolean()
		if err == nil {
			*get(doc) = v
		}
		return err
	}
}

func (e edit) boolean() (bool, error) {
	v, err := e.text()
	switch {
	case err != nil:
		return false, err
	case strings.EqualFold(v, "true"):
		return true, nil
	case strings.EqualFold(v, "false"):
		return false, nil
	}
	return false, e.badValue("true or false")
}

// integer: a whole number from lo to hi.
func integer[T any](lo, hi int32, get func(*T) *int32) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || int32(n) < lo || int32(n) > hi {
			return e.badValue(fmt.Sprintf("a whole number between %d and %d", lo, hi))
		}
		*get(doc) = int32(n)
		return nil
	}
}

var decimalPattern = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,15})?$`)

// decimal: a number from 0 to hi, such as "10.000000".
func decimal[T any](hi float64, get func(*T) *float64) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err != nil {
			return err
		}
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || !decimalPattern.MatchString(v) || n > hi {
			limit := "a number that is not negative"
			if hi < math.MaxFloat64 {
				limit = fmt.Sprintf("a number between 0 and %g", hi)
			}
			return e.badValue(limit)
		}
		*get(doc) = n
		return nil
	}
}

// choice: one of the type's values.
func choice[T any, E interface {
	~string
	Values() []E
}](get func(*T) *E) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err != nil {
			return err
		}
		if values := E(v).Values(); !slices.Contains(values, E(v)) {
			return e.badValue("one of [" + join(values) + "]")
		}
		*get(doc) = E(v)
		return nil
	}
}

// choiceOrNone: as choice, and empty or removed unsets the member.
func choiceOrNone[T any, E interface {
	~string
	Values() []E
}](get func(*T) *E) setter[T] {
	pick := choice(get)
	return func(doc *T, e edit) error {
		if e.op == types.OpRemove || e.value != nil && *e.value == "" {
			*get(doc) = ""
			return nil
		}
		return pick(doc, e)
	}
}

// entry: the map's entry that the path's last segment names. Adding over an
// entry replaces it.
func entry[T any](get func(*T) *map[string]string) setter[T] {
	return entryOf(get, edit.text)
}

// flagEntry: as entry, "true" or "false".
func flagEntry[T any](get func(*T) *map[string]bool) setter[T] {
	return entryOf(get, edit.boolean)
}

func entryOf[T, V any](get func(*T) *map[string]V, parse func(edit) (V, error)) setter[T] {
	return func(doc *T, e edit) error {
		m, key := get(doc), e.args[len(e.args)-1]
		if e.op == types.OpRemove {
			if _, ok := (*m)[key]; !ok {
				return e.absent()
			}
			*m = without(*m, key)
			return nil
		}
		v, err := parse(e)
		if err != nil {
			return err
		}
		if *m == nil {
			*m = map[string]V{}
		}
		(*m)[key] = v
		return nil
	}
}

// member: the entry of a list used as a set that the path's last segment names.
// Replacing it puts the value, where one is given, in its place.
func member[T any](get func(*T) *[]string) setter[T] {
	return func(doc *T, e edit) error {
		list, name := get(doc), e.args[len(e.args)-1]
		at := slices.Index(*list, name)
		switch {
		case e.op == types.OpRemove && at < 0:
			return e.absent()
		case e.op == types.OpRemove:
			*list = slices.Delete(*list, at, at+1)
			return nil
		case e.op == types.OpReplace && aws.ToString(e.value) != "":
			if at >= 0 {
				*list = slices.Delete(*list, at, at+1)
			}
			name = *e.value
		}
		include(list, name)
		return nil
	}
}

// item: an entry of a list used as a set, given as the value.
func item[T any](get func(*T) *[]string) setter[T] {
	return func(doc *T, e edit) error {
		v, err := e.text()
		if err != nil {
			return err
		}
		if v == "" {
			return e.badValue("not empty")
		}
		list := get(doc)
		if e.op == types.OpAdd {
			include(list, v)
			return nil
		}
		at := slices.Index(*list, v)
		if at < 0 {
			return Errorf(BadRequest, "Invalid patch value '%s' for path '%s': it is not there to remove", v, e.path)
		}
		*list = slices.Delete(*list, at, at+1)
		return nil
	}
}

func include[E comparable](list *[]E, v E) {
	if !slices.Contains(*list, v) {
		*list = append(*list, v)
	}
}

// touched says that an operation names path, or something below it.
func touched(ops []types.PatchOperation, path string) bool {
	return slices.ContainsFunc(ops, func(op types.PatchOperation) bool {
		p := aws.ToString(op.Path)
		return p == path || strings.HasPrefix(p, path+"/")
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of one document. AWS takes templates of 1 MB; what is larger or
// deeper than these was not written for it.
const (
	maxTemplate = 8 << 20 // bytes
	maxDepth    = 200     // levels of nesting
	maxNodes    = 2_000_000
)

type nodeKind uint8

const (
	nullNode nodeKind = iota
	scalarNode
	listNode
	mapNode
	brokenNode // text says why it has no value
)

// A node is a piece of a document with the line it stands in. YAML's short
// forms are written out: !Ref X is {"Ref": "X"}. Aliases share the node they
// name, so what is read may be a graph, though never a cycle.
type node struct {
	kind  nodeKind
	plain bool // a scalar without quotes, which YAML may take for a boolean
	line  int
	text  string
	items []*node
	keys  []string // in the order of the document
	at    map[string]*node
}

// member is the node under a key; nil when n is no map or has none.
func (n *node) member(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	return n.at[key]
}

// put adds a member. A key that is there twice has no value: whose it is
// depends on the reader.
func (n *node) put(key string, value *node) {
	if first, twice := n.at[key]; twice {
		n.at[key] = &node{kind: brokenNode, line: value.line, text: fmt.Sprintf("%q is there twice, in lines %d and %d", key, first.line, value.line)}
		return
	}
	n.keys = append(n.keys, key)
	n.at[key] = value
}

// spelled is a scalar's text; a plain boolean is true or false, however it is
// written.
func (n *node) spelled() string {
	if n.plain && (strings.EqualFold(n.text, "true") || strings.EqualFold(n.text, "false")) {
		return strings.ToLower(n.text)
	}
	return n.text
}

// function takes {"Fn::X": argument} and {"Ref": argument} apart.
func (n *node) function() (name string, argument *node, ok bool) {
	if n == nil || n.kind != mapNode || len(n.keys) != 1 {
		return "", nil, false
	}
	if key := n.keys[0]; key == "Ref" || strings.HasPrefix(key, "Fn::") {
		return key, n.at[key], true
	}
	return "", nil, false
}

// parse reads JSON or YAML. The line of an error is that of the error, or 1.
func parse(data []byte) (root *node, line int, err error) {
	defer func() {
		// The parsers are others' and fuzzed, not proved.
		if broken := recover(); broken != nil {
			root, line, err = nil, 1, fmt.Errorf("the reader broke on it: %v", broken)
		}
	}()
	if trimmed := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(trimmed) > 0 && trimmed[0] == '{' {
		root, line, err = parseJSON(data)
		if err == nil {
			return root, line, nil
		}
		// A YAML document may begin with a brace as well.
		if root, _, yamlErr := parseYAML(data); yamlErr == nil {
			return root, 1, nil
		}
		return nil, line, err
	}
	return parseYAML(data)
}

type jsonReader struct {
	*json.Decoder
	breaks []int64 // offsets of line feeds
	nodes  int
}

func parseJSON(data []byte) (*node, int, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(data))}
	r.UseNumber()
	for at, b := range data {
		if b == '\n' {
			r.breaks = append(r.breaks, int64(at))
		}
	}
	root, err := r.read(0)
	if err == nil {
		if _, err = r.Token(); err == io.EOF {
			return root, 1, nil
		}
		err = errors.New("there is more after the document's end")
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the document ends too early")
	}
	return nil, r.line(), err
}

// line is the line of the token that was just read.
func (r *jsonReader) line() int {
	end := r.InputOffset() - 1
	return 1 + sort.Search(len(r.breaks), func(i int) bool { return r.breaks[i] >= end })
}

func (r *jsonReader) read(depth int) (*node, error) {
	token, err := r.Token()
	if err != nil {
		return nil, err
	}
	return r.of(token, depth)
}

func (r *jsonReader) of(token json.Token, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d levels deep", maxDepth)
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, fmt.Errorf("it has more than %d values", maxNodes)
	}
	n := &node{kind: scalarNode, line: r.line()}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			n.kind = listNode
			for r.More() {
				item, err := r.read(depth + 1)
				if err != nil {
					return nil, err
				}
				n.items = append(n.items, item)
			}
		} else {
			n.kind, n.at = mapNode, map[string]*node{}
			for r.More() {
				key, err := r.Token()
				if err != nil {
					return nil, err
				}
				line := r.line()
				value, err := r.read(depth + 1)
				if err != nil {
					return nil, err
				}
				value.line = line // as YAML's: where the key stands
				n.put(key.(string), value)
			}
		}
		_, err := r.Token() // the end
		return n, err
	case string:
		n.text = t
	case json.Number:
		n.text = t.String()
	case bool:
		n.text = fmt.Sprint(t)
	case nil:
		n.kind = nullNode
	}
	return n, nil
}

type yamlReader struct {
	made  map[*yaml.Node]*node // of anchors
	open  map[*yaml.Node]bool  // anchors that are being read
	nodes int
}

func parseYAML(data []byte) (*node, int, error) {
	var document, another yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&document)
	if err == io.EOF {
		return &node{line: 1}, 1, nil // nothing but comments
	}
	if err == nil {
		if err = decoder.Decode(&another); err == nil {
			return nil, another.Line, errors.New("there is more than one document in it")
		}
	}
	if err != io.EOF {
		line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if _, scan := fmt.Sscanf(text, "line %d:", &line); scan == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		return nil, max(line, 1), errors.New(text)
	}
	r := yamlReader{made: map[*yaml.Node]*node{}, open: map[*yaml.Node]bool{}}
	root, err := r.read(&document, 0)
	if err != nil {
		var e *yamlError
		if errors.As(err, &e) {
			return nil, e.line, e
		}
		return nil, 1, err
	}
	return root, 1, nil
}

type yamlError struct {
	line int
	text string
}

func (e *yamlError) Error() string { return e.text }

func (r *yamlReader) read(y *yaml.Node, depth int) (*node, error) {
	fail := func(format string, args ...any) (*node, error) {
		return nil, &yamlError{y.Line, fmt.Sprintf(format, args...)}
	}
	if depth > maxDepth {
		return fail("it is nested more than %d levels deep", maxDepth)
	}
	if r.nodes++; r.nodes > maxNodes {
		return fail("it has more than %d values", maxNodes)
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return &node{line: 1}, nil
		}
		return r.read(y.Content[0], depth)
	case yaml.AliasNode:
		if r.open[y.Alias] {
			return fail("the anchor &%s contains itself", y.Value)
		}
		if n := r.made[y.Alias]; n != nil {
			return n, nil
		}
		return fail("the anchor &%s is not known here", y.Value)
	}
	if y.Anchor != "" {
		r.open[y] = true
		defer delete(r.open, y)
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.ScalarNode:
		n.kind, n.text = scalarNode, y.Value
		n.plain = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		if y.ShortTag() == "!!null" {
			n.kind = nullNode
		}
	case yaml.SequenceNode:
		n.kind = listNode
		for _, c := range y.Content {
			item, err := r.read(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case yaml.MappingNode:
		n.kind, n.at = mapNode, map[string]*node{}
		var merged []*node
		for i := 0; i+1 < len(y.Content); i += 2 {
			key := y.Content[i]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			if key.Kind != yaml.ScalarNode {
				y = key
				return fail("a key is not a word")
			}
			value, err := r.read(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if key.ShortTag() == "!!merge" {
				merged = append(merged, value)
				continue
			}
			if value.line != key.Line { // where the key stands; an alias keeps its own node
				moved := *value
				moved.line = key.Line
				value = &moved
			}
			n.put(key.Value, value)
		}
		for _, m := range merged {
			if m.kind == listNode {
				for _, item := range m.items {
					n.merge(item)
				}
			}
			n.merge(m)
		}
	default:
		return fail("it is not YAML that can be read")
	}
	if name, short := strings.CutPrefix(y.Tag, "!"); short && name != "" && name[0] != '!' {
		n = writeOut(name, n)
	}
	if y.Anchor != "" {
		r.made[y] = n
	}
	return n, nil
}

// merge adds the members of m that n does not have.
func (n *node) merge(m *node) {
	if m.kind != mapNode {
		return
	}
	for _, key := range m.keys {
		if _, has := n.at[key]; !has {
			n.keys = append(n.keys, key)
			n.at[key] = m.at[key]
		}
	}
}

// writeOut turns the short form !Name into the long one.
func writeOut(name string, argument *node) *node {
	if argument.kind == nullNode {
		argument = &node{kind: scalarNode, line: argument.line} // a tag on nothing
	}
	switch name {
	case "Ref", "Condition":
	case "GetAtt":
		name = "Fn::GetAtt"
		if argument.kind == scalarNode {
			resource, attribute, _ := strings.Cut(argument.text, ".")
			argument = &node{kind: listNode, line: argument.line, items: []*node{
				{kind: scalarNode, line: argument.line, text: resource}, {kind: scalarNode, line: argument.line, text: attribute}}}
		}
	default:
		name = "Fn::" + strings.TrimPrefix(name, "Fn::")
	}
	return &node{kind: mapNode, line: argument.line, keys: []string{name}, at: map[string]*node{name: argument}}
}

// has reports whether n is a map with one of the keys.
func (n *node) has(keys ...string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return n.member(k) != nil })
}

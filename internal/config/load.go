package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the configuration file in bytes.
const maxFile = 1 << 20

// Sources says where settings come from. The zero value gives the defaults.
type Sources struct {
	Flags  map[string][]string             // by key name; only flags that were given
	Getenv func(key string) (string, bool) // nil: no environment
	File   string                          // "": none
}

// FlagError is a value on the command line that Load refuses; all else that it
// refuses is in the file or the environment.
type FlagError struct{ error }

// Load merges the sources and checks the result. Its error joins one line per
// problem; a problem of the file starts with FILE:LINE.
func Load(s Sources) (Config, error) {
	c := Config{File: s.File, written: map[string][]string{}}
	var problems []error
	file := map[string]entry{}
	if s.File != "" {
		var err error
		if file, err = readFile(s.File); err != nil {
			return Config{}, err
		}
	}
	for i := range Keys {
		k := &Keys[i]
		if k.Default != nil {
			if err := k.set(&c, slices.Clone(k.Default)); err != nil {
				problems = append(problems, fmt.Errorf("default of %s: %w", k.Name, err))
			}
			c.written[k.Name] = k.Default
		}
		where, values, lines := "", []string(nil), []int(nil)
		if e, ok := file[k.Name]; ok {
			where, values, lines = fmt.Sprintf("%s:%d: %s", s.File, e.line, k.Name), e.values, e.lines
		}
		if s.Getenv != nil {
			if v, ok := s.Getenv(k.Env()); ok {
				where, values, lines = "environment variable "+k.Env(), []string{v}, nil
				if k.List {
					values = splitList(v)
				}
			}
		}
		if v, ok := s.Flags[k.Name]; ok {
			where, values, lines = "flag --"+k.Name, v, nil
		}
		if where == "" || (k.List && len(values) == 0) {
			continue
		}
		if err := k.set(&c, slices.Clone(values)); err != nil {
			var one valueError
			if errors.As(err, &one) && one.index < len(lines) {
				where = fmt.Sprintf("%s:%d: %s", s.File, lines[one.index], k.Name)
			}
			err = fmt.Errorf("%s: %w", where, err)
			if _, ok := s.Flags[k.Name]; ok {
				err = FlagError{err}
			}
			problems = append(problems, err)
		}
		c.written[k.Name] = values
	}
	if len(problems) > 0 {
		return Config{}, errors.Join(problems...)
	}
	return c, c.finish()
}

// entry is a key of the file: its line, and one value or a list with the line
// of each value.
type entry struct {
	line   int
	values []string
	lines  []int
}

func readFile(path string) (map[string]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return parse(path, data)
}

// parse reads the YAML text of a configuration file: one mapping whose keys
// are those of Keys and whose values are scalars, lists of scalars or, where a
// key wants that, a mapping to these.
func parse(path string, data []byte) (map[string]entry, error) {
	var doc, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); err != nil && err != io.EOF {
		return nil, yamlError(path, err)
	}
	switch err := decoder.Decode(&second); {
	case err == nil: // its settings would be lost without a word
		return nil, fmt.Errorf("%s:%d: a second YAML document begins; put all settings into one", path, second.Line)
	case err != io.EOF:
		return nil, yamlError(path, err)
	}
	if doc.Kind == 0 {
		return nil, nil // an empty file sets nothing
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want a mapping of settings", path, root.Line)
	}
	entries := map[string]entry{}
	var problems []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		k := KeyNamed(name.Value)
		if k == nil {
			problems = append(problems, fmt.Errorf("%s:%d: unknown key %q%s", path, name.Line, name.Value, suggest(name.Value)))
			continue
		}
		if _, twice := entries[k.Name]; twice {
			problems = append(problems, fmt.Errorf("%s:%d: key %q is given twice", path, name.Line, name.Value))
			continue
		}
		e := entry{line: name.Line}
		read := e.scalars
		if k.Names != "" {
			read = e.mapping
		}
		if at, err := read(k, value); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %s: %w", path, at, k.Name, err))
			continue
		}
		entries[k.Name] = e
	}
	return entries, errors.Join(problems...)
}

// yamlError is FILE:LINE: REASON; where the parser knows no line, 1.
func yamlError(path string, err error) error {
	reason, hasLine := strings.CutPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "line ")
	if !hasLine {
		reason = "1: " + reason
	}
	return fmt.Errorf("%s:%s", path, reason)
}

// scalars takes the values of n, or says at which line it cannot.
func (e *entry) scalars(k *Key, n *yaml.Node) (line int, err error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		e.add(n.Line, n.Value)
		return 0, nil
	case n.Kind == yaml.SequenceNode && k.List:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return n.Line, fmt.Errorf("line %d is not a plain value", item.Line)
			}
			e.add(item.Line, item.Value)
		}
		return 0, nil
	case k.List:
		return n.Line, errors.New("want a value or a list of values")
	}
	return n.Line, errors.New("want one plain value")
}

// mapping takes NAME=VALUE for each value of each name in n.
func (e *entry) mapping(k *Key, n *yaml.Node) (line int, err error) {
	if n.Kind != yaml.MappingNode {
		return n.Line, errors.New("want a mapping of names to a value or a list of values")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode:
			return name.Line, errors.New("a name must be a plain value")
		case seen[name.Value]:
			return name.Line, fmt.Errorf("%q is given twice", name.Value)
		}
		seen[name.Value] = true
		var values entry
		if line, err := values.scalars(k, value); err != nil {
			return line, fmt.Errorf("%s: %w", name.Value, err)
		}
		if len(values.values) == 0 {
			return value.Line, fmt.Errorf("%s: the list is empty", name.Value)
		}
		for i, v := range values.values {
			e.add(values.lines[i], name.Value+"="+v)
		}
	}
	return 0, nil
}

func (e *entry) add(line int, value string) {
	e.values, e.lines = append(e.values, value), append(e.lines, line)
}

func splitList(s string) []string {
	var vs []string
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			vs = append(vs, v)
		}
	}
	return vs
}

// UnknownEnv returns the names in environ ("NAME=value") that begin like ours
// but are no setting's, each with the setting that it may have meant. They are
// no error: a cluster puts names such as SALLYPORT_PORT there for its own use.
func UnknownEnv(environ []string) []string {
	var unknown []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		rest, ok := strings.CutPrefix(name, "SALLYPORT_")
		if !ok || slices.ContainsFunc(Keys, func(k Key) bool { return k.Env() == name }) {
			continue
		}
		unknown = append(unknown, name+suggest(strings.ReplaceAll(strings.ToLower(rest), "_", "-")))
	}
	return unknown
}

// suggest names the nearest key for a misspelt one.
func suggest(name string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	best, bestDistance := "", 4
	for _, k := range Keys {
		if d := distance(plain(k.Name), plain(name)); d < bestDistance {
			best, bestDistance = k.Name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is the edit distance between two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

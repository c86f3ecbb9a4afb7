package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// logSetting is what a stage's method settings say of execution logs, for one
// key.
type logSetting struct {
	path   string // of a resource, "*" for all
	method string // verb, "*" for all
	level  LogLevel
	data   bool
}

// logLevels are the wire's spellings; a level that is absent is off.
var logLevels = map[string]LogLevel{"": LogOff, "OFF": LogOff, "ERROR": LogError, "INFO": LogInfo}

// compileLogSettings returns the settings, nil when no method is logged. Keys
// are "*/*" or PATH/METHOD, the path's slashes written ~1 and its first one
// also left out. Source: API reference, Stage.methodSettings; observed.
func compileLogSettings(docs map[string]types.MethodSetting) ([]logSetting, error) {
	var settings []logSetting
	logged := false
	keys := make([]string, 0, len(docs))
	for key := range docs {
		keys = append(keys, key)
	}
	slices.Sort(keys) // "pets/GET" before "~1pets/GET": the later one counts
	for _, key := range keys {
		at := strings.LastIndexByte(key, '/')
		if at < 0 {
			return nil, fmt.Errorf("method setting %q: no method", key)
		}
		doc := docs[key]
		level, ok := logLevels[aws.ToString(doc.LoggingLevel)]
		if !ok {
			return nil, fmt.Errorf("method setting %q: logging level %q is not known", key, *doc.LoggingLevel)
		}
		path := key[:at]
		if path != "*" {
			path = strings.NewReplacer("~1", "/", "~0", "~").Replace(path)
			path = "/" + strings.TrimPrefix(path, "/")
		}
		logged = logged || level != LogOff
		settings = append(settings, logSetting{path, key[at+1:], level, doc.DataTraceEnabled})
	}
	if !logged {
		return nil, nil
	}
	return settings, nil
}

// logFor is the setting for a verb of a resource: the path's own come before
// those of all paths, and the verb's own before those of all verbs. One key
// governs; it was copied from "*/*" when it was made.
func logFor(settings []logSetting, path, verb string) (found logSetting) {
	best := -1
	for _, s := range settings {
		rank := 0
		switch s.path {
		case path:
			rank = 2
		case "*":
		default:
			continue
		}
		switch s.method {
		case verb:
			rank++
		case "*":
		default:
			continue
		}
		if rank >= best {
			best, found = rank, s
		}
	}
	return found
}

// verbs are those that ANY stands for.
var verbs = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"}

// logged returns a copy of the tree whose methods are logged as settings say.
// The tree itself belongs to every stage of its deployment. Where a setting
// names one verb of a method ANY, the copy has a method for that verb.
func (n *Node) logged(settings []logSetting) *Node {
	if n == nil || len(settings) == 0 {
		return n
	}
	c := *n
	if n.Literal != nil {
		c.Literal = make(map[string]*Node, len(n.Literal))
		for part, child := range n.Literal {
			c.Literal[part] = child.logged(settings)
		}
	}
	c.Param, c.Greedy = n.Param.logged(settings), n.Greedy.logged(settings)
	if n.Methods == nil {
		return &c
	}
	c.Methods = make(map[string]*Method, len(n.Methods))
	for verb, m := range n.Methods {
		c.Methods[verb] = m.logged(logFor(settings, n.Path, verb))
	}
	all := c.Methods["ANY"]
	if all == nil {
		return &c
	}
	for _, verb := range verbs {
		s := logFor(settings, n.Path, verb)
		if c.Methods[verb] == nil && (s.level != all.Log || s.data != all.DataTrace) && s.method == verb {
			c.Methods[verb] = n.Methods["ANY"].logged(s)
		}
	}
	return &c
}

func (m *Method) logged(s logSetting) *Method {
	c := *m
	c.Log, c.DataTrace = s.level, s.data
	return &c
}

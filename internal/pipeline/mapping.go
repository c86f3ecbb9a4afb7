package pipeline

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// mapRequest applies the mappings to headers and query of the backend's
// request. A source that is not there maps nothing. Headers that belong to the
// connection or to the gateway's identity cannot be mapped.
func (e *exchange) mapRequest(in *snapshot.Integration, h *httpwire.Header, query *queryList) *fault {
	for i := range in.RequestParameters {
		m := &in.RequestParameters[i]
		if m.Location == "path" {
			continue // see target
		}
		values, f := e.requestValues(m.Source)
		if f != nil {
			return f
		}
		if len(values) == 0 {
			continue
		}
		if m.Location == "querystring" {
			query.set(m.Name, values)
			continue
		}
		if httpwire.HopByHop(m.Name) || isIdentity(m.Name) {
			continue
		}
		h.Del(m.Name)
		for _, v := range values {
			if !isFieldValue(v) {
				return newFault(badRequest, "value of "+m.Name+" cannot be sent in a header")
			}
			h.Add(m.Name, v)
		}
	}
	return nil
}

// isFieldValue accepts what cannot end a header line.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// requestValues reads the source of a request mapping. Of several values the
// last one counts, unless the source is a multivalue one. They are valid until
// the next call.
func (e *exchange) requestValues(s snapshot.Source) ([]string, *fault) {
	switch s.Kind {
	case "static":
		return e.one(s.Name), nil
	case "header":
		return e.last(e.x.Header, s.Name), nil
	case "multivalueheader":
		return e.x.Header.Values(s.Name), nil
	case "querystring":
		values := appendQueryValues(e.value[:0], e.x.RawQuery, s.Name)
		return values[max(0, len(values)-1):], nil
	case "multivaluequerystring":
		return appendQueryValues(e.value[:0], e.x.RawQuery, s.Name), nil
	case "path":
		if v, ok := e.params.Get(s.Name); ok {
			if d, err := url.PathUnescape(v); err == nil {
				return e.one(d), nil
			}
		}
	case "body":
		body, f := e.whole()
		if f != nil {
			return nil, f
		}
		return e.jsonValue(body, s.Name)
	case "stageVariable":
		if v, ok := e.stage.Variables[s.Name]; ok {
			return e.one(v), nil
		}
	case "context":
		if v, ok := e.contextValue(s.Name); ok {
			return e.one(v), nil
		}
	}
	return nil, nil
}

// responseValues reads the source of a response mapping. body returns the
// backend's body, nil when there is none.
func (e *exchange) responseValues(s snapshot.Source, h httpwire.Header, body []byte) ([]string, *fault) {
	switch s.Kind {
	case "integration.header":
		return e.last(h, s.Name), nil
	case "integration.multivalueheader":
		return h.Values(s.Name), nil
	case "integration.body":
		return e.jsonValue(body, s.Name)
	case "static", "stageVariable", "context":
		return e.requestValues(s)
	}
	return nil, nil
}

// mapResponse sets the headers that an integration response maps.
func (e *exchange) mapResponse(r *snapshot.IntegrationResponse, from httpwire.Header, body []byte, h *httpwire.Header) *fault {
	for i := range r.Parameters {
		m := &r.Parameters[i]
		if m.Location != "header" || httpwire.HopByHop(m.Name) || isOurs(m.Name) {
			continue
		}
		values, f := e.responseValues(m.Source, from, body)
		if f != nil {
			return f
		}
		if len(values) == 0 {
			continue
		}
		h.Del(m.Name)
		for _, v := range values {
			if isFieldValue(v) {
				h.Add(m.Name, v)
			}
		}
	}
	return nil
}

// readsBody reports whether a response mapping looks into the backend's body.
func readsBody(r *snapshot.IntegrationResponse) bool {
	for i := range r.Parameters {
		if r.Parameters[i].Source.Kind == "integration.body" {
			return true
		}
	}
	return false
}

// one is a list of one value. The next mapping takes its memory.
func (e *exchange) one(v string) []string {
	e.value[0] = v
	return e.value[:]
}

// last is the last value of a header, if there is one.
func (e *exchange) last(h httpwire.Header, name string) []string {
	for i := len(h) - 1; i >= 0; i-- {
		if strings.EqualFold(h[i].Name, name) {
			return e.one(h[i].Value)
		}
	}
	return nil
}

// parsedSize is about how many bytes a parsed text takes for each of its own.
const parsedSize = 8

// jsonValue is the function jsonValue within what all requests may keep.
func (e *exchange) jsonValue(text []byte, path string) ([]string, *fault) {
	n := parsedSize * int64(len(text))
	if !e.keep(n) {
		return nil, busy()
	}
	values := jsonValue(text, path)
	e.release(n)
	return values, nil
}

// jsonValue returns what a path ($.a.b[0], a.b, $['a']) leads to in a JSON
// text: a string as it is, anything else as JSON. "" or "$" is the whole text.
// Where it leads nowhere there is no value.
func jsonValue(text []byte, path string) []string {
	if len(text) == 0 {
		return nil
	}
	path = strings.TrimPrefix(path, "$")
	if path == "" {
		return []string{string(text)}
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil
	}
	for path != "" {
		var key string
		index := -1
		switch {
		case strings.HasPrefix(path, "['"):
			var closed bool
			if key, path, closed = strings.Cut(path[2:], "']"); !closed {
				return nil
			}
		case path[0] == '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil
			}
			n, err := strconv.Atoi(path[1:end])
			if err != nil || n < 0 {
				return nil
			}
			index, path = n, path[end+1:]
		default:
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			if end == 0 {
				return nil
			}
			key, path = path[:end], path[end:]
		}
		switch node := v.(type) {
		case map[string]any:
			next, ok := node[key]
			if index >= 0 || !ok {
				return nil
			}
			v = next
		case []any:
			if index < 0 || index >= len(node) {
				return nil
			}
			v = node[index]
		default:
			return nil
		}
	}
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil
	}
	return []string{strings.TrimSuffix(out.String(), "\n")}
}

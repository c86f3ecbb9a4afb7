package pipeline

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

const jsonType = "application/json"

// custom is HTTP: only what is mapped goes out, and an integration response
// words the answer.
func (e *exchange) custom(in *snapshot.Integration) *fault {
	t, f := e.target(in)
	if f != nil {
		return f
	}
	contentType := mediaType(e.x.Header.Get("Content-Type"))
	template, matched, f := e.requestTemplate(in, contentType)
	if f != nil {
		return f
	}
	var query queryList
	r := &e.request
	r.Scheme, r.Host, r.Path = t.scheme, t.host, t.path
	r.Header = append(r.Header[:0], httpwire.Field{Name: "Accept", Value: jsonType}, httpwire.Field{Name: "Content-Type", Value: contentType})
	if f := e.mapRequest(in, &r.Header, &query); f != nil {
		return f
	}
	r.Query = joinQuery(t.query, query.String())
	e.setAgent(&r.Header)
	bodyless := in.HTTPMethod == "GET" || in.HTTPMethod == "HEAD" || in.HTTPMethod == "ANY" && (e.x.Method == "GET" || e.x.Method == "HEAD")
	switch {
	case bodyless:
	case matched:
		r.Body, r.ContentLength = strings.NewReader(template), int64(len(template))
	case e.bufferedSet:
		r.Body, r.ContentLength = bytes.NewReader(e.buffered), int64(len(e.buffered))
	default:
		r.Body, r.ContentLength = &e.body, e.x.ContentLength
	}
	if e.trace != nil {
		var sent []byte
		switch {
		case bodyless:
		case matched:
			sent = []byte(template)
		default:
			sent = e.passedBody()
		}
		e.traceEndpoint(r, sent)
	}
	resp, f := e.ask(in, r)
	if f != nil {
		return f
	}
	defer resp.Body.Close()

	chosen, f := e.integrationResponse(in, resp.Status)
	if f != nil {
		if e.trace != nil {
			e.trace.traceUnread(resp)
		}
		return f
	}
	h := httpwire.Header{{Name: "Content-Type"}}
	body, templated := "", false
	if len(chosen.Templates) > 0 {
		h[0].Value, body = responseTemplate(chosen.Templates, e.x.Header.Get("Accept"))
		templated = true
	} else {
		h[0].Value = passedType(in.MethodResponses[chosen.Status].Models, resp.Header.Get("Content-Type"))
	}
	var whole []byte
	if readsBody(chosen) {
		var err error
		if whole, err = e.readAll(io.LimitReader(resp.Body, maxBody+1)); err == errBusy {
			return busy()
		} else if err != nil {
			return e.backendFault(err)
		}
		if len(whole) > maxBody {
			return e.configurationError("Integration response of more than 10485760 bytes cannot be mapped")
		}
		if e.trace != nil {
			e.trace.traceMapped(whole)
		}
	} else if templated && e.trace != nil {
		e.trace.traceUnread(resp)
	}
	if f := e.mapResponse(chosen, resp.Header, whole, &h); f != nil {
		return f
	}
	h = e.identityHeaders(h)
	if e.isTest() {
		h = append(e.traceID(nil), h...)
	}
	e.status = chosen.Status
	switch {
	case templated:
		e.answer(h, []byte(body))
	case whole != nil:
		e.answer(h, whole)
	default:
		return e.stream(resp, h)
	}
	return nil
}

// mock is MOCK: the request template says the status, and the integration
// response for it is the answer.
func (e *exchange) mock(in *snapshot.Integration) *fault {
	template, matched, f := e.requestTemplate(in, mediaType(e.x.Header.Get("Content-Type")))
	if f != nil {
		return f
	}
	text := []byte(template)
	if !matched { // the request body passes through and stands for the template
		if text, f = e.whole(); f != nil {
			return f
		}
	}
	status, ok := mockStatus(text)
	if !ok {
		return e.configurationError("Unable to parse statusCode. It should be an integer that is defined in the request template")
	}
	chosen, f := e.integrationResponse(in, status)
	if f != nil {
		return f
	}
	h := httpwire.Header{{Name: "Content-Type", Value: jsonType}}
	body := ""
	if len(chosen.Templates) > 0 {
		h[0].Value, body = responseTemplate(chosen.Templates, e.x.Header.Get("Accept"))
	}
	if f := e.mapResponse(chosen, nil, nil, &h); f != nil {
		return f
	}
	e.status = chosen.Status
	e.answer(e.identityHeaders(h), []byte(body))
	return nil
}

// answer sends a whole body.
func (e *exchange) answer(h httpwire.Header, body []byte) {
	if e.trace != nil {
		e.trace.traceHeaders(h)
	}
	e.x.Respond(e.status, h, int64(len(body)))
	if len(body) > 0 {
		e.write(body)
	}
}

// requestTemplate chooses the template for a content type. matched false says
// that the body passes through as it is.
// Source: developer guide, integration passthrough behaviors.
func (e *exchange) requestTemplate(in *snapshot.Integration, contentType string) (text string, matched bool, f *fault) {
	if text, ok := lookupType(in.RequestTemplates, contentType); ok {
		return text, true, nil
	}
	switch {
	case in.Passthrough == "NEVER", in.Passthrough == "WHEN_NO_TEMPLATES" && len(in.RequestTemplates) > 0:
		return "", false, newFault(unsupportedMediaType, "no request template for "+contentType)
	}
	return "", false, nil
}

// mediaType is a content type without parameters, in lower case; a missing one
// counts as JSON, as on AWS.
func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	if s = strings.ToLower(strings.TrimSpace(s)); s == "" {
		return jsonType
	}
	return s
}

func lookupType(templates map[string]string, contentType string) (string, bool) {
	if text, ok := templates[contentType]; ok {
		return text, true
	}
	for key, text := range templates {
		if mediaType(key) == contentType {
			return text, true
		}
	}
	return "", false
}

// integrationResponse chooses the response for a status by its selection
// pattern, else the default one.
func (e *exchange) integrationResponse(in *snapshot.Integration, status int) (*snapshot.IntegrationResponse, *fault) {
	code := strconv.Itoa(status)
	for i := range in.Responses {
		r := &in.Responses[i]
		if r.Pattern != nil && !r.Pattern.MatchString(code) {
			continue
		}
		if _, ok := in.MethodResponses[r.Status]; !ok {
			return nil, e.configurationError("Output mapping refers to an invalid method response: " + strconv.Itoa(r.Status))
		}
		return r, nil
	}
	return nil, e.configurationError("No match for output mapping and no default output mapping configured. Endpoint Response Status Code: " + code)
}

// responseTemplate chooses by the client's Accept header, else JSON, else the
// first in alphabetical order.
func responseTemplate(templates map[string]string, accept string) (contentType, text string) {
	for part := range strings.SplitSeq(accept, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		if text, ok := lookupType(templates, mediaType(part)); ok {
			return mediaType(part), text
		}
	}
	if text, ok := templates[jsonType]; ok {
		return jsonType, text
	}
	first := slices.Min(slices.Collect(maps.Keys(templates)))
	return first, templates[first]
}

// passedType is the content type of a body that passes through: the backend's
// if the method response declares it, else the declared one, else JSON.
func passedType(models []string, backend string) string {
	for _, m := range models {
		if backend != "" && mediaType(m) == mediaType(backend) {
			return backend
		}
	}
	if len(models) > 0 {
		return models[0]
	}
	return jsonType
}

// bareStatus finds the status in what is not quite JSON; {statusCode: 200} is
// common in the field, and AWS takes it.
var bareStatus = regexp.MustCompile(`^\s*\{\s*['"]?statusCode['"]?\s*:\s*['"]?([0-9]{3})['"]?\s*[,}]`)

// mockStatus reads statusCode, a number or digits in quotes.
func mockStatus(text []byte) (int, bool) {
	var doc struct {
		StatusCode json.RawMessage `json:"statusCode"`
	}
	digits := ""
	if json.Unmarshal(text, &doc) == nil {
		digits = strings.Trim(string(doc.StatusCode), `"`)
	} else if m := bareStatus.FindSubmatch(text); m != nil {
		digits = string(m[1])
	}
	status, err := strconv.Atoi(digits)
	return status, err == nil && len(digits) == 3 && status >= 100
}

package pipeline

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// remap renames response headers of backends that the gateway has its own of.
// Source: developer guide, important notes (header restrictions), the proxied
// subset inferred.
func remap(name string) string {
	switch {
	case len(name) == 4 && strings.EqualFold(name, "Date"):
		return "x-amzn-Remapped-Date"
	case len(name) == 6 && strings.EqualFold(name, "Server"):
		return "x-amzn-Remapped-Server"
	case len(name) == 16 && strings.EqualFold(name, "WWW-Authenticate"):
		return "x-amzn-Remapped-WWW-Authenticate"
	}
	return name
}

// proxy is HTTP_PROXY: the client's request goes on, with the author's
// parameter mappings on top, and the backend's answer comes back.
func (e *exchange) proxy(in *snapshot.Integration) *fault {
	t, f := e.target(in)
	if f != nil {
		return f
	}
	r := &e.request
	r.Scheme, r.Host, r.Path, r.ContentLength = t.scheme, t.host, t.path, e.x.ContentLength
	// What the client calls its connection's own is gone before the gateway's
	// headers are set, so that it cannot name them.
	r.Header = httpwire.AppendEndToEnd(r.Header[:0], e.x.Header)
	r.Header = slices.DeleteFunc(r.Header, func(f httpwire.Field) bool { return isIdentity(f.Name) })
	query := queryList{raw: e.x.RawQuery}
	if f := e.mapRequest(in, &r.Header, &query); f != nil {
		return f
	}
	r.Query = joinQuery(t.query, query.String())
	if !e.isTest() {
		e.setIdentity(&r.Header)
	}
	e.setAgent(&r.Header)
	if r.Inform = e.inform; r.ContentLength != 0 {
		r.Body, r.Trailer = &e.body, &e.x.Trailer
		if e.bufferedSet {
			r.Body, r.ContentLength = bytes.NewReader(e.buffered), int64(len(e.buffered))
		}
	} else {
		r.Upgrade = e.x.UpgradeTo
	}
	if e.trace != nil {
		e.traceEndpoint(r, e.passedBody())
	}
	resp, f := e.ask(in, r)
	if f != nil {
		return f
	}
	defer resp.Body.Close()
	e.status = resp.Status
	e.header = e.identityHeaders(appendAnswered(e.traceID(e.header[:0]), resp.Header))
	if e.status == 101 {
		return e.tunnel(resp, e.header)
	}
	return e.stream(resp, e.header)
}

// passInterim hands an interim response of the backend to the client.
func (e *exchange) passInterim(status int, h httpwire.Header) {
	e.header = appendAnswered(e.header[:0], h)
	e.x.Inform(status, e.header)
}

// appendAnswered appends the headers of a backend's answer as they go out.
func appendAnswered(dst, h httpwire.Header) httpwire.Header {
	for _, f := range h {
		if !isOurs(f.Name) {
			f.Name = remap(f.Name)
			dst = append(dst, f)
		}
	}
	return dst
}

// isOurs reports the response headers that only the gateway sets.
func isOurs(name string) bool {
	return strings.EqualFold(name, "x-amzn-RequestId") || strings.EqualFold(name, "x-amz-apigw-id")
}

// setIdentity says who asked and how.
func (e *exchange) setIdentity(h *httpwire.Header) {
	c := e.x.Conn
	scheme := "https"
	if c.Version == 0 {
		scheme = "http"
	}
	if ip := e.sourceIP(); ip.IsValid() {
		from := len(e.text)
		e.text = ip.AppendTo(e.text)
		h.Add("X-Forwarded-For", view(e.text[from:]))
	}
	from := len(e.text)
	e.text = strconv.AppendUint(e.text, uint64(c.Local.Port()), 10)
	h.Add("X-Forwarded-Port", view(e.text[from:]))
	h.Add("X-Forwarded-Proto", scheme)
}

// setAgent names the API to the backend. Source: observed.
func (e *exchange) setAgent(h *httpwire.Header) {
	h.Add("x-amzn-apigateway-api-id", e.stage.API)
	if h.Get("User-Agent") == "" {
		from := len(e.text)
		e.text = append(append(e.text, "AmazonAPIGateway_"...), e.stage.API...)
		h.Set("User-Agent", view(e.text[from:]))
	}
}

package pipeline

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// remapped are response headers of backends that go out as
// x-amzn-Remapped-NAME, the gateway having its own. Source: developer guide,
// important notes (header restrictions), the proxied subset inferred.
var remapped = map[string]string{
	"date":             "x-amzn-Remapped-Date",
	"server":           "x-amzn-Remapped-Server",
	"www-authenticate": "x-amzn-Remapped-WWW-Authenticate",
}

// proxy is HTTP_PROXY: the client's request goes on, with the author's
// parameter mappings on top, and the backend's answer comes back.
func (e *exchange) proxy(in *snapshot.Integration) *fault {
	t, f := e.target(in)
	if f != nil {
		return f
	}
	r := backgate.Request{Scheme: t.scheme, Host: t.host, Path: t.path, ContentLength: e.x.ContentLength}
	// What the client calls its connection's own is gone before the gateway's
	// headers are set, so that it cannot name them.
	r.Header = make(httpwire.Header, 0, len(e.x.Header)+6)
	backgate.EndToEnd(e.x.Header, func(h httpwire.Field) {
		if !isIdentity(h.Name) {
			r.Header = append(r.Header, h)
		}
	})
	query := queryList{raw: e.x.RawQuery}
	if f := e.mapRequest(in, &r.Header, &query); f != nil {
		return f
	}
	r.Query = joinQuery(t.query, query.String())
	e.setIdentity(&r.Header)
	e.setAgent(&r.Header)
	if r.ContentLength != 0 {
		r.Body = e.body
		if e.bufferedSet {
			r.Body, r.ContentLength = bytes.NewReader(e.buffered), int64(len(e.buffered))
		}
	}
	resp, cancel, f := e.ask(in, &r)
	if f != nil {
		return f
	}
	defer cancel()
	defer resp.Body.Close()

	h := make(httpwire.Header, 0, len(resp.Header)+2)
	for _, field := range resp.Header {
		if isOurs(field.Name) {
			continue
		}
		if name, ok := remapped[strings.ToLower(field.Name)]; ok {
			field.Name = name
		}
		h = append(h, field)
	}
	e.status = resp.Status
	return e.stream(resp, e.identityHeaders(h))
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
		h.Add("X-Forwarded-For", ip.String())
	}
	h.Add("X-Forwarded-Port", strconv.Itoa(int(c.Local.Port())))
	h.Add("X-Forwarded-Proto", scheme)
}

// setAgent names the API to the backend. Source: observed.
func (e *exchange) setAgent(h *httpwire.Header) {
	h.Add("x-amzn-apigateway-api-id", e.stage.API)
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "AmazonAPIGateway_"+e.stage.API)
	}
}

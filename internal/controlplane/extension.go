package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/awsapi"
)

// extensionPrefix begins the paths of what AWS's services do not have. None of
// their own paths begins so.
const extensionPrefix = "/_sallyport/"

// extensionService is the service that a signature must be made for: what the
// extensions tell is about its resources.
const extensionService = "apigateway"

// extension is one operation beside AWS's.
type extension struct {
	pattern  string // "GET /_sallyport/restapis/{api}"
	method   string
	segments []string
	answer   func(context.Context, *http.Request) (any, error)
}

// Extend registers answer for requests of pattern, a method and a path below
// /_sallyport/ whose segments in braces are read by Request.PathValue. A call
// gets there once its signature for apigateway verified, within the server's
// bounds of calls and time; what answer returns is sent as JSON, its error as
// those of Handle are. A pattern that is malformed panics.
func (s *Server) Extend(pattern string, answer func(context.Context, *http.Request) (any, error)) {
	method, path, _ := strings.Cut(pattern, " ")
	rest, ok := strings.CutPrefix(path, extensionPrefix)
	if method == "" || !ok || rest == "" {
		panic("controlplane: extension " + pattern)
	}
	s.extensions = append(s.extensions, extension{pattern, method, strings.Split(rest, "/"), answer})
}

// isExtension reports whether a call asks for one.
func isExtension(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, extensionPrefix) }

// routeExtension finds the extension that is asked for.
func (c *exchange) routeExtension() error {
	if c.scope.Service != extensionService {
		return &awsapi.Error{
			Code:    "InvalidSignatureException",
			Message: "Credential should be scoped to correct service: '" + extensionService + "'.",
			Status:  http.StatusForbidden,
		}
	}
	// As it was sent: a decoded slash is no separator.
	parts := strings.Split(strings.TrimPrefix(c.r.URL.EscapedPath(), extensionPrefix), "/")
	for i := range c.server.extensions {
		x := &c.server.extensions[i]
		if x.method == c.r.Method && x.matches(c.r, parts) {
			c.extension = x
			return nil
		}
	}
	return &awsapi.Error{
		Code:    "NotFoundException",
		Message: fmt.Sprintf("There is no %s %s.", clip(c.r.Method), clip(c.r.URL.EscapedPath())),
		Status:  http.StatusNotFound,
	}
}

// matches compares the segments of a path and keeps the values of those in
// braces.
func (x *extension) matches(r *http.Request, parts []string) bool {
	if len(parts) != len(x.segments) {
		return false
	}
	for i, want := range x.segments {
		name, variable := strings.CutPrefix(want, "{")
		if !variable {
			if parts[i] != want {
				return false
			}
			continue
		}
		value, err := url.PathUnescape(parts[i])
		if err != nil || value == "" {
			return false
		}
		r.SetPathValue(strings.TrimSuffix(name, "}"), value)
	}
	return true
}

// extend answers by the extension.
func (c *exchange) extend() error {
	out, err := c.extension.answer(c.r.Context(), c.r)
	if err != nil {
		return err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = c.w.Write(body) // a client that is gone cannot be told
	return nil
}

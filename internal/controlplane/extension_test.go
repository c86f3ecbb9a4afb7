package controlplane_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/resource"
)

// An extension is reached by those whose signature for API Gateway verifies,
// and answers and fails in JSON as AWS's operations do.
func TestExtension(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	calls := 0
	g.Server.Extend("GET /_sallyport/things/{api}/stages/{stage}", func(_ context.Context, r *http.Request) (any, error) {
		calls++
		switch stage := r.PathValue("stage"); stage {
		case "none":
			return nil, resource.Errorf(resource.NotFound, "Invalid stage identifier specified")
		case "bad":
			return nil, errors.New("what nobody is told")
		case "panic":
			panic("what nobody is told")
		default:
			return map[string]string{"said": r.PathValue("api") + " " + stage + " " + r.URL.Query().Get("q")}, nil
		}
	})
	const path = "/_sallyport/things/abc/stages/"
	for _, tc := range []struct {
		what   string
		call   call
		status int
		says   string // of the body, or the error's code
		calls  int
	}{
		{"signed", call{path: path + "prod?q=a%20b"}, 200, `{"said":"abc prod a b"}`, 1},
		{"an escaped value", call{path: path + "p%2Fd"}, 200, `{"said":"abc p/d "}`, 1},
		{"not found by its handler", call{path: path + "none"}, 404, "NotFoundException", 1},
		{"a fault of ours", call{path: path + "bad"}, 500, "InternalFailure", 1},
		{"a panic of ours", call{path: path + "panic"}, 500, "InternalFailure", 1},
		{"unsigned", call{path: path + "prod", service: "-"}, 403, "MissingAuthenticationTokenException", 0},
		{"another key", call{path: path + "prod", key: "AKIDNOBODY"}, 403, "UnrecognizedClientException", 0},
		{"another secret", call{path: path + "prod", secret: "x"}, 403, "InvalidSignatureException", 0},
		{"another service", call{path: path + "prod", service: "acm"}, 403, "InvalidSignatureException", 0},
		{"an unknown service", call{path: path + "prod", service: "nosuch"}, 403, "InvalidSignatureException", 0},
		{"another path, unsigned", call{path: "/_sallyport/nothing", service: "-"}, 403, "MissingAuthenticationTokenException", 0},
		{"another path", call{path: "/_sallyport/nothing"}, 404, "NotFoundException", 0},
		{"an empty segment", call{path: path}, 404, "NotFoundException", 0},
		{"one segment more", call{path: path + "prod/x"}, 404, "NotFoundException", 0},
		{"a dot segment", call{path: "/_sallyport/things/../things/abc/stages/prod"}, 404, "NotFoundException", 0},
		{"another method", call{method: "POST", path: path + "prod"}, 404, "NotFoundException", 0},
		{"signed, then changed", call{path: path + "prod?q=1", spoil: func(r *http.Request) { r.URL.RawQuery = "q=2" }}, 403, "InvalidSignatureException", 0},
	} {
		if tc.call.method == "" {
			tc.call.method = "GET"
		}
		before := calls
		got := tc.call.send(t, g)
		if got.status != tc.status || got.header.Get("Content-Type") != "application/json" || calls-before != tc.calls {
			t.Errorf("%s: status %d, %s, %d calls, want %d and %d", tc.what, got.status, got.header.Get("Content-Type"), calls-before, tc.status, tc.calls)
		}
		said := got.body
		if tc.status != 200 {
			said = got.code(t)
		}
		if said != tc.says || strings.Contains(got.body, "nobody is told") {
			t.Errorf("%s: %s, want %s", tc.what, got.body, tc.says)
		}
		if got.header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: no request id", tc.what)
		}
	}
}

// A pattern outside the extensions' own paths is a mistake of the program.
func TestExtensionPattern(t *testing.T) {
	for _, pattern := range []string{"", "GET", "GET /restapis", "GET /_sallyport/", "/_sallyport/x"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was taken", pattern)
				}
			}()
			controlplane.New(controlplane.Options{}).Extend(pattern, nil)
		}()
	}
}

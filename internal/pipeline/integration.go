package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// integrate answers from what stands behind the method.
func (e *exchange) integrate() *fault {
	in := e.method.Integration
	if in == nil {
		return newFault(apiConfigurationError, "method without integration")
	}
	switch in.Type {
	case snapshot.Mock:
		return e.mock(in)
	case snapshot.HTTP:
		return e.custom(in)
	case snapshot.HTTPProxy:
		return e.proxy(in)
	}
	return newFault(apiConfigurationError, "unknown integration type")
}

// configurationError is AWS's answer to an integration that cannot work as it
// is configured; text goes to $context.integration.error.
func (e *exchange) configurationError(text string) *fault {
	e.integrationError = "Execution failed due to configuration error: " + text
	return newFault(apiConfigurationError, text)
}

// ask sends r through the second gate. Its context ends with cancel, which the
// caller calls once the answer is through.
func (e *exchange) ask(in *snapshot.Integration, r *backgate.Request) (resp *backgate.Response, cancel context.CancelFunc, f *fault) {
	if r.Method = in.HTTPMethod; r.Method == "ANY" {
		r.Method = e.x.Method
	}
	r.InsecureSkipVerification = in.InsecureSkipVerification
	ctx, cancel := context.WithTimeout(e.x.Context, in.Timeout)
	e.asked = e.p.options.Now()
	resp, err := e.p.options.Backends.Do(ctx, r)
	e.integrationLatency = e.since(e.asked)
	if err != nil {
		cancel()
		return nil, nil, e.backendFault(err)
	}
	e.integrationStatus = resp.Status
	return resp, cancel, nil
}

// backendFault turns an error of the second gate into the gateway's answer.
func (e *exchange) backendFault(err error) *fault {
	if f := e.body.fault(); f != nil { // the client's doing, not the backend's
		return f
	}
	var failed *backgate.Error
	if !errors.As(err, &failed) {
		return newFault(default5XX, err.Error())
	}
	e.integrationError = failed.Text()
	e.p.options.Metrics.BackendFailure(failed.Kind.String())
	if failed.Kind != backgate.Canceled {
		e.p.log.warn("backend failed", e.stage.API+"/"+e.stage.Name+" "+failed.Host+" "+failed.Kind.String(),
			"api", e.stage.API, "stage", e.stage.Name, "backend", failed.Host, "kind", failed.Kind.String(), "request_id", e.requestID, "err", failed)
	}
	kind := integrationFailure
	switch {
	case failed.Kind.Certificate():
		kind = default5XX // as observed, not API_CONFIGURATION_ERROR
	case failed.Kind == backgate.Timeout:
		kind = integrationTimeout
	}
	return newFault(kind, failed.Error())
}

// buffers are for copying bodies.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// stream answers with a backend's body as it comes. A body that breaks off
// aborts the exchange: half an answer must not look whole.
func (e *exchange) stream(resp *backgate.Response, h httpwire.Header) {
	e.x.Respond(e.status, h, resp.ContentLength)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if e.write((*buf)[:n]) != nil {
				return // the client is gone
			}
			if resp.ContentLength < 0 && e.x.Flush() != nil {
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			e.backendFault(err) // for its records
			e.x.Abort()
			return
		}
	}
}

// identityNames are the request headers that only the gateway may set, in the
// form of foldName; those that end in "-" are prefixes.
var identityNames = []string{"x-forwarded-", "x-forwarded", "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-amzn-", "x-amz-apigw-"}

// isIdentity reports whether name is one of them in any spelling that a backend
// may take for it: many servers turn hyphens into underscores and fold case.
func isIdentity(name string) bool {
	if c := name[0] | 0x20; c != 'x' && c != 'f' && c != 't' {
		return false
	}
	folded := foldName(name)
	for _, known := range identityNames {
		if folded == known || strings.HasSuffix(known, "-") && strings.HasPrefix(folded, known) {
			return true
		}
	}
	return false
}

// foldName writes letters in lower case and all but letters and digits as "-".
func foldName(name string) string {
	plain := true
	for i := range len(name) {
		if c := name[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c | 0x20
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			b[i] = '-'
		}
	}
	return string(b)
}

package pipeline

import (
	"errors"
	"io"
	"sync"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// integrate answers from what stands behind the method.
func (e *exchange) integrate() *fault {
	if e.trace != nil {
		e.traceRequest()
	}
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

// ask sends r through the second gate. The caller closes the answer.
func (e *exchange) ask(in *snapshot.Integration, r *backgate.Request) (resp *backgate.Response, f *fault) {
	if r.Method = in.HTTPMethod; r.Method == "ANY" {
		r.Method = e.x.Method
	}
	r.InsecureSkipVerification = in.InsecureSkipVerification
	r.Timeout = in.Timeout
	r.Target = in.Target
	r.Certificate, r.Previous = e.stage.ClientCertificate, e.stage.PreviousCertificate
	if in.Broken != "" {
		return nil, e.backendFault(&backgate.Error{Kind: backgate.NoTarget, Host: r.Host, Detail: in.Broken})
	}
	e.asked = e.p.options.Now()
	resp, err := e.p.options.Backends.Do(e.x.Context, r)
	e.integrationLatency = e.since(e.asked)
	if err != nil {
		return nil, e.backendFault(err)
	}
	e.integrationStatus = resp.Status
	if e.trace != nil {
		e.traceBackend(resp)
	}
	if bodyless := r.Method == "HEAD" || resp.Status == 204 || resp.Status == 304; bodyless && e.x.Method != "HEAD" {
		resp.ContentLength = 0 // what it says is not what follows
	}
	return resp, nil
}

// backendFault turns an error of the second gate into the gateway's answer.
func (e *exchange) backendFault(err error) *fault {
	if e.stage == nil {
		return e.clusterFault(err)
	}
	if f := e.body.fault(); f != nil { // the client's doing, not the backend's
		return f
	}
	var failed *backgate.Error
	if !errors.As(err, &failed) {
		return newFault(default5XX, err.Error())
	}
	e.integrationError = failed.Text()
	if e.trace != nil {
		e.trace.traceFailure(failed)
	}
	e.p.options.Metrics.BackendFailure(failed.Kind.String())
	if failed.Kind != backgate.Canceled {
		e.p.log.warn("backend failed", e.stage.API+"/"+e.stage.Name+" "+failed.Host+" "+failed.Kind.String()+" "+failed.Brief(),
			"api", e.stage.API, "stage", e.stage.Name, "backend", failed.Host, "kind", failed.Kind.String(), "request_id", e.requestID,
			"why", failed.Why(), "fix", failed.Fix(), "err", failed)
	}
	return newFault(responseNamed(failed.Kind.Answer().ResponseType), failed.Error())
}

// shortAnswer is the longest body in bytes that is read before it is answered.
const shortAnswer = 64 << 10

// buffers are for copying bodies. There is room for more than a short answer,
// since whoever reads to the end of a body should offer it.
var buffers = sync.Pool{New: func() any { b := make([]byte, shortAnswer+1<<10); return &b }}

// stream answers with a backend's body. A short one of known length is read
// first: its connection is free before the client is written to, and one that
// breaks off is a fault. Longer ones go through as they come; one that breaks
// off aborts the exchange, for half an answer must not look whole.
func (e *exchange) stream(resp *backgate.Response, h httpwire.Header) (f *fault) {
	defer func() {
		if f == nil && e.x.ContentLength != 0 {
			e.x.Flush() // before the client's body, perhaps still being read, is taken back
		}
	}()
	if e.trace != nil {
		e.trace.traceHeaders(h)
	}
	if e.x.Method == "HEAD" {
		e.x.Respond(e.status, h, resp.ContentLength)
		return nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if n := resp.ContentLength; n >= 0 && n <= shortAnswer {
		var got int
		for got < int(n) {
			m, err := resp.Body.Read((*buf)[got:])
			if got += m; err != nil && err != io.EOF {
				return e.backendFault(err)
			}
		}
		e.answer(h, (*buf)[:n])
		return nil
	}
	n, err := 0, error(nil)
	if resp.Arrived() {
		// What is wrong with it from the start is a fault, too.
		if n, err = resp.Body.Read(*buf); err != nil && err != io.EOF {
			return e.backendFault(err)
		}
	}
	e.x.Respond(e.status, h, resp.ContentLength)
	if n == 0 && err == nil && e.x.Flush() != nil { // the body may be long in coming
		return nil
	}
	for ; ; n, err = resp.Body.Read(*buf) {
		if n > 0 {
			if e.write((*buf)[:n]) != nil {
				return nil // the client is gone
			}
			if resp.ContentLength < 0 && err == nil && e.x.Flush() != nil {
				return nil
			}
		}
		if err == io.EOF {
			e.x.RespondTrailer(resp.Trailer())
			return nil
		}
		if err != nil {
			e.backendFault(err) // for its records
			e.x.Abort()
			return nil
		}
	}
}

// identityNames are the request headers that only the gateway may set, in lower
// case; those that end in "-" are prefixes.
var identityNames = []string{"x-forwarded-", "x-forwarded", "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-amzn-", "x-amz-apigw-"}

// isIdentity reports whether name is one of them in any spelling that a backend
// may take for it: many servers turn hyphens into underscores and fold case.
func isIdentity(name string) bool {
	if c := name[0] | 0x20; c != 'x' && c != 'f' && c != 't' {
		return false
	}
	for _, known := range identityNames {
		n := len(known)
		if (len(name) == n || len(name) > n && known[n-1] == '-') && folds(name[:n], known) {
			return true
		}
	}
	return false
}

// folds compares two names of one length; the second is in lower case. All but
// letters and digits counts as a hyphen.
func folds(name, lower string) bool {
	for i := range len(lower) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

package pipeline

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// TestRequest is a request that no client sent, to see what a method does with
// it.
type TestRequest struct {
	// Stage serves Method and nothing else, deployed or not: see
	// snapshot.CompileMethod. Its variables and client certificate are those of
	// the test.
	Stage  *snapshot.Stage
	Method *snapshot.Method
	Verb   string // GET, POST ...
	// Path and Query are escaped, the query without "?". A path that does not
	// lead to the method, "" too, gives no path parameters.
	Path, Query string
	Header      httpwire.Header
	Body        []byte
}

// TestResult is what came of it.
type TestResult struct {
	Status  int
	Header  httpwire.Header
	Body    []byte // at most 1 MiB
	Log     string // the execution log with data trace, as AWS words it
	Latency time.Duration
	// Backend is what could not be asked, or broke off, to be diagnosed; nil:
	// the backend answered, or none was to be asked.
	Backend *backgate.Inspection
}

// ErrTestPath is what Test returns for a path that has no single reading.
var ErrTestPath = errors.New("the path has dot segments, broken percent encoding or no slash at its beginning")

// maxTestBody bounds the body that a test returns, in bytes.
const maxTestBody = 1 << 20

// Test sends r through the integration of one method, and nothing else of the
// way: resource policies, authorizers and throttles are not asked, as on AWS. A
// method that fails is a result, not an error. There is no access log of it and
// it counts as no request. The integration's timeout bounds it.
func (p *Pipeline) Test(ctx context.Context, r *TestRequest) (*TestResult, error) {
	began := p.options.Now()
	recorder := &httpwire.Recorder{Limit: maxTestBody}
	x := recorder.Exchange(ctx, "test", began)
	x.Method, x.RawQuery, x.Header = r.Verb, r.Query, r.Header
	if x.RawPath = r.Path; r.Path == "" {
		x.RawPath = "/"
	}
	x.ContentLength, x.Body = int64(len(r.Body)), bytes.NewReader(r.Body)

	e := p.pool.New().(*exchange) // not one of the pool's, which a panic would spoil
	defer func() { e.release(e.taken) }()
	e.begin(p, x)
	e.stage, e.method, e.path = r.Stage, r.Method, r.Path
	if e.x.Header.Get("Host") != "" {
		x.Authority = e.x.Header.Get("Host")
		x.Header.Del("Host")
	}
	switch _, result := r.Stage.Route(r.Verb, r.Path, &e.params); result {
	case snapshot.Routed:
	case snapshot.BadPath:
		return nil, ErrTestPath
	default:
		e.path = r.Method.ResourcePath
	}
	e.identify()
	e.trace = &trace{
		level: snapshot.LogInfo, data: true, test: true, now: p.options.Now,
		text: fmt.Appendf(nil, "Execution log for request %s\n", e.requestID),
	}
	if f := e.integrate(); f != nil {
		f.step = "integration"
		e.refuse(f)
	}
	if e.fault == nil && e.trace.failure != nil {
		// The answer broke off. AWS reads one whole before it answers, so its
		// tests know.
		recorder = &httpwire.Recorder{Limit: maxTestBody}
		e.x = recorder.Exchange(ctx, "test", began)
		e.refuse(e.backendFault(e.trace.failure))
	}
	e.closeTrace()
	if recorder.Cut {
		e.trace.sayCut()
	}

	result := &TestResult{Status: recorder.Status, Body: recorder.Body, Log: string(e.trace.text), Latency: p.options.Now().Sub(began)}
	for _, f := range recorder.Header {
		// A gateway response of AWS's tests has nothing but its kind.
		if !isOurs(f.Name) && (e.fault == nil || strings.EqualFold(f.Name, "x-amzn-ErrorType")) {
			result.Header = append(result.Header, f)
		}
	}
	if f := e.trace.failure; f != nil && f.Kind != backgate.Canceled {
		b := &e.request
		result.Backend = &backgate.Inspection{
			Scheme: b.Scheme, Host: b.Host, Target: b.Target,
			InsecureSkipVerification: b.InsecureSkipVerification, Certificate: b.Certificate,
		}
	}
	return result, nil
}

// sayCut tells that the body of a test's result is not all of it. AWS has no
// such line.
func (t *trace) sayCut() {
	t.text = t.now().UTC().AppendFormat(t.text, testTime)
	t.text = fmt.Appendf(t.text, "Body cut at %d bytes\n", maxTestBody)
}

func (e *exchange) isTest() bool { return e.trace != nil && e.trace.test }

// traceID appends the header that AWS puts first into the answers of tests
// whose method has a backend.
func (e *exchange) traceID(h httpwire.Header) httpwire.Header {
	if !e.isTest() {
		return h
	}
	var id [12]byte
	rand.Read(id[:]) // never fails
	h.Add("X-Amzn-Trace-Id", fmt.Sprintf("Root=1-%08x-%x", e.x.Received.Unix(), id))
	return h
}

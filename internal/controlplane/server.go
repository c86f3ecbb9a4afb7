// Package controlplane speaks AWS's control-plane protocols on one port and is
// the only writer of configuration. It promises: no call does anything before
// its Signature Version 4 verifies; a refused call changes nothing; a change is
// one guarded commit, and its answer comes after the data plane serves it or
// says UPDATING; every answer, a panic's included, is a typed error or result
// in the service's own protocol.
//
// One folder per service registers its operations; what none registered is
// answered with an error that names the operation.
//
//	s := controlplane.New(controlplane.Options{Store: st, Secret: keys.Secret, Region: "us-east-1", Account: "000000000000"})
//	apigateway.Register(s)
//	apigatewayv2.Register(s)
//	acm.Register(s)
//	sts.Register(s)
//	http.Serve(listener, s)
package controlplane

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/sigv4"
	"github.com/sallyport/sallyport/internal/store"
)

const (
	// maxBody bounds a request body in bytes; no document of the API comes near.
	maxBody = 1 << 20
	// maxImport bounds the body of an operation that carries a whole
	// definition: AWS takes 6 MB, most of it may be base64 in JSON.
	maxImport = 11 << 20
	// maxCalls bounds the calls in progress, and so the memory of bodies that
	// are read before their signature is known to be good.
	maxCalls = 128
	// readTimeout bounds the wait for a request body.
	readTimeout = 20 * time.Second
	// callTimeout bounds a call from its body to its answer.
	callTimeout = 60 * time.Second
)

// imports are the operations whose body is a definition.
var imports = map[string]bool{
	"ImportRestApi": true, "PutRestApi": true, "ImportApiKeys": true, "ImportDocumentationParts": true,
	"ImportApi": true, "ReimportApi": true,
}

// Options configure a Server. Store and Secret are required to serve; a Server
// that only lists its operations needs none.
type Options struct {
	Store store.Store
	// Secret returns the secret access key of an access key id.
	Secret func(accessKeyID string) (string, bool)
	// Region and Account make ARNs and generated names; zero means us-east-1
	// and 000000000000. Calls signed for another region are served too: there
	// is one configuration, whatever region a client names.
	Region, Account string
	// Suffixes are the domain suffixes of default endpoints; the first makes
	// generated names. Zero: localhost.
	Suffixes []string
	// Sealer seals private keys before they enter the store. Nil: operations
	// that would store one are refused.
	Sealer *pki.Sealer
	Now    func() time.Time // zero: time.Now
	Log    *slog.Logger     // zero: slog.Default
	// PropagationDelay is how long a change of TLS settings takes to bind, as
	// AWS's take 15 minutes; zero: at once.
	PropagationDelay time.Duration
	// Targets says whether the operator has mapped an address to what a VPC link
	// leads to: a load balancer's or listener's ARN. Nil: nothing is mapped.
	Targets func(name string) bool
	// TestInvoke runs a method in the data plane for TestInvokeMethod; nil: that
	// is refused. A failing method is a result; a *resource.Error goes to the
	// client.
	TestInvoke func(context.Context, TestInvoke) (*TestInvoked, error)
	// ServedTimeout bounds the wait for the data plane after a commit; zero: 5 s.
	ServedTimeout time.Duration
}

// Server is an http.Handler, safe for concurrent use once every service is
// registered.
type Server struct {
	options    Options
	log        *slog.Logger
	verifier   *sigv4.Verifier
	handlers   map[string]handler // service and operation
	extensions []extension
	slots      chan struct{}
	changes    sync.RWMutex // see attempt
}

// New returns a Server without operations.
func New(o Options) *Server {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if len(o.Suffixes) == 0 {
		o.Suffixes = []string{"localhost"}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.ServedTimeout == 0 {
		o.ServedTimeout = 5 * time.Second
	}
	return &Server{
		options:  o,
		log:      o.Log,
		verifier: &sigv4.Verifier{Secret: o.Secret, Now: o.Now},
		handlers: map[string]handler{},
		slots:    make(chan struct{}, maxCalls),
	}
}

// Options returns the options with their defaults filled in.
func (s *Server) Options() Options { return s.options }

// Now is the clock's time in whole seconds, as AWS's dates are.
func (s *Server) Now() time.Time { return s.options.Now().UTC().Truncate(time.Second) }

// Place is where this gateway says it is.
func (s *Server) Place() resource.Place {
	return resource.Place{Region: s.options.Region, Account: s.options.Account, Suffix: s.options.Suffixes[0]}
}

// Call is one verified call as its handler sees it.
type Call struct {
	RequestID   string
	AccessKeyID string
	Operation   *awsapi.Operation
	Presence    awsapi.Presence

	extras []awsapi.Extra
}

// Extra adds a member to the answer that AWS's does not have. Its value is
// JSON.
func (c *Call) Extra(name string, value json.RawMessage) {
	c.extras = append(c.extras, awsapi.Extra{Name: name, JSON: value})
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &exchange{
		server:    s,
		w:         &recorder{ResponseWriter: w},
		r:         r,
		requestID: NewUUID(),
		began:     time.Now(),
	}
	c.w.Header().Set("x-amzn-RequestId", c.requestID)
	defer c.end()
	c.serve()
}

// exchange is one call on its way. A step returns the error that ends it.
type exchange struct {
	server    *Server
	w         *recorder
	r         *http.Request
	requestID string
	began     time.Time

	scope     sigv4.Scope // claimed until verified
	service   *awsapi.Service
	body      []byte
	operation *awsapi.Operation
	handler   handler
	extension *extension // nil: one of AWS's operations
	request   *awsapi.Request
	code      string // of the error that was answered
	err       error  // what the client is not told; for the log
}

var steps = []func(*exchange) error{
	(*exchange).identify, // whose protocol an error must speak
	(*exchange).read,
	(*exchange).verify,
	(*exchange).route,
	(*exchange).decode,
	(*exchange).handle,
}

func (c *exchange) serve() {
	select {
	case c.server.slots <- struct{}{}:
		defer func() { <-c.server.slots }()
	default:
		c.fail(&awsapi.Error{Code: "TooManyRequestsException", Message: "Too Many Requests", Status: http.StatusTooManyRequests, RetryAfter: retryAfter})
		return
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), callTimeout)
	defer cancel()
	c.r = c.r.WithContext(ctx)
	for _, step := range steps {
		if err := step(c); err != nil {
			c.fail(err)
			return
		}
	}
}

// identify reads, unverified, which service the call is for.
func (c *exchange) identify() error {
	if isExtension(c.r) {
		c.service = speaks(extensionService) // errors too are JSON, whatever the scope claims
	}
	scope, err := sigv4.ParseScope(c.r)
	if err != nil {
		return err
	}
	c.scope = scope
	if c.service == nil {
		c.service = speaks(scope.Service) // one that is not known is named after the signature is verified
	}
	return nil
}

// speaks returns a service of that signing name, or nil. Two that share the
// name share the protocol.
func speaks(signingName string) *awsapi.Service {
	for _, s := range awsapi.Services() {
		if s.SigningName == signingName {
			return s
		}
	}
	return nil
}

// read takes the body, which the signature covers, within a bound and a
// deadline.
func (c *exchange) read() error {
	limit := int64(maxBody)
	if c.service != nil {
		if op, err := awsapi.Route(c.scope.Service, c.r, nil); err == nil && imports[op.Name] {
			limit = maxImport
		}
	}
	tooLarge := &awsapi.Error{
		Code:    "RequestEntityTooLargeException",
		Message: fmt.Sprintf("Request body exceeds %d bytes", limit),
		Status:  http.StatusRequestEntityTooLarge,
	}
	if c.r.ContentLength > limit {
		c.w.Header().Set("Connection", "close")
		return tooLarge
	}
	deadline := http.NewResponseController(c.w)
	// A writer without deadlines (a test's recorder) holds the whole body already.
	_ = deadline.SetReadDeadline(time.Now().Add(readTimeout))
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge
	case err != nil:
		c.err = err
		return &awsapi.Error{Code: "RequestTimeoutException", Message: "The request body did not arrive whole or in time.", Status: http.StatusBadRequest}
	}
	c.body = body
	c.r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func (c *exchange) verify() error {
	scope, err := c.server.verifier.Verify(c.r, c.body)
	if err != nil {
		return err
	}
	c.scope = scope
	if c.service == nil {
		return unknownService(scope.Service, operationOf(c.r, c.body))
	}
	return nil
}

// operationOf says, without any service's tables, what a call asks for: the
// operation where the protocol names it, else method and path.
func operationOf(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
			return form.Get("Action")
		}
	}
	return r.Method + " " + r.URL.EscapedPath()
}

// unknownService names service and operation in an error that every client can
// show.
func unknownService(name, operation string) *awsapi.Error {
	return &awsapi.Error{
		Code:    "UnknownServiceException",
		Message: fmt.Sprintf("Sallyport does not speak the service %q, so it does not implement %s.", clip(name), clip(operation)),
		Status:  http.StatusBadRequest,
	}
}

func (c *exchange) route() error {
	if isExtension(c.r) {
		return c.routeExtension()
	}
	op, err := awsapi.Route(c.scope.Service, c.r, c.body)
	if err != nil {
		return err
	}
	c.operation, c.service = op, op.Service // two services may share a signing name
	h, ok := c.server.handlers[key(op.Service.Name, op.Name)]
	if !ok {
		return notBuilt(op)
	}
	c.handler = h
	return nil
}

// notBuilt is a client error, so that no client tries again and again.
func notBuilt(op *awsapi.Operation) *awsapi.Error {
	e := &awsapi.Error{
		Code:    "BadRequestException",
		Message: fmt.Sprintf("Sallyport does not implement %s of %s yet.", op.Name, op.Service.Name),
		Status:  http.StatusBadRequest,
	}
	if op.Service.Protocol != awsapi.RESTJSON {
		e.Code = "UnsupportedOperationException"
	}
	return e
}

func (c *exchange) decode() error {
	if c.extension != nil {
		return nil // it reads its own parameters
	}
	request, err := c.operation.Decode(c.r, c.body)
	if err != nil {
		return err
	}
	c.request = request
	if len(request.Unknown) > 0 {
		c.server.log.Debug("request has unknown members", "operation", c.operation.Name, "request_id", c.requestID, "members", request.Unknown)
	}
	return nil
}

func (c *exchange) handle() error {
	if c.extension != nil {
		return c.extend()
	}
	call := &Call{
		RequestID:   c.requestID,
		AccessKeyID: c.scope.AccessKeyID,
		Operation:   c.operation,
		Presence:    c.request.Presence,
	}
	out, err := c.handler(c.r.Context(), call, c.request.Input)
	if err != nil {
		return err
	}
	return c.operation.Encode(c.w, c.requestID, out, call.extras...)
}

// fail answers with err in the protocol of the service, if the answer has not
// begun.
func (c *exchange) fail(err error) {
	var refused *sigv4.Error
	var e *awsapi.Error
	if errors.As(err, &refused) {
		e = &awsapi.Error{Code: refused.Code, Message: refused.Message, Status: refused.Status}
	} else {
		var public bool
		name := ""
		if c.service != nil {
			name = c.service.Name
		}
		if e, public = wireError(name, err); !public {
			c.err = err
		}
	}
	c.code = e.Code
	if c.w.status != 0 {
		return
	}
	c.w.Header().Set("x-amzn-ErrorType", e.Code)
	awsapi.WriteError(c.w, c.protocol(), c.requestID, e)
}

// protocol guesses, where no service is known, by what the request looks like.
func (c *exchange) protocol() awsapi.Protocol {
	switch {
	case c.service != nil:
		return c.service.Protocol
	case c.r.Header.Get("X-Amz-Target") != "":
		return awsapi.JSON11
	case strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return awsapi.Query
	}
	return awsapi.RESTJSON
}

// end turns a panic into the loss of one call, and writes the call's line.
func (c *exchange) end() {
	fault := recover()
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	if fault != nil {
		c.server.log.Error("call panicked", "request_id", c.requestID, "err", fmt.Sprint(fault), "stack", string(debug.Stack()))
		begun := c.w.status != 0
		c.fail(internalFailure())
		if begun {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
	}
	name := ""
	switch {
	case c.operation != nil:
		name = c.operation.Name
	case c.extension != nil:
		name = c.extension.pattern
	}
	attrs := []any{
		"operation", name,
		"service", clip(c.scope.Service),
		"request_id", c.requestID,
		"access_key_id", clip(c.scope.AccessKeyID),
		"status", c.w.status,
		"millis", float64(time.Since(c.began).Microseconds()) / 1000,
	}
	// The answer's text stays out: it may quote what the client sent.
	switch {
	case c.w.status >= http.StatusInternalServerError:
		c.server.log.Error("call failed", append(attrs, "code", c.code, "err", c.err)...)
	case c.err != nil:
		c.server.log.Info("call refused", append(attrs, "code", c.code, "err", c.err)...)
	case c.code != "":
		c.server.log.Info("call refused", append(attrs, "code", c.code)...)
	default:
		c.server.log.Info("call", attrs...)
	}
}

// recorder remembers the status that was sent; zero: none yet.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// NewID returns n random characters of a-z and 0-9, as generated ids are.
func NewID(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	const even = 256 - 256%len(digits) // bytes from here on would favour the first digits
	id := make([]byte, 0, n)
	var b [16]byte
	for {
		rand.Read(b[:])
		for _, c := range b {
			if int(c) >= even {
				continue
			}
			if id = append(id, digits[int(c)%len(digits)]); len(id) == n {
				return string(id)
			}
		}
	}
}

// NewUUID returns a random UUID, as request and certificate ids are.
func NewUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// clip bounds a stranger's text in logs and answers.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

package backgate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Request is one request to a backend. It is not kept after Do and the end of
// the response.
type Request struct {
	Method string
	Scheme string // http or https
	Host   string // of the backend, with an optional port: Host header, SNI and the name verified
	Path   string // escaped; sent as it is; "" means "/"
	Query  string // escaped; sent as it is, without "?"
	// Header goes out without what belongs to one connection (Connection and
	// what it names, Keep-Alive, TE, Upgrade ...), without Host and framing.
	Header httpwire.Header
	// Body is read once; nil means none. ContentLength is its length in bytes,
	// -1 when unknown. A short one is read before the backend is asked.
	Body          io.Reader
	ContentLength int64
	// Trailer, unless nil, follows a body of unknown length. It is looked at
	// once Body gave io.EOF.
	Trailer *httpwire.Header
	// Upgrade is the protocol that the connection shall switch to if the backend
	// agrees; "" for none. Requests with a body are never upgraded.
	Upgrade string
	// InsecureSkipVerification drops the check that the chain's root is trusted.
	InsecureSkipVerification bool
	// Certificate is shown to a backend that asks for one; nil: none. The same
	// certificate is the same pointer: connections are shared by it.
	Certificate *tls.Certificate
	// Previous is the certificate before, for a backend that does not take
	// Certificate yet; nil: there is none.
	Previous *tls.Certificate
	// Target names what is dialed in place of Host, by the operator's targets:
	// a load balancer's or listener's ARN. "": Host. Host header, SNI and the
	// name verified stay Host's.
	Target string
	// Timeout bounds the whole exchange from the dial to the body's last byte;
	// zero means 29 s. A deadline of the context may end it earlier.
	Timeout time.Duration
	// Inform, unless nil, is given interim responses as they come. The header is
	// valid until it returns.
	Inform func(status int, h httpwire.Header)
}

// Response is a backend's answer. It and its strings are valid until Close,
// which is called exactly once. Its connection is free for others as soon as
// the body was read to its end.
type Response struct {
	Status int // 101 after an upgrade, else 200 to 999
	Header httpwire.Header
	// ContentLength is the body's length in bytes, -1 when unknown. For HEAD and
	// 304 it is what the body's would be.
	ContentLength int64
	// Body is never nil; a body that is none gives io.EOF. Its errors are of type
	// *Error. Closing it is closing the response.
	Body io.ReadCloser

	exchange *exchange
}

// Trailer holds the fields that came after the body, valid once Body gave
// io.EOF. Those that decide framing or identity are not among them.
func (r *Response) Trailer() httpwire.Header { return r.exchange.call.Trailer() }

// Arrived reports whether some of the body came along with the head, so that
// reading it does not wait.
func (r *Response) Arrived() bool { return r.exchange.call.Arrived() }

// Upgraded hands over the connection of a response with status 101. The request's
// context and timeout bind it no more; closing the response closes it.
func (r *Response) Upgraded() httpwire.Stream {
	r.exchange.unwatch()
	return r.exchange.call.Upgraded()
}

// exchange is a request under way. It is reused.
type exchange struct {
	call     httpwire.Call
	request  httpwire.ClientRequest
	response Response

	host     string
	slot     *pool            // whose turn the exchange holds
	pool     *pool            // of the connection
	client   *httpwire.Client // nil: given back, or none
	sent     bool             // some of the request went out on client
	ctx      context.Context
	deadline time.Time
	rotation

	// Watching for the end of the client.
	cancel   func()            // closes client
	watching *httpwire.Context // what calls it; nil: stop does
	stop     func() bool
	watched  bool
	canceled atomic.Bool
	fired    chan struct{} // cancel is through
}

var exchanges = sync.Pool{New: func() any {
	x := &exchange{fired: make(chan struct{}, 1)}
	x.cancel = x.hangUp
	x.response.exchange, x.response.Body = x, x
	return x
}}

// free returns x for reuse. Nothing of it is in use any more.
func (x *exchange) free() {
	x.call.Stop()
	x.request = httpwire.ClientRequest{}
	x.response.Header = nil
	x.host, x.pool, x.slot, x.ctx = "", nil, nil, nil
	x.canceled.Store(false)
	exchanges.Put(x)
}

// errScheme and errAuthority are causes of InvalidAddress, errNoAddress is
// NoTarget's.
var (
	errScheme    = errors.New("scheme is neither http nor https")
	errAuthority = errors.New("not a host name with an optional port")
	errNoAddress = errors.New("the setting targets maps it to no address")
)

// Do sends r and returns the answer's head; the body is streamed. The error is
// always an *Error. The caller closes the answer, once. r.Body is not read any
// more once Do failed or the answer is closed.
func (g *Gate) Do(ctx context.Context, r *Request) (*Response, error) {
	x := exchanges.Get().(*exchange)
	x.ctx, x.host = ctx, r.Host
	err := x.do(g, r)
	x.rotation.end()
	if err != nil {
		e := x.fault(err)
		x.release(false)
		x.free()
		return nil, e
	}
	return &x.response, nil
}

func (x *exchange) do(g *Gate, r *Request) error {
	if r.Scheme != "http" && r.Scheme != "https" {
		return &Error{Kind: InvalidAddress, Cause: errScheme}
	}
	pool, err := g.trust.Load().pool(key{host: r.Host, target: r.Target, secure: r.Scheme == "https", skip: r.InsecureSkipVerification, certificate: r.Certificate})
	if err != nil {
		return err
	}
	x.request = httpwire.ClientRequest{
		Method: r.Method, Authority: r.Host, Path: r.Path, Query: r.Query, Header: r.Header,
		Body: r.Body, ContentLength: r.ContentLength, Trailer: r.Trailer, Upgrade: r.Upgrade,
	}
	if r.Path == "" {
		x.request.Path = "/"
	}
	if err := x.call.Encode(&x.request); err != nil {
		return err
	}
	now := time.Now()
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	x.deadline = now.Add(timeout)
	if d, ok := x.ctx.Deadline(); ok && d.Before(x.deadline) {
		x.deadline = d
	}
	if x.pool, err = x.choose(g, r, now, pool); err != nil {
		return err
	}
	if err := x.pool.enter(x.ctx, x.deadline); err != nil {
		return err
	}
	x.slot = x.pool
	again := r.Upgrade == "" && x.call.Bodyless() && safe(r.Method)
	if !x.trial {
		x.client = x.pool.take(now, x.deadline, again, &x.call)
	}
	for {
		err := x.attempt(again, r.Inform)
		if x.turn(err, again) {
			x.client = x.pool.take(time.Now(), x.deadline, again, &x.call)
			continue
		}
		if err == nil {
			break
		}
		unsent := errors.Is(err, httpwire.ErrNotQuiet)
		if x.canceled.Load() || !unsent && (!again || x.client == nil || !x.client.Used() || x.call.Begun() || !broken(err)) {
			return err
		}
		// The backend closed a kept connection before it read the request, or
		// spoke on it unasked.
		x.unwatch()
		x.client.Abort()
		x.client = nil
	}
	x.call.Release()
	if x.choice != nil && (x.shown != nil || x.turns > 0) && !refusalPage(x.call.Status(), x.call.Ahead()) {
		x.choice.answered(x.current, x.turns > 0)
	}
	resp := &x.response
	resp.Status, resp.Header, resp.ContentLength = x.call.Status(), x.call.Header(), x.call.ContentLength()
	if x.call.Complete() {
		x.release(x.call.Reusable())
	}
	return nil
}

// attempt sends the request once, on the connection at hand or on a new one,
// and reads the answer's head.
func (x *exchange) attempt(again bool, inform func(int, httpwire.Header)) (err error) {
	x.sent, x.shown = false, nil
	if x.client == nil {
		if x.choice != nil {
			x.shown = &handover{certificate: x.certificate()}
		}
		if x.client, err = x.pool.dial(x.ctx, x.deadline, x.shown); err != nil {
			return err
		}
		x.client.SetDeadline(x.deadline)
		if x.client.Early() {
			return errEarly
		}
	}
	if !x.watch() {
		return context.Canceled
	}
	if err := x.confirm(again); err != nil {
		return err
	}
	x.sent = true
	x.call.Send(x.client)
	return x.call.ReadHead(inform)
}

// errEarly is when a backend answers before it was asked.
var errEarly = &httpwire.ResponseError{Reason: "response before the request"}

// safe reports the methods that a backend may be asked twice without harm.
// Source: RFC 9110 9.2.1.
func safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// watch has the connection closed when the client goes away. It returns false
// when it is gone already.
func (x *exchange) watch() bool {
	c, ok := x.ctx.(*httpwire.Context)
	switch {
	case ok && c.Watch(x.cancel):
		x.watching, x.watched = c, true
	case x.ctx.Err() != nil:
		return false
	case x.ctx.Done() != nil:
		x.stop, x.watched = context.AfterFunc(x.ctx, x.cancel), true
	}
	return true
}

// unwatch ends the watch. When it returns, cancel does not run and will not.
func (x *exchange) unwatch() {
	if !x.watched {
		return
	}
	x.watched = false
	if x.watching != nil && !x.watching.Unwatch() || x.stop != nil && !x.stop() {
		<-x.fired
	}
	x.watching, x.stop = nil, nil
}

// hangUp ends the exchange for a client that is gone.
func (x *exchange) hangUp() {
	x.canceled.Store(true)
	x.client.Abort()
	x.fired <- struct{}{}
}

// release gives the connection back, or closes it.
func (x *exchange) release(reusable bool) {
	x.unwatch()
	if x.client != nil {
		if reusable && !x.canceled.Load() {
			x.pool.put(x.client, time.Now())
		} else {
			x.client.Abort()
		}
		x.client = nil
	}
	if x.slot != nil {
		x.slot.leave()
		x.slot = nil
	}
}

// Read implements Response.Body.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.call.Read(p)
	switch {
	case err == nil:
	case err == io.EOF:
		if x.client != nil {
			x.release(x.call.Reusable())
		}
	default:
		e := x.fault(err)
		x.release(false)
		return n, e
	}
	return n, err
}

// Close ends the exchange; of a body that was not read to its end, the
// connection closes.
func (x *exchange) Close() error {
	x.release(false)
	x.free()
	return nil
}

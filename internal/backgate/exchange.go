package backgate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Request is one request to a backend.
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
	// -1 when unknown.
	Body          io.Reader
	ContentLength int64
	// InsecureSkipVerification drops the check that the chain's root is trusted.
	InsecureSkipVerification bool
}

// Response is a backend's answer.
type Response struct {
	Status int // 200 to 999
	Header httpwire.Header
	// ContentLength is the body's length in bytes, -1 when unknown.
	ContentLength int64
	// Body is never nil. Its errors are of type *Error.
	Body io.ReadCloser
}

// hopByHop are the fields that belong to one connection, in lower case, and
// those that the HTTP engine makes itself. Source: RFC 9110 7.6.1.
var hopByHop = map[string]bool{
	"connection": true, "proxy-connection": true, "keep-alive": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "proxy-authenticate": true, "proxy-authorization": true,
	"content-length": true, "host": true, "expect": true,
}

// HopByHop reports whether a field is never passed on.
func HopByHop(name string) bool { return hopByHop[strings.ToLower(name)] }

// EndToEnd calls keep for each line of h that is meant for more than one
// connection: not for those above, nor for those that a Connection line names.
func EndToEnd(h httpwire.Header, keep func(httpwire.Field)) {
	var named []string
	for i := range h {
		if strings.EqualFold(h[i].Name, "Connection") {
			for name := range strings.SplitSeq(h[i].Value, ",") {
				named = append(named, strings.ToLower(strings.TrimSpace(name)))
			}
		}
	}
	for _, f := range h {
		lower := strings.ToLower(f.Name)
		if !hopByHop[lower] && !slices.Contains(named, lower) {
			keep(f)
		}
	}
}

// build makes net/http's form of r.
func (r *Request) build(ctx context.Context) (*http.Request, *requestBody, error) {
	u, err := r.target()
	if err != nil {
		return nil, nil, err
	}
	req := (&http.Request{
		Method: r.Method, URL: u, Host: r.Host, Header: make(http.Header, len(r.Header)+1),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	EndToEnd(r.Header, func(f httpwire.Field) {
		// One spelling per name, or net/http would miss what it looks for.
		req.Header.Add(f.Name, f.Value)
	})
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = nil // or net/http would add its own
	}
	body := &requestBody{r: r.Body}
	switch {
	case r.Body != nil && r.ContentLength != 0:
		req.Body, req.ContentLength = body, r.ContentLength
	case resends(req):
		// A request with a body that cannot be had again is never sent twice.
		// "identity" keeps net/http from looking whether there is a body.
		body.r = http.NoBody
		req.Body, req.TransferEncoding = body, []string{"identity"}
	}
	return req, body, nil
}

// resends reports whether net/http would send a bodyless request again when a
// kept connection breaks.
func resends(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

// requestBody lends the client's body to net/http, which may go on reading
// after it returned an answer, and takes it back.
type requestBody struct {
	mu sync.Mutex
	r  io.Reader // nil: none, or taken back
}

var errDetached = errors.New("request is over")

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.r == nil {
		return 0, errDetached
	}
	return b.r.Read(p)
}

// Close is for net/http; the body stays the client's.
func (b *requestBody) Close() error { return nil }

// detach returns when nobody reads any more; the client's deadlines bound it.
func (b *requestBody) detach() {
	b.mu.Lock()
	b.r = nil
	b.mu.Unlock()
}

func newResponse(r *http.Response, body *requestBody, host string) *Response {
	resp := &Response{
		Status: r.StatusCode, ContentLength: r.ContentLength,
		Body:   &responseBody{body: r.Body, request: body, host: host},
		Header: make(httpwire.Header, 0, len(r.Header)),
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	var all httpwire.Header
	for _, name := range names {
		for _, v := range r.Header[name] {
			all = append(all, httpwire.Field{Name: name, Value: v})
		}
	}
	EndToEnd(all, func(f httpwire.Field) { resp.Header = append(resp.Header, f) })
	return resp
}

// responseBody types errors and, closed, ends the exchange.
type responseBody struct {
	body    io.ReadCloser
	request *requestBody
	host    string
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF {
		err = classify(err, b.host)
	}
	return n, err
}

func (b *responseBody) Close() error {
	err := b.body.Close()
	b.request.detach()
	return err
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "server closed idle connection")
}

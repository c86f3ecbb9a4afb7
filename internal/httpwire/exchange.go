// Package httpwire carries HTTP between the gates. An Exchange is the one form
// in which the pipeline sees a request and answers it; who parsed it stays in
// this package.
//
// HTTP/1 requests are parsed here, once and strictly (head.go): bare LF, folded
// lines, white space before a colon, missing or repeated Host, Content-Length
// that is repeated or beside Transfer-Encoding, codings but chunked, chunk
// extensions and a target that disagrees with Host are refused with 400 and the
// connection closes. net/http then keeps order, persistence, 100-continue and
// response framing; it reads a head and chunks made by this package, never the
// client's own. Header lines keep their order and spelling.
//
// HTTP/2 is net/http's, with its own guards against floods and resets. What
// that leaves open: header lines arrive sorted by name; a request that net/http
// itself refuses gets its wording; a head that is split over CONTINUATION
// frames has only the idle timeout; a stream that must not be served any more
// is answered 421 where REFUSED_STREAM would let every client retry unseen.
// Trailers are judged and dropped; CONNECT and Upgrade are not served. A client
// that closes its sending side while it waits counts as gone.
//
//	s := httpwire.NewServer(httpwire.Options{Handler: pipeline.Serve})
//	session := s.Serve(tlsConn, facts) // after the handshake
//	session.Drain()                    // finish what runs, take nothing new
package httpwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// Field is one header line. Name has the spelling that was received (lower
// case over HTTP/2); compare it without regard to case.
type Field struct{ Name, Value string }

// Header is an ordered list of header lines. The zero value is empty.
type Header []Field

// Get returns the first value of name in any case, "" when there is none.
func (h Header) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Values returns all values of name in order.
func (h Header) Values(name string) []string {
	var vs []string
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			vs = append(vs, h[i].Value)
		}
	}
	return vs
}

// Add appends a line.
func (h *Header) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Set removes every line of name and appends one.
func (h *Header) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// Del removes every line of name.
func (h *Header) Del(name string) {
	kept := (*h)[:0]
	for _, f := range *h {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	*h = kept
}

// Conn is what is known of a client connection once its handshake is done.
// It is shared by the connection's exchanges; only the atomics change afterwards.
type Conn struct {
	ID       string         // the id of the connection-log record
	Listener string         // REGIONAL, EDGE, PRIVATE or HTTP (plaintext)
	Peer     netip.AddrPort // client
	Local    netip.AddrPort // listener
	HTTP2    bool           // ALPN chose h2

	Version uint16            // tls.VersionTLS12 ...; 0 on a plaintext listener
	Suite   uint16            // IANA id
	Group   tls.CurveID       // 0: RSA key exchange
	SNI     string            // normalized: lower case, no trailing dot; "" when none was sent
	Leaf    *x509.Certificate // the certificate served

	VPC         string // the private listener's VPC id, from configuration
	VPCEndpoint string // the private listener's VPC endpoint id

	// Moving is set while a change of policy that this connection does not
	// survive comes into force: its client was told to move (GOAWAY, close),
	// and what it had sent before it knew is still served. It is cleared before
	// the change is acknowledged.
	Moving atomic.Bool
}

// Exchange is one request and its response. It belongs to the goroutine that
// handles it and must not be kept after the handler returns.
type Exchange struct {
	Conn     *Conn
	Context  context.Context // ends when the client goes away
	Received time.Time       // when the head was complete

	Proto     string // HTTP/1.0, HTTP/1.1 or HTTP/2.0
	Method    string
	Authority string // Host or :authority as sent, port included
	RawPath   string // as sent, escaped, starts with "/" ("*" for OPTIONS *)
	RawQuery  string // without "?"
	// Header is without Host and pseudo headers, and without what the engine
	// deals with itself: Content-Length, Transfer-Encoding, Trailer and Expect.
	// Connection stays, since it names headers that must not be forwarded.
	Header Header
	// ContentLength is the body's length in bytes, -1 when unknown (chunked).
	ContentLength int64
	// Body is never nil. Its size is not bounded here. Broken framing reads as
	// ErrMalformedBody, an early end as io.ErrUnexpectedEOF, a client that
	// stops sending as os.ErrDeadlineExceeded.
	Body io.Reader

	w       responder
	started bool
}

// responder is the engine's side of a response.
type responder interface {
	// head sends status and header; length -1 means unknown.
	head(status int, h Header, length int64, closeAfter bool) error
	write(p []byte) (int, error)
	flush() error
	abort()
}

// Respond sends the response head, once; later calls are ignored. length is
// the body's size in bytes, -1 when unknown. Framing headers (Content-Length,
// Transfer-Encoding, Connection) in h are dropped: the engine makes its own.
func (x *Exchange) Respond(status int, h Header, length int64) error {
	return x.respond(status, h, length, false)
}

// RespondClose is Respond for the last response of a connection: HTTP/1.1
// closes after it, HTTP/2 sends GOAWAY.
func (x *Exchange) RespondClose(status int, h Header, length int64) error {
	return x.respond(status, h, length, true)
}

func (x *Exchange) respond(status int, h Header, length int64, closeAfter bool) error {
	if x.started {
		return nil
	}
	x.started = true
	return x.w.head(status, h, length, closeAfter)
}

// Started reports whether the response head was sent.
func (x *Exchange) Started() bool { return x.started }

// Abort ends the exchange without a complete response, once the handler
// returns: an HTTP/1.1 connection closes, an HTTP/2 stream is reset. Call it
// when a backend breaks off in the middle of a body.
func (x *Exchange) Abort() { x.w.abort() }

// Write sends body bytes; Respond comes first. Bytes of a response that has
// no body (HEAD, 204, 304) are swallowed. Writing less than the declared
// length aborts the exchange.
func (x *Exchange) Write(p []byte) (int, error) { return x.w.write(p) }

// Flush sends what is buffered to the client.
func (x *Exchange) Flush() error { return x.w.flush() }

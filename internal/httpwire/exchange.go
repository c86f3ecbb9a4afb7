// Package httpwire carries HTTP between the gates. An Exchange is the one form
// in which the pipeline sees a request and answers it; who parsed it stays in
// this package.
//
// HTTP/1 (h1.go) is read once and strictly: bare LF, bare CR, folded lines, white
// space before a colon, control bytes, missing or repeated Host, Content-Length
// that is repeated or beside Transfer-Encoding, codings but chunked, chunk
// extensions and a target that disagrees with Host are refused with 400 at the
// byte that is wrong, and the connection closes. The same bytes get the same
// verdict however they arrive. Header lines keep their order and spelling. A
// connection costs one goroutine, holds read buffers only while it has something
// to do, and allocates nothing per request.
//
// HTTP/2 is this package's too (h2.go), over hpack of golang.org/x/net: what RFC
// 9113 calls malformed resets its stream, what is refused for other reasons is
// answered as over HTTP/1, and what a client can do at no cost to itself is
// counted. CONNECT and Upgrade are not served. A client that closes its sending
// side while it waits counts as gone.
//
//	s := httpwire.NewServer(httpwire.Options{Handler: pipeline.Serve})
//	session := s.Serve(tlsConn, facts) // after the handshake
//	session.Drain()                    // finish what runs, take nothing new
package httpwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
	// Used is set once a request has reached the handler.
	Used atomic.Bool

	unjudged atomic.Int32 // exchanges with the handler that are not Judged
}

// Exchange is one request and its response. It belongs to the goroutine that
// handles it and must not be kept after the handler returns; nor must its
// strings and headers, whose memory the next request of the connection takes.
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
	// stops sending as os.ErrDeadlineExceeded. One goroutine reads at a time; it
	// need not be the handler's, but must be done when the handler returns. The
	// first read answers 100 to a client that expects it.
	Body io.Reader
	// Trailer holds the fields that came after the body, valid once Body gave
	// io.EOF. Those that decide framing, routing or identity are not among them.
	Trailer Header
	// UpgradeTo is the protocol that an HTTP/1.1 client asked for by Upgrade and
	// "Connection: upgrade", as sent; "" when it did not. See Upgrade.
	UpgradeTo string

	w       responder
	started bool
	aborted bool
	arrived bool // counted in Conn.unjudged
}

// Stream is what a connection becomes after Upgrade.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error // ends what is sent; reading goes on
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// ErrNoUpgrade is returned by Upgrade when UpgradeTo is "" or the response
// has begun.
var ErrNoUpgrade = errors.New("connection cannot be upgraded")

// responder is the engine's side of a response.
type responder interface {
	// inform sends an interim head. status is 102 to 199.
	inform(status int, h Header) error
	// head sends status and header; length -1 means unknown.
	head(status int, h Header, length int64, closeAfter bool) error
	write(p []byte) (int, error)
	// trailer is what follows the body, if the protocol allows.
	trailer(h Header)
	flush() error
	upgrade(h Header) (Stream, error)
	abort()
}

// arrive counts x as not judged, until Judged or the end of its handler.
func (x *Exchange) arrive() {
	x.arrived = true
	x.Conn.unjudged.Add(1)
}

// Judged says that x was judged by the configuration in force. Until then, or
// until its handler returns, Session.Pending counts it.
func (x *Exchange) Judged() {
	if x.arrived {
		x.arrived = false
		x.Conn.unjudged.Add(-1)
	}
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

// Inform sends an interim response (102 to 199) ahead of Respond, at once. It is
// dropped for clients of HTTP/1.0, as is any other status and what comes after
// Respond. 100 is not for callers: the first read of Body sends it.
func (x *Exchange) Inform(status int, h Header) error {
	if x.started || status < 102 || status > 199 {
		return nil
	}
	return x.w.inform(status, h)
}

// RespondTrailer gives the fields that follow the body, after its last Write.
// A response of known length over HTTP/1.1 has none: there they are dropped.
func (x *Exchange) RespondTrailer(h Header) { x.w.trailer(h) }

// Upgrade answers 101 with h, to which it adds Connection and, from UpgradeTo,
// Upgrade if h has none, and hands over the connection, bytes that the client
// sent ahead included. The stream is closed once the handler returns; it has
// no deadlines but those the caller sets. The body must have been read.
func (x *Exchange) Upgrade(h Header) (Stream, error) {
	if x.started || x.UpgradeTo == "" {
		return nil, ErrNoUpgrade
	}
	s, err := x.w.upgrade(h)
	if err == nil {
		x.started = true
	}
	return s, err
}

// Started reports whether the response head was sent.
func (x *Exchange) Started() bool { return x.started }

// Abort ends the exchange without a complete response, once the handler
// returns: an HTTP/1.1 connection closes, an HTTP/2 stream is reset. Call it
// when a backend breaks off in the middle of a body.
func (x *Exchange) Abort() {
	x.aborted = true
	x.w.abort()
}

// Write sends body bytes; Respond comes first. Bytes of a response that has
// no body (HEAD, 204, 304) are swallowed. Writing less than the declared
// length aborts the exchange.
func (x *Exchange) Write(p []byte) (int, error) { return x.w.write(p) }

// Flush sends what is buffered to the client.
func (x *Exchange) Flush() error { return x.w.flush() }

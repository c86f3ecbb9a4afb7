// Package httpwire carries HTTP between the gates. An Exchange is the one form
// in which the pipeline sees a request and answers it; who parsed it stays in
// this package. Today a thin adapter over net/http makes exchanges.
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
// It does not change afterwards and is shared by the connection's exchanges.
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
	Header    Header // without Host and pseudo headers; framing headers removed
	// ContentLength is the body's length in bytes, -1 when unknown (chunked).
	ContentLength int64
	Body          io.Reader // never nil

	w       responder
	started bool
}

// responder is the engine's side of a response.
type responder interface {
	// head sends status and header; length -1 means unknown.
	head(status int, h Header, length int64, closeAfter bool) error
	write(p []byte) (int, error)
	flush() error
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

// Write sends body bytes; Respond comes first.
func (x *Exchange) Write(p []byte) (int, error) { return x.w.write(p) }

// Flush sends what is buffered to the client.
func (x *Exchange) Flush() error { return x.w.flush() }

package httpwire

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"runtime/debug"
	"strconv"
	"time"
)

// Options configure NewServer. Zero durations and sizes mean the defaults.
type Options struct {
	// Handler answers one exchange. It is called from many goroutines.
	Handler func(*Exchange)
	// HeaderTimeout bounds a request head: from the start of serving for the
	// first, from the first byte for later ones. Default 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request.
	// Default 310 s. Source: API Gateway quotas.
	IdleTimeout time.Duration
	// BodyTimeout is the longest wait for the next body bytes. Default 60 s.
	BodyTimeout time.Duration
	// WriteTimeout is the longest wait for a client to take response bytes.
	// Default 60 s.
	WriteTimeout time.Duration
	// MaxHeaderBytes lowers the limit on all header lines together, which is
	// otherwise the quota of the listener's type: 20,480, PRIVATE 8,000.
	MaxHeaderBytes int
	// MaxStreams bounds the requests of one HTTP/2 connection at a time.
	// Default 100.
	MaxStreams int
	Log        *slog.Logger // nil: discarded
}

// Server makes exchanges out of connections. It is safe for concurrent use.
type Server struct {
	opt Options
}

// NewServer returns a server; it starts nothing.
func NewServer(o Options) *Server {
	for _, d := range []struct {
		d    *time.Duration
		zero time.Duration
	}{
		{&o.HeaderTimeout, 10 * time.Second},
		{&o.IdleTimeout, 310 * time.Second},
		{&o.BodyTimeout, 60 * time.Second},
		{&o.WriteTimeout, 60 * time.Second},
	} {
		if *d.d <= 0 {
			*d.d = d.zero
		}
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 100
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{opt: o}
}

// limits of a listener type; an unknown one gets the tightest.
func (s *Server) limits(listener string) limits {
	l, ok := listenerLimits[listener]
	if !ok {
		l = listenerLimits["PRIVATE"]
	}
	if s.opt.MaxHeaderBytes > 0 {
		l.header = min(l.header, s.opt.MaxHeaderBytes)
	}
	return l
}

// protocol serves one connection.
type protocol interface {
	// serve returns when the connection is closed and no handler runs.
	serve()
	drain()
	pending() bool
	closeIdle()
	close() error
}

// Session is one client connection being served.
type Session struct {
	done chan struct{}
	p    protocol
}

// Serve starts serving c, whose handshake is done, and returns at once. c is
// closed in the end. HTTP/2 needs facts.HTTP2 and a *tls.Conn.
func (s *Server) Serve(c net.Conn, facts *Conn) *Session {
	session := &Session{done: make(chan struct{})}
	if tlsConn, ok := c.(*tls.Conn); ok && facts.HTTP2 {
		session.p = newH2(s, tlsConn, facts)
	} else {
		session.p = newH1(s, c, facts)
	}
	go func() {
		defer close(session.done)
		session.p.serve()
	}()
	return session
}

// Drain lets what is under way finish and takes nothing new. HTTP/1.1: a busy
// connection closes after its response, which says so; an idle one closes at
// once, unless its next request has arrived; one that never carried a request
// may still send one within 5 s. HTTP/2: GOAWAY, the streams that the client
// opened before it knew, GOAWAY with the last of them, close.
func (s *Session) Drain() { s.p.drain() }

// Pending reports whether a request has come, or part of one, that the handler
// has not judged yet; of a connection that is drained also, whether one may come
// whose client could not know.
func (s *Session) Pending() bool { return s.p.pending() }

// CloseIdle ends Drain's patience with HTTP/1 clients: the connection closes at
// once, or after the request that is being read or served, even if another one
// has arrived. HTTP/2: the GOAWAY that names the last stream goes out at once.
func (s *Session) CloseIdle() { s.p.closeIdle() }

// Done is closed when the connection is and no handler runs on it.
func (s *Session) Done() <-chan struct{} { return s.done }

// Wait waits for Done, or returns ctx's error when that ends first.
func (s *Session) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connection now, whatever it carries.
func (s *Session) Close() error { return s.p.close() }

// call runs the handler; a panic costs this request only. It reports false
// when what was answered must not look whole.
func (s *Server) call(x *Exchange) (whole bool) {
	if !x.arrived {
		x.arrive()
	}
	defer func() {
		x.Judged()
		if p := recover(); p != nil {
			s.opt.Log.Error("panic in a request", "panic", p, "conn", x.Conn.ID, "peer", x.Conn.Peer, "stack", string(debug.Stack()))
			if x.started || x.aborted {
				whole = false
				return
			}
			s.fail(x)
		}
	}()
	whole = true
	s.opt.Handler(x)
	switch {
	case x.aborted:
		return false
	case !x.started:
		s.opt.Log.Error("request was not answered", "conn", x.Conn.ID, "peer", x.Conn.Peer)
		s.fail(x)
	}
	return true
}

func (s *Server) fail(x *Exchange) {
	// Over HTTP/1.1 whoever reads the body may have been left behind.
	x.message(500, "InternalServerErrorException", "Internal server error", !x.Conn.HTTP2)
}

// refusals are what refused requests are answered with, by status.
var refusals = map[int]struct{ kind, message string }{
	400: {"BadRequestException", "Bad Request"},
	408: {"RequestTimeoutException", "Request Timeout"},
	414: {"RequestTooLargeException", "Request URI too long"},
	417: {"BadRequestException", "Expectation Failed"},
	431: {"RequestTooLargeException", "Request header fields too large"},
	501: {"BadRequestException", "Not Implemented"},
	505: {"BadRequestException", "HTTP version not supported"},
}

// refuse answers a request that the handler does not get to see.
func (s *Server) refuse(x *Exchange, r *refusal) {
	s.opt.Log.Debug("request refused", "reason", r.reason, "status", r.status, "conn", x.Conn.ID, "peer", x.Conn.Peer, "sni", x.Conn.SNI)
	answer := refusals[r.status]
	x.message(r.status, answer.kind, answer.message, false)
}

// message answers with the engine's own words.
func (x *Exchange) message(status int, kind, message string, closeAfter bool) {
	body := `{"message":` + strconv.Quote(message) + `}`
	x.respond(status, Header{{"Content-Type", "application/json"}, {"x-amzn-ErrorType", kind}}, int64(len(body)), closeAfter)
	x.Write([]byte(body))
}

package httpwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	opt  Options
	log  *log.Logger // what net/http has to say
	http *http.Server
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
	s := &Server{opt: o, log: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP1),
		Protocols:         protocols,
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		ErrorLog:          s.log,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, wireKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			w := c.(*wire)
			switch state {
			case http.StateIdle:
				w.idle()
			case http.StateClosed:
				w.session.finish()
			}
		},
		// Never answers "OPTIONS *" on its own.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

type wireKey struct{}

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

// Session is one client connection being served.
type Session struct {
	done     chan struct{}
	doneOnce sync.Once
	conn     net.Conn
	wire     *wire        // HTTP/1, else nil
	h2       *http.Server // HTTP/2, else nil; of this connection alone

	mu       sync.Mutex
	ready    bool // HTTP/2: GOAWAY can be sent
	draining bool
	closed   bool // the connection is
	handlers int  // running; HTTP/2's outlive a connection that breaks
}

// Serve starts serving c, whose handshake is done, and returns at once. c is
// closed in the end. HTTP/2 needs facts.HTTP2 and a *tls.Conn.
func (s *Server) Serve(c net.Conn, facts *Conn) *Session {
	session := &Session{done: make(chan struct{}), conn: c}
	tlsConn, isTLS := c.(*tls.Conn)
	if !facts.HTTP2 || !isTLS {
		session.wire = newWire(s, c, facts, session)
		s.http.Serve(&oneConn{conn: session.wire}) // returns once it has the connection
		return session
	}
	// A server of its own is what lets net/http send GOAWAY on one connection.
	limits := s.limits(facts.Listener)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	session.h2 = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session.count(1)
			defer session.count(-1)
			s.serveHTTP2(w, r, facts)
		}),
		Protocols:         protocols,
		ReadHeaderTimeout: s.opt.HeaderTimeout,
		IdleTimeout:       s.opt.IdleTimeout,
		// Target and header have their own limits; what is above both and the
		// pseudo headers is refused by net/http.
		MaxHeaderBytes: limits.target + limits.header + 1024,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          s.opt.MaxStreams,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			WriteByteTimeout:              s.opt.WriteTimeout,
		},
		ErrorLog:                     s.log,
		DisableGeneralOptionsHandler: true,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateActive:
				session.becomeReady()
			case http.StateClosed:
				session.finish()
			}
		},
	}
	session.h2.Serve(&oneConn{conn: tlsConn})
	return session
}

// oneConn is a listener that has one connection to give.
type oneConn struct{ conn net.Conn }

var errNoMore = errors.New("no more connections")

func (l *oneConn) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, errNoMore
	}
	c := l.conn
	l.conn = nil
	return c, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// Drain lets what is under way finish and takes nothing new. HTTP/1.1: a busy
// connection closes after its response, which says so; an idle one closes at
// once; one that never carried a request may still send one within 5 s.
// HTTP/2: GOAWAY, then the streams under way.
func (s *Session) Drain() {
	if s.wire != nil {
		s.wire.drain()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining && s.ready {
		s.goAway()
	}
	s.draining = true
}

// becomeReady is called when net/http knows the HTTP/2 connection; before
// that it would forget a shutdown.
func (s *Session) becomeReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !s.ready {
		s.goAway()
	}
	s.ready = true
}

func (s *Session) goAway() {
	now, cancel := context.WithCancel(context.Background())
	cancel() // start it, do not wait
	go s.h2.Shutdown(now)
}

// finish notes that the connection is closed.
func (s *Session) finish() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.count(0)
}

func (s *Session) count(delta int) {
	s.mu.Lock()
	s.handlers += delta
	over := s.closed && s.handlers == 0
	s.mu.Unlock()
	if over {
		s.doneOnce.Do(func() { close(s.done) })
	}
}

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
func (s *Session) Close() error { return s.conn.Close() }

// serveHTTP1 is called by net/http for each head that a wire made.
func (s *Server) serveHTTP1(w http.ResponseWriter, r *http.Request) {
	wire := r.Context().Value(wireKey{}).(*wire)
	seq, err := strconv.ParseUint(strings.TrimPrefix(r.URL.Path, "/"), 10, 64)
	h := wire.take(seq)
	if err != nil || h == nil {
		// net/http and we disagree on where a message ends: never guess.
		s.opt.Log.Error("request framing lost", "peer", wire.facts.Peer, "conn", wire.facts.ID)
		panic(http.ErrAbortHandler)
	}
	resp := &responseWriter{w: w, control: http.NewResponseController(w), bodyless: h.method == http.MethodHead, wire: wire}
	if h.refusal != nil {
		s.refuse(resp, h.refusal, wire.facts)
		return
	}
	s.serve(resp, &Exchange{
		Conn: wire.facts, Context: r.Context(), Received: h.received,
		Proto: h.proto, Method: h.method, Authority: h.authority,
		RawPath: h.path, RawQuery: h.query, Header: h.header,
		ContentLength: h.length, Body: r.Body,
	})
}

// serveHTTP2 is called by net/http for each HTTP/2 request.
func (s *Server) serveHTTP2(w http.ResponseWriter, r *http.Request, facts *Conn) {
	control := http.NewResponseController(w)
	resp := &responseWriter{w: w, control: control, bodyless: r.Method == http.MethodHead,
		patience: &patience{limit: s.opt.WriteTimeout, control: control}}
	defer resp.patience.last()
	x, refused := s.fromHTTP2(r, facts)
	if refused != nil {
		s.refuse(resp, refused, facts)
		return
	}
	x.Body = &streamBody{body: r.Body, control: resp.control, timeout: s.opt.BodyTimeout}
	s.serve(resp, x)
}

func (s *Server) fromHTTP2(r *http.Request, facts *Conn) (*Exchange, *refusal) {
	limits := s.limits(facts.Listener)
	if len(r.RequestURI) > limits.target {
		return nil, longTarget
	}
	if !isToken(r.Method) || len(r.Method) > maxMethod { // net/http lets ":method: GET /x HTTP/1.1" pass
		return nil, badRequestLine
	}
	if r.Method == http.MethodConnect {
		return nil, noTunnel
	}
	absolute, path, query, ok := splitTarget(r.Method, r.RequestURI, true)
	if !ok || absolute != "" {
		return nil, badTarget
	}
	if !validAuthority(r.Host) {
		return nil, badHost
	}
	if hosts := r.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !strings.EqualFold(hosts[0], r.Host) {
		return nil, badAuthority
	}
	if lengths := r.Header["Content-Length"]; len(lengths) > 0 {
		n, ok := parseLength(lengths[0])
		if !ok || len(lengths) > 1 || n != r.ContentLength {
			return nil, badLength
		}
	}
	if r.Header["Expect"] != nil { // net/http took 100-continue out
		return nil, badExpect
	}
	names := make([]string, 0, len(r.Header))
	size := 0
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
		if name != "Host" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	if size > limits.header {
		return nil, longHeader
	}
	slices.Sort(names)
	header := make(Header, 0, len(names))
	for _, name := range names {
		lower := strings.ToLower(name)
		for _, v := range r.Header[name] {
			header = append(header, Field{lower, v})
		}
	}
	return &Exchange{
		Conn: facts, Context: r.Context(), Received: time.Now(),
		Proto: "HTTP/2.0", Method: r.Method, Authority: r.Host,
		RawPath: path, RawQuery: query, Header: header,
		ContentLength: r.ContentLength,
	}, nil
}

// streamBody gives each read of an HTTP/2 body a deadline.
type streamBody struct {
	body    io.Reader
	control *http.ResponseController
	timeout time.Duration
}

func (b *streamBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(b.timeout))
	n, err := b.body.Read(p)
	b.control.SetReadDeadline(time.Time{})
	return n, err
}

// serve runs the handler. A panic costs this request only.
func (s *Server) serve(resp *responseWriter, x *Exchange) {
	x.w = resp
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			s.opt.Log.Error("panic in a request", "panic", p, "conn", x.Conn.ID, "peer", x.Conn.Peer, "stack", string(debug.Stack()))
		} else if p == nil && !x.started && !resp.aborted {
			s.opt.Log.Error("request was not answered", "conn", x.Conn.ID, "peer", x.Conn.Peer)
		}
		if !x.started && !resp.aborted && p != http.ErrAbortHandler {
			x.started = true
			resp.message(http.StatusInternalServerError, "InternalServerErrorException", "Internal server error", true)
			return
		}
		if p != nil || resp.aborted || resp.short() {
			// An HTTP/1.1 connection closes, an HTTP/2 stream is reset: the
			// client must not take half a response for a whole one.
			panic(http.ErrAbortHandler)
		}
	}()
	s.opt.Handler(x)
}

// refusals are what refused requests are answered with, by status.
var refusals = map[int]struct{ kind, message string }{
	http.StatusBadRequest:                  {"BadRequestException", "Bad Request"},
	http.StatusRequestURITooLong:           {"RequestTooLargeException", "Request URI too long"},
	http.StatusExpectationFailed:           {"BadRequestException", "Expectation Failed"},
	http.StatusRequestHeaderFieldsTooLarge: {"RequestTooLargeException", "Request header fields too large"},
	http.StatusNotImplemented:              {"BadRequestException", "Not Implemented"},
	http.StatusHTTPVersionNotSupported:     {"BadRequestException", "HTTP version not supported"},
}

func (s *Server) refuse(resp *responseWriter, r *refusal, facts *Conn) {
	s.opt.Log.Debug("request refused", "reason", r.reason, "status", r.status, "conn", facts.ID, "peer", facts.Peer, "sni", facts.SNI)
	answer := refusals[r.status]
	resp.message(r.status, answer.kind, answer.message, resp.wire != nil)
}

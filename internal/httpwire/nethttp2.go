package httpwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// netHTTP2 serves an HTTP/2 connection with net/http.
type netHTTP2 struct {
	server *http.Server // of this connection alone: lets net/http send GOAWAY on one
	conn   *tls.Conn
	facts  *Conn
	done   chan struct{}

	mu       sync.Mutex
	ready    bool // GOAWAY can be sent
	draining bool
	closed   bool // the connection is
	handlers int  // running; they outlive a connection that breaks
	once     sync.Once
}

func newNetHTTP2(s *Server, c *tls.Conn, facts *Conn) *netHTTP2 {
	session := &netHTTP2{conn: c, facts: facts, done: make(chan struct{})}
	limits := s.limits(facts.Listener)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	session.server = &http.Server{
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
		ErrorLog:                     slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelDebug),
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
	return session
}

func (s *netHTTP2) serve() {
	s.server.Serve(&oneConn{conn: s.conn})
	<-s.done
}

func (s *netHTTP2) close() error { return s.conn.Close() }

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

func (s *netHTTP2) closeIdle() {}

func (s *netHTTP2) pending() bool { return s.facts.unjudged.Load() > 0 }

func (s *netHTTP2) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining && s.ready {
		s.goAway()
	}
	s.draining = true
}

// becomeReady is called when net/http knows the HTTP/2 connection; before
// that it would forget a shutdown.
func (s *netHTTP2) becomeReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !s.ready {
		s.goAway()
	}
	s.ready = true
}

func (s *netHTTP2) goAway() {
	now, cancel := context.WithCancel(context.Background())
	cancel() // start it, do not wait
	go s.server.Shutdown(now)
}

// finish notes that the connection is closed.
func (s *netHTTP2) finish() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.count(0)
}

func (s *netHTTP2) count(delta int) {
	s.mu.Lock()
	s.handlers += delta
	over := s.closed && s.handlers == 0
	s.mu.Unlock()
	if over {
		s.once.Do(func() { close(s.done) })
	}
}

// serveHTTP2 is called by net/http for each HTTP/2 request.
func (s *Server) serveHTTP2(w http.ResponseWriter, r *http.Request, facts *Conn) {
	resp := &responseWriter{w: w, control: http.NewResponseController(w), bodyless: r.Method == http.MethodHead}
	x, refused := s.fromHTTP2(r, facts)
	if refused != nil {
		s.refuse(&Exchange{Conn: facts, w: resp}, refused)
		return
	}
	x.Body = &streamBody{body: r.Body, control: resp.control, timeout: s.opt.BodyTimeout}
	x.w = resp
	if !s.call(x) || resp.short() {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) fromHTTP2(r *http.Request, facts *Conn) (*Exchange, *refusal) {
	limits := s.limits(facts.Listener)
	if len(r.RequestURI) > limits.target {
		return nil, longTarget
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

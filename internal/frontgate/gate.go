// Package frontgate is the first gate: the listeners, the client's TLS, and
// what a connection may be used for afterwards.
//
// The server name decides: one lookup in the current snapshot gives a
// handshake its certificate, policy and ticket keys. Every accepted connection
// leaves one record in the connection log, failed ones included. When a name's
// policy changes, connections that it would no longer accept are drained, and
// Admit refuses what still arrives on them.
//
//	g := frontgate.New(frontgate.Options{
//		Snapshot: compiler.Current, Listeners: listeners, Handler: pipeline.Serve,
//		Connections: connectionLog.Write, Log: log,
//	})
//	go g.Run(ctx)
//	g.Apply(old, new) // before and after each swap of the snapshot
//	g.Shutdown(ctx)
package frontgate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// Names is what the gate asks of a snapshot; *snapshot.Snapshot has it.
type Names interface {
	// Lookup returns what a host name stands for, nil when it is unknown.
	Lookup(host string) *snapshot.Name
	// Default governs handshakes without a server name or with an unknown one.
	Default() *snapshot.Name
}

// Listener is one socket of the gate.
type Listener struct {
	net.Listener
	Type        string // REGIONAL, EDGE, PRIVATE, or HTTP (plaintext)
	VPC         string // PRIVATE: the VPC that requests come from
	VPCEndpoint string // PRIVATE: and its VPC endpoint
}

// Options configure New. Zero durations and counts mean the defaults.
type Options struct {
	// Snapshot returns the one in force.
	Snapshot  func() *snapshot.Snapshot
	Listeners []Listener
	// Handler answers requests.
	Handler func(*httpwire.Exchange)
	// Connections takes one record per accepted connection. It must not block.
	Connections func(telemetry.Connection)

	HandshakeTimeout time.Duration // from accept to the end of the handshake; default 10 s
	HeaderTimeout    time.Duration // for a request head; default 10 s
	IdleTimeout      time.Duration // default 310 s
	// MaxConnections bounds the open connections of all listeners together,
	// handshakes under way included; one more is closed at once. Default 16,384.
	MaxConnections int
	MaxHeaderBytes int // see httpwire.Options

	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now; decides about ticket keys and record times
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxConnections   = 16384
	// maxAcceptPause bounds the wait after an accept that failed for want of
	// something, file descriptors most likely.
	maxAcceptPause = time.Second
)

// Gate is the first gate. Its methods are safe for concurrent use.
type Gate struct {
	o       Options
	log     *slog.Logger
	now     func() time.Time
	names   func() Names
	server  *httpwire.Server
	configs *configs

	mu        sync.Mutex
	all       map[*conn]struct{}
	open      map[string]map[*conn]struct{} // past the handshake, by normalized server name
	listeners map[net.Listener]struct{}     // being accepted on
	draining  bool
	choosing  map[*conn]*snapshot.Name // in the handshake, by the name that governs it
	swap      *swap                    // from the first call of Apply to the end of the second, else nil
	empty     chan struct{}            // closed by the last connection once draining
}

// New returns a gate that does not accept yet.
func New(o Options) *Gate {
	return newGate(o, func() Names { return o.Snapshot() })
}

func newGate(o Options, names func() Names) *Gate {
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = defaultHandshakeTimeout
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultMaxConnections
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Connections == nil {
		o.Connections = func(telemetry.Connection) {}
	}
	g := &Gate{
		o: o, log: o.Log, now: o.Now, names: names,
		configs:   newConfigs(o.Now),
		all:       make(map[*conn]struct{}),
		open:      make(map[string]map[*conn]struct{}),
		choosing:  make(map[*conn]*snapshot.Name),
		listeners: make(map[net.Listener]struct{}),
		empty:     make(chan struct{}),
	}
	g.server = httpwire.NewServer(httpwire.Options{
		Handler: o.Handler, HeaderTimeout: o.HeaderTimeout, IdleTimeout: o.IdleTimeout,
		MaxHeaderBytes: o.MaxHeaderBytes, Log: o.Log,
	})
	return g
}

// Run accepts on all listeners until ctx ends, Shutdown is called (both nil)
// or a listener breaks (its error), and closes the listeners. Connections that
// are open stay so until Shutdown.
func (g *Gate) Run(ctx context.Context) error {
	errs := make(chan error, len(g.o.Listeners))
	for _, l := range g.o.Listeners {
		g.mu.Lock()
		closed := g.draining
		if !closed {
			g.listeners[l.Listener] = struct{}{}
		}
		g.mu.Unlock()
		if closed {
			l.Close()
		}
	}
	stop := context.AfterFunc(ctx, g.closeListeners)
	defer stop()
	for _, l := range g.o.Listeners {
		go func() { errs <- g.accept(l) }()
	}
	var first error
	for range g.o.Listeners {
		if err := <-errs; err != nil && first == nil {
			first = err
			g.closeListeners()
		}
	}
	return first
}

func (g *Gate) accept(l Listener) error {
	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			g.admitTCP(c, l)
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		}
		var ne net.Error
		//lint:ignore SA1019 nothing else tells a shortage from a broken listener
		if !errors.As(err, &ne) || !ne.Temporary() {
			return fmt.Errorf("accept on %s listener %s: %w", l.Type, l.Addr(), err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause)
		g.log.Warn("accept failed", "listener", l.Type, "err", err, "pause", pause)
		time.Sleep(pause)
	}
}

// admitTCP counts a new connection and starts its goroutine, or closes it.
func (g *Gate) admitTCP(raw net.Conn, l Listener) {
	c := newConn(g, raw, l)
	g.mu.Lock()
	full := len(g.all) >= g.o.MaxConnections
	refused := full || g.draining
	if !refused {
		g.all[c] = struct{}{}
	}
	g.mu.Unlock()
	if refused {
		raw.Close()
		reason := "shutting down"
		if full {
			reason = "too many connections"
		}
		c.record(reason)
		return
	}
	go c.run()
}

// leave is called once for each connection that admitTCP counted.
func (g *Gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.choosing, c)
	if set := g.open[c.sni]; set != nil {
		delete(set, c)
		if len(set) == 0 {
			delete(g.open, c.sni)
		}
	}
	if delete(g.all, c); len(g.all) == 0 && g.draining {
		close(g.empty)
	}
}

// choose returns the name that governs c's handshake, and notes it so that a
// change of that name waits for the handshake's end.
func (g *Gate) choose(c *conn) *snapshot.Name {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := c.govern(g.names())
	g.choosing[c] = name
	return name
}

// enter notes an open connection by its server name, so that Apply finds it.
func (g *Gate) enter(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := g.open[c.sni]
	if set == nil {
		set = make(map[*conn]struct{})
		g.open[c.sni] = set
	}
	set[c] = struct{}{}
	delete(g.choosing, c)
	if c.stale() != nil {
		g.move(c)
	}
	c.draining = c.draining || g.draining
}

func (g *Gate) closeListeners() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l := range g.listeners {
		l.Close()
	}
	clear(g.listeners)
}

// Open returns the number of open connections, handshakes under way included.
func (g *Gate) Open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all)
}

// Shutdown closes the listeners, drains every connection and waits for them.
// When ctx ends first it closes what is left and returns ctx's error.
func (g *Gate) Shutdown(ctx context.Context) error {
	g.closeListeners()
	g.mu.Lock()
	if !g.draining {
		g.draining = true
		if len(g.all) == 0 {
			close(g.empty)
		}
	}
	// Those in their handshake find the gate draining once it is done.
	for _, set := range g.open {
		for c := range set {
			c.drain()
		}
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.all {
		c.raw.Close()
	}
	return ctx.Err()
}

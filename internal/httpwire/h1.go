package httpwire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Bounds of an HTTP/1 connection that are nobody's setting.
const (
	// lingerTime and lingerBytes bound how long a connection that was answered
	// for the last time is still read, so that the client sees the answer and
	// not a reset.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 2 << 20
	// discardTime and discardBytes bound what is read of a body that the
	// handler left, so that the connection can serve another request.
	discardTime  = time.Second
	discardBytes = 256 << 10
	// firstRequestGrace is how long a drained connection that never carried a
	// request may still send one: it may be on its way already.
	firstRequestGrace = 5 * time.Second
	// firstBytes is what an idle connection is read into: most requests, whole.
	firstBytes = 512
)

// What an HTTP/1 connection is doing, as far as Drain must know.
const (
	h1Fresh   int32 = iota // waiting for its first request
	h1Idle                 // waiting for another one
	h1Reading              // part of a head has come
	h1Serving              // a request is with the handler
	h1Gone                 // closed by Drain: what still comes is dropped
)

// h1 serves the HTTP/1 requests of one connection, one after the other, on one
// goroutine. What it needs for a request it borrows, or keeps for the next.
type h1 struct {
	server *Server
	conn   net.Conn
	raw    net.Conn // beneath TLS
	socket *Socket  // beneath TLS; nil: none
	facts  *Conn

	state    atomic.Int32
	draining atomic.Bool
	last     atomic.Bool                // drained, and what arrives from here on comes too late
	untold   atomic.Bool                // the head of a response went out that does not say close
	grace    atomic.Pointer[time.Timer] // bounds how long Drain lets an open chance stand

	ctx   *Context
	watch uint64

	// Of the serving goroutine and, during a request, of who reads its body.
	in      *readBuffer // nil while idle
	r, w    int         // what was read and not used is in.b[r:w]
	keep    int         // in.b[:keep] is the head being served
	held    *readBuffer // holds the head instead, when in had no room for the body
	parser  requestParser
	readBy  time.Time // the read deadline that stands
	writeBy time.Time
	// bodyWait is the longest wait for the next bytes of the body.
	bodyWait time.Duration
	body     h1Body
	reply    h1Reply
	x        Exchange
	first    [firstBytes]byte
}

func newH1(s *Server, c net.Conn, facts *Conn) *h1 {
	h := &h1{server: s, conn: c, facts: facts}
	h.raw, h.socket = beneath(c)
	if h.raw == c {
		h.socket = nil // no records to collect
	}
	h.parser.limits, h.parser.secure = s.limits(facts.Listener), facts.Listener != "HTTP"
	h.body.c, h.reply.c = h, h
	h.body.chunks.maxTrailer = h.parser.limits.header
	h.ctx = new(Context)
	return h
}

// serve runs until the connection is closed.
func (c *h1) serve() {
	c.watch = watch(c.raw, c.ctx.cancel)
	linger := c.requests()
	forget(c.watch)
	c.ctx.cancel()
	if t := c.grace.Load(); t != nil {
		t.Stop()
	}
	c.releaseInput()
	if linger {
		c.linger()
	}
	c.conn.Close()
}

// requests serves one after the other. linger says that the last thing sent
// was an answer, which the client must get to read.
func (c *h1) requests() (linger bool) {
	begun := time.Now()
	for n := 0; ; n++ {
		headBy := begun.Add(c.server.opt.HeaderTimeout)
		if c.w == 0 {
			if n > 0 && !c.becomeIdle() {
				return false
			}
			if n > 0 {
				c.readWithin(c.server.opt.IdleTimeout)
			} else {
				c.readUntil(headBy)
			}
			m, err := c.conn.Read(c.first[:])
			if m == 0 && err != nil {
				return false
			}
			if !c.startReading() {
				return false
			}
			c.in = usualBuffers.Get().(*readBuffer)
			c.w = copy(c.in.b, c.first[:m])
		}
		if n > 0 {
			headBy = time.Time{} // runs from here
		}
		if r, err := c.readHead(headBy); r != nil {
			c.refuse(r)
			return true
		} else if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.refuse(slowHead)
				return true
			}
			return false
		}
		again, linger := c.handle()
		if !again {
			return linger
		}
		c.keepRest()
	}
}

// becomeIdle reports whether the connection may wait for another request.
func (c *h1) becomeIdle() bool {
	c.state.Store(h1Idle)
	return !c.draining.Load() || !c.endIdle()
}

// startReading reports whether what arrived is still to be served.
func (c *h1) startReading() bool {
	return c.state.CompareAndSwap(h1Idle, h1Reading) || c.state.CompareAndSwap(h1Fresh, h1Reading)
}

// pending implements Session.Pending.
func (c *h1) pending() bool {
	switch c.state.Load() {
	case h1Reading:
		return true
	case h1Serving:
		return c.facts.unjudged.Load() > 0 || c.draining.Load() && c.untold.Load()
	case h1Fresh, h1Idle:
		return waiting(c.raw)
	}
	return false
}

// drain: no request is taken after the ones under way. A connection that has
// not carried any gets its first, since the client may have sent it already
// and would not retry; the pipeline judges it like every request.
func (c *h1) drain() {
	if c.draining.Swap(true) {
		return
	}
	if c.state.Load() == h1Fresh {
		c.closeAfterGrace()
		return
	}
	if c.endIdle() {
		go c.conn.Close() // it may wait for the peer to take close_notify
	}
}

// endIdle ends an idle connection that is drained, for the caller to close.
// One whose next request has arrived already gets to serve it.
func (c *h1) endIdle() bool {
	if !c.last.Load() && c.state.Load() == h1Idle && waiting(c.raw) {
		c.closeAfterGrace()
		return false
	}
	return c.state.CompareAndSwap(h1Idle, h1Gone)
}

func (c *h1) closeAfterGrace() {
	t := time.AfterFunc(firstRequestGrace, func() {
		if c.state.CompareAndSwap(h1Fresh, h1Gone) || c.state.CompareAndSwap(h1Idle, h1Gone) {
			c.conn.Close()
		}
	})
	if old := c.grace.Swap(t); old != nil {
		old.Stop()
	}
}

// closeIdle implements Session.CloseIdle.
func (c *h1) closeIdle() {
	c.last.Store(true)
	c.drain()
	if c.state.CompareAndSwap(h1Fresh, h1Gone) || c.state.CompareAndSwap(h1Idle, h1Gone) {
		go c.conn.Close()
	}
}

func (c *h1) close() error { return c.conn.Close() }

// readHead reads until the head is whole. A head that drips in has until by,
// which is a header timeout from now when it is zero.
func (c *h1) readHead(by time.Time) (*refusal, error) {
	c.parser.reset(c.in.fields[:0])
	for {
		used, done, r := c.parser.parse(c.in.b[:c.w])
		if r != nil {
			return r, nil
		}
		if done {
			c.r, c.keep = used, used
			return nil, nil
		}
		if c.w == len(c.in.b) {
			if c.w >= largeBuffer {
				return longHeader, nil
			}
			large := largeBuffers.Get().(*readBuffer)
			copy(large.b, c.in.b)
			c.in.release()
			c.in = large
			// What was parsed points into the old one.
			c.parser.reset(c.in.fields[:0])
			continue
		}
		if by.IsZero() {
			by = time.Now().Add(c.server.opt.HeaderTimeout)
		}
		c.readUntil(by)
		n, err := c.conn.Read(c.in.b[c.w:])
		if n == 0 && err != nil {
			return nil, err
		}
		c.w += n
	}
}

// handle serves the request whose head was read.
func (c *h1) handle() (again, linger bool) {
	h := &c.parser.head
	c.bodyWait = c.server.opt.BodyTimeout
	c.body.begin(h)
	c.reply.begin(h)
	c.x = Exchange{
		Conn: c.facts, Context: c.ctx, Received: time.Now(),
		Proto: "HTTP/1.1", Method: h.method, Authority: h.authority,
		RawPath: h.path, RawQuery: h.query, Header: h.header,
		ContentLength: h.length, Body: &c.body, UpgradeTo: h.upgradeTo, w: &c.reply,
	}
	if h.http10 {
		c.x.Proto = "HTTP/1.0"
	}
	c.x.arrive()
	c.untold.Store(false)
	c.state.Store(h1Serving)
	whole := c.server.call(&c.x)
	if c.reply.tunnel {
		return false, false
	}
	if !whole || !c.reply.end() {
		c.reply.drop()
		return false, false
	}
	if c.reply.close {
		return false, true
	}
	if !c.body.discard() {
		return false, true
	}
	return true, true
}

// refuse answers instead of the handler, and for the last time.
func (c *h1) refuse(r *refusal) {
	c.reply.begin(&requestHead{method: c.parser.head.method, close: true})
	c.x = Exchange{Conn: c.facts, w: &c.reply}
	c.server.refuse(&c.x, r)
	c.reply.end()
}

// keepRest makes what the client sent ahead the beginning of the next head.
func (c *h1) keepRest() {
	if c.r == c.w {
		c.releaseInput()
		return
	}
	c.state.Store(h1Reading)
	c.w = copy(c.in.b, c.in.b[c.r:c.w])
	c.r = 0
	if c.held != nil {
		c.held.release()
		c.held = nil
	}
}

func (c *h1) releaseInput() {
	for _, b := range []**readBuffer{&c.in, &c.held} {
		if *b != nil {
			(*b).release()
			*b = nil
		}
	}
	c.r, c.w, c.keep = 0, 0, 0
}

// roomForBody is what a buffer must have behind the head to read a body through.
const roomForBody = 1 << 10

// fill reads more of the body's bytes. Nothing is left in the buffer.
func (c *h1) fill() error {
	if c.held == nil && len(c.in.b)-c.keep < roomForBody {
		c.held, c.in, c.keep = c.in, usualBuffers.Get().(*readBuffer), 0
	}
	c.r, c.w = c.keep, c.keep
	n, err := c.readBody(c.in.b[c.keep:])
	c.w += n
	return err
}

// readBody reads straight from the connection. err is nil when n is not zero.
func (c *h1) readBody(p []byte) (n int, err error) {
	c.readWithin(c.bodyWait)
	n, err = c.conn.Read(p)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	case err == nil:
		return 0, io.ErrNoProgress
	}
	return 0, err
}

// readUntil sets the read deadline.
func (c *h1) readUntil(t time.Time) {
	if !c.readBy.Equal(t) {
		c.readBy = t
		c.conn.SetReadDeadline(t)
	}
}

// readWithin sets the read deadline to d from now, or up to an eighth later:
// so it need not be set anew for each request.
func (c *h1) readWithin(d time.Duration) {
	if extend(&c.readBy, d) {
		c.conn.SetReadDeadline(c.readBy)
	}
}

// writeWithin is readWithin for writing.
func (c *h1) writeWithin(d time.Duration) {
	if extend(&c.writeBy, d) {
		c.conn.SetWriteDeadline(c.writeBy)
	}
}

// extend reports whether a deadline has to be set anew to be d from now.
func extend(by *time.Time, d time.Duration) bool {
	want := time.Now().Add(d)
	if !by.Before(want) && by.Sub(want) <= d/8 {
		return false
	}
	*by = want.Add(d / 16)
	return true
}

// linger ends what is sent and reads on for a moment: closing with unread bytes
// would reset the connection under the answer.
func (c *h1) linger() {
	c.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	if closeWrite(c.conn) != nil {
		return
	}
	if c.raw != c.conn {
		closeWrite(c.raw)
	}
	c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	buf := usualBuffers.Get().(*readBuffer)
	defer buf.release()
	for left := lingerBytes; left > 0; {
		n, err := c.raw.Read(buf.b) // undecrypted: nobody looks at it
		if err != nil {
			return
		}
		left -= n
	}
}

var errNoCloseWrite = errors.New("connection cannot be closed one way")

func closeWrite(c net.Conn) error {
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errNoCloseWrite
}

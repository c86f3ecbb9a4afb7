package httpwire

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"
)

// What an HTTP/2 connection may hold, and for how long.
const (
	// h2ConnWindow and h2StreamWindow are how many body bytes a client may send
	// ahead of the handlers that read them: so much a connection holds at most.
	h2ConnWindow   = 1 << 20
	h2StreamWindow = 256 << 10
	// h2Block bounds a header block as it is encoded, and h2Fragments the frames
	// it is split over.
	h2Block     = 128 << 10
	h2Fragments = 64
	// h2TableSize is the decoder's dynamic table.
	h2TableSize = 4 << 10
	// h2Output is how much is queued for writing before who adds to it waits;
	// four full frames and their heads leave as one write.
	h2Output = 4*(h2FrameSize+h2FrameHeader) + 2<<10
	// h2KeepWorkers is how long the goroutines of streams that ended wait for
	// others.
	h2KeepWorkers = 5 * time.Second
	// h2CloseTime is how long a client has to take GOAWAY and to close.
	h2CloseTime = time.Second
	// h2DrainPing tells the answer to Drain's PING from others.
	h2DrainPing = 0x73616c6c79706f72
	// h2Closed is how many streams are remembered after their end, to tell late
	// frames from wrong ones.
	h2Closed = 256
)

// How far Drain is.
const (
	h2Serving   = iota
	h2Announced // GOAWAY says to move; what the client sent before it read that is still taken
	h2Leaving   // GOAWAY names the last stream
	h2Left      // all is answered and our side closed
)

// h2 serves one HTTP/2 connection. One goroutine reads; each running request
// has one, which is used again; whoever has something to send writes, together
// with all that is queued by then, unless somebody is at it.
type h2 struct {
	server *Server
	conn   net.Conn
	raw    net.Conn // beneath TLS
	socket *Socket  // nil: none
	facts  *Conn
	start  time.Time

	// Of the reading goroutine.
	in      *readBuffer // nil while idle
	r, w    int         // what was read and not used is in.b[r:w]
	first   [firstBytes]byte
	decoder *hpack.Decoder
	head    h2Head
	block   h2HeaderBlock
	budget  h2Budget
	now     time.Duration // since start, when the last bytes came
	settled bool          // the client's first SETTINGS came
	bulk    bool          // a body is being received: keep the buffer

	// partBy is when the frame or preface of which only a part came must be
	// whole, since start; 0: none.
	partBy atomic.Int64

	mu        sync.Mutex
	changed   sync.Cond // writing or active went down, or there is room in out
	err       error     // not nil: nothing is sent any more
	lastID    uint32    // the highest stream that the client opened
	streams   map[uint32]*h2Stream
	free      []*h2Stream // whose goroutines wait
	active    int         // handlers running, those of cancelled streams included
	opening   bool        // a header block that may open a stream is being read
	closed    [h2Closed]h2ClosedStream
	nclosed   int
	idleSince time.Duration
	drained   int    // h2Serving ...
	last      uint32 // of the final GOAWAY

	// Flow control of what is received.
	recvWindow int
	recvCredit int // read by handlers or dropped, not yet given back

	// What is sent.
	out        []byte // frames in order
	spare      []byte
	shells     []*[]byte // what out and spare came in
	generation uint64    // how often out was taken
	writing    bool      // somebody has the role of writing
	must       bool      // what is queued is not to wait for more
	window     int
	initial    int  // window of a new stream
	tableOff   bool // the client was told that our encoder uses no table ...
	tableClear bool // ... or will be by the next block
	rings      [8]h2Ring
	ready      uint8 // rings that hold a stream, as bits

	// Deadlines, since start; 0: none.
	timer      *time.Timer
	tickAt     time.Duration
	settingsBy time.Duration
	blockBy    time.Duration
	drainBy    time.Duration
	closeBy    time.Duration
	writeBegan time.Duration
	fatal      *h2Error // set by tick for the reader
}

// h2ClosedStream is a stream that ended.
type h2ClosedStream struct {
	id    uint32
	reset bool // by us: the client may not have known when it sent more
}

func newH2(s *Server, c net.Conn, facts *Conn) *h2 {
	h := &h2{
		server: s, conn: c, facts: facts, start: time.Now(),
		streams: make(map[uint32]*h2Stream), recvWindow: h2ConnWindow,
		window: h2DefaultWindow, initial: h2DefaultWindow,
	}
	h.raw, h.socket = beneath(c)
	h.changed.L = &h.mu
	h.head.limits = s.limits(facts.Listener)
	h.decoder = hpack.NewDecoder(h2TableSize, h.emit)
	h.decoder.SetMaxStringLength(h2Block)
	h.out = h.appendPreface(h.buffer())
	h.settingsBy, h.tickAt = s.opt.HeaderTimeout, min(s.opt.HeaderTimeout, s.opt.IdleTimeout)
	h.timer = time.AfterFunc(h.tickAt, h.tick)
	h.partBy.Store(int64(s.opt.HeaderTimeout))
	return h
}

// since is the time on the connection's clock.
func (c *h2) since() time.Duration { return time.Since(c.start) }

// serve runs until the connection is closed and no handler runs.
func (c *h2) serve() {
	c.mu.Lock()
	c.flush()
	c.mu.Unlock()
	c.end(c.read())
}

// appendPreface appends what we say first.
func (c *h2) appendPreface(b []byte) []byte {
	limits := c.head.limits
	settings := [...]struct {
		id    uint16
		value int
	}{
		{h2MaxConcurrentStreams, c.server.opt.MaxStreams},
		{h2InitialWindowSize, h2StreamWindow},
		// By RFC 9113 each field counts for 32 bytes more than it has. Advice:
		// what is above our own limits is answered.
		{h2MaxHeaderListSize, limits.target + limits.header + 32*maxFields},
		{h2NoPriorities, 1},
	}
	b = appendFrame(b, 6*len(settings), h2Settings, 0, 0)
	for _, s := range settings {
		b = appendSetting(b, s.id, uint32(s.value))
	}
	return appendWindowUpdate(b, 0, h2ConnWindow-h2DefaultWindow)
}

// end closes the connection after reading ended with err, and waits for what
// runs on it.
func (c *h2) end(err error) {
	c.mu.Lock()
	if c.fatal != nil {
		err = c.fatal
	}
	var broken *h2Error
	if !errors.As(err, &broken) && c.drained < h2Left {
		c.raw.Close() // nobody listens any more: a writer need not wait for that
	}
	c.conn.SetWriteDeadline(time.Now().Add(h2CloseTime))
	c.closeBy = 0
	c.fail(err)
	for c.writing {
		c.changed.Wait()
	}
	told := false
	if broken != nil {
		c.server.opt.Log.Debug("HTTP/2 connection refused", "reason", broken.reason, "code", broken.code, "conn", c.facts.ID, "peer", c.facts.Peer)
		b := appendGoAway(c.buffer(), c.lastID, broken.code)
		c.out = nil
		c.mu.Unlock()
		_, werr := c.conn.Write(b)
		told = werr == nil
		c.mu.Lock()
		c.out = b[:0]
	}
	c.releaseOutput()
	c.timer.Stop()
	c.mu.Unlock()
	c.releaseInput()
	if told {
		linger(c.conn, c.raw)
	}
	c.conn.Close()

	c.mu.Lock()
	for c.active > 0 {
		c.changed.Wait()
	}
	c.mu.Unlock()
}

// fail ends all streams: nothing is read or sent any more. The caller holds mu.
func (c *h2) fail(err error) {
	if c.err != nil {
		return
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	for _, s := range c.streams {
		c.kill(s, err, false)
	}
	c.dropWorkers()
	c.changed.Broadcast()
}

// dropWorkers lets the goroutines that wait for streams end.
func (c *h2) dropWorkers() {
	for i, s := range c.free {
		close(s.wake)
		c.free[i] = nil
	}
	c.free = nil
}

// pending reports whether a request may have come that no handler has judged.
func (c *h2) pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil, c.drained == h2Left:
		return false
	case c.opening, c.facts.unjudged.Load() > 0, c.drained == h2Announced:
		return true
	}
	return c.drained == h2Serving && waiting(c.raw)
}

// closeIdle no longer waits for the client to have read the first GOAWAY: what
// it sent meanwhile it may send again elsewhere.
func (c *h2) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
	c.kick()
}

func (c *h2) close() error { return c.conn.Close() }

// drain: GOAWAY twice. The first names no last stream, so that what is on its
// way is served; the second, once the client has read the first, does.
// Source: RFC 9113 6.8.
func (c *h2) drain() {
	c.mu.Lock()
	c.announce()
	c.mu.Unlock()
}

func (c *h2) announce() {
	if c.drained != h2Serving || c.err != nil {
		return
	}
	c.drained = h2Announced
	c.out = appendGoAway(c.buffer(), h2MaxStreamID, h2NoError)
	c.out = appendPing(c.out, 0, h2DrainPing)
	c.drainBy = c.since() + firstRequestGrace
	c.tickBy(c.drainBy)
	c.must = true
	c.kick()
}

// leave says which stream is the last.
func (c *h2) leave() {
	if c.drained != h2Announced {
		return
	}
	c.drained, c.drainBy, c.last = h2Leaving, 0, c.lastID
	c.out = appendGoAway(c.buffer(), c.last, h2NoError)
	c.must = true
}

// finished reports whether a drained connection has nothing more to say but
// what is queued.
func (c *h2) finished() bool {
	return c.drained == h2Leaving && c.active == 0 && !c.opening
}

// tickBy makes tick run at t at the latest. The caller holds mu.
func (c *h2) tickBy(t time.Duration) {
	if c.tickAt == 0 || t < c.tickAt {
		c.tickAt = t
		c.timer.Reset(max(t-c.since(), 0))
	}
}

// tick looks after all deadlines of the connection. It is late for none, but
// may be early: a deadline that moved does not move the timer.
func (c *h2) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	now, next := c.since(), time.Duration(0)
	// due reports whether t has come, and else sees to the next tick.
	due := func(t time.Duration) bool {
		switch {
		case t == 0:
			return false
		case t <= now:
			return true
		case next == 0 || t < next:
			next = t
		}
		return false
	}
	opt := &c.server.opt
	if c.writeBegan != 0 && due(c.writeBegan+opt.WriteTimeout) || due(c.closeBy) {
		c.raw.Close()
		return
	}
	if due(c.settingsBy) {
		c.stop(&h2Error{h2SettingsTimeout, "SETTINGS were not acknowledged"})
		return
	}
	if due(c.blockBy) || due(time.Duration(c.partBy.Load())) {
		c.stop(&h2Error{h2NoError, "frame or header block took too long"})
		return
	}
	for _, s := range c.streams {
		if s.readBy != 0 && due(s.readBy) {
			s.readBy, s.late = 0, true
			s.readable.Broadcast()
		}
		if s.writeBy != 0 && due(s.writeBy) {
			c.reset(s, h2Cancel, errSlowClient)
		}
	}
	if due(c.drainBy) {
		c.leave()
	}
	if c.active == 0 {
		if len(c.free) > 0 && due(c.idleSince+h2KeepWorkers) {
			c.dropWorkers()
		}
		if c.drained == h2Serving && due(c.idleSince+opt.IdleTimeout) {
			c.announce()
			due(c.drainBy)
		}
	}
	c.kick()
	if c.tickAt = next; next != 0 {
		c.timer.Reset(next - now)
	}
}

// stop makes the reader end the connection with e.
func (c *h2) stop(e *h2Error) {
	c.fatal = e
	c.conn.SetReadDeadline(time.Unix(1, 0))
}

// linger ends what is sent on a connection and reads on for a moment: closing
// with unread bytes would reset it under the last thing that was sent.
func linger(conn, raw net.Conn) {
	conn.SetWriteDeadline(time.Now().Add(lingerTime))
	if closeWrite(conn) != nil {
		return
	}
	if raw != conn {
		closeWrite(raw)
	}
	raw.SetReadDeadline(time.Now().Add(lingerTime))
	buf := usualBuffers.Get().(*readBuffer)
	defer buf.release()
	for left := lingerBytes; left > 0; {
		n, err := raw.Read(buf.b) // undecrypted: nobody looks at it
		if err != nil {
			return
		}
		left -= n
	}
}

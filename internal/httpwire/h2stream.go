package httpwire

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

var (
	errClientGone = errors.New("client gave up the stream")
	errSlowClient = os.ErrDeadlineExceeded
)

// h2Stream is a request and its response, and the goroutine that handles it.
// When it is over both serve the connection's next one.
type h2Stream struct {
	c       *h2
	id      uint32
	wake    chan struct{} // one for each request; closed: no more
	x       Exchange
	ctx     *Context // nil: it ended
	header  Header   // memory of x.Header
	ending  Header   // memory of x.Trailer
	refused *refusal

	headOnly bool
	bodyless bool // nothing follows the head
	length   int64

	// Guarded by the connection's mu.

	err      error // not nil: over before the handler is done
	headSent bool
	aborted  bool
	trailers []byte // encoded

	// What is received.
	body         h2Body
	bodyErr      error // once body is empty; io.EOF at its end
	remoteClosed bool
	expect       bool  // the client waits for 100
	left         int64 // of the declared length; -1: not declared
	recvWindow   int
	recvCredit   int
	readable     sync.Cond
	readBy       time.Duration
	late         bool // readBy has passed

	// What is sent.
	window         int
	pending        []byte // of the Write that waits
	writable       sync.Cond
	writeBy        time.Duration
	mustWrite      bool // it is this goroutine's turn to write
	queued         bool
	before, after  *h2Stream // in the ring
	urgency        uint8
	written        int64
	lastFrame      int // where the last frame is in the queue ...
	lastGeneration uint64
}

// worker returns a stream whose goroutine waits. The caller holds mu.
func (c *h2) worker() *h2Stream {
	if last := len(c.free) - 1; last >= 0 {
		s := c.free[last]
		c.free[last] = nil
		c.free = c.free[:last]
		return s
	}
	s := &h2Stream{c: c, wake: make(chan struct{}, 1)}
	s.readable.L, s.writable.L, s.body.s = &c.mu, &c.mu, s
	go s.run()
	return s
}

func (s *h2Stream) run() {
	for range s.wake {
		if s.refused != nil {
			s.c.server.refuse(&s.x, s.refused)
			s.finish(true)
		} else {
			s.finish(s.c.server.call(&s.x))
		}
	}
}

// begin makes s ready for a request. The caller holds mu.
func (s *h2Stream) begin(id uint32) {
	if s.ctx == nil {
		s.ctx = new(Context)
	}
	s.id, s.err, s.headSent, s.aborted = id, nil, false, false
	s.trailers = s.trailers[:0]
	s.headOnly, s.bodyless, s.length = false, false, -1
	s.bodyErr, s.remoteClosed, s.expect, s.left = nil, false, false, -1
	s.recvWindow, s.recvCredit = h2StreamWindow, 0
	s.window, s.written = s.c.initial, 0
	s.lastFrame, s.lastGeneration = 0, ^uint64(0)
	s.x = Exchange{
		Conn: s.c.facts, Context: s.ctx, Received: time.Now(),
		Proto: "HTTP/2.0", Body: &s.body, w: s,
	}
}

// finish completes the response and makes s ready for the next request.
// whole says that what was answered may look whole.
func (s *h2Stream) finish(whole bool) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.err != nil:
	case !whole || s.aborted || !s.headSent || !s.bodyless && s.length >= 0 && s.written < s.length:
		c.reset(s, h2InternalError, errAborted)
	default:
		c.endStream(s)
		if !s.remoteClosed {
			// The rest of the request is not wanted. Source: RFC 9113 8.1.
			c.out = appendReset(c.buffer(), s.id, h2NoError)
		}
		c.forget(s, !s.remoteClosed)
		s.err = errAborted
	}
	s.x = Exchange{}
	clear(s.header)
	clear(s.ending)
	s.header, s.ending = s.header[:0], s.ending[:0]
	if c.active--; c.active == 0 {
		c.idleSince = c.since()
		c.tickBy(c.idleSince + min(h2KeepWorkers, c.server.opt.IdleTimeout))
	}
	c.flush()
	if c.err != nil {
		close(s.wake)
		c.changed.Broadcast()
		return
	}
	c.free = append(c.free, s)
}

// forget ends a stream on the connection: frames for it are late from here on.
func (c *h2) forget(s *h2Stream, reset bool) {
	delete(c.streams, s.id)
	c.remember(s.id, reset)
	c.unqueue(s)
	s.pending = nil
	s.readBy, s.writeBy = 0, 0
	c.credit(s.body.drop())
}

// kill ends a stream under its handler, which still counts until it is done.
func (c *h2) kill(s *h2Stream, err error, reset bool) {
	c.forget(s, reset)
	s.err = err
	go s.ctx.cancel() // who waits for that is not to be run under mu
	s.ctx = nil
	s.readable.Broadcast()
	s.writable.Broadcast()
}

// reset is kill, and tells the client.
func (c *h2) reset(s *h2Stream, code h2Code, err error) {
	c.out = appendReset(c.buffer(), s.id, code)
	c.must = true
	c.kill(s, err, true)
}

func (s *h2Stream) head(status int, h Header, length int64, closeAfter bool) error {
	c := s.c
	if length < 0 {
		length = -1
	}
	if status < 200 || status > 999 {
		status = 500 // no final status
	}
	noBody := status == 204 || status == 304
	s.bodyless = noBody || s.headOnly
	s.length = length
	if noBody {
		s.length = -1 // a 304 may have one; without it nothing can be wrong
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaitRoom(s)
	if s.err != nil {
		return s.err
	}
	start := c.openResponse(s, 0)
	b, dated := appendHpackResponse(appendHpackStatus(c.out, status), h)
	if !dated {
		b = appendHpackDate(b, time.Now())
	}
	if s.length >= 0 {
		b = appendHpackLength(b, s.length)
	}
	c.out = b
	c.closeBlock(start)
	s.headSent = true
	s.lastFrame, s.lastGeneration = start, c.generation
	if closeAfter {
		c.announce()
	}
	return nil
}

func (s *h2Stream) inform(status int, h Header) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaitRoom(s)
	if s.err != nil {
		return s.err
	}
	start := c.openResponse(s, 0)
	c.out, _ = appendHpackResponse(appendHpackStatus(c.out, status), h)
	c.closeBlock(start)
	c.flush()
	return nil
}

func (s *h2Stream) write(p []byte) (int, error) {
	if s.bodyless {
		return len(p), nil
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.aborted {
		return 0, errAborted
	}
	over := false
	if s.length >= 0 && int64(len(p)) > s.length-s.written {
		p, over = p[:s.length-s.written], true
	}
	n := len(p)
	for len(p) > 0 && s.err == nil {
		if c.ready == 0 && len(c.out) < h2Output {
			if n := c.allowed(s, len(p)); n > 0 {
				c.appendData(s, p[:n])
				p = p[n:]
				continue
			}
		}
		s.pending = p
		c.await(s)
		p, s.pending = s.pending, nil
	}
	switch {
	case s.err != nil:
		return n - len(p), s.err
	case over:
		return n, errTooLong
	}
	return n, nil
}

func (s *h2Stream) trailer(h Header) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, f := range h {
		if isToken(f.Name) && !forbiddenTrailer(f.Name) {
			s.trailers = appendHpackField(s.trailers, f)
		}
	}
}

func (s *h2Stream) flush() error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err == nil && s.headSent {
		c.flush()
	}
	return s.err
}

func (s *h2Stream) upgrade(Header) (Stream, error) { return nil, ErrNoUpgrade }

func (s *h2Stream) abort() {
	s.c.mu.Lock()
	s.aborted = true
	s.c.mu.Unlock()
}

// h2Body is what was received of a body and not read.
type h2Body struct {
	s           *h2Stream
	first, last *h2Chunk
}

// h2Chunk holds a part of a body.
type h2Chunk struct {
	next *h2Chunk
	r, w int
	b    [8 << 10]byte
}

var h2Chunks = sync.Pool{New: func() any { return new(h2Chunk) }}

// put takes what was received. The connection's windows bound it.
func (b *h2Body) put(p []byte) {
	for len(p) > 0 {
		if b.last == nil || b.last.w == len(b.last.b) {
			c := h2Chunks.Get().(*h2Chunk)
			c.next, c.r, c.w = nil, 0, 0
			if b.last == nil {
				b.first = c
			} else {
				b.last.next = c
			}
			b.last = c
		}
		n := copy(b.last.b[b.last.w:], p)
		b.last.w += n
		p = p[n:]
	}
}

// get gives what is there.
func (b *h2Body) get(p []byte) (n int) {
	for n < len(p) && b.first != nil {
		c := b.first
		m := copy(p[n:], c.b[c.r:c.w])
		n += m
		if c.r += m; c.r == c.w {
			b.pop()
		}
	}
	return n
}

func (b *h2Body) pop() {
	c := b.first
	if b.first = c.next; b.first == nil {
		b.last = nil
	}
	c.next = nil
	h2Chunks.Put(c)
}

// drop forgets what is there, and says how much it was.
func (b *h2Body) drop() (n int) {
	for b.first != nil {
		n += b.first.w - b.first.r
		b.pop()
	}
	return n
}

// Read implements Exchange.Body.
func (b *h2Body) Read(p []byte) (int, error) {
	s := b.s
	c := s.c
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.late = false
	for {
		switch {
		case s.err != nil && s.bodyErr == ErrMalformedBody:
			return 0, s.bodyErr
		case s.err != nil:
			return 0, io.ErrUnexpectedEOF
		case b.first != nil:
			n := b.get(p)
			c.credit(n)
			s.creditStream(n)
			if c.must {
				c.flush()
			}
			return n, nil
		case s.bodyErr != nil:
			s.x.Trailer = s.ending
			return 0, s.bodyErr
		case s.late:
			return 0, os.ErrDeadlineExceeded
		}
		if s.expect && !s.headSent {
			s.expect = false
			start := c.openResponse(s, 0)
			c.out = appendHpackStatus(c.out, 100)
			c.closeBlock(start)
			c.flush()
			continue
		}
		s.readBy = c.since() + c.server.opt.BodyTimeout
		c.tickBy(s.readBy)
		s.readable.Wait()
		s.readBy = 0
	}
}

// creditStream is credit for the stream's own window.
func (s *h2Stream) creditStream(n int) {
	s.recvCredit += n
	if s.recvCredit >= h2StreamWindow/2 && !s.remoteClosed && s.err == nil {
		c := s.c
		c.out = appendWindowUpdate(c.buffer(), s.id, s.recvCredit)
		s.recvWindow += s.recvCredit
		s.recvCredit = 0
		c.must = true
	}
}

// endBody notes that the client sent all of its request.
func (s *h2Stream) endBody() {
	s.remoteClosed = true
	s.bodyErr = io.EOF
	s.expect = false
	s.readable.Broadcast()
}

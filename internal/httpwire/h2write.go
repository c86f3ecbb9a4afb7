package httpwire

import (
	"math/bits"
	"runtime"
	"sync"
)

// h2Turns is how often in a row one goroutine writes for the others.
const h2Turns = 8

// h2Ring holds the streams of one urgency that wait for their turn to send, in
// order. They are inside write.
type h2Ring struct{ first, last *h2Stream }

var h2Outputs = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// buffer is what is to be written, for appending. The caller holds mu.
func (c *h2) buffer() []byte {
	if c.out == nil {
		b := h2Outputs.Get().(*[]byte)
		c.out = (*b)[:0]
		*b = nil
		c.shells = append(c.shells, b)
	}
	return c.out
}

// releaseOutput gives the buffers back; what is in them is dropped.
func (c *h2) releaseOutput() {
	for _, b := range [...]*[]byte{&c.out, &c.spare} {
		if *b == nil {
			continue
		}
		last := len(c.shells) - 1
		if shell := c.shells[last]; cap(*b) <= 2*h2Output {
			*shell = *b
			h2Outputs.Put(shell)
		}
		c.shells = c.shells[:last]
		*b = nil
	}
}

// sendable reports whether there is something to write.
func (c *h2) sendable() bool { return len(c.out) > 0 || c.ready != 0 && c.window > 0 }

// silent reports whether nothing may be sent any more; what was queued goes.
func (c *h2) silent() bool {
	if c.err == nil && c.drained < h2Left {
		return false
	}
	c.out = c.out[:0]
	return true
}

// flush writes what is queued. When somebody is writing already, it is for him
// to write that too. The caller holds mu, which is free meanwhile.
func (c *h2) flush() {
	c.must = true
	if c.writing || c.silent() {
		return
	}
	c.writing = true
	// Others who are about to answer get to it first: one write for all.
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	c.writeOut(nil)
}

// kick has somebody else write what must be written. The caller holds mu.
func (c *h2) kick() {
	if c.writing || c.silent() || !c.must && (c.ready == 0 || c.window <= 0) {
		return
	}
	c.writing = true
	c.delegate()
}

// delegate gives the role of writing to a stream that waits, if there is one.
func (c *h2) delegate() {
	if s := c.next(); s != nil {
		s.mustWrite = true
		s.writable.Signal()
		return
	}
	go func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.must = true
		c.writeOut(nil)
	}()
}

// writeOut has the role of writing, and gives it up in the end. It writes all
// that is queued; for a stream s whose data is all queued and that is going to
// say more, only what must not wait. The caller holds mu, which is free while
// bytes are on their way.
func (c *h2) writeOut(s *h2Stream) {
	for turn := 0; c.err == nil; turn++ {
		c.collect(s)
		if len(c.out) == 0 || s != nil && len(s.pending) == 0 && !c.must && len(c.out) < h2Output {
			break
		}
		if turn == h2Turns && (s == nil || len(s.pending) == 0) {
			c.delegate()
			return
		}
		b := c.out
		c.out, c.spare = c.spare, nil
		c.generation++
		c.must = false
		c.writeBegan = c.since()
		c.tickBy(c.writeBegan + c.server.opt.WriteTimeout)
		c.mu.Unlock()
		err := c.send(b)
		c.mu.Lock()
		c.writeBegan = 0
		if c.out == nil {
			c.out = b[:0]
		} else {
			c.spare = b[:0]
		}
		if err != nil {
			c.fail(err)
			c.raw.Close()
		}
		c.changed.Broadcast()
	}
	if c.err == nil && c.finished() && len(c.out) == 0 {
		c.drained = h2Left
		c.closeBy = c.since() + h2CloseTime
		c.tickBy(c.closeBy)
		c.mu.Unlock()
		closeWrite(c.conn)
		c.mu.Lock()
	}
	c.writing = false
	if len(c.out) == 0 {
		c.must = false
		c.releaseOutput()
	}
	c.changed.Broadcast()
}

// send writes b, its TLS records at once.
func (c *h2) send(b []byte) error {
	if c.socket == nil || len(b) <= recordBody {
		_, err := c.conn.Write(b)
		return err
	}
	c.socket.cork()
	_, err := c.conn.Write(b)
	if flushErr := c.socket.uncork(); err == nil {
		err = flushErr
	}
	return err
}

// collect queues data of the streams that wait, a frame each in turn, the more
// urgent ones first. writer is the stream that is going to write it.
func (c *h2) collect(writer *h2Stream) {
	for c.ready != 0 && c.window > 0 && len(c.out) < h2Output {
		s := c.next()
		c.unqueue(s)
		n := c.allowed(s, len(s.pending))
		c.appendData(s, s.pending[:n])
		if s.pending = s.pending[n:]; len(s.pending) == 0 {
			s.writable.Signal()
			continue
		}
		if s.writeBy != 0 {
			s.writeBy = c.since() + c.server.opt.WriteTimeout
		}
		c.must = c.must || s != writer // it cannot go on before the client has this
		c.queue(s)
	}
}

// allowed is how much of n bytes s may send in one frame.
func (c *h2) allowed(s *h2Stream, n int) int {
	return max(min(n, s.window, c.window, h2FrameSize), 0)
}

// appendData queues a DATA frame, which may turn out to be the last.
func (c *h2) appendData(s *h2Stream, p []byte) {
	b := c.buffer()
	s.lastFrame, s.lastGeneration = len(b), c.generation
	c.out = append(appendFrame(b, len(p), h2Data, 0, s.id), p...)
	s.window -= len(p)
	c.window -= len(p)
	s.written += int64(len(p))
	c.budget.earn(floodWindow, int32(2+len(p)/512))
}

// endStream queues the end of a response: in its last frame, if that is here.
func (c *h2) endStream(s *h2Stream) {
	switch {
	case len(s.trailers) > 0 && !s.bodyless:
		start := c.openResponse(s, h2EndStream)
		c.out = append(c.out, s.trailers...)
		c.closeBlock(start)
	case s.lastGeneration == c.generation && s.lastFrame < len(c.out):
		c.out[s.lastFrame+4] |= h2EndStream
	default:
		c.out = appendFrame(c.buffer(), 0, h2Data, h2EndStream, s.id)
	}
}

// openResponse begins a response's header block; closeBlock ends it.
func (c *h2) openResponse(s *h2Stream, flags byte) (start int) {
	start = len(c.buffer())
	c.out = appendFrame(c.out, 0, h2Headers, flags, s.id)
	if c.tableClear {
		c.tableClear = false
		c.out = append(c.out, 0x20) // table of size 0: RFC 7541 6.3
	}
	return start
}

// closeBlock completes the header of the block that begins at start, and splits
// it if it is too long for one frame.
func (c *h2) closeBlock(start int) {
	n := len(c.out) - start - h2FrameHeader
	if n <= h2FrameSize {
		c.out[start], c.out[start+1], c.out[start+2] = byte(n>>16), byte(n>>8), byte(n)
		c.out[start+4] |= h2EndHeaders
		return
	}
	stream := c.out[start+5 : start+9]
	id := uint32(stream[0])<<24 | uint32(stream[1])<<16 | uint32(stream[2])<<8 | uint32(stream[3])
	kind, flags := byte(h2Headers), c.out[start+4]
	block := append([]byte(nil), c.out[start+h2FrameHeader:]...)
	c.out = c.out[:start]
	for len(block) > 0 {
		n := min(len(block), h2FrameSize)
		if n == len(block) {
			flags |= h2EndHeaders
		}
		c.out = append(appendFrame(c.out, n, kind, flags, id), block[:n]...)
		block = block[n:]
		kind, flags = h2Continuation, 0
	}
}

// next is the stream whose turn it is.
func (c *h2) next() *h2Stream {
	if c.ready == 0 {
		return nil
	}
	return c.rings[bits.TrailingZeros8(c.ready)].first
}

// queue puts s at the end of its ring.
func (c *h2) queue(s *h2Stream) {
	if s.queued || s.window <= 0 {
		return
	}
	s.queued, s.after = true, nil
	r := &c.rings[s.urgency]
	if s.before = r.last; r.last != nil {
		r.last.after = s
	} else {
		r.first = s
		c.ready |= 1 << s.urgency
	}
	r.last = s
}

// unqueue takes s out of its ring.
func (c *h2) unqueue(s *h2Stream) {
	if !s.queued {
		return
	}
	r := &c.rings[s.urgency]
	if s.before != nil {
		s.before.after = s.after
	} else {
		r.first = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		r.last = s.before
	}
	if r.first == nil {
		c.ready &^= 1 << s.urgency
	}
	s.queued, s.before, s.after = false, nil, nil
}

// resume queues s after its window has changed.
func (c *h2) resume(s *h2Stream) {
	if s.window <= 0 {
		c.unqueue(s)
	} else if len(s.pending) > 0 {
		c.queue(s)
	}
}

// await lets s wait until its pending bytes are queued, and write if nobody
// else does. The caller holds mu.
func (c *h2) await(s *h2Stream) {
	c.queue(s)
	s.writeBy = c.since() + c.server.opt.WriteTimeout
	c.tickBy(s.writeBy)
	c.must = c.must || c.writing
	for len(s.pending) > 0 && s.err == nil {
		switch {
		case s.mustWrite:
			s.mustWrite = false
			c.writeOut(s)
		case !c.writing && c.sendable():
			c.writing = true
			c.writeOut(s)
		default:
			s.writable.Wait()
		}
	}
	s.writeBy = 0
	if s.mustWrite {
		s.mustWrite = false
		c.writeOut(s)
	}
}

// awaitRoom waits until the queue may grow.
func (c *h2) awaitRoom(s *h2Stream) {
	for len(c.out) >= h2Output && s.err == nil {
		c.must = true
		if c.writing {
			c.changed.Wait()
		} else {
			c.writing = true
			c.writeOut(nil)
		}
	}
}

package httpwire

import (
	"encoding/binary"
	"runtime/debug"
	"time"

	"golang.org/x/net/http2/hpack"
)

// h2HeaderBlock is the header block being read.
type h2HeaderBlock struct {
	open      bool
	stream    uint32
	endStream bool
	trailer   bool
	drop      bool   // decoded for the table's sake only
	after     h2Code // the code to reset the stream with after the block; 0: none
	size      int
	fragments int
}

// read takes frames until the connection ends. An *h2Error is the client's
// fault, and what it is to be told.
func (c *h2) read() (err error) {
	defer func() {
		if p := recover(); p != nil { // a fault of ours: one connection, never the process
			c.server.opt.Log.Error("panic on an HTTP/2 connection", "panic", p, "conn", c.facts.ID, "peer", c.facts.Peer, "stack", string(debug.Stack()))
			err = &h2Error{h2InternalError, "panic"}
		}
	}()
	for c.w-c.r < len(h2Preface) {
		if err := c.more(len(h2Preface)); err != nil {
			return err
		}
		if n := min(c.w-c.r, len(h2Preface)); string(c.in.b[c.r:c.r+n]) != h2Preface[:n] {
			return &h2Error{h2ProtocolError, "not the connection preface"}
		}
	}
	c.r += len(h2Preface)
	for {
		if err := c.frame(); err != nil {
			return err
		}
	}
}

// need reads until n bytes are there.
func (c *h2) need(n int) error {
	for c.w-c.r < n {
		if err := c.more(n); err != nil {
			return err
		}
	}
	return nil
}

// more reads once, to get n bytes together. What the frames so far made us say
// is sent first.
func (c *h2) more(n int) error {
	c.mu.Lock()
	c.kick()
	c.mu.Unlock()
	if c.r == c.w && !c.block.open && !c.bulk && c.settled {
		c.releaseInput()
		got, err := c.conn.Read(c.first[:])
		c.now = c.since()
		if got == 0 {
			return noProgress(err)
		}
		c.in = usualBuffers.Get().(*readBuffer)
		c.w = copy(c.in.b, c.first[:got])
		return nil
	}
	c.room(n)
	got, err := c.conn.Read(c.in.b[c.w:])
	c.now = c.since()
	if got == 0 {
		return noProgress(err)
	}
	c.w += got
	return nil
}

// room makes place in the buffer for n bytes from r on.
func (c *h2) room(n int) {
	switch {
	case c.in == nil:
		c.in = usualBuffers.Get().(*readBuffer)
		fallthrough
	case c.r == c.w:
		c.r, c.w = 0, 0
	}
	if len(c.in.b)-c.r >= n && c.w < len(c.in.b) {
		return
	}
	if n <= len(c.in.b) {
		c.w = copy(c.in.b, c.in.b[c.r:c.w])
		c.r = 0
		return
	}
	large := largeBuffers.Get().(*readBuffer)
	c.w = copy(large.b, c.in.b[c.r:c.w])
	c.r = 0
	c.in.release()
	c.in = large
}

func (c *h2) releaseInput() {
	if c.in != nil {
		c.in.release()
		c.in = nil
	}
	c.r, c.w = 0, 0
}

func noProgress(err error) error {
	if err == nil {
		return &h2Error{h2ProtocolError, "empty reads"}
	}
	return err
}

// part sets a deadline for the rest of a frame, of which not all has come.
func (c *h2) part(d time.Duration) {
	by := c.since() + d
	c.partBy.Store(int64(by))
	c.mu.Lock()
	c.tickBy(by)
	c.mu.Unlock()
}

func (c *h2) whole() {
	if c.partBy.Load() != 0 && c.settled {
		c.partBy.Store(0)
	}
}

// frame takes one frame.
func (c *h2) frame() error {
	if c.r == c.w {
		c.whole()
	}
	if c.w-c.r < h2FrameHeader {
		if c.r < c.w && c.settled {
			c.part(c.server.opt.HeaderTimeout)
		}
		for c.w-c.r < h2FrameHeader {
			idle := c.r == c.w
			if err := c.more(h2FrameHeader); err != nil {
				return err
			}
			if idle && c.w-c.r < h2FrameHeader && c.settled {
				c.part(c.server.opt.HeaderTimeout)
			}
		}
	}
	h := c.in.b[c.r:]
	length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
	kind, flags := h[3], h[4]
	stream := binary.BigEndian.Uint32(h[5:]) & h2MaxStreamID
	switch {
	case length > h2FrameSize:
		return &h2Error{h2FrameSizeError, "frame too long"}
	case c.block.open && (kind != h2Continuation || stream != c.block.stream):
		return &h2Error{h2ProtocolError, "header block interrupted"}
	case !c.settled && (kind != h2Settings || flags&h2Ack != 0):
		return &h2Error{h2ProtocolError, "first frame is not SETTINGS"}
	}
	c.bulk = kind == h2Data && flags&h2EndStream == 0
	if kind == h2Data {
		c.r += h2FrameHeader
		return c.data(stream, flags, length)
	}
	if c.w-c.r < h2FrameHeader+length {
		if c.settled && c.partBy.Load() == 0 {
			c.part(c.server.opt.HeaderTimeout)
		}
		if err := c.need(h2FrameHeader + length); err != nil {
			return err
		}
	}
	c.whole()
	payload := c.in.b[c.r+h2FrameHeader : c.r+h2FrameHeader+length]
	c.r += h2FrameHeader + length
	switch kind {
	case h2Headers:
		return c.headers(stream, flags, payload)
	case h2Continuation:
		return c.continuation(flags, payload)
	case h2Priority:
		return c.priority(stream, payload)
	case h2RSTStream:
		return c.resetByClient(stream, payload)
	case h2Settings:
		return c.settings(stream, flags, payload)
	case h2PushPromise:
		return &h2Error{h2ProtocolError, "PUSH_PROMISE from a client"}
	case h2Ping:
		return c.ping(stream, flags, payload)
	case h2GoAway:
		if stream != 0 {
			return &h2Error{h2ProtocolError, "GOAWAY on a stream"}
		}
		if length < 8 {
			return &h2Error{h2FrameSizeError, "GOAWAY too short"}
		}
		return c.spend(floodIgnored)
	case h2WindowUpdate:
		return c.windowUpdate(stream, payload)
	}
	return c.spend(floodIgnored) // unknown types are. Source: RFC 9113 5.5
}

func (c *h2) spend(kind int) error {
	if c.budget.spend(kind, c.now) {
		return nil
	}
	return &h2Error{h2EnhanceYourCalm, h2Floods[kind].what}
}

// headers begins a header block: a request, or the trailers of one.
func (c *h2) headers(stream uint32, flags byte, b []byte) error {
	if stream == 0 {
		return &h2Error{h2ProtocolError, "HEADERS on stream 0"}
	}
	b, _, ok := unpad(flags, b)
	if !ok {
		return &h2Error{h2ProtocolError, "padding longer than its frame"}
	}
	c.block = h2HeaderBlock{open: true, stream: stream, endStream: flags&h2EndStream != 0}
	if flags&h2HasPrio != 0 {
		if len(b) < 5 {
			return &h2Error{h2FrameSizeError, "HEADERS too short"}
		}
		if binary.BigEndian.Uint32(b)&h2MaxStreamID == stream {
			c.block.after = h2ProtocolError // depends on itself: RFC 7540 5.3.1
		}
		b = b[5:]
	}
	if err := c.admit(); err != nil {
		return err
	}
	c.head.reset(c.block.trailer, c.head.header)
	c.decoder.SetEmitEnabled(!c.block.drop)
	return c.fragment(flags, b)
}

// admit decides what the block is.
func (c *h2) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &c.block
	s := c.streams[b.stream]
	switch {
	case s != nil && s.remoteClosed:
		b.drop, b.after = true, h2StreamClosed
	case s != nil && !b.endStream:
		b.drop, b.after = true, h2ProtocolError // trailers that do not end the stream
	case s != nil:
		b.trailer = true
	case b.stream%2 == 0:
		return &h2Error{h2ProtocolError, "stream with an even number"}
	case b.stream <= c.lastID:
		end, known := c.endOf(b.stream)
		if !known {
			return &h2Error{h2ProtocolError, "stream number not above the last"}
		}
		if !end.reset {
			return &h2Error{h2StreamClosed, "HEADERS on a closed stream"}
		}
		b.drop = true // sent before it knew
	case c.drained >= h2Leaving:
		b.drop = true // after the last stream: the client opens it elsewhere
	default:
		c.lastID = b.stream
		c.opening = true
		if c.active >= c.server.opt.MaxStreams {
			b.drop, b.after = true, h2RefusedStream
		}
	}
	return nil
}

func (c *h2) continuation(flags byte, b []byte) error {
	if !c.block.open {
		return &h2Error{h2ProtocolError, "CONTINUATION without HEADERS"}
	}
	return c.fragment(flags, b)
}

// fragment decodes a part of the header block.
func (c *h2) fragment(flags byte, b []byte) error {
	c.block.size += len(b)
	c.block.fragments++
	if c.block.size > h2Block || c.block.fragments > h2Fragments {
		return &h2Error{h2EnhanceYourCalm, "header block too long"}
	}
	if _, err := c.decoder.Write(b); err != nil {
		return &h2Error{h2CompressionError, err.Error()}
	}
	if flags&h2EndHeaders == 0 {
		c.mu.Lock()
		if c.blockBy == 0 {
			c.blockBy = c.since() + c.server.opt.HeaderTimeout
			c.tickBy(c.blockBy)
		}
		c.mu.Unlock()
		return nil
	}
	if err := c.decoder.Close(); err != nil {
		return &h2Error{h2CompressionError, err.Error()}
	}
	c.block.open = false
	return c.blockDone()
}

// emit takes a field from the decoder.
func (c *h2) emit(f hpack.HeaderField) {
	c.head.field(f)
	if c.head.full {
		c.decoder.SetEmitEnabled(false)
	}
}

// blockDone acts on a whole header block.
func (c *h2) blockDone() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &c.block
	c.blockBy = 0
	defer func() {
		c.opening = false
		if c.finished() {
			c.must = true
		}
	}()
	if c.head.malformed != "" && b.after == 0 && !b.drop {
		b.after = h2ProtocolError
		c.server.opt.Log.Debug("request refused", "reason", c.head.malformed, "conn", c.facts.ID, "peer", c.facts.Peer, "sni", c.facts.SNI)
	}
	s := c.streams[b.stream]
	switch {
	case b.after != 0:
		return c.streamError(b.stream, b.after)
	case b.drop:
		return c.spend(floodIgnored)
	case b.trailer && s == nil:
		return nil // its handler ended meanwhile
	case b.trailer:
		return c.trailers(s)
	}
	return c.request()
}

// trailers ends a request's body. The caller holds mu.
func (c *h2) trailers(s *h2Stream) error {
	if c.head.full || s.left > 0 {
		return c.streamError(s.id, h2ProtocolError)
	}
	// The handler gets the list, and its old one is the next block's memory.
	s.ending, c.head.header = c.head.header, s.ending[:0]
	s.endBody()
	return nil
}

// request opens a stream. The caller holds mu.
func (c *h2) request() error {
	if c.err != nil {
		return c.err // of a writer: nobody would end this stream
	}
	s := c.worker()
	s.begin(c.block.stream)
	x := &s.x
	c.head.request(x, c.block.endStream)
	if c.head.malformed != "" {
		c.free = append(c.free, s)
		c.server.opt.Log.Debug("request refused", "reason", c.head.malformed, "conn", c.facts.ID, "peer", c.facts.Peer, "sni", c.facts.SNI)
		return c.streamError(c.block.stream, h2ProtocolError)
	}
	if s.refused = c.head.refused; s.refused == nil {
		x.arrive()
	}
	s.header, c.head.header = c.head.header, s.header[:0]
	s.urgency = c.head.urgency
	s.left = c.head.length
	s.expect = c.head.expect && !c.block.endStream
	if c.block.endStream {
		s.left = -1
		s.endBody()
	}
	s.headOnly = x.Method == "HEAD"
	c.streams[s.id] = s
	c.active++
	c.budget.earn(floodPing, 1)
	s.wake <- struct{}{}
	if c.head.full {
		return c.spend(floodProvoked) // it cost more than it looks
	}
	return nil
}

// streamError resets a stream for a fault of the client. The caller holds mu.
func (c *h2) streamError(stream uint32, code h2Code) error {
	if s := c.streams[stream]; s != nil {
		c.reset(s, code, errClientGone)
	} else {
		c.out = appendReset(c.buffer(), stream, code)
		c.remember(stream, true)
	}
	c.must = true
	return c.spend(floodProvoked)
}

// data takes a DATA frame as it comes: what is there of it is handed on.
func (c *h2) data(stream uint32, flags byte, length int) error {
	if stream == 0 {
		return &h2Error{h2ProtocolError, "DATA on stream 0"}
	}
	if length > c.windowLeft() {
		return &h2Error{h2FlowControlError, "more DATA than the connection's window"}
	}
	padding := 0
	left := length
	if flags&h2Padded != 0 {
		if left == 0 {
			return &h2Error{h2ProtocolError, "padding longer than its frame"}
		}
		if err := c.dataPart(1); err != nil {
			return err
		}
		padding = int(c.in.b[c.r])
		c.r++
		left--
		if padding > left {
			return &h2Error{h2ProtocolError, "padding longer than its frame"}
		}
		left -= padding
	}
	if left == 0 && flags&h2EndStream == 0 {
		if err := c.spend(floodEmpty); err != nil {
			return err
		}
	}
	s, err := c.openData(stream, length, length-left, flags)
	if err != nil {
		return err
	}
	for left > 0 {
		if err := c.dataPart(1); err != nil {
			return err
		}
		n := min(left, c.w-c.r)
		c.takeData(s, stream, c.in.b[c.r:c.r+n])
		c.r += n
		left -= n
	}
	for padding > 0 {
		if err := c.dataPart(1); err != nil {
			return err
		}
		n := min(padding, c.w-c.r)
		c.r += n
		padding -= n
	}
	c.whole()
	if flags&h2EndStream == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil || c.streams[stream] != s {
		return nil
	}
	if s.left > 0 {
		s.bodyErr = ErrMalformedBody
		return c.streamError(stream, h2ProtocolError)
	}
	s.endBody()
	return nil
}

// dataPart reads within a DATA frame.
func (c *h2) dataPart(n int) error {
	for c.w-c.r < n {
		c.part(c.server.opt.BodyTimeout)
		if err := c.more(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *h2) windowLeft() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recvWindow
}

// openData charges a DATA frame to the windows and says whose it is, nil for
// one that is dropped. overhead is padding and its length.
func (c *h2) openData(stream uint32, length, overhead int, flags byte) (*h2Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recvWindow -= length
	c.credit(overhead)
	c.budget.earn(floodPing, 1)
	s := c.streams[stream]
	size := int64(length - overhead)
	switch {
	case s == nil && c.idle(stream):
		return nil, &h2Error{h2ProtocolError, "DATA on an idle stream"}
	case s == nil:
		c.credit(length - overhead)
		if end, known := c.endOf(stream); stream > c.lastID || known && end.reset {
			return nil, nil // sent before it knew
		}
		return nil, c.streamError(stream, h2StreamClosed)
	case s.remoteClosed:
		c.credit(length - overhead)
		return nil, c.streamError(stream, h2StreamClosed)
	case length > s.recvWindow:
		c.credit(length - overhead)
		return nil, c.streamError(stream, h2FlowControlError)
	case s.left >= 0 && size > s.left:
		c.credit(length - overhead)
		s.bodyErr = ErrMalformedBody
		return nil, c.streamError(stream, h2ProtocolError)
	}
	s.recvWindow -= length
	if s.left >= 0 {
		s.left -= size
	}
	if flags&h2EndStream == 0 {
		s.creditStream(overhead)
	}
	return s, nil
}

// takeData hands body bytes to a stream, unless it has ended meanwhile.
func (c *h2) takeData(s *h2Stream, stream uint32, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil {
		return // credited already
	}
	if c.streams[stream] != s {
		c.credit(len(b))
		return
	}
	s.body.put(b)
	s.readable.Signal()
}

// credit notes that n received bytes hold no memory any more, and gives them
// back to the client once they are many. The caller holds mu.
func (c *h2) credit(n int) {
	c.recvCredit += n
	if c.recvCredit >= h2ConnWindow/2 && c.err == nil {
		c.out = appendWindowUpdate(c.buffer(), 0, c.recvCredit)
		c.recvWindow += c.recvCredit
		c.recvCredit = 0
		c.must = true
	}
}

// unpad takes padding off a frame's payload.
func unpad(flags byte, b []byte) (_ []byte, padding int, ok bool) {
	if flags&h2Padded == 0 {
		return b, 0, true
	}
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, 0, false
	}
	return b[1 : len(b)-int(b[0])], int(b[0]) + 1, true
}

// priority is ignored, but for what it must not say.
func (c *h2) priority(stream uint32, b []byte) error {
	switch {
	case stream == 0:
		return &h2Error{h2ProtocolError, "PRIORITY on stream 0"}
	case len(b) != 5:
		c.mu.Lock()
		defer c.mu.Unlock()
		if stream > c.lastID {
			return &h2Error{h2FrameSizeError, "PRIORITY of wrong size"} // an idle stream cannot be reset
		}
		return c.streamError(stream, h2FrameSizeError)
	case binary.BigEndian.Uint32(b)&h2MaxStreamID == stream:
		return &h2Error{h2ProtocolError, "stream depends on itself"}
	}
	return c.spend(floodIgnored)
}

func (c *h2) resetByClient(stream uint32, b []byte) error {
	switch {
	case stream == 0:
		return &h2Error{h2ProtocolError, "RST_STREAM on stream 0"}
	case len(b) != 4:
		return &h2Error{h2FrameSizeError, "RST_STREAM of wrong size"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(stream) {
		return &h2Error{h2ProtocolError, "RST_STREAM on an idle stream"}
	}
	if s := c.streams[stream]; s != nil {
		c.kill(s, errClientGone, false)
	}
	return c.spend(floodReset)
}

func (c *h2) settings(stream uint32, flags byte, b []byte) error {
	switch {
	case stream != 0:
		return &h2Error{h2ProtocolError, "SETTINGS on a stream"}
	case flags&h2Ack != 0 && len(b) != 0, len(b)%6 != 0:
		return &h2Error{h2FrameSizeError, "SETTINGS of wrong size"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if flags&h2Ack != 0 {
		c.settingsBy = 0
		return c.spend(floodSettings)
	}
	c.settled = true
	c.partBy.Store(0)
	for ; len(b) > 0; b = b[6:] {
		if err := c.setting(binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])); err != nil {
			return err
		}
	}
	c.out = appendFrame(c.buffer(), 0, h2Settings, h2Ack, 0)
	c.must = true
	return c.spend(floodSettings)
}

func (c *h2) setting(id uint16, value uint32) error {
	switch id {
	case h2EnablePush:
		if value > 1 {
			return &h2Error{h2ProtocolError, "ENABLE_PUSH out of range"}
		}
	case h2MaxFrameSize:
		if value < h2FrameSize || value >= 1<<24 {
			return &h2Error{h2ProtocolError, "MAX_FRAME_SIZE out of range"}
		}
		// More than the least is not used.
	case h2HeaderTableSize:
		// An encoder must acknowledge that its table is to be smaller than the
		// 4,096 bytes that both sides begin with. Source: RFC 7541 4.2.
		if value < 4096 && !c.tableOff {
			c.tableOff, c.tableClear = true, true
		}
	case h2InitialWindowSize:
		if value > h2MaxWindow {
			return &h2Error{h2FlowControlError, "INITIAL_WINDOW_SIZE out of range"}
		}
		delta := int(value) - c.initial
		c.initial = int(value)
		for _, s := range c.streams {
			if s.window += delta; s.window > h2MaxWindow {
				return &h2Error{h2FlowControlError, "window of a stream out of range"}
			}
			c.resume(s)
		}
	}
	return nil
}

func (c *h2) ping(stream uint32, flags byte, b []byte) error {
	switch {
	case stream != 0:
		return &h2Error{h2ProtocolError, "PING on a stream"}
	case len(b) != 8:
		return &h2Error{h2FrameSizeError, "PING of wrong size"}
	}
	data := binary.BigEndian.Uint64(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if flags&h2Ack == 0 {
		c.out = appendPing(c.buffer(), h2Ack, data)
		c.must = true
	} else if data == h2DrainPing && c.drained == h2Announced {
		c.leave()
		return nil
	}
	return c.spend(floodPing)
}

func (c *h2) windowUpdate(stream uint32, b []byte) error {
	if len(b) != 4 {
		return &h2Error{h2FrameSizeError, "WINDOW_UPDATE of wrong size"}
	}
	n := int(binary.BigEndian.Uint32(b) & h2MaxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if stream == 0 {
		if n == 0 {
			return &h2Error{h2ProtocolError, "WINDOW_UPDATE of nothing"}
		}
		if c.window += n; c.window > h2MaxWindow {
			return &h2Error{h2FlowControlError, "window of the connection out of range"}
		}
		return c.spend(floodWindow)
	}
	s := c.streams[stream]
	switch {
	case s == nil && c.idle(stream):
		return &h2Error{h2ProtocolError, "WINDOW_UPDATE on an idle stream"}
	case s == nil:
	case n == 0:
		return c.streamError(stream, h2ProtocolError)
	case s.window+n > h2MaxWindow:
		return c.streamError(stream, h2FlowControlError)
	default:
		s.window += n
		c.resume(s)
	}
	return c.spend(floodWindow)
}

// idle reports whether a stream was never opened: frames on it are wrong. The
// caller holds mu.
func (c *h2) idle(stream uint32) bool {
	return stream%2 == 0 || stream > c.lastID && c.drained < h2Leaving
}

// remember notes the end of a stream. The caller holds mu.
func (c *h2) remember(stream uint32, reset bool) {
	c.closed[c.nclosed%h2Closed] = h2ClosedStream{stream, reset}
	c.nclosed++
}

func (c *h2) endOf(stream uint32) (h2ClosedStream, bool) {
	for _, s := range c.closed {
		if s.id == stream {
			return s, true
		}
	}
	return h2ClosedStream{}, false
}

package httpwire

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a call that are nobody's setting, in bytes but for maxInterim.
const (
	// shortBody is what a request's body may have to be read whole and sent
	// with its head, so that a slow client holds no connection to the backend.
	shortBody = 16 << 10
	// maxInterim is how many interim responses may come ahead of the response.
	maxInterim = 16
	// usualAnswer holds the head of nearly every response, and short bodies.
	usualAnswer = 8 << 10
	// directRead is the least that is worth reading past the call's own buffer.
	directRead = 4 << 10
	// keptRequest is how much memory for an encoded request is kept.
	keptRequest = 32 << 10
	// chunkLine is the room for the line before a chunk.
	chunkLine = 16 + 2
	// maxAnswerTrailer bounds the trailer section of a response.
	maxAnswerTrailer = 8 << 10
)

// ErrRequest is returned by Encode for what cannot be sent as one request.
var ErrRequest = errors.New("not a request that can be sent")

// ResponseError says what was wrong with a backend's response.
type ResponseError struct{ Reason string }

func (e *ResponseError) Error() string { return "malformed response: " + e.Reason }

// errUpgrade ends a call whose backend switched to what it was not asked for.
var errUpgrade = &ResponseError{"protocol switched unasked"}

// BodyError wraps what ended the reading of a request's body.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "request body: " + e.Err.Error() }
func (e *BodyError) Unwrap() error { return e.Err }

// ClientRequest is a request to a backend. Nothing in it is kept after the call
// is over.
type ClientRequest struct {
	Method    string
	Authority string // Host
	Path      string // starts with "/"; sent as it is
	Query     string // sent as it is, without "?"
	// Header goes out without what belongs to one connection; see HopByHop.
	Header Header
	// Body is read once; nil means none. ContentLength is its length in bytes,
	// -1 when unknown. Trailer, unless nil, is sent after a body of unknown
	// length; it is looked at when Body gave io.EOF.
	Body          io.Reader
	ContentLength int64
	Trailer       *Header
	// Upgrade is the protocol to ask for; "" for none. A body rules it out.
	Upgrade string
}

// Call is one request on a Client and the response to it. The zero value is
// ready; it is reused by calling Encode again, after Stop. All strings of the
// response are valid until then.
//
// The order of its methods: Encode, Send, ReadHead, Read until io.EOF,
// Reusable, Stop. What fails may be sent again on another Client while Begun
// reports false.
type Call struct {
	client *Client

	out     []byte // the encoded request, as far as it is one write
	method  string // HEAD, or "" for all others
	upgrade string
	writeOK bool

	// The sender of a body that is not short.
	body     io.Reader // nil: there is none
	length   int64
	trailer  *Header
	progress atomic.Int32
	sendErr  error         // set before progress says sendFailed
	sent     chan struct{} // the sender is done
	send     func()        // sends the body
	sending  bool
	hold     time.Duration
	holding  atomic.Int32
	release  chan struct{} // ends the sender's hold

	buf    []byte // the head, and what came with it
	other  []byte // holds the head instead, when it left no room for the body
	r, w   int    // buf[r:w] was not used yet
	base   int    // where the head ends in buf
	parser responseParser
	chunks chunkReader
	left   int64 // of the body; -1 chunked; untilClose

	begun    bool // a byte of the response came
	complete bool
	surplus  bool
}

// How far the sender of a body is.
const (
	sendRuns   int32 = iota
	sendEnding       // in its last write
	sendDone
	sendFailed // the body could not be read
	sendBroken // the backend takes no more
)

// What becomes of a body that is held back.
const (
	holdNone int32 = iota
	holdWaits
	holdOver
	holdRecalled // nothing of it was read
)

// Encode makes r the call's request. A short body is read. It returns
// ErrRequest when r holds what could be taken for anything but one request,
// and a *BodyError when its body cannot be read.
func (c *Call) Encode(r *ClientRequest) error {
	if !isToken(r.Method) || r.Method == "CONNECT" || !validAuthority(r.Authority) || !validPath(r.Path) || !validQuery(r.Query) {
		return ErrRequest
	}
	chunked := r.Body != nil && r.ContentLength < 0
	b := append(c.out[:0], r.Method...)
	b = append(b, ' ')
	b = append(b, r.Path...)
	if r.Query != "" {
		b = append(b, '?')
		b = append(b, r.Query...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Authority...)
	b = append(b, "\r\n"...)
	var names [4]string
	list := connectionNames(names[:0], r.Header)
	for i := range r.Header {
		f := &r.Header[i]
		if HopByHop(f.Name) || len(list) > 0 && named(list, f.Name) {
			continue
		}
		if !isToken(f.Name) || !validValue(f.Value) {
			return ErrRequest
		}
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = append(b, f.Value...)
		b = append(b, "\r\n"...)
	}
	c.upgrade = ""
	switch {
	case chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.Body != nil && r.ContentLength > 0:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, r.ContentLength, 10), "\r\n"...)
	default:
		switch r.Method {
		case "POST", "PUT", "PATCH":
			b = append(b, "Content-Length: 0\r\n"...)
		}
		if r.Upgrade != "" {
			if !isToken(r.Upgrade) && !validProtocol(r.Upgrade) {
				return ErrRequest
			}
			b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
			b = append(append(b, r.Upgrade...), "\r\n"...)
			c.upgrade = r.Upgrade
		}
	}
	b = append(b, "\r\n"...)

	c.method = ""
	if r.Method == "HEAD" {
		c.method = "HEAD"
	}
	c.body, c.length, c.trailer, c.hold = nil, r.ContentLength, r.Trailer, 0
	switch {
	case chunked:
		c.body = r.Body
	case r.Body == nil || r.ContentLength == 0:
	case r.ContentLength <= shortBody:
		n := len(b)
		b = append(b, shortBodySpace[:r.ContentLength]...)
		if _, err := io.ReadFull(r.Body, b[n:]); err != nil {
			c.out = b[:0]
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return &BodyError{err}
		}
	default:
		c.body = r.Body
	}
	c.out = b
	return nil
}

var shortBodySpace [shortBody]byte

func validPath(s string) bool { return s != "" && s[0] == '/' && printable(s, "?#") }

func validQuery(s string) bool { return printable(s, "#") }

// printable reports whether s has no white space, no control bytes and none of
// the two or fewer bytes of not.
func printable(s, not string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f {
			return false
		}
		for j := range len(not) {
			if c == not[j] {
				return false
			}
		}
	}
	return true
}

// validValue accepts what cannot end or obscure a header line.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// validProtocol accepts name/version, as Upgrade may have it.
func validProtocol(s string) bool {
	for i := range len(s) {
		if s[i] == '/' {
			return isToken(s[:i]) && isToken(s[i+1:])
		}
	}
	return false
}

// Bodyless reports whether the request has no body.
func (c *Call) Bodyless() bool { return c.body == nil && c.length == 0 }

// maxQuestion is the longest request in bytes that certainly fits into a corked
// socket, TLS included.
const maxQuestion = 4 * recordBody

// onePiece reports whether the request goes out as a whole and with ReadHead.
func (c *Call) onePiece() bool { return c.body == nil && len(c.out) <= maxQuestion }

// Replayable reports whether the call holds the whole request, body included:
// it can be sent more than once.
func (c *Call) Replayable() bool { return c.body == nil }

// Hold has the next Send keep a body that is not short back, once the head is
// sent: for d, unless the backend asks for it or Release is called before.
func (c *Call) Hold(d time.Duration) { c.hold = d }

// Release ends a hold: the body follows.
func (c *Call) Release() {
	if c.holding.CompareAndSwap(holdWaits, holdOver) {
		c.release <- struct{}{}
	}
}

// Recall ends a hold, too, but the body does not follow: if it returns true,
// nothing of it was read, and the call can be sent again.
func (c *Call) Recall() bool {
	if !c.holding.CompareAndSwap(holdWaits, holdRecalled) {
		return false
	}
	c.release <- struct{}{}
	<-c.sent
	c.sending = false
	return true
}

// held is the sender's wait; it reports whether the body shall follow.
func (c *Call) held() bool {
	timer := time.NewTimer(c.hold)
	defer timer.Stop()
	select {
	case <-c.release:
	case <-timer.C:
		if c.holding.CompareAndSwap(holdWaits, holdOver) {
			return true
		}
		<-c.release
	}
	return c.holding.Load() == holdOver
}

// Send gives the request to a client, which the call uses from here on: it goes
// out with ReadHead. With a body that is not short a goroutine of its own sends
// it, until Stop: the backend may answer before it has read everything. A fault of a write is not returned:
// what the backend said before it closed may still be read.
func (c *Call) Send(client *Client) {
	c.client = client
	c.begun, c.complete, c.surplus = false, false, false
	c.r, c.w, c.base = 0, 0, 0
	if c.body == nil {
		c.writeOK = client.queue(c.out) == nil
		return
	}
	if c.send == nil {
		c.sent, c.release = make(chan struct{}, 1), make(chan struct{}, 1)
		c.send = c.sendBody
	}
	select {
	case <-c.release: // of a sender that did not come so far
	default:
	}
	c.holding.Store(holdNone)
	if c.hold > 0 {
		c.holding.Store(holdWaits)
	}
	c.writeOK = true
	c.progress.Store(sendRuns)
	c.sending = true
	go c.send()
}

// bodyBuffers are what request bodies are sent through.
var bodyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (c *Call) sendBody() {
	if err := c.client.write(c.out); err != nil {
		c.progress.Store(sendBroken)
	} else if c.hold == 0 || c.held() {
		buf := bodyBuffers.Get().(*[]byte)
		c.progress.Store(c.sendPieces(*buf))
		bodyBuffers.Put(buf)
	}
	c.sent <- struct{}{}
}

// sendPieces sends the body as it comes and returns what became of it.
func (c *Call) sendPieces(buf []byte) int32 {
	const end = "\r\n0\r\n\r\n"
	left := c.length
	for {
		room := buf[chunkLine : len(buf)-len(end)]
		if left >= 0 && int64(len(room)) > left {
			room = room[:left]
		}
		n, err := c.body.Read(room)
		if left >= 0 { // as declared
			if left -= int64(n); left == 0 {
				c.progress.Store(sendEnding)
			}
			if n > 0 && c.client.write(room[:n]) != nil {
				return sendBroken
			}
			if left == 0 {
				return sendDone
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
		} else {
			piece := room[:n]
			if n > 0 {
				var size [chunkLine]byte
				line := appendChunkSize(size[:0], n)
				from := chunkLine - len(line)
				copy(buf[from:], line)
				piece = append(buf[from:chunkLine+n], "\r\n"...)
			}
			if err == io.EOF {
				var trailer Header
				if c.trailer != nil {
					trailer = *c.trailer
				}
				piece = appendLastChunk(piece, trailer)
				c.progress.Store(sendEnding)
			}
			if len(piece) > 0 && c.client.write(piece) != nil {
				return sendBroken
			}
			if err == io.EOF {
				return sendDone
			}
		}
		if err != nil {
			c.sendErr = err
			c.progress.Store(sendFailed)
			c.client.Abort() // half a request: whoever waits for its answer need not
			return sendFailed
		}
	}
}

// Begun reports whether a byte of the response was read.
func (c *Call) Begun() bool { return c.begun }

// ReadHead reads the response up to its body. inform, unless nil, is called with
// interim responses but 100; what it is given is valid until it returns. Other
// errors than the connection's own are of type *ResponseError or *BodyError.
func (c *Call) ReadHead(inform func(status int, h Header)) error {
	if len(c.buf) == 0 {
		c.buf = make([]byte, usualAnswer)
	}
	c.parser.limits = responseLimits
	c.parser.reset()
	for interim := 0; ; {
		if c.w > 0 {
			used, done, bad := c.parser.parse(c.buf[:c.w])
			if bad != nil {
				return &ResponseError{bad.reason}
			}
			if done {
				c.r = used
				h := &c.parser.head
				if h.status >= 200 || h.status == 101 {
					return c.beginBody()
				}
				if interim++; interim > maxInterim {
					return &ResponseError{"too many interim responses"}
				}
				if h.length > 0 {
					return &ResponseError{"interim response with a body"}
				}
				if h.status == 100 {
					c.Release()
				} else if inform != nil {
					h.header = AppendEndToEnd(h.header[:0], h.header)
					inform(h.status, h.header)
				}
				c.w = copy(c.buf, c.buf[c.r:c.w])
				c.r = 0
				c.parser.reset()
				continue
			}
		}
		if c.w == len(c.buf) {
			c.buf = append(c.buf, make([]byte, len(c.buf))...)
			c.parser.reset() // its strings are in the old one
		}
		n, err := c.client.read(c.buf[c.w:])
		if n > 0 {
			c.begun = true
			c.w += n
			continue
		}
		if err != nil {
			return c.fault(err)
		}
	}
}

// fault is err, unless the request's own body is the reason for it.
func (c *Call) fault(err error) error {
	if c.sending && c.progress.Load() == sendFailed {
		return &BodyError{c.sendErr}
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (c *Call) beginBody() error {
	h := &c.parser.head
	if h.status == 101 {
		if c.upgrade == "" || h.length > 0 || h.http10 || !c.switches() {
			return errUpgrade
		}
		h.header = AppendEndToEnd(h.header[:0], h.header)
		c.left = untilClose
		return nil
	}
	if h.status == 204 && h.length > 0 {
		return &ResponseError{"body where none may be"}
	}
	c.left = h.body(c.method)
	c.chunks.maxTrailer = maxAnswerTrailer
	c.chunks.reset()
	h.header = AppendEndToEnd(h.header[:0], h.header)
	if c.base = c.r; c.left == 0 {
		c.finish()
	}
	return nil
}

// switches reports whether the backend switches to what it was asked for.
func (c *Call) switches() bool {
	upgrade, connection := "", false
	for i := range c.parser.head.header {
		switch f := &c.parser.head.header[i]; knownField(f.Name) {
		case upgradeField:
			if upgrade != "" {
				return false
			}
			upgrade = f.Value
		case connectionField:
			connection = connection || listHolds(f.Value, "upgrade")
		}
	}
	return connection && sameFold(upgrade, c.upgrade)
}

// Status is the response's, 101 included.
func (c *Call) Status() int { return c.parser.head.status }

// Header is the response's, without what belongs to one connection.
func (c *Call) Header() Header { return c.parser.head.header }

// ContentLength is the body's length in bytes as the head says, even when none
// follows (HEAD, 304); -1 when it does not say.
func (c *Call) ContentLength() int64 { return max(c.parser.head.length, -1) }

// Trailer is what came after the body, valid once Read gave io.EOF.
func (c *Call) Trailer() Header { return c.chunks.trailer }

// Arrived reports whether Read will say something without waiting.
func (c *Call) Arrived() bool { return c.complete || c.r < c.w }

// Ahead is what came along with the head, as it came: the body's beginning with
// its framing. It is valid until Read.
func (c *Call) Ahead() []byte { return c.buf[c.r:c.w] }

// Read reads the response's body.
func (c *Call) Read(p []byte) (n int, err error) {
	switch {
	case c.complete:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case c.left == -1:
		n, err = c.readChunks(p)
	case c.left == untilClose:
		n, err = c.readOn(p)
		if err == io.EOF {
			c.finish()
			return n, io.EOF
		}
	default:
		n, err = c.readCounted(p)
	}
	if c.complete {
		return n, io.EOF
	}
	if err != nil {
		err = c.fault(err)
	}
	return n, err
}

// readCounted reads a body of known length. It asks for a byte more, which
// shows a surplus.
func (c *Call) readCounted(p []byte) (int, error) {
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.readOn(p)
	if int64(n) > c.left {
		n, c.surplus = int(c.left), true
	}
	if c.left -= int64(n); c.left == 0 {
		c.finish()
	}
	return n, err
}

// readOn reads what was buffered, else from the connection: straight into p
// unless that is short.
func (c *Call) readOn(p []byte) (int, error) {
	if c.r == c.w {
		if len(p) >= directRead {
			return c.client.read(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n, nil
}

// fill reads into the buffer, behind the head.
func (c *Call) fill() error {
	if len(c.buf)-c.base < directRead {
		if len(c.other) == 0 {
			c.other = make([]byte, usualAnswer)
		}
		c.buf, c.other, c.base = c.other, c.buf, 0
	}
	n, err := c.client.read(c.buf[c.base:])
	c.r, c.w = c.base, c.base+n
	if n > 0 {
		return nil
	}
	return err
}

func (c *Call) readChunks(p []byte) (n int, err error) {
	for {
		data, used, err := c.chunks.decode(c.buf[c.r:c.w], len(p)-n)
		c.r += used
		n += copy(p[n:], data)
		switch {
		case err == io.EOF:
			c.finish()
			return n, nil
		case err != nil:
			return n, err
		case n == len(p), n > 0 && c.r == c.w:
			return n, nil
		case c.r < c.w:
			continue
		}
		if direct := c.chunks.direct(); direct >= directRead && len(p) >= directRead {
			n, err := c.client.read(p[:min(int64(len(p)), direct)])
			c.chunks.took(n)
			return n, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// finish notes that the response is complete.
func (c *Call) finish() {
	c.complete = true
	if c.r < c.w {
		c.surplus = true
	}
	c.r = c.w
}

// Complete reports whether the whole response was read.
func (c *Call) Complete() bool { return c.complete }

// Reusable reports, once the response is complete, whether the client can carry
// another call: the request was sent whole, the response ended by its own
// framing and with it what was received, and the backend did not say that it
// would close.
func (c *Call) Reusable() bool {
	h := &c.parser.head
	if !c.complete || c.surplus || c.left == untilClose || h.close || !c.writeOK || c.client.socket.broken != nil {
		return false
	}
	if c.sending {
		if p := c.progress.Load(); p != sendEnding && p != sendDone {
			return false
		}
		<-c.sent // in its last write, which a deadline bounds
		c.sending = false
		if c.progress.Load() != sendDone {
			return false
		}
	}
	c.client.used, c.client.socket.kept = true, true
	return c.client.rested()
}

// Stop ends the call: nobody reads the request's body any more when it
// returns. It waits for a read of the body that does not return; a client that
// is still in use must be closed before (Abort).
func (c *Call) Stop() {
	if c.sending && !c.Recall() {
		<-c.sent
		c.sending = false
	}
	c.client, c.body, c.trailer, c.sendErr = nil, nil, nil, nil
	if cap(c.out) > keptRequest {
		c.out = nil
	}
	if len(c.buf) > 2*usualAnswer {
		c.buf = nil
	}
	if len(c.other) > 2*usualAnswer {
		c.other = nil
	}
	c.parser.reset()
	if cap(c.parser.head.header) > 128 {
		c.parser.head.header = nil
	}
	c.chunks = chunkReader{}
}

// Upgraded hands the connection over after a 101. The client is the caller's
// no more; the stream has no deadlines but those that are set on it.
func (c *Call) Upgraded() Stream {
	s := &clientStream{client: c.client}
	if c.r < c.w {
		s.ahead = append(s.ahead, c.buf[c.r:c.w]...)
	}
	c.client.SetDeadline(time.Time{})
	return s
}

// clientStream is an upgraded connection to a backend.
type clientStream struct {
	client *Client
	ahead  []byte // what the backend sent behind its 101
}

func (s *clientStream) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	return s.client.conn.Read(p)
}

func (s *clientStream) Write(p []byte) (int, error) {
	if err := s.client.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *clientStream) CloseWrite() error {
	return s.client.conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (s *clientStream) Close() error { return s.client.conn.Close() }

func (s *clientStream) SetReadDeadline(t time.Time) error  { return s.client.conn.SetReadDeadline(t) }
func (s *clientStream) SetWriteDeadline(t time.Time) error { return s.client.conn.SetWriteDeadline(t) }

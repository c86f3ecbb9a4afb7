package httpwire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// ErrMalformedBody is what Body.Read returns when a chunked body's framing is
// broken; the connection serves nothing after it.
var ErrMalformedBody = errors.New("malformed chunked body")

// What the next bytes of an HTTP/1 connection are.
type wireState uint8

const (
	inHead wireState = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	inNothing // refused or broken: no byte is read any more
)

// lingerTime and lingerBytes bound how long a refused connection is still read
// so that the client sees the answer and not a reset.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
	// firstRequestGrace is how long a drained connection that never carried a
	// request may still send one: it may be on its way already.
	firstRequestGrace = 5 * time.Second
)

// wire stands between an HTTP/1 client and net/http. It parses strictly and
// hands on only what it made itself: a head written from the parsed one, and
// the body re-framed. So net/http has no second reading of the client's bytes;
// it keeps order, persistence and response framing.
//
// One goroutine reads at a time (net/http sees to that); mu guards what others
// touch.
type wire struct {
	net.Conn
	server  *Server
	facts   *Conn
	session *Session

	// Of the reading goroutine.
	in       []byte // read from the client, not judged yet
	buf      []byte // memory of in
	out      []byte // judged, not read by net/http yet
	outBuf   []byte
	state    wireState
	left     int64 // of the body or chunk
	trailers int   // bytes of trailers left
	limits   limits
	parser   headParser
	headBy   time.Time // deadline of the head being read; zero before its first byte
	blank    bool      // an empty line came before this head
	err      error     // once state is inNothing

	mu       sync.Mutex
	heads    []*head // handed to net/http, not yet taken by the handler
	accepted uint64  // requests handed to net/http
	finished uint64  // responses after which the connection stays open
	partial  bool    // part of a head was read
	draining bool
	gone     bool // closed by Drain: bytes read from here on are dropped
	refused  bool
	outer    time.Time // read deadline set by net/http
	own      time.Time // read deadline of the head or body being read
}

func newWire(s *Server, c net.Conn, facts *Conn, session *Session) *wire {
	w := &wire{Conn: c, server: s, facts: facts, session: session, limits: s.limits(facts.Listener)}
	w.beginHead()
	return w
}

func (w *wire) beginHead() {
	w.state = inHead
	w.parser = headParser{limits: w.limits, secure: w.facts.Listener != "HTTP"}
	w.headBy, w.blank = time.Time{}, false
	w.setOwnDeadline(time.Time{})
	w.mu.Lock()
	w.partial = len(w.in) > 0
	w.mu.Unlock()
}

// Read gives net/http judged bytes.
func (w *wire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(w.out) > 0 {
			n := copy(p, w.out)
			w.out = w.out[n:]
			return n, nil
		}
		if w.state == inNothing {
			return 0, w.err
		}
		if (w.state == inBody || w.state == inChunk) && w.left > 0 {
			return w.readBody(p)
		}
		if w.step() {
			continue
		}
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
}

// readBody reads body bytes straight into p, never past the body's end.
func (w *wire) readBody(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		p = p[:w.left]
	}
	var n int
	if len(w.in) > 0 {
		n = copy(p, w.in)
		w.in = w.in[n:]
	} else {
		w.setOwnDeadline(time.Now().Add(w.server.opt.BodyTimeout))
		var err error
		n, err = w.Conn.Read(p)
		if n == 0 && err != nil {
			return 0, unexpected(err)
		}
	}
	w.left -= int64(n)
	if w.left == 0 {
		if w.state == inBody {
			w.beginHead()
		} else {
			w.state = inChunkEnd
		}
	}
	return n, nil
}

// step uses what is buffered and reports whether it got anywhere.
func (w *wire) step() bool {
	switch w.state {
	case inHead:
		return w.stepHead()
	case inChunkSize, inChunkEnd, inTrailer:
		return w.stepChunked()
	}
	return false
}

func (w *wire) stepHead() bool {
	line, n, r := cutLine(w.in)
	if r == nil && n == 0 {
		if len(w.in) <= w.parser.need()+1 { // its CR may be there
			return false
		}
		r = w.parser.tooLong()
	}
	if r != nil {
		w.refuse(r)
		return true
	}
	if n == 2 && w.parser.h == nil {
		// One empty line before a request is tolerated. Source: RFC 9112, 2.2.
		if w.blank {
			w.refuse(badRequestLine)
			return true
		}
		w.in, w.blank = w.in[n:], true
		return true
	}
	done, r := w.parser.line(line)
	w.in = w.in[n:]
	if r != nil {
		w.refuse(r)
		return true
	}
	if done {
		w.accept(w.parser.h)
	}
	return true
}

// accept hands a complete head on.
func (w *wire) accept(h *head) {
	w.mu.Lock()
	if w.gone { // Drain closed the connection before this head was whole
		w.mu.Unlock()
		w.stop(io.EOF)
		return
	}
	w.accepted++
	h.seq = w.accepted
	h.received = time.Now()
	w.heads = append(w.heads, h)
	w.partial = false
	w.mu.Unlock()

	w.out = h.appendTo(w.outBuf[:0])
	w.outBuf = w.out[:0]
	switch {
	case h.refusal != nil:
		w.stop(io.EOF)
	case h.length > 0:
		w.state, w.left = inBody, h.length
	case h.length < 0:
		w.state = inChunkSize
	default:
		w.beginHead()
	}
}

// refuse lets the handler answer r as this connection's last response. It goes
// through net/http like a request, so that it cannot overtake the responses
// to those before it.
func (w *wire) refuse(r *refusal) {
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
	w.accept(&head{proto: "HTTP/1.1", method: "GET", close: true, refusal: r})
}

func (w *wire) stepChunked() bool {
	line, n, r := cutLine(w.in)
	if r == nil && n == 0 {
		limit := 16 // the longest chunk size, and its CR
		if w.state == inTrailer {
			limit = w.trailers
		}
		if len(w.in) <= limit {
			return false
		}
		r = badFraming
	}
	if r == nil {
		r = w.chunkedLine(line, n)
	}
	if r != nil {
		w.mu.Lock()
		w.refused = true
		w.mu.Unlock()
		w.stop(ErrMalformedBody)
	}
	return true
}

func (w *wire) chunkedLine(line []byte, n int) *refusal {
	w.in = w.in[n:]
	switch w.state {
	case inChunkEnd:
		if len(line) != 0 {
			return badFraming
		}
		w.state = inChunkSize
		w.emit("\r\n")
	case inChunkSize:
		size, ok := parseChunkSize(line)
		if !ok {
			return badFraming
		}
		if size == 0 {
			w.state, w.trailers = inTrailer, w.limits.header
			return nil
		}
		w.state, w.left = inChunk, size
		w.emit(strconv.FormatInt(size, 16) + "\r\n")
	case inTrailer:
		if len(line) == 0 {
			w.emit("0\r\n\r\n")
			w.beginHead()
			return nil
		}
		if w.trailers -= n; w.trailers < 0 {
			return badFraming
		}
		if _, _, r := splitField(string(line)); r != nil {
			return r
		}
	}
	return nil
}

func (w *wire) emit(s string) {
	w.out = append(w.outBuf[:0], s...)
	w.outBuf = w.out[:0]
}

// stop ends reading: what is handed on already is the last.
func (w *wire) stop(err error) {
	w.state, w.err, w.in = inNothing, err, nil
}

// fill reads more of the client's bytes.
func (w *wire) fill() error {
	if w.buf == nil {
		w.buf = make([]byte, 4096)
	}
	switch {
	case len(w.in) == 0:
		w.in = w.buf[:0]
	case len(w.in) == len(w.buf):
		// Bounded by the limits of a line, which step enforces.
		w.buf = append(w.in, make([]byte, len(w.in))...)
		w.in = w.buf[:len(w.in)]
	default:
		w.in = w.buf[:copy(w.buf, w.in)]
	}
	begun := w.state != inHead || len(w.in) > 0 || w.parser.h != nil || w.blank
	switch {
	case w.state != inHead:
		w.setOwnDeadline(time.Now().Add(w.server.opt.BodyTimeout))
	case begun && w.headBy.IsZero():
		// It runs for the whole head, however slowly the rest drips in.
		w.headBy = time.Now().Add(w.server.opt.HeaderTimeout)
		w.setOwnDeadline(w.headBy)
	}
	n, err := w.Conn.Read(w.buf[len(w.in):])
	if n == 0 && err != nil {
		if begun {
			err = unexpected(err)
		}
		return err
	}
	w.in = w.buf[:len(w.in)+n]
	if w.state != inHead {
		return nil
	}
	w.mu.Lock()
	if w.gone {
		w.mu.Unlock()
		w.stop(io.EOF)
		return io.EOF
	}
	w.partial = true
	w.mu.Unlock()
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take gives the handler the head with number seq; nil when there is none.
func (w *wire) take(seq uint64) *head {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.heads) == 0 || w.heads[0].seq != seq {
		return nil
	}
	h := w.heads[0]
	w.heads = w.heads[1:]
	return h
}

// idle notes that a response is complete and the connection stays open.
func (w *wire) idle() {
	w.mu.Lock()
	w.finished++
	closing := w.draining && w.quiet()
	if closing {
		w.gone = true
	}
	w.mu.Unlock()
	if closing {
		w.Conn.Close()
	}
}

// quiet reports that no request is under way, not even part of one.
func (w *wire) quiet() bool { return w.accepted == w.finished && !w.partial }

// drain: no request is taken after the ones under way. A connection that has
// not carried any gets its first, since the client may have sent it already
// and would not retry; the pipeline judges it like every request.
func (w *wire) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return
	}
	w.draining = true
	if !w.quiet() {
		return
	}
	if w.accepted == 0 {
		t := time.AfterFunc(firstRequestGrace, w.closeQuiet)
		go func() {
			<-w.session.done
			t.Stop()
		}()
		return
	}
	w.gone = true
	go w.Conn.Close() // it may wait for the peer to take close_notify
}

func (w *wire) closeQuiet() {
	w.mu.Lock()
	w.gone = w.gone || w.quiet()
	closing := w.gone
	w.mu.Unlock()
	if closing {
		w.Conn.Close()
	}
}

func (w *wire) isDraining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}

// Write bounds how long a client may take to accept what is written.
func (w *wire) Write(p []byte) (int, error) {
	w.Conn.SetWriteDeadline(time.Now().Add(w.server.opt.WriteTimeout))
	return w.Conn.Write(p)
}

// Close closes the connection; a refused one lingers first.
func (w *wire) Close() error {
	w.mu.Lock()
	linger := w.refused && !w.gone
	w.gone = true
	w.mu.Unlock()
	if linger {
		w.linger()
	}
	return w.Conn.Close()
}

func (w *wire) linger() {
	if w.CloseWrite() != nil {
		return
	}
	raw := w.Conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn() // undecrypted: nobody will look at it
	}
	raw.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, onlyReader{raw}, lingerBytes)
}

// CloseWrite ends what is sent, so that the client reads the last response
// whole although it is still sending.
func (w *wire) CloseWrite() error {
	if c, ok := w.Conn.(closeWriter); ok {
		return c.CloseWrite()
	}
	return nil
}

type closeWriter interface{ CloseWrite() error }

type onlyReader struct{ io.Reader }

// SetReadDeadline keeps net/http's deadline beside our own; the earlier binds.
func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outer = t
	return w.applyDeadline()
}

// SetDeadline sets both deadlines.
func (w *wire) SetDeadline(t time.Time) error {
	w.Conn.SetWriteDeadline(t)
	return w.SetReadDeadline(t)
}

func (w *wire) setOwnDeadline(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.own.IsZero() && t.IsZero() {
		return
	}
	w.own = t
	w.applyDeadline()
}

func (w *wire) applyDeadline() error {
	t := w.outer
	if !w.own.IsZero() && (t.IsZero() || w.own.Before(t)) {
		t = w.own
	}
	return w.Conn.SetReadDeadline(t)
}

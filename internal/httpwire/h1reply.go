package httpwire

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"time"
)

// h1Reply is the response to the request being served.
type h1Reply struct {
	c *h1

	// mu is for the head: who reads the body may be sending 100 meanwhile.
	mu       sync.Mutex
	expect   bool // the client waits for 100 before it sends its body
	begun    bool // the final head was made
	http10   bool
	headOnly bool // HEAD
	close    bool // this is the last response
	bodyless bool // nothing follows the head
	chunked  bool
	length   int64 // declared; -1: unknown
	written  int64
	aborted  bool
	err      error   // of the connection
	out      *[]byte // not sent yet; nil: nothing
	trailers Header
	tunnel   bool // the connection was handed over
	corked   bool
	size     [chunkHeaderSpace]byte
}

func (r *h1Reply) begin(h *requestHead) {
	*r = h1Reply{c: r.c, expect: h.expect && h.length != 0, http10: h.http10, headOnly: h.method == "HEAD", close: h.close, length: -1}
}

// proceed sends 100 to a client that waits for it, unless the answer is out.
func (r *h1Reply) proceed() error {
	if !r.expect {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.expect || r.begun {
		return nil
	}
	r.expect = false
	return r.send([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// mustClose lets the head, if it is still to come, say that this is the last
// response: the request's body broke off.
func (r *h1Reply) mustClose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		r.close = true
	}
}

func (r *h1Reply) inform(status int, h Header) error {
	if r.http10 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := appendStatusLine(r.buffer(), status)
	for _, f := range h {
		b = appendEndToEnd(b, f)
	}
	*r.out = append(b, "\r\n"...)
	return r.push()
}

func (r *h1Reply) head(status int, h Header, length int64, closeAfter bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = true
	if length < 0 {
		length = -1
	}
	if status < 200 || status > 999 {
		status = 500 // no final status
	}
	noBody := status == 204 || status == 304
	r.bodyless = noBody || r.headOnly
	r.length = length
	if noBody {
		r.length = -1 // a 304 may have one; without it nothing can be wrong
	}
	r.chunked = length < 0 && !r.bodyless && !r.http10
	r.c.untold.Store(true) // before draining is asked, so that pending cannot miss it
	// A client that still waits for 100 may send its body or not: what comes
	// next on this connection would be a guess.
	r.close = r.close || closeAfter || r.expect || r.c.draining.Load() || length < 0 && !r.bodyless && r.http10

	if r.close {
		r.c.untold.Store(false)
	}

	b := appendStatusLine(r.buffer(), status)
	dated := false
	for _, f := range h {
		dated = dated || knownField(f.Name) == dateField
		b = appendEndToEnd(b, f)
	}
	if !dated {
		b = appendDate(b, time.Now())
	}
	switch {
	case r.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.length >= 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.length, 10)
		b = append(b, "\r\n"...)
	}
	if r.close {
		b = append(b, "Connection: close\r\n"...)
	} else if r.http10 {
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	*r.out = append(b, "\r\n"...)
	if len(*r.out) >= recordBody {
		return r.sendOut()
	}
	return r.err
}

func (r *h1Reply) write(p []byte) (int, error) {
	switch {
	case r.aborted:
		return 0, errAborted
	case r.bodyless:
		return len(p), nil
	case r.err != nil:
		return 0, r.err
	}
	over := false
	if r.length >= 0 && int64(len(p)) > r.length-r.written {
		p, over = p[:r.length-r.written], true
	}
	r.written += int64(len(p))
	if len(p) > 0 {
		if r.chunked {
			r.append(text(appendChunkSize(r.size[:0], len(p))))
		}
		r.appendBody(p)
		if r.chunked {
			r.append("\r\n")
		}
	}
	if r.err == nil && over {
		return len(p), errTooLong
	}
	return len(p), r.err
}

var (
	errAborted = errors.New("exchange was aborted")
	errTooLong = errors.New("more body than was declared")
)

// append adds framing to what is to be sent.
func (r *h1Reply) append(s string) {
	b := r.buffer()
	if len(b)+len(s) > recordBody {
		r.cork()
		r.sendOut()
		b = r.buffer()
	}
	*r.out = append(b, s...)
}

// appendBody adds body bytes: what fits beside what waits is copied, so that a
// short response is one record; the rest goes out as it is.
func (r *h1Reply) appendBody(p []byte) {
	for r.err == nil && len(p) > 0 {
		b := r.buffer()
		if len(b) == 0 && len(p) >= recordBody {
			r.cork()
			r.err = r.send(p)
			return
		}
		n := min(len(p), recordBody-len(b))
		*r.out = append(b, p[:n]...)
		if p = p[n:]; len(*r.out) == recordBody {
			r.cork()
			r.sendOut()
		}
	}
}

func (r *h1Reply) trailer(h Header) { r.trailers = h }

// end completes the response and reports whether it is a whole one.
func (r *h1Reply) end() bool {
	if r.chunked {
		*r.out = appendLastChunk(r.buffer(), r.trailers)
	}
	return r.push() == nil && (r.bodyless || r.length < 0 || r.written == r.length)
}

// flush sends what waits, once there is a head.
func (r *h1Reply) flush() error {
	r.mu.Lock()
	begun := r.begun
	r.mu.Unlock()
	if !begun {
		return nil
	}
	return r.push()
}

// push sends what waits and holds no buffer afterwards.
func (r *h1Reply) push() error {
	r.sendOut()
	if r.corked {
		r.corked = false
		r.c.writeWithin(r.c.server.opt.WriteTimeout)
		if err := r.c.socket.uncork(); r.err == nil {
			r.err = err
		}
	}
	r.release()
	return r.err
}

// drop ends the connection under a response that is not whole, in a way that
// cannot pass for an end: without close_notify, and with a reset where nothing
// else would tell.
func (r *h1Reply) drop() {
	r.release()
	if r.corked {
		r.c.socket.discard()
	}
	if t, ok := r.c.raw.(*net.TCPConn); ok && r.length < 0 && !r.chunked {
		t.SetLinger(0)
	}
	r.c.raw.Close()
}

func (r *h1Reply) abort() { r.aborted = true }

// buffer is what waits to be sent.
func (r *h1Reply) buffer() []byte {
	if r.out == nil {
		r.out = writeBuffers.Get().(*[]byte)
	}
	return *r.out
}

func (r *h1Reply) release() {
	if r.out == nil {
		return
	}
	if cap(*r.out) == recordBody { // not one that an outsized head made grow
		*r.out = (*r.out)[:0]
		writeBuffers.Put(r.out)
	}
	r.out = nil
}

// cork lets the records to come leave together.
func (r *h1Reply) cork() {
	if r.c.socket != nil && !r.corked {
		r.corked = true
		r.c.socket.cork()
	}
}

func (r *h1Reply) sendOut() error {
	if r.out != nil && len(*r.out) > 0 {
		r.send(*r.out)
		*r.out = (*r.out)[:0]
	}
	return r.err
}

func (r *h1Reply) send(p []byte) error {
	if r.err == nil {
		r.c.writeWithin(r.c.server.opt.WriteTimeout)
		_, r.err = r.c.conn.Write(p)
	}
	return r.err
}

// appendEndToEnd appends a field of a response unless the engine makes it.
func appendEndToEnd(b []byte, f Field) []byte {
	switch knownField(f.Name) {
	case contentLengthField, transferEncodingField, connectionField, keepAliveField, proxyConnectionField, trailerField:
		return b
	}
	if !isToken(f.Name) {
		return b
	}
	return appendField(b, f)
}

// upgrade implements Exchange.Upgrade.
func (r *h1Reply) upgrade(h Header) (Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.c
	b := append(appendStatusLine(r.buffer(), 101), "Connection: upgrade\r\n"...)
	named := false
	for _, f := range h {
		named = named || knownField(f.Name) == upgradeField
		b = appendEndToEnd(b, f)
	}
	if !named {
		b = appendField(b, Field{"Upgrade", c.x.UpgradeTo})
	}
	*r.out = append(b, "\r\n"...)
	r.begun, r.tunnel = true, true
	// From here on the end of what the client sends is for the stream's reader.
	forget(c.watch)
	c.watch = 0
	if err := r.push(); err != nil {
		return nil, err
	}
	c.readUntil(time.Time{})
	c.conn.SetWriteDeadline(time.Time{})
	return &tunnel{c}, nil
}

// tunnel is an upgraded connection.
type tunnel struct{ c *h1 }

// Read gives what the client sent ahead first.
func (t *tunnel) Read(p []byte) (int, error) {
	if c := t.c; c.r < c.w {
		n := copy(p, c.in.b[c.r:c.w])
		c.r += n
		return n, nil
	}
	return t.c.conn.Read(p)
}

func (t *tunnel) Write(p []byte) (int, error)        { return t.c.conn.Write(p) }
func (t *tunnel) SetReadDeadline(d time.Time) error  { return t.c.conn.SetReadDeadline(d) }
func (t *tunnel) SetWriteDeadline(d time.Time) error { return t.c.conn.SetWriteDeadline(d) }
func (t *tunnel) Close() error                       { return t.c.conn.Close() }

func (t *tunnel) CloseWrite() error {
	err := closeWrite(t.c.conn)
	if t.c.raw != t.c.conn {
		closeWrite(t.c.raw)
	}
	return err
}

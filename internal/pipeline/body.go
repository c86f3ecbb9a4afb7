package pipeline

import (
	"errors"
	"io"
	"sync/atomic"
)

// maxBody is the largest request body in bytes. Source: quotas of REST APIs, payload.
const maxBody = 10 << 20

// errTooLarge ends a body of unknown length that turns out too long.
var errTooLarge = errors.New("body exceeds 10485760 bytes")

// limitBody refuses a body that says it is too long. One that does not say is
// cut off while it streams.
func (e *exchange) limitBody() *fault {
	if e.x.ContentLength > maxBody {
		e.unlogged = true // AWS writes no access log here
		f := newFault(requestTooLarge, "declared length")
		f.close = true // the rest is not read
		return f
	}
	return nil
}

// clientBody is the request's body, bounded. The second gate may read it while
// the answer is on its way, so what became of it is atomic.
type clientBody struct {
	r        io.Reader
	left     int64
	fate     atomic.Int32
	ahead    []byte // read by peek
	aheadErr error  // what came behind it
}

const (
	bodyFine int32 = iota
	bodyTooLarge
	bodyBroken // the client's framing or connection broke
)

func (b *clientBody) Read(p []byte) (int, error) {
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	if b.aheadErr != nil {
		return 0, b.aheadErr
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), errTooLarge
		b.fate.Store(bodyTooLarge)
	} else if err != nil && err != io.EOF {
		b.fate.Store(bodyBroken)
	}
	b.left -= int64(n)
	return n, err
}

// peek returns the first n bytes, or all when there are fewer, and leaves them
// to be read. It is for the execution log, and may wait for the client.
func (b *clientBody) peek(n int) []byte {
	buf := make([]byte, n)
	got := 0
	var err error
	for got < n && err == nil {
		var m int
		m, err = b.Read(buf[got:])
		got += m
	}
	b.ahead, b.aheadErr = buf[:got], err
	return buf[:got]
}

// fault is what the client is told when its body could not be read, nil when
// it could.
func (b *clientBody) fault() *fault {
	switch b.fate.Load() {
	case bodyTooLarge:
		return &fault{kind: requestTooLarge, reason: "streamed length", close: true}
	case bodyBroken:
		return &fault{kind: badRequest, reason: "body broke off", close: true}
	}
	return nil
}

// maxKept bounds the bodies that all requests together hold in memory, in
// bytes: an HTTP/2 client can keep a hundred of them waiting on one connection.
const maxKept = 1 << 30

// memory counts them.
type memory struct {
	limit int64
	used  atomic.Int64
}

// keep takes n bytes for this request until its end.
func (e *exchange) keep(n int64) bool {
	m := &e.p.memory
	if m.used.Add(n) > m.limit {
		m.used.Add(-n)
		return false
	}
	e.taken += n
	return true
}

// release gives n of them back.
func (e *exchange) release(n int64) {
	e.p.memory.used.Add(-n)
	e.taken -= n
}

var errBusy = errors.New("too many bodies in memory")

// readAll is io.ReadAll within what all requests may keep.
func (e *exchange) readAll(r io.Reader) ([]byte, error) {
	var b []byte
	for {
		if len(b) == cap(b) {
			size := max(512, 2*cap(b))
			if !e.keep(int64(size)) {
				return nil, errBusy
			}
			b = append(make([]byte, 0, size), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// busy is the answer where there is no memory left.
func busy() *fault {
	return &fault{kind: overloaded, reason: errBusy.Error(), close: true}
}

// whole reads the body to its end, once.
func (e *exchange) whole() ([]byte, *fault) {
	if !e.bufferedSet {
		data, err := e.readAll(&e.body)
		if err == errBusy {
			return nil, busy()
		}
		if err != nil {
			return nil, e.body.fault()
		}
		e.buffered, e.bufferedSet = data, true
	}
	return e.buffered, nil
}

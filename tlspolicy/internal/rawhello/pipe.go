package rawhello

import (
	"io"
	"net"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection in memory that, unlike net.Pipe's,
// hold what was written until it is read: around a HelloRetryRequest both
// sides of TLS write before they read. Closing either end closes both, after
// what was written has been read. Deadlines have no effect.
func Pipe() (net.Conn, net.Conn) {
	a, b := newHalf(), newHalf()
	return &end{in: a, out: b}, &end{in: b, out: a}
}

type end struct{ in, out *half }

func (e *end) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *end) Write(b []byte) (int, error) { return e.out.write(b) }

func (e *end) Close() error {
	e.in.close()
	e.out.close()
	return nil
}

func (*end) LocalAddr() net.Addr              { return addr{} }
func (*end) RemoteAddr() net.Addr             { return addr{} }
func (*end) SetDeadline(time.Time) error      { return nil }
func (*end) SetReadDeadline(time.Time) error  { return nil }
func (*end) SetWriteDeadline(time.Time) error { return nil }

type half struct {
	mu     sync.Mutex
	more   sync.Cond
	data   []byte
	closed bool
}

func newHalf() *half {
	h := new(half)
	h.more.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.data) == 0 && !h.closed {
		h.more.Wait()
	}
	if len(h.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, h.data)
	h.data = h.data[n:]
	return n, nil
}

func (h *half) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.data = append(h.data, b...)
	h.more.Signal()
	return len(b), nil
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.more.Broadcast()
}

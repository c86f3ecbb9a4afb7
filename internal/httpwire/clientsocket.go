package httpwire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// ErrTruncated ends a TLS connection that was cut off: it ended without
// close_notify, so that nobody can tell whether its peer meant to end there.
var ErrTruncated = errors.New("connection ended without close_notify")

// ErrNotQuiet ends a call on a connection that was used before, and on which the
// backend said something since, or ended it. Nothing of the request was sent.
var ErrNotQuiet = errors.New("bytes, or the end, came before the request")

// errNotNow says that nothing can be read without waiting. crypto/tls takes it
// for a passing fault, after which a connection goes on.
var errNotNow net.Error = notNow{}

type notNow struct{}

func (notNow) Error() string   { return "nothing to read now" }
func (notNow) Timeout() bool   { return true }
func (notNow) Temporary() bool { return true }

// ClientSocket is the TCP side of a connection to a backend. Under TLS it hands
// out one record at a time and keeps what it read ahead of that, so that it is
// known, before a connection is used again, that neither TLS nor the kernel
// holds bytes that nobody asked for. It reads several records at once. Writes
// are a Socket's.
type ClientSocket struct {
	*Socket
	records bool // TLS is spoken over it
	raw     syscall.RawConn
	tryRead func(fd uintptr) bool // reads into target without waiting
	tryAsk  func(fd uintptr) bool // writes question, waits, reads into target; on a kept connection reads before, too
	target  []byte
	got     int
	gotErr  error

	queued   bool   // what is corked leaves with the next read
	question []byte // what tryAsk has still to write
	asked    bool   // tryAsk has written
	kept     bool   // the connection carried a call before: nothing may have come since
	unasked  bool   // something had: the question was not written
	broken   error  // of a queued write

	in   *[]byte // of clientBuffers; nil while nothing is read
	r, w int     // in[r:w] is read, but not handed out
	left int     // of the record that is being handed out
	now  bool    // reads do not wait
}

// recordHeader is the size in bytes of what begins a TLS record.
const recordHeader = 5

// clientBuffers hold raw input: nearly two full records of it.
var clientBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// NewClientSocket wraps a TCP connection. secure says that TLS will be spoken
// over it.
func NewClientSocket(c net.Conn, secure bool) *ClientSocket {
	s := &ClientSocket{Socket: NewSocket(c), records: secure}
	if sc, ok := c.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn() // without it, connections are not used twice
	}
	s.tryRead, s.tryAsk = s.read, s.ask
	return s
}

// Read is for TLS, and for plain HTTP.
func (s *ClientSocket) Read(p []byte) (int, error) {
	if !s.records {
		return s.receive(p)
	}
	if s.left == 0 {
		for s.w-s.r < recordHeader {
			err := s.fill()
			if err == ErrTruncated && s.r < s.w { // TLS shall see the stump
				return s.take(p, s.w-s.r), nil
			}
			if err != nil {
				return 0, err
			}
		}
		s.left = recordHeader + int(binary.BigEndian.Uint16((*s.in)[s.r+3:]))
	} else if s.r == s.w {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := s.take(p, min(s.left, s.w-s.r))
	s.left -= n
	return n, nil
}

func (s *ClientSocket) take(p []byte, most int) int {
	n := copy(p, (*s.in)[s.r:s.r+most])
	s.r += n
	return n
}

// fill reads at least one byte.
func (s *ClientSocket) fill() error {
	if s.in == nil {
		s.in = clientBuffers.Get().(*[]byte)
	}
	b := *s.in
	s.w = copy(b, b[s.r:s.w]) // at most a part of a record's header
	s.r = 0
	var n int
	var err error
	if s.now {
		n, err = s.readNow(b[s.w:])
	} else {
		n, err = s.receive(b[s.w:])
	}
	s.w += n
	switch {
	case n > 0:
		return nil
	case err == io.EOF:
		return ErrTruncated
	}
	return err
}

// readNow reads what is there, else it returns errNotNow. The read deadline
// must lie ahead.
func (s *ClientSocket) readNow(p []byte) (int, error) {
	if s.raw == nil {
		return 0, errors.ErrUnsupported
	}
	s.target, s.got, s.gotErr = p, 0, nil
	err := s.raw.Read(s.tryRead)
	s.target = nil
	if err != nil {
		return 0, err
	}
	return s.got, s.gotErr
}

// queue has what is written from here on leave with the next read: then Go's
// poller is armed before the backend can answer, so that nobody has to try and
// read before there is anything, a system call of a request's eight.
func (s *ClientSocket) queue() {
	if s.raw == nil {
		return
	}
	s.cork()
	s.queued = true
}

// receive waits for bytes, after it has sent what is queued.
func (s *ClientSocket) receive(p []byte) (int, error) {
	if !s.queued {
		return s.Conn.Read(p)
	}
	s.queued = false
	s.mu.Lock()
	buf := s.buf
	s.buf, s.corked = nil, false
	s.mu.Unlock()
	if buf == nil { // nothing was written
		return s.Conn.Read(p)
	}
	s.question, s.asked, s.unasked, s.target, s.got, s.gotErr = *buf, false, false, p, 0, nil
	err := s.raw.Read(s.tryAsk)
	rest := s.question
	if s.unasked {
		rest = nil
	}
	s.question, s.target = nil, nil
	if len(rest) > 0 && err == nil && s.broken == nil { // the kernel took a part
		_, s.broken = s.Conn.Write(rest)
	}
	*buf = (*buf)[:0]
	socketBuffers.Put(buf)
	switch {
	case err != nil:
		return 0, err
	case len(rest) > 0:
		return s.Conn.Read(p) // what a backend said before it closed counts
	}
	return s.got, s.gotErr
}

// empty reports whether all that was read was handed out, in whole records.
func (s *ClientSocket) empty() bool { return s.r == s.w && s.left == 0 }

// rest gives the input buffer back, if it is empty: idle connections hold none.
func (s *ClientSocket) rest() {
	if s.in != nil && s.r == s.w {
		clientBuffers.Put(s.in)
		s.in, s.r, s.w = nil, 0, 0
	}
}

// CloseWrite ends what is sent; it is for plain HTTP.
func (s *ClientSocket) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

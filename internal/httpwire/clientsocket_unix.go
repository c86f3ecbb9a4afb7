//go:build unix

package httpwire

import (
	"io"
	"syscall"
)

// read is one read(2) on the socket, which does not block.
func (s *ClientSocket) read(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), s.target)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.gotErr = errNotNow
		case err != nil:
			s.gotErr = err
		case n == 0:
			s.gotErr = io.EOF
		default:
			s.got = n
		}
		return true
	}
}

// ask writes the question and has the caller wait; called again, it reads. What
// it cannot write it leaves to the caller.
//
// The poller tells of what comes from here on and no more of what came before,
// so it must be read here: a backend that ended its side just then, and says
// nothing more, would cost the request its whole timeout. On a kept connection
// that is read first, and whatever it is, the question stays here. On a new one
// it is read right after the question: what a backend of TLS 1.3 has to say of
// the handshake, such as that it refuses the client's certificate, is for TLS.
func (s *ClientSocket) ask(fd uintptr) bool {
	if !s.asked && s.kept {
		if s.read(fd); s.gotErr != errNotNow {
			s.got, s.gotErr, s.unasked = 0, ErrNotQuiet, true
			return true
		}
		s.gotErr = nil
	}
	for !s.asked {
		n, err := syscall.Write(int(fd), s.question)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			s.broken = err
			return true
		}
		if s.question = s.question[n:]; len(s.question) > 0 {
			return true
		}
		s.asked = true
		if s.kept {
			return false
		}
	}
	s.gotErr = nil
	s.read(fd)
	return s.gotErr != errNotNow
}

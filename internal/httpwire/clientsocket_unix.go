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
// it cannot write it leaves to the caller. It reads at once after the first
// question of a connection: what a backend of TLS 1.3 has to say of the
// handshake, such as that it refuses the client's certificate, may have come
// just before the poller was armed, and then nothing else would wake the caller.
func (s *ClientSocket) ask(fd uintptr) bool {
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
		if s.met {
			return false
		}
		s.met = true
	}
	s.gotErr = nil
	s.read(fd)
	return s.gotErr != errNotNow
}

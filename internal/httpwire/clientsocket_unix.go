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

//go:build !unix

package httpwire

import "errors"

// read cannot look without waiting here: connections are not used twice.
func (s *ClientSocket) read(uintptr) bool {
	s.gotErr = errors.ErrUnsupported
	return true
}

// ask leaves all to the caller.
func (s *ClientSocket) ask(uintptr) bool {
	if s.unasked = s.kept; s.unasked {
		s.gotErr = ErrNotQuiet
	}
	return true
}

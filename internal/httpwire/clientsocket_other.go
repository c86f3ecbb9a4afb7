//go:build !unix

package httpwire

import "errors"

// read cannot look without waiting here: connections are not used twice.
func (s *ClientSocket) read(uintptr) bool {
	s.gotErr = errors.ErrUnsupported
	return true
}

package httpwire

// CloseIdle closes an HTTP/1.1 connection that has no request under way, also
// one that never had any. It does nothing to HTTP/2.
func (s *Session) CloseIdle() {
	if s.wire != nil {
		s.wire.closeQuiet()
	}
}

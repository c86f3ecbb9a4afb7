package httpwire

import "sync"

const (
	// usualBuffer holds the head of nearly every request and is what bodies are
	// read through; largeBuffer holds every head that the limits allow.
	usualBuffer = 8 << 10
	largeBuffer = 33 << 10
	usualFields = 32
)

// readBuffer is what a connection reads into while it has something to do;
// idle ones hold none.
type readBuffer struct {
	b      []byte
	fields [usualFields]Field // memory of the header that was parsed from b
}

var (
	usualBuffers = sync.Pool{New: func() any { return &readBuffer{b: make([]byte, usualBuffer)} }}
	largeBuffers = sync.Pool{New: func() any { return &readBuffer{b: make([]byte, largeBuffer)} }}
	// writeBuffers hold what one TLS record carries.
	writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, recordBody); return &b }}
)

func (b *readBuffer) release() {
	if len(b.b) == usualBuffer {
		usualBuffers.Put(b)
	} else {
		largeBuffers.Put(b)
	}
}

package backgate

import (
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"time"
)

// pooled is a connection to a backend that may carry several requests. What a
// backend sends beyond one answer must not become the answer to the next
// request, which may be another client's: a request counts as asked only once
// all that was read before is used up, and what comes before its first byte
// went out ends the connection. net/http alone looks for such bytes too late
// when a connection goes from one request straight to the next.
//
// It rests on net/http's reading goroutine: between two answers it reads from
// the connection exactly when its own buffer is empty.
type pooled struct {
	net.Conn

	mu      sync.Mutex
	reading bool          // a Read is under way
	closed  bool          // so that nobody waits for one
	changed chan struct{} // closed when one of them becomes true; nil: nobody waits
	taken   bool          // by a request that has not written yet
}

// takeWait bounds the wait for the reading goroutine, which is not busy.
const takeWait = time.Second

var errUnasked = errors.New("backend sent what nobody asked for")

// traced takes a connection from the pool for a request.
var traced = &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
	if c, ok := info.Conn.(*pooled); ok && info.Reused {
		c.take()
	}
}}

// take returns when nothing is left of earlier answers, or with a closed
// connection.
func (c *pooled) take() {
	c.mu.Lock()
	c.taken = true
	if c.reading || c.closed {
		c.mu.Unlock()
		return
	}
	changed := make(chan struct{})
	c.changed = changed
	c.mu.Unlock()
	t := time.NewTimer(takeWait)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
		c.Close()
	}
}

// tell wakes who waits in take. The caller holds mu.
func (c *pooled) tell() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

func (c *pooled) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reading = true
	c.tell()
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.reading = false
	unasked := n > 0 && c.taken
	c.mu.Unlock()
	if unasked {
		c.Close()
		return 0, errUnasked
	}
	return n, err
}

func (c *pooled) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.taken = false
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *pooled) Close() error {
	c.mu.Lock()
	c.closed = true
	c.tell()
	c.mu.Unlock()
	return c.Conn.Close()
}

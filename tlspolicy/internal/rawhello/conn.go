package rawhello

import (
	"bytes"
	"io"
	"net"
	"time"
)

// A Conn is the client's end and the way to it in one: a net.Conn for a server
// that reads In and then, once In is used up, what Next makes of what the
// server has written. It is for one goroutine, and never waits: deadlines
// have no effect.
type Conn struct {
	In   []byte                  // for the server to read
	Step int                     // bytes for each read; 0 for as many as wanted
	Next func(out []byte) []byte // more for the server to read; nil or no bytes end the input
	Out  bytes.Buffer            // what the server has written
}

// Exchange lets serve answer a ClientHello and reads the answer.
func Exchange(hello []byte, serve func(net.Conn)) (Answer, error) {
	c := &Conn{In: hello}
	serve(c)
	return ReadServerHello(&c.Out)
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if len(c.In) == 0 && c.Next != nil {
		c.In = c.Next(c.Out.Bytes())
	}
	if len(c.In) == 0 {
		return 0, io.EOF
	}
	if c.Step > 0 && len(b) > c.Step {
		b = b[:c.Step]
	}
	n := copy(b, c.In)
	c.In = c.In[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) { return c.Out.Write(b) }

// Close implements net.Conn and does nothing.
func (c *Conn) Close() error { return nil }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return addr{} }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return addr{} }

// SetDeadline implements net.Conn and does nothing.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn and does nothing.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn and does nothing.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return "memory" }

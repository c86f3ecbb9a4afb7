package httpwire

import (
	"errors"
	"net"
	"time"
)

// Client is one HTTP/1.1 connection to a backend. It carries one Call at a
// time, and another one only when nothing of the first is left. The pools that
// hold it ask Ready before they use it again.
type Client struct {
	conn   net.Conn // TLS, or the socket itself
	socket *ClientSocket
	secure bool
	// drained says that TLS held nothing when it was last read: it had been
	// asked for more than it gave.
	drained bool
	used    bool // a Call was carried before
	one     [1]byte
}

// NewClient returns a client over socket. conn is the finished TLS connection
// over it, or the socket itself.
func NewClient(conn net.Conn, socket *ClientSocket) *Client {
	return &Client{conn: conn, socket: socket, secure: socket.records, drained: true}
}

// Used reports whether a Call was carried already.
func (c *Client) Used() bool { return c.used }

// SetDeadline bounds all reads and writes until it is set anew.
func (c *Client) SetDeadline(t time.Time) error { return c.socket.SetDeadline(t) }

// Abort closes the connection at once and without a word. Whoever reads or
// writes gets an error. Safe to call at any time.
func (c *Client) Abort() { c.socket.Socket.Conn.Close() }

// Close ends an idle connection.
func (c *Client) Close() {
	if c.secure {
		c.socket.SetDeadline(time.Now().Add(time.Second)) // close_notify; nobody waits for more
	}
	c.conn.Close()
	c.socket.rest()
}

// Ready reports whether a kept connection can carry a call, as far as that must
// be known before: a call that goes out in one piece finds out by itself, at less
// cost and with nothing in between, and then ReadHead returns ErrNotQuiet. A
// deadline that lies ahead must have been set.
func (c *Client) Ready(call *Call) bool {
	return c.socket.raw != nil && call.onePiece() || c.Quiet()
}

// Quiet reports whether the backend neither sent anything since the last
// answer nor closed the connection. What TLS itself has to say (tickets) is
// dealt with. A deadline that lies ahead must have been set.
func (c *Client) Quiet() bool {
	n, err := c.look()
	return n == 0 && errors.Is(err, errNotNow) && (!c.secure || c.socket.empty())
}

// Early reports, of a new connection, whether the backend sent anything yet.
func (c *Client) Early() bool {
	n, _ := c.look()
	return n > 0
}

// Await waits until a time for what the backend says of its own accord on a new
// connection: a byte (n is 1), or what ends it. Silence is
// os.ErrDeadlineExceeded, after which the connection goes on. What TLS itself
// has to say (tickets) is dealt with, which does not end the wait. Deadlines
// must be set anew.
func (c *Client) Await(until time.Time) (n int, err error) {
	c.socket.SetReadDeadline(until)
	n, err = c.conn.Read(c.one[:])
	c.drained = n == 0
	c.socket.rest()
	return n, err
}

// look reads what can be read without waiting: at most a byte, which ends the
// use of the connection.
func (c *Client) look() (int, error) {
	s := c.socket
	if !c.secure {
		return s.readNow(c.one[:])
	}
	defer s.rest()
	s.now = true
	defer func() { s.now = false }()
	if c.drained && s.empty() { // TLS would have to ask the kernel too
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n, err := c.conn.Read(c.one[:])
	c.drained = n == 0
	return n, err
}

// rested reports whether nothing is left over as far as can be known without
// asking the kernel, and gives back what an idle connection does not need.
func (c *Client) rested() bool {
	if c.secure && !(c.drained && c.socket.empty()) {
		return c.Quiet()
	}
	c.socket.rest()
	return true
}

func (c *Client) read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	c.drained = n < len(p)
	return n, err
}

// queue sends p with the next read.
func (c *Client) queue(p []byte) error {
	c.socket.queue()
	_, err := c.conn.Write(p)
	return err
}

// write sends p; the records of a long one leave together.
func (c *Client) write(p []byte) error {
	if !c.secure || len(p) <= recordBody {
		_, err := c.conn.Write(p)
		return err
	}
	c.socket.cork()
	_, err := c.conn.Write(p)
	if e := c.socket.uncork(); err == nil {
		err = e
	}
	return err
}

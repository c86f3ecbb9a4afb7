package httpwire

import (
	"io"
	"net"
	"testing"
	"time"
)

// What came on a new connection before the request was sent, with nothing to
// follow, is read all the same: the poller does not tell of it again.
func TestEarlyAnswerIsHeard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect := func() (client, server net.Conn) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	for range 20 {
		client, server := connect()
		other, otherServer := connect()
		s := NewClientSocket(client, false)
		c := NewClient(s, s)
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if c.Early() {
			t.Fatal("something came early")
		}
		io.WriteString(server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		// The poller has seen the one when it tells of the other.
		io.WriteString(otherServer, "x")
		io.ReadFull(other, make([]byte, 1))
		var call Call
		if err := call.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		call.Send(c)
		if err := call.ReadHead(nil); err != nil || call.Status() != 403 {
			t.Fatalf("%d %v", call.Status(), err)
		}
		call.Stop()
		for _, c := range []net.Conn{client, server, other, otherServer} {
			c.Close()
		}
	}
}

package httpwire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
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

// What comes on a kept connection after anybody looked, and before the poller is
// armed, ends the call at once, and the backend gets nothing of the request.
// Without that, a backend that ended its side and says no more would cost the
// request its whole timeout.
func TestKeptConnectionAsks(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	socket := func(c net.Conn) *net.TCPConn {
		if s, ok := c.(*tls.Conn); ok {
			c = s.NetConn()
		}
		return c.(*net.TCPConn)
	}
	other, otherBackend := clientPair(t, 0)
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		for name, late := range map[string]func(backend net.Conn){
			"ends its side":   func(c net.Conn) { socket(c).CloseWrite() },
			"says goodbye":    func(c net.Conn) { c.(interface{ CloseWrite() error }).CloseWrite() },
			"answers":         func(c net.Conn) { io.WriteString(c, answer) },
			"half a record":   halfRecord,
			"what is no HTTP": func(c net.Conn) { socket(c).Write([]byte{0}) },
		} {
			c, backend := clientPair(t, version)
			for i := range 2 {
				var call Call
				if err := call.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/"}); err != nil || !c.Ready(&call) {
					t.Fatal(err)
				}
				call.Send(c)
				if i == 0 {
					go func() {
						backend.Read(make([]byte, 100))
						io.WriteString(backend, answer)
					}()
					if err := call.ReadHead(nil); err != nil || !call.Reusable() || !c.Quiet() {
						t.Fatal(version, name, err)
					}
					late(backend)
					io.WriteString(otherBackend, "x") // the poller has seen the one when it tells of the other
					other.conn.Read(make([]byte, 1))
				} else if err := call.ReadHead(nil); !errors.Is(err, ErrNotQuiet) {
					t.Errorf("%x, %s: %v", version, name, err)
				}
				call.Stop()
			}
			c.Abort()
			if rest, _ := io.ReadAll(socket(backend)); len(rest) > 0 {
				t.Errorf("%x, %s: the backend got %q", version, name, rest)
			}
		}
	}
	var long Call
	if err := long.Encode(&ClientRequest{Method: "POST", Authority: "x", Path: "/", Body: strings.NewReader("x"), ContentLength: -1}); err != nil || long.onePiece() {
		t.Errorf("a body that is sent meanwhile cannot be taken back: %v", err)
	}
	if err := long.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/" + strings.Repeat("x", maxQuestion)}); err != nil || long.onePiece() {
		t.Errorf("what a corked socket does not hold leaves before: %v", err)
	}
}

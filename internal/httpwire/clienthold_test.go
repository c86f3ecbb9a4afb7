package httpwire

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A body that is held back follows when the backend asks for it, when the call
// lets it, or when the time is up; it does not follow once it is recalled, and
// then the call can be sent again.
func TestHold(t *testing.T) {
	const long = time.Hour
	content := strings.Repeat("x", 2*shortBody)
	for name, test := range map[string]struct {
		hold   time.Duration
		answer string // to the head
		then   func(c *Call) bool
		want   bool // the body follows
	}{
		"the time is up":         {time.Millisecond, "", nil, true},
		"the backend asks":       {long, "HTTP/1.1 100 Continue\r\n\r\n", nil, true},
		"released":               {long, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", func(c *Call) bool { c.Release(); return true }, true},
		"recalled":               {long, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", (*Call).Recall, false},
		"stopped":                {long, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", func(*Call) bool { return true }, false},
		"recalled after release": {long, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", func(c *Call) bool { c.Release(); return !c.Recall() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			var c Call
			for range 2 { // the second time the call is used again
				client, backend := clientPair(t, tls.VersionTLS13)
				read := make(chan bool, 1)
				go func() { read <- serveHeld(backend, test.answer, len(content)) }()
				body := strings.NewReader(content)
				if err := c.Encode(&ClientRequest{Method: "POST", Authority: "x", Path: "/", Body: body, ContentLength: int64(len(content))}); err != nil {
					t.Fatal(err)
				}
				c.Hold(test.hold)
				c.Send(client)
				if err := c.ReadHead(nil); err != nil {
					t.Fatal(err)
				}
				if test.then != nil && !test.then(&c) {
					t.Error("it was too late")
				}
				if test.want && !<-read {
					t.Error("the body did not follow")
				}
				c.Stop()
				client.Abort()
				if !test.want && (<-read || body.Len() != len(content)) {
					t.Errorf("the body followed; %d bytes are left of it", body.Len())
				}
			}
		})
	}
}

// serveHeld reads a request's head, answers it and reads the body, which it
// answers too unless it has said its last word; it returns whether it came.
func serveHeld(c net.Conn, answer string, n int) bool {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	io.WriteString(c, answer)
	got, _ := io.Copy(io.Discard, r.Body)
	if final := answer != "" && !strings.Contains(answer, "100"); int(got) == n && !final {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	return int(got) == n
}

// Await tells silence, after which the connection goes on, from a word and from
// an end.
func TestAwait(t *testing.T) {
	client, backend := clientPair(t, tls.VersionTLS13)
	if n, err := client.Await(time.Now().Add(5 * time.Millisecond)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(n, err)
	}
	client.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		if _, err := http.ReadRequest(bufio.NewReader(backend)); err == nil {
			io.WriteString(backend, "HTTP/1.1 204 No Content\r\n\r\nx")
		}
	}()
	var c Call
	if err := c.Encode(&ClientRequest{Method: "GET", Authority: "x", Path: "/"}); err != nil {
		t.Fatal(err)
	}
	c.Send(client)
	if err := c.ReadHead(nil); err != nil || c.Status() != 204 {
		t.Fatal(c.Status(), err)
	}
	c.Stop()

	client, backend = clientPair(t, tls.VersionTLS13)
	go io.WriteString(backend, "x")
	if n, err := client.Await(time.Now().Add(10 * time.Second)); n != 1 {
		t.Error(n, err)
	}
	client, backend = clientPair(t, tls.VersionTLS13)
	go backend.Close()
	if n, err := client.Await(time.Now().Add(10 * time.Second)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

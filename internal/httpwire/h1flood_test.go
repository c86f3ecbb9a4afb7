package httpwire

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// Connections that send a head, or a body, a byte at a time or stop in the
// middle: each costs little, ends in time, and nobody else waits.
func TestSlowClients(t *testing.T) {
	n := 200
	if os.Getenv("SALLYPORT_SOAK") != "" {
		n = 2000
	}
	h := newHost(t, Options{HeaderTimeout: 2 * time.Second, BodyTimeout: 2 * time.Second, Handler: func(x *Exchange) {
		if _, err := io.Copy(io.Discard, x.Body); err == nil {
			x.Respond(200, nil, 0)
		}
	}}, false)
	other := h.dial()
	served := func() {
		t.Helper()
		other.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := io.ReadFull(other, make([]byte, len("HTTP/1.1 200"))); err != nil {
			t.Fatalf("a normal client is not served: %v", err)
		}
		for b := make([]byte, 1); ; { // to the end of the head; there is no body
			line := ""
			for !strings.HasSuffix(line, "\r\n") {
				if _, err := io.ReadFull(other, b); err != nil {
					t.Fatal(err)
				}
				line += string(b)
			}
			if line == "\r\n" {
				return
			}
		}
	}
	served()
	<-h.sessions
	before := memory()
	var slow []net.Conn
	begun := time.Now()
	for i := range n {
		c := h.dial()
		slow = append(slow, c)
		switch i % 4 {
		case 0:
			io.WriteString(c, "GET / HTT")
		case 1:
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("y", 4000))
		case 2:
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("z", 5000))
		case 3:
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
		}
	}
	served()
	if per := (memory() - before) / int64(n); per > 64<<10 && !raceEnabled {
		t.Errorf("%d KiB for each", per>>10)
	} else {
		t.Logf("%d KiB for each slow connection, the client's side included", per>>10)
	}
	// A byte now and then keeps none of them alive beyond the head's deadline.
	for i, c := range slow {
		if i%4 < 2 {
			fmt.Fprint(c, "y")
		}
	}
	for range n {
		wait(t, <-h.sessions)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("the last one ended after %v", took)
	}
	served()
	if left := memory() - before; left > 16<<20 && !raceEnabled {
		t.Errorf("%d MiB stay", left>>20)
	}
}

// A client that pipelines and never reads holds its own connection only, until
// the write deadline ends it.
func TestDeafClients(t *testing.T) {
	h := newHost(t, Options{WriteTimeout: 2 * time.Second, Handler: func(x *Exchange) {
		x.Respond(200, nil, 64<<10)
		x.Write(make([]byte, 64<<10))
	}}, false)
	before := memory()
	n := 20
	for range n {
		c := h.dial()
		go func() {
			for range 10_000 {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					return
				}
			}
		}()
	}
	for range n {
		wait(t, <-h.sessions)
	}
	if left := memory() - before; left > 16<<20 && !raceEnabled {
		t.Errorf("%d MiB stay", left>>20)
	}
}

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// h1Worker asks over one HTTP/1.1 connection, one request after the other.
type h1Worker struct {
	load    *load
	request []byte
	conn    net.Conn
	reader  *bufio.Reader
	closing bool // the contender ends the connection
}

func (w *h1Worker) open(ctx context.Context, n int) error {
	if w.request == nil {
		w.request = w.load.requestBytes()
		w.reader = bufio.NewReaderSize(nil, 16<<10)
	}
	var err error
	if w.conn, err = w.load.dial(ctx, w.load.tls); err != nil {
		return err
	}
	w.reader.Reset(w.conn)
	w.closing = false
	if err := w.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	for range n {
		if err := w.ask(); err != nil {
			return err
		}
	}
	return nil
}

func (w *h1Worker) run(t *tally, s schedule) {
	limit := t.end.Add(patience)
	fresh := false
	for {
		since, ok := s.wait()
		if !ok || t.over() {
			return
		}
		if w.conn == nil || w.closing {
			w.close()
			t.reconnects++
			if err := w.open(context.Background(), 0); err != nil {
				t.fail(err)
				continue
			}
			fresh = true
		}
		if t.requests == 0 || fresh {
			fresh = false
			if err := w.conn.SetDeadline(limit); err != nil {
				t.fail(err)
				return
			}
		}
		if err := w.ask(); err != nil {
			t.fail(err)
			w.close()
			continue
		}
		t.answered(since)
	}
}

func (w *h1Worker) ask() error {
	if _, err := w.conn.Write(w.request); err != nil {
		return err
	}
	closing, err := readAnswer(w.reader, w.load.want())
	w.closing = closing
	return err
}

func (w *h1Worker) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// want is the length of the body that answers the workload.
func (l *load) want() int { return bodies[l.Workload.Path] }

// requestBytes is the whole request on the wire.
func (l *load) requestBytes() []byte {
	w := l.Workload
	var b bytes.Buffer
	method := "GET"
	if w.Body > 0 {
		method = "POST"
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sidebyside\r\nAccept: */*\r\n", method, w.Path, w.Server)
	if w.Body > 0 {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", w.Body)
	}
	b.WriteString("\r\n")
	b.Write(bytes.Repeat([]byte("x"), w.Body))
	return b.Bytes()
}

var (
	statusOK      = []byte(" 200")
	contentLength = []byte("content-length")
	encoding      = []byte("transfer-encoding")
	connectionKey = []byte("connection")
	closeToken    = []byte("close")
	chunked       = []byte("chunked")
)

// readAnswer reads one HTTP/1.1 response, which must be 200 with a body of
// exactly want bytes, and reports whether the connection ends after it.
func readAnswer(r *bufio.Reader, want int) (closing bool, err error) {
	line, err := readLine(r)
	if err != nil {
		return true, err
	}
	if len(line) < 12 || !bytes.Equal(line[8:12], statusOK) {
		return true, fmt.Errorf("answer %q", line)
	}
	length, inChunks := -1, false
	for {
		line, err := readLine(r)
		if err != nil {
			return true, err
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return true, fmt.Errorf("header line %q", line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, contentLength):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return true, err
			}
		case bytes.EqualFold(name, encoding):
			inChunks = bytes.EqualFold(value, chunked)
		case bytes.EqualFold(name, connectionKey):
			closing = bytes.EqualFold(value, closeToken)
		}
	}
	if inChunks {
		if length, err = readChunks(r); err != nil {
			return true, err
		}
	} else if length >= 0 {
		if _, err := r.Discard(length); err != nil {
			return true, err
		}
	}
	if length != want {
		return true, fmt.Errorf("a body of %d bytes, want %d", length, want)
	}
	return closing, nil
}

func readChunks(r *bufio.Reader) (total int, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			total += int(n)
			if _, err := r.Discard(int(n)); err != nil {
				return 0, err
			}
		}
		if line, err = readLine(r); err != nil {
			return 0, err
		} else if len(line) > 0 {
			return 0, fmt.Errorf("after a chunk: %q", line)
		}
		if n == 0 {
			return total, nil
		}
	}
}

// readLine returns a line without its end; it is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// connWorker makes a new connection for each request. Its latency is that of
// both together.
type connWorker struct {
	load    *load
	tls     *tls.Config
	request []byte
	reader  *bufio.Reader
}

func (w *connWorker) open(ctx context.Context, n int) error {
	w.request = w.load.requestBytes()
	w.reader = bufio.NewReaderSize(nil, 4<<10)
	for i := range n {
		if err := w.ask(ctx, i > 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *connWorker) run(t *tally, s schedule) {
	ctx, cancel := context.WithDeadline(context.Background(), t.end.Add(patience))
	defer cancel()
	for {
		since, ok := s.wait()
		if !ok || t.over() {
			return
		}
		if err := w.ask(ctx, true); err != nil {
			t.fail(err)
			continue
		}
		t.answered(since)
	}
}

// ask connects, resuming if the workload says so and a ticket is there, asks
// once and closes.
func (w *connWorker) ask(ctx context.Context, ticket bool) error {
	conn, err := w.load.dial(ctx, w.tls)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	secure, ok := conn.(*tls.Conn)
	if resumed := ok && secure.ConnectionState().DidResume; resumed != (w.load.Workload.Resume && ticket) {
		return fmt.Errorf("session resumed: %v", resumed)
	}
	if _, err := conn.Write(w.request); err != nil {
		return err
	}
	w.reader.Reset(conn)
	_, err = readAnswer(w.reader, w.load.want())
	return err
}

func (w *connWorker) close() {}

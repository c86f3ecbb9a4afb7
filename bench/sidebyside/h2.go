//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Flow control of the client: a window per stream that no answer here fills,
// and one per connection that is topped up when half is used.
const (
	streamWindow     = 1 << 20
	connectionWindow = 1 << 30
	// maxOpen bounds the requests at once on a connection at a fixed rate;
	// every contender allows as many.
	maxOpen = 100
)

var errGoAway = errors.New("GOAWAY NO_ERROR")

// h2Worker asks over one HTTP/2 connection, several requests at once.
type h2Worker struct {
	load   *load
	conn   net.Conn
	reader *bufio.Reader
	framer *xhttp2.Framer
	block  *hpack.Decoder
	status string
	used   uint32 // bytes of the connection's window

	mu      sync.Mutex // guards what follows: a pacer writes beside the reader
	writer  *bufio.Writer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	next    uint32
	streams map[uint32]*h2Stream
	spare   []*h2Stream
	room    chan struct{} // a place per open request, at a fixed rate
	leaving bool          // the contender sent GOAWAY: no more requests here
}

type h2Stream struct {
	since time.Time
	got   int
	ok    bool
}

func (w *h2Worker) open(ctx context.Context, n int) error {
	var err error
	if w.conn, err = w.load.dial(ctx, w.load.tls); err != nil {
		return err
	}
	w.reader, w.writer = bufio.NewReaderSize(w.conn, 32<<10), bufio.NewWriterSize(w.conn, 16<<10)
	w.framer = xhttp2.NewFramer(w.writer, w.reader)
	w.framer.SetReuseFrames()
	w.block = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			w.status = f.Value
		}
	})
	w.encoder = hpack.NewEncoder(&w.encoded)
	w.next, w.used, w.leaving, w.streams = 1, 0, false, map[uint32]*h2Stream{}
	w.room = make(chan struct{}, maxOpen)
	if err := w.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := w.writer.WriteString(xhttp2.ClientPreface); err != nil {
		return err
	}
	if err := w.framer.WriteSettings(
		xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 0},
		xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: streamWindow},
	); err != nil {
		return err
	}
	if err := w.framer.WriteWindowUpdate(0, connectionWindow-65535); err != nil {
		return err
	}
	for range n {
		if err := w.ask(time.Now()); err != nil {
			return err
		}
		for len(w.streams) > 0 {
			if _, err := w.read(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *h2Worker) run(t *tally, s schedule) {
	for !t.over() {
		err := w.conn.SetDeadline(t.end.Add(patience))
		switch {
		case err != nil:
		case w.leaving:
			err = errGoAway
		case s.every == 0:
			err = w.runClosed(t)
		default:
			err = w.runPaced(t, &s)
		}
		if err == nil {
			return
		}
		t.reconnects++
		if !errors.Is(err, errGoAway) {
			for range max(len(w.streams), 1) { // what was open is lost
				t.fail(err)
			}
		}
		w.close()
		if err := w.open(context.Background(), 0); err != nil {
			t.fail(err)
			return
		}
	}
}

// runClosed keeps Streams requests open.
func (w *h2Worker) runClosed(t *tally) error {
	for range w.load.Workload.Streams {
		if err := w.ask(time.Now()); err != nil {
			return err
		}
	}
	for len(w.streams) > 0 {
		since, err := w.read()
		if err != nil {
			return err
		}
		if since.IsZero() {
			continue
		}
		t.answered(since)
		if !w.leaving && !t.over() {
			if err := w.ask(time.Now()); err != nil {
				return err
			}
		}
	}
	if w.leaving && !t.over() {
		return errGoAway
	}
	return nil
}

// runPaced opens requests when they are due, however many are open.
func (w *h2Worker) runPaced(t *tally, s *schedule) error {
	paced := make(chan error, 1)
	stop := make(chan struct{})
	last := make(chan struct{})
	go func() {
		defer close(last)
		for {
			since, ok := s.wait()
			if !ok {
				paced <- nil
				// An answer to this wakes the reader.
				w.mu.Lock()
				defer w.mu.Unlock()
				_ = w.framer.WritePing(false, [8]byte{}) // a broken connection shows in the reader
				_ = w.writer.Flush()
				return
			}
			select {
			case w.room <- struct{}{}:
			case <-stop:
				return
			}
			if !w.askNow(since) {
				return
			}
		}
	}()
	defer func() { <-last }()
	defer close(stop)
	ended := false
	for {
		since, err := w.read()
		if err != nil {
			w.conn.Close()
			return err
		}
		if !since.IsZero() {
			<-w.room
			t.answered(since)
		}
		if !ended {
			select {
			case <-paced:
				ended = true
			default:
			}
		}
		w.mu.Lock()
		rest, leaving := len(w.streams), w.leaving
		w.mu.Unlock()
		switch {
		case rest > 0:
		case ended:
			return nil
		case leaving:
			w.conn.Close()
			return errGoAway
		}
	}
}

// askNow is what the pacer does; false ends it, and the reader finds out why.
func (w *h2Worker) askNow(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaving {
		return false
	}
	err := w.askLocked(since)
	if err == nil {
		err = w.writer.Flush()
	}
	if err != nil {
		w.conn.Close()
	}
	return err == nil
}

func (w *h2Worker) ask(since time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.askLocked(since)
}

// askLocked writes a request without flushing it.
func (w *h2Worker) askLocked(since time.Time) error {
	work := &w.load.Workload
	w.encoded.Reset()
	for _, f := range [...]hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: work.Server},
		{Name: ":path", Value: work.Path}, {Name: "user-agent", Value: "sidebyside"}, {Name: "accept", Value: "*/*"},
	} {
		if err := w.encoder.WriteField(f); err != nil {
			return err
		}
	}
	var s *h2Stream
	if n := len(w.spare); n > 0 {
		s, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		s = &h2Stream{}
	}
	*s = h2Stream{since: since}
	w.streams[w.next] = s
	err := w.framer.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: w.next, BlockFragment: w.encoded.Bytes(), EndStream: true, EndHeaders: true})
	w.next += 2
	return err
}

// read handles one frame. since is not zero when the frame ended a good answer.
func (w *h2Worker) read() (since time.Time, err error) {
	if w.reader.Buffered() == 0 {
		w.mu.Lock()
		err := w.writer.Flush()
		w.mu.Unlock()
		if err != nil {
			return since, err
		}
	}
	frame, err := w.framer.ReadFrame()
	if err != nil {
		return since, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f := frame.(type) {
	case *xhttp2.HeadersFrame:
		if !f.HeadersEnded() {
			return since, errors.New("an answer whose head spans several frames")
		}
		w.status = ""
		if _, err := w.block.Write(f.HeaderBlockFragment()); err != nil {
			return since, err
		}
		s := w.streams[f.StreamID]
		if s == nil {
			return since, fmt.Errorf("HEADERS of stream %d, which is not open", f.StreamID)
		}
		if w.status != "200" {
			return since, fmt.Errorf("answer %s", w.status)
		}
		s.ok = true
		if f.StreamEnded() {
			return w.ended(f.StreamID)
		}
	case *xhttp2.DataFrame:
		s := w.streams[f.StreamID]
		if s == nil {
			return since, fmt.Errorf("DATA of stream %d, which is not open", f.StreamID)
		}
		s.got += len(f.Data())
		if w.used += f.Length; w.used > connectionWindow/2 {
			if err := w.framer.WriteWindowUpdate(0, w.used); err != nil {
				return since, err
			}
			w.used = 0
		}
		if f.StreamEnded() {
			return w.ended(f.StreamID)
		}
	case *xhttp2.SettingsFrame:
		if !f.IsAck() {
			return since, w.framer.WriteSettingsAck()
		}
	case *xhttp2.PingFrame:
		if !f.IsAck() {
			return since, w.framer.WritePing(true, f.Data)
		}
	case *xhttp2.RSTStreamFrame:
		return since, fmt.Errorf("RST_STREAM %v", f.ErrCode)
	case *xhttp2.GoAwayFrame:
		if f.ErrCode != xhttp2.ErrCodeNo {
			return since, fmt.Errorf("GOAWAY %v", f.ErrCode)
		}
		w.leaving = true
		for id := range w.streams {
			if id > f.LastStreamID { // never looked at: not a failure
				delete(w.streams, id)
			}
		}
	}
	return since, nil
}

func (w *h2Worker) ended(id uint32) (time.Time, error) {
	s := w.streams[id]
	if !s.ok || s.got != w.load.want() {
		return time.Time{}, fmt.Errorf("a body of %d bytes, want %d", s.got, w.load.want())
	}
	delete(w.streams, id)
	w.spare = append(w.spare, s)
	return s.since, nil
}

func (w *h2Worker) close() {
	if w.conn != nil {
		w.conn.Close()
	}
}

package httpwire

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// responseWriter is the engine's side of a response, over net/http's.
type responseWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	wire     *wire // nil over HTTP/2
	bodyless bool  // HEAD, 204, 304: body bytes are counted, not sent
	aborted  bool
	length   int64 // declared; -1: unknown
	written  int64

	patience *patience // over HTTP/2; HTTP/1 has wire's write deadline
}

// patience bounds how long an HTTP/2 client may leave its stream's window
// shut: that costs the client nothing, and us a handler and a backend's
// connection. net/http knows a deadline for the whole response only.
type patience struct {
	limit   time.Duration
	control *http.ResponseController

	mu      sync.Mutex
	writing bool // only then is control good for anything
	until   time.Time
	timer   *time.Timer
}

// start is called before a write that may wait for the client, stop after it.
func (p *patience) start() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing, p.until = true, time.Now().Add(p.limit)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.limit, p.end)
	} else {
		p.timer.Reset(p.limit)
	}
}

func (p *patience) stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = false
	p.timer.Stop()
}

// end resets the stream, so that the write that waits returns an error.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing && !time.Now().Before(p.until) {
		p.control.SetWriteDeadline(time.Now().Add(-time.Second))
	}
}

// last bounds what net/http writes once the handler returned.
func (p *patience) last() { p.control.SetWriteDeadline(time.Now().Add(p.limit)) }

// engineFields are made by the engine and never taken from the pipeline.
var engineFields = map[string]bool{
	"content-length": true, "transfer-encoding": true, "connection": true,
	"keep-alive": true, "proxy-connection": true, "trailer": true,
}

func (r *responseWriter) head(status int, h Header, length int64, closeAfter bool) error {
	if length < 0 {
		length = -1
	}
	if status < 200 || status > 999 {
		status = http.StatusInternalServerError // no final status; net/http would panic or go on
	}
	header := r.w.Header()
	// A nil value keeps net/http from guessing a type.
	header["Content-Type"] = nil
	for _, f := range h {
		lower := strings.ToLower(f.Name)
		if engineFields[lower] || lower == "upgrade" && r.wire == nil || !isToken(f.Name) {
			continue
		}
		name := f.Name
		switch lower { // net/http looks for these, in its own spelling
		case "content-type", "content-encoding", "date":
			name = http.CanonicalHeaderKey(lower)
		}
		header[name] = append(header[name], f.Value)
	}
	noBody := status == http.StatusNoContent || status == http.StatusNotModified
	switch {
	case noBody:
		length = -1 // a 304 may have one; without it nothing can be wrong
	case length >= 0:
		header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	r.length = length
	r.bodyless = r.bodyless || noBody
	if closeAfter || r.wire != nil && r.wire.isDraining() {
		header["Connection"] = []string{"close"} // HTTP/2: net/http sends GOAWAY instead
	}
	r.w.WriteHeader(status)
	return nil
}

func (r *responseWriter) write(p []byte) (int, error) {
	if r.aborted {
		return 0, http.ErrAbortHandler
	}
	if r.bodyless {
		return len(p), nil
	}
	r.patience.start()
	n, err := r.w.Write(p)
	r.patience.stop()
	r.written += int64(n)
	return n, err
}

func (r *responseWriter) flush() error {
	r.patience.start()
	defer r.patience.stop()
	return r.control.Flush()
}

func (r *responseWriter) abort() { r.aborted = true }

// short reports that less was written than declared.
func (r *responseWriter) short() bool {
	return !r.bodyless && r.length >= 0 && r.written < r.length
}

// message answers with a gateway's own error.
func (r *responseWriter) message(status int, kind, message string, closeAfter bool) {
	body := `{"message":` + strconv.Quote(message) + `}`
	r.head(status, Header{{"Content-Type", "application/json"}, {"x-amzn-ErrorType", kind}}, int64(len(body)), closeAfter)
	r.write([]byte(body))
}

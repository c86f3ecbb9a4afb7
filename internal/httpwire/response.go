package httpwire

import (
	"net/http"
	"strconv"
	"strings"
)

// responseWriter is the engine's side of a response, over net/http's.
type responseWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	bodyless bool // HEAD, 204, 304: body bytes are counted, not sent
	aborted  bool
	length   int64 // declared; -1: unknown
	written  int64
}

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
		if engineFields[lower] || lower == "upgrade" || !isToken(f.Name) {
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
	if closeAfter {
		header["Connection"] = []string{"close"} // net/http sends GOAWAY instead
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
	n, err := r.w.Write(p)
	r.written += int64(n)
	return n, err
}

func (r *responseWriter) inform(status int, h Header) error {
	header := r.w.Header()
	for _, f := range h {
		if isToken(f.Name) && !engineFields[strings.ToLower(f.Name)] {
			header[f.Name] = append(header[f.Name], f.Value)
		}
	}
	r.w.WriteHeader(status)
	clear(header)
	return nil
}

func (r *responseWriter) trailer(h Header) {
	for _, f := range h {
		if isToken(f.Name) && !engineFields[strings.ToLower(f.Name)] {
			r.w.Header().Add(http.TrailerPrefix+f.Name, f.Value)
		}
	}
}

func (r *responseWriter) upgrade(Header) (Stream, error) { return nil, ErrNoUpgrade }

func (r *responseWriter) flush() error { return r.control.Flush() }

func (r *responseWriter) abort() { r.aborted = true }

// short reports that less was written than declared.
func (r *responseWriter) short() bool {
	return !r.bodyless && r.length >= 0 && r.written < r.length
}

package httpwire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Recorder keeps the answer to an exchange that came over no connection. The
// zero value with a Limit is ready; use it for one exchange.
type Recorder struct {
	Limit  int // of Body in bytes; what comes after it is refused
	Status int // 0: none yet
	Header Header
	Body   []byte
	Cut    bool // the body went on after Limit
}

// errRecorded ends an answer that is longer than the recorder keeps.
var errRecorded = errors.New("answer is longer than what is kept of it")

// Exchange returns an exchange that r records the answer of. Conn says nothing
// but its id; the caller sets the request's members.
func (r *Recorder) Exchange(ctx context.Context, id string, received time.Time) *Exchange {
	return &Exchange{
		Conn: &Conn{ID: id}, Context: ctx, Received: received,
		Proto: "HTTP/1.1", RawPath: "/", Body: strings.NewReader(""), w: r,
	}
}

func (r *Recorder) head(status int, h Header, _ int64, _ bool) error {
	r.Status = status
	for _, f := range h { // whose memory is the exchange's
		r.Header.Add(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	return nil
}

func (r *Recorder) write(p []byte) (int, error) {
	n := min(len(p), r.Limit-len(r.Body))
	r.Body = append(r.Body, p[:n]...)
	if n < len(p) {
		r.Cut = true
		return n, errRecorded
	}
	return n, nil
}

func (r *Recorder) inform(int, Header) error       { return nil }
func (r *Recorder) trailer(Header)                 {}
func (r *Recorder) flush() error                   { return nil }
func (r *Recorder) upgrade(Header) (Stream, error) { return nil, ErrNoUpgrade }
func (r *Recorder) abort()                         {}

// NewHeader makes a header of two maps, as APIs write one: each name once, in
// alphabetical order, with its list of values where it has one. It refuses what
// cannot be a header line.
func NewHeader(single map[string]string, multiple map[string][]string) (Header, error) {
	lists := maps.Clone(multiple)
	if lists == nil {
		lists = map[string][]string{}
	}
	for name, value := range single {
		if len(lists[name]) == 0 {
			lists[name] = []string{value}
		}
	}
	var h Header
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if !isToken(name) {
			return nil, fmt.Errorf("%q is no header name", name)
		}
		for _, value := range lists[name] {
			if !validValue(value) {
				return nil, fmt.Errorf("the value of %s cannot be sent", name)
			}
			h.Add(name, value)
		}
	}
	return h, nil
}

package pipeline

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
)

// The bounds of an upgraded connection: how long neither side may say anything,
// how long it may last, and how long a write may take. Source of the first two:
// quotas of WebSocket APIs.
const (
	tunnelIdle  = 10 * time.Minute
	tunnelLasts = 2 * time.Hour
	tunnelWrite = time.Minute
)

// tunnelBuffers are what a direction of an upgraded connection passes at once.
var tunnelBuffers = sync.Pool{New: func() any { b := make([]byte, 8<<10); return &b }}

// tunnel carries bytes both ways after the backend has switched protocols,
// until one side is done with both or broken.
func (e *exchange) tunnel(resp *backgate.Response, h httpwire.Header) *fault {
	if e.trace != nil {
		e.trace.traceHeaders(h)
	}
	back := resp.Upgraded()
	front, err := e.x.Upgrade(h)
	if err != nil {
		return nil // the client is gone
	}
	var t tunnel
	t.until = time.Now().Add(tunnelLasts)
	t.heard.Store(time.Now().UnixNano())
	done := make(chan struct{})
	go func() {
		t.carry(back, front)
		close(done)
	}()
	e.length = t.carry(front, back)
	<-done
	return nil
}

// tunnel is what both directions of an upgraded connection share.
type tunnel struct {
	until time.Time
	heard atomic.Int64 // when any bytes came last, in ns since 1970
}

// carry passes what from sends to to, until it ends; a fault ends both ways.
func (t *tunnel) carry(to, from httpwire.Stream) (n int64) {
	buf := tunnelBuffers.Get().(*[]byte)
	defer tunnelBuffers.Put(buf)
	for {
		quiet := time.Unix(0, t.heard.Load()).Add(tunnelIdle)
		if quiet.After(t.until) {
			quiet = t.until
		}
		from.SetReadDeadline(quiet)
		m, err := from.Read(*buf)
		if m > 0 {
			now := time.Now()
			t.heard.Store(now.UnixNano())
			to.SetWriteDeadline(now.Add(tunnelWrite))
			if _, e := to.Write((*buf)[:m]); e != nil {
				err = e
			} else {
				n += int64(m)
			}
		}
		switch {
		case err == nil:
		case err == io.EOF && to.CloseWrite() == nil:
			return n
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(t.until) && time.Since(time.Unix(0, t.heard.Load())) < tunnelIdle:
			// The other way was in use meanwhile.
		default:
			to.Close()
			from.Close()
			return n
		}
	}
}

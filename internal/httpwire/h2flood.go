package httpwire

import "time"

// What a client can do to us at next to no cost to itself, and that a program
// in good order does rarely or in step with the data it takes.
const (
	floodReset    = iota // cancels streams
	floodProvoked        // makes us reset or refuse streams
	floodSettings
	floodPing
	floodEmpty  // DATA frames that carry nothing
	floodWindow // WINDOW_UPDATE
	floodIgnored
	floodKinds
)

// h2Floods bound these per connection: burst at once, perSecond in the long
// run. Beyond it the connection ends with ENHANCE_YOUR_CALM. The figures are
// those of nghttp2, but for windows, which some clients open at each read.
var h2Floods = [floodKinds]struct {
	what             string
	burst, perSecond int32
}{
	floodReset:    {"too many resets", 1000, 33},
	floodProvoked: {"too many stream errors", 1000, 33},
	floodSettings: {"too many SETTINGS", 100, 10},
	floodPing:     {"too many PINGs", 1000, 33},
	floodEmpty:    {"too many empty DATA frames", 1000, 33},
	floodWindow:   {"too many WINDOW_UPDATEs", 10000, 1000},
	floodIgnored:  {"too many frames without effect", 1000, 33},
}

// h2Budget is what is left of h2Floods.
type h2Budget [floodKinds]struct {
	spent int32
	since time.Duration
}

// spend takes one of kind and reports whether there was one left.
func (b *h2Budget) spend(kind int, now time.Duration) bool {
	f := &b[kind]
	if f.spent++; f.spent <= h2Floods[kind].burst {
		return true
	}
	rate := h2Floods[kind].perSecond
	refill := min((now-f.since).Milliseconds()*int64(rate)/1000, int64(f.spent))
	if refill < 1 {
		return false
	}
	f.spent -= int32(refill)
	f.since = now
	return true
}

// earn gives back n of kind: the client did something useful.
func (b *h2Budget) earn(kind int, n int32) {
	b[kind].spent = max(b[kind].spent-n, 0)
}

package pipeline

import (
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"time"
	"unsafe"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// exchange is one request on its way. It is reused; reset clears it.
type exchange struct {
	p      *Pipeline
	x      *httpwire.Exchange
	config configuration // pinned at the start

	requestID, extendedID string

	host    string // normalized; "" when it is none
	name    *snapshot.Name
	mapping *snapshot.Mapping // on custom domains
	api     *snapshot.API
	stage   *snapshot.Stage
	path    string // within the stage, as sent
	params  snapshot.Params
	method  *snapshot.Method

	body        clientBody // the request's body, bounded
	buffered    []byte     // all of it, when a mapping looks into it
	bufferedSet bool
	taken       int64 // bytes taken of what all requests may keep

	status   int
	length   int64 // body bytes answered
	fault    *fault
	unlogged bool
	trace    *trace // the execution log; nil: none
	finished time.Time

	asked              time.Time // when the backend was asked; zero: it was not
	integrationLatency time.Duration
	integrationStatus  int // 0: no answer
	integrationError   string

	kept
}

// kept is what an exchange keeps for the next request, so that a request takes
// no memory once there is enough of it.
type kept struct {
	line    []byte           // buffer of the access log
	text    []byte           // strings of this request are made here, see view
	uri     []byte           // of the backend
	request backgate.Request // its header is kept
	header  httpwire.Header  // of the answer
	value   [1]string        // what a mapping reads
	inform  func(int, httpwire.Header)
}

// mostKept bounds each buffer that is kept, in bytes.
const mostKept = 64 << 10

// view is b as a string without a copy. b is never written again while the
// request lasts; what outlives the request must be cloned.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (e *exchange) begin(p *Pipeline, x *httpwire.Exchange) {
	e.p, e.x, e.config = p, x, p.current()
	e.body = clientBody{r: x.Body, left: maxBody}
}

// reset keeps buffers only.
func (e *exchange) reset() {
	k := e.kept
	if cap(k.line) > mostKept {
		k.line = nil
	}
	if cap(k.text) > mostKept {
		k.text = nil
	}
	if cap(k.uri) > mostKept {
		k.uri = nil
	}
	header := k.request.Header
	if clear(header[:cap(header)]); cap(header) > 128 {
		header = nil
	}
	if clear(k.header[:cap(k.header)]); cap(k.header) > 128 {
		k.header = nil
	}
	*e = exchange{kept: kept{
		line: k.line[:0], text: k.text[:0], uri: k.uri[:0], header: k.header[:0], inform: k.inform,
		request: backgate.Request{Header: header[:0]},
	}}
}

// identify gives the request its ids. A client may choose the request id, if
// it is a UUID; the extended one is always ours.
func (e *exchange) identify() *fault {
	var random [16 + 11]byte
	rand.Read(random[:]) // never fails
	sent := e.x.Header.Get("x-amzn-RequestId")
	switch {
	case sent == "":
		e.requestID = e.uuid(random[:16])
	case isUUID(sent):
		e.requestID = sent
	default:
		e.requestID = e.uuid(random[:16]) + "_REPLACED_INVALID_REQUEST_ID"
	}
	from := len(e.text)
	e.text = base64.URLEncoding.AppendEncode(e.text, random[16:])
	e.extendedID = view(e.text[from:])
	return nil
}

// uuid formats 16 random bytes as a version 4 UUID.
func (e *exchange) uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	from := len(e.text)
	for i, c := range b {
		switch i {
		case 4, 6, 8, 10:
			e.text = append(e.text, '-')
		}
		e.text = append(e.text, lowerHex[c>>4], lowerHex[c&15])
	}
	return view(e.text[from:])
}

const lowerHex = "0123456789abcdef"

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

// sourceIP is the client as the listener saw it.
func (e *exchange) sourceIP() netip.Addr { return e.x.Conn.Peer.Addr().Unmap().WithZone("") }

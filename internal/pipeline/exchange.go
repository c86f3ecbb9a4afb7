package pipeline

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"time"

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

	body        *clientBody // the request's body, bounded
	buffered    []byte      // all of it, when a mapping looks into it
	bufferedSet bool
	kept        int64 // bytes taken of what all requests may keep

	status   int
	length   int64 // body bytes answered
	fault    *fault
	unlogged bool
	finished time.Time

	asked              time.Time // when the backend was asked; zero: it was not
	integrationLatency time.Duration
	integrationStatus  int // 0: no answer
	integrationError   string

	line []byte // buffer of the access log
}

func (e *exchange) begin(p *Pipeline, x *httpwire.Exchange) {
	e.p, e.x, e.config = p, x, p.current()
	e.body = &clientBody{r: x.Body, left: maxBody}
}

// reset keeps buffers only.
func (e *exchange) reset() {
	line := e.line
	if cap(line) > 64<<10 {
		line = nil
	}
	*e = exchange{line: line}
}

// identify gives the request its ids. A client may choose the request id, if
// it is a UUID; the extended one is always ours.
func (e *exchange) identify() *fault {
	var random [16 + 11]byte
	rand.Read(random[:]) // never fails
	sent := e.x.Header.Get("x-amzn-RequestId")
	switch {
	case sent == "":
		e.requestID = uuid(random[:16])
	case isUUID(sent):
		e.requestID = sent
	default:
		e.requestID = uuid(random[:16]) + "_REPLACED_INVALID_REQUEST_ID"
	}
	e.extendedID = base64.URLEncoding.EncodeToString(random[16:])
	return nil
}

// uuid formats 16 random bytes as a version 4 UUID.
func uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

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

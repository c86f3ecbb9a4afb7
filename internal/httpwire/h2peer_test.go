package httpwire

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Peer is a client that can send any frame. Its framer is somebody else's.
type h2Peer struct {
	t     testing.TB
	c     net.Conn
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
}

// newH2Peer connects and exchanges SETTINGS.
func newH2Peer(t testing.TB, h *host, settings ...http2.Setting) *h2Peer {
	t.Helper()
	p := rawH2Peer(t, h)
	io.WriteString(p.c, http2.ClientPreface)
	p.fr.WriteSettings(settings...)
	p.fr.WriteSettingsAck()
	for acked := false; !acked; {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := f.(*http2.SettingsFrame); ok {
			acked = s.IsAck()
		}
	}
	return p
}

func rawH2Peer(t testing.TB, h *host) *h2Peer {
	t.Helper()
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(raw, &tls.Config{RootCAs: h.roots, ServerName: "test.example", NextProtos: []string{"h2"}})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	p := &h2Peer{t: t, c: c, fr: http2.NewFramer(c, c)}
	p.fr.AllowIllegalWrites = true
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

// get is the head of a plain request, with more fields after it.
func get(more ...string) []string { return message("GET", more...) }

func message(method string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", "test.example", ":path", "/"}, more...)
}

func (p *h2Peer) encode(fields ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return p.block.Bytes()
}

// request opens a stream.
func (p *h2Peer) request(stream uint32, end bool, fields ...string) {
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.encode(fields...), EndHeaders: true, EndStream: end})
}

// h2Answer is what came back on a stream.
type h2Answer struct {
	informed []string
	header   map[string]string
	body     string
	trailer  map[string]string
	reset    string // the code's name; "" when the stream ended well
	frames   int    // DATA frames
}

func (a h2Answer) String() string {
	if a.header == nil {
		return "RST_STREAM " + a.reset
	}
	s := a.header[":status"]
	if a.reset != "" && a.reset != "NO_ERROR" {
		s += " RST_STREAM " + a.reset
	}
	return s
}

// errGoAway is a connection that the server ended.
type errGoAway struct {
	code http2.ErrCode
	last uint32
}

func (e errGoAway) Error() string { return "GOAWAY " + e.code.String() }

// answer reads until stream ends. Frames of other streams are dropped.
func (p *h2Peer) answer(stream uint32) (a h2Answer, err error) {
	all, err := p.answers(stream)
	return *all[stream], err
}

// answers reads until all the streams have ended, or the connection.
func (p *h2Peer) answers(streams ...uint32) (map[uint32]*h2Answer, error) {
	all, left := make(map[uint32]*h2Answer), len(streams)
	for _, s := range streams {
		all[s] = new(h2Answer)
	}
	ended := make(map[uint32]bool)
	end := func(s uint32) {
		if all[s] != nil && !ended[s] {
			ended[s] = true
			left--
		}
	}
	var gone *errGoAway
	for left > 0 {
		f, err := p.fr.ReadFrame()
		if err != nil {
			if gone != nil && gone.code != http2.ErrCodeNo {
				return all, *gone
			}
			return all, err
		}
		a := all[f.Header().StreamID]
		if g, ok := f.(*http2.GoAwayFrame); ok {
			gone = &errGoAway{g.ErrCode, g.LastStreamID}
			if g.ErrCode != http2.ErrCodeNo {
				return all, *gone
			}
		}
		if ping, ok := f.(*http2.PingFrame); ok && !ping.IsAck() {
			p.fr.WritePing(true, ping.Data)
		}
		if a == nil {
			continue
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			m := make(map[string]string)
			for _, h := range f.Fields {
				if old, ok := m[h.Name]; ok {
					h.Value = old + "|" + h.Value
				}
				m[h.Name] = h.Value
			}
			switch status := m[":status"]; {
			case strings.HasPrefix(status, "1"):
				a.informed = append(a.informed, status)
			case a.header == nil:
				a.header = m
			default:
				a.trailer = m
			}
			if f.StreamEnded() {
				end(f.StreamID)
			}
		case *http2.DataFrame:
			a.body += string(f.Data())
			a.frames++
			if f.StreamEnded() {
				end(f.StreamID)
			}
		case *http2.RSTStreamFrame:
			a.reset = f.ErrCode.String()
			end(f.StreamID)
		}
	}
	return all, nil
}

// goAway reads until the server ends the connection, and says why.
func (p *h2Peer) goAway() (code http2.ErrCode, err error) {
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			return 0, fmt.Errorf("closed without GOAWAY: %w", err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			return g.ErrCode, nil
		}
	}
}

// alive fails the test unless the connection serves a request.
func (p *h2Peer) alive(stream uint32) {
	p.t.Helper()
	p.request(stream, true, get()...)
	if a, err := p.answer(stream); err != nil || a.String() != "200" {
		p.t.Errorf("connection is of no more use: %v %v", a, err)
	}
}

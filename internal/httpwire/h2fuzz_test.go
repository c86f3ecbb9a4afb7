package httpwire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// FuzzH2Frames feeds bytes to a connection after a good beginning, cut in two
// anywhere. Whatever they are, every handler ends, what comes back is frames in
// an order that somebody else's reader accepts, and nothing in us panics.
func FuzzH2Frames(f *testing.F) {
	for _, tt := range h2FloodCases {
		if tt.less == 1 {
			id := uint32(1)
			b := tt.next(func() uint32 { id += 2; return id - 2 })
			f.Add(b[:min(len(b), 4000)], 20)
		}
	}
	f.Add(append(frame(h2Headers, h2EndHeaders, 1, plainBlock), frame(h2Data, h2EndStream|h2Padded, 1, "\x02abcxy")...), 30)
	f.Add(append(frame(h2Headers, 0, 1, plainBlock[:5]), frame(h2Continuation, h2EndHeaders, 1, plainBlock[5:])...), 12)
	f.Add(append(frame(h2Headers, h2EndHeaders, 1, plainBlock), frame(h2Headers, h2EndHeaders|h2EndStream, 1, "\x00\x01a\x01b")...), 1)
	f.Add(append(frame(h2Settings, 0, 0, "\x00\x04\x00\x00\x00\x01"), frame(h2Headers, h2EndHeaders|h2EndStream, 1, plainBlock)...), 9)
	s := NewServer(Options{Handler: func(x *Exchange) {
		b, err := io.ReadAll(x.Body)
		if err != nil {
			x.Respond(400, nil, 0)
			return
		}
		x.Respond(200, nil, -1)
		fmt.Fprintf(x, "%s %s %s %v %q", x.Method, x.Authority, x.RawPath, x.Header, b)
		x.RespondTrailer(x.Trailer)
	}})
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if cut < 0 || cut > len(b) {
			cut = 0
		}
		client, server := newPair(t)
		c := newH2(s, server, &Conn{Listener: "REGIONAL", HTTP2: true})
		done := make(chan struct{})
		go func() { c.serve(); close(done) }()
		go func() {
			io.WriteString(client, h2Preface)
			client.Write(frame(h2Settings, 0, 0, ""))
			client.Write(b[:cut])
			client.Write(b[cut:])
			client.CloseWrite()
		}()
		fr := http2.NewFramer(io.Discard, client)
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			got, err := fr.ReadFrame()
			var bad http2.ConnectionError
			var badStream http2.StreamError
			if errors.As(err, &bad) || errors.As(err, &badStream) {
				t.Fatalf("what came back is wrong: %v (%v)", err, fr.ErrorDetail())
			}
			if err != nil {
				break
			}
			if g, ok := got.(*http2.GoAwayFrame); ok && g.ErrCode == http2.ErrCodeInternal {
				t.Fatal("a fault of ours")
			}
		}
		client.Close()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("connection does not end")
		}
	})
}

// FuzzH2Block feeds a header block. What it is must not depend on where it is
// cut, and what we take somebody else's reader takes too, as the same fields.
func FuzzH2Block(f *testing.F) {
	encode := func(fields ...string) []byte {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		for i := 0; i < len(fields); i += 2 {
			e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return b.Bytes()
	}
	for _, fields := range [][]string{
		get(), get("cookie", "a=b", "cookie", "c=d"), get("te", "trailers"), get("connection", "close"), get("A", "b"),
		get("a", " b"), get(":path", "/"), get("content-length", "5"), get("host", "other.example"), message("CONNECT"),
		{":method", "GET", "a", "b", ":path", "/"}, get("a", strings.Repeat("b", 300)), get("expect", "100-continue"),
	} {
		f.Add(encode(fields...), 3)
	}
	f.Add([]byte(plainBlock+"\x40\x01a\x01b\xbe\xbe"), 20)
	f.Add([]byte("\x20\x3f\xe1\x1f"+plainBlock), 2)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		if len(b) > h2FrameSize || cut < 0 || cut > len(b) {
			return
		}
		whole, wholeErr := h2Decode(b)
		parts, partsErr := h2Decode(b[:cut], b[cut:])
		if (wholeErr == nil) != (partsErr == nil) || whole != parts {
			t.Fatalf("the cut at %d matters:\n%s %v\n%s %v", cut, whole, wholeErr, parts, partsErr)
		}
		if wholeErr != nil || !strings.HasPrefix(whole, "taken") {
			return
		}
		fr := http2.NewFramer(nil, bytes.NewReader(append(appendFrame(nil, len(b), h2Headers, h2EndHeaders, 1), b...)))
		fr.ReadMetaHeaders = hpack.NewDecoder(h2TableSize, nil)
		fr.MaxHeaderListSize = 1 << 20
		got, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("%s, which is refused elsewhere: %v (%v)", whole, err, fr.ErrorDetail())
		}
		m := got.(*http2.MetaHeadersFrame)
		theirs := "taken " + m.PseudoValue("method") + " " + m.PseudoValue("path")
		for _, f := range m.RegularFields() {
			if knownField(f.Name) == noField && f.Name != "cookie" {
				theirs += fmt.Sprintf(" %s=%q", f.Name, f.Value)
			}
		}
		if theirs != whole {
			t.Fatalf("we read\n%s\nothers\n%s", whole, theirs)
		}
	})
}

// h2Decode is what the engine makes of a block that comes in parts.
func h2Decode(parts ...[]byte) (string, error) {
	raw, _ := net.Pipe()
	c := newH2(NewServer(Options{}), raw, &Conn{Listener: "REGIONAL"})
	defer c.timer.Stop()
	c.head.reset(false, nil)
	for _, p := range parts {
		if _, err := c.decoder.Write(p); err != nil {
			return "", err
		}
	}
	if err := c.decoder.Close(); err != nil {
		return "", err
	}
	var x Exchange
	c.head.request(&x, false)
	switch {
	case c.head.malformed != "":
		return "malformed: " + c.head.malformed, nil
	case c.head.refused != nil:
		return "refused: " + c.head.refused.reason, nil
	}
	path := x.RawPath
	if strings.Contains(c.head.target, "?") {
		path += "?" + x.RawQuery
	}
	s := "taken " + x.Method + " " + path
	for _, f := range x.Header {
		if knownField(f.Name) == noField && f.Name != "cookie" {
			s += fmt.Sprintf(" %s=%q", f.Name, f.Value)
		}
	}
	return s, nil
}

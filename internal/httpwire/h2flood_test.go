package httpwire

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// floodFrames is how many frames a flood sends in all: a million in a soak.
func floodFrames() int {
	if os.Getenv("SALLYPORT_SOAK") != "" {
		return 1_000_000
	}
	return 20_000
}

// h2FloodCases are what a hostile client sends over and over. next makes a
// piece of it of some frames; streams counts up from 1 by 2.
var h2FloodCases = []struct {
	name string
	next func(stream func() uint32) []byte
	deaf bool // reads no answers
	want http2.ErrCode
	less int // so many times fewer frames, each of which costs more
}{
	{"rapid reset", func(stream func() uint32) []byte {
		id := stream()
		return append(frame(h2Headers, h2EndHeaders|h2EndStream, id, plainBlock), frame(h2RSTStream, 0, id, "\x00\x00\x00\x08")...)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"rapid reset of uploads", func(stream func() uint32) []byte {
		id := stream()
		b := append(frame(h2Headers, h2EndHeaders, id, plainBlock), frame(h2Data, 0, id, strings.Repeat("a", 500))...)
		return append(b, frame(h2RSTStream, 0, id, "\x00\x00\x00\x08")...)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"resets provoked by windows", func(stream func() uint32) []byte {
		id := stream()
		return append(frame(h2Headers, h2EndHeaders, id, plainBlock), frame(h2WindowUpdate, 0, id, "\x00\x00\x00\x00")...)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"resets provoked by too much body", func(stream func() uint32) []byte {
		id := stream()
		return append(frame(h2Headers, h2EndHeaders, id, plainBlock+"\x0f\x0d\x011"), frame(h2Data, 0, id, "22")...)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"malformed requests", func(stream func() uint32) []byte {
		return frame(h2Headers, h2EndHeaders|h2EndStream, stream(), plainBlock+"\x00\x01A\x01b")
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"streams above the limit", func(stream func() uint32) []byte {
		return frame(h2Headers, h2EndHeaders, stream(), plainBlock)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"requests without reading", func(stream func() uint32) []byte {
		return frame(h2Headers, h2EndHeaders|h2EndStream, stream(), plainBlock)
	}, true, http2.ErrCodeNo, 10}, // honest requests: their answers wait in the socket, or the write deadline ends it
	{"endless CONTINUATION", func(stream func() uint32) []byte {
		b := frame(h2Headers, 0, stream(), plainBlock)
		for range 100 {
			b = append(b, frame(h2Continuation, 0, 1, "\x00\x01a\x01b")...)
		}
		return b
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"SETTINGS", func(func() uint32) []byte { return frame(h2Settings, 0, 0, "") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"large SETTINGS", func(func() uint32) []byte {
		return frame(h2Settings, 0, 0, strings.Repeat("\x00\x04\x00\x00\xff\xff", 1000))
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"acknowledgements", func(func() uint32) []byte { return frame(h2Settings, h2Ack, 0, "") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"PING", func(func() uint32) []byte { return frame(h2Ping, 0, 0, "12345678") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"PING without reading", func(func() uint32) []byte { return frame(h2Ping, 0, 0, "12345678") }, true, http2.ErrCodeEnhanceYourCalm, 10},
	{"empty DATA", func(stream func() uint32) []byte { return emptyData(stream, "") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"DATA of nothing but padding", func(stream func() uint32) []byte { return emptyData(stream, "\x03abc") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"WINDOW_UPDATE", func(func() uint32) []byte {
		return bytes.Repeat(frame(h2WindowUpdate, 0, 0, "\x00\x00\x00\x01"), 100)
	}, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"PRIORITY", func(stream func() uint32) []byte { return frame(h2Priority, 0, stream(), "\x00\x00\x00\x00\x07") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"unknown frames", func(func() uint32) []byte { return frame(0x77, 0, 0, strings.Repeat("a", 1000)) }, false, http2.ErrCodeEnhanceYourCalm, 1},
	{"GOAWAY", func(func() uint32) []byte { return frame(h2GoAway, 0, 0, "12345678") }, false, http2.ErrCodeEnhanceYourCalm, 1},
	// A field of 4,000 bytes, and then each byte of the block stands for it.
	{"hpack references", func(stream func() uint32) []byte {
		first := frame(h2Headers, h2EndHeaders|h2EndStream, stream(), plainBlock+"\x40\x01a\x7f\xa1\x1e"+strings.Repeat("b", 4000))
		for range 20 {
			first = append(first, frame(h2Headers, h2EndHeaders|h2EndStream, stream(), plainBlock+references)...)
		}
		return first
	}, false, http2.ErrCodeEnhanceYourCalm, 10},
	{"hpack table churn", func(stream func() uint32) []byte {
		return frame(h2Headers, h2EndHeaders|h2EndStream, stream(), plainBlock+churn)
	}, false, http2.ErrCodeNo, 20},
}

var (
	references = strings.Repeat("\xbe", 16000)
	churn      = func() (b string) {
		for i := range 400 {
			b += fmt.Sprintf("\x40\x04%04d\x01v", i)
		}
		return b
	}()
)

// plainBlock is GET https://test.example/ by the static table alone.
const plainBlock = "\x82\x87\x84\x01\x0ctest.example"

func emptyData(stream func() uint32, payload string) []byte {
	id := stream()
	flags := byte(0)
	if payload != "" {
		flags = h2Padded
	}
	b := frame(h2Headers, h2EndHeaders, id, plainBlock)
	for range 100 {
		b = append(b, frame(h2Data, flags, id, payload)...)
	}
	return append(b, frame(h2Data, h2EndStream, id, "")...)
}

// memory is what the process holds after a collection.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Floods end their connection, leave memory where it was, and do not keep
// others from being served.
func TestH2Floods(t *testing.T) {
	for _, tt := range h2FloodCases {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, Options{Handler: func(x *Exchange) {
				if _, err := io.Copy(io.Discard, x.Body); err == nil {
					x.Respond(200, nil, 0)
				}
			}}, true)
			other := newH2Peer(t, h)
			<-h.sessions
			other.c.SetDeadline(time.Time{})
			other.alive(1)
			id := uint32(3)
			before, most := memory(), int64(0)
			for sent, all := 0, floodFrames()/tt.less; sent < all; {
				sent += floodOnce(t, h, tt.next, tt.deaf, tt.want, all-sent)
				other.alive(id)
				id += 2
				if id%32 == 3 {
					most = max(most, memory())
				}
			}
			after := memory()
			if most = max(most, after) - before; most > 64<<20 && !raceEnabled {
				t.Errorf("%d MiB more than before", most>>20)
			}
			t.Logf("memory %+d KiB", (after-before)>>10)
		})
	}
}

// floodOnce floods one connection until it ends or so many frames were sent,
// and returns how many were.
func floodOnce(t *testing.T, h *host, next func(func() uint32) []byte, deaf bool, want http2.ErrCode, limit int) int {
	p := newH2Peer(t, h)
	defer p.c.Close()
	session := <-h.sessions
	code, got := http2.ErrCodeNo, make(chan struct{})
	var once sync.Once
	if !deaf {
		go func() {
			defer once.Do(func() { close(got) })
			for {
				f, err := p.fr.ReadFrame()
				if err != nil {
					return
				}
				if g, ok := f.(*http2.GoAwayFrame); ok {
					code = g.ErrCode
				}
			}
		}()
	}
	id := uint32(1)
	stream := func() uint32 { id += 2; return id - 2 }
	sent := 0
	for limit = min(limit, 5000); sent < limit; {
		var batch []byte
		for len(batch) < 8<<10 {
			batch = append(batch, next(stream)...)
		}
		for b := batch; len(b) > 0; sent++ {
			b = b[9+(int(b[0])<<16|int(b[1])<<8|int(b[2])):]
		}
		if _, err := p.c.Write(batch); err != nil {
			break
		}
	}
	if want == http2.ErrCodeNo {
		p.c.Close()
		wait(t, session)
		return sent
	}
	if sent < limit || deaf {
		p.c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if deaf {
			io.Copy(io.Discard, p.c)
		} else {
			<-got
			if code != want && code != http2.ErrCodeNo { // it may be lost when we were writing still
				t.Errorf("GOAWAY %v, want %v", code, want)
			}
		}
		wait(t, session)
	}
	return sent
}

// Connections that begin a head, or a body, and never go on: each costs little,
// and ends in time.
func TestH2SlowClients(t *testing.T) {
	n := 100
	if os.Getenv("SALLYPORT_SOAK") != "" {
		n = 1000
	}
	h := newHost(t, Options{HeaderTimeout: 2 * time.Second, BodyTimeout: 2 * time.Second, Handler: func(x *Exchange) {
		if _, err := io.Copy(io.Discard, x.Body); err == nil {
			x.Respond(200, nil, 0)
		}
	}}, true)
	other := newH2Peer(t, h)
	<-h.sessions
	before := memory()
	for i := range n {
		p := newH2Peer(t, h)
		if i%2 == 0 {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(plainBlock)})
		} else {
			p.request(1, false, message("POST", "content-length", "100000")...)
			p.c.Write(frame(h2Data, 0, 1, strings.Repeat("a", 10000))[:100])
		}
		p.t = nil
	}
	if per := (memory() - before) / int64(n); per > 128<<10 && !raceEnabled { // both ends
		t.Errorf("%d KiB for each", per>>10)
	} else {
		t.Logf("%d KiB for each, both ends together", per>>10)
	}
	other.alive(1)
	for range n {
		wait(t, <-h.sessions)
	}
	other.alive(3)
}

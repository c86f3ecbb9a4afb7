package httpwire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// h2Echo answers with what it saw.
func h2Echo(x *Exchange) {
	b, err := io.ReadAll(x.Body)
	if err != nil {
		x.Respond(499, nil, 0)
		return
	}
	body := fmt.Sprintf("%s %s %s?%s %v %q %v", x.Method, x.Authority, x.RawPath, x.RawQuery, x.Header, b, x.Trailer)
	x.Respond(200, nil, int64(len(body)))
	io.WriteString(x, body)
}

// What a request's fields make of it. Malformed ones (RFC 9113 8.1.1) reset
// the stream; what is refused for other reasons is answered as over HTTP/1. The
// connection goes on, and the handler sees only what is answered 200.
func TestH2RequestFields(t *testing.T) {
	var reached atomic.Int32
	h := newHost(t, Options{Handler: func(x *Exchange) { reached.Add(1); h2Echo(x) }}, true)
	long := strings.Repeat("a", 10240)
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"plain", get(), "200"},
		{"field", get("a", "b"), "200"},
		{"empty value", get("a", ""), "200"},
		{"bytes above ASCII in a value", get("a", "\xc3\xa4\xff"), "200"},
		{"tab in a value", get("a", "b\tc"), "200"},
		{"te trailers", get("te", "trailers"), "200"},
		{"te trailers in capitals", get("te", "Trailers"), "200"},
		{"host equal", get("host", "test.example"), "200"},
		{"host equal but for case", get("host", "TEST.example"), "200"},
		{"host instead of authority", []string{":method", "GET", ":scheme", "https", ":path", "/", "host", "test.example"}, "200"},
		{"content-length 0", get("content-length", "0"), "200"},
		{"asterisk with OPTIONS", []string{":method", "OPTIONS", ":scheme", "https", ":authority", "test.example", ":path", "*"}, "200"},
		{"method of one's own", message("BREW"), "200"},
		{"path as long as can be", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/" + long[:10239]}, "200"},
		{"header as large as can be", get("a", strings.Repeat("b", 20480-5)), "200"},

		{"method missing", []string{":scheme", "https", ":authority", "test.example", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},
		{"scheme missing", []string{":method", "GET", ":authority", "test.example", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},
		{"path missing", []string{":method", "GET", ":scheme", "https", ":authority", "test.example"}, "RST_STREAM PROTOCOL_ERROR"},
		{"path empty", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", ""}, "RST_STREAM PROTOCOL_ERROR"},
		{"method empty", message(""), "RST_STREAM PROTOCOL_ERROR"},
		{"method not a token", message("GE T"), "RST_STREAM PROTOCOL_ERROR"},
		{"method twice", append(get(), ":method", "GET"), "RST_STREAM PROTOCOL_ERROR"},
		{"scheme twice", append(get(), ":scheme", "https"), "RST_STREAM PROTOCOL_ERROR"},
		{"path twice", append(get(), ":path", "/"), "RST_STREAM PROTOCOL_ERROR"},
		{"authority twice", append(get(), ":authority", "test.example"), "RST_STREAM PROTOCOL_ERROR"},
		{"pseudo field after others", []string{":method", "GET", ":scheme", "https", "a", "b", ":authority", "test.example", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},
		{"pseudo field of responses", get(":status", "200"), "RST_STREAM PROTOCOL_ERROR"},
		{"unknown pseudo field", get(":x", "y"), "RST_STREAM PROTOCOL_ERROR"},
		{"CR in path", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/\r\nX: y"}, "RST_STREAM PROTOCOL_ERROR"},
		{"NUL in authority", []string{":method", "GET", ":scheme", "https", ":authority", "a\x00b", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},

		{"connection", get("connection", "keep-alive"), "RST_STREAM PROTOCOL_ERROR"},
		{"connection close", get("connection", "close"), "RST_STREAM PROTOCOL_ERROR"},
		{"proxy-connection", get("proxy-connection", "keep-alive"), "RST_STREAM PROTOCOL_ERROR"},
		{"keep-alive", get("keep-alive", "timeout=5"), "RST_STREAM PROTOCOL_ERROR"},
		{"transfer-encoding", get("transfer-encoding", "chunked"), "RST_STREAM PROTOCOL_ERROR"},
		{"upgrade", get("upgrade", "websocket"), "RST_STREAM PROTOCOL_ERROR"},
		{"te with another coding", get("te", "trailers, gzip"), "RST_STREAM PROTOCOL_ERROR"},
		{"te empty", get("te", ""), "RST_STREAM PROTOCOL_ERROR"},

		{"name in capitals", get("X-A", "b"), "RST_STREAM PROTOCOL_ERROR"},
		{"one capital", get("x-aB", "b"), "RST_STREAM PROTOCOL_ERROR"},
		{"name empty", get("", "b"), "RST_STREAM PROTOCOL_ERROR"},
		{"name with a space", get("a b", "c"), "RST_STREAM PROTOCOL_ERROR"},
		{"name with a colon", get("a:b", "c"), "RST_STREAM PROTOCOL_ERROR"},
		{"name with CR LF", get("a\r\nb", "c"), "RST_STREAM PROTOCOL_ERROR"},
		{"name above ASCII", get("\xc3\xa4", "c"), "RST_STREAM PROTOCOL_ERROR"},
		{"value with CR LF", get("a", "b\r\nx: y"), "RST_STREAM PROTOCOL_ERROR"},
		{"value with LF", get("a", "b\nc"), "RST_STREAM PROTOCOL_ERROR"},
		{"value with CR", get("a", "b\rc"), "RST_STREAM PROTOCOL_ERROR"},
		{"value with NUL", get("a", "b\x00c"), "RST_STREAM PROTOCOL_ERROR"},
		{"value with DEL", get("a", "b\x7fc"), "RST_STREAM PROTOCOL_ERROR"},
		{"value begins with a space", get("a", " b"), "RST_STREAM PROTOCOL_ERROR"},
		{"value ends with a tab", get("a", "b\t"), "RST_STREAM PROTOCOL_ERROR"},

		{"content-length without a body", get("content-length", "1"), "RST_STREAM PROTOCOL_ERROR"},
		{"content-length twice", get("content-length", "0", "content-length", "0"), "RST_STREAM PROTOCOL_ERROR"},
		{"content-length signed", get("content-length", "+0"), "RST_STREAM PROTOCOL_ERROR"},
		{"content-length a list", get("content-length", "0, 0"), "RST_STREAM PROTOCOL_ERROR"},
		{"content-length empty", get("content-length", ""), "RST_STREAM PROTOCOL_ERROR"},
		{"content-length in hexadecimal", get("content-length", "0x0"), "RST_STREAM PROTOCOL_ERROR"},

		{"CONNECT", []string{":method", "CONNECT", ":authority", "test.example:443"}, "501"},
		{"CONNECT with a path", message("CONNECT"), "501"},
		{"CONNECT with half of a target", []string{":method", "CONNECT", ":authority", "test.example:443", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},
		{"extended CONNECT", []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "test.example", ":path", "/"}, "RST_STREAM PROTOCOL_ERROR"},

		{"authority missing", []string{":method", "GET", ":scheme", "https", ":path", "/"}, "400"},
		{"authority empty", []string{":method", "GET", ":scheme", "https", ":authority", "", ":path", "/", "host", "test.example"}, "400"},
		{"authority with user information", []string{":method", "GET", ":scheme", "https", ":authority", "u@test.example", ":path", "/"}, "400"},
		{"authority a list", []string{":method", "GET", ":scheme", "https", ":authority", "a,b", ":path", "/"}, "400"},
		{"host other than authority", get("host", "other.example"), "400"},
		{"host twice", get("host", "test.example", "host", "test.example"), "400"},
		{"host other in port", get("host", "test.example:443"), "400"},
		{"scheme http", []string{":method", "GET", ":scheme", "http", ":authority", "test.example", ":path", "/"}, "400"},
		{"absolute path", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "https://test.example/"}, "400"},
		{"path without slash", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "a"}, "400"},
		{"path with a space", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/a b"}, "400"},
		{"path with a fragment", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/a#b"}, "400"},
		{"path with half an escape", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/%4"}, "400"},
		{"asterisk with GET", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "*"}, "400"},
		{"method too long", message(strings.Repeat("A", 33)), "400"},
		{"path too long", []string{":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/" + long}, "414"},
		{"header too large", get("a", strings.Repeat("b", 20480-4)), "431"},
		{"header far too large", get("a", strings.Repeat("b", 60000)), "431"},
		{"too many fields", get(strings.Fields(strings.Repeat("a b ", maxFields+1))...), "431"},
		{"other expectation", get("expect", "miracles"), "417"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newH2Peer(t, h)
			before := reached.Load()
			block := append([]byte(nil), p.encode(tt.fields...)...)
			for first := true; first || len(block) > 0; first = false {
				n := min(len(block), h2FrameSize)
				if first {
					p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:n], EndHeaders: n == len(block), EndStream: true})
				} else {
					p.fr.WriteContinuation(1, n == len(block), block[:n])
				}
				block = block[n:]
			}
			a, err := p.answer(1)
			if err != nil || a.String() != tt.want {
				t.Errorf("%v %v, want %s", a, err, tt.want)
			}
			if saw := reached.Load() != before; saw != (tt.want == "200") {
				t.Errorf("the handler saw it: %v", saw)
			}
			p.alive(3)
		})
	}
}

// frame is a frame byte by byte.
func frame(kind, flags byte, stream uint32, payload string) []byte {
	return append(appendFrame(nil, len(payload), kind, flags, stream), payload...)
}

// What ends a connection, and with which code.
func TestH2ConnectionErrors(t *testing.T) {
	h := newHost(t, Options{Handler: h2Echo}, true)
	head := func(p *h2Peer) string { return string(p.encode(get()...)) }
	for _, tt := range []struct {
		name string
		send func(p *h2Peer) []byte
		want http2.ErrCode
	}{
		{"frame too long", func(p *h2Peer) []byte { return frame(h2Data, 0, 1, strings.Repeat("a", h2FrameSize+1)) }, http2.ErrCodeFrameSize},
		{"unknown frame too long", func(p *h2Peer) []byte { return frame(0x77, 0, 1, strings.Repeat("a", h2FrameSize+1)) }, http2.ErrCodeFrameSize},
		{"DATA on stream 0", func(p *h2Peer) []byte { return frame(h2Data, 0, 0, "a") }, http2.ErrCodeProtocol},
		{"DATA on an idle stream", func(p *h2Peer) []byte { return frame(h2Data, 0, 1, "a") }, http2.ErrCodeProtocol},
		{"DATA on an even stream", func(p *h2Peer) []byte { return frame(h2Data, 0, 2, "a") }, http2.ErrCodeProtocol},
		{"DATA with too much padding", func(p *h2Peer) []byte {
			return append(frame(h2Headers, h2EndHeaders, 1, head(p)), frame(h2Data, h2Padded, 1, "\x05abcd")...)
		}, http2.ErrCodeProtocol},
		{"DATA padded without padding", func(p *h2Peer) []byte {
			return append(frame(h2Headers, h2EndHeaders, 1, head(p)), frame(h2Data, h2Padded, 1, "")...)
		}, http2.ErrCodeProtocol},
		{"HEADERS on stream 0", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 0, head(p)) }, http2.ErrCodeProtocol},
		{"HEADERS on an even stream", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 2, head(p)) }, http2.ErrCodeProtocol},
		{"HEADERS with too much padding", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders|h2Padded, 1, "\x05abcd") }, http2.ErrCodeProtocol},
		{"HEADERS without its priority", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders|h2HasPrio, 1, "abcd") }, http2.ErrCodeFrameSize},
		{"HEADERS on a lower stream", func(p *h2Peer) []byte {
			return append(frame(h2Headers, h2EndHeaders|h2EndStream, 5, head(p)), frame(h2Headers, h2EndHeaders|h2EndStream, 3, head(p))...)
		}, http2.ErrCodeProtocol},
		{"HEADERS on a closed stream", func(p *h2Peer) []byte {
			p.alive(1)
			return frame(h2Headers, h2EndHeaders|h2EndStream, 1, head(p))
		}, http2.ErrCodeStreamClosed},
		{"DATA between HEADERS and CONTINUATION", func(p *h2Peer) []byte {
			return append(frame(h2Headers, 0, 1, head(p)), frame(h2Data, 0, 1, "a")...)
		}, http2.ErrCodeProtocol},
		{"unknown frame between HEADERS and CONTINUATION", func(p *h2Peer) []byte {
			return append(frame(h2Headers, 0, 1, head(p)), frame(0x77, 0, 1, "a")...)
		}, http2.ErrCodeProtocol},
		{"CONTINUATION of another stream", func(p *h2Peer) []byte {
			return append(frame(h2Headers, 0, 1, head(p)), frame(h2Continuation, h2EndHeaders, 3, "")...)
		}, http2.ErrCodeProtocol},
		{"CONTINUATION without HEADERS", func(p *h2Peer) []byte { return frame(h2Continuation, h2EndHeaders, 1, head(p)) }, http2.ErrCodeProtocol},
		{"more CONTINUATION than a head needs", func(p *h2Peer) []byte {
			b := frame(h2Headers, 0, 1, head(p))
			for range h2Fragments {
				b = append(b, frame(h2Continuation, 0, 1, "")...)
			}
			return b
		}, http2.ErrCodeEnhanceYourCalm},
		{"header block without end", func(p *h2Peer) []byte {
			b := frame(h2Headers, 0, 1, head(p))
			for range h2Block/h2FrameSize + 1 {
				b = append(b, frame(h2Continuation, 0, 1, strings.Repeat("\x88", h2FrameSize))...)
			}
			return b
		}, http2.ErrCodeEnhanceYourCalm},
		{"index beyond the table", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 1, "\xff\xff\x01") }, http2.ErrCodeCompression},
		{"table larger than allowed", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 1, "\x3f\xe2\x1f") }, http2.ErrCodeCompression},
		{"half a field", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 1, "\x40\x05ab") }, http2.ErrCodeCompression},
		{"malformed Huffman code", func(p *h2Peer) []byte { return frame(h2Headers, h2EndHeaders, 1, "\x40\x84\xff\xff\xff\xff\x01a") }, http2.ErrCodeCompression},
		{"PRIORITY on stream 0", func(p *h2Peer) []byte { return frame(h2Priority, 0, 0, "\x00\x00\x00\x01\x00") }, http2.ErrCodeProtocol},
		{"PRIORITY of wrong size", func(p *h2Peer) []byte { return frame(h2Priority, 0, 1, "abcd") }, http2.ErrCodeFrameSize},
		{"PRIORITY on itself", func(p *h2Peer) []byte { return frame(h2Priority, 0, 1, "\x00\x00\x00\x01\x00") }, http2.ErrCodeProtocol},
		{"RST_STREAM on stream 0", func(p *h2Peer) []byte { return frame(h2RSTStream, 0, 0, "abcd") }, http2.ErrCodeProtocol},
		{"RST_STREAM on an idle stream", func(p *h2Peer) []byte { return frame(h2RSTStream, 0, 1, "abcd") }, http2.ErrCodeProtocol},
		{"RST_STREAM of wrong size", func(p *h2Peer) []byte { return frame(h2RSTStream, 0, 1, "abc") }, http2.ErrCodeFrameSize},
		{"SETTINGS on a stream", func(p *h2Peer) []byte { return frame(h2Settings, 0, 1, "") }, http2.ErrCodeProtocol},
		{"SETTINGS of wrong size", func(p *h2Peer) []byte { return frame(h2Settings, 0, 0, "abc") }, http2.ErrCodeFrameSize},
		{"acknowledgement that says something", func(p *h2Peer) []byte { return frame(h2Settings, h2Ack, 0, "abcdef") }, http2.ErrCodeFrameSize},
		{"ENABLE_PUSH 2", func(p *h2Peer) []byte { return frame(h2Settings, 0, 0, "\x00\x02\x00\x00\x00\x02") }, http2.ErrCodeProtocol},
		{"INITIAL_WINDOW_SIZE too large", func(p *h2Peer) []byte { return frame(h2Settings, 0, 0, "\x00\x04\x80\x00\x00\x00") }, http2.ErrCodeFlowControl},
		{"MAX_FRAME_SIZE too small", func(p *h2Peer) []byte { return frame(h2Settings, 0, 0, "\x00\x05\x00\x00\x3f\xff") }, http2.ErrCodeProtocol},
		{"MAX_FRAME_SIZE too large", func(p *h2Peer) []byte { return frame(h2Settings, 0, 0, "\x00\x05\x01\x00\x00\x00") }, http2.ErrCodeProtocol},
		{"PUSH_PROMISE", func(p *h2Peer) []byte { return frame(h2PushPromise, h2EndHeaders, 1, "\x00\x00\x00\x02") }, http2.ErrCodeProtocol},
		{"PING on a stream", func(p *h2Peer) []byte { return frame(h2Ping, 0, 1, "12345678") }, http2.ErrCodeProtocol},
		{"PING of wrong size", func(p *h2Peer) []byte { return frame(h2Ping, 0, 0, "1234567") }, http2.ErrCodeFrameSize},
		{"GOAWAY on a stream", func(p *h2Peer) []byte { return frame(h2GoAway, 0, 1, "12345678") }, http2.ErrCodeProtocol},
		{"GOAWAY too short", func(p *h2Peer) []byte { return frame(h2GoAway, 0, 0, "1234567") }, http2.ErrCodeFrameSize},
		{"WINDOW_UPDATE of wrong size", func(p *h2Peer) []byte { return frame(h2WindowUpdate, 0, 0, "abc") }, http2.ErrCodeFrameSize},
		{"WINDOW_UPDATE of nothing", func(p *h2Peer) []byte { return frame(h2WindowUpdate, 0, 0, "\x00\x00\x00\x00") }, http2.ErrCodeProtocol},
		{"WINDOW_UPDATE on an idle stream", func(p *h2Peer) []byte { return frame(h2WindowUpdate, 0, 1, "\x00\x00\x00\x01") }, http2.ErrCodeProtocol},
		{"window of the connection too large", func(p *h2Peer) []byte { return frame(h2WindowUpdate, 0, 0, "\x7f\xff\xff\xff") }, http2.ErrCodeFlowControl},
		{"more DATA than the connection's window", func(p *h2Peer) []byte {
			var b []byte
			for s := uint32(1); s <= 9; s += 2 {
				b = append(b, frame(h2Headers, h2EndHeaders, s, string(p.encode(message("POST")...)))...)
				for range h2StreamWindow / h2FrameSize {
					b = append(b, frame(h2Data, 0, s, strings.Repeat("a", h2FrameSize))...)
				}
			}
			return b
		}, http2.ErrCodeFlowControl},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := h
			if strings.HasPrefix(tt.name, "more DATA") {
				h = newHost(t, Options{Handler: func(x *Exchange) { <-x.Context.Done() }}, true)
			}
			p := newH2Peer(t, h)
			go p.c.Write(tt.send(p))
			if code, err := p.goAway(); err != nil || code != tt.want {
				t.Errorf("%v %v, want %v", code, err, tt.want)
			}
			if _, err := io.Copy(io.Discard, p.c); err != nil && err != io.ErrUnexpectedEOF && !strings.Contains(err.Error(), "reset") {
				t.Errorf("connection stays open: %v", err)
			}
		})
	}
}

// Frames on a stream that cost the stream only.
func TestH2StreamErrors(t *testing.T) {
	h := newHost(t, Options{Handler: h2Echo}, true)
	for _, tt := range []struct {
		name string
		send func(p *h2Peer)
		want string
	}{
		{"trailers that do not end the stream", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, false, "a", "b")
		}, "PROTOCOL_ERROR"},
		{"trailers with a pseudo field", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, true, ":method", "GET")
		}, "PROTOCOL_ERROR"},
		{"trailers with a malformed field", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, true, "A", "b")
		}, "PROTOCOL_ERROR"},
		{"trailers with connection", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, true, "connection", "a")
		}, "PROTOCOL_ERROR"},
		{"trailers too large", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, true, "a", strings.Repeat("b", 20480))
		}, "PROTOCOL_ERROR"},
		{"trailers before the declared length", func(p *h2Peer) {
			p.request(1, false, message("POST", "content-length", "5")...)
			p.fr.WriteData(1, false, []byte("abcd"))
			p.request(1, true, "a", "b")
		}, "PROTOCOL_ERROR"},
		{"less than the declared length", func(p *h2Peer) {
			p.request(1, false, message("POST", "content-length", "5")...)
			p.fr.WriteData(1, true, []byte("abcd"))
		}, "PROTOCOL_ERROR"},
		{"more than the declared length", func(p *h2Peer) {
			p.request(1, false, message("POST", "content-length", "5")...)
			p.fr.WriteData(1, true, []byte("abcdef"))
		}, "PROTOCOL_ERROR"},
		{"window update of nothing", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, []byte{0, 0, 0, 0})
		}, "PROTOCOL_ERROR"},
		{"window too large", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.fr.WriteWindowUpdate(1, h2MaxWindow)
		}, "FLOW_CONTROL_ERROR"},
		{"depends on itself", func(p *h2Peer) {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get()...), EndHeaders: true, EndStream: true,
				Priority: http2.PriorityParam{StreamDep: 1, Weight: 1}})
		}, "PROTOCOL_ERROR"},
		{"priority of wrong size", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.fr.WriteRawFrame(http2.FramePriority, 0, 1, []byte{0, 0, 0, 0})
		}, "FRAME_SIZE_ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newH2Peer(t, h)
			tt.send(p)
			if a, err := p.answer(1); err != nil || a.reset != tt.want {
				t.Errorf("%v %v, want %s", a, err, tt.want)
			}
			// What was on its way is forgiven.
			p.fr.WriteData(1, true, []byte("late"))
			p.fr.WriteRSTStream(1, http2.ErrCodeCancel)
			p.fr.WriteWindowUpdate(1, 1)
			p.alive(3)
		})
	}
}

// A request and its parts reach the handler.
func TestH2Request(t *testing.T) {
	h := newHost(t, Options{Handler: h2Echo}, true)
	for _, tt := range []struct {
		name string
		send func(p *h2Peer)
		want string
	}{
		{"cookie in crumbs", func(p *h2Peer) { p.request(1, true, get("a", "1", "cookie", "b=2", "c", "3", "cookie", "d=4")...) },
			`GET test.example /? [{a 1} {cookie b=2; d=4} {c 3}] "" []`},
		{"order and doubles", func(p *h2Peer) { p.request(1, true, get("b", "1", "a", "2", "b", "3")...) },
			`GET test.example /? [{b 1} {a 2} {b 3}] "" []`},
		{"fields of the engine", func(p *h2Peer) {
			p.request(1, true, get("host", "test.example", "trailer", "a", "content-length", "0", "te", "trailers")...)
		}, `GET test.example /? [{te trailers}] "" []`},
		{"trailers", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.fr.WriteData(1, false, []byte("body"))
			p.request(1, true, "a", "b", "x-forwarded-for", "1.2.3.4", "authorization", "c")
		}, `POST test.example /? [] "body" [{a b}]`},
		{"trailers without a body", func(p *h2Peer) {
			p.request(1, false, message("POST")...)
			p.request(1, true, "a", "b")
		}, `POST test.example /? [] "" [{a b}]`},
		{"padding", func(p *h2Peer) {
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(message("POST")...), EndHeaders: true, PadLength: 255})
			p.fr.WriteDataPadded(1, false, []byte("body"), make([]byte, 255))
			p.fr.WriteDataPadded(1, true, nil, make([]byte, 7))
		}, `POST test.example /? [] "body" []`},
		{"priority", func(p *h2Peer) {
			p.fr.WritePriority(1, http2.PriorityParam{StreamDep: 7, Weight: 3})
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get()...), EndHeaders: true, EndStream: true,
				Priority: http2.PriorityParam{StreamDep: 3, Exclusive: true, Weight: 200}})
		}, `GET test.example /? [] "" []`},
		{"continuation at every byte", func(p *h2Peer) {
			block := append([]byte(nil), p.encode(get("a", "bcdefgh")...)...)
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndStream: true})
			for i := range block {
				p.fr.WriteContinuation(1, i == len(block)-1, block[i:i+1])
			}
		}, `GET test.example /? [{a bcdefgh}] "" []`},
		{"unknown frames", func(p *h2Peer) {
			p.fr.WriteRawFrame(0x77, 0xff, 0, []byte("abc"))
			p.request(1, false, message("POST")...)
			p.fr.WriteRawFrame(0x77, 0xff, 1, []byte("abc"))
			p.fr.WriteData(1, true, nil)
		}, `POST test.example /? [] "" []`},
		{"query", func(p *h2Peer) {
			p.request(1, true, ":method", "GET", ":scheme", "https", ":authority", "Test.Example:8443", ":path", "/a%20b?c=%zz")
		}, `GET Test.Example:8443 /a%20b?c=%zz [] "" []`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newH2Peer(t, h)
			tt.send(p)
			a, err := p.answer(1)
			if err != nil || a.body != tt.want {
				t.Errorf("got  %q %v\nwant %q", a.body, err, tt.want)
			}
			p.alive(3)
		})
	}
}

// What a handler answers, as it arrives.
func TestH2Response(t *testing.T) {
	type field = map[string]string
	for _, tt := range []struct {
		name    string
		method  string
		handler func(x *Exchange)
		want    string
		body    string
		header  field
		trailer field
	}{
		{"length", "GET", func(x *Exchange) { x.Respond(200, nil, 2); io.WriteString(x, "ok") }, "200", "ok", field{"content-length": "2"}, nil},
		{"no length", "GET", func(x *Exchange) { x.Respond(200, nil, -1); io.WriteString(x, "ok") }, "200", "ok", field{"content-length": ""}, nil},
		{"HEAD", "HEAD", func(x *Exchange) { x.Respond(200, nil, 2); io.WriteString(x, "ok") }, "200", "", field{"content-length": "2"}, nil},
		{"204", "GET", func(x *Exchange) { x.Respond(204, nil, 2); io.WriteString(x, "ok") }, "204", "", field{"content-length": ""}, nil},
		{"304", "GET", func(x *Exchange) { x.Respond(304, nil, 2); io.WriteString(x, "ok") }, "304", "", field{"content-length": ""}, nil},
		{"any status", "GET", func(x *Exchange) { x.Respond(799, nil, 0) }, "799", "", nil, nil},
		{"no final status", "GET", func(x *Exchange) { x.Respond(101, nil, 0) }, "500", "", nil, nil},
		{"fields of the engine", "GET", func(x *Exchange) {
			x.Respond(200, Header{{"Connection", "close"}, {"Keep-Alive", "x"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "7"},
				{"Upgrade", "x"}, {"Proxy-Connection", "x"}, {"Trailer", "x"}, {"bad name", "x"}, {"X-A", " b\r\nc\t "}, {"Set-Cookie", "d"}, {"Content-Type", "e"}}, 0)
		}, "200", "", field{"connection": "", "keep-alive": "", "transfer-encoding": "", "content-length": "0", "upgrade": "", "proxy-connection": "",
			"trailer": "", "bad name": "", "x-a": "b  c", "set-cookie": "d", "content-type": "e"}, nil},
		{"date of its own", "GET", func(x *Exchange) { x.Respond(200, Header{{"Date", "then"}}, 0) }, "200", "", field{"date": "then"}, nil},
		{"trailers", "GET", func(x *Exchange) {
			x.Respond(200, nil, -1)
			io.WriteString(x, "ok")
			x.RespondTrailer(Header{{"Grpc-Status", "0"}, {"Content-Length", "3"}})
		}, "200", "ok", nil, field{"grpc-status": "0"}},
		{"trailers after a declared length", "GET", func(x *Exchange) {
			x.Respond(200, nil, 2)
			io.WriteString(x, "ok")
			x.RespondTrailer(Header{{"a", "b"}})
		}, "200", "ok", nil, field{"a": "b"}},
		{"trailers without a body", "GET", func(x *Exchange) { x.Respond(200, nil, -1); x.RespondTrailer(Header{{"a", "b"}}) }, "200", "", nil, field{"a": "b"}},
		{"more than declared", "GET", func(x *Exchange) {
			x.Respond(200, nil, 2)
			if _, err := io.WriteString(x, "okay"); err == nil {
				panic("no error")
			}
		}, "200", "ok", nil, nil},
		{"less than declared", "GET", func(x *Exchange) { x.Respond(200, nil, 3); io.WriteString(x, "ok"); x.Flush() }, "200 RST_STREAM INTERNAL_ERROR", "ok", nil, nil},
		{"panic", "GET", func(x *Exchange) { panic("p") }, "500", `{"message":"Internal server error"}`, nil, nil},
		{"panic after the head", "GET", func(x *Exchange) { x.Respond(200, nil, -1); x.Flush(); panic("p") }, "200 RST_STREAM INTERNAL_ERROR", "", nil, nil},
		{"abort", "GET", func(x *Exchange) { x.Abort() }, "RST_STREAM INTERNAL_ERROR", "", nil, nil},
		{"no answer", "GET", func(x *Exchange) {}, "500", `{"message":"Internal server error"}`, nil, nil},
		{"upgrade", "GET", func(x *Exchange) {
			if _, err := x.Upgrade(nil); err != ErrNoUpgrade {
				panic(err)
			}
			x.Respond(200, nil, 0)
		}, "200", "", nil, nil},
		{"large", "GET", func(x *Exchange) { x.Respond(200, nil, 1<<20); x.Write(make([]byte, 1<<20)) }, "200", strings.Repeat("\x00", 1<<20), nil, nil},
		{"large head", "GET", func(x *Exchange) { x.Respond(200, Header{{"a", strings.Repeat("b", 50000)}}, 0) }, "200", "", field{"a": strings.Repeat("b", 50000)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			serve := tt.handler
			h := newHost(t, Options{Handler: func(x *Exchange) { serve(x) }}, true)
			p := newH2Peer(t, h, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 22}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
			p.fr.WriteWindowUpdate(0, 1<<22)
			p.request(1, true, message(tt.method)...)
			a, err := p.answer(1)
			if err != nil || a.String() != tt.want || a.body != tt.body {
				t.Errorf("%v %.100q %v, want %s %.100q", a, a.body, err, tt.want, tt.body)
			}
			if a.header != nil && a.header["date"] == "" {
				t.Error("no date")
			}
			for name, want := range tt.header {
				if a.header[name] != want {
					t.Errorf("%s: %.60q, want %.60q", name, a.header[name], want)
				}
			}
			if fmt.Sprint(a.trailer) != fmt.Sprint(tt.trailer) {
				t.Errorf("trailer %v, want %v", a.trailer, tt.trailer)
			}
			serve = func(x *Exchange) { x.Respond(200, nil, 0) }
			p.alive(3)
		})
	}
}

func TestH2Informational(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) {
		x.Inform(103, Header{{"Link", "</a>"}})
		io.Copy(io.Discard, x.Body) // asks for the body
		x.Inform(102, nil)
		x.Respond(200, nil, 0)
		x.Inform(103, nil) // too late
	}}, true)
	p := newH2Peer(t, h)
	p.request(1, false, message("POST", "expect", "100-continue")...)
	got := ""
	for !strings.Contains(got, "100") {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := f.(*http2.MetaHeadersFrame); ok {
			got += m.PseudoValue("status") + " "
		}
	}
	p.fr.WriteData(1, true, []byte("abc"))
	a, err := p.answer(1)
	got += strings.Join(a.informed, " ")
	if err != nil || got != "103 100 102" || a.String() != "200" {
		t.Errorf("%q %v %v", got, a, err)
	}
}

// A handler that answers without reading: the rest of the body is called off.
func TestH2EarlyAnswer(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(413, nil, 0) }}, true)
	p := newH2Peer(t, h)
	p.request(1, false, message("POST")...)
	all, err := p.answers(1)
	if a := all[1]; err != nil || a.String() != "413" {
		t.Fatal(a, err)
	}
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := f.(*http2.RSTStreamFrame); ok {
			if r.ErrCode != http2.ErrCodeNo {
				t.Error(r.ErrCode)
			}
			break
		}
	}
	p.fr.WriteData(1, false, make([]byte, 1000))
	p.fr.WriteData(1, true, make([]byte, 1000))
	p.request(3, true, get()...)
	if a, err := p.answer(3); err != nil || a.String() != "413" {
		t.Error(a, err)
	}
}

// The client can send what the window holds, and no more; as the handler reads,
// it can go on for as long as it likes.
func TestH2BodyWindow(t *testing.T) {
	const total = 5 << 20 // through a window of 1 MiB for the connection
	start, done := make(chan bool), make(chan bool)
	h := newHost(t, Options{Handler: func(x *Exchange) {
		if x.Method == "GET" {
			x.Respond(200, nil, 0)
			return
		}
		<-start
		if n, err := io.CopyN(io.Discard, x.Body, total); n != total {
			t.Error(n, err)
		}
		done <- true
		<-done
		x.Respond(200, nil, 0)
	}}, true)
	p := newH2Peer(t, h)
	p.request(1, false, message("POST")...)
	window, sent := h2StreamWindow, 0
	send := func() {
		for window > 0 {
			n := min(window, h2FrameSize)
			p.fr.WriteData(1, false, make([]byte, n))
			window, sent = window-n, sent+n
		}
	}
	send()
	close(start)
	for sent < total+h2StreamWindow/2 {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID == 1 {
			window += int(u.Increment)
			send()
		}
	}
	<-done
	for n := h2StreamWindow; n >= 0; n -= h2FrameSize { // more than it ever is
		p.fr.WriteData(1, false, make([]byte, h2FrameSize))
	}
	if a, err := p.answer(1); err != nil || a.reset != "FLOW_CONTROL_ERROR" {
		t.Error(a, err)
	}
	close(done)
	p.alive(3)
}

// A response takes what the client's windows allow, in both its windows, also
// when they shrink below nothing.
func TestH2ResponseWindow(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 100); x.Write(make([]byte, 100)) }}, true)
	p := newH2Peer(t, h, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
	p.request(1, true, get()...)
	data := func(want int) {
		t.Helper()
		for got := 0; got < want; {
			f, err := p.fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.(*http2.DataFrame); ok {
				if got += len(d.Data()); got > want {
					t.Fatalf("%d bytes, want %d", got, want)
				}
			}
		}
		p.fr.WritePing(false, [8]byte{1}) // nothing more comes
		for {
			f, err := p.fr.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.(*http2.DataFrame); ok && len(d.Data()) > 0 {
				t.Fatalf("%d bytes too many", len(d.Data()))
			}
			if _, ok := f.(*http2.PingFrame); ok {
				return
			}
		}
	}
	data(3)
	p.fr.WriteWindowUpdate(1, 7)
	data(7)
	p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) // now -3
	p.fr.WriteWindowUpdate(1, 3)
	data(0)
	p.fr.WriteWindowUpdate(1, 1)
	data(1)
	p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	data(89)
}

// Streams that are ready take turns, and a short response does not wait for the
// end of long ones.
func TestH2Fairness(t *testing.T) {
	const long, streams = 2 << 20, 8
	h := newHost(t, Options{Handler: func(x *Exchange) {
		n := long
		if x.RawPath == "/short" {
			n = 10
		}
		x.Respond(200, nil, int64(n))
		x.Write(make([]byte, n))
	}}, true)
	p := newH2Peer(t, h, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	p.fr.WriteWindowUpdate(0, 1<<30)
	blocked(t, p, h, streams, func(stream uint32) { p.request(stream, true, get()...) })
	p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	got := make(map[uint32]int)
	const short = 2*streams + 1
	for ended := 0; ended < streams; {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		d, ok := f.(*http2.DataFrame)
		if !ok || len(d.Data()) == 0 && !d.StreamEnded() {
			continue
		}
		if len(got) == 0 {
			p.request(short, true, ":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/short")
		}
		got[d.StreamID] += len(d.Data())
		if d.StreamEnded() && d.StreamID != short {
			if ended++; ended == 1 && got[short] != 10 {
				t.Error("the short response comes after a long one")
			}
		}
		low, high := long, 0
		for s := uint32(1); s < short; s += 2 {
			low, high = min(low, got[s]), max(high, got[s])
		}
		if high-low > 2*h2FrameSize {
			t.Fatalf("one stream has %d bytes, another %d", high, low)
		}
	}
}

// blocked opens n streams, and returns when their handlers wait for a window.
func blocked(t *testing.T, p *h2Peer, h *host, n int, open func(stream uint32)) {
	t.Helper()
	for i := range n {
		open(uint32(2*i + 1))
	}
	c := (<-h.sessions).p.(*h2)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		waiting := 0
		c.mu.Lock()
		for _, s := range c.streams {
			if len(s.pending) > 0 {
				waiting++
			}
		}
		c.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams wait, want %d", waiting, n)
		}
	}
}

// Urgent streams go first. Source: RFC 9218.
func TestH2Urgency(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 100000); x.Write(make([]byte, 100000)) }}, true)
	p := newH2Peer(t, h, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	p.fr.WriteWindowUpdate(0, 1<<30)
	urgencies := []string{"u=5, i", "", "i, u=1;x", "u=9", "u=1", "u=7"}
	blocked(t, p, h, len(urgencies), func(stream uint32) {
		p.request(stream, true, get("priority", urgencies[stream/2])...)
	})
	p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	var order []uint32 // in which the bodies were complete
	got := make(map[uint32]int)
	for len(order) < len(urgencies) {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*http2.DataFrame); ok && len(d.Data()) > 0 {
			if got[d.StreamID] += len(d.Data()); got[d.StreamID] == 100000 {
				order = append(order, d.StreamID)
			}
		}
	}
	class := map[uint32]int{5: 1, 9: 1, 3: 3, 7: 3, 1: 5, 11: 7}
	for i := 1; i < len(order); i++ {
		if class[order[i]] < class[order[i-1]] {
			t.Fatalf("ended in the order %v", order)
		}
	}
}

// A cancelled stream counts until its handler is done.
func TestH2CancelledStreamCounts(t *testing.T) {
	release, running, most := make(chan struct{}), new(atomic.Int32), new(atomic.Int32)
	h := newHost(t, Options{MaxStreams: 10, Handler: func(x *Exchange) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		running.Add(-1)
		x.Respond(200, nil, 0)
	}}, true)
	p := newH2Peer(t, h)
	stream := uint32(1)
	for range 100 {
		p.request(stream, true, get()...)
		p.fr.WriteRSTStream(stream, http2.ErrCodeCancel)
		stream += 2
	}
	p.request(stream, true, get()...)
	if a, err := p.answer(stream); err != nil || a.reset != "REFUSED_STREAM" {
		t.Errorf("%v %v", a, err)
	}
	if n := most.Load(); n > 10 {
		t.Errorf("%d handlers at once", n)
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); ; {
		stream += 2
		p.request(stream, true, get()...)
		a, err := p.answer(stream)
		if err == nil && a.String() == "200" {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatal(a, err)
		}
	}
}

// The context of a cancelled stream ends, that of its neighbour does not, nor
// does that of the next one on the same goroutine.
func TestH2Cancel(t *testing.T) {
	var waits atomic.Int32
	ended := make(chan string, 10)
	h := newHost(t, Options{Handler: func(x *Exchange) {
		if x.RawPath == "/wait" {
			waits.Add(1)
			<-x.Context.Done()
			ended <- "wait"
			if _, err := x.Write([]byte("a")); err == nil {
				ended <- "written"
			}
			return
		}
		if x.Context.Err() != nil {
			ended <- "neighbour"
		}
		x.Respond(200, nil, 0)
	}}, true)
	p := newH2Peer(t, h)
	for s := uint32(1); s < 40; s += 4 {
		p.request(s, true, ":method", "GET", ":scheme", "https", ":authority", "test.example", ":path", "/wait")
		p.alive(s + 2)
		p.fr.WriteRSTStream(s, http2.ErrCodeCancel)
		if e := <-ended; e != "wait" {
			t.Fatal(e)
		}
	}
	p.c.Close()
	if len(ended) > 0 {
		t.Error(<-ended)
	}
}

// GOAWAY twice: what the client sent before it had read the first one is
// served, what it sends after the second one is not its problem any more.
func TestH2Drain(t *testing.T) {
	started, release := make(chan struct{}, 10), make(chan struct{})
	h := newHost(t, Options{Handler: func(x *Exchange) { started <- struct{}{}; <-release; x.Respond(200, nil, 2); io.WriteString(x, "ok") }}, true)
	p := newH2Peer(t, h)
	s := <-h.sessions
	p.request(1, true, get()...)
	<-started
	s.Drain()
	s.Drain()
	var ping [8]byte
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok && (g.LastStreamID != h2MaxStreamID || g.ErrCode != http2.ErrCodeNo) {
			t.Errorf("first GOAWAY: %v", g)
		}
		if f, ok := f.(*http2.PingFrame); ok {
			ping = f.Data
			break
		}
	}
	if !s.Pending() {
		t.Error("no request is expected")
	}
	p.request(3, true, get()...) // crossed it
	<-started
	p.fr.WritePing(true, ping)
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			if g.LastStreamID != 3 || g.ErrCode != http2.ErrCodeNo {
				t.Errorf("second GOAWAY: %v", g)
			}
			break
		}
	}
	p.request(5, true, get()...)
	p.fr.WriteData(5, true, []byte("ignored"))
	p.fr.WriteWindowUpdate(5, 1)
	p.fr.WriteRSTStream(5, http2.ErrCodeCancel)
	close(release)
	all, err := p.answers(1, 3)
	if err != nil || all[1].body != "ok" || all[3].body != "ok" {
		t.Error(all, err)
	}
	if _, err := p.fr.ReadFrame(); err != io.EOF {
		t.Errorf("connection: %v", err)
	}
	p.c.Close()
	wait(t, s)
	select {
	case <-started:
		t.Error("a stream after the last was served")
	default:
	}
}

// A client that never answers the PING is not waited for without end, and one
// that does not close is closed.
func TestH2DrainDeaf(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, nil, 0) }}, true)
	p := newH2Peer(t, h)
	p.alive(1)
	s := <-h.sessions
	s.Drain()
	s.CloseIdle() // no more patience
	wait(t, s)
}

// RespondClose ends the connection, not the streams beside it.
func TestH2RespondClose(t *testing.T) {
	h := newHost(t, Options{Handler: func(x *Exchange) { x.RespondClose(200, nil, 2); io.WriteString(x, "ok") }}, true)
	p := newH2Peer(t, h)
	p.request(1, true, get()...)
	p.request(3, true, get()...)
	all, err := p.answers(1, 3)
	if err != nil || all[1].body != "ok" || all[3].body != "ok" {
		t.Error(all[1], all[3], err)
	}
	wait(t, <-h.sessions)
}

// Each wait has an end.
func TestH2Timeouts(t *testing.T) {
	const short = 150 * time.Millisecond
	for _, tt := range []struct {
		name    string
		options Options
		send    func(t *testing.T, p *h2Peer)
	}{
		{"no preface", Options{HeaderTimeout: short}, nil},
		{"half a preface", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) { io.WriteString(p.c, h2Preface[:10]) }},
		{"no SETTINGS", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) { io.WriteString(p.c, h2Preface) }},
		{"SETTINGS not acknowledged", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) {
			io.WriteString(p.c, h2Preface)
			p.fr.WriteSettings()
			if code, err := p.goAway(); err != nil || code != http2.ErrCodeSettingsTimeout {
				t.Error(code, err)
			}
		}},
		{"half a frame header", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) { settle(p); p.c.Write([]byte{0, 0, 8, 6}) }},
		{"half a frame", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) { settle(p); p.c.Write(frame(h2Ping, 0, 0, "12345678")[:12]) }},
		{"half a frame, drip by drip", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) {
			settle(p)
			b := frame(h2Headers, 0, 1, strings.Repeat("a", 10000))
			go func() {
				for i := range b {
					if _, err := p.c.Write(b[i : i+1]); err != nil {
						return
					}
					time.Sleep(short / 10)
				}
			}()
		}},
		{"half a header block", Options{HeaderTimeout: short}, func(t *testing.T, p *h2Peer) {
			settle(p)
			p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.encode(get()...), EndStream: true})
		}},
		{"half a DATA frame", Options{BodyTimeout: short}, func(t *testing.T, p *h2Peer) {
			settle(p)
			p.request(1, false, message("POST")...)
			p.c.Write(frame(h2Data, 0, 1, strings.Repeat("a", 10000))[:5000])
		}},
		{"idle", Options{IdleTimeout: short}, func(t *testing.T, p *h2Peer) { settle(p) }},
		{"idle after a request", Options{IdleTimeout: short}, func(t *testing.T, p *h2Peer) { settle(p); p.alive(1) }},
		{"client that does not read", Options{WriteTimeout: short}, func(t *testing.T, p *h2Peer) {
			settle(p)
			p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
			p.fr.WriteWindowUpdate(0, 1<<30)
			p.request(1, true, message("BIG")...)
			p.t = nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Handler = func(x *Exchange) {
				if x.Method == "BIG" {
					x.Respond(200, nil, 1<<28)
					x.Write(make([]byte, 1<<28))
					return
				}
				if _, err := io.Copy(io.Discard, x.Body); err == nil {
					x.Respond(200, nil, 0)
				}
			}
			h := newHost(t, tt.options, true)
			p := rawH2Peer(t, h)
			s := <-h.sessions
			if tt.send != nil {
				tt.send(t, p)
			}
			if p.t != nil {
				go io.Copy(io.Discard, p.c)
			}
			if tt.options.IdleTimeout != 0 {
				<-time.After(2 * short) // then only closing is left
				s.CloseIdle()
			}
			wait(t, s)
		})
	}
}

// settle exchanges SETTINGS without reading anything else.
func settle(p *h2Peer) {
	io.WriteString(p.c, h2Preface)
	p.fr.WriteSettings()
	p.fr.WriteSettingsAck()
}

// A client that opens no window costs its stream, not the connection.
func TestH2WriteTimeout(t *testing.T) {
	failed := make(chan error, 1)
	h := newHost(t, Options{WriteTimeout: 150 * time.Millisecond, Handler: func(x *Exchange) {
		if x.Method == "BIG" {
			x.Respond(200, nil, -1)
			_, err := x.Write(make([]byte, 1<<20))
			failed <- err
			return
		}
		x.Respond(200, nil, 0)
	}}, true)
	p := newH2Peer(t, h)
	p.request(1, true, message("BIG")...)
	a, err := p.answer(1)
	if err != nil || a.reset != "CANCEL" || len(a.body) != h2DefaultWindow {
		t.Error(a, len(a.body), err)
	}
	if err := <-failed; err != os.ErrDeadlineExceeded {
		t.Error(err)
	}
	p.alive(3)
}

// The goroutines of streams serve other streams, and go when there are none.
func TestH2Workers(t *testing.T) {
	release := make(chan struct{})
	h := newHost(t, Options{Handler: func(x *Exchange) { <-release; x.Respond(200, nil, 0) }}, true)
	p := newH2Peer(t, h)
	s := <-h.sessions
	c := s.p.(*h2)
	before := runtime.NumGoroutine()
	var ids []uint32
	for id := uint32(1); id < 101; id += 2 {
		p.request(id, true, get()...)
		ids = append(ids, id)
	}
	close(release)
	if _, err := p.answers(ids...); err != nil {
		t.Fatal(err)
	}
	for id := uint32(101); id < 2001; id += 2 {
		p.alive(id)
	}
	if n := runtime.NumGoroutine() - before; n > 51 {
		t.Errorf("%d goroutines for 50 streams at a time", n)
	}
	c.mu.Lock()
	c.idleSince = c.since() - h2KeepWorkers
	c.mu.Unlock()
	c.tick()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine()-before > 2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		}
	}
	p.alive(2001)
}

// An idle connection holds no buffers.
func TestH2IdleHoldsNoBuffers(t *testing.T) {
	h := newHost(t, Options{Handler: h2Echo}, true)
	p := newH2Peer(t, h)
	p.request(1, false, message("POST")...)
	p.fr.WriteData(1, true, bytes.Repeat([]byte("a"), 10000))
	if _, err := p.answer(1); err != nil {
		t.Fatal(err)
	}
	p.alive(3)
	c := (<-h.sessions).p.(*h2)
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		c.mu.Lock()
		idle := !c.writing && c.out == nil && c.spare == nil && len(c.shells) == 0
		c.mu.Unlock()
		if idle {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("output buffers are held")
		}
	}
	p.c.Close()
}

// Nothing is allocated for a request in steady state. What is measured is both
// ends; crypto/tls allocates 24 bytes for each read, which serves many requests.
func TestH2Allocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	header := Header{{"content-type", "text/plain"}}
	body := make([]byte, 1024)
	h := newHost(t, Options{Handler: func(x *Exchange) { x.Respond(200, header, 1024); x.Write(body) }}, true)
	var r testing.BenchmarkResult
	for range 3 { // a collection in between empties pools
		r = testing.Benchmark(func(b *testing.B) { benchH2(b, h, 32) })
		if r.AllocsPerOp() == 0 {
			return
		}
	}
	t.Errorf("%d allocations for a request", r.AllocsPerOp())
}

func TestH2Encode(t *testing.T) {
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 256, 16383, 16384, 100000} {
		b := appendHpackInt(nil, 0, 7, n)
		value, used := binary.Uvarint(b)
		if n >= 127 {
			v, m := binary.Uvarint(b[1:])
			value, used = v+127, m+1
		}
		if int(value) != n || used != len(b) {
			t.Errorf("%d is written as %x", n, b)
		}
	}
}

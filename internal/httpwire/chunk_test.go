package httpwire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// decodeAll feeds b to a decoder in pieces of step bytes.
func decodeAll(b []byte, step int) (data []byte, trailer Header, rest []byte, err error) {
	c := chunkReader{maxTrailer: 1 << 10}
	n := 0
	for end := min(step, len(b)); ; {
		got, used, err := c.decode(b[n:end], 1+step*2)
		data = append(data, got...)
		n += used
		switch {
		case err == io.EOF:
			return data, c.trailer, b[n:], nil
		case err != nil:
			return data, nil, nil, err
		case n < end:
		case end == len(b):
			return data, nil, nil, io.ErrUnexpectedEOF
		default:
			end = min(end+step, len(b))
		}
	}
}

func TestChunks(t *testing.T) {
	for _, tt := range []struct{ send, data, trailer, rest string }{
		{"0\r\n\r\n", "", "", ""},
		{"3\r\nabc\r\n0\r\n\r\nGET", "abc", "", "GET"},
		{"1\r\na\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-sum:2 \r\n\r\n", "a0123456789", "X-Sum=1 x-sum=2", ""},
		// Forbidden trailers are dropped, in every spelling.
		{"0\r\nContent-Length: 5\r\nHost: b\r\nX_Forwarded-FOR: 1\r\nAuthorization: x\r\nx-amzn-requestid: 1\r\nForwarded: a\r\nX-Ok: 1\r\nTrue_Client_IP: 1\r\n\r\n", "", "X-Ok=1", ""},
	} {
		for step := 1; step <= len(tt.send); step++ {
			data, trailer, rest, err := decodeAll([]byte(tt.send), step)
			var fields []string
			for _, f := range trailer {
				fields = append(fields, f.Name+"="+f.Value)
			}
			if err != nil || string(data) != tt.data || strings.Join(fields, " ") != tt.trailer || string(rest) != tt.rest {
				t.Errorf("%q in steps of %d: %q %q %q %v", tt.send, step, data, fields, rest, err)
			}
		}
	}
}

// FuzzChunks feeds a chunked body to the decoder and to net/http. What we
// accept net/http reads the same way, up to the same byte; what breaks off or
// is refused is so however the bytes arrive; what we write, we read.
func FuzzChunks(f *testing.F) {
	for _, s := range malformedChunks {
		f.Add([]byte(strings.Replace(s, offence, "", 1)), 1)
	}
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\nGET"), 2)
	f.Add([]byte("a\r\n0123456789\r\n0\r\nA: b\r\n\r\n"), 5)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if len(b) > 4<<10 {
			return
		}
		step = max(1, min(step, len(b)))
		data, trailer, rest, err := decodeAll(b, max(1, len(b)))
		data2, trailer2, rest2, err2 := decodeAll(b, step)
		if !bytes.Equal(data, data2) || len(trailer) != len(trailer2) || !bytes.Equal(rest, rest2) || err != err2 {
			t.Fatalf("%q in steps of %d: %q %q %v, at once %q %q %v", b, step, data2, rest2, err2, data, rest, err)
		}
		if err == nil {
			r := bufio.NewReader(io.MultiReader(strings.NewReader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(b)))
			request, err := http.ReadRequest(r)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := io.ReadAll(request.Body)
			if err != nil || !bytes.Equal(theirs, data) {
				t.Fatalf("%q: %q, net/http %q %v", b, data, theirs, err)
			}
			left, _ := io.ReadAll(r)
			if !bytes.Equal(left, rest) {
				t.Fatalf("%q: %q follows, net/http says %q", b, rest, left)
			}
		}
		// What we make of the data is one body with the same data.
		var made []byte
		for part := b; len(part) > 0; {
			n := min(step, len(part))
			made = append(append(appendChunkSize(made, n), part[:n]...), "\r\n"...)
			part = part[n:]
		}
		made = appendLastChunk(made, trailer)
		again, trailer3, rest, err := decodeAll(made, 7)
		if err != nil || !bytes.Equal(again, b) || len(rest) > 0 || len(trailer3) != len(trailer) {
			t.Fatalf("%q: made %q, read %q %q %v", b, made, again, rest, err)
		}
	})
}

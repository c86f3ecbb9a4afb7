package httpwire

import (
	"io"
	"time"
)

// h1Body is the body of the request being served.
type h1Body struct {
	c       *h1
	chunked bool
	left    int64 // not chunked: bytes to come
	err     error // of every later Read
	chunks  chunkReader
}

func (b *h1Body) begin(h *requestHead) {
	b.chunked, b.left, b.err = h.length < 0, h.length, nil
	if b.chunked {
		b.chunks.reset()
	} else if b.left == 0 {
		b.err = io.EOF
	}
}

// Read implements Exchange.Body.
func (b *h1Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := b.c.reply.proceed(); err != nil {
		b.err = err
		return 0, err
	}
	n, err := b.read(p)
	b.err = err
	if err != nil && err != io.EOF {
		b.c.reply.mustClose()
	}
	return n, err
}

func (b *h1Body) read(p []byte) (n int, err error) {
	if b.chunked {
		return b.readChunked(p)
	}
	c := b.c
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if c.r < c.w {
		n = copy(p, c.in.b[c.r:c.w])
		c.r += n
	} else if n, err = c.readBody(p); err != nil {
		return 0, err
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// readChunked gives as many chunks as fit into p and have arrived.
func (b *h1Body) readChunked(p []byte) (n int, err error) {
	c := b.c
	for {
		if c.r < c.w {
			data, used, err := b.chunks.decode(c.in.b[c.r:c.w], len(p)-n)
			n += copy(p[n:], data)
			c.r += used
			if err != nil {
				if err == io.EOF {
					c.x.Trailer = b.chunks.trailer
				}
				return n, err
			}
			if n == len(p) {
				return n, nil
			}
			continue
		}
		if n > 0 {
			return n, nil
		}
		if size := b.chunks.direct(); size >= roomForBody && len(p) >= roomForBody {
			n, err = c.readBody(p[:min(int64(len(p)), size)])
			b.chunks.took(n)
			return n, err
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// discard reads what the handler left and reports whether the body is over.
func (b *h1Body) discard() bool {
	if b.err == io.EOF {
		return true
	}
	if b.err != nil || b.left > discardBytes {
		return false
	}
	c := b.c
	buf := usualBuffers.Get().(*readBuffer)
	defer buf.release()
	c.bodyWait = discardTime
	until := time.Now().Add(discardTime)
	for left := discardBytes; left > 0 && time.Now().Before(until); {
		n, err := b.read(buf.b)
		if err != nil {
			b.err = err
			return err == io.EOF
		}
		left -= n
	}
	return false
}

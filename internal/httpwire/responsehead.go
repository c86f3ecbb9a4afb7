package httpwire

// untilClose is the length of a response body that ends with its connection.
const untilClose = -2

// responseHead is a parsed HTTP/1 response head. Its strings share the memory
// of the buffer it was read from.
type responseHead struct {
	status int
	// header is without Content-Length, Transfer-Encoding and Trailer.
	// Connection stays, since it names fields that must not be forwarded.
	header Header
	http10 bool
	close  bool // the backend will send nothing after it; a body untilClose says so too

	length int64 // as the head says: bytes, -1 chunked, untilClose
}

// body is the length of the body that follows in answer to method: bytes, -1
// chunked, untilClose. Source: RFC 9112 6.3.
func (h *responseHead) body(method string) int64 {
	if method == "HEAD" || h.status < 200 || h.status == 204 || h.status == 304 {
		return 0
	}
	return h.length
}

// responseLimits are what a backend's head may be, in bytes. They are ours: API
// Gateway's quota on headers in total binds requests and responses alike, but a
// response's are only refused where memory demands it.
var responseLimits = limits{target: 4 << 10, header: 64 << 10}

// responseParser reads a response head as strictly as requestParser a request.
type responseParser struct {
	limits limits // target: of the status line

	head responseHead

	lines     lines
	begun     bool
	start     int
	lengths   int
	codings   int
	keepAlive bool
}

// reset makes p ready for another head, or for the same one in another buffer.
func (p *responseParser) reset() {
	header := p.head.header
	clear(header)
	*p = responseParser{limits: p.limits, head: responseHead{header: header[:0]}}
}

// parse is requestParser.parse for responses. The status of a refusal means
// nothing here.
func (p *responseParser) parse(b []byte) (used int, done bool, r *refusal) {
	for {
		from := p.lines.pos
		line, r := p.lines.next(b)
		if line == nil {
			if q := p.partial(p.lines.rest(b), from); q != nil {
				return 0, false, q
			}
			return 0, false, r
		}
		switch {
		case p.begun && len(line) == 0:
			r := p.finish()
			return p.lines.pos, r == nil, r
		case p.begun && p.lines.pos-p.start > p.limits.header:
			r = longHeader
		case p.begun:
			r = p.field(line)
		default:
			if r = p.statusLine(line); r == nil {
				p.begun, p.start = true, p.lines.pos
			}
		}
		if r != nil {
			if q := p.partial(line, from); q != nil {
				return 0, false, q
			}
			return 0, false, r
		}
	}
}

func (p *responseParser) partial(b []byte, from int) *refusal {
	if p.begun {
		return partialField(b, p.limits.header-2-(from-p.start))
	}
	const begin = "HTTP/1."
	if n := min(len(b), len(begin)); string(b[:n]) != begin[:n] || len(b) > p.limits.target {
		return badStatusLine
	}
	return nil
}

// statusLine takes "HTTP/1.1 200 OK". The reason may be missing, and the space
// before it with it.
func (p *responseParser) statusLine(line []byte) *refusal {
	const version = "HTTP/1.x"
	if len(line) < len(version)+4 || len(line) > p.limits.target {
		return badStatusLine
	}
	s := text(line)
	code, rest := s[len(version)+1:len(version)+4], s[len(version)+4:]
	switch {
	case s[:7] != version[:7] || s[7] != '0' && s[7] != '1' || s[8] != ' ':
		return badStatusLine
	case code[0] < '1' || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]):
		return badStatusLine
	case rest != "" && rest[0] != ' ':
		return badStatusLine
	}
	p.head.http10 = s[7] == '0'
	p.head.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	p.head.length = untilClose
	return nil
}

func (p *responseParser) field(line []byte) *refusal {
	if isBlank(line[0]) {
		return badFold
	}
	f, r := parseField(line)
	if r != nil {
		return r
	}
	h := &p.head
	switch knownField(f.Name) {
	case contentLengthField:
		n, ok := parseLength(f.Value)
		if p.lengths++; p.lengths > 1 || !ok {
			return badLength
		}
		if p.codings > 0 {
			return badFraming
		}
		h.length = n
		return nil
	case transferEncodingField:
		p.codings++
		switch {
		case p.lengths > 0:
			return badFraming
		case p.codings > 1, h.http10, !equalFold(f.Value, "chunked"), h.status < 200, h.status == 204:
			return badCoding
		}
		h.length = -1
		return nil
	case trailerField:
		return nil
	case connectionField:
		h.close = h.close || listHolds(f.Value, "close")
		p.keepAlive = p.keepAlive || listHolds(f.Value, "keep-alive")
	}
	if len(h.header) == maxFields {
		return longHeader
	}
	h.header = append(h.header, f)
	return nil
}

func (p *responseParser) finish() *refusal {
	h := &p.head
	if h.http10 && !p.keepAlive {
		h.close = true
	}
	return nil
}

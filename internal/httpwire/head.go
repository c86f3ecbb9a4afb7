package httpwire

import "strings"

// refusal is why a request ends before the pipeline sees it.
type refusal struct {
	status int
	reason string // for the process log; never the client's own bytes
}

// What is refused, and how. Everything that two parsers could read differently
// is a 400 (threat model P9); the others say what the sender could change.
var (
	badBareLF      = &refusal{400, "line does not end in CR LF"}
	badControl     = &refusal{400, "control byte in the head"}
	badRequestLine = &refusal{400, "malformed request line"}
	badTarget      = &refusal{400, "malformed request target"}
	badStatusLine  = &refusal{400, "malformed status line"}
	badFold        = &refusal{400, "folded header line"}
	badName        = &refusal{400, "malformed header name"}
	badHost        = &refusal{400, "missing, repeated or malformed Host"}
	badAuthority   = &refusal{400, "request target and Host disagree"}
	badLength      = &refusal{400, "malformed or repeated Content-Length"}
	badCoding      = &refusal{400, "ambiguous Transfer-Encoding"}
	badFraming     = &refusal{400, "both Content-Length and Transfer-Encoding"}
	noTunnel       = &refusal{501, "CONNECT"}
	badVersion     = &refusal{505, "unknown HTTP version"}
	badExpect      = &refusal{417, "unknown expectation"}
	slowHead       = &refusal{408, "request head took too long"}
	longTarget     = &refusal{414, "request target too long"}
	longHeader     = &refusal{431, "header too large"}
)

// limits bound one request head, in bytes.
type limits struct {
	target int // request target
	header int // all header lines, line ends included
}

// listenerLimits are what a listener type accepts.
// Source: API Gateway quotas for REST APIs (URL length, header total).
var listenerLimits = map[string]limits{
	"REGIONAL": {target: 10240, header: 20480},
	"EDGE":     {target: 8192, header: 20480},
	"PRIVATE":  {target: 8192, header: 8000},
	"HTTP":     {target: 10240, header: 20480},
}

// splitTarget splits a request target. authority is set for the absolute form
// only. Percent escapes of the path must be whole; the query is left as it is.
func splitTarget(method, target string, secure bool) (authority, path, query string, ok bool) {
	if !validTarget(target) {
		return "", "", "", false
	}
	if target == "*" {
		return "", "*", "", method == "OPTIONS"
	}
	if target[0] != '/' {
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
			return "", "", "", false
		}
		target = target[len(scheme):]
		end := strings.IndexAny(target, "/?")
		if end < 0 {
			end = len(target)
		}
		authority, target = target[:end], target[end:]
		if !validAuthority(authority) {
			return "", "", "", false
		}
		if target == "" || target[0] == '?' {
			target = "/" + target
		}
	}
	path, query, _ = strings.Cut(target, "?")
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			return "", "", "", false
		}
		i += 2
	}
	return authority, path, query, true
}

// validTarget reports whether s holds only what a request target may.
func validTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// sameAuthority compares two valid authorities without regard to case.
func sameAuthority(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if c, d := a[i], b[i]; c != d && (c|0x20 != d|0x20 || !isAlphanumeric(c) || !isAlphanumeric(d)) {
			return false
		}
	}
	return true
}

// validAuthority reports whether s is host or host:port. User information,
// lists, escapes and empty hosts are not: what they mean depends on the reader.
func validAuthority(s string) bool {
	if s == "" || len(s) > 261 { // a name of 255 bytes and a port
		return false
	}
	host, port := s, ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 3 {
			return false
		}
		for _, c := range []byte(s[1:end]) {
			if !isHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		if host = ""; end+1 < len(s) {
			if s[end+1] != ':' {
				return false
			}
			port = s[end+1:]
		}
	} else {
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i:]
		}
		if host == "" {
			return false
		}
	}
	for _, c := range []byte(host) {
		if !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	if port == "" {
		return true
	}
	if len(port) < 2 || len(port) > 6 {
		return false
	}
	for _, c := range []byte(port[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseLength reads a Content-Length: digits only, at most 18 of them.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

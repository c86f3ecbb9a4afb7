package snapshot

import (
	"net/netip"
	"strconv"
	"strings"
)

// NormalizeHost returns the form in which a Host header or :authority is
// compared with a server name: port and one trailing dot removed, ASCII letters
// in lower case. An IPv6 literal stays in its brackets, in canonical form. What
// is no host with an optional port gives "", which no name has.
//
// It is idempotent, and together with Lookup the only place that decides when
// two spellings are the same host (promise P2 of the threat model: every gate,
// log and rule compares this one form).
func NormalizeHost(hostport string) string {
	if strings.HasPrefix(hostport, "[") {
		end := strings.IndexByte(hostport, ']')
		if end < 0 || !validPort(hostport[end+1:]) {
			return ""
		}
		addr, err := netip.ParseAddr(hostport[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return ""
		}
		return "[" + addr.String() + "]"
	}
	host := hostport
	if i := strings.IndexByte(hostport, ':'); i >= 0 {
		if !validPort(hostport[i:]) {
			return ""
		}
		host = hostport[:i]
	}
	return normalizeName(host)
}

// validPort accepts "", ":" (RFC 3986 allows an empty port) and ":0" to ":65535".
func validPort(s string) bool {
	if s == "" || s == ":" {
		return true
	}
	if s[0] != ':' || len(s) > 6 || s[1] == '+' || s[1] == '-' {
		return false
	}
	_, err := strconv.ParseUint(s[1:], 10, 16)
	return err == nil
}

// maxName is the longest host name: RFC 1035 without the trailing dot.
const maxName = 253

// normalizeName is the part of NormalizeHost that server names need: ASCII
// letters in lower case, one trailing dot removed. Only ASCII is folded, since
// Unicode folding maps other letters onto ASCII ones (U+212A, the Kelvin sign,
// onto k). What is no host name gives "". It does not allocate unless a letter
// changes.
func normalizeName(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return ""
	}
	upper := false
	label := 0 // where the current label starts
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c >= 'A' && c <= 'Z':
			upper = true
		case c == '.' && i > label:
			label = i + 1
		default:
			return ""
		}
	}
	if label == len(s) {
		return "" // a second trailing dot
	}
	if !upper {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// splitDefault cuts a normalized host of the form API.execute-api.REGION.SUFFIX.
// ok says that host is in the space of default endpoint names of this gateway,
// where no custom domain name may live; api is "" when the name is in that space
// but cannot be an API's.
func (e *place) splitDefault(host string) (api string, ok bool) { return split(host, e.zones) }

// splitSearch is splitDefault for the endpoint names of search domains.
func (e *place) splitSearch(host string) (label string, ok bool) { return split(host, e.searches) }

func split(host string, zones []string) (label string, ok bool) {
	for _, zone := range zones {
		n := len(host) - len(zone)
		if n < 0 || host[n:] != zone {
			continue
		}
		switch {
		case n == 0: // the zone itself
			return "", true
		case host[n-1] != '.':
			continue
		}
		if label := host[:n-1]; strings.IndexByte(label, '.') < 0 {
			return label, true
		}
		return "", true
	}
	return "", false
}

// place is where default endpoint names live.
type place struct {
	zones    []string // execute-api.REGION.SUFFIX, normalized, the first one being canonical
	searches []string // REGION.es.SUFFIX likewise
}

// defaultHost is the canonical default endpoint name of an API.
func (e *place) defaultHost(api string) string { return api + "." + e.zones[0] }

// wildcardParent returns what a wildcard name stands above: example.com for
// *.example.com.
func wildcardParent(name string) (string, bool) { return strings.CutPrefix(name, "*.") }

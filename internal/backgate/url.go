package backgate

import (
	"strconv"
	"strings"
)

// URLError says why a text names no backend whose TLS can be looked at, and
// what to write instead.
type URLError struct{ Reason, Hint string }

func (e *URLError) Error() string { return e.Reason }

// ParseURL takes the scheme and the authority from the URL of a backend, as a
// person writes it to have its TLS looked at: https, a host and perhaps a port;
// what follows does not matter. Its error is an *URLError.
func ParseURL(text string) (scheme, host string, err error) {
	fail := func(reason, hint string) (string, string, error) {
		return "", "", &URLError{Reason: reason, Hint: hint}
	}
	scheme, rest, ok := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case text == "":
		return fail("the URL is empty", "name a backend, such as https://backend.example.com:8443")
	case !ok:
		return fail(strconv.Quote(text)+" is no URL", "write the scheme too, such as https://backend.example.com:8443")
	case strings.Contains(rest, "{"):
		return fail(strconv.Quote(text)+" has a part that a request or a stage fills in", "write the host that it becomes, or have all backends of the stage tried by its name, API/STAGE")
	case scheme == "http":
		return fail("http:// has no TLS: nothing proves who answers, so there is nothing to examine",
			"if the backend speaks TLS, write "+strconv.Quote("https://"+rest)+" here and in the integration")
	case scheme != "https":
		return fail("scheme "+strconv.Quote(scheme)+" is not https", "backends are reached by https:// (or http://, without TLS)")
	}
	host = rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	name, port := splitAuthority(host)
	switch n, portErr := strconv.Atoi(port); {
	case strings.Contains(host, "@"):
		return fail("the URL holds a user name or password", "leave them out; integrations cannot have them")
	case name == "":
		return fail(strconv.Quote(text)+" names no host", "such as https://backend.example.com:8443")
	case strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }):
		return fail("host "+strconv.Quote(name)+" is not ASCII", "write the name as in DNS, in its xn-- form")
	case strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "["):
		return fail(strconv.Quote(host)+" is no host", "write an IPv6 address in brackets, such as https://[2001:db8::1]:8443")
	case port != "" && (portErr != nil || n < 1 || n > 65535):
		return fail("port "+strconv.Quote(port)+" is not a number from 1 to 65535", "such as https://backend.example.com:8443")
	case !validAuthority(host):
		return fail(strconv.Quote(host)+" is no host", "a host is a DNS name or an IP address, with a port or without")
	}
	return scheme, host, nil
}

// ParseServerName checks a name that is to be sent as SNI and verified in place
// of the URL's host. Its error is an *URLError.
func ParseServerName(name string) error {
	if host, port := splitAuthority(name); port != "" || !validAuthority(name) || host == "" {
		return &URLError{Reason: "server name " + strconv.Quote(name) + " is no DNS name", Hint: "a name alone, such as backend.example.com, without scheme and port"}
	}
	return nil
}

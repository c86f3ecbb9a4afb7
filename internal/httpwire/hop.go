package httpwire

import "strings"

// HopByHop reports whether a field belongs to one connection, or is one that
// the engine makes itself: it is never passed on. Source: RFC 9110 7.6.1.
func HopByHop(name string) bool {
	switch knownField(name) {
	case connectionField, proxyConnectionField, keepAliveField, trailerField, transferEncodingField, upgradeField,
		contentLengthField, hostField, expectField:
		return true
	}
	switch len(name) {
	case len("te"):
		return equalFold(name, "te")
	case len("proxy-authenticate"):
		return equalFold(name, "proxy-authenticate")
	case len("proxy-authorization"):
		return equalFold(name, "proxy-authorization")
	}
	return false
}

// AppendEndToEnd appends to dst the lines of h that are meant for more than
// one connection: not those of HopByHop, nor those that a Connection line
// names. dst may be h[:0].
func AppendEndToEnd(dst, h Header) Header {
	var room [4]string
	list := connectionNames(room[:0], h)
	for _, f := range h {
		if !HopByHop(f.Name) && !(len(list) > 0 && named(list, f.Name)) {
			dst = append(dst, f)
		}
	}
	return dst
}

// connectionNames appends the Connection lines of h that name fields.
func connectionNames(list []string, h Header) []string {
	for i := range h {
		if v := h[i].Value; knownField(h[i].Name) == connectionField && !equalFold(v, "keep-alive") && !equalFold(v, "close") {
			list = append(list, v)
		}
	}
	return list
}

// named reports whether one of the lines names a field, in any case.
func named(list []string, name string) bool {
	for _, rest := range list {
		for rest != "" {
			var item string
			item, rest, _ = strings.Cut(rest, ",")
			if sameFold(strings.Trim(item, " \t"), name) {
				return true
			}
		}
	}
	return false
}

// sameFold compares two names by ASCII rules.
func sameFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		c, d := a[i], b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if 'A' <= d && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

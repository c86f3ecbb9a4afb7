package controls

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/tlspolicy"
)

// faults says what is weak in a policy by its contents, and not by its name:
// versions below TLS 1.2, RSA key exchange, CBC suites. It reads AWS's lists,
// with the suites that crypto/tls lacks.
func faults(p *tlspolicy.Policy) []string {
	var list []string
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if slices.Contains(p.Versions(), v) {
			list = append(list, tlspolicy.VersionName(v))
		}
	}
	var rsa, cbc bool
	for _, id := range p.Suites12 {
		name := tlspolicy.SuiteName(id)
		rsa = rsa || strings.HasPrefix(name, "TLS_RSA_WITH_")
		cbc = cbc || strings.Contains(name, "_CBC_")
	}
	if rsa {
		list = append(list, "key exchange without forward secrecy")
	}
	if cbc {
		list = append(list, "CBC suites")
	}
	return list
}

// within reports whether all that p permits, q permits too.
func within(p, q *tlspolicy.Policy) bool {
	inside := func(a, b []uint16) bool {
		return !slices.ContainsFunc(a, func(id uint16) bool { return !slices.Contains(b, id) })
	}
	return p.Min >= q.Min && p.Max <= q.Max && inside(p.Suites13, q.Suites13) && inside(p.Suites12, q.Suites12) &&
		!slices.ContainsFunc(p.Groups, func(g tls.CurveID) bool { return !slices.Contains(q.Groups, g) })
}

// asStrictAs names an accepted policy that permits all that p does, and so is
// no stricter; "" when there is none.
func asStrictAs(p *tlspolicy.Policy, accepted []string) string {
	for _, name := range accepted {
		if q, ok := tlspolicy.Lookup(name, p.Edge); ok && q != p && within(p, q) {
			return name
		}
	}
	return ""
}

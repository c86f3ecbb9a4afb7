package backgate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"slices"
	"strings"
)

// verifyName compares host with the names on the certificate: its alternative
// names or, when it has none of any kind, its common name, as AWS does. An IP
// address is among the alternative names of that type or it is not there. Case
// does not count; a wildcard is a whole leftmost label and stands for one label.
// Other scripts stand in their A-label form (xn--) on both sides.
//
// Name constraints bind alternative names only, so beneath an authority that has
// them a common name does not count: it would be a way around them. paths are
// those that lead to a root.
func verifyName(leaf *x509.Certificate, host string, paths [][]*x509.Certificate) error {
	err := leaf.VerifyHostname(host)
	if err == nil || leaf.Subject.CommonName == "" || hasAlternativeNames(leaf) {
		return err
	}
	named := x509.Certificate{DNSNames: []string{leaf.Subject.CommonName}}
	if named.VerifyHostname(host) != nil || slices.IndexFunc(paths, unconstrained) < 0 {
		return err
	}
	return nil
}

// unconstrained reports a path without name constraints.
func unconstrained(path []*x509.Certificate) bool {
	return !slices.ContainsFunc(path, func(c *x509.Certificate) bool { return hasExtension(c, nameConstraints) })
}

// nameReason says why a certificate is not for host.
func nameReason(leaf *x509.Certificate, host string) reason {
	names := leaf.DNSNames
	if !hasAlternativeNames(leaf) && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return anotherAddress
	}
	if len(leaf.DNSNames) == 0 && len(names) == 1 && (&x509.Certificate{DNSNames: names}).VerifyHostname(host) == nil {
		return constrainedCommonName
	}
	if hasAlternativeNames(leaf) && leaf.Subject.CommonName != "" && strings.EqualFold(leaf.Subject.CommonName, host) {
		return ignoredCommonName
	}
	if len(names)+len(leaf.IPAddresses) == 0 {
		return noNames
	}
	for _, name := range names {
		if domain, ok := strings.CutPrefix(name, "*"); ok && strings.HasPrefix(domain, ".") && len(host) > len(domain) && strings.EqualFold(host[len(host)-len(domain):], domain) {
			return wildcardDepth
		}
	}
	return anotherName
}

var (
	subjectAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	nameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
)

func hasAlternativeNames(c *x509.Certificate) bool { return hasExtension(c, subjectAltName) }

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
}

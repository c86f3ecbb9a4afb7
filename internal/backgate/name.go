package backgate

import (
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
	"strings"
)

// verifyName compares host with the names on the certificate: its alternative
// names or, when it has none of any kind, its common name, as AWS does. An IP
// address is among the alternative names of that type or it is not there. Case
// does not count; a wildcard is a whole leftmost label and stands for one label.
// Other scripts stand in their A-label form (xn--) on both sides.
func verifyName(leaf *x509.Certificate, host string) error {
	err := leaf.VerifyHostname(host)
	if err == nil || leaf.Subject.CommonName == "" || hasAlternativeNames(leaf) {
		return err
	}
	named := x509.Certificate{DNSNames: []string{leaf.Subject.CommonName}}
	if named.VerifyHostname(host) == nil {
		return nil
	}
	return err
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

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

func hasAlternativeNames(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(subjectAltName) {
			return true
		}
	}
	return false
}

package backgate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxChain bounds the certificates that a backend may send.
const maxChain = 20

// verify judges the chain that a backend presents for host: first the way to a
// root, then dates, then the name, which is the order in which AWS names
// faults. skip accepts any root that the chain brings along itself: the last
// certificate is self-signed and either the leaf or a CA allowed to sign
// certificates. Nothing else is dropped. It returns an *Error.
// Source: re:Post, SSL certificate with backend integration; developer guide,
// tlsConfig.insecureSkipVerification.
func verify(certs []*x509.Certificate, host string, skip bool, roots *x509.CertPool, now time.Time) error {
	if len(certs) == 0 || len(certs) > maxChain {
		return &Error{Kind: Untrusted, Host: host, Cause: fmt.Errorf("%d certificates in the chain", len(certs))}
	}
	leaf := certs[0]
	fail := func(kind Kind, cause error) error {
		return &Error{Kind: kind, Host: host, Subject: distinguishedName(leaf.RawSubject), Cause: cause}
	}
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	build := func(roots *x509.CertPool, at time.Time) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at})
		return err
	}
	err := build(roots, now)
	used := roots
	if err != nil && skip {
		if own := ownRoots(certs); own != nil {
			if e := build(own, now); e == nil || !builds(roots, certs, build) {
				err, used = e, own
			}
		}
	}
	if err != nil {
		if builds(used, certs, build) {
			return fail(dateFault(certs, now), err)
		}
		var invalid x509.CertificateInvalidError
		switch last := certs[len(certs)-1]; {
		case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
			return fail(Untrusted, err) // not a certificate for servers
		case skip:
			return fail(NoRoot, err)
		case selfIssued(last):
			return fail(Untrusted, err)
		}
		return fail(Incomplete, err)
	}
	if err := verifyName(leaf, host); err != nil {
		return fail(WrongName, err)
	}
	return nil
}

// ownRoots are the roots that a chain brings along, nil when there are none.
func ownRoots(certs []*x509.Certificate) *x509.CertPool {
	var pool *x509.CertPool
	for i, c := range certs {
		if !selfIssued(c) || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
			continue
		}
		if i > 0 && !(c.BasicConstraintsValid && c.IsCA && c.KeyUsage&x509.KeyUsageCertSign != 0) {
			continue
		}
		if pool == nil {
			pool = x509.NewCertPool()
		}
		pool.AddCert(c)
	}
	return pool
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// builds reports whether the chain leads to a root at any time at all, so that
// only dates are wrong: it suffices to look where a validity begins or ends.
func builds(roots *x509.CertPool, certs []*x509.Certificate, build func(*x509.CertPool, time.Time) error) bool {
	for _, c := range certs {
		if build(roots, c.NotBefore) == nil || build(roots, c.NotAfter) == nil {
			return true
		}
	}
	return false
}

// dateFault says in which way the dates are wrong.
func dateFault(certs []*x509.Certificate, now time.Time) Kind {
	for _, c := range certs {
		switch {
		case now.After(c.NotAfter):
			return Expired
		case now.Before(c.NotBefore):
			return NotYetValid
		}
	}
	return Expired // the root itself
}

// verifyName compares host with the names on the certificate: its alternative
// names or, when it has none of any kind, its common name, as AWS does.
func verifyName(leaf *x509.Certificate, host string) error {
	err := leaf.VerifyHostname(host)
	if err == nil || leaf.Subject.CommonName == "" || hasAlternativeNames(leaf) {
		return err
	}
	named := x509.Certificate{DNSNames: []string{leaf.Subject.CommonName}}
	return named.VerifyHostname(host)
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

// attributeNames are the keywords that Java's X500Principal.toString uses.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "T", "2.5.4.4": "SURNAME", "2.5.4.42": "GIVENNAME",
	"2.5.4.43": "INITIALS", "2.5.4.44": "GENERATION", "2.5.4.46": "DNQ", "2.5.4.5": "SERIALNUMBER",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "EMAILADDRESS",
}

// maxName is where the text of a subject is cut, in bytes.
const maxName = 1024

// distinguishedName writes a subject as Java's X500Principal.toString does:
// the last element first, parted by ", ", values in quotes where needed.
func distinguishedName(raw []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdns); err != nil || len(rest) > 0 {
		return ""
	}
	var b strings.Builder
	for i := len(rdns) - 1; i >= 0 && b.Len() < maxName; i-- {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		for j, a := range rdns[i] {
			if j > 0 {
				b.WriteString(" + ")
			}
			oid := a.Type.String()
			name, ok := attributeNames[oid]
			if !ok {
				name = "OID." + oid
			}
			b.WriteString(name + "=" + attributeValue(a.Value))
		}
	}
	s := b.String()
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

func attributeValue(v any) string {
	s, ok := v.(string)
	if !ok {
		der, err := asn1.Marshal(v)
		if err != nil {
			return ""
		}
		return "#" + hex.EncodeToString(der)
	}
	if s == "" || s != strings.TrimSpace(s) || strings.ContainsAny(s, ",+=\n<>#;\\\"") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}

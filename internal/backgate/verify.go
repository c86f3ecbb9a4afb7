package backgate

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what is believed or looked at.
const (
	// maxChain bounds the certificates that a backend may send.
	maxChain = 20
	// maxTrailChecks bounds the signatures that are checked only to find better
	// words for a refusal. crypto/x509 itself stops at 100.
	maxTrailChecks = 40
	// maxInstants bounds the times at which a path is sought only to learn that
	// a root's dates are what is wrong.
	maxInstants = 2
	// minRSA is the smallest RSA key in bits that proves anything, as in Java and
	// crypto/rsa. crypto/tls bounds keys from above: 8192.
	minRSA = 1024
)

// verify judges the chain that a backend presents for host: first the way to a
// root, then dates, then the name, which is the order in which AWS names
// faults. skip accepts any root that the chain brings along itself: one that is
// self-signed and either the leaf or a CA allowed to sign certificates. Nothing
// else is dropped. It returns an *Error. Revocation is not checked.
// Source: re:Post, SSL certificate with backend integration; developer guide,
// tlsConfig.insecureSkipVerification; the rule for skip is inferred.
func verify(certs []*x509.Certificate, host string, skip bool, roots *x509.CertPool, now time.Time) error {
	if len(certs) == 0 || len(certs) > maxChain {
		return &Error{Kind: Unusable, reason: chainTooLong, Host: host, Detail: fmt.Sprint(len(certs))}
	}
	v := &verification{certs: certs, leaf: certs[0], host: host, skip: skip, roots: roots, now: now}
	paths, err := v.build(false, now)
	if err != nil {
		return v.pathFault(err)
	}
	if tooSmall(v.leaf) {
		return v.fail(keyTooSmall, v.leaf, nil)
	}
	if err := verifyName(v.leaf, host, paths); err != nil {
		return v.fail(nameReason(v.leaf, host), v.leaf, err)
	}
	return nil
}

// verification is one call of verify.
type verification struct {
	certs []*x509.Certificate // as presented
	leaf  *x509.Certificate
	host  string
	skip  bool
	roots *x509.CertPool
	now   time.Time
}

// fail makes the error of a reason; at is the certificate at fault.
func (v *verification) fail(r reason, at *x509.Certificate, cause error) *Error {
	e := &Error{
		Kind: reasons[r].kind, Host: v.host, Subject: distinguishedName(v.leaf.RawSubject), Cause: cause,
		reason: r, finding: finding{leaf: v.leaf, at: at, now: v.now},
	}
	for i, c := range v.certs {
		if bytes.Equal(c.Raw, at.Raw) {
			e.finding.element = i + 1
			break
		}
	}
	return e
}

// build seeks paths from the leaf to a root. dateless is as if all certificates
// that were presented held forever: signatures are over what was presented, so
// copies with other dates verify just as well.
func (v *verification) build(dateless bool, at time.Time) ([][]*x509.Certificate, error) {
	certs := v.certs
	if dateless {
		certs = make([]*x509.Certificate, len(v.certs))
		for i, c := range v.certs {
			forever := *c
			forever.NotBefore, forever.NotAfter = time.Time{}, at.AddDate(1, 0, 0)
			certs[i] = &forever
		}
	}
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	roots := v.roots
	if v.skip {
		for i, c := range certs {
			if !ownRoot(c, i == 0) {
				continue
			}
			if roots == v.roots {
				roots = roots.Clone()
			}
			roots.AddCert(c)
		}
	}
	return certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at})
}

// ownRoot reports whether a presented certificate may stand for the root where
// verification is skipped.
func ownRoot(c *x509.Certificate, leaf bool) bool {
	return selfSigned(c) && (leaf || c.BasicConstraintsValid && c.IsCA && c.KeyUsage&x509.KeyUsageCertSign != 0)
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

func selfSigned(c *x509.Certificate) bool {
	return selfIssued(c) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// tooSmall reports an RSA key that proves nothing.
func tooSmall(c *x509.Certificate) bool {
	k, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && k.N.BitLen() < minRSA
}

// pathFault says what is wrong with a chain that leads to no root, err being
// what crypto/x509 says of it. Only if there is no way at any time are the dates
// not to blame.
func (v *verification) pathFault(err error) *Error {
	if tooCostly(err) {
		return v.fail(chainTooCostly, v.leaf, err)
	}
	paths, failed := v.build(true, v.now)
	if failed == nil {
		return v.dateFault(paths, err)
	}
	if tooCostly(failed) {
		return v.fail(chainTooCostly, v.leaf, failed)
	}
	for _, at := range v.instants(failed) {
		if paths, err := v.build(true, at); err == nil {
			return v.dateFault(paths, failed)
		}
	}
	return v.buildingFault(failed)
}

// instants are times at which a path may exist, at most maxInstants, if what is
// in its way, err, are only the dates of a trusted root. That one is not to be
// had from its pool, but the error may name it, or the backend present it, too;
// and it held when it issued what was presented.
func (v *verification) instants(err error) []time.Time {
	var times []time.Time
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		times = append(times, invalid.Cert.NotBefore)
	case strings.Contains(err.Error(), "has expired"): // of the last candidate
		times = append(times, v.certs[len(v.certs)-1].NotBefore)
	}
	for i := len(v.certs) - 1; i > 0 && len(times) < maxInstants; i-- {
		if c := v.certs[i]; selfIssued(c) && v.outdated(c) {
			times = append(times, c.NotBefore)
		}
	}
	return times
}

func (v *verification) outdated(c *x509.Certificate) bool {
	return v.now.Before(c.NotBefore) || v.now.After(c.NotAfter)
}

// tooCostly reports that crypto/x509 gave up. It has no type for that.
func tooCostly(err error) bool {
	return strings.Contains(err.Error(), "signature check attempts limit")
}

// dateFault names what is out of date on the path with the fewest such faults.
func (v *verification) dateFault(paths [][]*x509.Certificate, err error) *Error {
	presented := map[string]*x509.Certificate{} // with its dates
	for _, c := range v.certs {
		presented[string(c.Raw)] = c
	}
	var at *x509.Certificate
	depth, fewest := 0, maxChain+2
	for _, path := range paths {
		var first *x509.Certificate
		faults, where := 0, 0
		for i, c := range path {
			if own := presented[string(c.Raw)]; own != nil {
				c = own
			}
			if !v.outdated(c) {
				continue
			}
			if faults++; first == nil {
				first, where = c, i
			}
		}
		if first != nil && faults < fewest {
			at, depth, fewest = first, where, faults
		}
	}
	if at == nil { // a path that was not found before: none of the dates says why
		return v.fail(noPath, v.leaf, err)
	}
	r := issuerExpired
	switch early := v.now.Before(at.NotBefore); {
	case early && depth == 0:
		r = leafEarly
	case early && presented[string(at.Raw)] == nil:
		r = rootEarly
	case early:
		r = issuerEarly
	case depth == 0:
		r = leafExpired
	case presented[string(at.Raw)] == nil:
		r = rootExpired
	}
	return v.fail(r, at, err)
}

// buildingFault says why no path leads to a root, whatever the dates.
func (v *verification) buildingFault(err error) *Error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.IncompatibleUsage:
			return v.fail(notForServers, v.clientOnly(), err)
		case x509.CANotAuthorizedForThisName:
			e := v.fail(nameConstraint, v.leaf, err)
			e.Detail = invalid.Detail
			return e
		case x509.TooManyIntermediates:
			return v.fail(pathTooLong, invalid.Cert, err)
		case x509.NotAuthorizedToSign:
			if !selfSigned(invalid.Cert) { // else it is a root, but not trusted
				return v.fail(notAnAuthority, invalid.Cert, err)
			}
		}
	}
	t := v.trail()
	if critical := (x509.UnhandledCriticalExtension{}); errors.As(err, &critical) {
		for _, i := range t.path {
			if c := v.certs[i]; len(c.UnhandledCriticalExtensions) > 0 {
				return v.fail(criticalExtension, c, err)
			}
		}
	}
	end := v.certs[t.path[len(t.path)-1]]
	if t.reason != 0 {
		e := v.fail(t.reason, t.at, err)
		if e.Detail = "no more is known"; t.err != nil {
			e.Detail = t.err.Error()
		}
		return e
	}
	var unknown x509.UnknownAuthorityError
	known := errors.As(err, &unknown)
	switch {
	case t.root && v.skip:
		return v.fail(rootNotAnAuthority, end, err)
	case t.root && len(t.path) == 1:
		return v.fail(selfSignedLeaf, end, err)
	case t.root:
		return v.fail(privateRoot, end, err)
	case known && strings.Contains(err.Error(), "possibly because of"):
		// A trusted root has the issuer's name, but did not sign it.
		e := v.fail(otherSignature, end, err)
		e.Detail = err.Error()
		return e
	case !known:
		e := v.fail(noPath, end, err)
		e.Detail = err.Error()
		return e
	case v.skip:
		return v.fail(rootAbsent, end, err)
	case len(v.certs) == 1:
		return v.fail(leafAlone, end, err)
	case len(t.path) == 1:
		return v.fail(unrelated, end, err)
	}
	return v.fail(missingIssuer, end, err)
}

// clientOnly is the first certificate whose extended key usage does not include
// servers.
func (v *verification) clientOnly() *x509.Certificate {
next:
	for _, c := range v.certs {
		if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
			continue
		}
		for _, u := range c.ExtKeyUsage {
			if u == x509.ExtKeyUsageAny || u == x509.ExtKeyUsageServerAuth {
				continue next
			}
		}
		return c
	}
	return v.leaf
}

// trail is the way from the leaf through the presented certificates, each
// signed by the next, as far as it goes.
type trail struct {
	path   []int // indexes, of the leaf first
	root   bool  // it ends in a self-signed certificate
	reason reason
	at     *x509.Certificate // at fault, if there is a reason
	err    error
}

// weak are signatures that can be forged, as crypto/x509 has it.
var weak = map[x509.SignatureAlgorithm]bool{
	x509.MD2WithRSA: true, x509.MD5WithRSA: true, x509.SHA1WithRSA: true, x509.DSAWithSHA1: true, x509.ECDSAWithSHA1: true,
}

func (v *verification) trail() trail {
	t := trail{path: []int{0}}
	seen := map[int]bool{0: true}
	checks := 0
	for {
		c := v.certs[t.path[len(t.path)-1]]
		if selfSigned(c) {
			t.root = true
			return t
		}
		if selfIssued(c) && weak[c.SignatureAlgorithm] && !v.skip {
			t.root = true // of roots the signature does not matter
			return t
		}
		if weak[c.SignatureAlgorithm] {
			t.reason, t.at = weakSignature, c
			return t
		}
		next := -1
		for _, i := range v.rootsFirst() {
			p := v.certs[i]
			if seen[i] || !bytes.Equal(p.RawSubject, c.RawIssuer) || checks == maxTrailChecks {
				continue
			}
			checks++
			err := c.CheckSignatureFrom(p)
			if err == nil {
				next = i
				break
			}
			if t.reason == 0 {
				t.reason, t.at, t.err = v.signatureReason(c, p, err)
			}
		}
		if next < 0 {
			return t
		}
		t.reason, t.at, t.err = 0, nil, nil
		seen[next] = true
		t.path = append(t.path, next)
	}
}

// rootsFirst are the indexes of the presented certificates, those that name
// themselves as issuers first: of two authorities that certify each other, one
// may also be a root.
func (v *verification) rootsFirst() []int {
	var roots, others []int
	for i, c := range v.certs {
		if selfIssued(c) {
			roots = append(roots, i)
		} else {
			others = append(others, i)
		}
	}
	return append(roots, others...)
}

// signatureReason says why c, which names p as its issuer, does not have its
// signature, and whose fault that is.
func (v *verification) signatureReason(c, p *x509.Certificate, err error) (reason, *x509.Certificate, error) {
	var constraint x509.ConstraintViolationError
	switch {
	case errors.As(err, &constraint) && v.skip && selfIssued(p):
		return rootNotAnAuthority, p, err
	case errors.As(err, &constraint):
		return notAnAuthority, p, err
	case tooSmall(p):
		return keyTooSmall, p, err
	}
	return otherSignature, c, err
}

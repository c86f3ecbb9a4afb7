package backgate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// days is a change of dates, in days from now.
func days(from, to int) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, from), time.Now().AddDate(0, 0, to)
	}
}

func certsOf(list ...*issued) []*x509.Certificate {
	certs := make([]*x509.Certificate, len(list))
	for i, c := range list {
		certs[i] = c.cert
	}
	return certs
}

// judged is what verify says: the reason, 0 when believed, and the index of the
// certificate at fault.
func judged(t testing.TB, certs []*x509.Certificate, host string, skip bool, roots *x509.CertPool) (reason, int) {
	t.Helper()
	err := verify(certs, host, skip, roots, time.Now())
	if err == nil {
		return 0, -1
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T %v is no *Error", err, err)
	}
	if e.Kind != reasons[e.reason].kind || e.reason == 0 {
		t.Errorf("kind %v, reason %d", e.Kind, e.reason)
	}
	for _, s := range []string{e.Why(), e.Fix(), e.Brief(), e.Text()} {
		if s == "" || strings.ContainsAny(s, "{}") {
			t.Errorf("%v: text %q", err, s)
		}
	}
	return e.reason, e.Element()
}

// The verdict on each chain, the reason and the certificate at fault.
func TestVerdicts(t *testing.T) {
	root := issue(t, nil, authority("trusted root"))
	oldRoot := issue(t, nil, both(authority("old root"), days(-1000, -10)))
	futureRoot := issue(t, nil, both(authority("future root"), days(10, 1000)))
	youngRoot := issue(t, nil, both(authority("young root"), days(-5, 1000)))
	middle := issue(t, root, authority("intermediate"))
	private := issue(t, nil, authority("private root"))
	privateMiddle := issue(t, private, authority("private intermediate"))
	under := func(by *issued, f ...func(*x509.Certificate)) *issued { return issue(t, by, both(f...)) }
	noPathLen := under(root, authority("no authorities below"), func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := under(noPathLen, authority("below"))
	notCA := under(root, func(c *x509.Certificate) { c.Subject.CommonName = "a server" })
	constrained := under(root, authority("constrained"), func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.com"}, true
	})
	clientCA := under(root, authority("client CA"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	noSign := under(nil, authority("no keyCertSign"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	noBasic := under(nil, func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: "no CA:TRUE"}, nil, nil
		c.KeyUsage = x509.KeyUsageCertSign
	})
	impostor := under(nil, authority("trusted root")) // the same name, another key
	oldMiddle := under(root, authority("old intermediate"), days(-500, -100))
	// One key, certified by a root that is gone and by one in force.
	shared := under(oldRoot, authority("shared"), days(-900, -20))
	cross := *shared
	cross.cert = reissue(t, shared, root, authority("shared"))
	// Two authorities that certify each other.
	a := under(nil, authority("A"))
	b := under(a, authority("B"))
	aByB := &issued{reissue(t, a, b, authority("A")), a.key}
	critical := under(root, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
	})
	trusted := rootPool(root, oldRoot, futureRoot, youngRoot)

	for _, test := range []struct {
		chain      string
		certs      []*x509.Certificate
		want       reason
		element    int
		skip       reason // with insecureSkipVerification
		skipAt     int
		otherRoots *x509.CertPool
	}{
		{"leaf", certsOf(under(root)), 0, -1, 0, -1, nil},
		{"leaf, intermediate", certsOf(under(middle), middle), 0, -1, 0, -1, nil},
		{"out of order, with strangers", certsOf(under(middle), private, root, middle, privateMiddle), 0, -1, 0, -1, nil},
		{"cross-signed, one path expired", certsOf(under(shared), shared, &cross), 0, -1, 0, -1, nil},
		{"cross-signed, the expired path alone", certsOf(under(shared), shared), issuerExpired, 1, issuerExpired, 1, nil},

		{"self-signed", certsOf(under(nil)), selfSignedLeaf, 0, 0, -1, nil},
		{"self-signed CA as a server", certsOf(private), selfSignedLeaf, 0, anotherName, 0, nil},
		{"private chain", certsOf(under(privateMiddle), privateMiddle, private), privateRoot, 2, 0, -1, nil},
		{"private chain, root first", certsOf(under(privateMiddle), private, privateMiddle), privateRoot, 1, 0, -1, nil},
		{"private leaf alone", certsOf(under(private)), leafAlone, 0, rootAbsent, 0, nil},
		{"private chain, no root", certsOf(under(privateMiddle), privateMiddle), missingIssuer, 1, rootAbsent, 1, nil},
		{"intermediate missing", certsOf(under(middle)), leafAlone, 0, rootAbsent, 0, nil},
		{"another intermediate", certsOf(under(middle), privateMiddle), unrelated, 0, rootAbsent, 0, nil},
		{"root of the trusted one's name", certsOf(under(impostor)), otherSignature, 0, otherSignature, 0, nil},
		{"signed by another key", certsOf(under(impostor), root), otherSignature, 0, otherSignature, 0, nil},
		{"root without CA:TRUE", certsOf(under(noBasic), noBasic), notAnAuthority, 1, rootNotAnAuthority, 1, nil},
		{"root without keyCertSign", certsOf(under(noSign), noSign), notAnAuthority, 1, rootNotAnAuthority, 1, nil},
		{"issued by a server", certsOf(under(notCA), notCA), notAnAuthority, 1, notAnAuthority, 1, nil},
		{"pathlen", certsOf(under(below), below, noPathLen), pathTooLong, 2, pathTooLong, 2, nil},
		{"name constraints", certsOf(under(constrained), constrained), nameConstraint, 0, nameConstraint, 0, nil},
		{"for clients", certsOf(under(root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), notForServers, 0, notForServers, 0, nil},
		{"under a client CA", certsOf(under(clientCA), clientCA), notForServers, 1, notForServers, 1, nil},
		{"critical extension", certsOf(critical), criticalExtension, 0, criticalExtension, 0, nil},
		{"loop", certsOf(under(b), b, aByB), missingIssuer, 2, rootAbsent, 2, nil},
		{"loop with a way out", certsOf(under(b), b, aByB, a), privateRoot, 3, 0, -1, nil},

		{"expired", certsOf(under(root, days(-10, -1))), leafExpired, 0, leafExpired, 0, nil},
		{"expired, older than its root", certsOf(under(youngRoot, days(-400, -100))), leafExpired, 0, leafExpired, 0, nil},
		{"expired, older than its intermediate", certsOf(under(middle, days(-400, -100)), middle), leafExpired, 0, leafExpired, 0, nil},
		{"expired, private", certsOf(under(private, days(-10, -1)), private), privateRoot, 1, leafExpired, 0, nil},
		{"expired, self-signed", certsOf(under(nil, days(-10, -1))), selfSignedLeaf, 0, leafExpired, 0, nil},
		{"expired private root", certsOf(under(oldRoot), oldRoot), privateRoot, 1, issuerExpired, 1, rootPool(root)},
		{"expired intermediate", certsOf(under(oldMiddle), oldMiddle), issuerExpired, 1, issuerExpired, 1, nil},
		{"expired intermediate and leaf", certsOf(under(oldMiddle, days(-450, -200)), oldMiddle), leafExpired, 0, leafExpired, 0, nil},
		{"expired trusted root", certsOf(under(oldRoot)), rootExpired, -1, rootExpired, -1, nil},
		{"expired trusted root, presented", certsOf(under(oldRoot), oldRoot), issuerExpired, 1, issuerExpired, 1, nil},
		{"expired trusted root over an intermediate", func() []*x509.Certificate {
			m := under(oldRoot, authority("m"), days(-900, 900))
			return certsOf(under(m), m)
		}(), rootExpired, -1, rootExpired, -1, nil},
		{"early", certsOf(under(root, days(1, 10))), leafEarly, 0, leafEarly, 0, nil},
		{"early intermediate", func() []*x509.Certificate {
			m := under(root, authority("m"), days(1, 100))
			return certsOf(under(m), m)
		}(), issuerEarly, 1, issuerEarly, 1, nil},
		{"early trusted root", certsOf(under(futureRoot)), rootEarly, -1, rootEarly, -1, nil},
		{"expired, other name", certsOf(under(root, days(-10, -1), otherName)), leafExpired, 0, leafExpired, 0, nil},
		{"other name", certsOf(under(root, otherName)), anotherName, 0, anotherName, 0, nil},
		{"private, other name", certsOf(under(private, otherName), private), privateRoot, 1, anotherName, 0, nil},
		{"no certificates", nil, chainTooLong, -1, chainTooLong, -1, nil},
	} {
		roots := trusted
		if test.otherRoots != nil {
			roots = test.otherRoots
		}
		const host = "localhost"
		if got, at := judged(t, test.certs, host, false, roots); got != test.want || at != test.element {
			t.Errorf("%s: reason %d (%s) at %d, want %d (%s) at %d", test.chain, got, reasons[got].brief, at, test.want, reasons[test.want].brief, test.element)
		}
		if got, at := judged(t, test.certs, host, true, roots); got != test.skip || at != test.skipAt {
			t.Errorf("%s, skip: reason %d (%s) at %d, want %d (%s) at %d", test.chain, got, reasons[got].brief, at, test.skip, reasons[test.skip].brief, test.skipAt)
		}
	}
	// A server's own certificate may be trusted by itself, also an expired one's fault is then its date.
	own := under(nil)
	if got, _ := judged(t, certsOf(own), "localhost", false, rootPool(own)); got != 0 {
		t.Errorf("trusted by itself: %d", got)
	}
	oldOwn := under(nil, days(-10, -1))
	if got, _ := judged(t, certsOf(oldOwn), "localhost", false, rootPool(oldOwn)); got != leafExpired {
		t.Errorf("trusted by itself, expired: %d", got)
	}
}

// reissue certifies the key of c by another issuer.
func reissue(t testing.TB, c, issuer *issued, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	change(tmpl)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer.cert, c.key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// How hosts and names are compared.
func TestNames(t *testing.T) {
	root := issue(t, nil, authority("root"))
	roots := rootPool(root)
	for _, test := range []struct {
		host  string
		cn    string
		names string // alternative names, IP addresses among them
		want  reason
	}{
		{"api.example.com", "", "api.example.com", 0},
		{"API.Example.COM", "", "api.example.com", 0},
		{"api.example.com", "", "API.EXAMPLE.COM", 0},
		{"api.example.com", "", "example.com", anotherName},
		{"example.com", "", "api.example.com", anotherName},
		{"api.example.com.evil.test", "", "api.example.com", anotherName},
		{"evilapi.example.com", "", "api.example.com", anotherName},
		// Wildcards: the leftmost label, the whole of it, one of it.
		{"api.example.com", "", "*.example.com", 0},
		{"a.b.example.com", "", "*.example.com", wildcardDepth},
		{"example.com", "", "*.example.com", anotherName},
		{"api.example.com", "", "a*.example.com", anotherName},
		{"api.example.com", "", "api.*.com", anotherName},
		{"a.b.example.com", "", "*.*.example.com", anotherName},
		{"localhost", "", "*", anotherName},
		{"example.com", "", "*.com", 0}, // as in Java; the public suffix list is the authorities' business
		{"xn--mnchen-3ya.example", "", "xn--mnchen-3ya.example", 0},
		{"xn--mnchen-3ya.example", "", "*.example", 0},
		{"a_b.example.com", "", "a_b.example.com", 0},
		{"a_b.example.com", "", "*.example.com", 0},
		// IP addresses are names of their own type.
		{"192.0.2.7", "", "192.0.2.7", 0},
		{"192.0.2.7", "", "192.0.2.8", anotherAddress},
		{"192.0.2.7", "192.0.2.7", "", anotherAddress},
		{"192.0.2.7", "", "dns:192.0.2.7", anotherAddress},
		{"192.0.2.7", "", "*.0.2.7", anotherAddress},
		{"2001:db8::7", "", "2001:db8::7", 0},
		{"2001:DB8:0:0:0:0:0:7", "", "2001:db8::7", 0},
		{"::ffff:192.0.2.7", "", "192.0.2.7", 0},
		{"2001:db8::7", "", "2001:db8::8", anotherAddress},
		{"192.0.2.7", "", "localhost", anotherAddress},
		{"0300.0.2.7", "", "192.0.2.7", anotherName}, // a name, to whoever resolves it
		// The common name counts only alone.
		{"api.example.com", "api.example.com", "", 0},
		{"api.example.com", "*.example.com", "", 0},
		{"a.b.example.com", "*.example.com", "", wildcardDepth},
		{"api.example.com", "Example's API", "", anotherName},
		{"api.example.com", "api.example.com", "other.example.com", ignoredCommonName},
		{"api.example.com", "api.example.com", "192.0.2.7", ignoredCommonName},
		{"api.example.com", "api.example.com", "email", ignoredCommonName},
		{"api.example.com", "", "", noNames},
		{"api.example.com", "", "email", noNames},
		// NUL bytes end nothing.
		{"api.example.com", "api.example.com\x00.evil.test", "", anotherName},
		{"api.example.com", "", "api.example.com\x00.evil.test", anotherName},
	} {
		leaf := issue(t, root, func(c *x509.Certificate) {
			c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: test.cn}, nil, nil
			switch ip := net.ParseIP(test.names); {
			case test.names == "email":
				c.EmailAddresses = []string{"a@api.example.com"}
			case ip != nil:
				c.IPAddresses = []net.IP{ip}
			case test.names != "":
				c.DNSNames = []string{strings.TrimPrefix(test.names, "dns:")}
			}
		})
		got, _ := judged(t, certsOf(leaf), test.host, false, roots)
		if got != test.want {
			t.Errorf("%q, CN %q, names %q: reason %d (%s), want %d (%s)", test.host, test.cn, test.names, got, reasons[got].why, test.want, reasons[test.want].why)
		}
		if skipped, _ := judged(t, certsOf(leaf, root), test.host, true, x509.NewCertPool()); skipped != got {
			t.Errorf("%q: skipping verification changes the verdict on the name: %d", test.host, skipped)
		}
	}
	// A common name is no way around name constraints.
	constrained := issue(t, root, both(authority("constrained"), func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} }))
	leaf := issue(t, constrained, func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: "api.evil.test"}, nil, nil
	})
	for _, skip := range []bool{false, true} {
		if got, _ := judged(t, certsOf(leaf, constrained), "api.evil.test", skip, roots); got != constrainedCommonName {
			t.Errorf("common name beneath name constraints: %d", got)
		}
	}
	// The host of a URI: a trailing dot and brackets are no part of the name.
	for _, test := range []struct{ host, name string }{
		{"api.example.com.:8443", "api.example.com"}, {"api.example.com.", "api.example.com"},
		{"[2001:db8::7]:8443", "2001:db8::7"}, {"192.0.2.7", "192.0.2.7"},
	} {
		if p := gate(t, nil).trust.Load().newPool(key{host: test.host, secure: true}); p.tls.ServerName != test.name {
			t.Errorf("%s: verified as %q", test.host, p.tls.ServerName)
		}
	}
	for _, host := range []string{"münchen.example", "a\x00b", "a b", "a/b", "u@h", "[fe80::1%eth0]", "[192.0.2.7]", "", "a:b", "a:123456"} {
		if validAuthority(host) {
			t.Errorf("%q may be sent", host)
		}
	}
}

// tbs is a certificate's signed part, open to forgery.
type tbs struct {
	Version    int `asn1:"optional,explicit,default:0,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []pkix.Extension `asn1:"omitempty,optional,explicit,tag:3"`
}

type signed struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// forge makes another certificate of c: change edits what is signed, patch its
// bytes. sign makes the signature; nil: ECDSA with SHA-256 by issuer.
func forge(t testing.TB, c, issuer *issued, change func(*tbs), patch func([]byte) []byte, sign func([]byte) []byte) []byte {
	t.Helper()
	var s tbs
	if _, err := asn1.Unmarshal(c.cert.RawTBSCertificate, &s); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	der, err := asn1.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if patch != nil {
		der = patch(der)
	}
	var signature []byte
	if sign != nil {
		signature = sign(der)
	} else {
		sum := sha256.Sum256(der)
		if signature, err = ecdsa.SignASN1(rand.Reader, issuer.key, sum[:]); err != nil {
			t.Fatal(err)
		}
	}
	out, err := asn1.Marshal(signed{asn1.RawValue{FullBytes: der}, s.Algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withKey certifies a public key that nobody has: a modulus of so many bits.
func withKey(t testing.TB, issuer *issued, bits int, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.Add(n, big.NewInt(12345)) // odd
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "backend"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer.cert, &rsa.PublicKey{N: n, E: 65537}, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

// tooLong is what a verdict may take at most, on the slowest machine.
const tooLong = 5 * time.Second

// Certificates made to be misread, or to cost much.
func TestHostileCertificates(t *testing.T) {
	root := issue(t, nil, authority("root"))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("n%d.example.com", i)
	}
	permitted := make([]string, 3000)
	for i := range permitted {
		permitted[i] = fmt.Sprintf("p%d.example", i)
	}
	bomb := issue(t, root, both(authority("bomb"), func(c *x509.Certificate) { c.PermittedDNSDomains, c.ExcludedDNSDomains = permitted, permitted }))
	rsaRoot := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	authority("RSA root")(rsaRoot)
	der, err := x509.CreateCertificate(rand.Reader, rsaRoot, rsaRoot, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaRoot = parse(t, der)
	byRSA := func(a x509.SignatureAlgorithm) *x509.Certificate {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "backend"}, DNSNames: []string{"localhost"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: a}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, rsaRoot, rsaKey.Public(), rsaKey)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, der)
	}
	md5Leaf := func() *x509.Certificate {
		md5WithRSA := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, Parameters: asn1.NullRawValue}
		return parse(t, forge(t, &issued{cert: byRSA(x509.SHA256WithRSA)}, nil, func(s *tbs) { s.Algorithm = md5WithRSA }, nil, func(der []byte) []byte {
			sum := md5.Sum(der)
			signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.MD5, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}))
	}()
	version1 := func() *issued {
		c := issue(t, nil, authority("version 1 root"))
		return &issued{parse(t, forge(t, c, c, func(s *tbs) { s.Version, s.Extensions = 0, nil }, nil, nil)), c.key}
	}()
	// All of one name, each signed by the next of them: every one may be
	// anybody's issuer.
	maze := func(n int) []*x509.Certificate {
		list := make([]*issued, n)
		list[n-1] = issue(t, nil, authority("maze"))
		for i := n - 2; i >= 0; i-- {
			change := authority("maze")
			if i == 0 {
				change = nil
			}
			list[i] = issue(t, list[i+1], change)
		}
		return certsOf(list...)
	}
	long := func(n int, top *issued) []*x509.Certificate {
		by, certs := top, []*x509.Certificate{}
		for i := n - 1; i > 0; i-- {
			by = issue(t, by, authority(fmt.Sprintf("authority %d", i)))
			certs = append([]*x509.Certificate{by.cert}, certs...)
		}
		return append(certsOf(issue(t, by, nil)), certs...)
	}
	weakMiddle := func() *x509.Certificate { return withKey(t, root, 512, authority("512 bits")) }()
	for _, test := range []struct {
		what  string
		certs []*x509.Certificate
		roots *x509.CertPool
		want  reason
		at    int
	}{
		{"10,000 names, none right", certsOf(issue(t, root, func(c *x509.Certificate) { c.DNSNames = many })), nil, anotherName, 0},
		{"10,000 names under constraints", certsOf(issue(t, bomb, func(c *x509.Certificate) { c.DNSNames = many }), bomb), nil, nameConstraint, 0},
		{"RSA 8192", []*x509.Certificate{withKey(t, root, 8192, nil)}, nil, 0, -1}, // crypto/tls takes no larger ones
		{"RSA 1024", []*x509.Certificate{withKey(t, root, 1024, nil)}, nil, 0, -1},
		{"RSA 512", []*x509.Certificate{withKey(t, root, 512, nil)}, nil, keyTooSmall, 0},
		{"RSA 512 as issuer", []*x509.Certificate{parse(t, forge(t, issue(t, root, nil), root, func(s *tbs) {
			s.Issuer = asn1.RawValue{FullBytes: weakMiddle.RawSubject}
			s.Algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}
		}, nil, func([]byte) []byte { return make([]byte, 64) })), weakMiddle}, nil, keyTooSmall, 1},
		{"SHA-1", []*x509.Certificate{byRSA(x509.SHA1WithRSA)}, certPool(rsaRoot), weakSignature, 0},
		{"SHA-1, root presented", []*x509.Certificate{byRSA(x509.SHA1WithRSA), rsaRoot}, certPool(rsaRoot), weakSignature, 0},
		{"MD5", []*x509.Certificate{md5Leaf}, certPool(rsaRoot), weakSignature, 0},
		{"SHA-256", []*x509.Certificate{byRSA(x509.SHA256WithRSA)}, certPool(rsaRoot), 0, -1},
		{"version 1 root", certsOf(issue(t, version1, nil)), rootPool(version1), 0, -1},
		{"version 1 root, not trusted", certsOf(issue(t, version1, nil), version1), nil, privateRoot, 1},
		{"maze", maze(maxChain), nil, chainTooCostly, 0},
		{"20 certificates", long(20, root), nil, 0, -1},
		{"21 certificates", long(21, root), nil, chainTooLong, -1},
		{"the same certificate 20 times", func() []*x509.Certificate {
			c := issue(t, root, nil).cert
			certs := make([]*x509.Certificate, 20)
			for i := range certs {
				certs[i] = c
			}
			return certs
		}(), rootPool(bomb), unrelated, 0},
	} {
		roots := test.roots
		if roots == nil {
			roots = rootPool(root)
		}
		begun := time.Now()
		got, at := judged(t, test.certs, "localhost", false, roots)
		if took := time.Since(begun); took > tooLong {
			t.Errorf("%s: took %v", test.what, took)
		} else {
			t.Logf("%s: %v", test.what, took)
		}
		if got != test.want || at != test.at {
			t.Errorf("%s: reason %d (%s) at %d, want %d (%s) at %d", test.what, got, reasons[got].why, at, test.want, reasons[test.want].why, test.at)
		}
		judged(t, test.certs, "localhost", true, roots)
	}
	// A version 1 root may be trusted by an operator, but not by itself.
	if got, _ := judged(t, certsOf(issue(t, version1, nil), version1), "localhost", true, rootPool(root)); got != rootNotAnAuthority {
		t.Errorf("version 1 root, skip: %d", got)
	}
	// The texts for logs are short, whatever is in the certificate.
	err = verify(certsOf(issue(t, root, func(c *x509.Certificate) { c.DNSNames = many })), "localhost", false, rootPool(root), time.Now())
	var e *Error
	if !errors.As(err, &e) || len(e.Error()) > 2<<10 || len(e.Why()) > maxWhy || !strings.Contains(e.Why(), "and 9996 more") {
		t.Errorf("%d bytes: %s", len(e.Error()), e.Why())
	}
}

func certPool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// The most that a chain may cost: as many signatures of the slowest kind as
// crypto/x509 checks.
func TestVerdictIsBounded(t *testing.T) {
	slow := func(issuer *x509.Certificate, by *ecdsa.PrivateKey, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(serial.Add(1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		change(c)
		if issuer == nil {
			issuer, by = c, k
		}
		der, err := x509.CreateCertificate(rand.Reader, c, issuer, k.Public(), by)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, der), k
	}
	// 13 certificates of one name: 12+11+...+1 = 78 checks, so never too many.
	c, k := slow(nil, nil, authority("maze"))
	certs := []*x509.Certificate{c}
	for range 12 {
		c, k = slow(c, k, both(authority("maze"), expired))
		certs = append([]*x509.Certificate{c}, certs...)
	}
	begun := time.Now()
	_, _ = judged(t, certs, "localhost", false, x509.NewCertPool())
	took := time.Since(begun)
	t.Logf("%v", took)
	if took > tooLong {
		t.Errorf("took %v", took)
	}
}

// What cannot be read at all is refused in the handshake, before any verdict.
func unreadables(t testing.TB, root *issued) map[string][]byte {
	leaf := issue(t, root, nil)
	return map[string][]byte{
		"negative serial": forge(t, leaf, root, func(s *tbs) { s.Serial = big.NewInt(-5) }, nil, nil),
		"a name beyond ASCII": forge(t, leaf, root, nil, func(der []byte) []byte {
			return bytes.Replace(der, []byte("localhost"), []byte("localh\xf6st"), 1)
		}, nil),
		"a name that is cut": forge(t, leaf, root, func(s *tbs) {
			for i := range s.Extensions {
				if s.Extensions[i].Id.Equal(subjectAltName) {
					s.Extensions[i].Value = s.Extensions[i].Value[:len(s.Extensions[i].Value)-1]
				}
			}
		}, nil, nil),
		"an extension twice": forge(t, leaf, root, func(s *tbs) { s.Extensions = append(s.Extensions, s.Extensions[0]) }, nil, nil),
		"cut":                leaf.cert.Raw[:len(leaf.cert.Raw)-1],
		"trailing bytes":     append(bytes.Clone(leaf.cert.Raw), 0),
		"empty":              {},
		"no certificate":     []byte("-----BEGIN CERTIFICATE-----"),
	}
}

// rawValue is a public key's DER: an algorithm's OID and the key's bytes.
func rawValue(t testing.TB, oid asn1.ObjectIdentifier, key []byte) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: oid}, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: der}
}

func writePEM(t testing.TB, path string, c *x509.Certificate) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

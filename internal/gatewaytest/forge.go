package gatewaytest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // to make what must be refused
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // OCSP names issuers by it
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/pki"
)

// forge makes the farm's certificates. Every fault in them is real: dates have
// passed, signatures are by the keys that they claim, and so on. They are made
// once per process and at the same time, since some take long.
type forge struct {
	now time.Time
	// root is trusted; stranger is a root that nobody trusts; outlived is
	// trusted, but its own dates have passed.
	root, stranger, outlived *pki.Authority
}

const day = 24 * time.Hour

func newForge() *forge {
	f := &forge{now: time.Now()}
	f.root = f.authority(nil, "Farm Root")
	f.stranger = f.authority(nil, "Stranger Root")
	f.outlived = f.authority(nil, "Outlived Root", f.dates(-1000*day, -day))
	return f
}

// roots are what a gateway has to trust for the good backends, and the trusted
// root that has expired.
func (f *forge) roots() []*x509.Certificate {
	return []*x509.Certificate{f.root.Certificate, f.outlived.Certificate}
}

// must ends the test run: without its certificates there is no farm.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("gatewaytest: forge: %v", err))
	}
	return v
}

// tweak alters a certificate before it is signed.
type tweak = func(*x509.Certificate)

// authority makes a certificate authority, a root without an issuer, valid from
// ten years ago for twenty, unless a tweak says otherwise.
func (f *forge) authority(issuer *pki.Authority, name string, tweaks ...tweak) *pki.Authority {
	return f.ca(issuer, name, tweaks...).Authority()
}

func (f *forge) ca(issuer *pki.Authority, name string, tweaks ...tweak) *pki.Issued {
	return f.issue(issuer, pki.LeafOptions{CommonName: name}, append([]tweak{func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		c.NotBefore, c.NotAfter = f.now.AddDate(-10, 0, 0), f.now.AddDate(10, 0, 0)
		c.Subject.Organization = []string{"Sallyport Farm"}
	}}, tweaks...)...)
}

// again is an authority's certificate signed anew by another one.
func (f *forge) again(of *pki.Issued, by *pki.Authority) *x509.Certificate {
	return f.issue(by, pki.LeafOptions{Key: of.Key}, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.Subject = true, x509.KeyUsageCertSign, nil, of.Certificate.Subject
	}).Certificate
}

// leaf makes a server certificate for a backend's host, valid from a month ago
// for three; without an issuer it signs itself.
func (f *forge) leaf(issuer *pki.Authority, host string, tweaks ...tweak) *pki.Issued {
	return f.issue(issuer, pki.LeafOptions{Names: []string{host}}, tweaks...)
}

// keyed is leaf with a key of a kind.
func (f *forge) keyed(kind pki.KeyKind, host string) *pki.Issued {
	return f.issue(f.root, pki.LeafOptions{Names: []string{host}, Kind: kind})
}

func (f *forge) issue(issuer *pki.Authority, o pki.LeafOptions, tweaks ...tweak) *pki.Issued {
	if o.SelfSigned = issuer == nil; o.SelfSigned {
		issuer = f.root // it has no part in it
		if issuer == nil {
			issuer = must(pki.NewAuthority("of no account"))
		}
	}
	o.NotBefore, o.NotAfter = f.now.Add(-30*day), f.now.Add(60*day)
	o.Adjust = func(c *x509.Certificate) {
		for _, tweak := range tweaks {
			tweak(c)
		}
	}
	return must(issuer.Leaf(o))
}

// dates sets the validity, counted from now.
func (f *forge) dates(from, to time.Duration) tweak {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = f.now.Add(from), f.now.Add(to) }
}

// expired ended yesterday, within the life of its issuer; early begins tomorrow.
func (f *forge) expired() tweak { return f.dates(-90*day, -day) }
func (f *forge) early() tweak   { return f.dates(day, 90*day) }

// names replaces all names. A common name is the only one that is not a DNS
// name or an address among the alternative names.
func names(common string, alternative ...string) tweak {
	return func(c *x509.Certificate) {
		c.Subject, c.DNSNames, c.IPAddresses = pkix.Name{CommonName: common}, nil, nil
		for _, n := range alternative {
			if ip := net.ParseIP(n); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else {
				c.DNSNames = append(c.DNSNames, n)
			}
		}
	}
}

// present is what a server shows: the leaf, then exactly the others.
func present(leaf *pki.Issued, others ...*x509.Certificate) tls.Certificate {
	leaf.Chain = others
	return leaf.TLS()
}

// edKey is an Ed25519 key.
func edKey() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

// largeKey is an RSA key of 8192 bits, the largest that clients usually take.
// It has eight small primes: two large ones take ten seconds to find.
func largeKey() crypto.Signer {
	one, exponent := big.NewInt(1), big.NewInt(65537)
	for {
		n, phi := big.NewInt(1), big.NewInt(1)
		for range 8 {
			p := must(rand.Prime(rand.Reader, 1024))
			n.Mul(n, p)
			phi.Mul(phi, p.Sub(p, one))
		}
		// Eight factors of 1024 bits may fall a bit or two short, which counts as
		// 8192 all the same.
		if d := new(big.Int).ModInverse(exponent, phi); d != nil {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, D: d}
		}
	}
}

// pretender has a public key and signs nonsense: a stolen certificate without
// its key, or a key too large to make.
type pretender struct{ public crypto.PublicKey }

func (p pretender) Public() crypto.PublicKey { return p.public }

func (p pretender) Sign(random io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	if key, ok := p.public.(*rsa.PublicKey); ok {
		return make([]byte, key.Size()), nil
	}
	other, err := pki.NewAuthority("someone else")
	if err != nil {
		return nil, err
	}
	leaf, err := other.Leaf(pki.LeafOptions{})
	if err != nil {
		return nil, err
	}
	return leaf.Key.Sign(random, make([]byte, 32), crypto.SHA256)
}

// hugeKey is the public half of an RSA key of 16,384 bits that nobody has.
func hugeKey() crypto.Signer {
	n := make([]byte, 2048)
	must(rand.Read(n))
	n[0], n[len(n)-1] = n[0]|0x80, n[len(n)-1]|1
	return pretender{&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}}
}

// md5Signed signs c, which has an RSA and SHA-256 signature by key, again with
// MD5, which crypto/x509 refuses to do.
func md5Signed(c *x509.Certificate, key crypto.Signer) *x509.Certificate {
	withSHA256, withMD5 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
	tbs := bytes.Replace(c.RawTBSCertificate, must(asn1.Marshal(withSHA256)), must(asn1.Marshal(withMD5)), 1)
	sum := md5.Sum(tbs) //nolint:gosec // as above
	signature := must(rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), crypto.MD5, sum[:]))
	return must(x509.ParseCertificate(must(asn1.Marshal(signed{
		asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: withMD5, Parameters: asn1.NullRawValue}, bits(signature),
	}))))
}

// signed is the outer form of certificates and of OCSP responses.
type signed struct {
	Content   asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

func bits(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

// revoked is a fresh OCSP response, signed by the issuer, by which the
// certificate is revoked. Source: RFC 6960, section 4.2.1.
func revoked(now time.Time, issuer *pki.Issued, c *x509.Certificate) []byte {
	type certID struct {
		Hash      pkix.AlgorithmIdentifier
		Name, Key []byte
		Serial    *big.Int
	}
	type revokedInfo struct {
		At time.Time `asn1:"generalized"`
	}
	type single struct {
		ID         certID
		Revoked    revokedInfo `asn1:"tag:1"`
		ThisUpdate time.Time   `asn1:"generalized"`
		NextUpdate time.Time   `asn1:"generalized,explicit,tag:0"`
	}
	type data struct {
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []single
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	must(asn1.Unmarshal(issuer.Certificate.RawSubjectPublicKeyInfo, &spki))
	name, key := sha1.Sum(issuer.Certificate.RawSubject), sha1.Sum(spki.Key.RightAlign()) //nolint:gosec // as above
	now = now.UTC().Truncate(time.Second)
	tbs := must(asn1.Marshal(data{
		Responder:  asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: issuer.Certificate.RawSubject},
		ProducedAt: now,
		Responses: []single{{
			ID:         certID{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, Parameters: asn1.NullRawValue}, name[:], key[:], c.SerialNumber},
			Revoked:    revokedInfo{now.Add(-day)},
			ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(day),
		}},
	}))
	hash := crypto.SHA256.New()
	hash.Write(tbs)
	signature := must(issuer.Key.Sign(rand.Reader, hash.Sum(nil), crypto.SHA256))
	ecdsaWithSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	basic := must(asn1.Marshal(signed{asn1.RawValue{FullBytes: tbs}, ecdsaWithSHA256, bits(signature)}))
	type responseBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	return must(asn1.Marshal(struct {
		Status asn1.Enumerated
		Bytes  responseBytes `asn1:"explicit,tag:0"`
	}{0, responseBytes{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, basic}}))
}

// forged holds what was made already.
var forged = sync.OnceValue(func() (out struct {
	forge    *forge
	services map[string]service
}) {
	out.forge, out.services = newForge(), map[string]service{}
	var mu sync.Mutex
	var makers sync.WaitGroup
	for _, row := range farm {
		makers.Go(func() {
			s := row.make(out.forge, row.name+farmDomain)
			mu.Lock()
			defer mu.Unlock()
			out.services[row.name] = s
		})
	}
	makers.Wait()
	return out
})

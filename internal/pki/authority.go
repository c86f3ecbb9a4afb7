package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// KeyKind is a kind of private key that a certificate may hold. The zero value
// is ECDSAP256.
type KeyKind int

const (
	ECDSAP256 KeyKind = iota
	ECDSAP384
	ECDSAP521
	RSA1024
	RSA2048
	RSA3072
	RSA4096
)

// keyKinds says what each kind is. These are what ACM imports and API Gateway
// serves; acm is ACM's name for it.
// Source: ACM user guide, import-certificate-prerequisites; ACM API, KeyAlgorithm.
var keyKinds = []struct {
	kind  KeyKind
	acm   string
	curve elliptic.Curve // nil: RSA
	bits  int            // of an RSA modulus
}{
	{ECDSAP256, "EC_prime256v1", elliptic.P256(), 0},
	{ECDSAP384, "EC_secp384r1", elliptic.P384(), 0},
	{ECDSAP521, "EC_secp521r1", elliptic.P521(), 0},
	{RSA1024, "RSA_1024", nil, 1024},
	{RSA2048, "RSA_2048", nil, 2048},
	{RSA3072, "RSA_3072", nil, 3072},
	{RSA4096, "RSA_4096", nil, 4096},
}

// String returns ACM's name of the kind, such as "EC_prime256v1" or "RSA_2048".
func (k KeyKind) String() string {
	for _, row := range keyKinds {
		if row.kind == k {
			return row.acm
		}
	}
	return fmt.Sprintf("KeyKind(%d)", int(k))
}

// IsRSA reports whether the kind is one of the RSA kinds.
func (k KeyKind) IsRSA() bool { return k >= RSA1024 && k <= RSA4096 }

// KindOf returns the kind of a public key; ok is false for one that is not in
// the table.
func KindOf(pub crypto.PublicKey) (kind KeyKind, ok bool) {
	for _, row := range keyKinds {
		switch pub := pub.(type) {
		case *ecdsa.PublicKey:
			ok = row.curve != nil && pub.Curve == row.curve
		case *rsa.PublicKey:
			ok = row.curve == nil && pub.N.BitLen() == row.bits
		}
		if ok {
			return row.kind, true
		}
	}
	return 0, false
}

func newKey(kind KeyKind) (crypto.Signer, error) {
	for _, row := range keyKinds {
		switch {
		case row.kind != kind:
		case row.curve != nil:
			return ecdsa.GenerateKey(row.curve, rand.Reader)
		default:
			return rsa.GenerateKey(rand.Reader, row.bits)
		}
	}
	return nil, fmt.Errorf("%v: no such kind of key", kind)
}

// skew is how far in the past certificates begin, for peers whose clock lags.
const skew = time.Hour

// Authority is a certificate authority in memory, as tests and the quickstart's
// backend farm need them: good ones, and ones that sign what must be refused.
// Safe for concurrent use.
type Authority struct {
	// Certificate is the authority's own.
	Certificate *x509.Certificate

	key   crypto.Signer
	chain []*x509.Certificate // what its leaves present after themselves: intermediates, nearest first
	now   func() time.Time
}

// NewAuthority makes a self-signed root, ECDSA P-256, valid for ten years,
// whose common name is name.
func NewAuthority(name string) (*Authority, error) {
	key, err := newKey(ECDSAP256)
	if err != nil {
		return nil, err
	}
	return newRoot(name, key, time.Now)
}

func newRoot(name string, key crypto.Signer, now func() time.Time) (*Authority, error) {
	template := authorityTemplate(name, now())
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: cert, key: key, now: now}, nil
}

// Intermediate makes an authority signed by a. Its leaves present it, and every
// intermediate above it, in their chain.
func (a *Authority) Intermediate(name string) (*Authority, error) {
	key, err := newKey(ECDSAP256)
	if err != nil {
		return nil, err
	}
	cert, err := sign(authorityTemplate(name, a.now()), a.Certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &Authority{Certificate: cert, key: key, chain: slices.Concat([]*x509.Certificate{cert}, a.chain), now: a.now}, nil
}

// Pool returns a pool with the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte { return certificatePEM(a.Certificate) }

// LeafOptions say what Leaf makes. The zero value is a valid ECDSA P-256 server
// certificate without names.
type LeafOptions struct {
	// Names are DNS names, wildcards included, and IP addresses. The first
	// becomes the common name if CommonName is empty and it fits (64 bytes).
	Names      []string
	CommonName string
	// Kind of the key; ignored if Key is set.
	Kind KeyKind
	// Key is used instead of a new one.
	Key crypto.Signer
	// NotBefore and NotAfter: zero means an hour ago, and a year from now but
	// not after the authority's own end. Set both for an expired or a not yet
	// valid certificate: they are taken as they are.
	NotBefore, NotAfter time.Time
	// Client makes a certificate for clients rather than servers.
	Client bool
	// SelfSigned signs with the leaf's own key: the authority has no part in it.
	SelfSigned bool
	// Adjust, unless nil, has the last word on what is signed: tests of verifiers
	// need certificates that no honest authority issues.
	Adjust func(*x509.Certificate)
}

// Issued is a certificate with its key, fresh from an authority.
type Issued struct {
	Certificate *x509.Certificate
	// Chain holds the intermediates, nearest first, without the root. Drop it
	// to present an incomplete chain.
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// Leaf issues a certificate.
func (a *Authority) Leaf(opts LeafOptions) (*Issued, error) {
	key := opts.Key
	if key == nil {
		var err error
		if key, err = newKey(opts.Kind); err != nil {
			return nil, err
		}
	}
	now := a.now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: opts.CommonName},
		NotBefore:             opts.NotBefore,
		NotAfter:              opts.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if _, ok := key.(*rsa.PrivateKey); ok {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment // the older policies hold suites with RSA key exchange
	}
	if opts.Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = now.Add(-skew)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = now.AddDate(1, 0, 0)
		if end := a.Certificate.NotAfter; !opts.SelfSigned && template.NotAfter.After(end) {
			template.NotAfter = end
		}
	}
	for _, name := range opts.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if template.Subject.CommonName == "" && len(opts.Names) > 0 && len(opts.Names[0]) <= 64 {
		template.Subject.CommonName = opts.Names[0]
	}
	if opts.Adjust != nil {
		opts.Adjust(template)
	}
	parent, signer, chain := a.Certificate, a.key, a.chain
	if opts.SelfSigned {
		parent, signer, chain = template, key, nil
	}
	cert, err := sign(template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	return &Issued{Certificate: cert, Chain: chain, Key: key}, nil
}

// Authority signs with the certificate's key, whether or not the certificate
// says that it may. Its leaves present it in their chain, unless it signed
// itself.
func (i *Issued) Authority() *Authority {
	a := &Authority{Certificate: i.Certificate, key: i.Key, now: time.Now}
	if !bytes.Equal(i.Certificate.RawSubject, i.Certificate.RawIssuer) {
		a.chain = slices.Concat([]*x509.Certificate{i.Certificate}, i.Chain)
	}
	return a
}

// TLS returns the certificate as crypto/tls serves it.
func (i *Issued) TLS() tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.Certificate.Raw}, PrivateKey: i.Key, Leaf: i.Certificate}
	for _, cert := range i.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// CertificatePEM returns the leaf alone.
func (i *Issued) CertificatePEM() []byte { return certificatePEM(i.Certificate) }

// ChainPEM returns the intermediates; empty if there are none.
func (i *Issued) ChainPEM() []byte { return certificatePEM(i.Chain...) }

// KeyPEM returns the private key as PKCS #8.
func (i *Issued) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// String names the certificate and keeps the key out of logs.
func (i *Issued) String() string { return "certificate of " + i.Certificate.Subject.String() }

func authorityTemplate(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Sallyport"}},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

func sign(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if template.IsCA {
		id, err := keyID(pub)
		if err != nil {
			return nil, err
		}
		template.SubjectKeyId = id
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// keyID identifies a public key: the first 20 bytes of SHA-256 of its
// SubjectPublicKeyInfo (RFC 7093, method 4).
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return sum[:20], nil
}

// serial returns a random serial number of 127 bits, never zero (RFC 5280,
// section 4.1.2.2, allows 20 bytes).
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // it never fails: crypto/rand.Read
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

func certificatePEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, cert := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return out
}

// sameKey reports whether key's public half is pub.
func sameKey(key crypto.Signer, pub crypto.PublicKey) bool {
	k, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(pub)
}

// parseSigner reads a PKCS #8 private key that can sign.
func parseSigner(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("not a signing key")
	}
	return signer, nil
}

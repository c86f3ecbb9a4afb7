package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Bounds of an import. Source: ACM API reference, ImportCertificate.
const (
	MaxCertificateBytes = 32 << 10
	MaxKeyBytes         = 5 << 10
	MaxChainBytes       = 2 << 20
	// maxChain bounds the signatures that one import makes us check; no chain
	// that clients accept is nearly as long.
	maxChain = 16
	// maxChainBits bounds the RSA keys in it, as crypto/tls does.
	maxChainBits = 8192
)

// Reasons why ParseCertificate refuses; the error wraps one of them and names
// the part at fault: certificate, private key or chain.
var (
	ErrTooBig         = errors.New("too large")
	ErrNotPEM         = errors.New("not in PEM format")
	ErrMalformed      = errors.New("malformed")
	ErrManyLeaves     = errors.New("more than one certificate")
	ErrExpired        = errors.New("expired")
	ErrNotYetValid    = errors.New("not yet valid")
	ErrUnsupportedKey = errors.New("unsupported kind of key")
	ErrEncryptedKey   = errors.New("encrypted")
	ErrKeyMismatch    = errors.New("not the key of the certificate")
	ErrBrokenChain    = errors.New("does not link")
)

// Imported is a certificate that may be served: its key fits, it is valid now
// and its chain links.
type Imported struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // from the leaf's issuer upwards; may be empty
	Key   crypto.Signer
	Kind  KeyKind // its String is ACM's KeyAlgorithm
}

// ParseCertificate judges what somebody wants to import: certificate holds
// exactly one certificate, key its private key unencrypted (PKCS #1, PKCS #8 or
// SEC 1), chain, which may be empty, the certificates from the leaf's issuer
// upwards, with or without the root; all in PEM. The kinds of key are those of
// KeyKind. Dates are judged at now, of the leaf alone: chains in use end in
// cross-signed roots that have expired. Errors never quote the key.
// Source: ACM user guide, import-certificate-prerequisites.
func ParseCertificate(certificate, key, chain []byte, now time.Time) (*Imported, error) {
	for _, part := range []struct {
		name  string
		text  []byte
		limit int
	}{
		{"certificate", certificate, MaxCertificateBytes},
		{"private key", key, MaxKeyBytes},
		{"certificate chain", chain, MaxChainBytes},
	} {
		if len(part.text) > part.limit {
			return nil, fmt.Errorf("%s: %w: %d bytes, at most %d", part.name, ErrTooBig, len(part.text), part.limit)
		}
	}
	imported := new(Imported)
	leaves, err := parseCertificates(certificate, 1)
	if errors.Is(err, errTooMany) {
		err = ErrManyLeaves
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	imported.Leaf = leaves[0]
	if imported.Key, err = parseKey(key); err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if len(bytes.TrimSpace(chain)) > 0 {
		if imported.Chain, err = parseCertificates(chain, maxChain); err != nil {
			return nil, fmt.Errorf("certificate chain: %w", err)
		}
	}

	var ok bool
	switch imported.Kind, ok = KindOf(imported.Leaf.PublicKey); {
	case !ok:
		return nil, fmt.Errorf("certificate: %w: %v", ErrUnsupportedKey, imported.Leaf.PublicKeyAlgorithm)
	case !sameKey(imported.Key, imported.Leaf.PublicKey):
		return nil, fmt.Errorf("private key: %w", ErrKeyMismatch)
	case now.Before(imported.Leaf.NotBefore):
		return nil, fmt.Errorf("certificate: %w: valid from %s", ErrNotYetValid, imported.Leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(imported.Leaf.NotAfter):
		return nil, fmt.Errorf("certificate: %w: valid until %s", ErrExpired, imported.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	child := imported.Leaf
	for i, parent := range imported.Chain {
		if pub, ok := parent.PublicKey.(*rsa.PublicKey); ok && pub.N.BitLen() > maxChainBits {
			return nil, fmt.Errorf("certificate chain: certificate %d: %w: RSA of %d bits", i+1, ErrUnsupportedKey, pub.N.BitLen())
		}
		if err := child.CheckSignatureFrom(parent); err != nil || !bytes.Equal(child.RawIssuer, parent.RawSubject) {
			return nil, fmt.Errorf("certificate chain: %w: certificate %d (%s) did not sign %s", ErrBrokenChain, i+1, parent.Subject, child.Subject)
		}
		child = parent
	}
	return imported, nil
}

// TLS returns the certificate as crypto/tls serves it: the leaf, then its
// chain, without a self-signed root, which no client needs.
func (i *Imported) TLS() tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.Leaf.Raw}, PrivateKey: i.Key, Leaf: i.Leaf}
	for _, cert := range i.Chain {
		if !bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			c.Certificate = append(c.Certificate, cert.Raw)
		}
	}
	return c
}

// CertificatePEM returns the leaf in canonical PEM.
func (i *Imported) CertificatePEM() []byte { return certificatePEM(i.Leaf) }

// ChainPEM returns the chain in canonical PEM; empty if there is none.
func (i *Imported) ChainPEM() []byte { return certificatePEM(i.Chain...) }

// PKCS8 returns the private key in DER, to be sealed.
func (i *Imported) PKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(i.Key) }

// String names the certificate and keeps the key out of logs.
func (i *Imported) String() string { return "certificate of " + i.Leaf.Subject.String() }

var errTooMany = errors.New("too many certificates")

// parseCertificates reads one to limit certificates.
func parseCertificates(text []byte, limit int) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) > limit {
		return nil, fmt.Errorf("%w: %w: %d, at most %d", ErrTooBig, errTooMany, len(blocks), limit)
	}
	var certs []*x509.Certificate
	for i, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: block %d is %q, not a certificate", ErrNotPEM, i+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// keyParsers lists how private keys are written. "EC PARAMETERS", which OpenSSL
// puts before a SEC 1 key, is passed over.
var keyParsers = map[string]func([]byte) (any, error){
	"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
	"RSA PRIVATE KEY": func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	"EC PRIVATE KEY":  func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
}

func parseKey(text []byte) (crypto.Signer, error) {
	blocks, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	if blocks[0].Type == "EC PARAMETERS" && len(blocks) == 2 {
		blocks = blocks[1:]
	}
	block := blocks[0]
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" || block.Headers["Proc-Type"] != "" {
		return nil, fmt.Errorf("%w: only an unencrypted key can be imported", ErrEncryptedKey)
	}
	parse := keyParsers[block.Type]
	if parse == nil {
		return nil, fmt.Errorf("%w: a block of type %q is not a private key", ErrNotPEM, block.Type)
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("%w: %d blocks, not one", ErrMalformed, len(blocks))
	}
	key, err := parse(block.Bytes)
	if err != nil {
		// The parser's text is left out: it may quote the input.
		return nil, fmt.Errorf("%w: not a %s that can be read", ErrMalformed, block.Type)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, ErrUnsupportedKey
	}
	if _, ok := KindOf(signer.Public()); !ok {
		return nil, ErrUnsupportedKey
	}
	return signer, nil
}

// decodePEM returns the blocks of text, at least one. Text between blocks is a
// comment (RFC 7468, section 2), but a block that does not decode is an error:
// encoding/pem would skip it without a word.
func decodePEM(text []byte) ([]*pem.Block, error) {
	var blocks []*pem.Block
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks = append(blocks, block)
	}
	if len(blocks) == 0 || bytes.Count(text, []byte("-----BEGIN ")) != len(blocks) {
		return nil, ErrNotPEM
	}
	return blocks, nil
}

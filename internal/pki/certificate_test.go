package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// pemOf wraps DER; key material of the wrong kinds is made with it.
func pemOf(kind string, der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(t testing.TB, i *Issued) []byte {
	t.Helper()
	text, err := i.KeyPEM()
	must(t, err)
	return text
}

func TestParseCertificate(t *testing.T) {
	root, err := NewAuthority("root")
	must(t, err)
	other, err := NewAuthority("other root")
	must(t, err)
	middle, err := root.Intermediate("middle")
	must(t, err)
	lower, err := middle.Intermediate("lower")
	must(t, err)
	leafOf := func(a *Authority, opts LeafOptions) *Issued {
		opts.Names = []string{"api.example.com"}
		leaf, err := a.Leaf(opts)
		must(t, err)
		return leaf
	}
	good, rsaLeaf := leafOf(lower, LeafOptions{}), leafOf(root, LeafOptions{Kind: RSA2048})
	cert, key, chain := good.CertificatePEM(), keyPEM(t, good), good.ChainPEM()
	rsaCert := rsaLeaf.CertificatePEM()
	sec1, err := x509.MarshalECPrivateKey(good.Key.(*ecdsa.PrivateKey))
	must(t, err)
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaLeaf.Key.(*rsa.PrivateKey))
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	rsa1536, err := rsa.GenerateKey(rand.Reader, 1536)
	must(t, err)
	edLeaf, p224Leaf, oddLeaf := leafOf(root, LeafOptions{Key: ed}), leafOf(root, LeafOptions{Key: p224}), leafOf(root, LeafOptions{Key: rsa1536})
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: pkcs1,
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	past, future := time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour)
	params := pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}, nil)
	join := func(texts ...[]byte) []byte { return slices.Concat(texts...) }

	for _, c := range []struct {
		name             string
		cert, key, chain []byte
		want             error
		part             string
	}{
		{"with its chain", cert, key, chain, nil, ""},
		{"without a chain", cert, key, nil, nil, ""},
		{"a blank chain", cert, key, []byte("\n"), nil, ""},
		{"a chain with its root", cert, key, join(chain, root.PEM()), nil, ""},
		{"SEC 1", cert, pemOf("EC PRIVATE KEY", sec1, nil), chain, nil, ""},
		{"SEC 1 as OpenSSL writes it", cert, join(params, pemOf("EC PRIVATE KEY", sec1, nil)), chain, nil, ""},
		{"PKCS #1", rsaCert, pemOf("RSA PRIVATE KEY", pkcs1, nil), nil, nil, ""},
		{"CRLF", bytes.ReplaceAll(cert, []byte("\n"), []byte("\r\n")), key, nil, nil, ""},
		{"a comment before", join([]byte("subject=/CN=x\n"), cert), key, nil, nil, ""},
		{"self-signed", selfSigned(t).CertificatePEM(), keyPEM(t, selfSigned(t)), nil, nil, ""},

		{"nothing", nil, key, nil, ErrNotPEM, "certificate"},
		{"text", []byte("hello"), key, nil, ErrNotPEM, "certificate"},
		{"DER", good.Certificate.Raw, key, nil, ErrNotPEM, "certificate"},
		{"cut short", cert[:len(cert)/2], key, nil, ErrNotPEM, "certificate"},
		{"a second block cut short", join(cert, cert[:len(cert)/2]), key, nil, ErrNotPEM, "certificate"},
		{"the key for the certificate", key, key, nil, ErrNotPEM, "certificate"},
		{"not a certificate inside", pemOf("CERTIFICATE", []byte("x"), nil), key, nil, ErrMalformed, "certificate"},
		{"two leaves", join(cert, rsaCert), key, nil, ErrManyLeaves, "certificate"},
		{"leaf and chain together", join(cert, chain), key, nil, ErrManyLeaves, "certificate"},
		{"too large", make([]byte, MaxCertificateBytes+1), key, nil, ErrTooBig, "certificate"},
		{"at the limit", make([]byte, MaxCertificateBytes), key, nil, ErrNotPEM, "certificate"},

		{"no key", cert, nil, nil, ErrNotPEM, "private key"},
		{"the certificate for the key", cert, cert, nil, ErrNotPEM, "private key"},
		{"not a key inside", cert, pemOf("PRIVATE KEY", []byte("x"), nil), nil, ErrMalformed, "private key"},
		{"two keys", cert, join(key, key), nil, ErrMalformed, "private key"},
		{"another key", cert, keyPEM(t, leafOf(root, LeafOptions{})), nil, ErrKeyMismatch, "private key"},
		{"a key of another kind", cert, keyPEM(t, rsaLeaf), nil, ErrKeyMismatch, "private key"},
		{"encrypted PKCS #8", cert, pemOf("ENCRYPTED PRIVATE KEY", []byte("x"), nil), nil, ErrEncryptedKey, "private key"},
		{"encrypted PKCS #1", rsaCert, encrypted, nil, ErrEncryptedKey, "private key"},
		{"key too large", cert, make([]byte, MaxKeyBytes+1), nil, ErrTooBig, "private key"},
		{"Ed25519", edLeaf.CertificatePEM(), keyPEM(t, edLeaf), nil, ErrUnsupportedKey, "private key"},
		{"P-224", p224Leaf.CertificatePEM(), keyPEM(t, p224Leaf), nil, ErrUnsupportedKey, "private key"},
		{"RSA 1536", oddLeaf.CertificatePEM(), keyPEM(t, oddLeaf), nil, ErrUnsupportedKey, "private key"},
		{"a certificate of Ed25519", edLeaf.CertificatePEM(), key, nil, ErrUnsupportedKey, "certificate"},

		{"expired", nil, nil, nil, ErrExpired, "certificate"},
		{"not yet valid", nil, nil, nil, ErrNotYetValid, "certificate"},

		{"chain out of order", cert, key, join(middle.PEM(), lower.PEM()), ErrBrokenChain, "certificate chain"},
		{"chain with a gap", cert, key, join(lower.PEM(), root.PEM()), ErrBrokenChain, "certificate chain"},
		{"another's chain", cert, key, other.PEM(), ErrBrokenChain, "certificate chain"},
		{"the leaf in the chain", cert, key, join(cert, chain), ErrBrokenChain, "certificate chain"},
		{"text as chain", cert, key, []byte("hello"), ErrNotPEM, "certificate chain"},
		{"a key in the chain", cert, key, join(chain, key), ErrNotPEM, "certificate chain"},
		{"long chain", cert, key, bytes.Repeat(root.PEM(), maxChain+1), ErrTooBig, "certificate chain"},
		{"chain too large", cert, key, make([]byte, MaxChainBytes+1), ErrTooBig, "certificate chain"},
	} {
		switch c.want {
		case ErrExpired:
			leaf := leafOf(root, LeafOptions{NotBefore: past.Add(-time.Hour), NotAfter: past})
			c.cert, c.key = leaf.CertificatePEM(), keyPEM(t, leaf)
		case ErrNotYetValid:
			leaf := leafOf(root, LeafOptions{NotBefore: future, NotAfter: future.Add(time.Hour)})
			c.cert, c.key = leaf.CertificatePEM(), keyPEM(t, leaf)
		}
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCertificate(c.cert, c.key, c.chain, time.Now())
			if !errors.Is(err, c.want) || (got == nil) != (c.want != nil) {
				t.Fatalf("ParseCertificate: %v, want %v", err, c.want)
			}
			if c.want != nil {
				if !strings.HasPrefix(err.Error(), c.part+": ") {
					t.Errorf("%v, want it to name the %s", err, c.part)
				}
				return
			}
			if len(got.TLS().Certificate) > 1+2 { // the root is not served
				t.Errorf("serves %d certificates", len(got.TLS().Certificate))
			}
			der, err := got.PKCS8()
			must(t, err)
			again, err := ParseCertificate(got.CertificatePEM(), pemOf("PRIVATE KEY", der, nil), got.ChainPEM(), time.Now())
			if err != nil || !again.Leaf.Equal(got.Leaf) || len(again.Chain) != len(got.Chain) {
				t.Errorf("canonical form: %v", err)
			}
		})
	}
}

var oneSelfSigned *Issued

func selfSigned(t *testing.T) *Issued {
	t.Helper()
	if oneSelfSigned == nil {
		a, err := NewAuthority("unused")
		must(t, err)
		oneSelfSigned, err = a.Leaf(LeafOptions{Names: []string{"api.example.com"}, SelfSigned: true})
		must(t, err)
	}
	return oneSelfSigned
}

// TestKinds: each kind that ACM imports can be imported, under ACM's name.
func TestKinds(t *testing.T) {
	root, err := NewAuthority("root")
	must(t, err)
	want := "EC_prime256v1 EC_secp384r1 EC_secp521r1 RSA_1024 RSA_2048 RSA_3072 RSA_4096"
	var got []string
	for _, row := range keyKinds {
		if row.kind == RSA4096 && os.Getenv("SALLYPORT_SOAK") != "1" { // making such a key takes seconds
			want = strings.TrimSuffix(want, " RSA_4096")
			continue
		}
		leaf, err := root.Leaf(LeafOptions{Names: []string{"a.example"}, Kind: row.kind})
		must(t, err)
		imported, err := ParseCertificate(leaf.CertificatePEM(), keyPEM(t, leaf), nil, time.Now())
		must(t, err)
		if imported.Kind != row.kind || row.kind.IsRSA() != (row.bits > 0) {
			t.Errorf("%v came back as %v", row.kind, imported.Kind)
		}
		got = append(got, imported.Kind.String())
	}
	if strings.Join(got, " ") != want {
		t.Errorf("kinds %q, want %q", got, want)
	}
}

// TestOpenSSLKeys reads keys as OpenSSL writes them.
func TestOpenSSLKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is missing")
	}
	for _, c := range []struct {
		args string
		want error // of the key alone
	}{
		{"ecparam -name prime256v1 -genkey", nil},
		{"ecparam -name secp384r1 -genkey -noout", nil},
		{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521", nil},
		{"genrsa 2048", nil},
		{"genrsa -traditional 1024", nil},
		{"genpkey -algorithm ED25519", ErrUnsupportedKey},
		{"genpkey -algorithm X25519", ErrUnsupportedKey},
		{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", ErrMalformed}, // crypto/x509 knows no such curve
		{"genrsa -aes256 -passout pass:secret 2048", ErrEncryptedKey},
		{"genrsa -traditional -aes256 -passout pass:secret 2048", ErrEncryptedKey},
		{"ecparam -name prime256v1", ErrNotPEM}, // parameters without a key
	} {
		text, err := exec.Command(openssl, strings.Fields(c.args)...).Output()
		must(t, err)
		if _, err := parseKey(text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.args, err, c.want)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	root, err := NewAuthority("root")
	must(f, err)
	middle, err := root.Intermediate("middle")
	must(f, err)
	leaf, err := middle.Leaf(LeafOptions{Names: []string{"a.example"}})
	must(f, err)
	cert, key, chain := leaf.CertificatePEM(), keyPEM(f, leaf), leaf.ChainPEM()
	f.Add(cert, key, chain)
	f.Add(cert, key, []byte{})
	f.Add(append(cert[:len(cert):len(cert)], cert...), key, root.PEM())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN EC PARAMETERS-----\n-----END EC PARAMETERS-----\n"), chain)
	f.Fuzz(func(t *testing.T, cert, key, chain []byte) {
		got, err := ParseCertificate(cert, key, chain, time.Now())
		if err != nil {
			if got != nil {
				t.Error("a certificate beside an error")
			}
			return
		}
		if !sameKey(got.Key, got.Leaf.PublicKey) {
			t.Error("the key does not fit")
		}
		for _, c := range append(got.Chain, got.Leaf) {
			if c == nil {
				t.Error("a hole in the chain")
			}
		}
	})
}

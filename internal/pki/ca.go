package pki

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Lives of what the local CA signs for default endpoints.
const (
	// EndpointValidity is how long a default endpoint's certificate is valid.
	EndpointValidity = 397 * 24 * time.Hour
	// EndpointRenewal is how long before its end Endpoints replaces it.
	EndpointRenewal = 60 * 24 * time.Hour
)

// Files of the local CA in its directory.
const (
	caFile    = "ca.pem" // the root, for everybody to read
	caKeyFile = "ca.key" // its sealed private key
)

// sealedType is the PEM type of a private key that a Sealer sealed.
const sealedType = "SALLYPORT SEALED PRIVATE KEY"

// maxFile bounds the files of the CA, far above what it writes.
const maxFile = 64 << 10

// CA is the local certificate authority: a root on disk that signs the
// certificates of default endpoints. Make one with OpenCA. Safe for concurrent use.
type CA struct {
	*Authority

	dir    string
	sealer *Sealer
}

// OpenCA loads the authority in dir, or creates it: ca.pem, the root, ECDSA
// P-256, valid for ten years, and ca.key, its key, sealed by sealer. The same
// files always give the same authority. Files that are damaged, expired, do not
// fit each other or were sealed with another key are errors that name the file;
// they are never replaced. A missing ca.pem beside a good ca.key is made anew,
// for the same key: a kill between the two leaves just that.
func OpenCA(dir string, sealer *Sealer) (*CA, error) { return openCA(dir, sealer, time.Now) }

func openCA(dir string, sealer *Sealer, now func() time.Time) (*CA, error) {
	certPath, keyPath := filepath.Join(dir, caFile), filepath.Join(dir, caKeyFile)
	RemoveLeftovers(certPath)
	RemoveLeftovers(keyPath)
	key, err := loadCAKey(keyPath, sealer)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(certPath); err == nil {
			return nil, fmt.Errorf("local CA: %s: missing, though %s exists; hint: restore it, or remove both for a new CA", keyPath, certPath)
		}
		if err = createCAKey(keyPath, sealer); err == nil || errors.Is(err, fs.ErrExist) {
			key, err = loadCAKey(keyPath, sealer)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	root, err := loadRoot(certPath, key, now)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createRoot(certPath, key, now); err == nil || errors.Is(err, fs.ErrExist) {
			root, err = loadRoot(certPath, key, now)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return &CA{Authority: &Authority{Certificate: root, key: key, now: now}, dir: dir, sealer: sealer}, nil
}

// RootPath is the file of the root certificate, for clients to trust.
func (ca *CA) RootPath() string { return filepath.Join(ca.dir, caFile) }

// Issue signs a server certificate for names (DNS names, wildcards, IP
// addresses), valid from an hour ago for validity but not beyond the root.
func (ca *CA) Issue(names []string, kind KeyKind, validity time.Duration) (*Issued, error) {
	if len(names) == 0 {
		return nil, errors.New("issue a certificate: no names")
	}
	end := ca.now().Add(validity)
	if end.After(ca.Certificate.NotAfter) {
		end = ca.Certificate.NotAfter
	}
	leaf, err := ca.Leaf(LeafOptions{Names: names, Kind: kind, NotAfter: end})
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", names[0], err)
	}
	return leaf, nil
}

// endpointFiles are the certificates of the default endpoints: an ECDSA one for
// speed, an RSA one for clients and policies that know nothing else.
var endpointFiles = []struct {
	name string
	kind KeyKind
}{
	{"endpoint-ecdsa.pem", ECDSAP256},
	{"endpoint-rsa.pem", RSA2048},
}

// Endpoints returns the certificates of the default endpoints, one ECDSA P-256
// and one RSA 2048, for names such as "*.execute-api.us-east-1.localhost". They
// are kept in the CA's directory, keys sealed, for making an RSA key takes
// long; one that ends within EndpointRenewal, names other names or is of
// another root is replaced. Call it at start and daily: it is cheap when
// nothing is due.
func (ca *CA) Endpoints(names []string) ([]tls.Certificate, error) {
	var certs []tls.Certificate
	for _, file := range endpointFiles {
		path := filepath.Join(ca.dir, file.name)
		RemoveLeftovers(path)
		leaf, err := ca.loadLeaf(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("default endpoints: %w; hint: remove it for a new one", err)
		}
		if leaf == nil || !ca.fits(leaf, names, file.kind) {
			if leaf, err = ca.Issue(names, file.kind, EndpointValidity); err != nil {
				return nil, err
			}
			if err := ca.saveLeaf(path, leaf); err != nil {
				return nil, fmt.Errorf("default endpoints: %w", err)
			}
		}
		certs = append(certs, leaf.TLS())
	}
	return certs, nil
}

// fits reports whether a leaf from disk can go on serving.
func (ca *CA) fits(leaf *Issued, names []string, kind KeyKind) bool {
	have := slices.Clone(leaf.Certificate.DNSNames)
	for _, ip := range leaf.Certificate.IPAddresses {
		have = append(have, ip.String())
	}
	want := slices.Clone(names)
	slices.Sort(have)
	slices.Sort(want)
	k, ok := KindOf(leaf.Key.Public())
	// Near the root's own end a fresh leaf would end no later: do not make one
	// at every call.
	renew := leaf.Certificate.NotAfter.Add(-EndpointRenewal)
	due := ca.now().After(renew) && leaf.Certificate.NotAfter.Before(ca.Certificate.NotAfter)
	return ok && k == kind && slices.Equal(have, want) && !due &&
		!ca.now().Before(leaf.Certificate.NotBefore) && leaf.Certificate.CheckSignatureFrom(ca.Certificate) == nil
}

// A leaf's file holds its certificate and its sealed key. The context binds
// the key to the file's name.
func (ca *CA) saveLeaf(path string, leaf *Issued) error {
	key, err := sealKeyPEM(ca.sealer, filepath.Base(path), leaf.Key)
	if err != nil {
		return err
	}
	return WriteFileAtomic(path, append(leaf.CertificatePEM(), key...), 0o600)
}

func (ca *CA) loadLeaf(path string) (*Issued, error) {
	text, err := readPrivate(path, maxFile)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: damaged: no certificate", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: damaged: %w", path, err)
	}
	key, err := openKeyPEM(ca.sealer, path, rest)
	if err != nil {
		return nil, err
	}
	if !sameKey(key, cert.PublicKey) {
		return nil, fmt.Errorf("%s: damaged: the key is not the certificate's", path)
	}
	return &Issued{Certificate: cert, Key: key}, nil
}

func createCAKey(path string, sealer *Sealer) error {
	key, err := newKey(ECDSAP256)
	if err != nil {
		return err
	}
	text, err := sealKeyPEM(sealer, caKeyFile, key)
	if err != nil {
		return err
	}
	return CreateFileAtomic(path, text, 0o600)
}

func loadCAKey(path string, sealer *Sealer) (crypto.Signer, error) {
	text, err := readPrivate(path, maxFile)
	if err != nil {
		return nil, err
	}
	key, err := openKeyPEM(sealer, path, text)
	if err != nil {
		return nil, err
	}
	if kind, ok := KindOf(key.Public()); !ok || kind != ECDSAP256 {
		return nil, fmt.Errorf("%s: not an ECDSA P-256 key", path)
	}
	return key, nil
}

func createRoot(path string, key crypto.Signer, now func() time.Time) error {
	id, err := keyID(key.Public())
	if err != nil {
		return err
	}
	// The key's id in the name: several of these may sit in one trust store.
	root, err := newRoot(fmt.Sprintf("Sallyport local CA %x", id[:4]), key, now)
	if err != nil {
		return err
	}
	return CreateFileAtomic(path, root.PEM(), 0o644)
}

func loadRoot(path string, key crypto.Signer, now func() time.Time) (*x509.Certificate, error) {
	text, err := readFile(path, maxFile, false)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s: mode %04o lets others change it; hint: chmod 644 %s", path, info.Mode().Perm(), path)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: damaged: not one PEM certificate", path)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: damaged: %w", path, err)
	}
	switch {
	case !sameKey(key, root.PublicKey):
		return nil, fmt.Errorf("%s: not the certificate of the key in %s", path, caKeyFile)
	case !root.IsCA || root.CheckSignatureFrom(root) != nil:
		return nil, fmt.Errorf("%s: not a self-signed authority", path)
	case now().After(root.NotAfter):
		return nil, fmt.Errorf("%s: expired on %s; hint: remove it for a new root of the same key", path, root.NotAfter.Format(time.DateOnly))
	case now().Before(root.NotBefore):
		return nil, fmt.Errorf("%s: not valid before %s; hint: check the clock", path, root.NotBefore.Format(time.RFC3339))
	}
	return root, nil
}

// sealKeyPEM is a sealed PKCS #8 key in PEM; what names the file it is for.
func sealKeyPEM(sealer *Sealer, what string, key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: sealer.Seal("file/"+what, der)}), nil
}

// openKeyPEM is its reverse; path is for the context and for errors.
func openKeyPEM(sealer *Sealer, path string, text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != sealedType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: damaged: no sealed private key", path)
	}
	der, err := sealer.Open("file/"+filepath.Base(path), block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; hint: restore the seal key that it was sealed with, or name it with --seal-key", path, err)
	}
	defer clear(der)
	key, err := parseSigner(der)
	if err != nil {
		return nil, fmt.Errorf("%s: damaged: the sealed key does not parse", path)
	}
	return key, nil
}

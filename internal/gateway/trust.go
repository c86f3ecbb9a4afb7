package gateway

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/config"
)

// maxBundle bounds a trust bundle in bytes. All roots of a system are 0.3 MB.
const maxBundle = 16 << 20

// backendRoots are the system's roots, those of the trust bundles, and more.
func backendRoots(c config.Config, more []*x509.Certificate) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without roots: only bundles are trusted
	}
	for _, path := range c.TrustBundles {
		certs, err := readBundle(path)
		if err != nil {
			return nil, fmt.Errorf("trust bundle %w", err)
		}
		more = append(more[:len(more):len(more)], certs...)
	}
	for _, cert := range more {
		roots.AddCert(cert)
	}
	return roots, nil
}

// BackGate is the second gate as a gateway with c would have it, for commands
// that judge backends without one that runs. The caller closes it.
func BackGate(c config.Config) (*backgate.Gate, error) {
	roots, err := backendRoots(c, nil)
	if err != nil {
		return nil, err
	}
	return backgate.New(backgate.Options{Roots: roots, AllowBackend: c.AllowBackends, Targets: c.Targets}), nil
}

// trustFiles are the bundles in force.
func (g *Gateway) trustFiles() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.config.TrustBundles
}

// readBundle reads a PEM file of certificates. One that is damaged is an error
// with its line, and not passed over as x509.CertPool does: an operator who
// names a root wants it trusted.
func readBundle(path string) ([]*x509.Certificate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the file
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxBundle {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxBundle)
	}
	var certs []*x509.Certificate
	begin := []byte("-----BEGIN ")
	for rest := text; ; {
		// Where the next block ought to begin: pem.Decode skips broken ones.
		i := bytes.Index(rest, begin)
		if i < 0 {
			break
		}
		line := 1 + bytes.Count(text[:len(text)-len(rest)+i], []byte("\n"))
		block, after := pem.Decode(rest)
		if block == nil || bytes.Count(rest[i:len(rest)-len(after)], begin) > 1 {
			return nil, fmt.Errorf("%s:%d: this PEM block is damaged or has no end", path, line)
		}
		rest = after
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s:%d: a PEM block %q, not a certificate", path, line, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: not a certificate: %w", path, line, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: no certificate in it; a bundle is a PEM file with BEGIN CERTIFICATE lines", path)
	}
	return certs, nil
}

package pki

import (
	"crypto/rsa"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A generated certificate as Go reads it: the documented form, member by member.
func TestClientCertificate(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 59, 58, 987654321, time.FixedZone("", 3600))
	serials := map[string]bool{}
	for range 4 {
		made, err := NewClientCertificate(now)
		must(t, err)
		c := made.Leaf
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() != 2048 || key.E != 65537 || made.Kind != RSA2048 || !key.Equal(made.Key.Public()) {
			t.Errorf("key %T, kind %v", c.PublicKey, made.Kind)
		}
		if c.Version != 3 || len(c.Extensions) != 0 || c.SignatureAlgorithm != x509.SHA256WithRSA {
			t.Errorf("version %d, extensions %v, signed with %v", c.Version, c.Extensions, c.SignatureAlgorithm)
		}
		const name = "CN=ApiGateway,L=Seattle,C=US" // RFC 2253 writes the last one first
		if got := c.Subject.ToRDNSequence().String(); got != name || string(c.RawSubject) != string(c.RawIssuer) {
			t.Errorf("subject %s, issuer %s", got, c.Issuer)
		}
		if c.SerialNumber.Sign() <= 0 || len(c.SerialNumber.Bytes()) != 8 || c.SerialNumber.BitLen() > 63 || serials[c.SerialNumber.String()] {
			t.Errorf("serial %x", c.SerialNumber)
		}
		serials[c.SerialNumber.String()] = true
		if c.NotBefore != now.UTC().Truncate(time.Second) || c.NotAfter.Sub(c.NotBefore) != 365*24*time.Hour {
			t.Errorf("valid from %v until %v", c.NotBefore, c.NotAfter)
		}
		if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
			t.Error(err)
		}
		// A server that trusts the leaf itself takes it, though it is no CA.
		pool := x509.NewCertPool()
		pool.AddCert(c)
		if _, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: c.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
	}
}

// The same form as OpenSSL prints it, and its own verdict on the signature.
func TestClientCertificateOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is missing; it was not asked about the form of generated client certificates")
	}
	made, err := NewClientCertificate(time.Now())
	must(t, err)
	file := filepath.Join(t.TempDir(), "client.pem")
	must(t, os.WriteFile(file, made.CertificatePEM(), 0o600))
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	text := openssl("x509", "-in", file, "-noout", "-text")
	for _, line := range []string{
		`Version: 3 \(0x2\)`,
		`Serial Number:\s+(\d+ \(0x[0-9a-f]{15,16}\)|([0-9a-f]{2}:){7}[0-9a-f]{2})`,
		`Signature Algorithm: sha256WithRSAEncryption`,
		`Issuer: C ?= ?US, L ?= ?Seattle, CN ?= ?ApiGateway`,
		`Subject: C ?= ?US, L ?= ?Seattle, CN ?= ?ApiGateway`,
		`Public-Key: \(2048 bit\)`,
		`Exponent: 65537 \(0x10001\)`,
	} {
		if !regexp.MustCompile(line).MatchString(text) {
			t.Errorf("openssl does not print %s:\n%s", line, text)
		}
	}
	if strings.Contains(text, "extensions") {
		t.Errorf("it has extensions:\n%s", text)
	}
	openssl("verify", "-check_ss_sig", "-CAfile", file, file)
	// The encoding of the names: as the public ones have it.
	dump := openssl("asn1parse", "-in", file)
	if n := strings.Count(dump, "PRINTABLESTRING"); n != 6 {
		t.Errorf("%d printable strings, want 6:\n%s", n, dump)
	}
	if n := strings.Count(dump, "UTCTIME"); n != 2 {
		t.Errorf("%d UTC times, want 2", n)
	}
}

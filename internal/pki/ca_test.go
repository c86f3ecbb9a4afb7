package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var endpointNames = []string{"*.execute-api.us-east-1.localhost", "*.execute-api.us-east-1.amazonaws.com"}

// clock is a time that a test moves.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Now()} }

func TestOpenCA(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenCA(dir, testSealer(1))
	must(t, err)
	pem, err := os.ReadFile(first.RootPath())
	must(t, err)
	again, err := OpenCA(dir, testSealer(1))
	must(t, err)
	if !first.Certificate.Equal(again.Certificate) || !bytes.Equal(pem, again.PEM()) {
		t.Error("the same files gave another authority")
	}
	root := first.Certificate
	if kind, _ := KindOf(root.PublicKey); kind != ECDSAP256 || !root.IsCA || root.NotAfter.Sub(root.NotBefore) < 10*364*24*time.Hour {
		t.Errorf("root: %v, CA %v, until %v", kind, root.IsCA, root.NotAfter)
	}
	if info, err := os.Stat(first.RootPath()); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("ca.pem: mode %v, %v", info.Mode(), err)
	}
	if other, err := OpenCA(t.TempDir(), testSealer(1)); err != nil || bytes.Equal(other.Certificate.RawSubject, root.RawSubject) {
		t.Errorf("two authorities of one name: %v", err)
	}

	// A kill between the key and the certificate leaves the key alone.
	must(t, os.Remove(first.RootPath()))
	healed, err := OpenCA(dir, testSealer(1))
	must(t, err)
	leaf, err := first.Issue([]string{"a.example"}, ECDSAP256, time.Hour)
	must(t, err)
	if _, err := leaf.Certificate.Verify(x509.VerifyOptions{Roots: healed.Pool(), DNSName: "a.example"}); err != nil {
		t.Errorf("what the old root signed: %v", err)
	}
}

// TestBrokenCA: what is wrong with the files, and what OpenCA says to it.
func TestBrokenCA(t *testing.T) {
	tick := newClock()
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		sealer *Sealer
		later  time.Duration
		want   []string
	}{
		{"sealed with another key", nil, testSealer(2), 0, []string{"ca.key", "does not open"}},
		{"no key", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "ca.key"))) }, nil, 0,
			[]string{"ca.key: missing", "hint:"}},
		{"another CA's root", func(t *testing.T, dir string) { copyFile(t, newCADir(t), dir, "ca.pem") }, nil, 0,
			[]string{"ca.pem: not the certificate of the key in ca.key"}},
		{"another CA's key", func(t *testing.T, dir string) { copyFile(t, newCADir(t), dir, "ca.key") }, nil, 0,
			[]string{"ca.pem: not the certificate of the key in ca.key"}},
		{"empty root", rewrite("ca.pem", func(b []byte) []byte { return nil }), nil, 0, []string{"ca.pem: damaged"}},
		{"root cut short", rewrite("ca.pem", func(b []byte) []byte { return b[:len(b)/2] }), nil, 0, []string{"ca.pem: damaged"}},
		{"two roots", rewrite("ca.pem", func(b []byte) []byte { return append(b, b...) }), nil, 0, []string{"ca.pem: damaged: not one"}},
		{"key cut short", rewrite("ca.key", func(b []byte) []byte { return b[:len(b)/2] }), nil, 0, []string{"ca.key: damaged"}},
		{"a leaf as root", func(t *testing.T, dir string) {
			ca, err := OpenCA(dir, testSealer(1))
			must(t, err)
			leaf, err := ca.Leaf(LeafOptions{Key: ca.key, Names: []string{"a.example"}})
			must(t, err)
			must(t, os.WriteFile(ca.RootPath(), leaf.CertificatePEM(), 0o644))
		}, nil, 0, []string{"ca.pem: not a self-signed authority"}},
		{"root that others may change", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "ca.pem"), 0o664)) }, nil, 0,
			[]string{"ca.pem: mode 0664"}},
		{"expired", nil, nil, 11 * 365 * 24 * time.Hour, []string{"ca.pem: expired on", "hint:"}},
		{"made in the future", nil, nil, -24 * time.Hour, []string{"ca.pem: not valid before", "hint: check the clock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newCADir(t)
			if c.damage != nil {
				c.damage(t, dir)
			}
			if c.sealer == nil {
				c.sealer = testSealer(1)
			}
			before := dirText(t, dir)
			_, err := openCA(dir, c.sealer, (&clock{tick.Add(c.later)}).now)
			refused(t, err, append(c.want, dir)...)
			if dirText(t, dir) != before {
				t.Error("a file was changed")
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	dir, tick := t.TempDir(), newClock()
	endpoints := func(names []string) [2]*x509.Certificate {
		t.Helper()
		ca, err := openCA(dir, testSealer(1), tick.now)
		must(t, err)
		certs, err := ca.Endpoints(names)
		must(t, err)
		for i, kind := range []KeyKind{ECDSAP256, RSA2048} {
			handshake(t, certs[i], ca.Pool(), "abc123.execute-api.us-east-1.localhost", tick.now)
			if k, _ := KindOf(certs[i].Leaf.PublicKey); k != kind {
				t.Errorf("certificate %d is %v", i, k)
			}
		}
		return [2]*x509.Certificate{certs[0].Leaf, certs[1].Leaf}
	}
	made := endpoints(endpointNames)
	for _, step := range []struct {
		name    string
		forward time.Duration
		names   []string
		renewed bool
	}{
		{"at once", 0, endpointNames, false},
		{"names in another order", 0, []string{endpointNames[1], endpointNames[0]}, false},
		{"long before the end", EndpointValidity - EndpointRenewal - time.Hour, endpointNames, false},
		{"when due", 2 * time.Hour, endpointNames, true},
		{"after that", 0, endpointNames, false},
		{"long after the end", 2 * EndpointValidity, endpointNames, true},
		{"a name less", 0, endpointNames[:1], true},
		{"a name more", 0, endpointNames, true},
		{"with an address", 0, append([]string{"127.0.0.1", "::1"}, endpointNames...), true},
		{"the same address", 0, append([]string{"127.0.0.1", "::1"}, endpointNames...), false},
	} {
		tick.Time = tick.Add(step.forward)
		now := endpoints(step.names)
		for i := range now {
			if renewed := !now[i].Equal(made[i]); renewed != step.renewed {
				t.Errorf("%s: certificate %d renewed %v, want %v", step.name, i, renewed, step.renewed)
			}
		}
		made = now
	}

	// A leaf of another root is replaced; one with another's key is damage.
	other := newCADir(t)
	otherCA, err := OpenCA(other, testSealer(1))
	must(t, err)
	_, err = otherCA.Endpoints(endpointNames)
	must(t, err)
	tick.Time = time.Now()
	dir = t.TempDir()
	endpoints(endpointNames)
	copyFile(t, other, dir, "endpoint-rsa.pem")
	if now := endpoints(endpointNames); now[1].Issuer.String() == otherCA.Certificate.Subject.String() {
		t.Error("a leaf of another root went on serving")
	}
	a, err := os.ReadFile(filepath.Join(dir, "endpoint-ecdsa.pem"))
	must(t, err)
	b, err := os.ReadFile(filepath.Join(other, "endpoint-ecdsa.pem"))
	must(t, err)
	end := []byte("-----BEGIN " + sealedType)
	mixed := append(a[:bytes.Index(a, end):bytes.Index(a, end)], b[bytes.Index(b, end):]...)
	must(t, os.WriteFile(filepath.Join(dir, "endpoint-ecdsa.pem"), mixed, 0o600))
	ca, err := OpenCA(dir, testSealer(1))
	must(t, err)
	_, err = ca.Endpoints(endpointNames)
	refused(t, err, "endpoint-ecdsa.pem", "damaged: the key is not the certificate's", "hint: remove it")
}

// TestEndpointsNearTheRootsEnd: a leaf that can end no later is not remade at
// every call.
func TestEndpointsNearTheRootsEnd(t *testing.T) {
	dir, tick := t.TempDir(), newClock()
	ca, err := openCA(dir, testSealer(1), tick.now)
	must(t, err)
	tick.Time = ca.Certificate.NotAfter.Add(-24 * time.Hour)
	first, err := ca.Endpoints(endpointNames)
	must(t, err)
	again, err := ca.Endpoints(endpointNames)
	must(t, err)
	if !first[1].Leaf.Equal(again[1].Leaf) {
		t.Error("remade")
	}
	if end := first[0].Leaf.NotAfter; !end.Equal(ca.Certificate.NotAfter) {
		t.Errorf("it ends %v, the root %v", end, ca.Certificate.NotAfter)
	}
}

func TestIssueWithoutNames(t *testing.T) {
	ca, err := OpenCA(t.TempDir(), testSealer(1))
	must(t, err)
	if _, err := ca.Issue(nil, ECDSAP256, time.Hour); err == nil {
		t.Error("a certificate without names was issued")
	}
}

// TestOpenSSLVerifies lets another implementation judge what the CA makes.
func TestOpenSSLVerifies(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: openssl is missing")
	}
	dir := t.TempDir()
	ca, err := OpenCA(dir, testSealer(1))
	must(t, err)
	certs, err := ca.Endpoints(endpointNames)
	must(t, err)
	for _, cert := range certs {
		leaf := filepath.Join(dir, "leaf.pem")
		must(t, os.WriteFile(leaf, certificatePEM(cert.Leaf), 0o644))
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver",
			"-verify_hostname", "abc123.execute-api.us-east-1.localhost", "-CAfile", ca.RootPath(), leaf).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// handshake serves cert to a client of the standard library that trusts roots.
func handshake(t *testing.T, cert tls.Certificate, roots *x509.CertPool, name string, now func() time.Time) {
	t.Helper()
	if err := tryHandshake(t, cert, roots, name, now); err != nil {
		t.Errorf("handshake for %s: %v", name, err)
	}
}

func newCADir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	_, err := OpenCA(dir, testSealer(1))
	must(t, err)
	return dir
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(from, name))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
}

func rewrite(name string, f func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), f(data), 0o600))
	}
}

// dirText is all that is in dir, to see that nothing changed.
func dirText(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var b bytes.Buffer
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		b.WriteString(e.Name())
		b.Write(data)
	}
	return b.String()
}

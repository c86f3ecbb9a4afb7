package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/tlspolicy"
)

// TestProbe probes a policy's own server: what is printed is what the policy
// says, and a wrong claim is refuted.
func TestProbe(t *testing.T) {
	const name = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	policy, _ := tlspolicy.Lookup(name, false)
	leaf := probeLeaf(t, "probe.example")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = tlspolicy.Server(c, func(*tlspolicy.Hello, *tls.ClientHelloInfo) (*tlspolicy.Policy, *tls.Config, error) {
					config := &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
					policy.Configure(config)
					return policy, config, nil
				}).Handshake()
			}()
		}
	}()

	for _, tt := range []struct {
		args   []string
		code   int
		stdout []string
		stderr string
	}{
		{[]string{"probe.example:1", "--connect", l.Addr().String()}, 0, []string{"server name     probe.example", "versions        TLSv1.3, TLSv1.2", "TLS_AES_128_GCM_SHA256", name}, ""},
		{[]string{"probe.example", "--connect", l.Addr().String(), "--expect", name}, 0, []string{"nothing speaks against it"}, ""},
		{[]string{"probe.example", "--connect", l.Addr().String(), "--expect", "TLS_1_2"}, 1, nil, "is not what probe.example:443 serves: TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 is refused in TLSv1.2"},
		{[]string{"probe.example", "--connect", l.Addr().String(), "--expect", "TLS_9"}, 2, nil, `unknown policy "TLS_9"`},
		{[]string{"probe.example", "--connect", "nowhere"}, 2, nil, "is not HOST:PORT"},
		{[]string{"https://probe.example/"}, 2, nil, "leave out https:// and the path"},
		{[]string{"127.0.0.1:1"}, 1, nil, "does anything listen there?"},
		{nil, 2, nil, "takes 1 arguments, got 0"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"probe"}, tt.args...), &stdout, &stderr); code != tt.code {
			t.Errorf("%v: exit code %d, want %d: %s", tt.args, code, tt.code, &stderr)
		}
		for _, want := range tt.stdout {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%v prints no %q:\n%s", tt.args, want, &stdout)
			}
		}
		if !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%v: %s, want %s", tt.args, &stderr, tt.stderr)
		}
	}

	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"probe", "probe.example", "--connect", l.Addr().String(), "-o", "json"}, &stdout, &stderr); code != 0 {
		t.Fatal(code, &stderr)
	}
	var v probeView
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(v.Versions, []string{"TLSv1.3", "TLSv1.2"}) || len(v.Suites["TLSv1.3"]) != 3 || !slices.Equal(v.Policies, []string{name}) ||
		v.Groups[0] != "X25519MLKEM768" || len(v.Transcript) == 0 || v.Unanswered != 0 {
		t.Errorf("%s", &stdout)
	}
}

// What OpenSSL is set to is what the probe finds, finite-field groups included.
func TestProbeOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is missing; its server is not probed")
	}
	dir := t.TempDir()
	leaf := probeLeaf(t, "probe.example")
	key, err := leaf.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cert.pem": leaf.CertificatePEM(), "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	server := exec.CommandContext(t.Context(), "openssl", "s_server", "-accept", addr, "-cert", "cert.pem", "-key", "key.pem", "-quiet", "-naccept", "500",
		"-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305", "-ciphersuites", "TLS_AES_256_GCM_SHA384", "-groups", "P-384:ffdhe2048", "-serverpref")
	server.Dir = dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	var stdout, stderr bytes.Buffer
	for deadline := time.Now().Add(20 * time.Second); ; {
		stdout.Reset()
		if code := run(t.Context(), []string{"probe", "probe.example", "--connect", addr, "-o", "json"}, &stdout, &stderr); code == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(&stderr)
		}
	}
	var v probeView
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(v.Suites["TLSv1.3"], []string{"TLS_AES_256_GCM_SHA384"}) ||
		!slices.Equal(v.Suites["TLSv1.2"], []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}) ||
		!slices.Equal(v.Groups, []string{"P-384", "ffdhe2048"}) || len(v.Policies) != 0 {
		t.Errorf("%s", &stdout)
	}
}

func probeLeaf(t *testing.T, name string) *pki.Issued {
	t.Helper()
	root, err := pki.NewAuthority("probe root")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := root.Leaf(pki.LeafOptions{Names: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

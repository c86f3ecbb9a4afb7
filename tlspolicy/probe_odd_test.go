package tlspolicy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveTLS serves one connection by the standard library.
func serveTLS(c net.Conn, config *tls.Config) { _ = tls.Server(c, config).Handshake() }

// hungUpOn closes without a word when the ClientHello offers a version.
func hungUpOn(version uint16, config *tls.Config) *tls.Config {
	config = config.Clone()
	inner := config.Clone()
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(h.SupportedVersions, version) {
			h.Conn.Close()
			return nil, io.EOF
		}
		return inner, nil
	}
	return config
}

// Servers that do not refuse by an alert, want a name, ask for another share,
// or have had enough.
func TestProbeOddServers(t *testing.T) {
	leaf := testLeaves(t)[0].cert
	config := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}

	t.Run("hangs up on TLS 1.3", func(t *testing.T) {
		addr := serveProbes(t, func(c net.Conn) { serveTLS(c, hungUpOn(tls.VersionTLS13, config)) })
		o, err := Probe(t.Context(), "", dialTo(addr))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.Versions, []uint16{tls.VersionTLS12}) || o.Unanswered != 0 {
			t.Errorf("versions %x, %d unanswered", o.Versions, o.Unanswered)
		}
	})
	t.Run("hangs up always", func(t *testing.T) {
		if _, err := Probe(t.Context(), "", dialTo(serveProbes(t, func(net.Conn) {}))); err == nil {
			t.Error("a server that says nothing was taken for one that refuses")
		}
	})
	t.Run("has had enough", func(t *testing.T) {
		var left atomic.Int32
		left.Store(4)
		addr := serveProbes(t, func(c net.Conn) {
			if left.Add(-1) >= 0 {
				serveTLS(c, config)
			}
		})
		o, err := Probe(t.Context(), "", dialTo(addr))
		if err != nil {
			t.Fatal(err)
		}
		if o.Unanswered == 0 {
			t.Errorf("its silence was taken for refusals: %+v", o.Steps)
		}
		p, _ := Lookup("SecurityPolicy_TLS13_1_2_2021_06", false)
		for _, against := range o.Contradictions(p) {
			if strings.Contains(against, "refused") {
				t.Errorf("it did not say so: %s", against)
			}
		}
	})
	t.Run("wants a name", func(t *testing.T) {
		addr := serveProbes(t, func(c net.Conn) {
			serveTLS(c, &tls.Config{MaxVersion: tls.VersionTLS12, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if h.ServerName != "a.example.com" {
					return nil, fmt.Errorf("unrecognized name")
				}
				return &leaf, nil
			}})
		})
		if o, err := Probe(t.Context(), "", dialTo(addr)); err != nil || len(o.Versions) != 0 {
			t.Errorf("without a name: %v, %v", o, err)
		}
		if o, err := Probe(t.Context(), "a.example.com", dialTo(addr)); err != nil || len(o.Versions) == 0 {
			t.Errorf("with its name: %v, %v", o, err)
		}
	})
	t.Run("has one group, of which nobody sends a share", func(t *testing.T) {
		addr := serveProbes(t, func(c net.Conn) {
			serveTLS(c, &tls.Config{Certificates: []tls.Certificate{leaf}, CurvePreferences: []tls.CurveID{tls.CurveP384}, MinVersion: tls.VersionTLS13})
		})
		o, err := Probe(t.Context(), "", dialTo(addr))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.Groups, []tls.CurveID{tls.CurveP384}) || len(o.Suites[tls.VersionTLS13]) != 3 || len(o.Versions) != 1 {
			t.Errorf("%v, %v, %v", o.Versions, o.Suites, o.Groups)
		}
	})
	t.Run("is called by IPv6", func(t *testing.T) {
		l, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Skipf("SKIPPED: this machine has no IPv6: %v", err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); serveTLS(c, config) }()
			}
		}()
		if o, err := Probe(t.Context(), "", dialTo(l.Addr().String())); err != nil || len(o.Versions) != 2 {
			t.Errorf("%v, %v", o, err)
		}
	})
}

func pemOf(t *testing.T, cert tls.Certificate) []byte {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, der := range cert.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// served starts a program with a configuration in which ADDR and PEM stand for
// its address and certificate, and waits until it listens.
func served(t *testing.T, program, text string, command func(folder, file string) []string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("SKIPPED: %s is missing; somebody else's server has not been probed", program)
	}
	folder := t.TempDir()
	leaf := testLeaves(t)[0]
	if err := os.WriteFile(filepath.Join(folder, "pem"), pemOf(t, leaf.cert), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	file := filepath.Join(folder, "conf")
	text = strings.NewReplacer("ADDR", addr, "PEM", filepath.Join(folder, "pem"), "DIR", folder).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	c := exec.CommandContext(t.Context(), path, command(folder, file)...)
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { c.Wait(); close(ended) }()
	t.Cleanup(func() { c.Process.Kill(); <-ended })
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return addr
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", program, output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", program)
		}
	}
}

// nginx and HAProxy as people set them up.
func TestProbeOtherServers(t *testing.T) {
	t.Run("nginx with P-384 alone", func(t *testing.T) {
		addr := served(t, "nginx", `daemon off; master_process off; pid DIR/pid; error_log DIR/log; events {}
http { access_log off; server { listen ADDR ssl; ssl_certificate PEM; ssl_certificate_key PEM; ssl_protocols TLSv1.2 TLSv1.3; ssl_ecdh_curve secp384r1; } }`,
			func(folder, file string) []string {
				return []string{"-p", folder, "-e", filepath.Join(folder, "log"), "-c", file}
			})
		o, err := Probe(t.Context(), "", dialTo(addr))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(o.Versions, []uint16{tls.VersionTLS13, tls.VersionTLS12}) || !slices.Equal(o.Groups, []tls.CurveID{tls.CurveP384}) || o.Unanswered != 0 {
			t.Errorf("%x, %v, %d unanswered", o.Versions, o.Groups, o.Unanswered)
		}
	})
	t.Run("HAProxy with strict names", func(t *testing.T) {
		addr := served(t, "haproxy", `global
  maxconn 100
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind ADDR ssl crt PEM strict-sni ssl-min-ver TLSv1.2
  http-request deny
`, func(_, file string) []string { return []string{"-db", "-f", file} })
		if o, err := Probe(t.Context(), "nobody.example.org", dialTo(addr)); err == nil && len(o.Versions) != 0 {
			t.Errorf("an unknown name: %v", o.Versions)
		}
	})
	t.Run("HAProxy that lets in few", func(t *testing.T) {
		addr := served(t, "haproxy", `global
  maxconn 100
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind ADDR ssl crt PEM ssl-min-ver TLSv1.2
  stick-table type ip size 1k expire 60s store conn_cnt
  tcp-request connection track-sc0 src
  tcp-request connection reject if { sc0_conn_cnt gt 6 }
  http-request deny
`, func(_, file string) []string { return []string{"-db", "-f", file} })
		o, err := Probe(t.Context(), "", dialTo(addr))
		if err != nil {
			t.Fatal(err)
		}
		if o.Unanswered == 0 {
			t.Errorf("its limit was taken for refusals: %+v", o.Steps)
		}
	})
}

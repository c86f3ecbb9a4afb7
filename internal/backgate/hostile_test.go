package backgate

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hostile is a backend that does as it likes with each connection. It closes
// them when the test ends.
func hostile(t testing.TB, serve func(net.Conn)) (host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { serve(c) })
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "localhost:" + port
}

// untilGone waits until the other side closes.
func untilGone(c net.Conn) { io.Copy(io.Discard, c) } //nolint:errcheck // its end is all

// hello reads the ClientHello's record.
func hello(c net.Conn) {
	head := make([]byte, 5)
	io.ReadFull(c, head)                                              //nolint:errcheck
	io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint16(head[3:]))) //nolint:errcheck
}

// after says something once the ClientHello was read, and then waits.
func after(say ...byte) func(net.Conn) {
	return func(c net.Conn) {
		hello(c)
		c.Write(say) //nolint:errcheck
		untilGone(c)
	}
}

// forever says something again and again.
func forever(say []byte) func(net.Conn) {
	return func(c net.Conn) {
		hello(c)
		for {
			if _, err := c.Write(say); err != nil {
				return
			}
		}
	}
}

// refusedBy asks the backend by Do and by Diagnose, which must agree, in time,
// and leave nothing behind.
func refusedBy(t *testing.T, g *Gate, host, what string) *Error {
	t.Helper()
	begun := time.Now()
	_, _, err := get(g, &Request{Host: host})
	took := time.Since(begun)
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v", what, err)
		return new(Error)
	}
	if took > tooLong {
		t.Errorf("%s: took %v", what, took)
	}
	for _, s := range []string{e.Why(), e.Fix(), e.Text()} {
		if strings.ContainsAny(s, "{}") || s == "" || len(s) > maxWhy {
			t.Errorf("%s: text %q", what, s)
		}
	}
	if d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: host}); d.Verdict != e.Kind.String() || d.Accepted || d.AWSText != e.Text() || d.Status != e.Kind.Answer().Status {
		t.Errorf("%s: diagnosed %q (%s), asked %v", what, d.Verdict, d.Why, err)
	}
	if n := g.idle.Load(); n != 0 {
		t.Errorf("%s: %d connections kept", what, n)
	}
	p, err := g.trust.Load().pool(key{host: host, secure: true})
	if err != nil || len(p.slots) != 0 {
		t.Errorf("%s: %d slots taken, %v", what, len(p.slots), err)
	}
	return e
}

// patience is a gate that waits for what comes, but not for what stalls.
func patience(t testing.TB, roots *x509.CertPool, want reason) *Gate {
	o := Options{Roots: roots, AllowBackend: loopback}
	if want == stalledHandshake {
		o.HandshakeTimeout = 150 * time.Millisecond
	}
	g := New(o)
	t.Cleanup(g.Close)
	return g
}

// What may answer in place of TLS, or within it.
func TestHostileHandshakes(t *testing.T) {
	handshake := func(length int, body ...byte) []byte { // a record with the beginning of a ServerHello
		m := append([]byte{2, byte(length >> 16), byte(length >> 8), byte(length)}, body...)
		return append([]byte{22, 3, 3, byte(len(m) >> 8), byte(len(m))}, m...)
	}
	full := append([]byte{22, 3, 3, 0x40, 0}, make([]byte, 1<<14)...)
	huge := append(handshake(1<<24-1), full...)
	var all sync.WaitGroup
	defer all.Wait()
	for _, test := range []struct {
		what  string
		serve func(net.Conn)
		want  reason
	}{
		{"says nothing", untilGone, stalledHandshake},
		{"says nothing to the ClientHello", after(), stalledHandshake},
		{"half a record's head", after(22, 3), stalledHandshake},
		{"half a record", after(22, 3, 3, 0, 100, 2, 0), stalledHandshake},
		{"one byte at a time", func(c net.Conn) {
			hello(c)
			for _, b := range handshake(1000, make([]byte, 1000)...) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}, stalledHandshake},
		{"closes at once", func(c net.Conn) { c.Close() }, closedInHandshake},
		{"closes after the ClientHello", func(c net.Conn) { hello(c); c.Close() }, closedInHandshake},
		{"resets", func(c net.Conn) { hello(c); c.(*net.TCPConn).SetLinger(0); c.Close() }, closedInHandshake},
		{"close_notify", after(21, 3, 3, 0, 2, 1, 0), closedInHandshake},
		{"plain HTTP", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); untilGone(c) }, plainHTTP},
		{"SSH", func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n"); untilGone(c) }, notTLS},
		{"SMTP", func(c net.Conn) { io.WriteString(c, "220 mail.example.com ESMTP\r\n"); untilGone(c) }, notTLS},
		{"endless garbage", forever([]byte(strings.Repeat("garbage ", 1<<10))), notTLS},
		{"endless zeros", forever(make([]byte, 1<<14)), notTLS},
		{"an endless handshake message", forever(huge), messageTooLarge},
		{"a handshake message of 65537 bytes", after(handshake(65537, 0)...), messageTooLarge},
		{"endless warnings", forever([]byte{21, 3, 3, 0, 2, 1, 112}), brokenHandshake},
		{"endless empty records", forever([]byte{22, 3, 3, 0, 0}), brokenHandshake},
		{"endless ChangeCipherSpec", forever([]byte{20, 3, 3, 0, 1, 1}), notTLS},
		{"application data", after(23, 3, 3, 0, 1, 0), notTLS},
		{"a record that is too long", after(22, 3, 3, 0xff, 0xff), notTLS},
		{"a message out of turn", after(append([]byte{22, 3, 3, 0, 4}, 20, 0, 0, 0)...), brokenHandshake},
		{"a malformed ServerHello", after(handshake(2, 3, 3)...), brokenHandshake},
		{"HelloRequests", forever([]byte{22, 3, 3, 0, 4, 0, 0, 0, 0}), brokenHandshake},
		{"SSLv2", after(0x80, 0x03, 0x04, 0x00, 0x01, 0, 2), notTLS},
	} {
		all.Go(func() { // most of them wait
			e := refusedBy(t, patience(t, nil, test.want), hostile(t, test.serve), test.what)
			if got := e.reasonOf(); got != test.want {
				t.Errorf("%s: reason %d (%s), want %d (%s): %v", test.what, got, reasons[got].why, test.want, reasons[test.want].why, e)
			}
		})
	}
}

// Each alert has its RFC name and its kind.
// Source: IANA, TLS Alerts.
func TestAlerts(t *testing.T) {
	client := map[string]bool{"bad_certificate": true, "unsupported_certificate": true, "certificate_revoked": true, "certificate_expired": true,
		"certificate_unknown": true, "unknown_ca": true, "access_denied": true, "certificate_required": true}
	for code, name := range map[byte]string{
		10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed", 22: "record_overflow", 30: "decompression_failure",
		40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired",
		46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
		60: "export_restriction", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
		90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension", 110: "unsupported_extension", 111: "certificate_unobtainable",
		112: "unrecognized_name", 113: "bad_certificate_status_response", 114: "bad_certificate_hash_value", 115: "unknown_psk_identity",
		116: "certificate_required", 120: "no_application_protocol", 121: "ech_required", 200: "alert(200)", 255: "alert(255)",
	} {
		e := refusedBy(t, patience(t, nil, 0), hostile(t, after(21, 3, 3, 0, 2, 2, code)), name)
		want := HandshakeRefused
		if client[name] {
			want = ClientCertificate
		}
		if e.Kind != want || e.Detail != name || e.Text() != "Execution failed due to configuration error: Received fatal alert: "+name {
			t.Errorf("alert %d: %v", code, e)
		}
	}
}

// halting lets so many bytes out and then does something else.
type halting struct {
	net.Conn
	left int
	then func(net.Conn)
}

func (h *halting) Write(p []byte) (int, error) {
	if len(p) > h.left {
		h.Conn.Write(p[:h.left]) //nolint:errcheck
		h.left = 0
		h.then(h.Conn)
		return 0, io.ErrClosedPipe
	}
	h.left -= len(p)
	return h.Conn.Write(p)
}

// A handshake that ends anywhere, by silence, by a close and by a reset.
func TestHandshakeCutAnywhere(t *testing.T) {
	root := issue(t, nil, authority("root"))
	good := chain(issue(t, root, nil))
	ways := []struct {
		name string
		then func(net.Conn)
		want reason
	}{
		{"stalls", untilGone, stalledHandshake},
		{"closes", func(c net.Conn) { c.Close() }, closedInHandshake},
		{"resets", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, closedInHandshake},
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: version, SessionTicketsDisabled: true}
		// How much a server says until the handshake is done.
		c, s := net.Pipe()
		count := &counting{Conn: s}
		go tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() //nolint:errcheck
		if err := tls.Server(count, config).Handshake(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		step := max(1, count.n/12)
		for n := 0; n < count.n; n += step {
			for _, way := range ways {
				all.Go(func() {
					host := hostile(t, func(c net.Conn) {
						tls.Server(&halting{c, n, way.then}, config).Handshake() //nolint:errcheck
						c.Close()
					})
					what := fmt.Sprintf("%s, %s after %d bytes", tls.VersionName(version), way.name, n)
					if e := refusedBy(t, patience(t, rootPool(root), way.want), host, what); e.reason != way.want {
						t.Errorf("%s: %v", what, e)
					}
				})
			}
		}
	}
}

type counting struct {
	net.Conn
	n int
}

func (c *counting) Write(p []byte) (int, error) { c.n += len(p); return c.Conn.Write(p) }

// Certificates that crypto/tls itself refuses; its texts and limits are pinned.
func TestRefusedByTLS(t *testing.T) {
	root := issue(t, nil, authority("root"))
	leaf := issue(t, root, nil)
	type row struct {
		what  string
		certs [][]byte
		want  reason
	}
	rows := []row{
		{"RSA 8193", [][]byte{withKey(t, root, 8193, nil).Raw}, keyTooLarge},
		{"RSA 16384", [][]byte{withKey(t, root, 16384, nil).Raw}, keyTooLarge},
		{"RSA 16384 above the leaf", [][]byte{leaf.cert.Raw, withKey(t, root, 16384, nil).Raw}, keyTooLarge},
		{"RSA 512", [][]byte{withKey(t, root, 512, nil).Raw}, keyTooSmall},
		{"Ed448", [][]byte{forge(t, leaf, root, func(s *tbs) {
			s.Key = rawValue(t, asn1.ObjectIdentifier{1, 3, 101, 113}, make([]byte, 57))
		}, nil, nil)}, keyType},
		{"X25519", [][]byte{forge(t, leaf, root, func(s *tbs) {
			s.Key = rawValue(t, asn1.ObjectIdentifier{1, 3, 101, 110}, make([]byte, 32))
		}, nil, nil)}, keyType},
		{"256 KiB of certificates", func() [][]byte {
			certs := [][]byte{leaf.cert.Raw}
			for n := 0; n < 1<<18; n += len(leaf.cert.Raw) {
				certs = append(certs, leaf.cert.Raw)
			}
			return certs
		}(), messageTooLarge},
		{"100 certificates", func() [][]byte {
			certs := make([][]byte, 100)
			for i := range certs {
				certs[i] = leaf.cert.Raw
			}
			return certs
		}(), chainTooLong},
	}
	for what, der := range unreadables(t, root) {
		rows = append(rows, row{what, [][]byte{der}, unreadable}, row{what + ", above the leaf", [][]byte{leaf.cert.Raw, der}, unreadable})
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, test := range rows {
			config := &tls.Config{MaxVersion: version, Certificates: []tls.Certificate{{Certificate: test.certs, PrivateKey: leaf.key}}}
			var arrived atomic.Int64
			host := hostile(t, func(c net.Conn) {
				n, _ := io.Copy(io.Discard, tls.Server(c, config))
				arrived.Add(n)
				c.Close()
			})
			e := refusedBy(t, gate(t, rootPool(root)), host, test.what)
			if e.reason != test.want && (test.what != "empty" && !strings.HasPrefix(test.what, "empty,") || e.reason != brokenHandshake) {
				t.Errorf("%s, %s: reason %d (%s), want %d (%s): %v", test.what, tls.VersionName(version), e.reason, reasons[e.reason].why, test.want, reasons[test.want].why, e)
			}
			d := gate(t, rootPool(root)).Diagnose(t.Context(), Inspection{Scheme: "https", Host: host})
			if e.reason != messageTooLarge && e.reason != brokenHandshake && (len(d.Chain) != min(len(test.certs), maxChain) || test.want != chainTooLong && (d.Element < 0 || d.Chain[d.Element].Fault == "" || (d.Element > 0) != strings.HasSuffix(test.what, "above the leaf"))) {
				t.Errorf("%s: diagnosed %d certificates, at fault %d", test.what, len(d.Chain), d.Element)
			}
			if arrived.Load() != 0 {
				t.Errorf("%s: %d bytes arrived", test.what, arrived.Load())
			}
		}
	}
}

// A backend that answers badly a hundred times costs no memory that stays.
func TestHandshakeMemory(t *testing.T) {
	root := issue(t, nil, authority("root"))
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("n%d.example.com", i)
	}
	big := issue(t, root, func(c *x509.Certificate) { c.DNSNames = many })
	large, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(big)}}, nil)
	flood := hostile(t, forever(append([]byte{22, 3, 3, 0x40, 0, 2, 0, 0xff, 0xff}, make([]byte, 1<<14-4)...)))
	g := gate(t, rootPool(root))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	ask := func() {
		for _, host := range []string{large, flood} {
			if _, _, err := get(g, &Request{Host: host}); err == nil {
				t.Fatal("believed")
			}
		}
	}
	ask()
	before := heap()
	for range 50 {
		ask()
	}
	if grown := int64(heap()) - int64(before); grown > 8<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}

// Diagnose shows what there is to see.
func TestDiagnose(t *testing.T) {
	root := issue(t, nil, authority("trusted root"))
	private := issue(t, nil, authority("private root"))
	leaf := issue(t, private, nil)
	clientRoot := issue(t, nil, authority("clients"))
	client := chain(issue(t, clientRoot, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	g := gate(t, rootPool(root))
	diagnose := func(config *tls.Config, in Inspection) *Diagnosis {
		t.Helper()
		host, requests := backend(t, config, nil)
		in.Scheme, in.Host = "https", host
		d := g.Diagnose(t.Context(), in)
		if requests.Load() != 0 || g.idle.Load() != 0 {
			t.Errorf("%d requests, %d connections kept", requests.Load(), g.idle.Load())
		}
		return d
	}

	d := diagnose(&tls.Config{Certificates: []tls.Certificate{chain(leaf, private)}}, Inspection{})
	if d.Accepted || d.Verdict != "untrusted certificate" || d.Element != 1 || len(d.Chain) != 2 || d.Chain[1].Fault != "root not trusted" || d.Chain[0].Fault != "" ||
		d.Chain[0].Subject != "CN=backend, O=Test, C=US" || d.Chain[0].Issuer != "CN=private root" || d.Chain[0].Key != "ECDSA P-256" || d.Chain[0].Signature != "ECDSA-SHA256" ||
		strings.Join(d.Chain[0].Names, " ") != "localhost 127.0.0.1" || len(d.Chain[0].SHA256) != 64 ||
		d.Version != "TLSv1.3" || d.Suite == "" || d.Group == "" || d.ServerName != "localhost" || !strings.HasPrefix(d.Address, "127.0.0.1:") && !strings.HasPrefix(d.Address, "[::1]:") ||
		d.Status != 500 || d.ResponseType != "DEFAULT_5XX" || d.ErrorType != "InternalServerErrorException" || !strings.Contains(d.AWSText, "PKIX path building failed") ||
		!strings.Contains(d.Why, "CN=private root") || !strings.Contains(d.Fix, "--trust-bundle") || d.ClientCertificate.Asked {
		t.Errorf("%+v", d)
	}
	if d := diagnose(&tls.Config{Certificates: []tls.Certificate{chain(leaf, private)}}, Inspection{InsecureSkipVerification: true}); !d.Accepted || d.Element != -1 || d.Verdict != "" || d.Why == "" || d.AWSText != "" {
		t.Errorf("skip: %+v", d)
	}
	good := chain(issue(t, root, otherName))
	if d := diagnose(&tls.Config{Certificates: []tls.Certificate{good}}, Inspection{}); d.Verdict != "certificate for another name" || d.Element != 0 {
		t.Errorf("%+v", d)
	}
	if d := diagnose(&tls.Config{Certificates: []tls.Certificate{good}}, Inspection{ServerName: "other.example.com"}); !d.Accepted || d.ServerName != "other.example.com" {
		t.Errorf("%+v", d)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		demands := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: rootPool(clientRoot), MaxVersion: version}
		d := diagnose(demands, Inspection{})
		if d.Verdict != "client certificate refused" || !d.ClientCertificate.Asked || d.ClientCertificate.Shown || strings.Join(d.ClientCertificate.Authorities, "|") != "CN=clients" ||
			!strings.Contains(d.Why, "none was shown") || len(d.Chain) != 1 || d.Element != -1 {
			t.Errorf("%s, none shown: %+v", tls.VersionName(version), d)
		}
		if d := diagnose(demands, Inspection{Certificate: &client}); !d.Accepted || !d.ClientCertificate.Shown {
			t.Errorf("%s, shown: %+v", tls.VersionName(version), d)
		}
		stranger := chain(leaf)
		if d := diagnose(demands, Inspection{Certificate: &stranger}); d.Verdict != "client certificate refused" || !d.ClientCertificate.Shown || strings.Contains(d.Why, "none was shown") {
			t.Errorf("%s, a stranger's shown: %+v", tls.VersionName(version), d)
		}
	}
	for _, in := range []Inspection{{Scheme: "ftp", Host: "localhost"}, {Scheme: "https", Host: "a b"}, {Scheme: "https", Host: "localhost", ServerName: "a b"}} {
		if d := g.Diagnose(t.Context(), in); d.Verdict != "invalid address" {
			t.Errorf("%+v", d)
		}
	}
	if d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: "localhost", Target: "arn"}); d.Verdict != "no target" {
		t.Errorf("%+v", d)
	}
	if d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: "0.0.0.0:1"}); d.Verdict != "refused address" || d.Address != "0.0.0.0" || !strings.Contains(d.Fix, "--allow-backend 0.0.0.0") {
		t.Errorf("%+v", d)
	}
	if d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: "localhost:1"}); d.Verdict != "no connection" || d.Status != 504 || d.ResponseType != "INTEGRATION_FAILURE" {
		t.Errorf("%+v", d)
	}
	silent := hostile(t, untilGone)
	if d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: silent, Timeout: 50 * time.Millisecond}); d.Verdict != "timeout" || !strings.Contains(d.Why, "handshake") {
		t.Errorf("%+v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := g.Diagnose(ctx, Inspection{Scheme: "https", Host: "localhost:1"}); d.Verdict != "client gone" {
		t.Errorf("%+v", d)
	}
}

// The openssl line, run by a shell, comes to the same end.
func TestOpenSSLLine(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is missing; apt-get install openssl")
	}
	root := issue(t, nil, authority("trusted root"))
	bundle := t.TempDir() + "/it's a bundle.pem"
	writePEM(t, bundle, root.cert)
	other := t.TempDir() + "/other.pem"
	writePEM(t, other, issue(t, nil, authority("another root")).cert)
	g := gate(t, rootPool(root))
	for _, test := range []struct {
		what string
		leaf *issued
		want string // in openssl's words
	}{
		{"good", issue(t, root, nil), "Verify return code: 0 (ok)"},
		{"expired", issue(t, root, expired), "certificate has expired"},
		{"other name", issue(t, root, otherName), "hostname mismatch"},
		{"untrusted", issue(t, nil, nil), "self-signed certificate"},
	} {
		host, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(test.leaf)}}, nil)
		for _, files := range [][]string{{bundle}, {bundle, other}} {
			d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: host, TrustFiles: files})
			out, err := exec.Command("sh", "-c", d.OpenSSL).CombinedOutput()
			if !strings.Contains(strings.ReplaceAll(string(out), "self signed", "self-signed"), test.want) && !strings.Contains(strings.ToLower(string(out)), test.want) {
				t.Errorf("%s: %s\n%v %s", test.what, d.OpenSSL, err, out)
			}
			if d.Accepted != (err == nil) {
				t.Errorf("%s: accepted %v, openssl: %v", test.what, d.Accepted, err)
			}
		}
	}
	d := g.Diagnose(t.Context(), Inspection{Scheme: "https", Host: "[::1]:1"})
	if d.OpenSSL != "openssl s_client -connect '[::1]:1' -noservername -verify_ip ::1 -verify_return_error -showcerts -alpn http/1.1 -min_protocol TLSv1.2 </dev/null  # add -CAfile BUNDLE.pem to trust what the gateway trusts beside the system's roots" {
		t.Error(d.OpenSSL)
	}
}

// A backend that wants to shake hands anew when it has seen the request is given
// up at once, and told apart: what it wants is a matter of its configuration.
func TestRenegotiation(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is missing; apt-get install openssl")
	}
	root := issue(t, nil, authority("root"))
	leaf := chain(issue(t, root, nil))
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "server.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-tls1_2")
	in, inErr := server.StdinPipe()
	out, outErr := server.StdoutPipe()
	if err := errors.Join(inErr, outErr, server.Start()); err != nil {
		t.Fatal(err)
	}
	defer server.Wait() //nolint:errcheck // it was killed
	defer server.Process.Kill()
	lines, port := bufio.NewScanner(out), ""
	for port == "" && lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			_, port, _ = net.SplitHostPort(strings.TrimSpace(address))
		}
	}
	go func() {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "GET /") {
				io.WriteString(in, "r\n") //nolint:errcheck // the gate says that it did not come
			}
		}
	}()
	var e *Error
	if _, _, err := get(gate(t, rootPool(root)), &Request{Host: "localhost:" + port}); !errors.As(err, &e) || e.reasonOf() != renegotiates {
		t.Errorf("%v", err)
	}
}

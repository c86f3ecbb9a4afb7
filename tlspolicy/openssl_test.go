package tlspolicy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// openssl finds the program, or skips loudly.
func openssl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED: no openssl program; somebody else's client has not checked the policies")
	}
	out, err := exec.Command(path, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", bytes.TrimSpace(out))
	return path
}

// farm listens on loopback and serves every row with every leaf, chosen by
// SNI: "3-rsa.invalid" is row 3 with the RSA leaf. Each connection's outcome
// is kept under its client's address until asked for.
type farm struct {
	listener net.Listener
	mu       sync.Mutex
	seen     map[string]chan *Conn
}

func newFarm(t *testing.T, all []row) *farm {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type choice struct {
		policy *Policy
		config *tls.Config
	}
	choices := make(map[string]choice)
	f := &farm{listener: listener, seen: make(map[string]chan *Conn)}
	for i, r := range all {
		for _, leaf := range testLeaves(t) {
			config := configFor(r.policy, leaf)
			config.NextProtos = []string{"h2", "http/1.1"}
			choices[farmName(i, leaf)] = choice{r.policy, config}
		}
	}
	choose := func(h *Hello, _ *tls.ClientHelloInfo) (*Policy, *tls.Config, error) {
		// "7.3-rsa.invalid": the first label only tells connections apart.
		_, name, _ := strings.Cut(h.ServerName, ".")
		c := choices[name]
		return c.policy, c.config, nil
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer raw.Close()
				if err := raw.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					return
				}
				c := Server(raw, choose)
				if c.Handshake() == nil {
					if _, err := c.Write([]byte("hello\n")); err == nil {
						_, _ = c.Read(make([]byte, 1)) // until the client leaves
					}
				}
				if h := c.Hello(); h != nil {
					f.result(h.ServerName) <- c
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return f
}

func farmName(i int, leaf *proofLeaf) string {
	return fmt.Sprintf("%d-%s.invalid", i, strings.ToLower(leaf.kind))
}

func (f *farm) result(name string) chan *Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[name] == nil {
		f.seen[name] = make(chan *Conn, 1)
	}
	return f.seen[name]
}

var openSSLVersions = map[uint16]string{tls.VersionTLS13: "-tls1_3", tls.VersionTLS12: "-tls1_2", tls.VersionTLS11: "-tls1_1", tls.VersionTLS10: "-tls1"}

// TestOpenSSLWalk lets OpenSSL's client try every version with every suite and
// with every group it has; a tenth of them unless SALLYPORT_SOAK is set.
func TestOpenSSLWalk(t *testing.T) {
	program := openssl(t)
	all := rows(t)
	f := newFarm(t, all)

	others := []tls.CurveID{tls.X25519, tls.CurveP384, tls.CurveP521, 30} // beside P-256
	type try struct {
		row     int
		leaf    *proofLeaf
		version uint16
		suite   uint16
		group   tls.CurveID
	}
	var tries []try
	for i, r := range all {
		for _, leaf := range testLeaves(t) {
			for _, version := range allVersions {
				for _, s := range suiteTable {
					if version < s.min || version > s.max {
						continue // OpenSSL offers a suite only where it is defined
					}
					tries = append(tries, try{i, leaf, version, s.id, tls.CurveP256})
				}
				// OpenSSL wants to see its own group list honoured by an ECDSA
				// certificate's curve below TLS 1.3, so RSA it is there.
				suite := r.suites13[0]
				if version < tls.VersionTLS13 {
					if leaf.kind != "RSA" {
						continue
					}
					suite = tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
				}
				for _, group := range others {
					tries = append(tries, try{i, leaf, version, suite, group})
				}
			}
		}
	}
	work := make(chan int)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for n := range work {
				x := tries[n]
				what := fmt.Sprintf("%s %s %s %s %s", all[x.row].policy, x.leaf.kind, VersionName(x.version), OpenSSLName(x.suite), GroupName(x.group))
				name := fmt.Sprintf("%d.%s", n, farmName(x.row, x.leaf))
				args := []string{"s_client", "-connect", f.listener.Addr().String(), "-servername", name, "-brief",
					openSSLVersions[x.version], "-groups", GroupName(x.group)}
				if x.version == tls.VersionTLS13 {
					args = append(args, "-ciphersuites", OpenSSLName(x.suite))
				} else {
					args = append(args, "-cipher", OpenSSLName(x.suite)+":@SECLEVEL=0")
				}
				out, err := exec.Command(program, args...).CombinedOutput() // no input: leaves after the handshake
				server := <-f.result(name)
				if h := server.Hello(); !slices.Contains(h.Suites, x.suite) || !slices.Contains(h.Versions, x.version) {
					t.Errorf("%s: OpenSSL did not offer it but %x %x", what, h.Versions, h.Suites)
				}
				want, alert := all[x.row].want(x.version, x.suite, x.group, x.leaf)
				if alert != 0 {
					a, ok := server.Alert()
					if err == nil || !ok || a.Code != alert {
						t.Errorf("%s: want alert %d, got %v %t, client: %v\n%s", what, alert, a, ok, err, out)
					}
					continue
				}
				cs := server.ConnectionState()
				if got := (rawhello.Answer{Version: cs.Version, Suite: cs.CipherSuite, Group: cs.CurveID}); err != nil || got != want || !cs.HandshakeComplete {
					t.Errorf("%s: got %s, want %s, client: %v\n%s", what, describe(got), describe(want), err, out)
				}
			}
		})
	}
	taken := 0
	for n := range tries {
		if sampled(n) {
			taken++
			work <- n
		}
	}
	close(work)
	workers.Wait()
	t.Logf("%d of %d handshakes", taken, len(tries))
}

// TestOpenSSLOrderRetryResumption: a client of another make that prefers
// ChaCha gets the listed suite, also when a HelloRetryRequest makes it send
// its offers twice, and when it resumes.
func TestOpenSSLOrderRetryResumption(t *testing.T) {
	program := openssl(t)
	all := rows(t)
	f := newFarm(t, all)
	n := 0
	run := func(i int, leaf *proofLeaf, args ...string) (*Conn, string) {
		t.Helper()
		n++
		name := fmt.Sprintf("%d.%s", n, farmName(i, leaf))
		cmd := exec.Command(program, append([]string{"s_client", "-connect", f.listener.Addr().String(), "-servername", name, "-ign_eof"}, args...)...)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// One byte ends the server's wait; it closes, and so does the client,
		// which by then has its tickets.
		if _, err := stdin.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		return <-f.result(name), out.String()
	}
	const chachaFirst = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
	for i, r := range all {
		for _, leaf := range testLeaves(t) {
			for _, version := range r.versions {
				session := filepath.Join(t.TempDir(), "session.pem")
				args := []string{openSSLVersions[version], "-sess_out", session}
				retry := false
				switch version {
				case tls.VersionTLS13:
					// The share is for P-521, which no policy has.
					args = append(args, "-ciphersuites", chachaFirst, "-groups", "P-521:P-384:P-256")
					retry = true
				default:
					args = append(args, "-cipher", "CHACHA20:AES256:ALL:@SECLEVEL=0")
				}
				var want uint16
				for _, id := range slices.Concat(r.suites13, r.suites12) {
					if _, alert := r.want(version, id, tls.CurveP256, leaf); alert == 0 {
						want = id
						break
					}
				}
				if want == 0 {
					continue
				}
				if i%3 != 0 && !soak() {
					continue
				}
				what := fmt.Sprintf("%s %s %s", r.policy, leaf.kind, VersionName(version))
				first, out := run(i, leaf, args...)
				cs := first.ConnectionState()
				if !cs.HandshakeComplete || cs.CipherSuite != want || cs.DidResume || cs.HelloRetryRequest != retry {
					t.Errorf("%s: %s retry %t, want %s retry %t\n%s", what, SuiteName(cs.CipherSuite), cs.HelloRetryRequest, SuiteName(want), retry, out)
					continue
				}
				if _, err := os.Stat(session); err != nil {
					t.Errorf("%s: no ticket\n%s", what, out)
					continue
				}
				second, out := run(i, leaf, append(args[:1:1], append(args[3:], "-sess_in", session)...)...)
				cs = second.ConnectionState()
				if !cs.HandshakeComplete || cs.CipherSuite != want || !cs.DidResume || cs.HelloRetryRequest != retry {
					t.Errorf("%s resumed %t: %s retry %t, want %s retry %t\n%s", what, cs.DidResume, SuiteName(cs.CipherSuite), cs.HelloRetryRequest, SuiteName(want), retry, out)
				}
			}
		}
	}
}

package backgate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pki"
)

// clientCertificates are four as stages have them.
func clientCertificates(t testing.TB) (a, b, c, d *tls.Certificate) {
	t.Helper()
	all, err := generatedCertificates()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1], all[2], all[3]
}

var generatedCertificates = sync.OnceValues(func() (all [4]*tls.Certificate, err error) {
	for i := range all {
		c, err := pki.NewClientCertificate(time.Now())
		if err != nil {
			return all, err
		}
		all[i] = &tls.Certificate{Certificate: [][]byte{c.Leaf.Raw}, PrivateKey: c.Key, Leaf: c.Leaf}
	}
	return all, nil
})

// mutual is a backend that lets in whoever it trusts at the moment.
type mutual struct {
	host   string
	config *tls.Config
	trusts atomic.Pointer[x509.CertPool]

	mu    sync.Mutex
	shown map[string]int // serial numbers of the clients' certificates -> requests
	ids   map[string]int // of requests -> how often they came
}

// trust is what the backend lets in from here on.
func (m *mutual) trust(certs ...*tls.Certificate) {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.Leaf)
	}
	m.trusts.Store(p)
}

// served is how many requests came under a certificate.
func (m *mutual) served(c *tls.Certificate) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown[c.Leaf.SerialNumber.String()]
}

// read is how often a request was.
func (m *mutual) read(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[id]
}

func (m *mutual) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m.mu.Lock()
	if len(r.TLS.PeerCertificates) > 0 {
		m.shown[r.TLS.PeerCertificates[0].SerialNumber.String()]++
	}
	m.ids[r.Header.Get("X-Id")]++
	m.mu.Unlock()
	if err == nil {
		if r.URL.Query().Get("close") != "" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %d", r.Header.Get("X-Id"), len(body))
	}
}

// mutualBackend serves over TLS of one version, with session tickets or without.
func mutualBackend(t testing.TB, version uint16, tickets bool, auth tls.ClientAuthType, trusted ...*tls.Certificate) (m *mutual, root *issued) {
	t.Helper()
	m = &mutual{shown: map[string]int{}, ids: map[string]int{}}
	m.trust(trusted...)
	root = issue(t, nil, authority("root"))
	m.config = &tls.Config{
		Certificates: []tls.Certificate{chain(issue(t, root, nil))}, MinVersion: version, MaxVersion: version,
		ClientAuth: auth, SessionTicketsDisabled: !tickets,
	}
	m.config.SetSessionTicketKeys([][32]byte{{1}})
	m.host, _ = backend(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := m.config.Clone()
		c.ClientCAs = m.trusts.Load()
		return c, nil
	}, Certificates: m.config.Certificates}, m.ServeHTTP)
	return m, root
}

// bodies are the ways in which a request can be sent, by how much of it can be
// sent again.
var bodies = []struct {
	name, method string
	body         func() (io.Reader, int64)
}{
	{"GET", "GET", func() (io.Reader, int64) { return nil, 0 }},
	{"POST, nothing", "POST", func() (io.Reader, int64) { return nil, 0 }},
	{"POST, short", "POST", func() (io.Reader, int64) { return strings.NewReader("short"), 5 }},
	{"POST, chunked", "POST", func() (io.Reader, int64) { return strings.NewReader(strings.Repeat("x", 100_000)), -1 }},
	{"POST, long", "POST", func() (io.Reader, int64) { return strings.NewReader(strings.Repeat("x", 200_000)), 200_000 }},
}

// send sends one request of a kind and checks the answer, which repeats its id.
func send(g *Gate, host string, kind int, id string, r Request) error {
	b := bodies[kind]
	r.Method, r.Host, r.Path = b.method, host, "/"
	r.Body, r.ContentLength = b.body()
	r.Header.Add("X-Id", id)
	_, body, err := get(g, &r)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	if !strings.HasPrefix(body, id+" ") {
		return fmt.Errorf("%s: %s was answered with %.200q", b.name, id, body)
	}
	return nil
}

// What a backend that takes one of two certificates, or both, or does not ask,
// is shown by the first request of a rotation: however the request is sent,
// and however the backend refuses, it is answered, and read once.
func TestFirstRequestOfARotation(t *testing.T) {
	t.Parallel()
	a, b, c, d := clientCertificates(t)
	var all sync.WaitGroup
	defer all.Wait()
	// A backend that is out of breath takes longer to refuse than a long body waits.
	room := make(chan struct{}, 240)
	if raced {
		room = make(chan struct{}, 24)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tickets := range []bool{true, false} {
			for _, auth := range []tls.ClientAuthType{tls.RequireAndVerifyClientCert, tls.VerifyClientCertIfGiven, tls.RequireAnyClientCert, tls.NoClientCert} {
				for name, trusted := range map[string][]*tls.Certificate{"the previous": {a}, "the new": {b}, "both": {a, b}} {
					what := fmt.Sprintf("%s, tickets %v, %v, takes %s", tls.VersionName(version), tickets, auth, name)
					m, root := mutualBackend(t, version, tickets, auth, trusted...)
					for i, kind := range bodies {
						g := gate(t, rootPool(root))
						all.Go(func() {
							room <- struct{}{}
							defer func() { <-room }()
							if err := send(g, m.host, i, kind.name, Request{Certificate: b, Previous: a}); err != nil {
								t.Errorf("%s: %v", what, err)
							}
							if n := m.read(kind.name); n != 1 {
								t.Errorf("%s: %s was read %d times", what, kind.name, n)
							}
						})
					}
					if auth != tls.RequireAndVerifyClientCert {
						continue
					}
					g := gate(t, rootPool(root))
					all.Go(func() {
						room <- struct{}{}
						defer func() { <-room }()
						var e *Error
						if _, _, err := get(g, &Request{Host: m.host, Certificate: c, Previous: d}); !errors.As(err, &e) || e.Kind != ClientCertificate {
							t.Errorf("%s: both refused: %v", what, err)
						}
					})
				}
			}
		}
	}
}

// A backend that takes the new certificate is shown it soon, without having
// refused anything; one that takes it late follows; and one that goes back is
// followed back.
func TestChoiceFollowsTheBackend(t *testing.T) {
	t.Parallel()
	a, b, _, _ := clientCertificates(t)
	m, root := mutualBackend(t, tls.VersionTLS13, true, tls.RequireAndVerifyClientCert, a)
	g := gate(t, rootPool(root))
	n := 0
	until := func(what string, c *tls.Certificate) {
		t.Helper()
		before := m.served(c)
		for end := time.Now().Add(time.Minute); m.served(c) < before+20; n++ {
			if time.Now().After(end) {
				t.Fatalf("%s: not shown", what)
			}
			if err := send(g, m.host, n%len(bodies), fmt.Sprint(n), Request{Certificate: b, Previous: a, Query: "close=1"}); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	until("takes the previous one only", a)
	m.trust(a, b)
	until("takes both", b)
	m.trust(a)
	until("went back", a)
	m.trust(b)
	until("takes the new one only", b)
	for id, times := range m.ids {
		if times != 1 {
			t.Errorf("request %s was read %d times", id, times)
		}
	}
}

func (cs *choices) running() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.probes
}

// What a backend may have acted on does not go to it twice: a connection that is
// reset after the request says nothing about the certificate.
func TestResetIsNoRefusal(t *testing.T) {
	t.Parallel()
	a, b, _, _ := clientCertificates(t)
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}, ClientAuth: tls.RequireAnyClientCert}
	for kind, want := range []int32{2, 1, 1, 1, 1} { // a GET does no harm
		var asked atomic.Int32
		host := rawBackend(t, true, config, func(c net.Conn) {
			asked.Add(1)
			raw := c.(*tls.Conn).NetConn().(*net.TCPConn)
			raw.SetLinger(0)
			raw.Close()
		})
		err := send(gate(t, rootPool(root)), host, kind, "x", Request{Certificate: b, Previous: a})
		if n := asked.Load(); err == nil || n != want {
			t.Errorf("%s: read %d times, want %d; %v", bodies[kind].name, n, want, err)
		}
	}
}

// An alert that comes after the request was sent is a refusal all the same: the
// request behind it was not read.
func TestLateAlert(t *testing.T) {
	t.Parallel()
	a, b, _, _ := clientCertificates(t)
	m, root := mutualBackend(t, tls.VersionTLS13, false, tls.RequireAnyClientCert)
	m.config.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.PeerCertificates[0].Equal(a.Leaf) {
			time.Sleep(200 * time.Millisecond) // a slow judge
			return errors.New("not this one")
		}
		return nil
	}
	for kind, body := range bodies {
		if err := send(gate(t, rootPool(root)), m.host, kind, body.name, Request{Certificate: b, Previous: a}); err != nil {
			t.Error(err)
		}
		if n := m.read(body.name); n != 1 {
			t.Errorf("%s: read %d times", body.name, n)
		}
	}
}

// What is remembered of rotations is bounded, and so are probes; Close waits
// for them.
func TestChoicesAreBounded(t *testing.T) {
	a, b, _, _ := clientCertificates(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	g := gate(t, nil)
	now := time.Now()
	for i := range maxChoices + 10 {
		c := g.choice(&Request{Scheme: "https", Host: fmt.Sprintf("h%d.localhost:%s", i, port), Certificate: b, Previous: a}, now)
		if current, trial := c.begin(now, true); current || trial {
			t.Fatal("a choice begins with the new certificate")
		}
		if n := g.choices.running(); n > maxProbes {
			t.Fatalf("%d probes at a time", n)
		}
	}
	if n := len(g.choices.known); n != maxChoices {
		t.Errorf("%d choices are remembered", n)
	}
	if n := g.choices.sweep(now.Add(time.Second)); n != 0 {
		t.Errorf("%d choices stay that nobody asks for", n)
	}
	g.Close()
	if n := g.choices.running(); n != 0 {
		t.Errorf("%d probes run after Close", n)
	}
	r := Request{Scheme: "https", Host: "localhost:" + port, Certificate: b, Previous: a}
	if g.choice(&r, now).probe(); g.choices.running() != 0 || len(g.choices.known) != 0 {
		t.Error("a closed gate probes, or remembers")
	}
}

// Under load, with twenty backends of every kind, half of which take the new
// certificate late, not a request fails.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	a, b, _, _ := clientCertificates(t)
	var backends []*mutual
	var roots []*issued
	for i := range 20 {
		version, tickets := uint16(tls.VersionTLS13), i/2%2 == 0
		if i%4 == 3 {
			version = tls.VersionTLS12
		}
		auth := tls.RequireAndVerifyClientCert
		if i == 18 {
			auth = tls.NoClientCert
		}
		m, root := mutualBackend(t, version, tickets, auth, a)
		backends, roots = append(backends, m), append(roots, root)
	}
	g := gate(t, rootPool(roots...))
	// The stage's certificates, as a snapshot holds them.
	type stage struct{ current, previous *tls.Certificate }
	var now atomic.Pointer[stage]
	now.Store(&stage{current: a})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var sent [20]atomic.Int64
	for i, m := range backends {
		for w := range 3 {
			load.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					s := now.Load()
					r := Request{Certificate: s.current, Previous: s.previous}
					if n%3 != 0 {
						r.Query = "close=1"
					}
					if err := send(g, m.host, (n+w)%len(bodies), fmt.Sprintf("%d.%d.%d", i, w, n), r); err != nil {
						t.Errorf("backend %d: %v", i, err)
					}
					sent[i].Add(1)
				}
			})
		}
	}
	more := func(what string, done func(i int) bool) {
		t.Helper()
		var before [20]int64
		for i := range sent {
			before[i] = sent[i].Load()
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			ready := true
			for i := range sent {
				ready = ready && sent[i].Load() >= before[i]+6 && (done == nil || done(i))
			}
			if ready {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: not reached", what)
			}
		}
	}
	more("before", nil)
	for i := range 10 { // these are ready ahead of time
		backends[i].trust(a, b)
	}
	now.Store(&stage{current: b, previous: a})
	more("the ready ones have moved", func(i int) bool { return i >= 10 || backends[i].served(b) > 0 })
	for i := range 5 {
		backends[i].trust(b)
	}
	more("the first have dropped the old one", nil)
	for i := 10; i < 20; i++ {
		if i%2 == 0 {
			backends[i].trust(a, b)
		} else {
			backends[i].trust(b) // at once
		}
	}
	more("the late ones have moved", func(i int) bool { return i == 18 || backends[i].served(b) > 0 })
	for _, m := range backends {
		m.trust(b)
	}
	more("all have dropped the old one", nil)
	now.Store(&stage{current: b})
	more("the old one is deleted", nil)
	stop()
	load.Wait()
	total := 0
	for i, m := range backends {
		for id, times := range m.ids {
			if total++; times != 1 {
				t.Errorf("backend %d read request %s %d times", i, id, times)
			}
		}
	}
	t.Logf("%d requests", total)
}

// Servers that refuse certificates in ways of their own.
func TestRotationOnOthersServers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, dir string) (host string, root *issued, trust func(*tls.Certificate)){
		"nginx": nginxBackend,
		"node":  nodeBackend,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("SKIPPED: %s is missing; a rotation on it was not checked", name)
			}
			a, b, _, _ := clientCertificates(t)
			host, root, trust := start(t, t.TempDir())
			g := gate(t, rootPool(root))
			trust(a)
			phase := func(what string, r Request) {
				t.Helper()
				for n := range 30 {
					kind := n % len(bodies)
					if err := send(g, host, kind, fmt.Sprint(n), r); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
				}
			}
			phase("before", Request{Certificate: a})
			rotation := Request{Certificate: b, Previous: a}
			phase("rotation, not taken yet", rotation)
			for g.choice(&Request{Scheme: "https", Host: host, Certificate: b, Previous: a}, time.Now()).due.Load() == 0 {
				phase("until the new one was tried", rotation)
			}
			phase("still not taken", rotation)
			trust(b)
			phase("taken, the old one dropped", rotation)
			phase("after", Request{Certificate: b})
		})
	}
}

// HAProxy, which refuses with an alert, or closes the connection after the
// handshake, has dropped the previous certificate when the first request comes.
func TestRotationOnHAProxy(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("SKIPPED: haproxy is missing; a rotation on it was not checked")
	}
	a, b, _, _ := clientCertificates(t)
	dir := t.TempDir()
	root, trust := files(t, dir)
	trust(b)
	var both []byte
	for _, name := range []string{"server.pem", "server.key"} {
		part, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, part...)
	}
	ports := []string{freePort(t), freePort(t)}
	config := fmt.Sprintf(`defaults all
	mode http
	timeout client 30s
	http-request return status 200 content-type text/plain lf-string "%%[req.hdr(x-id)] "
frontend file
	bind 127.0.0.1:%s ssl crt both.pem ca-file trusted.pem verify required
frontend fingerprint
	bind 127.0.0.1:%s ssl crt both.pem ca-file trusted.pem verify required crt-ignore-err 18
	tcp-request session reject unless { ssl_c_der,sha2(256),hex %X }
`, ports[0], ports[1], sha256.Sum256(b.Leaf.Raw))
	for name, content := range map[string][]byte{"both.pem": both, "haproxy.cfg": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, "haproxy", "-db", "-C", dir, "-f", "haproxy.cfg")
	for i, port := range ports {
		host := "localhost:" + port
		answers(t, host, rootPool(root), b)
		for kind := range bodies {
			if err := send(gate(t, rootPool(root)), host, kind, "x", Request{Certificate: b, Previous: a}); err != nil {
				t.Errorf("frontend %d: %v", i, err)
			}
		}
	}
}

// files writes what a server needs: its own certificate, and the one it trusts.
func files(t *testing.T, dir string) (root *issued, trust func(*tls.Certificate)) {
	root = issue(t, nil, authority("root"))
	leaf := issue(t, root, nil)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pemBlock(kind, der), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server.pem", "CERTIFICATE", leaf.cert.Raw)
	write("server.key", "PRIVATE KEY", key)
	return root, func(c *tls.Certificate) { write("trusted.pem", "CERTIFICATE", c.Certificate[0]) }
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// serve runs a server until the test ends.
func serve(t *testing.T, name string, args ...string) *os.Process {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, said.Bytes())
		}
	})
	return cmd.Process
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// answers waits until a server answers whoever shows a certificate, and nobody else.
func answers(t *testing.T, host string, roots *x509.CertPool, c *tls.Certificate) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		resp, _, err := get(gate(t, roots), &Request{Host: host, Certificate: c})
		if err == nil && resp.Status == 200 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the server does not take what it is told to: %v", err)
		}
	}
}

// nginxBackend answers 400 to whoever it does not trust.
func nginxBackend(t *testing.T, dir string) (string, *issued, func(*tls.Certificate)) {
	root, write := files(t, dir)
	port := freePort(t)
	config := `daemon off; master_process on; worker_processes 1; pid pid; error_log error.log; events {}
http { access_log off; keepalive_timeout 0; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
	server { listen 127.0.0.1:` + port + ` ssl; ssl_certificate server.pem; ssl_certificate_key server.key;
		ssl_verify_client on; ssl_client_certificate trusted.pem;
		location / { return 200 "$http_x_id "; } } }`
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	host := "localhost:" + port
	var server *os.Process
	return host, root, func(c *tls.Certificate) {
		if write(c); server == nil {
			server = serve(t, "nginx", "-p", dir, "-e", "error.log", "-c", "nginx.conf")
		} else if err := server.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		answers(t, host, rootPool(root), c)
	}
}

// nodeBackend hangs up on whoever it does not trust, without an alert.
func nodeBackend(t *testing.T, dir string) (string, *issued, func(*tls.Certificate)) {
	root, write := files(t, dir)
	port := freePort(t)
	program := `process.chdir(process.argv[1]);
const fs = require('fs'), options = () => ({key: fs.readFileSync('server.key'), cert: fs.readFileSync('server.pem'), ca: [fs.readFileSync('trusted.pem')], requestCert: true, rejectUnauthorized: true});
const server = require('https').createServer(options(), (q, r) => { q.resume(); r.setHeader('Connection', 'close'); r.end((q.headers['x-id'] || '') + ' '); });
process.on('SIGHUP', () => server.setSecureContext(options()));
server.listen(` + port + `, '127.0.0.1');`
	host := "localhost:" + port
	var server *os.Process
	return host, root, func(c *tls.Certificate) {
		if write(c); server == nil {
			server = serve(t, "node", "-e", program, dir)
		} else if err := server.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		answers(t, host, rootPool(root), c)
	}
}

package gatewaytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// doorkeeper is a backend that lets in whoever shows a certificate that it
// trusts at the moment.
type doorkeeper interface {
	address() string // host:port
	trust(t *testing.T, certificates ...*x509.Certificate)
	// shown returns the serial number of the certificate that came last.
	shown() string
	// twice returns a request that came more than once, "" when there is none.
	twice() string
}

// goDoorkeeper is one on Go's server.
type goDoorkeeper struct {
	server *httptest.Server
	pool   atomic.Pointer[x509.CertPool]

	mu   sync.Mutex
	last string
	seen map[string]int
}

// newGoDoorkeeper speaks one version of TLS, with session tickets or without.
func newGoDoorkeeper(t *testing.T, leaf tls.Certificate, version uint16, tickets bool) *goDoorkeeper {
	d := &goDoorkeeper{seen: map[string]int{}}
	d.server = httptest.NewUnstartedServer(d)
	d.server.Config.ErrorLog = log.New(io.Discard, "", 0) // refusals are meant
	base := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: version, MaxVersion: version,
		ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: !tickets}
	base.SetSessionTicketKeys([][32]byte{{1}})
	d.server.TLS = &tls.Config{Certificates: base.Certificates, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.ClientCAs = d.pool.Load()
		return c, nil
	}}
	d.server.StartTLS()
	t.Cleanup(d.server.Close)
	return d
}

func (d *goDoorkeeper) address() string { return d.server.Listener.Addr().String() }

func (d *goDoorkeeper) trust(_ *testing.T, certificates ...*x509.Certificate) {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	d.pool.Store(pool)
}

func (d *goDoorkeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	d.last = fmt.Sprintf("%x", r.TLS.PeerCertificates[0].SerialNumber)
	d.seen[r.Header.Get("X-Id")]++
	d.mu.Unlock()
	if r.URL.Query().Get("close") != "" {
		w.Header().Set("Connection", "close") // so that there are handshakes
	}
	fmt.Fprintf(w, "%s %d", r.Header.Get("X-Id"), len(body))
}

func (d *goDoorkeeper) shown() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func (d *goDoorkeeper) twice() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, n := range d.seen {
		if n != 1 {
			return fmt.Sprintf("%s, %d times", id, n)
		}
	}
	return ""
}

// nginxDoorkeeper is nginx, which judges certificates with the request, and
// takes only one certificate of a name at a time.
type nginxDoorkeeper struct {
	dir, port string
	roots     *x509.CertPool
	process   *exec.Cmd
}

func newNginxDoorkeeper(t *testing.T, leaf *pki.Issued, roots *x509.CertPool) *nginxDoorkeeper {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	d := &nginxDoorkeeper{dir: t.TempDir(), port: port, roots: roots}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "server.pem", "CERTIFICATE", leaf.Certificate.Raw)
	d.write(t, "server.key", "PRIVATE KEY", key)
	conf := `daemon off; worker_processes 1; pid pid; error_log error.log; events {}
http {
	log_format seen "$http_x_id $ssl_client_serial $status"; access_log access.log seen;
	keepalive_timeout 0; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
	server {
		listen 127.0.0.1:` + port + ` ssl;
		ssl_certificate server.pem; ssl_certificate_key server.key;
		ssl_verify_client on; ssl_client_certificate trusted.pem;
		location / { return 200 "$http_x_id nginx"; }
	}
}`
	if err := os.WriteFile(filepath.Join(d.dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *nginxDoorkeeper) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d *nginxDoorkeeper) address() string { return "127.0.0.1:" + d.port }

// trust takes the last one only: OpenSSL looks trusted certificates up by their
// subject, which is the same for all that the gateway generates.
func (d *nginxDoorkeeper) trust(t *testing.T, certificates ...*x509.Certificate) {
	t.Helper()
	d.write(t, "trusted.pem", "CERTIFICATE", certificates[len(certificates)-1].Raw)
	if d.process != nil {
		if err := d.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		return
	}
	d.process = exec.Command("nginx", "-p", d.dir, "-e", "error.log", "-c", "nginx.conf")
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.process.Process.Signal(syscall.SIGTERM)
		d.process.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := tls.Dial("tcp", d.address(), &tls.Config{RootCAs: d.roots})
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not answer: %v", err)
		}
	}
}

// lines are the requests that it answered with 200.
func (d *nginxDoorkeeper) lines() (all [][]string) {
	b, _ := os.ReadFile(filepath.Join(d.dir, "access.log"))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "200" {
			all = append(all, f)
		}
	}
	return all
}

func (d *nginxDoorkeeper) shown() string {
	all := d.lines()
	if len(all) == 0 {
		return ""
	}
	return strings.TrimLeft(strings.ToLower(all[len(all)-1][1]), "0")
}

func (d *nginxDoorkeeper) twice() string {
	seen := map[string]bool{}
	for _, f := range d.lines() {
		if seen[f[0]] {
			return f[0]
		}
		seen[f[0]] = true
	}
	return ""
}

// generated makes a client certificate through the API.
func (w *World) generated(t *testing.T) (id string, c *x509.Certificate) {
	t.Helper()
	out, err := w.API.GenerateClientCertificate(t.Context(), &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(aws.ToString(out.PemEncodedCertificate)))
	if block == nil {
		t.Fatalf("no PEM: %q", aws.ToString(out.PemEncodedCertificate))
	}
	if c, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.ClientCertificateId), c
}

// A stage moves from one client certificate to the next under load, while half
// of its twenty backends take the new one late: not a request fails, none is
// read twice, and in the end every backend is shown the new one.
func TestClientCertificateRotation(t *testing.T) {
	authority, err := pki.NewAuthority("backends")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := Start(t, func(c *config.Config) { c.TrustBundles = []string{bundle} })
	ctx := t.Context()
	idA, a := w.generated(t)
	idB, b := w.generated(t)

	const n = 20
	var backends [n]doorkeeper
	for i := range backends {
		version := uint16(tls.VersionTLS13)
		if i%4 == 3 {
			version = tls.VersionTLS12
		}
		backends[i] = newGoDoorkeeper(t, leaf.TLS(), version, i/2%2 == 0)
	}
	if _, err := exec.LookPath("nginx"); err == nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority.PEM())
		backends[n-1] = newNginxDoorkeeper(t, leaf, roots)
	} else {
		t.Log("SKIPPED: nginx is missing; all twenty backends are Go's")
	}
	for _, d := range backends {
		d.trust(t, a)
	}
	api := w.behindOneStage(t, backends[:], idA)

	running, stop := context.WithCancel(ctx)
	defer stop()
	var load sync.WaitGroup
	var sent [n]atomic.Int64
	for _, h2 := range []bool{false, true} {
		client := w.HTTP("REGIONAL", nil, h2)
		defer client.CloseIdleConnections()
		for i := range n {
			load.Go(func() {
				for k := 0; running.Err() == nil; k++ {
					id := fmt.Sprintf("%d-%v-%d", i, h2, k)
					if err := request(client, "https://"+w.Host(api)+fmt.Sprintf("/prod/b%d", i), id, k); err != nil {
						t.Errorf("backend %d, HTTP/2 %v: %v", i, h2, err)
					}
					sent[i].Add(1)
				}
			})
		}
	}
	// until waits for a few more requests to each backend, and for what shall be.
	until := func(what string, done func(i int) bool) {
		t.Helper()
		var before [n]int64
		for i := range sent {
			before[i] = sent[i].Load()
		}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			waiting := -1
			for i := range sent {
				if sent[i].Load() < before[i]+6 || done != nil && !done(i) {
					waiting = i
				}
			}
			if waiting < 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: backend %d does not come so far", what, waiting)
			}
		}
	}
	shows := func(c *x509.Certificate, i int) bool { return backends[i].shown() == fmt.Sprintf("%x", c.SerialNumber) }

	until("the first certificate", func(i int) bool { return shows(a, i) })
	for i := range n / 2 { // ready ahead of time
		backends[i].trust(t, a, b)
	}
	if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace("/clientCertificateId", idB)}); err != nil {
		t.Fatal(err)
	}
	until("the ready ones move", func(i int) bool { return shows(b, i) == (i < n/2) })
	for i := n / 2; i < n; i++ {
		if i%2 == 0 {
			backends[i].trust(t, a, b)
		} else {
			backends[i].trust(t, b) // both steps at once
		}
	}
	until("the late ones move", func(i int) bool { return shows(b, i) })
	for _, d := range backends {
		d.trust(t, b)
	}
	until("all have dropped the old one", nil)
	if _, err := w.API.DeleteClientCertificate(ctx, &apigateway.DeleteClientCertificateInput{ClientCertificateId: &idA}); err != nil {
		t.Fatal(err)
	}
	until("the old one is deleted", func(i int) bool { return shows(b, i) })
	stop()
	load.Wait()

	total := int64(0)
	for i, d := range backends {
		total += sent[i].Load()
		if id := d.twice(); id != "" {
			t.Errorf("backend %d read a request twice: %s", i, id)
		}
	}
	t.Logf("%d requests", total)
}

// behindOneStage makes an API whose resource bN leads to backend N, deployed to
// "prod" with a client certificate.
func (w *World) behindOneStage(t *testing.T, backends []doorkeeper, certificate string) string {
	t.Helper()
	ctx, anyMethod := t.Context(), aws.String("ANY")
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("rotation"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range backends {
		res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(fmt.Sprintf("b%d", i))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: anyMethod, AuthorizationType: aws.String("NONE")}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: anyMethod,
			IntegrationHttpMethod: anyMethod, Type: types.IntegrationTypeHttpProxy, Uri: aws.String("https://" + d.address() + "/")}); err != nil {
			t.Fatal(err)
		}
	}
	w.Deploy(t, *api.Id)
	if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: api.Id, StageName: aws.String("prod"), PatchOperations: Replace("/clientCertificateId", certificate)}); err != nil {
		t.Fatal(err)
	}
	return *api.Id
}

// request sends the k-th request of a worker, which decides its method and
// body, and checks that the backend answered it.
func request(client *http.Client, url, id string, k int) error {
	method, body := "GET", io.Reader(nil)
	switch k % 4 {
	case 1:
		method, body = "POST", strings.NewReader("short")
	case 2:
		method, body = "POST", strings.NewReader(strings.Repeat("x", 100_000))
	case 3:
		method, body = "POST", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 50_000))} // of unknown length
	}
	if k%3 != 0 {
		url += "?close=1"
	}
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	r.Header.Set("X-Id", id)
	resp, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, id, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(answer), id+" ") {
		return fmt.Errorf("%s %s: %d %.200q %v", method, id, resp.StatusCode, answer, err)
	}
	return nil
}

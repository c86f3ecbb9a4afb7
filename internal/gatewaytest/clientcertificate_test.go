package gatewaytest

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
)

const certificateGuide = "../../docs/client-certificates.md"

// guide is the text of a page and its indented blocks, as a reader copies them.
func guide(t *testing.T, path string) (text string, blocks []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := false
	lines := strings.SplitAfter(string(b), "\n")
	for i, line := range lines {
		code, ok := strings.CutPrefix(line, "    ")
		if line == "\n" && open && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "    ") {
			code, ok = line, true // within a block
		}
		switch {
		case ok && open:
			blocks[len(blocks)-1] += code
		case ok:
			blocks = append(blocks, code)
		}
		open = ok
	}
	return string(b), blocks
}

// block is the one that begins with these words.
func block(t *testing.T, blocks []string, start string) string {
	t.Helper()
	i := slices.IndexFunc(blocks, func(b string) bool { return strings.HasPrefix(b, start) })
	if i < 0 {
		t.Fatalf("%s has no block %q", certificateGuide, start)
	}
	return blocks[i]
}

// certifiedBackend is one way in which the guide says to trust certificates.
type certifiedBackend struct {
	title   string // of its row in the guide's table
	program string
	block   string // of the guide, by how it begins
	both    bool   // client.pem holds both certificates
	port    string // that the guide writes
}

var certifiedBackends = []certifiedBackend{
	{"Go, first", "go", "// backend.go", false, ":9443"},
	{"Go, both", "go", "// backend.go", true, ":9443"},
	{"OpenSSL, first", "openssl", "openssl s_server -accept 9444 -cert server.pem -key server.key -www -Verify 1 -verify_return_error -CAfile", false, "9444"},
	{"OpenSSL, both, without `-partial_chain`", "openssl", "openssl s_server -accept 9444 -cert server.pem -key server.key -www -Verify 1 -verify_return_error -CAfile", true, "9444"},
	{"OpenSSL, both, `-partial_chain`", "openssl", "openssl s_server -accept 9444 -cert server.pem -key server.key -www -Verify 1 -verify_return_error -partial_chain", true, "9444"},
	{"nginx, first", "nginx", "# nginx.conf, one certificate", false, "listen 9445"},
	{"nginx, both in the file", "nginx", "# nginx.conf, one certificate", true, "listen 9445"},
	{"nginx, first by fingerprint", "nginx", "# nginx.conf, several certificates", false, "listen 9445"},
	{"nginx, both by fingerprint", "nginx", "# nginx.conf, several certificates", true, "listen 9445"},
	{"HAProxy, first", "haproxy", "# haproxy.cfg, one certificate", false, ":9446"},
	{"HAProxy, both in the file", "haproxy", "# haproxy.cfg, one certificate", true, ":9446"},
	{"HAProxy, first by fingerprint", "haproxy", "# haproxy.cfg, several certificates", false, ":9446"},
	{"HAProxy, both by fingerprint", "haproxy", "# haproxy.cfg, several certificates", true, ":9446"},
}

// start runs the backend in a folder of its own and returns its address.
func (b certifiedBackend) start(t *testing.T, blocks []string, ca *pki.Authority, first, second []byte) string {
	t.Helper()
	dir := t.TempDir()
	leaf, err := ca.Leaf(pki.LeafOptions{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := leaf.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	trusted := slices.Concat(first, second)
	if !b.both {
		trusted, second = first, nil
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	text := block(t, blocks, b.block)
	if !strings.Contains(text, b.port) {
		t.Fatalf("%s: no %s in\n%s", b.title, b.port, text)
	}
	if second == nil {
		text = strings.NewReplacer("SECOND_SHA1 1;", "", "SECOND_SHA256", "").Replace(text)
	} else {
		text = strings.NewReplacer("SECOND_SHA1 ", fmt.Sprintf("%x ", sha1.Sum(der(t, second))), "SECOND_SHA256", fmt.Sprintf("%X", sha256.Sum256(der(t, second)))).Replace(text)
	}
	text = strings.NewReplacer(
		b.port, strings.NewReplacer("9444", address, "listen 9445", "listen "+address, ":", "127.0.0.1:", "9443", port, "9446", port).Replace(b.port),
		"FIRST_SHA1 ", fmt.Sprintf("%x ", sha1.Sum(der(t, first))), "FIRST_SHA256", fmt.Sprintf("%X", sha256.Sum256(der(t, first))),
	).Replace(text)
	file := map[string]string{"go": "backend.go", "nginx": "server.conf", "haproxy": "haproxy.cfg", "openssl": "command"}[b.program]
	for name, content := range map[string][]byte{
		"client.pem": trusted, "server.pem": leaf.CertificatePEM(), "server.key": key, "server-both.pem": slices.Concat(leaf.CertificatePEM(), key), file: []byte(text),
		"nginx.conf": []byte("daemon off; master_process off; pid pid; events {}\nhttp { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;\ninclude server.conf; }\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := map[string][]string{
		"go": {"./backend"}, "nginx": {"nginx", "-p", dir, "-e", "error.log", "-c", "nginx.conf"}, "haproxy": {"haproxy", "-db", "-f", "haproxy.cfg"},
		"openssl": strings.Fields(text),
	}[b.program]
	if b.program == "go" {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", "backend", "backend.go")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	background(t, dir, address, command...)
	return address
}

func der(t *testing.T, text []byte) []byte {
	t.Helper()
	b, _ := pem.Decode(text)
	if b == nil {
		t.Fatal("no PEM")
	}
	return b.Bytes
}

// freeAddress is one on loopback that nobody listens at now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// background runs a program in dir until the test ends, and returns once it
// listens at address.
func background(t *testing.T, dir, address string, command ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", strings.Join(command, " "), out.String())
		}
	})
	for end := time.Now().Add(20 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", strings.Join(command, " "), out.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %v", strings.Join(command, " "), err)
		}
	}
}

// attach sets a stage's client certificate.
func (w *World) attach(t *testing.T, api, stage, id string) {
	t.Helper()
	if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: &stage, PatchOperations: Replace("/clientCertificateId", id)}); err != nil {
		t.Fatal(err)
	}
}

// proxyTo gives an API a resource /name whose GET leads to uri.
func (w *World) proxyTo(t *testing.T, api, root, name, uri string) {
	t.Helper()
	ctx, get := t.Context(), aws.String("GET")
	res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: &api, ParentId: &root, PathPart: &name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: &api, ResourceId: res.Id, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: &api, ResourceId: res.Id, HttpMethod: get, IntegrationHttpMethod: get,
		Type: types.IntegrationTypeHttpProxy, Uri: &uri}); err != nil {
		t.Fatal(err)
	}
}

// Each configuration that the guide prints, on the server that it is for,
// behind a whole gateway; what comes of it is the guide's table.
func TestClientCertificateBackends(t *testing.T) {
	page, blocks := guide(t, certificateGuide)
	ca, err := pki.NewAuthority("backends")
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := Start(t, func(c *config.Config) { c.TrustBundles = []string{bundle} })
	ctx := t.Context()
	generate := func() (string, []byte) {
		t.Helper()
		made, err := w.API.GenerateClientCertificate(ctx, &apigateway.GenerateClientCertificateInput{})
		if err != nil {
			t.Fatal(err)
		}
		return *made.ClientCertificateId, []byte(*made.PemEncodedCertificate)
	}
	firstID, first := generate()
	secondID, second := generate()
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("certified"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range certifiedBackends {
		if _, err := exec.LookPath(b.program); err != nil {
			continue // said below
		}
		w.proxyTo(t, *api.Id, *api.RootResourceId, fmt.Sprint(i), "https://"+b.start(t, blocks, ca, first, second)+"/")
	}
	stages := []struct {
		name  string
		shows []string // one after the other
	}{{"nothing", nil}, {"first", []string{firstID}}, {"second", []string{secondID}}, {"rotating", []string{firstID, secondID}}}
	for _, s := range stages {
		if _, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: &s.name}); err != nil {
			t.Fatal(err)
		}
		for _, id := range s.shows {
			w.attach(t, *api.Id, s.name, id)
		}
	}
	for i, b := range certifiedBackends {
		t.Run(b.title, func(t *testing.T) {
			Need(t, b.program)
			row := "| " + b.title + " |"
			for _, s := range stages {
				got := w.get(t, "REGIONAL", fmt.Sprintf("https://%s/%s/%d", w.Host(*api.Id), s.name, i))
				if got.status != 200 && strings.Contains(got.body, "hello") {
					t.Errorf("%s: %d %s", s.name, got.status, got.body)
				}
				row += fmt.Sprintf(" %d |", got.status)
			}
			if !strings.Contains(page, row+"\n") {
				t.Errorf("%s has no row\n%s", certificateGuide, row)
			}
		})
	}
}

// The guide's commands, as they are printed and in their order, in one shell.
func TestClientCertificateCommands(t *testing.T) {
	for _, program := range []string{"aws", "bash", "openssl"} {
		Need(t, program)
	}
	page, blocks := guide(t, certificateGuide)
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	dir := t.TempDir()
	authority, err := pki.NewAuthority("own")
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Leaf(pki.LeafOptions{Names: []string{"gateway.example.com"}, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	key, err := own.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"own.pem": own.CertificatePEM(), "own.key": key, "own-ca.pem": authority.PEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := []string{"set -euo pipefail", `trap 'echo "FAILED: $BASH_COMMAND" >&2' ERR`}
	for _, b := range blocks {
		if strings.HasPrefix(b, "aws ") || strings.HasPrefix(b, "cp ") {
			script = append(script, b)
		}
	}
	if len(script) < 8 {
		t.Errorf("only %d blocks of commands were found in %s", len(script)-2, certificateGuide)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.Join(script, "\n"))
	cmd.Dir, cmd.Env = dir, append(w.Env(), "api="+api)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, says := range []string{"ApiGateway", "sha256 Fingerprint=", "notAfter="} {
		if !strings.Contains(string(out), says) {
			t.Errorf("nothing printed %s:\n%s", says, out)
		}
	}
	if _, metric, _ := strings.Cut(page, "metric `"); !strings.Contains(w.metrics(t), metric[:strings.IndexByte(metric, '{')+1]) {
		t.Error("there is no metric as the page names it")
	}
	stage, err := w.API.GetStage(t.Context(), &apigateway.GetStageInput{RestApiId: &api, StageName: aws.String("prod")})
	if err != nil {
		t.Fatal(err)
	}
	if id := aws.ToString(stage.ClientCertificateId); !strings.HasPrefix(id, "arn:aws:acm:") {
		t.Errorf("in the end the stage shows %q", id)
	}
}

// An expired certificate is refused by each of them, although it is the very one
// that they trust.
func TestExpiredClientCertificate(t *testing.T) {
	_, blocks := guide(t, certificateGuide)
	ca, err := pki.NewAuthority("backends")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	made := map[bool]*pki.Imported{}
	for _, expired := range []bool{false, true} {
		from := time.Now()
		if expired {
			from = from.Add(-365*24*time.Hour - time.Minute)
		}
		if made[expired], err = pki.NewClientCertificate(from); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range certifiedBackends {
		if b.both {
			continue
		}
		t.Run(b.title, func(t *testing.T) {
			Need(t, b.program)
			for expired, want := range map[bool]bool{false: true, true: false} {
				address := b.start(t, blocks, ca, made[expired].CertificatePEM(), nil)
				client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
					DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{made[expired].TLS()}}}}
				resp, err := client.Get("https://" + address + "/")
				status := 0
				if err == nil {
					status = resp.StatusCode
					resp.Body.Close()
				}
				if taken := status == 200; taken != want || err == nil && !taken && status != 400 {
					t.Errorf("expired %t: status %d, %v", expired, status, err)
				}
			}
		})
	}
}

// A certificate of one's own, from ACM: its backends trust a CA. What is
// imported again is shown without a restart, and one that has expired since is
// shown, too: it is for the backend to refuse it.
func TestACMClientCertificate(t *testing.T) {
	authority, err := pki.NewAuthority("everybody's")
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Leaf(pki.LeafOptions{Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM())
	seen := make(chan *x509.Certificate, 100)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].SerialNumber.String())
	}))
	backend.Config.ErrorLog = log.New(io.Discard, "", 0)
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientAuth: tls.RequireAnyClientCert, VerifyConnection: func(c tls.ConnectionState) error {
		seen <- c.PeerCertificates[0]
		_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		return err
	}}
	backend.StartTLS()
	t.Cleanup(backend.Close)

	w := Start(t, func(c *config.Config) { c.TrustBundles = []string{bundle} })
	ctx := t.Context()
	certificate := func(arn *string, end time.Time) (*string, *x509.Certificate) {
		t.Helper()
		leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{"gateway.example.com"}, Client: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: end})
		if err != nil {
			t.Fatal(err)
		}
		key, err := leaf.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.ACM.ImportCertificate(ctx, &acm.ImportCertificateInput{CertificateArn: arn, Certificate: leaf.CertificatePEM(), PrivateKey: key, CertificateChain: authority.PEM()})
		if err != nil {
			t.Fatal(err)
		}
		return out.CertificateArn, leaf.Certificate
	}
	var api string
	for _, stage := range []string{"prod", "test"} {
		if api == "" {
			made, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("own"),
				EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
			if err != nil {
				t.Fatal(err)
			}
			api = *made.Id
			w.proxyTo(t, api, *made.RootResourceId, "x", backend.URL+"/")
		}
		if _, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: &api, StageName: &stage}); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(what string, status int, want *x509.Certificate) {
		t.Helper()
		for _, stage := range []string{"prod", "test"} {
			got := w.get(t, "REGIONAL", "https://"+w.Host(api)+"/"+stage+"/x")
			if got.status != status || status == 200 && got.body != want.SerialNumber.String() {
				t.Errorf("%s, %s: %d %s, want %d %s", what, stage, got.status, got.body, status, want.SerialNumber)
			}
		}
	}
	arn, first := certificate(nil, time.Now().Add(time.Hour))
	w.attach(t, api, "prod", *arn)
	w.attach(t, api, "test", *arn)
	shows("attached", 200, first)
	end := time.Now().Add(3 * time.Second)
	_, second := certificate(arn, end)
	shows("imported again", 200, second)
	if _, err := w.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: arn}); err == nil || !strings.Contains(err.Error(), "in use by") {
		t.Errorf("deleted while it is shown: %v", err)
	}
	metrics := fmt.Sprintf("sallyport_client_certificate_expiry_seconds{id=%q} %v", *arn, float64(second.NotAfter.Unix()))
	if text := w.metrics(t); !strings.Contains(text, metrics) {
		t.Errorf("metrics do not say %s", metrics)
	}

	<-time.After(time.Until(second.NotAfter) + time.Second) // dates have whole seconds
	backend.CloseClientConnections()
	for len(seen) > 0 {
		<-seen
	}
	shows("expired", 500, nil)
	select {
	case shown := <-seen:
		if !shown.Equal(second) {
			t.Errorf("it shows %s", shown.SerialNumber)
		}
	default:
		t.Error("an expired certificate is not shown")
	}
}

func (w *World) metrics(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(w.Runtime.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// linesTo sends each line of a log to a channel.
type linesTo chan string

func (l linesTo) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default: // nobody has read the thousand before
	}
	return len(p), nil
}

// A gateway that starts when a certificate has a fortnight left, or none, says
// so and names its stages.
func TestClientCertificateExpiry(t *testing.T) {
	dir := t.TempDir()
	here := func(c *config.Config) { c.DataDir, c.SealKey = dir, filepath.Join(dir, "seal.key") }
	var id, api string
	t.Run("attach", func(t *testing.T) { // its end stops the gateway
		w := Start(t, here)
		made, err := w.API.GenerateClientCertificate(t.Context(), &apigateway.GenerateClientCertificateInput{})
		if err != nil {
			t.Fatal(err)
		}
		id, api = *made.ClientCertificateId, w.MockAPI(t, types.EndpointTypeRegional, "", "")
		w.attach(t, api, "prod", id)
	})
	for days, says := range map[int]string{351: "client certificate expires soon", 366: "client certificate has expired"} {
		t.Run(says, func(t *testing.T) {
			lines := make(linesTo, 1000)
			w := start(t, []func(*gateway.Options){func(o *gateway.Options) {
				o.Now = func() time.Time { return time.Now().Add(time.Duration(days) * 24 * time.Hour) }
				o.Log = slog.New(slog.NewTextHandler(lines, nil))
			}}, here)
			for end := time.After(20 * time.Second); ; {
				select {
				case line := <-lines:
					if !strings.Contains(line, says) {
						continue
					}
					if !strings.Contains(line, "level=WARN") || !strings.Contains(line, "certificate="+id) || !strings.Contains(line, "stages=["+api+"/prod]") {
						t.Error(line)
					}
				case <-end:
					t.Fatal("the log says nothing of it")
				}
				break
			}
			if text := w.metrics(t); !strings.Contains(text, `sallyport_client_certificate_expiry_seconds{id="`+id+`"}`) {
				t.Error("no metric")
			}
		})
	}
}

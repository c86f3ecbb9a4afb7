package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/pki"
)

// patients are backends on loopback, each with one fault that is real.
type patients struct {
	dir  string
	urls map[string]string // by name
	root *pki.Authority    // that the good ones chain to; its PEM is dir/roots.pem
}

func startPatients(t *testing.T) *patients {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := pki.NewAuthority("Clinic Root")
	must(err)
	middle, err := root.Intermediate("Clinic Intermediate")
	must(err)
	other, err := pki.NewAuthority("Nobody's Root")
	must(err)
	p := &patients{dir: t.TempDir(), urls: map[string]string{}, root: root}
	must(os.WriteFile(filepath.Join(p.dir, "roots.pem"), root.PEM(), 0o600))
	local, now := []string{"localhost", "127.0.0.1"}, time.Now()
	leaf := func(a *pki.Authority, o pki.LeafOptions) *pki.Issued {
		t.Helper()
		if o.Names == nil {
			o.Names = local
		}
		issued, err := a.Leaf(o)
		must(err)
		return issued
	}
	alone := func(i *pki.Issued) *pki.Issued { i.Chain = nil; return i }
	rooted := func(i *pki.Issued) *pki.Issued { i.Chain = append(i.Chain, other.Certificate); return i }
	for name, issued := range map[string]*pki.Issued{
		"GOOD":       leaf(middle, pki.LeafOptions{}),
		"SELFSIGNED": leaf(root, pki.LeafOptions{SelfSigned: true}),
		"EXPIRED":    leaf(middle, pki.LeafOptions{NotBefore: now.Add(-50 * time.Minute), NotAfter: now.Add(-30 * time.Minute)}),
		"EARLY":      leaf(middle, pki.LeafOptions{NotBefore: now.Add(72 * time.Hour), NotAfter: now.Add(96 * time.Hour)}),
		"WRONGNAME":  leaf(middle, pki.LeafOptions{Names: []string{"elsewhere.example"}}),
		"INCOMPLETE": alone(leaf(middle, pki.LeafOptions{})),
		"UNTRUSTED":  rooted(leaf(other, pki.LeafOptions{})),
		"HOSTILE":    leaf(root, pki.LeafOptions{SelfSigned: true, CommonName: "\x1b[2J\u202eevil"}),
	} {
		p.serve(t, name, &tls.Config{Certificates: []tls.Certificate{issued.TLS()}})
	}
	good := leaf(middle, pki.LeafOptions{}).TLS()
	p.serve(t, "OLD", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	p.serve(t, "DEMANDS", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert})
	p.serve(t, "ASKS", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequestClientCert})
	p.serve(t, "PLAIN", nil)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	p.urls["CLOSED"] = p.url(closed)
	must(closed.Close())
	return p
}

func (p *patients) url(l net.Listener) string {
	return fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port)
}

// serve starts a backend; nil is one without TLS.
func (p *patients) serve(t *testing.T, name string, c *tls.Config) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.urls[name] = p.url(socket)
	if c != nil {
		socket = tls.NewListener(socket, c)
	}
	s := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(socket) }() // returns when Close ends it
	t.Cleanup(func() { s.Close() })
}

// setup gives a story the backends' URLs.
func (p *patients) setup(more ...string) func(*testscript.Env) error {
	return func(e *testscript.Env) error {
		for name, url := range p.urls {
			e.Setenv(name, url)
		}
		e.Setenv("ROOTS", filepath.Join(p.dir, "roots.pem"))
		for i := 0; i+1 < len(more); i += 2 {
			e.Setenv(more[i], more[i+1])
		}
		return nil
	}
}

// The doctor's stories without a gateway: this process judges.
func TestDoctorAlone(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/doctor/alone", Setup: startPatients(t).setup(), UpdateScripts: *update, RequireExplicitExec: true})
}

// The printed openssl command runs as it stands and shows the same fault.
func TestDoctorOpenSSL(t *testing.T) {
	for _, program := range []string{"openssl", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: the program %q is not installed, so the commands that the doctor prints were not run", program)
		}
	}
	t.Parallel()
	p := startPatients(t)
	// Which words openssl takes depends on its version.
	for _, tc := range []struct{ name, says string }{
		{"GOOD", `Verify return code: 0 \(ok\)`},
		{"SELFSIGNED", `\(self.?signed certificate\)`},
		{"EXPIRED", `\(certificate has expired\)`},
		{"EARLY", `\(certificate is not yet valid\)`},
		{"WRONGNAME", `\(hostname mismatch\)`},
		{"INCOMPLETE", `\(unable to get local issuer certificate\)`},
		{"UNTRUSTED", `\(self.?signed certificate in certificate chain\)`},
		{"OLD", "alert protocol version|unsupported protocol"},
		{"PLAIN", "wrong version number|packet length too long"},
		{"CLOSED", "Connection refused"},
	} {
		code, d := p.doctor(t, p.urls[tc.name])
		if (code == 0) != d.Accepted || d.OpenSSL == "" {
			t.Errorf("%s: exit code %d, %+v", tc.name, code, d)
			continue
		}
		out, err := exec.Command("bash", "-c", d.OpenSSL).CombinedOutput()
		if (err == nil) != d.Accepted || !regexp.MustCompile(tc.says).Match(out) {
			t.Errorf("%s: %v\n%s\n%s\nit does not say %q", tc.name, err, d.OpenSSL, out, tc.says)
		}
	}
}

// doctor runs the command without a gateway.
func (p *patients) doctor(t *testing.T, args ...string) (code int, d backgate.Diagnosis) {
	t.Helper()
	var out, said bytes.Buffer
	code = run(t.Context(), append([]string{"doctor", "-o", "json", "--allow-backend", "127.0.0.0/8", "--trust-bundle", filepath.Join(p.dir, "roots.pem")}, args...), &out, &said)
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatalf("%v: %s%s", err, &out, &said)
	}
	return code, d
}

// doors are backends that differ in what they make of client certificates; the
// certificates that each takes are added as they are made.
type doors struct {
	*patients
	mu    sync.Mutex
	takes map[string][]*x509.Certificate // by backend
}

func (d *doors) let(c *x509.Certificate, in ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range in {
		d.takes[name] = append(d.takes[name], c)
	}
}

// judge is a backend's verdict on a client's certificate.
func (d *doors) judge(name string) func([][]byte, [][]*x509.Certificate) error {
	return func(raw [][]byte, _ [][]*x509.Certificate) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(raw) == 0 || slices.ContainsFunc(d.takes[name], func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, raw[0]) }) {
			return nil
		}
		return errors.New("not on the list")
	}
}

// The doctor's stories with a gateway that runs: its trust judges, its stages
// are gone through, and its client certificates are shown.
func TestDoctorAtGateway(t *testing.T) {
	t.Parallel()
	d := &doors{patients: startPatients(t), takes: map[string][]*x509.Certificate{}}
	good, err := d.root.Leaf(pki.LeafOptions{Names: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]tls.ClientAuthType{"BOTH": tls.RequireAnyClientCert, "NEW": tls.RequireAnyClientCert,
		"LATE": tls.RequireAnyClientCert, "OTHERS": tls.RequireAnyClientCert, "OPTIONAL": tls.RequestClientCert, "NEVER": tls.NoClientCert} {
		d.serve(t, name, &tls.Config{Certificates: []tls.Certificate{good.TLS()}, ClientAuth: auth, VerifyPeerCertificate: d.judge(name)})
	}
	p := start(t, t.TempDir(), "--allow-backend", "127.0.0.0/8", "--trust-bundle", filepath.Join(d.dir, "roots.pem"))
	mixed := p.stage(t, d.patients, "GOOD", "EXPIRED", "SELFSIGNED", "CLOSED")
	fine := p.stage(t, d.patients, "GOOD", "BOTH", "NEW")
	locked := p.stage(t, d.patients, "BOTH", "NEW")
	asked := p.stage(t, d.patients, "BOTH", "NEW", "LATE", "OTHERS", "OPTIONAL", "NEVER")
	previous, old := p.clientCertificate(t)
	d.let(old, "BOTH", "LATE")
	p.attach(t, asked, previous)
	attached, fresh := p.clientCertificate(t)
	d.let(fresh, "BOTH", "NEW", "OPTIONAL")
	for _, api := range []string{asked, fine, locked} {
		p.attach(t, api, attached)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/doctor/gateway", UpdateScripts: *update, RequireExplicitExec: true,
		Setup: d.setup("DIR", p.dir, "ADMIN", strings.TrimPrefix(p.Admin, "http://"), "KEYS", p.Credentials,
			"MIXED", mixed+"/prod", "FINE", fine+"/prod", "LOCKED", locked+"/prod", "ASKED", asked+"/prod", "ATTACHED", attached, "PREVIOUS", previous)})
}

// What answers on a gateway's port may be somebody else.
func TestAnotherOnTheAdminPort(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what   string
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		{"a page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "answer of the gateway at http://127.0.0.1:"},
		{"no such page", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "is no admin port of a gateway that has a doctor: 404 Not Found"},
		{"a redirect, which is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "has a doctor: 302 Found"},
		{"a refusal", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
			w.WriteHeader(429)
			fmt.Fprint(w, `{"message":"Too Many Requests"}`)
		}, "error: Too Many Requests (TooManyRequestsException)\nhint: others are being examined"},
		{"an end in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, "unexpected EOF"},
		{"more than anybody wants", func(w http.ResponseWriter, _ *http.Request) {
			for chunk := []byte(strings.Repeat(" ", 1<<20)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "answer of the gateway at"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(tc.answer))
			defer server.Close()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "credentials"), []byte("[default]\naws_access_key_id = AKIDX\naws_secret_access_key = s\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, said bytes.Buffer
			code := run(t.Context(), []string{"doctor", "https://localhost:1", "--data-dir", dir, "--admin", strings.TrimPrefix(server.URL, "http://")}, &out, &said)
			if code != exitFindings || !strings.Contains(said.String(), tc.says) || out.Len() > 0 {
				t.Errorf("exit code %d, %s%s", code, &out, &said)
			}
		})
	}
}

// stage makes an API with a resource per backend, deployed as prod.
func (p *process) stage(t *testing.T, backends *patients, names ...string) string {
	t.Helper()
	client, ctx, get := p.client(t), t.Context(), aws.String("GET")
	api, err := client.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("doctor"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		res, err := client.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(strings.ToLower(name))})
		if err == nil {
			_, err = client.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: get, AuthorizationType: aws.String("NONE")})
		}
		if err == nil {
			_, err = client.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: get,
				IntegrationHttpMethod: get, Type: types.IntegrationTypeHttpProxy, Uri: aws.String("https://${stageVariables." + name + "}/")})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{}
	for _, name := range names {
		variables[name] = strings.TrimPrefix(backends.urls[name], "https://")
	}
	if _, err := client.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: aws.String("prod"), Variables: variables}); err != nil {
		t.Fatal(err)
	}
	return *api.Id
}

func (p *process) clientCertificate(t *testing.T) (id string, c *x509.Certificate) {
	t.Helper()
	made, err := p.client(t).GenerateClientCertificate(t.Context(), &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(*made.PemEncodedCertificate))
	if c, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return *made.ClientCertificateId, c
}

func (p *process) attach(t *testing.T, api, id string) {
	t.Helper()
	_, err := p.client(t).UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"),
		PatchOperations: []types.PatchOperation{{Op: types.OpReplace, Path: aws.String("/clientCertificateId"), Value: &id}}})
	if err != nil {
		t.Fatal(err)
	}
}

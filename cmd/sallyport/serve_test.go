package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// slowBackend answers once it is let go; asked tells that a request has come.
func slowBackend(t *testing.T) (url string, asked chan struct{}, release func()) {
	asked, gate := make(chan struct{}, 8), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked, func() { close(gate) }
}

// answer is what a request running in the background came to.
type answer struct {
	status int
	err    error
}

func (p *process) background(t *testing.T, api string) chan answer {
	c := make(chan answer, 1)
	go func() {
		status, err := p.get(t, api, "/")
		c <- answer{status, err}
	}()
	return c
}

// TERM stops accepting at once, lets the request under way finish, exits 0.
func TestTermDrains(t *testing.T) {
	t.Parallel()
	url, asked, release := slowBackend(t)
	p := start(t, t.TempDir(), "--allow-backend", "127.0.0.0/8")
	got := p.background(t, p.proxyAPI(t, url))
	<-asked
	p.signal(t, syscall.SIGTERM)
	p.log.await(t, `"draining"`)
	select {
	case <-p.exited:
		t.Fatal("it did not wait for the request")
	default:
	}
	release()
	if a := <-got; a.status != http.StatusOK || a.err != nil {
		t.Errorf("the request under way: %d %v", a.status, a.err)
	}
	if state := p.wait(t); state.ExitCode() != 0 {
		t.Errorf("after TERM: %v", state)
	}
	if _, err := net.Dial("tcp", p.Listeners["REGIONAL"]); err == nil {
		t.Error("somebody still listens")
	}
	if _, err := os.Stat(filepath.Join(p.dir, "runtime.json")); !os.IsNotExist(err) {
		t.Errorf("runtime.json after the stop: %v", err)
	}
}

// A second TERM ends a drain that takes too long; nothing stored is lost.
func TestSecondTerm(t *testing.T) {
	t.Parallel()
	url, asked, release := slowBackend(t)
	defer release()
	p := start(t, t.TempDir(), "--allow-backend", "127.0.0.0/8")
	api := p.proxyAPI(t, url)
	got := p.background(t, api)
	<-asked
	p.signal(t, syscall.SIGTERM)
	p.log.await(t, `"draining"`)
	p.signal(t, syscall.SIGTERM)
	if state := p.wait(t); state.ExitCode() != 1 {
		t.Errorf("after the second TERM: %v", state)
	}
	p.log.await(t, "stopped at once by a second signal")
	if a := <-got; a.err == nil {
		t.Errorf("the request that was cut: %d", a.status)
	}
	p = start(t, p.dir)
	if _, err := p.client(t).GetRestApi(t.Context(), &apigateway.GetRestApiInput{RestApiId: &api}); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	p.stop(t)
}

// kill -9 leaves runtime.json behind; the next start replaces it, and a start
// that fails takes it away, for it names ports that are nobody's.
func TestKill(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	api := p.proxyAPI(t, "https://127.0.0.1:1/")
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	path := filepath.Join(p.dir, "runtime.json")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("after kill -9: %v", err)
	}
	if code, said := refused(t, p.dir, "--trust-bundle", filepath.Join(p.dir, "none.pem")); code != 1 {
		t.Errorf("a start without its bundle: exit code %d\n%s", code, said)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after a start that failed: %v", err)
	}
	p = start(t, p.dir)
	if _, err := p.client(t).GetRestApi(t.Context(), &apigateway.GetRestApiInput{RestApiId: &api}); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	p.stop(t)
}

// A second process on the same folder is told why it cannot have it, and does
// the first one no harm.
func TestLocked(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--quickstart")
	files := tree(t, p.dir)
	code, said := refused(t, p.dir, "--quickstart")
	if code != 1 || !strings.Contains(said, filepath.Join(p.dir, "sallyport.db")+": locked by another process; hint: stop the other process, or name another data directory") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if after := tree(t, p.dir); after != files {
		t.Errorf("files before:\n%s\nand after:\n%s", files, after)
	}
	p.signal(t, syscall.SIGHUP) // reads again what the second one might have overwritten
	p.log.await(t, "configuration reloaded")
	if status, err := p.get(t, quickstartID(t, p), "/good"); status != http.StatusOK || err != nil {
		t.Errorf("the first one's /good: %d %v", status, err)
	}
	p.stop(t)
}

// tree lists the files that do not change by themselves.
func tree(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() && e.Name() != "sallyport.db" {
			fmt.Fprintln(&b, e.Name(), info.Mode(), info.Size(), info.ModTime())
		}
	}
	return b.String()
}

// HUP applies what it can, names the rest, and a bad file changes nothing.
func TestHUP(t *testing.T) {
	t.Parallel()
	backend := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	dir := t.TempDir()
	file, bundle := filepath.Join(dir, "sallyport.yaml"), filepath.Join(dir, "bundle.pem")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "region: us-east-1\n")
	p := start(t, filepath.Join(dir, "data"), "--config", file)
	api := p.proxyAPI(t, backend.URL)
	want := func(what string, status int) {
		t.Helper()
		if got, err := p.get(t, api, "/"); got != status || err != nil {
			t.Errorf("%s: %d %v, want %d", what, got, err, status)
		}
	}
	hup := func(says ...string) {
		t.Helper()
		before := len(p.log.String())
		p.signal(t, syscall.SIGHUP)
		for _, text := range says {
			p.log.awaitAfter(t, before, text)
		}
	}
	want("loopback is not allowed", http.StatusInternalServerError)
	write(file, "region: us-east-1\nallow-backend: 127.0.0.0/8\n")
	hup(`"configuration reloaded","waiting_for_restart":null`)
	want("allowed, but not trusted", http.StatusInternalServerError)
	write(bundle, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: backend.Certificate().Raw})))
	write(file, "region: eu-west-1\nallow-backend: 127.0.0.0/8\ntrust-bundle: "+bundle+"\n")
	hup(`"waiting_for_restart":["region"]`)
	want("allowed and trusted", http.StatusOK)

	for _, tc := range []struct{ what, text, says string }{
		{"unknown key", "allow-backends: 10.0.0.0/8\n", `sallyport.yaml:1: unknown key \"allow-backends\" (did you mean \"allow-backend\"?)`},
		{"no YAML", "region: \"eu\n", `sallyport.yaml:`},
		{"missing bundle", "trust-bundle: /nonexistent.pem\n", `trust bundle open /nonexistent.pem: no such file`},
	} {
		write(file, tc.text)
		hup(tc.says, "reload refused; what ran keeps running")
		want("after "+tc.what, http.StatusOK)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	hup("configuration file: open " + file)
	want("after the file is gone", http.StatusOK)

	write(file, "{}\n")
	hup(`"configuration reloaded","waiting_for_restart":null`)
	want("back to nothing allowed", http.StatusInternalServerError)
	p.stop(t)
}

// What an operator may do to the files of a stopped gateway; each is refused
// with the file, the reason and a way out, exit code 1, and healed by undoing it.
func TestDamagedFiles(t *testing.T) {
	p := start(t, t.TempDir())
	p.stop(t)
	chmod := func(mode os.FileMode) func(string) error {
		return func(path string) error { return os.Chmod(path, mode) }
	}
	text := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	for _, tc := range []struct {
		file, what string
		damage     func(path string) error
		says       []string
	}{
		{"seal.key", "readable by others", chmod(0o644), []string{"seal key: ", "seal.key: mode 0644 lets others at it; hint: chmod 600 "}},
		{"credentials", "readable by its group", chmod(0o640), []string{"credentials: ", "mode 0640 lets others at it; hint: chmod 600 "}},
		{"sallyport.db", "writable by others", chmod(0o666), []string{"sallyport.db: mode 0666 lets others at it; hint: chmod 600 "}},
		{"ca.key", "readable by others", chmod(0o604), []string{"local CA: ", "ca.key: mode 0604 lets others at it; hint: chmod 600 "}},
		{"ca.pem", "writable by its group", chmod(0o664), []string{"local CA: ", "ca.pem: mode 0664 lets others change it; hint: chmod 644 "}},
		{"endpoint-rsa.pem", "readable by others", chmod(0o644), []string{"endpoint-rsa.pem: mode 0644 lets others at it"}},
		{"", "a folder open to everybody", chmod(0o777), []string{"data folder: ", "mode 0777 lets everybody change it; hint: chmod 700 "}},
		{"seal.key", "not a key", text("secret\n"), []string{"seal key: ", "seal.key: not hexadecimal; hint: "}},
		{"seal.key", "too short", text("00ff\n"), []string{"seal.key: 2 bytes long, not 32; hint: "}},
		{"seal.key", "another key", text(strings.Repeat("0f", 32) + "\n"), []string{"ca.key: sealed secret does not open with this seal key", "hint: restore the seal key"}},
		{"seal.key", "gone", os.Remove, []string{"ca.key: sealed secret does not open with this seal key", "hint: restore the seal key"}},
		{"ca.key", "damaged", text("-----BEGIN NOTHING-----\n"), []string{"ca.key: damaged: no sealed private key"}},
		{"ca.key", "gone", os.Remove, []string{"ca.key: missing, though ", "hint: restore it, or remove both for a new CA"}},
		{"ca.pem", "damaged", text("junk"), []string{"ca.pem: damaged: not one PEM certificate"}},
		{"endpoint-ecdsa.pem", "damaged", text(""), []string{"endpoint-ecdsa.pem: damaged: no certificate; hint: remove it for a new one"}},
		{"credentials", "without a profile", text("\n"), []string{"credentials: no profile with aws_access_key_id"}},
		{"sallyport.db", "not a store", text("junk"), []string{"open store ", "sallyport.db: "}},
		{"sallyport.db", "cut short", func(path string) error { return os.Truncate(path, 8192) }, []string{"open store ", "sallyport.db: damaged: "}},
	} {
		t.Run(strings.TrimSpace(tc.file+" "+tc.what), func(t *testing.T) {
			path := filepath.Join(p.dir, tc.file)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			var content []byte
			if !info.IsDir() {
				if content, err = os.ReadFile(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := tc.damage(path); err != nil {
				t.Fatal(err)
			}
			code, said := refused(t, p.dir)
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			for _, text := range tc.says {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q:\n%s", text, said)
				}
			}
			if strings.Contains(said, "goroutine") || strings.Count(said, "\n") > 4 {
				t.Errorf("no message for people:\n%s", said)
			}
			if content != nil {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(path, info.Mode().Perm()); err != nil {
				t.Fatal(err)
			}
		})
	}
	p = start(t, p.dir)
	p.stop(t)
}

// Where serve cannot write or listen.
func TestNoPlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		what, dir string
		args      []string
		says      []string
	}{
		{"a file in the way", file, nil, []string{"data folder: " + file + ": not a directory"}},
		{"a folder that nobody may write", "/proc/sallyport", nil, []string{"data folder: mkdir /proc/sallyport: "}},
		{"admin port in use", filepath.Join(dir, "data"), []string{"--admin", taken.Addr().String()}, []string{"admin address: ", "address already in use", "hint: stop what listens there, or name another address"}},
		{"listener port in use", filepath.Join(dir, "data"), []string{"--listen", "EDGE=" + taken.Addr().String()}, []string{"listener EDGE: ", "address already in use", "hint: "}},
		{"an address of somebody else", filepath.Join(dir, "data"), []string{"--admin", "192.0.2.1:0"}, []string{"admin address: ", "hint: name an address of this machine"}},
		{"a name that is none", filepath.Join(dir, "data"), []string{"--admin", "nowhere.invalid:0"}, []string{"admin address: ", "nowhere.invalid"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			args := tc.args
			if len(args) > 0 && args[0] == "--listen" { // the helper names every listener already
				f := filepath.Join(dir, "edge.yaml")
				if err := os.WriteFile(f, []byte("listen: ["+args[1]+", REGIONAL=127.0.0.1:0, PRIVATE=127.0.0.1:0]\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				code, out := runMain("serve", "--data-dir", tc.dir, "--admin", "127.0.0.1:0", "--config", f)
				check(t, code, out, tc.says)
				return
			}
			code, out := refused(t, tc.dir, args...)
			check(t, code, out, tc.says)
		})
	}
}

func check(t *testing.T, code int, out string, says []string) {
	t.Helper()
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, text := range says {
		if !strings.Contains(out, text) {
			t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
}

// runMain runs one command line in this process.
func runMain(args ...string) (code int, out string) {
	var b strings.Builder
	code = run(context.Background(), args, &b, &b)
	return code, b.String()
}

// Every listener on IPv6, and what health and metrics say.
func TestIPv6AndHealth(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("SKIPPED: this machine has no IPv6 loopback (%v), so listening there was not checked", err)
	} else {
		l.Close()
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "six.yaml")
	if err := os.WriteFile(file, []byte("admin: '[::1]:0'\nlisten: ['REGIONAL=[::1]:0', 'EDGE=[::1]:0', 'PRIVATE=[::1]:0']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	saved := freePorts
	freePorts = nil
	defer func() { freePorts = saved }()
	p := start(t, filepath.Join(dir, "data"), "--config", file)
	if !strings.HasPrefix(p.Admin, "http://[::1]:") || !strings.HasPrefix(p.Listeners["REGIONAL"], "[::1]:") {
		t.Errorf("runtime.json: %+v", p.Runtime)
	}
	if _, err := p.get(t, "nosuchapi0", "/"); err != nil {
		t.Errorf("handshake over IPv6: %v", err)
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n", "/metrics": "sallyport_"} {
		resp, err := http.Get(p.Admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("GET %s: %d %.200s", path, resp.StatusCode, body)
		}
	}
	p.stop(t)
}

// A cluster's own variables are no reason to refuse a start, a misspelt one is
// named.
func TestUnknownEnvironment(t *testing.T) {
	t.Setenv("SALLYPORT_ALLOW_BACKENDS", "127.0.0.0/8")
	t.Setenv("SALLYPORT_SERVICE_HOST", "10.0.0.1")
	p := start(t, t.TempDir())
	p.log.await(t, `SALLYPORT_ALLOW_BACKENDS (did you mean \"allow-backend\"?)`)
	p.log.await(t, `SALLYPORT_SERVICE_HOST`)
	p.stop(t)
}

func quickstartID(t *testing.T, p *process) string {
	t.Helper()
	out, err := p.client(t).GetRestApis(t.Context(), &apigateway.GetRestApisInput{})
	if err != nil || len(out.Items) != 1 {
		t.Fatalf("the example API: %v %v", out, err)
	}
	return *out.Items[0].Id
}

// The quickstart again on the same folder: the same API, on new backends, and
// a guide that is true although its owner changed it.
func TestQuickstartAgain(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--quickstart")
	id := quickstartID(t, p)
	guide := func(says ...string) {
		t.Helper()
		if n := strings.Count(p.guide, "\n"); n > 15 {
			t.Errorf("the guide has %d lines", n)
		}
		for _, text := range says {
			if !strings.Contains(p.guide, text) {
				t.Errorf("the guide does not say %q:\n%s", text, p.guide)
			}
		}
		if strings.Count(p.early, "\n") > 2 { // "ready", and the line of a call just answered
			t.Errorf("the guide is buried under the log:\n%s", p.early)
		}
		for path, want := range map[string]int{"/good": 200, "/selfsigned": 500, "/expiredcert": 500, "/untrustedRootCA": 500, "/wronghost": 500, "/wantscertificate": 500} {
			if got, err := p.get(t, id, path); got != want || err != nil {
				t.Errorf("%s: %d %v, want %d", path, got, err, want)
			}
		}
		for _, kind := range []string{"untrusted certificate", "expired certificate", "certificate for another name", "client certificate refused"} {
			p.log.await(t, `"kind":"`+kind+`"`)
		}
		for _, kind := range []string{"incomplete certificate chain", "no root"} {
			if strings.Contains(p.log.String(), `"kind":"`+kind) {
				t.Errorf("no backend of the farm has this fault: %s", kind)
			}
		}
	}
	again := func() {
		t.Helper()
		p.stop(t)
		p = start(t, p.dir, "--quickstart")
	}
	patch := func(pairs ...string) {
		t.Helper()
		var ops []types.PatchOperation
		for i := 0; i < len(pairs); i += 2 {
			ops = append(ops, types.PatchOperation{Op: types.OpReplace, Path: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
		}
		if _, err := p.client(t).UpdateRestApi(t.Context(), &apigateway.UpdateRestApiInput{RestApiId: &id, PatchOperations: ops}); err != nil {
			t.Fatal(err)
		}
	}
	guide("This works (SecurityPolicy_TLS13_1_3_2025_09, strict)", "--tls-max 1.2 https://"+id, "no TLS 1.2:")

	patch("/securityPolicy", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "/endpointAccessMode", "BASIC")
	again()
	guide("This works (SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09, basic)", "--tls-max 1.1 https://"+id, "no TLS 1.1:")

	patch("/securityPolicy", "TLS_1_0", "/endpointAccessMode", "")
	if _, err := p.client(t).DeleteStage(t.Context(), &apigateway.DeleteStageInput{RestApiId: &id, StageName: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
	again() // it is deployed again
	guide("This works (TLS_1_0, no access mode)", "Its policy refuses no version of TLS")

	if _, err := p.client(t).DeleteRestApi(t.Context(), &apigateway.DeleteRestApiInput{RestApiId: &id}); err != nil {
		t.Fatal(err)
	}
	again()
	id = quickstartID(t, p) // a new one
	guide("strict")
	p.stop(t)
}

// 0 fine, 1 a refusal, 2 a mistake of the command line; help and completion
// know every command.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := file("good.yaml", "region: eu-west-1\n"), file("bad.yaml", "regoin: x\n")
	key := file("seal.key", "junk\n")
	data := filepath.Join(dir, "data")
	for _, tc := range []struct {
		args string
		code int
		says string
	}{
		{"", 0, "sallyport serve --quickstart"},
		{"--help", 0, "Available Commands:"},
		{"serve --help", 0, "--propagation-delay D"},
		{"validate --help", 0, "Exit code 1 when serve would refuse it."},
		{"policy --help", 0, "diff"},
		{"version", 0, "sallyport "},
		{"version -o json", 0, `"go":`},
		{"validate " + good, 0, "good.yaml: ok"},
		{"completion bash", 0, "__start_sallyport"},
		{"completion zsh", 0, "#compdef sallyport"},
		{"completion fish", 0, "complete -c sallyport"},
		{"__complete policy show SecurityPolicy_TLS13_1_3_2", 0, "SecurityPolicy_TLS13_1_3_2025_09"},
		{"__complete version -o ", 0, "json"},
		{"validate " + bad, 1, `bad.yaml:1: unknown key "regoin"`},
		{"validate " + filepath.Join(dir, "none.yaml"), 1, "configuration file: open "},
		{"validate " + file("key.yaml", "seal-key: "+key+"\n"), 1, "seal key: "},
		{"validate " + file("bundle.yaml", "trust-bundle: "+key+"\n"), 1, "seal.key: no certificate in it"},
		{"serve --data-dir " + data + " --config " + bad, 1, "bad.yaml:1: "},
		{"policy show NOPE", 2, "NOPE"},
		{"policy diff TLS_1_0", 2, "usage: "},
		{"validate", 2, "usage: sallyport validate FILE"},
		{"validate " + good + " " + good, 2, "takes 1 arguments, got 2"},
		{"serve extra", 2, "takes 0 arguments, got 1"},
		{"serve --nope", 2, "unknown flag: --nope"},
		{"serve --region Mars", 2, "flag --region: "},
		{"serve --listen REGIONAL", 2, `"REGIONAL" is not TYPE=ADDR`},
		{"serve --listen REGIONAL=::1:0", 2, `"::1:0" is not HOST:PORT`},
		{"serve --listen REGIONAL=127.0.0.1:99999", 2, "no port between 0 and 65535"},
		{"serve --listen WEST=127.0.0.1:0", 2, `listener type "WEST" is none of`},
		{"serve --listen EDGE=127.0.0.1:0 --listen EDGE=127.0.0.1:1", 2, "listener type EDGE is given twice"},
		{"serve --allow-backend everything", 2, `"everything" is not a CIDR range`},
		{"serve --propagation-delay 15", 2, `"15" is not a duration`},
		{"frobnicate", 2, `unknown command "frobnicate"`},
		{"version -o xml", 2, `unknown output form "xml"`},
		{"doctor --help", 0, "--client-certificates API/STAGE"},
		{"doctor https://127.0.0.1:1 --local", 1, "REFUSED: refused address"},
		{"doctor https://127.0.0.1:1 --data-dir " + data + " --client-certificate abc123", 1, "--client-certificate needs the running gateway"},
		{"doctor", 2, "doctor takes one URL, --stage or --client-certificates"},
		{"doctor http://127.0.0.1:1", 2, "http:// has no TLS"},
		{"doctor 127.0.0.1:1", 2, "is no URL"},
		{"doctor https://127.0.0.1:1 -o yaml", 2, `unknown output form "yaml"`},
		{"doctor https://127.0.0.1:1 --allow-backend everything", 2, `"everything" is not a CIDR range`},
		{"doctor https://127.0.0.1:1 https://127.0.0.1:2", 2, "doctor takes one URL"},
		{"doctor --stage prod", 2, `"prod" is not API/STAGE`},
		{"doctor --stage a/prod --local", 2, "only a running gateway knows"},
		{"doctor --nope", 2, "unknown flag: --nope"},
	} {
		args := strings.Fields(tc.args)
		if strings.HasSuffix(tc.args, " ") {
			args = append(args, "") // the word being completed
		}
		code, out := runMain(args...)
		if code != tc.code || !strings.Contains(out, tc.says) {
			t.Errorf("sallyport %s: exit code %d, want %d and %q:\n%s", tc.args, code, tc.code, tc.says, out)
		}
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("a refused start left a folder: %v", err)
	}
}

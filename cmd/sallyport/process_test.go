package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
)

// patience bounds every wait for another process, generously: with the race
// detector on a busy machine a start takes many seconds.
const patience = 2 * time.Minute

// freePorts makes serve listen where nobody does.
var freePorts = []string{"--admin", "127.0.0.1:0", "--listen", "REGIONAL=127.0.0.1:0", "--listen", "EDGE=127.0.0.1:0", "--listen", "PRIVATE=127.0.0.1:0"}

// process is a running serve.
type process struct {
	gateway.Runtime
	dir    string
	guide  string // what it printed until it was ready
	early  string // what it logged until then
	cmd    *exec.Cmd
	log    *transcript
	exited chan struct{}
}

// transcript is the process log so far; those who wait for a line are woken.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await returns when the log says text.
func (l *transcript) await(t *testing.T, text string) {
	t.Helper()
	l.awaitAfter(t, 0, text)
}

// awaitAfter returns when the log says text after its first from bytes.
func (l *transcript) awaitAfter(t *testing.T, from int, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		more := l.more
		found := strings.Contains(l.text.String()[from:], text)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("the log does not say %q:\n%s", text, l)
		}
	}
}

// start runs serve on dir until it is ready; the test's end kills it.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{dir: dir, log: &transcript{more: make(chan struct{})}, exited: make(chan struct{})}
	p.cmd = exec.Command("sallyport", append(append([]string{"serve", "--data-dir", dir}, freePorts...), args...)...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("process log:\n%s", p.log)
		}
	})
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.guide += lines.Text() + "\n"
			if strings.HasPrefix(lines.Text(), "ready: ") || strings.HasPrefix(lines.Text(), "Backends that the second gate") {
				p.early = p.log.String()
				ready <- true
				break
			}
		}
		io.Copy(io.Discard, out)
		p.cmd.Wait()
		close(p.exited)
		ready <- false
	}()
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("serve ended: %v\n%s", p.cmd.ProcessState, p.log)
		}
	case <-time.After(patience):
		t.Fatalf("serve was not ready in time:\n%s", p.log)
	}
	text, err := os.ReadFile(filepath.Join(dir, "runtime.json"))
	if err == nil {
		err = json.Unmarshal(text, &p.Runtime)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait returns how the process ended.
func (p *process) wait(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("serve does not end:\n%s", p.log)
	}
	return p.cmd.ProcessState
}

// stop ends the process by TERM, which must be clean.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if state := p.wait(t); state.ExitCode() != 0 {
		t.Fatalf("after TERM: %v\n%s", state, p.log)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "runtime.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("runtime.json after the stop: %v", err)
	}
}

// client is the AWS SDK's.
func (p *process) client(t *testing.T) *apigateway.Client {
	t.Helper()
	keys, err := pki.EnsureCredentials(p.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	return apigateway.New(apigateway.Options{Region: "us-east-1", BaseEndpoint: aws.String(p.Admin), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keys[0].AccessKeyID, keys[0].SecretAccessKey, "")})
}

// proxyAPI makes an API whose root sends everything to uri, and returns its id.
func (p *process) proxyAPI(t *testing.T, uri string) string {
	t.Helper()
	client, ctx, any := p.client(t), t.Context(), aws.String("ANY")
	api, err := client.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("proxy"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: any, AuthorizationType: aws.String("NONE")})
	if err == nil {
		_, err = client.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: any,
			IntegrationHttpMethod: any, Type: types.IntegrationTypeHttpProxy, Uri: &uri})
	}
	if err == nil {
		_, err = client.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: aws.String("prod")})
	}
	if err != nil {
		t.Fatal(err)
	}
	return *api.Id
}

// get asks the API's stage prod, on a connection of its own.
func (p *process) get(t *testing.T, api, path string) (status int, err error) {
	t.Helper()
	pem, err := os.ReadFile(p.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, p.Listeners["REGIONAL"])
		},
	}}
	resp, err := client.Get("https://" + api + ".execute-api.us-east-1.localhost/prod" + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// refused runs serve, which must end by itself, and returns what it said.
func refused(t *testing.T, dir string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sallyport", append(append([]string{"serve", "--data-dir", dir}, freePorts...), args...)...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("serve ended with %v:\n%s", err, out)
	}
	return exit.ExitCode(), string(out)
}

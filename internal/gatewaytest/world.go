// Package gatewaytest starts a whole gateway on loopback, on free ports and in
// a folder of its own, and hands out the clients that check it: AWS SDK, AWS
// CLI, Go's TLS and HTTP, OpenSSL.
//
//	w := gatewaytest.Start(t)
//	api := w.MockAPI(t, types.EndpointTypeRegional, policy, mode)
//	resp, err := w.HTTP("REGIONAL", nil).Get("https://" + w.Host(api) + "/prod/")
package gatewaytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
)

// World is a running gateway and what its clients need.
type World struct {
	Config  config.Config
	Runtime gateway.Runtime
	API     *apigateway.Client
	V2      *apigatewayv2.Client
	ACM     *acm.Client
	STS     *sts.Client
	Roots   *x509.CertPool // the local CA
	Key     pki.Credential

	gateway *gateway.Gateway // of this process; nil: it runs elsewhere
}

// Start runs a gateway until the test ends. Backends on loopback are allowed.
// The propagation delay, trust bundles and so on are set by adjust.
func Start(t testing.TB, adjust ...func(*config.Config)) *World {
	t.Helper()
	return start(t, nil, adjust...)
}

// start is Start with options that have no setting.
func start(t testing.TB, options []func(*gateway.Options), adjust ...func(*config.Config)) *World {
	t.Helper()
	c, err := config.Load(config.Sources{Flags: map[string][]string{
		"data-dir": {t.TempDir()}, "admin": {"127.0.0.1:0"},
		"listen":        {"REGIONAL=127.0.0.1:0", "EDGE=127.0.0.1:0", "PRIVATE=127.0.0.1:0"},
		"allow-backend": {"127.0.0.0/8"},
		"vpc-id":        {"vpc-0a1b2c3d"}, "vpc-endpoint-id": {"vpce-0a1b2c3d"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range adjust {
		f(&c)
	}
	return run(t, c, options...)
}

// run starts a gateway with c and stops it when the test ends. What has no
// setting is set by options.
func run(t testing.TB, c config.Config, options ...func(*gateway.Options)) *World {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan struct{})
	o := gateway.Options{Config: c, Ready: func(gateway.Runtime) { close(ready) }, Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, f := range options {
		f(&o)
	}
	g, err := gateway.Open(ctx, o)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("gateway: %v", err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("close gateway: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("gateway: %v", err)
	}
	w := connect(t, c, g.Runtime())
	w.gateway = g
	return w
}

// Reload applies the configuration as adjust leaves it, as HUP does.
func (w *World) Reload(t testing.TB, adjust func(*config.Config)) {
	t.Helper()
	adjust(&w.Config)
	if err := w.gateway.Reload(w.Config); err != nil {
		t.Fatal(err)
	}
}

// connect makes the clients of a running gateway, this process's or another's.
func connect(t testing.TB, c config.Config, r gateway.Runtime) *World {
	t.Helper()
	keys, err := pki.EnsureCredentials(r.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Config: c, Runtime: r, Roots: x509.NewCertPool(), Key: keys[0]}
	w.Roots.AppendCertsFromPEM(pem)
	provider := credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, "")
	endpoint := aws.String(r.Admin)
	w.API = apigateway.New(apigateway.Options{Region: c.Region, BaseEndpoint: endpoint, Credentials: provider, RetryMaxAttempts: 1, HTTPClient: detached{}})
	w.V2 = apigatewayv2.New(apigatewayv2.Options{Region: c.Region, BaseEndpoint: endpoint, Credentials: provider, RetryMaxAttempts: 1, HTTPClient: detached{}})
	w.ACM = acm.New(acm.Options{Region: c.Region, BaseEndpoint: endpoint, Credentials: provider, RetryMaxAttempts: 1, HTTPClient: detached{}})
	w.STS = sts.New(sts.Options{Region: c.Region, BaseEndpoint: endpoint, Credentials: provider, RetryMaxAttempts: 1, HTTPClient: detached{}})
	return w
}

// Host is the default endpoint name of an API.
func (w *World) Host(api string) string {
	return api + ".execute-api." + w.Config.Region + "." + w.Config.DomainSuffixes[0]
}

// Dial makes a TLS connection to a listener. Settings that c leaves out are
// filled: the local CA as root.
func (w *World) Dial(listener string, c *tls.Config) (*tls.Conn, error) {
	c = c.Clone()
	if c.RootCAs == nil {
		c.RootCAs = w.Roots
	}
	return tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", w.Runtime.Listeners[listener], c)
}

// HTTP returns a client whose every connection goes to a listener, whatever
// the URL's host. c may be nil; h2 chooses HTTP/2.
func (w *World) HTTP(listener string, c *tls.Config, h2 bool) *http.Client {
	if c == nil {
		c = &tls.Config{}
	}
	c = c.Clone()
	if c.RootCAs == nil {
		c.RootCAs = w.Roots
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: c, Protocols: protocols,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, w.Runtime.Listeners[listener])
			},
		},
	}
}

// Env is the environment that points the AWS CLI, and any SDK, at the gateway.
func (w *World) Env() []string {
	kept := []string{}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			kept = append(kept, v)
		}
	}
	return append(kept, "AWS_ENDPOINT_URL="+w.Runtime.Admin, "AWS_SHARED_CREDENTIALS_FILE="+w.Runtime.Credentials,
		"AWS_DEFAULT_REGION="+w.Config.Region, "AWS_CONFIG_FILE=/dev/null", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1")
}

// Need skips the test, loudly, when a program is not installed.
func Need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("SKIPPED: the program %q is not installed, so this was not checked with it", program)
	}
}

// Loopback is the range in which tests' backends live.
var Loopback = netip.MustParsePrefix("127.0.0.0/8")

// MockAPI makes an API whose root answers GET with 200 {"ok":true} through a
// MOCK integration, deployed to stage "prod". An empty policy leaves the default.
func (w *World) MockAPI(t testing.TB, endpoint types.EndpointType, policy types.SecurityPolicy, mode types.EndpointAccessMode) string {
	t.Helper()
	ctx := t.Context()
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{
		Name: aws.String("mock"), SecurityPolicy: policy, EndpointAccessMode: mode,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{endpoint}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Mock(t, aws.ToString(api.Id), aws.ToString(api.RootResourceId))
	w.Deploy(t, aws.ToString(api.Id))
	return aws.ToString(api.Id)
}

// Mock gives a resource a GET method that answers 200 {"ok":true}.
func (w *World) Mock(t testing.TB, api, res string) {
	t.Helper()
	ctx, get := t.Context(), aws.String("GET")
	if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: &api, ResourceId: &res, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutMethodResponse(ctx, &apigateway.PutMethodResponseInput{RestApiId: &api, ResourceId: &res, HttpMethod: get, StatusCode: aws.String("200")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: &api, ResourceId: &res, HttpMethod: get,
		Type: types.IntegrationTypeMock, RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutIntegrationResponse(ctx, &apigateway.PutIntegrationResponseInput{RestApiId: &api, ResourceId: &res, HttpMethod: get,
		StatusCode: aws.String("200"), ResponseTemplates: map[string]string{"application/json": `{"ok":true}`}}); err != nil {
		t.Fatal(err)
	}
}

// Deploy deploys an API to stage "prod".
func (w *World) Deploy(t testing.TB, api string) {
	t.Helper()
	if _, err := w.API.CreateDeployment(t.Context(), &apigateway.CreateDeploymentInput{RestApiId: &api, StageName: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
}

// Patch is UpdateRestApi with replace operations: path, value, path, value ...
func (w *World) Patch(ctx context.Context, api string, pairs ...string) error {
	_, err := w.API.UpdateRestApi(ctx, &apigateway.UpdateRestApiInput{RestApiId: &api, PatchOperations: Replace(pairs...)})
	return err
}

// Replace makes replace operations: path, value, path, value ...
func Replace(pairs ...string) []types.PatchOperation {
	var ops []types.PatchOperation
	for i := 0; i+1 < len(pairs); i += 2 {
		ops = append(ops, types.PatchOperation{Op: types.OpReplace, Path: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return ops
}

// testWriter sends the process log to the test's.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("gateway: %s", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

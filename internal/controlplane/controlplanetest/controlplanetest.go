// Package controlplanetest starts a whole control plane on loopback for tests:
// a real store on a file, every service, and the AWS SDK's own clients.
//
//	g := controlplanetest.Start(t, nil)
//	api, err := g.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("pets")})
package controlplanetest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkacm "github.com/aws/aws-sdk-go-v2/service/acm"
	sdkapigateway "github.com/aws/aws-sdk-go-v2/service/apigateway"
	sdkapigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/acm"
	"github.com/sallyport/sallyport/internal/controlplane/apigateway"
	"github.com/sallyport/sallyport/internal/controlplane/apigatewayv2"
	"github.com/sallyport/sallyport/internal/controlplane/sts"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// The only key that the control plane knows.
const (
	AccessKeyID = "AKIDCONTROLPLANETEST"
	Secret      = "a secret of the test alone"
	Region      = "us-east-1"
	Account     = "000000000000"
)

// Gateway is a running control plane with its clients.
type Gateway struct {
	URL    string
	Server *controlplane.Server
	Store  store.Store
	API    *sdkapigateway.Client
	V2     *sdkapigatewayv2.Client
	ACM    *sdkacm.Client
	STS    *sdksts.Client
	// Pause stops, and resumes, reporting of served revisions: what a data
	// plane that lags behind looks like from here.
	Pause func(paused bool)

	log *buffer
}

// Start starts a control plane that ends with the test. edit, if not nil, may
// change its options first.
func Start(t testing.TB, edit func(*controlplane.Options)) *Gateway {
	t.Helper()
	dir := t.TempDir()
	st, err := bolt.Open(filepath.Join(dir, "store.db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	sealer, err := pki.OpenSealKey(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{Store: st, log: new(buffer)}
	o := controlplane.Options{
		Store:   st,
		Secret:  func(id string) (string, bool) { return Secret, id == AccessKeyID },
		Region:  Region,
		Account: Account,
		Sealer:  sealer,
		Log:     slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if edit != nil {
		edit(&o)
	}
	g.Server = controlplane.New(o)
	apigateway.Register(g.Server)
	apigatewayv2.Register(g.Server)
	acm.Register(g.Server)
	sts.Register(g.Server)
	g.report(t)

	server := httptest.NewServer(g.Server)
	t.Cleanup(server.Close)
	g.URL = server.URL
	cfg := aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKeyID, Secret, ""),
		HTTPClient:   server.Client(),
		// A refusal is looked at as it came, not after tries that hide it.
		RetryMaxAttempts: 1,
	}
	g.API = sdkapigateway.NewFromConfig(cfg)
	g.V2 = sdkapigatewayv2.NewFromConfig(cfg)
	g.ACM = sdkacm.NewFromConfig(cfg)
	g.STS = sdksts.NewFromConfig(cfg)
	return g
}

// report stands in for the data plane: it reports each revision as served.
func (g *Gateway) report(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var paused bool
	var last store.Revision
	const node = "test"
	if err := g.Store.Report(ctx, node, 0); err != nil {
		t.Fatal(err)
	}
	events, err := g.Store.Watch(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for e := range events {
			mu.Lock()
			last = e.Revision
			if !paused {
				_ = g.Store.Report(ctx, node, last) // fails only when the test ends
			}
			mu.Unlock()
		}
	})
	g.Pause = func(p bool) {
		mu.Lock()
		defer mu.Unlock()
		if paused = p; !paused {
			_ = g.Store.Report(ctx, node, last)
		}
	}
	t.Cleanup(func() { cancel(); done.Wait() })
}

// Revision is that of the last commit.
func (g *Gateway) Revision(t testing.TB) store.Revision {
	t.Helper()
	_, rev, err := g.Store.List(context.Background(), store.Range{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// Log is what the control plane has logged so far, JSON lines.
func (g *Gateway) Log() string { return g.log.String() }

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

package gatewaytest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// loadedAPIs is how many APIs, each with a deployed stage, are there besides.
const loadedAPIs = 10_000

// loaded makes a folder with loadedAPIs copies of one API that was made
// through the wire API.
func loaded(b *testing.B) config.Config {
	b.Helper()
	c, err := config.Load(config.Sources{Flags: map[string][]string{
		"data-dir": {filepath.Join(b.TempDir(), "data")}, "admin": {"127.0.0.1:0"},
		"listen": {"REGIONAL=127.0.0.1:0", "EDGE=127.0.0.1:0", "PRIVATE=127.0.0.1:0"}, "allow-backend": {"127.0.0.0/8"},
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	g, err := gateway.Open(ctx, gateway.Options{Config: c, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	model := connect(b, c, g.Runtime()).MockAPI(b, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "BASIC")
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if err := g.Close(); err != nil {
		b.Fatal(err)
	}

	st, err := bolt.Open(filepath.Join(c.DataDir, "sallyport.db"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	docs, _, err := st.List(b.Context(), store.Range{})
	if err != nil {
		b.Fatal(err)
	}
	var change store.Change
	for i := range loadedAPIs {
		id := fmt.Sprintf("copy%06d", i)
		for _, d := range docs {
			if strings.Contains(d.Key, model) {
				change.Puts = append(change.Puts, store.Put{Key: strings.ReplaceAll(d.Key, model, id), Value: bytes.ReplaceAll(d.Value, []byte(model), []byte(id))})
			}
		}
		if len(change.Puts) > 5000 || i == loadedAPIs-1 {
			if _, err := st.Commit(b.Context(), change); err != nil {
				b.Fatal(err)
			}
			change = store.Change{}
		}
	}
	return c
}

// From the call that changes a policy, through signature, rules, synced commit
// and swap, to a handshake that shows it: the answer comes after enforcement.
func BenchmarkCommitToEnforcement(b *testing.B) {
	w := run(b, loaded(b))
	const api = "copy000042"
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		policy := [2]string{"SecurityPolicy_TLS13_1_3_2025_09", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"}[i%2]
		start := time.Now()
		if err := w.Patch(b.Context(), api, "/securityPolicy", policy); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		b.StopTimer()
		conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: w.Host(api), MaxVersion: tls.VersionTLS12})
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (i%2 == 1) {
			b.Fatalf("after the change to %s a TLS 1.2 client: %v", policy, err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// From nothing to ready, with 10,000 APIs in the store.
func BenchmarkStart(b *testing.B) {
	c := loaded(b)
	for b.Loop() {
		ctx, stop := context.WithCancel(b.Context())
		ready := make(chan struct{})
		g, err := gateway.Open(ctx, gateway.Options{Config: c, Log: quiet(), Ready: func(gateway.Runtime) { close(ready) }})
		if err != nil {
			b.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		<-ready
		b.StopTimer()
		if faults := g.Faults(); len(faults) > 0 {
			b.Fatal(faults[0])
		}
		stop()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// One request through both gates to a backend that speaks TLS, client included.
func BenchmarkProxiedRequest(b *testing.B) {
	authority, err := pki.NewAuthority("bench")
	if err != nil {
		b.Fatal(err)
	}
	leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	bundle := filepath.Join(b.TempDir(), "roots.pem")
	if err := os.WriteFile(bundle, authority.PEM(), 0o600); err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 1024)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(body) }))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}
	backend.StartTLS()
	defer backend.Close()

	w := Start(b, func(c *config.Config) { c.TrustBundles = []string{bundle} })
	ctx, get := b.Context(), aws.String("GET")
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("bench"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
		b.Fatal(err)
	}
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get,
		IntegrationHttpMethod: get, Type: types.IntegrationTypeHttpProxy, Uri: aws.String(backend.URL + "/")}); err != nil {
		b.Fatal(err)
	}
	w.Deploy(b, *api.Id)
	for _, h2 := range []bool{false, true} {
		b.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[h2], func(b *testing.B) {
			client := w.HTTP("REGIONAL", nil, h2)
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				resp, err := client.Get("https://" + w.Host(*api.Id) + "/prod/")
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if err != nil || n != int64(len(body)) || resp.StatusCode != http.StatusOK {
					b.Fatal(resp.Status, n, err)
				}
			}
		})
	}
}

// From the call that changes a domain name's policy to its finding, with
// 10,000 APIs judged besides: the auditor follows the store, so the finding is
// asked for until it says so.
func BenchmarkChangeToFinding(b *testing.B) {
	w := run(b, loaded(b))
	if _, err := w.API.CreateDomainName(b.Context(), &apigateway.CreateDomainNameInput{DomainName: aws.String("bench.example.com"), RegionalCertificateArn: aws.String(w.importCertificate(b, "bench.example.com", pki.ECDSAP256)),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}, SecurityPolicy: "TLS_1_2"}); err != nil {
		b.Fatal(err)
	}
	hub := w.hub()
	filters := &hubtypes.AwsSecurityFindingFilters{
		ComplianceSecurityControlId: []hubtypes.StringFilter{{Comparison: hubtypes.StringFilterComparisonEquals, Value: aws.String("APIGateway.11")}},
		ResourceId:                  []hubtypes.StringFilter{{Comparison: hubtypes.StringFilterComparisonEquals, Value: aws.String("arn:aws:apigateway:us-east-1::/domainnames/bench.example.com")}},
	}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		pairs, want := []string{"/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC"}, hubtypes.ComplianceStatusPassed
		if i%2 == 1 {
			pairs, want = []string{"/securityPolicy", "SecurityPolicy_TLS13_1_2_2021_06"}, hubtypes.ComplianceStatusFailed
		}
		start := time.Now()
		if _, err := w.API.UpdateDomainName(b.Context(), &apigateway.UpdateDomainNameInput{DomainName: aws.String("bench.example.com"), PatchOperations: Replace(pairs...)}); err != nil {
			b.Fatal(err)
		}
		for {
			out, err := hub.GetFindings(b.Context(), &securityhub.GetFindingsInput{Filters: filters})
			if err != nil {
				b.Fatal(err)
			}
			if len(out.Findings) == 1 && out.Findings[0].Compliance.Status == want {
				break
			}
			if time.Since(start) > 20*time.Second {
				b.Fatalf("no %s after 20 s: %+v", want, out.Findings)
			}
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

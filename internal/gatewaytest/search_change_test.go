package gatewaytest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gatewaytypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// searchWorld is a gateway with a search domain in front of a cluster.
func searchWorld(t *testing.T, cluster http.Handler, options *types.DomainEndpointOptions) (w *World, host string) {
	t.Helper()
	s := httptest.NewServer(cluster)
	t.Cleanup(s.Close)
	w = Start(t, func(c *config.Config) {
		c.Targets = map[string][]string{"logs": {s.Listener.Addr().String()}}
		c.Listen = append(c.Listen, config.Listener{Type: "HTTP", Addr: "127.0.0.1:0"})
	})
	made, err := w.search().CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("logs"), DomainEndpointOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return w, *made.DomainStatus.Endpoint
}

func (w *World) endpoint(t *testing.T, o types.DomainEndpointOptions) error {
	t.Helper()
	_, err := w.search().UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs"), DomainEndpointOptions: &o})
	return err
}

// A plaintext connection that was opened before HTTPS is enforced is refused
// on its next request, and what it sends never reaches the cluster.
func TestSearchEnforceHTTPS(t *testing.T) {
	w, host := searchWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }), nil)
	c, err := net.Dial("tcp", w.Runtime.Listeners["HTTP"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(c)
	ask := func(to string) int {
		t.Helper()
		fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: %s\r\n\r\n", to)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for range 3 {
		if got := ask(host); got != 200 {
			t.Fatalf("before: %d", got)
		}
	}
	for _, enforce := range []bool{true, false, true} {
		if err := w.endpoint(t, types.DomainEndpointOptions{EnforceHTTPS: &enforce}); err != nil {
			t.Fatal(err)
		}
		want := 200
		if enforce {
			want = 403
		}
		if got := ask(host); got != want {
			t.Fatalf("the next request with EnforceHTTPS %v: %d, want %d", enforce, got, want)
		}
	}
	// Nothing else is to be had in plaintext.
	api := w.MockAPI(t, gatewaytypes.EndpointTypeRegional, "TLS_1_2", "")
	w.Deploy(t, api)
	if got := ask(w.Host(api)); got != 403 {
		t.Errorf("an API in plaintext: %d", got)
	}
}

// A policy that changes under load loses no request of clients that speak what
// both permit; and no connection of the old rule asks anything after the answer.
func TestSearchPolicyUnderLoad(t *testing.T) {
	w, host := searchWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }),
		&types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-0-2019-07"})
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		client := w.HTTP("REGIONAL", nil, i%2 == 0)
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				body := fmt.Sprintf("%d/%d", i, n)
				req, _ := http.NewRequest("POST", "https://"+host+"/_bulk", strings.NewReader(body))
				resp, err := client.Do(req)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || string(got) != body || err != nil {
					t.Errorf("client %d: %d %s %v", i, resp.StatusCode, got, err)
					return
				}
			}
		})
	}
	for i := range 6 {
		old := [2]types.TLSSecurityPolicy{"Policy-Min-TLS-1-2-2019-07", "Policy-Min-TLS-1-2-PFS-2023-10"}[i%2]
		if err := w.endpoint(t, types.DomainEndpointOptions{TLSSecurityPolicy: old}); err != nil {
			t.Error(err)
		}
	}
	stop()
	clients.Wait()

	// An idle connection under the old policy.
	if err := w.endpoint(t, types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-0-2019-07"}); err != nil {
		t.Fatal(err)
	}
	c, err := w.Dial("REGIONAL", &tls.Config{ServerName: host, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := w.endpoint(t, types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-2-PFS-2023-10"}); err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode != 421 {
		t.Errorf("a connection of TLS 1.0 after the change: %d", resp.StatusCode)
	}

	// Nor by the name of another, weaker one.
	weak, err := w.search().CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("weak"), DomainEndpointOptions: &types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-0-2019-07"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.Dial("REGIONAL", &tls.Config{ServerName: *weak.DomainStatus.Endpoint, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(d, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	if resp, err := http.ReadResponse(bufio.NewReader(d), nil); err != nil || resp.StatusCode != 421 {
		t.Errorf("fronted by a weaker domain: %v, %v", resp, err)
	}
}

// Large bodies both ways, and what strangers put into headers: the cluster
// learns who asked from the gateway and from nobody else.
func TestSearchPassesThrough(t *testing.T) {
	var got http.Header
	w, host := searchWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	}), nil)
	const size = 4 << 20
	for _, h2 := range []bool{false, true} {
		req, _ := http.NewRequest("POST", "https://"+host+"/_bulk", io.LimitReader(zeros{}, size))
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-Ip", "X-Secret"} {
			req.Header.Set(name, "6.6.6.6")
		}
		if !h2 {
			req.Header.Set("Connection", "X-Secret")
		}
		resp, err := w.HTTP("REGIONAL", nil, h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n != size || err != nil || resp.StatusCode != 200 {
			t.Errorf("HTTP/2 %v: %d bytes, %d, %v", h2, n, resp.StatusCode, err)
		}
		if !h2 && got.Get("X-Secret") != "" {
			t.Error("what is for the gateway alone reaches the cluster")
		}
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-Ip"} {
			if strings.Contains(strings.Join(got.Values(name), ","), "6.6.6.6") {
				t.Errorf("HTTP/2 %v: the cluster believes %s: %q", h2, name, got.Values(name))
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// One name leads to one place, whoever comes first; and a certificate that a
// custom endpoint shows is not deleted under it.
func TestSearchEndpointTaken(t *testing.T) {
	w, _ := searchWorld(t, http.NotFoundHandler(), nil)
	arn := w.importCertificate(t, "logs.example.com", pki.ECDSAP256)
	create := func() error {
		_, err := w.API.CreateDomainName(t.Context(), &apigateway.CreateDomainNameInput{DomainName: aws.String("logs.example.com"), RegionalCertificateArn: &arn,
			EndpointConfiguration: &gatewaytypes.EndpointConfiguration{Types: []gatewaytypes.EndpointType{gatewaytypes.EndpointTypeRegional}}, SecurityPolicy: "TLS_1_2"})
		return err
	}
	custom := types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("logs.example.com"), CustomEndpointCertificateArn: &arn}
	if err := w.endpoint(t, custom); err != nil {
		t.Fatal(err)
	}
	if err := create(); err == nil || !strings.Contains(err.Error(), "search domain logs") {
		t.Errorf("a domain name of the custom endpoint's: %v", err)
	}
	if err := w.endpoint(t, types.DomainEndpointOptions{CustomEndpointEnabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	if err := create(); err != nil {
		t.Errorf("after it is off: %v", err)
	}
	if err := w.endpoint(t, custom); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a custom endpoint of a domain name's: %v", err)
	}
	_, err := w.search().UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs"), DryRun: aws.Bool(true), DomainEndpointOptions: &custom})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a dry run of it: %v", err)
	}
	custom.CustomEndpoint = aws.String("abc.execute-api." + w.Config.Region + "." + w.Config.DomainSuffixes[0])
	if err := w.endpoint(t, custom); err == nil || !strings.Contains(err.Error(), "may not be below") {
		t.Errorf("a name of the gateway's own: %v", err)
	}
}

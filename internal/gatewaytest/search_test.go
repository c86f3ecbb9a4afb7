package gatewaytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

func (w *World) search() *opensearch.Client {
	return opensearch.New(opensearch.Options{Region: w.Config.Region, BaseEndpoint: aws.String(w.Runtime.Admin), RetryMaxAttempts: 1, HTTPClient: detached{},
		Credentials: credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, "")})
}

// probePolicies names the search policies that a probe of a name fits.
func (w *World) probePolicies(t *testing.T, name string) (fits []string) {
	t.Helper()
	var d net.Dialer
	o, err := tlspolicy.Probe(t.Context(), name, func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", w.Runtime.Listeners["REGIONAL"])
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tlspolicy.Search() {
		if len(o.Contradictions(p)) == 0 {
			fits = append(fits, p.Name)
		}
	}
	return fits
}

// A search domain is served under its policy, its requests go to the cluster
// that is mapped, and the remediation that AWS's pages print shows its effect
// in a handshake.
func TestSearchDomain(t *testing.T) {
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Cluster", "one")
		fmt.Fprintf(w, "%s %s %s %s proto=%s for=%q", r.Method, r.Host, r.URL, body, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(cluster.Close)
	w := Start(t, func(c *config.Config) {
		c.Targets = map[string][]string{"logs-prod": {cluster.Listener.Addr().String()}}
		c.Listen = append(c.Listen, config.Listener{Type: "HTTP", Addr: "127.0.0.1:0"})
	})
	es := w.search()
	made, err := es.CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("logs-prod"), TagList: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
	if err != nil {
		t.Fatal(err)
	}
	host := aws.ToString(made.DomainStatus.Endpoint)
	if !strings.HasPrefix(host, "search-logs-prod-") || !strings.HasSuffix(host, ".us-east-1.es."+w.Config.DomainSuffixes[0]) || made.DomainStatus.DomainEndpointOptions.TLSSecurityPolicy != "Policy-Min-TLS-1-2-2019-07" {
		t.Fatalf("%+v", made.DomainStatus)
	}
	if got := w.probePolicies(t, host); len(got) != 1 || got[0] != "Policy-Min-TLS-1-2-2019-07" {
		t.Errorf("a new domain fits %v", got)
	}
	ask := func(client *http.Client, url, body string) (int, string) {
		t.Helper()
		resp, err := client.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	plain := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, w.Runtime.Listeners["HTTP"])
	}}}
	for _, h2 := range []bool{false, true} {
		status, text := ask(w.HTTP("REGIONAL", nil, h2), "https://"+host+"/logs/_search?q=a%20b", `{"query":{}}`)
		if status != 200 || text != `POST `+host+` /logs/_search?q=a%20b {"query":{}} proto=https for="127.0.0.1"` {
			t.Errorf("HTTP/2 %v: %d %s", h2, status, text)
		}
	}
	if status, text := ask(plain, "http://"+host+"/x", "y"); status != 200 || !strings.Contains(text, "proto=http ") {
		t.Errorf("plaintext without EnforceHTTPS: %d %s", status, text)
	}
	w.finding(t, "Opensearch.8", "domain/logs-prod", func(f *posture.Finding) bool { return f.Status == posture.Failed })
	w.finding(t, "Opensearch.3", "domain/logs-prod", func(f *posture.Finding) bool { return f.Status == posture.Failed })

	// As printed.
	update := `aws opensearch update-domain-config --domain-name logs-prod --domain-endpoint-options '{"EnforceHTTPS":true,"TLSSecurityPolicy":"Policy-Min-TLS-1-2-PFS-2023-10"}'`
	describe := `aws opensearch describe-domain-config --domain-name logs-prod --query 'DomainConfig.DomainEndpointOptions.Options.TLSSecurityPolicy' --output text`
	if _, err := exec.LookPath("aws"); err == nil {
		for _, command := range []string{update, describe} {
			c := exec.CommandContext(t.Context(), "sh", "-c", command)
			c.Env = w.Env()
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			if command == describe && strings.TrimSpace(string(out)) != "Policy-Min-TLS-1-2-PFS-2023-10" {
				t.Errorf("%s", out)
			}
		}
	} else {
		t.Log("SKIPPED: aws is missing; the remediation runs through the SDK")
		if _, err := es.UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs-prod"),
			DomainEndpointOptions: &types.DomainEndpointOptions{EnforceHTTPS: aws.Bool(true), TLSSecurityPolicy: "Policy-Min-TLS-1-2-PFS-2023-10"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.probePolicies(t, host); len(got) != 1 || got[0] != "Policy-Min-TLS-1-2-PFS-2023-10" {
		t.Errorf("after the remediation it fits %v", got)
	}
	if status, text := ask(plain, "http://"+host+"/x", "y"); status != 403 {
		t.Errorf("plaintext with EnforceHTTPS: %d %s", status, text)
	}
	passed := w.finding(t, "Opensearch.8", "domain/logs-prod", func(f *posture.Finding) bool { return f.Status == posture.Passed && probed(f) != nil })
	if probed(&passed).Contradicts {
		t.Errorf("%+v", probed(&passed))
	}

	// A custom endpoint, with a certificate of its own, which cannot go meanwhile.
	arn := w.importCertificate(t, "logs.example.com", pki.ECDSAP256)
	if _, err := es.UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs-prod"), DomainEndpointOptions: &types.DomainEndpointOptions{
		CustomEndpointEnabled: aws.Bool(true), CustomEndpoint: aws.String("logs.example.com"), CustomEndpointCertificateArn: &arn}}); err != nil {
		t.Fatal(err)
	}
	if status, text := ask(w.HTTP("REGIONAL", nil, true), "https://logs.example.com/", ""); status != 200 || !strings.Contains(text, "logs.example.com") {
		t.Errorf("custom endpoint: %d %s", status, text)
	}
	if got := w.probePolicies(t, "logs.example.com"); len(got) != 1 || got[0] != "Policy-Min-TLS-1-2-PFS-2023-10" {
		t.Errorf("the custom endpoint fits %v", got)
	}

	// Without a cluster: the handshake is governed, the request is not served.
	lone, err := es.CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("lone"), DomainEndpointOptions: &types.DomainEndpointOptions{TLSSecurityPolicy: "Policy-Min-TLS-1-0-2019-07"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.probePolicies(t, *lone.DomainStatus.Endpoint); len(got) != 1 || got[0] != "Policy-Min-TLS-1-0-2019-07" {
		t.Errorf("a domain without a cluster fits %v", got)
	}
	if status, _ := ask(w.HTTP("REGIONAL", nil, false), "https://"+*lone.DomainStatus.Endpoint+"/", ""); status != 503 {
		t.Errorf("unmapped: %d, want 503", status)
	}
	if _, err := es.DeleteDomain(t.Context(), &opensearch.DeleteDomainInput{DomainName: aws.String("lone")}); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Dial("REGIONAL", &tls.Config{ServerName: *lone.DomainStatus.Endpoint, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Error("a deleted domain's policy still governs")
	}
	list, err := es.ListDomainNames(t.Context(), &opensearch.ListDomainNamesInput{})
	if err != nil || len(list.DomainNames) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if tags, err := es.ListTags(t.Context(), &opensearch.ListTagsInput{ARN: made.DomainStatus.ARN}); err != nil || len(tags.TagList) != 1 {
		t.Errorf("%+v %v", tags, err)
	}
	for what, call := range map[string]func() error{
		"Domain not found": func() error {
			_, err := es.DescribeDomain(t.Context(), &opensearch.DescribeDomainInput{DomainName: aws.String("nobody")})
			return err
		},
		"already exists": func() error {
			_, err := es.CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("logs-prod")})
			return err
		},
		"enum value set": func() error {
			_, err := es.UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs-prod"), DomainEndpointOptions: &types.DomainEndpointOptions{TLSSecurityPolicy: "TLS_1_2"}})
			return err
		},
		"does not exist": func() error {
			_, err := es.UpdateDomainConfig(t.Context(), &opensearch.UpdateDomainConfigInput{DomainName: aws.String("logs-prod"), DomainEndpointOptions: &types.DomainEndpointOptions{CustomEndpoint: aws.String("other.example.com"), CustomEndpointCertificateArn: aws.String("arn:aws:acm:us-east-1:000000000000:certificate/00000000-0000-0000-0000-000000000000")}})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %s", err, what)
		}
	}
}

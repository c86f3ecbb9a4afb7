package gatewaytest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"

	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/remedy"
)

// remedies closes findings on the running gateway.
func (w *World) remedies() *remedy.Target {
	return &remedy.Target{
		Config: aws.Config{Region: w.Config.Region, BaseEndpoint: aws.String(w.Runtime.Admin),
			Credentials: credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, "")},
		NotInEffect: auditor.NotInEffect,
		Context:     remedy.Context{Endpoint: w.Runtime.Admin},
		Dial: func(e *posture.Wire) (string, func(context.Context) (net.Conn, error)) {
			return dialing(w.Runtime.Listeners["REGIONAL"])
		},
		Wait: 20 * time.Second,
	}
}

func dialing(address string) (string, func(context.Context) (net.Conn, error)) {
	return address, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

func failing(f *posture.Finding) bool { return f.Status == posture.Failed }

// ailing makes a stage and a domain name that fail all that this gateway has.
func (w *World) ailing(t *testing.T, name string) {
	t.Helper()
	api := w.MockAPI(t, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_2_PQ_2025_09", types.EndpointAccessModeBasic)
	if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace(
		"/cacheClusterEnabled", "true", "/cacheClusterSize", "0.5", "/*/*/caching/enabled", "true", "/~1pets/GET/caching/enabled", "true")}); err != nil {
		t.Fatal(err)
	}
	w.createDomain(t, name, api, "TLS_1_2", "")
	if _, err := w.search().CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("logs-fix")}); err != nil {
		t.Fatal(err)
	}
}

// Each finding of a running gateway is closed through the SDK and proved: by
// the document, on the wire, and by the gateway's own next verdict.
func TestRemediesClose(t *testing.T) {
	for _, delay := range []string{"0s", "1s"} {
		t.Run("propagation in "+delay, func(t *testing.T) {
			d, err := time.ParseDuration(delay)
			if err != nil {
				t.Fatal(err)
			}
			w := Start(t, func(c *config.Config) { c.PropagationDelay = d })
			const name = "fix.example.com"
			w.ailing(t, name)
			target := w.remedies()
			target.Strict = true
			for _, c := range []struct {
				control, id string
				want        remedy.Outcome
				after       posture.Status
			}{
				{"APIGateway.1", "/stages/prod", remedy.Closed, posture.Passed},
				{"APIGateway.2", "/stages/prod", remedy.Closed, posture.Passed},
				{"APIGateway.3", "/stages/prod", remedy.Stored, posture.Unknown},
				{"APIGateway.5", "/stages/prod", remedy.Stored, posture.Unknown},
				{"APIGateway.4", "/stages/prod", remedy.Waiting, posture.Failed},
				{"Opensearch.3", "domain/logs-fix", remedy.Stored, posture.Unknown},
				{"Opensearch.8", "domain/logs-fix", remedy.Closed, posture.Passed},
				{"APIGateway.11", "/domainnames/" + name, remedy.Closed, posture.Passed},
			} {
				f := w.finding(t, c.control, c.id, failing)
				if len(f.Remediation) == 0 {
					t.Errorf("%s: no remediation in the gateway's own report", c.control)
				}
				p := target.Apply(t.Context(), &f)
				if p.Outcome != c.want || len(p.Undone) > 0 {
					t.Errorf("%s: %s: %s\ndone %q\nundone %q", c.control, p.Outcome, p.Reason, p.Done, p.Undone)
					continue
				}
				w.finding(t, c.control, c.id, func(f *posture.Finding) bool { return f.Status == c.after })
				if c.control != "APIGateway.11" {
					continue
				}
				if e := probed(p.After); e == nil || e.Contradicts || !strings.Contains(e.Value, "TLSv1.3") {
					t.Errorf("no proof on the wire: %+v", p.After.Evidence)
				}
				if got, err := w.API.GetDomainName(t.Context(), &apigateway.GetDomainNameInput{DomainName: aws.String(name)}); err != nil || got.EndpointAccessMode != types.EndpointAccessModeStrict || len(p.Done) != 2 {
					t.Errorf("%v %+v %q", err, got, p.Done)
				}
			}
		})
	}
}

// A change that the wire contradicts is taken back, whole.
func TestRemedyRollsBack(t *testing.T) {
	w := Start(t)
	const name = "back.example.com"
	w.ailing(t, name)
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.TLS = &tls.Config{MinVersion: tls.VersionTLS10}
	other.StartTLS()
	defer other.Close()
	target := w.remedies()
	target.Dial = func(*posture.Wire) (string, func(context.Context) (net.Conn, error)) {
		return dialing(other.Listener.Addr().String())
	}
	f := w.finding(t, "APIGateway.11", "/domainnames/"+name, failing)
	before, err := target.Read(t.Context(), f.Resource)
	if err != nil {
		t.Fatal(err)
	}
	p := target.Apply(t.Context(), &f)
	if p.Outcome != remedy.RolledBack || !strings.Contains(p.Reason, "the wire contradicts the configuration") || len(p.Done) != 1 || len(p.Undone) != 1 {
		t.Fatalf("%s: %s\ndone %q\nundone %q", p.Outcome, p.Reason, p.Done, p.Undone)
	}
	after, err := target.Read(t.Context(), f.Resource)
	if err != nil {
		t.Fatal(err)
	}
	if b, a := before.Doc.(*types.DomainName), after.Doc.(*types.DomainName); a.SecurityPolicy != b.SecurityPolicy || a.EndpointAccessMode != b.EndpointAccessMode {
		t.Errorf("before %s %s, after %s %s", b.SecurityPolicy, b.EndpointAccessMode, a.SecurityPolicy, a.EndpointAccessMode)
	}

	// As an account, the same gateway's name is closed as well, and what is
	// mapped to it is known.
	target.Dial = nil
	f.Resource.Source = posture.Account
	r, err := target.Read(t.Context(), f.Resource)
	if err != nil || len(r.Unknown) > 0 {
		t.Errorf("%v: %v", err, r.Unknown)
	}
	if p := target.Apply(t.Context(), &f); p.Outcome != remedy.Closed {
		t.Errorf("%s: %s", p.Outcome, p.Reason)
	}

	// A client certificate that shuts out a backend goes again.
	f = w.finding(t, "APIGateway.2", "/stages/prod", failing)
	asked := 0
	target.Backends = func(context.Context, string, string) (map[string]string, error) {
		if asked++; asked == 1 {
			return map[string]string{"https://b.example.com": ""}, nil
		}
		return map[string]string{"https://b.example.com": "it refuses the certificate"}, nil
	}
	if p = target.Apply(t.Context(), &f); p.Outcome != remedy.RolledBack || len(p.Undone) != 2 {
		t.Fatalf("%s: %s\ndone %q\nundone %q", p.Outcome, p.Reason, p.Done, p.Undone)
	}
	if all, err := w.API.GetClientCertificates(t.Context(), &apigateway.GetClientCertificatesInput{}); err != nil || len(all.Items) > 0 {
		t.Errorf("%v: %d client certificates are left", err, len(all.Items))
	}
	w.finding(t, "APIGateway.2", "/stages/prod", failing)
}

// The commands that the report prints, run by a shell as they stand, close the
// findings.
func TestRemedyCommands(t *testing.T) {
	Need(t, "aws")
	w := Start(t)
	const name = "cli.example.com"
	w.ailing(t, name)
	for _, c := range []struct {
		control, id string
		after       posture.Status
	}{
		{"APIGateway.1", "/stages/prod", posture.Passed},
		{"APIGateway.2", "/stages/prod", posture.Passed},
		{"APIGateway.3", "/stages/prod", posture.Unknown},
		{"APIGateway.5", "/stages/prod", posture.Unknown},
		{"Opensearch.3", "domain/logs-fix", posture.Unknown},
		{"Opensearch.8", "domain/logs-fix", posture.Passed},
		{"APIGateway.11", "/domainnames/" + name, posture.Passed},
	} {
		f := w.finding(t, c.control, c.id, failing)
		var script []string
		for _, s := range f.Remediation {
			if s.Form == posture.AWSCLI {
				script = append(script, s.Text)
			}
		}
		if len(script) == 0 {
			t.Errorf("%s: %+v", c.control, f.Remediation)
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", strings.Join(script, "\n"))
		cmd.Env = slices.Concat(os.Environ(), w.Env())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", c.control, err, strings.Join(script, "\n"), out)
		}
		w.finding(t, c.control, c.id, func(f *posture.Finding) bool { return f.Status == c.after })
	}
}

// The report names the clients that a stricter policy would refuse.
func TestRemedyNamesClients(t *testing.T) {
	w := Start(t)
	const name = "old.example.com"
	w.ailing(t, name)
	c := &tls.Config{RootCAs: w.Roots, ServerName: name, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256}}
	conn, err := tls.Dial("tcp", w.Runtime.Listeners["REGIONAL"], c)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for deadline := time.Now().Add(10 * time.Second); ; { // the log is written within a second
		seen, err := remedy.ReadSeen(w.Config.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		if lines := seen.Refused(name, "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"); len(lines) == 1 && strings.Contains(lines[0], "TLSv1.2") {
			if lines = seen.Refused(name, "TLS_1_2"); len(lines) != 0 {
				t.Errorf("the present policy takes it: %q", lines)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", seen)
		}
	}
	f := w.finding(t, "APIGateway.11", "/domainnames/"+name, failing)
	if !slices.ContainsFunc(f.Remediation[0].Breaks, func(b string) bool { return strings.Contains(b, "seen 1 times") }) {
		t.Errorf("%q", f.Remediation[0].Breaks)
	}
}

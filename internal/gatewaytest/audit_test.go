package gatewaytest

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/sigv4"
)

// audit asks a running gateway for its own report.
func (w *World) audit(t testing.TB) *posture.Report {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Runtime.Admin+gateway.AuditPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: w.Key.AccessKeyID, SecretAccessKey: w.Key.SecretAccessKey}, w.Config.Region, "apigateway", time.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	report := new(posture.Report)
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, report)
	}
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %v: %s", resp.Status, err, text)
	}
	return report
}

// finding waits until the gateway's finding of a control on a resource is as
// want says.
func (w *World) finding(t testing.TB, control, id string, want func(*posture.Finding) bool) posture.Finding {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		var last posture.Finding
		for _, f := range w.audit(t).Findings {
			if f.Control == control && strings.HasSuffix(f.Resource.ID, id) {
				if last = f; want(&f) {
					return f
				}
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s on %s is %s: %s; evidence %+v", control, id, last.Status, last.Reason, last.Evidence)
		}
	}
}

func probed(f *posture.Finding) *posture.Evidence {
	for i := range f.Evidence {
		if f.Evidence[i].Kind == posture.Probe {
			return &f.Evidence[i]
		}
	}
	return nil
}

// The gateway judges itself after each change, and proves what it says of a
// domain name by asking its own first gate; of that no log tells.
func TestAuditSelf(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_2_PQ_2025_09", types.EndpointAccessModeBasic)
	const name = "audit.example.com"
	w.createDomain(t, name, api, "TLS_1_2", "")
	failed := w.finding(t, "APIGateway.11", "/domainnames/"+name, func(f *posture.Finding) bool { return f.Status == posture.Failed && probed(f) != nil })
	if e := probed(&failed); e.Contradicts || e.Time == nil || len(e.Transcript) < 10 {
		t.Errorf("%+v", e)
	}
	if _, err := w.API.UpdateDomainName(t.Context(), &apigateway.UpdateDomainNameInput{DomainName: aws.String(name),
		PatchOperations: Replace("/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC")}); err != nil {
		t.Fatal(err)
	}
	passed := w.finding(t, "APIGateway.11", "/domainnames/"+name, func(f *posture.Finding) bool { return f.Status == posture.Passed && probed(f) != nil })
	if e := probed(&passed); e.Contradicts || !strings.Contains(e.Value, "TLSv1.3") {
		t.Errorf("%+v", e)
	}
	// A REST stage fails .2 without a client certificate.
	w.finding(t, "APIGateway.2", "/stages/prod", func(f *posture.Finding) bool { return f.Status == posture.Failed })

	log, err := os.ReadFile(filepath.Join(w.Config.DataDir, "logs", "connections", "events.log"))
	if err == nil && strings.Contains(string(log), name) {
		t.Errorf("the connection log tells of the gateway's own probes:\n%.2000s", log)
	}
	if w.audit(t).Summary.Resources < 3 {
		t.Errorf("%+v", w.audit(t).Summary)
	}
}

package gatewaytest

import (
	"encoding/json"
	"net/http"
	"net/url"
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
)

// audit asks a running gateway for its own report.
func (w *World) audit(t testing.TB, query url.Values) *posture.Report {
	t.Helper()
	report := new(posture.Report)
	status, code, text := w.extension(t, gateway.AuditPath, query, "apigateway")
	if err := json.Unmarshal(text, report); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s: %v: %s", status, code, err, text)
	}
	return report
}

// finding waits until the gateway's finding of a control on a resource is as
// want says.
func (w *World) finding(t testing.TB, control, id string, want func(*posture.Finding) bool) posture.Finding {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		var last posture.Finding
		for _, f := range w.audit(t, nil).Findings {
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
	if w.audit(t, nil).Summary.Resources < 3 {
		t.Errorf("%+v", w.audit(t, nil).Summary)
	}
}

// Asked for it, the gateway tries the backends behind each stage, and says
// which would let in a caller who does not come through it.
func TestAuditDoors(t *testing.T) {
	farm := StartFarm(t)
	w := farm.Gateway(t)
	api, _ := w.proxyAPI(t, map[string]string{"good": "https://" + farm.Backend(t, "ecdsa-p256").Host + "/"})
	w.Deploy(t, api)
	report := w.audit(t, url.Values{"doors": {"true"}})
	for _, f := range report.Findings {
		if f.Control != "APIGateway.2" {
			continue
		}
		for _, e := range f.Evidence {
			if e.Kind == posture.Backend && e.Value == "1 of 1 backends let in a caller who shows no client certificate" && len(e.Transcript) == 1 {
				return
			}
		}
		t.Errorf("%+v", f)
	}
}

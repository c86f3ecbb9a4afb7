package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/remedy"
)

// A running gateway's findings are listed with their commands, closed one at a
// time, and then gone from the plan. A client certificate that a backend in use
// refuses is taken back.
func TestAuditFix(t *testing.T) {
	t.Parallel()
	d := &doors{patients: startPatients(t), takes: map[string][]*x509.Certificate{}}
	good, err := d.root.Leaf(pki.LeafOptions{Names: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	d.serve(t, "PICKY", &tls.Config{Certificates: []tls.Certificate{good.TLS()}, ClientAuth: tls.RequestClientCert, VerifyPeerCertificate: d.judge("PICKY")})
	p := start(t, t.TempDir(), "--allow-backend", "127.0.0.0/8", "--trust-bundle", filepath.Join(d.dir, "roots.pem"))
	fine, picky := p.stage(t, d.patients, "GOOD", "ASKS"), p.stage(t, d.patients, "PICKY")
	fix := func(args ...string) (code int, out, said string) {
		t.Helper()
		var o, e strings.Builder
		code = run(t.Context(), append([]string{"audit", "fix", "--data-dir", p.dir}, args...), &o, &e)
		return code, o.String(), e.String()
	}
	stage := func(api string) string { return "/restapis/" + api + "/stages/prod" }

	code, out, said := fix("--resource", stage(fine))
	for _, want := range []string{"aws apigateway update-account --region us-east-1 --endpoint-url " + p.Admin, "CLIENT_CERTIFICATE_ID=$(aws apigateway generate-client-certificate ",
		"--rest-api-id " + fine + " --stage-name prod", "# 1. APIGateway.1 ", "breaks: " + d.urls["ASKS"] + " asks for a client certificate"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != exitFindings || strings.Contains(out, picky) || !strings.Contains(said, "4 findings are open") {
		t.Errorf("%d\n%s%s", code, out, said)
	}
	if code, out, said = fix("--apply"); code != exitUsage || out != "" || !strings.Contains(said, "--yes applies without asking") {
		t.Errorf("%d\n%s%s", code, out, said)
	}
	apply := func(args ...string) (code int, proofs []remedy.Proof) {
		t.Helper()
		code, out, said := fix(append(args, "--apply", "--yes", "-o", "json")...)
		var list struct{ Proofs []remedy.Proof }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v\n%s%s", err, out, said)
		}
		return code, list.Proofs
	}
	for _, control := range []string{"APIGateway.1", "APIGateway.2", "APIGateway.3"} {
		code, proofs := apply("--control", control, "--resource", stage(fine))
		if code != 0 || len(proofs) != 1 || !proofs[0].Outcome.Good() {
			t.Errorf("%s: %d %+v", control, code, proofs)
		}
	}
	// The backend lets everybody in but those who show a certificate it does not know.
	code, proofs := apply("--control", "APIGateway.2", "--resource", stage(picky))
	if code != exitFindings || len(proofs) != 1 || proofs[0].Outcome != remedy.RolledBack || !strings.Contains(proofs[0].Reason, d.urls["PICKY"]) {
		t.Errorf("%d %+v", code, proofs)
	}
	if s, err := p.client(t).GetStage(t.Context(), &apigateway.GetStageInput{RestApiId: &picky, StageName: ptr("prod")}); err != nil || s.ClientCertificateId != nil && *s.ClientCertificateId != "" {
		t.Errorf("%v %+v", err, s)
	}
	// What no call of this gateway closes is left, and said.
	code, out, _ = fix("--control", "APIGateway.4", "--apply", "--yes")
	if code != exitFindings || strings.Count(out, "WAITING APIGateway.4") != 2 {
		t.Errorf("%d\n%s", code, out)
	}
}

func ptr(s string) *string { return &s }

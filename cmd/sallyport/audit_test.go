package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/report"
)

// audit runs the command against the gateway, as somebody else would.
func (p *process) audit(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := exec.Command("sallyport", append([]string{"audit"}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "AWS_ENDPOINT_URL="+p.Admin, "AWS_SHARED_CREDENTIALS_FILE="+p.Credentials, "AWS_CONFIG_FILE=/dev/null",
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true")
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), said.String()
}

func findings(t *testing.T, text string) map[string]posture.Finding {
	t.Helper()
	var r posture.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(r.Problems) > 0 {
		t.Errorf("%+v", r.Problems)
	}
	out := map[string]posture.Finding{}
	for _, f := range r.Findings {
		out[f.Key()] = f
	}
	return out
}

// The quickstart judged by itself and as an account: the same verdicts, but
// where it stores a setting that it does not act on.
func TestAuditQuickstart(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "--quickstart")
	id := quickstartID(t, p)
	if _, err := p.client(t).UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: aws.String(id), StageName: aws.String("prod"),
		PatchOperations: []types.PatchOperation{{Op: types.OpReplace, Path: aws.String("/tracingEnabled"), Value: aws.String("true")}}}); err != nil {
		t.Fatal(err)
	}
	code, text, said := p.audit(t, "--source", "aws", "-o", "json")
	if code != 1 || !strings.Contains(said, "findings are open") || strings.Contains(said, "\x1b") {
		t.Errorf("exit code %d: %s", code, said)
	}
	live := findings(t, text)
	var own map[string]posture.Finding
	traced := "APIGateway.3 arn:aws:apigateway:us-east-1::/restapis/" + id + "/stages/prod"
	for range 100 { // the gateway follows its own store
		if code, text, _ = p.audit(t, "--data-dir", p.dir, "-o", "json"); code != 1 {
			t.Fatalf("exit code %d: %s", code, text)
		}
		if own = findings(t, text); own[traced].Status == posture.Unknown {
			break
		}
	}
	if len(own) != len(live) || len(own) < 5 {
		t.Errorf("%d findings of itself, %d as an account", len(own), len(live))
	}
	for key, f := range live {
		switch {
		case key == traced:
			if f.Status != posture.Passed || own[key].Status != posture.Unknown || !strings.HasPrefix(own[key].Reason, "stored, not in effect") {
				t.Errorf("%s: of itself %+v, as an account %+v", key, own[key], f)
			}
		case own[key].Status != f.Status:
			t.Errorf("%s: of itself %s, as an account %s", key, own[key].Status, f.Status)
		}
		if f.Status == posture.Failed && len(f.Remediation) == 0 {
			t.Errorf("%s fails, and nothing is said of how to close it", key)
		}
	}

	// Both at once, in every form, to a file as well.
	for _, form := range report.Formats() {
		file := filepath.Join(t.TempDir(), "report")
		code, out, said := p.audit(t, "--source", "self", "--data-dir", p.dir, "--doors", "--all", "-o", form, "--output-file", file)
		written, err := os.ReadFile(file)
		if code != 1 || out != "" || err != nil || !bytes.Contains(written, []byte("APIGateway.2")) {
			t.Errorf("%s: exit code %d, %v: %s%s", form, code, err, out, said)
		}
		// What the backends do is evidence where the form has a place for it.
		if form == "html" || form == "json" || form == "ocsf" {
			if !bytes.Contains(written, []byte("let in a caller who shows no client certificate")) {
				t.Errorf("%s does not tell of the doors", form)
			}
		}
	}
	p.stop(t)
	if code, _, said := p.audit(t, "--data-dir", p.dir); code != 2 || !strings.Contains(said, "no gateway runs on") || !strings.Contains(said, "hint: ") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// A probe touches the hosts that are named, and says first where the wire
// contradicts a template.
func TestAuditProbe(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	regional := p.Listeners["REGIONAL"]
	file := filepath.Join(t.TempDir(), "t.yaml")
	// Without a custom domain name the listener serves TLS_1_2.
	if err := os.WriteFile(file, []byte(`Resources:
  Name:
    Type: AWS::ApiGateway::DomainName
    Properties:
      DomainName: probed.example.com
      SecurityPolicy: SecurityPolicy_TLS13_1_3_2025_09
      EndpointAccessMode: BASIC
      EndpointConfiguration: {Types: [REGIONAL]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	code, text, said := p.audit(t, file, "--probe", "probed.example.com="+regional, "-o", "json")
	f := findings(t, text)["APIGateway.11 "+file+"#Name"]
	if code != 0 || f.Status != posture.Unknown || !strings.HasPrefix(f.Reason, "the wire contradicts the configuration: TLSv1.2 is accepted") {
		t.Errorf("exit code %d: %+v %s", code, f, said)
	}
	if last := f.Evidence[len(f.Evidence)-1]; last.Kind != posture.Probe || last.Target != regional || len(last.Transcript) < 5 {
		t.Errorf("%+v", last)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, text, _ = p.audit(t, file, "--probe", "probed.example.com="+closed.Addr().String(), "-o", "json")
	if f := findings(t, text)["APIGateway.11 "+file+"#Name"]; f.Status != posture.Passed || !strings.HasPrefix(f.Evidence[len(f.Evidence)-1].Value, "no probe: ") {
		t.Errorf("%+v", f)
	}
}

package controlplane_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
)

// TestAWSCLI has the unmodified AWS CLI, another implementation of the wire
// than the SDK for Go, do a TLS migration of an API.
func TestAWSCLI(t *testing.T) {
	if exec.Command("aws", "--version").Run() != nil {
		t.Skip("SKIPPED, NOT PASSED: there is no working aws program here")
	}
	// Each call starts a Python: without SALLYPORT_SOAK=1 only three are made.
	soak := os.Getenv("SALLYPORT_SOAK") == "1"
	g := controlplanetest.Start(t, nil)
	env := append(os.Environ(),
		"AWS_ENDPOINT_URL="+g.URL, "AWS_ACCESS_KEY_ID="+controlplanetest.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+controlplanetest.Secret,
		"AWS_DEFAULT_REGION="+controlplanetest.Region, "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1")
	run := func(args ...string) (map[string]any, string) {
		t.Helper()
		cmd := exec.Command("aws", args...)
		cmd.Env = env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, stderr.String()
		}
		var doc map[string]any
		if len(out) > 0 {
			if err := json.Unmarshal(out, &doc); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
		return doc, ""
	}
	ok := func(args ...string) map[string]any {
		t.Helper()
		doc, failure := run(args...)
		if failure != "" {
			t.Fatalf("aws %s: %s", strings.Join(args, " "), failure)
		}
		return doc
	}

	api := ok("apigateway", "create-rest-api", "--name", "pets", "--endpoint-configuration", "types=REGIONAL",
		"--security-policy", "SecurityPolicy_TLS13_1_3_2025_09", "--endpoint-access-mode", "BASIC")
	id := api["id"].(string)
	for _, mode := range []string{"STRICT", "BASIC"} {
		if mode == "BASIC" && !soak {
			break
		}
		got := ok("apigateway", "update-rest-api", "--rest-api-id", id, "--patch-operations", "op=replace,path=/endpointAccessMode,value="+mode)
		if got["endpointAccessMode"] != mode || got["apiStatus"] != "AVAILABLE" {
			t.Errorf("after %s: %v", mode, got)
		}
	}
	_, failure := run("apigateway", "get-rest-api", "--rest-api-id", "absent")
	if !strings.Contains(failure, "(NotFoundException)") || !strings.Contains(failure, "Invalid API identifier specified 000000000000:absent") {
		t.Errorf("absent API: %s", failure)
	}
	if !soak {
		return
	}
	if who := ok("sts", "get-caller-identity"); who["UserId"] != controlplanetest.AccessKeyID {
		t.Errorf("caller %v", who)
	}
	if got := ok("apigateway", "get-rest-apis"); len(got["items"].([]any)) != 1 {
		t.Errorf("APIs: %v", got)
	}
	_, failure = run("apigateway", "create-rest-api", "--name", "bad", "--endpoint-configuration", "types=REGIONAL", "--security-policy", "SecurityPolicy_TLS13_1_3_2025_09")
	if !strings.Contains(failure, "Endpoint access mode is required for the specified security policy") {
		t.Errorf("no access mode: %s", failure)
	}
	ok("apigateway", "tag-resource", "--resource-arn", "arn:aws:apigateway:us-east-1::/restapis/"+id, "--tags", "a=b")
	if got := ok("acm", "list-certificates"); got["CertificateSummaryList"] == nil {
		t.Errorf("certificates: %v", got)
	}
	ok("apigateway", "delete-rest-api", "--rest-api-id", id)
}

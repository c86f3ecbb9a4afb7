package template

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/posture"
)

// wantPlan is what the plan in testdata/terraform comes to.
var wantPlan = []string{
	"APIGateway.1 aws_api_gateway_stage.good PASSED",
	"APIGateway.2 aws_api_gateway_stage.good PASSED", // by reference: its id is known after apply
	"APIGateway.3 aws_api_gateway_stage.good PASSED",
	"APIGateway.4 aws_api_gateway_stage.good PASSED", // by reference
	"APIGateway.5 aws_api_gateway_stage.good PASSED",

	"APIGateway.1 aws_api_gateway_stage.bare FAILED", // the settings of the other API's stage of that name are not its
	"APIGateway.2 aws_api_gateway_stage.bare FAILED",
	"APIGateway.3 aws_api_gateway_stage.bare FAILED",
	"APIGateway.4 aws_api_gateway_stage.bare FAILED",
	"APIGateway.5 aws_api_gateway_stage.bare PASSED",

	"APIGateway.1 aws_api_gateway_stage.dynamic PASSED",
	"APIGateway.2 aws_api_gateway_stage.dynamic FAILED",
	"APIGateway.3 aws_api_gateway_stage.dynamic FAILED",
	"APIGateway.4 aws_api_gateway_stage.dynamic FAILED",
	"APIGateway.5 aws_api_gateway_stage.dynamic UNKNOWN", // what the dynamic block leaves out a plan does not say

	`APIGateway.9 module.http["one"].aws_apigatewayv2_stage.it PASSED`,
	`APIGateway.1 module.http["two"].aws_apigatewayv2_stage.it FAILED`,
	`APIGateway.9 module.http["two"].aws_apigatewayv2_stage.it PASSED`,
	`APIGateway.1 module.http["one"].aws_apigatewayv2_stage.by_local UNKNOWN`, // nor what a local stands for
	`APIGateway.9 module.http["one"].aws_apigatewayv2_stage.by_local FAILED`,
	`APIGateway.1 module.http["two"].aws_apigatewayv2_stage.by_local UNKNOWN`,
	`APIGateway.9 module.http["two"].aws_apigatewayv2_stage.by_local FAILED`,

	`APIGateway.10 module.http["one"].aws_apigatewayv2_integration.it[0] PASSED`,
	`APIGateway.10 module.http["one"].aws_apigatewayv2_integration.it[1] FAILED`,
	`APIGateway.10 module.http["two"].aws_apigatewayv2_integration.it[0] PASSED`,
	`APIGateway.10 module.http["two"].aws_apigatewayv2_integration.it[1] UNFIXABLE`,
	`APIGateway.8 module.http["one"].aws_apigatewayv2_route.it["GET /pets"] PASSED`,
	`APIGateway.8 module.http["one"].aws_apigatewayv2_route.it["$default"] FAILED`,
	`APIGateway.8 module.http["two"].aws_apigatewayv2_route.it["GET /pets"] PASSED`,
	`APIGateway.8 module.http["two"].aws_apigatewayv2_route.it["$default"] UNFIXABLE`,

	"APIGateway.11 aws_api_gateway_domain_name.pets FAILED",
	"APIGateway.11 aws_api_gateway_domain_name.shared UNFIXABLE", // an HTTP API is mapped to it
	"Opensearch.3 aws_opensearch_domain.bare UNKNOWN",            // nor whether the block is left out or dynamic
	"Opensearch.8 aws_opensearch_domain.bare UNKNOWN",
	"Opensearch.3 aws_opensearch_domain.good PASSED",
	"Opensearch.8 aws_opensearch_domain.good PASSED",
	"Opensearch.3 aws_opensearch_domain.default UNKNOWN",
	"Opensearch.8 aws_opensearch_domain.default FAILED",
	"ACM.1 aws_acm_certificate.pets UNKNOWN",
	"ACM.2 aws_acm_certificate.pets PASSED",
}

func TestPlan(t *testing.T) {
	found, err := Read([]string{filepath.Join("testdata", "terraform")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantProblems(t, found)
	wantVerdicts(t, found, wantPlan...)
	for _, r := range found.Resources {
		if r.Region != "eu-west-1" || r.Location != "testdata/terraform/plan.json:1" || r.Source != posture.File {
			t.Errorf("%s: %q %q %q", r.ID, r.Region, r.Location, r.Source)
		}
	}
}

// The plan as this machine's Terraform makes it, with its AWS provider.
func TestRealPlan(t *testing.T) {
	if os.Getenv("CI") == "" && os.Getenv("SALLYPORT_SOAK") != "1" {
		t.Skip("SKIPPED: Terraform's provider takes its time; SALLYPORT_SOAK=1 has the plan made anew")
	}
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("SKIPPED: terraform is missing; its plan is read from testdata only")
	}
	mirror := ""
	for _, dir := range []string{os.Getenv("SALLYPORT_TERRAFORM_PLUGINS"), "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/tf-plugins"} {
		if _, err := os.Stat(filepath.Join(dir, "registry.terraform.io", "hashicorp", "aws")); dir != "" && err == nil {
			mirror = dir
		}
	}
	if mirror == "" {
		t.Skip("SKIPPED: Terraform's provider hashicorp/aws is missing (SALLYPORT_TERRAFORM_PLUGINS names a folder with it); its plan is read from testdata only")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "terraform"))); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, "terraform.rc")
	if err := os.WriteFile(rc, fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "terraform", args...)
		cmd.Dir = dir
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "TF_") && !strings.HasPrefix(v, "AWS_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE="+rc, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s", args[0], err, out)
		}
		return out
	}
	run("init", "-input=false", "-no-color")
	run("plan", "-refresh=false", "-input=false", "-no-color", "-out=p")
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, run("show", "-json", "p"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Read([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantProblems(t, found)
	wantVerdicts(t, found, wantPlan...)
	found, err = Read([]string{filepath.Join(dir, "p")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantProblems(t, found, "terraform show -json p")
}

// A tfResource is one resource of a plan.
type tfResource struct {
	address, actions    string // actions: no-op, create, update, delete or replace; empty: create
	values, after, refs string // JSON objects; refs has the expressions
	before              string
}

func planOf(t *testing.T, resources ...tfResource) string {
	t.Helper()
	object := func(text string) map[string]any {
		m := map[string]any{}
		if text != "" {
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		return m
	}
	var planned, changes, config []any
	for _, r := range resources {
		typ, name, _ := strings.Cut(r.address, ".")
		base, _, _ := strings.Cut(name, "[")
		head := func(address string) map[string]any {
			return map[string]any{"address": address, "mode": "managed", "type": typ, "name": base, "provider_name": "registry.terraform.io/hashicorp/aws"}
		}
		actions := []string{r.actions}
		switch r.actions {
		case "":
			actions = []string{"create"}
		case "replace":
			actions = []string{"delete", "create"}
		}
		c := head(r.address)
		c["change"] = map[string]any{"actions": actions, "before": object(r.before), "after": object(r.values), "after_unknown": object(r.after)}
		changes = append(changes, c)
		if r.actions != "delete" {
			p := head(r.address)
			p["values"] = object(r.values)
			planned = append(planned, p)
		}
		e := head(typ + "." + base)
		e["expressions"] = object(r.refs)
		config = append(config, e)
	}
	out, err := json.Marshal(map[string]any{"format_version": "1.2", "planned_values": map[string]any{"root_module": map[string]any{"resources": planned}},
		"resource_changes": changes, "configuration": map[string]any{"root_module": map[string]any{"resources": config}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Plans of what is there already, which Terraform writes with ids and without
// references that matter.
func TestPlanOfChanges(t *testing.T) {
	const arn = "arn:aws:apigateway:eu-west-1::/restapis/a1/stages/prod"
	api := tfResource{address: "aws_api_gateway_rest_api.a", actions: "no-op", values: `{"id": "a1"}`}
	stage := func(more string) tfResource {
		return tfResource{address: "aws_api_gateway_stage.s", actions: "update",
			values: `{"rest_api_id": "a1", "stage_name": "prod", "arn": "` + arn + `", "xray_tracing_enabled": true, "client_certificate_id": "c1", "cache_cluster_enabled": false` + more + `}`}
	}
	loggingOff := tfResource{address: "aws_api_gateway_method_settings.m", actions: "no-op", values: `{"rest_api_id": "a1", "stage_name": "prod", "method_path": "*/*", "settings": [{"logging_level": "OFF"}]}`}
	common := []string{"APIGateway.2 aws_api_gateway_stage.s PASSED", "APIGateway.3 aws_api_gateway_stage.s PASSED", "APIGateway.5 aws_api_gateway_stage.s PASSED"}
	for _, c := range []struct {
		name      string
		resources []tfResource
		one, four string
		more      []string
	}{
		{"settings and an association by ids", []tfResource{api, stage(""), loggingOff,
			{address: "aws_wafv2_web_acl_association.w", actions: "no-op", values: `{"resource_arn": "` + arn + `", "web_acl_arn": "w"}`}}, "FAILED", "PASSED", nil},
		{"of another stage", []tfResource{api, stage(""),
			{address: "aws_api_gateway_method_settings.m", values: `{"rest_api_id": "a1", "stage_name": "test", "method_path": "*/*", "settings": [{"logging_level": "INFO"}]}`},
			{address: "aws_wafv2_web_acl_association.w", values: `{"resource_arn": "arn:aws:apigateway:eu-west-1::/restapis/a2/stages/prod", "web_acl_arn": "w"}`}}, "FAILED", "FAILED", nil},
		{"settings that are absent", []tfResource{api, stage(""), {address: "aws_api_gateway_method_settings.m", values: `{"rest_api_id": "a1", "stage_name": "prod", "method_path": "*/*", "settings": []}`}}, "FAILED", "FAILED", nil},
		{"settings that are not known", []tfResource{api, stage(""), {address: "aws_api_gateway_method_settings.m", actions: "update",
			values: `{"rest_api_id": "a1", "stage_name": "prod", "method_path": "*/*"}`, after: `{"settings": true}`}}, "UNKNOWN", "FAILED", nil},
		{"settings of a stage that is not known", []tfResource{api, stage(""), {address: "aws_api_gateway_method_settings.m",
			values: `{"method_path": "*/*", "settings": [{"logging_level": "INFO"}]}`, after: `{"rest_api_id": true, "stage_name": true}`, refs: `{"rest_api_id": {"references": ["local.a"]}, "stage_name": {"references": ["local.s"]}}`}}, "UNKNOWN", "FAILED", nil},
		{"an association that is there", []tfResource{api, stage(`, "web_acl_arn": "w"`)}, "FAILED", "PASSED", nil},
		{"an association that the plan removes", []tfResource{api, stage(`, "web_acl_arn": "w"`),
			{address: "aws_wafv2_web_acl_association.w", actions: "delete", before: `{"resource_arn": "` + arn + `"}`}}, "FAILED", "FAILED", nil},
		{"an association that the plan moves here", []tfResource{api, stage(""),
			{address: "aws_wafv2_web_acl_association.w", actions: "replace", before: `{"resource_arn": "x"}`, values: `{"resource_arn": "` + arn + `", "web_acl_arn": "w"}`}}, "FAILED", "PASSED", nil},
		{"an association of what is not known", []tfResource{api, stage(""),
			{address: "aws_wafv2_web_acl_association.w", after: `{"resource_arn": true}`, refs: `{"resource_arn": {"references": ["local.x"]}}`}}, "FAILED", "UNKNOWN", nil},
		{"an association of a load balancer", []tfResource{api, stage(""), {address: "aws_lb.b", values: `{}`},
			{address: "aws_wafv2_web_acl_association.w", after: `{"resource_arn": true}`, refs: `{"resource_arn": {"references": ["aws_lb.b.arn", "aws_lb.b"]}}`}}, "FAILED", "FAILED", nil},
		{"a stage that is deleted, and one of a deployment", []tfResource{api, stage(""), {address: "aws_api_gateway_stage.gone", actions: "delete", before: `{"stage_name": "old"}`},
			{address: "aws_api_gateway_deployment.d", values: `{"rest_api_id": "a1", "stage_name": "made"}`}, {address: "aws_api_gateway_deployment.e", values: `{"rest_api_id": "a1", "stage_name": null}`}}, "FAILED", "FAILED",
			[]string{"APIGateway.1 aws_api_gateway_deployment.d FAILED", "APIGateway.2 aws_api_gateway_deployment.d FAILED", "APIGateway.3 aws_api_gateway_deployment.d FAILED",
				"APIGateway.4 aws_api_gateway_deployment.d FAILED", "APIGateway.5 aws_api_gateway_deployment.d PASSED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := read(t, Options{}, map[string]string{"plan.json": planOf(t, c.resources...)})
			wantProblems(t, found)
			wantVerdicts(t, found, append(append([]string{"APIGateway.1 aws_api_gateway_stage.s " + c.one, "APIGateway.4 aws_api_gateway_stage.s " + c.four}, common...), c.more...)...)
		})
	}
}

// What a plan knows of a certificate it imports is what is in it.
func TestPlanImportsCertificate(t *testing.T) {
	authority, err := pki.NewAuthority("of a test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{"a.example.com"}, Kind: pki.RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(map[string]any{"certificate_body": string(leaf.CertificatePEM())})
	if err != nil {
		t.Fatal(err)
	}
	unknown := `{"not_after": true, "key_algorithm": true}`
	found := read(t, Options{}, map[string]string{"plan.json": planOf(t,
		tfResource{address: "aws_acm_certificate.known", values: string(values), after: unknown, refs: `{"certificate_body": {}}`},
		tfResource{address: "aws_acm_certificate.secret", values: `{}`, after: `{"not_after": true, "key_algorithm": true, "certificate_body": true}`, refs: `{"certificate_body": {"references": ["tls_x.y.z"]}}`})})
	wantProblems(t, found)
	wantVerdicts(t, found, "ACM.1 aws_acm_certificate.known PASSED", "ACM.2 aws_acm_certificate.known PASSED",
		"ACM.1 aws_acm_certificate.secret UNKNOWN", "ACM.2 aws_acm_certificate.secret UNKNOWN")
}

// The addresses of several plans are told apart by their files.
func TestSeveralPlans(t *testing.T) {
	plan := planOf(t, tfResource{address: `aws_apigatewayv2_route.r["a.b"]`, values: `{"route_key": "GET /", "authorization_type": "JWT"}`})
	found := read(t, Options{}, map[string]string{"one.json": plan, "two.json": plan})
	wantVerdicts(t, found, `APIGateway.8 one.json#aws_apigatewayv2_route.r["a.b"] PASSED`, `APIGateway.8 two.json#aws_apigatewayv2_route.r["a.b"] PASSED`)
}

package gatewaytest

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/remedy"
	"github.com/sallyport/sallyport/internal/template"
)

// planned judges what Terraform plans, by control and address.
func (tf terraform) planned(t *testing.T) (map[string]*posture.Finding, map[string]*posture.Resource) {
	t.Helper()
	tf.run(t, 0, "plan", "-input=false", "-refresh=false", "-out=plan", "-var", "web_acl_arn=arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/a/0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f")
	show := exec.CommandContext(t.Context(), "terraform", "show", "-json", "plan")
	show.Dir, show.Env = tf.dir, tf.env
	text, err := show.Output()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := template.Read([]string{path}, template.Options{})
	if err != nil || len(found.Problems) > 0 {
		t.Fatalf("%v %v", err, found)
	}
	report, err := posture.Evaluate(controls.All, slices.Values(found.Resources), posture.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	findings, resources := map[string]*posture.Finding{}, map[string]*posture.Resource{}
	for i := range report.Findings {
		f := &report.Findings[i]
		findings[f.Control+" "+f.Resource.ID] = f
	}
	for _, r := range found.Resources {
		resources[r.ID] = r
	}
	return findings, resources
}

// hclHead is the head of a resource or variable at the start of a line.
var hclHead = regexp.MustCompile(`(?m)^(resource "[^"]*" "[^"]*"|variable "[^"]*") \{$`)

// The snippets, put into the configuration that failed as Terraform overrides
// one, close the findings of the plan. The provider's version 5 knows none of
// the policies that APIGateway.11 wants.
func TestTerraformSnippets(t *testing.T) {
	if os.Getenv("SALLYPORT_SOAK") != "1" {
		t.Skip("takes half a minute: SALLYPORT_SOAK=1 runs it")
	}
	w := Start(t)
	tf := newTerraform(t, w, filepath.Join("testdata", "terraform-remedy"), "AWS_REGION=eu-west-1")
	if err := os.WriteFile(filepath.Join(tf.dir, "variables.tf"), []byte("variable \"web_acl_arn\" {\n  type = string\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, resources := tf.planned(t)
	text, err := os.ReadFile(filepath.Join(tf.dir, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	override, more := map[string]string{}, map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		f := before[key]
		if f.Status != posture.Failed {
			continue
		}
		closed++
		for _, s := range remedy.Steps(f, resources[f.Resource.ID], remedy.Context{}) {
			if s.Form == posture.ByHand {
				continue
			}
			if s.Form != posture.Terraform {
				t.Errorf("%s: a step in %s", key, s.Form)
				continue
			}
			for _, at := range hclHead.FindAllStringIndex(s.Text, -1) {
				one := s.Text[at[0]:]
				one = one[:strings.Index(one, "\n}\n")+3]
				head := s.Text[at[0]:at[1]]
				switch {
				case strings.HasPrefix(head, "variable"):
				case strings.Contains(string(text), head):
					// Blocks of one resource in one file would be two overrides of which
					// the later wins member by member: each has its file.
					override[f.Control+head] = one
				default:
					more[head] = one
				}
			}
		}
	}
	if closed < 9 {
		t.Errorf("%d findings fail before: %v", closed, slices.Sorted(maps.Keys(before)))
	}
	// Both settings of the stage are one block, which its address does not tell.
	var settings string
	for key, one := range override {
		if strings.Contains(key, "method_settings") {
			if at := strings.Index(one, "  settings {\n"); at > 0 {
				inner := one[at+len("  settings {\n"):]
				settings += inner[:strings.Index(inner, "  }\n")]
			}
			delete(override, key)
		}
	}
	if settings != "" {
		override["settings"] = "resource \"aws_api_gateway_method_settings\" \"prod\" {\n  settings {\n    caching_enabled = true\n" + settings + "  }\n}\n"
	}
	for i, key := range slices.Sorted(maps.Keys(override)) {
		if err := os.WriteFile(filepath.Join(tf.dir, string(rune('a'+i))+"_override.tf"), []byte(override[key]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(tf.dir, "more.tf"), []byte(strings.Join(slices.Collect(maps.Values(more)), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	after, _ := tf.planned(t)
	for key, f := range before {
		if f.Status != posture.Failed {
			continue
		}
		now := after[key]
		if now == nil || now.Status != posture.Passed {
			t.Errorf("%s: %+v", key, now)
		}
	}
}

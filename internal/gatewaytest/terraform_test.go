package gatewaytest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// providerFolders are where Terraform's AWS provider may lie as a filesystem
// mirror, so that nothing is fetched. Source: Terraform CLI configuration,
// implied local mirror directories.
func providerFolders() []string {
	folders := []string{os.Getenv("SALLYPORT_TERRAFORM_PLUGINS")}
	if home, err := os.UserHomeDir(); err == nil {
		folders = append(folders, filepath.Join(home, ".terraform.d", "plugins"), filepath.Join(home, ".local", "share", "terraform", "plugins"))
	}
	return append(folders, "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/tf-plugins")
}

// terraform is the unmodified program with a configuration of ours.
type terraform struct {
	dir string
	env []string
}

// newTerraform copies a configuration to a folder of its own and initializes
// it. It skips the test when the program or its AWS provider is missing.
func newTerraform(t *testing.T, w *World, configuration string, env ...string) terraform {
	t.Helper()
	Need(t, "terraform")
	mirror := ""
	for _, folder := range providerFolders() {
		if _, err := os.Stat(filepath.Join(folder, "registry.terraform.io", "hashicorp", "aws")); folder != "" && err == nil {
			mirror = folder
			break
		}
	}
	if mirror == "" {
		t.Skipf("SKIPPED: Terraform's provider hashicorp/aws is in none of %q (SALLYPORT_TERRAFORM_PLUGINS adds a folder), so this was not checked with it", providerFolders())
	}
	tf := terraform{dir: t.TempDir()}
	if err := os.CopyFS(tf.dir, os.DirFS(configuration)); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(tf.dir, "terraform.rc")
	if err := os.WriteFile(rc, fmt.Appendf(nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range w.Env() {
		if !strings.HasPrefix(v, "TF_") {
			tf.env = append(tf.env, v)
		}
	}
	tf.env = append(tf.env, "TF_CLI_CONFIG_FILE="+rc, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1", "TF_VAR_endpoint="+w.Runtime.Admin)
	tf.env = append(tf.env, env...)
	tf.run(t, 0, "init", "-input=false")
	return tf
}

// run wants the program to end with the given code.
func (tf terraform) run(t *testing.T, want int, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "terraform", append(args, "-no-color")...)
	cmd.Dir, cmd.Env = tf.dir, tf.env
	began := time.Now()
	out, err := cmd.CombinedOutput()
	t.Logf("terraform %s: %v", args[0], time.Since(began).Round(time.Millisecond))
	if got := cmd.ProcessState.ExitCode(); err != nil && got < 0 || got != want {
		t.Fatalf("terraform %s: exit code %d, want %d (%v)\n%s", strings.Join(args, " "), got, want, err, out)
	}
}

// A configuration of everything that is built goes up, shows no drift, changes
// in place, shows none again, and goes away. The provider's version 5 knows
// no policy of an API and no access mode, so those are the migration tests'.
func TestTerraform(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	answer := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, "%s %s", r.URL.Path, r.Header.Get("X-Stage"))
	})
	backend, linked := httptest.NewTLSServer(answer), httptest.NewServer(answer)
	t.Cleanup(backend.Close)
	t.Cleanup(linked.Close)
	w := Start(t, func(c *config.Config) {
		c.Targets = map[string][]string{tcpBalancer: {linked.Listener.Addr().String()}}
	})
	ctx := t.Context()
	const domain = "pets.example"
	certificates := w.domainFiles(t, domain, "*."+domain)
	tf := newTerraform(t, w, filepath.Join("testdata", "terraform"),
		"TF_VAR_domain="+domain, "TF_VAR_backend="+backend.URL, "TF_VAR_load_balancer="+tcpBalancer, "TF_VAR_certificates="+certificates)

	get := func(url, want string) {
		t.Helper()
		if got := w.get(t, "REGIONAL", url); got.status != http.StatusOK || got.body != want {
			t.Errorf("GET %s: %d %q, want %q", url, got.status, got.body, want)
		}
	}
	state := []string{"-input=false"}
	tf.run(t, 0, append([]string{"apply", "-auto-approve"}, state...)...)
	tf.run(t, 0, append([]string{"plan", "-detailed-exitcode"}, state...)...)
	get("https://"+domain+"/pets", "[]")
	get("https://"+domain+"/v1/pets/7", "/7 ")
	get("https://"+domain+"/linked", "/linked ")

	// Each run costs the provider seconds of start, so the second half is not
	// for every day; the patches it sends are in the tables of resource's tests.
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		state = append(state, "-var", "changed=true")
		tf.run(t, 0, append([]string{"apply", "-auto-approve"}, state...)...)
		tf.run(t, 0, append([]string{"plan", "-detailed-exitcode"}, state...)...)
		get("https://"+domain+"/animals", `["cat"]`)
		get("https://"+domain+"/v2/animals/7", "/7 second")
	}

	tf.run(t, 0, append([]string{"destroy", "-auto-approve", "-refresh=false"}, state...)...)
	apis, err := w.API.GetRestApis(ctx, &apigateway.GetRestApisInput{})
	if err != nil || len(apis.Items) != 0 {
		t.Errorf("after destroy: %d APIs, %v", len(apis.Items), err)
	}
	names, err := w.API.GetDomainNames(ctx, &apigateway.GetDomainNamesInput{})
	if err != nil || len(names.Items) != 0 {
		t.Errorf("after destroy: %d domain names, %v", len(names.Items), err)
	}
	list, err := w.ACM.ListCertificates(ctx, &acm.ListCertificatesInput{})
	if err != nil || len(list.CertificateSummaryList) != 0 {
		t.Errorf("after destroy: %d certificates, %v", len(list.CertificateSummaryList), err)
	}
	links, err := w.API.GetVpcLinks(ctx, &apigateway.GetVpcLinksInput{})
	if err != nil || len(links.Items) != 0 {
		t.Errorf("after destroy: %d VPC links, %v", len(links.Items), err)
	}
	links2, err := w.V2.GetVpcLinks(ctx, &apigatewayv2.GetVpcLinksInput{})
	if err != nil || len(links2.Items) != 0 {
		t.Errorf("after destroy: %d VPC links V2, %v", len(links2.Items), err)
	}
	client, err := w.API.GetClientCertificates(ctx, &apigateway.GetClientCertificatesInput{})
	if err != nil || len(client.Items) != 0 {
		t.Errorf("after destroy: %d client certificates, %v", len(client.Items), err)
	}
	account, err := w.API.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil || account.CloudwatchRoleArn != nil {
		t.Errorf("after destroy: role %q, %v", aws.ToString(account.CloudwatchRoleArn), err)
	}
}

// domainFiles writes cert.pem, key.pem and chain.pem for names, by an authority
// that the World then trusts, and returns their folder.
func (w *World) domainFiles(t *testing.T, names ...string) string {
	t.Helper()
	authority, err := pki.NewAuthority("Domain authority of " + names[0])
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Leaf(pki.LeafOptions{Names: names, Kind: pki.RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	key, err := issued.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	w.Roots.AppendCertsFromPEM(authority.PEM())
	dir := t.TempDir()
	for name, data := range map[string][]byte{"cert.pem": issued.CertificatePEM(), "key.pem": key, "chain.pem": authority.PEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

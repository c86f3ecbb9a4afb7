package gatewaytest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/tlspolicy"
)

// migration is the way that the developer guide recommends, there and back.
var migration = []struct {
	what, policy, mode string
	patch              []string // path, value, ...
}{
	{"enhanced policy with BASIC", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "BASIC", []string{"/securityPolicy", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "/endpointAccessMode", "BASIC"}},
	{"then STRICT", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "STRICT", []string{"/endpointAccessMode", "STRICT"}},
	{"TLS 1.3 only, mode first", "SecurityPolicy_TLS13_1_3_FIPS_2025_09", "STRICT", []string{"/endpointAccessMode", "STRICT", "/securityPolicy", "SecurityPolicy_TLS13_1_3_FIPS_2025_09"}},
	{"back to BASIC", "SecurityPolicy_TLS13_1_3_FIPS_2025_09", "BASIC", []string{"/endpointAccessMode", "BASIC"}},
	{"back to legacy", "TLS_1_0", "", []string{"/securityPolicy", "TLS_1_0", "/endpointAccessMode", ""}},
}

// patcher changes the API or domain name under test through one client.
type patcher func(t *testing.T, pairs []string) (policy, mode string, err error)

func TestMigration(t *testing.T) {
	w := Start(t)
	ctx := t.Context()

	for _, client := range []string{"SDK", "CLI"} {
		t.Run("API by "+client, func(t *testing.T) {
			create := map[string]func(*testing.T) string{"SDK": w.createBySDK, "CLI": w.createByCLI}[client]
			api := create(t)
			other := w.MockAPI(t, types.EndpointTypeRegional, "", "")
			patch := func(t *testing.T, pairs []string) (string, string, error) {
				out, err := w.API.UpdateRestApi(ctx, &apigateway.UpdateRestApiInput{RestApiId: &api, PatchOperations: Replace(pairs...)})
				if err != nil {
					return "", "", err
				}
				return string(out.SecurityPolicy), string(out.EndpointAccessMode), nil
			}
			if client == "CLI" {
				patch = w.cliPatch("update-rest-api", "--rest-api-id", api)
			}
			w.checkTLS(t, w.Host(api), "SecurityPolicy_TLS13_1_3_2025_09", "STRICT", w.Host(other), "/prod/")
			w.migrate(t, patch, w.Host(api), w.Host(other), "/prod/")
		})
		t.Run("domain name by "+client, func(t *testing.T) {
			api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
			name := strings.ToLower(client) + ".api.example"
			create := map[string]func(*testing.T, string, string){"SDK": w.domainBySDK, "CLI": w.domainByCLI}[client]
			create(t, name, api)
			patch := func(t *testing.T, pairs []string) (string, string, error) {
				out, err := w.API.UpdateDomainName(ctx, &apigateway.UpdateDomainNameInput{DomainName: &name, PatchOperations: Replace(pairs...)})
				if err != nil {
					return "", "", err
				}
				return string(out.SecurityPolicy), string(out.EndpointAccessMode), nil
			}
			if client == "CLI" {
				patch = w.cliPatch("update-domain-name", "--domain-name", name)
			}
			w.checkTLS(t, name, "SecurityPolicy_TLS13_1_3_2025_09", "STRICT", w.Host(api), "/")
			w.migrate(t, patch, name, w.Host(api), "/")
		})
	}
}

func (w *World) migrate(t *testing.T, patch patcher, host, other, path string) {
	for _, step := range migration {
		policy, mode, err := patch(t, step.patch)
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if policy != step.policy || mode != step.mode {
			t.Errorf("%s: the answer says %q %q", step.what, policy, mode)
		}
		w.checkTLS(t, host, step.policy, step.mode, other, path)
		if t.Failed() {
			t.Fatalf("after step: %s", step.what)
		}
	}
}

// checkTLS shows by handshakes of Go and OpenSSL that host is served under
// policy, and by requests that mode is in force. other is a name with its own,
// legacy policy that the same listener serves.
func (w *World) checkTLS(t *testing.T, host, policy, mode, other, path string) {
	t.Helper()
	p, ok := tlspolicy.Lookup(policy, false)
	if !ok {
		t.Fatalf("no policy %s", policy)
	}
	roots := w.Roots
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		want := version >= p.Min && version <= p.Max
		conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: host, RootCAs: roots, MinVersion: version, MaxVersion: version})
		if err == nil {
			if err := p.Check(conn.ConnectionState()); err != nil {
				t.Errorf("%s under %s: %v", host, policy, err)
			}
			conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s under %s, Go with %s: accepted %v (%v), want %v", host, policy, tlspolicy.VersionName(version), err == nil, err, want)
		}
		flag := map[uint16]string{tls.VersionTLS10: "-tls1", tls.VersionTLS11: "-tls1_1", tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[version]
		args := []string{flag}
		if version < tls.VersionTLS13 {
			args = append(args, "-cipher", "ALL:@SECLEVEL=0")
		}
		protocol, cipher, out := w.OpenSSL(t, "REGIONAL", host, args...)
		if (cipher != "") != want {
			t.Errorf("%s under %s, OpenSSL with %s: %q %q, want accepted %v\n%s", host, policy, flag, protocol, cipher, want, out)
		}
	}
	// A suite that the policy may or may not have.
	_, cipher, out := w.OpenSSL(t, "REGIONAL", host, "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
	if want := len(p.Suites13) == 3; (cipher != "") != want {
		t.Errorf("%s under %s, ChaCha alone: %q, want accepted %v\n%s", host, policy, cipher, want, out)
	}
	if _, cipher, _ := w.OpenSSL(t, "REGIONAL", host, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"); cipher != "" && policy != "TLS_1_0" {
		t.Errorf("%s under %s: OpenSSL got %s", host, policy, cipher)
	}

	for _, h2 := range []bool{false, true} {
		want := http.StatusOK
		if status := w.status(t, host, host, path, h2); status != want {
			t.Errorf("%s under %s %s, HTTP/2 %v: %d, want %d", host, policy, mode, h2, status, want)
		}
		// The same resource through a connection opened for another name.
		want = map[string]int{"STRICT": http.StatusForbidden, "BASIC": http.StatusOK, "": http.StatusOK}[mode]
		if status := w.status(t, other, host, path, h2); status != want && (!h2 || status != http.StatusMisdirectedRequest || want == http.StatusOK) {
			t.Errorf("%s under %s %s through SNI %s, HTTP/2 %v: %d, want %d", host, policy, mode, other, h2, status, want)
		}
	}
}

// status sends GET https://host/path on a connection with the given SNI.
func (w *World) status(t *testing.T, sni, host, path string, h2 bool) int {
	t.Helper()
	client := w.HTTP("REGIONAL", &tls.Config{ServerName: sni}, h2)
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + host + path)
	if err != nil {
		t.Errorf("GET %s through SNI %s: %v", host, sni, err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (w *World) createBySDK(t *testing.T) string {
	return w.MockAPI(t, types.EndpointTypeRegional, types.SecurityPolicySecurityPolicyTls1313202509, types.EndpointAccessModeStrict)
}

// createByCLI is createBySDK with the commands that a person types.
func (w *World) createByCLI(t *testing.T) string {
	var api struct{ ID, RootResourceID, SecurityPolicy, EndpointAccessMode, APIStatus string }
	w.cli(t, &api, "apigateway", "create-rest-api", "--name", "by-cli", "--endpoint-configuration", "types=REGIONAL",
		"--security-policy", "SecurityPolicy_TLS13_1_3_2025_09", "--endpoint-access-mode", "STRICT")
	if api.SecurityPolicy != "SecurityPolicy_TLS13_1_3_2025_09" || api.EndpointAccessMode != "STRICT" || api.APIStatus != "AVAILABLE" {
		t.Errorf("create-rest-api answered %+v", api)
	}
	at := []string{"--rest-api-id", api.ID, "--resource-id", api.RootResourceID, "--http-method", "GET"}
	cli := func(op string, args ...string) {
		w.cli(t, nil, append(append([]string{"apigateway", op}, at...), args...)...)
	}
	cli("put-method", "--authorization-type", "NONE")
	cli("put-method-response", "--status-code", "200")
	cli("put-integration", "--type", "MOCK", "--request-templates", `{"application/json":"{\"statusCode\": 200}"}`)
	cli("put-integration-response", "--status-code", "200", "--response-templates", `{"application/json":"{\"ok\":true}"}`)
	w.cli(t, nil, "apigateway", "create-deployment", "--rest-api-id", api.ID, "--stage-name", "prod")
	return api.ID
}

// domainPEM makes a certificate for name from an authority that the World then
// trusts, as three PEM texts.
func (w *World) domainPEM(t *testing.T, name string) (certificate, key, chain []byte) {
	t.Helper()
	authority, err := pki.NewAuthority("Domain authority of " + name)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Leaf(pki.LeafOptions{Names: []string{name}, Kind: pki.RSA2048})
	if err != nil {
		t.Fatal(err)
	}
	if key, err = issued.KeyPEM(); err != nil {
		t.Fatal(err)
	}
	w.Roots.AppendCertsFromPEM(authority.PEM())
	return issued.CertificatePEM(), key, authority.PEM()
}

func (w *World) domainBySDK(t *testing.T, name, api string) {
	ctx := t.Context()
	arn := w.importCertificate(t, name, pki.RSA2048)
	created, err := w.API.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{
		DomainName: &name, RegionalCertificateArn: &arn,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
		SecurityPolicy:        types.SecurityPolicySecurityPolicyTls1313202509, EndpointAccessMode: types.EndpointAccessModeStrict,
	})
	if err != nil {
		t.Fatal(err)
	}
	if created.DomainNameStatus != types.DomainNameStatusAvailable {
		t.Errorf("domainNameStatus %q", created.DomainNameStatus)
	}
	if _, err := w.API.CreateBasePathMapping(ctx, &apigateway.CreateBasePathMappingInput{DomainName: &name, RestApiId: &api, Stage: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
}

func (w *World) domainByCLI(t *testing.T, name, api string) {
	certificate, key, chain := w.domainPEM(t, name)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return "fileb://" + path
	}
	var imported struct{ CertificateArn string }
	w.cli(t, &imported, "acm", "import-certificate", "--certificate", file("cert.pem", certificate),
		"--private-key", file("key.pem", key), "--certificate-chain", file("chain.pem", chain))
	w.cli(t, nil, "apigateway", "create-domain-name", "--domain-name", name, "--regional-certificate-arn", imported.CertificateArn,
		"--endpoint-configuration", "types=REGIONAL", "--security-policy", "SecurityPolicy_TLS13_1_3_2025_09", "--endpoint-access-mode", "STRICT")
	w.cli(t, nil, "apigateway", "create-base-path-mapping", "--domain-name", name, "--rest-api-id", api, "--stage", "prod")
}

// cli runs the AWS CLI, which must succeed, and decodes its answer into to.
func (w *World) cli(t *testing.T, to any, args ...string) {
	t.Helper()
	out, err := w.AWS(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	if to != nil {
		if err := json.Unmarshal([]byte(out), to); err != nil {
			t.Fatalf("%v printed %q: %v", args, out, err)
		}
	}
}

func (w *World) cliPatch(args ...string) patcher {
	return func(t *testing.T, pairs []string) (string, string, error) {
		ops := []string{"--patch-operations"}
		for i := 0; i+1 < len(pairs); i += 2 {
			op := map[string]string{"op": "replace", "path": pairs[i], "value": pairs[i+1]}
			text, _ := json.Marshal(op)
			ops = append(ops, string(text))
		}
		// The shorthand cannot say an empty value in a list, so the list goes as JSON.
		out, err := w.AWS(t, append(append([]string{"apigateway"}, args...), "--patch-operations", "["+strings.Join(ops[1:], ",")+"]")...)
		if err != nil {
			return "", "", err
		}
		var got struct{ SecurityPolicy, EndpointAccessMode string }
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			return "", "", fmt.Errorf("%q: %w", out, err)
		}
		return got.SecurityPolicy, got.EndpointAccessMode, nil
	}
}

// The commands that must fail, with AWS's words where they are known.
func TestMigrationRefused(t *testing.T) {
	w := Start(t)
	ctx := context.Background()
	for _, tc := range []struct {
		what, from, mode string
		endpoint         types.EndpointType
		patch            []string
		want             string
	}{
		{"enhanced without a mode", "TLS_1_0", "", types.EndpointTypeRegional, []string{"/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09"}, "Endpoint access mode is required for the specified security policy"},
		{"TLS_1_0 to TLS_1_2", "TLS_1_0", "", types.EndpointTypeRegional, []string{"/securityPolicy", "TLS_1_2"}, "TLS_1_0"},
		{"edge policy on a regional API", "TLS_1_0", "", types.EndpointTypeRegional, []string{"/securityPolicy", "SecurityPolicy_TLS13_2025_EDGE", "/endpointAccessMode", "BASIC"}, "SecurityPolicy_TLS13_2025_EDGE"},
		{"type change under STRICT", "SecurityPolicy_TLS13_1_3_2025_09", "STRICT", types.EndpointTypeRegional, []string{"/endpointConfiguration/types/REGIONAL", "PRIVATE"}, "STRICT"},
		{"type change without a policy for it", "SecurityPolicy_TLS13_2025_EDGE", "BASIC", types.EndpointTypeEdge, []string{"/endpointConfiguration/types/EDGE", "REGIONAL"}, "Unable to update EndpointType. SecurityPolicy is required for EndpointType update."},
		{"unknown policy", "TLS_1_0", "", types.EndpointTypeRegional, []string{"/securityPolicy", "TLS_9"}, "TLS_9"},
		{"unknown path", "TLS_1_0", "", types.EndpointTypeRegional, []string{"/tls", "x"}, "Invalid patch path"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			api := w.MockAPI(t, tc.endpoint, types.SecurityPolicy(tc.from), types.EndpointAccessMode(tc.mode))
			_, err := w.API.UpdateRestApi(ctx, &apigateway.UpdateRestApiInput{RestApiId: &api, PatchOperations: Replace(tc.patch...)})
			var bad *types.BadRequestException
			if !asError(err, &bad) || !strings.Contains(bad.ErrorMessage(), tc.want) {
				t.Errorf("got %v, want a BadRequestException with %q", err, tc.want)
			}
			after, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
			if err != nil || string(after.SecurityPolicy) != tc.from || string(after.EndpointAccessMode) != tc.mode {
				t.Errorf("after the refusal: %v %v %v", after.SecurityPolicy, after.EndpointAccessMode, err)
			}
		})
	}
}

package gatewaytest

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// answer is a response as these tests compare it.
type answer struct {
	status    int
	errorType string
	body      string
	header    http.Header
}

func (w *World) get(t *testing.T, listener, url string) answer {
	t.Helper()
	client := w.HTTP(listener, nil, false)
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(body), resp.Header}
}

func (a answer) is(t *testing.T, what string, status int, errorType, body string) {
	t.Helper()
	if a.status != status || a.errorType != errorType || (body != "" && a.body != body) {
		t.Errorf("%s: got %d %q %s, want %d %q %s", what, a.status, a.errorType, a.body, status, errorType, body)
	}
	if a.header.Get("x-amzn-RequestId") == "" || a.header.Get("x-amz-apigw-id") == "" {
		t.Errorf("%s: no request ids: %v", what, a.header)
	}
}

// A private API denies all until a policy allows, and is reached through the
// private listener only.
func TestPrivateAPI(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypePrivate, "", "")
	url := "https://" + w.Host(api) + "/prod/"
	denied := w.get(t, "PRIVATE", url)
	denied.is(t, "without a policy", 403, "AccessDeniedException", "")
	if !strings.Contains(denied.body, `"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:`) {
		t.Errorf("without a policy: %s", denied.body)
	}
	policy := func(condition string) {
		t.Helper()
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":` + condition + `}]}`
		if err := w.Patch(t.Context(), api, "/policy", document); err != nil {
			t.Fatal(err)
		}
		w.Deploy(t, api) // a policy binds with the next deployment
	}
	policy(`{"StringEquals":{"aws:SourceVpce":"vpce-0a1b2c3d"}}`)
	w.get(t, "PRIVATE", url).is(t, "from the allowed VPC endpoint", 200, "", `{"ok":true}`)
	w.get(t, "REGIONAL", url).is(t, "through the regional listener", 403, "ForbiddenException", "")
	policy(`{"StringEquals":{"aws:SourceVpce":"vpce-ffffffff"}}`)
	w.get(t, "PRIVATE", url).is(t, "from another VPC endpoint", 403, "AccessDeniedException", "")
	policy(`{"NumericEquals":{"aws:MultiFactorAuthAge":"1"}}`)
	w.get(t, "PRIVATE", url).is(t, "with a condition that is not enforced yet", 403, "ForbiddenException", "")
}

// A disabled default endpoint still handshakes by its own policy; the flag
// binds with the next stage update or deployment.
func TestDisabledDefaultEndpoint(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_3_2025_09", "BASIC")
	url := "https://" + w.Host(api) + "/prod/"
	if err := w.Patch(t.Context(), api, "/disableExecuteApiEndpoint", "true"); err != nil {
		t.Fatal(err)
	}
	w.get(t, "REGIONAL", url).is(t, "before a stage update", 200, "", "")
	if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace("/description", "x")}); err != nil {
		t.Fatal(err)
	}
	w.get(t, "REGIONAL", url).is(t, "after it", 403, "ForbiddenException", `{"message":"Forbidden"}`)
	if _, err := w.Dial("REGIONAL", &tls.Config{ServerName: w.Host(api), MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("a TLS 1.2 client got in: the API's policy no longer governs")
	}
}

// What is stored but not enforced yet is not served open.
func TestGuardsNotBuilt(t *testing.T) {
	w := Start(t)
	ctx := t.Context()
	for what, guard := range map[string][]string{
		"authorization type": {"/authorizationType", "AWS_IAM"},
		"API key":            {"/apiKeyRequired", "true"},
	} {
		api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
		got, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.UpdateMethod(ctx, &apigateway.UpdateMethodInput{RestApiId: &api, ResourceId: got.RootResourceId, HttpMethod: aws.String("GET"), PatchOperations: Replace(guard...)}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		url := "https://" + w.Host(api) + "/prod/"
		w.get(t, "REGIONAL", url).is(t, what+", not deployed", 200, "", "")
		w.Deploy(t, api)
		w.get(t, "REGIONAL", url).is(t, what, 403, "ForbiddenException", "")
	}
}

// The default gateway responses, as a client of AWS knows them.
func TestGatewayResponses(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	host := w.Host(api)
	for _, tc := range []struct {
		what, url       string
		status          int
		errorType, body string
	}{
		{"unknown path", "https://" + host + "/prod/nowhere", 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`},
		{"unknown stage", "https://" + host + "/dev/", 403, "ForbiddenException", `{"message":"Forbidden"}`},
		{"unknown API", "https://" + w.Host("zzzzzzzzzz") + "/prod/", 403, "ForbiddenException", `{"message":"Forbidden"}`},
		{"a path with two readings", "https://" + host + "/prod/%2e%2e/prod/", 400, "BadRequestException", ""},
	} {
		w.get(t, "REGIONAL", tc.url).is(t, tc.what, tc.status, tc.errorType, tc.body)
	}
}

// Access logs in the four presets, in the group that the ARN names.
func TestAccessLogs(t *testing.T) {
	w := Start(t)
	for name, tc := range map[string]struct{ format, want string }{
		"json": {`{ "requestId":"$context.requestId", "ip": "$context.identity.sourceIp", "status":"$context.status", "tls":"$context.tlsVersion", "cipher":"$context.cipherSuite", "path":"$context.path","caller":"$context.identity.caller"}`,
			`^\{ "requestId":"[0-9a-f-]{36}", "ip": "127.0.0.1", "status":"200", "tls":"TLSv1.3", "cipher":"TLS_AES_128_GCM_SHA256", "path":"/prod/","caller":"-"\}$`},
		"clf": {`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`,
			`^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]"GET / HTTP/1.1" 200 11 [0-9a-f-]{36} \S+=$`},
		"csv": {`$context.identity.sourceIp,$context.httpMethod,$context.resourcePath,$context.status,$context.requestId,$context.domainPrefix`, `^127\.0\.0\.1,GET,/,200,[0-9a-f-]{36},[a-z0-9]{10}$`},
		"xml": {`<request id="$context.requestId"> <ip>$context.identity.sourceIp</ip> <status>$context.status</status> </request>`, `^<request id="[0-9a-f-]{36}"> <ip>127\.0\.0\.1</ip> <status>200</status> </request>$`},
	} {
		api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
		group := "/aws/apigateway/" + name
		if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace(
			"/accessLogSettings/destinationArn", "arn:aws:logs:us-east-1:000000000000:log-group:"+group, "/accessLogSettings/format", tc.format)}); err != nil {
			t.Fatal(err)
		}
		a := w.get(t, "REGIONAL", "https://"+w.Host(api)+"/prod/")
		line := w.logLine(t, filepath.Join("aws", "apigateway", name), func(string) bool { return true })
		if !regexp.MustCompile(tc.want).MatchString(line) {
			t.Errorf("%s: %s\nwant %s", name, line, tc.want)
		}
		if !strings.Contains(line, a.header.Get("x-amzn-RequestId")) {
			t.Errorf("%s: the line does not carry the request's id %s", name, a.header.Get("x-amzn-RequestId"))
		}
	}
}

// logLine waits for a line in a group that wanted accepts.
func (w *World) logLine(t *testing.T, folder string, wanted func(string) bool) string {
	t.Helper()
	path := filepath.Join(w.Config.DataDir, "logs", folder, "events.log")
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		data, _ := os.ReadFile(path) // not there until the first flush
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSuffix(line, "\n"); wanted(line) {
				return line
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("no such line in %s:\n%s", path, data)
		}
	}
}

// Every handshake leaves one record, failed ones included.
func TestConnectionLog(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_3_2025_09", "STRICT")
	find := func(wanted func(telemetry.Connection) bool) telemetry.Connection {
		var found telemetry.Connection
		w.logLine(t, "connections", func(line string) bool {
			var c telemetry.Connection
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if wanted(c) {
				found = c
				return true
			}
			return false
		})
		return found
	}
	w.get(t, "REGIONAL", "https://"+w.Host(api)+"/prod/")
	good := find(func(c telemetry.Connection) bool { return c.Chosen != nil && c.SNI == w.Host(api) })
	if good.Policy != "SecurityPolicy_TLS13_1_3_2025_09" || good.Mode != "STRICT" || good.Chosen.Version != "TLSv1.3" || good.JA4 == "" || good.Peer == "" || good.ID == "" || good.Name != w.Host(api) {
		t.Errorf("good handshake: %+v", good)
	}
	if _, err := w.Dial("REGIONAL", &tls.Config{ServerName: w.Host(api), MaxVersion: tls.VersionTLS12}); err == nil {
		t.Fatal("a TLS 1.2 client got in")
	}
	bad := find(func(c telemetry.Connection) bool { return c.Chosen == nil && c.SNI == w.Host(api) })
	if bad.Alert != "protocol_version" || bad.Reason == "" || len(bad.Offered.Suites) == 0 || bad.Policy != good.Policy {
		t.Errorf("refused handshake: %+v", bad)
	}
}

// With a propagation delay the old rule is in force, and the status UPDATING,
// until it has passed.
func TestPropagationDelay(t *testing.T) {
	w := Start(t, func(c *config.Config) { c.PropagationDelay = 1500 * time.Millisecond })
	ctx := t.Context()
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	old := func() bool {
		conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: w.Host(api), MaxVersion: tls.VersionTLS12})
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	out, err := w.API.UpdateRestApi(ctx, &apigateway.UpdateRestApiInput{RestApiId: &api,
		PatchOperations: Replace("/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC")})
	if err != nil {
		t.Fatal(err)
	}
	if out.ApiStatus != types.ApiStatusUpdating || !old() {
		t.Errorf("right after the change: status %s, old rule in force %v", out.ApiStatus, old())
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		got, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
		if err != nil {
			t.Fatal(err)
		}
		if got.ApiStatus == types.ApiStatusAvailable {
			break
		}
	}
	if old() {
		t.Error("AVAILABLE, and still the old rule")
	}
}

// What runs is found through one file, which goes when the gateway stops.
func TestRuntimeFile(t *testing.T) {
	var path string
	t.Run("running", func(t *testing.T) {
		w := Start(t)
		path = filepath.Join(w.Config.DataDir, "runtime.json")
		w.MockAPI(t, types.EndpointTypeRegional, "", "") // the answer comes after Run began
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Admin           string
			Listeners       map[string]string
			CA, Credentials string
		}
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(r.Listeners) != fmt.Sprint(w.Runtime.Listeners) || r.Admin != w.Runtime.Admin || !filepath.IsAbs(r.CA) || !filepath.IsAbs(r.Credentials) {
			t.Errorf("%s", data)
		}
	})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after the stop: %v", err)
	}
}

// The plaintext listener serves nothing of this version.
func TestPlaintextListener(t *testing.T) {
	w := Start(t, func(c *config.Config) {
		c.Listen = append(c.Listen, config.Listener{Type: "HTTP", Addr: "127.0.0.1:0"})
	})
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	w.get(t, "HTTP", "http://"+w.Host(api)+"/prod/").is(t, "plain HTTP", 403, "ForbiddenException", `{"message":"Forbidden"}`)
}

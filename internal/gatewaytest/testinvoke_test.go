package gatewaytest

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/backgate"
)

// articleCases are those of re:Post's article on SSL certificates of backends,
// with its lines word for word.
var articleCases = []struct {
	path, backend string
	line          string
	verdict       string
}{
	{"/selfsigned", "self-signed", "Execution failed due to configuration error: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target", "untrusted certificate"},
	{"/expiredcert", "expired-leaf", "Execution failed due to configuration error: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed", "expired certificate"},
	{"/untrustedRootCA", "untrusted-root", "Execution failed due to configuration error: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target", "untrusted certificate"},
}

// proxyAPI makes an API that is not deployed, with one HTTP_PROXY resource for
// each path, and returns the resources' ids by path.
func (w *World) proxyAPI(t testing.TB, uris map[string]string) (id string, resources map[string]string) {
	t.Helper()
	ctx := t.Context()
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("backends")})
	if err != nil {
		t.Fatal(err)
	}
	resources = map[string]string{}
	for path, uri := range uris {
		res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(path[1:])})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("AWS_IAM")}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: aws.String("GET"),
			Type: types.IntegrationTypeHttpProxy, IntegrationHttpMethod: aws.String("GET"), Uri: aws.String(uri)}); err != nil {
			t.Fatal(err)
		}
		resources[path] = *res.Id
	}
	return *api.Id, resources
}

// checkArticle compares a test's log with the article's lines, times and ids
// aside.
func checkArticle(t *testing.T, log, api, path, uri, line string) {
	t.Helper()
	lines := strings.Split(log, "\n")
	id, ok := strings.CutPrefix(lines[0], "Execution log for request ")
	if !ok || len(id) != 36 || lines[len(lines)-1] != "" {
		t.Fatalf("first line %q, last %q", lines[0], lines[len(lines)-1])
	}
	want := []string{
		"Starting execution for request: " + id,
		"HTTP Method: GET, Resource Path: " + path,
		"Method request path: {}",
		"Method request query string: {}",
		"Method request headers: {}",
		"Method request body before transformations: ",
		"Endpoint request URI: " + uri,
		"Endpoint request headers: {x-amzn-apigateway-api-id=" + api + ", User-Agent=AmazonAPIGateway_" + api + "}",
		"Endpoint request body after transformations: ",
		"Sending request to " + uri,
		line,
		"Method completed with status: 500",
	}
	stamp := regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d \d\d:\d\d:\d\d UTC \d{4} : `)
	var got []string
	for _, l := range lines[1 : len(lines)-1] {
		if !stamp.MatchString(l) {
			t.Errorf("no time before %q", l)
		}
		got = append(got, stamp.ReplaceAllString(l, ""))
	}
	if !slices.Equal(got, want) {
		t.Errorf("log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The three cases of AWS's knowledge-centre article, by the SDK and by the AWS
// CLI, against backends that truly are what the article says.
func TestTestInvokeMethod(t *testing.T) {
	f := StartFarm(t)
	w := f.Gateway(t)
	uris := map[string]string{}
	for _, c := range articleCases {
		uris[c.path] = "https://" + f.Backend(t, c.backend).Host + "/"
	}
	api, resources := w.proxyAPI(t, uris)
	// What the SDK ignores is read from the wire.
	wire := &wireTap{}
	client := apigateway.New(w.API.Options(), func(o *apigateway.Options) { o.HTTPClient = wire })
	for _, c := range articleCases {
		t.Run("SDK"+c.path, func(t *testing.T) {
			out, err := client.TestInvokeMethod(t.Context(), &apigateway.TestInvokeMethodInput{RestApiId: &api, ResourceId: aws.String(resources[c.path]), HttpMethod: aws.String("GET")})
			if err != nil {
				t.Fatal(err)
			}
			checkArticle(t, aws.ToString(out.Log), api, c.path, uris[c.path], c.line)
			if out.Status != 500 || aws.ToString(out.Body) != `{"message": "Internal server error"}` || len(out.Headers) != 1 || out.Headers["x-amzn-ErrorType"] != "InternalServerErrorException" {
				t.Errorf("answer %d %s %v", out.Status, aws.ToString(out.Body), out.Headers)
			}
			var extension struct {
				Diagnosis backgate.Diagnosis `json:"sallyportDiagnosis"`
			}
			if err := json.Unmarshal(wire.last, &extension); err != nil {
				t.Fatal(err)
			}
			if d := extension.Diagnosis; d.Verdict != c.verdict || d.AWSText != c.line || d.Fix == "" || len(d.Chain) == 0 {
				t.Errorf("diagnosis %+v", d)
			}
			for _, v := range f.Backend(t, c.backend).Take(t) {
				if v.Bytes != 0 {
					t.Errorf("%d bytes of a request reached the backend", v.Bytes)
				}
			}
		})
	}
	t.Run("CLI", func(t *testing.T) {
		Need(t, "aws")
		for _, c := range articleCases {
			cmd := exec.CommandContext(t.Context(), "aws", "apigateway", "test-invoke-method", "--rest-api-id", api, "--resource-id", resources[c.path], "--http-method", "GET", "--output", "json")
			cmd.Env = w.Env()
			text, err := cmd.Output()
			if err != nil {
				if exit, ok := err.(*exec.ExitError); ok {
					t.Logf("%s", exit.Stderr)
				}
				t.Fatal(err)
			}
			var out struct {
				Status  int
				Body    string
				Log     string
				Latency *int
			}
			if err := json.Unmarshal(text, &out); err != nil {
				t.Fatal(err)
			}
			checkArticle(t, out.Log, api, c.path, uris[c.path], c.line)
			if out.Status != 500 || out.Latency == nil {
				t.Errorf("%s", text)
			}
		}
	})
}

// wireTap keeps the last answer.
type wireTap struct{ last []byte }

func (w *wireTap) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	w.last, err = io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(w.last))
	return resp, err
}

// What a test takes from its caller, and what it refuses.
func TestTestInvokeInput(t *testing.T) {
	f := StartFarm(t)
	w := f.Gateway(t)
	ctx := t.Context()
	asks := f.Backend(t, "requires-ours-tls13")
	api, resources := w.proxyAPI(t, map[string]string{"/asks": "https://" + asks.Host + "/", "/variable": "https://${stageVariables.host}/echo", "/{p}": "https://" + f.Backend(t, "ecdsa-p256").Host + "/echo"})
	invoke := func(path string, edit func(*apigateway.TestInvokeMethodInput)) (*apigateway.TestInvokeMethodOutput, error) {
		in := &apigateway.TestInvokeMethodInput{RestApiId: &api, ResourceId: aws.String(resources[path]), HttpMethod: aws.String("GET")}
		if edit != nil {
			edit(in)
		}
		return w.API.TestInvokeMethod(ctx, in)
	}

	certificate, err := w.API.GenerateClientCertificate(ctx, &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(aws.ToString(certificate.PemEncodedCertificate)))
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	f.Know(parsed)
	for _, with := range []bool{false, true} {
		out, err := invoke("/asks", func(in *apigateway.TestInvokeMethodInput) {
			if with {
				in.ClientCertificateId = certificate.ClientCertificateId
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if (out.Status == 200) != with {
			t.Errorf("client certificate %t: %d\n%s", with, out.Status, *out.Log)
		}
	}

	out, err := invoke("/{p}", func(in *apigateway.TestInvokeMethodInput) {
		in.PathWithQueryString = aws.String("/a%20b?q=1&q=x y")
		in.Headers = map[string]string{"X-One": "1", "X-Both": "single"}
		in.MultiValueHeaders = map[string][]string{"X-Both": {"a", "b"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Resource Path: /a%20b\n", "Method request path: {p=a b}\n", "query string: {q=[1, x y]}\n", "Method request headers: {X-Both=[a, b], X-One=1}\n", "/echo?q=1&q=x%20y\n", "Method completed with status: 200\n"} {
		if !strings.Contains(*out.Log, want) {
			t.Errorf("no %q in\n%s", want, *out.Log)
		}
	}

	out, err = invoke("/variable", func(in *apigateway.TestInvokeMethodInput) {
		in.StageVariables = map[string]string{"host": f.Backend(t, "ecdsa-p384").Host}
	})
	if err != nil || out.Status != 200 {
		t.Errorf("stage variable: %+v, %v", out, err)
	}

	for name, test := range map[string]struct {
		path string
		edit func(*apigateway.TestInvokeMethodInput)
		want string
	}{
		"no such API":         {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.RestApiId = aws.String("absent") }, "NotFoundException: Invalid API identifier specified"},
		"no such resource":    {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.ResourceId = aws.String("absent") }, "NotFoundException: Invalid Resource identifier specified"},
		"no such method":      {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.HttpMethod = aws.String("PUT") }, "NotFoundException: Invalid Method identifier specified"},
		"no such certificate": {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.ClientCertificateId = aws.String("absent") }, "BadRequestException: Client certificate id absent does not exist"},
		"dot segments":        {"/{p}", func(in *apigateway.TestInvokeMethodInput) { in.PathWithQueryString = aws.String("/../x") }, "BadRequestException: Invalid pathWithQueryString specified"},
		"header of two lines": {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.Headers = map[string]string{"X-A": "a\r\nX-B: b"} }, "BadRequestException: Invalid headers specified"},
		"header without name": {"/asks", func(in *apigateway.TestInvokeMethodInput) { in.Headers = map[string]string{"": "a"} }, "BadRequestException: Invalid headers specified"},
	} {
		if _, err := invoke(test.path, test.edit); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}

	// Integrations of a type that is not built answer typed.
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: &api, ResourceId: aws.String(resources["/asks"]), HttpMethod: aws.String("GET"),
		Type: types.IntegrationTypeAwsProxy, IntegrationHttpMethod: aws.String("POST"), Uri: aws.String("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/f/invocations")}); err != nil {
		t.Fatal(err)
	}
	if _, err := invoke("/asks", nil); err == nil || !strings.Contains(err.Error(), "BadRequestException: Sallyport cannot run this method yet: it does not implement integration type AWS_PROXY.") {
		t.Errorf("AWS_PROXY: %v", err)
	}
}

// Logging needs the account's role and no deployment; its lines are in the
// group's file within a second.
func TestExecutionLogFile(t *testing.T) {
	w := Start(t)
	ctx := t.Context()
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	set := func(pairs ...string) error {
		_, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace(pairs...)})
		return err
	}
	if err := set("/*/*/logging/loglevel", "INFO", "/description", "not kept"); err == nil || !strings.Contains(err.Error(), "BadRequestException: CloudWatch Logs role ARN must be set in account settings to enable logging") {
		t.Fatalf("without a role: %v", err)
	}
	if stage, err := w.API.GetStage(ctx, &apigateway.GetStageInput{RestApiId: &api, StageName: aws.String("prod")}); err != nil || len(stage.MethodSettings) != 0 || stage.Description != nil {
		t.Fatalf("a refused update changed the stage: %+v, %v", stage, err)
	}
	if _, err := w.API.UpdateAccount(ctx, &apigateway.UpdateAccountInput{PatchOperations: Replace("/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/logs")}); err != nil {
		t.Fatal(err)
	}
	if err := set("/*/*/logging/loglevel", "INFO", "/*/*/logging/dataTrace", "true"); err != nil {
		t.Fatal(err)
	}
	// call returns the request's id, and what the file holds once all its lines
	// are there; as one who tails it.
	file := filepath.Join(w.Config.DataDir, "logs", "API-Gateway-Execution-Logs_"+api, "prod", "events.log")
	call := func(h2, logged bool) (id, text string) {
		t.Helper()
		resp, err := w.HTTP("REGIONAL", nil, h2).Get("https://" + w.Host(api) + "/prod/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		id = resp.Header.Get("x-amzn-RequestId")
		for deadline := time.Now().Add(time.Second); logged; time.Sleep(10 * time.Millisecond) {
			b, _ := os.ReadFile(file)
			if text = string(b); strings.HasSuffix(text, "("+id+") Method completed with status: 200\n") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after a second there is\n%s", text)
			}
		}
		return id, text
	}
	id, text := call(true, true)
	for _, want := range []string{"Starting execution for request: " + id, "HTTP Method: GET, Resource Path: /", `Method response body after transformations: {"ok":true}`, "Successfully completed execution"} {
		if !strings.Contains(text, "("+id+") "+want+"\n") {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := set("/*/*/logging/loglevel", "OFF"); err != nil {
		t.Fatal(err)
	}
	id, _ = call(false, false)
	if err := set("/*/*/logging/loglevel", "INFO"); err != nil {
		t.Fatal(err)
	}
	if _, text = call(false, true); strings.Contains(text, id) {
		t.Errorf("logged although it is off:\n%s", text)
	}
}

package gatewaytest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/doctor"
	"github.com/sallyport/sallyport/internal/sigv4"
)

// extension asks one of the gateway's own paths; service "" leaves the request
// unsigned. It returns the status, the error's type and the body.
func (w *World) extension(t testing.TB, path string, query url.Values, service string) (status int, errorType string, body []byte) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.Runtime.Admin+path+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if service != "" {
		sigv4.Sign(r, nil, sigv4.Credentials{AccessKeyID: w.Key.AccessKeyID, SecretAccessKey: w.Key.SecretAccessKey}, "eu-west-3", service, time.Now())
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype"), body
}

// diagnose asks the doctor about one backend.
func (w *World) diagnose(t testing.TB, q doctor.Question) (d backgate.Diagnosis) {
	t.Helper()
	status, code, body := w.extension(t, doctor.Path, q.Query(), "apigateway")
	if status != http.StatusOK {
		t.Fatalf("%+v: %d %s %s", q, status, code, body)
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The doctor comes to the same verdict as a request does, in the same words,
// and asks the backend nothing.
func TestDoctorOnTheFarm(t *testing.T) {
	t.Parallel()
	f := StartFarm(t)
	w := f.Gateway(t)
	client, err := w.API.GenerateClientCertificate(t.Context(), &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(aws.ToString(client.PemEncodedCertificate)))
	ours, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	f.Know(ours)
	var asking sync.WaitGroup
	room := make(chan struct{}, 4) // as many as it takes
	for _, row := range truths {
		b := f.Backend(t, row.backend)
		host, _, _ := net.SplitHostPort(b.Host)
		asking.Go(func() {
			for i, way := range ways {
				if i == 1 || i == 2 || b.service.stalls && (i > 0 || b.Name != "stalls") {
					continue // what is different is seen in the others, and waiting takes long
				}
				q := doctor.Question{URL: "https://" + b.Host + "/path", InsecureSkipVerification: way.skip}
				if way.certificate {
					q.ClientCertificateID = *client.ClientCertificateId
				}
				room <- struct{}{}
				d := w.diagnose(t, q)
				<-room
				want := row.outcomes[i]
				if d.Verdict != want.verdict || d.Accepted != (want.verdict == "") {
					t.Errorf("%s, %s: %q %q, want %q", row.backend, way.stage, d.Verdict, d.Why, want.verdict)
				}
				if !d.Accepted && (d.AWSText != strings.ReplaceAll(want.text, "HOST", host) || d.Status != want.status || d.ErrorType != want.errorType || d.ResponseType != want.responseType) {
					t.Errorf("%s, %s: %d %s %s %s", row.backend, way.stage, d.Status, d.ErrorType, d.ResponseType, d.AWSText)
				}
				if !d.Accepted && (d.Why == "" || d.Fix == "" || strings.Contains(d.Why+d.Fix, "{")) {
					t.Errorf("%s, %s: why %q, fix %q", row.backend, way.stage, d.Why, d.Fix)
				}
				for _, v := range b.Take(t) {
					if v.Requests > 0 || v.Bytes > 0 {
						t.Errorf("%s, %s: %d bytes and %d requests reached the backend", row.backend, way.stage, v.Bytes, v.Requests)
					}
				}
			}
		})
	}
	asking.Wait()
}

// Who asks has to be somebody, and gets nowhere that a request would not get.
func TestDoctorRefuses(t *testing.T) {
	t.Parallel()
	w := Start(t)
	at := func(u string) url.Values { return url.Values{"url": {u}} }
	stage := doctor.BackendsPath("abcdef1234", "prod")
	for _, tc := range []struct {
		what, path string
		query      url.Values
		service    string
		status     int
		code       string
	}{
		{"unsigned", doctor.Path, at("https://localhost:1"), "", 403, "MissingAuthenticationTokenException"},
		{"signed for another service", doctor.Path, at("https://localhost:1"), "sts", 403, "InvalidSignatureException"},
		{"a stage, unsigned", stage, nil, "", 403, "MissingAuthenticationTokenException"},
		{"no URL", doctor.Path, nil, "apigateway", 400, "BadRequestException"},
		{"without TLS", doctor.Path, at("http://localhost:1"), "apigateway", 400, "BadRequestException"},
		{"an unknown parameter", doctor.Path, url.Values{"url": {"https://localhost:1"}, "follow": {"1"}}, "apigateway", 400, "BadRequestException"},
		{"an unknown certificate", doctor.Path, url.Values{"url": {"https://localhost:1"}, "clientCertificateId": {"abcdef"}}, "apigateway", 404, "NotFoundException"},
		{"no certificate's name", doctor.Path, url.Values{"url": {"https://localhost:1"}, "clientCertificateId": {"../x"}}, "apigateway", 404, "NotFoundException"},
		{"an unknown API", stage, nil, "apigateway", 404, "NotFoundException"},
		{"a page too large", stage, url.Values{"limit": {"1000"}}, "apigateway", 400, "BadRequestException"},
		{"a page before the first", stage, url.Values{"position": {"-1"}}, "apigateway", 400, "BadRequestException"},
	} {
		if status, code, body := w.extension(t, tc.path, tc.query, tc.service); status != tc.status || code != tc.code {
			t.Errorf("%s: %d %s %s, want %d %s", tc.what, status, code, body, tc.status, tc.code)
		}
	}
	for _, u := range []string{"https://169.254.169.254", "https://[::1]:1", "https://[::ffff:169.254.169.254]", "https://0.0.0.0:1"} {
		if d := w.diagnose(t, doctor.Question{URL: u}); d.Verdict != "refused address" || d.Address == "" {
			t.Errorf("%s: %+v", u, d)
		}
	}
}

// A stage with many backends comes in pages; methods whose backends cannot be
// told are named, and backends without TLS stand open.
func TestDoctorPages(t *testing.T) {
	t.Parallel()
	w := Start(t)
	ctx, get := t.Context(), aws.String("GET")
	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("pages"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	uris := map[string]string{"unset": "https://${stageVariables.missing}/", "plain": "http://" + plain.Addr().String() + "/"}
	for _, n := range strings.Split("abcdefghij", "") {
		uris[n] = "https://127.0.0.1:1/" + n // one backend
		uris["own-"+n] = "https://" + n + ".invalid/"
	}
	for part, uri := range uris {
		res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(part)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: get, AuthorizationType: aws.String("NONE")})
		if err == nil {
			_, err = w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: get,
				IntegrationHttpMethod: get, Type: types.IntegrationTypeHttpProxy, Uri: aws.String(uri)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Deploy(t, *api.Id)

	seen := map[string]doctor.Verdict{}
	query, pages := url.Values{"limit": {"5"}}, 0
	for {
		status, code, body := w.extension(t, doctor.BackendsPath(*api.Id, "prod"), query, "apigateway")
		var page doctor.Stage
		if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %s: %v", status, code, body, err)
		}
		pages++
		if page.Total != 12 || len(page.Backends) > 5 || len(page.Undetermined) != 1 || !strings.HasPrefix(page.Undetermined[0], "GET /unset: ") {
			t.Errorf("page %d: %s", pages, body)
		}
		for _, b := range page.Backends {
			seen[b.URL] = b.Verdict
			if b.URL == "https://127.0.0.1:1" && len(b.Methods) != 10 {
				t.Errorf("methods %v", b.Methods)
			}
		}
		if page.Position == "" {
			break
		}
		query.Set("position", page.Position)
	}
	if pages != 3 || len(seen) != 12 || seen["http://"+plain.Addr().String()] != doctor.Open || seen["https://a.invalid"] != doctor.Unverified {
		t.Errorf("%d pages: %v", pages, seen)
	}
}

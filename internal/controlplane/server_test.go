package controlplane_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/sigv4"
)

// call is one raw request; the zero values sign it well for apigateway.
type call struct {
	method, path, body string
	service            string            // "" is apigateway, "-" sends no signature
	key, secret        string            // other than the test's own
	header             map[string]string // set before signing
	spoil              func(*http.Request)
	chunked            bool
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (c call) request(t testing.TB, url string) *http.Request {
	t.Helper()
	var body io.Reader = strings.NewReader(c.body)
	if c.chunked {
		body = io.MultiReader(body) // hides the length
	}
	r, err := http.NewRequest(c.method, url+c.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	if c.service != "-" {
		service := c.service
		if service == "" {
			service = "apigateway"
		}
		key, secret := controlplanetest.AccessKeyID, controlplanetest.Secret
		if c.key != "" {
			key = c.key
		}
		if c.secret != "" {
			secret = c.secret
		}
		sigv4.Sign(r, []byte(c.body), sigv4.Credentials{AccessKeyID: key, SecretAccessKey: secret}, controlplanetest.Region, service, time.Now())
	}
	if c.spoil != nil {
		c.spoil(r)
	}
	return r
}

func (c call) send(t testing.TB, g *controlplanetest.Gateway) reply {
	t.Helper()
	resp, err := http.DefaultClient.Do(c.request(t, g.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// code is the error's name in the body's own form and in the header, which
// must agree.
func (r reply) code(t testing.TB) string {
	t.Helper()
	header := r.header.Get("X-Amzn-Errortype")
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/xml") {
		var e struct {
			Error     struct{ Type, Code, Message string }
			RequestId string
		}
		if err := xml.Unmarshal([]byte(r.body), &e); err != nil {
			t.Fatalf("%v in %q", err, r.body)
		}
		if e.Error.Code != header || e.Error.Message == "" || e.RequestId == "" {
			t.Errorf("XML error %q beside header %q", r.body, header)
		}
		return header
	}
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	if e.Message == "" || e.Type != "" && e.Type != header {
		t.Errorf("error %q beside header %q", r.body, header)
	}
	return header
}

func TestRefusals(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	target := func(op string) map[string]string {
		return map[string]string{"X-Amz-Target": op, "Content-Type": "application/x-amz-json-1.1"}
	}
	big := `{"name":"` + strings.Repeat("a", 1<<20) + `"}`
	create := func(body string) call { return call{method: "POST", path: "/restapis", body: body} }

	for _, tt := range []struct {
		name   string
		call   call
		status int
		code   string
		text   string // in the message
	}{
		{"unsigned", call{method: "POST", path: "/restapis", body: `{"name":"a"}`, service: "-"}, 403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"a browser's request", call{method: "POST", path: "/restapis", body: `{"name":"a"}`, service: "-", header: map[string]string{"Origin": "https://evil.example"}}, 403, "MissingAuthenticationTokenException", ""},
		{"a browser's question", call{method: "OPTIONS", path: "/restapis", service: "-", header: map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}}, 403, "MissingAuthenticationTokenException", ""},
		{"unknown key", call{method: "POST", path: "/restapis", body: `{"name":"a"}`, key: "AKIDSOMEBODYELSE"}, 403, "UnrecognizedClientException", ""},
		{"wrong secret", call{method: "POST", path: "/restapis", body: `{"name":"a"}`, secret: "guess"}, 403, "InvalidSignatureException", ""},
		{"body changed after signing", call{method: "POST", path: "/restapis", body: `{"name":"a"}`, spoil: func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"name":"b"}`))
		}}, 403, "InvalidSignatureException", ""},
		{"unsigned, ACM's form", call{method: "POST", path: "/", body: `{}`, service: "-", header: target("CertificateManager.ListCertificates")}, 403, "MissingAuthenticationTokenException", ""},
		{"unsigned, STS's form", call{method: "POST", path: "/", body: `Action=GetCallerIdentity`, service: "-", header: form}, 403, "MissingAuthenticationTokenException", ""},

		{"unknown service", call{method: "GET", path: "/", service: "s3"}, 400, "UnknownServiceException", `"s3", so it does not implement GET /.`},
		{"unknown service in Query", call{method: "POST", path: "/", body: "Action=ListUsers&Version=2010-05-08", service: "iam", header: form}, 400, "UnknownServiceException", `"iam", so it does not implement ListUsers.`},
		{"unknown service in JSON 1.1", call{method: "POST", path: "/", body: "{}", service: "dynamodb", header: target("DynamoDB_20120810.ListTables")}, 400, "UnknownServiceException", `"dynamodb", so it does not implement ListTables.`},
		{"unknown path", call{method: "GET", path: "/nothing/here"}, 403, "MissingAuthenticationTokenException", ""},
		{"unknown target", call{method: "POST", path: "/", body: "{}", service: "acm", header: target("CertificateManager.Nothing")}, 400, "UnknownOperationException", ""},
		{"unknown action", call{method: "POST", path: "/", body: "Action=Nothing&Version=2011-06-15", service: "sts", header: form}, 400, "InvalidAction", "Nothing"},

		{"not built, version 1", call{method: "GET", path: "/apikeys"}, 400, "BadRequestException", "does not implement GetApiKeys of apigateway yet"},
		{"not built, version 2", call{method: "GET", path: "/v2/domainnames"}, 400, "BadRequestException", "does not implement GetDomainNames of apigatewayv2 yet"},
		{"not built, ACM", call{method: "POST", path: "/", body: "{}", service: "acm", header: target("CertificateManager.RequestCertificate")}, 400, "UnsupportedOperationException", "does not implement RequestCertificate of acm yet"},
		{"not built, STS", call{method: "POST", path: "/", body: "Action=GetSessionToken&Version=2011-06-15", service: "sts", header: form}, 400, "UnsupportedOperationException", "does not implement GetSessionToken of sts yet"},
		{"an import larger than other bodies", call{method: "POST", path: "/restapis?mode=import", body: big}, 400, "BadRequestException", "does not implement ImportRestApi"},

		{"malformed JSON", create(`{"name":`), 400, "SerializationException", ""},
		{"not an object", create(`[]`), 400, "SerializationException", ""},
		{"wrong type", create(`{"name":7}`), 400, "SerializationException", ""},
		{"wrong type below", create(`{"name":"a","endpointConfiguration":{"types":"REGIONAL"}}`), 400, "SerializationException", ""},
		{"a patch value that is no string", call{method: "PATCH", path: "/account", body: `{"patchOperations":[{"op":"replace","path":"/cloudwatchRoleArn","value":true}]}`}, 400, "SerializationException", ""},
		{"missing member", create(`{}`), 400, "ValidationException", "name"},
		{"illegal enum", create(`{"name":"a","apiKeySource":"NOWHERE"}`), 400, "ValidationException", "apiKeySource"},
		{"illegal policy name", create(`{"name":"a","securityPolicy":"TLS_9_9"}`), 400, "ValidationException", "securityPolicy"},
		{"policy illegal at the endpoint type", create(`{"name":"a","endpointConfiguration":{"types":["REGIONAL"]},"securityPolicy":"SecurityPolicy_TLS13_2025_EDGE","endpointAccessMode":"BASIC"}`), 400, "BadRequestException", ""},
		{"enhanced policy without access mode", create(`{"name":"a","endpointConfiguration":{"types":["REGIONAL"]},"securityPolicy":"SecurityPolicy_TLS13_1_3_2025_09"}`), 400, "BadRequestException", "Endpoint access mode is required for the specified security policy"},
		{"unknown patch path", call{method: "PATCH", path: "/account", body: `{"patchOperations":[{"op":"replace","path":"/nothing","value":"x"}]}`}, 400, "BadRequestException", "/nothing"},
		{"unknown patch operation", call{method: "PATCH", path: "/account", body: `{"patchOperations":[{"op":"invent","path":"/cloudwatchRoleArn","value":"x"}]}`}, 400, "ValidationException", "patchOperations.1.member.op"},
		{"oversize", create(big), 413, "RequestEntityTooLargeException", "1048576"},
		{"oversize without a length", call{method: "POST", path: "/restapis", body: big, chunked: true}, 413, "RequestEntityTooLargeException", ""},
		{"ACM: malformed JSON", call{method: "POST", path: "/", body: "{", service: "acm", header: target("CertificateManager.ListCertificates")}, 400, "SerializationException", ""},
		{"ACM: illegal enum", call{method: "POST", path: "/", body: `{"SortBy":"COLOUR"}`, service: "acm", header: target("CertificateManager.ListCertificates")}, 400, "ValidationException", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := g.Revision(t)
			got := tt.call.send(t, g)
			if code := got.code(t); got.status != tt.status || code != tt.code {
				t.Errorf("got %d %s, want %d %s: %s", got.status, code, tt.status, tt.code, got.body)
			}
			if body := strings.NewReplacer(`\"`, `"`, "&#34;", `"`).Replace(got.body); !strings.Contains(body, tt.text) {
				t.Errorf("answer %s does not hold %q", got.body, tt.text)
			}
			if got.header.Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
			for name := range got.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("answer invites browsers: %s", name)
				}
			}
			if after := g.Revision(t); after != before {
				t.Errorf("store went from revision %d to %d", before, after)
			}
		})
	}
}

func TestPanicCostsOneCall(t *testing.T) {
	g := controlplanetest.Start(t, func(o *controlplane.Options) {
		known := o.Secret
		o.Secret = func(id string) (string, bool) {
			if id == "AKIDPANIC" {
				panic("the secret store burns")
			}
			return known(id)
		}
	})
	got := call{method: "GET", path: "/account", key: "AKIDPANIC"}.send(t, g)
	if code := got.code(t); got.status != 500 || code != "InternalFailure" || strings.Contains(got.body, "burns") {
		t.Errorf("got %d %s: %s", got.status, code, got.body)
	}
	if !strings.Contains(g.Log(), "the secret store burns") || !strings.Contains(g.Log(), got.header.Get("X-Amzn-Requestid")) {
		t.Error("the log does not tell what happened to which request")
	}
	if _, err := g.API.GetAccount(context.Background(), &apigateway.GetAccountInput{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestCallIsLogged(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	got := call{method: "POST", path: "/restapis", body: `{"name":"secretive","colour":"blue"}`}.send(t, g)
	if got.status != http.StatusCreated {
		t.Fatal(got)
	}
	log := g.Log()
	for _, want := range []string{
		`"operation":"CreateRestApi"`, `"request_id":"` + got.header.Get("X-Amzn-Requestid") + `"`,
		`"access_key_id":"` + controlplanetest.AccessKeyID + `"`, `"status":201`, `"members":["colour"]`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	call{method: "POST", path: "/restapis", body: `{"name":"a","apiKeySource":"secretive"}`}.send(t, g)
	if log = g.Log(); !strings.Contains(log, `"code":"ValidationException"`) {
		t.Errorf("no refusal in %s", log)
	}
	for _, never := range []string{"secretive", controlplanetest.Secret, "Signature="} {
		if strings.Contains(log, never) {
			t.Errorf("the log holds %q", never)
		}
	}
}

func TestGetCallerIdentity(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	out, err := g.STS.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.Account) != controlplanetest.Account || aws.ToString(out.UserId) != controlplanetest.AccessKeyID ||
		aws.ToString(out.Arn) != "arn:aws:iam::000000000000:user/default" {
		t.Errorf("got %s %s %s", aws.ToString(out.Account), aws.ToString(out.UserId), aws.ToString(out.Arn))
	}
}

func TestOperations(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	all := g.Server.Operations()
	find := func(service, name string) controlplane.OperationStatus {
		i := slices.IndexFunc(all, func(o controlplane.OperationStatus) bool { return o.Service == service && o.Name == name })
		if i < 0 {
			t.Fatalf("no %s of %s", name, service)
		}
		return all[i]
	}
	if !find("apigateway", "CreateRestApi").Built || !find("acm", "ImportCertificate").Built || !find("sts", "GetCallerIdentity").Built {
		t.Error("a built operation is listed as not built")
	}
	if find("apigateway", "GetApiKeys").Built || find("apigatewayv2", "CreateStage").Built {
		t.Error("an operation that is not built is listed as built")
	}
	if !slices.IsSortedFunc(all, func(a, b controlplane.OperationStatus) int {
		return strings.Compare(a.Service+"."+a.Name, b.Service+"."+b.Name)
	}) {
		t.Error("not in order")
	}
}

// FuzzServeHTTP sends strangers' requests, signed or not: whatever comes, the
// answer is typed, and what is not signed changes nothing.
func FuzzServeHTTP(f *testing.F) {
	f.Add("POST", "/restapis", "apigateway", "", `{"name":"a"}`, true)
	f.Add("PATCH", "/restapis/a%2Fb", "apigateway", "", `{"patchOperations":[{"op":"replace","path":"/name","value":"x"}]}`, true)
	f.Add("DELETE", "/tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Frestapis%2Fx?tagKeys=a", "apigateway", "", "", true)
	f.Add("GET", "/domainnames/%00/basepathmappings/%28none%29?limit=-1&position=%2F", "apigateway", "", "", true)
	f.Add("POST", "/", "acm", "CertificateManager.ImportCertificate", `{"Certificate":"LS0t","PrivateKey":"LS0t"}`, true)
	f.Add("POST", "/", "sts", "", "Action=GetCallerIdentity&Version=2011-06-15", true)
	f.Add("POST", "/restapis", "apigateway", "", `{"name":"a"}`, false)
	g := controlplanetest.Start(f, nil)
	f.Fuzz(func(t *testing.T, method, path, service, target, body string, signed bool) {
		r, err := http.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		r.Host, r.RequestURI = "127.0.0.1", path
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		if signed {
			sigv4.Sign(r, []byte(body), sigv4.Credentials{AccessKeyID: controlplanetest.AccessKeyID, SecretAccessKey: controlplanetest.Secret}, controlplanetest.Region, service, time.Now())
		}
		before := g.Revision(t)
		w := httptest.NewRecorder()
		w.Body = new(bytes.Buffer)
		g.Server.ServeHTTP(w, r)
		if w.Header().Get("X-Amzn-Requestid") == "" {
			t.Error("no request id")
		}
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s\n%s", method, path, w.Code, w.Body, g.Log())
		}
		if w.Code >= 400 {
			if code := w.Header().Get("X-Amzn-Errortype"); code == "" {
				t.Errorf("%s %s: untyped %d", method, path, w.Code)
			}
		}
		if after := g.Revision(t); after != before && (w.Code >= 400 || !signed) {
			t.Errorf("%s %s: %d, but the store went from %d to %d", method, path, w.Code, before, after)
		}
	})
}

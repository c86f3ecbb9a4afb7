package pipeline

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// The default gateway responses, byte for byte.
func TestGatewayResponses(t *testing.T) {
	for _, test := range []struct {
		kind responseType
		body string
	}{
		{forbidden, `{"message":"Forbidden"}`},
		{missingAuthenticationToken, `{"message":"Missing Authentication Token"}`},
		{accessDenied, `{"Message":"User is not authorized to access this resource with an explicit deny"}`},
		{apiConfigurationError, `{"message": "Internal server error"}`},
		{default5XX, `{"message": "Internal server error"}`},
		{integrationFailure, `{"message": "Network error communicating with endpoint"}`},
		{integrationTimeout, `{"message": "Endpoint request timed out"}`},
		{requestTooLarge, `{"message":"HTTP content length exceeded 10485760 bytes"}`},
		{unsupportedMediaType, `{"message": "Unsupported Media Type"}`},
	} {
		if got := string(newFault(test.kind, "").body()); got != test.body {
			t.Errorf("%s: %s, want %s", gatewayResponses[test.kind].name, got, test.body)
		}
	}
	for kind := forbidden; kind <= overloaded; kind++ {
		if row := gatewayResponses[kind]; row.status == 0 || row.message == "" || row.errorType == "" || row.member == "" {
			t.Errorf("kind %d has no full row", kind)
		}
	}
}

// Where a request ends before its integration.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	seen := 0
	backend := w.backend(func(http.ResponseWriter, *http.Request) { seen++ })
	w.route("/pets", "GET", proxyTo(backend))
	w.route("/guarded", "GET", proxyTo(backend)).Refused = "authorization type AWS_IAM"
	w.route("/empty", "GET", nil)
	stage := *w.stage()
	stage.Name, stage.Refused = "closed", "API key source"
	w.apis["abc"].Stages["closed"] = &stage
	disabled := *w.stage()
	disabled.Name, disabled.DisableDefaultEndpoint = "hidden", true
	w.apis["abc"].Stages["hidden"] = &disabled
	w.names["guarded.example.com"] = &snapshot.Name{Host: "guarded.example.com", Policy: w.fallback.Policy, Endpoints: snapshot.Regional, Refused: "mutual TLS"}
	w.names[domain].Mappings = []snapshot.Mapping{{BasePath: "v1/shop", API: "abc", Stage: "prod"}, {BasePath: "v1", API: "abc"}, {BasePath: "gone", API: "zzz", Stage: "prod"}, {BasePath: "h", API: "abc", Stage: "hidden"}}
	const token, forbid = "MissingAuthenticationTokenException", "ForbiddenException"
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, test := range []struct {
			host, target string
			status       int
			errorType    string
		}{
			{testHost, "/prod/pets", 200, ""},
			{testHost, "/prod/pets/", 200, ""},
			{"unknown.example.com", "/prod/pets", 403, forbid},
			{testHost, "/", 403, forbid},
			{testHost, "/nostage/pets", 403, forbid},
			{testHost, "/Prod/pets", 403, forbid},
			{testHost, "/%70rod/pets", 403, forbid},
			{testHost, "/prod", 403, token},
			{testHost, "/prod/none", 403, token},
			{testHost, "/prod/Pets", 403, token},
			{testHost, "/prod/pets/x", 403, token},
			{testHost, "/prod/../prod/pets", 400, "BadRequestException"},
			{testHost, "/prod/%2e%2e/pets", 400, "BadRequestException"},
			{testHost, "/prod/guarded", 403, forbid},
			{testHost, "/prod/empty", 500, "InternalServerErrorException"},
			{testHost, "/closed/pets", 403, forbid},
			{testHost, "/hidden/pets", 403, forbid},
			{testHost, "/ping", 403, forbid}, // reserved on custom domains only
			{domain, "/h/pets", 200, ""},
			{domain, "/v1/shop/pets", 200, ""},
			{domain, "/v1/%73hop/pets", 200, ""},
			{domain, "/v1/prod/pets", 200, ""},
			{domain, "/v1", 403, forbid},
			{domain, "/v1shop/pets", 403, forbid},
			{domain, "/V1/prod/pets", 403, forbid},
			{domain, "/pets", 403, forbid},
			{domain, "/", 403, forbid},
			{domain, "/gone/pets", 403, forbid},
			{domain, "/ping", 200, ""},
			{domain, "/sping", 200, ""},
			{"guarded.example.com", "/ping", 403, forbid},
			{"guarded.example.com", "/", 403, forbid},
		} {
			before := seen
			got := w.call(c, "GET", test.host, test.target, nil)
			if got.StatusCode != test.status || got.Header.Get("x-amzn-ErrorType") != test.errorType {
				t.Errorf("%s%s: %d %s %s, want %d %s", test.host, test.target, got.StatusCode, got.Header.Get("x-amzn-ErrorType"), got.body, test.status, test.errorType)
			}
			if got.Header.Get("x-amzn-RequestId") == "" || got.Header.Get("x-amz-apigw-id") == "" {
				t.Errorf("%s: no ids", test.target)
			}
			if test.errorType != "" && (got.Header.Get("Content-Type") != "application/json" || seen != before) {
				t.Errorf("%s: content type %q, backend asked: %v", test.target, got.Header.Get("Content-Type"), seen != before)
			}
		}
	})
}

func TestRequestID(t *testing.T) {
	w := newWorld(t)
	c := w.client(false)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(_REPLACED_INVALID_REQUEST_ID)?$`)
	for _, test := range []struct{ sent, want string }{
		{"", ""},
		{"0f0e0d0c-0b0a-4908-8706-050403020100", "0f0e0d0c-0b0a-4908-8706-050403020100"},
		{"nonsense", "_REPLACED_INVALID_REQUEST_ID"},
		{"0f0e0d0c-0b0a-4908-8706-05040302010g", "_REPLACED_INVALID_REQUEST_ID"},
	} {
		var h []string
		if test.sent != "" {
			h = []string{"x-amzn-requestid", test.sent, "x-amz-apigw-id", "chosen"}
		}
		got := w.call(c, "GET", testHost, "/", nil, h...)
		id, extended := got.Header.Get("x-amzn-RequestId"), got.Header.Get("x-amz-apigw-id")
		if !strings.HasSuffix(id, test.want) || id != test.sent && !uuid.MatchString(id) {
			t.Errorf("%q: request id %q", test.sent, id)
		}
		if len(extended) != 16 || !strings.HasSuffix(extended, "=") || extended == "chosen" {
			t.Errorf("extended request id %q", extended)
		}
	}
}

func mustPolicy(t *testing.T, doc string) *resource.Policy {
	t.Helper()
	p, err := resource.ParsePolicy(doc, "arn:aws:execute-api:us-east-1:123456789012:abc")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResourcePolicy(t *testing.T) {
	w := newWorld(t)
	backend := w.backend(func(http.ResponseWriter, *http.Request) {})
	w.route("/{proxy+}", "ANY", proxyTo(backend+"/{proxy}", mapping("path", "proxy", "path", "proxy")))
	const allowAll = `{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}`
	statements := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }
	deny := statements(allowAll + `,{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/prod/*/admin*"}`)
	only := statements(`{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/pets/*"}`)
	vpce := statements(`{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}}`)
	other := strings.Replace(vpce, "vpce-1", "vpce-2", 1)
	const implicit = `{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********9012:abc/prod/GET/x"}`
	const explicit = `{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********9012:abc/prod/GET/admin with an explicit deny"}`
	for _, test := range []struct {
		doc     string // "": none
		private bool
		path    string
		status  int
		body    string
	}{
		{"", false, "/x", 200, ""},
		{"", true, "/x", 403, implicit},
		{statements(allowAll), false, "/x", 200, ""},
		{statements(allowAll), true, "/x", 200, ""},
		{vpce, true, "/x", 200, ""},
		{other, true, "/x", 403, implicit},
		{vpce, false, "/x", 403, implicit},
		{deny, false, "/x", 200, ""},
		{deny, false, "/admin", 403, explicit},
		{deny, false, "/admin/", 403, ""},
		{deny, false, "/%61dmin", 403, ""},
		{deny, false, "//admin", 403, ""},
		{deny, false, "/ADMIN", 403, ""},
		{deny, false, "/;x/admin", 403, ""},
		{deny, false, "/%2Fadmin", 403, ""},
		{deny, false, "/%5Cadmin", 403, ""},
		{deny, false, `/\admin`, 403, ""},
		{strings.Replace(deny, "admin", "Admin", 1), false, "/admin", 403, ""},
		{strings.Replace(deny, "admin", "Admin", 1), false, "/x", 200, ""},
		{only, false, "/pets/1", 200, ""},
		{only, false, "/pets/a%20b", 200, ""},
		{only, false, "/pets%2F1", 403, ""},
		{only, false, "/toys/1", 403, ""},
		{"", false, "/" + strings.Repeat("a", 1600), 414, ""},
	} {
		w.stage().Policy = nil
		if test.doc != "" {
			w.stage().Policy = mustPolicy(t, test.doc)
		}
		w.listener, w.names[testHost].Endpoints = "REGIONAL", snapshot.Regional
		w.apis["abc"].Private = test.private
		if test.private {
			w.listener, w.names[testHost].Endpoints = "PRIVATE", snapshot.Private
		}
		got := w.call(w.client(false), "GET", testHost, "/prod"+test.path, nil)
		if got.StatusCode != test.status || test.body != "" && got.body != test.body {
			t.Errorf("%s private %v %.40s: %d %s, want %d %s", test.doc, test.private, test.path, got.StatusCode, got.body, test.status, test.body)
		}
	}
}

// A body is refused by its declared length, or cut off where it grows too long.
func TestBodySize(t *testing.T) {
	w := newWorld(t)
	read := make(chan int64, 10)
	backend := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		read <- n
	})
	w.route("/up", "POST", proxyTo(backend))
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, test := range []struct {
			size    int64
			chunked bool
			status  int
		}{
			{0, false, 200}, {5, false, 200}, {5, true, 200}, {maxBody, false, 200}, {maxBody, true, 200}, {maxBody + 1, true, 413},
		} {
			var body io.Reader = io.LimitReader(zeros{}, test.size)
			req, err := http.NewRequest("POST", "https://"+testHost+"/prod/up", body)
			if err != nil {
				t.Fatal(err)
			}
			if !test.chunked {
				req.ContentLength = test.size
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Errorf("%d bytes, chunked %v: %v", test.size, test.chunked, err)
				continue
			}
			b, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != test.status {
				t.Errorf("%d bytes, chunked %v: %d %s", test.size, test.chunked, resp.StatusCode, b)
			}
			if n := <-read; test.status == 200 && n != test.size || n > maxBody {
				t.Errorf("%d bytes, chunked %v: backend read %d", test.size, test.chunked, n)
			}
		}
		// A declared length too long: answered at once, nothing is read.
		req, _ := http.NewRequest("POST", "https://"+testHost+"/prod/up", io.LimitReader(zeros{}, maxBody+1))
		req.ContentLength = maxBody + 1
		req.Header.Set("Expect", "100-continue")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 || string(b) != `{"message":"HTTP content length exceeded 10485760 bytes"}` {
			t.Errorf("declared: %d %s", resp.StatusCode, b)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A panic costs one request.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	line := w.accessLog("$context.status $context.error.responseType")
	w.route("/bad", "GET", &snapshot.Integration{Type: snapshot.Mock, RequestTemplates: map[string]string{"application/json": `{"statusCode":200}`},
		Responses: []snapshot.IntegrationResponse{{Status: 200, Pattern: new(regexp.Regexp)}}}) // a zero Regexp panics
	w.route("/good", "GET", mockOf(200))
	c := w.client(false)
	got := w.call(c, "GET", testHost, "/prod/bad", nil)
	if got.StatusCode != 500 || got.body != `{"message": "Internal server error"}` {
		t.Errorf("panic: %d %s", got.StatusCode, got.body)
	}
	if got := line(); got != "500 API_CONFIGURATION_ERROR" {
		t.Errorf("access log %q", got)
	}
	if got := w.call(c, "GET", testHost, "/prod/good", nil); got.StatusCode != 200 {
		t.Errorf("the next request: %d %s", got.StatusCode, got.body)
	}
}

// One line per request whose stage was found, errors included.
func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	backend := w.backend(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(418); io.WriteString(rw, "tea") })
	w.route("/pets/{id}", "GET", proxyTo(backend))
	line := w.accessLog("$context.httpMethod $context.path $context.resourcePath $context.resourceId $context.status $context.responseLength $context.protocol " +
		"$context.tlsVersion $context.cipherSuite $context.identity.sourceIp $context.accountId $context.apiId $context.stage $context.deploymentId $context.endpointType " +
		"$context.domainName $context.domainPrefix $context.integrationStatus $context.error.message $context.error.responseType $context.identity.userAgent")
	w.both(t, func(t *testing.T, c *http.Client) {
		const tail = " HTTP/1.1 TLSv1.3 TLS_AES_128_GCM_SHA256 127.0.0.1 123456789012 abc prod dep1 REGIONAL " + testHost + " abc "
		w.call(c, "GET", testHost, "/prod/pets/1?q=1", nil, "User-Agent", "me\"\\")
		if got, want := line(), `GET /prod/pets/1 /pets/{id} res1 418 3`+tail+`418 - - me\x22\x5c`; got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		w.call(c, "GET", testHost, "/prod/none", nil, "User-Agent", "me")
		if got, want := line(), `GET /prod/none - - 403 42`+tail+`- Missing Authentication Token MISSING_AUTHENTICATION_TOKEN me`; got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		w.call(c, "HEAD", testHost, "/prod/none", nil, "User-Agent", "me")
		if got := line(); !strings.HasPrefix(got, "HEAD /prod/none - - 403 0 ") {
			t.Errorf("HEAD: %s", got)
		}
		w.call(c, "GET", testHost, "/nostage/pets/1", nil)
		if got := line(); got != "" {
			t.Errorf("no stage, yet logged: %s", got)
		}
	})
	line = w.accessLog(`[$context.requestTime] $context.requestTimeEpoch $context.responseLatency $context.integrationLatency $context.requestId $context.extendedRequestId`)
	w.call(w.client(false), "GET", testHost, "/prod/pets/1", nil)
	if got := line(); !regexp.MustCompile(`^\[\d\d/[A-Z][a-z][a-z]/20\d\d:\d\d:\d\d:\d\d \+0000\] \d{13} \d+ \d+ [0-9a-f-]{36} [A-Za-z0-9_-]{15}=$`).MatchString(got) {
		t.Errorf("times: %s", got)
	}
}

func TestSteps(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range steps {
		if s.name == "" || seen[s.name] || s.do == nil {
			t.Errorf("step %q", s.name)
		}
		seen[s.name] = true
	}
}

func TestQuietLogIsBounded(t *testing.T) {
	now := time.Now()
	q := newQuietLog(New(Options{}).options.Log, func() time.Time { return now })
	for i := range maxSaid * 3 {
		q.warn("x", strings.Repeat("y", i%5000))
	}
	if len(q.said) > maxSaid {
		t.Errorf("%d entries", len(q.said))
	}
}

// Bodies that must be held whole take from what all requests may keep; where
// nothing is left the answer is 503, and the memory comes back.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	w.p.memory.limit = 256 << 10
	asked := make(chan bool, 10)
	backend := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		asked <- true
		io.Copy(io.Discard, r.Body)
		io.WriteString(rw, `{"a":"`+strings.Repeat("x", len(r.URL.RawQuery)*1000)+`"}`)
	})
	w.route("/up", "POST", proxyTo(backend, mapping("header", "A", "body", "$.a")))
	w.route("/down", "GET", &snapshot.Integration{Type: snapshot.HTTP, HTTPMethod: "GET", URI: segments(backend), Timeout: 5 * time.Second,
		RequestParameters: []snapshot.ParameterMapping{mapping("querystring", "q", "querystring", "q")},
		MethodResponses:   map[int]snapshot.MethodResponse{200: {}},
		Responses:         []snapshot.IntegrationResponse{{Status: 200, Parameters: []snapshot.ParameterMapping{mapping("header", "Length", "integration.body", "$.b")}}}})
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, test := range []struct {
			method, target string
			size, status   int
			asked          bool
		}{
			{"POST", "/prod/up", 1 << 10, 200, true},
			{"POST", "/prod/up", 30 << 10, 503, false}, // to be parsed
			{"POST", "/prod/up", 1 << 20, 503, false},  // to be held
			{"POST", "/prod/up", 2 << 10, 200, true},
			{"GET", "/prod/down?q=1", 0, 200, true},
			{"GET", "/prod/down?q=" + strings.Repeat("1", 400), 0, 503, true},
		} {
			var body io.Reader
			if test.size > 0 {
				body = strings.NewReader(`{"a":"` + strings.Repeat("x", 100) + `","b":"` + strings.Repeat("x", test.size) + `"}`)
			}
			for len(w.handled) > 0 {
				<-w.handled
			}
			got := w.call(c, test.method, testHost, test.target, body)
			if got.StatusCode != test.status || test.status == 503 && got.body != `{"message":"Service Unavailable"}` {
				t.Errorf("%s %.20s, %d bytes: %d %s, want %d", test.method, test.target, test.size, got.StatusCode, got.body, test.status)
			}
			<-w.handled
			if used := w.p.memory.used.Load(); used != 0 {
				t.Errorf("%s %.20s, %d bytes: %d bytes stay taken", test.method, test.target, test.size, used)
			}
			if got := len(asked) == 1; got != test.asked {
				t.Errorf("%s %.20s, %d bytes: backend asked %v, want %v", test.method, test.target, test.size, got, test.asked)
			}
			for len(asked) > 0 {
				<-asked
			}
		}
	})
}

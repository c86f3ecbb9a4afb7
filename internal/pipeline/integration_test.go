package pipeline

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

func mockOf(status int) *snapshot.Integration {
	return &snapshot.Integration{Type: snapshot.Mock, Passthrough: "WHEN_NO_MATCH", RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`},
		Responses: []snapshot.IntegrationResponse{{Status: status}}, MethodResponses: map[int]snapshot.MethodResponse{status: {}}}
}

// What a backend sees of a proxied request.
func TestProxyRequest(t *testing.T) {
	w := newWorld(t)
	var got *http.Request
	var body string
	backend := w.backend(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
	})
	w.stage().Variables = map[string]string{"backend": backend, "v": "v2"}
	proxy := mapping("path", "proxy", "path", "proxy")
	w.route("/a/{proxy+}", "ANY", proxyTo(backend+"/base/{proxy}", proxy))
	w.route("/var/{proxy+}", "ANY", proxyTo("${stageVariables.backend}/${stageVariables.v}/{proxy}?fixed=1", proxy))
	w.route("/map/{id}", "ANY", proxyTo(backend+"/{who}/{id}",
		mapping("path", "id", "path", "id"), mapping("path", "who", "querystring", "who"),
		mapping("header", "X-Static", "static", "s"), mapping("header", "X-Stage", "stageVariable", "v"), mapping("header", "X-From-Body", "body", "$.user.name"),
		mapping("header", "X-Api", "context", "apiId"), mapping("header", "X-Forwarded-For", "header", "X-Spoof"), mapping("header", "Connection", "static", "X-Static"),
		mapping("querystring", "q", "header", "X-Q"), mapping("querystring", "all", "multivalueheader", "X-Q")))
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, test := range []struct{ target, want string }{
			{"/prod/a/x/y", "/base/x/y"},
			{"/prod/a/x%2Fy/%7e%C3%a4/", "/base/x%2Fy/%7e%C3%a4/"}, // as it was authorized
			{"/prod/a/x?b=2&a=%20&a=1&&c", "/base/x?b=2&a=%20&a=1&&c"},
			{"/prod/a/x//y", "/base/x//y"},
			{"/prod/var/x?y", "/v2/x?fixed=1&y"},
			{"/prod/map/7?who=a/b%3F%23%20c&q=old&r=1", "/a%2Fb%3F%23%20c/7?who=a/b%3F%23%20c&r=1&q=second%26%3D&all=first&all=second%26%3D"},
		} {
			a := w.call(c, "PUT", testHost, test.target, strings.NewReader(`{"user":{"name":"jo"}}`), "X-Q", "first", "X-Q", "second&=", "X-Spoof", "10.0.0.1")
			if a.StatusCode != 200 || got.RequestURI != test.want || got.Method != "PUT" || body != `{"user":{"name":"jo"}}` {
				t.Errorf("%s: %d, backend saw %s %s %q, want %s", test.target, a.StatusCode, got.Method, got.RequestURI, body, test.want)
			}
		}
		for name, want := range map[string]string{"X-Static": "s", "X-Stage": "v2", "X-From-Body": "jo", "X-Api": "abc", "X-Forwarded-For": "127.0.0.1"} {
			if v := got.Header[name]; !slices.Equal(v, []string{want}) {
				t.Errorf("%s: %q, want %q", name, v, want)
			}
		}
		for _, bad := range []string{"/prod/map/7?who=..", "/prod/map/7?who=a/../b", "/prod/map/7?who=..%5Cb", "/prod/map/7?who=%00"} {
			if a := w.call(c, "GET", testHost, bad, nil); a.StatusCode != 400 {
				t.Errorf("%s: %d", bad, a.StatusCode)
			}
		}
		if a := w.call(c, "GET", testHost, "/prod/map/7", nil); a.StatusCode != 500 {
			t.Errorf("parameter without a value: %d", a.StatusCode)
		}
	})
}

// Only the gateway says who asked, however a client spells it.
func TestIdentityHeaders(t *testing.T) {
	w := newWorld(t)
	var got http.Header
	var host string
	backend := w.backend(func(_ http.ResponseWriter, r *http.Request) { got, host = r.Header, r.Host })
	w.route("/", "GET", proxyTo(backend))
	_, port, _ := net.SplitHostPort(w.addr)
	w.both(t, func(t *testing.T, c *http.Client) {
		spoofs := []string{"X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X-Forwarded_For", "x-Forwarded.proto", "X-FORWARDED-HOST", "Forwarded", "X-Real-IP", "x_real_ip",
			"X-Amzn-Apigateway-Api-Id", "x_amzn_apigateway_api_id", "x-amzn-vpce-id", "X-Amzn-Trace-Id", "x-amz-apigw-id", "True-Client-IP"}
		h := []string{"X-Kept", "1", "x_kept", "2", "Cookie", "a=b", "Authorization", "secret", "X-Amz-Date", "3", "Te", "trailers"}
		if c.Transport.(*http.Transport).Protocols.HTTP1() {
			h = append(h, "Connection", "x-hop, X-Forwarded-For, x-amzn-apigateway-api-id", "X-Hop", "1", "Keep-Alive", "1", "Proxy-Authorization", "x")
		}
		for _, name := range spoofs {
			h = append(h, name, "spoof")
		}
		w.call(c, "GET", testHost, "/prod", nil, h...)
		for name, values := range got {
			if slices.Contains(values, "spoof") {
				t.Errorf("%s came through", name)
			}
		}
		for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Port": port, "X-Forwarded-Proto": "https", "X-Amzn-Apigateway-Api-Id": "abc",
			"X-Kept": "1", "Cookie": "a=b", "Authorization": "secret", "X-Amz-Date": "3", "X-Hop": "", "Keep-Alive": "", "Te": "", "Proxy-Authorization": "", "Accept-Encoding": ""} {
			if v := strings.Join(got.Values(name), "|"); v != want {
				t.Errorf("%s: %q, want %q", name, v, want)
			}
		}
		if !strings.HasPrefix(host, "localhost:") {
			t.Errorf("Host %q", host)
		}
		w.call(c, "GET", testHost, "/prod", nil, "User-Agent", "")
		if v := got.Get("User-Agent"); v != "AmazonAPIGateway_abc" {
			t.Errorf("User-Agent %q", v)
		}
	})
}

func TestProxyResponse(t *testing.T) {
	w := newWorld(t)
	backend := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Server", "mine")
		h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
		h.Set("WWW-Authenticate", "Basic")
		h.Set("X-Amzn-Requestid", "spoof")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h.Set("Location", "/else")
		if r.URL.Path == "/none" {
			rw.WriteHeader(204)
			return
		}
		rw.WriteHeader(307)
		io.WriteString(rw, "moved")
	})
	w.route("/{proxy+}", "ANY", proxyTo(backend+"/{proxy}", mapping("path", "proxy", "path", "proxy")))
	w.both(t, func(t *testing.T, c *http.Client) {
		for _, test := range []struct {
			method, path string
			status       int
			body         string
		}{{"GET", "/prod/x", 307, "moved"}, {"HEAD", "/prod/x", 307, ""}, {"POST", "/prod/x", 307, "moved"}, {"GET", "/prod/none", 204, ""}, {"OPTIONS", "/prod/x", 307, "moved"}} {
			a := w.call(c, test.method, testHost, test.path, nil)
			if a.StatusCode != test.status || a.body != test.body {
				t.Errorf("%s %s: %d %q", test.method, test.path, a.StatusCode, a.body)
			}
			if a.Header.Get("X-Hop") != "" || a.Header.Get("Server") != "" || a.Header.Get("x-amzn-Remapped-Server") != "mine" || a.Header.Get("x-amzn-Remapped-WWW-Authenticate") != "Basic" ||
				a.Header.Get("x-amzn-Remapped-Date") == "" || len(a.Header["Set-Cookie"]) != 2 || len(a.Header["X-Amzn-Requestid"]) != 1 || a.Header.Get("X-Amzn-Requestid") == "spoof" {
				t.Errorf("%s: headers %v", test.method, a.Header)
			}
		}
	})
}

// What clients and access logs are told when a backend fails.
func TestBackendFaults(t *testing.T) {
	w := newWorld(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	slow := w.backend(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	closes := w.backend(func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	selfsigned := w.backendWith(selfSigned(t, "localhost"), func(http.ResponseWriter, *http.Request) { t.Error("a request reached the untrusted backend") })
	skipped := w.backendWith(selfSigned(t, "localhost"), func(http.ResponseWriter, *http.Request) {})
	wrong := w.backendWith(func() tls.Certificate { // trusted, for another name
		c := selfSigned(t, "other.example.com")
		w.roots.AddCert(c.Leaf)
		return c
	}(), nil)
	const (
		pkix    = "Execution failed due to configuration error: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target"
		network = "Execution failed due to a network error communicating with endpoint"
	)
	internal, failed, timedOut := `{"message": "Internal server error"}`, `{"message": "Network error communicating with endpoint"}`, `{"message": "Endpoint request timed out"}`
	line := w.accessLog("$context.status|$context.error.responseType|$context.integration.error|$context.integrationStatus|$context.integration.requestId")
	c := w.client(false)
	for i, test := range []struct {
		backend string
		skip    bool
		status  int
		body    string
		log     string
	}{
		{selfsigned, false, 500, internal, "500|DEFAULT_5XX|" + pkix + "|-|-"},
		{skipped, true, 200, "", "200|-|-|200|-"},
		{wrong, false, 500, internal, "500|DEFAULT_5XX|Execution failed due to configuration error: Host name 'localhost' does not match the certificate subject provided by the peer (CN=test)|-|-"},
		{"http://169.254.169.254", false, 500, internal, "500|DEFAULT_5XX|Execution failed due to configuration error: Invalid endpoint address|-|-"},
		{"https://${stageVariables.missing}", false, 500, internal, "500|API_CONFIGURATION_ERROR|Execution failed due to configuration error: Invalid endpoint address|-|-"},
		{strings.Replace(plain.URL, "http:", "https:", 1), false, 500, internal, "500|DEFAULT_5XX|Execution failed due to configuration error: Unsupported or unrecognized SSL message|-|-"},
		{"http://no-such-name.invalid", false, 504, failed, "504|INTEGRATION_FAILURE|" + network + "|-|-"},
		{closes, false, 504, failed, "504|INTEGRATION_FAILURE|" + network + ": Connection is closed|-|-"},
		{slow, false, 504, timedOut, "504|INTEGRATION_TIMEOUT|Execution failed due to a timeout error|-|-"},
	} {
		in := proxyTo(test.backend)
		in.InsecureSkipVerification = test.skip
		if in.Timeout = 3 * time.Second; test.backend == slow {
			in.Timeout = 50 * time.Millisecond
		}
		w.route("/f", "GET", in)
		got := w.call(c, "GET", testHost, "/prod/f", nil)
		if got.StatusCode != test.status || got.body != test.body {
			t.Errorf("%d: %d %s, want %d %s", i, got.StatusCode, got.body, test.status, test.body)
		}
		if l := line(); l != test.log {
			t.Errorf("%d: access log\n got %s\nwant %s", i, l, test.log)
		}
	}
}

// Half an answer never looks whole.
func TestBrokenBody(t *testing.T) {
	w := newWorld(t)
	for _, length := range []string{"10", "100000", ""} {
		backend := w.backend(func(rw http.ResponseWriter, _ *http.Request) {
			if length != "" {
				rw.Header().Set("Content-Length", length)
			}
			io.WriteString(rw, "half")
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		w.route("/", "GET", proxyTo(backend))
		w.both(t, func(t *testing.T, c *http.Client) {
			resp, err := c.Get("https://" + testHost + "/prod")
			if err != nil {
				return // also fine: the head was not through yet
			}
			defer resp.Body.Close()
			if resp.StatusCode == 504 && length == "10" {
				return // short enough to be read before it is answered
			}
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("length %q: %q without an error", length, b)
			}
		})
	}
}

func TestCustomIntegration(t *testing.T) {
	w := newWorld(t)
	var got *http.Request
	var body string
	backend := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		rw.Header().Set("X-Out", "out")
		rw.Header().Set("X-Hidden", "hidden")
		rw.Header().Set("Content-Type", "text/plain")
		rw.WriteHeader(map[string]int{"/404": 404, "/503": 503}[r.URL.Path] + 200*btoi(r.URL.Path == "/200"))
		io.WriteString(rw, `{"id":"42","n":[1,2]}`)
	})
	in := &snapshot.Integration{
		Type: snapshot.HTTP, HTTPMethod: "POST", URI: segments(backend + "/{s}"), Timeout: 5 * time.Second, Passthrough: "WHEN_NO_TEMPLATES",
		RequestTemplates: map[string]string{"application/json": `{"fixed":true}`},
		RequestParameters: []snapshot.ParameterMapping{
			mapping("path", "s", "path", "s"), mapping("querystring", "in", "querystring", "q"), mapping("header", "X-In", "header", "X-Mapped")},
		Responses: []snapshot.IntegrationResponse{
			{Status: 400, Pattern: regexp.MustCompile(`\A(?:4\d{2})\z`), Templates: map[string]string{"text/x": "as text", "application/json": `{"as":"json"}`}},
			{Status: 201, Pattern: regexp.MustCompile(`\A(?:200)\z`), Parameters: []snapshot.ParameterMapping{
				mapping("header", "X-Mapped-Out", "integration.header", "X-Out"), mapping("header", "X-Id", "integration.body", "$.id"),
				mapping("header", "X-N", "integration.body", "n[1]"), mapping("header", "X-Static", "static", "s"), mapping("header", "X-Stage", "context", "stage")}},
			{Status: 500},
		},
		MethodResponses: map[int]snapshot.MethodResponse{201: {}, 400: {}},
	}
	w.route("/{s}", "ANY", in)
	w.both(t, func(t *testing.T, c *http.Client) {
		a := w.call(c, "PUT", testHost, "/prod/200?q=a%20b&other=1", strings.NewReader("mine"), "Content-Type", "application/json; charset=utf-8", "X-Mapped", "m", "X-Other", "o", "Cookie", "c")
		if got.Method != "POST" || got.RequestURI != "/200?in=a%20b" || body != `{"fixed":true}` || got.Header.Get("X-In") != "m" || got.Header.Get("X-Other") != "" || got.Header.Get("Cookie") != "" ||
			got.Header.Get("User-Agent") != "AmazonAPIGateway_abc" || got.Header.Get("X-Amzn-Apigateway-Api-Id") != "abc" {
			t.Errorf("backend saw %s %s %v %q", got.Method, got.RequestURI, got.Header, body)
		}
		if a.StatusCode != 201 || a.body != `{"id":"42","n":[1,2]}` || a.Header.Get("X-Mapped-Out") != "out" || a.Header.Get("X-Id") != "42" || a.Header.Get("X-N") != "2" ||
			a.Header.Get("X-Static") != "s" || a.Header.Get("X-Stage") != "prod" || a.Header.Get("X-Hidden") != "" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("answer %d %q %v", a.StatusCode, a.body, a.Header)
		}
		if a := w.call(c, "POST", testHost, "/prod/404", nil); a.StatusCode != 400 || a.body != `{"as":"json"}` || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("by pattern: %d %q", a.StatusCode, a.body)
		}
		if a := w.call(c, "POST", testHost, "/prod/404", nil, "Accept", "text/html, text/x;q=0.5"); a.body != "as text" || a.Header.Get("Content-Type") != "text/x" {
			t.Errorf("by Accept: %q %v", a.body, a.Header)
		}
		if a := w.call(c, "POST", testHost, "/prod/503", nil); a.StatusCode != 500 || a.body != `{"message": "Internal server error"}` {
			t.Errorf("default without its method response: %d %q", a.StatusCode, a.body)
		}
		if a := w.call(c, "POST", testHost, "/prod/200", strings.NewReader("x"), "Content-Type", "text/plain"); a.StatusCode != 415 || a.body != `{"message": "Unsupported Media Type"}` {
			t.Errorf("no template for the type: %d %q", a.StatusCode, a.body)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Source of the behaviours: developer guide, integration passthrough behaviors.
func TestPassthrough(t *testing.T) {
	e := new(exchange)
	templates := map[string]string{"application/json": "T"}
	for _, test := range []struct {
		passthrough string
		templates   map[string]string
		contentType string
		matched     bool
		refused     bool
	}{
		{"WHEN_NO_MATCH", nil, "application/json", false, false},
		{"WHEN_NO_MATCH", templates, "application/json", true, false},
		{"WHEN_NO_MATCH", templates, "text/plain", false, false},
		{"WHEN_NO_TEMPLATES", nil, "text/plain", false, false},
		{"WHEN_NO_TEMPLATES", templates, "application/json", true, false},
		{"WHEN_NO_TEMPLATES", templates, "text/plain", false, true},
		{"NEVER", nil, "application/json", false, true},
		{"NEVER", templates, "application/json", true, false},
		{"NEVER", templates, "text/plain", false, true},
		{"NEVER", templates, "", true, false}, // no content type counts as JSON
	} {
		_, matched, f := e.requestTemplate(&snapshot.Integration{Passthrough: test.passthrough, RequestTemplates: test.templates}, mediaType(test.contentType))
		if matched != test.matched || (f != nil) != test.refused {
			t.Errorf("%+v: matched %v, fault %v", test, matched, f)
		}
	}
}

func TestMock(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		template string // "": none, the body passes through
		body     string
		status   int
		want     string
	}{
		{`{"statusCode": 200}`, "", 200, "ok"},
		{`{statusCode: 200}`, "", 200, "ok"},
		{`{"statusCode": "200"}`, "", 200, "ok"},
		{`{"statusCode": 404}`, "", 404, ""},
		{`{"statusCode": 500}`, "", 500, `{"message": "Internal server error"}`}, // nothing for it
		{`{}`, "", 500, `{"message": "Internal server error"}`},
		{`{"statusCode": "x"}`, "", 500, `{"message": "Internal server error"}`},
		{"", "", 500, `{"message": "Internal server error"}`},
		{"", `{"statusCode": 200}`, 200, "ok"},
	} {
		in := &snapshot.Integration{Type: snapshot.Mock, Passthrough: "WHEN_NO_MATCH",
			Responses: []snapshot.IntegrationResponse{
				{Status: 200, Pattern: regexp.MustCompile(`\A200\z`), Templates: map[string]string{"application/json": "ok"}, Parameters: []snapshot.ParameterMapping{
					mapping("header", "Access-Control-Allow-Origin", "static", "*"), mapping("header", "X-Request", "context", "requestId"), mapping("header", "x-amzn-RequestId", "static", "mine")}},
				{Status: 404, Pattern: regexp.MustCompile(`\A404\z`)},
			},
			MethodResponses: map[int]snapshot.MethodResponse{200: {}, 404: {}}}
		if test.template != "" {
			in.RequestTemplates = map[string]string{"application/json": test.template}
		}
		w.route("/", "POST", in)
		a := w.call(w.client(false), "POST", testHost, "/prod", strings.NewReader(test.body))
		if a.StatusCode != test.status || a.body != test.want {
			t.Errorf("%q %q: %d %s", test.template, test.body, a.StatusCode, a.body)
		}
		if test.status == 200 && (a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("X-Request") != a.Header.Get("x-amzn-RequestId")) {
			t.Errorf("headers %v", a.Header)
		}
	}
}

func TestJSONValue(t *testing.T) {
	const doc = `{"a":{"b":["x",{"c":1.50}],"d.e":true},"n":null,"h":"<&>"}`
	for _, test := range []struct {
		path string
		want string // "-": none
	}{
		{"$.a.b[0]", "x"}, {"a.b[0]", "x"}, {"$.a.b[1].c", "1.50"}, {"$['a']['d.e']", "true"}, {"$.a.b[1]", `{"c":1.50}`}, {"", doc}, {"$", doc}, {"h", "<&>"},
		{"n", "-"}, {"$.a.z", "-"}, {"$.a.b[2]", "-"}, {"$.a.b[-1]", "-"}, {"$.a[0]", "-"}, {"$.a.b.c", "-"}, {"$..a", "-"}, {"$['a", "-"}, {"a[", "-"},
	} {
		got := "-"
		if v := jsonValue([]byte(doc), test.path); len(v) == 1 {
			got = v[0]
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
	}
}

// However a path is spelled: no panic, and what goes to the backend is the
// piece that was sent, without dot segments.
func FuzzPath(f *testing.F) {
	f.Add("/prod/a/x", "q=1", "v")
	f.Add("/prod/a/%2e%2e/x", "who=..%2f", "../")
	f.Add("//prod//a/x%2Fy/", "&&=%zz", "\\..\\")
	f.Add("/v1/%70rod/a/;x/.", "q", "\x00")
	stage := &snapshot.Stage{API: "abc", Name: "prod", Routes: &snapshot.Node{Path: "/"}}
	in := proxyTo("https://backend.test/base/{who}/{proxy}?x={who}", mapping("path", "proxy", "path", "proxy"), mapping("path", "who", "header", "X-Who"), mapping("querystring", "q", "querystring", "p"))
	addRoute(stage, "/a/{proxy+}", "ANY", in)
	w := &world{names: map[string]*snapshot.Name{}, apis: map[string]*snapshot.API{"abc": {Stages: map[string]*snapshot.Stage{"prod": stage}}}}
	p := New(Options{Region: "us-east-1", Account: "123456789012"})
	p.current = func() configuration { return w }
	f.Fuzz(func(t *testing.T, path, query, header string) {
		for _, name := range []*snapshot.Name{{API: "abc"}, {Mappings: []snapshot.Mapping{{BasePath: "v1", API: "abc"}, {API: "abc", Stage: "prod"}}}} {
			e := new(exchange)
			e.begin(p, &httpwire.Exchange{Conn: new(httpwire.Conn), Method: "GET", RawPath: path, RawQuery: query, Header: httpwire.Header{{Name: "X-Who", Value: header}}})
			e.name = name
			if e.findStage() != nil || e.applyPolicy() != nil || e.findMethod() != nil {
				continue
			}
			if !strings.HasSuffix(path, e.path) {
				t.Fatalf("%q became %q", path, e.path)
			}
			got, fault := e.target(in)
			if fault != nil {
				continue
			}
			value, _ := e.params.Get("proxy")
			if got.host != "backend.test" || got.scheme != "https" || !strings.HasPrefix(got.path, "/base/") || !strings.HasSuffix(got.path, "/"+value) || !strings.HasSuffix(path, value) {
				t.Fatalf("%q, %q leads to %+v", path, header, got)
			}
			if hidesDots(strings.TrimPrefix(got.path, "/base/")) || strings.Count(got.path, "/") != 3+strings.Count(value, "/") {
				t.Fatalf("%q, %q leads to %+v", path, header, got)
			}
			q := queryList{raw: query}
			if fault := e.mapRequest(in, &e.x.Header, &q); fault == nil && strings.Contains(got.query, "&") {
				t.Fatalf("query %q", got.query)
			}
		}
	})
}

func BenchmarkProxy(b *testing.B) {
	w := newWorld(b)
	backend := w.backend(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "hello") })
	w.accessLog("$context.requestId $context.status $context.path $context.tlsVersion")
	w.route("/{proxy+}", "ANY", proxyTo(backend+"/{proxy}", mapping("path", "proxy", "path", "proxy")))
	c := w.client(false)
	b.ReportAllocs()
	for b.Loop() {
		if a := w.call(c, "GET", testHost, "/prod/x", nil); a.StatusCode != 200 {
			b.Fatal(a.StatusCode, a.body)
		}
	}
}

// A path into a client's JSON never panics, and what it finds can be read.
func FuzzJSONValue(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["x",{"c":1.50}]}}`), "$.a.b[1].c")
	f.Add([]byte(`[[[]]]`), "$[0][0]")
	f.Add([]byte(`{statusCode: 200}`), "$['a'")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		if v := jsonValue(text, path); len(v) > 1 {
			t.Errorf("%q: %d values", path, len(v))
		}
		if status, ok := mockStatus(text); ok && (status < 100 || status > 999) {
			t.Errorf("%q: status %d", text, status)
		}
	})
}

// A backend may answer before it has read the request; the client gets that
// answer although it has not sent everything.
func TestEarlyAnswer(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // net/http would read the body first
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, c)
	}()
	w.route("/up", "POST", proxyTo("http://"+l.Addr().String()))
	body, more := io.Pipe()
	defer more.Close()
	go more.Write([]byte("first")) // and nothing after it
	req, err := http.NewRequest("POST", "https://"+testHost+"/prod/up", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client(true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b := make([]byte, 2); resp.StatusCode != 401 {
		t.Errorf("status %d", resp.StatusCode)
	} else if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "no" {
		t.Errorf("%q %v", b, err)
	}
}

package pipeline

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The clock of logs under test.
var logTime = time.Date(2022, 12, 15, 16, 5, 5, 0, time.UTC)

// placeholders stand for what differs from run to run.
var placeholders = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "REQUEST-ID"},
	{regexp.MustCompile(`(Extended Request Id: )\S+`), "${1}EXTENDED-ID"},
	{regexp.MustCompile(`Root=1-[0-9a-f]{8}-[0-9a-f]{24}`), "TRACE-ID"},
	{regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`), "$1:PORT"},
	{regexp.MustCompile(`X-Forwarded-Port=\d+`), "X-Forwarded-Port=PORT"},
}

// golden compares text with a file; -update writes it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	for _, p := range placeholders {
		text = p.pattern.ReplaceAllString(text, p.name)
	}
	file := filepath.Join("testdata", "log", strings.ReplaceAll(name, " ", "-")+".log")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, text, want)
	}
}

// fixed makes a backend's answer the same every time.
func fixed(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		h(w, r)
	}
}

// certificateOf makes a certificate for localhost by the world's authority,
// edited before it is signed.
func (w *world) certificateOf(edit func(*x509.Certificate)) tls.Certificate {
	w.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "backend", Organization: []string{"Example"}, Country: []string{"US"}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	edit(c)
	key := selfSigned(w.TB).PrivateKey
	der, err := x509.CreateCertificate(rand.Reader, c, w.ca.Leaf, key.(crypto.Signer).Public(), w.ca.PrivateKey)
	if err != nil {
		w.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tlsBackend is backendWith under TLS settings of its own.
func (w *world) tlsBackend(c *tls.Config) string {
	s := httptest.NewUnstartedServer(fixed(func(http.ResponseWriter, *http.Request) {}))
	s.TLS, s.Config.ErrorLog = c, log.New(io.Discard, "", 0)
	s.StartTLS()
	w.Cleanup(s.Close)
	return "https://" + strings.Replace(s.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
}

// test runs one method as TestInvokeMethod does.
func (w *world) test(path, verb string, in *snapshot.Integration, edit func(*TestRequest)) *TestResult {
	w.Helper()
	stage := &snapshot.Stage{API: "abc", Name: "test-invoke-stage", Routes: &snapshot.Node{Path: "/"}}
	r := &TestRequest{Stage: stage, Method: addRoute(stage, path, "ANY", in), Verb: verb}
	if edit != nil {
		edit(r)
	}
	result, err := w.p.Test(context.Background(), r)
	if err != nil {
		w.Fatal(err)
	}
	return result
}

// Every answer of TestInvokeMethod, successes and failures, line by line.
func TestTestInvoke(t *testing.T) {
	w := newWorld(t)
	w.p.options.Now = func() time.Time { return logTime }
	echo := w.backend(fixed(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		rw.Header().Set("Content-Type", "text/plain")
		rw.Header().Set("X-Backend", "1")
		rw.WriteHeader(map[string]int{"/forbidden": 403}[r.URL.Path] + btoi(r.URL.Path != "/forbidden")*200)
		fmt.Fprintf(rw, "%s %s", r.Method, b)
	}))
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	none := func(http.ResponseWriter, *http.Request) {
		t.Error("a request reached a backend that had not proved itself")
	}
	custom := func(uri string, templates map[string]string, responses ...snapshot.IntegrationResponse) *snapshot.Integration {
		in := proxyTo(uri, mapping("header", "X-Api-Key", "static", "a key of the backend's"), mapping("querystring", "id", "path", "id"), mapping("header", "X-Body", "body", "name"))
		in.Type, in.HTTPMethod, in.Passthrough, in.RequestTemplates, in.Responses = snapshot.HTTP, "POST", "WHEN_NO_MATCH", templates, responses
		in.MethodResponses = map[int]snapshot.MethodResponse{200: {Models: []string{"text/plain"}}}
		return in
	}
	ok := snapshot.IntegrationResponse{Status: 200}
	broken := func(edit func(*snapshot.Integration)) *snapshot.Integration {
		in := proxyTo("https://backend.example.com/x")
		edit(in)
		return in
	}

	for _, test := range []struct {
		name, path, verb string
		in               *snapshot.Integration
		edit             func(*TestRequest)
	}{
		{"proxy", "/pets/{id}", "POST", proxyTo(echo+"/v1/{id}?fixed=1", mapping("path", "id", "path", "id"), mapping("header", "X-Mapped", "static", "m")), func(r *TestRequest) {
			r.Path, r.Query, r.Body = "/pets/a%20b", "q=1&q=2&access_token=0123456789abcdefghij&e=%0A", []byte("{\n  \"name\": \"Ann\"\n}")
			r.Header = httpwire.Header{{Name: "Authorization", Value: "Bearer 0123456789012345338c72"}, {Name: "Accept", Value: "a"}, {Name: "accept", Value: "b"}, {Name: "Host", Value: "api.example.com"}, {Name: "x-api-key", Value: "short"}}
		}},
		{"proxy without anything", "/", "GET", proxyTo(echo), nil},
		{"proxy to a backend that says 403", "/x", "GET", proxyTo(echo + "/forbidden"), nil},
		{"http with mappings", "/pets/{id}", "PUT", custom(echo+"/in", map[string]string{"application/json": `{"fixed": true}`},
			snapshot.IntegrationResponse{Status: 200, Templates: map[string]string{"application/json": `{"ok":true}`}, Parameters: []snapshot.ParameterMapping{mapping("header", "X-Out", "integration.header", "X-Backend")}}),
			func(r *TestRequest) { r.Path, r.Body = "/pets/7", []byte(`{"name":"Ann"}`) }},
		{"http with the body passed through", "/", "PUT", custom(echo, nil, ok), func(r *TestRequest) { r.Body = []byte(`{"name":"Ann"}`) }},
		{"http without a response for the status", "/", "PUT", custom(echo, nil), func(r *TestRequest) { r.Body = []byte("x") }},
		{"mock", "/", "GET", mockOf(200), nil},
		{"mock with a body", "/", "POST", func() *snapshot.Integration {
			in := mockOf(200)
			in.Responses[0].Templates = map[string]string{"application/json": `{"ok":true}`}
			return in
		}(), func(r *TestRequest) { r.Body = []byte("binary \xff\x00\x1b[31m") }},
		{"mock without a status", "/", "GET", func() *snapshot.Integration {
			in := mockOf(200)
			in.RequestTemplates = map[string]string{"application/json": "{}"}
			return in
		}(), nil},
		{"no template for the content type", "/", "POST", func() *snapshot.Integration {
			in := mockOf(200)
			in.Passthrough = "NEVER"
			return in
		}(), func(r *TestRequest) { r.Header = httpwire.Header{{Name: "Content-Type", Value: "text/xml"}} }},
		{"untrusted", "/selfsigned", "GET", proxyTo(w.backendWith(selfSigned(t, "localhost"), none) + "/"), nil},
		{"expired", "/expiredcert", "GET", proxyTo(w.backendWith(w.certificateOf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), none)), nil},
		{"not yet valid", "/future", "GET", proxyTo(w.backendWith(w.certificateOf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), none)), nil},
		{"wrong host name", "/wrong", "GET", proxyTo(w.backendWith(w.certificateOf(func(c *x509.Certificate) { c.DNSNames = []string{"other.example.com"} }), none)), nil},
		{"old protocol", "/old", "GET", proxyTo(w.tlsBackend(&tls.Config{Certificates: []tls.Certificate{w.ca}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})), nil},
		{"client certificate demanded", "/demands", "GET", proxyTo(w.tlsBackend(&tls.Config{Certificates: []tls.Certificate{w.ca}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})), nil},
		{"not TLS", "/plain", "GET", proxyTo(strings.Replace(plain.URL, "http:", "https:", 1)), nil},
		{"timeout", "/slow", "GET", func() *snapshot.Integration {
			in := proxyTo(w.backend(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			in.Timeout = 50 * time.Millisecond
			return in
		}(), nil},
		{"connection refused", "/refused", "GET", proxyTo("http://" + free.Addr().String()), nil},
		{"connection closed", "/closed", "GET", proxyTo(w.backend(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), nil},
		{"answer broken off", "/half", "GET", proxyTo(w.backend(fixed(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "100000")
			io.WriteString(rw, "half")
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))), nil},
		{"no endpoint address", "/", "GET", proxyTo("https://${stageVariables.missing}/x"), nil},
		{"invalid endpoint address", "/", "GET", proxyTo("https://${stageVariables.host}/x"), func(r *TestRequest) { r.Stage.Variables = map[string]string{"host": "user@a"} }},
		{"refused endpoint address", "/", "GET", proxyTo("http://169.254.169.254/latest"), nil},
		{"vpc link without a target", "/", "GET", broken(func(in *snapshot.Integration) { in.Target, in.Broken = "nowhere", "the link is gone" }), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.TB = t
			r := w.test(test.path, test.verb, test.in, test.edit)
			var b strings.Builder
			fmt.Fprintf(&b, "status %d\n", r.Status)
			for _, f := range r.Header {
				fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
			}
			fmt.Fprintf(&b, "\n%s\n\n%s", r.Body, r.Log)
			golden(t, test.name, b.String())
		})
	}
	w.TB = t
	if _, err := w.p.Test(t.Context(), &TestRequest{Stage: w.stage(), Method: w.route("/{p+}", "GET", proxyTo(echo)), Verb: "GET", Path: "/a/../b"}); !errors.Is(err, ErrTestPath) {
		t.Errorf("dot segments: %v", err)
	}
}

// A test's answer is bounded, and says so.
func TestTestInvokeBounds(t *testing.T) {
	w := newWorld(t)
	endless := w.backend(func(rw http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := rw.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	r := w.test("/", "GET", proxyTo(endless), nil)
	if r.Status != 200 || len(r.Body) != maxTestBody || !strings.HasSuffix(r.Log, " : Body cut at 1048576 bytes\n") {
		t.Errorf("%d, %d bytes, log ends in %q", r.Status, len(r.Body), r.Log[max(0, len(r.Log)-100):])
	}
	if n := w.p.memory.used.Load(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}

// executionLog turns it on and returns a function that reads and empties it.
func (w *world) executionLog(m *snapshot.Method, level snapshot.LogLevel, data bool) func() string {
	m.Log, m.DataTrace = level, data
	for len(w.handled) > 0 {
		<-w.handled
	}
	return func() string {
		<-w.handled
		w.groups.Flush()
		file := filepath.Join(w.logs, "API-Gateway-Execution-Logs_abc", "prod", "events.log")
		b, _ := os.ReadFile(file)
		os.Remove(file)
		return string(b)
	}
}

// The log of live traffic at each level.
func TestExecutionLog(t *testing.T) {
	w := newWorld(t)
	good := w.backend(fixed(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		b, _ := io.ReadAll(r.Body)
		rw.Write(b)
	}))
	bad := w.backendWith(selfSigned(t, "localhost"), nil)
	w.p.options.Now = func() time.Time { return logTime }
	c := w.client(false)
	for _, test := range []struct {
		name, backend string
		level         snapshot.LogLevel
		data          bool
		body          string
	}{
		{"live info", good, snapshot.LogInfo, false, "two\nlines"},
		{"live info with data trace", good, snapshot.LogInfo, true, "two\nlines"},
		{"live info of a failure", bad, snapshot.LogInfo, true, ""},
		{"live error of a failure", bad, snapshot.LogError, true, ""},
		{"live error of a success", good, snapshot.LogError, true, "x"},
		{"live off", bad, snapshot.LogOff, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			read := w.executionLog(w.route("/a/{id}", "POST", proxyTo(test.backend+"/{id}", mapping("path", "id", "path", "id"))), test.level, test.data)
			a := w.call(c, "POST", testHost, "/prod/a/7?q=1", strings.NewReader(test.body), "User-Agent", "test", "X-Api-Key", "0123456789abcdefghij")
			if a.StatusCode == 200 && a.body != test.body {
				t.Errorf("body %q, want %q", a.body, test.body)
			}
			golden(t, test.name, read())
		})
	}
}

// Data trace looks at the beginning of bodies and changes nothing of them.
func TestDataTraceStreams(t *testing.T) {
	w := newWorld(t)
	backend := w.backend(fixed(func(rw http.ResponseWriter, r *http.Request) {
		http.NewResponseController(rw).EnableFullDuplex()
		rw.(http.Flusher).Flush() // of unknown length
		io.Copy(rw, r.Body)
	}))
	read := w.executionLog(w.route("/", "POST", proxyTo(backend)), snapshot.LogInfo, true)
	body := strings.Repeat("0123456789abcdef", 20_000)
	w.both(t, func(t *testing.T, c *http.Client) {
		if a := w.call(c, "POST", testHost, "/prod", struct{ io.Reader }{strings.NewReader(body)}); a.body != body {
			t.Errorf("%d bytes came back, want %d", len(a.body), len(body))
		}
		for line := range strings.Lines(read()) {
			if strings.Contains(line, " body ") && (len(line) != maxEvent+1 || !strings.HasSuffix(line, "9abcdef01234567 [TRUNCATED]\n") && !strings.Contains(line, "cdef [TRUNCATED]") && !strings.HasSuffix(line, truncated+"\n")) {
				t.Errorf("%d bytes: %.80s", len(line), line)
			}
		}
	})
}

// An event is at most 1,024 bytes, cut between characters.
func TestTruncation(t *testing.T) {
	for pad := range 4 {
		tr := &trace{level: snapshot.LogInfo, data: true, test: true, now: func() time.Time { return logTime }}
		tr.say(logRequestBody, strings.Repeat("x", pad)+strings.Repeat("é€", 400))
		line, ok := strings.CutSuffix(string(tr.text), truncated+"\n")
		if n := len(tr.text) - 1; !ok || n > maxEvent || n < maxEvent-3 || !utf8.ValidString(line) {
			t.Errorf("%d: %d bytes: %q", pad, n, tr.text)
		}
		tr.text = nil
		tr.say(logSucceeded)
		if string(tr.text) != "Thu Dec 15 16:05:05 UTC 2022 : Successfully completed execution\n" {
			t.Errorf("%q", tr.text)
		}
	}
}

func TestRedaction(t *testing.T) {
	const stars = "****************"
	for _, test := range []struct{ name, value, want string }{
		{"Authorization", "Bearer 0123456789338c72", stars + "*338c72"},
		{"authorization", "Bearer 0123456789338c72", stars + "*338c72"},
		{"X-API-Key", "0123456789abcdef012345", stars + "012345"},
		{"x_api_key", "0123456789abcdef012345", stars + "012345"},
		{"Proxy-Authorization", "Basic abc", "*********"},
		{"X-Amz-Security-Token", strings.Repeat("t", 1000), strings.Repeat("*", mostStars) + "tttttt"},
		{"Cookie", "session=1234567890", "************567890"},
		{"token", "123456789abc", "******789abc"},
		{"token", "123456789ab", "***********"},
		{"access_token", "short", "*****"},
		{"Authorization", "", ""},
		{"X-Password", "hunter2hunter2", "********unter2"},
		{"db_password", "hunter2hunter2", "********unter2"},
		{"X-Vault-Token", "s.0123456789abcdef", "************abcdef"},
		{"client-secret", "0123456789ab", "******6789ab"},
		{"sig", "0123456789ab", "******6789ab"},
		{strings.Repeat("x", 100) + "-token", "0123456789ab", "******6789ab"},
		{"X-Config", "yes", "yes"},
		{"Tokens", "7", "7"},
		{"Authorized", "yes", "yes"},
		{"Accept", "*/*", "*/*"},
		{strings.Repeat("x", 100), "v", "v"},
	} {
		var m javaMap
		m.add(test.name, test.value)
		if got, want := m.String(), "{"+test.name+"="+test.want+"}"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := redactQuery("a=1&&access%5Ftoken=01234567890123456789&b&TOKEN=x"); got != "a=1&&access%5Ftoken="+stars[:14]+"456789&b&TOKEN=*" {
		t.Errorf("query %s", got)
	}
}

// Whatever a request holds, its log is lines of at most 1,024 bytes without a
// secret in them.
func FuzzExecutionLog(f *testing.F) {
	f.Add("a=1&api_key=%41", "Accept", "x", "body")
	f.Add("%0a(id)%20Successfully", "X-\nA", "a\r\nb", "\xff\x00\u2028\u0085")
	f.Add("&&=&token=", "COOKIE", "", "(0-0) Method completed with status: 200\n")
	f.Fuzz(func(t *testing.T, query, name, value, body string) {
		secret := "s3cr3t-s3cr3t" + hex.EncodeToString([]byte(body))
		for _, test := range []bool{true, false} {
			var out []string
			tr := &trace{level: snapshot.LogInfo, data: true, test: true, now: func() time.Time { return logTime }}
			say := func(l logLine, text string) {
				tr.text = tr.text[:0]
				tr.say(l, text)
				out = append(out, string(tr.text))
			}
			m := javaMap{fold: test}
			m.add(name, value)
			m.add("Authorization", secret)
			m.add("authorization", secret)
			say(logRequestHeaders, m.String())
			say(logRequestQuery, queryMap(query+"&api_key="+secret).String())
			say(logSending, redactQuery("x&ApiKey="+secret+"&"+query))
			say(logRequestBody, body)
			for i, event := range out {
				if len(event) > maxEvent+1 || !utf8.ValidString(event) || i < 3 && strings.Count(event, "\n") != 1 {
					t.Errorf("event %q", event)
				}
				if i < 3 && !strings.Contains(query+name+value, "s3cr3t") && strings.Contains(event, secret) {
					t.Errorf("secret in %q", event)
				}
			}
		}
	})
}

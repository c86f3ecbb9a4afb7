package gatewaytest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// witness is a backend that remembers each request that reached it whole.
type witness struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []string
	header http.Header // of the last
}

func newWitness(t *testing.T, handle http.HandlerFunc) *witness {
	b := &witness{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // broken off: no request
		}
		b.mu.Lock()
		b.seen, b.header = append(b.seen, fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, len(body))), r.Header.Clone()
		b.mu.Unlock()
		if handle != nil {
			handle(rw, r)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// take returns what was seen and forgets it.
func (b *witness) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}

// proxied makes an API whose every path but the root goes to uri, deployed to
// "prod"; policy is its resource policy, "" for none.
func (w *World) proxied(t *testing.T, in apigateway.CreateRestApiInput, endpoint types.EndpointType, uri string) string {
	t.Helper()
	ctx := t.Context()
	in.Name, in.EndpointConfiguration = aws.String("hostile"), &types.EndpointConfiguration{Types: []types.EndpointType{endpoint}}
	api, err := w.API.CreateRestApi(ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String("{proxy+}")})
	if err != nil {
		t.Fatal(err)
	}
	verb := aws.String("ANY")
	if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: verb, AuthorizationType: aws.String("NONE"),
		RequestParameters: map[string]bool{"method.request.path.proxy": true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: verb, Type: types.IntegrationTypeHttpProxy,
		IntegrationHttpMethod: verb, Uri: &uri, RequestParameters: map[string]string{"integration.request.path.proxy": "method.request.path.proxy"}}); err != nil {
		t.Fatal(err)
	}
	w.Deploy(t, *api.Id)
	return w.Host(*api.Id)
}

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.1 ([0-9]{3}) `)

// raw sends bytes on an HTTP/1.1 connection and returns the status of each
// answer until the gateway closes it.
func (w *World) raw(t *testing.T, listener, sni, send string) string {
	t.Helper()
	c, err := w.Dial(listener, &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go io.WriteString(c, send) // an early refusal leaves the rest unread
	answers, _ := io.ReadAll(c)
	var statuses []string
	for _, m := range statusLine.FindAllSubmatch(answers, -1) {
		statuses = append(statuses, string(m[1]))
	}
	return strings.Join(statuses, " ")
}

// frames sends heads on one HTTP/2 connection, each name, value, name, value
// ..., and returns the status of each answer; "reset" is a stream's end.
func (w *World) frames(t *testing.T, listener, sni string, heads ...[]string) string {
	t.Helper()
	c, err := w.Dial(listener, &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	var statuses []string
	for i, head := range heads {
		stream := uint32(2*i + 1)
		block.Reset()
		for j := 0; j < len(head); j += 2 {
			encoder.WriteField(hpack.HeaderField{Name: head[j], Value: head[j+1]})
		}
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		for got := ""; got == ""; {
			frame, err := f.ReadFrame()
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				got = frame.PseudoValue("status")
			case *http2.RSTStreamFrame:
				got = "reset"
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					f.WriteSettingsAck()
				}
			default:
				if err != nil {
					got = "closed"
				}
			}
			if got != "" {
				statuses = append(statuses, got)
			}
		}
	}
	return strings.Join(statuses, " ")
}

const allowEverybody = `{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}`

// Attacks on the first gate and on the way to the second. Each has its exact
// answers, and what the backend may see of it.
func TestHostileClient(t *testing.T) {
	b := newWitness(t, nil)
	w := Start(t)
	uri := b.URL + "/{proxy}"
	statement := func(s string) *string { return aws.String(`{"Version":"2012-10-17","Statement":[` + s + `]}`) }
	tls13 := types.SecurityPolicySecurityPolicyTls1313202509
	var (
		open    = w.proxied(t, apigateway.CreateRestApiInput{}, types.EndpointTypeRegional, uri)
		strict  = w.proxied(t, apigateway.CreateRestApiInput{SecurityPolicy: tls13, EndpointAccessMode: "STRICT"}, types.EndpointTypeRegional, uri)
		edge    = w.proxied(t, apigateway.CreateRestApiInput{SecurityPolicy: "SecurityPolicy_TLS13_2025_EDGE", EndpointAccessMode: "STRICT"}, types.EndpointTypeEdge, uri)
		private = w.proxied(t, apigateway.CreateRestApiInput{Policy: statement(allowEverybody)}, types.EndpointTypePrivate, uri)
		guarded = w.proxied(t, apigateway.CreateRestApiInput{Policy: statement(allowEverybody + `,{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/Admin*"}`)}, types.EndpointTypeRegional, uri)
		closed  = w.proxied(t, apigateway.CreateRestApiInput{DisableExecuteApiEndpoint: true}, types.EndpointTypeRegional, uri)
	)
	get := func(target, host string, more ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(more, "") + "Connection: close\r\n\r\n"
	}
	post := func(fields, body string) string {
		return "POST /prod/x HTTP/1.1\r\nHost: " + open + "\r\n" + fields + "\r\n" + body
	}
	const x = "/prod/x"
	smuggled := get("/prod/smuggled", open)

	for _, tc := range []struct {
		what          string
		listener, sni string // REGIONAL and open when empty; "-" is no SNI
		send          string
		want          string // statuses
		seen          string // by the backend: method, target and body's length of each
	}{
		{"no attack", "", "", get(x, open), "200", "GET /x 0"},

		// One request is one request.
		{"length and chunks", "", "", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), "400", ""},
		{"two lengths", "", "", post("Content-Length: 0\r\nContent-Length: 44\r\n", smuggled), "400", ""},
		{"a list of lengths", "", "", post("Content-Length: 0, 0\r\n", smuggled), "400", ""},
		{"a signed length", "", "", post("Content-Length: +0\r\n", smuggled), "400", ""},
		{"white space before the colon", "", "", post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+smuggled), "400", ""},
		{"an unknown coding", "", "", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+smuggled), "400", ""},
		{"a coding after chunked", "", "", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"+smuggled), "400", ""},
		{"two codings", "", "", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+smuggled), "400", ""},
		{"a coding in HTTP/1.0", "", "", strings.Replace(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), "1.1", "1.0", 1), "400", ""},
		{"bare line feeds", "", "", "GET /prod/x HTTP/1.1\nHost: " + open + "\n\n", "400", ""},
		{"a bare carriage return", "", "", get(x, open, "A: b\rTransfer-Encoding: chunked\r\n"), "400", ""},
		{"a folded line", "", "", get(x, open, "A: b\r\n Content-Length: 5\r\n"), "400", ""},
		{"NUL in a value", "", "", get(x, open, "A: b\x00c\r\n"), "400", ""},
		{"an extended chunk", "", "", post("Transfer-Encoding: chunked\r\n", "1;a=b\r\nx\r\n0\r\n\r\n"+smuggled), "400", ""},
		{"a chunk longer than it says", "", "", post("Transfer-Encoding: chunked\r\n", "1\r\nxyz\r\n0\r\n\r\n"+smuggled), "400", ""},
		{"a chunk size that overflows", "", "", post("Transfer-Encoding: chunked\r\n", "10000000000000001\r\nx\r\n0\r\n\r\n"+smuggled), "400", ""},
		{"a request as a body", "", "", post(fmt.Sprintf("Content-Length: %d\r\nConnection: close\r\n", len(smuggled)), smuggled), "200", fmt.Sprintf("POST /x %d", len(smuggled))},
		{"a request after chunks", "", "", post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n"+smuggled), "200 200", "POST /x 1, GET /smuggled 0"},
		{"a longer body than the limit", "", "", post("Content-Length: 10485761\r\n", ""), "413", ""},
		{"the same in chunks", "", "", post("Transfer-Encoding: chunked\r\n", "a00001\r\n"+strings.Repeat("x", 10<<20+1)+"\r\n0\r\n\r\n"), "413", ""},
		{"a long header", "", "", get(x, open, "A: "+strings.Repeat("x", 30<<10)+"\r\n"), "431", ""},
		{"a long target", "", "", get("/prod/"+strings.Repeat("x", 12<<10), open), "414", ""},
		{"a tunnel", "", "", "CONNECT " + open + ":443 HTTP/1.1\r\nHost: " + open + "\r\n\r\n", "501", ""},

		// One request has one host.
		{"two hosts", "", "", "GET /prod/x HTTP/1.1\r\nHost: " + open + "\r\nHost: " + strict + "\r\n\r\n", "400", ""},
		{"no host", "", "", "GET /prod/x HTTP/1.1\r\n\r\n", "400", ""},
		{"two hosts in one", "", "", get(x, open+", "+strict), "400", ""},
		{"user information", "", "", get(x, strict+"@"+open), "400", ""},
		{"another host in the target", "", "", get("https://"+strict+x, open), "400", ""},

		// STRICT is reached with SNI equal to Host only.
		{"STRICT, its own name", "", strict, get(x, strict), "200", "GET /x 0"},
		{"STRICT, with a port", "", strict, get(x, strict+":443"), "200", "GET /x 0"},
		{"STRICT, other case and a dot", "", strict, get(x, strings.ToUpper(strict)+"."), "200", "GET /x 0"},
		{"STRICT through another name", "", "", get(x, strict), "403", ""},
		{"the same with a port", "", "", get(x, strict+":443"), "403", ""},
		{"the same with a dot", "", "", get(x, strict+"."), "403", ""},
		{"the same with two dots", "", strict, get(x, strict+".."), "403", ""},
		{"the same in capitals", "", "", get(x, strings.ToUpper(strict)), "403", ""},
		{"the same in the target", "", "", get("https://"+strict+x, strict), "403", ""},
		{"the same as a second request", "", "", strings.Replace(get(x, open), "Connection: close\r\n", "", 1) + get(x, strict), "200 403", "GET /x 0"},
		{"the same by forwarding headers", "", "", get(x, open, "X-Forwarded-Host: "+strict+"\r\nX-Host: "+strict+"\r\n"), "200", "GET /x 0"},
		{"STRICT without SNI", "", "-", get(x, strict), "403", ""},
		{"STRICT through an unknown name", "", "unknown.example", get(x, strict), "403", ""},
		{"STRICT through the edge", "EDGE", strict, get(x, strict), "403", ""},
		{"STRICT through the private listener", "PRIVATE", strict, get(x, strict), "403", ""},
		{"edge, its own name", "EDGE", edge, get(x, edge), "200", "GET /x 0"},
		{"edge through the regional listener", "", edge, get(x, edge), "403", ""},

		// Private stays private, disabled stays disabled.
		{"private", "PRIVATE", private, get(x, private), "200", "GET /x 0"},
		{"private through the regional listener", "", private, get(x, private), "403", ""},
		{"the same by Host", "", "", get(x, private), "403", ""},
		{"private through the edge", "EDGE", private, get(x, private), "403", ""},
		{"private without SNI", "", "-", get(x, private), "403", ""},
		{"private with the header of AWS", "", "", get(x, open, "x-apigw-api-id: "+private[:10]+"\r\n"), "200", "GET /x 0"},
		{"disabled", "", closed, get(x, closed), "403", ""},
		{"disabled, by its other suffix", "", "", get(x, strings.Replace(closed, ".localhost", ".amazonaws.com", 1)), "403", ""},
		{"an address as host", "", "", get(x, "127.0.0.1"), "403", ""},
	} {
		t.Run(tc.what, func(t *testing.T) {
			listener, sni := tc.listener, tc.sni
			if listener == "" {
				listener = "REGIONAL"
			}
			switch sni {
			case "":
				sni = open
			case "-":
				sni = ""
			}
			if got := w.raw(t, listener, sni, tc.send); got != tc.want {
				t.Errorf("answered %q, want %q", got, tc.want)
			}
			if seen := strings.Join(b.take(), ", "); seen != tc.seen {
				t.Errorf("the backend saw %q, want %q", seen, tc.seen)
			}
		})
	}

	// The same over HTTP/2, where it can be said at all.
	head := func(method, path, authority string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "https", ":authority", authority, ":path", path}, more...)
	}
	for _, tc := range []struct {
		what          string
		listener, sni string
		heads         [][]string
		want, seen    string
	}{
		{"no attack", "", "", [][]string{head("GET", x, open)}, "200", "GET /x 0"},
		{"STRICT on a reused connection", "", "", [][]string{head("GET", x, open), head("GET", x, strict), head("GET", x, strict+":443"), head("GET", x, strings.ToUpper(strict)+".")}, "200 421 421 421", "GET /x 0"},
		{"STRICT beside another host", "", "", [][]string{head("GET", x, open, "host", strict)}, "400", ""},
		{"STRICT as host alone", "", "", [][]string{{":method", "GET", ":scheme", "https", ":path", x, "host", strict}}, "421", ""},
		{"STRICT without SNI", "", "-", [][]string{head("GET", x, strict)}, "403", ""},
		{"private", "", "", [][]string{head("GET", x, private)}, "403", ""},
		{"disabled", "", "", [][]string{head("GET", x, closed)}, "403", ""},
		{"edge through the regional listener", "", "", [][]string{head("GET", x, edge)}, "403", ""},
		{"a request line as method", "", "", [][]string{head("GET /prod/y HTTP/1.1", x, open)}, "reset", ""},
		{"a line break in a value", "", "", [][]string{head("GET", x, open, "a", "b\r\nc: d")}, "reset", ""},
		{"a coding", "", "", [][]string{head("POST", x, open, "transfer-encoding", "chunked")}, "reset", ""},
		{"a length without a body", "", "", [][]string{head("POST", x, open, "content-length", "9")}, "reset", ""},
		{"an absolute path", "", "", [][]string{head("GET", "https://"+strict+x, open)}, "400", ""},
		{"a long header in one frame of more than 16 KiB", "", "", [][]string{head("GET", x, open, "a", strings.Repeat("x", 25<<10))}, "closed", ""},
	} {
		t.Run("HTTP2 "+tc.what, func(t *testing.T) {
			sni := open
			if tc.sni == "-" {
				sni = ""
			}
			if got := w.frames(t, "REGIONAL", sni, tc.heads...); got != tc.want {
				t.Errorf("answered %q, want %q", got, tc.want)
			}
			if seen := strings.Join(b.take(), ", "); seen != tc.seen {
				t.Errorf("the backend saw %q, want %q", seen, tc.seen)
			}
		})
	}

	// A policy denies GET of what begins with /Admin, however it is spelled.
	for _, tc := range []struct{ method, path, want, seen string }{
		{"GET", "/prod/public", "200", "GET /public 0"},
		{"POST", "/prod/Admin", "200", "POST /Admin 0"}, // not denied
		{"GET", "/prod/Admin", "403", ""},
		{"get", "/prod/Admin", "403", ""},
		{"Get", "/prod/public", "403", ""}, // not a method of AWS's
		{"TRACE", "/prod/public", "403", ""},
		{"GET", "/prod/Admin/", "403", ""},
		{"GET", "/prod/admin/x", "403", ""},
		{"GET", "/prod/ADMIN", "403", ""},
		{"GET", "/prod/%41dmin", "403", ""},
		{"GET", "/prod/%61dmin", "403", ""},
		{"GET", "/prod//Admin", "403", ""},
		{"GET", "/prod/%2FAdmin", "403", ""},
		{"GET", "/prod/%5cAdmin", "403", ""},
		{"GET", `/prod/\Admin`, "403", ""},
		{"GET", "/prod/Admin;a=b", "403", ""},
		{"GET", "/prod/;a/Admin", "403", ""},
		{"GET", "/prod/Admin?x=/public", "403", ""},
		{"GET", "/prod/./Admin", "400", ""},
		{"GET", "/prod/public/../Admin", "400", ""},
		{"GET", "/prod/public/%2e%2e/Admin", "400", ""},
		{"GET", "/prod/public/..%2fAdmin", "400", ""},
		{"GET", `/prod/public/..\Admin`, "400", ""},
		{"GET", "/prod/public/..;/Admin", "400", ""},
		{"GET", "/prod/public%00/Admin", "400", ""},
		{"GET", "/prod/Admi%6", "400", ""},
		{"GET", "/Prod/Admin", "403", ""},
		{"GET", "/prod%2FAdmin", "403", ""},
		{"GET", "//prod/Admin", "403", ""},
		{"GET", "/prod;a/Admin", "403", ""},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			var got string
			if protocol == "HTTP/2" {
				got = w.frames(t, "REGIONAL", guarded, head(tc.method, tc.path, guarded))
			} else {
				got = w.raw(t, "REGIONAL", guarded, tc.method+strings.TrimPrefix(get(tc.path, guarded), "GET"))
			}
			if tc.path == "/prod/Admi%6" && protocol == "HTTP/2" && got == "reset" {
				got = "400" // net/http's way to say so
			}
			seen := strings.Join(b.take(), ", ")
			if got != tc.want || seen != tc.seen {
				t.Errorf("%s %s over %s: %s, the backend saw %q; want %s, %q", tc.method, tc.path, protocol, got, seen, tc.want, tc.seen)
			}
		}
	}

	// Identity is the gateway's to give.
	t.Run("identity", func(t *testing.T) {
		fields := []string{"X-Forwarded-For", "x-forwarded_for", "X_Forwarded_For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded",
			"x-amzn-apigateway-api-id", "X_Amzn_Apigateway_Api_Id", "X-Amzn-Vpce-Id", "True-Client-IP"}
		var lines strings.Builder
		h2 := head("GET", x, open, "plain", "kept")
		for _, f := range fields {
			lines.WriteString(f + ": spoofed\r\n")
			h2 = append(h2, strings.ToLower(f), "spoofed")
		}
		check := func(what, got string) {
			seen := b.take()
			if got != "200" || len(seen) != 1 {
				t.Fatalf("%s: %s, seen %q", what, got, seen)
			}
			for name, values := range b.header {
				if slices.Contains(values, "spoofed") {
					t.Errorf("%s: %s was passed on", what, name)
				}
			}
			if got := b.header["X-Forwarded-For"]; !slices.Equal(got, []string{"127.0.0.1"}) {
				t.Errorf("%s: X-Forwarded-For %q", what, got)
			}
			if got := b.header["X-Forwarded-Proto"]; !slices.Equal(got, []string{"https"}) {
				t.Errorf("%s: X-Forwarded-Proto %q", what, got)
			}
			if b.header.Get("Plain") != "kept" {
				t.Errorf("%s: a plain header was lost: %v", what, b.header)
			}
		}
		lines.WriteString("Plain: kept\r\nConnection: X-Forwarded-For, X-Forwarded-Proto, x-amzn-apigateway-api-id\r\n")
		check("HTTP/1.1", w.raw(t, "REGIONAL", open, get(x, open, lines.String())))
		check("HTTP/2", w.frames(t, "REGIONAL", open, h2))
	})
}

// A public name cannot be put before a private API.
func TestPrivateBehindPublicName(t *testing.T) {
	w := Start(t)
	ctx := t.Context()
	private := w.MockAPI(t, types.EndpointTypePrivate, "", "")
	public := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	name := "shop.example.com"
	arn := w.importCertificate(t, name, pki.RSA2048)
	if _, err := w.API.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{DomainName: &name, RegionalCertificateArn: &arn,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.CreateBasePathMapping(ctx, &apigateway.CreateBasePathMappingInput{DomainName: &name, RestApiId: &private, Stage: aws.String("prod")}); err == nil {
		t.Error("a private API was mapped to a public name")
	}
	if _, err := w.API.CreateBasePathMapping(ctx, &apigateway.CreateBasePathMappingInput{DomainName: &name, RestApiId: &public, Stage: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.UpdateBasePathMapping(ctx, &apigateway.UpdateBasePathMappingInput{DomainName: &name, BasePath: aws.String("(none)"), PatchOperations: Replace("/restapiId", private)}); err == nil {
		t.Error("a mapping was moved to a private API")
	}
	w.get(t, "REGIONAL", "https://"+name+"/").is(t, "the public API", 200, "", "")
}

// No spelling of this machine's own addresses is reached unless it is allowed.
func TestHostileAuthor(t *testing.T) {
	b := newWitness(t, nil)
	_, port, err := net.SplitHostPort(b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := Start(t, func(c *config.Config) { c.AllowBackends = nil })
	for _, host := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "0.0.0.0", "0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]", "[::1%25lo]", "127.0.0.1@example.com", "example.com@127.0.0.1", `127.0.0.1\example.com`} {
		uri := "http://" + host + ":" + port + "/{proxy}"
		refused := false
		api, err := w.API.CreateRestApi(t.Context(), &apigateway.CreateRestApiInput{Name: aws.String("hostile"), EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
		if err != nil {
			t.Fatal(err)
		}
		get := aws.String("GET")
		if _, err := w.API.PutMethod(t.Context(), &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
			t.Fatal(err)
		}
		uri = strings.TrimSuffix(uri, "{proxy}")
		if _, err := w.API.PutIntegration(t.Context(), &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: api.RootResourceId, HttpMethod: get,
			Type: types.IntegrationTypeHttpProxy, IntegrationHttpMethod: get, Uri: &uri}); err != nil {
			refused = true // at save: as good
		} else {
			w.Deploy(t, *api.Id)
			a := w.get(t, "REGIONAL", "https://"+w.Host(*api.Id)+"/prod/")
			if a.status != 500 && a.status != 504 {
				t.Errorf("%s: %d %s", uri, a.status, a.body)
			}
			if strings.Contains(a.body, port) || strings.Contains(a.body, "127.") {
				t.Errorf("%s: the answer tells of addresses: %s", uri, a.body)
			}
		}
		if seen := b.take(); len(seen) > 0 {
			t.Errorf("%s: the backend saw %q (refused at save: %v)", uri, seen, refused)
		}
	}
}

// A backend's redirect is the client's to follow, and what it says of itself
// or of the gateway does not count.
func TestHostileBackend(t *testing.T) {
	elsewhere := newWitness(t, nil)
	b := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header()["x-amzn-requestid"] = []string{"spoofed"}
		rw.Header()["X-Amz-Apigw-Id"] = []string{"spoofed"}
		rw.Header().Set("Connection", "x-amzn-RequestId")
		http.Redirect(rw, r, elsewhere.URL+"/metadata", http.StatusTemporaryRedirect)
	})
	w := Start(t)
	host := w.proxied(t, apigateway.CreateRestApiInput{}, types.EndpointTypeRegional, b.URL+"/{proxy}")
	for _, h2 := range []bool{false, true} {
		client := w.HTTP("REGIONAL", nil, h2)
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Get("https://" + host + "/prod/x")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != 307 || resp.Header.Get("Location") != elsewhere.URL+"/metadata" {
			t.Errorf("HTTP/2 %v: %d %v", h2, resp.StatusCode, resp.Header)
		}
		for _, name := range []string{"x-amzn-RequestId", "x-amz-apigw-id"} {
			if v := resp.Header.Values(name); len(v) != 1 || v[0] == "spoofed" {
				t.Errorf("HTTP/2 %v: %s is %q", h2, name, v)
			}
		}
	}
	if seen := elsewhere.take(); len(seen) > 0 {
		t.Errorf("the redirect was followed: %q", seen)
	}
}

// What a client says stays inside its field and its line of a log.
func TestHostileLogEntries(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace(
		"/accessLogSettings/destinationArn", "arn:aws:logs:us-east-1:000000000000:log-group:hostile",
		"/accessLogSettings/format", `{"id":"$context.requestId","path":"$context.path","agent":"$context.identity.userAgent","status":"$context.status"}`)}); err != nil {
		t.Fatal(err)
	}
	const agent, path = "x\",\"status\":\"200\"}\t\u2028{\\", `/prod/"},{"x`
	if got := w.raw(t, "REGIONAL", w.Host(api), "GET "+path+" HTTP/1.1\r\nHost: "+w.Host(api)+"\r\nUser-Agent: "+agent+"\r\nConnection: close\r\n\r\n"); got != "403" {
		t.Fatal(got)
	}
	line := w.logLine(t, filepath.Join("hostile"), func(string) bool { return true })
	var entry struct{ ID, Path, Agent, Status string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Agent != agent || entry.Path != path || entry.Status != "403" || len(entry.ID) != 36 {
		t.Errorf("%s: %v %+v", line, err, entry)
	}
	if strings.ContainsAny(line, "\u2028\t") {
		t.Errorf("a reader may see two lines: %q", line)
	}
}

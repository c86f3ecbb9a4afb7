package pipeline

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// world is a configuration behind a real TLS listener, with a real second gate.
type world struct {
	testing.TB
	p        *Pipeline
	names    map[string]*snapshot.Name
	apis     map[string]*snapshot.API
	fallback *snapshot.Name
	roots    *x509.CertPool // of gateway and good backends
	ca       tls.Certificate
	groups   *telemetry.Groups
	logs     string
	addr     string
	listener string        // type that connections are said to come in by
	handled  chan struct{} // one per finished exchange
}

func (w *world) Lookup(host string) *snapshot.Name { return w.names[host] }
func (w *world) Default() *snapshot.Name           { return w.fallback }
func (w *world) API(id string) *snapshot.API       { return w.apis[id] }

const (
	testHost = "abc.execute-api.us-east-1.localhost"
	domain   = "api.example.com"
)

// newWorld serves API abc with an empty stage "prod" on its default endpoint,
// and the custom domain api.example.com without mappings.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, listener: "REGIONAL", handled: make(chan struct{}, 1000)}
	w.ca = selfSigned(t)
	w.roots = x509.NewCertPool()
	w.roots.AddCert(w.ca.Leaf)
	policy, ok := tlspolicy.Lookup("TLS_1_2", false)
	if !ok {
		t.Fatal("no policy TLS_1_2")
	}
	w.fallback = &snapshot.Name{Policy: policy, Endpoints: snapshot.Regional}
	w.names = map[string]*snapshot.Name{
		testHost: {Host: testHost, Policy: policy, Endpoints: snapshot.Regional, API: "abc"},
		domain:   {Host: domain, Policy: policy, Endpoints: snapshot.Regional},
	}
	w.apis = map[string]*snapshot.API{"abc": {ID: "abc", Endpoint: snapshot.Regional, Stages: map[string]*snapshot.Stage{
		"prod": {API: "abc", Name: "prod", Deployment: "dep1", Routes: &snapshot.Node{Path: "/"}},
	}}}
	w.logs = filepath.Join(t.TempDir(), "logs")
	var err error
	if w.groups, err = telemetry.OpenGroups(w.logs, telemetry.GroupOptions{}); err != nil {
		t.Fatal(err)
	}
	gate := backgate.New(backgate.Options{Roots: w.roots, AllowBackend: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	w.p = New(Options{Backends: gate, Region: "us-east-1", Account: "123456789012", Logs: w.groups, Metrics: telemetry.NewMetrics()})
	w.p.current = func() configuration { return w }
	w.serve()
	t.Cleanup(func() { gate.Close(); w.groups.Close() })
	return w
}

func (w *world) stage() *snapshot.Stage { return w.apis["abc"].Stages["prod"] }

// serve accepts TLS and hands connections to the HTTP engine.
func (w *world) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.addr = l.Addr().String()
	server := httpwire.NewServer(httpwire.Options{Handler: func(x *httpwire.Exchange) {
		defer func() {
			select {
			case w.handled <- struct{}{}:
			default:
			}
		}()
		w.p.Serve(x)
	}})
	var sessions sync.WaitGroup
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{w.ca}, NextProtos: []string{"h2", "http/1.1"}})
				if c.HandshakeContext(context.Background()) != nil {
					raw.Close()
					return
				}
				s := c.ConnectionState()
				facts := &httpwire.Conn{
					ID: "conn", Listener: w.listener, Peer: raw.RemoteAddr().(*net.TCPAddr).AddrPort(), Local: raw.LocalAddr().(*net.TCPAddr).AddrPort(),
					HTTP2: s.NegotiatedProtocol == "h2", Version: s.Version, Suite: s.CipherSuite, Group: s.CurveID, SNI: s.ServerName, Leaf: w.ca.Leaf,
				}
				if w.listener == "PRIVATE" {
					facts.VPC, facts.VPCEndpoint = "vpc-1", "vpce-1"
				}
				server.Serve(c, facts)
			})
		}
	}()
	w.Cleanup(func() { l.Close(); sessions.Wait() })
}

// client calls the world; every name leads to its listener.
func (w *world) client(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	tr := &http.Transport{
		Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: 5 * time.Second,
		TLSClientConfig: &tls.Config{RootCAs: w.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.addr)
		},
	}
	w.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

// call sends a request whose target goes out as written.
func (w *world) call(c *http.Client, method, host, target string, body io.Reader, header ...string) answer {
	w.Helper()
	path, query, _ := strings.Cut(target, "?")
	req, err := http.NewRequest(method, "https://"+host, body)
	if err != nil {
		w.Fatal(err)
	}
	req.URL = &url.URL{Scheme: "https", Host: host, Opaque: path, RawQuery: query}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header[header[i]] = append(req.Header[header[i]], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		w.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatalf("%s %s: body: %v", method, target, err)
	}
	return answer{resp, string(b)}
}

// both runs f over HTTP/1.1 and HTTP/2.
func (w *world) both(t *testing.T, f func(t *testing.T, c *http.Client)) {
	t.Run("HTTP/1.1", func(t *testing.T) { f(t, w.client(false)) })
	t.Run("HTTP/2", func(t *testing.T) { f(t, w.client(true)) })
}

// route puts a method at a path of the stage.
func (w *world) route(path, verb string, in *snapshot.Integration) *snapshot.Method {
	return addRoute(w.stage(), path, verb, in)
}

func addRoute(s *snapshot.Stage, path, verb string, in *snapshot.Integration) *snapshot.Method {
	n := s.Routes
	full := ""
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if part == "" {
			break
		}
		full += "/" + part
		var next *snapshot.Node
		switch {
		case strings.HasSuffix(part, "+}"):
			if n.Greedy == nil {
				n.Greedy = &snapshot.Node{ParamName: part[1 : len(part)-2], Path: full}
			}
			next = n.Greedy
		case strings.HasPrefix(part, "{"):
			if n.Param == nil {
				n.Param = &snapshot.Node{ParamName: part[1 : len(part)-1], Path: full}
			}
			next = n.Param
		default:
			if n.Literal == nil {
				n.Literal = map[string]*snapshot.Node{}
			}
			if n.Literal[part] == nil {
				n.Literal[part] = &snapshot.Node{Path: full}
			}
			next = n.Literal[part]
		}
		n = next
	}
	if n.Methods == nil {
		n.Methods = map[string]*snapshot.Method{}
	}
	m := &snapshot.Method{HTTPMethod: verb, ResourceID: "res1", ResourcePath: path, Integration: in}
	n.Methods[verb] = m
	return m
}

// proxyTo is an HTTP_PROXY integration with a URI in AWS's spelling.
func proxyTo(uri string, mappings ...snapshot.ParameterMapping) *snapshot.Integration {
	return &snapshot.Integration{Type: snapshot.HTTPProxy, HTTPMethod: "ANY", URI: segments(uri), Timeout: 5 * time.Second, RequestParameters: mappings}
}

func segments(uri string) []snapshot.Segment {
	var segs []snapshot.Segment
	for uri != "" {
		before, rest, ok := strings.Cut(uri, "{")
		if !ok {
			return append(segs, snapshot.Segment{Literal: uri})
		}
		name, after, _ := strings.Cut(rest, "}")
		stage, isStage := strings.CutPrefix(name, "stageVariables.")
		if isStage {
			before = strings.TrimSuffix(before, "$")
		}
		if before != "" {
			segs = append(segs, snapshot.Segment{Literal: before})
		}
		if isStage {
			segs = append(segs, snapshot.Segment{Stage: stage})
		} else {
			segs = append(segs, snapshot.Segment{Path: name})
		}
		uri = after
	}
	return segs
}

func mapping(location, name, kind, source string) snapshot.ParameterMapping {
	return snapshot.ParameterMapping{Location: location, Name: name, Source: snapshot.Source{Kind: kind, Name: source}}
}

// backend serves h over TLS with the world's certificate and returns its URL.
func (w *world) backend(h http.HandlerFunc) string { return w.backendWith(w.ca, h) }

func (w *world) backendWith(cert tls.Certificate, h http.HandlerFunc) string {
	w.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	w.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "https://localhost:" + port
}

// accessLog turns the log on and returns a function that reads and empties it.
func (w *world) accessLog(format string) func() string {
	f, err := telemetry.CompileFormat(format)
	if err != nil {
		w.Fatal(err)
	}
	w.stage().AccessLog = &snapshot.AccessLog{Group: "access", Format: f}
	for len(w.handled) > 0 {
		<-w.handled
	}
	return func() string {
		<-w.handled // the line is written after the answer
		w.groups.Flush()
		file := filepath.Join(w.logs, "access", "events.log")
		b, _ := os.ReadFile(file)
		os.Remove(file)
		return strings.TrimSuffix(string(b), "\n")
	}
}

func selfSigned(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		names = []string{"localhost", "*.execute-api.us-east-1.localhost", "*.example.com"}
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

package frontgate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// table is Names without the compiler: what a snapshot answers, by host.
type table struct {
	names    map[string]*snapshot.Name
	fallback *snapshot.Name
}

func (t *table) Lookup(host string) *snapshot.Name {
	if n := t.names[host]; n != nil {
		return n
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		return t.names["*."+parent]
	}
	return nil
}

func (t *table) Default() *snapshot.Name { return t.fallback }

// with returns a copy of t in which names are added or replaced.
func (t *table) with(names ...*snapshot.Name) *table {
	c := &table{names: make(map[string]*snapshot.Name), fallback: t.fallback}
	for host, n := range t.names {
		c.names[host] = n
	}
	for _, n := range names {
		c.names[n.Host] = n
	}
	return c
}

func (t *table) without(host string) *table {
	c := t.with()
	delete(c.names, host)
	return c
}

func policy(t testing.TB, name string) *tlspolicy.Policy {
	t.Helper()
	p, ok := tlspolicy.Lookup(name, strings.HasSuffix(name, "EDGE"))
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	return p
}

const (
	tls13  = "SecurityPolicy_TLS13_1_3_2025_09"
	tls12  = "TLS_1_2"
	pfs    = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	fips13 = "SecurityPolicy_TLS13_1_3_FIPS_2025_09"
)

// ca signs the certificates of one test.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
}

var testCA = sync.OnceValue(func() *ca {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &ca{cert, key, pool}
})

func (a *ca) leaf(key crypto.Signer, names ...string) *tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

var (
	ecdsaKey = sync.OnceValue(func() crypto.Signer {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
	rsaKey = sync.OnceValue(func() crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
)

// name makes a custom domain name with an ECDSA certificate of its own.
func name(t testing.TB, host, policyName string, mode snapshot.Mode, endpoints snapshot.EndpointType, revision store.Revision) *snapshot.Name {
	return &snapshot.Name{
		Host: host, Policy: policy(t, policyName), Mode: mode, Endpoints: endpoints, Revision: revision,
		Certificates: []*tls.Certificate{testCA().leaf(ecdsaKey(), host)},
	}
}

func newTable(t testing.TB, names ...*snapshot.Name) *table {
	tab := &table{fallback: &snapshot.Name{
		Policy: policy(t, tls12), Endpoints: snapshot.Regional | snapshot.Edge | snapshot.Private,
		Certificates: []*tls.Certificate{
			testCA().leaf(ecdsaKey(), "*.execute-api.us-east-1.localhost"),
			testCA().leaf(rsaKey(), "*.execute-api.us-east-1.localhost"),
		},
	}}
	return tab.with(names...)
}

// gate is a Gate on loopback with one listener of each type.
type gate struct {
	*Gate
	t       testing.TB
	names   atomic.Pointer[table]
	addrs   map[string]string // by listener type
	records chan telemetry.Connection
}

// serveAdmitted is the least of a pipeline: Admit, then 200 with the path.
func (g *gate) serveAdmitted(x *httpwire.Exchange) {
	names := g.names.Load()
	v := Admit(names, x, names.Lookup(snapshot.NormalizeHost(x.Authority)))
	if v.Refused() {
		body := `{"message":"` + v.Message + `"}`
		h := httpwire.Header{{Name: "x-amzn-ErrorType", Value: v.ErrorType}}
		if v.Close {
			x.RespondClose(v.Status, h, int64(len(body)))
		} else {
			x.Respond(v.Status, h, int64(len(body)))
		}
		io.WriteString(x, body)
		return
	}
	x.Respond(200, nil, int64(len(x.RawPath)))
	io.WriteString(x, x.RawPath)
}

func start(t testing.TB, names *table, change func(*Options)) *gate {
	t.Helper()
	g := &gate{t: t, addrs: make(map[string]string), records: make(chan telemetry.Connection, 100000)}
	g.names.Store(names)
	o := Options{Handler: g.serveAdmitted, Connections: func(c telemetry.Connection) { g.records <- c }}
	for _, typ := range []string{"REGIONAL", "EDGE", "PRIVATE"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o.Listeners = append(o.Listeners, Listener{Listener: l, Type: typ, VPC: "vpc-1", VPCEndpoint: "vpce-1"})
		g.addrs[typ] = l.Addr().String()
	}
	if change != nil {
		change(&o)
	}
	g.Gate = newGate(o, func() Names { return g.names.Load() })
	done := make(chan error, 1)
	go func() { done <- g.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no waiting
		g.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		<-g.empty
	})
	return g
}

// swap puts names in force the way the snapshot compiler does.
func (g *gate) swap(names *table) {
	old := g.names.Load()
	g.apply(old, names)
	g.names.Store(names)
	g.apply(old, names)
}

func (g *gate) record() telemetry.Connection {
	g.t.Helper()
	select {
	case r := <-g.records:
		return r
	case <-time.After(15 * time.Second):
		g.t.Fatal("no connection record")
		panic("unreached")
	}
}

func (g *gate) dial(typ, sni string, change func(*tls.Config)) (*tls.Conn, error) {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addrs[typ])
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	config := &tls.Config{ServerName: sni, RootCAs: testCA().pool, MinVersion: tls.VersionTLS10}
	if sni == "" {
		config.InsecureSkipVerify = true
	}
	if change != nil {
		change(config)
	}
	tc := tls.Client(c, config)
	return tc, tc.Handshake()
}

// client is a Go client whose every host leads to the listener of that type.
func (g *gate) client(typ string, http2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	tr := &http.Transport{
		Protocols:       p,
		TLSClientConfig: &tls.Config{RootCAs: testCA().pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, g.addrs[typ])
		},
	}
	g.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 15 * time.Second}
}

// get is one request; the body is read, so that the connection is reused.
func get(c *http.Client, url, host string) (status int, body string, err error) {
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, "", err
	}
	if host != "" {
		r.Host = host
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

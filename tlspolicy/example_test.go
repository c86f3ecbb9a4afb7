package tlspolicy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/tlspolicy"
)

// site is what a server keeps for each name: one policy and one configuration
// made for it.
type site struct {
	policy *tlspolicy.Policy
	config *tls.Config
}

func newSite(policyName string, certificate tls.Certificate) (*site, error) {
	policy, ok := tlspolicy.Lookup(policyName, false)
	if !ok {
		return nil, fmt.Errorf("unknown policy %q", policyName)
	}
	if err := policy.Prove(); err != nil {
		return nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	policy.Configure(config)
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, err
	}
	config.SetSessionTicketKeys([][32]byte{key}) // replace it daily, keep old ones to resume with
	return &site{policy, config}, nil
}

// listener puts every accepted connection under the policy of the name that
// its client asks for. net/http runs the handshake, in each connection's own
// goroutine and within its own timeouts.
type listener struct {
	net.Listener
	sites map[string]*site
}

func (l listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tlspolicy.Server(raw, l.choose).Conn, nil
}

func (l listener) choose(hello *tlspolicy.Hello, _ *tls.ClientHelloInfo) (*tlspolicy.Policy, *tls.Config, error) {
	s, ok := l.sites[hello.ServerName]
	if !ok {
		return nil, nil, fmt.Errorf("no site %q", hello.ServerName)
	}
	return s.policy, s.config, nil
}

// Two names on one port, each with its own policy, under net/http.
func Example() {
	certificate, roots := selfSigned("strict.example", "old.example")
	sites := make(map[string]*site)
	for name, policy := range map[string]string{
		"strict.example": "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
		"old.example":    "TLS_1_2",
	} {
		s, err := newSite(policy, certificate)
		if err != nil {
			fmt.Println(err)
			return
		}
		sites[name] = s
	}

	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
		ReadHeaderTimeout: 10 * time.Second, // bounds the handshake too
	}
	go func() { _ = server.Serve(listener{tcp, sites}) }()
	defer server.Close()

	for _, try := range []struct {
		name    string
		highest uint16
	}{
		{"strict.example", tls.VersionTLS13},
		{"old.example", tls.VersionTLS13},
		{"old.example", tls.VersionTLS12},
	} {
		client := http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, MaxVersion: try.highest},
			ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", tcp.Addr().String())
			},
		}}
		response, err := client.Get("https://" + try.name)
		if err != nil {
			fmt.Println(try.name, "refuses:", err)
			continue
		}
		response.Body.Close()
		client.CloseIdleConnections()
		cs := response.TLS
		fmt.Println(try.name, response.Proto, tlspolicy.VersionName(cs.Version), tlspolicy.SuiteName(cs.CipherSuite), tlspolicy.GroupName(cs.CurveID))
	}
	// Output:
	// strict.example HTTP/2.0 TLSv1.3 TLS_AES_128_GCM_SHA256 P-256
	// old.example HTTP/2.0 TLSv1.3 TLS_AES_128_GCM_SHA256 X25519
	// old.example HTTP/2.0 TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 X25519
}

// What breaks for whom when a policy is tightened.
func ExampleDiff() {
	from, _ := tlspolicy.Lookup("SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", false)
	to, _ := tlspolicy.Lookup("SecurityPolicy_TLS13_1_3_FIPS_2025_09", false)
	for _, change := range tlspolicy.Diff(from, to).Changes {
		if change.Part == tlspolicy.Group || change.Part == tlspolicy.Version {
			fmt.Println(change.Part, change.Name(), "gained:", change.Gained)
		}
	}
	// Output:
	// version TLSv1.2 gained: false
	// group X25519MLKEM768 gained: false
	// group SecP256r1MLKEM768 gained: false
	// group SecP384r1MLKEM1024 gained: false
	// group X25519 gained: false
}

func selfSigned(names ...string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

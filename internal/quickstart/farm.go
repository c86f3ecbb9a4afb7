// Package quickstart gives a newcomer something to call in the first minute: a
// small farm of local HTTPS backends, good and bad ones, and one example API
// on them, made through the wire API like anybody else's.
//
//	farm, err := quickstart.StartFarm()
//	g, err := gateway.Open(ctx, gateway.Options{Config: farm.Extend(c), Roots: farm.Roots()})
//	guide, err := farm.Install(ctx, g.Runtime(), c)
package quickstart

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// backends are the farm: each is a resource of the example API and shows one
// thing that the second gate sees. The names of the first bad ones are those of
// AWS's knowledge-centre article on backend certificates.
var backends = []struct {
	name    string
	about   string
	leaf    func(good, other *pki.Authority) (*pki.Issued, error)
	clients tls.ClientAuthType
}{
	{"good", "a certificate that verifies", verifies, tls.NoClientCert},
	{"selfsigned", "signed by itself", func(good, _ *pki.Authority) (*pki.Issued, error) {
		return good.Leaf(pki.LeafOptions{Names: local, SelfSigned: true})
	}, tls.NoClientCert},
	{"expiredcert", "expired half an hour ago", func(good, _ *pki.Authority) (*pki.Issued, error) {
		now := time.Now() // its root begins an hour ago
		return good.Leaf(pki.LeafOptions{Names: local, NotBefore: now.Add(-50 * time.Minute), NotAfter: now.Add(-30 * time.Minute)})
	}, tls.NoClientCert},
	{"untrustedRootCA", "signed by a root that nobody trusts", func(_, other *pki.Authority) (*pki.Issued, error) {
		leaf, err := other.Leaf(pki.LeafOptions{Names: local})
		if err == nil { // the whole chain: without its root it would be called incomplete
			leaf.Chain = append(leaf.Chain, other.Certificate)
		}
		return leaf, err
	}, tls.NoClientCert},
	{"wronghost", "issued for another name", func(good, _ *pki.Authority) (*pki.Issued, error) {
		return good.Leaf(pki.LeafOptions{Names: []string{"elsewhere.example"}})
	}, tls.NoClientCert},
	{"wantscertificate", "serves nobody without a client certificate", verifies, tls.RequireAnyClientCert},
}

func verifies(good, _ *pki.Authority) (*pki.Issued, error) {
	return good.Leaf(pki.LeafOptions{Names: local})
}

// local are the names under which the farm is reached.
var local = []string{"localhost", "127.0.0.1"}

// Farm is the running backends. Close stops them.
type Farm struct {
	root      *x509.Certificate // that the good backends chain to
	addresses map[string]string // backend name -> localhost:port
	servers   []*http.Server
}

// StartFarm starts the backends on free loopback ports, with fresh
// certificates. It writes no file: two gateways may be started on one data
// folder, and only one of them will have it.
func StartFarm() (f *Farm, err error) {
	f = &Farm{addresses: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("quickstart backends: %w", err), f.Close())
		}
	}()
	good, err := pki.NewAuthority("Sallyport quickstart backends")
	if err != nil {
		return f, err
	}
	other, err := pki.NewAuthority("A root that nobody trusts")
	if err != nil {
		return f, err
	}
	f.root = good.Certificate
	for _, b := range backends {
		issued, err := b.leaf(good, other)
		if err != nil {
			return f, err
		}
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return f, err
		}
		f.addresses[b.name] = fmt.Sprintf("localhost:%d", socket.Addr().(*net.TCPAddr).Port)
		s := &http.Server{
			Handler:           echo(b.name),
			TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{issued.TLS()}, ClientAuth: b.clients},
			ReadHeaderTimeout: 10 * time.Second,
			// Refused handshakes are what this farm is for: the gateway's log tells of them.
			ErrorLog: log.New(io.Discard, "", 0),
		}
		f.servers = append(f.servers, s)
		go func() { _ = s.ServeTLS(socket, "", "") }() // returns when Close ends it
	}
	return f, nil
}

// echo answers with what the backend received.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"backend": name, "method": r.Method, "path": r.URL.RequestURI(), "host": r.Host, "headers": r.Header,
		})
	})
}

// Roots are what a gateway has to trust for the good backends.
func (f *Farm) Roots() []*x509.Certificate { return []*x509.Certificate{f.root} }

// Extend adds the farm's addresses to those that c allows.
func (f *Farm) Extend(c config.Config) config.Config {
	c.AllowBackends = append(c.AllowBackends[:len(c.AllowBackends):len(c.AllowBackends)],
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	return c
}

// Close stops the backends.
func (f *Farm) Close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"
)

// TestAuthority makes each certificate that a hostile or broken backend shows,
// and sees the standard library refuse it for the reason meant.
func TestAuthority(t *testing.T) {
	root, err := NewAuthority("root")
	must(t, err)
	other, err := NewAuthority("other root")
	must(t, err)
	middle, err := root.Intermediate("middle")
	must(t, err)
	lower, err := middle.Intermediate("lower")
	must(t, err)
	names := []string{"backend.example", "*.wild.example", "127.0.0.1"}
	now := time.Now()

	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	for _, c := range []struct {
		name   string
		by     *Authority
		opts   LeafOptions
		change func(*Issued)
		server string
		want   any // a pointer for errors.As; nil: accepted
	}{
		{"good", root, LeafOptions{Names: names}, nil, "backend.example", nil},
		{"good by wildcard", root, LeafOptions{Names: names}, nil, "a.wild.example", nil},
		{"good by address", root, LeafOptions{Names: names}, nil, "127.0.0.1", nil},
		{"good, RSA", root, LeafOptions{Names: names, Kind: RSA2048}, nil, "backend.example", nil},
		{"good, P-384", root, LeafOptions{Names: names, Kind: ECDSAP384}, nil, "backend.example", nil},
		{"good, two intermediates", lower, LeafOptions{Names: names}, nil, "backend.example", nil},
		{"incomplete chain", lower, LeafOptions{Names: names}, func(i *Issued) { i.Chain = i.Chain[1:] }, "backend.example", &unknown},
		{"wrong name", root, LeafOptions{Names: []string{"elsewhere.example"}}, nil, "backend.example", &hostname},
		{"two labels under a wildcard", root, LeafOptions{Names: names}, nil, "a.b.wild.example", &hostname},
		{"other root", other, LeafOptions{Names: names}, nil, "backend.example", &unknown},
		{"self-signed", root, LeafOptions{Names: names, SelfSigned: true}, nil, "backend.example", &unknown},
		{"expired", root, LeafOptions{Names: names, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}, nil, "backend.example", &invalid},
		{"not yet valid", root, LeafOptions{Names: names, NotBefore: now.Add(24 * time.Hour), NotAfter: now.Add(48 * time.Hour)}, nil, "backend.example", &invalid},
		{"for clients", root, LeafOptions{Names: names, Client: true}, nil, "backend.example", &invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf, err := c.by.Leaf(c.opts)
			must(t, err)
			if c.change != nil {
				c.change(leaf)
			}
			err = tryHandshake(t, leaf.TLS(), root.Pool(), c.server, time.Now)
			if c.want == nil {
				must(t, err)
			} else if !errors.As(err, c.want) {
				t.Errorf("handshake: %v, want %T", err, c.want)
			}
		})
	}
	// Dropping one leaf's chain must not touch its sister's.
	leaf, err := lower.Leaf(LeafOptions{Names: names})
	must(t, err)
	if len(leaf.Chain) != 2 || len(leaf.ChainPEM()) == 0 {
		t.Errorf("chain of %d", len(leaf.Chain))
	}
}

// tryHandshake returns what the client made of cert, over a real connection.
func tryHandshake(t *testing.T, cert tls.Certificate, roots *x509.CertPool, name string, now func() time.Time) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() // the client tells
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name, Time: now}).Handshake()
}

// A certificate may sign whatever it says of itself, and dates are as asked.
func TestAdjust(t *testing.T) {
	a, err := NewAuthority("root")
	if err != nil {
		t.Fatal(err)
	}
	middle, err := a.Leaf(LeafOptions{CommonName: "middle", Adjust: func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := middle.Authority().Leaf(LeafOptions{Names: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(leaf.Chain) != 1 || leaf.Chain[0] != middle.Certificate {
		t.Fatalf("chain %v", leaf.Chain)
	}
	intermediates := x509.NewCertPool()
	intermediates.AddCert(middle.Certificate)
	if _, err := leaf.Certificate.Verify(x509.VerifyOptions{DNSName: "a.test", Roots: a.Pool(), Intermediates: intermediates}); err != nil {
		t.Error(err)
	}
	own, err := a.Leaf(LeafOptions{CommonName: "own", SelfSigned: true})
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = own.Authority().Leaf(LeafOptions{}); err != nil || len(leaf.Chain) != 0 {
		t.Errorf("a root is in the chain: %v %v", leaf, err)
	}
}

package httpwire

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// host serves one listener through a Server and remembers the sessions.
type host struct {
	t        testing.TB
	server   *Server
	addr     string
	tls      *tls.Config // nil: plain
	roots    *x509.CertPool
	sessions chan *Session
}

func newHost(t testing.TB, o Options, secure bool) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, server: NewServer(o), addr: l.Addr().String(), sessions: make(chan *Session, 1000)}
	if secure {
		cert, pool := testCertificate(t)
		h.roots = pool
		h.tls = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, DynamicRecordSizingDisabled: true}
	}
	var mu sync.Mutex
	all := make(map[*Session]bool) // those that may be open
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				facts := &Conn{ID: "test", Listener: "REGIONAL", Peer: c.RemoteAddr().(*net.TCPAddr).AddrPort()}
				if secure {
					tc := tls.Server(NewSocket(c), h.tls)
					if tc.Handshake() != nil {
						c.Close()
						return
					}
					facts.HTTP2 = tc.ConnectionState().NegotiatedProtocol == "h2"
					c = tc
				} else {
					facts.Listener = "HTTP"
				}
				s := h.server.Serve(c, facts)
				mu.Lock()
				all[s] = true
				mu.Unlock()
				go func() {
					<-s.Done()
					mu.Lock()
					delete(all, s)
					mu.Unlock()
				}()
				h.sessions <- s
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		left := slices.Collect(maps.Keys(all))
		mu.Unlock()
		for _, s := range left {
			s.Close()
			wait(t, s)
		}
	})
	return h
}

func (h *host) dial() net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if h.tls != nil {
		c = tls.Client(c, &tls.Config{RootCAs: h.roots, ServerName: "test.example"})
	}
	return c
}

// client is a Go client with one protocol and a pool of its own.
func (h *host) client(http2 bool) *http.Client {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2)
	tr := &http.Transport{
		Protocols:       p,
		TLSClientConfig: &tls.Config{RootCAs: h.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, h.addr)
		},
	}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// exchange sends bytes and returns all that comes back until close.
func (h *host) exchange(send string) string {
	h.t.Helper()
	c := h.dial()
	if _, err := io.WriteString(c, send); err != nil {
		h.t.Fatal(err)
	}
	b, err := io.ReadAll(bufio.NewReader(c))
	if err != nil && !strings.Contains(err.Error(), "reset") {
		h.t.Fatalf("reading: %v after %q", err, b)
	}
	return string(b)
}

func wait(t testing.TB, s *Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal("session did not end")
	}
}

func testCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"test.example"}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// newPair is a connection over loopback.
func newPair(t testing.TB) (client *net.TCPConn, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn), server
}

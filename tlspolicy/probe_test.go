package tlspolicy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
)

// A probe of each policy, enforced on real sockets, fits that policy and
// contradicts every one that differs in anything a probe can see.
func TestProbe(t *testing.T) {
	var leaves []tls.Certificate
	for _, leaf := range testLeaves(t) {
		leaves = append(leaves, leaf.cert)
	}
	for _, p := range All() {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			addr := serveProbes(t, func(c net.Conn) {
				_ = Server(c, func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) {
					config := &tls.Config{Certificates: leaves}
					p.Configure(config)
					return p, config, nil
				}).Handshake()
			})
			o, err := Probe(t.Context(), "", dialTo(addr)) // no name: the leaves have others
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Contradictions(p); len(got) > 0 {
				t.Errorf("its own probe contradicts it: %v", got)
			}
			if o.Unanswered > 0 {
				t.Errorf("%d questions without an answer: %v", o.Unanswered, o.Steps)
			}
			for version := p.Min; version <= p.Max; version++ {
				if want, got := p.Offered(version), o.Suites[version]; !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v in this order", VersionName(version), got, want)
				}
			}
			for _, other := range All() {
				same := Diff(p, other).Same() || samePQ(p, other)
				if fits := len(o.Contradictions(other)) == 0; fits && !same {
					t.Errorf("it fits %v as well", other)
				}
			}
		})
	}
}

// samePQ reports whether two policies look alike to a probe.
func samePQ(a, b *Policy) bool {
	for _, version := range allVersions {
		x, y := a.Offered(version), b.Offered(version)
		slices.Sort(x)
		slices.Sort(y)
		if !slices.Equal(x, y) {
			return false
		}
	}
	return a.PostQuantum == b.PostQuantum || a.Max < tls.VersionTLS13
}

// What does not speak TLS, or nobody listens at, is an error and no finding.
func TestProbeNothing(t *testing.T) {
	plain := serveProbes(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	if _, err := Probe(t.Context(), "", dialTo(plain)); err == nil {
		t.Error("an HTTP server was taken for a TLS server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	var op *net.OpError
	if _, err := Probe(t.Context(), "", dialTo(l.Addr().String())); !errors.As(err, &op) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Probe(ctx, "", dialTo(plain)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func serveProbes(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

func dialTo(addr string) func(context.Context) (net.Conn, error) {
	var d net.Dialer
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
}

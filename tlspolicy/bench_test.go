package tlspolicy

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// BenchmarkHandshake completes handshakes, both ends, for every policy at its
// highest version, full with each kind of certificate and resumed.
func BenchmarkHandshake(b *testing.B) {
	for _, p := range All() {
		for _, leaf := range testLeaves(b) {
			b.Run(p.String()+"/"+leaf.kind, func(b *testing.B) {
				benchmark(b, policyServer(p, configFor(p, leaf)), clientFor(leaf), false)
			})
		}
		b.Run(p.String()+"/resumed", func(b *testing.B) {
			leaf := testLeaves(b)[0]
			benchmark(b, policyServer(p, configFor(p, leaf)), clientFor(leaf), true)
		})
	}
}

// BenchmarkOverhead compares Server with crypto/tls alone under the same
// configuration, at TLS 1.3 and 1.2.
func BenchmarkOverhead(b *testing.B) {
	p := mustLookup(b, "TLS_1_2", false)
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		for _, leaf := range testLeaves(b) {
			for _, masked := range []bool{false, true} {
				name := VersionName(version) + "/" + leaf.kind + "/plain"
				config := configFor(p, leaf)
				serve := func(c net.Conn) handshaker { return tls.Server(c, config) }
				if masked {
					name = VersionName(version) + "/" + leaf.kind + "/policy"
					serve = policyServer(p, config)
				}
				b.Run(name, func(b *testing.B) {
					client := clientFor(leaf)
					client.MinVersion, client.MaxVersion = version, version
					benchmark(b, serve, client, false)
				})
			}
		}
	}
}

// BenchmarkRefusal is the cost of a ClientHello that the policy refuses.
func BenchmarkRefusal(b *testing.B) {
	p := mustLookup(b, "SecurityPolicy_TLS13_1_3_FIPS_2025_09", false)
	choose := always(p, configFor(p, testLeaves(b)[0]))
	hello := rawhello.Build(rawhello.Hello{Version: tls.VersionTLS13, Suites: a3[2:], Groups: classical, Shares: classical, ServerName: proofName})
	b.ReportAllocs()
	for b.Loop() {
		if err := Server(&rawhello.Conn{In: hello}, choose).Handshake(); err == nil {
			b.Fatal("accepted")
		}
	}
}

type handshaker interface {
	net.Conn
	HandshakeContext(context.Context) error
}

func policyServer(p *Policy, config *tls.Config) func(net.Conn) handshaker {
	choose := always(p, config)
	return func(c net.Conn) handshaker { return Server(c, choose) }
}

func benchmark(b *testing.B, serve func(net.Conn) handshaker, config *tls.Config, resumed bool) {
	if resumed {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	once := func() tls.ConnectionState {
		near, far := rawhello.Pipe()
		done := make(chan error, 1)
		go func() {
			c := serve(far)
			if err := c.HandshakeContext(context.Background()); err != nil {
				far.Close()
				done <- err
				return
			}
			_, err := c.Write([]byte{1})
			done <- err
		}()
		client := tls.Client(near, config)
		if _, err := client.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		near.Close()
		return client.ConnectionState()
	}
	once() // generates keys, earns a ticket
	b.ReportAllocs()
	for b.Loop() {
		if cs := once(); cs.DidResume != resumed {
			b.Fatalf("resumed: %t", cs.DidResume)
		}
	}
}

package frontgate

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// benchNames are 100,000 default endpoints under the policies in turn.
func benchNames(b *testing.B) (*table, []string) {
	tab := newTable(b)
	policies := []string{tls13, pfs, fips13, "SecurityPolicy_TLS13_1_2_2021_06"}
	hosts := make([]string, 100000)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("a%09d.execute-api.us-east-1.localhost", i)
		tab.names[hosts[i]] = &snapshot.Name{
			Host: hosts[i], API: hosts[i][:10], Policy: policy(b, policies[i%len(policies)]), Mode: snapshot.Strict,
			Endpoints: snapshot.Regional, Revision: 1, Certificates: tab.fallback.Certificates,
		}
	}
	return tab, hosts
}

// BenchmarkHandshake is a new ECDSA connection through the gate, client
// included, among 100,000 names. "few" keeps their configurations; "all" asks
// for more names than are kept.
func BenchmarkHandshake(b *testing.B) {
	tab, hosts := benchNames(b)
	for _, bm := range []struct {
		name string
		of   int
	}{{"few", 100}, {"all", len(hosts)}} {
		b.Run(bm.name, func(b *testing.B) {
			g := start(b, tab, func(o *Options) { o.Connections = func(telemetry.Connection) {} })
			b.ReportAllocs()
			for b.Loop() {
				raw, err := net.Dial("tcp", g.addrs["REGIONAL"])
				if err != nil {
					b.Fatal(err)
				}
				c := tls.Client(raw, &tls.Config{ServerName: hosts[rand.IntN(bm.of)], RootCAs: testCA().pool})
				if err := c.Handshake(); err != nil {
					b.Fatal(err)
				}
				raw.(*net.TCPConn).SetLinger(0) // do not run out of ports
				raw.Close()
			}
		})
	}
}

// BenchmarkChoose is what the gate itself adds to a handshake: the lookup of
// the name and of its configuration.
func BenchmarkChoose(b *testing.B) {
	tab, hosts := benchNames(b)
	cs := newConfigs(start(b, tab, nil).now)
	for _, bm := range []struct {
		name string
		of   int
	}{{"few", 100}, {"all", len(hosts)}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cs.get(tab.Lookup(snapshot.NormalizeHost(hosts[rand.IntN(bm.of)]))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAdmit(b *testing.B) {
	tab, hosts := benchNames(b)
	x := &httpwire.Exchange{Authority: hosts[7] + ":8443", Conn: &httpwire.Conn{Listener: "REGIONAL", SNI: hosts[7],
		Version: tls.VersionTLS13, Suite: tls.TLS_AES_128_GCM_SHA256, Group: tls.X25519}}
	target := tab.names[hosts[7]]
	b.ReportAllocs()
	for b.Loop() {
		if v := Admit(tab, x, target); v.Refused() {
			b.Fatal(v)
		}
	}
}

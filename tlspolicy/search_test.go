package tlspolicy

import (
	"crypto/tls"
	"net"
	"slices"
	"testing"
)

// Each policy of search domains is proved like those of API Gateway, and a
// probe of it finds what it lists and nothing else.
func TestSearchPolicies(t *testing.T) {
	var leaves []tls.Certificate
	for _, leaf := range testLeaves(t) {
		leaves = append(leaves, leaf.cert)
	}
	for _, p := range Search() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if err := p.Prove(); err != nil {
				t.Fatal(err)
			}
			if got, ok := LookupSearch(p.Name); !ok || got != p {
				t.Error("it is not found by its name")
			}
			if _, ok := Lookup(p.Name, false); ok || slices.Contains(Names(), p.Name) {
				t.Error("an API may have it")
			}
			addr := serveProbes(t, func(c net.Conn) {
				_ = Server(c, func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) {
					config := &tls.Config{Certificates: leaves}
					p.Configure(config)
					return p, config, nil
				}).Handshake()
			})
			o, err := Probe(t.Context(), "", dialTo(addr))
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range Search() {
				if fits := len(o.Contradictions(other)) == 0; fits != (other == p) {
					t.Errorf("fits %s: %v: %v", other.Name, fits, o.Contradictions(other))
				}
			}
		})
	}
}

package tlspolicy

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// soak reports whether the long walks are to be run in full.
func soak() bool { return os.Getenv("SALLYPORT_SOAK") != "" }

// sampled tells a long walk which of its steps to take: all under
// SALLYPORT_SOAK, else a tenth, scattered so that no nested loop's rhythm
// always hits or always misses, and the same in every run.
func sampled(step int) bool { return soak() || uint32(step)*2654435761>>16%10 == 0 }

func testLeaves(t testing.TB) []*proofLeaf {
	t.Helper()
	leaves, err := proofLeaves()
	if err != nil {
		t.Fatal(err)
	}
	return leaves
}

func mustLookup(t testing.TB, name string, edge bool) *Policy {
	t.Helper()
	p, ok := Lookup(name, edge)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	return p
}

// configFor is the usual configuration: certificates, own ticket keys.
func configFor(p *Policy, leaves ...*proofLeaf) *tls.Config {
	config := new(tls.Config)
	for _, leaf := range leaves {
		config.Certificates = append(config.Certificates, leaf.cert)
	}
	p.Configure(config)
	config.SetSessionTicketKeys([][32]byte{{1, 2, 3}})
	return config
}

func always(p *Policy, config *tls.Config) Choose {
	return func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) { return p, config, nil }
}

// outcome is what both ends of a handshake saw.
type outcome struct {
	server    *Conn
	serverErr error
	client    tls.ConnectionState
	clientErr error
}

// handshake runs a client of crypto/tls against Server, both for real, and
// lets the server send one byte, so that tickets arrive.
func handshake(t testing.TB, choose Choose, client *tls.Config) outcome {
	t.Helper()
	near, far := rawhello.Pipe()
	defer near.Close()
	stop := time.AfterFunc(time.Minute, func() { near.Close() }) // only against a hang
	defer stop.Stop()
	var o outcome
	o.server = Server(far, choose)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		if o.serverErr = o.server.HandshakeContext(context.Background()); o.serverErr == nil {
			_, o.serverErr = o.server.Write([]byte{1})
		}
	}()
	c := tls.Client(near, client)
	_, o.clientErr = c.Read(make([]byte, 1))
	o.client = c.ConnectionState()
	near.Close()
	<-done
	return o
}

// clientFor verifies the leaves of the harness.
func clientFor(leaves ...*proofLeaf) *tls.Config {
	config := &tls.Config{ServerName: proofName, MinVersion: tls.VersionTLS10}
	for _, leaf := range leaves {
		if config.RootCAs == nil {
			config.RootCAs = leaf.pool.Clone()
		} else {
			config.RootCAs.AddCert(leaf.cert.Leaf)
		}
	}
	return config
}

// raw offers one hello to a server and reads the answer.
func raw(choose Choose, h rawhello.Hello) (rawhello.Answer, error) {
	return rawhello.Exchange(rawhello.Build(h), func(c net.Conn) { _ = Server(c, choose).Handshake() })
}

// row is a row of the documented table in numbers, read independently of the
// package's own rows and names of suites.
type row struct {
	policy   *Policy
	versions []uint16
	suites13 []uint16
	suites12 []uint16
	groups   []tls.CurveID
}

var rowIDs = map[string]uint16{
	"TLS_AES_128_GCM_SHA256": 0x1301, "TLS_AES_256_GCM_SHA384": 0x1302, "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
	"ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B, "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
	"ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C, "ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
	"ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9, "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
	"ECDHE-ECDSA-AES128-SHA256": 0xC023, "ECDHE-RSA-AES128-SHA256": 0xC027,
	"ECDHE-ECDSA-AES256-SHA384": 0xC024, "ECDHE-RSA-AES256-SHA384": 0xC028,
	"ECDHE-ECDSA-AES128-SHA": 0xC009, "ECDHE-RSA-AES128-SHA": 0xC013,
	"ECDHE-ECDSA-AES256-SHA": 0xC00A, "ECDHE-RSA-AES256-SHA": 0xC014,
	"AES128-GCM-SHA256": 0x009C, "AES256-GCM-SHA384": 0x009D,
	"AES128-SHA256": 0x003C, "AES256-SHA256": 0x003D, "AES128-SHA": 0x002F, "AES256-SHA": 0x0035,
	"1.3": 0x0304, "1.2": 0x0303, "1.1": 0x0302, "1.0": 0x0301,
	"X25519": 29, "P-256": 23, "P-384": 24,
	"X25519MLKEM768": 4588, "SecP256r1MLKEM768": 4587, "SecP384r1MLKEM1024": 4589,
}

func rows(t testing.TB) []row {
	t.Helper()
	numbers := func(list string) (ids []uint16) {
		for _, name := range strings.Fields(list) {
			id, ok := rowIDs[name]
			if !ok {
				t.Fatalf("no number for %s", name)
			}
			ids = append(ids, id)
		}
		return ids
	}
	var all []row
	for _, d := range documented {
		r := row{
			policy:   mustLookup(t, d.name, d.edge),
			versions: numbers(d.versions), suites13: numbers(d.suites13), suites12: numbers(d.suites12),
		}
		for _, g := range numbers(d.groups) {
			r.groups = append(r.groups, tls.CurveID(g))
		}
		all = append(all, r)
	}
	return all
}

// want says what the documentation promises a client that offers exactly one
// version, suite and group (0 for none) to a server with the leaf: the answer,
// or the alert. The three suites that crypto/tls lacks are the only exception.
func (r row) want(version, suite uint16, group tls.CurveID, leaf *proofLeaf) (rawhello.Answer, uint8) {
	const protocolVersion, handshakeFailure = 70, 40
	if !slices.Contains(r.versions, version) {
		return rawhello.Answer{}, protocolVersion
	}
	answer := rawhello.Answer{Version: version, Suite: suite, Group: group}
	if version == 0x0304 {
		if !slices.Contains(r.suites13, suite) || !slices.Contains(r.groups, group) {
			return rawhello.Answer{}, handshakeFailure
		}
		return answer, 0
	}
	name := ""
	for n, id := range rowIDs {
		if id == suite {
			name = n
		}
	}
	switch {
	case !slices.Contains(r.suites12, suite),
		suite == 0xC024, suite == 0xC028, suite == 0x003D, // crypto/tls lacks them
		version < 0x0303 && !strings.HasSuffix(name, "-SHA"),
		strings.HasPrefix(name, "ECDHE-ECDSA-") != (leaf.kind == "ECDSA"):
		return rawhello.Answer{}, handshakeFailure
	case !strings.HasPrefix(name, "ECDHE-"):
		answer.Group = 0
		return answer, 0
	case group > 256 || !slices.Contains(r.groups, group): // hybrid groups do not exist below TLS 1.3
		return rawhello.Answer{}, handshakeFailure
	}
	return answer, 0
}

package tlspolicy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// Prove shows that this process, with its Go release, GODEBUG and FIPS 140-3
// mode, enforces exactly p: it offers every version, suite and group that
// crypto/tls knows to a [Server] in memory, one at a time, with an ECDSA and
// with an RSA certificate, compares what is accepted with p, and completes a
// handshake at each version. Nothing touches the network.
//
// The error names the first difference and the settings that may cause it.
// Run Prove for each policy at start and serve none that fails. It takes some
// milliseconds, the first call longer because it generates keys. It is safe
// for concurrent use.
func (p *Policy) Prove() error {
	if !p.valid() {
		return &Violation{Part: NoPolicy}
	}
	leaves, err := proofLeaves()
	if err != nil {
		return fmt.Errorf("prove policy %s: %w", p, err)
	}
	for _, leaf := range leaves {
		if err := p.proveWith(leaf); err != nil {
			return fmt.Errorf("prove policy %s with an %s certificate: %w%s", p, leaf.kind, err, settings())
		}
	}
	return nil
}

// proofs remembers what Prove said of each row.
var proofs = func() map[*Policy]func() error {
	m := make(map[*Policy]func() error)
	for _, p := range All() {
		m[p] = sync.OnceValue(p.Prove)
	}
	return m
}()

// Proven is [Policy.Prove] run once per process and remembered, for the rows
// of [All]; another Policy is proved each time. It is safe for concurrent use.
func (p *Policy) Proven() error {
	if proof, ok := proofs[p]; ok {
		return proof()
	}
	return p.Prove()
}

// settings names what outside the program changes crypto/tls's mind.
func settings() string {
	var s []string
	if fips140.Enabled() {
		s = append(s, "FIPS 140-3 mode is on")
	}
	if v := os.Getenv("GODEBUG"); v != "" {
		s = append(s, "GODEBUG="+v)
	}
	if s == nil {
		return ""
	}
	return " (" + strings.Join(s, ", ") + ")"
}

func (p *Policy) proveWith(leaf *proofLeaf) error {
	config := &tls.Config{Certificates: []tls.Certificate{leaf.cert}, SessionTicketsDisabled: true}
	p.Configure(config)
	choose := func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) { return p, config, nil }

	candidates := slices.AppendSeq(Missing(), maps.Keys(implemented))
	slices.Sort(candidates)
	for _, version := range allVersions {
		for _, suite := range candidates {
			want := rawhello.Answer{}
			if p.permits(version, suite) && leaf.serves(version, suite) {
				want = rawhello.Answer{Version: version, Suite: suite, Group: p.Groups[0]}
				switch {
				case suites[suite].rsaKex:
					want.Group = 0
				case version < tls.VersionTLS13:
					want.Group = p.classicalGroup()
				}
			}
			offer := rawhello.Hello{Version: version, Suites: []uint16{suite}, Groups: p.Groups, Shares: p.Groups[:1]}
			if err := probe(choose, offer, want); err != nil {
				return fmt.Errorf("offered %s %s: %w", VersionName(version), SuiteName(suite), err)
			}
		}
		if err := p.proveOrder(choose, version, leaf); err != nil {
			return err
		}
		if err := p.proveGroups(choose, version, leaf); err != nil {
			return err
		}
		if p.permitsVersion(version) {
			if err := complete(choose, version, p.Offered(version), leaf); err != nil {
				return fmt.Errorf("handshake with %s: %w", VersionName(version), err)
			}
		}
	}
	return nil
}

// proveOrder offers all suites at once, worst first, with a share and, in TLS
// 1.3, without one.
func (p *Policy) proveOrder(choose Choose, version uint16, leaf *proofLeaf) error {
	best, group := p.best(version, leaf)
	if best == 0 {
		return nil
	}
	offer := slices.AppendSeq(Missing(), maps.Keys(implemented))
	offer = slices.DeleteFunc(offer, func(id uint16) bool { return slices.Contains(p.listed(version), id) })
	listed := slices.Clone(p.listed(version))
	slices.Reverse(listed)
	hello := rawhello.Hello{Version: version, Suites: slices.Concat(offer, listed), Groups: p.Groups, Shares: p.Groups[:1]}
	want := rawhello.Answer{Version: version, Suite: best, Group: group}
	if err := probe(choose, hello, want); err != nil {
		return fmt.Errorf("offered all suites with %s: %w", VersionName(version), err)
	}
	if version == tls.VersionTLS13 {
		hello.Shares, want.Retry = nil, true
		if err := probe(choose, hello, want); err != nil {
			return fmt.Errorf("offered all suites without a key share: %w", err)
		}
	}
	return nil
}

// proveGroups offers one group at a time.
func (p *Policy) proveGroups(choose Choose, version uint16, leaf *proofLeaf) error {
	var suite uint16
	for _, id := range p.Offered(version) {
		if leaf.serves(version, id) && !suites[id].rsaKex {
			suite = id
			break
		}
	}
	if suite == 0 {
		return nil
	}
	for _, group := range slices.Concat(hybrid, classical, []tls.CurveID{tls.CurveP521}) {
		want := rawhello.Answer{}
		if p.permitsGroup(version, suite, group) {
			want = rawhello.Answer{Version: version, Suite: suite, Group: group}
		}
		offer := rawhello.Hello{Version: version, Suites: []uint16{suite}, Groups: []tls.CurveID{group}, Shares: []tls.CurveID{group}}
		if err := probe(choose, offer, want); err != nil {
			return fmt.Errorf("offered %s with group %s: %w", VersionName(version), GroupName(group), err)
		}
	}
	return nil
}

// best returns the first listed suite that a leaf can serve, and its group
// when all of p's groups are offered.
func (p *Policy) best(version uint16, leaf *proofLeaf) (uint16, tls.CurveID) {
	for _, id := range p.Offered(version) {
		switch {
		case !leaf.serves(version, id):
		case suites[id].rsaKex:
			return id, 0
		case version < tls.VersionTLS13:
			return id, p.classicalGroup()
		default:
			return id, p.Groups[0]
		}
	}
	return 0, 0
}

func (p *Policy) classicalGroup() tls.CurveID {
	for _, group := range p.Groups {
		if !isHybrid(group) {
			return group
		}
	}
	return 0
}

// probe makes one offer; the zero want stands for a refusal.
func probe(choose Choose, offer rawhello.Hello, want rawhello.Answer) error {
	got, err := rawhello.Exchange(rawhello.Build(offer), func(c net.Conn) {
		// It ends with an error at the latest when the client falls silent.
		_ = Server(c, choose).Handshake()
	})
	var refused rawhello.Refused
	switch {
	case errors.As(err, &refused) && want == rawhello.Answer{}:
		return nil
	case errors.As(err, &refused):
		return fmt.Errorf("refused with %s, but the policy permits it", AlertName(refused.Alert))
	case err != nil:
		return err
	case want == rawhello.Answer{}:
		return fmt.Errorf("accepted as %s, but the policy forbids it", describe(got))
	case got != want:
		return fmt.Errorf("accepted as %s in place of %s", describe(got), describe(want))
	}
	return nil
}

func describe(a rawhello.Answer) string {
	s := VersionName(a.Version) + " " + SuiteName(a.Suite)
	if a.Group != 0 {
		s += " " + GroupName(a.Group)
	}
	if a.Retry {
		s += " (retry)"
	}
	return s
}

// proofTime bounds a handshake in memory, which waits for nothing.
const proofTime = 10 * time.Second

// complete runs a whole handshake with crypto/tls's client and exchanges a
// byte.
func complete(choose Choose, version uint16, ids []uint16, leaf *proofLeaf) error {
	if !slices.ContainsFunc(ids, func(id uint16) bool { return leaf.serves(version, id) }) {
		return nil
	}
	near, far := rawhello.Pipe()
	defer near.Close()
	defer time.AfterFunc(proofTime, func() { near.Close() }).Stop()
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		_, err := Server(far, choose).Write([]byte{1})
		served <- err
	}()
	client := tls.Client(near, &tls.Config{
		MinVersion: version, MaxVersion: version, CipherSuites: ids,
		ServerName: proofName, RootCAs: leaf.pool,
	})
	_, err := client.Read(make([]byte, 1))
	near.Close()
	return errors.Join(err, <-served)
}

const proofName = "proof.invalid"

type proofLeaf struct {
	kind string // ECDSA or RSA
	cert tls.Certificate
	pool *x509.CertPool
}

// serves reports whether the certificate can be used with the suite.
func (l *proofLeaf) serves(version, suite uint16) bool {
	if version == tls.VersionTLS13 {
		return true
	}
	s := suites[suite]
	return s != nil && strings.HasPrefix(s.iana, "TLS_ECDHE_ECDSA_") == (l.kind == "ECDSA")
}

var proofLeaves = sync.OnceValues(func() ([]*proofLeaf, error) {
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	var leaves []*proofLeaf
	for _, k := range []struct {
		kind string
		key  crypto.Signer
	}{{"ECDSA", ecKey}, {"RSA", rsaKey}} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1),
			DNSNames:     []string{proofName},
			// Proofs may be run again and again for as long as the process lives.
			NotBefore: time.Now().Add(-time.Hour),
			NotAfter:  time.Now().AddDate(20, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.key.Public(), k.key)
		if err != nil {
			return nil, err
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		leaves = append(leaves, &proofLeaf{k.kind, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.key, Leaf: leaf}, pool})
	}
	return leaves, nil
})

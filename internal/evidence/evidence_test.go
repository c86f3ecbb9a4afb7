package evidence

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// serve listens on loopback and hands each connection to f.
func serve(t *testing.T, f func(net.Conn)) string {
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
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return l.Addr().String()
}

func selfSigned(t *testing.T, name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestProbe(t *testing.T) {
	leaf := selfSigned(t, "a.example.com")
	between := func(min, max uint16) func(net.Conn) {
		return func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: min, MaxVersion: max}).Handshake()
		}
	}
	enforced := func(name string) func(net.Conn) {
		p, ok := tlspolicy.Lookup(name, false)
		if !ok {
			if p, ok = tlspolicy.LookupSearch(name); !ok {
				t.Fatal(name)
			}
		}
		return func(c net.Conn) {
			_ = tlspolicy.Server(c, func(*tlspolicy.Hello, *tls.ClientHelloInfo) (*tlspolicy.Policy, *tls.Config, error) {
				config := &tls.Config{Certificates: []tls.Certificate{leaf}}
				p.Configure(config)
				return p, config, nil
			}).Handshake()
		}
	}
	refuses := func(c net.Conn) {
		io.ReadFull(c, make([]byte, 5))
		c.Write([]byte{21, 3, 3, 0, 2, 2, 40})
		io.Copy(io.Discard, c)
	}
	var asked atomic.Int32
	for _, tt := range []struct {
		what        string
		server      func(net.Conn)
		wire        posture.Wire
		contradicts bool
		value       string // begins so
	}{
		{"as configured", enforced("SecurityPolicy_TLS13_1_3_2025_09"), posture.Wire{Policy: "SecurityPolicy_TLS13_1_3_2025_09"}, false, "accepts TLSv1.3"},
		{"another policy", enforced("TLS_1_0"), posture.Wire{Policy: "SecurityPolicy_TLS13_1_3_2025_09"}, true, ""},
		{"a search domain's policy", enforced("Policy-Min-TLS-1-2-PFS-2023-10"), posture.Wire{Policy: "Policy-Min-TLS-1-2-PFS-2023-10"}, false, "accepts TLSv1.3, TLSv1.2"},
		{"a search domain's older policy", enforced("Policy-Min-TLS-1-2-2019-07"), posture.Wire{Policy: "Policy-Min-TLS-1-2-PFS-2023-10"}, true, ""},
		{"versions alone", between(tls.VersionTLS12, tls.VersionTLS13), posture.Wire{Min: tls.VersionTLS12}, false, "accepts TLSv1.3, TLSv1.2"},
		{"an older version", between(tls.VersionTLS10, tls.VersionTLS13), posture.Wire{Min: tls.VersionTLS12}, true, "TLSv1.1 is accepted; TLSv1.0 is accepted"},
		{"a newer version", between(tls.VersionTLS12, tls.VersionTLS13), posture.Wire{Min: tls.VersionTLS12, Max: tls.VersionTLS12}, true, "TLSv1.3 is accepted"},
		{"nothing is expected", between(tls.VersionTLS10, tls.VersionTLS13), posture.Wire{}, false, "accepts"},
		{"it refuses everybody", refuses, posture.Wire{Min: tls.VersionTLS12}, true, "every handshake is refused"},
		{"it refuses once, then is silent", func(c net.Conn) {
			if asked.Add(1) == 1 {
				refuses(c)
				return
			}
			c.Write([]byte{23, 3, 3, 0, 1, 0}) // data before there is a session: no answer, and no refusal either
			io.Copy(io.Discard, c)
		}, posture.Wire{Min: tls.VersionTLS12}, false, "nothing was accepted; 3 questions were not answered"},
		{"it speaks no TLS", func(c net.Conn) { io.WriteString(c, "220 mail.example.com ESMTP\r\n") }, posture.Wire{Min: tls.VersionTLS12}, false, "no probe: "},
	} {
		t.Run(tt.what, func(t *testing.T) {
			addr := serve(t, tt.server)
			tt.wire.Host = "a.example.com"
			var d net.Dialer
			e := Probe(t.Context(), &tt.wire, addr, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) })
			if e.Contradicts != tt.contradicts || !strings.HasPrefix(e.Value, tt.value) || e.Kind != posture.Probe || e.Target != addr {
				t.Errorf("%+v", e)
			}
			if asked := !strings.HasPrefix(e.Value, "no probe"); asked != (e.Time != nil) || asked != (len(e.Transcript) > 0) {
				t.Errorf("a probe has a time and a transcript, and nothing else has: %+v", e)
			}
		})
	}
}

// A finding whose configuration and wire disagree says so first, and passes no
// more; what could not be asked changes nothing.
func TestWitness(t *testing.T) {
	finding := func(s posture.Status) *posture.Finding {
		return &posture.Finding{Status: s, Reason: "securityPolicy is A"}
	}
	for _, tt := range []struct {
		before      posture.Status
		contradicts bool
		after       posture.Status
	}{
		{posture.Passed, false, posture.Passed},
		{posture.Passed, true, posture.Unknown},
		{posture.Failed, true, posture.Failed},
		{posture.Unfixable, true, posture.Unfixable},
	} {
		f := finding(tt.before)
		f.Witness(posture.Evidence{Kind: posture.Probe, Value: "TLSv1.0 is accepted", Contradicts: tt.contradicts})
		if f.Status != tt.after || len(f.Evidence) != 1 || strings.HasPrefix(f.Reason, "the wire contradicts the configuration: TLSv1.0 is accepted") != tt.contradicts {
			t.Errorf("%s, %v: %s: %s", tt.before, tt.contradicts, f.Status, f.Reason)
		}
	}
}

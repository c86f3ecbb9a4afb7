package tlspolicy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// TestClientHelloInfoAliasesTheHandshake is the canary for what the package
// rests on. It uses crypto/tls alone: the suites handed to GetConfigForClient
// must be the very slice from which the handshake selects and which is
// compared with the ClientHello after a HelloRetryRequest.
func TestClientHelloInfoAliasesTheHandshake(t *testing.T) {
	const changed = "crypto/tls of %s no longer hands GetConfigForClient the slice that the handshake uses (%s): " +
		"masking in conn.go does nothing any more, TLS 1.3 suites are NOT enforced; do not release with this Go version"
	leaf := testLeaves(t)[0]
	serve := func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{
			Certificates: []tls.Certificate{leaf.cert},
			GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
				for i, id := range info.CipherSuites {
					if id == tls.TLS_AES_128_GCM_SHA256 {
						info.CipherSuites[i] = grease
					}
				}
				return nil, nil
			},
		}).Handshake()
	}
	hello := rawhello.Hello{Version: tls.VersionTLS13, Suites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384},
		Groups: []tls.CurveID{tls.X25519}, Shares: []tls.CurveID{tls.X25519}}
	answer, err := rawhello.Exchange(rawhello.Build(hello), serve)
	if err != nil || answer.Suite != tls.TLS_AES_256_GCM_SHA384 {
		t.Errorf(changed, runtime.Version(), "selection saw a suite that was overwritten")
	}

	// The comparison: overwritten and never restored, the two hellos differ.
	hello.Shares = nil
	again := hello
	again.Shares, again.Again = hello.Groups, true
	c := &rawhello.Conn{In: rawhello.Build(hello)}
	c.Next = func([]byte) []byte {
		c.Next = nil
		c.Out.Reset()
		return rawhello.Build(again)
	}
	serve(c)
	_, err = rawhello.ReadServerHello(&c.Out)
	if !isAlert(err, illegalParameter) {
		t.Errorf(changed, runtime.Version(), "the hellos around a HelloRetryRequest compared equal")
	}
}

const (
	handshakeFailure      = 40
	badCertificate        = 42
	illegalParameter      = 47
	unknownCA             = 48
	protocolVersion       = 70
	internalError         = 80
	inappropriateFallback = 86
	noApplicationProtocol = 120
)

func isAlert(err error, code uint8) bool {
	var refused rawhello.Refused
	return errors.As(err, &refused) && refused.Alert == code
}

// TestRetry sends ChaCha first and no share, as a client would that has to be
// asked: the suite stays the listed one in both answers, and a second hello
// that differs is refused.
func TestRetry(t *testing.T) {
	for _, r := range rows(t) {
		choose := always(r.policy, configFor(r.policy, testLeaves(t)[0]))
		for _, second := range []struct {
			suites []uint16
			alert  uint8
		}{
			{[]uint16{0x1303, 0x1302, 0x1301, 0xC02B}, 0},
			{[]uint16{0x0A0A, 0x0A0A, 0x1301, 0x0A0A}, illegalParameter}, // the masked list is not what it sent
			{[]uint16{0x1303, 0x1302, 0x1301}, illegalParameter},
		} {
			hello := rawhello.Hello{Version: tls.VersionTLS13, Suites: []uint16{0x1303, 0x1302, 0x1301, 0xC02B}, Groups: r.groups, ServerName: proofName}
			c := &rawhello.Conn{In: rawhello.Build(hello)}
			c.Next = func(out []byte) []byte {
				c.Next = nil
				first, err := rawhello.ReadServerHello(bytes.NewReader(out))
				if err != nil || !first.Retry || first.Suite != 0x1301 || !slices.Contains(r.groups, first.Group) {
					t.Errorf("%s: first answer %+v, %v", r.policy, first, err)
				}
				c.Out.Reset()
				again := hello
				again.Suites, again.Shares, again.Again = second.suites, []tls.CurveID{first.Group}, true
				return rawhello.Build(again)
			}
			_ = Server(c, choose).Handshake()
			answer, err := rawhello.ReadServerHello(&c.Out)
			if second.alert == 0 && (err != nil || answer.Retry || answer.Suite != 0x1301) {
				t.Errorf("%s: second answer %+v, %v", r.policy, answer, err)
			}
			if second.alert != 0 && !isAlert(err, second.alert) {
				t.Errorf("%s: second hello with %x: %+v, %v", r.policy, second.suites, answer, err)
			}
		}
	}
}

// TestResumption resumes with Go's client at every version, without and with a
// HelloRetryRequest, and checks that a ticket of one configuration is worth
// nothing under another.
func TestResumption(t *testing.T) {
	leaves := testLeaves(t)
	for _, p := range All() {
		config := configFor(p, leaves...)
		other := configFor(p, leaves...)
		other.SetSessionTicketKeys([][32]byte{{9}})
		for _, version := range p.Versions() {
			for _, retry := range []bool{false, true} {
				if retry && version != tls.VersionTLS13 {
					continue
				}
				client := clientFor(leaves...)
				client.MinVersion, client.MaxVersion = version, version
				client.CipherSuites = p.Offered(version)
				client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				client.CurvePreferences = []tls.CurveID{tls.CurveP256}
				if retry {
					// Go's client sends its share for X25519, which only the FIPS
					// policies do not take; OpenSSL's covers the others.
					client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
					if !p.FIPS {
						continue
					}
				}
				run := func(config *tls.Config, resumed bool) {
					t.Helper()
					o := handshake(t, always(p, config), client)
					if o.clientErr != nil || o.serverErr != nil {
						t.Errorf("%s %s: client %v, server %v", p, VersionName(version), o.clientErr, o.serverErr)
						return
					}
					cs := o.server.ConnectionState()
					if cs.DidResume != resumed || cs.HelloRetryRequest != retry || cs.CipherSuite != p.Offered(version)[0] {
						t.Errorf("%s %s: resumed %t, want %t; retry %t, want %t; suite %s", p, VersionName(version), cs.DidResume, resumed, cs.HelloRetryRequest, retry, SuiteName(cs.CipherSuite))
					}
					if err := p.Check(cs); err != nil {
						t.Error(err)
					}
				}
				run(config, false)
				run(config, true)
				run(other, false) // and leaves a ticket of its own
				run(other, true)
				run(config, false)
			}
		}
	}
}

// TestTicketsNeedKeys: outer lends its keys to nobody.
func TestTicketsNeedKeys(t *testing.T) {
	p, leaf := mustLookup(t, "TLS_1_2", false), testLeaves(t)[0]
	config := &tls.Config{Certificates: []tls.Certificate{leaf.cert}}
	p.Configure(config)
	client := clientFor(leaf)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // a client that wants tickets
	o := handshake(t, always(p, config), client)
	if o.serverErr == nil || !strings.Contains(o.serverErr.Error(), "SetSessionTicketKeys") {
		t.Errorf("without ticket keys: %v", o.serverErr)
	}
	config.SessionTicketsDisabled = true
	if o := handshake(t, always(p, config), client); o.serverErr != nil || o.clientErr != nil {
		t.Errorf("without tickets: server %v, client %v", o.serverErr, o.clientErr)
	}
}

// TestRefusals lists what clients are told.
func TestRefusals(t *testing.T) {
	x25519, p256 := []tls.CurveID{tls.X25519}, []tls.CurveID{tls.CurveP256}
	tests := []struct {
		name   string
		policy string
		hello  rawhello.Hello
		alert  uint8
	}{
		{"TLS 1.2 client, TLS 1.3 policy", "SecurityPolicy_TLS13_1_3_2025_09",
			rawhello.Hello{Version: tls.VersionTLS12, Suites: r4, Groups: x25519}, protocolVersion},
		{"TLS 1.1 client, TLS 1.2 policy", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS11, Suites: r18, Groups: x25519}, protocolVersion},
		{"SSL 3.0 client, TLS 1.0 policy", "TLS_1_0",
			rawhello.Hello{Version: 0x0300, Suites: r18, Groups: x25519}, protocolVersion},
		{"legacy version of TLS 1.3 without the extension means TLS 1.2", "SecurityPolicy_TLS13_1_3_2025_09",
			rawhello.Hello{Version: tls.VersionTLS12, Suites: a3, Groups: x25519}, protocolVersion},
		{"ChaCha only, FIPS policy", "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
			rawhello.Hello{Version: tls.VersionTLS13, Suites: a3[2:], Groups: p256, Shares: p256}, handshakeFailure},
		{"ChaCha only, FIPS policy, no share", "SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09",
			rawhello.Hello{Version: tls.VersionTLS13, Suites: a3[2:], Groups: p256}, handshakeFailure},
		{"X25519 only, FIPS policy", "SecurityPolicy_TLS13_1_3_FIPS_2025_09",
			rawhello.Hello{Version: tls.VersionTLS13, Suites: a3, Groups: x25519, Shares: x25519}, handshakeFailure},
		{"fallback from TLS 1.3", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS12, Suites: append(slices.Clone(r12), 0x5600), Groups: x25519}, inappropriateFallback},
		{"fallback from TLS 1.2 to 1.1", "TLS_1_0",
			rawhello.Hello{Version: tls.VersionTLS11, Suites: append(slices.Clone(r18), 0x5600), Groups: x25519}, inappropriateFallback},
		{"fallback value at the highest version", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS13, Suites: append(slices.Clone(a3), 0x5600), Groups: x25519, Shares: x25519}, 0},
		{"GREASE first", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS13, Versions: []uint16{0x3A3A, 0x0304, 0x0303}, Suites: []uint16{0x1A1A, 0x1301}, Groups: []tls.CurveID{0x2A2A, tls.X25519}, Shares: x25519}, 0},
		{"only what is masked with", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS13, Suites: []uint16{grease}, Groups: x25519, Shares: x25519}, handshakeFailure},
		{"no suites", "TLS_1_2",
			rawhello.Hello{Version: tls.VersionTLS13, Groups: x25519, Shares: x25519}, handshakeFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustLookup(t, tt.policy, false)
			config := configFor(p, testLeaves(t)[0])
			c := &rawhello.Conn{In: rawhello.Build(tt.hello)}
			server := Server(c, always(p, config))
			err := server.Handshake()
			if err == nil {
				t.Fatal("a handshake without a client's Finished")
			}
			_, readErr := rawhello.ReadServerHello(&c.Out)
			a, ok := server.Alert()
			if tt.alert == 0 {
				if readErr != nil || ok {
					t.Errorf("refused: %v, %v", readErr, a)
				}
				return
			}
			if !isAlert(readErr, tt.alert) || !ok || !a.Sent || a.Code != tt.alert {
				t.Errorf("client saw %v, server %v %t, want %s", readErr, a, ok, AlertName(tt.alert))
			}
			if server.Policy() != p || server.Hello() == nil || !slices.Equal(server.Hello().Suites, tt.hello.Suites) && len(tt.hello.Suites) > 0 {
				t.Errorf("the record of the failed handshake is not what was offered: %+v", server.Hello())
			}
		})
	}
}

// TestHTTP2 never lets HTTP/2 run where RFC 9113 forbids it.
func TestHTTP2(t *testing.T) {
	both, only2 := []string{"h2", "http/1.1"}, []string{"h2"}
	tests := []struct {
		version uint16
		suite   uint16
		server  []string
		client  []string
		want    string
		alert   uint8
	}{
		{tls.VersionTLS13, 0x1301, both, both, "h2", 0},
		{tls.VersionTLS12, 0xC02F, both, both, "h2", 0},
		{tls.VersionTLS12, 0xC030, both, both, "h2", 0},
		{tls.VersionTLS12, 0xC027, both, both, "http/1.1", 0}, // CBC
		{tls.VersionTLS12, 0x009C, both, both, "http/1.1", 0}, // RSA key exchange
		{tls.VersionTLS12, 0xC013, both, both, "http/1.1", 0},
		{tls.VersionTLS11, 0xC013, both, both, "http/1.1", 0},
		{tls.VersionTLS10, 0x002F, both, both, "http/1.1", 0},
		{tls.VersionTLS10, 0x002F, both, nil, "", 0},
		{tls.VersionTLS12, 0x009C, both, only2, "", noApplicationProtocol},
		{tls.VersionTLS12, 0x009C, only2, only2, "", 0}, // nothing is left to agree on
		{tls.VersionTLS12, 0xC02F, only2, only2, "h2", 0},
		{tls.VersionTLS12, 0x009C, []string{"http/1.1"}, both, "http/1.1", 0},
	}
	p, rsaLeaf := mustLookup(t, "TLS_1_0", false), testLeaves(t)[1]
	for _, tt := range tests {
		config := configFor(p, rsaLeaf)
		config.NextProtos = tt.server
		client := clientFor(rsaLeaf)
		client.MinVersion, client.MaxVersion, client.CipherSuites, client.NextProtos = tt.version, tt.version, []uint16{tt.suite}, tt.client
		o := handshake(t, always(p, config), client)
		if tt.alert != 0 {
			if a, ok := o.server.Alert(); !ok || a.Code != tt.alert {
				t.Errorf("%+v: alert %v %t", tt, a, ok)
			}
			continue
		}
		if o.serverErr != nil || o.clientErr != nil || o.client.NegotiatedProtocol != tt.want || o.client.CipherSuite != tt.suite {
			t.Errorf("%+v: got %q with %s, server %v, client %v", tt, o.client.NegotiatedProtocol, SuiteName(o.client.CipherSuite), o.serverErr, o.clientErr)
		}
		if !slices.Equal(config.NextProtos, tt.server) {
			t.Errorf("the caller's configuration was changed to %q", config.NextProtos)
		}
		// A session resumes under the configuration with fewer protocols too.
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for _, resumed := range []bool{false, true} {
			if o := handshake(t, always(p, config), client); o.clientErr != nil || o.client.DidResume != resumed || o.client.NegotiatedProtocol != tt.want {
				t.Errorf("%+v: resumed %t, protocol %q, %v", tt, o.client.DidResume, o.client.NegotiatedProtocol, o.clientErr)
			}
		}
	}
}

// TestHTTP2WhenOrderIsUnknown: where the suite cannot be foretold below TLS
// 1.3, HTTP/2 is not offered.
func TestHTTP2WhenOrderIsUnknown(t *testing.T) {
	leaves := testLeaves(t)
	p := mustLookup(t, "TLS_1_2", false)
	config := configFor(p, leaves...)
	config.NextProtos = []string{"h2", "http/1.1"}
	// The curve of the ECDSA certificate is not among the client's groups.
	answer, err := raw(always(p, config), rawhello.Hello{Version: tls.VersionTLS12, Suites: []uint16{0xC02B}, Groups: []tls.CurveID{tls.X25519},
		ALPN: []string{"h2", "http/1.1"}, ServerName: proofName})
	if err != nil || answer.ALPN != "http/1.1" {
		t.Errorf("got %+v, %v", answer, err)
	}
}

// TestChooseFails: errors, panics, and what is not a policy and its
// configuration refuse the connection and nothing else.
func TestChooseFails(t *testing.T) {
	leaf := testLeaves(t)[0]
	p, q := mustLookup(t, "TLS_1_2", false), mustLookup(t, "SecurityPolicy_TLS13_1_3_2025_09", false)
	good := configFor(p, leaf)
	with := func(change func(*tls.Config)) *tls.Config {
		config := configFor(p, leaf)
		change(config)
		return config
	}
	boom := errors.New("boom")
	tests := map[string]Choose{
		"error":               func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) { return p, good, boom },
		"panic":               func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) { panic(boom) },
		"nil":                 func(*Hello, *tls.ClientHelloInfo) (*Policy, *tls.Config, error) { return nil, nil, nil },
		"nil Choose":          nil,
		"no policy":           always(nil, good),
		"no configuration":    always(p, nil),
		"not configured":      always(p, &tls.Config{Certificates: []tls.Certificate{leaf.cert}}),
		"another policy's":    always(q, good),
		"wider versions":      always(p, with(func(c *tls.Config) { c.MinVersion = tls.VersionTLS10 })),
		"no lowest version":   always(p, with(func(c *tls.Config) { c.MinVersion = 0 })),
		"no suites":           always(p, with(func(c *tls.Config) { c.CipherSuites = nil })),
		"one suite more":      always(p, with(func(c *tls.Config) { c.CipherSuites = append(c.CipherSuites, 0xC013) })),
		"one suite less":      always(p, with(func(c *tls.Config) { c.CipherSuites = c.CipherSuites[1:] })),
		"default groups":      always(p, with(func(c *tls.Config) { c.CurvePreferences = nil })),
		"other groups":        always(p, with(func(c *tls.Config) { c.CurvePreferences = append(c.CurvePreferences, tls.CurveP521) })),
		"no VerifyConnection": always(p, with(func(c *tls.Config) { c.VerifyConnection = nil })),
		"panicking certificate": always(p, with(func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic(boom) }
		})),
	}
	for name, p := range closed() {
		config := &tls.Config{Certificates: []tls.Certificate{leaf.cert}, SessionTicketsDisabled: true}
		p.Configure(config)
		tests["policy: "+name] = always(p, config)
		// Such a configuration is of no use without Server either.
		if p.valid() {
			continue
		}
		_, err := rawhello.Exchange(rawhello.Build(rawhello.Hello{Version: tls.VersionTLS13, Suites: a3, Groups: classical, Shares: classical}),
			func(c net.Conn) { _ = tls.Server(c, config).Handshake() })
		if !isAlert(err, protocolVersion) {
			t.Errorf("%s: crypto/tls under its configuration: %v", name, err)
		}
	}
	for name, choose := range tests {
		t.Run(name, func(t *testing.T) {
			o := handshake(t, choose, clientFor(leaf))
			if o.serverErr == nil || o.clientErr == nil {
				t.Fatalf("accepted: %s", describe(rawhello.Answer{Version: o.client.Version, Suite: o.client.CipherSuite}))
			}
			if name == "error" && (!errors.Is(o.serverErr, boom) || !strings.Contains(o.serverErr.Error(), proofName)) {
				t.Errorf("error: %v", o.serverErr)
			}
			if o.server.Hello() == nil {
				t.Error("no record of the offers")
			}
			if a, ok := o.server.Alert(); !ok && !strings.Contains(name, "certificate") {
				t.Errorf("alert %v %t for %v", a, ok, o.serverErr)
			}
			// It stays refused.
			if _, err := o.server.Write([]byte("x")); err == nil {
				t.Error("writes after a refusal")
			}
			if _, err := o.server.Read(make([]byte, 1)); err == nil {
				t.Error("reads after a refusal")
			}
		})
	}
}

// TestPanicInHandshake: a panic that crypto/tls does not catch, here in a
// private key, is an error of one connection.
func TestPanicInHandshake(t *testing.T) {
	leaf := testLeaves(t)[0]
	p := mustLookup(t, "TLS_1_2", false)
	config := configFor(p)
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no such key") }
	o := handshake(t, always(p, config), clientFor(leaf)) // TLS 1.3: the certificate is asked for after choosing
	if o.serverErr == nil || !strings.Contains(o.serverErr.Error(), "no such key") || o.clientErr == nil {
		t.Errorf("server %v, client %v", o.serverErr, o.clientErr)
	}
	if err := o.server.Handshake(); err == nil {
		t.Error("the second try succeeds")
	}
}

// TestWrongForesight: GetCertificate may answer otherwise than it did when
// the suite was picked; what is negotiated is permitted all the same.
func TestWrongForesight(t *testing.T) {
	leaves := testLeaves(t)
	for _, p := range All() {
		config := configFor(p)
		calls := 0
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			calls++
			return &leaves[calls%2].cert, nil
		}
		for _, version := range walkVersions {
			for range 4 {
				answer, err := raw(always(p, config), rawhello.Hello{Version: version, Suites: walkSuitesWithout(), Groups: walkGroups[1:], Shares: p.Groups[:1], ServerName: proofName})
				if err == nil && !p.permits(answer.Version, answer.Suite) {
					t.Errorf("%s: %s", p, describe(answer))
				}
				if err == nil && p.Check(tls.ConnectionState{Version: answer.Version, CipherSuite: answer.Suite, CurveID: answer.Group}) != nil {
					t.Errorf("%s: %s", p, describe(answer))
				}
			}
		}
	}
}

// TestGetCertificate: a callback sees one suite at a time and may go by it.
func TestGetCertificate(t *testing.T) {
	leaves := testLeaves(t)
	p := mustLookup(t, "TLS_1_2", false)
	config := configFor(p)
	config.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
		for _, leaf := range leaves {
			if info.SupportsCertificate(&leaf.cert) == nil {
				return &leaf.cert, nil
			}
		}
		return nil, errors.New("none fits")
	}
	for _, tt := range []struct {
		offered []uint16
		want    uint16
	}{
		{[]uint16{0xC02F, 0xC02B}, 0xC02B},
		{[]uint16{0xC027, 0xC02C}, 0xC027},
		{[]uint16{0x009D, 0x003C}, 0x003C},
	} {
		answer, err := raw(always(p, config), rawhello.Hello{Version: tls.VersionTLS12, Suites: tt.offered, Groups: classical, ServerName: proofName})
		if err != nil || answer.Suite != tt.want {
			t.Errorf("offered %x: %04x %v, want %04x", tt.offered, answer.Suite, err, tt.want)
		}
	}
}

// TestConfigureWithoutServer: a configuration used without Server cannot
// choose TLS 1.3 suites, but what it may not have chosen goes no further.
func TestConfigureWithoutServer(t *testing.T) {
	p, leaf := mustLookup(t, "SecurityPolicy_TLS13_1_3_FIPS_2025_09", false), testLeaves(t)[0]
	config := configFor(p, leaf)
	err := config.VerifyConnection(tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_CHACHA20_POLY1305_SHA256, CurveID: tls.CurveP256})
	var v *Violation
	if !errors.As(err, &v) || v.Part != Suite || v.Policy != p.Name {
		t.Errorf("got %v", err)
	}
}

// TestVerifyConnectionIsKept: the caller's own check runs after the policy's.
func TestVerifyConnectionIsKept(t *testing.T) {
	p, leaf := mustLookup(t, "TLS_1_2", false), testLeaves(t)[0]
	mine := errors.New("mine")
	config := &tls.Config{Certificates: []tls.Certificate{leaf.cert}, SessionTicketsDisabled: true, VerifyConnection: func(tls.ConnectionState) error { return mine }}
	p.Configure(config)
	if o := handshake(t, always(p, config), clientFor(leaf)); !errors.Is(o.serverErr, mine) {
		t.Errorf("got %v", o.serverErr)
	}
}

// TestClientCertificateAlerts: an alert sent encrypted is told from the error.
func TestClientCertificateAlerts(t *testing.T) {
	leaves := testLeaves(t)
	p := mustLookup(t, "TLS_1_2", false)
	for _, version := range p.Versions() {
		config := configFor(p, leaves[0])
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		client := clientFor(leaves[0])
		client.MinVersion, client.MaxVersion = version, version
		client.Certificates = []tls.Certificate{leaves[1].cert}
		o := handshake(t, always(p, config), client)
		if a, ok := o.server.Alert(); !ok || !a.Sent || a.Code != unknownCA {
			t.Errorf("%s: server %v: alert %v %t", VersionName(version), o.serverErr, a, ok)
		}
	}
}

// TestReceivedAlert: a client that trusts nothing says so.
func TestReceivedAlert(t *testing.T) {
	p, leaf := mustLookup(t, "TLS_1_2", false), testLeaves(t)[0]
	for _, version := range p.Versions() {
		client := &tls.Config{ServerName: proofName, RootCAs: x509.NewCertPool(), MinVersion: version, MaxVersion: version}
		o := handshake(t, always(p, configFor(p, leaf)), client)
		a, ok := o.server.Alert()
		if !ok || a.Sent || a.Code != badCertificate || a.String() != "bad_certificate" {
			t.Errorf("%s: server %v: alert %v %t", VersionName(version), o.serverErr, a, ok)
		}
	}
}

// TestConn checks the connection's own face.
func TestConn(t *testing.T) {
	p, leaf := mustLookup(t, "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", false), testLeaves(t)[0]
	near, far := rawhello.Pipe()
	defer near.Close()
	var seen *Hello
	c := Server(far, func(h *Hello, info *tls.ClientHelloInfo) (*Policy, *tls.Config, error) {
		seen = h
		if !slices.Equal(h.Suites, info.CipherSuites) || slices.Contains(h.Suites, grease) {
			t.Errorf("Choose sees masked suites %x", h.Suites)
		}
		return p, configFor(p, leaf), nil
	})
	if c.Hello() != nil || c.Policy() != nil {
		t.Error("knows the hello before it was read")
	}
	if _, ok := c.Alert(); ok {
		t.Error("knows an alert before the handshake")
	}
	if inner, ok := c.NetConn().(interface{ NetConn() net.Conn }); !ok || inner.NetConn() != far {
		t.Error("NetConn does not lead back to the connection")
	}
	go func() {
		client := tls.Client(near, clientFor(leaf))
		_, _ = io.Copy(client, client)
	}()
	if _, err := c.Write([]byte("ping")); err != nil { // handshakes first
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
		t.Fatalf("%q, %v", b, err)
	}
	if c.Hello() != seen || c.Policy() != p || seen.ServerName != proofName {
		t.Errorf("hello %+v, policy %v", c.Hello(), c.Policy())
	}
	if cs := c.ConnectionState(); cs.CurveID != tls.X25519MLKEM768 || cs.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Errorf("%s %s", GroupName(cs.CurveID), SuiteName(cs.CipherSuite))
	}
	if err := c.HandshakeContext(context.Background()); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, ok := c.Alert(); ok {
		t.Error("close_notify counts as a failure")
	}
}

// TestCanceledHandshake: the context ends a handshake that gets nowhere.
func TestCanceledHandshake(t *testing.T) {
	near, far := rawhello.Pipe()
	defer near.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Server(far, nil).HandshakeContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestEmbeddedConnUnderHTTP hands the embedded tls.Conn to net/http before its
// handshake: net/http runs it, and the policy holds.
func TestEmbeddedConnUnderHTTP(t *testing.T) {
	leaf := testLeaves(t)[0]
	p := mustLookup(t, "SecurityPolicy_TLS13_1_3_FIPS_2025_09", false)
	config := configFor(p, leaf)
	config.NextProtos = []string{"h2", "http/1.1"}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+SuiteName(r.TLS.CipherSuite)+" "+GroupName(r.TLS.CurveID))
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(embedding{tcp, always(p, config)}) })
	defer serving.Wait()
	defer server.Close()

	for proto, http2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		transport := &http.Transport{TLSClientConfig: clientFor(leaf), ForceAttemptHTTP2: http2}
		response, err := (&http.Client{Transport: transport}).Get("https://" + tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		transport.CloseIdleConnections()
		if want := proto + " TLS_AES_128_GCM_SHA256 P-256"; err != nil || string(body) != want {
			t.Errorf("got %q %v, want %q", body, err, want)
		}
	}
}

type embedding struct {
	net.Listener
	choose Choose
}

func (l embedding) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Server(c, l.choose).Conn, nil
}

// TestConcurrentConnections shares one configuration among many handshakes,
// for the race detector.
func TestConcurrentConnections(t *testing.T) {
	leaves := testLeaves(t)
	p := mustLookup(t, "TLS_1_0", false)
	config := configFor(p, leaves...)
	config.NextProtos = []string{"h2", "http/1.1"}
	cache := tls.NewLRUClientSessionCache(8)
	var group sync.WaitGroup
	for n := range 32 {
		group.Go(func() {
			client := clientFor(leaves...)
			client.MaxVersion = allVersions[n%len(allVersions)]
			client.CipherSuites = p.Offered(client.MaxVersion)
			client.NextProtos, client.ClientSessionCache = config.NextProtos, cache
			if o := handshake(t, always(p, config), client); o.clientErr != nil || o.serverErr != nil {
				t.Errorf("client %v, server %v", o.clientErr, o.serverErr)
			}
		})
	}
	group.Wait()
}

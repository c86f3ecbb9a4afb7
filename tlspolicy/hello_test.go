package tlspolicy

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// TestJA4 uses the example that the specification works through, a Chrome
// ClientHello, and its rules for what is missing or odd.
// Source: FoxIO, JA4 technical details.
func TestJA4(t *testing.T) {
	chrome := Hello{
		Versions: []uint16{0x3A3A, 0x0304, 0x0303},
		Suites: []uint16{0x0A0A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8,
			0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035},
		Extensions: []uint16{0xEAEA, 0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005,
			0x0023, 0x0012, 0x002B, 0xFF01, 0x000B, 0x000A, 0x0015, 0x9A9A},
		SignatureSchemes: []tls.SignatureScheme{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		ALPN:             []string{"h2", "http/1.1"},
	}
	with := func(change func(*Hello)) Hello {
		h := chrome
		change(&h)
		return h
	}
	without := func(ids []uint16, drop uint16) []uint16 {
		return slices.DeleteFunc(slices.Clone(ids), func(id uint16) bool { return id == drop })
	}
	tests := []struct {
		name  string
		hello Hello
		want  string
	}{
		{"the specification's example", chrome, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"suites in another order", with(func(h *Hello) { h.Suites = slices.Clone(h.Suites); slices.Reverse(h.Suites) }), "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"no SNI", with(func(h *Hello) { h.Extensions = without(h.Extensions, 0) }), "t13i1515h2_8daaf6152771_e5627efa2ab1"},
		{"no ALPN", with(func(h *Hello) { h.ALPN = nil; h.Extensions = without(h.Extensions, 16) }), "t13d151500_8daaf6152771_e5627efa2ab1"},
		{"another ALPN", with(func(h *Hello) { h.ALPN = []string{"http/1.1"} }), "t13d1516h1_8daaf6152771_e5627efa2ab1"},
		{"one character of ALPN", with(func(h *Hello) { h.ALPN = []string{"x"} }), "t13d1516xx_8daaf6152771_e5627efa2ab1"},
		{"binary ALPN", with(func(h *Hello) { h.ALPN = []string{"\xab\xcd"} }), "t13d1516ad_8daaf6152771_e5627efa2ab1"},
		{"half binary ALPN", with(func(h *Hello) { h.ALPN = []string{"0\xab"} }), "t13d15163b_8daaf6152771_e5627efa2ab1"},
		{"TLS 1.2", with(func(h *Hello) { h.Versions = []uint16{0x0303, 0x0302, 0x0301} }), "t12d1516h2_8daaf6152771_e5627efa2ab1"},
		{"nothing at all", Hello{}, "t00i000000_000000000000_000000000000"},
		{"more than can be counted", Hello{Versions: []uint16{0x0303}, Suites: slices.Repeat([]uint16{1}, 500)}, "t12i990000_"},
		{"more than is hashed", Hello{Suites: slices.Repeat([]uint16{1}, maxFingerprint+1)}, ""},
	}
	for _, tt := range tests {
		got := ja4(&tt.hello)
		if got != tt.want && !(strings.HasSuffix(tt.want, "0000_") && strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestHelloNamesLeaveGREASEOut(t *testing.T) {
	h := Hello{
		Versions:         []uint16{0x0A0A, 0x0304, 0x0303},
		Suites:           []uint16{0x1A1A, 0x1301, 0xABCD},
		Groups:           []tls.CurveID{0x2A2A, tls.X25519MLKEM768, tls.CurveP256},
		SignatureSchemes: []tls.SignatureScheme{0x3A3A, tls.PSSWithSHA256},
	}
	for _, tt := range []struct {
		got  []string
		want string
	}{
		{h.VersionNames(), "TLSv1.3 TLSv1.2"},
		{h.SuiteNames(), "TLS_AES_128_GCM_SHA256 0xABCD"},
		{h.GroupNames(), "X25519MLKEM768 P-256"},
		{h.SignatureSchemeNames(), "rsa_pss_rsae_sha256"},
	} {
		if got := strings.Join(tt.got, " "); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	for _, n := range []int{MaxNames, MaxNames + 1, 30000} {
		h.Suites = slices.Repeat([]uint16{0x0A0A, 0x1301}, n)
		if got := len(h.SuiteNames()); got != MaxNames {
			t.Errorf("%d suites: %d names, the bound is %d", n, got, MaxNames)
		}
	}
}

// TestHelloIsACopy: what callers keep does not change with the handshake.
func TestHelloIsACopy(t *testing.T) {
	p, leaf := mustLookup(t, "TLS_1_2", false), testLeaves(t)[0]
	offer := rawhello.Hello{Version: tls.VersionTLS13, Versions: []uint16{0x0304, 0x0303}, Suites: []uint16{0x1303, 0x0A0A, 0x1301, 0xC02B},
		Groups: classical, Shares: classical[:1], ALPN: []string{"h2", "x"}, ServerName: proofName}
	c := Server(&rawhello.Conn{In: rawhello.Build(offer)}, always(p, configFor(p, leaf)))
	_ = c.Handshake()
	h := c.Hello()
	if !slices.Equal(h.Suites, offer.Suites) || !slices.Equal(h.Versions, offer.Versions) || !slices.Equal(h.Groups, offer.Groups) ||
		!slices.Equal(h.ALPN, offer.ALPN) || h.ServerName != proofName || !strings.HasPrefix(h.JA4, "t13d03") {
		t.Errorf("%+v", h)
	}
}

// TestHelloKeepsFewProtocols: a client may list thousands, and HTTP/2 last.
func TestHelloKeepsFewProtocols(t *testing.T) {
	p, leaf := mustLookup(t, "TLS_1_2", false), testLeaves(t)[0]
	config := configFor(p, leaf)
	config.NextProtos = []string{"h2", "http/1.1"}
	for _, n := range []int{MaxNames, MaxNames + 1, 10000} {
		protocols := append(slices.Repeat([]string{"x"}, n-2), "http/1.1", "h2")
		conn := &rawhello.Conn{In: rawhello.Build(rawhello.Hello{Version: tls.VersionTLS12, Suites: []uint16{0xC023}, Groups: classical, ALPN: protocols, ServerName: proofName})}
		c := Server(conn, always(p, config))
		_ = c.Handshake()
		if answer, err := rawhello.ReadServerHello(&conn.Out); err != nil || answer.ALPN != "http/1.1" {
			t.Errorf("%d protocols: %+v, %v", n, answer, err)
		}
		if got := len(c.Hello().ALPN); got != MaxNames {
			t.Errorf("%d protocols: keeps %d, the bound is %d", n, got, MaxNames)
		}
	}
}

// TestHelloLegacyVersion: without supported_versions TLS 1.3 is not offered,
// whatever the legacy version says.
func TestHelloLegacyVersion(t *testing.T) {
	message := rawhello.Message(rawhello.Hello{Version: tls.VersionTLS12, Suites: []uint16{0x1301, 0xC02B}, Groups: classical})
	message[4], message[5] = 3, 4
	record := append([]byte{22, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
	for _, p := range []*Policy{mustLookup(t, "TLS_1_2", false), mustLookup(t, "SecurityPolicy_TLS13_1_3_2025_09", false)} {
		conn := &rawhello.Conn{In: record}
		c := Server(conn, always(p, configFor(p, testLeaves(t)[0])))
		_ = c.Handshake()
		answer, err := rawhello.ReadServerHello(&conn.Out)
		if slices.Contains(c.Hello().Versions, tls.VersionTLS13) {
			t.Errorf("%s: versions %x", p, c.Hello().Versions)
		}
		switch {
		case p.Min == tls.VersionTLS13 && !isAlert(err, protocolVersion),
			p.Min == tls.VersionTLS12 && (err != nil || answer.Suite != 0xC02B):
			t.Errorf("%s: %+v, %v", p, answer, err)
		}
	}
}

// FuzzServer feeds a stranger's bytes to every policy: nothing panics, nothing
// is answered that the policy forbids, and the Hello can be shown.
func FuzzServer(f *testing.F) {
	leaves := testLeaves(f)
	for _, h := range []rawhello.Hello{
		{Version: tls.VersionTLS13, Suites: a3, Groups: hybridAny, Shares: classical[:2], ServerName: proofName, ALPN: []string{"h2", "http/1.1"}},
		{Version: tls.VersionTLS13, Suites: []uint16{0x0A0A, 0x1303}, Groups: classical},
		{Version: tls.VersionTLS12, Suites: append(slices.Clone(r18), 0x5600), Groups: classical, ServerName: proofName},
		{Version: tls.VersionTLS10, Suites: r18, Groups: classical, Fragment: 16},
		{Version: tls.VersionTLS13, Suites: a3, Groups: classical, Shares: classical[:1], Extensions: []rawhello.Extension{{ID: 41, Data: []byte{0, 0}}, {ID: 0xFE0D, Data: []byte{1}}, {ID: 51}}},
	} {
		f.Add(uint8(0), rawhello.Build(h))
	}
	f.Add(uint8(3), []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(uint8(9), []byte{22, 3, 1, 0, 4, 1, 0, 0, 0})
	f.Add(uint8(9), []byte{0x80, 0x2e, 1, 0, 2})
	all := All()
	configs := make([]*tls.Config, len(all))
	for i, p := range all {
		configs[i] = configFor(p, leaves...)
		configs[i].NextProtos = []string{"h2", "http/1.1"}
	}
	f.Fuzz(func(t *testing.T, n uint8, in []byte) {
		i := int(n) % len(all)
		p := all[i]
		conn := &rawhello.Conn{In: in, Step: int(n) / len(all)}
		c := Server(conn, always(p, configs[i]))
		err := c.Handshake()
		if err == nil {
			t.Fatal("a handshake without a client's secret")
		}
		if strings.Contains(err.Error(), "panic") {
			t.Fatal(err)
		}
		if h := c.Hello(); h != nil {
			_, _, _, _ = h.VersionNames(), h.SuiteNames(), h.GroupNames(), h.SignatureSchemeNames()
			if h.JA4 != "" && len(h.JA4) != 36 {
				t.Errorf("JA4 %q", h.JA4)
			}
		}
		answer, err := rawhello.ReadServerHello(&conn.Out)
		if err != nil {
			return
		}
		if answer.Resumed {
			t.Error("resumed a session that nobody had")
		}
		if err := p.Check(tls.ConnectionState{Version: answer.Version, CipherSuite: answer.Suite, CurveID: answer.Group}); err != nil {
			t.Error(err)
		}
		if answer.ALPN == "h2" && !allowsHTTP2(answer.Version, answer.Suite) {
			t.Errorf("HTTP/2 over %s", describe(answer))
		}
	})
}

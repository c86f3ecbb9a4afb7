package frontgate

import (
	"crypto/tls"
	"testing"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

func TestCross(t *testing.T) {
	const r, e, p = snapshot.Regional, snapshot.Edge, snapshot.Private
	for _, tt := range []struct {
		endpoints snapshot.EndpointType
		listener  string
		want      Crossing
	}{
		{r, "REGIONAL", SameType},
		{r, "EDGE", OtherType},
		{r, "PRIVATE", OtherType}, // a public domain through a VPC endpoint
		{e, "EDGE", SameType},
		{e, "REGIONAL", OtherType},
		{p, "PRIVATE", SameType},
		{p, "REGIONAL", Unreachable},
		{p, "EDGE", Unreachable},
		{r | e, "EDGE", SameType}, // while it moves
		{r | p, "EDGE", OtherType},
		{r, "HTTP", Unreachable},
		{r, "regional", Unreachable},
		{r, "", Unreachable},
		{0, "REGIONAL", Unreachable},
	} {
		if got := Cross(tt.endpoints, tt.listener); got != tt.want {
			t.Errorf("%v through %q: got %d, want %d", tt.endpoints, tt.listener, got, tt.want)
		}
	}
}

func TestAdmit(t *testing.T) {
	const basic, strictly, legacy = snapshot.Basic, snapshot.Strict, snapshot.NoMode
	const r, e, p = snapshot.Regional, snapshot.Edge, snapshot.Private
	const zone = ".execute-api.us-east-1.localhost"
	const plaintext = 1 // no version of TLS
	// Two leaves: of shop.example.com alone, and of a wildcard.
	wild := testCA().leaf(ecdsaKey(), "*.example.com")
	names := newTable(t,
		name(t, "basic.example.com", pfs, basic, r, 1),
		name(t, "strict.example.com", pfs, strictly, r, 1),
		name(t, "strict13.example.com", tls13, strictly, r, 1),
		name(t, "legacy.example.org", tls12, legacy, r, 1),
		name(t, "edge.example.com", "SecurityPolicy_TLS13_2025_EDGE", strictly, e, 1),
		name(t, "edge-basic.example.com", "SecurityPolicy_TLS13_2025_EDGE", basic, e, 1),
		name(t, "private.example.com", pfs, strictly, p, 1),
		name(t, "private-basic.example.com", pfs, basic, p, 1),
		&snapshot.Name{Host: "api1" + zone, API: "api1", Policy: policy(t, "SecurityPolicy_TLS13_2025_EDGE"), Mode: strictly, Endpoints: e},
		&snapshot.Name{Host: "api2" + zone, API: "api2", Policy: policy(t, "SecurityPolicy_TLS13_2025_EDGE"), Mode: strictly, Endpoints: e},
		&snapshot.Name{Host: "search.example.org", Policy: policy(t, tls13), Endpoints: r, Search: &snapshot.Search{Domain: "open"}},
		&snapshot.Name{Host: "secure.example.org", Policy: policy(t, pfs), Endpoints: r, Search: &snapshot.Search{Domain: "secure", EnforceHTTPS: true}},
	)
	own := func(host string) *tls.Certificate { return testCA().leaf(ecdsaKey(), host) }
	standard := names.fallback.Certificates[0]

	for _, tt := range []struct {
		name     string
		listener string
		http2    bool
		sni      string
		leaf     *tls.Certificate
		host     string
		version  uint16 // 0: TLS 1.3
		want     int
		close    bool
		would    bool
	}{
		{name: "BASIC, all equal", listener: "REGIONAL", sni: "basic.example.com", host: "basic.example.com"},
		{name: "BASIC, other SNI", listener: "REGIONAL", sni: "strict.example.com", host: "basic.example.com", would: true},
		{name: "BASIC, no SNI", listener: "REGIONAL", sni: "", host: "basic.example.com", would: true},
		{name: "BASIC, unknown SNI", listener: "REGIONAL", sni: "nobody.example.org", host: "basic.example.com", would: true},
		{name: "BASIC, edge listener", listener: "EDGE", sni: "basic.example.com", host: "basic.example.com", would: true},
		{name: "BASIC, private listener", listener: "PRIVATE", sni: "basic.example.com", host: "basic.example.com", would: true},
		{name: "BASIC, plaintext", listener: "HTTP", sni: "basic.example.com", host: "basic.example.com", want: 403},
		{name: "legacy, no SNI", listener: "REGIONAL", sni: "", host: "legacy.example.org", would: true},

		{name: "STRICT, all equal", listener: "REGIONAL", sni: "strict.example.com", host: "strict.example.com"},
		{name: "STRICT, case, port and dot", listener: "REGIONAL", sni: "strict.example.com", host: "STRICT.Example.com.:8443"},
		{name: "STRICT, two dots", listener: "REGIONAL", sni: "strict.example.com", host: "strict.example.com..", want: 403},
		{name: "STRICT, other SNI", listener: "REGIONAL", sni: "basic.example.com", host: "strict.example.com", want: 403},
		{name: "STRICT, no SNI", listener: "REGIONAL", sni: "", host: "strict.example.com", want: 403},
		{name: "STRICT, unknown SNI", listener: "REGIONAL", sni: "nobody.example.org", leaf: standard, host: "strict.example.com", want: 403},
		{name: "STRICT, edge listener", listener: "EDGE", sni: "strict.example.com", host: "strict.example.com", want: 403},
		{name: "STRICT, private listener", listener: "PRIVATE", sni: "strict.example.com", host: "strict.example.com", want: 403},
		{name: "STRICT, HTTP/2 reused, covered", listener: "REGIONAL", http2: true, sni: "basic.example.com", leaf: wild, host: "strict.example.com", want: 421},
		{name: "STRICT, HTTP/2 reused, not covered", listener: "REGIONAL", http2: true, sni: "basic.example.com", host: "strict.example.com", want: 403},
		{name: "STRICT, HTTP/1.1, covered", listener: "REGIONAL", sni: "basic.example.com", leaf: wild, host: "strict.example.com", want: 403},
		{name: "STRICT, HTTP/2, no SNI, covered", listener: "REGIONAL", http2: true, sni: "", leaf: wild, host: "strict.example.com", want: 403},

		{name: "private STRICT", listener: "PRIVATE", sni: "private.example.com", host: "private.example.com"},
		{name: "private STRICT by VPC endpoint name", listener: "PRIVATE", sni: "vpce-1.execute-api.us-east-1.vpce.example.org", host: "private.example.com", want: 403},
		{name: "private BASIC by VPC endpoint name", listener: "PRIVATE", sni: "vpce-1.execute-api.us-east-1.vpce.example.org", host: "private-basic.example.com", would: true},
		{name: "private BASIC, regional listener", listener: "REGIONAL", sni: "private-basic.example.com", host: "private-basic.example.com", want: 403},
		{name: "private BASIC, edge listener", listener: "EDGE", sni: "private-basic.example.com", host: "private-basic.example.com", want: 403},

		{name: "edge STRICT, all equal", listener: "EDGE", sni: "edge.example.com", host: "edge.example.com"},
		{name: "edge STRICT, the account's certificate", listener: "EDGE", sni: "basic.example.com", host: "edge.example.com"},
		{name: "edge STRICT, certificate covers", listener: "EDGE", sni: "nobody.example.com", leaf: wild, host: "edge.example.com"},
		{name: "edge STRICT, gateway's certificate covers", listener: "EDGE", sni: "api2" + zone, leaf: standard, host: "api1" + zone},
		{name: "edge STRICT, none of three", listener: "EDGE", sni: "api1" + zone, leaf: standard, host: "edge.example.com", want: 421},
		{name: "edge STRICT, unknown SNI", listener: "EDGE", sni: "nobody.example.org", leaf: standard, host: "edge.example.com", want: 421},
		{name: "edge STRICT, no SNI", listener: "EDGE", sni: "", leaf: standard, host: "edge.example.com"},
		{name: "edge STRICT, no SNI, weaker than its policy", listener: "EDGE", sni: "", leaf: standard, host: "edge.example.com", version: tls.VersionTLS12, want: 421},
		{name: "edge STRICT, account's certificate, weaker", listener: "EDGE", sni: "basic.example.com", host: "edge.example.com", version: tls.VersionTLS12, want: 421},
		{name: "edge STRICT, regional listener", listener: "REGIONAL", sni: "edge.example.com", host: "edge.example.com", want: 403},
		{name: "edge BASIC, unknown SNI", listener: "EDGE", sni: "nobody.example.org", leaf: standard, host: "edge-basic.example.com", would: true},

		{name: "search", listener: "REGIONAL", sni: "search.example.org", host: "search.example.org"},
		{name: "search, other SNI", listener: "REGIONAL", sni: "basic.example.com", host: "search.example.org", would: true},
		{name: "search, other SNI, weaker than its policy", listener: "REGIONAL", sni: "basic.example.com", host: "search.example.org", version: tls.VersionTLS12, want: 421},
		{name: "search, no SNI, weaker than its policy", listener: "REGIONAL", sni: "", host: "search.example.org", version: tls.VersionTLS12, want: 421},
		{name: "search, older than its policy", listener: "REGIONAL", sni: "search.example.org", host: "search.example.org", version: tls.VersionTLS12, want: 421, close: true},
		{name: "search, plaintext", listener: "HTTP", host: "search.example.org", version: plaintext},
		{name: "search that enforces HTTPS, plaintext", listener: "HTTP", host: "secure.example.org", version: plaintext, want: 403},
		{name: "plaintext, host unknown", listener: "HTTP", host: "nobody.example.org", version: plaintext, want: 403},

		{name: "host unknown", listener: "REGIONAL", sni: "basic.example.com", host: "nobody.example.org", want: 403},
		{name: "host of nothing", listener: "REGIONAL", sni: "basic.example.com", host: "", want: 403},
		{name: "older than the policy", listener: "REGIONAL", sni: "strict13.example.com", host: "strict13.example.com", version: tls.VersionTLS12, want: 421, close: true},
		{name: "older than the policy, BASIC host", listener: "REGIONAL", sni: "strict13.example.com", host: "basic.example.com", version: tls.VersionTLS12, want: 421, close: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &httpwire.Conn{Listener: tt.listener, HTTP2: tt.http2, SNI: tt.sni,
				Version: tls.VersionTLS13, Suite: tls.TLS_AES_128_GCM_SHA256, Group: tls.CurveP256}
			switch tt.version {
			case plaintext:
				*c = httpwire.Conn{Listener: tt.listener}
			case tls.VersionTLS12:
				c.Version, c.Suite = tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
			}
			switch {
			case tt.leaf != nil:
				c.Leaf = tt.leaf.Leaf
			case names.Lookup(tt.sni) != nil:
				c.Leaf = own(tt.sni).Leaf
			default:
				c.Leaf = standard.Leaf
			}
			x := &httpwire.Exchange{Conn: c, Authority: tt.host}
			v := Admit(names, x, names.Lookup(snapshot.NormalizeHost(tt.host)))
			if v.Status != tt.want || v.Close != tt.close || (v.WouldRefuse != "") != tt.would {
				t.Errorf("got %+v", v)
			}
			if v.Refused() && (v.Reason == "" || v.Message == "" || v.ErrorType == "") {
				t.Errorf("refusal is not explained: %+v", v)
			}
			if v.Status == 403 && (v.Message != "Forbidden" || v.ErrorType != "ForbiddenException") {
				t.Errorf("403 of another shape: %+v", v)
			}
		})
	}
}

package gatewaytest

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/tlspolicy"
)

// groups are those that a client may offer, P-521 as one that no policy has.
var groups = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}

// Every policy through the whole gateway: default endpoint with both leaves,
// custom domain with an ECDSA and with an RSA certificate; every version, suite
// and group. The raw ClientHellos are walked in tlspolicy.
func TestWalkPolicies(t *testing.T) {
	w := Start(t)
	arns := map[string]string{}
	for kind, key := range map[string]pki.KeyKind{"ECDSA": pki.ECDSAP256, "RSA": pki.RSA2048} {
		arns[kind] = w.importCertificate(t, "*.walk.example", key)
	}
	handshakes := 0
	for _, p := range tlspolicy.All() {
		endpoint, listener := types.EndpointTypeRegional, "REGIONAL"
		if p.Edge {
			endpoint, listener = types.EndpointTypeEdge, "EDGE"
		}
		mode := types.EndpointAccessMode("")
		if p.Enhanced() {
			mode = types.EndpointAccessModeStrict
		}
		hosts := map[string][]string{} // host -> kinds of key that it serves
		label := strings.ToLower(strings.ReplaceAll(p.Name, "_", "-"))
		for kind, arn := range arns {
			name := label + "-" + strings.ToLower(kind) + "-" + strings.ToLower(string(endpoint)) + ".walk.example"
			in := &apigateway.CreateDomainNameInput{DomainName: &name, SecurityPolicy: types.SecurityPolicy(p.Name), EndpointAccessMode: mode,
				EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{endpoint}}, RegionalCertificateArn: aws.String(arn)}
			if p.Edge {
				in.RegionalCertificateArn, in.CertificateArn = nil, aws.String(arn)
			}
			if _, err := w.API.CreateDomainName(t.Context(), in); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			hosts[name] = []string{kind}
		}
		if p.Name != "TLS_1_2" || !p.Edge { // not legal for an edge API
			hosts[w.Host(w.MockAPI(t, endpoint, types.SecurityPolicy(p.Name), mode))] = []string{"ECDSA", "RSA"}
		}
		for host, kinds := range hosts {
			handshakes += w.walk(t, listener, host, p, kinds)
		}
	}
	t.Logf("%d handshakes", handshakes)
}

// walk offers host one version, suite and group at a time.
func (w *World) walk(t *testing.T, listener, host string, p *tlspolicy.Policy, kinds []string) (handshakes int) {
	t.Helper()
	try := func(what string, c *tls.Config, want bool) {
		handshakes++
		c.ServerName = host
		conn, err := w.Dial(listener, c)
		if err == nil {
			if violation := p.Check(conn.ConnectionState()); violation != nil {
				t.Errorf("%s: %s: %v", host, what, violation)
			}
			conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %s: accepted %v (%v), want %v", host, what, err == nil, err, want)
		}
	}
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS13) { // crypto/tls's client always offers all of 1.3
			suites = append(suites, s.ID)
		}
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		for _, id := range suites {
			name := tlspolicy.SuiteName(id)
			kind := "RSA"
			if strings.Contains(name, "ECDSA") {
				kind = "ECDSA"
			}
			want := version >= p.Min && slices.Contains(p.Offered(version), id) && slices.Contains(kinds, kind)
			try(tlspolicy.VersionName(version)+" "+name, &tls.Config{MinVersion: version, MaxVersion: version, CipherSuites: []uint16{id}}, want)
		}
	}
	for _, g := range groups {
		try("TLSv1.3 group "+fmt.Sprint(g), &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{g}}, slices.Contains(p.Groups, g))
	}
	return handshakes
}

// importCertificate imports a certificate for name and trusts its root.
func (w *World) importCertificate(t testing.TB, name string, kind pki.KeyKind) string {
	t.Helper()
	authority, err := pki.NewAuthority("Authority of " + name)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Leaf(pki.LeafOptions{Names: []string{name}, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	key, err := issued.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	w.Roots.AppendCertsFromPEM(authority.PEM())
	out, err := w.ACM.ImportCertificate(t.Context(), &acm.ImportCertificateInput{Certificate: issued.CertificatePEM(), PrivateKey: key, CertificateChain: authority.PEM()})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.CertificateArn)
}

package gatewaytest

import (
	"crypto/tls"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
)

// A domain name on its way from regional to edge and back: each endpoint
// presents its own certificate and no other, by patch and by re-import, and the
// edge endpoint has policies of its own.
func TestDomainNameMoves(t *testing.T) {
	w := Start(t)
	ctx := t.Context()
	const name = "moving.example"
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	authority, err := pki.NewAuthority("Authority of " + name)
	if err != nil {
		t.Fatal(err)
	}
	w.Roots.AppendCertsFromPEM(authority.PEM())
	// certificate imports a new certificate and returns its ARN and serial number.
	certificate := func(arn *string, kind pki.KeyKind) (*string, string) {
		t.Helper()
		leaf, err := authority.Leaf(pki.LeafOptions{Names: []string{name}, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		key, err := leaf.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.ACM.ImportCertificate(ctx, &acm.ImportCertificateInput{CertificateArn: arn, Certificate: leaf.CertificatePEM(), PrivateKey: key, CertificateChain: authority.PEM()})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: out.CertificateArn})
		if err != nil {
			t.Fatal(err)
		}
		return out.CertificateArn, strings.ReplaceAll(aws.ToString(got.Certificate.Serial), ":", "")
	}
	regionalARN, regional := certificate(nil, pki.ECDSAP256)
	edgeARN, edge := certificate(nil, pki.ECDSAP256)
	ownershipARN, _ := certificate(nil, pki.RSA2048)
	if _, err := w.API.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{
		DomainName: aws.String(name), RegionalCertificateArn: regionalARN, OwnershipVerificationCertificateArn: ownershipARN,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.CreateBasePathMapping(ctx, &apigateway.CreateBasePathMappingInput{DomainName: aws.String(name), RestApiId: &api, Stage: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
	update := func(ops ...types.PatchOperation) {
		t.Helper()
		if _, err := w.API.UpdateDomainName(ctx, &apigateway.UpdateDomainNameInput{DomainName: aws.String(name), PatchOperations: ops}); err != nil {
			t.Fatal(err)
		}
	}
	op := func(op types.Op, path, value string) types.PatchOperation {
		return types.PatchOperation{Op: op, Path: aws.String(path), Value: aws.String(value)}
	}
	// presents wants these serial numbers at the two listeners; "": a refusal.
	presents := func(what string, c *tls.Config, want map[string]string) {
		t.Helper()
		c.ServerName = name
		for listener, serial := range want {
			got := ""
			conn, err := w.Dial(listener, c)
			if err == nil {
				got = hex.EncodeToString(conn.ConnectionState().PeerCertificates[0].SerialNumber.Bytes())
				conn.Close()
			}
			if got != serial {
				t.Errorf("%s: %s presents %q (%v), want %q", what, listener, got, err, serial)
			}
		}
	}
	any := &tls.Config{}
	onlyRSA := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}

	presents("regional", any, map[string]string{"REGIONAL": regional, "EDGE": regional})
	presents("the certificate that proves ownership", onlyRSA, map[string]string{"REGIONAL": ""})
	_, regional = certificate(regionalARN, pki.ECDSAP256)
	presents("re-imported", any, map[string]string{"REGIONAL": regional})
	update(op(types.OpAdd, "/endpointConfiguration/types", "EDGE"), op(types.OpAdd, "/certificateArn", *edgeARN))
	presents("both", any, map[string]string{"REGIONAL": regional, "EDGE": edge})
	_, edge = certificate(edgeARN, pki.ECDSAP256)
	presents("both, the edge's re-imported", any, map[string]string{"REGIONAL": regional, "EDGE": edge})
	regionalARN, regional = certificate(nil, pki.RSA2048)
	update(op(types.OpReplace, "/regionalCertificateArn", *regionalARN))
	presents("both, the regional one rotated", any, map[string]string{"REGIONAL": regional, "EDGE": edge})
	update(op(types.OpRemove, "/endpointConfiguration/types", "REGIONAL"))
	presents("edge", any, map[string]string{"REGIONAL": edge, "EDGE": edge})
	presents("what the regional endpoint left behind", onlyRSA, map[string]string{"REGIONAL": "", "EDGE": ""})

	update(Replace("/securityPolicy", "SecurityPolicy_TLS13_2025_EDGE", "/endpointAccessMode", "STRICT")...)
	presents("TLS 1.2 under TLS13_2025_EDGE", &tls.Config{MaxVersion: tls.VersionTLS12}, map[string]string{"EDGE": ""})
	w.get(t, "EDGE", "https://"+name+"/").is(t, "at the edge", 200, "", `{"ok":true}`)
	w.get(t, "REGIONAL", "https://"+name+"/").is(t, "strict, elsewhere", 403, "ForbiddenException", "")
	update(Replace("/endpointAccessMode", "BASIC")...)
	update(Replace("/endpointConfiguration/types/0", "REGIONAL", "/securityPolicy", "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09")...)
	presents("regional again", any, map[string]string{"REGIONAL": regional, "EDGE": regional})
}

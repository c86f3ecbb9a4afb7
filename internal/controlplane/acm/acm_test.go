package acm_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gatewaytypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

var ctx = context.Background()

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(t testing.TB, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("got %v, want %s %q", err, code, text)
	}
}

// parts are a certificate as a client sends it.
type parts struct{ certificate, key, chain []byte }

func issue(t testing.TB, opts pki.LeafOptions) parts {
	t.Helper()
	ca := must(must(pki.NewAuthority("test root"))(t).Intermediate("test intermediate"))(t)
	leaf := must(ca.Leaf(opts))(t)
	return parts{leaf.CertificatePEM(), must(leaf.KeyPEM())(t), leaf.ChainPEM()}
}

func (p parts) input() *sdk.ImportCertificateInput {
	return &sdk.ImportCertificateInput{Certificate: p.certificate, PrivateKey: p.key, CertificateChain: p.chain}
}

func TestImportDescribeGet(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	p := issue(t, pki.LeafOptions{Names: []string{"api.example.com", "*.example.com"}})
	in := p.input()
	in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}
	arn := must(g.ACM.ImportCertificate(ctx, in))(t).CertificateArn
	if !strings.HasPrefix(*arn, "arn:aws:acm:us-east-1:000000000000:certificate/") {
		t.Errorf("ARN %s", *arn)
	}

	d := must(g.ACM.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: arn}))(t).Certificate
	imported := must(pki.ParseCertificate(p.certificate, p.key, p.chain, time.Now()))(t)
	leaf := imported.Leaf
	if *d.DomainName != "api.example.com" || !slices.Equal(d.SubjectAlternativeNames, leaf.DNSNames) || *d.Subject != leaf.Subject.String() ||
		!d.NotAfter.Equal(leaf.NotAfter) || !d.NotBefore.Equal(leaf.NotBefore) || d.Type != types.CertificateTypeImported ||
		d.Status != types.CertificateStatusIssued || d.KeyAlgorithm != types.KeyAlgorithmEcPrime256v1 || *d.Issuer != "test intermediate" ||
		*d.SignatureAlgorithm != "SHA256WITHECDSA" || d.ImportedAt == nil || d.InUseBy == nil || len(d.InUseBy) != 0 {
		t.Errorf("described %+v", d)
	}
	if serial := strings.ReplaceAll(*d.Serial, ":", ""); serial != fmt.Sprintf("%0*x", len(serial), leaf.SerialNumber) || !strings.Contains(*d.Serial, ":") {
		t.Errorf("serial %s, certificate has %x", *d.Serial, leaf.SerialNumber)
	}
	if len(d.ExtendedKeyUsages) != 1 || d.ExtendedKeyUsages[0].Name != types.ExtendedKeyUsageNameTlsWebServerAuthentication {
		t.Errorf("extended key usages %+v", d.ExtendedKeyUsages)
	}
	got := must(g.ACM.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: arn}))(t)
	if *got.Certificate != string(p.certificate) || *got.CertificateChain != string(p.chain) {
		t.Errorf("got %s and %s", *got.Certificate, *got.CertificateChain)
	}
	if tags := must(g.ACM.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: arn}))(t).Tags; len(tags) != 1 || *tags[0].Value != "a" {
		t.Errorf("tags %+v", tags)
	}

	// The key is nowhere in the clear: not in the store, not in the log.
	der, _ := pem.Decode(p.key)
	docs, _, err := g.Store.List(ctx, store.Range{})
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		if bytes.Contains(doc.Value, der.Bytes[len(der.Bytes)-32:]) || bytes.Contains(doc.Value, []byte("PRIVATE KEY")) {
			t.Errorf("%s holds the key", doc.Key)
		}
	}
	if strings.Contains(g.Log(), "PRIVATE") {
		t.Error("the log holds the key")
	}
}

func TestImportRefusals(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	good := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}})
	other := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}})
	old := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	nameless := issue(t, pki.LeafOptions{})
	before := g.Revision(t)
	for _, tt := range []struct {
		name  string
		parts parts
		text  string
	}{
		{"not PEM", parts{[]byte("hello"), good.key, nil}, "PEM"},
		{"two certificates", parts{slices.Concat(good.certificate, other.certificate), good.key, nil}, "more than one certificate"},
		{"another's key", parts{good.certificate, other.key, nil}, "does not match"},
		{"another's chain", parts{good.certificate, good.key, other.chain}, "Could not validate the certificate with the certificate chain."},
		{"expired", old, "expired"},
		{"no names", nameless, "names nothing"},
		{"key is a certificate", parts{good.certificate, good.certificate, nil}, "PEM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := g.ACM.ImportCertificate(ctx, tt.parts.input())
			refused(t, err, "ValidationException", tt.text)
		})
	}
	in := good.input()
	in.Tags = []types.Tag{{Key: aws.String("aws:x")}}
	_, err := g.ACM.ImportCertificate(ctx, in)
	refused(t, err, "InvalidTagException", "aws:")
	in.Tags = nil
	for i := range 51 {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprint(i))})
	}
	_, err = g.ACM.ImportCertificate(ctx, in)
	refused(t, err, "TooManyTagsException", "50")
	if g.Revision(t) != before {
		t.Error("a refused import wrote")
	}
}

func TestReimport(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	first := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}})
	in := first.input()
	in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}
	arn := must(g.ACM.ImportCertificate(ctx, in))(t).CertificateArn
	id := (*arn)[strings.LastIndex(*arn, "/")+1:]
	material := must(g.Store.Get(ctx, resource.MaterialKey(id)))(t)

	second := issue(t, pki.LeafOptions{Names: []string{"api.example.com", "more.example.com"}})
	in = second.input()
	in.CertificateArn = arn
	if again := must(g.ACM.ImportCertificate(ctx, in))(t); *again.CertificateArn != *arn {
		t.Errorf("ARN went to %s", *again.CertificateArn)
	}
	if got := must(g.ACM.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: arn}))(t); *got.Certificate != string(second.certificate) {
		t.Error("the old certificate is still there")
	}
	if now := must(g.Store.Get(ctx, resource.MaterialKey(id)))(t); now.Revision <= material.Revision {
		t.Error("the material was not rewritten: the gates would not notice")
	}
	if tags := must(g.ACM.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: arn}))(t).Tags; len(tags) != 1 {
		t.Errorf("tags %+v", tags)
	}

	in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("b")}}
	_, err := g.ACM.ImportCertificate(ctx, in)
	refused(t, err, "ValidationException", "re-import")
	rsa := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}, Kind: pki.RSA2048}).input()
	rsa.CertificateArn = arn
	_, err = g.ACM.ImportCertificate(ctx, rsa)
	refused(t, err, "ValidationException", "key algorithm")
	in = second.input()
	in.CertificateArn = aws.String(*arn + "x")
	_, err = g.ACM.ImportCertificate(ctx, in)
	refused(t, err, "ResourceNotFoundException", "Could not find certificate")
}

func TestDeleteWhileInUse(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	arn := must(g.ACM.ImportCertificate(ctx, issue(t, pki.LeafOptions{Names: []string{"api.example.com"}}).input()))(t).CertificateArn
	must(g.API.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{DomainName: aws.String("api.example.com"), RegionalCertificateArn: arn,
		EndpointConfiguration: &gatewaytypes.EndpointConfiguration{Types: []gatewaytypes.EndpointType{gatewaytypes.EndpointTypeRegional}}}))(t)

	d := must(g.ACM.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: arn}))(t).Certificate
	if !slices.Equal(d.InUseBy, []string{"arn:aws:apigateway:us-east-1::/domainnames/api.example.com"}) {
		t.Errorf("in use by %v", d.InUseBy)
	}
	_, err := g.ACM.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: arn})
	refused(t, err, "ResourceInUseException", "api.example.com")
	must(g.API.DeleteDomainName(ctx, &apigateway.DeleteDomainNameInput{DomainName: aws.String("api.example.com")}))(t)
	must(g.ACM.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: arn}))(t)
	for _, call := range []func() error{
		func() error {
			_, err := g.ACM.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: arn})
			return err
		},
		func() error {
			_, err := g.ACM.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateArn: arn})
			return err
		},
		func() error {
			_, err := g.ACM.DeleteCertificate(ctx, &sdk.DeleteCertificateInput{CertificateArn: arn})
			return err
		},
		func() error {
			_, err := g.ACM.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: arn})
			return err
		},
	} {
		refused(t, call(), "ResourceNotFoundException", *arn)
	}
	_, err = g.ACM.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: aws.String("arn:aws:acm:us-east-1:000000000000:nothing/x")})
	refused(t, err, "InvalidArnException", "")
	if docs, _, _ := g.Store.List(ctx, store.Range{}); len(docs) != 0 {
		t.Errorf("left: %v", docs)
	}
}

func TestList(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	p := issue(t, pki.LeafOptions{Names: []string{"ec.example.com"}})
	const n = 62
	for range n {
		must(g.ACM.ImportCertificate(ctx, p.input()))(t)
	}
	rsa := must(g.ACM.ImportCertificate(ctx, issue(t, pki.LeafOptions{Names: []string{"rsa.example.com"}, Kind: pki.RSA2048}).input()))(t).CertificateArn
	count := func(in *sdk.ListCertificatesInput) (arns []string) {
		pages := sdk.NewListCertificatesPaginator(g.ACM, in)
		for pages.HasMorePages() {
			for _, c := range must(pages.NextPage(ctx))(t).CertificateSummaryList {
				arns = append(arns, *c.CertificateArn)
			}
		}
		return arns
	}
	for _, tt := range []struct {
		name string
		in   *sdk.ListCertificatesInput
		want int
	}{
		{"all, every kind of key", &sdk.ListCertificatesInput{}, n + 1},
		{"in pages", &sdk.ListCertificatesInput{MaxItems: aws.Int32(10)}, n + 1},
		{"sorted, in pages", &sdk.ListCertificatesInput{MaxItems: aws.Int32(7), SortBy: types.SortByCreatedAt, SortOrder: types.SortOrderDescending}, n + 1},
		{"RSA", &sdk.ListCertificatesInput{Includes: &types.Filters{KeyTypes: []types.KeyAlgorithm{types.KeyAlgorithmRsa2048}}}, 1},
		{"issued", &sdk.ListCertificatesInput{CertificateStatuses: []types.CertificateStatus{types.CertificateStatusIssued}}, n + 1},
		{"expired", &sdk.ListCertificatesInput{CertificateStatuses: []types.CertificateStatus{types.CertificateStatusExpired}}, 0},
		{"for servers", &sdk.ListCertificatesInput{Includes: &types.Filters{ExtendedKeyUsage: []types.ExtendedKeyUsageName{types.ExtendedKeyUsageNameTlsWebServerAuthentication}}}, n + 1},
		{"for code", &sdk.ListCertificatesInput{Includes: &types.Filters{ExtendedKeyUsage: []types.ExtendedKeyUsageName{types.ExtendedKeyUsageNameCodeSigning}}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arns := count(tt.in)
			slices.Sort(arns)
			if got := len(slices.Compact(arns)); got != tt.want {
				t.Errorf("%d certificates, want %d", got, tt.want)
			}
		})
	}
	if got := count(&sdk.ListCertificatesInput{Includes: &types.Filters{KeyTypes: []types.KeyAlgorithm{types.KeyAlgorithmRsa2048}}}); len(got) != 1 || got[0] != *rsa {
		t.Errorf("RSA: %v", got)
	}
	_, err := g.ACM.ListCertificates(ctx, &sdk.ListCertificatesInput{NextToken: aws.String("garbage")})
	refused(t, err, "ValidationException", "token")
	_, err = g.ACM.ListCertificates(ctx, &sdk.ListCertificatesInput{MaxItems: aws.Int32(0)})
	refused(t, err, "ValidationException", "maxItems")
	_, err = g.ACM.ListCertificates(ctx, &sdk.ListCertificatesInput{SortBy: types.SortByCreatedAt})
	refused(t, err, "ValidationException", "SortOrder")
}

func TestTags(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	arn := must(g.ACM.ImportCertificate(ctx, issue(t, pki.LeafOptions{Names: []string{"api.example.com"}}).input()))(t).CertificateArn
	tag := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
	list := func() string {
		var b strings.Builder
		for _, x := range must(g.ACM.ListTagsForCertificate(ctx, &sdk.ListTagsForCertificateInput{CertificateArn: arn}))(t).Tags {
			fmt.Fprintf(&b, "%s=%s ", *x.Key, aws.ToString(x.Value))
		}
		return b.String()
	}
	must(g.ACM.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: arn, Tags: []types.Tag{tag("a", "1"), tag("b", "2"), tag("a", "3")}}))(t)
	if got := list(); got != "a=3 b=2 " {
		t.Errorf("tags %s", got)
	}
	must(g.ACM.RemoveTagsFromCertificate(ctx, &sdk.RemoveTagsFromCertificateInput{CertificateArn: arn, Tags: []types.Tag{tag("a", "another value"), {Key: aws.String("b")}}}))(t)
	if got := list(); got != "a=3 " {
		t.Errorf("tags %s", got)
	}
	must(g.ACM.RemoveTagsFromCertificate(ctx, &sdk.RemoveTagsFromCertificateInput{CertificateArn: arn, Tags: []types.Tag{{Key: aws.String("a")}}}))(t)
	if got := list(); got != "" {
		t.Errorf("tags %s", got)
	}
	_, err := g.ACM.AddTagsToCertificate(ctx, &sdk.AddTagsToCertificateInput{CertificateArn: arn, Tags: []types.Tag{tag("aws:a", "1")}})
	refused(t, err, "InvalidTagException", "aws:")
}

func TestWithoutSealKeyNothingIsStored(t *testing.T) {
	g := controlplanetest.Start(t, func(o *controlplane.Options) { o.Sealer = nil })
	_, err := g.ACM.ImportCertificate(ctx, issue(t, pki.LeafOptions{Names: []string{"api.example.com"}}).input())
	refused(t, err, "InternalFailure", "")
	if g.Revision(t) != 0 {
		t.Error("it was stored")
	}
}

func TestExpiredIsShown(t *testing.T) {
	soon := time.Now().Add(3 * time.Second)
	p := issue(t, pki.LeafOptions{Names: []string{"api.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: soon})
	d := must(resource.NewCertificate(must(pki.ParseCertificate(p.certificate, p.key, p.chain, time.Now()))(t), nil, "arn", nil, time.Now()))(t)
	if got := resource.ShowCertificate(d, nil, soon.Add(time.Minute)); got.Status != types.CertificateStatusExpired {
		t.Errorf("status %s", got.Status)
	}
	if err := resource.ServesDomain(&d, "api.example.com", soon.Add(time.Minute)); err == nil {
		t.Error("an expired certificate would serve a new domain name")
	}
}

package resource

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/pki"
)

func TestNewClientCertificate(t *testing.T) {
	made := must(pki.NewClientCertificate(testLater))
	in := &apigateway.GenerateClientCertificateInput{Description: aws.String("to pets"), Tags: map[string]string{"team": "a"}}
	got := must(NewClientCertificate(in, "a1b2c3", made))
	want := types.ClientCertificate{
		ClientCertificateId: aws.String("a1b2c3"), Description: aws.String("to pets"), Tags: map[string]string{"team": "a"},
		CreatedDate: aws.Time(testLater.UTC()), ExpirationDate: aws.Time(testLater.UTC().Add(365 * 24 * time.Hour)),
		PemEncodedCertificate: aws.String(string(made.CertificatePEM())),
	}
	if d := cmp.Diff(want, got, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	in = &apigateway.GenerateClientCertificateInput{Description: aws.String(strings.Repeat("d", maxDescription+1)), Tags: map[string]string{"aws:x": "y"}}
	_, err := NewClientCertificate(in, "a1b2c3", made)
	checkErr(t, err, `BadRequest: description must be at most 8192 bytes; tags: key "aws:x" begins with aws:, which is reserved`)
	_, err = UpdateClientCertificate(got, patches("replace /description="+strings.Repeat("d", maxDescription+1)))
	checkErr(t, err, "BadRequest: description must be at most 8192 bytes")
	checkErr(t, RoomForClientCertificate(59), "")
	checkErr(t, RoomForClientCertificate(60), "LimitExceeded: Maximum number of client certificates for this account has been reached. The limit is 60.")
}

func TestParseClientCertificate(t *testing.T) {
	arn := CertificateARN("us-east-1", "000000000000", "aa-bb")
	for _, tt := range []struct {
		ref                        string
		document, material, marker string // "": names nothing
	}{
		{"a1b2c3", "apigateway/clientcertificates/a1b2c3", "apigateway/clientmaterial/a1b2c3", "markers/clientcertificates/a1b2c3"},
		{arn, "acm/certificates/aa-bb", "acm/material/aa-bb", "markers/certificates/aa-bb"},
		{"", "", "", ""},
		{"A1", "", "", ""},
		{"a/../b", "", "", ""},
		{strings.ReplaceAll(arn, ":", "%3A"), "", "", ""},
		{ClientCertificateARN("us-east-1", "a1b2c3"), "", "", ""},
		{strings.Repeat("a", 65), "", "", ""},
	} {
		name, ok := ParseClientCertificate(tt.ref)
		if ok != (tt.document != "") || ok && (name.Document() != tt.document || name.Material() != tt.material || name.Marker() != tt.marker) {
			t.Errorf("%q: %+v %t", tt.ref, name, ok)
		}
	}
}

func TestAttachable(t *testing.T) {
	cert := &types.ClientCertificate{ExpirationDate: aws.Time(testLater)}
	checkErr(t, AttachableClientCertificate(nil, "a1", testLater), "BadRequest: Client certificate id a1 does not exist")
	checkErr(t, AttachableClientCertificate(cert, "a1", testLater.Add(-time.Second)), "")
	checkErr(t, AttachableClientCertificate(cert, "a1", testLater), "BadRequest: Client certificate a1 expired at "+testLater.UTC().Format(time.RFC3339)+": generate another one")

	good := acmtypes.CertificateDetail{
		Type: acmtypes.CertificateTypeImported, Status: acmtypes.CertificateStatusIssued, KeyAlgorithm: acmtypes.KeyAlgorithmEcPrime256v1,
		NotBefore: aws.Time(testLater.Add(-time.Hour)), NotAfter: aws.Time(testLater.Add(time.Hour)),
	}
	usages := func(names ...acmtypes.ExtendedKeyUsageName) func(*acmtypes.CertificateDetail) {
		return func(d *acmtypes.CertificateDetail) {
			for _, n := range names {
				d.ExtendedKeyUsages = append(d.ExtendedKeyUsages, acmtypes.ExtendedKeyUsage{Name: n})
			}
		}
	}
	keyUsages := func(names ...acmtypes.KeyUsageName) func(*acmtypes.CertificateDetail) {
		return func(d *acmtypes.CertificateDetail) {
			for _, n := range names {
				d.KeyUsages = append(d.KeyUsages, acmtypes.KeyUsage{Name: n})
			}
		}
	}
	key := func(k acmtypes.KeyAlgorithm) func(*acmtypes.CertificateDetail) {
		return func(d *acmtypes.CertificateDetail) { d.KeyAlgorithm = k }
	}
	const keys = "its key must be one of [RSA_2048, RSA_3072, RSA_4096, EC_prime256v1, EC_secp384r1, EC_secp521r1], not "
	for _, tt := range []struct {
		name   string
		change func(*acmtypes.CertificateDetail)
		chain  int
		want   string // "": usable
	}{
		{"imported, without usages", func(*acmtypes.CertificateDetail) {}, 0, ""},
		{"of a private CA", func(d *acmtypes.CertificateDetail) { d.Type = acmtypes.CertificateTypePrivate }, 5, ""},
		{"public", func(d *acmtypes.CertificateDetail) { d.Type = acmtypes.CertificateTypeAmazonIssued }, 0, "it must be imported or issued by a private CA, not AMAZON_ISSUED"},
		{"pending", func(d *acmtypes.CertificateDetail) { d.Status = acmtypes.CertificateStatusPendingValidation }, 0, "its state must be ISSUED, not PENDING_VALIDATION"},
		{"expired", func(d *acmtypes.CertificateDetail) { d.NotAfter = aws.Time(testLater.Add(-time.Second)) }, 0, "its state must be ISSUED, not EXPIRED"},
		{"not yet valid", func(d *acmtypes.CertificateDetail) { d.NotBefore = aws.Time(testLater.Add(time.Minute)) }, 0, "it is not valid before " + testLater.Add(time.Minute).UTC().Format(time.RFC3339)},
		{"a long chain", func(*acmtypes.CertificateDetail) {}, 6, "its chain has 6 certificates; the limit is 5"},
		{"RSA 2048", key(acmtypes.KeyAlgorithmRsa2048), 0, ""},
		{"RSA 4096", key(acmtypes.KeyAlgorithmRsa4096), 0, ""},
		{"P-521", key(acmtypes.KeyAlgorithmEcSecp521r1), 0, ""},
		{"RSA 1024", key(acmtypes.KeyAlgorithmRsa1024), 0, keys + "RSA_1024"},
		{"client and server", usages("TLS_WEB_SERVER_AUTHENTICATION", "TLS_WEB_CLIENT_AUTHENTICATION"), 0, ""},
		{"any usage", usages("ANY"), 0, ""},
		{"server only", usages("TLS_WEB_SERVER_AUTHENTICATION"), 0, "its extended key usage must include clientAuth"},
		{"signs", keyUsages("KEY_ENCIPHERMENT", "DIGITAL_SIGNATURE"), 0, ""},
		{"agrees", keyUsages("KEY_AGREEMENT"), 0, ""},
		{"enciphers only", keyUsages("KEY_ENCIPHERMENT"), 0, "its key usage must include digitalSignature or keyAgreement"},
	} {
		d := good
		tt.change(&d)
		want := ""
		if tt.want != "" {
			want = "BadRequest: Client certificate arn cannot be used: " + tt.want
		}
		t.Run(tt.name, func(t *testing.T) { checkErr(t, PresentableCertificate(&d, "arn", tt.chain, testLater), want) })
	}
	checkErr(t, PresentableCertificate(nil, "arn", 0, testLater), "BadRequest: Client certificate arn does not exist")
	bad := good
	key(acmtypes.KeyAlgorithmRsa1024)(&bad)
	checkErr(t, PresentableCertificate(&bad, "arn", 9, testLater), "BadRequest: Client certificate arn cannot be used: its chain has 9 certificates; the limit is 5; Client certificate arn cannot be used: "+keys+"RSA_1024")
}

// What a stage's rotation becomes as its certificate changes.
func TestRotate(t *testing.T) {
	stage := func(id string) (s types.Stage) {
		s.ClientCertificateId = given(&id)
		return s
	}
	since := testLater.Add(-time.Hour)
	running := &Rotation{Previous: "a", Since: since}
	for _, tt := range []struct {
		name, from, to string
		running, want  *Rotation
	}{
		{"attach", "", "a", nil, nil},
		{"replace", "a", "b", nil, &Rotation{"a", testLater}},
		{"go back", "b", "a", running, &Rotation{"b", testLater}},
		{"replace again", "b", "c", running, &Rotation{"b", testLater}},
		{"something else changes", "b", "b", running, running},
		{"detach", "b", "", running, nil},
		{"never had one", "", "", nil, nil},
	} {
		if got := Rotate(stage(tt.from), stage(tt.to), tt.running, testLater); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// Whatever a stage is asked to name: what is taken leads to one key of each
// kind, in its own folder of the store.
func FuzzParseClientCertificate(f *testing.F) {
	for _, ref := range []string{"a1b2c3", CertificateARN("us-east-1", "000000000000", "aa-bb"), "a/../b", "arn:aws:acm:::certificate/", "%61", ""} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		name, ok := ParseClientCertificate(ref)
		if !ok {
			return
		}
		for key, prefix := range map[string][2]string{
			name.Document(): {PrefixClientCertificates, PrefixCertificates},
			name.Material(): {PrefixClientMaterial, PrefixMaterial},
			name.Marker():   {PrefixMarkers + "clientcertificates/", PrefixMarkers + "certificates/"},
		} {
			own := prefix[0]
			if name.ACM {
				own = prefix[1]
			}
			if id, found := strings.CutPrefix(key, own); !found || id == "" || id != name.ID || strings.ContainsAny(id, "/.%") || !strings.HasSuffix(ref, id) {
				t.Errorf("%q leads to %q", ref, key)
			}
		}
	})
}

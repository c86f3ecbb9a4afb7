package resource

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
)

// MaxClientCertificates bounds the generated ones of an account and Region.
// Source: API Gateway quotas, REST.
const MaxClientCertificates = 60

// NewClientCertificate describes a certificate that was generated as id.
func NewClientCertificate(in *apigateway.GenerateClientCertificateInput, id string, made *pki.Imported) (types.ClientCertificate, error) {
	c := types.ClientCertificate{
		ClientCertificateId:   aws.String(id),
		CreatedDate:           aws.Time(made.Leaf.NotBefore.UTC()),
		Description:           given(in.Description),
		ExpirationDate:        aws.Time(made.Leaf.NotAfter.UTC()),
		PemEncodedCertificate: aws.String(string(made.CertificatePEM())),
		Tags:                  clone(in.Tags),
	}
	var p problems
	p.description(c.Description)
	p.tags(c.Tags)
	return c, p.err()
}

// RoomForClientCertificate refuses one more when there are have. Own text.
func RoomForClientCertificate(have int) error {
	if have < MaxClientCertificates {
		return nil
	}
	return Errorf(LimitExceeded, "Maximum number of client certificates for this account has been reached. The limit is %d.", MaxClientCertificates)
}

var clientCertificatePaths = table[types.ClientCertificate]{rows: []row[types.ClientCertificate]{
	{"/description", replace, text(func(d *types.ClientCertificate) **string { return &d.Description })},
}}

// UpdateClientCertificate applies the operations.
func UpdateClientCertificate(old types.ClientCertificate, ops []types.PatchOperation) (types.ClientCertificate, error) {
	c, err := clientCertificatePaths.patch(old, ops)
	if err != nil {
		return old, err
	}
	var p problems
	p.description(c.Description)
	if err := p.err(); err != nil {
		return old, err
	}
	return c, nil
}

// DeletableClientCertificate refuses while stages name the certificate; users
// are their ARNs. AWS's text is not known.
func DeletableClientCertificate(id string, users []string) error {
	if len(users) == 0 {
		return nil
	}
	return Errorf(Conflict, "Client certificate %s is in use by %s. Attach another one, or none, there first.", id, strings.Join(users, ", "))
}

// ClientCertificateName is what a stage's clientCertificateId names: the id of
// a generated certificate, or the ARN of one in ACM, whose id it holds then.
type ClientCertificateName struct {
	ID  string
	ACM bool
}

var clientCertificateID = regexp.MustCompile(`^[a-z0-9]{1,64}$`)

// ParseClientCertificate takes a clientCertificateId apart; ok is false for
// what names nothing.
func ParseClientCertificate(ref string) (name ClientCertificateName, ok bool) {
	if clientCertificateID.MatchString(ref) {
		return ClientCertificateName{ID: ref}, true
	}
	if id, err := ParseCertificateARN(ref); err == nil && !strings.Contains(ref, "%") {
		return ClientCertificateName{ID: id, ACM: true}, true
	}
	return name, false
}

// Document, Material and Marker are the certificate's keys in the store.
func (n ClientCertificateName) Document() string {
	if n.ACM {
		return CertificateKey(n.ID)
	}
	return ClientCertificateKey(n.ID)
}

func (n ClientCertificateName) Material() string {
	if n.ACM {
		return MaterialKey(n.ID)
	}
	return ClientMaterialKey(n.ID)
}

func (n ClientCertificateName) Marker() string {
	if n.ACM {
		return CertificateMarker(n.ID)
	}
	return ClientCertificateMarker(n.ID)
}

// AttachableClientCertificate refuses to attach a generated certificate that
// backends would refuse for its dates; nil is one that does not exist. The
// texts are our own, after that of a deployment.
func AttachableClientCertificate(c *types.ClientCertificate, id string, now time.Time) error {
	switch {
	case c == nil:
		return Errorf(BadRequest, "Client certificate id %s does not exist", id)
	case c.ExpirationDate != nil && !now.Before(*c.ExpirationDate):
		return Errorf(BadRequest, "Client certificate %s expired at %s: generate another one", id, c.ExpirationDate.UTC().Format(time.RFC3339))
	}
	return nil
}

// What ACM certificates a stage may show to backends.
// Source: developer guide, rest-api-acm-client-certificates.
const maxClientChain = 5

var (
	clientCertificateTypes = []acmtypes.CertificateType{acmtypes.CertificateTypeImported, acmtypes.CertificateTypePrivate}
	clientKeyAlgorithms    = []acmtypes.KeyAlgorithm{
		acmtypes.KeyAlgorithmRsa2048, acmtypes.KeyAlgorithmRsa3072, acmtypes.KeyAlgorithmRsa4096,
		acmtypes.KeyAlgorithmEcPrime256v1, acmtypes.KeyAlgorithmEcSecp384r1, acmtypes.KeyAlgorithmEcSecp521r1,
	}
	clientExtendedKeyUsages = []acmtypes.ExtendedKeyUsageName{acmtypes.ExtendedKeyUsageNameTlsWebClientAuthentication, acmtypes.ExtendedKeyUsageNameAny}
	clientKeyUsages         = []acmtypes.KeyUsageName{acmtypes.KeyUsageNameDigitalSignature, acmtypes.KeyUsageNameKeyAgreement}
)

// PresentableCertificate refuses an ACM certificate that a stage cannot show to
// backends at now; chain is how many certificates go with it, nil is one that
// does not exist. Own texts, every reason at once.
func PresentableCertificate(cert *acmtypes.CertificateDetail, arn string, chain int, now time.Time) error {
	if cert == nil {
		return Errorf(BadRequest, "Client certificate %s does not exist", arn)
	}
	var p problems
	addf := func(format string, args ...any) {
		p.addf("Client certificate "+arn+" cannot be used: "+format, args...)
	}
	if !slices.Contains(clientCertificateTypes, cert.Type) {
		addf("it must be imported or issued by a private CA, not %s", cert.Type)
	}
	if state := ShowCertificate(*cert, nil, now).Status; state != acmtypes.CertificateStatusIssued {
		addf("its state must be ISSUED, not %s", state)
	}
	if cert.NotBefore != nil && now.Before(*cert.NotBefore) {
		addf("it is not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	}
	if chain > maxClientChain {
		addf("its chain has %d certificates; the limit is %d", chain, maxClientChain)
	}
	if !slices.Contains(clientKeyAlgorithms, cert.KeyAlgorithm) {
		addf("its key must be one of [%s], not %s", join(clientKeyAlgorithms), cert.KeyAlgorithm)
	}
	if len(cert.ExtendedKeyUsages) > 0 && !slices.ContainsFunc(cert.ExtendedKeyUsages, func(u acmtypes.ExtendedKeyUsage) bool {
		return slices.Contains(clientExtendedKeyUsages, u.Name)
	}) {
		addf("its extended key usage must include clientAuth")
	}
	if len(cert.KeyUsages) > 0 && !slices.ContainsFunc(cert.KeyUsages, func(u acmtypes.KeyUsage) bool {
		return slices.Contains(clientKeyUsages, u.Name)
	}) {
		addf("its key usage must include digitalSignature or keyAgreement")
	}
	return p.err()
}

// Rotate says which rotation a stage is in once its client certificate went
// from before to after, nil for none: one that replaces another begins a
// rotation, from the one that it replaces; a stage that has none is in none.
// running is the rotation so far, nil for none.
func Rotate(before, after types.Stage, running *Rotation, now time.Time) *Rotation {
	from, to := aws.ToString(before.ClientCertificateId), aws.ToString(after.ClientCertificateId)
	switch {
	case to == "":
		return nil
	case from == to:
		return running
	case from == "":
		return nil
	}
	return &Rotation{Previous: from, Since: now}
}

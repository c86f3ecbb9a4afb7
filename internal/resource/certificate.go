package resource

import (
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/sallyport/sallyport/internal/pki"
)

// NewCertificate describes an imported certificate; old is nil unless it takes
// the place of one, whose key type, key usages and age it must keep to. tags
// are those of the request.
// Source: ACM user guide, Reimport a certificate.
func NewCertificate(imported *pki.Imported, old *types.CertificateDetail, arn string, tags []types.Tag, now time.Time) (types.CertificateDetail, error) {
	leaf := imported.Leaf
	d := types.CertificateDetail{
		CertificateArn:           aws.String(arn),
		CertificateKeyPairOrigin: types.CertificateKeyPairOriginCustomerProvided,
		CreatedAt:                aws.Time(now),
		ImportedAt:               aws.Time(now),
		DomainName:               aws.String(leaf.Subject.CommonName),
		SubjectAlternativeNames:  names(leaf),
		Subject:                  aws.String(leaf.Subject.String()),
		Issuer:                   aws.String(cmp.Or(leaf.Issuer.CommonName, strings.Join(leaf.Issuer.Organization, ", "), leaf.Issuer.String())),
		Serial:                   aws.String(serial(leaf)),
		NotBefore:                aws.Time(leaf.NotBefore.UTC()),
		NotAfter:                 aws.Time(leaf.NotAfter.UTC()),
		KeyAlgorithm:             types.KeyAlgorithm(imported.Kind.String()),
		SignatureAlgorithm:       aws.String(signatureAlgorithm(leaf)),
		KeyUsages:                keyUsages(leaf),
		ExtendedKeyUsages:        extendedKeyUsages(leaf),
		//lint:ignore SA1019 opting out has no effect any more, but Terraform compares the member
		Options:            &types.CertificateOptions{CertificateTransparencyLoggingPreference: types.CertificateTransparencyLoggingPreferenceDisabled},
		RenewalEligibility: types.RenewalEligibilityIneligible,
		Status:             types.CertificateStatusIssued,
		Type:               types.CertificateTypeImported,
	}
	switch {
	case len(d.SubjectAlternativeNames) > 0:
		if !slices.Contains(d.SubjectAlternativeNames, *d.DomainName) {
			d.DomainName = aws.String(d.SubjectAlternativeNames[0])
		}
	case *d.DomainName == "":
		return d, Errorf(Validation, "The certificate names nothing: it needs a subject alternative name or a common name.")
	}
	// With a common name alone it serves no domain name (ServesDomain), but many a
	// client has no more.
	if old == nil {
		return d, nil
	}
	switch {
	case len(tags) > 0:
		return d, Errorf(Validation, "Tagging is not permitted on re-import.")
	case d.KeyAlgorithm != old.KeyAlgorithm:
		return d, Errorf(Validation, "The key algorithm of the certificate cannot change on re-import: it was %s and would be %s.", old.KeyAlgorithm, d.KeyAlgorithm)
	}
	for _, u := range old.KeyUsages {
		if !slices.Contains(d.KeyUsages, u) {
			return d, Errorf(Validation, "Key usage %s cannot be removed on re-import.", u.Name)
		}
	}
	for _, u := range old.ExtendedKeyUsages {
		if !slices.ContainsFunc(d.ExtendedKeyUsages, func(e types.ExtendedKeyUsage) bool { return aws.ToString(e.OID) == aws.ToString(u.OID) }) {
			return d, Errorf(Validation, "Extended key usage %s cannot be removed on re-import.", u.Name)
		}
	}
	d.CreatedAt = old.CreatedAt
	return d, nil
}

// names are those that clients match a host against. A certificate without the
// extension has none: the common name is not one (RFC 9525).
func names(leaf *x509.Certificate) []string {
	list := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// serial is the serial number as colon-separated hexadecimal bytes.
func serial(leaf *x509.Certificate) string {
	b := leaf.SerialNumber.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}

// signatureAlgorithm is Go's name as ACM writes it: SHA256WITHRSA.
func signatureAlgorithm(leaf *x509.Certificate) string {
	name := leaf.SignatureAlgorithm.String()
	if kind, hash, ok := strings.Cut(name, "-"); ok && (kind == "ECDSA" || kind == "DSA") {
		return hash + "WITH" + kind
	}
	if hash, kind, ok := strings.Cut(name, "-"); ok {
		return hash + "WITH" + kind
	}
	return name
}

var keyUsageNames = []struct {
	bit  x509.KeyUsage
	name types.KeyUsageName
}{
	{x509.KeyUsageDigitalSignature, types.KeyUsageNameDigitalSignature},
	{x509.KeyUsageContentCommitment, types.KeyUsageNameNonRepudation},
	{x509.KeyUsageKeyEncipherment, types.KeyUsageNameKeyEncipherment},
	{x509.KeyUsageDataEncipherment, types.KeyUsageNameDataEncipherment},
	{x509.KeyUsageKeyAgreement, types.KeyUsageNameKeyAgreement},
	{x509.KeyUsageCertSign, types.KeyUsageNameCertificateSigning},
	{x509.KeyUsageCRLSign, types.KeyUsageNameCrlSigning},
	{x509.KeyUsageEncipherOnly, types.KeyUsageNameEnchiperOnly},
	{x509.KeyUsageDecipherOnly, types.KeyUsageNameDecipherOnly},
}

func keyUsages(leaf *x509.Certificate) []types.KeyUsage {
	var list []types.KeyUsage
	for _, row := range keyUsageNames {
		if leaf.KeyUsage&row.bit != 0 {
			list = append(list, types.KeyUsage{Name: row.name})
		}
	}
	return list
}

// extendedKeyUsageNames are the purposes that ACM knows by name.
// Source: RFC 5280, section 4.2.1.12.
var extendedKeyUsageNames = map[x509.ExtKeyUsage]struct {
	name types.ExtendedKeyUsageName
	oid  string
}{
	x509.ExtKeyUsageAny:             {types.ExtendedKeyUsageNameAny, "2.5.29.37.0"},
	x509.ExtKeyUsageServerAuth:      {types.ExtendedKeyUsageNameTlsWebServerAuthentication, "1.3.6.1.5.5.7.3.1"},
	x509.ExtKeyUsageClientAuth:      {types.ExtendedKeyUsageNameTlsWebClientAuthentication, "1.3.6.1.5.5.7.3.2"},
	x509.ExtKeyUsageCodeSigning:     {types.ExtendedKeyUsageNameCodeSigning, "1.3.6.1.5.5.7.3.3"},
	x509.ExtKeyUsageEmailProtection: {types.ExtendedKeyUsageNameEmailProtection, "1.3.6.1.5.5.7.3.4"},
	x509.ExtKeyUsageIPSECEndSystem:  {types.ExtendedKeyUsageNameIpsecEndSystem, "1.3.6.1.5.5.7.3.5"},
	x509.ExtKeyUsageIPSECTunnel:     {types.ExtendedKeyUsageNameIpsecTunnel, "1.3.6.1.5.5.7.3.6"},
	x509.ExtKeyUsageIPSECUser:       {types.ExtendedKeyUsageNameIpsecUser, "1.3.6.1.5.5.7.3.7"},
	x509.ExtKeyUsageTimeStamping:    {types.ExtendedKeyUsageNameTimeStamping, "1.3.6.1.5.5.7.3.8"},
	x509.ExtKeyUsageOCSPSigning:     {types.ExtendedKeyUsageNameOcspSigning, "1.3.6.1.5.5.7.3.9"},
}

func extendedKeyUsages(leaf *x509.Certificate) []types.ExtendedKeyUsage {
	var list []types.ExtendedKeyUsage
	for _, u := range leaf.ExtKeyUsage {
		if row, ok := extendedKeyUsageNames[u]; ok {
			list = append(list, types.ExtendedKeyUsage{Name: row.name, OID: aws.String(row.oid)})
		}
	}
	for _, oid := range leaf.UnknownExtKeyUsage {
		list = append(list, custom(oid))
	}
	return list
}

func custom(oid asn1.ObjectIdentifier) types.ExtendedKeyUsage {
	return types.ExtendedKeyUsage{Name: types.ExtendedKeyUsageNameCustom, OID: aws.String(oid.String())}
}

// importRefusals are ACM's words for why a certificate is not taken, where they
// are known; own words elsewhere.
var importRefusals = []struct {
	reason error
	text   string
}{
	{pki.ErrManyLeaves, "The certificate field contains more than one certificate. You can specify only one certificate in this field."},
	{pki.ErrExpired, "The certificate has expired."},
	{pki.ErrNotYetValid, "The certificate is not yet valid."},
	{pki.ErrKeyMismatch, "The private key does not match the certificate."},
	{pki.ErrEncryptedKey, "The private key is encrypted. It must be unencrypted."},
	{pki.ErrUnsupportedKey, "The kind of key is not supported."},
	{pki.ErrBrokenChain, "Could not validate the certificate with the certificate chain."},
	{pki.ErrTooBig, "The certificate, its private key or its chain exceeds the maximum length."},
	{pki.ErrNotPEM, "The certificate, its private key or its chain is not in PEM format."},
	{pki.ErrMalformed, "The certificate, its private key or its chain is malformed."},
}

// ImportRefused is what a client reads of an error of pki.ParseCertificate; the
// part at fault and the detail follow in parentheses.
func ImportRefused(err error) error {
	for _, r := range importRefusals {
		if errors.Is(err, r.reason) {
			return Errorf(Validation, "%s (%v)", r.text, err)
		}
	}
	return err
}

// ShowCertificate is d as answers carry it at now.
func ShowCertificate(d types.CertificateDetail, users []string, now time.Time) types.CertificateDetail {
	d.InUseBy = append([]string{}, users...) // ACM lists nobody, too
	if d.NotAfter != nil && now.After(*d.NotAfter) {
		d.Status = types.CertificateStatusExpired
	}
	return d
}

// maxSummaryNames bounds the names in a summary. Source: CertificateSummary.
const maxSummaryNames = 100

// SummarizeCertificate is the line of a list for d, which ShowCertificate made.
func SummarizeCertificate(d types.CertificateDetail) types.CertificateSummary {
	s := types.CertificateSummary{
		CertificateArn:                       d.CertificateArn,
		CertificateKeyPairOrigin:             d.CertificateKeyPairOrigin,
		CreatedAt:                            d.CreatedAt,
		DomainName:                           d.DomainName,
		Exported:                             aws.Bool(false),
		HasAdditionalSubjectAlternativeNames: aws.Bool(len(d.SubjectAlternativeNames) > maxSummaryNames),
		ImportedAt:                           d.ImportedAt,
		InUse:                                aws.Bool(len(d.InUseBy) > 0),
		KeyAlgorithm:                         d.KeyAlgorithm,
		NotAfter:                             d.NotAfter,
		NotBefore:                            d.NotBefore,
		RenewalEligibility:                   d.RenewalEligibility,
		Status:                               d.Status,
		SubjectAlternativeNameSummaries:      d.SubjectAlternativeNames[:min(len(d.SubjectAlternativeNames), maxSummaryNames)],
		Type:                                 d.Type,
	}
	for _, u := range d.KeyUsages {
		s.KeyUsages = append(s.KeyUsages, u.Name)
	}
	for _, u := range d.ExtendedKeyUsages {
		s.ExtendedKeyUsages = append(s.ExtendedKeyUsages, u.Name)
	}
	return s
}

// MatchesCertificate reports whether a list that asks with these filters holds
// s. A filter that names nothing holds all; ACM itself would leave out every
// key but RSA_1024 and RSA_2048 then, and hide what was just imported.
func MatchesCertificate(s types.CertificateSummary, statuses []types.CertificateStatus, origins []types.CertificateKeyPairOrigin, f *types.Filters) bool {
	if len(statuses) > 0 && !slices.Contains(statuses, s.Status) || len(origins) > 0 && !slices.Contains(origins, s.CertificateKeyPairOrigin) {
		return false
	}
	if f == nil {
		return true
	}
	return (len(f.KeyTypes) == 0 || slices.Contains(f.KeyTypes, s.KeyAlgorithm)) &&
		(len(f.KeyUsage) == 0 || slices.Contains(f.KeyUsage, types.KeyUsageNameAny) || holdsAll(s.KeyUsages, f.KeyUsage)) &&
		(len(f.ExtendedKeyUsage) == 0 || slices.Contains(f.ExtendedKeyUsage, types.ExtendedKeyUsageNameAny) || holdsAll(s.ExtendedKeyUsages, f.ExtendedKeyUsage)) &&
		(f.ManagedBy == "" || f.ManagedBy == s.ManagedBy) &&
		(f.ExportOption == "" || f.ExportOption == types.CertificateExportDisabled)
}

func holdsAll[E comparable](have, want []E) bool {
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// AddCertificateTags is have with more in it, in the order in which the keys
// came; a key that is there takes the new value. Source: ACM API, Tag.
func AddCertificateTags(have, more []types.Tag) ([]types.Tag, error) {
	out := slices.Clone(have)
	for _, t := range more {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || hasControl(key) || !utf8.ValidString(key):
			return nil, Errorf(InvalidTag, "Tag key %q is not valid: it needs 1 to %d characters.", key, maxTagKey)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, Errorf(InvalidTag, "Tag key %q is not valid: the prefix aws: is reserved.", key)
		case utf8.RuneCountInString(value) > maxTagValue || hasControl(value) || !utf8.ValidString(value):
			return nil, Errorf(InvalidTag, "The value of tag %q is not valid: it may have up to %d characters.", key, maxTagValue)
		}
		t = types.Tag{Key: aws.String(key), Value: aws.String(value)}
		if i := slices.IndexFunc(out, sameKey(t)); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, Errorf(TooManyTags, "A certificate can have up to %d tags; it would have %d.", maxTags, len(out))
	}
	return out, nil
}

// RemoveCertificateTags is have without gone. A tag with a value goes only if
// it has that value.
func RemoveCertificateTags(have, gone []types.Tag) []types.Tag {
	return slices.DeleteFunc(slices.Clone(have), func(h types.Tag) bool {
		return slices.ContainsFunc(gone, func(g types.Tag) bool {
			return aws.ToString(g.Key) == aws.ToString(h.Key) && (g.Value == nil || *g.Value == aws.ToString(h.Value))
		})
	})
}

func sameKey(t types.Tag) func(types.Tag) bool {
	return func(u types.Tag) bool { return aws.ToString(u.Key) == aws.ToString(t.Key) }
}

// ParseCertificateARN returns the id in the ARN of a certificate.
func ParseCertificateARN(arn string) (id string, err error) {
	kind, parts, err := ParseTagARN(arn)
	if err != nil || kind != TagCertificate {
		return "", Errorf(InvalidARN, "The ARN %s is not the ARN of a certificate.", arn)
	}
	return parts[0], nil
}

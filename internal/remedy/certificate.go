package remedy

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// certificate is a document with the flags that commands on it need.
func (p *patient) certificate() (c *acmtypes.CertificateDetail, in string) {
	c, _ = p.r.Doc.(*acmtypes.CertificateDetail)
	if c == nil {
		return new(acmtypes.CertificateDetail), ""
	}
	if p.r.Region != "" {
		in = " --region " + quote(p.r.Region)
	}
	if p.c.Endpoint != "" {
		in += " --endpoint-url " + quote(p.c.Endpoint)
	}
	return c, in
}

const files = " --certificate fileb://certificate.pem --private-key fileb://key.pem --certificate-chain fileb://chain.pem"

// fixExpiry is what to do for ACM.1. Nobody but the owner has the new key.
func fixExpiry(p *patient, f *fix) {
	c, in := p.certificate()
	arn := quote(p.r.ID)
	if unused(p, c) {
		f.hand("Nothing uses the certificate: aws acm delete-certificate"+in+" --certificate-arn "+arn, "A certificate that is gone cannot expire.")
	}
	switch {
	case p.r.Source == posture.File:
		f.hand("Import or request the certificate anew; the template names it by its ARN.", "")
	case c.Type == acmtypes.CertificateTypeAmazonIssued:
		text := "ACM issued the certificate and renews it once its validation holds again."
		for _, v := range c.DomainValidationOptions {
			if r := v.ResourceRecord; r != nil {
				text += fmt.Sprintf(" The zone of %s must have: %s %s %s.", aws.ToString(v.DomainName), aws.ToString(r.Name), r.Type, aws.ToString(r.Value))
			}
		}
		f.hand(text+" aws acm describe-certificate"+in+" --certificate-arn "+arn+" --query Certificate.RenewalSummary shows how far it is.", "")
	default:
		f.hand("Have a new certificate issued for "+names(c)+", then import it under the same ARN: aws acm import-certificate"+in+" --certificate-arn "+arn+files,
			"What uses the certificate follows without a change. Clients that pin the old one must be told before.")
	}
}

// fixKey is what to do for ACM.2.
func fixKey(p *patient, f *fix) {
	c, in := p.certificate()
	text := "Make a new key, have a certificate issued for " + names(c) + ", and import it as a new one: aws acm import-certificate" + in + files + "."
	if len(c.InUseBy) > 0 {
		text += " Then move to its ARN what uses the old one: " + strings.Join(c.InUseBy, ", ") + "."
	}
	f.hand(text+" Then: aws acm delete-certificate"+in+" --certificate-arn "+quote(p.r.ID), "A certificate cannot get a key of another size in place. openssl ecparam -name prime256v1 -genkey makes the cheapest one to serve.")
}

func unused(p *patient, c *acmtypes.CertificateDetail) bool {
	return p.r.Source == posture.Account && len(c.InUseBy) == 0
}

func names(c *acmtypes.CertificateDetail) string {
	if len(c.SubjectAlternativeNames) > 0 {
		return strings.Join(c.SubjectAlternativeNames, ", ")
	}
	if n := aws.ToString(c.DomainName); n != "" {
		return n
	}
	return "its names"
}

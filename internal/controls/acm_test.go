package controls

import (
	"time"

	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func certificate(c acm.CertificateDetail) posture.Resource {
	return posture.Resource{Type: posture.TypeCertificate, ID: "arn:aws:acm:us-east-1:000000000000:certificate/1", Source: posture.Self, Doc: &c}
}

const day = 24 * time.Hour

// expiring is a certificate with so much time left.
func expiring(left time.Duration) posture.Resource {
	after := now.Add(left)
	return certificate(acm.CertificateDetail{Status: acm.CertificateStatusIssued, NotAfter: &after})
}

func renewing(left time.Duration) posture.Resource {
	r := expiring(left)
	r.Doc.(*acm.CertificateDetail).RenewalEligibility = acm.RenewalEligibilityEligible
	return r
}

var acm1Cases = []testCase{
	{name: "a year left", r: expiring(365 * day), want: posture.Passed, reason: "365 days left"},
	{name: "more than thirty days", r: expiring(30*day + time.Second), want: posture.Passed},
	{name: "thirty days", r: expiring(30 * day), want: posture.Failed, reason: "30 days left"},
	{name: "expired", r: expiring(-time.Second), want: posture.Failed, reason: "expired at 2026-11-21T11:59:59Z"},
	{name: "ACM renews it", r: renewing(20 * day), want: posture.Failed, note: "renews it by itself"},
	{name: "a shorter window", r: expiring(20 * day), params: posture.Values{"daysToExpiration": {"14"}}, want: posture.Passed},
	{name: "a longer window", r: expiring(300 * day), params: posture.Values{"daysToExpiration": {"365"}}, want: posture.Failed},
	{name: "not issued yet", r: certificate(acm.CertificateDetail{Status: acm.CertificateStatusPendingValidation}), want: posture.NotApplicable, reason: "never issued"},
	{name: "validation timed out", r: certificate(acm.CertificateDetail{Status: acm.CertificateStatusValidationTimedOut}), want: posture.NotApplicable},
	{name: "the service did not say", r: certificate(acm.CertificateDetail{Status: acm.CertificateStatusIssued}), want: posture.Unknown},
	{name: "template", r: inTemplate(certificate(acm.CertificateDetail{})), want: posture.Unknown, reason: "before it is issued"},
	{name: "not known", r: without(certificate(acm.CertificateDetail{}), "NotAfter"), want: posture.Unknown},
}

func withKey(algorithm acm.KeyAlgorithm) posture.Resource {
	return certificate(acm.CertificateDetail{KeyAlgorithm: algorithm})
}

var acm2Cases = []testCase{
	{name: "RSA 2048", r: withKey("RSA_2048"), want: posture.Passed},
	{name: "RSA 2048 as the service also writes it", r: withKey("RSA-2048"), want: posture.Passed},
	{name: "RSA 4096", r: withKey("RSA_4096"), want: posture.Passed},
	{name: "ECDSA", r: withKey("EC_prime256v1"), want: posture.Passed, reason: "not RSA"},
	{name: "RSA 1024", r: withKey("RSA_1024"), want: posture.Failed, reason: "1024 bits"},
	{name: "RSA 1024 as the service also writes it", r: withKey("RSA-1024"), want: posture.Failed},
	{name: "RSA of no size", r: withKey("RSA_BIG"), want: posture.Unknown},
	{name: "the service did not say", r: withKey(""), want: posture.Unknown},
	{name: "template, the default", r: inTemplate(withKey("")), want: posture.Passed},
	{name: "template, not known", r: without(inTemplate(withKey("")), "KeyAlgorithm"), want: posture.Unknown},
	{name: "server certificates of IAM are not in scope", r: posture.Resource{Type: "AWS::IAM::ServerCertificate"}, want: posture.NotApplicable},
}

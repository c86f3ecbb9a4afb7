package controls

import (
	"fmt"
	"time"

	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// ACM.1: certificates are renewed in time.
var acm1 = posture.Control{
	ID:          "ACM.1",
	Title:       "Imported and ACM-issued certificates should be renewed after a specified time period",
	Description: "A certificate passes when it has more than `daysToExpiration` days left.",
	Why: "A domain name with an expired certificate is down for every client that verifies, all at once. ACM renews what it issued itself, as long as its " +
		"validation still holds; what was imported nobody renews.",
	Fix: "Import a new certificate under the same ARN: domain names that use it follow without a change. For one that ACM issued, repair its validation.",
	FalsePositive: "A certificate that nothing uses fails as well: delete it. One that ACM issued and will renew fails inside the window, " +
		"when the window is longer than ACM waits. A certificate that was never issued has nothing to expire and is not judged (inferred).",
	Severity:   posture.Medium,
	Category:   inTransit,
	Related:    []string{"NIST.800-53.r5 SC-28(3)", "NIST.800-53.r5 SC-7(16)", "NIST.800-171.r2 3.13.15", "PCI DSS v4.0.1/4.2.1"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.NIST800171, posture.PCIDSS, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "acm-certificate-expiration-check", Identifier: "ACM_CERTIFICATE_EXPIRATION_CHECK"},
	Schedule:   posture.ChangeAndPeriodic,
	Resources:  []string{posture.TypeCertificate},
	Parameters: []posture.Parameter{{
		Name: "daysToExpiration", Kind: posture.Integer, Min: 14, Max: 365, Default: []string{"30"}, Customizable: true, RuleDefault: []string{"14"},
		Description: "Days that must be left, and more.",
	}},
	Sources: []string{sourceReference},

	Applies: func(r *posture.Resource) (bool, string) {
		if c, ok := r.Doc.(*acm.CertificateDetail); ok && c != nil && c.NotAfter == nil {
			if _, unresolved := r.Unresolved("NotAfter"); unresolved {
				return true, ""
			}
			switch c.Status {
			case acm.CertificateStatusPendingValidation, acm.CertificateStatusValidationTimedOut, acm.CertificateStatusFailed:
				return false, "the certificate was never issued: " + string(c.Status)
			}
		}
		return true, ""
	},
	Check: posture.On(func(r *posture.Resource, c *acm.CertificateDetail, p *posture.Params) posture.Verdict {
		m := posture.Member{Path: "NotAfter"}
		if c.NotAfter == nil {
			if r.Source == posture.File {
				return posture.Unsure("when the certificate will expire is not known before it is issued", m)
			}
			return posture.Unsure("the service did not say when the certificate expires", m)
		}
		m.Value = c.NotAfter.UTC().Format(time.RFC3339)
		days := p.Int("daysToExpiration")
		left := c.NotAfter.Sub(p.Now)
		if left > time.Duration(days)*24*time.Hour {
			return r.Pass(fmt.Sprintf("%d days left, until %s; more than %d are needed", int(left.Hours())/24, m.Value, days), m)
		}
		var v posture.Verdict
		if left <= 0 {
			v = r.Fail("expired at "+m.Value, m)
		} else {
			v = r.Fail(fmt.Sprintf("%d days left, until %s; more than %d are needed", int(left.Hours())/24, m.Value, days), m)
		}
		if v.Status == posture.Failed && c.RenewalEligibility == acm.RenewalEligibilityEligible {
			v = v.Note("ACM issued it and renews it by itself, as long as its validation still holds.")
		}
		return v
	}),
}

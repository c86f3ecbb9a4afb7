package controls

import (
	"strconv"
	"strings"

	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// ACM.2: RSA certificates have keys that cannot be factored.
var acm2 = posture.Control{
	ID:            "ACM.2",
	Title:         "RSA certificates managed by ACM should use a key length of at least 2,048 bits",
	Description:   "A certificate passes when its key is not RSA, or is RSA of 2048 bits or more (`KeyAlgorithm`).",
	Why:           "Whoever factors the key can be the domain name towards every client. RSA of 1024 bits is within the reach of those who can spend on it.",
	Fix:           "Make a new key and have a certificate issued for it, then import that: an imported certificate cannot get another key in place. ECDSA P-256 costs the gateway the least.",
	FalsePositive: "None. Only imported certificates can fail: ACM issues nothing below 2048 bits.",
	Severity:      posture.High,
	Category:      "Identify > Inventory > Inventory services",
	Related:       []string{"PCI DSS v4.0.1/4.2.1"},
	Standards:     []string{posture.FSBP, posture.PCIDSS},
	ConfigRule:    posture.ConfigRule{Name: "acm-certificate-rsa-check", Identifier: "ACM_CERTIFICATE_RSA_CHECK"},
	Schedule:      posture.ChangeTriggered,
	Resources:     []string{posture.TypeCertificate},
	Sources:       []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, c *acm.CertificateDetail, _ *posture.Params) posture.Verdict {
		m := posture.Seen("KeyAlgorithm", c.KeyAlgorithm)
		name := m.Value
		if name == "" {
			if r.Source != posture.File {
				return posture.Unsure("the service did not say what key the certificate has", m)
			}
			name = "RSA_2048" // the default of a request
		}
		size, rsa := strings.CutPrefix(name, "RSA")
		if !rsa {
			return r.Pass("the key is "+name+", not RSA", m)
		}
		// The service writes RSA-2048 in some answers and RSA_2048 in others.
		bits, err := strconv.Atoi(strings.TrimLeft(size, "-_"))
		if err != nil {
			return posture.Unsure("the key algorithm "+name+" is not known", m)
		}
		if bits < 2048 {
			return r.Fail("the key is RSA of "+strconv.Itoa(bits)+" bits; 2048 are needed", m)
		}
		return r.Pass("the key is RSA of "+strconv.Itoa(bits)+" bits", m)
	}),
}

package controls

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.2: REST stages present a client certificate to backends.
var apiGateway2 = posture.Control{
	ID:          "APIGateway.2",
	Title:       "API Gateway REST API stages should be configured to use SSL certificates for backend authentication",
	Description: "A REST stage passes when it names a client certificate (`clientCertificateId`). Nothing else is looked at.",
	Why: "A backend that anyone can reach cannot tell the gateway's requests from a stranger's who found its address. The client certificate is " +
		"how the gateway says who it is, in the handshake, before a byte of the request.",
	Fix: "Generate a client certificate, teach the backends to demand it, then set `clientCertificateId` on the stage. " +
		"Setting `TLS_1_2` on a domain name, which copied advice does, changes nothing here.",
	FalsePositive: "A stage whose integrations are all Lambda, AWS services or MOCK has no backend that could ask for the certificate, and fails all the same: " +
		"accept the finding with that reason. A pass says little: an expired certificate passes, and so does one that no backend checks.",
	Severity:   posture.Medium,
	Category:   inTransit,
	Related:    append(slices.Clone(protectedTransit), "NIST.800-171.r2 3.13.15"),
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.NIST800171, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gw-ssl-enabled", Identifier: "API_GW_SSL_ENABLED"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStage},
	Sources:    []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, s *apigateway.Stage, _ *posture.Params) posture.Verdict {
		m := posture.Member{Path: "clientCertificateId", Value: aws.ToString(s.ClientCertificateId)}
		if m.Value == "" {
			return r.Fail("clientCertificateId is not set", m)
		}
		return r.Pass("backends that ask are shown client certificate "+m.Value, m)
	}),
}

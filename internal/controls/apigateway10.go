package controls

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.10: private integrations of HTTP APIs speak TLS.
var apiGateway10 = posture.Control{
	ID:    "APIGateway.10",
	Title: "API Gateway V2 integrations should use HTTPS for private connections",
	Description: "An integration through a VPC link passes when it has a TLS configuration (`tlsConfig`). The scheme of its URI is not read: " +
		"`tlsConfig` is what makes the hop HTTPS.",
	Why: "Traffic inside a VPC is not private from what else runs in it. Without TLS the gateway cannot tell the backend from whoever took its address, " +
		"and whatever the client's TLS protected travels on in clear.",
	Fix: "First see that the backend speaks TLS with a certificate that verifies for the name; then set `tlsConfig.serverNameToVerify` to that name. " +
		"A backend that speaks plain HTTP stops working the moment it is set.",
	FalsePositive: "Integrations over the internet or with AWS services are not private connections and are not judged (inferred). " +
		"Private integrations of REST APIs have a `tlsConfig` of another meaning and no control.",
	Severity:    posture.Medium,
	Category:    inTransit,
	RuleRelated: transitOfRule,
	Standards:   []string{posture.FSBP},
	ConfigRule:  posture.ConfigRule{Name: "apigatewayv2-integration-private-https-enabled", Identifier: "APIGATEWAYV2_INTEGRATION_PRIVATE_HTTPS_ENABLED"},
	Schedule:    posture.ChangeTriggered,
	Resources:   []string{posture.TypeIntegration},
	Sources:     []string{sourceReference, "API reference, apigatewayv2 TlsConfig"},

	Applies: func(r *posture.Resource) (bool, string) {
		i, ok := r.Doc.(*apigatewayv2.Integration)
		if !ok || i == nil || i.ConnectionType == apigatewayv2.ConnectionTypeVpcLink {
			return true, ""
		}
		if _, unresolved := r.Unresolved("connectionType"); unresolved {
			return true, ""
		}
		return false, "the integration is not a private connection (inferred: the rule speaks of private integrations)"
	},
	Check: posture.On(func(r *posture.Resource, i *apigatewayv2.Integration, _ *posture.Params) posture.Verdict {
		link := posture.Seen("connectionType", i.ConnectionType)
		if i.TlsConfig == nil {
			m := posture.Member{Path: "tlsConfig"}
			if protocolOf(r) == apigatewayv2.ProtocolTypeWebsocket {
				return r.Stuck("tlsConfig is absent; WebSocket APIs do not have it", link, m).As(posture.Inferred)
			}
			v := r.Fail("tlsConfig is absent: the hop to the backend is plain HTTP", link, m)
			if strings.HasPrefix(aws.ToString(i.IntegrationUri), "https:") {
				v = v.Note("The URI begins with https:, which does not make the hop HTTPS.")
			}
			return v
		}
		name := posture.Member{Path: "tlsConfig.serverNameToVerify", Value: aws.ToString(i.TlsConfig.ServerNameToVerify)}
		if _, unresolved := r.Unresolved("tlsConfig"); !unresolved {
			if _, unresolved = r.Unresolved(name.Path); unresolved { // present, whatever the name is
				return r.Pass("tlsConfig is present", link).Note("The name to verify is not known.")
			}
		}
		if name.Value == "" {
			return r.Pass("tlsConfig is present", link, name).
				Note("It names no server to verify: the hop is encrypted, and the backend may be anyone with a trusted certificate for the name in the URI.")
		}
		return r.Pass("the hop is HTTPS, verified for "+name.Value, link, name)
	}),
}

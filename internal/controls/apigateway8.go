package controls

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.8: every route of an HTTP or WebSocket API is authorized.
var apiGateway8 = posture.Control{
	ID:    "APIGateway.8",
	Title: "API Gateway routes should specify an authorization type",
	Description: "A route of an HTTP or WebSocket API passes when its authorization type is AWS_IAM, CUSTOM or JWT, or exactly the one that " +
		"`authorizationType` names. NONE, or none at all, fails. Methods of REST APIs are not looked at by any control.",
	Why: "A route without an authorizer answers whoever finds it. One forgotten route is enough, and an authorizer that exists on the API but is attached to no route guards nothing.",
	Fix: "Set the authorization type on the route, and the authorizer for JWT and CUSTOM.",
	FalsePositive: "WebSocket APIs take an authorizer on `$connect` alone, where it decides for the whole connection; their other routes fail by construction (inferred). " +
		"Routes for OPTIONS that answer CORS preflights fail too, since a browser sends those without credentials. No change closes such findings: accept them with that reason. " +
		"A required API key is not an authorization type.",
	Severity:   posture.Medium,
	Category:   "Protect > Secure Access Management",
	Related:    []string{"NIST.800-53.r5 AC-3", "NIST.800-53.r5 CM-2", "NIST.800-53.r5 CM-2(2)"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gwv2-authorization-type-configured", Identifier: "API_GWV2_AUTHORIZATION_TYPE_CONFIGURED"},
	Schedule:   posture.Periodic, // AWS Config does not record routes
	Resources:  []string{posture.TypeRoute},
	Parameters: []posture.Parameter{{
		Name: "authorizationType", Kind: posture.Enum, Allowed: []string{"AWS_IAM", "CUSTOM", "JWT"}, Customizable: true,
		Description: "The one type that is accepted. Not set: any of the three.",
	}},
	Proactive: &posture.ProactiveForm{ID: "CT.APIGATEWAY.PR.5", Text: "The same."},
	Sources:   []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, route *apigatewayv2.Route, p *posture.Params) posture.Verdict {
		m := posture.Seen("authorizationType", route.AuthorizationType)
		key := posture.Member{Path: "routeKey", Value: aws.ToString(route.RouteKey)}
		wanted := p.One("authorizationType")
		switch route.AuthorizationType {
		case "", apigatewayv2.AuthorizationTypeNone:
		default:
			if wanted == "" || wanted == m.Value {
				return r.Pass("callers are authorized by "+m.Value, m)
			}
		}
		reason := "the route's authorization type is " + m.Value
		if m.Value == "" {
			reason = "the route has no authorization type"
		}
		if wanted != "" {
			reason += "; accepted: " + wanted
		}
		_, keyUnknown := r.Unresolved(key.Path)
		switch protocol := protocolOf(r); {
		case keyUnknown:
			return r.Fail(reason, m).Note("The route's key is not known: if no caller can be authorized on it, no change closes this finding.")
		case protocol == apigatewayv2.ProtocolTypeWebsocket && key.Value != "$connect":
			return r.Stuck(reason+"; WebSocket APIs take an authorizer on $connect only", m, key).As(posture.Inferred).
				Note("$connect decides for the whole connection: look at that route's finding, and accept this one with a reason.")
		case protocol == apigatewayv2.ProtocolTypeWebsocket && wanted == string(apigatewayv2.AuthorizationTypeJwt):
			return r.Stuck(reason+", which WebSocket APIs do not have", m, key)
		case strings.HasPrefix(key.Value, "OPTIONS "):
			return r.Stuck(reason+"; a browser sends its CORS preflight without credentials", m, key).As(posture.Inferred).
				Note("If the route does not answer preflights, attach an authorizer; if it does, accept this finding with a reason, or let the API's corsConfiguration answer and delete the route.")
		case protocol == "" && !strings.Contains(key.Value, " ") && key.Value != "$connect":
			return r.Fail(reason, m).Note("The API's protocol is not known: on a WebSocket API no change closes this finding.")
		}
		return r.Fail(reason, m)
	}),
}

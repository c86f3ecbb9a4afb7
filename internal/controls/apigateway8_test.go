package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func route(api *apigatewayv2.Api, key string, authorization apigatewayv2.AuthorizationType) posture.Resource {
	r := posture.Resource{Type: posture.TypeRoute, ID: "arn:aws:apigateway:us-east-1::/apis/b1/routes/r1", Source: posture.Account,
		Doc: &apigatewayv2.Route{RouteKey: aws.String(key), AuthorizationType: authorization}}
	if api != nil {
		r.Parent = api
	}
	return r
}

var apiGateway8Cases = []testCase{
	{name: "JWT", r: route(httpAPI, "GET /pets", "JWT"), want: posture.Passed},
	{name: "IAM", r: route(httpAPI, "GET /pets", "AWS_IAM"), want: posture.Passed},
	{name: "Lambda", r: route(httpAPI, "$default", "CUSTOM"), want: posture.Passed},
	{name: "NONE", r: route(httpAPI, "GET /pets", "NONE"), want: posture.Failed, reason: "authorization type is NONE"},
	{name: "absent", r: route(httpAPI, "$default", ""), want: posture.Failed, reason: "no authorization type"},
	{name: "exactly the required type", r: route(httpAPI, "GET /pets", "JWT"), params: posture.Values{"authorizationType": {"JWT"}}, want: posture.Passed},
	{name: "not the required type", r: route(httpAPI, "GET /pets", "CUSTOM"), params: posture.Values{"authorizationType": {"JWT"}}, want: posture.Failed, reason: "accepted: JWT"},

	{name: "WebSocket, $connect", r: route(webSocketAPI, "$connect", "NONE"), want: posture.Failed},
	{name: "WebSocket, $connect authorized", r: route(webSocketAPI, "$connect", "CUSTOM"), want: posture.Passed},
	{name: "WebSocket, another route", r: route(webSocketAPI, "sendMessage", "NONE"), want: posture.Unfixable, reason: "$connect only", confidence: posture.Inferred},
	{name: "WebSocket has no JWT", r: route(webSocketAPI, "$connect", "CUSTOM"), params: posture.Values{"authorizationType": {"JWT"}}, want: posture.Unfixable},
	{name: "CORS preflight", r: route(httpAPI, "OPTIONS /pets", "NONE"), want: posture.Unfixable, note: "preflights", confidence: posture.Inferred},
	{name: "API not known", r: route(nil, "sendMessage", "NONE"), want: posture.Failed, note: "protocol is not known"},
	{name: "API not known, key of HTTP", r: route(nil, "GET /pets", "NONE"), want: posture.Failed},
	{name: "key not known", r: without(route(webSocketAPI, "", "NONE"), "routeKey"), want: posture.Failed, note: "key is not known"},
	{name: "type not known", r: without(inTemplate(route(httpAPI, "GET /pets", "")), "authorizationType"), want: posture.Unknown},
	{name: "REST methods are not in scope", r: posture.Resource{Type: "AWS::ApiGateway::Method"}, want: posture.NotApplicable},
}

package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func integration(api *apigatewayv2.Api, i apigatewayv2.Integration) posture.Resource {
	r := posture.Resource{Type: posture.TypeIntegration, ID: "arn:aws:apigateway:us-east-1::/apis/b1/integrations/i1", Source: posture.Account, Doc: &i}
	if api != nil {
		r.Parent = api
	}
	return r
}

func verified(name string) *apigatewayv2.TlsConfig {
	return &apigatewayv2.TlsConfig{ServerNameToVerify: aws.String(name)}
}

var apiGateway10Cases = []testCase{
	{name: "HTTPS", r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", TlsConfig: verified("internal.example.com")}), want: posture.Passed, reason: "internal.example.com"},
	{name: "plain", r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK"}), want: posture.Failed, reason: "tlsConfig is absent"},
	{name: "no name to verify", r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", TlsConfig: &apigatewayv2.TlsConfig{}}), want: posture.Passed, note: "no server to verify"},
	{name: "the scheme does not help", want: posture.Failed, note: "does not make the hop HTTPS",
		r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", IntegrationUri: aws.String("https://internal.example.com")})},
	{name: "the scheme does not harm", want: posture.Passed,
		r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", IntegrationUri: aws.String("http://internal.example.com"), TlsConfig: verified("internal.example.com")})},
	{name: "WebSocket APIs do not have it", r: integration(webSocketAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK"}), want: posture.Unfixable, confidence: posture.Inferred},
	{name: "internet", r: integration(httpAPI, apigatewayv2.Integration{ConnectionType: "INTERNET"}), want: posture.NotApplicable, reason: "not a private connection"},
	{name: "internet by default", r: integration(nil, apigatewayv2.Integration{}), want: posture.NotApplicable},
	{name: "connection not known", r: without(inTemplate(integration(httpAPI, apigatewayv2.Integration{})), "connectionType"), want: posture.Unknown},
	{name: "TLS not known", r: without(inTemplate(integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK"})), "tlsConfig"), want: posture.Unknown},
	{name: "TLS not known, as a template has it", r: without(inTemplate(integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", TlsConfig: verified("")})), "tlsConfig"), want: posture.Unknown},
	{name: "name not known", r: without(inTemplate(integration(httpAPI, apigatewayv2.Integration{ConnectionType: "VPC_LINK", TlsConfig: verified("")})), "tlsConfig.serverNameToVerify"), want: posture.Passed, note: "not known"},
}

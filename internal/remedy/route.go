package remedy

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// fixAuthorization closes APIGateway.8.
func fixAuthorization(p *patient, f *fix) {
	kind := p.value(valueAuthorization)
	if wanted := p.f.Parameters["authorizationType"]; len(wanted) == 1 {
		kind = wanted[0]
	}
	kind = cmp.Or(kind, string(v2types.AuthorizationTypeAwsIam)) // the one that needs no authorizer
	if route, ok := p.r.Doc.(*v2types.Route); ok && kind == "JWT" && aws.ToString(route.RouteKey) == "$connect" {
		f.hand("WebSocket APIs have no JWT authorizers: choose AWS_IAM or CUSTOM.", "")
		return
	}
	api, route := p.path()
	in := &apigatewayv2.UpdateRouteInput{ApiId: &api, RouteId: &route, AuthorizationType: v2types.AuthorizationType(kind)}
	breaks := []string{"callers without credentials, who are let in today"}
	tfMore, cfnMore := "", ""
	switch kind {
	case "AWS_IAM":
		breaks = append(breaks, "callers who do not sign their requests (SigV4), browsers among them")
	default:
		id := p.value(valueAuthorizer)
		if id == "" {
			f.need(valueAuthorizer)
			tfMore, cfnMore = "\nauthorizer_id      = aws_apigatewayv2_authorizer.this.id", "\nAuthorizerId: !Ref Authorizer"
		} else {
			in.AuthorizerId = &id
			tfMore, cfnMore = "\nauthorizer_id      = "+hcl(id), "\nAuthorizerId: "+text(id)
		}
	}
	if len(f.needs) == 0 {
		f.do(call{input: in, why: "The route answers callers that " + kind + " authorizes.", breaks: breaks})
	}
	f.config(tf("aws_apigatewayv2_route", p.label("route"), "authorization_type = "+hcl(kind)+tfMore))
	f.stack(cfn(cfnResource(p.logical("Route"), posture.TypeRoute, "AuthorizationType: "+kind+cfnMore)))
}

// Formats of access logs, of members that every stage of the kind has.
// Source: developer guide, Customize HTTP API access logs; Monitor WebSocket APIs.
const (
	formatHTTP      = `{"requestId":"$context.requestId","ip":"$context.identity.sourceIp","requestTime":"$context.requestTime","httpMethod":"$context.httpMethod","routeKey":"$context.routeKey","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength"}`
	formatWebSocket = `{"requestId":"$context.requestId","ip":"$context.identity.sourceIp","requestTime":"$context.requestTime","eventType":"$context.eventType","routeKey":"$context.routeKey","status":"$context.status","connectionId":"$context.connectionId"}`
)

// fixAccessLog closes APIGateway.9.
func fixAccessLog(p *patient, f *fix) {
	stage, _ := p.r.Doc.(*v2types.Stage)
	format := formatHTTP
	if parent, ok := p.r.Parent.(*v2types.Api); ok && parent != nil && parent.ProtocolType == v2types.ProtocolTypeWebsocket {
		format = formatWebSocket
	}
	arn := p.value(valueLogGroup)
	if stage != nil && stage.AccessLogSettings != nil { // one half is there
		format = cmp.Or(aws.ToString(stage.AccessLogSettings.Format), format)
		arn = cmp.Or(arn, aws.ToString(stage.AccessLogSettings.DestinationArn))
	}
	api, name := p.path()
	group := "/aws/apigateway/" + api + "/" + strings.TrimPrefix(name, "$")
	if p.r.Source != posture.File && arn == "" {
		if p.r.Account == "" {
			f.need(valueLogGroup)
		} else {
			f.needs = append(f.needs, valueLogGroup)
			f.command("aws logs create-log-group --region "+quote(p.r.Region)+" --log-group-name "+quote(group), "The log group must exist before the stage names it. CloudWatch Logs bills for what it keeps.")
			arn = "arn:" + p.partition() + ":logs:" + p.r.Region + ":" + p.r.Account + ":log-group:" + group
		}
	}
	if arn != "" && p.r.Source != posture.File {
		f.do(call{input: &apigatewayv2.UpdateStageInput{ApiId: &api, StageName: &name, AccessLogSettings: &v2types.AccessLogSettings{DestinationArn: &arn, Format: &format}},
			why: "Each request leaves a line. Who runs this needs the permission to set up log delivery."})
	}
	f.config("resource \"aws_cloudwatch_log_group\" \"access\" {\n  name_prefix = \"/aws/apigateway/access-\"\n}\n\n" +
		tf("aws_apigatewayv2_stage", p.label("stage"), "access_log_settings {\n  destination_arn = aws_cloudwatch_log_group.access.arn\n  format          = "+hcl(format)+"\n}"))
	f.stack(cfn("  AccessLogs:\n    Type: AWS::Logs::LogGroup\n",
		cfnResource(p.logical("Stage"), posture.TypeStageV2, "AccessLogSettings:\n  DestinationArn: !GetAtt AccessLogs.Arn\n  Format: "+text(format))))
}

// fixPrivateTLS closes APIGateway.10.
func fixPrivateTLS(p *patient, f *fix) {
	i, _ := p.r.Doc.(*v2types.Integration)
	name := p.value(valueServerName)
	if u, err := url.Parse(aws.ToString(i.IntegrationUri)); name == "" && err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		name = u.Hostname()
	}
	api, integration := p.path()
	breaks := []string{
		"the backend, if it speaks plain HTTP: setting tlsConfig is what makes the hop HTTPS",
		"a backend whose certificate does not verify for the name",
	}
	if strings.HasPrefix(aws.ToString(i.IntegrationUri), "http:") {
		breaks[0] = "the backend speaks plain HTTP by its URI, " + *i.IntegrationUri + ": give it TLS first"
	}
	f.hand("See first that the backend answers TLS with a certificate that verifies for "+cmp.Or(name, "its name")+": sallyport doctor, or openssl s_client -verify_return_error from within the VPC.", "")
	tfName, cfnName := hcl(name), text(name)
	head := ""
	if name == "" {
		f.need(valueServerName)
		tfName, cfnName = "var.backend_name", "!Ref BackendName"
		head = "Parameters:\n  BackendName:\n    Type: String\n"
	} else {
		f.do(call{input: &apigatewayv2.UpdateIntegrationInput{ApiId: &api, IntegrationId: &integration, TlsConfig: &v2types.TlsConfigInput{ServerNameToVerify: &name}},
			why: "The hop to the backend is HTTPS, verified for " + name + ".", breaks: breaks, lasting: "no call of the service takes tlsConfig away again"})
	}
	variable := ""
	if name == "" {
		variable = "variable \"backend_name\" {\n  type = string\n}\n\n"
	}
	f.config(variable + tf("aws_apigatewayv2_integration", p.label("integration"), "tls_config {\n  server_name_to_verify = "+tfName+"\n}"))
	f.stack(head + cfn(cfnResource(p.logical("Integration"), posture.TypeIntegration, "TlsConfig:\n  ServerNameToVerify: "+cfnName)))
}

package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func accessLog(api *apigatewayv2.Api, destination, format string) posture.Resource {
	return stageV2(api, apigatewayv2.Stage{AccessLogSettings: &apigatewayv2.AccessLogSettings{
		DestinationArn: aws.String(destination), Format: aws.String(format)}})
}

const group = "arn:aws:logs:us-east-1:000000000000:log-group:g"

var apiGateway9Cases = []testCase{
	{name: "HTTP", r: accessLog(httpAPI, group, "$context.requestId"), want: posture.Passed},
	{name: "WebSocket", r: accessLog(webSocketAPI, group, "$context.requestId"), want: posture.Passed},
	{name: "the API does not matter", r: accessLog(nil, group, "$context.requestId"), want: posture.Passed},
	{name: "absent", r: stageV2(httpAPI, apigatewayv2.Stage{}), want: posture.Failed, reason: "accessLogSettings is absent"},
	{name: "managed $default", r: stageV2(httpAPI, apigatewayv2.Stage{StageName: aws.String("$default"), ApiGatewayManaged: aws.Bool(true)}), want: posture.Failed},
	{name: "empty", r: accessLog(httpAPI, "", ""), want: posture.Failed},
	{name: "present is enough", r: accessLog(httpAPI, group, ""), want: posture.Passed, note: "nothing can be logged"},
	{name: "template, half of it", r: inTemplate(accessLog(httpAPI, group, "")), want: posture.Failed, reason: "no format"},
	{name: "template, the other half", r: inTemplate(accessLog(httpAPI, "", "$context.requestId")), want: posture.Failed, reason: "no destinationArn"},
	{name: "template", r: inTemplate(accessLog(httpAPI, group, "$context.requestId")), want: posture.Passed},
	{name: "template, destination not known", r: without(inTemplate(accessLog(httpAPI, "", "$context.requestId")), "accessLogSettings.destinationArn"), want: posture.Unknown},
	{name: "proactive, half of it", r: accessLog(httpAPI, "", "$context.requestId"), mode: posture.Proactive, want: posture.Failed},
	{name: "not known", r: without(inTemplate(stageV2(httpAPI, apigatewayv2.Stage{})), "accessLogSettings"), want: posture.Unknown},
	{name: "REST stages are not in scope", r: restStage(apigateway.Stage{}), want: posture.NotApplicable},
}

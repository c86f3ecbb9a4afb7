package controls

import (
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

var apiGateway3Cases = []testCase{
	{name: "on", r: restStage(apigateway.Stage{TracingEnabled: true}), want: posture.Passed},
	{name: "off", r: restStage(apigateway.Stage{}), want: posture.Failed, reason: "tracingEnabled is not true"},
	{name: "proactive, off", r: inTemplate(restStage(apigateway.Stage{})), mode: posture.Proactive, want: posture.Failed},
	{name: "not known", r: without(inTemplate(restStage(apigateway.Stage{})), "tracingEnabled"), want: posture.Unknown},
	{name: "stored, not in effect", r: stored(restStage(apigateway.Stage{TracingEnabled: true}), "tracingEnabled"), want: posture.Unknown,
		reason: "stored, not in effect", note: "would pass: tracingEnabled is true"},
	{name: "off is off, in effect or not", r: stored(restStage(apigateway.Stage{}), "tracingEnabled"), want: posture.Failed},
	{name: "HTTP stages are not in scope", r: stageV2(httpAPI, apigatewayv2.Stage{}), want: posture.NotApplicable},
}

package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

var apiGateway2Cases = []testCase{
	{name: "named", r: restStage(apigateway.Stage{ClientCertificateId: aws.String("c1")}), want: posture.Passed, reason: "c1"},
	{name: "not named", r: restStage(apigateway.Stage{}), want: posture.Failed, reason: "clientCertificateId is not set"},
	{name: "empty", r: restStage(apigateway.Stage{ClientCertificateId: aws.String("")}), want: posture.Failed},
	{name: "not known", r: without(inTemplate(restStage(apigateway.Stage{})), "clientCertificateId"), want: posture.Unknown, reason: "Fn::ImportValue"},
	{name: "WebSocket stages are not in scope", r: stageV2(webSocketAPI, apigatewayv2.Stage{}), want: posture.NotApplicable, reason: "does not cover AWS::ApiGatewayV2::Stage"},
}

package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

func withACL(arn string) posture.Resource {
	return restStage(apigateway.Stage{WebAclArn: aws.String(arn)})
}

func ofAPI(r posture.Resource, types ...apigateway.EndpointType) posture.Resource {
	r.Parent = &apigateway.RestApi{EndpointConfiguration: &apigateway.EndpointConfiguration{Types: types}}
	return r
}

var apiGateway4Cases = []testCase{
	{name: "associated", r: withACL("arn:aws:wafv2:us-east-1:000000000000:regional/webacl/w/1"), want: posture.Passed, reason: "webacl/w/1"},
	{name: "classic", r: withACL("arn:aws:waf-regional:us-east-1:000000000000:webacl/1"), want: posture.Passed},
	{name: "none", r: restStage(apigateway.Stage{}), want: posture.Failed, reason: "no web ACL"},
	{name: "empty", r: withACL(""), want: posture.Failed},
	{name: "private APIs are not exempt", r: ofAPI(restStage(apigateway.Stage{}), "PRIVATE"), want: posture.Failed, confidence: posture.Inferred},
	{name: "template", r: inTemplate(restStage(apigateway.Stage{})), want: posture.Failed, confidence: posture.Weak, note: "another file"},
	{name: "not known", r: without(inTemplate(restStage(apigateway.Stage{})), "webAclArn"), want: posture.Unknown},
	{name: "stored, not in effect", r: stored(withACL("arn:aws:wafv2:us-east-1:000000000000:regional/webacl/w/1"), "webAclArn"), want: posture.Unknown},
	{name: "HTTP APIs cannot have one", r: stageV2(httpAPI, apigatewayv2.Stage{}), want: posture.NotApplicable},
}

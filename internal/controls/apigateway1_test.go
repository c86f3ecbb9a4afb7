package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

var (
	httpAPI      = &apigatewayv2.Api{ApiId: aws.String("h1"), ProtocolType: apigatewayv2.ProtocolTypeHttp}
	webSocketAPI = &apigatewayv2.Api{ApiId: aws.String("w1"), ProtocolType: apigatewayv2.ProtocolTypeWebsocket}
)

// restStage is a REST stage as the service answers with it.
func restStage(s apigateway.Stage) posture.Resource {
	return posture.Resource{Type: posture.TypeStage, ID: "arn:aws:apigateway:us-east-1::/restapis/a1/stages/prod", Source: posture.Self, Doc: &s}
}

// stageV2 is a stage of an HTTP or WebSocket API.
func stageV2(api *apigatewayv2.Api, s apigatewayv2.Stage) posture.Resource {
	r := posture.Resource{Type: posture.TypeStageV2, ID: "arn:aws:apigateway:us-east-1::/apis/b1/stages/prod", Source: posture.Account, Doc: &s}
	if api != nil {
		r.Parent = api
	}
	return r
}

// inTemplate is r as a template has it, with the members that it leaves out.
func inTemplate(r posture.Resource, absent ...string) posture.Resource {
	r.Source, r.ID, r.Location = posture.File, "api.yaml#Thing", "api.yaml:7"
	r.Absent = map[string]bool{}
	for _, path := range absent {
		r.Absent[path] = true
	}
	return r
}

// without is r with members whose value is not known.
func without(r posture.Resource, paths ...string) posture.Resource {
	r.Unknown = map[string]string{}
	for _, path := range paths {
		r.Unknown[path] = "Fn::ImportValue of another stack"
	}
	return r
}

// stored is r with members that this gateway does not act on.
func stored(r posture.Resource, paths ...string) posture.Resource {
	r.NotInEffect = map[string]bool{}
	for _, path := range paths {
		r.NotInEffect[path] = true
	}
	return r
}

// levels are method settings by key and logging level; "" leaves it out.
func levels(pairs ...string) apigateway.Stage {
	s := apigateway.Stage{MethodSettings: map[string]apigateway.MethodSetting{}}
	for i := 0; i < len(pairs); i += 2 {
		var m apigateway.MethodSetting
		if pairs[i+1] != "" {
			m.LoggingLevel = aws.String(pairs[i+1])
		}
		s.MethodSettings[pairs[i]] = m
	}
	return s
}

func routeLevel(level apigatewayv2.LoggingLevel) apigatewayv2.Stage {
	return apigatewayv2.Stage{DefaultRouteSettings: &apigatewayv2.RouteSettings{LoggingLevel: level}}
}

var apiGateway1Cases = []testCase{
	{name: "every method at INFO", r: restStage(levels("*/*", "INFO")), want: posture.Passed},
	{name: "every method at ERROR", r: restStage(levels("*/*", "ERROR")), want: posture.Passed},
	{name: "different levels", r: restStage(levels("*/*", "ERROR", "~1pets/GET", "INFO")), want: posture.Passed},
	{name: "only an override", r: restStage(levels("~1pets/GET", "INFO")), want: posture.Passed, note: "no setting for every method"},
	{name: "no settings", r: restStage(apigateway.Stage{}), want: posture.Failed, reason: "methodSettings is empty"},
	{name: "every method OFF", r: restStage(levels("*/*", "OFF")), want: posture.Failed, reason: "methodSettings[*/*].loggingLevel is OFF"},
	{name: "one override OFF", r: restStage(levels("*/*", "INFO", "~1pets/GET", "OFF")), want: posture.Failed, reason: "methodSettings[~1pets/GET].loggingLevel is OFF"},
	{name: "an override without a level", r: restStage(levels("*/*", "INFO", "~1pets/GET", "")), want: posture.Failed, reason: "is absent"},
	{name: "lower case is no level", r: restStage(levels("*/*", "info")), want: posture.Failed},
	{name: "full bodies are logged", want: posture.Passed, note: "methodSettings[*/*].dataTraceEnabled is true",
		r: restStage(apigateway.Stage{MethodSettings: map[string]apigateway.MethodSetting{"*/*": {LoggingLevel: aws.String("INFO"), DataTraceEnabled: true}}})},

	{name: "required ERROR", r: restStage(levels("*/*", "ERROR")), params: posture.Values{"loggingLevel": {"ERROR"}}, want: posture.Passed},
	{name: "INFO does not satisfy a required ERROR", r: restStage(levels("*/*", "INFO")), params: posture.Values{"loggingLevel": {"ERROR"}}, want: posture.Failed, reason: "accepted: ERROR"},
	{name: "ERROR does not satisfy a required INFO", r: stageV2(webSocketAPI, routeLevel("ERROR")), params: posture.Values{"loggingLevel": {"INFO"}}, want: posture.Failed},

	{name: "template, an override inherits", r: inTemplate(restStage(levels("*/*", "INFO", "~1pets/GET", ""))), want: posture.Passed},
	{name: "template, an override inherits OFF", r: inTemplate(restStage(levels("*/*", "OFF", "~1pets/GET", ""))), want: posture.Failed},
	{name: "template, nothing to inherit", r: inTemplate(restStage(levels("~1pets/GET", ""))), want: posture.Failed},
	{name: "template, the inherited level is not known", r: without(inTemplate(restStage(levels("*/*", "", "~1pets/GET", ""))), "methodSettings[*/*].loggingLevel"), want: posture.Unknown},
	{name: "template, a level is not known", r: without(inTemplate(restStage(levels("*/*", "INFO", "~1pets/GET", ""))), "methodSettings[~1pets/GET].loggingLevel"),
		want: posture.Unknown, reason: "methodSettings[~1pets/GET].loggingLevel is not known: Fn::ImportValue of another stack"},
	{name: "template, another setting fails whatever it is", r: without(inTemplate(restStage(levels("*/*", "OFF", "~1pets/GET", ""))), "methodSettings[~1pets/GET].loggingLevel"), want: posture.Failed},
	{name: "template, no setting is known", r: without(inTemplate(restStage(apigateway.Stage{})), "methodSettings"), want: posture.Unknown},

	{name: "proactive, every method", r: inTemplate(restStage(levels("*/*", "INFO"))), mode: posture.Proactive, want: posture.Passed},
	{name: "proactive, another may leave it out", r: inTemplate(restStage(levels("*/*", "INFO", "~1pets/GET", ""))), mode: posture.Proactive, want: posture.Passed},
	{name: "proactive, another may not contradict", r: inTemplate(restStage(levels("*/*", "INFO", "~1pets/GET", "OFF"))), mode: posture.Proactive, want: posture.Failed},
	{name: "proactive, an override is not enough", r: inTemplate(restStage(levels("~1pets/GET", "INFO"))), mode: posture.Proactive, want: posture.Failed, reason: "no setting for every method"},
	{name: "proactive, a level is not known", r: without(inTemplate(restStage(levels("*/*", "INFO", "~1pets/GET", ""))), "methodSettings[~1pets/GET].loggingLevel"), mode: posture.Proactive, want: posture.Unknown},

	{name: "WebSocket at INFO", r: stageV2(webSocketAPI, routeLevel("INFO")), want: posture.Passed},
	{name: "WebSocket OFF", r: stageV2(webSocketAPI, routeLevel("OFF")), want: posture.Failed, reason: "defaultRouteSettings.loggingLevel is OFF"},
	{name: "WebSocket without settings", r: stageV2(webSocketAPI, apigatewayv2.Stage{}), want: posture.Failed, reason: "is absent"},
	{name: "WebSocket, a route of its own is not looked at", want: posture.Passed, note: "$connect at OFF", r: stageV2(webSocketAPI, apigatewayv2.Stage{
		DefaultRouteSettings: &apigatewayv2.RouteSettings{LoggingLevel: "INFO"},
		RouteSettings:        map[string]apigatewayv2.RouteSettings{"$connect": {LoggingLevel: "OFF"}}})},
	{name: "WebSocket, the level is not known", r: without(stageV2(webSocketAPI, routeLevel("")), "defaultRouteSettings"), want: posture.Unknown},
	{name: "HTTP API", r: stageV2(httpAPI, apigatewayv2.Stage{}), want: posture.NotApplicable, reason: "HTTP APIs have no execution log"},
	{name: "V2 stage of an API that is not known", r: stageV2(nil, routeLevel("INFO")), want: posture.Unknown, reason: "protocol is not known"},
}

package controls

import (
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.3: REST stages trace.
var apiGateway3 = posture.Control{
	ID:          "APIGateway.3",
	Title:       "API Gateway REST API stages should have AWS X-Ray tracing enabled",
	Description: "A REST stage passes when active tracing is on (`tracingEnabled`).",
	Why: "A trace follows one request through the gateway, its authorizers and its backends. Without it a change in behaviour between them shows " +
		"late and is hard to place.",
	Fix: "Replace `/tracingEnabled` with `true` on the stage.",
	FalsePositive: "A stage whose callers start the trace themselves is traced although tracing is off here, and fails. " +
		"Sampling rules and what backends do with the trace are not looked at.",
	Severity:   posture.Low,
	Category:   "Detect > Detection services",
	Related:    []string{"NIST.800-53.r5 CA-7"},
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gw-xray-enabled", Identifier: "API_GW_XRAY_ENABLED"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStage},
	Proactive:  &posture.ProactiveForm{ID: "CT.APIGATEWAY.PR.2", Text: "The same."},
	Sources:    []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, s *apigateway.Stage, _ *posture.Params) posture.Verdict {
		m := posture.Seen("tracingEnabled", s.TracingEnabled)
		if !s.TracingEnabled {
			return r.Fail("tracingEnabled is not true", m)
		}
		return r.Pass("tracingEnabled is true", m)
	}),
}

package controls

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.9: stages of HTTP and WebSocket APIs write access logs.
var apiGateway9 = posture.Control{
	ID:          "APIGateway.9",
	Title:       "Access logging should be configured for API Gateway V2 Stages",
	Description: "A stage of an HTTP or WebSocket API passes when it has access log settings, the service-managed `$default` stage included.",
	Why:         "The access log is the one record of who called what and when. For HTTP APIs it is the only log there is.",
	Fix: "Set `accessLogSettings` with a log group's ARN and a format. Who changes the stage needs the permission to set up log delivery, " +
		"and the log group must exist.",
	FalsePositive: "None by AWS's letter. A pass does not say that anything is delivered: the log group may be gone, or refuse. Stages of REST APIs have a Config rule " +
		"for access logs, `apigateway-stage-access-logs-enabled`, and no control.",
	Severity:   posture.Medium,
	Category:   logging,
	Related:    append(auditTrail[:len(auditTrail):len(auditTrail)], "PCI DSS v4.0.1/10.4.2"),
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.PCIDSS, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gwv2-access-logs-enabled", Identifier: "API_GWV2_ACCESS_LOGS_ENABLED"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStageV2},
	Proactive:  &posture.ProactiveForm{ID: "CT.APIGATEWAY.PR.4", Text: "Both the destination and the format are needed."},
	Sources:    []string{sourceReference},

	Check: posture.On(func(r *posture.Resource, s *apigatewayv2.Stage, p *posture.Params) posture.Verdict {
		l := s.AccessLogSettings
		if l == nil {
			return r.Fail("accessLogSettings is absent", posture.Member{Path: "accessLogSettings"})
		}
		to := posture.Member{Path: "accessLogSettings.destinationArn", Value: aws.ToString(l.DestinationArn)}
		format := posture.Member{Path: "accessLogSettings.format", Value: aws.ToString(l.Format)}
		// The service takes no half of it, so a template with one half is as
		// good as one without; what the service itself answers is taken as it is.
		both := p.Mode == posture.Proactive || r.Source == posture.File
		_, anyDestination := r.Unresolved(to.Path)
		_, anyFormat := r.Unresolved(format.Path)
		noDestination, noFormat := to.Value == "" && !anyDestination, format.Value == "" && !anyFormat
		switch {
		case noDestination && noFormat:
			return r.Fail("accessLogSettings is empty", to, format)
		case noDestination && both:
			return r.Fail("accessLogSettings has no destinationArn", to)
		case noFormat && both:
			return r.Fail("accessLogSettings has no format", format)
		case both:
			return r.Pass("access logs go to "+to.Value, to, format)
		}
		v := r.Pass("accessLogSettings is present", to)
		if noDestination || noFormat {
			v = v.Note("The destination or the format is missing: nothing can be logged.")
		}
		return v
	}),
}

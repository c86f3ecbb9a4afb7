package controls

import (
	"slices"
	"strings"

	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// APIGateway.1: REST and WebSocket stages write execution logs.
var apiGateway1 = posture.Control{
	ID:    "APIGateway.1",
	Title: "API Gateway REST and WebSocket API execution logging should be enabled",
	Description: "A REST stage passes when its method settings are not empty and each of them, the one for every method (`*/*`) and each override, " +
		"has a logging level that is accepted. A WebSocket stage passes when the level of its default route settings is accepted. " +
		"ERROR and INFO are accepted; when `loggingLevel` is set, only that level is.",
	Why: "The execution log tells what the gateway did with a request: which authorizer refused it, what went to the backend, what came back. " +
		"Without it an incident cannot be traced past the access log, and a failing method looks like any other 500.",
	Fix: "Set the level for every method to ERROR, and for each override that is at OFF as well. The account needs a CloudWatch role " +
		"(`cloudwatchRoleArn`) first; without it the service refuses or drops the log.",
	FalsePositive: "None by AWS's letter: one override at OFF fails the stage even when `*/*` is at INFO. A pass does not say that anything is written: " +
		"the role may be missing. Access logs, data trace and metrics do not count either way.",
	Severity:   posture.Medium,
	Category:   logging,
	Related:    auditTrail,
	Standards:  []string{posture.FSBP, posture.NIST80053, posture.ControlTower},
	ConfigRule: posture.ConfigRule{Name: "api-gw-execution-logging-enabled", Identifier: "API_GW_EXECUTION_LOGGING_ENABLED"},
	Schedule:   posture.ChangeTriggered,
	Resources:  []string{posture.TypeStage, posture.TypeStageV2},
	Parameters: []posture.Parameter{{
		Name: "loggingLevel", Kind: posture.Enum, Allowed: []string{"ERROR", "INFO"}, Customizable: true, RuleDefault: []string{"ERROR", "INFO"},
		Description: "The one level that is accepted. Not set: ERROR and INFO both are. INFO does not satisfy a required ERROR, nor the reverse.",
	}},
	Proactive: &posture.ProactiveForm{ID: "CT.APIGATEWAY.PR.1",
		Text: "A REST stage needs the setting for every method, at an accepted level; other settings may leave the level out, but not contradict it."},
	Sources: []string{sourceReference},

	Applies: func(r *posture.Resource) (bool, string) {
		if r.Type == posture.TypeStageV2 && protocolOf(r) == apigatewayv2.ProtocolTypeHttp {
			return false, "HTTP APIs have no execution log (inferred: the control names REST and WebSocket)"
		}
		return true, ""
	},
	Check: func(r *posture.Resource, p *posture.Params) posture.Verdict {
		accepted := []string{"ERROR", "INFO"}
		if level := p.One("loggingLevel"); level != "" {
			accepted = []string{level}
		}
		switch s := r.Doc.(type) {
		case *apigateway.Stage:
			if s != nil {
				return restLogging(r, s, p, accepted)
			}
		case *apigatewayv2.Stage:
			if s != nil {
				return webSocketLogging(r, s, accepted)
			}
		}
		return posture.Misread(r)
	},
}

func restLogging(r *posture.Resource, stage *apigateway.Stage, p *posture.Params, accepted []string) posture.Verdict {
	s := settingsOf(r, stage)
	if len(s.keys) == 0 {
		return r.Fail("methodSettings is empty: no method writes an execution log", s.whole())
	}
	if p.Mode == posture.Proactive && !s.has() {
		return r.Fail("there is no setting for every method, "+everyMethod, s.whole())
	}
	var good, bad, missing []posture.Member
	for _, key := range s.keys {
		m := s.level(key)
		if p.Mode == posture.Proactive && key != everyMethod && s.entries[key].LoggingLevel == nil {
			if _, unresolved := r.Unresolved(posture.Entry("methodSettings", key, "loggingLevel")); !unresolved {
				continue // it may leave the level out
			}
		}
		_, unresolved := r.Unresolved(m.Path)
		switch {
		case slices.ContainsFunc(good, func(g posture.Member) bool { return g.Path == m.Path }): // inherited
		case unresolved:
			missing = append(missing, m)
		case slices.Contains(accepted, m.Value):
			good = append(good, m)
		case !slices.Contains(bad, m):
			bad = append(bad, m)
		}
	}
	var v posture.Verdict
	switch {
	case len(bad) > 0: // whatever the others turn out to be
		v = r.Fail(describe(bad)+"; accepted: "+strings.Join(accepted, ", "), bad...)
	default:
		v = r.Pass("every method setting logs at "+strings.Join(accepted, " or "), append(good, missing...)...)
	}
	if v.Status == posture.Passed && !s.has() {
		v = v.Note("There is no setting for every method: methods without one of their own log nothing, which AWS does not look at.")
	}
	for _, key := range s.keys {
		if s.entries[key].DataTraceEnabled {
			v = v.Note("%s is true: requests and responses are logged in full, which can leak what they carry.", posture.Entry("methodSettings", key, "dataTraceEnabled"))
			break
		}
	}
	return v
}

func webSocketLogging(r *posture.Resource, s *apigatewayv2.Stage, accepted []string) posture.Verdict {
	m := posture.Member{Path: "defaultRouteSettings.loggingLevel"}
	if s.DefaultRouteSettings != nil {
		m.Value = string(s.DefaultRouteSettings.LoggingLevel)
	}
	if protocolOf(r) == "" {
		return posture.Unsure("the API's protocol is not known, and only stages of WebSocket APIs have an execution log", m)
	}
	var v posture.Verdict
	if slices.Contains(accepted, m.Value) {
		v = r.Pass("routes log at "+m.Value, m)
	} else {
		v = r.Fail(describe([]posture.Member{m})+"; accepted: "+strings.Join(accepted, ", "), m)
	}
	var off []string
	for key, route := range s.RouteSettings {
		if route.LoggingLevel != "" && !slices.Contains(accepted, string(route.LoggingLevel)) {
			off = append(off, key+" at "+string(route.LoggingLevel))
		}
	}
	if len(off) > 0 {
		slices.Sort(off)
		v = v.Note("Routes with a level of their own, which AWS does not look at: %s.", strings.Join(off, ", "))
	}
	return v
}

package pipeline

import (
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// AppendVariable gives access logs and parameter mappings the $context
// variables. What does not exist at this point, phases not built yet above
// all, is not set.
func (e *exchange) AppendVariable(dst []byte, id telemetry.Variable, _ string) ([]byte, bool) {
	text := func(s string) ([]byte, bool) { return append(dst, s...), s != "" }
	number := func(n int64, set bool) ([]byte, bool) {
		if !set {
			return dst, false
		}
		return strconv.AppendInt(dst, n, 10), true
	}
	c := e.x.Conn
	switch id {
	case telemetry.AccountID:
		return text(e.p.options.Account)
	case telemetry.APIID:
		if e.stage != nil {
			return text(e.stage.API)
		}
	case telemetry.DeploymentID:
		if e.stage != nil {
			return text(e.stage.Deployment)
		}
	case telemetry.EndpointType:
		if e.api != nil {
			return text(endpointType(e.api.Endpoint))
		}
	case telemetry.StageName:
		if e.stage != nil {
			return text(e.stage.Name)
		}

	case telemetry.RequestID:
		return text(e.requestID)
	case telemetry.ExtendedRequestID:
		return text(e.extendedID)
	case telemetry.RequestTime:
		return e.x.Received.UTC().AppendFormat(dst, "02/Jan/2006:15:04:05 -0700"), true
	case telemetry.RequestTimeEpoch:
		return number(e.x.Received.UnixMilli(), true)
	case telemetry.HTTPMethod:
		return text(e.x.Method)
	case telemetry.Path:
		return text(e.x.RawPath)
	case telemetry.Protocol:
		return text("HTTP/1.1") // always, as on AWS, HTTP/2 included
	case telemetry.ResourceID:
		if e.method != nil {
			return text(e.method.ResourceID)
		}
	case telemetry.ResourcePath:
		if e.method != nil {
			return text(e.method.ResourcePath)
		}
	case telemetry.DomainName:
		return text(e.host)
	case telemetry.DomainPrefix:
		prefix, _, _ := strings.Cut(e.host, ".")
		return text(prefix)
	case telemetry.TLSVersion:
		if c.Version != 0 {
			return text(tlspolicy.VersionName(c.Version))
		}
	case telemetry.CipherSuite:
		if c.Version != 0 {
			return text(tlspolicy.SuiteName(c.Suite))
		}
	case telemetry.BasePathMatched:
		if e.mapping != nil {
			return text(e.mapping.BasePath)
		}

	case telemetry.Status:
		return number(int64(e.status), e.status != 0)
	case telemetry.ResponseLatency:
		return number(e.finished.Sub(e.x.Received).Milliseconds(), !e.finished.IsZero())
	case telemetry.ResponseLength:
		return number(e.length, e.status != 0)

	case telemetry.ErrorMessage, telemetry.ErrorMessageString:
		if e.fault != nil {
			return text(e.fault.text())
		}
	case telemetry.ErrorResponseType:
		if e.fault != nil {
			return text(gatewayResponses[e.fault.kind].name)
		}

	case telemetry.IntegrationError:
		return text(e.integrationError)
	case telemetry.IntegrationServiceStatus, telemetry.IntegrationStatus:
		return number(int64(e.integrationStatus), e.integrationStatus != 0)
	case telemetry.IntegrationLatency:
		return number(e.integrationLatency.Milliseconds(), !e.asked.IsZero())
	case telemetry.IntegrationTransferMode:
		if !e.asked.IsZero() {
			return text("BUFFERED")
		}

	case telemetry.IdentitySourceIP:
		if ip := e.sourceIP(); ip.IsValid() {
			return ip.AppendTo(dst), true
		}
	case telemetry.IdentityUserAgent:
		return text(e.x.Header.Get("User-Agent"))
	case telemetry.IdentityVPCID:
		return text(c.VPC)
	case telemetry.IdentityVPCEID:
		return text(c.VPCEndpoint)
	}
	return dst, false
}

// endpointType avoids the list that EndpointType.String makes.
func endpointType(t snapshot.EndpointType) string {
	switch t {
	case snapshot.Regional:
		return "REGIONAL"
	case snapshot.Edge:
		return "EDGE"
	case snapshot.Private:
		return "PRIVATE"
	}
	return t.String()
}

// contextValue is the value of a $context variable by its name.
func (e *exchange) contextValue(name string) (string, bool) {
	id, rest, ok := telemetry.LookupVariable(name)
	if !ok {
		return "", false
	}
	from := len(e.text)
	e.text, ok = e.AppendVariable(e.text, id, rest)
	return view(e.text[from:]), ok
}

// since is the time passed, for latencies.
func (e *exchange) since(t time.Time) time.Duration { return e.p.options.Now().Sub(t) }

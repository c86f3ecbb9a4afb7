package pipeline

import (
	"encoding/json"
	"log/slog"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// responseType is a kind of answer that the gateway gives by itself.
type responseType uint8

const (
	forbidden responseType = iota + 1 // no type of AWS's: unknown host, missing stage, refused guard
	misdirected
	badRequest
	uriTooLong
	accessDenied
	apiConfigurationError
	default5XX
	integrationFailure
	integrationTimeout
	missingAuthenticationToken
	requestTooLarge
	unsupportedMediaType
	overloaded
)

// gatewayResponses are the default gateway responses. name is AWS's type, ""
// where no type is documented. spaced bodies are the built-in ones, which have
// a space behind the colon; the others come from the default template.
// Source: developer guide, Gateway response types; bodies as observed. Inferred
// are the rows badRequest, uriTooLong and overloaded and the error type of requestTooLarge.
var gatewayResponses = [...]struct {
	name      string
	status    int
	message   string
	errorType string
	member    string
	spaced    bool
}{
	forbidden:                  {"", 403, "Forbidden", "ForbiddenException", "message", false},
	misdirected:                {"", 421, "Misdirected Request", "MisdirectedRequestException", "message", false},
	badRequest:                 {"", 400, "Bad Request", "BadRequestException", "message", false},
	uriTooLong:                 {"", 414, "Request URI too long", "RequestTooLargeException", "message", false},
	accessDenied:               {"ACCESS_DENIED", 403, "User is not authorized to access this resource with an explicit deny", "AccessDeniedException", "Message", false},
	apiConfigurationError:      {"API_CONFIGURATION_ERROR", 500, "Internal server error", "InternalServerErrorException", "message", true},
	default5XX:                 {"DEFAULT_5XX", 500, "Internal server error", "InternalServerErrorException", "message", true},
	integrationFailure:         {"INTEGRATION_FAILURE", 504, "Network error communicating with endpoint", "InternalServerErrorException", "message", true},
	integrationTimeout:         {"INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException", "message", true},
	missingAuthenticationToken: {"MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", "MissingAuthenticationTokenException", "message", false},
	requestTooLarge:            {"REQUEST_TOO_LARGE", 413, "HTTP content length exceeded 10485760 bytes", "RequestTooLargeException", "message", false},
	overloaded:                 {"", 503, "Service Unavailable", "ServiceUnavailableException", "message", false},
	unsupportedMediaType:       {"UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "BadRequestException", "message", true},
}

// responseNamed is the response type that AWS calls so, DEFAULT_5XX if there is
// none.
func responseNamed(name string) responseType {
	for kind := range gatewayResponses {
		if gatewayResponses[kind].name == name {
			return responseType(kind)
		}
	}
	return default5XX
}

// fault is what ends a request early.
type fault struct {
	kind    responseType
	message string // for the client; "": the kind's
	reason  string // for logs only
	step    string
	close   bool // the connection is of no further use
	// What Admit says, when it differs from the kind's row.
	status    int
	errorType string
}

// answered is what a step returns that answered before the last one did.
var answered = new(fault)

func newFault(kind responseType, reason string) *fault { return &fault{kind: kind, reason: reason} }

// text is the message that the client reads.
func (f *fault) text() string {
	if f.message != "" {
		return f.message
	}
	return gatewayResponses[f.kind].message
}

// body is the answer's JSON.
func (f *fault) body() []byte {
	row := &gatewayResponses[f.kind]
	quoted, err := json.Marshal(f.text())
	if err != nil { // strings always marshal
		quoted = []byte(`null`)
	}
	b := append([]byte(`{"`), row.member...)
	b = append(b, '"', ':')
	if row.spaced {
		b = append(b, ' ')
	}
	return append(append(b, quoted...), '}')
}

// refuse answers with f, unless an answer is already on its way.
func (e *exchange) refuse(f *fault) {
	e.fault = f
	if log := e.p.options.Log; log.Enabled(e.x.Context, slog.LevelDebug) {
		log.Debug("request refused", "step", f.step, "reason", f.reason, "host", e.host, "conn", e.x.Conn.ID, "request_id", e.requestID)
	}
	if e.x.Started() {
		e.x.Abort()
		return
	}
	row := &gatewayResponses[f.kind]
	e.status = row.status
	if f.status != 0 {
		e.status = f.status
	}
	errorType := row.errorType
	if f.errorType != "" {
		errorType = f.errorType
	}
	body := f.body()
	h := httpwire.Header{{Name: "Content-Type", Value: "application/json"}}
	h = e.identityHeaders(h)
	h.Add("x-amzn-ErrorType", errorType)
	if f.close {
		e.x.RespondClose(e.status, h, int64(len(body)))
	} else {
		e.x.Respond(e.status, h, int64(len(body)))
	}
	e.write(body)
}

// identityHeaders adds what every answer carries.
func (e *exchange) identityHeaders(h httpwire.Header) httpwire.Header {
	return append(h, httpwire.Field{Name: "x-amzn-RequestId", Value: e.requestID}, httpwire.Field{Name: "x-amz-apigw-id", Value: e.extendedID})
}

// write sends body bytes and counts those that a response may have.
func (e *exchange) write(p []byte) error {
	if e.trace != nil {
		e.trace.traceAnswered(p)
	}
	n, err := e.x.Write(p)
	if e.x.Method != "HEAD" && e.status != 204 && e.status != 304 {
		e.length += int64(n)
	}
	return err
}

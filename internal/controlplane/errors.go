package controlplane

import (
	"context"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// exception is how a kind of refusal looks on the wire.
type exception struct {
	code   string
	status int
}

// exceptions maps kinds to what the REST JSON services answer. A kind that is
// not listed is an internal error, whose detail stays in the log.
// Source: errors-and-quotas of the API reference; the service models.
var exceptions = map[resource.Kind]exception{
	resource.BadRequest:    {"BadRequestException", http.StatusBadRequest},
	resource.Validation:    {"ValidationException", http.StatusBadRequest},
	resource.Serialization: {"SerializationException", http.StatusBadRequest},
	resource.NotFound:      {"NotFoundException", http.StatusNotFound},
	resource.Conflict:      {"ConflictException", http.StatusConflict},
	resource.LimitExceeded: {"LimitExceededException", http.StatusTooManyRequests},
	resource.InUse:         {"ConflictException", http.StatusConflict},
	resource.InvalidARN:    {"BadRequestException", http.StatusBadRequest},
	resource.InvalidTag:    {"BadRequestException", http.StatusBadRequest},
	resource.TooManyTags:   {"BadRequestException", http.StatusBadRequest},
	resource.Unavailable:   {"ServiceUnavailableException", http.StatusServiceUnavailable},
}

// serviceExceptions are the differences of other services: ACM, like every
// JSON 1.1 service, answers 400 to all that is the client's fault.
var serviceExceptions = map[string]map[resource.Kind]exception{
	"acm": {
		resource.BadRequest:    {"ValidationException", http.StatusBadRequest},
		resource.NotFound:      {"ResourceNotFoundException", http.StatusBadRequest},
		resource.Conflict:      {"ConflictException", http.StatusBadRequest},
		resource.LimitExceeded: {"LimitExceededException", http.StatusBadRequest},
		resource.InUse:         {"ResourceInUseException", http.StatusBadRequest},
		resource.InvalidARN:    {"InvalidArnException", http.StatusBadRequest},
		resource.InvalidTag:    {"InvalidTagException", http.StatusBadRequest},
		resource.TooManyTags:   {"TooManyTagsException", http.StatusBadRequest},
	},
	"apigatewayv2": {
		resource.Validation:    {"BadRequestException", http.StatusBadRequest},
		resource.LimitExceeded: {"TooManyRequestsException", http.StatusTooManyRequests},
	},
	"opensearch": {
		resource.BadRequest:    {"ValidationException", http.StatusBadRequest},
		resource.NotFound:      {"ResourceNotFoundException", http.StatusConflict},
		resource.Conflict:      {"ResourceAlreadyExistsException", http.StatusConflict},
		resource.LimitExceeded: {"LimitExceededException", http.StatusConflict},
	},
	"configservice": {
		resource.BadRequest: {"InvalidParameterValueException", http.StatusBadRequest},
		resource.NotFound:   {"NoSuchConfigRuleException", http.StatusBadRequest},
	},
	"securityhub": {
		resource.BadRequest: {"InvalidInputException", http.StatusBadRequest},
		resource.Validation: {"InvalidInputException", http.StatusBadRequest},
		resource.NotFound:   {"ResourceNotFoundException", http.StatusNotFound},
		resource.Conflict:   {"ResourceConflictException", http.StatusConflict},
	},
	"sts": {
		resource.BadRequest: {"ValidationError", http.StatusBadRequest},
		resource.Validation: {"ValidationError", http.StatusBadRequest},
	},
}

// retryAfter is sent with every 429 and 503.
const retryAfter = 1 // second

// internalFailure is all that a client learns about a fault of ours.
func internalFailure() *awsapi.Error {
	return &awsapi.Error{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error.", Status: http.StatusInternalServerError}
}

// wireError translates err, returned by a handler of service, into what the
// client reads. public is false when the message hides a detail that belongs
// in the log.
func wireError(service string, err error) (e *awsapi.Error, public bool) {
	var refused *resource.Error
	var wire *awsapi.Error
	switch {
	case errors.As(err, &wire):
		if x, ok := serviceExceptions[service][resource.Validation]; ok && wire.Code == exceptions[resource.Validation].code {
			renamed := *wire // of the wire's decoder, which speaks as most services do
			renamed.Code, renamed.Status = x.code, x.status
			return &renamed, true
		}
		return wire, true
	case errors.As(err, &refused):
		x, ok := serviceExceptions[service][refused.Kind]
		if !ok {
			x, ok = exceptions[refused.Kind]
		}
		if !ok {
			return internalFailure(), false
		}
		e = &awsapi.Error{Code: x.code, Message: refused.Message, Status: x.status}
		public = true
	case errors.Is(err, store.ErrTooLarge):
		e, _ = wireError(service, resource.Errorf(resource.BadRequest, "The request is too large to be stored, or the store is full."))
	case errors.Is(err, store.ErrUnavailable):
		e = &awsapi.Error{Code: "ServiceUnavailableException", Message: "The store takes no changes after an I/O error; the gateway must be restarted.", Status: http.StatusServiceUnavailable}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &awsapi.Error{Code: "ServiceUnavailableException", Message: "The request was not completed in time.", Status: http.StatusServiceUnavailable}
	default:
		return internalFailure(), false
	}
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		e.RetryAfter = retryAfter
	}
	return e, public
}

package resource

import "fmt"

// Kind is what callers branch on; controlplane maps each to a wire exception.
type Kind int

const (
	Internal      Kind = iota // not for the client: detail stays in the log
	BadRequest                // BadRequestException, 400
	Validation                // ValidationException, 400: an enum, pattern or required member
	Serialization             // SerializationException, 400: a JSON type that does not fit
	NotFound                  // NotFoundException, 404
	Conflict                  // ConflictException, 409
	LimitExceeded             // LimitExceededException, 429
	InUse                     // ResourceInUseException (ACM), 400
	InvalidARN                // InvalidArnException (ACM), 400
	Unavailable               // ServiceUnavailableException, 503
	InvalidTag                // InvalidTagException (ACM), 400
	TooManyTags               // TooManyTagsException (ACM), 400
)

// Error is a refusal with a kind and the message that the client reads.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error. The text goes to the client as it is.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Package sigv4 verifies and makes AWS Signature Version 4, in the form that
// every service but S3 uses: path segments are escaped once more than they were
// sent, and the payload's hash covers the body as it arrived.
//
// A Verifier is the server's side; it trusts nothing of the request but what
// the signature covers. Sign is the client's, for the program's own calls:
//
//	scope, err := verifier.Verify(r, body)
//	if refused, ok := errors.AsType[*sigv4.Error](err); ok { ... refused.Code ... }
//
// Facts are from the AWS reference, "AWS Signature Version 4 for API requests".
package sigv4

import "fmt"

// Credentials are an access key. SessionToken is empty unless they are temporary.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
}

// Scope is what a signature is good for. Region and Service are the client's
// word until Verify has returned them.
type Scope struct {
	AccessKeyID string
	Date        string // yyyymmdd, UTC
	Region      string
	Service     string // the signing name: apigateway, acm, sts ...
}

// Error is a refusal with the code that AWS clients expect.
type Error struct {
	Code    string
	Message string // goes to the client as it is
	Status  int    // 403
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 403}
}

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
)

// The codes of refusals.
const (
	missingToken    = "MissingAuthenticationTokenException"
	incomplete      = "IncompleteSignatureException"
	unrecognized    = "UnrecognizedClientException"
	invalid         = "InvalidSignatureException"
	missingMessage  = "Missing Authentication Token"
	unknownMessage  = "The security token included in the request is invalid."
	mismatchMessage = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

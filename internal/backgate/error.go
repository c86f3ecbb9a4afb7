package backgate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Kind is what went wrong on the way to a backend.
type Kind uint8

const (
	// Untrusted: the chain ends in a root that is not trusted.
	Untrusted Kind = iota + 1
	// Incomplete: the chain ends before a root, and its issuer is not trusted.
	Incomplete
	// NoRoot: verification is skipped, but the chain as sent has no root.
	NoRoot
	Expired
	NotYetValid
	WrongName
	// HandshakeRefused: version, suite or group do not match, or an alert.
	HandshakeRefused
	// ClientCertificate: the backend demands a client certificate, or refuses ours.
	ClientCertificate
	// NotTLS: what answers does not speak TLS.
	NotTLS
	// RefusedAddress: the name resolves to addresses that may not be dialed.
	RefusedAddress
	// InvalidAddress: the integration's URI, or a header, cannot be sent.
	InvalidAddress
	// NoTarget: what the VPC link leads to is not there, or has no address.
	NoTarget
	// Dial: no connection: name not found, refused, unreachable, no answer in time.
	Dial
	// Closed: the connection ended before the answer was complete.
	Closed
	// Timeout: the integration's own timeout passed.
	Timeout
	// Protocol: the answer is not HTTP, or exceeds a limit.
	Protocol
	// Canceled: the client went away.
	Canceled
)

const (
	configurationError = "Execution failed due to configuration error: "
	pathBuilding       = configurationError + "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target"
	pathValidation     = configurationError + "PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed"
	networkError       = "Execution failed due to a network error communicating with endpoint"
)

// kinds say how each kind is called here and what AWS says in the execution
// log and $context.integration.error. "%h" stands for the host, "%s" for the
// peer's subject, "%d" for the error's detail.
// Sources: re:Post, SSL certificate with backend integration (path building and
// validation); observed (host name, network, timeout, address); the texts of
// HandshakeRefused, ClientCertificate and NotTLS are Java's own, inferred.
var kinds = [...]struct{ name, text string }{
	Untrusted:         {"untrusted certificate", pathBuilding},
	Incomplete:        {"incomplete certificate chain", pathBuilding},
	NoRoot:            {"no root in the certificate chain", pathBuilding},
	Expired:           {"expired certificate", pathValidation},
	NotYetValid:       {"certificate not yet valid", pathValidation},
	WrongName:         {"certificate for another name", configurationError + "Host name '%h' does not match the certificate subject provided by the peer (%s)"},
	HandshakeRefused:  {"handshake refused", configurationError + "Received fatal alert: %d"},
	ClientCertificate: {"client certificate refused", configurationError + "Received fatal alert: %d"},
	NotTLS:            {"not TLS", configurationError + "Unsupported or unrecognized SSL message"},
	RefusedAddress:    {"refused address", configurationError + "Invalid endpoint address"},
	InvalidAddress:    {"invalid address", configurationError + "Invalid endpoint address"},
	NoTarget:          {"no target", configurationError + "There was an internal error while executing your request"},
	Dial:              {"no connection", networkError},
	Closed:            {"connection closed", networkError + ": Connection is closed"},
	Timeout:           {"timeout", "Execution failed due to a timeout error"},
	Protocol:          {"protocol error", networkError},
	Canceled:          {"client gone", networkError},
}

// String names the kind in a few words.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k].name != "" {
		return kinds[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Certificate reports whether k is a fault of TLS or of its configuration,
// which AWS answers with 500, not with 504.
func (k Kind) Certificate() bool { return k >= Untrusted && k <= NoTarget }

// Error says why a backend could not be asked. Only the members that its kind
// has are set.
type Error struct {
	Kind    Kind
	Host    string // as the integration names it
	Address string // refused
	Subject string // of the certificate presented
	Detail  string // alert by its RFC name; what is special about an address; the target
	Cause   error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("backend")
	if e.Host != "" {
		b.WriteString(" " + e.Host)
	}
	b.WriteString(": " + e.Kind.String())
	for _, s := range []string{e.Address, e.Subject, e.Detail} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Text is what AWS writes for this error, in $context.integration.error too.
func (e *Error) Text() string {
	return strings.NewReplacer("%h", hostname(e.Host), "%s", e.Subject, "%d", e.Detail).Replace(kinds[e.Kind].text)
}

// hostname cuts the port off.
func hostname(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

// alerts are the RFC names of the alerts whose text in crypto/tls says
// something else; the rest are the text with underscores.
var alerts = map[string]string{
	"error decoding message":         "decode_error",
	"error decrypting message":       "decrypt_error",
	"protocol version not supported": "protocol_version",
	"insufficient security level":    "insufficient_security",
	"unknown certificate authority":  "unknown_ca",
	"user canceled":                  "user_canceled",
	"unrecognized name":              "unrecognized_name",
	"no application protocol":        "no_application_protocol",
}

// clientCertificateAlerts are about the certificate that we did not show, or did.
var clientCertificateAlerts = map[string]bool{
	"bad_certificate": true, "unsupported_certificate": true, "revoked_certificate": true, "expired_certificate": true,
	"unknown_certificate": true, "unknown_ca": true, "access_denied": true, "certificate_required": true,
}

// alertError recognizes an alert from the backend.
func alertError(err error) *Error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return nil
	}
	text := strings.TrimPrefix(op.Err.Error(), "tls: ")
	name, ok := alerts[text]
	if !ok {
		name = strings.ReplaceAll(text, " ", "_")
	}
	kind := HandshakeRefused
	if clientCertificateAlerts[name] {
		kind = ClientCertificate
	}
	return &Error{Kind: kind, Detail: name, Cause: err}
}

// handshakeError types what ended a handshake.
func handshakeError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if e := alertError(err); e != nil {
		return e
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return &Error{Kind: NotTLS, Cause: err}
	}
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return &Error{Kind: Untrusted, Cause: err}
	case errors.As(err, &op) && op.Op != "local error" || isEOF(err):
		return &Error{Kind: Closed, Cause: err}
	case strings.Contains(err.Error(), "version"):
		return &Error{Kind: HandshakeRefused, Detail: "protocol_version", Cause: err}
	}
	// crypto/tls refused what the backend chose or sent.
	return &Error{Kind: HandshakeRefused, Detail: "handshake_failure", Cause: err}
}

// fault types what ended the exchange.
func (x *exchange) fault(err error) *Error {
	e := new(Error)
	var dns *net.DNSError
	var op *net.OpError
	var body *httpwire.BodyError
	var malformed *httpwire.ResponseError
	canceled := x.canceled.Load() // once: it may become true meanwhile
	switch {
	case errors.As(err, &e):
	case canceled && errors.Is(x.ctx.Err(), context.DeadlineExceeded):
		e = &Error{Kind: Timeout, Cause: err}
	case errors.As(err, &body), canceled, errors.Is(err, context.Canceled):
		e = &Error{Kind: Canceled, Cause: err}
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		e = &Error{Kind: Dial, Cause: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		e = &Error{Kind: Timeout, Cause: err}
	case errors.Is(err, httpwire.ErrRequest):
		e = &Error{Kind: InvalidAddress, Cause: err}
	case errors.As(err, &malformed), errors.Is(err, httpwire.ErrMalformedBody):
		e = &Error{Kind: Protocol, Cause: err}
	default:
		// An alert is about the handshake until the backend has said anything.
		e = nil
		if x.client != nil && !x.client.Used() && !x.call.Begun() {
			e = alertError(err)
		}
		if e == nil {
			e = &Error{Kind: Closed, Cause: err}
		}
	}
	e.Host = strings.Clone(x.host) // of the request
	return e
}

// broken reports a connection that ended or was reset, which says nothing about
// the request.
func broken(err error) bool {
	return !errors.Is(err, os.ErrDeadlineExceeded) && (isEOF(err) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || alertError(err) != nil)
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, httpwire.ErrTruncated)
}

package backgate

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Error says why a backend could not be asked. Only the members that its kind
// has are set.
type Error struct {
	Kind    Kind
	Host    string // as the integration names it
	Address string // refused
	Subject string // of the certificate presented
	Detail  string // alert by its RFC name; what is special about an address; the target
	Cause   error

	reason  reason  // zero: the kind says all that is known
	finding finding // about a chain
}

// maxCause is where the text of a cause is cut, in bytes.
const maxCause = 512

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
		b.WriteString(": " + cut(e.Cause.Error(), maxCause)) // crypto/x509 lists all names of a certificate
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Text is what AWS writes for this error, in $context.integration.error too.
func (e *Error) Text() string {
	return strings.NewReplacer("{host}", hostname(e.Host), "{peer}", e.Subject, "{detail}", e.Detail).Replace(kinds[e.Kind].text)
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
	"error decoding message":          "decode_error",
	"error decrypting message":        "decrypt_error",
	"protocol version not supported":  "protocol_version",
	"insufficient security level":     "insufficient_security",
	"unknown certificate authority":   "unknown_ca",
	"revoked certificate":             "certificate_revoked",
	"expired certificate":             "certificate_expired",
	"unknown certificate":             "certificate_unknown",
	"bad record MAC":                  "bad_record_mac",
	"unknown PSK identity":            "unknown_psk_identity",
	"encrypted client hello required": "ech_required",
}

// clientCertificateAlerts are about the certificate that we did not show, or did.
var clientCertificateAlerts = map[string]bool{
	"bad_certificate": true, "unsupported_certificate": true, "certificate_revoked": true, "certificate_expired": true,
	"certificate_unknown": true, "unknown_ca": true, "access_denied": true, "certificate_required": true,
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
	e := &Error{Kind: kind, Detail: name, Cause: err}
	switch name {
	case "protocol_version":
		e.reason = oldVersion
	case "handshake_failure", "insufficient_security":
		e.reason = nothingInCommon
	case "unrecognized_name":
		e.reason = unknownName
	case "certificate_required":
		e.reason = certificateRequired
	}
	return e
}

// localFaults are what crypto/tls says when it ends a handshake itself, by its
// texts, for it has no types for them. A test pins each.
var localFaults = []struct {
	text   string
	kind   Kind
	reason reason
	detail string // the alert it sends
}{
	{"failed to parse certificate from server", Unusable, unreadable, "decode_error"},
	{"RSA key larger than", Unusable, keyTooLarge, "bad_certificate"},
	{"unsupported type of public key", Unusable, keyType, "unsupported_certificate"},
	{"handshake message of length", HandshakeRefused, messageTooLarge, "internal_error"},
	{"protocol version", HandshakeRefused, oldVersion, "protocol_version"},
	{"", HandshakeRefused, brokenHandshake, "handshake_failure"},
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
		e := &Error{Kind: NotTLS, Cause: err}
		if string(record.RecordHeader[:]) == "HTTP/" {
			e.reason = plainHTTP
		}
		return e
	}
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return &Error{Kind: Untrusted, reason: noPath, Cause: err}
	case errors.As(err, &op) && op.Op != "local error" || isEOF(err):
		return &Error{Kind: Closed, reason: closedInHandshake, Cause: err}
	}
	text := err.Error()
	for _, f := range localFaults {
		if strings.Contains(text, f.text) {
			return &Error{Kind: f.kind, reason: f.reason, Detail: f.detail, Cause: err}
		}
	}
	return &Error{Kind: HandshakeRefused, Cause: err} // not reached: the last row fits all
}

// askedFor makes an alert in a handshake in which the backend asked for a client
// certificate one about that certificate: before TLS 1.3 there is no alert that
// says so.
func askedFor(err error, asked, shown bool) error {
	var e *Error
	if !asked || !errors.As(err, &e) {
		return err
	}
	if e.Kind == HandshakeRefused && e.reason == nothingInCommon {
		e.Kind, e.reason = ClientCertificate, certificateRefused
	}
	if e.Kind == ClientCertificate && !shown {
		e.reason = certificateRequired
	}
	return err
}

// stalled types a handshake that ran out of time: its own, or that of the whole
// exchange, whose context ctx is. A client that went away is neither.
func stalled(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &Error{Kind: Timeout, reason: stalledHandshake, Cause: err}
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
	case errors.As(err, &dns):
		e = &Error{Kind: Dial, reason: unknownHost, Cause: err}
	case errors.As(err, &op) && op.Op == "dial":
		e = &Error{Kind: Dial, Cause: err}
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			e.reason = connectionRefused
		case op.Timeout():
			e.reason = noAnswer
		}
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
			if errors.As(err, &op) && op.Op == "local error" && strings.HasSuffix(op.Error(), "no renegotiation") {
				e.reason = renegotiates
			}
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

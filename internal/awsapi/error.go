package awsapi

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Error is a refusal as the client reads it.
type Error struct {
	Code       string // "NotFoundException"
	Message    string // goes to the client as it is
	Status     int    // HTTP status; zero is 500
	RetryAfter int    // seconds, sent as Retry-After; zero sends none
	Type       string // Query only: "Sender" or "Receiver"; empty follows the status
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// serializationError is a document whose form does not fit the operation.
func serializationError(format string, args ...any) *Error {
	return &Error{Code: "SerializationException", Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// WriteError answers with e in the form of the protocol. Every client of the
// service finds code and text there, whatever it looks at: header or body.
func WriteError(w http.ResponseWriter, p Protocol, requestID string, e *Error) {
	status := e.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	var body []byte
	switch p {
	case JSON11:
		body = append(body, `{"__type":`...)
		body = appendString(body, e.Code)
		body = append(body, `,"message":`...)
		body = append(appendString(body, e.Message), '}')
	case Query:
		fault := e.Type
		if fault == "" {
			fault = "Sender"
			if status >= 500 {
				fault = "Receiver"
			}
		}
		var b strings.Builder
		b.WriteString(`<ErrorResponse xmlns="` + queryNamespace + `"><Error>`)
		element(&b, "Type", fault)
		element(&b, "Code", e.Code)
		element(&b, "Message", e.Message)
		b.WriteString(`</Error>`)
		element(&b, "RequestId", requestID)
		b.WriteString(`</ErrorResponse>`)
		body = []byte(b.String())
	default:
		body = append(body, `{"message":`...)
		body = append(appendString(body, e.Message), '}')
		w.Header().Set("x-amzn-ErrorType", e.Code)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	writeAnswer(w, p, requestID, status, body)
}

// contentTypes are what the protocols' documents are.
var contentTypes = map[Protocol]string{
	RESTJSON: "application/json",
	JSON11:   "application/x-amz-json-1.1",
	Query:    "text/xml",
}

// writeAnswer sends status and body. A content type that is set stays.
func writeAnswer(w http.ResponseWriter, p Protocol, requestID string, status int, body []byte) {
	h := w.Header()
	h.Set("x-amzn-RequestId", requestID)
	if status != http.StatusNoContent {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", contentTypes[p])
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if len(body) > 0 {
		// A client that is gone cannot be told.
		_, _ = w.Write(body)
	}
}

// element writes <name>text</name>.
func element(b *strings.Builder, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a strings.Builder does not fail
	b.WriteString("</" + name + ">")
}

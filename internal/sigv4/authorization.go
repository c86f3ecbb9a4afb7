package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorization is what a request claims, from its header or its query.
type authorization struct {
	scope     Scope
	signed    []string // names of the signed headers, lower case, sorted
	signature []byte
	when      time.Time
	expires   time.Duration // of a presigned URL; 0 for a header
	token     string        // the session token
	presigned bool
}

// Bounds of what is parsed before anything is known about the caller.
const (
	maxHeader  = 8 << 10
	maxSigned  = 100
	maxExpires = 7 * 24 * time.Hour // AWS's limit for presigned URLs
)

// ParseScope returns the scope that a request claims, without verifying
// anything: it tells which service's protocol an error has to speak.
func ParseScope(r *http.Request) (Scope, error) {
	a, err := parse(r)
	if err != nil {
		return Scope{}, err
	}
	return a.scope, nil
}

// parse reads the claim. A request that carries two of them has none that
// could be trusted.
func parse(r *http.Request) (*authorization, error) {
	headers := r.Header.Values("Authorization")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(incomplete, "The query string is malformed.")
	}
	presigned := false
	for name := range query {
		presigned = presigned || strings.EqualFold(name, "X-Amz-Signature") || strings.EqualFold(name, "X-Amz-Algorithm") || strings.EqualFold(name, "X-Amz-Credential")
	}
	switch {
	case len(headers) == 0 && !presigned:
		return nil, refuse(missingToken, missingMessage)
	case len(headers) > 1 || len(headers) == 1 && presigned:
		return nil, refuse(incomplete, "The request is signed in more than one way.")
	case presigned:
		return parseQuery(query)
	}
	return parseHeader(r, headers[0])
}

// parseHeader reads "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...".
func parseHeader(r *http.Request, text string) (*authorization, error) {
	if len(text) > maxHeader {
		return nil, refuse(incomplete, "The Authorization header is too long.")
	}
	scheme, rest, _ := strings.Cut(text, " ")
	if scheme != algorithm {
		// Basic, Bearer and the like are no credentials of ours.
		return nil, refuse(missingToken, missingMessage)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		if _, twice := parts[name]; !ok || twice {
			return nil, refuse(incomplete, "Authorization header is not of the form Credential=..., SignedHeaders=..., Signature=...")
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			return nil, refuse(incomplete, "Authorization header requires '%s' parameter.", name)
		}
	}
	if len(parts) != 3 {
		return nil, refuse(incomplete, "Authorization header has unknown parameters.")
	}
	dates, tokens := r.Header.Values("X-Amz-Date"), r.Header.Values("X-Amz-Security-Token")
	if len(dates) != 1 || len(tokens) > 1 {
		return nil, refuse(incomplete, "Authorization header requires existence of one 'X-Amz-Date' header.")
	}
	a := &authorization{}
	if len(tokens) == 1 {
		a.token = tokens[0]
	}
	return a, a.fill(parts["Credential"], parts["SignedHeaders"], parts["Signature"], dates[0])
}

// parseQuery reads the parameters of a presigned URL.
func parseQuery(query url.Values) (*authorization, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if len(query[name]) != 1 {
			return nil, refuse(incomplete, "The query needs one '%s' parameter.", name)
		}
	}
	if query.Get("X-Amz-Algorithm") != algorithm || len(query["X-Amz-Security-Token"]) > 1 {
		return nil, refuse(incomplete, "X-Amz-Algorithm only supports \"%s\"", algorithm)
	}
	seconds, err := strconv.ParseUint(query.Get("X-Amz-Expires"), 10, 32)
	expires := time.Duration(seconds) * time.Second
	if err != nil || expires == 0 || expires > maxExpires {
		return nil, refuse(incomplete, "X-Amz-Expires must be from 1 to 604800 seconds.")
	}
	a := &authorization{presigned: true, expires: expires, token: query.Get("X-Amz-Security-Token")}
	return a, a.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"), query.Get("X-Amz-Date"))
}

// fill parses what both forms have.
func (a *authorization) fill(credential, signed, signature, date string) error {
	if len(credential) > maxHeader || len(signed) > maxHeader {
		return refuse(incomplete, "The credential or the list of signed headers is too long.")
	}
	// An access key may hold slashes in other clouds' dialects, not here.
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != terminator || slices.Contains(parts, "") {
		return refuse(incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request.")
	}
	a.scope = Scope{AccessKeyID: parts[0], Date: parts[1], Region: parts[2], Service: parts[3]}
	var err error
	if a.when, err = time.Parse(timeFormat, date); err != nil {
		return refuse(incomplete, "Date must be in ISO-8601 'basic format'.")
	}
	if a.scope.Date != a.when.Format("20060102") {
		return refuse(invalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	if a.signature, err = hex.DecodeString(signature); err != nil || len(a.signature) != 32 {
		return refuse(incomplete, "The signature is not 64 hexadecimal digits.")
	}
	a.signed = strings.Split(signed, ";")
	if len(a.signed) > maxSigned {
		return refuse(incomplete, "Too many headers are signed.")
	}
	for i, name := range a.signed {
		if name == "" || name != strings.ToLower(name) || i > 0 && a.signed[i-1] >= name {
			return refuse(incomplete, "SignedHeaders must be lower case and sorted.")
		}
	}
	return nil
}

package sigv4

import (
	"crypto/hmac"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far the clocks of client and server may be apart.
// Source: AWS reference, "Signature expired".
const maxSkew = 5 * time.Minute

// Verifier checks the signatures of requests. Its zero value knows no key and
// refuses all. It is safe for concurrent use if Secret and Now are.
type Verifier struct {
	// Secret returns the secret of an access key, and whether there is such a
	// key. Keys with a session token are not among them: a request that
	// carries a token is refused.
	Secret func(accessKeyID string) (string, bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Verify checks the signature of r, whose body was read into body, and returns
// its scope. The error is an *Error. What it promises afterwards: a holder of
// the secret sent this method, path, query, body, host, every x-amz header and
// every header in SignedHeaders, within the last five minutes or, presigned,
// within the time that the URL names.
func (v *Verifier) Verify(r *http.Request, body []byte) (Scope, error) {
	a, err := parse(r)
	if err != nil {
		return Scope{}, err
	}
	if err := a.coverage(r); err != nil {
		return Scope{}, err
	}
	payloadHash := hashOf(body)
	if err := claimedHash(r, payloadHash); err != nil {
		return Scope{}, err
	}
	secret, ok := "", false
	if v.Secret != nil {
		secret, ok = v.Secret(a.scope.AccessKeyID)
	}
	if !ok || secret == "" || a.token != "" {
		return Scope{}, refuse(unrecognized, unknownMessage)
	}
	skip := ""
	if a.presigned {
		skip = "X-Amz-Signature"
	}
	canonical, err := canonicalRequest(r, a.signed, payloadHash, skip)
	if err != nil {
		return Scope{}, err
	}
	if !hmac.Equal(a.signature, sign(secret, a.scope, a.when, canonical)) {
		return Scope{}, refuse(invalid, mismatchMessage)
	}
	// Only a holder of the secret learns the server's time.
	if err := a.fresh(v.now()); err != nil {
		return Scope{}, err
	}
	return a.scope, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now().UTC()
	}
	return time.Now().UTC()
}

// coverage refuses a signature that leaves out what changes a request's meaning.
func (a *authorization) coverage(r *http.Request) error {
	if !slices.Contains(a.signed, "host") {
		return refuse(invalid, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(a.signed, lower) {
			return refuse(invalid, "'%s' must be a 'SignedHeader' in the AWS Authorization.", lower)
		}
	}
	return nil
}

// claimedHash compares x-amz-content-sha256, which these services do not ask
// for, with the body: an UNSIGNED-PAYLOAD is no signature of it.
func claimedHash(r *http.Request, payloadHash string) error {
	for _, claim := range r.Header.Values("X-Amz-Content-Sha256") {
		if claim != payloadHash {
			return refuse(invalid, "The value of 'x-amz-content-sha256' is not the SHA-256 of the body.")
		}
	}
	if r.URL.Query().Has("X-Amz-Content-Sha256") && r.URL.Query().Get("X-Amz-Content-Sha256") != payloadHash {
		return refuse(invalid, "The value of 'x-amz-content-sha256' is not the SHA-256 of the body.")
	}
	return nil
}

// fresh refuses a signature outside its time.
func (a *authorization) fresh(now time.Time) error {
	if earliest := now.Add(maxSkew); a.when.After(earliest) {
		return refuse(invalid, "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			a.when.Format(timeFormat), earliest.Format(timeFormat), now.Format(timeFormat))
	}
	if a.presigned {
		if end := a.when.Add(a.expires); now.After(end) {
			return refuse(invalid, "Signature expired: %s is now earlier than %s",
				end.Format(timeFormat), now.Format(timeFormat))
		}
		return nil
	}
	if latest := now.Add(-maxSkew); a.when.Before(latest) {
		return refuse(invalid, "Signature expired: %s is now earlier than %s (%s - 5 min.)",
			a.when.Format(timeFormat), latest.Format(timeFormat), now.Format(timeFormat))
	}
	return nil
}

func formatLength(n int64) string { return strconv.FormatInt(n, 10) }

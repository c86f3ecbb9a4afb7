package sigv4

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Sign adds X-Amz-Date, X-Amz-Security-Token where there is one, and
// Authorization to a request that is otherwise complete; body is what it will
// carry. It covers the host, the content type and every x-amz header. A query
// that cannot be parsed leaves the request unsigned, and so refused.
func Sign(r *http.Request, body []byte, c Credentials, region, service string, now time.Time) {
	now = now.UTC()
	r.Header.Set("X-Amz-Date", now.Format(timeFormat))
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	signed := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			signed = append(signed, lower)
		}
	}
	slices.Sort(signed)
	canonical, err := canonicalRequest(r, signed, hashOf(body), "")
	if err != nil {
		return
	}
	scope := Scope{AccessKeyID: c.AccessKeyID, Date: now.Format("20060102"), Region: region, Service: service}
	r.Header.Set("Authorization", algorithm+
		" Credential="+c.AccessKeyID+"/"+scope.Date+"/"+region+"/"+service+"/"+terminator+
		", SignedHeaders="+strings.Join(signed, ";")+
		", Signature="+hex.EncodeToString(sign(c.SecretAccessKey, scope, now, canonical)))
}

package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// canonicalRequest is the text whose hash is signed. signed are the names of
// the headers it covers, and every one of them must be there; skip is a query
// parameter to leave out, the signature itself of a presigned URL.
func canonicalRequest(r *http.Request, signed []string, payloadHash, skip string) (string, error) {
	query, err := canonicalQuery(r.URL.RawQuery, skip)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(512)
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(canonicalPath(sentPath(r)))
	b.WriteByte('\n')
	b.WriteString(query)
	b.WriteByte('\n')
	for _, name := range signed {
		values, ok := headerValues(r, name)
		if !ok {
			return "", refuse(invalid, "The signed header '%s' is not in the request.", name)
		}
		b.WriteString(name)
		b.WriteByte(':')
		for i, value := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			writeTrimmed(&b, value)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(signed, ";"))
	b.WriteByte('\n')
	b.WriteString(payloadHash)
	return b.String(), nil
}

// headerValues returns a header as the client sent it. net/http moves two of
// them out of the header map.
func headerValues(r *http.Request, name string) ([]string, bool) {
	switch name {
	case "host":
		host := r.Host
		if host == "" && r.URL != nil {
			host = r.URL.Host
		}
		return []string{host}, host != ""
	case "content-length":
		if values := r.Header["Content-Length"]; len(values) > 0 {
			return values, true
		}
		return []string{formatLength(r.ContentLength)}, r.ContentLength >= 0
	case "transfer-encoding":
		return r.TransferEncoding, len(r.TransferEncoding) > 0
	}
	values := r.Header[http.CanonicalHeaderKey(name)]
	return values, len(values) > 0
}

// sentPath is the path as it stands on the request line.
func sentPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath()
}

// canonicalPath escapes a path as sent once more; dot segments stay, since
// they were sent, and are nothing that a service answers to.
func canonicalPath(path string) string {
	if path == "" {
		return "/"
	}
	return escape(path, true)
}

// canonicalQuery decodes the parameters, escapes them in one way and sorts them.
func canonicalQuery(raw, skip string) (string, error) {
	if raw == "" {
		return "", nil
	}
	pairs := make([]string, 0, 8)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil || strings.Contains(pair, ";") {
			return "", refuse(incomplete, "The query string is malformed.")
		}
		if skip == "" || name != skip {
			// Names sort before their values: '=' would sort after digits.
			pairs = append(pairs, escape(name, false)+"\x00"+escape(value, false))
		}
	}
	slices.Sort(pairs)
	return strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "="), nil
}

const upperHex = "0123456789ABCDEF"

// escape is AWS's UriEncode: everything but letters, digits and "-._~".
func escape(s string, keepSlash bool) string {
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || c == '/' && keepSlash
	}
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// writeTrimmed writes a header value without outer white space and with inner
// runs of spaces made one.
func writeTrimmed(b *strings.Builder, value string) {
	value = strings.Trim(value, " \t")
	for i := 0; i < len(value); i++ {
		if value[i] != ' ' || value[i-1] != ' ' { // the first is no space
			b.WriteByte(value[i])
		}
	}
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sign computes the signature of a canonical request.
func sign(secret string, scope Scope, when time.Time, canonical string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{scope.Date, scope.Region, scope.Service, terminator} {
		key = mac(key, part)
	}
	return mac(key, algorithm+"\n"+when.Format(timeFormat)+"\n"+
		scope.Date+"/"+scope.Region+"/"+scope.Service+"/"+terminator+"\n"+hashOf([]byte(canonical)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

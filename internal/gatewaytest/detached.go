package gatewaytest

import (
	"bytes"
	"io"
	"net/http"
)

// detached is the SDKs' HTTP client in tests. The SDK closes a request's body
// once it has an answer, and net/http, if it still looks for that body's end,
// then closes the connection under the answer: now and then, on a busy machine.
// So the body is taken from the SDK before it is sent.
type detached struct{}

func (detached) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultClient.Do(r)
}

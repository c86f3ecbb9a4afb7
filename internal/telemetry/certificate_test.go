package telemetry

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestClientCertificateExpiry(t *testing.T) {
	m := NewMetrics()
	shown := map[string]time.Time{"a1b2c3": time.Unix(1800000000, 0), "arn:aws:acm:us-east-1:000000000000:certificate/x": time.Unix(1700000000, 0)}
	m.ClientCertificateExpiry(func() map[string]time.Time { return shown })
	scrape := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	text := scrape()
	for _, line := range []string{
		`sallyport_client_certificate_expiry_seconds{id="a1b2c3"} 1.8e+09`,
		`sallyport_client_certificate_expiry_seconds{id="arn:aws:acm:us-east-1:000000000000:certificate/x"} 1.7e+09`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	shown = nil
	if text := scrape(); strings.Contains(text, "expiry_seconds{") {
		t.Error("a certificate that nobody shows is still there")
	}
	(*Metrics)(nil).ClientCertificateExpiry(nil)
}

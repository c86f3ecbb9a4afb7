package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// What the log says of client certificates, and when it is next looked at.
func TestWarnOfExpiry(t *testing.T) {
	end := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	shown := []snapshot.ClientCertificate{{ID: "a1b2c3", Certificate: &tls.Certificate{Leaf: &x509.Certificate{NotAfter: end}},
		Stages: []string{"api1/prod", "api2/test"}, Previous: []string{"api3/prod"}}}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		left  time.Duration
		says  string // "": nothing
		again time.Duration
	}{
		{"a year before", 365 * day, "", day},
		{"31 days before", 30*day + time.Second, "", day},
		{"30 days before", 30 * day, "expires soon", day},
		{"a day before", 36 * time.Hour, "expires soon", day},
		{"the last day", time.Hour, "expires soon", time.Hour + time.Second},
		{"its last second", 0, "expires soon", time.Second},
		{"expired", -time.Second, "has expired", day},
		{"long expired", -400 * day, "has expired", day},
	} {
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, nil))
		if again := warnOfExpiry(log, shown, end.Add(-tt.left)); again != tt.again {
			t.Errorf("%s: again in %v, want %v", tt.name, again, tt.again)
		}
		if tt.says == "" {
			if b.Len() > 0 {
				t.Errorf("%s: %s", tt.name, b.String())
			}
			continue
		}
		want := regexp.MustCompile(`level=WARN msg="client certificate ` + tt.says + `.*" certificate=a1b2c3 expires=2027-03-01T12:00:00.000Z stages="\[api1/prod api2/test\]" previous_of=\[api3/prod\]`)
		if !want.MatchString(b.String()) || strings.Count(b.String(), "\n") != 1 {
			t.Errorf("%s: %s", tt.name, b.String())
		}
	}
	many := make([]string, 25)
	if got := some(many); len(got) != 21 || got[20] != "and 5 more" {
		t.Errorf("%q", got)
	}
	if got := expiries(shown); len(got) != 1 || !got["a1b2c3"].Equal(end) {
		t.Errorf("%v", got)
	}
}

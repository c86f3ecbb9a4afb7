package remedy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/telemetry"
)

const (
	pfs     = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	only13  = "SecurityPolicy_TLS13_1_3_2025_09"
	fips13  = "SecurityPolicy_TLS13_1_3_FIPS_2025_09"
	anybody = "TLS_1_0"
)

// What a client offered decides whether a policy would refuse it.
func TestRefused(t *testing.T) {
	modern := telemetry.Offered{Versions: []string{"TLSv1.3", "TLSv1.2"}, Suites: []string{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, Groups: []string{"X25519", "P-256"}}
	with := func(o telemetry.Offered, change func(*telemetry.Offered)) telemetry.Offered { change(&o); return o }
	for _, c := range []struct {
		what        string
		offered     telemetry.Offered
		certificate string
		policy      string
		refused     bool
	}{
		{"modern", modern, "ECDSA", pfs, false},
		{"modern, 1.3 only", modern, "ECDSA", only13, false},
		{"1.2 at most", with(modern, func(o *telemetry.Offered) { o.Versions = []string{"TLSv1.2"} }), "RSA", only13, true},
		{"1.2 at most, with forward secrecy", with(modern, func(o *telemetry.Offered) { o.Versions = []string{"TLSv1.2"} }), "RSA", pfs, false},
		{"the suite's certificate was not seen", with(modern, func(o *telemetry.Offered) { o.Versions = []string{"TLSv1.2"} }), "ECDSA", pfs, true},
		{"RSA key exchange only", telemetry.Offered{Versions: []string{"TLSv1.2"}, Suites: []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"}, Groups: []string{}}, "RSA", pfs, true},
		{"RSA key exchange, where it is permitted", telemetry.Offered{Versions: []string{"TLSv1.2"}, Suites: []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"}, Groups: []string{}}, "RSA", anybody, false},
		{"1.0", telemetry.Offered{Versions: []string{"TLSv1.0"}, Suites: []string{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"}, Groups: []string{"P-256"}}, "RSA", pfs, true},
		{"X25519 only, under FIPS", with(modern, func(o *telemetry.Offered) { o.Groups = []string{"X25519"} }), "ECDSA", fips13, true},
		{"no groups said in 1.2", telemetry.Offered{Versions: []string{"TLSv1.2"}, Suites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}, "RSA", pfs, false},
		{"a search domain's policy", modern, "RSA", "Policy-Min-TLS-1-2-PFS-2023-10", false},
		{"RSA key exchange, at a search domain", telemetry.Offered{Versions: []string{"TLSv1.2"}, Suites: []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"}}, "RSA", "Policy-Min-TLS-1-2-PFS-2023-10", true},
		{"a policy that nobody knows", modern, "RSA", "Policy-Of-Tomorrow", false},
	} {
		s := new(Seen)
		s.add(&telemetry.Connection{Time: time.Unix(1, 0), Name: "API.example.com", Offered: c.offered, Chosen: &telemetry.Chosen{Certificate: c.certificate}, JA4: "t13"})
		if lines := s.Refused("api.EXAMPLE.com", c.policy); len(lines) > 0 != c.refused {
			t.Errorf("%s: %q", c.what, lines)
		}
	}
}

// A log is read as it lies there: torn lines, strangers' lines and handshakes
// that failed say nothing, and what is remembered is bounded.
func TestReadSeen(t *testing.T) {
	dir := t.TempDir()
	if s, err := ReadSeen(dir); err != nil || len(s.Refused("a", pfs)) > 0 {
		t.Errorf("%v %v", s, err)
	}
	path := filepath.Join(dir, "logs", "connections")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	write := func(c telemetry.Connection) {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(line, '\n'))
	}
	log.WriteString("{\"torn\n\nnull\n[]\n")
	old := telemetry.Offered{Versions: []string{"TLSv1.1"}}
	write(telemetry.Connection{Name: "a", Offered: old}) // refused today
	for i := range maxOffers + 10 {
		write(telemetry.Connection{Name: "a", Offered: old, Chosen: &telemetry.Chosen{}, JA4: fmt.Sprint(i)})
	}
	write(telemetry.Connection{Name: "a", Offered: old, Chosen: &telemetry.Chosen{}, JA4: "7", Peer: "192.0.2.1:9", Time: time.Unix(9, 0)})
	if err := os.WriteFile(filepath.Join(path, "events.log"), []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSeen(dir)
	if err != nil || len(s.names["a"]) != maxOffers {
		t.Fatalf("%v: %d kinds of clients", err, len(s.names["a"]))
	}
	lines := s.Refused("a", pfs)
	if len(lines) != maxRefusedSay+1 || !strings.Contains(lines[0], "JA4 7, seen 2 times, last at 1970-01-01T00:00:09Z from 192.0.2.1:9") ||
		lines[maxRefusedSay] != fmt.Sprintf("and %d other kinds of clients that were seen", maxOffers-maxRefusedSay) {
		t.Errorf("%q", lines)
	}
}

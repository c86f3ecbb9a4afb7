package frontgate

import (
	"bytes"
	"crypto/tls"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

var soak = os.Getenv("SALLYPORT_SOAK") != ""

// oneSession offers the one session it holds to every server.
type oneSession struct{ state *tls.ClientSessionState }

func (s *oneSession) Get(string) (*tls.ClientSessionState, bool) { return s.state, s.state != nil }

func (s *oneSession) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.state = state
	}
}

// visit makes one connection and a request, so that tickets arrive.
func (g *gate) visit(sni string, cache *oneSession, version uint16) (resumed bool, err error) {
	g.t.Helper()
	c, err := g.dial("REGIONAL", sni, func(c *tls.Config) {
		c.ClientSessionCache, c.MaxVersion, c.MinVersion = cache, version, version
		// The attack: a session is offered where it does not belong.
		c.InsecureSkipVerify = true
	})
	if err != nil {
		return false, err
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+sni+"\r\nConnection: close\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil {
		return false, err
	}
	if r := g.record(); r.Resumed != c.ConnectionState().DidResume {
		g.t.Errorf("record says resumed %v", r.Resumed)
	}
	return c.ConnectionState().DidResume, nil
}

// A session resumes under the same name, policy, mode and revision, and under
// nothing else.
func TestTicketsStayInTheirPlace(t *testing.T) {
	const basic, strictly = snapshot.Basic, snapshot.Strict
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		home := name(t, "a.example.com", pfs, basic, regional, 1)
		change := func(f func(n *snapshot.Name)) *snapshot.Name {
			n := *home
			f(&n)
			return &n
		}
		for _, tt := range []struct {
			name  string
			sni   string
			names *table
			want  bool
		}{
			{"same", "a.example.com", newTable(t, home), true},
			{"same, recompiled", "a.example.com", newTable(t, change(func(*snapshot.Name) {})), true},
			{"other name", "b.example.com", newTable(t, home, change(func(n *snapshot.Name) { n.Host = "b.example.com" })), false},
			{"unknown name", "nobody.example.com", newTable(t, home), false},
			{"other policy", "a.example.com", newTable(t, change(func(n *snapshot.Name) { n.Policy = policy(t, "SecurityPolicy_TLS13_1_2_PQ_2025_09") })), false},
			{"other mode", "a.example.com", newTable(t, change(func(n *snapshot.Name) { n.Mode = strictly })), false},
			{"other endpoint type", "a.example.com", newTable(t, change(func(n *snapshot.Name) { n.Endpoints |= snapshot.Edge })), false},
			{"other revision", "a.example.com", newTable(t, change(func(n *snapshot.Name) { n.Revision++ })), false},
		} {
			t.Run(tls.VersionName(version)+" "+tt.name, func(t *testing.T) {
				g := start(t, newTable(t, home), nil)
				cache := &oneSession{}
				if resumed, err := g.visit("a.example.com", cache, version); err != nil || resumed || cache.state == nil {
					t.Fatalf("first visit: resumed %v, %v, session %v", resumed, err, cache.state != nil)
				}
				g.names.Store(tt.names)
				got, err := g.visit(tt.sni, cache, version)
				if err != nil {
					t.Fatal(err)
				}
				if got != tt.want {
					t.Errorf("resumed %v, want %v", got, tt.want)
				}
			})
		}
	}
}

// A wildcard is one name with many server names; a session is of one of them.
func TestTicketsUnderAWildcard(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := start(t, newTable(t, name(t, "*.example.com", pfs, snapshot.Basic, regional, 1)), nil)
		cache := &oneSession{}
		for _, step := range []struct {
			sni  string
			want bool
		}{{"a.example.com", false}, {"a.example.com", true}, {"A.Example.Com", true}, {"b.example.com", false}, {"b.example.com", true}, {"a.example.com", false}} {
			if got, err := g.visit(step.sni, cache, version); err != nil || got != step.want {
				t.Errorf("%s, %s: resumed %v, %v, want %v", tls.VersionName(version), step.sni, got, err, step.want)
			}
		}
	}
}

// Keys rotate daily, and a ticket lives seven days.
func TestTicketRotation(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().Unix())
	day := int64(24 * 60 * 60)
	g := start(t, newTable(t, name(t, "a.example.com", pfs, snapshot.Basic, regional, 1)), func(o *Options) {
		o.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	})
	for _, tt := range []struct {
		days int64
		want bool
	}{{0, true}, {1, true}, {6, true}, {8, false}} {
		cache := &oneSession{}
		if _, err := g.visit("a.example.com", cache, tls.VersionTLS12); err != nil {
			t.Fatal(err)
		}
		for range tt.days {
			clock.Add(day)
			if _, err := g.visit("a.example.com", &oneSession{}, tls.VersionTLS12); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := g.visit("a.example.com", cache, tls.VersionTLS12); err != nil || got != tt.want {
			t.Errorf("after %d days: resumed %v, %v", tt.days, got, err)
		}
	}
	var s secrets
	now := time.Now()
	for range 30 {
		s.rotate(now)
		s.rotate(now.Add(-time.Hour)) // the clock goes back
		now = now.Add(ticketRotation)
	}
	if len(s.all) != ticketSecrets {
		t.Errorf("%d secrets kept", len(s.all))
	}
	s.rotate(now.Add(30 * ticketRotation))
	if len(s.all) != 1 {
		t.Errorf("%d secrets kept after a month", len(s.all))
	}
}

// The same by somebody else's client.
func TestTicketsOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: no openssl here, resumption was tried by Go alone")
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		home := name(t, "a.example.com", pfs, snapshot.Basic, regional, 1)
		other := *home
		other.Host = "b.example.com"
		g := start(t, newTable(t, home, &other), nil)
		session := filepath.Join(t.TempDir(), "session")
		run := func(sni string, args ...string) string {
			cmd := exec.Command(openssl, append([]string{"s_client", "-connect", g.addrs["REGIONAL"], "-servername", sni, version, "-ign_eof"}, args...)...)
			cmd.Stdin = strings.NewReader("GET / HTTP/1.1\r\nHost: " + sni + "\r\nConnection: close\r\n\r\n")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				t.Logf("openssl: %v", err)
			}
			g.record()
			return out.String()
		}
		run("a.example.com", "-sess_out", session)
		if _, err := os.Stat(session); err != nil {
			t.Fatalf("%s: openssl saved no session: %v", version, err)
		}
		if out := run("a.example.com", "-sess_in", session); !strings.Contains(out, "Reused,") {
			t.Errorf("%s: same name: not resumed\n%s", version, out)
		}
		if out := run("b.example.com", "-sess_in", session); strings.Contains(out, "Reused,") {
			t.Errorf("%s: resumed under another name", version)
		}
		changed := *home
		changed.Revision++
		g.names.Store(newTable(t, &changed))
		if out := run("a.example.com", "-sess_in", session); strings.Contains(out, "Reused,") {
			t.Errorf("%s: resumed under another revision", version)
		}
	}
}

package backgate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
	"time"
)

// What backends say to the certificate in use, to the next one, and to none:
// the readiness matrix and the two doors. No byte of a request reaches them.
func TestReadiness(t *testing.T) {
	a, b, _, _ := clientCertificates(t)
	for _, test := range []struct {
		name                string
		version             uint16
		auth                tls.ClientAuthType
		trusts              []*tls.Certificate
		current, next, none State
		alert               string // to none
	}{
		{"demands one, takes the current", tls.VersionTLS13, tls.RequireAndVerifyClientCert, []*tls.Certificate{a}, Accepted, Refused, Refused, "certificate_required"},
		{"demands one, takes the current, TLS 1.2", tls.VersionTLS12, tls.RequireAndVerifyClientCert, []*tls.Certificate{a}, Accepted, Refused, Refused, "handshake_failure"},
		{"demands one, takes both", tls.VersionTLS13, tls.RequireAndVerifyClientCert, []*tls.Certificate{a, b}, Accepted, Accepted, Refused, "certificate_required"},
		{"demands one, takes the next", tls.VersionTLS12, tls.RequireAndVerifyClientCert, []*tls.Certificate{b}, Refused, Accepted, Refused, "handshake_failure"},
		{"demands any", tls.VersionTLS13, tls.RequireAnyClientCert, nil, Accepted, Accepted, Refused, "certificate_required"},
		{"judges one if there is one", tls.VersionTLS13, tls.VerifyClientCertIfGiven, []*tls.Certificate{a}, Accepted, Refused, Accepted, ""},
		{"asks and lets all in", tls.VersionTLS12, tls.RequestClientCert, nil, Accepted, Accepted, Accepted, ""},
		{"does not ask", tls.VersionTLS13, tls.NoClientCert, nil, NotAsked, NotAsked, NotAsked, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, tickets := range []bool{true, false} {
				m, root := mutualBackend(t, test.version, tickets, test.auth, test.trusts...)
				got := gate(t, rootPool(root)).Readiness(t.Context(), Inspection{Scheme: "https", Host: m.host, Certificate: a}, a, b, nil)
				for i, want := range []State{test.current, test.next, test.none} {
					what := []string{"the current one", "the next one", "none"}[i]
					if got[i].State != want || got[i].LetThrough() != (want == Accepted || want == NotAsked) {
						t.Errorf("%s: %+v, want %s", what, got[i], want)
					}
					if (got[i].Reason == "") != (want == Accepted) {
						t.Errorf("%s: reason %q", what, got[i].Reason)
					}
				}
				if got[2].Alert != test.alert {
					t.Errorf("none: alert %q, want %q", got[2].Alert, test.alert)
				}
				if len(m.ids) != 0 {
					t.Errorf("the backend saw requests: %v", m.ids)
				}
			}
		})
	}
}

// What keeps a backend from being asked is said, and takes no longer than it may.
func TestReadinessUnreachable(t *testing.T) {
	a, _, _, _ := clientCertificates(t)
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}, ClientAuth: tls.RequireAnyClientCert}
	good, _ := backend(t, config, nil)
	other, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, otherName))}}, nil)
	plain, _ := backend(t, nil, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, test := range []struct {
		name, verdict string
		in            Inspection
		roots         *x509.CertPool
	}{
		{"nobody listens", Dial.String(), Inspection{Host: "localhost:" + freePort(t)}, rootPool(root)},
		{"says nothing", Timeout.String(), Inspection{Host: "localhost:" + port, Timeout: 50 * time.Millisecond}, rootPool(root)},
		{"not TLS", NotTLS.String(), Inspection{Host: plain}, rootPool(root)},
		{"not trusted", Incomplete.String(), Inspection{Host: good}, nil},
		{"another name", WrongName.String(), Inspection{Host: other}, rootPool(root)},
		{"another name than asked for", WrongName.String(), Inspection{Host: good, ServerName: "other.example.com"}, rootPool(root)},
		{"that name", "", Inspection{Host: other, ServerName: "other.example.com"}, rootPool(root)},
		{"no name", InvalidAddress.String(), Inspection{Host: good, ServerName: "a b"}, rootPool(root)},
		{"no host", InvalidAddress.String(), Inspection{Host: "a b"}, rootPool(root)},
		{"no target", NoTarget.String(), Inspection{Host: good, Target: "arn:aws:nowhere"}, rootPool(root)},
		{"no scheme", InvalidAddress.String(), Inspection{Host: good, Scheme: "ftp"}, rootPool(root)},
		{"no TLS", "", Inspection{Host: plain, Scheme: "http"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.in.Scheme == "" {
				test.in.Scheme = "https"
			}
			got := gate(t, test.roots).Readiness(t.Context(), test.in, a)[0]
			if got.Verdict != test.verdict || (got.State == Unreachable) != (test.verdict != "") || got.Reason == "" {
				t.Errorf("%+v, want %s", got, test.verdict)
			}
		})
	}
}

// A handshake that a backend lets through is ended with close_notify, and
// nothing else goes out.
func TestReadinessSendsNothing(t *testing.T) {
	root := issue(t, nil, authority("root"))
	config := &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}, ClientAuth: tls.RequireAnyClientCert}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sent := make(chan []byte, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		if err != nil {
			b = append(b, err.Error()...)
		}
		sent <- b
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	a, _, _, _ := clientCertificates(t)
	got := gate(t, rootPool(root)).Readiness(t.Context(), Inspection{Scheme: "https", Host: "localhost:" + port}, a)[0]
	if got != (Acceptance{State: Accepted}) {
		t.Errorf("%+v", got)
	}
	if b := <-sent; !bytes.Equal(b, nil) {
		t.Errorf("sent %q", b)
	}
}

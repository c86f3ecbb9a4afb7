package backgate

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Some servers look at the certificate only with a request. They are found out
// by one, if that is wanted.
func TestReadinessByRequest(t *testing.T) {
	t.Parallel()
	shown, _, _, _ := clientCertificates(t)
	nginx := func(w http.ResponseWriter, r *http.Request, title string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<html>\r\n<head><title>%s</title></head>\r\n</html>\r\n", title)
	}
	for _, test := range []struct {
		name       string
		none, with string // what it makes of the request: a status, or a title of nginx's page
		state      State  // of none
		status     int
		withState  State
	}{
		{"takes all", "204", "204", Accepted, 204, Accepted},
		{"does not know OPTIONS", "405", "405", Accepted, 405, Accepted},
		{"nginx, demands one", "400 No required SSL certificate was sent", "200", Refused, 400, Accepted},
		{"nginx, knows another", "400 No required SSL certificate was sent", "400 The SSL certificate error", Refused, 400, Refused},
		{"nginx, by fingerprint", "496", "495", Refused, 496, Refused},
		{"another 400", "400", "400", Accepted, 400, Accepted},
		{"closes", "close", "200", Accepted, 0, Accepted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var requests []string
			seen := func() []string { mu.Lock(); defer mu.Unlock(); return requests }
			root := issue(t, nil, authority("root"))
			host, _ := backend(t, &tls.Config{Certificates: []tls.Certificate{chain(issue(t, root, nil))}, ClientAuth: tls.RequestClientCert}, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				requests = append(requests, r.Method+" "+r.RequestURI)
				mu.Unlock()
				does := test.none
				if len(r.TLS.PeerCertificates) > 0 {
					does = test.with
				}
				var status int
				switch _, err := fmt.Sscan(does, &status); {
				case err != nil:
					panic(http.ErrAbortHandler)
				case strings.Contains(does, " "):
					nginx(w, r, does)
				default:
					w.WriteHeader(status)
				}
			})
			g := gate(t, rootPool(root))
			in := Inspection{Scheme: "https", Host: host}
			for _, a := range g.Readiness(t.Context(), in, nil, shown) {
				if a.State != Accepted || a.Status != 0 || len(seen()) > 0 {
					t.Errorf("by the handshake alone: %+v, requests %v", a, seen())
				}
			}
			in.Request = true
			got := []Acceptance{g.Readiness(t.Context(), in, nil)[0], g.Readiness(t.Context(), in, shown)[0]}
			if got[0].State != test.state || got[0].Status != test.status || got[1].State != test.withState {
				t.Errorf("%+v", got)
			}
			if (got[0].Reason == "") != (test.state == Accepted && test.status != 0) {
				t.Errorf("reason %q", got[0].Reason)
			}
			if got := seen(); len(got) != 2 || got[0] != "OPTIONS /" {
				t.Errorf("requests %v", got)
			}
		})
	}
}

// nginx itself lets every handshake through.
func TestReadinessOfNginx(t *testing.T) {
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("SKIPPED: nginx is missing; what it makes of client certificates is not shown")
	}
	t.Parallel()
	host, root, trust := nginxBackend(t, t.TempDir())
	known, other, _, _ := clientCertificates(t)
	trust(known)
	g, in := gate(t, rootPool(root)), Inspection{Scheme: "https", Host: host}
	for _, request := range []bool{false, true} {
		in.Request = request
		refused := map[bool]State{false: Accepted, true: Refused}[request]
		for i, want := range []State{Accepted, refused, refused} {
			if got := g.Readiness(t.Context(), in, known, other, nil)[i]; got.State != want || (got.Status != 0) != request {
				t.Errorf("request %v, certificate %d: %+v, want %s", request, i, got, want)
			}
		}
	}
}

package gatewaytest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/tlspolicy"
)

// states are what the API goes through under load, in a cycle: each may follow
// the one before.
var states = []struct{ policy, mode string }{
	{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "BASIC"},
	{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", "STRICT"},
	{"SecurityPolicy_TLS13_1_3_2025_09", "STRICT"},
	{"SecurityPolicy_TLS13_1_2_2021_06", "BASIC"},
	{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", "BASIC"},
	{"SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", "STRICT"},
	{"SecurityPolicy_TLS13_1_2_PQ_2025_09", "BASIC"},
	{"TLS_1_0", ""},
}

// Two hundred policy and mode changes under load: no request that should
// succeed fails, none is served under an old rule after the acknowledgement.
func TestChangesUnderLoad(t *testing.T) {
	w := Start(t)
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	other := w.MockAPI(t, types.EndpointTypeRegional, "", "")

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent, failed atomic.Int64
	for _, h2 := range []bool{false, true} {
		client := w.HTTP("REGIONAL", nil, h2) // SNI equals Host; every policy has something for it
		for range 4 {
			load.Go(func() {
				for ctx.Err() == nil {
					sent.Add(1)
					if err := get(client, w.Host(api)); err != nil {
						failed.Add(1)
						t.Errorf("load, HTTP/2 %v: %v", h2, err)
					}
				}
			})
		}
	}

	const changes = 200
	for i := range changes {
		s := states[i%len(states)]
		old := w.hold(t, api, other)
		if err := w.Patch(ctx, api, "/securityPolicy", s.policy, "/endpointAccessMode", s.mode); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		p, _ := tlspolicy.Lookup(s.policy, false)
		for _, c := range old {
			c.check(t, p, s.mode)
		}
		if err := w.newHandshake(api, p); err != nil {
			t.Errorf("change %d to %s: %v", i, s.policy, err)
		}
		if t.Failed() {
			break
		}
	}
	stop()
	load.Wait()
	t.Logf("%d changes, %d requests of the load, %d failed", changes, sent.Load(), failed.Load())
	if sent.Load() < changes {
		t.Error("the load was no load")
	}
}

func get(client *http.Client, host string) error {
	resp, err := client.Get("https://" + host + "/prod/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(body) != `{"ok":true}` {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return nil
}

// held is a connection that was opened, and used, before a change.
type held struct {
	what string
	conn *tls.Conn
	sni  string
	host string
}

// hold opens connections as they are allowed before the change: one that
// speaks TLS 1.2 where it may, and one for another name that asks for host.
func (w *World) hold(t *testing.T, api, other string) []*held {
	t.Helper()
	var out []*held
	for _, c := range []struct {
		what, sni string
		max       uint16
	}{{"TLS 1.2", w.Host(api), tls.VersionTLS12}, {"TLS 1.3", w.Host(api), tls.VersionTLS13}, {"other SNI", w.Host(other), tls.VersionTLS13}} {
		conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: c.sni, MaxVersion: c.max})
		if err != nil {
			continue // not allowed before the change: nothing to hold
		}
		t.Cleanup(func() { conn.Close() })
		h := &held{c.what, conn, c.sni, w.Host(api)}
		if c.sni != h.host {
			h.host = w.Host(other) // used for its own name first
		}
		if status, err := h.request(); err != nil || status != http.StatusOK {
			t.Errorf("%s before the change: %d %v", c.what, status, err)
		}
		h.host = w.Host(api)
		out = append(out, h)
	}
	return out
}

func (h *held) request() (int, error) {
	if _, err := fmt.Fprintf(h.conn, "GET /prod/ HTTP/1.1\r\nHost: %s\r\n\r\n", h.host); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(h.conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// check sends one more request after the acknowledged change to p and mode.
func (h *held) check(t *testing.T, p *tlspolicy.Policy, mode string) {
	t.Helper()
	defer h.conn.Close()
	state := h.conn.ConnectionState()
	status, err := h.request()
	switch {
	case h.sni == h.host:
		tolerated := p.Tolerates(state.Version, state.CipherSuite, state.CurveID) == nil
		if tolerated != (status == http.StatusOK) {
			t.Errorf("%s connection (%s) after the change to %s: %d %v, tolerated %v", h.what, tls.CipherSuiteName(state.CipherSuite), p.Name, status, err, tolerated)
		}
	case mode == "STRICT" && status != http.StatusForbidden:
		t.Errorf("%s after the change to %s STRICT: %d %v, want 403", h.what, p.Name, status, err)
	case mode != "STRICT" && status != http.StatusOK:
		t.Errorf("%s after the change to %s %s: %d %v, want 200", h.what, p.Name, mode, status, err)
	}
}

// newHandshake shows that a TLS 1.2 client gets in exactly when p has TLS 1.2.
func (w *World) newHandshake(api string, p *tlspolicy.Policy) error {
	conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: w.Host(api), MaxVersion: tls.VersionTLS12})
	if err == nil {
		conn.Close()
	}
	if (err == nil) != (p.Min <= tls.VersionTLS12) {
		return fmt.Errorf("a TLS 1.2 client: accepted %v (%v)", err == nil, err)
	}
	return nil
}

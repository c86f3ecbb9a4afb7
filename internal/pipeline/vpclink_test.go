package pipeline

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

var allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// A VPC link's target is dialed in place of the URI's host; one that leads
// nowhere is answered without dialing anything.
func TestVPCLink(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int32
	addr := strings.TrimPrefix(w.backend(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(rw, r.Host+" "+r.TLS.ServerName)
	}), "https://")
	w.p.options.Backends.Configure(w.roots, allowed, map[string][]string{"balancer": {addr}})
	log := w.accessLog("$context.status $context.integration.error $context.error.responseType")
	linked := proxyTo("https://inside.example.com:8443/")
	linked.Target = "balancer"
	w.route("/linked", "GET", linked)
	unmapped := proxyTo("https://" + addr + "/")
	unmapped.Target = "elsewhere"
	w.route("/unmapped", "GET", unmapped)
	broken := proxyTo("https://" + addr + "/")
	broken.Target, broken.Broken = "balancer", "there is no VPC link abc"
	w.route("/broken", "GET", broken)
	w.both(t, func(t *testing.T, c *http.Client) {
		asked.Store(0)
		get := func(path string) (int, string) {
			resp, err := c.Get("https://" + testHost + "/prod/" + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(body)
		}
		if status, body := get("linked"); status != 200 || body != "inside.example.com:8443 inside.example.com" {
			t.Errorf("linked: %d %s", status, body)
		}
		if line := log(); line != "200 - -" {
			t.Errorf("linked: log %s", line)
		}
		for _, path := range []string{"unmapped", "broken"} {
			if status, body := get(path); status != 500 || body != `{"message": "Internal server error"}` {
				t.Errorf("%s: %d %s", path, status, body)
			}
			if line := log(); line != "500 Execution failed due to configuration error: There was an internal error while executing your request DEFAULT_5XX" {
				t.Errorf("%s: log %s", path, line)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("the backend saw %d requests", n)
		}
	})
}

// A request by a VPC link takes no memory either.
func TestNoAllocationByVPCLink(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools forget")
	}
	w := newWorld(t)
	r := newRig(w, rigs[0].request, rigs[0].answer)
	in := w.stage().Routes.Greedy.Methods["ANY"].Integration
	backend := strings.TrimPrefix(in.URI[0].Literal, "http://")
	backend, _, _ = strings.Cut(backend, "/")
	in.URI[0].Literal, in.Target = "http://inside.example/base/", "balancer"
	w.p.options.Backends.Configure(w.roots, allowed, map[string][]string{"balancer": {backend}})
	for range 50 {
		r.once()
	}
	if n := testing.AllocsPerRun(500, r.once); n > 0 {
		t.Errorf("%v allocations per request", n)
	}
}

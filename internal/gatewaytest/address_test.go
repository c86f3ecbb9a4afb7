package gatewaytest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
)

// resolver asks a DNS server on loopback, where every name stands for what addr
// says at that moment.
func resolver(t *testing.T, addr func() netip.Addr) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
			if q.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: addr().As4()}}}
			}
			if reply, err := answer.Pack(); err == nil {
				c.WriteTo(reply, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// What an author may save, however it is spelled, is judged when it is dialed:
// special addresses see no connection, redirects to them are the client's, and
// a name that changes its mind leads nowhere new.
func TestSpecialAddresses(t *testing.T) {
	public := netip.MustParseAddr("127.0.0.2")
	l, err := net.Listen("tcp", public.String()+":0")
	if err != nil {
		t.Skipf("SKIPPED: %v; this system has one loopback address", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, fmt.Sprintf("http://127.0.0.1:%d/", port), http.StatusTemporaryRedirect)
		}
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	var conns atomic.Int32
	for _, host := range []string{"127.0.0.1", "::1"} {
		secret, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil && host == "::1" {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { secret.Close() })
		go func() {
			for {
				c, err := secret.Accept()
				if err != nil {
					return
				}
				conns.Add(1)
				c.Close()
			}
		}()
	}
	var now atomic.Pointer[netip.Addr]
	now.Store(&public)
	w := start(t, []func(*gateway.Options){func(o *gateway.Options) { o.Resolver = resolver(t, func() netip.Addr { return *now.Load() }) }},
		func(c *config.Config) { c.AllowBackends = []netip.Prefix{netip.PrefixFrom(public, 32)} })

	hosts := []string{"localhost", "LOCALHOST.", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0.0.0.0", "0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]"}
	integrations := map[string]apigateway.PutIntegrationInput{
		"rebinds":  {Uri: aws.String(fmt.Sprintf("http://rebinds.example:%d/", port))},
		"redirect": {Uri: aws.String(fmt.Sprintf("http://rebinds.example:%d/redirect", port))},
	}
	for i, host := range hosts {
		integrations[fmt.Sprint(i)] = apigateway.PutIntegrationInput{Uri: aws.String(fmt.Sprintf("http://%s:%d/", host, port))}
	}
	api := w.linkedAPI(t, integrations)
	w.Deploy(t, api)
	url := "https://" + w.Host(api) + "/prod/"
	w.get(t, "REGIONAL", url+"rebinds").is(t, "an allowed address", 200, "", "")
	client := w.HTTP("REGIONAL", nil, false)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(url + "redirect")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if to := resp.Header.Get("Location"); resp.StatusCode != 307 || to != fmt.Sprintf("http://127.0.0.1:%d/", port) {
		t.Errorf("redirect: %d to %q", resp.StatusCode, to)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	now.Store(&loopback)
	w.get(t, "REGIONAL", url+"rebinds").is(t, "after the name changed its mind", 500, "InternalServerErrorException", `{"message": "Internal server error"}`)
	for i, host := range hosts {
		a := w.get(t, "REGIONAL", url+fmt.Sprint(i))
		// Go's resolver knows no name of digits and dots.
		unknown := a.status == 504 && strings.Trim(host, "0123456789.") == ""
		if a.status != 500 && !unknown {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
	if n := conns.Load(); n != 0 {
		t.Errorf("%d connections to special addresses", n)
	}
}

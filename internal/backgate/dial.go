package backgate

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// newPool makes a pool of a valid authority. Sessions are resumed within it
// only, so never under another trust, name or client certificate; a resumed
// one is verified like any other, by the chain of its first handshake.
func (t *trust) newPool(k key) *pool {
	host, port := splitAuthority(k.host)
	p := &pool{trust: t, key: k, slots: make(chan struct{}, maxActive), used: time.Now()}
	if port == "" {
		port = "80"
		if k.secure {
			port = "443"
		}
	}
	if p.route = t.routes[k.target]; k.target == "" {
		p.route = newRoute([]string{net.JoinHostPort(host, port)})
	}
	if !k.secure {
		return p
	}
	name := strings.TrimSuffix(host, ".")
	p.tls = &tls.Config{
		ServerName:                  name,
		MinVersion:                  tls.VersionTLS12,
		MaxVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{"http/1.1"},
		ClientSessionCache:          tls.NewLRUClientSessionCache(sessionsPerPool),
		DynamicRecordSizingDisabled: true,
		// The verdict is ours, in AWS's order and words; it comes before the
		// handshake is complete.
		InsecureSkipVerify: true,
		VerifyConnection:   t.verifier(name, k.skip),
	}
	return p
}

// verifier judges connections to name.
func (t *trust) verifier(name string, skip bool) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		return verify(cs.PeerCertificates, name, skip, t.roots, t.gate.options.Now())
	}
}

// dial returns a connection whose peer proved its name, if it has one. h, unless
// nil, watches what becomes of the client's certificate.
func (p *pool) dial(ctx context.Context, deadline time.Time, h *handover) (*httpwire.Client, error) {
	o := &p.trust.gate.options
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := p.connect(ctx, deadline)
	if err != nil {
		return nil, err
	}
	socket := httpwire.NewClientSocket(raw, p.tls != nil)
	if p.tls == nil {
		return httpwire.NewClient(socket, socket), nil
	}
	handshake, done := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer done()
	begun := time.Now()
	var config *tls.Config
	asked, shown := false, false
	if h != nil {
		config = h.config(p.tls, socket)
	} else {
		config = p.tls.Clone()
		config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := present(r, p.key.certificate)
			asked, shown = true, len(c.Certificate) > 0
			return c, nil
		}
	}
	c := tls.Client(socket, config)
	if err := c.HandshakeContext(handshake); err != nil {
		raw.Close()
		if e := handshake.Err(); e != nil {
			return nil, stalled(ctx, e)
		}
		if h != nil {
			asked, shown = h.asked, h.certificate != nil
		}
		return nil, askedFor(handshakeError(err), asked, shown)
	}
	if h != nil {
		state := c.ConnectionState()
		h.tls13, h.resumed, h.took = state.Version == tls.VersionTLS13, state.DidResume, time.Since(begun)
	}
	return httpwire.NewClient(c, socket), nil
}

// splitAuthority parts a valid authority; brackets go, port may be "".
func splitAuthority(s string) (host, port string) {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		s, port = s[:i], s[i+1:]
	}
	return strings.Trim(s, "[]"), port
}

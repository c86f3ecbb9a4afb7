package tlspolicy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Choose picks the policy and the configuration for a connection. It is
// called once for each ClientHello, with the offers as sent, and may be
// called from many connections at once. The configuration must have been
// configured by the policy and must hold its own ticket keys (see
// [tls.Config.SetSessionTicketKeys]) or have tickets disabled: one that does
// neither cannot issue tickets, and its handshakes fail. It is used for many
// connections and must not change. Choose must not keep info, whose suites
// are masked after it returns.
//
// An error ends the handshake with the alert internal_error, and so do a
// panic, a nil policy or configuration, and a configuration that was not
// configured by the policy. Errors come back from HandshakeContext wrapped.
type Choose func(hello *Hello, info *tls.ClientHelloInfo) (*Policy, *tls.Config, error)

// A Conn is the server's side of a TLS connection under a policy. Like a
// tls.Conn it does its handshake at the first Read or Write, if not before.
//
// The embedded tls.Conn can be handed to net/http or anything else that wants
// one; policy and masking hold there too. Its NetConn returns the wrapper
// around the connection given to [Server]; the wrapper's own NetConn method
// returns that connection.
type Conn struct {
	*tls.Conn
	wire *wire

	mu   sync.Mutex // one handshake at a time
	done atomic.Bool
	err  error // of the failed handshake; guarded by mu
}

// Server returns a TLS server connection over c that asks choose for its
// policy and admits what that policy permits and nothing else.
func Server(c net.Conn, choose Choose) *Conn {
	w := &wire{Conn: c, choose: choose, watching: true}
	return &Conn{Conn: tls.Server(w, outer), wire: w}
}

// outer receives the ClientHello of every connection and hands over to the
// configuration that Choose returns. Nothing is negotiated under it. It is
// wide open because SupportsCertificate judges by it, see works, and has
// tickets disabled because crypto/tls would lend its keys to every
// configuration that has none.
var outer = func() *tls.Config {
	ids := []uint16{}
	for id := range implemented {
		ids = append(ids, id)
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS10,
		MaxVersion:             tls.VersionTLS13,
		CipherSuites:           ids,
		SessionTicketsDisabled: true,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			w, ok := info.Conn.(*wire)
			if !ok {
				return nil, errors.New("tlspolicy: connection was not made by Server")
			}
			return w.admit(info)
		},
	}
}()

// Hello returns what the client offered, or nil before the ClientHello was
// read.
func (c *Conn) Hello() *Hello { return c.wire.hello.Load() }

// Policy returns the policy that Choose picked, or nil when it has picked none.
func (c *Conn) Policy() *Policy { return c.wire.policy.Load() }

// An Alert is a TLS alert that ended a handshake.
type Alert struct {
	Code uint8 // see [AlertName]
	Sent bool  // by this server; else received from the client
}

// String returns the alert's name.
func (a Alert) String() string { return AlertName(a.Code) }

// Alert returns the alert that ended the handshake, if one did and it is
// known. An alert that this server sends encrypted, in TLS 1.3 after its
// ServerHello, is told from the error.
func (c *Conn) Alert() (Alert, bool) {
	if a := c.wire.alert.Load(); a&alertSeen != 0 {
		return Alert{Code: uint8(a), Sent: true}, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return alertOf(c.err)
}

// Handshake is HandshakeContext without a deadline of its own.
func (c *Conn) Handshake() error { return c.HandshakeContext(context.Background()) }

// HandshakeContext runs the handshake unless it has been run, and then checks
// version, suite and group against the policy. On a violation it closes the
// connection before a byte is served and returns a *[Violation]. A panic in
// the handshake becomes an error. After an error the connection is of no use;
// the caller closes it.
func (c *Conn) HandshakeContext(ctx context.Context) error {
	if c.done.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.done.Load() {
		return c.err
	}
	if c.err = c.handshake(ctx); c.err == nil {
		c.done.Store(true)
	}
	return c.err
}

func (c *Conn) handshake(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			c.wire.Close()
			err = fmt.Errorf("tlspolicy: panic in handshake: %v\n%s", r, debug.Stack())
		}
	}()
	if err := c.Conn.HandshakeContext(ctx); err != nil {
		if strings.Contains(err.Error(), "session ticket keys unavailable") {
			err = fmt.Errorf("tlspolicy: the configuration needs SetSessionTicketKeys or SessionTicketsDisabled: %w", err)
		}
		return err
	}
	if err := c.Policy().Check(c.ConnectionState()); err != nil {
		c.wire.Close()
		return err
	}
	return nil
}

// Read reads after the handshake, see [tls.Conn.Read].
func (c *Conn) Read(b []byte) (int, error) {
	if !c.done.Load() {
		if err := c.Handshake(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}

// Write writes after the handshake, see [tls.Conn.Write].
func (c *Conn) Write(b []byte) (int, error) {
	if !c.done.Load() {
		if err := c.Handshake(); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// wire is the net.Conn beneath crypto/tls: the place from which a masked
// ClientHello can be restored at the right moment and alerts be seen.
type wire struct {
	net.Conn
	choose Choose

	hello  atomic.Pointer[Hello]
	policy atomic.Pointer[Policy]
	alert  atomic.Uint32 // alertSeen and the code of the alert that was sent

	// The fields below belong to the handshake, which crypto/tls runs in one
	// goroutine at a time, ahead of all other writes.

	masked   []uint16 // the handshake's own list of suites while it is masked
	watching bool     // records may still hold a plaintext alert
}

const alertSeen = 1 << 8

// NetConn returns the connection that was given to Server.
func (w *wire) NetConn() net.Conn { return w.Conn }

// Write restores what was masked before the first byte goes out: by then
// crypto/tls has selected, and it next compares the ClientHello with the one
// that answers a HelloRetryRequest, which must be equal.
func (w *wire) Write(b []byte) (int, error) {
	if w.masked != nil {
		copy(w.masked, w.hello.Load().Suites)
		w.masked = nil
	}
	if w.watching {
		w.watch(b)
	}
	return w.Conn.Write(b)
}

// watch looks for a plaintext alert among the records that are written.
// crypto/tls always writes whole records.
func (w *wire) watch(b []byte) {
	const header, handshakeAlert, applicationData, closeNotify = 5, 21, 23, 0
	for len(b) >= header {
		n := header + int(b[3])<<8 + int(b[4])
		if n > len(b) {
			return
		}
		switch {
		case b[0] == applicationData:
			w.watching = false // all is encrypted from here on
			return
		case b[0] == handshakeAlert && n == header+2 && b[header+1] != closeNotify:
			w.alert.Store(alertSeen | uint32(b[header+1]))
		}
		b = b[n:]
	}
}

// admit is GetConfigForClient: it copies the offers, asks Choose, and masks
// the suites that must not be selected.
func (w *wire) admit(info *tls.ClientHelloInfo) (config *tls.Config, err error) {
	// A panic here would end the process when the caller's goroutine does not
	// recover; as an error it ends one connection.
	defer func() {
		if r := recover(); r != nil {
			config, err = nil, fmt.Errorf("tlspolicy: panic while choosing: %v\n%s", r, debug.Stack())
		}
	}()
	hello := newHello(info)
	w.hello.Store(hello)
	policy, config, err := w.choose(hello, info)
	if err != nil {
		return nil, fmt.Errorf("tlspolicy: choose for %q: %w", info.ServerName, err)
	}
	if !policy.valid() {
		return nil, &Violation{Part: NoPolicy}
	}
	w.policy.Store(policy)
	if !policy.configured(config) {
		return nil, fmt.Errorf("tlspolicy: the configuration for %q was not configured for policy %s", info.ServerName, policy)
	}

	version := hello.version(policy)
	suite := policy.pick(version, info, config)
	// From here on crypto/tls can select nothing but what is left in its list.
	w.masked = info.CipherSuites
	policy.mask(version, suite, info.CipherSuites)

	if version < tls.VersionTLS13 && !allowsHTTP2(version, suite) &&
		slices.Contains(info.SupportedProtos, "h2") && slices.Contains(config.NextProtos, "h2") {
		config = config.Clone()
		config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(p string) bool { return p == "h2" })
	}
	return config, nil
}

// grease replaces a masked suite. Clients offer such values themselves, and
// no server may select one. Source: RFC 8701.
const grease = 0x0A0A

// mask overwrites, in the handshake's own list, each suite that crypto/tls
// could select and must not: all but the chosen one, or, when none could be
// chosen (0), all that p forbids at the version. Numbers that crypto/tls does
// not implement stay, TLS_FALLBACK_SCSV above all, or it would miss an
// inappropriate fallback.
func (p *Policy) mask(version, chosen uint16, ids []uint16) {
	for i, id := range ids {
		if !implemented[id] {
			continue
		}
		if chosen != 0 && id == chosen || chosen == 0 && p.permits(version, id) {
			continue
		}
		ids[i] = grease
	}
}

// pick returns the first listed suite that the client offers and that works
// with a certificate of config, or 0 when it can tell none. It only decides
// the order of preference: should it be wrong, the handshake fails, or
// crypto/tls selects another permitted suite.
func (p *Policy) pick(version uint16, info *tls.ClientHelloInfo, config *tls.Config) uint16 {
	if version == tls.VersionTLS13 {
		for _, id := range p.Suites13 {
			if slices.Contains(info.CipherSuites, id) && p.permits(version, id) {
				return id
			}
		}
		return 0
	}
	//lint:ignore SA1019 a caller may still set it; what it picks is not foretold here
	if config.NameToCertificate != nil {
		return 0
	}
	var one *tls.ClientHelloInfo // the client as if it offered one suite
	for _, id := range p.listed(version) {
		if !slices.Contains(info.CipherSuites, id) || !p.permits(version, id) {
			continue
		}
		if one == nil {
			one = p.narrow(version, info)
		}
		one.CipherSuites[0] = id
		if works(one, config) {
			return id
		}
	}
	return 0
}

// narrow copies info, restricted to what can be negotiated below TLS 1.3.
func (p *Policy) narrow(version uint16, info *tls.ClientHelloInfo) *tls.ClientHelloInfo {
	one := *info
	one.SupportedVersions = []uint16{version}
	one.CipherSuites = make([]uint16, 1)
	one.SupportedCurves = nil
	for _, group := range p.Groups {
		if !isHybrid(group) && slices.Contains(info.SupportedCurves, group) {
			one.SupportedCurves = append(one.SupportedCurves, group)
		}
	}
	return &one
}

// works reports whether the certificate that crypto/tls will take for the
// one offered suite can serve it.
func works(one *tls.ClientHelloInfo, config *tls.Config) bool {
	cert := certificate(one, config)
	if cert == nil {
		return false
	}
	// A certificate for another name is served all the same when there is no
	// better one, so the name does not decide here.
	nameless := *one
	nameless.ServerName = ""
	return nameless.SupportsCertificate(cert) == nil
}

// certificate finds the certificate as crypto/tls does, or nil.
func certificate(one *tls.ClientHelloInfo, config *tls.Config) *tls.Certificate {
	if config.GetCertificate != nil && (len(config.Certificates) == 0 || one.ServerName != "") {
		cert, err := config.GetCertificate(one)
		if cert != nil || err != nil {
			return cert
		}
	}
	if len(config.Certificates) == 0 {
		return nil
	}
	if len(config.Certificates) > 1 {
		for i := range config.Certificates {
			if one.SupportsCertificate(&config.Certificates[i]) == nil {
				return &config.Certificates[i]
			}
		}
	}
	return &config.Certificates[0]
}

// alertOf tells from a handshake's error which alert ended it. crypto/tls
// wraps its own alert type, a uint8, in a net.OpError for an alert received
// and for some sent. The rest is sent for a client's certificate.
func alertOf(err error) (Alert, bool) {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
			return Alert{Code: uint8(v.Uint()), Sent: op.Op == "local error"}, true
		}
	}
	const badCertificate, certificateExpired, unknownCA = 42, 45, 48
	var verification *tls.CertificateVerificationError
	var violation *Violation
	switch {
	case errors.As(err, &verification):
		var authority x509.UnknownAuthorityError
		var invalid x509.CertificateInvalidError
		switch {
		case errors.As(verification.Err, &authority):
			return Alert{unknownCA, true}, true
		case errors.As(verification.Err, &invalid) && invalid.Reason == x509.Expired:
			return Alert{certificateExpired, true}, true
		}
		return Alert{badCertificate, true}, true
	case errors.As(err, &violation):
		return Alert{badCertificate, true}, true
	}
	return Alert{}, false
}

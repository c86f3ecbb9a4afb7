package frontgate

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// conn is one accepted connection.
type conn struct {
	gate     *Gate
	raw      net.Conn
	listener Listener
	accepted time.Time // on the clock of deadlines, not Options.Now
	id       string

	// Of the handshake.
	tls  *tlspolicy.Conn
	sni  string           // normalized
	name *snapshot.Name   // that governs, nil before the ClientHello
	cert *tls.Certificate // presented, nil when resumed
	log  telemetry.Connection

	facts *httpwire.Conn // once the handshake is done

	mu       sync.Mutex
	session  *httpwire.Session
	draining bool // guarded by mu, but before enter returns by gate.mu
}

func newConn(g *Gate, raw net.Conn, l Listener) *conn {
	var id [8]byte
	rand.Read(id[:])
	c := &conn{gate: g, raw: raw, listener: l, accepted: time.Now(), id: hex.EncodeToString(id[:])}
	c.log = telemetry.Connection{
		Time: g.now(), ID: c.id, Listener: l.Type,
		Offered: telemetry.Offered{Versions: []string{}, Suites: []string{}, Groups: []string{}, ALPN: []string{}},
		Peer:    raw.RemoteAddr().String(),
	}
	return c
}

// run takes the connection from accept to close.
func (c *conn) run() {
	defer c.gate.leave(c)
	defer c.raw.Close()
	defer func() {
		if p := recover(); p != nil { // one connection, never the process
			c.gate.log.Error("panic on a connection", "panic", p, "peer", c.log.Peer, "stack", string(debug.Stack()))
		}
	}()
	if c.listener.Type == "HTTP" {
		// Nothing of this version may be plain: Admit refuses every request.
		c.facts = &httpwire.Conn{ID: c.id, Listener: c.listener.Type, Peer: addrPort(c.raw.RemoteAddr()), Local: addrPort(c.raw.LocalAddr())}
		c.gate.enter(c)
		c.serve(c.raw)
		return
	}
	reason, ok := c.handshake()
	if ok {
		c.gate.enter(c)
		// The snapshot may have changed since the ClientHello. From enter on
		// Apply sees this connection; what came before it is seen here.
		if err := c.stale(); err != nil {
			// Served all the same, so that the client gets an answer: while
			// the change settles the one it asked for, else Admit's 421.
			reason = "policy changed during the handshake: " + err.Error()
			c.drain()
		}
	}
	c.record(reason)
	if !ok {
		return
	}
	c.raw.SetDeadline(time.Time{})
	c.serve(c.tls.Conn)
}

// serve carries HTTP over wire until the connection ends.
func (c *conn) serve(wire net.Conn) {
	session := c.gate.server.Serve(wire, c.facts)
	c.mu.Lock()
	c.session = session
	draining := c.draining
	c.mu.Unlock()
	if draining {
		session.Drain()
	}
	<-session.Done()
}

func (c *conn) drain() {
	c.mu.Lock()
	c.draining = true
	session := c.session
	c.mu.Unlock()
	if session != nil {
		session.Drain()
	}
}

// pending reports whether a request has arrived that was not judged yet.
func (c *conn) pending() bool {
	session := c.served()
	return session != nil && session.Pending()
}

// closeIdle closes the connection unless a request is under way.
func (c *conn) closeIdle() {
	if session := c.served(); session != nil {
		session.CloseIdle()
	}
}

// served is the session, nil before there is one.
func (c *conn) served() *httpwire.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// stale says in what the connection breaks the policy now in force.
func (c *conn) stale() error {
	return c.govern(c.gate.names()).Policy.Tolerates(c.facts.Version, c.facts.Suite, c.facts.Group)
}

// govern returns the name whose policy binds this connection.
func (c *conn) govern(names Names) *snapshot.Name {
	if name := names.Lookup(c.sni); name != nil {
		return name
	}
	return names.Default()
}

type connKey struct{}

// handshake fills log and, when it succeeds, facts.
func (c *conn) handshake() (reason string, ok bool) {
	c.raw.SetDeadline(c.accepted.Add(c.gate.o.HandshakeTimeout))
	c.tls = tlspolicy.Server(httpwire.NewSocket(c.raw), c.choose)
	// The context carries the connection to GetCertificate; the deadline is
	// the socket's, which costs no goroutine.
	err := c.tls.HandshakeContext(context.WithValue(context.Background(), connKey{}, c))
	c.log.Millis = float64(time.Since(c.accepted).Microseconds()) / 1000
	c.offered()
	if err != nil {
		if alert, ok := c.tls.Alert(); ok {
			c.log.Alert = alert.String()
		}
		c.answerPlain(err)
		return failure(err, c.tls), false
	}
	cs := c.tls.ConnectionState()
	c.facts = &httpwire.Conn{
		ID: c.id, Listener: c.listener.Type,
		Peer: addrPort(c.raw.RemoteAddr()), Local: addrPort(c.raw.LocalAddr()),
		HTTP2:   cs.NegotiatedProtocol == "h2",
		Version: cs.Version, Suite: cs.CipherSuite, Group: cs.CurveID,
		SNI: c.sni, Leaf: c.leaf(cs),
		VPC: c.listener.VPC, VPCEndpoint: c.listener.VPCEndpoint,
	}
	c.log.Resumed = cs.DidResume
	c.log.Chosen = &telemetry.Chosen{
		Version: tlspolicy.VersionName(cs.Version), Suite: tlspolicy.SuiteName(cs.CipherSuite),
		ALPN: cs.NegotiatedProtocol, Certificate: keyType(c.facts.Leaf),
	}
	if cs.CurveID != 0 {
		c.log.Chosen.Group = tlspolicy.GroupName(cs.CurveID)
	}
	return "", true
}

// choose is asked by tlspolicy once the ClientHello is read.
func (c *conn) choose(hello *tlspolicy.Hello, info *tls.ClientHelloInfo) (*tlspolicy.Policy, *tls.Config, error) {
	c.sni = snapshot.NormalizeHost(hello.ServerName)
	c.gate.waitForSwap(info.Context(), c.sni)
	c.name = c.gate.choose(c)
	config, err := c.gate.configs.get(c.name)
	if err != nil {
		return nil, nil, err
	}
	return c.name.Policy, config, nil
}

// leaf is the certificate that this connection stands for. A resumed one was
// shown none now; it was shown one of the same name at the same revision.
func (c *conn) leaf(cs tls.ConnectionState) *x509.Certificate {
	if c.cert != nil {
		return c.cert.Leaf
	}
	certificates := c.name.CertificatesAt(c.atEdge())
	for _, cert := range certificates {
		if cs.Version == tls.VersionTLS13 || suiteTakes(cs.CipherSuite, keyType(cert.Leaf)) {
			return cert.Leaf
		}
	}
	return certificates[0].Leaf
}

func (c *conn) atEdge() bool { return c.listener.Type == "EDGE" }

// suiteTakes reports whether a suite below TLS 1.3 goes with a key.
func suiteTakes(suite uint16, key string) bool {
	return strings.Contains(tlspolicy.SuiteName(suite), "ECDSA") == (key != "RSA")
}

func keyType(leaf *x509.Certificate) string {
	if leaf == nil {
		return ""
	}
	switch leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA"
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

// Limits of what a stranger's ClientHello may put into one record.
const (
	maxLogSNI   = 255
	maxLogALPN  = 16
	maxLogProto = 32
	maxReason   = 300
)

func (c *conn) offered() {
	if c.name != nil {
		c.log.Name = c.name.Host
		c.log.Mode = c.name.Mode.String()
		c.log.Policy = c.name.Policy.Name
	}
	hello := c.tls.Hello()
	if hello == nil {
		return
	}
	c.log.SNI = printable(hello.ServerName, maxLogSNI)
	c.log.JA4 = printable(hello.JA4, 64)
	c.log.Offered.Versions = hello.VersionNames()
	c.log.Offered.Suites = hello.SuiteNames()
	c.log.Offered.Groups = hello.GroupNames()
	for _, proto := range hello.ALPN[:min(len(hello.ALPN), maxLogALPN)] {
		c.log.Offered.ALPN = append(c.log.Offered.ALPN, printable(proto, maxLogProto))
	}
}

// record writes the connection's one record.
func (c *conn) record(reason string) {
	c.log.Reason = printable(reason, maxReason)
	c.gate.o.Connections(c.log)
}

// printable cuts s at limit bytes and replaces what is not printable.
func printable(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

const plainBody = `{"message":"This port speaks TLS; use https instead of http."}`

// plainAnswer is for who speaks HTTP where TLS is spoken.
var plainAnswer = fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"+
	"Content-Length: %d\r\n\r\n%s", len(plainBody), plainBody)

// answerPlain tells a client that sent plain HTTP what is wrong.
func (c *conn) answerPlain(err error) {
	var re tls.RecordHeaderError
	if errors.As(err, &re) && re.Conn != nil && looksLikeHTTP(re.RecordHeader) {
		io.WriteString(c.raw, plainAnswer)
	}
}

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *", "CONNE", "TRACE":
		return true
	}
	return false
}

// failure says in one line why a handshake failed.
func failure(err error, c *tlspolicy.Conn) string {
	when := "before a ClientHello"
	if c.Hello() != nil {
		when = "during the handshake"
	}
	var record tls.RecordHeaderError
	var timeout net.Error
	var violation *tlspolicy.Violation
	switch {
	case errors.As(err, &record):
		if looksLikeHTTP(record.RecordHeader) {
			return "not TLS: plain HTTP request"
		}
		return "not TLS: first bytes are " + hex.EncodeToString(record.RecordHeader[:])
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout " + when
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "client closed " + when
	case errors.As(err, &violation):
		return violation.Error()
	}
	if alert, ok := c.Alert(); ok && !alert.Sent {
		return "client sent alert " + alert.String()
	}
	return err.Error()
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return ap
}

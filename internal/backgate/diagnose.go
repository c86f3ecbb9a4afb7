package backgate

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/tlspolicy"
)

// Bounds of a diagnosis: a stranger's certificate may hold thousands of names.
const (
	maxNames       = 100 // of one certificate
	maxAuthorities = 100
	maxWhy         = 2 << 10 // bytes of an explanation
)

// Inspection is a backend whose TLS is to be looked at.
type Inspection struct {
	Scheme string // http or https
	Host   string // with an optional port, as in Request
	Target string // dialed in place of Host, as in Request; "": Host
	// ServerName is sent as SNI and verified; "": Host's name.
	ServerName               string
	InsecureSkipVerification bool
	Certificate              *tls.Certificate // shown to a backend that asks for one; nil: none
	// Timeout bounds the whole inspection; zero: only the gate's own for the dial
	// and for the handshake do.
	Timeout time.Duration
	// Request makes Readiness send OPTIONS / to a backend that asks for a
	// certificate and lets the handshake through: some judge only then.
	Request bool
	// TrustFiles are the PEM files that the gate's roots were read from beside the
	// system's. They are only named, in the openssl line.
	TrustFiles []string
}

// Diagnosis says what the second gate thinks of a backend, and why. Texts and
// lists that come from the backend are cut.
type Diagnosis struct {
	URL        string `json:"url"`
	Address    string `json:"address"`    // dialed, or refused; "": the name leads nowhere
	ServerName string `json:"serverName"` // verified; sent as SNI unless it is an IP address
	// Version, Suite and Group are what the handshake agreed on; "": it did not get so far.
	Version string `json:"version"`
	Suite   string `json:"suite"`
	Group   string `json:"group"`
	// Chain is as the backend presented it, the leaf first. It is empty also when
	// a certificate cannot be read at all.
	Chain []PresentedCertificate `json:"chain"`
	// Verdict is the Kind's name; "": accepted.
	Verdict  string `json:"verdict"`
	Accepted bool   `json:"accepted"`
	Element  int    `json:"element"` // index in Chain of the certificate at fault; -1: none of them is
	Why      string `json:"why"`     // in plain words; for an accepted one what is worth knowing, or ""
	Fix      string `json:"fix"`     // "": nothing is to be done
	// AWSText, Status, ResponseType and ErrorType are what the log and the client
	// of a REST API get; zero for an accepted one.
	AWSText      string `json:"awsText"`
	Status       int    `json:"status"`
	ResponseType string `json:"responseType"`
	ErrorType    string `json:"errorType"`
	// OpenSSL is a command line that shows the same.
	OpenSSL           string               `json:"openssl"`
	ClientCertificate ClientCertificateUse `json:"clientCertificate"`
}

// PresentedCertificate is one certificate of a chain.
type PresentedCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Names     []string  `json:"names,omitempty"` // DNS names and IP addresses, the first 100
	Key       string    `json:"key"`             // such as "RSA 2048"
	Signature string    `json:"signature"`       // such as "SHA256-RSA"
	SHA256    string    `json:"sha256"`          // of the whole certificate, in hex
	Fault     string    `json:"fault,omitempty"` // in a few words; "": not the one at fault
}

// ClientCertificateUse says what became of the client's certificate.
type ClientCertificateUse struct {
	Asked bool `json:"asked"`
	// Authorities are whom the backend names as issuers that it knows; it need
	// not name any.
	Authorities []string `json:"authorities,omitempty"`
	Shown       bool     `json:"shown"`
}

// Diagnose shakes hands with a backend by the trust, targets and address rules
// in force and says what comes of it. No byte of a request is sent, no
// connection is kept and no session resumed.
func (g *Gate) Diagnose(ctx context.Context, in Inspection) *Diagnosis {
	d := &Diagnosis{URL: in.Scheme + "://" + in.Host, Element: -1, Chain: []PresentedCertificate{}}
	if in.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.Timeout)
		defer cancel()
	}
	l := look{trust: g.trust.Load(), in: in, diagnosis: d}
	err := l.shake(ctx)
	d.OpenSSL = l.openssl()
	if err == nil {
		d.Accepted, d.Why = true, l.remark()
		return d
	}
	e := (&exchange{host: in.Host, ctx: ctx}).fault(err)
	d.Verdict, d.AWSText = e.Kind.String(), e.Text()
	d.Why, d.Fix = cut(e.Why(), maxWhy), cut(e.Fix(), maxWhy)
	answer := e.Kind.Answer()
	d.Status, d.ResponseType, d.ErrorType = answer.Status, answer.ResponseType, answer.ErrorType
	if i := e.Element(); i >= 0 && i < len(d.Chain) {
		d.Element, d.Chain[i].Fault = i, e.Brief()
	}
	if e.Address != "" && d.Address == "" {
		d.Address = e.Address
	}
	return d
}

// look is one inspection under way.
type look struct {
	trust     *trust
	in        Inspection
	diagnosis *Diagnosis
	dial      string // host:port that a command line would dial
	state     tls.ConnectionState
}

func (l *look) shake(ctx context.Context) error {
	in, d := &l.in, l.diagnosis
	if in.Scheme != "http" && in.Scheme != "https" {
		return &Error{Kind: InvalidAddress, Cause: errScheme}
	}
	if in.ServerName != "" && !validAuthority(in.ServerName) {
		return &Error{Kind: InvalidAddress, Cause: errAuthority}
	}
	k := key{host: in.Host, target: in.Target, secure: in.Scheme == "https", skip: in.InsecureSkipVerification}
	if err := l.trust.check(k); err != nil {
		return err
	}
	p, o := l.trust.newPool(k), &l.trust.gate.options // a pool of its own: nothing is resumed, nothing kept
	l.dial = p.route.addresses[0].name
	raw, err := p.connect(ctx, time.Now().Add(o.DialTimeout))
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded): // the inspection's
		return &Error{Kind: Dial, reason: noAnswer, Cause: err}
	case err != nil:
		return err
	}
	defer raw.Close() //nolint:errcheck // nothing was asked of it
	d.Address = raw.RemoteAddr().String()
	l.dial = d.Address
	if p.tls == nil {
		return nil
	}
	c := l.config(p.tls)
	handshake, done := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer done()
	client := tls.Client(raw, c)
	err = client.HandshakeContext(handshake)
	if err == nil {
		l.state = client.ConnectionState()
		l.agreed()
		err = l.await(ctx, client)
	} else if e := handshake.Err(); e != nil {
		return stalled(ctx, e)
	}
	if err == nil {
		return nil
	}
	err = askedFor(handshakeError(err), d.ClientCertificate.Asked, d.ClientCertificate.Shown)
	if e := (*Error)(nil); errors.As(err, &e) && e.Kind == Unusable && len(d.Chain) == 0 {
		l.reread(ctx, p, c)
	}
	return err
}

// config is c for one handshake that is looked at.
func (l *look) config(c *tls.Config) *tls.Config {
	d := l.diagnosis
	c = c.Clone()
	c.ClientSessionCache = nil
	if l.in.ServerName != "" {
		name, _ := splitAuthority(l.in.ServerName)
		c.ServerName = strings.TrimSuffix(name, ".")
	}
	d.ServerName = c.ServerName
	judge := l.trust.verifier(c.ServerName, l.in.InsecureSkipVerification)
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		l.state = cs
		l.agreed()
		for _, cert := range cs.PeerCertificates[:min(len(cs.PeerCertificates), maxChain)] {
			d.Chain = append(d.Chain, presented(cert))
		}
		return judge(cs)
	}
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		use := &d.ClientCertificate
		use.Asked = true
		for _, raw := range r.AcceptableCAs[:min(len(r.AcceptableCAs), maxAuthorities)] {
			use.Authorities = append(use.Authorities, distinguishedName(raw))
		}
		shown := present(r, l.in.Certificate)
		use.Shown = len(shown.Certificate) > 0
		return shown, nil
	}
	return c
}

// agreed notes what the handshake agreed on.
func (l *look) agreed() {
	cs, d := &l.state, l.diagnosis
	d.Version = tlspolicy.VersionName(cs.Version) // the names that policies and logs have
	d.Suite = tlspolicy.SuiteName(cs.CipherSuite)
	if cs.CurveID != 0 {
		d.Group = tlspolicy.GroupName(cs.CurveID)
	}
}

// await gives the backend time to say what it thinks of the client's
// certificate.
func (l *look) await(ctx context.Context, c *tls.Conn) error {
	if !l.diagnosis.ClientCertificate.Asked || l.state.Version < tls.VersionTLS13 {
		return nil
	}
	until := time.Now().Add(silence)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	c.SetReadDeadline(until) //nolint:errcheck // then it does not wait
	if n, err := c.Read(make([]byte, 1)); n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// remark is what is worth knowing of an accepted backend.
func (l *look) remark() string {
	use := l.diagnosis.ClientCertificate
	switch {
	case l.in.Scheme == "http":
		return "http has no TLS: nothing proves who answers, and what is sent can be read on the way"
	case use.Asked && !use.Shown && l.in.Certificate == nil:
		return "the backend asks for a client certificate and lets the handshake through without one; some servers refuse only when the request arrives"
	case use.Asked && !use.Shown:
		return "the backend asks for a client certificate but reads no signature that the one at hand can make, so none was shown"
	case l.in.InsecureSkipVerification:
		return "insecureSkipVerification is on: a root that the backend itself brings along is taken for trusted"
	}
	return ""
}

// openssl is a command line that shows what was seen. What must be filled in
// follows as a comment, so that the line runs as it stands.
func (l *look) openssl() string {
	if l.in.Scheme != "https" || l.dial == "" {
		return ""
	}
	name := l.diagnosis.ServerName
	if name == "" { // no connection
		name, _ = splitAuthority(l.in.Host)
		if l.in.ServerName != "" {
			name, _ = splitAuthority(l.in.ServerName)
		}
		name = strings.TrimSuffix(name, ".")
	}
	args := []string{"openssl", "s_client", "-connect", shellWord(l.dial)}
	if _, err := netip.ParseAddr(name); err == nil {
		args = append(args, "-noservername", "-verify_ip", name)
	} else {
		args = append(args, "-servername", name, "-verify_hostname", name)
	}
	args = append(args, "-verify_return_error", "-showcerts", "-alpn", "http/1.1")
	if l.state.Version == 0 { // openssl would try versions that the gate does not speak
		args = append(args, "-min_protocol", "TLSv1.2")
	}
	end := "</dev/null"
	switch files := l.in.TrustFiles; len(files) {
	case 0:
	case 1:
		args = append(args, "-CAfile", shellWord(files[0]))
	default:
		cat := "cat"
		for _, f := range files {
			cat += " " + shellWord(f)
		}
		args, end = append([]string{cat, "|"}, append(args, "-CAfile", "/dev/stdin")...), ""
	}
	var hints []string
	if l.in.InsecureSkipVerification {
		hints = append(hints, "-CAfile ROOT.pem to trust the chain's own root, as insecureSkipVerification does")
	} else if len(l.in.TrustFiles) == 0 {
		hints = append(hints, "-CAfile BUNDLE.pem to trust what the gateway trusts beside the system's roots")
	}
	if l.diagnosis.ClientCertificate.Asked {
		hints = append(hints, "-cert CERT.pem -key KEY.pem to show a client certificate")
	}
	line := strings.Join(args, " ")
	if end != "" {
		line += " " + end
	}
	if len(hints) > 0 {
		line += "  # add " + strings.Join(hints, "; ")
	}
	return line
}

// shellWord quotes s for a shell, where it needs that.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func presented(c *x509.Certificate) PresentedCertificate {
	sum := sha256.Sum256(c.Raw)
	return PresentedCertificate{
		Subject: distinguishedName(c.RawSubject), Issuer: distinguishedName(c.RawIssuer),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Names: namesOf(c, maxNames),
		Key: keyOf(c), Signature: signatureOf(c), SHA256: hex.EncodeToString(sum[:]),
	}
}

// namesOf are the names that a certificate is for, at most n of them.
func namesOf(c *x509.Certificate, n int) []string {
	var names []string
	for _, name := range c.DNSNames {
		if len(names) == n {
			return names
		}
		names = append(names, cut(name, maxName))
	}
	for _, ip := range c.IPAddresses {
		if len(names) == n {
			return names
		}
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" && !hasAlternativeNames(c) {
		names = append(names, cut(c.Subject.CommonName, maxName))
	}
	return names
}

// keyOf names a certificate's public key, with its size.
func keyOf(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	if c.PublicKeyAlgorithm != x509.UnknownPublicKeyAlgorithm {
		return c.PublicKeyAlgorithm.String()
	}
	return "unknown"
}

func signatureOf(c *x509.Certificate) string {
	if c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return "unknown"
	}
	return c.SignatureAlgorithm.String()
}

// cut shortens a text to n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}

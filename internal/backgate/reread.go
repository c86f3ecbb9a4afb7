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
	"net"
	"strings"
	"time"
)

// maxHeard bounds what is kept of a handshake: more than crypto/tls takes of a
// Certificate message.
const maxHeard = 320 << 10

// maxTLSRSA is the largest RSA key in bits that crypto/tls takes.
const maxTLSRSA = 8192

// listener keeps the beginning of what it reads.
type listener struct {
	net.Conn
	heard []byte
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.heard = append(l.heard, p[:min(n, maxHeard-len(l.heard))]...)
	return n, err
}

// reread shakes hands once more, by TLS 1.2, where certificates come in the
// clear: crypto/tls does not hand out those that it refuses itself. A backend
// that speaks 1.3 only keeps its secret.
func (l *look) reread(ctx context.Context, p *pool, c *tls.Config) {
	raw, err := p.connect(ctx, time.Now().Add(l.trust.gate.options.DialTimeout))
	if err != nil {
		return
	}
	defer raw.Close() //nolint:errcheck // nothing was asked of it
	c = c.Clone()
	c.MaxVersion, c.VerifyConnection = tls.VersionTLS12, nil
	ctx, cancel := context.WithTimeout(ctx, l.trust.gate.options.HandshakeTimeout)
	defer cancel()
	heard := &listener{Conn: raw}
	if tls.Client(heard, c).HandshakeContext(ctx) == nil {
		return // another backend this time
	}
	d := l.diagnosis
	for _, der := range certificatesIn(heard.heard) {
		if len(d.Chain) == maxChain {
			break
		}
		shown, at := PresentedCertificate{}, len(d.Chain)
		cert, err := x509.ParseCertificate(der)
		if err == nil {
			shown = presented(cert)
		} else {
			sum := sha256.Sum256(der)
			shown.SHA256 = hex.EncodeToString(sum[:])
		}
		if d.Element < 0 {
			if shown.Fault = tlsFault(cert, err, at); shown.Fault != "" {
				d.Element = at
			}
		}
		d.Chain = append(d.Chain, shown)
	}
}

// tlsFault says why crypto/tls refuses the certificate at an index, "" if it is
// not for that one.
func tlsFault(c *x509.Certificate, err error, at int) string {
	if err != nil {
		return reasons[unreadable].brief + ": " + cut(strings.TrimPrefix(err.Error(), "x509: "), maxFact)
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() > maxTLSRSA {
			return reasons[keyTooLarge].brief
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		if at == 0 {
			return reasons[keyType].brief
		}
	}
	return ""
}

// certificatesIn finds the certificates of a TLS 1.2 handshake in what the
// server said, which may be anything and may be cut.
func certificatesIn(stream []byte) (certs [][]byte) {
	const handshake, certificate = 22, 11
	var messages []byte
	for len(stream) > 5 && stream[0] == handshake {
		n := min(int(stream[3])<<8|int(stream[4]), len(stream)-5)
		messages = append(messages, stream[5:5+n]...)
		stream = stream[5+n:]
	}
	// take cuts off what follows its own length of three bytes.
	take := func(b []byte) (first, rest []byte, ok bool) {
		if len(b) < 3 {
			return nil, nil, false
		}
		n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if b = b[3:]; n > len(b) {
			return nil, nil, false
		}
		return b[:n], b[n:], true
	}
	for len(messages) > 0 {
		kind := messages[0]
		body, rest, ok := take(messages[1:])
		if !ok {
			return nil
		}
		if kind != certificate {
			messages = rest
			continue
		}
		list, _, ok := take(body)
		for ok && len(list) > 0 {
			var der []byte
			if der, list, ok = take(list); ok {
				certs = append(certs, der)
			}
		}
		return certs
	}
	return nil
}

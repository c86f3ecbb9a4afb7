package gatewaytest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
)

// farmDomain is what the names of the farm's backends end in. RFC 2606 keeps
// .test out of the DNS.
const farmDomain = ".farm.test"

// farm lists the backends. Each is a server on a port of its own and has one
// virtue or one fault; the host that its certificate is made for is its name in
// the farm's domain.
var farm = []struct {
	name  string
	about string
	make  func(f *forge, host string) service
}{
	// What verifies.
	{"ecdsa-p256", "an ECDSA P-256 key", func(f *forge, host string) service { return shows(present(f.leaf(f.root, host))) }},
	{"ecdsa-p384", "an ECDSA P-384 key", func(f *forge, host string) service { return shows(f.keyed(pki.ECDSAP384, host).TLS()) }},
	{"rsa-2048", "an RSA key of 2,048 bits", func(f *forge, host string) service { return shows(f.keyed(pki.RSA2048, host).TLS()) }},
	{"rsa-8192", "an RSA key of 8,192 bits", func(f *forge, host string) service {
		return shows(f.issue(f.root, pki.LeafOptions{Names: []string{host}, Key: largeKey()}).TLS())
	}},
	{"ed25519", "an Ed25519 key", func(f *forge, host string) service {
		return shows(f.issue(f.root, pki.LeafOptions{Names: []string{host}, Key: edKey()}).TLS())
	}},
	{"intermediate", "leaf and intermediate, as it should be", func(f *forge, host string) service {
		return shows(f.leaf(f.authority(f.root, "Farm Intermediate"), host).TLS())
	}},
	{"with-root", "leaf, intermediate and the trusted root itself", func(f *forge, host string) service {
		middle := f.authority(f.root, "Farm Intermediate")
		return shows(present(f.leaf(middle, host), middle.Certificate, f.root.Certificate))
	}},
	{"long-chain", "eight intermediates", func(f *forge, host string) service {
		issuer := f.root
		for i := range 8 {
			issuer = f.authority(issuer, fmt.Sprintf("Farm Intermediate %d", i))
		}
		return shows(f.leaf(issuer, host).TLS())
	}},
	{"wildcard", "issued for *.farm.test", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, "*"+farmDomain)))
	}},
	{"ip-address", "called by its address, which is among the names", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, "127.0.0.1"))).at("127.0.0.1")
	}},
	{"common-name-only", "the name only as common name, no alternative names at all", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, names(host))))
	}},
	{"ten-thousand-names", "10,000 alternative names, the right one last", func(f *forge, host string) service {
		all := make([]string, 0, 10_000)
		for i := range cap(all) - 1 {
			all = append(all, fmt.Sprintf("n%d.test", i))
		}
		return shows(present(f.leaf(f.root, host, names("many", append(all, host)...))))
	}},
	{"no-extended-key-usage", "says nothing of what it is for", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, func(c *x509.Certificate) { c.ExtKeyUsage = nil })))
	}},
	{"ca-as-leaf", "a CA certificate, with the host's name, used by the server itself", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign })))
	}},
	{"rsa-1024", "an RSA key of 1,024 bits", func(f *forge, host string) service { return shows(f.keyed(pki.RSA1024, host).TLS()) }},

	// Chains put together oddly, or not to the end.
	{"wrong-order", "intermediates in the wrong order", func(f *forge, host string) service {
		upper := f.authority(f.root, "Farm Upper")
		lower := f.authority(upper, "Farm Lower")
		return shows(present(f.leaf(lower, host), upper.Certificate, lower.Certificate))
	}},
	{"unrelated-extra", "a stranger's intermediate between leaf and issuer", func(f *forge, host string) service {
		middle := f.authority(f.root, "Farm Intermediate")
		return shows(present(f.leaf(middle, host), f.authority(f.stranger, "Stranger Intermediate").Certificate, middle.Certificate))
	}},
	{"duplicates", "every certificate twice", func(f *forge, host string) service {
		middle := f.authority(f.root, "Farm Intermediate")
		leaf := f.leaf(middle, host)
		return shows(present(leaf, leaf.Certificate, middle.Certificate, middle.Certificate))
	}},
	{"cross-signed", "an intermediate signed by a stranger, and again, after it, by the trusted root", func(f *forge, host string) service {
		middle := f.ca(f.stranger, "Cross-signed")
		return shows(present(f.leaf(middle.Authority(), host), middle.Certificate, f.again(middle, f.root)))
	}},
	{"missing-intermediate", "the leaf alone, though an intermediate issued it", func(f *forge, host string) service {
		return shows(present(f.leaf(f.authority(f.root, "Farm Intermediate"), host)))
	}},
	{"private-leaf-alone", "the leaf alone, issued by a stranger's root", func(f *forge, host string) service {
		return shows(present(f.leaf(f.stranger, host)))
	}},
	{"loop", "two intermediates that signed each other, and no root", func(f *forge, host string) service {
		one, two := f.ca(nil, "Loop One"), f.ca(nil, "Loop Two")
		return shows(present(f.leaf(one.Authority(), host), f.again(one, two.Authority()), f.again(two, one.Authority())))
	}},
	{"labyrinth", "five authorities that all signed each other: hundreds of ways, none to a root", func(f *forge, host string) service {
		var all []*pki.Issued
		for i := range 5 {
			all = append(all, f.ca(nil, fmt.Sprintf("Labyrinth %d", i)))
		}
		var chain []*x509.Certificate
		for i, of := range all {
			for j, by := range all {
				if i != j && len(chain) < 19 {
					chain = append(chain, f.again(of, by.Authority()))
				}
			}
		}
		return shows(present(f.leaf(all[0].Authority(), host), chain...))
	}},
	{"maze", "eighteen intermediates of one name, none of which signed the leaf", func(f *forge, host string) service {
		var all []*x509.Certificate
		for range 18 {
			all = append(all, f.authority(f.stranger, "Maze").Certificate)
		}
		return shows(present(f.leaf(f.ca(f.stranger, "Maze", func(c *x509.Certificate) { c.SubjectKeyId = []byte("minotaur") }).Authority(), host,
			func(c *x509.Certificate) { c.AuthorityKeyId = nil }), all...))
	}},
	{"thirty-certificates", "thirty certificates in the chain", func(f *forge, host string) service {
		var all []*x509.Certificate
		for i := range 29 {
			all = append(all, f.authority(f.root, fmt.Sprintf("Farm Intermediate %d", i)).Certificate)
		}
		return shows(present(f.leaf(f.root, host), all...))
	}},

	// Roots.
	{"untrusted-root", "a stranger's chain with its root", func(f *forge, host string) service {
		middle := f.authority(f.stranger, "Stranger Intermediate")
		return shows(present(f.leaf(middle, host), middle.Certificate, f.stranger.Certificate))
	}},
	{"self-signed", "signed by itself, CA:FALSE", func(f *forge, host string) service { return shows(present(f.leaf(nil, host))) }},
	{"self-signed-ca", "signed by itself, CA:TRUE", func(f *forge, host string) service {
		return shows(present(f.leaf(nil, host, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign })))
	}},
	{"root-without-key-cert-sign", "a stranger's root whose key usage lacks keyCertSign", func(f *forge, host string) service {
		root := f.authority(nil, "No Signer", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
		return shows(present(f.leaf(root, host), root.Certificate))
	}},
	{"root-without-basic-constraints", "a stranger's root without basicConstraints", func(f *forge, host string) service {
		root := f.authority(nil, "Unconstrained", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
		return shows(present(f.leaf(root, host), root.Certificate))
	}},
	{"root-ca-false", "a stranger's root with CA:FALSE", func(f *forge, host string) service {
		root := f.authority(nil, "No Authority", func(c *x509.Certificate) { c.IsCA = false })
		return shows(present(f.leaf(root, host), root.Certificate))
	}},

	// Dates.
	{"expired-leaf", "expired yesterday", func(f *forge, host string) service {
		return shows(f.leaf(f.authority(f.root, "Farm Intermediate"), host, f.expired()).TLS())
	}},
	{"expired-intermediate", "the intermediate expired yesterday", func(f *forge, host string) service {
		return shows(f.leaf(f.authority(f.root, "Old Intermediate", f.expired()), host).TLS())
	}},
	{"expired-root", "the trusted root expired yesterday", func(f *forge, host string) service {
		return shows(present(f.leaf(f.outlived, host)))
	}},
	{"expired-long-ago", "expired before its own root began: its chain never held", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, f.dates(-5000*day, -4000*day))))
	}},
	{"expired-self-signed", "signed by itself, expired yesterday", func(f *forge, host string) service {
		return shows(present(f.leaf(nil, host, f.expired())))
	}},
	{"early-leaf", "valid from tomorrow on", func(f *forge, host string) service {
		return shows(f.leaf(f.authority(f.root, "Farm Intermediate"), host, f.early()).TLS())
	}},
	{"early-intermediate", "the intermediate is valid from tomorrow on", func(f *forge, host string) service {
		return shows(f.leaf(f.authority(f.root, "New Intermediate", f.early()), host).TLS())
	}},

	// Names.
	{"wrong-host", "issued for another name", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, "elsewhere.example", func(c *x509.Certificate) {
			c.Subject.Organization, c.Subject.Country = []string{"Elsewhere, Inc."}, []string{"US"}
		})))
	}},
	{"wildcard-too-deep", "issued for *.farm.test, called one label deeper", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, "*"+farmDomain))).at("deep." + host)
	}},
	{"common-name-beside", "the name as common name, beside an alternative name that is another", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, names(host, "elsewhere.example"))))
	}},
	{"no-names", "no name of any kind", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, names(""), func(c *x509.Certificate) { c.Subject.Organization = []string{"Nameless"} })))
	}},
	{"wrong-host-self-signed", "signed by itself, for another name", func(f *forge, host string) service {
		return shows(present(f.leaf(nil, "elsewhere.example")))
	}},

	// What certificates are for, and how they are signed.
	{"client-usage", "for clients only (extendedKeyUsage clientAuth)", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })))
	}},
	{"path-length", "under an intermediate that another, of path length 0, had no right to issue", func(f *forge, host string) service {
		upper := f.authority(f.root, "Path Length Zero", func(c *x509.Certificate) { c.MaxPathLenZero = true })
		return shows(f.leaf(f.authority(upper, "One Too Many"), host).TLS())
	}},
	{"name-constraints", "under an intermediate that may issue for example.com only", func(f *forge, host string) service {
		middle := f.authority(f.root, "Constrained", func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
		})
		return shows(f.leaf(middle, host).TLS())
	}},
	{"leaf-as-issuer", "issued with the key of another server's certificate", func(f *forge, host string) service {
		return shows(f.leaf(f.leaf(f.root, "elsewhere.example").Authority(), host).TLS())
	}},
	{"forged-signature", "names the trusted root as issuer; the signature is somebody else's", func(f *forge, host string) service {
		impostor := f.ca(nil, "Farm Root", func(c *x509.Certificate) { c.SubjectKeyId = f.root.Certificate.SubjectKeyId })
		return shows(present(f.leaf(impostor.Authority(), host)))
	}},
	{"sha1-signature", "signed with SHA-1", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })))
	}},
	{"md5-signature", "signed with MD5 by a stranger's root, which is shown as well", func(f *forge, host string) service {
		root := f.issue(nil, pki.LeafOptions{CommonName: "MD5 Root", Kind: pki.RSA2048}, func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		})
		leaf := f.leaf(root.Authority(), host, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSA })
		leaf.Certificate = md5Signed(leaf.Certificate, root.Key)
		return shows(present(leaf, root.Certificate))
	}},
	{"rsa-16384", "an RSA key of 16,384 bits", func(f *forge, host string) service {
		return shows(f.issue(f.root, pki.LeafOptions{Names: []string{host}, Key: hugeKey()}).TLS())
	}},
	{"megabyte", "a certificate of a megabyte", func(f *forge, host string) service {
		return shows(present(f.leaf(f.root, host, func(c *x509.Certificate) {
			c.SubjectKeyId = make([]byte, 1<<20)
		})))
	}},
	{"stolen-certificate", "somebody else's certificate, without its key", func(f *forge, host string) service {
		c := present(f.leaf(f.root, host))
		c.PrivateKey = pretender{c.Leaf.PublicKey}
		return shows(c)
	}},
	{"ocsp-revoked", "revoked, and its stapled OCSP response says so", func(f *forge, host string) service {
		middle := f.ca(f.root, "Farm Intermediate")
		leaf := f.leaf(middle.Authority(), host)
		c := leaf.TLS()
		c.OCSPStaple = revoked(f.now, middle, leaf.Certificate)
		return shows(c)
	}},

	// Versions and suites.
	{"tls13", "TLS 1.3 only", func(f *forge, host string) service { return f.speaks(host, tls.VersionTLS13) }},
	{"tls12", "TLS 1.2 only", func(f *forge, host string) service { return f.speaks(host, tls.VersionTLS12) }},
	{"tls11", "TLS 1.1 only", func(f *forge, host string) service { return f.speaks(host, tls.VersionTLS11) }},
	{"tls10", "TLS 1.0 only", func(f *forge, host string) service { return f.speaks(host, tls.VersionTLS10) }},
	{"cbc", "TLS 1.2 with ECDHE and CBC only", func(f *forge, host string) service {
		return f.speaks(host, tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)
	}},
	{"static-rsa", "TLS 1.2 with RSA key exchange only", func(f *forge, host string) service {
		return f.speaks(host, tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256)
	}},
	{"triple-des", "TLS 1.2 with 3DES only", func(f *forge, host string) service {
		return f.speaks(host, tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA)
	}},

	// Client certificates.
	{"asks", "asks for a client certificate and serves without", func(f *forge, host string) service {
		return f.asks(host, tls.VersionTLS13, tls.RequestClientCert)
	}},
	{"asks-then-400", "asks for a client certificate, and without answers HTTP 400", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS13, tls.RequestClientCert)
		s.wants = true
		return s
	}},
	{"requires-any-tls12", "requires a client certificate, any, with TLS 1.2", func(f *forge, host string) service {
		return f.asks(host, tls.VersionTLS12, tls.RequireAnyClientCert)
	}},
	{"requires-any-tls13", "requires a client certificate, any, with TLS 1.3", func(f *forge, host string) service {
		return f.asks(host, tls.VersionTLS13, tls.RequireAnyClientCert)
	}},
	{"requires-ours-tls12", "requires the gateway's client certificate, with TLS 1.2", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS12, tls.RequireAndVerifyClientCert)
		s.known = true
		return s
	}},
	{"requires-ours-tls13", "requires the gateway's client certificate, with TLS 1.3", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS13, tls.RequireAndVerifyClientCert)
		s.known = true
		return s
	}},
	{"requires-other-tls12", "requires a client certificate of a stranger's root, with TLS 1.2", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS12, tls.RequireAndVerifyClientCert)
		s.config.ClientCAs = f.stranger.Pool()
		return s
	}},
	{"requires-other-tls13", "requires a client certificate of a stranger's root, with TLS 1.3", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS13, tls.RequireAndVerifyClientCert)
		s.config.ClientCAs = f.stranger.Pool()
		return s
	}},
	{"refuses-any-tls12", "requires a client certificate of no named authority, and refuses every one, with TLS 1.2", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS12, tls.RequireAnyClientCert)
		s.config.VerifyPeerCertificate = refuseClient
		return s
	}},
	{"refuses-any-tls13", "the same with TLS 1.3", func(f *forge, host string) service {
		s := f.asks(host, tls.VersionTLS13, tls.RequireAnyClientCert)
		s.config.VerifyPeerCertificate = refuseClient
		return s
	}},

	// What does not speak TLS, or breaks it off.
	{"plain-http", "plain HTTP on the port", raw(func(c net.Conn) {
		readHello(c)
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request")
	})},
	{"ssh", "an SSH server's greeting", raw(func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n") })},
	{"closes-at-connect", "closes as soon as it is connected", raw(func(net.Conn) {})},
	{"closes-after-hello", "reads the ClientHello and closes", raw(func(c net.Conn) { readHello(c) })},
	{"closes-mid-handshake", "closes within its ServerHello", func(f *forge, host string) service {
		s := shows(present(f.leaf(f.root, host)))
		s.wrap = func(c net.Conn) net.Conn { return &cutting{Conn: c, left: 50, close: true} }
		return s
	}},
	{"resets", "reads the ClientHello and resets the connection", raw(func(c net.Conn) {
		readHello(c)
		c.(*tap).Conn.(*net.TCPConn).SetLinger(0)
		c.Close()
	})},
	{"stalls", "reads the ClientHello and says nothing", func(*forge, string) service {
		return service{raw: func(c net.Conn) { io.Copy(io.Discard, c) }, stalls: true}
	}},
	{"stalls-mid-handshake", "stops within its ServerHello", func(f *forge, host string) service {
		s := shows(present(f.leaf(f.root, host)))
		s.wrap = func(c net.Conn) net.Conn { return &cutting{Conn: c, left: 50} }
		s.stalls = true
		return s
	}},
	{"drips", "sends its handshake a byte at a time, one in 10 ms", func(f *forge, host string) service {
		s := shows(present(f.leaf(f.root, host)))
		s.wrap = func(c net.Conn) net.Conn { return dripping{c} }
		s.stalls = true
		return s
	}},
	{"alert-handshake-failure", "a fatal alert, handshake_failure", alerting(40)},
	{"alert-unrecognized-name", "a fatal alert, unrecognized_name", alerting(112)},
	{"alert-internal-error", "a fatal alert, internal_error", alerting(80)},
	{"alert-no-application-protocol", "a fatal alert, no_application_protocol: it speaks HTTP/2 only", alerting(120)},
	{"alert-access-denied", "a fatal alert, access_denied, before anything was asked for", alerting(49)},
	{"close-notify", "closes orderly in the middle of the handshake", raw(func(c net.Conn) {
		readHello(c)
		c.Write([]byte{21, 3, 3, 0, 2, 1, 0})
	})},
	{"warnings", "a thousand warnings instead of a handshake", raw(func(c net.Conn) {
		readHello(c)
		for range 1000 {
			if _, err := c.Write([]byte{21, 3, 3, 0, 2, 1, 90}); err != nil {
				return
			}
		}
	})},
	{"huge-record", "a TLS record longer than TLS permits", raw(func(c net.Conn) {
		readHello(c)
		c.Write(append([]byte{22, 3, 3, 0xff, 0xff}, make([]byte, 0xffff)...))
	})},
}

// service is how a backend serves.
type service struct {
	host   string      // called by; "" for its name in the farm's domain
	config *tls.Config // nil: raw
	// known makes the certificate of Farm.Know the only client authority.
	known bool
	// wants answers 400 to a request without a client certificate, as nginx does.
	wants bool
	wrap  func(net.Conn) net.Conn // under TLS; nil: nothing
	raw   func(net.Conn)          // instead of TLS; the connection closes when it returns
	// stalls: only the other side's patience ends it.
	stalls bool
}

func shows(c tls.Certificate) service {
	return service{config: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c}}}
}

// at has the backend called by another host.
func (s service) at(host string) service {
	s.host = host
	return s
}

// speaks is a good backend of one version and, below TLS 1.3, of given suites.
func (f *forge) speaks(host string, version uint16, suites ...uint16) service {
	s := shows(f.keyed(pki.RSA2048, host).TLS())
	s.config.MinVersion, s.config.MaxVersion, s.config.CipherSuites = version, version, suites
	return s
}

// asks is a good backend of one version that asks for a client certificate.
func (f *forge) asks(host string, version uint16, auth tls.ClientAuthType) service {
	s := shows(present(f.leaf(f.root, host)))
	s.config.MinVersion, s.config.MaxVersion, s.config.ClientAuth = version, version, auth
	return s
}

func refuseClient([][]byte, [][]*x509.Certificate) error {
	return fmt.Errorf("no client certificate is good enough")
}

func raw(serve func(net.Conn)) func(*forge, string) service {
	return func(*forge, string) service { return service{raw: serve} }
}

// alerting answers a ClientHello with a fatal alert.
func alerting(code byte) func(*forge, string) service {
	return raw(func(c net.Conn) {
		readHello(c)
		c.Write([]byte{21, 3, 3, 0, 2, 2, code})
	})
}

// readHello reads one TLS record.
func readHello(c net.Conn) {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err == nil {
		io.CopyN(io.Discard, c, int64(length(head[3:])))
	}
}

// length reads two bytes, the higher first.
func length(b []byte) int { return int(b[0])<<8 | int(b[1]) }

// cutting passes on the first bytes written; then it swallows the rest, or
// closes.
type cutting struct {
	net.Conn
	left  int
	close bool
}

func (c *cutting) Write(p []byte) (int, error) {
	n := min(c.left, len(p))
	c.left -= n
	if _, err := c.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < len(p) && c.close {
		return n, io.ErrClosedPipe
	}
	return len(p), nil
}

// dripping writes a byte at a time.
type dripping struct{ net.Conn }

func (c dripping) Write(p []byte) (int, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range p {
		<-tick.C
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// Farm is running backends, good and bad ones, in the spirit of badssl.com.
// Their names are found by Resolver only; all live on loopback.
type Farm struct {
	// Bundle is a file with what a gateway has to trust, in PEM.
	Bundle   string
	Backends []*Backend

	mu    sync.Mutex
	known *x509.CertPool // nil: no client is
}

// Backend is one of them. Safe for concurrent use.
type Backend struct {
	Name  string // such as "expired-leaf"
	About string // what it is, in a line
	Host  string // that it is called by, with its port

	farm    *Farm
	service service
	socket  net.Listener
	serving sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // a visit was answered or ended
	open    map[net.Conn]struct{}
	closed  bool
	visits  []*Visit // since the last Take
}

// Visit is one connection as its backend saw it.
type Visit struct {
	ServerName string // SNI; "" for a backend that does not speak TLS
	// Version and Suite, and Client, the certificate shown by the client (nil:
	// none), are those of a handshake that was complete.
	Version, Suite uint16
	Client         *x509.Certificate
	// Requests counts the requests read whole.
	Requests int
	// Bytes that reached the application: as TLS decrypts them or, where TLS is
	// not spoken, all that is neither handshake nor alert.
	Bytes int64
	// Sealed counts bytes of TLS's application data records as they came in,
	// handshake messages of TLS 1.3 included. What TLS refused to open is here
	// and not in Bytes.
	Sealed int64
	// Err is why the handshake failed; nil when it is complete.
	Err error

	settled bool // answered, or over
}

// StartFarm starts all backends until the test ends.
func StartFarm(t testing.TB) *Farm {
	t.Helper()
	made := forged()
	f := &Farm{Bundle: filepath.Join(t.TempDir(), "farm.pem")}
	var bundle []byte
	for _, root := range made.forge.roots() {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
	}
	if err := os.WriteFile(f.Bundle, bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range farm {
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b := &Backend{Name: row.name, About: row.about, farm: f, service: made.services[row.name], socket: socket, open: map[net.Conn]struct{}{}}
		b.changed.L = &b.mu
		if b.Host = b.service.host; b.Host == "" {
			b.Host = row.name + farmDomain
		}
		b.Host = fmt.Sprintf("%s:%d", b.Host, socket.Addr().(*net.TCPAddr).Port)
		f.Backends = append(f.Backends, b)
		b.serving.Go(b.accept)
		t.Cleanup(b.close)
	}
	return f
}

// Gateway starts a gateway that trusts the farm's roots and finds its names.
func (f *Farm) Gateway(t testing.TB, options ...func(*gateway.Options)) *World {
	t.Helper()
	options = append(options, func(o *gateway.Options) { o.Resolver = f.Resolver() })
	return start(t, options, func(c *config.Config) { c.TrustBundles = []string{f.Bundle} })
}

// Backend returns the backend of a name.
func (f *Farm) Backend(t testing.TB, name string) *Backend {
	t.Helper()
	for _, b := range f.Backends {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no backend %q on the farm", name)
	return nil
}

// Know makes c the client certificate that the backends "requires-ours"
// require.
func (f *Farm) Know(c *x509.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = x509.NewCertPool()
	f.known.AddCert(c)
}

func (f *Farm) clients() *x509.CertPool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		return x509.NewCertPool()
	}
	return f.known
}

// Resolver finds every name in the farm's domain at 127.0.0.1, and no other.
func (f *Farm) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // not a PacketConn: messages have their length before them
		go func() {
			defer ours.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(ours, size[:]); err != nil {
					return
				}
				query := make([]byte, length(size[:]))
				if _, err := io.ReadFull(ours, query); err != nil {
					return
				}
				answer, err := resolve(query)
				if err != nil {
					return
				}
				if _, err := ours.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
					return
				}
			}
		}()
		return theirs, nil
	}}
}

func resolve(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return nil, fmt.Errorf("not a question: %w", err)
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	host := q.Name.String()
	switch ours := len(host) > len(farmDomain)+1 && host[len(host)-len(farmDomain)-1:] == farmDomain+"."; {
	case !ours:
		answer.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		answer.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return answer.Pack()
}

// Take waits until somebody came, and every request was answered or its
// connection is over; then it returns the visits since the last Take.
func (b *Backend) Take(t testing.TB) []Visit {
	t.Helper()
	late := time.AfterFunc(10*time.Second, b.changed.Broadcast)
	defer late.Stop()
	deadline := time.Now().Add(10 * time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.settled() {
		if !time.Now().Before(deadline) {
			t.Errorf("%s: %d visits, not all over", b.Name, len(b.visits))
			break
		}
		b.changed.Wait()
	}
	out := make([]Visit, len(b.visits))
	for i, v := range b.visits {
		out[i] = *v
	}
	b.visits = nil
	return out
}

func (b *Backend) settled() bool {
	for _, v := range b.visits {
		if !v.settled {
			return false
		}
	}
	return len(b.visits) > 0
}

// note changes a visit.
func (b *Backend) note(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.changed.Broadcast()
}

func (b *Backend) accept() {
	for {
		c, err := b.socket.Accept()
		if err != nil {
			return
		}
		v := &Visit{}
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			c.Close()
			return
		}
		b.open[c] = struct{}{}
		b.visits = append(b.visits, v)
		b.mu.Unlock()
		b.serving.Go(func() {
			b.serve(c, v)
			c.Close()
			b.note(func() { v.settled = true; delete(b.open, c) })
		})
	}
}

func (b *Backend) close() {
	b.socket.Close()
	b.note(func() {
		b.closed = true
		for c := range b.open {
			c.Close()
		}
	})
	b.serving.Wait()
}

func (b *Backend) serve(c net.Conn, v *Visit) {
	c.SetDeadline(time.Now().Add(30 * time.Second))
	wire := &tap{Conn: c, backend: b, visit: v}
	// What is left unread would turn the close into a reset, and the alert before
	// it might be lost.
	defer io.Copy(io.Discard, wire)
	defer c.(*net.TCPConn).CloseWrite()
	if b.service.raw != nil {
		wire.plain = true
		b.service.raw(wire)
		return
	}
	config := b.service.config.Clone()
	if b.service.known {
		config.ClientCAs = b.farm.clients()
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		b.note(func() { v.ServerName = hello.ServerName })
		return nil, nil
	}
	under := net.Conn(wire)
	if b.service.wrap != nil {
		under = b.service.wrap(under)
	}
	conn := tls.Server(under, config)
	if err := conn.Handshake(); err != nil {
		b.note(func() { v.Err = err })
		return
	}
	state := conn.ConnectionState()
	b.note(func() {
		v.Version, v.Suite = state.Version, state.CipherSuite
		if len(state.PeerCertificates) > 0 {
			v.Client = state.PeerCertificates[0]
		}
	})
	in := bufio.NewReader(&counted{conn, b, v})
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		status := "200 OK"
		if b.service.wants && v.Client == nil {
			status = "400 Bad Request"
		}
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", status, len(b.Name), b.Name); err != nil {
			return
		}
		b.note(func() { v.Requests++; v.settled = true })
	}
}

// counted counts what TLS decrypted.
type counted struct {
	net.Conn
	backend *Backend
	visit   *Visit
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.backend.note(func() { c.visit.Bytes += int64(n) })
	return n, err
}

// tap counts what comes in, record by record.
type tap struct {
	net.Conn
	backend *Backend
	visit   *Visit
	plain   bool // the backend does not speak TLS

	head [5]byte
	have int // bytes of head
	left int // bytes of the record's body
	lost bool
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var sealed, other int64
	for _, b := range p[:n] {
		switch {
		case c.lost:
			other++
		case c.left > 0:
			if c.left--; c.head[0] == 23 {
				sealed++
			}
		default:
			c.head[c.have] = b
			if c.have++; c.have == len(c.head) {
				c.have, c.left = 0, length(c.head[3:])
			} else if c.have == 1 && (b < 20 || b > 23) {
				c.lost, other = true, other+1 // no record of TLS
			}
		}
	}
	c.backend.note(func() {
		c.visit.Sealed += sealed
		if c.plain {
			c.visit.Bytes += sealed + other
		}
	})
	return n, err
}

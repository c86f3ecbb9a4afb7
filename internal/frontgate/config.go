package frontgate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

// maxConfigs bounds the TLS configurations kept, in each of two generations:
// when the young one is full, the old one is dropped. Making one again costs
// a small part of a handshake.
const maxConfigs = 8192

// configs keeps a TLS configuration per name.
type configs struct {
	now func() time.Time

	mu         sync.Mutex
	secrets    secrets
	young, old map[string]config // by Name.Host
}

type config struct {
	name       *snapshot.Name
	generation uint64 // of the ticket secrets
	tls        *tls.Config
}

func newConfigs(now func() time.Time) *configs {
	return &configs{now: now, young: make(map[string]config)}
}

// get returns the configuration of n. One made for an earlier state of the
// name is replaced, and so is one whose ticket keys are of yesterday.
func (cs *configs) get(n *snapshot.Name) (*tls.Config, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.secrets.rotate(cs.now())
	c, ok := cs.young[n.Host]
	if !ok {
		c, ok = cs.old[n.Host]
		if ok {
			cs.keep(c)
		}
	}
	if ok && c.name == n && c.generation == cs.secrets.generation {
		return c.tls, nil
	}
	made, err := cs.make(n)
	if err != nil {
		return nil, err
	}
	cs.keep(config{name: n, generation: cs.secrets.generation, tls: made})
	return made, nil
}

func (cs *configs) keep(c config) {
	if len(cs.young) >= maxConfigs {
		cs.old, cs.young = cs.young, make(map[string]config)
	}
	cs.young[c.name.Host] = c
}

func (cs *configs) make(n *snapshot.Name) (*tls.Config, error) {
	if n.Policy == nil || len(n.Certificates) == 0 {
		return nil, fmt.Errorf("name %q has no policy or no certificate", n.Host) // fail closed
	}
	keys, err := cs.secrets.keys(n)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		GetCertificate: func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return pickCertificate(n, info)
		},
		NextProtos: []string{"h2", "http/1.1"},
		Time:       cs.now,
		// Responses are written whole; small first records only cost.
		DynamicRecordSizingDisabled: true,
	}
	n.Policy.Configure(c)
	c.SetSessionTicketKeys(keys)
	bindSessions(c)
	return c, nil
}

var errNoCertificate = errors.New("no certificate that the client can use")

// pickCertificate takes the first certificate that the client can use. The
// name does not decide: which certificates serve a name is configuration.
func pickCertificate(n *snapshot.Name, info *tls.ClientHelloInfo) (*tls.Certificate, error) {
	nameless := *info
	nameless.ServerName = ""
	c, _ := info.Context().Value(connKey{}).(*conn)
	for _, cert := range n.CertificatesAt(c != nil && c.atEdge()) {
		if nameless.SupportsCertificate(cert) != nil {
			continue
		}
		if c != nil {
			c.cert = cert
		}
		return cert, nil
	}
	return nil, errNoCertificate
}

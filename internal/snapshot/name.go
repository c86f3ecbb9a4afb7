package snapshot

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/tlspolicy"
)

// transitionLead is how long before a transition's end the new state binds, so
// that it is in force on every node when the control plane, which compares the
// same instant with its own clock, begins to say AVAILABLE.
const transitionLead = 100 * time.Millisecond

// inForce returns the TLS state to enforce now: the stored one, or while a
// transition runs the previous one. rev is that of the commit which brought this
// state about, as far as the documents tell; wake is when to look again (zero:
// when a document changes).
func inForce(stored resource.TLSState, doc, transition source, now time.Time) (state resource.TLSState, rev store.Revision, wake time.Time, err error) {
	if transition.err != nil {
		return state, 0, wake, fmt.Errorf("transition: %w", transition.err)
	}
	rev = max(doc.rev, transition.rev)
	if tr, ok := transition.facts.(resource.Transition); ok {
		if bind := tr.Until.Add(-transitionLead); now.Before(bind) {
			return tr.Previous, transition.rev - 1, bind, nil
		}
	}
	return stored, rev, wake, nil
}

// setTLS fills the members of n that a TLS state decides.
func (n *Name) setTLS(s resource.TLSState) error {
	n.Endpoints = 0
	for _, t := range s.EndpointTypes {
		bit := ParseEndpointType(t)
		if bit == 0 {
			return fmt.Errorf("endpoint type %q is not known", t)
		}
		n.Endpoints |= bit
	}
	if n.Endpoints == 0 {
		return errors.New("no endpoint type")
	}
	policy, err := lookupPolicy(s.SecurityPolicy, n.Endpoints == Edge)
	if err != nil {
		return err
	}
	n.Policy = policy
	mode := slices.Index(modes[:], s.EndpointAccessMode)
	if mode < 0 {
		return fmt.Errorf("endpoint access mode %q is not known", s.EndpointAccessMode)
	}
	n.Mode = Mode(mode)
	return nil
}

func lookupPolicy(name string, edge bool) (*tlspolicy.Policy, error) {
	p, ok := tlspolicy.Lookup(name, edge)
	if !ok {
		where := "regional and private endpoints"
		if edge {
			where = "edge endpoints"
		}
		return nil, fmt.Errorf("security policy %q is not known for %s", name, where)
	}
	// What this process cannot enforce exactly is not served under that name.
	return p, p.Proven()
}

// revise gives n its Revision, given the name that it replaces. It grows with
// every change that tickets are bound to, also with one that no commit marks:
// the end of a transition.
func (n *Name) revise(old *Name, rev store.Revision) {
	switch {
	case old == nil:
		n.Revision = rev
	case n.sameTLS(old):
		n.Revision = old.Revision
	default:
		n.Revision = max(rev, old.Revision+1)
	}
}

// sameTLS reports whether a handshake comes out the same under both.
func (n *Name) sameTLS(o *Name) bool {
	return n.Policy == o.Policy && n.Mode == o.Mode && n.Endpoints == o.Endpoints &&
		slices.EqualFunc(n.Certificates, o.Certificates, sameCertificate) &&
		slices.EqualFunc(n.Edge, o.Edge, sameCertificate)
}

func sameCertificate(a, b *tls.Certificate) bool {
	return a == b || slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
}

// same reports whether n may be left in place of its recompilation o, so that
// whoever compares pointers sees no change.
func (n *Name) same(o *Name) bool {
	return n.sameTLS(o) && n.Revision == o.Revision && n.Refused == o.Refused &&
		n.Host == o.Host && n.API == o.API && slices.Equal(n.Mappings, o.Mappings) && sameSearch(n.Search, o.Search)
}

func sameSearch(a, b *Search) bool { return a == b || a != nil && b != nil && *a == *b }

// compileEndpoint compiles an API's default endpoint.
func (c *Compiler) compileEndpoint(id string, src *apiSource, old *Name, now time.Time) (*Name, time.Time, error) {
	if src.api.err != nil {
		return nil, time.Time{}, src.api.err
	}
	if host := c.place.defaultHost(id); normalizeName(host) != host || strings.Contains(id, ".") {
		return nil, time.Time{}, fmt.Errorf("API id %q is no label of a host name", id)
	}
	state, rev, wake, err := inForce(src.api.facts.(apiFacts).state, src.api, src.transition, now)
	if err != nil {
		return nil, wake, err
	}
	n := &Name{Host: c.place.defaultHost(id), API: id, Certificates: c.defaults}
	if err := n.setTLS(state); err != nil {
		return nil, wake, err
	}
	n.revise(old, rev)
	if old != nil && old.same(n) {
		n = old
	}
	return n, wake, nil
}

// compileDomain compiles a custom domain name.
func (c *Compiler) compileDomain(name string, src *domainSource, old *Name, now time.Time) (*Name, time.Time, error) {
	if src.domain.err != nil {
		return nil, time.Time{}, src.domain.err
	}
	bare := strings.TrimPrefix(name, "*.")
	if normalizeName(bare) != bare {
		return nil, time.Time{}, fmt.Errorf("%q is no host name in lower case", name)
	}
	if _, taken := c.place.splitDefault(bare); taken {
		return nil, time.Time{}, fmt.Errorf("%q is a name of default endpoints", name)
	}
	if _, taken := c.place.splitSearch(bare); taken {
		return nil, time.Time{}, fmt.Errorf("%q is a name of search domains", name)
	}
	facts := src.domain.facts.(domainFacts)
	state, rev, wake, err := inForce(facts.state, src.domain, src.transition, now)
	if err != nil {
		return nil, wake, err
	}
	n := &Name{Host: name, Refused: strings.Join(facts.refused, ", ")}
	if err := n.setTLS(state); err != nil {
		return nil, wake, err
	}
	if n.Refused == "" && n.Endpoints&Private != 0 {
		n.Refused = "private custom domain name" // its access associations are not built
	}
	if len(facts.certificates) == 0 {
		return nil, wake, errors.New("no certificate")
	}
	for i, id := range facts.certificates {
		cert := c.certificate(resource.MaterialKey(id))
		if cert.err != nil {
			return nil, wake, fmt.Errorf("certificate %s: %w", id, cert.err)
		}
		if i == 0 {
			n.Certificates = []*tls.Certificate{cert.pair}
		} else {
			n.Edge = []*tls.Certificate{cert.pair}
		}
		rev = max(rev, cert.rev)
	}
	if n.Mappings, err = src.compileMappings(); err != nil {
		return nil, wake, err
	}
	n.revise(old, rev)
	if old != nil && old.same(n) {
		n = old
	}
	return n, wake, nil
}

func (src *domainSource) compileMappings() ([]Mapping, error) {
	var ms []Mapping
	for key, m := range src.mappings {
		if m.err != nil {
			return nil, fmt.Errorf("base path mapping %s: %w", key, m.err)
		}
		ms = append(ms, m.facts.(Mapping))
	}
	slices.SortFunc(ms, func(a, b Mapping) int {
		return cmp.Or(-cmp.Compare(len(a.BasePath), len(b.BasePath)), cmp.Compare(a.BasePath, b.BasePath))
	})
	return ms, nil
}

// certificate is a certificate with its key as it was last read.
type certificate struct {
	pair *tls.Certificate
	rev  store.Revision
	err  error
}

// certificate is the one of a key of material, as it was read for this commit.
func (c *Compiler) certificate(key string) certificate {
	cert, ok := c.certificates[key]
	if !ok {
		cert.err = store.ErrNotFound
	}
	return cert
}

// compileCertificate opens key material, sealed under the certificate's id, in
// which its key in the store ends. The private key must be the leaf's.
func compileCertificate(from string, value []byte, sealer *pki.Sealer) (*tls.Certificate, error) {
	var m resource.Material
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, err
	}
	der, err := sealer.Open(path.Base(from), m.Sealed)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	clear(der)
	if err != nil {
		return nil, errors.New("private key: not PKCS #8") // err may quote it
	}
	pair := &tls.Certificate{PrivateKey: key}
	for _, text := range []string{m.Certificate, m.Chain} {
		for rest := []byte(text); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "CERTIFICATE" {
				pair.Certificate = append(pair.Certificate, block.Bytes)
			}
		}
	}
	if len(pair.Certificate) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, err
	}
	if !keyFits(key, pair.Leaf) {
		return nil, errors.New("private key is not the certificate's")
	}
	return pair, nil
}

func keyFits(key any, leaf *x509.Certificate) bool {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k.PublicKey.Equal(leaf.PublicKey)
	case *rsa.PrivateKey:
		return k.PublicKey.Equal(leaf.PublicKey)
	case ed25519.PrivateKey:
		return k.Public().(ed25519.PublicKey).Equal(leaf.PublicKey)
	}
	return false
}

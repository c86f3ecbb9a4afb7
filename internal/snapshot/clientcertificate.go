package snapshot

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/internal/resource"
)

// ClientCertificate is a certificate that stages show to backends.
type ClientCertificate struct {
	// ID is that of a generated certificate, or the ARN of one in ACM.
	ID          string
	Certificate *tls.Certificate // Leaf is set
	// Stages, "API/STAGE", show it; those of Previous still show it to backends
	// that do not take their new one. One of the two is not empty; both sorted.
	Stages, Previous []string
}

// ClientCertificates lists those that stages show to backends, by ID. An
// expired one is among them: it is shown, too, and backends refuse it.
func (s *Snapshot) ClientCertificates() []ClientCertificate {
	all := make(map[string]*ClientCertificate)
	note := func(id string, cert *tls.Certificate) *ClientCertificate {
		c := all[id]
		if c == nil {
			c = &ClientCertificate{ID: id, Certificate: cert}
			all[id] = c
		}
		return c
	}
	s.apis.all(func(_ string, api *API) {
		for _, stage := range api.Stages {
			name := stage.API + "/" + stage.Name
			if stage.ClientCertificate != nil {
				c := note(stage.ClientCertificateID, stage.ClientCertificate)
				c.Stages = append(c.Stages, name)
			}
			if stage.PreviousCertificate != nil {
				c := note(stage.PreviousCertificateID, stage.PreviousCertificate)
				c.Previous = append(c.Previous, name)
			}
		}
	})
	list := make([]ClientCertificate, 0, len(all))
	for _, c := range all {
		slices.Sort(c.Stages)
		slices.Sort(c.Previous)
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b ClientCertificate) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// ClientCertificate returns the certificate that a clientCertificateId names,
// also one that no stage shows: the id of a generated one or the ARN of one in
// ACM. One that stages show is the very pointer that they have. The error wraps
// store.ErrNotFound when there is none. Safe for concurrent use.
func (c *Compiler) ClientCertificate(ctx context.Context, id string) (*tls.Certificate, error) {
	for _, used := range c.Current().ClientCertificates() {
		if used.ID == id {
			return used.Certificate, nil
		}
	}
	key, err := clientMaterial(id)
	if err != nil {
		return nil, err
	}
	doc, err := c.st.Get(ctx, key)
	var cert *tls.Certificate
	if err == nil {
		cert, err = compileCertificate(key, doc.Value, c.o.Sealer)
	}
	if err != nil {
		return nil, fmt.Errorf("client certificate %s: %w", id, err)
	}
	return cert, nil
}

// clientMaterial is the key of material that a clientCertificateId stands for.
func clientMaterial(id string) (string, error) {
	name, ok := resource.ParseClientCertificate(id)
	if !ok {
		return "", fmt.Errorf("client certificate %q is neither an id nor an ACM ARN", id)
	}
	return name.Material(), nil
}

func decodeRotation(value []byte) (any, error) {
	doc, err := decodeJSON[resource.Rotation](value)
	if err == nil {
		_, err = clientMaterial(doc.(resource.Rotation).Previous)
	}
	return doc, err
}

// shows names the certificates that the stage shows to backends, its own and
// the one before; "": none.
func (st *stageSource) shows() (own, previous string) {
	if f, ok := st.stage.facts.(stageFacts); ok {
		own = f.clientCertificate
	}
	if r, ok := st.rotation.facts.(resource.Rotation); ok && own != "" && r.Previous != own {
		previous = r.Previous
	}
	return own, previous
}

// certificates are the keys of material that the stage needs.
func (st *stageSource) certificates() (keys []string) {
	own, previous := st.shows()
	for _, id := range []string{own, previous} {
		if id != "" {
			key, _ := clientMaterial(id) // judged when it was decoded
			keys = append(keys, key)
		}
	}
	return keys
}

// certify gives the stage the certificates that it shows to backends. A stage
// without one that it should have is not served: its backends would refuse it,
// or worse, would not.
func (c *Compiler) certify(stage *Stage, src *stageSource) error {
	if src.rotation.err != nil {
		return fmt.Errorf("client certificate rotation: %w", src.rotation.err)
	}
	stage.ClientCertificateID, stage.PreviousCertificateID = src.shows()
	var pairs []*tls.Certificate
	for _, key := range src.certificates() {
		cert := c.certificate(key)
		if cert.err != nil {
			return fmt.Errorf("client certificate %s: %w", key, cert.err)
		}
		pairs = append(pairs, cert.pair)
	}
	if len(pairs) > 0 {
		stage.ClientCertificate = pairs[0]
	}
	if len(pairs) > 1 {
		stage.PreviousCertificate = pairs[1]
	}
	return nil
}

package backgate

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"time"
)

// maxHandshakes of one Readiness run at a time.
const maxHandshakes = 4

// State is what became of a client certificate that a backend was shown.
type State string

const (
	// Accepted: the backend asked for a certificate and let this one through. Of
	// none: it lets callers in that have none. Servers that judge certificates
	// only with a request, as nginx does, may still refuse it then.
	Accepted State = "accepted"
	// Refused: the backend asked for a certificate and ended the connection.
	Refused State = "refused"
	// NotAsked: the backend did not ask for a certificate.
	NotAsked State = "notAsked"
	// Unreachable: nothing was found out; the backend could not be reached, or
	// is itself not to be believed.
	Unreachable State = "unreachable"
)

// Acceptance says whether a backend takes a client certificate.
type Acceptance struct {
	State State `json:"state"`
	// Alert is the backend's, by its RFC name; "" when it refused without one.
	Alert string `json:"alert,omitempty"`
	// Status is that of the answer to OPTIONS /; 0: it was not sent, or not answered.
	Status int `json:"status,omitempty"`
	// Verdict is the kind of fault that made it unreachable.
	Verdict string `json:"verdict,omitempty"`
	// Reason says it in words, in lower case; "" when accepted without a doubt.
	Reason string `json:"reason,omitempty"`
}

// LetThrough reports whether the backend lets a caller with this certificate in,
// as far as a handshake tells.
func (a Acceptance) LetThrough() bool { return a.State == Accepted || a.State == NotAsked }

// Readiness shakes hands with a backend once for each certificate, nil for none,
// and says whether it lets a caller with it in. The inspection's own certificate
// does not count, and its timeout bounds each try. No byte of a request is sent
// unless the inspection wants it, no session resumed, and no connection kept.
// Safe for concurrent use.
//
// Servers judge at three points: in the handshake (TLS 1.2), right after it (TLS
// 1.3), for which half a second is left, or as the first request comes (nginx),
// which is found out only by Inspection.Request.
func (g *Gate) Readiness(ctx context.Context, in Inspection, certificates ...*tls.Certificate) []Acceptance {
	all := make([]Acceptance, len(certificates))
	turns := make(chan struct{}, maxHandshakes)
	var done sync.WaitGroup
	for i, c := range certificates {
		turns <- struct{}{}
		done.Go(func() {
			defer func() { <-turns }()
			all[i] = g.ready(ctx, &in, c)
		})
	}
	done.Wait()
	return all
}

func (g *Gate) ready(ctx context.Context, in *Inspection, c *tls.Certificate) Acceptance {
	if in.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, in.Timeout)
		defer cancel()
	}
	switch {
	case in.Scheme == "http":
		return Acceptance{State: NotAsked, Reason: "http has no TLS: whoever reaches the backend is let in"}
	case in.Scheme != "https":
		return unreachable(ctx, in.Host, &Error{Kind: InvalidAddress, Cause: errScheme})
	case in.ServerName != "" && !validAuthority(in.ServerName):
		return unreachable(ctx, in.Host, &Error{Kind: InvalidAddress, Cause: errAuthority})
	}
	k := key{host: in.Host, target: in.Target, secure: true, skip: in.InsecureSkipVerification, certificate: c}
	a := g.trust.Load().try(ctx, k, in.ServerName)
	if in.Request && in.ServerName == "" && a.State == Accepted {
		g.ask(ctx, in, c, &a)
	}
	return a
}

func unreachable(ctx context.Context, host string, err error) Acceptance {
	e := (&exchange{host: host, ctx: ctx}).fault(err)
	return Acceptance{State: Unreachable, Verdict: e.Kind.String(), Reason: cut(e.Error(), maxWhy)}
}

// try shakes hands with a backend under a key's certificate and finds out
// whether it lets it through. name is verified in place of the key's host,
// unless it is "". No byte of a request is sent.
func (t *trust) try(ctx context.Context, k key, name string) Acceptance {
	h := &handover{certificate: k.certificate, anew: true}
	err := t.check(k)
	if err == nil {
		p := t.newPool(k) // of its own: nothing is resumed, nothing kept
		if name != "" {
			host, _ := splitAuthority(name)
			p.tls.ServerName = strings.TrimSuffix(host, ".")
			p.tls.VerifyConnection = t.verifier(p.tls.ServerName, k.skip)
		}
		err = p.shake(ctx, h)
	}
	switch {
	case err == nil && h.asked:
		return Acceptance{State: Accepted}
	case err == nil:
		return Acceptance{State: NotAsked, Reason: "the backend does not ask for a client certificate"}
	case h.asked && ctx.Err() == nil && handshakeRefused(err):
		if e := alertError(err); e != nil {
			return Acceptance{State: Refused, Alert: e.Detail, Reason: "the backend refuses the handshake with the alert " + e.Detail}
		}
		return Acceptance{State: Refused, Reason: "the backend asks for a client certificate and then ends the connection without an alert"}
	}
	return unreachable(ctx, k.host, err)
}

// shake makes a connection that h watches, and ends it when the backend has
// judged the certificate.
func (p *pool) shake(ctx context.Context, h *handover) error {
	o := &p.trust.gate.options
	deadline := time.Now().Add(o.DialTimeout + o.HandshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c, err := p.dial(ctx, deadline, h)
	if err != nil {
		return err
	}
	defer c.Close()
	if !h.asked {
		return nil
	}
	defer context.AfterFunc(ctx, c.Abort)()
	return h.confirm(c, silence, deadline.Add(silence))
}

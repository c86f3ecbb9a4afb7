package backgate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
)

// maxPage is how much of an answer is read to see whether it is a refusal.
const maxPage = 4 << 10

// ask sends a backend that let the handshake through the one request that
// changes nothing, OPTIONS / (RFC 9110, section 9.2.1), and notes what it makes
// of the certificate then: servers such as nginx look at it only now.
func (g *Gate) ask(ctx context.Context, in *Inspection, c *tls.Certificate, a *Acceptance) {
	apart := g.apart() // connections made before may have been judged by another list
	defer apart.Close()
	resp, err := apart.Do(ctx, &Request{Method: "OPTIONS", Scheme: in.Scheme, Host: in.Host, Path: "/", Target: in.Target,
		InsecureSkipVerification: in.InsecureSkipVerification, Certificate: c, Timeout: in.Timeout})
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Kind == ClientCertificate {
			*a = Acceptance{State: Refused, Alert: e.Detail, Reason: "the backend refuses the handshake with the alert " + e.Detail}
			return
		}
		a.Reason = cut("OPTIONS / was not answered: "+err.Error(), maxWhy)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // nothing more is wanted of it

	// Half a page is looked at, too.
	page, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	a.Status = resp.Status
	if a.Status == 495 || a.Status == 496 || refusalPage(a.Status, page) { // nginx's own
		a.State, a.Reason = Refused, fmt.Sprintf("the backend lets the handshake through and refuses the request behind it for the certificate (%d)", a.Status)
	}
}

// apart is a gate of the same trust that shares no connection with g.
func (g *Gate) apart() *Gate {
	t, o := g.trust.Load(), g.options
	o.Roots, o.AllowBackend, o.Targets = t.roots, t.allow, t.targets
	return New(o)
}

package backgate

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/httpwire"
)

// Bounds of rotations.
const (
	// maxChoices bounds what is remembered; names may come from requests. What
	// is not remembered begins anew with each request.
	maxChoices = 10_000
	// choiceIdle is how long a choice is remembered that nobody asks for.
	choiceIdle = time.Hour
	// maxProbes run at a time; what finds no room comes with a later request.
	maxProbes = 16
	// firstBackoff and maxBackoff are what lies between two probes of a backend
	// that does not take the new certificate yet.
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
)

// pauses come before each time that one request goes over from one certificate
// to the other. There is more than one because a name may stand for several
// machines, or processes, that do not agree for a while: nginx has its old ones
// accept beside the new ones for a tenth of a second as it reloads.
var pauses = [...]time.Duration{0, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}

// choice says which of two client certificates one backend is shown while a
// rotation is under way: the previous one until the new one was let through by
// a probe's handshake, and then carried a request to an answer. A certificate
// that is refused gives way to the other one at once.
type choice struct {
	gate     *Gate
	key      key // with the new certificate
	previous *tls.Certificate

	state   atomic.Uint32
	trial   atomic.Bool  // a request is the first one under the new certificate
	probing atomic.Bool  // one probe at a time
	strict  atomic.Bool  // the backend was seen to refuse in the handshake, not with the request
	due     atomic.Int64 // when the next one may start, in Unix nanoseconds
	used    atomic.Int64 // when it was last asked for

	mu      sync.Mutex
	backoff time.Duration
}

// The states of a choice.
const (
	showsPrevious uint32 = iota // requests come with the previous certificate; probes try the new one
	offersCurrent               // a probe was let through; one request shall try
	showsCurrent
)

// choiceKey is what a choice is remembered by.
type choiceKey struct {
	key
	previous *tls.Certificate
}

// choices are those of a gate.
type choices struct {
	mu     sync.RWMutex
	known  map[choiceKey]*choice
	probes int // running
	closed bool
	done   sync.WaitGroup // waits for them
}

// enter reports whether one more probe may run; leave ends it.
func (cs *choices) enter() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed || cs.probes >= maxProbes {
		return false
	}
	cs.probes++
	cs.done.Add(1)
	return true
}

func (cs *choices) leave() {
	cs.mu.Lock()
	cs.probes--
	cs.mu.Unlock()
	cs.done.Done()
}

// close forgets all and waits for the probes, whose context has ended.
func (cs *choices) close() {
	cs.mu.Lock()
	cs.closed, cs.known = true, nil
	cs.mu.Unlock()
	cs.done.Wait()
}

// choice returns the choice that a request is under, nil when there is none to
// make.
func (g *Gate) choice(r *Request, now time.Time) *choice {
	if r.Previous == nil || r.Certificate == nil || r.Previous == r.Certificate || r.Scheme != "https" {
		return nil
	}
	k := choiceKey{key{host: r.Host, target: r.Target, secure: true, skip: r.InsecureSkipVerification, certificate: r.Certificate}, r.Previous}
	cs := &g.choices
	cs.mu.RLock()
	c := cs.known[k]
	cs.mu.RUnlock()
	if c == nil {
		c = cs.add(g, k, now)
	}
	c.used.Store(now.UnixNano())
	return c
}

func (cs *choices) add(g *Gate, k choiceKey, now time.Time) *choice {
	k.host, k.target = strings.Clone(k.host), strings.Clone(k.target) // they may be part of a request
	c := &choice{gate: g, key: k.key, previous: k.previous, backoff: firstBackoff}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if other := cs.known[k]; other != nil {
		return other
	}
	if cs.closed || len(cs.known) >= maxChoices {
		c.due.Store(now.Add(maxBackoff).UnixNano()) // it is forgotten before a probe could tell
		return c
	}
	if cs.known == nil {
		cs.known = map[choiceKey]*choice{}
	}
	cs.known[k] = c
	g.sweepSoon()
	return c
}

// sweep forgets what nobody asked for since a time, and returns how many stay.
func (cs *choices) sweep(before time.Time) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for k, c := range cs.known {
		if c.used.Load() < before.UnixNano() {
			delete(cs.known, k)
		}
	}
	return len(cs.known)
}

// begin says whether a request comes with the new certificate, and whether it
// is the first one: that one must be one that can be sent again.
func (c *choice) begin(now time.Time, again bool) (current, trial bool) {
	switch c.state.Load() {
	case showsCurrent:
		return true, false
	case offersCurrent:
		if again && c.trial.CompareAndSwap(false, true) {
			return true, true
		}
	default:
		if now.UnixNano() >= c.due.Load() {
			c.probe()
		}
	}
	return false, false
}

// answered notes that a request was answered on a new connection under one
// certificate; turned says that the other one was refused on the way.
func (c *choice) answered(current, turned bool) {
	switch {
	case current:
		c.mu.Lock()
		c.backoff = firstBackoff
		c.mu.Unlock()
		c.state.Store(showsCurrent)
	case turned:
		c.later()
		c.state.Store(showsPrevious)
	}
}

// later puts the next probe off, longer each time.
func (c *choice) later() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.UnixNano() < c.due.Load() {
		return // many requests may say the same
	}
	c.due.Store(now.Add(c.backoff).UnixNano())
	c.backoff = min(2*c.backoff, maxBackoff)
}

// probe finds out, beside the requests, whether the backend lets the new
// certificate through. It writes no byte of a request.
func (c *choice) probe() {
	g := c.gate
	if !c.probing.CompareAndSwap(false, true) {
		return
	}
	if !g.choices.enter() {
		c.probing.Store(false)
		return
	}
	go func() {
		defer g.choices.leave()
		defer c.probing.Store(false)
		switch a := g.trust.Load().try(g.context, c.key, ""); {
		case a.LetThrough():
			c.state.CompareAndSwap(showsPrevious, offersCurrent)
		default:
			if c.later(); a.State == Refused {
				c.strict.Store(true)
			}
		}
	}()
}

// rotation is the part of an exchange that moves between two certificates.
type rotation struct {
	choice  *choice   // nil: there is nothing to choose
	current bool      // the new certificate is the one that is shown
	trial   bool      // as the first request
	turns   int       // from one certificate to the other
	last    bool      // no further turn: the last one was made on weak evidence
	shown   *handover // of a new connection; nil: of none
}

// certificate is the one that is shown.
func (r *rotation) certificate() *tls.Certificate {
	if r.current {
		return r.choice.key.certificate
	}
	return r.choice.previous
}

// end gives the trial back, whatever came of it.
func (r *rotation) end() {
	if r.trial {
		r.choice.trial.Store(false)
	}
	*r = rotation{}
}

// choose puts the exchange under a choice, if there is one, and returns the
// pool of the certificate that it begins with.
func (x *exchange) choose(g *Gate, r *Request, now time.Time, p *pool) (*pool, error) {
	c := g.choice(r, now)
	if c == nil {
		return p, nil
	}
	x.choice = c
	x.current, x.trial = c.begin(now, x.call.Replayable() && r.Method != "HEAD") // the answer to a HEAD says too little
	return x.chosen(p)
}

// chosen is the pool of the certificate that is shown, under the configuration of p.
func (x *exchange) chosen(p *pool) (*pool, error) {
	k := x.choice.key
	k.certificate = x.certificate()
	return p.trust.pool(k)
}

// confirm waits on a new connection, where that is worth it, until the backend
// has judged the certificate. What may be sent twice need not wait: all others
// would be lost to a backend that refuses and resets the connection, since a
// reset does not say whether the request was read. A body that cannot be sent
// twice follows its head after one more wait, for a backend that judges then.
func (x *exchange) confirm(again bool) error {
	s := x.shown
	if s == nil || again || !s.asked && !s.resumed {
		return nil
	}
	proved := x.current && x.choice.state.Load() == showsCurrent
	if proved && x.call.Replayable() {
		return nil // as without a rotation, but that an alert is still believed
	}
	// A backend far away, or under load, takes longer for its verdict as it did
	// for the handshake.
	wait, hold := min(silence, grace+3*s.took), silence
	if proved || x.choice.strict.Load() {
		hold = wait
	}
	x.call.Hold(hold)
	if !s.asked {
		return nil
	}
	err := s.confirm(x.client, wait, x.deadline)
	x.client.SetDeadline(x.deadline)
	return err
}

// turn has the exchange go on with the other certificate, if the one shown was
// refused and the request can soundly be sent (again): nothing of it was sent,
// or an alert says that the handshake, and so the request behind it, was
// refused, or sending it twice does no harm. err is what came of it, nil for
// an answer.
func (x *exchange) turn(err error, again bool) bool {
	if x.choice == nil || x.last || x.turns >= len(pauses) || x.canceled.Load() || x.ctx.Err() != nil || !x.refused(err, again) {
		return false
	}
	if !x.pause(pauses[x.turns]) {
		return false
	}
	next := rotation{choice: x.choice, current: !x.current, trial: x.trial, turns: x.turns + 1, last: err != nil && x.sent && !refusedAlert(err)}
	x.pool.trust.gate.countRefused(x.current)
	if refusedAlert(err) {
		x.choice.strict.Store(true)
	}
	x.unwatch()
	if x.client != nil {
		x.client.Abort()
		x.client = nil
	}
	x.pool.forget()
	x.rotation = next
	p, failed := x.chosen(x.pool)
	if failed != nil {
		return false
	}
	x.pool = p
	return true
}

// pause waits, unless the exchange ends before.
func (x *exchange) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}
	if time.Until(x.deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.ctx.Done():
		return false
	}
}

// countRefused counts a refusal that the other certificate may cure.
func (g *Gate) countRefused(current bool) {
	certificate := "previous"
	if current {
		certificate = "current"
	}
	g.options.Metrics.ClientCertificateRefused(certificate)
}

// refused reports whether the certificate that was shown may be the reason for
// err, and the request can be sent again.
func (x *exchange) refused(err error, again bool) bool {
	s := x.shown
	switch {
	case s == nil || !s.asked && !s.resumed:
		return false // a kept connection was accepted
	case err == nil:
		return refusalPage(x.call.Status(), x.call.Ahead()) && (x.call.Replayable() || x.call.Recall())
	case !x.sent:
		return handshakeRefused(err)
	case x.call.Begun():
		return false
	case refusedAlert(err):
		return x.call.Replayable() || x.call.Recall()
	}
	return again && broken(err)
}

// handshakeRefused reports whether err, which came before a byte of a request
// was sent, may be a backend's answer to the certificate. Some say nothing and
// hang up.
func handshakeRefused(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind == ClientCertificate || e.Kind == HandshakeRefused || e.Kind == Closed
	}
	return broken(err)
}

// refusedAlert reports an alert by which a backend that asked for a certificate
// ends the handshake.
func refusedAlert(err error) bool {
	e := alertError(err)
	return e != nil && (e.Kind == ClientCertificate || e.Detail == "handshake_failure")
}

// refusals are titles of the pages by which nginx refuses certificates: it
// judges them after the handshake, as it has read a request's head and before
// it does anything with it.
// Source: observed, nginx 1.26, ssl_verify_client on.
var refusals = [][]byte{
	[]byte("<title>400 The SSL certificate error</title>"),
	[]byte("<title>400 No required SSL certificate was sent</title>"),
}

// refusalPage reports whether an answer is such a page.
func refusalPage(status int, body []byte) bool {
	if status != 400 {
		return false
	}
	for _, title := range refusals {
		if bytes.Contains(body, title) {
			return true
		}
	}
	return false
}

// Times that a backend has to judge a certificate.
const (
	// silence is how long it may take to refuse one. Whoever says nothing for so
	// long has accepted it.
	silence = 500 * time.Millisecond
	// grace is what lies at most between a backend's last word of a handshake
	// and the end of the connection, when it refuses by closing it.
	grace = 10 * time.Millisecond
)

// handover is what one handshake tells about the client's certificate.
type handover struct {
	certificate *tls.Certificate // shown if asked for; nil: none
	anew        bool             // do not resume

	asked, resumed bool
	tls13          bool
	ticket         bool          // came after the handshake: it is through
	took           time.Duration // the handshake

	cache    tls.ClientSessionCache
	socket   *httpwire.ClientSocket
	awaiting bool
}

// config is c for one handshake that is watched.
func (h *handover) config(c *tls.Config, socket *httpwire.ClientSocket) *tls.Config {
	c = c.Clone()
	h.socket, h.cache = socket, c.ClientSessionCache
	c.ClientSessionCache = h
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		h.asked = true
		return present(r, h.certificate), nil
	}
	return c
}

// Get implements tls.ClientSessionCache.
func (h *handover) Get(name string) (*tls.ClientSessionState, bool) {
	if h.anew {
		return nil, false
	}
	return h.cache.Get(name)
}

// Put implements tls.ClientSessionCache. A ticket is written by a backend that
// has accepted what it was shown; one that only then looks at it closes the
// connection right after.
func (h *handover) Put(name string, s *tls.ClientSessionState) {
	if s != nil && h.awaiting && !h.ticket {
		h.ticket = true
		if !h.anew {
			h.socket.SetReadDeadline(time.Now().Add(grace))
		}
	}
	h.cache.Put(name, s)
}

// confirm waits until the backend has judged the certificate: at most wait, and
// not beyond a deadline. nil is a connection that goes on.
func (h *handover) confirm(c *httpwire.Client, wait time.Duration, deadline time.Time) error {
	if !h.tls13 && !h.anew {
		wait = grace // the backend's last word came after the client's
	}
	until := time.Now().Add(wait)
	if deadline.Before(until) {
		until = deadline
	}
	h.awaiting = true
	n, err := c.Await(until)
	h.awaiting = false
	switch {
	case n > 0:
		return errEarly
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	}
	return err
}

// present is what a backend that asks is shown: always the certificate, as long
// as the backend can read its signature. What it says of the authorities that
// it knows does not count: self-signed certificates have none, and it is for
// the backend to refuse.
func present(r *tls.CertificateRequestInfo, c *tls.Certificate) *tls.Certificate {
	if c == nil {
		return new(tls.Certificate)
	}
	any := *r
	any.AcceptableCAs = nil
	if any.SupportsCertificate(c) != nil {
		return new(tls.Certificate)
	}
	return c
}

// forget drops the sessions of a pool: one made under a certificate that was
// refused may stay refused.
func (p *pool) forget() {
	if p.tls != nil {
		p.tls.ClientSessionCache.Put(p.tls.ServerName, nil)
	}
}

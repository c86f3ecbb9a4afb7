// Package auditor judges this gateway: it reads what the store holds as the
// SDK's own documents, evaluates the controls, and keeps the findings with
// their history, workflow and suppressions. A commit is judged again as soon as
// the store's watch tells of it, and nothing but what it touched; what depends
// on the clock is judged once an hour.
//
//	a, err := auditor.Open(ctx, auditor.Options{Store: st, Region: "us-east-1", Account: "000000000000"})
//	go a.Run(ctx)
//	report := a.Report()
//
// What it promises:
//
//   - Findings survive restarts: their ids, since when they stand, and what
//     people said of them. Verdicts are reached anew from the configuration.
//   - What people say is durable when Update returns.
//   - A document that cannot be read is judged unknown and disturbs no other.
//
// An Auditor is safe for concurrent use.
package auditor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// Options configure Open. Store is required.
type Options struct {
	Store           store.Store
	Region, Account string
	Controls        []*posture.Control // nil: controls.All
	Now             func() time.Time   // nil: time.Now
	Log             *slog.Logger       // nil: slog.Default
	// Changed, unless nil, is called with the findings that were judged anew
	// and have something to show on the wire (Expect), outside of all locks.
	Changed func([]posture.Finding)
}

// Auditor keeps the findings of this gateway.
type Auditor struct {
	o Options

	mu        sync.RWMutex
	moved     sync.Cond // revision went up
	evaluator *posture.Evaluator
	params    map[string]posture.Values
	reasons   map[string]string // why parameters are as they are, by control
	enabled   time.Time         // when this gateway was judged for the first time
	revision  store.Revision    // judged up to here
	resources map[string]*judged
	dossiers  map[string]*dossier         // by key in the store
	unkept    map[string]*dossier         // of these, what the store would not take
	evidence  map[string]posture.Evidence // by resource id: seen on the wire
	evaluated time.Time                   // when all was judged last

	// Of the goroutine that follows the store, which alone writes them.
	apis        map[string]*types.RestApi
	transitions map[string]resource.Transition // by domain name: changes that are not in force yet
}

// judged is a resource with its findings.
type judged struct {
	key      string // in the store
	resource *posture.Resource
	findings []posture.Finding
}

// prefixParams begins the keys of what customers set: a setting by control.
const prefixParams = "audit/parameters/"

// setting is what a customer set of a control.
type setting struct {
	Values posture.Values `json:"values"`
	Reason string         `json:"reason,omitempty"`
}

// keyEnabled holds the time of the first evaluation.
const keyEnabled = "audit/enabled"

// Open reads what is kept and judges everything once.
func Open(ctx context.Context, o Options) (*Auditor, error) {
	if o.Controls == nil {
		o.Controls = controls.All
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &Auditor{o: o, dossiers: map[string]*dossier{}, evidence: map[string]posture.Evidence{}}
	a.moved.L = a.mu.RLocker()
	if _, err := a.load(ctx); err != nil {
		return nil, fmt.Errorf("auditor: %w", err)
	}
	return a, nil
}

// Run follows the store until ctx ends.
func (a *Auditor) Run(ctx context.Context) error {
	a.tell()
	hour := time.NewTicker(time.Hour)
	defer hour.Stop()
	from := a.Revision()
	for {
		events, err := a.o.Store.Watch(ctx, from)
		if errors.Is(err, store.ErrCompacted) {
			if from, err = a.load(ctx); err == nil {
				a.tell()
				continue
			}
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("auditor: %w", err)
		}
		for open := true; open; {
			due, stop := a.due()
			select {
			case <-due:
				a.settle(ctx)
			case e, ok := <-events:
				if open = ok; ok {
					a.apply(ctx, e)
				}
			case <-hour.C:
				if err := a.Evaluate(ctx); err != nil {
					a.o.Log.Error("findings not judged anew; the old verdicts stand", "err", err)
				}
				a.tell()
			}
			stop()
		}
		if ctx.Err() != nil {
			return nil
		}
		from = a.Revision()
	}
}

// load lists the store and judges everything. When it fails all is as before.
func (a *Auditor) load(ctx context.Context) (rev store.Revision, err error) {
	st := a.o.Store
	if _, rev, err = st.List(ctx, store.Range{Prefix: prefixDossiers, Limit: 1}); err != nil {
		return 0, err
	}
	if err := a.begin(ctx); err != nil {
		return 0, err
	}
	each := func(prefix string, f func(key string, value []byte)) {
		if err != nil {
			return
		}
		var docs []store.Document
		if docs, _, err = st.List(ctx, store.Range{Prefix: prefix}); err == nil {
			for _, d := range docs {
				f(d.Key, d.Value)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	apis, transitions, resources, params, reasons := a.apis, a.transitions, a.resources, a.params, a.reasons
	defer func() {
		if err != nil {
			a.apis, a.transitions, a.resources, a.params, a.reasons = apis, transitions, resources, params, reasons
		}
	}()
	a.apis, a.transitions = map[string]*types.RestApi{}, map[string]resource.Transition{}
	a.resources, a.params, a.reasons = map[string]*judged{}, map[string]posture.Values{}, map[string]string{}
	known := len(a.dossiers) > 0 // then what is in memory is newer, see unkept
	each(prefixDossiers, func(key string, value []byte) {
		d := new(dossier)
		if !known && json.Unmarshal(value, d) == nil && d.States != nil {
			a.dossiers[key] = d
		}
	})
	each(prefixParams, func(key string, value []byte) { a.readParams(key, value) })
	each(resource.PrefixRestAPIs, func(key string, value []byte) { a.readAPI(key, value) })
	each(resource.PrefixTransitions, func(key string, value []byte) { a.readTransition(key, value) })
	for i := range kinds {
		each(kinds[i].prefix, func(key string, value []byte) { a.read(key, value) })
	}
	if err != nil {
		return 0, err
	}
	if err := a.configure(); err != nil {
		return 0, err
	}
	a.revision = rev
	a.evidence = map[string]posture.Evidence{} // it may be of other configurations
	a.judgeAll()
	if err := a.keep(ctx, a.reconcile(slices.Collect(maps.Values(a.resources)), true)); err != nil {
		if ctx.Err() != nil {
			return 0, err
		}
		a.o.Log.Error("findings are not durable", "revision", uint64(rev), "err", err) // of a store that is full, say: it is still judged
	}
	a.moved.Broadcast()
	return rev, nil
}

// configure makes the evaluator anew. The caller holds mu.
func (a *Auditor) configure() error {
	e, err := posture.New(a.o.Controls, posture.Options{Now: a.o.Now(), Params: a.params})
	if err == nil {
		a.evaluator = e
	}
	return err
}

// begin reads since when this gateway is judged, and notes it at the first time.
func (a *Auditor) begin(ctx context.Context) error {
	d, err := a.o.Store.Get(ctx, keyEnabled)
	if errors.Is(err, store.ErrNotFound) {
		now := a.o.Now().UTC()
		d.Value, _ = json.Marshal(now) // of this century
		_, err = a.o.Store.Commit(ctx, store.Change{Puts: []store.Put{{Key: keyEnabled, Value: d.Value}}})
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return json.Unmarshal(d.Value, &a.enabled)
}

func (a *Auditor) readParams(key string, value []byte) {
	control := strings.TrimPrefix(key, prefixParams)
	var v setting
	if value == nil {
		delete(a.params, control)
		delete(a.reasons, control)
	} else if json.Unmarshal(value, &v) == nil {
		if a.reasons[control] = v.Reason; len(v.Values) > 0 {
			a.params[control] = v.Values
		} else {
			delete(a.params, control)
		}
	}
}

func (a *Auditor) readAPI(key string, value []byte) {
	id := strings.TrimPrefix(key, resource.PrefixRestAPIs)
	api := new(types.RestApi)
	if value == nil || awsapi.Unmarshal(value, api) != nil {
		delete(a.apis, id)
		return
	}
	a.apis[id] = api
}

func (a *Auditor) readTransition(key string, value []byte) {
	name, ok := strings.CutPrefix(key, resource.DomainTransitionKey(""))
	if !ok {
		return
	}
	var t resource.Transition
	if value == nil || json.Unmarshal(value, &t) != nil {
		delete(a.transitions, name)
		return
	}
	a.transitions[name] = t
}

// read makes a document a resource, not judged yet.
func (a *Auditor) read(key string, value []byte) *judged {
	k, parts := kindOf(key)
	if k == nil {
		return nil
	}
	r, err := k.make(a, parts, value)
	if err != nil {
		r.Unknown = map[string]string{"": "the stored document cannot be read: " + err.Error()}
	}
	j := &judged{key: key, resource: r}
	a.resources[key] = j
	return j
}

func (a *Auditor) judgeAll() {
	report := a.evaluator.All(a.all())
	byID := map[string][]posture.Finding{}
	for _, f := range report.Findings {
		id := f.Resource.Type + "\x00" + f.Resource.ID
		byID[id] = append(byID[id], f)
	}
	for _, j := range a.resources {
		j.findings = byID[j.resource.Type+"\x00"+j.resource.ID]
	}
	a.evaluated = a.o.Now()
}

func (a *Auditor) all() iter.Seq[*posture.Resource] {
	return func(yield func(*posture.Resource) bool) {
		for _, j := range a.resources {
			if !yield(j.resource) {
				return
			}
		}
	}
}

// apply judges what a commit touched.
func (a *Auditor) apply(ctx context.Context, e store.Event) {
	a.mu.Lock()
	touched := map[string]*judged{}
	gone, again := false, false
	for _, c := range e.Changes {
		switch {
		case strings.HasPrefix(c.Key, prefixParams):
			a.readParams(c.Key, c.Value)
			again = true
		case strings.HasPrefix(c.Key, resource.PrefixRestAPIs):
			a.readAPI(c.Key, c.Value)
			prefix := resource.StagesPrefix(strings.TrimPrefix(c.Key, resource.PrefixRestAPIs))
			for key, j := range a.resources {
				if strings.HasPrefix(key, prefix) {
					r := *j.resource
					if r.Parent = nil; c.Value != nil {
						r.Parent = a.apis[strings.TrimPrefix(c.Key, resource.PrefixRestAPIs)]
					}
					j.resource = &r
					touched[key] = j
				}
			}
		case strings.HasPrefix(c.Key, resource.PrefixTransitions):
			a.readTransition(c.Key, c.Value)
		}
	}
	for _, c := range e.Changes {
		if k, _ := kindOf(c.Key); k == nil {
			continue
		}
		if c.Value == nil {
			if j := a.resources[c.Key]; j != nil {
				gone = true
				delete(a.evidence, j.resource.ID)
			}
			delete(a.resources, c.Key)
			delete(touched, c.Key)
		} else if j := a.read(c.Key, c.Value); j != nil {
			touched[c.Key] = j
		}
	}
	if again {
		if err := a.configure(); err != nil { // checked when it was set; a stored one may be older than the controls
			a.o.Log.Error("parameters of controls not applied; the ones before stand", "err", err)
		}
		a.judgeAll()
		touched = maps.Clone(a.resources)
	} else {
		for _, j := range touched {
			j.findings = a.evaluator.Judge(j.resource)
			delete(a.evidence, j.resource.ID) // of another configuration
		}
	}
	a.revision = e.Revision
	a.done(ctx, touched, gone)
}

// done keeps and tells what came of judging some resources, and lets mu go.
func (a *Auditor) done(ctx context.Context, touched map[string]*judged, gone bool) {
	changed := a.reconcile(slices.Collect(maps.Values(touched)), gone)
	revision := a.revision
	err := a.keep(ctx, changed)
	shown := a.shown(touched)
	a.moved.Broadcast()
	a.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		a.o.Log.Error("findings are not durable", "revision", uint64(revision), "err", err)
	}
	if a.o.Changed != nil && len(shown) > 0 {
		a.o.Changed(shown)
	}
}

// due says when the next change comes into force that is on its way; nil:
// there is none.
func (a *Auditor) due() (<-chan time.Time, func()) {
	var next time.Time
	for _, t := range a.transitions {
		if next.IsZero() || t.Until.Before(next) {
			next = t.Until
		}
	}
	if next.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(next.Sub(a.o.Now()))
	return timer.C, func() { timer.Stop() }
}

// settle judges the domain names again whose change has come into force. No
// commit tells of that.
func (a *Auditor) settle(ctx context.Context) {
	a.mu.Lock()
	touched := map[string]*judged{}
	for name, t := range a.transitions {
		if a.o.Now().Before(t.Until) {
			continue
		}
		delete(a.transitions, name)
		key := resource.PrefixDomainNames + name
		j := a.resources[key]
		if j == nil {
			continue
		}
		if doc, ok := j.resource.Doc.(*types.DomainName); ok && doc != nil {
			r, d := *j.resource, *doc
			d.DomainNameStatus = types.DomainNameStatusAvailable
			r.Doc, r.NotInEffect = &d, nil
			j.resource = &r
			j.findings = a.evaluator.Judge(j.resource)
			delete(a.evidence, j.resource.ID) // of what bound before
			touched[key] = j
		}
	}
	a.done(ctx, touched, false)
}

// tellAfter is how old evidence may get.
const tellAfter = 24 * time.Hour

// tell hands all findings that a handshake could confirm and none has to
// Changed, also those of which the last one is old, failed, or spoke against
// the configuration: that may have been the moment.
func (a *Auditor) tell() {
	if a.o.Changed == nil {
		return
	}
	a.mu.RLock()
	var out []posture.Finding
	for _, f := range a.shown(a.resources) {
		if e, ok := a.evidence[f.Resource.ID]; !ok || e.Contradicts || e.Time == nil || a.o.Now().Sub(*e.Time) > tellAfter {
			out = append(out, f)
		}
	}
	a.mu.RUnlock()
	a.o.Changed(out)
}

// shown are the findings that a handshake could confirm.
func (a *Auditor) shown(touched map[string]*judged) (out []posture.Finding) {
	for _, j := range touched {
		for _, f := range j.findings {
			if f.Expect != nil {
				out = append(out, f)
			}
		}
	}
	return out
}

// reconcile brings states up to the findings of some resources, and with gone
// archives those whose resource is no more. It returns the dossiers to keep.
func (a *Auditor) reconcile(some []*judged, gone bool) map[string]*dossier {
	now := a.o.Now().UTC()
	changed := map[string]*dossier{}
	for _, j := range some {
		key := dossierKey(j.resource.Type, j.resource.ID)
		d := a.dossiers[key]
		if d == nil {
			d = &dossier{Type: j.resource.Type, ID: j.resource.ID, Region: j.resource.Region, States: map[string]*State{}}
		}
		d.live = j
		for i := range j.findings {
			f := &j.findings[i]
			f.LastSeen = now
			s := d.States[f.Control]
			if s == nil {
				if f.Status == posture.NotApplicable {
					continue
				}
				s = &State{ID: newID(), Control: f.Control, Created: now, FirstSeen: now}
				d.States[f.Control] = s
			}
			if seen := a.witnessed(*f); s.follow(&seen, now) {
				changed[key] = d
			}
			f.FirstSeen = s.FirstSeen
		}
		if len(d.States) > 0 {
			a.dossiers[key] = d
		}
	}
	if !gone {
		return changed
	}
	for key, d := range a.dossiers {
		if d.live != nil && a.resources[d.live.key] == d.live {
			continue
		}
		d.live = nil
		for control, s := range d.States {
			if s.archive(ResourceGone, now) {
				changed[key] = d
			} else if now.Sub(s.Since) > keepArchived {
				delete(d.States, control)
				changed[key] = d
			}
		}
		if len(d.States) == 0 {
			delete(a.dossiers, key)
		}
	}
	return changed
}

// keepAtOnce bounds the documents of one commit.
const keepAtOnce = 500

// keep writes dossiers, and those that could not be written before. The caller
// holds mu, so that they do not change.
func (a *Auditor) keep(ctx context.Context, changed map[string]*dossier) error {
	if len(a.unkept) > 0 {
		all := maps.Clone(a.unkept)
		maps.Copy(all, changed)
		changed = all
	}
	a.unkept = nil
	err := a.write(ctx, changed)
	if err != nil {
		a.unkept = changed
	}
	return err
}

func (a *Auditor) write(ctx context.Context, changed map[string]*dossier) error {
	for some := range slices.Chunk(slices.Sorted(maps.Keys(changed)), keepAtOnce) {
		var c store.Change
		for _, key := range some {
			if len(changed[key].States) == 0 {
				c.Deletes = append(c.Deletes, key)
				continue
			}
			value, err := json.Marshal(changed[key])
			if err != nil {
				return err
			}
			c.Puts = append(c.Puts, store.Put{Key: key, Value: value})
		}
		if _, err := a.o.Store.Commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// Evaluate judges everything again now.
func (a *Auditor) Evaluate(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.configure(); err != nil {
		return err
	}
	a.judgeAll()
	return a.keep(ctx, a.reconcile(slices.Collect(maps.Values(a.resources)), true))
}

// Revision is the store's revision up to which all is judged.
func (a *Auditor) Revision() store.Revision {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.revision
}

// WaitFor returns once everything up to a revision is judged, or ctx ends.
func (a *Auditor) WaitFor(ctx context.Context, rev store.Revision) error {
	stop := context.AfterFunc(ctx, func() {
		a.mu.Lock()
		a.moved.Broadcast()
		a.mu.Unlock()
	})
	defer stop()
	a.mu.RLock()
	defer a.mu.RUnlock()
	for a.revision < rev && ctx.Err() == nil {
		a.moved.Wait()
	}
	return ctx.Err()
}

// Finding returns a control's finding on a resource as it stands; ok is false
// when there is none.
func (a *Auditor) Finding(control, id string) (f posture.Finding, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, j := range a.resources {
		if j.resource.ID != id {
			continue
		}
		for _, f := range j.findings {
			if f.Control == control {
				return a.witnessed(f), true
			}
		}
	}
	return f, false
}

// Collect returns what is judged.
func (a *Auditor) Collect() *posture.Collection {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c := new(posture.Collection)
	for _, j := range a.resources {
		c.Resources = append(c.Resources, j.resource)
	}
	slices.SortFunc(c.Resources, func(x, y *posture.Resource) int { return cmp.Compare(x.ID, y.ID) })
	return c
}

// Report returns the findings as they stand, with what was seen on the wire.
func (a *Auditor) Report() *posture.Report {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r := &posture.Report{Findings: []posture.Finding{}}
	for _, j := range a.resources {
		for _, f := range j.findings {
			r.Findings = append(r.Findings, a.witnessed(f))
		}
	}
	slices.SortStableFunc(r.Findings, func(x, y posture.Finding) int {
		return cmp.Or(cmp.Compare(x.Resource.ID, y.Resource.ID), cmp.Compare(x.Resource.Type, y.Resource.Type))
	})
	r.Summary = a.evaluator.Summarize(r.Findings)
	r.Summary.Time, r.Summary.Resources = a.o.Now().UTC(), len(a.resources)
	return r
}

// witnessed is a finding with the evidence of its resource.
func (a *Auditor) witnessed(f posture.Finding) posture.Finding {
	if e, ok := a.evidence[f.Resource.ID]; ok && f.Expect != nil {
		f.Witness(e)
	}
	return f
}

// Witness keeps what was seen on the wire of a resource until its document
// changes.
func (a *Auditor) Witness(id string, e posture.Evidence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var of []*judged
	for _, j := range a.resources {
		if j.resource.ID == id {
			of = append(of, j)
		}
	}
	if len(of) == 0 {
		return // it went while it was asked
	}
	a.evidence[id] = e
	// Where the wire contradicts it, what was passed is not any more.
	if err := a.keep(context.Background(), a.reconcile(of, false)); err != nil {
		a.o.Log.Error("findings are not durable", "resource", id, "err", err)
	}
}

// Record is a finding with its state, as people see it.
type Record struct {
	Finding  posture.Finding
	State    State
	Resource *posture.Resource // nil: it is no more
}

// Records returns every finding, archived ones included, by resource and control.
// Of an archived one the finding holds no more than control, resource and status.
func (a *Auditor) Records() []Record {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]Record, 0, len(a.dossiers))
	for _, d := range a.dossiers {
		for _, s := range d.States {
			out = append(out, a.record(d, s))
		}
	}
	slices.SortFunc(out, func(x, y Record) int {
		return cmp.Or(cmp.Compare(x.Finding.Resource.ID, y.Finding.Resource.ID), cmp.Compare(x.Finding.Control, y.Finding.Control))
	})
	return out
}

// record is a finding as it is shown. The caller holds mu.
func (a *Auditor) record(d *dossier, s *State) Record {
	r := Record{State: *s.clone()}
	r.State.expire(a.o.Now()) // which the next evaluation keeps
	if d.live != nil {
		for i := range d.live.findings {
			if d.live.findings[i].Control == s.Control {
				r.Finding, r.Resource = a.witnessed(d.live.findings[i]), d.live.resource
				return r
			}
		}
	}
	r.Finding = posture.Finding{Control: s.Control, Status: s.Status, Reason: s.Reason, Evidence: []posture.Evidence{}, Remediation: []posture.Step{},
		FirstSeen: s.FirstSeen, LastSeen: s.Updated, Resource: posture.Subject{Type: d.Type, ID: d.ID, Region: d.Region, Account: a.o.Account, Source: posture.Self}}
	if c := a.Control(s.Control); c != nil {
		r.Finding.Title, r.Finding.Severity = c.Title, c.Severity
	}
	return r
}

// Ref names a finding.
type Ref struct {
	Control, ID    string // ID is the State's
	Type, Resource string
	Archived       bool

	dossier string // key in the store
}

// Find lists the findings that are wanted, by control and id. Nothing of them
// is copied, so that of many a few are found at little cost.
func (a *Auditor) Find(want func(*Ref) bool) []Ref {
	a.mu.RLock()
	var out []Ref
	for key, d := range a.dossiers {
		for _, s := range d.States {
			if r := (Ref{s.Control, s.ID, d.Type, d.ID, s.Archived != "", key}); want(&r) {
				out = append(out, r)
			}
		}
	}
	a.mu.RUnlock()
	slices.SortFunc(out, func(x, y Ref) int { return cmp.Or(cmp.Compare(x.Control, y.Control), cmp.Compare(x.ID, y.ID)) })
	return out
}

// Fetch returns the findings that refs name, without those that are no more.
func (a *Auditor) Fetch(refs []Ref) []Record {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]Record, 0, len(refs))
	for i := range refs {
		if d := a.dossiers[refs[i].dossier]; d != nil && d.States[refs[i].Control] != nil {
			out = append(out, a.record(d, d.States[refs[i].Control]))
		}
	}
	return out
}

// Control finds a control by its id, or returns nil.
func (a *Auditor) Control(id string) *posture.Control {
	i := slices.IndexFunc(a.o.Controls, func(c *posture.Control) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return a.o.Controls[i]
}

// Controls lists the controls.
func (a *Auditor) Controls() []*posture.Control { return a.o.Controls }

// ErrNoFinding is returned by Update for an id that no finding has.
var ErrNoFinding = errors.New("no such finding")

// Update changes what people say of the finding with that id. change gets a
// copy of the state; its error ends the update with nothing changed. What it
// did is durable on return.
func (a *Auditor) Update(ctx context.Context, id string, change func(*State) error) error {
	refused, err := a.UpdateAll(ctx, []string{id}, func(s *State) (Change, error) { return Change{}, change(s) })
	return cmp.Or(refused[id], err)
}

// UpdateAll is Update of several findings in one commit. Of the Change that
// change returns, who did it and which members are kept in the finding's
// history. refused says of which findings nothing was changed and why; with err
// nothing was changed of any.
func (a *Auditor) UpdateAll(ctx context.Context, ids []string, change func(*State) (Change, error)) (refused map[string]error, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	refused = make(map[string]error, len(ids))
	for _, id := range ids {
		refused[id] = ErrNoFinding
	}
	changed := map[string]*dossier{}
	for key, d := range a.dossiers {
		for control, s := range d.States {
			if _, wanted := refused[s.ID]; !wanted {
				continue
			}
			next := s.clone()
			step, err := change(next)
			if err != nil {
				refused[s.ID] = err
				continue
			}
			delete(refused, s.ID)
			if next.Workflow != s.Workflow || len(step.Members) > 0 {
				step.Time, step.Status, step.Workflow, step.Archived = a.o.Now().UTC(), next.Status, next.Workflow, next.Archived != ""
				next.note(step)
			}
			with := changed[key]
			if with == nil {
				copied := *d
				copied.States = maps.Clone(d.States)
				with = &copied
				changed[key] = with
			}
			with.States[control] = next
		}
	}
	if err := a.write(ctx, changed); err != nil {
		return nil, err
	}
	for key, d := range changed {
		a.dossiers[key] = d
		delete(a.unkept, key)
	}
	return refused, nil
}

// Enabled is when this gateway was judged for the first time.
func (a *Auditor) Enabled() time.Time {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.enabled
}

// Evaluated is when everything was judged last.
func (a *Auditor) Evaluated() time.Time {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.evaluated.UTC()
}

// Params returns what customers set, by control.
func (a *Auditor) Params() map[string]posture.Values {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return maps.Clone(a.params)
}

// Reason is why somebody set a control's parameters; "": nobody said.
func (a *Auditor) Reason(control string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.reasons[control]
}

// SetParams sets a control's parameters, and why; nil returns to the defaults.
// The error of values that the control does not take is a
// *posture.ParameterError. On return they are durable and findings follow them.
func (a *Auditor) SetParams(ctx context.Context, control string, v posture.Values, reason string) error {
	params := a.Params()
	if len(v) == 0 {
		if _, set := params[control]; !set && reason == "" && a.Reason(control) == "" {
			return nil
		}
		delete(params, control)
	} else {
		params[control] = v
	}
	if _, err := posture.New(a.o.Controls, posture.Options{Now: a.o.Now(), Params: params}); err != nil {
		return err
	}
	c := store.Change{}
	if key := prefixParams + control; len(v) == 0 && reason == "" {
		c.Deletes = []string{key}
	} else {
		value, err := json.Marshal(setting{v, reason})
		if err != nil {
			return err
		}
		c.Puts = []store.Put{{Key: key, Value: value}}
	}
	rev, err := a.o.Store.Commit(ctx, c)
	if err != nil {
		return err
	}
	return a.WaitFor(ctx, rev)
}

package snapshot

import (
	"container/heap"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Options say where this gateway is and what it keeps apart from the store.
// Region, Suffixes, Sealer and DefaultCertificates are required.
type Options struct {
	// Node is the name under which served revisions are reported to the store;
	// "" reports none.
	Node    string
	Region  string // us-east-1
	Account string // 000000000000
	// Suffixes are what default endpoint names end in, the first being the one
	// that Name.Host shows: API.execute-api.REGION.SUFFIX.
	Suffixes []string
	Sealer   *pki.Sealer // opens the keys of certificates
	// DefaultCertificates serve default endpoints and the default name, in
	// order of preference. Leaf must be set.
	DefaultCertificates []*tls.Certificate
	Log                 *slog.Logger // nil: slog.Default

	// Now and Timer are the clock; nil means the real one. Timer returns a
	// channel that gets a value once d has passed, and a function that stops it.
	Now   func() time.Time
	Timer func(d time.Duration) (c <-chan time.Time, stop func())

	// BeforeSwap and AfterSwap are called around each swap that changes
	// anything but the revision, except the first one, in Open. The node
	// reports the new revision only after AfterSwap has returned.
	// A Name that did not change is the same pointer in both snapshots. They run
	// in the goroutine that follows the store, so no later commit is served until
	// they return.
	BeforeSwap, AfterSwap func(old, new *Snapshot)
}

// Compiler keeps one Snapshot current. Current is safe for concurrent use.
type Compiler struct {
	o       Options
	st      store.Store
	log     *slog.Logger
	place   *place
	current atomic.Pointer[Snapshot]
	cancel  context.CancelFunc
	done    chan struct{}
	recert  chan recertify

	// What follows belongs to the goroutine that follows the store.
	sources      *sources
	defaults     []*tls.Certificate
	certificates map[string]certificate // those in use, by key of material
	wakes        wakes
}

type recertify struct {
	certs []*tls.Certificate
	done  chan struct{}
}

// Open lists the store, compiles what it holds, reports the revision under
// o.Node and follows the store from there until Close. What does not compile is
// in Faults; only a store that cannot be read and unusable options are errors.
func Open(ctx context.Context, st store.Store, o Options) (*Compiler, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timer == nil {
		o.Timer = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTimer(d)
			return t.C, func() { t.Stop() }
		}
	}
	p := &place{}
	for _, suffix := range o.Suffixes {
		zone := normalizeName("execute-api." + o.Region + "." + suffix)
		if zone == "" {
			return nil, fmt.Errorf("snapshot: region %q and suffix %q make no host name", o.Region, suffix)
		}
		p.zones = append(p.zones, zone)
		p.searches = append(p.searches, normalizeName(resource.SearchZone(o.Region, suffix)))
	}
	if len(p.zones) == 0 {
		return nil, errors.New("snapshot: no domain suffix")
	}
	if o.Sealer == nil {
		return nil, errors.New("snapshot: no sealer")
	}
	c := &Compiler{
		o: o, st: st, log: o.Log, place: p,
		done:         make(chan struct{}),
		recert:       make(chan recertify),
		sources:      newSources(),
		certificates: make(map[string]certificate),
	}
	fallback, err := c.defaultName(o.DefaultCertificates, 0)
	if err != nil {
		return nil, err
	}
	c.defaults = o.DefaultCertificates
	first := &Snapshot{place: p, fallback: fallback}

	follow, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	events, t, rev, err := c.load(ctx, follow)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	c.publish(follow, first, rev, t)
	go c.follow(follow, events)
	return c, nil
}

// Current returns the snapshot in force: one atomic load.
func (c *Compiler) Current() *Snapshot { return c.current.Load() }

// Close stops following the store. Current keeps its last value.
func (c *Compiler) Close() {
	c.cancel()
	<-c.done
}

// SetDefaultCertificates replaces the certificates of default endpoints and of
// the default name, as after a renewal, and returns when they are in force.
func (c *Compiler) SetDefaultCertificates(certs []*tls.Certificate) error {
	if _, err := c.defaultName(certs, 0); err != nil {
		return err
	}
	r := recertify{certs: slices.Clone(certs), done: make(chan struct{})}
	select {
	case c.recert <- r:
		<-r.done
		return nil
	case <-c.done:
		return errors.New("snapshot: closed")
	}
}

// defaultName makes what Snapshot.Default returns.
func (c *Compiler) defaultName(certs []*tls.Certificate, rev store.Revision) (*Name, error) {
	if len(certs) == 0 {
		return nil, errors.New("snapshot: no default certificate")
	}
	for _, cert := range certs {
		if cert == nil || cert.Leaf == nil {
			return nil, errors.New("snapshot: a default certificate without its leaf")
		}
	}
	policy, err := lookupPolicy("TLS_1_2", false)
	if err != nil {
		c.log.Error("handshakes without a known server name are refused", "err", err)
		policy = &tlspolicy.Policy{Name: "TLS_1_2"} // permits nothing
	}
	return &Name{Policy: policy, Endpoints: Regional | Edge | Private, Certificates: certs, Revision: rev}, nil
}

// load lists what the compiler follows into fresh sources, in step with the
// events that it returns: the prefixes are read one after the other, so commits
// made meanwhile are caught up with before anything is compiled. Otherwise half
// of a commit could be seen.
func (c *Compiler) load(ctx, follow context.Context) (<-chan store.Event, *touched, store.Revision, error) {
	type listed struct {
		in   *input
		docs []store.Document
		srcs []source
	}
	var lists []*listed
	var low, high store.Revision
	for i := range inputs {
		in := &inputs[i]
		if in.decode == nil {
			continue
		}
		docs, rev, err := c.st.List(ctx, store.Range{Prefix: in.prefix})
		if err != nil {
			return nil, nil, 0, fmt.Errorf("list %s: %w", in.prefix, err)
		}
		if len(lists) == 0 || rev < low {
			low = rev
		}
		high = max(high, rev)
		lists = append(lists, &listed{in: in, docs: docs, srcs: make([]source, len(docs))})
	}
	events, err := c.st.Watch(follow, low)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("watch: %w", err)
	}
	fresh, t := newSources(), newTouched()
	c.sources.everything(t) // what is gone by now
	for _, l := range lists {
		parallel(len(l.docs), func(i int) {
			l.srcs[i] = l.in.read(l.docs[i].Value, l.docs[i].Revision)
		})
		for i, doc := range l.docs {
			if parts := resource.SplitKey(doc.Key, l.in.prefix); len(parts) == l.in.parts {
				l.in.put(fresh, t, parts, l.srcs[i])
			}
		}
	}
	for rev := low; rev < high; {
		select {
		case ev, ok := <-events:
			if !ok {
				return nil, nil, 0, errors.New("watch ended while catching up")
			}
			fresh.apply(ev, t)
			rev = ev.Revision
		case <-ctx.Done():
			return nil, nil, 0, ctx.Err()
		}
	}
	c.sources = fresh
	fresh.everything(t)
	c.wakes = nil
	return events, t, high, nil
}

// Pauses between attempts to list again, doubled each time.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// follow compiles each commit as it comes. When the watch breaks off, it lists
// again; the last snapshot serves meanwhile.
func (c *Compiler) follow(ctx context.Context, events <-chan store.Event) {
	defer close(c.done)
	for {
		var timer <-chan time.Time
		stop := func() {}
		if len(c.wakes) > 0 {
			timer, stop = c.o.Timer(c.wakes[0].at.Sub(c.o.Now()))
		}
		now := c.Current()
		select {
		case <-ctx.Done():
			stop()
			return
		case ev, ok := <-events:
			if !ok {
				if events = c.loadAgain(ctx); events == nil {
					stop()
					return
				}
				break
			}
			t := newTouched()
			c.sources.apply(ev, t)
			c.publish(ctx, now, ev.Revision, t)
		case <-timer:
			c.publish(ctx, now, now.revision, c.due())
		case r := <-c.recert:
			t := newTouched()
			for id := range c.sources.apis {
				t.api(id)
			}
			for name := range c.sources.searches {
				t.searches[name] = struct{}{}
			}
			base := *now
			base.fallback, _ = c.defaultName(r.certs, now.fallback.Revision+1) // checked by the sender
			c.defaults = r.certs
			c.publishFrom(ctx, now, &base, now.revision, t)
			close(r.done)
		}
		stop()
	}
}

// loadAgain lists until it succeeds; nil when ctx ends.
func (c *Compiler) loadAgain(ctx context.Context) <-chan store.Event {
	for pause, attempt := firstPause, 1; ; pause, attempt = min(2*pause, lastPause), attempt+1 {
		if ctx.Err() != nil {
			return nil
		}
		now := c.Current()
		// A watch of its own context, so that an attempt leaves none behind.
		watch, cancel := context.WithCancel(ctx)
		events, t, rev, err := c.load(ctx, watch)
		if err == nil {
			context.AfterFunc(ctx, cancel)
			c.log.Info("store listed again", "revision", uint64(rev))
			c.publish(ctx, now, rev, t)
			return events
		}
		cancel()
		if attempt == 1 {
			c.log.Warn("store cannot be followed; the last snapshot serves", "revision", uint64(now.revision), "err", err)
		}
		timer, stop := c.o.Timer(pause)
		select {
		case <-ctx.Done():
		case <-timer:
		}
		stop()
	}
}

// A wake asks for an API or a domain name to be compiled again at an instant:
// the end of a transition, or another attempt to read from the store.
type wake struct {
	at   time.Time
	kind wakeKind
	id   string
}

// What a wake asks for.
type wakeKind uint8

const (
	wakesAPI wakeKind = iota
	wakesDomain
	wakesSearch
)

// wakes is a heap, soonest first. Entries are never taken out before their
// time: compiling once more than needed is harmless.
type wakes []wake

func (w wakes) Len() int           { return len(w) }
func (w wakes) Less(i, j int) bool { return w[i].at.Before(w[j].at) }
func (w wakes) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *wakes) Push(x any)        { *w = append(*w, x.(wake)) }
func (w *wakes) Pop() any {
	old := *w
	x := old[len(old)-1]
	*w = old[:len(old)-1]
	return x
}

// due takes what is to be compiled by now.
func (c *Compiler) due() *touched {
	t := newTouched()
	for now := c.o.Now(); len(c.wakes) > 0 && !c.wakes[0].at.After(now); {
		w := heap.Pop(&c.wakes).(wake)
		switch w.kind {
		case wakesAPI:
			c.touchAPI(t, w.id)
			continue
		case wakesSearch:
			t.searches[w.id] = struct{}{}
			c.touchUnread(t, c.sources.searches[w.id].searchCertificates())
			continue
		}
		t.domains[w.id] = struct{}{}
		if d := c.sources.domains[w.id]; d != nil {
			c.touchUnread(t, d.certificates())
		}
	}
	return t
}

// touchAPI touches an API and those of its stages that have a fault.
func (c *Compiler) touchAPI(t *touched, id string) {
	t.api(id)
	a := c.sources.apis[id]
	if a == nil {
		return
	}
	for name, st := range a.stages {
		if _, failed := c.Current().faults.get(resource.StageKey(id, name)); failed {
			t.stage(id, name, true)
			c.touchUnread(t, st.certificates())
		}
	}
}

// touchUnread touches those of the certificates that the store could not give.
func (c *Compiler) touchUnread(t *touched, keys []string) {
	for _, key := range keys {
		var read *readError
		if errors.As(c.certificates[key].err, &read) {
			t.certificates[key] = struct{}{}
		}
	}
}

// readError is a store that could not be read, which says nothing about the
// document: it is tried again after readPause.
type readError struct{ err error }

const readPause = time.Second

func (e *readError) Error() string { return "cannot be read: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// get reads a document that sources do not hold.
func (c *Compiler) get(ctx context.Context, key string) (store.Document, error) {
	doc, err := c.st.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		err = &readError{err}
	}
	return doc, err
}

// verdict is the outcome of compiling what key names.
type verdict struct {
	key     string
	err     error
	serving bool // an earlier good version is still in force
	refused []Refusal
}

// compiled is an API or a domain name as it came out; nil: there is none.
type compiled struct {
	id       string
	now      time.Time
	api      *API
	name     *Name
	verdicts []verdict
	wake     time.Time
}

func (r *compiled) judge(key string, err error, serving bool, refused []Refusal) {
	r.verdicts = append(r.verdicts, verdict{key, err, serving, refused})
	var read *readError
	if errors.As(err, &read) && r.wake.IsZero() {
		r.wake = r.now.Add(readPause)
	}
}

// publish compiles what is touched and puts the outcome in force as revision.
func (c *Compiler) publish(ctx context.Context, old *Snapshot, rev store.Revision, t *touched) {
	base := *old
	c.publishFrom(ctx, old, &base, rev, t)
}

// publishFrom is publish with next being a copy of old that the caller may have
// changed.
func (c *Compiler) publishFrom(ctx context.Context, old, next *Snapshot, rev store.Revision, t *touched) {
	next.revision = rev
	changed := next.fallback != old.fallback
	if !t.empty() || len(t.certificates) > 0 {
		changed = c.compile(ctx, old, next, t) || changed
	}
	first := c.Current() == nil
	if changed && !first && c.o.BeforeSwap != nil {
		c.o.BeforeSwap(old, next)
	}
	c.current.Store(next)
	if changed && !first && c.o.AfterSwap != nil {
		c.o.AfterSwap(old, next)
	}
	if c.o.Node == "" {
		return
	}
	if err := c.st.Report(ctx, c.o.Node, rev); err != nil && ctx.Err() == nil {
		c.log.Warn("served revision not reported", "node", c.o.Node, "revision", uint64(rev), "err", err)
	}
}

// compile compiles what is touched on top of old into next and reports whether
// anything came out differently.
func (c *Compiler) compile(ctx context.Context, old, next *Snapshot, t *touched) bool {
	now := c.o.Now()
	old.touchLinked(t)
	c.readCertificates(ctx, t)

	apis := make([]compiled, len(t.apis))
	ids := slices.Collect(maps.Keys(t.apis))
	parallel(len(ids), func(i int) {
		apis[i] = c.compileAPI(ctx, ids[i], t.apis[ids[i]], old.API(ids[i]), now)
	})
	domains := make([]compiled, len(t.domains))
	names := slices.Collect(maps.Keys(t.domains))
	parallel(len(names), func(i int) {
		domains[i] = c.compileDomainName(old, names[i], now)
	})

	faults, refused := old.faults.edit(), old.refused.edit()
	table := old.apis.edit()
	for i := range apis {
		r := &apis[i]
		if r.api != nil {
			if was, ok := table.get(r.id); !ok || was != r.api {
				table.set(r.id, r.api)
			}
		} else {
			table.delete(r.id)
		}
		c.settle(r, wakesAPI, next.revision, faults, refused)
	}
	exact, wild := old.names.edit(), old.wildcards.edit()
	for i := range domains {
		r := &domains[i]
		into, key := exact, r.id
		if parent, ok := wildcardParent(r.id); ok {
			into, key = wild, parent
		}
		if r.name != nil {
			if was, ok := into.get(key); !ok || was != r.name {
				into.set(key, r.name)
			}
		} else {
			into.delete(key)
		}
		c.settle(r, wakesDomain, next.revision, faults, refused)
	}
	searched := c.compileSearches(old, next, t, faults, refused)
	next.apis, next.names, next.wildcards = table.index(), exact.index(), wild.index()
	next.faults, next.refused = faults.index(), refused.index()
	return searched || table.changed() || exact.changed() || wild.changed() || faults.changed() || refused.changed()
}

// settle takes the verdicts of one compilation into account, and logs those
// that are new.
func (c *Compiler) settle(r *compiled, kind wakeKind, rev store.Revision, faults *edit[Fault], refused *edit[[]Refusal]) {
	if !r.wake.IsZero() {
		heap.Push(&c.wakes, wake{r.wake, kind, r.id})
	}
	for _, v := range r.verdicts {
		was, had := faults.get(v.key)
		switch {
		case v.err != nil:
			f := Fault{Key: v.key, Reason: v.err.Error(), Since: rev, Serving: v.serving}
			if had && was.Reason == f.Reason {
				f.Since = was.Since
			}
			if f != was {
				faults.set(v.key, f)
				c.log.Warn("does not compile; set aside", "key", f.Key, "err", f.Reason, "serving", f.Serving, "revision", uint64(f.Since))
			}
			if v.serving {
				continue // refusals are those of the version that serves
			}
		case had:
			faults.delete(v.key)
			c.log.Info("fault is gone", "key", v.key, "revision", uint64(rev))
		}
		list, _ := refused.get(v.key)
		if slices.Equal(list, v.refused) {
			continue
		}
		if len(v.refused) == 0 {
			refused.delete(v.key)
			continue
		}
		refused.set(v.key, v.refused)
		for _, f := range v.refused {
			if !slices.Contains(list, f) {
				c.log.Warn("guard is not enforced yet; what it guards is refused", "key", f.Key, "method", f.Method, "guard", f.Guard, "revision", uint64(rev))
			}
		}
	}
}

// compileAPI compiles an API's default endpoint and its touched stages.
func (c *Compiler) compileAPI(ctx context.Context, id string, t *touchedAPI, old *API, now time.Time) compiled {
	r := compiled{id: id, now: now}
	key := resource.RestAPIKey(id)
	src := c.sources.apis[id]
	if src == nil || src.api.rev == 0 {
		r.judge(key, nil, false, nil)
		for name := range t.stages {
			r.judge(resource.StageKey(id, name), nil, false, nil)
		}
		return r
	}
	var before *Name
	next := API{ID: id}
	if old != nil {
		next, before = *old, old.endpoint
	}
	endpoint, wake, err := c.compileEndpoint(id, src, before, now)
	r.wake = wake
	r.judge(key, err, old != nil, nil)
	switch {
	case err == nil:
		next.Name = src.api.facts.(apiFacts).name
		next.Endpoint, next.Private = endpoint.Endpoints, endpoint.Endpoints&Private != 0
		next.endpoint = endpoint
	case old == nil:
		return r
	}
	stages := t.stages
	if old == nil { // stages that came before their API could compile
		stages = make(map[string]bool, len(src.stages))
		for name := range src.stages {
			stages[name] = t.stages[name]
		}
	}
	next.Stages = c.compileStages(ctx, &r, id, src, old, stages)
	if old != nil && old.Name == next.Name && old.endpoint == next.endpoint && maps.Equal(old.Stages, next.Stages) {
		r.api = old
	} else {
		r.api = &next
	}
	return r
}

// compileStages returns the API's stages with the touched ones compiled anew.
func (c *Compiler) compileStages(ctx context.Context, r *compiled, id string, src *apiSource, old *API, touched map[string]bool) map[string]*Stage {
	stages := make(map[string]*Stage)
	deployments := make(map[string]*deployment)
	if old != nil {
		maps.Copy(stages, old.Stages)
		for _, st := range old.Stages {
			deployments[st.Deployment] = st.deployment
		}
	}
	for name := range touched {
		if st := src.stages[name]; touched[name] && st != nil {
			if f, ok := st.stage.facts.(stageFacts); ok {
				delete(deployments, f.deployment)
			}
		}
	}
	for name := range touched {
		key := resource.StageKey(id, name)
		st := src.stages[name]
		if st == nil || st.stage.rev == 0 {
			delete(stages, name)
			r.judge(key, nil, false, nil)
			continue
		}
		stage, err := c.compileStage(ctx, id, name, st, deployments)
		if err != nil {
			r.judge(key, err, stages[name] != nil, nil)
			continue
		}
		stages[name] = stage
		r.judge(key, nil, false, stage.refusals(key))
	}
	return stages
}

// compileStage compiles a stage; deployments are those at hand, to which it adds.
func (c *Compiler) compileStage(ctx context.Context, api, name string, src *stageSource, deployments map[string]*deployment) (*Stage, error) {
	if src.stage.err != nil {
		return nil, src.stage.err
	}
	id := src.stage.facts.(stageFacts).deployment
	d := deployments[id]
	if d == nil {
		doc, err := c.get(ctx, resource.FrozenKey(api, id))
		if err == nil {
			err = safely(func() error {
				d, err = compileDeployment(doc.Value, c.executeARN(api))
				return err
			})
		}
		if err != nil {
			return nil, fmt.Errorf("deployment %s: %w", id, err)
		}
		deployments[id] = d
	}
	stage, err := compileStage(api, name, src, d, c.sources.links)
	if err == nil {
		err = c.certify(stage, src)
	}
	if err != nil {
		return nil, err
	}
	return stage, nil
}

func (c *Compiler) executeARN(api string) string {
	at := resource.Place{Region: c.o.Region, Account: c.o.Account, Suffix: c.o.Suffixes[0]}
	return resource.ExecuteAPIARN(at, api)
}

// compileDomainName compiles a custom domain name with its mappings.
func (c *Compiler) compileDomainName(old *Snapshot, id string, now time.Time) compiled {
	r := compiled{id: id, now: now}
	key := resource.DomainNameKey(id)
	src := c.sources.domains[id]
	if src == nil || src.domain.rev == 0 {
		r.judge(key, nil, false, nil)
		return r
	}
	var before *Name
	if parent, ok := wildcardParent(id); ok {
		before, _ = old.wildcards.get(parent)
	} else {
		before, _ = old.names.get(id)
	}
	name, wake, err := c.compileDomain(id, src, before, now)
	r.wake = wake
	if err != nil {
		r.name = before
		r.judge(key, err, before != nil, nil)
		return r
	}
	r.name = name
	var refused []Refusal
	if name.Refused != "" {
		refused = []Refusal{{Key: key, Guard: name.Refused}}
	}
	r.judge(key, nil, false, refused)
	return r
}

// readCertificates reads the key material that touched domain names and stages
// use, where it is not at hand or has changed, and drops what nothing uses any
// more. Material of the same revision stays the same certificate: connections
// are shared by its pointer.
func (c *Compiler) readCertificates(ctx context.Context, t *touched) {
	past := make(map[string]certificate, len(t.certificates))
	for key := range t.certificates {
		if known, ok := c.certificates[key]; ok {
			past[key] = known
			delete(c.certificates, key)
		}
	}
	wanted := make(map[string]struct{})
	want := func(keys []string) {
		for _, key := range keys {
			if _, have := c.certificates[key]; !have {
				wanted[key] = struct{}{}
			}
		}
	}
	for name := range t.domains {
		if d := c.sources.domains[name]; d != nil {
			want(d.certificates())
		}
	}
	for name := range t.searches {
		want(c.sources.searches[name].searchCertificates())
	}
	for id, touched := range t.apis {
		for name := range touched.stages {
			if a := c.sources.apis[id]; a != nil && a.stages[name] != nil {
				want(a.stages[name].certificates())
			}
		}
	}
	keys := slices.Collect(maps.Keys(wanted))
	read := make([]certificate, len(keys))
	parallel(len(keys), func(i int) {
		doc, err := c.get(ctx, keys[i])
		if known, ok := past[keys[i]]; ok && err == nil && known.err == nil && known.rev == doc.Revision {
			read[i] = known
			return
		}
		read[i] = certificate{rev: doc.Revision, err: err}
		if err == nil {
			read[i].err = safely(func() (err error) {
				read[i].pair, err = compileCertificate(keys[i], doc.Value, c.o.Sealer)
				return err
			})
		}
	})
	for i, key := range keys {
		c.certificates[key] = read[i]
	}
	if len(c.certificates) > len(c.sources.users) {
		for key := range c.certificates {
			if _, used := c.sources.users[key]; !used {
				delete(c.certificates, key)
			}
		}
	}
}

// safely turns a panic over a document into a fault of that document.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("compiling panics: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}

// parallel calls f with 0 to n-1 on all processors; few calls run in place.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n/4)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

package auditor

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// faulty is a store that can be full, unreadable, and compacted.
type faulty struct {
	store.Store
	full, unreadable, compacted atomic.Bool
	cut                         chan struct{} // closes the channel of the watch that is open
}

var errDisk = errors.New("no space left on device")

func (f *faulty) Commit(ctx context.Context, c store.Change) (store.Revision, error) {
	if f.full.Load() {
		return 0, errDisk
	}
	return f.Store.Commit(ctx, c)
}

func (f *faulty) List(ctx context.Context, r store.Range) ([]store.Document, store.Revision, error) {
	if f.unreadable.Load() && r.Prefix == resource.PrefixStages {
		return nil, 0, errDisk
	}
	return f.Store.List(ctx, r)
}

func (f *faulty) Watch(ctx context.Context, from store.Revision) (<-chan store.Event, error) {
	if f.compacted.Swap(false) {
		return nil, store.ErrCompacted
	}
	in, err := f.Store.Watch(ctx, from)
	if err != nil {
		return nil, err
	}
	out := make(chan store.Event)
	go func() {
		defer close(out)
		for {
			select {
			case <-f.cut:
				return
			case e, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

// What a full store would not take is written as soon as it takes something
// again: the findings keep their ids and dates over the next restart.
func TestFullStore(t *testing.T) {
	w := newWorld(t)
	f := &faulty{Store: w.st}
	f.full.Store(true)
	if _, err := Open(t.Context(), Options{Store: f, Region: "us-east-1"}); !errors.Is(err, errDisk) {
		t.Errorf("a store that never held anything: %v", err)
	}
	f.full.Store(false)
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage("")})
	if _, err := Open(t.Context(), Options{Store: f, Region: "us-east-1", Account: "000000000000"}); err != nil {
		t.Fatal(err)
	}
	w.put(map[string]any{resource.DomainNameKey("api.example.com"): domainName("TLS_1_2")})

	f.full.Store(true)
	a, err := Open(t.Context(), Options{Store: f, Region: "us-east-1", Account: "000000000000"})
	if err != nil {
		t.Fatalf("a gateway with a full disk is not judged: %v", err)
	}
	id := func(a *Auditor) string {
		for _, r := range a.Records() {
			if r.Finding.Resource.ID == nameARN && r.Finding.Control == "APIGateway.11" {
				return r.State.ID
			}
		}
		return ""
	}
	before := id(a)
	if before == "" {
		t.Fatal("no finding")
	}
	if err := a.Update(t.Context(), before, func(s *State) error { s.Workflow = Notified; return nil }); !errors.Is(err, errDisk) {
		t.Errorf("what cannot be kept was taken: %v", err)
	}
	f.full.Store(false)
	if err := a.Evaluate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, err = Open(t.Context(), Options{Store: w.st, Region: "us-east-1", Account: "000000000000"}); err != nil {
		t.Fatal(err)
	}
	if after := id(a); after != before {
		t.Errorf("after the restart the finding is %s, it was %s", after, before)
	}
}

// A watch that lost its place: everything is read anew, what went meanwhile is
// archived, and what was seen on the wire before does not count. A reading that
// fails leaves the verdicts as they were.
func TestLostWatch(t *testing.T) {
	w := newWorld(t)
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage(""), resource.DomainNameKey("api.example.com"): domainName("TLS_1_2")})
	f := &faulty{Store: w.st, cut: make(chan struct{})}
	told := make(chan int, 100)
	a, err := Open(t.Context(), Options{Store: f, Region: "us-east-1", Account: "000000000000", Changed: func(some []posture.Finding) { told <- len(some) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if n := <-told; n != 1 {
		t.Errorf("%d findings to probe, want that of the domain name", n)
	}
	at := time.Now()
	a.Witness(nameARN, posture.Evidence{Kind: posture.Probe, Value: "accepts TLSv1.2", Time: &at})
	if err := a.WaitFor(ctx, w.head(t)); err != nil {
		t.Fatal(err)
	}

	f.compacted.Store(true)
	f.unreadable.Store(true)
	f.cut <- struct{}{}
	if err := <-done; !errors.Is(err, errDisk) {
		t.Fatalf("Run: %v", err)
	}
	if n := len(a.Report().Findings); n == 0 {
		t.Error("a reading that failed left no verdicts")
	}

	f.unreadable.Store(false)
	f.compacted.Store(true)
	rev, err := w.st.Commit(t.Context(), store.Change{Deletes: []string{resource.StageKey("a1", "prod")}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- a.Run(ctx) }()
	if err := a.WaitFor(ctx, rev); err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Records() {
		if r.Finding.Resource.ID == stageARN && r.State.Archived != ResourceGone {
			t.Errorf("%s of a stage that is no more: %+v", r.Finding.Control, r.State)
		}
		for _, e := range r.Finding.Evidence {
			if strings.HasPrefix(e.Value, "accepts") {
				t.Error("evidence of before the gap counts")
			}
		}
	}
	for n := range told { // once for Run, and once more after the gap
		if n == 1 {
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// head is the revision of the store now.
func (w *world) head(t *testing.T) store.Revision {
	_, rev, err := w.st.List(t.Context(), store.Range{Prefix: prefixDossiers, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// Evidence of what went while it was asked is not kept.
func TestWitnessOfTheGone(t *testing.T) {
	w := newWorld(t)
	w.put(map[string]any{resource.DomainNameKey("api.example.com"): domainName("TLS_1_2")})
	w.open()
	w.a.Witness(nameARN, posture.Evidence{Kind: posture.Probe})
	w.put(nil, resource.DomainNameKey("api.example.com"))
	w.a.Witness(nameARN, posture.Evidence{Kind: posture.Probe})
	w.a.mu.RLock()
	defer w.a.mu.RUnlock()
	if len(w.a.evidence) != 0 {
		t.Errorf("%v", w.a.evidence)
	}
}

// Package storetest is the contract of package store as tests: every engine
// passes Run, and every program that keeps its data in a file survives Kill.
//
//	func TestContract(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { ... })
//	}
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/store"
)

// patience bounds every wait: only a broken engine reaches it.
const patience = 20 * time.Second

// Run runs the contract. Open returns a new, empty store each time and closes
// it when the test ends; closing it twice must be harmless.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range contract {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c.test(t, &subject{Store: open(t), t: t, ctx: ctx})
		})
	}
}

var contract = []struct {
	name string
	test func(*testing.T, *subject)
}{
	{"an empty store", testEmpty},
	{"commits", testCommits},
	{"invalid changes", testInvalid},
	{"ranges", testRanges},
	{"values are copies", testCopies},
	{"watch", testWatch},
	{"watch a revision never held", testWatchCompacted},
	{"watch ends", testWatchEnds},
	{"contexts that ended", testContexts},
	{"served", testServed},
	{"close", testClose},
	{"no update is lost", testLostUpdates},
	{"no reader sees half a change", testHalfChange},
	{"watchers see each revision once in order", testWatchers},
}

// subject is a store under test with the words that tests are written in.
type subject struct {
	store.Store
	t   *testing.T
	ctx context.Context
}

func (s *subject) commit(c store.Change) store.Revision {
	s.t.Helper()
	rev, err := s.Commit(s.ctx, c)
	if err != nil {
		s.t.Fatalf("Commit(%+v): %v", c, err)
	}
	return rev
}

func (s *subject) refuse(c store.Change, want error) {
	s.t.Helper()
	if rev, err := s.Commit(s.ctx, c); !errors.Is(err, want) || rev != 0 {
		s.t.Fatalf("Commit(%+v) = %d, %v; want %v", c, rev, err, want)
	}
}

// dump returns all documents as "key=value@revision" and the revision.
func (s *subject) dump(r store.Range) ([]string, store.Revision) {
	s.t.Helper()
	docs, rev, err := s.List(s.ctx, r)
	if err != nil {
		s.t.Fatalf("List(%+v): %v", r, err)
	}
	var out []string
	for _, d := range docs {
		out = append(out, fmt.Sprintf("%s=%s@%d", d.Key, d.Value, d.Revision))
	}
	return out, rev
}

func (s *subject) watch(from store.Revision) <-chan store.Event {
	s.t.Helper()
	events, err := s.Watch(s.ctx, from)
	if err != nil {
		s.t.Fatalf("Watch(%d): %v", from, err)
	}
	return events
}

// next returns the next event as "revision key=value key-".
func (s *subject) next(events <-chan store.Event) string {
	s.t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			return "closed"
		}
		return eventText(e)
	case <-s.ctx.Done():
		s.t.Fatal("no event came")
		return ""
	}
}

func eventText(e store.Event) string {
	parts := []string{strconv.FormatUint(uint64(e.Revision), 10)}
	for _, c := range e.Changes {
		if c.Value == nil {
			parts = append(parts, c.Key+"-")
		} else {
			parts = append(parts, c.Key+"="+string(c.Value))
		}
	}
	return strings.Join(parts, " ")
}

func (s *subject) equal(what string, got, want any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// put is short for the puts of a change: key, value, key, value.
func put(kv ...string) []store.Put {
	var puts []store.Put
	for i := 0; i < len(kv); i += 2 {
		puts = append(puts, store.Put{Key: kv[i], Value: []byte(kv[i+1])})
	}
	return puts
}

func testEmpty(t *testing.T, s *subject) {
	if doc, err := s.Get(s.ctx, "a"); !errors.Is(err, store.ErrNotFound) || doc.Value != nil {
		t.Errorf("Get = %+v, %v; want ErrNotFound", doc, err)
	}
	docs, rev := s.dump(store.Range{})
	s.equal("documents", docs, []string(nil))
	s.equal("revision", rev, store.Revision(0))
}

func testCommits(t *testing.T, s *subject) {
	guard := func(key string, rev store.Revision) []store.Guard { return []store.Guard{{Key: key, Revision: rev}} }
	for _, step := range []struct {
		change store.Change
		err    error    // nil: committed
		want   []string // the whole store afterwards
	}{
		{store.Change{Puts: put("a", "1")}, nil, []string{"a=1@1"}},
		{store.Change{Puts: put("a", "2", "b", "")}, nil, []string{"a=2@2", "b=@2"}},
		{store.Change{Guards: guard("a", 2), Puts: put("a", "3")}, nil, []string{"a=3@3", "b=@2"}},
		// A guard that does not hold refuses the whole change and takes no revision.
		{store.Change{Guards: guard("a", 2), Puts: put("a", "4", "c", "4")}, store.ErrConflict, []string{"a=3@3", "b=@2"}},
		{store.Change{Guards: guard("a", 4), Puts: put("a", "4")}, store.ErrConflict, []string{"a=3@3", "b=@2"}},
		{store.Change{Guards: guard("a", 0), Puts: put("a", "4")}, store.ErrConflict, []string{"a=3@3", "b=@2"}},
		{store.Change{Guards: guard("none", 1), Puts: put("a", "4")}, store.ErrConflict, []string{"a=3@3", "b=@2"}},
		{store.Change{Guards: append(guard("b", 2), guard("a", 1)...), Deletes: []string{"a"}}, store.ErrConflict, []string{"a=3@3", "b=@2"}},
		// Zero demands absence; the guarded key need not be the written one.
		{store.Change{Guards: guard("c", 0), Puts: put("c", "4")}, nil, []string{"a=3@3", "b=@2", "c=4@4"}},
		{store.Change{Guards: guard("b", 2), Deletes: []string{"c"}}, nil, []string{"a=3@3", "b=@2"}},
		// Deleting what is not there is a commit all the same.
		{store.Change{Deletes: []string{"none"}}, nil, []string{"a=3@3", "b=@2"}},
		{store.Change{Puts: put("p/1", "7", "p/2", "7", "p", "7", "q/1", "7")}, nil,
			[]string{"a=3@3", "b=@2", "p=7@7", "p/1=7@7", "p/2=7@7", "q/1=7@7"}},
		// Prefixes go before puts, so one change replaces a tree.
		{store.Change{DeletePrefixes: []string{"p/", "q"}, Puts: put("p/2", "8"), Deletes: []string{"b"}}, nil,
			[]string{"a=3@3", "p=7@7", "p/2=8@8"}},
		{store.Change{DeletePrefixes: []string{"p", "p/", "nothing"}}, nil, []string{"a=3@3"}},
		// A key that was deleted must not exist again until it is put.
		{store.Change{Guards: guard("p/2", 8), Puts: put("x", "x")}, store.ErrConflict, []string{"a=3@3"}},
		{store.Change{Guards: guard("p/2", 0), Puts: put("p/2", "10")}, nil, []string{"a=3@3", "p/2=10@10"}},
	} {
		_, before := s.dump(store.Range{})
		rev, err := s.Commit(s.ctx, step.change)
		if !errors.Is(err, step.err) {
			t.Fatalf("Commit(%+v): %v, want %v", step.change, err, step.err)
		}
		want := before
		if err == nil {
			want++
			s.equal("revision returned", rev, want)
		}
		docs, after := s.dump(store.Range{})
		s.equal(fmt.Sprintf("documents after %+v", step.change), docs, step.want)
		s.equal("revision listed", after, want)
	}
	doc, err := s.Get(s.ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	s.equal("Get", doc, store.Document{Key: "a", Value: []byte("3"), Revision: 3})
}

func testInvalid(t *testing.T, s *subject) {
	long := strings.Repeat("k", store.MaxKeyBytes)
	for _, c := range []struct {
		change store.Change
		want   error
	}{
		{store.Change{}, store.ErrInvalidChange},
		{store.Change{Guards: []store.Guard{{Key: "a"}}}, store.ErrInvalidChange},
		{store.Change{Puts: put("", "1")}, store.ErrInvalidChange},
		{store.Change{Puts: put("a", "1", "a", "2")}, store.ErrInvalidChange},
		{store.Change{Puts: put("a", "1"), Deletes: []string{"a"}}, store.ErrInvalidChange},
		{store.Change{Deletes: []string{""}}, store.ErrInvalidChange},
		{store.Change{DeletePrefixes: []string{""}}, store.ErrInvalidChange}, // would empty the store
		{store.Change{Puts: put("\xff", "1")}, store.ErrInvalidChange},
		{store.Change{Puts: put(long, "fits")}, nil},
		{store.Change{Puts: put(long+"k", "1")}, store.ErrTooLarge},
		{store.Change{Puts: []store.Put{{Key: "a", Value: make([]byte, store.MaxChangeBytes)}}}, store.ErrTooLarge},
	} {
		rev, err := s.Commit(s.ctx, c.change)
		if !errors.Is(err, c.want) {
			t.Errorf("Commit of %d puts, %d deletes = %d, %v; want %v", len(c.change.Puts), len(c.change.Deletes), rev, err, c.want)
		}
	}
	_, rev := s.dump(store.Range{})
	s.equal("revision", rev, store.Revision(1)) // refusals take none
}

func testRanges(t *testing.T, s *subject) {
	s.commit(store.Change{Puts: put("a", "", "b", "", "b/1", "", "b/2", "", "b/3", "", "b0", "", "c", "", "é", "")})
	for _, c := range []struct {
		r    store.Range
		want string
	}{
		{store.Range{}, "a b b/1 b/2 b/3 b0 c é"},
		{store.Range{Prefix: "b"}, "b b/1 b/2 b/3 b0"},
		{store.Range{Prefix: "b/"}, "b/1 b/2 b/3"},
		{store.Range{Prefix: "b/", Limit: 2}, "b/1 b/2"},
		{store.Range{Prefix: "b/", After: "b/2", Limit: 2}, "b/3"},
		{store.Range{Prefix: "b/", After: "b/2x"}, "b/3"}, // the key that paging stopped at may be gone
		{store.Range{Prefix: "b/", After: "b/3"}, ""},
		{store.Range{Prefix: "b/", After: "a"}, "b/1 b/2 b/3"},
		{store.Range{Prefix: "b/", After: "z"}, ""},
		{store.Range{Prefix: "b", After: "b"}, "b/1 b/2 b/3 b0"},
		{store.Range{After: "b/3", Limit: 1}, "b0"},
		{store.Range{Prefix: "none"}, ""},
		{store.Range{Limit: 100}, "a b b/1 b/2 b/3 b0 c é"},
	} {
		docs, rev, err := s.List(s.ctx, c.r)
		if err != nil || rev != 1 {
			t.Fatalf("List(%+v): revision %d, %v", c.r, rev, err)
		}
		var keys []string
		for _, d := range docs {
			keys = append(keys, d.Key)
		}
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("List(%+v) = %q, want %q", c.r, got, c.want)
		}
	}
}

func testCopies(t *testing.T, s *subject) {
	first, second := s.watch(0), s.watch(0)
	value := []byte("given")
	s.commit(store.Change{Puts: []store.Put{{Key: "a", Value: value}}})
	copy(value, "XXXXX")
	scribble := func(b []byte, where string) {
		if string(b) != "given" {
			t.Errorf("%s = %q, want %q", where, b, "given")
		}
		copy(b, "XXXXX")
	}
	for range 2 {
		doc, err := s.Get(s.ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		scribble(doc.Value, "Get")
		docs, _, err := s.List(s.ctx, store.Range{})
		if err != nil {
			t.Fatal(err)
		}
		scribble(docs[0].Value, "List")
	}
	scribble((<-first).Changes[0].Value, "first watcher")
	scribble((<-second).Changes[0].Value, "second watcher")
}

func testWatch(t *testing.T, s *subject) {
	start := s.watch(0)
	s.commit(store.Change{Puts: put("b", "1", "a", "")})
	s.commit(store.Change{Puts: put("p/1", "2", "p/2", "2")})
	s.equal("first", s.next(start), "1 a= b=1") // keys ascend, an empty value is not a deletion
	middle := s.watch(1)
	s.refuse(store.Change{Guards: []store.Guard{{Key: "a"}}, Puts: put("a", "x")}, store.ErrConflict) // no event
	s.commit(store.Change{Deletes: []string{"b", "none"}})
	s.commit(store.Change{DeletePrefixes: []string{"p/"}, Puts: put("p/2", "4", "a", "4")})
	s.commit(store.Change{Deletes: []string{"none"}})
	end := s.watch(5)
	for _, want := range []string{"2 p/1=2 p/2=2", "3 b-", "4 a=4 p/1- p/2=4", "5"} {
		s.equal("from the start", s.next(start), want)
		s.equal("from the middle", s.next(middle), want)
	}
	s.commit(store.Change{Puts: put("z", "6")})
	for _, events := range []<-chan store.Event{start, middle, end} {
		s.equal("all", s.next(events), "6 z=6")
	}
}

func testWatchCompacted(t *testing.T, s *subject) {
	s.commit(store.Change{Puts: put("a", "1")})
	if _, err := s.Watch(s.ctx, 2); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("Watch of a revision to come: %v, want ErrCompacted", err)
	}
}

func testWatchEnds(t *testing.T, s *subject) {
	ctx, cancel := context.WithCancel(s.ctx)
	idle, err := s.Watch(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s.equal("after its context ended", s.next(idle), "closed")
	open := s.watch(0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.equal("after Close", s.next(open), "closed")
}

func testContexts(t *testing.T, s *subject) {
	s.commit(store.Change{Puts: put("a", "1")})
	if err := s.Report(s.ctx, "node", 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for name, call := range map[string]func() error{
		"Get":        func() error { _, err := s.Get(ctx, "a"); return err },
		"List":       func() error { _, _, err := s.List(ctx, store.Range{}); return err },
		"Commit":     func() error { _, err := s.Commit(ctx, store.Change{Puts: put("a", "2")}); return err },
		"Watch":      func() error { _, err := s.Watch(ctx, 1); return err },
		"Report":     func() error { return s.Report(ctx, "node", 1) },
		"Served":     func() error { _, err := s.Served(ctx); return err },
		"WaitServed": func() error { return s.WaitServed(ctx, 1) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	docs, _ := s.dump(store.Range{})
	s.equal("documents", docs, []string{"a=1@1"})
}

func testServed(t *testing.T, s *subject) {
	if err := s.WaitServed(s.ctx, 5); err != nil { // nobody to wait for
		t.Fatal(err)
	}
	for range 3 {
		s.commit(store.Change{Puts: put("a", "1")})
	}
	for _, step := range []struct {
		node string
		rev  store.Revision
		want store.Revision
	}{
		{"one", 2, 2},
		{"two", 1, 1},
		{"two", 3, 2},
		{"one", 1, 2}, // what was served once, stays served
	} {
		if err := s.Report(s.ctx, step.node, step.rev); err != nil {
			t.Fatal(err)
		}
		served, err := s.Served(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		s.equal(fmt.Sprintf("served after %+v", step), served, step.want)
	}
	if err := s.WaitServed(s.ctx, 2); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- s.WaitServed(s.ctx, 3) }()
	if err := s.Report(s.ctx, "one", 3); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
}

func testClose(t *testing.T, s *subject) {
	s.commit(store.Change{Puts: put("a", "1")})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range map[string]func() error{
		"Get":        func() error { _, err := s.Get(s.ctx, "a"); return err },
		"List":       func() error { _, _, err := s.List(s.ctx, store.Range{}); return err },
		"Commit":     func() error { _, err := s.Commit(s.ctx, store.Change{Puts: put("a", "2")}); return err },
		"Watch":      func() error { _, err := s.Watch(s.ctx, 1); return err },
		"Report":     func() error { return s.Report(s.ctx, "node", 1) },
		"Served":     func() error { _, err := s.Served(s.ctx); return err },
		"WaitServed": func() error { return s.WaitServed(s.ctx, 1) },
	} {
		if err := call(); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

// testLostUpdates lets many writers count in one document, each adding one to
// what it read.
func testLostUpdates(t *testing.T, s *subject) {
	const writers, each = 8, 15
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for done := 0; done < each; {
				n := 0
				doc, err := s.Get(s.ctx, "count")
				if err == nil {
					n, err = strconv.Atoi(string(doc.Value))
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
					return
				}
				_, err = s.Commit(s.ctx, store.Change{
					Guards: []store.Guard{{Key: "count", Revision: doc.Revision}},
					Puts:   put("count", strconv.Itoa(n+1)),
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	docs, rev := s.dump(store.Range{})
	s.equal("count", docs, []string{fmt.Sprintf("count=%d@%d", writers*each, writers*each)})
	s.equal("revision", rev, store.Revision(writers*each)) // no gaps: conflicts took none
}

// testHalfChange reads while changes replace a set of keys whole.
func testHalfChange(t *testing.T, s *subject) {
	const rounds = 60
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			var last store.Revision
			for {
				select {
				case <-stop:
					return
				default:
				}
				docs, rev, err := s.List(s.ctx, store.Range{Prefix: "set/"})
				if err != nil {
					t.Error(err)
					return
				}
				if rev < last {
					t.Errorf("revision went back from %d to %d", last, rev)
				}
				last = rev
				if rev > 0 && len(docs) != 3 {
					t.Errorf("%d documents at revision %d, want 3", len(docs), rev)
				}
				for _, d := range docs {
					if d.Revision != rev || !bytes.Equal(d.Value, docs[0].Value) {
						t.Errorf("%s@%d=%s beside %s at revision %d", d.Key, d.Revision, d.Value, docs[0].Value, rev)
					}
				}
			}
		})
	}
	for i := range rounds {
		n := strconv.Itoa(i)
		rev := s.commit(store.Change{
			DeletePrefixes: []string{"set/"},
			Puts:           put("set/a", n, "set/"+n, n, "set/z", n),
		})
		// What was acknowledged is seen by every later read.
		if doc, err := s.Get(s.ctx, "set/a"); err != nil || doc.Revision != rev {
			t.Errorf("after commit %d: Get = %+v, %v", rev, doc, err)
		}
	}
	close(stop)
	readers.Wait()
}

func testWatchers(t *testing.T, s *subject) {
	const watchers, writers, each = 4, 4, 20
	var all sync.WaitGroup
	for range watchers {
		events := s.watch(0)
		all.Go(func() {
			for want := store.Revision(1); want <= writers*each; want++ {
				select {
				case e, ok := <-events:
					if !ok || e.Revision != want || len(e.Changes) != 2 || string(e.Changes[0].Value) != string(e.Changes[1].Value) {
						t.Errorf("got %s, open %v, want revision %d with both keys", eventText(e), ok, want)
						return
					}
				case <-s.ctx.Done():
					t.Errorf("revision %d never came", want)
					return
				}
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				v := fmt.Sprintf("%d/%d", w, i)
				if _, err := s.Commit(s.ctx, store.Change{Puts: put("a", v, "b", v)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

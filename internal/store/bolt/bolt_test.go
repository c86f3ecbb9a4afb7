package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "store.db"), Options{}) })
}

// TestOpen: what is at the path, and what Open says to it.
func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want []string // parts of the error; none: it opens
	}{
		{"nothing", func(t *testing.T, path string) {}, nil},
		{"a store", func(t *testing.T, path string) { filled(t, path) }, nil},
		{"a store made read-only", func(t *testing.T, path string) {
			filled(t, path)
			must(t, os.Chmod(path, 0o644))
		}, []string{"mode 0644", "hint: chmod 600"}},
		{"open to the group", func(t *testing.T, path string) {
			filled(t, path)
			must(t, os.Chmod(path, 0o620))
		}, []string{"mode 0620"}},
		{"a directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, []string{"not a regular file"}},
		{"an empty file", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) }, []string{"not a Sallyport store"}},
		{"text", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte(strings.Repeat("not a store\n", 10_000)), 0o600))
		}, []string{"invalid database"}},
		{"another program's bolt file", func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, db.Close())
		}, []string{"not a Sallyport store"}},
		{"a later format", func(t *testing.T, path string) {
			filled(t, path)
			db, err := bbolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketAbout).Put(keyFormat, number(2)) }))
			must(t, db.Close())
		}, []string{"format 2, but this program knows format 1 only"}},
		{"a store cut short", func(t *testing.T, path string) {
			filled(t, path)
			must(t, os.Truncate(path, 3*4096))
		}, []string{"damaged"}},
		{"a store with both heads scrambled", func(t *testing.T, path string) {
			filled(t, path)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			_, err = f.WriteAt(slices.Repeat([]byte{0xa5}, 2*4096), 0)
			must(t, errors.Join(err, f.Close()))
		}, []string{"invalid database"}},
		{"locked", func(t *testing.T, path string) { open(t, path, Options{}) },
			[]string{"locked by another process", "hint: stop the other process"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			c.make(t, path)
			begin := time.Now()
			s, err := Open(path, Options{})
			if took := time.Since(begin); took > time.Second {
				t.Errorf("Open took %v", took)
			}
			if err == nil {
				defer s.Close()
				info, err := os.Stat(path)
				must(t, err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v", info.Mode())
				}
			}
			if (err == nil) != (c.want == nil) {
				t.Fatalf("Open: %v, want %q", err, c.want)
			}
			for _, part := range append(c.want, path) {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("Open: %v, want it to say %q", err, part)
				}
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "store.db"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open in a missing directory: %v", err)
	}
}

// TestOpenAtOnce: of many that create one file, one gets it.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	opened := make(chan *Store, 8)
	var all sync.WaitGroup
	for range cap(opened) {
		all.Go(func() {
			s, err := Open(path, Options{})
			if err == nil {
				opened <- s
			} else if !errors.Is(err, ErrLocked) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(opened) != 1 {
		t.Fatalf("%d opened it", len(opened))
	}
	must(t, (<-opened).Close())
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

// TestReopen: documents and revisions outlive the process; history begins anew.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	s := open(t, path, Options{})
	docs, rev, err := s.List(t.Context(), store.Range{})
	must(t, err)
	if rev != 20 || len(docs) != 20 || docs[7].Revision != 8 {
		t.Errorf("revision %d, %d documents", rev, len(docs))
	}
	if _, err := s.Watch(t.Context(), 19); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("Watch(19): %v", err)
	}
	events, err := s.Watch(t.Context(), 20)
	must(t, err)
	commit(t, s, "next", "1")
	if e := <-events; e.Revision != 21 {
		t.Errorf("event %+v", e)
	}
}

// TestHistoryBounds: a watcher lags as far as the bounds allow and no further.
func TestHistoryBounds(t *testing.T) {
	for _, c := range []struct {
		name    string
		opts    Options
		commits int
		held    store.Revision // the oldest revision that can be watched from
	}{
		{"at the limit of commits", Options{History: 10}, 10, 0},
		{"past it", Options{History: 10}, 11, 1},
		{"far past it", Options{History: 10}, 100, 90},
		{"at the limit of bytes", Options{HistoryBytes: 10 * 102}, 10, 0},
		{"past it by bytes", Options{HistoryBytes: 10 * 102}, 11, 1},
		{"one commit larger than all", Options{HistoryBytes: 50}, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "store.db"), c.opts)
			slow, err := s.Watch(t.Context(), 0)
			must(t, err)
			for range c.commits {
				commit(t, s, "k1", strings.Repeat("v", 100))
			}
			if _, err := s.Watch(t.Context(), c.held); err != nil {
				t.Errorf("Watch(%d): %v", c.held, err)
			}
			if c.held > 0 {
				if _, err := s.Watch(t.Context(), c.held-1); !errors.Is(err, store.ErrCompacted) {
					t.Errorf("Watch(%d): %v", c.held-1, err)
				}
			}
			// The slow watcher gets all, or an unbroken beginning and the end of
			// its channel. One commit may already have been on its way to it.
			got := store.Revision(0)
			for int(got) < c.commits {
				e, ok := <-slow
				if !ok {
					break
				}
				if got++; e.Revision != got {
					t.Fatalf("revision %d after %d", e.Revision, got-1)
				}
			}
			if all := int(got) == c.commits; c.held == 0 && !all || c.held > 1 && all {
				t.Errorf("the slow watcher got %d of %d", got, c.commits)
			}
		})
	}
}

// TestFull: a file at its bound refuses what does not fit, whole, and goes on.
func TestFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"), Options{MaxBytes: 8 << 20})
	large := store.Change{Puts: []store.Put{{Key: "large", Value: make([]byte, 9<<20)}, {Key: "small"}}}
	commit(t, s, "before", "1")
	if _, err := s.Commit(t.Context(), large); !errors.Is(err, store.ErrTooLarge) {
		t.Fatalf("Commit: %v", err)
	}
	if _, err := s.Get(t.Context(), "small"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of it was kept: %v", err)
	}
	// In one batch with others, it fails alone.
	batch := []*request{{change: large}, {change: putChange("a", "1")}, {change: large}, {change: putChange("b", "1")}}
	s.commit(batch) // the committer is idle: nothing else is under way
	for i, want := range []error{store.ErrTooLarge, nil, store.ErrTooLarge, nil} {
		if !errors.Is(batch[i].err, want) {
			t.Errorf("request %d: %v, want %v", i, batch[i].err, want)
		}
	}
	if batch[1].revision != 2 || batch[3].revision != 3 {
		t.Errorf("revisions %d and %d", batch[1].revision, batch[3].revision)
	}
	commit(t, s, "after", "1")
}

// TestFailingDisk takes the file away from under the store: TestFailScript does
// it at each call, but needs strace.
func TestFailingDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	filled(t, path)
	var file *os.File
	s := open(t, path, Options{openFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}})
	readOnly, err := os.Open(path)
	must(t, err)
	defer readOnly.Close()
	must(t, syscall.Dup3(int(readOnly.Fd()), int(file.Fd()), syscall.O_CLOEXEC))
	for range 2 {
		rev, err := s.Commit(t.Context(), putChange("lost", "1"))
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), path) {
			t.Fatalf("Commit: %d, %v", rev, err)
		}
	}
	docs, rev, err := s.List(t.Context(), store.Range{})
	if err != nil || rev != 20 || len(docs) != 20 {
		t.Errorf("List: %d documents, revision %d, %v", len(docs), rev, err)
	}
}

// TestGivenUp: a commit whose caller left before it began never happens.
func TestGivenUp(t *testing.T) {
	hold := make(chan struct{})
	s := open(t, filepath.Join(t.TempDir(), "store.db"), Options{committing: func() { <-hold }})
	ctx, cancel := context.WithCancel(t.Context())
	gave := make(chan error)
	go func() {
		_, err := s.Commit(ctx, putChange("a", "1"))
		gave <- err
	}()
	cancel()
	if err := <-gave; !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v", err)
	}
	close(hold)
	if rev := commit(t, s, "b", "1"); rev != 1 {
		t.Errorf("revision %d: the commit given up took one", rev)
	}
}

// TestNodesBound: Report takes so many names and no more.
func TestNodesBound(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"), Options{})
	for i := range maxNodes {
		must(t, s.Report(t.Context(), strconv.Itoa(i), 1))
	}
	if err := s.Report(t.Context(), "one more", 1); err == nil {
		t.Error("one more was taken")
	}
	must(t, s.Report(t.Context(), "0", 2))
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store.db"), Options{})
			value := strings.Repeat("v", 2000)
			work := make(chan int)
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for i := range work {
						commit(b, s, fmt.Sprintf("apis/%04d", i%5000), value)
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				work <- i
			}
			close(work)
			all.Wait()
		})
	}
}

func BenchmarkList10000(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "store.db"), Options{})
	var c store.Change
	for i := range 10_000 {
		c.Puts = append(c.Puts, store.Put{Key: fmt.Sprintf("apis/%05d", i), Value: []byte(strings.Repeat("v", 1000))})
	}
	_, err := s.Commit(b.Context(), c)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if docs, _, err := s.List(b.Context(), store.Range{Prefix: "apis/"}); err != nil || len(docs) != 10_000 {
			b.Fatal(len(docs), err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "store.db"), Options{})
	commit(b, s, "key", strings.Repeat("v", 1000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Get(b.Context(), "key"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen10000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "store.db")
	s, err := Open(path, Options{})
	must(b, err)
	for i := range 10 {
		var c store.Change
		for j := range 1000 {
			c.Puts = append(c.Puts, store.Put{Key: fmt.Sprintf("apis/%05d", i*1000+j), Value: make([]byte, 1000)})
		}
		_, err = s.Commit(b.Context(), c)
		must(b, err)
	}
	must(b, s.Close())
	for b.Loop() {
		s, err := Open(path, Options{})
		must(b, err)
		must(b, s.Close())
	}
}

func open(t testing.TB, path string, opts Options) *Store {
	t.Helper()
	s, err := Open(path, opts)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// filled makes a store of 20 commits, one document each, and closes it.
func filled(t testing.TB, path string) {
	t.Helper()
	s, err := Open(path, Options{})
	must(t, err)
	for i := range 20 {
		commit(t, s, fmt.Sprintf("key/%02d", i), strings.Repeat("v", 500))
	}
	must(t, s.Close())
}

func commit(t testing.TB, s *Store, key, value string) store.Revision {
	t.Helper()
	rev, err := s.Commit(context.Background(), putChange(key, value))
	if err != nil {
		t.Error(err) // not Fatal: benchmarks commit from many goroutines
	}
	return rev
}

func putChange(key, value string) store.Change {
	return store.Change{Puts: []store.Put{{Key: key, Value: []byte(value)}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

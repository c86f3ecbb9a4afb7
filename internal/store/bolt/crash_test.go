package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/storetest"
)

// victimEnv makes the test binary a victim of the kill walk: it names the
// program to be, of victims.
const victimEnv = "SALLYPORT_BOLT_VICTIM"

// victims are the programs. Each acknowledges on standard output, one line at
// a time, what the store told it is durable.
var victims = map[string]func(s *Store) error{
	"create":     func(s *Store) error { return runScript(s, 1) },
	"script":     func(s *Store) error { return runScript(s, scriptLength) },
	"concurrent": runConcurrent,
	"failing":    runFailing,
}

func TestMain(m *testing.M) {
	victim := victims[os.Getenv(victimEnv)]
	if victim == nil {
		os.Exit(m.Run())
	}
	// One thread each for the two goroutines that write, so that strace's
	// counts, which are by thread, name the same calls in each run.
	runtime.LockOSThread()
	s, err := Open(os.Args[1], Options{committing: runtime.LockOSThread})
	if err == nil {
		err = victim(s)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func walk(t *testing.T, program string, v storetest.Victim) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v.Argv = []string{exe, "{dir}/store.db"}
	v.Env = []string{
		victimEnv + "=" + program,
		"GORACE=atexit_sleep_ms=0", // by default each end under the race detector takes a second
	}
	storetest.Kill(t, v)
}

func createBefore(t *testing.T, dir string) {
	s, err := Open(filepath.Join(dir, "store.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKillCreate kills the creation of the file and its first commit.
func TestKillCreate(t *testing.T) {
	walk(t, "create", storetest.Victim{Points: 20, Check: checkScript, Trace: func(t *testing.T, calls []string) {
		storetest.SyncedBeforeAck("store.db")(t, calls)
		// The name is durable before the first acknowledgement: the directory
		// is synced after the link.
		text := strings.Join(calls, "\n")
		link := strings.LastIndex(text, "linkat(")
		if i := strings.Index(text[link:], "fsync("); link < 0 || i < 0 || i > strings.Index(text[link:], "write(1<") {
			t.Errorf("the directory is not synced between link and acknowledgement:\n%s", text)
		}
	}})
}

// TestKillScript kills a series of changes, one after the other.
func TestKillScript(t *testing.T) {
	walk(t, "script", storetest.Victim{
		Points: 200, Prepare: createBefore, Check: checkScript, Trace: storetest.SyncedBeforeAck("store.db"),
	})
}

// TestKillConcurrent kills commits that share their syncs.
func TestKillConcurrent(t *testing.T) {
	walk(t, "concurrent", storetest.Victim{Points: 60, Prepare: createBefore, Check: checkConcurrent})
}

// TestFailScript lets each write and sync of the script fail once. The program
// itself checks what is left to it; the file holds the change of unknown
// outcome whole or not at all.
func TestFailScript(t *testing.T) {
	walk(t, "failing", storetest.Victim{
		Inject: "error=EIO", Calls: []string{"pwrite64", "fdatasync", "fsync", "ftruncate"},
		Points: 200, Prepare: createBefore, Check: checkScript,
	})
}

// runFailing runs the script up to the first I/O error, and checks that then
// writes are refused and reads go on, as if the failed change had never been.
func runFailing(s *Store) error {
	ctx := context.Background()
	for n := 1; n <= scriptLength; n++ {
		_, err := s.Commit(ctx, scriptChange(n))
		if err == nil {
			fmt.Println(n)
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.EIO) && !strings.Contains(err.Error(), "input/output error") {
			return fmt.Errorf("commit failed with %w", err)
		}
		if _, err := s.Commit(ctx, scriptChange(n)); !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("the commit after the failed one: %v", err)
		}
		docs, rev, err := s.List(ctx, store.Range{})
		if err != nil || int(rev) != n-1 {
			return fmt.Errorf("list after the failed commit %d: revision %d, %v", n, rev, err)
		}
		if diff := cmp.Diff(digests(scriptState(n-1)), digests(docs)); diff != "" {
			return fmt.Errorf("documents after the failed commit %d: %s", n, diff)
		}
		if _, err := s.Watch(ctx, rev); err != nil {
			return err
		}
		return nil
	}
	return nil
}

// scriptLength is how many changes the script has.
const scriptLength = 24

// scriptChange is the n-th change, from 1. Together they put, replace, delete,
// delete by prefix, split and merge pages and grow the file.
func scriptChange(n int) store.Change {
	value := func(size int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d,", n), size/3) }
	c := store.Change{Puts: []store.Put{
		{Key: "both/a", Value: value(30)},
		{Key: "both/b", Value: value(30)},
		{Key: fmt.Sprintf("kept/%03d", n), Value: value(200)},
	}}
	switch n % 5 {
	case 1:
		for i := range 20 { // several leaf pages
			c.Puts = append(c.Puts, store.Put{Key: fmt.Sprintf("tree/%02d/%d", i, n), Value: value(900)})
		}
	case 2:
		c.Puts = append(c.Puts, store.Put{Key: fmt.Sprintf("large/%d", n), Value: value(300_000)}) // overflow pages
	case 3:
		c.Deletes = []string{fmt.Sprintf("kept/%03d", n-2)}
		c.DeletePrefixes = []string{"tree/0", "large/2"}
	case 4:
		c.DeletePrefixes = []string{"tree/"}
	}
	return c
}

// scriptState is the whole store after the first n changes.
func scriptState(n int) []store.Document {
	docs := make(map[string]store.Document)
	for i := 1; i <= n; i++ {
		c := scriptChange(i)
		for key := range docs {
			if slices.Contains(c.Deletes, key) || slices.ContainsFunc(c.DeletePrefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
				delete(docs, key)
			}
		}
		for _, p := range c.Puts {
			docs[p.Key] = store.Document{Key: p.Key, Value: p.Value, Revision: store.Revision(i)}
		}
	}
	var all []store.Document
	for _, d := range docs {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b store.Document) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func runScript(s *Store, length int) error {
	for n := 1; n <= length; n++ {
		rev, err := s.Commit(context.Background(), scriptChange(n))
		if err != nil {
			return err
		}
		if _, err := fmt.Println(rev); err != nil {
			return err
		}
	}
	return nil
}

// checkScript opens what a run of the script left: it is exactly the state
// after the last acknowledged change, or after the one that was in flight.
func checkScript(t *testing.T, run *storetest.Trial) {
	docs, rev := reopen(t, run)
	if acked := len(run.Acked); int(rev) != acked && int(rev) != acked+1 {
		t.Fatalf("revision %d after %d acknowledged changes", rev, acked)
	}
	if diff := cmp.Diff(digests(scriptState(int(rev))), digests(docs)); diff != "" {
		t.Fatalf("state at revision %d (-want +got):\n%s", rev, diff)
	}
}

// digests are documents made short enough to compare and to print.
func digests(docs []store.Document) []string {
	var out []string
	for _, d := range docs {
		out = append(out, fmt.Sprintf("%s@%d %.8x", d.Key, d.Revision, sha256.Sum256(d.Value)))
	}
	return out
}

const concurrentWriters = 4

// runConcurrent lets writers commit at once, each a pair of keys that always
// change together, and acknowledge "writer count".
func runConcurrent(s *Store) error {
	errs := make(chan error, concurrentWriters)
	var all sync.WaitGroup
	for w := range concurrentWriters {
		all.Go(func() {
			for n := 1; n <= 15; n++ {
				v := fmt.Appendf(nil, "%d", n)
				_, err := s.Commit(context.Background(), store.Change{Puts: []store.Put{
					{Key: fmt.Sprintf("%d/a", w), Value: v}, {Key: fmt.Sprintf("%d/b", w), Value: v},
				}})
				if err == nil {
					_, err = fmt.Println(w, n)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

func checkConcurrent(t *testing.T, run *storetest.Trial) {
	docs, rev := reopen(t, run)
	acked := make([]int, concurrentWriters)
	for _, line := range run.Acked {
		var w, n int
		if _, err := fmt.Sscan(line, &w, &n); err != nil {
			t.Fatal(err)
		}
		acked[w] = n
	}
	values := make(map[string]int)
	for _, d := range docs {
		var n int
		if _, err := fmt.Sscan(string(d.Value), &n); err != nil {
			t.Fatal(err)
		}
		values[d.Key] = n
	}
	sum := 0
	for w, n := range acked {
		a, b := values[fmt.Sprintf("%d/a", w)], values[fmt.Sprintf("%d/b", w)]
		if a != b || a != n && a != n+1 {
			t.Errorf("writer %d: acknowledged %d, holds %d and %d", w, n, a, b)
		}
		sum += a
	}
	if int(rev) != sum { // each commit took one revision, and none else did
		t.Errorf("revision %d after %d commits", rev, sum)
	}
}

// reopen opens a run's file as the next process would, checks that it is sound
// and takes a commit, and returns what it held before that.
func reopen(t *testing.T, run *storetest.Trial) ([]store.Document, store.Revision) {
	t.Helper()
	s := open(t, filepath.Join(run.Dir, "store.db"), Options{})
	s.mu.Lock()
	tx := s.gen.tx
	s.mu.Unlock()
	for err := range tx.Check() {
		t.Errorf("unsound: %v", err)
	}
	docs, rev, err := s.List(t.Context(), store.Range{})
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.Commit(t.Context(), store.Change{Puts: []store.Put{{Key: "next", Value: []byte("1")}}})
	if err != nil || next != rev+1 {
		t.Fatalf("next commit: revision %d, %v; want %d", next, err, rev+1)
	}
	return docs, rev
}

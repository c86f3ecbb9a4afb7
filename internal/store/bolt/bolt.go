// Package bolt is the store in one file on one node, on bbolt.
//
// It promises what package store promises, and further: a reader never sees a
// commit before it is on the disk; many commits at once share one sync, each
// still all or nothing with its own revision; after an I/O error reads go on
// at the last acknowledged revision while writes are refused; a kill at any
// moment, the file's creation included, leaves a file that opens without
// repair.
//
//	s, err := bolt.Open(filepath.Join(dataDir, "store.db"), bolt.Options{})
//	defer s.Close()
package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sallyport/sallyport/internal/store"
)

// ErrLocked: another process holds the file open.
var ErrLocked = errors.New("locked by another process")

// lockTimeout is how long Open waits for a predecessor to let go of the file.
const lockTimeout = 700 * time.Millisecond

// Options are the bounds of a Store; the zero value is for production.
type Options struct {
	// History is how many commits a watcher may lag behind: zero means 4096.
	History int
	// HistoryBytes bounds the values that History keeps in memory: zero means
	// 64 MiB. The newest commit is always kept.
	HistoryBytes int
	// MaxBytes bounds the file: zero means 4 GiB. A commit that would pass it
	// fails with store.ErrTooLarge. That much address space, not memory, is
	// mapped from the start.
	MaxBytes int

	// committing runs in the committer's goroutine before its first commit;
	// openFile opens the file. Both are for tests of crashes and failing disks.
	committing func()
	openFile   func(string, int, os.FileMode) (*os.File, error)
}

func (o Options) withDefaults() Options {
	if o.History <= 0 {
		o.History = 4096
	}
	if o.HistoryBytes <= 0 {
		o.HistoryBytes = 64 << 20
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 4 << 30
	}
	if o.openFile == nil {
		o.openFile = os.OpenFile
	}
	return o
}

// Store is a store.Store on one bbolt file. Make one with Open.
type Store struct {
	path string
	db   *bbolt.DB

	queue   chan *request // to the committer
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	close   sync.Once
	closed  error // what Close returns

	broken atomic.Pointer[error] // the I/O error that ended writing

	mu  sync.Mutex // guards gen and every generation's readers
	gen *generation

	history history
	served  served
}

var _ store.Store = (*Store)(nil)

// generation is the store as of one acknowledged commit: a read transaction
// that its readers share. It is opened when the commit is durable, never
// before: bbolt itself shows a commit to new transactions while its last sync
// still runs, and after a failed sync forever.
//
// Sharing is safe as long as nobody but bbolt's own cursors touches the
// bucket (etcd's backend shares its read transaction likewise).
type generation struct {
	tx       *bbolt.Tx
	docs     *bbolt.Bucket
	revision store.Revision
	readers  int // one more while current
}

// Open opens the store in the file at path, creating it, mode 0600, if it does
// not exist; its directory must exist. It fails within a second with ErrLocked
// if another process has the file open, and names the file and the reason if
// others may read or write it, or if it is damaged or not a store.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{
		path:    path,
		queue:   make(chan *request, maxBatch),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	var err error
	if s.db, err = openFile(path, opts); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	revision, err := readRevision(s.db)
	if err == nil {
		s.gen, err = s.newGeneration(revision)
	}
	if err != nil {
		s.db.Close()
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	s.history.init(revision, opts.History, opts.HistoryBytes)
	s.served.init()
	go s.commitLoop(opts.committing)
	return s, nil
}

// Close ends watchers, refuses queued commits with store.ErrClosed, waits for
// running calls and releases the file. Later calls fail with store.ErrClosed.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.stopped
		s.history.close()
		s.served.close()
		s.mu.Lock()
		gen := s.gen
		s.gen = nil
		s.mu.Unlock()
		s.release(gen)
		if err := s.db.Close(); err != nil {
			s.closed = fmt.Errorf("close store %s: %w", s.path, err)
		}
	})
	return s.closed
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (doc store.Document, err error) {
	if err := ctx.Err(); err != nil {
		return store.Document{}, err
	}
	defer faults(&err)()
	gen, err := s.acquire()
	if err != nil {
		return store.Document{}, err
	}
	defer s.release(gen)
	doc, ok, err := decode(key, gen.docs.Get([]byte(key)))
	if err == nil && !ok {
		err = fmt.Errorf("%q: %w", key, store.ErrNotFound)
	}
	return doc, err
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, r store.Range) (docs []store.Document, rev store.Revision, err error) {
	defer faults(&err)()
	gen, err := s.acquire()
	if err != nil {
		return nil, 0, err
	}
	defer s.release(gen)
	c := gen.docs.Cursor()
	for k, v := c.Seek([]byte(max(r.Prefix, r.After))); k != nil; k, v = c.Next() {
		key := string(k)
		if !strings.HasPrefix(key, r.Prefix) {
			break
		}
		if r.After != "" && key == r.After {
			continue
		}
		if len(docs)%512 == 0 { // a list may be long, its caller gone
			if err := ctx.Err(); err != nil {
				return nil, 0, err
			}
		}
		doc, _, err := decode(key, v)
		if err != nil {
			return nil, 0, err
		}
		docs = append(docs, doc)
		if len(docs) == r.Limit {
			break
		}
	}
	return docs, gen.revision, nil
}

// faults, deferred, turns a panic into *err. A page that the disk fails to read
// faults in the mapping, and bbolt panics on a damaged one: either costs the
// call, not the process.
func faults(err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			*err = fmt.Errorf("damaged: %v", p)
		}
	}
}

func (s *Store) newGeneration(revision store.Revision) (*generation, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, err
	}
	return &generation{tx: tx, docs: tx.Bucket(bucketDocuments), revision: revision, readers: 1}, nil
}

// acquire returns the current generation for one reader, who must release it.
func (s *Store) acquire() (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == nil {
		return nil, store.ErrClosed
	}
	s.gen.readers++
	return s.gen, nil
}

func (s *Store) release(gen *generation) {
	s.mu.Lock()
	gen.readers--
	last := gen.readers == 0
	s.mu.Unlock()
	if last {
		gen.tx.Rollback() //nolint:errcheck // ends a read; it cannot fail
	}
}

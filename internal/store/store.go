// Package store keeps configuration documents under keys, with one revision
// per commit. It promises: a commit is all or nothing, durable before it is
// acknowledged, guarded against lost updates, and seen by watchers in order,
// each exactly once.
//
// Two engines keep the same contract (storetest runs it on both): bolt, one
// file on one node, and etcd for a cluster.
//
//	rev, err := s.Commit(ctx, store.Change{
//		Guards: []store.Guard{{Key: k, Revision: doc.Revision}},
//		Puts:   []store.Put{{Key: k, Value: wireJSON}},
//	})
package store

import (
	"context"
	"errors"
)

// Revision numbers commits from 1, without gaps, in commit order. Zero is the
// empty store; as a guard it means "must not exist".
type Revision uint64

// Document is one key with its value and the revision of the commit that last
// wrote it.
type Document struct {
	Key      string
	Value    []byte
	Revision Revision
}

// Guard demands that Key was last written at Revision; Revision zero demands
// that Key does not exist.
type Guard struct {
	Key      string
	Revision Revision
}

// Put writes Value under Key.
type Put struct {
	Key   string
	Value []byte
}

// Change is one commit: applied whole if every guard holds, else not at all.
// A key may not be both put and deleted. DeletePrefixes removes every key that
// starts with the prefix; it runs before Puts. A change without puts and
// deletes is an error.
type Change struct {
	Guards         []Guard
	Puts           []Put
	Deletes        []string
	DeletePrefixes []string
}

// Range selects keys in byte order: those that start with Prefix and sort
// after After (empty: from the start), at most Limit of them (0: all).
type Range struct {
	Prefix string
	After  string
	Limit  int
}

// Event is one commit as a watcher sees it: every key that it wrote (Value
// set) or deleted (Value nil), keys ascending.
type Event struct {
	Revision Revision
	Changes  []Changed
}

// Changed is one key of an Event. Value is nil when the key was deleted.
type Changed struct {
	Key   string
	Value []byte
}

// Errors that callers branch on; engines wrap them.
var (
	// ErrNotFound: the key does not exist.
	ErrNotFound = errors.New("document not found")
	// ErrConflict: a guard did not hold; nothing was changed.
	ErrConflict = errors.New("document changed meanwhile")
	// ErrCompacted: Watch was asked for a revision no longer held; list again.
	ErrCompacted = errors.New("revision compacted")
	// ErrUnavailable: an earlier I/O error left the outcome of a commit
	// unknown, so the engine refuses writes until it is opened anew. Reads go on.
	ErrUnavailable = errors.New("store refuses writes after an I/O error")
)

// Store is safe for concurrent use. Values handed in and out are the caller's
// to keep; engines copy.
type Store interface {
	// Get returns the document under key, or ErrNotFound.
	Get(ctx context.Context, key string) (Document, error)

	// List returns the documents of the range in key order, all read at one
	// revision, which it returns too.
	List(ctx context.Context, r Range) ([]Document, Revision, error)

	// Commit applies c if every guard holds, else returns ErrConflict and
	// changes nothing. On return without error c is durable and seen by every
	// later read on any node.
	Commit(ctx context.Context, c Change) (Revision, error)

	// Watch delivers every commit after from, in order, until ctx ends (the
	// channel is then closed) or the engine closes. A watcher that falls more
	// than the engine's bound behind has its channel closed: it lists again.
	Watch(ctx context.Context, from Revision) (<-chan Event, error)

	// Report says that node serves revision rev and everything before it.
	// It is not durable: a node that stops is forgotten.
	Report(ctx context.Context, node string, rev Revision) error

	// Served returns the highest revision that every live node has reported;
	// zero while none has.
	Served(ctx context.Context) (Revision, error)

	// WaitServed blocks until Served is at least rev, or ctx ends. With no
	// live node it returns at once: there is nothing to wait for.
	WaitServed(ctx context.Context, rev Revision) error

	Close() error
}

package bolt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sallyport/sallyport/internal/store"
)

// maxBatch bounds the commits that share one sync, and those that wait.
const maxBatch = 256

// request is one Commit on its way through the committer, which owns revision,
// err and event until it closes done.
type request struct {
	change store.Change
	// state decides between the committer, who takes a request, and its
	// caller, whose context ended: a commit that was given up never happens,
	// one that was taken is waited for, so that the answer is always true.
	state atomic.Int32
	done  chan struct{}

	revision store.Revision
	err      error
	event    store.Event
}

const (
	queued int32 = iota
	taken
	givenUp
)

// Commit implements store.Store. If ctx ends before the change is begun, it is
// not applied and ctx's error is returned; once begun, Commit waits for the
// disk's answer.
func (s *Store) Commit(ctx context.Context, c store.Change) (store.Revision, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := &request{change: c, done: make(chan struct{})}
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.stopped:
		return 0, store.ErrClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, givenUp) {
			return 0, ctx.Err()
		}
		<-r.done
	case <-s.stopped:
		if r.state.CompareAndSwap(queued, givenUp) {
			return 0, store.ErrClosed
		}
		<-r.done
	}
	return r.revision, r.err
}

// commitLoop is the only writer. While one batch is being synced the next one
// gathers in the queue, so a batch is as large as the disk is slow.
func (s *Store) commitLoop(begin func()) {
	defer close(s.stopped)
	if begin != nil {
		begin()
	}
	for {
		select {
		case <-s.closing:
			return
		case r := <-s.queue:
			batch := []*request{r}
			for len(batch) < maxBatch && len(s.queue) > 0 {
				batch = append(batch, <-s.queue)
			}
			batch = slices.DeleteFunc(batch, func(r *request) bool {
				return !r.state.CompareAndSwap(queued, taken)
			})
			s.commit(batch)
			for _, r := range batch {
				close(r.done)
			}
		}
	}
}

// commit applies the requests in order in one transaction, so that each sees
// those before it, and answers each.
func (s *Store) commit(batch []*request) {
	err := s.unavailable()
	if err == nil {
		err = s.apply(batch)
	}
	if err == nil {
		return
	}
	if errors.Is(err, store.ErrTooLarge) && len(batch) > 1 {
		for _, r := range batch { // one may not fit: the others must not pay for it
			s.commit([]*request{r})
		}
		return
	}
	for _, r := range batch {
		// Also those refused by a guard: what they were refused for may be a
		// commit of this batch that never happened.
		r.revision, r.err = 0, err
	}
}

// apply returns an error if nothing of the batch is known to be committed.
func (s *Store) apply(batch []*request) (err error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			defer faults(new(error))() // what broke the store may have broken tx too
			tx.Rollback()              //nolint:errcheck // it was not committed either way
		}
	}()
	err = s.applyIn(tx, batch)
	if err != nil && !errors.Is(err, store.ErrTooLarge) {
		err = s.breakDown(err)
	}
	return err
}

// applyIn is apply inside tx, which it commits.
func (s *Store) applyIn(tx *bbolt.Tx, batch []*request) (err error) {
	defer faults(&err)()
	docs, last := tx.Bucket(bucketDocuments), s.gen.revision // only this goroutine changes s.gen
	for _, r := range batch {
		r.revision, r.event = 0, store.Event{}
		if r.err = checkGuards(docs, r.change.Guards); r.err != nil {
			continue
		}
		if r.event, err = write(docs, last+1, r.change); err != nil {
			return err
		}
		last++
		r.revision = last
	}
	if last == s.gen.revision {
		return tx.Rollback()
	}
	if err := tx.Bucket(bucketAbout).Put(keyRevision, number(uint64(last))); err != nil {
		return err
	}
	if err := tx.Commit(); errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %s would pass its bound", store.ErrTooLarge, s.path) // found before anything was written
	} else if err != nil {
		return err
	}

	gen, err := s.newGeneration(last)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.gen
	s.gen = gen
	s.mu.Unlock()
	s.release(old)
	for _, r := range batch {
		if r.err == nil {
			s.history.add(r.event)
		}
	}
	s.history.wake()
	return nil
}

// breakDown ends writing. What an I/O error left on the disk is unknown: it
// may hold the whole batch or nothing of it.
func (s *Store) breakDown(cause error) error {
	s.broken.CompareAndSwap(nil, &cause)
	return s.unavailable()
}

func (s *Store) unavailable() error {
	if cause := s.broken.Load(); cause != nil {
		return fmt.Errorf("%w on %s: %w", store.ErrUnavailable, s.path, *cause)
	}
	return nil
}

func checkGuards(docs *bbolt.Bucket, guards []store.Guard) error {
	for _, g := range guards {
		doc, _, err := decode(g.Key, docs.Get([]byte(g.Key)))
		if err != nil {
			return err
		}
		if doc.Revision != g.Revision {
			return fmt.Errorf("%q is at revision %d, not %d: %w", g.Key, doc.Revision, g.Revision, store.ErrConflict)
		}
	}
	return nil
}

// write applies c, whose guards hold, and returns what watchers see of it.
func write(docs *bbolt.Bucket, revision store.Revision, c store.Change) (store.Event, error) {
	changed := make(map[string][]byte, len(c.Puts)+len(c.Deletes))
	for _, prefix := range c.DeletePrefixes {
		cursor := docs.Cursor()
		for k, _ := cursor.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, _ = cursor.Next() {
			changed[string(k)] = nil
		}
	}
	for _, key := range c.Deletes {
		if docs.Get([]byte(key)) != nil {
			changed[key] = nil
		}
	}
	for key := range changed { // after the cursor's walk, which deletes would upset
		if err := docs.Delete([]byte(key)); err != nil {
			return store.Event{}, fmt.Errorf("delete %q: %w", key, err)
		}
	}
	for _, p := range c.Puts {
		b := encode(revision, p.Value)
		if err := docs.Put([]byte(p.Key), b); err != nil {
			return store.Event{}, fmt.Errorf("put %q: %w", p.Key, err)
		}
		changed[p.Key] = b[8:]
	}
	event := store.Event{Revision: revision, Changes: make([]store.Changed, 0, len(changed))}
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		event.Changes = append(event.Changes, store.Changed{Key: key, Value: changed[key]})
	}
	return event, nil
}

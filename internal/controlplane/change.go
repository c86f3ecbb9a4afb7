package controlplane

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// attempts bounds how often one change is tried against concurrent ones.
const attempts = 8

// errConcurrent is what the client reads when every attempt lost.
// Source: AWS, observed.
var errConcurrent = resource.Errorf(resource.Conflict, "Unable to complete operation due to concurrent modification. Please try again later.")

// Change reads documents, applies a rule to them and writes the outcome in one
// commit. Every Get becomes a guard of that commit, so what the rule saw is
// what the commit replaces. Lists are not guarded: a rule that rests on one
// names the documents that speak for it with Claim.
type Change struct {
	ctx    context.Context
	store  store.Store
	guards map[string]store.Revision
	puts   map[string][]byte
	order  []string // keys of puts, as they came
	change store.Change
	err    error // first encoding error
}

// Get reads the document under key into doc and guards it; ok is false, and
// the key's absence guarded, when there is none.
func (c *Change) Get(key string, doc any) (ok bool, err error) {
	d, err := c.store.Get(c.ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.guards[key] = 0
		return false, nil
	case err != nil:
		return false, err
	}
	c.guards[key] = d.Revision
	return true, decode(d, doc)
}

// Put writes doc under key.
func (c *Change) Put(key string, doc any) {
	v, err := marshal(doc)
	if err != nil {
		c.err = errors.Join(c.err, fmt.Errorf("encode %s: %w", key, err))
		return
	}
	if _, ok := c.puts[key]; !ok {
		c.order = append(c.order, key)
	}
	c.puts[key] = v
}

// Create writes doc under key and demands that nothing is there yet.
func (c *Change) Create(key string, doc any) {
	c.guards[key] = 0
	c.Put(key, doc)
}

// Delete removes key.
func (c *Change) Delete(key string) { c.change.Deletes = append(c.change.Deletes, key) }

// DeleteAll removes every key that starts with prefix.
func (c *Change) DeleteAll(prefix string) {
	c.change.DeletePrefixes = append(c.change.DeletePrefixes, prefix)
}

// Claim guards and rewrites the marker under key, so that of two changes that
// claim it one loses and looks again. Call it before the lists that it speaks
// for: who deletes a certificate and who adds a domain name that uses it both
// claim the certificate's marker, although neither writes what the other reads.
func (c *Change) Claim(key string) error {
	if _, err := c.Get(key, nil); err != nil {
		return err
	}
	c.Put(key, marker{})
	return nil
}

// Release guards and deletes the marker under key.
func (c *Change) Release(key string) error {
	if _, err := c.Get(key, nil); err != nil {
		return err
	}
	c.Delete(key)
	return nil
}

func (c *Change) empty() bool {
	return len(c.puts) == 0 && len(c.change.Deletes) == 0 && len(c.change.DeletePrefixes) == 0
}

// Change runs rule and commits what it asked for; rule runs again, on fresh
// reads, when a concurrent change came first. An error of rule ends it with
// nothing written. A rule that writes nothing succeeds with revision zero.
//
// After the commit it waits until every live node serves it, at most
// Options.ServedTimeout: an answer of AVAILABLE is then true.
func (s *Server) Change(ctx context.Context, rule func(*Change) error) (store.Revision, error) {
	rev, err := s.commit(ctx, rule)
	if err != nil || rev == 0 {
		return rev, err
	}
	wait, cancel := context.WithTimeout(ctx, s.options.ServedTimeout)
	defer cancel()
	if err := s.options.Store.WaitServed(wait, rev); err != nil {
		s.log.Warn("change not served in time", "revision", uint64(rev), "err", err)
	}
	return rev, nil
}

func (s *Server) commit(ctx context.Context, rule func(*Change) error) (store.Revision, error) {
	for i := range attempts {
		rev, err := s.attempt(ctx, i > 0, rule)
		if !errors.Is(err, store.ErrConflict) {
			return rev, err
		}
		if i == 0 {
			continue // the loser goes again at once, alone on this node
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Duration(rand.Int64N(int64(time.Millisecond) << i))):
		}
	}
	return 0, errConcurrent
}

// attempt runs rule once. Changes run side by side until one loses; the loser
// has the node to itself, so that it loses again only to another node.
func (s *Server) attempt(ctx context.Context, alone bool, rule func(*Change) error) (store.Revision, error) {
	if alone {
		s.changes.Lock()
		defer s.changes.Unlock()
	} else {
		s.changes.RLock()
		defer s.changes.RUnlock()
	}
	c := &Change{
		ctx:    ctx,
		store:  s.options.Store,
		guards: map[string]store.Revision{},
		puts:   map[string][]byte{},
	}
	if err := rule(c); err != nil {
		return 0, err
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.empty() {
		return 0, nil
	}
	for k, r := range c.guards {
		c.change.Guards = append(c.change.Guards, store.Guard{Key: k, Revision: r})
	}
	for _, k := range c.order {
		c.change.Puts = append(c.change.Puts, store.Put{Key: k, Value: c.puts[k]})
	}
	return s.options.Store.Commit(ctx, c.change)
}

// Get reads the document under key into doc and returns its revision; ok is
// false when there is none.
func (s *Server) Get(ctx context.Context, key string, doc any) (rev store.Revision, ok bool, err error) {
	d, err := s.options.Store.Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return d.Revision, true, decode(d, doc)
}

// Stored is a listed document with its key and revision.
type Stored[T any] struct {
	Key      string
	Revision store.Revision
	Doc      T
}

// List reads the documents of r in key order.
func List[T any](ctx context.Context, s store.Store, r store.Range) ([]Stored[T], error) {
	docs, _, err := s.List(ctx, r)
	if err != nil {
		return nil, err
	}
	out := make([]Stored[T], len(docs))
	for i, d := range docs {
		out[i].Key, out[i].Revision = d.Key, d.Revision
		if err := decode(d, &out[i].Doc); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Page is one page of at most n documents under prefix, in key order, and the
// token of the next one, nil when there is none. token is where it begins, nil
// for the start; ok is false when it is not one of ours.
func Page[T any](ctx context.Context, s store.Store, prefix string, n int, token *string) (page []Stored[T], next *string, ok bool, err error) {
	r := store.Range{Prefix: prefix, Limit: n + 1}
	if token != nil {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || len(after) == 0 || len(after) > store.MaxKeyBytes {
			return nil, nil, false, nil
		}
		r.After = prefix + string(after)
	}
	docs, err := List[T](ctx, s, r)
	if err != nil || len(docs) <= n {
		return docs, nil, true, err
	}
	docs = docs[:n]
	last := base64.RawURLEncoding.EncodeToString([]byte(strings.TrimPrefix(docs[n-1].Key, prefix)))
	return docs, &last, true, nil
}

// ListIn is List inside a change.
func ListIn[T any](c *Change, prefix string) ([]T, error) {
	docs, err := List[T](c.ctx, c.store, store.Range{Prefix: prefix})
	if err != nil {
		return nil, err
	}
	out := make([]T, len(docs))
	for i := range docs {
		out[i] = docs[i].Doc
	}
	return out, nil
}

func decode(d store.Document, doc any) error {
	if doc == nil {
		return nil
	}
	if err := unmarshal(d.Value, doc); err != nil {
		// Not wrapped: what the wire's decoder says of a request is for the
		// client, what it says of our own document is not.
		return fmt.Errorf("decode %s at revision %d: %v", d.Key, d.Revision, err)
	}
	return nil
}

// IsServed reports whether every live node serves revision rev.
func (s *Server) IsServed(ctx context.Context, rev store.Revision) (bool, error) {
	served, err := s.options.Store.Served(ctx)
	if err != nil || served >= rev {
		return err == nil, err
	}
	// A context that has ended makes WaitServed a question: it answers nil at
	// once also where there is no live node to wait for.
	ended, end := context.WithCancel(ctx)
	end()
	return s.options.Store.WaitServed(ended, rev) == nil, nil
}

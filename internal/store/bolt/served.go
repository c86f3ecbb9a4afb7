package bolt

import (
	"context"
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/internal/store"
)

// maxNodes bounds the names that Report takes: on one file lives one process,
// which reports under a handful of names.
const maxNodes = 64

// served holds what the nodes of this process have reported. It is gone with
// the process, as they are.
type served struct {
	mu    sync.Mutex
	nodes map[string]store.Revision
	moved chan struct{} // closed, and replaced, at each report and at the end
	ended bool
}

func (v *served) init() {
	v.nodes = make(map[string]store.Revision)
	v.moved = make(chan struct{})
}

func (v *served) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	v.wake()
}

func (v *served) wake() {
	close(v.moved)
	v.moved = make(chan struct{})
}

// lowest returns the highest revision that every node has reported.
func (v *served) lowest() store.Revision {
	var lowest store.Revision
	first := true
	for _, r := range v.nodes {
		if first || r < lowest {
			lowest, first = r, false
		}
	}
	return lowest
}

// Report implements store.Store. A node is live until the store is closed; its
// highest report counts.
func (s *Store) Report(ctx context.Context, node string, rev store.Revision) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v := &s.served
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return store.ErrClosed
	}
	old, known := v.nodes[node]
	if !known && len(v.nodes) >= maxNodes {
		return fmt.Errorf("report of node %q: %d nodes have reported already", node, maxNodes)
	}
	if known && old >= rev {
		return nil
	}
	v.nodes[node] = rev
	v.wake()
	return nil
}

// Served implements store.Store.
func (s *Store) Served(ctx context.Context) (store.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	v := &s.served
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return 0, store.ErrClosed
	}
	return v.lowest(), nil
}

// WaitServed implements store.Store.
func (s *Store) WaitServed(ctx context.Context, rev store.Revision) error {
	v := &s.served
	for {
		v.mu.Lock()
		ended, enough, moved := v.ended, len(v.nodes) == 0 || v.lowest() >= rev, v.moved
		v.mu.Unlock()
		switch {
		case ended:
			return store.ErrClosed
		case enough:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package bolt

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/sallyport/sallyport/internal/store"
)

// history keeps the last commits for watchers. Each watcher walks it at its
// own pace, so that a slow one costs nothing but its own place: when history
// has moved on past it, its channel closes.
type history struct {
	maxEvents, maxBytes int

	mu     sync.Mutex
	base   store.Revision // of the commit before events[0]
	events []store.Event
	bytes  int
	ended  bool
	moved  chan struct{} // closed, and replaced, when events were added or history ended
}

func (h *history) init(revision store.Revision, maxEvents, maxBytes int) {
	h.base, h.maxEvents, h.maxBytes = revision, maxEvents, maxBytes
	h.moved = make(chan struct{})
}

// add appends the next commit and forgets the oldest beyond the bounds.
func (h *history) add(e store.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	h.bytes += size(e)
	for len(h.events) > 1 && (len(h.events) > h.maxEvents || h.bytes > h.maxBytes) {
		h.bytes -= size(h.events[0])
		h.events[0] = store.Event{} // the array lives on; its values need not
		h.events = h.events[1:]
		h.base++
	}
}

// wake tells the watchers that there is something new.
func (h *history) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.moved)
	h.moved = make(chan struct{})
}

func (h *history) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	close(h.moved)
	h.moved = make(chan struct{})
}

// after returns the commit after revision. Without one yet, moved tells when to
// ask again. Held is false if that commit is forgotten, or history has ended.
func (h *history) after(revision store.Revision) (e store.Event, held bool, moved <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch last := h.base + store.Revision(len(h.events)); {
	case h.ended || revision < h.base || revision > last:
		return store.Event{}, false, nil
	case revision == last:
		return store.Event{}, true, h.moved
	}
	return h.events[revision-h.base], true, nil
}

// Watch implements store.Store. History begins when the file is opened: an
// earlier revision, and one that does not exist yet, are store.ErrCompacted.
func (s *Store) Watch(ctx context.Context, from store.Revision) (<-chan store.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, held, _ := s.history.after(from); !held {
		select {
		case <-s.closing:
			return nil, store.ErrClosed
		default:
			return nil, fmt.Errorf("watch from %d: %w", from, store.ErrCompacted)
		}
	}
	events := make(chan store.Event)
	go func() {
		defer close(events)
		for at := from; ; {
			e, held, moved := s.history.after(at)
			if !held {
				return
			}
			if moved != nil {
				select {
				case <-moved:
				case <-ctx.Done():
					return
				}
				continue
			}
			select {
			case events <- clone(e):
				at = e.Revision
			case <-ctx.Done():
				return
			case <-s.closing:
				return
			}
		}
	}()
	return events, nil
}

// clone copies e: a watcher may keep and change what it gets.
func clone(e store.Event) store.Event {
	changes := make([]store.Changed, len(e.Changes))
	for i, c := range e.Changes {
		changes[i] = store.Changed{Key: c.Key, Value: bytes.Clone(c.Value)}
	}
	return store.Event{Revision: e.Revision, Changes: changes}
}

func size(e store.Event) int {
	n := 0
	for _, c := range e.Changes {
		n += len(c.Key) + len(c.Value)
	}
	return n
}

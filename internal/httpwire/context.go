package httpwire

import (
	"context"
	"sync"
	"time"
)

// Context is what an exchange's Context is: it ends when the client goes away.
// Beside what any context has, it lets one party watch for that without a
// goroutine and without memory, which context.AfterFunc costs each time.
type Context struct {
	mu    sync.Mutex
	done  chan struct{} // made when somebody asks for it
	err   error
	watch func()
}

var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Watch has f called, once, when the context ends, until Unwatch. f runs on the
// goroutine that ends it and must be short. It returns false, and f is not
// called, when the context has ended or is watched already.
func (c *Context) Watch(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.watch != nil {
		return false
	}
	c.watch = f
	return true
}

// Unwatch ends what Watch began. It returns false when f was called, or will be.
func (c *Context) Unwatch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.watch != nil
	c.watch = nil
	return ok
}

// cancel ends the context.
func (c *Context) cancel() {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = context.Canceled
	if c.done == nil {
		c.done = closedChannel
	} else {
		close(c.done)
	}
	f := c.watch
	c.watch = nil
	c.mu.Unlock()
	if f != nil {
		f()
	}
}

// Deadline implements context.Context: there is none.
func (c *Context) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
	}
	return c.done
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements context.Context: there are none.
func (c *Context) Value(any) any { return nil }

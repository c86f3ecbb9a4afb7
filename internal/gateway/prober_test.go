package gateway

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

// What a probe leaves in no log is its own connection, once, and nobody else's.
func TestOwnConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProber(nil)
		own := func(address string) { p.own.Store(ownEnd{"REGIONAL", address}, time.Now()) }
		own("127.0.0.1:50000")
		own("127.0.0.1:50001")
		for _, step := range []struct {
			what, listener, peer string
			want                 bool
		}{
			{"a client", "REGIONAL", "127.0.0.1:50002", false},
			{"a client of another listener from the same port", "EDGE", "127.0.0.1:50000", false},
			{"the probe", "REGIONAL", "127.0.0.1:50000", true},
			{"a client that has the port after it", "REGIONAL", "127.0.0.1:50000", false},
		} {
			if got := p.isOwn(step.listener, step.peer); got != step.want {
				t.Errorf("%s: %v", step.what, got)
			}
		}
		time.Sleep(ownTime)
		if p.isOwn("REGIONAL", "127.0.0.1:50001") {
			t.Error("a connection that was never recorded hides the next one with its port")
		}
		own("127.0.0.1:50003")
		time.Sleep(ownTime)
		p.sweep()
		p.own.Range(func(end, _ any) bool { t.Errorf("kept: %v", end); return true })
	})
}

// What is not in force yet waits longer each time, and does not stand in the
// way of others; a change of it is looked at at once.
func TestPostponedProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProber(nil)
		s := subject{"APIGateway.11", "a"}
		for tries, pause := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
			p.postpone(s, tries)
			if _, _, ok := p.next(); ok {
				t.Fatal("it does not wait")
			}
			time.Sleep(pause + time.Millisecond)
			synctest.Wait()
			if got, n, ok := p.next(); !ok || got != s || n != tries+1 {
				t.Fatalf("after %v: %v, %d, %v", pause, got, n, ok)
			}
		}
		p.postpone(s, 1000)
		p.add([]posture.Finding{{Control: s.control, Resource: posture.Subject{ID: s.resource}, Expect: &posture.Wire{Host: "a.example.com"}}})
		if _, n, ok := p.next(); !ok || n != 0 || len(p.later) != 0 {
			t.Errorf("after a change: %v, %d tries, %d waiting", ok, n, len(p.later))
		}
	})
}

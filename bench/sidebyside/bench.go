//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// found is a contender that this machine has.
type found struct {
	contender
	program, version string
}

// running is a contender, or the backend alone, in its place.
type running struct {
	name  string
	child *process
	addr  string // "" of the backend: it has one per path
}

// bench is a run under way.
type bench struct {
	settings
	house      *house
	guard      *guard
	backend    backendSpec
	workloads  []workload
	contenders []found
	report     *report
}

// direct names the row that asks the backend itself, without TLS or HTTP/2: the
// most that any contender could be seen to do here.
const direct = "the backend itself"

// sample is one measurement.
type sample struct {
	requests  int
	cpu       time.Duration // the gateway's, per request
	busy      float64       // the gateway's processor time over the wall's
	rate      float64       // requests a second
	memory    int64         // bytes, with all connections open
	generator time.Duration // processor time of the load generator, per request
	backend   time.Duration
	p50, p99  time.Duration
}

// measure starts everything in a place, runs all rounds, and stops it.
func (b *bench) measure(ctx context.Context, place placement) error {
	dir := filepath.Join(b.house.dir, place.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	backend, err := startRole(place.rest, "backend", dir, b.backend)
	if err != nil {
		return err
	}
	defer backend.close()
	if err := backend.hear(ctx, 10*time.Second, &b.house.backend); err != nil {
		return err
	}
	all := []running{{name: direct, child: backend.process}}
	for _, c := range b.contenders {
		p := placing{house: b.house, name: strings.ReplaceAll(c.Name, " ", "-"), program: c.program, cores: place.gateway, threads: place.threads}
		p.dir = filepath.Join(dir, p.name)
		if err := os.Mkdir(p.dir, 0o755); err != nil {
			return err
		}
		child, addr, err := c.launch(ctx, p)
		if err != nil {
			return err
		}
		defer b.guard.stop(child)
		if err := b.guard.watch(child); err != nil {
			return err
		}
		all = append(all, running{c.Name, child, addr})
	}
	results := b.report.placed(place)
	for round := range b.rounds {
		for _, w := range b.workloads {
			fmt.Fprintf(os.Stderr, "%s %s, round %d of %d: %s\n", time.Now().Format(time.TimeOnly), place.Name, round+1, b.rounds, w.Title)
			// Another one begins each round: whoever follows a heavy
			// neighbour is not always the same.
			for i := range all {
				c := all[(i+round)%len(all)]
				if c.name == direct && w.Protocol != http1 {
					continue
				}
				if err := b.once(ctx, place, dir, backend, c, w, results); ctx.Err() != nil {
					return ctx.Err()
				} else if err != nil { // one that is broken must not cost the others an hour
					results.fail(c.name, w.Name, 1, err.Error())
				}
			}
		}
	}
	return nil
}

// once measures a contender in one workload: as fast as it goes, then at the
// workload's rate.
func (b *bench) once(ctx context.Context, place placement, dir string, backend *role, c running, w workload, results *results) error {
	var s sample
	for _, rate := range []int{0, w.Rate} {
		if c.name == direct && rate > 0 {
			continue
		}
		err := b.ask(ctx, place, dir, backend, c, w, rate, results, &s)
		if errors.As(err, new(refusal)) && w.Optional && c.name != subject {
			results.refuse(c.name, w.Name)
			return nil
		}
		if err != nil {
			return err
		}
	}
	results.add(c.name, w.Name, s)
	return nil
}

// refusal is the reason why a contender's first connection failed.
type refusal string

func (r refusal) Error() string { return "the first connection: " + string(r) }

func (b *bench) ask(ctx context.Context, place placement, dir string, backend *role, c running, w workload, rate int, results *results, s *sample) error {
	j := job{Workload: w, Addr: c.addr, Roots: b.house.roots, Rate: rate, For: b.length}
	if c.name == direct {
		j.Addr, j.Plain = b.house.backend.Plain, true
		if w.Path == tlsPath {
			j.Addr, j.Plain, j.Workload.Server = b.house.backend.TLS, false, "localhost"
		}
	}
	load, err := startRole(place.rest, "load", dir, j)
	if err != nil {
		return err
	}
	defer load.close()
	var o outcome
	if err := load.hear(ctx, 90*time.Second, &o); err != nil {
		return err
	}
	if o.Refused != "" {
		return refusal(o.Refused)
	}
	parties := []*process{c.child, load.process, backend.process}
	before, err := cpus(parties)
	if err != nil {
		return err
	}
	if err := load.say(); err != nil {
		return err
	}
	if err := load.hear(ctx, b.length+2*patience, &o); err != nil {
		return err
	}
	after, err := cpus(parties)
	if err != nil {
		return err
	}
	results.suite(w.Name, c.name, o.Suite)
	if o.Failed > 0 {
		results.fail(c.name, w.Name, o.Failed, o.Failure)
	}
	if o.Requests == 0 {
		return fmt.Errorf("not one request was answered: %s", o.Failure)
	}
	if rate > 0 {
		s.p50, s.p99 = o.P50, o.P99
		return nil
	}
	n := time.Duration(o.Requests)
	s.requests = o.Requests
	s.rate = float64(o.Requests) / o.Took.Seconds()
	s.cpu = (after[0] - before[0]) / n
	s.busy = float64(after[0]-before[0]) / float64(o.Took)
	s.generator = (after[1] - before[1]) / n
	s.backend = (after[2] - before[2]) / n
	s.memory, err = c.child.memory()
	return err
}

func cpus(parties []*process) ([]time.Duration, error) {
	var all []time.Duration
	for _, p := range parties {
		t, err := p.cpu()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

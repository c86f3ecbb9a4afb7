//go:build linux

// Sidebyside measures Sallyport beside nginx, HAProxy, Caddy and Traefik on this
// machine, over loopback, and writes a table in Markdown:
//
//	make sidebyside                         # all of it: more than an hour
//	make sidebyside ARGS=-quick             # two minutes: does it work?
//	go run ./bench/sidebyside -peers nginx,Sallyport -workloads h1-1k,h2-1k -rounds 3
//
// All contenders serve the same two certificates over TLS 1.3, reach the same
// backend, and write an access log to a file. They run at the same time and
// are measured in turn, round by round, so that all see the same noise. A
// round's figure is the gateway's own: processor time of its process tree over
// requests answered. A failed request fails the run.
//
// The program is also its own load generator and backend, hidden roles, each in
// a process of its own, so that nobody's processor time is counted with
// another's. A third role kills what is left if this process is killed.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	rounds    int
	length    time.Duration
	quick     bool
	workloads string
	peers     string
	placement string
	source    string
	cache     string
	out       string
}

func main() {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "backend":
			exit(runBackend(os.Stdin, os.Stdout))
		case "load":
			exit(runLoad(os.Stdin, os.Stdout))
		case "guard":
			exit(runGuard(os.Stdin))
		}
	}
	var s settings
	flag.IntVar(&s.rounds, "rounds", 5, "rounds; the table has their medians")
	flag.DurationVar(&s.length, "duration", 3*time.Second, "length of each measurement")
	flag.BoolVar(&s.quick, "quick", false, "one short round, pinned only: whether all works, not a result")
	flag.StringVar(&s.workloads, "workloads", "", "comma-separated names of workloads (default all)")
	flag.StringVar(&s.peers, "peers", "Sallyport,nginx,HAProxy,Caddy,Traefik", "comma-separated names of contenders; 'Traefik fastProxy' is one more")
	flag.StringVar(&s.placement, "placement", "", "pinned or unpinned (default both)")
	flag.StringVar(&s.source, "source", ".", "source tree that Sallyport is built from")
	flag.StringVar(&s.cache, "cache", "", "folder where built peers are kept (default in the user's cache folder)")
	flag.StringVar(&s.out, "o", "", "file to write; - is standard output (default bench/results/sidebyside.md, or - with -quick)")
	flag.Parse()
	if flag.NArg() > 0 {
		exit(fmt.Errorf("unknown argument %q", flag.Arg(0)))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// placement is where things run.
type placement struct {
	Name    string
	Title   string
	gateway cores
	rest    cores // load generator and backend
	threads int   // of the gateway
}

// placements are both ways: the gateway alone on the last core, and everything
// everywhere.
func placements() []placement {
	n := runtime.NumCPU()
	all := []placement{{Name: "unpinned", Title: fmt.Sprintf("Unpinned: gateway, load generator and backend share %d cores", n), threads: n}}
	if n < 2 {
		return all
	}
	rest := cores("0")
	if n > 2 {
		rest = cores("0-" + strconv.Itoa(n-2))
	}
	return append([]placement{{
		Name: "pinned", Title: fmt.Sprintf("Pinned: the gateway on core %d alone, load generator and backend on %s", n-1, rest),
		gateway: cores(strconv.Itoa(n - 1)), rest: rest, threads: 1,
	}}, all...)
}

func run(ctx context.Context, s settings) (err error) {
	if s.quick {
		s.rounds, s.length, s.placement = 1, 400*time.Millisecond, "pinned"
		s.out = cmp.Or(s.out, "-") // a result that counts is not overwritten
	}
	s.out = cmp.Or(s.out, "bench/results/sidebyside.md")
	if s.rounds < 1 || s.rounds > 99 || s.length < 100*time.Millisecond || s.length > time.Minute {
		return errors.New("rounds are 1 to 99, the duration is 100ms to 1m")
	}
	works, err := choose("workload", workloads, func(w workload) string { return w.Name }, s.workloads)
	if err != nil {
		return err
	}
	rows, err := choose("contender", contenders, func(c contender) string { return c.Name }, s.peers)
	if err != nil {
		return err
	}
	places, err := choose("placement", placements(), func(p placement) string { return p.Name }, s.placement)
	if err != nil {
		return err
	}
	r := &report{settings: s, workloads: works}
	h := &house{cache: s.cache}
	if h.source, err = filepath.Abs(s.source); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(h.source, "cmd/sallyport")); err != nil {
		return fmt.Errorf("not the root of a source tree: %w", err)
	}
	if h.cache == "" {
		folder, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		h.cache = filepath.Join(folder, "sallyport-sidebyside")
	}
	if h.dir, err = os.MkdirTemp("", "sidebyside-"); err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil && r.failed() == 0 {
			err = fmt.Errorf("%w\nlogs and configurations are left in %s", err, h.dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(h.dir))
	}()
	spec, err := h.furnish()
	if err != nil {
		return err
	}

	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	r.busy, _, _ = strings.Cut(string(load), " ")
	var here []found
	for _, c := range rows {
		program, version, err := c.find(ctx, h)
		switch {
		case errors.Is(err, errMissing):
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", c.Name, err)
			r.missing = append(r.missing, fmt.Sprintf("%s is left out: %v", c.Name, err))
		case err != nil:
			return err
		default:
			here = append(here, found{c, program, version})
			r.contenders = append(r.contenders, row{c.Name, version, c.setting})
		}
	}
	if len(here) == 0 {
		return errors.New("no contender is left")
	}
	guard, err := startGuard(h.dir)
	if err != nil {
		return err
	}
	defer guard.close()
	measurements := 0
	for _, w := range works {
		measurements += 2 * len(here)
		if w.Protocol == http1 {
			measurements++
		}
	}
	fmt.Fprintf(os.Stderr, "this takes about %v\n", (time.Duration(measurements*s.rounds*len(places)) * (s.length + time.Second/2)).Round(time.Minute))
	b := &bench{settings: s, house: h, guard: guard, backend: spec, workloads: works, contenders: here, report: r}
	for _, place := range places {
		if err := b.measure(ctx, place); err != nil {
			return err
		}
	}
	if err := r.write(ctx, h.source); err != nil {
		return err
	}
	if r.failed() > 0 {
		return fmt.Errorf("%d requests failed; the table says where", r.failed())
	}
	return nil
}

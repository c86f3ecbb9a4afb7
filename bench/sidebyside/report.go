//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	subject   = "Sallyport"
	reference = "nginx"
)

// report is the whole page.
type report struct {
	settings
	workloads  []workload
	contenders []row
	missing    []string // a line for each contender that is not here
	busy       string   // the machine's load average before the run
	places     []*results
}

// row describes a contender.
type row struct{ name, version, setting string }

// cell names a figure's place in the tables.
type cell struct{ contender, workload string }

// results are the samples of one placement.
type results struct {
	place    placement
	samples  map[cell][]sample
	refused  map[cell]bool
	failed   map[cell]int
	failures map[cell]string   // the first of each
	suites   map[string][]cell // what TLS negotiated -> where
}

func (r *report) placed(p placement) *results {
	rs := &results{place: p, samples: map[cell][]sample{}, refused: map[cell]bool{}, failed: map[cell]int{}, failures: map[cell]string{}, suites: map[string][]cell{}}
	r.places = append(r.places, rs)
	return rs
}

func (rs *results) add(contender, workload string, s sample) {
	c := cell{contender, workload}
	rs.samples[c] = append(rs.samples[c], s)
}

func (rs *results) refuse(contender, workload string) { rs.refused[cell{contender, workload}] = true }

func (rs *results) fail(contender, workload string, n int, failure string) {
	c := cell{contender, workload}
	if rs.failed[c] == 0 {
		rs.failures[c] = failure
	}
	rs.failed[c] += n
}

func (rs *results) suite(workload, contender, suite string) {
	c := cell{contender, workload}
	if suite != "" && contender != direct && !slices.Contains(rs.suites[suite], c) {
		rs.suites[suite] = append(rs.suites[suite], c)
	}
}

// failed counts the failed requests of all placements.
func (r *report) failed() int {
	total := 0
	for _, rs := range r.places {
		for _, n := range rs.failed {
			total += n
		}
	}
	return total
}

// figure takes one number from a sample.
type figure func(sample) float64

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func cpuFigure(s sample) float64    { return micros(s.cpu) }
func rateFigure(s sample) float64   { return s.rate }
func busyFigure(s sample) float64   { return 100 * s.busy }
func p50Figure(s sample) float64    { return micros(s.p50) / 1000 }
func p99Figure(s sample) float64    { return micros(s.p99) / 1000 }
func memoryFigure(s sample) float64 { return float64(s.memory) / (1 << 20) }

// median returns the median of a figure over the rounds, and the largest
// distance of a round from it as a part of it; ok is false without rounds.
func (rs *results) median(contender, workload string, f figure) (value, spread float64, ok bool) {
	var all []float64
	for _, s := range rs.samples[cell{contender, workload}] {
		all = append(all, f(s))
	}
	n := len(all)
	if n == 0 {
		return 0, 0, false
	}
	slices.Sort(all)
	value = (all[(n-1)/2] + all[n/2]) / 2
	if value > 0 {
		spread = max(value-all[0], all[n-1]-value) / value
	}
	return value, spread, true
}

// ratio is a figure over the other contender's.
func (rs *results) ratio(contender, other, workload string, f figure) (float64, bool) {
	mine, _, ok := rs.median(contender, workload, f)
	theirs, _, too := rs.median(other, workload, f)
	return mine / theirs, ok && too && theirs > 0
}

// write makes the page and puts it in place by rename.
func (r *report) write(ctx context.Context, source string) error {
	machine := exec.CommandContext(ctx, "bash", "bench/machine.sh")
	machine.Dir = source
	about, err := machine.Output()
	if err != nil {
		return fmt.Errorf("bench/machine.sh: %w", err)
	}
	var b strings.Builder
	r.render(&b, string(about), time.Now())
	if r.out == "-" {
		_, err := io.WriteString(os.Stdout, b.String())
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.out), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(r.out+".new", []byte(b.String()), 0o644); err != nil {
		return err
	}
	if err := os.Rename(r.out+".new", r.out); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "wrote "+r.out)
	return nil
}

func (r *report) render(b *strings.Builder, machine string, now time.Time) {
	fmt.Fprintf(b, "# Side by side\n\nMade by `make sidebyside` on %s: %d rounds of %s per measurement, contenders in turn, medians.\n", now.UTC().Format(time.DateOnly), r.rounds, r.length)
	if r.quick {
		b.WriteString("**A quick run: it shows that all works; its figures mean little.**\n")
	}
	fmt.Fprintf(b, "\n%s- load average when the run began: %s\n- where a goal is missed: [where a request costs, and what was tried](../../docs/decisions/0010-where-a-request-costs.md)\n\n## Contenders\n\n| contender | version | set up with |\n| --- | --- | --- |\n", machine, r.busy)
	for _, c := range r.contenders {
		fmt.Fprintf(b, "| %s | %s | %s |\n", c.name, c.version, c.setting)
	}
	b.WriteString("\n")
	for _, m := range r.missing {
		fmt.Fprintf(b, "- %s\n", oneLine(m))
	}
	if len(r.missing) > 0 {
		b.WriteString("\n")
	}
	b.WriteString(`All terminate TLS 1.3 with the same ECDSA P-256 and RSA-2048 leaves, chosen by SNI, and reach the same backend over kept connections;
on "TLS to backend" they verify its certificate. The client offers one key-exchange group, X25519 where the workload names no other.
CPU is user and system time of the gateway's process tree from /proc, over requests answered; for handshakes one request is one
connection with one request on it. Latency is at a fixed rate, counted from when a request was due if the one before it was late.
Memory is proportional resident size with all connections of the workload open, after the workloads above it. "×" is the figure
over nginx's; "±" the furthest round from the median.

`)
	if n := r.failed(); n > 0 {
		fmt.Fprintf(b, "**%d requests failed:**\n\n", n)
	} else {
		b.WriteString("No request failed.\n")
	}
	for _, rs := range r.places {
		for _, c := range slices.SortedFunc(maps.Keys(rs.failed), func(x, y cell) int {
			return strings.Compare(x.contender+x.workload, y.contender+y.workload)
		}) {
			fmt.Fprintf(b, "- %s, %s, %s: %d; first: %s\n", rs.place.Name, c.contender, c.workload, rs.failed[c], oneLine(rs.failures[c]))
		}
	}
	for _, rs := range r.places {
		fmt.Fprintf(b, "\n## %s\n\n", rs.place.Title)
		r.goals(b, rs)
		for _, t := range tables {
			r.table(b, rs, t)
		}
		r.limits(b, rs)
		r.negotiated(b, rs)
	}
}

// table is how one figure is shown.
type table struct {
	title  string
	figure figure
	format string
	spread bool // show how far the rounds are apart
	ratio  bool // to the reference
	direct bool // with the backend itself
	paced  bool // measured at a fixed rate
}

// tables are the figures of a placement.
var tables = []table{
	{title: "Gateway CPU, µs per request", figure: cpuFigure, format: "%.1f", spread: true, ratio: true},
	{title: "Requests per second", figure: rateFigure, format: "%.0f", ratio: true, direct: true},
	{title: "How busy the gateway was meanwhile, % of one core", figure: busyFigure, format: "%.0f"},
	{title: "p50 at a fixed rate, ms", figure: p50Figure, format: "%.2f", ratio: true, paced: true},
	{title: "p99 at a fixed rate, ms", figure: p99Figure, format: "%.2f", spread: true, ratio: true, paced: true},
	{title: "Memory, MiB", figure: memoryFigure, format: "%.0f", ratio: true},
}

// table writes one figure: a line per workload, a column per contender and one
// for its ratio.
func (r *report) table(b *strings.Builder, rs *results, t table) {
	columns := slices.Clone(r.contenders)
	if t.direct {
		columns = append(columns, row{name: direct})
	}
	ratio := func(c row) bool { return t.ratio && c.name != reference && c.name != direct }
	fmt.Fprintf(b, "### %s\n\n| |", t.title)
	rule := "\n| --- |"
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.name)
		rule += " --: |"
		if ratio(c) {
			b.WriteString(" × |")
			rule += " --: |"
		}
	}
	b.WriteString(rule + "\n")
	for _, w := range r.workloads {
		title := w.Title
		if t.paced {
			title = fmt.Sprintf("%s at %d/s", title, w.Rate)
		}
		fmt.Fprintf(b, "| %s |", title)
		for _, c := range columns {
			text := "–"
			if value, away, ok := rs.median(c.name, w.Name, t.figure); ok {
				text = fmt.Sprintf(t.format, value)
				if t.spread && r.rounds > 1 {
					text += fmt.Sprintf(" ±%.0f%%", 100*away)
				}
			}
			fmt.Fprintf(b, " %s |", text)
			if !ratio(c) {
				continue
			}
			text = "–"
			if times, ok := rs.ratio(c.name, reference, w.Name, t.figure); ok {
				text = fmt.Sprintf("%.2f", times)
			}
			fmt.Fprintf(b, " %s |", text)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

// goals are what this project set itself: gateway CPU of Sallyport over
// another's, at most limit.
var goals = []struct {
	workload, other string
	limit           float64
}{
	{"h1-1k", reference, 1.0},
	{"h1-64k", reference, 0.8},
	{"h2-1k", reference, 0.9},
	{"h2-64k", reference, 0.8},
	{"tls-backend", reference, 0.9},
	{"", "Caddy", 0.5}, // every workload
	{"", "Traefik", 0.5},
}

// goals says of each goal whether it is met, plainly.
func (r *report) goals(b *strings.Builder, rs *results) {
	var lines []string
	judge := func(what string, measured, limit float64) {
		verdict := "met"
		if measured > limit {
			verdict = "**falls short**"
		}
		lines = append(lines, fmt.Sprintf("| %s | %.2f | %.2f | %s |\n", what, limit, measured, verdict))
	}
	for _, g := range goals {
		worst, where, met, all := 0.0, "", 0, 0
		for _, w := range r.workloads {
			if g.workload != "" && g.workload != w.Name {
				continue
			}
			ratio, ok := rs.ratio(subject, g.other, w.Name, cpuFigure)
			if !ok {
				continue
			}
			if all++; ratio <= g.limit {
				met++
			}
			if ratio > worst {
				worst, where = ratio, w.Title
			}
		}
		if where == "" {
			continue // not measured
		}
		if g.workload == "" {
			where = fmt.Sprintf("every workload: met in %d of %d, the worst is %s", met, all, where)
		}
		judge("CPU over "+g.other+"'s, "+where, worst, g.limit)
	}
	for _, w := range r.workloads {
		if ratio, ok := rs.ratio(subject, reference, w.Name, p99Figure); ok {
			judge("p99 over "+reference+"'s, "+w.Title, ratio, 1)
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "### Goals\n\n| goal | at most | measured | |\n| --- | --: | --: | --- |\n%s\n", strings.Join(lines, ""))
	}
}

// limits says what the load generator and the backend cost, and where the
// backend came near to being what was measured.
func (r *report) limits(b *strings.Builder, rs *results) {
	b.WriteString("### What else took time\n\nµs of processor time per request while Sallyport was measured, and how many times Sallyport's and the fastest contender's requests the backend answers when asked directly.\n\n" +
		"| | load generator | backend | backend over Sallyport | backend over the fastest |\n| --- | --: | --: | --: | --: |\n")
	var near []string
	for _, w := range r.workloads {
		generator, _, ok := rs.median(subject, w.Name, func(s sample) float64 { return micros(s.generator) })
		if !ok {
			continue
		}
		backend, _, _ := rs.median(subject, w.Name, func(s sample) float64 { return micros(s.backend) })
		mine, fastest := "–", "–"
		if alone, _, ok := rs.median(direct, w.Name, rateFigure); ok {
			best := 0.0
			for _, c := range r.contenders {
				rate, _, _ := rs.median(c.name, w.Name, rateFigure)
				best = max(best, rate)
			}
			own, _, _ := rs.median(subject, w.Name, rateFigure)
			mine, fastest = fmt.Sprintf("%.1f", alone/own), fmt.Sprintf("%.1f", alone/best)
			if alone < 1.5*best {
				near = append(near, w.Title)
			}
		}
		fmt.Fprintf(b, "| %s | %.1f | %.1f | %s | %s |\n", w.Title, generator, backend, mine, fastest)
	}
	b.WriteString("\n")
	if len(near) > 0 {
		fmt.Fprintf(b, "The backend with its load generator is less than 1.5 times as fast as the fastest contender in: %s. There the requests per second say little; CPU per request still counts.\n\n", strings.Join(near, ", "))
	}
}

// negotiated lists what TLS settled on, so that a contender that got away with
// less is seen.
func (r *report) negotiated(b *strings.Builder, rs *results) {
	b.WriteString("### What was negotiated\n\n")
	for _, suite := range slices.Sorted(maps.Keys(rs.suites)) {
		var where []string
		for _, c := range rs.suites[suite] {
			where = append(where, c.contender+" "+c.workload)
		}
		slices.Sort(where)
		text := strings.Join(where, ", ")
		if len(rs.suites) > 1 && len(where) > 2*len(r.contenders) {
			text = fmt.Sprintf("%d pairs of contender and workload", len(where))
		} else if len(rs.suites) == 1 {
			text = "everywhere"
		}
		fmt.Fprintf(b, "- %s: %s\n", suite, text)
	}
	for _, c := range slices.SortedFunc(maps.Keys(rs.refused), func(x, y cell) int { return strings.Compare(x.contender, y.contender) }) {
		fmt.Fprintf(b, "- %s does not take part in %s: it does not know the group\n", c.contender, c.workload)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

package posture

import (
	"cmp"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how to judge. The zero value judges as Security Hub does today,
// with a clock at the year 1: set Now.
type Options struct {
	Now        time.Time
	Mode       Mode              // empty: Live
	Params     map[string]Values // by control id; what is not set has its default
	AllowLists map[string]string // by control id, the date of the allow-list to use; the newest without
}

// An Evaluator judges resources by a set of controls. It is safe for
// concurrent use.
type Evaluator struct {
	controls []*Control
	params   []*Params // of the control at the same place
	byType   map[string][]int
	options  Options
}

// New checks the options. The error is a *ParameterError.
func New(controls []*Control, o Options) (*Evaluator, error) {
	o.Mode = cmp.Or(o.Mode, Live)
	e := &Evaluator{controls: controls, byType: map[string][]int{}, options: o}
	known := map[string]bool{}
	for i, c := range controls {
		p, err := c.Params(o.Params[c.ID], o.AllowLists[c.ID], o.Mode, o.Now)
		if err != nil {
			return nil, err
		}
		e.params = append(e.params, p)
		known[c.ID] = true
		for _, t := range c.Resources {
			e.byType[t] = append(e.byType[t], i)
		}
	}
	for _, ids := range [][]string{sortedKeys(o.Params), sortedKeys(o.AllowLists)} {
		for _, id := range ids {
			if !known[id] {
				return nil, &ParameterError{Control: id, Problem: "it is not among the controls of this run"}
			}
		}
	}
	return e, nil
}

// Judge gives the findings on one resource, in the order of the controls: one
// for each control that covers its type, also where it does not apply.
func (e *Evaluator) Judge(r *Resource) []Finding {
	return e.judge(make([]Finding, 0, len(e.byType[r.Type])), r)
}

func (e *Evaluator) judge(to []Finding, r *Resource) []Finding {
	for _, i := range e.byType[r.Type] {
		c, p := e.controls[i], e.params[i]
		v := c.Judge(r, p)
		f := Finding{
			Control: c.ID, Title: c.Title, Severity: c.Severity,
			Status: v.Status, Reason: v.Reason, Confidence: v.Confidence, Notes: v.Notes, Expect: v.Wire,
			Resource:    Subject{Type: r.Type, ID: r.ID, Region: r.Region, Account: r.Account, Source: r.Source, Location: r.Location, Tags: r.Tags},
			Evidence:    make([]Evidence, len(v.Members)),
			Remediation: []Step{},
			Mode:        p.Mode, Parameters: p.Values,
			FirstSeen: p.Now, LastSeen: p.Now,
		}
		for n, m := range v.Members {
			f.Evidence[n] = Evidence{Kind: Configuration, Member: m.Path, Value: m.Value}
		}
		if p.List != nil {
			f.AllowList = p.List.AsOf
		}
		to = append(to, f)
	}
	return to
}

// batch is how many resources a core takes at a time: enough that taking them
// costs nothing, few enough that all cores end together.
const batch = 256

// All judges every resource of the sequence, on all cores. Findings are
// ordered by the resource's id and type, then as the controls are.
func (e *Evaluator) All(resources iter.Seq[*Resource]) *Report {
	all := slices.SortedStableFunc(resources, func(a, b *Resource) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type))
	})
	// Each resource gets as many findings as controls cover its type, so every
	// core knows where its own go.
	starts := make([]int, len(all)+1)
	for i, r := range all {
		starts[i+1] = starts[i] + len(e.byType[r.Type])
	}
	report := &Report{Findings: make([]Finding, starts[len(all)])}
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), (len(all)+batch-1)/batch) {
		workers.Go(func() {
			for {
				to := int(next.Add(batch))
				for i := to - batch; i < min(to, len(all)); i++ {
					e.judge(report.Findings[starts[i]:starts[i]:starts[i+1]], all[i])
				}
				if to >= len(all) {
					return
				}
			}
		})
	}
	workers.Wait()
	report.Summary = e.Summarize(report.Findings)
	report.Summary.Resources = len(all)
	for _, r := range all {
		if len(e.byType[r.Type]) == 0 {
			report.Summary.Unjudged++
		}
	}
	return report
}

// Summarize counts findings of this evaluator's controls. Resources and
// Unjudged are the caller's to fill.
func (e *Evaluator) Summarize(findings []Finding) Summary {
	s := Summary{Time: e.options.Now, Mode: e.options.Mode, Statuses: map[Status]int{}, Failing: map[Severity]int{}}
	place := make(map[string]int, len(e.controls))
	for i, c := range e.controls {
		place[c.ID] = i
		s.Controls = append(s.Controls, Tally{Control: c.ID, Statuses: map[Status]int{}})
	}
	for i := range findings {
		f := &findings[i]
		s.Statuses[f.Status]++
		if f.Status.Failing() {
			s.Failing[f.Severity]++
		}
		if at, ok := place[f.Control]; ok {
			s.Controls[at].Statuses[f.Status]++
		}
	}
	for i := range s.Controls {
		s.Controls[i].Status = OverallOf(s.Controls[i].Statuses)
	}
	return s
}

// Evaluate judges every resource of the sequence by the controls. The error is
// a *ParameterError: nothing about a resource is an error.
func Evaluate(controls []*Control, resources iter.Seq[*Resource], o Options) (*Report, error) {
	e, err := New(controls, o)
	if err != nil {
		return nil, err
	}
	return e.All(resources), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

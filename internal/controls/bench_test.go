package controls

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/internal/posture"
)

// hundredThousand are resources of every kind and every verdict, in the shape
// of the cases. Documents are shared: judging does not change them.
func hundredThousand() []*posture.Resource {
	var shapes []posture.Resource
	for _, c := range All {
		for _, t := range cases[c.ID] {
			if t.r.Doc != nil {
				shapes = append(shapes, t.r)
			}
		}
	}
	resources := make([]*posture.Resource, 100_000)
	for i := range resources {
		r := shapes[i%len(shapes)]
		r.ID = fmt.Sprintf("%s/%d", r.ID, i)
		resources[i] = &r
	}
	return resources
}

// BenchmarkEvaluate judges 100,000 resources by every control that covers
// them. The design asks for less than 2 s.
func BenchmarkEvaluate(b *testing.B) {
	resources := hundredThousand()
	var findings int
	b.ReportAllocs()
	for b.Loop() {
		report, err := posture.Evaluate(All, slices.Values(resources), posture.Options{Now: now})
		if err != nil {
			b.Fatal(err)
		}
		findings = len(report.Findings)
	}
	b.ReportMetric(float64(findings), "findings")
}

// BenchmarkJudge judges one REST stage by the five controls for it: what a
// change on this gateway costs.
func BenchmarkJudge(b *testing.B) {
	e, err := posture.New(All, posture.Options{Now: now})
	if err != nil {
		b.Fatal(err)
	}
	r := cache(true, "*/*", "ce", "~1pets/GET", "c")
	b.ReportAllocs()
	for b.Loop() {
		if len(e.Judge(&r)) != 5 {
			b.Fatal("a stage has five controls")
		}
	}
}

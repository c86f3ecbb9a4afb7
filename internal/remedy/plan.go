package remedy

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/internal/posture"
)

// Plan is what to do about the findings of a report, in the order to do it.
type Plan struct {
	Items []Item `json:"plan"`
	// Unfixable are findings that no change closes; their reason says why.
	Unfixable []posture.Finding `json:"unfixable,omitempty"`
}

// Item is one finding to close.
type Item struct {
	Order   int              `json:"order"` // from 1
	Finding *posture.Finding `json:"finding"`
}

// order is the place of each control's changes on one resource: logs first, so
// that what follows can be seen in them; what clients and backends notice last.
var order = []string{"APIGateway.1", "APIGateway.9", "APIGateway.3", "APIGateway.5", "APIGateway.4", "APIGateway.2", "APIGateway.10",
	"APIGateway.8", "Opensearch.3", "Opensearch.8", "APIGateway.11", "ACM.1", "ACM.2"}

// PlanOf orders the open findings of a report: one resource at a time, stages
// before what stands in front of them, so that logs are written before a policy
// is tightened.
func PlanOf(r *posture.Report) *Plan {
	p := &Plan{Items: []Item{}}
	var open []*posture.Finding
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case !f.Open():
		case f.Status == posture.Unfixable:
			p.Unfixable = append(p.Unfixable, *f)
		default:
			open = append(open, f)
		}
	}
	types := []string{posture.TypeStage, posture.TypeStageV2, posture.TypeIntegration, posture.TypeRoute, posture.TypeSearchDomain, posture.TypeDomainName, posture.TypeDomainNameV2, posture.TypeCertificate}
	slices.SortStableFunc(open, func(a, b *posture.Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(types, a.Resource.Type), slices.Index(types, b.Resource.Type)),
			cmp.Compare(a.Resource.ID, b.Resource.ID),
			cmp.Compare(slices.Index(order, a.Control), slices.Index(order, b.Control)))
	})
	for i, f := range open {
		p.Items = append(p.Items, Item{Order: i + 1, Finding: f})
	}
	return p
}

// Attach puts the steps into the failing findings of a report. A resource that
// is not among those given leaves its findings as they are.
func Attach(r *posture.Report, resources []*posture.Resource, c Context) {
	type key struct{ typ, id string }
	by := make(map[key]*posture.Resource, len(resources))
	for _, x := range resources {
		by[key{x.Type, x.ID}] = x
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if x := by[key{f.Resource.Type, f.Resource.ID}]; x != nil && f.Status == posture.Failed {
			f.Remediation = Steps(f, x, c)
		}
	}
}

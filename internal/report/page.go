package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// page.html is the page's text. It needs nothing else: no script, no font, no
// picture that is not in it, and says so to the browser.
//
//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// A status as the page shows it: a word, a class for its colour and a mark, so
// that none is told by its colour alone.
type pageStatus struct {
	Status             posture.Status
	Class, Label, Mark string
	Count              int
}

// pageStatuses are in the order of the picture.
var pageStatuses = []pageStatus{
	{Status: posture.Failed, Class: "failed", Label: "failed", Mark: "✗"},
	{Status: posture.Unfixable, Class: "unfixable", Label: "unfixable", Mark: "⊘"},
	{Status: posture.Unknown, Class: "unknown", Label: "unknown", Mark: "?"},
	{Status: posture.Passed, Class: "passed", Label: "passed", Mark: "✓"},
	{Status: posture.NotApplicable, Class: "na", Label: "not applicable", Mark: "–"},
}

func statusOf(s posture.Status) pageStatus {
	for _, p := range pageStatuses {
		if p.Status == s {
			return p
		}
	}
	return pageStatuses[2] // what nobody knows is unknown
}

type (
	pageData struct {
		Title, Verdict, Time, Mode, Version string
		Resources, Accepted, Hidden         int
		Sources                             string
		Counts                              []pageStatus
		Arcs                                []pageArc
		Caption                             string
		Judged                              int
		Controls                            []pageControl
		Groups                              []pageGroup
		Problems                            []posture.Problem
	}
	pageArc struct {
		Class        string
		Dash, Offset string // of a circle with circumference 100
	}
	pageControl struct {
		ID, Title, Severity, URL, Label string
		Total                           int
		Bars                            []pageBar
	}
	pageBar struct {
		Class    string
		X, Width string
	}
	pageGroup struct {
		Anchor   string
		Subject  posture.Subject
		Tags     []ocsfValue
		Findings []pageFinding
	}
	pageFinding struct {
		posture.Finding
		Look     pageStatus
		Open     bool
		URL      string
		First    string
		Until    string
		Members  []posture.Evidence // of the configuration
		Wire     []posture.Evidence
		Contrary bool
	}
)

// writeHTML writes one page: a picture of the counts, then every resource with
// what was found, what supports it and what closes it.
func writeHTML(to io.Writer, r *posture.Report, m Meta) error {
	d := pageData{Title: "Audit report", Version: m.Version, Mode: string(r.Summary.Mode), Resources: r.Summary.Resources, Problems: r.Problems, Judged: len(r.Findings)}
	if !m.Now.IsZero() {
		d.Time = m.Now.UTC().Format("2 January 2006, 15:04 UTC")
	}
	groups := map[string]int{}
	sources := map[posture.Source]bool{}
	open := 0
	counts := map[posture.Status]int{}
	for _, f := range ordered(r) {
		counts[f.Status]++
		sources[f.Resource.Source] = true
		if f.Accepted != nil {
			d.Accepted++
		}
		if f.Open() {
			open++
		}
		if !m.All && (f.Status == posture.Passed || f.Status == posture.NotApplicable) {
			d.Hidden++
			continue
		}
		key := f.Resource.Type + "\x00" + f.Resource.ID
		at, ok := groups[key]
		if !ok {
			at = len(d.Groups)
			groups[key] = at
			d.Groups = append(d.Groups, pageGroup{Anchor: fmt.Sprintf("r%d", at+1), Subject: f.Resource, Tags: pairs(f.Resource.Tags)})
		}
		d.Groups[at].Findings = append(d.Groups[at].Findings, pageFindingOf(f))
	}
	d.Verdict = "Nothing fails"
	switch {
	case open == 1:
		d.Verdict = "1 finding is open"
	case open > 1:
		d.Verdict = fmt.Sprintf("%d findings are open", open)
	case counts[posture.Unknown] > 0:
		d.Verdict = "Nothing fails that could be told"
	}
	var names []string
	for _, s := range []struct {
		source posture.Source
		name   string
	}{{posture.Self, "this gateway"}, {posture.Account, "an AWS account"}, {posture.File, "templates"}} {
		if sources[s.source] {
			names = append(names, s.name)
		}
	}
	d.Sources = strings.Join(names, ", ")
	d.Counts, d.Arcs = pageCounts(counts), pageArcs(counts)
	var said []string
	for _, c := range d.Counts {
		said = append(said, fmt.Sprintf("%d %s", c.Count, c.Label))
	}
	d.Caption = strings.Join(said, ", ")
	d.Controls = pageControls(r)
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, d); err != nil {
		return err
	}
	_, err := to.Write(bytes.Map(visible, page.Bytes()))
	return err
}

func pageFindingOf(f posture.Finding) pageFinding {
	p := pageFinding{Finding: f, Look: statusOf(f.Status), Open: f.Open()}
	if c, ok := controls.Lookup(f.Control); ok {
		p.URL = c.RemediationURL()
	}
	if !f.FirstSeen.IsZero() {
		p.First = f.FirstSeen.UTC().Format(time.RFC3339)
	}
	if f.Accepted != nil && !f.Accepted.Expires.IsZero() {
		p.Until = f.Accepted.Expires.UTC().Format(time.DateOnly)
	}
	for _, e := range f.Evidence {
		p.Contrary = p.Contrary || e.Contradicts
		if e.Kind == posture.Configuration {
			e.Value = cmp.Or(e.Value, "(not set)")
			e.Member = cmp.Or(e.Member, "(the document)")
			p.Members = append(p.Members, e)
		} else {
			p.Wire = append(p.Wire, e)
		}
	}
	return p
}

func pageCounts(n map[posture.Status]int) []pageStatus {
	out := slices.Clone(pageStatuses)
	for i := range out {
		out[i].Count = n[out[i].Status]
	}
	return out
}

// pageArcs are the parts of a ring of circumference 100, clockwise from the top.
func pageArcs(n map[posture.Status]int) []pageArc {
	total := 0
	for _, s := range pageStatuses {
		total += n[s.Status]
	}
	var arcs []pageArc
	begun := 0.0
	for _, s := range pageStatuses {
		if n[s.Status] == 0 {
			continue
		}
		part := 100 * float64(n[s.Status]) / float64(total)
		arcs = append(arcs, pageArc{s.Class, number(part) + " " + number(100-part), number(math.Mod(125-begun, 100))})
		begun += part
	}
	return arcs
}

// pageControls are the rows of the table of controls, each with a stacked bar
// of 200 units.
func pageControls(r *posture.Report) []pageControl {
	var out []pageControl
	for _, t := range r.Summary.Controls {
		p := pageControl{ID: t.Control, Title: t.Control}
		counts := pageCounts(t.Statuses)
		if c, ok := controls.Lookup(t.Control); ok {
			p.Title, p.Severity, p.URL = c.Title, string(c.Severity), c.RemediationURL()
		}
		for _, c := range counts {
			p.Total += c.Count
		}
		if p.Total == 0 {
			p.Label = "nothing to judge"
		}
		x := 0.0
		for _, c := range counts {
			if c.Count == 0 {
				continue
			}
			if p.Label != "" {
				p.Label += ", "
			}
			p.Label += fmt.Sprintf("%d %s", c.Count, c.Label)
			width := 200 * float64(c.Count) / float64(p.Total)
			p.Bars = append(p.Bars, pageBar{c.Class, number(x), number(width)})
			x += width
		}
		out = append(out, p)
	}
	return out
}

func number(f float64) string { return fmt.Sprintf("%.2f", f) }

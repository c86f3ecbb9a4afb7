package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

// JUnit has no schema of its own; these are the members that CI servers read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"timestamp,attr,omitempty"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitOutcome `xml:"failure"`
		Skipped *junitOutcome `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitOutcome struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a suite for each control with a case for each resource.
// What does not apply, is accepted, unknown or could not be read is skipped,
// with the reason: a case that says nothing passed.
func writeJUnit(to io.Writer, r *posture.Report, m Meta) error {
	all := junitSuites{Name: "sallyport audit"}
	place := map[string]int{}
	suite := func(name string) *junitSuite {
		at, ok := place[name]
		if !ok {
			at = len(all.Suites)
			place[name] = at
			all.Suites = append(all.Suites, junitSuite{Name: name})
			if !m.Now.IsZero() {
				all.Suites[at].Time = m.Now.UTC().Format("2006-01-02T15:04:05")
			}
		}
		return &all.Suites[at]
	}
	for _, t := range r.Summary.Controls {
		suite(t.Control)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		s := suite(f.Control)
		c := junitCase{Name: f.Resource.ID, Class: f.Control}
		if f.Resource.Source == posture.File {
			c.File, c.Line = splitLocation(f.Resource.Location)
		}
		switch {
		case f.Accepted != nil:
			why := "accepted: " + f.Accepted.Reason
			if !f.Accepted.Expires.IsZero() {
				why += " (until " + f.Accepted.Expires.UTC().Format(time.DateOnly) + ")"
			}
			c.Skipped = &junitOutcome{Message: why}
		case f.Status.Failing():
			c.Failure = &junitOutcome{Type: string(f.Status), Message: f.Reason, Text: details(f)}
		case f.Status == posture.Passed:
			c.Out = details(f)
		default:
			c.Skipped = &junitOutcome{Message: cmp.Or(string(f.Status), string(posture.Unknown)) + ": " + f.Reason}
		}
		s.add(c)
	}
	for _, p := range r.Problems {
		suite("not read").add(junitCase{Name: p.Where, Class: "source", Skipped: &junitOutcome{Message: p.Text}})
	}
	for i := range all.Suites {
		s := &all.Suites[i]
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
	}
	if _, err := io.WriteString(to, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(to)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(to, "\n")
	return err
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// details is what supports a finding and what closes it, as plain text.
func details(f *posture.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", f.Status, f.Severity, f.Reason)
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for i := range f.Evidence {
		fmt.Fprintf(&b, "evidence: %s\n", evidenceLine(&f.Evidence[i]))
	}
	for _, s := range f.Remediation {
		fmt.Fprintf(&b, "%s: %s\n", s.Form, s.Text)
		for _, w := range s.Breaks {
			fmt.Fprintf(&b, "breaks: %s\n", w)
		}
	}
	return b.String()
}

// evidenceLine is a piece of evidence without its transcript.
func evidenceLine(e *posture.Evidence) string {
	if e.Kind == posture.Configuration {
		return e.Member + " = " + cmp.Or(e.Value, "(not set)")
	}
	line := e.Kind + " of " + e.Target + ": " + e.Value
	if e.Contradicts {
		line += " (contradicts the configuration)"
	}
	return line
}

// Package report writes a posture.Report in the forms that people and other
// programs read: a table, JSON, ASFF, OCSF, SARIF, JUnit, CSV and one HTML page
// that needs nothing else.
//
//	err := report.Write(os.Stdout, "sarif", r, report.Meta{Version: version})
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

// Meta is what a report says of its making.
type Meta struct {
	Version string    // of this program
	Now     time.Time // zero: the report's own time
	All     bool      // table, page and SARIF also list what passes
	Color   bool      // the table may use colours
	Width   int       // of the terminal in columns; 0: lines are not cut

	// Account and Region stand in where a finding does not say, in the forms
	// that cannot do without.
	Account, Region string
}

// forms are the forms in the order that help texts show them.
var forms = []struct {
	name  string
	write func(io.Writer, *posture.Report, Meta) error
}{
	{"table", writeTable},
	{"json", writeJSON},
	{"asff", writeASFF},
	{"ocsf", writeOCSF},
	{"sarif", writeSARIF},
	{"junit", writeJUnit},
	{"csv", writeCSV},
	{"html", writeHTML},
}

// Formats lists the names of the forms.
func Formats() []string {
	var names []string
	for _, f := range forms {
		names = append(names, f.name)
	}
	return names
}

// Write writes r in the form of that name.
func Write(w io.Writer, format string, r *posture.Report, m Meta) error {
	if m.Now.IsZero() {
		m.Now = r.Summary.Time
	}
	for _, f := range forms {
		if f.name == format {
			return f.write(w, r, m)
		}
	}
	return fmt.Errorf("unknown output form %q: there are %s", format, strings.Join(Formats(), ", "))
}

func writeJSON(w io.Writer, r *posture.Report, _ Meta) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// ordered are the findings gravest first: what counts before what does not.
func ordered(r *posture.Report) []posture.Finding {
	list := slices.Clone(r.Findings)
	rank := func(f *posture.Finding) int {
		n := slices.Index(posture.Statuses(), f.Status) * 10
		if !f.Status.Failing() {
			n += 100
		}
		if f.Accepted != nil {
			n += 50
		}
		return n + slices.Index(posture.Severities(), f.Severity)
	}
	slices.SortStableFunc(list, func(a, b posture.Finding) int { return rank(&a) - rank(&b) })
	return list
}

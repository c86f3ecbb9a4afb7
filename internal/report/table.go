package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/internal/posture"
)

// colours of statuses on a terminal.
var colours = map[posture.Status]string{
	posture.Failed: "\x1b[31m", posture.Unfixable: "\x1b[35m", posture.Unknown: "\x1b[33m", posture.Passed: "\x1b[32m",
}

// writeTable lists what needs somebody, then the reasons, then what it comes to.
func writeTable(to io.Writer, r *posture.Report, m Meta) error {
	w := bufio.NewWriter(to)
	hidden := 0
	var shown []posture.Finding
	for _, f := range ordered(r) {
		if !m.All && (f.Status == posture.Passed || f.Status == posture.NotApplicable) {
			hidden++
			continue
		}
		shown = append(shown, f)
	}
	if len(shown) > 0 {
		var text strings.Builder
		inner := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		fmt.Fprintln(inner, "STATUS\tSEVERITY\tCONTROL\tRESOURCE\tREASON")
		for i := range shown {
			f := &shown[i]
			fmt.Fprintf(inner, "%s\t%s\t%s\t%s\t%s\n", statusText(f), f.Severity, oneLine(f.Control), oneLine(where(f)), oneLine(f.Reason))
		}
		if err := inner.Flush(); err != nil {
			return err
		}
		for i, line := range strings.Split(strings.TrimRight(text.String(), "\n"), "\n") {
			line = cut(line, m.Width)
			if m.Color && i > 0 {
				line = colours[shown[i-1].Status] + line + "\x1b[0m"
			}
			fmt.Fprintln(w, line)
		}
		fmt.Fprintln(w)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "not read: %s: %s\n", oneLine(p.Where), oneLine(p.Text))
	}
	if len(r.Problems) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, total(r, hidden))
	return w.Flush()
}

// statusText is a status as people read it.
func statusText(f *posture.Finding) string {
	if f.Accepted != nil {
		return string(f.Status) + " (accepted)"
	}
	return string(f.Status)
}

// where is a finding's resource, with the line of its template.
func where(f *posture.Finding) string {
	if f.Resource.Location != "" {
		return f.Resource.ID + " (" + f.Resource.Location + ")"
	}
	return f.Resource.ID
}

// total is what a report comes to, in a line.
func total(r *posture.Report, hidden int) string {
	s := r.Summary.Statuses
	accepted := 0
	for i := range r.Findings {
		if r.Findings[i].Accepted != nil {
			accepted++
		}
	}
	resources := "resources"
	if r.Summary.Resources == 1 {
		resources = "resource"
	}
	line := fmt.Sprintf("%d %s: %d failed, %d unfixable, %d unknown, %d passed, %d not applicable",
		r.Summary.Resources, resources, s[posture.Failed], s[posture.Unfixable], s[posture.Unknown], s[posture.Passed], s[posture.NotApplicable])
	if accepted > 0 {
		line += fmt.Sprintf("; %d accepted", accepted)
	}
	if hidden > 0 {
		line += "; --all lists every finding"
	}
	if !r.Summary.Time.IsZero() {
		line += "; judged " + r.Summary.Time.UTC().Format(time.RFC3339)
	}
	return line
}

// oneLine is a text in one line, without what a terminal would obey or what
// turns its direction: names are a stranger's.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(visible, s)), " ")
}

// visible replaces what is no text: what a terminal obeys, and what makes one
// text look like another.
func visible(r rune) rune {
	if unicode.IsControl(r) && !unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r) {
		return '\uFFFD'
	}
	return r
}

// cut shortens a line to a terminal's width, by characters.
func cut(line string, width int) string {
	runes := []rune(line)
	if width <= 0 || len(runes) <= width {
		return line
	}
	return string(runes[:width-1]) + "…"
}

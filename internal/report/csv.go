package report

import (
	"encoding/csv"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/posture"
)

// columns of the CSV form, in their order. New ones come last.
var columns = []struct {
	name  string
	value func(*posture.Finding) string
}{
	{"control", func(f *posture.Finding) string { return f.Control }},
	{"title", func(f *posture.Finding) string { return f.Title }},
	{"severity", func(f *posture.Finding) string { return string(f.Severity) }},
	{"status", func(f *posture.Finding) string { return string(f.Status) }},
	{"resource_type", func(f *posture.Finding) string { return f.Resource.Type }},
	{"resource_id", func(f *posture.Finding) string { return f.Resource.ID }},
	{"region", func(f *posture.Finding) string { return f.Resource.Region }},
	{"account", func(f *posture.Finding) string { return f.Resource.Account }},
	{"source", func(f *posture.Finding) string { return string(f.Resource.Source) }},
	{"location", func(f *posture.Finding) string { return f.Resource.Location }},
	{"reason", func(f *posture.Finding) string { return f.Reason }},
	{"notes", func(f *posture.Finding) string { return strings.Join(f.Notes, "\n") }},
	{"evidence", func(f *posture.Finding) string {
		var lines []string
		for i := range f.Evidence {
			lines = append(lines, evidenceLine(&f.Evidence[i]))
		}
		return strings.Join(lines, "\n")
	}},
	{"remediation", func(f *posture.Finding) string {
		var lines []string
		for _, s := range f.Remediation {
			lines = append(lines, s.Form+": "+s.Text)
		}
		return strings.Join(lines, "\n")
	}},
	{"accepted", func(f *posture.Finding) string {
		if f.Accepted == nil {
			return ""
		}
		return f.Accepted.Reason
	}},
	{"accepted_until", func(f *posture.Finding) string {
		if f.Accepted == nil || f.Accepted.Expires.IsZero() {
			return ""
		}
		return f.Accepted.Expires.UTC().Format(time.RFC3339)
	}},
	{"first_seen", func(f *posture.Finding) string { return csvTime(f.FirstSeen) }},
	{"last_seen", func(f *posture.Finding) string { return csvTime(f.LastSeen) }},
}

// writeCSV writes every finding as a record of RFC 4180, below a header. What
// could not be read is a record of its own, with the status UNKNOWN.
func writeCSV(to io.Writer, r *posture.Report, _ Meta) error {
	w := csv.NewWriter(to)
	w.UseCRLF = true
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.name
	}
	if err := w.Write(record); err != nil {
		return err
	}
	put := func(f *posture.Finding) error {
		for i, c := range columns {
			record[i] = inert(c.value(f))
		}
		return w.Write(record)
	}
	for _, f := range ordered(r) {
		if err := put(&f); err != nil {
			return err
		}
	}
	for _, p := range r.Problems {
		if err := put(&posture.Finding{Status: posture.Unknown, Resource: posture.Subject{ID: p.Where}, Reason: "not read: " + p.Text}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// inert keeps a spreadsheet from taking a stranger's text for a formula.
// Source: OWASP, CSV Injection.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n|＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

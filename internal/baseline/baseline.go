// Package baseline reads the file in which somebody accepts findings, each with
// a reason and, best, an end, and marks them in a report:
//
//	findings:
//	  - control: APIGateway.3
//	    resource: arn:aws:apigateway:*::/restapis/a1b2c3/stages/*
//	    reason: traced by the service mesh, ticket 4711
//	    expires: 2027-01-31
//
// An entry that has expired accepts nothing, and is named.
package baseline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/internal/posture"
)

// Entry accepts the findings of a control on the resources of a pattern.
type Entry struct {
	Control  string `yaml:"control"`
	Resource string `yaml:"resource"` // "*" stands for any characters
	Reason   string `yaml:"reason"`
	Expires  string `yaml:"expires,omitempty"` // YYYY-MM-DD, the last day on which it counts; "": never

	line    int
	expires time.Time
	used    bool
}

// Baseline is a file's entries.
type Baseline struct {
	file    string
	entries []*Entry
}

// maxFile bounds a baseline file in bytes.
const maxFile = 8 << 20

// Load reads a file. What it refuses, it refuses with file and line.
func Load(file string) (*Baseline, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", file, maxFile)
	}
	return Parse(file, text)
}

// Parse reads the text of a file.
func Parse(file string, text []byte) (*Baseline, error) {
	var doc struct {
		Findings []yaml.Node `yaml:"findings"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	b := &Baseline{file: file}
	for i := range doc.Findings {
		node := &doc.Findings[i]
		at := fmt.Sprintf("%s:%d", file, node.Line)
		if err := known(node); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		e := &Entry{line: node.Line}
		if err := node.Decode(e); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		switch {
		case e.Control == "" || e.Resource == "":
			return nil, fmt.Errorf("%s: control and resource are required", at)
		case strings.TrimSpace(e.Reason) == "":
			return nil, fmt.Errorf("%s: a finding is accepted with a reason only", at)
		}
		if _, err := path.Match(pattern(e.Resource), ""); err != nil {
			return nil, fmt.Errorf("%s: resource %q is no pattern", at, e.Resource)
		}
		if e.Expires != "" {
			day, err := time.Parse(time.DateOnly, e.Expires)
			if err != nil {
				return nil, fmt.Errorf("%s: expires %q is not a date such as 2027-01-31", at, e.Expires)
			}
			e.expires = day.AddDate(0, 0, 1)
		}
		b.entries = append(b.entries, e)
	}
	return b, nil
}

// known refuses misspelled members, which would accept more or for longer.
func known(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return errors.New("an entry has control, resource, reason and expires")
	}
	for i := 0; i < len(node.Content); i += 2 {
		switch key := node.Content[i].Value; key {
		case "control", "resource", "reason", "expires":
		default:
			return fmt.Errorf("unknown member %q", key)
		}
	}
	return nil
}

// pattern makes "*" stand for slashes too, which path.Match keeps apart.
func pattern(resource string) string {
	return strings.NewReplacer("/", "\x01", "[", `\[`, "?", `\?`, `\`, `\\`).Replace(resource)
}

func (e *Entry) matches(f *posture.Finding) bool {
	ok, err := path.Match(pattern(e.Resource), strings.ReplaceAll(f.Resource.ID, "/", "\x01"))
	return err == nil && ok && strings.EqualFold(e.Control, f.Control)
}

// Apply marks the failing findings that are accepted at a time, and returns a
// line for each entry that has expired or accepts nothing any more.
func (b *Baseline) Apply(r *posture.Report, now time.Time) []string {
	var lines []string
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.Status.Failing() {
			continue
		}
		for _, e := range b.entries {
			if !e.matches(f) {
				continue
			}
			e.used = true
			if e.expires.IsZero() || now.Before(e.expires) {
				f.Accepted = &posture.Acceptance{Reason: e.Reason, Expires: e.expires}
				break
			}
		}
	}
	for _, e := range b.entries {
		switch {
		case !e.expires.IsZero() && !now.Before(e.expires):
			lines = append(lines, fmt.Sprintf("%s:%d: the acceptance of %s on %s expired after %s", b.file, e.line, e.Control, e.Resource, e.Expires))
		case !e.used:
			lines = append(lines, fmt.Sprintf("%s:%d: %s on %s accepts nothing: no such finding fails", b.file, e.line, e.Control, e.Resource))
		}
	}
	return lines
}

// Of makes the text of a baseline that accepts every open finding of a report.
func Of(r *posture.Report, reason, expires string) ([]byte, error) {
	var doc struct {
		Findings []Entry `yaml:"findings"`
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Open() {
			doc.Findings = append(doc.Findings, Entry{Control: f.Control, Resource: f.Resource.ID, Reason: reason, Expires: expires})
		}
	}
	return yaml.Marshal(doc)
}

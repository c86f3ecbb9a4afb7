package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// writeASFF writes a list of findings as BatchImportFindings takes them, of a
// product of the account's own. That call takes up to 100 at a time.
func writeASFF(to io.Writer, r *posture.Report, m Meta) error {
	return writeList(to, r, func(f *posture.Finding) ([]byte, error) {
		doc := document(f, m)
		return awsapi.Marshal(&doc)
	})
}

// document is a finding in the AWS Security Finding Format. What somebody
// accepted is suppressed, with the reason as its note.
func document(f *posture.Finding, m Meta) types.AwsSecurityFinding {
	about := asff.Meta{Own: true, Account: m.Account, Region: m.Region}
	if c, ok := controls.Lookup(f.Control); ok {
		about.Control = c
	}
	if a := f.Accepted; a != nil {
		about.Workflow = string(types.WorkflowStatusSuppressed)
		text := a.Reason
		if !a.Expires.IsZero() {
			text += " (until " + a.Expires.UTC().Format(time.DateOnly) + ")"
		}
		about.Note = &types.Note{Text: aws.String(clip(text, 512)), UpdatedBy: aws.String("sallyport baseline"), UpdatedAt: asff.Time(m.Now)}
	}
	return asff.Finding(f, about)
}

// writeList writes a JSON list with a document for each finding that is one
// where others read it: of what does not apply there is none.
func writeList(to io.Writer, r *posture.Report, encode func(*posture.Finding) ([]byte, error)) error {
	w := bufio.NewWriter(to)
	separator := "[\n"
	for _, f := range ordered(r) {
		if !asff.Sends(&f) {
			continue
		}
		text, err := encode(&f)
		if err != nil {
			return err
		}
		var nice bytes.Buffer
		if err := json.Indent(&nice, text, "  ", "  "); err != nil {
			return err
		}
		w.WriteString(separator + "  ")
		w.Write(nice.Bytes())
		separator = ",\n"
	}
	if separator == "[\n" {
		w.WriteString("[")
	}
	w.WriteString("\n]\n")
	return w.Flush()
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/doctor"
)

// visible shows a stranger's text, a certificate's say, with everything spelt
// out that would move a terminal's cursor or hide what is there.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// shownNames is how many names of a certificate are listed.
const shownNames = 6

// printDiagnosis writes one backend's diagnosis for people.
func printDiagnosis(out io.Writer, d *backgate.Diagnosis, judge string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, a ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, visible(fmt.Sprintf(format, a...)))
	}
	row("backend", "%s", d.URL)
	if d.Address != "" {
		row("address", "%s", d.Address)
	}
	row("server name", "%s", orDash(d.ServerName))
	if d.Version != "" {
		row("connection", "%s", strings.Join(nonEmpty(d.Version, d.Suite, d.Group), ", "))
	}
	row("judged by", "%s", judge)
	if err := w.Flush(); err != nil {
		return err
	}
	printChain(out, d)
	fmt.Fprintln(out)
	verdict := "accepted: chain, dates and name verify"
	if !d.Accepted {
		verdict = "REFUSED: " + d.Verdict
	}
	row("verdict", "%s", verdict)
	if d.Element >= 0 && d.Element < len(d.Chain) {
		row("at fault", "certificate %d, %s", d.Element, orDash(d.Chain[d.Element].Subject))
	}
	if d.Why != "" {
		row(map[bool]string{true: "note", false: "why"}[d.Accepted], "%s", d.Why)
	}
	if d.Fix != "" {
		row("fix", "%s", d.Fix)
	}
	if !d.Accepted {
		row("log says", "%s", d.AWSText)
		row("client gets", "%d %s", d.Status, d.ErrorType)
	}
	row("client certificate", "%s", clientCertificateText(d))
	if err := w.Flush(); err != nil {
		return err
	}
	if d.OpenSSL != "" {
		fmt.Fprintf(out, "\nSee for yourself:\n  %s\n", visible(d.OpenSSL))
	}
	return nil
}

// printChain writes the certificates as they were presented, the leaf first;
// each is indented below the one that it ought to have signed.
func printChain(out io.Writer, d *backgate.Diagnosis) {
	if len(d.Chain) == 0 {
		fmt.Fprintln(out, "\nNo certificate was presented.")
		return
	}
	fmt.Fprintln(out, "\nChain as presented:")
	now := time.Now()
	for i, c := range d.Chain {
		indent := "  " + strings.Repeat("   ", min(i, 10))
		branch := ""
		if i > 0 {
			branch = "└─ "
			indent = indent[3:]
		}
		mark := ""
		if c.Fault != "" {
			mark = "   <== " + c.Fault
		}
		fmt.Fprintf(out, "%s%s%d  %s%s\n", indent, branch, i, visible(orDash(c.Subject)), visible(mark))
		indent = "  " + strings.Repeat("   ", min(i, 10)) + "   "
		line := func(name, value string) { fmt.Fprintf(out, "%s%-8s%s\n", indent, name, visible(value)) }
		if c.Issuer == c.Subject {
			line("issuer", "itself")
		} else {
			line("issuer", orDash(c.Issuer))
		}
		line("valid", c.NotBefore.UTC().Format(dateForm)+" to "+c.NotAfter.UTC().Format(dateForm)+", "+validity(c.NotBefore, c.NotAfter, now))
		if i == 0 && len(c.Names) > 0 {
			line("names", shortList(c.Names))
		}
		line("key", strings.Join(nonEmpty(c.Key, "signed with "+c.Signature), ", "))
		line("sha256", c.SHA256)
	}
}

const dateForm = "2006-01-02 15:04"

// validity says how much is left of a validity, or since when it is over.
func validity(from, to, now time.Time) string {
	switch {
	case now.After(to):
		return "expired " + span(now.Sub(to)) + " ago"
	case now.Before(from):
		return "begins in " + span(from.Sub(now))
	}
	return span(to.Sub(now)) + " left"
}

// span is a time in the largest unit of which there are two.
func span(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{365 * 24 * time.Hour, "years"}, {24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if n := d / unit.d; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return "a moment"
}

func shortList(list []string) string {
	if len(list) <= shownNames {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:shownNames], ", "), len(list)-shownNames)
}

func clientCertificateText(d *backgate.Diagnosis) string {
	c := d.ClientCertificate
	switch {
	case !c.Asked && len(d.Chain) == 0:
		return "not known: the handshake did not get so far"
	case !c.Asked:
		return "not asked for"
	}
	text := "asked for, none shown"
	if c.Shown {
		text = "asked for and shown"
	}
	if len(c.Authorities) > 0 {
		text += "; it names as issuers: " + shortList(c.Authorities)
	}
	return text
}

// printStage writes one line per backend of a stage.
func printStage(out io.Writer, s *doctor.Stage, judge string) error {
	stageHead(out, s, judge)
	if len(s.Backends) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tFOR\tTLS\tVERDICT\tWHY")
	for i := range s.Backends {
		b := &s.Backends[i]
		version, verdict, why := "", "REFUSED: no target", b.Why
		if d := b.Diagnosis; d != nil {
			version, verdict, why = d.Version, "accepted", d.Why
			switch {
			case b.Verdict == doctor.Behind: // requests come with the certificate that it takes
				why = b.Why
			case !d.Accepted:
				verdict = "REFUSED: " + d.Verdict
			}
		}
		fmt.Fprintln(w, visible(backendName(b))+"\t"+visible(methods(b))+"\t"+orDash(version)+"\t"+visible(verdict)+"\t"+visible(why))
	}
	return w.Flush()
}

// printReadiness writes the matrix of backends and client certificates.
func printReadiness(out io.Writer, s *doctor.Stage, judge string) error {
	stageHead(out, s, judge)
	now := time.Now()
	for _, c := range []struct {
		what string
		c    *doctor.ShownCertificate
	}{{"attached", s.ClientCertificate}, {"previous", s.PreviousCertificate}} {
		if c.c != nil {
			fmt.Fprintf(out, "%s  %s, valid until %s, %s\n", c.what, visible(c.c.ID), c.c.NotAfter.UTC().Format(dateForm), validity(time.Time{}, c.c.NotAfter, now))
		}
	}
	if s.ClientCertificate == nil {
		fmt.Fprintln(out, "attached  none: the stage shows no client certificate")
	}
	if len(s.Backends) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := []string{"BACKEND", "ASKS", "TAKES ATTACHED", "TAKES PREVIOUS", "LETS IN WITHOUT", "VERDICT", "WHY"}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	open := 0
	for i := range s.Backends {
		b := &s.Backends[i]
		if b.Verdict == doctor.Open {
			open++
		}
		fmt.Fprintln(w, strings.Join([]string{visible(backendName(b)), asks(b), takes(b.Attached), takes(b.Previous), takes(b.Without),
			strings.ToUpper(string(b.Verdict)), visible(b.Why)}, "\t"))
	}
	if err := w.Flush(); err != nil || open == 0 {
		return err
	}
	_, err := fmt.Fprintf(out, "\nwarning: a second door stands open at %s: who calls there directly passes by the gateway.\n", count(open, "backend"))
	return err
}

func stageHead(out io.Writer, s *doctor.Stage, judge string) {
	fmt.Fprintf(out, "%s/%s: %s, judged by %s\n\n", visible(s.API), visible(s.Name), count(s.Total, "backend"), judge)
	for _, u := range s.Undetermined {
		fmt.Fprintf(out, "not tried: %s\n", visible(u))
	}
	if len(s.Undetermined) > 0 {
		fmt.Fprintln(out)
	}
}

// backendName is the backend with how it is reached, where that is unusual.
func backendName(b *doctor.Backend) string {
	name := b.URL
	if b.Target != "" {
		name += " by " + b.Target
	}
	if b.InsecureSkipVerification {
		name += " (insecureSkipVerification)"
	}
	return name
}

// methods names one method that leads to the backend.
func methods(b *doctor.Backend) string {
	switch n := len(b.Methods) + b.MoreMethods; {
	case len(b.Methods) == 0:
		return "-"
	case n > 1:
		return fmt.Sprintf("%s and %d more", b.Methods[0], n-1)
	}
	return b.Methods[0]
}

// asks says whether a backend asks for a client certificate.
func asks(b *doctor.Backend) string {
	switch a := b.Without; {
	case a == nil && b.Verdict == doctor.Open:
		return "no TLS"
	case a == nil, a.State == backgate.Unreachable:
		return "-"
	case a.State == backgate.NotAsked:
		return "no"
	}
	return "yes"
}

// takes says what came of showing a certificate; nil: it was not tried.
func takes(a *backgate.Acceptance) string {
	switch {
	case a == nil:
		return "-"
	case a.State == backgate.Unreachable:
		return "?"
	case a.LetThrough():
		return "yes"
	}
	return "no"
}

// count is "1 backend", "2 backends".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func nonEmpty(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// A SARIF log. Source: OASIS, SARIF Version 2.1.0 Plus Errata 01; what GitHub
// reads of it: its page on SARIF support for code scanning.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Automation  sarifID           `json:"automationDetails"`
		Results     []sarifResult     `json:"results"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string         `json:"id"`
		Name          string         `json:"name"`
		Short         sarifText      `json:"shortDescription"`
		Full          sarifText      `json:"fullDescription"`
		Help          sarifText      `json:"help"`
		HelpURI       string         `json:"helpUri"`
		Configuration sarifLevel     `json:"defaultConfiguration"`
		Properties    map[string]any `json:"properties"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		End           string              `json:"endTimeUtc,omitempty"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level      string          `json:"level"`
		Message    sarifText       `json:"message"`
		Rule       *sarifRuleRef   `json:"associatedRule,omitempty"`
		Locations  []sarifLocation `json:"locations,omitempty"`
		Properties map[string]any  `json:"properties,omitempty"`
	}
	sarifRuleRef struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string         `json:"kind"`
		Status        string         `json:"status"`
		Justification string         `json:"justification"`
		Properties    map[string]any `json:"properties,omitempty"`
	}
)

// sarifGrades are how GitHub and others see a severity.
var sarifGrades = map[posture.Severity]struct{ level, score string }{
	posture.Critical: {"error", "9.0"}, posture.High: {"error", "7.0"}, posture.Medium: {"warning", "4.0"},
	posture.Low: {"note", "2.0"}, posture.Informational: {"note", "0.0"},
}

// sarifKinds say what a result is that is no failing. Its level is none.
var sarifKinds = map[posture.Status]string{
	posture.Failed: "fail", posture.Unfixable: "fail", posture.Unknown: "open", posture.Passed: "pass", posture.NotApplicable: "notApplicable",
}

// writeSARIF writes one run with a rule for each control and a result for each
// failing, for all findings with Meta.All. What is unknown and what could not
// be read are notifications of the run: viewers show every result as a fault.
func writeSARIF(to io.Writer, r *posture.Report, m Meta) error {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "Sallyport", Version: m.Version, InformationURI: "https://github.com/sallyport/sallyport", Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{Successful: true}},
		Automation:  sarifID{"sallyport/audit/"},
		Results:     []sarifResult{},
	}
	about := &run.Invocations[0]
	if !m.Now.IsZero() {
		about.End = m.Now.UTC().Format(time.RFC3339)
	}
	index := map[string]int{}
	rule := func(id string) int {
		if at, ok := index[id]; ok {
			return at
		}
		index[id] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(id))
		return index[id]
	}
	for _, t := range r.Summary.Controls {
		rule(t.Control)
	}
	for _, f := range ordered(r) {
		at := sarifLocations(&f)
		if f.Status == posture.Unknown {
			about.Notifications = append(about.Notifications, sarifNotification{Level: "warning", Locations: at, Rule: &sarifRuleRef{f.Control},
				Message: sarifText{Text: f.Control + " is not known for " + f.Resource.ID + ": " + f.Reason}})
		}
		if !f.Status.Failing() && !m.All {
			continue
		}
		result := sarifResult{RuleID: f.Control, RuleIndex: rule(f.Control), Kind: sarifKinds[f.Status], Level: "none", Message: sarifMessage(&f),
			Locations: at, Fingerprints: map[string]string{"controlAndResource/v1": fingerprint(&f)},
			Properties: map[string]any{"status": f.Status, "severity": f.Severity, "resourceType": f.Resource.Type, "evidence": f.Evidence, "remediation": f.Remediation}}
		if f.Status.Failing() {
			result.Level = sarifGrades[f.Severity].level
		}
		if f.Accepted != nil {
			s := sarifSuppression{Kind: "external", Status: "accepted", Justification: f.Accepted.Reason}
			if !f.Accepted.Expires.IsZero() {
				s.Properties = map[string]any{"expires": f.Accepted.Expires.UTC().Format(time.RFC3339)}
			}
			result.Suppressions = []sarifSuppression{s}
		}
		run.Results = append(run.Results, result)
	}
	for _, p := range r.Problems {
		n := sarifNotification{Level: "error", Message: sarifText{Text: "not read: " + p.Where + ": " + p.Text}}
		about.Notifications = append(about.Notifications, n)
	}
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(sarifLog{Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifRuleOf(id string) sarifRule {
	c, ok := controls.Lookup(id)
	if !ok { // of a gateway with more controls than this program
		text := sarifText{Text: id}
		return sarifRule{ID: id, Name: id, Short: text, Full: text, Help: text, HelpURI: (&posture.Control{ID: id}).RemediationURL(),
			Configuration: sarifLevel{"warning"}, Properties: map[string]any{"tags": []string{"security"}}}
	}
	grade := sarifGrades[c.Severity]
	return sarifRule{
		ID: c.ID, Name: c.ID, Short: sarifText{Text: c.Title}, Full: sarifText{Text: c.Description},
		Help: sarifText{Text: c.Why + "\n\n" + c.Fix, Markdown: c.Explain()}, HelpURI: c.RemediationURL(), Configuration: sarifLevel{grade.level},
		Properties: map[string]any{"tags": []string{"security", "aws", "tls"}, "security-severity": grade.score, "precision": "very-high",
			"category": c.Category, "configRule": c.ConfigRule.Name},
	}
}

func sarifMessage(f *posture.Finding) sarifText {
	text := f.Resource.ID + ": " + f.Reason
	for _, n := range f.Notes {
		text += "\n" + n
	}
	return sarifText{Text: text}
}

// sarifLocations are the place in a template, and the resource by its name:
// an ARN is no file.
func sarifLocations(f *posture.Finding) []sarifLocation {
	l := sarifLocation{Logical: []sarifLogical{{Name: f.Resource.ID, Kind: "resource"}}}
	if f.Resource.Source == posture.File {
		if file, line := splitLocation(f.Resource.Location); file != "" {
			l.Physical = &sarifPhysical{Artifact: artifact(file)}
			if line > 0 {
				l.Physical.Region = &sarifRegion{line}
			}
		}
	}
	return []sarifLocation{l}
}

// splitLocation takes FILE:LINE apart. line is 0 where there is none.
func splitLocation(location string) (file string, line int) {
	at := strings.LastIndexByte(location, ':')
	if at < 0 {
		return location, 0
	}
	n, err := strconv.Atoi(location[at+1:])
	if err != nil || n < 1 {
		return location, 0
	}
	return location[:at], n
}

// artifact is a file as a URI, below the folder where the command runs where
// that can be.
func artifact(file string) sarifArtifact {
	clean := path.Clean(filepath.ToSlash(file))
	if path.IsAbs(clean) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: clean}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: clean}).String(), Base: "%SRCROOT%"}
}

// fingerprint is the same wherever in its file a resource stands.
func fingerprint(f *posture.Finding) string {
	sum := sha256.Sum256([]byte(f.Control + "\x00" + f.Resource.Type + "\x00" + f.Resource.ID))
	return hex.EncodeToString(sum[:16])
}

// Package asff writes findings in the AWS Security Finding Format, as Security
// Hub sends findings of its own controls: one per control and resource, with
// consolidated control findings on.
//
//	doc := asff.Finding(&f, asff.Meta{Control: control, Resource: resource})
//
// It keeps the format's limits: texts are cut, and a finding that is too large
// loses the details of its resource. A control that does not apply to a
// resource makes no finding; see Sends.
//
// Source: Security Hub user guide, ASFF and control findings; API reference,
// AwsSecurityFinding.
package asff

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// Limits of the format, in characters and entries.
const (
	MaxFinding     = 240 << 10 // bytes
	maxTitle       = 256
	maxDescription = 1024
	maxText        = 512 // of a recommendation
	maxReason      = 2048
	maxField       = 2048 // value of ProductFields
	maxRequired    = 32
	maxTranscript  = 16 << 10 // ours: of one piece of evidence
)

// Meta is what a finding does not say of itself. Its zero value makes a
// document of an active finding.
type Meta struct {
	Control  *posture.Control  // of the finding; nil: the document has no standards and no remediation
	Resource *posture.Resource // its typed details; nil: the evidence alone tells of it

	// ID is a UUID. "": one that is the same for the same control, resource,
	// account and region.
	ID string
	// Account and Region stand in where the finding does not say.
	Account, Region string
	// Own makes a document that BatchImportFindings takes, of a product of the
	// account's own; without, it is Security Hub's own.
	Own bool

	Created, Updated time.Time // zero: when the verdict was first and last reached
	Workflow         string    // NEW, NOTIFIED, RESOLVED or SUPPRESSED; "": as the verdict has it
	Archived         string    // code of why it is none any more; "": it is active
	Note             *types.Note
	Said             Said
}

// Said are the members that customers set, beside workflow and note.
type Said struct {
	Confidence        *int32                  `json:",omitempty"`
	Criticality       *int32                  `json:",omitempty"`
	RelatedFindings   []types.RelatedFinding  `json:",omitempty"`
	Severity          *types.Severity         `json:",omitempty"`
	Types             []string                `json:",omitempty"`
	UserDefinedFields map[string]string       `json:",omitempty"`
	VerificationState types.VerificationState `json:",omitempty"`
}

// Sends reports whether there is a finding to send: of a control that does not
// apply there is none.
func Sends(f *posture.Finding) bool { return f.Status != posture.NotApplicable }

// Finding is f as a document.
func Finding(f *posture.Finding, m Meta) types.AwsSecurityFinding {
	account := cmp.Or(f.Resource.Account, m.Account, "000000000000")
	region := cmp.Or(f.Resource.Region, m.Region, "us-east-1")
	product := ProductARN(account, region, m.Own)
	id := ID(f.Control, cmp.Or(m.ID, stableID(f, account, region)), account, region)
	status, reasons := Compliance(f)
	created, updated := m.Created, m.Updated
	if created.IsZero() {
		created = f.FirstSeen
	}
	if updated.IsZero() {
		updated = f.LastSeen
	}
	rated := Label(f)
	doc := types.AwsSecurityFinding{
		SchemaVersion: aws.String("2018-10-08"),
		Id:            &id,
		ProductArn:    &product,
		GeneratorId:   aws.String("security-control/" + f.Control),
		AwsAccountId:  &account,
		Region:        &region,
		Types:         []string{findingType},

		CreatedAt:       Time(created),
		UpdatedAt:       Time(updated),
		FirstObservedAt: Time(f.FirstSeen),
		LastObservedAt:  Time(f.LastSeen),

		Title:         text(f.Title, maxTitle),
		Description:   text(cmp.Or(f.Reason, f.Title, f.Control), maxDescription),
		ProductFields: map[string]string{},
		Severity:      severity(rated),
		Compliance: &types.Compliance{
			Status:            status,
			StatusReasons:     reasons,
			SecurityControlId: aws.String(f.Control),
		},
		FindingProviderFields: &types.FindingProviderFields{
			Severity: &types.FindingProviderSeverity{Label: rated, Original: aws.String(string(rated))},
			Types:    []string{findingType},
		},
		Workflow:    &types.Workflow{Status: types.WorkflowStatus(m.Workflow)},
		RecordState: types.RecordStateActive,
		Note:        m.Note,
	}
	//lint:ignore SA1019 AWS still sends it, and nothing else than NEW with a control's finding
	doc.WorkflowState = types.WorkflowStateNew
	if doc.Title == nil {
		doc.Title = aws.String(f.Control)
	}
	if m.Workflow == "" {
		doc.Workflow.Status = types.WorkflowStatusNew
		if f.Status == posture.Passed {
			doc.Workflow.Status = types.WorkflowStatusResolved
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Parameters)) {
		doc.Compliance.SecurityControlParameters = append(doc.Compliance.SecurityControlParameters,
			types.SecurityControlParameter{Name: aws.String(name), Value: slices.Clone(f.Parameters[name])})
	}
	fields := fields{doc.ProductFields}
	if c := m.Control; c != nil {
		doc.Description = text(plain(c.Description), maxDescription)
		for _, s := range c.Standards {
			if Enabled(s) {
				doc.Compliance.AssociatedStandards = append(doc.Compliance.AssociatedStandards, types.AssociatedStandard{StandardsId: aws.String(s)})
			}
		}
		doc.Compliance.RelatedRequirements = c.Related[:min(len(c.Related), maxRequired)]
		doc.Remediation = &types.Remediation{Recommendation: &types.Recommendation{Text: text(plain(c.Fix), maxText), Url: aws.String(c.RemediationURL())}}
		fields.set("RelatedAWSResources:0/name", RuleName(c.ConfigRule.Name, account, region))
		fields.set("RelatedAWSResources:0/type", "AWS::Config::ConfigRule")
	}
	if !m.Own { // who imports findings may not use these names
		doc.ProductName, doc.CompanyName = aws.String("Security Hub"), aws.String("AWS")
		doc.ProcessedAt = doc.UpdatedAt
		fields.set("aws/securityhub/ProductName", "Security Hub")
		fields.set("aws/securityhub/CompanyName", "AWS")
		fields.set("aws/securityhub/annotation", f.Reason)
		fields.set("aws/securityhub/FindingId", product+"/"+id)
	}
	fields.set("Resources:0/Id", f.Resource.ID)
	fields.set("sallyport/Status", string(f.Status))
	fields.set("sallyport/Reason", f.Reason)
	fields.set("sallyport/Notes", strings.Join(f.Notes, "\n"))
	fields.set("sallyport/Confidence", string(f.Confidence))
	fields.set("sallyport/AllowList", f.AllowList)
	fields.set("sallyport/Location", f.Resource.Location)
	if m.Archived != "" {
		doc.RecordState = types.RecordStateArchived
		fields.set("ArchivalReasons:0/Description", cmp.Or(archived[m.Archived], m.Archived))
		fields.set("ArchivalReasons:0/ReasonCode", m.Archived)
	}
	doc.Resources = []types.Resource{{
		Id: text(f.Resource.ID, 2048), Type: aws.String(resourceType(f.Resource.Type)), Partition: types.Partition(Partition(region)), Region: &region,
		Tags: f.Resource.Tags, Details: details(f, m.Resource),
	}}
	m.Said.apply(&doc)
	if large(&doc) {
		doc.Resources[0].Details = nil
	}
	return doc
}

// apply sets what customers said over what the control says.
func (s *Said) apply(doc *types.AwsSecurityFinding) {
	doc.Confidence, doc.Criticality, doc.RelatedFindings = s.Confidence, s.Criticality, s.RelatedFindings
	doc.UserDefinedFields, doc.VerificationState = s.UserDefinedFields, s.VerificationState
	if v := s.Severity; v != nil && v.Label != "" {
		doc.Severity = v
	} else if v != nil {
		doc.Severity.Product = v.Product
	}
	if s.Types != nil {
		doc.Types = s.Types
	}
}

// findingType is the type of every control's finding where the standards are
// not told apart.
const findingType = "Software and Configuration Checks/Industry and Regulatory Standards"

// archived are the texts of why a finding is none any more.
var archived = map[string]string{
	"RESOURCE_DELETED": "The resource of the finding does not exist any more.",
	"NOT_APPLICABLE":   "The control does not apply to the resource any more.",
}

// Enabled reports whether this gateway's hub has a standard enabled: all but
// the one that Control Tower manages.
func Enabled(standard string) bool { return standard != posture.ControlTower }

// ID is the ARN of a control's finding.
func ID(control, uuid, account, region string) string {
	return "arn:" + Partition(region) + ":securityhub:" + region + ":" + account + ":security-control/" + control + "/finding/" + uuid
}

// ProductARN is Security Hub's, or that of the account's own product.
func ProductARN(account, region string, own bool) string {
	if own {
		return "arn:" + Partition(region) + ":securityhub:" + region + ":" + account + ":product/" + account + "/default"
	}
	return "arn:" + Partition(region) + ":securityhub:" + region + "::product/aws/securityhub"
}

// RuleName is the name that Security Hub gives its own copy of a Config rule:
// securityhub-api-gw-ssl-enabled- and eight hex digits.
func RuleName(rule, account, region string) string {
	sum := sha256.Sum256([]byte(rule + "\x00" + account + "\x00" + region))
	return "securityhub-" + rule + "-" + hex.EncodeToString(sum[:4])
}

// Partition is the one that a region belongs to, as ARNs begin with it.
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// stableID is a UUID made of what identifies a finding.
func stableID(f *posture.Finding, account, region string) string {
	b := sha256.Sum256([]byte(f.Key() + "\x00" + account + "\x00" + region))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8: by our own rule
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Label is a finding's severity: the control's where it fails, else none worth
// a name. Source: Security Hub user guide, severity of control findings.
func Label(f *posture.Finding) types.SeverityLabel {
	if f.Status.Failing() {
		return types.SeverityLabel(f.Severity)
	}
	return types.SeverityLabelInformational
}

// Normalized are the numbers of the labels.
var Normalized = map[types.SeverityLabel]int32{
	types.SeverityLabelInformational: 0, types.SeverityLabelLow: 1, types.SeverityLabelMedium: 40,
	types.SeverityLabelHigh: 70, types.SeverityLabelCritical: 90,
}

func severity(label types.SeverityLabel) *types.Severity {
	return &types.Severity{Label: label, Normalized: aws.Int32(Normalized[label]), Original: aws.String(string(label))}
}

// Compliance is the status of a verdict and its reasons. What cannot be told
// from what is visible is a WARNING; what could not be looked at is
// NOT_AVAILABLE.
func Compliance(f *posture.Finding) (types.ComplianceStatus, []types.StatusReason) {
	because := func(code string) []types.StatusReason {
		return []types.StatusReason{{ReasonCode: aws.String(code), Description: text(cmp.Or(f.Reason, code), maxReason)}}
	}
	looked := false
	for i := range f.Evidence {
		if f.Evidence[i].Contradicts {
			if f.Status.Failing() {
				return types.ComplianceStatusFailed, because("WIRE_CONTRADICTS_CONFIGURATION")
			}
			return types.ComplianceStatusWarning, because("WIRE_CONTRADICTS_CONFIGURATION")
		}
		looked = looked || f.Evidence[i].Kind == posture.Configuration
	}
	switch f.Status {
	case posture.Passed:
		return types.ComplianceStatusPassed, nil
	case posture.Failed:
		return types.ComplianceStatusFailed, nil
	case posture.Unfixable:
		return types.ComplianceStatusFailed, because("NO_CHANGE_CLOSES_IT")
	case posture.NotApplicable:
		return types.ComplianceStatusNotAvailable, because("CONFIG_RETURNS_NOT_APPLICABLE")
	}
	reason := strings.ToLower(f.Reason)
	switch {
	case strings.Contains(reason, "denied"):
		return types.ComplianceStatusNotAvailable, because("CONFIG_ACCESS_DENIED")
	case strings.Contains(reason, "throttl") || strings.Contains(reason, "toomanyrequests"):
		return types.ComplianceStatusNotAvailable, because("THROTTLING_ERROR")
	case !looked:
		return types.ComplianceStatusNotAvailable, because("CONFIG_RULE_EVALUATION_ERROR")
	case strings.HasPrefix(reason, "stored, not in effect"):
		return types.ComplianceStatusWarning, because("STORED_NOT_IN_EFFECT")
	}
	return types.ComplianceStatusWarning, because("NOT_VISIBLE")
}

// Time is a time as the format writes it; nil for the zero time.
func Time(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return aws.String(t.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// resourceType is the format's name of a resource type.
func resourceType(name string) string {
	if t, ok := posture.LookupType(name); ok {
		return t.ASFF
	}
	return "Other"
}

// fields are ProductFields within their limits. Nothing is not set.
type fields struct{ m map[string]string }

func (f fields) set(key, value string) {
	if value != "" {
		f.m[key] = clip(value, maxField)
	}
}

// text is a text of at most n characters, nil when it is empty.
func text(s string, n int) *string {
	if s == "" {
		return nil
	}
	s = clip(s, n)
	return &s
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// plain is a text without the marks of a page.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }

// large reports whether a document is over the format's limit. Only details
// can make it so, and most are small: those are not measured.
func large(doc *types.AwsSecurityFinding) bool {
	d := doc.Resources[0].Details
	if d == nil {
		return false
	}
	size := 0
	for k, v := range d.Other {
		size += len(k) + len(v)
	}
	if s := d.AwsApiGatewayStage; s != nil {
		size += 512 * (len(s.MethodSettings) + len(s.Variables))
	}
	if c := d.AwsCertificateManagerCertificate; c != nil {
		size += 256 * (len(c.SubjectAlternativeNames) + len(c.DomainValidationOptions) + len(c.InUseBy))
	}
	if o := d.AwsOpenSearchServiceDomain; o != nil {
		size += len(aws.ToString(o.AccessPolicies))
	}
	if size < MaxFinding/8 {
		return false
	}
	whole, err := json.Marshal(doc)
	return err != nil || len(whole) > MaxFinding
}

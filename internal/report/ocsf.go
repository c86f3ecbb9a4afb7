package report

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework that
// the members below are of.
const ocsfVersion = "1.5.0"

// complianceFinding is the class of that name. Source: schema.ocsf.io, class
// 2003, with the profile cloud.
type complianceFinding struct {
	ActivityID   int            `json:"activity_id"`
	ActivityName string         `json:"activity_name"`
	CategoryUID  int            `json:"category_uid"`
	CategoryName string         `json:"category_name"`
	ClassUID     int            `json:"class_uid"`
	ClassName    string         `json:"class_name"`
	TypeUID      int            `json:"type_uid"`
	TypeName     string         `json:"type_name"`
	Time         int64          `json:"time"` // milliseconds, as all times here
	Message      string         `json:"message"`
	Comment      string         `json:"comment,omitempty"`
	SeverityID   int            `json:"severity_id"`
	Severity     string         `json:"severity"`
	StatusID     int            `json:"status_id"`
	Status       string         `json:"status"`
	Metadata     ocsfMetadata   `json:"metadata"`
	Cloud        ocsfCloud      `json:"cloud"`
	FindingInfo  ocsfInfo       `json:"finding_info"`
	Compliance   ocsfCompliance `json:"compliance"`
	Resources    []ocsfResource `json:"resources"`
	Remediation  *ocsfRemedy    `json:"remediation,omitempty"`
	Evidences    []ocsfEvidence `json:"evidences,omitempty"`
	Unmapped     map[string]any `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version  string      `json:"version"`
	Profiles []string    `json:"profiles"`
	Product  ocsfProduct `json:"product"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
	UID        string `json:"uid,omitempty"`
}

type ocsfCloud struct {
	Provider string       `json:"provider"`
	Region   string       `json:"region,omitempty"`
	Account  *ocsfAccount `json:"account,omitempty"`
}

type ocsfAccount struct {
	UID    string `json:"uid"`
	Type   string `json:"type"`
	TypeID int    `json:"type_id"`
}

type ocsfInfo struct {
	UID           string        `json:"uid"`
	Title         string        `json:"title"`
	Desc          string        `json:"desc"`
	Types         []string      `json:"types,omitempty"`
	CreatedTime   int64         `json:"created_time"`
	ModifiedTime  int64         `json:"modified_time"`
	FirstSeenTime int64         `json:"first_seen_time"`
	LastSeenTime  int64         `json:"last_seen_time"`
	Analytic      *ocsfAnalytic `json:"analytic,omitempty"`
}

type ocsfAnalytic struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	TypeID int    `json:"type_id"`
}

type ocsfCompliance struct {
	Control           string      `json:"control"`
	Desc              string      `json:"desc,omitempty"`
	Standards         []string    `json:"standards"`
	Requirements      []string    `json:"requirements,omitempty"`
	ControlParameters []ocsfValue `json:"control_parameters,omitempty"`
	Status            string      `json:"status"`
	StatusID          int         `json:"status_id"`
	StatusCode        string      `json:"status_code"`
	StatusDetails     []string    `json:"status_details,omitempty"`
}

type ocsfValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type ocsfResource struct {
	UID            string         `json:"uid"`
	Type           string         `json:"type"`
	Region         string         `json:"region,omitempty"`
	CloudPartition string         `json:"cloud_partition,omitempty"`
	Data           map[string]any `json:"data,omitempty"`
	Tags           []ocsfValue    `json:"tags,omitempty"`
}

type ocsfRemedy struct {
	Desc       string   `json:"desc"`
	References []string `json:"references,omitempty"`
}

type ocsfEvidence struct {
	Data        map[string]any `json:"data"`
	DstEndpoint *ocsfEndpoint  `json:"dst_endpoint,omitempty"`
}

type ocsfEndpoint struct {
	Hostname string `json:"hostname,omitempty"`
	IP       string `json:"ip,omitempty"`
	Port     int    `json:"port,omitempty"`
}

// numbers and captions of OCSF's enumerations.
var (
	ocsfSeverities = map[types.SeverityLabel]struct {
		id   int
		name string
	}{
		types.SeverityLabelInformational: {1, "Informational"}, types.SeverityLabelLow: {2, "Low"}, types.SeverityLabelMedium: {3, "Medium"},
		types.SeverityLabelHigh: {4, "High"}, types.SeverityLabelCritical: {5, "Critical"},
	}
	ocsfStatuses = map[types.WorkflowStatus]struct {
		id   int
		name string
	}{
		types.WorkflowStatusNew: {1, "New"}, types.WorkflowStatusNotified: {2, "In Progress"},
		types.WorkflowStatusSuppressed: {3, "Suppressed"}, types.WorkflowStatusResolved: {4, "Resolved"},
	}
	ocsfCompliances = map[types.ComplianceStatus]struct {
		id   int
		name string
	}{ // NOT_AVAILABLE has no number of its own
		types.ComplianceStatusPassed: {1, "Pass"}, types.ComplianceStatusWarning: {2, "Warning"},
		types.ComplianceStatusFailed: {3, "Fail"}, types.ComplianceStatusNotAvailable: {0, "Unknown"},
	}
)

// writeOCSF writes a list of compliance findings of the Open Cybersecurity
// Schema Framework.
func writeOCSF(to io.Writer, r *posture.Report, m Meta) error {
	return writeList(to, r, func(f *posture.Finding) ([]byte, error) { return json.Marshal(ocsfOf(f, m)) })
}

// ocsfOf is a finding as Security Hub's own would be mapped.
func ocsfOf(f *posture.Finding, m Meta) complianceFinding {
	doc := document(f, m)
	severity := ocsfSeverities[doc.Severity.Label]
	status := ocsfStatuses[doc.Workflow.Status]
	compliance := ocsfCompliances[doc.Compliance.Status]
	c := complianceFinding{
		ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2003, ClassName: "Compliance Finding",
		TypeUID: 200301, TypeName: "Compliance Finding: Create",
		Time: m.Now.UnixMilli(), Message: f.Reason,
		SeverityID: severity.id, Severity: severity.name, StatusID: status.id, Status: status.name,
		Metadata: ocsfMetadata{Version: ocsfVersion, Profiles: []string{"cloud"},
			Product: ocsfProduct{Name: "Sallyport", VendorName: "Sallyport", Version: m.Version, UID: aws.ToString(doc.ProductArn)}},
		Cloud: ocsfCloud{Provider: "AWS", Region: aws.ToString(doc.Region),
			Account: &ocsfAccount{UID: aws.ToString(doc.AwsAccountId), Type: "AWS Account", TypeID: 10}},
		FindingInfo: ocsfInfo{UID: aws.ToString(doc.Id), Title: aws.ToString(doc.Title), Desc: aws.ToString(doc.Description), Types: doc.Types,
			CreatedTime: millis(f.FirstSeen, m.Now), ModifiedTime: millis(f.LastSeen, m.Now), FirstSeenTime: millis(f.FirstSeen, m.Now), LastSeenTime: millis(f.LastSeen, m.Now),
			Analytic: &ocsfAnalytic{UID: f.Control, Name: aws.ToString(doc.GeneratorId), Type: "Rule", TypeID: 1}},
		Compliance: ocsfCompliance{Control: f.Control, Desc: aws.ToString(doc.Description), Standards: []string{}, Requirements: doc.Compliance.RelatedRequirements,
			Status: compliance.name, StatusID: compliance.id, StatusCode: string(doc.Compliance.Status)},
		Resources: []ocsfResource{{UID: f.Resource.ID, Type: f.Resource.Type, Region: f.Resource.Region,
			CloudPartition: string(doc.Resources[0].Partition), Tags: pairs(f.Resource.Tags)}},
		// What OCSF has no place for keeps our own words.
		Unmapped: map[string]any{"status": f.Status, "mode": f.Mode, "source": f.Resource.Source},
	}
	if f.Accepted != nil {
		c.Comment = aws.ToString(doc.Note.Text)
	}
	for _, s := range doc.Compliance.AssociatedStandards {
		c.Compliance.Standards = append(c.Compliance.Standards, aws.ToString(s.StandardsId))
	}
	for _, p := range doc.Compliance.SecurityControlParameters {
		c.Compliance.ControlParameters = append(c.Compliance.ControlParameters, ocsfValue{aws.ToString(p.Name), strings.Join(p.Value, ",")})
	}
	for _, s := range doc.Compliance.StatusReasons {
		c.Compliance.StatusDetails = append(c.Compliance.StatusDetails, aws.ToString(s.ReasonCode)+": "+aws.ToString(s.Description))
	}
	c.Compliance.StatusDetails = append(c.Compliance.StatusDetails, f.Notes...)
	if f.Resource.Location != "" {
		c.Resources[0].Data = map[string]any{"location": f.Resource.Location}
	}
	c.Remediation = ocsfRemediation(f, &doc)
	for i := range f.Evidence {
		c.Evidences = append(c.Evidences, ocsfEvidenceOf(&f.Evidence[i]))
	}
	return c
}

func ocsfRemediation(f *posture.Finding, doc *types.AwsSecurityFinding) *ocsfRemedy {
	if doc.Remediation == nil || doc.Remediation.Recommendation == nil {
		return nil
	}
	r := &ocsfRemedy{Desc: aws.ToString(doc.Remediation.Recommendation.Text), References: []string{aws.ToString(doc.Remediation.Recommendation.Url)}}
	for _, s := range f.Remediation {
		r.Desc += "\n\n" + strings.TrimSpace(cmp.Or(s.Why, s.Form)) + "\n" + s.Text
		for _, b := range s.Breaks {
			r.Desc += "\nbreaks: " + b
		}
	}
	return r
}

func ocsfEvidenceOf(e *posture.Evidence) ocsfEvidence {
	data := map[string]any{"kind": e.Kind, "value": e.Value}
	if e.Kind == posture.Configuration {
		data["member"] = e.Member
		return ocsfEvidence{Data: data}
	}
	data["transcript"], data["contradicts"] = e.Transcript, e.Contradicts
	if e.Time != nil {
		data["time"] = e.Time.UnixMilli()
	}
	out := ocsfEvidence{Data: data}
	if host, port, err := net.SplitHostPort(e.Target); err == nil {
		out.DstEndpoint = &ocsfEndpoint{Hostname: host}
		if net.ParseIP(host) != nil {
			out.DstEndpoint = &ocsfEndpoint{IP: host}
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			out.DstEndpoint.Port = int(n)
		}
	}
	return out
}

func millis(t, otherwise time.Time) int64 {
	if t.IsZero() {
		t = otherwise
	}
	return t.UnixMilli()
}

func pairs(m map[string]string) []ocsfValue {
	var out []ocsfValue
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, ocsfValue{k, m[k]})
	}
	return out
}

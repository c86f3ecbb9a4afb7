package asff

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/posture"
)

var (
	seen    = time.Date(2026, 8, 1, 12, 0, 0, 5e8, time.UTC)
	control = &posture.Control{
		ID: "APIGateway.2", Title: "a title", Description: "checks `clientCertificateId`", Fix: "set it", Severity: posture.High,
		Related: []string{"NIST.800-53.r5 AC-3"}, Standards: []string{posture.FSBP, posture.ControlTower}, ConfigRule: posture.ConfigRule{Name: "api-gw-ssl-enabled"},
	}
)

func failing() posture.Finding {
	return posture.Finding{
		Control: "APIGateway.2", Title: "a title", Severity: posture.High, Status: posture.Failed, Reason: "clientCertificateId is not set",
		Resource: posture.Subject{Type: posture.TypeStage, ID: "arn:aws:apigateway:eu-west-1::/restapis/a1/stages/prod", Region: "eu-west-1", Account: "111122223333", Tags: map[string]string{"team": "edge"}},
		Evidence: []posture.Evidence{{Kind: posture.Configuration, Member: "clientCertificateId"},
			{Kind: posture.Probe, Target: "127.0.0.1:8443", Value: "TLSv1.3", Transcript: []string{"TLSv1.2: alert 70", "TLSv1.3: accepted"}, Time: &seen}},
		Parameters: posture.Values{"b": {"2"}, "a": {"1", "3"}}, FirstSeen: seen, LastSeen: seen.Add(time.Hour),
	}
}

// A verdict, and status, severity and reason code that it is sent with.
func TestStatuses(t *testing.T) {
	configured := []posture.Evidence{{Kind: posture.Configuration, Member: "x"}}
	refuted := append(configured[:1:1], posture.Evidence{Kind: posture.Probe, Contradicts: true})
	for _, row := range []struct {
		status   posture.Status
		reason   string
		evidence []posture.Evidence
		want     string
	}{
		{posture.Passed, "fine", configured, "PASSED INFORMATIONAL 0 RESOLVED"},
		{posture.Failed, "bad", configured, "FAILED HIGH 70 NEW"},
		{posture.Unfixable, "stuck", configured, "FAILED HIGH 70 NEW NO_CHANGE_CLOSES_IT"},
		{posture.Unknown, "x is not known: Fn::ImportValue", configured, "WARNING INFORMATIONAL 0 NEW NOT_VISIBLE"},
		{posture.Unknown, "stored, not in effect: x", configured, "WARNING INFORMATIONAL 0 NEW STORED_NOT_IN_EFFECT"},
		{posture.Unknown, "the wire contradicts the configuration", refuted, "WARNING INFORMATIONAL 0 NEW WIRE_CONTRADICTS_CONFIGURATION"},
		{posture.Failed, "the wire contradicts the configuration", refuted, "FAILED HIGH 70 NEW WIRE_CONTRADICTS_CONFIGURATION"},
		{posture.Unknown, "the document is not known: apigateway:GetStages: denied (AccessDeniedException): no", nil, "NOT_AVAILABLE INFORMATIONAL 0 NEW CONFIG_ACCESS_DENIED"},
		{posture.Unknown, "x is not known: throttled", configured, "NOT_AVAILABLE INFORMATIONAL 0 NEW THROTTLING_ERROR"},
		{posture.Unknown, "the check broke on this document", nil, "NOT_AVAILABLE INFORMATIONAL 0 NEW CONFIG_RULE_EVALUATION_ERROR"},
		{posture.NotApplicable, "", nil, "NOT_AVAILABLE INFORMATIONAL 0 NEW CONFIG_RETURNS_NOT_APPLICABLE"},
	} {
		f := failing()
		f.Status, f.Reason, f.Evidence = row.status, row.reason, row.evidence
		doc := Finding(&f, Meta{Control: control})
		got := fmt.Sprint(doc.Compliance.Status, " ", doc.Severity.Label, " ", *doc.Severity.Normalized, " ", doc.Workflow.Status)
		for _, r := range doc.Compliance.StatusReasons {
			got += " " + *r.ReasonCode
		}
		if got != row.want {
			t.Errorf("%s, %s: %s, want %s", row.status, row.reason, got, row.want)
		}
		if Sends(&f) != (row.status != posture.NotApplicable) {
			t.Errorf("%s is sent: %v", row.status, Sends(&f))
		}
	}
}

func TestFinding(t *testing.T) {
	f := failing()
	doc := Finding(&f, Meta{Control: control, ID: "0a-b", Created: seen.AddDate(0, 0, -1)})
	for what, pair := range map[string][2]string{
		"id":          {*doc.Id, "arn:aws:securityhub:eu-west-1:111122223333:security-control/APIGateway.2/finding/0a-b"},
		"product":     {*doc.ProductArn, "arn:aws:securityhub:eu-west-1::product/aws/securityhub"},
		"finding":     {doc.ProductFields["aws/securityhub/FindingId"], "arn:aws:securityhub:eu-west-1::product/aws/securityhub/arn:aws:securityhub:eu-west-1:111122223333:security-control/APIGateway.2/finding/0a-b"},
		"created":     {*doc.CreatedAt, "2026-07-31T12:00:00.500Z"},
		"updated":     {*doc.UpdatedAt, "2026-08-01T13:00:00.500Z"},
		"first":       {*doc.FirstObservedAt, "2026-08-01T12:00:00.500Z"},
		"description": {*doc.Description, "checks clientCertificateId"},
		"remediation": {*doc.Remediation.Recommendation.Url, "https://docs.aws.amazon.com/console/securityhub/APIGateway.2/remediation"},
		"annotation":  {doc.ProductFields["aws/securityhub/annotation"], "clientCertificateId is not set"},
		"member":      {doc.Resources[0].Details.Other["clientCertificateId"], "(not set)"},
		"transcript":  {doc.Resources[0].Details.Other["evidence:0/transcript"], "TLSv1.2: alert 70\nTLSv1.3: accepted"},
		"standards":   {fmt.Sprint(len(doc.Compliance.AssociatedStandards), *doc.Compliance.AssociatedStandards[0].StandardsId), "1" + posture.FSBP},
		"parameters":  {fmt.Sprint(*doc.Compliance.SecurityControlParameters[0].Name, doc.Compliance.SecurityControlParameters[0].Value), "a[1 3]"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
		}
	}
	if rule := doc.ProductFields["RelatedAWSResources:0/name"]; !strings.HasPrefix(rule, "securityhub-api-gw-ssl-enabled-") || len(rule) != len("securityhub-api-gw-ssl-enabled-")+8 {
		t.Error(rule)
	}

	// The same finding has the same id wherever nobody keeps one.
	again, elsewhere := Finding(&f, Meta{}), f
	elsewhere.Resource.Account = "444455556666"
	if other := Finding(&elsewhere, Meta{}); *again.Id != *Finding(&f, Meta{Control: control}).Id || *other.Id == *again.Id {
		t.Error(*again.Id, *other.Id)
	}

	// For a hub of somebody's, as a product of the account's own.
	own := Finding(&f, Meta{Control: control, Own: true})
	if *own.ProductArn != "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default" || own.CompanyName != nil {
		t.Error(*own.ProductArn, own.CompanyName)
	}
	for key := range own.ProductFields {
		if strings.HasPrefix(key, "aws/") {
			t.Errorf("%s is reserved", key)
		}
	}

	gone := Finding(&f, Meta{Archived: "RESOURCE_DELETED"})
	if gone.RecordState != types.RecordStateArchived || gone.ProductFields["ArchivalReasons:0/Description"] == "" {
		t.Errorf("%+v", gone.ProductFields)
	}
	f.Resource.Region = "cn-north-1"
	if china := Finding(&f, Meta{}); !strings.HasPrefix(*china.Id, "arn:aws-cn:") || china.Resources[0].Partition != types.PartitionAwsCn {
		t.Error(*china.Id, china.Resources[0].Partition)
	}

	said := Finding(&f, Meta{Said: Said{Severity: &types.Severity{Product: aws.Float64(3)}}})
	if said.Severity.Label != types.SeverityLabelHigh || *said.Severity.Product != 3 {
		t.Errorf("%+v", said.Severity)
	}
}

func TestLimits(t *testing.T) {
	f := failing()
	f.Title, f.Reason = strings.Repeat("ä", 300), strings.Repeat("ö", 3000)
	c := *control
	c.Description = strings.Repeat("ü", 2000)
	for i := range 40 {
		c.Related = append(c.Related, fmt.Sprint(i))
	}
	doc := Finding(&f, Meta{Control: &c})
	for what, n := range map[string][2]int{
		"title": {len([]rune(*doc.Title)), 256}, "description": {len([]rune(*doc.Description)), 1024}, "requirements": {len(doc.Compliance.RelatedRequirements), 32},
		"field": {len([]rune(doc.ProductFields["aws/securityhub/annotation"])), 2048},
	} {
		if n[0] != n[1] {
			t.Errorf("%s has %d, want %d", what, n[0], n[1])
		}
	}

	// What is too large loses the details of its resource, and nothing else.
	settings := map[string]apigateway.MethodSetting{}
	for i := range 3000 {
		settings[fmt.Sprintf("~1p%d/GET", i)] = apigateway.MethodSetting{}
	}
	huge := Finding(&f, Meta{Control: &c, Resource: &posture.Resource{Doc: &apigateway.Stage{MethodSettings: settings}}})
	if text, err := json.Marshal(huge); err != nil || len(text) > MaxFinding || huge.Resources[0].Details != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestDetails(t *testing.T) {
	f := failing()
	details := func(doc any) *types.ResourceDetails {
		return Finding(&f, Meta{Resource: &posture.Resource{Doc: doc}}).Resources[0].Details
	}
	stage := details(&apigateway.Stage{StageName: aws.String("prod"), TracingEnabled: true, CreatedDate: &seen, AccessLogSettings: &apigateway.AccessLogSettings{DestinationArn: aws.String("arn")},
		MethodSettings: map[string]apigateway.MethodSetting{"*/*": {LoggingLevel: aws.String("INFO")}, "~1pets~1{id}/GET": {CachingEnabled: true}}}).AwsApiGatewayStage
	if len(stage.MethodSettings) != 2 || *stage.MethodSettings[0].ResourcePath != "/*" || *stage.MethodSettings[0].HttpMethod != "*" ||
		*stage.MethodSettings[1].ResourcePath != "/pets/{id}" || *stage.MethodSettings[1].HttpMethod != "GET" || !*stage.TracingEnabled || *stage.CreatedDate != "2026-08-01T12:00:00.500Z" {
		t.Errorf("%+v", stage)
	}
	v2 := details(&apigatewayv2.Stage{StageName: aws.String("$default"), DefaultRouteSettings: &apigatewayv2.RouteSettings{LoggingLevel: apigatewayv2.LoggingLevelError}}).AwsApiGatewayV2Stage
	if *v2.DefaultRouteSettings.LoggingLevel != "ERROR" {
		t.Errorf("%+v", v2)
	}
	certificate := details(&acm.CertificateDetail{NotAfter: &seen, KeyAlgorithm: acm.KeyAlgorithmRsa2048}).AwsCertificateManagerCertificate
	if *certificate.NotAfter != "2026-08-01T12:00:00.500Z" || *certificate.KeyAlgorithm != "RSA_2048" || certificate.IssuedAt != nil {
		t.Errorf("%+v", certificate)
	}
	domain := details(&opensearch.DomainStatus{DomainName: aws.String("logs"), DomainEndpointOptions: &opensearch.DomainEndpointOptions{EnforceHTTPS: aws.Bool(true)}}).AwsOpenSearchServiceDomain
	if !*domain.DomainEndpointOptions.EnforceHTTPS {
		t.Errorf("%+v", domain)
	}
	if other := details(&apigateway.DomainName{}); other.AwsApiGatewayStage != nil || len(other.Other) == 0 {
		t.Errorf("%+v", other)
	}
	var none *apigateway.Stage
	if details(none).AwsApiGatewayStage != nil {
		t.Error("a nil document has details")
	}
}

// An hour's walk over a large gateway converts each finding once.
func BenchmarkFinding(b *testing.B) {
	f := failing()
	r := &posture.Resource{Doc: &apigateway.Stage{StageName: aws.String("prod"), MethodSettings: map[string]apigateway.MethodSetting{"*/*": {}}}}
	for b.Loop() {
		Finding(&f, Meta{Control: control, Resource: r, ID: "x"})
	}
}

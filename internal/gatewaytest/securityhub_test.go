package gatewaytest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	apitypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/config"
)

func (w *World) hub() *securityhub.Client {
	return securityhub.New(securityhub.Options{Region: w.Config.Region, BaseEndpoint: &w.Runtime.Admin, RetryMaxAttempts: 1, HTTPClient: detached{},
		Credentials: credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, "")})
}

func (w *World) rules() *configservice.Client {
	return configservice.New(configservice.Options{Region: w.Config.Region, BaseEndpoint: &w.Runtime.Admin, RetryMaxAttempts: 1, HTTPClient: detached{},
		Credentials: credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, "")})
}

func equals(value string) []types.StringFilter {
	return []types.StringFilter{{Value: &value, Comparison: types.StringFilterComparisonEquals}}
}

// asff waits until Security Hub's finding of a control on a resource is as want
// says. The resource is named by the end of its ARN.
func (w *World) asff(t testing.TB, control, arn string, want func(*types.AwsSecurityFinding) bool) types.AwsSecurityFinding {
	t.Helper()
	var last types.AwsSecurityFinding
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		out, err := w.hub().GetFindings(t.Context(), &securityhub.GetFindingsInput{
			Filters: &types.AwsSecurityFindingFilters{ComplianceSecurityControlId: equals(control), ResourceId: equals(arn)}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Findings) > 1 {
			t.Fatalf("%d findings of %s on %s", len(out.Findings), control, arn)
		}
		if len(out.Findings) == 1 {
			if last = out.Findings[0]; want(&last) {
				return last
			}
		}
	}
	text, _ := json.MarshalIndent(last, "", " ")
	t.Fatalf("%s on %s: %s", control, arn, text)
	return last
}

// is is a finding's status, workflow and record state in one line.
func is(line string) func(*types.AwsSecurityFinding) bool {
	return func(f *types.AwsSecurityFinding) bool {
		return line == string(f.Compliance.Status)+" "+string(f.Workflow.Status)+" "+string(f.RecordState)
	}
}

// A finding fails, is suppressed, survives a restart, is resolved by a fix and
// archived with its resource; Security Hub and Config say the same of it.
func TestSecurityHubLife(t *testing.T) {
	c, err := config.Load(config.Sources{Flags: map[string][]string{
		"data-dir": {filepath.Join(t.TempDir(), "data")}, "admin": {"127.0.0.1:0"}, "listen": {"REGIONAL=127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	const control, rule = "APIGateway.2", "api-gw-ssl-enabled"
	var api, stage, subscribed string
	var failed types.AwsSecurityFinding
	compliance := func(t *testing.T, w *World) configtypes.ComplianceType {
		t.Helper()
		out, err := w.rules().DescribeComplianceByConfigRule(t.Context(), &configservice.DescribeComplianceByConfigRuleInput{ConfigRuleNames: []string{rule}})
		if err != nil || len(out.ComplianceByConfigRules) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out.ComplianceByConfigRules[0].Compliance.ComplianceType
	}
	update := func(t *testing.T, w *World, in *securityhub.BatchUpdateFindingsInput) {
		t.Helper()
		in.FindingIdentifiers = []types.AwsSecurityFindingIdentifier{{Id: failed.Id, ProductArn: failed.ProductArn}}
		out, err := w.hub().BatchUpdateFindings(t.Context(), in)
		if err != nil || len(out.ProcessedFindings) != 1 || len(out.UnprocessedFindings) != 0 {
			t.Fatalf("%+v, %v", out, err)
		}
	}

	t.Run("first run", func(t *testing.T) {
		w := run(t, c)
		if got := compliance(t, w); got != configtypes.ComplianceTypeInsufficientData {
			t.Errorf("with nothing to judge the rule is %s", got)
		}
		hub, err := w.hub().DescribeHub(t.Context(), &securityhub.DescribeHubInput{})
		if err != nil || hub.ControlFindingGenerator != types.ControlFindingGeneratorSecurityControl {
			t.Fatalf("%+v, %v", hub, err)
		}
		subscribed = *hub.SubscribedAt
		api = w.MockAPI(t, apitypes.EndpointTypeRegional, "", "")
		stage = "arn:aws:apigateway:us-east-1::/restapis/" + api + "/stages/prod"
		failed = w.asff(t, control, stage, is("FAILED NEW ACTIVE"))
		if failed.Severity.Label != types.SeverityLabelMedium || *failed.Severity.Normalized != 40 {
			t.Errorf("%+v", failed.Severity)
		}
		if !strings.HasPrefix(*failed.Id, "arn:aws:securityhub:us-east-1:000000000000:security-control/APIGateway.2/finding/") ||
			*failed.ProductArn != "arn:aws:securityhub:us-east-1::product/aws/securityhub" || *failed.GeneratorId != "security-control/APIGateway.2" {
			t.Errorf("%s %s %s", *failed.Id, *failed.ProductArn, *failed.GeneratorId)
		}
		if d := failed.Resources[0].Details; *failed.Resources[0].Type != "AwsApiGatewayStage" || d.AwsApiGatewayStage == nil || *d.AwsApiGatewayStage.StageName != "prod" || len(d.Other) == 0 {
			t.Errorf("%+v", failed.Resources[0])
		}
		if got := compliance(t, w); got != configtypes.ComplianceTypeNonCompliant {
			t.Errorf("a stage without certificate, and the rule is %s", got)
		}
		update(t, w, &securityhub.BatchUpdateFindingsInput{
			Workflow: &types.WorkflowUpdate{Status: types.WorkflowStatusSuppressed}, Note: &types.NoteUpdate{Text: aws.String("the backend is on this host"), UpdatedBy: aws.String("ops")},
			UserDefinedFields: map[string]string{"sallyport/SuppressedUntil": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)},
		})
	})

	t.Run("second run", func(t *testing.T) {
		w := run(t, c)
		hub, err := w.hub().DescribeHub(t.Context(), &securityhub.DescribeHubInput{})
		if err != nil || *hub.SubscribedAt != subscribed {
			t.Errorf("%+v, %v", hub, err)
		}
		kept := w.asff(t, control, stage, is("FAILED SUPPRESSED ACTIVE"))
		if *kept.Id != *failed.Id || *kept.CreatedAt != *failed.CreatedAt || *kept.FirstObservedAt != *failed.FirstObservedAt || kept.Note == nil || *kept.Note.Text != "the backend is on this host" {
			t.Errorf("%+v", kept)
		}
		update(t, w, &securityhub.BatchUpdateFindingsInput{Workflow: &types.WorkflowUpdate{Status: types.WorkflowStatusNotified}})
		w.asff(t, control, stage, is("FAILED NOTIFIED ACTIVE"))

		certificate, err := w.API.GenerateClientCertificate(t.Context(), &apigateway.GenerateClientCertificateInput{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.UpdateStage(t.Context(), &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"),
			PatchOperations: Replace("/clientCertificateId", *certificate.ClientCertificateId)}); err != nil {
			t.Fatal(err)
		}
		passed := w.asff(t, control, stage, is("PASSED RESOLVED ACTIVE"))
		if passed.Severity.Label != types.SeverityLabelInformational || *passed.UpdatedAt <= *failed.UpdatedAt {
			t.Errorf("%+v, updated %s", passed.Severity, *passed.UpdatedAt)
		}
		if got := compliance(t, w); got != configtypes.ComplianceTypeCompliant {
			t.Errorf("the only stage has a certificate, and the rule is %s", got)
		}

		if _, err := w.API.DeleteStage(t.Context(), &apigateway.DeleteStageInput{RestApiId: &api, StageName: aws.String("prod")}); err != nil {
			t.Fatal(err)
		}
		gone := w.asff(t, control, stage, is("PASSED RESOLVED ARCHIVED"))
		if gone.ProductFields["ArchivalReasons:0/ReasonCode"] != "RESOURCE_DELETED" {
			t.Errorf("%v", gone.ProductFields)
		}
		if got := compliance(t, w); got != configtypes.ComplianceTypeInsufficientData {
			t.Errorf("nothing is left to judge, and the rule is %s", got)
		}

		history, err := w.hub().GetFindingHistory(t.Context(), &securityhub.GetFindingHistoryInput{FindingIdentifier: &types.AwsSecurityFindingIdentifier{Id: failed.Id, ProductArn: failed.ProductArn}})
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for i := len(history.Records) - 1; i >= 0; i-- {
			r := history.Records[i]
			line := string(r.UpdateSource.Type)
			if *r.FindingCreated {
				line += " created"
			}
			for _, u := range r.Updates {
				if *u.UpdatedField != "UserDefinedFields" {
					line += " " + *u.UpdatedField + "=" + aws.ToString(u.NewValue)
				}
			}
			steps = append(steps, line)
		}
		want := strings.Join([]string{
			"BATCH_IMPORT_FINDINGS created",
			"BATCH_UPDATE_FINDINGS Workflow.Status=SUPPRESSED Note.Text=the backend is on this host",
			"BATCH_UPDATE_FINDINGS Workflow.Status=NOTIFIED",
			"BATCH_IMPORT_FINDINGS Compliance.Status=PASSED Workflow.Status=RESOLVED",
			"BATCH_IMPORT_FINDINGS RecordState=ARCHIVED",
		}, "\n")
		if got := strings.Join(steps, "\n"); got != want {
			t.Errorf("history:\n%s\nwant:\n%s", got, want)
		}
	})
}

// Every operation answers, in the words of its own service where it refuses.
func TestSecurityHubAPI(t *testing.T) {
	w := Start(t)
	ctx, hub := t.Context(), w.hub()
	api := w.MockAPI(t, apitypes.EndpointTypeRegional, "", "")
	stage := "arn:aws:apigateway:us-east-1::/restapis/" + api + "/stages/prod"
	w.createDomain(t, "hub.example.com", api, "TLS_1_2", "")
	w.asff(t, "APIGateway.11", "arn:aws:apigateway:us-east-1::/domainnames/hub.example.com", is("FAILED NEW ACTIVE"))
	logs := w.asff(t, "APIGateway.1", stage, is("FAILED NEW ACTIVE"))

	// Pages in any order hold every finding once.
	whole, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{})
	if err != nil || len(whole.Findings) < 6 || whole.NextToken != nil {
		t.Fatalf("%d findings, %v", len(whole.Findings), err)
	}
	for _, by := range [][]types.SortCriterion{nil, {{Field: aws.String("SeverityNormalized"), SortOrder: types.SortOrderDescending}, {Field: aws.String("ResourceType")}}} {
		seen := map[string]bool{}
		last := int32(100)
		pages := securityhub.NewGetFindingsPaginator(hub, &securityhub.GetFindingsInput{SortCriteria: by, MaxResults: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page.Findings {
				if seen[*f.Id] || by != nil && *f.Severity.Normalized > last {
					t.Errorf("%s comes twice or too late", *f.Id)
				}
				seen[*f.Id], last = true, *f.Severity.Normalized
			}
		}
		if len(seen) != len(whole.Findings) {
			t.Errorf("sorted by %v: %d of %d", by, len(seen), len(whole.Findings))
		}
	}

	definitions, err := hub.ListSecurityControlDefinitions(ctx, &securityhub.ListSecurityControlDefinitionsInput{})
	if err != nil || len(definitions.SecurityControlDefinitions) < 13 {
		t.Fatalf("%+v, %v", definitions, err)
	}
	customizable := []string{}
	for _, d := range definitions.SecurityControlDefinitions {
		if len(d.CustomizableProperties) > 0 {
			customizable = append(customizable, *d.SecurityControlId)
		}
	}
	if got := strings.Join(customizable, " "); got != "APIGateway.1 APIGateway.8 ACM.1" {
		t.Errorf("customizable are %s", got)
	}
	one, err := hub.GetSecurityControlDefinition(ctx, &securityhub.GetSecurityControlDefinitionInput{SecurityControlId: aws.String("APIGateway.1")})
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := one.SecurityControlDefinition.ParameterDefinitions["loggingLevel"].ConfigurationOptions.(*types.ConfigurationOptionsMemberEnum); !ok || len(o.Value.AllowedValues) != 2 || o.Value.DefaultValue != nil {
		t.Errorf("%+v", one.SecurityControlDefinition.ParameterDefinitions)
	}

	// A parameter is set, decides, and goes back.
	if _, err := w.API.UpdateAccount(ctx, &apigateway.UpdateAccountInput{PatchOperations: Replace("/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/logs")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace("/*/*/logging/loglevel", "INFO")}); err != nil {
		t.Fatal(err)
	}
	w.asff(t, "APIGateway.1", stage, is("PASSED RESOLVED ACTIVE"))
	set := func(v types.ParameterConfiguration) error {
		_, err := hub.UpdateSecurityControl(ctx, &securityhub.UpdateSecurityControlInput{SecurityControlId: aws.String("arn:aws:securityhub:us-east-1:000000000000:security-control/APIGateway.1"),
			Parameters: map[string]types.ParameterConfiguration{"loggingLevel": v}, LastUpdateReason: aws.String("policy 7")})
		return err
	}
	if err := set(types.ParameterConfiguration{ValueType: types.ParameterValueTypeCustom, Value: &types.ParameterValueMemberEnum{Value: "ERROR"}}); err != nil {
		t.Fatal(err)
	}
	required := w.asff(t, "APIGateway.1", stage, is("FAILED NEW ACTIVE"))
	if p := required.Compliance.SecurityControlParameters; len(p) != 1 || p[0].Value[0] != "ERROR" || *required.Id != *logs.Id {
		t.Errorf("%+v", p)
	}
	controls, err := hub.BatchGetSecurityControls(ctx, &securityhub.BatchGetSecurityControlsInput{SecurityControlIds: []string{"APIGateway.1", "ACM.1", "S3.1"}})
	if err != nil || len(controls.SecurityControls) != 2 || len(controls.UnprocessedIds) != 1 || controls.UnprocessedIds[0].ErrorCode != types.UnprocessedErrorCodeResourceNotFound {
		t.Fatalf("%+v, %v", controls, err)
	}
	if c := controls.SecurityControls[0]; aws.ToString(c.LastUpdateReason) != "policy 7" || c.UpdateStatus != types.UpdateStatusReady || c.Parameters["loggingLevel"].ValueType != types.ParameterValueTypeCustom {
		t.Errorf("%+v", c)
	}
	if v, ok := controls.SecurityControls[1].Parameters["daysToExpiration"].Value.(*types.ParameterValueMemberInteger); !ok || v.Value != 30 {
		t.Errorf("%+v", controls.SecurityControls[1].Parameters)
	}
	rule, err := w.rules().DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{ConfigRuleNames: []string{"api-gw-execution-logging-enabled"}})
	if err != nil || aws.ToString(rule.ConfigRules[0].InputParameters) != `{"loggingLevel":"ERROR"}` || *rule.ConfigRules[0].Source.SourceIdentifier != "API_GW_EXECUTION_LOGGING_ENABLED" {
		t.Errorf("%+v, %v", rule, err)
	}
	for _, bad := range []types.ParameterConfiguration{
		{ValueType: types.ParameterValueTypeCustom, Value: &types.ParameterValueMemberEnum{Value: "DEBUG"}},
		{ValueType: types.ParameterValueTypeCustom, Value: &types.ParameterValueMemberInteger{Value: 3}},
		{ValueType: types.ParameterValueTypeCustom},
	} {
		var invalid *types.InvalidInputException
		if err := set(bad); !errors.As(err, &invalid) || invalid.ErrorMessage() == "" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := set(types.ParameterConfiguration{ValueType: types.ParameterValueTypeDefault}); err != nil {
		t.Fatal(err)
	}
	w.asff(t, "APIGateway.1", stage, is("PASSED RESOLVED ACTIVE"))

	// Standards.
	described, err := hub.DescribeStandards(ctx, &securityhub.DescribeStandardsInput{})
	if err != nil || len(described.Standards) != 5 {
		t.Fatalf("%+v, %v", described, err)
	}
	enabled, err := hub.GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{})
	if err != nil || len(enabled.StandardsSubscriptions) != 4 {
		t.Fatalf("%+v, %v", enabled, err)
	}
	nist, err := hub.DescribeStandardsControls(ctx, &securityhub.DescribeStandardsControlsInput{StandardsSubscriptionArn: aws.String("arn:aws:securityhub:us-east-1:000000000000:subscription/nist-800-53/v/5.0.0")})
	if err != nil || len(nist.Controls) == 0 || len(nist.Controls[0].RelatedRequirements) == 0 {
		t.Fatalf("%+v, %v", nist, err)
	}
	links, err := hub.ListStandardsControlAssociations(ctx, &securityhub.ListStandardsControlAssociationsInput{SecurityControlId: aws.String("APIGateway.9")})
	if err != nil || len(links.StandardsControlAssociationSummaries) != 3 {
		t.Errorf("%+v, %v", links, err)
	}
	batch, err := hub.BatchGetStandardsControlAssociations(ctx, &securityhub.BatchGetStandardsControlAssociationsInput{StandardsControlAssociationIds: []types.StandardsControlAssociationId{
		{SecurityControlId: aws.String("APIGateway.9"), StandardsArn: aws.String("arn:aws:securityhub:us-east-1::standards/pci-dss/v/4.0.1")},
		{SecurityControlId: aws.String("APIGateway.11"), StandardsArn: aws.String("arn:aws:securityhub:us-east-1::standards/pci-dss/v/4.0.1")},
	}})
	if err != nil || len(batch.StandardsControlAssociationDetails) != 1 || len(batch.UnprocessedAssociations) != 1 {
		t.Errorf("%+v, %v", batch, err)
	}

	// Each item of a batch is answered for itself, and what people say is no update of the finding.
	before := w.asff(t, "APIGateway.1", stage, is("PASSED RESOLVED ACTIVE"))
	ours := types.AwsSecurityFindingIdentifier{Id: logs.Id, ProductArn: logs.ProductArn}
	foreign := types.AwsSecurityFindingIdentifier{Id: logs.Id, ProductArn: aws.String("arn:aws:securityhub:us-east-1::product/aws/guardduty")}
	missing := types.AwsSecurityFindingIdentifier{Id: aws.String(*logs.Id + "0"), ProductArn: logs.ProductArn}
	other := types.AwsSecurityFindingIdentifier{Id: whole.Findings[0].Id, ProductArn: logs.ProductArn}
	if *other.Id == *ours.Id {
		other.Id = whole.Findings[1].Id
	}
	mixed, err := hub.BatchUpdateFindings(ctx, &securityhub.BatchUpdateFindingsInput{
		FindingIdentifiers: []types.AwsSecurityFindingIdentifier{ours, foreign, missing, other, other},
		Severity:           &types.SeverityUpdate{Label: types.SeverityLabelCritical}, Confidence: aws.Int32(90), Criticality: aws.Int32(10),
		Types: []string{"Effects/Data Exposure"}, VerificationState: types.VerificationStateTruePositive, UserDefinedFields: map[string]string{"team": "edge"},
	})
	if err != nil || len(mixed.ProcessedFindings) != 1 || *mixed.ProcessedFindings[0].Id != *logs.Id {
		t.Fatalf("%+v, %v", mixed, err)
	}
	codes := map[string]int{}
	for _, u := range mixed.UnprocessedFindings {
		codes[*u.ErrorCode]++
	}
	if codes["FindingNotFound"] != 2 || codes["DuplicatedFindingIdentifier"] != 1 {
		t.Errorf("%v", codes)
	}
	said := w.asff(t, "APIGateway.1", stage, is("PASSED RESOLVED ACTIVE"))
	if *said.UpdatedAt != *before.UpdatedAt || said.Severity.Label != types.SeverityLabelCritical || *said.Severity.Normalized != 90 || said.FindingProviderFields.Severity.Label != types.SeverityLabelInformational ||
		*said.Confidence != 90 || *said.Criticality != 10 || said.Types[0] != "Effects/Data Exposure" || said.VerificationState != types.VerificationStateTruePositive || said.UserDefinedFields["team"] != "edge" {
		t.Errorf("%+v", said)
	}

	// Config.
	config := w.rules()
	all, err := config.DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{})
	if err != nil || len(all.ConfigRules) != len(definitions.SecurityControlDefinitions) {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, r := range all.ConfigRules {
		for _, typ := range r.Scope.ComplianceResourceTypes {
			if typ == "AWS::ApiGatewayV2::DomainName" {
				t.Errorf("%s judges %s, which AWS Config does not know", *r.ConfigRuleName, typ)
			}
		}
	}
	byRule, err := config.DescribeComplianceByConfigRule(ctx, &configservice.DescribeComplianceByConfigRuleInput{})
	if err != nil || len(byRule.ComplianceByConfigRules) != len(all.ConfigRules) {
		t.Fatalf("%+v, %v", byRule, err)
	}
	details, err := config.GetComplianceDetailsByConfigRule(ctx, &configservice.GetComplianceDetailsByConfigRuleInput{ConfigRuleName: aws.String("api-gw-ssl-enabled"),
		ComplianceTypes: []configtypes.ComplianceType{configtypes.ComplianceTypeNonCompliant}})
	if err != nil || len(details.EvaluationResults) != 1 || *details.EvaluationResults[0].EvaluationResultIdentifier.EvaluationResultQualifier.ResourceId != stage || aws.ToString(details.EvaluationResults[0].Annotation) == "" {
		t.Fatalf("%+v, %v", details, err)
	}
	ofStage, err := config.GetComplianceDetailsByResource(ctx, &configservice.GetComplianceDetailsByResourceInput{ResourceType: aws.String("AWS::ApiGateway::Stage"), ResourceId: &stage})
	if err != nil || len(ofStage.EvaluationResults) != 5 {
		t.Errorf("%+v, %v", ofStage, err)
	}
	resources, err := config.DescribeComplianceByResource(ctx, &configservice.DescribeComplianceByResourceInput{Limit: 1})
	if err != nil || len(resources.ComplianceByResources) != 1 || resources.NextToken == nil {
		t.Fatalf("%+v, %v", resources, err)
	}
	rest, err := config.DescribeComplianceByResource(ctx, &configservice.DescribeComplianceByResourceInput{Limit: 100, NextToken: resources.NextToken})
	if err != nil || len(rest.ComplianceByResources) == 0 || *rest.ComplianceByResources[0].ResourceId == *resources.ComplianceByResources[0].ResourceId {
		t.Errorf("%+v, %v", rest, err)
	}
	if _, err := config.StartConfigRulesEvaluation(ctx, &configservice.StartConfigRulesEvaluationInput{ConfigRuleNames: []string{"api-gw-ssl-enabled"}}); err != nil {
		t.Error(err)
	}
	status, err := config.DescribeConfigRuleEvaluationStatus(ctx, &configservice.DescribeConfigRuleEvaluationStatusInput{ConfigRuleNames: []string{said.ProductFields["RelatedAWSResources:0/name"]}})
	if err != nil || len(status.ConfigRulesEvaluationStatus) != 1 || status.ConfigRulesEvaluationStatus[0].LastSuccessfulEvaluationTime == nil {
		t.Errorf("%+v, %v", status, err)
	}

	// Refusals.
	many := make([]types.AwsSecurityFindingIdentifier, 101)
	for i := range many {
		many[i] = ours
	}
	for what, refused := range map[string]struct {
		code string
		call func() error
	}{
		"a filter that excludes itself": {"InvalidInputException", func() error {
			_, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Title: []types.StringFilter{
				{Value: aws.String("a"), Comparison: types.StringFilterComparisonEquals}, {Value: aws.String("b"), Comparison: types.StringFilterComparisonNotEquals}}}})
			return err
		}},
		"a comparison that there is not": {"InvalidInputException", func() error {
			_, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Title: []types.StringFilter{{Value: aws.String("a"), Comparison: "LIKE"}}}})
			return err
		}},
		"a page of 101": {"InvalidInputException", func() error {
			_, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{MaxResults: aws.Int32(101)})
			return err
		}},
		"a token of elsewhere": {"InvalidInputException", func() error {
			_, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{NextToken: aws.String("bm9wZQ")})
			return err
		}},
		"sorting by what cannot be": {"InvalidInputException", func() error {
			_, err := hub.GetFindings(ctx, &securityhub.GetFindingsInput{SortCriteria: []types.SortCriterion{{Field: aws.String("Mood")}}})
			return err
		}},
		"an update of 101": {"InvalidInputException", func() error {
			_, err := hub.BatchUpdateFindings(ctx, &securityhub.BatchUpdateFindingsInput{FindingIdentifiers: many})
			return err
		}},
		"a suppression that is over": {"InvalidInputException", func() error {
			_, err := hub.BatchUpdateFindings(ctx, &securityhub.BatchUpdateFindingsInput{FindingIdentifiers: many[:1], Workflow: &types.WorkflowUpdate{Status: types.WorkflowStatusSuppressed},
				UserDefinedFields: map[string]string{"sallyport/SuppressedUntil": "2020-01-01T00:00:00Z"}})
			return err
		}},
		"a control that there is not": {"ResourceNotFoundException", func() error {
			_, err := hub.GetSecurityControlDefinition(ctx, &securityhub.GetSecurityControlDefinitionInput{SecurityControlId: aws.String("S3.1")})
			return err
		}},
		"another hub": {"ResourceNotFoundException", func() error {
			_, err := hub.DescribeHub(ctx, &securityhub.DescribeHubInput{HubArn: aws.String("arn:aws:securityhub:us-east-1:000000000001:hub/default")})
			return err
		}},
		"a rule that there is not": {"NoSuchConfigRuleException", func() error {
			_, err := config.DescribeComplianceByConfigRule(ctx, &configservice.DescribeComplianceByConfigRuleInput{ConfigRuleNames: []string{"s3-bucket-ssl"}})
			return err
		}},
		"a token that is none": {"InvalidNextTokenException", func() error {
			_, err := config.DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{NextToken: aws.String("nope")})
			return err
		}},
		"results that cannot be told": {"InvalidParameterValueException", func() error {
			_, err := config.GetComplianceDetailsByConfigRule(ctx, &configservice.GetComplianceDetailsByConfigRuleInput{ConfigRuleName: aws.String("api-gw-ssl-enabled"),
				ComplianceTypes: []configtypes.ComplianceType{configtypes.ComplianceTypeInsufficientData}})
			return err
		}},
	} {
		var e smithy.APIError
		if err := refused.call(); !errors.As(err, &e) || e.ErrorCode() != refused.code || e.ErrorMessage() == "" {
			t.Errorf("%s: %v, want %s", what, err, refused.code)
		}
	}
}

// The AWS CLI runs the commands of the guide as they stand there.
func TestSecurityHubGuide(t *testing.T) {
	Need(t, "aws")
	w := Start(t)
	api := w.MockAPI(t, apitypes.EndpointTypeRegional, "", "")
	stage := "arn:aws:apigateway:us-east-1::/restapis/" + api + "/stages/prod"
	failed := w.asff(t, "APIGateway.2", stage, is("FAILED NEW ACTIVE"))
	guide, err := os.ReadFile("../../docs/security-hub.md")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for line := range strings.Lines(string(guide)) {
		command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    aws ")
		if !ok {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "aws "+strings.ReplaceAll(command, "FINDING", *failed.Id))
		cmd.Env = w.Env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", command, err, out)
		}
		answers[strings.Fields(command)[1]] = string(out)
	}
	for operation, want := range map[string]string{
		"get-findings":                          *failed.Id,
		"batch-update-findings":                 `"UnprocessedFindings": []`,
		"get-finding-history":                   `"NewValue": "SUPPRESSED"`,
		"update-security-control":               "",
		"describe-compliance-by-config-rule":    "api-gw-ssl-enabled",
		"get-compliance-details-by-config-rule": stage,
	} {
		if got, ok := answers[operation]; !ok || !strings.Contains(got, want) {
			t.Errorf("%s answers %s", operation, got)
		}
		delete(answers, operation)
	}
	if len(answers) > 0 {
		t.Errorf("the guide has commands that are not checked: %v", answers)
	}
	suppressed := w.asff(t, "APIGateway.2", stage, is("FAILED SUPPRESSED ACTIVE"))
	if *suppressed.Note.Text != "accepted until the migration" || suppressed.UserDefinedFields["sallyport/SuppressedUntil"] == "" {
		t.Errorf("%+v", suppressed)
	}
}

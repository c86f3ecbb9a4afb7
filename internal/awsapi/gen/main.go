// Command gen writes the tables of package awsapi: which operations a service
// has, where each member of a request and an answer is bound, and what it is
// called on the wire. It reads them out of the serializers, deserializers,
// validators and schemas of the AWS SDK for Go v2, in the module cache, at the
// versions that go.mod names. Nothing is derived from Go names: a member whose
// wire name it cannot read stops it.
//
// Run it with `go generate ./internal/awsapi` after a change of an SDK version
// or of the list of modules. A test fails while the committed tables differ
// from what it would write.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// module is one service to read.
type module struct {
	path string
	// only names the operations that are written; nil: all of them. Of a large
	// service most types are never met.
	only []string
	// keep names the members that are written of a type; the others never
	// travel here.
	keep map[string][]string
}

// modules are the services whose tables are generated. The folder's name names
// the service and its file; apigatewayv2 becomes zz_apigatewayv2.go.
var modules = []module{
	{path: "github.com/aws/aws-sdk-go-v2/service/acm"},
	{path: "github.com/aws/aws-sdk-go-v2/service/apigateway"},
	{path: "github.com/aws/aws-sdk-go-v2/service/apigatewayv2"},
	{path: "github.com/aws/aws-sdk-go-v2/service/configservice", only: []string{
		"DescribeComplianceByConfigRule", "DescribeComplianceByResource", "DescribeConfigRuleEvaluationStatus", "DescribeConfigRules",
		"GetComplianceDetailsByConfigRule", "GetComplianceDetailsByResource", "StartConfigRulesEvaluation",
	}},
	{path: "github.com/aws/aws-sdk-go-v2/service/opensearch", only: []string{
		"AddTags", "CreateDomain", "DeleteDomain", "DescribeDomain", "DescribeDomainConfig", "DescribeDomains", "ListDomainNames",
		"ListTags", "RemoveTags", "UpdateDomainConfig",
	}},
	{path: "github.com/aws/aws-sdk-go-v2/service/securityhub", only: []string{
		"BatchGetSecurityControls", "BatchGetStandardsControlAssociations", "BatchUpdateFindings", "DescribeHub", "DescribeStandards",
		"DescribeStandardsControls", "GetEnabledStandards", "GetFindingHistory", "GetFindings", "GetSecurityControlDefinition",
		"ListSecurityControlDefinitions", "ListStandardsControlAssociations", "UpdateSecurityControl",
	}, keep: map[string][]string{
		// Of some hundred types of resources, those that are judged here.
		"types.ResourceDetails": {"AwsApiGatewayRestApi", "AwsApiGatewayStage", "AwsApiGatewayV2Api", "AwsApiGatewayV2Stage",
			"AwsCertificateManagerCertificate", "AwsOpenSearchServiceDomain", "Other"},
	}},
	{path: "github.com/aws/aws-sdk-go-v2/service/sts"},
}

func main() {
	files, err := generate()
	if err == nil {
		for name, text := range files {
			if err = os.WriteFile(name, text, 0o644); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns the text of every table file by name.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, module := range modules {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}\n{{.Version}}", module.path).Output()
		if err != nil {
			return nil, fmt.Errorf("locate %s: %w", module.path, err)
		}
		dir, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if dir == "" {
			return nil, fmt.Errorf("locate %s: not in the module cache, run go mod download", module.path)
		}
		service, err := read(module, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", module.path, err)
		}
		text, err := service.write(module.path, version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", module.path, err)
		}
		files["zz_"+service.name+".go"] = text
	}
	return files, nil
}

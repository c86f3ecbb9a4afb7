package template

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// folder writes files and returns the folder they are in.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, o Options, files map[string]string) *posture.Collection {
	t.Helper()
	dir := folder(t, files)
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		paths = append(paths, filepath.Join(dir, name))
	}
	found, err := Read(paths, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found.Resources {
		r.ID, r.Location = strings.ReplaceAll(r.ID, dir+"/", ""), strings.ReplaceAll(r.Location, dir+"/", "")
	}
	for i := range found.Problems {
		found.Problems[i].Where = strings.ReplaceAll(found.Problems[i].Where, dir+"/", "")
	}
	return found
}

// verdicts are the statuses that matter, as "CONTROL ID STATUS".
func verdicts(t *testing.T, found *posture.Collection) []string {
	t.Helper()
	report, err := posture.Evaluate(controls.All, slices.Values(found.Resources), posture.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range report.Findings {
		if f.Status != posture.NotApplicable {
			all = append(all, fmt.Sprintf("%s %s %s", f.Control, f.Resource.ID, f.Status))
		}
	}
	slices.Sort(all)
	return all
}

func wantVerdicts(t *testing.T, found *posture.Collection, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := verdicts(t, found); !slices.Equal(got, want) {
		t.Errorf("verdicts\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func wantProblems(t *testing.T, found *posture.Collection, want ...string) {
	t.Helper()
	var got []string
	for _, p := range found.Problems {
		got = append(got, p.Where+" "+p.Text)
	}
	same := len(got) == len(want)
	for i := range want {
		same = same && strings.Contains(got[i], want[i])
	}
	if !same {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const around = `
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Yes: {Type: String, Default: "true"}
  No: {Type: String, Default: false}
  Open: {Type: String}
  Levels: {Type: CommaDelimitedList, Default: "OFF, INFO"}
  Stored: {Type: "AWS::SSM::Parameter::Value<String>", Default: /a/b}
  Secret: {Type: String, Default: "{{resolve:ssm:/a/b}}"}
Mappings:
  By:
    eu-west-1: {Level: ERROR}
    us-east-1: {Level: "OFF"}
Conditions:
  On: !Equals [!Ref Yes, "true"]
  Off: !Equals [!Ref No, "true"]
  Vague: !Equals [!Ref Open, prod]
  Same: !Equals [!Ref Open, !Ref Open]
  Round: !Condition Turn
  Turn: !Or [!Condition Round, !Condition Turn]
  Both: !And [!Condition On, !Not [!Condition Off]]
  Never: !And [!Condition Vague, !Condition Off]
  Always: !Or [!Condition Vague, !Condition On]
  There: !Equals [!Ref "AWS::Region", eu-west-1]
Resources:
  Cert: {Type: AWS::ApiGateway::ClientCertificate}
  Made: {Type: Custom::Thing}
  Gone: {Type: AWS::ApiGateway::ClientCertificate, Condition: Off}
  Thing:
    Type: AWS::ApiGateway::Stage
    Properties:
      %s
`

// What functions come to, of a member and of a text: a value, "" for absent,
// or "?" and why it is not known.
func TestFunctions(t *testing.T) {
	for _, c := range []struct{ expression, tracing, certificate string }{
		{`true`, "true", "true"},
		{`True`, "true", "true"},
		{`"true"`, "true", "true"},
		{`'false'`, "false", "false"},
		{`yes`, "true", "yes"},
		{`"yes"`, "?neither true nor false", "yes"},
		{`!!str true`, "true", "true"},
		{``, "?null", "?null"},
		{`{a: b}`, "?neither true nor false", "?not a text"},

		{`!Ref Yes`, "true", "true"},
		{`{Ref: Yes}`, "true", "true"},
		{`!Ref No`, "false", "false"},
		{`!Ref Open`, "?parameter Open has no default", "?parameter Open has no default"},
		{`!Ref Stored`, "?parameter store", "?parameter store"},
		{`!Ref Secret`, "?dynamic reference", "?dynamic reference"},
		{`"{{resolve:ssm:/a}}"`, "?dynamic reference", "?dynamic reference"},
		{`!Ref AWS::NoValue`, "absent", ""},
		{`!Ref AWS::StackName`, "?known at deployment", "${AWS::StackName}"},
		{`!Ref AWS::Region`, "?neither", "eu-west-1"},
		{`!Ref Nobody`, "?does not declare", "?does not declare"},
		{`!Ref Cert`, "?known after deployment", "${Cert}"},
		{`!Ref Gone`, "?condition leaves out", "?condition leaves out"},
		{`!GetAtt Cert.ClientCertificateId`, "?known after deployment", "${Cert.ClientCertificateId}"},
		{`{"Fn::GetAtt": [Cert, ClientCertificateId]}`, "?known after deployment", "${Cert.ClientCertificateId}"},
		{`!GetAtt Made.Enabled`, "?Custom::Thing", "?Custom::Thing"},
		{`!GetAtt Made`, "?without a resource", "?without a resource"},

		{`!Sub "${Yes}"`, "true", "true"},
		{`!Sub "t${x}e"`, "?does not declare", "t${...}e"},
		{`!Sub ["t${x}e", {x: ru}]`, "true", "true"},
		{`!Sub "${!Yes}"`, "?neither", "${Yes}"},
		{`!Sub "${Open"`, "?without its }", "?without its }"},
		{`!Sub "${Open}"`, "?no default", "?no default"},
		{`!Sub "c-${Open}"`, "?no default", "c-${Open}"},
		{`!Sub "${Cert.ClientCertificateId}"`, "?after deployment", "${Cert.ClientCertificateId}"},
		{`!Join ["", [tr, ue]]`, "true", "true"},
		{`!Join ["-", [a, !Ref Open]]`, "?no default", "a-${Open}"},
		{`!Join [",", !Ref Levels]`, "?neither", "OFF,INFO"},
		{`!Select [1, !Ref Levels]`, "?neither", "INFO"},
		{`!Select [2, !Ref Levels]`, "?Fn::Select is not resolved", "?Fn::Select is not resolved"},
		{`!Select ["0", [true, false]]`, "true", "true"},
		{`!Select [1, !Split ["/", "a/true"]]`, "true", "true"},
		{`!Select [1, !Split ["/", !Ref Open]]`, "?no default", "?no default"},
		{`!FindInMap [By, !Ref AWS::Region, Level]`, "?neither", "ERROR"},
		{`!FindInMap [By, !Ref Open, Level]`, "?no default", "?no default"},
		{`!FindInMap [By, there, Level]`, "?there is no By/there/Level", "?there is no By/there/Level"},
		{`!FindInMap [By, there, Level, {DefaultValue: "true"}]`, "true", "true"},
		{`!ImportValue other`, "?other is exported by another stack", "?other is exported by another stack"},
		{`!Base64 x`, "?Fn::Base64", nameless},
		{`!Cidr [x]`, "?Fn::Cidr is not resolved", "?Fn::Cidr is not resolved"},
		{`!Transform {Name: M}`, "?Fn::Transform is not resolved", "?Fn::Transform is not resolved"},
		{`!Nonsense x`, "?Fn::Nonsense is not resolved", "?Fn::Nonsense is not resolved"},

		{`!If [On, true, false]`, "true", "true"},
		{`!If [Off, true, !Ref "AWS::NoValue"]`, "absent", ""},
		{`!If [Vague, true, false]`, "?condition Vague cannot be told", "?condition Vague cannot be told"},
		{`!If [Vague, "true", true]`, "true", "true"},
		{`!If [Vague, !Ref Cert, !Ref Cert]`, "?after deployment", "${Cert}"},
		{`!If [Same, true, false]`, "true", "true"},
		{`!If [Round, true, false]`, "?condition Round cannot be told", "?condition Round cannot be told"},
		{`!If [Both, true, false]`, "true", "true"},
		{`!If [Never, true, false]`, "false", "false"},
		{`!If [Always, true, false]`, "true", "true"},
		{`!If [There, true, false]`, "true", "true"},
		{`!If [Nowhere, true, false]`, "?condition Nowhere", "?condition Nowhere"},
		{`!If [On]`, "?Fn::If is not resolved", "?Fn::If is not resolved"},
	} {
		for member, want := range map[string]string{"TracingEnabled": c.tracing, "ClientCertificateId": c.certificate} {
			found := read(t, Options{Region: "eu-west-1"}, map[string]string{"t.yaml": fmt.Sprintf(around, member+": "+c.expression)})
			if len(found.Resources) != 1 || len(found.Problems) != 0 {
				t.Fatalf("%s: %d resources, %v", c.expression, len(found.Resources), found.Problems)
			}
			r := found.Resources[0]
			s := r.Doc.(*apigateway.Stage)
			path, got := "clientCertificateId", aws.ToString(s.ClientCertificateId)
			if member == "TracingEnabled" {
				path, got = "tracingEnabled", fmt.Sprint(s.TracingEnabled)
				if r.Absent[path] {
					got = "absent"
				}
			}
			why, not := r.Unknown[path]
			if not {
				got = "?" + why
			}
			if asked, unknown := strings.CutPrefix(want, "?"); unknown != not || unknown && !strings.Contains(why, asked) || !unknown && got != want {
				t.Errorf("%s: %s is %q, want %q", member, c.expression, got, want)
			}
		}
	}
}

// A value given at the command line goes before a default.
func TestParameters(t *testing.T) {
	text := fmt.Sprintf(around, "TracingEnabled: !Ref No\n      ClientCertificateId: !Ref Open")
	found := read(t, Options{Parameters: map[string]string{"No": "true", "Open": "c1", "Elsewhere": "x"}}, map[string]string{"t.yaml": text})
	s := found.Resources[0].Doc.(*apigateway.Stage)
	if !s.TracingEnabled || aws.ToString(s.ClientCertificateId) != "c1" {
		t.Errorf("%+v", s)
	}
}

// Each trap of the templates, with the verdicts it must get.
func TestTraps(t *testing.T) {
	failing := func(id string, but ...string) []string {
		var all []string
		for _, n := range []string{"1 FAILED", "2 FAILED", "3 FAILED", "4 FAILED", "5 PASSED"} {
			number, status, _ := strings.Cut(n, " ")
			for _, b := range but {
				if of, other, _ := strings.Cut(b, " "); of == number {
					status = other
				}
			}
			all = append(all, "APIGateway."+number+" "+id+" "+status)
		}
		return all
	}
	for _, c := range []struct {
		name, template string
		want           []string
		problems       []string
	}{
		{"a deployment makes a stage", `
Resources:
  Api: {Type: AWS::ApiGateway::RestApi}
  D:
    Type: AWS::ApiGateway::Deployment
    Properties:
      RestApiId: !Ref Api
      StageName: prod
      StageDescription: {LoggingLevel: INFO, TracingEnabled: true, ClientCertificateId: c1, CachingEnabled: true, CacheClusterEnabled: true}
  Bare: {Type: AWS::ApiGateway::Deployment, Properties: {RestApiId: !Ref Api}}
`, failing("t.yaml#D", "1 PASSED", "2 PASSED", "3 PASSED", "5 FAILED"), nil},
		{"a deployment's settings and those of every method differ", `
Resources:
  D:
    Type: AWS::ApiGateway::Deployment
    Properties:
      StageName: prod
      StageDescription: {LoggingLevel: INFO, MethodSettings: [{ResourcePath: /*, HttpMethod: "*", LoggingLevel: "OFF"}]}
`, failing("t.yaml#D", "1 UNKNOWN"), nil},
		{"paths are written in three ways", `
Resources:
  S:
    Type: AWS::ApiGateway::Stage
    Properties:
      MethodSettings:
      - {ResourcePath: /*, HttpMethod: "*", LoggingLevel: INFO}
      - {ResourcePath: /a/b, HttpMethod: GET, LoggingLevel: INFO}
      - {ResourcePath: /~1a~1b, HttpMethod: POST, LoggingLevel: INFO}
      - {ResourcePath: /, HttpMethod: GET, LoggingLevel: "OFF"}
`, failing("t.yaml#S"), nil},
		{"a setting without its path", `
Resources:
  S:
    Type: AWS::ApiGateway::Stage
    Properties: {CacheClusterEnabled: true, MethodSettings: [{HttpMethod: "*", LoggingLevel: INFO}]}
`, failing("t.yaml#S", "1 UNKNOWN", "5 UNKNOWN"), nil},
		{"the web ACL is of one stage and not of the other", `
Resources:
  Api: {Type: AWS::ApiGateway::RestApi}
  Other: {Type: AWS::ApiGateway::RestApi}
  S: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: prod}}
  T: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Other, StageName: prod}}
  A:
    Type: AWS::WAFv2::WebACLAssociation
    Properties: {ResourceArn: !Sub "arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${Api}/stages/prod", WebACLArn: w}
`, append(failing("t.yaml#S", "4 PASSED"), failing("t.yaml#T")...), nil},
		{"the web ACL by a parameter that is not given", `
Parameters: {Name: {Type: String}}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi}
  S: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: !Ref Name}}
  T: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: test}}
  A:
    Type: AWS::WAFRegional::WebACLAssociation
    Properties: {ResourceArn: !Join ["", ["arn:aws:apigateway:", !Ref "AWS::Region", "::/restapis/", !Ref Api, "/stages/", !Ref Name]], WebACLId: w}
`, append(failing("t.yaml#S", "4 PASSED"), failing("t.yaml#T", "4 UNKNOWN")...), nil},
		{"the web ACL of something that is not known", `
Resources:
  S: {Type: AWS::ApiGateway::Stage}
  A: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !ImportValue x, WebACLArn: w}}
`, failing("t.yaml#S", "4 UNKNOWN"), nil},
		{"the web ACL of a load balancer", `
Resources:
  B: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer}
  S: {Type: AWS::ApiGateway::Stage}
  A: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !Ref B, WebACLArn: w}}
  C: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !Sub "arn:aws:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:loadbalancer/app/x/1", WebACLArn: w}}
`, failing("t.yaml#S"), nil},
		{"whether the association is made cannot be told", `
Parameters: {Env: {Type: String}}
Conditions: {Prod: !Equals [!Ref Env, prod], Never: !Equals [a, b]}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi}
  S: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref Api, StageName: prod}}
  A:
    Type: AWS::WAFv2::WebACLAssociation
    Condition: Prod
    Properties: {ResourceArn: !Sub "arn:aws:apigateway:x::/restapis/${Api}/stages/prod", WebACLArn: w}
  Gone: {Type: AWS::ApiGateway::Stage, Condition: Never}
`, failing("t.yaml#S", "4 UNKNOWN"), nil},
		{"quick create and its overrides", `
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP, Target: "https://example.com"}}
  Quick: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP, Target: "https://example.com", RouteKey: "GET /a"}}
  O:
    Type: AWS::ApiGatewayV2::ApiGatewayManagedOverrides
    Properties:
      ApiId: !Ref Quick
      Route: {AuthorizationType: AWS_IAM}
      Stage: {AccessLogSettings: {DestinationArn: "arn:aws:logs:us-east-1:1:log-group:g", Format: x}}
  Far: {Type: AWS::ApiGatewayV2::ApiGatewayManagedOverrides, Properties: {ApiId: !ImportValue x, Route: {AuthorizationType: NONE}}}
`, []string{"APIGateway.8 t.yaml#Api FAILED", "APIGateway.9 t.yaml#Api FAILED", "APIGateway.8 t.yaml#O PASSED", "APIGateway.9 t.yaml#O PASSED", "APIGateway.8 t.yaml#Far FAILED"}, nil},
		{"routes and integrations in an OpenAPI document", `
Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Body:
        openapi: 3.0.1
        components:
          securitySchemes:
            jwt: {type: oauth2, x-amazon-apigateway-authorizer: {type: jwt}}
            fn: {type: apiKey, x-amazon-apigateway-authorizer: {type: request}}
            iam: {type: apiKey, x-amazon-apigateway-authtype: awsSigv4}
          x-amazon-apigateway-integrations:
            one: {type: http_proxy, connectionType: VPC_LINK, tlsConfig: {serverNameToVerify: a.example.com}}
        paths:
          /a:
            parameters: []
            get: {security: [{jwt: []}], x-amazon-apigateway-integration: {$ref: "#/components/x-amazon-apigateway-integrations/one"}}
            put: {security: [{fn: []}], x-amazon-apigateway-integration: {connectionType: VPC_LINK}}
            post: {security: [{iam: []}], x-amazon-apigateway-integration: {connectionType: INTERNET}}
            delete: {security: []}
            head: {security: [{nobody: []}]}
            options: {}
          /b: {x-amazon-apigateway-any-method: {x-amazon-apigateway-auth: {type: aws_iam}}}
          /$default: {x-amazon-apigateway-any-method: {$ref: "#/nowhere"}}
`, []string{"APIGateway.8 t.yaml#Api[GET /a] PASSED", "APIGateway.8 t.yaml#Api[PUT /a] PASSED", "APIGateway.8 t.yaml#Api[POST /a] PASSED",
			"APIGateway.8 t.yaml#Api[DELETE /a] FAILED", "APIGateway.8 t.yaml#Api[HEAD /a] UNKNOWN", "APIGateway.8 t.yaml#Api[OPTIONS /a] UNFIXABLE",
			"APIGateway.8 t.yaml#Api[ANY /b] PASSED", "APIGateway.8 t.yaml#Api[$default] UNKNOWN",
			"APIGateway.10 t.yaml#Api[GET /a] PASSED", "APIGateway.10 t.yaml#Api[PUT /a] FAILED", "APIGateway.10 t.yaml#Api[$default] UNKNOWN"}, nil},
		{"an OpenAPI document elsewhere", `
Resources:
  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {BodyS3Location: {Bucket: b, Key: k}}}
  Out: {Type: AWS::ApiGatewayV2::Api, Properties: {BodyS3Location: ../../../etc/passwd}}
`, []string{"APIGateway.8 t.yaml#Api[*] UNKNOWN", "APIGateway.10 t.yaml#Api[*] UNKNOWN", "APIGateway.8 t.yaml#Out[*] UNKNOWN", "APIGateway.10 t.yaml#Out[*] UNKNOWN"}, nil},
		{"domain names of both APIs", `
Resources:
  H: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP}}
  One: {Type: AWS::ApiGateway::DomainName, Properties: {DomainName: one.example.com, SecurityPolicy: TLS_1_2}}
  Two: {Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: two.example.com, DomainNameConfigurations: [{EndpointType: REGIONAL, SecurityPolicy: TLS_1_2}]}}
  Three: {Type: AWS::ApiGatewayV2::DomainName, Properties: {DomainName: three.example.com, DomainNameConfigurations: !ImportValue x}}
  Four: {Type: AWS::ApiGateway::DomainNameV2, Properties: {DomainName: four.example.com, SecurityPolicy: TLS_1_2}}
  M: {Type: AWS::ApiGatewayV2::ApiMapping, Properties: {ApiId: !Ref H, DomainName: one.example.com}}
`, []string{"APIGateway.11 t.yaml#One UNFIXABLE", "APIGateway.11 t.yaml#Two FAILED", "APIGateway.11 t.yaml#Three UNKNOWN", "APIGateway.11 t.yaml#Four UNFIXABLE"}, nil},
		{"what is in other templates is said", `
Resources:
  N: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: "https://s3.amazonaws.com/b/k"}}
  M: {Type: My::Own::Thing::MODULE}
  "Fn::ForEach::X": [I, [a], {}]
  E: {Type: AWS::Elasticsearch::Domain}
  T: {Type: 7}
  Bad: 7
`, nil, []string{"t.yaml:3 N is a template of its own (AWS::CloudFormation::Stack)", "t.yaml:4 M is a module", "t.yaml:5 Fn::ForEach::X is not resolved", "t.yaml:8 resource Bad is not an object"}},
		{"a macro may change everything", `
Transform: [AWS::LanguageExtensions, Mine]
Resources:
  R: {Type: AWS::ApiGatewayV2::Route, Properties: {AuthorizationType: JWT}}
`, []string{"APIGateway.8 t.yaml#R UNKNOWN"}, []string{"t.yaml:2 macro Mine may change every resource"}},
		{"an alias and a merge", `
X: &settings {ResourcePath: /*, HttpMethod: "*", LoggingLevel: INFO}
Resources:
  S: {Type: AWS::ApiGateway::Stage, Properties: {MethodSettings: [*settings]}}
  T: {Type: AWS::ApiGateway::Stage, Properties: {MethodSettings: [{<<: *settings, LoggingLevel: "OFF"}]}}
`, append(failing("t.yaml#S", "1 PASSED"), failing("t.yaml#T")...), nil},
		{"a member that is there twice", `
Resources:
  S:
    Type: AWS::ApiGateway::Stage
    Properties:
      TracingEnabled: true
      TracingEnabled: false
`, failing("t.yaml#S", "3 UNKNOWN"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := read(t, Options{}, map[string]string{"t.yaml": c.template})
			wantVerdicts(t, found, c.want...)
			wantProblems(t, found, c.problems...)
		})
	}
}

// SAM's types, with what it makes of them that no line mentions.
func TestSAM(t *testing.T) {
	for _, c := range []struct {
		name, template string
		want           []string
	}{
		{"an API, Globals and the second stage", `
Transform: AWS::Serverless-2016-10-31
Globals: {Api: {TracingEnabled: true, MethodSettings: [{ResourcePath: /*, HttpMethod: "*", LoggingLevel: INFO}]}}
Resources:
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: prod, Domain: {DomainName: a.example.com, SecurityPolicy: TLS_1_2}}}
  A: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !Sub "arn:aws:apigateway:x::/restapis/${Api}/stages/${ApiprodStage}", WebACLArn: w}}
`, []string{"APIGateway.1 t.yaml#Api PASSED", "APIGateway.2 t.yaml#Api FAILED", "APIGateway.3 t.yaml#Api PASSED", "APIGateway.4 t.yaml#Api PASSED", "APIGateway.5 t.yaml#Api PASSED",
			"APIGateway.1 t.yaml#Api.Deployment FAILED", "APIGateway.2 t.yaml#Api.Deployment FAILED", "APIGateway.3 t.yaml#Api.Deployment FAILED",
			"APIGateway.4 t.yaml#Api.Deployment FAILED", "APIGateway.5 t.yaml#Api.Deployment PASSED", "APIGateway.11 t.yaml#Api.DomainName FAILED"}},
		{"an OpenAPI version makes no second stage", `
Transform: AWS::Serverless-2016-10-31
Globals: {Api: {OpenApiVersion: 3.0.1}}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: Api, Properties: {Path: /, Method: get}}}}}
`, []string{"APIGateway.1 t.yaml#ServerlessRestApi FAILED", "APIGateway.2 t.yaml#ServerlessRestApi FAILED", "APIGateway.3 t.yaml#ServerlessRestApi FAILED",
			"APIGateway.4 t.yaml#ServerlessRestApi FAILED", "APIGateway.5 t.yaml#ServerlessRestApi PASSED"}},
		{"routes of events", `
Transform: AWS::Serverless-2016-10-31
Globals: {HttpApi: {AccessLogSettings: {DestinationArn: a, Format: b}}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth: {DefaultAuthorizer: Jwt, Authorizers: {Jwt: {JwtConfiguration: {issuer: i}}, Fn: {FunctionArn: a}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /a, Method: get}}
        B: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /b, Method: any, Auth: {Authorizer: NONE}}}
        C: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /c, Method: get, Auth: {Authorizer: Fn}}}
        D: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /d, Method: get, Auth: {Authorizer: Nobody}}}
        E: {Type: HttpApi}
        F: {Type: Schedule}
`, []string{"APIGateway.9 t.yaml#Api PASSED", "APIGateway.9 t.yaml#ServerlessHttpApi PASSED", "APIGateway.8 t.yaml#Api[GET /a] PASSED", "APIGateway.8 t.yaml#Api[ANY /b] FAILED",
			"APIGateway.8 t.yaml#Api[GET /c] PASSED", "APIGateway.8 t.yaml#Api[GET /d] UNKNOWN", "APIGateway.8 t.yaml#ServerlessHttpApi[$default] FAILED"}},
		{"definitions", `
Transform: AWS::Serverless-2016-10-31
Resources:
  In: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {DefaultAuthorizer: J}, DefinitionBody: {paths: {/a: {get: {}, put: {x-amazon-apigateway-auth: {type: AWS_IAM}}}}}}}
  Out: {Type: AWS::Serverless::HttpApi, Properties: {DefinitionUri: "s3://b/k"}}
`, []string{"APIGateway.8 t.yaml#In[GET /a] UNKNOWN", "APIGateway.8 t.yaml#In[PUT /a] PASSED", "APIGateway.9 t.yaml#In FAILED",
			"APIGateway.8 t.yaml#Out[*] UNKNOWN", "APIGateway.10 t.yaml#Out[*] UNKNOWN", "APIGateway.9 t.yaml#Out FAILED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := read(t, Options{}, map[string]string{"t.yaml": c.template})
			wantVerdicts(t, found, c.want...)
			wantProblems(t, found)
		})
	}
}

// A document in the template's own folder is read; one outside, or behind a
// link that leads outside, is not.
func TestLocalDefinition(t *testing.T) {
	api := "Transform: AWS::Serverless-2016-10-31\nResources:\n  Api: {Type: AWS::Serverless::HttpApi, Properties: {DefinitionUri: %s, AccessLogSettings: {DestinationArn: a, Format: b}}}\n"
	dir := folder(t, map[string]string{"in/a.yaml": fmt.Sprintf(api, "api/openapi.yaml"), "in/b.yaml": fmt.Sprintf(api, "link.yaml"), "in/c.yaml": fmt.Sprintf(api, "../out.yaml"),
		"in/api/openapi.yaml": "paths: {/a: {get: {}}}", "out.yaml": "paths: {/secret: {get: {}}}"})
	if err := os.Symlink("../out.yaml", filepath.Join(dir, "in", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	found, err := Read([]string{filepath.Join(dir, "in")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found.Resources {
		r.ID = filepath.Base(r.ID)
	}
	var ids []string
	for _, r := range found.Resources {
		if r.Type == posture.TypeRoute {
			why := r.Unknown[""]
			ids = append(ids, strings.TrimPrefix(r.ID, dir)+" "+why[max(0, len(why)-len("is not in the template's folder")):])
		}
	}
	want := []string{"a] ", "b.yaml#Api[*] is not in the template's folder", "c.yaml#Api[*] is not in the template's folder"}
	if !slices.Equal(ids, want) {
		t.Errorf("%q", ids)
	}
	wantProblems(t, found)
}

// Files that cannot be judged are lines of the report.
func TestBadInput(t *testing.T) {
	deep := func(open string, n int) string { return strings.Repeat(open, n) }
	template := "Resources:\n  S: {Type: AWS::ApiGateway::Stage, Properties: {MethodSettings: "
	bomb := "AWSTemplateFormatVersion: x\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	sub := "Resources:\n  S:\n    Type: AWS::ApiGateway::Stage\n    Properties:\n      ClientCertificateId: "
	double := "x"
	for range 40 {
		double = `!Sub ["${a}${a}", {a: ` + double + `}]`
	}
	for _, c := range []struct {
		name, file, text string
		problem          string
		resources        int
	}{
		{"malformed YAML", "t.yaml", "Resources:\n  A: {Type: AWS::X::Y\n  B: [\n", "t.yaml:", 0},
		{"malformed JSON", "t.json", "{\n\"Resources\": {\n\"A\": {\"Type\": \"AWS::X::Y\",,}}}", "t.json:3 it cannot be read", 0},
		{"cut JSON", "t.json", `{"Resources": {"A": {"Type": "AWS::X::Y"`, "ends too early", 0},
		{"two documents", "t.json", `{"Resources": {"A": {"Type": "AWS::X::Y"}}} {}`, "t.json:1 it cannot be read", 0},
		{"deep YAML", "t.yaml", template + deep("[", 300) + deep("]", 300) + "}}", "nested more than 200 levels", 0},
		{"very deep YAML", "t.yaml", template + deep("[", 20000), "t.yaml:", 0},
		{"deep JSON", "t.json", `{"Resources": {"S": {"Type": "AWS::ApiGateway::Stage", "Properties": ` + deep(`{"a":`, 5000), "nested more than 200 levels", 0},
		{"a cycle of anchors", "t.yaml", "Resources:\n  S: &s {Type: AWS::ApiGateway::Stage, Properties: *s}\n", "the anchor &s contains itself", 0},
		{"an anchor that is not there", "t.yaml", "Resources:\n  S: {Type: AWS::ApiGateway::Stage, Properties: *s}\n", "unknown anchor", 0},
		{"a bomb of aliases", "t.yaml", bomb + template + "*a11}}\n", "stands for too much", 1},
		{"a bomb of texts", "t.yaml", sub + double + "\n", "stands for too much", 1},
		{"conditions in a circle", "t.yaml", "Conditions: {A: !Not [!Condition A]}\nResources:\n  S: {Type: AWS::ApiGateway::Stage, Condition: A}\n", "", 1},
		{"properties that are none", "t.yaml", "Resources:\n  S: {Type: AWS::ApiGateway::Stage, Properties: 7}\n", "", 1},
		{"unknown types", "t.yaml", "Resources:\n  S: {Type: AWS::Future::Thing}\n  T: {Type: Other::Own::Thing}\n", "", 0},
		{"a binary file", "t.yaml", "\x00\x01AWS::\xff\xfe", "t.yaml:1 it cannot be read", 0},
		{"no template", "t.yaml", "kind: Deployment\n", "neither a CloudFormation template nor a Terraform plan", 0},
		{"no resources", "t.yaml", "AWSTemplateFormatVersion: x\n", "not a CloudFormation template", 0},
		{"Terraform's language", "main.tf", "resource x {}\n", "terraform show -json PLAN", 0},
		{"Terraform's own plan", "p", "PK\x03\x04", "terraform show -json p", 0},
		{"empty", "t.yaml", "", "neither", 0},
		{"a plan that is cut", "plan.json", `{"format_version": "1.2", "planned_values": {"root_`, "plan.json:1 it cannot be read", 0},
		{"a plan of another shape", "plan.json", `{"format_version": "1.2", "planned_values": []}`, "cannot be read as a Terraform plan", 0},
		{"a plan of the future", "plan.json", `{"format_version": "7.0", "planned_values": {}}`, "unsupported plan format version", 0},
		{"a plan without values", "plan.json", `{"format_version": "1.2", "terraform_version": "1"}`, "no planned values", 0},
		{"a state", "state.json", `{"format_version": "1.0", "terraform_version": "1", "values": {"root_module": {}}}`, "a state of Terraform", 0},
		{"a deep plan", "plan.json", `{"format_version": "1.2", "planned_values": ` + deep("[", 5000), "nested more than 96 levels", 0},
		{"a plan with an error", "plan.json", `{"format_version": "1.2", "errored": true, "planned_values": {"root_module": {"resources": [null], "child_modules": [null]}}, "resource_changes": [null]}`, "ended with an error", 0},
		{"a plan of other providers", "plan.json", `{"format_version": "1.2", "planned_values": {"root_module": {"resources": [{"address": "azurerm_x.y", "mode": "managed", "type": "azurerm_x", "name": "y", "provider_name": "registry.terraform.io/hashicorp/azurerm"}]}}}`,
			"resources of provider registry.terraform.io/hashicorp/azurerm are not judged", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := read(t, Options{}, map[string]string{c.file: c.text})
			if len(found.Resources) != c.resources {
				t.Errorf("%d resources, want %d", len(found.Resources), c.resources)
			}
			if c.problem == "" {
				wantProblems(t, found)
			} else {
				wantProblems(t, found, c.problem)
			}
			for _, v := range verdicts(t, found) {
				if strings.HasSuffix(v, "PASSED") && !strings.HasPrefix(v, "APIGateway.5") {
					t.Errorf("%s", v)
				}
			}
		})
	}
}

// In folders, what is no template is passed over, and what is broken is said.
func TestFolders(t *testing.T) {
	good := "Resources:\n  S: {Type: AWS::ApiGateway::Stage}\n"
	dir := folder(t, map[string]string{
		"a/t.yaml": good, "b.template": good, "c.JSON": `{"Resources": {"S": {"Type": "AWS::ApiGateway::Stage"}}}`,
		".git/t.yaml": good, ".aws-sam/build/t.yaml": good, "node_modules/x/t.yaml": good, "readme.md": good,
		"package.json": `{"name": "x"}`, "k8s.yml": "kind: Deployment\n", "helm.yaml": "{{ if }}\n", "broken.yml": "Resources: [\n# AWS::\n",
	})
	for _, path := range []string{dir, dir + "/"} {
		found, err := Read([]string{path, filepath.Join(dir, "missing")}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range found.Resources {
			ids = append(ids, strings.TrimPrefix(r.ID, dir+"/")+" "+strings.TrimPrefix(r.Location, dir+"/"))
		}
		if want := []string{"a/t.yaml#S a/t.yaml:2", "b.template#S b.template:2", "c.JSON#S c.JSON:1"}; !slices.Equal(ids, want) {
			t.Errorf("%q, want %q", ids, want)
		}
		wantProblems(t, found, "broken.yml:", "missing it cannot be opened: no such file")
	}
	if found, err := Read([]string{filepath.Join(dir, "missing"), filepath.Join(dir, "none")}, Options{}); err == nil || found != nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("no path can be opened: %v, %v", found, err)
	}
	if _, err := Read(nil, Options{}); err == nil {
		t.Error("no path at all is no error")
	}
}

func TestHugeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.yaml")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(maxFile + 1); err != nil { // a hole, not bytes
		t.Fatal(err)
	}
	f.Close()
	found, err := Read([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantProblems(t, found, "larger than 64 MiB")
}

// Work stays in proportion where thousands of resources may belong to each
// other: what is not looked at is unknown, and said.
func TestManyResources(t *testing.T) {
	var vague, plain strings.Builder
	vague.WriteString("Parameters: {P: {Type: String}}\nResources:\n")
	plain.WriteString("Resources:\n")
	for i := range 2000 {
		fmt.Fprintf(&vague, "  S%d: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref P, StageName: !Sub 'x${P}%d'}}\n", i, i)
		fmt.Fprintf(&vague, "  A%d: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !Sub 'arn:aws:apigateway:x::/restapis/${P}/stages/y${P}%d', WebACLArn: w}}\n", i, i)
		fmt.Fprintf(&plain, "  R%d: {Type: AWS::ApiGateway::RestApi}\n  S%d: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref R%d, StageName: x}}\n", i, i, i)
		fmt.Fprintf(&plain, "  A%d: {Type: AWS::WAFv2::WebACLAssociation, Properties: {ResourceArn: !Sub 'arn:aws:apigateway:x::/restapis/${R%d}/stages/x', WebACLArn: w}}\n", i, i)
	}
	for _, c := range []struct{ text, want, problem string }{
		{vague.String(), "UNKNOWN", "too many resources"},
		{plain.String(), "PASSED", ""},
	} {
		found := read(t, Options{}, map[string]string{"t.yaml": c.text})
		if c.problem == "" {
			wantProblems(t, found)
		} else {
			wantProblems(t, found, c.problem)
		}
		control, _ := controls.Lookup("APIGateway.4")
		for _, r := range found.Resources {
			if v := statusOf(t, control, r); string(v.Status) != c.want {
				t.Fatalf("%s: %s, want %s", r.ID, v.Status, c.want)
			}
		}
	}
}

// The example of the documentation gets the verdicts that stand below it.
func TestDocumentedExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/audit-templates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, table, _ := strings.Cut(rest, "```\n")
	found := read(t, Options{}, map[string]string{"t.yaml": example})
	wantProblems(t, found)
	documented := 0
	for _, v := range verdicts(t, found) {
		control, status, _ := strings.Cut(v, " t.yaml#Stage ")
		if _, row, ok := strings.Cut(table, "| "+control+" | "); ok {
			documented++
			if !strings.HasPrefix(row, status) {
				t.Errorf("%s is %s, the page says %.9s", control, status, row)
			}
		}
	}
	if documented != 4 {
		t.Errorf("%d of 4 verdicts of the page", documented)
	}
}

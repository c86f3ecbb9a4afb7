package remedy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/template"
	"github.com/sallyport/sallyport/tlspolicy"
)

var now = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// judged is the finding of a control on a resource.
func judged(t testing.TB, control string, r *posture.Resource, o posture.Options) *posture.Finding {
	t.Helper()
	o.Now = now
	c, ok := controls.Lookup(control)
	if !ok {
		t.Fatalf("no control %s", control)
	}
	e, err := posture.New([]*posture.Control{c}, o)
	if err != nil {
		t.Fatal(err)
	}
	found := e.Judge(r)
	if len(found) != 1 {
		t.Fatalf("%s gives %d findings on %s", control, len(found), r.Type)
	}
	return &found[0]
}

func stage(doc resttypes.Stage) *posture.Resource {
	doc.StageName, doc.DeploymentId = aws.String("prod"), aws.String("d1")
	if doc.MethodSettings == nil {
		doc.MethodSettings = map[string]resttypes.MethodSetting{}
	}
	return &posture.Resource{Type: posture.TypeStage, ID: "arn:aws:apigateway:eu-west-1::/restapis/a1b2c3/stages/prod", Region: "eu-west-1", Account: "111122223333",
		Source: posture.Account, Doc: &doc}
}

func domain(policy, mode string, endpoint resttypes.EndpointType) *posture.Resource {
	return &posture.Resource{Type: posture.TypeDomainName, ID: "arn:aws:apigateway:eu-west-1::/domainnames/api.example.com", Region: "eu-west-1", Account: "111122223333",
		Source: posture.Account, Doc: &resttypes.DomainName{DomainName: aws.String("api.example.com"), SecurityPolicy: resttypes.SecurityPolicy(policy),
			EndpointAccessMode: resttypes.EndpointAccessMode(mode), EndpointConfiguration: &resttypes.EndpointConfiguration{Types: []resttypes.EndpointType{endpoint}}}}
}

// Each call, applied by the gateway's own patch rules to the document, leaves
// one on which the control passes.
func TestRESTCallsClose(t *testing.T) {
	off := map[string]resttypes.MethodSetting{
		"*/*":           {LoggingLevel: aws.String("INFO")},
		"~1pets/GET":    {LoggingLevel: aws.String("OFF"), CachingEnabled: true},
		"a~1{id}/POST":  {CachingEnabled: true, CacheDataEncrypted: true},
		"it's/GET":      {LoggingLevel: aws.String("ERROR"), CachingEnabled: true},
		"~1nested~1x/*": {LoggingLevel: aws.String("OFF")},
	}
	for _, c := range []struct {
		control string
		doc     resttypes.Stage
		level   string
	}{
		{"APIGateway.1", resttypes.Stage{}, ""},
		{"APIGateway.1", resttypes.Stage{MethodSettings: off}, ""},
		{"APIGateway.1", resttypes.Stage{MethodSettings: off}, "INFO"},
		{"APIGateway.1", resttypes.Stage{MethodSettings: off}, "ERROR"},
		{"APIGateway.2", resttypes.Stage{}, ""},
		{"APIGateway.3", resttypes.Stage{}, ""},
		{"APIGateway.5", resttypes.Stage{CacheClusterEnabled: true, MethodSettings: off}, ""},
	} {
		t.Run(c.control, func(t *testing.T) {
			r := stage(c.doc)
			o := posture.Options{}
			if c.level != "" {
				o.Params = map[string]posture.Values{c.control: {"loggingLevel": {c.level}}}
			}
			f := judged(t, c.control, r, o)
			if f.Status != posture.Failed {
				t.Fatalf("%s: %s", f.Status, f.Reason)
			}
			role := "arn:aws:iam::111122223333:role/logs"
			fix := find(f, r, Context{LogRole: func(string) *string { return &role }})
			doc, err := resource.UpdateStage(*r.Doc.(*resttypes.Stage), replace("/description", "d"), now) // with what the service fills in
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range fix.moves {
				if m.call == nil {
					continue
				}
				in, ok := m.call.input.(*apigateway.UpdateStageInput)
				if !ok {
					continue
				}
				in = filled(in, "abc123").(*apigateway.UpdateStageInput)
				next, err := resource.UpdateStage(doc, in.PatchOperations, now)
				if err != nil {
					t.Fatal(err)
				}
				for key, before := range doc.MethodSettings {
					after := next.MethodSettings[key]
					if logs(before) && !logs(after) || before.CacheDataEncrypted && !after.CacheDataEncrypted || before.RequireAuthorizationForCacheControl && !after.RequireAuthorizationForCacheControl {
						t.Errorf("%s is weaker after %s", key, m.call.command("eu-west-1", ""))
					}
				}
				// The inverse puts back what was there.
				back := inverse(in, &posture.Resource{Doc: &doc}, nil, "").(*apigateway.UpdateStageInput)
				again, err := resource.UpdateStage(next, back.PatchOperations, now)
				// A level that is absent comes back as OFF, which is the same.
				if got := judged(t, c.control, stage(again), o); err != nil || !same(&again, &doc) || got.Reason != strings.ReplaceAll(f.Reason, " is absent", " is OFF") {
					t.Errorf("%v: after the inverse %q, before %q", err, got.Reason, f.Reason)
				}
				doc = next
			}
			if after := judged(t, c.control, stage(doc), o); after.Status != posture.Passed {
				t.Errorf("after the calls: %s: %s", after.Status, after.Reason)
			}
		})
	}
}

func logs(m resttypes.MethodSetting) bool {
	return aws.ToString(m.LoggingLevel) == "ERROR" || aws.ToString(m.LoggingLevel) == "INFO"
}

// Every policy that fails is replaced by one that passes and is weaker in no
// respect, or nothing is proposed and the reason is given.
func TestPolicies(t *testing.T) {
	for _, from := range tlspolicy.All() {
		endpoint := resttypes.EndpointTypeRegional
		if from.Edge {
			endpoint = resttypes.EndpointTypeEdge
		}
		for _, mode := range []string{"BASIC", "STRICT"} {
			if from.Legacy {
				mode = ""
			}
			r := domain(from.Name, mode, endpoint)
			f := judged(t, "APIGateway.11", r, posture.Options{})
			if f.Status != posture.Failed {
				continue
			}
			fix := find(f, r, Context{})
			calls := 0
			for _, m := range fix.moves {
				if m.call == nil {
					continue
				}
				calls++
				in := m.call.input.(*apigateway.UpdateDomainNameInput)
				doc := *r.Doc.(*resttypes.DomainName)
				for _, op := range in.PatchOperations {
					switch *op.Path {
					case "/securityPolicy":
						to, ok := tlspolicy.Lookup(*op.Value, from.Edge)
						if !ok || len(lowers(from, to)) > 0 {
							t.Errorf("%s -> %s lowers security: %v", from, *op.Value, lowers(from, to))
						}
						doc.SecurityPolicy = resttypes.SecurityPolicy(*op.Value)
					case "/endpointAccessMode":
						if mode == "STRICT" && *op.Value != "STRICT" {
							t.Errorf("%s: the access mode goes from STRICT to %s", from, *op.Value)
						}
						doc.EndpointAccessMode = resttypes.EndpointAccessMode(*op.Value)
					}
				}
				r.Doc = &doc
				if after := judged(t, "APIGateway.11", r, posture.Options{}); after.Status != posture.Passed {
					t.Errorf("%s: after call %d: %s: %s", from, calls, after.Status, after.Reason)
				}
				if m.call.strict != (calls == 2) {
					t.Errorf("%s: call %d, strict %v", from, calls, m.call.strict)
				}
			}
			lost := from.FIPS && from.PostQuantum
			if lost != (calls == 0) || calls == 0 && (len(fix.moves) != 1 || !strings.Contains(fix.moves[0].step.Text, "weaker")) {
				t.Errorf("%s: %d calls; %+v", from, calls, fix.moves)
			}
		}
	}
}

func TestClientsDecide(t *testing.T) {
	r := domain("TLS_1_2", "", resttypes.EndpointTypeRegional)
	f := judged(t, "APIGateway.11", r, posture.Options{})
	// Who would be refused is said of the policy that is chosen.
	steps := Steps(f, r, Context{Clients: func(name, policy string) []string { return []string{name + " refused by " + policy} }})
	if want := "api.example.com refused by SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"; !slices.Contains(steps[0].Breaks, want) {
		t.Errorf("%q", steps[0].Breaks)
	}
	want := "aws apigateway update-domain-name --region eu-west-1 --domain-name api.example.com --patch-operations op=replace,path=/securityPolicy,value=SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09 op=replace,path=/endpointAccessMode,value=BASIC"
	if steps[0].Text != want || steps[0].Form != posture.AWSCLI {
		t.Errorf("%s", steps[0].Text)
	}
	if !strings.HasSuffix(steps[1].Text, "op=replace,path=/endpointAccessMode,value=STRICT") {
		t.Errorf("the second step is %s", steps[1].Text)
	}
	// A person may choose another, but none that does not pass.
	for value, want := range map[string]string{"SecurityPolicy_TLS13_1_3_2025_09": "SecurityPolicy_TLS13_1_3_2025_09", "TLS_1_0": "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"} {
		steps := Steps(f, r, Context{Values: map[string]string{valuePolicy: value}})
		if !strings.Contains(steps[0].Text, "value="+want+" ") {
			t.Errorf("%s: %s", value, steps[0].Text)
		}
	}
}

// What no change closes has no step.
func TestNoSteps(t *testing.T) {
	mutual := domain("TLS_1_2", "", resttypes.EndpointTypeRegional)
	mutual.Doc.(*resttypes.DomainName).MutualTlsAuthentication = &resttypes.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/t.pem")}
	f := judged(t, "APIGateway.11", mutual, posture.Options{})
	if f.Status != posture.Unfixable || len(Steps(f, mutual, Context{})) > 0 {
		t.Errorf("%s: %v", f.Status, Steps(f, mutual, Context{}))
	}
	good := domain("SecurityPolicy_TLS13_1_3_2025_09", "BASIC", resttypes.EndpointTypeRegional)
	if steps := Steps(judged(t, "APIGateway.11", good, posture.Options{}), good, Context{}); steps == nil || len(steps) > 0 {
		t.Errorf("%v", steps)
	}
	two := domain("TLS_1_2", "", resttypes.EndpointTypeRegional)
	two.Doc.(*resttypes.DomainName).EndpointConfiguration.Types = []resttypes.EndpointType{"REGIONAL", "PRIVATE"}
	two.Doc.(*resttypes.DomainName).EndpointConfiguration.Types[1] = "EDGE"
	if steps := Steps(judged(t, "APIGateway.11", two, posture.Options{}), two, Context{}); len(steps) != 1 || steps[0].Form != posture.ByHand {
		t.Errorf("%v", steps)
	}
}

// templates are failing resources, as a template declares them.
var templates = []struct{ control, id, text string }{
	{"APIGateway.1", "Prod", stageTemplate + "      MethodSettings:\n        - {ResourcePath: '/*', HttpMethod: '*', LoggingLevel: INFO}\n        - {ResourcePath: /~1pets, HttpMethod: GET, LoggingLevel: 'OFF', CachingEnabled: true}\n"},
	{"APIGateway.1", "Prod", stageTemplate},
	{"APIGateway.2", "Prod", stageTemplate},
	{"APIGateway.3", "Prod", stageTemplate},
	{"APIGateway.4", "Prod", stageTemplate},
	{"APIGateway.5", "Prod", stageTemplate + "      CacheClusterEnabled: true\n      MethodSettings:\n        - {ResourcePath: '/*', HttpMethod: '*', CachingEnabled: true}\n        - {ResourcePath: /~1pets, HttpMethod: GET, CachingEnabled: true, CacheDataEncrypted: false}\n"},
	{"APIGateway.1", "Live", v2Template("WEBSOCKET", "")},
	{"APIGateway.9", "Live", v2Template("HTTP", "")},
	{"APIGateway.9", "Live", v2Template("WEBSOCKET", "")},
	{"APIGateway.8", "Pets", v2Template("HTTP", "")},
	{"APIGateway.10", "Hop", v2Template("HTTP", "")},
	{"APIGateway.11", "Name", "Resources:\n  Name:\n    Type: AWS::ApiGateway::DomainName\n    Properties:\n      DomainName: api.example.com\n      RegionalCertificateArn: arn:aws:acm:eu-west-1:111122223333:certificate/a\n      EndpointConfiguration: {Types: [REGIONAL]}\n      SecurityPolicy: TLS_1_2\n"},
	{"APIGateway.11", "Name", "Resources:\n  Name:\n    Type: AWS::ApiGateway::DomainName\n    Properties:\n      DomainName: api.example.com\n      CertificateArn: arn:aws:acm:us-east-1:111122223333:certificate/a\n"},
	{"Opensearch.8", "Logs", searchTemplate},
	{"Opensearch.3", "Logs", searchTemplate},
	{"APIGateway.1", "Sam", samTemplate},
	{"APIGateway.3", "Sam", samTemplate},
}

const stageTemplate = `Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: a}
  RestApi:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: b}
  Deployment:
    Type: AWS::ApiGateway::Deployment
    Properties: {RestApiId: !Ref RestApi}
  Prod:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref RestApi
      DeploymentId: !Ref Deployment
      StageName: prod
`

const samTemplate = `Transform: AWS::Serverless-2016-10-31
Resources:
  Sam:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      OpenApiVersion: 3.0.1
`

const searchTemplate = `Resources:
  Logs:
    Type: AWS::OpenSearchService::Domain
    Properties:
      DomainName: logs-prod
      DomainEndpointOptions: {EnforceHTTPS: false, TLSSecurityPolicy: Policy-Min-TLS-1-0-2019-07}
`

func v2Template(protocol, more string) string {
	return `Resources:
  Api:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: a, ProtocolType: ` + protocol + `}
  Live:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Api, StageName: live}
  Pets:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Api, RouteKey: GET /pets}
  Hop:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Api, IntegrationType: HTTP_PROXY, ConnectionType: VPC_LINK, ConnectionId: l, IntegrationUri: 'https://orders.internal:8443/x', PayloadFormatVersion: '1.0'}
` + more
}

// find1 reads a template and gives a resource of it with its finding.
func find1(t *testing.T, path, control, id string) (*posture.Resource, *posture.Finding) {
	t.Helper()
	found, err := template.Read([]string{path}, template.Options{Parameters: map[string]string{"WebAclArn": "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/a/b"}})
	if err != nil || len(found.Problems) > 0 {
		t.Fatalf("%v %v", err, found)
	}
	for _, r := range found.Resources {
		if r.ID[strings.LastIndexByte(r.ID, '#')+1:] == id {
			return r, judged(t, control, r, posture.Options{})
		}
	}
	t.Fatalf("no %s in %v", id, found.Resources)
	return nil, nil
}

// merge puts a fragment into a template: mappings member by member, the
// entries of MethodSettings by path and method, all else in place of what was.
func merge(into, from *yaml.Node) {
	for i := 0; i < len(from.Content); i += 2 {
		name, value := from.Content[i], from.Content[i+1]
		at := slices.IndexFunc(into.Content, func(n *yaml.Node) bool { return n.Value == name.Value })
		switch {
		case at < 0:
			into.Content = append(into.Content, name, value)
		case name.Value == "MethodSettings":
			for _, entry := range value.Content {
				same := func(n *yaml.Node) bool {
					return field(n, "ResourcePath") == field(entry, "ResourcePath") && field(n, "HttpMethod") == field(entry, "HttpMethod")
				}
				if had := slices.IndexFunc(into.Content[at+1].Content, same); had >= 0 {
					merge(into.Content[at+1].Content[had], entry)
				} else {
					into.Content[at+1].Content = append(into.Content[at+1].Content, entry)
				}
			}
		case value.Kind == yaml.MappingNode && into.Content[at+1].Kind == yaml.MappingNode:
			merge(into.Content[at+1], value)
		default:
			into.Content[at+1] = value
		}
	}
}

func field(n *yaml.Node, name string) string {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// The one snippet for a resource of a template, merged into it, closes the finding.
func TestCloudFormationCloses(t *testing.T) {
	for _, c := range templates {
		t.Run(c.control+"/"+c.id, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "template.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r, f := find1(t, path, c.control, c.id)
			if f.Status != posture.Failed {
				t.Fatalf("%s: %s", f.Status, f.Reason)
			}
			steps := Steps(f, r, Context{})
			if len(steps) == 0 || steps[0].Form != posture.CloudFormation {
				t.Fatalf("%+v", steps)
			}
			var whole, fragment yaml.Node
			if err := yaml.Unmarshal([]byte(c.text), &whole); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(steps[0].Text), &fragment); err != nil {
				t.Fatalf("%v\n%s", err, steps[0].Text)
			}
			merge(whole.Content[0], fragment.Content[0])
			merged, err := yaml.Marshal(&whole)
			if err == nil {
				err = os.WriteFile(path, merged, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, after := find1(t, path, c.control, c.id); after.Status != posture.Passed {
				t.Errorf("%s: %s\n%s", after.Status, after.Reason, merged)
			}
		})
	}
}

// What a template declares in a way that cannot pass is said in words.
func TestTemplateByHand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(samTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	r, f := find1(t, path, "APIGateway.2", "Sam")
	steps := Steps(f, r, Context{})
	if len(steps) != 1 || steps[0].Form != posture.ByHand || !strings.Contains(steps[0].Text, "AWS::ApiGateway::Stage") && !strings.Contains(steps[0].Text, "RestApi, Deployment and Stage") {
		t.Errorf("%+v", steps)
	}
}

// A stage that SAM makes by itself goes, since nothing in the template sets it.
func TestSecondStage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.yaml")
	text := strings.Replace(samTemplate, "      OpenApiVersion: 3.0.1\n", "", 1)
	for i, want := range []int{2, 1} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := template.Read([]string{path}, template.Options{})
		if err != nil || len(found.Resources) != want {
			t.Fatalf("%v: %d stages, want %d", err, len(found.Resources), want)
		}
		for _, r := range found.Resources {
			if steps := Steps(judged(t, "APIGateway.3", r, posture.Options{}), r, Context{}); i == 0 && r.Remarks[""] != "" {
				text += steps[0].Text
			}
		}
	}
}

// Terraform itself finds nothing to change in the snippets' form.
func TestTerraformFormat(t *testing.T) {
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skipf("SKIPPED: terraform is missing; the form of the snippets was not checked with it")
	}
	var all strings.Builder
	for _, c := range templates {
		path := filepath.Join(t.TempDir(), "template.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, f := find1(t, path, c.control, c.id)
		r.ID, r.Source = "arn:aws:apigateway:eu-west-1::/restapis/a1/stages/prod", posture.Account
		for _, s := range Steps(f, r, Context{}) {
			if s.Form == posture.Terraform {
				all.WriteString(s.Text + "\n")
			}
		}
	}
	file := filepath.Join(t.TempDir(), "main.tf")
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "terraform", "fmt", "-check", "-diff", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Words of a command mean themselves, whatever they hold.
func TestQuoting(t *testing.T) {
	for _, hostile := range []string{"a b", "$(id)", "`id`", "it's", `a"b`, "a;b", "*", "~root", "a\nb", "-", "€", "a,b", "{x}", ""} {
		c := call{input: &apigateway.UpdateStageInput{RestApiId: aws.String("a"), StageName: &hostile, PatchOperations: replace("/"+hostile+"/GET/logging/loglevel", "ERROR")}}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "aws() { for w; do printf '%s\\0' \"$w\"; done; }; "+c.command("eu-west-1", "")).Output()
		if err != nil {
			t.Fatalf("%q: %v", hostile, err)
		}
		words := strings.Split(string(out), "\x00")
		at := slices.Index(words, "--stage-name")
		if at < 0 || words[at+1] != hostile {
			t.Errorf("%q: %q", hostile, words)
		}
	}
}

// A certificate is its owner's to renew: what to do is said, with the exact
// command, and nothing is sent.
func TestCertificatesAreByHand(t *testing.T) {
	soon := now.Add(48 * time.Hour)
	for _, c := range []struct {
		control string
		doc     acmtypes.CertificateDetail
		want    []string
	}{
		{"ACM.1", acmtypes.CertificateDetail{NotAfter: &soon, Type: acmtypes.CertificateTypeImported, InUseBy: []string{"x"}, SubjectAlternativeNames: []string{"a.example", "b.example"}},
			[]string{"a.example, b.example", "aws acm import-certificate --region eu-west-1 --certificate-arn arn:aws:acm:eu-west-1:111122223333:certificate/c1 "}},
		{"ACM.1", acmtypes.CertificateDetail{NotAfter: &soon, Type: acmtypes.CertificateTypeImported},
			[]string{"Nothing uses the certificate: aws acm delete-certificate --region eu-west-1 ", "its names"}},
		{"ACM.1", acmtypes.CertificateDetail{NotAfter: &soon, Type: acmtypes.CertificateTypeAmazonIssued, InUseBy: []string{"x"},
			DomainValidationOptions: []acmtypes.DomainValidation{{DomainName: aws.String("a.example"), ResourceRecord: &acmtypes.ResourceRecord{Name: aws.String("_x.a.example."), Type: "CNAME", Value: aws.String("_y.acm.")}}}},
			[]string{"The zone of a.example must have: _x.a.example. CNAME _y.acm."}},
		{"ACM.2", acmtypes.CertificateDetail{KeyAlgorithm: acmtypes.KeyAlgorithmRsa1024, InUseBy: []string{"arn:x"}, DomainName: aws.String("a.example")},
			[]string{"move to its ARN what uses the old one: arn:x", "aws acm delete-certificate"}},
	} {
		r := &posture.Resource{Type: posture.TypeCertificate, ID: "arn:aws:acm:eu-west-1:111122223333:certificate/c1", Region: "eu-west-1", Source: posture.Account, Doc: &c.doc}
		f := judged(t, c.control, r, posture.Options{})
		if f.Status != posture.Failed {
			t.Fatalf("%s: %s", f.Status, f.Reason)
		}
		said := ""
		for _, s := range Steps(f, r, Context{}) {
			if s.Form != posture.ByHand {
				t.Errorf("%s: a step in %s", c.control, s.Form)
			}
			said += s.Text + "\n"
		}
		for _, want := range c.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: no %q in %s", c.control, want, said)
			}
		}
	}
}

// A search domain's policy is never replaced by a weaker one.
func TestSearchPolicies(t *testing.T) {
	for from, want := range map[searchtypes.TLSSecurityPolicy]bool{
		"Policy-Min-TLS-1-0-2019-07": true, "Policy-Min-TLS-1-2-2019-07": true, "": true,
		"Policy-Min-TLS-1-2-PFS-2023-10": true, "Policy-Min-TLS-1-2-RFC9151-FIPS-2024-08": false, "Policy-Of-Tomorrow": false,
	} {
		r := &posture.Resource{Type: posture.TypeSearchDomain, ID: "arn:aws:es:eu-west-1:111122223333:domain/logs", Region: "eu-west-1", Source: posture.Account,
			Doc: &searchtypes.DomainStatus{DomainName: aws.String("logs"), DomainEndpointOptions: &searchtypes.DomainEndpointOptions{TLSSecurityPolicy: from, EnforceHTTPS: aws.Bool(false)}}}
		steps := Steps(judged(t, "Opensearch.8", r, posture.Options{}), r, Context{})
		if got := len(steps) > 0 && steps[0].Form == posture.AWSCLI; got != want {
			t.Errorf("%s: %+v", from, steps)
		}
		if want && steps[0].Text != `aws opensearch update-domain-config --region eu-west-1 --domain-name logs --domain-endpoint-options '{"EnforceHTTPS":true,"TLSSecurityPolicy":"Policy-Min-TLS-1-2-PFS-2023-10"}'` {
			t.Errorf("%s", steps[0].Text)
		}
	}
}

package remedy

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/sallyport/sallyport/internal/posture"
)

const serverless = "AWS::Serverless::Api"

// stageType is how a template declares the stage.
func (p *patient) stageType() string {
	for _, remark := range p.r.Remarks {
		if strings.Contains(remark, serverless) {
			return serverless
		}
	}
	return posture.TypeStage
}

// update is an UpdateStage with replace operations.
func (p *patient) update(pairs ...string) *apigateway.UpdateStageInput {
	api, stage := p.path()
	return &apigateway.UpdateStageInput{RestApiId: &api, StageName: &stage, PatchOperations: replace(pairs...)}
}

// part is one member of some method settings.
type part struct{ patch, cfn, tf, value string }

// setMethods patches a member of entries, and writes the snippets for it.
func (p *patient) setMethods(f *fix, keys []string, m part, why string, breaks ...string) {
	var pairs []string
	var list, blocks strings.Builder
	for i, key := range keys {
		pairs = append(pairs, "/"+key+"/"+m.patch, m.value)
		path, method := "", key
		if at := strings.LastIndexByte(key, '/'); at >= 0 {
			path, method = key[:at], key[at+1:]
		}
		value := m.value
		if value != "true" {
			value = text(value)
		}
		fmt.Fprintf(&list, "  - ResourcePath: %s\n    HttpMethod: %s\n    %s: %s\n", text("/"+path), text(method), m.cfn, value)
		label := p.label("stage")
		if i > 0 {
			label = fmt.Sprintf("%s_%d", label, i+1)
		}
		api, stage := p.path()
		rest, name := hcl(api), hcl(stage)
		if api == "" {
			rest, name = "aws_api_gateway_stage."+p.label("stage")+".rest_api_id", "aws_api_gateway_stage."+p.label("stage")+".stage_name"
		}
		blocks.WriteString(tf("aws_api_gateway_method_settings", label,
			fmt.Sprintf("rest_api_id = %s\nstage_name  = %s\nmethod_path = %s\nsettings {\n  %s = %s\n}", rest, name, hcl(key), m.tf, value)))
	}
	f.do(call{input: p.update(pairs...), why: why, breaks: breaks})
	f.config("# The block with this method_path, if there is one, is the one to change.\n" + blocks.String())
	f.stack(cfn(cfnResource(p.logical("Stage"), p.stageType(), "# Entries are told apart by ResourcePath and HttpMethod.\nMethodSettings:\n"+list.String())))
}

// level is the logging level that closes the finding with the least noise.
func (p *patient) level() string {
	if l := p.f.Parameters["loggingLevel"]; len(l) == 1 {
		return l[0]
	}
	return "ERROR"
}

// trust is who may take the role that writes execution logs, and written is
// what it may do. Source: developer guide, Set up CloudWatch logging.
const (
	trust   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	written = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
	role    = "ApiGatewayCloudWatchLogs"
)

// logRole gives the account the role without which a stage cannot log.
func (p *patient) logRole(f *fix) {
	arn := p.value(valueRole)
	var has *string
	if p.c.LogRole != nil {
		has = p.c.LogRole(p.r.Region)
	}
	if has != nil && *has != "" && (arn == "" || arn == *has) {
		return
	}
	named := arn != ""
	if !named && p.r.Account != "" {
		arn = "arn:" + p.partition() + ":iam::" + p.r.Account + ":role/" + role
	}
	switch {
	case arn == "":
		f.need(valueRole)
		return
	case named, p.r.Source == posture.Self: // this gateway asks for a role's name, and no service for its rights
	case has == nil:
		f.hand("If aws apigateway get-account shows a cloudwatchRoleArn, the next three commands are not needed.", "Whether the account has a role for execution logs could not be read.")
		fallthrough
	default:
		f.needs = append(f.needs, valueRole)
		f.command("aws iam create-role --role-name "+role+" --assume-role-policy-document "+quote(trust), "The role by which API Gateway writes to CloudWatch Logs.")
		f.command("aws iam attach-role-policy --role-name "+role+" --policy-arn arn:"+p.partition()+":iam::aws:policy/"+written, "It may write logs and nothing else.")
	}
	f.do(call{input: &apigateway.UpdateAccountInput{PatchOperations: replace("/cloudwatchRoleArn", arn)},
		why: "Without a role on the account, the Region's setting for all APIs, the service refuses logging levels or drops the logs."})
}

// fixLogging closes APIGateway.1.
func fixLogging(p *patient, f *fix) {
	level := p.level()
	p.logRole(f)
	if s, ok := p.r.Doc.(*v2types.Stage); ok {
		settings := v2types.RouteSettings{}
		if s.DefaultRouteSettings != nil {
			settings = *s.DefaultRouteSettings
		}
		settings.LoggingLevel = v2types.LoggingLevel(level)
		api, stage := p.path()
		f.do(call{input: &apigatewayv2.UpdateStageInput{ApiId: &api, StageName: &stage, DefaultRouteSettings: &settings}, why: "Routes without a level of their own log at " + level + "."})
		f.config(tf("aws_apigatewayv2_stage", p.label("stage"), "default_route_settings {\n  logging_level = "+hcl(level)+"\n}"))
		f.stack(cfn(cfnResource(p.logical("Stage"), posture.TypeStageV2, "DefaultRouteSettings:\n  LoggingLevel: "+level)))
		return
	}
	var breaks []string
	keys := p.entries("loggingLevel")
	if s, ok := p.r.Doc.(*resttypes.Stage); ok {
		for _, key := range keys {
			if had := aws.ToString(s.MethodSettings[key].LoggingLevel); had == "INFO" && level == "ERROR" {
				breaks = append(breaks, "the entry "+key+" logs less than it does: the parameter accepts "+level+" alone")
			}
			if s.MethodSettings[key].DataTraceEnabled {
				breaks = append(breaks, "the entry "+key+" has data trace on: requests and responses appear in the log in full")
			}
		}
	}
	p.setMethods(f, keys, part{"logging/loglevel", "LoggingLevel", "logging_level", level}, "Methods write execution logs at "+level+".", breaks...)
}

// fixClientCertificate closes APIGateway.2.
func fixClientCertificate(p *patient, f *fix) {
	api, stage := p.path()
	attach := call{input: p.update("/clientCertificateId", generated), why: "Backends that ask for a client certificate are shown it from now on.",
		breaks: []string{"backends that ask for a client certificate and do not trust this one refuse the handshake"}}
	if p.c.Readiness != nil {
		attach.breaks = append(attach.breaks, p.c.Readiness(api, stage)...)
	}
	f.do(call{input: &apigateway.GenerateClientCertificateInput{Description: aws.String("APIGateway.2: " + api + "/" + stage)},
		why: "Makes a key and a certificate valid for 365 days; nothing renews it."})
	if p.r.Source != posture.File {
		in := " --region " + quote(p.r.Region)
		if p.c.Endpoint != "" {
			in += " --endpoint-url " + quote(p.c.Endpoint)
		}
		f.command("aws apigateway get-client-certificate"+in+" --client-certificate-id \""+generated+"\" --query pemEncodedCertificate --output text",
			"What the backends must trust before the next command: give it to their owners.")
	}
	f.do(attach)
	f.config("resource \"aws_api_gateway_client_certificate\" \"backend\" {\n  description = \"APIGateway.2\"\n}\n\n" +
		tf("aws_api_gateway_stage", p.label("stage"), "client_certificate_id = aws_api_gateway_client_certificate.backend.id"))
	if p.stageType() == serverless {
		f.hand("AWS::Serverless::Api has no property for a client certificate: declare the API as AWS::ApiGateway::RestApi, Deployment and Stage, and set ClientCertificateId on the stage.", "")
		return
	}
	f.stack(cfn("  BackendCertificate:\n    Type: AWS::ApiGateway::ClientCertificate\n",
		cfnResource(p.logical("Stage"), posture.TypeStage, "ClientCertificateId: !Ref BackendCertificate")))
}

// fixTracing closes APIGateway.3.
func fixTracing(p *patient, f *fix) {
	f.do(call{input: p.update("/tracingEnabled", "true"), why: "Requests are sampled and traced; X-Ray bills for what it keeps."})
	f.config(tf("aws_api_gateway_stage", p.label("stage"), "xray_tracing_enabled = true"))
	f.stack(cfn(cfnResource(p.logical("Stage"), p.stageType(), "TracingEnabled: true")))
}

// fixWebACL closes APIGateway.4.
func fixWebACL(p *patient, f *fix) {
	const breaks = "requests that the web ACL's rules block are answered 403: try its rules with the action Count first"
	acl := p.value(valueACL)
	api, stage := p.path()
	if p.r.Source == posture.Self {
		f.hand("No call of this gateway associates a web ACL: UpdateStage has no path for it, and AWS WAF is not among its services.", "Nothing on this gateway would inspect requests by it.")
		return
	}
	if acl == "" {
		f.need(valueACL)
		f.moves[len(f.moves)-1].step.Breaks = []string{breaks}
	} else {
		f.do(call{input: &wafv2.AssociateWebACLInput{WebACLArn: &acl, ResourceArn: aws.String("arn:" + p.partition() + ":apigateway:" + p.r.Region + "::/restapis/" + api + "/stages/" + stage)},
			why: "The web ACL inspects each request of the stage before anything else does.", breaks: []string{breaks}})
	}
	tfACL, head := hcl(acl), ""
	cfnACL, parameters := text(acl), ""
	if acl == "" {
		head, tfACL = "variable \"web_acl_arn\" {\n  type = string\n}\n\n", "var.web_acl_arn"
		parameters, cfnACL = "Parameters:\n  WebAclArn:\n    Type: String\n", "!Ref WebAclArn"
	}
	target := "aws_api_gateway_stage." + p.label("stage") + ".arn"
	f.config(head + tf("aws_wafv2_web_acl_association", p.label("stage"), "resource_arn = "+target+"\nweb_acl_arn  = "+tfACL))
	id := p.logical("Stage")
	arn := fmt.Sprintf("arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/%s/stages/%s", api, stage)
	if api == "" {
		arn = fmt.Sprintf("arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${RestApi}/stages/${%s}", id)
		parameters = "# RestApi is the logical id of the stage's API.\n" + parameters
		if p.stageType() == serverless {
			arn = fmt.Sprintf("arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${%s}/stages/${%s.Stage}", id, id)
			parameters = strings.TrimPrefix(parameters, "# RestApi is the logical id of the stage's API.\n")
		}
	}
	f.stack(parameters + cfn(cfnResource(id+"WebAcl", "AWS::WAFv2::WebACLAssociation", "ResourceArn: !Sub "+text(arn)+"\nWebACLArn: "+cfnACL)))
}

// fixCache closes APIGateway.5.
func fixCache(p *patient, f *fix) {
	p.setMethods(f, p.entries("cacheDataEncrypted"), part{"caching/dataEncrypted", "CacheDataEncrypted", "cache_data_encrypted", "true"},
		"What is cached is encrypted.", "the cache starts empty: backends get all of the traffic for a while")
}

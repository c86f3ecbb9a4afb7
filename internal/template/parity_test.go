package template

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// notKnown marks members of a document whose value a template gets from
// elsewhere.
func notKnown(r *posture.Resource, paths ...string) *posture.Resource {
	r.Unknown = map[string]string{}
	for _, p := range paths {
		r.Unknown[p] = "of a test"
	}
	return r
}

func stageOf(s apigateway.Stage) *posture.Resource {
	s.StageName = aws.String("prod")
	return &posture.Resource{Type: posture.TypeStage, Doc: &s, Parent: &apigateway.RestApi{}}
}

func settings(pairs ...any) apigateway.Stage {
	s := apigateway.Stage{MethodSettings: map[string]apigateway.MethodSetting{}}
	for i := 0; i < len(pairs); i += 2 {
		s.MethodSettings[pairs[i].(string)] = pairs[i+1].(apigateway.MethodSetting)
	}
	return s
}

func level(l string) apigateway.MethodSetting { return apigateway.MethodSetting{LoggingLevel: &l} }

func cached(cluster bool, pairs ...any) *posture.Resource {
	s := settings(pairs...)
	s.CacheClusterEnabled = cluster
	return stageOf(s)
}

func caching(encrypted bool) apigateway.MethodSetting {
	return apigateway.MethodSetting{LoggingLevel: aws.String("INFO"), CachingEnabled: true, CacheDataEncrypted: encrypted}
}

func apiOf(p apigatewayv2.ProtocolType) *apigatewayv2.Api {
	return &apigatewayv2.Api{ApiId: aws.String("Api"), ProtocolType: p}
}

func v2(typ string, p apigatewayv2.ProtocolType, doc any) *posture.Resource {
	return &posture.Resource{Type: typ, Doc: doc, Parent: apiOf(p)}
}

func logged(l string) *apigatewayv2.Stage {
	return &apigatewayv2.Stage{StageName: aws.String("live"), DefaultRouteSettings: &apigatewayv2.RouteSettings{LoggingLevel: apigatewayv2.LoggingLevel(l)}}
}

func access(destination, format string) *apigatewayv2.Stage {
	return &apigatewayv2.Stage{StageName: aws.String("live"), AccessLogSettings: &apigatewayv2.AccessLogSettings{DestinationArn: &destination, Format: &format}}
}

func routed(key, authorization string) *apigatewayv2.Route {
	return &apigatewayv2.Route{RouteKey: &key, AuthorizationType: apigatewayv2.AuthorizationType(authorization)}
}

func linked(name ...string) *apigatewayv2.Integration {
	i := &apigatewayv2.Integration{ConnectionType: "VPC_LINK", IntegrationUri: aws.String("https://in.example.com")}
	if len(name) > 0 {
		i.TlsConfig = &apigatewayv2.TlsConfig{ServerNameToVerify: &name[0]}
	}
	return i
}

func named(policy string, endpoint string, mapped ...any) *posture.Resource {
	return &posture.Resource{Type: posture.TypeDomainName, Related: mapped, Doc: &apigateway.DomainName{DomainName: aws.String("api.example.com"),
		SecurityPolicy: apigateway.SecurityPolicy(policy), EndpointConfiguration: &apigateway.EndpointConfiguration{Types: []apigateway.EndpointType{apigateway.EndpointType(endpoint)}}}}
}

func mutual(r *posture.Resource) *posture.Resource {
	r.Doc.(*apigateway.DomainName).MutualTlsAuthentication = &apigateway.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/ca.pem")}
	return r
}

func search(https bool, policy string, between bool) *posture.Resource {
	return &posture.Resource{Type: posture.TypeSearchDomain, Doc: &opensearch.DomainStatus{DomainName: aws.String("logs"),
		DomainEndpointOptions:       &opensearch.DomainEndpointOptions{EnforceHTTPS: &https, TLSSecurityPolicy: opensearch.TLSSecurityPolicy(policy)},
		NodeToNodeEncryptionOptions: &opensearch.NodeToNodeEncryptionOptions{Enabled: &between}}}
}

func certified(key string, left time.Duration) *posture.Resource {
	c := acm.CertificateDetail{DomainName: aws.String("api.example.com"), KeyAlgorithm: acm.KeyAlgorithm(key)}
	if left != 0 {
		c.NotAfter = aws.Time(now.Add(left))
	}
	return &posture.Resource{Type: posture.TypeCertificate, Doc: &c}
}

const (
	listed     = "SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09"
	newSearch  = "Policy-Min-TLS-1-2-PFS-2023-10"
	oldSearch  = "Policy-Min-TLS-1-2-2019-07"
	http       = apigatewayv2.ProtocolTypeHttp
	webSocket  = apigatewayv2.ProtocolTypeWebsocket
	acl        = "arn:aws:wafv2:us-east-1:000000000000:regional/webacl/w/1"
	everything = "*/*"
)

// The controls' own cases, as far as a file can say them.
var facts = []struct {
	control, name string
	r             *posture.Resource
	want          posture.Status
}{
	{"APIGateway.1", "every method at INFO", stageOf(settings(everything, level("INFO"))), posture.Passed},
	{"APIGateway.1", "different levels", stageOf(settings(everything, level("ERROR"), "~1pets/GET", level("INFO"))), posture.Passed},
	{"APIGateway.1", "only an override", stageOf(settings("~1pets~1{id}/GET", level("INFO"))), posture.Passed},
	{"APIGateway.1", "no settings", stageOf(settings()), posture.Failed},
	{"APIGateway.1", "every method OFF", stageOf(settings(everything, level("OFF"))), posture.Failed},
	{"APIGateway.1", "one override OFF", stageOf(settings(everything, level("INFO"), "~1pets/GET", level("OFF"))), posture.Failed},
	{"APIGateway.1", "an override inherits", stageOf(settings(everything, level("INFO"), "~1pets/GET", apigateway.MethodSetting{})), posture.Passed},
	{"APIGateway.1", "an override inherits OFF", stageOf(settings(everything, level("OFF"), "~1pets/GET", apigateway.MethodSetting{})), posture.Failed},
	{"APIGateway.1", "nothing to inherit", stageOf(settings("~1pets/GET", apigateway.MethodSetting{})), posture.Failed},
	{"APIGateway.1", "a level is not known", notKnown(stageOf(settings(everything, level("INFO"), "~1pets/GET", apigateway.MethodSetting{})), "methodSettings[~1pets/GET].loggingLevel"), posture.Unknown},
	{"APIGateway.1", "another fails whatever it is", notKnown(stageOf(settings(everything, level("OFF"), "~1pets/GET", apigateway.MethodSetting{})), "methodSettings[~1pets/GET].loggingLevel"), posture.Failed},
	{"APIGateway.1", "WebSocket at INFO", v2(posture.TypeStageV2, webSocket, logged("INFO")), posture.Passed},
	{"APIGateway.1", "WebSocket OFF", v2(posture.TypeStageV2, webSocket, logged("OFF")), posture.Failed},
	{"APIGateway.1", "WebSocket without settings", v2(posture.TypeStageV2, webSocket, &apigatewayv2.Stage{StageName: aws.String("live")}), posture.Failed},
	{"APIGateway.1", "WebSocket, the level is not known", notKnown(v2(posture.TypeStageV2, webSocket, logged("")), "defaultRouteSettings.loggingLevel"), posture.Unknown},
	{"APIGateway.1", "HTTP API", v2(posture.TypeStageV2, http, &apigatewayv2.Stage{StageName: aws.String("live")}), posture.NotApplicable},
	{"APIGateway.1", "API not known", &posture.Resource{Type: posture.TypeStageV2, Doc: logged("INFO")}, posture.Unknown},

	{"APIGateway.2", "named", stageOf(apigateway.Stage{ClientCertificateId: aws.String("c1")}), posture.Passed},
	{"APIGateway.2", "not named", stageOf(apigateway.Stage{}), posture.Failed},
	{"APIGateway.2", "empty", stageOf(apigateway.Stage{ClientCertificateId: aws.String("")}), posture.Failed},
	{"APIGateway.2", "not known", notKnown(stageOf(apigateway.Stage{}), "clientCertificateId"), posture.Unknown},

	{"APIGateway.3", "on", stageOf(apigateway.Stage{TracingEnabled: true}), posture.Passed},
	{"APIGateway.3", "off", stageOf(apigateway.Stage{}), posture.Failed},
	{"APIGateway.3", "not known", notKnown(stageOf(apigateway.Stage{}), "tracingEnabled"), posture.Unknown},

	{"APIGateway.4", "associated", stageOf(apigateway.Stage{WebAclArn: aws.String(acl)}), posture.Passed},
	{"APIGateway.4", "none", stageOf(apigateway.Stage{}), posture.Failed},
	{"APIGateway.4", "not known", notKnown(stageOf(apigateway.Stage{}), "webAclArn"), posture.Unknown},

	{"APIGateway.5", "nothing cached", cached(false), posture.Passed},
	{"APIGateway.5", "cached and encrypted", cached(true, everything, caching(true)), posture.Passed},
	{"APIGateway.5", "cached in clear", cached(true, everything, caching(false)), posture.Failed},
	{"APIGateway.5", "one override in clear", cached(true, everything, caching(true), "~1pets/GET", caching(false)), posture.Failed},
	{"APIGateway.5", "in clear but not cached", cached(true, everything, caching(true), "~1pets/POST", apigateway.MethodSetting{LoggingLevel: aws.String("INFO")}), posture.Passed},
	{"APIGateway.5", "cluster off", cached(false, everything, caching(false)), posture.Passed},
	{"APIGateway.5", "cluster not known", notKnown(cached(false, everything, caching(false)), "cacheClusterEnabled"), posture.Failed},
	{"APIGateway.5", "encryption not known", notKnown(cached(true, everything, caching(false)), "methodSettings[*/*].cacheDataEncrypted"), posture.Unknown},
	{"APIGateway.5", "caching not known, encrypted", notKnown(cached(true, everything, caching(true)), "methodSettings[*/*].cachingEnabled"), posture.Passed},

	{"APIGateway.8", "JWT", v2(posture.TypeRoute, http, routed("GET /pets", "JWT")), posture.Passed},
	{"APIGateway.8", "IAM", v2(posture.TypeRoute, http, routed("GET /pets", "AWS_IAM")), posture.Passed},
	{"APIGateway.8", "NONE", v2(posture.TypeRoute, http, routed("GET /pets", "NONE")), posture.Failed},
	{"APIGateway.8", "absent", v2(posture.TypeRoute, http, routed("$default", "")), posture.Failed},
	{"APIGateway.8", "WebSocket, $connect authorized", v2(posture.TypeRoute, webSocket, routed("$connect", "CUSTOM")), posture.Passed},
	{"APIGateway.8", "WebSocket, another route", v2(posture.TypeRoute, webSocket, routed("sendMessage", "NONE")), posture.Unfixable},
	{"APIGateway.8", "CORS preflight", v2(posture.TypeRoute, http, routed("OPTIONS /pets", "NONE")), posture.Unfixable},
	{"APIGateway.8", "type not known", notKnown(v2(posture.TypeRoute, http, routed("GET /pets", "")), "authorizationType"), posture.Unknown},

	{"APIGateway.9", "HTTP", v2(posture.TypeStageV2, http, access("arn:aws:logs:us-east-1:000000000000:log-group:g", "$context.requestId")), posture.Passed},
	{"APIGateway.9", "WebSocket", v2(posture.TypeStageV2, webSocket, access("arn:aws:logs:us-east-1:000000000000:log-group:g", "$context.requestId")), posture.Passed},
	{"APIGateway.9", "absent", v2(posture.TypeStageV2, http, &apigatewayv2.Stage{StageName: aws.String("live")}), posture.Failed},
	{"APIGateway.9", "half of it", v2(posture.TypeStageV2, http, access("arn:aws:logs:us-east-1:000000000000:log-group:g", "")), posture.Failed},
	{"APIGateway.9", "destination not known", notKnown(v2(posture.TypeStageV2, http, access("", "$context.requestId")), "accessLogSettings.destinationArn"), posture.Unknown},

	{"APIGateway.10", "HTTPS", v2(posture.TypeIntegration, http, linked("in.example.com")), posture.Passed},
	{"APIGateway.10", "plain", v2(posture.TypeIntegration, http, linked()), posture.Failed},
	{"APIGateway.10", "no name to verify", v2(posture.TypeIntegration, http, linked("")), posture.Passed},
	{"APIGateway.10", "WebSocket", v2(posture.TypeIntegration, webSocket, linked()), posture.Unfixable},
	{"APIGateway.10", "internet", v2(posture.TypeIntegration, http, &apigatewayv2.Integration{ConnectionType: "INTERNET"}), posture.NotApplicable},
	{"APIGateway.10", "internet by default", v2(posture.TypeIntegration, http, &apigatewayv2.Integration{}), posture.NotApplicable},
	{"APIGateway.10", "connection not known", notKnown(v2(posture.TypeIntegration, http, &apigatewayv2.Integration{}), "connectionType"), posture.Unknown},
	{"APIGateway.10", "TLS not known", notKnown(v2(posture.TypeIntegration, http, linked()), "tlsConfig"), posture.Unknown},
	{"APIGateway.10", "name not known", notKnown(v2(posture.TypeIntegration, http, linked("")), "tlsConfig.serverNameToVerify"), posture.Passed},

	{"APIGateway.11", "on the list", named(listed, "REGIONAL"), posture.Passed},
	{"APIGateway.11", "TLS_1_2", named("TLS_1_2", "REGIONAL"), posture.Failed},
	{"APIGateway.11", "TLS_1_0", named("TLS_1_0", "EDGE"), posture.Failed},
	{"APIGateway.11", "without a policy", named("", "REGIONAL"), posture.Failed},
	{"APIGateway.11", "policy not known", notKnown(named("", "REGIONAL"), "securityPolicy"), posture.Unknown},
	{"APIGateway.11", "of another endpoint type", named(listed, "EDGE"), posture.Unknown},
	{"APIGateway.11", "mutual TLS", mutual(named("TLS_1_2", "REGIONAL")), posture.Unfixable},
	{"APIGateway.11", "mapped to an HTTP API", named("TLS_1_2", "REGIONAL", apiOf(http)), posture.Unfixable},
	{"APIGateway.11", "mapped to a WebSocket API", named("TLS_1_2", "REGIONAL", apiOf(webSocket)), posture.Unfixable},
	{"APIGateway.11", "mapped to a REST API", named("TLS_1_2", "REGIONAL", &apigateway.RestApi{}), posture.Failed},

	{"Opensearch.3", "on", search(true, newSearch, true), posture.Passed},
	{"Opensearch.3", "off", search(true, newSearch, false), posture.Failed},
	{"Opensearch.3", "not known", notKnown(search(true, newSearch, true), "NodeToNodeEncryptionOptions.Enabled"), posture.Unknown},
	{"Opensearch.8", "HTTPS under the latest", search(true, newSearch, true), posture.Passed},
	{"Opensearch.8", "plain HTTP too", search(false, newSearch, true), posture.Failed},
	{"Opensearch.8", "the default policy", search(true, oldSearch, true), posture.Failed},
	{"Opensearch.8", "HTTPS not known", notKnown(search(true, newSearch, true), "DomainEndpointOptions.EnforceHTTPS"), posture.Unknown},
	{"Opensearch.8", "HTTPS not known, old policy", notKnown(search(true, oldSearch, true), "DomainEndpointOptions.EnforceHTTPS"), posture.Failed},
	{"Opensearch.8", "policy not known", notKnown(search(true, "", true), "DomainEndpointOptions.TLSSecurityPolicy"), posture.Unknown},

	{"ACM.1", "a year left", certified("RSA_2048", 365*24*time.Hour), posture.Passed},
	{"ACM.1", "thirty days", certified("RSA_2048", 30*24*time.Hour), posture.Failed},
	{"ACM.1", "not issued yet", certified("RSA_2048", 0), posture.Unknown},
	{"ACM.2", "RSA 2048", certified("RSA_2048", 0), posture.Passed},
	{"ACM.2", "the default", certified("", 0), posture.Passed},
	{"ACM.2", "RSA 1024", certified("RSA_1024", 0), posture.Failed},
	{"ACM.2", "ECDSA", certified("EC_prime256v1", 0), posture.Passed},
	{"ACM.2", "not known", notKnown(certified("", 0), "KeyAlgorithm"), posture.Unknown},
}

// A writing is one thing as CloudFormation and as Terraform write it.
type writing struct {
	r *posture.Resource

	typ        string
	properties map[string]any

	tf                     string
	after, unknown, config map[string]any
}

func (w *writing) below() *writing {
	return &writing{r: w.r, properties: map[string]any{}, after: map[string]any{}, unknown: map[string]any{}, config: map[string]any{}}
}

// put writes a member under both names; nil leaves it out.
func (w *writing) put(path, cloudFormation, terraform string, v any) {
	if _, not := w.r.Unresolved(path); not && path != "" {
		w.properties[cloudFormation] = map[string]any{"Fn::ImportValue": "elsewhere"}
		w.unknown[terraform] = true
		w.config[terraform] = map[string]any{"references": []string{"local.elsewhere"}}
		return
	}
	if v == nil {
		w.unknown[terraform] = strings.HasSuffix(terraform, "policy") || strings.HasSuffix(terraform, "enabled") // as Optional and Computed are
		return
	}
	w.properties[cloudFormation] = v
	w.after[terraform] = v
	w.config[terraform] = map[string]any{"constant_value": v}
}

func (w *writing) block(path, cloudFormation, terraform string, b *writing) {
	if _, not := w.r.Unresolved(path); not {
		w.put(path, cloudFormation, terraform, nil)
		return
	}
	w.properties[cloudFormation] = b.properties
	w.after[terraform], w.unknown[terraform], w.config[terraform] = []any{b.after}, []any{b.unknown}, []any{b.config}
}

func text[T ~string](v T) any {
	if v == "" {
		return nil
	}
	return string(v)
}

func pointer[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// refer writes the identity of another resource.
func (w *writing) refer(cloudFormation, terraform, id, address string) {
	w.properties[cloudFormation] = map[string]any{"Ref": id}
	w.unknown[terraform] = true
	w.config[terraform] = map[string]any{"references": []string{address + ".id", address}}
}

// write writes a document and what it needs beside it, as CloudFormation does
// by logical ID and Terraform by address.
func write(r *posture.Resource) map[string]*writing {
	all := map[string]*writing{}
	add := func(id, typ, tf string) *writing {
		w := (&writing{r: r}).below()
		w.typ, w.tf = typ, tf
		all[id] = w
		return w
	}
	api := func(doc any) string {
		switch a := doc.(type) {
		case *apigateway.RestApi:
			add("Rest", "AWS::ApiGateway::RestApi", "aws_api_gateway_rest_api").put("", "Name", "name", "rest")
			return "Rest"
		case *apigatewayv2.Api:
			w := add("Api", "AWS::ApiGatewayV2::Api", "aws_apigatewayv2_api")
			w.put("", "Name", "name", "api")
			w.put("", "ProtocolType", "protocol_type", string(a.ProtocolType))
			return "Api"
		}
		return ""
	}
	child := func(w *writing, cloudFormation, terraform, id string) {
		switch id {
		case "Rest":
			w.refer(cloudFormation, terraform, id, "aws_api_gateway_rest_api.Rest")
		case "Api":
			w.refer(cloudFormation, terraform, id, "aws_apigatewayv2_api.Api")
		default:
			w.properties[cloudFormation] = map[string]any{"Fn::ImportValue": "api"}
			w.unknown[terraform] = true
			w.config[terraform] = map[string]any{"references": []string{"var.api"}}
		}
	}
	switch d := r.Doc.(type) {
	case *apigateway.Stage:
		w := add("Thing", posture.TypeStage, "aws_api_gateway_stage")
		child(w, "RestApiId", "rest_api_id", api(r.Parent))
		w.put("stageName", "StageName", "stage_name", "prod")
		w.put("clientCertificateId", "ClientCertificateId", "client_certificate_id", pointer(d.ClientCertificateId))
		w.put("tracingEnabled", "TracingEnabled", "xray_tracing_enabled", d.TracingEnabled)
		w.put("cacheClusterEnabled", "CacheClusterEnabled", "cache_cluster_enabled", d.CacheClusterEnabled)
		w.unknown["web_acl_arn"] = true
		var list []any
		keys := []string{}
		for key := range d.MethodSettings {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for i, key := range keys {
			s, b := d.MethodSettings[key], w.below()
			at := func(member string) string { return posture.Entry("methodSettings", key, member) }
			left := s == apigateway.MethodSetting{} // an entry that says nothing
			b.put(at("loggingLevel"), "LoggingLevel", "logging_level", pointer(s.LoggingLevel))
			if !left {
				b.put(at("cachingEnabled"), "CachingEnabled", "caching_enabled", s.CachingEnabled)
				b.put(at("cacheDataEncrypted"), "CacheDataEncrypted", "cache_data_encrypted", s.CacheDataEncrypted)
			}
			path, method := key[:strings.LastIndexByte(key, '/')], key[strings.LastIndexByte(key, '/')+1:]
			b.properties["ResourcePath"], b.properties["HttpMethod"] = strings.ReplaceAll("/"+strings.TrimPrefix(path, "~1"), "~1", "/"), method
			list = append(list, b.properties)
			m := add(fmt.Sprintf("M%d", i), "", "aws_api_gateway_method_settings")
			child(m, "RestApiId", "rest_api_id", "Rest")
			m.put("", "", "stage_name", "prod")
			m.put("", "", "method_path", strings.TrimPrefix(strings.ReplaceAll(path, "~1", "/"), "/")+"/"+method)
			m.block("-", "", "settings", b)
		}
		if list != nil {
			w.properties["MethodSettings"] = list
		}
		_, not := r.Unresolved("webAclArn")
		if arn := aws.ToString(d.WebAclArn); arn != "" || not {
			a := add("ACL", typeACL, "aws_wafv2_web_acl_association")
			a.put("", "WebACLArn", "web_acl_arn", acl)
			a.put("webAclArn", "ResourceArn", "resource_arn", "")
			if !not {
				a.properties["ResourceArn"] = map[string]any{"Fn::Sub": "arn:aws:apigateway:${AWS::Region}::/restapis/${Rest}/stages/${Thing}"}
				a.unknown["resource_arn"], a.config["resource_arn"] = true, map[string]any{"references": []string{"aws_api_gateway_stage.Thing.arn", "aws_api_gateway_stage.Thing"}}
				delete(a.after, "resource_arn")
			}
		}
	case *apigatewayv2.Stage:
		w := add("Thing", posture.TypeStageV2, "aws_apigatewayv2_stage")
		child(w, "ApiId", "api_id", api(r.Parent))
		w.put("stageName", "StageName", "name", pointer(d.StageName))
		if l := d.AccessLogSettings; l != nil {
			b := w.below()
			b.put("accessLogSettings.destinationArn", "DestinationArn", "destination_arn", text(*l.DestinationArn))
			b.put("accessLogSettings.format", "Format", "format", text(*l.Format))
			w.block("accessLogSettings", "AccessLogSettings", "access_log_settings", b)
		}
		if s := d.DefaultRouteSettings; s != nil {
			b := w.below()
			b.put("defaultRouteSettings.loggingLevel", "LoggingLevel", "logging_level", text(s.LoggingLevel))
			w.block("defaultRouteSettings", "DefaultRouteSettings", "default_route_settings", b)
		}
	case *apigatewayv2.Route:
		w := add("Thing", posture.TypeRoute, "aws_apigatewayv2_route")
		child(w, "ApiId", "api_id", api(r.Parent))
		w.put("routeKey", "RouteKey", "route_key", pointer(d.RouteKey))
		w.put("authorizationType", "AuthorizationType", "authorization_type", text(d.AuthorizationType))
	case *apigatewayv2.Integration:
		w := add("Thing", posture.TypeIntegration, "aws_apigatewayv2_integration")
		child(w, "ApiId", "api_id", api(r.Parent))
		w.put("connectionType", "ConnectionType", "connection_type", text(d.ConnectionType))
		w.put("integrationUri", "IntegrationUri", "integration_uri", pointer(d.IntegrationUri))
		if c := d.TlsConfig; c != nil {
			b := w.below()
			b.put("tlsConfig.serverNameToVerify", "ServerNameToVerify", "server_name_to_verify", text(*c.ServerNameToVerify))
			w.block("tlsConfig", "TlsConfig", "tls_config", b)
		} else if _, not := r.Unresolved("tlsConfig"); not {
			w.put("tlsConfig", "TlsConfig", "tls_config", nil)
		} else {
			w.after["tls_config"] = []any{} // as the provider writes what is absent
		}
	case *apigateway.DomainName:
		w := add("Thing", posture.TypeDomainName, "aws_api_gateway_domain_name")
		w.put("domainName", "DomainName", "domain_name", pointer(d.DomainName))
		w.put("securityPolicy", "SecurityPolicy", "security_policy", text(d.SecurityPolicy))
		b := w.below()
		b.put("endpointConfiguration.types", "Types", "types", []any{string(d.EndpointConfiguration.Types[0])})
		w.block("endpointConfiguration", "EndpointConfiguration", "endpoint_configuration", b)
		if m := d.MutualTlsAuthentication; m != nil {
			b := w.below()
			b.put("mutualTlsAuthentication", "TruststoreUri", "truststore_uri", *m.TruststoreUri)
			w.block("mutualTlsAuthentication", "MutualTlsAuthentication", "mutual_tls_authentication", b)
		}
		for i, doc := range r.Related {
			id := api(doc)
			typ, tf, member, attribute := typeMappingV2, "aws_apigatewayv2_api_mapping", "ApiId", "api_id"
			if id == "Rest" {
				typ, tf, member, attribute = typeMapping, "aws_api_gateway_base_path_mapping", "RestApiId", "api_id"
			}
			m := add(fmt.Sprintf("Mapping%d", i), typ, tf)
			child(m, member, attribute, id)
			m.refer("DomainName", "domain_name", "Thing", "aws_api_gateway_domain_name.Thing")
		}
	case *opensearch.DomainStatus:
		w := add("Thing", typeSearchDomain, "aws_opensearch_domain")
		w.put("DomainName", "DomainName", "domain_name", pointer(d.DomainName))
		b := w.below()
		b.put("DomainEndpointOptions.EnforceHTTPS", "EnforceHTTPS", "enforce_https", pointer(d.DomainEndpointOptions.EnforceHTTPS))
		b.put("DomainEndpointOptions.TLSSecurityPolicy", "TLSSecurityPolicy", "tls_security_policy", text(d.DomainEndpointOptions.TLSSecurityPolicy))
		w.block("DomainEndpointOptions", "DomainEndpointOptions", "domain_endpoint_options", b)
		b = w.below()
		b.put("NodeToNodeEncryptionOptions.Enabled", "Enabled", "enabled", pointer(d.NodeToNodeEncryptionOptions.Enabled))
		w.block("NodeToNodeEncryptionOptions", "NodeToNodeEncryptionOptions", "node_to_node_encryption", b)
	case *acm.CertificateDetail:
		w := add("Thing", typeCertificate, "aws_acm_certificate")
		w.put("DomainName", "DomainName", "domain_name", pointer(d.DomainName))
		w.put("KeyAlgorithm", "KeyAlgorithm", "key_algorithm", text(d.KeyAlgorithm))
		if d.NotAfter != nil {
			w.after["not_after"] = d.NotAfter.Format(time.RFC3339)
		}
	}
	return all
}

// cloudFormation is a template of what was written.
func cloudFormation(all map[string]*writing) map[string]any {
	resources := map[string]any{}
	for id, w := range all {
		if w.typ != "" {
			resources[id] = map[string]any{"Type": w.typ, "Properties": w.properties}
		}
	}
	return map[string]any{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
}

// terraformPlan is a plan that makes what was written.
func terraformPlan(all map[string]*writing) map[string]any {
	var planned, changes, config []any
	for id, w := range all {
		address := w.tf + "." + id
		head := func(more map[string]any) map[string]any {
			m := map[string]any{"address": address, "mode": "managed", "type": w.tf, "name": id, "provider_name": "registry.terraform.io/hashicorp/aws"}
			for k, v := range more {
				m[k] = v
			}
			return m
		}
		planned = append(planned, head(map[string]any{"schema_version": 0, "values": w.after}))
		changes = append(changes, head(map[string]any{"change": map[string]any{"actions": []string{"create"}, "before": nil, "after": w.after, "after_unknown": w.unknown}}))
		config = append(config, map[string]any{"address": address, "mode": "managed", "type": w.tf, "name": id, "schema_version": 0, "expressions": w.config})
	}
	return map[string]any{"format_version": "1.2", "terraform_version": "1.11.4",
		"planned_values": map[string]any{"root_module": map[string]any{"resources": planned}}, "resource_changes": changes,
		"configuration": map[string]any{"root_module": map[string]any{"resources": config}}}
}

// sam is a template of SAM's own types; nil where it has none for this.
func sam(r *posture.Resource, all map[string]*writing) map[string]any {
	thing := all["Thing"]
	id, typ, props := "Rest", "AWS::Serverless::Api", map[string]any{"OpenApiVersion": "3.0.1"}
	switch d := r.Doc.(type) {
	case *apigateway.Stage:
		if _, not := r.Unresolved("clientCertificateId"); not || d.ClientCertificateId != nil || r.Parent == nil {
			return nil
		}
		for _, name := range []string{"StageName", "TracingEnabled", "CacheClusterEnabled", "MethodSettings"} {
			if v, has := thing.properties[name]; has {
				props[name] = v
			}
		}
	case *apigatewayv2.Stage:
		if api, ok := r.Parent.(*apigatewayv2.Api); !ok || api.ProtocolType != http {
			return nil
		}
		id, typ, props = "Api", "AWS::Serverless::HttpApi", map[string]any{}
		for _, name := range []string{"StageName", "AccessLogSettings", "DefaultRouteSettings"} {
			if v, has := thing.properties[name]; has {
				props[name] = v
			}
		}
	default:
		return nil
	}
	t := cloudFormation(all)
	t["Transform"] = samTransform
	resources := t["Resources"].(map[string]any)
	delete(resources, "Thing")
	resources[id] = map[string]any{"Type": typ, "Properties": props}
	if a := all["ACL"]; a != nil {
		if sub, ok := a.properties["ResourceArn"].(map[string]any); ok && sub["Fn::Sub"] != nil {
			a.properties["ResourceArn"] = map[string]any{"Fn::Sub": "arn:aws:apigateway:${AWS::Region}::/restapis/${Rest}/stages/${Rest.Stage}"}
		}
	}
	return t
}

// forms are the files that say a document's facts, by name.
func forms(t *testing.T, r *posture.Resource) map[string][]byte {
	t.Helper()
	asJSON := func(v any) []byte {
		out, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	files := map[string][]byte{"template.json": asJSON(cloudFormation(write(r))), "plan.json": asJSON(terraformPlan(write(r)))}
	// YAML with the booleans as words, as they often are.
	y, err := yaml.Marshal(cloudFormation(write(r)))
	if err != nil {
		t.Fatal(err)
	}
	files["template.yaml"] = []byte(strings.NewReplacer(": true\n", ": \"true\"\n", ": false\n", ": 'false'\n").Replace(string(y)))
	if s := sam(r, write(r)); s != nil {
		files["sam.json"] = asJSON(s)
	}
	if c, ok := r.Doc.(*acm.CertificateDetail); ok && c.NotAfter != nil { // which only a plan knows
		return map[string][]byte{"plan.json": files["plan.json"]}
	}
	return files
}

// readOne reads one file and gives the resource that says what r says.
func readOne(t *testing.T, r *posture.Resource, name string, data []byte) *posture.Resource {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Read([]string{path}, Options{})
	if err != nil || len(found.Problems) > 0 || len(found.Resources) != 1 {
		t.Fatalf("%s: %v, problems %v, %d resources\n%s", name, err, found.Problems, len(found.Resources), data)
	}
	if got := found.Resources[0]; got.Type != r.Type {
		t.Fatalf("%s: a %s, want a %s", name, got.Type, r.Type)
	}
	return found.Resources[0]
}

func statusOf(t *testing.T, c *posture.Control, r *posture.Resource) posture.Verdict {
	t.Helper()
	p, err := c.Params(nil, "", posture.Live, now)
	if err != nil {
		t.Fatal(err)
	}
	return c.Judge(r, p)
}

// What a control says of a document it says of every file with its facts.
func TestSameVerdictsFromFiles(t *testing.T) {
	covered := map[string]map[posture.Status]bool{}
	for _, f := range facts {
		t.Run(f.control+"/"+f.name, func(t *testing.T) {
			control, ok := controls.Lookup(f.control)
			if !ok {
				t.Fatal("no such control")
			}
			if covered[f.control] == nil {
				covered[f.control] = map[posture.Status]bool{}
			}
			covered[f.control][f.want] = true
			document := *f.r
			document.Source = posture.File
			if v := statusOf(t, control, &document); v.Status != f.want {
				t.Fatalf("the document itself: %s: %s, want %s", v.Status, v.Reason, f.want)
			}
			for name, data := range forms(t, f.r) {
				if v := statusOf(t, control, readOne(t, f.r, name, data)); v.Status != f.want {
					t.Errorf("%s: %s: %s, want %s\n%s", name, v.Status, v.Reason, f.want, data)
				}
			}
		})
	}
	for _, c := range controls.All {
		for _, want := range []posture.Status{posture.Passed, posture.Failed, posture.Unknown} {
			if !covered[c.ID][want] {
				t.Errorf("%s has no case that is %s", c.ID, want)
			}
		}
	}
}

// Whatever a configuration, all controls agree on it in every form.
func TestGeneratedConfigurations(t *testing.T) {
	n := 40
	if os.Getenv("SALLYPORT_SOAK") == "1" {
		n = 400
	}
	random := rand.New(rand.NewPCG(1, 2))
	one := func(words ...string) string { return words[random.IntN(len(words))] }
	coin := func() bool { return random.IntN(2) == 0 }
	makers := []func() *posture.Resource{
		func() *posture.Resource {
			s := apigateway.Stage{TracingEnabled: coin(), CacheClusterEnabled: coin(), MethodSettings: map[string]apigateway.MethodSetting{}}
			if coin() {
				s.ClientCertificateId = aws.String(one("", "c1"))
			}
			if coin() {
				s.WebAclArn = aws.String(acl)
			}
			for _, key := range []string{everything, "~1pets/GET", "~1/ANY", "~1a~1{b}/POST"} {
				if coin() {
					s.MethodSettings[key] = apigateway.MethodSetting{LoggingLevel: aws.String(one("OFF", "ERROR", "INFO")), CachingEnabled: coin(), CacheDataEncrypted: coin()}
				}
			}
			return stageOf(s)
		},
		func() *posture.Resource {
			s := apigatewayv2.Stage{StageName: aws.String("live")}
			if coin() {
				s.AccessLogSettings = access(one("", "arn:aws:logs:us-east-1:000000000000:log-group:g"), one("", "$context.requestId")).AccessLogSettings
			}
			if coin() {
				s.DefaultRouteSettings = logged(one("", "OFF", "INFO", "ERROR")).DefaultRouteSettings
			}
			return v2(posture.TypeStageV2, apigatewayv2.ProtocolType(one("HTTP", "WEBSOCKET")), &s)
		},
		func() *posture.Resource {
			return v2(posture.TypeRoute, apigatewayv2.ProtocolType(one("HTTP", "WEBSOCKET")), routed(one("$default", "$connect", "GET /pets", "OPTIONS /pets"), one("", "NONE", "JWT", "CUSTOM", "AWS_IAM")))
		},
		func() *posture.Resource {
			i := linked()
			if coin() {
				i = linked(one("", "in.example.com"))
			}
			i.ConnectionType = apigatewayv2.ConnectionType(one("", "INTERNET", "VPC_LINK"))
			return v2(posture.TypeIntegration, apigatewayv2.ProtocolType(one("HTTP", "WEBSOCKET")), i)
		},
		func() *posture.Resource {
			r := named(one("", "TLS_1_0", "TLS_1_2", listed, "SecurityPolicy_TLS12_PFS_2025_EDGE"), one("REGIONAL", "EDGE", "PRIVATE"))
			if coin() {
				r = mutual(r)
			}
			if coin() {
				r.Related = []any{apiOf(apigatewayv2.ProtocolType(one("HTTP", "WEBSOCKET")))}
			}
			return r
		},
		func() *posture.Resource { return search(coin(), one("", oldSearch, newSearch), coin()) },
	}
	for i := range n * len(makers) {
		r := makers[i%len(makers)]()
		document := *r
		document.Source = posture.File
		for name, data := range forms(t, r) {
			got := readOne(t, r, name, data)
			for _, c := range controls.All {
				if !c.Covers(r.Type) {
					continue
				}
				if v, want := statusOf(t, c, got), statusOf(t, c, &document); v.Status != want.Status && !(name == "sam.json" && c.ID == "APIGateway.2") {
					t.Errorf("%s of %s: %s: %s, the document has %s: %s\n%s", c.ID, name, v.Status, v.Reason, want.Status, want.Reason, data)
				}
			}
		}
	}
}

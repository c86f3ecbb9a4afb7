package gatewaytest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	opensearchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/account"
	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/quickstart"
	"github.com/sallyport/sallyport/internal/template"
)

// The same resources get the same verdicts wherever they are read: by the
// gateway from its own store, through the API of a running gateway as of an
// account, and from a CloudFormation template and a Terraform plan that
// describe them. What the gateway stores and does not act on it calls unknown.
func TestSourcesAgree(t *testing.T) {
	farm, err := quickstart.StartFarm()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { farm.Close() })
	w := start(t, []func(*gateway.Options){func(o *gateway.Options) { o.Config, o.Roots = farm.Extend(o.Config), farm.Roots() }})
	if _, err := farm.Install(t.Context(), w.Runtime, w.Config); err != nil {
		t.Fatal(err)
	}
	w.furnish(t)

	scanned, err := account.Scan(t.Context(), account.Options{Regions: []string{w.Config.Region}, Config: aws.Config{Region: w.Config.Region, BaseEndpoint: aws.String(w.Runtime.Admin),
		Credentials: credentials.NewStaticCredentialsProvider(w.Key.AccessKeyID, w.Key.SecretAccessKey, ""), RetryMaxAttempts: 1, HTTPClient: detached{}}})
	if err != nil {
		t.Fatal(err)
	}
	live := judged(t, scanned)
	var own map[string]posture.Finding
	for deadline := time.Now().Add(30 * time.Second); ; {
		own = map[string]posture.Finding{}
		for _, f := range w.audit(t, nil).Findings {
			own[f.Control+" "+label(f.Resource.ID)] = f
		}
		if len(own) == len(live) || time.Now().After(deadline) {
			break
		}
	}
	differ, same := 0, 0
	for _, key := range slices.Sorted(maps.Keys(live)) {
		f, ok := own[key]
		switch {
		case !ok:
			t.Errorf("%s: the gateway does not judge it", key)
		case f.Status == live[key].Status:
			same++
		case f.Status == posture.Unknown && strings.Contains(f.Reason, "stored, not in effect"):
			differ++
		default:
			t.Errorf("%s: of itself %s: %s; through the API %s: %s", key, f.Status, f.Reason, live[key].Status, live[key].Reason)
		}
	}
	if len(own) != len(live) || same < 20 || differ == 0 {
		t.Errorf("%d verdicts of itself, %d through the API; %d the same, %d not in effect", len(own), len(live), same, differ)
	}

	// Certificates are made beside templates: what those say of them is not known before.
	asFiles := slices.DeleteFunc(slices.Clone(scanned.Resources), func(r *posture.Resource) bool { return r.Type == posture.TypeCertificate })
	dir := t.TempDir()
	for name, text := range map[string]any{"template.json": cloudFormationOf(t, asFiles), "plan.json": terraformOf(t, asFiles)} {
		path := filepath.Join(dir, name)
		out, err := json.MarshalIndent(text, "", " ")
		if err == nil {
			err = os.WriteFile(path, out, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		read, err := template.Read([]string{path}, template.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(read.Problems) > 0 || len(read.Resources) != len(asFiles) {
			t.Errorf("%s: %d resources of %d, problems %+v", name, len(read.Resources), len(asFiles), read.Problems)
		}
		filed := judged(t, read)
		for _, key := range slices.Sorted(maps.Keys(live)) {
			if strings.HasPrefix(key, "ACM.") {
				continue
			}
			if f, ok := filed[key]; !ok || f.Status != live[key].Status {
				t.Errorf("%s: in %s %s: %s; through the API %s: %s", key, name, f.Status, f.Reason, live[key].Status, live[key].Reason)
			}
		}
	}
}

// furnish makes resources that pass and that fail each control.
func (w *World) furnish(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	if _, err := w.API.UpdateAccount(ctx, &apigateway.UpdateAccountInput{PatchOperations: Replace("/cloudwatchRoleArn", "arn:aws:iam::000000000000:role/logs")}); err != nil {
		t.Fatal(err)
	}
	client, err := w.API.GenerateClientCertificate(ctx, &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	for name, patch := range map[string][]string{
		"plain":  nil,
		"logged": {"/*/*/logging/loglevel", "INFO", "/clientCertificateId", aws.ToString(client.ClientCertificateId)},
		"traced": {"/tracingEnabled", "true", "/*/*/logging/loglevel", "ERROR", "/~1/GET/logging/loglevel", "OFF"},
		"cached": {"/cacheClusterEnabled", "true", "/cacheClusterSize", "0.5", "/*/*/caching/enabled", "true"},
		"sealed": {"/cacheClusterEnabled", "true", "/cacheClusterSize", "0.5", "/*/*/caching/enabled", "true", "/*/*/caching/dataEncrypted", "true"},
	} {
		if _, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: &api, StageName: &name}); err != nil {
			t.Fatal(err)
		}
		if len(patch) > 0 {
			if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: &name, PatchOperations: Replace(patch...)}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	w.createDomain(t, "old.example.com", api, "TLS_1_2", "")
	w.createDomain(t, "older.example.com", api, "TLS_1_0", "")
	w.createDomain(t, "new.example.com", api, "SecurityPolicy_TLS13_1_3_2025_09", "BASIC")
	w.createDomain(t, "fips.example.com", api, "SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", "BASIC")
	edge := w.importCertificate(t, "edge.example.com", pki.RSA2048)
	if _, err := w.API.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{DomainName: aws.String("edge.example.com"), CertificateArn: &edge,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeEdge}},
		SecurityPolicy:        "SecurityPolicy_TLS13_2025_EDGE", EndpointAccessMode: "BASIC"}); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]*opensearch.CreateDomainInput{
		"weak": {},
		"firm": {DomainEndpointOptions: &opensearchtypes.DomainEndpointOptions{EnforceHTTPS: aws.Bool(true), TLSSecurityPolicy: "Policy-Min-TLS-1-2-PFS-2023-10"},
			NodeToNodeEncryptionOptions: &opensearchtypes.NodeToNodeEncryptionOptions{Enabled: aws.Bool(true)}},
	} {
		o.DomainName = &name
		if _, err := w.search().CreateDomain(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
}

// judged are the findings by control and resource.
func judged(t *testing.T, c *posture.Collection) map[string]posture.Finding {
	t.Helper()
	r, err := posture.Evaluate(controls.All, slices.Values(c.Resources), posture.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]posture.Finding{}
	for _, f := range r.Findings {
		key := f.Control + " " + label(f.Resource.ID)
		if _, twice := out[key]; twice {
			t.Errorf("%s is judged twice", key)
		}
		out[key] = f
	}
	return out
}

// label is a resource whatever calls it: letters and digits of the end of its
// ARN, which templates take for its name.
func label(id string) string {
	if at := strings.LastIndexByte(id, '#'); at >= 0 {
		return id[at+1:]
	}
	if strings.HasPrefix(id, "aws_") {
		return id[strings.LastIndexByte(id, '.')+1:]
	}
	part := strings.Split(id, ":")
	return "X" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, part[len(part)-1])
}

// object is one of JSON.
type object = map[string]any

// apiOf is the id of a stage's API.
func apiOf(r *posture.Resource) string {
	_, path, _ := strings.Cut(r.ID, "/restapis/")
	id, _, _ := strings.Cut(path, "/")
	return id
}

// cloudFormationOf writes resources as a template of CloudFormation.
func cloudFormationOf(t *testing.T, list []*posture.Resource) object {
	resources := object{}
	for _, r := range list {
		var typ string
		var p object
		switch doc := r.Doc.(type) {
		case *types.Stage:
			api := "Api" + apiOf(r)
			resources[api] = object{"Type": "AWS::ApiGateway::RestApi", "Properties": object{"Name": api}}
			typ = "AWS::ApiGateway::Stage"
			p = object{"RestApiId": object{"Ref": api}, "StageName": doc.StageName, "TracingEnabled": doc.TracingEnabled, "CacheClusterEnabled": doc.CacheClusterEnabled}
			if doc.ClientCertificateId != nil {
				p["ClientCertificateId"] = doc.ClientCertificateId
			}
			var settings []object
			for key, s := range doc.MethodSettings {
				at := strings.LastIndexByte(key, '/')
				settings = append(settings, object{"ResourcePath": "/" + strings.TrimPrefix(key[:at], "/"), "HttpMethod": key[at+1:], "LoggingLevel": aws.ToString(s.LoggingLevel),
					"CachingEnabled": s.CachingEnabled, "CacheDataEncrypted": s.CacheDataEncrypted})
			}
			if settings != nil {
				p["MethodSettings"] = settings
			}
		case *types.DomainName:
			typ = "AWS::ApiGateway::DomainName"
			p = object{"DomainName": doc.DomainName, "SecurityPolicy": doc.SecurityPolicy, "EndpointConfiguration": object{"Types": doc.EndpointConfiguration.Types}}
			if doc.EndpointAccessMode != "" {
				p["EndpointAccessMode"] = doc.EndpointAccessMode
			}
		case *opensearchtypes.DomainStatus:
			typ = "AWS::OpenSearchService::Domain"
			p = object{"DomainName": doc.DomainName,
				"DomainEndpointOptions":       object{"EnforceHTTPS": doc.DomainEndpointOptions.EnforceHTTPS, "TLSSecurityPolicy": doc.DomainEndpointOptions.TLSSecurityPolicy},
				"NodeToNodeEncryptionOptions": object{"Enabled": nodeToNode(doc)}}
		default:
			t.Fatalf("%T", doc)
		}
		resources[label(r.ID)] = object{"Type": typ, "Properties": p}
	}
	return object{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
}

func nodeToNode(d *opensearchtypes.DomainStatus) bool {
	return d.NodeToNodeEncryptionOptions != nil && aws.ToBool(d.NodeToNodeEncryptionOptions.Enabled)
}

// terraformOf writes resources as a plan of Terraform that changes nothing.
func terraformOf(t *testing.T, list []*posture.Resource) object {
	var planned, changes []object
	add := func(typ, name string, values object) {
		address := typ + "." + name
		planned = append(planned, object{"address": address, "mode": "managed", "type": typ, "name": name, "provider_name": "registry.terraform.io/hashicorp/aws", "values": values})
		changes = append(changes, object{"address": address, "mode": "managed", "type": typ, "name": name, "provider_name": "registry.terraform.io/hashicorp/aws",
			"change": object{"actions": []string{"no-op"}, "before": values, "after": values, "after_unknown": object{}}})
	}
	apis := map[string]bool{}
	for _, r := range list {
		name := label(r.ID)
		switch doc := r.Doc.(type) {
		case *types.Stage:
			api := apiOf(r)
			if !apis[api] {
				apis[api] = true
				add("aws_api_gateway_rest_api", "api"+api, object{"id": api, "name": api})
			}
			add("aws_api_gateway_stage", name, object{"rest_api_id": api, "stage_name": doc.StageName, "xray_tracing_enabled": doc.TracingEnabled,
				"client_certificate_id": aws.ToString(doc.ClientCertificateId), "cache_cluster_enabled": doc.CacheClusterEnabled})
			n := 0
			for key, s := range doc.MethodSettings {
				n++
				add("aws_api_gateway_method_settings", fmt.Sprintf("%s_%d", name, n), object{"rest_api_id": api, "stage_name": doc.StageName, "method_path": key,
					"settings": []object{{"logging_level": aws.ToString(s.LoggingLevel), "caching_enabled": s.CachingEnabled, "cache_data_encrypted": s.CacheDataEncrypted}}})
			}
		case *types.DomainName:
			add("aws_api_gateway_domain_name", name, object{"domain_name": doc.DomainName, "security_policy": doc.SecurityPolicy, "endpoint_access_mode": doc.EndpointAccessMode,
				"endpoint_configuration": []object{{"types": doc.EndpointConfiguration.Types}}})
		case *opensearchtypes.DomainStatus:
			add("aws_opensearch_domain", name, object{"domain_name": doc.DomainName, "node_to_node_encryption": []object{{"enabled": nodeToNode(doc)}},
				"domain_endpoint_options": []object{{"enforce_https": doc.DomainEndpointOptions.EnforceHTTPS, "tls_security_policy": doc.DomainEndpointOptions.TLSSecurityPolicy}}})
		default:
			t.Fatalf("%T", doc)
		}
	}
	return object{"format_version": "1.2", "terraform_version": "1.9.0", "planned_values": object{"root_module": object{"resources": planned}}, "resource_changes": changes}
}

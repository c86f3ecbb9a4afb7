package asff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acm "github.com/aws/aws-sdk-go-v2/service/acm/types"
	apigateway "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	opensearch "github.com/aws/aws-sdk-go-v2/service/opensearch/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// details are those of the resource's type, where the format has one, and the
// evidence, which it has no other place for.
func details(f *posture.Finding, r *posture.Resource) *types.ResourceDetails {
	d := &types.ResourceDetails{Other: evidence(f)}
	if r == nil && d.Other == nil {
		return nil
	}
	if r != nil {
		switch doc := r.Doc.(type) {
		case *apigateway.Stage:
			if doc != nil {
				d.AwsApiGatewayStage = stage(doc)
			}
		case *apigatewayv2.Stage:
			if doc != nil {
				d.AwsApiGatewayV2Stage = stageV2(doc)
			}
		case *acm.CertificateDetail:
			if doc != nil {
				d.AwsCertificateManagerCertificate = certificate(doc)
			}
		case *opensearch.DomainStatus:
			if doc != nil {
				d.AwsOpenSearchServiceDomain = searchDomain(doc)
			}
		}
	}
	return d
}

// evidence is what a finding rests on: members by their path, and what was seen
// on the wire.
func evidence(f *posture.Finding) map[string]string {
	if len(f.Evidence) == 0 {
		return nil
	}
	m := make(map[string]string, len(f.Evidence))
	seen := 0
	for i := range f.Evidence {
		e := &f.Evidence[i]
		if e.Kind == posture.Configuration {
			m[cmp.Or(e.Member, "document")] = clip(cmp.Or(e.Value, "(not set)"), maxField)
			continue
		}
		at := fmt.Sprintf("evidence:%d/", seen)
		seen++
		set := func(name, value string) {
			if value != "" {
				m[at+name] = clip(value, maxTranscript)
			}
		}
		set("kind", e.Kind)
		set("target", e.Target)
		set("result", e.Value)
		set("transcript", strings.Join(e.Transcript, "\n"))
		if e.Time != nil {
			set("time", *Time(*e.Time))
		}
		if e.Contradicts {
			set("contradicts", "true")
		}
	}
	return m
}

func when(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return Time(*t)
}

// named is an enum's value, nil when it is not set.
func named[T ~string](v T) *string {
	if v == "" {
		return nil
	}
	return aws.String(string(v))
}

func stage(s *apigateway.Stage) *types.AwsApiGatewayStageDetails {
	d := &types.AwsApiGatewayStageDetails{
		CacheClusterEnabled: &s.CacheClusterEnabled, CacheClusterSize: named(s.CacheClusterSize), CacheClusterStatus: named(s.CacheClusterStatus),
		ClientCertificateId: s.ClientCertificateId, CreatedDate: when(s.CreatedDate), DeploymentId: s.DeploymentId, Description: s.Description,
		DocumentationVersion: s.DocumentationVersion, LastUpdatedDate: when(s.LastUpdatedDate), StageName: s.StageName,
		TracingEnabled: &s.TracingEnabled, Variables: s.Variables, WebAclArn: s.WebAclArn,
	}
	if l := s.AccessLogSettings; l != nil {
		d.AccessLogSettings = &types.AwsApiGatewayAccessLogSettings{DestinationArn: l.DestinationArn, Format: l.Format}
	}
	if c := s.CanarySettings; c != nil {
		d.CanarySettings = &types.AwsApiGatewayCanarySettings{DeploymentId: c.DeploymentId, PercentTraffic: &c.PercentTraffic,
			StageVariableOverrides: c.StageVariableOverrides, UseStageCache: &c.UseStageCache}
	}
	for _, key := range slices.Sorted(maps.Keys(s.MethodSettings)) {
		m := s.MethodSettings[key]
		path, method := methodOf(key)
		d.MethodSettings = append(d.MethodSettings, types.AwsApiGatewayMethodSettings{
			ResourcePath: &path, HttpMethod: &method,
			CacheDataEncrypted: &m.CacheDataEncrypted, CacheTtlInSeconds: &m.CacheTtlInSeconds, CachingEnabled: &m.CachingEnabled,
			DataTraceEnabled: &m.DataTraceEnabled, LoggingLevel: m.LoggingLevel, MetricsEnabled: &m.MetricsEnabled,
			RequireAuthorizationForCacheControl: &m.RequireAuthorizationForCacheControl,
			ThrottlingBurstLimit:                &m.ThrottlingBurstLimit, ThrottlingRateLimit: &m.ThrottlingRateLimit,
			UnauthorizedCacheControlHeaderStrategy: named(m.UnauthorizedCacheControlHeaderStrategy),
		})
	}
	return d
}

// methodOf splits the key of a method's setting, */* or ~1pets/GET, into what
// the format has two members for: /* and *, /pets and GET.
func methodOf(key string) (path, method string) {
	at := strings.LastIndexByte(key, '/')
	if at < 0 {
		return key, "*"
	}
	path = strings.ReplaceAll(strings.ReplaceAll(key[:at], "~1", "/"), "~0", "~")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path, key[at+1:]
}

func routeSettings(s *apigatewayv2.RouteSettings) *types.AwsApiGatewayV2RouteSettings {
	if s == nil {
		return nil
	}
	return &types.AwsApiGatewayV2RouteSettings{DataTraceEnabled: s.DataTraceEnabled, DetailedMetricsEnabled: s.DetailedMetricsEnabled,
		LoggingLevel: named(s.LoggingLevel), ThrottlingBurstLimit: s.ThrottlingBurstLimit, ThrottlingRateLimit: s.ThrottlingRateLimit}
}

// stageV2 leaves the settings of single routes out: the format has a place for
// one without its name.
func stageV2(s *apigatewayv2.Stage) *types.AwsApiGatewayV2StageDetails {
	d := &types.AwsApiGatewayV2StageDetails{
		ApiGatewayManaged: s.ApiGatewayManaged, AutoDeploy: s.AutoDeploy, ClientCertificateId: s.ClientCertificateId, CreatedDate: when(s.CreatedDate),
		DefaultRouteSettings: routeSettings(s.DefaultRouteSettings), DeploymentId: s.DeploymentId, Description: s.Description,
		LastDeploymentStatusMessage: s.LastDeploymentStatusMessage, LastUpdatedDate: when(s.LastUpdatedDate), StageName: s.StageName, StageVariables: s.StageVariables,
	}
	if l := s.AccessLogSettings; l != nil {
		d.AccessLogSettings = &types.AwsApiGatewayAccessLogSettings{DestinationArn: l.DestinationArn, Format: l.Format}
	}
	return d
}

func certificate(c *acm.CertificateDetail) *types.AwsCertificateManagerCertificateDetails {
	d := &types.AwsCertificateManagerCertificateDetails{
		CertificateAuthorityArn: c.CertificateAuthorityArn, CreatedAt: when(c.CreatedAt), DomainName: c.DomainName, FailureReason: named(c.FailureReason),
		ImportedAt: when(c.ImportedAt), InUseBy: c.InUseBy, IssuedAt: when(c.IssuedAt), Issuer: c.Issuer, KeyAlgorithm: named(c.KeyAlgorithm),
		NotAfter: when(c.NotAfter), NotBefore: when(c.NotBefore), RenewalEligibility: named(c.RenewalEligibility), Serial: c.Serial,
		SignatureAlgorithm: c.SignatureAlgorithm, Status: named(c.Status), Subject: c.Subject, SubjectAlternativeNames: c.SubjectAlternativeNames, Type: named(c.Type),
	}
	for _, u := range c.KeyUsages {
		d.KeyUsages = append(d.KeyUsages, types.AwsCertificateManagerCertificateKeyUsage{Name: named(u.Name)})
	}
	for _, u := range c.ExtendedKeyUsages {
		d.ExtendedKeyUsages = append(d.ExtendedKeyUsages, types.AwsCertificateManagerCertificateExtendedKeyUsage{Name: named(u.Name), OId: u.OID})
	}
	for _, v := range c.DomainValidationOptions {
		d.DomainValidationOptions = append(d.DomainValidationOptions, types.AwsCertificateManagerCertificateDomainValidationOption{
			DomainName: v.DomainName, ValidationDomain: v.ValidationDomain, ValidationEmails: v.ValidationEmails,
			ValidationMethod: named(v.ValidationMethod), ValidationStatus: named(v.ValidationStatus)})
	}
	return d
}

func searchDomain(s *opensearch.DomainStatus) *types.AwsOpenSearchServiceDomainDetails {
	d := &types.AwsOpenSearchServiceDomainDetails{
		AccessPolicies: s.AccessPolicies, Arn: s.ARN, DomainEndpoint: s.Endpoint, DomainEndpoints: s.Endpoints, DomainName: s.DomainName,
		EngineVersion: s.EngineVersion, Id: s.DomainId,
	}
	if o := s.DomainEndpointOptions; o != nil {
		d.DomainEndpointOptions = &types.AwsOpenSearchServiceDomainDomainEndpointOptionsDetails{CustomEndpoint: o.CustomEndpoint,
			CustomEndpointCertificateArn: o.CustomEndpointCertificateArn, CustomEndpointEnabled: o.CustomEndpointEnabled,
			EnforceHTTPS: o.EnforceHTTPS, TLSSecurityPolicy: named(o.TLSSecurityPolicy)}
	}
	if o := s.EncryptionAtRestOptions; o != nil {
		d.EncryptionAtRestOptions = &types.AwsOpenSearchServiceDomainEncryptionAtRestOptionsDetails{Enabled: o.Enabled, KmsKeyId: o.KmsKeyId}
	}
	if o := s.NodeToNodeEncryptionOptions; o != nil {
		d.NodeToNodeEncryptionOptions = &types.AwsOpenSearchServiceDomainNodeToNodeEncryptionOptionsDetails{Enabled: o.Enabled}
	}
	if o := s.VPCOptions; o != nil {
		d.VpcOptions = &types.AwsOpenSearchServiceDomainVpcOptionsDetails{SecurityGroupIds: o.SecurityGroupIds, SubnetIds: o.SubnetIds}
	}
	return d
}

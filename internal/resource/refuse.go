package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// Quotas of one API. Source: API Gateway quotas, REST.
const (
	MaxResources = 300
	MaxStages    = 10
)

// Under refuses to add to a set of have members when the quota is reached.
func Under(quota, have int, what string) error {
	if have < quota {
		return nil
	}
	return Errorf(LimitExceeded, "Maximum number of %s for this API has been reached. The limit is %d.", what, quota)
}

// DeletableDeployment refuses while a stage, or a stage's canary, points to
// deployment id. Source of the text: AWS, observed.
func DeletableDeployment(id string, stages []types.Stage) error {
	for _, s := range stages {
		if aws.ToString(s.DeploymentId) == id || s.CanarySettings != nil && aws.ToString(s.CanarySettings.DeploymentId) == id {
			return Errorf(BadRequest, "Active stages pointing to this deployment must be moved or deleted")
		}
	}
	return nil
}

// DeletableRestAPI refuses while base path mappings, by domain name, lead to
// the API. Source of the text: AWS, observed.
func DeletableRestAPI(id string, mappings map[string][]types.BasePathMapping) error {
	if names := mapped(mappings, func(m types.BasePathMapping) bool { return aws.ToString(m.RestApiId) == id }); names != "" {
		return Errorf(BadRequest, "Deleting RestApi %s failed. Please remove all base path mappings related to the RestApi in your domains: %s", id, names)
	}
	return nil
}

// DeletableStage refuses while base path mappings, by domain name, lead to the
// stage. Source of the text: AWS, observed.
func DeletableStage(api, stage string, mappings map[string][]types.BasePathMapping) error {
	if names := mapped(mappings, func(m types.BasePathMapping) bool {
		return aws.ToString(m.RestApiId) == api && aws.ToString(m.Stage) == stage
	}); names != "" {
		return Errorf(BadRequest, "Deleting stage %s failed. Please remove all base path mappings related to the stage in your domains: %s", stage, names)
	}
	return nil
}

func mapped(mappings map[string][]types.BasePathMapping, match func(types.BasePathMapping) bool) string {
	var names []string
	for name, list := range mappings {
		if slices.ContainsFunc(list, match) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// MappableTo refuses to map an API to a domain name of the other kind: private
// APIs are reached by private domain names only, and those reach nothing else.
// Source: developer guide, custom domain names for private APIs; own texts.
func MappableTo(d types.DomainName, api types.RestApi) error {
	private := isPrivate(d.EndpointConfiguration)
	switch {
	case private && !isPrivate(api.EndpointConfiguration):
		return Errorf(BadRequest, "Only private APIs can be mapped to the private domain name %s", aws.ToString(d.DomainName))
	case !private && isPrivate(api.EndpointConfiguration):
		return Errorf(BadRequest, "The private API %s can only be mapped to a private domain name", aws.ToString(api.Id))
	}
	return nil
}

// ChangesPrivacy reports whether an update makes a private API public, or a
// public one private: base path mappings to it would then be of the wrong kind.
func ChangesPrivacy(before, after types.RestApi) bool {
	return isPrivate(before.EndpointConfiguration) != isPrivate(after.EndpointConfiguration)
}

// Unmapped refuses to change the privacy of an API that base path mappings, by
// domain name, lead to. Own text.
func Unmapped(id string, mappings map[string][]types.BasePathMapping) error {
	if names := mapped(mappings, func(m types.BasePathMapping) bool { return aws.ToString(m.RestApiId) == id }); names != "" {
		return Errorf(BadRequest, "The endpoint type of API %s cannot change to or from PRIVATE while base path mappings lead to it. Remove those of your domains: %s", id, names)
	}
	return nil
}

func isPrivate(e *types.EndpointConfiguration) bool {
	return e != nil && slices.Contains(e.Types, types.EndpointTypePrivate)
}

// DeletableCertificate refuses while domain names or stages use the certificate
// of arn.
// Source of the text: ACM, observed in its pattern; own words.
func DeletableCertificate(arn, account string, users []string) error {
	if len(users) == 0 {
		return nil
	}
	return Errorf(InUse, "Certificate %s in account %s is in use by %s.", arn, account, strings.Join(users, ", "))
}

// ServesDomain refuses a certificate that could not serve name at now: one that
// is not valid at that time, or whose names do not cover it. A nil certificate
// is one that does not exist.
func ServesDomain(cert *acmtypes.CertificateDetail, name string, now time.Time) error {
	switch {
	case cert == nil:
		return Errorf(BadRequest, "The provided certificate does not exist.")
	case cert.NotAfter != nil && !now.Before(*cert.NotAfter):
		return Errorf(BadRequest, "The provided certificate expired at %s.", cert.NotAfter.UTC().Format(time.RFC3339))
	case cert.NotBefore != nil && now.Before(*cert.NotBefore):
		return Errorf(BadRequest, "The provided certificate is not valid before %s.", cert.NotBefore.UTC().Format(time.RFC3339))
	case !slices.ContainsFunc(cert.SubjectAlternativeNames, func(san string) bool { return covers(san, name) }):
		return Errorf(BadRequest, "The provided certificate does not cover the domain name %s.", name)
	}
	return nil
}

// covers reports whether the certificate name san stands for name: the same
// name, or a wildcard in place of its first label. A wildcard domain name needs
// the same wildcard.
func covers(san, name string) bool {
	san, name = strings.ToLower(san), strings.ToLower(name)
	if san == name {
		return true
	}
	suffix, ok := strings.CutPrefix(san, "*.")
	if !ok {
		return false
	}
	label, rest, ok := strings.Cut(name, ".")
	return ok && label != "" && label != "*" && rest == suffix
}

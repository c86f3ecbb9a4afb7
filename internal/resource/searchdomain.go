package resource

import (
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/tlspolicy"
)

// SearchHistory is when a search domain's configuration was made and changed,
// which its own document does not say.
type SearchHistory struct {
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	Version int32     `json:"version"` // of the configuration, from 1
}

// Patterns of search domains. Source: OpenSearch Service API reference.
var (
	searchName    = regexp.MustCompile(`^[a-z][a-z0-9-]{2,27}$`)
	searchVersion = regexp.MustCompile(`^(OpenSearch|Elasticsearch)_[0-9]{1,2}\.[0-9]{1,2}$`)
	searchTag     = regexp.MustCompile(`^arn:aws[a-z-]*:es:[a-z0-9-]+:[0-9]*:domain/([a-z][a-z0-9-]{2,27})$`)
)

// Defaults of a new search domain. Source: AWS, observed in September 2025; the
// engine's version is this program's choice.
const (
	searchPolicy = types.TLSSecurityPolicyPolicyMinTls12201907
	searchEngine = "OpenSearch_2.19"
)

// SearchDomainARN is the ARN of a search domain.
func SearchDomainARN(at Place, name string) string {
	return "arn:aws:es:" + at.Region + ":" + at.Account + ":domain/" + name
}

// ParseSearchDomainARN returns the name of the search domain that an ARN names.
func ParseSearchDomainARN(arn string) (string, error) {
	m := searchTag.FindStringSubmatch(arn)
	if m == nil {
		return "", Errorf(Validation, "Invalid ARN. ARN is not well formed %s", arn)
	}
	return m[1], nil
}

// SearchZone is what the endpoint names of search domains end in, under one
// domain suffix.
func SearchZone(region, suffix string) string { return region + ".es." + suffix }

// NewSearchDomain makes a search domain. id is 26 random characters of a-z and
// 0-9, part of its endpoint's name.
func NewSearchDomain(in *opensearch.CreateDomainInput, at Place, id string) (types.DomainStatus, error) {
	name := aws.ToString(in.DomainName)
	if !searchName.MatchString(name) {
		return types.DomainStatus{}, Errorf(Validation, "1 validation error detected: Value '%s' at 'domainName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z][a-z0-9\\-]+ and have length between 3 and 28", name)
	}
	engine := aws.ToString(in.EngineVersion)
	if engine == "" {
		engine = searchEngine
	}
	if !searchVersion.MatchString(engine) {
		return types.DomainStatus{}, Errorf(Validation, "Invalid engine version: %s", engine)
	}
	d := types.DomainStatus{
		ARN: aws.String(SearchDomainARN(at, name)), DomainId: aws.String(at.Account + "/" + name), DomainName: aws.String(name),
		Created: aws.Bool(true), Deleted: aws.Bool(false), Processing: aws.Bool(false), UpgradeProcessing: aws.Bool(false),
		DomainProcessingStatus: types.DomainProcessingStatusTypeActive, EngineVersion: aws.String(engine),
		Endpoint: aws.String("search-" + name + "-" + id + "." + SearchZone(at.Region, at.Suffix)),
		ClusterConfig: &types.ClusterConfig{InstanceCount: aws.Int32(1), InstanceType: types.OpenSearchPartitionInstanceTypeR5LargeSearch,
			DedicatedMasterEnabled: aws.Bool(false), ZoneAwarenessEnabled: aws.Bool(false), WarmEnabled: aws.Bool(false)},
		// AWS always answers with these; Terraform's provider breaks without the first.
		CognitoOptions:              &types.CognitoOptions{Enabled: aws.Bool(false)},
		AdvancedSecurityOptions:     &types.AdvancedSecurityOptions{Enabled: aws.Bool(false), InternalUserDatabaseEnabled: aws.Bool(false)},
		SnapshotOptions:             &types.SnapshotOptions{AutomatedSnapshotStartHour: aws.Int32(0)},
		SoftwareUpdateOptions:       &types.SoftwareUpdateOptions{AutoSoftwareUpdateEnabled: aws.Bool(false)},
		IPAddressType:               types.IPAddressTypeIpv4,
		EncryptionAtRestOptions:     &types.EncryptionAtRestOptions{Enabled: aws.Bool(false)},
		NodeToNodeEncryptionOptions: &types.NodeToNodeEncryptionOptions{Enabled: aws.Bool(false)},
		DomainEndpointOptions: &types.DomainEndpointOptions{EnforceHTTPS: aws.Bool(false), TLSSecurityPolicy: searchPolicy,
			CustomEndpointEnabled: aws.Bool(false)},
	}
	change := new(opensearch.UpdateDomainConfigInput)
	awsapi.Convert(change, in)
	after, err := UpdateSearchDomain(d, change)
	if err != nil {
		return d, err
	}
	if in.VPCOptions != nil { // then clients are told of the endpoint in another member
		after.Endpoints, after.Endpoint = map[string]string{"vpc": *after.Endpoint}, nil
	}
	return after, nil
}

// UpdateSearchDomain is a search domain with what a call gives: whole options,
// but for the endpoint's, of which members that are left out stay.
func UpdateSearchDomain(old types.DomainStatus, in *opensearch.UpdateDomainConfigInput) (types.DomainStatus, error) {
	d := clone(old)
	set(&d.AccessPolicies, in.AccessPolicies)
	set(&d.CognitoOptions, in.CognitoOptions)
	set(&d.ClusterConfig, in.ClusterConfig)
	set(&d.EBSOptions, in.EBSOptions)
	set(&d.EncryptionAtRestOptions, in.EncryptionAtRestOptions)
	set(&d.NodeToNodeEncryptionOptions, in.NodeToNodeEncryptionOptions)
	set(&d.OffPeakWindowOptions, in.OffPeakWindowOptions)
	set(&d.SnapshotOptions, in.SnapshotOptions)
	set(&d.SoftwareUpdateOptions, in.SoftwareUpdateOptions)
	if in.AdvancedOptions != nil {
		d.AdvancedOptions = clone(in.AdvancedOptions)
	}
	if in.LogPublishingOptions != nil {
		d.LogPublishingOptions = clone(in.LogPublishingOptions)
	}
	if in.IPAddressType != "" {
		d.IPAddressType = in.IPAddressType
	}
	if v := in.VPCOptions; v != nil {
		d.VPCOptions = &types.VPCDerivedInfo{SubnetIds: clone(v.SubnetIds), SecurityGroupIds: clone(v.SecurityGroupIds)}
	}
	if a := in.AdvancedSecurityOptions; a != nil { // without the master user's password, which nothing here needs
		d.AdvancedSecurityOptions = &types.AdvancedSecurityOptions{Enabled: a.Enabled, InternalUserDatabaseEnabled: a.InternalUserDatabaseEnabled, AnonymousAuthEnabled: a.AnonymousAuthEnabled}
	}
	if o := in.DomainEndpointOptions; o != nil {
		next := types.DomainEndpointOptions{}
		if d.DomainEndpointOptions != nil {
			next = *d.DomainEndpointOptions
		}
		set(&next.EnforceHTTPS, o.EnforceHTTPS)
		set(&next.CustomEndpointEnabled, o.CustomEndpointEnabled)
		set(&next.CustomEndpoint, o.CustomEndpoint)
		set(&next.CustomEndpointCertificateArn, o.CustomEndpointCertificateArn)
		if o.TLSSecurityPolicy != "" {
			next.TLSSecurityPolicy = o.TLSSecurityPolicy
		}
		d.DomainEndpointOptions = &next
	}
	return d, checkSearchDomain(d)
}

// set replaces what a call gives.
func set[T any](to **T, from *T) {
	if from != nil {
		v := clone(*from)
		*to = &v
	}
}

func checkSearchDomain(d types.DomainStatus) error {
	o := d.DomainEndpointOptions
	if _, ok := tlspolicy.LookupSearch(string(o.TLSSecurityPolicy)); !ok {
		return Errorf(Validation, "1 validation error detected: Value '%s' at 'domainEndpointOptions.tLSSecurityPolicy' failed to satisfy constraint: Member must satisfy enum value set: [%s]",
			o.TLSSecurityPolicy, join(o.TLSSecurityPolicy.Values()))
	}
	if !aws.ToBool(o.CustomEndpointEnabled) {
		return nil
	}
	host := aws.ToString(o.CustomEndpoint)
	switch {
	case host == "" || aws.ToString(o.CustomEndpointCertificateArn) == "":
		return Errorf(Validation, "A custom endpoint needs CustomEndpoint and CustomEndpointCertificateArn.")
	case !searchHost.MatchString(host):
		return Errorf(Validation, "Invalid custom endpoint: %s", host)
	}
	return nil
}

var searchHost = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$`)

// SearchEndpoint is the name under which a search domain is reached, but for a
// custom one.
func SearchEndpoint(d types.DomainStatus) string {
	if d.Endpoint != nil {
		return *d.Endpoint
	}
	return d.Endpoints["vpc"]
}

// SearchCustomEndpoint is a search domain's own name with its certificate's ARN;
// "" when it has none.
func SearchCustomEndpoint(d types.DomainStatus) (host, certificate string) {
	o := d.DomainEndpointOptions
	if o == nil || !aws.ToBool(o.CustomEndpointEnabled) {
		return "", ""
	}
	return strings.ToLower(aws.ToString(o.CustomEndpoint)), aws.ToString(o.CustomEndpointCertificateArn)
}

// SearchDomainConfig is a search domain as DescribeDomainConfig shows it: each
// group of options with its status.
func SearchDomainConfig(d types.DomainStatus, h SearchHistory) *types.DomainConfig {
	status := func() *types.OptionStatus {
		return &types.OptionStatus{CreationDate: aws.Time(h.Created), UpdateDate: aws.Time(h.Updated), UpdateVersion: h.Version, State: types.OptionStateActive, PendingDeletion: aws.Bool(false)}
	}
	c := &types.DomainConfig{
		AccessPolicies:              &types.AccessPoliciesStatus{Options: aws.String(aws.ToString(d.AccessPolicies)), Status: status()},
		AdvancedOptions:             &types.AdvancedOptionsStatus{Options: d.AdvancedOptions, Status: status()},
		ClusterConfig:               &types.ClusterConfigStatus{Options: d.ClusterConfig, Status: status()},
		DomainEndpointOptions:       &types.DomainEndpointOptionsStatus{Options: d.DomainEndpointOptions, Status: status()},
		EncryptionAtRestOptions:     &types.EncryptionAtRestOptionsStatus{Options: d.EncryptionAtRestOptions, Status: status()},
		EngineVersion:               &types.VersionStatus{Options: d.EngineVersion, Status: status()},
		NodeToNodeEncryptionOptions: &types.NodeToNodeEncryptionOptionsStatus{Options: d.NodeToNodeEncryptionOptions, Status: status()},
	}
	if c.AdvancedOptions.Options == nil {
		c.AdvancedOptions.Options = map[string]string{}
	}
	if d.AdvancedSecurityOptions != nil {
		c.AdvancedSecurityOptions = &types.AdvancedSecurityOptionsStatus{Options: d.AdvancedSecurityOptions, Status: status()}
	}
	if d.CognitoOptions != nil {
		c.CognitoOptions = &types.CognitoOptionsStatus{Options: d.CognitoOptions, Status: status()}
	}
	if d.EBSOptions != nil {
		c.EBSOptions = &types.EBSOptionsStatus{Options: d.EBSOptions, Status: status()}
	}
	if d.IPAddressType != "" {
		c.IPAddressType = &types.IPAddressTypeStatus{Options: d.IPAddressType, Status: status()}
	}
	if d.LogPublishingOptions != nil {
		c.LogPublishingOptions = &types.LogPublishingOptionsStatus{Options: d.LogPublishingOptions, Status: status()}
	}
	if d.OffPeakWindowOptions != nil {
		c.OffPeakWindowOptions = &types.OffPeakWindowOptionsStatus{Options: d.OffPeakWindowOptions, Status: status()}
	}
	if d.SnapshotOptions != nil {
		c.SnapshotOptions = &types.SnapshotOptionsStatus{Options: d.SnapshotOptions, Status: status()}
	}
	if d.SoftwareUpdateOptions != nil {
		c.SoftwareUpdateOptions = &types.SoftwareUpdateOptionsStatus{Options: d.SoftwareUpdateOptions, Status: status()}
	}
	if d.VPCOptions != nil {
		c.VPCOptions = &types.VPCDerivedInfoStatus{Options: d.VPCOptions, Status: status()}
	}
	return c
}

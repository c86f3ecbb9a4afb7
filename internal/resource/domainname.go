package resource

import (
	"crypto/sha256"
	"encoding/base32"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// edgeHostedZone is CloudFront's hosted zone, the same for all distributions.
// Source: AWS general reference, CloudFront endpoints.
const edgeHostedZone = "Z2FDTNDATAQYW2"

// label derives a name that AWS would draw at random, of n lower-case letters
// and digits. It follows from its parts, so that the same domain name has the
// same target however often it is made.
func label(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:n]
}

// placeDomain fills in what a domain name has by its endpoint types: where its
// DNS records point, and the ids of a private one. Hosted zones of regional
// endpoints have the form of AWS's and stand for no zone that exists.
func placeDomain(d *types.DomainName, at Place) {
	name := aws.ToString(d.DomainName)
	d.RegionalDomainName, d.RegionalHostedZoneId = nil, nil
	d.DistributionDomainName, d.DistributionHostedZoneId = nil, nil
	d.DomainNameArn, d.DomainNameId = nil, nil
	for _, t := range d.EndpointConfiguration.Types {
		switch t {
		case types.EndpointTypeRegional:
			d.RegionalDomainName = aws.String("d-" + label(10, "regional", name) + ".execute-api." + at.Region + "." + at.Suffix)
			d.RegionalHostedZoneId = aws.String("Z" + strings.ToUpper(label(13, "zone", at.Region)))
		case types.EndpointTypeEdge:
			d.DistributionDomainName = aws.String("d" + label(13, "edge", name) + ".cloudfront.net")
			d.DistributionHostedZoneId = aws.String(edgeHostedZone)
		case types.EndpointTypePrivate:
			id := label(10, "private", name)
			d.DomainNameId = aws.String(id)
			d.DomainNameArn = aws.String("arn:aws:apigateway:" + at.Region + ":" + at.Account + ":/domainnames/" + name + "+" + id)
		}
	}
}

// NewDomainName makes a custom domain name. Without an endpoint configuration
// it is REGIONAL when only a regional certificate is given, else EDGE. Whether
// the certificates exist and cover the name is for the caller:
// DomainCertificates.
func NewDomainName(in *apigateway.CreateDomainNameInput, at Place, now time.Time) (types.DomainName, error) {
	byDefault := types.EndpointTypeEdge
	if aws.ToString(in.RegionalCertificateArn) != "" && aws.ToString(in.CertificateArn) == "" {
		byDefault = types.EndpointTypeRegional
	}
	d := types.DomainName{
		CertificateArn:                      given(in.CertificateArn),
		CertificateName:                     given(in.CertificateName),
		DomainName:                          clone(in.DomainName),
		DomainNameStatus:                    types.DomainNameStatusAvailable,
		EndpointAccessMode:                  in.EndpointAccessMode,
		EndpointConfiguration:               endpointOf(in.EndpointConfiguration, byDefault),
		OwnershipVerificationCertificateArn: given(in.OwnershipVerificationCertificateArn),
		Policy:                              given(in.Policy),
		RegionalCertificateArn:              given(in.RegionalCertificateArn),
		RegionalCertificateName:             given(in.RegionalCertificateName),
		RoutingMode:                         in.RoutingMode,
		SecurityPolicy:                      in.SecurityPolicy,
		Tags:                                clone(in.Tags),
	}
	if d.SecurityPolicy == "" {
		d.SecurityPolicy = defaultPolicy(aDomain, d.EndpointConfiguration.Types[0])
	}
	if d.RoutingMode == "" {
		d.RoutingMode = types.RoutingModeBasePathMappingOnly
	}
	if m := in.MutualTlsAuthentication; m != nil && (m.TruststoreUri != nil || m.TruststoreVersion != nil) {
		d.MutualTlsAuthentication = &types.MutualTlsAuthentication{TruststoreUri: given(m.TruststoreUri), TruststoreVersion: given(m.TruststoreVersion)}
	}
	if d.CertificateArn != nil {
		d.CertificateUploadDate = aws.Time(now)
	}

	var p problems
	if in.DomainName == nil {
		p.missing("domainName")
	}
	enum(&p, in.SecurityPolicy, "securityPolicy", in.SecurityPolicy.Values())
	enum(&p, in.EndpointAccessMode, "endpointAccessMode", in.EndpointAccessMode.Values())
	enum(&p, in.RoutingMode, "routingMode", in.RoutingMode.Values())
	if in.CertificateBody != nil || in.CertificatePrivateKey != nil || in.CertificateChain != nil {
		p.addf("certificateBody, certificatePrivateKey and certificateChain are not supported: import the certificate into ACM and send its ARN")
	}
	if p.checkEndpoint(aDomain, d.EndpointConfiguration) {
		p.checkDomain(d)
		p.checkTLS(aDomain, gateOfDomain(d))
	}
	if err := p.err(); err != nil {
		return types.DomainName{}, err
	}
	placeDomain(&d, at)
	return d, nil
}

// domainLabel is one label of a custom domain name. Source: RFC 1035, and the
// underscore that ACM takes.
var domainLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// validDomainName takes lower-case names of at least two labels; the first may
// be a wildcard. Numbers in place of a name are an address, not a name.
func validDomainName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	for _, l := range labels {
		if !domainLabel.MatchString(l) {
			return false
		}
	}
	return len(labels) > 1 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// checkDomain judges all but the first gate.
func (p *problems) checkDomain(d types.DomainName) {
	if n := aws.ToString(d.DomainName); !validDomainName(n) {
		p.addf("Invalid domain name specified: '%s'. It must be lower-case labels with dots between them; the first may be *", n)
	}
	has := func(t types.EndpointType) bool { return slices.Contains(d.EndpointConfiguration.Types, t) }
	if has(types.EndpointTypeRegional) && d.RegionalCertificateArn == nil {
		p.addf("regionalCertificateArn is required for the endpoint type REGIONAL")
	}
	if has(types.EndpointTypeEdge) && d.CertificateArn == nil {
		p.addf("certificateArn is required for the endpoint type EDGE")
	}
	if has(types.EndpointTypePrivate) && d.CertificateArn == nil {
		p.addf("certificateArn is required for the endpoint type PRIVATE")
	}
	for _, arn := range []*string{d.CertificateArn, d.RegionalCertificateArn, d.OwnershipVerificationCertificateArn} {
		if arn == nil {
			continue
		}
		if kind, _, err := ParseTagARN(*arn); err != nil || kind != TagCertificate {
			p.take(malformedARN(*arn))
		}
	}
	if !has(types.EndpointTypePrivate) {
		if d.Policy != nil {
			p.addf("policy is only supported for private custom domain names")
		}
		if d.ManagementPolicy != nil {
			p.addf("managementPolicy is only supported for private custom domain names")
		}
	}
	p.policy(d.Policy)
	if m := d.MutualTlsAuthentication; m != nil {
		// Source: developer guide, Mutual TLS for REST APIs.
		if !strings.HasPrefix(aws.ToString(m.TruststoreUri), "s3://") || strings.Count(aws.ToString(m.TruststoreUri), "/") < 3 {
			p.addf("mutualTlsAuthentication.truststoreUri must be s3://BUCKET/KEY")
		}
		if !has(types.EndpointTypeRegional) || len(d.EndpointConfiguration.Types) > 1 {
			p.addf("Mutual TLS is only supported for the endpoint type REGIONAL")
		}
	}
	p.tags(d.Tags)
}

var domainNamePaths = table[types.DomainName]{rows: []row[types.DomainName]{
	{"/certificateArn", add | replace | remove, text(func(d *types.DomainName) **string { return &d.CertificateArn })},
	{"/certificateName", add | replace | remove, text(func(d *types.DomainName) **string { return &d.CertificateName })},
	{"/regionalCertificateArn", add | replace | remove, text(func(d *types.DomainName) **string { return &d.RegionalCertificateArn })},
	{"/regionalCertificateName", add | replace | remove, text(func(d *types.DomainName) **string { return &d.RegionalCertificateName })},
	{"/endpointConfiguration/types", add | remove, func(d *types.DomainName, e edit) error {
		types_ := stringsFrom(d.EndpointConfiguration.Types)
		if err := item(func(*types.DomainName) *[]string { return &types_ })(d, e); err != nil {
			return err
		}
		d.EndpointConfiguration.Types = typesFrom(types_)
		return nil
	}},
	{"/endpointConfiguration/types/{type}", replace, func(d *types.DomainName, e edit) error { // as Terraform sends it
		return moveEndpointType(d.EndpointConfiguration, e)
	}},
	{"/endpointConfiguration/ipAddressType", replace, setIPType(func(d *types.DomainName) *types.EndpointConfiguration { return d.EndpointConfiguration })},
	{"/endpointAccessMode", replace, setMode(func(d *types.DomainName) *types.EndpointAccessMode { return &d.EndpointAccessMode })},
	{"/securityPolicy", replace, setPolicy(func(d *types.DomainName) *types.SecurityPolicy { return &d.SecurityPolicy })},
	{"/mutualTlsAuthentication/truststoreUri", add | replace | remove, setTruststore(func(m *types.MutualTlsAuthentication) **string { return &m.TruststoreUri })},
	{"/mutualTlsAuthentication/truststoreVersion", add | replace | remove, setTruststore(func(m *types.MutualTlsAuthentication) **string { return &m.TruststoreVersion })},
	{"/ownershipVerificationCertificateArn", add | replace | remove, text(func(d *types.DomainName) **string { return &d.OwnershipVerificationCertificateArn })},
	{"/routingMode", replace, choice(func(d *types.DomainName) *types.RoutingMode { return &d.RoutingMode })},
	{"/policy", replace, text(func(d *types.DomainName) **string { return &d.Policy })},
	{"/managementPolicy", replace, text(func(d *types.DomainName) **string { return &d.ManagementPolicy })},
}}

func stringsFrom(list []types.EndpointType) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

func typesFrom(list []string) []types.EndpointType {
	out := make([]types.EndpointType, len(list))
	for i, t := range list {
		out[i] = types.EndpointType(t)
	}
	return out
}

// setTruststore: with neither URI nor version left, mutual TLS is off; the URI
// alone turns it off too.
func setTruststore(get func(*types.MutualTlsAuthentication) **string) setter[types.DomainName] {
	return func(d *types.DomainName, e edit) error {
		m := d.MutualTlsAuthentication
		if m == nil {
			m = &types.MutualTlsAuthentication{}
		}
		if err := text(get)(m, e); err != nil {
			return err
		}
		d.MutualTlsAuthentication = m
		if m.TruststoreUri == nil && (m.TruststoreVersion == nil || strings.HasSuffix(e.path, "/truststoreUri")) {
			d.MutualTlsAuthentication = nil
		}
		return nil
	}
}

// paired are paths of a domain name that one request may not both add and
// remove. Source: API reference, Patch Operations.
var paired = []string{"/certificateArn", "/certificateName", "/regionalCertificateArn", "/regionalCertificateName", "/endpointConfiguration/types"}

// UpdateDomainName applies the operations and judges the state that they leave.
// While the name is UPDATING it takes none.
func UpdateDomainName(old types.DomainName, ops []types.PatchOperation, at Place, now time.Time) (types.DomainName, error) {
	if len(ops) == 0 {
		return old, nil
	}
	if old.DomainNameStatus == types.DomainNameStatusUpdating {
		return old, Errorf(BadRequest, "The domain name cannot be changed while its domainNameStatus is UPDATING. Try again when it is AVAILABLE")
	}
	base := clone(old)
	if base.EndpointConfiguration == nil {
		base.EndpointConfiguration = endpointOf(nil, types.EndpointTypeEdge)
	}
	d, err := domainNamePaths.patch(base, ops)
	if err != nil {
		return old, err
	}
	settleEndpoint(base.EndpointConfiguration, d.EndpointConfiguration, ops)

	var p problems
	for _, path := range paired {
		does := func(o types.Op) bool {
			return slices.ContainsFunc(ops, func(op types.PatchOperation) bool { return aws.ToString(op.Path) == path && op.Op == o })
		}
		if does(types.OpAdd) && does(types.OpRemove) {
			p.addf("Invalid patch path %s: add and remove cannot be used in one request", path)
		}
	}
	from, to := base.EndpointConfiguration.Types, d.EndpointConfiguration.Types
	if slices.Contains(from, types.EndpointTypePrivate) != slices.Contains(to, types.EndpointTypePrivate) {
		p.addf("The endpoint type of a domain name cannot change to or from PRIVATE. Create another domain name")
	} else if p.checkEndpoint(aDomain, d.EndpointConfiguration) {
		p.checkDomain(d)
		p.checkTLSChange(aDomain, gateOfDomain(base), gateOfDomain(d), ops)
	}
	if err := p.err(); err != nil {
		return old, err
	}
	if !slices.Equal(from, to) {
		placeDomain(&d, at)
	}
	if aws.ToString(d.CertificateArn) != aws.ToString(base.CertificateArn) {
		if d.CertificateUploadDate = aws.Time(now); d.CertificateArn == nil {
			d.CertificateUploadDate = nil
		}
	}
	return d, nil
}

// ServedCertificates are the ACM ARNs of the certificates that d presents: at its
// edge endpoint, and at its other one; "" where it has no such endpoint. A
// certificate kept for an endpoint type that is not active is presented nowhere,
// nor is the one that proves ownership.
func ServedCertificates(d types.DomainName) (edge, other string) {
	if d.EndpointConfiguration == nil {
		return "", ""
	}
	for _, t := range d.EndpointConfiguration.Types {
		switch t {
		case types.EndpointTypeEdge:
			edge = aws.ToString(d.CertificateArn)
		case types.EndpointTypeRegional:
			other = aws.ToString(d.RegionalCertificateArn)
		case types.EndpointTypePrivate:
			other = aws.ToString(d.CertificateArn)
		}
	}
	return edge, other
}

// DomainCertificates lists the ACM ARNs that d names, each once.
func DomainCertificates(d types.DomainName) []string {
	var list []string
	for _, arn := range []*string{d.CertificateArn, d.RegionalCertificateArn, d.OwnershipVerificationCertificateArn} {
		if arn != nil {
			include(&list, *arn)
		}
	}
	return list
}

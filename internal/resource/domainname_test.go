package resource

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

func TestNewDomainName(t *testing.T) {
	type in = apigateway.CreateDomainNameInput
	str := aws.String
	at := func(t ...types.EndpointType) *types.EndpointConfiguration {
		return &types.EndpointConfiguration{Types: t}
	}
	for _, tt := range []struct {
		name string
		in   in
		want string
		at   types.EndpointType // where it is, when it is made
	}{
		{"regional", in{RegionalCertificateArn: str(certA), EndpointConfiguration: at("REGIONAL")}, "", "REGIONAL"},
		{"edge", in{CertificateArn: str(certA), EndpointConfiguration: at("EDGE")}, "", "EDGE"},
		{"private", in{CertificateArn: str(certA), EndpointConfiguration: at("PRIVATE")}, "", "PRIVATE"},
		{"edge by default", in{CertificateArn: str(certA)}, "", "EDGE"},
		{"regional by its certificate", in{RegionalCertificateArn: str(certA)}, "", "REGIONAL"},
		{"no certificate", in{EndpointConfiguration: at("REGIONAL")}, "BadRequest: regionalCertificateArn is required for the endpoint type REGIONAL", ""},
		{"the other certificate", in{CertificateArn: str(certA), EndpointConfiguration: at("REGIONAL")}, "BadRequest: regionalCertificateArn is required for the endpoint type REGIONAL", ""},
		{"neither", in{}, "BadRequest: certificateArn is required for the endpoint type EDGE", ""},
		{"not a certificate", in{RegionalCertificateArn: str("arn:aws:s3:::x")}, "BadRequest: Invalid ARN. ARN is not well formed arn:aws:s3:::x", ""},
		{"private and another", in{CertificateArn: str(certA), EndpointConfiguration: at("PRIVATE", "EDGE")}, "BadRequest: Invalid EndpointTypes specified.…", ""},
		{"a certificate by value", in{CertificateArn: str(certA), CertificateBody: str("x")}, "BadRequest: certificateBody, certificatePrivateKey…", ""},
		{"policy of a public one", in{CertificateArn: str(certA), Policy: str(doc(`{"Effect":"Allow",` + everybody + `}`))}, "BadRequest: policy is only supported for private custom domain names", ""},
		{"broken policy of a private one", in{CertificateArn: str(certA), EndpointConfiguration: at("PRIVATE"), Policy: str(`{}`)}, "BadRequest: Invalid policy document.…", ""},
		{"mutual TLS", in{RegionalCertificateArn: str(certA), MutualTlsAuthentication: &types.MutualTlsAuthenticationInput{TruststoreUri: str("s3://b/k.pem")}}, "", "REGIONAL"},
		{"mutual TLS at the edge", in{CertificateArn: str(certA), MutualTlsAuthentication: &types.MutualTlsAuthenticationInput{TruststoreUri: str("s3://b/k.pem")}}, "BadRequest: Mutual TLS is only supported for the endpoint type REGIONAL", ""},
		{"truststore elsewhere", in{RegionalCertificateArn: str(certA), MutualTlsAuthentication: &types.MutualTlsAuthenticationInput{TruststoreUri: str("https://b/k.pem")}}, "BadRequest: mutualTlsAuthentication.truststoreUri must be s3://BUCKET/KEY", ""},
		{"dualstack", in{RegionalCertificateArn: str(certA), EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"REGIONAL"}, IpAddressType: "dualstack"}}, "", "REGIONAL"},
		{"ipv4 of a private one", in{CertificateArn: str(certA), EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{"PRIVATE"}, IpAddressType: "ipv4"}}, "BadRequest: Only dualstack ipAddressType is supported for private custom domain names.", ""},
		{"tags", in{RegionalCertificateArn: str(certA), Tags: map[string]string{"": ""}}, "BadRequest: tags: a key may not be empty", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.DomainName = str("api.example.com")
			d, err := NewDomainName(&tt.in, testPlace, testTime)
			checkErr(t, err, tt.want)
			if err != nil {
				return
			}
			regional := regexp.MustCompile(`^d-[a-z0-9]{10}\.execute-api\.us-east-1\.amazonaws\.com$`)
			edge := regexp.MustCompile(`^d[a-z0-9]{13}\.cloudfront\.net$`)
			for _, m := range []struct {
				what string
				have bool
				want bool
			}{
				{"regionalDomainName", regional.MatchString(aws.ToString(d.RegionalDomainName)), tt.at == "REGIONAL"},
				{"regionalHostedZoneId", strings.HasPrefix(aws.ToString(d.RegionalHostedZoneId), "Z"), tt.at == "REGIONAL"},
				{"distributionDomainName", edge.MatchString(aws.ToString(d.DistributionDomainName)), tt.at == "EDGE"},
				{"distributionHostedZoneId", aws.ToString(d.DistributionHostedZoneId) == "Z2FDTNDATAQYW2", tt.at == "EDGE"},
				{"domainNameId", d.DomainNameId != nil, tt.at == "PRIVATE"},
				{"domainNameArn", strings.HasPrefix(aws.ToString(d.DomainNameArn), "arn:aws:apigateway:us-east-1:000000000000:/domainnames/api.example.com+"), tt.at == "PRIVATE"},
				{"domainNameStatus", d.DomainNameStatus == "AVAILABLE", true},
				{"routingMode", d.RoutingMode == "BASE_PATH_MAPPING_ONLY", true},
				{"certificateUploadDate", d.CertificateUploadDate != nil, tt.at != "REGIONAL"},
			} {
				if m.have != m.want {
					t.Errorf("%s: %v, want %v in %+v", m.what, m.have, m.want, d)
				}
			}
		})
	}
	_, err := NewDomainName(&in{}, testPlace, testTime)
	checkErr(t, err, "Validation: 1 validation error detected: Value null at 'domainName'…")
}

func TestValidDomainName(t *testing.T) {
	for name, want := range map[string]bool{
		"api.example.com": true, "*.example.com": true, "a_b.example.com": true, "x.localhost": true, "xn--bcher-kva.example": true,
		"": false, "localhost": false, "API.example.com": false, "api.example.com.": false, ".example.com": false, "a..b": false, "-a.example.com": false,
		"*": false, "*.com": false, "a.*.com": false, "**.example.com": false, "127.0.0.1": false, "a b.example.com": false, "bücher.example": false,
		strings.Repeat("a", 64) + ".example.com": false, strings.Repeat("a.", 127) + "example": false, "api.example.com:443": false, "api/x.example.com": false,
	} {
		if got := validDomainName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func TestUpdateDomainName(t *testing.T) {
	d := testDomain()
	if got := DomainCertificates(d); !cmp.Equal(got, []string{certA}) {
		t.Errorf("certificates: %q", got)
	}
	both := must(UpdateDomainName(d, patches("add /endpointConfiguration/types=EDGE", "add /certificateArn="+certB, "add /certificateName=b"), testPlace, testLater))
	if got := DomainCertificates(both); !cmp.Equal(got, []string{certB, certA}) {
		t.Errorf("certificates: %q", got)
	}
	if aws.ToString(both.RegionalDomainName) != aws.ToString(d.RegionalDomainName) || both.DistributionDomainName == nil || !both.CertificateUploadDate.Equal(testLater) {
		t.Errorf("both: %+v", both)
	}
	edge := must(UpdateDomainName(both, patches("remove /endpointConfiguration/types=REGIONAL", "remove /regionalCertificateArn"), testPlace, testLater))
	if edge.RegionalDomainName != nil || edge.RegionalCertificateArn != nil || aws.ToString(edge.DistributionDomainName) != aws.ToString(both.DistributionDomainName) {
		t.Errorf("edge: %+v", edge)
	}
	rotated := must(UpdateDomainName(d, patches("replace /regionalCertificateArn="+certB, "replace /routingMode=ROUTING_RULE_ONLY"), testPlace, testLater))
	if aws.ToString(rotated.RegionalCertificateArn) != certB || rotated.RoutingMode != "ROUTING_RULE_ONLY" {
		t.Errorf("rotated: %+v", rotated)
	}
	mutual := must(UpdateDomainName(d, patches("add /mutualTlsAuthentication/truststoreVersion=1", "add /mutualTlsAuthentication/truststoreUri=s3://b/k.pem",
		"add /ownershipVerificationCertificateArn="+certB), testPlace, testLater))
	if d := cmp.Diff(&types.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/k.pem"), TruststoreVersion: aws.String("1")}, mutual.MutualTlsAuthentication, sdk); d != "" {
		t.Error(d)
	}
	for _, op := range []string{"replace /mutualTlsAuthentication/truststoreUri=", "remove /mutualTlsAuthentication/truststoreUri"} {
		if off := must(UpdateDomainName(mutual, patches(op), testPlace, testLater)); off.MutualTlsAuthentication != nil {
			t.Errorf("%s left %+v", op, off.MutualTlsAuthentication)
		}
	}
	if diff := cmp.Diff(testDomain(), d, sdk); diff != "" {
		t.Errorf("the input was edited:\n%s", diff)
	}
	for _, tt := range []struct{ op, want string }{
		{"replace /policy=" + doc(`{"Effect":"Allow",`+everybody+`}`), "BadRequest: policy is only supported for private custom domain names"},
		{"replace /managementPolicy={}", "BadRequest: managementPolicy is only supported for private custom domain names"},
		{"add /mutualTlsAuthentication/truststoreVersion=1", "BadRequest: mutualTlsAuthentication.truststoreUri must be s3://BUCKET/KEY"},
		{"replace /routingMode=MAZE", "BadRequest: Invalid patch value 'MAZE' for path '/routingMode'…"},
		{"replace /regionalCertificateArn=x", "BadRequest: Invalid ARN. ARN is not well formed x"},
		{"replace /domainName=x", "BadRequest: Invalid patch path  '/domainName' specified for op 'replace'. Must be one of: […"},
	} {
		_, err := UpdateDomainName(d, patches(tt.op), testPlace, testLater)
		checkErr(t, err, tt.want)
	}
	d.DomainNameStatus = types.DomainNameStatusUpdating
	_, err := UpdateDomainName(d, patches("replace /regionalCertificateName=x"), testPlace, testLater)
	checkErr(t, err, "BadRequest: The domain name cannot be changed while its domainNameStatus is UPDATING. Try again when it is AVAILABLE")
}

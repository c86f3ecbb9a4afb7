package resource

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

func TestServesDomain(t *testing.T) {
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	cert := func(names ...string) *acmtypes.CertificateDetail {
		return &acmtypes.CertificateDetail{SubjectAlternativeNames: names, NotBefore: aws.Time(now.Add(-time.Hour)), NotAfter: aws.Time(now.Add(time.Hour))}
	}
	for _, tt := range []struct {
		cert *acmtypes.CertificateDetail
		name string
		at   time.Time
		want bool
	}{
		{cert("api.example.com"), "api.example.com", now, true},
		{cert("API.Example.com"), "api.example.com", now, true},
		{cert("*.example.com"), "api.example.com", now, true},
		{cert("*.example.com"), "*.example.com", now, true},
		{cert("*.example.com"), "a.b.example.com", now, false}, // one label only
		{cert("*.example.com"), "example.com", now, false},
		{cert("*.example.com"), "*.b.example.com", now, false},
		{cert("api.example.com"), "*.example.com", now, false},
		{cert("*.com"), "*.example.com", now, false},
		{cert("other.example.com"), "api.example.com", now, false},
		{cert(), "api.example.com", now, false},
		{nil, "api.example.com", now, false},
		{cert("api.example.com"), "api.example.com", now.Add(-2 * time.Hour), false},
		{cert("api.example.com"), "api.example.com", now.Add(time.Hour), false},
	} {
		if err := ServesDomain(tt.cert, tt.name, tt.at); (err == nil) != tt.want {
			t.Errorf("%v for %s: %v", tt.cert, tt.name, err)
		}
	}
}

func TestMappableTo(t *testing.T) {
	at := func(e types.EndpointType) *types.EndpointConfiguration {
		return &types.EndpointConfiguration{Types: []types.EndpointType{e}}
	}
	for _, tt := range []struct {
		domain, api types.EndpointType
		want        bool
	}{
		{types.EndpointTypeRegional, types.EndpointTypeRegional, true},
		{types.EndpointTypeRegional, types.EndpointTypeEdge, true},
		{types.EndpointTypeEdge, types.EndpointTypeRegional, true},
		{types.EndpointTypePrivate, types.EndpointTypePrivate, true},
		{types.EndpointTypeRegional, types.EndpointTypePrivate, false},
		{types.EndpointTypePrivate, types.EndpointTypeRegional, false},
	} {
		err := MappableTo(types.DomainName{EndpointConfiguration: at(tt.domain)}, types.RestApi{EndpointConfiguration: at(tt.api)})
		if (err == nil) != tt.want {
			t.Errorf("%s to %s: %v", tt.api, tt.domain, err)
		}
	}
}

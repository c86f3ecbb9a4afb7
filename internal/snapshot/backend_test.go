package snapshot

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

// proxyWith is proxyTo with parameter mappings: target, source, target ...
func proxyWith(uri string, mappings ...string) func(*types.Method) {
	return func(m *types.Method) {
		proxyTo(uri)(m)
		m.MethodIntegration.RequestParameters = map[string]string{}
		for i := 0; i+1 < len(mappings); i += 2 {
			m.MethodIntegration.RequestParameters["integration.request.path."+mappings[i]] = mappings[i+1]
		}
	}
}

func skipping(m *types.Method) {
	m.MethodIntegration.TlsConfig = &types.TlsConfig{InsecureSkipVerification: true}
}

// The backends of a stage, by what is connected to: everything else about an
// integration is one backend's.
func TestBackends(t *testing.T) {
	api := restAPI("abc", policy13, "BASIC")
	many := []types.Resource{resourceAt("/many")}
	for i := range MaxBackendMethods + 3 {
		many = append(many, resourceAt(fmt.Sprintf("/many/%02d", i), method("GET", proxyTo("https://many.example.com/"))))
	}
	w := newWorld(t, nil, apiDoc("abc", policy13, "BASIC"), frozenDoc("d1", api, append(many,
		resourceAt("/", method("GET")), // MOCK
		resourceAt("/pets", method("GET", proxyTo("https://Pets.Example.com/v1")), method("POST", proxyTo("HTTPS://pets.example.com?x=1"))),
		resourceAt("/pets/{id}", method("GET", proxyTo("https://pets.example.com/{id}")), method("PUT", proxyTo("https://pets.example.com/{id}"), skipping)),
		resourceAt("/port", method("GET", proxyTo("https://pets.example.com:8443/"))),
		resourceAt("/plain", method("GET", proxyTo("http://pets.example.com#x"))),
		resourceAt("/v6", method("GET", proxyTo("https://[2001:db8::1]:8443/x"))),
		resourceAt("/stage", method("GET", proxyTo("https://${stageVariables.host}/{proxy}"))),
		resourceAt("/url", method("GET", proxyTo("${stageVariables.url}"))),
		resourceAt("/fixed", method("GET", proxyWith("https://{tenant}.example.com/", "tenant", "'blue'")),
			method("POST", proxyWith("https://{tenant}.example.com/", "tenant", "stageVariables.tenant"))),
		resourceAt("/open", method("GET", proxyWith("https://{tenant}.example.com/", "tenant", "method.request.header.tenant")),
			method("POST", proxyTo("https://{tenant}.example.com/")), method("PUT", proxyTo("https://${stageVariables.nothing}/")),
			method("DELETE", proxyWith("https://{tenant}.example.com/", "tenant", "stageVariables.nothing"))),
	)...), stageDoc("abc", "prod", "d1", func(s *types.Stage) {
		s.Variables = map[string]string{"host": "from-stage.example.com:444", "url": "https://whole.example.com/path", "tenant": "green"}
	}))
	stage := w.stage("abc")
	var last []string
	for i := range MaxBackendMethods {
		last = append(last, fmt.Sprintf("GET /many/%02d", i))
	}
	want := []Backend{
		{Scheme: "http", Host: "pets.example.com", Methods: []string{"GET /plain"}},
		{Scheme: "https", Host: "[2001:db8::1]:8443", Methods: []string{"GET /v6"}},
		{Scheme: "https", Host: "blue.example.com", Methods: []string{"GET /fixed"}},
		{Scheme: "https", Host: "from-stage.example.com:444", Methods: []string{"GET /stage"}},
		{Scheme: "https", Host: "green.example.com", Methods: []string{"POST /fixed"}},
		{Scheme: "https", Host: "many.example.com", Methods: last, More: 3},
		{Scheme: "https", Host: "pets.example.com", Methods: []string{"GET /pets", "GET /pets/{id}", "POST /pets"}},
		{Scheme: "https", Host: "pets.example.com", InsecureSkipVerification: true, Methods: []string{"PUT /pets/{id}"}},
		{Scheme: "https", Host: "pets.example.com:8443", Methods: []string{"GET /port"}},
		{Scheme: "https", Host: "whole.example.com", Methods: []string{"GET /url"}},
	}
	if d := cmp.Diff(want, stage.Backends()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	open := []string{
		"DELETE /open: stage variable nothing is not set",
		"GET /open: the host depends on {tenant}, which comes from the request",
		"POST /open: nothing is mapped to {tenant} of the host",
		"PUT /open: stage variable nothing is not set",
	}
	if d := cmp.Diff(open, stage.OpenBackends()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := (&Stage{}).Backends(); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
}

package snapshot

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// TestStage compiles one stage with everything that a stage can have.
func TestStage(t *testing.T) {
	api := withPolicy(restAPI("abc", policy13, "BASIC"),
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*"}]}`)
	get := method("GET", func(m *types.Method) {
		m.RequestParameters = map[string]bool{"method.request.path.id": true, "method.request.querystring.q": false, "method.request.header.X-A": true}
		m.MethodIntegration = &types.Integration{
			Type: types.IntegrationTypeHttp, HttpMethod: aws.String("POST"), TimeoutInMillis: 50,
			Uri:               aws.String("https://${stageVariables.host}:8443/v1/{id}?q={q}"),
			TlsConfig:         &types.TlsConfig{InsecureSkipVerification: true},
			RequestParameters: map[string]string{"integration.request.path.id": "method.request.path.id", "integration.request.header.X-B": "'fixed'", "integration.request.querystring.q": "stageVariables.q"},
			RequestTemplates:  map[string]string{"application/json": "{}"},
			IntegrationResponses: map[string]types.IntegrationResponse{
				"200": {StatusCode: aws.String("200"), ResponseParameters: map[string]string{"method.response.header.X-C": "integration.response.header.X-D"}},
				"404": {StatusCode: aws.String("404"), SelectionPattern: aws.String("4\\d{2}"), ResponseTemplates: map[string]string{"text/plain": "none"}},
			},
		}
		m.MethodResponses = map[string]types.MethodResponse{"200": {
			ResponseModels:     map[string]string{"application/json": "Empty"},
			ResponseParameters: map[string]bool{"method.response.header.X-C": true},
		}}
	})
	w := newWorld(t, nil,
		doc(resource.RestAPIKey("abc"), api),
		frozenDoc("d1", api, resourceAt("/pets/{id}", get)),
		stageDoc("abc", "prod", "d1", logsTo("arn:aws:logs:us-east-1:000000000000:log-group:/aws/api:*", "$context.requestId $context.status"),
			func(s *types.Stage) { s.Variables = map[string]string{"host": "backend"} }),
		doc(resource.EffectKey("abc", "prod"), resource.StageEffect{DisableExecuteAPIEndpoint: true}))
	w.wantNoFaults()
	st := w.Current().API("abc").Stages["prod"]
	if st.API != "abc" || st.Name != "prod" || st.Deployment != "d1" || !st.DisableDefaultEndpoint || st.Policy == nil ||
		st.Variables["host"] != "backend" || st.AccessLog.Group != "/aws/api" || st.AccessLog.Format == nil || st.Refused != "" {
		t.Errorf("stage %+v", st)
	}
	var p Params
	m, r := st.Route("GET", "/pets/7", &p)
	if r != Routed {
		t.Fatalf("route: %v", r)
	}
	want := &Method{
		HTTPMethod: "GET", ResourceID: *resourceAt("/pets/{id}").Id, ResourcePath: "/pets/{id}",
		RequiredParameters: []string{"method.request.header.X-A", "method.request.path.id"},
		Integration: &Integration{
			Type: HTTP, HTTPMethod: "POST", Timeout: 50 * time.Millisecond, InsecureSkipVerification: true, Passthrough: "WHEN_NO_MATCH",
			URI: []Segment{{Literal: "https://"}, {Stage: "host"}, {Literal: ":8443/v1/"}, {Path: "id"}, {Literal: "?q="}, {Path: "q"}},
			RequestParameters: []ParameterMapping{
				{"header", "X-B", Source{"static", "fixed"}},
				{"path", "id", Source{"path", "id"}},
				{"querystring", "q", Source{"stageVariable", "q"}},
			},
			RequestTemplates: map[string]string{"application/json": "{}"},
			Responses: []IntegrationResponse{
				{Status: 404, Pattern: regexp.MustCompile(`\A(?:4\d{2})\z`), Templates: map[string]string{"text/plain": "none"}},
				{Status: 200, Parameters: []ParameterMapping{{"header", "X-C", Source{"integration.header", "X-D"}}}},
			},
			MethodResponses: map[int]MethodResponse{200: {Headers: map[string]bool{"x-c": true}, Models: []string{"application/json"}}},
		},
	}
	same := cmp.Comparer(func(a, b *regexp.Regexp) bool { return a == b || a != nil && b != nil && a.String() == b.String() })
	if diff := cmp.Diff(want, m, same, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestRefused: a guard that is stored but not enforced is named, and neither
// hidden nor a reason to set the stage aside.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*types.Method)
		guard  string // in Method.Refused
	}{
		{"authorization type", func(m *types.Method) { m.AuthorizationType = aws.String("AWS_IAM") }, "AWS_IAM"},
		{"no authorization type", func(m *types.Method) { m.AuthorizationType = nil }, "authorizationType"},
		{"API key", func(m *types.Method) { m.ApiKeyRequired = aws.Bool(true) }, "apiKeyRequired"},
		{"request validator", func(m *types.Method) { m.RequestValidatorId = aws.String("v1") }, "v1"},
		{"Lambda", func(m *types.Method) { m.MethodIntegration.Type = types.IntegrationTypeAwsProxy }, "AWS_PROXY"},
		{"AWS", func(m *types.Method) { m.MethodIntegration.Type = types.IntegrationTypeAws }, "AWS"},
		{"nothing", func(*types.Method) {}, ""},
		{"no integration", func(m *types.Method) { m.MethodIntegration = nil }, ""},
	} {
		api := restAPI("abc", policy13, "BASIC")
		w := newWorld(t, nil, doc(resource.RestAPIKey("abc"), api), frozenDoc("d1", api, resourceAt("/x", method("PUT", c.change))), stageDoc("abc", "prod", "d1"))
		w.wantNoFaults()
		var p Params
		m, _ := w.Current().API("abc").Stages["prod"].Route("PUT", "/x", &p)
		if m == nil || (c.guard == "") != (m.Refused == "") || !strings.Contains(m.Refused, c.guard) {
			t.Errorf("%s: %+v, want %q refused", c.what, m, c.guard)
			continue
		}
		want := []Refusal(nil)
		if c.guard != "" {
			want = []Refusal{{Key: resource.StageKey("abc", "prod"), Method: "PUT /x", Guard: m.Refused}}
		}
		if diff := cmp.Diff(want, w.Current().Refused()); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

// TestRefusedWhole: guards on a whole stage or domain name.
func TestRefusedWhole(t *testing.T) {
	api := restAPI("abc", policy13, "BASIC")
	beyond := withPolicy(api, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}]}`)
	w := newWorld(t, nil)
	w.put(w.materialDoc("c1", "x"))
	w.put(doc(resource.RestAPIKey("abc"), api), frozenDoc("d1", beyond, resourceAt("/x", method("GET"))), stageDoc("abc", "prod", "d1"),
		frozenDoc("d2", api), stageDoc("abc", "acl", "d2", func(s *types.Stage) { s.WebAclArn = aws.String("arn:acl") }),
		domainDoc("mtls.example.com", "TLS_1_2", "", "c1", func(d *types.DomainName) {
			d.MutualTlsAuthentication = &types.MutualTlsAuthentication{TruststoreUri: aws.String("s3://b/k")}
		}),
		domainDoc("private.example.com", "TLS_1_2", "", "c1", func(d *types.DomainName) {
			d.EndpointConfiguration.Types = []types.EndpointType{types.EndpointTypePrivate}
			d.CertificateArn, d.RegionalCertificateArn = d.RegionalCertificateArn, nil
		}))
	w.wantNoFaults()
	stages := w.Current().API("abc").Stages
	if st := stages["prod"]; !strings.Contains(st.Refused, "cannot be enforced") || st.Policy != nil {
		t.Errorf("policy beyond what is enforced: %+v", st)
	}
	if st := stages["acl"]; !strings.Contains(st.Refused, "arn:acl") {
		t.Errorf("web ACL: %+v", st)
	}
	for _, name := range []string{"mtls.example.com", "private.example.com"} {
		if n := w.Current().Lookup(name); n == nil || n.Refused == "" {
			t.Errorf("%s: %+v", name, n)
		}
	}
	if n := len(w.Current().Refused()); n != 4 {
		t.Errorf("%d refusals: %v", n, w.Current().Refused())
	}
	w.put(domainDoc("mtls.example.com", "TLS_1_2", "", "c1"), stageDoc("abc", "acl", "d2"))
	w.commit(store.Change{Deletes: []string{resource.StageKey("abc", "prod")}})
	if rs := w.Current().Refused(); len(rs) != 1 || rs[0].Key != resource.DomainNameKey("private.example.com") {
		t.Errorf("refusals left: %v", rs)
	}
}

// TestPrivateWithoutPolicy: the pipeline denies all, by these two members.
func TestPrivateWithoutPolicy(t *testing.T) {
	api := restAPI("abc", "TLS_1_2", "", types.EndpointTypePrivate)
	w := newWorld(t, nil, doc(resource.RestAPIKey("abc"), api), frozenDoc("d1", api), stageDoc("abc", "prod", "d1"))
	a := w.Current().API("abc")
	if !a.Private || a.Stages["prod"].Policy != nil {
		t.Errorf("private %t, policy %v", a.Private, a.Stages["prod"].Policy)
	}
}

// TestStagesShareDeployments, and a stage that moves between them finds each.
func TestStagesShareDeployments(t *testing.T) {
	w := newWorld(t, nil)
	w.put(deployed("abc")...)
	w.put(stageDoc("abc", "beta", "d1"))
	s := w.Current().API("abc").Stages
	if s["beta"].Routes != s["prod"].Routes {
		t.Error("the same deployment was compiled twice")
	}
	w.put(frozenDoc("d2", restAPI("abc", policy13, "BASIC"), resourceAt("/v2", method("GET"))), stageDoc("abc", "beta", "d2"))
	var p Params
	for _, c := range []struct {
		stage, path string
		want        RouteResult
	}{{"prod", "/pets", Routed}, {"prod", "/v2", NoRoute}, {"beta", "/pets", NoRoute}, {"beta", "/v2", Routed}} {
		if _, got := w.Current().API("abc").Stages[c.stage].Route("GET", c.path, &p); got != c.want {
			t.Errorf("%s%s: %v, want %v", c.stage, c.path, got, c.want)
		}
	}
	w.put(stageDoc("abc", "beta", "d1")) // rolled back
	s = w.Current().API("abc").Stages
	if s["beta"].Routes != s["prod"].Routes {
		t.Error("rolled back, but not to the same routes")
	}
}

// TestDeploymentFaults: each of these sets the stage aside and says why.
func TestDeploymentFaults(t *testing.T) {
	integration := func(change func(*types.Integration)) []types.Resource {
		return []types.Resource{resourceAt("/x", method("GET", proxyTo("https://backend/"), func(m *types.Method) { change(m.MethodIntegration) }))}
	}
	request := func(target, source string) []types.Resource {
		return integration(func(i *types.Integration) { i.RequestParameters = map[string]string{target: source} })
	}
	response := func(target, source string) []types.Resource {
		return integration(func(i *types.Integration) {
			i.IntegrationResponses = map[string]types.IntegrationResponse{"200": {ResponseParameters: map[string]string{target: source}}}
		})
	}
	for _, c := range []struct {
		resources []types.Resource
		reason    string
	}{
		{[]types.Resource{resourceAt("/{a}/x"), resourceAt("/{b}/yy")}, "sibling {a}"},
		{[]types.Resource{resourceAt("/{a+}/x")}, "nothing can follow"},
		{[]types.Resource{resourceAt("/x"), resourceAt("/x")}, "same path"},
		{[]types.Resource{resourceAt("x")}, "does not start with a slash"},
		{integration(func(i *types.Integration) { i.Type = "FTP" }), `type "FTP"`},
		{integration(func(i *types.Integration) { i.Uri = nil }), "empty"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("ftp://x") }), "not http"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("backend/x") }), "not http"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("https://x/{") }), "left open"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("https://x/}") }), "closes nothing"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("https://x/{}") }), "no name"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("https://x/${context.apiId}") }), "only stage variables"},
		{integration(func(i *types.Integration) { i.Uri = aws.String("https://x/\r\nHost: y") }), "control character"},
		{integration(func(i *types.Integration) { i.TimeoutInMillis = 49 }), "out of range"},
		{integration(func(i *types.Integration) { i.TimeoutInMillis = 900001 }), "out of range"},
		{integration(func(i *types.Integration) { i.TimeoutInMillis = -1 }), "out of range"},
		{integration(func(i *types.Integration) { i.HttpMethod = aws.String("GET /") }), "HTTP method"},
		{integration(func(i *types.Integration) { i.HttpMethod = nil }), "HTTP method"},
		{integration(func(i *types.Integration) { i.PassthroughBehavior = aws.String("SOMETIMES") }), "SOMETIMES"},
		{integration(func(i *types.Integration) { i.RequestTemplates = map[string]string{"a/b": "$input.body"} }), "request template"},
		{integration(func(i *types.Integration) {
			i.IntegrationResponses = map[string]types.IntegrationResponse{"200": {ResponseTemplates: map[string]string{"a/b": "#set"}}}
		}), "response 200: template"},
		{integration(func(i *types.Integration) {
			i.IntegrationResponses = map[string]types.IntegrationResponse{"20": {}}
		}), "no status code"},
		{integration(func(i *types.Integration) {
			i.IntegrationResponses = map[string]types.IntegrationResponse{"200": {SelectionPattern: aws.String("(?!x)")}}
		}), "selection pattern"},
		{integration(func(i *types.Integration) {
			i.IntegrationResponses = map[string]types.IntegrationResponse{"200": {SelectionPattern: aws.String("a)|(b")}}
		}), "selection pattern"},
		{request("integration.request.cookie.a", "'x'"), "cannot be set"},
		{request("method.request.header.a", "'x'"), "cannot be set"},
		{request("integration.request.header.", "'x'"), "no name"},
		{request("integration.request.header.a b", "'x'"), "no name"},
		{request("integration.request.header.a", "'x"), "single quotes"},
		{request("integration.request.header.a", "'"), "single quotes"},
		{request("integration.request.header.a", "'x\r\ny: z'"), "one line"},
		{request("integration.request.header.a", "x"), "no such source"},
		{request("integration.request.header.a", "method.request.header."), "no such source"},
		{request("integration.request.header.a", "method.request.bodyx"), "no such source"},
		{request("integration.request.header.a", "integration.response.header.b"), "no such source"},
		{response("method.response.querystring.a", "'x'"), "cannot be set"},
		{response("method.response.header.a", "method.request.header.b"), "no such source"},
		{[]types.Resource{resourceAt("/x", method("GET", func(m *types.Method) {
			m.MethodResponses = map[string]types.MethodResponse{"200": {ResponseParameters: map[string]bool{"header.x": true}}}
		}))}, "no header"},
	} {
		api := restAPI("abc", policy13, "BASIC")
		_, err := compileDeployment(frozenDoc("d1", api, c.resources...).Value, "arn:aws:execute-api:us-east-1:000000000000:abc")
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got %v, want %q", err, c.reason)
		}
	}
}

func TestMappingSources(t *testing.T) {
	for _, c := range []struct {
		rules      mappingRules
		from       string
		kind, name string
	}{
		{requestMappings, "'it''s'", "static", "it''s"},
		{requestMappings, "''", "static", ""},
		{requestMappings, "method.request.header.X-A", "header", "X-A"},
		{requestMappings, "method.request.multivalueheader.X-A", "multivalueheader", "X-A"},
		{requestMappings, "method.request.querystring.q.r", "querystring", "q.r"},
		{requestMappings, "method.request.multivaluequerystring.q", "multivaluequerystring", "q"},
		{requestMappings, "method.request.path.id", "path", "id"},
		{requestMappings, "method.request.body", "body", ""},
		{requestMappings, "method.request.body.a.b", "body", "a.b"},
		{requestMappings, "stageVariables.v", "stageVariable", "v"},
		{requestMappings, "context.identity.sourceIp", "context", "identity.sourceIp"},
		{responseMappings, "integration.response.header.X", "integration.header", "X"},
		{responseMappings, "integration.response.multivalueheader.X", "integration.multivalueheader", "X"},
		{responseMappings, "integration.response.body.a", "integration.body", "a"},
		{responseMappings, "stageVariables.v", "stageVariable", "v"},
	} {
		got, err := c.rules.source(c.from)
		if err != nil || got.Kind != c.kind || got.Name != c.name {
			t.Errorf("%s: %+v, %v", c.from, got, err)
		}
	}
}

// TestSelectionPattern: a pattern matches whole texts, as Java's matches does.
func TestSelectionPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{`4\d{2}`, "404", true},
		{`4\d{2}`, "4040", false},
		{`40`, "404", false},
		{`200|404`, "404", true},
		{`200|404`, "2004", false},
		{`.*`, "a\nb", false},
		{``, "", true}, // the default response, which has no pattern
	} {
		r, err := compileResponse("200", types.IntegrationResponse{SelectionPattern: aws.String(c.pattern)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Pattern == nil {
			if c.pattern != "" {
				t.Errorf("%q has no pattern", c.pattern)
			}
			continue
		}
		if got := r.Pattern.MatchString(c.text); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.text, got)
		}
	}
}

func TestLogGroup(t *testing.T) {
	for _, c := range []struct{ arn, want string }{
		{"arn:aws:logs:us-east-1:000000000000:log-group:g", "g"},
		{"arn:aws:logs:us-east-1:000000000000:log-group:/aws/api-x_y.z:*", "/aws/api-x_y.z"},
		{"arn:aws-cn:firehose:us-east-1:000000000000:deliverystream/amazon-apigateway-s", "amazon-apigateway-s"},
		{"arn:aws:logs:us-east-1:000000000000:log-group:", ""},
		{"arn:aws:logs:us-east-1:000000000000:log-group:../x", ""},
		{"arn:aws:logs:us-east-1:000000000000:log-group:a//b", ""},
		{"arn:aws:logs:us-east-1:000000000000:log-group:a b", ""},
		{"arn:aws:s3:::bucket", ""},
		{"g", ""},
	} {
		got, err := logGroup(c.arn)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v", c.arn, got, err)
		}
	}
}

func FuzzCompileURI(f *testing.F) {
	for _, s := range []string{"https://x/{a}/${stageVariables.b}", "${stageVariables.all}", "http://{", "https://x/${}{}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		segs, err := compileURI(uri)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, s := range segs {
			switch {
			case s.Stage != "":
				b.WriteString("${stageVariables." + s.Stage + "}")
			case s.Path != "":
				b.WriteString("{" + s.Path + "}")
			case s.Literal == "" || strings.ContainsAny(s.Literal, "{}\r\n"):
				t.Fatalf("%q: literal %q", uri, s.Literal)
			default:
				b.WriteString(s.Literal)
			}
		}
		if b.String() != uri && !strings.Contains(uri, "+}") {
			t.Fatalf("%q came out as %q", uri, b.String())
		}
	})
}

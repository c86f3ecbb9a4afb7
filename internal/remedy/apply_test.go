package remedy

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/sallyport/sallyport/internal/posture"
)

// service stands for what this gateway does not answer yet: version 2 of API
// Gateway, AWS WAF and OpenSearch Service, as documents by path, of which a
// PATCH replaces members.
type service struct {
	mu   sync.Mutex
	docs map[string]map[string]any
	// deaf are members that are taken and not kept.
	deaf []string
	// change, unless nil, is called with each document that was changed.
	change func(doc map[string]any)
	log    []string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.URL.Path)
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	w.Header().Set("Content-Type", "application/json")
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	put := func(doc map[string]any, members map[string]any) {
		for name, value := range members {
			if !slices.Contains(s.deaf, name) {
				doc[name] = value
			}
		}
		if s.change != nil {
			s.change(doc)
		}
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		path := strings.SplitN(fmt.Sprint(body["ResourceArn"]), "::", 2)[1]
		switch {
		case strings.HasSuffix(target, ".AssociateWebACL"):
			put(s.docs[path], map[string]any{"webAclArn": body["WebACLArn"]})
		case strings.HasSuffix(target, ".DisassociateWebACL"):
			delete(s.docs[path], "webAclArn")
		}
		answer(map[string]any{})
		return
	}
	path, search := strings.CutPrefix(r.URL.Path, "/2021-01-01/opensearch/domain/")
	if search {
		doc := s.docs[strings.TrimSuffix(path, "/config")]
		if r.Method == http.MethodPost {
			put(doc, body)
			doc["Processing"] = false
			answer(map[string]any{"DomainConfig": map[string]any{}})
			return
		}
		answer(map[string]any{"DomainStatus": doc})
		return
	}
	path = strings.TrimPrefix(r.URL.Path, "/v2")
	if rest, ok := strings.CutSuffix(path, "/accesslogsettings"); ok {
		delete(s.docs[rest], "accessLogSettings")
		w.WriteHeader(204)
		return
	}
	doc := s.docs[path]
	switch {
	case doc == nil:
		w.Header().Set("X-Amzn-ErrorType", "NotFoundException")
		w.WriteHeader(404)
		answer(map[string]any{"message": "no " + path})
		return
	case r.Method == http.MethodPatch:
		delete(body, "patchOperations")
		put(doc, body)
	}
	answer(doc)
}

// ailing are resources that fail, by what the service has of them.
var ailing = []struct {
	control, typ, path string
	values             map[string]string
	doc                string
	parent             string
}{
	{"APIGateway.1", posture.TypeStageV2, "/apis/w1/stages/live", nil, `{"stageName":"live","defaultRouteSettings":{"throttlingBurstLimit":7,"throttlingRateLimit":2.5,"dataTraceEnabled":false}}`, `{"apiId":"w1","protocolType":"WEBSOCKET"}`},
	{"APIGateway.9", posture.TypeStageV2, "/apis/h1/stages/$default", map[string]string{valueLogGroup: "arn:aws:logs:eu-west-1:111122223333:log-group:x"}, `{"stageName":"$default"}`, `{"apiId":"h1","protocolType":"HTTP"}`},
	{"APIGateway.8", posture.TypeRoute, "/apis/h1/routes/r1", nil, `{"routeId":"r1","routeKey":"GET /pets","authorizationType":"NONE"}`, `{"apiId":"h1","protocolType":"HTTP"}`},
	{"APIGateway.8", posture.TypeRoute, "/apis/h1/routes/r2", map[string]string{valueAuthorization: "JWT", valueAuthorizer: "z9"}, `{"routeId":"r2","routeKey":"GET /a"}`, `{"apiId":"h1","protocolType":"HTTP"}`},
	{"APIGateway.10", posture.TypeIntegration, "/apis/h1/integrations/i1", map[string]string{valueServerName: "orders.internal"}, `{"integrationId":"i1","connectionType":"VPC_LINK","integrationUri":"arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/a/b/c"}`, `{"apiId":"h1","protocolType":"HTTP"}`},
	{"APIGateway.4", posture.TypeStage, "/restapis/a1/stages/prod", map[string]string{valueACL: "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/a/b"}, `{"stageName":"prod","methodSettings":{}}`, `{"id":"a1"}`},
	{"Opensearch.8", posture.TypeSearchDomain, "logs-prod", nil, `{"DomainName":"logs-prod","DomainEndpointOptions":{"EnforceHTTPS":false,"TLSSecurityPolicy":"Policy-Min-TLS-1-0-2019-07"}}`, ``},
	{"Opensearch.3", posture.TypeSearchDomain, "logs-prod", nil, `{"DomainName":"logs-prod"}`, ``},
}

// admit starts the service with one ailing resource.
func admit(t *testing.T, at int) (*service, *Target, *posture.Finding) {
	t.Helper()
	c := ailing[at]
	s := &service{docs: map[string]map[string]any{"/account": {}}}
	read := func(path, text string) {
		doc := map[string]any{}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		s.docs[path] = doc
	}
	read(c.path, c.doc)
	id := "arn:aws:apigateway:eu-west-1::" + c.path
	if c.parent != "" {
		read(c.path[:strings.Index(c.path[1:], "/")+1+strings.Index(c.path[strings.Index(c.path[1:], "/")+2:], "/")+1], c.parent)
	} else {
		id = "arn:aws:es:eu-west-1:111122223333:domain/" + c.path
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	target := &Target{Config: aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}, Wait: 10 * time.Second,
		Context: Context{Endpoint: server.URL, Values: map[string]string{valueRole: "arn:aws:iam::111122223333:role/logs"}}}
	maps.Copy(target.Context.Values, c.values)
	subject := posture.Subject{Type: c.typ, ID: id, Region: "eu-west-1", Account: "111122223333", Source: posture.Account}
	r, err := target.Read(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	f := judged(t, c.control, r, posture.Options{})
	if f.Status != posture.Failed {
		t.Fatalf("%s: %s", f.Status, f.Reason)
	}
	return s, target, f
}

func TestApplyCloses(t *testing.T) {
	for i, c := range ailing {
		t.Run(c.control+c.path, func(t *testing.T) {
			s, target, f := admit(t, i)
			p := target.Apply(t.Context(), f)
			if p.Outcome != Closed || p.After.Status != posture.Passed || len(p.Done) == 0 || len(p.Undone) > 0 {
				t.Fatalf("%s: %s\ndone %q\n%v", p.Outcome, p.Reason, p.Done, s.docs)
			}
			if again := target.Apply(t.Context(), f); again.Outcome != Already || len(again.Done) > 0 {
				t.Errorf("again: %s: %s", again.Outcome, again.Reason)
			}
			if i == 0 { // members of the same object stay
				if o := s.docs[c.path]["defaultRouteSettings"].(map[string]any); o["throttlingBurstLimit"] != 7.0 || o["throttlingRateLimit"] != 2.5 || o["loggingLevel"] != "ERROR" {
					t.Errorf("%v", o)
				}
			}
		})
	}
}

// The commands as they are printed, in one shell, do the same.
func TestCommandsClose(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skipf("SKIPPED: the AWS CLI is missing; the commands' text was not run")
	}
	t.Parallel()
	for i, c := range ailing {
		t.Run(c.control+c.path, func(t *testing.T) {
			_, target, f := admit(t, i)
			r, err := target.Read(t.Context(), f.Resource)
			if err != nil {
				t.Fatal(err)
			}
			script := ""
			for _, s := range Steps(f, r, target.Context) {
				if s.Form == posture.AWSCLI {
					script += s.Text + "\n"
				}
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
			cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, script, out)
			}
			if r, err = target.Read(t.Context(), f.Resource); err != nil {
				t.Fatal(err)
			}
			if after := judged(t, c.control, r, posture.Options{}); after.Status != posture.Passed {
				t.Errorf("%s: %s\n%s", after.Status, after.Reason, script)
			}
		})
	}
}

// What does not prove itself is taken back, and what cannot be is said.
func TestRollback(t *testing.T) {
	for i, c := range ailing {
		t.Run(c.control+c.path, func(t *testing.T) {
			s, target, f := admit(t, i)
			r, err := target.Read(t.Context(), f.Resource)
			if err != nil {
				t.Fatal(err)
			}
			// The service takes the change, and something of it is undone at once.
			s.change = func(doc map[string]any) {
				switch c.control {
				case "APIGateway.1":
					if o, ok := doc["defaultRouteSettings"].(map[string]any); ok {
						o["loggingLevel"] = "OFF"
					}
				case "APIGateway.9":
					delete(doc, "accessLogSettings")
				case "APIGateway.8":
					doc["authorizationType"] = "NONE"
				case "APIGateway.10":
					delete(doc, "tlsConfig")
				case "APIGateway.4":
					delete(doc, "webAclArn")
				case "Opensearch.8":
					doc["DomainEndpointOptions"].(map[string]any)["EnforceHTTPS"] = false
				case "Opensearch.3":
					delete(doc, "NodeToNodeEncryptionOptions")
				}
			}
			want := RolledBack
			if c.control == "APIGateway.10" || c.control == "Opensearch.3" {
				want = Stuck
			}
			p := target.Apply(t.Context(), f)
			if p.Outcome != want || len(p.Done) == 0 || (len(p.Undone) == 0) != (want == Stuck) {
				t.Fatalf("%s: %s\ndone %q\nundone %q", p.Outcome, p.Reason, p.Done, p.Undone)
			}
			if now, err := target.Read(t.Context(), f.Resource); err != nil || want == RolledBack && !same(r.Doc, now.Doc) {
				t.Errorf("%v\nbefore %+v\nafter %+v", err, r.Doc, now.Doc)
			}
		})
	}
}

// Without what only a person knows, nothing is changed and it is asked for.
func TestNeeds(t *testing.T) {
	for i, c := range ailing {
		if len(c.values) == 0 || c.values[valueAuthorization] != "" {
			continue
		}
		s, target, f := admit(t, i)
		target.Context.Values = nil
		s.log = nil
		p := target.Apply(t.Context(), f)
		if p.Outcome != Waiting || !strings.Contains(p.Reason, "needed: ") {
			t.Errorf("%s: %s: %s", c.control, p.Outcome, p.Reason)
		}
		for name := range c.values {
			if !strings.Contains(p.Reason, name) {
				t.Errorf("%s: %s does not ask for %s", c.control, p.Reason, name)
			}
		}
		for _, line := range s.log {
			if !strings.HasPrefix(line, "GET ") {
				t.Errorf("%s: %s", c.control, line)
			}
		}
	}
}

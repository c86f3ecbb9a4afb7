package account

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// wire is an endpoint that answers the SDK's requests from a table: the method
// with the path, or the last part of X-Amz-Target, to the answer.
type wire map[string]func(http.ResponseWriter, *http.Request)

func (h wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Method + " " + r.URL.EscapedPath()
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, key, _ = strings.Cut(target, ".")
	}
	if f := h[key]; f != nil {
		f(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if strings.Contains(string(body), "Action=GetCallerIdentity") {
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-cn:iam::111122223333:user/a</Arn><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		return
	}
	fmt.Fprint(w, empty[key])
}

// empty are the answers of an account that has nothing.
var empty = map[string]string{
	"GET /restapis": `{"item":[]}`, "GET /domainnames": `{"item":[]}`, "GET /v2/apis": `{"items":[]}`,
	"ListCertificates": `{"CertificateSummaryList":[]}`, "GET /2021-01-01/domain": `{"DomainNames":[]}`,
}

func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func refuses(status int, code string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", code)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":%q,"message":"no","Message":"no"}`, code)
	}
}

func options(t *testing.T, h http.Handler) Options {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Options{Config: aws.Config{
		Region: "cn-north-1", BaseEndpoint: aws.String(s.URL), Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 3, time.Millisecond })
		},
	}}
}

func TestScan(t *testing.T) {
	var tries atomic.Int32
	found, err := Scan(t.Context(), options(t, wire{
		"GET /restapis": func(w http.ResponseWriter, r *http.Request) { // two pages, and a throttle before the second
			if r.URL.Query().Get("position") == "" {
				io.WriteString(w, `{"item":[{"id":"a1","name":"one"}],"position":"p2"}`)
			} else if tries.Add(1) == 1 {
				refuses(429, "TooManyRequestsException")(w, r)
			} else {
				io.WriteString(w, `{"item":[{"id":"b2"},{"id":"c3"}]}`)
			}
		},
		"GET /restapis/a1/stages":                            says(200, `{"item":[{"stageName":"prod","tracingEnabled":true,"tags":{"k":"v"}}]}`),
		"GET /restapis/b2/stages":                            refuses(403, "AccessDeniedException"),
		"GET /restapis/c3/stages":                            refuses(404, "NotFoundException"),
		"GET /domainnames":                                   says(200, `{"item":[{"domainName":"*.example.com","securityPolicy":"TLS_1_2"},{"domainName":"broken.example.com"}]}`),
		"GET /v2/apis":                                       says(200, `{"items":[{"apiId":"h1","name":"h","protocolType":"HTTP","routeSelectionExpression":"x"}]}`),
		"GET /v2/apis/h1/stages":                             says(200, `{"items":[{"stageName":"$default"}]}`),
		"GET /v2/apis/h1/routes":                             says(200, `{"items":[{"routeId":"r1","routeKey":"GET /","authorizationType":"NONE"}]}`),
		"GET /v2/apis/h1/integrations":                       says(200, `{"items":[{"integrationId":"i1","connectionType":"VPC_LINK"}]}`),
		"GET /2021-01-01/domain":                             says(200, `{"DomainNames":[{"DomainName":"logs"},{"DomainName":"gone"}]}`),
		"POST /2021-01-01/opensearch/domain-info":            says(200, `{"DomainStatusList":[{"DomainId":"1/logs","DomainName":"logs","ARN":"arn:aws-cn:es:cn-north-1:111122223333:domain/logs","ClusterConfig":{}}]}`),
		"ListCertificates":                                   says(200, `{"CertificateSummaryList":[{"CertificateArn":"arn:aws-cn:acm:cn-north-1:111122223333:certificate/1"}]}`),
		"DescribeCertificate":                                says(200, `{"Certificate":{"CertificateArn":"arn:aws-cn:acm:cn-north-1:111122223333:certificate/1","KeyAlgorithm":"RSA-2048"}}`),
		"GET /v2/domainnames/%2A.example.com/apimappings":    says(200, `{"items":[{"apiId":"h1","stage":"$default"}]}`),
		"GET /v2/domainnames/broken.example.com/apimappings": says(200, `{"items":`),
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // id to what is not known of it
		"arn:aws-cn:apigateway:cn-north-1::/restapis/a1/stages/prod":        "",
		"arn:aws-cn:apigateway:cn-north-1::/restapis/b2/stages/*":           "apigateway:GetStages: denied (AccessDeniedException): no",
		"arn:aws-cn:apigateway:cn-north-1::/domainnames/*.example.com":      "",
		"arn:aws-cn:apigateway:cn-north-1::/domainnames/broken.example.com": "",
		"arn:aws-cn:apigateway:cn-north-1::/apis/h1/stages/$default":        "",
		"arn:aws-cn:apigateway:cn-north-1::/apis/h1/routes/r1":              "",
		"arn:aws-cn:apigateway:cn-north-1::/apis/h1/integrations/i1":        "",
		"arn:aws-cn:es:cn-north-1:111122223333:domain/logs":                 "",
		"arn:aws-cn:acm:cn-north-1:111122223333:certificate/1":              "",
	}
	for _, r := range found.Resources {
		unknown, ok := want[r.ID]
		if !ok || r.Unknown[""] != unknown || r.Account != "111122223333" || r.Region != "cn-north-1" || (r.Doc == nil) != (unknown != "") {
			t.Errorf("%+v", r)
		}
		delete(want, r.ID)
		switch {
		case strings.HasSuffix(r.ID, "/*.example.com") && len(r.Related) != 1:
			t.Error("the HTTP API that is mapped is not found")
		case strings.HasSuffix(r.ID, "broken.example.com") && r.Unknown["mappings"] == "":
			t.Error("mappings that could not be read are not unknown")
		case strings.HasSuffix(r.ID, "/prod") && (r.Tags["k"] != "v" || r.Parent == nil):
			t.Errorf("%+v", r)
		}
	}
	for id := range want {
		t.Errorf("%s is missing", id)
	}
	if len(found.Problems) != 4 || !slices.ContainsFunc(found.Problems, func(p posture.Problem) bool { return strings.Contains(p.Text, "search domain gone was deleted") }) {
		t.Errorf("%+v", found.Problems)
	}
}

// Whatever is denied, broken or endless is a line and an unknown verdict, never
// a pass and never the end of the scan.
func TestNothingUnreadPasses(t *testing.T) {
	loop := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"item":[],"items":[],"position":"again","nextToken":"again","NextToken":"again","CertificateSummaryList":[]}`)
	}
	calls := map[string]string{ // call to a control that judges what is behind it
		"GET /restapis": "APIGateway.3", "GET /domainnames": "APIGateway.11", "GET /v2/apis": "APIGateway.8",
		"ListCertificates": "ACM.2", "GET /2021-01-01/domain": "Opensearch.8",
	}
	faults := map[string]func(http.ResponseWriter, *http.Request){
		"denied": refuses(403, "AccessDeniedException"), "throttled": refuses(429, "TooManyRequestsException"),
		"broken": says(200, `{"item":[{"id"`), "an error without a name": says(500, `<html>`), "in circles": loop,
	}
	for call, control := range calls {
		for name, fault := range faults {
			if name == "in circles" && call == "GET /2021-01-01/domain" {
				continue // it is not paged
			}
			t.Run(name+" "+call, func(t *testing.T) {
				found, err := Scan(t.Context(), options(t, wire{call: fault}))
				if err != nil {
					t.Fatal(err)
				}
				if len(found.Problems) == 0 {
					t.Error("no line says so")
				}
				report, err := posture.Evaluate(controls.All, func(yield func(*posture.Resource) bool) {
					for _, r := range found.Resources {
						if !yield(r) {
							return
						}
					}
				}, posture.Options{Now: time.Now()})
				if err != nil {
					t.Fatal(err)
				}
				unknown := false
				for _, f := range report.Findings {
					if f.Status == posture.Passed || f.Status == posture.Failed {
						t.Errorf("%s is %s: %s", f.Control, f.Status, f.Reason)
					}
					unknown = unknown || f.Control == control && f.Status == posture.Unknown
				}
				if !unknown {
					t.Errorf("%s is not unknown: %+v", control, report.Findings)
				}
			})
		}
	}
}

func TestScanFails(t *testing.T) {
	o := options(t, wire{})
	o.Config.Region = ""
	if _, err := Scan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("no Region: %v", err)
	}
	o = options(t, wire{})
	o.Config.BaseEndpoint = aws.String("http://127.0.0.1:1")
	if _, err := Scan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "nothing could be read") {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Scan(ctx, options(t, wire{})); err == nil {
		t.Error("a scan that was cancelled succeeds")
	}
	// Everything denied is no empty account.
	all := http.HandlerFunc(refuses(403, "AccessDeniedException"))
	if _, err := Scan(t.Context(), options(t, all)); err == nil || !strings.Contains(err.Error(), "denied") {
		t.Errorf("all denied: %v", err)
	}
}

func TestProgress(t *testing.T) {
	o := options(t, wire{})
	var done, total int
	o.Progress = func(d, n int, what string) {
		if d != done+1 || n < d || what == "" {
			t.Errorf("%d of %d, %q", d, n, what)
		}
		done, total = d, n
	}
	o.Concurrency = 1
	if _, err := Scan(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if done != total || done != 6 {
		t.Errorf("%d of %d", done, total)
	}
}

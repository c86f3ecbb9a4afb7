package account

import (
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// Somebody else's account: what is made there is found, and judged as it
// should be. What that program cannot do is a problem of the scan.
func TestMoto(t *testing.T) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("SKIPPED: moto_server is missing; no account of somebody else's making has been scanned")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	var output strings.Builder
	server := exec.CommandContext(t.Context(), path, "-H", host, "-p", port)
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { server.Wait(); close(ended) }()
	t.Cleanup(func() { server.Process.Kill(); <-ended })
	url := "http://" + net.JoinHostPort(host, port)
	for deadline := time.Now().Add(60 * time.Second); ; {
		resp, err := http.Get(url + "/moto-api/")
		if err == nil {
			resp.Body.Close()
			break
		}
		select {
		case <-ended:
			t.Skipf("SKIPPED: moto_server does not run: %s", output.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("moto_server does not listen")
		}
	}

	config := aws.Config{Region: "eu-central-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
	rest, v2 := apigateway.NewFromConfig(config), apigatewayv2.NewFromConfig(config)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	api, err := rest.CreateRestApi(t.Context(), &apigateway.CreateRestApiInput{Name: aws.String("r")})
	must(err)
	roots, err := rest.GetResources(t.Context(), &apigateway.GetResourcesInput{RestApiId: api.Id})
	must(err)
	root := roots.Items[0].Id
	_, err = rest.PutMethod(t.Context(), &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: root, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")})
	must(err)
	_, err = rest.PutIntegration(t.Context(), &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: root, HttpMethod: aws.String("GET"), Type: "MOCK"})
	must(err)
	deployment, err := rest.CreateDeployment(t.Context(), &apigateway.CreateDeploymentInput{RestApiId: api.Id})
	must(err)
	_, err = rest.CreateStage(t.Context(), &apigateway.CreateStageInput{RestApiId: api.Id, DeploymentId: deployment.Id, StageName: aws.String("prod"), TracingEnabled: true})
	must(err)
	_, err = rest.CreateDomainName(t.Context(), &apigateway.CreateDomainNameInput{DomainName: aws.String("api.example.com"), SecurityPolicy: "TLS_1_2"})
	must(err)
	web, err := v2.CreateApi(t.Context(), &apigatewayv2.CreateApiInput{Name: aws.String("h"), ProtocolType: v2types.ProtocolTypeHttp})
	must(err)
	_, err = v2.CreateRoute(t.Context(), &apigatewayv2.CreateRouteInput{ApiId: web.ApiId, RouteKey: aws.String("GET /"), AuthorizationType: v2types.AuthorizationTypeNone})
	must(err)
	_, err = v2.CreateIntegration(t.Context(), &apigatewayv2.CreateIntegrationInput{ApiId: web.ApiId, IntegrationType: v2types.IntegrationTypeHttpProxy,
		ConnectionType: v2types.ConnectionTypeVpcLink, ConnectionId: aws.String("l"), IntegrationUri: aws.String("https://a.example.com"), IntegrationMethod: aws.String("GET")})
	must(err)
	_, err = acm.NewFromConfig(config).RequestCertificate(t.Context(), &acm.RequestCertificateInput{DomainName: aws.String("api.example.com"), KeyAlgorithm: acmtypes.KeyAlgorithmEcPrime256v1})
	must(err)
	_, err = opensearch.NewFromConfig(config).CreateDomain(t.Context(), &opensearch.CreateDomainInput{DomainName: aws.String("logs")})
	must(err)

	found, err := Scan(t.Context(), Options{Config: config})
	must(err)
	for _, p := range found.Problems {
		t.Logf("%s: %s", p.Where, p.Text)
	}
	report, err := posture.Evaluate(controls.All, slices.Values(found.Resources), posture.Options{Now: time.Now()})
	must(err)
	got := map[string]posture.Status{}
	for _, f := range report.Findings {
		got[f.Control+" "+f.Resource.Type] = f.Status
		if f.Resource.Account != "123456789012" || f.Resource.Region != "eu-central-1" || f.Resource.Source != posture.Account {
			t.Errorf("%+v", f.Resource)
		}
	}
	for key, want := range map[string]posture.Status{
		"APIGateway.1 " + posture.TypeStage:        posture.Failed,
		"APIGateway.2 " + posture.TypeStage:        posture.Failed,
		"APIGateway.3 " + posture.TypeStage:        posture.Passed,
		"APIGateway.4 " + posture.TypeStage:        posture.Failed,
		"APIGateway.5 " + posture.TypeStage:        posture.Passed,
		"APIGateway.8 " + posture.TypeRoute:        posture.Failed,
		"APIGateway.10 " + posture.TypeIntegration: posture.Failed,
		"APIGateway.11 " + posture.TypeDomainName:  posture.Failed,
		"Opensearch.3 " + posture.TypeSearchDomain: posture.Failed,
		"Opensearch.8 " + posture.TypeSearchDomain: posture.Failed,
		"ACM.2 " + posture.TypeCertificate:         posture.Passed,
	} {
		if got[key] != want {
			t.Errorf("%s is %s, want %s", key, got[key], want)
		}
	}
}

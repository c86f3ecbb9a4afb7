package gatewaytest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
)

const (
	tcpBalancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/pets/0a1b2c3d4e5f6071"
	tlsListener = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/cats/0a1b2c3d4e5f6071/0a1b2c3d4e5f6072"
	badListener = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/bad/0a1b2c3d4e5f6071/0a1b2c3d4e5f6072"
)

// inside is a private network: load balancers with targets behind them, whose
// names no resolver knows.
type inside struct {
	authority *pki.Authority
	targets   map[string][]string
}

// newInside has a TCP listener in front of a target with TLS, a TLS listener in
// front of a plain one, and one whose certificate is for its own name.
func newInside(t *testing.T) *inside {
	t.Helper()
	authority, err := pki.NewAuthority("inside")
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(names ...string) *tls.Config {
		issued, err := authority.Leaf(pki.LeafOptions{Names: names})
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{issued.TLS()}}
	}
	target := func(config *tls.Config) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := "none"
			if r.TLS != nil {
				name = r.TLS.ServerName
			}
			fmt.Fprintf(w, "%s %s host=%s sni=%s", r.Method, r.URL.Path, r.Host, name)
		}))
		if s.TLS = config; config != nil {
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	secure, plain := target(leaf("pets.inside.example", "pets.example.com")), target(nil)
	return &inside{authority, map[string][]string{
		tcpBalancer: {listen(t, nil, secure)},
		tlsListener: {listen(t, leaf("pets.inside.example", "cats.example.com"), plain)},
		badListener: {listen(t, leaf("bad-1.elb.us-east-1.amazonaws.com"), plain)},
	}}
}

// listen is a load balancer's listener: it passes bytes on, and ends TLS first
// if it has a configuration.
func listen(t *testing.T, config *tls.Config, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if t.Cleanup(func() { l.Close() }); config != nil {
		l = tls.NewListener(l, config)
	}
	addr := l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				back, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer back.Close()
				go func() {
					io.Copy(back, c)
					back.Close()
				}()
				io.Copy(c, back)
			}()
		}
	}()
	return addr
}

// start runs a gateway that trusts the network's authority and knows its load
// balancers.
func (in *inside) start(t *testing.T) *World {
	return start(t, []func(*gateway.Options){func(o *gateway.Options) { o.Roots = []*x509.Certificate{in.authority.Certificate} }},
		func(c *config.Config) { c.Targets = in.targets })
}

// linkedAPI makes an API with one GET for each row: path -> its integration.
func (w *World) linkedAPI(t *testing.T, integrations map[string]apigateway.PutIntegrationInput) (api string) {
	t.Helper()
	ctx, get := t.Context(), aws.String("GET")
	made, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("linked"), EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	for path, in := range integrations {
		res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: made.Id, ParentId: made.RootResourceId, PathPart: aws.String(path)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: made.Id, ResourceId: res.Id, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
			t.Fatal(err)
		}
		in.RestApiId, in.ResourceId, in.HttpMethod, in.IntegrationHttpMethod, in.Type = made.Id, res.Id, get, get, types.IntegrationTypeHttpProxy
		if _, err := w.API.PutIntegration(ctx, &in); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return *made.Id
}

// Requests by VPC links reach what the operator mapped, under the URI's name; a
// link that leads nowhere breaks its own methods only.
func TestVPCLinks(t *testing.T) {
	w := newInside(t).start(t)
	ctx := t.Context()
	link, err := w.API.CreateVpcLink(ctx, &apigateway.CreateVpcLinkInput{Name: aws.String("one"), TargetArns: []string{tcpBalancer}})
	if err != nil {
		t.Fatal(err)
	}
	v2, err := w.V2.CreateVpcLink(ctx, &apigatewayv2.CreateVpcLinkInput{Name: aws.String("two"), SubnetIds: []string{"subnet-0a1b2c3d"}})
	if err != nil {
		t.Fatal(err)
	}
	by := func(uri string, id *string, target string) apigateway.PutIntegrationInput {
		in := apigateway.PutIntegrationInput{Uri: &uri, ConnectionType: types.ConnectionTypeVpcLink, ConnectionId: id}
		if target != "" {
			in.IntegrationTarget = &target
		}
		return in
	}
	api := w.linkedAPI(t, map[string]apigateway.PutIntegrationInput{
		"tcp":      by("https://pets.inside.example/a", link.Id, ""),
		"tls":      by("https://pets.inside.example:9443/b", v2.VpcLinkId, tlsListener),
		"plain":    by("http://pets.inside.example/c", link.Id, ""),
		"wrong":    by("https://pets.inside.example/d", v2.VpcLinkId, badListener),
		"other":    by("https://cats.inside.example/e", link.Id, ""),
		"variable": by("https://pets.inside.example/f", aws.String("${stageVariables.link}"), ""),
	})
	if _, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: &api, StageName: aws.String("prod"), Variables: map[string]string{"link": *link.Id}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace(
		"/accessLogSettings/destinationArn", "arn:aws:logs:us-east-1:000000000000:log-group:links", "/accessLogSettings/format", "$context.requestId $context.integration.error")}); err != nil {
		t.Fatal(err)
	}
	url := "https://" + w.Host(api) + "/prod/"
	ok := func(path, body string) {
		t.Helper()
		w.get(t, "REGIONAL", url+path).is(t, path, 200, "", body)
	}
	broken := func(path, text string) {
		t.Helper()
		a := w.get(t, "REGIONAL", url+path)
		a.is(t, path, 500, "InternalServerErrorException", `{"message": "Internal server error"}`)
		id := a.header.Get("x-amzn-RequestId")
		if line := w.logLine(t, "links", func(line string) bool { return strings.HasPrefix(line, id) }); line != id+" Execution failed due to configuration error: "+text {
			t.Errorf("%s: log line %s", path, line)
		}
	}
	const noLink = "There was an internal error while executing your request"
	ok("tcp", "GET /a host=pets.inside.example sni=pets.inside.example")
	ok("tls", "GET /b host=pets.inside.example:9443 sni=none")
	ok("variable", "GET /f host=pets.inside.example sni=pets.inside.example")
	if a := w.get(t, "REGIONAL", url+"plain"); a.status != 400 || !strings.Contains(a.body, "HTTP request to an HTTPS server") {
		t.Errorf("http to a target with TLS: %d %s, want the target's own answer", a.status, a.body)
	}
	broken("wrong", "Host name 'pets.inside.example' does not match the certificate subject provided by the peer (CN=bad-1.elb.us-east-1.amazonaws.com)")
	broken("other", "Host name 'cats.inside.example' does not match the certificate subject provided by the peer (CN=pets.inside.example)")

	// HUP takes a mapping away.
	all := w.Config.Targets
	w.Reload(t, func(c *config.Config) { c.Targets = map[string][]string{tlsListener: all[tlsListener]} })
	broken("tcp", noLink)
	broken("variable", noLink)
	ok("tls", "")
	got, err := w.API.GetVpcLink(ctx, &apigateway.GetVpcLinkInput{VpcLinkId: link.Id})
	if err != nil || got.Status != types.VpcLinkStatusFailed || !strings.Contains(aws.ToString(got.StatusMessage), tcpBalancer) {
		t.Errorf("without a mapping: %+v %v", got, err)
	}
	w.Reload(t, func(c *config.Config) { c.Targets = all })
	ok("tcp", "")

	// A stage variable that names another link, or none.
	stage := func(value string) {
		t.Helper()
		if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace("/variables/link", value)}); err != nil {
			t.Fatal(err)
		}
	}
	stage("absent")
	broken("variable", noLink)
	ok("tls", "")
	stage(*v2.VpcLinkId) // which would need an integrationTarget
	broken("variable", noLink)
	stage(*link.Id)
	ok("variable", "")
}

// The guide's commands, by the AWS CLI, make links of both versions and
// integrations that serve by them.
func TestVPCLinksGuide(t *testing.T) {
	Need(t, "aws")
	w := newInside(t).start(t)
	api := w.linkedAPI(t, map[string]apigateway.PutIntegrationInput{"pets": {Uri: aws.String("https://elsewhere.example/")}})
	resources, err := w.API.GetResources(t.Context(), &apigateway.GetResourcesInput{RestApiId: &api})
	if err != nil {
		t.Fatal(err)
	}
	var pets, link string
	for _, r := range resources.Items {
		if *r.Path == "/pets" {
			pets = *r.Id
		}
	}
	guide, err := os.ReadFile("../../docs/vpc-links.md")
	if err != nil {
		t.Fatal(err)
	}
	served := []string{"GET / host=pets.example.com sni=pets.example.com", "GET / host=cats.example.com sni=none"}
	for command := range strings.Lines(strings.ReplaceAll(string(guide), "\\\n", " ")) {
		args, ok := strings.CutPrefix(command, "    aws ")
		if !ok {
			continue
		}
		out, err := w.AWS(t, strings.Fields(strings.NewReplacer(" API ", " "+api+" ", " RESOURCE ", " "+pets+" ", " LINK", " "+link).Replace(args))...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(args, "create-vpc-link") {
			link = strings.TrimSpace(out)
			continue
		}
		w.Deploy(t, api)
		w.get(t, "REGIONAL", "https://"+w.Host(api)+"/prod/pets").is(t, args, 200, "", served[0])
		served = served[1:]
	}
	if len(served) > 0 {
		t.Errorf("not in the guide: %s", served)
	}
}

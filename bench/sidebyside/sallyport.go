//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/pki"
)

// policy permits what the peers are set to, and X25519MLKEM768.
const policy = types.SecurityPolicySecurityPolicyTls1312Pq202509

// accessLogFormat is the Common Log Format as the API Gateway console offers it.
const accessLogFormat = `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.httpMethod $context.path $context.protocol" $context.status $context.responseLength $context.requestId`

// findSallyport builds the working tree.
func findSallyport(ctx context.Context, h *house) (string, string, error) {
	program := filepath.Join(h.dir, "sallyport")
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/sallyport")
	build.Dir = h.source
	if out, err := build.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build sallyport: %w\n%s", err, tail(out, 2<<10))
	}
	git := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude", "*")
	git.Dir = h.source
	revision, err := git.Output()
	if err != nil {
		return program, "this tree", nil // an unpacked archive has no revision
	}
	return program, strings.TrimSpace(string(revision)), nil
}

// launchSallyport starts the program and configures it as a user would, through
// its API: two imported certificates, two domain names, one API.
func launchSallyport(ctx context.Context, p placing) (*process, string, error) {
	data := filepath.Join(p.dir, "data")
	cmd := p.cores.command(p.program, "serve", "--data-dir", data, "--admin", "127.0.0.1:0",
		"--listen", "REGIONAL=127.0.0.1:0", "--listen", "EDGE=127.0.0.1:0", "--listen", "PRIVATE=127.0.0.1:0",
		"--allow-backend", "127.0.0.0/8", "--trust-bundle", p.rootsFile())
	cmd.Dir = p.dir
	child, err := start(p.name, p.dir, cmd)
	if err != nil {
		return nil, "", err
	}
	var runtime struct {
		Admin, Credentials string
		Listeners          map[string]string
	}
	err = child.ready(ctx, func() error {
		text, err := os.ReadFile(filepath.Join(data, "runtime.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &runtime)
	})
	if err == nil {
		err = configure(ctx, p.house, runtime.Admin, runtime.Credentials)
	}
	if err != nil {
		child.stop()
		return nil, "", err
	}
	return child, runtime.Listeners["REGIONAL"], nil
}

func configure(ctx context.Context, h *house, admin, keys string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	found, err := pki.EnsureCredentials(keys)
	if err != nil {
		return err
	}
	key := credentials.NewStaticCredentialsProvider(found[0].AccessKeyID, found[0].SecretAccessKey, "")
	certificates := acm.New(acm.Options{Region: "us-east-1", BaseEndpoint: aws.String(admin), Credentials: key})
	apis := apigateway.New(apigateway.Options{Region: "us-east-1", BaseEndpoint: aws.String(admin), Credentials: key})

	regional := &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}
	api, err := apis.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("bench"), EndpointConfiguration: regional,
		SecurityPolicy: policy, EndpointAccessMode: types.EndpointAccessModeStrict})
	if err != nil {
		return err
	}
	for path := range bodies {
		backend := "http://" + h.backend.Plain
		if path == tlsPath {
			backend = "https://" + h.backend.TLS
		}
		resource, err := apis.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(path[1:])})
		if err != nil {
			return err
		}
		if _, err := apis.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: resource.Id,
			HttpMethod: aws.String("ANY"), AuthorizationType: aws.String("NONE")}); err != nil {
			return err
		}
		if _, err := apis.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: resource.Id, HttpMethod: aws.String("ANY"),
			IntegrationHttpMethod: aws.String("ANY"), Type: types.IntegrationTypeHttpProxy, Uri: aws.String(backend + path)}); err != nil {
			return err
		}
	}
	stage := aws.String("prod")
	if _, err := apis.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: stage}); err != nil {
		return err
	}
	if _, err := apis.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: api.Id, StageName: stage, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/accessLogSettings/destinationArn"), Value: aws.String("arn:aws:logs:us-east-1:000000000000:log-group:bench")},
		{Op: types.OpReplace, Path: aws.String("/accessLogSettings/format"), Value: aws.String(accessLogFormat)},
	}}); err != nil {
		return err
	}
	for _, name := range []string{ecdsaName, rsaName} {
		imported, err := certificates.ImportCertificate(ctx, &acm.ImportCertificateInput{
			Certificate: h.leaves[name].certificatePEM, PrivateKey: h.leaves[name].keyPEM, CertificateChain: h.roots})
		if err != nil {
			return err
		}
		if _, err := apis.CreateDomainName(ctx, &apigateway.CreateDomainNameInput{DomainName: aws.String(name), RegionalCertificateArn: imported.CertificateArn,
			EndpointConfiguration: regional, SecurityPolicy: policy, EndpointAccessMode: types.EndpointAccessModeStrict}); err != nil {
			return err
		}
		if _, err := apis.CreateBasePathMapping(ctx, &apigateway.CreateBasePathMappingInput{DomainName: aws.String(name), RestApiId: api.Id, Stage: stage}); err != nil {
			return err
		}
	}
	return nil
}

package quickstart

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/tlspolicy"
)

const (
	apiName   = "sallyport-quickstart"
	stageName = "prod"
	policy    = types.SecurityPolicySecurityPolicyTls1313202509
)

// Install makes the example API through the wire API, or, on a later start
// with the same data folder, points the one that is there at today's backends.
// It returns the text to print: at most fifteen lines.
func (f *Farm) Install(ctx context.Context, r gateway.Runtime, c config.Config) (string, error) {
	client, err := clientFor(r, c.Region)
	if err != nil {
		return "", err
	}
	id, err := findAPI(ctx, client)
	if err == nil && id == "" {
		id, err = f.create(ctx, client)
	}
	if err == nil {
		err = f.deploy(ctx, client, id)
	}
	if err != nil {
		return "", err
	}
	// As it is now: on a later start its owner may have changed it.
	api, err := client.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &id})
	if err != nil {
		return "", err
	}
	return f.guide(r, c, api), nil
}

func clientFor(r gateway.Runtime, region string) (*apigateway.Client, error) {
	found, err := pki.EnsureCredentials(r.Credentials)
	if err != nil {
		return nil, err
	}
	key := found[0]
	return apigateway.New(apigateway.Options{
		Region:       region,
		BaseEndpoint: aws.String(r.Admin),
		Credentials:  credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	}), nil
}

// findAPI returns the id of the example API, "" when it is not there.
func findAPI(ctx context.Context, client *apigateway.Client) (string, error) {
	pages := apigateway.NewGetRestApisPaginator(client, &apigateway.GetRestApisInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, api := range page.Items {
			if aws.ToString(api.Name) == apiName {
				return aws.ToString(api.Id), nil
			}
		}
	}
	return "", nil
}

// create makes the API with one resource per backend. Each integration finds
// its backend's address in a stage variable, since ports differ per start.
func (f *Farm) create(ctx context.Context, client *apigateway.Client) (string, error) {
	api, err := client.CreateRestApi(ctx, &apigateway.CreateRestApiInput{
		Name:                  aws.String(apiName),
		Description:           aws.String("Example of the quickstart: one resource per local backend"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
		SecurityPolicy:        policy,
		EndpointAccessMode:    types.EndpointAccessModeStrict,
	})
	if err != nil {
		return "", err
	}
	for _, b := range backends {
		res, err := client.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: aws.String(b.name)})
		if err != nil {
			return "", err
		}
		if _, err := client.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id,
			HttpMethod: aws.String("ANY"), AuthorizationType: aws.String("NONE")}); err != nil {
			return "", err
		}
		if _, err := client.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: res.Id,
			HttpMethod: aws.String("ANY"), IntegrationHttpMethod: aws.String("ANY"), Type: types.IntegrationTypeHttpProxy,
			Uri: aws.String("https://${stageVariables." + b.name + "}/" + b.name)}); err != nil {
			return "", err
		}
	}
	return aws.ToString(api.Id), nil
}

// deploy points the stage at today's backends, deploying the API first where
// there is no stage yet.
func (f *Farm) deploy(ctx context.Context, client *apigateway.Client, id string) error {
	var ops []types.PatchOperation
	for _, b := range backends {
		ops = append(ops, types.PatchOperation{Op: types.OpReplace, Path: aws.String("/variables/" + b.name), Value: aws.String(f.addresses[b.name])})
	}
	_, err := client.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: aws.String(id), StageName: aws.String(stageName), PatchOperations: ops})
	if missing := (*types.NotFoundException)(nil); errors.As(err, &missing) {
		_, err = client.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{
			RestApiId: aws.String(id), StageName: aws.String(stageName), Variables: f.addresses,
		})
	}
	return err
}

func (f *Farm) guide(r gateway.Runtime, c config.Config, api *apigateway.GetRestApiOutput) string {
	_, port, _ := net.SplitHostPort(r.Listeners["REGIONAL"])
	// curl knows by itself where a name below localhost is.
	suffix, connect := "localhost", ""
	if !slices.Contains(c.DomainSuffixes, suffix) {
		suffix, connect = c.DomainSuffixes[0], "--connect-to ::"+r.Listeners["REGIONAL"]+" "
	}
	url := fmt.Sprintf("https://%s.execute-api.%s.%s:%s/%s", aws.ToString(api.Id), c.Region, suffix, port, stageName)
	curl := "curl " + connect + "--cacert " + r.CA
	var bad []string
	for _, b := range backends[1:] {
		bad = append(bad, "/"+b.name)
	}
	refused := "Its policy refuses no version of TLS; name a stricter one with aws apigateway update-rest-api.\n"
	if version := refusedVersion(string(api.SecurityPolicy)); version != "" {
		refused = fmt.Sprintf("This is refused in the handshake, because that policy has no TLS %s:\n  %s --tls-max %[1]s %[3]s/good\n", version, curl, url)
	}
	mode := strings.ToLower(string(api.EndpointAccessMode))
	if mode == "" {
		mode = "no access mode"
	}
	return fmt.Sprintf(`Sallyport is ready. Control plane %s; first gate: regional %s, edge %s, private %s
Logs are in %s; stop with Ctrl-C.

Point the AWS CLI and SDKs at it:
  export AWS_ENDPOINT_URL=%[1]s AWS_SHARED_CREDENTIALS_FILE=%[6]s AWS_PROFILE=default AWS_REGION=%[7]s AWS_DEFAULT_REGION=%[7]s
  aws apigateway get-rest-apis

This works (%[8]s, %[9]s):
  %[10]s %[11]s/good
%[12]sBackends that the second gate refuses, each for its own reason: %[13]s
`, r.Admin, r.Listeners["REGIONAL"], r.Listeners["EDGE"], r.Listeners["PRIVATE"], filepath.Join(c.DataDir, "logs"),
		r.Credentials, c.Region, api.SecurityPolicy, mode, curl, url, refused, strings.Join(bad, " "))
}

// refusedVersion is the newest version of TLS, as curl writes it, that the
// policy does not have; "" when it has them all.
func refusedVersion(policy string) string {
	p, ok := tlspolicy.Lookup(policy, false)
	if !ok {
		return ""
	}
	switch p.Min {
	case tls.VersionTLS13:
		return "1.2"
	case tls.VersionTLS12:
		return "1.1"
	case tls.VersionTLS11:
		return "1.0"
	}
	return ""
}

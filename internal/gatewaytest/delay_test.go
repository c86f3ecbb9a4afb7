package gatewaytest

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
)

// accepts12 reports whether a client of TLS 1.2 is let in under host.
func (w *World) accepts12(host string) bool {
	conn, err := w.Dial("REGIONAL", &tls.Config{ServerName: host, MaxVersion: tls.VersionTLS12})
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// A change that is on its way outlives a restart, even one without the delay;
// what is deleted takes its change along, so that a namesake begins afresh.
func TestRestartWhileUpdating(t *testing.T) {
	const name = "delayed.api.example"
	dir := t.TempDir() // outlives the first gateway
	var c config.Config
	var api string
	enhanced := Replace("/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC")
	t.Run("change", func(t *testing.T) {
		w := Start(t, func(c *config.Config) {
			c.PropagationDelay, c.DataDir, c.SealKey = time.Hour, dir, filepath.Join(dir, "seal.key")
		})
		c = w.Config
		api = w.MockAPI(t, types.EndpointTypeRegional, "", "")
		w.createDomain(t, name, api, "TLS_1_2", "")
		if _, err := w.API.UpdateRestApi(t.Context(), &apigateway.UpdateRestApiInput{RestApiId: &api, PatchOperations: enhanced}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.API.UpdateDomainName(t.Context(), &apigateway.UpdateDomainNameInput{DomainName: aws.String(name), PatchOperations: enhanced}); err != nil {
			t.Fatal(err)
		}
	})
	if t.Failed() {
		return
	}
	c.PropagationDelay = 0
	w := run(t, c)
	ctx := t.Context()
	gotAPI, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
	if err != nil || gotAPI.ApiStatus != types.ApiStatusUpdating || !w.accepts12(w.Host(api)) {
		t.Errorf("API after the restart: %+v %v, old rule in force %v", gotAPI, err, w.accepts12(w.Host(api)))
	}
	gotName, err := w.API.GetDomainName(ctx, &apigateway.GetDomainNameInput{DomainName: aws.String(name)})
	if err != nil || gotName.DomainNameStatus != types.DomainNameStatusUpdating {
		t.Errorf("domain name after the restart: %+v %v", gotName, err)
	}

	if _, err := w.API.DeleteDomainName(ctx, &apigateway.DeleteDomainNameInput{DomainName: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.DeleteRestApi(ctx, &apigateway.DeleteRestApiInput{RestApiId: &api}); err != nil {
		t.Fatal(err)
	}
	var missing *types.NotFoundException
	if _, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api}); !asError(err, &missing) {
		t.Errorf("the deleted API: %v", err)
	}
	again := w.MockAPI(t, types.EndpointTypeRegional, "SecurityPolicy_TLS13_1_3_2025_09", "BASIC")
	w.createDomain(t, name, again, "SecurityPolicy_TLS13_1_3_2025_09", "BASIC")
	gotName, err = w.API.GetDomainName(ctx, &apigateway.GetDomainNameInput{DomainName: aws.String(name)})
	if err != nil || gotName.DomainNameStatus != types.DomainNameStatusAvailable || w.accepts12(name) {
		t.Errorf("its namesake: %+v %v, the old rule of the deleted one in force %v", gotName, err, w.accepts12(name))
	}
}

// createDomain makes a regional custom domain name for api's stage prod.
func (w *World) createDomain(t *testing.T, name, api string, policy types.SecurityPolicy, mode types.EndpointAccessMode) {
	t.Helper()
	if _, err := w.API.CreateDomainName(t.Context(), &apigateway.CreateDomainNameInput{
		DomainName: &name, RegionalCertificateArn: aws.String(w.importCertificate(t, name, pki.ECDSAP256)),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
		SecurityPolicy:        policy, EndpointAccessMode: mode,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.CreateBasePathMapping(t.Context(), &apigateway.CreateBasePathMappingInput{DomainName: &name, RestApiId: &api, Stage: aws.String("prod")}); err != nil {
		t.Fatal(err)
	}
}

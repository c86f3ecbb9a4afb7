package apigateway_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	sdk "github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/controlplane/controlplanetest"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

func generate(t testing.TB, g *controlplanetest.Gateway) string {
	t.Helper()
	return *must(g.API.GenerateClientCertificate(ctx, &sdk.GenerateClientCertificateInput{}))(t).ClientCertificateId
}

// attach sets a stage's client certificate; "" detaches.
func attach(g *controlplanetest.Gateway, api *string, stage, id string) error {
	_, err := g.API.UpdateStage(ctx, &sdk.UpdateStageInput{RestApiId: api, StageName: &stage, PatchOperations: []types.PatchOperation{replace("/clientCertificateId", id)}})
	return err
}

// deployed is an API with these stages.
func deployed(t testing.TB, g *controlplanetest.Gateway, stages ...string) *string {
	t.Helper()
	api := createAPI(t, g, "pets")
	withMethod(t, g, api)
	for _, s := range stages {
		deploy(t, g, api.Id, s)
	}
	return api.Id
}

func TestClientCertificate(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	made := must(g.API.GenerateClientCertificate(ctx, &sdk.GenerateClientCertificateInput{Description: aws.String("to pets"), Tags: map[string]string{"team": "a"}}))(t)
	id := *made.ClientCertificateId
	block, rest := pem.Decode([]byte(*made.PemEncodedCertificate))
	if block == nil || len(rest) > 0 {
		t.Fatalf("PEM %q", *made.PemEncodedCertificate)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(id) != 6 || *made.Description != "to pets" || !made.CreatedDate.Equal(leaf.NotBefore) || !made.ExpirationDate.Equal(leaf.NotAfter) ||
		leaf.NotAfter.Sub(leaf.NotBefore) != 365*24*time.Hour || time.Since(*made.CreatedDate).Abs() > time.Minute {
		t.Errorf("made %+v", made)
	}
	got := must(g.API.GetClientCertificate(ctx, &sdk.GetClientCertificateInput{ClientCertificateId: &id}))(t)
	if *got.PemEncodedCertificate != *made.PemEncodedCertificate || got.Tags["team"] != "a" {
		t.Errorf("got %+v", got)
	}
	updated := must(g.API.UpdateClientCertificate(ctx, &sdk.UpdateClientCertificateInput{ClientCertificateId: &id, PatchOperations: []types.PatchOperation{replace("/description", "")}}))(t)
	if updated.Description != nil || !updated.ExpirationDate.Equal(*made.ExpirationDate) {
		t.Errorf("updated %+v", updated)
	}
	_, err = g.API.UpdateClientCertificate(ctx, &sdk.UpdateClientCertificateInput{ClientCertificateId: &id, PatchOperations: []types.PatchOperation{replace("/pemEncodedCertificate", "x")}})
	refused(t, err, "BadRequestException", "Invalid patch path  '/pemEncodedCertificate' specified for op 'replace'. Must be one of: [/description]")

	arn := aws.String("arn:aws:apigateway:us-east-1::/clientcertificates/" + id)
	must(g.API.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"env": "b"}}))(t)
	must(g.API.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}))(t)
	if tags := must(g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: arn}))(t).Tags; len(tags) != 1 || tags["env"] != "b" {
		t.Errorf("tags %v", tags)
	}

	// The key opens with its context and is the certificate's; it is nowhere else.
	var material resource.Material
	if _, ok, err := g.Server.Get(ctx, resource.ClientMaterialKey(id), &material); !ok || err != nil {
		t.Fatalf("material: %t %v", ok, err)
	}
	der, err := g.Server.Options().Sealer.Open(id, material.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.ParseCertificate([]byte(material.Certificate), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil, time.Now()); err != nil || material.Certificate != *made.PemEncodedCertificate {
		t.Errorf("material: %v", err)
	}
	docs, _, err := g.Store.List(ctx, store.Range{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if bytes.Contains(d.Value, der[len(der)-32:]) || bytes.Contains(d.Value, []byte("PRIVATE KEY")) {
			t.Errorf("%s holds the key", d.Key)
		}
	}

	must(g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &id}))(t)
	if left := slices.Concat(keys(t, g, resource.PrefixClientCertificates), keys(t, g, resource.PrefixClientMaterial), keys(t, g, resource.ClientCertificateMarker(id))); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	imported := importCertificate(t, g, pki.LeafOptions{Client: true})
	for _, id := range []string{id, "nosuch", imported, "A/../b"} {
		_, err := g.API.GetClientCertificate(ctx, &sdk.GetClientCertificateInput{ClientCertificateId: &id})
		refused(t, err, "NotFoundException", "Invalid client certificate identifier specified")
		_, err = g.API.UpdateClientCertificate(ctx, &sdk.UpdateClientCertificateInput{ClientCertificateId: &id, PatchOperations: []types.PatchOperation{replace("/description", "x")}})
		refused(t, err, "NotFoundException", "Invalid client certificate identifier specified")
		_, err = g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &id})
		refused(t, err, "NotFoundException", "Invalid client certificate identifier specified")
	}
	_, err = g.API.GetTags(ctx, &sdk.GetTagsInput{ResourceArn: arn})
	refused(t, err, "NotFoundException", "client certificate")
}

// importCertificate imports a certificate that clients could present, unless
// opts say otherwise, and returns its ARN.
func importCertificate(t testing.TB, g *controlplanetest.Gateway, opts pki.LeafOptions) string {
	t.Helper()
	opts.Names = []string{"gateway.example.com"}
	authority := must(pki.NewAuthority("test root"))(t)
	leaf := must(authority.Leaf(opts))(t)
	return *must(g.ACM.ImportCertificate(ctx, &acm.ImportCertificateInput{Certificate: leaf.CertificatePEM(), PrivateKey: must(leaf.KeyPEM())(t), CertificateChain: leaf.ChainPEM()}))(t).CertificateArn
}

// At most 60, also when many ask at once; the pages hold them all.
func TestClientCertificateQuota(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	var made []string
	if _, err := g.Server.Change(ctx, func(c *controlplane.Change) error {
		for i := range 57 {
			made = append(made, fmt.Sprintf("cert%02d", i))
			c.Create(resource.ClientCertificateKey(made[i]), types.ClientCertificate{ClientCertificateId: &made[i]})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var callers sync.WaitGroup
	full := 0
	for range 8 {
		callers.Go(func() {
			out, err := g.API.GenerateClientCertificate(ctx, &sdk.GenerateClientCertificateInput{})
			mu.Lock()
			defer mu.Unlock()
			var e smithy.APIError
			switch {
			case err == nil:
				made = append(made, *out.ClientCertificateId)
			case errors.As(err, &e) && e.ErrorCode() == "LimitExceededException" && strings.Contains(e.ErrorMessage(), "The limit is 60."):
				full++
			default:
				t.Error(err)
			}
		})
	}
	callers.Wait()
	slices.Sort(made)
	if len(made) != 60 || full != 5 || len(slices.Compact(made)) != 60 {
		t.Errorf("%d made, %d refused", len(made), full)
	}
	var listed []string
	pages := 0
	for p := sdk.NewGetClientCertificatesPaginator(g.API, &sdk.GetClientCertificatesInput{Limit: aws.Int32(25)}); p.HasMorePages(); pages++ {
		for _, c := range must(p.NextPage(ctx))(t).Items {
			listed = append(listed, *c.ClientCertificateId)
		}
	}
	if !slices.Equal(listed, made) || pages != 3 {
		t.Errorf("%d listed on %d pages", len(listed), pages)
	}
	must(g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &made[0]}))(t)
	generate(t, g)
}

func TestAttachClientCertificate(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := deployed(t, g, "prod", "test")
	a, b := generate(t, g), generate(t, g)
	rotation := func() string {
		t.Helper()
		var r resource.Rotation
		if _, _, err := g.Server.Get(ctx, resource.RotationKey(*api, "prod"), &r); err != nil {
			t.Fatal(err)
		}
		return r.Previous
	}
	step := func(what, id, previous string) {
		t.Helper()
		if err := attach(g, api, "prod", id); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := must(g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api, StageName: aws.String("prod")}))(t).ClientCertificateId
		if aws.ToString(got) != id || rotation() != previous {
			t.Errorf("%s: the stage has %q and was %q, want %q and %q", what, aws.ToString(got), rotation(), id, previous)
		}
	}
	step("attach", a, "")
	step("the same again", a, "")
	step("replace", b, a)
	for _, bad := range []struct{ id, says string }{
		{"nosuch", "Client certificate id nosuch does not exist"},
		{"A/../b", "Client certificate id A/../b does not exist"},
		{"arn:aws:acm:us-east-1:000000000000:certificate/" + "0a1b2c3d-0000-0000-0000-000000000000", "does not exist"},
		{"arn:aws:apigateway:us-east-1::/clientcertificates/" + a, "does not exist"},
		{importCertificate(t, g, pki.LeafOptions{}), "its extended key usage must include clientAuth"},
	} {
		before := g.Revision(t)
		refused(t, attach(g, api, "prod", bad.id), "BadRequestException", bad.says)
		if g.Revision(t) != before {
			t.Errorf("%s: something was written", bad.id)
		}
	}
	step("the rotation goes on", b, a)
	step("back", a, b)
	step("and forth", b, a)
	step("detach", "", "")
	step("attach after that", a, "")
	step("replace", b, a)

	// Nobody deletes what a stage shows; the one before may go, and with it the rotation.
	_, err := g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &b})
	refused(t, err, "ConflictException", "Client certificate "+b+" is in use by arn:aws:apigateway:us-east-1::/restapis/"+*api+"/stages/prod")
	must(g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &a}))(t)
	if rotation() != "" {
		t.Errorf("still shows the deleted %s", rotation())
	}
	// A deployment to the stage leaves it alone.
	c := generate(t, g)
	step("replace", c, b)
	deploy(t, g, api, "prod")
	step("deploy", c, b)
	must(g.API.DeleteStage(ctx, &sdk.DeleteStageInput{RestApiId: api, StageName: aws.String("prod")}))(t)
	if left := keys(t, g, resource.PrefixRotations); len(left) > 0 {
		t.Errorf("a deleted stage leaves %v", left)
	}
	must(g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &c}))(t)

	// An API goes with its rotations.
	d := generate(t, g)
	for _, id := range []string{b, d} {
		if err := attach(g, api, "test", id); err != nil {
			t.Fatal(err)
		}
	}
	must(g.API.DeleteRestApi(ctx, &sdk.DeleteRestApiInput{RestApiId: api}))(t)
	if left := keys(t, g, resource.PrefixRotations); len(left) > 0 {
		t.Errorf("a deleted API leaves %v", left)
	}

	// An expired one is not attached any more.
	api = deployed(t, g, "prod")
	if _, err := g.Server.Change(ctx, func(c *controlplane.Change) error {
		var doc types.ClientCertificate
		_, err := c.Get(resource.ClientCertificateKey(b), &doc)
		doc.ExpirationDate = aws.Time(time.Now().Add(-time.Minute))
		c.Put(resource.ClientCertificateKey(b), doc)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	refused(t, attach(g, api, "prod", b), "BadRequestException", "Client certificate "+b+" expired at ")
}

// ACM's certificates: in use by the stages that show them, also when they are
// imported again.
func TestAttachACMCertificate(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := deployed(t, g, "prod")
	stage := "arn:aws:apigateway:us-east-1::/restapis/" + *api + "/stages/prod"
	client := pki.LeafOptions{Client: true}
	arn, next := importCertificate(t, g, client), importCertificate(t, g, client)
	if err := attach(g, api, "prod", arn); err != nil {
		t.Fatal(err)
	}
	users := must(g.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn}))(t).Certificate.InUseBy
	if !slices.Equal(users, []string{stage}) {
		t.Errorf("in use by %v", users)
	}
	_, err := g.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &arn})
	refused(t, err, "ResourceInUseException", stage)

	// Imported again, it must still do.
	authority := must(pki.NewAuthority("test root"))(t)
	for range 7 {
		authority = must(authority.Intermediate("lower"))(t)
	}
	client.Names = []string{"gateway.example.com"}
	long := must(authority.Leaf(client))(t)
	again := &acm.ImportCertificateInput{CertificateArn: &arn, Certificate: long.CertificatePEM(), PrivateKey: must(long.KeyPEM())(t), CertificateChain: long.ChainPEM()}
	_, err = g.ACM.ImportCertificate(ctx, again)
	refused(t, err, "ValidationException", "its chain has 7 certificates; the limit is 5")
	if err := attach(g, api, "prod", next); err != nil {
		t.Fatal(err)
	}
	must(g.ACM.ImportCertificate(ctx, again))(t) // nobody shows it now
	if err := attach(g, api, "prod", arn); err == nil {
		t.Error("a chain of 7 is attached")
	}
	if left := keys(t, g, resource.RotationKey(*api, "prod")); len(left) != 1 {
		t.Errorf("rotations %v", left)
	}
	must(g.ACM.DeleteCertificate(ctx, &acm.DeleteCertificateInput{CertificateArn: &arn}))(t)
	if left := keys(t, g, resource.PrefixRotations); len(left) > 0 {
		t.Errorf("still shows a deleted certificate: %v", left)
	}
}

// A certificate of a client has a common name and no more: ACM takes it, stages
// show it, and no domain name is served with it.
func TestCommonNameOnly(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := deployed(t, g, "prod")
	authority := must(pki.NewAuthority("test root"))(t)
	leaf := must(authority.Leaf(pki.LeafOptions{CommonName: "gateway.example.com", Client: true}))(t)
	arn := must(g.ACM.ImportCertificate(ctx, &acm.ImportCertificateInput{Certificate: leaf.CertificatePEM(), PrivateKey: must(leaf.KeyPEM())(t)}))(t).CertificateArn
	if err := attach(g, api, "prod", *arn); err != nil {
		t.Error(err)
	}
	d := must(g.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: arn}))(t).Certificate
	if *d.DomainName != "gateway.example.com" || len(d.SubjectAlternativeNames) != 0 {
		t.Errorf("%s and %v", *d.DomainName, d.SubjectAlternativeNames)
	}
	_, err := g.API.CreateDomainName(ctx, &sdk.CreateDomainNameInput{DomainName: aws.String("gateway.example.com"), RegionalCertificateArn: arn, EndpointConfiguration: regional()})
	refused(t, err, "BadRequestException", "does not cover the domain name gateway.example.com")
}

// Deleting a certificate and attaching it at the same moment: one of the two
// loses, and no stage names, or goes on showing, what is not there.
func TestAttachDeleteRace(t *testing.T) {
	g := controlplanetest.Start(t, nil)
	api := deployed(t, g, "prod")
	for i := range 10 {
		old, id := generate(t, g), generate(t, g)
		if err := attach(g, api, "prod", old); err != nil {
			t.Fatal(err)
		}
		// Odd rounds race for the certificate that comes, even ones for the one that goes.
		victim := id
		if i%2 == 0 {
			victim = old
		}
		var attached, deleted error
		var both sync.WaitGroup
		both.Go(func() { attached = attach(g, api, "prod", id) })
		both.Go(func() {
			_, deleted = g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &victim})
		})
		both.Wait()
		have := keys(t, g, resource.PrefixClientMaterial)
		named := []string{aws.ToString(must(g.API.GetStage(ctx, &sdk.GetStageInput{RestApiId: api, StageName: aws.String("prod")}))(t).ClientCertificateId)}
		var r resource.Rotation
		if _, ok, err := g.Server.Get(ctx, resource.RotationKey(*api, "prod"), &r); err != nil {
			t.Fatal(err)
		} else if ok {
			named = append(named, r.Previous)
		}
		for _, n := range named {
			if !slices.Contains(have, resource.ClientMaterialKey(n)) {
				t.Fatalf("round %d: the stage shows %s, which is deleted (attach: %v, delete: %v)", i, n, attached, deleted)
			}
		}
		if victim == id && attached == nil && deleted == nil {
			t.Fatalf("round %d: both happened", i)
		}
		if err := attach(g, api, "prod", ""); err != nil {
			t.Fatal(err)
		}
		for _, k := range keys(t, g, resource.PrefixClientCertificates) {
			id := strings.TrimPrefix(k, resource.PrefixClientCertificates)
			must(g.API.DeleteClientCertificate(ctx, &sdk.DeleteClientCertificateInput{ClientCertificateId: &id}))(t)
		}
	}
	if left := fmt.Sprint(keys(t, g, resource.PrefixRotations), keys(t, g, resource.PrefixMarkers+"clientcertificates/")); left != "[] []" {
		t.Errorf("left behind: %s", left)
	}
}

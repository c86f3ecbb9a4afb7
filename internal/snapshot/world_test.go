package snapshot

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// world is a compiler on a real store in a file.
type world struct {
	testing.TB
	*Compiler
	st     *bolt.Store
	sealer *pki.Sealer
	o      Options
}

// newWorld opens a compiler on a store that holds docs already.
func newWorld(t testing.TB, change func(*Options), docs ...store.Put) *world {
	t.Helper()
	return newWorldOn(t, bolt.Options{}, change, docs...)
}

func newWorldOn(t testing.TB, engine bolt.Options, change func(*Options), docs ...store.Put) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := bolt.Open(filepath.Join(dir, "store"), engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	sealer, err := pki.OpenSealKey(filepath.Join(dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, st: st, sealer: sealer, o: Options{
		Node: "node", Region: "us-east-1", Account: "000000000000", Suffixes: []string{"localhost", "amazonaws.com"},
		Sealer: sealer, DefaultCertificates: []*tls.Certificate{defaultCertificate},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}}
	if change != nil {
		change(&w.o)
	}
	if len(docs) > 0 {
		if _, err := st.Commit(t.Context(), store.Change{Puts: docs}); err != nil {
			t.Fatal(err)
		}
	}
	w.open()
	return w
}

func (w *world) open() {
	w.Helper()
	var err error
	if w.Compiler, err = Open(w.Context(), w.st, w.o); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.Compiler.Close)
}

// commit commits and returns once the revision is served.
func (w *world) commit(c store.Change) store.Revision {
	w.Helper()
	rev, err := w.st.Commit(w.Context(), c)
	if err != nil {
		w.Fatal(err)
	}
	w.served(rev)
	return rev
}

func (w *world) served(rev store.Revision) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	if err := w.st.WaitServed(ctx, rev); err != nil {
		w.Fatalf("revision %d is not served: %v", rev, err)
	}
	if got := w.Current().Revision(); got < rev {
		w.Fatalf("revision %d was reported, the snapshot has %d", rev, got)
	}
}

func (w *world) put(docs ...store.Put) store.Revision {
	w.Helper()
	return w.commit(store.Change{Puts: docs})
}

// fault returns the reason why key does not compile, "" when it does.
func (w *world) fault(key string) (Fault, bool) {
	for _, f := range w.Current().Faults() {
		if f.Key == key {
			return f, true
		}
	}
	return Fault{}, false
}

func (w *world) wantFault(key, reason string, serving bool) {
	w.Helper()
	f, ok := w.fault(key)
	if !ok || !strings.Contains(f.Reason, reason) || f.Serving != serving {
		w.Errorf("fault of %s: %+v, want reason %q, serving %t", key, f, reason, serving)
	}
}

func (w *world) wantNoFaults() {
	w.Helper()
	for _, f := range w.Current().Faults() {
		w.Errorf("fault: %+v", f)
	}
}

// doc makes a put of an SDK document or one of resource's own.
func doc(key string, v any) store.Put {
	var value []byte
	var err error
	switch v := v.(type) {
	case []byte:
		value = v
	case resource.Frozen, resource.StageEffect, resource.Transition, resource.Material, resource.Rotation:
		value, err = json.Marshal(v)
	default:
		value, err = awsapi.Marshal(v)
	}
	if err != nil {
		panic(err)
	}
	return store.Put{Key: key, Value: value}
}

const (
	policy13   = "SecurityPolicy_TLS13_1_3_2025_09"
	policyPQ   = "SecurityPolicy_TLS13_1_2_PQ_2025_09"
	policyEdge = "SecurityPolicy_TLS13_2025_EDGE"
)

// apiDoc makes an API's document; mode may be "".
func apiDoc(id, policy, mode string, ends ...types.EndpointType) store.Put {
	return doc(resource.RestAPIKey(id), restAPI(id, policy, mode, ends...))
}

func restAPI(id, policy, mode string, ends ...types.EndpointType) types.RestApi {
	if ends == nil {
		ends = []types.EndpointType{types.EndpointTypeRegional}
	}
	return types.RestApi{
		Id: aws.String(id), Name: aws.String("api " + id), SecurityPolicy: types.SecurityPolicy(policy),
		EndpointAccessMode:    types.EndpointAccessMode(mode),
		EndpointConfiguration: &types.EndpointConfiguration{Types: ends},
	}
}

// method makes a method with a mock integration, changed by change.
func method(verb string, change ...func(*types.Method)) types.Method {
	m := types.Method{
		HttpMethod: aws.String(verb), AuthorizationType: aws.String("NONE"), ApiKeyRequired: aws.Bool(false),
		MethodIntegration: &types.Integration{
			Type: types.IntegrationTypeMock, TimeoutInMillis: 29000, PassthroughBehavior: aws.String("WHEN_NO_MATCH"),
			RequestTemplates:     map[string]string{"application/json": `{"statusCode": 200}`},
			IntegrationResponses: map[string]types.IntegrationResponse{"200": {StatusCode: aws.String("200")}},
		},
		MethodResponses: map[string]types.MethodResponse{"200": {StatusCode: aws.String("200")}},
	}
	for _, f := range change {
		f(&m)
	}
	return m
}

// proxyTo makes the integration an HTTP proxy.
func proxyTo(uri string) func(*types.Method) {
	return func(m *types.Method) {
		m.MethodIntegration = &types.Integration{
			Type: types.IntegrationTypeHttpProxy, HttpMethod: aws.String("ANY"), Uri: aws.String(uri), TimeoutInMillis: 29000,
		}
	}
}

func resourceAt(path string, methods ...types.Method) types.Resource {
	r := types.Resource{Id: aws.String("r" + fmt.Sprint(len(path))), Path: aws.String(path)}
	for _, m := range methods {
		if r.ResourceMethods == nil {
			r.ResourceMethods = make(map[string]types.Method)
		}
		r.ResourceMethods[*m.HttpMethod] = m
	}
	return r
}

// frozenDoc makes the copy that a deployment serves.
func frozenDoc(deployment string, api types.RestApi, resources ...types.Resource) store.Put {
	f := resource.Frozen{RestAPI: doc("", api).Value}
	for _, r := range resources {
		f.Resources = append(f.Resources, doc("", r).Value)
	}
	return doc(resource.FrozenKey(*api.Id, deployment), f)
}

func stageDoc(api, name, deployment string, change ...func(*types.Stage)) store.Put {
	s := types.Stage{StageName: aws.String(name), DeploymentId: aws.String(deployment)}
	for _, f := range change {
		f(&s)
	}
	return doc(resource.StageKey(api, name), s)
}

// deployed is an API with stage "prod" on deployment "d1", which has GET /pets.
func deployed(id string) []store.Put {
	api := restAPI(id, policy13, "BASIC")
	return []store.Put{
		doc(resource.RestAPIKey(id), api),
		frozenDoc("d1", api, resourceAt("/"), resourceAt("/pets", method("GET"))),
		stageDoc(id, "prod", "d1"),
	}
}

func domainDoc(name, policy, mode, certificate string, change ...func(*types.DomainName)) store.Put {
	d := types.DomainName{
		DomainName: aws.String(name), SecurityPolicy: types.SecurityPolicy(policy), EndpointAccessMode: types.EndpointAccessMode(mode),
		EndpointConfiguration:  &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}},
		RegionalCertificateArn: aws.String("arn:aws:acm:us-east-1:000000000000:certificate/" + certificate),
	}
	for _, f := range change {
		f(&d)
	}
	return doc(resource.DomainNameKey(name), d)
}

func mappingDoc(name, basePath, api, stage string) store.Put {
	m := types.BasePathMapping{BasePath: aws.String(basePath), RestApiId: aws.String(api)}
	if stage != "" {
		m.Stage = aws.String(stage)
	}
	return doc(resource.BasePathMappingKey(name, basePath), m)
}

// materialDoc makes a fresh certificate for name under the certificate id.
func (w *world) materialDoc(id, name string) store.Put {
	w.Helper()
	return materialDoc(w.sealer, id, newCertificate(name), nil)
}

// materialDoc seals cert's key, or another one, as the key of certificate id.
func materialDoc(sealer *pki.Sealer, id string, cert *tls.Certificate, key crypto.PrivateKey) store.Put {
	if key == nil {
		key = cert.PrivateKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return doc(resource.MaterialKey(id), resource.Material{
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		Sealed:      sealer.Seal(id, der),
	})
}

var defaultCertificate = newCertificate("*.execute-api.us-east-1.localhost")

func newCertificate(name string) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

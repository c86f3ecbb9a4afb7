package gatewaytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/gateway"
)

// ways are how each backend is asked: one stage for each.
var ways = [4]struct {
	stage             string
	skip, certificate bool
}{
	{"verify", false, false},
	{"verify-certificate", false, true},
	{"skip", true, false},
	{"skip-certificate", true, true},
}

// farmTimeout bounds what a backend may take: handshakes of good ones, also of
// those with huge keys and while other tests run, and each stall in full.
const farmTimeout = 10 * time.Second

// stallTimeout is all that those get that would never answer.
const stallTimeout = 500 * time.Millisecond

// seenWay is what came of asking one backend in one way.
type seenWay struct {
	answer
	verdict      string // in the process log; "" for none
	text         string // $context.integration.error
	responseType string // $context.error.responseType
	visits       []Visit
	took         time.Duration
}

// verdicts collects what the process log says of failed backends.
type verdicts struct {
	slog.Handler
	mu   sync.Mutex
	kind map[string]string // request id -> kind
}

func (v *verdicts) Handle(ctx context.Context, r slog.Record) error {
	var id, kind string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "request_id":
			id = a.Value.String()
		case "kind":
			kind = a.Value.String()
		}
		return true
	})
	if r.Message != "backend failed" {
		return v.Handler.Handle(ctx, r)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kind[strings.Clone(id)] = kind // the id is the request's
	return nil
}

// askFarm makes one API with a resource for each backend, deploys it once
// without and once with insecureSkipVerification, each to a stage without and
// one with a client certificate, and asks every backend in the four ways.
func askFarm(t *testing.T, f *Farm) (seen map[string][]seenWay, ours *x509.Certificate) {
	t.Helper()
	ctx := t.Context()
	process := &verdicts{kind: map[string]string{}}
	w := f.Gateway(t, func(o *gateway.Options) { process.Handler = o.Log.Handler(); o.Log = slog.New(process) })

	client, err := w.API.GenerateClientCertificate(ctx, &apigateway.GenerateClientCertificateInput{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(aws.ToString(client.PemEncodedCertificate)))
	if ours, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	f.Know(ours)

	api, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("farm"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		t.Fatal(err)
	}
	get := aws.String("GET")
	resources := map[string]*string{}
	for _, b := range f.Backends {
		res, err := w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: api.Id, ParentId: api.RootResourceId, PathPart: &b.Name})
		if err != nil {
			t.Fatal(err)
		}
		resources[b.Name] = res.Id
		if _, err := w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: api.Id, ResourceId: res.Id, HttpMethod: get, AuthorizationType: aws.String("NONE")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, way := range ways {
		if !way.certificate {
			for _, b := range f.Backends {
				in := &apigateway.PutIntegrationInput{RestApiId: api.Id, ResourceId: resources[b.Name], HttpMethod: get, IntegrationHttpMethod: get,
					Type: types.IntegrationTypeHttpProxy, Uri: aws.String("https://" + b.Host + "/"), TimeoutInMillis: aws.Int32(int32(farmTimeout.Milliseconds())),
					TlsConfig: &types.TlsConfig{InsecureSkipVerification: way.skip}}
				if b.service.stalls {
					in.TimeoutInMillis = aws.Int32(int32(stallTimeout.Milliseconds()))
				}
				if _, err := w.API.PutIntegration(ctx, in); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: api.Id, StageName: aws.String(way.stage)}); err != nil {
			t.Fatal(err)
		}
		settings := []string{
			"/accessLogSettings/destinationArn", "arn:aws:logs:us-east-1:000000000000:log-group:farm",
			"/accessLogSettings/format", `{"id":"$context.requestId","error":"$context.integration.error","type":"$context.error.responseType"}`,
		}
		if way.certificate {
			settings = append(settings, "/clientCertificateId", aws.ToString(client.ClientCertificateId))
		}
		if _, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: api.Id, StageName: aws.String(way.stage), PatchOperations: Replace(settings...)}); err != nil {
			t.Fatal(err)
		}
	}

	caller := w.HTTP("REGIONAL", nil, true)
	defer caller.CloseIdleConnections()
	ask := func(b *Backend, stage string) (s seenWay) {
		began := time.Now()
		resp, err := caller.Get("https://" + w.Host(*api.Id) + "/" + stage + "/" + b.Name)
		if err != nil {
			t.Error(err)
			return s
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		s.answer = answer{resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), string(body), resp.Header}
		s.took = time.Since(began)
		s.visits = b.Take(t)
		return s
	}
	all := make([][]seenWay, len(f.Backends))
	var asking sync.WaitGroup
	few := make(chan struct{}, 8) // so that each gets its share of the CPU in time
	for i, b := range f.Backends {
		few <- struct{}{}
		asking.Go(func() {
			defer func() { <-few }()
			for _, way := range ways {
				all[i] = append(all[i], ask(b, way.stage))
			}
		})
	}
	asking.Wait()

	// The access log comes within a second.
	type entry struct{ ID, Error, Type string }
	log := map[string]entry{}
	wanted := map[string]bool{}
	for _, four := range all {
		for _, s := range four {
			wanted[s.header.Get("x-amzn-RequestId")] = true
		}
	}
	w.logLine(t, "farm", func(line string) bool {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		log[e.ID] = e
		return len(log) == len(wanted)
	})
	seen = map[string][]seenWay{}
	for i, b := range f.Backends {
		for _, s := range all[i] {
			id := s.header.Get("x-amzn-RequestId")
			process.mu.Lock()
			s.verdict = process.kind[id]
			process.mu.Unlock()
			s.text, s.responseType = log[id].Error, log[id].Type
			seen[b.Name] = append(seen[b.Name], s)
		}
	}
	return seen, ours
}

// outcome is what comes of asking a backend in one way.
type outcome struct {
	verdict      string // in the process log; "" when the backend is believed
	text         string // $context.integration.error, "-" for none; HOST stands for the name that is verified
	status       int    // for the client
	body         string // NAME stands for the backend's name
	errorType    string // x-amzn-ErrorType
	responseType string // $context.error.responseType
}

// AWS's words.
const (
	configuration = "Execution failed due to configuration error: "
	building      = configuration + "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target"
	validation    = configuration + "PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed"
	network       = "Execution failed due to a network error communicating with endpoint"
)

// misconfigured is how all faults of TLS look to the client.
func misconfigured(verdict, text string) outcome {
	return outcome{verdict, text, 500, `{"message": "Internal server error"}`, "InternalServerErrorException", "DEFAULT_5XX"}
}

// otherName is a certificate for another name, with its subject.
func otherName(subject string) outcome {
	return misconfigured("certificate for another name", configuration+"Host name 'HOST' does not match the certificate subject provided by the peer ("+subject+")")
}

// alert is a handshake that failed, by this alert.
func alert(name string) outcome {
	return misconfigured("handshake refused", configuration+"Received fatal alert: "+name)
}

// unwelcome is a client certificate that is missing or not taken.
func unwelcome(name string) outcome {
	return misconfigured("client certificate refused", configuration+"Received fatal alert: "+name)
}

var (
	accepted   = outcome{"", "-", 200, "NAME", "", "-"}
	refused400 = outcome{"", "-", 400, "NAME", "", "-"} // by the backend, in HTTP
	untrusted  = misconfigured("untrusted certificate", building)
	incomplete = misconfigured("incomplete certificate chain", building)
	noRoot     = misconfigured("no root in the certificate chain", building)
	unusable   = misconfigured("unusable certificate", building)
	expired    = misconfigured("expired certificate", validation)
	early      = misconfigured("certificate not yet valid", validation)
	notTLS     = misconfigured("not TLS", configuration+"Unsupported or unrecognized SSL message")
	closed     = outcome{"connection closed", network + ": Connection is closed", 504, `{"message": "Network error communicating with endpoint"}`, "InternalServerErrorException", "INTEGRATION_FAILURE"}
	timedOut   = outcome{"timeout", "Execution failed due to a timeout error", 504, `{"message": "Endpoint request timed out"}`, "InternalServerErrorException", "INTEGRATION_TIMEOUT"}
)

// always is the same in all ways.
func always(o outcome) [4]outcome { return [4]outcome{o, o, o, o} }

// checked differs by insecureSkipVerification.
func checked(without, with outcome) [4]outcome { return [4]outcome{without, without, with, with} }

// asked differs by the client certificate.
func asked(without, with outcome) [4]outcome { return [4]outcome{without, with, without, with} }

// truths say what comes of each backend in each of the ways.
var truths = []struct {
	backend  string
	outcomes [4]outcome
}{
	{"ecdsa-p256", always(accepted)},
	{"ecdsa-p384", always(accepted)},
	{"rsa-2048", always(accepted)},
	{"rsa-8192", always(accepted)},
	{"ed25519", always(accepted)},
	{"intermediate", always(accepted)},
	{"with-root", always(accepted)},
	{"long-chain", always(accepted)},
	{"wildcard", always(accepted)},
	{"ip-address", always(accepted)},
	{"common-name-only", always(accepted)},
	{"ten-thousand-names", always(accepted)},
	{"no-extended-key-usage", always(accepted)},
	{"ca-as-leaf", always(accepted)},
	{"rsa-1024", always(accepted)},

	{"wrong-order", always(accepted)},
	{"unrelated-extra", always(accepted)},
	{"duplicates", always(accepted)},
	{"cross-signed", always(accepted)},
	{"missing-intermediate", checked(incomplete, noRoot)},
	{"private-leaf-alone", checked(incomplete, noRoot)},
	{"loop", checked(incomplete, noRoot)},
	{"labyrinth", always(unusable)},
	{"maze", always(untrusted)},
	{"thirty-certificates", always(unusable)},

	{"untrusted-root", checked(untrusted, accepted)},
	{"self-signed", checked(untrusted, accepted)},
	{"self-signed-ca", checked(untrusted, accepted)},
	{"root-without-key-cert-sign", checked(untrusted, noRoot)},
	{"root-without-basic-constraints", checked(untrusted, noRoot)},
	{"root-ca-false", checked(untrusted, noRoot)},

	{"expired-leaf", always(expired)},
	{"expired-intermediate", always(expired)},
	{"expired-root", always(expired)},
	{"expired-long-ago", always(expired)},
	{"expired-self-signed", checked(untrusted, expired)},
	{"early-leaf", always(early)},
	{"early-intermediate", always(early)},

	{"wrong-host", always(otherName("CN=elsewhere.example, O=\"Elsewhere, Inc.\", C=US"))},
	{"wildcard-too-deep", always(otherName("CN=*.farm.test"))},
	{"common-name-beside", always(otherName("CN=common-name-beside.farm.test"))},
	{"no-names", always(otherName("O=Nameless"))},
	{"wrong-host-self-signed", checked(untrusted, otherName("CN=elsewhere.example"))},

	{"client-usage", always(untrusted)},
	{"path-length", always(untrusted)},
	{"name-constraints", always(untrusted)},
	{"leaf-as-issuer", always(untrusted)},
	{"forged-signature", always(untrusted)},
	{"sha1-signature", always(unusable)},
	{"md5-signature", always(unusable)},
	{"rsa-16384", always(unusable)},
	{"megabyte", always(alert("internal_error"))},
	{"stolen-certificate", always(alert("handshake_failure"))},
	{"ocsp-revoked", always(accepted)}, // revocation is not checked

	{"tls13", always(accepted)},
	{"tls12", always(accepted)},
	{"tls11", always(alert("protocol_version"))},
	{"tls10", always(alert("protocol_version"))},
	{"cbc", always(accepted)},
	{"static-rsa", always(alert("handshake_failure"))},
	{"triple-des", always(alert("handshake_failure"))},

	{"asks", always(accepted)},
	{"asks-then-400", asked(refused400, accepted)},
	{"requires-any-tls12", asked(unwelcome("handshake_failure"), accepted)},
	{"requires-any-tls13", asked(unwelcome("certificate_required"), accepted)},
	{"requires-ours-tls12", asked(unwelcome("handshake_failure"), accepted)},
	{"requires-ours-tls13", asked(unwelcome("certificate_required"), accepted)},
	{"requires-other-tls12", asked(unwelcome("handshake_failure"), unwelcome("unknown_ca"))},
	{"requires-other-tls13", asked(unwelcome("certificate_required"), unwelcome("unknown_ca"))},
	{"refuses-any-tls12", asked(unwelcome("handshake_failure"), unwelcome("bad_certificate"))},
	{"refuses-any-tls13", asked(unwelcome("certificate_required"), unwelcome("bad_certificate"))},

	{"plain-http", always(notTLS)},
	{"ssh", always(notTLS)},
	{"closes-at-connect", always(closed)},
	{"closes-after-hello", always(closed)},
	{"closes-mid-handshake", always(closed)},
	{"resets", always(closed)},
	{"stalls", always(timedOut)},
	{"stalls-mid-handshake", always(timedOut)},
	{"drips", always(timedOut)},
	{"alert-handshake-failure", always(alert("handshake_failure"))},
	{"alert-unrecognized-name", always(alert("unrecognized_name"))},
	{"alert-internal-error", always(alert("internal_error"))},
	{"alert-no-application-protocol", always(alert("no_application_protocol"))},
	{"alert-access-denied", always(unwelcome("access_denied"))},
	{"close-notify", always(closed)},
	{"warnings", always(alert("handshake_failure"))},
	{"huge-record", always(notTLS)},
}

// Every backend of the farm, through the whole gateway, in four ways: the
// verdict, AWS's text, what the client gets, and what reached the backend.
func TestFarm(t *testing.T) {
	f := StartFarm(t)
	if len(f.Backends) != len(truths) {
		t.Errorf("%d backends, %d rows", len(f.Backends), len(truths))
	}
	seen, ours := askFarm(t, f)
	for _, row := range truths {
		t.Run(row.backend, func(t *testing.T) {
			b := f.Backend(t, row.backend)
			for i, way := range ways {
				t.Run(way.stage, func(t *testing.T) {
					checkOutcome(t, b, row.outcomes[i], seen[b.Name][i])
					checkVisit(t, b, row.outcomes[i].verdict == "", way.certificate, seen[b.Name][i].visits, ours)
				})
			}
		})
	}
}

func checkOutcome(t *testing.T, b *Backend, want outcome, got seenWay) {
	host, _, _ := net.SplitHostPort(b.Host)
	for _, c := range []struct{ what, got, want string }{
		{"verdict", got.verdict, want.verdict},
		{"$context.integration.error", got.text, strings.ReplaceAll(want.text, "HOST", host)},
		{"status", strconv.Itoa(got.status), strconv.Itoa(want.status)},
		{"body", got.body, strings.ReplaceAll(want.body, "NAME", b.Name)},
		{"x-amzn-ErrorType", got.errorType, want.errorType},
		{"$context.error.responseType", got.responseType, want.responseType},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, c.got, c.want)
		}
	}
}

// checkVisit looks at what the backend saw. Of a refused request its
// application got nothing. With TLS 1.3 the request may be on the wire by the
// time that the backend refuses the client's certificate, under keys of a
// handshake that the backend never completes: its TLS does not open it.
func checkVisit(t *testing.T, b *Backend, believed, certificate bool, visits []Visit, ours *x509.Certificate) {
	if len(visits) != 1 {
		t.Fatalf("%d connections", len(visits))
	}
	v := visits[0]
	host, _, _ := net.SplitHostPort(b.Host)
	if net.ParseIP(host) == nil && b.service.config != nil && v.ServerName != host {
		t.Errorf("SNI %q, want %q", v.ServerName, host)
	}
	if !believed {
		if v.Bytes != 0 || v.Requests != 0 || v.Client != nil {
			t.Errorf("refused, and the backend saw %+v", v)
		}
		if v.Sealed > 0 {
			t.Logf("%d bytes of sealed records, none opened: %v", v.Sealed, v.Err)
		}
		return
	}
	var shown *x509.Certificate // to those who ask, and nobody else
	if certificate && b.service.config.ClientAuth != tls.NoClientCert {
		shown = ours
	}
	if v.Requests != 1 || v.Bytes == 0 || v.Version < tls.VersionTLS12 || !shown.Equal(v.Client) {
		t.Errorf("believed, and the backend saw %+v", v)
	}
}

// gate is a second gate of its own that trusts the farm's roots.
func (f *Farm) gate(t *testing.T) *backgate.Gate {
	t.Helper()
	roots := x509.NewCertPool()
	bundle, err := os.ReadFile(f.Bundle)
	if err != nil || !roots.AppendCertsFromPEM(bundle) {
		t.Fatal(err)
	}
	g := backgate.New(backgate.Options{Roots: roots, AllowBackend: []netip.Prefix{Loopback}, Resolver: f.Resolver()})
	t.Cleanup(g.Close)
	return g
}

// inspection of a backend, without a client certificate.
func (f *Farm) inspection(b *Backend, skip bool) backgate.Inspection {
	in := backgate.Inspection{Scheme: "https", Host: b.Host, InsecureSkipVerification: skip, Timeout: farmTimeout, TrustFiles: []string{f.Bundle}}
	if b.service.stalls {
		in.Timeout = stallTimeout
	}
	return in
}

// What the doctor says of each backend is what its requests meet, and it sends
// no byte of a request.
func TestFarmDiagnoses(t *testing.T) {
	f := StartFarm(t)
	g := f.gate(t)
	for _, row := range truths {
		t.Run(row.backend, func(t *testing.T) {
			t.Parallel()
			b := f.Backend(t, row.backend)
			host, _, _ := net.SplitHostPort(b.Host)
			for i, way := range ways {
				if way.certificate {
					continue
				}
				d := g.Diagnose(t.Context(), f.inspection(b, way.skip))
				want := row.outcomes[i]
				if d.Verdict != want.verdict || d.Accepted != (want.verdict == "") {
					t.Errorf("%s: %q, want %q", way.stage, d.Verdict, want.verdict)
				}
				if !d.Accepted {
					if text := strings.ReplaceAll(want.text, "HOST", host); d.AWSText != text || d.Status != want.status || d.ErrorType != want.errorType || d.ResponseType != want.responseType {
						t.Errorf("%s: got %s %d %s %s\nwant %+v", way.stage, d.AWSText, d.Status, d.ErrorType, d.ResponseType, want)
					}
					if d.Why == "" || d.Fix == "" || strings.ContainsAny(d.Why+d.Fix, "{}") {
						t.Errorf("%s: why %q, fix %q", way.stage, d.Why, d.Fix)
					}
				}
				for _, v := range b.Take(t) {
					if v.Bytes != 0 || v.Requests != 0 {
						t.Errorf("%s: the backend saw %+v", way.stage, v)
					}
				}
			}
		})
	}
}

// otherwise are the backends of which OpenSSL may think otherwise, and why.
var otherwise = map[string]string{
	"ten-thousand-names":   "OpenSSL takes 100 KiB of certificates unless told otherwise; here it is 256 KiB",
	"rsa-1024":             "OpenSSL's security level 2, the default of some builds, wants 2,048 bits",
	"cross-signed":         "OpenSSL looks for the issuer among the certificates sent and does not turn back from the first that fits",
	"thirty-certificates":  "OpenSSL does not count certificates; here it is 20 at most",
	"static-rsa":           "OpenSSL offers RSA key exchange",
	"requires-ours-tls13":  "s_client ends before the backend's alert arrives",
	"requires-other-tls13": "the same",
	"requires-any-tls13":   "the same",
	"refuses-any-tls13":    "the same",
	"close-notify":         "to OpenSSL a handshake that is closed orderly did not fail",
}

// The doctor's openssl line shows the same: OpenSSL refuses what is refused
// here.
func TestFarmOpenSSL(t *testing.T) {
	Need(t, "openssl")
	f := StartFarm(t)
	g := f.gate(t)
	for _, row := range truths {
		t.Run(row.backend, func(t *testing.T) {
			t.Parallel()
			b := f.Backend(t, row.backend)
			if b.service.stalls {
				return // so does openssl
			}
			d := g.Diagnose(t.Context(), f.inspection(b, false))
			ctx, cancel := context.WithTimeout(t.Context(), farmTimeout)
			defer cancel()
			out, err := exec.CommandContext(ctx, "sh", "-c", d.OpenSSL).CombinedOutput()
			if ctx.Err() != nil {
				t.Errorf("%s does not end:\n%s", d.OpenSSL, out)
			}
			if otherwise[row.backend] == "" && (err == nil) != d.Accepted {
				t.Errorf("accepted %v, openssl: %v\n%s\n%s", d.Accepted, err, d.OpenSSL, out)
			}
		})
	}
}

// The staple is one that whoever checks revocation would heed.
func TestFarmStaple(t *testing.T) {
	Need(t, "openssl")
	f := StartFarm(t)
	b := f.Backend(t, "ocsp-revoked")
	ctx, cancel := context.WithTimeout(t.Context(), farmTimeout)
	defer cancel()
	host, port, _ := net.SplitHostPort(b.Host)
	out, _ := exec.CommandContext(ctx, "openssl", "s_client", "-connect", "127.0.0.1:"+port, "-servername", host, "-CAfile", f.Bundle, "-status").CombinedOutput()
	if !strings.Contains(string(out), "OCSP Response Status: successful") || !strings.Contains(string(out), "Cert Status: revoked") {
		t.Errorf("%s", out)
	}
}

// What strangers can make the gateway hold is bounded: none of the hostile
// backends costs more memory than a good one with a large certificate, both
// ends of the handshake together.
func TestFarmCosts(t *testing.T) {
	f := StartFarm(t)
	g := f.gate(t)
	const most = 32 << 20
	for _, name := range []string{"ten-thousand-names", "long-chain", "labyrinth", "maze", "thirty-certificates", "rsa-16384", "megabyte", "warnings", "huge-record"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := g.Diagnose(t.Context(), f.inspection(f.Backend(t, name), true))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s (%s): %d KiB", name, d.Verdict, used>>10)
		} else {
			t.Logf("%s (%s): %d KiB", name, d.Verdict, used>>10)
		}
	}
}

var update = flag.Bool("update", false, "rewrite generated files")

// The page of the farm says what the tables say; -update rewrites it.
func TestFarmPage(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, `# What each fault of a backend gives

Made from the tables that the tests check; `+"`go test ./internal/gatewaytest -run TestFarmPage -update`"+` rewrites it.

These are %d backends with real certificates. A test asks each of them through a whole gateway: with `+"`insecureSkipVerification`"+`
off and on, on a stage without and on one with a client certificate.

**No refused request reaches its backend**: of each the backend's application gets 0 bytes. A backend that uses TLS 1.3
judges the client's certificate when the gateway's side of the handshake is complete, so the request may be on the wire by
then, encrypted with keys that the backend drops: it is never decrypted. Whether a certificate is revoked is not checked.

| backend | what it is | verified | `+"`insecureSkipVerification`"+` | with a client certificate |
| --- | --- | --- | --- | --- |
`, len(truths))
	about := map[string]string{}
	for _, row := range farm {
		about[row.name] = row.about
	}
	var distinct []outcome
	for _, row := range truths {
		o := row.outcomes
		with := "the same"
		if o[1] != o[0] || o[3] != o[2] {
			if with = o[1].label(); o[3] != o[1] {
				with += "; skipping: " + o[3].label()
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.backend, about[row.backend], o[0].label(), o[2].label(), with)
		for _, o := range o {
			o.text, _ = o.general()
			if !slices.Contains(distinct, o) && o.verdict != "" {
				distinct = append(distinct, o)
			}
		}
	}
	b.WriteString(`
## What AWS's clients and logs see

The text stands in the execution log and in ` + "`$context.integration.error`" + `; the verdict in the process log.

| verdict | text | status | body | ` + "`x-amzn-ErrorType` | `$context.error.responseType`" + ` | request bytes that reached the backend |
| --- | --- | --- | --- | --- | --- | --- |
`)
	for _, o := range distinct {
		fmt.Fprintf(&b, "| %s | `%s` | %d | `%s` | `%s` | `%s` | 0 |\n", o.verdict, o.text, o.status, o.body, o.errorType, o.responseType)
	}
	const path = "../../docs/reference/farm.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/gatewaytest -run TestFarmPage -update", path, err)
	}
}

// general is the text with what differs from backend to backend left open, and
// the alert that is.
func (o outcome) general() (text, alert string) {
	text = strings.ReplaceAll(o.text, "HOST", "{host}")
	if before, subject, ok := strings.Cut(text, "provided by the peer ("); ok && subject != "" {
		return before + "provided by the peer ({subject})", ""
	}
	if before, alert, ok := strings.Cut(text, "fatal alert: "); ok {
		return before + "fatal alert: {alert}", alert
	}
	return text, ""
}

// label is an outcome in a few words.
func (o outcome) label() string {
	switch {
	case o.verdict == "" && o.status == 200:
		return "200"
	case o.verdict == "":
		return fmt.Sprintf("%d, its own answer", o.status)
	}
	label := fmt.Sprintf("%d %s", o.status, o.verdict)
	if _, alert := o.general(); alert != "" {
		label += " (`" + alert + "`)"
	}
	return label
}

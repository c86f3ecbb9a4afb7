package gatewaytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	opensearchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/pki"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// named is a name that the gateway serves, with the policy that it was given
// last.
type named struct {
	host, id string // id ends the resource's ARN
	policy   *tlspolicy.Policy
	listener string
	control  string
}

// configurations makes n names by random settings that the services take:
// custom domain names by policy, endpoint type, access mode and kind of
// certificate, search domains by policy, some of each changed afterwards.
func (w *World) configurations(t *testing.T, r *rand.Rand, n int) (made []named) {
	t.Helper()
	ctx, search := t.Context(), w.search()
	certificates := []string{w.importCertificate(t, "*.walk.example.com", pki.ECDSAP256), w.importCertificate(t, "*.walk.example.com", pki.RSA2048)}
	policies := types.SecurityPolicy("").Values()
	modes := []types.EndpointAccessMode{"", types.EndpointAccessModeBasic, types.EndpointAccessModeStrict}
	endpoints := []types.EndpointType{types.EndpointTypeRegional, types.EndpointTypeRegional, types.EndpointTypeEdge, types.EndpointTypePrivate}
	pick := func(k int) int { return r.IntN(k) }
	for i := 0; len(made) < n; i++ {
		if i > 100*n {
			t.Fatalf("only %d of %d settings are legal", len(made), i)
		}
		if pick(5) == 0 {
			name, all := fmt.Sprintf("walk-%d", i), tlspolicy.Search()
			p := all[pick(len(all))]
			out, err := search.CreateDomain(ctx, &opensearch.CreateDomainInput{DomainName: &name,
				DomainEndpointOptions: &opensearchtypes.DomainEndpointOptions{EnforceHTTPS: aws.Bool(pick(2) == 0), TLSSecurityPolicy: opensearchtypes.TLSSecurityPolicy(p.Name)}})
			if err != nil {
				continue
			}
			if next := all[pick(len(all))]; pick(2) == 0 {
				if _, err := search.UpdateDomainConfig(ctx, &opensearch.UpdateDomainConfigInput{DomainName: &name,
					DomainEndpointOptions: &opensearchtypes.DomainEndpointOptions{TLSSecurityPolicy: opensearchtypes.TLSSecurityPolicy(next.Name)}}); err == nil {
					p = next
				}
			}
			made = append(made, named{aws.ToString(out.DomainStatus.Endpoint), "domain/" + name, p, "REGIONAL", "Opensearch.8"})
			continue
		}
		name, endpoint, policy, mode, certificate := fmt.Sprintf("n%d.walk.example.com", i), endpoints[pick(len(endpoints))], policies[pick(len(policies))], modes[pick(len(modes))], certificates[pick(2)]
		in := &apigateway.CreateDomainNameInput{DomainName: &name, SecurityPolicy: policy, EndpointAccessMode: mode,
			EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{endpoint}}}
		if endpoint == types.EndpointTypeRegional {
			in.RegionalCertificateArn = &certificate
		} else {
			in.CertificateArn = &certificate
		}
		out, err := w.API.CreateDomainName(ctx, in)
		if err != nil {
			continue
		}
		if next := policies[pick(len(policies))]; pick(2) == 0 {
			if _, err := w.API.UpdateDomainName(ctx, &apigateway.UpdateDomainNameInput{DomainName: &name, DomainNameId: out.DomainNameId,
				PatchOperations: Replace("/securityPolicy", string(next), "/endpointAccessMode", string(types.EndpointAccessModeBasic))}); err == nil {
				policy = next
			}
		}
		p, ok := tlspolicy.Lookup(string(policy), endpoint == types.EndpointTypeEdge)
		if !ok {
			t.Fatalf("%s was taken for %s", policy, endpoint)
		}
		id := "/domainnames/" + name
		if arn := aws.ToString(out.DomainNameArn); endpoint == types.EndpointTypePrivate && arn != "" {
			id = arn
		}
		made = append(made, named{name, id, p, string(endpoint), "APIGateway.11"})
	}
	return made
}

// For generated configurations no control says passed where the live probe
// contradicts it: not the gateway's own, nor one of ours, nor a client of
// crypto/tls that wants an old version.
func TestNothingPassesAgainstTheWire(t *testing.T) {
	n, patience := 20, 2*time.Minute
	if os.Getenv("SALLYPORT_SOAK") != "" {
		n, patience = 200, 15*time.Minute
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := Start(t)
	made := w.configurations(t, rand.New(rand.NewPCG(seed, 0)), n)

	wire := map[string][]string{} // by id: what speaks against the policy
	for _, m := range made {
		var d net.Dialer
		o, err := tlspolicy.Probe(t.Context(), m.host, func(ctx context.Context) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", w.Runtime.Listeners[m.listener])
		})
		if err != nil {
			t.Fatalf("%s: %v", m.host, err)
		}
		wire[m.id] = o.Contradictions(m.policy)
		for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
			if version >= m.policy.Min {
				continue
			}
			if c, err := w.Dial(m.listener, &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS10, MaxVersion: version, InsecureSkipVerify: true}); err == nil {
				c.Close()
				wire[m.id] = append(wire[m.id], "a client of "+tlspolicy.VersionName(version)+" is let in")
			}
		}
	}

	// The gateway probes at its own pace.
	var report *posture.Report
	for deadline := time.Now().Add(patience); ; {
		report = w.audit(t, nil)
		left := 0
		for i := range report.Findings {
			if f := &report.Findings[i]; f.Expect != nil && f.Expect.Host != "" && f.Status != posture.Unknown && probed(f) == nil {
				left++
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d names were not probed in time", left, n)
		}
	}
	passed, judged := 0, 0
	for _, m := range made {
		at := slices.IndexFunc(report.Findings, func(f posture.Finding) bool { return f.Control == m.control && strings.HasSuffix(f.Resource.ID, m.id) })
		if at < 0 {
			t.Errorf("%s does not judge %s", m.control, m.id)
			continue
		}
		f := &report.Findings[at]
		judged++
		if len(wire[m.id]) > 0 {
			t.Errorf("%s under %s, %s: the wire shows otherwise: %q", m.host, m.policy.Name, f.Status, wire[m.id])
		}
		if f.Status != posture.Passed {
			continue
		}
		passed++
		if f.Expect == nil || f.Expect.Policy != m.policy.Name || m.control != "Opensearch.8" && f.Expect.Host != m.host {
			t.Errorf("%s passes by %+v, it was given %s", m.host, f.Expect, m.policy.Name)
		}
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		if e := probed(f); e != nil && e.Contradicts && f.Status == posture.Passed {
			t.Errorf("%s passes %s against its own probe: %s", f.Resource.ID, f.Control, e.Value)
		}
	}
	t.Logf("%d names, %d judged, %d pass", n, judged, passed)
	if passed == 0 || passed == judged {
		t.Errorf("%d of %d pass: this walk shows nothing", passed, judged)
	}
}

// While a change is on its way its old rule binds: nothing passes by what is
// stored and not in effect, and it passes as soon as it is.
func TestNothingPassesWhileUpdating(t *testing.T) {
	const name = "soon.example.com"
	w := Start(t, func(c *config.Config) { c.PropagationDelay = 3 * time.Second })
	api := w.MockAPI(t, types.EndpointTypeRegional, "", "")
	w.createDomain(t, name, api, "TLS_1_2", "")
	w.finding(t, "APIGateway.11", "/domainnames/"+name, func(f *posture.Finding) bool { return f.Status == posture.Failed })
	if _, err := w.API.UpdateDomainName(t.Context(), &apigateway.UpdateDomainNameInput{DomainName: aws.String(name),
		PatchOperations: Replace("/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC")}); err != nil {
		t.Fatal(err)
	}
	early := 0
	w.finding(t, "APIGateway.11", "/domainnames/"+name, func(f *posture.Finding) bool {
		if f.Status == posture.Unknown && strings.Contains(f.Reason, "stored, not in effect") {
			early++
		}
		return f.Status == posture.Passed && probed(f) != nil
	})
	if early == 0 {
		t.Error("it was never unknown: it passed while the old rule was in force")
	}
	if w.accepts12(name) {
		t.Error("it passes while TLS 1.2 is accepted")
	}
}

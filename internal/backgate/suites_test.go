package backgate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Public suites of certificates are not part of this project; what is, is where
// this gate sees a case otherwise, and why. SALLYPORT_CERTIFICATE_SUITES names a
// folder with limbo.json (github.com/C2SP/x509-limbo) and bettertls.json (what
// bettertls export-tests writes); without it BetterTLS is taken as a Go module.
// NIST's PKITS is part of Go itself. PKITS and path building run always, of the
// rest a tenth; all of it, with BetterTLS's name constraints, with
// SALLYPORT_SOAK=1.

// disagreements are where verify and a suite differ. Each row must be needed
// when all cases run.
var disagreements = []struct{ suite, id, reason string }{
	{"pkits", `^4\.4\.`, "revocation is not checked"},
	{"pkits", `^4\.1[45]\.`, "revocation is not checked (distribution points and deltas)"},
	{"pkits", `^4\.7\.[45] `, "revocation is not checked (who may sign lists)"},
	{"pkits", `^4\.5\.[257] `, "revocation is not checked (lists of renewed authorities)"},
	{"pkits", `^4\.(8|9|10|11|12)\.`, "a gateway demands no certificate policies; what the suite demands cannot be put"},
	{"pkits", `^4\.1\.[45] `, "DSA proves nothing here, as in TLS 1.3"},
	{"pkits", `^4\.3\.(3|4|5|10|11) `, "names of issuers are compared byte by byte, as in all of crypto/x509"},
	{"pkits", `^4\.6\.1[57] `, "self-issued authorities count against a pathlen: crypto/x509 is the stricter"},
	{"pkits", `^4\.13\.(1|4|5|6|11|14|18|19|27) `, "constraints on directory names are not understood; where they are critical the chain is refused"},
	{"pkits", `^4\.13\.(24|25|36) `, "constraints on mail addresses and URIs are read otherwise by crypto/x509; neither names a server"},
	{"bettertls", `^pathbuilding/6[1-8]$`, "more than 20 certificates are presented"},
	{"bettertls", `^nameconstraints/736$`, "the common name counts where there are no alternative names and no name constraints, as on AWS"},
}

// suiteCase is one chain and what a suite expects.
type suiteCase struct {
	suite, id string
	der       [][]byte // the leaf first
	roots     [][]byte
	host      string // "": any
	at        time.Time
	accept    bool
}

func TestCertificateSuites(t *testing.T) {
	t.Run("PKITS", func(t *testing.T) { judgeSuite(t, pkits(t)) })
	t.Run("BetterTLS", func(t *testing.T) { judgeSuite(t, betterTLS(t)) })
	t.Run("limbo", func(t *testing.T) { judgeSuite(t, limbo(t, os.Getenv(suitesFolder))) })
}

const suitesFolder = "SALLYPORT_CERTIFICATE_SUITES"

func soak() bool { return os.Getenv("SALLYPORT_SOAK") == "1" }

func judgeSuite(t *testing.T, cases []suiteCase) {
	quick := regexp.MustCompile(`^(pkits|bettertls pathbuilding/)`)
	patterns := make([]*regexp.Regexp, len(disagreements))
	for i, d := range disagreements {
		patterns[i] = regexp.MustCompile(d.id)
	}
	needed := make([]bool, len(disagreements))
	ran, differ := 0, 0
	for i, c := range cases {
		if !soak() && i%10 != 0 && !quick.MatchString(c.suite+" "+c.id) {
			continue
		}
		ran++
		err := c.verify(t)
		if (err == nil) == c.accept {
			continue
		}
		known := false
		for i, d := range disagreements {
			if d.suite == c.suite && patterns[i].MatchString(c.id) {
				known, needed[i] = true, true
			}
		}
		if differ++; !known {
			t.Errorf("%s %s: want accepted %v: %v", c.suite, c.id, c.accept, err)
		}
	}
	for i, d := range disagreements {
		if soak() && d.suite == cases[0].suite && !needed[i] {
			t.Errorf("%s %s: no case differs", d.suite, d.id)
		}
	}
	t.Logf("%d of %d cases, %d of them differing for known reasons", ran, len(cases), differ)
}

// verify judges a case as the handshake does. What cannot be read is refused
// before verify is asked.
func (c *suiteCase) verify(t *testing.T) error {
	var certs []*x509.Certificate
	for _, der := range c.der {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		certs = append(certs, cert)
	}
	roots := x509.NewCertPool()
	for _, der := range c.roots {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		roots.AddCert(cert)
	}
	begun := time.Now()
	err := verify(certs, c.host, false, roots, c.at)
	skipped := verify(certs, c.host, true, roots, c.at)
	if took := time.Since(begun); took > tooLong {
		t.Errorf("%s %s: took %v", c.suite, c.id, took)
	}
	if err == nil && skipped != nil {
		t.Errorf("%s %s: refused only if verification is skipped: %v", c.suite, c.id, skipped)
	}
	own := false
	for i, cert := range certs {
		own = own || ownRoot(cert, i == 0)
	}
	if err != nil && skipped == nil && !own {
		t.Errorf("%s %s: skipping verification drops more than the check of the root: %v", c.suite, c.id, err)
	}
	var e *Error
	if errors.As(err, &e) {
		if c.host == "" && e.Kind == WrongName {
			return nil
		}
		if e.Why() == "" || strings.ContainsAny(e.Why()+e.Fix(), "{}") {
			t.Errorf("%s %s: %s", c.suite, c.id, e.Why())
		}
	}
	return err
}

// pkits is NIST's Public Key Interoperability Test Suite, as it comes with Go's
// own sources. Its certificates have no names of hosts.
func pkits(t *testing.T) (cases []suiteCase) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("SKIPPED: PKITS: go is missing: %v", err)
	}
	folder := filepath.Join(strings.TrimSpace(string(root)), "src/crypto/x509/testdata/nist-pkits")
	text, err := os.ReadFile(filepath.Join(folder, "vectors.json"))
	if err != nil {
		t.Skipf("SKIPPED: PKITS: %v; it comes with the sources of Go 1.24 and later", err)
	}
	var vectors []struct {
		Name           string
		CertPath       []string
		ShouldValidate bool
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		c := suiteCase{suite: "pkits", id: v.Name, accept: v.ShouldValidate, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		for i, name := range v.CertPath {
			der, err := os.ReadFile(filepath.Join(folder, "certs", name))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				c.roots = [][]byte{der}
			} else {
				c.der = append([][]byte{der}, c.der...)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// betterTLS is Netflix's suite for path building and name constraints, made
// anew by its own program with each run.
func betterTLS(t *testing.T) (cases []suiteCase) {
	// The version that crypto/x509's own tests pin.
	const module = "github.com/Netflix/bettertls@v0.0.0-20250909192348-e1e99e353074"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var exports []string
	if folder := os.Getenv(suitesFolder); folder != "" {
		exports = []string{filepath.Join(folder, "bettertls.json")}
	} else {
		out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
		var m struct{ Dir string }
		if err == nil {
			err = json.Unmarshal(out, &m)
		}
		if err != nil {
			t.Skipf("SKIPPED: BetterTLS: %s is not to be had (%v); name a folder with %s", module, err, suitesFolder)
		}
		temp := t.TempDir()
		suites := []string{"pathbuilding"}
		if soak() { // to make its certificates takes seconds, however few are wanted
			suites = append(suites, "nameconstraints")
		}
		for _, suite := range suites {
			file := filepath.Join(temp, suite+".json")
			cmd := exec.CommandContext(ctx, "go", "run", "./test-suites/cmd/bettertls", "export-tests", "-out", file, "-suite", suite)
			cmd.Dir = m.Dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: BetterTLS: its program does not run: %v %s", err, out)
			}
			exports = append(exports, file)
		}
	}
	for _, file := range exports {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Skipf("SKIPPED: BetterTLS: %v", err)
		}
		var data struct {
			TrustRoot string
			Suites    map[string]struct {
				TestCases []struct {
					ID           int
					Certificates []string
					Hostname     string
					Expected     string
				}
			}
		}
		if err := json.Unmarshal(text, &data); err != nil {
			t.Fatal(err)
		}
		decode := func(s string) []byte {
			der, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			return der
		}
		for name, suite := range data.Suites {
			for _, v := range suite.TestCases {
				c := suiteCase{suite: "bettertls", id: fmt.Sprintf("%s/%d", name, v.ID), host: v.Hostname, at: time.Now(), accept: v.Expected == "ACCEPT", roots: [][]byte{decode(data.TrustRoot)}}
				for _, cert := range v.Certificates {
					c.der = append(c.der, decode(cert))
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// limbo is x509-limbo, from a folder only: no Go module holds it.
func limbo(t *testing.T, folder string) (cases []suiteCase) {
	if folder == "" {
		t.Skipf("SKIPPED: x509-limbo: name a folder that has its limbo.json with %s", suitesFolder)
	}
	text, err := os.ReadFile(filepath.Join(folder, "limbo.json"))
	if err != nil {
		t.Skipf("SKIPPED: x509-limbo: %v", err)
	}
	var data struct {
		Testcases []struct {
			ID                     string
			Features               []string
			ValidationKind         string                        `json:"validation_kind"`
			TrustedCerts           []string                      `json:"trusted_certs"`
			UntrustedIntermediates []string                      `json:"untrusted_intermediates"`
			PeerCertificate        string                        `json:"peer_certificate"`
			ValidationTime         time.Time                     `json:"validation_time"`
			ExtendedKeyUsage       []string                      `json:"extended_key_usage"`
			MaxChainDepth          *int                          `json:"max_chain_depth"`
			CRLs                   []string                      `json:"crls"`
			ExpectedResult         string                        `json:"expected_result"`
			Peer                   *struct{ Kind, Value string } `json:"expected_peer_name"`
		}
	}
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	decode := func(s string) []byte {
		block, _ := pem.Decode([]byte(s))
		if block == nil {
			return nil
		}
		return block.Bytes
	}
	for _, v := range data.Testcases {
		switch {
		case v.ValidationKind != "SERVER", v.MaxChainDepth != nil, len(v.CRLs) > 0, len(v.Features) > 0, v.Peer == nil,
			len(v.ExtendedKeyUsage) > 0 && !strings.Contains(strings.Join(v.ExtendedKeyUsage, " "), "serverAuth"):
			continue // asks for what is not done here, or is optional
		case v.Peer.Kind == "IP":
			if _, err := netip.ParseAddr(v.Peer.Value); err != nil {
				continue
			}
		}
		c := suiteCase{suite: "limbo", id: v.ID, host: v.Peer.Value, at: v.ValidationTime, accept: v.ExpectedResult == "SUCCESS", der: [][]byte{decode(v.PeerCertificate)}}
		if c.at.IsZero() {
			c.at = time.Now()
		}
		for _, s := range v.UntrustedIntermediates {
			if der := decode(s); !bytes.Equal(der, c.der[0]) {
				c.der = append(c.der, der)
			}
		}
		for _, s := range v.TrustedCerts {
			c.roots = append(c.roots, decode(s))
		}
		cases = append(cases, c)
	}
	return cases
}

// The folder's limbo.json is read by its schema.
func TestLimboIsRead(t *testing.T) {
	root := issue(t, nil, authority("root"))
	text := func(c *issued) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))
	}
	suite := map[string]any{"version": 1, "testcases": []map[string]any{
		{"id": "good", "features": nil, "validation_kind": "SERVER", "trusted_certs": []string{text(root)}, "untrusted_intermediates": []string{}, "peer_certificate": text(issue(t, root, nil)),
			"validation_time": nil, "extended_key_usage": []string{"serverAuth"}, "expected_result": "SUCCESS", "expected_peer_name": map[string]string{"kind": "DNS", "value": "localhost"}, "max_chain_depth": nil},
		{"id": "expired", "features": []string{}, "validation_kind": "SERVER", "trusted_certs": []string{text(root)}, "untrusted_intermediates": []string{}, "peer_certificate": text(issue(t, root, nil)),
			"validation_time": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "extended_key_usage": nil, "expected_result": "FAILURE", "expected_peer_name": map[string]string{"kind": "IP", "value": "127.0.0.1"}},
		{"id": "optional", "features": []string{"pedantic-rfc5280"}, "validation_kind": "SERVER"},
		{"id": "for clients", "features": nil, "validation_kind": "CLIENT"},
	}}
	folder := t.TempDir()
	out, err := json.Marshal(suite)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "limbo.json"), out, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := limbo(t, folder)
	if len(cases) != 2 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		if err := c.verify(t); (err == nil) != c.accept {
			t.Errorf("%s: %v", c.id, err)
		}
	}
}

package doctor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// Stage says of each backend of a stage how it stands with the second
// gate and with the stage's client certificates.
type Stage struct {
	API  string `json:"restApiId"`
	Name string `json:"stageName"`
	// ClientCertificate is the one attached to the stage, PreviousCertificate
	// the one before while a rotation is under way; nil: none.
	ClientCertificate   *ShownCertificate `json:"clientCertificate,omitempty"`
	PreviousCertificate *ShownCertificate `json:"previousCertificate,omitempty"`
	Backends            []Backend         `json:"backends"`
	// Undetermined names the methods whose backends depend on the request, or
	// cannot be told at all, each with the reason: they are not tried.
	Undetermined []string `json:"undetermined,omitempty"`
	Total        int      `json:"total"`
	Position     string   `json:"position,omitempty"` // of the next page; "": this is the last
}

// ShownCertificate is a client certificate as a backend's owner knows it.
type ShownCertificate struct {
	ID       string    `json:"id"`
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"notAfter"`
	SHA256   string    `json:"sha256"`
}

// Backend is one row of the matrix.
type Backend struct {
	URL                      string `json:"url"`
	Target                   string `json:"target,omitempty"`
	InsecureSkipVerification bool   `json:"insecureSkipVerification"`
	// Methods that lead there, "GET /pets/{id}": the first ten. MoreMethods is
	// how many others do.
	Methods     []string `json:"methods"`
	MoreMethods int      `json:"moreMethods,omitempty"`
	// Diagnosis is with the attached certificate shown; nil: a VPC link leads
	// nowhere, so there is nothing to connect to.
	Diagnosis *backgate.Diagnosis `json:"diagnosis,omitempty"`
	// Attached, Previous and Without say what comes of showing the stage's own
	// certificate, the one before, and none. nil: not tried.
	Attached *backgate.Acceptance `json:"attached,omitempty"`
	Previous *backgate.Acceptance `json:"previous,omitempty"`
	Without  *backgate.Acceptance `json:"without,omitempty"`
	Verdict  Verdict              `json:"verdict"`
	Why      string               `json:"why"`
}

// Verdict is what a row of the matrix comes to.
type Verdict string

const (
	// Ready: takes the attached certificate, and nobody without one.
	Ready Verdict = "ready"
	// Open: requests get through, and so do those of callers who show no
	// certificate and need not come through the gateway.
	Open Verdict = "open"
	// Behind: takes the previous certificate only.
	Behind Verdict = "behind"
	// Refuses: takes none that the stage has.
	Refuses Verdict = "refuses"
	// Unverified: the second gate refuses the backend, or cannot reach it.
	Unverified Verdict = "unverified"
)

// Backends answers BackendsPath.
func (d *Doctor) Backends(ctx context.Context, r *http.Request) (any, error) {
	from, limit, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	stage, err := d.stage(r.PathValue("api"), r.PathValue("stage"))
	if err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	all := stage.Backends()
	page := all[min(from, len(all)):min(from+limit, len(all))]
	out := &Stage{API: stage.API, Name: stage.Name, Total: len(all), Backends: make([]Backend, len(page)), Undetermined: stage.OpenBackends(),
		ClientCertificate:   shown(stage.ClientCertificateID, stage.ClientCertificate),
		PreviousCertificate: shown(stage.PreviousCertificateID, stage.PreviousCertificate)}
	if from+limit < len(all) {
		out.Position = strconv.Itoa(from + limit)
	}
	var dials sync.WaitGroup
	room := make(chan struct{}, parallelDials)
	for i := range page {
		room <- struct{}{}
		dials.Go(func() {
			defer func() { <-room }()
			out.Backends[i] = d.examine(ctx, stage, &page[i])
		})
	}
	dials.Wait()
	return out, ctx.Err()
}

// pageOf reads limit and position.
func pageOf(r *http.Request) (from, limit int, err error) {
	query := r.URL.Query()
	limit = defaultPage
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPage {
			return 0, 0, resource.Errorf(resource.BadRequest, "limit is not a number from 1 to %d.", maxPage)
		}
	}
	if text := query.Get("position"); text != "" {
		if from, err = strconv.Atoi(text); err != nil || from < 0 || from > 1<<20 {
			return 0, 0, resource.Errorf(resource.BadRequest, "position is none that this operation returned.")
		}
	}
	return from, limit, nil
}

// stage finds a stage that is being served.
func (d *Doctor) stage(api, name string) (*snapshot.Stage, error) {
	a := d.snapshot().API(api)
	if a == nil {
		return nil, resource.Errorf(resource.NotFound, "Invalid API identifier specified: no API %q is being served", api)
	}
	if s := a.Stages[name]; s != nil {
		return s, nil
	}
	return nil, resource.Errorf(resource.NotFound, "Invalid stage identifier specified: API %q serves no stage %q", api, name)
}

// examine tries one backend with each of the stage's certificates and without.
func (d *Doctor) examine(ctx context.Context, stage *snapshot.Stage, b *snapshot.Backend) Backend {
	ctx, cancel := context.WithTimeout(ctx, backendTimeout)
	defer cancel()
	row := Backend{URL: b.Scheme + "://" + b.Host, Target: b.Target, InsecureSkipVerification: b.InsecureSkipVerification, Methods: b.Methods, MoreMethods: b.More}
	if b.Broken != "" {
		row.Verdict, row.Why = Unverified, b.Broken
		return row
	}
	in := backgate.Inspection{Scheme: b.Scheme, Host: b.Host, Target: b.Target,
		InsecureSkipVerification: b.InsecureSkipVerification, Certificate: stage.ClientCertificate, Timeout: examineTimeout, TrustFiles: d.trustFiles()}
	row.Diagnosis = d.gate.Diagnose(ctx, in)
	if b.Scheme == "http" && row.Diagnosis.Accepted {
		row.Verdict, row.Why = Open, row.Diagnosis.Why
		return row
	}
	tried := []**backgate.Acceptance{&row.Without}
	certificates := []*tls.Certificate{nil}
	if stage.ClientCertificate != nil {
		tried, certificates = append(tried, &row.Attached), append(certificates, stage.ClientCertificate)
	}
	if stage.PreviousCertificate != nil {
		tried, certificates = append(tried, &row.Previous), append(certificates, stage.PreviousCertificate)
	}
	if row.Diagnosis.Accepted || row.Diagnosis.ClientCertificate.Asked {
		for i, a := range d.gate.Readiness(ctx, in, certificates...) {
			*tried[i] = &a
		}
	}
	row.Verdict, row.Why = judge(&row)
	return row
}

// judge sums a row up.
func judge(b *Backend) (Verdict, string) {
	without := b.Without
	switch {
	case without == nil:
		return Unverified, b.Diagnosis.Verdict + ": " + b.Diagnosis.Why
	case without.State == backgate.Unreachable:
		return Unverified, without.Reason
	case b.Attached == nil && !without.LetThrough():
		return Refuses, "it demands a client certificate, and the stage has none"
	case b.Attached != nil && b.Attached.State == backgate.Unreachable:
		return Unverified, b.Attached.Reason
	case b.Attached != nil && !b.Attached.LetThrough():
		if b.Previous != nil && b.Previous.LetThrough() {
			return Behind, "it takes the previous certificate only: " + b.Attached.Reason
		}
		return Refuses, b.Attached.Reason
	case without.State == backgate.NotAsked:
		return Open, "it asks for no client certificate: whoever reaches it gets in"
	case without.LetThrough():
		return Open, "it asks for a client certificate, but lets callers in that show none"
	}
	return Ready, "it takes the attached certificate, and nobody without one"
}

// shown describes a certificate; nil: there is none.
func shown(id string, c *tls.Certificate) *ShownCertificate {
	if c == nil {
		return nil
	}
	sum := sha256.Sum256(c.Leaf.Raw)
	return &ShownCertificate{ID: id, Subject: c.Leaf.Subject.String(), NotAfter: c.Leaf.NotAfter, SHA256: hex.EncodeToString(sum[:])}
}

package doctor

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	p, err := pageOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	stage, err := d.stage(r.PathValue("api"), r.PathValue("stage"))
	if err != nil {
		return nil, err
	}
	return d.matrix(ctx, stage, p)
}

// Doors tries the first backends of a stage, as many as a page has, with its
// client certificates and without, by handshakes alone.
func (d *Doctor) Doors(ctx context.Context, api, stage string) (*Stage, error) {
	s, err := d.stage(api, stage)
	if err != nil {
		return nil, err
	}
	return d.matrix(ctx, s, page{limit: maxPage})
}

// matrix examines a page of a stage's backends.
func (d *Doctor) matrix(ctx context.Context, stage *snapshot.Stage, p page) (*Stage, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	all := stage.Backends()
	page := all[min(p.from, len(all)):min(p.from+p.limit, len(all))]
	out := &Stage{API: stage.API, Name: stage.Name, Total: len(all), Backends: make([]Backend, len(page)), Undetermined: stage.OpenBackends(),
		ClientCertificate:   shown(stage.ClientCertificateID, stage.ClientCertificate),
		PreviousCertificate: shown(stage.PreviousCertificateID, stage.PreviousCertificate)}
	if p.from+p.limit < len(all) {
		out.Position = strconv.Itoa(p.from + p.limit)
	}
	var dials sync.WaitGroup
	room := make(chan struct{}, parallelDials)
	for i := range page {
		room <- struct{}{}
		dials.Go(func() {
			defer func() { <-room }()
			out.Backends[i] = d.examine(ctx, stage, &page[i], p.request)
		})
	}
	dials.Wait()
	return out, ctx.Err()
}

// page is the part of a stage that a call asks for.
type page struct {
	from, limit int
	request     bool // OPTIONS / may be sent
}

// pageOf reads a call's parameters.
func pageOf(query url.Values) (p page, err error) {
	p = page{limit: defaultPage, request: true}
	bad := func(format string, a ...any) (page, error) {
		return page{}, resource.Errorf(resource.BadRequest, format, a...)
	}
	for name, values := range query {
		value := values[0]
		switch name {
		case "limit":
			if p.limit, err = strconv.Atoi(value); err != nil || p.limit < 1 || p.limit > maxPage {
				return bad("limit is not a number from 1 to %d.", maxPage)
			}
		case "position":
			if p.from, err = strconv.Atoi(value); err != nil || p.from < 0 || p.from > 1<<20 {
				return bad("position is none that this operation returned.")
			}
		case "request":
			if p.request, err = strconv.ParseBool(value); err != nil {
				return bad("request is neither true nor false.")
			}
		default:
			if !strings.HasPrefix(name, "X-Amz-") {
				return bad("Unknown parameter %q; there are limit, position and request.", name)
			}
		}
	}
	return p, nil
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
func (d *Doctor) examine(ctx context.Context, stage *snapshot.Stage, b *snapshot.Backend, request bool) Backend {
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
		in.Request = request
		for i, a := range d.gate.Readiness(ctx, in, certificates...) {
			*tried[i] = &a
		}
	}
	compare(&row)
	row.Verdict, row.Why = judge(&row)
	return row
}

// compare takes back that a caller without a certificate is let in, when the
// backend denies its request and not the one with the certificate.
func compare(b *Backend) {
	denied := func(status int) bool { return status == http.StatusUnauthorized || status == http.StatusForbidden }
	without, attached := b.Without, b.Attached
	if without != nil && attached != nil && without.LetThrough() && denied(without.Status) &&
		attached.LetThrough() && attached.Status != 0 && !denied(attached.Status) {
		without.State = backgate.Refused
		without.Reason = fmt.Sprintf("the backend lets the handshake through and answers OPTIONS / with %d, which is %d with the certificate", without.Status, attached.Status)
	}
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
	case without.LetThrough() && without.Status == 0:
		return Open, "it asks for a client certificate, but lets the handshake through without; whether it lets requests through was not tried"
	case without.LetThrough():
		return Open, fmt.Sprintf("it asks for a client certificate, but lets callers in that show none (OPTIONS / gets %d)", without.Status)
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

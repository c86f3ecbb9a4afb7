// Package doctor examines backends as the second gate sees them, one or all of
// a stage, and says what is wrong with each and what to do. It hides how a
// stage's backends are gone through with and without its client certificates.
// It sends no request, takes its trust from the gate that serves, and is bounded
// in calls, connections and time.
//
//	d := doctor.New(doctor.Options{Gate: gate, Snapshot: compiler.Current, Certificate: compiler.ClientCertificate, TrustFiles: bundles})
//	services.Extend("GET "+doctor.Path, d.Diagnose)
//	services.Extend("GET "+doctor.BackendsPath("{api}", "{stage}"), d.Backends)
package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/store"
)

// The doctor's bounds. Whoever may ask it may also make integrations, so it
// tells nothing that could not be learned otherwise; but it must not become a
// tool that tries a thousand addresses a second, nor hold the admin port.
const (
	maxExaminations = 4 // calls at a time; the others get 429
	parallelDials   = 8 // backends at a time, of one call
	maxPage         = 24
	defaultPage     = 8
	// examineTimeout bounds one handshake, backendTimeout all those with one
	// backend: three rounds of them fit into the control plane's 60 s.
	examineTimeout = 5 * time.Second
	backendTimeout = 15 * time.Second
)

// Path is where one backend is diagnosed: a Question's Query in, a
// backgate.Diagnosis out.
const Path = "/_sallyport/doctor"

// BackendsPath is where the backends of a deployed stage are examined, with
// limit and position as in AWS's lists: a Stage out.
func BackendsPath(api, stage string) string {
	return "/_sallyport/restapis/" + api + "/stages/" + stage + "/backends"
}

// Question is what the doctor is asked about one backend.
type Question struct {
	URL string // https://HOST[:PORT]; what follows does not matter
	// ServerName is sent and verified in place of the URL's host. "": that.
	ServerName string
	// ClientCertificateID, or an ACM ARN, is shown to a backend that asks. "": none.
	ClientCertificateID string
	// Target is dialed in place of the URL's host, as by a VPC link. "": that.
	Target                   string
	InsecureSkipVerification bool
}

// Query is the question as Path takes it.
func (q Question) Query() url.Values {
	v := url.Values{"url": {q.URL}}
	for name, value := range map[string]string{"serverName": q.ServerName, "clientCertificateId": q.ClientCertificateID, "target": q.Target} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.InsecureSkipVerification {
		v.Set("insecureSkipVerification", "true")
	}
	return v
}

// questionOf reads a Query. A parameter that is not known, or stands there
// twice, is refused: what is meant by it would not be judged.
func questionOf(query url.Values) (q Question, err error) {
	for name, values := range query {
		if strings.HasPrefix(name, "X-Amz-") {
			continue // a presigned URL's
		}
		if len(values) > 1 {
			return q, resource.Errorf(resource.BadRequest, "Parameter %q is given twice.", name)
		}
		switch value := values[0]; name {
		case "url":
			q.URL = value
		case "serverName":
			q.ServerName = value
		case "clientCertificateId":
			q.ClientCertificateID = value
		case "target":
			q.Target = value
		case "insecureSkipVerification":
			switch value {
			case "true":
				q.InsecureSkipVerification = true
			case "false", "":
			default:
				return q, resource.Errorf(resource.BadRequest, "insecureSkipVerification is neither true nor false.")
			}
		default:
			return q, resource.Errorf(resource.BadRequest, "Unknown parameter %q; there are url, serverName, clientCertificateId, target and insecureSkipVerification.", name)
		}
	}
	return q, nil
}

// Inspection is the question as the second gate takes it, still without the
// client certificate. Its error is a *backgate.URLError.
func (q Question) Inspection() (backgate.Inspection, error) {
	scheme, host, err := backgate.ParseURL(q.URL)
	if err == nil && q.ServerName != "" {
		err = backgate.ParseServerName(q.ServerName)
	}
	return backgate.Inspection{Scheme: scheme, Host: host, Target: q.Target, ServerName: q.ServerName,
		InsecureSkipVerification: q.InsecureSkipVerification, Timeout: examineTimeout}, err
}

// Doctor answers the extensions. Safe for concurrent use.
type Doctor struct {
	gate         *backgate.Gate
	snapshot     func() *snapshot.Snapshot
	certificate  func(ctx context.Context, id string) (*tls.Certificate, error)
	trustFiles   func() []string
	examinations chan struct{}
}

// Options configure New; all are needed.
type Options struct {
	Gate     *backgate.Gate // that carries the requests
	Snapshot func() *snapshot.Snapshot
	// Certificate returns the client certificate of an id or ARN; its error
	// wraps store.ErrNotFound when there is none.
	Certificate func(ctx context.Context, id string) (*tls.Certificate, error)
	// TrustFiles names the files that the gate's roots were read from.
	TrustFiles func() []string
}

// New returns a doctor.
func New(o Options) *Doctor {
	return &Doctor{gate: o.Gate, snapshot: o.Snapshot, certificate: o.Certificate, trustFiles: o.TrustFiles, examinations: make(chan struct{}, maxExaminations)}
}

// enter takes one of the places; leave gives it back.
func (d *Doctor) enter() error {
	select {
	case d.examinations <- struct{}{}:
		return nil
	default:
		return resource.Errorf(resource.LimitExceeded, "The doctor examines %d calls at a time; try again in a moment.", maxExaminations)
	}
}

func (d *Doctor) leave() { <-d.examinations }

// Diagnose answers Path.
func (d *Doctor) Diagnose(ctx context.Context, r *http.Request) (any, error) {
	q, err := questionOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	inspection, err := q.Inspection()
	var refused *backgate.URLError
	if errors.As(err, &refused) {
		return nil, resource.Errorf(resource.BadRequest, "%s; %s", refused.Reason, refused.Hint)
	}
	if q.ClientCertificateID != "" {
		_, named := resource.ParseClientCertificate(q.ClientCertificateID)
		if named {
			inspection.Certificate, err = d.certificate(ctx, q.ClientCertificateID)
		}
		if !named || errors.Is(err, store.ErrNotFound) {
			return nil, resource.Errorf(resource.NotFound, "Invalid client certificate identifier specified")
		}
		if err != nil {
			return nil, err
		}
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	inspection.TrustFiles = d.trustFiles()
	return d.gate.Diagnose(ctx, inspection), nil
}

package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// newDoctor is one who may dial loopback, trusts nobody and knows no stage.
func newDoctor(t *testing.T) *Doctor {
	gate := backgate.New(backgate.Options{AllowBackend: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(gate.Close)
	return New(Options{
		Gate: gate,
		Certificate: func(context.Context, string) (*tls.Certificate, error) {
			return nil, fmt.Errorf("read: %w", store.ErrNotFound)
		},
		TrustFiles: func() []string { return []string{"/etc/roots.pem"} },
	})
}

func (d *Doctor) ask(ctx context.Context, query string) (*backgate.Diagnosis, error) {
	out, err := d.Diagnose(ctx, httptest.NewRequestWithContext(ctx, http.MethodGet, Path+"?"+query, nil))
	if err != nil {
		return nil, err
	}
	return out.(*backgate.Diagnosis), nil
}

func kindOf(err error) resource.Kind {
	var refused *resource.Error
	if errors.As(err, &refused) {
		return refused.Kind
	}
	return resource.Internal
}

// What a question may say, and what not.
func TestQuestion(t *testing.T) {
	d := newDoctor(t)
	backend := httptest.NewUnstartedServer(http.NotFoundHandler())
	backend.Config.ErrorLog = log.New(io.Discard, "", 0) // it will be refused
	backend.StartTLS()
	defer backend.Close()
	own := "url=" + url.QueryEscape(backend.URL)
	for _, tc := range []struct {
		query string
		kind  resource.Kind // zero: answered
		says  string
	}{
		{own, 0, ""},
		{own + "&serverName=example.com&insecureSkipVerification=true&target=", 0, ""},
		{own + "&insecureSkipVerification=false&X-Amz-Signature=presigned", 0, ""},
		{"", resource.BadRequest, "the URL is empty; name a backend"},
		{"url=http://example.com", resource.BadRequest, "http:// has no TLS"},
		{own + "&url=x", resource.BadRequest, `Parameter "url" is given twice.`},
		{own + "&serverName=a:1", resource.BadRequest, `server name "a:1" is no DNS name`},
		{own + "&insecureSkipVerification=yes", resource.BadRequest, "neither true nor false"},
		{own + "&skip=true", resource.BadRequest, `Unknown parameter "skip"`},
		{own + "&clientCertificateId=abc123", resource.NotFound, "Invalid client certificate identifier specified"},
	} {
		diagnosis, err := d.ask(t.Context(), tc.query)
		if tc.kind == 0 {
			if err != nil || diagnosis.URL != backend.URL || !strings.Contains(diagnosis.OpenSSL, "-CAfile /etc/roots.pem") {
				t.Errorf("%s: %v, %+v", tc.query, err, diagnosis)
			}
			continue
		}
		if kindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %s", tc.query, err, tc.says)
		}
	}
}

// A question arrives as it was asked.
func TestQuery(t *testing.T) {
	for _, q := range []Question{
		{URL: "https://a.example.com:8443/x?y=z&w#v"},
		{URL: "https://a", ServerName: "b", ClientCertificateID: "arn:aws:acm:us-east-1:000000000000:certificate/1", Target: "arn:x/y", InsecureSkipVerification: true},
	} {
		got, err := questionOf(q.Query())
		if d := cmp.Diff(q, got); err != nil || d != "" {
			t.Error(err, d)
		}
	}
}

// The doctor is no scanner: few examinations at a time, the others are put off.
func TestLimit(t *testing.T) {
	d := newDoctor(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	query, done := "url=https://"+silent.Addr().String(), make(chan error)
	for range maxExaminations {
		go func() { _, err := d.ask(ctx, query); done <- err }()
		defer (<-accepted).Close()
	}
	if _, err := d.ask(ctx, query); kindOf(err) != resource.LimitExceeded {
		t.Errorf("one more: %v", err)
	}
	cancel()
	for range maxExaminations {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if diagnosis, err := d.ask(t.Context(), "url=https://127.0.0.1:1"); err != nil || diagnosis.Verdict != "no connection" {
		t.Errorf("afterwards: %v %+v", err, diagnosis)
	}
}

// What the columns of the matrix come to.
func TestJudge(t *testing.T) {
	state := func(s backgate.State) *backgate.Acceptance {
		return &backgate.Acceptance{State: s, Reason: "its reason"}
	}
	yes, no, notAsked, lost := state(backgate.Accepted), state(backgate.Refused), state(backgate.NotAsked), state(backgate.Unreachable)
	answered := func(status int) *backgate.Acceptance {
		return &backgate.Acceptance{State: backgate.Accepted, Status: status}
	}
	for _, tc := range []struct {
		attached, previous, without *backgate.Acceptance
		want                        Verdict
		why                         string
	}{
		{yes, nil, no, Ready, "takes the attached certificate"},
		{yes, yes, no, Ready, "takes the attached certificate"},
		{yes, no, no, Ready, "takes the attached certificate"},
		{yes, nil, yes, Open, "was not tried"},
		{yes, nil, answered(200), Open, "lets callers in that show none (OPTIONS / gets 200)"},
		{answered(403), nil, answered(403), Open, "OPTIONS / gets 403"},
		{answered(204), nil, answered(403), Ready, "takes the attached certificate"},
		{answered(204), nil, answered(401), Ready, "takes the attached certificate"},
		{no, nil, answered(403), Refuses, "its reason"},
		{notAsked, nil, notAsked, Open, "whoever reaches it gets in"},
		{nil, nil, notAsked, Open, "whoever reaches it gets in"},
		{no, yes, no, Behind, "its reason"},
		{no, yes, yes, Behind, "its reason"}, // what hurts comes before what is open
		{no, nil, no, Refuses, "its reason"},
		{no, no, no, Refuses, "its reason"},
		{nil, nil, no, Refuses, "the stage has none"},
		{nil, nil, nil, Unverified, "expired certificate: it was valid until yesterday"},
		{yes, nil, lost, Unverified, "its reason"},
		{lost, nil, no, Unverified, "its reason"},
	} {
		row := Backend{Attached: tc.attached, Previous: tc.previous, Without: tc.without,
			Diagnosis: &backgate.Diagnosis{Verdict: "expired certificate", Why: "it was valid until yesterday"}}
		compare(&row)
		if got, why := judge(&row); got != tc.want || !strings.Contains(why, tc.why) {
			t.Errorf("%+v: %s, %s; want %s, %s", tc, got, why, tc.want, tc.why)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add("url=https%3A%2F%2Fa%3A1&serverName=b&target=c")
	f.Add("insecureSkipVerification=1&url=a&url=b")
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := questionOf(query)
		if err != nil {
			return
		}
		in, err := q.Inspection()
		if err != nil {
			return
		}
		if in.Scheme != "https" || in.Host == "" || strings.ContainsAny(in.Host+in.ServerName, " \t\r\n/'\"$`;") {
			t.Errorf("%q became %+v", raw, in)
		}
	})
}

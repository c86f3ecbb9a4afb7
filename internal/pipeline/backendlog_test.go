package pipeline

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/backgate"
)

// lines is a process log that is written to while it is read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.text.String(), "\n"), "\n")
}

// The process log says once a minute why a backend fails and what to do, once
// for each cause.
func TestBackendFailureIsExplained(t *testing.T) {
	w := newWorld(t)
	log := new(lines)
	now := time.Now()
	w.p.log = newQuietLog(slog.New(slog.NewJSONHandler(log, nil)), func() time.Time { return now })
	one := w.backendWith(selfSigned(t, "localhost"), func(http.ResponseWriter, *http.Request) {})
	w.route("/f", "GET", proxyTo(one))
	c := w.client(false)
	for range 3 {
		w.call(c, "GET", testHost, "/prod/f", nil)
	}
	got := log.all()
	if len(got) != 1 {
		t.Fatalf("%d lines: %s", len(got), got)
	}
	var line struct{ Msg, Kind, Why, Fix string }
	if err := json.Unmarshal([]byte(got[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Msg != "backend failed" || line.Kind != backgate.Untrusted.String() || !strings.Contains(line.Why, "signed by itself") || !strings.Contains(line.Fix, "--trust-bundle") || len(got[0]) > 2<<10 {
		t.Errorf("%s", got[0])
	}
	in := proxyTo(strings.Replace(one, "localhost", "127.0.0.1", 1)) // another cause
	in.InsecureSkipVerification = true
	w.route("/f", "GET", in)
	w.call(c, "GET", testHost, "/prod/f", nil)
	if got := log.all(); len(got) != 2 || !strings.Contains(got[1], "which is not among the certificate's alternative names") {
		t.Errorf("%s", got)
	}
	now = now.Add(2 * quietFor)
	w.call(c, "GET", testHost, "/prod/f", nil)
	if got := log.all(); len(got) != 3 {
		t.Errorf("%d lines", len(got))
	}
}

// Each kind of fault has a gateway response, and both tables say the same of it.
func TestFaultsHaveResponses(t *testing.T) {
	for k := backgate.Untrusted; k <= backgate.Canceled; k++ {
		want := k.Answer()
		row := gatewayResponses[responseNamed(want.ResponseType)]
		if row.name != want.ResponseType || row.status != want.Status || row.errorType != want.ErrorType {
			t.Errorf("%v: %+v, but the response is %+v", k, want, row)
		}
	}
}

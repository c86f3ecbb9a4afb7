package auditor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// world is a store with an auditor on it.
type world struct {
	t    testing.TB
	st   *bolt.Store
	now  time.Time // of the test; the auditor reads the clock
	at   atomic.Pointer[time.Time]
	a    *Auditor
	stop context.CancelFunc
	done chan error
}

func newWorld(t testing.TB) *world {
	st, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, st: st}
	w.tick(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	t.Cleanup(func() { w.close(); st.Close() })
	return w
}

func (w *world) tick(to time.Time) { w.now = to; w.at.Store(&to) }

func (w *world) open() {
	w.t.Helper()
	a, err := Open(w.t.Context(), Options{Store: w.st, Region: "us-east-1", Account: "000000000000", Now: func() time.Time { return *w.at.Load() }})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.a, w.stop, w.done = a, stop, make(chan error, 1)
	go func() { w.done <- a.Run(ctx) }()
}

func (w *world) close() {
	if w.stop != nil {
		w.stop()
		if err := <-w.done; err != nil {
			w.t.Error(err)
		}
		w.stop = nil
	}
}

// put writes documents in one commit and waits until they are judged.
func (w *world) put(docs map[string]any, deletes ...string) {
	w.t.Helper()
	c := store.Change{Deletes: deletes}
	for key, doc := range docs {
		value, ok := doc.([]byte)
		if !ok {
			var err error
			if value, err = awsapi.Marshal(doc); err != nil {
				w.t.Fatal(err)
			}
		}
		c.Puts = append(c.Puts, store.Put{Key: key, Value: value})
	}
	rev, err := w.st.Commit(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.a != nil {
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		defer cancel()
		if err := w.a.WaitFor(ctx, rev); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) record(control, id string) *Record {
	w.t.Helper()
	for _, r := range w.a.Records() {
		if r.Finding.Control == control && r.Finding.Resource.ID == id {
			return &r
		}
	}
	w.t.Fatalf("no record of %s on %s", control, id)
	return nil
}

func (w *world) want(control, id string, status posture.Status, workflow Workflow, archived string) *Record {
	w.t.Helper()
	r := w.record(control, id)
	if r.Finding.Status != status || r.State.Workflow != workflow || r.State.Archived != archived {
		w.t.Errorf("%s on %s: %s, %s, %q; want %s, %s, %q: %s", control, id, r.Finding.Status, r.State.Workflow, r.State.Archived, status, workflow, archived, r.Finding.Reason)
	}
	return r
}

const (
	stageARN = "arn:aws:apigateway:us-east-1::/restapis/a1/stages/prod"
	nameARN  = "arn:aws:apigateway:us-east-1::/domainnames/api.example.com"
)

func stage(certificate string) *types.Stage {
	s := &types.Stage{StageName: aws.String("prod"), DeploymentId: aws.String("d1"), Tags: map[string]string{"k": "v"}}
	if certificate != "" {
		s.ClientCertificateId = aws.String(certificate)
	}
	return s
}

func domainName(policy types.SecurityPolicy) *types.DomainName {
	return &types.DomainName{DomainName: aws.String("api.example.com"), SecurityPolicy: policy, EndpointAccessMode: types.EndpointAccessModeBasic,
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}}
}

func TestLifeOfAFinding(t *testing.T) {
	w := newWorld(t)
	w.put(map[string]any{
		resource.RestAPIKey("a1"):                    &types.RestApi{Id: aws.String("a1")},
		resource.StageKey("a1", "prod"):              stage(""),
		resource.DomainNameKey("api.example.com"):    domainName("TLS_1_2"),
		resource.DomainNameKey("broken.example.com"): []byte(`{"domainName":`),
	})
	w.open()
	first := w.want("APIGateway.2", stageARN, posture.Failed, New, "")
	w.want("APIGateway.11", nameARN, posture.Failed, New, "")
	w.want("APIGateway.11", "arn:aws:apigateway:us-east-1::/domainnames/broken.example.com", posture.Unknown, New, "")
	if got := w.a.Report().Summary.Statuses[posture.Failed]; got == 0 {
		t.Error("the report has no failures")
	}

	// A change is judged, and only it.
	w.tick(w.now.Add(time.Hour))
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage("c1")})
	passed := w.want("APIGateway.2", stageARN, posture.Passed, Resolved, "")
	if passed.State.ID != first.State.ID || !passed.State.FirstSeen.Equal(w.now) || !passed.State.Created.Equal(first.State.Created) || len(passed.State.History) != 2 {
		t.Errorf("%+v", passed.State)
	}

	// What people say is durable, and verdicts do not undo a suppression.
	said := w.record("APIGateway.11", nameARN)
	until := w.now.Add(24 * time.Hour)
	if err := w.a.Update(t.Context(), said.State.ID, func(s *State) error {
		s.Workflow, s.Suppression = Suppressed, &Suppression{Reason: "migration in October", Until: until}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if err := w.a.Update(t.Context(), said.State.ID, func(s *State) error { s.Workflow = Notified; return refused }); !errors.Is(err, refused) {
		t.Error(err)
	}
	if err := w.a.Update(t.Context(), "nobody", func(*State) error { return nil }); !errors.Is(err, ErrNoFinding) {
		t.Error(err)
	}
	w.close()
	w.open()
	again := w.want("APIGateway.11", nameARN, posture.Failed, Suppressed, "")
	if again.State.ID != said.State.ID || again.State.Suppression.Reason != "migration in October" || !again.State.FirstSeen.Equal(said.State.FirstSeen) {
		t.Errorf("%+v", again.State)
	}
	w.tick(until.Add(time.Second))
	if err := w.a.Evaluate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want("APIGateway.11", nameARN, posture.Failed, New, "")

	// What leaves PASSED is new again; a resource that goes takes its findings along.
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage("")})
	w.want("APIGateway.2", stageARN, posture.Failed, New, "")
	w.put(nil, resource.StageKey("a1", "prod"))
	gone := w.want("APIGateway.2", stageARN, posture.Failed, New, ResourceGone)
	if gone.Finding.Title == "" || gone.Finding.Resource.Type != posture.TypeStage {
		t.Errorf("%+v", gone.Finding)
	}
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage("")})
	if back := w.want("APIGateway.2", stageARN, posture.Failed, New, ""); back.State.ID != first.State.ID {
		t.Error("a resource that returns has another finding")
	}
	w.put(nil, resource.StageKey("a1", "prod"))
	w.tick(w.now.Add(keepArchived + time.Hour))
	if err := w.a.Evaluate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.a.Records() {
		if r.Finding.Resource.ID == stageARN {
			t.Errorf("archived for too long: %+v", r.State)
		}
	}
}

// What is stored and not in effect is never passed.
func TestNotInEffect(t *testing.T) {
	w := newWorld(t)
	s := stage("c1")
	s.TracingEnabled, s.WebAclArn = true, aws.String("arn:aws:wafv2:us-east-1:000000000000:regional/webacl/a/b")
	s.MethodSettings = map[string]types.MethodSetting{"*/*": {CachingEnabled: true, CacheDataEncrypted: true, LoggingLevel: aws.String("INFO")}}
	w.put(map[string]any{resource.RestAPIKey("a1"): &types.RestApi{Id: aws.String("a1")}, resource.StageKey("a1", "prod"): s})
	w.open()
	for control, want := range map[string]posture.Status{"APIGateway.1": posture.Passed, "APIGateway.2": posture.Passed,
		"APIGateway.3": posture.Unknown, "APIGateway.4": posture.Unknown, "APIGateway.5": posture.Unknown} {
		if r := w.record(control, stageARN); r.Finding.Status != want {
			t.Errorf("%s: %s, want %s: %s", control, r.Finding.Status, want, r.Finding.Reason)
		}
	}
}

func TestParameters(t *testing.T) {
	w := newWorld(t)
	s := stage("")
	s.MethodSettings = map[string]types.MethodSetting{"*/*": {LoggingLevel: aws.String("INFO")}}
	w.put(map[string]any{resource.StageKey("a1", "prod"): s})
	w.open()
	w.want("APIGateway.1", stageARN, posture.Passed, Resolved, "")
	var bad *posture.ParameterError
	if err := w.a.SetParams(t.Context(), "APIGateway.1", posture.Values{"loggingLevel": {"DEBUG"}}, ""); !errors.As(err, &bad) {
		t.Error(err)
	}
	if err := w.a.SetParams(t.Context(), "APIGateway.1", posture.Values{"loggingLevel": {"ERROR"}}, "policy 7"); err != nil {
		t.Fatal(err)
	}
	w.want("APIGateway.1", stageARN, posture.Failed, New, "")
	w.close()
	w.open()
	w.want("APIGateway.1", stageARN, posture.Failed, New, "")
	if reason := w.a.Reason("APIGateway.1"); reason != "policy 7" {
		t.Errorf("the reason is %q", reason)
	}
	if err := w.a.SetParams(t.Context(), "APIGateway.1", nil, ""); err != nil {
		t.Fatal(err)
	}
	w.want("APIGateway.1", stageARN, posture.Passed, Resolved, "")
}

// What was seen on the wire is part of the finding until its document changes.
func TestWitness(t *testing.T) {
	w := newWorld(t)
	w.put(map[string]any{resource.DomainNameKey("api.example.com"): domainName("SecurityPolicy_TLS13_1_3_2025_09")})
	w.open()
	w.want("APIGateway.11", nameARN, posture.Passed, Resolved, "")
	w.a.Witness(nameARN, posture.Evidence{Kind: posture.Probe, Value: "TLSv1.0 is accepted", Contradicts: true})
	if r := w.record("APIGateway.11", nameARN); r.Finding.Status != posture.Unknown || len(r.Finding.Evidence) == 0 || r.State.Status != posture.Unknown || r.State.Workflow != New {
		t.Errorf("%s, %s: %s", r.Finding.Status, r.State.Workflow, r.Finding.Reason)
	}
	w.put(map[string]any{resource.DomainNameKey("api.example.com"): domainName("SecurityPolicy_TLS13_1_3_FIPS_2025_09")})
	w.want("APIGateway.11", nameARN, posture.Passed, Resolved, "")
}

// From a commit to its findings, with 10,000 APIs loaded.
func BenchmarkChange(b *testing.B) {
	w := newWorld(b)
	for from := 0; from < 10_000; from += 500 {
		docs := map[string]any{}
		for i := from; i < from+500; i++ {
			id := fmt.Sprintf("api%d", i)
			docs[resource.RestAPIKey(id)] = &types.RestApi{Id: aws.String(id)}
			docs[resource.StageKey(id, "prod")] = stage("")
		}
		w.put(docs)
	}
	w.open()
	docs := [2]*types.Stage{stage("c1"), stage("")}
	i := 0
	for b.Loop() {
		w.put(map[string]any{resource.StageKey("api77", "prod"): docs[i%2]})
		i++
	}
}

// What people call resolved stays so while it fails; a suppression that is over
// is none for whoever looks, before the next evaluation keeps that.
func TestWorkflow(t *testing.T) {
	w := newWorld(t)
	w.put(map[string]any{resource.StageKey("a1", "prod"): stage("")})
	w.open()
	failed := w.want("APIGateway.2", stageARN, posture.Failed, New, "")
	say := func(change func(*State)) {
		t.Helper()
		refused, err := w.a.UpdateAll(t.Context(), []string{failed.State.ID, "nobody"}, func(s *State) (Change, error) {
			change(s)
			return Change{By: "ann"}, nil
		})
		if err != nil || len(refused) != 1 || !errors.Is(refused["nobody"], ErrNoFinding) {
			t.Fatal(refused, err)
		}
	}
	say(func(s *State) { s.Workflow = Resolved })
	if err := w.a.Evaluate(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := w.want("APIGateway.2", stageARN, posture.Failed, Resolved, "")
	if last := kept.State.History[len(kept.State.History)-1]; last.By != "ann" || last.Workflow != Resolved || !kept.State.Updated.Equal(failed.State.Updated) {
		t.Errorf("%+v", kept.State)
	}
	until := w.now.Add(time.Minute)
	say(func(s *State) { s.Workflow, s.Suppression = Suppressed, &Suppression{Reason: "x", Until: until} })
	w.want("APIGateway.2", stageARN, posture.Failed, Suppressed, "")
	w.tick(until)
	w.want("APIGateway.2", stageARN, posture.Failed, New, "")

	enabled := w.a.Enabled()
	w.close()
	w.tick(w.now.Add(time.Hour))
	w.open()
	if again := w.a.Enabled(); enabled.IsZero() || !again.Equal(enabled) {
		t.Errorf("enabled at %s, after a restart at %s", enabled, again)
	}
	if at := w.a.Evaluated(); !at.Equal(w.now) {
		t.Errorf("evaluated at %s, at %s by the clock", at, w.now)
	}
}

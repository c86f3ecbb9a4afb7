package snapshot

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

func TestLookup(t *testing.T) {
	w := newWorld(t, nil)
	w.put(w.materialDoc("c1", "www.example.com"))
	w.put(append(deployed("abc123"),
		domainDoc("www.example.com", policy13, "STRICT", "c1"),
		domainDoc("*.example.com", "TLS_1_2", "", "c1"),
		domainDoc("*.deep.example.com", policyPQ, "BASIC", "c1"))...)
	w.wantNoFaults()
	for _, c := range []struct{ host, want string }{
		{"www.example.com", "www.example.com"}, // exact before wildcard
		{"WWW.Example.COM.", "www.example.com"},
		{"other.example.com", "*.example.com"},
		{"a.b.example.com", ""}, // a wildcard covers one label
		{"a.deep.example.com", "*.deep.example.com"},
		{"deep.example.com", "*.example.com"},
		{"example.com", ""},
		{"*.example.com", ""}, // no host name
		{".example.com", ""},
		{"www.example.com..", ""},
		{"www.example.com:443", ""}, // a server name has no port; NormalizeHost takes it off a Host header
		{"abc123.execute-api.us-east-1.localhost", "abc123.execute-api.us-east-1.localhost"},
		{"ABC123.execute-api.us-east-1.AMAZONAWS.com.", "abc123.execute-api.us-east-1.localhost"},
		{"abc124.execute-api.us-east-1.localhost", ""},
		{"abc123.execute-api.eu-west-1.localhost", ""},
		{"x.abc123.execute-api.us-east-1.localhost", ""},
		{"execute-api.us-east-1.localhost", ""},
		{"", ""},
	} {
		got := ""
		if n := w.Current().Lookup(c.host); n != nil {
			got = n.Host
		}
		if got != c.want {
			t.Errorf("Lookup(%q) = %q, want %q", c.host, got, c.want)
		}
	}
	n := w.Current().Lookup("abc123.execute-api.us-east-1.localhost")
	if n.API != "abc123" || n.Policy.Name != policy13 || n.Mode != Basic || n.Endpoints != Regional || n.Certificates[0] != defaultCertificate {
		t.Errorf("default endpoint: %+v", n)
	}
	d := w.Current().Default()
	if d.Policy.Name != "TLS_1_2" || d.Policy.Edge || d.Mode != NoMode || len(d.Certificates) != 1 || d.Host != "" {
		t.Errorf("default name: %+v", d)
	}
}

func TestEndpointTypes(t *testing.T) {
	w := newWorld(t, nil,
		apiDoc("reg", "TLS_1_0", ""),
		apiDoc("edge", "TLS_1_0", "", types.EndpointTypeEdge),
		apiDoc("edge13", policyEdge, "STRICT", types.EndpointTypeEdge),
		apiDoc("priv", "TLS_1_2", "", types.EndpointTypePrivate))
	w.wantNoFaults()
	for _, c := range []struct {
		api     string
		at      EndpointType
		edge    bool
		mode    Mode
		private bool
	}{
		{"reg", Regional, false, NoMode, false},
		{"edge", Edge, true, NoMode, false}, // the edge row of the same name
		{"edge13", Edge, true, Strict, false},
		{"priv", Private, false, NoMode, true},
	} {
		api := w.Current().API(c.api)
		n := w.Current().Lookup(c.api + ".execute-api.us-east-1.localhost")
		if n.Endpoints != c.at || n.Policy.Edge != c.edge || n.Mode != c.mode || api.Endpoint != c.at || api.Private != c.private {
			t.Errorf("%s: %+v, %+v", c.api, n, api)
		}
		if ParseEndpointType(c.at.String()) != c.at {
			t.Errorf("%s does not parse", c.at)
		}
	}
}

// TestNothingWeaker: what cannot be compiled has no Name and no Stage, while a
// good version that was there stays, and neighbours do not notice.
func TestNothingWeaker(t *testing.T) {
	name := "www.example.com"
	for _, c := range []struct {
		what   string
		bad    func(w *world) store.Change
		key    string
		reason string
		there  func(s *Snapshot) any // what is set aside, nil when it is not there
	}{
		{"unknown policy of an API", puts(apiDoc("api", "TLS_9", "")), resource.RestAPIKey("api"), `"TLS_9" is not known`, endpointThere},
		{"edge policy at a regional endpoint", puts(apiDoc("api", policyEdge, "BASIC")), resource.RestAPIKey("api"), "is not known for regional", endpointThere},
		{"unknown mode", puts(apiDoc("api", policy13, "LENIENT")), resource.RestAPIKey("api"), "LENIENT", endpointThere},
		{"no endpoint type", puts(doc(resource.RestAPIKey("api"), types.RestApi{Id: aws.String("api"), SecurityPolicy: policy13})), resource.RestAPIKey("api"), "no endpoint type", endpointThere},
		{"API that is no JSON", puts(doc(resource.RestAPIKey("api"), []byte("{"))), resource.RestAPIKey("api"), "", endpointThere},
		{"unreadable transition", puts(apiDoc("api", policy13, "BASIC"), doc(resource.RestAPITransitionKey("api"), []byte("["))), resource.RestAPIKey("api"), "transition", endpointThere},

		{"stage without its deployment", puts(stageDoc("api", "prod", "gone")), resource.StageKey("api", "prod"), "deployment gone: ", stageThere},
		{"stage without any deployment", puts(doc(resource.StageKey("api", "prod"), types.Stage{})), resource.StageKey("api", "prod"), "no deployment", stageThere},
		{"illegal log format", puts(stageDoc("api", "prod", "d1", logsTo("arn:aws:logs:us-east-1:000000000000:log-group:g", "$context.requestId\n$context.requestId"))), resource.StageKey("api", "prod"), "access log format", stageThere},
		{"log group that climbs", puts(stageDoc("api", "prod", "d1", logsTo("arn:aws:logs:us-east-1:000000000000:log-group:/a/../b", "$context.requestId"))), resource.StageKey("api", "prod"), "access log", stageThere},
		{"unreadable effect", puts(doc(resource.EffectKey("api", "prod"), []byte("1"))), resource.StageKey("api", "prod"), "stage effect", stageThere},
		{"malformed resource policy", puts(frozenDoc("d2", withPolicy(restAPI("api", policy13, "BASIC"), "{")), stageDoc("api", "prod", "d2")), resource.StageKey("api", "prod"), "resource policy", stageThere},

		{"certificate that is not there", puts(domainDoc(name, policy13, "BASIC", "gone")), resource.DomainNameKey(name), "certificate gone: ", domainThere},
		{"certificate that is deleted", func(*world) store.Change { return store.Change{Deletes: []string{resource.MaterialKey("c1")}} }, resource.DomainNameKey(name), "certificate c1: ", domainThere},
		{"key that does not open", func(w *world) store.Change {
			p := w.materialDoc("c2", name) // sealed for another id
			p.Key = resource.MaterialKey("c1")
			return store.Change{Puts: []store.Put{p}}
		}, resource.DomainNameKey(name), "does not open", domainThere},
		{"key of another certificate", func(w *world) store.Change {
			other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			return store.Change{Puts: []store.Put{materialDoc(w.sealer, "c1", newCertificate(name), other)}}
		}, resource.DomainNameKey(name), "not the certificate's", domainThere},
		{"domain name without a certificate", puts(domainDoc(name, policy13, "BASIC", "", func(d *types.DomainName) { d.RegionalCertificateArn = nil })), resource.DomainNameKey(name), "no certificate", domainThere},
		{"certificate that is no ACM ARN", puts(domainDoc(name, policy13, "BASIC", "a/b")), resource.DomainNameKey(name), "not an ACM ARN", domainThere},
		{"unknown policy of a domain name", puts(domainDoc(name, "TLS_9", "", "c1")), resource.DomainNameKey(name), `"TLS_9" is not known`, domainThere},
		{"mapping that is no JSON", puts(doc(resource.BasePathMappingKey(name, "v1"), []byte("{"))), resource.DomainNameKey(name), "base path mapping v1", domainThere},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, nil)
			all := func(id string) []store.Put {
				return append(deployed(id), w.materialDoc("c1", name), domainDoc(name, policy13, "BASIC", "c1"))
			}
			w.put(deployed("neighbour")...)
			neighbour := w.Current().API("neighbour")

			// At first sight: put in the same commit as everything else.
			bad := c.bad(w)
			first := store.Change{Puts: all("api")}
			for _, p := range bad.Puts {
				first.Puts = slices.DeleteFunc(first.Puts, func(q store.Put) bool { return q.Key == p.Key })
				first.Puts = append(first.Puts, p)
			}
			for _, key := range bad.Deletes {
				first.Puts = slices.DeleteFunc(first.Puts, func(q store.Put) bool { return q.Key == key })
			}
			w.commit(first)
			w.wantFault(c.key, c.reason, false)
			if v := c.there(w.Current()); v != nil {
				t.Fatalf("there is one all the same: %+v", v)
			}

			// Over a good version.
			w.commit(store.Change{DeletePrefixes: []string{resource.PrefixTransitions, resource.PrefixEffects, resource.PrefixBasePathMappings}, Puts: all("api")})
			w.wantNoFaults()
			good := c.there(w.Current())
			if good == nil {
				t.Fatal("a good version does not compile")
			}
			rev := w.commit(bad)
			w.wantFault(c.key, c.reason, true)
			if got := c.there(w.Current()); got != good {
				t.Errorf("the last good version was replaced: %+v", got)
			}
			if f, _ := w.fault(c.key); f.Since != rev {
				t.Errorf("fault since %d, want %d", f.Since, rev)
			}
			if got := w.Current().API("neighbour"); got != neighbour {
				t.Error("a neighbour was compiled anew")
			}

			// And repaired.
			w.commit(store.Change{DeletePrefixes: []string{resource.PrefixTransitions, resource.PrefixEffects, resource.PrefixBasePathMappings}, Puts: all("api")})
			w.wantNoFaults()
		})
	}
}

func puts(docs ...store.Put) func(*world) store.Change {
	return func(*world) store.Change { return store.Change{Puts: docs} }
}

func endpointThere(s *Snapshot) any {
	if n := s.Lookup("api.execute-api.us-east-1.localhost"); n != nil {
		return n
	}
	return nil
}

func stageThere(s *Snapshot) any {
	if api := s.API("api"); api != nil && api.Stages["prod"] != nil {
		return api.Stages["prod"]
	}
	return nil
}

func domainThere(s *Snapshot) any {
	if n := s.Lookup("www.example.com"); n != nil {
		return n
	}
	return nil
}

func logsTo(arn, format string) func(*types.Stage) {
	return func(s *types.Stage) {
		s.AccessLogSettings = &types.AccessLogSettings{DestinationArn: aws.String(arn), Format: aws.String(format)}
	}
}

func withPolicy(api types.RestApi, policy string) types.RestApi {
	api.Policy = aws.String(policy)
	return api
}

// TestTouches: which commit compiles what anew, seen by pointers.
func TestTouches(t *testing.T) {
	w := newWorld(t, nil)
	name, other := "www.example.com", "other.example.com"
	w.put(w.materialDoc("c1", name), w.materialDoc("c2", other))
	docs := append(deployed("a"), deployed("b")...)
	docs = append(docs, stageDoc("a", "beta", "d1"),
		domainDoc(name, policy13, "BASIC", "c1"), mappingDoc(name, "", "a", "prod"),
		domainDoc(other, policy13, "BASIC", "c2"), mappingDoc(other, "", "b", "prod"))
	w.put(docs...)
	w.wantNoFaults()

	type view struct{ EndpointA, EndpointB, ProdA, BetaA, ProdB, Name, Other any }
	look := func() view {
		s := w.Current()
		return view{
			s.API("a").endpoint, s.API("b").endpoint, s.API("a").Stages["prod"], s.API("a").Stages["beta"], s.API("b").Stages["prod"],
			s.Lookup(name), s.Lookup(other),
		}
	}
	for _, c := range []struct {
		what string
		put  store.Put
		want string // members of view that are new
	}{
		{"an API's policy", apiDoc("a", policyPQ, "BASIC"), "EndpointA"},
		{"an API's description", doc(resource.RestAPIKey("a"), func() types.RestApi {
			api := restAPI("a", policyPQ, "BASIC")
			api.Description = aws.String("new")
			return api
		}()), ""},
		{"a resource", doc(resource.ResourceKey("a", "r1"), resourceAt("/new")), ""},
		{"a stage", stageDoc("a", "prod", "d1", func(s *types.Stage) { s.Variables = map[string]string{"k": "v"} }), "ProdA"},
		{"a stage's effect", doc(resource.EffectKey("a", "beta"), resource.StageEffect{DisableExecuteAPIEndpoint: true}), "BetaA"},
		{"a deployment that nobody serves", frozenDoc("d2", restAPI("a", policy13, "BASIC")), ""},
		{"a certificate", w.materialDoc("c1", name), "Name"},
		{"a certificate that nobody uses", w.materialDoc("c3", name), ""},
		{"a mapping", mappingDoc(other, "v1", "a", ""), "Other"},
		{"a domain name", domainDoc(name, policyPQ, "STRICT", "c1"), "Name"},
		{"a domain name's certificate", domainDoc(name, policyPQ, "STRICT", "c2"), "Name"},
		{"a certificate that two use", w.materialDoc("c2", name), "Name Other"},
		{"the same certificate again", store.Put{}, ""},
		{"a tag", doc(resource.CertificateTagsKey("c1"), []byte("[]")), ""},
	} {
		before := look()
		if c.put.Key == "" { // the value that is there
			d, err := w.st.Get(t.Context(), resource.MaterialKey("c2"))
			if err != nil {
				t.Fatal(err)
			}
			c.put = store.Put{Key: d.Key, Value: d.Value}
		}
		rev := w.put(c.put)
		w.wantNoFaults()
		if got := w.Current().Revision(); got != rev {
			t.Errorf("%s: revision %d, want %d", c.what, got, rev)
		}
		after := look()
		var changed []string
		for _, f := range []struct {
			name          string
			before, after any
		}{
			{"EndpointA", before.EndpointA, after.EndpointA}, {"EndpointB", before.EndpointB, after.EndpointB},
			{"ProdA", before.ProdA, after.ProdA}, {"BetaA", before.BetaA, after.BetaA}, {"ProdB", before.ProdB, after.ProdB},
			{"Name", before.Name, after.Name}, {"Other", before.Other, after.Other},
		} {
			if f.before != f.after {
				changed = append(changed, f.name)
			}
		}
		if got := strings.Join(changed, " "); got != c.want {
			t.Errorf("%s: compiled anew: %q, want %q", c.what, got, c.want)
		}
	}
	if st := w.Current().API("a").Stages["prod"]; st.Variables["k"] != "v" || st.DisableDefaultEndpoint {
		t.Errorf("prod: %+v", st)
	}
	if st := w.Current().API("a").Stages["beta"]; !st.DisableDefaultEndpoint {
		t.Errorf("beta: %+v", st)
	}
	if diff := cmp.Diff([]Mapping{{"v1", "a", ""}, {"", "b", "prod"}}, w.Current().Lookup(other).Mappings); diff != "" {
		t.Error(diff)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t, nil)
	w.put(w.materialDoc("c1", "www.example.com"))
	w.put(append(deployed("abc"), stageDoc("abc", "bad", "gone"), domainDoc("www.example.com", policy13, "BASIC", "c1"), domainDoc("*.example.com", policy13, "BASIC", "c1"))...)
	w.wantFault(resource.StageKey("abc", "bad"), "gone", false)
	w.commit(store.Change{Deletes: []string{resource.StageKey("abc", "prod")}})
	if w.Current().API("abc").Stages["prod"] != nil {
		t.Error("a deleted stage serves")
	}
	w.commit(store.Change{
		Deletes:        []string{resource.RestAPIKey("abc"), resource.DomainNameKey("www.example.com")},
		DeletePrefixes: []string{resource.StagesPrefix("abc"), resource.FrozenPrefix("abc")},
	})
	s := w.Current()
	if s.API("abc") != nil || s.Lookup("abc.execute-api.us-east-1.localhost") != nil {
		t.Error("a deleted API serves")
	}
	if n := s.Lookup("www.example.com"); n == nil || n.Host != "*.example.com" {
		t.Errorf("the wildcard does not take over: %+v", n)
	}
	w.wantNoFaults()
	w.commit(store.Change{Deletes: []string{resource.DomainNameKey("*.example.com")}})
	if n := w.Current().Lookup("www.example.com"); n != nil {
		t.Errorf("a deleted wildcard serves: %+v", n)
	}
	if len(w.sources.domains)+len(w.sources.apis)+len(w.sources.users) != 0 {
		t.Errorf("sources are left: %+v", w.sources)
	}
}

// TestNameRevision: tickets are bound to it, so it moves with what they must
// not outlive, and with nothing else.
func TestNameRevision(t *testing.T) {
	w := newWorld(t, nil)
	name := "www.example.com"
	w.put(w.materialDoc("c1", name))
	at := w.put(domainDoc(name, policy13, "BASIC", "c1"))
	for _, c := range []struct {
		what  string
		put   store.Put
		moves bool
	}{
		{"mapping", mappingDoc(name, "", "a", ""), false},
		{"same document", domainDoc(name, policy13, "BASIC", "c1"), false},
		{"mode", domainDoc(name, policy13, "STRICT", "c1"), true},
		{"policy", domainDoc(name, policyPQ, "STRICT", "c1"), true},
		{"certificate imported anew", w.materialDoc("c1", name), true},
		{"broken, the old one serves", domainDoc(name, "TLS_9", "", "c1"), false},
		{"repaired", domainDoc(name, policyPQ, "STRICT", "c1"), false},
		{"endpoint type", domainDoc(name, "TLS_1_2", "", "c1", func(d *types.DomainName) {
			d.EndpointConfiguration.Types = []types.EndpointType{types.EndpointTypeRegional, types.EndpointTypeEdge}
			d.CertificateArn = d.RegionalCertificateArn
		}), true},
	} {
		rev := w.put(c.put)
		want := at
		if c.moves {
			want = rev
		}
		if at = w.Current().Lookup(name).Revision; at != want {
			t.Errorf("%s: revision %d, want %d", c.what, at, want)
		}
	}
}

func TestSquattedName(t *testing.T) {
	w := newWorld(t, nil)
	w.put(w.materialDoc("c1", "x"))
	for _, name := range []string{"abc.execute-api.us-east-1.localhost", "*.execute-api.us-east-1.amazonaws.com", "Upper.example.com", "a..b"} {
		w.put(domainDoc(name, policy13, "BASIC", "c1"))
		if _, ok := w.fault(resource.DomainNameKey(name)); !ok {
			t.Errorf("%s compiles", name)
		}
	}
	w.put(deployed("abc")...)
	if n := w.Current().Lookup("abc.execute-api.us-east-1.localhost"); n == nil || n.API != "abc" {
		t.Errorf("the API's name: %+v", n)
	}
}

// clock is a clock whose timers fire when it is moved.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	armed  chan time.Time // gets when each new timer is due
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), timers: make(map[chan time.Time]time.Time), armed: make(chan time.Time, 100)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Timer(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	c.timers[ch] = c.now.Add(d)
	c.armed <- c.now.Add(d)
	c.fire()
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, ch)
	}
}

func (c *clock) fire() {
	for ch, at := range c.timers {
		if !at.After(c.now) {
			ch <- c.now
			delete(c.timers, ch)
		}
	}
}

func (c *clock) move(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = to
	c.fire()
}

// TestTransition: under a propagation delay the old rule binds until the end of
// the transition and the new one from then on, without a commit.
func TestTransition(t *testing.T) {
	clk := newClock()
	swapped := make(chan *Snapshot, 10)
	w := newWorld(t, func(o *Options) {
		o.Now, o.Timer = clk.Now, clk.Timer
		o.AfterSwap = func(_, next *Snapshot) { swapped <- next }
	})
	const host = "abc.execute-api.us-east-1.localhost"
	first := w.put(apiDoc("abc", policyPQ, "BASIC"))
	<-swapped

	until := clk.Now().Add(15 * time.Minute)
	change := []store.Put{
		apiDoc("abc", policy13, "STRICT"),
		doc(resource.RestAPITransitionKey("abc"), resource.Transition{
			Until:    until,
			Previous: resource.TLSState{SecurityPolicy: policyPQ, EndpointAccessMode: "BASIC", EndpointTypes: []string{"REGIONAL"}},
		}),
	}
	second := w.put(change...)
	n := w.Current().Lookup(host)
	if n.Policy.Name != policyPQ || n.Mode != Basic || n.Revision != first {
		t.Fatalf("while it runs: %s %s revision %d", n.Policy.Name, n.Mode, n.Revision)
	}
	if at := <-clk.armed; at.After(until) || until.Sub(at) > time.Second {
		t.Fatalf("the timer is due at %v, the transition ends at %v", at, until)
	}

	// A node that starts meanwhile sees the same.
	w.Compiler.Close()
	w.open()
	n = w.Current().Lookup(host)
	if n.Policy.Name != policyPQ || n.Mode != Basic || n.Revision >= second {
		t.Fatalf("after a restart: %s %s revision %d", n.Policy.Name, n.Mode, n.Revision)
	}
	<-clk.armed

	clk.move(until)
	<-swapped
	n = w.Current().Lookup(host)
	if n.Policy.Name != policy13 || n.Mode != Strict || n.Revision != second {
		t.Errorf("at its end: %s %s revision %d, want %d", n.Policy.Name, n.Mode, n.Revision, second)
	}
	if w.Current().Revision() != second {
		t.Errorf("revision %d", w.Current().Revision())
	}
	w.commit(store.Change{Deletes: []string{resource.RestAPITransitionKey("abc")}})
	if again := w.Current().Lookup(host); again != n {
		t.Errorf("the end of the record changes the name: %+v", again)
	}
}

// TestHooks: the revision is reported after the swap and both hooks, which see
// the snapshot before and after.
func TestHooks(t *testing.T) {
	var mu sync.Mutex
	var calls []string
	var c *Compiler
	var st store.Store
	note := func(what string, old, next *Snapshot, current *Snapshot) {
		served, err := st.Served(context.Background())
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, fmt.Sprintf("%s %d->%d current %d served %d", what, old.Revision(), next.Revision(), current.Revision(), served))
	}
	w := newWorld(t, func(o *Options) {
		o.BeforeSwap = func(old, next *Snapshot) { note("before", old, next, c.Current()) }
		o.AfterSwap = func(old, next *Snapshot) { note("after", old, next, c.Current()) }
	}, apiDoc("abc", policy13, "BASIC"))
	c, st = w.Compiler, w.st
	w.put(apiDoc("abc", policyPQ, "BASIC"))
	w.put(doc(resource.ResourceKey("abc", "r1"), resourceAt("/"))) // nothing that is compiled
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		"before 1->2 current 1 served 1",
		"after 1->2 current 2 served 1",
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
	if rev := w.Current().Revision(); rev != 3 {
		t.Errorf("revision %d, want 3", rev)
	}
}

// TestListsAgain: a node that fell so far behind that the engine cut it off
// comes back with everything that it missed, deletions included.
func TestListsAgain(t *testing.T) {
	var gate sync.Mutex
	entered := make(chan struct{}, 100)
	w := newWorldOn(t, bolt.Options{History: 4}, func(o *Options) {
		o.BeforeSwap = func(_, _ *Snapshot) {
			entered <- struct{}{}
			gate.Lock()
			defer gate.Unlock()
		}
	})
	w.put(append(deployed("keep"), deployed("gone")...)...)
	<-entered
	w.put(w.materialDoc("c1", "www.example.com"), domainDoc("www.example.com", policy13, "BASIC", "c1"))
	<-entered
	kept := w.Current().API("keep").endpoint

	gate.Lock()
	commit := func(c store.Change) store.Revision {
		rev, err := w.st.Commit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	commit(store.Change{Puts: []store.Put{apiDoc("new", policy13, "BASIC")}})
	<-entered // the compiler hangs in the hook
	commit(store.Change{Deletes: []string{resource.RestAPIKey("gone")}, DeletePrefixes: []string{resource.StagesPrefix("gone")}})
	imported := w.materialDoc("c1", "www.example.com")
	missed := commit(store.Change{Puts: []store.Put{imported}})
	var last store.Revision
	for i := range 20 {
		last = commit(store.Change{Puts: []store.Put{doc(resource.ResourceKey("keep", fmt.Sprint(i)), resourceAt("/"))}})
	}
	gate.Unlock()
	w.served(last)
	s := w.Current()
	if s.API("gone") != nil || s.API("new") == nil || s.API("keep").Stages["prod"] == nil {
		t.Errorf("gone %v, new %v, keep %v", s.API("gone"), s.API("new"), s.API("keep"))
	}
	if s.API("keep").endpoint != kept {
		t.Error("a name that did not change is not the same")
	}
	if n := s.Lookup("www.example.com"); n.Revision != missed {
		t.Errorf("certificate imported at %d, name has revision %d", missed, n.Revision)
	}
	w.wantNoFaults()
	w.put(apiDoc("new", policyPQ, "BASIC"))
	if p := w.Current().API("new").endpoint.Policy.Name; p != policyPQ {
		t.Errorf("policy %s: the watch does not go on", p)
	}
}

func TestDefaultCertificates(t *testing.T) {
	w := newWorld(t, nil, apiDoc("abc", policy13, "BASIC"))
	before := w.Current().API("abc").endpoint
	fresh := newCertificate("*.execute-api.us-east-1.localhost")
	if err := w.SetDefaultCertificates([]*tls.Certificate{fresh}); err != nil {
		t.Fatal(err)
	}
	after := w.Current().API("abc").endpoint
	if after.Certificates[0] != fresh || after.Revision <= before.Revision || w.Current().Default().Certificates[0] != fresh {
		t.Errorf("%+v", after)
	}
	w.put(apiDoc("def", policy13, "BASIC"))
	if w.Current().API("def").endpoint.Certificates[0] != fresh {
		t.Error("a later API has the old certificate")
	}
	if err := w.SetDefaultCertificates(nil); err == nil {
		t.Error("no certificates are accepted")
	}
	w.Compiler.Close()
	if err := w.SetDefaultCertificates([]*tls.Certificate{fresh}); err == nil {
		t.Error("a closed compiler accepts certificates")
	}
}

// TestLogOnce: a fault and a refused guard are logged when they come, a fault
// again when it goes, and neither in between.
func TestLogOnce(t *testing.T) {
	var buf syncBuffer
	w := newWorld(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&buf, nil)) })
	w.put(apiDoc("abc", "TLS_9", ""))
	w.put(doc(resource.RestAPIKey("abc"), restAPI("abc", "TLS_9", ""))) // the same again
	w.put(apiDoc("abc", "TLS_1_2", ""))
	guarded := method("GET", func(m *types.Method) { m.AuthorizationType = aws.String("AWS_IAM") })
	w.put(frozenDoc("d1", restAPI("abc", "TLS_1_2", ""), resourceAt("/", guarded)), stageDoc("abc", "prod", "d1"))
	w.put(stageDoc("abc", "prod", "d1", func(s *types.Stage) { s.Description = aws.String("x") }))
	for text, want := range map[string]int{"set aside": 1, "fault is gone": 1, "not enforced yet": 1, "AWS_IAM": 1} {
		if got := strings.Count(buf.String(), text); got != want {
			t.Errorf("%q %d times, want %d:\n%s", text, got, want, buf.String())
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestOpenRefuses(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		what   string
		change func(*Options)
	}{
		{"no suffix", func(o *Options) { o.Suffixes = nil }},
		{"suffix that is none", func(o *Options) { o.Suffixes = []string{"a b"} }},
		{"no sealer", func(o *Options) { o.Sealer = nil }},
		{"no certificate", func(o *Options) { o.DefaultCertificates = nil }},
		{"certificate without leaf", func(o *Options) { o.DefaultCertificates = []*tls.Certificate{{}} }},
	} {
		o := w.o
		c.change(&o)
		if c, err := Open(t.Context(), w.st, o); err == nil {
			c.Close()
			t.Error("opens")
		}
	}
}

// TestSafely: a document that trips a bug is a fault, not the process's end.
func TestSafely(t *testing.T) {
	err := safely(func() error { panic("no such segment") })
	if err == nil || !strings.Contains(err.Error(), "no such segment") {
		t.Errorf("got %v", err)
	}
}

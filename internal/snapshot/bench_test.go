package snapshot

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/bolt"
)

// fill commits docs in changes of a bounded size.
func fill(b *testing.B, st store.Store, docs []store.Put) {
	b.Helper()
	for chunk := range slices.Chunk(docs, 5000) {
		if _, err := st.Commit(b.Context(), store.Change{Puts: chunk}); err != nil {
			b.Fatal(err)
		}
	}
}

// farm is n APIs, each with a stage of 10 resources, 12 methods and an access log.
func farm(n int) []store.Put {
	var docs []store.Put
	for i := range n {
		id := fmt.Sprintf("api%05d", i)
		api := restAPI(id, policy13, "BASIC")
		resources := []types.Resource{resourceAt("/", method("GET", proxyTo("https://backend.example.com/")))}
		for j := range 4 {
			resources = append(resources,
				resourceAt(fmt.Sprintf("/r%d", j), method("GET", proxyTo("https://backend.example.com/r")), method("POST")),
				resourceAt(fmt.Sprintf("/r%d/{id}", j), method("GET", proxyTo("https://backend.example.com/r/{id}"))))
		}
		resources = append(resources, resourceAt("/{proxy+}", method("ANY", proxyTo("https://${stageVariables.host}/{proxy}"))))
		docs = append(docs, doc(resource.RestAPIKey(id), api), frozenDoc("d1", api, resources...),
			stageDoc(id, "prod", "d1", logsTo("arn:aws:logs:us-east-1:000000000000:log-group:g", "$context.requestId $context.status $context.tlsVersion")))
	}
	return docs
}

// BenchmarkLookup looks up server names among 100,000 custom domain names.
func BenchmarkLookup(b *testing.B) {
	w := newWorld(b, nil)
	docs := []store.Put{w.materialDoc("c1", "*.example.com")}
	for i := range 100_000 {
		docs = append(docs, domainDoc(fmt.Sprintf("name%06d.example.com", i), policy13, "BASIC", "c1"))
	}
	docs = append(docs, domainDoc("*.wild.example.com", policy13, "BASIC", "c1"), apiDoc("abc", policy13, "BASIC"))
	fill(b, w.st, docs)
	_, rev, err := w.st.List(b.Context(), store.Range{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.st.WaitServed(b.Context(), rev); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, host string }{
		{"exact", "name054321.example.com"},
		{"wildcard", "a.wild.example.com"},
		{"default", "abc.execute-api.us-east-1.localhost"},
		{"unknown", "nobody.example.org"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := w.Current().Lookup(c.host); (n == nil) != (c.name == "unknown") {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkCommitToSwap commits a policy change of one API among 10,000 and
// waits until the snapshot with it is reported: the commit's own sync to disk is
// part of ns/op, p50 and p99; swap-us is the compiler's share alone.
func BenchmarkCommitToSwap(b *testing.B) {
	w := newWorld(b, nil)
	w.Compiler.Close()
	fill(b, w.st, farm(10_000))
	w.open()
	policies := []string{policyPQ, policy13}
	var all, swaps []time.Duration
	for i := 0; b.Loop(); i++ {
		put := apiDoc("api05000", policies[i%2], "BASIC")
		start := time.Now()
		rev, err := w.st.Commit(b.Context(), store.Change{Puts: []store.Put{put}})
		if err != nil {
			b.Fatal(err)
		}
		durable := time.Now()
		if err := w.st.WaitServed(b.Context(), rev); err != nil {
			b.Fatal(err)
		}
		all, swaps = append(all, time.Since(start)), append(swaps, time.Since(durable))
		if p := w.Current().API("api05000").endpoint.Policy.Name; p != policies[i%2] {
			b.Fatal(p)
		}
	}
	report := func(ds []time.Duration, name string) {
		slices.Sort(ds)
		b.ReportMetric(float64(ds[len(ds)/2].Microseconds()), "p50-"+name)
		b.ReportMetric(float64(ds[len(ds)*99/100].Microseconds()), "p99-"+name)
	}
	report(all, "commit-us")
	report(swaps, "swap-us")
}

// BenchmarkStart opens a compiler on 10,000 APIs with a stage each. cpu-ms is
// the processor time of both cores for one start, which unlike ns/op does not
// depend on what else the machine does.
func BenchmarkStart(b *testing.B) {
	w := newWorldOn(b, bolt.Options{}, nil)
	w.Compiler.Close()
	fill(b, w.st, farm(10_000))
	var cpu time.Duration
	n := 0
	for b.Loop() {
		before := cpuTime()
		c, err := Open(b.Context(), w.st, w.o)
		if err != nil {
			b.Fatal(err)
		}
		if c.Current().API("api09999").Stages["prod"] == nil {
			b.Fatal("a stage is missing")
		}
		cpu += cpuTime() - before
		n++
		b.StopTimer()
		c.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(cpu.Milliseconds())/float64(n), "cpu-ms")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCompileDeployment is one stage of the farm.
func BenchmarkCompileDeployment(b *testing.B) {
	value := farm(1)[1].Value
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compileDeployment(value, "arn"); err != nil {
			b.Fatal(err)
		}
	}
}

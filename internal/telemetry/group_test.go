package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openGroups(t testing.TB, o GroupOptions) (*Groups, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "logs")
	g, err := OpenGroups(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, dir
}

func read(t testing.TB, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFolder(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"plain", "plain"},
		{"/aws/apigateway/x", "aws/apigateway/x"},
		{"aws//apigateway/x/", "aws/apigateway/x"},
		{"API-Gateway-Execution-Logs_abc/prod", "API-Gateway-Execution-Logs_abc/prod"},
		{"a.b#c-1_2", "a.b#c-1_2"},
		{"../../etc", "%2E./%2E./etc"},
		{".", "%2E"},
		{"...", "..."},
		{"a b\x00\\:é", "a%20b%00%5C%3A%C3%A9"},
		{"connections", "%63onnections"},
		{"/Connections/x", "%43onnections/x"},
		{"x/connections", "x/connections"},
		{"x/events.log.1", "x/%65vents.log.1"},
		{"", "%"},
		{"///", "%"},
	} {
		if got := folder(test.name); got != test.want {
			t.Errorf("%q: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzFolder(f *testing.F) {
	f.Add("/aws/apigateway/x")
	f.Add("../..//connections\x00")
	f.Fuzz(func(t *testing.T, name string) {
		got := folder(name)
		if !filepath.IsLocal(got) || filepath.Clean(got) != got || strings.ContainsAny(got, "\x00\\\n ") || strings.HasPrefix(strings.ToLower(got)+"/", connectionsGroup+"/") {
			t.Errorf("%q is kept in %q", name, got)
		}
	})
}

func TestEventsBecomeVisible(t *testing.T) {
	g, dir := openGroups(t, GroupOptions{})
	g.Group("/aws/x").Write([]byte("one"))
	g.Group("aws/x").Write([]byte("two"))
	deadline := time.Now().Add(time.Second)
	for {
		b, _ := os.ReadFile(filepath.Join(dir, "aws/x", eventsFile))
		if string(b) == "one\ntwo\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a second: %q", b)
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.Connections(Connection{ID: "c1", SNI: "<\n>"})
	g.Close()
	var c Connection
	text := read(t, dir, "connections", eventsFile)
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.SNI != "<\n>" || strings.Count(text, "\n") != 1 {
		t.Errorf("connection log %q: %v", text, err)
	}
	g.Group("x").Write([]byte("late")) // dropped, no panic
}

func TestRotation(t *testing.T) {
	g, dir := openGroups(t, GroupOptions{MaxSize: 10, Keep: 2})
	for i := range 6 {
		g.Group("g").Write(fmt.Appendf(nil, "line %d", i)) // 7 bytes with its break
		g.Flush()
	}
	for file, want := range map[string]string{"events.log": "line 5\n", "events.log.1": "line 4\n", "events.log.2": "line 3\n"} {
		if got := read(t, dir, "g", file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "g", "events.log.3")); err == nil {
		t.Error("a file too many")
	}
	// Somebody else's rotation: the file is moved away.
	if err := os.Rename(filepath.Join(dir, "g", "events.log"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	g.Group("g").Write([]byte("new"))
	g.Flush()
	if got := read(t, dir, "g", "events.log"); got != "new\n" {
		t.Errorf("after a move: %q", got)
	}
}

// Half a line that a crash left behind does not swallow the next event.
func TestHalfLine(t *testing.T) {
	g, dir := openGroups(t, GroupOptions{})
	if err := os.MkdirAll(filepath.Join(dir, "g"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "g", eventsFile), []byte("whole\nha"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.Group("g").Write([]byte("next"))
	g.Flush()
	if got := read(t, dir, "g", eventsFile); got != "whole\nha\nnext\n" {
		t.Errorf("%q", got)
	}
}

// What cannot be written is dropped, counted and said; writers go on.
func TestDrops(t *testing.T) {
	var said syncBuffer
	m := NewMetrics()
	g, dir := openGroups(t, GroupOptions{Log: slog.New(slog.NewTextHandler(&said, nil)), Metrics: m})
	if err := os.WriteFile(filepath.Join(dir, "blocked"), nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	g.Group("blocked").Write([]byte("a"))
	g.Group("blocked").Write([]byte("b"))
	g.Group("fine").Write([]byte("c"))
	g.Flush()
	if got := read(t, dir, "fine", eventsFile); got != "c\n" {
		t.Errorf("neighbour: %q", got)
	}
	g.Group("fine").Write(bytes.Repeat([]byte("x"), maxEvent))
	if !strings.Contains(said.String(), "log events dropped") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("said %q", said.String())
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sallyport_log_events_dropped_total" && f.GetMetric()[0].GetCounter().GetValue() != 3 {
			t.Errorf("counted %v drops, want 3", f.GetMetric()[0].GetCounter().GetValue())
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
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// Many writers lose nothing and keep each one's order.
func TestManyWriters(t *testing.T) {
	g, dir := openGroups(t, GroupOptions{})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 500 {
				g.Group("g").Write(fmt.Appendf(nil, "%d %d", w, i))
			}
		})
	}
	writers.Wait()
	g.Close()
	next := map[int]int{}
	for line := range strings.Lines(read(t, dir, "g", eventsFile)) {
		var w, i int
		if _, err := fmt.Sscanf(line, "%d %d\n", &w, &i); err != nil || next[w] != i {
			t.Fatalf("line %q, want %d of writer %d: %v", line, next[w], w, err)
		}
		next[w]++
	}
	for w, n := range next {
		if n != 500 {
			t.Errorf("writer %d: %d lines", w, n)
		}
	}
}

func TestNilMetrics(t *testing.T) {
	var m *Metrics
	m.Request("a", "b", 200)
	m.Handshake("p", "ok")
	m.GuardRefused("a", "b")
	m.LogDropped(1)
	m.Snapshot(1, 0)
	m.BackendFailure("x")
	m.StrictWouldRefuse()
	m.Panic()
}

func BenchmarkWrite(b *testing.B) {
	g, _ := openGroups(b, GroupOptions{})
	l, line := g.Group("g"), bytes.Repeat([]byte("x"), 200)
	b.ReportAllocs()
	for b.Loop() {
		l.Write(line)
	}
}

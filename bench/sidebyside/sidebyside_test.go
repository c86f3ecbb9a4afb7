//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary play the roles, as the program does.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "guard" {
		main()
	}
	os.Exit(m.Run())
}

// measureOn runs one short job against a net/http server.
func measureOn(t *testing.T, w workload, rate int, handler http.HandlerFunc) outcome {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	w.Server = "example.com" // the name of httptest's certificate
	w = complete([]workload{w})[0]
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return measure(t, job{Workload: w, Addr: s.Listener.Addr().String(), Roots: roots, Rate: rate, For: 200 * time.Millisecond})
}

func measure(t *testing.T, j job) outcome {
	t.Helper()
	l, err := newLoad(j)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.connect(); err != nil {
		return outcome{Refused: err.Error()}
	}
	return l.run()
}

func good(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	if int(n) != requestBody(r.Method) {
		w.WriteHeader(http.StatusBadRequest)
	}
	_, _ = w.Write(make([]byte, bodies[r.URL.Path]))
}

func TestLoad(t *testing.T) {
	for _, w := range []workload{
		{Name: "HTTP/1.1", Protocol: http1, Path: path1K, Conns: 3},
		{Name: "HTTP/1.1 in chunks", Protocol: http1, Path: path64K, Conns: 3},
		{Name: "POST", Protocol: http1, Path: path1K, Body: postBody, Conns: 3},
		{Name: "HTTP/2", Protocol: http2, Path: path64K, Conns: 2, Streams: 4},
		{Name: "new connection", Protocol: connection, Path: path1K, Conns: 2, Group: tls.X25519MLKEM768},
		{Name: "resumed connection", Protocol: connection, Path: path1K, Conns: 2, Resume: true},
	} {
		for _, rate := range []int{0, 200} {
			o := measureOn(t, w, rate, good)
			if o.Refused != "" || o.Failed > 0 || o.Requests == 0 {
				t.Errorf("%s at rate %d: %+v", w.Name, rate, o)
			}
			if rate > 0 && (o.Requests > 60 || o.P99 < o.P50 || o.P50 <= 0) {
				t.Errorf("%s at rate %d for 200 ms: %+v", w.Name, rate, o)
			}
		}
	}
}

// What is not the answer that was asked for is a failed request; a connection
// that ends in good order between two requests is not.
func TestLoadCountsFailures(t *testing.T) {
	after := func(n int, then http.HandlerFunc) http.HandlerFunc {
		served := make(chan struct{}, n)
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case served <- struct{}{}:
				good(w, r)
			default:
				then(w, r)
			}
		}
	}
	short := func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 10)) }
	refused := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		good(w, r)
	}
	cut := func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }
	for _, protocol := range []protocol{http1, http2, connection} {
		w := workload{Protocol: protocol, Path: path1K, Conns: 1}
		for what, then := range map[string]http.HandlerFunc{"short body": short, "status 502": refused, "cut off": cut} {
			if o := measureOn(t, w, 0, after(warmUps, then)); o.Failed == 0 || o.Failure == "" {
				t.Errorf("%s, %s: %+v", protocol, what, o)
			}
		}
		// Both versions: HTTP/2 says it with GOAWAY.
		leave := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			good(w, r)
		}
		if o := measureOn(t, w, 0, after(warmUps-1, leave)); o.Failed > 0 || o.Requests == 0 || (o.Reconnects == 0 && protocol != connection) {
			t.Errorf("%s, asked to leave: %+v", protocol, o)
		}
	}
	if o := measureOn(t, workload{Protocol: connection, Path: path1K, Conns: 1, Group: 0x6399}, 0, good); o.Refused == "" {
		t.Errorf("a group that nobody knows: %+v", o)
	}
}

func TestLoadStaysOnLoopback(t *testing.T) {
	if _, err := newLoad(job{Plain: true, Addr: "192.0.2.1:443", Workload: workload{Conns: 1}}); err == nil {
		t.Error("an address elsewhere was taken")
	}
}

func TestBackend(t *testing.T) {
	h := &house{dir: t.TempDir()}
	spec, err := h.furnish()
	if err != nil {
		t.Fatal(err)
	}
	in, toBackend := io.Pipe()
	fromBackend, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- runBackend(in, out) }()
	if err := json.NewEncoder(toBackend).Encode(spec); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(fromBackend).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var info backendInfo
	if err := json.Unmarshal(line, &info); err != nil {
		t.Fatal(err)
	}
	for _, w := range workloads {
		if w.Protocol != http1 || w.Conns > 64 {
			continue
		}
		j := job{Workload: w, Addr: info.Plain, Plain: true, For: 50 * time.Millisecond}
		if w.Path == tlsPath {
			j.Addr, j.Plain, j.Roots, j.Workload.Server = info.TLS, false, h.roots, "localhost"
		}
		if o := measure(t, j); o.Refused != "" || o.Failed > 0 || o.Requests == 0 {
			t.Errorf("%s: %+v", w.Name, o)
		}
	}
	toBackend.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A child's descendants are counted with it and die with it, also when only
// the guard is left to see to it.
func TestProcess(t *testing.T) {
	dir := t.TempDir()
	child := func() (*process, chan error) {
		// What the grandchild holds open ends when it does.
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := cores("").command("sh", "-c", "sleep 60 & echo; wait; wait")
		cmd.Stdout = write
		p, err := start("child", dir, cmd)
		if err != nil {
			t.Fatal(err)
		}
		write.Close()
		if _, err := read.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		over := make(chan error, 1)
		go func() {
			defer read.Close()
			_, err := io.Copy(io.Discard, read)
			over <- err
		}()
		return p, over
	}

	p, over := child()
	processes := 0
	if err := p.each(func(int, []string) error { processes++; return nil }); err != nil || processes != 2 {
		t.Errorf("%d processes, %v; want the shell and its child", processes, err)
	}
	if memory, err := p.memory(); err != nil || memory == 0 {
		t.Errorf("memory %d, %v", memory, err)
	}
	if _, err := p.cpu(); err != nil {
		t.Error(err)
	}
	p.stop()
	<-over

	g, err := startGuard(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, over = child()
	if err := g.watch(p); err != nil {
		t.Fatal(err)
	}
	g.close()
	<-p.gone
	<-over
}

func TestKnowsMLKEM(t *testing.T) {
	for text, want := range map[string]bool{
		"built with OpenSSL 3.0.22 25 Aug 2026 (running with OpenSSL 3.0.19 27 Jan 2026)":                               false,
		"built with OpenSSL 3.5.1 1 Jul 2025":                                                                           true,
		"built with OpenSSL 3.5.1 1 Jul 2025 (running with OpenSSL 3.4.0 1 Jan 2025)":                                   false,
		"Built with OpenSSL version : OpenSSL 3.0.2 15 Mar 2022\nRunning on OpenSSL version : OpenSSL 3.6.0 1 Oct 2025": true,
		"OpenSSL 4.0.0":              false, // neither built nor running: not understood
		"built with OpenSSL 4.0.0 x": true,
	} {
		if got := knowsMLKEM(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// What a machine does not have leaves the table, not the run.
func TestMissing(t *testing.T) {
	_, _, err := debian("no-such-gateway", "-v", ".")(t.Context(), nil)
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "apt-get install no-such-gateway") {
		t.Errorf("a program that is not installed: %v", err)
	}
}

func TestReport(t *testing.T) {
	works, err := choose("workload", workloads, func(w workload) string { return w.Name }, "new-mlkem,h1-1k")
	if err != nil || len(works) != 2 || works[0].Name != "h1-1k" {
		t.Fatalf("chosen %v, %v", works, err)
	}
	if _, err := choose("workload", workloads, func(w workload) string { return w.Name }, "h1-1k,h9"); err == nil || !strings.Contains(err.Error(), `no workload "h9"; there are h1-1k, `) {
		t.Errorf("an unknown workload: %v", err)
	}
	r := &report{settings: settings{rounds: 3, length: time.Second}, workloads: works, busy: "0.10",
		contenders: []row{{"Sallyport", "1", "this"}, {"nginx", "2", "that"}}, missing: []string{"Caddy is left out: not here"}}
	rs := r.placed(placement{Name: "pinned", Title: "Pinned"})
	for _, us := range []time.Duration{19, 30, 20} {
		rs.add("Sallyport", "h1-1k", sample{cpu: us * time.Microsecond, rate: 1000, p99: time.Millisecond})
		rs.add("nginx", "h1-1k", sample{cpu: 16 * time.Microsecond, rate: 2000, p99: 2 * time.Millisecond})
	}
	rs.refuse("nginx", "new-mlkem")
	page := func() string {
		var b strings.Builder
		r.render(&b, "- machine: small\n", time.Unix(0, 0))
		return b.String()
	}
	text := page()
	for _, want := range []string{
		"3 rounds of 1s", "- load average when the run began: 0.10\n", "- Caddy is left out: not here", "No request failed.",
		"| HTTP/1.1 1 KiB | 20.0 ±50% | 1.25 | 16.0 ±0% |\n", "| HTTP/1.1 1 KiB | 1000 | 0.50 | 2000 | – |\n",
		"| new handshake X25519MLKEM768 | – | – | – |\n",
		"| CPU over nginx's, HTTP/1.1 1 KiB | 1.00 | 1.25 | **falls short** |\n", "| p99 over nginx's, HTTP/1.1 1 KiB | 1.00 | 0.50 | met |\n",
		"- nginx does not take part in new-mlkem",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	rs.fail("nginx", "h1-1k", 2, "answer\n502")
	rs.fail("nginx", "h1-1k", 1, "later")
	if text := page(); r.failed() != 3 || !strings.Contains(text, "**3 requests failed:**\n\n- pinned, nginx, h1-1k: 3; first: answer 502\n") {
		t.Errorf("%d failed:\n%s", r.failed(), text)
	}
}

//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// job is one measurement, as the harness gives it to the load generator.
type job struct {
	Workload workload
	Addr     string // a loopback address
	Plain    bool   // without TLS: the backend alone
	Roots    []byte // PEM
	Rate     int    // requests a second; 0 is as many as the answers allow
	For      time.Duration
}

// outcome is what the load generator says. Refused, when the first connection
// fails, comes alone.
type outcome struct {
	Refused string `json:",omitempty"`

	Requests   int // answered as they should be
	Failed     int
	Failure    string        `json:",omitempty"` // the first one
	Reconnects int           // connections that the contender ended between two requests
	Took       time.Duration // from the start to the last answer
	P50, P99   time.Duration // where the rate was fixed
	Suite      string        // what TLS negotiated: version, suite, group
}

const (
	dialTimeout = 10 * time.Second
	// patience is how long after the end of a run the last answer may come.
	patience = 10 * time.Second
	// maxFailures ends a worker that gets nowhere.
	maxFailures = 20
	// warmUps is how many requests each connection answers before a run.
	warmUps = 3
)

// runLoad is the load generator's process: it reads a job, connects, says so,
// waits for a line, runs, prints the outcome, and keeps its connections open
// until its input ends.
func runLoad(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	l, err := newLoad(j)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.connect(); err != nil {
		return json.NewEncoder(out).Encode(outcome{Refused: err.Error()})
	}
	if err := json.NewEncoder(out).Encode(outcome{Suite: l.suite}); err != nil {
		return err
	}
	if _, err := lines.ReadBytes('\n'); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(l.run()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, lines)
	return err
}

// worker is one connection, or one maker of connections.
type worker interface {
	// open connects and asks for n requests.
	open(ctx context.Context, n int) error
	// run asks until the tally's end, at the given schedule.
	run(t *tally, s schedule)
	close()
}

// load is a job under way.
type load struct {
	job
	tls     *tls.Config
	suite   string
	workers []worker
	dials   atomic.Uint32
}

func newLoad(j job) (*load, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(j.Roots) && !j.Plain {
		return nil, errors.New("load: no roots")
	}
	if host, _, err := net.SplitHostPort(j.Addr); err != nil || !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("load: %s is not a loopback address", j.Addr)
	}
	l := &load{job: j, tls: &tls.Config{
		ServerName: j.Workload.Server, RootCAs: roots, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{j.Workload.Group}, DynamicRecordSizingDisabled: true, NextProtos: []string{"http/1.1"},
	}}
	if j.Workload.Protocol == http2 {
		l.tls.NextProtos = []string{"h2"}
	}
	for range j.Workload.Conns {
		switch j.Workload.Protocol {
		case http2:
			l.workers = append(l.workers, &h2Worker{load: l})
		case connection:
			w := &connWorker{load: l, tls: l.tls.Clone()}
			// The certificate is verified in probe; here it would only
			// take time from the contender.
			w.tls.InsecureSkipVerify = true
			if j.Workload.Resume {
				w.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			l.workers = append(l.workers, w)
		default:
			l.workers = append(l.workers, &h1Worker{load: l})
		}
	}
	return l, nil
}

// connect opens all connections, a few at a time, after one that is verified.
func (l *load) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.probe(ctx); err != nil {
		return err
	}
	slots := make(chan struct{}, 16)
	errs := make(chan error, len(l.workers))
	for _, w := range l.workers {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs <- w.open(ctx, warmUps)
		}()
	}
	var first error
	for range l.workers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// probe makes one verified connection and notes what was negotiated.
func (l *load) probe(ctx context.Context) error {
	conn, err := l.dial(ctx, l.tls)
	if err != nil {
		return err
	}
	defer conn.Close()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	s := secure.ConnectionState()
	if want := l.tls.NextProtos[0]; s.NegotiatedProtocol != want && (s.NegotiatedProtocol != "" || want == "h2") {
		return fmt.Errorf("negotiated protocol %q, want %q", s.NegotiatedProtocol, want)
	}
	l.suite = fmt.Sprintf("%s %s %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID)
	return nil
}

// dial connects from one of many loopback addresses, so that connections which
// linger after their end never use up the ports of one.
func (l *load) dial(ctx context.Context, c *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+l.dials.Add(1)%200))}
	conn, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", l.Addr)
	if err != nil || l.Plain {
		return conn, err
	}
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// run lets all workers go and gathers what they counted.
func (l *load) run() outcome {
	start := time.Now()
	end := start.Add(l.For)
	random := rand.New(rand.NewPCG(1, 2)) // the same arrivals for every contender
	tallies := make([]*tally, len(l.workers))
	var done sync.WaitGroup
	for i, w := range l.workers {
		t := &tally{end: end}
		tallies[i] = t
		s := schedule{end: end}
		if l.Rate > 0 {
			s.every = time.Duration(len(l.workers)) * time.Second / time.Duration(l.Rate)
			s.next = start.Add(time.Duration(random.Int64N(int64(s.every))))
			t.latencies = make([]time.Duration, 0, int(l.For/s.every)+1)
		}
		done.Go(func() { w.run(t, s) })
	}
	done.Wait()
	o := outcome{Took: time.Since(start), Suite: l.suite}
	var latencies []time.Duration
	for _, t := range tallies {
		o.Requests += t.requests
		o.Failed += t.failed
		o.Reconnects += t.reconnects
		o.Failure = cmp.Or(o.Failure, t.failure)
		latencies = append(latencies, t.latencies...)
	}
	if n := len(latencies); n > 0 {
		slices.Sort(latencies)
		o.P50, o.P99 = latencies[n/2], latencies[n*99/100]
	}
	return o
}

func (l *load) close() {
	for _, w := range l.workers {
		w.close()
	}
}

// tally is what one worker counts.
type tally struct {
	end        time.Time
	requests   int
	failed     int
	failure    string
	reconnects int
	latencies  []time.Duration // appended to only where the rate is fixed
}

func (t *tally) fail(err error) {
	t.failed++
	t.failure = cmp.Or(t.failure, err.Error())
}

func (t *tally) answered(since time.Time) {
	t.requests++
	if cap(t.latencies) > 0 {
		t.latencies = append(t.latencies, time.Since(since))
	}
}

// over reports that no further request is to be made.
func (t *tally) over() bool { return t.failed >= maxFailures || !time.Now().Before(t.end) }

// schedule says when a worker's requests are due. The zero interval is: at once.
type schedule struct {
	every     time.Duration
	next, end time.Time
}

// wait returns when the next request is due and the time from which its latency
// counts; ok is false after the end. A request that was due while the one
// before it was still under way counts from when it was due, or a slow answer
// would hide the ones behind it. One that was due later counts from when it is
// sent: that the generator's timer is late is not the contender's fault.
func (s *schedule) wait() (since time.Time, ok bool) {
	now := time.Now()
	if s.every == 0 {
		return now, now.Before(s.end)
	}
	due := s.next
	s.next = due.Add(s.every)
	if !due.Before(s.end) {
		return due, false
	}
	if ahead := due.Sub(now); ahead > 0 {
		time.Sleep(ahead)
		return time.Now(), true
	}
	return due, true
}

package telemetry

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxSeries bounds the series that configuration can make: past it, requests
// are counted under the API "other".
const maxSeries = 50_000

// Metrics are the gateway's numbers for Prometheus, registered in this one
// place. A nil *Metrics takes everything and counts nothing.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	handshakes *prometheus.CounterVec
	backends   *prometheus.CounterVec
	refused    *prometheus.CounterVec
	shown      *prometheus.CounterVec
	strict     prometheus.Counter
	panics     prometheus.Counter
	drops      prometheus.Counter
	revision   prometheus.Gauge
	faults     prometheus.Gauge

	mu    sync.RWMutex
	cache map[requestSeries]prometheus.Counter
}

type requestSeries struct {
	api, stage string
	class      int
}

// classes are the label values of status classes, by status / 100.
var classes = [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}

// NewMetrics returns metrics in a registry of their own.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sallyport", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		cache:      map[requestSeries]prometheus.Counter{},
		requests:   counter("requests_total", "Requests by API, stage and status class; empty labels when none was found.", "api", "stage", "class"),
		handshakes: counter("handshakes_total", "Client handshakes by policy and result (ok or refused).", "policy", "result"),
		backends:   counter("backend_failures_total", "Backend exchanges that failed, by kind.", "kind"),
		refused:    counter("guard_refusals_total", "Requests refused because a guard on them is not enforced yet.", "api", "stage"),
		shown:      counter("client_certificate_refusals_total", "Backends' refusals of one client certificate while a rotation is under way, so that the other one is shown; certificate is current or previous.", "certificate"),
		strict:     prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sallyport", Name: "strict_would_refuse_total", Help: "Requests served that endpoint access mode STRICT would refuse."}),
		panics:     prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sallyport", Name: "panics_total", Help: "Requests lost to a panic."}),
		drops:      prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sallyport", Name: "log_events_dropped_total", Help: "Log events that could not be written."}),
		revision:   prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sallyport", Name: "snapshot_revision", Help: "Store revision that the gates enforce."}),
		faults:     prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sallyport", Name: "snapshot_faults", Help: "Resources that do not compile and are set aside."}),
	}
	m.registry.MustRegister(m.requests, m.handshakes, m.backends, m.refused, m.shown, m.strict, m.panics, m.drops, m.revision, m.faults,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Request counts one answered request; api and stage are "" when unknown.
func (m *Metrics) Request(api, stage string, status int) {
	if m == nil {
		return
	}
	s := requestSeries{api, stage, status / 100}
	if s.class <= 0 || s.class >= len(classes) {
		s.class = 0
	}
	m.mu.RLock()
	c := m.cache[s]
	m.mu.RUnlock()
	if c == nil {
		c = m.series(s)
	}
	c.Inc()
}

func (m *Metrics) series(s requestSeries) prometheus.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.cache) >= maxSeries {
		return m.requests.WithLabelValues("other", "", classes[s.class])
	}
	c := m.requests.WithLabelValues(s.api, s.stage, classes[s.class])
	m.cache[s] = c
	return c
}

// Handshake counts one handshake; result is "ok" or "refused".
func (m *Metrics) Handshake(policy, result string) {
	if m != nil {
		m.handshakes.WithLabelValues(policy, result).Inc()
	}
}

// BackendFailure counts one failed backend exchange.
func (m *Metrics) BackendFailure(kind string) {
	if m != nil {
		m.backends.WithLabelValues(kind).Inc()
	}
}

// ClientCertificateRefused counts a backend's refusal of the "current" or the
// "previous" client certificate.
func (m *Metrics) ClientCertificateRefused(certificate string) {
	if m != nil {
		m.shown.WithLabelValues(certificate).Inc()
	}
}

// GuardRefused counts a request refused for a guard that is not built yet.
func (m *Metrics) GuardRefused(api, stage string) {
	if m == nil {
		return
	}
	m.mu.RLock()
	full := len(m.cache) >= maxSeries
	m.mu.RUnlock()
	if full {
		api, stage = "other", ""
	}
	m.refused.WithLabelValues(api, stage).Inc()
}

// StrictWouldRefuse counts a request that STRICT would have refused.
func (m *Metrics) StrictWouldRefuse() {
	if m != nil {
		m.strict.Inc()
	}
}

// Panic counts a request lost to a panic.
func (m *Metrics) Panic() {
	if m != nil {
		m.panics.Inc()
	}
}

// LogDropped counts n lost log events.
func (m *Metrics) LogDropped(n int) {
	if m != nil {
		m.drops.Add(float64(n))
	}
}

// Snapshot sets the revision in force and how many resources are set aside.
func (m *Metrics) Snapshot(revision uint64, faults int) {
	if m != nil {
		m.revision.Set(float64(revision))
		m.faults.Set(float64(faults))
	}
}

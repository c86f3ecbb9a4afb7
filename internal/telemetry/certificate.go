package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ClientCertificateExpiry adds, for each client certificate that list names by
// its id, when it expires. list is called at every scrape and must be safe for
// concurrent use. Call it once.
func (m *Metrics) ClientCertificateExpiry(list func() map[string]time.Time) {
	if m != nil {
		m.registry.MustRegister(expiries(list))
	}
}

// expiries are looked up when they are asked for: a certificate that nobody
// shows any more leaves no series behind.
type expiries func() map[string]time.Time

var expiryMetric = prometheus.NewDesc("sallyport_client_certificate_expiry_seconds",
	"When a client certificate that stages show to backends expires, in Unix time.", []string{"id"}, nil)

func (e expiries) Describe(ch chan<- *prometheus.Desc) { ch <- expiryMetric }

func (e expiries) Collect(ch chan<- prometheus.Metric) {
	for id, at := range e() {
		ch <- prometheus.MustNewConstMetric(expiryMetric, prometheus.GaugeValue, float64(at.Unix()), id)
	}
}

package gate

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counts of a gate. Label values come from the gate alone.
type Metrics struct {
	registry *prometheus.Registry
	checks   map[int]prometheus.Counter // by status
	duration prometheus.Histogram
}

// statuses are those that a check is answered with.
var statuses = []int{200, 400, 401, 403, 500, 503} //nolint:gochecknoglobals // never changed

// NewMetrics returns metrics that are all zero. version is the version of Grantor.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), checks: map[int]prometheus.Counter{}}
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "grantor_gate_checks_total",
		Help: "Checks of proxies by status."}, []string{"code"})
	for _, status := range statuses {
		m.checks[status] = checks.WithLabelValues(strconv.Itoa(status))
	}
	m.duration = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "grantor_gate_check_duration_seconds",
		Help:    "Duration of checks in seconds.",
		Buckets: []float64{.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5}})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "grantor_build_info",
		Help: "Always 1; the label is the version of Grantor."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(checks, m.duration, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a value that is read at each scrape.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a count that is read at each scrape.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Handler serves the metrics at /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

func (m *Metrics) checked(status int, took time.Duration) {
	if c, ok := m.checks[status]; ok {
		c.Inc()
	}
	m.duration.Observe(took.Seconds())
}

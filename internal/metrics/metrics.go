// Package metrics counts what happens at the level of OAuth, for Prometheus. Labels take values of our own making alone:
// endpoints, error codes, reasons; never a client, a user, an address or a text of a request, so that hostile
// requests cannot add series. A nil *Metrics counts nothing.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counts of one node.
type Metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	duration       *prometheus.HistogramVec
	issued         *prometheus.CounterVec
	refusals       *prometheus.CounterVec
	introspections *prometheus.CounterVec
	revocations    *prometheus.CounterVec
	refreshes      *prometheus.CounterVec
	loginFailures  *prometheus.CounterVec
	store          *prometheus.HistogramVec
	storeErrors    *prometheus.CounterVec
	auditEvents    *prometheus.CounterVec
	auditDropped   prometheus.Counter
	taskUp         *prometheus.GaugeVec
	taskFailures   *prometheus.CounterVec
	reloadSuccess  prometheus.Gauge
	reloadTime     prometheus.Gauge
}

// New returns metrics that are all zero. version is the program's.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.requests = m.counters("grantor_http_requests_total", "Requests by endpoint and status.", "endpoint", "code")
	m.duration = m.histograms("grantor_http_request_duration_seconds", "Time of requests in seconds.",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "endpoint")
	m.issued = m.counters("grantor_tokens_issued_total", "Access tokens issued.", "grant_type", "format")
	m.refusals = m.counters("grantor_refusals_total", "Requests refused, by error code and true reason.", "endpoint", "error", "reason")
	m.introspections = m.counters("grantor_introspections_total", "Introspections by result.", "result")
	m.revocations = m.counters("grantor_revocations_total", "Revocations: what ended something, and what found nothing to end.", "result")
	m.refreshes = m.counters("grantor_refreshes_total", "Uses of refresh tokens by result.", "result")
	m.loginFailures = m.counters("grantor_login_failures_total", "Failed log-ins of all users by reason.", "reason")
	m.store = m.histograms("grantor_store_duration_seconds", "Time of the token store's operations in seconds.",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1}, "operation")
	m.storeErrors = m.counters("grantor_store_errors_total", "Operations that the token store could not do or not confirm, by what became of them.", "operation", "outcome")
	m.auditEvents = m.counters("grantor_audit_events_total", "Events of the audit trail.", "event")
	m.auditDropped = m.counter("grantor_audit_dropped_total", "Events that could not be written to the audit trail.")
	m.taskUp = m.gauges("grantor_background_task_up", "1: the background task runs; 0: it ended and begins again after a pause.", "task")
	m.taskFailures = m.counters("grantor_background_task_failures_total", "How often a background task ended while the node served.", "task")
	m.reloadSuccess = m.gauge("grantor_config_reload_success", "1: the configuration on disk is in force; 0: it is broken and an older one is.")
	m.reloadTime = m.gauge("grantor_config_reload_timestamp_seconds", "When the configuration in force was loaded, in Unix seconds.")
	build := m.gauges("grantor_build_info", "1, with the program's version.", "version")
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin makes the series that alerts ask for, so that they are there before anything happens.
func (m *Metrics) begin() {
	for _, r := range []string{"active", "inactive"} {
		m.introspections.WithLabelValues(r)
	}
	for _, r := range []string{"ended", "nothing"} {
		m.revocations.WithLabelValues(r)
	}
	for _, operation := range []string{"issue", "load", "login", "family", "rotate", "revoke"} {
		for _, outcome := range []string{OutcomeNotDone, OutcomeNotConfirmed, OutcomeUnknown} {
			m.storeErrors.WithLabelValues(operation, outcome)
		}
	}
	for _, r := range []string{RefreshRotated, RefreshRetried, RefreshSuspicious, RefreshReissued, RefreshReuse, RefreshLost, RefreshRefused} {
		m.refreshes.WithLabelValues(r)
	}
	for _, r := range []string{"unknown_user", "wrong_password", "user_disabled", "no_usable_password", "user_locked", "address_locked"} {
		m.loginFailures.WithLabelValues(r)
	}
	for _, r := range []string{"directory_unavailable", "directory_answer_invalid", "directory_busy"} {
		m.refusals.WithLabelValues("token", "temporarily_unavailable", r)
	}
	for _, e := range []string{"token", "introspect", "revoke"} {
		m.duration.WithLabelValues(e)
	}
	m.Reloaded(true)
}

// Values of the label outcome of grantor_store_errors_total, and of the member outcome of an answer of 503.
const (
	OutcomeNotDone      = "not_done"      // nothing was changed
	OutcomeNotConfirmed = "not_confirmed" // done, and too few replicas confirmed it
	OutcomeUnknown      = "unknown"       // the answer was lost
)

// Values of the label result of grantor_refreshes_total.
const (
	RefreshRotated    = "rotated"          // the usual case
	RefreshRetried    = "retried"          // the same answer again
	RefreshSuspicious = "retry_suspicious" // the same answer again, to another network or much later
	RefreshReissued   = "reissued"         // a retry that came too late through an outage: a new pair
	RefreshReuse      = "reuse"            // a used token came again: the session was ended
	RefreshLost       = "lost_rotation"    // Redis lost a rotation: the session was ended
	RefreshRefused    = "refused"          // all else
)

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	v := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	v := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// Gauge adds a value that is asked for at each scrape.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a count that is asked for at each scrape; labels are constant pairs of name and value.
func (m *Metrics) Counter(name, help string, value func() float64, labels ...string) {
	fixed := prometheus.Labels{}
	for i := 0; i+1 < len(labels); i += 2 {
		fixed[labels[i]] = labels[i+1]
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: fixed}, value))
}

// LabelledGauge adds a value with constant labels that is asked for at each scrape.
func (m *Metrics) LabelledGauge(name, help string, value func() float64, labels ...string) {
	fixed := prometheus.Labels{}
	for i := 0; i+1 < len(labels); i += 2 {
		fixed[labels[i]] = labels[i+1]
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: fixed}, value))
}

// Handler serves the metrics in the formats that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Request counts one answered request.
func (m *Metrics) Request(endpoint string, code int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(endpoint, statusText(code)).Inc()
	m.duration.WithLabelValues(endpoint).Observe(took.Seconds())
}

// statusText saves an allocation for the statuses of every day.
func statusText(code int) string {
	switch code {
	case http.StatusOK:
		return "200"
	case http.StatusBadRequest:
		return "400"
	case http.StatusUnauthorized:
		return "401"
	case http.StatusServiceUnavailable:
		return "503"
	}
	return strconv.Itoa(code)
}

// Issued counts an access token.
func (m *Metrics) Issued(grant, format string) {
	if m != nil {
		m.issued.WithLabelValues(grant, format).Inc()
	}
}

// Refused counts a refusal.
func (m *Metrics) Refused(endpoint, code, reason string) {
	if m != nil {
		m.refusals.WithLabelValues(endpoint, code, reason).Inc()
	}
}

// Introspected counts an introspection.
func (m *Metrics) Introspected(active bool) {
	if m == nil {
		return
	}
	result := "inactive"
	if active {
		result = "active"
	}
	m.introspections.WithLabelValues(result).Inc()
}

// Revoked counts a revocation.
func (m *Metrics) Revoked(ended bool) {
	if m == nil {
		return
	}
	result := "nothing"
	if ended {
		result = "ended"
	}
	m.revocations.WithLabelValues(result).Inc()
}

// Refreshed counts a use of a refresh token.
func (m *Metrics) Refreshed(result string) {
	if m != nil {
		m.refreshes.WithLabelValues(result).Inc()
	}
}

// LoginFailed counts a failed log-in (docs/conformance.md S-12).
func (m *Metrics) LoginFailed(reason string) {
	if m != nil {
		m.loginFailures.WithLabelValues(reason).Inc()
	}
}

// Stored counts an operation of the token store. outcome is what became of one that failed; "": it did not.
func (m *Metrics) Stored(operation string, took time.Duration, outcome string) {
	if m == nil {
		return
	}
	m.store.WithLabelValues(operation).Observe(took.Seconds())
	if outcome != "" {
		m.storeErrors.WithLabelValues(operation, outcome).Inc()
	}
}

// Audited counts an event of the audit trail; dropped: it could not be written.
func (m *Metrics) Audited(event string, dropped bool) {
	if m == nil {
		return
	}
	m.auditEvents.WithLabelValues(event).Inc()
	if dropped {
		m.auditDropped.Inc()
	}
}

// Background says that a background task runs, or that it ended while the node served.
func (m *Metrics) Background(task string, running bool) {
	if m == nil {
		return
	}
	failures := m.taskFailures.WithLabelValues(task) // there from the beginning, so that its first rise is seen
	if running {
		m.taskUp.WithLabelValues(task).Set(1)
		return
	}
	m.taskUp.WithLabelValues(task).Set(0)
	failures.Inc()
}

// Reloaded says whether the configuration on disk is in force.
func (m *Metrics) Reloaded(good bool) {
	if m == nil {
		return
	}
	if !good {
		m.reloadSuccess.Set(0)
		return
	}
	m.reloadSuccess.Set(1)
	m.reloadTime.SetToCurrentTime()
}

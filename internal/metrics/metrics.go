// Package metrics counts what happens at the level of OAuth, for Prometheus. A nil *Metrics counts
// nothing.
//
// Label values come from Grantor alone: endpoints, error codes, reasons, and the clients that an
// operator names. Another client, a user, an address or a text of a request is never a label, so
// hostile requests cannot add series.
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

	requests       *series[[2]string, prometheus.Counter] // by endpoint and status
	duration       *series[string, prometheus.Observer]
	issued         *series[[2]string, prometheus.Counter] // by grant and format
	refusals       *prometheus.CounterVec
	introspections *series[[2]string, prometheus.Counter] // by result and reason
	revocations    *series[string, prometheus.Counter]
	refreshes      *series[string, prometheus.Counter]
	polls          *prometheus.CounterVec
	loginFailures  *prometheus.CounterVec
	store          *series[string, prometheus.Observer]
	storeErrors    *prometheus.CounterVec
	auditEvents    *series[string, prometheus.Counter]
	auditDropped   prometheus.Counter
	taskUp         *prometheus.GaugeVec
	taskFailures   *prometheus.CounterVec
	keysPassed     *prometheus.CounterVec
	reloadSuccess  prometheus.Gauge
	reloadTime     prometheus.Gauge

	clients *perClient // nil: none is counted by itself

	totals *prometheus.Registry // what Totals reads
}

// New returns metrics that are all zero. version is the version of Grantor.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.requests = byLabels(m.counters("grantor_http_requests_total", "Requests by endpoint and status.", "endpoint", "code").WithLabelValues)
	m.duration = byLabel(m.histograms("grantor_http_request_duration_seconds", "Duration of requests in seconds.",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, "endpoint").WithLabelValues)
	issued := m.counters("grantor_tokens_issued_total", "Access tokens issued.", "grant_type", "format")
	m.issued = byLabels(issued.WithLabelValues)
	m.refusals = m.counters("grantor_refusals_total", "Requests refused, by error code and internal reason.", "endpoint", "error", "reason")
	introspections := m.counters("grantor_introspections_total", "Introspections by result, and by the reason of those that found the token inactive.", "result", "reason")
	m.introspections = byLabels(introspections.WithLabelValues)
	m.revocations = byLabel(m.counters("grantor_revocations_total", "Revocation requests: a token was ended, or there was nothing to end.", "result").WithLabelValues)
	m.refreshes = byLabel(m.counters("grantor_refreshes_total", "Uses of refresh tokens by result.", "result").WithLabelValues)
	m.polls = m.counters("grantor_feed_polls_total", "Polls of the revocation feed by result.", "result")
	m.loginFailures = m.counters("grantor_login_failures_total", "Failed logins of all users by reason.", "reason")
	store := m.histograms("grantor_store_duration_seconds", "Duration of the token store's operations in seconds.",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1}, "operation")
	m.store = byLabel(store.WithLabelValues)
	m.storeErrors = m.counters("grantor_store_errors_total", "Token store operations that failed or were not confirmed, by outcome.", "operation", "outcome")
	events := m.counters("grantor_audit_events_total", "Events of the audit trail.", "event")
	m.auditEvents = byLabel(events.WithLabelValues)
	m.totalled(issued, introspections, events, store, m.refusals, m.loginFailures, m.storeErrors)
	m.auditDropped = m.counter("grantor_audit_dropped_total", "Events that could not be written to the audit trail.")
	m.taskUp = m.gauges("grantor_background_task_up", "1: the background task runs; 0: it ended and waits to be restarted.", "task")
	m.taskFailures = m.counters("grantor_background_task_failures_total", "Times that a background task ended while the node served.", "task")
	m.keysPassed = m.counters("grantor_published_keys_passed_over_total", "Keys of fetched key sets that are not used, counted once for each state of a set.", "reason")
	m.reloadSuccess = m.gauge("grantor_config_reload_success", "1: the configuration on disk is in force; 0: it is invalid and an older configuration is.")
	m.reloadTime = m.gauge("grantor_config_reload_timestamp_seconds", "Time when the configuration in force was loaded, in Unix seconds.")
	build := m.gauges("grantor_build_info", "Always 1; the label is the version of Grantor.", "version")
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin creates the series that alerts use, so that they exist before the first event.
func (m *Metrics) begin() {
	m.introspections.of([2]string{"active", ""})
	for _, r := range []string{"ended", "nothing"} {
		m.revocations.of(r)
	}
	for _, r := range []string{PollIdle, PollEnded, PollPage, PollReset, PollGone, PollUnavailable} {
		m.polls.WithLabelValues(r)
	}
	for _, operation := range []string{"issue", "load", "login", "session", "rotate", "revoke"} {
		for _, outcome := range []string{OutcomeNotDone, OutcomeNotConfirmed, OutcomeUnknown} {
			m.storeErrors.WithLabelValues(operation, outcome)
		}
	}
	for _, r := range []string{RefreshRotated, RefreshRetried, RefreshSuspicious, RefreshReissued, RefreshReuse, RefreshRotationLost, RefreshRefused} {
		m.refreshes.of(r)
	}
	for _, r := range []string{"unknown_user", "wrong_password", "user_disabled", "no_usable_password", "user_locked", "address_locked"} {
		m.loginFailures.WithLabelValues(r)
	}
	for _, r := range []string{"directory_unavailable", "directory_answer_invalid", "directory_busy"} {
		m.refusals.WithLabelValues("token", "temporarily_unavailable", r)
	}
	m.KeysPassedOver(0, 0)
	for _, e := range []string{"token", "introspect", "revoke"} {
		m.duration.of(e)
	}
	m.Reloaded(true)
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
	m.requests.of([2]string{endpoint, statusText(code)}).Inc()
	m.duration.of(endpoint).Observe(took.Seconds())
}

// statusText saves an allocation for the common statuses.
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
		m.issued.of([2]string{grant, format}).Inc()
	}
}

// Refused counts a refusal.
func (m *Metrics) Refused(endpoint, code, reason string) {
	if m != nil {
		m.refusals.WithLabelValues(endpoint, code, reason).Inc()
	}
}

// Introspected counts an introspection; reason is why the token was not active, "" of an active
// one.
func (m *Metrics) Introspected(active bool, reason string) {
	if m == nil {
		return
	}
	result := "inactive"
	if active {
		result = "active"
	}
	m.introspections.of([2]string{result, reason}).Inc()
}

// InactiveReason creates the series of a reason, so that it exists before the first such token.
func (m *Metrics) InactiveReason(reason string) {
	if m != nil {
		m.introspections.of([2]string{"inactive", reason})
	}
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
	m.revocations.of(result).Inc()
}

// Refreshed counts a use of a refresh token.
func (m *Metrics) Refreshed(result string) {
	if m != nil {
		m.refreshes.of(result).Inc()
	}
}

// Polled counts a poll of the revocation feed.
func (m *Metrics) Polled(result string) {
	if m != nil {
		m.polls.WithLabelValues(result).Inc()
	}
}

// LoginFailed counts a failed login (docs/evidence/conformance.md S-12).
func (m *Metrics) LoginFailed(reason string) {
	if m != nil {
		m.loginFailures.WithLabelValues(reason).Inc()
	}
}

// Stored counts an operation of the token store. outcome is an Outcome constant of a failed
// operation, "" of a successful one.
func (m *Metrics) Stored(operation string, took time.Duration, outcome string) {
	if m == nil {
		return
	}
	m.store.of(operation).Observe(took.Seconds())
	if outcome != "" {
		m.storeErrors.WithLabelValues(operation, outcome).Inc()
	}
}

// Audited counts an event of the audit trail; dropped: it could not be written.
func (m *Metrics) Audited(event string, dropped bool) {
	if m == nil {
		return
	}
	m.auditEvents.of(event).Inc()
	if dropped {
		m.auditDropped.Inc()
	}
}

// Background says that a background task runs, or that it ended while the node served.
func (m *Metrics) Background(task string, running bool) {
	if m == nil {
		return
	}
	failures := m.taskFailures.WithLabelValues(task) // exists from the start, so alerts see its first rise
	if running {
		m.taskUp.WithLabelValues(task).Set(1)
		return
	}
	m.taskUp.WithLabelValues(task).Set(0)
	failures.Inc()
}

// KeysPassedOver counts keys of a set that was fetched: those for another use or of an unknown
// kind, and those that are unusable, such as weak ones.
func (m *Metrics) KeysPassedOver(others, unusable int) {
	if m == nil {
		return
	}
	m.keysPassed.WithLabelValues("other_use").Add(float64(others))
	m.keysPassed.WithLabelValues("unusable").Add(float64(unusable))
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

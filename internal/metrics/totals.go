package metrics

import "github.com/prometheus/client_golang/prometheus"

// Totals are what the node has counted since it started.
type Totals struct {
	Issued         float64 // access tokens
	Logins         float64 // of these, by a user's password
	Introspections float64
	LoginFailures  float64
	Lockouts       float64            // of users and of clients
	Refusals       map[string]float64 // requests refused, by reason

	StoreOperations float64
	StoreSeconds    float64 // that these took together
	StoreErrors     float64
}

// totalled keeps the series that Totals reads in a registry of their own: the other one has values
// of the runtime, which cost more to read.
func (m *Metrics) totalled(list ...prometheus.Collector) {
	m.totals = prometheus.NewRegistry()
	m.totals.MustRegister(list...)
}

// Totals reads the counts. No request waits for it.
func (m *Metrics) Totals() Totals {
	t := Totals{Refusals: map[string]float64{}}
	families, err := m.totals.Gather()
	if err != nil {
		return t // the same series twice, which /metrics would tell as well
	}
	for _, family := range families {
		for _, one := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range one.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			t.add(family.GetName(), labels, one.GetCounter().GetValue())
			t.StoreOperations += float64(one.GetHistogram().GetSampleCount())
			t.StoreSeconds += one.GetHistogram().GetSampleSum()
		}
	}
	return t
}

// add adds a counter.
func (t *Totals) add(name string, labels map[string]string, value float64) {
	switch name {
	case nameIssued:
		t.Issued += value
		if labels["grant_type"] == "password" {
			t.Logins += value
		}
	case nameIntrospections:
		t.Introspections += value
	case nameLoginFailures:
		t.LoginFailures += value
	case nameRefusals:
		t.Refusals[labels["reason"]] += value
	case nameStoreErrors:
		t.StoreErrors += value
	case nameAuditEvents:
		if e := labels["event"]; e == "user_locked_out" || e == "client_locked_out" {
			t.Lockouts += value
		}
	}
}

// Names of counters that Totals reads.
const (
	nameIssued         = "grantor_tokens_issued_total"
	nameIntrospections = "grantor_introspections_total"
	nameLoginFailures  = "grantor_login_failures_total"
	nameRefusals       = "grantor_refusals_total"
	nameStoreErrors    = "grantor_store_errors_total"
	nameAuditEvents    = "grantor_audit_events_total"
)

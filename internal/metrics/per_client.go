package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// perClient counts for the clients that an operator names, and for no other: a request can add no
// client.
type perClient struct {
	ids      map[string]bool
	requests *series[[3]string, prometheus.Counter] // by client, endpoint and status
	refusals *series[[3]string, prometheus.Counter] // by client, endpoint and reason
}

// CountClients counts the requests of these clients one by one. It is called before the first
// request, once at most.
func (m *Metrics) CountClients(ids []string) {
	if len(ids) == 0 {
		return
	}
	requests := m.counters("grantor_client_requests_total", "Requests of a client of [metrics] per_client, or in its name, by endpoint and status.", "client_id", "endpoint", "code")
	refusals := m.counters("grantor_client_refusals_total", "Refusals of a client of [metrics] per_client, or in its name, by endpoint and internal reason.", "client_id", "endpoint", "reason")
	p := &perClient{ids: map[string]bool{}, requests: byThree(requests), refusals: byThree(refusals)}
	for _, id := range ids {
		p.ids[id] = true
		p.requests.of([3]string{id, "token", "200"}) // so that alerts see its first rise
	}
	m.clients = p
}

func byThree(v *prometheus.CounterVec) *series[[3]string, prometheus.Counter] {
	return newSeries(func(values [3]string) prometheus.Counter { return v.WithLabelValues(values[:]...) })
}

// ClientRequest counts an answered request of a client, or one that claims to come from it.
func (m *Metrics) ClientRequest(id, endpoint string, code int) {
	if m != nil && m.clients != nil && m.clients.ids[id] {
		m.clients.requests.of([3]string{id, endpoint, statusText(code)}).Inc()
	}
}

// ClientRefused counts a refusal likewise.
func (m *Metrics) ClientRefused(id, endpoint, reason string) {
	if m != nil && m.clients != nil && m.clients.ids[id] {
		m.clients.refusals.of([3]string{id, endpoint, reason}).Inc()
	}
}

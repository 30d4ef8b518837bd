package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Times adds moments in Unix seconds that are read at each scrape, by the value of a label; without
// a label the one moment is that of "". A zero time has no series, so an alert cannot compare with
// it.
func (m *Metrics) Times(name, help string, read func() map[string]time.Time, label ...string) {
	m.registry.MustRegister(moments{prometheus.NewDesc(name, help, label, nil), len(label), read})
}

type moments struct {
	desc   *prometheus.Desc
	labels int
	read   func() map[string]time.Time
}

// Describe implements prometheus.Collector.
func (c moments) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect implements prometheus.Collector.
func (c moments) Collect(out chan<- prometheus.Metric) {
	for value, at := range c.read() {
		if !at.IsZero() {
			out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(at.Unix()), []string{value}[:c.labels]...)
		}
	}
}

package metrics

import "github.com/prometheus/client_golang/prometheus"

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

// Gauge adds a value that is read at each scrape.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a count that is read at each scrape; labels are constant pairs of name and value.
func (m *Metrics) Counter(name, help string, value func() float64, labels ...string) {
	opts := prometheus.CounterOpts{Name: name, Help: help, ConstLabels: constant(labels)}
	m.registry.MustRegister(prometheus.NewCounterFunc(opts, value))
}

// LabelledGauge adds a value with constant labels that is read at each scrape.
func (m *Metrics) LabelledGauge(name, help string, value func() float64, labels ...string) {
	opts := prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: constant(labels)}
	m.registry.MustRegister(prometheus.NewGaugeFunc(opts, value))
}

// constant turns pairs of name and value into labels.
func constant(pairs []string) prometheus.Labels {
	labels := prometheus.Labels{}
	for i := 0; i+1 < len(pairs); i += 2 {
		labels[pairs[i]] = pairs[i+1]
	}
	return labels
}

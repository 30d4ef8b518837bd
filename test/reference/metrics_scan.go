package reference

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// metric is a metric as the code registers it.
type metric struct {
	name, help, kind string
	labels           []string
}

// kinds are the functions that register metrics.
var kinds = map[string]string{ //nolint:gochecknoglobals // never changed
	"counters": "counter", "counter": "counter", "Counter": "counter", "CounterOpts": "counter",
	"gauges": "gauge", "gauge": "gauge", "Gauge": "gauge", "LabelledGauge": "gauge", "Times": "gauge", "GaugeOpts": "gauge",
	"histograms": "histogram", "HistogramOpts": "histogram",
}

// metrics returns every metric of the code, by name.
func (s *Source) metrics() []metric {
	found := map[string]metric{}
	s.inspect(func(p *sourcePackage, n ast.Node) {
		var m metric
		switch n := n.(type) {
		case *ast.CallExpr:
			m = registration(p, n)
		case *ast.CompositeLit:
			m = options(p, n)
		}
		if !strings.HasPrefix(m.name, "grantor_") {
			return
		}
		if known, ok := found[m.name]; ok && len(known.labels) >= len(m.labels) {
			return
		}
		found[m.name] = m
	})
	list := slices.Collect(maps.Values(found))
	slices.SortFunc(list, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return list
}

// registration reads m.counters(name, help, labels…), and the like.
func registration(p *sourcePackage, call *ast.CallExpr) (m metric) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 2 || kinds[sel.Sel.Name] == "" {
		return m
	}
	m = metric{name: text(p, call.Args[0]), help: text(p, call.Args[1]), kind: kinds[sel.Sel.Name]}
	pairs := sel.Sel.Name == "Counter" || sel.Sel.Name == "LabelledGauge"
	for i, arg := range call.Args[2:] {
		if basic, ok := p.info.TypeOf(arg).Underlying().(*types.Basic); !ok || basic.Kind() != types.String {
			continue
		}
		if label := text(p, arg); label != "" && (!pairs || i%2 == 1) {
			m.labels = append(m.labels, label)
		}
	}
	return m
}

// options reads prometheus.CounterOpts{Name: …, Help: …}. Its labels stand elsewhere.
func options(p *sourcePackage, lit *ast.CompositeLit) (m metric) {
	t := p.info.TypeOf(lit)
	if t == nil || !strings.HasPrefix(t.String(), "github.com/prometheus/client_golang/prometheus.") {
		return m
	}
	m.kind = kinds[t.String()[strings.LastIndexByte(t.String(), '.')+1:]]
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			switch key, _ := kv.Key.(*ast.Ident); key.Name {
			case "Name":
				m.name = text(p, kv.Value)
			case "Help":
				m.help = text(p, kv.Value)
			}
		}
	}
	return m
}

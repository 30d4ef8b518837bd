package report

import (
	"fmt"
	"slices"
	"strings"
)

// caseRoute has a table of its own: its contestants are compared with the unprotected route.
const caseRoute = "route"

// mostOfRoute is the goal of a route that is checked live, over the unprotected one, in CPU.
const mostOfRoute = 1.15

// routes are requests to a route that is open or protected in some way.
func (r *Run) routes(b *strings.Builder, connections int) {
	if !r.has(func(s Sample) bool { return s.Connections == connections && s.Case == caseRoute }) {
		return
	}
	fmt.Fprintf(b, "A request to a route of Gin. × is the ratio to the unprotected route, asked with the same tokens, of the same round;\nthe goal of live is ≤ %g. "+
		"× lowest compares the lowest CPU of all rounds: other work of the machine only adds.\n\n", mostOfRoute)
	b.WriteString("| route | requests/s | p50 | p99 | CPU µs | of it API | Grantor | Redis | × CPU | × lowest | load average | errors |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Contestants {
		if list := r.Where(c.Name, caseRoute, connections); len(list) > 0 {
			b.WriteString(r.routeRow(c, list))
		}
	}
}

func (r *Run) routeRow(c Named, list []Sample) string {
	errs := 0
	for _, s := range list {
		errs += s.Errors
	}
	most := 0.0
	if strings.HasPrefix(c.Name, "route-live") {
		most = mostOfRoute
	}
	cpu := spread(list, Sample.CPU)
	median := func(figure func(Sample) float64) float64 { return spread(list, figure).Median }
	busy := spread(list, func(s Sample) float64 { return s.Busy })
	return fmt.Sprintf("| %s | %s | %s | %s | %.1f (%.1f–%.1f) | %.1f | %.1f | %.1f | %s | %.2f | %.0f–%.0f | %d |\n", c.Title,
		thousands(median(func(s Sample) float64 { return s.Rate })), micros(median(p50)), micros(median(func(s Sample) float64 { return s.P99 })),
		cpu.Median, cpu.Min, cpu.Max, median(func(s Sample) float64 { return s.FrontCPU }),
		median(func(s Sample) float64 { return s.ServerCPU }), median(func(s Sample) float64 { return s.StoreCPU }),
		verdict(r.ratio(list, Sample.CPU), most),
		cpu.Min/spread(r.Where(c.Against, caseRoute, list[0].Connections), Sample.CPU).Min, busy.Min, busy.Max, errs)
}

func (r *Run) has(which func(Sample) bool) bool { return slices.ContainsFunc(r.Samples, which) }

// busy is the load average of the machine while it measured; zeros: it is not known.
func (r *Run) busy() Spread { return spread(r.Samples, func(s Sample) float64 { return s.Busy }) }

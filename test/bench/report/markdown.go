package report

import (
	"fmt"
	"strings"
)

// Markdown returns the tables of a run.
func (r *Run) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s; medians of %d interleaved rounds of %gs, with (min–max).\n", r.Machine, r.Generator, r.Rounds, r.Seconds)
	if busy := r.busy(); busy.Max > 0 {
		fmt.Fprintf(&b, "Load average of the machine: %.1f (%.1f–%.1f).\n", busy.Median, busy.Min, busy.Max)
	}
	b.WriteString("CPU is microseconds per request of all that is measured together.\n")
	if r.has(func(s Sample) bool { return s.Case != caseRoute }) || len(r.Growth) > 0 {
		fmt.Fprintf(&b, "× is the ratio to \"%s\" of the same round;\nbehind TLS, to that ceiling behind TLS.\n", r.title(r.Ceiling))
	}
	for _, c := range r.Connections {
		fmt.Fprintf(&b, "\n### %d connection%s\n\n", c, plural(c))
		if r.has(func(s Sample) bool { return s.Connections == c && s.Case != caseRoute }) {
			r.table(&b, c)
		}
		r.routes(&b, c)
	}
	r.goals(&b)
	r.bound(&b)
	r.before(&b)
	r.growth(&b)
	for _, l := range r.LeftOut {
		fmt.Fprintf(&b, "\n%s was left out: %s\n", l.Name, l.Title)
	}
	return b.String()
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func (r *Run) title(name string) string {
	for _, c := range r.Contestants {
		if c.Name == name {
			return c.Title
		}
	}
	return name
}

func (r *Run) table(b *strings.Builder, connections int) {
	b.WriteString("| case | contestant | requests/s | p50 | p99 | CPU µs | × CPU | × p50 | server RSS | errors |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, k := range r.Cases {
		for _, c := range r.Contestants {
			list := r.Where(c.Name, k.Name, connections)
			if len(list) == 0 || k.Name == caseRoute {
				continue
			}
			errs := 0
			for _, s := range list {
				errs += s.Errors
			}
			cpu := spread(list, Sample.CPU)
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.0f (%.0f–%.0f) | %s | %s | %.0f MiB | %d |\n", k.Name, c.Title,
				thousands(spread(list, func(s Sample) float64 { return s.Rate }).Median),
				micros(spread(list, p50).Median), micros(spread(list, func(s Sample) float64 { return s.P99 }).Median),
				cpu.Median, cpu.Min, cpu.Max, times(r.ratio(list, Sample.CPU)), times(r.ratio(list, p50)),
				spread(list, func(s Sample) float64 { return float64(s.Resident) }).Median/(1<<20), errs)
		}
	}
	r.others(b, connections)
}

// others are the figures that are not of a request: bytes in Redis, start.
func (r *Run) others(b *strings.Builder, connections int) {
	b.WriteString("\n| contestant | bytes in Redis per client token | cold start to the first token |\n|---|--:|--:|\n")
	for _, c := range r.Contestants {
		var all []Sample
		for _, s := range r.Samples {
			if s.Contestant == c.Name && s.Connections == connections {
				all = append(all, s)
			}
		}
		if len(all) == 0 {
			continue
		}
		bytes, cold := "", spread(all, func(s Sample) float64 { return s.Cold })
		if m := spread(r.Where(c.Name, "issue", connections), func(s Sample) float64 { return s.PerToken }); m.Median > 0 {
			bytes = fmt.Sprintf("%.0f", m.Median)
		}
		fmt.Fprintf(b, "| %s | %s | %.0f ms (%.0f–%.0f) |\n", c.Title, bytes, cold.Median, cold.Min, cold.Max)
	}
}

func (r *Run) goals(b *strings.Builder) {
	var rows []string
	for _, c := range r.Contestants {
		list, ok := ownGoals[c.Name]
		if c.Name == r.Product {
			list, ok = goals, true
		}
		for _, g := range list {
			if row := r.goalRow(c, g); ok && row != "" {
				rows = append(rows, row)
			}
		}
	}
	if len(rows) > 0 {
		b.WriteString("\n### Against the goals\n\n| contestant | case | × CPU at 64 connections | goal | × p50 at 1 connection | goal |\n|---|---|--:|--:|--:|--:|\n")
		b.WriteString(strings.Join(rows, ""))
	}
}

func (r *Run) goalRow(c Named, g goal) string {
	cpu, wait := r.Where(c.Name, g.name, 64), r.Where(c.Name, g.name, 1)
	if len(cpu)+len(wait) == 0 {
		return ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", c.Title, g.name,
		verdict(r.ratio(cpu, Sample.CPU), g.cpu), upTo(g.cpu), verdict(r.ratio(wait, p50), g.p50), upTo(g.p50))
}

func upTo(most float64) string {
	if most == 0 {
		return "–"
	}
	return fmt.Sprintf("≤ %g", most)
}

func verdict(s Spread, most float64) string {
	switch {
	case s.Median == 0 || most == 0:
		return times(s)
	case s.Median <= most:
		return times(s) + " met"
	}
	return times(s) + " **missed**"
}

// before compares contestants with their earlier versions: medians of ratios within a round.
func (r *Run) before(b *strings.Builder) {
	var rows []string
	for _, earlier := range r.Contestants {
		if earlier.Before == "" {
			continue
		}
		for _, k := range r.Cases {
			for _, n := range r.Connections {
				rows = append(rows, r.beforeRow(earlier, k.Name, n))
			}
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n### After over before\n\nThe goal is at most %.2f × CPU.\n\n", mostOfBefore)
		b.WriteString("| contestant | case | connections | CPU µs before | after | × CPU | × p50 |\n|---|---|--:|--:|--:|--:|--:|\n")
		b.WriteString(strings.Join(rows, ""))
	}
}

func (r *Run) beforeRow(earlier Named, name string, connections int) string {
	then, now := r.Where(earlier.Name, name, connections), r.Where(earlier.Before, name, connections)
	if len(then) == 0 || len(now) == 0 {
		return ""
	}
	return fmt.Sprintf("| %s | %s | %d | %.0f | %.0f | %s | %s |\n", r.title(earlier.Before), name, connections,
		spread(then, Sample.CPU).Median, spread(now, Sample.CPU).Median,
		verdict(r.ratioTo(earlier.Name, now, Sample.CPU), mostOfBefore), times(r.ratioTo(earlier.Name, now, p50)))
}

func (r *Run) growth(b *strings.Builder) {
	if len(r.Growth) == 0 {
		return
	}
	b.WriteString("\n### Growth\n\n| contestant | live tokens | case | requests/s | p50 | p99 | CPU µs | bytes in Redis per token |\n|---|--:|---|--:|--:|--:|--:|--:|\n")
	type key struct {
		contestant, name string
		live             int
	}
	groups, order := map[key][]Sample{}, []key{}
	for _, s := range r.Growth {
		k := key{s.Contestant, s.Case, s.Live}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	for _, k := range order {
		list := groups[k]
		cpu := spread(list, Sample.CPU)
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %.1f (%.1f–%.1f) | %.0f |\n", r.title(k.contestant), thousands(float64(k.live)), k.name,
			thousands(spread(list, func(s Sample) float64 { return s.Rate }).Median), micros(spread(list, p50).Median),
			micros(spread(list, func(s Sample) float64 { return s.P99 }).Median), cpu.Median, cpu.Min, cpu.Max,
			spread(list, func(s Sample) float64 { return s.PerToken }).Median)
	}
}

func times(s Spread) string {
	if s.Median == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func micros(us float64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 100_000:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
	return fmt.Sprintf("%.0f ms", us/1000)
}

func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

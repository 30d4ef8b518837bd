package report

import (
	"fmt"
	"strings"
)

// bound compares the cases of bound tokens with those of unbound ones, contestant by contestant:
// medians of ratios within a round.
func (r *Run) bound(b *strings.Builder) {
	var rows []string
	for _, c := range r.Contestants {
		for _, k := range r.Cases {
			for _, n := range r.Connections {
				rows = append(rows, r.boundRow(c, k, n))
			}
		}
	}
	if text := strings.Join(rows, ""); text != "" {
		b.WriteString("\n### Bound over unbound\n\nTokens that are bound to a key by a DPoP proof, beside those of the case without.\n\n" +
			"| contestant | case | connections | CPU µs unbound | bound | more | × CPU | × p50 | errors |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n" + text)
	}
}

func (r *Run) boundRow(c, k Named, connections int) string {
	if k.Against == "" {
		return ""
	}
	bound, unbound := r.Where(c.Name, k.Name, connections), r.Where(c.Name, k.Against, connections)
	if len(bound) == 0 || len(unbound) == 0 {
		return ""
	}
	errs := 0
	for _, s := range bound {
		errs += s.Errors
	}
	without, with := spread(unbound, Sample.CPU).Median, spread(bound, Sample.CPU).Median
	return fmt.Sprintf("| %s | %s | %d | %.0f | %.0f | %.0f | %s | %s | %d |\n", c.Title, k.Against, connections,
		without, with, with-without, times(overRound(bound, unbound, Sample.CPU)), times(overRound(bound, unbound, p50)), errs)
}

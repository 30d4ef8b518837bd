package prose

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpeedChart: the chart of the README shows what was measured, in its order.
func TestSpeedChart(t *testing.T) {
	var shown, measured []string
	for _, m := range regexp.MustCompile(`>([0-9,]+) µs</text>`).FindAllStringSubmatch(read(t, "docs/images/speed.svg"), -1) {
		shown = append(shown, strings.ReplaceAll(m[1], ",", ""))
	}
	table := read(t, "test/bench/results/rivals/table.md")
	require.Equal(t, 1, strings.Count(table, " connections\n"), "one table of one number of connections")
	for _, row := range []string{"issue | Grantor, Redis, opaque tokens", "issue | node oidc-provider + Redis", "issue | Ory Hydra + PostgreSQL, cheapest hasher",
		"introspect | Grantor, Redis, opaque tokens", "introspect | node oidc-provider + Redis", "introspect | Ory Hydra + PostgreSQL, cheapest hasher"} {
		m := regexp.MustCompile(`\| ` + regexp.QuoteMeta(row) + ` \|(?:[^|]*\|){3} ([0-9]+) \(`).FindStringSubmatch(table)
		require.NotNil(t, m, row)
		measured = append(measured, m[1])
	}
	require.Equal(t, measured, shown)
}

package prose

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// threat is the number of a threat as code and tests cite it: S-22, V-03.
var threat = regexp.MustCompile(`(?:^|[^\w-])([SV]-[0-9]{2})(?:[^\w-]|$)`)

// TestThreats: docs/explain/security.md explains every threat that code or a test cites, once and
// in order, and no other.
func TestThreats(t *testing.T) {
	cited := map[string]bool{}
	for _, name := range files(t, ".go", ".py", ".toml", ".yml", ".yaml", ".service", ".lua") {
		for _, number := range threats(read(t, name)) {
			cited[number] = true
		}
	}
	var explained []string
	for _, m := range regexp.MustCompile(`(?m)^\| <a id="([SV]-[0-9]{2})"></a>([SV]-[0-9]{2}) \| [^|]{10,} \| [^|]{5,} \|$`).FindAllStringSubmatch(read(t, "docs/explain/security.md"), -1) {
		require.Equal(t, m[1], m[2])
		explained = append(explained, m[1])
	}
	require.True(t, slices.IsSorted(explained))
	require.Greater(t, len(explained), 80)
	for _, number := range explained {
		require.True(t, cited[number], "%s is explained, and no code cites it", number)
		delete(cited, number)
	}
	require.Empty(t, cited, "cited in code, and not in docs/explain/security.md")
}

// threats returns the numbers that a text cites.
func threats(text string) (all []string) {
	for line := range strings.Lines(text) {
		for {
			at := threat.FindStringSubmatchIndex(line)
			if at == nil {
				break
			}
			all = append(all, line[at[2]:at[3]])
			line = line[at[3]:]
		}
	}
	return all
}

func TestThreatNumbers(t *testing.T) {
	require.Equal(t, []string{"S-11", "V-03", "S-20"}, threats("// V-3, S-11 V-03 (S-20)\n\"AS-12 S-123 S-12x TS-01-2\"\n"))
}

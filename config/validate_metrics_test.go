package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownClientsOfMetrics(t *testing.T) {
	warned := func(store string) string {
		_, warnings, err := Load(Options{Path: write(t, store+"[metrics]\nper_client = [\"c\", \"gone\"]\n"+
			networked("[\"10.0.0.0/8\"]"))})
		require.NoError(t, err)
		return strings.Join(warnings, "\n")
	}
	text := warned(minimal)
	require.Contains(t, text, `metrics.per_client: no client has the id "gone": its series stay at zero`)
	require.NotContains(t, text, `"c"`)
	require.Contains(t, warned("store = \"redis\"\nredis.url = \"redis://127.0.0.1:6379\"\n"),
		`no client of the configuration has the id "gone": if none is registered in Redis, its series stay at zero`)
}

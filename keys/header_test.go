package keys

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeader(t *testing.T) {
	text := headerText("ES256", "at+jwt", "k")
	h, ok := parseHeader(text)
	require.True(t, ok)
	require.Equal(t, header{"ES256", "at+jwt", "k"}, h)
	for i := range text {
		_, ok := parseHeader(text[:i])
		require.False(t, ok, "cut after %d", i)
		if i > 0 {
			_, ok = parseHeader(text[i:])
			require.False(t, ok, "cut before %d", i)
		}
	}
}

package tokens_test

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// TestSessionIDsAreRandom: whoever guesses ids finds none, and one id tells nothing of the next.
func TestSessionIDsAreRandom(t *testing.T) {
	const drawn = 4096
	seen := map[tokens.SessionID]bool{}
	var ones [128]int
	previous, changed := tokens.SessionID{}, 0
	for range drawn {
		id := tokens.NewSessionID()
		require.False(t, seen[id])
		seen[id] = true
		for i, b := range id {
			for j := range 8 {
				ones[i*8+j] += int(b >> j & 1)
			}
			changed += bits.OnesCount8(b ^ previous[i])
		}
		previous = id
	}
	for bit, n := range ones { // 10 standard deviations: 320
		require.InDelta(t, drawn/2, n, 320, "bit %d of the id is not random", bit)
	}
	require.InDelta(t, drawn*64, changed, 4000, "from one id to the next half of the bits change")
	back, ok := tokens.ParseSessionID(previous.String())
	require.True(t, ok)
	require.Equal(t, previous, back)
}

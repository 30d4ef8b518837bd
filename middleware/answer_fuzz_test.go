package middleware

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAnswer: an answer of RFC 7662 §2.2 that cannot be read is an error; its scope is never
// guessed at.
func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		var a answer
		if json.Unmarshal(text, &a) != nil {
			return
		}
		tok, err := a.token()
		if err != nil {
			require.Nil(t, tok)
			return
		}
		for s := range tok.Scope.All() {
			require.Contains(t, " "+a.Scope+" ", " "+s+" ")
		}
		require.Equal(t, []string(a.Aud), tok.Audience)
	})
}

package jwt

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParseKeySet: a set holds public keys alone, of those kinds that are supported, and is written
// back as it was read.
func FuzzParseKeySet(f *testing.F) {
	all, err := json.Marshal(keys().set)
	require.NoError(f, err)
	f.Add(all)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseKeySet(text)
		if err != nil {
			require.Nil(t, s)
			return
		}
		require.Positive(t, s.Len())
		require.LessOrEqual(t, s.Len(), maxKeys)
		for i := range s.keys {
			require.NoError(t, s.keys[i].check())
		}
		published, err := parsePublished(text, signatures)
		require.NoError(t, err)
		require.Equal(t, s.keys, published.keys)
		out, err := json.Marshal(s)
		require.NoError(t, err)
		again, err := ParseKeySet(out)
		require.NoError(t, err)
		for i := range s.keys {
			require.Equal(t, s.keys[i].public, again.keys[i].public)
			require.Equal(t, s.keys[i].id, again.keys[i].id)
			require.Equal(t, s.keys[i].alg, again.keys[i].alg)
		}
	})
}

// FuzzParseClaims: claims are what any other reader of JSON would see, or the payload is malformed.
func FuzzParseClaims(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseClaims(text)
		if err != nil {
			require.Equal(t, Malformed, err)
			return
		}
		var seen map[string]any
		require.NoError(t, json.Unmarshal(text, &seen))
		for name, got := range map[string]string{"iss": c.Issuer, "sub": c.Subject, "jti": c.ID} {
			if want, there := seen[name]; there {
				require.Equal(t, want, got)
			} else {
				require.Empty(t, got)
			}
		}
		exp, there := seen["exp"].(float64)
		require.Equal(t, there, !c.Expires.IsZero())
		if c.CheckTimes(now, MaxSkew) == nil {
			require.Greater(t, exp+MaxSkew.Seconds(), float64(now.Unix()))
		}
	})
}

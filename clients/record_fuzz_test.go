package clients

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReadStored: what Redis holds is a registration of this client, which is written back as it
// was read, or ErrRecord.
func FuzzReadStored(f *testing.F) {
	f.Fuzz(func(t *testing.T, id, text string) {
		s, err := readStored(id, text)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, id, s.ID)
		first, err := s.text()
		if err != nil {
			return // a year that JSON has no form for
		}
		again, err := readStored(id, first)
		require.NoError(t, err)
		second, err := again.text()
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
}

// FuzzReadRegistrations: what becomes a client is described so that the same client is read from
// it.
func FuzzReadRegistrations(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadRegistrations(strings.NewReader(text))
		if err != nil {
			return
		}
		require.True(t, json.Valid([]byte(text)))
		for i := range list {
			c, err := list[i].Client()
			if err != nil {
				require.ErrorAs(t, err, new(*FieldError))
				continue
			}
			if list[i].RetryWindow != nil {
				require.Equal(t, *list[i].RetryWindow == 0, c.RetryWindow < 0, "0 alone is strict")
			}
			first, err := json.Marshal(c.Describe())
			if err != nil {
				continue // a year that JSON has no form for
			}
			again, err := ReadRegistrations(strings.NewReader(string(first)))
			require.NoError(t, err)
			c, err = again[0].Client()
			require.NoError(t, err)
			second, err := json.Marshal(c.Describe())
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
		}
	})
}

// FuzzParseLife: a duration is written so that the same one is read.
func FuzzParseLife(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseDuration(text)
		if err != nil {
			return
		}
		again, err := ParseDuration(l.String())
		require.NoError(t, err)
		require.Equal(t, l, again)
	})
}

// FuzzParseHash: one hash has one text, and an error quotes nothing of what may be the secret
// itself.
func FuzzParseHash(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHash(text)
		if err != nil {
			require.Equal(t, errHash, err)
			return
		}
		require.Equal(t, text, h.String())
	})
}

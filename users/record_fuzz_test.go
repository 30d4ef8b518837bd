package users

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseRecord: what Redis holds is a user, who is written back as read, or ErrRecord.
func FuzzParseRecord(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		u, err := userOf(text)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		r, err := parseRecord(text)
		require.NoError(t, err)
		again, err := userOf(r.String())
		require.NoError(t, err)
		require.Equal(t, u, again)
		if u.Scope != nil {
			require.NoError(t, CheckScope(*u.Scope), "nobody has power over Grantor by a record")
		}
	})
}

// FuzzReadAnswer: an application's answer is a user whose id can be a subject, or ErrUnavailable:
// never a refusal, never a guess.
func FuzzReadAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := readAnswer(text)
		if err != nil {
			require.ErrorIs(t, err, ErrUnavailable)
			require.Nil(t, u)
			return
		}
		require.NoError(t, CheckSubject(u.ID))
		if u.Scope != nil {
			require.NoError(t, CheckScope(*u.Scope))
		}
	})
}

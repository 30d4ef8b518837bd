package tokens

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParseSession: what Redis holds is a session, whose body is written back as it was read, or
// ErrRecord.
func FuzzParseSession(f *testing.F) {
	tag, id := Tag{1}, SessionID{2}
	f.Fuzz(func(t *testing.T, value []byte) {
		a, err := parseSession(value, tag, id)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, tag, a.Tag)
		require.Equal(t, id, a.ID)
		require.LessOrEqual(t, len(a.Address), MaxAddress)
		again := fmt.Appendf(append([]byte(nil), value[:atClientSize]...), "%04d%s", len(a.ClientID), a.ClientID)
		b, err := parseSession(appendSessionBody(again, a), tag, id)
		require.NoError(t, err)
		require.Equal(t, a, b)
	})
}

// FuzzParseUserRecord: a user's access token is its session's, and does not outlive it.
func FuzzParseUserRecord(f *testing.F) {
	h := HashText("x")
	session := &Session{ID: SessionID{2}, ClientID: "app", Subject: "u-1", Username: "ada", Expires: time.Unix(1_800_003_600, 0)}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseUserRecord(value, h, session)
		if err != nil {
			require.ErrorIs(t, err, ErrRecord)
			return
		}
		require.Equal(t, []string{"app", "u-1", "ada"}, []string{r.ClientID, r.Subject, r.Username})
		require.GreaterOrEqual(t, r.TTL, time.Duration(0))
		require.True(t, r.TTL == 0 || !r.IssuedAt.Add(r.TTL).After(session.Expires))
		again, err := parseUserRecord(appendUserRecord(nil, h, r), h, session)
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

// FuzzParseJTI: one token has one jti, and a client's is never taken for a user's.
func FuzzParseJTI(f *testing.F) {
	c := testCodec()
	f.Fuzz(func(t *testing.T, jti, subject string) {
		tok, err := c.ParseJTI(jti, subject)
		if err != nil {
			require.Equal(t, ErrNotOurs, err)
			return
		}
		require.Equal(t, jti[:jtiDigits], tok.ID().String())
		require.Equal(t, jti, tok.JTI)
		if subject == "" {
			require.Equal(t, ClientAccess, tok.Kind)
			require.Len(t, jti, jtiDigits)
			return
		}
		require.Equal(t, UserAccess, tok.Kind)
		require.Equal(t, c.Tag(subject), tok.Tag)
		require.Equal(t, jti[jtiDigits:], c.hideSession(tok.ID(), tok.Session).String())
	})
}

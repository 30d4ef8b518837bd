package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens/feed"
)

// TestRevokeWithoutRecord: a failover may take the record of a token that was just issued, and
// leave its JWT.
func TestRevokeWithoutRecord(t *testing.T) {
	f := start(t, withKeys(t))
	lose := func(token string) (jti, at string) {
		t.Helper()
		found, err := f.server.read(t.Context(), token)
		require.NoError(t, err)
		ended, err := f.store.Revoke(t.Context(), found, "app")
		require.NoError(t, err)
		require.True(t, ended)
		require.Equal(t, dead, f.inspect(t, token).body)
		return found.Name(), f.feedEnd(t)
	}
	t.Run("RFC 7009 §2 the revocation of a JWT that has no record is in the feed before its 200", func(t *testing.T) {
		token := f.issue(t, "")
		jti, at := lose(token)
		require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		require.Equal(t, []any{jti}, f.poll(t, after(at)).json["ended"])
		at = f.feedEnd(t)
		require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		require.Empty(t, f.poll(t, after(at)).json["ended"], "once: who repeats it must not fill the feed")
	})
	t.Run("not that of another client, of a forged or an opaque token, or of one that is over", func(t *testing.T) {
		token := f.issue(t, "")
		_, at := lose(token)
		require.Equal(t, 200, f.post(t, revP, "gateway:rs", "token="+token).status)
		require.Equal(t, 200, f.post(t, revP, app, "token="+token[:len(token)-8]+"AAAAAAAA").status)
		require.Equal(t, 200, f.post(t, revP, app, "token=ey").status)
		f.store.SetClock(func() time.Time { return time.Now().Add(time.Hour) })
		require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		require.Empty(t, f.poll(t, after(at)).json["ended"])
	})
}

func TestRevokeWithoutSession(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	r := f.login(t, "")
	found, err := f.server.read(t.Context(), r.text("refresh_token"))
	require.NoError(t, err)
	t.Run("RFC 7009 §2.1 another client's live session has no place in the feed", func(t *testing.T) {
		at := f.feedEnd(t)
		require.Equal(t, 200, f.post(t, revP, "web:s", "token="+r.text("refresh_token")).status)
		require.Empty(t, f.poll(t, after(at)).json["ended"])
	})
	t.Run("a session that a failover took ends in the feed, once", func(t *testing.T) {
		ended, err := f.store.EndSession(t.Context(), found.Tag, found.Session)
		require.NoError(t, err)
		require.True(t, ended)
		at := f.feedEnd(t)
		for range 2 {
			require.Equal(t, 200, f.post(t, revP, "web:s", "token="+r.text("refresh_token")).status)
		}
		require.Equal(t, []any{feed.Session(found.Session)}, f.poll(t, after(at)).json["ended"])
	})
}

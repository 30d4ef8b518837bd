package server

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// readings counts how often sessions are read.
type readings struct {
	tokens.Store
	n atomic.Int64
}

func (r *readings) Session(ctx context.Context, t tokens.Token) (*tokens.Session, error) {
	r.n.Add(1)
	return r.Store.Session(ctx, t)
}

func TestFacts(t *testing.T) {
	begin := func(t *testing.T) (*fixture, *people, *readings, string) {
		f, p := startPeople(t)
		store := &readings{Store: f.server.cfg.Store}
		f.server.cfg.Store = store
		_, r0 := f.loggedIn(t, "")
		r := f.refresh(t, r0)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, int64(1), store.n.Load())
		return f, p, store, r.text("refresh_token")
	}
	t.Run("RT-11 a session that was refreshed here is not read again", func(t *testing.T) {
		f, _, store, token := begin(t)
		for range 3 {
			r := f.refresh(t, token)
			require.Equal(t, 200, r.status, r.body)
			token = r.text("refresh_token")
		}
		require.Equal(t, int64(1), store.n.Load())
	})
	t.Run("RT-18 V-09 what is remembered grants nothing: another node's logout is seen at once", func(t *testing.T) {
		f, _, _, token := begin(t)
		old, err := f.server.codec.Parse(token)
		require.NoError(t, err)
		require.NoError(t, f.store.EndUser(t.Context(), old.Tag))
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
	})
	t.Run("RT-13 reuse of an old token ends a remembered session", func(t *testing.T) {
		f, _, _, token := begin(t)
		r := f.refresh(t, token)
		require.Equal(t, 200, r.status)
		next := f.refresh(t, r.text("refresh_token"))
		require.Equal(t, 200, next.status)
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
		refused(t, f.refresh(t, next.text("refresh_token")), 400, codeInvalidGrant)
		require.Equal(t, false, f.inspect(t, next.text("access_token")).json["active"])
	})
	t.Run("RT-18 PW-10 a disabled user's remembered session is read again and ended", func(t *testing.T) {
		f, p, store, token := begin(t)
		p.change(t, func(list []users.ConfigUser) { list[0].Disabled = true })
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
		require.Equal(t, int64(2), store.n.Load())
		require.Contains(t, f.log.String(), `"reason":"user_disabled"`)
		p.change(t, func(list []users.ConfigUser) { list[0].Disabled = false })
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
	})
	t.Run("RT-08 a stranger's try at a remembered session changes nothing", func(t *testing.T) {
		f, _, _, token := begin(t)
		refused(t, f.post(t, tokP, "", "grant_type=refresh_token&client_id=strict&refresh_token="+token), 400, codeInvalidGrant)
		require.Equal(t, 200, f.refresh(t, token).status)
	})
	t.Run("RT-05 a scope that was not granted burns nothing", func(t *testing.T) {
		f, _, _, token := begin(t)
		refused(t, f.refresh(t, token, "&scope=invoices:read"), 400, codeInvalidScope)
		require.Equal(t, 200, f.refresh(t, token).status)
	})
	t.Run("V-07 not_before ends a remembered session too", func(t *testing.T) {
		f, _, _, token := begin(t)
		f.server.cfg.NotBefore = time.Now().Add(time.Hour)
		refused(t, f.refresh(t, token), 400, codeInvalidGrant)
	})
	t.Run("what changes is not remembered", func(t *testing.T) {
		f, _, _, token := begin(t)
		old, err := f.server.codec.Parse(token)
		require.NoError(t, err)
		known, ok := f.server.sessions.of(old)
		require.True(t, ok)
		require.Zero(t, known.Generation)
		require.NotZero(t, known.UserEpoch, "that of the login, which JWTs name")
		require.Zero(t, known.ClientEpoch)
		require.Empty(t, known.Address)
		_, ok = f.server.sessions.of(tokens.Token{Session: old.Session})
		require.False(t, ok, "another user's tag")
	})
}

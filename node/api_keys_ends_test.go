package node

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// announced says whether the revocation feed tells that a key has ended.
func (d *keyDesk) announced(t *testing.T, id string) bool {
	t.Helper()
	page, err := d.a.resources.stores.tokens.Feed().Read(t.Context(), "", 1000)
	require.NoError(t, err)
	return slices.ContainsFunc(page.Ends, func(e feed.End) bool { return slices.Contains(e.Names, id) })
}

// TestAPIKeysOfOthers: what an operator or another client does with a key.
func TestAPIKeysOfOthers(t *testing.T) {
	d := openKeyDesk(t)
	hour := apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour}
	d.partner(t, "partner", hour)
	t.Run("RFC 7009 §2 an operator ends a key whose record Redis lost: verifiers may remember it", func(t *testing.T) {
		text, key := d.partner(t, "lost", hour)
		hash := tokens.HashText(text)
		n, err := d.a.resources.stores.db.Del(t.Context(), "t:"+string(hash[:16]))
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		v, err := d.b.current.now.Load().server.RevokeAsOperator(t.Context(), text)
		require.NoError(t, err)
		require.False(t, v.Ended)
		require.True(t, d.announced(t, key.ID))
	})
	t.Run("to have a key explained, or to ask about one that the caller may not see, is no use of it", func(t *testing.T) {
		text, k, err := d.keys.Create(t.Context(), "machine", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
		require.NoError(t, err)
		e, err := d.a.current.now.Load().server.Explain(t.Context(), text, "")
		require.NoError(t, err)
		require.True(t, e.Active)
		status, told := d.a.post(t, "/oauth2/introspect", "partner", "token="+text)
		require.Equal(t, []any{200, map[string]any{"active": false}}, []any{status, told})
		require.NoError(t, d.a.resources.keyUses.Store(t.Context()))
		found, err := d.keys.Get(t.Context(), "machine", k.ID)
		require.NoError(t, err)
		require.Zero(t, found.LastUsed)
	})
}

package storetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// testNoEnd: what ends nothing appends nothing.
func testNoEnd(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("what ends nothing is not in the feed", func(t *testing.T) {
		d := newDevice(t, open(t)())
		ctx := t.Context()
		_, begin := names(t, d.store, "")
		access, refresh := d.login()
		d.rotate(d.rotation(refresh))
		d.rotate(d.rotation(refresh)) // a retry
		for _, tok := range []tokens.Token{access, refresh} {
			ended, err := d.store.Revoke(ctx, tok, "another client")
			require.NoError(t, err)
			require.False(t, ended)
		}
		_, err := d.store.Rotate(ctx, d.rotation(refresh, func(r *tokens.Rotation) { r.ClientID = "another client" }))
		require.Error(t, err)
		_, err = d.store.Revoke(ctx, mint(t, d.store), client)
		require.NoError(t, err)
		_, err = d.store.EndSession(ctx, d.tag, tokens.NewSessionID())
		require.NoError(t, err)
		require.NoError(t, d.store.EndUser(ctx, d.codec.Tag("nobody")))
		require.NoError(t, d.store.EnableClient(ctx, "x", tokens.Epoch{1}))
		require.NoError(t, d.store.RenewClient(ctx, "unknown", tokens.Epoch{2}))
		got, _ := names(t, d.store, begin)
		require.Empty(t, got)
	})
}

// testEditions: editions change with digests, for all nodes, and stay with them.
func testEditions(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("a client of the same digest keeps its edition on every node, under every epoch", func(t *testing.T) {
		node := open(t)
		a, b := newDevice(t, node()), newDevice(t, node())
		c := feed.Configured{ID: configured, Digest: [16]byte{1}}
		_, begin := names(t, a.store, "")
		first := a.editions(t, c)
		require.Equal(t, first, b.editions(t, c))
		require.NoError(t, b.store.RenewClient(t.Context(), configured, tokens.Epoch{5}))
		second := a.editions(t, c)
		require.NotEqual(t, first, second)
		standing, err := a.store.ClientStandings(t.Context(), []string{configured}, nil)
		require.NoError(t, err)
		require.Equal(t, first == second, standing[0].Epoch != tokens.Epoch{5})
		require.Equal(t, second, feed.Client(tokens.Epoch{5}, standing[0].Edition))
		got, _ := names(t, a.store, begin)
		require.Equal(t, []string{first}, got)
	})
	t.Run("many clients get editions at once", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		var list []feed.Configured
		var ids []string
		for i := range 50 {
			ids = append(ids, "client "+string(rune('A'+i)))
			list = append(list, feed.Configured{ID: ids[i], Digest: [16]byte{byte(i)}})
		}
		_, err := a.ClientEpochs(t.Context(), ids, nil)
		require.NoError(t, err)
		of := func(s tokens.Store, list []feed.Configured) map[string]tokens.Epoch {
			found, err := s.Feed().Editions(t.Context(), list)
			require.NoError(t, err)
			return found
		}
		first := of(a, list)
		require.Len(t, first, 50)
		require.Equal(t, first, of(b, list))
		_, begin := names(t, b, "")
		now, err := b.ClientStandings(t.Context(), ids, nil)
		require.NoError(t, err)
		var ended []string
		for i := range 20 {
			list[i].Digest[1] = 1
			ended = append(ended, feed.Client(now[i].Epoch, first[ids[i]]))
		}
		for i := 20; i < 30; i++ {
			ended = append(ended, feed.Client(now[i].Epoch, first[ids[i]]))
		}
		second := of(b, slices.Delete(slices.Clone(list), 20, 30))
		require.Len(t, second, 40)
		for i, id := range ids {
			require.Equal(t, i >= 30, second[id] == first[id], id)
		}
		got, _ := names(t, a, begin)
		require.ElementsMatch(t, ended, got)
	})
}

package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// testRotations: rows 1 to 4 of the table of a refresh.
func testRotations(t *testing.T, begin func(t *testing.T) *world) {
	t.Helper()
	t.Run("RT-01 RT-11 rotation: the new pair works, the old access token lives on", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		r := w.rotation(r0)
		out := w.rotate(r)
		require.Nil(t, out.RetryResponse)
		require.InDelta(t, time.Minute, out.AccessTTL, float64(time.Second))
		require.True(t, w.alive(a0))
		require.True(t, w.alive(r.Access))
		require.Nil(t, w.rotate(w.rotation(r.New)).RetryResponse)
	})
	t.Run("row 1: no family", func(t *testing.T) {
		w := begin(t)
		_, tok := w.codec.NewRefresh(w.tag, w.fam, 0)
		w.refused(w.rotation(tok), tokens.ReasonNoSession)
	})
	t.Run("row 2: RT-07 RT-08 V-05 another client's token, without effect", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientID = "other" }), tokens.ReasonOtherClient)
		w.rotate(w.rotation(r0))
	})
	t.Run("row 2 before row 3: another client, whose epoch is its own, ends nothing", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		for _, other := range []string{"other", client[:len(client)-1], client + "x"} {
			w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientID, r.ClientEpoch = other, tokens.Epoch{9} }), tokens.ReasonOtherClient)
			w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientID = other }), tokens.ReasonOtherClient)
		}
		require.True(t, w.alive(a0))
		first := w.rotation(r0)
		w.rotate(first)
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientID, r.RetryWindow = "other", 0 }), tokens.ReasonOtherClient)
		_, beside := w.codec.NewRefresh(w.tag, w.fam, 7)
		w.refused(w.rotation(beside, func(r *tokens.Rotation) { r.ClientID = "other" }), tokens.ReasonOtherClient)
		w.rotate(w.rotation(first.New))
	})
	t.Run("row 3 before rows 4 and 6: neither a repeated call nor a retry outlives an epoch", func(t *testing.T) {
		for _, repeat := range []bool{true, false} {
			w := begin(t)
			_, r0 := w.login()
			first := w.rotation(r0)
			w.rotate(first)
			if !repeat {
				first = w.rotation(r0)
			}
			first.ClientEpoch = tokens.Epoch{9}
			w.refused(first, tokens.ReasonEnded)
			w.refused(w.rotation(r0), tokens.ReasonNoSession)
		}
	})
	t.Run("row 3: the client's epoch changed: family ended", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientEpoch = tokens.Epoch{9} }), tokens.ReasonEnded)
		require.False(t, w.alive(a0))
		w.refused(w.rotation(r0), tokens.ReasonNoSession)
	})
	t.Run("row 3: the user's epoch changed: family ended", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		require.NoError(t, w.store.EndUser(t.Context(), w.tag))
		require.False(t, w.alive(a0))
		_, err := w.store.UserEpoch(t.Context(), w.tag, time.Hour)
		require.NoError(t, err)
		require.False(t, w.alive(a0), "a new epoch revives nothing")
		w.refused(w.rotation(r0), tokens.ReasonEnded)
	})
	t.Run("row 3: RT-17 idle expiry, by the store's clock", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		require.Eventually(t, func() bool {
			_, err := w.store.Rotate(t.Context(), w.rotation(r0, func(r *tokens.Rotation) { r.IdleTTL, r.ClientID = 50*time.Millisecond, client }))
			return err != nil
		}, 3*time.Second, 60*time.Millisecond)
	})
	t.Run("row 3: RT-17 absolute expiry; no access token outlives it", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login(func(l *tokens.SessionStart) { l.MaxTTL = 1500 * time.Millisecond })
		r := w.rotation(r0)
		require.LessOrEqual(t, w.rotate(r).AccessTTL, 1500*time.Millisecond)
		require.Eventually(t, func() bool { return !w.alive(a0) && !w.alive(r.Access) }, 4*time.Second, 20*time.Millisecond)
	})
	t.Run("row 4: a call executed twice by the network layer succeeds twice", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		r := w.rotation(r0)
		for range 3 {
			require.Nil(t, w.rotate(r).RetryResponse)
		}
		require.True(t, w.alive(r.Access))
		w.rotate(w.rotation(r.New))
	})
}

// testRetries: row 6, a repetition within the window.
func testRetries(t *testing.T, begin func(t *testing.T) *world) {
	t.Helper()
	t.Run("row 6: RT-19 a retry gets the stored box and writes nothing", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		again := w.rotation(r0)
		out := w.rotate(again)
		require.Equal(t, first.RetryResponse, out.RetryResponse)
		require.False(t, out.NewAccess)
		require.False(t, w.alive(again.Access))
		w.rotate(w.rotation(first.New))
	})
	t.Run("row 6: a retry never revives a revoked access token, and the family is kept", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		ended, err := w.store.Revoke(t.Context(), first.Access, client)
		require.NoError(t, err)
		require.True(t, ended)
		w.refused(w.rotation(r0), tokens.ReasonAccessGone)
		require.False(t, w.alive(first.Access))
		w.rotate(w.rotation(first.New))
	})
	t.Run("row 6: another scope on a retry: a new access token, the same refresh token", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		for i := range 12 {
			other := w.rotation(r0, func(r *tokens.Rotation) { r.RequestHash = [16]byte{byte(i + 1)} })
			out := w.rotate(other)
			require.True(t, out.NewAccess)
			require.Equal(t, first.RetryResponse, out.RetryResponse)
			require.True(t, w.alive(other.Access))
		}
		w.rotate(w.rotation(first.New))
	})
	t.Run("row 6: retries from another network are told each time, and forgiven each time", func(t *testing.T) {
		w := begin(t)
		_, now := w.login()
		elsewhere := func(r *tokens.Rotation) { r.Address = "198.51.100.0/24" }
		for range 5 {
			first := w.rotation(now)
			w.rotate(first)
			require.False(t, w.rotate(w.rotation(now)).Suspicious)
			for range 2 {
				out := w.rotate(w.rotation(now, elsewhere))
				require.True(t, out.Suspicious)
				require.Equal(t, first.RetryResponse, out.RetryResponse)
			}
			now = first.New
		}
	})
}

// testReuses: rows 7 and 8, what ends a family.
func testReuses(t *testing.T, begin func(t *testing.T) *world) {
	t.Helper()
	t.Run("row 7: Redis lost a rotation: family ended, and it is not called theft", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		_, ahead := w.codec.NewRefresh(w.tag, w.fam, r0.Generation+1)
		w.refused(w.rotation(ahead), tokens.ReasonLostRotation)
		require.False(t, w.alive(a0))
	})
	t.Run("row 8: another token of the current generation is reuse, not a lost rotation", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		_, beside := w.codec.NewRefresh(w.tag, w.fam, first.New.Generation)
		w.refused(w.rotation(beside), tokens.ReasonReuse)
	})
	t.Run("row 8: RT-12 RT-13 RT-14 a token replayed after its successor was used ends the family", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		second := w.rotation(first.New)
		w.rotate(second)
		w.refused(w.rotation(r0), tokens.ReasonReuse)
		w.refused(w.rotation(second.New), tokens.ReasonNoSession)
		for _, a := range []tokens.Token{a0, first.Access, second.Access} {
			require.False(t, w.alive(a))
		}
	})
	t.Run("row 8: RT-12 a replay after the window ends the family", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.rotate(w.rotation(r0, func(r *tokens.Rotation) { r.RetryWindow = 20 * time.Millisecond }))
		require.Eventually(t, func() bool {
			_, err := w.store.Rotate(t.Context(), w.rotation(r0))
			return err != nil
		}, 3*time.Second, 30*time.Millisecond)
		require.False(t, w.family(r0))
	})
	t.Run("row 8: retry_window 0 is strict from the start", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.rotate(w.rotation(r0, func(r *tokens.Rotation) { r.RetryWindow = 0 }))
		w.refused(w.rotation(r0), tokens.ReasonReuse)
	})
}

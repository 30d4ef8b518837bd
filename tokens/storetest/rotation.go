package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// testRotations: rows 1 and 4 of the table of a refresh, and a token that is current.
func testRotations(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("RT-01 RT-11 rotation: the new pair works, the old access token stays active", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		r := d.rotation(r0)
		out := d.rotate(r)
		require.Nil(t, out.RetryResponse)
		require.InDelta(t, time.Minute, out.AccessTTL, float64(time.Second))
		require.True(t, d.active(a0))
		require.True(t, d.active(r.Access))
		require.Nil(t, d.rotate(d.rotation(r.New)).RetryResponse)
	})
	t.Run("row 1: no session", func(t *testing.T) {
		d := begin(t)
		_, tok := d.codec.NewRefresh(d.tag, d.session, 0)
		d.refused(d.rotation(tok), tokens.ReasonNoSession)
	})
	t.Run("row 4: a call executed twice by the network layer succeeds twice", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		r := d.rotation(r0)
		for range 3 {
			require.Nil(t, d.rotate(r).RetryResponse)
		}
		require.True(t, d.active(r.Access))
		d.rotate(d.rotation(r.New))
	})
}

// testOtherClient: row 2, before all that follows.
func testOtherClient(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("row 2: RT-07 RT-08 V-05 another client's token, without effect", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		d.refused(d.rotation(r0, func(r *tokens.Rotation) { r.ClientID = "other" }), tokens.ReasonOtherClient)
		d.rotate(d.rotation(r0))
	})
	t.Run("row 2 before row 3: another client, whose epoch is its own, ends nothing", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		for _, other := range []string{"other", client[:len(client)-1], client + "x"} {
			d.refused(d.rotation(r0, func(r *tokens.Rotation) { r.ClientID, r.ClientEpoch = other, tokens.Epoch{9} }), tokens.ReasonOtherClient)
			d.refused(d.rotation(r0, func(r *tokens.Rotation) { r.ClientID = other }), tokens.ReasonOtherClient)
		}
		require.True(t, d.active(a0))
		first := d.rotation(r0)
		d.rotate(first)
		d.refused(d.rotation(r0, func(r *tokens.Rotation) { r.ClientID, r.RetryWindow = "other", 0 }), tokens.ReasonOtherClient)
		_, beside := d.codec.NewRefresh(d.tag, d.session, 7)
		d.refused(d.rotation(beside, func(r *tokens.Rotation) { r.ClientID = "other" }), tokens.ReasonOtherClient)
		d.rotate(d.rotation(first.New))
	})
}

// testEpochChange: row 3, before a repeated call and a retry.
func testEpochChange(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("row 3 before rows 4 and 6: neither a repeated call nor a retry survives a change of epoch", func(t *testing.T) {
		for _, repeat := range []bool{true, false} {
			d := begin(t)
			_, r0 := d.login()
			first := d.rotation(r0)
			d.rotate(first)
			if !repeat {
				first = d.rotation(r0)
			}
			first.ClientEpoch = tokens.Epoch{9}
			d.refused(first, tokens.ReasonEnded)
			d.refused(d.rotation(r0), tokens.ReasonNoSession)
		}
	})
	t.Run("row 3: the client's epoch changed: session ended", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		d.refused(d.rotation(r0, func(r *tokens.Rotation) { r.ClientEpoch = tokens.Epoch{9} }), tokens.ReasonEnded)
		require.False(t, d.active(a0))
		d.refused(d.rotation(r0), tokens.ReasonNoSession)
	})
	t.Run("row 3: the user's epoch changed: session ended", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		require.False(t, d.active(a0))
		_, err := d.store.UserEpoch(t.Context(), d.tag, time.Hour)
		require.NoError(t, err)
		require.False(t, d.active(a0), "a new epoch revives nothing")
		d.refused(d.rotation(r0), tokens.ReasonEnded)
	})
}

// testSessionExpiry: row 3.
func testSessionExpiry(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("row 3: RT-17 idle expiry, by the store's clock", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		require.Eventually(t, func() bool {
			_, err := d.store.Rotate(t.Context(), d.rotation(r0, func(r *tokens.Rotation) { r.IdleTTL, r.ClientID = 50*time.Millisecond, client }))
			return err != nil
		}, 3*time.Second, 60*time.Millisecond)
	})
	t.Run("row 3: RT-17 absolute expiry; no access token is active after it", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login(func(l *tokens.SessionStart) { l.MaxTTL = 1500 * time.Millisecond })
		r := d.rotation(r0)
		require.LessOrEqual(t, d.rotate(r).AccessTTL, 1500*time.Millisecond)
		require.Eventually(t, func() bool { return !d.active(a0) && !d.active(r.Access) }, 4*time.Second, 20*time.Millisecond)
	})
}

// testRetries: row 6, a repetition within the window.
func testRetries(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("row 6: RT-19 a retry gets the stored response and writes nothing", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		again := d.rotation(r0)
		out := d.rotate(again)
		require.Equal(t, first.RetryResponse, out.RetryResponse)
		require.False(t, out.NewAccess)
		require.False(t, d.active(again.Access))
		d.rotate(d.rotation(first.New))
	})
	t.Run("row 6: a retry never revives a revoked access token, and the session is kept", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		ended, err := d.store.Revoke(t.Context(), first.Access, client)
		require.NoError(t, err)
		require.True(t, ended)
		d.refused(d.rotation(r0), tokens.ReasonAccessGone)
		require.False(t, d.active(first.Access))
		d.rotate(d.rotation(first.New))
	})
	t.Run("row 6: another scope on a retry: a new access token, the same refresh token", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		for i := range 12 {
			other := d.rotation(r0, func(r *tokens.Rotation) { r.RequestHash = [16]byte{byte(i + 1)} })
			out := d.rotate(other)
			require.True(t, out.NewAccess)
			require.Equal(t, first.RetryResponse, out.RetryResponse)
			require.True(t, d.active(other.Access))
		}
		d.rotate(d.rotation(first.New))
	})
	t.Run("row 6: retries from another network are reported and answered each time", func(t *testing.T) {
		d := begin(t)
		_, now := d.login()
		elsewhere := func(r *tokens.Rotation) { r.Address = "198.51.100.0/24" }
		for range 5 {
			first := d.rotation(now)
			d.rotate(first)
			require.False(t, d.rotate(d.rotation(now)).Suspicious)
			for range 2 {
				out := d.rotate(d.rotation(now, elsewhere))
				require.True(t, out.Suspicious)
				require.Equal(t, first.RetryResponse, out.RetryResponse)
			}
			now = first.New
		}
	})
}

// testReuses: rows 7 and 8, what ends a session.
func testReuses(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("row 7: Redis lost a rotation: session ended, and that is not called reuse", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		_, ahead := d.codec.NewRefresh(d.tag, d.session, r0.Generation+1)
		d.refused(d.rotation(ahead), tokens.ReasonLostRotation)
		require.False(t, d.active(a0))
	})
	t.Run("row 8: another token of the current generation is reuse, not a lost rotation", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		_, beside := d.codec.NewRefresh(d.tag, d.session, first.New.Generation)
		d.refused(d.rotation(beside), tokens.ReasonReuse)
	})
	t.Run("row 8: RT-12 RT-13 RT-14 a token replayed after its successor was used ends the session", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		second := d.rotation(first.New)
		d.rotate(second)
		d.refused(d.rotation(r0), tokens.ReasonReuse)
		d.refused(d.rotation(second.New), tokens.ReasonNoSession)
		for _, a := range []tokens.Token{a0, first.Access, second.Access} {
			require.False(t, d.active(a))
		}
	})
	t.Run("row 8: RT-12 a replay after the window ends the session", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		d.rotate(d.rotation(r0, func(r *tokens.Rotation) { r.RetryWindow = 20 * time.Millisecond }))
		require.Eventually(t, func() bool {
			_, err := d.store.Rotate(t.Context(), d.rotation(r0))
			return err != nil
		}, 3*time.Second, 30*time.Millisecond)
		require.False(t, d.hasSession(r0))
	})
	t.Run("row 8: retry_window 0 is strict from the start", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		d.rotate(d.rotation(r0, func(r *tokens.Rotation) { r.RetryWindow = 0 }))
		d.refused(d.rotation(r0), tokens.ReasonReuse)
	})
}

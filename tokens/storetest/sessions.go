package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// testLogins: what a log-in stores, and when it stores nothing.
func testLogins(t *testing.T, begin func(t *testing.T) *world) {
	t.Helper()
	t.Run("a log-in comes back as it was stored", func(t *testing.T) {
		w := begin(t)
		access, refresh := w.login()
		r, err := w.store.Load(t.Context(), access)
		require.NoError(t, err)
		require.Equal(t, "u-1", r.Subject)
		require.Equal(t, "ada", r.Username)
		require.Equal(t, client, r.ClientID)
		require.Equal(t, clientEpoch, r.ClientEpoch)
		require.Equal(t, "orders:read", r.Scope)
		require.Equal(t, w.fam, r.Session)
		f, err := w.store.Session(t.Context(), refresh)
		require.NoError(t, err)
		require.Equal(t, "orders:read orders:write", f.Scope)
		require.Equal(t, [16]byte{1}, f.Credential)
		require.Equal(t, address, f.Address)
		require.WithinDuration(t, time.Now().Add(time.Hour), f.Expires, 5*time.Second)
		require.WithinDuration(t, time.Now(), f.Created, 5*time.Second)
	})
	t.Run("a log-in that races a log-out everywhere leaves nothing alive", func(t *testing.T) {
		w := begin(t)
		require.NoError(t, w.store.EndUser(t.Context(), w.tag))
		_, access := w.codec.NewUserAccess(w.tag, w.fam)
		l := &tokens.SessionStart{Access: access, Record: userRecord(), IdleTTL: time.Minute, MaxTTL: time.Hour, EpochTTL: time.Hour,
			Session: tokens.Session{Tag: w.tag, ID: w.fam, ClientID: client, UserEpoch: w.epoch}}
		var g *tokens.GrantError
		require.ErrorAs(t, w.store.StartSession(t.Context(), l), &g)
		_, err := w.store.UserEpoch(t.Context(), w.tag, time.Hour)
		require.NoError(t, err)
		require.ErrorAs(t, w.store.StartSession(t.Context(), l), &g, "nor under an epoch that came after")
		require.False(t, w.alive(access))
	})
}

// testRaces: many at once, on two nodes.
func testRaces(t *testing.T, open func(t *testing.T) func() tokens.Store) {
	t.Helper()
	begin := func(t *testing.T) *world { return newWorld(t, open(t)()) }
	t.Run("RT-16 V-01 S-53 sixty-four uses at once on two nodes: one rotation, one and the same box, one family", func(t *testing.T) {
		node := open(t)
		a, b := newWorld(t, node()), node()
		_, now := a.login()
		for range 10 {
			var mu sync.Mutex
			boxes, own := map[string]int{}, 0
			var winner *tokens.Rotation
			var wg sync.WaitGroup
			for i := range 64 {
				s := []tokens.Store{a.store, b}[i%2]
				r := a.rotation(now)
				wg.Go(func() {
					out, err := s.Rotate(t.Context(), r)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						boxes["error "+err.Error()]++
						return
					}
					if out.RetryResponse == nil {
						own, winner = own+1, r
						return
					}
					boxes[string(out.RetryResponse)]++
				})
			}
			wg.Wait()
			require.Equal(t, 1, own)
			require.Equal(t, map[string]int{string(winner.RetryResponse): 63}, boxes)
			now = winner.New
		}
		require.True(t, a.family(now))
	})
	t.Run("RV-17 a revocation that races sixteen refreshes leaves nothing alive", func(t *testing.T) {
		w := begin(t)
		for range 16 {
			w.fam = tokens.NewSessionID()
			a0, r0 := w.login()
			access := []tokens.Token{a0}
			var wg sync.WaitGroup
			for range 16 {
				r := w.rotation(r0)
				access = append(access, r.Access)
				wg.Go(func() { _, _ = w.store.Rotate(t.Context(), r) })
			}
			wg.Go(func() {
				_, err := w.store.Revoke(t.Context(), r0, client)
				require.NoError(t, err)
			})
			wg.Wait()
			for _, a := range access {
				require.False(t, w.alive(a))
			}
			require.False(t, w.family(r0))
		}
	})
}

// testEnds: revocation and sessions.
func testEnds(t *testing.T, begin func(t *testing.T) *world) {
	t.Helper()
	t.Run("RT-10 RV-10 RV-11 RV-13 revoking any refresh token of the family ends it, for its own client alone", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		ended, err := w.store.Revoke(t.Context(), r0, "other")
		require.NoError(t, err)
		require.False(t, ended)
		require.True(t, w.alive(a0))
		ended, err = w.store.Revoke(t.Context(), r0, client)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, w.alive(a0))
		w.refused(w.rotation(first.New), tokens.ReasonNoSession)
	})
	t.Run("RV-12 revoking an access token leaves the refresh token alive; another client's try has no effect", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		ended, err := w.store.Revoke(t.Context(), a0, "other")
		require.NoError(t, err)
		require.False(t, ended)
		ended, err = w.store.Revoke(t.Context(), a0, client)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, w.alive(a0))
		w.rotate(w.rotation(r0))
	})
	t.Run("sessions: listed, newest first; one ended; all ended", func(t *testing.T) {
		w := begin(t)
		a1, _ := w.login()
		first := w.fam
		w.fam = tokens.NewSessionID()
		a2, _ := w.login()
		list, err := w.store.Sessions(t.Context(), w.tag)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.False(t, list[0].Created.Before(list[1].Created))
		ended, err := w.store.EndSession(t.Context(), w.tag, first)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, w.alive(a1))
		require.True(t, w.alive(a2))
		list, err = w.store.Sessions(t.Context(), w.tag)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, w.fam, list[0].ID)
		require.NoError(t, w.store.EndUser(t.Context(), w.tag))
		require.False(t, w.alive(a2))
		list, err = w.store.Sessions(t.Context(), w.tag)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

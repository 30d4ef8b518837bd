package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// testLogins: what a login stores, and when it stores nothing.
func testLogins(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("a session comes back as it was stored", func(t *testing.T) {
		d := begin(t)
		access, refresh := d.login()
		r, err := d.store.Load(t.Context(), access)
		require.NoError(t, err)
		require.Equal(t, "u-1", r.Subject)
		require.Equal(t, "ada", r.Username)
		require.Equal(t, client, r.ClientID)
		require.Equal(t, clientEpoch, r.ClientEpoch)
		require.Equal(t, "orders:read", r.Scope)
		require.Equal(t, d.session, r.Session)
		f, err := d.store.Session(t.Context(), refresh)
		require.NoError(t, err)
		require.Equal(t, "orders:read orders:write", f.Scope)
		require.Equal(t, [16]byte{1}, f.Credential)
		require.Equal(t, address, f.Address)
		require.WithinDuration(t, time.Now().Add(time.Hour), f.Expires, 5*time.Second)
		require.WithinDuration(t, time.Now(), f.Created, 5*time.Second)
	})
	t.Run("a login that races a logout everywhere leaves nothing active", func(t *testing.T) {
		d := begin(t)
		require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		_, access := d.codec.NewUserAccess(d.tag, d.session)
		l := &tokens.SessionStart{Access: access, Record: userRecord(), IdleTTL: time.Minute, MaxTTL: time.Hour, EpochTTL: time.Hour,
			Session: tokens.Session{Tag: d.tag, ID: d.session, ClientID: client, UserEpoch: d.epoch}}
		var g *tokens.GrantError
		_, err := d.store.StartSession(t.Context(), l)
		require.ErrorAs(t, err, &g)
		_, err = d.store.UserEpoch(t.Context(), d.tag, time.Hour)
		require.NoError(t, err)
		_, err = d.store.StartSession(t.Context(), l)
		require.ErrorAs(t, err, &g, "nor under an epoch that came after")
		require.False(t, d.active(access))
	})
}

// testRaces: many at once, on two nodes.
func testRaces(t *testing.T, open func(t *testing.T) func() tokens.Store) {
	t.Helper()
	begin := func(t *testing.T) *device { return newDevice(t, open(t)()) }
	t.Run("RT-16 V-01 S-53 sixty-four uses at once on two nodes: one rotation, one and the same response, one session", func(t *testing.T) {
		node := open(t)
		a, b := newDevice(t, node()), node()
		_, now := a.login()
		for range 10 {
			now = a.useAtOnce(b, now)
		}
		require.True(t, a.hasSession(now))
	})
	t.Run("RV-17 a revocation that races sixteen refreshes leaves nothing active", func(t *testing.T) {
		d := begin(t)
		for range 16 {
			d.session = tokens.NewSessionID()
			a0, r0 := d.login()
			access := []tokens.Token{a0}
			var wg sync.WaitGroup
			for range 16 {
				r := d.rotation(r0)
				access = append(access, r.Access)
				wg.Go(func() { _, _ = d.store.Rotate(t.Context(), r) })
			}
			wg.Go(func() {
				_, err := d.store.Revoke(t.Context(), r0, client)
				require.NoError(t, err)
			})
			wg.Wait()
			for _, a := range access {
				require.False(t, d.active(a))
			}
			require.False(t, d.hasSession(r0))
		}
	})
}

// useAtOnce uses a refresh token 64 times at once, half of them on another node. One use rotates,
// the others get the one response that it made. It returns the new refresh token.
func (d *device) useAtOnce(other tokens.Store, old tokens.Token) tokens.Token {
	d.t.Helper()
	var mu sync.Mutex
	responses, own := map[string]int{}, 0
	var winner *tokens.Rotation
	var wg sync.WaitGroup
	for i := range 64 {
		s := []tokens.Store{d.store, other}[i%2]
		r := d.rotation(old)
		wg.Go(func() {
			out, err := s.Rotate(d.t.Context(), r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				responses["error "+err.Error()]++
			case out.RetryResponse == nil:
				own, winner = own+1, r
			default:
				responses[string(out.RetryResponse)]++
			}
		})
	}
	wg.Wait()
	require.Equal(d.t, 1, own)
	require.Equal(d.t, map[string]int{string(winner.RetryResponse): 63}, responses)
	return winner.New
}

// testEnds: revocation and sessions.
func testEnds(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("RT-10 RV-10 RV-11 RV-13 revoking any refresh token of the session ends it, for its own client alone", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		first := d.rotation(r0)
		d.rotate(first)
		ended, err := d.store.Revoke(t.Context(), r0, "other")
		require.NoError(t, err)
		require.False(t, ended)
		require.True(t, d.active(a0))
		ended, err = d.store.Revoke(t.Context(), r0, client)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, d.active(a0))
		d.refused(d.rotation(first.New), tokens.ReasonNoSession)
	})
	t.Run("RV-12 revoking an access token leaves the refresh token active; another client's try has no effect", func(t *testing.T) {
		d := begin(t)
		a0, r0 := d.login()
		ended, err := d.store.Revoke(t.Context(), a0, "other")
		require.NoError(t, err)
		require.False(t, ended)
		ended, err = d.store.Revoke(t.Context(), a0, client)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, d.active(a0))
		d.rotate(d.rotation(r0))
	})
	t.Run("sessions: listed, newest first; one ended; all ended", func(t *testing.T) {
		d := begin(t)
		a1, _ := d.login()
		first := d.session
		d.session = tokens.NewSessionID()
		a2, _ := d.login()
		list, err := d.store.Sessions(t.Context(), d.tag)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.False(t, list[0].Created.Before(list[1].Created))
		ended, err := d.store.EndSession(t.Context(), d.tag, first)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, d.active(a1))
		require.True(t, d.active(a2))
		list, err = d.store.Sessions(t.Context(), d.tag)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, d.session, list[0].ID)
		require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		require.False(t, d.active(a2))
		list, err = d.store.Sessions(t.Context(), d.tag)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// world is a log-in in progress: a store, the codec of its key, and the client's side of a family.
type world struct {
	t     *testing.T
	store tokens.Store
	codec *tokens.Codec
	tag   tokens.Tag
	fam   tokens.FamilyID
	epoch tokens.Epoch
}

const (
	client  = "demo-app"
	address = "203.0.113.0/24"
)

var clientEpoch = tokens.Epoch{4, 2}

func newWorld(t *testing.T, s tokens.Store) *world {
	t.Helper()
	key, err := s.ServerKey(t.Context())
	require.NoError(t, err)
	w := &world{t: t, store: s, codec: tokens.NewCodec(key), fam: tokens.NewFamilyID()}
	w.tag = w.codec.Tag(fmt.Sprintf("u-%s-%x", t.Name(), w.fam))
	w.epoch, err = s.UserEpoch(t.Context(), w.tag, time.Hour)
	require.NoError(t, err)
	return w
}

func userRecord() *tokens.Record {
	return &tokens.Record{Scope: "orders:read", Audience: []string{"https://orders.example.com"},
		IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute}
}

// login stores a family and returns its first tokens.
func (w *world) login(change ...func(*tokens.Login)) (access, refresh tokens.Token) {
	w.t.Helper()
	_, access = w.codec.NewUserAccess(w.tag, w.fam)
	_, refresh = w.codec.NewRefresh(w.tag, w.fam, 0)
	l := &tokens.Login{Refresh: refresh, Access: access, Record: userRecord(), Idle: 30 * time.Minute, Max: time.Hour, EpochLife: 2 * time.Hour,
		Family: tokens.Family{Tag: w.tag, ID: w.fam, ClientID: client, ClientEpoch: clientEpoch, UserEpoch: w.epoch, Subject: "u-1", Username: "ada",
			Scope: "orders:read orders:write", Audience: []string{"https://orders.example.com"}, Credential: [16]byte{1}, Address: address}}
	for _, c := range change {
		c(l)
	}
	require.NoError(w.t, w.store.Login(w.t.Context(), l))
	return access, refresh
}

// rotation prepares a use of a refresh token.
func (w *world) rotation(old tokens.Token, change ...func(*tokens.Rotation)) *tokens.Rotation {
	_, next := w.codec.NewRefresh(w.tag, w.fam, old.Generation+1)
	_, access := w.codec.NewUserAccess(w.tag, w.fam)
	r := &tokens.Rotation{Old: old, New: next, ClientID: client, ClientEpoch: clientEpoch, Idle: 30 * time.Minute, Window: 10 * time.Second,
		Access: access, Record: userRecord(), Box: []byte("sealed" + string(access.Hash[:])), Address: address}
	for _, c := range change {
		c(r)
	}
	return r
}

func (w *world) rotate(r *tokens.Rotation) *tokens.Rotated {
	w.t.Helper()
	out, err := w.store.Rotate(w.t.Context(), r)
	require.NoError(w.t, err)
	return out
}

func (w *world) refused(r *tokens.Rotation, why tokens.Reason) {
	w.t.Helper()
	_, err := w.store.Rotate(w.t.Context(), r)
	var g *tokens.GrantError
	require.ErrorAs(w.t, err, &g)
	require.Equal(w.t, why, g.Reason)
}

func (w *world) alive(access tokens.Token) bool {
	w.t.Helper()
	_, err := w.store.Load(w.t.Context(), access)
	if err != nil {
		require.ErrorIs(w.t, err, tokens.ErrNotFound)
	}
	return err == nil
}

func (w *world) family(any tokens.Token) bool {
	w.t.Helper()
	_, err := w.store.Family(w.t.Context(), any)
	if err != nil {
		require.ErrorIs(w.t, err, tokens.ErrNotFound)
	}
	return err == nil
}

// RunFamilies runs the suite of users' families; see Run.
func RunFamilies(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	begin := func(t *testing.T) *world { return newWorld(t, open(t)()) }
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
		require.Equal(t, w.fam, r.Family)
		f, err := w.store.Family(t.Context(), refresh)
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
		l := &tokens.Login{Access: access, Record: userRecord(), Idle: time.Minute, Max: time.Hour, EpochLife: time.Hour,
			Family: tokens.Family{Tag: w.tag, ID: w.fam, ClientID: client, UserEpoch: w.epoch}}
		var g *tokens.GrantError
		require.ErrorAs(t, w.store.Login(t.Context(), l), &g)
		_, err := w.store.UserEpoch(t.Context(), w.tag, time.Hour)
		require.NoError(t, err)
		require.ErrorAs(t, w.store.Login(t.Context(), l), &g, "nor under an epoch that came after")
		require.False(t, w.alive(access))
	})
	t.Run("RT-01 RT-11 rotation: the new pair works, the old access token lives on", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		r := w.rotation(r0)
		out := w.rotate(r)
		require.Nil(t, out.Box)
		require.InDelta(t, time.Minute, out.Left, float64(time.Second))
		require.True(t, w.alive(a0))
		require.True(t, w.alive(r.Access))
		require.Nil(t, w.rotate(w.rotation(r.New)).Box)
	})
	t.Run("row 1: no family", func(t *testing.T) {
		w := begin(t)
		_, tok := w.codec.NewRefresh(w.tag, w.fam, 0)
		w.refused(w.rotation(tok), tokens.ReasonNoFamily)
	})
	t.Run("row 2: RT-07 RT-08 V-05 another client's token, without effect", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientID = "other" }), tokens.ReasonOtherClient)
		w.rotate(w.rotation(r0))
	})
	t.Run("row 3: the client's epoch changed: family ended", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login()
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.ClientEpoch = tokens.Epoch{9} }), tokens.ReasonEnded)
		require.False(t, w.alive(a0))
		w.refused(w.rotation(r0), tokens.ReasonNoFamily)
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
			_, err := w.store.Rotate(t.Context(), w.rotation(r0, func(r *tokens.Rotation) { r.Idle, r.ClientID = 50*time.Millisecond, client }))
			return err != nil
		}, 3*time.Second, 60*time.Millisecond)
	})
	t.Run("row 3: RT-17 absolute expiry; no access token outlives it", func(t *testing.T) {
		w := begin(t)
		a0, r0 := w.login(func(l *tokens.Login) { l.Max = 1500 * time.Millisecond })
		r := w.rotation(r0)
		require.LessOrEqual(t, w.rotate(r).Left, 1500*time.Millisecond)
		require.Eventually(t, func() bool { return !w.alive(a0) && !w.alive(r.Access) }, 4*time.Second, 20*time.Millisecond)
	})
	t.Run("row 4: a call executed twice by the network layer succeeds twice", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		r := w.rotation(r0)
		for range 3 {
			require.Nil(t, w.rotate(r).Box)
		}
		require.True(t, w.alive(r.Access))
		w.rotate(w.rotation(r.New))
	})
	t.Run("row 6: RT-19 a retry gets the stored box and writes nothing", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		again := w.rotation(r0)
		out := w.rotate(again)
		require.Equal(t, first.Box, out.Box)
		require.False(t, out.Own)
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
	t.Run("row 6: another scope on a retry: a new access token, at most eight, the same refresh token", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		first := w.rotation(r0)
		w.rotate(first)
		for i := range 8 {
			other := w.rotation(r0, func(r *tokens.Rotation) { r.Ask = [16]byte{byte(i + 1)} })
			out := w.rotate(other)
			require.True(t, out.Own)
			require.Equal(t, first.Box, out.Box)
			require.True(t, w.alive(other.Access))
		}
		w.refused(w.rotation(r0, func(r *tokens.Rotation) { r.Ask = [16]byte{99} }), tokens.ReasonTooManyAsks)
		w.rotate(w.rotation(first.New))
	})
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
		w.refused(w.rotation(second.New), tokens.ReasonNoFamily)
		for _, a := range []tokens.Token{a0, first.Access, second.Access} {
			require.False(t, w.alive(a))
		}
	})
	t.Run("row 8: RT-12 a replay after the window ends the family", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.rotate(w.rotation(r0, func(r *tokens.Rotation) { r.Window = 20 * time.Millisecond }))
		require.Eventually(t, func() bool {
			_, err := w.store.Rotate(t.Context(), w.rotation(r0))
			return err != nil
		}, 3*time.Second, 30*time.Millisecond)
		require.False(t, w.family(r0))
	})
	t.Run("row 8: retry_window 0 is strict from the start", func(t *testing.T) {
		w := begin(t)
		_, r0 := w.login()
		w.rotate(w.rotation(r0, func(r *tokens.Rotation) { r.Window = 0 }))
		w.refused(w.rotation(r0), tokens.ReasonReuse)
	})
	t.Run("retries from another address in three generations in a row make the family strict", func(t *testing.T) {
		w := begin(t)
		_, now := w.login()
		elsewhere := func(r *tokens.Rotation) { r.Address = "198.51.100.0/24" }
		for i := range 3 {
			first := w.rotation(now)
			w.rotate(first)
			require.Equal(t, i == 2, w.rotate(w.rotation(now, elsewhere)).Suspicious)
			now = first.New
		}
		w.rotate(w.rotation(now))
		w.refused(w.rotation(now), tokens.ReasonReuse)
	})
	t.Run("a generation without such a retry begins the count anew", func(t *testing.T) {
		w := begin(t)
		_, now := w.login()
		elsewhere := func(r *tokens.Rotation) { r.Address = "198.51.100.0/24" }
		for i := range 7 {
			first := w.rotation(now)
			w.rotate(first)
			if i%3 != 2 {
				require.False(t, w.rotate(w.rotation(now, elsewhere)).Suspicious)
			}
			now = first.New
		}
		w.rotate(w.rotation(now))
		require.NotNil(t, w.rotate(w.rotation(now)).Box, "retries are forgiven still")
	})
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
					if out.Box == nil {
						own, winner = own+1, r
						return
					}
					boxes[string(out.Box)]++
				})
			}
			wg.Wait()
			require.Equal(t, 1, own)
			require.Equal(t, map[string]int{string(winner.Box): 63}, boxes)
			now = winner.New
		}
		require.True(t, a.family(now))
	})
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
		w.refused(w.rotation(first.New), tokens.ReasonNoFamily)
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
	t.Run("RV-17 a revocation that races sixteen refreshes leaves nothing alive", func(t *testing.T) {
		w := begin(t)
		for range 16 {
			w.fam = tokens.NewFamilyID()
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
	t.Run("sessions: listed, newest first; one ended; all ended", func(t *testing.T) {
		w := begin(t)
		a1, _ := w.login()
		first := w.fam
		w.fam = tokens.NewFamilyID()
		a2, _ := w.login()
		list, err := w.store.Families(t.Context(), w.tag)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.False(t, list[0].Created.Before(list[1].Created))
		ended, err := w.store.EndFamily(t.Context(), w.tag, first)
		require.NoError(t, err)
		require.True(t, ended)
		require.False(t, w.alive(a1))
		require.True(t, w.alive(a2))
		list, err = w.store.Families(t.Context(), w.tag)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, w.fam, list[0].ID)
		require.NoError(t, w.store.EndUser(t.Context(), w.tag))
		require.False(t, w.alive(a2))
		list, err = w.store.Families(t.Context(), w.tag)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

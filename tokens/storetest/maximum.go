package storetest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// testDeviceNames: the name of a device comes back, after a rotation too.
func testDeviceNames(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("the name of a device stays with its session", func(t *testing.T) {
		for _, name := range []string{"", "Ada's phone", "\U0001f4f1 電話", strings.Repeat("\U0001f4f1", 64)} {
			d := begin(t)
			_, r0 := d.login(func(l *tokens.SessionStart) { l.Session.Device = name })
			d.rotate(d.rotation(r0))
			list, err := d.store.Sessions(t.Context(), d.tag)
			require.NoError(t, err)
			require.Equal(t, name, list[0].Device)
			require.Equal(t, "orders:read orders:write", list[0].Scope, "the scope is what it was")
		}
	})
}

// testMaximum: a user has no more sessions than the maximum.
func testMaximum(t *testing.T, open func(t *testing.T) func() tokens.Store) {
	t.Helper()
	begin := func(t *testing.T) *device { return newDevice(t, open(t)()) }
	t.Run("a login within the maximum names none; without a maximum none is named", func(t *testing.T) {
		d := begin(t)
		for range 3 {
			require.Empty(t, d.another(3, time.Hour))
		}
		require.Empty(t, d.another(0, time.Hour))
		require.Empty(t, d.another(-1, time.Hour))
	})
	t.Run("a login beyond the maximum names the least recently used, and ends none itself", func(t *testing.T) {
		d := begin(t)
		_, r0 := d.login()
		first := d.session
		require.Empty(t, d.another(2, time.Hour))
		second := d.session
		time.Sleep(2 * time.Millisecond) // of the store's clock, which has milliseconds
		d.session = first
		d.rotate(d.rotation(r0))
		require.Equal(t, []tokens.SessionID{second}, d.another(2, time.Hour), "the first was used since")
		require.Len(t, d.sessions(), 3)
	})
	t.Run("a maximum that was lowered names all that are beyond, the oldest first", func(t *testing.T) {
		d := begin(t)
		var all []tokens.SessionID
		for range 5 {
			d.another(0, time.Hour)
			all = append(all, d.session)
			time.Sleep(2 * time.Millisecond)
		}
		require.Equal(t, all[:4], d.another(2, time.Hour))
	})
	t.Run("far too many sessions: a login names a hundred, and leaves the maximum", func(t *testing.T) {
		d := begin(t)
		for range 120 {
			d.another(0, time.Hour)
		}
		named := d.another(5, time.Hour)
		require.Len(t, named, 100)
		for _, id := range named {
			_, err := d.store.EndSession(t.Context(), d.tag, id)
			require.NoError(t, err)
		}
		require.Len(t, d.another(5, time.Hour), 17)
	})
	testUncounted(t, begin)
	testMaximumAtOnce(t, open)
}

// testUncounted: what does not count to the maximum.
func testUncounted(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	t.Run("the sessions of another user and those before a logout do not count", func(t *testing.T) {
		d := begin(t)
		d.another(0, time.Hour)
		d.another(0, time.Hour)
		require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		var err error
		d.epoch, err = d.store.UserEpoch(t.Context(), d.tag, time.Hour)
		require.NoError(t, err)
		require.Empty(t, d.another(1, time.Hour))
		other := newDevice(t, d.store)
		require.Empty(t, other.another(1, time.Hour))
	})
	t.Run("sessions that were idle for too long do not count", func(t *testing.T) {
		d := begin(t)
		for range 2 {
			d.another(0, 20*time.Millisecond)
		}
		require.Eventually(t, func() bool { return len(d.sessions()) == 0 }, 4*time.Second, 10*time.Millisecond)
		require.Empty(t, d.another(1, time.Hour))
	})
}

func testMaximumAtOnce(t *testing.T, open func(t *testing.T) func() tokens.Store) {
	t.Helper()
	t.Run("logins at once on two nodes leave as many sessions as the maximum", func(t *testing.T) {
		node := open(t)
		a := newDevice(t, node())
		stores := []tokens.Store{a.store, node()}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				mine := *a
				mine.store = stores[i%2]
				for _, id := range mine.another(5, time.Hour) {
					_, err := mine.store.EndSession(t.Context(), mine.tag, id)
					mu.Lock()
					require.NoError(t, err)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		require.Len(t, a.sessions(), 5)
	})
}

// another logs the user in once more, and returns which sessions are beyond the maximum.
func (d *device) another(maximum int, idle time.Duration) []tokens.SessionID {
	d.session = tokens.NewSessionID()
	record := userRecord()
	record.TTL = min(record.TTL, max(idle, time.Second))
	_, access := d.codec.NewUserAccess(d.tag, d.session)
	_, refresh := d.codec.NewRefresh(d.tag, d.session, 0)
	beyond, err := d.store.StartSession(d.t.Context(), &tokens.SessionStart{Refresh: refresh, Access: access, Record: record,
		IdleTTL: idle, MaxTTL: time.Hour, EpochTTL: 2 * time.Hour, Maximum: maximum,
		Session: tokens.Session{Tag: d.tag, ID: d.session, ClientID: client, ClientEpoch: clientEpoch, UserEpoch: d.epoch,
			Subject: "u-1", Username: "ada", Scope: "orders:read"}})
	if err != nil {
		d.t.Error(err)
	}
	return beyond
}

// sessions returns the ids of the user's sessions, the oldest first.
func (d *device) sessions() (ids []tokens.SessionID) {
	list, err := d.store.Sessions(d.t.Context(), d.tag)
	require.NoError(d.t, err)
	for _, f := range list {
		ids = append(ids, f.ID)
	}
	slices.Reverse(ids)
	return ids
}

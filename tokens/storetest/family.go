package storetest

import (
	"fmt"
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
	fam   tokens.SessionID
	epoch tokens.Epoch
}

const (
	client  = "demo-app"
	address = "203.0.113.0/24"
)

var clientEpoch = tokens.Epoch{4, 2}

func newWorld(t *testing.T, s tokens.Store) *world {
	t.Helper()
	key, err := tokens.ClaimServerKey(t.Context(), s, 0)
	require.NoError(t, err)
	w := &world{t: t, store: s, codec: tokens.NewCodec(key), fam: tokens.NewSessionID()}
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
func (w *world) login(change ...func(*tokens.SessionStart)) (access, refresh tokens.Token) {
	w.t.Helper()
	_, access = w.codec.NewUserAccess(w.tag, w.fam)
	_, refresh = w.codec.NewRefresh(w.tag, w.fam, 0)
	l := &tokens.SessionStart{Refresh: refresh, Access: access, Record: userRecord(), IdleTTL: 30 * time.Minute, MaxTTL: time.Hour, EpochTTL: 2 * time.Hour,
		Session: tokens.Session{Tag: w.tag, ID: w.fam, ClientID: client, ClientEpoch: clientEpoch, UserEpoch: w.epoch, Subject: "u-1", Username: "ada",
			Scope: "orders:read orders:write", Audience: []string{"https://orders.example.com"}, Credential: [16]byte{1}, Address: address}}
	for _, c := range change {
		c(l)
	}
	require.NoError(w.t, w.store.StartSession(w.t.Context(), l))
	return access, refresh
}

// rotation prepares a use of a refresh token.
func (w *world) rotation(old tokens.Token, change ...func(*tokens.Rotation)) *tokens.Rotation {
	_, next := w.codec.NewRefresh(w.tag, w.fam, old.Generation+1)
	_, access := w.codec.NewUserAccess(w.tag, w.fam)
	r := &tokens.Rotation{Old: old, New: next, ClientID: client, ClientEpoch: clientEpoch, IdleTTL: 30 * time.Minute, RetryWindow: 10 * time.Second,
		Access: access, Record: userRecord(), RetryResponse: []byte("sealed" + string(access.Hash[:])), Address: address}
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
	_, err := w.store.Session(w.t.Context(), any)
	if err != nil {
		require.ErrorIs(w.t, err, tokens.ErrNotFound)
	}
	return err == nil
}

// RunFamilies runs the suite of users' families; see Run.
func RunFamilies(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	begin := func(t *testing.T) *world { return newWorld(t, open(t)()) }
	testLogins(t, begin)
	testRotations(t, begin)
	testRetries(t, begin)
	testReuses(t, begin)
	testRaces(t, open)
	testEnds(t, begin)
}

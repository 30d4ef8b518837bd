package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// device is the client's side of a session, with the store and the codec of its key.
type device struct {
	t       *testing.T
	store   tokens.Store
	codec   *tokens.Codec
	tag     tokens.Tag
	session tokens.SessionID
	epoch   tokens.Epoch
}

const (
	client  = "demo-app"
	address = "203.0.113.0/24"
)

var clientEpoch = tokens.Epoch{4, 2}

func newDevice(t *testing.T, s tokens.Store) *device {
	t.Helper()
	key, err := tokens.ClaimServerKey(t.Context(), s, 0)
	require.NoError(t, err)
	d := &device{t: t, store: s, codec: tokens.NewCodec(key), session: tokens.NewSessionID()}
	d.tag = d.codec.Tag(fmt.Sprintf("u-%s-%x", t.Name(), d.session))
	d.epoch, err = s.UserEpoch(t.Context(), d.tag, time.Hour)
	require.NoError(t, err)
	return d
}

func userRecord() *tokens.Record {
	return &tokens.Record{Scope: "orders:read", Audience: []string{"https://orders.example.com"},
		IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute}
}

// login stores a session and returns its first tokens.
func (d *device) login(change ...func(*tokens.SessionStart)) (access, refresh tokens.Token) {
	d.t.Helper()
	_, access = d.codec.NewUserAccess(d.tag, d.session)
	_, refresh = d.codec.NewRefresh(d.tag, d.session, 0)
	l := &tokens.SessionStart{Refresh: refresh, Access: access, Record: userRecord(),
		IdleTTL: 30 * time.Minute, MaxTTL: time.Hour, EpochTTL: 2 * time.Hour,
		Session: tokens.Session{Tag: d.tag, ID: d.session, ClientID: client, ClientEpoch: clientEpoch, UserEpoch: d.epoch,
			Subject: "u-1", Username: "ada", Scope: "orders:read orders:write", Audience: []string{"https://orders.example.com"},
			Credential: [16]byte{1}, Address: address}}
	for _, c := range change {
		c(l)
	}
	_, err := d.store.StartSession(d.t.Context(), l)
	require.NoError(d.t, err)
	return access, refresh
}

// rotation prepares a use of a refresh token.
func (d *device) rotation(old tokens.Token, change ...func(*tokens.Rotation)) *tokens.Rotation {
	_, next := d.codec.NewRefresh(d.tag, d.session, old.Generation+1)
	_, access := d.codec.NewUserAccess(d.tag, d.session)
	r := &tokens.Rotation{Old: old, New: next, ClientID: client, ClientEpoch: clientEpoch,
		IdleTTL: 30 * time.Minute, RetryWindow: 10 * time.Second, Access: access, Record: userRecord(),
		RetryResponse: []byte("sealed" + string(access.Hash[:])), Address: address}
	for _, c := range change {
		c(r)
	}
	return r
}

func (d *device) rotate(r *tokens.Rotation) *tokens.Rotated {
	d.t.Helper()
	out, err := d.store.Rotate(d.t.Context(), r)
	require.NoError(d.t, err)
	return out
}

func (d *device) refused(r *tokens.Rotation, why tokens.Reason) {
	d.t.Helper()
	_, err := d.store.Rotate(d.t.Context(), r)
	var g *tokens.GrantError
	require.ErrorAs(d.t, err, &g)
	require.Equal(d.t, why, g.Reason)
}

func (d *device) active(access tokens.Token) bool {
	d.t.Helper()
	_, err := d.store.Load(d.t.Context(), access)
	if err != nil {
		require.ErrorIs(d.t, err, tokens.ErrNotFound)
	}
	return err == nil
}

func (d *device) hasSession(tok tokens.Token) bool {
	d.t.Helper()
	_, err := d.store.Session(d.t.Context(), tok)
	if err != nil {
		require.ErrorIs(d.t, err, tokens.ErrNotFound)
	}
	return err == nil
}

// RunSessions runs the suite of users' sessions; see Run.
func RunSessions(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	begin := func(t *testing.T) *device { return newDevice(t, open(t)()) }
	testLogins(t, begin)
	testRotations(t, begin)
	testOtherClient(t, begin)
	testEpochChange(t, begin)
	testSessionExpiry(t, begin)
	testRetries(t, begin)
	testReuses(t, begin)
	testBoundSessions(t, begin)
	testRaces(t, open)
	testEnds(t, begin)
	testWhatIsGone(t, begin)
	testDeviceNames(t, begin)
	testMaximum(t, open)
}

// testWhatIsGone: ErrNotFound says what is missing.
func testWhatIsGone(t *testing.T, begin func(t *testing.T) *device) {
	t.Helper()
	for _, c := range []struct {
		name            string
		end             func(t *testing.T, d *device, access tokens.Token)
		access, session error
	}{
		{"an access token was revoked", func(t *testing.T, d *device, access tokens.Token) {
			ended, err := d.store.Revoke(t.Context(), access, client)
			require.NoError(t, err)
			require.True(t, ended)
		}, tokens.ErrRecordGone, nil},
		{"a session was ended", func(t *testing.T, d *device, _ tokens.Token) {
			_, err := d.store.EndSession(t.Context(), d.tag, d.session)
			require.NoError(t, err)
		}, tokens.ErrSessionGone, tokens.ErrSessionGone},
		{"every session of the user was ended", func(t *testing.T, d *device, _ tokens.Token) {
			require.NoError(t, d.store.EndUser(t.Context(), d.tag))
		}, tokens.ErrUserEnded, tokens.ErrUserEnded},
	} {
		t.Run(c.name+", and the store says so", func(t *testing.T) {
			d := begin(t)
			access, refresh := d.login()
			c.end(t, d, access)
			_, err := d.store.Load(t.Context(), access)
			require.ErrorIs(t, err, c.access)
			_, err = d.store.Session(t.Context(), refresh)
			require.ErrorIs(t, err, c.session)
		})
	}
}

package server

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// namesOf returns the names of ada's only session, by what the store keeps.
func (f *fixture) namesOf(t *testing.T, client string) (sid string, rev []any) {
	t.Helper()
	tag := f.server.codec.Tag("u-1")
	list, err := f.store.Sessions(t.Context(), tag)
	require.NoError(t, err)
	require.Len(t, list, 1)
	c := f.clientNamed(client)
	found, err := f.server.cfg.Clients.Get(t.Context(), c.ID)
	require.NoError(t, err)
	return feed.Session(list[0].ID), []any{feed.User(list[0].UserEpoch), feed.Client(found.Epoch, found.Edition)}
}

func TestNamesOfUsersTokens(t *testing.T) {
	f, _ := startPeople(t, withKeys(t))
	r := f.login(t, "")
	sid, rev := f.namesOf(t, "mobile")
	t.Run("the JWT of a login names its session, its user's epoch and its client", func(t *testing.T) {
		_, claims := parts(t, r.text("access_token"))
		require.Equal(t, sid, claims["sid"])
		require.Equal(t, rev, claims["rev"])
	})
	t.Run("introspection says the same, signed too (RFC 9701 §5)", func(t *testing.T) {
		plain := f.inspect(t, r.text("access_token"))
		require.Equal(t, []any{sid, rev}, []any{plain.json["sid"], plain.json["rev"]})
		signed := f.post(t, intP, "gateway:rs", "token="+r.text("access_token"), "Accept: "+mediaIntrospection)
		_, claims := parts(t, signed.body)
		within := claims["token_introspection"].(map[string]any)
		require.Equal(t, []any{sid, rev}, []any{within["sid"], within["rev"]})
	})
	t.Run("a refresh token has no names: nobody may keep what is said of it", func(t *testing.T) {
		refresh := f.post(t, intP, "web:s", "token="+r.text("refresh_token"))
		require.Equal(t, dead, refresh.body)
		own := f.post(t, tokP, "web:s", "grant_type=password&username=ada&password="+url.QueryEscape(adaPassword))
		shown := f.post(t, intP, "web:s", "follow=true&token="+own.text("refresh_token"))
		require.Equal(t, true, shown.json["active"])
		for _, member := range []string{"sid", "rev", "position"} {
			require.NotContains(t, shown.json, member)
		}
	})
	t.Run("the JWT of each refresh has the names of its session, whether the node remembers the session or not", func(t *testing.T) {
		next := r
		for range 3 {
			next = f.refresh(t, next.text("refresh_token"))
			_, claims := parts(t, next.text("access_token"))
			require.Equal(t, []any{sid, rev}, []any{claims["sid"], claims["rev"]})
		}
	})
}

// TestBytesOfNames says what names add to a JWT: base64 of their members.
func TestBytesOfNames(t *testing.T) {
	epoch := tokens.Epoch{1}
	user := feedNames{feed.Session(tokens.SessionID{}), []string{feed.User(epoch), feed.Client(epoch, epoch)}}
	machine := feedNames{rev: []string{feed.Client(epoch, epoch)}}
	added := func(n feedNames) int { return (len(n.members(newAnswer().Text("a", "b"))) - len(`{"a":"b"`)) * 4 / 3 }
	require.Equal(t, 74, added(user))
	require.Equal(t, 29, added(machine))
}

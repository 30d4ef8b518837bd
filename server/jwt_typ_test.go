package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
)

func TestJWTTyp(t *testing.T) {
	const legacyResource = "https://legacy.example.com"
	catalogue, err := scopes.NewCatalogue(map[string]scopes.Scope{
		"orders:read": {Resource: ordersResource}, "plain": {},
		"legacy:read":  {Resource: legacyResource, JWTTyp: scopes.TypJWT},
		"legacy:write": {Resource: legacyResource},
	})
	require.NoError(t, err)
	f, _ := startPeople(t, withKeys(t), func(c *Config) { c.Catalogue = catalogue })
	machine := []string{clients.GrantClientCredentials}
	all := rules("orders:read plain legacy:*")
	for _, r := range []clients.Registration{{ID: "usual"}, {ID: "lagging", JWTTyp: scopes.TypJWT}, {ID: "exact", JWTTyp: scopes.TypAccess}} {
		r.Secrets, r.Grants = secrets("s"), machine
		c := &clients.Client{Registration: r, Scope: all}
		require.NoError(t, c.Check(catalogue))
		f.clients = append(f.clients, c)
	}
	issue := func(t *testing.T, client, scope string) string {
		t.Helper()
		r := f.post(t, tokP, client+":s", ask+"&scope="+scope)
		require.Equal(t, 200, r.status, r.body)
		return r.text("access_token")
	}
	for _, c := range []struct{ name, client, scope, typ string }{
		{"AT-05 RFC 9068 §2.1 at+jwt where nobody says otherwise", "usual", "orders:read", "at+jwt"},
		{"AT-05 RFC 9068 §2.1 at+jwt without a resource", "usual", "plain", "at+jwt"},
		{"AT-22 the resource wants it", "usual", "legacy:read", "JWT"},
		{"AT-22 any scope of the resource", "usual", "legacy:write", "JWT"},
		{"AT-22 an API that does not want it gets at+jwt, beside others too", "usual", "legacy:read+orders:read", "at+jwt"},
		{"AT-22 the client wants it", "lagging", "orders:read", "JWT"},
		{"AT-22 the client's word goes first", "exact", "legacy:read", "at+jwt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := issue(t, c.client, c.scope)
			header, _ := parts(t, token)
			require.Equal(t, c.typ, header["typ"])
			require.Equal(t, true, f.inspect(t, token).json["active"])
			require.Equal(t, 200, f.post(t, revP, c.client+":s", "token="+token).status)
			require.Equal(t, dead, f.inspect(t, token).body, "AT-20 and it can be revoked")
		})
	}
	t.Run("AT-22 RFC 8725 §3.11 our verifier takes the type only where it is told to", func(t *testing.T) {
		token := issue(t, "usual", "legacy:read")
		for accepts, want := range map[bool]error{false: middleware.ErrInvalidToken, true: nil} {
			v, err := middleware.NewJWT(middleware.JWTConfig{Issuer: f.URL, Audience: legacyResource, AcceptTypJWT: accepts})
			require.NoError(t, err)
			_, err = v.Verify(t.Context(), token)
			require.ErrorIs(t, err, want)
			v.Close()
		}
	})
	t.Run("AT-22 AT-15 JI-07 with the option an introspection response is still no access token", func(t *testing.T) {
		signed := f.post(t, intP, "gateway:rs", "token="+issue(t, "usual", "orders:read"), "Accept: application/token-introspection+jwt")
		v, err := middleware.NewJWT(middleware.JWTConfig{Issuer: f.URL, Audience: "gateway", AcceptTypJWT: true})
		require.NoError(t, err)
		defer v.Close()
		_, err = v.Verify(t.Context(), signed.body)
		require.ErrorIs(t, err, middleware.ErrInvalidToken)
		require.Equal(t, dead, f.inspect(t, signed.body).body)
	})
	t.Run("AT-22 what is no typ, or contradicts itself, is refused", func(t *testing.T) {
		require.ErrorContains(t, (&clients.Client{Registration: clients.Registration{ID: "c", Secrets: secrets("s"), JWTTyp: "jwt"}}).Check(catalogue), `"at+jwt" or "JWT"`)
		for _, table := range []map[string]scopes.Scope{
			{"a": {JWTTyp: scopes.TypJWT}}, {"a": {Resource: ordersResource, JWTTyp: "at+JWT"}},
			{"a": {Resource: ordersResource, JWTTyp: scopes.TypJWT}, "b": {Resource: ordersResource, JWTTyp: scopes.TypAccess}},
		} {
			_, err := scopes.NewCatalogue(table)
			var entry *scopes.EntryError
			require.ErrorAs(t, err, &entry)
			require.Equal(t, "jwt_typ", entry.Field)
		}
	})
}

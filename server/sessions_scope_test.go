package server

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
)

// startPhones is startPeople with clients that may have grantor:sessions.
func startPhones(t *testing.T, change ...func(*Config)) (*fixture, *people) {
	t.Helper()
	f, p := startPeople(t, change...)
	both := []string{clients.GrantPassword, clients.GrantRefreshToken}
	f.clients = append(f.clients,
		&clients.Client{Registration: clients.Registration{ID: "phone", Name: "Orders for phones", Method: clients.MethodNone, Grants: both}, Scope: rules("orders:* grantor:sessions"), DefaultScope: scopes.MustParse("orders:read")},
		&clients.Client{Registration: clients.Registration{ID: "mixed", Secrets: secrets("s"), Grants: append([]string{clients.GrantClientCredentials}, both...)}, Scope: rules("orders:* grantor:sessions grantor:admin"), DefaultScope: scopes.MustParse("orders:read")})
	for _, c := range f.clients {
		require.NoError(t, c.Check(testCatalogue()), c.ID)
	}
	f.reload(t)
	return f, p
}

// phone logs a user in at the client phone.
func (f *fixture) phone(t *testing.T, user, more string) reply {
	t.Helper()
	return f.post(t, tokP, "", "grant_type=password&client_id=phone&username="+user+"&password="+url.QueryEscape(adaPassword)+more)
}

func (f *fixture) refreshPhone(t *testing.T, token, more string) reply {
	t.Helper()
	return f.post(t, tokP, "", "grant_type=refresh_token&client_id=phone&refresh_token="+token+more)
}

const bothScopes = "&scope=orders:read+grantor:sessions"

func TestSessionsScope(t *testing.T) {
	for format, change := range map[string]func(*Config){"opaque": func(*Config) {}, "jwt": withKeys(t)} {
		t.Run(format, func(t *testing.T) {
			f, _ := startPhones(t, change)
			testSessionsToken(t, f)
			testSessionsRefusals(t, f)
		})
	}
}

func testSessionsToken(t *testing.T, f *fixture) {
	t.Helper()
	t.Run("RT-21 RFC 9700 §2.3 a login for it and others: the first access token carries the others alone", func(t *testing.T) {
		r := f.phone(t, "ada", bothScopes)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "orders:read", r.text("scope"))
		answer := f.inspect(t, r.text("access_token")).json
		require.Equal(t, "orders:read", answer["scope"])
		require.Equal(t, []any{ordersResource}, answer["aud"])

		t.Run("RT-21 RFC 6749 §6 a refresh for it gets it alone, and the session keeps its scope", func(t *testing.T) {
			own := f.refreshPhone(t, r.text("refresh_token"), "&scope=grantor:sessions")
			require.Equal(t, 200, own.status, own.body)
			require.Equal(t, "grantor:sessions", own.text("scope"))
			answer := f.inspect(t, own.text("access_token")).json
			require.Equal(t, "grantor:sessions", answer["scope"])
			require.Equal(t, []any{f.URL + "/oauth2/sessions"}, answer["aud"], "the audience of no API")
			require.Equal(t, `{"active":false}`, f.post(t, intP, "orders-api:rs", "token="+url.QueryEscape(own.text("access_token"))).body)

			next := f.refreshPhone(t, own.text("refresh_token"), "")
			require.Equal(t, "orders:read", next.text("scope"), "who names no scope gets the others")
			refused(t, f.refreshPhone(t, next.text("refresh_token"), bothScopes), 400, codeInvalidScope)
			require.Equal(t, 200, f.refreshPhone(t, next.text("refresh_token"), "&scope=grantor:sessions&resource="+url.QueryEscape(f.URL+"/oauth2/sessions")).status)
		})
	})
	t.Run("a login for it alone needs no scope of the user", func(t *testing.T) {
		r := f.phone(t, "nil", "&scope=grantor:sessions")
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "grantor:sessions", r.text("scope"))
		require.Equal(t, "grantor:sessions", f.refreshPhone(t, r.text("refresh_token"), "").text("scope"))
		refused(t, f.phone(t, "nil", bothScopes), 400, codeInvalidScope)
	})
}

func testSessionsRefusals(t *testing.T, f *fixture) {
	t.Helper()
	t.Run("§6 a session that was not granted it cannot get it", func(t *testing.T) {
		r := f.phone(t, "ada", "")
		require.Equal(t, "orders:read", r.text("scope"), "never by default")
		again := f.refreshPhone(t, r.text("refresh_token"), "&scope=grantor:sessions")
		refused(t, again, 400, codeInvalidScope)
		require.Contains(t, again.text("error_description"), "grantor:sessions was not granted at the login")
	})
	t.Run("RFC 8707 §2 it is not good for the resource of an API", func(t *testing.T) {
		refused(t, f.phone(t, "ada", "&scope=grantor:sessions&resource="+ordersResource), 400, codeInvalidTarget)
		r := f.phone(t, "ada", bothScopes)
		refused(t, f.refreshPhone(t, r.text("refresh_token"), "&scope=grantor:sessions&resource="+ordersResource), 400, codeInvalidTarget)
	})
	t.Run("a machine's token never has it", func(t *testing.T) {
		for _, scope := range []string{"grantor:sessions", "grantor:sessions+orders:read", "grantor:sessions+grantor:admin"} {
			r := f.post(t, tokP, "mixed:s", ask+"&scope="+scope)
			refused(t, r, 400, codeInvalidScope)
			require.Contains(t, r.text("error_description"), "grantor:sessions is for the tokens of users")
		}
	})
	t.Run("a user's token has no other scope over Grantor beside it", func(t *testing.T) {
		for _, scope := range []string{"grantor:sessions+grantor:admin", "grantor:admin", "grantor:sessions+grantor:admin+orders:read"} {
			refused(t, f.post(t, tokP, "mixed:s", "grant_type=password&username=ada&password="+url.QueryEscape(adaPassword)+"&scope="+scope), 400, codeInvalidScope)
		}
	})
	t.Run("a client that is not allowed it by name does not get it", func(t *testing.T) {
		refused(t, f.login(t, "&scope=grantor:sessions"), 400, codeInvalidScope)
	})
	t.Run("a client that is allowed it no more loses its tokens and gets none", func(t *testing.T) {
		r := f.phone(t, "ada", bothScopes)
		own := f.refreshPhone(t, r.text("refresh_token"), "&scope=grantor:sessions")
		require.Equal(t, true, f.inspect(t, own.text("access_token")).json["active"])
		c := f.clientNamed("phone")
		before := c.Scope
		c.Scope = rules("orders:*")
		defer func() { c.Scope = before }()
		require.Equal(t, false, f.inspect(t, own.text("access_token")).json["active"])
		refused(t, f.refreshPhone(t, own.text("refresh_token"), "&scope=grantor:sessions"), 400, codeInvalidScope)
	})
}

func TestSessionsScopeOfClients(t *testing.T) {
	cat := testCatalogue()
	machine := clients.Client{Registration: clients.Registration{ID: "m", Secrets: secrets("s"), Grants: []string{clients.GrantClientCredentials}}, Scope: rules("grantor:sessions")}
	require.ErrorContains(t, machine.Check(cat), "for the tokens of users: the client needs the grant type password")
	byDefault := clients.Client{Registration: clients.Registration{ID: "d", Secrets: secrets("s"), Grants: []string{clients.GrantPassword}}, Scope: rules("grantor:sessions"), DefaultScope: scopes.MustParse("grantor:sessions")}
	require.ErrorContains(t, byDefault.Check(cat), "can only be asked for by name")
	_, err := scopes.NewCatalogue(map[string]scopes.Scope{"orders:admin": {Implies: []string{"grantor:sessions"}}})
	require.Error(t, err)
	_, err = scopes.ParseRules("grantor:*")
	require.Error(t, err)
}

package server

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// startIntrospectors is startPeople with clients that may have grantor:introspect.
func startIntrospectors(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f, _ := startPeople(t, change...)
	machine := []string{clients.GrantClientCredentials}
	add := func(r clients.Registration, scope string) {
		r.Secrets = secrets("rs")
		c := &clients.Client{Registration: r, Scope: rules(scope), DefaultScope: scopes.MustParse("")}
		require.NoError(t, c.Check(testCatalogue()), c.ID)
		f.clients = append(f.clients, c)
	}
	add(clients.Registration{ID: "keeper", Grants: machine, Introspect: clients.SightAny}, "grantor:introspect orders:read")
	add(clients.Registration{ID: "orders-keeper", Grants: machine, Introspect: clients.SightAudience, Resource: ordersResource}, "grantor:introspect")
	add(clients.Registration{ID: "own-keeper", Grants: machine}, "grantor:introspect orders:read grantor:admin")
	add(clients.Registration{ID: "slow-keeper", Grants: machine, Introspect: clients.SightAny, RequestsPerSecond: 1, RequestsBurst: 3}, "grantor:introspect")
	add(clients.Registration{ID: "both-keeper", Grants: []string{clients.GrantClientCredentials, clients.GrantPassword}}, "grantor:introspect orders:read")
	f.reload(t)
	return f
}

// keep asks for a token of a client with grantor:introspect.
func (f *fixture) keep(t *testing.T, client string) string {
	t.Helper()
	r := f.post(t, tokP, client+":rs", ask+"&scope=grantor:introspect")
	require.Equal(t, 200, r.status, r.body)
	require.Equal(t, "grantor:introspect", r.text("scope"))
	return r.text("access_token")
}

// asBearer introspects by an access token, as Ory Oathkeeper does.
func (f *fixture) asBearer(t *testing.T, bearer, token, more string) reply {
	t.Helper()
	return f.post(t, intP, "", "token="+url.QueryEscape(token)+more, "Authorization: Bearer "+bearer)
}

// challenged demands a refusal with a challenge of RFC 6750.
func challenged(t *testing.T, r reply, status int, code string) {
	t.Helper()
	refused(t, r, status, code)
	require.Contains(t, r.header.Get("WWW-Authenticate"), `Bearer realm="grantor", error="`+code+`"`)
	require.Contains(t, r.header.Get("WWW-Authenticate"), `scope="grantor:introspect"`)
	require.NotContains(t, r.body, "active\"")
}

func TestIntrospectionByToken(t *testing.T) {
	for format, change := range map[string]func(*Config){"opaque": func(*Config) {}, "jwt": withKeys(t)} {
		t.Run(format, func(t *testing.T) {
			f := startIntrospectors(t, change)
			testIntrospectionByToken(t, f)
			testIntrospectionTokens(t, f)
			testIntrospectionRefusals(t, f)
		})
	}
}

func testIntrospectionByToken(t *testing.T, f *fixture) {
	t.Helper()
	token := f.issue(t, "")
	t.Run("IT-01 RFC 7662 §2.1 a token with grantor:introspect introspects, and the answer is that of the client's secret", func(t *testing.T) {
		by := f.asBearer(t, f.keep(t, "keeper"), token, "")
		require.Equal(t, 200, by.status, by.body)
		require.Equal(t, true, by.json["active"])
		require.Equal(t, f.post(t, intP, "keeper:rs", "token="+url.QueryEscape(token)).json, by.json)
		require.Equal(t, dead, f.asBearer(t, f.keep(t, "keeper"), "gat_nothing", "").body)
		require.Equal(t, 200, f.asBearer(t, f.keep(t, "keeper"), token, "&client_id=keeper&scope=orders%3Aread").status, "client_id, and members that §2.1 does not know")
	})
	t.Run("IT-02 RFC 7662 §4 the sight of the token's client applies", func(t *testing.T) {
		orders, own := f.keep(t, "orders-keeper"), f.keep(t, "own-keeper")
		invoices := f.issue(t, "&scope=invoices:read")
		require.Equal(t, true, f.asBearer(t, orders, token, "").json["active"])
		require.Equal(t, dead, f.asBearer(t, orders, invoices, "").body)
		require.Equal(t, dead, f.asBearer(t, own, token, "").body)
		its := f.post(t, tokP, "own-keeper:rs", ask+"&scope=orders:read").text("access_token")
		require.Equal(t, true, f.asBearer(t, own, its, "").json["active"])
		refresh := f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password="+url.QueryEscape(adaPassword)).text("refresh_token")
		require.Equal(t, dead, f.asBearer(t, f.keep(t, "keeper"), refresh, "").body, "IN-21")
	})
	t.Run("IT-03 the token carries nothing else, and an audience of its own", func(t *testing.T) {
		answer := f.inspect(t, f.keep(t, "keeper")).json
		require.Equal(t, []any{f.URL + intP}, answer["aud"])
		refused(t, f.post(t, tokP, "keeper:rs", ask+"&scope=grantor:introspect+orders:read"), 400, codeInvalidScope)
	})
	t.Run("IT-03 V-25 a scope that implies or allows by wildcard never gives it", func(t *testing.T) {
		refused(t, f.post(t, tokP, app, ask+"&scope=grantor:introspect"), 400, codeInvalidScope)
		_, err := scopes.ParseRules("grantor:*")
		require.Error(t, err)
	})
	t.Run("MD-09 RFC 8414 §2 the metadata names Bearer and DPoP, for introspection alone", func(t *testing.T) {
		m := f.call(t, "GET", "/.well-known/oauth-authorization-server", "").json
		require.Subset(t, m["introspection_endpoint_auth_methods_supported"], []any{"Bearer", "DPoP"})
		require.NotContains(t, m["token_endpoint_auth_methods_supported"], "Bearer")
		require.NotContains(t, m["revocation_endpoint_auth_methods_supported"], "Bearer")
	})
	t.Run("IT-03 the token opens no other endpoint", func(t *testing.T) {
		bearer := "Authorization: Bearer " + f.keep(t, "keeper")
		refused(t, f.post(t, tokP, "", ask, bearer), 401, codeInvalidClient)
		refused(t, f.post(t, revP, "", "token="+url.QueryEscape(token), bearer), 401, codeInvalidClient)
		refused(t, f.post(t, "/oauth2/revocations", "", "", bearer), 401, codeInvalidClient)
		require.Equal(t, 403, f.call(t, "GET", "/oauth2/sessions", "", bearer).status)
	})
}

func testIntrospectionTokens(t *testing.T, f *fixture) {
	t.Helper()
	token := f.issue(t, "")
	t.Run("IT-04 RFC 6750 §3.1 a token without the scope is 403, with what it needs", func(t *testing.T) {
		challenged(t, f.asBearer(t, token, token, ""), 403, codeInsufficientScope)
		challenged(t, f.asBearer(t, f.post(t, tokP, "own-keeper:rs", ask+"&scope=grantor:admin").text("access_token"), token, ""), 403, codeInsufficientScope)
	})
	t.Run("IT-05 a user's token never has it, whoever the client is", func(t *testing.T) {
		login := "grant_type=password&username=ada&password=" + url.QueryEscape(adaPassword)
		refused(t, f.post(t, tokP, "both-keeper:rs", login+"&scope=grantor:introspect"), 400, codeInvalidScope)
		refused(t, f.post(t, tokP, "both-keeper:rs", login+"&scope=orders:read+grantor:introspect"), 400, codeInvalidScope)
		user := f.post(t, tokP, "both-keeper:rs", login+"&scope=orders:read")
		require.Equal(t, 200, user.status, user.body)
		challenged(t, f.asBearer(t, user.text("access_token"), token, ""), 403, codeInsufficientScope)
	})
	t.Run("IT-04 RFC 6750 §3.1 unknown, cut and revoked tokens, and a refresh token, are 401", func(t *testing.T) {
		bearer := f.keep(t, "keeper")
		refresh := f.post(t, tokP, "", "grant_type=password&client_id=mobile&username=ada&password="+url.QueryEscape(adaPassword)).text("refresh_token")
		for _, bad := range []string{"gat_nothing", bearer[:len(bearer)-1], bearer + "x", refresh} {
			challenged(t, f.asBearer(t, bad, token, ""), 401, codeInvalidToken)
		}
		require.Equal(t, 200, f.post(t, revP, "keeper:rs", "token="+url.QueryEscape(bearer)).status)
		challenged(t, f.asBearer(t, bearer, token, ""), 401, codeInvalidToken)
	})
	t.Run("IT-03 RFC 9068 §4 the token must be meant for the introspection endpoint", func(t *testing.T) {
		keeper, err := f.server.cfg.Clients.Get(t.Context(), "keeper")
		require.NoError(t, err)
		text, id := f.server.codec.NewClientAccess()
		require.NoError(t, f.store.Issue(t.Context(), id, &tokens.Record{ClientID: "keeper", ClientEpoch: keeper.Epoch, Scope: "grantor:introspect orders:read",
			Audience: []string{ordersResource}, IssuedAt: time.Now().Truncate(time.Second), TTL: time.Hour}))
		challenged(t, f.asBearer(t, text, token, ""), 401, codeInvalidToken)
	})
	t.Run("IT-04 RFC 9449 §7.2, RFC 8705 §3 a token that is bound is no bearer token", func(t *testing.T) {
		keeper, err := f.server.cfg.Clients.Get(t.Context(), "keeper")
		require.NoError(t, err)
		for _, to := range []tokens.Confirmation{{KeyThumbprint: [32]byte{1}}, {CertificateThumbprint: [32]byte{1}}} {
			text, id := f.server.codec.NewClientAccess()
			require.NoError(t, f.store.Issue(t.Context(), id, &tokens.Record{ClientID: "keeper", ClientEpoch: keeper.Epoch, Scope: "grantor:introspect",
				Audience: []string{f.URL + intP}, IssuedAt: time.Now().Truncate(time.Second), TTL: time.Hour, Confirmation: to}))
			require.Equal(t, true, f.inspect(t, text).json["active"])
			r := f.asBearer(t, text, token, "")
			refused(t, r, 401, codeInvalidToken)
			require.Contains(t, r.header.Get("WWW-Authenticate"), `error="invalid_token"`)
		}
	})
	t.Run("IT-01 DP-04 RFC 9449 §7.1 a token that is bound to a key introspects with a proof by it, once", func(t *testing.T) {
		p, thief := f.prover(t), f.prover(t)
		bound := f.post(t, tokP, "keeper:rs", ask+"&scope=grantor:introspect", p.proof()).text("access_token")
		with := func(headers ...string) reply { return f.post(t, intP, "", "token="+url.QueryEscape(token), headers...) }
		once := p.holding("POST", intP, bound)
		r := with(once...)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, true, r.json["active"])
		refused(t, with(once...), 401, codeInvalidProof)
		refused(t, with(once[0]), 401, codeInvalidProof)
		refused(t, with(p.holding("POST", tokP, bound)...), 401, codeInvalidProof)
		refused(t, with(thief.holding("POST", intP, bound)...), 401, codeInvalidToken)
		refused(t, f.asBearer(t, bound, token, ""), 401, codeInvalidToken)
		refused(t, f.post(t, intP, app, "token=x", once...), 400, codeInvalidRequest)
	})
	t.Run("IT-06 IN-20 RFC 7662 §2.1 a token does not introspect itself, another of its client does", func(t *testing.T) {
		bearer, second := f.keep(t, "own-keeper"), f.keep(t, "own-keeper")
		refused(t, f.asBearer(t, bearer, bearer, ""), 400, codeInvalidRequest)
		require.Equal(t, true, f.asBearer(t, second, bearer, "").json["active"])
	})
	t.Run("IT-07 what the client may no longer do ends with its registration, at once", func(t *testing.T) {
		bearer, c := f.keep(t, "keeper"), f.clientNamed("keeper")
		was := *c
		defer func() { *c = was }()
		c.Scope = rules("orders:read")
		challenged(t, f.asBearer(t, bearer, token, ""), 401, codeInvalidToken)
		*c = was
		c.Introspect = clients.SightOwn
		require.Equal(t, dead, f.asBearer(t, bearer, token, "").body)
		*c = was
		c.Disabled = true
		challenged(t, f.asBearer(t, bearer, token, ""), 401, codeInvalidToken)
	})
	t.Run("IT-07 a client's allowed_networks hold for its token too", func(t *testing.T) {
		bearer := f.keep(t, "keeper")
		i := len(f.clients)
		r := f.clientNamed("keeper").Registration
		r.AllowedNetworks = []string{"192.0.2.0/24"}
		r.Scope = "grantor:introspect"
		there, err := r.Client()
		require.NoError(t, err)
		was := *f.clientNamed("keeper")
		there.Epoch = was.Epoch
		*f.clientNamed("keeper") = *there
		defer func() { *f.clientNamed("keeper") = was }()
		challenged(t, f.asBearer(t, bearer, token, ""), 401, codeInvalidToken)
		require.Len(t, f.clients, i)
	})
}

func testIntrospectionRefusals(t *testing.T, f *fixture) {
	t.Helper()
	token, bearer := f.issue(t, ""), f.keep(t, "keeper")
	t.Run("IT-08 RFC 6749 §2.3 one way to authenticate", func(t *testing.T) {
		for _, more := range []string{"&client_id=keeper&client_secret=rs", "&client_secret=rs", "&client_assertion=x.y.z", "&client_id=gateway"} {
			refused(t, f.asBearer(t, bearer, token, more), 400, codeInvalidRequest)
		}
		two := f.post(t, intP, "keeper:rs", "token="+url.QueryEscape(token), "Authorization: Bearer "+bearer)
		refused(t, two, 400, codeInvalidRequest)
	})
	t.Run("IT-08 RFC 6750 §2.1 the header's form, and no token in the query or in the body", func(t *testing.T) {
		in := "token=" + url.QueryEscape(token)
		for _, header := range []string{"Bearer", "Bearer ", "Bearer  " + bearer, "Bearer " + bearer + " x"} {
			r := f.post(t, intP, "", in, "Authorization: "+header)
			require.Contains(t, []int{400, 401}, r.status, "%s: %s", header, r.body)
		}
		require.Equal(t, 401, f.post(t, intP+"?access_token="+url.QueryEscape(bearer), "", in).status)
		require.Equal(t, 401, f.post(t, intP, "", in+"&access_token="+url.QueryEscape(bearer)).status)
		refused(t, f.post(t, intP+"?access_token="+url.QueryEscape(bearer), "", in, "Authorization: Bearer "+bearer), 400, codeInvalidRequest)
	})
	t.Run("IN-13 RFC 7662 §2.1 the parameter token is required", func(t *testing.T) {
		refused(t, f.post(t, intP, "", "", "Authorization: Bearer "+bearer), 400, codeInvalidRequest)
	})
	t.Run("IN-25 IT-04 a store that does not answer is 503, never 401", func(t *testing.T) {
		f.store.broken = errStoreGone
		defer func() { f.store.broken = nil }()
		refused(t, f.asBearer(t, bearer, token, ""), 503, codeUnavailable)
	})
	t.Run("IN-26 IT-09 the limit is that of the token's client", func(t *testing.T) {
		slow := f.keep(t, "slow-keeper") // the first of three
		statuses := map[int]int{}
		for range 8 {
			statuses[f.asBearer(t, slow, token, "").status]++
		}
		require.GreaterOrEqual(t, statuses[200], 2)
		require.NotZero(t, statuses[429], statuses)
		require.Len(t, statuses, 2)
		require.Equal(t, 200, f.asBearer(t, bearer, token, "").status, "another client has its own")
	})
	t.Run("S-30 no token is in the log, and its client is", func(t *testing.T) {
		require.NotContains(t, f.log.String(), bearer)
		require.True(t, strings.Contains(f.log.String(), `"client_id":"keeper"`))
	})
	t.Run("IT-04 RFC 6750 §3.1 an expired token is 401", func(t *testing.T) {
		bearer := f.keep(t, "keeper")
		f.store.SetClock(func() time.Time { return time.Now().Add(time.Hour) }) // the last: it does not jump back
		challenged(t, f.asBearer(t, bearer, token, ""), 401, codeInvalidToken)
	})
}

func TestIntrospectScope(t *testing.T) {
	secret := secrets("s")
	for name, c := range map[string]clients.Client{
		"for a client without client_credentials": {Registration: clients.Registration{ID: "x", Secrets: secret, Grants: []string{clients.GrantPassword}}, Scope: rules("grantor:introspect")},
		"for a public client":                     {Registration: clients.Registration{ID: "x", Method: clients.MethodNone, Grants: []string{clients.GrantPassword}}, Scope: rules("grantor:introspect")},
		"as a default":                            {Registration: clients.Registration{ID: "x", Secrets: secret, Grants: []string{clients.GrantClientCredentials}}, Scope: rules("grantor:introspect"), DefaultScope: scopes.MustParse("grantor:introspect")},
	} {
		t.Run("IT-05 grantor:introspect "+name+" is a mistake of the registration", func(t *testing.T) {
			require.ErrorContains(t, c.Check(testCatalogue()), "grantor:introspect")
		})
	}
	_, err := scopes.NewCatalogue(map[string]scopes.Scope{"grantor:introspect": {}})
	require.Error(t, err, "no configuration makes it anew")
}

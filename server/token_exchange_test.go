package server

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// startExchanges serves a fixture with users, and services that exchange their tokens and those of
// machines, one behind the other: mobile or app → shop → stock → ledger → vault.
func startExchanges(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	f, _ := startPeople(t, append([]func(*Config){func(c *Config) { c.TokenExchange = true }}, change...)...)
	deep := func(from string) *clients.ExchangePolicy {
		return &clients.ExchangePolicy{SubjectClients: strings.Fields(from), MaxDepth: clients.MaxExchangeDepth}
	}
	f.exchanger(t, "shop", &clients.ExchangePolicy{SubjectClients: []string{"mobile", "app", "shop", "ledger"}, MaxDepth: 4})
	f.exchanger(t, "stock", deep("shop mobile"))
	f.exchanger(t, "ledger", deep("stock"))
	f.exchanger(t, "vault", deep("ledger"))
	f.exchanger(t, "flat", &clients.ExchangePolicy{SubjectClients: []string{"*"}})
	f.exchanger(t, "narrow", &clients.ExchangePolicy{SubjectClients: []string{"*"}, Scope: "orders:read plain", Audience: []string{ordersResource}})
	f.exchanger(t, "of-users", &clients.ExchangePolicy{SubjectClients: []string{"*"}, SubjectTypes: []string{"user"}})
	f.exchanger(t, "mask", &clients.ExchangePolicy{SubjectClients: []string{"*"}, Mode: clients.ExchangeImpersonation})
	f.exchanger(t, "either", &clients.ExchangePolicy{SubjectClients: []string{"*"}, Mode: clients.ExchangeEither, Actors: []string{"app"}})
	f.reload(t)
	return f
}

// exchanger registers a client with a policy.
func (f *fixture) exchanger(t *testing.T, id string, p *clients.ExchangePolicy) {
	t.Helper()
	r := clients.Registration{ID: id, Secrets: secrets("s"), Scope: "orders:* invoices:read plain", DefaultScope: "plain",
		Grants: []string{clients.GrantClientCredentials, clients.GrantTokenExchange}, Exchange: p}
	c, err := r.Client()
	require.NoError(t, err)
	require.NoError(t, c.Check(testCatalogue()))
	f.clients = append(f.clients, c)
}

// exchange asks as a service for a token in exchange for another one.
func (f *fixture) exchange(t *testing.T, service, token, more string) reply {
	t.Helper()
	return f.post(t, tokP, service+":s", "grant_type="+url.QueryEscape(clients.GrantTokenExchange)+"&subject_token="+url.QueryEscape(token)+
		"&subject_token_type="+tokenTypeAccess+more)
}

func (f *fixture) exchanged(t *testing.T, service, token, more string) string {
	t.Helper()
	r := f.exchange(t, service, token, more)
	require.Equal(t, 200, r.status, r.body)
	return r.text("access_token")
}

// chain is a login's or a machine's token and three that came from it.
func (f *fixture) chain(t *testing.T, first string) []string {
	t.Helper()
	list := []string{first}
	for _, service := range []string{"shop", "stock", "ledger"} {
		list = append(list, f.exchanged(t, service, list[len(list)-1], ""))
	}
	return list
}

func (f *fixture) requireActive(t *testing.T, want bool, list ...string) {
	t.Helper()
	for i, token := range list {
		require.Equal(t, want, f.inspect(t, token).json["active"], "token %d", i)
	}
}

// inBothFormats runs a test with opaque tokens and with JWTs.
func inBothFormats(t *testing.T, test func(t *testing.T, f *fixture, jwt bool)) {
	t.Helper()
	t.Run("opaque", func(t *testing.T) { test(t, startExchanges(t), false) })
	t.Run("JWT", func(t *testing.T) { test(t, startExchanges(t, withKeys(t)), true) })
}

func TestTokenExchange(t *testing.T) { inBothFormats(t, testTokenExchange) }

func testTokenExchange(t *testing.T, f *fixture, jwt bool) {
	access, _ := f.loggedIn(t, "&scope=orders:write+plain")
	r := f.exchange(t, "shop", access, "")
	t.Run("TX-04 TX-10 §2.2.1 the answer says which type of token was issued", func(t *testing.T) {
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, tokenTypeAccess, r.text("issued_token_type"))
		require.Equal(t, "Bearer", r.text("token_type"))
		require.Equal(t, "orders:read orders:write plain", r.text("scope"))
		require.NotContains(t, r.json, "refresh_token")
		require.Contains(t, r.header.Get("Cache-Control"), "no-store")
	})
	before, now := f.inspect(t, access).json, f.inspect(t, r.text("access_token")).json
	t.Run("TX-03 the token speaks for the user of the subject token, and belongs to the client that exchanged", func(t *testing.T) {
		require.Equal(t, []any{"u-1", "user", "ada", "shop"}, []any{now["sub"], now["sub_type"], now["username"], now["client_id"]})
		require.Equal(t, []any{before["sid"], before["aud"]}, []any{now["sid"], now["aud"]})
		require.LessOrEqual(t, now["exp"], before["exp"])
	})
	act := map[string]any{"sub": "shop", "sub_type": "client"}
	t.Run("TX-07 TX-11 §4.1 act says who acts, nested for each exchange", func(t *testing.T) {
		require.Equal(t, act, now["act"])
		second := f.exchanged(t, "stock", r.text("access_token"), "")
		nested := map[string]any{"sub": "stock", "sub_type": "client", "act": act}
		require.Equal(t, nested, f.inspect(t, second).json["act"])
		if jwt {
			_, says := parts(t, second)
			require.Equal(t, nested, says["act"])
			require.Equal(t, []any{"u-1", "user", "stock"}, []any{says["sub"], says["sub_type"], says["client_id"]})
		}
		require.NotContains(t, before, "act")
	})
	t.Run("TX-03 a machine's token is exchanged too", func(t *testing.T) {
		says := f.inspect(t, f.exchanged(t, "shop", f.issue(t, "&scope=orders:read"), "")).json
		require.Equal(t, []any{"app", "client", "shop", "orders:read"}, []any{says["sub"], says["sub_type"], says["client_id"], says["scope"]})
		require.NotContains(t, says, "username")
		require.NotContains(t, says, "sid")
	})
	t.Run("RFC 9068 the in-process verifier says the same", func(t *testing.T) {
		tok, err := f.server.Verifier().Verify(t.Context(), r.text("access_token"))
		require.NoError(t, err)
		require.Equal(t, []string{"u-1", "user", "shop", "shop"}, []string{tok.Subject, tok.SubjectType, tok.ClientID, tok.Actor.Subject})
	})
	t.Run("RV-02 the client that exchanged revokes its token, and no other", func(t *testing.T) {
		other := f.exchanged(t, "shop", access, "")
		require.Equal(t, 200, f.post(t, revP, "stock:s", "token="+other).status)
		f.requireActive(t, true, other)
		require.Equal(t, 200, f.post(t, revP, "shop:s", "token="+other).status)
		f.requireActive(t, false, other)
		f.requireActive(t, true, access, r.text("access_token"))
	})
	t.Run("§3 a JWT where one is asked for", func(t *testing.T) {
		r := f.exchange(t, "shop", access, "&requested_token_type="+tokenTypeJWT)
		if !jwt {
			require.Equal(t, []any{400, "invalid_request"}, []any{r.status, r.text("error")}, r.body)
			return
		}
		require.Equal(t, tokenTypeJWT, r.text("issued_token_type"))
		require.Equal(t, "Bearer", r.text("token_type"))
		require.Equal(t, 200, f.post(t, tokP, "shop:s", "grant_type="+url.QueryEscape(clients.GrantTokenExchange)+
			"&subject_token="+access+"&subject_token_type="+tokenTypeJWT).status)
	})
}

func TestTokenExchangeRequests(t *testing.T) {
	f := startExchanges(t)
	access, refresh := f.loggedIn(t, "")
	for _, c := range []struct{ name, form, want string }{
		{"TX-01 no subject_token", "subject_token_type=" + tokenTypeAccess, "subject_token"},
		{"TX-01 no subject_token_type", "subject_token=" + access, "subject_token_type"},
		{"TX-02 actor_token alone", "subject_token=" + access + "&subject_token_type=" + tokenTypeAccess + "&actor_token=x", "actor_token_type"},
		{"TX-02 actor_token_type alone", "subject_token=" + access + "&subject_token_type=" + tokenTypeAccess + "&actor_token_type=" + tokenTypeAccess, "actor_token"},
		{"TE-08 two subject_tokens", "subject_token=" + access + "&subject_token=" + access + "&subject_token_type=" + tokenTypeAccess, "twice"},
		{"TE-08 two actor_tokens", "subject_token=" + access + "&subject_token_type=" + tokenTypeAccess + "&actor_token=a&actor_token=a&actor_token_type=" + tokenTypeAccess, "twice"},
		{"TX-03 a refresh token as subject", "subject_token=" + refresh + "&subject_token_type=" + tokenTypeAccess, "refresh token"},
		{"TX-03 a refresh token by its own type", "subject_token=" + refresh + "&subject_token_type=" + tokenTypeRefresh, "refresh token"},
		{"TX-03 an opaque token that is said to be a JWT", "subject_token=" + access + "&subject_token_type=" + tokenTypeJWT, "no JWT"},
		{"TX-03 an ID token", "subject_token=" + access + "&subject_token_type=" + tokenTypePrefix + "id_token", "must be"},
		{"TX-03 a SAML assertion", "subject_token=" + access + "&subject_token_type=" + tokenTypePrefix + "saml2", "must be"},
		{"§2.1 a refresh token is asked for", "subject_token=" + access + "&subject_token_type=" + tokenTypeAccess + "&requested_token_type=" + tokenTypeRefresh, "requested_token_type"},
		{"TX-03 garbage as subject", "subject_token=garbage&subject_token_type=" + tokenTypeAccess, "subject_token is not active"},
		{"TX-03 a cut token", "subject_token=" + access[:len(access)-1] + "&subject_token_type=" + tokenTypeAccess, "subject_token is not active"},
		{"§2.2.2 a malformed scope", "subject_token=" + access + "&subject_token_type=" + tokenTypeAccess + `&scope=a%22b`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := f.post(t, tokP, "shop:s", "grant_type="+url.QueryEscape(clients.GrantTokenExchange)+"&"+c.form)
			code := "invalid_request"
			if c.want == "" {
				code = "invalid_scope"
			}
			require.Equal(t, []any{400, code}, []any{r.status, r.text("error")}, r.body)
			require.Contains(t, r.text("error_description"), c.want)
			require.NotContains(t, r.json, "access_token")
		})
	}
	t.Run("TX-08 a client without the grant type", func(t *testing.T) {
		refused(t, f.exchange(t, "web", access, ""), 400, "unauthorized_client")
	})
	t.Run("TX-08 a public client, even with the grant type", func(t *testing.T) {
		mobile := f.clientNamed("mobile")
		mobile.Grants = append(mobile.Grants, clients.GrantTokenExchange)
		mobile.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"*"}}
		f.reload(t)
		r := f.post(t, tokP, "", "client_id=mobile&grant_type="+url.QueryEscape(clients.GrantTokenExchange)+"&subject_token="+access+"&subject_token_type="+tokenTypeAccess)
		refused(t, r, 400, "unauthorized_client")
	})
	t.Run("TX-08 nobody is authenticated", func(t *testing.T) {
		refused(t, f.post(t, tokP, "", "grant_type="+url.QueryEscape(clients.GrantTokenExchange)+"&subject_token="+access+"&subject_token_type="+tokenTypeAccess), 401, "invalid_client")
	})
	t.Run("RFC 6749 §5.2 where nobody may exchange, there is no such grant type", func(t *testing.T) {
		plain := start(t)
		refused(t, plain.post(t, tokP, app, "grant_type="+url.QueryEscape(clients.GrantTokenExchange)), 400, "unsupported_grant_type")
		require.NotContains(t, plain.call(t, "GET", "/.well-known/oauth-authorization-server", "").body, "token-exchange")
		require.Contains(t, f.call(t, "GET", "/.well-known/oauth-authorization-server", "").body, clients.GrantTokenExchange)
	})
}

func TestTokenExchangeNarrows(t *testing.T) {
	f := startExchanges(t)
	access, _ := f.loggedIn(t, "&scope=orders:write+invoices:read+plain")
	reads, _ := f.loggedIn(t, "&scope=orders:read")
	for _, c := range []struct{ name, service, token, more, scope string }{
		{"TX-06 all that both may have", "shop", access, "", "invoices:read orders:read orders:write plain"},
		{"TX-06 TX-10 less, as asked for", "shop", access, "&scope=orders:read", "orders:read"},
		{"TX-06 what a scope implies comes with it", "shop", access, "&scope=orders:write", "orders:read orders:write"},
		{"TX-06 no more than the policy's scope and audience", "narrow", access, "", "orders:read"},
		{"TX-05 RFC 8707 §2 resource narrows", "shop", access, "&resource=" + url.QueryEscape(invoicesResource), "invoices:read"},
		{"TX-05 audience by the resource", "shop", access, "&audience=" + url.QueryEscape(invoicesResource), "invoices:read"},
		{"TX-05 audience by the API's client id", "shop", access, "&audience=invoices-api", "invoices:read"},
		{"TX-05 §2.1 several targets", "shop", access, "&audience=invoices-api&audience=orders-api", "invoices:read orders:read orders:write"},
		{"TX-05 resource and audience together", "shop", access, "&audience=invoices-api&resource=" + url.QueryEscape(ordersResource), "invoices:read orders:read orders:write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := f.exchange(t, c.service, c.token, c.more)
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, c.scope, r.text("scope"))
			require.Equal(t, c.scope, f.inspect(t, r.text("access_token")).json["scope"])
		})
	}
	for _, c := range []struct{ name, service, token, more, code string }{
		{"TX-06 §5 widening: a scope that the subject token lacks", "shop", reads, "&scope=orders:write", "invalid_scope"},
		{"TX-06 §5 widening: one of two scopes", "shop", reads, "&scope=orders:read+plain", "invalid_scope"},
		{"TX-06 §5 widening: a scope that the policy lacks", "narrow", access, "&scope=orders:write", "invalid_scope"},
		{"TX-06 a scope that does not exist", "shop", access, "&scope=nothing", "invalid_scope"},
		{"TX-06 a wildcard", "shop", access, "&scope=orders:*", "invalid_scope"},
		{"TX-06 power over Grantor", "shop", access, "&scope=grantor:admin", "invalid_scope"},
		{"TX-05 an unknown audience", "shop", access, "&audience=nobody", "invalid_target"},
		{"TX-05 an unknown resource", "shop", access, "&resource=https://unknown.example", "invalid_target"},
		{"TX-05 widening: a resource that the subject token lacks", "shop", reads, "&resource=" + url.QueryEscape(invoicesResource), "invalid_target"},
		{"TX-05 widening: a resource that the policy lacks", "narrow", access, "&audience=invoices-api", "invalid_target"},
		{"TX-05 one of two targets is unknown", "shop", access, "&audience=orders-api&audience=nobody", "invalid_target"},
		{"TX-05 a resource that is no URI", "shop", access, "&resource=orders", "invalid_target"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, f.exchange(t, c.service, c.token, c.more), 400, c.code) })
	}
	t.Run("TX-05 RFC 3986 §6.2 a resource has one meaning in every spelling", func(t *testing.T) {
		f.exchanger(t, "spelt", &clients.ExchangePolicy{SubjectClients: []string{"*"}, Audience: []string{"HTTPS://Orders.Example.com:443/"}})
		f.reload(t)
		for _, more := range []string{"", "&resource=" + url.QueryEscape("https://orders.example.com:443"), "&audience=" + url.QueryEscape("https://ORDERS.example.com/")} {
			token := f.exchanged(t, "spelt", access, more)
			says := f.inspect(t, token).json
			require.Equal(t, []any{true, "orders:read orders:write"}, []any{says["active"], says["scope"]}, "%s: the check takes the policy as the exchange did", more)
			require.Equal(t, []any{ordersResource}, says["aud"], "aud is spelt as the configuration spells it")
		}
		refused(t, f.exchange(t, "spelt", access, "&audience=invoices-api"), 400, "invalid_target")
	})
	t.Run("TX-06 a narrowed token gives no more than itself", func(t *testing.T) {
		less := f.exchanged(t, "shop", access, "&scope=orders:read")
		refused(t, f.exchange(t, "stock", less, "&scope=orders:write"), 400, "invalid_scope")
		require.Equal(t, "orders:read", f.exchange(t, "stock", less, "").text("scope"))
	})
	t.Run("SC-09 a token over sessions gives nothing", func(t *testing.T) {
		mobile := f.clientNamed("mobile")
		mobile.Scope = rules("orders:* grantor:sessions")
		f.reload(t)
		_, refresh := f.loggedIn(t, "&scope=orders:read+grantor:sessions")
		own := f.refresh(t, refresh, "&scope=grantor:sessions")
		require.Equal(t, 200, own.status, own.body)
		refused(t, f.exchange(t, "shop", own.text("access_token"), ""), 400, "invalid_scope")
	})
}

func TestTokenExchangePolicies(t *testing.T) {
	f := startExchanges(t)
	access, _ := f.loggedIn(t, "")
	machine := f.issue(t, "")
	const unspecific = "subject_token is not active, or this client may not exchange it (RFC 8693 section 2.2.2)"
	for _, c := range []struct{ name, service, token, reason string }{
		{"TX-08 TX-12 another client's token, which the policy does not name", "ledger", access, "subject_token_not_allowed"},
		{"TX-08 a machine's token, where the policy allows users alone", "of-users", machine, "subject_token_not_allowed"},
		{"TX-09 an exchange beyond max_depth", "flat", f.exchanged(t, "shop", access, ""), "exchange_depth"},
		{"TX-09 a loop: a client that exchanged before", "shop", f.chain(t, access)[3], "exchange_loop"},
		{"TX-09 a loop of one", "shop", f.exchanged(t, "shop", access, ""), "exchange_loop"},
		{"TX-03 a revoked token", "shop", f.revoked(t), "subject_token_inactive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := f.exchange(t, c.service, c.token, "")
			refused(t, r, 400, "invalid_request")
			require.Equal(t, unspecific, r.text("error_description"), "who holds a stolen token learns nothing of it")
			require.Contains(t, f.log.String(), `"reason":"`+c.reason+`"`)
		})
	}
	t.Run("TX-09 a chain as long as the policies allow", func(t *testing.T) {
		list := f.chain(t, access)
		list = append(list, f.exchanged(t, "vault", list[3], ""))
		f.requireActive(t, true, list...)
		for _, token := range list[1:] {
			require.NotContains(t, f.inspect(t, token).json["act"], "token")
		}
	})
	t.Run("TX-08 a client may exchange a token of its own, where the policy names it", func(t *testing.T) {
		r := f.post(t, tokP, "shop:s", ask+"&scope=orders:write")
		require.Equal(t, "orders:read", f.exchange(t, "shop", r.text("access_token"), "&scope=orders:read").text("scope"))
	})
}

// TestTokenExchangeBound: tokens that are bound to a key or a certificate (RFC 9449, RFC 8705).
func TestTokenExchangeBound(t *testing.T) {
	f := startExchanges(t)
	f.exchanger(t, "bound", &clients.ExchangePolicy{SubjectClients: []string{"app", "bound"}, BoundTokens: true})
	text, tok := f.server.codec.NewClientAccess()
	c, err := f.server.cfg.Clients.Get(t.Context(), "app")
	require.NoError(t, err)
	r := &tokens.Record{ClientID: "app", ClientEpoch: c.Epoch, Scope: "orders:read", Audience: []string{ordersResource}, IssuedAt: f.server.now().Truncate(time.Second),
		TTL: time.Minute, Confirmation: tokens.Confirmation{KeyThumbprint: [32]byte{1}}}
	require.NoError(t, f.store.Issue(t.Context(), tok, r))
	t.Run("RFC 9449 a bound token is not exchanged by who may not, as a subject or as an actor", func(t *testing.T) {
		refused(t, f.exchange(t, "shop", text, ""), 400, "invalid_request")
		refused(t, f.exchange(t, "either", f.issue(t, ""), "&actor_token="+text+"&actor_token_type="+tokenTypeAccess), 400, "invalid_request")
		require.Contains(t, f.log.String(), `"reason":"bound_token"`)
	})
	t.Run("RFC 9449 a policy may allow it: the new token is not bound to somebody else's key", func(t *testing.T) {
		says := f.inspect(t, f.exchanged(t, "bound", text, "")).json
		require.Equal(t, []any{"app", "bound"}, []any{says["sub"], says["client_id"]})
		require.NotContains(t, says, "cnf")
	})
}

func (f *fixture) revoked(t *testing.T) string {
	t.Helper()
	token := f.issue(t, "")
	require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
	return token
}

func TestTokenExchangeActors(t *testing.T) {
	f := startExchanges(t)
	access, refresh := f.loggedIn(t, "&scope=orders:read")
	machine, other := f.issue(t, ""), f.post(t, tokP, "stock:s", ask).text("access_token")
	with := func(token string) string { return "&actor_token=" + token + "&actor_token_type=" + tokenTypeAccess }
	actor := func(r reply) any {
		require.Equal(t, 200, r.status, r.body)
		return f.inspect(t, r.text("access_token")).json["act"]
	}
	t.Run("TX-07 §1.1 impersonation: no token says who acts", func(t *testing.T) {
		require.Nil(t, actor(f.exchange(t, "mask", access, "")))
		require.Nil(t, actor(f.exchange(t, "either", access, "")))
	})
	t.Run("TX-07 §2.1 delegation to the client of the actor token", func(t *testing.T) {
		require.Equal(t, map[string]any{"sub": "app", "sub_type": "client"}, actor(f.exchange(t, "either", access, with(machine))))
		own := f.post(t, tokP, "shop:s", ask).text("access_token")
		require.Equal(t, map[string]any{"sub": "shop", "sub_type": "client"}, actor(f.exchange(t, "shop", access, with(own))))
	})
	for _, c := range []struct{ name, service, token string }{
		{"an actor that the policy does not name", "either", other},
		{"a user's token as actor", "either", access},
		{"an exchanged token as actor", "either", f.exchanged(t, "shop", machine, "")},
		{"an inactive token as actor", "either", f.revoked(t)},
		{"a refresh token as actor", "either", refresh},
		{"any actor where the client may impersonate alone", "mask", machine},
	} {
		t.Run("TX-07 TX-12 act cannot be forged: "+c.name, func(t *testing.T) {
			refused(t, f.exchange(t, c.service, access, with(c.token)), 400, "invalid_request")
		})
	}
	t.Run("TX-07 act cannot be forged by a parameter or a scope", func(t *testing.T) {
		require.Equal(t, map[string]any{"sub": "shop", "sub_type": "client"}, actor(f.exchange(t, "shop", access, `&act={"sub":"u-2"}&may_act={"sub":"u-2"}`)))
	})
}

// TestTokenExchangeEnds: whatever ends what an exchanged token came from ends that token.
func TestTokenExchangeEnds(t *testing.T) { inBothFormats(t, testTokenExchangeEnds) }

func testTokenExchangeEnds(t *testing.T, f *fixture, _ bool) {
	t.Run("TX-09 the user logs out: the whole chain of three exchanges is inactive", func(t *testing.T) {
		access, refresh := f.loggedIn(t, "")
		list := f.chain(t, access)
		f.requireActive(t, true, list...)
		require.Equal(t, 200, f.post(t, revP, "", "client_id=mobile&token="+refresh).status)
		f.requireActive(t, false, list...)
	})
	t.Run("TX-09 the user is logged out everywhere", func(t *testing.T) {
		access, _ := f.loggedIn(t, "")
		list := f.chain(t, access)
		require.NoError(t, f.store.EndUser(t.Context(), f.server.codec.Tag("u-1")))
		f.requireActive(t, false, list...)
	})
	t.Run("TX-09 one token in the middle is revoked: what came from it has ended, and nothing before it", func(t *testing.T) {
		access, _ := f.loggedIn(t, "")
		list := f.chain(t, access)
		require.Equal(t, 200, f.post(t, revP, "shop:s", "token="+list[1]).status)
		f.requireActive(t, true, list[0])
		f.requireActive(t, false, list[1:]...)
		require.Equal(t, "exchanged_from_ended", f.whyInactive(t, "gateway:rs", list[3]))
	})
	t.Run("TX-09 a machine's token is revoked: the whole chain is inactive", func(t *testing.T) {
		list := f.chain(t, f.issue(t, ""))
		f.requireActive(t, true, list...)
		require.Equal(t, 200, f.post(t, revP, app, "token="+list[0]).status)
		f.requireActive(t, false, list...)
	})
	t.Run("TX-09 the subject token was refreshed: what came from it goes on", func(t *testing.T) {
		access, refresh := f.loggedIn(t, "")
		list := f.chain(t, access)
		require.Equal(t, 200, f.refresh(t, refresh).status)
		f.requireActive(t, true, list...)
	})
}

// TestTokenExchangeClients: the clients along a chain.
func TestTokenExchangeClients(t *testing.T) { inBothFormats(t, testTokenExchangeClients) }

func testTokenExchangeClients(t *testing.T, f *fixture, _ bool) {
	for _, id := range []string{"app", "shop", "stock", "ledger"} {
		t.Run("TX-08 a client of the chain is disabled and enabled: "+id, func(t *testing.T) {
			list := f.chain(t, f.issue(t, ""))
			first := map[string]int{"app": 0, "shop": 1, "stock": 2, "ledger": 3}[id]
			require.NoError(t, f.store.DisableClient(t.Context(), id, tokens.NewCall()))
			f.requireActive(t, false, list[first:]...)
			require.NoError(t, f.store.EnableClient(t.Context(), id, tokens.NewCall()))
			f.requireActive(t, false, list[first:]...)
			f.requireActive(t, true, list[:first]...)
		})
		t.Run("TX-08 all tokens of a client of the chain are revoked: "+id, func(t *testing.T) {
			list := f.chain(t, f.issue(t, ""))
			require.NoError(t, f.store.RenewClient(t.Context(), id, tokens.NewCall()))
			f.requireActive(t, false, list[3])
		})
	}
	t.Run("TX-08 the actor's client is disabled", func(t *testing.T) {
		access, _ := f.loggedIn(t, "")
		token := f.exchanged(t, "either", access, "&actor_token="+f.issue(t, "")+"&actor_token_type="+tokenTypeAccess)
		f.requireActive(t, true, token)
		require.NoError(t, f.store.DisableClient(t.Context(), "app", tokens.NewCall()))
		f.requireActive(t, false, token)
		require.NoError(t, f.store.EnableClient(t.Context(), "app", tokens.NewCall()))
	})
	for name, change := range map[string]func(c *clients.Client){
		"the grant type": func(c *clients.Client) { c.Grants = c.Grants[:1] },
		"the policy":     func(c *clients.Client) { c.Exchange = nil },
		"whose tokens": func(c *clients.Client) {
			c.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"x"}, MaxDepth: 4}
		},
		"max_depth": func(c *clients.Client) { c.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"*"}} },
		"the resource": func(c *clients.Client) {
			c.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"*"}, MaxDepth: 4, Audience: []string{invoicesResource}}
		},
		"every scope": func(c *clients.Client) { c.Scope = rules("other") },
		"what it may exchange": func(c *clients.Client) {
			c.Exchange = &clients.ExchangePolicy{SubjectClients: []string{"*"}, SubjectTypes: []string{"user"}, MaxDepth: 4}
		},
	} {
		t.Run("TX-06 a client in the middle loses "+name, func(t *testing.T) {
			list := f.chain(t, f.issue(t, ""))
			f.requireActive(t, true, list...)
			at := 2
			stock := f.clientNamed("stock")
			kept := *stock
			change(stock)
			f.requireActive(t, true, list[:at]...)
			f.requireActive(t, false, list[at:]...)
			*stock = kept
			f.requireActive(t, true, list...)
		})
	}
	t.Run("TX-06 a client in the middle loses one scope: what came from it does too", func(t *testing.T) {
		list := f.chain(t, f.issue(t, "&scope=orders:read+plain"))
		stock := f.clientNamed("stock")
		kept := *stock
		stock.Scope = rules("plain")
		require.Equal(t, "orders:read plain", f.inspect(t, list[1]).json["scope"])
		require.Equal(t, "plain", f.inspect(t, list[2]).json["scope"])
		require.Equal(t, "plain", f.inspect(t, list[3]).json["scope"])
		*stock = kept
	})
}

// TestTokenExchangeTimes: no token outlives what it came from.
func TestTokenExchangeTimes(t *testing.T) {
	f := startExchanges(t)
	t.Run("TX-09 §2.2.1 widening by life: an exchanged token never lasts longer than the subject token", func(t *testing.T) {
		f.clientNamed("app").AccessTTL = clients.Duration(20 * time.Second)
		f.clientNamed("shop").AccessTTL = clients.Duration(time.Hour)
		f.clientNamed("stock").AccessTTL = clients.Duration(time.Hour)
		first := f.issue(t, "")
		end := f.inspect(t, first).json["exp"]
		for _, service := range []string{"shop", "stock"} {
			r := f.exchange(t, service, first, "")
			require.Equal(t, 200, r.status, r.body)
			require.LessOrEqual(t, r.json["expires_in"], float64(20))
			first = r.text("access_token")
			require.LessOrEqual(t, f.inspect(t, first).json["exp"], end)
		}
	})
	t.Run("TX-09 a client's shorter life counts", func(t *testing.T) {
		f.clientNamed("flat").AccessTTL = clients.Duration(7 * time.Second)
		access, _ := f.loggedIn(t, "")
		require.InDelta(t, 7, f.exchange(t, "flat", access, "").json["expires_in"], 0)
	})
	t.Run("TX-03 an expired subject token, and its children with it", func(t *testing.T) {
		began, later := time.Now(), atomic.Int64{} // the store's goroutine reads the clock too
		f.store.SetClock(func() time.Time { return began.Add(time.Duration(later.Load())) })
		list := f.chain(t, f.issue(t, ""))
		later.Store(int64(19 * time.Second))
		f.requireActive(t, true, list...)
		later.Store(int64(21 * time.Second))
		f.requireActive(t, false, list...)
		refused(t, f.exchange(t, "shop", list[0], ""), 400, "invalid_request")
	})
	t.Run("S-40 what was issued before not_before has no active children", func(t *testing.T) {
		list := f.chain(t, f.issue(t, ""))
		f.server.cfg.NotBefore = f.server.now().Add(time.Hour)
		f.requireActive(t, false, list...)
	})
}

// TestTokenExchangeClaims: which custom claims the new token carries.
func TestTokenExchangeClaims(t *testing.T) {
	f := startExchanges(t)
	text := func(v map[string]any) claims.Set { s, err := claims.New(v); require.NoError(t, err); return s }
	f.clientNamed("app").Claims = text(map[string]any{"tenant": "t-1", "plan": "gold"})
	f.clientNamed("shop").Claims = text(map[string]any{"tenant": "of-shop", "zone": "eu"})
	f.clientNamed("stock").Claims = text(map[string]any{"zone": "us"})
	first := f.exchanged(t, "shop", f.issue(t, ""), "")
	says := f.inspect(t, first).json
	require.Equal(t, []any{"t-1", "gold", "eu"}, []any{says["tenant"], says["plan"], says["zone"]}, "those of the subject token win")
	says = f.inspect(t, f.exchanged(t, "stock", first, "")).json
	require.Equal(t, []any{"t-1", "gold", "eu"}, []any{says["tenant"], says["plan"], says["zone"]})
}

// askedHook gives a claim and keeps the question.
type askedHook struct{ last claims.Question }

func (h *askedHook) Claims(_ context.Context, q claims.Question) (claims.Set, error) {
	h.last = q
	return claims.New(map[string]any{"from": "hook"})
}

func TestTokenExchangeHook(t *testing.T) {
	h := &askedHook{}
	f := startExchanges(t, func(c *Config) { c.ClaimsHook = h })
	access, _ := f.loggedIn(t, "&scope=orders:read")
	token := f.exchanged(t, "shop", access, "")
	require.Equal(t, claims.Question{ClientID: "shop", Subject: "u-1", SubjectType: "user", Scope: "orders:read", Grant: clients.GrantTokenExchange}, h.last)
	require.Equal(t, "hook", f.inspect(t, token).json["from"])
}

// TestTokenExchangeNames: by which names the revocation feed ends an exchanged token.
func TestTokenExchangeNames(t *testing.T) {
	f := startExchanges(t, withKeys(t))
	access, _ := f.loggedIn(t, "")
	list := f.chain(t, access)
	sid, rev := f.namesOf(t, "mobile")
	for i, token := range list {
		_, says := parts(t, token)
		require.Equal(t, sid, says["sid"])
		shown := f.inspect(t, token).json
		require.Equal(t, says["rev"], shown["rev"])
		require.Contains(t, says["rev"], rev[0], "the user's")
		require.Contains(t, says["rev"], rev[1], "that of the login's client")
		for k, before := range list[:i] {
			_, parent := parts(t, before)
			require.Contains(t, says["rev"], parent["jti"], "the name of token %d in token %d", k, i)
			require.Subset(t, says["rev"], parent["rev"])
		}
		require.LessOrEqual(t, len(says["rev"].([]any)), 16, "verifiers look at no more")
	}
	longest := f.exchanged(t, "vault", list[3], "")
	_, says := parts(t, longest)
	require.LessOrEqual(t, len(says["rev"].([]any)), 16, "verifiers look at no more")
	t.Run("TX-09 the name of an opaque token is its jti", func(t *testing.T) {
		f.clientNamed("app").Format, f.clientNamed("shop").Format = clients.FormatOpaque, clients.FormatOpaque
		f.reload(t)
		list := f.chain(t, f.issue(t, ""))
		_, says := parts(t, list[3])
		for _, before := range list[:3] {
			require.Contains(t, says["rev"], f.inspect(t, before).json["jti"])
		}
	})
}

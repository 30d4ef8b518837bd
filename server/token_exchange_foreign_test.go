package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/assertions"
	"github.com/grantor-auth/grantor/internal/jwt"
	"github.com/grantor-auth/grantor/tokens"
)

const idp = "https://idp.example.com"

// foreigners is a fixture whose clients may exchange JWTs of another issuer.
type foreigners struct {
	*fixture
	key  *ecdsa.PrivateKey
	keys *jwt.KeySet
}

// issuerKey is a key of an issuer, under the kid 1, and the set that it publishes.
func issuerKey(t *testing.T) (*ecdsa.PrivateKey, *jwt.KeySet) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1"}}})
	require.NoError(t, err)
	set, err := jwt.ParseKeySet(text)
	require.NoError(t, err)
	return key, set
}

func startForeigners(t *testing.T, change ...func(*Config)) foreigners {
	t.Helper()
	key, set := issuerKey(t)
	f := startExchanges(t, append(change, func(c *Config) {
		var err error
		c.Assertions, err = assertions.New(assertions.Config{Issuer: c.Issuer, TokenEndpoint: c.Issuer + PathToken, Once: c.Store.Once,
			Issuers: []assertions.Issuer{{Issuer: idp, Keys: set}, {Issuer: "https://other.example.com", Keys: set}}})
		require.NoError(t, err)
		t.Cleanup(c.Assertions.Close)
	})...)
	f.exchanger(t, "door", &clients.ExchangePolicy{SubjectIssuers: []string{idp}, Scope: "orders:read invoices:read"})
	f.exchanger(t, "small-door", &clients.ExchangePolicy{SubjectIssuers: []string{idp}, Scope: "orders:*", Audience: []string{ordersResource}, Mode: clients.ExchangeEither, Actors: []string{"app"}})
	f.exchanger(t, "behind", &clients.ExchangePolicy{SubjectClients: []string{"door"}, MaxDepth: 2, SubjectTypes: []string{"external"}})
	f.exchanger(t, "of-users-behind", &clients.ExchangePolicy{SubjectClients: []string{"door"}, MaxDepth: 2, SubjectTypes: []string{"user", "client"}})
	f.clients = append(f.clients, clients.Issuers([]string{idp})...)
	f.reload(t)
	return foreigners{f, key, set}
}

// token is a good JWT of the issuer, changed; nil removes a claim.
func (f foreigners) token(t *testing.T, change map[string]any) string {
	t.Helper()
	c := map[string]any{"iss": idp, "sub": "u-1", "aud": f.URL, "exp": time.Now().Unix() + 100, "scope": "orders:write grantor:admin"}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: f.key}, (&jose.SignerOptions{}).WithHeader("kid", "1").WithType("at+jwt"))
	require.NoError(t, err)
	text, err := json.Marshal(c)
	require.NoError(t, err)
	j, err := s.Sign(text)
	require.NoError(t, err)
	out, err := j.CompactSerialize()
	require.NoError(t, err)
	return out
}

// ask exchanges a JWT.
func (f foreigners) ask(t *testing.T, service, token, more string) reply {
	t.Helper()
	return f.post(t, tokP, service+":s", "grant_type="+url.QueryEscape(clients.GrantTokenExchange)+"&subject_token="+url.QueryEscape(token)+
		"&subject_token_type="+tokenTypeJWT+more)
}

func (f foreigners) get(t *testing.T, service, token, more string) string {
	t.Helper()
	r := f.ask(t, service, token, more)
	require.Equal(t, 200, r.status, r.body)
	return r.text("access_token")
}

func TestForeignSubject(t *testing.T) {
	t.Run("opaque", func(t *testing.T) { testForeignSubject(t, startForeigners(t), false) })
	t.Run("JWT", func(t *testing.T) { testForeignSubject(t, startForeigners(t, withKeys(t)), true) })
}

func testForeignSubject(t *testing.T, f foreigners, isJWT bool) {
	token := f.get(t, "door", f.token(t, nil), "")
	says := f.inspect(t, token).json
	t.Run("TX-03 a JWT of a trusted issuer: the subject is nobody of ours with the same name", func(t *testing.T) {
		require.Equal(t, []any{idp + "|u-1", "external", "door", "invoices:read orders:read"}, []any{says["sub"], says["sub_type"], says["client_id"], says["scope"]})
		require.Equal(t, []any{invoicesResource, ordersResource}, says["aud"])
		require.NotContains(t, says, "username")
		require.NotContains(t, says, "sid")
		if isJWT {
			_, says := parts(t, token)
			require.Equal(t, []any{idp + "|u-1", "external", "door"}, []any{says["sub"], says["sub_type"], says["client_id"]})
		}
		tok, err := f.server.Verifier().Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, []string{idp + "|u-1", "external"}, []string{tok.Subject, tok.SubjectType})
	})
	t.Run("TX-09 the token has the issuer's name in the feed, and so have those that come from it", func(t *testing.T) {
		issuer, err := f.server.cfg.Clients.Get(t.Context(), clients.IssuerID(idp))
		require.NoError(t, err)
		require.NotEmpty(t, issuer.FeedName())
		require.Contains(t, says["rev"], issuer.FeedName())
		require.Contains(t, f.inspect(t, f.exchanged(t, "behind", token, "")).json["rev"], issuer.FeedName())
		if isJWT {
			_, says := parts(t, token)
			require.Contains(t, says["rev"], issuer.FeedName())
		}
	})
	t.Run("TX-07 §4.1 act says who acts", func(t *testing.T) {
		require.Equal(t, map[string]any{"sub": "door", "sub_type": "client"}, says["act"])
		require.NotContains(t, f.inspect(t, f.get(t, "small-door", f.token(t, nil), "")).json, "act")
	})
	t.Run("TX-09 never longer than the JWT", func(t *testing.T) {
		exp := time.Now().Unix() + 20
		r := f.ask(t, "door", f.token(t, map[string]any{"exp": exp}), "")
		require.LessOrEqual(t, r.json["expires_in"], float64(20))
		require.LessOrEqual(t, f.inspect(t, r.text("access_token")).json["exp"], float64(exp))
	})
	t.Run("TX-06 the policy's scope and audience bound it, and the JWT's own scope gives nothing", func(t *testing.T) {
		refused(t, f.ask(t, "door", f.token(t, nil), "&scope=orders:write"), 400, "invalid_scope")
		refused(t, f.ask(t, "door", f.token(t, nil), "&scope=grantor:admin"), 400, "invalid_scope")
		refused(t, f.ask(t, "small-door", f.token(t, nil), "&audience=invoices-api"), 400, "invalid_target")
		require.Equal(t, "orders:read", f.ask(t, "door", f.token(t, nil), "&audience=orders-api").text("scope"))
	})
	t.Run("TX-09 what was exchanged from it ends with it", func(t *testing.T) {
		first := f.get(t, "door", f.token(t, nil), "")
		second := f.exchanged(t, "behind", first, "")
		require.Equal(t, []any{idp + "|u-1", "external"}, []any{f.inspect(t, second).json["sub"], f.inspect(t, second).json["sub_type"]})
		refused(t, f.exchange(t, "of-users-behind", first, ""), 400, "invalid_request")
		refused(t, f.exchange(t, "flat", first, ""), 400, "invalid_request")
		require.Contains(t, f.log.String(), `"reason":"exchange_depth"`, "it was exchanged once already")
		require.Equal(t, 200, f.post(t, revP, "door:s", "token="+first).status)
		f.requireActive(t, false, first, second)
	})
	t.Run("TX-08 the tokens end with their client, and with the policy", func(t *testing.T) {
		token := f.get(t, "door", f.token(t, nil), "")
		door := f.clientNamed("door")
		kept := *door
		door.Exchange = &clients.ExchangePolicy{SubjectIssuers: []string{"https://other.example.com"}, Scope: kept.Exchange.Scope}
		f.requireActive(t, false, token)
		*door = kept
		f.requireActive(t, true, token)
		trusting := f.server.cfg.Assertions
		f.server.cfg.Assertions = nil
		f.requireActive(t, false, token)
		f.server.cfg.Assertions = trusting
		require.NoError(t, f.store.RenewClient(t.Context(), "door", tokens.NewCall()))
		f.requireActive(t, false, token)
	})
}

func TestForeignSubjectRefused(t *testing.T) {
	f := startForeigners(t, withKeys(t))
	const unspecific = "subject_token is not active, or this client may not exchange it (RFC 8693 section 2.2.2)"
	own := f.post(t, tokP, "stock:s", ask+"&scope=plain").text("access_token")
	for _, c := range []struct {
		name, service string
		change        map[string]any
		reason        string
	}{
		{"another aud", "door", map[string]any{"aud": "https://vault.example.com"}, "subject_token_inactive"},
		{"an aud beside ours", "door", map[string]any{"aud": []string{f.URL, "https://vault.example.com"}}, "subject_token_inactive"},
		{"expired", "door", map[string]any{"exp": time.Now().Unix() - 100}, "subject_token_inactive"},
		{"expired within the skew of clocks", "door", map[string]any{"exp": time.Now().Unix() - 1}, "subject_token_inactive"},
		{"no exp", "door", map[string]any{"exp": nil}, "subject_token_inactive"},
		{"no sub", "door", map[string]any{"sub": nil}, "subject_token_inactive"},
		{"a sub with a line break", "door", map[string]any{"sub": "a\nb"}, "subject_token_inactive"},
		{"an issuer that nobody trusts", "door", map[string]any{"iss": "https://evil.example.com"}, "subject_token_inactive"},
		{"our own issuer, by a key of another", "door", map[string]any{"iss": f.URL, "jti": "x"}, "subject_token_inactive"},
		{"a trusted issuer that the policy does not name", "door", map[string]any{"iss": "https://other.example.com"}, "subject_token_not_allowed"},
		{"a client whose policy names no issuer", "flat", nil, "subject_token_not_allowed"},
		{"bound to a key", "door", map[string]any{"cnf": map[string]any{"jkt": "x"}}, "bound_token"},
	} {
		t.Run("TX-03 TX-12 "+c.name, func(t *testing.T) {
			r := f.ask(t, c.service, f.token(t, c.change), "")
			refused(t, r, 400, "invalid_request")
			require.Equal(t, unspecific, r.text("error_description"))
			require.Contains(t, f.log.String(), `"reason":"`+c.reason+`"`)
		})
	}
	t.Run("TX-03 a JWT of ours is not taken for another issuer's", func(t *testing.T) {
		refused(t, f.ask(t, "door", own, ""), 400, "invalid_request")
	})
	t.Run("TX-03 a JWT of another issuer that is said to be an access token", func(t *testing.T) {
		refused(t, f.exchange(t, "door", f.token(t, nil), ""), 400, "invalid_request")
	})
	t.Run("TX-03 a JWT of another issuer is no actor token, and no token of ours anywhere", func(t *testing.T) {
		refused(t, f.ask(t, "door", f.token(t, nil), "&actor_token="+f.token(t, nil)+"&actor_token_type="+tokenTypeJWT), 400, "invalid_request")
		f.requireActive(t, false, f.token(t, nil))
	})
	t.Run("TX-03 RFC 7523 §3 item 7 a JWT with a jti is exchanged once, and a refusal does not use it up", func(t *testing.T) {
		token := f.token(t, map[string]any{"jti": "once"})
		refused(t, f.ask(t, "door", token, "&scope=orders:write"), 400, "invalid_scope")
		require.Equal(t, 200, f.ask(t, "door", token, "").status)
		refused(t, f.ask(t, "door", token, ""), 400, "invalid_request")
		refused(t, f.ask(t, "small-door", token, ""), 400, "invalid_request")
		require.Contains(t, f.log.String(), "replayed")
	})
	t.Run("TX-03 nothing of a JWT is in the log", func(t *testing.T) {
		token := f.token(t, map[string]any{"sub": "secret-name", "aud": "https://vault.example.com"})
		refused(t, f.ask(t, "door", token, ""), 400, "invalid_request")
		require.NotContains(t, f.log.String(), token[:40])
		require.NotContains(t, f.log.String(), "secret-name")
	})
}

func TestForeignMayAct(t *testing.T) {
	f := startForeigners(t)
	with := "&actor_token=" + f.issue(t, "") + "&actor_token_type=" + tokenTypeAccess
	for _, c := range []struct {
		name, service string
		mayAct        any
		more          string
		status        int
	}{
		{"the client that asks", "door", map[string]any{"sub": "door"}, "", 200},
		{"with our issuer", "door", map[string]any{"sub": "door", "iss": f.URL}, "", 200},
		{"by its client id", "door", map[string]any{"client_id": "door"}, "", 200},
		{"the client of the actor token", "small-door", map[string]any{"sub": "app"}, with, 200},
		{"under impersonation the client that asks", "small-door", map[string]any{"sub": "small-door"}, "", 200},
		{"under impersonation another", "small-door", map[string]any{"sub": "door"}, "", 400},
		{"another client", "door", map[string]any{"sub": "shop"}, "", 400},
		{"a client of another issuer", "door", map[string]any{"sub": "door", "iss": idp}, "", 400},
		{"two that differ", "door", map[string]any{"sub": "door", "client_id": "shop"}, "", 400},
		{"the client that asks, where another acts", "small-door", map[string]any{"sub": "small-door"}, with, 400},
		{"nobody", "door", map[string]any{}, "", 400},
		{"our issuer alone", "door", map[string]any{"iss": f.URL}, "", 400},
		{"what cannot be compared", "door", map[string]any{"sub": "door", "email": "a@example.com"}, "", 400},
		{"no object", "door", "door", "", 400},
		{"null", "door", json.RawMessage("null"), "", 400},
		{"a list", "door", map[string]any{"sub": []string{"door"}}, "", 400},
	} {
		t.Run("TX-07 §4.4 may_act names "+c.name, func(t *testing.T) {
			r := f.ask(t, c.service, f.token(t, map[string]any{"may_act": c.mayAct}), c.more)
			require.Equal(t, c.status, r.status, r.body)
			if c.status != 200 {
				refused(t, r, 400, "invalid_request")
				require.Contains(t, f.log.String(), `"reason":"subject_token_actor"`)
			}
		})
	}
	t.Run("TX-07 §4.1 a JWT whose subject has an actor already", func(t *testing.T) {
		refused(t, f.ask(t, "door", f.token(t, map[string]any{"act": map[string]any{"sub": "x"}}), ""), 400, "invalid_request")
	})
}

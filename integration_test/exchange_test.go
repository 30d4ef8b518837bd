package integration_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/tokens"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// services exchange tokens, one behind the other: app or machine → shop → stock → ledger.
var services = []string{"shop", "stock", "ledger"}

// exchangeClients are the services, with one secret.
func exchangeClients(secret string) string {
	var b strings.Builder
	from := `"app", "machine"`
	for _, id := range services {
		fmt.Fprintf(&b, "[[clients]]\nclient_id = %q\ngrant_types = [%q]\nscope = \"orders:*\"\nexchange = { subject_clients = [%s], max_depth = 3 }\nsecrets = [{ hash = %q }]\n",
			id, exchangeGrant, from, clients.HashSecret(secret))
		from = fmt.Sprintf("%q", id)
	}
	return b.String()
}

// exchanges are two nodes on one store, with services and verifiers that follow.
type exchanges struct {
	deployment
	secret string // of each service
	a, b   *process
	jwt    *middleware.JWT // nil: tokens are opaque
	live   *middleware.Introspection
}

func newExchanges(t *testing.T, store string) *exchanges {
	t.Helper()
	addr := freeAddr(t)
	e := &exchanges{secret: tokens.NewSecret()}
	e.deployment = withUsers(t, "issuer = \"http://"+addr+"\"\n"+store, configUsers()+exchangeClients(e.secret))
	e.a = run(t, built(t, module), nil, "serve", "--config", e.config, "--listen", addr)
	e.b = e.serve(t)
	e.follow(t, store)
	return e
}

// follow has verifiers follow the feed of the first node. format has jwtFormat where tokens are
// JWTs.
func (e *exchanges) follow(t *testing.T, format string) {
	t.Helper()
	follow, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: e.a.URL, ClientID: "api", ClientSecret: e.api})
	require.NoError(t, err)
	t.Cleanup(follow.Close)
	e.live, err = middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: e.a.URL, ClientID: "api", ClientSecret: e.api, Follow: follow})
	require.NoError(t, err)
	if strings.Contains(format, jwtFormat) {
		e.jwt, err = middleware.NewJWT(middleware.JWTConfig{Issuer: e.a.URL, Audience: "https://orders.example.com", Follow: follow})
		require.NoError(t, err)
		t.Cleanup(e.jwt.Close)
	}
}

// exchange asks a node as a service.
func (e *exchanges) exchange(t *testing.T, p *process, service, token string) reply {
	t.Helper()
	return post(t, p.URL+"/oauth2/token", service, e.secret, url.Values{"grant_type": {exchangeGrant},
		"subject_token": {token}, "subject_token_type": {accessTokenType}})
}

// chain returns a token and three that came from it, exchanged at the nodes by turns.
func (e *exchanges) chain(t *testing.T, first string) []string {
	t.Helper()
	list := []string{first}
	for i, service := range services {
		r := e.exchange(t, []*process{e.a, e.b}[i%2], service, list[i])
		require.Equal(t, 200, r.status, r.body)
		list = append(list, r.text("access_token"))
	}
	return list
}

// passes says whether a verifier that follows lets a token pass. A verifier that does not know is
// asked again.
func (e *exchanges) passes(t *testing.T, token string) (passed bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		if e.jwt != nil {
			_, err = e.jwt.Verify(t.Context(), token)
		} else {
			_, err = e.live.Verify(t.Context(), token)
		}
		passed = err == nil
		return passed || errors.Is(err, middleware.ErrInvalidToken)
	}, 10*time.Second, 5*time.Millisecond)
	return passed
}

// ends makes an end, which must reach the whole chain: on the other node with the next request, and
// at verifiers that follow within the lease.
func (e *exchanges) ends(t *testing.T, list []string, end func() reply) {
	t.Helper()
	for i, token := range list {
		require.Equal(t, true, e.introspect(t, e.b, token).json["active"], "token %d", i)
		require.True(t, e.passes(t, token), "token %d", i)
	}
	r := end()
	require.Equal(t, 200, r.status, r.body)
	ended := time.Now()
	for i, token := range list {
		require.Equal(t, dead, e.introspect(t, e.b, token).body, "token %d", i)
		require.Equal(t, dead, e.introspect(t, e.a, token).body, "token %d", i)
	}
	for i, token := range list {
		for begun := time.Now(); e.passes(t, token); begun = time.Now() {
			require.Less(t, begun.Sub(ended), feedLease, "token %d", i)
		}
	}
}

// feedLease is the lease of a configuration without [feed].
const feedLease = time.Second

func TestExchangesOnTwoNodes(t *testing.T) {
	stores := map[string]func(t *testing.T) string{
		"one Redis": func(t *testing.T) string { return redisStore(redistest.Start(t)) },
		"a Cluster": clusterStore,
	}
	for name, start := range stores {
		for format, keys := range map[string]string{"opaque": "", "JWT": jwtFormat} {
			t.Run(name+", "+format, func(t *testing.T) { testExchangesOnTwoNodes(t, newExchanges(t, keys+start(t))) })
		}
	}
}

func testExchangesOnTwoNodes(t *testing.T, e *exchanges) {
	t.Helper()
	revoke := func(p *process, client, secret, token string) func() reply {
		return func() reply {
			form := url.Values{"token": {token}}
			if secret == "" {
				form.Set("client_id", client)
				client = ""
			}
			return post(t, p.URL+"/oauth2/revoke", client, secret, form)
		}
	}
	t.Run("TX-09 RFC 8693 §2.2.1 a logout ends three exchanges at once, on both nodes and at live verifiers", func(t *testing.T) {
		in, other := login(t, e.a, "ada", adaPassword), login(t, e.b, "ada", adaPassword)
		rest := e.chain(t, other.text("access_token"))
		e.ends(t, e.chain(t, in.text("access_token")), revoke(e.a, "app", "", in.text("refresh_token")))
		for _, token := range rest {
			require.Equal(t, true, e.introspect(t, e.b, token).json["active"], "of another session")
			require.True(t, e.passes(t, token))
		}
	})
	t.Run("TX-09 RFC 8693 §2.2.1 a machine's token that is revoked ends three exchanges at once, on both nodes and at live verifiers", func(t *testing.T) {
		first := e.token(t, e.a)
		rest := e.chain(t, e.token(t, e.b))
		e.ends(t, e.chain(t, first), revoke(e.a, "machine", e.machine, first))
		for _, token := range rest {
			require.Equal(t, true, e.introspect(t, e.b, token).json["active"], "of another token")
			require.True(t, e.passes(t, token))
		}
	})
	t.Run("TX-09 a token within the chain that is revoked ends those after it alone", func(t *testing.T) {
		list := e.chain(t, login(t, e.a, "ada", adaPassword).text("access_token"))
		e.ends(t, list[2:], revoke(e.a, "stock", e.secret, list[2]))
		for _, token := range list[:2] {
			require.Equal(t, true, e.introspect(t, e.b, token).json["active"])
			require.True(t, e.passes(t, token))
		}
	})
}

// TestExchangeByOthers: clients that we did not write exchange tokens.
func TestExchangeByOthers(t *testing.T) {
	e := newExchanges(t, redisStore(redistest.Start(t))+jwtFormat)
	subject := login(t, e.a, "ada", adaPassword).text("access_token")
	t.Run("TX-01 TX-04 golang.org/x/oauth2", func(t *testing.T) {
		with := func(token string) *clientcredentials.Config {
			return &clientcredentials.Config{ClientID: "shop", ClientSecret: e.secret, TokenURL: e.a.URL + "/oauth2/token", Scopes: []string{"orders:read"},
				EndpointParams: url.Values{"grant_type": {exchangeGrant}, "subject_token": {token}, "subject_token_type": {accessTokenType}, "audience": {"api"}}}
		}
		token, err := with(subject).Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []any{"Bearer", accessTokenType}, []any{token.TokenType, token.Extra("issued_token_type")})
		says := e.introspect(t, e.b, token.AccessToken)
		require.Equal(t, []any{"u-1", "shop", map[string]any{"sub": "shop", "sub_type": "client"}}, []any{says.json["sub"], says.json["client_id"], says.json["act"]}, says.body)
		_, err = with("nonsense").Token(t.Context())
		var refused *oauth2.RetrieveError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "invalid_request", refused.ErrorCode, "TX-12")
	})
	t.Run("TX-01 TX-04 TX-07 oauth4webapi and openid-client", func(t *testing.T) {
		node(t, "exchange.mjs", "ISSUER="+e.a.URL, "SECRET="+e.secret, "API_SECRET="+e.api, "SUBJECT="+subject, "MACHINE="+e.token(t, e.a))
	})
}

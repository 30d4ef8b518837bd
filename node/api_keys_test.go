package node

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
)

// keyDesk makes and ends API keys at two nodes of one Redis.
type keyDesk struct {
	a, b    *running
	clients *clients.Manager
	keys    *apikeys.Manager
}

func openKeyDesk(t *testing.T) *keyDesk {
	t.Helper()
	more := "scopes.\"orders:write\" = {}\nredis.url = \"" + redistest.Start(t).URL + "\"\n"
	d := &keyDesk{a: serve(t, more), b: serve(t, more)}
	store := d.a.resources.stores
	d.clients = parts.Manager(d.a.Config(), clients.NewRedis(store.db), store.tokens)
	d.keys = apikeys.New(d.clients, store.redis, d.a.resources.key.Codec())
	return d
}

// partner registers a client without grants and makes a key of it.
func (d *keyDesk) partner(t *testing.T, id string, ask apikeys.Ask) (text string, k *apikeys.Key) {
	t.Helper()
	require.NoError(t, d.clients.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: id,
		Scope: "orders:read orders:write", Secrets: []clients.Secret{{Hash: clients.HashSecret("secret")}}}}))
	text, k, err := d.keys.Create(t.Context(), id, ask)
	require.NoError(t, err)
	for _, n := range []*running{d.a, d.b} {
		require.Eventually(t, func() bool { return n.asked(t, text)["active"] == true }, 5*time.Second, 10*time.Millisecond)
	}
	return text, k
}

func (r *running) asked(t *testing.T, token string) map[string]any {
	t.Helper()
	status, answer := r.post(t, "/oauth2/introspect", "api", "token="+token)
	require.Equal(t, 200, status, answer)
	return answer
}

// verifier follows the feed of one node.
func (r *running) verifier(t *testing.T) (*middleware.Introspection, *middleware.Follower) {
	t.Helper()
	here := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, r.addr)
	}}
	t.Cleanup(here.CloseIdleConnections)
	const issuer = "http://127.0.0.1:8080"
	f, err := middleware.NewFollower(middleware.FollowerConfig{Issuer: issuer, ClientID: "api", ClientSecret: "secret", HTTPClient: &http.Client{Transport: here}})
	require.NoError(t, err)
	t.Cleanup(f.Close)
	v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{Issuer: issuer, ClientID: "api", ClientSecret: "secret", Follow: f, Transport: here})
	require.NoError(t, err)
	return v, f
}

const lease = time.Second // the default of [feed] lease

// TestAPIKeysOnTwoNodes: whatever ends a key ends it at both nodes, and at verifiers that follow
// within the lease.
func TestAPIKeysOnTwoNodes(t *testing.T) {
	d := openKeyDesk(t)
	both := apikeys.Ask{Name: "sync", Scope: "orders:read orders:write", TTL: time.Hour}
	endless := apikeys.Ask{Name: "sync", Scope: "orders:read orders:write", NoExpiry: true}
	narrow := func(scope string) func(context.Context, string, string) error {
		return func(ctx context.Context, id, _ string) error {
			_, err := d.clients.Update(ctx, id, func(s *clients.Stored) error { s.Scope = scope; return nil })
			return err
		}
	}
	for name, c := range map[string]struct {
		ask  apikeys.Ask
		once bool // the end is in the record of the key, which every node reads
		end  func(ctx context.Context, id, key string) error
		left string // of the scope
	}{
		"the key is revoked": {endless, true, func(ctx context.Context, id, key string) error {
			_, err := d.keys.Revoke(ctx, id, key)
			return err
		}, ""},
		"every key is revoked": {both, true, func(ctx context.Context, id, _ string) error { _, err := d.keys.RevokeAll(ctx, id); return err }, ""},
		"the client is disabled": {both, false, func(ctx context.Context, id, _ string) error {
			return d.clients.SetDisabled(ctx, id, true)
		}, ""},
		"the client is deleted":                 {endless, false, func(ctx context.Context, id, _ string) error { return d.clients.Delete(ctx, id) }, ""},
		"the client's tokens are revoked":       {both, false, func(ctx context.Context, id, _ string) error { return d.clients.RevokeTokens(ctx, id) }, ""},
		"the client loses every scope of a key": {both, false, narrow(""), ""},
		"the client loses one scope":            {endless, false, narrow("orders:read"), "orders:read"},
	} {
		t.Run(name, func(t *testing.T) {
			id := "partner-" + strings.ReplaceAll(name, " ", "-")
			text, key := d.partner(t, id, c.ask)
			va, fa := d.a.verifier(t)
			vb, fb := d.b.verifier(t)
			ctx := t.Context()
			for v, f := range map[*middleware.Introspection]*middleware.Follower{va: fa, vb: fb} {
				require.Eventually(t, func() bool {
					tok, err := v.Verify(ctx, text)
					return err == nil && tok.ID == key.ID && f.Stats().Hits > 0
				}, 10*time.Second, 10*time.Millisecond, "a key is remembered, one without an end too")
			}
			require.NoError(t, c.end(ctx, id, key.ID))
			ended := time.Now()
			scope := func(n *running) string { s, _ := n.asked(t, text)["scope"].(string); return s }
			if c.once {
				require.Equal(t, []string{"", ""}, []string{scope(d.a), scope(d.b)}, "at once")
			}
			for _, n := range []*running{d.a, d.b} {
				require.Eventually(t, func() bool { return scope(n) == c.left }, lease, time.Millisecond)
			}
			passes := func(v *middleware.Introspection) bool {
				tok, err := v.Verify(ctx, text)
				return err == nil && tok.Scope.String() != c.left
			}
			for passes(va) || passes(vb) {
				require.Less(t, time.Since(ended), lease, "no check that begins later than the lease passes")
			}
			t.Logf("both verifiers refuse %s after the end", time.Since(ended).Round(time.Millisecond))
		})
	}
	t.Run("a client of the configuration has keys too, and enabling it again revives none", func(t *testing.T) {
		text, _, err := d.keys.Create(t.Context(), "machine", apikeys.Ask{Name: "sync", Scope: "orders:read", TTL: time.Hour})
		require.NoError(t, err)
		require.Equal(t, "orders:read", d.b.asked(t, text)["scope"])
		require.NoError(t, d.clients.SetDisabled(t.Context(), "machine", true))
		require.NoError(t, d.clients.SetDisabled(t.Context(), "machine", false))
		require.Eventually(t, func() bool { return d.b.asked(t, text)["active"] == false }, 5*time.Second, time.Millisecond)
		list, err := d.keys.List(t.Context(), "machine")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.False(t, list[0].Active, "the list says so")
	})
	t.Run("RFC 7009 §2.1 the client revokes it, at another node", func(t *testing.T) {
		text, key := d.partner(t, "self", both)
		status, _ := d.b.post(t, "/oauth2/revoke", "api", "token="+text)
		require.Equal(t, 200, status)
		require.Equal(t, true, d.a.asked(t, text)["active"], "another client has no say")
		require.False(t, d.announced(t, key.ID), "nor does it tell verifiers that the key has ended")
		status, _ = d.b.post(t, "/oauth2/revoke", "self", "token="+text)
		require.Equal(t, 200, status)
		require.Equal(t, false, d.a.asked(t, text)["active"])
	})
	t.Run("two keys of a client live side by side, and one goes alone", func(t *testing.T) {
		old, k := d.partner(t, "rotating", both)
		fresh, _, err := d.keys.Create(t.Context(), "rotating", both)
		require.NoError(t, err)
		require.Equal(t, true, d.b.asked(t, fresh)["active"])
		_, err = d.keys.Revoke(t.Context(), "rotating", k.ID)
		require.NoError(t, err)
		require.Equal(t, false, d.b.asked(t, old)["active"])
		require.Equal(t, true, d.b.asked(t, fresh)["active"])
	})
	t.Run("the last use is stored, and listed", func(t *testing.T) {
		_, k := d.partner(t, "used", both)
		require.NoError(t, d.a.resources.keyUses.Store(t.Context()))
		found, err := d.keys.Get(t.Context(), "used", k.ID)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), found.LastUsed, 2*time.Minute)
	})
}

// TestAPIKeyAnswers: what introspection says of a key.
func TestAPIKeyAnswers(t *testing.T) {
	d := openKeyDesk(t)
	t.Run("RFC 7662 §2.2 exp where it has one, and its id as jti", func(t *testing.T) {
		text, k := d.partner(t, "limited", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
		told := d.a.asked(t, text)
		require.EqualValues(t, k.ExpiresAt.Unix(), told["exp"])
		require.Equal(t, []any{k.ID, "Bearer", "limited", "limited", "client", "orders:read"},
			[]any{told["jti"], told["token_type"], told["client_id"], told["sub"], told["sub_type"], told["scope"]})
		require.NotContains(t, told, "allowed_networks")
		text, _ = d.partner(t, "endless", apikeys.Ask{Name: "n", Scope: "orders:read", NoExpiry: true})
		require.NotContains(t, d.a.asked(t, text), "exp")
	})
	t.Run("a key has the custom claims that its client has now", func(t *testing.T) {
		text, _ := d.partner(t, "tenant", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
		require.NotContains(t, d.a.asked(t, text), "tenant_id")
		_, err := d.clients.Update(t.Context(), "tenant", func(s *clients.Stored) error {
			return s.Claims.UnmarshalJSON([]byte(`{"tenant_id":"t-7"}`))
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return d.b.asked(t, text)["tenant_id"] == "t-7" }, 5*time.Second, 10*time.Millisecond)
	})
	t.Run("a key for some networks is active for those alone who check them", func(t *testing.T) {
		text, _ := "", ""
		require.NoError(t, d.clients.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: "office",
			Scope: "orders:read", Secrets: []clients.Secret{{Hash: clients.HashSecret("secret")}}}}))
		text, _, err := d.keys.Create(t.Context(), "office", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour,
			Networks: []string{"203.0.113.7/24", "2001:db8::1"}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, told := d.a.post(t, "/oauth2/introspect", "api", "allowed_networks=true&token="+text)
			list, _ := told["allowed_networks"].([]any)
			return len(list) == 2 && list[0] == "2001:db8::1/128" && list[1] == "203.0.113.0/24"
		}, 5*time.Second, 10*time.Millisecond)
		require.Equal(t, map[string]any{"active": false}, d.a.asked(t, text))
		require.Equal(t, map[string]any{"active": false}, d.a.follow(t, text))
		_, told := d.a.post(t, "/oauth2/introspect", "office", "token="+text)
		require.Equal(t, map[string]any{"active": false}, told, "to its own client too")
		for name, v := range map[string]middleware.Verifier{"in the server's process": d.a.Verifier(), "over HTTP": func() middleware.Verifier { v, _ := d.a.verifier(t); return v }()} {
			guard, err := middleware.New(middleware.Config{Verifier: v, TrustedProxies: []string{"10.0.0.5"}})
			require.NoError(t, err)
			h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }), "orders:read")
			from := func(peer, forwarded string) int {
				r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
				r.RemoteAddr = peer + ":1"
				r.Header.Set("Authorization", "Bearer "+text)
				if forwarded != "" {
					r.Header.Set("X-Forwarded-For", forwarded)
				}
				h.ServeHTTP(w, r)
				return w.Code
			}
			require.Equal(t, 204, from("203.0.113.9", ""), name)
			require.Equal(t, 204, from("10.0.0.5", "198.51.100.1, 203.0.113.9"), name)
			require.Equal(t, 401, from("198.51.100.1", ""), name)
			require.Equal(t, 401, from("198.51.100.1", "203.0.113.9"), name)
			require.Equal(t, 401, from("10.0.0.5", ""), name)
			_, err = v.Verify(t.Context(), text)
			require.ErrorIs(t, err, middleware.ErrNetworkNotAllowed, "%s: nobody said from where it is sent", name)
		}
	})
	t.Run("an introspection costs about what one of an opaque token costs", func(t *testing.T) {
		key, _ := d.partner(t, "cost", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
		texts, took := []string{d.a.issue(t, "machine"), key}, [2]time.Duration{}
		for range 20 {
			for i, text := range texts {
				begun := time.Now()
				for range 50 {
					require.Equal(t, true, d.a.asked(t, text)["active"])
				}
				took[i] += time.Since(begun)
			}
		}
		t.Logf("a key to a token, 1000 introspections each in turns: %.2f", took[1].Seconds()/took[0].Seconds())
	})
	t.Run("RFC 6749 §6 it is no grant", func(t *testing.T) {
		text, _ := d.partner(t, "granting", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
		status, told := d.a.post(t, "/oauth2/token", "machine", "grant_type=refresh_token&refresh_token="+text)
		require.Equal(t, 400, status)
		require.Contains(t, []any{"unauthorized_client", "invalid_grant", "unsupported_grant_type"}, told["error"])
	})
}

// TestAPIKeyAsks: what is refused, and that the answer says what would be right.
func TestAPIKeyAsks(t *testing.T) {
	d := openKeyDesk(t)
	d.partner(t, "partner", apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour})
	good := apikeys.Ask{Name: "n", Scope: "orders:read", TTL: time.Hour}
	for want, change := range map[string]func(*apikeys.Ask){
		"name: say who will hold the key":             func(a *apikeys.Ask) { a.Name = "" },
		"at most 100 characters":                      func(a *apikeys.Ask) { a.Name = strings.Repeat("n", 101) },
		"control characters":                          func(a *apikeys.Ask) { a.Name = "a\nb" },
		"looks like a token":                          func(a *apikeys.Ask) { a.Name = "gak_0123456789" },
		"expires: say when the key ends, as 180d, or": func(a *apikeys.Ask) { a.TTL = 0 },
		"expires: say either":                         func(a *apikeys.Ask) { a.NoExpiry = true },
		"between 1m and 3650d":                        func(a *apikeys.Ask) { a.TTL = time.Second },
		"whole seconds":                               func(a *apikeys.Ask) { a.TTL = 4000 * 24 * time.Hour },
		"scope: say which scopes":                     func(a *apikeys.Ask) { a.Scope = "" },
		"nothing:here is not in [scopes]":             func(a *apikeys.Ask) { a.Scope = "nothing:here" },
		"grantor:admin is power over Grantor":         func(a *apikeys.Ask) { a.Scope = "grantor:admin" },
		"is not in [scopes]":                          func(a *apikeys.Ask) { a.Scope = "orders:*" },
		"neither an address nor a network":            func(a *apikeys.Ask) { a.Networks = []string{"office"} },
		"allowed_networks: the list is empty":         func(a *apikeys.Ask) { a.Networks = []string{} },
		"at most 32 networks":                         func(a *apikeys.Ask) { a.Networks = strings.Split(strings.Repeat("192.0.2.1 ", 33), " ")[:33] },
	} {
		t.Run(want, func(t *testing.T) {
			ask := good
			change(&ask)
			_, k, err := d.keys.Create(t.Context(), "partner", ask)
			require.Nil(t, k)
			require.ErrorContains(t, err, want)
		})
	}
	t.Run("a scope that the client may not have", func(t *testing.T) {
		_, _, err := d.keys.Create(t.Context(), "machine", apikeys.Ask{Name: "n", Scope: "orders:write", TTL: time.Hour})
		require.ErrorContains(t, err, "orders:write is not within the client's scope")
	})
	t.Run("an unknown client, and a disabled one", func(t *testing.T) {
		_, _, err := d.keys.Create(t.Context(), "nobody", good)
		require.ErrorIs(t, err, clients.ErrUnknown)
		_, err = d.keys.List(t.Context(), "nobody")
		require.ErrorIs(t, err, clients.ErrUnknown)
		require.NoError(t, d.clients.SetDisabled(t.Context(), "partner", true))
		_, _, err = d.keys.Create(t.Context(), "partner", good)
		require.ErrorContains(t, err, "the client is disabled")
	})
	t.Run("an app that everybody can use", func(t *testing.T) {
		require.NoError(t, d.clients.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: "app", Method: clients.MethodNone,
			Grants: []string{clients.GrantPassword}, Scope: "orders:read"}}))
		_, _, err := d.keys.Create(t.Context(), "app", good)
		require.ErrorContains(t, err, "everybody may use this public client")
	})
}

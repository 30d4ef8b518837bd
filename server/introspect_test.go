package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

type contextT = context.Context

// errStoreGone is as a store's error must be.
var errStoreGone = storeGone("dial tcp 10.1.2.3:6379: connection refused")

type storeGone string

func (e storeGone) Error() string { return string(e) }
func (storeGone) StoreFault()     {}

const dead = `{"active":false}`

func TestIntrospection(t *testing.T) {
	f := start(t)
	token := f.issue(t, "&scope=orders:read+plain")
	r := f.inspect(t, token)
	t.Run("IN-01 IN-03 RFC 7662 §2.2 a token that was not revoked is active, a JSON boolean", func(t *testing.T) {
		require.Equal(t, true, r.json["active"])
	})
	t.Run("IN-02 IN-09 RFC 7662 §2.2 application/json, no-store", func(t *testing.T) {
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
	})
	t.Run("IN-04 IN-05 RFC 7662 §2.2 client_id and scope", func(t *testing.T) {
		require.Equal(t, "app", r.text("client_id"))
		require.Equal(t, "orders:read plain", r.text("scope"))
	})
	t.Run("IN-06 IN-07 RFC 7662 §2.2 exp, iat and nbf are sane integers", func(t *testing.T) {
		require.NotContains(t, r.body, "e+")
		now := float64(time.Now().Unix())
		require.Greater(t, r.json["exp"], now)
		require.LessOrEqual(t, r.json["iat"], now)
		require.LessOrEqual(t, r.json["nbf"], now)
	})
	t.Run("IN-08 RFC 7662 §2.2 token_type", func(t *testing.T) { require.Equal(t, "Bearer", r.text("token_type")) })
	t.Run("IN-10 RFC 7662 §4 never the token itself", func(t *testing.T) {
		require.NotContains(t, r.body, token)
		require.Equal(t, f.URL, r.text("iss"))
		require.Len(t, r.text("jti"), 22)
	})
	t.Run("IN-11 RFC 7662 §2.1 a wrong or unknown hint changes nothing", func(t *testing.T) {
		for _, hint := range []string{"refresh_token", "access_token", "nonsense"} {
			require.Equal(t, true, f.post(t, intP, "gateway:rs", "token="+token+"&token_type_hint="+hint).json["active"])
		}
	})
	t.Run("IN-12 RFC 7662 §2.2 everything else is exactly {active:false} with 200", func(t *testing.T) {
		for _, text := range []string{"x", token[:len(token)-1], token + "x", "gat_" + strings.Repeat("0", 63), strings.Repeat("a", 30_000), "grt_x"} {
			require.Equal(t, dead, f.inspect(t, text).body)
		}
	})
	t.Run("IN-13 RFC 7662 §2.1 token is required", func(t *testing.T) {
		refused(t, f.post(t, intP, "gateway:rs", ""), 400, codeInvalidRequest)
		refused(t, f.post(t, intP, "gateway:rs", "token="), 400, codeInvalidRequest)
	})
	t.Run("IN-14 IN-15 RFC 7662 §2.3 the caller authenticates", func(t *testing.T) {
		for _, basic := range []string{"", "gateway:wrong", "nobody:rs"} {
			r := f.post(t, intP, basic, "token="+token)
			refused(t, r, 401, codeInvalidClient)
			require.NotEmpty(t, r.header.Get("WWW-Authenticate"))
		}
	})
	t.Run("IN-16 RFC 7662 §2.1 POST only, nothing from the query", func(t *testing.T) {
		require.Equal(t, 405, f.call(t, "GET", intP+"?token="+token, "", authorization("gateway:rs")).status)
		refused(t, f.post(t, intP+"?token="+token, "gateway:rs", ""), 400, codeInvalidRequest)
	})
	t.Run("IN-17 §3.2 no duplicate parameters", func(t *testing.T) {
		refused(t, f.post(t, intP, "gateway:rs", "token="+token+"&token="+token), 400, codeInvalidRequest)
	})
	t.Run("IN-18 V-06 RFC 7662 §4 a mere client learns nothing of others' tokens", func(t *testing.T) {
		require.Equal(t, dead, f.post(t, intP, "stranger:rs", "token="+token).body)
		require.Equal(t, true, f.post(t, intP, app, "token="+token).json["active"], "its own it sees")
	})
	t.Run("IN-19 RFC 7662 §2.1 public clients cannot introspect", func(t *testing.T) {
		refused(t, f.post(t, intP, "", "client_id=public&token="+token), 401, codeInvalidClient)
	})
	t.Run("IN-20 RFC 7662 §2.1 a token does not introspect itself", func(t *testing.T) {
		refused(t, f.post(t, intP, "", "token="+token, "Authorization: Bearer "+token), 403, codeInsufficientScope)
	})
	t.Run("IN-23 S-48 RFC 8707 a resource server outside the audience gets active:false", func(t *testing.T) {
		require.Equal(t, true, f.post(t, intP, "orders-api:rs", "token="+token).json["active"])
		require.Equal(t, dead, f.post(t, intP, "invoices-api:rs", "token="+token).body)
		bare := f.issue(t, "&scope=plain")
		require.Equal(t, dead, f.post(t, intP, "orders-api:rs", "token="+bare).body, "no aud: only \"any\" and its own client")
		require.Equal(t, true, f.inspect(t, bare).json["active"])
	})
	t.Run("IN-25 a store that does not answer is 503, never active:false", func(t *testing.T) {
		f.store.broken = errStoreGone
		defer func() { f.store.broken = nil }()
		r := f.post(t, intP, "gateway:rs", "token="+token)
		refused(t, r, 503, codeUnavailable)
		require.NotContains(t, r.body, "active")
	})
	t.Run("IN-27 RFC 7009 §2 revocation is visible at once", func(t *testing.T) {
		gone := f.issue(t, "")
		require.Equal(t, 200, f.post(t, revP, app, "token="+gone).status)
		require.Equal(t, dead, f.inspect(t, gone).body)
	})
}

func TestIntrospectionConsultsAllState(t *testing.T) {
	changeClient := func(change func(*clients.Client)) func(*fixture) {
		return func(f *fixture) {
			for _, c := range f.clients {
				if c.ID == "app" {
					change(c)
				}
			}
			fresh, err := clients.NewConfigured(context.Background(), f.clients, freshEpochs{f.store})
			if err != nil {
				panic(err)
			}
			f.server.cfg.Clients = fresh
		}
	}
	for name, end := range map[string]func(*fixture){
		"IN-24 V-34 the client is disabled":       changeClient(func(c *clients.Client) { c.Disabled = true }),
		"IN-24 the client is gone":                changeClient(func(c *clients.Client) { c.ID = "renamed" }),
		"IN-24 the grant was taken":               changeClient(func(c *clients.Client) { c.Grants = nil }),
		"IN-24 every scope was taken":             changeClient(func(c *clients.Client) { c.Scope, c.DefaultScope = rules("plain"), scopes.Set{} }),
		"IN-24 V-07 not_before of the deployment": func(f *fixture) { f.server.cfg.NotBefore = time.Now().Add(2 * time.Second) },
		"IN-24 V-07 another epoch of the client": func(f *fixture) {
			fresh, err := clients.NewConfigured(context.Background(), f.clients, drawnEpochs{})
			if err != nil {
				panic(err)
			}
			f.server.cfg.Clients = fresh
		},
	} {
		t.Run(name+" → inactive", func(t *testing.T) {
			f := start(t)
			token := f.issue(t, "&scope=orders:read")
			require.Equal(t, true, f.inspect(t, token).json["active"])
			end(f)
			require.Equal(t, dead, f.inspect(t, token).body)
		})
	}
	t.Run("IN-24 one of two scopes was taken → the other is left", func(t *testing.T) {
		f := start(t)
		token := f.issue(t, "&scope=orders:read+plain")
		changeClient(func(c *clients.Client) { c.Scope, c.DefaultScope = rules("plain"), scopes.Set{} })(f)
		require.Equal(t, "plain", f.inspect(t, token).text("scope"))
	})
	t.Run("IN-24 expired → inactive", func(t *testing.T) {
		f := start(t)
		for _, c := range f.clients {
			c.AccessTTL = clients.Duration(time.Second)
		}
		fresh, err := clients.NewConfigured(t.Context(), f.clients, f.store)
		require.NoError(t, err)
		f.server.cfg.Clients = fresh
		token := f.issue(t, "")
		require.Eventually(t, func() bool {
			return f.post(t, intP, "gateway:rs", "token="+token).body == dead
		}, 1900*time.Millisecond, 20*time.Millisecond)
	})
}

// freshEpochs hands on a store's epochs.
type freshEpochs struct{ clients.EpochSource }

// drawnEpochs draws other epochs at every call.
type drawnEpochs struct{}

func (drawnEpochs) KeepClientEpochs(context.Context, []string) error { return nil }

func (drawnEpochs) ClientEpochs(ctx context.Context, ids []string, held map[string]clients.Epoch) ([]clients.Epoch, error) {
	m := tokens.NewMemory(0)
	defer m.Close()
	return m.ClientEpochs(ctx, ids, held)
}

func TestStaleRegistry(t *testing.T) {
	t.Run("a registry that cannot vouch for its epochs is 503, not a guess", func(t *testing.T) {
		f := start(t)
		token := f.issue(t, "")
		f.server.cfg.Clients = staleRegistry{}
		refused(t, f.post(t, intP, "gateway:rs", "token="+token), 503, codeUnavailable)
		refused(t, f.post(t, tokP, app, ask), 503, codeUnavailable)
	})
}

type staleRegistry struct{}

func (staleRegistry) Get(context.Context, string) (*clients.Client, error) {
	return nil, clients.ErrStale
}

func TestRequestsPerSecond(t *testing.T) {
	f := start(t, func(c *Config) { c.RequestsPerSecond = 50 })
	t.Run("IN-26 S-54 RFC 7662 §4 token scanning by one caller is 429 with Retry-After", func(t *testing.T) {
		limited := 0
		for range 200 {
			if r := f.post(t, intP, "stranger:rs", "token=x"); r.status == http.StatusTooManyRequests {
				limited++
				require.Equal(t, "1", r.header.Get("Retry-After"))
			}
		}
		require.Positive(t, limited)
		require.Equal(t, 200, f.post(t, tokP, app, ask).status, "another client is not held up")
	})
}

func TestRevocation(t *testing.T) {
	f := start(t)
	alive := func(token string) bool { return f.inspect(t, token).json["active"] == true }
	t.Run("RV-01 RV-02 RFC 7009 §2 200 {} and invalid at once", func(t *testing.T) {
		token := f.issue(t, "")
		r := f.post(t, revP, app, "token="+token)
		require.Equal(t, 200, r.status)
		require.Equal(t, "{}", r.body)
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.False(t, alive(token))
	})
	t.Run("RV-03 RFC 7009 §2.2 unknown, malformed or already revoked is 200", func(t *testing.T) {
		token := f.issue(t, "")
		for range 2 {
			require.Equal(t, 200, f.post(t, revP, app, "token="+token).status)
		}
		require.Equal(t, 200, f.post(t, revP, app, "token=nonsense").status)
	})
	t.Run("RV-04 RV-05 RFC 7009 §2.1 hints are hints", func(t *testing.T) {
		for _, hint := range []string{"refresh_token", "nonsense"} {
			token := f.issue(t, "")
			require.Equal(t, 200, f.post(t, revP, app, "token="+token+"&token_type_hint="+hint).status)
			require.False(t, alive(token))
		}
	})
	t.Run("RV-06 RFC 7009 §2.1 token is required", func(t *testing.T) {
		refused(t, f.post(t, revP, app, ""), 400, codeInvalidRequest)
	})
	t.Run("RV-07 RFC 7009 §2.1 the client authenticates, or the token stays active", func(t *testing.T) {
		token := f.issue(t, "")
		refused(t, f.post(t, revP, "", "token="+token), 401, codeInvalidClient)
		refused(t, f.post(t, revP, "app:wrong", "token="+token), 401, codeInvalidClient)
		require.True(t, alive(token))
	})
	t.Run("RV-08 V-26 RFC 7009 §2.1 only the client it was issued to", func(t *testing.T) {
		token := f.issue(t, "")
		for _, other := range []string{"stranger:rs", "gateway:rs", "orders-api:rs"} {
			require.Equal(t, 200, f.post(t, revP, other, "token="+token).status)
			require.True(t, alive(token), other)
		}
	})
	t.Run("RV-09 RFC 7009 §2.1 POST only, nothing from the query", func(t *testing.T) {
		token := f.issue(t, "")
		require.Equal(t, 405, f.call(t, "GET", revP+"?token="+token, "", authorization(app)).status)
		refused(t, f.post(t, revP+"?token="+token, app, ""), 400, codeInvalidRequest)
		require.True(t, alive(token))
	})
	t.Run("RV-14 V-13 RFC 7009 §2.2.1 a storage failure is 503 and the token stays active", func(t *testing.T) {
		token := f.issue(t, "")
		f.store.broken = errStoreGone
		refused(t, f.post(t, revP, app, "token="+token), 503, codeUnavailable)
		f.store.broken = nil
		require.True(t, alive(token))
	})
	t.Run("RV-16 RFC 7009 §5 a public client names itself and ends nothing of others", func(t *testing.T) {
		token := f.issue(t, "")
		require.Equal(t, 200, f.post(t, revP, "", "client_id=public&token="+token).status)
		require.True(t, alive(token))
	})
}

func TestMetadata(t *testing.T) {
	f := start(t)
	const where = "/.well-known/oauth-authorization-server"
	r := f.call(t, "GET", where, "")
	t.Run("MD-01 SB-04 RFC 8414 §3.2 200 application/json", func(t *testing.T) {
		require.Equal(t, 200, r.status)
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
	})
	t.Run("MD-02 RFC 8414 §3.1 GET and HEAD only", func(t *testing.T) {
		r := f.post(t, where, "", "")
		require.Equal(t, 405, r.status)
		require.Equal(t, "GET, HEAD", r.header.Get("Allow"), "RFC 9110 §15.5.6")
	})
	t.Run("MD-03 RFC 8414 §3.3 issuer, byte for byte", func(t *testing.T) { require.Equal(t, f.URL, r.text("issuer")) })
	t.Run("MD-04 RFC 8414 §3.1 with a path in the issuer the well-known part goes in between", func(t *testing.T) {
		tenant := start(t, func(c *Config) { c.Issuer += "/tenant" })
		r := tenant.call(t, "GET", where+"/tenant", "")
		require.Equal(t, tenant.URL+"/tenant", r.text("issuer"))
		require.Equal(t, tenant.URL+"/tenant/oauth2/token", r.text("token_endpoint"))
		require.Equal(t, 200, tenant.post(t, "/tenant/oauth2/token", app, ask).status)
		require.Equal(t, 404, tenant.call(t, "GET", where, "").status)
	})
	t.Run("MD-05 MD-08 MD-09 RFC 8414 §2 the endpoints and their methods", func(t *testing.T) {
		require.Equal(t, f.URL+tokP, r.text("token_endpoint"))
		require.Equal(t, f.URL+intP, r.text("introspection_endpoint"))
		require.Equal(t, f.URL+revP, r.text("revocation_endpoint"))
		require.Equal(t, []any{"client_secret_basic", "client_secret_post", "Bearer", "DPoP"}, r.json["introspection_endpoint_auth_methods_supported"])
		require.NotEmpty(t, r.json["revocation_endpoint_auth_methods_supported"])
	})
	t.Run("MD-06 RFC 8414 §2 every listed grant works and no other does", func(t *testing.T) {
		require.Equal(t, []any{"client_credentials"}, r.json["grant_types_supported"])
	})
	t.Run("MD-07 RFC 8414 §2 the listed authentication methods work", func(t *testing.T) {
		require.Equal(t, []any{"client_secret_basic", "client_secret_post", "none"}, r.json["token_endpoint_auth_methods_supported"])
		none := start(t, func(c *Config) { c.PublicClients = false })
		require.NotContains(t, none.call(t, "GET", where, "").body, `"none"`)
	})
	t.Run("MD-10 RFC 8414 §2 scopes_supported", func(t *testing.T) {
		require.Equal(t, []any{"invoices:read", "orders:read", "orders:write", "other", "plain"}, r.json["scopes_supported"])
	})
	t.Run("MD-11 RFC 8414 §3.2 response_types_supported is left out: there is no authorization endpoint", func(t *testing.T) {
		require.NotContains(t, r.json, "response_types_supported")
	})
	t.Run("MD-12 RFC 8414 §3.2 no zero-element arrays, no null", func(t *testing.T) {
		bare := start(t, func(c *Config) { c.Catalogue = nil })
		for _, body := range []string{r.body, bare.call(t, "GET", where, "").body} {
			require.NotContains(t, body, "[]")
			require.NotContains(t, body, "null")
		}
	})
	t.Run("MD-13 RFC 8414 §2 no query, fragment or final slash in the issuer", func(t *testing.T) {
		for _, issuer := range []string{"", "x", "https://h/?q", "https://h?", "https://h#f", "https://h/", "/path"} {
			_, err := New(t.Context(), Config{Issuer: issuer, Clients: f.registry, Store: f.store})
			require.Error(t, err, issuer)
		}
	})
	t.Run("MD-14 Cache-Control of minutes and an ETag", func(t *testing.T) {
		require.Equal(t, "public, max-age=300", r.header.Get("Cache-Control"))
		again := f.call(t, "GET", where, "", "If-None-Match: "+r.header.Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.status)
		require.Empty(t, again.body)
	})
	t.Run("MD-15 also at openid-configuration, without OpenID features", func(t *testing.T) {
		r := f.call(t, "GET", "/.well-known/openid-configuration", "")
		require.Equal(t, f.URL, r.text("issuer"))
		require.NotContains(t, r.body, "id_token")
	})
}

func TestHealth(t *testing.T) {
	f := start(t)
	t.Run("healthz is 200 while the process serves", func(t *testing.T) {
		f.store.broken = errStoreGone
		defer func() { f.store.broken = nil }()
		require.Equal(t, 200, f.call(t, "GET", "/healthz", "").status)
	})
	t.Run("readyz is 200 when the store answers, else 503", func(t *testing.T) {
		require.Equal(t, 200, f.call(t, "GET", "/readyz", "").status)
		f.store.broken = errStoreGone
		require.Equal(t, 503, f.call(t, "GET", "/readyz", "").status)
		f.store.broken = nil
	})
	t.Run("S-60 readiness falls first when a stop begins; requests are still served", func(t *testing.T) {
		f.server.Drain()
		require.Equal(t, 503, f.call(t, "GET", "/readyz", "").status)
		require.Equal(t, 200, f.post(t, tokP, app, ask).status)
	})
}

func TestExchangeContext(t *testing.T) {
	t.Run("a client that hangs up does not cancel what the store is doing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), exchangeKey{}, nil))
		x := &exchange{Context: ctx}
		cancel()
		require.NoError(t, x.Err())
		require.Nil(t, x.Done())
		require.Same(t, x, exchangeFrom(x))
	})
}

func FuzzParseForm(f *testing.F) {
	f.Add("grant_type=client_credentials&scope=a+b")
	f.Add("a=%zz&b;c=d&&==")
	f.Add("resource=a&resource=b&x=%2B")
	f.Fuzz(func(t *testing.T, body string) {
		want, wrong := url.ParseQuery(body)
		split, ok := splitForm(body)
		require.Equal(t, wrong == nil, ok)
		if ok {
			require.Equal(t, want, split)
		}
		form, err := parseForm(body)
		if err != nil {
			require.Nil(t, form)
			return
		}
		require.NoError(t, wrong, "nothing that net/url refuses")
		for name, values := range form {
			if !mayRepeat(name) {
				require.Len(t, values, 1)
				require.NotEmpty(t, values[0])
			}
		}
	})
}

package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// operated is a fixture with an operator's client, whose admin listener can be asked.
func operated(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	return start(t, append(change, func(c *Config) {
		c.Manager = &clients.Manager{}
		var err error
		c.Clients, err = clients.NewConfigured(t.Context(), append(testClients(), &clients.Client{Registration: clients.Registration{ID: "op", Secrets: secrets("s"), Grants: []string{clients.GrantClientCredentials}, Audience: []string{invoicesResource}}, Scope: rules("grantor:admin grantor:clients orders:* plain"), DefaultScope: scopes.MustParse("orders:read")}), c.Store)
		require.NoError(t, err)
	})...)
}

// admin asks the admin listener.
func (f *fixture) admin(t *testing.T, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader("{}"))
	r.Host = "localhost" // its own name: another would be refused
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	f.server.Admin().ServeHTTP(w, r)
	return w
}

const sessionsPath = "/admin/v1/users/u-1/sessions"

func TestReservedScopes(t *testing.T) {
	for format, change := range map[string]func(*Config){
		"opaque": func(*Config) {},
		"jwt":    withKeys(t),
	} {
		t.Run(format, func(t *testing.T) {
			f := operated(t, change)
			token := func(more string) reply { return f.post(t, tokP, "op:s", ask+more) }
			t.Run("RFC 9700 §2.3 a token with power over Grantor carries no other scope", func(t *testing.T) {
				for _, mixed := range []string{"grantor:admin+orders:read", "grantor:clients+plain", "orders:write+grantor:admin+grantor:clients"} {
					r := token("&scope=" + mixed)
					refused(t, r, 400, codeInvalidScope)
					require.Contains(t, r.text("error_description"), "asked for alone")
				}
				require.Equal(t, "orders:read", token("").text("scope"), "nor by default")
			})
			t.Run("RFC 9700 §2.3 it has an audience of its own, which no API has", func(t *testing.T) {
				r := token("&scope=grantor:admin+grantor:clients")
				require.Equal(t, 200, r.status, r.body)
				text := r.text("access_token")
				require.Equal(t, []any{f.URL + "/admin"}, f.inspect(t, text).json["aud"], "not the client's own")
				require.Equal(t, `{"active":false}`, f.post(t, intP, "orders-api:rs", "token="+url.QueryEscape(text)).body)
				if format == "jwt" {
					_, claims := parts(t, text)
					require.Equal(t, f.URL+"/admin", claims["aud"])
				}
				require.Equal(t, http.StatusOK, f.admin(t, "GET", sessionsPath, text).Code)
			})
			t.Run("RFC 8707 §2 resource may name that audience, and no API's", func(t *testing.T) {
				require.Equal(t, 200, token("&scope=grantor:admin&resource="+url.QueryEscape(f.URL+"/admin")).status)
				refused(t, token("&scope=grantor:admin&resource="+ordersResource), 400, codeInvalidTarget)
			})
			t.Run("RFC 9068 §4 the admin listener demands its audience, of tokens from before too", func(t *testing.T) {
				text, id := f.server.codec.NewClientAccess()
				client, err := f.server.cfg.Clients.Get(t.Context(), "op")
				require.NoError(t, err)
				require.NoError(t, f.store.Issue(t.Context(), id, &tokens.Record{ClientID: "op", ClientEpoch: client.Epoch, IssuedAt: time.Now().Truncate(time.Second),
					Scope: "grantor:admin grantor:clients orders:read", Audience: []string{ordersResource}, TTL: time.Minute}))
				for method, path := range map[string]string{"GET": sessionsPath, "POST": pathRegister} {
					w := f.admin(t, method, path, text)
					require.Equal(t, http.StatusUnauthorized, w.Code, w.Body)
					require.Contains(t, w.Body.String(), "another resource")
				}
			})
		})
	}
}

// aheadStore is a store whose clock is an hour ahead of the node's.
type aheadStore struct{ *flakyStore }

func (aheadStore) Now() time.Time { return time.Now().Add(time.Hour) }

func TestStoresClock(t *testing.T) {
	f := operated(t, func(c *Config) { c.Store = aheadStore{c.Store.(*flakyStore)} })
	token := f.post(t, tokP, "op:s", ask+"&scope=grantor:admin").text("access_token")
	t.Run("S-27 iat and exp are the store's", func(t *testing.T) {
		answer := f.inspect(t, token).json
		require.InDelta(t, time.Now().Add(time.Hour).Unix(), answer["iat"], 60)
		require.InDelta(t, 900, answer["exp"].(float64)-answer["iat"].(float64), 0)
	})
	t.Run("S-27 the admin listener judges by it", func(t *testing.T) {
		require.Equal(t, http.StatusOK, f.admin(t, "GET", sessionsPath, token).Code)
	})
}

package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/keys"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// wideCatalogue has 120 scopes of 40 characters, each with a resource of its own of as many, and 60
// that imply two each.
func wideCatalogue(t *testing.T) *scopes.Catalogue {
	t.Helper()
	table := map[string]scopes.Scope{}
	for i := range 120 {
		table[fmt.Sprintf("w:%s%03d", strings.Repeat("x", 34), i)] = scopes.Scope{Resource: fmt.Sprintf("https://%s%03d.example.com", strings.Repeat("r", 15), i)}
		table[fmt.Sprintf("p:%03d", i)] = scopes.Scope{}
	}
	for i := range 60 {
		table[fmt.Sprintf("i:%02d", i)] = scopes.Scope{Implies: []string{fmt.Sprintf("p:%03d", i), fmt.Sprintf("p:%03d", i+60)}}
	}
	c, err := scopes.NewCatalogue(table)
	require.NoError(t, err)
	return c
}

// wide is a fixture with a client that may ask for all of it.
func wide(t *testing.T, change ...func(*Config)) *fixture {
	t.Helper()
	return start(t, append(change, func(c *Config) {
		c.Catalogue = wideCatalogue(t)
		var err error
		c.Clients, err = clients.NewConfigured(t.Context(), []*clients.Client{{Registration: clients.Registration{ID: "wide", Secrets: secrets("s"), Introspect: clients.SightAny, Grants: []string{clients.GrantClientCredentials}}, Scope: rules("w:* p:* i:*")}}, c.Store)
		require.NoError(t, err)
	})...)
}

// some names the first n scopes of a kind.
func some(kind string, n int) string {
	var list []string
	for i := range n {
		switch kind {
		case "w":
			list = append(list, fmt.Sprintf("w:%s%03d", strings.Repeat("x", 34), i))
		case "i":
			list = append(list, fmt.Sprintf("i:%02d", i))
		default:
			list = append(list, fmt.Sprintf("p:%03d", i))
		}
	}
	return "&scope=" + url.QueryEscape(strings.Join(list, " "))
}

func TestScopeBounds(t *testing.T) {
	for format, change := range map[string]func(*Config){"opaque": func(*Config) {}, "ES256": withKeys(t), "RS256": withKeys(t, keys.RS256)} {
		t.Run(format, func(t *testing.T) {
			f := wide(t, change)
			token := func(more string) reply { return f.post(t, tokP, "wide:s", ask+more) }
			active := func(text string) reply { return f.post(t, intP, "wide:s", "token="+url.QueryEscape(text)) }
			t.Run("SC-08 what is issued is readable: a hundred scopes, asked for or implied", func(t *testing.T) {
				for asked, want := range map[string]int{some("p", 100): 100, some("i", 33): 99} {
					r := token(asked)
					require.Equal(t, 200, r.status, r.body)
					answer := active(r.text("access_token"))
					require.Equal(t, true, answer.json["active"], answer.body)
					require.Len(t, strings.Fields(answer.text("scope")), want)
				}
			})
			t.Run("SC-08 what scopes imply counts: more than a hundred are invalid_scope, with the reason", func(t *testing.T) {
				r := token(some("i", 34))
				refused(t, r, 400, codeInvalidScope)
				require.Contains(t, r.text("error_description"), "102 scope tokens, at most 100 are allowed")
			})
			t.Run("RFC 8707 §2 resources of more than 4 kB are invalid_target, with the reason", func(t *testing.T) {
				r := token(some("w", 96) + "&resource=https://none.example")
				refused(t, r, 400, codeInvalidTarget)
			})
			t.Run("BR-01 the largest token passes the guard of APIs", func(t *testing.T) {
				r := token(some("w", 95))
				require.Equal(t, 200, r.status, r.body)
				text := r.text("access_token")
				require.Equal(t, true, active(text).json["active"])
				if format != "opaque" {
					require.Greater(t, len(text), 8<<10)
				}
				v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: f.URL + intP, ClientID: "wide", ClientSecret: "s"})
				require.NoError(t, err)
				verifiers := []middleware.Verifier{v, f.server.Verifier()}
				if format != "opaque" {
					local, err := middleware.NewJWT(middleware.JWTConfig{Issuer: f.URL, Audience: "https://rrrrrrrrrrrrrrr000.example.com", HTTPClient: &http.Client{Timeout: time.Minute}})
					require.NoError(t, err)
					defer local.Close()
					verifiers = append(verifiers, local)
				}
				for _, v := range verifiers {
					guard, err := middleware.New(middleware.Config{Verifier: v})
					require.NoError(t, err)
					w := httptest.NewRecorder()
					req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
					req.Header.Set("Authorization", "Bearer "+text)
					guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "w:"+strings.Repeat("x", 34)+"094").ServeHTTP(w, req)
					require.Equal(t, 200, w.Code, w.Body)
				}
			})
			t.Run("SC-08 a token that was issued before the bound held stays readable", func(t *testing.T) {
				text, id := f.server.codec.NewClientAccess()
				client, err := f.server.cfg.Clients.Get(t.Context(), "wide")
				require.NoError(t, err)
				all, err := url.QueryUnescape(strings.TrimPrefix(some("p", 120), "&scope="))
				require.NoError(t, err)
				require.NoError(t, f.store.Issue(t.Context(), id, &tokens.Record{ClientID: "wide", ClientEpoch: client.Epoch, Scope: all,
					IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute}))
				require.Equal(t, true, active(text).json["active"])
			})
		})
	}
	t.Run("SC-08 a JWT that would be longer than APIs take is invalid_scope, not a fault", func(t *testing.T) {
		f := wide(t, withKeys(t), func(c *Config) { c.Keys = tooLong{c.Keys} })
		r := f.post(t, tokP, "wide:s", ask+some("p", 1))
		refused(t, r, 400, codeInvalidScope)
		require.Contains(t, r.text("error_description"), "longer than 16 kB")
	})
}

// tooLong is keys for which every token is too long.
type tooLong struct{ SigningKeys }

func (tooLong) Sign(keys.Algorithm, string, []byte) (string, error) { return "", keys.ErrTooLong }

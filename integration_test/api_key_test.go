package integration_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/middleware"
)

// keyMade is what "grantor key create --json" and the admin API say of a key that was made.
type keyMade struct {
	ID      string `json:"id"`
	Key     string `json:"api_key"`
	Expires string `json:"expires_at"`
	Creator string `json:"created_by"`
}

func (d deployment) apiKey(t *testing.T, args ...string) (k keyMade) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(d.must(t, "", append([]string{"key", "create", "--json"}, args...)...)), &k))
	require.Regexp(t, `^gak_[0-9A-Za-z]{63}$`, k.Key, "as docs/guides/api-keys.md tells scanners")
	seen.secret(k.Key)
	return k
}

// TestAPIKeyCommands: keys by the command line, at a running node.
func TestAPIKeyCommands(t *testing.T) {
	s := redistest.Start(t)
	name := filepath.Join(t.TempDir(), "audit.log")
	d := trailed(t, s, name)
	p := d.serve(t)
	d.must(t, "", "client", "create", "--id", "partner", "--scope", "orders:read")
	t.Run("without an end, and without saying so, there is no key", func(t *testing.T) {
		out, code := d.command(t, "", "key", "create", "partner", "--name", "sync", "--scope", "orders:read")
		require.Equal(t, 2, code)
		require.Contains(t, out, "expires: say when the key ends, as 180d, or say that it has no end (--no-expiry, no_expiry)")
	})
	t.Run("a wrong call tells what is right", func(t *testing.T) {
		for want, args := range map[string][]string{
			"create takes CLIENT":    {"create"},
			"revoke takes CLIENT ID": {"revoke", "partner", "--yes"},
			"revoke takes CLIENT;":   {"revoke", "partner", "x", "--all", "--yes"},
			"key needs one of":       {},
			"neither an address":     {"create", "partner", "--name", "n", "--scope", "orders:read", "--expires", "1h", "--allowed-network", "office"},
			"is not within the":      {"create", "partner", "--name", "n", "--scope", "orders:write", "--expires", "1h"},
			"say --yes":              {"revoke", "partner", "x"},
		} {
			out, code := d.command(t, "", append([]string{"key"}, args...)...)
			require.Equal(t, 2, code, out)
			require.Contains(t, out, want)
		}
		for want, args := range map[string][]string{
			`there is no client "nobody"`:               {"list", "nobody"},
			"this client has no API key with this id":   {"revoke", "partner", "2bZ8kQ0xqk7rW1vYp3nT5u", "--yes"},
			"this client has no API key with this id\n": {"show", "partner", "x"},
		} {
			out, code := d.command(t, "", append([]string{"key"}, args...)...)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, want)
		}
	})
	t.Run("created, used, listed, revoked; the trail tells both by the key's id", func(t *testing.T) {
		k := d.apiKey(t, "partner", "--name", "Order sync", "--scope", "orders:read", "--expires", "180d")
		require.Equal(t, whoRuns(t), k.Creator)
		within(t, func() bool { return d.introspect(t, p, k.Key).json["active"] == true })
		told := d.introspect(t, p, k.Key)
		require.Equal(t, k.ID, told.text("jti"))
		require.Equal(t, []any{"https://orders.example.com"}, told.json["aud"])
		out := d.must(t, "", "key", "list", "partner")
		require.Regexp(t, regexp.QuoteMeta(k.ID)+` +Order sync +orders:read .* active\n`, out)
		require.NotContains(t, d.must(t, "", "key", "show", "partner", k.ID), "gak_")
		require.Equal(t, "the API key has ended\n", d.must(t, "", "key", "revoke", "partner", k.ID, "--yes"))
		require.Equal(t, dead, d.introspect(t, p, k.Key).body, "at once")
		require.NotContains(t, d.must(t, "", "key", "list", "partner"), k.ID)
		var told2 []audit.Event
		for _, e := range fileTrail(t, name) {
			if strings.HasPrefix(e.Event, "key_") {
				told2 = append(told2, e)
			}
		}
		require.Len(t, told2, 2)
		for i, event := range []string{audit.KeyCreated, audit.KeyRevoked} {
			require.Equal(t, []string{event, k.ID, "partner", "Order sync", "orders:read", whoRuns(t)},
				[]string{told2[i].Event, told2[i].Token, told2[i].Client, told2[i].Detail, told2[i].Scope, told2[i].Actor})
		}
	})
	t.Run("a key without an end is warned of, and all of them go at once", func(t *testing.T) {
		out := d.must(t, "", "key", "create", "partner", "--name", "a", "--scope", "orders:read", "--no-expiry")
		seen.secret(regexp.MustCompile(`gak_\w+`).FindString(out))
		require.Contains(t, out, "expires    never\n")
		require.Contains(t, out, "warning: this key has no end")
		d.apiKey(t, "partner", "--name", "b", "--scope", "orders:read", "--expires", "1h")
		require.Equal(t, "2 API keys have ended\n", d.must(t, "", "key", "revoke", "partner", "--all", "--yes"))
	})
	t.Run("a client of config.toml has keys too", func(t *testing.T) {
		k := d.apiKey(t, "machine", "--name", "n", "--scope", "orders:write", "--expires", "1h")
		require.Equal(t, "orders:read orders:write", d.introspect(t, p, k.Key).text("scope"))
		require.Equal(t, 200, post(t, p.URL+"/oauth2/revoke", "machine", d.machine, url.Values{"token": {k.Key}}).status)
		require.Equal(t, dead, d.introspect(t, p, k.Key).body)
	})
	t.Run("a client that is deleted leaves no key in Redis", func(t *testing.T) {
		k := d.apiKey(t, "partner", "--name", "n", "--scope", "orders:read", "--expires", "1h")
		require.Equal(t, 200, post(t, p.URL+"/oauth2/introspect", "api", d.api, url.Values{"token": {k.Key}}).status)
		d.must(t, "", "client", "delete", "partner", "--yes")
		within(t, func() bool { return d.introspect(t, p, k.Key).body == dead })
		out, code := d.command(t, "", "key", "list", "partner")
		require.Equal(t, 1, code)
		require.Contains(t, out, `there is no client "partner"`)
	})
	t.Run("with store = memory there are none", func(t *testing.T) {
		out, code := deploy(t, memoryStore).command(t, "", "key", "list", "machine")
		require.Equal(t, 2, code)
		require.Contains(t, out, "they must outlive the server's process")
	})
}

// TestAdminAPIKeys: keys by the admin API.
func TestAdminAPIKeys(t *testing.T) {
	o := openDesk(t)
	o.job(t, "partner")
	keys := clientPath("partner") + "/keys"
	t.Run("created, listed, shown, revoked", func(t *testing.T) {
		made := o.does(t, 201, "POST", keys, members{"name": "Order sync", "scope": "orders:read", "expires_in": "180d", "allowed_networks": []string{"203.0.113.9"}})
		seen.secret(made.text("api_key"))
		require.Regexp(t, `^gak_[0-9A-Za-z]{63}$`, made.text("api_key"))
		require.Equal(t, "op", made.text("created_by"))
		id := made.text("id")
		list := o.does(t, 200, "GET", keys, nil)
		require.NotContains(t, list.body, "gak_")
		require.Equal(t, id, list.json["keys"].([]any)[0].(members)["id"])
		shown := o.does(t, 200, "GET", keys+"/"+id, nil)
		require.Equal(t, []any{"203.0.113.9/32"}, shown.json["allowed_networks"])
		require.Equal(t, true, shown.json["active"])
		o.does(t, 204, "DELETE", keys+"/"+id, nil)
		o.refused(t, 404, "invalid_request", "GET", keys+"/"+id, nil)
		o.refused(t, 404, "invalid_request", "DELETE", keys+"/"+id, nil)
		within(t, func() bool { return strings.Contains(o.p.Out.String(), `"event":"key_revoked"`) })
		log := o.p.Out.String()
		require.Regexp(t, `"event":"key_created","request_id":"\w+","actor":"op","client_id":"partner","jti":"`+id+`","scope":"orders:read","detail":"Order sync"`, log)
	})
	t.Run("refusals say what would be right", func(t *testing.T) {
		for want, body := range map[string]members{
			"say when the key ends":            {"name": "n", "scope": "orders:read"},
			"say who will hold the key":        {"scope": "orders:read", "no_expiry": true},
			"no API key has: ask for a token":  {"name": "n", "scope": "grantor:admin", "no_expiry": true},
			"neither an address nor a network": {"name": "n", "scope": "orders:read", "no_expiry": true, "allowed_networks": []string{"x"}},
			"unknown field":                    {"name": "n", "scope": "orders:read", "no_expiry": true, "surprise": 1},
		} {
			r := o.does(t, 400, "POST", keys, body)
			require.Contains(t, r.text("error_description"), want)
		}
		o.refused(t, 404, "invalid_request", "POST", clientPath("nobody")+"/keys", members{"name": "n", "scope": "orders:read", "no_expiry": true})
		o.refused(t, 404, "invalid_request", "GET", clientPath("nobody")+"/keys", nil)
	})
	t.Run("at most 50, which the answer says; and all of them go at once", func(t *testing.T) {
		for range 50 {
			r := o.does(t, 201, "POST", keys, members{"name": "n", "scope": "orders:read", "no_expiry": true})
			seen.secret(r.text("api_key"))
		}
		r := o.does(t, 409, "POST", keys, members{"name": "n", "scope": "orders:read", "no_expiry": true})
		require.Contains(t, r.text("error_description"), "a client has 50 API keys at most")
		o.does(t, 204, "DELETE", keys, nil)
		require.Empty(t, o.does(t, 200, "GET", keys, nil).json["keys"])
		r = o.does(t, 201, "POST", keys, members{"name": "n", "scope": "orders:read", "no_expiry": true})
		seen.secret(r.text("api_key"))
	})
	t.Run("RFC 9700 §2.3 a key opens no admin API", func(t *testing.T) {
		r := o.does(t, 201, "POST", keys, members{"name": "n", "scope": "orders:read", "no_expiry": true})
		seen.secret(r.text("api_key"))
		require.Equal(t, 401, o.p.ask(r.text("api_key"), "GET", "/admin/v1/clients", nil).status)
	})
}

// TestAPIKeyGuide follows docs/guides/api-keys.md.
func TestAPIKeyGuide(t *testing.T) {
	d := trailed(t, redistest.Start(t), filepath.Join(t.TempDir(), "audit.log"))
	p := d.serve(t)
	v, err := middleware.NewIntrospection(middleware.IntrospectionConfig{URL: p.URL + "/oauth2/introspect", ClientID: "api", ClientSecret: d.api})
	require.NoError(t, err)
	orders, err := middleware.New(middleware.Config{Verifier: v, Audience: "https://orders.example.com", APIKeyHeaders: true})
	require.NoError(t, err)
	api := httptest.NewServer(orders.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]\n")) }), "orders:read"))
	defer api.Close()
	guide{page: "api-keys.md", here: []string{"https://api.example.com", api.URL}, environ: []string{"GRANTOR_CONFIG=" + d.config},
		programs: map[string]string{"grantor": built(t, module)}}.follow(t)
}

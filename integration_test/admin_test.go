package integration_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// desk is a deployment, a node of it, and an operator's program there with a token for the admin
// listener.
type desk struct {
	deployment
	p     *process
	token string
}

func openDesk(t *testing.T) desk {
	t.Helper()
	return openDeskOn(t, redistest.Start(t), "")
}

func openDeskOn(t *testing.T, s *redistest.Server, more string) desk {
	t.Helper()
	d := operated(t, s, more)
	o := desk{deployment: d, p: d.serve(t)}
	secret := d.client(t, "op", "grantor:admin grantor:clients orders:read")
	within(t, func() bool {
		o.token = post(t, o.p.URL+"/oauth2/token", "op", secret, credentials("grantor:admin grantor:clients")).text("access_token")
		return o.token != ""
	})
	return o
}

type members = map[string]any

// does asks and demands a status.
func (o desk) does(t *testing.T, status int, method, path string, body any) reply {
	t.Helper()
	r := o.p.ask(o.token, method, path, body)
	require.Equal(t, status, r.status, "%s %s: %s", method, path, r.body)
	seen.secret(r.text("client_secret"), r.text("registration_access_token"))
	return r
}

// refused asks and demands an OAuth error.
func (o desk) refused(t *testing.T, status int, code, method, path string, body any) {
	t.Helper()
	r := o.does(t, status, method, path, body)
	require.Equal(t, code, r.json["error"], r.body)
	require.NotEmpty(t, r.json["error_description"], "a refusal says what was wrong")
	require.Equal(t, "no-store", r.header.Get("Cache-Control"))
}

func clientPath(id string) string { return "/admin/v1/clients/" + url.PathEscape(id) }
func userPath(sub string) string  { return "/admin/v1/users/" + url.PathEscape(sub) }

// job makes a client that may ask for orders:read and returns its secret.
func (o desk) job(t *testing.T, id string) string {
	t.Helper()
	made := o.does(t, 201, "POST", "/admin/v1/clients", members{"client_id": id, "grant_types": []string{"client_credentials"}, "scope": "orders:read"})
	require.Equal(t, id, made.text("client_id"))
	return made.text("client_secret")
}

// issue asks for a token and returns it, "" where it is refused.
func (o desk) issue(t *testing.T, id, secret string) string {
	t.Helper()
	return post(t, o.p.URL+"/oauth2/token", id, secret, credentials("orders:read")).text("access_token")
}

// issued waits until a client gets a token.
func (o desk) issued(t *testing.T, id, secret string) (token string) {
	t.Helper()
	within(t, func() bool { token = o.issue(t, id, secret); return token != "" })
	return token
}

func (o desk) dies(t *testing.T, token string) {
	t.Helper()
	within(t, func() bool { return o.introspect(t, o.p, token).body == dead })
}

func TestAdminClients(t *testing.T) {
	o := openDesk(t)
	t.Run("RFC 7591 §2 created, shown, changed, deleted", func(t *testing.T) {
		secret := o.job(t, "job")
		require.True(t, strings.HasPrefix(secret, "gcs_"))
		shown := o.does(t, 200, "GET", clientPath("job"), nil)
		require.Equal(t, "registry", shown.json["source"])
		require.NotContains(t, shown.body, secret)
		o.refused(t, 409, "invalid_request", "POST", "/admin/v1/clients", members{"client_id": "job", "scope": "orders:read"})
		o.refused(t, 409, "invalid_request", "POST", "/admin/v1/clients", members{"client_id": "machine"})
		token := o.issued(t, "job", secret)
		changed := o.does(t, 200, "PATCH", clientPath("job"), members{"client_name": "Nightly", "access_ttl": "5m"})
		require.Equal(t, "Nightly", changed.json["client_name"])
		require.Equal(t, "5m", changed.json["access_ttl"])
		require.Equal(t, "orders:read", changed.json["scope"], "what the body does not name stays")
		o.does(t, 200, "PATCH", clientPath("job"), members{"scope": ""})
		o.dies(t, token)
		o.does(t, 204, "DELETE", clientPath("job"), nil)
		o.refused(t, 404, "invalid_request", "GET", clientPath("job"), nil)
		within(t, func() bool {
			return post(t, o.p.URL+"/oauth2/token", "job", secret, clientCredentials).json["error"] == "invalid_client"
		})
	})
	t.Run("a client without an id is given one, of unreserved characters", func(t *testing.T) {
		id := o.does(t, 201, "POST", "/admin/v1/clients", members{"scope": "orders:read"}).text("client_id")
		require.Regexp(t, `^[a-z0-9]{20}$`, id)
	})
	t.Run("V-34 disabled and enabled, by its endpoint or by a change: refused, and nothing revives", func(t *testing.T) {
		secret := o.job(t, "switched")
		for name, turn := range map[string]func(off bool){
			"endpoint": func(off bool) {
				o.does(t, 204, "POST", clientPath("switched")+map[bool]string{true: "/disable", false: "/enable"}[off], nil)
			},
			"change": func(off bool) { o.does(t, 200, "PATCH", clientPath("switched"), members{"disabled": off}) },
		} {
			token := o.issued(t, "switched", secret)
			turn(true)
			o.dies(t, token)
			within(t, func() bool { return o.issue(t, "switched", secret) == "" })
			turn(false)
			fresh := o.issued(t, "switched", secret)
			require.Equal(t, dead, o.introspect(t, o.p, token).body, "%s: an old token is active again", name)
			require.Equal(t, true, o.introspect(t, o.p, fresh).json["active"])
		}
	})
	t.Run("every token of a client revoked; the client goes on", func(t *testing.T) {
		secret := o.job(t, "emptied")
		token := o.issued(t, "emptied", secret)
		o.does(t, 204, "POST", clientPath("emptied")+"/revoke-tokens", nil)
		o.dies(t, token)
		o.issued(t, "emptied", secret)
	})
	t.Run("CA-17 secrets rotated, listed, revoked", func(t *testing.T) {
		first := o.job(t, "rotated")
		second := o.does(t, 201, "POST", clientPath("rotated")+"/secrets", members{"overlap": "24h"}).text("client_secret")
		o.issued(t, "rotated", second)
		o.issued(t, "rotated", first)
		list := o.does(t, 200, "GET", clientPath("rotated")+"/secrets", nil)
		require.Len(t, list.json["secrets"], 2)
		require.NotContains(t, list.body, "sha256:")
		require.NotContains(t, list.body, second)
		old := list.json["secrets"].([]any)[0].(members)
		end, err := time.Parse(time.RFC3339, old["expires_at"].(string))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(24*time.Hour), end, time.Minute)
		o.does(t, 204, "DELETE", clientPath("rotated")+"/secrets/"+old["id"].(string), nil)
		within(t, func() bool { return o.issue(t, "rotated", first) == "" })
		o.refused(t, 400, "invalid_client_metadata", "DELETE", clientPath("rotated")+"/secrets/"+old["id"].(string), nil)
		left := o.does(t, 200, "GET", clientPath("rotated")+"/secrets", nil).json["secrets"].([]any)[0].(members)["id"].(string)
		o.refused(t, 400, "invalid_client_metadata", "DELETE", clientPath("rotated")+"/secrets/"+left, nil)
		third := o.does(t, 201, "POST", clientPath("rotated")+"/secrets", members{"overlap": "0s"}).text("client_secret")
		within(t, func() bool { return o.issue(t, "rotated", second) == "" })
		o.issued(t, "rotated", third)
	})
	t.Run("a list of secrets replaces the list: nothing of the old one stays in it", func(t *testing.T) {
		o.job(t, "renewed")
		o.does(t, 201, "POST", clientPath("renewed")+"/secrets", members{"overlap": "1h"})
		own := tokens.NewSecret()
		changed := o.does(t, 200, "PATCH", clientPath("renewed"), members{"secrets": []members{{"hash": clients.HashSecret(own).String()}}})
		require.Len(t, changed.json["secrets"], 1)
		require.NotContains(t, changed.json["secrets"].([]any)[0], "expires_at", "the old secret's end is not the new one's")
		o.issued(t, "renewed", own)
	})
	t.Run("listed in pages: each client once, those of config.toml first", func(t *testing.T) {
		for _, id := range []string{"p1", "p2", "p3", "p4", "p5"} {
			o.job(t, id)
		}
		var found []string
		for path, cursor := "/admin/v1/clients?limit=2", ""; ; {
			page := o.does(t, 200, "GET", path+cursor, nil)
			for _, c := range page.json["clients"].([]any) {
				found = append(found, c.(members)["client_id"].(string))
			}
			if page.text("next_cursor") == "" {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(page.text("next_cursor"))
		}
		for _, id := range []string{"machine", "api", "app", "p1", "p2", "p3", "p4", "p5", "op"} {
			require.Equal(t, 1, len(slices.DeleteFunc(slices.Clone(found), func(s string) bool { return s != id })), "%s in %v", id, found)
		}
		require.Less(t, slices.Index(found, "api"), slices.Index(found, "p1"))
		for _, query := range []string{"limit=0", "limit=1001", "limit=x", "cursor=zz", "cursor=100.0"} {
			o.refused(t, 400, "invalid_request", "GET", "/admin/v1/clients?"+query, nil)
		}
	})
	t.Run("a client of config.toml cannot be changed here, and can be disabled", func(t *testing.T) {
		require.Equal(t, "config", o.does(t, 200, "GET", clientPath("machine"), nil).json["source"])
		o.refused(t, 409, "invalid_request", "PATCH", clientPath("machine"), members{"client_name": "x"})
		o.refused(t, 409, "invalid_request", "DELETE", clientPath("machine"), nil)
		o.refused(t, 409, "invalid_request", "POST", clientPath("machine")+"/secrets", members{"overlap": "1h"})
		o.refused(t, 409, "invalid_request", "DELETE", clientPath("machine")+"/secrets/00000000", nil)
		token := o.deployment.token(t, o.p)
		o.does(t, 204, "POST", clientPath("machine")+"/disable", nil)
		o.dies(t, token)
		require.Equal(t, true, o.does(t, 200, "GET", clientPath("machine"), nil).json["disabled"])
		o.does(t, 204, "POST", clientPath("machine")+"/enable", nil)
		o.issued(t, "machine", o.machine)
	})
	t.Run("any id that a client may have can be named in a path", func(t *testing.T) {
		for _, id := range []string{"a/b {c}", "a/b+c", "a+b", "100%", "100%/+%2B", "..", ".", "{id}", "?x=#y", "openapi.json", "disable", "a//b", "~", "\\", ";=&,"} {
			o.job(t, id)
			require.Equal(t, id, o.does(t, 200, "GET", clientPath(id), nil).json["client_id"])
			o.does(t, 204, "POST", clientPath(id)+"/disable", nil)
			o.does(t, 201, "POST", clientPath(id)+"/secrets", members{"overlap": "1h"})
			o.does(t, 204, "DELETE", clientPath(id), nil)
		}
	})
}

func TestAdminClientsRefused(t *testing.T) {
	o := openDesk(t)
	o.job(t, "job")
	before := o.does(t, 200, "GET", clientPath("job"), nil).body
	hash := clients.HashSecret("x").String()
	for name, body := range map[string]any{
		"a member that does not exist": members{"surprise": 1},
		"a number as a name":           members{"client_name": 1},
		"a text as a list":             members{"grant_types": "client_credentials"},
		"null in a list":               members{"contacts": []any{nil}},
		"a list":                       []string{},
		"a text":                       "x",
		"nothing but null":             json.RawMessage("null"),
		"a secret in place of a hash":  members{"secrets": []members{{"hash": "a-secret-that-was-typed"}}},
		"no duration":                  members{"access_ttl": "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			o.refused(t, 400, "invalid_request", "POST", "/admin/v1/clients", body)
			o.refused(t, 400, "invalid_request", "PATCH", clientPath("job"), body)
		})
	}
	for name, body := range map[string]members{
		"scopes over Grantor":                {"scope": "grantor:admin"},
		"scopes over Grantor, among others":  {"scope": "orders:read grantor:clients"},
		"scopes over Grantor, by wildcard":   {"scope": "grantor:*"},
		"scopes over Grantor, by default":    {"scope": "orders:read", "default_scope": "grantor:admin"},
		"a scope that does not exist":        {"scope": "nothing"},
		"a default beyond the scope":         {"default_scope": "orders:write"},
		"a grant that does not exist":        {"grant_types": []string{"implicit"}},
		"RFC 6749 §4.4 a public machine":     {"token_endpoint_auth_method": "none", "secrets": []string{}, "grant_types": []string{"client_credentials"}},
		"RFC 6749 §4.4.3 refresh of its own": {"grant_types": []string{"client_credentials", "refresh_token"}},
		"three secrets":                      {"secrets": []members{{"hash": hash}, {"hash": hash}, {"hash": hash}}},
		"a secret without its hash":          {"secrets": []members{{"hash": hash}, {}}},
		"a method that does not exist":       {"token_endpoint_auth_method": "client_secret_jwt"},
		"a token that is valid for too long": {"access_ttl": "25h"},
		"keys without private_key_jwt":       {"jwks_uri": "https://keys.example.com"},
		"S-51 keys from this machine":        {"token_endpoint_auth_method": "private_key_jwt", "secrets": []string{}, "jwks_uri": "https://127.0.0.1/keys"},
		"a workload of nobody we trust":      {"token_endpoint_auth_method": "private_key_jwt", "secrets": []string{}, "assertion": members{"issuer": "https://x.example.com", "subject": "y"}},
		"an audience without a resource":     {"introspect": "audience"},
		"a resource that is no URI":          {"resource": "orders"},
		"JWTs where none are signed":         {"access_token_format": "jwt"},
	} {
		t.Run(name, func(t *testing.T) {
			o.refused(t, 400, "invalid_client_metadata", "POST", "/admin/v1/clients", body)
			o.refused(t, 400, "invalid_client_metadata", "PATCH", clientPath("job"), body)
		})
	}
	o.refused(t, 400, "invalid_client_metadata", "POST", "/admin/v1/clients", members{"client_id": "é"})
	o.refused(t, 400, "invalid_client_metadata", "POST", "/admin/v1/clients", members{"client_id": strings.Repeat("x", 256)})
	o.refused(t, 400, "invalid_client_metadata", "PATCH", clientPath("job"), members{"client_id": "other"})
	for _, body := range []any{members{}, members{"overlap": "-1h"}, members{"overlap": "soon"}, members{"overlap": nil}, members{"overlap": "1h", "more": 1}} {
		o.refused(t, 400, "invalid_request", "POST", clientPath("job")+"/secrets", body)
	}
	t.Run("what nobody has: 404", func(t *testing.T) {
		for _, ask := range []string{"GET ", "DELETE ", "POST /disable", "POST /enable", "POST /revoke-tokens", "GET /secrets", "DELETE /secrets/00000000"} {
			method, more, _ := strings.Cut(ask, " ")
			o.refused(t, 404, "invalid_request", method, clientPath("nobody")+more, nil)
		}
		o.refused(t, 404, "invalid_request", "PATCH", clientPath("nobody"), members{})
		o.refused(t, 404, "invalid_request", "POST", clientPath("nobody")+"/secrets", members{"overlap": "1h"})
		o.refused(t, 404, "invalid_request", "GET", "/admin/v1/clients/", nil)
		o.refused(t, 404, "invalid_request", "GET", "/admin/v2/clients", nil)
	})
	t.Run("an operator's client keeps its scopes through other changes, and loses them by none", func(t *testing.T) {
		require.Equal(t, "grantor:admin grantor:clients orders:read", o.does(t, 200, "PATCH", clientPath("op"), members{"client_name": "us"}).json["scope"])
		o.refused(t, 400, "invalid_client_metadata", "PATCH", clientPath("op"), members{"scope": "grantor:admin grantor:clients"})
	})
	require.Equal(t, before, o.does(t, 200, "GET", clientPath("job"), nil).body, "a refusal changes nothing")
	t.Run("RFC 6750 §3 the guard: no token, a bad one, another's", func(t *testing.T) {
		for _, c := range []struct {
			token, code string
			status      int
		}{
			{"", "", 401}, {"a b", "invalid_request", 400}, {"gat_x", "invalid_token", 401}, {o.deployment.token(t, o.p), "invalid_token", 401},
			{o.registrar(t), "insufficient_scope", 403},
		} {
			r := o.p.ask(c.token, "GET", "/admin/v1/clients", nil)
			if c.token == "" {
				res, err := http.Get(o.p.where("The admin API") + "/admin/v1/clients")
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				r = reply{status: res.StatusCode, header: res.Header}
			}
			require.Equal(t, c.status, r.status, r.body)
			require.Equal(t, c.code, r.text("error"))
			require.Regexp(t, regexp.MustCompile(`^Bearer realm="grantor"`+map[bool]string{true: `$`, false: `, error="` + c.code + `"`}[c.code == ""]), r.header.Get("WWW-Authenticate"))
		}
	})
}

// registrar returns a token that may register clients and nothing else on the admin listener.
func (o desk) registrar(t *testing.T) (token string) {
	t.Helper()
	secret := o.client(t, "registrar", "grantor:clients")
	within(t, func() bool {
		token = post(t, o.p.URL+"/oauth2/token", "registrar", secret, credentials("grantor:clients")).text("access_token")
		return token != ""
	})
	return token
}

// user makes a user who may read orders, with ada's password.
func (o desk) user(t *testing.T, name string) (sub string) {
	t.Helper()
	made := o.does(t, 201, "POST", "/admin/v1/users", members{"username": name, "password_hash": adaHash(), "scope": "orders:read"})
	require.Equal(t, name, made.text("username"))
	return made.text("sub")
}

// logged logs a user in and demands that it works.
func (o desk) logged(t *testing.T, name, password string) reply {
	t.Helper()
	r := login(t, o.p, name, password)
	require.Equal(t, 200, r.status, r.body)
	return r
}

// over demands that a login has ended: its access token and its refresh token.
func (o desk) over(t *testing.T, session reply) {
	t.Helper()
	require.Equal(t, dead, o.introspect(t, o.p, session.text("access_token")).body)
	require.Equal(t, "invalid_grant", refresh(t, o.p, "app", session.text("refresh_token")).json["error"])
}

func TestAdminUsers(t *testing.T) {
	o := openDesk(t)
	t.Run("created with a password, shown without it, found by name, deleted", func(t *testing.T) {
		made := o.does(t, 201, "POST", "/admin/v1/users", members{"sub": "u-9", "username": "Grace", "password": "a password of hers"})
		seen.secret("a password of hers")
		require.Equal(t, members{"sub": "u-9", "username": "Grace", "disabled": false}, made.json)
		session := o.logged(t, "Grace", "a password of hers")
		require.NotContains(t, o.does(t, 200, "GET", userPath("u-9"), nil).body, "password")
		require.Len(t, o.does(t, 200, "GET", "/admin/v1/users?username=Grace", nil).json["users"], 1)
		o.refused(t, 409, "invalid_request", "POST", "/admin/v1/users", members{"username": "Grace", "password": "another password"})
		o.refused(t, 409, "invalid_request", "POST", "/admin/v1/users", members{"sub": "u-9", "username": "other", "password": "another password"})
		o.does(t, 204, "DELETE", userPath("u-9"), nil)
		o.over(t, session)
		require.Equal(t, "invalid_grant", login(t, o.p, "Grace", "a password of hers").json["error"])
		o.refused(t, 404, "invalid_request", "GET", userPath("u-9"), nil)
		o.refused(t, 404, "invalid_request", "GET", "/admin/v1/users?username=Grace", nil)
	})
	t.Run("a new name: sub and sessions stay; a name that is taken and a scope that does not exist change nothing", func(t *testing.T) {
		sub, other := o.user(t, "ada"), o.user(t, "bob")
		session := o.logged(t, "ada", adaPassword)
		o.refused(t, 409, "invalid_request", "PATCH", userPath(sub), members{"username": "bob"})
		o.refused(t, 400, "invalid_request", "PATCH", userPath(sub), members{"username": "a\u200bb"})
		wrong := o.does(t, 400, "PATCH", userPath(sub), members{"username": "ada.l", "scope": "order:read"})
		require.Contains(t, wrong.text("error_description"), "did you mean 'orders:read'?")
		require.Equal(t, "ada.l", o.does(t, 200, "PATCH", userPath(sub), members{"username": "ada.l"}).json["username"])
		require.Equal(t, true, o.introspect(t, o.p, session.text("access_token")).json["active"])
		o.logged(t, "ada.l", adaPassword)
		require.Equal(t, "invalid_grant", login(t, o.p, "ada", adaPassword).json["error"])
		o.does(t, 204, "DELETE", userPath(sub), nil)
		o.does(t, 204, "DELETE", userPath(other), nil)
	})
	t.Run("a new password ends every session, and the old one is none", func(t *testing.T) {
		sub := o.user(t, "ada")
		session := o.logged(t, "ada", adaPassword)
		seen.secret("quite another one")
		o.does(t, 200, "PATCH", userPath(sub), members{"password": "quite another one"})
		o.over(t, session)
		require.Equal(t, "invalid_grant", login(t, o.p, "ada", adaPassword).json["error"])
		o.logged(t, "ada", "quite another one")
		o.does(t, 204, "DELETE", userPath(sub), nil)
	})
	t.Run("S-11 a new password ends a lock", func(t *testing.T) {
		sub := o.user(t, "ada")
		for range 6 {
			require.Equal(t, "invalid_grant", login(t, o.p, "ada", "a wrong one").json["error"])
		}
		require.Equal(t, "invalid_grant", login(t, o.p, "ada", adaPassword).json["error"], "locked")
		o.does(t, 200, "PATCH", userPath(sub), members{"password": "quite another one"})
		o.logged(t, "ada", "quite another one")
	})
	t.Run("a user who can do nothing is warned of", func(t *testing.T) {
		made := o.does(t, 201, "POST", "/admin/v1/users", members{"username": "mute", "password_hash": adaHash(), "scope": ""})
		require.Contains(t, made.text("warning"), "nothing")
		require.NotContains(t, o.does(t, 200, "GET", userPath(made.text("sub")), nil).json, "warning")
		require.NotContains(t, o.does(t, 200, "PATCH", userPath(made.text("sub")), members{"scope": "orders:*"}).json, "warning")
		require.Contains(t, o.does(t, 200, "PATCH", userPath(made.text("sub")), members{"scope": ""}).json, "warning")
		o.does(t, 204, "DELETE", userPath(made.text("sub")), nil)
	})
	t.Run("disabling ends every session; enabling revives none", func(t *testing.T) {
		sub := o.user(t, "lin")
		session := o.logged(t, "lin", adaPassword)
		require.Equal(t, true, o.does(t, 200, "PATCH", userPath(sub), members{"disabled": true}).json["disabled"])
		o.over(t, session)
		require.Equal(t, "invalid_grant", login(t, o.p, "lin", adaPassword).json["error"])
		o.does(t, 200, "PATCH", userPath(sub), members{"disabled": false})
		o.over(t, session)
		o.logged(t, "lin", adaPassword)
	})
	t.Run("created disabled: no login", func(t *testing.T) {
		o.does(t, 201, "POST", "/admin/v1/users", members{"username": "later", "password_hash": adaHash(), "disabled": true})
		require.Equal(t, "invalid_grant", login(t, o.p, "later", adaPassword).json["error"])
	})
	t.Run("sessions listed, one ended, all ended", func(t *testing.T) {
		sub := o.user(t, "eve")
		first, second, third := o.logged(t, "eve", adaPassword), o.logged(t, "eve", adaPassword), o.logged(t, "eve", adaPassword)
		list := o.does(t, 200, "GET", userPath(sub)+"/sessions", nil)
		require.Len(t, list.json["sessions"], 3)
		one := list.json["sessions"].([]any)[0].(members)
		require.Equal(t, "app", one["client_id"])
		require.Equal(t, "orders:read", one["scope"])
		o.does(t, 204, "DELETE", userPath(sub)+"/sessions/"+one["session"].(string), nil)
		o.refused(t, 404, "invalid_request", "DELETE", userPath(sub)+"/sessions/"+one["session"].(string), nil)
		o.refused(t, 400, "invalid_request", "DELETE", userPath(sub)+"/sessions/no-id", nil)
		require.Len(t, o.does(t, 200, "GET", userPath(sub)+"/sessions", nil).json["sessions"], 2)
		alive := 0
		for _, r := range []reply{first, second, third} {
			if o.introspect(t, o.p, r.text("access_token")).body != dead {
				alive++
			}
		}
		require.Equal(t, 2, alive, "the one alone")
		o.does(t, 204, "DELETE", userPath(sub)+"/sessions", nil)
		require.Empty(t, o.does(t, 200, "GET", userPath(sub)+"/sessions", nil).json["sessions"])
		for _, r := range []reply{first, second, third} {
			o.over(t, r)
		}
	})
	t.Run("another's session is not ended by its id", func(t *testing.T) {
		mine, theirs := o.user(t, "mine"), o.user(t, "theirs")
		o.logged(t, "theirs", adaPassword)
		id := o.does(t, 200, "GET", userPath(theirs)+"/sessions", nil).json["sessions"].([]any)[0].(members)["session"].(string)
		o.refused(t, 404, "invalid_request", "DELETE", userPath(mine)+"/sessions/"+id, nil)
		require.Len(t, o.does(t, 200, "GET", userPath(theirs)+"/sessions", nil).json["sessions"], 1)
	})
	t.Run("any id that a user may have can be named in a path", func(t *testing.T) {
		for _, sub := range []string{"a/b{c}", "a/b+c", "a+b", "100%", "..", "?x=#y"} {
			o.does(t, 201, "POST", "/admin/v1/users", members{"sub": sub, "username": "x", "password_hash": adaHash()})
			require.Equal(t, sub, o.does(t, 200, "GET", userPath(sub), nil).json["sub"])
			o.does(t, 200, "GET", userPath(sub)+"/sessions", nil)
			o.does(t, 204, "DELETE", userPath(sub), nil)
		}
	})
	t.Run("listed in pages, each once", func(t *testing.T) {
		found, cursor := map[string]int{}, ""
		for {
			page := o.does(t, 200, "GET", "/admin/v1/users?limit=2"+cursor, nil)
			for _, u := range page.json["users"].([]any) {
				found[u.(members)["username"].(string)]++
			}
			if page.text("next_cursor") == "" {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(page.text("next_cursor"))
		}
		require.Equal(t, map[string]int{"ada": 1, "lin": 1, "later": 1, "eve": 1, "mine": 1, "theirs": 1}, found)
	})
}

func TestAdminUsersRefused(t *testing.T) {
	o := openDesk(t)
	sub := o.user(t, "ada")
	before := o.does(t, 200, "GET", userPath(sub), nil).body
	for name, body := range map[string]any{
		"a member that does not exist":   members{"surprise": 1},
		"a number as a password":         members{"password": 12345678},
		"a text as disabled":             members{"disabled": "yes"},
		"a list":                         []string{},
		"nothing but null":               json.RawMessage("null"),
		"ASVS 6.2.1 a short password":    members{"password": "seven77"},
		"a password beside a hash":       members{"password": "long enough", "password_hash": adaHash()},
		"a hash that is a password":      members{"password_hash": "long enough"},
		"a hash of a form that we lack":  members{"password_hash": "$1$salt$digest"},
		"a scope over Grantor":           members{"scope": "grantor:admin"},
		"a scope that is none":           members{"scope": "a  b"},
		"a wildcard in the middle":       members{"scope": "a:*:b"},
		"a scope that does not exist":    members{"scope": "order:read"},
		"a wildcard for nothing":         members{"scope": "order:*"},
		"a password with a line break":   members{"password": "long\nenough"},
		"a password beyond every bounds": members{"password": strings.Repeat("x", 1025)},
	} {
		t.Run(name, func(t *testing.T) {
			o.refused(t, 400, "invalid_request", "PATCH", userPath(sub), body)
			if b, ok := body.(members); ok {
				more := members{"username": "bob", "password": "long enough"}
				for k, v := range b {
					more[k] = v
				}
				if _, hashed := b["password_hash"]; hashed && b["password"] == nil {
					delete(more, "password")
				}
				body = more
			}
			o.refused(t, 400, "invalid_request", "POST", "/admin/v1/users", body)
		})
	}
	for name, body := range map[string]members{
		"no name":                  {"password": "long enough"},
		"no password":              {"username": "bob"},
		"an id with a space":       {"sub": "a b", "username": "bob", "password": "long enough"},
		"an id that is no ASCII":   {"sub": "é", "username": "bob", "password": "long enough"},
		"an id that is too long":   {"sub": strings.Repeat("x", 256), "username": "bob", "password": "long enough"},
		"a name with a line break": {"username": "b\nob", "password": "long enough"},
		"a name that is too long":  {"username": strings.Repeat("x", 257), "password": "long enough"},
	} {
		t.Run(name, func(t *testing.T) { o.refused(t, 400, "invalid_request", "POST", "/admin/v1/users", body) })
	}
	for name, body := range map[string]members{"another id": {"sub": "x"}} {
		t.Run(name, func(t *testing.T) { o.refused(t, 400, "invalid_request", "PATCH", userPath(sub), body) })
	}
	for _, query := range []string{"limit=0", "limit=1001", "cursor=zz", "cursor=0.zz", "cursor=40.0", "cursor=0.99999999999999999999", "username=" + strings.Repeat("x", 257), "username=%00"} {
		t.Run("a list by "+query[:min(len(query), 40)], func(t *testing.T) { o.refused(t, 400, "invalid_request", "GET", "/admin/v1/users?"+query, nil) })
	}
	t.Run("what nobody has: 404", func(t *testing.T) {
		o.refused(t, 404, "invalid_request", "GET", userPath("nobody"), nil)
		o.refused(t, 404, "invalid_request", "PATCH", userPath("nobody"), members{})
		o.refused(t, 404, "invalid_request", "DELETE", userPath("nobody"), nil)
		require.Empty(t, o.does(t, 200, "GET", userPath("nobody")+"/sessions", nil).json["sessions"])
	})
	require.Equal(t, before, o.does(t, 200, "GET", userPath(sub), nil).body, "a refusal changes nothing")
}

func TestAdminOfAnothersUsers(t *testing.T) {
	d := withUsers(t, redisStore(redistest.Start(t))+"admin.listen = \"127.0.0.1:0\"\nlimits.client_failures = -1\n", configUsers())
	o := desk{deployment: d, p: d.serve(t)}
	secret := d.client(t, "op", "grantor:admin")
	within(t, func() bool {
		o.token = post(t, o.p.URL+"/oauth2/token", "op", secret, credentials("grantor:admin")).text("access_token")
		return o.token != ""
	})
	t.Run("users of config.toml are managed there: 409; their sessions are ours", func(t *testing.T) {
		o.refused(t, 409, "invalid_request", "GET", "/admin/v1/users", nil)
		o.refused(t, 409, "invalid_request", "POST", "/admin/v1/users", members{"username": "x", "password": "long enough"})
		o.refused(t, 409, "invalid_request", "PATCH", userPath("u-1"), members{"disabled": true})
		o.refused(t, 409, "invalid_request", "DELETE", userPath("u-1"), nil)
		session := o.logged(t, "ada", adaPassword)
		require.Len(t, o.does(t, 200, "GET", userPath("u-1")+"/sessions", nil).json["sessions"], 1)
		o.does(t, 204, "DELETE", userPath("u-1")+"/sessions", nil)
		o.over(t, session)
	})
}

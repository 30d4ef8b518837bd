package integration_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// shows demands that a text does nothing to a terminal but show itself.
func shows(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q in %q", r, text)
	}
}

func TestTexts(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, "")
	p := d.serve(t)
	admin := d.client(t, "operator", "grantor:admin grantor:clients")
	token := post(t, p.URL+"/oauth2/token", "operator", admin, credentials("grantor:admin")).text("access_token")
	register := post(t, p.URL+"/oauth2/token", "operator", admin, credentials("grantor:clients")).text("access_token")
	hostile := []string{"one\nevil-row  admin", "\x1b[2Jred", "\u202egnp", "a\u200bb", "a\u009b31m", "a\x7fb", "tab\tbed"}

	t.Run("S-31 a name with control characters or direction marks is refused wherever it is written", func(t *testing.T) {
		for _, name := range hostile {
			out, code := d.command(t, "", "client", "create", "--name", name, "--grant-type", "client_credentials", "--scope", "orders:read")
			require.Equal(t, 2, code, out)
			require.Contains(t, out, "client_name")
			shows(t, out)
			for path, as := range map[string]string{"/admin/v1/clients": token, "/oauth2/register": register} {
				r := p.ask(as, "POST", path, map[string]any{"client_name": name, "grant_types": []string{"client_credentials"}, "scope": "orders:read"})
				require.Equal(t, 400, r.status, r.body)
				require.Equal(t, "invalid_client_metadata", r.json["error"])
				shows(t, r.body)
			}
			file := filepath.Join(t.TempDir(), "config.toml")
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "store = \"memory\"\n[scopes]\n\"a:b\" = {}\n[[clients]]\nclient_id = \"x\"\nclient_name = %q\ngrant_types = [\"client_credentials\"]\nscope = \"a:b\"\nsecrets = [{ hash = %q }]\n",
				tomlEscape(name), clients.HashSecret("x").String()), 0o600))
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), `\\`, `\`)), 0o600))
			out, code = deployment{config: file}.command(t, "", "config", "check")
			require.Equal(t, 2, code, out)
			require.Contains(t, out, "client_name")
			shows(t, out)
		}
	})
	t.Run("S-31 a name that stands there from before is one row of a table, escaped and cut", func(t *testing.T) {
		db, err := redisdb.Open(redisdb.Config{URL: s.URL, Prefix: "grantor:"})
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		names := append([]string{strings.Repeat("n", 4000)}, hostile...)
		for i, name := range names {
			stored := &clients.Stored{Epoch: clients.NewEpoch(), Registration: clients.Registration{ID: fmt.Sprintf("old-%d", i), Name: name, Grants: []string{"client_credentials"},
				Scope: "orders:read", Secrets: []clients.Secret{{Hash: clients.HashSecret("x")}}}}
			require.NoError(t, clients.NewRedis(db).Create(t.Context(), stored))
		}
		for _, args := range [][]string{{"client", "list"}, {"client", "list", "--json"}, {"client", "show", "old-1"}, {"client", "export"}} {
			out := d.must(t, "", args...)
			shows(t, out)
		}
		list := d.must(t, "", "client", "list")
		require.Equal(t, len(names), strings.Count(list, "\nold-"), list)
		require.NotContains(t, list, "\nevil-row")
		for line := range strings.Lines(list) {
			require.Less(t, len(line), 400)
		}
	})
	t.Run("S-30 a secret or token typed in the place of a name stands nowhere", func(t *testing.T) {
		secret := tokens.NewSecret()
		seen.secret(secret)
		for _, typed := range []string{secret, secret[:20]} {
			require.Equal(t, 401, post(t, p.URL+"/oauth2/token", typed, "x", credentials("orders:read")).status)
			require.Equal(t, 401, post(t, p.URL+"/oauth2/introspect", typed, "x", url.Values{"token": {"x"}}).status)
			login(t, p, typed, "wrong password")
			for _, r := range []reply{
				p.ask(token, "GET", clientPath(typed), nil), p.ask(token, "DELETE", clientPath(typed), nil), p.ask(token, "DELETE", userPath(typed)+"/sessions", nil),
				post(t, p.URL+"/oauth2/token", "machine", d.machine, credentials(typed)), post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {typed}}),
				post(t, p.URL+"/oauth2/token", "machine", d.machine, url.Values{"grant_type": {"client_credentials"}, typed: {"1", "2"}}),
				p.ask(token, "POST", "/admin/v1/clients", map[string]any{"client_id": typed, "scope": typed, "grant_types": []string{typed}}),
			} {
				require.NotContains(t, r.body, typed[4:])
			}
			for _, args := range [][]string{{"client", "show", typed}, {"client", "disable", typed, "--yes"}, {"client", "create", "--id", typed, "--scope", typed}, {"user", "sessions", typed},
				{"user", "logout", "--sub", typed, "--session", typed}, {"client", typed}, {typed}, {"client", "revoke-secret", "operator", typed, "--yes"}} {
				out, code := d.command(t, "", args...)
				require.NotZero(t, code, args)
				require.NotContains(t, out, typed[4:], args)
			}
			require.NotContains(t, p.Out.String()+p.Log.String(), typed[4:])
		}
		require.Contains(t, p.Out.String(), "gcs_[redacted]", "the trail says that there was one")
		p.Logs(t, "gcs_[redacted]") // likewise
	})
}

// tomlEscape writes a text as TOML escapes it, for %q to double.
func tomlEscape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x20 || r > 0x7e {
			fmt.Fprintf(&b, `\U%08x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

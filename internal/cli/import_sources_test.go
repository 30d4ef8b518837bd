package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
)

// TestImportHydra: rows of hydra_client, with secrets that Hydra's own hashers hashed
// (testdata/hydra).
func TestImportHydra(t *testing.T) {
	d := openImportDesk(t)
	text, err := os.ReadFile("testdata/hydra_client.json")
	require.NoError(t, err)
	rows := string(text)
	command := []string{"import", "hydra", "-"}
	before := d.clients(t)
	t.Run("a scope that is missing is named with its line of config.toml", func(t *testing.T) {
		_, stderr := d.run(t, 2, strings.ReplaceAll(rows, "orders:read offline_access", "photos orders:read"), command...)
		require.Contains(t, stderr, "scopes that config.toml lacks: add these lines below [scopes], or leave scopes out with --leave-out-scope:\ngrantor: \"photos\" = { description = \"…\" }")
		out, _ := d.run(t, 0, strings.ReplaceAll(rows, "orders:read offline_access", "photos orders:read"), append(command, "--leave-out-scope", "photos")...)
		require.Contains(t, out, "left out: scope photos\n")
	})
	t.Run("a list without secrets is refused", func(t *testing.T) {
		_, stderr := d.run(t, 2, `[{"client_id": "reports", "scope": "orders:read", "grant_types": ["client_credentials"]}]`, append(command, "--apply")...)
		require.Contains(t, stderr, `"hydra list clients" has no secrets; export the table`)
		require.Equal(t, before, d.clients(t))
	})
	out, _ := d.run(t, 0, rows, append(command, "--apply")...)
	require.Contains(t, out, "client pbkdf2-job: created client pbkdf2-job; client_credentials; scope orders:read; secret: pbkdf2-sha256, until its first use\n  left out: scope offline_access\n")
	require.Contains(t, out, "client bcrypt-job: created client bcrypt-job; client_credentials; scope orders:read; secret: bcrypt, until its first use\n")
	require.Contains(t, out, "client website: left out: its grants are not served here: authorization_code, refresh_token\n")
	require.Contains(t, out, "client signer: created client signer; client_credentials; scope orders:read\n")
	for _, name := range []string{"pbkdf2", "bcrypt"} {
		d.worksEverywhere(t, name+"-job", "Hydra-secret-of-"+name+"-4711")
	}
	shown, _ := d.run(t, 0, "", "client", "show", "pbkdf2-job")
	require.Contains(t, shown, `"access_ttl": "10m`)
	require.Contains(t, shown, `"https://orders.example.com"`)
	out, _ = d.run(t, 0, rows, append(command, "--apply")...)
	require.Contains(t, out, "0 created, 0 replaced, 3 unchanged, 0 kept, 1 left out\n")
	t.Run("rows as SQLite and MySQL write them, with lists as texts", func(t *testing.T) {
		var list []map[string]any
		for line := range strings.Lines(rows) {
			row := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			for name, value := range row {
				if _, is := value.(string); !is && value != nil && name != "client_credentials_grant_access_token_lifespan" && name != "client_secret_expires_at" {
					text, err := json.Marshal(value)
					require.NoError(t, err)
					row[name] = string(text)
				}
			}
			list = append(list, row)
		}
		text, err := json.Marshal(list)
		require.NoError(t, err)
		out, _ := d.run(t, 0, string(text), append(command, "--apply")...)
		require.Contains(t, out, "0 created, 0 replaced, 3 unchanged, 0 kept, 1 left out\n")
	})
}

// TestImportKeycloak: an export of a realm, of the shape that kc.sh export writes.
func TestImportKeycloak(t *testing.T) {
	d := openImportDesk(t)
	text, err := os.ReadFile("testdata/keycloak_realm.json")
	require.NoError(t, err)
	command := []string{"import", "keycloak", "-", "--apply"}
	out, _ := d.run(t, 0, string(text), command...)
	for _, line := range []string{
		"client account: left out: it is Keycloak's own\n",
		"client invoices: created client invoices; client_credentials; scope orders:read orders:write; secret: SHA-256\n  left out: scope web-origins, scope acr, scope profile, scope roles, scope basic, scope address, scope offline_access, standard flow, redirectUris, client roles\n",
		"client chosen: created client chosen; client_credentials; scope orders:read; secret: argon2id, because it is weak\n",
		"client shop-app: created client shop-app; password refresh_token; scope orders:read\n  left out: scope profile, scope email\n",
		"client masked: left out: its secret is masked: kc.sh export writes secrets, the console's partial export does not\n",
		"client old-saml: left out: its protocol saml is not served here\n",
		"client orders-api-old: left out: it asks for no tokens: register the API with --resource and --introspect audience\n",
		"client website: left out: it has neither a service account nor direct access grants: its flows are not served here\n",
		"user ada: left out: users are no clients: bring them by a directory, docs/guides/users.md\n",
		"4 created, 0 replaced, 0 unchanged, 0 kept, 6 left out\n",
	} {
		require.Contains(t, out, line)
	}
	d.worksEverywhere(t, "invoices", "u7QmZx2Lr9WcE4bT8yKpN1sVhD6fGj03")
	d.worksEverywhere(t, "chosen", "sunshine")
	status, _ := d.post(t, 0, "/oauth2/token", "stopped", "P9cXr2Vn6TqLd8Wz4JhKy7Ms1BfGa5Ue", "grant_type=client_credentials&scope=orders:read")
	require.Equal(t, 401, status, "a client that was disabled stays disabled")
	out, _ = d.run(t, 0, string(text), command...)
	require.Contains(t, out, "0 created, 0 replaced, 4 unchanged, 0 kept, 6 left out\n")
}

// TestWeakSecrets: hash-secret --weak, and who may give what it prints.
func TestWeakSecrets(t *testing.T) {
	code, out, stderr := run("sunshine\n", "hash-secret", "--weak", "--secret-stdin")
	require.Equal(t, 0, code, stderr)
	hash := strings.TrimSpace(out)
	require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$"), hash)
	code, _, stderr = run("sunshine\n", "hash-secret", "--secret-stdin")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "too short or too regular")
	d := openImportDesk(t)
	d.run(t, 0, "", "client", "create", "--id", "chosen", "--grant-type", "client_credentials", "--scope", "orders:read", "--secret-hash", hash)
	d.worksEverywhere(t, "chosen", "sunshine")
	_, stderr = d.run(t, 2, "", "client", "create", "--id", "broken", "--grant-type", "client_credentials", "--scope", "orders:read", "--secret-hash", "$argon2d$v=19$m=1,t=1,p=1$x$y")
	require.Contains(t, stderr, "argon2 hash: must read")
	held := d.clients(t)
	d.run(t, 0, held, "client", "apply", "-f", "-")
	require.Equal(t, held, d.clients(t))
	var all exported
	require.NoError(t, json.Unmarshal([]byte(held), &all))
	_, err := clients.ParseSlowHash(all.Clients[0].Secrets[0].Hash.String())
	require.NoError(t, err)
}

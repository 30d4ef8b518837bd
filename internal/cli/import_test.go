package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/apikeys"
	"github.com/grantor-auth/grantor/internal/importer"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/node"
	"github.com/grantor-auth/grantor/tokens"
)

// importDesk is a Redis, its configuration, and two nodes.
type importDesk struct {
	config string
	redis  *redistest.Server
	nodes  []string // their addresses
}

const importConfig = `
listen = "127.0.0.1:0"
audit.output = "redis"
server.shutdown_delay = "0s"
grants.password = true
users.source = "redis"
[scopes]
"orders:read" = { resource = "https://orders.example.com" }
"orders:write" = { resource = "https://orders.example.com" }
[[clients]]
client_id = "orders-api"
resource = "https://orders.example.com"
introspect = "audience"
secrets = [{ hash = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" }]
`

func openImportDesk(t *testing.T) *importDesk {
	t.Helper()
	d := &importDesk{config: filepath.Join(t.TempDir(), "config.toml"), redis: redistest.Start(t)}
	text := "redis.url = \"" + d.redis.URL + "\"\n" + importConfig
	require.NoError(t, os.WriteFile(d.config, []byte(text), 0o600))
	for range 2 {
		cfg, _, err := config.Parse(text)
		require.NoError(t, err)
		at := make(chan node.Addrs, 1)
		n, err := node.Open(t.Context(), cfg, node.Options{Log: slog.New(slog.DiscardHandler), Stdout: io.Discard, Listening: func(a node.Addrs) { at <- a }})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		go func() { _ = n.Run(ctx) }()
		t.Cleanup(func() { cancel(); n.Close() })
		d.nodes = append(d.nodes, (<-at).Public.String())
	}
	return d
}

// run runs a command and returns what it prints.
func (d *importDesk) run(t *testing.T, want int, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := run(stdin, append(args, "--config", d.config)...)
	require.Equal(t, want, code, stdout+stderr)
	return stdout, stderr
}

// post asks a node as a client and returns the status and the answer.
func (d *importDesk) post(t *testing.T, n int, path, id, secret, form string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.nodes[n]+path, strings.NewReader(form))
	require.NoError(t, err)
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	var answer map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return res.StatusCode, answer
}

// clients returns what the registry holds, as a text.
func (d *importDesk) clients(t *testing.T) string {
	t.Helper()
	out, _ := d.run(t, 0, "", "client", "export")
	return out
}

// worksEverywhere asks both nodes for a token, twice, with a secret and with a wrong one.
func (d *importDesk) worksEverywhere(t *testing.T, id, secret string) {
	t.Helper()
	const ask = "grant_type=client_credentials&scope=orders:read"
	for range 2 {
		for n := range d.nodes {
			status, answer := d.post(t, n, "/oauth2/token", id, secret, ask)
			require.Equal(t, 200, status, "%s: %v", id, answer)
			status, _ = d.post(t, n, "/oauth2/token", id, secret[:len(secret)-1]+"~", ask)
			require.Equal(t, 401, status, id)
		}
	}
}

// djangoDump is what testdata/dump.py prints.
type djangoDump struct {
	Applications string            `json:"applications"`
	Keys         string            `json:"keys"`
	Secrets      map[string]string `json:"secrets"`
	Texts        map[string]string `json:"texts"`
}

// dumpDjango has the real django-oauth-toolkit and djangorestframework-api-key write a dump, of
// releases from PyPI in a virtual environment that GRANTOR_TEST_VENVS keeps.
func dumpDjango(t *testing.T) (d djangoDump) {
	t.Helper()
	packages := []string{"django-oauth-toolkit==3.*", "djangorestframework", "djangorestframework-api-key==3.*", "argon2-cffi", "bcrypt"}
	root := os.Getenv("GRANTOR_TEST_VENVS")
	if root == "" {
		root = t.TempDir()
	}
	sum := sha256.Sum256([]byte("import " + strings.Join(packages, " ")))
	dir := filepath.Join(root, hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir + "/complete"); err != nil {
		for _, c := range [][]string{
			{"python3", "-m", "venv", "--clear", dir},
			append([]string{dir + "/bin/pip", "install", "--quiet", "--disable-pip-version-check"}, packages...),
		} {
			out, err := exec.CommandContext(t.Context(), c[0], c[1:]...).CombinedOutput()
			if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_PYTHON") == "" {
				t.Skipf("%v: %v: %s", c, err, out)
			}
			require.NoError(t, err, string(out))
		}
		require.NoError(t, os.WriteFile(dir+"/complete", nil, 0o600))
	}
	out, err := exec.CommandContext(t.Context(), dir+"/bin/python", "testdata/dump.py").Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &d))
	return d
}

// TestImportDjango: dumps of the real programs, with every hasher that they offer.
func TestImportDjango(t *testing.T) {
	dump, d := dumpDjango(t), openImportDesk(t)
	command := []string{"import", "django-oauth-toolkit", "-", "--scope", "orders:read orders:write", "--default-scope", "orders:read"}
	before := d.clients(t)
	t.Run("a dry run says line by line what would be, and changes nothing", func(t *testing.T) {
		out, _ := d.run(t, 0, dump.Applications, command...)
		require.Contains(t, out, "client pbkdf2-sha256: create client pbkdf2-sha256; client_credentials; scope orders:read orders:write; secret: pbkdf2_sha256, until its first use\n")
		require.Contains(t, out, "client site: left out: its grant authorization-code is not served here\n")
		require.Contains(t, out, "client md5: left out: its secret is hashed by md5, which cannot be checked here: give it a new secret\n")
		require.Contains(t, out, "client clear-chosen: create client clear-chosen; client_credentials; scope orders:read orders:write; secret: argon2id, because it is weak\n")
		require.Contains(t, out, "client app: create client app; password refresh_token; scope orders:read orders:write\n  left out: redirect_uris\n")
		require.Contains(t, out, "10 to create, 0 to replace, 0 unchanged, 0 kept, 2 left out\nnothing was changed: --apply writes it\n")
		require.Equal(t, before, d.clients(t))
	})
	t.Run("a file that is broken in the middle imports nothing", func(t *testing.T) {
		for says, broken := range map[string]string{
			"no application of django-oauth-toolkit": strings.Replace(dump.Applications, `"client_id": "argon2"`, `"client": "argon2"`, 1),
			"in JSON":                                dump.Applications[:len(dump.Applications)/2],
			"a client id holds printable ASCII only": strings.Replace(dump.Applications, `"client_id": "argon2"`, `"client_id": "argon\u00e9"`, 1),
			"is there twice":                         strings.Replace(dump.Applications, `"client_id": "argon2"`, `"client_id": "bcrypt"`, 1),
		} {
			_, stderr := d.run(t, 2, broken, append(command, "--apply")...)
			require.Contains(t, stderr, says)
			require.Contains(t, stderr, "nothing was imported")
			require.Equal(t, before, d.clients(t))
		}
	})
	out, stderr := d.run(t, 0, dump.Applications, append(command, "--apply")...)
	require.Contains(t, out, "10 created, 0 replaced, 0 unchanged, 0 kept, 2 left out\n")
	for id, secret := range dump.Secrets {
		require.NotContains(t, out+stderr+d.clients(t), secret, id)
	}
	for _, id := range slices.Sorted(maps.Keys(dump.Secrets)) {
		if slices.Contains([]string{"md5", "site", "app"}, id) {
			continue
		}
		t.Run("every old secret works, on both nodes: "+id, func(t *testing.T) { d.worksEverywhere(t, id, dump.Secrets[id]) })
	}
	t.Run("what is random is kept as SHA-256 since, what was chosen is not", func(t *testing.T) {
		var all exported
		require.NoError(t, json.Unmarshal([]byte(d.clients(t)), &all))
		for _, c := range all.Clients {
			if len(c.Secrets) > 0 {
				require.Equal(t, strings.Contains(c.ID, "chosen"), c.Secrets[0].Hash.Slow(), c.ID)
			}
		}
	})
	t.Run("a second run finds all of it unchanged", func(t *testing.T) {
		held := d.clients(t)
		out, _ := d.run(t, 0, dump.Applications, append(command, "--apply")...)
		require.Contains(t, out, "0 created, 0 replaced, 10 unchanged, 0 kept, 2 left out\n")
		require.Equal(t, held, d.clients(t))
	})
	t.Run("a client that was changed here is not overwritten unasked", func(t *testing.T) {
		d.run(t, 0, "", "client", "update", "scrypt", "--scope", "orders:read")
		_, stderr := d.run(t, 2, dump.Applications, append(command, "--apply")...)
		require.Contains(t, stderr, "other clients have these ids: scrypt; --existing keep")
		out, _ := d.run(t, 0, dump.Applications, append(command, "--apply", "--existing", "keep")...)
		require.Contains(t, out, "0 created, 0 replaced, 9 unchanged, 1 kept, 2 left out\n")
		out, _ = d.run(t, 0, dump.Applications, append(command, "--apply", "--existing", "replace")...)
		require.Contains(t, out, "0 created, 1 replaced, 9 unchanged, 0 kept, 2 left out\n")
		d.worksEverywhere(t, "scrypt", dump.Secrets["scrypt"])
	})
	t.Run("the trail names each client and who imported it, and no secret", func(t *testing.T) {
		events := d.trail(t)
		require.Contains(t, events, `"detail":"imported"`)
		require.Contains(t, events, `"client_id":"argon2"`)
		require.Contains(t, events, `"actor":"command line`)
		for _, secret := range dump.Secrets {
			require.NotContains(t, events, secret)
		}
	})
	t.Run("API keys work under their old text", func(t *testing.T) { d.importsKeys(t, dump) })
}

// trail returns the events in Redis, as a text.
func (d *importDesk) trail(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, name := range d.redis.Client().Keys(t.Context(), "*audit*").Val() {
		for _, m := range d.redis.Client().XRange(t.Context(), name, "-", "+").Val() {
			line, err := json.Marshal(m.Values)
			require.NoError(t, err)
			text.WriteString(strings.ReplaceAll(string(line), `\"`, `"`))
		}
	}
	return text.String()
}

func (d *importDesk) importsKeys(t *testing.T, dump djangoDump) {
	t.Helper()
	command := []string{"import", "rest-framework-api-key", "-", "--scope", "orders:read"}
	out, _ := d.run(t, 0, dump.Keys, command...)
	require.Contains(t, out, "left out: it is revoked\n")
	require.Contains(t, out, "left out: it has expired\n")
	require.Contains(t, out, "2 to create, 0 to replace, 0 unchanged, 0 kept, 2 left out\nnothing was changed")
	active := func(name string) bool {
		var all []bool
		for n := range d.nodes {
			status, answer := d.post(t, n, "/oauth2/introspect", "orders-api", "secret", "token="+dump.Texts[name])
			require.Equal(t, 200, status)
			all = append(all, answer["active"].(bool))
		}
		require.Equal(t, all[0], all[1])
		return all[0]
	}
	require.False(t, active("partner"))
	d.run(t, 0, dump.Keys, append(command, "--apply")...)
	for name := range dump.Texts {
		want := strings.HasPrefix(name, "partner")
		require.Eventually(t, func() bool { return active(name) == want }, 5*time.Second, 50*time.Millisecond, name)
	}
	dump.Texts["wrong"] = dump.Texts["partner"][:40] + "0"
	require.False(t, active("wrong"))
	prefix, _, _ := strings.Cut(dump.Texts["partner"], ".")
	list, _ := d.run(t, 0, "", "key", "list", "api-key-"+prefix, "--json")
	require.NotContains(t, list, dump.Texts["partner"])
	var keys []struct{ ID, Name, Scope string }
	require.NoError(t, json.Unmarshal([]byte(list), &keys))
	require.Equal(t, "partner", keys[0].Name)
	d.run(t, 0, "", "key", "revoke", "api-key-"+prefix, keys[0].ID, "--yes")
	require.False(t, active("partner"))
	out, _ = d.run(t, 0, dump.Keys, append(command, "--apply")...)
	require.Contains(t, out, "0 created, 0 replaced, 2 unchanged, 0 kept, 2 left out\n")
	require.False(t, active("partner"), "a second run revives no key that was revoked here")
}

// TestImportOfKeysIsUndone: a key is stored before its client, and goes where the client cannot be
// written.
func TestImportOfKeysIsUndone(t *testing.T) {
	d := openImportDesk(t)
	text, err := os.ReadFile("../../examples/migrate/api-keys.json")
	require.NoError(t, err)
	cfg, _, err := config.Load(config.Options{Path: d.config})
	require.NoError(t, err)
	db, err := parts.Redis(cfg.Redis, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	store := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(t.Context(), store, tokens.KeyWait)
	require.NoError(t, err)
	r := &importRun{importFlags: &importFlags{}, ctx: t.Context(), manager: parts.Manager(cfg, clients.NewRedis(db), store)}
	r.keys = apikeys.New(r.manager, store, tokens.NewCodec(key))
	for _, source := range importer.Sources() {
		if source.Name != "rest-framework-api-key" {
			continue
		}
		_, err := source.Read(text, importer.Options{Scope: "orders:read photos", Catalogue: cfg.Catalogue(), Now: time.Now()})
		require.ErrorContains(t, err, "\"photos\" = {")
		items, err := source.Read(text, importer.Options{Scope: "orders:read", Catalogue: cfg.Catalogue(), Now: time.Now()})
		require.NoError(t, err)
		plan, err := r.plan(items)
		require.NoError(t, err)
		mine := items[0].Client.ID
		require.NoError(t, r.manager.Create(t.Context(), &clients.Stored{Registration: clients.Registration{ID: mine, Method: clients.MethodNone, Scope: "orders:write"}}))
		require.ErrorIs(t, r.write(plan), clients.ErrImportOvertaken)
		list, err := r.keys.List(t.Context(), mine)
		require.NoError(t, err)
		require.Empty(t, list)
	}
}

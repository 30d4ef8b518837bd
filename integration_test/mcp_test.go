package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/processtest"
	"github.com/grantor-auth/grantor/tokens"
)

// mcpPrograms builds examples/mcp-server, a module of its own, once a run: the server and the
// agent.
var mcpPrograms = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(buildDir, "mcp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-C", "../examples/mcp-server", "-mod=mod", "-o", dir+"/", "./...")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// mcpWorld is a Grantor with the preset "mcp", an MCP server that it protects, and what agents
// need.
type mcpWorld struct {
	issue       *process
	url         string // of the MCP server
	secret, key string // of every client with a secret; the file of the key of the others
	programs    string
}

func startMCP(t *testing.T, tokenFormat string) *mcpWorld {
	t.Helper()
	w := &mcpWorld{secret: tokens.NewSecret(), key: filepath.Join(t.TempDir(), "agent.pem")}
	issuer, listen := freeAddress(t), freeAddress(t)
	w.url = "http://" + listen + "/mcp"
	var err error
	w.programs, err = mcpPrograms()
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(config, []byte(tokenFormat+w.config(t, issuer)), 0o600))
	w.issue = run(t, built(t, module), nil, "serve", "--config", config, "--listen", issuer)

	c := exec.CommandContext(t.Context(), w.programs+"/mcp-server")
	c.Env = []string{"MCP_URL=" + w.url, "ISSUER=" + w.issue.URL, "LISTEN=" + listen, "GRANTOR_CLIENT_ID=mcp-server", "GRANTOR_CLIENT_SECRET=" + w.secret}
	var said processtest.Text
	c.Stdout, c.Stderr = &said, &said
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	require.Eventually(t, func() bool {
		res, err := http.Get(w.url)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "%s", &said)
	return w
}

// config has each kind of client twice: with a secret, and with a key ("-key" behind its name).
func (w *mcpWorld) config(t *testing.T, issuer string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	jwks := fmt.Sprintf(`jwks = { keys = [{ kty = "EC", crv = "P-256", alg = "ES256", use = "sig", x = "%s", y = "%s" }] }`, b64(point[1:33]), b64(point[33:]))
	secrets := `secrets = [{ hash = "` + clients.HashSecret(w.secret).String() + `" }]`
	text := memoryStore + `issuer = "http://` + issuer + `"
[metadata]
preset = "mcp"
[scopes]
"notes:read" = { resource = "` + w.url + `" }
"notes:write" = { resource = "` + w.url + `", implies = ["notes:read"] }
"other:read" = { resource = "https://other.example.com" }
[[clients]]
client_id = "mcp-server"
resource = "` + w.url + `"
introspect = "audience"
` + secrets + "\n"
	for id, scope := range map[string]string{"agent": "notes:read notes:write", "reader": "notes:read", "stranger": "other:read"} {
		common := fmt.Sprintf("[[clients]]\ngrant_types = [\"client_credentials\"]\nscope = %[1]q\ndefault_scope = %[1]q\n", scope)
		text += common + fmt.Sprintf("client_id = %q\n%s\n", id, secrets)
		text += common + fmt.Sprintf("client_id = %q\ntoken_endpoint_auth_method = \"private_key_jwt\"\n%s\n", id+"-key", jwks)
	}
	return text
}

// mcpAgent is an agent in one language: the command that calls list_notes, or with a text add_note.
type mcpAgent struct {
	dir     string
	command []string
}

func mcpAgents(t *testing.T, w *mcpWorld) map[string]mcpAgent {
	t.Helper()
	npm := npmFolder(t, "mcp-server")
	folder, python := pythonFolder(t, "mcp-server")
	return map[string]mcpAgent{
		"Go":         {t.TempDir(), []string{w.programs + "/agent"}},
		"TypeScript": {npm, []string{"node", "agent.mjs"}},
		"Python":     {folder, []string{python, "agent.py"}},
	}
}

// call has an agent call a tool as a client.
func (w *mcpWorld) call(t *testing.T, a mcpAgent, clientID, note string, environ ...string) (string, error) {
	t.Helper()
	command := a.command
	if note != "" {
		command = append(command[:len(command):len(command)], note)
	}
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Dir = a.dir
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "MCP_URL=" + w.url, "ISSUER=" + w.issue.URL, "CLIENT_ID=" + clientID}, environ...)
	if strings.HasSuffix(clientID, "-key") {
		c.Env = append(c.Env, "CLIENT_KEY="+w.key)
	} else {
		c.Env = append(c.Env, "CLIENT_SECRET="+w.secret)
	}
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestMCP: the official SDKs, untouched, get from the URL of an MCP server to a tool call.
func TestMCP(t *testing.T) {
	onlyOnce(t)
	for format, keys := range map[string]string{"opaque": "", "JWT": "tokens.access_token_format = \"jwt\"\n"} {
		w := startMCP(t, keys)
		for language, agent := range mcpAgents(t, w) {
			for _, kind := range []string{"", "-key"} {
				by := map[string]string{"": "a secret", "-key": "private_key_jwt"}[kind]
				t.Run(fmt.Sprintf("RFC 9728 RFC 8414 RFC 8707 the SDK for %s by %s, tokens: %s", language, by, format), func(t *testing.T) {
					w.play(t, agent, kind)
					if kind == "" && format == "opaque" {
						w.refuses(t, agent, language)
					}
				})
			}
		}
		t.Run("PR-04 RFC 9728 §5.1 challenges of the MCP server, tokens: "+format, w.challenges)
	}
}

// play calls a tool that needs more than the agent first asks for.
func (w *mcpWorld) play(t *testing.T, agent mcpAgent, kind string) {
	t.Run("PR-01 PR-02 PR-04 discovery, token, step-up, tool call", func(t *testing.T) {
		out, err := w.call(t, agent, "agent"+kind, "plant a tree")
		require.NoError(t, err, out)
		require.Equal(t, "added for agent"+kind, out)
	})
}

func (w *mcpWorld) refuses(t *testing.T, agent mcpAgent, language string) {
	t.Run("PR-03 a client with the first scope alone calls the tool for it", func(t *testing.T) {
		out, err := w.call(t, agent, "reader", "")
		require.NoError(t, err, out)
		require.Contains(t, out, `notes: ["buy apples"`)
	})
	t.Run("RFC 6750 §3.1 it is refused the other tool", func(t *testing.T) {
		out, err := w.call(t, agent, "reader", "not allowed", "SCOPE=notes:read")
		require.Error(t, err, out)
		require.NotContains(t, out, "added for")
		want := "invalid_scope" // the answer to the step-up; the SDK for TypeScript asks for its own scope again
		if language == "TypeScript" {
			want = "403 after trying upscoping"
		}
		require.Contains(t, out, want)
	})
	t.Run("RFC 8707 §2 a client of another resource gets no token", func(t *testing.T) {
		out, err := w.call(t, agent, "stranger", "")
		require.Error(t, err, out)
		require.Regexp(t, "invalid_scope|InvalidScopeError", out)
	})
}

// challenges asks the MCP server with tokens that are not enough.
func (w *mcpWorld) challenges(t *testing.T) {
	where := `resource_metadata="` + strings.Replace(w.url, "/mcp", "/.well-known/oauth-protected-resource/mcp", 1) + `"`
	ask := func(token, body string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res
	}
	token := func(client, scope string) string {
		return post(t, w.issue.URL+"/oauth2/token", client, w.secret, credentials(scope)).text("access_token")
	}
	const add = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add_note","arguments":{"text":"x"}}}`
	for name, c := range map[string]struct {
		token, body string
		status      int
		challenge   string
	}{
		"no token":                       {"", "{}", 401, `Bearer scope="notes:read", ` + where},
		"a token for another resource":   {token("stranger", "other:read"), "{}", 401, `error="invalid_token"`},
		"step-up: the scope of the tool": {token("reader", "notes:read"), add, 403, `error="insufficient_scope", error_description="the token has not the scope that this needs", scope="notes:write", ` + where},
	} {
		t.Run(name, func(t *testing.T) {
			res := ask(c.token, c.body)
			require.Equal(t, c.status, res.StatusCode)
			require.Contains(t, res.Header.Get("WWW-Authenticate"), c.challenge)
			require.Contains(t, res.Header.Get("WWW-Authenticate"), where)
		})
	}
	reader := token("reader", "notes:read")
	for _, body := range []string{ // each is read in two ways
		"[" + add + "]", strings.Replace(add, `"method"`, `"Method":"ping","method"`, 1), strings.Replace(add, `"method"`, `"method":"tools/call","Method":"ping","x"`, 1),
		strings.Replace(add, `"params"`, `"params":{"name":"list_notes"},"Params"`, 1), strings.Replace(add, `"name"`, `"Name":"list_notes","name"`, 1), strings.Replace(add, `"name":"add_note"`, `"name":"add_note","Name":"list_notes"`, 1)} {
		ask(reader, body)
	}
	out, err := w.call(t, mcpAgent{t.TempDir(), []string{w.programs + "/agent"}}, "agent", "")
	require.NoError(t, err, out)
	require.NotContains(t, out, `"x"`, "however the message is read, the tool itself looks at the scope")
}

// TestGuideMCP follows docs/guides/mcp.md.
func TestGuideMCP(t *testing.T) {
	onlyOnce(t)
	needs(t, "curl", "")
	_, python := pythonFolder(t, "mcp-server")
	guide{
		page: "mcp.md",
		here: append(ownModule(t, "go mod init example.com/notes"), "127.0.0.1:8080", freeAddr(t), "127.0.0.1:8081", freeAddr(t),
			"python3 agent.py", python+" agent.py"),
		environ:  goEnviron(t),
		programs: map[string]string{"grantor": built(t, module)},
	}.follow(t)
}

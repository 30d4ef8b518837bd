package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const module = "github.com/grantor-auth/grantor"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

func packages(t *testing.T) (list []pkg) {
	t.Helper()
	c := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	c.Dir = "../.."
	out, err := c.Output()
	require.NoError(t, err)
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		require.NoError(t, d.Decode(&p))
		list = append(list, p)
	}
	return list
}

func TestImportsPointOneWay(t *testing.T) {
	list := packages(t)
	// named returns a package's path below the module, without the folder that says who may import
	// it.
	named := func(path string) string {
		return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, module), "/"), "internal/")
	}
	room := func(p pkg) string { return named(p.ImportPath) }
	only := func(t *testing.T, dep string, rooms ...string) {
		t.Helper()
		for _, p := range list {
			for _, i := range p.Imports {
				if strings.HasPrefix(i+"/", strings.TrimSuffix(dep, "/")+"/") {
					require.Contains(t, rooms, strings.SplitN(room(p), "/", 2)[0], "%s imports %s", p.ImportPath, i)
				}
			}
		}
	}
	t.Run("only server knows go-oauth2", func(t *testing.T) { only(t, "github.com/go-oauth2/", "server") })
	t.Run("only config knows TOML", func(t *testing.T) { only(t, "github.com/pelletier/go-toml", "config") })
	t.Run("only redisdb knows go-redis", func(t *testing.T) { only(t, "github.com/go-redis/", "redisdb") })
	t.Run("only server, middleware and examples know Gin", func(t *testing.T) {
		only(t, "github.com/gin-gonic/gin", "server", "middleware", "examples")
	})
	t.Run("only main and the tests' reference know cli", func(t *testing.T) { only(t, module+"/internal/cli/", "", "test") })
	t.Run("only cli, testserver, grantortest and examples know node", func(t *testing.T) {
		only(t, module+"/node", "node", "cli", "testserver", "grantortest", "examples")
	})
	allowed := map[string][]string{
		"parts": {"assertions", "audit", "claims/hook", "clientcert", "clients", "config", "jwt", "keys", "lockout", "redisdb", "server", "tokens/feed", "users", "users/database"},
		"node": {"apikeys", "assertions", "audit", "background", "claims", "clientcert", "clients", "config", "console", "growth", "keys", "lockout", "loopback", "metrics", "middleware", "parts", "presence", "ratelimit", "redisdb",
			"address", "scopes", "server", "tokens", "tokens/feed", "users"},
		"gate":        {"address", "claims", "clientcert", "dpop", "jsonobject", "loopback", "middleware", "resource", "scopes", "server"},
		"cli":         {"address", "apikeys", "audit", "claims", "clients", "config", "console", "doctor", "gate", "importer", "jsonobject", "jwt", "keys", "lockout", "loopback", "middleware", "nearest", "node", "parts", "presence", "printable", "redisdb", "scopes", "server", "systemd", "testserver", "tokens", "tokens/feed", "users"},
		"importer":    {"clients", "jwt", "printable", "scopes", "users"},
		"background":  {},
		"systemd":     {},
		"console":     {"address", "apikeys", "audit", "clients", "keys", "lockout", "metrics", "presence", "redisdb", "scopes"},
		"presence":    {"redisdb"},
		"growth":      {"redisdb"},
		"doctor":      {"assertions", "clients", "config", "growth", "keys", "parts", "presence", "printable", "redisdb", "scopes", "server", "tokens/feed", "users", "users/database"},
		"testserver":  {"claims", "clients", "config", "loopback", "node", "tokens"},
		"grantortest": {"config", "dpop/dpoptest", "middleware", "node", "testserver"},
		"scopes":      {},
		"claims":      {"jsonobject", "loopback", "signature"},
		"signature":   {},
		"clients":     {"address", "claims", "clientcert", "scopes", "redisdb", "registry", "jsonobject", "jwt", "nearest", "printable", "spiffe", "tokens/feed"},
		"middleware":  {"address", "claims", "clientcert", "dpop", "jsonobject", "jws", "jwt", "loopback", "resource", "scopes"},
		"tokens":      {"jsonobject", "redisdb"},
		"lockout":     {"redisdb"},
		"ratelimit":   {"redisdb"},
		"loopback":    {},
		"resource":    {"loopback", "scopes"},
		"dpop":        {"jwt"},
		"users":       {"claims", "loopback", "nearest", "signature", "redisdb", "registry", "scopes"},
		"config":      {"address", "claims", "claims/hook", "clientcert", "clients", "jwt", "loopback", "metadata", "nearest", "scopes", "spiffe", "users"},
		"server":      {"assertions", "audit", "claims", "clientcert", "clients", "dpop", "http1", "jsonobject", "jwt", "keys", "lockout", "loopback", "metadata", "metrics", "middleware", "printable", "ratelimit", "scopes", "tokens", "tokens/feed", "users", "address", "apikeys"},
		"address":     {},
		"clientcert":  {"address", "spiffe"},
		"apikeys":     {"address", "clients", "printable", "registry", "scopes", "tokens"},
		"http1":       {},
		"redisdb":     {},
		"registry":    {"redisdb"},
		"audit":       {"jsonobject", "printable", "redisdb"},
		"metadata":    {"loopback"},
		"metrics":     {},
		"jwt":         {"jsonobject", "jws", "loopback"},
		"jws":         {"jsonobject"},
		"jsonobject":  {"printable"},
		"printable":   {},
		"assertions":  {"jwt", "spiffe"},
		"spiffe":      {},
		"keys":        {"jsonobject", "jws", "redisdb"},
	}
	for name, may := range allowed {
		t.Run(name+" imports no other room than it may", func(t *testing.T) {
			seen := false
			for _, p := range list {
				if room(p) != name && !strings.HasPrefix(room(p), name+"/") {
					continue
				}
				seen = true
				for _, i := range p.Imports {
					if rest := named(i); strings.HasPrefix(i, module+"/") {
						own := rest == name || strings.HasPrefix(rest, name+"/")
						require.True(t, own || slices.Contains(may, rest), "%s imports %s", p.ImportPath, rest)
					}
				}
			}
			require.True(t, seen, "there is no room %s", name)
		})
	}
	t.Run("integration_test is declared in test files alone", func(t *testing.T) {
		for _, p := range list {
			if room(p) == "integration_test" {
				require.Empty(t, p.GoFiles)
			}
		}
	})
}

// TestOneFileKnows: a library that we bend, and a reader of requests that has an alternative, are
// known in one file each.
func TestOneFileKnows(t *testing.T) {
	for dep, want := range map[string]string{
		"github.com/go-oauth2/":    "server/engine.go",
		module + "/internal/http1": "server/listen.go",
	} {
		var found []string
		for _, p := range packages(t) {
			if strings.HasPrefix(p.ImportPath, strings.TrimSuffix(dep, "/")) {
				continue
			}
			for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
				tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
				require.NoError(t, err)
				if slices.ContainsFunc(tree.Imports, func(i *ast.ImportSpec) bool {
					return strings.HasPrefix(strings.Trim(i.Path.Value, `"`)+"/", strings.TrimSuffix(dep, "/")+"/")
				}) {
					found = append(found, strings.TrimPrefix(p.ImportPath, module+"/")+"/"+name)
				}
			}
		}
		require.Equal(t, []string{want}, found, "who imports %s", dep)
	}
}

func TestComposeIsHardened(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Command     []string
			User        string
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			SecurityOpt []string `yaml:"security_opt"`
			Healthcheck struct{ Test []string }
			Ports       []string
			Environment map[string]string
		}
	}
	text, err := os.ReadFile(filepath.Join("../..", "docker-compose.yml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &compose))
	for _, name := range []string{"redis", "grantor-1", "grantor-2", "proxy"} {
		s, ok := compose.Services[name]
		require.True(t, ok, name)
		require.Regexp(t, `^[1-9][0-9]*:[1-9][0-9]*$`, s.User, name)
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		require.NotEmpty(t, s.Healthcheck.Test, name)
	}
	redis := strings.Join(compose.Services["redis"].Command, " ")
	require.Contains(t, redis, "--appendonly yes")
	require.Contains(t, redis, "--maxmemory-policy noeviction")
	require.Empty(t, compose.Services["redis"].Ports)
	for _, p := range compose.Services["proxy"].Ports {
		require.True(t, strings.HasPrefix(p, "127.0.0.1:"), "%s: plain HTTP is for the proxy on this machine alone", p)
	}
	t.Run("its configuration is sound under its environment", func(t *testing.T) {
		c := exec.Command("go", "run", "../..", "config", "check", "--config", "../../deploy/compose/config.toml")
		c.Env = os.Environ()
		for k, v := range compose.Services["grantor-1"].Environment {
			v = strings.NewReplacer("${GRANTOR_ISSUER:-https://auth.example.com}", "https://auth.example.com", "${GRANTOR_TRUSTED_PROXIES:-172.31.240.1,172.31.240.10}", "172.31.240.1,172.31.240.10").Replace(v)
			c.Env = append(c.Env, k+"="+v)
		}
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

func TestPrintRun(t *testing.T) {
	t.Run("a test that panics is shown and counted", func(t *testing.T) {
		var out strings.Builder
		printRun(&out, []event{
			{Action: "run", Package: "p", Test: "TestA"}, {Action: "pass", Package: "p", Test: "TestA"},
			{Action: "run", Package: "p", Test: "TestB"}, {Action: "output", Package: "p", Test: "TestB", Output: "panic: boom\n"},
			{Action: "output", Package: "p", Output: "FAIL\tp\n"}, {Action: "fail", Package: "p"},
		})
		require.Equal(t, "panic: boom\nFAIL\tp\n1 passed, 1 failed, 0 skipped\n", out.String())
	})
	t.Run("what did not run is counted by what it lacks", func(t *testing.T) {
		var out strings.Builder
		var events []event
		for _, name := range []string{"TestA", "TestB", "TestC"} {
			why := "redis-server is not on PATH"
			if name == "TestC" {
				why = "no psycopg2 for /usr/bin/python3"
			}
			events = append(events, event{Action: "run", Package: "p", Test: name}, event{Action: "output", Package: "p", Test: name, Output: "    x_test.go:7: " + why + "\n"},
				event{Action: "output", Package: "p", Test: name, Output: "--- SKIP: " + name + " (0.00s)\n"}, event{Action: "skip", Package: "p", Test: name})
		}
		printRun(&out, events)
		require.Contains(t, out.String(), "did not run, 2: redis-server is not on PATH\n")
		require.Contains(t, out.String(), "did not run, 1: no psycopg2 for /usr/bin/python3\n")
	})
	t.Run("a package that does not build is a failure", func(t *testing.T) {
		var out strings.Builder
		printRun(&out, []event{{Action: "build-output", Package: "p", Output: "x.go: wrong\n"}, {Action: "fail", Package: "p"}})
		require.Contains(t, out.String(), "x.go: wrong")
		require.Contains(t, out.String(), "0 passed, 1 failed")
	})
}

func TestTable(t *testing.T) {
	events, err := read(strings.NewReader(`{"Action":"pass","Package":"m/server","Test":"TestX/TE-02_§3.2_only_POST"}
{"Action":"skip","Package":"m/server","Test":"TestX/TE-03_a"}
{"Action":"pass","Package":"m/server","Test":"TestX/TE-03_b"}
{"Action":"fail","Package":"m/server","Test":"TestX/TE-04_TE-05_c"}
not json`))
	require.NoError(t, err)
	found := results(events)
	require.Equal(t, "pass", verdict(found["TE-02"]))
	require.Equal(t, "skip", verdict(found["TE-03"]), "a skipped test proves nothing")
	require.Equal(t, "fail", verdict(found["TE-05"]))
	require.Equal(t, "—", verdict(found["TE-06"]))
	var out strings.Builder
	table(&out, rows(), found)
	require.Equal(t, []string{"TE-99"}, strangers(rows(), map[string]map[string]string{"TE-02": nil, "TE-99": nil}))
	require.Contains(t, out.String(), "| TE-02 | 6749 §3.2 | only `POST` | `server TestX` | pass |")
}

// TestOneReadingOfAddresses: Gin believes X-Real-IP and the first line of X-Forwarded-For alone
// (V-29).
func TestOneReadingOfAddresses(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			require.NoError(t, err)
			for _, theirs := range []string{".ClientIP(", ".RemoteIP("} {
				require.NotContains(t, string(text), theirs, "%s/%s: internal/address reads who asks", p.ImportPath, name)
			}
		}
	}
}

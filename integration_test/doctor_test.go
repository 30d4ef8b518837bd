package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// changed returns the same deployment with a change in its file.
func (d deployment) changed(t *testing.T, old, text string) deployment {
	t.Helper()
	whole, err := os.ReadFile(d.config)
	require.NoError(t, err)
	require.Contains(t, string(whole), old)
	d.config = filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(d.config, []byte(strings.Replace(string(whole), old, text, 1)), 0o600))
	return d
}

// TestDoctor: the command before a start, beside a node, and where it cannot run.
func TestDoctor(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--maxmemory", "256mb", "--requirepass", "a-long-password")
	addr := freeAddress(t)
	d := deploy(t, strings.Replace(redisStore(s), "redis://", "redis://:a-long-password@", 1)+"issuer = \"http://"+addr+"\"\nlisten = \""+addr+"\"\n")
	type report struct {
		OK                        bool
		Faults, Warnings, Unknown int
		Checks                    []struct{ ID, Level, Text, Cure string }
	}
	examine := func(t *testing.T, d deployment, want int) (r report) {
		out, code := d.command(t, "", "doctor", "--json")
		require.Equal(t, want, code, out)
		require.NoError(t, json.Unmarshal([]byte(out), &r), out)
		require.NotContains(t, out, "a-long-password")
		return r
	}
	levels := func(r report) map[string]string {
		all := map[string]string{}
		for _, c := range r.Checks {
			all[c.ID] = c.Level
		}
		return all
	}
	t.Run("before a start: exit 0, and a warning that nobody serves", func(t *testing.T) {
		r := examine(t, d, 0)
		require.Equal(t, report{OK: true, Warnings: 1, Unknown: 1}, report{r.OK, r.Faults, r.Warnings, r.Unknown, nil})
		require.Equal(t, "warning", levels(r)["issuer.reachable"])
	})
	run(t, built(t, module), nil, "serve", "--config", d.config)
	t.Run("beside a node: exit 0, and nothing to warn of", func(t *testing.T) {
		r := examine(t, d, 0)
		require.Zero(t, r.Faults+r.Warnings+r.Unknown, "%v", r.Checks)
		require.Equal(t, "ok", levels(r)["nodes.configuration"])
	})
	t.Run("beside a node of another configuration: exit 0, and a warning", func(t *testing.T) {
		r := examine(t, d.changed(t, "[scopes]", "[tokens]\naccess_ttl = \"5m\"\n[scopes]"), 0)
		require.Equal(t, "warning", levels(r)["nodes.configuration"])
	})
	t.Run("S-26 a fault: exit 1", func(t *testing.T) {
		c := s.Client().Conn(t.Context())
		defer c.Close()
		require.NoError(t, c.Auth(t.Context(), "a-long-password").Err())
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
		r := examine(t, d, 1)
		require.Equal(t, "fault", levels(r)["redis.policy"])
		require.Equal(t, 1, r.Faults)
	})
	t.Run("a broken configuration: exit 1, with its place", func(t *testing.T) {
		out, code := d.changed(t, "[scopes]", "[limitss]\n[scopes]").command(t, "", "doctor")
		require.Equal(t, 1, code, out)
		require.Regexp(t, `(?m)^fault    config\.file          .*config\.toml:\d+:\d+: limitss: .* -> `, out)
	})
	t.Run("no configuration, or a wrong call: exit 2", func(t *testing.T) {
		out, code := deployment{config: "/nowhere/config.toml"}.command(t, "", "doctor")
		require.Equal(t, 2, code, out)
		out, code = d.command(t, "", "doctor", "--timeout", "1ms")
		require.Equal(t, 2, code, out)
	})
}

// TestDoctorPage plays docs/operate/doctor.md.
func TestDoctorPage(t *testing.T) {
	s := redistest.Start(t, "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru")
	d := deploy(t, redisStore(s)+"issuer = \"http://"+freeAddress(t)+"\"\n")
	here := strings.NewReplacer("grantor doctor", built(t, module)+" doctor", "config.toml", d.config)
	playConsole(t, consoleOf(t, "../docs/operate/doctor.md", "TestDoctorPage"), here, func(string) bool { return false })
}

// TestStatus: the nodes of a deployment, one with another configuration, and one that is not ready.
func TestStatus(t *testing.T) {
	s := redistest.Start(t)
	d := deploy(t, redisStore(s))
	type status struct {
		OK    bool
		Nodes []struct {
			ID, Host, Listen, Version, Why, Config, Here string
			Ready                                        bool
			Up                                           float64
		}
		Configurations map[string][]string
	}
	until := func(t *testing.T, want int, is func(status) bool) (r status) {
		t.Helper()
		var out string
		require.Eventually(t, func() bool {
			var code int
			out, code = d.command(t, "", "status", "--json")
			r = status{}
			return code == want && json.Unmarshal([]byte(out), &r) == nil && is(r)
		}, 15*time.Second, 100*time.Millisecond)
		return r
	}
	t.Run("no node: exit 3", func(t *testing.T) {
		out, code := d.command(t, "", "status")
		require.Equal(t, 3, code, out)
		require.Equal(t, "no node serves\n", out)
	})
	first := d.serve(t)
	t.Run("one node is ready: exit 0", func(t *testing.T) {
		r := until(t, 0, func(r status) bool {
			return len(r.Nodes) == 1 && r.Nodes[0].Listen == strings.TrimPrefix(first.URL, "http://")
		})
		require.True(t, r.OK && r.Nodes[0].Ready)
		require.Equal(t, "ready", r.Nodes[0].Here)
		require.Positive(t, r.Nodes[0].Up)
		require.Regexp(t, `1 nodes, one configuration: [0-9a-f]{12}\n$`, d.must(t, "", "status"))
	})
	other := d.changed(t, "200ms", "30s").serve(t)
	t.Run("two nodes of two configurations: exit 1, and the last line says which", func(t *testing.T) {
		r := until(t, 1, func(r status) bool {
			return len(r.Configurations) == 2 && r.Nodes[0].Here == "ready" && r.Nodes[1].Here == "ready"
		})
		require.True(t, r.Nodes[0].Ready && r.Nodes[1].Ready)
		out, _ := d.command(t, "", "status")
		require.Regexp(t, `configurations differ: [0-9a-f]{12} \([a-z0-9]{10}\), [0-9a-f]{12} \([a-z0-9]{10}\)\n$`, out)
	})
	t.Run("a node that stops is not ready: exit 1, and why", func(t *testing.T) {
		require.NoError(t, other.Cmd.Process.Signal(termination))
		until(t, 1, func(r status) bool {
			return len(r.Nodes) == 2 && (r.Nodes[0].Why == "stopping" || r.Nodes[1].Why == "stopping")
		})
		out, _ := d.command(t, "", "status")
		require.Contains(t, out, "is not ready: stopping\n")
	})
	t.Run("Redis is away: exit 1", func(t *testing.T) {
		s.Stop()
		out, code := d.command(t, "", "status")
		require.Equal(t, 1, code, out)
		require.Regexp(t, "(?m)^grantor: .", out, "it says why: the breaker may say that it did not ask")
		require.NotContains(t, out, "no node serves")
	})
}

// TestStatusOfMemory: a node without Redis can only be asked itself.
func TestStatusOfMemory(t *testing.T) {
	addr := freeAddress(t)
	d := deploy(t, memoryStore+"listen = \""+addr+"\"\n")
	out, code := d.command(t, "", "status")
	require.Equal(t, 3, code, out)
	require.Contains(t, out, "no answer")
	run(t, built(t, module), nil, "serve", "--config", d.config)
	require.Contains(t, d.must(t, "", "status"), "on this host: "+addr+": ready\n")
}

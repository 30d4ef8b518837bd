package integration_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// trailed is a deployment whose trail is written to output, and nothing serves it but commands.
func trailed(t *testing.T, s *redistest.Server, output string) deployment {
	t.Helper()
	return withUsers(t, redisStore(s)+"redis.wait_timeout = \"50ms\"\naudit.output = '"+output+"'\n"+jwtFormat, redisUsers)
}

// readTrail reads lines of a trail.
func readTrail(t *testing.T, text string) (list []audit.Event) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e audit.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		list = append(list, e)
	}
	return list
}

func fileTrail(t *testing.T, name string) []audit.Event {
	t.Helper()
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	seen.text(string(text))
	return readTrail(t, string(text))
}

func streamTrail(t *testing.T, s *redistest.Server) []audit.Event {
	t.Helper()
	found, err := s.Client().XRange(t.Context(), "grantor:audit", "-", "+").Result()
	require.NoError(t, err)
	var b strings.Builder
	for _, m := range found {
		b.WriteString(m.Values["event"].(string) + "\n")
	}
	return readTrail(t, b.String())
}

// whoRuns is what commands of this test say of who ran them.
func whoRuns(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	require.NoError(t, err)
	return "command line (" + u.Username + ")"
}

// step is a command and the event that it leaves; the detail of a user's ends with the keyed hash.
type step struct {
	args                  []string
	event, client, detail string
	stdin                 string
}

func steps(t *testing.T) []step {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clients.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"client_id": "applied", "grant_types": ["client_credentials"], "scope": "orders:read", "secrets": [{"hash": "`+
		clients.HashSecret("x").String()+`"}]}]`), 0o600))
	mine := clients.HashSecret("a secret that is known elsewhere").String()
	of := func(id, detail string, args ...string) step {
		return step{args: append([]string{"client"}, args...), event: audit.ClientChanged, client: id, detail: detail}
	}
	on := func(detail, stdin string, args ...string) step {
		return step{args: append([]string{"user"}, args...), event: audit.UserChanged, detail: detail, stdin: stdin}
	}
	return []step{
		of("job", "created", "create", "--id", "job", "--grant-type", "client_credentials", "--scope", "orders:read"),
		of("job", "changed", "update", "job", "--name", "x"),
		of("job", "disabled", "disable", "job", "--yes"),
		of("job", "enabled", "enable", "job"),
		of("job", "secret rotated", "rotate-secret", "job", "--overlap", "24h", "--secret-hash", mine),
		of("job", "secret revoked", "revoke-secret", "job", clients.Secret{Hash: clients.HashSecret("a secret that is known elsewhere")}.ID(), "--yes"),
		of("job", "tokens revoked", "revoke-tokens", "job", "--yes"),
		of("machine", "disabled", "disable", "machine", "--yes"),
		of("machine", "enabled", "enable", "machine"),
		of("job", "deleted", "delete", "job", "--yes"),
		of("applied", "created", "apply", "-f", file),
		on("created", adaPassword, "add", "ada", "--password-stdin"),
		on("changed", adaPassword, "set-password", "ada", "--password-stdin"),
		on("changed", "", "disable", "ada", "--yes"),
		on("changed", "", "enable", "ada"),
		on("every session ended", "", "logout", "ada", "--all", "--yes"),
		on("deleted", "", "delete", "ada", "--yes"),
	}
}

// leaves demands the one event of a step among those that came with it.
func leaves(t *testing.T, c step, came []audit.Event, reason string) {
	t.Helper()
	require.Len(t, came, 1)
	e := came[0]
	require.Equal(t, c.event, e.Event)
	require.Equal(t, c.client, e.Client)
	require.Equal(t, reason, e.Reason)
	require.Equal(t, whoRuns(t), e.Actor)
	require.False(t, e.Time.IsZero())
	if c.event == audit.UserChanged {
		require.Regexp(t, "^"+c.detail+" [A-Za-z0-9_-]{8,}$", e.Detail)
		require.NotContains(t, e.Detail, "ada")
	} else {
		require.Equal(t, c.detail, e.Detail)
	}
}

func TestCommandsInTheTrail(t *testing.T) {
	s := redistest.Start(t)
	name := filepath.Join(t.TempDir(), "audit.log")
	places := map[string]struct {
		deployment
		read func() []audit.Event
	}{
		"file":   {trailed(t, s, name), func() []audit.Event { return fileTrail(t, name) }},
		"stream": {trailed(t, s, "redis"), func() []audit.Event { return streamTrail(t, s) }},
	}
	for where, p := range places {
		require.NoError(t, s.Client().Del(t.Context(), "grantor:feed:{registry}:enabled").Err())
		list := append([]step{{args: []string{"feed", "enable", "--yes"}, event: audit.FeedEnabled}}, steps(t)...)
		for _, c := range append(list, step{args: []string{"keys", "rotate", "--compromised", "--yes"}, event: audit.KeysRotated, detail: "asked for: the present keys are withdrawn"}) {
			t.Run("S-33 a command leaves its event in the "+where+": "+strings.Join(c.args[:2], " ")+" "+c.client, func(t *testing.T) {
				before := p.read()
				p.must(t, c.stdin+"\n", c.args...)
				leaves(t, c, p.read()[len(before):], "")
			})
		}
		p.must(t, "", "client", "delete", "applied", "--yes")
	}
	d, read := places["file"].deployment, places["file"].read
	t.Run("S-33 a session that is ended by its id, and one that there is not", func(t *testing.T) {
		p := d.serve(t)
		d.must(t, adaPassword+"\n", "user", "add", "ada", "--id", "u-1", "--password-stdin")
		require.Equal(t, 200, login(t, p, "ada", adaPassword).status)
		session := d.sessions(t)[0]["session"].(string)
		of := func(detail string) (list []audit.Event) {
			for _, e := range read() {
				if strings.HasPrefix(e.Detail, detail) {
					list = append(list, e)
				}
			}
			return list
		}
		d.must(t, "", "user", "logout", "ada", "--session", session)
		leaves(t, step{event: audit.UserChanged, detail: "session ended"}, of("session ended"), "")
		_, code := d.command(t, "", "user", "logout", "ada", "--session", session)
		require.Equal(t, 1, code)
		require.Len(t, of("session ended"), 1)
		before := len(of("every session ended"))
		_, code = d.command(t, "", "user", "delete", "--sub", "u-2", "--yes")
		require.Equal(t, 1, code, "nobody has the id; the sessions of such a one have ended")
		require.Len(t, of("every session ended"), before+1)
	})
	t.Run("S-33 what was refused, or changed nothing, leaves no event", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "clients.json")
		require.NoError(t, os.WriteFile(file, []byte(d.must(t, "", "client", "export")), 0o600))
		d.must(t, "", "client", "create", "--id", "kept", "--resource", "https://kept.example.com")
		require.NoError(t, os.WriteFile(file, []byte(d.must(t, "", "client", "export")), 0o600))
		d.must(t, "", "keys", "rotate", "--yes")
		before := len(read())
		for code, list := range map[int][][]string{
			0: {{"client", "apply", "-f", file}, {"client", "list"}, {"client", "show", "kept"}, {"client", "export"}, {"user", "list"}, {"keys", "list"}, {"keys", "rotate", "--yes"}, {"feed", "enable"}},
			1: {{"client", "update", "nobody", "--name", "x"}, {"client", "disable", "nobody", "--yes"}, {"client", "delete", "nobody", "--yes"}, {"client", "revoke-tokens", "nobody", "--yes"},
				{"user", "disable", "nobody", "--yes"}, {"user", "enable", "nobody"}, {"user", "delete", "nobody", "--yes"}, {"user", "logout", "nobody", "--all", "--yes"},
				{"user", "enable", "--sub", "nobody"}, {"user", "disable", "--sub", "nobody", "--yes"}, {"user", "logout", "nobody", "--session", "x"}},
			2: {{"client", "create", "--id", "kept", "--resource", "https://kept.example.com"}, {"client", "create", "--id", "bad", "--scope", "no:such", "--grant-type", "client_credentials"},
				{"client", "delete", "machine", "--yes"}, {"client", "delete", "kept"}, {"client", "update", "kept"}, {"client", "revoke-secret", "kept", "none", "--yes"},
				{"user", "disable", "ada"}, {"user", "logout", "ada"}, {"keys", "rotate"}},
		} {
			for _, args := range list {
				out, got := d.command(t, "", args...)
				require.Equal(t, code, got, "%v: %s", args, out)
			}
		}
		require.Empty(t, read()[before:])
	})
	t.Run("S-33 standard output and nowhere: the answer stands alone", func(t *testing.T) {
		for _, output := range []string{"stdout", ""} {
			before := len(streamTrail(t, s))
			out := trailed(t, s, output).must(t, "", "client", "enable", "kept", "--json")
			require.JSONEq(t, `{"ok": true}`, out)
			require.Len(t, streamTrail(t, s), before)
		}
	})
	t.Run("S-31 the environment forges nobody", func(t *testing.T) {
		before := len(read())
		c := exec.Command(built(t, module), "client", "disable", "kept", "--yes", "--config", d.config)
		c.Env = append(os.Environ(), "USER=mallory\"}\n{", "LOGNAME=mallory", "SUDO_USER=mallory")
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		leaves(t, step{event: audit.ClientChanged, client: "kept", detail: "disabled"}, read()[before:], "")
	})
	t.Run("S-33 commands and a node write one file at once, and no line is mixed with another", func(t *testing.T) {
		p, before := d.serve(t), len(read())
		var commands sync.WaitGroup
		for range 8 {
			commands.Go(func() { _, _ = d.command(t, "", "client", "enable", "kept") })
		}
		for range 50 {
			d.token(t, p)
		}
		commands.Wait()
		p.stop(os.Interrupt)
		require.Len(t, read(), before+58)
	})
}

func TestCommandsInTheTrailUnconfirmed(t *testing.T) {
	s := redistest.Start(t)
	replica := s.AddReplica()
	name := filepath.Join(t.TempDir(), "audit.log")
	places := map[string]struct {
		deployment
		read func() []audit.Event
	}{
		"file":   {trailed(t, s, name), func() []audit.Event { return fileTrail(t, name) }},
		"stream": {trailed(t, s, "redis"), func() []audit.Event { return streamTrail(t, s) }},
	}
	d := places["file"].deployment
	d.serve(t).stop(os.Interrupt)
	replica.Pause()
	defer replica.Resume()
	for where, p := range places {
		for _, c := range append(steps(t), step{args: []string{"keys", "rotate", "--compromised", "--yes"}, event: audit.KeysRotated, detail: "asked for: the present keys are withdrawn"}) {
			t.Run("S-22 S-33 a replica hangs, and the event in the "+where+" says so: "+strings.Join(c.args[:2], " ")+" "+c.client, func(t *testing.T) {
				before := p.read()
				out, code := p.command(t, c.stdin+"\n", c.args...)
				require.Equal(t, 1, code, out)
				require.Contains(t, out, "too few replicas")
				leaves(t, c, p.read()[len(before):], "not_confirmed")
			})
		}
		p.command(t, "", "client", "delete", "applied", "--yes")
	}
	t.Run("S-30 a secret in the place of a name is redacted", func(t *testing.T) {
		read := places["file"].read
		before := len(read())
		_, code := d.command(t, "", "client", "delete", "gcs_"+strings.Repeat("A", 40), "--yes")
		require.Equal(t, 1, code, "whether it was there, a failover may say")
		leaves(t, step{event: audit.ClientChanged, client: "gcs_[redacted]", detail: "deleted"}, read()[before:], "not_confirmed")
	})
}

func TestCommandsWithoutATrail(t *testing.T) {
	s := redistest.Start(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	d := trailed(t, s, file)
	d.must(t, "", "client", "create", "--id", "kept", "--resource", "https://kept.example.com")
	warns := func(t *testing.T, out string) {
		t.Helper()
		require.Contains(t, out, "the client is enabled")
		require.Equal(t, 1, strings.Count(out, "grantor: warning: the audit trail may lack the event"), out)
	}
	unwritable := map[string]string{"a folder": folder, "a folder that is none": filepath.Join(file, "audit.log"), "a device": os.DevNull}
	if os.Getuid() != 0 { // whom no mode stops
		locked := filepath.Join(folder, "locked")
		require.NoError(t, os.WriteFile(locked, nil, 0o400))
		unwritable["a file of another"] = locked
	}
	for what, output := range unwritable {
		t.Run("S-33 a trail that cannot be opened is a warning, and the change is made: "+what, func(t *testing.T) {
			warns(t, trailed(t, s, output).must(t, "", "client", "enable", "kept"))
		})
	}
	t.Run("S-33 a trail that cannot be written is a warning, and the change is made: a full disk", func(t *testing.T) {
		c := exec.Command("sh", "-c", `ulimit -f 0; exec "$@"`, "sh", built(t, module), "client", "enable", "kept", "--config", d.config)
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		warns(t, string(out))
	})
	t.Run("S-33 a trail that cannot be written is a warning, and the change is made: the stream", func(t *testing.T) {
		require.NoError(t, s.Client().Set(t.Context(), "grantor:audit", "x", 0).Err())
		warns(t, trailed(t, s, "redis").must(t, "", "client", "enable", "kept"))
	})
	t.Run("S-33 a configuration that is broken elsewhere, or here, stops no command", func(t *testing.T) {
		text, err := os.ReadFile(d.config)
		require.NoError(t, err)
		before := len(fileTrail(t, file))
		require.NoError(t, os.WriteFile(d.config, []byte("limits.ipv6_prefix = 999\n"+string(text)), 0o600))
		require.NotContains(t, d.must(t, "", "client", "enable", "kept"), "audit trail")
		require.Len(t, fileTrail(t, file), before+1)
		require.NoError(t, os.WriteFile(d.config, []byte(strings.Replace(string(text), "audit.output = '", "audit.output = 1 # '", 1)), 0o600))
		warns(t, d.must(t, "", "client", "enable", "kept"))
	})
	t.Run("S-33 a failed command warns of nothing", func(t *testing.T) {
		out, code := trailed(t, s, folder).command(t, "", "client", "enable", "nobody")
		require.Equal(t, 1, code)
		require.NotContains(t, out, "warning")
	})
}

package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// replace puts a file in the place of another, as editors do.
func replace(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name+"~", []byte(text), 0o600))
	require.NoError(t, os.Rename(name+"~", name))
}

func TestWatchedFiles(t *testing.T) {
	d := deploy(t, memoryStore+"include = [\"conf.d/*.toml\"]\nlimits.client_failures = -1\n")
	folder := filepath.Dir(d.config)
	extra := filepath.Join(folder, "conf.d")
	require.NoError(t, os.Mkdir(extra, 0o700))
	p := d.serve(t)
	accepts := func() bool {
		return post(t, p.URL+"/oauth2/token", "later", d.machine, clientCredentials).status == 200
	}
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	_, machine, _ := strings.Cut(string(text), "client_id = \"machine\"\n")
	machine, _, _ = strings.Cut(machine, "[[")
	later := "[[clients]]\nclient_id = \"later\"\n" + machine

	// From now on a log beside the files is written all the time.
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_ = os.WriteFile(filepath.Join(folder, "busy.Log"), []byte(fmt.Sprint(i)), 0o600)
				_ = os.WriteFile(filepath.Join(extra, "busy.Log"), []byte(fmt.Sprint(i)), 0o600)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()

	t.Run("S-62 a new file that matches include is seen, beside a log that is written all the time", func(t *testing.T) {
		require.False(t, accepts())
		replace(t, filepath.Join(extra, "later.toml"), later)
		within(t, accepts)
	})
	t.Run("S-62 a file that is gone is seen", func(t *testing.T) {
		require.NoError(t, os.Remove(filepath.Join(extra, "later.toml")))
		within(t, func() bool { return !accepts() })
	})
	t.Run("S-62 a file that is written all the time is read all the same", func(t *testing.T) {
		for i := 0; !accepts(); i++ {
			require.Less(t, i, 400)
			require.NoError(t, os.WriteFile(filepath.Join(extra, "later.toml"), []byte(later+fmt.Sprintf("# %d\n", i)), 0o600))
			time.Sleep(20 * time.Millisecond) // shorter than the quiet that the server waits for
		}
	})
	t.Run("S-62 what a broken file names is watched too", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "secret")
		replace(t, d.config, string(text)+"[redis]\npassword_file = \""+name+"\"\n")
		within(t, func() bool { return strings.Contains(p.Log.String(), "redis.password_file: the file cannot be read") })
		before := p.reloaded()
		replace(t, name, "\xef\xbb\xbfpassword\n")
		within(t, func() bool { return p.reloaded() > before })
	})
	t.Run("S-62 a folder that is exchanged by a link, as Kubernetes does, is seen", func(t *testing.T) {
		root := t.TempDir()
		for _, v := range []string{"one", "two"} {
			require.NoError(t, os.Mkdir(filepath.Join(root, v), 0o700))
		}
		body := strings.Replace(string(text), "include = [\"conf.d/*.toml\"]\n", "", 1)
		require.NoError(t, os.WriteFile(filepath.Join(root, "one", "config.toml"), []byte(body), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(root, "two", "config.toml"), []byte(body+later), 0o600))
		require.NoError(t, os.Symlink("one", filepath.Join(root, "..data")))
		require.NoError(t, os.Symlink(filepath.Join("..data", "config.toml"), filepath.Join(root, "config.toml")))
		p := run(t, built(t, module), nil, "serve", "--config", filepath.Join(root, "config.toml"), "--listen", "127.0.0.1:0")
		require.NotEqual(t, 200, post(t, p.URL+"/oauth2/token", "later", d.machine, clientCredentials).status)
		require.NoError(t, os.Symlink("two", filepath.Join(root, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(root, "..tmp"), filepath.Join(root, "..data")))
		within(t, func() bool {
			return post(t, p.URL+"/oauth2/token", "later", d.machine, clientCredentials).status == 200
		})
	})
}

func TestAuditFileIsRotated(t *testing.T) {
	trail := filepath.Join(t.TempDir(), "audit.log")
	d := deploy(t, memoryStore+"audit.output = \""+trail+"\"\n")
	p := d.serve(t)
	events := func(name string) int {
		text, err := os.ReadFile(name)
		if err != nil {
			return -1
		}
		return strings.Count(string(text), `"event":"token_issued"`)
	}
	d.token(t, p)
	within(t, func() bool { return events(trail) == 1 })
	t.Run("S-32 create: the file is put aside, and SIGHUP begins another", func(t *testing.T) {
		require.NoError(t, os.Rename(trail, trail+".1"))
		d.token(t, p)
		within(t, func() bool { return events(trail+".1") == 2 })
		require.NoError(t, p.Cmd.Process.Signal(hangup))
		within(t, func() bool { return events(trail) == 0 })
		d.token(t, p)
		within(t, func() bool { return events(trail) == 1 })
		require.Equal(t, 2, events(trail+".1"))
	})
	t.Run("S-32 copytruncate: events go on at the beginning of the emptied file", func(t *testing.T) {
		require.NoError(t, os.Truncate(trail, 0))
		d.token(t, p)
		within(t, func() bool { return events(trail) == 1 })
		text, err := os.ReadFile(trail)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), "{"), "no hole")
	})
	t.Run("S-32 a folder that is gone: logged, and events go on to the old file", func(t *testing.T) {
		require.NoError(t, os.Rename(filepath.Dir(trail), filepath.Dir(trail)+"-aside"))
		aside := filepath.Join(filepath.Dir(trail)+"-aside", "audit.log")
		t.Cleanup(func() { _ = os.Rename(filepath.Dir(aside), filepath.Dir(trail)) })
		require.NoError(t, p.Cmd.Process.Signal(hangup))
		within(t, func() bool { return strings.Contains(p.Log.String(), "cannot reopen the audit file") })
		before := events(aside)
		d.token(t, p)
		within(t, func() bool { return events(aside) == before+1 })
	})
}

// TestReloadWhileRedisIsAway: a change that came in that moment, such as a client's disabling, must
// not be forgotten.
func TestReloadWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t)
	d := deploy(t, redisStore(s)+"limits.client_failures = -1\n")
	p := d.serve(t)
	d.token(t, p)
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	s.Stop()
	replace(t, d.config, strings.Replace(string(text), "client_id = \"machine\"\n", "client_id = \"machine\"\ndisabled = true\n", 1))
	within(t, func() bool { return strings.Contains(p.Log.String(), "cannot be applied") })
	s.Restart()
	within(t, func() bool { return strings.Contains(p.Log.String(), "is in force") })
	require.Equal(t, 401, post(t, p.URL+"/oauth2/token", "machine", d.machine, clientCredentials).status)
}

// TestStopInAReload: a reload that waits when the server is told to stop is no broken
// configuration.
func TestStopInAReload(t *testing.T) {
	d := deploy(t, redisStore(redistest.Start(t)))
	p := d.serve(t)
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	replace(t, d.config, strings.Replace(string(text), "client_id = \"machine\"\n", "client_id = \"other\"\n", 1))
	within(t, func() bool { return p.reloaded() == 1 })
	replace(t, d.config, string(text))
	time.Sleep(time.Second) // it is read, and waits whether the client comes back
	require.Equal(t, 0, p.stop(os.Interrupt))
	require.NotContains(t, p.Log.String(), `"level":"ERROR"`)
	require.NotContains(t, p.Out.String(), "config_reload_failed")
}

// TestCommandsBesideABrokenFile: a mistake in the file does not stop the operator.
func TestCommandsBesideABrokenFile(t *testing.T) {
	s := redistest.Start(t)
	d := operated(t, s, jwtFormat)
	p := d.serve(t)
	secret := d.client(t, "job", "orders:read")
	token := post(t, p.URL+"/oauth2/token", "job", secret, credentials("orders:read")).text("access_token")
	require.NotEmpty(t, token)
	good, err := os.ReadFile(d.config)
	require.NoError(t, err)
	address := strings.TrimPrefix(p.URL, "http://")
	for name, text := range map[string]string{
		"an unknown key":       "lisen = \"x\"\n" + string(good),
		"a line without sense": "nonsense\n" + string(good),
		"a wrong scope":        strings.Replace(string(good), "[scopes]", "[scopes]\n\"a b\" = {}", 1),
		"a cut table":          string(good) + "\n[cors\norigins = [\"x\"]\n",
	} {
		t.Run("S-62 "+name+": commands do their work and say that the rest is broken", func(t *testing.T) {
			replace(t, d.config, text)
			for _, args := range [][]string{
				{"health", "--listen", address}, {"health", "--ready", "--listen", address}, {"client", "list"}, {"client", "disable", "job", "--yes"}, {"client", "enable", "job"},
				{"client", "disable", "machine", "--yes"}, {"client", "enable", "machine"}, {"client", "revoke-tokens", "job", "--yes"}, {"client", "rotate-secret", "job", "--now", "--force", "--yes"},
				{"keys", "list"}, {"keys", "rotate", "--yes"}, {"user", "logout", "--sub", "u-none", "--all", "--yes"}, {"user", "sessions", "--sub", "u-none"},
			} {
				out, code := d.command(t, "", args...)
				require.Zero(t, code, "%v: %s", args, out)
				require.Contains(t, out, "the configuration is broken, but not where this command needs it", "%v", args)
			}
		})
	}
	t.Run("S-62 a command is refused where its own part is broken", func(t *testing.T) {
		replace(t, d.config, strings.Replace(string(good), "[scopes]", "[scopes]\n\"a b\" = {}", 1))
		out, code := d.command(t, "", "client", "create", "--grant-type", "client_credentials", "--scope", "orders:read")
		require.Equal(t, 2, code, out)
		require.Contains(t, out, "scopes.a b: ")
		replace(t, d.config, strings.Replace(string(good), "redis.url", "redis.ulr", 1))
		out, code = d.command(t, "", "client", "list")
		require.Equal(t, 2, code, out)
		require.Contains(t, out, "redis.ulr: there is no such key")
	})
	replace(t, d.config, string(good))
	out := d.must(t, "", "client", "list")
	require.NotContains(t, out, "broken")
}

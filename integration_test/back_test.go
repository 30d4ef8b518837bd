package integration_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// configured is a deployment whose file a test changes.
type configured struct {
	deployment
	text string
}

func configure(t *testing.T, store string) *configured {
	t.Helper()
	d := withUsers(t, store+"metrics.listen = \"127.0.0.1:0\"\nlimits.client_failures = -1\n", configUsers())
	text, err := os.ReadFile(d.config)
	require.NoError(t, err)
	return &configured{d, string(text)}
}

// write makes the file what change makes of the first one.
func (c *configured) write(t *testing.T, change func(string) string) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.config, []byte(change(c.text)), 0o600))
}

// entry changes one entry of an array of tables: nil takes it out.
func entry(table, begins string, change func(string) string) func(string) string {
	return func(text string) string {
		head := "[[" + table + "]]\n" + begins
		at := strings.Index(text, head)
		end := strings.Index(text[at+2:], "\n[")
		if end < 0 {
			end = len(text) - at - 2
		}
		one := text[at : at+2+end]
		if change == nil {
			return text[:at] + text[at+len(one):]
		}
		return text[:at] + change(one) + text[at+len(one):]
	}
}

func disabled(one string) string { return strings.TrimSpace(one) + "\ndisabled = true\n" }

// TestComesBack takes clients and users of config.toml away and puts them back: by a reload, and by
// a restart.
func TestComesBack(t *testing.T) {
	ways := map[string]func(t *testing.T, c *configured, p *process) *process{
		"reload": func(t *testing.T, _ *configured, p *process) *process {
			t.Helper()
			before := strings.Count(p.Log.String(), "is in force")
			require.NoError(t, p.Cmd.Process.Signal(hangup))
			within(t, func() bool { return strings.Count(p.Log.String(), "is in force") > before })
			return p
		},
		"restart": func(t *testing.T, c *configured, p *process) *process {
			t.Helper()
			require.NoError(t, p.Cmd.Process.Kill())
			<-p.Done
			return c.serve(t)
		},
	}
	for store, open := range map[string]func(t *testing.T) string{
		"memory": func(*testing.T) string { return memoryStore },
		"Redis":  func(t *testing.T) string { return redisStore(redistest.Start(t)) },
	} {
		for way, again := range ways {
			if store == "memory" && way == "restart" {
				continue
			}
			for what, change := range map[string]func(string) string{"disabled": disabled, "taken out": nil} {
				t.Run("V-34 a client and a user of config.toml, "+what+" and put back by "+way+" on "+store+": no token and no session revives", func(t *testing.T) {
					c := configure(t, open(t))
					p := c.serve(t)
					machine, session := c.token(t, p), login(t, p, "ada", adaPassword)
					require.Equal(t, 200, session.status, session.body)
					c.write(t, entry("clients", "client_id = \"machine\"", change))
					p = again(t, c, p)
					require.Equal(t, dead, c.introspect(t, p, machine).body)
					c.write(t, entry("users.config", "", change))
					p = again(t, c, p)
					if what == "disabled" {
						require.Equal(t, dead, c.introspect(t, p, session.text("access_token")).body, "at once")
					}
					c.write(t, func(text string) string { return text })
					p = again(t, c, p)
					require.Equal(t, dead, c.introspect(t, p, machine).body)
					require.Equal(t, dead, c.introspect(t, p, session.text("access_token")).body)
					require.Equal(t, "invalid_grant", refresh(t, p, "app", session.text("refresh_token")).json["error"])
					fresh, other := c.token(t, p), login(t, p, "ada", adaPassword)
					p = again(t, c, p)
					require.Equal(t, true, c.introspect(t, p, fresh).json["active"], "what was given since stays active")
					require.Equal(t, 200, refresh(t, p, "app", other.text("refresh_token")).status)
				})
			}
		}
	}
}

package integration_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// lockedUser is what user list --locked, and user show with --json say of a user.
type lockedUser struct {
	Sub         string
	SubjectHash string `json:"subject_hash"`
	Username    string
	Source      string
	Scope       string
	Sessions    int
	Locked      bool
	LockedUntil time.Time `json:"locked_until"`
	Failures    json.RawMessage
}

type failures []struct {
	Network     string
	Failures    int
	Limit       int
	LockedUntil time.Time `json:"locked_until"`
}

func (d deployment) userShown(t *testing.T, args ...string) (u lockedUser, f failures) {
	t.Helper()
	out := d.must(t, "", append([]string{"user", "show", "--json"}, args...)...)
	require.NoError(t, json.Unmarshal([]byte(out), &u), out)
	require.NoError(t, json.Unmarshal(u.Failures, &f), out)
	return u, f
}

// lock locks a user by five wrong passwords, and shows that the right one is refused then.
func lock(t *testing.T, p *process, name, password string) {
	t.Helper()
	for range 5 {
		require.Equal(t, 400, login(t, p, name, "wrong").status)
	}
	require.Equal(t, 400, login(t, p, name, password).status)
}

// TestUnlockUser: whose account is locked, and how is it unlocked?
func TestUnlockUser(t *testing.T) {
	for source, directory := range map[string]string{"config": configUsers(), "redis": redisUsers} {
		t.Run(source, func(t *testing.T) {
			s := redistest.Start(t)
			trail := filepath.Join(t.TempDir(), "trail.jsonl")
			d := withUsers(t, redisStore(s)+"audit.output = '"+trail+"'\n", directory)
			if source == "redis" {
				d.must(t, adaPassword, "user", "add", "ada", "--id", "u-1", "--scope", "orders:*", "--password-stdin")
			}
			a, b := d.serve(t), d.serve(t)
			t.Run("S-12 who is not locked", func(t *testing.T) {
				u, f := d.userShown(t, "ada")
				require.Equal(t, []any{"u-1", "ada", source, "orders:*", 0, false}, []any{u.Sub, u.Username, u.Source, u.Scope, u.Sessions, u.Locked})
				require.Empty(t, f)
				require.Contains(t, d.must(t, "", "user", "unlock", "ada"), "nothing was changed")
				require.Equal(t, "[]\n", d.must(t, "", "user", "list", "--locked", "--json"))
				out, code := d.command(t, "", "user", "show", "nobody")
				require.Equal(t, 1, code)
				require.Contains(t, out, `there is no user "nobody"`)
			})
			lock(t, a, "ada", adaPassword)
			hash := strings.TrimSpace(d.must(t, "", "user", "hash", "ada"))
			t.Run("S-12 a locked user is shown, listed, and named in trail and log by what user hash prints", func(t *testing.T) {
				u, f := d.userShown(t, "ada")
				require.True(t, u.Locked)
				require.Equal(t, hash, u.SubjectHash)
				require.Len(t, f, 1)
				require.Equal(t, 5, f[0].Failures)
				require.InDelta(t, 900, time.Until(f[0].LockedUntil).Seconds(), 60)
				out := d.must(t, "", "user", "show", "ada")
				require.Contains(t, out, "5 of 5 from new addresses, locked until ")
				var list []lockedUser
				require.NoError(t, json.Unmarshal([]byte(d.must(t, "", "user", "list", "--locked", "--json")), &list))
				require.Len(t, list, 1)
				require.Equal(t, []any{"u-1", hash, "ada"}, []any{list[0].Sub, list[0].SubjectHash, list[0].Username})
				within(t, func() bool {
					for _, e := range fileTrail(t, trail) {
						if e.Event == audit.UserLockedOut {
							return e.Subject == hash
						}
					}
					return false
				})
				a.Logs(t, `"sub":"u-1","subject_hash":"`+hash+`"`)
				require.Equal(t, hash+"\n", d.must(t, "", "user", "hash", "--sub", "u-1"))
			})
			t.Run("S-12 unlocked by name, the user logs in on both nodes", func(t *testing.T) {
				require.Contains(t, d.must(t, "", "user", "unlock", "ada"), "5 failed logins are forgotten")
				require.Equal(t, 200, login(t, a, "ada", adaPassword).status)
				require.Equal(t, 200, login(t, b, "ada", adaPassword).status)
				u, f := d.userShown(t, "ada")
				require.False(t, u.Locked)
				require.Empty(t, f)
				require.Equal(t, 2, u.Sessions)
				within(t, func() bool {
					for _, e := range fileTrail(t, trail) {
						if e.Detail == "unlocked "+hash {
							return e.Event == audit.UserChanged && e.Actor == whoRuns(t)
						}
					}
					return false
				})
			})
			t.Run("S-15 unlocked at the user's own address too, by --sub", func(t *testing.T) {
				lock(t, b, "ada", adaPassword)
				_, f := d.userShown(t, "--sub", "u-1")
				require.Len(t, f, 1)
				require.Equal(t, "127.0.0.1", f[0].Network, "where ada has logged in before")
				d.must(t, "", "user", "unlock", "--sub", "u-1")
				require.Equal(t, 200, login(t, a, "ada", adaPassword).status)
			})
			t.Run("S-12 a name that is nobody's is folded, and nobody is listed for it", func(t *testing.T) {
				lock(t, a, "GHOST", "x")
				require.Equal(t, "[]\n", d.must(t, "", "user", "list", "--locked", "--json"))
				out := d.must(t, "", "user", "unlock", "ghost")
				require.Contains(t, out, "5 failed logins are forgotten; there is no user \"ghost\"")
			})
			t.Run("S-13 --address", func(t *testing.T) {
				require.Contains(t, d.must(t, "", "user", "unlock", "--address", "127.0.0.1"), " failed logins from 127.0.0.1 are forgotten")
				require.Contains(t, d.must(t, "", "user", "unlock", "--address", "127.0.0.1"), "nothing was changed")
				for says, args := range map[string][]string{
					"an address such as":    {"--address", "everywhere"},
					"takes NAME, --sub":     {},
					"takes NAME, --sub ID ": {"ada", "--address", "127.0.0.1"},
				} {
					out, code := d.command(t, "", append([]string{"user", "unlock"}, args...)...)
					require.Equal(t, 2, code, out)
					require.Contains(t, out, says)
				}
			})
			if source == "redis" {
				t.Run("S-12 a new password ends the lock", func(t *testing.T) {
					lock(t, a, "ada", adaPassword)
					d.must(t, "another long password", "user", "set-password", "ada", "--password-stdin")
					require.Equal(t, 200, login(t, b, "ada", "another long password").status)
				})
			}
			t.Run("S-64 what counts expires", func(t *testing.T) {
				for _, k := range s.Client().Keys(t.Context(), "grantor:n:*").Val() {
					require.Positive(t, s.Client().PTTL(t.Context(), k).Val())
					require.NotContains(t, k, "ada")
				}
			})
		})
	}
}

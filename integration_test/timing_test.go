package integration_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

const rounds = 40

// crowd is a directory of users who share a password: known ones, one for each wrong guess so that
// none of them is locked, disabled ones, and one who will be locked.
func crowd(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 9)
	require.NoError(t, err)
	var text strings.Builder
	add := func(name string, disabled bool) {
		fmt.Fprintf(&text, "[[users.config]]\nid = %q\nusername = %q\npassword_hash = %q\nscope = \"orders:read\"\ndisabled = %t\n", "u-"+name, name, hash, disabled)
	}
	for i := range rounds {
		add(fmt.Sprint("known-", i), false)
		add(fmt.Sprint("disabled-", i), true)
	}
	add("locked", false)
	return text.String()
}

// TestLockedUsersAreNotTold: with limits on, locked and disabled users are told from wrong
// passwords and unknown names neither by the answer nor by the time that it takes.
// TestUsersAreNotTold has the limits off.
func TestLockedUsersAreNotTold(t *testing.T) {
	d := withUsers(t, redisStore(redistest.Start(t))+"limits.password_failures_per_address = -1\n", crowd(t, adaPassword))
	p := d.serve(t)
	require.Equal(t, 200, login(t, p, "known-0", adaPassword).status)
	for _, name := range []string{"locked", "ghost"} { // the directory does not know the second
		for range 5 {
			require.Equal(t, 400, login(t, p, name, "wrong").status)
		}
	}
	t.Run("S-03 S-05 one answer for unknown, wrong, disabled and locked", func(t *testing.T) {
		want := login(t, p, "nobody", "wrong")
		require.Equal(t, 400, want.status)
		for what, got := range map[string]reply{
			"a wrong password":                      login(t, p, "known-1", "wrong"),
			"disabled, wrong password":              login(t, p, "disabled-1", "wrong"),
			"disabled, right password":              login(t, p, "disabled-2", adaPassword),
			"locked, wrong password":                login(t, p, "locked", "wrong"),
			"locked, right password":                login(t, p, "locked", adaPassword),
			"an unknown name locked":                login(t, p, "ghost", "wrong"),
			"an unknown name locked, by other case": login(t, p, "GHOST", adaPassword),
		} {
			require.Equal(t, want.status, got.status, what)
			require.Equal(t, want.body, got.body, what)
			require.Equal(t, headerNames(want), headerNames(got), what)
			for name := range want.header {
				if name != "Date" && name != "X-Request-Id" {
					require.Equal(t, want.header[name], got.header[name], "%s: %s", what, name)
				}
			}
		}
		p.Logs(t, `"reason":"user_locked"`)
	})
	t.Run("S-02 S-03 and one time", func(t *testing.T) {
		equalTimes(t, "wrong", map[string]func(i int) reply{
			"wrong":    func(i int) reply { return login(t, p, fmt.Sprint("known-", i), "wrong password") },
			"unknown":  func(i int) reply { return login(t, p, fmt.Sprint("unknown-", i), "wrong password") },
			"disabled": func(i int) reply { return login(t, p, fmt.Sprint("disabled-", i), adaPassword) },
			"locked":   func(int) reply { return login(t, p, "locked", adaPassword) },
		})
	})
}

// equalTimes interleaves calls that must all be refused, and compares each kind's median with that
// of the kind called base: they may differ by 1 ms or 15 %, or by half of the spread of the samples
// where a busy machine shows no finer. The best of three repetitions counts: noise comes and goes,
// a leak stays.
func equalTimes(t *testing.T, base string, calls map[string]func(i int) reply) {
	t.Helper()
	kinds := slices.Sorted(maps.Keys(calls))
	for attempt := range 3 {
		samples := map[string][]time.Duration{}
		for i := range rounds {
			for _, kind := range kinds {
				begun := time.Now()
				require.Equal(t, 400, calls[kind](i).status, kind)
				samples[kind] = append(samples[kind], time.Since(begun))
			}
		}
		for _, list := range samples {
			slices.Sort(list)
		}
		spread := samples[base][rounds*3/4] - samples[base][rounds/4]
		allowed := max(time.Millisecond, samples[base][rounds/2]*15/100, spread/2)
		report, fair := fmt.Sprintf("allowed %s:", allowed), true
		for _, kind := range kinds {
			median := samples[kind][rounds/2]
			report += fmt.Sprintf(" %s %s", kind, median.Round(10*time.Microsecond))
			fair = fair && (median-samples[base][rounds/2]).Abs() <= allowed
		}
		t.Log(report)
		if fair {
			return
		}
		require.Less(t, attempt, 2, report)
	}
}

package integration_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// guessers are many people with one password, of whom all sit at one address.
func guessers(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "[[users.config]]\nid = \"u-%d\"\nusername = \"user-%d\"\npassword_hash = %q\nscope = \"orders:*\"\n", i, i, adaHash())
	}
	return b.String()
}

// at sends logins at one moment, by turns to the nodes, and counts the answers by status and
// error.
func at(t *testing.T, count int, name func(i int) string, password string, nodes ...*process) map[string]int {
	t.Helper()
	answers := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range count {
		all.Go(func() {
			r := login(t, nodes[i%len(nodes)], name(i), password)
			if r.status == http.StatusServiceUnavailable {
				require.NotEmpty(t, r.header.Get("Retry-After"))
			}
			mu.Lock()
			defer mu.Unlock()
			answers[strings.TrimSpace(fmt.Sprint(r.status, " ", r.text("error")))]++
		})
	}
	all.Wait()
	return answers
}

var checks = regexp.MustCompile(`(?m)^grantor_password_checks_total (\d+)`)

// compared is how many passwords the nodes have compared.
func compared(t *testing.T, nodes ...*process) (sum int) {
	t.Helper()
	for _, p := range nodes {
		m := checks.FindStringSubmatch(p.scrape())
		require.NotNil(t, m)
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		sum += n
	}
	return sum
}

func TestLogInsAtOneMoment(t *testing.T) {
	d := withUsers(t, redisStore(redistest.Start(t))+"audit.output = \"stdout\"\nmetrics.listen = \"127.0.0.1:0\"\nlimits.password_failures_per_address = 20\n", guessers(200))
	a, b := d.serve(t), d.serve(t)
	everybody := func(i int) string { return fmt.Sprintf("user-%d", i) }
	one := func(int) string { return "user-0" }
	t.Run("V-03 S-11 12 right logins of one user at one moment", func(t *testing.T) {
		got := at(t, 12, one, adaPassword, a)
		require.Equal(t, 12, got["200"]+got["503 temporarily_unavailable"], got)
		require.Positive(t, got["200"])
	})
	t.Run("V-03 S-13 400 right logins in two bursts from one address that may fail 20 times", func(t *testing.T) {
		for range 2 {
			got := at(t, 200, everybody, adaPassword, a, b)
			require.Equal(t, 200, got["200"]+got["503 temporarily_unavailable"], got)
			require.Greater(t, got["200"], 20, got)
			t.Log(got)
		}
	})
	t.Run("nobody was locked out", func(t *testing.T) {
		require.NotContains(t, a.Out.String()+b.Out.String(), "user_locked_out")
	})
	t.Run("V-11 S-12 400 wrong guesses for one user over two nodes: five are compared, and the right one then is wrong", func(t *testing.T) {
		stranger := func(int) string { return "user-7" }
		before := compared(t, a, b)
		for range 2 {
			got := at(t, 200, stranger, "a wrong password", a, b)
			require.Zero(t, got["200"], got)
		}
		// user-7 logged in from here above, so that the address is known: its budget is its own,
		// and the only one that is used
		require.LessOrEqual(t, compared(t, a, b)-before, 5)
		require.NotEqual(t, 200, login(t, a, "user-7", adaPassword).status)
	})
}

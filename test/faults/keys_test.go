package faults_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestKeysEnd issues very many short-lived tokens and fails very many logins.
func TestKeysEnd(t *testing.T) {
	tokens, guesses := choose(100_000, 1_000_000), choose(2_000, 50_000)
	t.Run("S-64 tokens of five seconds and counters of failed logins leave no keys, and every key has a lifetime", func(t *testing.T) {
		s := redistest.Start(t)
		d := deploy(t, single(s.Addr)+"tokens.access_ttl = \"5s\"\ntokens.retry_window = \"1s\"\nlimits.window = \"5s\"\nlimits.password_failures_per_address = -1\n")
		n, look := d.serve(t), s.Client()
		size := func() int { return int(look.DBSize(t.Context()).Val()) }
		base := size()
		begun := time.Now()
		form := "grant_type=client_credentials&client_id=machine-0&client_secret=" + d.secret
		most := pour(t, n, tokens, size, func(int) string { return form })
		took := time.Since(begun)
		pour(t, n, guesses, size, func(i int) string {
			return fmt.Sprintf("grant_type=password&client_id=app&username=nobody-%d&password=wrong", i)
		})
		c := newCaller(d)
		for i := range 20 {
			require.Equal(t, 200, c.login(context.Background(), n, fmt.Sprintf("user-%d", i)).status)
		}
		lasting := withoutEnd(t, s)
		require.Eventually(t, func() bool { return size() <= base+20*5 }, 60*time.Second, 100*time.Millisecond, "%d keys are left, %d were there before", size(), base)
		figure(t, "S-64", fmt.Sprintf("%d tokens of 5 s in %s and %d failed logins: %d keys before, %d at most, %d afterwards with 20 logins; %d keys without a lifetime", tokens,
			seconds(took), guesses, base, most, size(), len(lasting)), "after 60 s ≤ base + live; 0 without a lifetime")
		require.Empty(t, lasting)
	})
}

// withoutEnd returns the keys without a lifetime, but for the registry of clients, which is an
// operator's to end.
func withoutEnd(t *testing.T, s *redistest.Server) (lasting []string) {
	t.Helper()
	find := `local found, cursor = {}, '0'
repeat
  local r = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = r[1]
  for _, k in ipairs(r[2]) do if redis.call('PTTL', k) == -1 and string.sub(k, 1, 16) ~= 'grantor:clients:' then table.insert(found, k) end end
until cursor == '0'
return found`
	lasting, err := s.Client().Eval(t.Context(), find, nil).StringSlice()
	require.NoError(t, err)
	return lasting
}

// pour posts so many forms to the token endpoint, many on each connection before their answers are
// read, and returns the most keys that were seen.
func pour(t *testing.T, n *node, count int, size func() int, form func(i int) string) (most int) {
	t.Helper()
	const conns, batch = 8, 50
	var all sync.WaitGroup
	errs := make([]error, conns)
	for c := range conns {
		conn := dialNode(t, n)
		all.Go(func() {
			in := bufio.NewReader(conn)
			for i := c * batch; i < count && errs[c] == nil; i += conns * batch {
				var out strings.Builder
				for k := range batch {
					body := form(i + k)
					fmt.Fprintf(&out, "%sContent-Length: %d\r\n\r\n%s", formHead, len(body), body)
				}
				if _, errs[c] = io.WriteString(conn, out.String()); errs[c] == nil {
					errs[c] = answersOf(in, batch)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for {
		most = max(most, size())
		select {
		case <-done:
			for _, err := range errs {
				require.NoError(t, err)
			}
			return most
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// answersOf reads so many answers: 200, 400 for a wrong password, or 503 for one that was not
// looked at.
func answersOf(in *bufio.Reader, count int) error {
	for range count {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return err
		}
		if !slices.Contains([]int{200, 400, 503}, res.StatusCode) {
			return fmt.Errorf("status %d", res.StatusCode)
		}
	}
	return nil
}

// hostile are texts that mean something to Redis, Lua, patterns, keys, forms or JSON.
func hostile() []string {
	return []string{"*", "?", "[a-z]", "{x}", "{", "}", "{}", "}{", "grantor:*", "grantor:k:1", "t:{x}", "\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "'", "\"", "\\", "');redis.call('FLUSHALL')--",
		"]]", "--", "%00", "\x00", "\x01", "\x7f", "\u2028", "\xff\xfe", "../../etc/passwd", "${jndi:ldap://x}", "<script>", "a b", strings.Repeat("x", 5000), "-1", "nil"}
}

func TestHostileTexts(t *testing.T) {
	run := func(t *testing.T, d *deployment, servers ...*redistest.Server) {
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		live, user := c.issue(ctx, n, "machine-{x}"), c.login(ctx, n, "user-0")
		require.Equal(t, 200, live.status)
		require.Equal(t, 200, user.status)
		fields := []string{"client_id", "client_secret", "scope", "username", "password", "refresh_token", "token"}
		given, tried := 0, 0
		for _, text := range hostile() {
			for _, field := range fields {
				for _, f := range forms(d, field, text) {
					a := c.post(ctx, n.URL+f.path, "", "", f.form)
					tried++
					require.NotZero(t, a.status, "%s=%q: %v", field, text, a.err)
					require.Less(t, a.status, 500, "%s=%q: %s", field, text, a.body)
					given += btoi(a.Access != "" || a.Active)
				}
			}
		}
		strangers := 0
		for _, s := range servers {
			for _, key := range s.Client().Keys(t.Context(), "*").Val() {
				strangers += btoi(!strings.HasPrefix(key, "grantor:"))
			}
		}
		figure(t, "S-19", fmt.Sprintf("%d requests with %d hostile texts in %d fields, %d Redis servers: 0 × 5xx, %d tokens given, %d keys outside the prefix", tried, len(hostile()),
			len(fields), len(servers), given, strangers), "0, 0, 0; a live token unharmed")
		require.Zero(t, given)
		require.Zero(t, strangers)
		require.True(t, c.introspect(ctx, n, live.Access).Active)
		require.True(t, c.introspect(ctx, n, user.Access).Active)
		require.Equal(t, 200, c.refresh(ctx, n, user.Refresh).status)
	}
	const unlimited = "limits.client_failures = -1\nlimits.password_failures_per_address = -1\n"
	t.Run("S-19 texts with a meaning to Redis in every field, on one server", func(t *testing.T) {
		s := redistest.Start(t)
		run(t, deploy(t, single(s.Addr)+unlimited), s)
	})
	t.Run("S-19 texts with a meaning to Redis in every field, on a Cluster", func(t *testing.T) {
		c := redistest.Cluster(t, 3)
		run(t, deploy(t, cluster(c.Addrs, 0)+unlimited), c.Servers...)
	})
}

// asked is one form and where it goes.
type asked struct {
	path string
	form url.Values
}

// forms are good requests in which one field was replaced.
func forms(d *deployment, field, text string) (list []asked) {
	for _, good := range []asked{
		{"/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"machine-0"}, "client_secret": {d.secret}, "scope": {"orders:read"}}},
		{"/oauth2/token", url.Values{"grant_type": {"password"}, "client_id": {"app"}, "username": {"user-1"}, "password": {password}}},
		{"/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {"grt_x"}}},
		{"/oauth2/introspect", url.Values{"client_id": {"api"}, "client_secret": {d.api}, "token": {"gat_x"}}},
		{"/oauth2/revoke", url.Values{"client_id": {"machine-0"}, "client_secret": {d.secret}, "token": {"gat_x"}}},
	} {
		if good.form.Has(field) {
			good.form.Set(field, text)
			list = append(list, good)
		}
	}
	return list
}

package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/redisdb/redistest"
)

// A Go program asks the kernel for the time and not the C library, so libfaketime cannot move a node's clock. It can
// move that of redis-server, and all that matters is how far the two are apart.

// faketime makes every redis-server that the test starts from here on read its clock's offset from a file, which
// the returned function sets.
func faketime(t *testing.T) (set func(offset string)) {
	t.Helper()
	libraries, _ := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if len(libraries) == 0 {
		if os.Getenv("GRANTOR_TEST_REQUIRE_FAKETIME") == "1" {
			t.Fatal("libfaketime (Debian: faketime) is not there")
		}
		t.Skip("libfaketime (Debian: faketime) is not there")
	}
	file := filepath.Join(t.TempDir(), "offset")
	set = func(offset string) { require.NoError(t, os.WriteFile(file, []byte(offset+"\n"), 0o600)) }
	set("+0")
	t.Setenv("FAKETIME_TIMESTAMP_FILE", file)
	t.Setenv("FAKETIME_NO_CACHE", "1")
	t.Setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
	t.Setenv("LD_PRELOAD", libraries[0])
	return set
}

const life = 4 * time.Second

func TestClocks(t *testing.T) {
	for _, offset := range []string{"+40", "-40", "+3600", "-3600"} {
		t.Run("S-27 the clocks of Redis and node differ by "+offset+" s: tokens live as long as they should", func(t *testing.T) {
			_, err := program() // compiled by this clock
			require.NoError(t, err)
			set := faketime(t)
			set(offset)
			s := redistest.Start(t)
			now, err := s.Client().Time(t.Context()).Result()
			require.NoError(t, err)
			require.Greater(t, time.Until(now).Abs(), 30*time.Second, "the clock did not move")
			d := deploy(t, single(s.Addr)+"tokens.access_ttl = \"4s\"\ntokens.retry_window = \"1s\"\n")
			n, c, ctx := d.serve(t), newCaller(d), context.Background()
			begun := time.Now()
			machine, user := c.issue(ctx, n, "machine-0"), c.login(ctx, n, "user-0")
			require.True(t, c.introspect(ctx, n, machine.Access).Active)
			require.True(t, c.introspect(ctx, n, user.Access).Active)
			next := c.refresh(ctx, n, user.Refresh)
			require.Equal(t, 200, next.status, next.body)
			again := c.refresh(ctx, n, user.Refresh)
			require.True(t, again.Refresh == next.Refresh || time.Since(begun) > time.Second, "the same successor within the window")
			for _, token := range []string{machine.Access, user.Access, next.Access} {
				require.Eventually(t, func() bool { return !c.introspect(ctx, n, token).Active }, life+10*time.Second, 10*time.Millisecond)
			}
			lived := time.Since(begun)
			figure(t, "S-27", fmt.Sprintf("Redis's clock %s s from the node's: tokens of 4 s lived %s, refresh and retry 200", offset, seconds(lived)), "≤ life + skew; one clock decides")
			require.GreaterOrEqual(t, lived, life-time.Second)
			require.Less(t, lived, life+5*time.Second)
		})
	}
	t.Run("S-27 Redis's clock jumps forward by an hour: tokens end early, never late; what comes after is whole", func(t *testing.T) {
		_, err := program()
		require.NoError(t, err)
		set := faketime(t)
		s := redistest.Start(t)
		d := deploy(t, single(s.Addr))
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		old := c.issue(ctx, n, "machine-0")
		require.True(t, c.introspect(ctx, n, old.Access).Active)
		set("+3600")
		require.Equal(t, `{"active":false}`, c.introspect(ctx, n, old.Access).body, "15 minutes are over by the one clock that decides")
		require.True(t, c.introspect(ctx, n, c.issue(ctx, n, "machine-0").Access).Active)
		user := c.login(ctx, n, "user-0")
		require.Equal(t, 200, c.refresh(ctx, n, user.Refresh).status)
		figure(t, "S-27", "Redis's clock jumps forward by 1 h: tokens of 15 minutes end at once, new ones live", "never longer than life + skew")
	})
}

package faults_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// A Go program asks the kernel for the time and not the C library, so a node's clock cannot be
// moved from outside. That of redis-server can, and all that matters is how far the two are apart.
// libfaketime does not get on with redis-server's allocator, so the library is our own.

// shim is a library that puts an offset, in seconds, before the clock; the offset is the content of
// a file.
const shim = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *offset;
__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("GRANTOR_TEST_CLOCK");
  int f = name ? open(name, O_RDONLY) : -1;
  if (f < 0) return;
  void *p = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, f, 0);
  if (p != MAP_FAILED) offset = p;
  close(f);
}
int clock_gettime(clockid_t id, struct timespec *t) {
  int r = syscall(SYS_clock_gettime, id, t);
  if (r == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += *offset;
  return r;
}
int gettimeofday(struct timeval *t, void *zone) {
  struct timespec n;
  int r = clock_gettime(CLOCK_REALTIME, &n);
  t->tv_sec = n.tv_sec;
  t->tv_usec = n.tv_nsec / 1000;
  return r;
}
time_t time(time_t *t) {
  struct timespec n;
  clock_gettime(CLOCK_REALTIME, &n);
  if (t) *t = n.tv_sec;
  return n.tv_sec;
}
`

// faketime makes every redis-server that the test starts from here on run by a clock of its own,
// and returns what sets it apart.
func faketime(t *testing.T) (set func(seconds int64)) {
	t.Helper()
	dir := t.TempDir()
	library, source, file := filepath.Join(dir, "clock.so"), filepath.Join(dir, "clock.c"), filepath.Join(dir, "offset")
	require.NoError(t, os.WriteFile(source, []byte(shim), 0o600))
	out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", library, source).CombinedOutput()
	if err != nil && os.Getenv("GRANTOR_TEST_REQUIRE_FAKETIME") != "1" {
		t.Skipf("no C compiler for Linux: %v", err)
	}
	require.NoError(t, err, string(out))
	set = func(seconds int64) {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(seconds)), 0) // in place: it is mapped
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	set(0)
	t.Setenv("GRANTOR_TEST_CLOCK", file)
	t.Setenv("LD_PRELOAD", library)
	return set
}

const life = 2 * time.Second

func TestClocks(t *testing.T) {
	for _, offset := range []int64{40, -40, 3600, -3600}[choose(2, 0):] {
		t.Run(fmt.Sprintf("S-27 the clocks of Redis and node differ by %d s: tokens live as long as they should", offset), func(t *testing.T) {
			_, err := program() // compiled by this clock
			require.NoError(t, err)
			set := faketime(t)
			set(offset)
			s := redistest.Start(t)
			now, err := s.Client().Time(t.Context()).Result()
			require.NoError(t, err)
			require.Greater(t, time.Until(now).Abs(), 30*time.Second, "the clock did not move")
			d := deploy(t, single(s.Addr)+"tokens.access_ttl = \"2s\"\ntokens.retry_window = \"500ms\"\n")
			n, c, ctx := d.serve(t), newCaller(d), context.Background()
			begun := time.Now()
			machine, user := c.issue(ctx, n, "machine-0"), c.login(ctx, n, "user-0")
			require.True(t, c.introspect(ctx, n, machine.Access).Active)
			require.True(t, c.introspect(ctx, n, user.Access).Active)
			next := c.refresh(ctx, n, user.Refresh)
			require.Equal(t, 200, next.status, next.body)
			again := c.refresh(ctx, n, user.Refresh)
			require.True(t, again.Refresh == next.Refresh || time.Since(begun) > 400*time.Millisecond, "the same successor within the window")
			for _, token := range []string{machine.Access, user.Access, next.Access} {
				require.Eventually(t, func() bool { return !c.introspect(ctx, n, token).Active }, life+10*time.Second, 10*time.Millisecond)
			}
			lived := time.Since(begun)
			figure(t, "S-27", fmt.Sprintf("Redis's clock %+d s from the node's: tokens of 2 s lived %s, refresh and retry 200", offset, seconds(lived)), "≤ life + skew; one clock decides")
			require.GreaterOrEqual(t, lived, life-time.Second)
			require.Less(t, lived, life+5*time.Second)
		})
	}
	t.Run("S-27 Redis's clock jumps by an hour, forward and back: tokens end early rather than late, what was revoked stays so", func(t *testing.T) {
		_, err := program()
		require.NoError(t, err)
		set := faketime(t)
		s := redistest.Start(t)
		d := deploy(t, single(s.Addr))
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		old, revoked, user := c.issue(ctx, n, "machine-0"), c.issue(ctx, n, "machine-0"), c.login(ctx, n, "user-0")
		require.Equal(t, 200, c.revoke(ctx, n, "machine-0", revoked.Access).status)
		for _, jump := range []int64{-3600, 3600} {
			set(jump)
			require.Eventually(t, func() bool { // a node sees the jump at its next look
				_, claims := c.stated(ctx, n, c.issue(ctx, n, "machine-0").Access)
				return s.Client().Time(ctx).Val().Sub(time.Unix(claims.IssuedAt, 0)).Abs() < time.Minute
			}, 10*time.Second, 50*time.Millisecond)
			require.True(t, c.introspect(ctx, n, c.issue(ctx, n, "machine-0").Access).Active)
			require.Equal(t, `{"active":false}`, c.introspect(ctx, n, revoked.Access).body)
			next := c.refresh(ctx, n, user.Refresh)
			require.Equal(t, 200, next.status, next.body)
			user = next
		}
		require.Equal(t, `{"active":false}`, c.introspect(ctx, n, old.Access).body, "15 minutes are over by the one clock that decides")
		figure(t, "S-27", "Redis's clock jumps by 1 h, back and then forward: revoked tokens stay so, sessions go on, tokens of 15 minutes end at once after the forward one", "never longer than life + skew")
	})
}

// times are those that an answer or a JWT states.
type times struct {
	IssuedAt  int64 `json:"iat"`
	NotBefore int64 `json:"nbf"`
	Expires   int64 `json:"exp"`
}

// stated returns the times of a token by introspection, and by its own claims if it is a JWT.
func (c *caller) stated(ctx context.Context, n *node, token string) (own, introspected times) {
	_ = json.Unmarshal([]byte(c.introspect(ctx, n, token).body), &introspected)
	if parts := strings.Split(token, "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &own)
		return own, introspected
	}
	return introspected, introspected
}

// TestStatedTimes has nodes whose clock is an hour ahead of Redis's, or behind it: what a token
// states is Redis's time, by which it ends, so that no API is told an exp that is an hour late.
func TestStatedTimes(t *testing.T) {
	for form, more := range map[string]string{"opaque": "", "jwt": "[tokens]\naccess_token_format = \"jwt\"\n[keys]\nencryption_key = \"0123456789abcdefghijklmnopqrstuvwxyzABCD\"\n"} {
		for _, offset := range []int64{3600, -3600} {
			t.Run(fmt.Sprintf("S-27 iat and exp are Redis's, whose clock is %+d s from the node's: %s", offset, form), func(t *testing.T) {
				_, err := program()
				require.NoError(t, err)
				set := faketime(t)
				set(offset)
				s := redistest.Start(t)
				d := deploy(t, single(s.Addr), more)
				n, c, ctx := d.serve(t), newCaller(d), context.Background()
				user := c.login(ctx, n, "user-0")
				for name, token := range map[string]string{"a client's": c.issue(ctx, n, "machine-0").Access, "a user's": user.Access,
					"a refreshed one": c.refresh(ctx, n, user.Refresh).Access} {
					now := s.Client().Time(ctx).Val()
					require.Greater(t, time.Until(now).Abs(), time.Hour/2, "the clock did not move")
					own, introspected := c.stated(ctx, n, token)
					require.Equal(t, own, introspected, name)
					require.InDelta(t, now.Unix(), own.IssuedAt, 60, name)
					require.Equal(t, own.IssuedAt, own.NotBefore, name)
					require.EqualValues(t, 900, own.Expires-own.IssuedAt, name)
				}
			})
		}
	}
}

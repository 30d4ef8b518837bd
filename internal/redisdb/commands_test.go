package redisdb_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func open(t testing.TB, cfg redisdb.Config) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

var (
	incr   = redisdb.NewScript(`return redis.call('INCR', KEYS[1])`)
	remove = redisdb.NewScript(`return redis.call('DEL', KEYS[1])`)
	echo   = redisdb.NewScript(`return {ARGV[1], 7, false, {ARGV[2]}}`)
)

// TestCommands runs the same contract on all three kinds of Redis.
func TestCommands(t *testing.T) {
	t.Run("single", func(t *testing.T) {
		s := redistest.Start(t)
		contract(t, open(t, redisdb.Config{URL: s.URL, Prefix: "p:"}))
	})
	t.Run("a pipeline that everything takes", func(t *testing.T) {
		s := redistest.Start(t)
		db := open(t, redisdb.Config{URL: s.URL, Prefix: "p:"})
		redisdb.AlwaysShare(db)
		contract(t, db)
		require.Positive(t, db.Stats().Batched)
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.Sentinel(t)
		contract(t, open(t, redisdb.Config{Mode: redisdb.Sentinel, Addrs: s.Addrs, Master: redistest.MasterName, WaitReplicas: 1, Prefix: "p:"}))
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.Cluster(t, 3)
		contract(t, open(t, redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs[:1], WaitReplicas: 1, Prefix: "p:"}))
		for _, s := range c.Servers {
			stats := s.Client().Info(t.Context(), "commandstats").Val()
			require.NotContains(t, stats, "cmdstat_command:", "v8 asks every server for COMMAND, for each command, unless it is answered locally")
			require.NotContains(t, stats, "cmdstat_command|")
		}
	})
}

func contract(t *testing.T, db *redisdb.DB) {
	ctx := t.Context()
	binary := "\x00{}\r\n\xff"
	t.Run("set, get, mget, del", func(t *testing.T) {
		_, err := db.Get(ctx, "none")
		require.Equal(t, redisdb.ErrNil, err)
		require.NoError(t, db.Set(ctx, "{a}1", []byte(binary), time.Minute))
		require.NoError(t, db.Set(ctx, "{a}2", nil, time.Minute))
		v, err := db.Get(ctx, "{a}1")
		require.NoError(t, err)
		require.Equal(t, binary, string(v))
		many, err := db.MGet(ctx, "{a}1", "{a}none", "{a}2")
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte(binary), nil, {}}, many)
		n, err := db.Del(ctx, "{a}1", "{a}2", "{a}none")
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		_, err = db.Get(ctx, "{a}1")
		require.Equal(t, redisdb.ErrNil, err)
	})
	t.Run("S-64 every key has a lifetime", func(t *testing.T) {
		require.Error(t, db.Set(ctx, "k", nil, 0))
		_, err := db.SetNX(ctx, "k", nil, -time.Second)
		require.Error(t, err)
		_, err = db.SetNXGet(ctx, "k", nil, time.Microsecond)
		require.Error(t, err)
		require.NoError(t, db.Set(ctx, "short", []byte("x"), 50*time.Millisecond))
		require.Eventually(t, func() bool { _, err := db.Get(ctx, "short"); return err == redisdb.ErrNil }, 3*time.Second, 10*time.Millisecond)
	})
	t.Run("SetNX: the first wins, and knows itself again", func(t *testing.T) {
		for value, want := range map[string]bool{"first": true} {
			ok, err := db.SetNX(ctx, "nx", []byte(value), time.Minute)
			require.NoError(t, err)
			require.Equal(t, want, ok)
		}
		ok, err := db.SetNX(ctx, "nx", []byte("second"), time.Minute)
		require.NoError(t, err)
		require.False(t, ok)
		ok, err = db.SetNX(ctx, "nx", []byte("first"), time.Minute)
		require.NoError(t, err)
		require.True(t, ok, "as when the network layer repeats it")
	})
	t.Run("SetNXGet: all get what the first wrote", func(t *testing.T) {
		for _, value := range []string{"one", "two"} {
			v, err := db.SetNXGet(ctx, "nxget", []byte(value), time.Minute)
			require.NoError(t, err)
			require.Equal(t, "one", string(v))
		}
	})
	t.Run("Each: any number of keys of any slots", func(t *testing.T) {
		keys := make([]string, 1203)
		for i := range keys {
			keys[i] = "each" + strconv.Itoa(i)
			if i%3 == 0 {
				require.NoError(t, db.Set(ctx, keys[i], []byte(keys[i]), time.Minute))
			}
		}
		seen := 0
		require.NoError(t, db.Each(ctx, keys, func(i int, value []byte) {
			require.Equal(t, seen, i)
			seen++
			if i%3 == 0 {
				require.Equal(t, keys[i], string(value))
			} else {
				require.Nil(t, value)
			}
		}))
		require.Equal(t, len(keys), seen)
	})
	t.Run("scripts: known or not, by any way", func(t *testing.T) {
		// A text of its own, so that Redis has never seen it.
		fresh := redisdb.NewScript(fmt.Sprintf("return ARGV[1] -- %d", time.Now().UnixNano()))
		for _, eval := range []func(context.Context, *redisdb.Script, []string, ...any) (any, error){db.Eval, db.Once, db.EvalDurable} {
			v, err := eval(ctx, fresh, []string{"s"}, []byte(binary))
			require.NoError(t, err)
			require.Equal(t, binary, v)
			v, err = eval(ctx, echo, []string{"s"}, "x", int64(5))
			require.NoError(t, err)
			require.Equal(t, []any{"x", int64(7), nil, []any{"5"}}, v)
			v, err = eval(ctx, redisdb.NewScript("return false"), []string{"s"})
			require.NoError(t, err)
			require.Nil(t, v)
		}
	})
	t.Run("a script without a key or with an argument that cannot be sent", func(t *testing.T) {
		_, err := db.Eval(ctx, echo, nil)
		require.Error(t, err)
		for _, arg := range []any{[16]byte{}, time.Second, nil, struct{}{}} {
			_, err := db.Eval(ctx, echo, []string{"s"}, arg)
			require.Error(t, err)
			require.NotErrorIs(t, err, redisdb.ErrUnavailable)
		}
	})
	t.Run("durable deletion, of keys with and without a hash tag", func(t *testing.T) {
		for _, key := range []string{"plain", "{tag}x", "a}b", "{}z", "a{", binary} {
			require.NoError(t, db.Set(ctx, key, []byte("x"), time.Minute))
			n, err := db.DelDurable(ctx, key)
			require.NoError(t, err, "%q", key)
			require.EqualValues(t, 1, n)
			n, err = db.DelDurable(ctx, key)
			require.NoError(t, err)
			require.Zero(t, n)
		}
	})
	t.Run("a context that has ended does not stop a command half-way", func(t *testing.T) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, db.Set(ended, "late", []byte("x"), time.Minute))
		_, err := db.DelDurable(ended, "late")
		require.NoError(t, err)
	})
	t.Run("an error of the data is no outage", func(t *testing.T) {
		_, err := db.Eval(ctx, redisdb.NewScript("redis.call('HSET', KEYS[1], 'a', 1) redis.call('PEXPIRE', KEYS[1], 60000)"), []string{"hash"})
		require.NoError(t, err)
		_, err = db.Get(ctx, "hash")
		require.ErrorIs(t, err, redisdb.ErrRefused)
		require.NotErrorIs(t, err, redisdb.ErrUnavailable)
		_, err = db.Eval(ctx, redisdb.NewScript("return redis.error_reply('ERR unreadable')"), []string{"s"})
		require.ErrorIs(t, err, redisdb.ErrRefused)
		require.ErrorContains(t, err, "unreadable")
		_, err = db.MGet(ctx, "hash", "hash")
		require.NoError(t, err, "MGET calls another type missing")
	})
	require.NoError(t, db.Ping(ctx))
}

func TestClose(t *testing.T) {
	s := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: s.URL})
	require.NoError(t, err)
	require.NoError(t, db.Set(t.Context(), "k", nil, time.Minute))
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	_, err = db.Get(t.Context(), "k")
	require.ErrorIs(t, err, redisdb.ErrUnavailable)
	_, err = db.Once(t.Context(), incr, []string{"k"})
	require.ErrorIs(t, err, redisdb.ErrUnavailable)
}

package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/tokens/storetest"
)

func TestMemory(t *testing.T) {
	open := func(t *testing.T) func() tokens.Store {
		m := tokens.NewMemory(0)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return func() tokens.Store { return m }
	}
	storetest.Run(t, open)
	storetest.RunSessions(t, open)
	storetest.RunExchanges(t, open)
	storetest.RunFeed(t, open)
	storetest.RunServed(t, open)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Run("S-64 a full store refuses, and what expired is really gone", func(t *testing.T) {
		m := tokens.NewMemory(64)
		defer m.Close()
		codec := tokens.NewCodec(tokens.NewServerKey())
		full := 0
		for range 1000 {
			_, tok := codec.NewClientAccess()
			if m.Issue(t.Context(), tok, &tokens.Record{ClientID: "c", TTL: time.Second}) != nil {
				full++
			}
		}
		require.LessOrEqual(t, m.Len(), 64)
		require.GreaterOrEqual(t, full, 1000-64)
		require.Eventually(t, func() bool { return m.Len() == 0 }, 4*time.Second, 20*time.Millisecond)
	})
}

func openRedis(t *testing.T, s *redistest.Server, prefix string) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(redisdb.Config{URL: s.URL, Prefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestRedis(t *testing.T) {
	s := redistest.Start(t)
	n := 0
	open := func(t *testing.T) func() tokens.Store {
		n++
		prefix := fmt.Sprintf("grantor-%d:", n)
		return func() tokens.Store { return tokens.NewRedis(openRedis(t, s, prefix)).Settling(nobodyElse) }
	}
	storetest.Run(t, open)
	storetest.RunSessions(t, open)
	storetest.RunExchanges(t, open)
	storetest.RunFeed(t, open)
	storetest.RunServed(t, open)
	storetest.RunServedByMany(t, open)
	t.Run("S-64 every key has a lifetime", func(t *testing.T) {
		for _, k := range s.Client().Keys(t.Context(), "*").Val() {
			require.NotEqual(t, time.Duration(-1), s.Client().PTTL(t.Context(), k).Val(), "%q", k)
		}
	})
}

// nobodyElse is no wait, where no other node would say anything in it.
func nobodyElse(context.Context) error { return nil }

// TestServedSideBySide: two groups of nodes with different files on one Redis, which start again in
// the same moment.
func TestServedSideBySide(t *testing.T) {
	s := redistest.Start(t)
	node := func() *tokens.Redis { return tokens.NewRedis(openRedis(t, s, "")).Settling(nobodyElse) }
	x, y := tokens.ClientName("x"), tokens.ClientName("y")
	begin := func(s *tokens.Redis, names ...tokens.ServedName) []tokens.ServedName {
		time.Sleep(2 * time.Millisecond) // times are in milliseconds
		back, _, err := s.BeginServing(t.Context(), names)
		require.NoError(t, err)
		return back
	}
	goesOn := node()
	begin(goesOn, x)
	require.NoError(t, goesOn.Serving(t.Context(), []tokens.ServedName{x}))
	t.Run("V-34 a node begins beside others that serve the same: nothing comes back", func(t *testing.T) {
		require.Empty(t, begin(node(), y), "of the other group")
		fresh := node().Settling(func(ctx context.Context) error {
			time.Sleep(2 * time.Millisecond)
			return goesOn.Serving(ctx, []tokens.ServedName{x})
		})
		require.Empty(t, begin(fresh, x))
	})
	t.Run("V-34 it ends while it waits: it has not begun", func(t *testing.T) {
		begin(node(), y)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := node().Settling(func(ctx context.Context) error { return ctx.Err() }).BeginServing(ctx, []tokens.ServedName{x})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("V-34 nobody serves it any more: it comes back", func(t *testing.T) {
		require.Equal(t, []tokens.ServedName{x}, begin(node(), x))
	})
}

func TestRedisCluster(t *testing.T) {
	c := redistest.Cluster(t, 3)
	n := 0
	open := func(t *testing.T) func() tokens.Store {
		n++
		prefix := fmt.Sprintf("grantor-%d:", n)
		return func() tokens.Store {
			db, err := redisdb.Open(redisdb.Config{Mode: redisdb.Cluster, Addrs: c.Addrs, Prefix: prefix})
			require.NoError(t, err)
			t.Cleanup(func() { _ = db.Close() })
			return tokens.NewRedis(db).Settling(nobodyElse)
		}
	}
	storetest.Run(t, open)
	storetest.RunSessions(t, open)
	storetest.RunExchanges(t, open)
	storetest.RunFeed(t, open)
	storetest.RunServedByMany(t, open)
}

// TestRedisAfterAThousandTokens looks at Redis with its own eyes.
func TestRedisAfterAThousandTokens(t *testing.T) {
	s := redistest.Start(t)
	look := s.Client()
	store := tokens.NewRedis(openRedis(t, s, "grantor:"))
	key, err := tokens.ClaimServerKey(t.Context(), store, 0)
	require.NoError(t, err)
	_, err = store.ClientEpochs(t.Context(), []string{"billing-job"}, nil)
	require.NoError(t, err)
	codec := tokens.NewCodec(key)
	before := usedMemory(t, s)
	require.NoError(t, look.ConfigResetStat(t.Context()).Err())

	texts := make([]string, 1000)
	toks := make([]tokens.Token, 1000)
	for i := range texts {
		texts[i], toks[i] = codec.NewClientAccess()
		require.NoError(t, store.Issue(t.Context(), toks[i], &tokens.Record{ClientID: "billing-job", Scope: "orders:read",
			Audience: []string{"https://orders.example.com"}, IssuedAt: time.Now(), TTL: 15 * time.Minute}))
	}
	t.Run("one command per issue and per introspection", func(t *testing.T) {
		for _, tok := range toks {
			_, err := store.Load(t.Context(), tok)
			require.NoError(t, err)
		}
		require.Equal(t, map[string]int{"set": 1000, "get": 1000}, commandCounts(t, s))
	})
	t.Run("S-64 every key has a lifetime", func(t *testing.T) {
		keys, err := look.Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1004, "and the server key, the epoch of the client, the feed and what enables it")
		for _, k := range keys {
			require.Positive(t, look.PTTL(t.Context(), k).Val(), "%q", k)
		}
	})
	t.Run("V-33 no token is readable: neither a text nor a part of it", func(t *testing.T) {
		var dump strings.Builder
		keys := look.Keys(t.Context(), "*").Val()
		for _, k := range keys {
			dump.WriteString(k + look.Get(t.Context(), k).Val())
		}
		for _, text := range texts {
			require.NotContains(t, dump.String(), text[4:20])
			require.NotContains(t, dump.String(), text[len(text)-20:])
		}
	})
	t.Run("bytes per token", func(t *testing.T) {
		per := (usedMemory(t, s) - before) / 1000
		t.Logf("%d bytes in Redis per client token", per)
		require.Less(t, per, 400)
	})
}

// commandCounts reads INFO commandstats, without what the look itself costs.
func commandCounts(t *testing.T, s *redistest.Server) map[string]int {
	t.Helper()
	text, err := s.Client().Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`cmdstat_([^:]+):calls=(\d+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "config") && m[1] != "info" && m[1] != "ping" {
			counts[m[1]], _ = strconv.Atoi(m[2])
		}
	}
	return counts
}

func usedMemory(t *testing.T, s *redistest.Server) int {
	t.Helper()
	text, err := s.Client().Info(t.Context(), "memory").Result()
	require.NoError(t, err)
	n, err := strconv.Atoi(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(text)[1])
	require.NoError(t, err)
	return n
}

func TestRedisRefusesWhatItCannotRead(t *testing.T) {
	s := redistest.Start(t)
	store := tokens.NewRedis(openRedis(t, s, ""))
	_, tok := tokens.NewCodec(tokens.NewServerKey()).NewClientAccess()
	_, other := tokens.NewCodec(tokens.NewServerKey()).NewClientAccess()
	ctx := context.Background()
	require.NoError(t, store.Issue(ctx, other, &tokens.Record{ClientID: "c", IssuedAt: time.Now(), TTL: time.Minute}))
	id, otherID := tok.ID(), other.ID()
	good := s.Client().Get(ctx, "t:"+string(otherID[:])).Val()
	for name, value := range map[string]string{
		"S-25 V-31 the record of another token": good,
		"S-65 an unknown version":               "\x09" + good[1:],
		"a cut record":                          good[:len(good)-1],
		"an empty record":                       "",
	} {
		t.Run(name+" is an error, not an answer", func(t *testing.T) {
			require.NoError(t, s.Client().Set(ctx, "t:"+string(id[:]), value, time.Minute).Err())
			_, err := store.Load(ctx, tok)
			require.ErrorIs(t, err, tokens.ErrRecord)
		})
	}
	t.Run("what cannot be read is not taken for revoked", func(t *testing.T) {
		for name, value := range map[string]string{"of another token": good, "of an unknown version": "\x09" + good[1:], "empty": ""} {
			require.NoError(t, s.Client().Set(ctx, "t:"+string(id[:]), value, time.Minute).Err())
			_, err := store.Revoke(ctx, tok, "c")
			require.Error(t, err, name)
		}
		owner := "billing-" + strings.Repeat("job", 60) // its length takes two bytes
		require.NoError(t, store.Issue(ctx, tok, &tokens.Record{ClientID: owner, Scope: "plain", IssuedAt: time.Now(), TTL: time.Hour}))
		whole := s.Client().Get(ctx, "t:"+string(id[:])).Val()
		for n := range strings.Index(whole, owner) + len(owner) {
			require.NoError(t, s.Client().Set(ctx, "t:"+string(id[:]), whole[:n], time.Minute).Err())
			_, err := store.Revoke(ctx, tok, owner)
			require.Error(t, err, "cut to %d bytes", n)
		}
		require.NoError(t, s.Client().Set(ctx, "t:"+string(id[:]), whole, time.Minute).Err())
		for _, other := range []string{"", "b", owner[:len(owner)-1], owner + "x", owner + "\x05plain", strings.ToUpper(owner)} {
			ended, err := store.Revoke(ctx, tok, other)
			require.NoError(t, err)
			require.False(t, ended, "%q", other)
		}
		ended, err := store.Revoke(ctx, tok, owner)
		require.NoError(t, err)
		require.True(t, ended)
	})
	t.Run("S-65 a session of an unknown version is not ended by guess", func(t *testing.T) {
		codec := tokens.NewCodec(tokens.NewServerKey())
		tag, session := codec.Tag("u"), tokens.NewSessionID()
		_, refresh := codec.NewRefresh(tag, session, 0)
		_, access := codec.NewUserAccess(tag, session)
		epoch, err := store.UserEpoch(ctx, tag, time.Hour)
		require.NoError(t, err)
		require.NoError(t, started(store.StartSession(ctx, &tokens.SessionStart{Refresh: refresh, Access: access, Record: &tokens.Record{IssuedAt: time.Now(), TTL: time.Minute},
			IdleTTL: time.Minute, MaxTTL: time.Minute, EpochTTL: time.Hour, Session: tokens.Session{Tag: tag, ID: session, ClientID: "c", UserEpoch: epoch, Subject: "u"}})))
		keys, err := s.Client().Keys(ctx, "f:*").Result()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.NoError(t, s.Client().SetRange(ctx, keys[0], 0, "\x09").Err())
		_, err = store.Revoke(ctx, refresh, "c")
		require.Error(t, err)
		_, err = store.Revoke(ctx, access, "c")
		require.Error(t, err)
		_, err = store.EndSession(ctx, tag, session)
		require.Error(t, err)
		require.Equal(t, int64(1), s.Client().Exists(ctx, keys[0]).Val())
	})
	t.Run("S-20 a Redis that is gone is an error, not an answer, and comes back by itself", func(t *testing.T) {
		s.Kill()
		_, err := store.Load(ctx, other)
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		require.NotErrorIs(t, err, tokens.ErrNotFound)
		_, err = store.Revoke(ctx, other, "c")
		require.ErrorIs(t, err, redisdb.ErrUnavailable)
		s.Restart()
		require.Eventually(t, func() bool {
			_, err := store.Load(ctx, other)
			return errors.Is(err, tokens.ErrNotFound) // nothing was persisted
		}, 5*time.Second, 10*time.Millisecond)
	})
}

package tokens_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// newKey mints a key of a client; ttl 0: it has no end.
func newKey(codec *tokens.Codec, client string, ttl time.Duration) (string, tokens.Token, *tokens.APIKey) {
	text, t := codec.NewClientKey()
	return text, t, &tokens.APIKey{Hash: t.Hash, Name: "nightly export", Creator: "console", ClientID: client, Epoch: tokens.Epoch{1},
		Scope: "orders:read", Audience: []string{"https://orders.example.com"}, Networks: []string{"203.0.113.0/24"},
		Created: time.Now().Truncate(time.Second), TTL: ttl}
}

func TestAPIKeys(t *testing.T) {
	t.Run("one Redis server", func(t *testing.T) { testAPIKeys(t, openRedis(t, redistest.Start(t), "grantor:")) })
	t.Run("a Cluster", func(t *testing.T) {
		testAPIKeys(t, openCluster(t))
	})
}

func openCluster(t *testing.T) *redisdb.DB {
	t.Helper()
	db, err := redisdb.Open(redisdb.Config{Mode: redisdb.Cluster, Addrs: redistest.Cluster(t, 3).Addrs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func testAPIKeys(t *testing.T, db *redisdb.DB) {
	t.Helper()
	store := tokens.NewRedis(db)
	keys, codec, ctx := store.APIKeys(), tokens.NewCodec(tokens.NewServerKey()), t.Context()
	t.Run("a key is read as a token, and listed", func(t *testing.T) {
		text, tok, k := newKey(codec, "partner", time.Hour)
		require.NoError(t, keys.Add(ctx, k, nil))
		parsed, err := codec.Parse(text)
		require.NoError(t, err)
		require.Equal(t, tok, parsed)
		r, err := store.Load(ctx, parsed)
		require.NoError(t, err)
		require.Equal(t, &tokens.Record{ClientID: "partner", ClientEpoch: k.Epoch, Scope: k.Scope, Audience: k.Audience,
			IssuedAt: k.Created, TTL: time.Hour, Networks: k.Networks}, r)
		list, err := keys.List(ctx, "partner")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.True(t, list[0].Holds(k.Epoch, store.Now()))
		require.False(t, list[0].Holds(tokens.Epoch{2}, store.Now()), "another epoch of the client")
		require.False(t, list[0].Holds(k.Epoch, k.ExpiresAt()))
		require.Equal(t, []any{k.Hash, k.Name, k.Creator, k.Scope, k.Audience, k.Networks, k.Created, k.TTL},
			[]any{list[0].Hash, list[0].Name, list[0].Creator, list[0].Scope, list[0].Audience, list[0].Networks, list[0].Created, list[0].TTL})
		others, err := keys.List(ctx, "somebody-else")
		require.NoError(t, err)
		require.Empty(t, others)
	})
	t.Run("RFC 7009 §2.1 its client revokes it, and no other", func(t *testing.T) {
		_, tok, k := newKey(codec, "shop", 0)
		require.NoError(t, keys.Add(ctx, k, nil))
		ended, err := store.Revoke(ctx, tok, "another")
		require.NoError(t, err)
		require.False(t, ended)
		ended, err = store.Revoke(ctx, tok, "shop")
		require.NoError(t, err)
		require.True(t, ended)
		_, err = store.Load(ctx, tok)
		require.ErrorIs(t, err, tokens.ErrNotFound)
		list, err := keys.List(ctx, "shop")
		require.NoError(t, err)
		require.False(t, list[0].Holds(k.Epoch, store.Now()), "what the list says follows from the record")
	})
	t.Run("an end is in the feed by the key's id, and the key leaves the list", func(t *testing.T) {
		_, tok, k := newKey(codec, "cron", 0)
		require.NoError(t, keys.Add(ctx, k, nil))
		require.NoError(t, keys.End(ctx, k))
		_, err := store.Load(ctx, tok)
		require.ErrorIs(t, err, tokens.ErrNotFound)
		require.Contains(t, namesIn(t, store), k.ID().String())
		list, err := keys.List(ctx, "cron")
		require.NoError(t, err)
		require.Empty(t, list)
	})
	t.Run("a key whose record was lost is ended all the same: verifiers may know it", func(t *testing.T) {
		_, _, k := newKey(codec, "lost", 0)
		require.NoError(t, keys.End(ctx, k))
		require.Contains(t, namesIn(t, store), k.ID().String())
	})
	t.Run("of many at once, one script lets no more than the most pass", func(t *testing.T) {
		var made, refused atomic.Int64
		var all sync.WaitGroup
		for range tokens.MaxAPIKeys + 20 {
			all.Go(func() {
				_, _, k := newKey(codec, "busy", time.Hour)
				switch err := keys.Add(ctx, k, nil); {
				case err == nil:
					made.Add(1)
				case errors.Is(err, tokens.ErrTooManyKeys):
					refused.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, tokens.MaxAPIKeys, made.Load())
		require.EqualValues(t, 20, refused.Load())
		list, err := keys.List(ctx, "busy")
		require.NoError(t, err)
		_, _, k := newKey(codec, "busy", time.Hour)
		require.NoError(t, keys.Add(ctx, k, list[:1]), "one that ended makes room")
	})
	t.Run("the keys of a client that is gone are removed", func(t *testing.T) {
		_, tok, k := newKey(codec, "gone", 0)
		require.NoError(t, keys.Add(ctx, k, nil))
		require.NoError(t, keys.Forget(ctx, "gone"))
		_, err := store.Load(ctx, tok)
		require.ErrorIs(t, err, tokens.ErrNotFound)
		list, err := keys.List(ctx, "gone")
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

// TestAPIKeyLifetimes: a key without an end, and the list that shows it, have no lifetime in Redis.
// All others do (S-64).
func TestAPIKeyLifetimes(t *testing.T) {
	server := redistest.Start(t)
	store := tokens.NewRedis(openRedis(t, server, "grantor:"))
	keys, codec, ctx := store.APIKeys(), tokens.NewCodec(tokens.NewServerKey()), t.Context()
	endless := func() (n int) {
		for _, name := range server.Client().Keys(ctx, "*").Val() {
			if server.Client().PTTL(ctx, name).Val() == -1 {
				n++
			}
		}
		return n
	}
	_, _, limited := newKey(codec, "partner", time.Hour)
	require.NoError(t, keys.Add(ctx, limited, nil))
	require.Zero(t, endless())
	_, _, open := newKey(codec, "partner", 0)
	require.NoError(t, keys.Add(ctx, open, nil))
	require.Equal(t, 2, endless(), "its record, and the list")
	require.NoError(t, keys.End(ctx, open))
	require.Zero(t, endless(), "the list lives as long as its last key again")
}

// TestAPIKeysInADump: nothing in Redis opens anything: neither a text nor a part of its random
// bytes stands there.
func TestAPIKeysInADump(t *testing.T) {
	server := redistest.Start(t)
	store := tokens.NewRedis(openRedis(t, server, "grantor:"))
	codec := tokens.NewCodec(tokens.NewServerKey())
	var secrets []string
	for i := range 20 {
		text, _, k := newKey(codec, "partner", time.Duration(i%2)*time.Hour)
		require.NoError(t, store.APIKeys().Add(t.Context(), k, nil))
		secrets = append(secrets, strings.TrimPrefix(text, tokens.PrefixAPIKey))
	}
	var dump bytes.Buffer
	for _, name := range server.Client().Keys(t.Context(), "*").Val() {
		dump.WriteString(name + "\n")
		switch server.Client().Type(t.Context(), name).Val() {
		case "string":
			dump.WriteString(server.Client().Get(t.Context(), name).Val())
		case "hash":
			for field, value := range server.Client().HGetAll(t.Context(), name).Val() {
				dump.WriteString(field + value)
			}
		default:
			t.Fatalf("%q is of a type that this test does not read", name)
		}
	}
	require.Contains(t, dump.String(), "nightly export", "the dump is of the keys")
	for _, text := range secrets {
		for i := 0; i+8 <= len(text); i++ { // 8 digits are 47 bits: no part is there by chance
			require.NotContains(t, dump.String(), text[i:i+8])
		}
	}
}

// TestAPIKeyMemory prints how many bytes of Redis a key takes: GRANTOR_TEST_API_KEYS says how many
// keys are stored, as 1000000.
func TestAPIKeyMemory(t *testing.T) {
	many, _ := strconv.Atoi(os.Getenv("GRANTOR_TEST_API_KEYS"))
	if many == 0 {
		t.Skip("GRANTOR_TEST_API_KEYS says how many keys to store")
	}
	server := redistest.Start(t)
	store := tokens.NewRedis(openRedis(t, server, "grantor:"))
	codec, before := tokens.NewCodec(tokens.NewServerKey()), usedMemory(t, server)
	var all sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(many); i = next.Add(1) {
				_, _, k := newKey(codec, fmt.Sprint("partner-", i/20), time.Duration(i%2)*8760*time.Hour)
				require.NoError(t, store.APIKeys().Add(context.Background(), k, nil))
			}
		})
	}
	all.Wait()
	t.Logf("%d keys, 20 of a client, every other one without an end: %.0f bytes of Redis each", many, float64(usedMemory(t, server)-before)/float64(many))
}

package users_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/users"
)

func TestRedisRename(t *testing.T) {
	dir, server := openRedis(t)
	ctx := t.Context()
	auth := users.NewHashing(dir, users.NewSlots(0))
	add := func(name string) *users.User {
		u, err := dir.Add(ctx, users.NewUser{Username: name, PasswordHash: cheap})
		require.NoError(t, err)
		return u
	}
	holds := func(name string) string {
		for _, key := range server.Client().Keys(ctx, "test:user:name:*").Val() {
			if id := server.Client().HGet(ctx, key, name).Val(); id != "" {
				return id
			}
		}
		return ""
	}
	t.Run("the new name logs in, the old one no more and is free; the id stays", func(t *testing.T) {
		u := add("ada")
		require.NoError(t, dir.Rename(ctx, u.ID, "\uff41da.l"))
		got, err := verify(ctx, auth, "ada.l", staple)
		require.NoError(t, err)
		require.Equal(t, u.ID, got.ID)
		_, err = verify(ctx, auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrRefused)
		require.NotEqual(t, u.ID, add("ada").ID)
		require.NotContains(t, recordOf(t, server, u.ID), "names")
	})
	t.Run("a name that another user has, and no user, change nothing", func(t *testing.T) {
		u, other := add("carl"), add("dora")
		require.ErrorIs(t, dir.Rename(ctx, u.ID, "dora"), users.ErrExists)
		require.Equal(t, other.ID, holds("dora"))
		require.Equal(t, u.ID, holds("carl"))
		require.NotContains(t, recordOf(t, server, u.ID), "names")
		require.ErrorIs(t, dir.Rename(ctx, "nobody", "free"), users.ErrUnknown)
		require.Empty(t, holds("free"))
		var malformed *users.MalformedError
		require.ErrorAs(t, dir.Rename(ctx, u.ID, "a\nb"), &malformed)
	})
	t.Run("the same name again is no error, and repairs a name that leads nowhere", func(t *testing.T) {
		u := add("erik")
		require.NoError(t, dir.Rename(ctx, u.ID, "erik"))
		for _, key := range server.Client().Keys(ctx, "test:user:name:*").Val() {
			server.Client().HDel(ctx, key, "erik")
		}
		require.NoError(t, dir.Rename(ctx, u.ID, "erik"))
		require.Equal(t, u.ID, holds("erik"))
	})
	t.Run("what a crash left between two names is given up by the next rename, and by deletion", func(t *testing.T) {
		for _, next := range []func(id string) error{
			func(id string) error { return dir.Rename(ctx, id, "third") },
			func(id string) error { return dir.Delete(ctx, id) },
		} {
			u := add("first")
			crashed(t, server, u.ID, "first", "second")
			_, err := dir.Add(ctx, users.NewUser{Username: "second", PasswordHash: cheap})
			require.ErrorIs(t, err, users.ErrExists, "nobody else gets it meanwhile")
			require.NoError(t, next(u.ID))
			require.Empty(t, holds("first"))
			require.Empty(t, holds("second"))
		}
	})
	t.Run("of many who take one name at once, one has it", func(t *testing.T) {
		var ids []string
		for _, name := range []string{"p", "q", "r", "s", "t", "u"} {
			ids = append(ids, add(name).ID)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, id := range ids {
			wg.Go(func() {
				err := dir.Rename(ctx, id, "wanted")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else {
					require.ErrorIs(t, err, users.ErrExists)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, won)
		u, err := dir.Find(ctx, "wanted")
		require.NoError(t, err)
		require.Equal(t, holds("wanted"), u.ID)
	})
}

func recordOf(t *testing.T, server *redistest.Server, id string) map[string]any {
	t.Helper()
	for _, key := range server.Client().Keys(t.Context(), "test:user:id:*").Val() {
		if text := server.Client().HGet(t.Context(), key, id).Val(); text != "" {
			var r map[string]any
			require.NoError(t, json.Unmarshal([]byte(text), &r))
			return r
		}
	}
	t.Fatal("no record")
	return nil
}

// crashed leaves a user as a rename does that ends after the new name was claimed.
func crashed(t *testing.T, server *redistest.Server, id, before, after string) {
	t.Helper()
	c := server.Client()
	r := recordOf(t, server, id)
	require.Equal(t, before, r["username"])
	r["names"] = []string{after}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	for _, key := range c.Keys(t.Context(), "test:user:id:*").Val() {
		if c.HExists(t.Context(), key, id).Val() {
			require.NoError(t, c.HSet(t.Context(), key, id, text).Err())
		}
	}
	sum := sha256.Sum256([]byte(after))
	require.NoError(t, c.HSet(t.Context(), fmt.Sprintf("test:user:name:%02x", sum[0]%64), after, id).Err())
}

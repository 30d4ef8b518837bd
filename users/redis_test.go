package users_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

const (
	staple = "correct horse battery staple"
	cheap  = "$2b$04$7tjnEc3F52BlPmwHXLGVveR.iNojxNxYQWPiPZeLnKE.7c.sd0tv2" // of staple
	other  = "$2b$04$aQugPkpLbA2yTcPkopCXWOefV6rIeHtk4jxmlvCOCtOy02cdPp0gm" // of 72 × a
)

func openRedis(t *testing.T) (*users.Redis, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t)
	db, err := redisdb.Open(redisdb.Config{URL: server.URL, Prefix: "test:"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return users.NewRedis(db), server
}

func verify(ctx context.Context, auth users.Authenticator, name, password string) (*users.User, error) {
	login, err := users.NewLogin(name, password)
	if err != nil {
		return nil, err
	}
	a, err := auth.Lookup(ctx, login)
	if err != nil {
		return nil, err
	}
	return auth.Verify(ctx, a)
}

func TestRedisLife(t *testing.T) {
	dir, _ := openRedis(t)
	ctx, auth := t.Context(), users.NewHashing(dir, users.NewSlots(0))
	rules, err := scopes.ParseRules("orders:read")
	require.NoError(t, err)

	_, err = verify(ctx, auth, "ada", staple)
	require.ErrorIs(t, err, users.ErrRefused)
	u, err := dir.Add(ctx, users.NewUser{Username: "\uff41da", PasswordHash: cheap, Scope: &rules})
	require.NoError(t, err)
	require.Equal(t, "ada", u.Username)
	require.Regexp(t, `^u-[a-z2-7]{26}$`, u.ID)

	got, err := verify(ctx, auth, "ada", staple)
	require.NoError(t, err)
	require.Equal(t, u, got)
	require.Equal(t, "orders:read", got.Rules(scopes.Rules{}).String())

	t.Run("another password is another credential", func(t *testing.T) {
		require.NoError(t, dir.SetPassword(ctx, u.ID, other))
		_, err := verify(ctx, auth, "ada", staple)
		require.ErrorIs(t, err, users.ErrRefused)
		now, err := auth.Recheck(ctx, u.ID)
		require.NoError(t, err)
		require.NotEqual(t, users.NewFingerprints(nil).Of(u.Credential), users.NewFingerprints(nil).Of(now.Credential))
		require.Error(t, dir.SetPassword(ctx, u.ID, "hunter2"), "a password is no hash")
	})
	t.Run("V-09 disabled", func(t *testing.T) {
		require.NoError(t, dir.Disable(ctx, u.ID))
		_, err := verify(ctx, auth, "ada", strings.Repeat("a", 72))
		require.ErrorIs(t, err, users.ErrRefused)
		_, err = auth.Recheck(ctx, u.ID)
		require.ErrorIs(t, err, users.ErrGone)
		require.NoError(t, dir.Enable(ctx, u.ID))
		_, err = verify(ctx, auth, "ada", strings.Repeat("a", 72))
		require.NoError(t, err)
	})
	t.Run("scope", func(t *testing.T) {
		require.NoError(t, dir.SetScope(ctx, u.ID, &scopes.Rules{}))
		now, err := auth.Recheck(ctx, u.ID)
		require.NoError(t, err)
		require.True(t, now.Rules(rules).IsEmpty())
		require.NoError(t, dir.SetScope(ctx, u.ID, nil))
		now, err = auth.Recheck(ctx, u.ID)
		require.NoError(t, err)
		require.Equal(t, rules, now.Rules(rules))
	})
	t.Run("a deleted user is gone and the name is free", func(t *testing.T) {
		require.NoError(t, dir.Delete(ctx, u.ID))
		require.ErrorIs(t, dir.Delete(ctx, u.ID), users.ErrUnknown)
		_, err := auth.Recheck(ctx, u.ID)
		require.ErrorIs(t, err, users.ErrGone)
		again, err := dir.Add(ctx, users.NewUser{Username: "ada", PasswordHash: cheap})
		require.NoError(t, err)
		require.NotEqual(t, u.ID, again.ID, "the same name is another subject")
	})
	for name, change := range map[string]func() error{
		"SetPassword": func() error { return dir.SetPassword(ctx, "nobody", cheap) },
		"SetScope":    func() error { return dir.SetScope(ctx, "nobody", nil) },
		"Disable":     func() error { return dir.Disable(ctx, "nobody") },
		"Enable":      func() error { return dir.Enable(ctx, "nobody") },
		"Delete":      func() error { return dir.Delete(ctx, "nobody") },
	} {
		t.Run("unknown: "+name, func(t *testing.T) { require.ErrorIs(t, change(), users.ErrUnknown) })
	}
}

func TestRedisAddRefuses(t *testing.T) {
	dir, server := openRedis(t)
	reserved, err := scopes.ParseRules("grantor:admin")
	require.NoError(t, err)
	for name, n := range map[string]users.NewUser{
		"no name":        {PasswordHash: cheap},
		"an odd id":      {ID: "a b", Username: "ada", PasswordHash: cheap},
		"no hash":        {Username: "ada", PasswordHash: "hunter2"},
		"reserved scope": {Username: "ada", PasswordHash: cheap, Scope: &reserved},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dir.Add(t.Context(), n)
			require.Error(t, err)
			require.NotErrorIs(t, err, users.ErrUnavailable)
		})
	}
	require.Empty(t, server.Client().Keys(t.Context(), "*").Val(), "nothing was written")
	t.Run("a taken id", func(t *testing.T) {
		_, err := dir.Add(t.Context(), users.NewUser{ID: "u-1", Username: "ada", PasswordHash: cheap})
		require.NoError(t, err)
		_, err = dir.Add(t.Context(), users.NewUser{ID: "u-1", Username: "bob", PasswordHash: cheap})
		require.ErrorIs(t, err, users.ErrExists)
		_, err = dir.Find(t.Context(), "bob")
		require.ErrorIs(t, err, users.ErrUnknown)
	})
}

func TestRedisConcurrentAdd(t *testing.T) {
	dir, _ := openRedis(t)
	for round := range 20 {
		name := fmt.Sprintf("user %d", round)
		var wg sync.WaitGroup
		won := make(chan string, 16)
		for range cap(won) {
			wg.Go(func() {
				u, err := dir.Add(context.Background(), users.NewUser{Username: name, PasswordHash: cheap})
				if err == nil {
					won <- u.ID
				} else if !errors.Is(err, users.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Len(t, won, 1, "one of many adds of a name wins")
		u, err := dir.Find(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, <-won, u.ID)
	}
	require.Len(t, list(t, dir), 20, "the losers left nothing")
}

func TestRedisConcurrentChange(t *testing.T) {
	dir, _ := openRedis(t)
	u, err := dir.Add(t.Context(), users.NewUser{Username: "ada", PasswordHash: cheap})
	require.NoError(t, err)
	for range 30 {
		require.NoError(t, dir.Enable(t.Context(), u.ID))
		require.NoError(t, dir.SetPassword(t.Context(), u.ID, cheap))
		var wg sync.WaitGroup
		for _, change := range []func() error{
			func() error { return dir.Disable(context.Background(), u.ID) },
			func() error { return dir.SetPassword(context.Background(), u.ID, other) },
			func() error { return dir.SetScope(context.Background(), u.ID, &scopes.Rules{}) },
		} {
			wg.Go(func() {
				if err := change(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		now, err := dir.ByID(t.Context(), u.ID)
		require.NoError(t, err)
		require.True(t, now.Disabled, "V-09 a password change does not undo a disable")
		require.Equal(t, users.NewCredential(other), now.Credential)
		require.NotNil(t, now.Scope)
	}
}

func list(t *testing.T, dir *users.Redis) map[string]*users.User {
	t.Helper()
	all := map[string]*users.User{}
	for u, err := range dir.List(t.Context()) {
		require.NoError(t, err)
		require.Nil(t, all[u.ID], "each once")
		all[u.ID] = u
	}
	return all
}

func TestRedisList(t *testing.T) {
	dir, server := openRedis(t)
	require.Empty(t, list(t, dir))
	const n = 500
	for i := range n {
		_, err := dir.Add(t.Context(), users.NewUser{ID: fmt.Sprintf("u-%d", i), Username: fmt.Sprintf("user %d", i), PasswordHash: cheap})
		require.NoError(t, err)
	}
	all := list(t, dir)
	require.Len(t, all, n)
	require.Equal(t, "user 7", all["u-7"].Username)
	for range dir.List(t.Context()) {
		break // the iterator may be left at once
	}
	t.Run("an unreadable entry is said and does not end the list", func(t *testing.T) {
		c := server.Client()
		require.NoError(t, c.HSet(t.Context(), "test:user:id:00", "u-odd", `{"v":99}`).Err())
		good, bad := 0, 0
		for _, err := range dir.List(t.Context()) {
			if err != nil {
				require.ErrorIs(t, err, users.ErrRecord)
				bad++
				continue
			}
			good++
		}
		require.Equal(t, n, good)
		require.Equal(t, 1, bad)
	})
}

func TestRedisPage(t *testing.T) {
	dir, server := openRedis(t)
	for i := range 30 {
		_, err := dir.Add(t.Context(), users.NewUser{ID: fmt.Sprintf("u-%d", i), Username: fmt.Sprintf("user %d", i), PasswordHash: cheap})
		require.NoError(t, err)
	}
	t.Run("every user comes once, page by page", func(t *testing.T) {
		found, pages := map[string]bool{}, 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page, next, err := dir.Page(t.Context(), cursor, 4)
			require.NoError(t, err)
			for _, u := range page {
				found[u.ID] = true
			}
			cursor = next
		}
		require.Len(t, found, 30)
		require.Greater(t, pages, 3)
	})
	server.Stop() // none of these is Redis asked about
	for _, cursor := range []string{"0", "0.", ".0", "0.x", "0.-1", "0.+1", "0. 1", "0.1 ", "0.1.2", "0.0x1", "0.99999999999999999999", "40.0", "-1.0", " 1.0", "zz.0", "0.1\r\n", "0.1\x00"} {
		t.Run(fmt.Sprintf("S-19 cursor %q is refused before Redis is asked", cursor), func(t *testing.T) {
			_, _, err := dir.Page(t.Context(), cursor, 4)
			var malformed *users.MalformedError
			require.ErrorAs(t, err, &malformed)
			require.Equal(t, "cursor", malformed.Field)
		})
	}
}

func TestRedisHostileNames(t *testing.T) {
	dir, server := openRedis(t)
	names := []string{"{x}", "a*b?[c]", "'; FLUSHALL --", `"]] return redis.call("FLUSHALL")`, "user:id:00", "%s%d", "\u2603{}", strings.Repeat("x", 256)}
	for i, name := range names {
		u, err := dir.Add(t.Context(), users.NewUser{ID: fmt.Sprintf("{%d}'*", i), Username: name, PasswordHash: cheap})
		require.NoError(t, err, name)
		got, err := dir.Find(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, u, got)
	}
	for _, key := range server.Client().Keys(t.Context(), "*").Val() {
		require.Regexp(t, `^test:user:(id|name):[0-3][0-9a-f]$`, key, "S-19 nothing typed is part of a key's name")
	}
}

func TestRedisBrokenPieces(t *testing.T) {
	dir, server := openRedis(t)
	c, ctx := server.Client(), t.Context()
	u, err := dir.Add(ctx, users.NewUser{Username: "ada", PasswordHash: cheap})
	require.NoError(t, err)
	drop := func(kind, field string) {
		for _, key := range c.Keys(ctx, "test:user:"+kind+":*").Val() {
			require.NoError(t, c.HDel(ctx, key, field).Err())
		}
	}
	t.Run("a name whose record was lost is free", func(t *testing.T) {
		drop("id", u.ID)
		_, err := dir.Find(ctx, "ada")
		require.ErrorIs(t, err, users.ErrUnknown)
		again, err := dir.Add(ctx, users.NewUser{Username: "ada", PasswordHash: cheap})
		require.NoError(t, err)
		got, err := dir.Find(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, again, got)
		u = again
	})
	t.Run("a record without a name: no login, can be deleted", func(t *testing.T) {
		drop("name", "ada")
		_, err := dir.Find(ctx, "ada")
		require.ErrorIs(t, err, users.ErrUnknown)
		require.Len(t, list(t, dir), 1)
		second, err := dir.Add(ctx, users.NewUser{Username: "ada", PasswordHash: cheap})
		require.NoError(t, err)
		require.NoError(t, dir.Delete(ctx, u.ID))
		got, err := dir.Find(ctx, "ada")
		require.NoError(t, err, "the name belongs to the other one")
		require.Equal(t, second.ID, got.ID)
	})
	t.Run("a record of a later version is not guessed at", func(t *testing.T) {
		for id := range list(t, dir) {
			for _, key := range c.Keys(ctx, "test:user:id:*").Val() {
				require.NoError(t, c.HSet(ctx, key, id, `{"v":2,"id":"`+id+`","username":"ada","password":"`+cheap+`"}`).Err())
			}
		}
		_, err := dir.Find(ctx, "ada")
		require.ErrorIs(t, err, users.ErrRecord)
	})
}

func TestRedisAway(t *testing.T) {
	dir, server := openRedis(t)
	server.Kill()
	auth := users.NewHashing(dir, users.NewSlots(0))
	_, err := verify(t.Context(), auth, "ada", staple)
	require.ErrorIs(t, err, users.ErrUnavailable, "ER-06")
	_, err = auth.Recheck(t.Context(), "u-1")
	require.ErrorIs(t, err, users.ErrUnavailable)
	require.NotErrorIs(t, err, users.ErrGone)
	_, err = dir.Add(t.Context(), users.NewUser{Username: "ada", PasswordHash: cheap})
	require.ErrorIs(t, err, users.ErrUnavailable)
	for _, err := range dir.List(t.Context()) {
		require.ErrorIs(t, err, users.ErrUnavailable)
	}
}

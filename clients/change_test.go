package clients_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

func TestChangedNodeSeesItAtOnce(t *testing.T) {
	srv := redistest.Start(t)
	fixed := &clients.Client{Registration: clients.Registration{ID: "fixed", Grants: []string{"client_credentials"}, Secrets: []clients.Secret{{Hash: clients.HashSecret("x")}}}}
	a, ctx := node(t, srv.URL, fixed), t.Context()
	t.Run("IN-24 the node that made a change does not answer by what was before it", func(t *testing.T) {
		for i := range 24 {
			id := fmt.Sprint("job-", i)
			require.NoError(t, a.manager.Create(ctx, machine(id)))
			before, err := a.live.Get(ctx, id)
			require.NoError(t, err)
			require.NoError(t, a.manager.RevokeTokens(ctx, id))
			got, err := a.live.Get(ctx, id)
			require.NoError(t, err)
			require.NotEqual(t, before.Epoch, got.Epoch)
			require.NoError(t, a.manager.SetDisabled(ctx, id, true))
			got, err = a.live.Get(ctx, id)
			require.NoError(t, err)
			require.True(t, got.Disabled)
			require.NoError(t, a.manager.Delete(ctx, id))
			_, err = a.live.Get(ctx, id)
			require.ErrorIs(t, err, clients.ErrUnknown)
			require.NoError(t, a.manager.Create(ctx, machine(id)))
			_, err = a.live.Get(ctx, id)
			require.NoError(t, err, "nor is it unknown still")
		}
	})
	t.Run("IN-24 a client of config.toml too", func(t *testing.T) {
		for range 24 {
			require.NoError(t, a.manager.SetDisabled(ctx, "fixed", true))
			got, err := a.live.Get(ctx, "fixed")
			require.NoError(t, err)
			require.True(t, got.Disabled)
			require.NoError(t, a.manager.RevokeTokens(ctx, "fixed"))
			require.NoError(t, a.manager.SetDisabled(ctx, "fixed", false))
			got, err = a.live.Get(ctx, "fixed")
			require.NoError(t, err)
			require.False(t, got.Disabled)
		}
	})
}

func TestRotationKeepsWhatIsUsed(t *testing.T) {
	srv := redistest.Start(t)
	a, ctx := node(t, srv.URL), t.Context()
	use := func(secret string) error {
		proof, err := clients.Authenticate(ctx, a.live, clients.Credentials{ID: "job", Secret: secret, Method: clients.MethodBasic}, time.Now())
		if err == nil {
			proof.Used(time.Now())
		}
		return err
	}
	begin := func(t *testing.T) {
		require.NoError(t, srv.Client().FlushAll(ctx).Err())
		require.NoError(t, a.manager.Create(ctx, machine("job")))
		require.NoError(t, use("secret of job"))
		require.NoError(t, rotate(a, "second", 24*time.Hour))
	}
	t.Run("CA-17 a rotation whose answer was lost is repeated: the secret that nobody got goes, the fleet's stays", func(t *testing.T) {
		begin(t)
		d, err := a.manager.Get(ctx, "job")
		require.NoError(t, err)
		lost := d.Secrets[1].ID()
		done, err := a.manager.RotateSecret(ctx, "job", clients.HashSecret("third"), 24*time.Hour, false)
		require.NoError(t, err)
		require.Equal(t, []string{lost}, done.Ended, "it is said which one went")
		require.NoError(t, use("secret of job"))
		require.Error(t, use("second"))
		require.NoError(t, use("third"))
	})
	t.Run("CA-17 two honest rotations within the overlap: the second is refused while both secrets are used, and can be insisted on", func(t *testing.T) {
		begin(t)
		require.NoError(t, use("secret of job"))
		require.NoError(t, use("second"))
		before, err := a.manager.Get(ctx, "job")
		require.NoError(t, err)
		err = rotate(a, "third", 24*time.Hour)
		var inUse *clients.InUseError
		require.ErrorAs(t, err, &inUse)
		for _, e := range before.Secrets {
			require.ErrorContains(t, err, e.ID())
		}
		after, err := a.manager.Get(ctx, "job")
		require.NoError(t, err)
		require.Equal(t, before, after, "a refusal changes nothing")
		require.NoError(t, use("secret of job"))
		done, err := a.manager.RotateSecret(ctx, "job", clients.HashSecret("third"), 24*time.Hour, true)
		require.NoError(t, err)
		require.Len(t, done.Ended, 1)
		require.NoError(t, use("third"))
	})
	t.Run("a repetition with the same secret changes nothing", func(t *testing.T) {
		begin(t)
		before, err := a.manager.Get(ctx, "job")
		require.NoError(t, err)
		require.NoError(t, rotate(a, "second", 24*time.Hour))
		after, err := a.manager.Get(ctx, "job")
		require.NoError(t, err)
		require.Equal(t, before.Secrets, after.Secrets)
	})
	t.Run("--now ends all others, and says which", func(t *testing.T) {
		begin(t)
		done, err := a.manager.RotateSecret(ctx, "job", clients.HashSecret("third"), 0, false)
		require.NoError(t, err)
		require.Len(t, done.Ended, 2)
	})
}

// repeater keeps what could not be confirmed.
type repeater map[any]func(context.Context) error

func (r repeater) Again(key any, do func(context.Context) error) { r[key] = do }
func (r repeater) Settled(key any)                               { delete(r, key) }

func (r repeater) all(t *testing.T) {
	for _, do := range r {
		require.NoError(t, do(t.Context()))
	}
}

// hung is a registry whose only replica does not answer.
func hung(t *testing.T) (m *clients.Manager, again repeater, srv, replica *redistest.Server) {
	srv = redistest.Start(t)
	replica = srv.AddReplica()
	db := openWith(t, redisdb.Config{URL: srv.URL, WaitReplicas: 1, WaitTimeout: 50 * time.Millisecond})
	again = repeater{}
	registry := clients.NewRedis(db)
	registry.Again = again
	m = &clients.Manager{Redis: registry, Epochs: tokens.NewRedis(db), Catalogue: catalogue(t), MaxTTL: time.Hour}
	return m, again, srv, replica
}

func TestUnconfirmedChanges(t *testing.T) {
	m, again, srv, replica := hung(t)
	ctx := t.Context()
	require.NoError(t, m.Create(ctx, machine("job")))
	require.NoError(t, m.Create(ctx, machine("other")))
	text := func() map[string]string {
		held := map[string]string{}
		for _, key := range srv.Client().Keys(ctx, "test:clients:{registry}:??").Val() {
			for id, text := range srv.Client().HGetAll(ctx, key).Val() {
				held[key+" "+id] = text
			}
		}
		return held
	}
	// failover puts back what was before.
	failover := func(before map[string]string) {
		for at, text := range before {
			require.NoError(t, srv.Client().HSet(ctx, at[:len("test:clients:{registry}:00")], at[len("test:clients:{registry}:00 "):], text).Err())
		}
	}
	replica.Pause()
	t.Run("S-22 the result stands beside the error, also of what finds nothing to do", func(t *testing.T) {
		d, err := m.Update(ctx, "job", func(s *clients.Stored) error { s.Name = "x"; return nil })
		require.ErrorIs(t, err, clients.ErrNotConfirmed)
		require.Equal(t, "x", d.Name)
		done, err := m.RotateSecret(ctx, "job", clients.HashSecret("second"), time.Hour, false)
		require.ErrorIs(t, err, clients.ErrNotConfirmed)
		require.NotNil(t, done)
		err = m.Create(ctx, machine("job"))
		require.ErrorIs(t, err, clients.ErrExists, "the verdict first")
		err = m.Delete(ctx, "nobody")
		require.ErrorIs(t, err, clients.ErrUnknown)
		require.ErrorIs(t, err, clients.ErrNotConfirmed)
	})
	t.Run("S-22 a deletion, and a disabling, that a failover undoes are done again", func(t *testing.T) {
		before := text()
		require.ErrorIs(t, m.Delete(ctx, "job"), clients.ErrNotConfirmed)
		require.ErrorIs(t, m.SetDisabled(ctx, "other", true), clients.ErrNotConfirmed)
		_, err := m.Get(ctx, "job")
		require.ErrorIs(t, err, clients.ErrUnknown)
		failover(before)
		_, err = m.Get(ctx, "job")
		require.NoError(t, err)
		replica.Resume()
		soon(t, func() bool { return m.Epochs.RenewClient(ctx, "x", clients.NewEpoch()) == nil })
		again.all(t)
		_, err = m.Get(ctx, "job")
		require.ErrorIs(t, err, clients.ErrUnknown)
		d, err := m.Get(ctx, "other")
		require.NoError(t, err)
		require.True(t, d.Disabled)
	})
	t.Run("what came after an unconfirmed change is left alone", func(t *testing.T) {
		replica.Pause()
		require.ErrorIs(t, m.Delete(ctx, "other"), clients.ErrNotConfirmed)
		require.ErrorIs(t, m.Create(ctx, machine("third")), clients.ErrNotConfirmed)
		replica.Resume()
		soon(t, func() bool { return m.Epochs.RenewClient(ctx, "x", clients.NewEpoch()) == nil })
		elsewhere := &clients.Manager{Redis: clients.NewRedis(open(t, srv.URL)), Catalogue: catalogue(t), MaxTTL: time.Hour}
		require.NoError(t, elsewhere.Create(ctx, machine("other")))
		require.NoError(t, elsewhere.Delete(ctx, "third"))
		again.all(t)
		_, err := m.Get(ctx, "other")
		require.NoError(t, err)
		_, err = m.Get(ctx, "third")
		require.ErrorIs(t, err, clients.ErrUnknown, "a creation is not repeated")
	})
}

func TestFullRedisTakesChanges(t *testing.T) {
	srv := redistest.Start(t)
	a, ctx := node(t, srv.URL, &clients.Client{Registration: clients.Registration{ID: "fixed", Method: clients.MethodNone}}), t.Context()
	for _, id := range []string{"job", "gone"} {
		require.NoError(t, a.manager.Create(ctx, machine(id)))
	}
	require.NoError(t, srv.Client().ConfigSet(ctx, "maxmemory", "1mb").Err())
	t.Run("V-13 S-21 a full Redis still disables, deletes and takes tokens away, and takes no new client", func(t *testing.T) {
		require.NoError(t, a.manager.SetDisabled(ctx, "job", true))
		require.NoError(t, a.manager.Delete(ctx, "gone"))
		require.NoError(t, a.manager.SetDisabled(ctx, "fixed", true))
		require.Error(t, a.manager.Create(ctx, machine("new")))
		require.NoError(t, tokens.NewRedis(a.db).EndUser(ctx, tokens.Tag{1}))
	})
}

func dynamic(id, registrar string, most int) *clients.Stored {
	s := machine(id)
	s.Dynamic, s.Registrar, s.MaxOfRegistrar, s.Token = true, registrar, most, clients.HashSecret("token")
	return s
}

func TestReplaceOwn(t *testing.T) {
	srv := redistest.Start(t)
	a, ctx := node(t, srv.URL), t.Context()
	registrar := machine("registrar")
	registrar.Scope = "grantor:clients orders:read orders:write"
	require.NoError(t, a.manager.Create(ctx, registrar))
	put := func(scope string) error {
		_, err := a.manager.ReplaceOwn(ctx, "dyn", clients.HashSecret("token"), func(r *clients.Registration) { r.Scope = scope })
		return err
	}
	admin := func(edit func(*clients.Stored)) {
		_, err := a.manager.Update(ctx, "dyn", func(s *clients.Stored) error { edit(s); return nil })
		require.NoError(t, err)
	}
	begin := func(t *testing.T, scope string) {
		_ = a.manager.Delete(ctx, "dyn")
		s := dynamic("dyn", "registrar", 0)
		s.Scope = scope
		require.NoError(t, a.manager.Create(ctx, s))
	}
	refused := func(t *testing.T, field string, err error) {
		var f *clients.FieldError
		require.ErrorAs(t, err, &f)
		require.Equal(t, field, f.Field)
	}
	t.Run("RFC 7592 §2.2 a client cannot take what its registrar could have given, and did not", func(t *testing.T) {
		begin(t, "orders:read")
		refused(t, "scope", put("orders:read orders:write"))
		refused(t, "scope", put("orders:write"))
		require.NoError(t, put(""))
		require.NoError(t, put("orders:read"), "what it gave up itself it may have again")
	})
	t.Run("nor what an operator took away, also where it did not have it at that moment", func(t *testing.T) {
		begin(t, "orders:read orders:write")
		admin(func(s *clients.Stored) { s.Scope = "orders:read" })
		refused(t, "scope", put("orders:read orders:write"))
		begin(t, "orders:read orders:write")
		require.NoError(t, put("orders:read"))
		admin(func(s *clients.Stored) { s.Stated = []string{"scope"} })
		refused(t, "scope", put("orders:read orders:write"))
		begin(t, "orders:read orders:write")
		require.NoError(t, put("orders:read"))
		admin(func(s *clients.Stored) { s.Name = "x" })
		require.NoError(t, put("orders:read orders:write"), "a new name is no limit")
	})
	t.Run("nor grants and methods", func(t *testing.T) {
		begin(t, "orders:read")
		admin(func(s *clients.Stored) { s.Grants, s.Method = nil, clients.MethodPost })
		own := func(method clients.Method, grants ...string) error {
			_, err := a.manager.ReplaceOwn(ctx, "dyn", clients.HashSecret("token"), func(r *clients.Registration) { r.Method, r.Grants = method, grants })
			return err
		}
		refused(t, "grant_types", own(clients.MethodPost, "client_credentials"))
		refused(t, "token_endpoint_auth_method", own(clients.MethodBasic))
		require.NoError(t, own(clients.MethodPost))
	})
	t.Run("nor what its registrar may no longer give; what it has it keeps", func(t *testing.T) {
		begin(t, "orders:read orders:write")
		_, err := a.manager.Update(ctx, "registrar", func(s *clients.Stored) error { s.Scope = "grantor:clients orders:read"; return nil })
		require.NoError(t, err)
		require.NoError(t, put("orders:read orders:write"))
		require.NoError(t, put("orders:read"))
		refused(t, "scope", put("orders:read orders:write"))
		require.NoError(t, a.manager.SetDisabled(ctx, "registrar", true))
		require.NoError(t, put("orders:read"))
		require.NoError(t, put(""))
		refused(t, "scope", put("orders:read"))
	})
	t.Run("another token, or a disabled client: as if there were none", func(t *testing.T) {
		begin(t, "orders:read")
		_, err := a.manager.ReplaceOwn(ctx, "dyn", clients.HashSecret("other"), func(*clients.Registration) {})
		require.ErrorIs(t, err, clients.ErrUnknown)
		require.NoError(t, a.manager.SetDisabled(ctx, "dyn", true))
		require.ErrorIs(t, put("orders:read"), clients.ErrUnknown)
	})
}

func TestRegistrarsBound(t *testing.T) {
	srv := redistest.Start(t)
	a, b, ctx := node(t, srv.URL), node(t, srv.URL), t.Context()
	t.Run("S-43 a registrar has so many registrations at most, by any number of nodes at once; others have their own", func(t *testing.T) {
		var mu sync.Mutex
		made, many := 0, 0
		var wg sync.WaitGroup
		for i := range 20 {
			m := []*clients.Manager{a.manager, b.manager}[i%2]
			wg.Go(func() {
				err := m.Create(ctx, dynamic(fmt.Sprint("dyn-", i), "registrar", 7))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else {
					require.ErrorIs(t, err, clients.ErrTooMany)
					many++
				}
			})
		}
		wg.Wait()
		require.Equal(t, []int{7, 13}, []int{made, many})
		require.NoError(t, a.manager.Create(ctx, dynamic("mine", "another", 7)))
		require.NoError(t, a.manager.Create(ctx, machine("an operator's")))
	})
	t.Run("one that is deleted makes room", func(t *testing.T) {
		for i := range 20 {
			if b.manager.Delete(ctx, fmt.Sprint("dyn-", i)) == nil {
				break
			}
		}
		require.NoError(t, a.manager.Create(ctx, dynamic("last", "registrar", 7)))
		require.ErrorIs(t, a.manager.Create(ctx, dynamic("too many", "registrar", 7)), clients.ErrTooMany)
	})
}

func TestFirstUseIsToldSoon(t *testing.T) {
	srv := redistest.Start(t)
	a, ctx := node(t, srv.URL), t.Context()
	go a.live.Housekeep(ctx, slog.New(slog.DiscardHandler))
	require.NoError(t, a.manager.Create(ctx, machine("job")))
	stored := func(secret string) bool {
		used, err := a.manager.Redis.LastUsed(ctx, "job", clients.HashSecret(secret))
		return err == nil && !used.IsZero()
	}
	use := func(secret string) {
		proof, err := clients.Authenticate(ctx, a.live, clients.Credentials{ID: "job", Secret: secret, Method: clients.MethodBasic}, time.Now())
		if err == nil {
			proof.Used(time.Now())
		}
		require.NoError(t, err)
	}
	t.Run("CA-17 a use that was not stored yet is not forgotten when the client changes", func(t *testing.T) {
		use("secret of job")
		require.NoError(t, rotate(a, "second", time.Hour))
		soon(t, func() bool { return stored("secret of job") })
	})
	t.Run("CA-17 which of two secrets is in use is known within seconds", func(t *testing.T) {
		require.False(t, stored("second"))
		use("second")
		soon(t, func() bool { return stored("second") })
	})
}

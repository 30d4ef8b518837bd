package clients_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

func wanted(id string) clients.Wanted {
	r := machine(id).Registration
	return clients.Wanted{Registration: &r, Same: func(s clients.Secret) bool { return s.Hash == r.Secrets[0].Hash }, Seal: func() error { return nil }}
}

// TestImportIsOneStep: all clients of an import are written, or none.
func TestImportIsOneStep(t *testing.T) {
	t.Run("one Redis server", func(t *testing.T) { testImport(t, node(t, redistest.Start(t).URL)) })
	t.Run("a Cluster", func(t *testing.T) {
		c := redisdb.Config{Mode: redisdb.Cluster, Addrs: redistest.Cluster(t, 3).Addrs}
		testImport(t, nodeOn(t, openWith(t, c)))
	})
}

func testImport(t *testing.T, a *registry) {
	t.Helper()
	ctx := t.Context()
	plan := func(n int) *clients.Import {
		i := a.manager.NewImport()
		for k := range n {
			outcome, _, err := i.Plan(ctx, wanted(fmt.Sprint("job-", k)))
			require.NoError(t, err)
			require.Equal(t, clients.OutcomeCreate, outcome)
		}
		return i
	}
	const many = 600
	t.Run("somebody takes an id meanwhile: nothing is written", func(t *testing.T) {
		i := plan(many)
		require.NoError(t, a.manager.Create(ctx, machine("job-300")))
		require.ErrorIs(t, i.Apply(ctx), clients.ErrImportOvertaken)
		for k := range many {
			_, err := a.manager.Redis.Load(ctx, fmt.Sprint("job-", k))
			if k != 300 {
				require.ErrorIs(t, err, clients.ErrUnknown)
			}
		}
		require.NoError(t, a.manager.Delete(ctx, "job-300"))
	})
	t.Run("all are there afterwards, and repeated it changes nothing", func(t *testing.T) {
		i := plan(many)
		require.NoError(t, i.Apply(ctx))
		require.NoError(t, i.Apply(ctx), "as after a lost answer")
		for k := range many {
			_, err := a.live.Get(ctx, fmt.Sprint("job-", k))
			require.NoError(t, err)
		}
		again := a.manager.NewImport()
		for k := range many {
			outcome, _, err := again.Plan(ctx, wanted(fmt.Sprint("job-", k)))
			require.NoError(t, err)
			require.Equal(t, clients.OutcomeUnchanged, outcome)
		}
	})
	t.Run("a client that was replaced with less loses tokens as by an update", func(t *testing.T) {
		before, err := a.manager.Redis.Load(ctx, "job-1")
		require.NoError(t, err)
		i, w := a.manager.NewImport(), wanted("job-1")
		w.Replace, w.Grants, w.Audience = true, []string{"client_credentials"}, []string{"https://orders.example.com"}
		w.Scope = "orders:write"
		outcome, _, err := i.Plan(ctx, w)
		require.NoError(t, err)
		require.Equal(t, clients.OutcomeReplace, outcome)
		require.NoError(t, i.Apply(ctx))
		after, err := a.manager.Redis.Load(ctx, "job-1")
		require.NoError(t, err)
		require.Equal(t, before.Epoch, after.Epoch)
		require.NotEqual(t, before.Edition, after.Edition)
		require.WithinDuration(t, time.Now(), after.UpdatedAt, time.Minute)
	})
}

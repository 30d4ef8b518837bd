package faults_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// readiness is the status of GET /readyz.
func (n *node) readiness(t *testing.T) int {
	t.Helper()
	res, err := http.Get(n.URL + "/readyz")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

func TestReadyToRead(t *testing.T) {
	for name, refuse := range map[string][]any{
		"is full":            {"config", "set", "maxmemory", "1mb"},
		"is a replica":       {"replicaof", "127.0.0.1", "1"},
		"lacks its replicas": {"config", "set", "min-replicas-to-write", "1"},
	} {
		t.Run("S-21 while Redis "+name+", nodes stay ready for introspection, and one that starts serves it", func(t *testing.T) {
			s := redistest.Start(t)
			d := deploy(t, single(s.Addr))
			n, c, ctx := d.serve(t), newCaller(d), context.Background()
			token := c.issue(ctx, n, "machine-0").Access
			require.NoError(t, s.Client().Do(t.Context(), refuse...).Err())
			require.True(t, c.introspect(ctx, n, token).Active)
			require.Equal(t, 200, n.readiness(t), "a balancer would take every node away, with introspection")
			require.True(t, c.introspect(ctx, d.serve(t), token).Active)
		})
	}
}

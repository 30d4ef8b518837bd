package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestReplicaHangs stops the one replica, which holds its connections, under a load of revocations
// and introspections.
func TestReplicaHangs(t *testing.T) {
	t.Parallel() // it waits
	t.Run("S-20 S-22 a replica that hangs: introspection goes on, revocations are done and say that they are not confirmed", func(t *testing.T) {
		s := redistest.New(t, redistest.Options{AppendOnly: true})
		replica := s.AddReplica()
		d := deploy(t, single(s.Addr), "[metrics]\nlisten = \"127.0.0.1:"+redistest.FreePort(t)+"\"\n")
		n, c, ctx := d.serve(t), newCaller(d), context.Background()
		token, first := c.issue(ctx, n, "machine-0"), c.issue(ctx, n, "machine-0")
		require.Equal(t, 200, c.revoke(ctx, n, "machine-0", first.Access).status)
		replica.Pause()

		span := time.Duration(choose(4, 120)) * time.Second
		var introspected, revoked atomic.Int64
		var mu sync.Mutex
		waits, ended := map[string]bool{}, []string{}
		var all sync.WaitGroup
		begun := time.Now()
		for range workers {
			all.Go(func() {
				for time.Since(begun) < span && !t.Failed() {
					if a := c.introspect(ctx, n, token.Access); !a.Active {
						t.Errorf("introspection: %d %s %v", a.status, a.body, a.err)
					}
					introspected.Add(1)
				}
			})
			all.Go(func() {
				for i := 0; time.Since(begun) < span && !t.Failed(); i++ {
					one := c.issue(ctx, n, "machine-0")
					a := c.revoke(ctx, n, "machine-0", one.Access)
					var body struct{ Outcome string }
					_ = json.Unmarshal([]byte(a.body), &body)
					if a.status != 503 || body.Outcome != "not_confirmed" {
						t.Errorf("revocation: %d %s %v", a.status, a.body, a.err)
					}
					revoked.Add(1)
					mu.Lock()
					waits[a.header.Get("Retry-After")] = true
					if len(ended) < 100 {
						ended = append(ended, one.Access)
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Equal(t, 200, n.readiness(t))
		require.Greater(t, len(waits), 1, "who was refused does not come back in the same second")
		for _, one := range ended {
			require.Equal(t, `{"active":false}`, c.introspect(ctx, n, one).body, "done")
		}
		require.NotContains(t, n.Out.String(), "connection pool timeout")
		require.Contains(t, n.Out.String(), "too few replicas confirm writes")
		values := scrape(t, d.config)
		require.Equal(t, 1.0, values["grantor_redis_replicas_wanted"])
		require.Positive(t, values["grantor_redis_unconfirmed_writes_total"])
		require.Positive(t, values[`grantor_store_errors_total{operation="revoke",outcome="not_confirmed"}`])
		require.Zero(t, values[`grantor_store_errors_total{operation="load",outcome="not_done"}`])

		replica.Resume()
		back := time.Now()
		require.Eventually(t, func() bool { return c.revoke(ctx, n, "machine-0", token.Access).status == http.StatusOK }, 10*time.Second, 10*time.Millisecond)
		figure(t, "S-20", fmt.Sprintf("a replica that hangs for %s, wait_replicas = 1: %d introspections, all answered; %d revocations, all 503 \"not_confirmed\" and done; confirmed again %s after it goes on",
			span, introspected.Load(), revoked.Load(), seconds(time.Since(back))), "0 introspections refused")
	})
}

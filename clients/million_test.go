package clients_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestManyClients measures a large registry: GRANTOR_TEST_CLIENTS=1000000 go test ./clients -run
// ManyClients -v. It asserts that what a node keeps is bounded, and logs the rest.
func TestManyClients(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("GRANTOR_TEST_CLIENTS"))
	if n == 0 {
		n = 2_000
	}
	srv := redistest.Start(t)
	info := func() int {
		text, err := srv.Client().Info(t.Context(), "memory").Result()
		require.NoError(t, err)
		var used int
		_, err = fmt.Sscanf(text, "# Memory\r\nused_memory:%d", &used)
		require.NoError(t, err)
		return used
	}
	a := node(t, srv.URL)
	before, began := info(), time.Now()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < n; i += 64 {
				if err := a.manager.Create(t.Context(), machine(fmt.Sprintf("client-%08d", i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d clients created in %s; %d bytes of Redis each", n, time.Since(began).Round(time.Millisecond), (info()-before)/n)

	began = time.Now()
	b := node(t, srv.URL)
	_, err := b.live.Get(t.Context(), "client-00000000")
	require.NoError(t, err)
	t.Logf("a node is ready, first client included, after %s", time.Since(began).Round(time.Microsecond))

	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	empty := heap()
	for i := range n {
		_, err := b.live.Get(t.Context(), fmt.Sprintf("client-%08d", i))
		require.NoError(t, err)
		if i == 50_000 {
			break
		}
	}
	cached := b.live.Stats().Cached
	require.LessOrEqual(t, cached, 100, "the cache is bounded")
	t.Logf("%d clients cached, %d bytes of heap more", cached, heap()-empty)

	last := fmt.Sprintf("client-%08d", n-1)
	_, err = b.live.Get(t.Context(), last)
	require.NoError(t, err)
	began = time.Now()
	require.NoError(t, a.manager.SetDisabled(t.Context(), last, true))
	require.Eventually(t, func() bool { c, err := b.live.Get(t.Context(), last); return err == nil && c.Disabled }, 5*time.Second, time.Millisecond)
	t.Logf("a change is on the other node after %s", time.Since(began).Round(time.Millisecond))
}

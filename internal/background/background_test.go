package background_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/background"
)

func TestGroup(t *testing.T) {
	endless := func(ctx context.Context) { <-ctx.Done() }
	for name, end := range map[string]func(){
		"a task that panics":         func() { panic("boom") },
		"a task that returns":        func() {},
		"a task that calls a nil":    func() { var f func(); f() },
		"a task that leaves by Exit": runtime.Goexit,
	} {
		t.Run("S-20 "+name+" is logged, counted, named and begun again", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var up atomic.Int32
				g := background.New(slog.New(slog.NewJSONHandler(&log, nil)), func(_ string, running bool) {
					if running {
						up.Add(1)
					} else {
						up.Add(-1)
					}
				})
				ends := make(chan struct{}, 1)
				g.Go("sound", endless)
				g.Go("odd", func(ctx context.Context) {
					select {
					case <-ctx.Done():
					case <-ends:
						end()
					}
				})
				require.Equal(t, []string{"sound", "odd"}, g.Tasks())
				synctest.Wait()
				require.NoError(t, g.Err())
				require.EqualValues(t, 2, up.Load())
				ends <- struct{}{}
				synctest.Wait()
				require.ErrorContains(t, g.Err(), `background task "odd" ended`)
				require.NotContains(t, g.Err().Error(), "sound")
				require.EqualValues(t, 1, up.Load())
				require.Contains(t, log.String(), `"level":"ERROR"`)
				require.Contains(t, log.String(), `"task":"odd"`)
				time.Sleep(2 * time.Second)
				require.EqualValues(t, 2, up.Load(), "it runs again")
				require.Error(t, g.Err(), "and is not steady yet")
				time.Sleep(5 * time.Second)
				require.NoError(t, g.Err())
				g.Stop()
				require.NoError(t, g.Err(), "what ends with its group has not failed")
			})
		})
	}
	t.Run("S-20 a group that stops, such as that of an earlier configuration, leaves no task as missing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			up := map[string]bool{}
			g := background.New(slog.New(slog.DiscardHandler), func(task string, running bool) { up[task] = running })
			g.Go("broken", func(context.Context) { panic("boom") })
			synctest.Wait()
			require.Equal(t, map[string]bool{"broken": false}, up)
			g.Stop()
			require.Equal(t, map[string]bool{"broken": true}, up)
		})
	})
	t.Run("a task that ends at every turn is never steady, and the log stays small", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			g := background.New(slog.New(slog.NewJSONHandler(&log, nil)), nil)
			g.Go("broken", func(ctx context.Context) { panic("boom") })
			for range 60 {
				time.Sleep(time.Minute / 6)
				require.Error(t, g.Err())
			}
			g.Stop()
			require.Less(t, bytes.Count(log.Bytes(), []byte("\n")), 30, "in ten minutes")
		})
	})
}

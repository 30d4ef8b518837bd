package node

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
)

// inMemory is a configuration that needs nothing but this process.
func inMemory(t *testing.T) *config.Config {
	t.Helper()
	cfg, _, err := config.Load(config.Options{Path: "../config.toml", Trial: true})
	require.NoError(t, err)
	return cfg
}

func quiet() Options {
	return Options{Log: slog.New(slog.DiscardHandler), Stdout: &bytes.Buffer{}}
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestBackgroundTaskEnds(t *testing.T) {
	for name, begin := range map[string]func(*Node, func(context.Context)){
		"of the process":       func(n *Node, run func(context.Context)) { n.Go("odd", run) },
		"of the configuration": func(n *Node, run func(context.Context)) { n.current.now.Load().background.Go("odd", run) },
	} {
		t.Run("S-20 a background task "+name+" that panics: the node is unready, and log and metric name the task", func(t *testing.T) {
			var log bytes.Buffer
			o := quiet()
			o.Log = slog.New(slog.NewJSONHandler(&log, nil))
			n, err := Open(t.Context(), inMemory(t), o)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, get(n.Handler(), "/readyz").Code)
			ended := make(chan struct{})
			first := true
			begin(n, func(ctx context.Context) {
				if first {
					first = false
					defer close(ended)
					panic("boom")
				}
				<-ctx.Done()
			})
			<-ended
			unready := func() bool { return get(n.Handler(), "/readyz").Code == http.StatusServiceUnavailable }
			require.Eventually(t, unready, 5*time.Second, 10*time.Millisecond)
			require.Equal(t, http.StatusOK, get(n.Handler(), "/healthz").Code)
			said := get(n.resources.metrics.Handler(), "/metrics").Body.String()
			require.Contains(t, said, `grantor_background_task_failures_total{task="odd"} 1`)
			require.Contains(t, said, `grantor_background_task_failures_total{task="audit trail"} 0`)
			n.Close()
			require.Contains(t, log.String(), `"reason":"not_ready"`)
			require.Contains(t, log.String(), `background task \"odd\" ended: panic: boom`)
		})
	}
}

func TestCloseSoonAfterReload(t *testing.T) {
	n, err := Open(t.Context(), inMemory(t), quiet())
	require.NoError(t, err)
	ended := 0
	odd := func() { // one after the other
		n.current.now.Load().background.Go("odd", func(ctx context.Context) { <-ctx.Done(); ended++ })
	}
	odd()
	for range 2 {
		cfg := inMemory(t)
		cfg.Server.ShutdownTimeout = time.Hour
		require.NoError(t, n.Reload(t.Context(), cfg))
		odd()
	}
	n.Close()
	require.Equal(t, 3, ended, "nothing of an earlier configuration outlives the stores")
}

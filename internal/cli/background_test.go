package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/config"
)

func TestBackgroundTaskEnds(t *testing.T) {
	shipped, err := os.ReadFile("../../config.toml")
	require.NoError(t, err)
	p := Program{Shipped: shipped, Stdout: io.Discard, Stderr: io.Discard}
	cfg, _, err := p.load(config.Options{Trial: true})
	require.NoError(t, err)
	for name, begin := range map[string]func(*base, *instance, func(context.Context)){
		"of the process":       func(b *base, _ *instance, run func(context.Context)) { b.background.Go("odd", run) },
		"of the configuration": func(_ *base, in *instance, run func(context.Context)) { in.background.Go("odd", run) },
	} {
		t.Run("S-20 a background task "+name+" that panics: the node is unready, and log and metric name the task", func(t *testing.T) {
			var log bytes.Buffer
			b, err := p.openBase(t.Context(), cfg, slog.New(slog.NewJSONHandler(&log, nil)))
			require.NoError(t, err)
			in, err := b.instance(t.Context(), cfg)
			require.NoError(t, err)
			get := func(h http.Handler, path string) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				return w
			}
			require.Equal(t, http.StatusOK, get(in.handler, "/readyz").Code)
			ended := make(chan struct{})
			first := true
			begin(b, in, func(ctx context.Context) {
				if first {
					first = false
					defer close(ended)
					panic("boom")
				}
				<-ctx.Done()
			})
			<-ended
			require.Eventually(t, func() bool { return get(in.handler, "/readyz").Code == http.StatusServiceUnavailable }, 5*time.Second, 10*time.Millisecond)
			require.Equal(t, http.StatusOK, get(in.handler, "/healthz").Code)
			said := get(b.metrics.Handler(), "/metrics").Body.String()
			require.Contains(t, said, `grantor_background_task_failures_total{task="odd"} 1`)
			require.Contains(t, said, `grantor_background_task_failures_total{task="audit trail"} 0`)
			in.stop()
			b.close()
			require.Contains(t, log.String(), `"reason":"not_ready"`)
			require.Contains(t, log.String(), `background task \"odd\" ended: panic: boom`)
		})
	}
}

func TestStopSoonAfterAReload(t *testing.T) {
	shipped, err := os.ReadFile("../../config.toml")
	require.NoError(t, err)
	p := Program{Shipped: shipped, Stdout: io.Discard, Stderr: io.Discard}
	cfg, _, err := p.load(config.Options{Trial: true})
	require.NoError(t, err)
	b, err := p.openBase(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer b.close()
	sw := &switcher{}
	ended := 0
	for range 3 {
		in, err := b.instance(t.Context(), cfg)
		require.NoError(t, err)
		in.background.Go("odd", func(ctx context.Context) { <-ctx.Done(); ended++ }) // one after the other
		if sw.now.Load() == nil {
			sw.now.Store(in)
		} else {
			sw.set(in, time.Hour)
		}
	}
	sw.stop()
	require.Equal(t, 3, ended, "nothing of an earlier configuration outlives the stores")
}

package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// lines is a log that any goroutine may write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTracesURL(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:4318":                  "http://127.0.0.1:4318/v1/traces",
		"https://otel.example.com/":              "https://otel.example.com/v1/traces",
		"https://otel.example.com/v1/traces":     "https://otel.example.com/v1/traces",
		"https://otel.example.com/otlp/v1/spans": "https://otel.example.com/otlp/v1/spans",
	} {
		require.Equal(t, want, tracesURL(endpoint))
	}
}

// traced opens a node that traces to a collector, and asks it once.
func traced(t *testing.T, endpoint string) (*Node, *lines) {
	t.Helper()
	log := &lines{}
	o := quiet()
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	n, err := Open(t.Context(), parsed(t, "tracing.otlp_endpoint = \""+endpoint+"\"\n"), o)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	s := httptest.NewServer(n.Handler())
	t.Cleanup(s.Close)
	require.Equal(t, 200, issue(t, s.URL))
	return n, log
}

func TestCollector(t *testing.T) {
	t.Run("OTLP/HTTP spans come to /v1/traces of an endpoint without a path", func(t *testing.T) {
		asked := make(chan string, 10)
		c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.URL.Path }))
		t.Cleanup(c.Close)
		n, log := traced(t, c.URL)
		n.Close()
		require.Equal(t, "POST /v1/traces", <-asked)
		require.NotContains(t, log.String(), "spans")
	})
	t.Run("a collector that refuses is one line of the log", func(t *testing.T) {
		c := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(strings.Repeat("no ", 1000)))
		}))
		t.Cleanup(c.Close)
		n, log := traced(t, c.URL+"/v1/traces")
		n.Close()
		require.Equal(t, 1, strings.Count(log.String(), "spans could not be sent and are lost"), log.String())
		require.Less(t, len(log.String()), 1500)
	})
	t.Run("a collector that hangs does not hold a stop up", func(t *testing.T) {
		over := make(chan struct{})
		c := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
		t.Cleanup(c.Close)
		t.Cleanup(func() { close(over) })
		n, log := traced(t, c.URL)
		begun := time.Now()
		n.Close()
		require.Less(t, time.Since(begun), 2*flushLimit)
		require.Equal(t, 1, strings.Count(log.String(), "the last spans were not sent before the stop"), log.String())
	})
}

// broken is an exporter with an error.
type broken struct {
	sdktrace.SpanExporter
	err error
}

func (b *broken) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return b.err }

func TestLostSpansAreLoggedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := &lines{}, &broken{err: errors.New("connection refused")}
		e := &loggedExporter{SpanExporter: b, log: slog.New(slog.NewTextHandler(log, nil))}
		spans := tracetest.SpanStubs{{Name: "a"}, {Name: "b"}}.Snapshots()
		for range 120 { // ten minutes
			require.NoError(t, e.ExportSpans(t.Context(), spans), "the library writes errors to standard error")
			time.Sleep(5 * time.Second)
		}
		require.Equal(t, 2, strings.Count(log.String(), "level=WARN"), log.String())
		require.Contains(t, log.String(), `lost_spans=2 error="connection refused"`)
		require.Contains(t, log.String(), `lost_spans=120 error="connection refused"`)
		b.err = nil
		for range 3 {
			require.NoError(t, e.ExportSpans(t.Context(), spans))
		}
		require.Equal(t, 1, strings.Count(log.String(), "spans are sent again"))
		b.err = errors.New("again")
		require.NoError(t, e.ExportSpans(t.Context(), spans))
		require.Equal(t, 3, strings.Count(log.String(), "level=WARN"), "another outage is told at once")
	})
}

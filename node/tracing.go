package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
)

// flushLimit is how long a stop waits until the last spans are sent.
const flushLimit = 5 * time.Second

// openTracer sends spans in batches over OTLP; spans that cannot be sent are dropped.
func (r *resources) openTracer(ctx context.Context, cfg *config.Config) error {
	if cfg.Tracing.Endpoint == "" {
		return nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(cfg.Tracing.Endpoint)))
	if err != nil {
		return parts.ConfigError{Err: fmt.Errorf("tracing.otlp_endpoint: %w", err)}
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&loggedExporter{SpanExporter: exporter, log: r.log}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "grantor"), attribute.String("service.version", r.version))))
	r.tracer = provider.Tracer("github.com/grantor-auth/grantor")
	r.closers = append(r.closers, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			r.log.Warn("the last spans were not sent before the stop", "error", shortened(err.Error()))
		}
	})
	return nil
}

// tracesURL gives an endpoint without a path the one of the signal, as the SDKs do with
// OTEL_EXPORTER_OTLP_ENDPOINT (OTLP specification, "Endpoint URLs for OTLP/HTTP").
func tracesURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Path != "" && u.Path != "/" {
		return endpoint
	}
	u.Path = "/v1/traces"
	return u.String()
}

// traceLogAgain is how often spans that cannot be sent are logged while that goes on.
const traceLogAgain = 5 * time.Minute

// loggedExporter logs what the library would write to standard error.
type loggedExporter struct {
	sdktrace.SpanExporter
	log *slog.Logger

	mu     sync.Mutex
	failed bool
	logged time.Time
	lost   int // spans since then
}

// ExportSpans implements sdktrace.SpanExporter. Its error is logged here, so it returns none.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.note(len(spans), e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

func (e *loggedExporter) note(spans int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		if e.failed {
			e.failed, e.logged = false, time.Time{}
			e.log.Info("spans are sent again", "lost_spans", e.lost)
			e.lost = 0
		}
		return
	}
	e.failed = true
	e.lost += spans
	if e.logged.IsZero() || time.Since(e.logged) >= traceLogAgain {
		e.log.Warn("spans could not be sent and are lost", "lost_spans", e.lost, "error", shortened(err.Error()))
		e.logged, e.lost = time.Now(), 0
	}
}

// maxFault bounds an error that holds what a collector answered, in bytes.
const maxFault = 300

func shortened(text string) string {
	if len(text) > maxFault {
		return text[:maxFault] + " …"
	}
	return text
}

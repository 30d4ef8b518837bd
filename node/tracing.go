package node

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
)

// openTracer sends spans in batches over OTLP; spans that cannot be sent are dropped.
func (r *resources) openTracer(ctx context.Context, cfg *config.Config) error {
	if cfg.Tracing.Endpoint == "" {
		return nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Tracing.Endpoint))
	if err != nil {
		return parts.ConfigError{Err: fmt.Errorf("tracing.otlp_endpoint: %w", err)}
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "grantor"), attribute.String("service.version", r.version))))
	r.tracer = provider.Tracer("github.com/grantor-auth/grantor")
	r.closers = append(r.closers, func() { _ = provider.Shutdown(context.WithoutCancel(ctx)) })
	return nil
}

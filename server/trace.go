package server

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins the span of a request, below the caller's if a traceparent came (W3C Trace
// Context §3.2). endSpan ends it. Spans name endpoint, client and reason; never a header, a body or
// a query.
func (s *Server) startSpan(x *exchange) {
	if s.cfg.Tracer == nil {
		return
	}
	r := x.gin.Request
	parent := propagation.TraceContext{}.Extract(x.Context, propagation.HeaderCarrier(r.Header))
	ctx, span := s.cfg.Tracer.Start(parent, r.Method+" "+x.gin.FullPath(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method),
			attribute.String("http.route", x.gin.FullPath()), attribute.String("grantor.request_id", x.id)))
	x.Context = ctx
	x.endSpan = func() {
		status := x.gin.Writer.Status()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if x.client != nil {
			span.SetAttributes(attribute.String("oauth.client_id", x.client.ID))
		}
		if x.reason != "" {
			span.SetAttributes(attribute.String("grantor.reason", string(x.reason)))
		}
		if status >= 500 {
			span.SetStatus(codes.Error, string(x.reason))
		}
		span.End()
	}
}

// childSpan begins a span below that of a request; nil if there is none.
func childSpan(ctx context.Context, name string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	return parent.TracerProvider().Tracer(tracerName).Start(ctx, name)
}

const tracerName = "github.com/grantor-auth/grantor"

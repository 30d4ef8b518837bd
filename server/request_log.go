package server

import (
	"log/slog"
	"time"
)

// logRequest writes one line: refusals and failures always, the rest at debug level. It names
// the route, never the query, which may hold what a confused client put there.
func (s *Server) logRequest(x *exchange, took time.Duration) {
	status := x.gin.Writer.Status()
	level := slog.LevelDebug
	switch {
	case x.quiet:
	case status >= 500, x.site != "":
		level = slog.LevelError
	case status >= 400:
		level = slog.LevelInfo
	}
	if !s.log.Enabled(x, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("method", x.gin.Request.Method),
		slog.String("route", x.gin.FullPath()), slog.Int("status", status),
		slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("peer", x.clientIP()),
	}
	switch {
	case x.client != nil:
		attrs = append(attrs, slog.String("client_id", x.client.ID))
	case x.asking.client != nil:
		attrs = append(attrs, slog.String("client_id", x.asking.client.ID))
	case x.claimed != "":
		attrs = append(attrs, slog.String("claimed_client_id", x.claimed))
	}
	if x.grant != "" && status < 400 {
		attrs = append(attrs, slog.String("grant_type", x.grant))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", string(x.reason)))
	}
	attrs = append(attrs, tokenAttrs(x.inactive)...)
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	if x.site != "" {
		attrs = append(attrs, slog.String("panic_at", x.site))
	}
	if x.locked != "" { // for "grantor user … --sub"
		attrs = append(attrs, slog.String("sub", x.locked), slog.String("subject_hash", s.codec.Tag(x.locked).String()))
	}
	s.log.LogAttrs(x, level, "request", attrs...)
}

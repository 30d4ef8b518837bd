package node

import (
	"net/http"

	"github.com/rs/cors"

	"github.com/grantor-auth/grantor/config"
)

// crossOrigin lets pages of the configured origins call (the Fetch standard's CORS protocol). No
// cookie is ever used here, so none is allowed.
func crossOrigin(cfg config.CORS, h http.Handler) http.Handler {
	if len(cfg.Origins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins: cfg.Origins, AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: append(corsHeaders(), cfg.Headers...), ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id"}, MaxAge: 600,
	}).Handler(h)
}

// corsHeaders are what pages may send: what the protocol needs, and what tracing libraries of
// browsers add to each request by themselves (W3C Trace Context and Baggage, Sentry).
func corsHeaders() []string {
	return []string{"Authorization", "Content-Type", "Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "X-Request-Id"}
}

package node

import (
	"net/http"
	"strings"

	"github.com/rs/cors"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/server"
)

// crossOrigin lets pages of the configured origins call (the Fetch standard's CORS protocol). No
// cookie is ever used here, so none is allowed. The authorization endpoint is for navigation alone
// (RFC 9700 §2.6).
func crossOrigin(cfg config.CORS, h http.Handler) http.Handler {
	if len(cfg.Origins) == 0 {
		return h
	}
	pages := cors.New(cors.Options{
		AllowedOrigins: cfg.Origins, AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: append(corsHeaders(), cfg.Headers...), ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id", "DPoP-Nonce"}, MaxAge: 600,
	}).Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, server.PathAuthorize) {
			h.ServeHTTP(w, r)
			return
		}
		pages.ServeHTTP(w, r)
	})
}

// corsHeaders are what pages may send: what the protocol needs, and what tracing libraries of
// browsers add to each request by themselves (W3C Trace Context and Baggage, Sentry).
func corsHeaders() []string {
	return []string{"Authorization", "Content-Type", "DPoP", "Traceparent", "Tracestate", "Baggage", "Sentry-Trace", "X-Request-Id"}
}

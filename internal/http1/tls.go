package http1

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
)

// tlsKey is where the context of a handed-on connection keeps its TLS state.
type tlsKey struct{}

// showTLS lets net/http's handlers see the TLS of connections that begin here: it looks for a *tls.Conn, and those that were read from are wrapped.
// It returns the configuration of the handshakes.
func showTLS(h *http.Server) *tls.Config {
	h.TLSConfig = h.TLSConfig.Clone()
	for _, protocol := range []string{"h2", "http/1.1"} {
		if !slices.Contains(h.TLSConfig.NextProtos, protocol) {
			h.TLSConfig.NextProtos = append(h.TLSConfig.NextProtos, protocol)
		}
	}
	before := h.ConnContext
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if before != nil {
			ctx = before(ctx, c)
		}
		if r, ok := c.(*replayed); ok {
			if inside, ok := r.Conn.(*tls.Conn); ok {
				state := inside.ConnectionState()
				ctx = context.WithValue(ctx, tlsKey{}, &state)
			}
		}
		return ctx
	}
	next := h.Handler
	h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			r.TLS, _ = r.Context().Value(tlsKey{}).(*tls.ConnectionState)
		}
		next.ServeHTTP(w, r)
	})
	return h.TLSConfig.Clone()
}

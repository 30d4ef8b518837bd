package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// handshake begins TLS. It is false when there is no connection afterwards.
func (c *conn) handshake() bool {
	encrypted := tls.Server(c.raw, c.srv.tls)
	_ = c.raw.SetDeadline(time.Now().Add(c.srv.silent))
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.silent)
	defer cancel()
	if err := encrypted.HandshakeContext(ctx); err != nil {
		answerPlainHTTP(err)
		c.srv.logf("http1: TLS handshake error from %s: %v", c.shared.RemoteAddr, err)
		return false
	}
	_ = c.raw.SetDeadline(time.Time{})
	state := encrypted.ConnectionState()
	c.srv.mu.Lock() // a stop looks at net
	defer c.srv.mu.Unlock()
	c.net, c.shared.TLS = encrypted, &state
	return true
}

// answerPlainHTTP answers a client that speaks HTTP without TLS, as net/http does.
func answerPlainHTTP(err error) {
	header, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok || header.Conn == nil {
		return
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(header.Conn,
			"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
}

// tlsKey is the key of the TLS state in the context of a handed-on connection.
type tlsKey struct{}

// showTLS lets the handlers of net/http see Request.TLS: net/http looks for a *tls.Conn, and a
// handed-on connection is wrapped. showTLS returns the configuration of the handshakes.
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
			if encrypted, ok := r.Conn.(*tls.Conn); ok {
				state := encrypted.ConnectionState()
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

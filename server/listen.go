package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/http1"
)

// MaxHeaderBytes is the most that a request's header may hold, in bytes; more is 431. net/http adds
// 4 kB of its own.
const MaxHeaderBytes = 12 << 10

// NewHTTP returns an HTTP server for h with the timeouts that cut slow and idle peers. certificate
// serves TLS when it is not nil: TLS 1.2 at least.
func NewHTTP(h http.Handler, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), log *slog.Logger) *http.Server {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if certificate != nil {
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate}
	}
	return srv
}

// Front serves a listener until Shutdown, which waits for requests under way, or Close, which does not.
type Front interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// NewFront returns what serves h on the public listener: plain requests by http1, the others, and HTTP/2, by net/http.
func NewFront(h http.Handler, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), log *slog.Logger) Front {
	return http1.New(NewHTTP(h, certificate, log), http1.Config{Log: log})
}

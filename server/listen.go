package server

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
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

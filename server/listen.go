package server

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"github.com/grantor-auth/grantor/internal/http1"
)

// MaxHeaderBytes is the most that a request's header may hold, in bytes; more is 431. net/http adds
// 4 kB of its own.
const MaxHeaderBytes = 12 << 10

// NewHTTP returns an HTTP server for h with the timeouts that cut slow and idle peers. certificate
// serves TLS when it is not nil: TLS 1.2 at least.
func NewHTTP(
	h http.Handler, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), log *slog.Logger,
) *http.Server {
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

// FrontConfig says how a listener is served.
type FrontConfig struct {
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: plain HTTP
	// ClientCertificates asks clients for certificates, and takes any and none: whoever reads
	// Request.TLS judges them (RFC 8705 §2.2 has certificates that no authority made).
	ClientCertificates bool
	MaxConnections     int  // open at once; 0: no bound
	MaxHeaderBytes     int  // of a request; 0: MaxHeaderBytes, the constant
	HTTP1              bool // http1 reads plain requests
	Log                *slog.Logger
}

// Front serves a listener until Shutdown, which waits for requests under way, or Close, which does
// not.
type Front struct {
	http  *http.Server
	plain *http1.Server // nil: all is net/http's
	cfg   FrontConfig
}

// NewFront returns what serves h.
func NewFront(h http.Handler, cfg FrontConfig) *Front {
	f := &Front{http: NewHTTP(h, cfg.Certificate, cfg.Log), cfg: cfg}
	if cfg.MaxHeaderBytes > 0 {
		f.http.MaxHeaderBytes = cfg.MaxHeaderBytes
	}
	if cfg.ClientCertificates && f.http.TLSConfig != nil {
		f.http.TLSConfig.ClientAuth = tls.RequestClientCert
	}
	if cfg.HTTP1 {
		f.plain = http1.New(f.http, http1.Config{MaxConnections: cfg.MaxConnections, Log: cfg.Log})
	}
	return f
}

// Serve accepts connections until the front ends; then it returns http.ErrServerClosed.
func (f *Front) Serve(l net.Listener) error {
	if f.plain != nil {
		return f.plain.Serve(l)
	}
	if f.cfg.MaxConnections > 0 {
		l = netutil.LimitListener(l, f.cfg.MaxConnections)
	}
	if f.cfg.Certificate != nil {
		return f.http.ServeTLS(l, "", "")
	}
	return f.http.Serve(l)
}

// Shutdown stops gracefully: requests under way are answered. It returns the error of ctx if that
// takes longer.
func (f *Front) Shutdown(ctx context.Context) error {
	if f.plain != nil {
		return f.plain.Shutdown(ctx)
	}
	return f.http.Shutdown(ctx)
}

// Close ends everything at once.
func (f *Front) Close() error {
	if f.plain != nil {
		return f.plain.Close()
	}
	return f.http.Close()
}

// ReadStats counts requests by who read them; nil where net/http reads all.
func (f *Front) ReadStats() *ReadStats {
	if f.plain == nil {
		return nil
	}
	s := ReadStats(f.plain.Counts())
	return &s
}

// ReadStats are the counts of a front.
type ReadStats http1.Counts

// carry attaches load to the context of a request that http1 read, and saves the copy of the
// request that WithContext makes. It is false for every other context. A nil load detaches the
// first.
func carry(ctx context.Context, load any) bool { return http1.Carry(ctx, load) }

// carried returns what carry attached, or nil.
func carried(ctx context.Context) any { return http1.Carried(ctx) }

// isWhole says whether http1 has already read a body to its end.
func isWhole(body io.Reader) bool {
	_, ok := body.(*http1.Body)
	return ok
}

// wholeBody returns the text of a body that http1 has already read to its end.
func wholeBody(body io.Reader) (string, bool) {
	if b, ok := body.(*http1.Body); ok {
		return b.Text(), true
	}
	return "", false
}

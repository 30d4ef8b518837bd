package gate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/server"
)

// Listeners are where a gate is served.
type Listeners struct {
	Checks      net.Listener
	Metrics     net.Listener                                         // nil: none
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // of Checks; nil: plain HTTP
	Log         *slog.Logger
}

// maxHeaderBytes is the most that the header of a check may hold: proxies send all that the client
// sent, cookies too.
const maxHeaderBytes = 64 << 10

// ShutdownTimeout is how long checks under way may take at the end.
const ShutdownTimeout = 15 * time.Second

// Serve answers checks until ctx ends, and then those under way. It closes the listeners.
func (g *Gate) Serve(ctx context.Context, l Listeners) error {
	fronts := []*server.Front{server.NewFront(g, server.FrontConfig{
		Certificate: l.Certificate, HTTP1: true, MaxHeaderBytes: maxHeaderBytes, Log: l.Log})}
	ended := make(chan error, 2)
	go func() { ended <- fronts[0].Serve(l.Checks) }()
	if l.Metrics != nil {
		metrics := server.NewFront(g.cfg.Metrics.Handler(), server.FrontConfig{Log: l.Log})
		fronts = append(fronts, metrics)
		go func() { ended <- metrics.Serve(l.Metrics) }()
	}
	select {
	case err := <-ended:
		for _, f := range fronts {
			_ = f.Close()
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	case <-ctx.Done():
	}
	g.Drain()
	return shutdown(fronts)
}

func shutdown(fronts []*server.Front) (late error) {
	ctx, cancel := context.WithTimeout(context.Background(), ShutdownTimeout)
	defer cancel()
	for _, f := range fronts {
		if err := f.Shutdown(ctx); err != nil {
			late = errors.Join(fmt.Errorf("checks were still running after %s", ShutdownTimeout), f.Close())
		}
	}
	return late
}

package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/loopback"
	"github.com/grantor-auth/grantor/server"
)

// Addrs are the addresses of the open listeners.
type Addrs struct {
	Public  net.Addr
	MTLS    net.Addr // nil: [tls] mtls_listen is not set
	Admin   net.Addr // nil: [admin] listen is not set
	Metrics net.Addr // nil: [metrics] listen is not set
}

// listener is an address with what serves there.
type listener struct {
	net.Listener
	front *server.Front
}

// listeners are open until shutdown or close.
type listeners []listener

// listen opens the listeners that the configuration names: the public one first, then those of the
// operator.
func (n *Node) listen(cfg *config.Config) (list listeners, at Addrs, err error) {
	defer func() {
		if err != nil {
			list.close()
		}
	}()
	certificate, ofMetrics := n.certificates(cfg)
	open := func(addr string, h http.Handler, how server.FrontConfig) (net.Addr, error) {
		if addr == "" {
			return nil, nil //nolint:nilnil // not wanted
		}
		opened, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, err
		}
		how.MaxConnections, how.Log = maxConnections(), n.resources.log
		list = append(list, listener{opened, server.NewFront(h, how)})
		return opened.Addr(), nil
	}
	public := server.FrontConfig{Certificate: certificate, HTTP1: cfg.Server.HTTP1, ClientCertificates: cfg.TLS.AsksForCertificates()}
	if at.Public, err = open(cfg.Listen, n.Handler(), public); err != nil {
		return list, at, err
	}
	public.ClientCertificates = true
	if at.MTLS, err = open(cfg.TLS.MTLSListen, n.Handler(), public); err != nil {
		return list, at, err
	}
	operators := server.FrontConfig{Certificate: certificate, ClientCertificates: cfg.TLS.Certificates().Read} // without HTTP1: there are streams
	if at.Admin, err = open(cfg.Admin.Listen, n.AdminHandler(), operators); err != nil {
		return list, at, err
	}
	at.Metrics, err = open(cfg.Metrics.Listen, n.MetricsHandler(), server.FrontConfig{Certificate: ofMetrics})
	return list, at, err
}

type certificateFunc = func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// certificates returns what serves TLS, and what does so at the listener of metrics; nil: plain
// HTTP.
func (n *Node) certificates(cfg *config.Config) (public, metrics certificateFunc) {
	switch {
	case cfg.TLS.Mode != "files":
		return nil, nil
	case loopback.Host(hostOf(cfg.Metrics.Listen)): // what never leaves this machine needs no TLS
		return n.current.certificate, nil
	}
	return n.current.certificate, n.current.certificate
}

// serve serves every listener. The first that ends is received.
func (l listeners) serve() <-chan error {
	ended := make(chan error, len(l))
	for _, one := range l {
		go func() { ended <- one.front.Serve(one.Listener) }()
	}
	return ended
}

// shutdown waits for the requests under way, but no longer than timeout.
func (l listeners) shutdown(timeout time.Duration) (late error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, one := range l {
		if err := one.front.Shutdown(ctx); err != nil {
			late = errors.Join(fmt.Errorf("requests were still running after %s", timeout), one.front.Close())
		}
	}
	return late
}

// close ends every listener at once.
func (l listeners) close() {
	for _, one := range l {
		_ = one.front.Close()
		_ = one.Listener.Close()
	}
}

// unboundedConnections is how many connections a listener holds where the system does not say what
// it can.
const unboundedConnections = 1 << 12

// connectionsOf takes four of five descriptors.
func connectionsOf(descriptors uint64) int {
	return int(min(max(descriptors/5*4, 64), 1<<16)) //nolint:gosec // bounded
}

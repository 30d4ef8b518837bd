package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// current serves by the configuration that is in force.
type current struct {
	now      atomic.Pointer[instance]
	draining atomic.Bool
	secrets  atomic.Pointer[secretEnds] // never nil

	mu      sync.Mutex
	earlier map[*instance]*time.Timer // that still serve the requests that they have
}

func newCurrent(first *instance) *current {
	c := &current{earlier: map[*instance]*time.Timer{}}
	c.now.Store(first)
	c.secrets.Store(&secretEnds{})
	return c
}

// ServeHTTP implements http.Handler.
func (c *current) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.now.Load().handler.ServeHTTP(w, r)
}

func (c *current) admin(w http.ResponseWriter, r *http.Request) {
	c.now.Load().server.Admin().ServeHTTP(w, r)
}

func (c *current) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if found := c.now.Load().certificate; found != nil {
		return found, nil
	}
	return nil, errors.New("no certificate")
}

// restore puts back what this node knows into a Redis that lost its data. A failure is logged and
// repeated by the tasks that follow clients and keys.
func (c *current) restore(ctx context.Context) {
	in := c.now.Load()
	_ = in.static.Refresh(ctx)
	if in.keys != nil {
		_ = in.keys.Follow(ctx)
	}
}

// drain makes readiness fail, now and in every configuration to come.
func (c *current) drain() {
	c.draining.Store(true)
	c.now.Load().server.Drain()
}

// set puts a configuration in force. The earlier one goes on for grace with the requests that it
// has.
func (c *current) set(in *instance, grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.now.Swap(in)
	if c.draining.Load() {
		in.server.Drain()
	}
	c.earlier[old] = time.AfterFunc(grace, func() { c.retire(old) })
}

// retire ends an earlier configuration.
func (c *current) retire(old *instance) {
	old.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.earlier, old)
}

// stop ends the configuration in force and those before it, while the resources that they use are
// still open.
func (c *current) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Load().stop()
	for in, timer := range c.earlier {
		timer.Stop()
		in.stop()
	}
}

package node

import (
	"context"
	"errors"
	"time"
)

// Run opens the listeners that the configuration names and serves until ctx ends. Then it drains:
// readiness falls, and requests are served for [server] shutdown_delay, so that load balancers turn
// away; then no connection is accepted, and requests under way end within shutdown_timeout.
//
// Run returns nil after a drain in which every request ended. It returns an error when a listener
// cannot be opened or fails, and when requests took longer than shutdown_timeout. Run can be called
// once; it does not close the Node.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errors.New("node: Run was called before")
	}
	list, at, err := n.listen(n.Config())
	if err != nil {
		return err
	}
	n.resources.observeReader(list[0].front)
	n.resources.listens.Store(new(at.Public.String()))
	if n.options.Listening != nil {
		n.options.Listening(at)
	}
	select {
	case err := <-list.serve():
		list.close()
		return err
	case <-ctx.Done():
	}
	n.current.drain()
	n.awaitBalancers()
	return list.shutdown(n.Config().Server.ShutdownTimeout)
}

// awaitBalancers gives load balancers the time to see that the node is not ready.
func (n *Node) awaitBalancers() {
	select {
	case <-time.After(n.Config().Server.ShutdownDelay):
	case <-n.options.Hurry:
	}
}

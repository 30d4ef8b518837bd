package node

import (
	"context"

	"github.com/grantor-auth/grantor/tokens"
)

// startTasks begins what runs from Open to Close. What belongs to one configuration is begun by its
// instance.
func (n *Node) startTasks() {
	r := n.resources
	r.background.Go("client secrets: expiry", func(ctx context.Context) { r.watchSecrets(ctx, n.current) })
	r.background.Go("configuration: what is served", r.roster.run)
	if pending, ok := r.stores.tokens.(*tokens.Pending); ok {
		r.background.Go("pending revocations", pending.Run)
	}
	if r.stores.db == nil {
		return
	}
	r.background.Go("server key", r.key.Run)
	r.background.Go("list of nodes", n.bePresent)
	r.background.Go("redis policy", (&redisWatch{resources: r, warned: r.stores.warned}).run)
	r.background.Go("scopes that no client sees", (&unseenWatch{resources: r, current: n.current}).run)
	r.background.Go("redis clock", r.stores.db.RunClock)
}

package node

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// Secrets that expire are logged so long before, and looked for so often.
const (
	expiryNotice = 14 * 24 * time.Hour
	expiryLook   = 5 * time.Minute
)

// watchSecrets warns, once for each client and run, before the last secret of a client ends, and
// keeps the count for metrics.
func (r *resources) watchSecrets(ctx context.Context, cur *current) {
	logged := map[string]bool{}
	tick := time.NewTicker(expiryLook)
	defer tick.Stop()
	for {
		n, ids := r.expiring(ctx, cur.now.Load())
		cur.expiring.Store(int64(n))
		for _, id := range ids {
			if !logged[id] {
				logged[id] = true
				r.log.Warn("a client's last secret expired or expires within 14 days", "client_id", id)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *resources) expiring(ctx context.Context, in *instance) (n int, ids []string) {
	until := r.stores.tokens.Now().Add(expiryNotice)
	for _, c := range in.cfg.Registrations() {
		if end := c.LastSecretEnds(); !end.IsZero() && end.Before(until) {
			n, ids = n+1, append(ids, c.ID)
		}
	}
	if r.stores.db == nil {
		return n, ids
	}
	more, some, err := clients.NewRedis(r.stores.db).Ending(ctx, until)
	if err != nil {
		return n, ids // a Redis that is away is logged elsewhere
	}
	return n + more, append(ids, some...)
}

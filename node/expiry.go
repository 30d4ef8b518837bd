package node

import (
	"context"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/clients"
)

// Secrets that expire are logged so long before, and looked for so often.
const (
	expiryNotice = 14 * day
	expiryLook   = 5 * time.Minute
	day          = 24 * time.Hour
)

// secretEnds is what metrics and the console tell of the clients' last secrets.
type secretEnds struct {
	within map[string]int // clients by the name of a window
	next   time.Time      // the first end to come; zero: none does
}

// window is a time within which secrets expire.
type window struct {
	name  string
	ahead time.Duration
}

// secretWindows begins with the secrets that have expired.
func secretWindows() []window {
	return []window{{"0d", 0}, {"7d", 7 * day}, {"14d", expiryNotice}, {"30d", 30 * day}}
}

// watchSecrets warns, once for each client and run, before the last secret of a client ends, and
// keeps the counts for metrics.
func (r *resources) watchSecrets(ctx context.Context, cur *current) {
	logged := map[string]bool{}
	tick := time.NewTicker(expiryLook)
	defer tick.Stop()
	for {
		ends, ids, err := r.secretEnds(ctx, cur.now.Load())
		if err == nil { // a Redis that is away is logged elsewhere, and the last counts stay
			cur.secrets.Store(ends)
		}
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

// secretEnds counts over config.toml and Redis, and names clients whose last secret ends soon. With
// an error it names those of config.toml alone.
func (r *resources) secretEnds(ctx context.Context, in *instance) (*secretEnds, []string, error) {
	now := r.stores.tokens.Now()
	found, ids := configuredEnds(in, now)
	if r.stores.db == nil {
		return found, ids, nil
	}
	registered := clients.NewRedis(r.stores.db)
	_, some, err := registered.Ending(ctx, now.Add(expiryNotice))
	if err != nil {
		return nil, ids, err
	}
	ids = append(ids, some...)
	windows := secretWindows()
	until := make([]time.Time, len(windows))
	for i, w := range windows {
		until[i] = now.Add(w.ahead)
	}
	counts, next, err := registered.SecretEnds(ctx, now, until)
	if err != nil {
		return nil, ids, err
	}
	for i, w := range windows {
		found.within[w.name] += counts[i]
	}
	if found.next.IsZero() || !next.IsZero() && next.Before(found.next) {
		found.next = next
	}
	return found, ids, nil
}

// configuredEnds counts over the clients of config.toml.
func configuredEnds(in *instance, now time.Time) (*secretEnds, []string) {
	found := &secretEnds{within: map[string]int{}}
	var ids []string
	for _, c := range in.cfg.Registrations() {
		end := c.LastSecretEnds()
		if end.IsZero() {
			continue
		}
		for _, w := range secretWindows() {
			if !end.After(now.Add(w.ahead)) {
				found.within[w.name]++
			}
		}
		if !end.After(now.Add(expiryNotice)) {
			ids = append(ids, c.ID)
		}
		if end.After(now) && (found.next.IsZero() || end.Before(found.next)) {
			found.next = end
		}
	}
	slices.Sort(ids)
	return found, ids
}

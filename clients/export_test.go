package clients

import "context"

// Tell is a turn of Housekeep.
func (l *Cached) Tell(ctx context.Context) error {
	return l.redis.storeLastUses(ctx, append(l.configured.List(), l.cache.Values()...))
}

// Used notes that every secret of a client is used now.
func (c *Client) Used() {
	for i := range c.Secrets {
		c.Secrets[i].used.minute.Store(30_000_000)
	}
}

// Keep is a turn of Housekeep.
func (s *Configured) Keep(ctx context.Context) error { return s.source.KeepClientEpochs(ctx, s.ids) }

// TellMost is how many secrets a turn of Tell tells of.
const TellMost = maxUsesStored

// ReadChanges reads the client change stream to its end, as each turn of Run does.
func (l *Cached) ReadChanges(ctx context.Context) error { return l.readChanges(ctx) }

package node

import (
	"context"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// openFeed begins to read the revocation feed: not before somebody polls it.
func (r *resources) openFeed(ctx context.Context, cfg *config.Config) (err error) {
	stream := r.stores.tokens.Feed()
	if enabled, err := stream.Enabled(ctx); err == nil && !enabled {
		r.log.Warn("the revocation feed is not enabled; it answers 503",
			"cure", "when no node of a version before the feed serves any more, run: grantor feed enable")
	}
	r.feed, err = feed.NewReader(stream, cfg.Feed.Lease, r.log)
	if err == nil {
		r.background.Go("revocation feed", r.feed.Run)
	}
	return err
}

// feedRegistry is the clients of an instance, as the revocation feed brings them forward.
type feedRegistry struct {
	static *clients.Configured
	live   *clients.Cached // nil with the memory store
}

// Changed implements feed.Registry.
func (f feedRegistry) Changed(ids []string) {
	if f.live != nil {
		f.live.Forget(ids...)
	}
}

// ChangedAll implements feed.Registry.
func (f feedRegistry) ChangedAll() {
	if f.live != nil {
		f.live.ForgetAll()
	}
}

// Refresh implements feed.Registry.
func (f feedRegistry) Refresh(ctx context.Context) error { return f.static.Refresh(ctx) }

// observeFeed adds how the revocation feed is read.
func (r *resources) observeFeed(cur *current) {
	m, stats := r.metrics, r.feed.Stats
	m.Gauge("grantor_feed_polls_held", "Polls of the revocation feed that are under way.",
		func() float64 { return float64(cur.now.Load().server.PollsHeld()) })
	m.Gauge("grantor_feed_read_age_seconds", "Time since the last read of the revocation feed that succeeded began; 0 while nobody follows.",
		func() float64 { return stats().Age.Seconds() })
	m.Gauge("grantor_feed_up", "1: verifiers that follow the revocation feed are answered, or none follows; 0: Redis cannot be read, or the feed is not enabled.",
		func() float64 { return truth(!stats().Failing) })
	m.Gauge("grantor_feed_entries", "Ends of the revocation feed that this node keeps in memory.",
		func() float64 { return float64(stats().Entries) })
	m.Counter("grantor_feed_reads_total", "Reads of the end of the revocation feed.",
		func() float64 { return float64(stats().Reads) })
	m.Counter("grantor_feed_cold_reads_total", "Reads of older pages of the revocation feed, for verifiers that start.",
		func() float64 { return float64(stats().OlderReads) })
}

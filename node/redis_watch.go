package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/internal/growth"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// redisWatch looks at the configuration of Redis while Grantor serves: an operator changes it, or a
// failover leads to a server with another.
type redisWatch struct {
	resources *resources
	evicts    bool
	logged    time.Time // when an eviction policy was logged last
	warned    []string
	sampled   time.Time // when the memory in use was kept last
}

const (
	redisWatchEvery = 15 * time.Second
	redisLogAgain   = time.Hour
	redisSample     = 10 * time.Minute // an hour has one sample of all nodes
)

// run looks until ctx ends.
func (w *redisWatch) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(redisWatchEvery*3/4 + rand.N(redisWatchEvery/4)): // #nosec G404 -- nodes do not look together
		}
		if report, err := w.resources.stores.db.Health(ctx); err == nil { // a Redis that is away is logged elsewhere
			w.look(report)
			w.sample(ctx, report)
		}
	}
}

// sample keeps the memory in use, by which "grantor doctor" says when the memory is full.
func (w *redisWatch) sample(ctx context.Context, report redisdb.Report) {
	if time.Since(w.sampled) >= redisSample && growth.Note(ctx, w.resources.stores.db, report.Used) == nil {
		w.sampled = time.Now()
	}
}

// look logs what has changed. A Redis that may evict is an alarm, and no reason to refuse requests:
// that would end the service for all.
func (w *redisWatch) look(report redisdb.Report) {
	evicts := report.Evicts()
	w.resources.evicts.Store(evicts)
	log := w.resources.log
	switch {
	case evicts && (!w.evicts || time.Since(w.logged) > redisLogAgain):
		log.Error("redis may forget tokens and revocations", "maxmemory_policy", report.Policy,
			"remedy", "set maxmemory-policy to noeviction")
		w.logged = time.Now()
	case w.evicts && !evicts:
		log.Info("redis has no eviction policy any more")
	}
	w.evicts = evicts
	warnings := report.Warnings()
	for _, text := range warnings {
		if !slices.Contains(w.warned, text) && !evicts {
			log.Warn(text)
		}
	}
	w.warned = warnings
}

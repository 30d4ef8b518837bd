package cli

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// openRedis opens what [redis] names.
func openRedis(r config.Redis, log *slog.Logger) (*redisdb.DB, error) {
	db, err := redisdb.Open(redisConfig(r, log))
	if err != nil {
		return nil, usageError{err}
	}
	return db, nil
}

func redisConfig(r config.Redis, log *slog.Logger) redisdb.Config {
	return redisdb.Config{
		Mode: redisdb.Mode(r.Mode), URL: string(r.URL), Addrs: r.Addrs, Master: r.Master,
		Username: r.Username, Password: string(r.Password),
		SentinelUsername: r.SentinelUsername, SentinelPassword: string(r.SentinelPassword),
		TLS: r.TLS, CAFile: r.CAFile, CertFile: r.CertFile, KeyFile: r.KeyFile, DB: r.DB, Prefix: r.Prefix,
		Timeout: r.Timeout, WaitReplicas: r.WaitReplicas, WaitMissing: r.WaitMissing, WaitTimeout: r.WaitTimeout, Log: log,
	}
}

// startPatience is how long a start waits for Redis: the two are often started together. Until then nothing listens, and then the process
// ends: whoever started it starts it again.
const (
	startPatience = 15 * time.Second
	startPause    = 500 * time.Millisecond
)

// awaitRedis waits for Redis, refuses one that would forget revocations, and says what else is worth
// knowing. It does not wait for what waiting cannot mend, such as a wrong password.
func awaitRedis(ctx context.Context, db *redisdb.DB, log *slog.Logger) (warned []string, err error) {
	var told time.Duration
	for begun := time.Now(); ; {
		report, err := db.Health(ctx)
		switch {
		case err == nil && report.Evicts():
			return nil, fmt.Errorf("redis: maxmemory-policy is %q: Redis would forget tokens and revocations silently; set it to noeviction", report.Policy)
		case err == nil:
			for _, w := range report.Warnings() {
				log.Warn(w)
			}
			return report.Warnings(), nil
		}
		if cure, hopeless := db.SetupError(ctx, err); hopeless {
			return nil, usageError{fmt.Errorf("redis: %w; %s", err, cure)}
		}
		if time.Since(begun) > startPatience {
			return nil, fmt.Errorf("redis does not answer after %s: %w", startPatience, err)
		}
		if waited := time.Since(begun); waited >= told {
			log.Warn("waiting for redis", "waited_ms", waited.Milliseconds(), "error", err.Error())
			told = 2*waited + time.Second
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(startPause):
		}
	}
}

// redisWatch looks at what Redis says of itself while Grantor serves: somebody changes its configuration, or a failover leads to a server with
// another.
type redisWatch struct {
	base   *base
	evicts bool
	told   time.Time // when an eviction policy was told of last
	warned []string
}

const (
	redisWatchEvery = 15 * time.Second
	redisTellAgain  = time.Hour
)

// run looks until ctx ends.
func (w *redisWatch) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(redisWatchEvery*3/4 + rand.N(redisWatchEvery/4)): // #nosec G404 -- nodes do not look together
		}
		if report, err := w.base.stores.db.Health(ctx); err == nil { // one that is away is told elsewhere
			w.look(report)
		}
	}
}

// look tells of what has changed. A Redis that may evict is an alarm, and no reason to refuse: that would end the service for all.
func (w *redisWatch) look(report redisdb.Report) {
	evicts := report.Evicts()
	w.base.evicts.Store(evicts)
	log := w.base.log
	switch {
	case evicts && (!w.evicts || time.Since(w.told) > redisTellAgain):
		log.Error("redis may forget tokens and revocations: set maxmemory-policy to noeviction", "maxmemory_policy", report.Policy)
		w.told = time.Now()
	case w.evicts && !evicts:
		log.Info("redis does not evict any more")
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

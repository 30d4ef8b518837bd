package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/lockout"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

// stores keep what outlasts a request.
type stores struct {
	tokens   tokens.Store
	redis    *tokens.Redis // under tokens; nil with the memory store
	failures lockout.Counter
	db       *redisdb.DB // nil with the memory store
	warned   []string    // warnings about Redis that the start logged
	close    func()
}

func openStores(ctx context.Context, cfg *config.Config, log *slog.Logger, clock func() time.Time) (*stores, error) {
	if cfg.Store == config.StoreMemory {
		return memoryStores(clock), nil
	}
	db, err := parts.Redis(cfg.Redis, log)
	if err != nil {
		return nil, err
	}
	warned, err := awaitRedis(ctx, db, log)
	if err != nil {
		_ = db.Close() // errors of connections that were refused help nobody
		return nil, err
	}
	if _, err := db.Time(ctx); err != nil { // the clock of every lifetime
		return nil, errors.Join(err, db.Close())
	}
	store := tokens.NewRedis(db)
	return &stores{tokens: tokens.NewPending(store), redis: store, failures: lockout.NewRedis(db), db: db, warned: warned,
		close: func() { _ = db.Close() }}, nil
}

func memoryStores(clock func() time.Time) *stores {
	m, failures := tokens.NewMemory(0), lockout.NewMemory()
	m.SetClock(clock)
	failures.SetClock(clock)
	return &stores{tokens: m, failures: failures, close: func() { _ = m.Close() }}
}

// startPatience is how long a start waits for Redis: the two are often started together. Then Open
// fails, and whoever started the process starts it again.
const (
	startPatience = 15 * time.Second
	startPause    = 500 * time.Millisecond
)

// awaitRedis waits for Redis, refuses a Redis that would forget revocations, and logs warnings. It
// does not wait where waiting cannot help, such as with a wrong password.
func awaitRedis(ctx context.Context, db *redisdb.DB, log *slog.Logger) (warned []string, err error) {
	var logged time.Duration
	for begun := time.Now(); ; {
		report, err := db.Health(ctx)
		if err == nil {
			return soundRedis(report, log)
		}
		if cure, hopeless := db.SetupError(ctx, err); hopeless {
			return nil, parts.ConfigError{Err: fmt.Errorf("redis: %w; %s", err, cure)}
		}
		waited := time.Since(begun)
		if waited > startPatience {
			return nil, fmt.Errorf("redis does not answer after %s: %w", startPatience, err)
		}
		if waited >= logged {
			log.Warn("waiting for redis", "waited_ms", waited.Milliseconds(), "error", err.Error())
			logged = 2*waited + time.Second
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(startPause):
		}
	}
}

func soundRedis(report redisdb.Report, log *slog.Logger) (warned []string, err error) {
	if report.Evicts() {
		return nil, fmt.Errorf("redis: maxmemory-policy is %q: Redis would forget tokens and revocations silently; set it to noeviction", report.Policy)
	}
	for _, w := range report.Warnings() {
		log.Warn(w)
	}
	return report.Warnings(), nil
}

package doctor

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/parts"
	"github.com/grantor-auth/grantor/internal/presence"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
)

// subject is what the checks look at. What several of them need is asked once, by whoever needs it
// first.
type subject struct {
	cfg      *config.Config
	warnings []string
	problems config.Errors
	options  Options

	redis    func() (*redis, error)
	registry func() (*registry, error)
	keys     func() ([]keys.Info, error) // nil without keys
	nodes    func() ([]presence.Node, error)
	metadata func() (*answer, error)
	client   func() (*http.Client, error) // trusts Options.CAFile

	mu sync.Mutex
	db *redisdb.DB // to be closed
}

// errRedis is what all checks of Redis say but the one that tells why.
var errRedis = errors.New("Redis does not answer; see redis.reachable")

func newSubject(ctx context.Context, cfg *config.Config, warnings []string, problems config.Errors, o Options) *subject {
	s := &subject{cfg: cfg, warnings: warnings, problems: problems, options: o}
	s.redis = sync.OnceValues(func() (*redis, error) { return s.openRedis(ctx) })
	s.registry = sync.OnceValues(func() (*registry, error) { return s.readRegistry(ctx) })
	s.keys = sync.OnceValues(func() ([]keys.Info, error) { return s.readKeys(ctx) })
	s.nodes = sync.OnceValues(func() ([]presence.Node, error) {
		r, err := s.redis()
		if err != nil {
			return nil, errRedis
		}
		return presence.List(ctx, r.db)
	})
	s.client = sync.OnceValues(func() (*http.Client, error) { return parts.HTTPClient(o.CAFile, o.Timeout/4) })
	s.metadata = sync.OnceValues(func() (*answer, error) { return s.readMetadata(ctx) })
	return s
}

// redis is a Redis that answered.
type redis struct {
	db      *redisdb.DB
	servers []redisdb.Server
}

// openRedis opens Redis and asks it what it is. The error says what would mend it.
func (s *subject) openRedis(ctx context.Context) (*redis, error) {
	db, err := parts.Redis(s.cfg.Redis, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.db = db
	s.mu.Unlock()
	servers, err := db.Inspect(ctx)
	if err != nil {
		cure, hopeless := db.SetupError(ctx, err)
		if !hopeless {
			cure = "start Redis, or correct [redis] where it names another"
		}
		return nil, setupError{err, cure}
	}
	return &redis{db, servers}, nil
}

// setupError is why Redis does not answer, and what mends it.
type setupError struct {
	error
	cure string
}

func (e setupError) Unwrap() error { return e.error }

func (s *subject) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		db := s.db
		go func() { _ = db.Close() }() // it waits for commands of checks that were left behind
	}
}

// servers returns the findings of a look at each server of Redis.
func (s *subject) servers(look func(redisdb.Server) []Finding, sound string) []Finding {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	var found []Finding
	for _, one := range r.servers {
		found = append(found, look(one)...)
	}
	return orOK(found, sound)
}

func onRedis(cfg *config.Config) bool { return cfg.Store == config.StoreRedis }

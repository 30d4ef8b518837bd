// Package redisdb opens Redis (one server, Sentinel or Cluster) and is the only package that knows
// go-redis v8. Stores see a DB with a few commands:
//
//	db, err := redisdb.Open(redisdb.Config{URL: "redis://127.0.0.1:6379", Prefix: "grantor:"})
//	err = db.Set(ctx, key, value, ttl)               // every key has a lifetime
//	value, err := db.Get(ctx, key)                   // ErrNil: none; other errors: not known
//	result, err := db.EvalDurable(ctx, script, keys) // ErrNotDurable: too few replicas have it
//
// Every command here must be idempotent, except those of Once: a command whose answer was lost is
// sent again, and it is not known whether the first one was executed.
//
// Contexts lose their deadline and cancellation. With a context that can be cancelled, v8 starts
// a goroutine for each command and closes the connection while the command may still run.
// Config.Timeout bounds the time instead, and breaker stops asking a Redis that does not answer.
//
// Commands that many goroutines send at one moment share a pipeline: see pipeline.
package redisdb

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis/v8"
)

// Mode is how Redis is run.
type Mode string

// The modes.
const (
	Single   Mode = "single"
	Sentinel Mode = "sentinel"
	Cluster  Mode = "cluster"
)

// What happens to a durable write that too few replicas confirm.
const (
	Refuse  = "refuse"  // it ends in ErrNotDurable
	Degrade = "degrade" // it succeeds, and DBStats.Unconfirmed counts it
)

// Config is [redis] of config.toml.
type Config struct {
	Mode             Mode     // "": Single
	URL              string   // Single: redis://host:port/db, rediss://… or unix:///path
	Addrs            []string // Sentinel, Cluster: host:port of some
	Master           string   // Sentinel: the primary's name
	Username         string   // "": the default user
	Password         string
	SentinelUsername string
	SentinelPassword string
	TLS              bool
	CAFile           string // PEM; "": the system's
	CertFile         string // PEM, with KeyFile: shown to a Redis that asks for it, read anew for each connection
	KeyFile          string
	DB               int           // not in a Cluster
	Prefix           string        // before every key; no braces
	Timeout          time.Duration // of one attempt of a command, of which there are at most two; 0: 500 ms
	WaitReplicas     int           // how many replicas must have a durable write, where there ever were any; 0: none
	WaitMissing      string        // Refuse or Degrade: what a durable write is that fewer confirm; "": Refuse
	WaitTimeout      time.Duration // how long to wait for them; 0: 100 ms
	NoCoalescing     bool          // every command alone: for comparison
	Log              *slog.Logger  // gets an event when Redis stops and begins to answer; nil: none
}

// DB is an open Redis. It may be used by any number of goroutines.
type DB struct {
	cfg       Config
	single    *primary             // nil in a Cluster
	cluster   *redis.ClusterClient // nil elsewhere
	primaries primaries            // of a Cluster
	dialed    atomic.Value         // string: with Sentinel, the server that was last connected to
	pulse     provenConn           // for Beat
	proven    provenConn           // for EvalProven
	waiters   waiters              // for AwaitEntry
	drain     drain
	clock     clock

	unconfirmed atomic.Uint64
}

// Open prepares the connections; Redis is first asked by the first command. It returns an error
// when cfg cannot work.
func Open(cfg Config) (*DB, error) {
	quieten()
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	d := &DB{cfg: cfg}
	d.drain.init()
	switch cfg.Mode {
	case Cluster:
		d.openCluster(tlsConfig)
		return d, nil
	case Sentinel:
		d.single = d.newNode(noteDialed(redis.NewFailoverClient(cfg.sentinelOptions(tlsConfig)), &d.dialed))
	default:
		o, err := cfg.singleOptions(tlsConfig)
		if err != nil {
			return nil, err
		}
		d.single = d.newNode(redis.NewClient(o))
	}
	d.openProven(&d.pulse, tlsConfig, 1, noRetries)
	d.openProven(&d.proven, tlsConfig, untiring, retries)
	return d, nil
}

// Check returns why Open would refuse c; it opens nothing. The error begins with "redis: " and,
// where one key is wrong, its name.
func (c Config) Check() error {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return err
	}
	tlsConfig, err := c.tls()
	if err == nil && c.Mode == Single {
		_, err = c.singleOptions(tlsConfig)
	}
	return err
}

// Close refuses new commands, waits for those under way, which their timeouts bound, and closes
// all connections.
func (d *DB) Close() error {
	if !d.drain.close() {
		return nil
	}
	waiters := d.waiters.close()
	if d.cluster != nil {
		d.primaries.stop()
		return errors.Join(waiters, d.cluster.Close())
	}
	d.single.breaker.stop()
	d.single.breaker.wait()
	return errors.Join(waiters, d.proven.client.Close(), d.pulse.client.Close(), d.single.client.Close())
}

// Key puts the deployment's prefix before a key.
func (d *DB) Key(key string) string { return d.cfg.Prefix + key }

func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = Single
	}
	if c.Timeout == 0 {
		c.Timeout = 500 * time.Millisecond
	}
	if c.WaitTimeout == 0 {
		c.WaitTimeout = 100 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Mode != Single && c.Mode != Sentinel && c.Mode != Cluster:
		return errors.New(`redis: mode must be "single", "sentinel" or "cluster"`)
	case c.Mode != Single && len(c.Addrs) == 0:
		return errors.New("redis: addrs must name some host:port")
	case c.Mode == Sentinel && c.Master == "":
		return errors.New("redis: master must be the name under which the Sentinels know the primary")
	case strings.ContainsAny(c.Prefix, "{}"):
		return errors.New("redis: prefix must not hold braces: they would decide where a Cluster puts a key")
	case c.Mode == Cluster && c.DB != 0:
		return errors.New("redis: a Cluster has no db but 0")
	case c.WaitMissing != "" && c.WaitMissing != Refuse && c.WaitMissing != Degrade:
		return errors.New(`redis: wait_missing must be "refuse" or "degrade"`)
	case c.Timeout < 0 || c.WaitTimeout < 0 || c.WaitReplicas < 0:
		return errors.New("redis: timeout, wait_timeout and wait_replicas must not be negative")
	case c.Username != "" && c.Password == "" && c.Mode != Single, // v8 then sends no AUTH at all
		c.SentinelUsername != "" && c.SentinelPassword == "":
		return errors.New("redis: a username needs a password")
	}
	return nil
}

// endless removes deadline and cancellation of a context; see the package comment.
func endless(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

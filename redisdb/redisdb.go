// Package redisdb opens Redis, one server, Sentinel or Cluster, and is the only room that
// knows the quirks of go-redis v8. Stores see a DB with a few commands.
//
// go-redis repeats a command whose answer it did not get, so every command here must be
// idempotent, except those of Once. Contexts are stripped of their cancellation: v8 spends a
// goroutine a command on a context that can be cancelled, and closes the connection
// while the command may still run. Time is bounded by Config.Timeout.
package redisdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
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

// Config is [redis] of config.toml.
type Config struct {
	Mode             Mode     // "": Single
	URL              string   // Single: redis://, rediss:// or unix://
	Addrs            []string // Sentinel, Cluster: host:port
	Master           string   // Sentinel: the primary's name
	Username         string
	Password         string
	SentinelUsername string
	SentinelPassword string
	TLS              bool
	CAFile           string // PEM; "": the system's
	DB               int
	Prefix           string        // before every key
	Timeout          time.Duration // of one command; 0: 500 ms
	WaitReplicas     int           // how many replicas must have a write of EvalDurable, where there are any; 0: none
	WaitTimeout      time.Duration // how long to wait for them; 0: 100 ms
}

// DB is an open Redis. It may be used by any number of goroutines.
type DB struct {
	cfg  Config
	db   redis.UniversalClient // repeats a command once whose answer was lost
	once redis.UniversalClient // never repeats: for counters

	replicas replicas
}

// Open prepares the connection; Redis is first asked by the first command. It returns an
// error when cfg cannot work.
func Open(cfg Config) (*DB, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 500 * time.Millisecond
	}
	if cfg.WaitTimeout == 0 {
		cfg.WaitTimeout = 100 * time.Millisecond
	}
	db, err := cfg.client(1)
	if err != nil {
		return nil, err
	}
	once, err := cfg.client(-1)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &DB{cfg: cfg, db: db, once: once}, nil
}

// Close closes all connections.
func (d *DB) Close() error { return errors.Join(d.db.Close(), d.once.Close()) }

// Key puts the deployment's prefix before a key.
func (d *DB) Key(key string) string { return d.cfg.Prefix + key }

// client opens one pool. retries is v8's MaxRetries: -1 is never.
func (c Config) client(retries int) (redis.UniversalClient, error) {
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	switch c.Mode {
	case "", Single:
		return c.single(retries, tlsConfig)
	case Sentinel:
		return redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: c.Master, SentinelAddrs: c.Addrs,
			SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
			Username: c.Username, Password: c.Password, DB: c.DB, TLSConfig: tlsConfig,
			MaxRetries: retries, MinRetryBackoff: minBackoff, MaxRetryBackoff: maxBackoff,
			DialTimeout: dialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
			PoolSize: poolSize, MinIdleConns: minIdle, PoolTimeout: poolTimeout,
		}), nil
	case Cluster:
		return c.cluster(retries, tlsConfig), nil
	}
	return nil, fmt.Errorf(`redis: mode must be "single", "sentinel" or "cluster"`)
}

// Pool and retry settings: v8's own let requests hang for four seconds under overload.
const (
	poolSize    = 64
	minIdle     = 4
	poolTimeout = 250 * time.Millisecond
	dialTimeout = time.Second
	minBackoff  = 5 * time.Millisecond
	maxBackoff  = 50 * time.Millisecond
)

func (c Config) single(retries int, tlsConfig *tls.Config) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil { // the URL may hold a password: it is not repeated
		return nil, errors.New(`redis: url must be "redis://host:port/db", "rediss://…" or "unix:///path"`)
	}
	if c.Username != "" {
		o.Username = c.Username
	}
	if c.Password != "" {
		o.Password = c.Password
	}
	if c.DB != 0 {
		o.DB = c.DB
	}
	if tlsConfig != nil {
		if o.TLSConfig != nil {
			tlsConfig.ServerName = o.TLSConfig.ServerName
		}
		o.TLSConfig = tlsConfig
	}
	o.MaxRetries, o.MinRetryBackoff, o.MaxRetryBackoff = retries, minBackoff, maxBackoff
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, c.Timeout, c.Timeout
	o.PoolSize, o.MinIdleConns, o.PoolTimeout = poolSize, minIdle, poolTimeout
	return redis.NewClient(o), nil
}

func (c Config) tls() (*tls.Config, error) {
	if !c.TLS && c.CAFile == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("redis: ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("redis: ca_file holds no PEM certificate")
	}
	return t, nil
}

// endless strips a context of its end; see the package comment.
func endless(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

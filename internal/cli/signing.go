package cli

import (
	"context"
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
)

// longestToken is the longest life that an access token can have anywhere: a key that signs no more is published for so long.
const longestToken = 24 * time.Hour

// keyConfig says how signing keys live; nil without [keys] encryption_key on Redis: then there are no JWTs.
func keyConfig(cfg *config.Config, db *redisdb.DB) (*keys.Config, error) {
	k := &keys.Config{RotateEvery: cfg.Keys.RotateEvery, MaxTokenLife: longestToken}
	for _, alg := range cfg.SigningAlgorithms() {
		k.Algorithms = append(k.Algorithms, keys.Algorithm(alg))
	}
	if db == nil {
		k.Store = keys.NewMemory()
		return k, nil
	}
	wrap, err := wrapOf(cfg)
	if err != nil {
		return nil, usageError{err}
	}
	if wrap == nil {
		return nil, nil //nolint:nilnil // none are wanted
	}
	k.Store = keys.NewRedis(db, wrap)
	return k, nil
}

// wrapOf returns what encrypts the keys in Redis; nil without [keys] encryption_key.
func wrapOf(cfg *config.Config) (*keys.Wrap, error) {
	if cfg.Keys.EncryptionKey == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	var previous []string
	for _, p := range cfg.Keys.Previous {
		previous = append(previous, string(p))
	}
	return keys.NewWrap(string(cfg.Keys.EncryptionKey), previous...)
}

// openKeys opens the signing keys, makes the first ones where there are none, and follows them until the base closes.
func (b *base) openKeys(ctx context.Context, cfg *config.Config) error {
	k, err := keyConfig(cfg, b.stores.db)
	if err != nil || k == nil {
		return err
	}
	k.Log, k.Rotated = b.log, b.tellRotated
	if b.keys, err = keys.Open(ctx, *k); err != nil {
		return err
	}
	b.algs = cfg.SigningAlgorithms()
	b.background.Go("signing keys", b.keys.Run)
	return nil
}

// tellRotated writes a rotation into the trail, whoever asked for it: a command has no trail of its own.
func (b *base) tellRotated(r keys.Rotation) {
	e := audit.Event{Event: audit.KeysRotated, Actor: "operator", Detail: string(r.Algorithm) + " key " + r.KeyID + " signs from " + r.From.UTC().Format(time.RFC3339)}
	if r.Scheduled {
		e.Actor = "server"
	}
	b.trail.Record(context.Background(), e)
}

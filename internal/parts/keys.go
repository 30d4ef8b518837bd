package parts

import (
	"time"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/keys"
)

// maxTokenTTL is the longest lifetime of any access token: a key that signs no more is published
// for so long.
const maxTokenTTL = 24 * time.Hour

// Keys says how signing keys are kept, in this process where db is nil. It returns nil without
// [keys] encryption_key on Redis: then there are no JWTs.
func Keys(cfg *config.Config, db *redisdb.DB) (*keys.Config, error) {
	k := &keys.Config{RotateEvery: cfg.Keys.RotateEvery, MaxTokenTTL: maxTokenTTL}
	for _, alg := range cfg.SigningAlgorithms() {
		k.Algorithms = append(k.Algorithms, keys.Algorithm(alg))
	}
	if db == nil {
		k.Store = keys.NewMemory()
		return k, nil
	}
	wrap, err := keyWrap(cfg)
	if err != nil {
		return nil, ConfigError{err}
	}
	if wrap == nil {
		return nil, nil //nolint:nilnil // none are wanted
	}
	k.Store = keys.NewRedis(db, wrap)
	return k, nil
}

// keyWrap returns what encrypts the keys in Redis; nil without [keys] encryption_key.
func keyWrap(cfg *config.Config) (*keys.Wrap, error) {
	if cfg.Keys.EncryptionKey == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	var previous []string
	for _, p := range cfg.Keys.Previous {
		previous = append(previous, string(p))
	}
	return keys.NewWrap(string(cfg.Keys.EncryptionKey), previous...)
}

package redisdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/redis/v8"
)

// Errors of commands. Every error but ErrNil means that Redis could not answer.
var (
	// ErrNil: there is no such key.
	ErrNil = errors.New("redis: no such key")
	// ErrUnavailable is wrapped by every other error.
	ErrUnavailable = errors.New("redis does not answer")
	// ErrNotDurable: written, but fewer replicas confirmed it than were asked for. It wraps ErrUnavailable.
	ErrNotDurable = fmt.Errorf("%w: too few replicas confirmed the write", ErrUnavailable)
)

func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return ErrNil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Set writes a key for ttl.
func (d *DB) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	return wrap(d.db.Set(endless(ctx), d.Key(key), value, ttl).Err())
}

// Get reads a key, or ErrNil.
func (d *DB) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := d.db.Get(endless(ctx), d.Key(key)).Bytes()
	return v, wrap(err)
}

// MGet reads keys of one slot; a missing one is nil.
func (d *DB) MGet(ctx context.Context, keys ...string) ([][]byte, error) {
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = d.Key(k)
	}
	values, err := d.db.MGet(endless(ctx), full...).Result()
	if err != nil {
		return nil, wrap(err)
	}
	out := make([][]byte, len(values))
	for i, v := range values {
		if text, ok := v.(string); ok {
			out[i] = []byte(text)
		}
	}
	return out, nil
}

// Ping asks Redis for a sign of life.
func (d *DB) Ping(ctx context.Context) error { return wrap(d.db.Ping(endless(ctx)).Err()) }

// Script is a Lua script that Redis knows by its hash.
type Script struct{ script *redis.Script }

// NewScript prepares a script. It must be idempotent unless it is run by Once.
func NewScript(source string) *Script { return &Script{redis.NewScript(source)} }

// Eval runs a script on keys of one slot: one round trip, and another when Redis does not know it
// yet.
func (d *DB) Eval(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	return d.run(ctx, d.db, s, keys, args)
}

// Once is Eval without any repetition by the network layer, for counters. An error leaves
// unknown whether it was counted.
func (d *DB) Once(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	return d.run(ctx, d.once, s, keys, args)
}

func (d *DB) run(ctx context.Context, db redis.UniversalClient, s *Script, keys []string, args []any) (any, error) {
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = d.Key(k)
	}
	v, err := s.script.Run(endless(ctx), db, full, args...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return v, wrap(err)
}

// EvalDurable is Eval whose effect Config.WaitReplicas replicas confirm, where the primary has any:
// the wait travels behind the script on the same connection. Too few is ErrNotDurable, and the
// result is still returned: the write stands on the primary.
func (d *DB) EvalDurable(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	single, ok := d.db.(*redis.Client)
	if d.cfg.WaitReplicas <= 0 || !ok || !d.hasReplicas() {
		return d.Eval(ctx, s, keys, args...)
	}
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = d.Key(k)
	}
	for attempt := range 2 {
		var eval *redis.Cmd
		var wait *redis.IntCmd
		_, err := single.Pipelined(endless(ctx), func(p redis.Pipeliner) error {
			if attempt == 0 {
				eval = s.script.EvalSha(ctx, p, full, args...)
			} else {
				eval = s.script.Eval(ctx, p, full, args...)
			}
			wait = redis.NewIntCmd(ctx, "wait", d.cfg.WaitReplicas, d.cfg.WaitTimeout.Milliseconds())
			return p.Process(ctx, wait)
		})
		if isNoScript(eval.Err()) {
			continue
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, wrap(err)
		}
		if wait.Val() < int64(d.cfg.WaitReplicas) {
			return eval.Val(), ErrNotDurable
		}
		return eval.Val(), nil
	}
	return nil, fmt.Errorf("%w: the script is not accepted", ErrUnavailable)
}

func isNoScript(err error) bool {
	return err != nil && len(err.Error()) >= 8 && err.Error()[:8] == "NOSCRIPT"
}

// SetNXGet writes value unless the key exists, and returns what is there then. Either way
// the key's life is ttl from now.
func (d *DB) SetNXGet(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	v, err := d.Eval(ctx, setNXGet, []string{key}, value, ttl.Milliseconds())
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%w: unexpected answer", ErrUnavailable)
	}
	return []byte(text), nil
}

var setNXGet = NewScript(`
redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('GET', KEYS[1])`)

// Each runs f for keys in one pipeline of GETs and hands f what was found; a missing key
// is nil.
func (d *DB) Each(ctx context.Context, keys []string, f func(i int, value []byte)) error {
	cmds := make([]*redis.StringCmd, len(keys))
	_, err := d.db.Pipelined(endless(ctx), func(p redis.Pipeliner) error {
		for i, k := range keys {
			cmds[i] = p.Get(ctx, d.Key(k))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return wrap(err)
	}
	for i, c := range cmds {
		v, err := c.Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return wrap(err)
		}
		f(i, v)
	}
	return nil
}

package redisdb

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redis/redis/v8"
)

// batchSize keeps a pipeline well within Config.Timeout.
const batchSize = 500

// PartialError: Redis answered for some keys of a batch and not for others, for instance because
// one server of a Cluster is down. The answers that arrived are good. It wraps ErrUnavailable or
// ErrRefused.
type PartialError struct {
	Answered []bool // by the keys that were asked for
	Err      error  // of the first that was not answered
}

func (e *PartialError) Error() string { return "for some keys: " + e.Err.Error() }

// Unwrap returns the first error.
func (e *PartialError) Unwrap() error { return e.Err }

// Entry is a key with its value.
type Entry struct {
	Key   string
	Value []byte
}

// Each reads any number of keys, of any slots, in pipelines of GETs, and calls f for each; a
// missing key is nil. A *PartialError says for which keys f was not called.
func (d *DB) Each(ctx context.Context, keys []string, f func(i int, value []byte)) error {
	return d.batch(ctx, len(keys), func(p redis.Pipeliner, i int) redis.Cmder { return p.Get(ctx, d.Key(keys[i])) }, func(i int, cmd redis.Cmder) error {
		value, err := cmd.(*redis.StringCmd).Bytes()
		if err == redis.Nil { //nolint:errorlint // v8 never wraps it
			value, err = nil, nil
		}
		if err == nil {
			f(i, value)
		}
		return err
	})
}

// SetEach writes any number of keys, of any slots, in pipelines of SETs.
func (d *DB) SetEach(ctx context.Context, list []Entry, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return errLifetime
	}
	return d.batch(ctx, len(list), func(p redis.Pipeliner, i int) redis.Cmder {
		return p.Do(ctx, "set", d.Key(list[i].Key), list[i].Value, "px", ttl.Milliseconds())
	}, func(_ int, cmd redis.Cmder) error { return cmd.Err() })
}

// FillEach writes the keys that are missing, in pipelines of SET NX and GET, and calls f with the
// value that each key holds afterwards.
func (d *DB) FillEach(ctx context.Context, list []Entry, ttl time.Duration, f func(i int, value []byte)) error {
	if ttl < time.Millisecond {
		return errLifetime
	}
	return d.batch(ctx, len(list), func(p redis.Pipeliner, i int) redis.Cmder {
		key := d.Key(list[i].Key)
		p.Do(ctx, "set", key, list[i].Value, "nx", "px", ttl.Milliseconds())
		return p.Get(ctx, key) // behind a SET that failed there may be nothing: an error then, and never a "no"
	}, func(i int, cmd redis.Cmder) error {
		value, err := cmd.(*redis.StringCmd).Bytes()
		if err == redis.Nil { //nolint:errorlint // as above
			err = fmt.Errorf("%w: a key was not written", ErrUnavailable)
		}
		if err == nil {
			f(i, value)
		}
		return err
	})
}

// ExpireEach restarts the lifetime of keys, in pipelines. A missing key stays missing.
func (d *DB) ExpireEach(ctx context.Context, keys []string, ttl time.Duration) error {
	if ttl < time.Millisecond {
		return errLifetime
	}
	return d.batch(ctx, len(keys), func(p redis.Pipeliner, i int) redis.Cmder { return p.PExpire(ctx, d.Key(keys[i]), ttl) },
		func(_ int, cmd redis.Cmder) error { return cmd.Err() })
}

// batch sends n commands in pipelines: queue adds one and returns the command whose answer counts,
// done looks at that answer. It stops after a pipeline without any answer.
func (d *DB) batch(ctx context.Context, n int, queue func(redis.Pipeliner, int) redis.Cmder, done func(int, redis.Cmder) error) error {
	if err := d.drain.enter(); err != nil {
		return err
	}
	defer d.drain.leave()
	ctx = endless(ctx)
	result := PartialError{Answered: make([]bool, n)}
	for begin, some := 0, true; begin < n && some; begin += batchSize {
		some = false
		cmds := make([]redis.Cmder, 0, min(n-begin, batchSize))
		_, _ = d.anywhere().Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			for i := begin; i < begin+cap(cmds); i++ {
				cmds = append(cmds, queue(p, i))
			}
			return nil
		})
		for i, cmd := range cmds {
			err := done(begin+i, cmd)
			result.Answered[begin+i] = err == nil
			some = some || err == nil
			if err != nil && result.Err == nil {
				result.Err = wrap(err)
			}
		}
	}
	if result.Err == nil {
		return nil
	}
	return &result
}

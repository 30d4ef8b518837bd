package redisdb

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-redis/redis/v8"
)

// Script is a Lua script that Redis knows by its hash.
type Script struct{ source, hash string }

// NewScript prepares a script. It must be idempotent unless it is run by Once.
func NewScript(source string) *Script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // as above
	return &Script{source, hex.EncodeToString(sum[:])}
}

// Eval runs a script on keys of one slot: one round trip, and a second one if Redis does not know
// the script yet. Arguments are strings, []byte, integers, float64 or bool. The result is nil, an
// int64, a string or a []any of these.
func (d *DB) Eval(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	call, err := d.scriptCall(s, keys, args)
	if err != nil {
		return nil, err
	}
	cmd, err := d.tryHash(call, func(cmd *redis.Cmd) error { return d.do(ctx, call.key(), cmd) })
	return result(cmd, err)
}

// Once is Eval without any retry, for counters: a repeated INCR would count twice. After an error
// it is not known whether it was counted.
func (d *DB) Once(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	call, err := d.scriptCall(s, keys, args)
	if err != nil {
		return nil, err
	}
	if err := d.drain.enter(); err != nil {
		return nil, err
	}
	defer d.drain.leave()
	ctx = endless(ctx)
	cmd, err := d.tryHash(call, func(cmd *redis.Cmd) error {
		return d.onNode(ctx, call.key(), func(n *primary, asking bool) error {
			if !asking {
				return n.once.Process(ctx, cmd)
			}
			_, err := n.once.Pipelined(ctx, func(p redis.Pipeliner) error {
				_ = p.Process(ctx, redis.NewCmd(ctx, "asking"))
				return p.Process(ctx, cmd)
			})
			return err
		})
	})
	return result(cmd, err)
}

// scriptCall is a script with its keys and arguments.
type scriptCall struct {
	script *Script
	args   []any // "evalsha", hash, number of keys, keys, arguments
	first  string
}

// scriptCall checks the types of arguments: v8 breaks the connection, with all commands on it, when
// it cannot encode one.
func (d *DB) scriptCall(s *Script, keys []string, args []any) (*scriptCall, error) {
	for i, a := range args {
		switch a.(type) {
		case string, []byte, int, int32, int64, uint32, uint64, float64, bool:
		default:
			return nil, fmt.Errorf("redisdb: argument %d of a script is a %T", i+1, a)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("redisdb: a script needs a key")
	}
	c := &scriptCall{script: s, args: make([]any, 0, 3+len(keys)+len(args))}
	c.args = append(c.args, "evalsha", s.hash, len(keys))
	all := d.cfg.Prefix + strings.Join(keys, d.cfg.Prefix) // one string for all names
	for i, k := range keys {
		full := all[:len(d.cfg.Prefix)+len(k)]
		all = all[len(full):]
		c.args = append(c.args, full)
		if i == 0 {
			c.first = full
		}
	}
	c.args = append(c.args, args...)
	return c, nil
}

func (c *scriptCall) key() string { return c.first }

// whole is the same call with the script's text instead of its hash.
func (c *scriptCall) whole() []any {
	args := append([]any(nil), c.args...)
	args[0], args[1] = "eval", c.script.source
	return args
}

// tryHash runs a call by the script's hash, and by its text where Redis does not know it.
func (d *DB) tryHash(c *scriptCall, run func(*redis.Cmd) error) (*redis.Cmd, error) {
	ctx := context.Background()
	cmd := redis.NewCmd(ctx, c.args...)
	err := run(cmd)
	if isReply(err, "NOSCRIPT") {
		cmd = redis.NewCmd(ctx, c.whole()...)
		err = run(cmd)
	}
	return cmd, err
}

// result is the answer of a script: nil for Lua's false and nil.
func result(cmd *redis.Cmd, err error) (any, error) {
	if err := wrap(err); err != nil && !errors.Is(err, ErrNil) {
		return nil, err
	}
	return cmd.Val(), nil
}

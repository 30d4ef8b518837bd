package redisdb

import (
	"context"
	"fmt"
	"time"

	"github.com/go-redis/redis/v8"
)

// EvalDurable is Eval whose effect Config.WaitReplicas replicas confirm, where the primary has any: WAIT
// travels behind the script on the same connection. Too few is ErrNotDurable, and the result
// is still returned: the write stands on the primary, and may be lost with it.
func (d *DB) EvalDurable(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	if d.cfg.WaitReplicas == 0 {
		return d.Eval(ctx, s, keys, args...)
	}
	call, err := d.call(s, keys, args)
	if err != nil {
		return nil, err
	}
	if err := d.gate.enter(); err != nil {
		return nil, err
	}
	defer d.gate.leave()
	ctx = endless(ctx)
	var confirmed error
	cmd, err := d.tryHash(call, func(cmd *redis.Cmd) error {
		return d.onNode(ctx, call.key(), func(n *node, asking bool) error {
			var err error
			confirmed, err = d.confirm(ctx, n, call.key(), cmd, asking)
			return err
		})
	})
	value, err := result(cmd, err)
	if err != nil {
		return nil, err
	}
	return value, confirmed
}

// DelDurable is Del that Config.WaitReplicas replicas confirm; see EvalDurable.
func (d *DB) DelDurable(ctx context.Context, keys ...string) (int64, error) {
	n, err := d.EvalDurable(ctx, del, keys)
	count, _ := n.(int64)
	return count, err
}

var del = NewScript(`return redis.call('DEL', unpack(KEYS))`)

// confirm runs a command on a server and waits for its replicas. It returns what they made of
// it, nil or ErrNotDurable, and the command's own error.
func (d *DB) confirm(ctx context.Context, n *node, key string, cmd redis.Cmder, asking bool) (confirmed, err error) {
	expected, err := n.copies.expected(func() (replication, error) { return lookAtReplication(ctx, n) })
	if err != nil {
		return nil, err
	}
	if !expected {
		return nil, d.plainly(ctx, n, cmd, asking)
	}
	wait := redis.NewIntCmd(ctx, "wait", d.cfg.WaitReplicas, d.cfg.WaitTimeout.Milliseconds())
	_, err = n.waiting.Pipelined(ctx, func(p redis.Pipeliner) error {
		queue := func(c redis.Cmder) {
			if asking {
				_ = p.Process(ctx, redis.NewCmd(ctx, "asking"))
			}
			_ = p.Process(ctx, c)
		}
		queue(cmd)
		queue(redis.NewStatusCmd(ctx, "set", d.marker(n, key, asking), 1, "px", markerLife.Milliseconds()))
		return p.Process(ctx, wait)
	})
	if err := cmd.Err(); err != nil && err != redis.Nil { //nolint:errorlint // v8 never wraps it
		return nil, err
	}
	switch {
	case wait.Err() != nil && !answered(wait.Err()):
		return nil, err
	case wait.Err() != nil:
		confirmed = fmt.Errorf("%w: WAIT: %w", ErrNotDurable, wrap(wait.Err()))
	case wait.Val() < int64(d.cfg.WaitReplicas):
		confirmed = ErrNotDurable
	}
	return confirmed, cmd.Err()
}

// plainly runs a command on a server that has no replicas.
func (d *DB) plainly(ctx context.Context, n *node, cmd redis.Cmder, asking bool) error {
	if !asking {
		return n.lane.do(ctx, cmd)
	}
	_, err := n.repeat.Pipelined(ctx, func(p redis.Pipeliner) error {
		_ = p.Process(ctx, redis.NewCmd(ctx, "asking"))
		return p.Process(ctx, cmd)
	})
	return err
}

// marker names a key of the same slot that is written between command and WAIT. Since Redis 7.2 a WAIT
// waits only for what its own connection changed. A revocation that was executed but not
// confirmed, and is tried again, changes nothing; without a change of its own it would be
// called durable at once. (If Redis's memory is full the marker cannot be written; then WAIT
// speaks for the command alone.)
//
// Where a slot is being imported the name is the importing server's own: the exporting one may hold its marker still, and a key that
// both have stops the move (BUSYKEY).
func (d *DB) marker(n *node, key string, asking bool) string {
	if d.cluster == nil {
		return d.Key("wait")
	}
	name := d.Key("wait:{" + slotTags()[slotOf(key)] + "}")
	if asking {
		name += n.client.Options().Addr
	}
	return name
}

const markerLife = time.Minute

// lookAtReplication asks a server about its replicas.
func lookAtReplication(ctx context.Context, n *node) (replication, error) {
	text, err := n.repeat.Info(ctx, "replication").Result()
	if err != nil {
		return replication{}, err
	}
	return parseReplication(text), nil
}

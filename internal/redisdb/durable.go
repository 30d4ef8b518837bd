package redisdb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-redis/redis/v8"
)

// EvalDurable is Eval with a WAIT behind the script on the same connection: Config.WaitReplicas
// replicas must confirm the effect, if the server ever had replicas. With ErrNotDurable the result
// is still returned: the write is done on the primary alone.
func (d *DB) EvalDurable(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	if d.cfg.WaitReplicas == 0 {
		return d.Eval(ctx, s, keys, args...)
	}
	call, err := d.scriptCall(s, keys, args)
	if err != nil {
		return nil, err
	}
	if err := d.drain.enter(); err != nil {
		return nil, err
	}
	defer d.drain.leave()
	ctx = endless(ctx)
	var confirmed error
	cmd, err := d.tryHash(call, func(cmd *redis.Cmd) error {
		return d.onNode(ctx, call.key(), func(n *primary, asking bool) error {
			var err error
			confirmed, err = d.confirm(ctx, n, call.key(), cmd, asking)
			return err
		})
	})
	value, err := result(cmd, err)
	switch {
	case err != nil:
		return nil, err
	case confirmed == nil:
		return value, nil
	}
	d.unconfirmed.Add(1)
	if d.cfg.WaitMissing == Degrade {
		return value, nil
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

// confirm runs a command on a server and waits for its replicas. It returns their verdict (nil or
// ErrNotDurable) and the error of the command.
//
// Commands that wait share one pipeline and its WAIT. However long replicas take, they hold two
// connections, and the others are free for reads.
func (d *DB) confirm(ctx context.Context, n *primary, key string, cmd redis.Cmder, asking bool) (confirmed, err error) {
	want, err := d.wanted(ctx, n)
	switch {
	case err != nil:
		return nil, err
	case want == 0:
		return nil, d.plainly(ctx, n, cmd, asking)
	case n.copies.short.Load():
		return ErrNotDurable, d.plainly(ctx, n, cmd, asking)
	case asking:
		return d.confirmAsking(n, key, cmd)
	}
	return n.durable.runQueued(cmd)
}

// sendDurably returns what sends commands that a server's replicas must confirm, in one pipeline.
func (d *DB) sendDurably(n *primary) func([]redis.Cmder) error {
	return func(cmds []redis.Cmder) error {
		if n.copies.short.Load() {
			sendWithRetry(n.once, cmds)
			return ErrNotDurable
		}
		key := keyOf(cmds[0])
		marker, wait := d.confirmation(n, key, false)
		sendWithRetry(n.waiting, append(slices.Clone(cmds), marker, wait))
		if i := slices.IndexFunc(cmds, func(c redis.Cmder) bool { return conclusive(c.Err()) }); d.elsewhere(marker.Err()) && i >= 0 {
			key = keyOf(cmds[i]) // the first one's slot is moving, and this one's is not
			marker, wait = d.confirmation(n, key, false)
			sendWithRetry(n.waiting, []redis.Cmder{marker, wait})
		}
		confirmed := d.verdict(marker, wait)
		if confirmed != nil && wait.Err() == nil {
			d.noteShortage(n, key)
		}
		return confirmed
	}
}

// keyOf is the first key of a script's call.
func keyOf(cmd redis.Cmder) string {
	if args := cmd.Args(); len(args) > 3 {
		if key, ok := args[3].(string); ok {
			return key
		}
	}
	return ""
}

// confirmation is what follows a command on its connection; see marker.
func (d *DB) confirmation(n *primary, key string, asking bool) (marker *redis.StatusCmd, wait *redis.IntCmd) {
	ctx := context.Background()
	return redis.NewStatusCmd(ctx, "set", d.marker(n, key, asking), 1, "px", markerLife.Milliseconds()),
		redis.NewIntCmd(ctx, "wait", d.cfg.WaitReplicas, d.cfg.WaitTimeout.Milliseconds())
}

// verdict says whether enough replicas confirmed.
func (d *DB) verdict(marker *redis.StatusCmd, wait *redis.IntCmd) error {
	switch {
	case wait.Err() != nil:
		return fmt.Errorf("%w: WAIT: %w", ErrNotDurable, wait.Err())
	case marker.Err() != nil && !isReply(marker.Err(), "OOM"):
		return fmt.Errorf("%w: %w", ErrNotDurable, marker.Err())
	case wait.Val() < int64(d.cfg.WaitReplicas):
		return ErrNotDurable
	}
	return nil
}

// confirmAsking is confirm for a slot that is being moved to this server.
func (d *DB) confirmAsking(n *primary, key string, cmd redis.Cmder) (confirmed, err error) {
	ask := func() redis.Cmder { return redis.NewCmd(context.Background(), "asking") }
	marker, wait := d.confirmation(n, key, true)
	sendWithRetry(n.waiting, []redis.Cmder{ask(), cmd, ask(), marker, wait})
	return d.verdict(marker, wait), cmd.Err()
}

// plainly runs a command on a server without waiting for replicas.
func (d *DB) plainly(ctx context.Context, n *primary, cmd redis.Cmder, asking bool) error {
	if !asking {
		return n.pipeline.do(ctx, cmd)
	}
	sendWithRetry(n.once, []redis.Cmder{redis.NewCmd(ctx, "asking"), cmd})
	return cmd.Err()
}

// marker names a key of the same slot that is written between command and WAIT. Since Redis 7.2 a
// WAIT waits only for changes of its own connection. A revocation that is repeated changes nothing,
// so without the marker it would count as durable at once.
//
// If Redis's memory is full, the marker cannot be written, and WAIT speaks for the command alone.
// While a slot is imported, the name is the importing server's own: a key that both servers have
// stops the move (BUSYKEY).
func (d *DB) marker(n *primary, key string, asking bool) string {
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

package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"github.com/go-redis/redis/v8"
)

// openCluster opens a Redis Cluster. v8.11.5 cannot read two answers of Redis 7, CLUSTER SLOTS and
// COMMAND; without COMMAND every command costs 18 ms. So slots are read here, and COMMAND is
// answered from a table.
func (d *DB) openCluster(tlsConfig *tls.Config) {
	layout := &clusterLayout{cfg: d.cfg, tls: tlsConfig, seeds: d.cfg.Addrs}
	d.cluster = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: d.cfg.Addrs, Username: d.cfg.Username, Password: d.cfg.Password,
		Dialer: layout.dial, ClusterSlots: layout.slots,
		// Redirections also repeat a command whose answer was lost, so the nodes' clients need not.
		MaxRedirects: 3, MaxRetries: -1, MinRetryBackoff: minBackoff, MaxRetryBackoff: maxBackoff,
		DialTimeout: dialTimeout, ReadTimeout: d.cfg.Timeout, WriteTimeout: d.cfg.Timeout,
		PoolSize: poolSize, PoolTimeout: poolTimeout, IdleTimeout: idleTimeout, IdleCheckFrequency: idleCheck,
		NewClient: func(o *redis.Options) *redis.Client {
			client := redis.NewClient(o)
			client.AddHook(commandTable{})
			n := d.newNode(client)
			// Its slots may have moved to another server, which v8 would see after 10 s.
			n.breaker.down = func() { d.cluster.ReloadState(context.Background()) }
			d.primaries.put(o.Addr, n)
			return client
		},
	})
}

// Clustered says whether keys may lie on several servers, so that a script has those of one slot
// alone.
func (d *DB) Clustered() bool { return d.cluster != nil }

// onNode runs f on the server that has a key, and again elsewhere if it answers that another server
// has the key: then it executed nothing. asking: f must send ASKING before each command.
func (d *DB) onNode(ctx context.Context, key string, f func(n *primary, asking bool) error) error {
	n, err := d.nodeOf(ctx, key)
	if err != nil {
		return wrap(err)
	}
	err = f(n, false)
	for attempt := 1; d.elsewhere(err) && d.cluster != nil && attempt <= 4; attempt++ {
		n, asking := d.pointed(ctx, err)
		if n == nil { // the layout is being read again
			time.Sleep(time.Duration(attempt) * 20 * time.Millisecond)
			var lost error
			if n, lost = d.nodeOf(ctx, key); lost != nil {
				return wrap(lost)
			}
		}
		err = f(n, asking)
	}
	return err
}

// pointed returns the server that an answer names ("MOVED 42 10.0.0.1:7000", "ASK 42
// 10.0.0.1:7000"), or nil if that server is not known.
func (d *DB) pointed(ctx context.Context, err error) (n *primary, asking bool) {
	text, _ := reply(err)
	switch code(text) {
	case "ASK":
		asking = true
	case "MOVED", "READONLY":
		d.cluster.ReloadState(ctx)
	}
	if n = d.primaries.get(text[strings.LastIndexByte(text, ' ')+1:]); n == nil {
		asking = false
	}
	return n, asking
}

// eachPrimary runs f on every server that takes writes, concurrently.
func (d *DB) eachPrimary(ctx context.Context, f func(ctx context.Context, client *redis.Client) error) error {
	if err := d.drain.enter(); err != nil {
		return err
	}
	defer d.drain.leave()
	if d.cluster != nil {
		return wrapRead(d.cluster.ForEachMaster(endless(ctx), f))
	}
	return wrapRead(f(endless(ctx), d.single.repeat))
}

// commandTable answers COMMAND locally.
type commandTable struct{}

var errAnswered = errors.New("answered locally")

// BeforeProcess implements redis.Hook.
func (commandTable) BeforeProcess(ctx context.Context, cmd redis.Cmder) (context.Context, error) {
	info, ok := cmd.(*redis.CommandsInfoCmd)
	if !ok {
		return ctx, nil
	}
	table := map[string]*redis.CommandInfo{}
	for _, name := range []string{"get", "set", "mget", "del"} { // v8 knows eval and evalsha
		table[name] = &redis.CommandInfo{Name: name, FirstKeyPos: 1}
	}
	info.SetVal(table)
	return ctx, errAnswered
}

// AfterProcess implements redis.Hook.
func (commandTable) AfterProcess(_ context.Context, cmd redis.Cmder) error {
	if info, ok := cmd.(*redis.CommandsInfoCmd); ok && errors.Is(info.Err(), errAnswered) {
		info.SetErr(nil)
	}
	return nil
}

// BeforeProcessPipeline implements redis.Hook.
func (commandTable) BeforeProcessPipeline(ctx context.Context, _ []redis.Cmder) (context.Context, error) {
	return ctx, nil
}

// AfterProcessPipeline implements redis.Hook.
func (commandTable) AfterProcessPipeline(context.Context, []redis.Cmder) error { return nil }

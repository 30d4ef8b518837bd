package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/go-redis/redis/v8"
)

// cluster opens a Redis Cluster. v8.11.5 cannot read two answers of Redis 7: CLUSTER SLOTS has a
// fourth element, and COMMAND a tenth; without the second, every command costs 18 ms. So the slots are
// read here, and COMMAND is answered from a table of the commands that we use.
func (c Config) cluster(retries int, tlsConfig *tls.Config) *redis.ClusterClient {
	redirects := 3
	if retries < 0 {
		redirects = 1 // a redirect re-sends what was not executed; a timeout is not repeated below
	}
	o := &redis.ClusterOptions{
		Addrs: c.Addrs, Username: c.Username, Password: c.Password, TLSConfig: tlsConfig,
		MaxRedirects: redirects, MaxRetries: retries, MinRetryBackoff: minBackoff, MaxRetryBackoff: maxBackoff,
		DialTimeout: dialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
		PoolSize: poolSize, MinIdleConns: minIdle, PoolTimeout: poolTimeout,
		NewClient: func(o *redis.Options) *redis.Client {
			node := redis.NewClient(o)
			node.AddHook(commandTable{})
			return node
		},
	}
	o.ClusterSlots = func(ctx context.Context) ([]redis.ClusterSlot, error) { return c.slots(ctx, tlsConfig) }
	return redis.NewClusterClient(o)
}

// slots asks the seeds in turn for the layout of the cluster.
func (c Config) slots(ctx context.Context, tlsConfig *tls.Config) ([]redis.ClusterSlot, error) {
	var errs []error
	for _, seed := range c.Addrs {
		node := redis.NewClient(&redis.Options{Addr: seed, Username: c.Username, Password: c.Password, TLSConfig: tlsConfig,
			PoolSize: 1, DialTimeout: dialTimeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout})
		raw, err := node.Do(ctx, "cluster", "slots").Slice()
		_ = node.Close()
		if err == nil {
			return parseSlots(raw, seed)
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(errs...))
}

// parseSlots reads CLUSTER SLOTS: ranges of [first, last, node…], a node being [host, port, …]. An empty host
// is that of the seed that answered.
func parseSlots(raw []any, seed string) ([]redis.ClusterSlot, error) {
	seedHost, _, err := net.SplitHostPort(seed)
	if err != nil {
		return nil, err
	}
	slots := make([]redis.ClusterSlot, 0, len(raw))
	for _, entry := range raw {
		fields, ok := entry.([]any)
		if !ok || len(fields) < 3 {
			return nil, errSlots
		}
		first, ok1 := fields[0].(int64)
		last, ok2 := fields[1].(int64)
		if !ok1 || !ok2 {
			return nil, errSlots
		}
		slot := redis.ClusterSlot{Start: int(first), End: int(last)}
		for _, f := range fields[2:] {
			node, ok := f.([]any)
			if !ok || len(node) < 2 {
				return nil, errSlots
			}
			host, _ := node[0].(string)
			port, ok := node[1].(int64)
			if !ok {
				return nil, errSlots
			}
			if host == "" || host == "?" {
				host = seedHost
			}
			slot.Nodes = append(slot.Nodes, redis.ClusterNode{Addr: net.JoinHostPort(host, strconv.FormatInt(port, 10))})
		}
		slots = append(slots, slot)
	}
	return slots, nil
}

var errSlots = fmt.Errorf("%w: CLUSTER SLOTS answered in an unknown form", ErrUnavailable)

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
	for _, name := range []string{"get", "set", "mget", "del", "expire", "pexpire", "incr", "xadd", "xread"} {
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

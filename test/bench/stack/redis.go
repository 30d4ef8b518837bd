package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-redis/redis/v8"
)

// Redis is a private redis-server with nothing on disk.
type Redis struct {
	*Process
	Addr   string
	client *redis.Client
}

// StartRedis runs redis-server with its defaults, but without persistence, which would measure the
// disk.
func StartRedis(ctx context.Context, dir string) (*Redis, error) {
	addr, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(dir, "redis")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	p, err := Start(home, filepath.Join(home, "log"), nil, "redis-server", "--port", port, "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", home)
	if err != nil {
		return nil, err
	}
	r := &Redis{Process: p, Addr: addr, client: redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1, MaxRetries: -1})}
	if err := p.Await(ctx, 5*time.Second, func() error { return r.client.Ping(ctx).Err() }); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends it.
func (r *Redis) Stop() {
	if r == nil {
		return
	}
	_ = r.client.Close()
	r.Process.Stop()
}

// Traffic is what Redis counts since its start: commands, and bytes that it took and gave.
type Traffic struct{ Commands, In, Out int64 }

// Traffic reads INFO stats, which counts in itself.
func (r *Redis) Traffic(ctx context.Context) (t Traffic, err error) {
	text, err := r.client.Info(ctx, "stats").Result()
	if err != nil {
		return t, err
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		into := map[string]*int64{"total_commands_processed": &t.Commands, "total_net_input_bytes": &t.In, "total_net_output_bytes": &t.Out}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseInt(value, 10, 64); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Used is used_memory of INFO memory, in bytes, and Keys how many keys there are.
func (r *Redis) Used(ctx context.Context) (bytes, keys int64, err error) {
	text, err := r.client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, 0, err
	}
	if keys, err = r.client.DBSize(ctx).Result(); err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
			bytes, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return bytes, keys, err
		}
	}
	return 0, 0, fmt.Errorf("no used_memory in INFO")
}

// Fill sets n keys of a prefix and a number, by pipelines, each with a life.
func (r *Redis) Fill(ctx context.Context, prefix string, n int, value string, ttl time.Duration) error {
	const batch = 1000
	for at := 0; at < n; at += batch {
		_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := at; i < min(at+batch, n); i++ {
				p.Set(ctx, prefix+strconv.Itoa(i), value, ttl)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

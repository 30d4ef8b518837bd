// Command sizing measures what a plan of machines is made of: the bytes that a token and a session
// take in Redis, the bytes that a request moves on the network, and what an idle node asks Redis.
//
//	go run -C test/bench ./sizing --grantor /tmp/grantor [--requests 20000] [--sessions 2000]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/grantor-auth/grantor/test/bench/stack"
)

type options struct {
	grantor            string
	requests, sessions int
	idle               time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.grantor, "grantor", "", "the binary")
	flag.IntVar(&o.requests, "requests", 20_000, "of each kind that needs no login")
	flag.IntVar(&o.sessions, "sessions", 2_000, "users who log in, once each")
	flag.DurationVar(&o.idle, "idle", 10*time.Second, "how long an idle node is watched")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "sizing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer n.redis.Stop()
	defer n.grantor.Stop()
	if err := n.watchIdle(ctx, o.idle); err != nil {
		return err
	}
	fmt.Printf("| a request | CPU of the node, µs | CPU of Redis, µs | clients to node, bytes | node to clients, bytes | node to Redis, bytes | Redis to node, bytes | Redis keeps, bytes |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	return n.measureAll(ctx, o)
}

// measureAll prints a row for each kind of request. What one kind makes, the next one uses.
func (n *node) measureAll(ctx context.Context, o options) error {
	opaque, err := n.measure(ctx, issue("machine"), make([]string, o.requests), "access_token")
	if err != nil {
		return err
	}
	jwts, err := n.measure(ctx, issue("jwt-machine"), make([]string, o.requests), "access_token")
	if err != nil {
		return err
	}
	for _, k := range []struct {
		kind
		values []string
	}{{introspect("opaque"), opaque}, {introspect("JWT"), jwts}, {revoke(), opaque}} {
		if _, err := n.measure(ctx, k.kind, k.values, ""); err != nil {
			return err
		}
	}
	return n.measureSessions(ctx, o)
}

// measureSessions lets each user log in on two devices, and refreshes the session of the second.
func (n *node) measureSessions(ctx context.Context, o options) error {
	access, err := n.measure(ctx, logIn("first device of a user"), names(o.sessions), "access_token")
	if err != nil {
		return err
	}
	refresh, err := n.measure(ctx, logIn("second device"), names(o.sessions), "refresh_token")
	if err != nil {
		return err
	}
	if refresh, err = n.measure(ctx, refreshOnce("first of a session"), refresh, "refresh_token"); err != nil {
		return err
	}
	if _, err = n.measure(ctx, refreshOnce("second"), refresh, "refresh_token"); err != nil {
		return err
	}
	asked := make([]string, o.requests)
	for i := range asked {
		asked[i] = access[i%len(access)]
	}
	_, err = n.measure(ctx, introspect("opaque, of a user"), asked, "")
	return err
}

// node is a running grantor and its Redis.
type node struct {
	addr    string
	grantor *stack.Process
	redis   *stack.Redis
}

func start(ctx context.Context, o options, dir string) (n *node, err error) {
	n = &node{}
	if n.redis, err = stack.StartRedis(ctx, dir); err != nil {
		return nil, err
	}
	if n.addr, err = stack.FreeAddress(); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "grantor.toml")
	if err = os.WriteFile(file, []byte(configuration(n.addr, n.redis.Addr, o.sessions)), 0o600); err != nil {
		return nil, err
	}
	if n.grantor, err = stack.Start(dir, filepath.Join(dir, "log"), nil, o.grantor, "serve", "--config", file); err != nil {
		return nil, err
	}
	return n, n.grantor.Await(ctx, 20*time.Second, n.ready)
}

// watchIdle prints what a node asks Redis while nobody asks the node.
func (n *node) watchIdle(ctx context.Context, d time.Duration) error {
	before, err := n.redis.Traffic(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
	}
	after, err := n.redis.Traffic(ctx)
	if err != nil {
		return err
	}
	s := d.Seconds()
	fmt.Printf("an idle node: %.0f commands a second, %.0f bytes a second to Redis, %.0f bytes a second from Redis\n\n",
		float64(after.Commands-before.Commands)/s, float64(after.In-before.In)/s, float64(after.Out-before.Out)/s)
	return nil
}

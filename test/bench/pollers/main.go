// Command pollers measures what verifiers that follow the revocation feed cost a node: it starts
// grantor, lets many connections poll, and prints the CPU of the node and of Redis.
//
//	go run -C test/bench ./pollers --grantor /tmp/grantor [--redis] [--pollers 1000] [--duration 20s] [--ends 0]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/grantor-auth/grantor/test/bench/stack"
)

type options struct {
	grantor  string
	redis    bool
	pollers  int
	duration time.Duration
	ends     int // tokens that are issued and revoked a second
	lease    time.Duration
	profile  string
	floor    bool
}

func main() {
	var o options
	flag.StringVar(&o.grantor, "grantor", "", "the binary")
	flag.BoolVar(&o.redis, "redis", false, "tokens on a private Redis, not in memory")
	flag.IntVar(&o.pollers, "pollers", 1000, "verifiers, each with a connection of its own")
	flag.DurationVar(&o.duration, "duration", 20*time.Second, "of the measurement")
	flag.IntVar(&o.ends, "ends", 0, "tokens that are issued and revoked, a second")
	flag.DurationVar(&o.lease, "lease", time.Second, "[feed] lease")
	flag.StringVar(&o.profile, "profile", "", "file for a CPU profile of the node")
	flag.BoolVar(&o.floor, "floor", false, "ask for /healthz four times a lease instead: what any request costs here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "pollers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n, err := start(ctx, o, dir)
	if err != nil {
		return err
	}
	defer n.stop()
	all := &polled{}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range o.pollers {
		at := time.Duration(i) * time.Second / time.Duration(o.pollers)
		ask := pollOnce
		if o.floor {
			ask = healthOnce(o.lease / 4)
		}
		running.Go(func() { connect(ctx, n.addr, at, all, ask) })
	}
	if o.ends > 0 {
		running.Go(func() { revoke(ctx, n.addr, o.ends, all) })
	}
	time.Sleep(3 * time.Second) // everybody is there
	all.begin()
	before := n.used()
	if o.profile != "" {
		running.Go(func() { n.saveProfile(ctx, o.profile, o.duration/2) })
	}
	begun := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(o.duration):
	}
	took, after := time.Since(begun), n.used()
	fmt.Printf("%d pollers, lease %s, redis %v, %d ends/s, %s: %s\n", o.pollers, o.lease, o.redis, o.ends, took.Round(time.Second), all.report(took))
	for i, name := range []string{"node", "redis"} {
		if used := after[i] - before[i]; i == 0 || o.redis {
			fmt.Printf("  %s: %.1f %% of a core, %.1f µs a poll\n", name, 100*used.Seconds()/took.Seconds(), float64(used.Microseconds())/float64(all.count()))
		}
	}
	return all.err()
}

// node is a running grantor.
type node struct {
	addr, metrics string
	grantor       *stack.Process
	redis         *stack.Redis
}

func start(ctx context.Context, o options, dir string) (n *node, err error) {
	n = &node{}
	store := `store = "memory"`
	if o.redis {
		if n.redis, err = stack.StartRedis(ctx, dir); err != nil {
			return nil, err
		}
		store = fmt.Sprintf("store = \"redis\"\nredis.url = \"redis://%s\"", n.redis.Addr)
	}
	if n.addr, err = stack.FreeAddress(); err != nil {
		return nil, err
	}
	if n.metrics, err = stack.FreeAddress(); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "grantor.toml")
	text := fmt.Sprintf(configuration, n.addr, n.addr, store, o.lease, n.metrics)
	if err = os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if n.grantor, err = stack.Start(dir, filepath.Join(dir, "log"), nil, o.grantor, "serve", "--config", file); err != nil {
		return nil, err
	}
	return n, n.grantor.Await(ctx, 10*time.Second, func() error { return reachable(n.addr) })
}

func (n *node) stop() {
	n.grantor.Stop()
	n.redis.Stop()
}

// used is the CPU time of node and Redis.
func (n *node) used() (cpu [2]time.Duration) {
	cpu[0], _ = n.grantor.CPU() // a process that ended shows elsewhere
	if n.redis != nil {
		cpu[1], _ = n.redis.CPU()
	}
	return cpu
}

func percentile(list []time.Duration, p float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(int(p*float64(len(list))), len(list)-1)].Round(10 * time.Microsecond)
}

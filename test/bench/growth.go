package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/test/bench/contest"
	"github.com/grantor-auth/grantor/test/bench/load"
	"github.com/grantor-auth/grantor/test/bench/rivals"
)

const (
	grownConnections = 64
	asked            = 10_000 // live tokens that are introspected, spread over all
	grownLife        = 12 * time.Hour
)

// grow measures introspect and issue with more and more live tokens, of the ceiling and of Grantor
// on Redis.
func (b *bench) grow(ctx context.Context) error {
	for _, c := range b.contestants {
		if c.Name != contest.Ceiling && c.Name != contest.Product {
			continue
		}
		for live := 1000; live <= b.options.grow; live = larger(live) {
			if err := b.grown(ctx, c, live); err != nil {
				return fmt.Errorf("growth of %s to %d: %w", c.Name, live, err)
			}
		}
	}
	return nil
}

func larger(n int) int {
	if n == 1000 {
		return 100_000
	}
	return 10 * n
}

// grown measures with so many live tokens, in a fresh Redis: first introspect, then issue, which
// adds some.
func (b *bench) grown(ctx context.Context, c *contest.Contestant, live int) error {
	i, err := c.Start(ctx, b.env, 0)
	if err != nil {
		return err
	}
	defer i.Stop()
	f := &fixture{Instance: i, connections: grownConnections, duration: b.duration, answers: newAnswers(false)}
	empty, _, err := f.used(ctx)
	if err != nil {
		return err
	}
	fill := fillCeiling
	if c.Name == contest.Product {
		fill = b.fillGrantor
	}
	sample, err := fill(ctx, i, live, max(1, live/asked))
	if err != nil {
		return err
	}
	bytes, keys, err := f.used(ctx)
	if err != nil {
		return err
	}
	perToken := float64(bytes-empty) / float64(keys)
	for _, p := range []load.Plan{load.Of(load.Cycle, f.Introspect(), sample...), load.Of(load.Cycle, f.Issue(), "")} {
		for round := range max(1, b.options.rounds) {
			if err := b.verify(ctx, f, p, b.warmup); err != nil {
				return err
			}
			s, err := b.load(ctx, f, p)
			if err != nil {
				return err
			}
			s.Round, s.Contestant, s.Case, s.Connections, s.Live, s.PerToken = round+1, c.Name, p.Kinds[0].Name, grownConnections, live, perToken
			b.run.Growth = append(b.run.Growth, s)
			say("%9d live tokens  %-11s%-16s%8.0f/s  p50 %6.0f µs  CPU %5.1f µs  errors %d", live, s.Case, c.Name, s.Rate, s.P50, s.CPU(), s.Errors)
		}
	}
	return nil
}

// fillGrantor issues n tokens into the Redis of a running Grantor by the store that it uses itself,
// and returns some.
func (b *bench) fillGrantor(ctx context.Context, i *contest.Instance, n, nth int) ([]string, error) {
	if b.filler == "" {
		var err error
		if b.filler, err = b.env.Build(ctx, "fill", "./test/bench/fill/main.go"); err != nil {
			return nil, err
		}
	}
	out, err := exec.CommandContext(ctx, b.filler, i.Redis.Addr, rivals.MachineID, rivals.Scope, rivals.Resource,
		strconv.Itoa(n), strconv.Itoa(nth)).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, e.Stderr)
	}
	return strings.Fields(string(out)), err
}

// fillCeiling sets what the ceiling's issue would have set, and returns some.
func fillCeiling(ctx context.Context, i *contest.Instance, n, nth int) (some []string, err error) {
	const prefix = "a-token-of-the-length-of-" // as long as the ceiling's own
	for k := 0; k < n; k += nth {
		some = append(some, prefix+strconv.Itoa(k))
	}
	return some, i.Redis.Fill(ctx, prefix, n, rivals.MachineID, grownLife)
}

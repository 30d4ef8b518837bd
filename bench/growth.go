package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grantor-auth/grantor/redisdb"
	"github.com/grantor-auth/grantor/tokens"

	"github.com/grantor-auth/grantor/bench/contest"
	"github.com/grantor-auth/grantor/bench/load"
	"github.com/grantor-auth/grantor/bench/rivals"
)

const (
	grownConnections = 64
	asked            = 10_000 // live tokens that are introspected, spread over all
	grownLife        = 12 * time.Hour
)

// grow measures introspect and issue with more and more live tokens, of the ceiling and of Grantor on Redis.
func (b *bench) grow(ctx context.Context) error {
	for _, c := range b.contestants {
		if c.Name != contest.Ceiling && c.Name != contest.Product {
			continue
		}
		if err := b.growOne(ctx, c); err != nil {
			return fmt.Errorf("growth of %s: %w", c.Name, err)
		}
	}
	return nil
}

func (b *bench) growOne(ctx context.Context, c *contest.Contestant) error {
	i, err := c.Start(ctx, b.env)
	if err != nil {
		return err
	}
	defer i.Stop()
	fill := func(from, n int, keep func(int, string)) error { return fillCeiling(ctx, i, from, n, keep) }
	if c.Name == contest.Product {
		fill = func(_, n int, keep func(int, string)) error { return fillGrantor(ctx, i, n, keep) }
	}
	f := &fixture{Instance: i, connections: grownConnections, duration: b.duration, answers: newAnswers(false)}
	empty, _, err := f.used(ctx)
	if err != nil {
		return err
	}
	var live []string
	for filled, next := 0, 1000; next <= b.options.grow; next = larger(next) {
		step := max(1, (next-filled)/asked)
		err := fill(filled, next-filled, func(n int, token string) {
			if n%step == 0 {
				live = append(live, token)
			}
		})
		if err != nil {
			return err
		}
		filled = next
		if err := b.grown(ctx, c, f, next, empty, live); err != nil {
			return err
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

// grown measures at one size. Tokens that issue adds are few beside those that are there.
func (b *bench) grown(ctx context.Context, c *contest.Contestant, f *fixture, live int, empty int64, sample []string) error {
	bytes, keys, err := f.used(ctx)
	if err != nil {
		return err
	}
	for _, p := range []load.Plan{load.Of(load.Cycle, f.Introspect(), sample...), load.Of(load.Cycle, f.Issue(), "")} {
		for round := range max(1, b.options.rounds) {
			if err := b.verify(ctx, f, p, b.warmup); err != nil {
				return err
			}
			s, err := b.load(ctx, f, p)
			if err != nil {
				return err
			}
			s.Round, s.Contestant, s.Case, s.Connections, s.Live = round+1, c.Name, p.Kinds[0].Name, grownConnections, live
			s.PerToken = float64(bytes-empty) / float64(keys)
			b.run.Growth = append(b.run.Growth, s)
			say("%9d live tokens  %-11s%-16s%8.0f/s  p50 %6.0f µs  CPU %5.1f µs  errors %d", live, s.Case, c.Name, s.Rate, s.P50, s.CPU(), s.Errors)
		}
	}
	return nil
}

// fillGrantor issues n tokens into the Redis of a running Grantor by the store that it uses itself.
func fillGrantor(ctx context.Context, i *contest.Instance, n int, keep func(int, string)) error {
	db, err := redisdb.Open(redisdb.Config{URL: "redis://" + i.Redis.Addr, Prefix: "grantor:"})
	if err != nil {
		return err
	}
	defer db.Close()
	store := tokens.NewRedis(db)
	key, err := store.ServerKey(ctx)
	if err != nil {
		return err
	}
	epochs, err := store.ClientEpochs(ctx, []string{rivals.MachineID})
	if err != nil {
		return err
	}
	codec := tokens.NewCodec(key)
	record := &tokens.Record{ClientID: rivals.MachineID, ClientEpoch: epochs[0], Scope: rivals.Scope, Audience: []string{rivals.Resource},
		IssuedAt: time.Now().Truncate(time.Second), TTL: grownLife}
	texts := make(chan string, 1024)
	var all errgroup.Group
	for worker := range 128 {
		all.Go(func() error {
			for k := worker; k < n; k += 128 {
				text, t := codec.NewClientAccess()
				if err := store.Issue(ctx, t, record); err != nil {
					return err
				}
				texts <- text
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- all.Wait(); close(texts) }()
	at := 0
	for text := range texts {
		keep(at, text)
		at++
	}
	return <-done
}

// fillCeiling sets what the ceiling's issue would have set.
func fillCeiling(ctx context.Context, i *contest.Instance, from, n int, keep func(int, string)) error {
	const prefix = "a-token-of-the-length-of-" // as long as the ceiling's own
	for k := range n {
		keep(k, prefix+strconv.Itoa(from+k))
	}
	return i.Redis.Fill(ctx, prefix, from, n, rivals.MachineID, grownLife)
}

//go:build ignore

// Command fill issues tokens into the Redis of a running Grantor by the store that it uses itself,
// and prints every n-th: arguments are Redis's address, client, scope, resource, how many, and n.
// It is compiled in Grantor's module, by growth.go, so that the benchmark's own module does not
// depend on it.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grantor-auth/grantor/internal/redisdb"
	"github.com/grantor-auth/grantor/tokens"
)

const (
	life    = 12 * time.Hour
	workers = 128
)

func main() {
	if err := fill(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func fill(ctx context.Context, addr, client, scope, resource, count, every string) error {
	n, err1 := strconv.Atoi(count)
	nth, err2 := strconv.Atoi(every)
	if err1 != nil || err2 != nil || nth < 1 {
		return fmt.Errorf("%q and %q must be numbers", count, every)
	}
	db, err := redisdb.Open(redisdb.Config{URL: "redis://" + addr, Prefix: "grantor:"})
	if err != nil {
		return err
	}
	defer db.Close()
	store := tokens.NewRedis(db)
	key, err := tokens.ClaimServerKey(ctx, store, 0)
	if err != nil {
		return err
	}
	epochs, err := store.ClientEpochs(ctx, []string{client}, nil)
	if err != nil {
		return err
	}
	return issue(ctx, store, tokens.NewCodec(key), n, nth, &tokens.Record{ClientID: client, ClientEpoch: epochs[0], Scope: scope,
		Audience: []string{resource}, IssuedAt: time.Now().Truncate(time.Second), TTL: life})
}

func issue(ctx context.Context, store *tokens.Redis, codec *tokens.Codec, n, nth int, record *tokens.Record) error {
	texts := make(chan string, 1024)
	var all errgroup.Group
	for worker := range workers {
		all.Go(func() error {
			for k := worker; k < n; k += workers {
				text, t := codec.NewClientAccess()
				if err := store.Issue(ctx, t, record); err != nil {
					return err
				}
				if k%nth == 0 {
					texts <- text
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- all.Wait(); close(texts) }()
	out := bufio.NewWriter(os.Stdout)
	for text := range texts {
		fmt.Fprintln(out, text)
	}
	if err := <-done; err != nil {
		return err
	}
	return out.Flush()
}

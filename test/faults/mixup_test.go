package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
)

// TestMixedUpAnswers asks for many tokens at once of a slow Redis, by clients that hang up.
func TestMixedUpAnswers(t *testing.T) {
	asks := int64(choose(10_000, 100_000))
	t.Run("S-25 V-31 introspections of 1,000 tokens by 64 workers that hang up now and then, Redis late by 1 to 50 ms: nobody gets another token's answer", func(t *testing.T) {
		p := newProxy(t, redistest.Start(t).Addr)
		d := deploy(t, single(p.Addr))
		l := newLedger(d, d.serve(t))
		l.begun = time.Now()
		l.issueMany(t, 900, 100)
		p.most.Store(int64(49 * time.Millisecond))
		var asked, hungUp atomic.Int64
		var all sync.WaitGroup
		for w := range 64 {
			rng := rand.New(rand.NewPCG(uint64(w), 25))
			all.Go(func() {
				for asked.Add(1) <= asks {
					tok := l.tokens[rng.IntN(len(l.tokens))]
					ctx, cancel := context.WithCancel(context.Background())
					if rng.IntN(4) == 0 {
						time.AfterFunc(time.Duration(rng.IntN(60))*time.Millisecond, cancel)
					}
					a := l.introspect(ctx, l.nodes[0], tok.text)
					if ctx.Err() != nil && a.status == 0 {
						hungUp.Add(1)
					} else if l.took(reads, a) {
						l.compare(tok, false, a)
					}
					cancel()
				}
			})
		}
		all.Wait()
		figure(t, "S-25", fmt.Sprintf("%d introspections, of which %d hung up: %d answers of another token; %s", asks, hungUp.Load(), l.wrong, l), "0 answers of another token")
		l.innocent(t)
		l.complete(t)
		require.Zero(t, l.lostRevocations)
		require.Positive(t, hungUp.Load())
		require.Greater(t, l.kinds[reads].count, int(asks)/2)
	})
}

// issueMany fills the ledger with tokens of machines and users.
func (l *ledger) issueMany(t *testing.T, machines, users int) {
	t.Helper()
	ctx := context.Background()
	for i := range machines {
		client := l.d.machines[i%len(l.d.machines)]
		a := l.issue(ctx, l.nodes[0], client)
		require.Equal(t, 200, a.status, a.body)
		l.add(&token{text: a.Access, client: client, sub: client})
	}
	for i := range users {
		user := i % l.d.users
		a := l.login(ctx, l.nodes[0], fmt.Sprintf("user-%d", user))
		require.Equal(t, 200, a.status, a.body)
		l.add(&token{text: a.Access, client: "app", sub: fmt.Sprintf("u-%d", user)})
	}
}

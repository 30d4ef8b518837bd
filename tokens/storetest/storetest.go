// Package storetest is the one suite that every tokens.Store passes.
package storetest

import (
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/tokens"
)

// Run runs the suite on stores that open makes. Each call of open gives a store of its own; two
// calls of one returned func give two nodes on the same data.
func Run(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	testRecords(t, open)
	testExpiry(t, open)
	testRevocations(t, open)
	testServerKey(t, open)
	testClientEpochs(t, open)
	testEpochsAtOnce(t, open)
	testOnce(t, open)
	testBoundRecords(t, open)
	t.Run("the store answers", func(t *testing.T) { require.NoError(t, open(t)().Ping(t.Context())) })
}

// testRecords: what a store returns is what it was given.
func testRecords(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("a record comes back as it was issued", func(t *testing.T) {
		s := open(t)()
		tok, rec := issue(t, s, time.Minute)
		got, err := s.Load(t.Context(), tok)
		require.NoError(t, err)
		require.Equal(t, rec, got)
	})
	t.Run("every shape of record comes back", func(t *testing.T) {
		s := open(t)()
		for _, rec := range []*tokens.Record{
			{ClientID: "c", IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute},
			{ClientID: strings.Repeat("x", 255), ClientEpoch: tokens.Epoch{1, 2, 3, 4, 5, 6, 7, 8}, Scope: strings.Repeat("s", 4096),
				Audience: []string{"https://a.example", strings.Repeat("u", 2000)},
				IssuedAt: time.Now().Truncate(time.Second), TTL: 48 * time.Hour},
			{ClientID: "{hash}tag\x7e \"\\", Scope: "a b", IssuedAt: time.Unix(1<<33, 0), TTL: time.Minute},
			{ClientID: "c", Scope: "a b", JWTDigest: tokens.DigestOf("x.y.z"), IssuedAt: time.Now().Truncate(time.Second), TTL: time.Minute, Audience: []string{"https://a.example"}},
		} {
			tok := mint(t, s)
			require.NoError(t, s.Issue(t.Context(), tok, rec))
			got, err := s.Load(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, rec, got)
		}
	})
	t.Run("a token that was never issued is ErrNotFound", func(t *testing.T) {
		s := open(t)()
		_, err := s.Load(t.Context(), mint(t, s))
		require.ErrorIs(t, err, tokens.ErrNotFound)
	})
	t.Run("issuing twice is issuing once", func(t *testing.T) {
		s := open(t)()
		tok, rec := issue(t, s, time.Minute)
		require.NoError(t, s.Issue(t.Context(), tok, rec))
		ended, err := s.Revoke(t.Context(), tok, rec.ClientID)
		require.NoError(t, err)
		require.True(t, ended)
	})
}

func testExpiry(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("a token expires at the end of its TTL", func(t *testing.T) {
		s := open(t)()
		tok, _ := issue(t, s, 2*time.Second) // of which its IssuedAt takes a part of one
		_, err := s.Load(t.Context(), tok)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			_, err := s.Load(t.Context(), tok)
			return err != nil
		}, 4*time.Second, 10*time.Millisecond)
		_, err = s.Load(t.Context(), tok)
		require.ErrorIs(t, err, tokens.ErrNotFound)
	})
}

// testRevocations: RFC 7009 §2.1, §2.2.
func testRevocations(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("RV-02 revoked is gone at once, on every node", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		tok, rec := issue(t, a, time.Minute)
		ended, err := b.Revoke(t.Context(), tok, rec.ClientID)
		require.NoError(t, err)
		require.True(t, ended)
		_, err = a.Load(t.Context(), tok)
		require.ErrorIs(t, err, tokens.ErrNotFound)
	})
	t.Run("RV-03 revoking again is no error and ends nothing", func(t *testing.T) {
		s := open(t)()
		tok, rec := issue(t, s, time.Minute)
		for i := range 3 {
			ended, err := s.Revoke(t.Context(), tok, rec.ClientID)
			require.NoError(t, err)
			require.Equal(t, i == 0, ended)
		}
	})
	t.Run("RV-08 another client's revocation has no effect", func(t *testing.T) {
		s := open(t)()
		tok, rec := issue(t, s, time.Minute)
		for _, other := range []string{"", "other", rec.ClientID + "x", rec.ClientID[:len(rec.ClientID)-1]} {
			ended, err := s.Revoke(t.Context(), tok, other)
			require.NoError(t, err)
			require.False(t, ended)
		}
		_, err := s.Load(t.Context(), tok)
		require.NoError(t, err)
	})
	t.Run("one of many concurrent revocations ends the token", func(t *testing.T) {
		s := open(t)()
		tok, rec := issue(t, s, time.Minute)
		var ended atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if ok, err := s.Revoke(t.Context(), tok, rec.ClientID); err == nil && ok {
					ended.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, ended.Load())
	})
}

func testServerKey(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("all nodes agree on the server key and on the clients' epochs", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		ka, err := tokens.ClaimServerKey(t.Context(), a, 0)
		require.NoError(t, err)
		kb, err := tokens.ClaimServerKey(t.Context(), b, 0)
		require.NoError(t, err)
		require.Equal(t, ka, kb)
		kept, err := b.KeepServerKey(t.Context(), tokens.NewServerKey())
		require.NoError(t, err)
		require.Equal(t, ka, kept, "the first decides")
		ea, err := a.ClientEpochs(t.Context(), []string{"x", "y", "{z}"}, nil)
		require.NoError(t, err)
		eb, err := b.ClientEpochs(t.Context(), []string{"{z}", "y", "x"}, nil)
		require.NoError(t, err)
		require.Equal(t, []tokens.Epoch{eb[2], eb[1], eb[0]}, ea)
		require.NotEqual(t, ea[0], ea[1])
		require.NotZero(t, ea[0])
	})
}

// testClientEpochs: disabling, enabling and renewing are steps that know what they find.
func testClientEpochs(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("V-34 a client's epoch changes in one step, for all nodes, and once however often it is repeated", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		ctx := t.Context()
		now := func() tokens.Epoch {
			require.NoError(t, a.KeepClientEpochs(ctx, []string{"x"}))
			got, err := b.ClientEpochs(ctx, []string{"x"}, nil)
			require.NoError(t, err)
			return got[0]
		}
		first := now()
		require.NoError(t, a.EnableClient(ctx, "x", tokens.Epoch{1}))
		require.Equal(t, first, now(), "it is enabled")
		require.NoError(t, a.RenewClient(ctx, "x", tokens.Epoch{2}))
		require.Equal(t, tokens.Epoch{2}, now())
		require.NoError(t, a.DisableClient(ctx, "x", tokens.Epoch{3}))
		require.Zero(t, now())
		require.NoError(t, b.RenewClient(ctx, "x", tokens.Epoch{4}))
		require.Zero(t, now(), "who takes the tokens away does not enable")
		require.NoError(t, b.EnableClient(ctx, "x", tokens.Epoch{5}))
		require.Equal(t, tokens.Epoch{5}, now())
		require.NoError(t, a.DisableClient(ctx, "x", tokens.Epoch{3}))
		require.NoError(t, a.RenewClient(ctx, "x", tokens.Epoch{2}))
		require.Equal(t, tokens.Epoch{5}, now(), "repetitions of what was done before")
		require.NoError(t, a.RenewClient(ctx, "new", tokens.Epoch{6}))
		got, err := b.ClientEpochs(ctx, []string{"new"}, nil)
		require.NoError(t, err)
		require.Equal(t, tokens.Epoch{6}, got[0])
	})
	t.Run("S-21 a missing epoch becomes the one that a node knew, and the first decides", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		known := tokens.Epoch{4, 2}
		for range 2 {
			got, err := a.ClientEpochs(t.Context(), []string{"lost", "disabled"}, map[string]tokens.Epoch{"lost": known, "disabled": {}})
			require.NoError(t, err)
			require.Equal(t, []tokens.Epoch{known, {}}, got)
			got, err = b.ClientEpochs(t.Context(), []string{"disabled", "lost"}, map[string]tokens.Epoch{"lost": {7}})
			require.NoError(t, err)
			require.Equal(t, []tokens.Epoch{{}, known}, got)
		}
	})
}

func testEpochsAtOnce(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("V-34 revoke-tokens beside disable never enables a client, and disable always disables it", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		for range 40 {
			id := rand.Text()
			_, err := a.ClientEpochs(t.Context(), []string{id}, nil)
			require.NoError(t, err)
			var wg sync.WaitGroup
			wg.Go(func() { require.NoError(t, a.RenewClient(t.Context(), id, tokens.NewCall())) })
			wg.Go(func() { require.NoError(t, b.DisableClient(t.Context(), id, tokens.NewCall())) })
			wg.Wait()
			got, err := a.ClientEpochs(t.Context(), []string{id}, nil)
			require.NoError(t, err)
			require.Zero(t, got[0])
		}
	})
}

func testOnce(t *testing.T, open func(t *testing.T) (node func() tokens.Store)) {
	t.Helper()
	t.Run("CJ-08 S-52 one of 32 calls on two nodes is the first", func(t *testing.T) {
		node := open(t)
		a, b := node(), node()
		var first atomic.Int64
		var wg sync.WaitGroup
		for i := range 32 {
			s := []tokens.Store{a, b}[i%2]
			wg.Go(func() {
				if ok, err := s.Once(t.Context(), "key", time.Minute); err == nil && ok {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, first.Load())
	})
}

// mint makes a token under the store's own key.
func mint(t *testing.T, s tokens.Store) tokens.Token {
	t.Helper()
	key, err := tokens.ClaimServerKey(t.Context(), s, 0)
	require.NoError(t, err)
	_, tok := tokens.NewCodec(key).NewClientAccess()
	return tok
}

func issue(t *testing.T, s tokens.Store, ttl time.Duration) (tokens.Token, *tokens.Record) {
	t.Helper()
	tok := mint(t, s)
	rec := &tokens.Record{ClientID: "billing-job", ClientEpoch: tokens.Epoch{7}, Scope: "orders:read",
		Audience: []string{"https://orders.example.com"}, IssuedAt: time.Now().Truncate(time.Second), TTL: ttl}
	require.NoError(t, s.Issue(t.Context(), tok, rec))
	return tok, rec
}

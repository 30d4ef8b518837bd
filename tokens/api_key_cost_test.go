package tokens_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/redisdb/redistest"
	"github.com/grantor-auth/grantor/tokens"
)

// TestAPIKeyCost: what a check of an API key asks of Redis is what a check of an opaque token asks.
func TestAPIKeyCost(t *testing.T) {
	server := redistest.Start(t)
	store := tokens.NewRedis(openRedis(t, server, "grantor:"))
	codec, ctx := tokens.NewCodec(tokens.NewServerKey()), t.Context()
	_, key, k := newKey(codec, "partner", time.Hour)
	require.NoError(t, store.APIKeys().Add(ctx, k, nil))
	_, tok := codec.NewClientAccess()
	require.NoError(t, store.Issue(ctx, tok, &tokens.Record{ClientID: "partner", ClientEpoch: k.Epoch, Scope: k.Scope,
		Audience: k.Audience, IssuedAt: k.Created, TTL: time.Hour}))
	const rounds, each = 20, 200
	var took [2]time.Duration
	for i, of := range []tokens.Token{tok, key} { // exactly
		before := commandCounts(t, server)
		for range each {
			_, err := store.Load(ctx, of)
			require.NoError(t, err)
		}
		after := commandCounts(t, server)
		require.Equal(t, each, after["get"]-before["get"], "of %d", i)
		delete(after, "get")
		delete(before, "get")
		require.Equal(t, before, after, "nothing else is asked")
	}
	for range rounds { // about, in turns
		for i, of := range []tokens.Token{tok, key} {
			begun := time.Now()
			for range each {
				_, _ = store.Load(ctx, of)
			}
			took[i] += time.Since(begun)
		}
	}
	t.Logf("a key to a token, %d loads each in turns: %.2f", rounds*each, took[1].Seconds()/took[0].Seconds())
}

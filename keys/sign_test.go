package keys_test

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/keys"
)

func TestSign(t *testing.T) {
	r := open(t, config(keys.NewMemory(), keys.Algorithms()...))
	for _, alg := range keys.Algorithms() {
		t.Run("AT-19 go-jose verifies "+string(alg), func(t *testing.T) {
			token := sign(t, r, alg)
			require.True(t, verifies(jwks(t, r), token))
			got, err := r.Verify(token, "other", atJWT)
			require.NoError(t, err)
			require.Equal(t, string(claims), string(got))
		})
		t.Run("AT-05 typ, alg and a kid of the JWKS: "+string(alg), func(t *testing.T) {
			h := headerOf(t, sign(t, r, alg))
			require.Equal(t, map[string]string{"typ": atJWT, "alg": string(alg), "kid": h["kid"]}, h)
			require.Contains(t, kids(jwks(t, r)), h["kid"])
		})
	}
	t.Run("JK-05 RSA keys have 2048 bits", func(t *testing.T) {
		for _, k := range jwks(t, r).Keys {
			if public, ok := k.Key.(*rsa.PublicKey); ok {
				require.GreaterOrEqual(t, public.N.BitLen(), 2048)
			}
		}
	})
	t.Run("JK-05 no algorithm but the asymmetric ones", func(t *testing.T) {
		for _, alg := range []keys.Algorithm{"none", "HS256", "", "ES384", "es256"} {
			_, err := r.Sign(alg, atJWT, claims)
			require.Error(t, err, alg)
			_, err = keys.Open(t.Context(), config(keys.NewMemory(), alg))
			require.ErrorContains(t, err, "ES256, EdDSA or RS256")
		}
	})
	t.Run("a typ is no way into the header", func(t *testing.T) {
		for _, typ := range []string{"", `a","alg":"none`, "a b", "a\n", `a\u0022`, "é"} {
			_, err := r.Sign(keys.EdDSA, typ, claims)
			require.Error(t, err, "%q", typ)
		}
	})
	t.Run("more types than are remembered", func(t *testing.T) {
		for i := range 40 {
			typ := "t" + strings.Repeat("x", i)
			token, err := r.Sign(keys.EdDSA, typ, claims)
			require.NoError(t, err)
			require.Equal(t, typ, headerOf(t, token)["typ"])
			_, err = r.Verify(token, typ)
			require.NoError(t, err)
		}
	})
	t.Run("RFC 7518 §3.4 r and s are padded to 32 bytes", func(t *testing.T) {
		set := jwks(t, r)
		for range 600 { // one in 128 has a leading zero
			token := sign(t, r, keys.ES256)
			require.Len(t, token[strings.LastIndexByte(token, '.')+1:], 86)
			require.True(t, verifies(set, token))
		}
	})
	t.Run("claims are a JSON object, of a token that will be accepted", func(t *testing.T) {
		for _, text := range []string{"", "{", "[]", `"x"`, " {}", `{"x":"` + strings.Repeat("x", keys.MaxBytes) + `"}`} {
			_, err := r.Sign(keys.EdDSA, atJWT, []byte(text))
			require.Error(t, err)
		}
		long, err := json.Marshal(map[string]string{"x": strings.Repeat("x", 11_000)})
		require.NoError(t, err)
		token, err := r.Sign(keys.RS256, atJWT, long)
		require.NoError(t, err)
		got, err := r.Verify(token, atJWT)
		require.NoError(t, err)
		require.Equal(t, string(long), string(got))
	})
}

func TestConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failing{Store: keys.NewMemory()}
		r := open(t, config(store))
		defer run(t, r)()
		token := sign(t, r, keys.EdDSA)
		away := outage("redis is away")
		store.fail(away)
		time.Sleep(25 * time.Second)
		require.NoError(t, r.Ready(), "for a while nobody notices")
		sign(t, r, keys.EdDSA)
		time.Sleep(10 * time.Second)
		for name, call := range map[string]func() error{
			"Ready":  r.Ready,
			"Sign":   func() error { _, err := r.Sign(keys.EdDSA, atJWT, claims); return err },
			"Verify": func() error { _, err := r.Verify(token, atJWT); return err },
		} {
			require.ErrorIs(t, call(), keys.ErrUnconfirmed, name)
			require.ErrorIs(t, call(), away, name)
			require.NotErrorIs(t, call(), keys.ErrNotOurs, "%s: an outage is no \"no\"", name)
		}
		_, err := r.Verify("x.y.z", atJWT)
		require.ErrorIs(t, err, keys.ErrNotOurs, "what cannot be ours is refused by itself")
		store.fail(nil)
		time.Sleep(3 * time.Second)
		require.NoError(t, r.Ready())
		_, err = r.Verify(token, atJWT)
		require.NoError(t, err)
	})
	t.Run("without Run a ring asks when it must", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := open(t, config(keys.NewMemory()))
			time.Sleep(time.Hour)
			require.NoError(t, r.Ready())
			sign(t, r, keys.EdDSA)
		})
	})
	t.Run("a store that fails on a kid that is not known: an outage is no \"no\"", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := &failing{Store: keys.NewMemory()}
			r := open(t, config(store))
			foreign := sign(t, open(t, config(keys.NewMemory())), keys.EdDSA)
			time.Sleep(time.Second)
			store.fail(outage("redis is away"))
			_, err := r.Verify(foreign, atJWT)
			require.ErrorIs(t, err, keys.ErrUnconfirmed)
		})
	})
}

// gated is a store that answers when it is told to, and counts.
type gated struct {
	keys.Store
	loads atomic.Int64
	gate  chan struct{} // nil: open
}

func (g *gated) Load(ctx context.Context) (keys.State, error) {
	g.loads.Add(1)
	if g.gate != nil {
		<-g.gate
	}
	return g.Store.Load(ctx)
}

func TestFlood(t *testing.T) {
	var clock atomic.Int64 // each look at it takes longer than the pause between two looks at the store
	store := &gated{Store: keys.NewMemory()}
	cfg := config(store)
	cfg.Now = func() time.Time {
		return time.Unix(1_800_000_000, 0).Add(time.Duration(clock.Add(1)) * 101 * time.Millisecond)
	}
	r := open(t, cfg)
	foreign := sign(t, open(t, config(keys.NewMemory())), keys.EdDSA)

	t.Run("a kid that cannot be ours asks the store nothing", func(t *testing.T) {
		before := store.loads.Load()
		require.ErrorIs(t, get(r.Verify(forgedKid, atJWT)), keys.ErrNotOurs)
		require.Equal(t, before, store.loads.Load())
	})
	t.Run("S-50 many kids that nobody knows, while the store is slow: they wait for one answer", func(t *testing.T) {
		store.gate = make(chan struct{})
		var done sync.WaitGroup
		before := store.loads.Load()
		done.Go(func() { _, _ = r.Verify(foreign, atJWT) })
		require.Eventually(t, func() bool { return store.loads.Load() == before+1 }, 20*time.Second, time.Millisecond)
		const flood = 50
		arrived := clock.Load() + 2*flood // each asks for the time twice before it waits
		for range flood {
			done.Go(func() { _, _ = r.Verify(foreign, atJWT) })
		}
		require.Eventually(t, func() bool { return clock.Load() >= arrived }, 20*time.Second, time.Millisecond)
		close(store.gate)
		done.Wait()
		require.LessOrEqual(t, store.loads.Load()-before, int64(5))
	})
}

// forgedKid names a kid that none of our keys has the form of.
var forgedKid = b64(`{"alg":"EdDSA","typ":"at+jwt","kid":"1"}`) + "." + b64(`{}`) + "." + b64("x")

type outage string

func (o outage) Error() string { return string(o) }

package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// published is a key set that tests change.
type published struct {
	set   *jwt.KeySet
	err   error
	asked atomic.Int32
	late  time.Duration
}

func (p *published) Keys(context.Context, string) (*jwt.KeySet, error) {
	p.asked.Add(1)
	time.Sleep(p.late)
	return p.set, p.err
}

// publish sets the keys: kid → public key. change is put into each.
func (p *published) publish(t testing.TB, keys map[string]any, change map[string]any) {
	t.Helper()
	list := []any{}
	for kid, k := range keys {
		text, err := jose.JSONWebKey{Key: k, KeyID: kid, Use: "sig"}.MarshalJSON()
		require.NoError(t, err)
		m := map[string]any{}
		require.NoError(t, json.Unmarshal(text, &m))
		for name, value := range change {
			m[name] = value
		}
		list = append(list, m)
	}
	text, err := json.Marshal(map[string]any{"keys": list})
	require.NoError(t, err)
	p.set, err = jwt.ParseKeySet(text)
	require.NoError(t, err)
}

// offline is a verifier with a key set that tests change, and an issuer that is never asked.
func offline(t testing.TB, change ...func(*JWTConfig)) (*JWT, *issuer, *published) {
	t.Helper()
	a := &issuer{}
	a.Server = newOffline()
	cfg := JWTConfig{Issuer: a.URL, Audience: api}
	for _, c := range change {
		c(&cfg)
	}
	v, err := NewJWT(cfg)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	p := &published{}
	p.publish(t, map[string]any{"ec": signing().ec.Public(), "other": signing().foreign.Public()}, nil)
	v.keys = p
	return v, a, p
}

func (v *JWT) remembered() int { return len(v.verified.all()) }

func TestJWTIsVerifiedOnce(t *testing.T) {
	t.Run("a token that was verified is remembered until its exp, and not a moment longer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v, a, _ := offline(t)
			token := a.token(t, map[string]any{"exp": time.Now().Unix() + 10})
			first, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
			time.Sleep(10*time.Second - 1)
			again, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
			require.Same(t, first, again)
			time.Sleep(1)
			_, err = v.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalidToken)
			require.Zero(t, v.remembered())
		})
	})
	t.Run("with a CacheSize of -1 nothing is remembered", func(t *testing.T) {
		v, a, _ := offline(t, func(c *JWTConfig) { c.CacheSize = -1 })
		token := a.token(t, nil)
		first, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		again, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.NotSame(t, first, again)
	})
	t.Run("AT-16 a token that is refused for its nbf passes when its time has come", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v, a, _ := offline(t)
			token := a.token(t, map[string]any{"nbf": time.Now().Add(maxSkew).Unix() + 2})
			for range 3 {
				_, err := v.Verify(t.Context(), token)
				require.ErrorIs(t, err, ErrInvalidToken)
			}
			time.Sleep(2 * time.Second)
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
		})
	})
	t.Run("AT-16 times are judged at each use: a clock that is put back refuses what is not valid yet", func(t *testing.T) {
		v, a, _ := offline(t)
		token := a.token(t, nil)
		tok, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.NoError(t, v.check(tok, time.Now()))
		require.Equal(t, jwt.NotYet, v.check(tok, time.Now().Add(-2*maxSkew)))
		require.Equal(t, jwt.Expired, v.check(tok, tok.ExpiresAt))
		require.Equal(t, jwt.BadAudience, v.check(&Token{ExpiresAt: tok.ExpiresAt, Audience: []string{"x"}}, time.Now()))
		v.cfg.Audience = "https://x"
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, ErrInvalidToken, "remembered, and judged all the same")
	})
	t.Run("AT-04 one changed character of a remembered token is refused, wherever it is", func(t *testing.T) {
		v, a, _ := offline(t)
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		for i := range len(token) {
			letter := byte('A')
			if token[i] == letter {
				letter = 'B'
			}
			_, err := v.Verify(t.Context(), token[:i]+string(letter)+token[i+1:])
			require.ErrorIs(t, err, ErrInvalidToken, i)
		}
		require.Equal(t, 1, v.remembered())
	})
	t.Run("no text of a token is kept", func(t *testing.T) {
		v, a, _ := offline(t)
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		for k, e := range v.verified.all() {
			kept := fmt.Sprintf("%s %+v %+v", k[:], e.value.token, e.value.proof)
			for _, part := range strings.Split(token, ".") {
				require.NotContains(t, kept, part)
			}
		}
	})
	t.Run("RFC 7515 §5.2 claims that a remembered or awaited signature does not sign are refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v, a, p := offline(t)
			token, other := a.token(t, nil), a.token(t, map[string]any{"sub": "eve"})
			forged := other[:strings.LastIndex(other, ".")] + token[strings.LastIndex(token, "."):]
			p.late = time.Second
			go func() { _, err := v.Verify(t.Context(), token); require.NoError(t, err) }()
			synctest.Wait()
			_, err := v.Verify(t.Context(), forged)
			require.ErrorIs(t, err, ErrInvalidToken, "while the token is verified")
			_, err = v.Verify(t.Context(), forged)
			require.ErrorIs(t, err, ErrInvalidToken, "when it is remembered")
			got, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
			require.NotEqual(t, "eve", got.Subject)
			require.Equal(t, 1, v.remembered())
		})
	})
}

func TestJWTKeyLeaves(t *testing.T) {
	ec, other := signing().ec.Public(), signing().foreign.Public()
	t.Run("V-24 a key that leaves the key set ends at once what it signed, and nothing else", func(t *testing.T) {
		v, a, p := offline(t)
		gone, stays := a.token(t, nil), sign(t, "ES256", "other", "at+jwt", signing().foreign, a.claims(nil))
		for _, token := range []string{gone, stays} {
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
		}
		before, err := v.Verify(t.Context(), stays)
		require.NoError(t, err)
		p.publish(t, map[string]any{"other": other}, nil)
		_, err = v.Verify(t.Context(), gone)
		require.ErrorIs(t, err, ErrInvalidToken)
		after, err := v.Verify(t.Context(), stays)
		require.NoError(t, err)
		require.Same(t, before, after, "its key stays, so it is not verified anew")
		require.Equal(t, 1, v.remembered())
	})
	t.Run("V-24 another key under the same kid ends what the first signed", func(t *testing.T) {
		v, a, p := offline(t)
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		p.publish(t, map[string]any{"ec": other}, nil)
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("V-24 the same key under another kid, or for another alg, ends what it signed", func(t *testing.T) {
		v, a, p := offline(t)
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		p.publish(t, map[string]any{"renamed": ec}, nil)
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, ErrInvalidToken)
	})
	t.Run("OpenID Federation §8.7.2 a key past its end ends what it signed, also where a later set says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v, a, p := offline(t)
			token := a.token(t, nil)
			_, err := v.Verify(t.Context(), token)
			require.NoError(t, err)
			p.publish(t, map[string]any{"ec": ec}, map[string]any{"exp": time.Now().Unix() + 5})
			_, err = v.Verify(t.Context(), token)
			require.NoError(t, err)
			time.Sleep(5 * time.Second)
			_, err = v.Verify(t.Context(), token)
			require.ErrorIs(t, err, ErrInvalidToken)
		})
	})
	t.Run("BR-19 keys that cannot be had: an error and no refusal, for a remembered token too", func(t *testing.T) {
		v, a, p := offline(t)
		token := a.token(t, nil)
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		p.err = errors.New("no route")
		_, err = v.Verify(t.Context(), token)
		require.ErrorIs(t, err, p.err)
		require.NotErrorIs(t, err, ErrInvalidToken)
	})
}

func TestJWTFlood(t *testing.T) {
	t.Run("V-25 a flood of forged tokens and garbage takes no place in the memory", func(t *testing.T) {
		v, a, _ := offline(t, func(c *JWTConfig) { c.CacheSize = 3 })
		token := a.token(t, nil)
		first, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		cut := token[:strings.LastIndexByte(token, '.')+1]
		for i := range 200 {
			for _, bad := range []string{fmt.Sprint("gat_", i), cut + part(fmt.Sprintf("%064d", i)), a.token(t, map[string]any{"aud": "https://x"})} {
				_, err := v.Verify(t.Context(), bad)
				require.ErrorIs(t, err, ErrInvalidToken)
			}
		}
		again, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Same(t, first, again)
	})
	t.Run("V-25 the memory is bounded, and a long token counts several times", func(t *testing.T) {
		v, a, _ := offline(t, func(c *JWTConfig) { c.CacheSize = 20 })
		for i := range 100 {
			_, err := v.Verify(t.Context(), a.token(t, map[string]any{"jti": fmt.Sprint(i)}))
			require.NoError(t, err)
		}
		require.Equal(t, 20, v.remembered())
		for i := range 10 {
			_, err := v.Verify(t.Context(), a.token(t, map[string]any{"jti": fmt.Sprint(i), "x": strings.Repeat("x", 9000)}))
			require.NoError(t, err)
			require.LessOrEqual(t, v.verified.shards[0].weight, 20)
		}
		require.Less(t, v.remembered(), 10)
	})
	t.Run("BR-05 what an expired or foreign token costs is no signature and no question for keys", func(t *testing.T) {
		v, a, p := offline(t)
		for _, change := range []map[string]any{{"exp": time.Now().Unix() - 1}, {"aud": "https://x"}, {"iss": "https://x"}, {"jti": nil}} {
			_, err := v.Verify(t.Context(), a.token(t, change))
			require.ErrorIs(t, err, ErrInvalidToken)
		}
		require.Zero(t, p.asked.Load())
	})
}

func TestFlights(t *testing.T) {
	k := cacheKey{1}
	t.Run("V-25 many who want one token at the same moment cause one verification", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g flights[int]
			var worked atomic.Int32
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					got, err := g.do(t.Context(), k, func() (int, error) {
						worked.Add(1)
						time.Sleep(time.Second)
						return 7, ErrInvalidToken
					})
					require.ErrorIs(t, err, ErrInvalidToken)
					require.Equal(t, 7, got)
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, worked.Load())
			require.Empty(t, g.underway)
		})
	})
	t.Run("the one who works goes away: another works, and nobody gets the error of the first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g flights[int]
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, err := g.do(ctx, k, func() (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				require.ErrorIs(t, err, context.Canceled)
			}()
			synctest.Wait()
			time.AfterFunc(time.Second, cancel)
			got, err := g.do(t.Context(), k, func() (int, error) { return 8, nil })
			require.NoError(t, err)
			require.Equal(t, 8, got)
		})
	})
	t.Run("the one who works panics: another works", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g flights[int]
			go func() {
				defer func() { _ = recover() }()
				_, _ = g.do(t.Context(), k, func() (int, error) { time.Sleep(time.Second); panic("x") })
			}()
			synctest.Wait()
			got, err := g.do(t.Context(), k, func() (int, error) { return 9, nil })
			require.NoError(t, err)
			require.Equal(t, 9, got)
		})
	})
	t.Run("one who waits goes away by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var g flights[int]
			go func() { _, _ = g.do(t.Context(), k, func() (int, error) { time.Sleep(time.Minute); return 0, nil }) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := g.do(ctx, k, func() (int, error) { t.Error("worked"); return 0, nil })
			require.ErrorIs(t, err, context.DeadlineExceeded)
			time.Sleep(time.Minute)
		})
	})
}

func TestIntrospectionIsAskedOnce(t *testing.T) {
	t.Run("V-25 with a cache, many who want one token at the same moment ask one question", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := &slowNetwork{}
			v, err := NewIntrospection(IntrospectionConfig{URL: "https://as.example.com/introspect", ClientID: "api", ClientSecret: "s", CacheTTL: time.Minute, Transport: n})
			require.NoError(t, err)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					_, err := v.Verify(t.Context(), "gat_1")
					require.NoError(t, err)
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, n.asked.Load())
		})
	})
}
